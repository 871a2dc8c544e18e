// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Spaces: which layers they are of, and how much of them may be used.
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
#define FIRST_PART	sizeof(struct hmem_space_part)
#define FIRST_INFO	sizeof(struct hmem_space_info)
#define BYTES_MIN	(64u << 10)
#define FLAGS                                                                    \
	(HMEM_SPACE_POPULATE | HMEM_SPACE_INTERLEAVE | HMEM_SPACE_PREFER | HMEM_SPACE_SHARED | \
	 HMEM_SPACE_KEPT)

/* --- what was asked for -------------------------------------------------------------- */

static bool is_node(const struct hmem_layer_info *layer)
{
	if (layer->kind == HMEM_LAYER_OTHER)
		return layer->nid >= 0 && !layer->provider[0];
	return layer->kind >= HMEM_LAYER_DRAM && layer->kind <= HMEM_LAYER_PMEM;
}

/* Names of regions are no layers where they are files. */
static bool is_region(const char *name)
{
	return strchr(name, '/') && strncmp(name, "fsdax:", 6);
}

static int forbids(void *name, const struct hmem_layer_info *layer)
{
	return layer->flags & HMEM_LAYER_FORBIDDEN && hmem_layer_has_name(layer, name);
}

static int settle_part(struct hmem_space *space, const struct hmem_space_part *from,
		       struct space_part *part)
{
	struct hmem_layer_wanted wanted = HMEM_LAYER_WANTED_INIT;
	size_t one = 1;
	int err;

	if (from->reserved)
		return hmem_fail(space->ctx, -EINVAL, "%s: what is reserved in a part is not zero",
				 space->name);
	wanted.name = from->layer ? from->layer : "dram";
	part->bytes = from->bytes;
	part->weight = from->weight;
	part->layer.size = sizeof(part->layer);
	err = hmem_layer_select(space->ctx, &wanted, &part->layer, &one);
	if (err != -ENOENT)
		return err;
	if (hmem_layer_iterate(space->ctx, -1, forbids, (void *)wanted.name) == 1)
		return hmem_fail(space->ctx, -EPERM,
				 "%s: the cpuset of this process keeps it from layer \"%s\"; see "
				 "Mems_allowed in /proc/self/status",
				 space->name, wanted.name);
	return hmem_fail(space->ctx, -ENOENT,
			 "%s: there is no layer \"%s\" here; hmemctl list-layers shows those that "
			 "there are",
			 space->name, wanted.name);
}

static int settle_bytes(struct hmem_space *space, struct space_part *parts, uint32_t n)
{
	uint64_t said = 0, all = space->bytes;
	uint32_t silent = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (parts[i].bytes > INT64_MAX / SPACE_PARTS - SPACE_ALIGN)
			return hmem_fail(space->ctx, -EINVAL, "%s: its parts have too many bytes",
					 space->name);
		parts[i].bytes = (parts[i].bytes + SPACE_ALIGN - 1) & ~(SPACE_ALIGN - 1);
		said += parts[i].bytes;
		silent += !parts[i].bytes;
	}
	if (space->flags & HMEM_SPACE_INTERLEAVE) {
		if (said)
			return hmem_fail(space->ctx, -EINVAL,
					 "%s: parts that are interleaved have weights, no bytes",
					 space->name);
		return 0;
	}
	if (silent ? said + silent * SPACE_ALIGN > all : said != all)
		return hmem_fail(space->ctx, -EINVAL,
				 "%s: its parts have %llu bytes, the space has %llu", space->name,
				 (unsigned long long)said, (unsigned long long)all);
	for (uint32_t i = 0; i < n; i++)
		if (!parts[i].bytes) {
			parts[i].bytes = (all - said) / silent & ~(SPACE_ALIGN - 1);
			said += parts[i].bytes;
			silent--;
		}
	return 0;
}

static int settle_weights(struct hmem_space *space, struct space_part *parts, uint32_t n)
{
	struct hmem_layer_info layers[SPACE_PARTS];
	uint8_t weights[SPACE_PARTS];
	uint32_t silent = 0;
	int err;

	for (uint32_t i = 0; i < n; i++) {
		silent += !parts[i].weight;
		layers[i] = parts[i].layer;
	}
	if (!silent)
		return 0;
	if (silent < n)
		return hmem_fail(space->ctx, -EINVAL,
				 "%s: all of its parts have a weight, or none has", space->name);
	err = hmem_layer_weights(space->ctx, layers, n, weights);
	for (uint32_t i = 0; !err && i < n; i++)
		parts[i].weight = weights[i];
	return err;
}

static int map_parts(struct hmem_space *space, struct space_part *parts, uint32_t n)
{
	int err;

	if (space->flags & HMEM_SPACE_SHARED)
		return hmem_fail(space->ctx, -EINVAL,
				 "%s: system RAM is of this process alone; share a region, such as "
				 "hmem:NAME or file:/dev/shm/NAME",
				 space->name);
	for (uint32_t i = 0; i < n; i++)
		if (!is_node(&parts[i].layer))
			return hmem_fail(space->ctx, -EINVAL,
					 "%s: \"%s\" is no system RAM; a space of several parts has "
					 "no others",
					 space->name, parts[i].layer.name);
	err = settle_bytes(space, parts, n);
	if (!err && space->flags & HMEM_SPACE_INTERLEAVE)
		err = settle_weights(space, parts, n);
	return err ? err : space_map_nodes(space, parts, n);
}

