// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What kind of memory the system RAM of a node is, when all that is known of it was gathered,
 * and its name.
 */
#include <stdio.h>

#include "layers.h"

/*
 * Memory of a node without processors with this many times the bandwidth of the processors' own
 * is on their package: HBM. Xeon Max has 2 to 3 times, MI300A and Grace have no other; two
 * channels more would be a third.
 */
#define HBM_BANDWIDTH(dram) ((dram) / 2 * 3)

/* Published, or else told to hwloc, for whoever is nearest: a kind is the same for everybody. */
static uint64_t bandwidth(const struct hmem_layers *layers, const struct hmem_layer_info *layer)
{
	uint64_t most = hmem_layers_most_bandwidth(layers->ctx, layer->nid);

	return most > layer->read_bandwidth.value ? most : layer->read_bandwidth.value;
}

static uint64_t own_bandwidth(const struct hmem_layers *layers)
{
	uint64_t most = 0;

	for (size_t i = 0; i < layers->n; i++)
		if (layers->at[i].flags & HMEM_LAYER_CPUS && bandwidth(layers, &layers->at[i]) > most)
			most = bandwidth(layers, &layers->at[i]);
	return most;
}

static enum hmem_layer_kind guess(const struct hmem_layers *layers,
				  const struct hmem_layer_info *layer, uint64_t own)
{
	if (own && !(layer->flags & HMEM_LAYER_CPUS) &&
	    bandwidth(layers, layer) >= HBM_BANDWIDTH(own))
		return HMEM_LAYER_HBM;
	return HMEM_LAYER_DRAM;
}

int hmem_layers_name_nodes(struct hmem_layers *layers)
{
	uint64_t own = own_bandwidth(layers);

	for (size_t i = 0; i < layers->n; i++) {
		struct hmem_layer_info *layer = &layers->at[i];

		if (!layer->kind)
			layer->kind = guess(layers, layer, own);
		snprintf(layer->name, sizeof(layer->name), "%s:%d",
			 hmem_layer_kind_name(layer->kind), layer->nid);
	}
	return 0;
}
