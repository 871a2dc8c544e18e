/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The torture test's workers, and what they do with memory.
 *
 * What fails is complained of, unless the device is being taken away and it may have been there.
 * Where all of the region goes with the device, so does the worker; else it goes on with what is
 * left.
 */
#ifndef SELFTESTS_GUEST_TIER_TORTURE_MEMORY_H
#define SELFTESTS_GUEST_TIER_TORTURE_MEMORY_H

#include "tier_torture.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/uio.h>

#define REGION		"torture"
#define DISK		"/dev/vdb"
#define LOCK_PATIENCE	60

/* Not an extent, but the region. */
#define WHOLE		(-1)

struct worker {
	int number;
	int fd, disk, mem;
	int pipe[2];
	struct place piped;
	bool holds;		/* a page is in the pipe */
	int on;			/* the extent that it is at, or WHOLE */
	bool lost;		/* the action has met what went with the device */
	bool met;		/* an earlier one has */
	bool gone;		/* all of the region is */
	char *arena;
	char *at[EXTENTS];
	uint64_t buffer[SECTOR_WORDS] __attribute__((aligned(4096)));
};

static char *address(const struct worker *w, const struct place *at)
{
	return w->at[at->extent] + sector_offset(at);
}

static volatile uint64_t *words_at(const struct worker *w, const struct place *at)
{
	return (volatile uint64_t *)address(w, at);
}

/* Where the next action is. */
static struct place go_to(struct worker *w)
{
	struct place at = any_sector(w->number);

	w->on = at.extent;
	return at;
}

/* Whether an extent may have gone with the device; WHOLE: the region. */
static bool may_fail(int extent)
{
	if (!read_once(&torture->removing))
		return false;
	return extent == WHOLE ? !torture->lives : !(torture->lives & 1U << extent);
}

static void lose(struct worker *w)
{
	w->lost = true;
	if (w->on == WHOLE || !torture->two_pools)
		w->gone = true;
}

/* Whether a call did what it should; else it may be for what it is at. */
static bool worked(struct worker *w, bool good, const char *what)
{
	int error = errno;

	if (good)
		return true;
	if (!may_fail(w->on))
		stress_complain("%s, extent %d: %s", what, w->on, strerror(error));
	lose(w);
	return false;
}

/* Words. */

static bool do_load(struct worker *w)
{
	bool same = true;

	for (int n = 0; n < 4 && same; n++) {
		bool removed = read_once(&torture->removed);
		struct place at = go_to(w);

		same = check_sector(words_at(w, &at), &at, "load");
		if (removed && torture->fails & 1U << at.extent)
			stress_complain("load: extent %d is there without its device", at.extent);
	}
	return same;
}

static bool do_store(struct worker *w)
{
	struct place at = go_to(w);
	volatile uint64_t *words = words_at(w, &at);
	volatile uint64_t *shadow = shadow_of(&at);

	for (int n = 1 + dice(8); n > 0; n--) {
		int i = dice(SECTOR_WORDS);
		uint64_t value = dice(UINT64_MAX);

		words[i] = value;
		shadow[i] = value;
	}
	return true;
}

/* As many as there can be, all over one extent: some of them while it is copied. */
static bool do_storm(struct worker *w)
{
	struct place at = go_to(w);
	uint64_t value = dice(UINT64_MAX);

	for (int n = 0; n < 4000; n++) {
		int i = dice(SECTOR_WORDS);

		at.slot = dice(SLOTS);
		at.sector = own_sector(w->number, at.extent, at.slot);
		if (!at.sector)
			continue;
		words_at(w, &at)[i] = value + n;
		*(volatile uint64_t *)&shadow_of(&at)[i] = value + n;
	}
	return true;
}

