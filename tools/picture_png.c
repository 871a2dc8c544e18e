// SPDX-License-Identifier: GPL-2.0-only
/* A picture as PNG: painted into memory, and written by libpng. */
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "picture.h"
#include "picture_font.h"

/* A point of a letter takes so many of the picture, to the right and down. */
#define SCALE 2
/* From one letter to the next. */
#define ADVANCE (SCALE * (FONT_WIDTH + 1))
/* Rows of a letter above the line that it stands on. */
#define ABOVE 7

struct canvas {
	struct painter painter;
	unsigned char points[PICTURE_HEIGHT][PICTURE_WIDTH][3];
};

static void put_rect(struct painter *painter, int x, int y, int width, int height, uint32_t rgb,
		     const char *about)
{
	struct canvas *canvas = (struct canvas *)painter;
	int right = x + width < PICTURE_WIDTH ? x + width : PICTURE_WIDTH;
	int bottom = y + height < PICTURE_HEIGHT ? y + height : PICTURE_HEIGHT;

	(void)about;
	for (int row = y < 0 ? 0 : y; row < bottom; row++)
		for (int column = x < 0 ? 0 : x; column < right; column++) {
			unsigned char *point = canvas->points[row][column];

			point[0] = (unsigned char)(rgb >> 16);
			point[1] = (unsigned char)(rgb >> 8);
			point[2] = (unsigned char)rgb;
		}
}

static void put_letter(struct painter *painter, int x, int y, char letter)
{
	const unsigned char *columns;

	if (letter < FONT_FIRST || letter > FONT_LAST)
		letter = '?';
	columns = font[letter - FONT_FIRST];
	for (int column = 0; column < FONT_WIDTH; column++)
		for (int row = 0; row < FONT_HEIGHT; row++)
			if (columns[column] & 1u << row)
				put_rect(painter, x + SCALE * column, y + SCALE * (row - ABOVE),
					 SCALE, SCALE, 0, NULL);
}

static void put_words(struct painter *painter, int x, int y, enum picture_anchor anchor,
		      const char *words)
{
	int length = (int)strlen(words) * ADVANCE - SCALE;

	if (anchor != PICTURE_LEFT)
		x -= anchor == PICTURE_RIGHT ? length : length / 2;
	for (; *words; words++, x += ADVANCE)
		put_letter(painter, x, y, *words);
}

const char *picture_png(const struct heat_samples *samples, FILE *to)
{
	png_image image = { .version = PNG_IMAGE_VERSION, .width = PICTURE_WIDTH,
			    .height = PICTURE_HEIGHT, .format = PNG_FORMAT_RGB };
	struct canvas *canvas = malloc(sizeof(*canvas));
	const char *error = NULL;

	if (!canvas)
		return "there is no memory for it";
	canvas->painter = (struct painter){ put_rect, put_words };
	memset(canvas->points, 0xff, sizeof(canvas->points));
	if (!picture_paint(samples, &canvas->painter))
		error = "there is no memory for it";
	else if (!png_image_write_to_stdio(&image, to, 0, canvas->points, 0, NULL))
		error = "libpng cannot write it";
	free(canvas);
	return error;
}
