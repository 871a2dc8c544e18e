/* SPDX-License-Identifier: GPL-2.0-only */
/* Heat as characters: address against time, and strips. */
#ifndef HMEMCTL_HEAT_TEXT_H
#define HMEMCTL_HEAT_TEXT_H

#include <stdbool.h>
#include <stdio.h>

#include "heat_samples.h"

/** Columns of a drawing, beside the times. */
#define HEAT_TEXT_MARGIN 14

/** What drawings and strips use for heat at home, from the coldest to the hottest. */
#define HEAT_TEXT_HOME " .:-=+*%@"

/** And near; 0 is for what is not known. */
#define HEAT_TEXT_NEAR "_12345678"

/** Levels of heat in both. */
#define HEAT_TEXT_LEVELS 8

/**
 * heat_text_cells - as many characters as there are cells
 * @stride: from one cell to the next
 * @colours: as a terminal of 256 colours shows them; they are off again at the end
 */
void heat_text_cells(FILE *to, const struct hmem_tier_cell *cells, size_t nr, size_t stride,
		     unsigned int least, unsigned int most, bool colours);

/**
 * heat_text - draw it: times to the right, addresses down
 * @width: columns of the terminal
 * @rows: most rows of addresses
 *
 * Return: whether there was memory for it. Whether it was written, @to knows.
 */
bool heat_text(FILE *to, const struct heat_samples *samples, size_t width, size_t rows,
	       bool colours);

/**
 * heat_map - draw the last sample alone: addresses down, heat to the right, in 80 columns
 * @policy: the name of its mode
 */
void heat_map(FILE *to, const struct heat_samples *samples, const char *policy);

#endif
