// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The order of names: a skip list (Pugh 1990) of nodes that hold names, not records, so that
 * replacing an object costs it nothing.
 *
 * It is volatile, like the index, which is made from the records and from which this is
 * made. A node is linked before the index gets its name and taken out after the index has
 * lost it. What a writer is making or deleting hangs in its slot: if it dies, the index
 * tells which of these nodes stay.
 *
 * Writers link and take out under one lock; where, they have looked up before. Every
 * single store leaves a skip list: links are made from the lowest level up and removed
 * from the highest down. So nothing has to be repaired when a holder of the lock dies.
 *
 * Readers take no lock and write nothing. A node that was taken out goes on leading to
 * where it led, and its memory is not given back before a counter has grown that readers
 * compare: the few that stand on such nodes begin again.
 */
#include <errno.h>
#include <string.h>

#include "crc32c.h"
#include "shelf_ordered.h"

/* A walk has some dozens of steps; one with as many goes in circles. */
#define STEPS_MAX (1u << 16)

/* Looks for a place without the lock before one with it. */
#define TRIES 3

#define KEY_WORDS (SHELF_NAME_MAX / sizeof(uint64_t) + 1)

/* A name as it compares: words with the first byte on top. */
struct key {
	uint64_t word[KEY_WORDS];
	unsigned int nr;
};

/* On each level the last node before a key and the next one; 0: none. */
struct path {
	const struct runtime *runtime;
	uint64_t frees;
	struct ordered_view before[ORDERED_LEVELS];
	uint64_t next[ORDERED_LEVELS];
	uint64_t unmapped;	/* what has to be mapped first, if that is what stopped it */
};

static void key_make(struct key *key, const char *name, size_t bytes)
{
	key->nr = (unsigned int)((bytes + 7) / 8);
	if (bytes % 8)
		key->word[key->nr - 1] = 0;
	memcpy(key->word, name, bytes);
	for (unsigned int i = 0; i < key->nr; i++)
		key->word[i] = __builtin_bswap64(key->word[i]);
}

unsigned int ordered_height(uint64_t hash)
{
	unsigned int height = 1 + (unsigned int)__builtin_ctzll(hash >> 32 | 1ull << 30) / 2;

	return height < ORDERED_LEVELS ? height : ORDERED_LEVELS;
}

static uint64_t node_bytes(unsigned int height, size_t name_bytes)
{
	return sizeof(struct ordered_node) + height * sizeof(uint64_t) + ((name_bytes + 7) & ~7ul);
}

/* --- reading ------------------------------------------------------------------------- */

/* Never 0, which is a node in use. */
SHELF_RACY static uint32_t seal_of(const struct hmem_shelf *shelf, const struct ordered_view *view)
{
	uint64_t nr = node_bytes(view->height, view->name_bytes) / sizeof(uint64_t);
	uint64_t covered[2 + ORDERED_LEVELS + KEY_WORDS + 1] = { shelf->key, view->at };
	const uint64_t *word = (const uint64_t *)view->node;
	uint32_t crc;

	covered[2] = view->name_bytes;
	for (uint64_t i = 1; i < nr; i++)
		covered[2 + i] = __atomic_load_n(&word[i], __ATOMIC_RELAXED);
	crc = hmem_crc32c(~0u, covered, (2 + nr) * sizeof(uint64_t));
	return crc ? crc : 1;
}

