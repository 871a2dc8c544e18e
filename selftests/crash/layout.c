// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the shelf's parts are, in the format's own words.
 */
#include <string.h>

#include "layout.h"
#include "shelf_format.h"

#define LINES	(MACHINE_BYTES >> 6)
#define MOST_BUCKETS 4096u

static bool line_ignored[LINES];
static unsigned int ignored[LINES], nr_ignored;
static unsigned int shift = 6;

void layout_unit(unsigned int unit_shift)
{
	shift = unit_shift;
	for (unsigned int i = 0; i < nr_ignored; i++)
		line_ignored[ignored[i]] = false;
	nr_ignored = 0;
	for (unsigned int i = LAYOUT_SUPER_END >> 6; i < LAYOUT_HEAP >> 6; i++)
		line_ignored[i] = true;
}

/* The region's offset of a bucket, or 0. Its shelf is always the first to have address space. */
static uint64_t bucket_at(uint64_t at)
{
	const struct shelf_super *super = (const void *)(machine_traced.memory + LAYOUT_SUPER);

	if (super->magic != SHELF_MAGIC)
		super = (const void *)(machine_traced.memory + LAYOUT_SUPER + SUPER_COPY_BYTES);
	if (super->magic != SHELF_MAGIC || at < super->heap_offset ||
	    at >= super->heap_offset + MACHINE_BYTES || at & 63)
		return 0;
	at = (uint64_t)machine_offset(&machine_traced, machine_shelf(&machine_traced, 0) + at);
	return at < MACHINE_BYTES ? at : 0;
}

static void ignore_bucket(uint64_t at)
{
	while (at && !line_ignored[at >> 6]) {
		const struct bucket *bucket = (const void *)(machine_traced.memory + at);

		line_ignored[at >> 6] = true;
		ignored[nr_ignored++] = (unsigned int)(at >> 6);
		at = bucket_at((bucket->head & ((1ull << 48) - 1)) << SHELF_GRANULE_SHIFT);
	}
}

void layout_look(void)
{
	const struct runtime *rt =
		(const void *)(machine_traced.memory + LAYOUT_SUPER + SHELF_RUNTIME_OFFSET);
	unsigned int nr = 0;

	layout_unit(shift);
	for (unsigned int segment = 0; segment < 8; segment++) {
		unsigned int buckets = segment ? 8u << segment : INDEX_FIRST_BUCKETS;
		uint64_t at = bucket_at(rt->segments[segment]);

		for (unsigned int i = 0; at && i < buckets && nr < MOST_BUCKETS; i++, nr++)
			if (at + i * 64 < MACHINE_BYTES)
				ignore_bucket(at + i * 64);
	}
}

bool layout_ignored(uint64_t offset)
{
	/* Of the heap's pages, some are index and other things as well. */
	if (shift > 6 && offset >= LAYOUT_HEAP)
		return false;
	return line_ignored[offset >> 6];
}

bool layout_ignored_beside(uint64_t offset)
{
	/* Where the first one is every process has it. */
	for (unsigned int which = 1; which < MACHINE_SHELVES; which++) {
		int64_t at = machine_offset(&machine_traced, machine_shelf(&machine_traced, which));

		if (at >= 0 && at != LAYOUT_SUPER &&
		    offset >= (uint64_t)at + (LAYOUT_SUPER_END - LAYOUT_SUPER) &&
		    offset < (uint64_t)at + MACHINE_UNIT)
			return true;
	}
	return false;
}

unsigned int layout_ignored_heap(const unsigned int **lines)
{
	*lines = ignored;
	return nr_ignored;
}

uint64_t layout_highest_seq(void)
{
	const unsigned char *shelf = machine_traced.memory + LAYOUT_SUPER;
	const struct runtime *rt = (const void *)(shelf + SHELF_RUNTIME_OFFSET);
	uint64_t highest = 0;

	if (rt->magic != SHELF_MAGIC || !rt->ready)
		return 0;
	/* Nobody has used the others: they are zeroes. */
	for (unsigned int id = 0; id < rt->slots_top; id++) {
		const struct slot *slot = (const void *)(shelf + SHELF_SLOTS_OFFSET + id * SLOT_BYTES);

		if (slot->seq > highest)
			highest = slot->seq;
	}
	return highest;
}

bool layout_clean(const unsigned char *image)
{
	for (unsigned int i = 0; i < SUPER_COPIES; i++) {
		const struct shelf_super *super =
			(const void *)(image + LAYOUT_SUPER + i * SUPER_COPY_BYTES);

		if (super->magic == SHELF_MAGIC && super->clean)
			return true;
	}
	return false;
}
