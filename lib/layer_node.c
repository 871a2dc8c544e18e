// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Layers of system RAM: the memory of each NUMA node, as the kernel shows it below
 * /sys/devices/system/node. What kind it is others find out.
 *
 * Latencies and bandwidths there are those of the firmware's HMAT, or of a CXL device's CDAT,
 * for the processors named in the access class (Documentation/admin-guide/mm/numaperf.rst of the
 * kernel). For others a latency is scaled by the table of distances: those are relative latencies
 * (ACPI 6.5, 5.2.17); of a bandwidth nothing is known then.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctx.h"
#include "layers.h"
#include "sysfs.h"

#define NODES "/sys/devices/system/node"
#define TIERS "/sys/devices/virtual/memory_tiering"

/* Longer than any list of nodes, or row of distances, that a kernel writes. */
#define LIST_MAX 8192

/* The bytes behind "@what:" in meminfo, which counts in units of 1024; 0: not there. */
static uint64_t count_of(const char *meminfo, const char *what)
{
	const char *at = strstr(meminfo, what);

	return at ? strtoull(at + strlen(what), NULL, 10) * 1024 : 0;
}

/* The number behind the letters of a name such as node12, or -1. */
static int number_of(const char *name, const char *letters)
{
	size_t length = strlen(letters);
	char *end;
	long number;

	if (strncmp(name, letters, length) || name[length] < '0' || name[length] > '9')
		return -1;
	number = strtol(name + length, &end, 10);
	return *end || number > INT32_MAX ? -1 : (int)number;
}

/* An attribute of all nodes: "" where there is none. */
static void read_list(struct hmem_ctx *ctx, const char *file, char list[LIST_MAX])
{
	char dir[PATH_MAX];

	if (hmem_sysfs_path(ctx, dir, NODES) || hmem_sysfs_text(dir, file, list, LIST_MAX))
		*list = '\0';
}

int hmem_layers_check_initiator(struct hmem_ctx *ctx, int nid)
{
	char cpus[LIST_MAX];

	read_list(ctx, "has_cpu", cpus);
	if (hmem_sysfs_in_list(cpus, nid) || (!*cpus && !nid))
		return 0;
	return hmem_fail(ctx, -ENODEV,
			 "NUMA node %d has no processors that could ask; those of nodes %s can", nid,
			 *cpus ? cpus : "0");
}

/* Which node asks. */
static int find_initiator(struct hmem_layers *layers)
{
	struct hmem_ctx *ctx = layers->ctx;
	char cpus[LIST_MAX];
	unsigned int node = 0;

	if (layers->initiator >= 0)
		return hmem_layers_check_initiator(ctx, layers->initiator);
	read_list(ctx, "has_cpu", cpus);
	if (*ctx->sysroot || getcpu(NULL, &node) || !hmem_sysfs_in_list(cpus, (int)node))
		node = *cpus ? (unsigned int)atoi(cpus) : 0;
	layers->initiator = (int)node;
	return 0;
}

/* Rows of distances have a number for each node that is online, in their order. */
static uint64_t distance(struct hmem_ctx *ctx, int from, int to)
{
	char dir[PATH_MAX], online[LIST_MAX], row[LIST_MAX], *at = row;
	uint64_t value = 0;

	read_list(ctx, "online", online);
	if (hmem_sysfs_path(ctx, dir, NODES "/node%d", from) ||
	    hmem_sysfs_text(dir, "distance", row, sizeof(row)) || !hmem_sysfs_in_list(online, to))
		return 0;
	for (int node = 0; node <= to; node++)
		if (hmem_sysfs_in_list(online, node))
			value = strtoull(at, &at, 10);
	return value;
}

struct hmem_figure hmem_layers_distance(const struct hmem_layers *layers, int nid)
{
	uint64_t value = nid < 0 ? 0 : distance(layers->ctx, layers->initiator, nid);

	return value ? hmem_figure(value, HMEM_ORIGIN_SLIT) : (struct hmem_figure){ 0 };
}