/* A sealed node is looked at for the first time. What it was may be something else by now. */
SHELF_RACY static bool unseal(const struct hmem_shelf *shelf, const struct ordered_view *view)
{
	uint64_t *word = (uint64_t *)view->node, was = LOAD(word);

	if (!(uint32_t)was)
		return true;
	if ((uint32_t)was != seal_of(shelf, view))
		return !(uint32_t)LOAD(word);
	if (!(shelf->flags & HMEM_SHELF_READ_ONLY))
		__atomic_compare_exchange_n(word, &was, was & ~0xffffffffull, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	return true;
}

SHELF_RACY bool ordered_look(const struct hmem_shelf *shelf, uint64_t at,
			     struct ordered_view *view)
{
	uint64_t bytes;

	if (at & (sizeof(uint64_t) - 1) || !shelf_holds(shelf, at, sizeof(struct ordered_node)))
		return false;
	view->at = at;
	view->node = shelf_at(shelf, at);
	view->height = (unsigned int)(LOAD(&view->node->link) >> NODE_HEIGHT_SHIFT);
	view->name_bytes = LOAD(&view->node->name_bytes);
	if (!view->height || view->height > ORDERED_LEVELS || view->name_bytes > SHELF_NAME_MAX)
		return false;
	bytes = node_bytes(view->height, view->name_bytes);
	view->granules = (bytes + SHELF_GRANULE - 1) >> SHELF_GRANULE_SHIFT;
	if (!shelf_holds(shelf, at, bytes))
		return false;
	return __builtin_expect(!LOAD(&view->node->check), 1) || unseal(shelf, view);
}

SHELF_RACY static int compare(const struct ordered_view *view, const struct key *key)
{
	const uint64_t *word = &view->node->next[view->height];
	unsigned int nr = (view->name_bytes + 7) / 8;

	for (unsigned int i = 0; i < nr && i < key->nr; i++) {
		uint64_t ours = __builtin_bswap64(__atomic_load_n(&word[i], __ATOMIC_RELAXED));

		if (ours != key->word[i])
			return ours < key->word[i] ? -1 : 1;
	}
	return nr < key->nr ? -1 : nr > key->nr;
}

SHELF_RACY static bool freed_since(struct hmem_shelf *shelf, const struct path *path)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return shelf_follows_since(shelf, path->runtime) ||
	       __atomic_load_n(&path->runtime->ordered_frees, __ATOMIC_RELAXED) != path->frees;
}

/* Why a node could not be looked at. */
SHELF_RACY static int cannot(struct hmem_shelf *shelf, struct path *path, uint64_t at)
{
	uint64_t end = at + node_bytes(ORDERED_LEVELS, SHELF_NAME_MAX);

	if (freed_since(shelf, path))
		return -EAGAIN;
	if (at < shelf->heap_offset || at - shelf->heap_offset >= shelf->max_heap ||
	    shelf_in_heap(shelf, end - 1))
		return -EUCLEAN;
	path->unmapped = end;
	return -ENXIO;
}

/*
 * Go on along a level up to where @key belongs. @known: a node that is not before it.
 * -EAGAIN: memory was freed; -ENXIO: memory is to be mapped; -EUCLEAN.
 */
SHELF_RACY static int advance(struct hmem_shelf *shelf, const struct key *key,
			      struct path *path, unsigned int level, uint64_t known,
			      struct ordered_view *at)
{
	for (unsigned int steps = 0;; steps++) {
		uint64_t next = node_offset(LOAD(&at->node->next[level]));
		struct ordered_view view;
		bool before;

		path->next[level] = next;
		if (!next || next == known)
			break;
		if (!ordered_look(shelf, next, &view))
			return cannot(shelf, path, next);
		before = view.height > level && compare(&view, key) < 0;
		if (freed_since(shelf, path))
			return -EAGAIN;
		if (view.height <= level || steps > STEPS_MAX)
			return -EUCLEAN;
		if (!before)
			break;
		*at = view;
	}
	path->before[level] = *at;
	return freed_since(shelf, path) ? -EAGAIN : 0;
}

SHELF_RACY static int walk(struct hmem_shelf *shelf, const struct key *key, struct path *path)
{
	uint64_t head, known = 0;
	struct ordered_view at;

	path->runtime = LOAD(&shelf->runtime);
	path->frees = LOAD(&path->runtime->ordered_frees);
	head = LOAD(&path->runtime->ordered_head);
	if (!ordered_look(shelf, head, &at))
		return cannot(shelf, path, head);
	if (at.height != ORDERED_LEVELS)
		return -EUCLEAN;
	for (unsigned int level = ORDERED_LEVELS; level--;) {
		int err = advance(shelf, key, path, level, known, &at);

		if (err)
			return err;
		known = path->next[level];
	}
	return 0;
}

/* The same until it succeeds, with the memory mapped. No lock of ours is held by the caller. */
static int search(struct hmem_shelf *shelf, const struct key *key, struct path *path)
{
	for (;;) {
		int err = walk(shelf, key, path);

		if (err == -ENXIO)
			err = shelf_map_more(shelf, path->unmapped) ? -EUCLEAN : -EAGAIN;
		if (err == -EUCLEAN)
			return shelf_damaged(shelf);
		if (err != -EAGAIN)
			return err;
	}
}

