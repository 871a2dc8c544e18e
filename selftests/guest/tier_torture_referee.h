/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The torture test's referee: waits for the workers, and compares all words with what they stored.
 */
#ifndef SELFTESTS_GUEST_TIER_TORTURE_REFEREE_H
#define SELFTESTS_GUEST_TIER_TORTURE_REFEREE_H

#include "tier_torture_tiering.h"

/* Beyond that nobody waits for a worker. */
#define PATIENCE	patience(90)

static uint64_t checked;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static bool await(int *counter, int value, const char *what)
{
	double end = now() + PATIENCE;

	while (read_once(counter) != value) {
		if (board->wrong && counter != &torture->running)
			return false;
		if (now() > end) {
			write_file("/proc/sysrq-trigger", "w");
			stress_complain("%s", what);
			return false;
		}
		usleep(1000);
	}
	return true;
}

/* All stop; then it is true, and all go on with let_go_on(). */
static bool park(int how)
{
	write_once(&torture->park, how);
	return await(&torture->parked, WORKERS, "a worker hangs");
}

static void let_go_on(void)
{
	write_once(&torture->park, PARK_NOT);
	if (!board->wrong)
		await(&torture->parked, 0, "a worker does not go on");
}

/* Nobody stores meanwhile. */

static void check_shared(const volatile uint64_t *words, const struct place *at, bool torn)
{
	static const char *const names[] = { "the sum", "the xor", "the swapped" };
	const struct shadow *s = shadow_now();
	uint64_t want = tallied(s, at->extent, at->slot, RECORD);

	for (int i = SUM; i <= SWAP; i++) {
		uint64_t tally = tallied(s, at->extent, at->slot, i);

		if (words[i] != tally)
			complain_word(names[i], at, i, words[i], tally);
	}
	for (int i = 0; has_lock(at->slot) && i < RECORD_WORDS; i++) {
		uint64_t got = words[RECORD_WORD + i];

		if (got != want && !(torn && got == want + 1))
			complain_word("the record", at, RECORD_WORD + i, got, want);
	}
}

static void check_extent(char *base, int fd, int extent, bool torn, const char *when)
{
	static uint64_t page[512] __attribute__((aligned(4096)));
	struct place at = { .extent = extent };
	bool by_read = one_in(2);

	for (at.slot = 0; at.slot < SLOTS && !board->wrong; at.slot++) {
		const volatile uint64_t *words;

		at.sector = 0;
		words = (uint64_t *)(base + region_offset(&at));
		if (by_read) {
			if (pread(fd, page, 4096, region_offset(&at)) != 4096)
				stress_complain("%s: read: %s", when, strerror(errno));
			words = page;
		}
		check_shared(words, &at, torn);
		for (at.sector = 1; at.sector < SECTORS; at.sector++)
			check_sector(words + at.sector * SECTOR_WORDS, &at, when);
		checked += 512;
	}
}

static void check_all(char *base, int fd, bool torn, const char *when)
{
	for (int extent = 0; extent < EXTENTS; extent++)
		check_extent(base, fd, extent, torn, when);
}

/*
 * A device went, or a process was ended, in the middle of actions: what was being stored by the
 * kernel is old or new. Whatever is found is right from now on.
 */
static void settle(char *base, int fd)
{
	struct shadow *s = shadow_now();
	struct place at;

	for (int i = 0; i < WORKERS; i++) {
		struct pending *p = &s->pending[i];
		volatile uint64_t *words = (uint64_t *)(base + region_offset(&p->at));

		for (int n = 0; n < p->words; n++)
			if (words[n] == p->new[n])
				shadow_of(&p->at)[n] = p->new[n];
		p->words = 0;
	}
	check_all(base, fd, true, "after the device came back");
	for (at.extent = 0; at.extent < EXTENTS; at.extent++) {
		for (at.slot = 0; at.slot < SLOTS; at.slot++) {
			volatile uint64_t *words;

			at.sector = 0;
			words = (uint64_t *)(base + region_offset(&at));
			if (!has_lock(at.slot))
				continue;
			*(volatile uint32_t *)&words[LOCK_WORD] = 0;
			for (int i = 0; i < RECORD_WORDS; i++)
				words[RECORD_WORD + i] = tallied(s, at.extent, at.slot, RECORD);
		}
	}
}

#endif