static void read_figure(const char *dir, const char *file, uint64_t unit, struct hmem_figure *figure)
{
	uint64_t value;

	/* 0: the firmware does not say. */
	if (!hmem_sysfs_u64(dir, file, 10, &value) && value && value <= UINT64_MAX / unit)
		*figure = hmem_figure(value * unit, HMEM_ORIGIN_FIRMWARE);
}

static void read_figures(const char *dir, struct hmem_layer_info *layer)
{
	read_figure(dir, "read_latency", 1, &layer->read_latency);
	read_figure(dir, "write_latency", 1, &layer->write_latency);
	read_figure(dir, "read_bandwidth", HMEM_BANDWIDTH_UNIT, &layer->read_bandwidth);
	read_figure(dir, "write_bandwidth", HMEM_BANDWIDTH_UNIT, &layer->write_bandwidth);
}

bool hmem_layers_read_access(const char *dir, int initiator, struct hmem_layer_info *layer)
{
	char class[PATH_MAX], link[PATH_MAX];

	/* Class 1 is of processors alone, class 0 of whatever is nearest. */
	for (int n = 1; n >= 0; n--) {
		if (snprintf(class, sizeof(class), "%s/access%d/initiators", dir, n) >=
			    (int)sizeof(class) ||
		    snprintf(link, sizeof(link), "%s/node%d", class, initiator) >=
			    (int)sizeof(link))
			return false;
		if (access(link, F_OK))
			continue;
		read_figures(class, layer);
		return true;
	}
	return false;
}

bool hmem_layers_read_region(struct hmem_ctx *ctx, const char *region,
			     struct hmem_layer_info *layer)
{
	char dir[PATH_MAX];

	/* Class 1 is of processors alone. There is no directory of initiators, as nodes have one. */
	for (int n = 1; n >= 0; n--) {
		if (hmem_sysfs_path(ctx, dir, "/sys/bus/cxl/devices/%s/access%d", region, n) ||
		    access(dir, F_OK))
			continue;
		read_figures(dir, layer);
		if (layer->read_latency.value || layer->read_bandwidth.value)
			return true;
	}
	return false;
}

uint64_t hmem_layers_most_bandwidth(struct hmem_ctx *ctx, int nid)
{
	struct hmem_layer_info found = { 0 };
	char dir[PATH_MAX];

	/* Whoever is named in a class gets what the class says. */
	for (int n = 1; n >= 0 && !found.read_bandwidth.value; n--)
		if (!hmem_sysfs_path(ctx, dir, NODES "/node%d/access%d/initiators", nid, n))
			read_figures(dir, &found);
	return found.read_bandwidth.value;
}

/* What is published for the processors of another node, nearest first, at their distance. */
static void estimate(struct hmem_layers *layers, const char *dir, struct hmem_layer_info *layer)
{
	char cpus[LIST_MAX];
	uint64_t near = 0;
	int from = -1;

	read_list(layers->ctx, "has_cpu", cpus);
	for (int node = 0; node < 1024; node++) {
		struct hmem_layer_info found = { 0 };
		uint64_t here;

		if (!hmem_sysfs_in_list(cpus, node) ||
		    !hmem_layers_read_access(dir, node, &found))
			continue;
		here = distance(layers->ctx, node, layer->nid);
		if (from >= 0 && here >= near)
			continue;
		from = node;
		near = here;
		layer->read_latency = found.read_latency;
		layer->write_latency = found.write_latency;
	}
	if (from < 0)
		return;
	if (!near || !layer->distance.value) {
		layer->read_latency = layer->write_latency = (struct hmem_figure){ 0 };
		return;
	}
	for (int write = 0; write < 2; write++) {
		struct hmem_figure *figure = write ? &layer->write_latency : &layer->read_latency;

		if (figure->origin && figure->value <= UINT64_MAX / layer->distance.value)
			*figure = hmem_figure(figure->value * layer->distance.value / near,
					      HMEM_ORIGIN_SLIT);
	}
}

