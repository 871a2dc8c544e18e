// SPDX-License-Identifier: GPL-2.0-only
/*
 * Layers on a terminal of 80 columns: from the processors a line leads down, and from it one to
 * each layer, beside which stands how far and how fast it is. Below a pool are its regions.
 */
#include <string.h>

#include <hmem/size.h>

#include "layer_list.h"

/* Columns left of the boxes, and in them between their borders and a blank on each side. */
#define LEFT  30
#define INNER 46

/* What a line is drawn with: each name says where it goes on. */
struct pen {
	const char *across, *down;
	const char *right_down, *left_down, *right_up, *left_up;
	const char *down_right, *across_down, *down_left;
};

static const struct pen boxes = {
	.across = "─", .down = "│",
	.right_down = "┌", .left_down = "┐", .right_up = "└", .left_up = "┘",
	.down_right = "├", .across_down = "┬", .down_left = "┤",
};

static const struct pen plain = {
	.across = "-", .down = "|",
	.right_down = "+", .left_down = "+", .right_up = "+", .left_up = "+",
	.down_right = "+", .across_down = "+", .down_left = "+",
};

struct drawing {
	FILE *to;
	const struct pen *pen;
	bool ascii;
};

/* Characters, each a column. */
static size_t columns(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

static void repeat(const struct drawing *d, const char *text, size_t n)
{
	while (n--)
		fputs(text, d->to);
}

/* A text of others', filled up with blanks to @width columns, or cut off there. */
static void put_text(const struct drawing *d, const char *text, size_t width)
{
	char shown[LAYER_TEXT_MAX];
	size_t n;

	snprintf(shown, sizeof(shown), "%s", text);
	layer_printable(shown, d->ascii);
	n = columns(shown);
	if (n > width) {
		char *end = shown;

		for (size_t i = 0; i < width - 2; i++)
			do
				end++;
			while ((*end & 0xc0) == 0x80);
		memcpy(end, "..", sizeof(".."));
		n = width;
	}
	fputs(shown, d->to);
	repeat(d, " ", width - n);
}

/* A text to the left and a size to the right, @width columns together. */
static void put_row(const struct drawing *d, const char *text, const struct hmem_figure *figure,
		    const char *what, size_t width)
{
	char size[32] = "", right[48];

	if (figure->origin)
		hmem_size_format(figure->value, size, sizeof(size));
	snprintf(right, sizeof(right), "%s%s", size, figure->origin ? what : "");
	if (!*right) {
		put_text(d, text, width);
		return;
	}
	put_text(d, text, width - strlen(right) - 1);
	fprintf(d->to, " %s", right);
}

/* The line down from the processors, where it does not branch; @last: it has ended. */
static void put_trunk(const struct drawing *d, bool last)
{
	fprintf(d->to, "  %s%*s", last ? " " : d->pen->down, LEFT - 3, "");
}

static void put_border(const struct drawing *d, const char *left, const char *second,
		       const char *right)
{
	fprintf(d->to, "%s%s%s", left, d->pen->across, second);
	repeat(d, d->pen->across, INNER);
	fprintf(d->to, "%s\n", right);
}

static void put_regions(const struct drawing *d, const struct layer_list *list,
			const struct hmem_layer_info *pool, size_t nr, bool last)
{
	for (size_t i = 0; i < list->n && nr; i++) {
		if (layer_list_home(list, &list->at[i]) != pool)
			continue;
		nr--;
		put_trunk(d, last);
		fprintf(d->to, "  %s%s ", nr ? d->pen->down_right : d->pen->right_up,
			d->pen->across);
		put_row(d, list->at[i].name, &list->at[i].capacity, "", INNER - 3);
		putc('\n', d->to);
	}
}

static void put_layer(const struct drawing *d, const struct layer_list *list,
		      const struct hmem_layer_info *layer, bool last)
{
	const struct pen *pen = d->pen;
	char way[LAYER_WAY_MAX], about[LAYER_TEXT_MAX];
	size_t regions = 0, length;

	for (size_t i = 0; i < list->n; i++)
		regions += layer_list_home(list, &list->at[i]) == layer;
	put_trunk(d, false);
	put_border(d, pen->right_down, pen->across, pen->left_down);

	length = strlen(layer_way(layer, way));
	fprintf(d->to, "  %s%s%s%s%s", last ? pen->right_up : pen->down_right, pen->across,
		length ? " " : pen->across, way, length ? " " : pen->across);
	repeat(d, pen->across, LEFT - 6 > length ? LEFT - 6 - length : 0);
	fprintf(d->to, "%s ", pen->down_left);
	put_row(d, layer->name, &layer->capacity, "", INNER);
	fprintf(d->to, " %s\n", pen->down);

	put_trunk(d, last);
	fprintf(d->to, "%s ", pen->down);
	put_row(d, layer_about(layer, about), &layer->free, " free", INNER);
	fprintf(d->to, " %s\n", pen->down);

	put_trunk(d, last);
	put_border(d, pen->right_up, regions ? pen->across_down : pen->across, pen->left_up);
	put_regions(d, list, layer, regions, last);
}

void layer_draw(FILE *to, const struct layer_list *list, bool ascii)
{
	struct drawing d = { .to = to, .pen = ascii ? &plain : &boxes, .ascii = ascii };
	char title[64];
	size_t drawn = 0, nr = 0;

	for (size_t i = 0; i < list->n; i++)
		nr += !layer_list_home(list, &list->at[i]);
	if (!nr)
		return;
	snprintf(title, sizeof(title), "processors of node %d", list->initiator);
	fputs(d.pen->right_down, to);
	repeat(&d, d.pen->across, strlen(title) + 2);
	fprintf(to, "%s\n%s %s %s\n%s%s%s", d.pen->left_down, d.pen->down, title, d.pen->down,
		d.pen->right_up, d.pen->across, d.pen->across_down);
	repeat(&d, d.pen->across, strlen(title));
	fprintf(to, "%s\n", d.pen->left_up);
	for (size_t i = 0; i < list->n; i++)
		if (!layer_list_home(list, &list->at[i]))
			put_layer(&d, list, &list->at[i], ++drawn == nr);
}
