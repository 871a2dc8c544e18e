// SPDX-License-Identifier: GPL-2.0-only
/* heat: which part of a region is used how often, as JSON or as a drawing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "options.h"
#include "report.h"
#include "size_option.h"
#include "tier.h"

/* Unless --cell says how large one is: so many fit on a screen. */
#define MOST_CELLS 64

/* With the rest of a row, 80 columns. */
#define BAR 48

struct view {
	const char *cell;
	bool map;
};

struct picture {
	const struct session *s;
	const char *name;
	uint64_t bytes;
	uint64_t cell;
	struct hmem_tier_policy policy;
	struct hmem_tier_cell *cells;
	size_t nr_cells;
	struct hmem_tier_histogram histogram;
};

/* Touches in a second: 2^(heat / 256) in 2^56 ns. */
static double rate_of(unsigned int heat)
{
	double rate = 1e9 / (double)(1ULL << 56);

	for (; heat >= 256; heat -= 256)
		rate *= 2;
	/* The 256th root of 2. */
	for (; heat; heat--)
		rate *= 1.0027112750502025;
	return rate;
}

static char *format_heat(unsigned int heat, char text[16])
{
	static const struct {
		double least;
		const char *unit;
	} units[] = {
		{ 1e9, "G/s" }, { 1e6, "M/s" }, { 1e3, "k/s" }, { 1, "/s" }, { 1 / 60.0, "/min" },
	};
	double rate = rate_of(heat);

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

static void json_heat(const struct session *s, struct json_object *o, unsigned int heat)
{
	char text[16];

	if (s->human)
		json_text(o, "heat", format_heat(heat, text));
	else
		json_number(o, "heat", heat);
}

/* Octaves of which there are no pages are left out. */
static struct json_object *json_histogram(const struct picture *p)
{
	struct json_object *array = json_object_new_array();

	for (unsigned int i = 0; i < HMEM_TIER_OCTAVES; i++) {
		struct json_object *o;

		if (!p->histogram.near[i] && !p->histogram.home[i])
			continue;
		o = json_object_new_object();
		json_heat(p->s, o, 256 * i);
		json_number(o, "near", p->histogram.near[i]);
		json_number(o, "home", p->histogram.home[i]);
		json_object_array_add(array, o);
	}
	return array;
}

static struct json_object *json_cells(const struct picture *p)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < p->nr_cells; i++) {
		struct json_object *o = json_object_new_object();
		char text[16];

		json_size(p->s, o, "offset", i * p->cell);
		json_heat(p->s, o, p->cells[i].heat);
		snprintf(text, sizeof(text), "%u %%", p->cells[i].near * 100U / 255);
		if (p->s->human)
			json_text(o, "near", text);
		else
			json_number(o, "near", p->cells[i].near);
		json_object_array_add(array, o);
	}
	return array;
}

static int print_json(const struct picture *p)
{
	struct json_object *array = json_object_new_array(), *o = json_object_new_object();

	json_text(o, "region", p->name);
	json_size(p->s, o, "size", p->bytes);
	json_text(o, "policy", tier_mode_name(p->policy.mode));
	json_size(p->s, o, "near_max", p->policy.near_max);
	json_size(p->s, o, "cell", p->cell);
	json_object_object_add(o, "histogram", json_histogram(p));
	json_object_object_add(o, "cells", json_cells(p));
	json_object_array_add(array, o);
	return json_print(p->s, array);
}

static void draw_row(const struct picture *p, size_t i, unsigned int least, unsigned int most)
{
	const struct hmem_tier_cell *cell = &p->cells[i];
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
	printf("%11s %3u%% |%s| %s\n", hmem_size_format(i * p->cell, offset, sizeof(offset)),
	       cell->near * 100U / 255, bar, format_heat(cell->heat, rate));
}

/* Addresses go down, heat to the right: from the coldest part to the hottest, by octaves. */
static int draw(const struct picture *p)
{
	unsigned int least = UINT32_MAX, most = 0;
	char size[32], cell[32];

	for (size_t i = 0; i < p->nr_cells; i++) {
		unsigned int heat = p->cells[i].heat;

		least = heat && heat < least ? heat : least;
		most = heat > most ? heat : most;
	}
	printf("%.32s: %s, policy %s, %zu rows of %s\n", p->name,
	       hmem_size_format(p->bytes, size, sizeof(size)), tier_mode_name(p->policy.mode),
	       p->nr_cells, hmem_size_format(p->cell, cell, sizeof(cell)));
	printf("%11s %4s |%-*s| %s\n", "offset", "near", BAR, "heat: # near, - at home", "touched");
	for (size_t i = 0; i < p->nr_cells; i++)
		draw_row(p, i, least, most);
	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_DONE;
	report_error(p->s, "write the drawing to stdout: %s", strerror(errno));
	return EXIT_FAILED;
}

/* Return: exit code. */
static int choose_cell(struct picture *p, const char *text, uint64_t extent)
{
	if (!text) {
		for (p->cell = extent; (p->bytes - 1) / p->cell >= MOST_CELLS;)
			p->cell *= 2;
	} else if (size_in_pool(text, p->bytes, p->bytes, &p->cell)) {
		report_error(p->s, "show region %s in cells of %s: that is less than an extent",
			     p->name, text);
		return EXIT_FAILED;
	}
	p->nr_cells = (size_t)((p->bytes - 1) / p->cell + 1);
	p->cells = calloc(p->nr_cells, sizeof(*p->cells));
	if (p->cells)
		return EXIT_DONE;
	report_error(p->s, "show region %s: no memory for %zu cells", p->name, p->nr_cells);
	return EXIT_FAILED;
}

static int show(struct session *s, struct hmem_region *region, void *arg)
{
	const struct view *view = arg;
	struct picture p = { .s = s, .policy.size = sizeof(p.policy),
			     .histogram.size = sizeof(p.histogram) };
	struct hmem_region_info info = { .size = sizeof(info) };
	int rc = hmem_tier_get(region, &p.policy);

	if (!rc)
		rc = hmem_region_get_info(region, &info);
	if (rc)
		return report_library(s, rc);
	p.name = tier_name(&info);
	p.bytes = info.bytes;
	rc = choose_cell(&p, view->cell, info.granularity);
	if (rc)
		return rc;
	rc = hmem_tier_heat(region, 0, 0, p.cell, p.cells, &p.nr_cells, &p.histogram);
	if (rc)
		rc = report_library(s, rc);
	else
		rc = view->map ? draw(&p) : print_json(&p);
	if (!rc && p.policy.mode == HMEM_TIER_OFF) {
		report_warning(s, "the policy of region %s is off: its heat is not measured",
			       p.name);
		report_fix(s, "hmemctl set-policy %s --mode manual", p.name);
	}
	free(p.cells);
	return rc;
}

int verb_heat(struct session *s, int argc, char **argv)
{
	struct view view = { 0 };
	const struct option_line lines[] = {
		{ OPTION_TEXT, 'c', "cell", "SIZE", "how much one cell or row stands for", &view.cell },
		{ OPTION_FLAG, 'm', "map", NULL, "draw it, instead of JSON", &view.map },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "NAME [--cell SIZE] [--map] [-u]", lines };
	int first, rc = options_parse_one(s, &usage, argc, argv, &first, "region");

	if (rc >= 0)
		return rc;
	if (view.cell && !size_is_valid(view.cell))
		return options_bad(s, &usage, "%s is no size", view.cell);
	return tier_on_region(s, argv[first], HMEM_OPEN_READ_ONLY, show, &view);
}
