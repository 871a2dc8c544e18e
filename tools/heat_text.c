// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is near and what is at home differ in their characters, so that a drawing says the same
 * without colours.
 */
#include "heat_text.h"

#include <string.h>

#include <hmem/size.h>

/* Of 256 colours: blue at home, red to yellow near; [0]: nothing is known. */
static const unsigned char home_colours[HEAT_TEXT_LEVELS + 1] = {
	0, 17, 18, 19, 20, 26, 32, 38, 81,
};
static const unsigned char near_colours[HEAT_TEXT_LEVELS + 1] = {
	236, 52, 88, 124, 160, 196, 202, 208, 220,
};

/* From this level on the background is so bright that what stands on it is black. */
#define BRIGHT 6

#define LEAST_COLUMNS 20

/* With the rest of a row of a map, 80 columns. */
#define BAR 48

static void set_colour(FILE *to, bool near, unsigned int level)
{
	unsigned int back = near ? near_colours[level] : home_colours[level];

	if (back)
		fprintf(to, "\033[48;5;%u;38;5;%um", back, level >= BRIGHT ? 16U : 231U);
	else
		fputs("\033[0m", to);
}

void heat_text_cells(FILE *to, const struct hmem_tier_cell *cells, size_t nr, size_t stride,
		     unsigned int least, unsigned int most, bool colours)
{
	unsigned int last = 0;

	for (size_t i = 0; i < nr; i++) {
		const struct hmem_tier_cell *cell = &cells[i * stride];
		unsigned int level = heat_level(cell->heat, least, most, HEAT_TEXT_LEVELS);
		bool near = cell->near >= 128;
		unsigned int now = near ? level + HEAT_TEXT_LEVELS + 1 : level;

		if (colours && now != last)
			set_colour(to, near, level);
		last = now;
		putc((near ? HEAT_TEXT_NEAR : HEAT_TEXT_HOME)[level], to);
	}
	if (colours && last)
		fputs("\033[0m", to);
}

static void title(FILE *to, const struct heat_samples *samples, size_t width)
{
	char line[256];

	fprintf(to, "%.*s\n", (int)width, heat_title(samples, line, sizeof(line)));
}

/* Times below the columns that they belong to, as far as they do not meet. */
static void axis(FILE *to, const struct heat_samples *samples, const struct heat_grid *grid)
{
	size_t at = 0, every = grid->columns / 4 > 12 ? grid->columns / 4 : 12;

	fprintf(to, "%11s +", "");
	for (size_t c = 0; c < grid->columns; c++)
		putc(c % every ? '-' : '+', to);
	fprintf(to, "+\n%13s", "");
	for (size_t c = 0; c < grid->columns; c += every) {
		char time[32];
		int length = snprintf(time, sizeof(time), "%.1f s",
				      heat_grid_time(grid, samples, c));

		if (c && c + (size_t)length > grid->columns + 1)
			break;
		fprintf(to, "%*s%s", (int)(c - at), "", time);
		at = c + (size_t)length;
	}
	putc('\n', to);
}

static void legend(FILE *to, const struct heat_grid *grid)
{
	char least[16], most[16];

	fprintf(to, "heat at home \"%s\", near \"%s\"\n", HEAT_TEXT_HOME + 1, HEAT_TEXT_NEAR);
	if (grid->most)
		fprintf(to, "a page is touched %s to %s\n", heat_rate_text(grid->least, least),
			heat_rate_text(grid->most, most));
	else
		fputs("of no page is it known\n", to);
}

bool heat_text(FILE *to, const struct heat_samples *samples, size_t width, size_t rows,
	       bool colours)
{
	size_t columns = width < HEAT_TEXT_MARGIN + LEAST_COLUMNS ? LEAST_COLUMNS :
								    width - HEAT_TEXT_MARGIN;
	struct heat_grid grid;

	if (!heat_grid_make(&grid, samples, columns, rows))
		return false;
	title(to, samples, columns + HEAT_TEXT_MARGIN);
	for (size_t r = 0; r < grid.rows; r++) {
		char offset[32];

		fprintf(to, "%11s |", hmem_size_format(heat_grid_offset(&grid, samples, r), offset,
						       sizeof(offset)));
		heat_text_cells(to, grid.cell + r, grid.columns, grid.rows, grid.least, grid.most,
				colours);
		fputs("|\n", to);
	}
	axis(to, samples, &grid);
	legend(to, &grid);
	heat_grid_free(&grid);
	return true;
}

static void map_row(FILE *to, const struct heat_samples *samples,
		    const struct hmem_tier_cell *cells, size_t i, unsigned int least,
		    unsigned int most)
{
	const struct hmem_tier_cell *cell = &cells[i];
	char bar[BAR + 1], offset[32], rate[16];
	unsigned int length = 0, near;

	if (cell->heat)
		length = most == least ? BAR :
			 1 + (cell->heat - least) * (BAR - 1) / (most - least);
	near = (length * cell->near + 254) / 255;
	memset(bar, ' ', BAR);
	memset(bar, '-', length);
	memset(bar, '#', near);
	bar[BAR] = '\0';
	fprintf(to, "%11s %3u%% |%s| %s\n",
		hmem_size_format(i * samples->cell, offset, sizeof(offset)),
		cell->near * 100U / 255, bar, heat_rate_text(cell->heat, rate));
}

void heat_map(FILE *to, const struct heat_samples *samples, const char *policy)
{
	const struct hmem_tier_cell *cells = samples->cells + (samples->nr - 1) * samples->nr_cells;
	unsigned int least, most;
	char size[32], cell[32];

	heat_range(cells, samples->nr_cells, &least, &most);
	fprintf(to, "%.32s: %s, policy %s, %zu rows of %s\n", samples->name,
		hmem_size_format(samples->bytes, size, sizeof(size)), policy, samples->nr_cells,
		hmem_size_format(samples->cell, cell, sizeof(cell)));
	fprintf(to, "%11s %4s |%-*s| %s\n", "offset", "near", BAR, "heat: # near, - at home",
		"touched");
	for (size_t i = 0; i < samples->nr_cells; i++)
		map_row(to, samples, cells, i, least, most);
}
