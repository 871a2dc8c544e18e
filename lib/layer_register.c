// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Layers that a caller constructs: his characteristics, and the provider that gives their memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctx.h"
#include "layers.h"
#include "printable.h"
#include "provider.h"
#include "sized.h"

/* The other flags follow from the node, and from who asks. */
#define CALLERS_FLAGS (HMEM_LAYER_PERSISTENT | HMEM_LAYER_SHAREABLE)

struct hmem_layer_entry {
	struct hmem_layer_entry *next;
	struct hmem_layer_info info;
};

/* All figures of a layer, for what is done with each. */
#define N_FIGURES 7
static void figures_of(struct hmem_layer_info *info, struct hmem_figure *figures[N_FIGURES])
{
	figures[0] = &info->capacity;
	figures[1] = &info->free;
	figures[2] = &info->read_latency;
	figures[3] = &info->write_latency;
	figures[4] = &info->read_bandwidth;
	figures[5] = &info->write_bandwidth;
	figures[6] = &info->distance;
}

/* Those from here on hold for some processors. */
#define FIRST_OF_INITIATOR 2

/* Is the text one that this library would show as it is? */
static bool is_printable(const char *text)
{
	char shown[HMEM_LAYER_NAME_MAX + 1];

	snprintf(shown, sizeof(shown), "%s", text);
	hmem_make_printable(shown);
	return !strcmp(shown, text);
}

static int check_text(struct hmem_ctx *ctx, const char *what,
		      const char text[HMEM_LAYER_NAME_MAX + 1])
{
	if (strnlen(text, HMEM_LAYER_NAME_MAX + 1) > HMEM_LAYER_NAME_MAX)
		return hmem_fail(ctx, -ENAMETOOLONG,
				 "registering a layer: the %s \"%.40s...\" has more than %d bytes",
				 what, text, HMEM_LAYER_NAME_MAX);
	if (!is_printable(text))
		return hmem_fail(ctx, -EINVAL,
				 "registering layer \"%s\": its %s has bytes that cannot be "
				 "printed", text, what);
	return 0;
}

static int check_name(struct hmem_ctx *ctx, const char *name)
{
	int err = check_text(ctx, "name", name);

	if (err)
		return err;
	if (!*name || *name == ':')
		return hmem_fail(ctx, -EINVAL,
				 "registering layer \"%s\": a name has at least one byte, and "
				 "before a colon as well", name);
	if (strchr(name, ','))
		return hmem_fail(ctx, -EINVAL,
				 "registering layer \"%s\": a comma stands between names of layers",
				 name);
	for (uint32_t kind = HMEM_LAYER_DRAM; kind < HMEM_LAYER_OTHER; kind++) {
		const char *others = hmem_layer_kind_name(kind);
		size_t length = strlen(others);

		if (!strncmp(name, others, length) && (!name[length] || name[length] == ':'))
			return hmem_fail(ctx, -EINVAL,
					 "registering layer \"%s\": \"%s\" is a kind that is found"
					 ", and not registered; choose another name", name, others);
	}
	return 0;
}

static int check_figures(struct hmem_ctx *ctx, struct hmem_layer_info *info)
{
	struct hmem_figure *figures[N_FIGURES];

	figures_of(info, figures);
	for (size_t i = 0; i < N_FIGURES; i++) {
		if (figures[i]->value && !figures[i]->origin)
			figures[i]->origin = HMEM_ORIGIN_CALLER;
		if (!hmem_origin_name(figures[i]->origin) || figures[i]->reserved)
			return hmem_fail(ctx, -EINVAL,
					 "registering layer \"%s\": a figure comes from nowhere "
					 "(origin %" PRIu32 ")", info->name, figures[i]->origin);
	}
	return 0;
}

static int check(struct hmem_ctx *ctx, struct hmem_layer_info *info, const char *scheme)
{
	int err = check_name(ctx, info->name);

	if (!err)
		err = check_text(ctx, "device", info->device);
	if (err)
		return err;
	if (info->kind && info->kind != HMEM_LAYER_OTHER)
		return hmem_fail(ctx, -EINVAL,
				 "registering layer \"%s\": its kind is HMEM_LAYER_OTHER, the "
				 "others are found", info->name);
	if (info->flags & ~CALLERS_FLAGS || info->reserved)
		return hmem_fail(ctx, -EINVAL,
				 "registering layer \"%s\": flags %#" PRIx32 " are not a caller's "
				 "to say", info->name, info->flags & ~CALLERS_FLAGS);
	if (info->nid < -1 || info->initiator < -1 || info->tier < -1)
		return hmem_fail(ctx, -EINVAL,
				 "registering layer \"%s\": there is no node %d, initiator %d or "
				 "tier %d; -1 is none", info->name, info->nid, info->initiator,
				 info->tier);
	if (scheme && !hmem_provider_find(ctx, scheme, strlen(scheme)))
		return hmem_fail(ctx, -EINVAL,
				 "registering layer \"%s\": no provider is called \"%.40s\"",
				 info->name, scheme);
	return check_figures(ctx, info);
}

