// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Choosing among layers: what will do, the best first, and the ratio in which to use several.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctx.h"
#include "layers.h"
#include "sized.h"
#include "uncancelled.h"

#define WANTED_SIZE_V1 sizeof(struct hmem_layer_wanted)

#define CAN_NEED \
	(HMEM_LAYER_PERSISTENT | HMEM_LAYER_LOCAL | HMEM_LAYER_SHAREABLE | HMEM_LAYER_CPUS)

#define WEIGHT_MAX 255

/* Bytes that can be had of it, as far as is known. */
static uint64_t room(const struct hmem_layer_info *layer)
{
	return layer->free.origin ? layer->free.value : layer->capacity.value;
}

bool hmem_layer_has_name(const struct hmem_layer_info *layer, const char *name)
{
	size_t length = strlen(name);

	return !strncmp(layer->name, name, length) &&
	       (!layer->name[length] || (layer->name[length] == ':' && !strchr(name, ':')));
}

static bool will_do(const struct hmem_layer_info *layer, const struct hmem_layer_wanted *wanted)
{
	uint32_t kinds = wanted->kinds;

	if (!kinds)
		kinds = wanted->name ? ~0u : ~HMEM_LAYER_KIND(HMEM_LAYER_POOL);
	return kinds & HMEM_LAYER_KIND(layer->kind) &&
	       (layer->flags & wanted->flags) == wanted->flags &&
	       !(layer->flags & HMEM_LAYER_FORBIDDEN) && room(layer) >= wanted->bytes &&
	       (!wanted->name || hmem_layer_has_name(layer, wanted->name));
}

/* Less than 0 when @a is the better one. @less: that is better. */
static int compare(const struct hmem_figure *a, const struct hmem_figure *b, bool less)
{
	if (!a->origin != !b->origin)
		return a->origin ? -1 : 1;
	if (a->value == b->value)
		return 0;
	return (a->value < b->value) == less ? -1 : 1;
}

static int by_order(const void *a, const void *b, void *arg)
{
	const struct hmem_layer_info *x = a, *y = b;
	uint64_t here = room(x), there = room(y);
	int better = 0;

	switch (*(const uint32_t *)arg) {
	case HMEM_LAYER_LATENCY:
		better = compare(&x->read_latency, &y->read_latency, true);
		break;
	case HMEM_LAYER_BANDWIDTH:
		better = compare(&x->read_bandwidth, &y->read_bandwidth, false);
		break;
	case HMEM_LAYER_CAPACITY:
		better = (here < there) - (here > there);
		break;
	}
	if (!better)
		better = compare(&x->distance, &y->distance, true);
	if (!better)
		better = (here < there) - (here > there);
	/* On every machine in one order. */
	return better ? better : strverscmp(x->name, y->name);
}

static int check(struct hmem_ctx *ctx, const struct hmem_layer_wanted *wanted)
{
	if (wanted->flags & ~CAN_NEED)
		return hmem_fail(ctx, -EINVAL, "choosing a layer: unknown flags %#x",
				 wanted->flags & ~CAN_NEED);
	if (wanted->order > HMEM_LAYER_CAPACITY)
		return hmem_fail(ctx, -EINVAL, "choosing a layer: there is no order %u",
				 wanted->order);
	return 0;
}

/* Which of @layers will do, to its beginning; returns how many. */
static size_t sift(struct hmem_layers *layers, const struct hmem_layer_wanted *wanted)
{
	size_t n = 0;

	for (size_t i = 0; i < layers->n; i++)
		if (will_do(&layers->at[i], wanted))
			layers->at[n++] = layers->at[i];
	return n;
}

