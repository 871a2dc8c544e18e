// SPDX-License-Identifier: GPL-2.0-only
#include "layer_list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

static int add(void *arg, const struct hmem_layer_info *info)
{
	struct layer_list *list = arg;

	if (list->n == list->room) {
		size_t room = list->room ? 2 * list->room : 16;
		void *more = reallocarray(list->at, room, sizeof(*list->at));

		if (!more)
			return -ENOMEM;
		list->at = more;
		list->room = room;
	}
	list->at[list->n++] = *info;
	list->initiator = info->initiator;
	return 0;
}

int layer_list_get(struct hmem_ctx *ctx, int initiator, struct layer_list *list)
{
	int err;

	*list = (struct layer_list){ .initiator = initiator };
	err = hmem_layer_iterate(ctx, initiator, add, list);
	if (err)
		layer_list_put(list);
	return err;
}

void layer_list_put(struct layer_list *list)
{
	free(list->at);
	*list = (struct layer_list){ .initiator = -1 };
}

const struct hmem_layer_info *layer_list_find(const struct layer_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->at[i].name, name))
			return &list->at[i];
	return NULL;
}

const struct hmem_layer_info *layer_list_home(const struct layer_list *list,
					      const struct hmem_layer_info *layer)
{
	char pool[LAYER_TEXT_MAX];

	if (layer->kind != HMEM_LAYER_REGION)
		return NULL;
	snprintf(pool, sizeof(pool), "pool:%s", layer->device);
	return layer_list_find(list, pool);
}

const char *layer_way(const struct hmem_layer_info *layer, char text[LAYER_WAY_MAX])
{
	const struct hmem_figure *latency = &layer->read_latency;
	const struct hmem_figure *bandwidth = &layer->read_bandwidth;
	int n = 0;

	*text = '\0';
	if (latency->origin)
		n = snprintf(text, LAYER_WAY_MAX, "%" PRIu64 " ns", latency->value);
	if (bandwidth->origin)
		snprintf(text + n, LAYER_WAY_MAX - (size_t)n, "%s%.1f GB/s", n ? ", " : "",
			 (double)bandwidth->value / 1e9);
	if (!*text && layer->distance.origin)
		snprintf(text, LAYER_WAY_MAX, "distance %" PRIu64, layer->distance.value);
	return text;
}

static void append(char text[LAYER_TEXT_MAX], const char *word)
{
	size_t n = strlen(text);

	snprintf(text + n, LAYER_TEXT_MAX - n, "%s%s", n ? ", " : "", word);
}

const char *layer_about(const struct hmem_layer_info *layer, char text[LAYER_TEXT_MAX])
{
	char tier[32];

	*text = '\0';
	if (*layer->device)
		append(text, layer->device);
	if (layer->flags & HMEM_LAYER_LOCAL)
		append(text, "local");
	if (layer->flags & HMEM_LAYER_CPUS)
		append(text, "processors");
	if (layer->flags & HMEM_LAYER_PERSISTENT)
		append(text, "persistent");
	snprintf(tier, sizeof(tier), "tier %d", layer->tier);
	if (layer->tier >= 0)
		append(text, tier);
	if (layer->flags & HMEM_LAYER_FORBIDDEN)
		append(text, "not allowed");
	return text;
}

void layer_printable(char *text, bool ascii)
{
	bool all = !ascii && json_is_text(text);

	for (unsigned char *c = (unsigned char *)text; *c; c++)
		if (*c < ' ' || *c == 127 || (*c >= 128 && !all))
			*c = '?';
}
