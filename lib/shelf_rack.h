/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rack: which units of a region belong to which shelf.
 */
#ifndef LIB_SHELF_RACK_H
#define LIB_SHELF_RACK_H

#include <stdbool.h>

#include <hmem/region.h>

#include "shelf_format.h"
#include "shelf_persist.h"

/*
 * A region's rack while somebody looks at or changes it, which one does at a time.
 *
 * @image: what it says; that of @header.nr_shelves entries those without a name are free
 * @runs: of one shelf behind another's, in the order of the entries
 * @copy: where it was read from, or -1 when there is none yet
 * @settled: that copy is durable as it was read
 */
struct rack {
	struct hmem_ctx *ctx;
	struct hmem_region *region;
	int fd;
	unsigned char *mapped;
	bool copied;
	size_t mapped_bytes;
	uint64_t region_bytes;
	uint64_t granularity;
	struct persist persist;
	int copy;
	bool settled;
	struct rack_header header;
	struct rack_shelf shelves[RACK_MAX_SHELVES];
	struct rack_run runs[RACK_MAX_RUNS];
};

/* Lock and read the rack of a region. @fd: for locks. @persist: how to write it. */
int rack_open(struct hmem_region *region, int fd, const struct persist *persist,
	      unsigned int wait_ms, struct rack *rack);
/*
 * Read it without the lock, while others may be writing it. What is read is not older than
 * what had been written for good before the call. To be read only, and not to be closed.
 * @persist: by this it is made durable; NULL: it need not be
 */
int rack_peek(struct hmem_region *region, struct persist *persist, struct rack *rack);
/* Unlock. */
void rack_close(struct rack *rack);

/* Entry of a shelf, -ENOENT. */
int rack_find(const struct rack *rack, const char *name);
/* First of an entry's runs. */
struct rack_run *rack_runs(struct rack *rack, unsigned int entry);

/* Units that nobody has. */
uint64_t rack_free_units(const struct rack *rack);
/*
 * Give an entry @units more, at unit @at of its space, in the part of that which begins at
 * unit @part, out of those that nobody has: first what lies right behind the one before. In
 * memory only, until rack_write(); but a file's file system has been asked for them. -ENOSPC.
 */
int rack_give(struct rack *rack, unsigned int entry, uint64_t part, uint64_t at, uint64_t units);
/*
 * Nothing comes of units that an entry was given, from @from up to @to of its space: what they
 * take of a file system is given back.
 */
void rack_discard(struct rack *rack, unsigned int entry, uint64_t from, uint64_t to);
/* An empty entry. -ENOSPC. */
int rack_add(struct rack *rack, const char *name);
/* Take an entry and its units away. */
void rack_remove(struct rack *rack, unsigned int entry);

/* Make it durable, whole or not at all. */
int rack_write(struct rack *rack);

/* Copies that neither hold nor are blank, as bits. */
unsigned int rack_bad_copies(const struct rack *rack);
/* Do both copies hold and say the same? Else somebody was interrupted in rack_write(). */
bool rack_is_settled(const struct rack *rack);

#endif