int ordered_list(struct hmem_shelf *shelf, const char *name, size_t name_bytes, bool after,
		 int (*fn)(void *arg, const unsigned char *name, size_t name_bytes), void *arg)
{
	struct ordered_view view;
	struct path path;
	unsigned int steps = 0;
	struct key key;
	uint64_t at;
	int err;

	key_make(&key, name, name_bytes);
	err = search(shelf, &key, &path);
	if (err)
		return err;
	for (at = path.next[0]; at; at = node_offset(LOAD(&view.node->next[0]))) {
		if (!ordered_look(shelf, at, &view)) {
			err = cannot(shelf, &path, at);
			if (err == -ENXIO)
				err = shelf_map_more(shelf, path.unmapped) ? -EUCLEAN : -EAGAIN;
			return err == -EUCLEAN ? shelf_damaged(shelf) : err;
		}
		/* The first one or two may be @name. */
		if (after && compare(&view, &key) <= 0)
			err = 0;
		else
			err = fn(arg, (const unsigned char *)node_name(&view), view.name_bytes);
		if (freed_since(shelf, &path))
			return -EAGAIN;
		if (err)
			return err < 0 ? err : 0;
		/* @fn has enough before that, unless the list leads back. */
		if (steps++ > STEPS_MAX)
			return shelf_damaged(shelf);
	}
	return 0;
}

/* --- changing ------------------------------------------------------------------------ */

/* What was found without the lock, brought up to date with it. */
static int refine(struct hmem_shelf *shelf, const struct key *key, struct path *path)
{
	uint64_t known = 0;

	if (freed_since(shelf, path))
		return -EAGAIN;
	for (unsigned int level = ORDERED_LEVELS; level--;) {
		struct ordered_view at = path->before[level];
		int err;

		if (LOAD(&at.node->link) & NODE_REMOVED)
			return -EAGAIN;
		err = advance(shelf, key, path, level, known, &at);
		if (err)
			return err;
		known = path->next[level];
	}
	return 0;
}

/* Lock the list, knowing where @key belongs. */
static int lock_at(struct writer *writer, const struct key *key, struct path *path)
{
	struct hmem_shelf *shelf = writer->shelf;
	uint32_t *lock = &shelf->runtime->ordered_lock;

	for (unsigned int tries = 0;; tries++) {
		int err = search(shelf, key, path);

		if (!err)
			err = lock_take(writer, lock);
		if (err)
			return err;
		err = tries < TRIES ? refine(shelf, key, path) : walk(shelf, key, path);
		if (!err)
			return 0;
		/* Nothing is mapped under the lock: whoever maps may wait for its holder. */
		lock_drop(writer, lock);
		if (err == -EUCLEAN)
			return shelf_damaged(shelf);
	}
}

static void link_in(struct path *path, const struct ordered_view *view)
{
	for (unsigned int level = 0; level < view->height; level++)
		STORE(ordered_next(view, level), path->next[level] >> SHELF_GRANULE_SHIFT);
	for (unsigned int level = 0; level < view->height; level++)
		STORE(ordered_next(&path->before[level], level), view->at >> SHELF_GRANULE_SHIFT);
}

int ordered_make_node(struct writer *writer, unsigned int height, const char *name,
		      size_t name_bytes, struct ordered_view *view)
{
	uint64_t bytes = node_bytes(height, name_bytes), at;
	struct ordered_node *node;
	int err = heap_take(writer, bytes - sizeof(struct record), SHELF_GRANULE_SHIFT, &at);

	if (err)
		return err;
	node = shelf_at(writer->shelf, at);
	memset(node, 0, bytes);
	node->name_bytes = (uint16_t)name_bytes;
	STORE(&node->link, (uint64_t)height << NODE_HEIGHT_SHIFT);
	memcpy(&node->next[height], name, name_bytes);
	*view = (struct ordered_view){
		.at = at, .node = node, .height = height, .name_bytes = (unsigned int)name_bytes,
	};
	return 0;
}

static uint64_t link_to(const struct ordered_view *view, uint64_t at)
{
	return (view->node->link & ~NODE_LINK) | at >> SHELF_GRANULE_SHIFT;
}

