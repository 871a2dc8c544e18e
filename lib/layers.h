/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The layers of a machine while they are looked for: one file for each place where they, or what
 * is known of them, are found.
 */
#ifndef LIB_LAYERS_H
#define LIB_LAYERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hmem/layer.h>

/* The first published version: all of it. */
#define HMEM_LAYER_INFO_SIZE_V1 sizeof(struct hmem_layer_info)

/*
 * @initiator: node of the processors that ask; -1 until the nodes were looked for
 * @at: those of system RAM come first, their kinds are settled by hmem_layers_name_nodes()
 */
struct hmem_layers {
	struct hmem_ctx *ctx;
	int initiator;
	struct hmem_layer_info *at;
	size_t n;
	size_t room;
};

/* A new one with all its members zero but for nid, tier and initiator; NULL: no memory. */
struct hmem_layer_info *hmem_layers_add(struct hmem_layers *layers);

/* The layer of the system RAM of a node, or NULL. */
struct hmem_layer_info *hmem_layers_node(struct hmem_layers *layers, int nid);

/*
 * In this order. Each adds layers, or what it knows of those that are there; finding nothing is
 * no failure. 0 or a negative errno with a last error.
 */
int hmem_layers_of_nodes(struct hmem_layers *layers);
int hmem_layers_from_cxl(struct hmem_layers *layers);
int hmem_layers_from_hwloc(struct hmem_layers *layers);
int hmem_layers_name_nodes(struct hmem_layers *layers);
int hmem_layers_of_regions(struct hmem_layers *layers);
int hmem_layers_of_mounts(struct hmem_layers *layers);
int hmem_layers_registered(struct hmem_layers *layers);

int hmem_layers_measured(struct hmem_layers *layers);

/* As hmem_layer_register(); 0 also where the same was registered before, the same in all. */
int hmem_layer_register_once(struct hmem_ctx *ctx, const struct hmem_layer_info *info,
			     const char *scheme);

/* The registered ones, when the context goes. */
void hmem_layers_free(struct hmem_ctx *ctx);

/* -ENODEV, with a last error: it is no node with processors. */
int hmem_layers_check_initiator(struct hmem_ctx *ctx, int nid);

/*
 * All layers, with figures for the processors of several nodes: their mean, where it is known for
 * each. @layers has its context and nothing else.
 */
int hmem_layers_of_several(struct hmem_layers *layers, const int *initiators, size_t nr);

/* hmem_layer_select(), for these initiators instead of the one in @wanted; @nr 0: for that. */
int hmem_layers_select(struct hmem_ctx *ctx, const int *initiators, size_t nr_initiators,
		       const struct hmem_layer_wanted *wanted, struct hmem_layer_info *found,
		       size_t *nr);

/* What was measured of a layer: those of its figures that come from there. 0 or -ENOMEM. */
int hmem_layers_remember(struct hmem_ctx *ctx, const struct hmem_layer_info *layer);

/* All that, when the context goes. */
void hmem_layers_forget(struct hmem_ctx *ctx);

/* "cxl" is every name that begins with "cxl:". */
bool hmem_layer_has_name(const struct hmem_layer_info *layer, const char *name);

static inline struct hmem_figure hmem_figure(uint64_t value, enum hmem_origin origin)
{
	return (struct hmem_figure){ .value = value, .origin = origin };
}

/* Bandwidths of sysfs and hwloc are in 10^6 bytes a second. */
#define HMEM_BANDWIDTH_UNIT 1000000u

/*
 * The figures below the directory of a node, which are in one of its access classes, for the
 * processors of @initiator; false: none of that kind there.
 */
bool hmem_layers_read_access(const char *dir, int initiator, struct hmem_layer_info *layer);

/*
 * Those of a CXL region, "region0", for the processors that are nearest to it; of others the kernel
 * says nothing. false: nothing there.
 */
bool hmem_layers_read_region(struct hmem_ctx *ctx, const char *region,
			     struct hmem_layer_info *layer);

/* The part of the path @of, behind a slash, that begins with @letters; "" when there is none. */
void hmem_layers_part_of(const char *of, const char *letters, char part[HMEM_LAYER_NAME_MAX + 1]);

/* From the initiator. */
struct hmem_figure hmem_layers_distance(const struct hmem_layers *layers, int nid);

/* Bytes a second that the processors which read a node's memory best get; 0: not published. */
uint64_t hmem_layers_most_bandwidth(struct hmem_ctx *ctx, int nid);

#endif
