/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sequence numbers, none of which is ever given out twice.
 */
#ifndef LIB_SHELF_SEQ_H
#define LIB_SHELF_SEQ_H

#include "shelf.h"

/*
 * That of a record that replaces the one at @old, or none. Once in a block of them it makes a fence.
 * Written only on success; -EOVERFLOW: there is none left.
 */
int next_seq(struct writer *writer, uint64_t old, uint64_t *seq);
/* The record at @at is going to be deleted: who makes its name anew knows how to number it. */
void raise_floor(struct hmem_shelf *shelf, uint64_t at);

/* The ceiling of a shelf that was left clean, as it is on the media. */
void seq_adopt(const struct hmem_shelf *shelf, struct runtime *runtime);
/*
 * Of one in which @highest is the highest number that recovery has found: the runtime goes on
 * above all that there were. Before anybody uses that, the writer has to make a fence.
 */
void seq_recover(struct writer *writer, uint64_t highest);
/* Is the word on the media intact? One that is not there yet is. */
bool seq_ceiling_good(const struct hmem_shelf *shelf);

#endif
