// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What hwloc knows of nodes: figures that somebody told it (an XML file, $HWLOC_MEMATTRS_FILE),
 * where the kernel has none, and what kind of memory it takes a node's for.
 *
 * Loaded when it is there; without it the kernel's own figures have to do. Below a sysroot hwloc
 * reads /hwloc.xml there, as `lstopo hwloc.xml` writes it, where there is one.
 */
#include <dlfcn.h>
#include <errno.h>
#include <hwloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctx.h"
#include "layers.h"
#include "sysfs.h"

#define LIBRARY "libhwloc.so.15"

/* The functions of hwloc that are used, each with the type that its header gives it. */
#define FUNCTIONS(_)                \
	_(get_api_version)          \
	_(topology_init)            \
	_(topology_destroy)         \
	_(topology_load)            \
	_(topology_set_xml)         \
	_(topology_set_all_types_filter) \
	_(get_type_depth)           \
	_(get_obj_by_depth)         \
	_(memattr_get_value)

#define MEMBER(name) __typeof__(hwloc_##name) *(name);

struct hwloc {
	void *library;
	FUNCTIONS(MEMBER)
};

static bool load(struct hmem_ctx *ctx, struct hwloc *hwloc)
{
	/* Kept until the process ends: it is loaded again and again. */
	hwloc->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!hwloc->library) {
		hmem_log(ctx, HMEM_LOG_INFO, "hwloc is left out: %s", dlerror());
		return false;
	}
#define LOOK_UP(name)                                                 \
	hwloc->name = dlsym(hwloc->library, "hwloc_" #name);          \
	if (!hwloc->name)                                             \
		goto unknown;
	FUNCTIONS(LOOK_UP)
	/* Another major version may have other structs. */
	if (hwloc->get_api_version() >> 16 == HWLOC_API_VERSION >> 16)
		return true;
unknown:
	hmem_log(ctx, HMEM_LOG_INFO, "hwloc is left out: " LIBRARY " is not the one known here");
	dlclose(hwloc->library);
	return false;
}

static hwloc_obj_t find_node(const struct hwloc *hwloc, hwloc_topology_t topology, int nid)
{
	int depth = hwloc->get_type_depth(topology, HWLOC_OBJ_NUMANODE);
	hwloc_obj_t node;

	for (unsigned int i = 0; (node = hwloc->get_obj_by_depth(topology, depth, i)); i++)
		if ((int)node->os_index == nid)
			return node;
	return NULL;
}

/* "MemoryTier" and "MemoryModule" of hwloc, to what is called a kind here; 0: it does not say. */
static uint32_t kind_of(const char *subtype)
{
	static const struct {
		const char *subtype;
		enum hmem_layer_kind kind;
	} kinds[] = {
		{ "DRAM", HMEM_LAYER_DRAM },	 { "HBM", HMEM_LAYER_HBM },
		{ "MCDRAM", HMEM_LAYER_HBM },	 { "NVM", HMEM_LAYER_PMEM },
		{ "CXL-DRAM", HMEM_LAYER_CXL }, { "CXL-NVM", HMEM_LAYER_CXL },
	};

	for (size_t i = 0; subtype && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(subtype, kinds[i].subtype))
			return kinds[i].kind;
	return 0;
}

static void learn(const struct hwloc *hwloc, hwloc_topology_t topology, struct hmem_layers *layers)
{
	hwloc_obj_t from = find_node(hwloc, topology, layers->initiator);

	for (size_t i = 0; i < layers->n; i++) {
		struct hmem_layer_info *layer = &layers->at[i];
		const struct {
			hwloc_memattr_id_t id;
			uint64_t unit;
			struct hmem_figure *figure;
		} attributes[] = {
			{ HWLOC_MEMATTR_ID_READ_LATENCY, 1, &layer->read_latency },
			{ HWLOC_MEMATTR_ID_LATENCY, 1, &layer->read_latency },
			{ HWLOC_MEMATTR_ID_WRITE_LATENCY, 1, &layer->write_latency },
			{ HWLOC_MEMATTR_ID_LATENCY, 1, &layer->write_latency },
			{ HWLOC_MEMATTR_ID_READ_BANDWIDTH, HMEM_BANDWIDTH_UNIT,
			  &layer->read_bandwidth },
			{ HWLOC_MEMATTR_ID_BANDWIDTH, HMEM_BANDWIDTH_UNIT, &layer->read_bandwidth },
			{ HWLOC_MEMATTR_ID_WRITE_BANDWIDTH, HMEM_BANDWIDTH_UNIT,
			  &layer->write_bandwidth },
			{ HWLOC_MEMATTR_ID_BANDWIDTH, HMEM_BANDWIDTH_UNIT,
			  &layer->write_bandwidth },
		};
		hwloc_obj_t node = find_node(hwloc, topology, layer->nid);

		if (!node)
			continue;
		if (!layer->kind)
			layer->kind = kind_of(node->subtype);
		if (!from || !from->cpuset)
			continue;
		for (size_t a = 0; a < sizeof(attributes) / sizeof(attributes[0]); a++) {
			struct hwloc_location initiator = {
				.type = HWLOC_LOCATION_TYPE_CPUSET,
				.location.cpuset = from->cpuset,
			};
			hwloc_uint64_t value;

			if (attributes[a].figure->origin != HMEM_ORIGIN_FIRMWARE &&
			    attributes[a].figure->origin != HMEM_ORIGIN_HWLOC &&
			    !hwloc->memattr_get_value(topology, attributes[a].id, node, &initiator,
						      0, &value) &&
			    value && value <= UINT64_MAX / attributes[a].unit)
				*attributes[a].figure = hmem_figure(value * attributes[a].unit,
								    HMEM_ORIGIN_HWLOC);
		}
	}
}

int hmem_layers_from_hwloc(struct hmem_layers *layers)
{
	struct hmem_ctx *ctx = layers->ctx;
	char path[PATH_MAX] = "";
	hwloc_topology_t topology;
	struct hwloc hwloc;

	if (*ctx->sysroot &&
	    (hmem_sysfs_path(ctx, path, "/hwloc.xml") || access(path, R_OK)))
		return 0;
	if (!load(ctx, &hwloc) || hwloc.topology_init(&topology))
		return 0;
	if ((!*path || !hwloc.topology_set_xml(topology, path)) &&
	    !hwloc.topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE) &&
	    !hwloc.topology_load(topology))
		learn(&hwloc, topology, layers);
	else
		hmem_log(ctx, HMEM_LOG_INFO, "hwloc is left out: it does not understand %s",
			 *path ? path : "this machine");
	hwloc.topology_destroy(topology);
	dlclose(hwloc.library);
	return 0;
}
