// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Ranges of objects, and bytes for them: what an undo record and a commit consist of.
 *
 * Whoever has the shelf mapped may change such a list while it is walked, so each of its ranges
 * is taken out once, and judged then.
 */
#include <string.h>

#include "shelf_range.h"
#include "shelf_record.h"
#include "shelf_update.h"

bool ranges_look(struct ranges *ranges, const void *list, uint64_t nr, const void *end,
		 uint64_t *left)
{
	uint64_t room = (uint64_t)((const unsigned char *)end - (const unsigned char *)list);

	if (nr > room / sizeof(*ranges->list))
		return false;
	*ranges = (struct ranges){
		.list = list, .nr = nr, .end = end,
		.bytes = (const unsigned char *)list + nr * sizeof(*ranges->list),
	};
	*left = room - nr * sizeof(*ranges->list);
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t bytes = LOAD(&ranges->list[i].bytes);

		if (bytes > *left)
			return false;
		*left -= bytes;
	}
	return true;
}

/* False when what is left of the bytes, from @from on, is not enough for it. */
static bool take(const struct ranges *ranges, uint64_t i, const unsigned char *from,
		 struct record_range *range)
{
	const struct record_range *at = &ranges->list[i];

	range->record.at = LOAD(&at->record.at);
	range->record.seq = LOAD(&at->record.seq);
	range->record.hash = LOAD(&at->record.hash);
	range->offset = LOAD(&at->offset);
	range->bytes = LOAD(&at->bytes);
	return range->bytes <= (uint64_t)(ranges->end - from);
}

/* Where a range is; NULL when its record is not there any more. */
static void *range_at(struct hmem_shelf *shelf, const struct record_range *range)
{
	uint64_t at = range->record.at;
	struct record header;

	if (at & (SHELF_GRANULE - 1) || !shelf_reach(shelf, at))
		return NULL;
	header = record_load(shelf, at);
	if (header.state == RECORD_FREE || header.seq != range->record.seq ||
	    !record_fits(shelf, at, &header) || range->bytes > header.value_bytes ||
	    range->offset > header.value_bytes - range->bytes)
		return NULL;
	return shelf_at(shelf, record_value_offset(at, header.align_shift) + range->offset);
}

void ranges_store(struct writer *writer, const struct ranges *ranges, range_wanted *wanted,
		  const void *arg)
{
	const unsigned char *from = ranges->bytes;
	struct record_range range;

	for (uint64_t i = 0; i < ranges->nr && take(ranges, i, from, &range); i++) {
		void *to = !wanted || wanted(arg, &range.record) ? range_at(writer->shelf, &range) :
								   NULL;

		if (to) {
			/* They lie apart, unless the list is anybody's. */
			memmove(to, from, range.bytes);
			write_back(writer, to, range.bytes);
		}
		from += range.bytes;
	}
}

void ranges_write_back(struct writer *writer, const struct ranges *ranges)
{
	struct record_range range;

	for (uint64_t i = 0; i < ranges->nr && take(ranges, i, ranges->bytes, &range); i++) {
		void *at = range_at(writer->shelf, &range);

		if (at)
			write_back(writer, at, range.bytes);
	}
}
