// SPDX-License-Identifier: GPL-2.0-only
#include "layer_json.h"

#include <stdio.h>

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

struct json_object *json_layer(const struct session *s, const struct hmem_layer_info *info)
{
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
	return o;
}
