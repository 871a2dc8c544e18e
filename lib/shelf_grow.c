// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Growing: a shelf gets more units of its region, for its heap and the maps of its chunks.
 *
 * First the rack says so, for good, and then the runtime, from which others hear of it: a
 * record must not lie in memory that the loss of power takes away. Who dies in between
 * leaves units that the shelf has and does not use; the next to grow or to open it does.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "shelf.h"
#include "shelf_map.h"
#include "shelf_sigbus.h"
#include "uncancelled.h"

/* Units that the rack has for it, of its metadata and of its heap. */
static void count_units(const struct hmem_shelf *shelf, struct rack *rack, uint64_t *metadata,
			uint64_t *heap)
{
	const struct rack_run *run = rack_runs(rack, shelf->rack_entry);

	*metadata = 0;
	*heap = 0;
	for (uint32_t i = 0; i < rack->shelves[shelf->rack_entry].nr_runs; i++, run++) {
		if ((uint64_t)run->at << shelf->unit_shift < shelf->heap_offset)
			*metadata += run->count;
		else
			*heap += run->count;
	}
}

/* Units of heap that it can have, when it gets all that is nobody's. */
static uint64_t most_units(const struct hmem_shelf *shelf, const struct rack *rack,
			   uint64_t metadata, uint64_t heap)
{
	uint64_t unit = 1ull << shelf->unit_shift, free = rack_free_units(rack);
	uint64_t units = shelf_heap_units(shelf->nr_slots, metadata + heap + free, unit);

	/* Units that describe more than it will have cannot become a part of the heap. */
	if (units > heap + free)
		units = heap + free;
	return units < shelf->max_heap / unit ? units : shelf->max_heap / unit;
}

static int give(struct hmem_shelf *shelf, struct rack *rack, uint64_t bytes)
{
	uint64_t unit = 1ull << shelf->unit_shift, units;
	uint64_t metadata, heap, needed;
	int err = 0;

	count_units(shelf, rack, &metadata, &heap);
	units = bytes == UINT64_MAX ? most_units(shelf, rack, metadata, heap) :
				      shelf_round_up(bytes, unit) / unit;
	if (units <= heap)
		return 0;
	needed = shelf_round_up(shelf_metadata_bytes(shelf->nr_slots, units * unit), unit) / unit;
	if (needed > metadata)
		err = rack_give(rack, shelf->rack_entry, 0, metadata, needed - metadata);
	if (!err)
		err = rack_give(rack, shelf->rack_entry, shelf->heap_offset / unit,
				shelf->heap_offset / unit + heap, units - heap);
	if (err)
		rack_discard(rack, shelf->rack_entry, metadata, needed > metadata ? needed : metadata);
	return err;
}

/* With the rack locked. */
static int grow(struct hmem_shelf *shelf, struct rack *rack, uint64_t bytes)
{
	uint64_t had = atomic_load(&shelf->heap_mapped), metadata_had = shelf->metadata_mapped;
	int err = give(shelf, rack, bytes);

	pthread_mutex_lock(&shelf->lock);
	if (!err)
		err = shelf_map_runs(shelf, rack);
	/* Before it is the shelf's for good, nothing in it must look like a record. */
	if (!err && shelf_disown(shelf, rack, &rack->persist, had)) {
		err = persist_fence(&rack->persist);
		if (err)
			err = shelf_fail(shelf, -EIO, "shelf %s: growing it: %s", shelf->name,
					 strerror(-err));
	}
	/* Also what somebody before us did not get to the end of need not be durable. */
	if (!err)
		err = rack_write(rack);
	/* What it does not get may be another's by the next time, and is to be mapped again. */
	if (err) {
		atomic_store(&shelf->heap_mapped, had);
		shelf->metadata_mapped = metadata_had;
	}
	pthread_mutex_unlock(&shelf->lock);
	if (!err)
		STORE(&shelf->runtime->heap_chunks,
		      atomic_load(&shelf->heap_mapped) >> SHELF_CHUNK_SHIFT);
	return err;
}

/* The table is let go when a part of the shelf is gone. */
static int grow_guarded(struct hmem_shelf *shelf, struct rack *rack, uint64_t bytes)
{
	return SIGBUS_GUARDED_PART(shelf, grow(shelf, rack, bytes));
}

static bool is_as_large(const struct hmem_shelf *shelf, uint64_t bytes)
{
	return LOAD(&shelf->runtime->heap_chunks) << SHELF_CHUNK_SHIFT >= bytes;
}

static int do_grow(struct hmem_shelf *shelf, uint64_t bytes)
{
	struct writer *writer;
	struct persist persist;
	struct rack *rack;
	int err;

	if (!shelf)
		return -EINVAL;
	err = updater_begin(shelf, &writer);
	if (err)
		return err;
	if (bytes > shelf->max_heap && bytes != UINT64_MAX)
		return shelf_fail(shelf, -ENOSPC,
				  "shelf %s was created to grow to %" PRIu64 " bytes at most, and not to "
				  "%" PRIu64 "; a new one can be made for more",
				  shelf->name, shelf->max_heap, bytes);
	if (is_as_large(shelf, bytes))
		return 0;
	rack = malloc(sizeof(*rack));
	if (!rack)
		return shelf_fail(shelf, -ENOMEM, "no memory for the table of shelves");
	shelf_persist_init(shelf, &persist);
	pthread_mutex_lock(&shelf->table_lock);
	err = rack_open(shelf->region, shelf->lock_fd, &persist, shelf->wait_ms, rack);
	if (!err) {
		if (!is_as_large(shelf, bytes))
			err = grow_guarded(shelf, rack, bytes);
		__atomic_store_n(&writer->persist.fences,
				 writer->persist.fences + rack->persist.fences, __ATOMIC_RELAXED);
		/* Then the lock on it has gone already, and may be another thread's. */
		if (err == -EIO && atomic_load(&shelf->broken))
			rack->fd = -1;
		rack_close(rack);
	}
	pthread_mutex_unlock(&shelf->table_lock);
	free(rack);
	return err;
}

int hmem_shelf_grow(struct hmem_shelf *shelf, uint64_t bytes)
{
	return UNCANCELLED(SIGBUS_GUARDED(shelf, do_grow(shelf, bytes)));
}
