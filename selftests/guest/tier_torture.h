/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The torture test's shadow copy: what every word of the region must be.
 *
 * Of each extent some pages are used, spread over all of it. A page is eight sectors of 512
 * bytes. Sector 0 is everybody's: counters, of which each worker keeps its own tally, and in some
 * pages a record that a lock protects, a futex in the region. Each other sector belongs to one
 * worker, nobody else stores to it, so at any moment that worker knows each of its words.
 *
 * All of this is in memory that the processes share, so that it outlives them and the region.
 */
#ifndef SELFTESTS_GUEST_TIER_TORTURE_H
#define SELFTESTS_GUEST_TIER_TORTURE_H

#include "near.h"
#include "pools.h"
#include "stress.h"

#define PROCESSES	2
#define THREADS		4
#define WORKERS		(PROCESSES * THREADS)
#define EXTENTS		12
#define LENGTH		(EXTENTS * EXTENT)
#define SLOTS		64		/* pages of an extent that are used */
#define SECTORS		8
#define SECTOR_WORDS	64
#define SECTOR_BYTES	(8 * SECTOR_WORDS)

/* Words of sector 0. */
enum { SUM_WORD, XOR_WORD, SWAP_WORD, LOCK_WORD = 8, RECORD_WORD = 9, RECORD_WORDS = 7 };
/* A worker's part in each of them. */
enum { SUM, XOR, SWAP, RECORD, TALLIES };

/* A sector of the region. */
struct place {
	int extent, slot, sector;
};

/**
 * struct pending - a sector that the kernel is about to store to
 * @words: how many of them; 0: none
 * @at: where
 * @new: what
 *
 * When the device goes meanwhile, each of them may be old or new.
 */
struct pending {
	int words;
	struct place at;
	uint64_t new[SECTOR_WORDS];
};

struct shadow {
	uint64_t word[EXTENTS][SLOTS][SECTORS][SECTOR_WORDS];
	uint64_t tally[WORKERS][EXTENTS][SLOTS][TALLIES];
	struct pending pending[WORKERS];
};

/**
 * struct torture - shared by all processes
 * @park: workers are to wait between two actions: PARK_*
 * @parked: so many do
 * @running: so many are there
 * @settled: workers drain no more: homes are where they are
 * @quick: workers hold no page between two actions, so that drains need not wait
 * @removing: the device may be gone at any moment
 * @removed: it is gone
 * @met: so many workers have met what went with it
 * @lives: extents that must outlive it, a bit each; set before @removing, as is the next
 * @fails: extents that must fail without it; what is in neither may do either
 * @persistent: what is stored outlives the round
 * @plain: this round, files may be mapped while near_max is 0
 * @two_pools: the region's pool has another one beside it, and may be drained into that
 * @pools: which these are; the device's, which may be taken away, is the first
 * @drained: which of the two was drained last, and so is empty
 * @on_device: homes that are on the first, by what the drainer was told
 * @cut_short: drains of the drainer's that the loss of the device has ended
 * @hot: first of the extents that are used most
 * @shadow: of volatile regions, and of the persistent one
 */
struct torture {
	int park, parked, running, settled, quick, removing, removed, met;
	unsigned int lives, fails;
	bool persistent, plain, two_pools;
	char pools[2][HMEM_NAME_LEN];
	int drained, on_device, cut_short;
	int hot;
	struct shadow shadow[2];
};

/* In torture.park: nobody, everybody, and everybody without a page in his pipe. */
enum { PARK_NOT, PARK, PARK_EMPTY };
/* In torture.pools, with kind "ram". */
enum { ON_DEVICE, BESIDE };
/* In torture.lives and torture.fails */
#define ALL_EXTENTS	((1U << EXTENTS) - 1)

static struct torture *torture;

static inline struct shadow *shadow_now(void)
{
	return &torture->shadow[torture->persistent];
}

static inline int read_once(const int *flag)
{
	return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

static inline void write_once(int *flag, int value)
{
	__atomic_store_n(flag, value, __ATOMIC_SEQ_CST);
}

static inline size_t page_of(int extent, int slot)
{
	return slot * 8 + (slot * 5 + extent * 3) % 8;
}

/* Where in its extent. */
static inline size_t sector_offset(const struct place *at)
{
	return page_of(at->extent, at->slot) * 4096 + at->sector * SECTOR_BYTES;
}

static inline uint64_t region_offset(const struct place *at)
{
	return at->extent * EXTENT + sector_offset(at);
}

static inline uint64_t *shadow_of(const struct place *at)
{
	return shadow_now()->word[at->extent][at->slot][at->sector];
}

/* The sector of a page that is this worker's; 0 when none is. */
static inline int own_sector(int worker, int extent, int slot)
{
	return (worker + SECTORS * 1024 - slot - extent) % SECTORS;
}

static inline bool has_lock(int slot)
{
	return slot % 8 == 0;
}

/* All workers together. */
static inline uint64_t tallied(const struct shadow *s, int extent, int slot, int what)
{
	uint64_t sum = 0;

	for (int i = 0; i < WORKERS; i++)
		if (what == XOR)
			sum ^= s->tally[i][extent][slot][what];
		else
			sum += s->tally[i][extent][slot][what];
	return sum;
}

/* Mostly some few extents, and some few pages of them. */
static inline struct place any_sector(int worker)
{
	struct place at = {
		.extent = one_in(4) ? (int)dice(EXTENTS) : (torture->hot + (int)dice(3)) % EXTENTS,
		.slot = dice(one_in(2) ? SLOTS : 6),
	};

	at.sector = own_sector(worker, at.extent, at.slot);
	if (!at.sector) {
		at.slot = (at.slot + 1) % SLOTS;
		at.sector = own_sector(worker, at.extent, at.slot);
	}
	return at;
}

static inline void complain_word(const char *how, const struct place *at, int word, uint64_t got,
				 uint64_t want)
{
	stress_complain("%s: extent %d, page %zu, sector %d, word %d is %#llx, not %#llx", how,
			at->extent, page_of(at->extent, at->slot), at->sector, word,
			(unsigned long long)got, (unsigned long long)want);
}

/* That a sector, wherever these words of it were read, is what was stored. */
static inline bool check_sector(const volatile uint64_t *words, const struct place *at,
				const char *how)
{
	const uint64_t *want = shadow_of(at);

	for (int i = 0; i < SECTOR_WORDS; i++) {
		uint64_t got = words[i];

		if (got != want[i]) {
			complain_word(how, at, i, got, want[i]);
			return false;
		}
	}
	return true;
}

#endif
