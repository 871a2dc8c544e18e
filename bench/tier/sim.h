/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The simulator of tiering: what its files share.
 *
 * One stream of accesses (workload.c and its kinds) is given, batch by batch, to several memories
 * (memory.c), each with a policy of its own (tier_*.c) and a clock of its own: an access takes as
 * long as where it is served, and faults and copies take what was measured. Beside them the
 * accesses are counted for the oracle (oracle.c). report.c says what came of it, projected.c what
 * tracking and faults would take in instructions.
 */
#ifndef TIER_SIM_H
#define TIER_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../kmod/policy.h"
#include "random.h"

#define EXTENT_PAGES	HM_POLICY_PAGES
#define PAGE_BYTES	4096ULL
#define EXTENT_BYTES	(EXTENT_PAGES * PAGE_BYTES)
#define SLICES		1000	/* of a run, for what is shown over time */
#define MAX_PHASES	4
#define BATCH		4096

/* An access: a page, and whether it is a store. */
#define ACCESS(page, store) ((uint32_t)(page) << 1 | (uint32_t)(store))

void *sim_alloc(size_t n, size_t size);	/* zeroed; does not fail */
void sim_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* What things cost, in ns. */
struct costs {
	uint32_t near, home, fault, zap, copy_extent, copy_page;
};

/* --- workloads ----------------------------------------------------------------------- */

struct workload;

/**
 * struct workload_kind - how a stream is made
 * @make: sets @state and the fields of the workload that depend on it
 * @fill: the next @n accesses, of which the first is number @at of the run
 */
struct workload_kind {
	void (*make)(struct workload *w);
	void (*fill)(struct workload *w, uint64_t at, uint32_t *access, uint32_t n);
	void (*free)(struct workload *w);
};

struct workload {
	/* As in the table of workloads. */
	const char *name;
	const struct workload_kind *kind;
	uint32_t dram;		/* the bound is the region by this */
	uint32_t arg, arg2;	/* of its kind */
	bool by_page;		/* the unit of the oracle, and whether splitting is of use */
	/* Of a run. */
	uint64_t accesses;
	uint32_t extents;
	uint64_t near_pages;
	struct random random;
	/* Set by make(). */
	uint32_t phases;
	uint64_t phase_at[MAX_PHASES + 1];
	/* Extents whose residence is of interest at the end of each phase, or NULL. */
	const uint8_t *watched;
	void *state;
};

extern const struct workload workloads[];
extern const struct workload_kind gups, scan_over, uniform_part, zipf, ycsb, pagerank;

/* --- what a policy looks at, and what waits for it ------------------------------------- */

/* Kinds of faults, by what is accessed: bits. */
enum {
	FAULT_STORE = 1,
	FAULT_NEAR = 2,
	FAULT_PAGE = 4,		/* of a split extent */
	FAULT_KINDS = 8,
};

/**
 * struct looks - all that a policy has done to know what is hot
 * @wakeups: of its worker
 * @visits: of extents, one by one
 * @passes: of extents that were not visited after a glance at what is known
 * @probes: extents whose mapping was taken away to see when they are touched
 * @probed: faults that came of it, by kind
 * @bits: accessed bits that were read, and cleared
 * @touched: of those, the ones that were set
 */
struct looks {
	uint64_t wakeups, visits, passes, probes, probed[FAULT_KINDS], bits, touched;
};

/* Every fault, and how long it waited for a copy. */
struct fault_log {
	uint32_t *fault;	/* the kind from bit FAULT_SHIFT on, below it ns */
	size_t n, room;
};

#define FAULT_SHIFT	29

/* --- memory -------------------------------------------------------------------------- */

enum {
	EXTENT_NEAR = 1,
	EXTENT_SLOW = 2,	/* one of the next */
	EXTENT_CLEAN = 4,	/* near, and the first store faults */
};

/* Why an extent's accesses need a closer look. */
enum {
	WHY_UNMAPPED = 1,
	WHY_SPLIT = 2,
	WHY_COPYING = 4,	/* stores end the copy */
	WHY_WAITING = 8,	/* whoever comes waits for it */
	WHY_PAGES = 16,		/* some of its pages are being copied */
	WHY_ZAPPED = 32,	/* unmapped, to see when it is touched */
};

