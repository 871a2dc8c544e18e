// SPDX-License-Identifier: GPL-2.0-only
/*
 * probe-layer: how fast kinds of memory are, measured here and now.
 */
#include <stdio.h>
#include <stdlib.h>

#include <hmem/probe.h>
#include <hmem/size.h>

#include "json.h"
#include "layer_json.h"
#include "node_option.h"
#include "options.h"
#include "report.h"
#include "schedule.h"

/* An hour; the library counts milliseconds. */
#define SECONDS_MAX 3600.0

/* What each of the figures means, and what they were got from. */
static struct json_object *how_of(const struct session *s, const struct hmem_layer_probed *probed)
{
	struct json_object *o = json_object_new_object();
	char text[256];

	json_size(s, o, "bytes", probed->bytes);
	json_size(s, o, "huge_bytes", probed->huge_bytes);
	json_object_object_add(o, "cache_bytes", NULL);
	if (probed->cache_bytes)
		json_size(s, o, "cache_bytes", probed->cache_bytes);
	json_number(o, "threads", probed->threads);
	json_number(o, "repetitions", probed->repetitions);
	json_number(o, "milliseconds", probed->milliseconds);
	json_flag(o, "writes", probed->flags & HMEM_LAYER_PROBED_WRITES);
	snprintf(text, sizeof(text),
		 "median of %u; latency: one thread, each read of a line at random needs the one "
		 "before; bandwidth: %u thread%s, each its part from end to end%s",
		 probed->repetitions, probed->threads, probed->threads == 1 ? "" : "s",
		 probed->flags & HMEM_LAYER_PROBED_WRITES ? "" : "; only read: it is somebody's");
	json_text(o, "how", text);
	return o;
}

static int probe(const struct session *s, const char *name,
		 const struct hmem_layer_probe_options *options, struct json_object *array)
{
	struct hmem_layer_probed probed = { .size = sizeof(probed) };
	struct hmem_layer_info layer = { .size = sizeof(layer) };
	struct json_object *o;
	int rc = hmem_layer_probe(s->hmem, name, options, &layer, &probed);

	if (rc)
		return report_library(s, rc);
	o = json_layer(s, &layer);
	json_object_object_add(o, "measured", how_of(s, &probed));
	json_object_array_add(array, o);
	return EXIT_DONE;
}

static bool parse_threads(const char *text, uint32_t *threads)
{
	char *end;
	unsigned long number;

	if (*text < '1' || *text > '9')
		return false;
	number = strtoul(text, &end, 10);
	*threads = (uint32_t)number;
	return !*end && number <= INT32_MAX;
}

int verb_probe_layer(struct session *s, int argc, char **argv)
{
	struct hmem_layer_probe_options options = HMEM_LAYER_PROBE_OPTIONS_INIT;
	const char *from = NULL, *seconds = NULL, *bytes = NULL, *threads = NULL;
	const struct option_line lines[] = {
		{ OPTION_TEXT, 'f', "from", "NODE", "by the processors of this NUMA node", &from },
		{ OPTION_TEXT, 's', "seconds", "SECONDS", "how long to measure each; 1", &seconds },
		{ OPTION_TEXT, 'b', "bytes", "SIZE", "how much memory; four times the caches",
		  &bytes },
		{ OPTION_TEXT, 't', "threads", "N", "how many at once; one for each processor",
		  &threads },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = {
		"NAME... [-f NODE] [-s SECONDS] [-b SIZE] [-t N] [-u]", lines
	};
	int first, rc = options_parse(s, &usage, argc, argv, &first), worst = EXIT_DONE;
	struct json_object *array;
	double time = 1;

	if (rc >= 0)
		return rc;
	if (first == argc)
		return options_bad(s, &usage, "which layer? hmemctl list-layers shows them");
	if (from && !node_parse(from, &options.initiator))
		return options_bad(s, &usage, "%s is no number of a NUMA node", from);
	if (seconds && (!schedule_seconds(seconds, &time) || time < 0.001 || time > SECONDS_MAX))
		return options_bad(s, &usage, "%s is no time in seconds, up to an hour", seconds);
	if (bytes && (hmem_size_parse(bytes, 0, &options.bytes) || !options.bytes))
		return options_bad(s, &usage, "%s is no size", bytes);
	if (threads && !parse_threads(threads, &options.threads))
		return options_bad(s, &usage, "%s is no number of threads", threads);
	options.milliseconds = (uint32_t)(time * 1000);
	array = json_object_new_array();
	for (; first < argc; first++) {
		rc = probe(s, argv[first], &options, array);
		if (rc)
			worst = rc;
	}
	rc = json_print(s, array);
	return worst ? worst : rc;
}