/* With the list locked. @rest: what slot->ordered becomes then. */
static void take_out_locked(struct writer *writer, const struct path *path, const struct key *key,
			    const struct ordered_view *view, uint64_t rest)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct runtime *rt = shelf->runtime;
	struct ordered_view at, next;

	STORE(&view->node->link, view->node->link | NODE_REMOVED);
	for (unsigned int level = view->height; level--;) {
		unsigned int steps = 0;

		/* Behind others of its name, if the list has been damaged. */
		at = path->before[level];
		while (node_offset(*ordered_next(&at, level)) != view->at && steps++ < STEPS_MAX &&
		       ordered_look(shelf, node_offset(*ordered_next(&at, level)), &next) &&
		       next.height > level && !compare(&next, key))
			at = next;
		if (node_offset(*ordered_next(&at, level)) == view->at)
			STORE(ordered_next(&at, level), *ordered_next(view, level));
	}
	redo_add(writer, &view->node->link, link_to(view, rt->ordered_limbo));
	redo_add(writer, &rt->ordered_limbo, view->at);
	redo_add(writer, &rt->ordered_waiting, rt->ordered_waiting + 1);
	redo_add(writer, &writer->slot->ordered, rest);
	redo_apply(writer);
}

static int take_out(struct writer *writer, const struct ordered_view *view, uint64_t rest)
{
	struct path path;
	struct key key;
	int err;

	key_make(&key, node_name(view), view->name_bytes);
	err = lock_at(writer, &key, &path);
	if (err)
		return err;
	take_out_locked(writer, &path, &key, view, rest);
	lock_drop(writer, &writer->shelf->runtime->ordered_lock);
	return 0;
}

/*
 * Lock the list where a name is to be added that it does not have. One that was left is of nobody
 * who is still at it, as the caller has locked the name's bucket.
 */
static int lock_new(struct writer *writer, const struct key *key, struct path *path)
{
	struct ordered_view left;

	for (;;) {
		int err = lock_at(writer, key, path);

		if (err || !path->next[0] ||
		    !ordered_look(writer->shelf, path->next[0], &left) ||
		    !(LOAD(&left.node->link) & NODE_LEFT) || compare(&left, key))
			return err;
		take_out_locked(writer, path, key, &left, writer->slot->ordered);
		lock_drop(writer, &writer->shelf->runtime->ordered_lock);
	}
}

int ordered_add(struct writer *writer, uint64_t hash, const char *name, size_t name_bytes)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct slot *slot = writer->slot;
	struct ordered_view view;
	struct path path;
	struct key key;
	int err;

	if (!shelf_is_ordered(shelf))
		return 0;
	err = ordered_make_node(writer, ordered_height(hash), name, name_bytes, &view);
	if (err)
		return err;
	key_make(&key, name, name_bytes);
	err = lock_new(writer, &key, &path);
	if (err) {
		heap_drop_fresh(writer);
		return err;
	}
	STORE(&view.node->link, link_to(&view, slot->ordered));
	redo_add(writer, &slot->ordered, view.at);
	redo_add(writer, &slot->fresh, 0);
	redo_apply(writer);
	link_in(&path, &view);
	lock_drop(writer, &shelf->runtime->ordered_lock);
	return 0;
}

int ordered_remove(struct writer *writer, const char *name, size_t name_bytes)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct slot *slot = writer->slot;
	struct ordered_view view;
	struct path path;
	struct key key;
	int err;

	if (!shelf_is_ordered(shelf))
		return 0;
	key_make(&key, name, name_bytes);
	err = search(shelf, &key, &path);
	if (err)
		return err;
	/* Its node stays, as the bucket is ours; without one there is nothing to take out. */
	if (!path.next[0] || !ordered_look(shelf, path.next[0], &view) || compare(&view, &key))
		return 0;
	STORE(&view.node->link, link_to(&view, slot->ordered));
	STORE(&slot->ordered, view.at);
	return 0;
}

