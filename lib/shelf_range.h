/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_SHELF_RANGE_H
#define LIB_SHELF_RANGE_H

#include "shelf.h"

/* @nr ranges, and behind them their bytes, in the same order, up to @end at most. */
struct ranges {
	const struct record_range *list;
	uint64_t nr;
	const unsigned char *bytes;
	const unsigned char *end;
};

/* What lies at @list; false when it does not fit. @left: bytes up to @end that no range has. */
bool ranges_look(struct ranges *ranges, const void *list, uint64_t nr, const void *end,
		 uint64_t *left);

/* Is a range of this record to be stored? */
typedef bool range_wanted(const void *arg, const struct commit_name *record);

/*
 * Copy their bytes to the objects whose records are still there, and have them written back:
 * all of them, or those @wanted.
 */
void ranges_store(struct writer *writer, const struct ranges *ranges, range_wanted *wanted,
		  const void *arg);
/* Have the objects' bytes written back as they are. */
void ranges_write_back(struct writer *writer, const struct ranges *ranges);

#endif
