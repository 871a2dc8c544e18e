// SPDX-License-Identifier: GPL-2.0-only
/* Where everything in a picture is, and which colour it has. */
#include "picture.h"

#include <hmem/size.h>

/* The map of heat. */
#define LEFT	150
#define TOP	48
#define WIDTH	640
#define HEIGHT	440
#define BOTTOM	(TOP + HEIGHT)
#define RIGHT	(LEFT + WIDTH)

/* What the colours mean, to its right. */
#define LEGEND		(RIGHT + 25)
#define LEGEND_BAR	48
#define LEGEND_HEIGHT	256
#define LEGEND_TOP	(TOP + 40)

#define KEY	14

#define TICK		5
#define TICKS_DOWN	8
#define TICKS_RIGHT	5

#define BLACK PICTURE_RGB(0, 0, 0)

/* Nothing is known: of what is at home, and of what is near. */
#define UNKNOWN_HOME PICTURE_RGB(238, 238, 238)
#define UNKNOWN_NEAR PICTURE_RGB(222, 200, 170)

/* From the coldest by way of the middle to the hottest; who cannot tell red from green can these. */
static const unsigned char home_ramp[3][3] = { { 8, 16, 64 }, { 30, 90, 180 }, { 150, 220, 255 } };
static const unsigned char near_ramp[3][3] = { { 72, 8, 0 }, { 220, 70, 10 }, { 255, 235, 90 } };

uint32_t picture_colour(bool near, unsigned int heat)
{
	const unsigned char (*ramp)[3] = near ? near_ramp : home_ramp;
	unsigned int half = heat >= 128, at = heat - 128 * half, rgb[3];

	for (unsigned int i = 0; i < 3; i++)
		rgb[i] = (ramp[half][i] * (127 - at) + ramp[half + 1][i] * at) / 127;
	return PICTURE_RGB(rgb[0], rgb[1], rgb[2]);
}

static uint32_t colour_of(const struct heat_grid *grid, unsigned int heat, bool near)
{
	unsigned int span = grid->most - grid->least;

	if (!heat)
		return near ? UNKNOWN_NEAR : UNKNOWN_HOME;
	return picture_colour(near, span ? (heat - grid->least) * 255 / span : 255);
}

/* The lower part of a cell is near, as much of it as is. */
static void paint_cell(struct painter *painter, const struct heat_grid *grid,
		       const struct heat_samples *samples, size_t column, size_t row)
{
	const struct hmem_tier_cell *cell = &grid->cell[column * grid->rows + row];
	int x = LEFT + (int)(column * WIDTH / grid->columns);
	int y = TOP + (int)(row * HEIGHT / grid->rows);
	int width = LEFT + (int)((column + 1) * WIDTH / grid->columns) - x;
	int height = TOP + (int)((row + 1) * HEIGHT / grid->rows) - y;
	int near = (height * cell->near + 127) / 255;
	char offset[32], rate[16], about[96];

	snprintf(about, sizeof(about), "%.1f s, %s: %s, %u%% near",
		 heat_grid_time(grid, samples, column),
		 hmem_size_format(heat_grid_offset(grid, samples, row), offset, sizeof(offset)),
		 heat_rate_text(cell->heat, rate), cell->near * 100U / 255);
	if (near < height)
		painter->rect(painter, x, y, width, height - near,
			      colour_of(grid, cell->heat, false), about);
	if (near)
		painter->rect(painter, x, y + height - near, width, near,
			      colour_of(grid, cell->heat, true), about);
}

static void paint_offsets(struct painter *painter, const struct heat_grid *grid,
			  const struct heat_samples *samples)
{
	size_t every = (grid->rows + TICKS_DOWN - 1) / TICKS_DOWN;

	painter->words(painter, LEFT, TOP - 12, PICTURE_RIGHT, "offset");
	for (size_t row = 0; row < grid->rows; row += every) {
		int y = TOP + (int)(row * HEIGHT / grid->rows);
		char offset[32];

		painter->rect(painter, LEFT - TICK, y, TICK, 1, BLACK, NULL);
		painter->words(painter, LEFT - TICK - 4, y + PICTURE_LETTER_HEIGHT, PICTURE_RIGHT,
			       hmem_size_format(heat_grid_offset(grid, samples, row), offset,
						sizeof(offset)));
	}
}

