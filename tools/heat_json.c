// SPDX-License-Identifier: GPL-2.0-only
#include "heat_json.h"

#include <stdio.h>

#include "json.h"
#include "tier.h"

static void json_heat(const struct session *s, struct json_object *o, unsigned int heat)
{
	char text[16];

	if (s->human)
		json_text(o, "heat", heat_rate_text(heat, text));
	else
		json_number(o, "heat", heat);
}

/* Octaves of which there are no pages are left out. */
static struct json_object *json_histogram(const struct session *s,
					  const struct hmem_tier_histogram *histogram)
{
	struct json_object *array = json_object_new_array();

	for (unsigned int i = 0; i < HMEM_TIER_OCTAVES; i++) {
		struct json_object *o;

		if (!histogram->near[i] && !histogram->home[i])
			continue;
		o = json_object_new_object();
		json_heat(s, o, 256 * i);
		json_number(o, "near", histogram->near[i]);
		json_number(o, "home", histogram->home[i]);
		json_object_array_add(array, o);
	}
	return array;
}

struct json_object *heat_json_cells(const struct session *s, const struct hmem_tier_cell *cells,
				    size_t nr, uint64_t bytes)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < nr; i++) {
		struct json_object *o = json_object_new_object();
		char text[16];

		json_size(s, o, "offset", i * bytes);
		json_heat(s, o, cells[i].heat);
		snprintf(text, sizeof(text), "%u %%", cells[i].near * 100U / 255);
		if (s->human)
			json_text(o, "near", text);
		else
			json_number(o, "near", cells[i].near);
		json_object_array_add(array, o);
	}
	return array;
}

struct json_object *heat_json(const struct session *s, const struct heat_samples *samples,
			      const struct hmem_tier_histogram *histogram)
{
	const struct hmem_tier_cell *last = samples->cells + (samples->nr - 1) * samples->nr_cells;
	struct json_object *o = json_object_new_object();

	json_text(o, "region", samples->name);
	json_fraction(o, "time", samples->at[samples->nr - 1]);
	json_size(s, o, "size", samples->bytes);
	json_text(o, "policy", tier_mode_name(samples->policy.mode));
	json_size(s, o, "near_max", samples->policy.near_max);
	json_size(s, o, "cell", samples->cell);
	json_object_object_add(o, "histogram", json_histogram(s, histogram));
	json_object_object_add(o, "cells",
			       heat_json_cells(s, last, samples->nr_cells, samples->cell));
	return o;
}
