// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Spaces: of which layers and regions their memory is, and how many bytes of each.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctx.h"
#include "layers.h"
#include "region.h"
#include "sized.h"
#include "space.h"

#define FIRST_PART	sizeof(struct hmem_space_part)
#define BYTES_MIN	(64u << 10)

static bool is_node(const struct hmem_layer_info *layer)
{
	if (layer->kind == HMEM_LAYER_OTHER)
		return layer->nid >= 0 && !layer->provider[0];
	return layer->kind >= HMEM_LAYER_DRAM && layer->kind <= HMEM_LAYER_PMEM;
}

/* Regions that exist have what they have; of one by its name more may be wanted. */
static bool is_there(const struct space_part *part)
{
	return part->layer.kind == HMEM_LAYER_REGION || part->layer.kind == HMEM_LAYER_DAX;
}

/* --- what was asked for -------------------------------------------------------------- */

/* Names of regions are no layers where they are files. */
static bool is_region(const char *name)
{
	return strchr(name, '/') && strncmp(name, "fsdax:", 6);
}

static int forbids(void *name, const struct hmem_layer_info *layer)
{
	return layer->flags & HMEM_LAYER_FORBIDDEN && hmem_layer_has_name(layer, name);
}

static int find_layer(struct hmem_space *space, const char *name, struct hmem_layer_info *layer)
{
	struct hmem_layer_wanted wanted = HMEM_LAYER_WANTED_INIT;
	size_t one = 1;
	int err;

	wanted.name = name;
	layer->size = sizeof(*layer);
	err = hmem_layer_select(space->ctx, &wanted, layer, &one);
	if (err != -ENOENT)
		return err;
	if (hmem_layer_iterate(space->ctx, -1, forbids, (void *)name) == 1)
		return hmem_fail(space->ctx, -EPERM,
				 "%s: the cpuset of this process keeps it from layer \"%s\"; see "
				 "Mems_allowed in /proc/self/status",
				 space->name, name);
	return hmem_fail(space->ctx, -ENOENT,
			 "%s: there is no layer \"%s\" here; hmemctl list-layers shows those that "
			 "there are",
			 space->name, name);
}

static int settle_part(struct hmem_space *space, const struct hmem_space_part *from,
		       struct space_part *part)
{
	static const struct hmem_layer_info unknown = HMEM_LAYER_INFO_INIT;
	const char *name = from->layer ? from->layer : "dram";

	if (from->reserved)
		return hmem_fail(space->ctx, -EINVAL, "%s: what is reserved in a part is not zero",
				 space->name);
	if (from->bytes > INT64_MAX / SPACE_PARTS - SPACE_ALIGN)
		return hmem_fail(space->ctx, -EINVAL, "%s: its parts have too many bytes",
				 space->name);
	part->bytes = (from->bytes + SPACE_ALIGN - 1) & ~(SPACE_ALIGN - 1);
	part->weight = from->weight;
	if (!is_region(name))
		return find_layer(space, name, &part->layer);
	part->layer = unknown;
	part->layer.kind = HMEM_LAYER_REGION;
	part->named = name;
	snprintf(part->layer.name, sizeof(part->layer.name), "%s", name);
	return 0;
}

/* Behind the others; those that do not fit are left out. */
void space_name_layer(struct hmem_space *space, const char *layer)
{
	size_t has = strlen(space->layers);

	snprintf(space->layers + has, sizeof(space->layers) - has, "%s%s", has ? "+" : "", layer);
}

