/* SPDX-License-Identifier: GPL-2.0-only */
/* All layers at once, for who looks at one beside another, and what is written beside them. */
#ifndef HMEMCTL_LAYER_LIST_H
#define HMEMCTL_LAYER_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <hmem/layer.h>

/**
 * struct layer_list - layers as the processors of one node see them
 * @initiator: that node
 * @at: @n of them
 */
struct layer_list {
	int initiator;
	struct hmem_layer_info *at;
	size_t n;
	size_t room;
};

/** layer_list_get - look for them. Return: 0, or the library's error; then the list is empty. */
int layer_list_get(struct hmem_ctx *ctx, int initiator, struct layer_list *list);
void layer_list_put(struct layer_list *list);

/** layer_list_find - the one of that name, or NULL */
const struct hmem_layer_info *layer_list_find(const struct layer_list *list, const char *name);

/** layer_list_home - of a region, its pool, when it is in the list, else NULL */
const struct hmem_layer_info *layer_list_home(const struct layer_list *list,
					      const struct hmem_layer_info *layer);

#define LAYER_WAY_MAX 64

/** layer_way - "110 ns, 262.1 GB/s", "distance 21" where neither is known, or "" */
const char *layer_way(const struct hmem_layer_info *layer, char text[LAYER_WAY_MAX]);

/* Longest of its texts. */
#define LAYER_TEXT_MAX (2 * HMEM_LAYER_NAME_MAX)

/** layer_about - "region0, local, processors, persistent, tier 4": what it is, in words */
const char *layer_about(const struct hmem_layer_info *layer, char text[LAYER_TEXT_MAX]);

/** layer_printable - names may be any bytes: one line, in ASCII or else in UTF-8 */
void layer_printable(char *text, bool ascii);

/** layer_dot - a graph for Graphviz: processors, memory, and the ways between them */
void layer_dot(FILE *to, const struct layer_list *lists, size_t nr);

/** layer_draw - the same for a terminal of 80 columns, as the processors of one node see it */
void layer_draw(FILE *to, const struct layer_list *list, bool ascii);

#endif
