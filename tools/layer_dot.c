// SPDX-License-Identifier: GPL-2.0-only
/*
 * Layers as a graph for Graphviz. Nodes are called as the layers are.
 */
#include <string.h>

#include <hmem/size.h>

#include "layer_list.h"

/* In quotes: what ends a string, and what begins an escape, are escaped. */
static void put_text(FILE *to, const char *text)
{
	char shown[LAYER_TEXT_MAX];

	snprintf(shown, sizeof(shown), "%s", text);
	layer_printable(shown, false);
	for (const char *c = shown; *c; c++) {
		if (*c == '"' || *c == '\\')
			putc('\\', to);
		putc(*c, to);
	}
}

static void put_size(FILE *to, const struct hmem_figure *figure, const char *what)
{
	char size[32];

	if (figure->origin)
		fprintf(to, "\\n%s%s", hmem_size_format(figure->value, size, sizeof(size)), what);
}

static const char *shape_of(const struct hmem_layer_info *layer)
{
	switch (layer->kind) {
	case HMEM_LAYER_POOL:
		return "folder";
	case HMEM_LAYER_REGION:
		return "note";
	case HMEM_LAYER_DAX:
	case HMEM_LAYER_FSDAX:
		return "cylinder";
	default:
		return "box3d";
	}
}

static void put_layer(FILE *to, const struct hmem_layer_info *layer)
{
	struct hmem_layer_info plain = *layer;
	char about[LAYER_TEXT_MAX];

	/* Whose it is the edges tell. */
	plain.flags &= ~(HMEM_LAYER_LOCAL | HMEM_LAYER_CPUS);
	fputs("\t\"", to);
	put_text(to, layer->name);
	fprintf(to, "\" [shape=%s, label=\"", shape_of(layer));
	put_text(to, layer->name);
	if (*layer_about(&plain, about)) {
		fputs("\\n", to);
		put_text(to, about);
	}
	put_size(to, &layer->capacity, "");
	put_size(to, &layer->free, " free");
	fputs(layer->flags & HMEM_LAYER_FORBIDDEN ? "\", style=dotted];\n" : "\"];\n", to);
}

static void put_edge(FILE *to, int initiator, const struct hmem_layer_info *layer)
{
	char way[LAYER_WAY_MAX];

	fprintf(to, "\t\"processors of node %d\" -- \"", initiator);
	put_text(to, layer->name);
	layer_way(layer, way);
	fprintf(to, "\" [label=\"%s\"%s];\n", way,
		layer->flags & HMEM_LAYER_LOCAL ? ", style=bold" : "");
}

static void put_region(FILE *to, const struct hmem_layer_info *pool,
		       const struct hmem_layer_info *region)
{
	fputs("\t\"", to);
	put_text(to, pool->name);
	fputs("\" -- \"", to);
	put_text(to, region->name);
	fputs("\" [style=dashed];\n", to);
}

void layer_dot(FILE *to, const struct layer_list *lists, size_t nr)
{
	fputs("graph layers {\n\trankdir=LR;\n\tnode [fontname=\"sans-serif\"];\n"
	      "\tedge [fontname=\"sans-serif\"];\n", to);
	for (size_t i = 0; i < nr && lists->n; i++)
		fprintf(to, "\t\"processors of node %d\" [shape=ellipse];\n", lists[i].initiator);
	for (size_t i = 0; i < lists->n; i++)
		put_layer(to, &lists->at[i]);
	for (size_t i = 0; i < lists->n; i++) {
		const struct hmem_layer_info *home = layer_list_home(lists, &lists->at[i]);

		if (home)
			put_region(to, home, &lists->at[i]);
		for (size_t k = 0; k < nr && !home; k++) {
			const struct hmem_layer_info *seen = layer_list_find(&lists[k],
									     lists->at[i].name);

			if (seen)
				put_edge(to, lists[k].initiator, seen);
		}
	}
	fputs("}\n", to);
}
