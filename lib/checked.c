// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Checked mode: a table of the blocks of an interface, those that were freed included until
 * they are handed out again, and a guard behind each.
 *
 * The strategy beneath is called without the lock: a block is marked as freed before it is, so that
 * of two who free it at the same instant one is told so, and nobody else is given it before.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "checked.h"
#include "ctx.h"
#include "fork_lock.h"
#include "interface.h"
#include "space.h"

#define GUARD_BYTE  0xa5
#define GUARD	    ((size_t)16)
#define TABLE_FIRST 1024

enum { NEVER, ALLOCATED, FREED };

struct entry {
	void *block;
	size_t bytes;
	int state;
};

/*
 * @table: of @size entries, a power of two; open addressing, linear
 * @used: entries that are not NEVER
 * @object: slab: what a block has beneath; 0: as much as is asked for
 */
struct checked {
	struct hmem_interface *interface;
	struct hmem_strategy_ops ops;
	void *state;
	struct entry *table;
	size_t size;
	size_t used;
	size_t blocks;
	size_t bytes;
	size_t object;
};

/* Of all tables. Who wants to be fast does not check. */
static struct fork_lock lock = FORK_LOCK_INIT(NULL);

bool checked_everywhere(void)
{
	const char *wanted = secure_getenv("HMEM_CHECKED");

	return wanted && *wanted && strcmp(wanted, "0");
}

/* --- the table, under the lock ------------------------------------------------------- */

/* Where @block is, or would be. */
static struct entry *find(const struct checked *checked, const void *block)
{
	size_t at = ((uintptr_t)block >> 4) * 0x9e3779b97f4a7c15ull >> 20;

	for (;; at++) {
		struct entry *entry = &checked->table[at & (checked->size - 1)];

		if (entry->state == NEVER || entry->block == block)
			return entry;
	}
}

/* So that a quarter is free after one more; who was freed is forgotten. */
static bool make_room(struct checked *checked)
{
	struct entry *old = checked->table;
	size_t size = checked->size;

	if (checked->used + 1 <= size / 4 * 3)
		return true;
	while (checked->blocks + 1 > checked->size / 2)
		checked->size *= 2;
	checked->table = calloc(checked->size, sizeof(*old));
	if (!checked->table) {
		checked->table = old;
		checked->size = size;
		return false;
	}
	checked->used = 0;
	for (size_t i = 0; i < size; i++)
		if (old[i].state == ALLOCATED) {
			*find(checked, old[i].block) = old[i];
			checked->used++;
		}
	free(old);
	return true;
}

static void put(struct checked *checked, void *block, size_t bytes)
{
	struct entry *entry = find(checked, block);

	checked->used += entry->state == NEVER;
	*entry = (struct entry){ block, bytes, ALLOCATED };
	checked->blocks++;
	checked->bytes += bytes;
}

static bool add(struct checked *checked, void *block, size_t bytes)
{
	bool there;

	fork_lock_take(&lock);
	there = make_room(checked);
	if (there)
		put(checked, block, bytes);
	fork_lock_give(&lock);
	return there;
}

/* --- guards -------------------------------------------------------------------------- */

/* A slab's objects have one size, and alignments that follow from it: what is left of one. */
static size_t guard_of(const struct checked *checked, size_t bytes)
{
	size_t left = checked->object - bytes;

	return checked->object && left < GUARD ? left : GUARD;
}

static void set_guard(const struct checked *checked, void *block, size_t bytes)
{
	memset((char *)block + bytes, GUARD_BYTE, guard_of(checked, bytes));
}

static bool is_whole(const struct checked *checked, const void *block, size_t bytes)
{
	for (size_t i = 0; i < guard_of(checked, bytes); i++)
		if (((const unsigned char *)block)[bytes + i] != GUARD_BYTE)
			return false;
	return true;
}

/* --- the strategy -------------------------------------------------------------------- */