/* Counters that everybody adds to. */
static bool do_atomic(struct worker *w)
{
	struct place at = go_to(w);
	volatile uint64_t *tally = shadow_now()->tally[w->number][at.extent][at.slot];
	uint64_t n = 1 + dice(1000), now;
	uint64_t *words;

	at.sector = 0;
	words = (uint64_t *)address(w, &at);
	switch (dice(3)) {
	case 0:
		__atomic_fetch_add(&words[SUM_WORD], n, __ATOMIC_SEQ_CST);
		tally[SUM] += n;
		break;
	case 1:
		__atomic_fetch_xor(&words[XOR_WORD], n, __ATOMIC_SEQ_CST);
		tally[XOR] ^= n;
		break;
	default:
		now = __atomic_load_n(&words[SWAP_WORD], __ATOMIC_SEQ_CST);
		while (!__atomic_compare_exchange_n(&words[SWAP_WORD], &now, now + 1, false,
						    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			;
		tally[SWAP]++;
	}
	return true;
}

/* A lock in the region, of a futex: 0 free, 1 taken, 2 taken and somebody waits. */

static bool lock_record(struct worker *w, uint32_t *lock)
{
	struct timespec second = { .tv_sec = 1 };
	uint32_t was = 0;
	int seconds = 0;

	if (__atomic_compare_exchange_n(lock, &was, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return true;
	if (was != 2)
		was = __atomic_exchange_n(lock, 2, __ATOMIC_SEQ_CST);
	while (was) {
		if (syscall(SYS_futex, lock, FUTEX_WAIT, 2, &second, NULL, 0) && errno == ETIMEDOUT) {
			if (may_fail(w->on)) {
				lose(w);	/* so may who had it */
				return false;
			}
			if (seconds++ > LOCK_PATIENCE) {
				stress_complain("a lock in the region is never free");
				return false;
			}
		}
		was = __atomic_exchange_n(lock, 2, __ATOMIC_SEQ_CST);
	}
	return true;
}

static void unlock_record(uint32_t *lock)
{
	if (__atomic_fetch_sub(lock, 1, __ATOMIC_SEQ_CST) == 1)
		return;
	__atomic_store_n(lock, 0, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, lock, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Words that are always equal for who has the lock. */
static bool do_futex(struct worker *w)
{
	struct place at = { .extent = (torture->hot + dice(2)) % EXTENTS, .slot = 8 * dice(2) };
	volatile uint64_t *words = words_at(w, &at), first;
	bool same = true;

	w->on = at.extent;
	if (!lock_record(w, (uint32_t *)&words[LOCK_WORD]))
		return false;
	first = words[RECORD_WORD];
	for (int i = 0; i < RECORD_WORDS; i++) {
		if (words[RECORD_WORD + i] != first)
			same = false;
		words[RECORD_WORD + i] = first + 1;
		if (one_in(16))
			sched_yield();
	}
	shadow_now()->tally[w->number][at.extent][at.slot][RECORD]++;
	unlock_record((uint32_t *)&words[LOCK_WORD]);
	if (!same)
		stress_complain("two were in a lock of the region at once");
	return same;
}

/* Stores that the kernel makes. */

/* New contents for a sector, in the worker's buffer. */
static void prepare(struct worker *w, const struct place *at)
{
	struct pending *p = &shadow_now()->pending[w->number];

	for (int i = 0; i < SECTOR_WORDS; i++)
		w->buffer[i] = dice(UINT64_MAX);
	p->at = *at;
	memcpy(p->new, w->buffer, sizeof(p->new));
	__atomic_store_n(&p->words, SECTOR_WORDS, __ATOMIC_SEQ_CST);
}

static bool stored(struct worker *w, const struct place *at, bool good, const char *what)
{
	struct pending *p = &shadow_now()->pending[w->number];

	if (!worked(w, good, what))
		return false;
	memcpy(shadow_of(at), p->new, sizeof(p->new));
	__atomic_store_n(&p->words, 0, __ATOMIC_SEQ_CST);
	return check_sector(words_at(w, at), at, what);
}

static bool do_write(struct worker *w)
{
	struct place at = go_to(w);

	prepare(w, &at);
	return stored(w, &at, pwrite(w->fd, w->buffer, SECTOR_BYTES, region_offset(&at)) ==
		      SECTOR_BYTES, "pwrite");
}

static bool do_read(struct worker *w)
{
	struct place at = go_to(w);

	return worked(w, pread(w->fd, w->buffer, SECTOR_BYTES, region_offset(&at)) ==
		      SECTOR_BYTES, "pread") && check_sector(w->buffer, &at, "pread");
}

/* As a debugger and as another process do. */
static bool do_peer(struct worker *w)
{
	struct place at = go_to(w);
	struct iovec here = { w->buffer, SECTOR_BYTES };
	struct iovec there = { address(w, &at), SECTOR_BYTES };

	switch (dice(3)) {
	case 0:
		return worked(w, process_vm_readv(getpid(), &here, 1, &there, 1, 0) ==
			      SECTOR_BYTES, "process_vm_readv") &&
		       check_sector(w->buffer, &at, "process_vm_readv");
	case 1:
		prepare(w, &at);
		return stored(w, &at, process_vm_writev(getpid(), &here, 1, &there, 1, 0) ==
			      SECTOR_BYTES, "process_vm_writev");
	default:
		prepare(w, &at);
		return stored(w, &at, pwrite(w->mem, w->buffer, SECTOR_BYTES,
					     (off_t)(uintptr_t)there.iov_base) == SECTOR_BYTES,
			      "/proc/self/mem");
	}
}

/* From a disk into the region, and the other way, past the processor. */
static bool do_direct_read(struct worker *w)
{
	struct place at = go_to(w);
	off_t block = w->number * 4096;

	prepare(w, &at);
	if (pwrite(w->disk, w->buffer, SECTOR_BYTES, block) != SECTOR_BYTES) {
		stress_complain("the disk: %s", strerror(errno));
		return false;
	}
	return stored(w, &at, pread(w->disk, address(w, &at), SECTOR_BYTES, block) == SECTOR_BYTES,
		      "O_DIRECT read");
}

static bool do_direct_write(struct worker *w)
{
	struct place at = go_to(w);
	off_t block = w->number * 4096;

	return worked(w, pwrite(w->disk, address(w, &at), SECTOR_BYTES, block) == SECTOR_BYTES,
		      "O_DIRECT write") &&
	       worked(w, pread(w->disk, w->buffer, SECTOR_BYTES, block) == SECTOR_BYTES, "the disk") &&
	       check_sector(w->buffer, &at, "O_DIRECT write");
}

/* A page in a pipe. */

static bool empty_pipe(struct worker *w)
{
	if (!w->holds)
		return true;
	w->holds = false;
	w->on = w->piped.extent;
	return worked(w, read(w->pipe[0], w->buffer, SECTOR_BYTES) == SECTOR_BYTES, "read a pipe") &&
	       check_sector(w->buffer, &w->piped, "a page in a pipe");
}

/*
 * What is in the pipe is the page itself: stores after that are seen in it, as long as the page
 * stays the region's. Where the home is persistent a store has to wait for who holds a near copy,
 * so nothing is held there between two actions (torture->quick).
 */
static bool do_pipe(struct worker *w)
{
	struct place at = go_to(w);
	struct iovec vector = { address(w, &at), SECTOR_BYTES };

	if (!empty_pipe(w))
		return false;
	w->on = at.extent;
	if (!worked(w, vmsplice(w->pipe[1], &vector, 1, 0) == SECTOR_BYTES, "vmsplice"))
		return false;
	w->piped = at;
	w->holds = true;
	return !torture->quick || empty_pipe(w);
}

#endif
