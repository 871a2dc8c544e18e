// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memory that a shelf gets: what others left in it is not to look like its own.
 *
 * Other shelves had it before, and recovery tells their records from ours by the mark. One in many
 * millions has the right one, and would be taken for a record that was damaged.
 */
#include <errno.h>
#include <unistd.h>

#include "shelf_map.h"
#include "shelf_record.h"

/*
 * All of it is written back: somebody who had begun to make or to grow a shelf there, and died, may
 * have stored over what looks like ours on the media still.
 */
static void disown_range(struct hmem_shelf *shelf, struct persist *persist, uint64_t from,
			 uint64_t end)
{
	for (uint64_t at = from; at < end; at += SHELF_GRANULE) {
		uint64_t *word = shelf_at(shelf, at);

		if (!record_word_is_none(LOAD(word)) &&
		    record_near_mark(shelf, at, shelf_at(shelf, at)))
			STORE(word, 0);
	}
	persist_write_back(persist, shelf_at(shelf, from), end - from);
}

/* The part of a run that is at @at and, in the region's file, from @from to @end; but for holes. */
static bool disown_run(struct hmem_shelf *shelf, struct persist *persist, uint64_t at, off_t from,
		       off_t end)
{
	bool any = false;

	for (off_t here = from; here < end;) {
		off_t data = lseek(shelf->lock_fd, here, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			break;
		/* Devices have no holes, and some answer anything. */
		if (data < here)
			data = here;
		hole = lseek(shelf->lock_fd, data, SEEK_HOLE);
		if (hole <= data || hole > end)
			hole = end;
		if (data < end) {
			disown_range(shelf, persist, at + (uint64_t)(data - from),
				     at + (uint64_t)(hole - from));
			any = true;
		}
		here = hole;
	}
	return any;
}

bool shelf_disown(struct hmem_shelf *shelf, struct rack *rack, struct persist *persist,
		  uint64_t from)
{
	const struct rack_run *run = rack_runs(rack, shelf->rack_entry);
	bool any = false;

	from += shelf->heap_offset;
	for (uint32_t i = 0; i < rack->shelves[shelf->rack_entry].nr_runs; i++, run++) {
		uint64_t at = (uint64_t)run->at << shelf->unit_shift, skip;
		off_t begin = (off_t)((uint64_t)run->unit << shelf->unit_shift);
		off_t end = begin + (off_t)((uint64_t)run->count << shelf->unit_shift);

		if (at < shelf->heap_offset)
			continue;
		skip = at < from ? from - at : 0;
		if (skip < (uint64_t)(end - begin))
			any |= disown_run(shelf, persist, at + skip, begin + (off_t)skip, end);
	}
	return any;
}