/* The memory that the meminfo of @dir counts, if there is any: 0, and *@added is it or NULL. */
static int add_memory(struct hmem_layers *layers, const char *dir, int nid,
		      struct hmem_layer_info **added)
{
	char meminfo[LIST_MAX];
	uint64_t bytes;

	*added = NULL;
	if (hmem_sysfs_lines(dir, "meminfo", meminfo, sizeof(meminfo)))
		return 0;
	bytes = count_of(meminfo, "MemTotal:");
	if (!bytes)
		return 0;
	*added = hmem_layers_add(layers);
	if (!*added)
		return -ENOMEM;
	(*added)->nid = nid;
	(*added)->capacity = hmem_figure(bytes, HMEM_ORIGIN_KERNEL);
	(*added)->free = hmem_figure(count_of(meminfo, "MemFree:"), HMEM_ORIGIN_KERNEL);
	return 0;
}

static int visit_node(void *arg, const char *dir, const char *name)
{
	struct hmem_layers *layers = arg;
	struct hmem_layer_info *layer;
	char list[LIST_MAX];
	int nid = number_of(name, "node"), err;

	if (nid < 0)
		return 0;
	err = add_memory(layers, dir, nid, &layer);
	if (err || !layer)
		return err;
	layer->distance = hmem_layers_distance(layers, nid);
	read_list(layers->ctx, "has_cpu", list);
	if (hmem_sysfs_in_list(list, nid))
		layer->flags |= HMEM_LAYER_CPUS;
	if (!hmem_layers_read_access(dir, layers->initiator, layer))
		estimate(layers, dir, layer);
	return 0;
}

static int visit_tier(void *arg, const char *dir, const char *name)
{
	struct hmem_layers *layers = arg;
	char list[LIST_MAX];
	int tier = number_of(name, "memory_tier");

	if (tier < 0 || hmem_sysfs_text(dir, "nodelist", list, sizeof(list)))
		return 0;
	for (size_t i = 0; i < layers->n; i++)
		if (hmem_sysfs_in_list(list, layers->at[i].nid))
			layers->at[i].tier = tier;
	return 0;
}

/* A kernel that knows no nodes has one. */
static int only_node(struct hmem_layers *layers)
{
	struct hmem_layer_info *layer;
	char dir[PATH_MAX];
	int err = hmem_sysfs_path(layers->ctx, dir, "/proc");

	if (!err)
		err = add_memory(layers, dir, 0, &layer);
	if (!err && layer)
		layer->flags = HMEM_LAYER_CPUS;
	return err;
}

/* What the cpuset of this process keeps from it. Of another machine's nothing is known. */
static void forbid(struct hmem_layers *layers)
{
	static const char what[] = "Mems_allowed_list:";
	char status[LIST_MAX], *list;

	if (*layers->ctx->sysroot || hmem_sysfs_lines("/proc/self", "status", status, sizeof(status)))
		return;
	list = strstr(status, what);
	if (!list)
		return;
	list += strlen(what);
	list += strspn(list, " \t");
	for (size_t i = 0; i < layers->n; i++)
		if (!hmem_sysfs_in_list(list, layers->at[i].nid))
			layers->at[i].flags |= HMEM_LAYER_FORBIDDEN;
}

int hmem_layers_of_nodes(struct hmem_layers *layers)
{
	uint64_t nearest = UINT64_MAX;
	int err = find_initiator(layers);

	if (!err)
		err = hmem_sysfs_each(layers->ctx, NODES, visit_node, layers);
	if (!err && !layers->n)
		err = only_node(layers);
	if (!err)
		err = hmem_sysfs_each(layers->ctx, TIERS, visit_tier, layers);
	if (err)
		return err;
	forbid(layers);
	for (size_t i = 0; i < layers->n; i++)
		if (layers->at[i].distance.value && layers->at[i].distance.value < nearest)
			nearest = layers->at[i].distance.value;
	for (size_t i = 0; i < layers->n; i++)
		if (layers->at[i].distance.value == nearest || layers->n == 1)
			layers->at[i].flags |= HMEM_LAYER_LOCAL;
	return 0;
}
