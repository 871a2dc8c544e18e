// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What has been measured of layers, and is told of them from then on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctx.h"
#include "layers.h"

/*
 * Of one layer, for the processors of one node.
 * What was not measured has no origin.
 */
struct hmem_layer_measured {
	struct hmem_layer_measured *next;
	int initiator;
	struct hmem_figure read_latency;
	struct hmem_figure read_bandwidth;
	struct hmem_figure write_bandwidth;
	char name[HMEM_LAYER_NAME_MAX + 1];
};

static void set(struct hmem_figure *figure, const struct hmem_figure *measured)
{
	if (measured->origin == HMEM_ORIGIN_PROBE)
		*figure = *measured;
}

static struct hmem_layer_measured *find(struct hmem_ctx *ctx, const struct hmem_layer_info *layer)
{
	struct hmem_layer_measured *measured = ctx->measured;

	while (measured && (measured->initiator != layer->initiator ||
			    strcmp(measured->name, layer->name)))
		measured = measured->next;
	return measured;
}

int hmem_layers_remember(struct hmem_ctx *ctx, const struct hmem_layer_info *layer)
{
	struct hmem_layer_measured *fresh = calloc(1, sizeof(*fresh)), *measured;

	if (!fresh)
		return hmem_fail(ctx, -ENOMEM, "no memory for the figures of %s", layer->name);
	fresh->initiator = layer->initiator;
	snprintf(fresh->name, sizeof(fresh->name), "%s", layer->name);

	pthread_mutex_lock(&ctx->lock);
	measured = find(ctx, layer);
	if (!measured) {
		measured = fresh;
		fresh = NULL;
		measured->next = ctx->measured;
		ctx->measured = measured;
	}
	set(&measured->read_latency, &layer->read_latency);
	set(&measured->read_bandwidth, &layer->read_bandwidth);
	set(&measured->write_bandwidth, &layer->write_bandwidth);
	pthread_mutex_unlock(&ctx->lock);
	free(fresh);
	return 0;
}

int hmem_layers_measured(struct hmem_layers *layers)
{
	struct hmem_ctx *ctx = layers->ctx;

	/* Another machine's are not this one's, even where they have the same names. */
	if (*ctx->sysroot)
		return 0;
	pthread_mutex_lock(&ctx->lock);
	for (size_t i = 0; ctx->measured && i < layers->n; i++) {
		const struct hmem_layer_measured *measured = find(ctx, &layers->at[i]);

		if (!measured)
			continue;
		set(&layers->at[i].read_latency, &measured->read_latency);
		set(&layers->at[i].read_bandwidth, &measured->read_bandwidth);
		set(&layers->at[i].write_bandwidth, &measured->write_bandwidth);
	}
	pthread_mutex_unlock(&ctx->lock);
	return 0;
}

void hmem_layers_forget(struct hmem_ctx *ctx)
{
	while (ctx->measured) {
		struct hmem_layer_measured *measured = ctx->measured;

		ctx->measured = measured->next;
		free(measured);
	}
}
