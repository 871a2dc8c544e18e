// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Spaces: how they come and go, and how much of them may be used.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ctx.h"
#include "layers.h"
#include "printable.h"
#include "sized.h"
#include "space.h"
#include "space_shown.h"
#include "strategy_mimalloc.h"
#include "uncancelled.h"

#define FIRST_OPTIONS	sizeof(struct hmem_space_options)
#define FIRST_INFO	sizeof(struct hmem_space_info)
#define FLAGS                                                                    \
	(HMEM_SPACE_POPULATE | HMEM_SPACE_INTERLEAVE | HMEM_SPACE_PREFER | HMEM_SPACE_SHARED | \
	 HMEM_SPACE_KEPT)

/* --- what was asked for -------------------------------------------------------------- */

static int check_options(struct hmem_ctx *ctx, const struct hmem_space_options *use)
{
	if (use->flags & ~FLAGS)
		return hmem_fail(ctx, -EINVAL, "spaces have no flags 0x%x", use->flags & ~FLAGS);
	if (use->nr_parts > SPACE_PARTS || !use->parts != !use->nr_parts)
		return hmem_fail(ctx, -EINVAL, "a space has 1 to %d parts, or a layer",
				 SPACE_PARTS);
	if (use->parts && use->layer)
		return hmem_fail(ctx, -EINVAL, "a space has parts or a layer, not both");
	if (use->flags & HMEM_SPACE_SHARED && use->limit)
		return hmem_fail(ctx, -EINVAL,
				 "a limit of a space that is shared is set when it is there, for all");
	if (use->flags & HMEM_SPACE_INTERLEAVE && use->nr_parts < 2)
		return hmem_fail(ctx, -EINVAL, "one part alone cannot be interleaved");
	return 0;
}

/* --- the table ----------------------------------------------------------------------- */

