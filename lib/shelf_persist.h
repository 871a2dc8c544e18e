/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Durability of stores into a mapped shelf: write back, then fence.
 *
 * Only here does a shelf know how its memory becomes durable: by the CPU's flush
 * instructions, by msync(2), or, on volatile memory, not at all. A build that defines
 * HMEM_PERSIST_TRACE has every write-back and fence reported, for the explorer of
 * crash states.
 */
#ifndef LIB_SHELF_PERSIST_H
#define LIB_SHELF_PERSIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctx.h"

enum persist_kind {
	PERSIST_NONE,	/* volatile */
	PERSIST_CPU,	/* flush instructions */
	PERSIST_FENCE,	/* the platform flushes its caches: fences only */
	PERSIST_MSYNC,
};

#define PERSIST_RANGES 32

struct region_sync;

/*
 * One writer's write-backs under way. @ranges: PERSIST_MSYNC: pages to sync at the next
 * fence, as [start, end); when there are too many, one that holds them all. @sync: whom a failure
 * concerns as well; @failures: how many were known when the shelf was opened
 */
struct persist {
	enum persist_kind kind;
	const struct hmem_cpu_flush *flush;
	uintptr_t page;
	unsigned int nr_ranges;
	struct {
		uintptr_t start;
		uintptr_t end;
	} ranges[PERSIST_RANGES];
	uint64_t fences;
	struct region_sync *sync;
	uint64_t failures;
};

#ifdef HMEM_PERSIST_TRACE
void hmem_trace_write_back(const void *at, size_t bytes);
void hmem_trace_fence(void);
#endif

/* What is stored at [@at, @at + @bytes) is durable after the next persist_fence(). */
void persist_write_back(struct persist *persist, const void *at, size_t bytes);
/*
 * So is what is found there, whoever stored it: he may have died before his fence, or his write-back
 * failed.
 */
void persist_write_back_found(struct persist *persist, void *at, size_t bytes);

/* The same was stored past the caches; PERSIST_CPU only. */
static inline void persist_streamed(struct persist *persist, const void *at, size_t bytes)
{
	(void)persist;
	(void)at;
	(void)bytes;
#ifdef HMEM_PERSIST_TRACE
	if (bytes)
		hmem_trace_write_back(at, bytes);
#endif
}

/* memcpy(3), and the same; past the caches where that is the faster way. */
void persist_copy(struct persist *persist, void *to, const void *from, size_t bytes);

/* 0, or what msync(2) answered: then nothing is known of what was written back. */
int persist_fence(struct persist *persist);

#endif
