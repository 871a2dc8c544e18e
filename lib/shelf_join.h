/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Joining those who have a shelf open, and leaving them.
 */
#ifndef LIB_SHELF_JOIN_H
#define LIB_SHELF_JOIN_H

#include "shelf.h"

/* One opens or closes at a time; readers among one another do. */
int shelf_opening_lock(struct hmem_shelf *shelf);
void shelf_opening_unlock(struct hmem_shelf *shelf);

/* A mapped shelf becomes usable. The opening byte is locked, threads have their key. */
int shelf_join(struct hmem_shelf *shelf);

/*
 * Give all slots back, and leave the shelf clean if nobody else may change it. The locks
 * on bytes go with their descriptor, which must be closed next.
 */
int shelf_leave(struct hmem_shelf *shelf);

#endif
