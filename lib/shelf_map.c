// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Mapping: a shelf lies in pieces of its region, which are mapped side by side into a
 * range of addresses that is kept free for all that it may grow to.
 *
 * Whoever grows a shelf writes the rack, and then says in the runtime how many chunks there
 * are. The others map what is new when they come to it, from the rack as it is then. They
 * take no lock for that, as its holder may have been stopped: a copy of the rack says by its
 * checksum whether it was read whole, and while one is written the other is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "region.h"
#include "shelf_map.h"
#include "shelf_super.h"

uint64_t shelf_metadata_bytes(uint32_t slots, uint64_t heap)
{
	return SHELF_SLOTS_OFFSET + (uint64_t)slots * SLOT_BYTES +
	       (heap >> SHELF_CHUNK_SHIFT) * sizeof(struct chunk);
}

uint64_t shelf_heap_offset(uint32_t slots, uint64_t max_heap, uint64_t unit)
{
	return shelf_round_up(shelf_metadata_bytes(slots, max_heap),
			      unit > HMEM_ALIGN_MAX ? unit : HMEM_ALIGN_MAX);
}

uint64_t shelf_heap_units(uint32_t slots, uint64_t units, uint64_t unit)
{
	uint64_t least = 0, most = units;

	while (least < most) {
		uint64_t heap = most - (most - least) / 2;
		uint64_t metadata = shelf_round_up(shelf_metadata_bytes(slots, heap * unit), unit);

		if (metadata / unit + heap <= units)
			least = heap;
		else
			most = heap - 1;
	}
	return least;
}

/* A run, but for its first @skip bytes, which are mapped. */
static int map_run(struct hmem_shelf *shelf, const struct rack_run *run, uint64_t skip)
{
	uint64_t at = (uint64_t)run->at << shelf->unit_shift;
	uint64_t bytes = (uint64_t)run->count << shelf->unit_shift;

	if (at > shelf->reserved || bytes > shelf->reserved - at)
		return shelf_fail(shelf, -EUCLEAN, "shelf %s: a part of it lies outside of it",
				  shelf->name);
	return hmem_region_map_at(shelf->region,
				  ((uint64_t)run->unit << shelf->unit_shift) + skip, bytes - skip,
				  shelf->base + at + skip);
}

int shelf_map_runs(struct hmem_shelf *shelf, struct rack *rack)
{
	const struct rack_run *run = rack_runs(rack, shelf->rack_entry);
	uint64_t heap_had = atomic_load(&shelf->heap_mapped), heap = 0, metadata = 0;

	for (uint32_t i = 0; i < rack->shelves[shelf->rack_entry].nr_runs; i++, run++) {
		uint64_t at = (uint64_t)run->at << shelf->unit_shift;
		uint64_t bytes = (uint64_t)run->count << shelf->unit_shift;
		bool in_heap = at >= shelf->heap_offset;
		uint64_t had = in_heap ? heap_had : shelf->metadata_mapped;
		uint64_t *end = in_heap ? &heap : &metadata;

		/* There are no holes: runs follow one another, in both parts. */
		if (in_heap ? at - shelf->heap_offset != heap :
			      at != metadata || bytes > shelf->heap_offset - at)
			return shelf_fail(shelf, -EUCLEAN, "shelf %s: its parts do not fit together",
					  shelf->name);
		if (*end + bytes > had) {
			int err = map_run(shelf, run, had > *end ? had - *end : 0);

			if (err)
				return err;
		}
		*end += bytes;
	}
	if (!heap || metadata < shelf_metadata_bytes(shelf->nr_slots, heap) || heap < heap_had)
		return shelf_fail(shelf, -EUCLEAN, "shelf %s: a part of it is missing", shelf->name);
	shelf->metadata_mapped = metadata;
	/* Last: whoever sees it uses the maps of its chunks as well. */
	atomic_store(&shelf->heap_mapped, heap);
	return 0;
}

static int peek(struct hmem_shelf *shelf, struct persist *persist, struct rack *rack)
{
	int err = rack_peek(shelf->region, persist, rack);

	if (err)
		return err;
	if (shelf->rack_entry >= rack->header.nr_shelves ||
	    memcmp(rack->shelves[shelf->rack_entry].uuid, shelf->uuid, sizeof(shelf->uuid)) != 0)
		return shelf_fail(shelf, -ENOENT, "shelf %s is not there any more", shelf->name);
	return shelf_map_runs(shelf, rack);
}

