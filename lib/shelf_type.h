/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Type descriptors.
 */
#ifndef LIB_SHELF_TYPE_H
#define LIB_SHELF_TYPE_H

#include "shelf.h"

struct put;
struct scan;

/*
 * Have the descriptor of @put, if it has one, on the shelf, durable with this writer's next fence;
 * and refer to it.
 */
int type_intern(struct writer *writer, struct put *put);
/* That it is durable then has to be seen to again by who makes another fence than that: */
void type_cover(struct writer *writer, uint64_t reference);
/* Before a fence: what an earlier one has made durable. How many; they are forgotten after it. */
unsigned int types_seal(struct writer *writer);
void types_forget(struct writer *writer, unsigned int nr);
/* Of a dead one: what he has made is to be durable. */
void types_write_back(struct writer *writer);

/* Is it a descriptor that an entry of the index leads to? */
bool type_is_at(const struct hmem_shelf *shelf, uint64_t at);
/* What stands behind the name of a record that fits, or 0. */
uint64_t type_reference(const struct hmem_shelf *shelf, uint64_t at, const struct record *header);
/* What it refers to, which is good as long as the shelf is open. False when that is not there. */
bool type_look(const struct hmem_shelf *shelf, uint64_t reference, const void **type,
	       size_t *bytes);
/* Both; NULL when it has none, or when that is lost. */
bool type_of(const struct hmem_shelf *shelf, uint64_t at, const struct record *header,
	     const void **type, size_t *bytes);

/*
 * Recovery, before anything is made of what was found: records that refer to a descriptor which
 * is not there were torn, as both would have been durable with one fence. types_complete() answers
 * that for members of transactions, the others are dropped.
 */
int types_require(struct scan *scan);
bool types_complete(const struct scan *scan, uint64_t at, const struct record *header);

/*
 * Recovery: take those that no object has any more out of the index. They stay in scan->types,
 * to be dropped when it is durable that nothing refers to them.
 */
int types_settle(struct scan *scan);

#endif
