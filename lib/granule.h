/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Granules: what the memory of a space is cut into, and spans: runs of them that somebody has.
 *
 * A word for each granule says whose it is, and a table holds them. It lies beside the memory of
 * a space, or, where processes share that, in front of it. Anybody may die between any two
 * instructions, so each change is one store that others believe:
 *
 *   FREE -> CLAIMED by an owner, one compare-and-swap each, from the first to the last
 *        -> BODY, from the last to the second; then HEAD, which makes it a span
 *   HEAD -> LEAVING, then BODY -> FREE from the last to the second; then LEAVING -> FREE
 *
 * A run that is freed may stay HEAD, idle: nobody's, and to be had again or given back by whoever
 * comes first, by compare-and-swap.
 *
 * What an owner who died left CLAIMED or LEAVING is free again when granules_bury() has come by,
 * spans of his have no owner then.
 */
#ifndef LIB_GRANULE_H
#define LIB_GRANULE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRANULE_SHIFT_MIN	12
#define GRANULE_SHIFT_MAX	16
#define GRANULE_BLOCK_MIN	16	/* bytes, the smallest block of a span that is cut up */
#define GRANULES_MAX		(1u << 28)
#define GRANULE_OWNERS_MAX	4095
#define GRANULE_NOBODY		0	/* an owner that there is not */

enum granule_state {
	GRANULE_FREE,
	GRANULE_CLAIMED,
	GRANULE_BODY,
	GRANULE_HEAD,
	GRANULE_LEAVING,
};

/*
 * A word: 3 bits of state, 7 of use, 10 of interface, 12 of owner, 32 of granules: of a span in
 * its head, to the head in its body.
 */
static inline uint64_t granule_word(enum granule_state state, unsigned int use,
				    unsigned int interface, unsigned int owner, uint32_t granules)
{
	return state | (uint64_t)use << 3 | (uint64_t)interface << 10 | (uint64_t)owner << 20 |
	       (uint64_t)granules << 32;
}

static inline enum granule_state granule_state(uint64_t word)
{
	return word & 7;
}

/* What the interface that has the span takes it for. */
static inline unsigned int granule_use(uint64_t word)
{
	return word >> 3 & 0x7f;
}

static inline unsigned int granule_interface(uint64_t word)
{
	return word >> 10 & 0x3ff;
}

static inline unsigned int granule_owner(uint64_t word)
{
	return word >> 20 & 0xfff;
}