/* Of a page in a split extent. */
enum {
	PAGE_NEAR = 1,
	PAGE_UNMAPPED = 2,
	PAGE_ACCESSED = 4,
	PAGE_CLEAN = 8,
};

struct move {
	uint32_t extent;
	uint32_t what;
	struct hm_policy_pages pages, done;
};

struct memory;

/**
 * struct tier - a policy
 * @bits: its accessed bits are set at every access (and it need not pay for that)
 * @recency: it is told of every access
 * @start: places and prepares
 * @tick: at the time it last asked for; returns the next, 0: never
 * @touched: somebody faulted on an unmapped extent
 * @accessed: every access, when @recency
 * @moved: a move of an extent has ended
 * @moved_pages: a move of pages has ended; move.done says which
 */
struct tier {
	const char *name;
	bool bits, recency, by_page_only;
	void (*start)(struct memory *m);
	uint64_t (*tick)(struct memory *m);
	void (*touched)(struct memory *m, uint32_t extent, uint32_t page);
	void (*accessed)(struct memory *m, uint32_t page);
	void (*moved)(struct memory *m, uint32_t extent, uint32_t what, bool done);
	void (*moved_pages)(struct memory *m, struct move *move);
	void (*free)(struct memory *m);
};

extern const struct tier *const tiers[];

struct memory {
	const struct tier *tier;
	void *state;		/* the tier's */
	const struct costs *costs;
	uint32_t extents;
	uint64_t near_pages, used;
	uint64_t now, next_event, next_tick, move_ends, move_started;
	uint8_t *extent;	/* EXTENT_* */
	uint8_t *why;
	uint8_t *page;		/* PAGE_*, of split extents */
	uint8_t *bits;		/* of extents, for tiers that want them */
	uint32_t tlb[1024];
	/* The mover: one worker, in order. */
	struct move *queue;
	uint32_t queue_size, head, queued;
	bool moving;
	struct random random;
	/* What came of it. */
	uint64_t near_hits, promoted, demoted, copied, aborted, faults, waited, pingpongs;
	uint64_t tracked_ns;	/* cost of tracking on its own core and in faults */
	uint32_t slice_hits[SLICES];
	uint32_t watched_near[MAX_PHASES], watched;
	struct looks looked;	/* of simulated memory, as is the next */
	struct fault_log log;
	/* At half the accesses. */
	uint64_t copied_half, tracked_half, now_half;
	uint32_t *moved_at;	/* ms, of an extent or page; the top bit: demoted */
};

struct memory *memory_make(const struct tier *tier, const struct workload *w,
			   const struct costs *costs);
void memory_free(struct memory *m);
/* The accesses, in order; returns how many of them were served near. */
uint32_t memory_run(struct memory *m, const uint32_t *access, uint32_t n);
bool memory_queue(struct memory *m, uint32_t extent, uint32_t what,
		  const struct hm_policy_pages *pages);
void memory_zap(struct memory *m, uint32_t extent);
/* Whoever touches a page from now on sets its accessed bit. */
void memory_flush(struct memory *m);
void memory_split(struct memory *m, uint32_t extent);
void memory_collapse(struct memory *m, uint32_t extent, bool near);
/* Without cost or time: how a run begins. */
void memory_place(struct memory *m, uint32_t extent);

/* --- oracle -------------------------------------------------------------------------- */

struct oracle {
	uint32_t pages;
	uint32_t *count;
	double share_extent[MAX_PHASES], share_page[MAX_PHASES];
};

void oracle_make(struct oracle *o, uint32_t extents);
void oracle_phase_over(struct oracle *o, uint32_t phase, uint64_t near_pages);
void oracle_free(struct oracle *o);

/* --- projection ---------------------------------------------------------------------- */

/**
 * struct projected - what it would take in instructions
 * @kernel: where the parts were measured
 * @scan: all that the policy does to know what is hot, in the whole run
 * @fault: of the faults that the policy causes, the median and the 99th percentile; -1: none
 */
struct projected {
	const char *kernel;
	double scan, fault[2];
};

#define PROJECTED	2	/* kernels; the last one is the newest */

/* Of a run in the simulator. */
void project_run(const struct memory *m, struct projected p[PROJECTED]);

/* --- reporting ----------------------------------------------------------------------- */

void report_begin(const char *json);
void report(const struct workload *w, const struct oracle *o, struct memory *const *m, uint32_t n);
int report_end(void);

#endif
