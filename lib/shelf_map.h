/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mapping a shelf, from what the rack says of it.
 */
#ifndef LIB_SHELF_MAP_H
#define LIB_SHELF_MAP_H

#include "shelf.h"
#include "shelf_rack.h"

static inline uint64_t shelf_round_up(uint64_t bytes, uint64_t to)
{
	return (bytes + to - 1) / to * to;
}

/* What the metadata of a shelf takes whose heap is that large. */
uint64_t shelf_metadata_bytes(uint32_t slots, uint64_t heap);
/* Units of the heap that fit in so many with what describes them. */
uint64_t shelf_heap_units(uint32_t slots, uint64_t units, uint64_t unit);
/* Where the heap of a shelf begins that may grow to @max_heap. */
uint64_t shelf_heap_offset(uint32_t slots, uint64_t max_heap, uint64_t unit);

/* From an entry of the rack to a mapped shelf. */
int shelf_map(struct hmem_shelf *shelf, struct rack *rack, unsigned int entry);
/* Map all that it has by now; nobody has to hold the lock on the rack. -ENOENT: it is gone. */
int shelf_map_all(struct hmem_shelf *shelf);
/* The same before anything is built on it: who may write makes durable how large it is. */
int shelf_map_first(struct hmem_shelf *shelf);
/* The same from a rack that somebody has read. */
int shelf_map_runs(struct hmem_shelf *shelf, struct rack *rack);

/*
 * Erase what lies in its heap from @from on, none of which was used yet, and looks like a record
 * of its own. Durable with the next fence. Was there anything but holes of a file?
 */
bool shelf_disown(struct hmem_shelf *shelf, struct rack *rack, struct persist *persist,
		  uint64_t from);

#endif