static int check_ram_flags(struct hmem_space *space, const char *layer)
{
	if (space->flags & (HMEM_SPACE_POPULATE | HMEM_SPACE_PREFER | HMEM_SPACE_KEPT))
		return hmem_fail(space->ctx, -EINVAL,
				 "%s: \"%s\" is no system RAM, which alone is populated, kept, "
				 "or taken from other nodes",
				 space->name, layer);
	return 0;
}

static int map_layer(struct hmem_space *space, struct space_part *part)
{
	const char *rest = strchr(part->layer.name, ':');
	int err = check_ram_flags(space, part->layer.name);

	if (err)
		return err;
	switch (part->layer.kind) {
	case HMEM_LAYER_POOL:
	case HMEM_LAYER_FSDAX:
	case HMEM_LAYER_OTHER:
		if (!part->layer.provider[0])
			return hmem_fail(space->ctx, -EOPNOTSUPP,
					 "%s: layer \"%s\" was registered without memory: a node, or "
					 "a provider",
					 space->name, part->layer.name);
		if (space->flags & HMEM_SPACE_SHARED)
			return hmem_fail(space->ctx, -EINVAL,
					 "%s: nobody else would find what is made of \"%s\"; make a "
					 "region of it, and name that",
					 space->name, part->layer.name);
		if (part->layer.kind == HMEM_LAYER_FSDAX)
			return space_make_file(space, rest + 1);
		return space_make_region(space, part->layer.provider,
					 part->layer.kind == HMEM_LAYER_POOL ? rest + 1 : NULL);
	case HMEM_LAYER_REGION:
	case HMEM_LAYER_DAX:
		return space_map_region(space, part->layer.name, 0);
	default:
		return hmem_fail(space->ctx, -EOPNOTSUPP, "%s: \"%s\" has no memory for spaces",
				 space->name, part->layer.name);
	}
}

/* Regions that exist have what they have. */
static int check_bytes(struct hmem_space *space, const struct hmem_layer_info *layer,
		       uint64_t bytes)
{
	if (layer->kind == HMEM_LAYER_REGION || layer->kind == HMEM_LAYER_DAX)
		return 0;
	if (bytes < BYTES_MIN || bytes > INT64_MAX - SPACE_ALIGN)
		return hmem_fail(space->ctx, -EINVAL, "%s: a space has at least %u bytes, not %llu",
				 space->name, BYTES_MIN, (unsigned long long)bytes);
	return 0;
}

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

static int map_named_region(struct hmem_space *space, const struct hmem_space_options *use)
{
	int err = check_ram_flags(space, use->layer);

	return err ? err : space_map_region(space, use->layer, use->bytes);
}

/* Behind the others; those that do not fit are left out. */
static void name_layer(struct hmem_space *space, const char *layer)
{
	size_t has = strlen(space->layers);

	snprintf(space->layers + has, sizeof(space->layers) - has, "%s%s", has ? "+" : "", layer);
}

static int map_memory(struct hmem_space *space, const struct hmem_space_options *use)
{
	uint32_t n = use->parts ? use->nr_parts : 1;
	struct hmem_space_part part = { .layer = use->layer };
	struct space_part *parts;
	int err = 0;

	if (use->layer && is_region(use->layer)) {
		name_layer(space, use->layer);
		return map_named_region(space, use);
	}
	parts = calloc(n, sizeof(*parts));
	if (!parts)
		return hmem_fail(space->ctx, -ENOMEM, "no memory for the parts of %s", space->name);
	for (uint32_t i = 0; !err && i < n; i++) {
		if (use->parts)
			err = hmem_sized_read_element(space->ctx, "struct hmem_space_part", &part,
						      sizeof(part), FIRST_PART, use->parts, i,
						      use->part_size);
		if (!err)
			err = settle_part(space, &part, &parts[i]);
		if (!err)
			name_layer(space, parts[i].layer.name);
	}
	if (!err)
		err = check_bytes(space, &parts[0].layer, use->bytes);
	if (!err && (n > 1 || is_node(&parts[0].layer)))
		err = map_parts(space, parts, n);
	else if (!err)
		err = map_layer(space, &parts[0]);
	free(parts);
	return err;
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
	if (space->region)
		space_unmap_region(space);
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

static int do_space_create(struct hmem_ctx *ctx, const char *name,
			   const struct hmem_space_options *options, struct hmem_space **space)
{
	struct hmem_space_options use;
	struct hmem_space *new;
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
	new = new_space(ctx, name, use.bytes, use.flags);
	if (!new)
		return hmem_fail(ctx, -ENOMEM, "no memory for space %s", name);
	if (use.parts)
		new->nr_parts = use.nr_parts;
	err = set_up(new, map_memory(new, &use), use.limit);
	if (!err)
		*space = new;
	return err;
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
	name_layer(new, layer);
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
