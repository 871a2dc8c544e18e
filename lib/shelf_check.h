/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checking a shelf, as its parts see it.
 *
 * check.c goes through all of it and keeps what has been claimed; check_index.c claims what names
 * lead to, check_slot.c what writers hold, check_order.c the order of names; check_heap.c
 * compares the claims with the chunk maps.
 */
#ifndef LIB_SHELF_CHECK_H
#define LIB_SHELF_CHECK_H

#include <hmem/shelf.h>

#include "shelf.h"
#include "shelf_record.h"

/*
 * @claimed: a bit for each granule below the frontier that something leads to
 * @live: of those, where a record begins that the index leads to
 * @blocks: where any record, current or retired, begins
 * @end: of the last record
 * @read: bytes of values and names that were read to judge records
 * @made_up: there are more than there can be, and no more are judged
 * @name: of the record that is looked at
 */
struct check {
	struct hmem_shelf *shelf;
	int (*fn)(void *arg, const struct hmem_shelf_finding *finding);
	void *arg;
	int stopped;
	uint64_t findings;
	uint64_t granules;
	uint64_t *claimed;
	uint64_t *live;
	uint64_t *blocks;
	uint64_t objects;
	uint64_t end;
	uint64_t read;
	bool made_up;
	char name[SHELF_NAME_MAX + 1];
};

/* A violation; what is told of it is hmem_shelf_finding's. */
__attribute__((format(printf, 5, 6))) void
check_found(struct check *check, const char *part, uint64_t at, const char *name,
	    const char *format, ...);
/* How far it has got, in parts that take about as long: the index, chunks, all granules. */
void check_tell(const struct check *check, unsigned int part, uint64_t done, uint64_t of);
/* @granules from @at on belong to @what, and to nothing else. */
bool check_claim(struct check *check, const char *part, uint64_t at, uint64_t granules,
		 const char *name, const char *what);
/*
 * record_judge(); but of what somebody has made up to take for ever no more than there can be on a
 * shelf: then nothing is a record.
 */
enum verdict check_judge(struct check *check, uint64_t at, struct record *header);
/* The name of a record that fits, as a string. */
const char *check_name(struct check *check, uint64_t at, const struct record *header);

void check_index(struct check *check);
void check_order(struct check *check);
/* Nodes from @first on that are in no order any more, and whose memory is to be given back. */
void check_taken_out(struct check *check, uint64_t first);
void check_locks(struct check *check);
void check_limbo(struct check *check);
void check_slot(struct check *check, unsigned int id);
/* What a slot refers to without owning it, when all blocks are known. */
void check_references(struct check *check, unsigned int id);
void check_chunk(struct check *check, uint64_t number);
/* As recovery would look at what the index does not lead to. */
void check_scan(struct check *check);
void check_frontier(struct check *check);
void check_ceiling(struct check *check);

/* Bits, one for each granule. */

static inline uint64_t check_granule(const struct check *check, uint64_t at)
{
	return (at - check->shelf->heap_offset) >> SHELF_GRANULE_SHIFT;
}

static inline uint64_t check_offset(const struct check *check, uint64_t granule)
{
	return check->shelf->heap_offset + (granule << SHELF_GRANULE_SHIFT);
}

static inline bool check_bit(const uint64_t *bits, uint64_t i)
{
	return bits[i / 64] >> i % 64 & 1;
}

static inline void check_set_bit(uint64_t *bits, uint64_t i)
{
	bits[i / 64] |= 1ull << i % 64;
}

#endif
