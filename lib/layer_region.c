// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Layers that are mapped by a name: pools and regions of hmem.ko, and dax devices.
 *
 * What is published for the CXL region behind a pool or a dax device is of its devices and of the way
 * there (CDAT, HMAT; 6.9 and later); what the module measured when it attached the pool is preferred.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctx.h"
#include "layers.h"
#include "sysfs.h"

#include <hmem/pool.h>
#include <hmem/region.h>

#define POOLS "/sys/class/hmem_pool"

/* @pool: its figures, which are those of its regions, too */
static void learn_of_pool(struct hmem_layers *layers, const char *pool, const char *source,
			  struct hmem_layer_info *layer)
{
	const struct hmem_layer_info *node = hmem_layers_node(layers, layer->nid);
	char dir[PATH_MAX];
	uint64_t ns;

	if (*source) {
		hmem_layers_read_region(layers->ctx, source, layer);
	} else if (node) {
		/* A pool of system RAM is as fast as that. */
		layer->write_latency = node->write_latency;
		layer->read_bandwidth = node->read_bandwidth;
		layer->write_bandwidth = node->write_bandwidth;
	}
	if (!hmem_sysfs_path(layers->ctx, dir, POOLS "/%s", pool) &&
	    !hmem_sysfs_u64(dir, "home_ns", 10, &ns) && ns)
		layer->read_latency = hmem_figure(ns, HMEM_ORIGIN_MODULE);
	layer->distance = hmem_layers_distance(layers, layer->nid);
}

static int add_pool(void *arg, const struct hmem_pool_info *info)
{
	struct hmem_layers *layers = arg;
	struct hmem_layer_info *layer = hmem_layers_add(layers);

	if (!layer)
		return -ENOMEM;
	layer->kind = HMEM_LAYER_POOL;
	layer->flags = HMEM_LAYER_SHAREABLE | (info->persistent ? HMEM_LAYER_PERSISTENT : 0);
	layer->nid = info->nid;
	layer->capacity = hmem_figure(info->bytes, HMEM_ORIGIN_KERNEL);
	layer->free = hmem_figure(info->free_bytes, HMEM_ORIGIN_KERNEL);
	snprintf(layer->name, sizeof(layer->name), "pool:%s", info->name);
	snprintf(layer->device, sizeof(layer->device), "%s", info->source);
	snprintf(layer->provider, sizeof(layer->provider), "hmem");
	learn_of_pool(layers, info->name, info->source, layer);
	return 0;
}

/* A dax device: of the CXL region that it is, or of the node that its memory would be. */
static void learn_of_device(struct hmem_layers *layers, struct hmem_layer_info *layer)
{
	const char *slash = strrchr(layer->name, '/');
	char dir[PATH_MAX], path[PATH_MAX], part[HMEM_LAYER_NAME_MAX + 1];
	int nid;

	layer->distance = hmem_layers_distance(layers, layer->nid);
	if (!slash || hmem_sysfs_path(layers->ctx, dir, "/sys/bus/dax/devices/%s", slash + 1) ||
	    !realpath(dir, path))
		return;
	hmem_layers_part_of(path, "ndbus", part);
	if (!*part) {
		hmem_layers_part_of(path, "region", part);
		if (*part && hmem_layers_read_region(layers->ctx, part, layer)) {
			snprintf(layer->device, sizeof(layer->device), "%s", part);
			return;
		}
	}
	if (!hmem_sysfs_int(path, "target_node", &nid) &&
	    !hmem_sysfs_path(layers->ctx, dir, "/sys/devices/system/node/node%d", nid))
		hmem_layers_read_access(dir, layers->initiator, layer);
}

static int add_region(void *arg, const struct hmem_region_info *info)
{
	struct hmem_layers *layers = arg;
	bool dax = !strncmp(info->name, "dax:", 4);
	struct hmem_layer_info *layer;
	char pool[HMEM_LAYER_NAME_MAX + 1];

	if (!dax && strncmp(info->name, "hmem:", 5))
		return 0;
	layer = hmem_layers_add(layers);
	if (!layer)
		return -ENOMEM;
	layer->kind = dax ? HMEM_LAYER_DAX : HMEM_LAYER_REGION;
	layer->flags = HMEM_LAYER_SHAREABLE |
		       (info->caps & HMEM_CAP_PERSISTENT ? HMEM_LAYER_PERSISTENT : 0);
	layer->nid = info->nid;
	layer->capacity = hmem_figure(info->bytes, HMEM_ORIGIN_KERNEL);
	snprintf(layer->name, sizeof(layer->name), "%s", info->name);
	snprintf(layer->provider, sizeof(layer->provider), "%s", dax ? "dax" : "hmem");
	if (dax) {
		learn_of_device(layers, layer);
		return 0;
	}
	snprintf(pool, sizeof(pool), "pool:%s", info->pool);
	snprintf(layer->device, sizeof(layer->device), "%s", info->pool);
	for (size_t i = 0; i < layers->n; i++) {
		const struct hmem_layer_info *home = &layers->at[i];

		if (home->kind != HMEM_LAYER_POOL || strcmp(home->name, pool))
			continue;
		layer->read_latency = home->read_latency;
		layer->write_latency = home->write_latency;
		layer->read_bandwidth = home->read_bandwidth;
		layer->write_bandwidth = home->write_bandwidth;
		layer->distance = home->distance;
	}
	return 0;
}

int hmem_layers_of_regions(struct hmem_layers *layers)
{
	int err = hmem_pool_iterate(layers->ctx, add_pool, layers);

	return err ? err : hmem_region_iterate(layers->ctx, add_region, layers);
}
