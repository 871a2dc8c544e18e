// SPDX-License-Identifier: GPL-2.0-only
#include "monitor_view.h"

#include <string.h>

#include <hmem/size.h>

#include "heat_text.h"

/* Of a name in the table: what is left of 80 columns. */
#define NAME 18

/* On either side of a strip. */
#define FRAME 3

void monitor_rates(struct monitor_region *now, const struct monitor_region *before,
		   double seconds)
{
	now->promotions = now->demotions = -1;
	if (!before || seconds <= 0 || *now->problem || *before->problem ||
	    memcmp(now->uuid, before->uuid, sizeof(now->uuid)))
		return;
	/* Counts only grow; one that is less is not the same one's. */
	if (now->stats.promotions < before->stats.promotions ||
	    now->stats.demotions < before->stats.demotions)
		return;
	now->promotions = (double)(now->stats.promotions - before->stats.promotions) / seconds;
	now->demotions = (double)(now->stats.demotions - before->stats.demotions) / seconds;
}

double monitor_hit_share(const struct hmem_tier_histogram *histogram)
{
	double near = 0, all = 0, rate = 1;

	/* The lowest octave is of those of which nothing is known. */
	for (unsigned int i = 1; i < HMEM_TIER_OCTAVES; i++, rate *= 2) {
		near += rate * (double)histogram->near[i];
		all += rate * (double)(histogram->near[i] + histogram->home[i]);
	}
	return all > 0 ? near / all : -1;
}

/* "12345", "678.9k": six columns at most. */
static const char *rate_text(double rate, char text[16])
{
	static const char units[] = " kMGT";
	unsigned int i = 0;

	if (rate < 0)
		return "-";
	for (; rate >= 99999.5 || (i && rate >= 999.95); i++)
		rate /= 1000;
	if (i && i < sizeof(units) - 1)
		snprintf(text, 16, "%.1f%c", rate, units[i]);
	else
		snprintf(text, 16, "%.0f", rate);
	return text;
}

static const char *share_text(double share, char text[16])
{
	if (share < 0)
		return "-";
	/* All is all. */
	snprintf(text, 16, "%.0f%%", share < 1 && share > 0.995 ? 99 : share * 100);
	return text;
}

static const char *mode_text(enum hmem_tier_mode mode)
{
	static const char *const names[] = { "off", "manual", "auto" };

	return (size_t)mode < sizeof(names) / sizeof(names[0]) ? names[mode] : "?";
}

static void put_cut(FILE *to, const char *line, size_t width)
{
	fprintf(to, "%.*s\n", (int)width, line);
}

static void put_numbers(FILE *to, const struct monitor_region *region, size_t width)
{
	char near[32], near_max[32], home[32], share[16], up[16], down[16], name[NAME + 1];
	char line[256];

	snprintf(name, sizeof(name), "%.*s", NAME, region->name);
	/* One that is longer shows that it is. */
	if (strlen(region->name) > NAME)
		name[NAME - 1] = '~';
	if (*region->problem) {
		snprintf(line, sizeof(line), "%-*s %s", NAME, name, region->problem);
		put_cut(to, line, width);
		return;
	}
	snprintf(line, sizeof(line), "%-*s %-6s %11s %11s %11s %4s %6s %6s", NAME, name,
		 mode_text(region->policy.mode),
		 hmem_size_format(region->stats.near, near, sizeof(near)),
		 hmem_size_format(region->stats.near_max, near_max, sizeof(near_max)),
		 hmem_size_format(region->bytes - region->stats.near, home, sizeof(home)),
		 share_text(monitor_hit_share(&region->histogram), share),
		 rate_text(region->promotions, up), rate_text(region->demotions, down));
	put_cut(to, line, width);
}

/* As wide as there is room, each cell as wide as its neighbours, or one narrower. */
static void put_strip(FILE *to, const struct monitor_region *region, size_t width, bool colours)
{
	size_t room = width > 2 * FRAME + 1 ? width - 2 * FRAME : 1;
	struct hmem_tier_cell shown[MONITOR_CELLS];
	unsigned int least, most;

	room = room < MONITOR_CELLS ? room : MONITOR_CELLS;
	for (size_t i = 0; i < room; i++)
		shown[i] = region->cells[i * region->nr_cells / room];
	heat_range(region->cells, region->nr_cells, &least, &most);
	fprintf(to, "%*s", FRAME, " [");
	heat_text_cells(to, shown, room, 1, least, most, colours);
	fputs("]\n", to);
}

size_t monitor_table(FILE *to, const struct monitor_region *regions, size_t nr, size_t width,
		     size_t lines, bool colours)
{
	char head[128], more[64];
	size_t used = 1;

	snprintf(head, sizeof(head), "%-*s %-6s %11s %11s %11s %4s %6s %6s", NAME, "REGION",
		 "POLICY", "NEAR", "NEAR MAX", "HOME", "HIT", "NEAR/S", "HOME/S");
	put_cut(to, head, width);
	for (size_t i = 0; i < nr; i++) {
		size_t takes = *regions[i].problem ? 1 : 2;
		/* A line is kept for those that do not fit. */
		size_t left = i + 1 < nr ? 1 : 0;

		if (used + takes + left > lines) {
			snprintf(more, sizeof(more), "... and %zu more", nr - i);
			put_cut(to, more, width);
			return used + 1;
		}
		put_numbers(to, &regions[i], width);
		if (takes == 2)
			put_strip(to, &regions[i], width, colours);
		used += takes;
	}
	return used;
}
