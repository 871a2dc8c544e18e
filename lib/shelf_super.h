/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The superblock of a shelf: read, written, and compared with who we are.
 */
#ifndef LIB_SHELF_SUPER_H
#define LIB_SHELF_SUPER_H

#include "shelf.h"

/* What goes into every checksum of a shelf with this UUID and this secret. */
uint64_t shelf_key_of(const uint8_t uuid[16], uint64_t secret);

/* Does a copy of the superblock hold, for this version and the shelf of this UUID? */
bool super_copy_good(const struct hmem_shelf *shelf, unsigned int copy, const uint8_t uuid[16],
		     struct shelf_super *super);

/* The newest copy that holds. 0, -EUCLEAN, -EPROTONOSUPPORT. */
int super_read(struct hmem_shelf *shelf, const uint8_t uuid[16], struct shelf_super *super);

/*
 * Write both copies, one after the other, a fence each: the older one first, so that
 * there is always one that holds.
 */
/*
 * Neither copy is intact: one as it has to be, from the entry in the table. What only the
 * superblock knows is taken from the copies as they are, or is as on a new shelf.
 */
void super_salvage(struct hmem_shelf *shelf, struct shelf_super *super);
int super_write(struct hmem_shelf *shelf, struct persist *persist, struct shelf_super *super);

/* Fill in who has the shelf open: this boot, this host, this file. */
int super_identify(struct hmem_shelf *shelf, struct shelf_super *super);

/* Is the runtime of this boot and this file? */
bool runtime_is_ours(const struct runtime *rt, const struct shelf_super *us);

/* Has another host the shelf open, or left it so? */
bool super_other_host(const struct shelf_super *super, const struct shelf_super *us);

#endif