static int map_all(struct hmem_shelf *shelf, struct persist *persist)
{
	struct rack *rack = malloc(sizeof(*rack));
	int err;

	if (rack) {
		pthread_mutex_lock(&shelf->lock);
		err = peek(shelf, persist, rack);
		pthread_mutex_unlock(&shelf->lock);
	} else {
		err = shelf_fail(shelf, -ENOMEM, "shelf %s: no memory to map more of it",
				 shelf->name);
	}
	free(rack);
	atomic_store(&shelf->map_error, err);
	return err;
}

int shelf_map_all(struct hmem_shelf *shelf)
{
	return map_all(shelf, NULL);
}

int shelf_map_first(struct hmem_shelf *shelf)
{
	struct persist persist;

	if (shelf->flags & HMEM_SHELF_READ_ONLY)
		return map_all(shelf, NULL);
	shelf_persist_init(shelf, &persist);
	return map_all(shelf, &persist);
}

int shelf_map_more(struct hmem_shelf *shelf, uint64_t end)
{
	int err;

	if (end <= shelf->heap_offset + atomic_load(&shelf->heap_mapped))
		return 0;
	if (LOAD(&shelf->runtime->heap_chunks) > shelf->max_heap >> SHELF_CHUNK_SHIFT ||
	    end > shelf->heap_offset +
			  (LOAD(&shelf->runtime->heap_chunks) << SHELF_CHUNK_SHIFT))
		return -EUCLEAN;
	err = shelf_map_all(shelf);
	if (!err && end > shelf->heap_offset + atomic_load(&shelf->heap_mapped))
		err = -EUCLEAN;
	return err;
}

uint64_t shelf_chunks_mapped(const struct hmem_shelf *shelf, uint64_t chunks)
{
	uint64_t mapped;

	if (chunks <= shelf->max_heap >> SHELF_CHUNK_SHIFT)
		shelf_map_more((struct hmem_shelf *)shelf,
			       shelf->heap_offset + (chunks << SHELF_CHUNK_SHIFT));
	mapped = atomic_load(&shelf->heap_mapped) >> SHELF_CHUNK_SHIFT;
	return chunks < mapped ? chunks : mapped;
}

/* Address space for all that the shelf may become. */
static int reserve(struct hmem_shelf *shelf)
{
	uint64_t align = 1ull << shelf->unit_shift;
	size_t room;
	uintptr_t at;
	void *got;

	if (align < HMEM_ALIGN_MAX)
		align = HMEM_ALIGN_MAX;
	shelf->reserved = shelf->heap_offset + shelf->max_heap;
	room = shelf->reserved + align;
	got = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (got == MAP_FAILED)
		return shelf_fail(shelf, -ENOMEM,
				  "shelf %s: no address space for %zu bytes, which it may grow to: %s",
				  shelf->name, shelf->reserved, strerror(errno));
	at = ((uintptr_t)got + align - 1) & ~(align - 1);
	if (at > (uintptr_t)got)
		munmap(got, at - (uintptr_t)got);
	munmap((void *)(at + shelf->reserved), (uintptr_t)got + room - at - shelf->reserved);
	shelf->base = (unsigned char *)at;
	shelf->runtime = shelf_at(shelf, SHELF_RUNTIME_OFFSET);
	shelf->slots = shelf_at(shelf, SHELF_SLOTS_OFFSET);
	shelf->chunks = shelf_at(shelf, SHELF_SLOTS_OFFSET + (uint64_t)shelf->nr_slots * SLOT_BYTES);
	return 0;
}

int shelf_map(struct hmem_shelf *shelf, struct rack *rack, unsigned int entry)
{
	const struct rack_shelf *shown = &rack->shelves[entry];
	int err;

	shelf->rack_entry = entry;
	shelf->unit_shift = rack->header.unit_shift;
	shelf->nr_slots = shown->nr_slots;
	shelf->max_heap = shown->max_heap;
	shelf->key = shelf_key_of(shown->uuid, shown->secret);
	memcpy(shelf->uuid, shown->uuid, sizeof(shelf->uuid));
	if (!shelf->nr_slots || shelf->nr_slots > SHELF_MAX_SLOTS || !shelf->max_heap ||
	    shelf->max_heap > SHELF_MAX_HEAP)
		return shelf_fail(shelf, -EUCLEAN, "shelf %s: its entry is damaged", shelf->name);
	shelf->heap_offset = shelf_heap_offset(shelf->nr_slots, shelf->max_heap,
					       1ull << shelf->unit_shift);
	err = reserve(shelf);
	if (err)
		return err;
	return shelf_map_runs(shelf, rack);
}
