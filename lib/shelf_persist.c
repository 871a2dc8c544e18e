// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Durability of stores into a mapped shelf.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "region.h"
#include "shelf_persist.h"
#include "uncancelled.h"

static void add_range(struct persist *persist, uintptr_t start, uintptr_t end)
{
	for (unsigned int i = 0; i < persist->nr_ranges; i++) {
		if (start > persist->ranges[i].end || end < persist->ranges[i].start)
			continue;
		if (start < persist->ranges[i].start)
			persist->ranges[i].start = start;
		if (end > persist->ranges[i].end)
			persist->ranges[i].end = end;
		return;
	}
	if (persist->nr_ranges == PERSIST_RANGES) {
		for (unsigned int i = 0; i < persist->nr_ranges; i++) {
			if (persist->ranges[i].start < start)
				start = persist->ranges[i].start;
			if (persist->ranges[i].end > end)
				end = persist->ranges[i].end;
		}
		persist->nr_ranges = 0;
	}
	persist->ranges[persist->nr_ranges].start = start;
	persist->ranges[persist->nr_ranges].end = end;
	persist->nr_ranges++;
}

void persist_write_back(struct persist *persist, const void *at, size_t bytes)
{
	uintptr_t start = (uintptr_t)at, end = start + bytes;

	if (!bytes)
		return;
#ifdef HMEM_PERSIST_TRACE
	hmem_trace_write_back(at, bytes);
#endif
	switch (persist->kind) {
	case PERSIST_NONE:
	case PERSIST_FENCE:
		break;
	case PERSIST_CPU:
		persist->flush->write_back(start & ~(uintptr_t)(persist->flush->line - 1), end,
					   persist->flush->line);
		break;
	case PERSIST_MSYNC:
		add_range(persist, start & ~(persist->page - 1),
			  (end + persist->page - 1) & ~(persist->page - 1));
		break;
	}
}

void persist_write_back_found(struct persist *persist, void *at, size_t bytes)
{
	unsigned char *from = at;

	/* A write-back that failed may have left pages that the kernel holds for clean. */
	for (size_t done = 0; persist->kind == PERSIST_MSYNC && done < bytes;
	     done += persist->page - ((uintptr_t)(from + done) & (persist->page - 1)))
		__atomic_fetch_or((uint64_t *)((uintptr_t)(from + done) & ~(uintptr_t)7), 0,
				  __ATOMIC_RELAXED);
	persist_write_back(persist, at, bytes);
}

#ifndef HMEM_PERSIST_TRACE
/* Less than that is written back more cheaply. */
#define PAST_CACHES 1024u

static bool past_caches(const struct persist *persist, size_t bytes)
{
	return persist->kind == PERSIST_CPU && persist->flush->copy && bytes >= PAST_CACHES;
}
#else
/* The explorer sees stores, and what is written back. */
static bool past_caches(const struct persist *persist, size_t bytes)
{
	(void)persist;
	(void)bytes;
	return false;
}
#endif

static void copy_cached(struct persist *persist, void *to, const void *from, size_t bytes)
{
	memcpy(to, from, bytes);
	persist_write_back(persist, to, bytes);
}

void persist_copy(struct persist *persist, void *to, const void *from, size_t bytes)
{
	const unsigned char *source = from;
	unsigned char *target = to;

	if (past_caches(persist, bytes)) {
		size_t line = persist->flush->line, lead = -(uintptr_t)target & (line - 1);
		size_t lines = (bytes - lead) & ~(line - 1);

		copy_cached(persist, target, source, lead);
		persist->flush->copy(target + lead, source + lead, lines);
		persist_streamed(persist, target + lead, lines);
		target += lead + lines;
		source += lead + lines;
		bytes -= lead + lines;
	}
	copy_cached(persist, target, source, bytes);
}

static int sync_ranges(struct persist *persist)
{
	int err = 0;

	pthread_mutex_lock(&persist->sync->lock);
	for (unsigned int i = 0; i < persist->nr_ranges; i++)
		if (msync((void *)persist->ranges[i].start,
			  persist->ranges[i].end - persist->ranges[i].start, MS_SYNC))
			err = -errno;
	persist->sync->failures += err != 0;
	/* The pages that somebody was told of may have been these. */
	if (!err && persist->sync->failures != persist->failures)
		err = -EIO;
	pthread_mutex_unlock(&persist->sync->lock);
	persist->nr_ranges = 0;
	return err;
}

int persist_fence(struct persist *persist)
{
	int err = 0;

#ifdef HMEM_PERSIST_TRACE
	hmem_trace_fence();
#endif
	/* Others add up whose there are. */
	__atomic_store_n(&persist->fences, persist->fences + 1, __ATOMIC_RELAXED);
	switch (persist->kind) {
	case PERSIST_NONE:
		break;
	case PERSIST_CPU:
	case PERSIST_FENCE:
		persist->flush->fence();
		break;
	case PERSIST_MSYNC:
		err = UNCANCELLED(sync_ranges(persist));
		break;
	}
	return err;
}
