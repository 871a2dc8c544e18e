// SPDX-License-Identifier: GPL-2.0-only
/* A picture as SVG: a rectangle tells what it stands for where the pointer is on it. */
#include <string.h>

#include "picture.h"

struct svg {
	struct painter painter;
	FILE *to;
};

static void put_escaped(FILE *to, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", to);
			break;
		case '>':
			fputs("&gt;", to);
			break;
		case '&':
			fputs("&amp;", to);
			break;
		default:
			putc(*text, to);
		}
	}
}

static void put_rect(struct painter *painter, int x, int y, int width, int height, uint32_t rgb,
		     const char *about)
{
	FILE *to = ((struct svg *)painter)->to;

	fprintf(to, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#%06x\"", x, y,
		width, height, (unsigned int)rgb);
	if (!about) {
		fputs("/>\n", to);
		return;
	}
	fputs("><title>", to);
	put_escaped(to, about);
	fputs("</title></rect>\n", to);
}

static void put_words(struct painter *painter, int x, int y, enum picture_anchor anchor,
		      const char *words)
{
	static const char *const anchors[] = { "start", "middle", "end" };
	FILE *to = ((struct svg *)painter)->to;

	fprintf(to, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">", x, y, anchors[anchor]);
	put_escaped(to, words);
	fputs("</text>\n", to);
}

const char *picture_svg(const struct heat_samples *samples, FILE *to)
{
	struct svg svg = { { put_rect, put_words }, to };

	fprintf(to, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\" shape-rendering=\"crispEdges\" "
		"font-family=\"monospace\" font-size=\"14\">\n"
		"<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", PICTURE_WIDTH,
		PICTURE_HEIGHT, PICTURE_WIDTH, PICTURE_HEIGHT, PICTURE_WIDTH, PICTURE_HEIGHT);
	if (!picture_paint(samples, &svg.painter))
		return "there is no memory for it";
	fputs("</svg>\n", to);
	return NULL;
}
