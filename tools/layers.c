// SPDX-License-Identifier: GPL-2.0-only
/*
 * list-layers: the kinds of memory that a machine has, and what is known of each.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <hmem/layer.h>

#include "json.h"
#include "options.h"
#include "report.h"

struct listing {
	const struct session *s;
	struct json_object *array;
};

/* A value, and beside it where it comes from; null where it is not known. */
static void add_figure(struct json_object *o, const char *key, struct json_object *value,
		       const struct hmem_figure *figure)
{
	char origin[64];

	if (!figure->origin) {
		json_object_put(value);
		value = NULL;
	}
	json_object_object_add(o, key, value);
	snprintf(origin, sizeof(origin), "%s_from", key);
	json_text(o, origin, figure->origin ? hmem_origin_name(figure->origin) : NULL);
}

/* What -u makes of a value stays one value: "128.00 GiB", "60.0 GB/s", "96 ns". */
static struct json_object *value_of(const struct session *s, uint64_t value, const char *unit)
{
	char text[64];

	if (!s->human || !unit)
		return json_object_new_uint64(value);
	snprintf(text, sizeof(text), "%llu %s", (unsigned long long)value, unit);
	return json_object_new_string(text);
}

static struct json_object *bandwidth_of(const struct session *s, uint64_t bytes)
{
	char text[64];

	if (!s->human)
		return json_object_new_uint64(bytes);
	snprintf(text, sizeof(text), "%.1f GB/s", (double)bytes / 1e9);
	return json_object_new_string(text);
}

static struct json_object *size_of(const struct session *s, uint64_t bytes)
{
	struct json_object *o = json_object_new_object(), *size;

	json_size(s, o, "size", bytes);
	size = json_object_get(json_object_object_get(o, "size"));
	json_object_put(o);
	return size;
}

static int add_layer(void *arg, const struct hmem_layer_info *info)
{
	struct listing *l = arg;
	const struct session *s = l->s;
	struct json_object *o = json_object_new_object();

	json_text(o, "layer", info->name);
	json_text(o, "kind", hmem_layer_kind_name(info->kind));
	json_text(o, "device", *info->device ? info->device : NULL);
	json_object_object_add(o, "node", info->nid < 0 ? NULL : json_object_new_int(info->nid));
	json_object_object_add(o, "tier", info->tier < 0 ? NULL : json_object_new_int(info->tier));
	json_flag(o, "persistent", info->flags & HMEM_LAYER_PERSISTENT);
	json_flag(o, "local", info->flags & HMEM_LAYER_LOCAL);
	json_flag(o, "shareable", info->flags & HMEM_LAYER_SHAREABLE);
	json_flag(o, "allowed", !(info->flags & HMEM_LAYER_FORBIDDEN));
	add_figure(o, "capacity", size_of(s, info->capacity.value), &info->capacity);
	add_figure(o, "free", size_of(s, info->free.value), &info->free);
	json_object_object_add(o, "initiator", json_object_new_int(info->initiator));
	add_figure(o, "distance", value_of(s, info->distance.value, NULL), &info->distance);
	add_figure(o, "read_latency_ns", value_of(s, info->read_latency.value, "ns"),
		   &info->read_latency);
	add_figure(o, "write_latency_ns", value_of(s, info->write_latency.value, "ns"),
		   &info->write_latency);
	add_figure(o, "read_bandwidth", bandwidth_of(s, info->read_bandwidth.value),
		   &info->read_bandwidth);
	add_figure(o, "write_bandwidth", bandwidth_of(s, info->write_bandwidth.value),
		   &info->write_bandwidth);
	json_object_array_add(l->array, o);
	return 0;
}

static bool parse_node(const char *text, int *node)
{
	char *end;
	long number;

	if (*text < '0' || *text > '9')
		return false;
	number = strtol(text, &end, 10);
	*node = (int)number;
	return !*end && number <= INT_MAX;
}

int verb_list_layers(struct session *s, int argc, char **argv)
{
	const char *sysroot = NULL, *from = NULL;
	const struct option_line lines[] = {
		{ OPTION_TEXT, 'f', "from", "NODE", "as the processors of this NUMA node see it",
		  &from },
		{ OPTION_TEXT, 0, "sysroot", "DIR", "look at the files of a machine captured there",
		  &sysroot },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "[-f NODE] [--sysroot DIR] [-u]", lines };
	struct listing l = { .s = s };
	int first, initiator = -1, rc = options_parse(s, &usage, argc, argv, &first);

	if (rc >= 0)
		return rc;
	if (first < argc)
		return options_bad(s, &usage, "unexpected argument: %s", argv[first]);
	if (from && !parse_node(from, &initiator))
		return options_bad(s, &usage, "%s is no number of a NUMA node", from);
	rc = hmem_ctx_set_sysroot(s->hmem, sysroot);
	if (rc)
		return report_library(s, rc);
	l.array = json_object_new_array();
	rc = hmem_layer_iterate(s->hmem, initiator, add_layer, &l);
	if (rc) {
		json_object_put(l.array);
		return report_library(s, rc);
	}
	report_count(s, "%zu layer%s", json_object_array_length(l.array),
		     json_object_array_length(l.array) == 1 ? "" : "s");
	return json_print(s, l.array);
}
