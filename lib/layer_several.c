// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Layers as the processors of several nodes see them together: each figure is the mean of what
 * holds for each node, for their threads are as likely to run on one as on another.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctx.h"
#include "layers.h"

/* Those that hold for processors. */
#define N_FIGURES 5
static void figures_of(struct hmem_layer_info *layer, struct hmem_figure *figures[N_FIGURES])
{
	figures[0] = &layer->read_latency;
	figures[1] = &layer->write_latency;
	figures[2] = &layer->read_bandwidth;
	figures[3] = &layer->write_bandwidth;
	figures[4] = &layer->distance;
}

static int keep(void *arg, const struct hmem_layer_info *info)
{
	struct hmem_layer_info *layer = hmem_layers_add(arg);

	if (!layer)
		return -ENOMEM;
	*layer = *info;
	return 0;
}

/*
 * One more node has been asked: what it said of a layer is added. What is gone meanwhile it does
 * not know, and what is new the nodes before did not.
 */
static void add(struct hmem_layers *sums, struct hmem_layers *said)
{
	size_t n = 0;

	for (size_t i = 0; i < sums->n; i++) {
		struct hmem_figure *sum[N_FIGURES], *one[N_FIGURES];
		size_t j = 0;

		while (j < said->n && strcmp(said->at[j].name, sums->at[i].name))
			j++;
		if (j == said->n)
			continue;
		figures_of(&sums->at[i], sum);
		figures_of(&said->at[j], one);
		for (size_t f = 0; f < N_FIGURES; f++)
			if (!sum[f]->origin || !one[f]->origin)
				*sum[f] = (struct hmem_figure){ 0 };
			else if (__builtin_add_overflow(sum[f]->value, one[f]->value, &sum[f]->value))
				sum[f]->value = UINT64_MAX;
		sums->at[i].flags |= said->at[j].flags & HMEM_LAYER_LOCAL;
		sums->at[n++] = sums->at[i];
	}
	sums->n = n;
}

static void divide(struct hmem_layers *sums, size_t nr)
{
	for (size_t i = 0; i < sums->n; i++) {
		struct hmem_figure *figures[N_FIGURES];

		figures_of(&sums->at[i], figures);
		for (size_t f = 0; f < N_FIGURES; f++)
			figures[f]->value /= nr;
		sums->at[i].initiator = -1;
	}
}

int hmem_layers_of_several(struct hmem_layers *layers, const int *initiators, size_t nr)
{
	int err = hmem_layer_iterate(layers->ctx, initiators[0], keep, layers);

	for (size_t i = 1; !err && i < nr; i++) {
		struct hmem_layers said = { .ctx = layers->ctx };

		err = hmem_layer_iterate(layers->ctx, initiators[i], keep, &said);
		if (!err)
			add(layers, &said);
		free(said.at);
	}
	if (!err && nr > 1)
		divide(layers, nr);
	return err;
}
