/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where things are in the region of the traced machine, and what of it recovery ignores.
 *
 * One shelf, the first of its region: the rack, a unit of metadata, and the heap.
 * Recovery ignores the metadata but for the superblocks, with frontier and ceiling in the first
 * one's page, and the index, which lies in the heap; after a clean close, nothing.
 */
#ifndef SELFTESTS_CRASH_LAYOUT_H
#define SELFTESTS_CRASH_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "machine.h"

#define LAYOUT_SUPER		MACHINE_UNIT
#define LAYOUT_SUPER_END	(LAYOUT_SUPER + 8192u)
#define LAYOUT_HEAP		(2 * MACHINE_UNIT)
#define LAYOUT_HEAP_BYTES	(2 * MACHINE_UNIT)

/* What the following calls take for a unit. */
void layout_unit(unsigned int unit_shift);

/* Find out where the traced machine's index is now. */
void layout_look(void);

/* Does recovery ignore the unit at @offset? */
bool layout_ignored(uint64_t offset);

/* The same of the shelf beside it, whose lines are nevertheless not replaced by noise. */
bool layout_ignored_beside(uint64_t offset);

/* Lines of the heap that are ignored: how many, and their numbers. */
unsigned int layout_ignored_heap(const unsigned int **lines);

/* The highest sequence number that the traced machine's writers have given out. */
uint64_t layout_highest_seq(void);

/* May an image be that of a shelf that was closed? */
bool layout_clean(const unsigned char *image);

#endif