static int check_bytes(struct hmem_space *space, uint64_t bytes)
{
	if (bytes < BYTES_MIN || bytes > INT64_MAX - SPACE_ALIGN)
		return hmem_fail(space->ctx, -EINVAL, "%s: a space has at least %u bytes, not %llu",
				 space->name, BYTES_MIN, (unsigned long long)bytes);
	return 0;
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

static int check_shared(struct hmem_space *space, const struct space_part *part)
{
	if (space->flags & HMEM_SPACE_SHARED && !is_there(part))
		return hmem_fail(space->ctx, -EINVAL,
				 "%s: nobody else would find what is made of \"%s\"; make a region "
				 "of it, and name that",
				 space->name, part->layer.name);
	return 0;
}

/* --- regions ------------------------------------------------------------------------- */

/* @bytes: of a region that is made. Else what it shall have, or 0. */
static int have_region(struct hmem_space *space, struct space_part *part, uint64_t bytes)
{
	const char *rest = strchr(part->layer.name, ':');
	int err;

	switch (part->layer.kind) {
	case HMEM_LAYER_POOL:
	case HMEM_LAYER_FSDAX:
	case HMEM_LAYER_OTHER:
		if (!part->layer.provider[0])
			return hmem_fail(space->ctx, -EOPNOTSUPP,
					 "%s: layer \"%s\" was registered without memory: a node, or "
					 "a provider",
					 space->name, part->layer.name);
		if (part->layer.kind == HMEM_LAYER_FSDAX)
			err = space_make_file(space, rest + 1, bytes);
		else
			err = space_make_region(space, part->layer.provider,
						part->layer.kind == HMEM_LAYER_POOL ? rest + 1 :
										      NULL,
						bytes);
		break;
	case HMEM_LAYER_REGION:
	case HMEM_LAYER_DAX:
		err = part->named ? space_open_region(space, part->named, bytes) :
				    space_open_region(space, part->layer.name, 0);
		break;
	default:
		return hmem_fail(space->ctx, -EOPNOTSUPP, "%s: \"%s\" has no memory for spaces",
				 space->name, part->layer.name);
	}
	if (!err)
		part->region = space->regions[space->nr_regions - 1].region;
	return err;
}

/* The only part, all of whose region is the space. */
static int map_alone(struct hmem_space *space, struct space_part *part, uint64_t bytes)
{
	int err = check_ram_flags(space, part->layer.name);

	if (!err && !is_there(part))
		err = check_bytes(space, bytes);
	if (!err)
		err = check_shared(space, part);
	if (!err)
		err = have_region(space, part, is_there(part) ? bytes : space->bytes);
	if (!err)
		err = space_map_region(space);
	if (!err && space->fit && bytes > space->bytes)
		return hmem_fail(space->ctx, -ENOSPC, "%s: \"%s\" has %llu bytes, not %llu",
				 space->name, part->layer.name, (unsigned long long)space->bytes,
				 (unsigned long long)bytes);
	return err;
}

/* --- several parts ------------------------------------------------------------------- */

static int check_parts(struct hmem_space *space, const struct space_part *parts, uint32_t n)
{
	if (space->flags & HMEM_SPACE_SHARED)
		return hmem_fail(space->ctx, -EINVAL,
				 "%s: system RAM is of this process alone, and of regions one is "
				 "shared, such as hmem:NAME or file:/dev/shm/NAME; one of hmem.ko may "
				 "be of several pools",
				 space->name);
	for (uint32_t i = 0; i < n; i++) {
		int err = is_node(&parts[i].layer) ? 0 :
						     check_ram_flags(space, parts[i].layer.name);

		if (err)
			return err;
	}
	return 0;
}

/* What is in one that is there; its last bytes are left, where they are less than a large page. */
static int open_part(struct hmem_space *space, struct space_part *part)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	int err = have_region(space, part, part->bytes);

	if (!err)
		err = hmem_region_get_info(part->region, &info);
	if (err)
		return err;
	for (uint32_t i = 0; i + 1 < space->nr_regions; i++)
		if (hmem_region_is_same(space->regions[i].region, part->region))
			return hmem_fail(space->ctx, -EINVAL,
					 "%s: \"%s\" and \"%s\" are one region, of which a space has "
					 "one part",
					 space->name, hmem_region_name(space->regions[i].region),
					 part->layer.name);
	part->has = info.bytes & ~(SPACE_ALIGN - 1);
	if (!part->has)
		return hmem_fail(space->ctx, -EINVAL,
				 "%s: \"%s\" has %llu bytes, a part has %llu at least", space->name,
				 part->layer.name, (unsigned long long)info.bytes,
				 (unsigned long long)SPACE_ALIGN);
	if (!part->bytes && !(space->flags & HMEM_SPACE_INTERLEAVE))
		part->bytes = part->has;
	return 0;
}