static void paint_times(struct painter *painter, const struct heat_grid *grid,
			const struct heat_samples *samples)
{
	size_t every = (grid->columns + TICKS_RIGHT - 1) / TICKS_RIGHT;

	for (size_t column = 0; column < grid->columns; column += every) {
		int x = LEFT + (int)(column * WIDTH / grid->columns);
		char time[32];

		snprintf(time, sizeof(time), "%.1f s", heat_grid_time(grid, samples, column));
		painter->rect(painter, x, BOTTOM, 1, TICK, BLACK, NULL);
		painter->words(painter, x, BOTTOM + TICK + 4 + PICTURE_LETTER_HEIGHT, PICTURE_LEFT,
			       time);
	}
	painter->words(painter, LEFT + WIDTH / 2, BOTTOM + 40, PICTURE_MIDDLE, "time");
}

static void paint_frame(struct painter *painter)
{
	painter->rect(painter, LEFT - 1, TOP - 1, WIDTH + 2, 1, BLACK, NULL);
	painter->rect(painter, LEFT - 1, BOTTOM, WIDTH + 2, 1, BLACK, NULL);
	painter->rect(painter, LEFT - 1, TOP, 1, HEIGHT, BLACK, NULL);
	painter->rect(painter, RIGHT, TOP, 1, HEIGHT, BLACK, NULL);
}

/* A box of one colour, and what it means. */
static void paint_key(struct painter *painter, int y, uint32_t rgb, const char *words)
{
	painter->rect(painter, LEGEND, y, KEY, KEY, rgb, NULL);
	painter->words(painter, LEGEND + KEY + 8, y + KEY, PICTURE_LEFT, words);
}

static void paint_legend(struct painter *painter, const struct heat_grid *grid)
{
	int bottom = LEGEND_TOP + LEGEND_HEIGHT, beside = LEGEND + 2 * LEGEND_BAR + 8;
	char rate[16];

	painter->words(painter, LEGEND, TOP, PICTURE_LEFT, "a page touched");
	painter->words(painter, LEGEND, LEGEND_TOP - 8, PICTURE_LEFT, "home near");
	for (int i = 0; i < LEGEND_HEIGHT; i++)
		for (int near = 0; near < 2; near++)
			painter->rect(painter, LEGEND + near * LEGEND_BAR, bottom - 1 - i,
				      LEGEND_BAR, 1, picture_colour(near, (unsigned int)i), NULL);
	if (grid->most) {
		painter->words(painter, beside, LEGEND_TOP + PICTURE_LETTER_HEIGHT, PICTURE_LEFT,
			       heat_rate_text(grid->most, rate));
		painter->words(painter, beside, LEGEND_TOP + LEGEND_HEIGHT / 2, PICTURE_LEFT,
			       heat_rate_text((grid->least + grid->most) / 2, rate));
		painter->words(painter, beside, bottom, PICTURE_LEFT,
			       heat_rate_text(grid->least, rate));
	}
	paint_key(painter, bottom + 20, UNKNOWN_HOME, "home, unknown");
	paint_key(painter, bottom + 44, UNKNOWN_NEAR, "near, unknown");
}

bool picture_paint(const struct heat_samples *samples, struct painter *painter)
{
	struct heat_grid grid;
	char title[256];

	if (!heat_grid_make(&grid, samples, WIDTH, HEIGHT))
		return false;
	painter->words(painter, LEFT, 22, PICTURE_LEFT,
		       heat_title(samples, title, sizeof(title)));
	for (size_t column = 0; column < grid.columns; column++)
		for (size_t row = 0; row < grid.rows; row++)
			paint_cell(painter, &grid, samples, column, row);
	paint_frame(painter);
	paint_offsets(painter, &grid, samples);
	paint_times(painter, &grid, samples);
	paint_legend(painter, &grid);
	heat_grid_free(&grid);
	return true;
}