static bool is_same(const struct hmem_layer_info *a, const struct hmem_layer_info *b)
{
	struct hmem_layer_info copies[2] = { *a, *b };
	struct hmem_figure *figures[2][N_FIGURES];

	for (int i = 0; i < 2; i++)
		figures_of(&copies[i], figures[i]);
	for (size_t i = 0; i < N_FIGURES; i++)
		if (figures[0][i]->value != figures[1][i]->value ||
		    figures[0][i]->origin != figures[1][i]->origin)
			return false;
	return a->flags == b->flags && a->nid == b->nid && a->initiator == b->initiator &&
	       a->tier == b->tier && !strcmp(a->device, b->device) &&
	       !strcmp(a->provider, b->provider);
}

/*
 * Into the list of the context, unless there is one of its name: -EEXIST, or -EALREADY where that
 * is the same in all.
 */
static int append(struct hmem_ctx *ctx, struct hmem_layer_entry *entry)
{
	struct hmem_layer_entry **end;
	int err = 0;

	pthread_mutex_lock(&ctx->lock);
	for (end = &ctx->layers; *end; end = &(*end)->next)
		if (!strcmp((*end)->info.name, entry->info.name))
			break;
	if (*end)
		err = is_same(&(*end)->info, &entry->info) ? -EALREADY : -EEXIST;
	else
		*end = entry;
	pthread_mutex_unlock(&ctx->lock);
	return err;
}

static int do_register(struct hmem_ctx *ctx, const struct hmem_layer_info *info,
		       const char *scheme)
{
	struct hmem_layer_entry *entry;
	int err;

	if (!ctx)
		return -EINVAL;
	if (!info)
		return hmem_fail(ctx, -EINVAL, "registering a layer takes what is known of it");
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return hmem_fail(ctx, -ENOMEM, "no memory for a layer");
	err = hmem_sized_read(ctx, "struct hmem_layer_info", &entry->info, sizeof(entry->info),
			      HMEM_LAYER_INFO_SIZE_V1, info);
	if (!err)
		err = check(ctx, &entry->info, scheme);
	if (err) {
		free(entry);
		return err;
	}
	entry->info.size = sizeof(entry->info);
	entry->info.kind = HMEM_LAYER_OTHER;
	memset(entry->info.provider, 0, sizeof(entry->info.provider));
	snprintf(entry->info.provider, sizeof(entry->info.provider), "%s", scheme ? scheme : "");

	err = append(ctx, entry);
	if (err) {
		hmem_fail(ctx, err, "there is a layer \"%s\" already", entry->info.name);
		free(entry);
	}
	return err;
}

int hmem_layer_register(struct hmem_ctx *ctx, const struct hmem_layer_info *info,
			const char *scheme)
{
	int err = do_register(ctx, info, scheme);

	return err == -EALREADY ? -EEXIST : err;
}

int hmem_layer_register_once(struct hmem_ctx *ctx, const struct hmem_layer_info *info,
			     const char *scheme)
{
	int err = do_register(ctx, info, scheme);

	return err == -EALREADY ? 0 : err;
}

/* It goes on without the lock: the list only ever grows at its end. */
static const struct hmem_layer_entry *at(struct hmem_ctx *ctx, struct hmem_layer_entry *const *link)
{
	const struct hmem_layer_entry *entry;

	pthread_mutex_lock(&ctx->lock);
	entry = *link;
	pthread_mutex_unlock(&ctx->lock);
	return entry;
}

/* What is not said of it, and what nobody can say who does not know who asks. */
static void complete(struct hmem_layers *layers, struct hmem_layer_info *layer)
{
	const struct hmem_layer_info *node = hmem_layers_node(layers, layer->nid);
	struct hmem_figure *theirs[N_FIGURES], *nodes[N_FIGURES];
	struct hmem_layer_info copy;

	figures_of(layer, theirs);
	if (layer->initiator >= 0 && layer->initiator != layers->initiator)
		for (size_t i = FIRST_OF_INITIATOR; i < N_FIGURES; i++)
			*theirs[i] = (struct hmem_figure){ 0 };
	layer->initiator = layers->initiator;
	if (!layer->distance.origin)
		layer->distance = hmem_layers_distance(layers, layer->nid);
	if (!node)
		return;
	layer->flags |= node->flags & (HMEM_LAYER_LOCAL | HMEM_LAYER_CPUS);
	if (*layer->provider)
		return;
	layer->flags |= node->flags & HMEM_LAYER_FORBIDDEN;
	copy = *node;
	figures_of(&copy, nodes);
	for (size_t i = 0; i < N_FIGURES; i++)
		if (!theirs[i]->origin)
			*theirs[i] = *nodes[i];
	if (layer->tier < 0)
		layer->tier = node->tier;
}

int hmem_layers_registered(struct hmem_layers *layers)
{
	const struct hmem_layer_entry *entry;

	for (entry = at(layers->ctx, &layers->ctx->layers); entry;
	     entry = at(layers->ctx, &entry->next)) {
		struct hmem_layer_info *layer = hmem_layers_add(layers);

		if (!layer)
			return -ENOMEM;
		*layer = entry->info;
		complete(layers, layer);
	}
	return 0;
}

void hmem_layers_free(struct hmem_ctx *ctx)
{
	while (ctx->layers) {
		struct hmem_layer_entry *entry = ctx->layers;

		ctx->layers = entry->next;
		free(entry);
	}
}
