/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All that was on a shelf at one instant. */
#ifndef LIB_SHELF_INSTANT_H
#define LIB_SHELF_INSTANT_H

#include "shelf.h"

/*
 * @at: records that the index led to then, which stay what they are until it is let go
 * @pin: what holds them, or NULL: nobody had the shelf open for writing
 * @reader: who keeps transactions from writing to them, or NULL: nobody does any more
 */
struct instant {
	struct hmem_shelf *shelf;
	uint64_t *at;
	size_t nr;
	size_t room;
	uint64_t *pin;
	struct writer *reader;
};

/*
 * Take it. On a handle that may write, updates wait while the index is copied. On one that
 * may not nothing can be held, so that there must be no writer, and none come.
 *
 * Return: 0, -EBUSY, -EMFILE, -ENOMEM, -EUCLEAN, and as lock_take().
 */
int instant_take(struct hmem_shelf *shelf, struct instant *instant);
/*
 * Until their values have been read, which has to be told when that is so, transactions that write to
 * objects wait, and those who wait have to see that it goes on.
 */
void instant_goes_on(const struct instant *instant);
void instant_was_read(struct instant *instant);
/* Do the records still hold? 0 or -EBUSY. To be asked after they were read. */
int instant_holds(const struct instant *instant);
void instant_drop(struct instant *instant);

#endif
