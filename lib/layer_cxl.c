// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which nodes' system RAM is CXL memory, or persistent memory: what a dax device made system RAM
 * of, and what lies in the address range of a CXL region that the firmware set up.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctx.h"
#include "layers.h"
#include "sysfs.h"

#define REGIONS "/sys/bus/cxl/devices"
#define DEVICES "/sys/bus/dax/devices"

static void is_of(struct hmem_layer_info *layer, enum hmem_layer_kind kind, const char *device)
{
	layer->kind = kind;
	snprintf(layer->device, sizeof(layer->device), "%s", device);
}

void hmem_layers_part_of(const char *of, const char *letters, char part[HMEM_LAYER_NAME_MAX + 1])
{
	char slashed[32];
	const char *at;
	int length;

	snprintf(slashed, sizeof(slashed), "/%s", letters);
	at = strstr(of, slashed);
	length = at ? (int)strcspn(at + 1, "/") : 0;
	snprintf(part, HMEM_LAYER_NAME_MAX + 1, "%.*s", length, at ? at + 1 : "");
}

/* A dax device of which kmem made system RAM: its path names what it is part of. */
static int visit_device(void *arg, const char *dir, const char *name)
{
	struct hmem_layers *layers = arg;
	char path[PATH_MAX], driver[PATH_MAX], part[HMEM_LAYER_NAME_MAX + 1];
	struct hmem_layer_info *layer;
	int nid;

	(void)name;
	if (snprintf(path, sizeof(path), "%s/driver", dir) >= (int)sizeof(path) ||
	    !realpath(path, driver) || strcmp(basename(driver), "kmem") ||
	    hmem_sysfs_int(dir, "target_node", &nid) || !realpath(dir, path))
		return 0;
	layer = hmem_layers_node(layers, nid);
	if (!layer)
		return 0;
	hmem_layers_part_of(path, "ndbus", part);
	if (*part) {
		is_of(layer, HMEM_LAYER_PMEM, name);
		return 0;
	}
	hmem_layers_part_of(path, "region", part);
	if (*part)
		is_of(layer, HMEM_LAYER_CXL, part);
	else
		/* Set aside by the firmware for a purpose that it does not say. */
		snprintf(layer->device, sizeof(layer->device), "%s", name);
	return 0;
}

/*
 * @start, @bytes: of a CXL region
 * @block: bytes in a block of memory that can be taken offline, whose number is its address
 */
struct range {
	struct hmem_layers *layers;
	struct hmem_layer_info *layer;
	uint64_t start;
	uint64_t bytes;
	uint64_t block;
};

/* Does a node have a block of memory in the range? */
static int visit_block(void *arg, const char *dir, const char *name)
{
	struct range *range = arg;
	uint64_t number;
	char *end;

	(void)dir;
	if (strncmp(name, "memory", 6) || name[6] < '0' || name[6] > '9')
		return 0;
	number = strtoull(name + 6, &end, 10);
	return !*end && number <= UINT64_MAX / range->block &&
	       number * range->block >= range->start &&
	       number * range->block - range->start < range->bytes;
}

static int visit_region(void *arg, const char *dir, const char *name)
{
	struct range *range = arg;
	struct hmem_layers *layers = range->layers;

	if (strncmp(name, "region", 6) || hmem_sysfs_u64(dir, "resource", 0, &range->start) ||
	    hmem_sysfs_u64(dir, "size", 0, &range->bytes))
		return 0;
	for (size_t i = 0; i < layers->n; i++) {
		char path[64];
		int in;

		if (layers->at[i].kind)
			continue;
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", layers->at[i].nid);
		in = hmem_sysfs_each(layers->ctx, path, visit_block, range);
		if (in < 0)
			return in;
		if (in)
			is_of(&layers->at[i], HMEM_LAYER_CXL, name);
	}
	return 0;
}

int hmem_layers_from_cxl(struct hmem_layers *layers)
{
	struct range range = { .layers = layers };
	char dir[PATH_MAX];
	int err = hmem_sysfs_each(layers->ctx, DEVICES, visit_device, layers);

	if (err)
		return err;
	if (hmem_sysfs_path(layers->ctx, dir, "/sys/devices/system/memory") ||
	    hmem_sysfs_u64(dir, "block_size_bytes", 16, &range.block) || !range.block)
		return 0;
	return hmem_sysfs_each(layers->ctx, REGIONS, visit_region, &range);
}