/* In memory that is not of the space: it is fast, and fork(2) copies it. */
static int make_table(struct hmem_space *space)
{
	unsigned int shift = granules_shift(space->bytes);
	uint64_t count = space->bytes >> shift;
	void *table;

	if (!count)
		return hmem_fail(space->ctx, -EINVAL, "%s: its region has less than a granule, %u bytes",
				 space->name, 1u << shift);
	if (count > GRANULES_MAX)
		return hmem_fail(space->ctx, -EINVAL, "%s: a space has at most %u granules",
				 space->name, GRANULES_MAX);
	space->table_bytes = granules_table_bytes(count, shift);
	table = mmap(NULL, space->table_bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (table == MAP_FAILED)
		return hmem_fail(space->ctx, -ENOMEM, "%s: no memory for its table", space->name);
	space->table = table;
	granules_format(table, count, shift, 0, 0);
	granules_at(&space->g, table, space->base);
	return 0;
}

static void unmap_memory(struct hmem_space *space)
{
	if (space->regions)
		space_give_regions(space);
	else if (space->base && !(space->flags & HMEM_SPACE_KEPT))
		munmap(space->base, space->bytes);
}

/* --- spaces -------------------------------------------------------------------------- */

static void dispose(struct hmem_space *space)
{
	space_remove(space);
	space_hide(space);
	if (space->flags & HMEM_SPACE_SHARED)
		space_leave(space);
	if (space->table)
		munmap(space->table, space->table_bytes);
	unmap_memory(space);
	strategy_mimalloc_leave(space);
	pthread_mutex_destroy(&space->lock);
	hmem_ctx_unref(space->ctx);
	free(space);
}

static struct hmem_space *new_space(struct hmem_ctx *ctx, const char *name, uint64_t bytes,
				    uint32_t flags)
{
	struct hmem_space *space = calloc(1, sizeof(*space));

	if (!space)
		return NULL;
	atomic_init(&space->refs, 1);
	pthread_mutex_init(&space->lock, NULL);
	space->ctx = hmem_ctx_ref(ctx);
	space->flags = flags;
	space->nr_parts = 1;
	space->member = 1;
	space->lock_fd = -1;
	snprintf(space->name, sizeof(space->name), "%s", name);
	hmem_make_printable(space->name);
	space->bytes = (bytes + SPACE_ALIGN - 1) & ~(SPACE_ALIGN - 1);
	return space;
}

/* @err: what came of mapping its memory. Nothing is left where it is, or becomes, an error. */
static int set_up(struct hmem_space *space, int err, uint64_t limit)
{
	struct hmem_error why;

	if (!err)
		err = space->flags & HMEM_SPACE_SHARED ? space_join(space) : make_table(space);
	if (!err && limit)
		err = hmem_space_set_limit(space, limit);
	if (err) {
		hmem_error_keep(&why);
		space->flags &= ~HMEM_SPACE_KEPT;
		dispose(space);
		hmem_error_restore(&why);
	} else {
		space_enter(space);
		space_show(space);
	}
	return err;
}

/* @fit: not where system RAM has less free. */
static int create_on(struct hmem_ctx *ctx, const char *name, const struct hmem_space_options *use,
		     bool fit, struct hmem_space **space)
{
	struct hmem_space *new = new_space(ctx, name, use->bytes, use->flags);
	int err;

	if (!new)
		return hmem_fail(ctx, -ENOMEM, "no memory for space %s", name);
	if (use->parts)
		new->nr_parts = use->nr_parts;
	new->fit = fit;
	err = set_up(new, space_map_memory(new, use), use->limit);
	if (!err)
		*space = new;
	return err;
}

/* Where a comma ends a name. A path may have some, and is the last. */
static const char *name_end(const char *names)
{
	const char *end = names + strcspn(names, ",/");

	return *end == ',' ? end : NULL;
}

/* What another layer may have. */
static bool is_for_another(int err)
{
	return err == -ENOENT || err == -ENODEV || err == -ENOSPC || err == -ENOMEM ||
	       err == -EPERM || err == -EACCES || err == -EOPNOTSUPP || err == -EBUSY;
}

/* Layers by their names with commas in between, of which the first that can be had is taken. */
static int create_on_first(struct hmem_ctx *ctx, const char *name,
			   const struct hmem_space_options *options, struct hmem_space **space)
{
	struct hmem_space_options use = *options;
	const char *names = options->layer, *end;
	char one[HMEM_LAYER_NAME_MAX + 1];
	int err;

	use.layer = one;
	while ((end = name_end(names))) {
		if (end == names || (size_t)(end - names) >= sizeof(one))
			return hmem_fail(ctx, -EINVAL, "%s: \"%s\" begins with no name of a layer",
					 name, names);
		snprintf(one, sizeof(one), "%.*s", (int)(end - names), names);
		err = create_on(ctx, name, &use, true, space);
		if (!is_for_another(err))
			return err;
		hmem_log(ctx, HMEM_LOG_INFO, "%s: not on %s: %s", name, one, hmem_last_error(ctx));
		names = end + 1;
	}
	use.layer = names;
	return create_on(ctx, name, &use, false, space);
}

static int do_space_create(struct hmem_ctx *ctx, const char *name,
			   const struct hmem_space_options *options, struct hmem_space **space)
{
	struct hmem_space_options use;
	int err;

	if (!ctx)
		return -EINVAL;
	if (!name || !options || !space)
		return hmem_fail(ctx, -EINVAL,
				 "a space needs a name, options and a place for its handle");
	if (strlen(name) > HMEM_SPACE_NAME_MAX)
		return hmem_fail(ctx, -ENAMETOOLONG, "names of spaces have at most %d bytes",
				 HMEM_SPACE_NAME_MAX);
	err = hmem_sized_read(ctx, "struct hmem_space_options", &use, sizeof(use), FIRST_OPTIONS,
			      options);
	if (!err)
		err = check_options(ctx, &use);
	if (err)
		return err;
	return use.layer && name_end(use.layer) ? create_on_first(ctx, name, &use, space) :
						  create_on(ctx, name, &use, false, space);
}

int hmem_space_create(struct hmem_ctx *ctx, const char *name,
		      const struct hmem_space_options *options, struct hmem_space **space)
{
	return UNCANCELLED(do_space_create(ctx, name, options, space));
}

int hmem_space_create_on_layer(struct hmem_ctx *ctx, const struct hmem_layer_info *layer,
			       const char *scheme, const char *name,
			       const struct hmem_space_options *options, struct hmem_space **space)
{
	struct hmem_space_options use;
	char on[HMEM_LAYER_NAME_MAX + 1];
	int err;

	if (!ctx)
		return -EINVAL;
	if (!options)
		return hmem_fail(ctx, -EINVAL, "a space needs options");
	err = hmem_sized_read(ctx, "struct hmem_space_options", &use, sizeof(use), FIRST_OPTIONS,
			      options);
	if (!err && (use.layer || use.parts))
		err = hmem_fail(ctx, -EINVAL,
				"a space on a layer that is registered for it names no others");
	if (!err)
		err = hmem_layer_register_once(ctx, layer, scheme);
	if (err)
		return err;
	snprintf(on, sizeof(on), "%s", layer->name);
	use.size = sizeof(use);
	use.layer = on;
	return hmem_space_create(ctx, name, &use, space);
}

int space_create_by(struct hmem_ctx *ctx, const char *name, const char *layer, uint64_t bytes,
		    uint32_t flags,
		    int (*map)(struct hmem_space *space, const void *from), const void *from,
		    struct hmem_space **space)
{
	struct hmem_space *new = new_space(ctx, name, bytes, flags);
	int err;

	if (!new)
		return hmem_fail(ctx, -ENOMEM, "no memory for space %s", name);
	space_name_layer(new, layer);
	err = set_up(new, map(new, from), 0);
	if (!err)
		*space = new;
	return err;
}

struct hmem_space *hmem_space_ref(struct hmem_space *space)
{
	if (!space)
		return NULL;
	atomic_fetch_add_explicit(&space->refs, 1, memory_order_relaxed);
	return space;
}

void hmem_space_unref(struct hmem_space *space)
{
	if (space && atomic_fetch_sub_explicit(&space->refs, 1, memory_order_acq_rel) == 1)
		(void)UNCANCELLED((dispose(space), 0));
}

int hmem_space_get_info(const struct hmem_space *space, struct hmem_space_info *info)
{
	struct hmem_space_info now = { .size = sizeof(now) };
	const struct granule_table *table;
	int err;

	if (!space)
		return -EINVAL;
	if (!info)
		return hmem_fail(space->ctx, -EINVAL, "no place for what the space is");
	err = hmem_sized_check(space->ctx, "struct hmem_space_info", info, FIRST_INFO);
	if (err)
		return err;
	table = space->g.table;
	now.flags = space->flags;
	now.nr_parts = space->nr_parts;
	now.bytes = space->g.count << space->g.shift;
	now.limit = atomic_load(&table->limit) << space->g.shift;
	now.used = atomic_load(&table->used) << space->g.shift;
	now.peak = atomic_load(&table->peak) << space->g.shift;
	now.granule = 1ull << space->g.shift;
	now.interfaces = space->nr_interfaces;
	snprintf(now.name, sizeof(now.name), "%s", space->name);
	hmem_sized_write(info, &now, sizeof(now));
	return 0;
}

int hmem_space_set_limit(struct hmem_space *space, uint64_t bytes)
{
	uint64_t granules;

	if (!space)
		return -EINVAL;
	granules = bytes ? bytes >> space->g.shift : space->g.count;
	if (!granules || granules > space->g.count)
		return hmem_fail(space->ctx, -EINVAL, "%s: a limit is %llu to %llu bytes, not %llu",
				 space->name, 1ull << space->g.shift,
				 (unsigned long long)space->g.count << space->g.shift,
				 (unsigned long long)bytes);
	atomic_store(&space->g.table->limit, granules);
	if (space->shown)
		atomic_store(&space->shown->limit, granules << space->g.shift);
	return 0;
}

/* From 1 on, so that 0 is none. */
uint64_t hmem_space_handle(const struct hmem_space *space, const void *block)
{
	uint64_t offset;

	if (!space)
		return 0;
	offset = (uintptr_t)block - (uintptr_t)space->g.base;
	return offset < space->g.count << space->g.shift ? offset + 1 : 0;
}

void *hmem_space_at(const struct hmem_space *space, uint64_t handle)
{
	if (!space || !handle || handle > space->g.count << space->g.shift)
		return NULL;
	return space->g.base + (handle - 1);
}

uint64_t hmem_space_root(const struct hmem_space *space)
{
	return space ? atomic_load(&space->g.table->root) : 0;
}

int hmem_space_set_root(struct hmem_space *space, uint64_t was, uint64_t root)
{
	if (!space)
		return -EINVAL;
	if (root && !hmem_space_at(space, root))
		return hmem_fail(space->ctx, -EINVAL, "%s: 0x%llx is no handle of it", space->name,
				 (unsigned long long)root);
	if (!atomic_compare_exchange_strong(&space->g.table->root, &was, root))
		return hmem_fail(space->ctx, -EAGAIN,
				 "%s: others begin by another handle, 0x%llx, by now", space->name,
				 (unsigned long long)was);
	return 0;
}

void space_count_interfaces(struct hmem_space *space, int more)
{
	unsigned int n = atomic_fetch_add(&space->nr_interfaces, (unsigned int)more);

	if (space->shown)
		atomic_store(&space->shown->interfaces, n + (unsigned int)more);
}

/* Without a lock, which a child might find taken after fork(2). */
unsigned int space_number_take(struct hmem_space *space)
{
	if (space->flags & HMEM_SPACE_SHARED)
		return SPACE_NUMBER;
	for (unsigned int i = 1; i < GRANULE_INTERFACES; i++) {
		uint64_t bit = 1ull << i % 64;

		if (!(atomic_fetch_or(&space->interfaces[i / 64], bit) & bit))
			return i;
	}
	return 0;
}

void space_number_give(struct hmem_space *space, unsigned int number)
{
	if (!(space->flags & HMEM_SPACE_SHARED))
		atomic_fetch_and(&space->interfaces[number / 64], ~(1ull << number % 64));
}