static int create(struct hmem_interface *interface, void *arg, void **state)
{
	struct checked *checked = calloc(1, sizeof(*checked));
	int err;

	if (checked)
		checked->table = calloc(TABLE_FIRST, sizeof(*checked->table));
	if (!checked || !checked->table || fork_lock_arm(&lock)) {
		if (checked)
			free(checked->table);
		free(checked);
		return hmem_fail(interface->space->ctx, -ENOMEM, "no memory for an interface on %s",
				 interface->space->name);
	}
	checked->interface = interface;
	checked->ops = interface->beneath;
	checked->size = TABLE_FIRST;
	err = checked->ops.create(interface, arg, &checked->state);
	if (err) {
		free(checked->table);
		free(checked);
		return err;
	}
	if (interface->options.strategy == HMEM_STRATEGY_SLAB)
		checked->object = (interface->options.object + 15) / 16 * 16;
	*state = checked;
	return 0;
}

static void destroy(void *state)
{
	struct checked *checked = state;

	checked->ops.destroy(checked->state);
	free(checked->table);
	free(checked);
}

static void *alloc(void *state, size_t bytes, size_t align)
{
	struct checked *checked = state;
	size_t all = bytes;
	void *block;

	if (!checked->object && __builtin_add_overflow(bytes, GUARD, &all)) {
		errno = ENOSPC;
		return NULL;
	}
	block = checked->ops.alloc(checked->state, all, align);
	if (!block)
		return NULL;
	set_guard(checked, block, bytes);
	if (add(checked, block, bytes))
		return block;
	checked->ops.free(checked->state, block);
	errno = ENOMEM;
	return NULL;
}

/* Only when this is known to be right is it freed beneath. */
static int mark_freed(struct checked *checked, const void *block, size_t *bytes)
{
	struct entry *entry;
	int err = 0;

	fork_lock_take(&lock);
	entry = find(checked, block);
	*bytes = entry->bytes;
	if (entry->state == NEVER)
		err = -EINVAL;
	else if (entry->state == FREED)
		err = -EALREADY;
	else if (!is_whole(checked, block, entry->bytes))
		err = -EOVERFLOW;
	if (!err) {
		entry->state = FREED;
		checked->blocks--;
		checked->bytes -= entry->bytes;
	}
	fork_lock_give(&lock);
	return err;
}

/* It may have been forgotten since; there is room, of the quarter that is free. */
static void unmark(struct checked *checked, void *block, size_t bytes)
{
	fork_lock_take(&lock);
	put(checked, block, bytes);
	fork_lock_give(&lock);
}

static int give_back(void *state, void *block)
{
	struct checked *checked = state;
	size_t bytes;
	int err = mark_freed(checked, block, &bytes);

	if (err)
		return err;
	err = checked->ops.free(checked->state, block);
	if (err)
		unmark(checked, block, bytes);
	return err;
}

static size_t usable(const void *state, const void *block)
{
	const struct checked *checked = state;
	struct entry *entry;
	size_t bytes;

	fork_lock_take(&lock);
	entry = find(checked, block);
	bytes = entry->state == ALLOCATED ? entry->bytes : 0;
	fork_lock_give(&lock);
	return bytes;
}

static void stats(const void *state, struct hmem_interface_stats *stats)
{
	const struct checked *checked = state;

	fork_lock_take(&lock);
	stats->blocks = checked->blocks;
	stats->bytes = checked->bytes;
	fork_lock_give(&lock);
}

const struct hmem_strategy_ops strategy_checked = {
	.size = sizeof(struct hmem_strategy_ops),
	.name = "checked",
	.create = create,
	.destroy = destroy,
	.alloc = alloc,
	.free = give_back,
	.usable = usable,
	.stats = stats,
};

void *checked_reset(void *state)
{
	struct checked *checked = state;

	fork_lock_take(&lock);
	for (size_t i = 0; i < checked->size; i++)
		if (checked->table[i].state == ALLOCATED)
			checked->table[i].state = FREED;
	checked->blocks = 0;
	checked->bytes = 0;
	fork_lock_give(&lock);
	return checked->state;
}
