/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is shown of regions that are watched: numbers between two looks, and lines of text. Nothing
 * in here asks the module for anything.
 */
#ifndef HMEMCTL_MONITOR_VIEW_H
#define HMEMCTL_MONITOR_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <hmem/tier.h>

/** Cells of a strip at most. */
#define MONITOR_CELLS 240

/**
 * struct monitor_region - a region at one time
 * @name: without the scheme
 * @uuid: of whom is spoken: another one of that name begins anew
 * @bytes: size
 * @policy: its mode
 * @problem: why nothing is known of it now; "": it is
 * @stats: what was done up to now
 * @histogram: of now
 * @cell: bytes that one of @cells stands for
 * @cells: @nr_cells of them
 * @promotions: pages a second since the last time; negative: there was none
 * @demotions: the same
 */
struct monitor_region {
	char name[HMEM_NAME_MAX + 1];
	uint8_t uuid[16];
	uint64_t bytes;
	struct hmem_tier_policy policy;
	const char *problem;
	struct hmem_tier_stats stats;
	struct hmem_tier_histogram histogram;
	uint64_t cell;
	size_t nr_cells;
	struct hmem_tier_cell cells[MONITOR_CELLS];
	double promotions;
	double demotions;
};

/**
 * monitor_rates - fill in @now->promotions and @now->demotions
 * @before: the same region earlier, or NULL
 * @seconds: how much earlier
 */
void monitor_rates(struct monitor_region *now, const struct monitor_region *before,
		   double seconds);

/**
 * monitor_hit_share - the part of the touches of a region that are served near
 *
 * An estimate: each page counts by the middle of the octave of its heat. Touches are what heat
 * counts; how many accesses one stands for nobody sees. Pages of which nothing is known count
 * as next to nothing.
 *
 * Return: 0 to 1; negative when no heat is known.
 */
double monitor_hit_share(const struct hmem_tier_histogram *histogram);

/**
 * monitor_table - the head of the table, and two lines for each region
 * @width: columns, at least 8; nothing is longer
 * @lines: most of them, at least 3
 *
 * Return: how many were written.
 */
size_t monitor_table(FILE *to, const struct monitor_region *regions, size_t nr, size_t width,
		     size_t lines, bool colours);

#endif