int hmem_layers_select(struct hmem_ctx *ctx, const int *initiators, size_t nr_initiators,
		       const struct hmem_layer_wanted *wanted, struct hmem_layer_info *found,
		       size_t *nr)
{
	struct hmem_layer_wanted ours = HMEM_LAYER_WANTED_INIT;
	struct hmem_layers layers = { .ctx = ctx };
	int err = 0;

	if (!ctx)
		return -EINVAL;
	if (!nr)
		return hmem_fail(ctx, -EINVAL, "choosing a layer: no place for how many there are");
	if (wanted)
		err = hmem_sized_read(ctx, "struct hmem_layer_wanted", &ours, sizeof(ours),
				      WANTED_SIZE_V1, wanted);
	if (!err)
		err = check(ctx, &ours);
	for (size_t i = 0; !err && found && i < *nr; i++)
		err = hmem_sized_check(ctx, "struct hmem_layer_info", &found[i], HMEM_LAYER_INFO_SIZE_V1);
	if (!err && nr_initiators && ours.initiator != -1)
		err = hmem_fail(ctx, -EINVAL,
				"choosing a layer: the execution context says for whom, not an "
				"initiator");
	if (!err)
		err = nr_initiators ? hmem_layers_of_several(&layers, initiators, nr_initiators) :
				      hmem_layers_of_several(&layers, &ours.initiator, 1);
	if (err) {
		free(layers.at);
		return err;
	}
	layers.n = sift(&layers, &ours);
	qsort_r(layers.at, layers.n, sizeof(*layers.at), by_order, &ours.order);
	for (size_t i = 0; found && i < *nr && i < layers.n; i++)
		hmem_sized_write(&found[i], &layers.at[i], sizeof(layers.at[i]));
	*nr = layers.n;
	free(layers.at);
	if (!layers.n)
		return hmem_fail(ctx, -ENOENT,
				 "no layer is as wanted; `hmemctl list-layers` shows those there are");
	return 0;
}

int hmem_layer_select(struct hmem_ctx *ctx, const struct hmem_layer_wanted *wanted,
		      struct hmem_layer_info *found, size_t *nr)
{
	return UNCANCELLED(hmem_layers_select(ctx, NULL, 0, wanted, found, nr));
}

/* @value / @least * @rounds, rounded, from 1 to WEIGHT_MAX. */
static uint8_t weight(uint64_t value, uint64_t least, unsigned int rounds)
{
	unsigned __int128 scaled = ((unsigned __int128)value * rounds * 2 + least) / least / 2;

	return scaled < 1 ? 1 : scaled > WEIGHT_MAX ? WEIGHT_MAX : (uint8_t)scaled;
}

/* The most that one gets more or less than its share, in thousandths. */
static uint64_t error_of(const struct hmem_layer_info *layers, size_t nr, uint64_t least,
			 unsigned int rounds)
{
	uint64_t worst = 0;

	for (size_t i = 0; i < nr; i++) {
		unsigned __int128 exact = (unsigned __int128)layers[i].read_bandwidth.value * rounds;
		unsigned __int128 got = (unsigned __int128)least *
					weight(layers[i].read_bandwidth.value, least, rounds);
		uint64_t off = (uint64_t)((exact > got ? exact - got : got - exact) * 1000 / exact);

		if (off > worst)
			worst = off;
	}
	return worst;
}

int hmem_layer_weights(struct hmem_ctx *ctx, const struct hmem_layer_info *layers, size_t nr,
		       uint8_t *weights)
{
	unsigned int best = 1;
	uint64_t least = UINT64_MAX;

	if (!ctx)
		return -EINVAL;
	if (!layers || !nr || !weights)
		return hmem_fail(ctx, -EINVAL, "interleaving takes layers, and room for weights");
	for (size_t i = 0; i < nr; i++) {
		if (layers[i].size != sizeof(*layers))
			return hmem_fail(ctx, -EINVAL,
					 "interleaving layers: infos of another size than this "
					 "library's cannot be in an array");
		if (!layers[i].read_bandwidth.value)
			return hmem_fail(ctx, -ENODATA,
					 "interleaving layers: the bandwidth of %s is not known; "
					 "probe it, or give weights", layers[i].name);
		if (layers[i].read_bandwidth.value < least)
			least = layers[i].read_bandwidth.value;
	}
	for (unsigned int rounds = 1; rounds <= 32; rounds++) {
		if (error_of(layers, nr, least, rounds) < error_of(layers, nr, least, best))
			best = rounds;
		if (error_of(layers, nr, least, best) <= 50)
			break;
	}
	for (size_t i = 0; i < nr; i++)
		weights[i] = weight(layers[i].read_bandwidth.value, least, best);
	return 0;
}
