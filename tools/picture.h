/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A picture of heat, as a file: times to the right, addresses down, and beside that what its
 * colours mean. SVG and PNG are the same picture, made of rectangles and words.
 */
#ifndef HMEMCTL_PICTURE_H
#define HMEMCTL_PICTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "heat_samples.h"

#define PICTURE_WIDTH  1040
#define PICTURE_HEIGHT 560

/* Red in the highest of 24 bits, then green, then blue. */
#define PICTURE_RGB(red, green, blue) \
	((uint32_t)(red) << 16 | (uint32_t)(green) << 8 | (uint32_t)(blue))

enum picture_anchor {
	PICTURE_LEFT,	/* the words begin there */
	PICTURE_MIDDLE,
	PICTURE_RIGHT,	/* they end there */
};

/* Of a capital letter, in points of the picture. */
#define PICTURE_LETTER_HEIGHT 14

/**
 * struct painter - who makes a file of it
 * @rect: fill it; @about: what it stands for, or NULL
 * @words: printable ASCII; @y: of their foot
 */
struct painter {
	void (*rect)(struct painter *painter, int x, int y, int width, int height, uint32_t rgb,
		     const char *about);
	void (*words)(struct painter *painter, int x, int y, enum picture_anchor anchor,
		      const char *words);
};

/** picture_paint - hand it all to @painter. Return: whether there was memory for it. */
bool picture_paint(const struct heat_samples *samples, struct painter *painter);

/** picture_colour - of heat from 0 for the coldest to 255 for the hottest */
uint32_t picture_colour(bool near, unsigned int heat);

/**
 * picture_svg, picture_png - write it
 *
 * Return: NULL, or what went wrong.
 */
const char *picture_svg(const struct heat_samples *samples, FILE *to);
const char *picture_png(const struct heat_samples *samples, FILE *to);

#endif