static inline uint32_t granule_length(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

/* What says of a head whose it is: it is one, its interface and its owner. */
#define GRANULE_WHOSE granule_word(7, 0, 0x3ff, 0xfff, 0)

#define GRANULE_USES		0x80
#define GRANULE_RUN		(GRANULE_USES - 1)	/* not cut up: nobody's from the begin */
#define GRANULE_IDLE		(GRANULE_USES - 2)	/* one that is free, and not given back yet */
#define GRANULE_INTERFACES	0x400

/*
 * Who claims spans: a thread for an interface.
 *
 * @member: who of those that share the table, counted from 1; 0: nobody has this owner
 * @busy: a claim or a release is under way
 */
struct granule_owner {
	_Atomic uint32_t member;
	_Atomic uint32_t busy;
	uint64_t reserved;
};

/*
 * @count: of granules
 * @nr_owners: how many there can be, the one that there is not included
 * @used: granules that are not free
 * @peak: the most there were
 * @classes: of blocks that all who share it cut spans into, as a hash
 * @limit: of those that may be used
 * @first: bytes from the table to the first granule, where that is behind it
 * @root: a handle by which to begin, for who shares it; 0: none
 * @low: about the first one that is free
 * @orphans: about how many spans have no owner
 * @changes: claims and releases that ever began
 * @deaths: of members; @counted: after how many of them @used was counted again
 */
struct granule_table {
	uint64_t magic;
	uint32_t version;
	uint32_t shift;
	uint64_t count;
	uint32_t nr_owners;
	uint32_t classes;
	_Atomic uint64_t limit;
	uint64_t first;
	_Atomic uint64_t root;
	uint64_t reserved1;
	_Atomic uint64_t used;
	_Atomic uint64_t peak;
	_Atomic uint64_t low;
	_Atomic uint64_t orphans;
	_Atomic uint64_t changes;
	_Atomic uint64_t deaths;
	_Atomic uint64_t counted;
	uint64_t reserved2;
	struct granule_owner owners[];
};

/*
 * What an interface knows of a span that it cuts into blocks, with two bits for each block: it is
 * taken; somebody who is not the owner gave it back.
 *
 * @next, @before: for the owner, the first granule of the spans beside it in a list, plus 1
 */
struct granule_span {
	uint32_t next;
	uint32_t before;
	uint32_t list;
	uint32_t reserved;
	uint64_t reserved2[6];
	_Atomic uint64_t bits[];
};

/* What is told of a table elsewhere, whenever it changes, in granules. */
struct granule_told {
	_Atomic uint64_t used;
	_Atomic uint64_t peak;
};

/* Lengths of runs up to which there is a kind for each; those beyond share one. */
#define GRANULE_LENGTHS 16
#define GRANULE_KINDS	(GRANULE_LENGTHS + 2)

/*
 * The table as this process has it mapped.
 *
 * @told: where it is told; NULL: nowhere
 * @base: of the first granule
 * @stride: bytes from one struct granule_span to the next; there is one for each granule
 * @half: words of its bits before those of the second sort
 * @from: by the length of a run, about where the first place for it is: the last is of all
 *	that are longer. For one granule it is in the table, as others lower it there
 */
struct granules {
	struct granule_table *table;
	_Atomic uint64_t *words;
	char *spans;
	size_t stride;
	char *base;
	uint64_t count;
	unsigned int shift;
	struct granule_told *told;
	unsigned int half;
	_Atomic uint64_t from[GRANULE_KINDS];
};

/* The size of the granules that suit so many bytes. */
unsigned int granules_shift(uint64_t bytes);

/* Bytes that a table for so many granules has. */
uint64_t granules_table_bytes(uint64_t count, unsigned int shift);

/* Make memory that has anything in it read as zeroes, as far as a table has to. */
void granules_clear(void *table, uint64_t count);

/* Whether somebody died who was making a table, which another one may make then. */
bool granules_half_made(const void *table);

/* A new table, in memory that reads as zeroes. @first: 0: granules are elsewhere. */
void granules_format(void *table, uint64_t count, unsigned int shift, uint64_t first,
		     uint32_t classes);

/*
 * Whether @bytes begin with a table, and hold its granules: 0; -EINVAL (no), -EPROTO (the table is
 * of another version). Its classes are the caller's to compare.
 */
int granules_check(const void *table, uint64_t bytes);

/* Have it mapped; it was formatted or checked. */
void granules_at(struct granules *g, void *table, void *base);

/* An owner of his own for a member; 0: all are taken. */
unsigned int granules_join(struct granules *g, uint32_t member);

/* The owner has no spans any more, and is there for others. */
void granules_leave(struct granules *g, unsigned int owner);

/* The owner's span has none from now on, so that others may adopt it. */
void granules_orphan(struct granules *g, uint64_t head);

/*
 * Somebody who died: what he was at is ended, his spans have no owner, and his owners are there
 * for others. One at a time for each.
 */
void granules_bury(struct granules *g, uint32_t member);

/*
 * Claim @n granules, whose first one is a multiple of @align (a power of two) from the base. They
 * are a span when granules_settle() has said for what; until then nobody else sees them. Where
 * there is no room all that are idle are given back first, of whichever interface.
 * -ENOSPC: there are not so many together; -EDQUOT: the limit is reached.
 */
int64_t granules_claim(struct granules *g, uint32_t n, uint32_t align, unsigned int owner);

/* @word: of a head, with its use, its interface and who owns it, who may be nobody. */
void granules_settle(struct granules *g, uint64_t head, uint64_t word, unsigned int owner);

/*
 * Give one back, whoever has it, whose head has this @word; @owner is the caller's. False: it has
 * another one by now, as somebody else just did.
 */
bool granules_release(struct granules *g, uint64_t head, uint64_t word, unsigned int owner);

/*
 * A run is free, but stays a span, for who needs one as long; @word: of its head. False: it has
 * another one by now.
 */
bool granules_rest(struct granules *g, uint64_t head, uint64_t word);

/*
 * One of so many granules that was idle is the interface's run again. False: it is something else
 * by now, as anybody may give back what is idle.
 */
bool granules_rouse(struct granules *g, uint64_t head, unsigned int interface, uint32_t n);

/* Give it back, if it is still idle. */
bool granules_release_idle(struct granules *g, uint64_t head, unsigned int interface, uint32_t n,
			   unsigned int owner);

/* Take a span that has no owner; false: somebody else has it now. */
bool granules_adopt(struct granules *g, uint64_t head, uint64_t word, unsigned int owner);

/* Give all of an interface back, while nobody uses it. */
void granules_release_interface(struct granules *g, unsigned int interface, unsigned int owner);

/* How many it has; those that are idle are nobody's. */
uint64_t granules_of_interface(const struct granules *g, unsigned int interface);

static inline struct granule_span *granule_span(const struct granules *g, uint64_t head)
{
	return (struct granule_span *)(void *)(g->spans + head * g->stride);
}

static inline char *granule_address(const struct granules *g, uint64_t granule)
{
	return g->base + (granule << g->shift);
}

/*
 * The span that an address lies in: its head, and the head's word; where there is none that is 0
 * of a granule that is free, and no head's else.
 */
static inline uint64_t granule_of(const struct granules *g, const void *p, uint64_t *word)
{
	uint64_t at = (uint64_t)((uintptr_t)p - (uintptr_t)g->base) >> g->shift;

	*word = ~0ull;
	if (at >= g->count)
		return 0;
	*word = atomic_load_explicit(&g->words[at], memory_order_acquire);
	if (granule_state(*word) == GRANULE_BODY && granule_length(*word) <= at) {
		at -= granule_length(*word);
		*word = atomic_load_explicit(&g->words[at], memory_order_acquire);
	}
	return at;
}

#endif
