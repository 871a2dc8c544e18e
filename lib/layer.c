// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Layers: looking for them all, and telling of each.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctx.h"
#include "layers.h"
#include "uncancelled.h"

struct hmem_layer_info *hmem_layers_add(struct hmem_layers *layers)
{
	struct hmem_layer_info *layer;

	if (layers->n == layers->room) {
		size_t room = layers->room ? 2 * layers->room : 16;
		void *more = reallocarray(layers->at, room, sizeof(*layers->at));

		if (!more) {
			hmem_fail(layers->ctx, -ENOMEM, "no memory for a list of layers");
			return NULL;
		}
		layers->at = more;
		layers->room = room;
	}
	layer = &layers->at[layers->n++];
	*layer = (struct hmem_layer_info){
		.size = sizeof(*layer),
		.nid = -1,
		.initiator = layers->initiator,
		.tier = -1,
	};
	return layer;
}

struct hmem_layer_info *hmem_layers_node(struct hmem_layers *layers, int nid)
{
	for (size_t i = 0; nid >= 0 && i < layers->n; i++)
		if (layers->at[i].nid == nid && layers->at[i].kind <= HMEM_LAYER_PMEM)
			return &layers->at[i];
	return NULL;
}

static int discover(struct hmem_layers *layers)
{
	static int (*const steps[])(struct hmem_layers *layers) = {
		hmem_layers_of_nodes,	hmem_layers_from_cxl,	hmem_layers_from_hwloc,
		hmem_layers_name_nodes, hmem_layers_of_regions, hmem_layers_of_mounts,
		hmem_layers_registered,	hmem_layers_measured,
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int err = steps[i](layers);

		if (err)
			return err;
	}
	return 0;
}

static int do_layer_iterate(struct hmem_ctx *ctx, int initiator,
			    int (*fn)(void *arg, const struct hmem_layer_info *info), void *arg)
{
	struct hmem_layers layers = { .ctx = ctx, .initiator = initiator };
	int err;

	if (!ctx)
		return -EINVAL;
	if (!fn)
		return hmem_fail(ctx, -EINVAL, "nobody to tell about the layers");
	if (initiator < -1)
		return hmem_fail(ctx, -EINVAL, "there is no NUMA node %d", initiator);
	err = discover(&layers);
	for (size_t i = 0; !err && i < layers.n; i++)
		err = fn(arg, &layers.at[i]);
	free(layers.at);
	return err;
}

int hmem_layer_iterate(struct hmem_ctx *ctx, int initiator,
		       int (*fn)(void *arg, const struct hmem_layer_info *info), void *arg)
{
	return UNCANCELLED(do_layer_iterate(ctx, initiator, fn, arg));
}

const char *hmem_layer_kind_name(uint32_t kind)
{
	static const char *const names[] = {
		[HMEM_LAYER_DRAM] = "dram",   [HMEM_LAYER_HBM] = "hbm",
		[HMEM_LAYER_CXL] = "cxl",     [HMEM_LAYER_PMEM] = "pmem",
		[HMEM_LAYER_POOL] = "pool",   [HMEM_LAYER_REGION] = "hmem",
		[HMEM_LAYER_DAX] = "dax",     [HMEM_LAYER_FSDAX] = "fsdax",
		[HMEM_LAYER_OTHER] = "other",
	};

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : NULL;
}

const char *hmem_origin_name(uint32_t origin)
{
	static const char *const names[] = {
		[HMEM_ORIGIN_NONE] = "none",	       [HMEM_ORIGIN_KERNEL] = "kernel",
		[HMEM_ORIGIN_FIRMWARE] = "firmware",   [HMEM_ORIGIN_SLIT] = "slit",
		[HMEM_ORIGIN_HWLOC] = "hwloc",	       [HMEM_ORIGIN_MODULE] = "module",
		[HMEM_ORIGIN_PROBE] = "probe",	       [HMEM_ORIGIN_CALLER] = "caller",
	};

	return origin < sizeof(names) / sizeof(names[0]) ? names[origin] : NULL;
}
