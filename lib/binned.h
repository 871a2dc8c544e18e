/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Binned: blocks of a few dozen sizes, cut from spans of granules, one size to a span.
 *
 * A span belongs to one thread, which takes and gives back its blocks by plain stores to a bitmap;
 * others give back by setting a bit in a second one, which the owner looks at when he runs out. So
 * nothing is in the blocks themselves, which may be slow memory or wild stores' target, and what
 * is taken is known at every instant: whoever dies leaves no list half linked. What is freed twice
 * is seen as what it is.
 *
 * Everything that others see lies in the table of the granules. What only speeds its owner up, the
 * word of the bitmap in hand and the lists of spans, is his process's.
 */
#ifndef LIB_BINNED_H
#define LIB_BINNED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "granule.h"
#include "thread_part.h"

#define BINNED_CLASSES	GRANULE_IDLE

/* Runs that a thread has freed, and may have again. */
#define BINNED_RUNS	64

/* Up to so many bytes the class is looked up. */
#define BINNED_SMALL	1024

/*
 * @size: of its blocks
 * @reciprocal: 2^32 / @size, rounded up
 * @granules: of its spans
 * @blocks: in a span
 */
struct binned_class {
	uint32_t size;
	uint32_t reciprocal;
	uint32_t granules;
	uint32_t blocks;
};

/*
 * A class for one thread.
 *
 * @free: blocks of the word in hand that are known not to be taken
 * @word: the word in hand, of any span of the thread's; NULL: none
 * @block: its first block
 * @size, @reciprocal, @blocks: of the class
 * @at: which word of the span in hand was the last to be found there
 * @span: the head in hand, plus 1; 0: none
 * @some: spans with blocks that are not taken, a ring, as @span; @full: those without any
 */
struct bin {
	uint64_t free;
	_Atomic uint64_t *word;
	char *block;
	uint32_t size;
	uint32_t reciprocal;
	uint32_t blocks;
	uint32_t at;
	uint32_t span;
	uint32_t some;
	uint32_t full;
	uint32_t reserved[3];	/* a cache line */
};

/*
 * Runs that are idle, as far as the thread knows: anybody may have given them back since.
 *
 * @granules: of all of them
 * @missed: how often in turn none was as long as the one that was looked for
 */
struct binned_runs {
	unsigned int nr;
	unsigned int missed;
	uint64_t granules;
	uint32_t lengths[BINNED_RUNS];
	uint32_t heads[BINNED_RUNS];
};

/*
 * What a thread has. Behind the bins of all classes is one that has never anything.
 *
 * @owner: that its spans have
 * @whose: what heads of theirs have of GRANULE_WHOSE
 * @adopt_at: where to look next for spans without owner
 */
struct binned_cache {
	struct thread_part part;
	struct binned *heap;
	unsigned int owner;
	uint64_t whose;
	uint64_t adopt_at;
	struct binned_runs runs;
	struct bin bins[];
};

/*
 * @object: all blocks are of class 0; else classes go by size
 * @largest: bytes that blocks have
 * @only: the cache of all threads, where only one uses the heap at a time
 * @process: that shares the table with others; 0: nobody does
 * @small: by bytes / 16, rounded up, the class; that there is not, where it is none
 * @bury: called when there is no room: whether anybody has died whose spans are there now
 */
struct binned {
	struct thread_parts threads;
	struct granules *g;
	unsigned int interface;
	uint32_t member;
	unsigned int nr_classes;
	uint32_t largest;
	bool object;
	struct binned_cache *only;
	pid_t process;
	bool (*bury)(void *arg);
	void *bury_arg;
	uint8_t small[BINNED_SMALL / 16 + 1];
	struct binned_class classes[BINNED_CLASSES];
};

/*
 * A hash of the sizes of blocks, and of spans, that this library has for such a space: those who
 * share one have to agree on them.
 */
uint32_t binned_classes(uint64_t count, unsigned int shift);

/* Blocks of all sizes; @object: of this size, which is a multiple of 16, alone. */
int binned_init(struct binned *heap, struct granules *g, unsigned int interface, uint32_t member,
		uint32_t object, bool one_thread);

/* Nobody of this process uses it any more. Its spans stay, without owner: for others, if any. */
void binned_fini(struct binned *heap);

/* NULL: errno has ENOMEM, ENOSPC, EDQUOT or EUSERS (no owner left). 16 bytes aligned. */
void *binned_alloc(struct binned *heap, size_t bytes);
void *binned_alloc_aligned(struct binned *heap, size_t bytes, size_t align);

/* 0; -EINVAL (no block of this heap), -EALREADY (it is free). */
int binned_free(struct binned *heap, void *block);

/* Bytes that the block has; 0: there is none at that address. */
size_t binned_size(const struct binned *heap, const void *block);

/* Blocks that are taken, and their bytes, while nothing changes; about that while it does. */
void binned_count(const struct binned *heap, uint64_t *blocks, uint64_t *bytes);

#endif
