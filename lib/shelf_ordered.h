/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The order of an ordered shelf's names.
 *
 * Invariant: a name that the index has is in the list. One that the list has need not be
 * in the index: whoever finds it asks that.
 *
 * All that changes is called with the name's bucket locked: ordered_add() before the
 * name is entered into the index, ordered_remove() before it is taken out, and, whatever
 * came of that, ordered_settle() before the bucket is unlocked. All are nothing to a
 * shelf that is not ordered, and so is replacing an object.
 */
#ifndef LIB_SHELF_ORDERED_H
#define LIB_SHELF_ORDERED_H

#include "shelf.h"

/*
 * Reads what may be changed meanwhile, and finds out afterwards. ThreadSanitizer must not
 * look, nor may what it does call functions that ThreadSanitizer knows.
 */
#ifndef HMEM_PERSIST_TRACE
#define SHELF_RACY __attribute__((no_sanitize_thread))
#else
/* There it is the explorer of crash states that looks, and wants to see all. */
#define SHELF_RACY
#endif

/* Not when there was no room for the list when it was made. */
static inline bool shelf_is_ordered(const struct hmem_shelf *shelf)
{
	return shelf->super_flags & SHELF_ORDERED && LOAD(&shelf->runtime->ordered_head);
}

/* A name that is going to be made. -ENOSPC, -EBUSY, -EUCLEAN: then nothing was done. */
int ordered_add(struct writer *writer, uint64_t hash, const char *name, size_t name_bytes);
/* One that is going to be deleted. */
int ordered_remove(struct writer *writer, const char *name, size_t name_bytes);
/* Of the names added and removed, take those out of the list that the index has not. */
void ordered_settle(struct writer *writer);
/*
 * The same for a dead writer, when what he was doing to the index has been finished or
 * undone, and before his buckets are unlocked. May wait for the list's lock, whose holder
 * waits for nothing.
 */
void ordered_settle_dead(struct writer *dead);
/* Nobody else writes: take out what could not be. */
int ordered_sweep(struct writer *writer);
/* Give the memory of nodes back that were taken out, when there are as many. */
int ordered_reclaim(struct writer *writer, uint64_t least);
#define ORDERED_WAITING 128

/* All writers are gone: seal the nodes where they are, and have them written back. */
int ordered_seal(struct hmem_shelf *shelf, struct persist *persist);

/* Make the list from the index. Nobody else has the shelf open. */
int ordered_build(struct writer *writer);

/*
 * Tell names in their order, from the first that is not less (@after: that is greater) than
 * @name, until @fn answers 1 or less than 0. What @fn is told may be changed by others
 * while it reads it. -EAGAIN: it was, and all that has been told means nothing.
 */
int ordered_list(struct hmem_shelf *shelf, const char *name, size_t name_bytes, bool after,
		 int (*fn)(void *arg, const unsigned char *name, size_t name_bytes), void *arg);

/* For hmem_shelf_check(): a node that is in the list or was taken out. */
struct ordered_view {
	uint64_t at;
	struct ordered_node *node;
	unsigned int height;
	unsigned int name_bytes;
	uint64_t granules;
};

static inline uint64_t node_offset(uint64_t link)
{
	return (link & NODE_LINK) << SHELF_GRANULE_SHIFT;
}

static inline const char *node_name(const struct ordered_view *view)
{
	return (const char *)&view->node->next[view->height];
}

static inline uint64_t *ordered_next(const struct ordered_view *view, unsigned int level)
{
	return &view->node->next[level];
}

/* False when what is at @at is no node, or damaged, or not mapped. */
bool ordered_look(const struct hmem_shelf *shelf, uint64_t at, struct ordered_view *view);

/* On how many levels a name is: a quarter of a level's nodes are on the next as well. */
unsigned int ordered_height(uint64_t hash);
/* A node that leads nowhere yet, as slot->fresh. */
int ordered_make_node(struct writer *writer, unsigned int height, const char *name,
		      size_t name_bytes, struct ordered_view *view);

#endif
