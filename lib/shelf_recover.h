/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a recovery knows, for its parts.
 */
#ifndef LIB_SHELF_RECOVER_H
#define LIB_SHELF_RECOVER_H

#include "shelf.h"

/* A growing array in memory of this process: where records are, and their names' hashes. */
struct places {
	struct place {
		uint64_t at;
		uint64_t hash;
	} *place;
	size_t nr;
	size_t room;
};

/* 0 or -ENOMEM */
int places_add(struct places *list, uint64_t at, uint64_t hash);

/*
 * @named: all that have a name, in the order of their places, and behind those members
 * @tombs: of those, the tombstones
 * @unsealed: of those, what is not sealed yet
 * @members: of transactions that may count or not, in the order of their places; in the
 *	end those that do not
 * @commits: their commits
 * @writing: of those, the ones that have written to objects and count, from the oldest on
 * @superseded: what was found whole and is erased, and whose memory is not free yet
 * @types: descriptors that no object has any more
 * @undos: undo records, in the order of their places
 * @again: the index is not the first that was tried
 * @chunks: below the frontier
 * @read: bytes of values and names that were read to judge records
 */
struct scan {
	struct writer *writer;
	struct places named;
	struct places tombs;
	struct places unsealed;
	struct places members;
	struct places commits;
	struct places superseded;
	struct places writing;
	struct places types;
	struct places undos;
	struct recovery *result;
	uint64_t max_seq;
	bool again;
	uint64_t chunks;
	uint64_t read;
};

/* It is a record no more, and its memory free: nobody is to take any before the next fence. */
int recover_drop(struct scan *scan, uint64_t at);
/* The entry of a record's name, or NULL. */
uint64_t *recover_entry(const struct scan *scan, const struct place *place, struct bucket *bucket);

/* --- transactions (tx_recover.c) ----------------------------------------------------- */

/*
 * When all records are known: those of transactions that count become what they were
 * meant to be, the others are erased. Durable when it returns, where that matters.
 */
int commits_settle(struct scan *scan);
/* When all of that is durable: commits are needed no more, nor the members that did not count. */
int commits_drop(struct scan *scan);

#endif
