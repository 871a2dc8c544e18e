// SPDX-License-Identifier: GPL-2.0-only
#include "heat_samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hmem/size.h>

/* Heat is 256 times the logarithm to base 2 of touches in 2^56 ns. */
double heat_rate(unsigned int heat)
{
	double rate = 1e9 / (double)(1ULL << 56);

	for (; heat >= 256; heat -= 256)
		rate *= 2;
	/* The 256th root of 2. */
	for (; heat; heat--)
		rate *= 1.0027112750502025;
	return rate;
}

char *heat_rate_text(unsigned int heat, char text[16])
{
	static const struct {
		double least;
		const char *unit;
	} units[] = {
		{ 1e9, "G/s" }, { 1e6, "M/s" }, { 1e3, "k/s" }, { 1, "/s" }, { 1 / 60.0, "/min" },
	};
	double rate = heat_rate(heat);

	for (size_t i = 0; heat && i < sizeof(units) / sizeof(units[0]); i++) {
		if (rate < units[i].least)
			continue;
		snprintf(text, 16, "%.1f %s", rate / units[i].least, units[i].unit);
		return text;
	}
	if (heat)
		snprintf(text, 16, "%.1f /h", rate * 3600);
	else
		snprintf(text, 16, "unknown");
	return text;
}

/* Twice as many as there were. */
static bool grow(struct heat_samples *samples)
{
	size_t room = samples->room ? 2 * samples->room : 16;
	struct hmem_tier_cell *cells;
	double *at;

	at = reallocarray(samples->at, room, sizeof(*at));
	if (!at)
		return false;
	samples->at = at;
	if (samples->nr_cells > SIZE_MAX / sizeof(*cells) / room)
		return false;
	cells = reallocarray(samples->cells, room * samples->nr_cells, sizeof(*cells));
	if (!cells)
		return false;
	samples->cells = cells;
	samples->room = room;
	return true;
}

struct hmem_tier_cell *heat_samples_next(struct heat_samples *samples, double at)
{
	struct hmem_tier_cell *cells;

	if (samples->nr == samples->room && !grow(samples))
		return NULL;
	cells = samples->cells + samples->nr * samples->nr_cells;
	memset(cells, 0, samples->nr_cells * sizeof(*cells));
	samples->at[samples->nr] = at;
	return cells;
}

char *heat_title(const struct heat_samples *samples, char *text, size_t length)
{
	char size[32], near_max[32];

	snprintf(text, length, "%s: %s, near_max %s, %zu sample%s in %.1f s", samples->name,
		 hmem_size_format(samples->bytes, size, sizeof(size)),
		 hmem_size_format(samples->policy.near_max, near_max, sizeof(near_max)),
		 samples->nr, samples->nr == 1 ? "" : "s", samples->at[samples->nr - 1]);
	return text;
}

void heat_samples_free(struct heat_samples *samples)
{
	free(samples->at);
	free(samples->cells);
	samples->at = NULL;
	samples->cells = NULL;
	samples->nr = samples->room = 0;
}

/* Where the part @index of @parts begins, of @whole things. */
static size_t part(size_t index, size_t parts, size_t whole)
{
	return (size_t)((unsigned __int128)index * whole / parts);
}

/* One cell of those that it stands for. */
static struct hmem_tier_cell join(const struct heat_samples *samples, const struct heat_grid *grid,
				  size_t column, size_t row)
{
	size_t from = part(row, grid->rows, samples->nr_cells);
	size_t to = part(row + 1, grid->rows, samples->nr_cells);
	size_t first = part(column, grid->columns, samples->nr);
	size_t last = part(column + 1, grid->columns, samples->nr);
	struct hmem_tier_cell joined = { 0 };
	uint64_t near = 0, nr = 0;

	for (size_t s = first; s < last; s++) {
		const struct hmem_tier_cell *cells = samples->cells + s * samples->nr_cells;

		for (size_t i = from; i < to; i++, nr++) {
			joined.heat = cells[i].heat > joined.heat ? cells[i].heat : joined.heat;
			near += cells[i].near;
		}
	}
	if (nr)
		joined.near = (uint8_t)((near + nr / 2) / nr);
	return joined;
}

void heat_range(const struct hmem_tier_cell *cells, size_t nr, unsigned int *least,
		unsigned int *most)
{
	*least = *most = 0;
	for (size_t i = 0; i < nr; i++) {
		unsigned int heat = cells[i].heat;

		if (!heat)
			continue;
		*least = !*least || heat < *least ? heat : *least;
		*most = heat > *most ? heat : *most;
	}
}

bool heat_grid_make(struct heat_grid *grid, const struct heat_samples *samples, size_t columns,
		    size_t rows)
{
	*grid = (struct heat_grid){
		.columns = samples->nr < columns ? samples->nr : columns,
		.rows = samples->nr_cells < rows ? samples->nr_cells : rows,
	};
	grid->cell = calloc(grid->columns * grid->rows, sizeof(*grid->cell));
	if (!grid->cell)
		return false;
	for (size_t c = 0; c < grid->columns; c++)
		for (size_t r = 0; r < grid->rows; r++)
			grid->cell[c * grid->rows + r] = join(samples, grid, c, r);
	heat_range(grid->cell, grid->columns * grid->rows, &grid->least, &grid->most);
	return true;
}

void heat_grid_free(struct heat_grid *grid)
{
	free(grid->cell);
	grid->cell = NULL;
}

double heat_grid_time(const struct heat_grid *grid, const struct heat_samples *samples,
		      size_t column)
{
	return samples->at[part(column, grid->columns, samples->nr)];
}

uint64_t heat_grid_offset(const struct heat_grid *grid, const struct heat_samples *samples,
			  size_t row)
{
	return part(row, grid->rows, samples->nr_cells) * samples->cell;
}

unsigned int heat_level(unsigned int heat, unsigned int least, unsigned int most,
			unsigned int levels)
{
	if (!heat)
		return 0;
	if (heat >= most)
		return levels;
	return heat <= least ? 1 : 1 + (heat - least) * levels / (most - least + 1);
}
