/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The heat of a region at several times, and what a drawing makes of it: fewer columns and rows.
 * Nothing in here asks the module for anything.
 */
#ifndef HMEMCTL_HEAT_SAMPLES_H
#define HMEMCTL_HEAT_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hmem/tier.h>

/** heat_rate - touches of a page in a second, of a struct hmem_tier_cell's heat */
double heat_rate(unsigned int heat);

/** heat_rate_text - "12.3 k/s", "4.0 /min"; "unknown" for 0. Return: @text. */
char *heat_rate_text(unsigned int heat, char text[16]);

/**
 * struct heat_samples - what was seen of a region
 * @name: how it is called
 * @bytes: size of the region, when it was seen first
 * @cell: bytes that a cell stands for
 * @nr_cells: in a sample
 * @nr: samples
 * @at: seconds since the first one, for each
 * @cells: @nr_cells for each, one sample after the other
 * @room: for so many samples there is memory
 * @policy: when it was seen last
 */
struct heat_samples {
	const char *name;
	uint64_t bytes;
	uint64_t cell;
	size_t nr_cells;
	size_t nr;
	double *at;
	struct hmem_tier_cell *cells;
	size_t room;
	struct hmem_tier_policy policy;
};

/**
 * heat_samples_next - room for the cells of one sample more, of which nothing is known yet
 *
 * It counts when the caller adds it to @nr. Return: NULL when there is no memory.
 */
struct hmem_tier_cell *heat_samples_next(struct heat_samples *samples, double at);

/** heat_title - what a drawing of them is of. Return: @text. */
char *heat_title(const struct heat_samples *samples, char *text, size_t length);

void heat_samples_free(struct heat_samples *samples);

/**
 * struct heat_grid - samples as a drawing shows them
 * @columns: of times, oldest first
 * @rows: of addresses, lowest first
 * @least: lowest heat of all that are known, 0 when there is none
 * @most: highest
 * @cell: row r of column c is [c * @rows + r]
 */
struct heat_grid {
	size_t columns;
	size_t rows;
	unsigned int least;
	unsigned int most;
	struct hmem_tier_cell *cell;
};

/**
 * heat_grid_make - join neighbours until they fit: the highest heat, and how much is near
 * @columns: most that there is room for, not 0
 * @rows: the same; the grid has no more of either than there are samples and cells
 *
 * Return: whether there was memory for it. heat_grid_free() frees it.
 */
bool heat_grid_make(struct heat_grid *grid, const struct heat_samples *samples, size_t columns,
		    size_t rows);
void heat_grid_free(struct heat_grid *grid);

/** heat_grid_time - seconds, at which column @column begins */
double heat_grid_time(const struct heat_grid *grid, const struct heat_samples *samples,
		      size_t column);

/** heat_grid_offset - at which row @row begins */
uint64_t heat_grid_offset(const struct heat_grid *grid, const struct heat_samples *samples,
			  size_t row);

/** heat_level - 1 to @levels, from @least to @most by octaves; 0 when nothing is known */
unsigned int heat_level(unsigned int heat, unsigned int least, unsigned int most,
			unsigned int levels);

/** heat_range - lowest and highest heat that is known of @nr cells; 0 when there is none */
void heat_range(const struct hmem_tier_cell *cells, size_t nr, unsigned int *least,
		unsigned int *most);

#endif