void ordered_settle(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct slot *slot = writer->slot;
	uint64_t node, left = shelf_most_blocks(shelf);

	while ((node = LOAD(&slot->ordered))) {
		struct ordered_view view;
		uint64_t at, rest;
		int found;

		if (!left-- || !shelf_reach_bytes(shelf, node, sizeof(struct ordered_node)) ||
		    !ordered_look(shelf, node, &view)) {
			STORE(&slot->ordered, 0);
			return;
		}
		rest = node_offset(view.node->link);
		found = object_find(shelf, node_name(&view), view.name_bytes, NULL, &at);
		if (!found && !take_out(writer, &view, rest))
			continue;
		/*
		 * One that cannot be taken out is only in the way: the index does not have it. It is
		 * when its name comes back, or when all have left.
		 */
		if (!found) {
			STORE(&shelf->runtime->ordered_left, 1);
			STORE(&view.node->link, view.node->link | NODE_LEFT);
		}
		STORE(&slot->ordered, rest);
	}
}

void ordered_settle_dead(struct writer *dead)
{
	uint32_t *lock = &dead->shelf->runtime->ordered_lock;

	/* Whatever he was doing with it, what there is is a list. */
	if (LOAD(lock) == dead->id + 1)
		lock_drop(dead, lock);
	ordered_settle(dead);
}

int ordered_sweep(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct runtime *rt = shelf->runtime;
	uint64_t at, next, left = shelf_most_blocks(shelf);
	struct ordered_view view;
	int err = 0;

	if (!shelf_is_ordered(shelf) || !rt->ordered_left)
		return 0;
	for (at = rt->ordered_head; at && !err; at = next) {
		if (!left-- || !shelf_reach(shelf, at) || !ordered_look(shelf, at, &view))
			return shelf_damaged(shelf);
		next = node_offset(view.node->next[0]);
		if (view.node->link & NODE_LEFT)
			err = take_out(writer, &view, writer->slot->ordered);
	}
	if (!err)
		STORE(&rt->ordered_left, 0);
	return err;
}

int ordered_reclaim(struct writer *writer, uint64_t least)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct runtime *rt = shelf->runtime;
	struct slot *slot = writer->slot;
	uint64_t at, left = shelf_most_blocks(shelf);
	int err;

	if (!slot->ordered_free && LOAD(&rt->ordered_limbo) &&
	    LOAD(&rt->ordered_waiting) >= least) {
		err = lock_take(writer, &rt->ordered_lock);
		if (err)
			return err;
		__atomic_fetch_add(&rt->ordered_frees, 1, __ATOMIC_SEQ_CST);
		redo_add(writer, &slot->ordered_free, rt->ordered_limbo);
		redo_add(writer, &rt->ordered_limbo, 0);
		redo_add(writer, &rt->ordered_waiting, 0);
		redo_apply(writer);
		lock_drop(writer, &rt->ordered_lock);
	}
	/* Without the lock, as whoever dies with a chunk's lock may have nodes to take out. */
	while ((at = LOAD(&slot->ordered_free))) {
		struct ordered_view view;

		if (!left-- || !shelf_reach_bytes(shelf, at, sizeof(struct ordered_node)) ||
		    !ordered_look(shelf, at, &view)) {
			STORE(&slot->ordered_free, 0);
			return shelf_damaged(shelf);
		}
		/* What an earlier call could not give back: it stands in one place. */
		err = heap_give_again(writer);
		if (err)
			return err;
		redo_add(writer, &slot->freeing_end,
			 view.at + (view.granules << SHELF_GRANULE_SHIFT));
		redo_add(writer, &slot->freeing, view.at);
		redo_add(writer, &slot->ordered_free, node_offset(view.node->link));
		redo_apply(writer);
		err = heap_give_again(writer);
		if (err)
			return err;
	}
	return 0;
}

/* --- leaving it ---------------------------------------------------------------------- */

int ordered_seal(struct hmem_shelf *shelf, struct persist *persist)
{
	uint64_t at = shelf->runtime->ordered_head, left = shelf_most_blocks(shelf);
	struct ordered_view view;

	for (; at; at = node_offset(view.node->next[0])) {
		if (!left-- || !shelf_reach(shelf, at) || !ordered_look(shelf, at, &view))
			return -EUCLEAN;
		STORE(&view.node->check, seal_of(shelf, &view));
		persist_write_back(persist, view.node, node_bytes(view.height, view.name_bytes));
	}
	return 0;
}