static int settle_bytes(struct hmem_space *space, struct space_part *parts, uint32_t n,
			uint64_t bytes)
{
	uint64_t said = 0;
	uint32_t silent = 0;
	int err;

	for (uint32_t i = 0; i < n; i++) {
		said += parts[i].bytes;
		silent += !parts[i].bytes;
	}
	/* All of them are known: so is the whole. */
	if (!bytes && !silent)
		space->bytes = bytes = said;
	err = check_bytes(space, bytes);
	if (err)
		return err;
	if (space->flags & HMEM_SPACE_INTERLEAVE) {
		if (said)
			return hmem_fail(space->ctx, -EINVAL,
					 "%s: parts that are interleaved have weights, no bytes",
					 space->name);
		return 0;
	}
	if (silent && said + silent * SPACE_ALIGN > space->bytes)
		return hmem_fail(space->ctx, -EINVAL,
				 "%s: of its %llu bytes other parts have %llu, so %s left for the %u that "
				 "do not say how many they have, of 2 MiB at least each; give those bytes, "
				 "or the space more",
				 space->name, (unsigned long long)space->bytes, (unsigned long long)said,
				 said < space->bytes ? "too little is" : "nothing is", silent);
	if (!silent && said != space->bytes)
		return hmem_fail(space->ctx, -EINVAL,
				 "%s: its parts have %llu bytes, the space has %llu", space->name,
				 (unsigned long long)said, (unsigned long long)space->bytes);
	for (uint32_t i = 0; i < n; i++)
		if (!parts[i].bytes) {
			parts[i].bytes = (space->bytes - said) / silent & ~(SPACE_ALIGN - 1);
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

/* The rest of the regions, now that it is known how large they shall be. */
static int have_regions(struct hmem_space *space, struct space_part *parts, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct space_part *part = &parts[i];
		int err;

		if (part->has && part->bytes > part->has)
			return hmem_fail(space->ctx, -ENOSPC, "%s: \"%s\" has %llu bytes, not %llu",
					 space->name, part->layer.name,
					 (unsigned long long)part->has,
					 (unsigned long long)part->bytes);
		if (part->region || is_node(&part->layer) || !part->bytes)
			continue;
		err = have_region(space, part, part->bytes);
		if (err)
			return err;
	}
	return 0;
}

static int map_parts(struct hmem_space *space, struct space_part *parts, uint32_t n,
		     uint64_t bytes)
{
	int err = check_parts(space, parts, n);

	for (uint32_t i = 0; !err && i < n; i++)
		if (is_there(&parts[i]))
			err = open_part(space, &parts[i]);
	if (!err)
		err = settle_bytes(space, parts, n, bytes);
	if (!err && space->flags & HMEM_SPACE_INTERLEAVE) {
		err = settle_weights(space, parts, n);
		if (!err)
			space_share_out(space, parts, n);
	}
	if (!err)
		err = have_regions(space, parts, n);
	if (!err && space->fit)
		err = space_check_room(space, parts, n);
	return err ? err : space_map_parts(space, parts, n);
}

int space_map_memory(struct hmem_space *space, const struct hmem_space_options *use)
{
	uint32_t n = use->parts ? use->nr_parts : 1;
	struct hmem_space_part part = { .layer = use->layer };
	struct space_part *parts = calloc(n, sizeof(*parts));
	int err = 0;

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
			space_name_layer(space, parts[i].layer.name);
	}
	/* One that says how much of it is laid out as one of several are. */
	if (!err && n == 1 && !is_node(&parts[0].layer) &&
	    (!parts[0].bytes || space->flags & HMEM_SPACE_SHARED))
		err = map_alone(space, &parts[0], use->bytes);
	else if (!err)
		err = map_parts(space, parts, n, use->bytes);
	free(parts);
	return err;
}
