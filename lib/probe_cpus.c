// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which processors measure, and how large the caches are that stand between them and memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctx.h"
#include "node_cpus.h"
#include "probe.h"
#include "sysfs.h"

#define LIST_MAX 8192

/* The bytes of a processor's last-level cache, and the first processor that shares it. */
static uint64_t last_cache(struct hmem_ctx *ctx, int cpu, int *first)
{
	uint64_t bytes = 0, most = 0;

	for (int index = 0; index < 8; index++) {
		char dir[PATH_MAX], text[LIST_MAX], *unit;
		uint64_t level;

		if (hmem_sysfs_path(ctx, dir, "/sys/devices/system/cpu/cpu%d/cache/index%d", cpu,
				    index) ||
		    hmem_sysfs_u64(dir, "level", 10, &level) || level < most ||
		    hmem_sysfs_text(dir, "size", text, sizeof(text)))
			continue;
		most = level;
		bytes = strtoull(text, &unit, 10);
		bytes <<= *unit == 'K' ? 10 : *unit == 'M' ? 20 : 0;
		*first = cpu;
		if (!hmem_sysfs_text(dir, "shared_cpu_list", text, sizeof(text)))
			*first = atoi(text);
	}
	return bytes;
}

/* Each cache once; @seen has room for all processors. */
static uint64_t caches(struct hmem_ctx *ctx, const struct hmem_probe_cpus *cpus, int *seen)
{
	uint64_t bytes = 0;
	size_t n = 0;

	for (size_t i = 0; i < cpus->n; i++) {
		int first = -1;
		uint64_t one = last_cache(ctx, cpus->cpu[i], &first);
		size_t k = 0;

		while (k < n && seen[k] != first)
			k++;
		if (!one || k < n)
			continue;
		seen[n++] = first;
		bytes += one;
	}
	return bytes;
}

/* Those of the node, of @allowed, as a set in @of_node. */
static int list(struct hmem_ctx *ctx, int nid, const cpu_set_t *allowed, cpu_set_t *of_node,
		struct hmem_probe_cpus *cpus)
{
	int err;

	CPU_ZERO_S(CPU_ALLOC_SIZE(NODE_CPUS_MAX), of_node);
	err = node_cpus_add(ctx, nid, allowed, of_node);
	for (int cpu = 0; !err && cpu < NODE_CPUS_MAX; cpu++)
		if (node_cpus_has(of_node, cpu))
			cpus->cpu[cpus->n++] = cpu;
	return err;
}

int hmem_probe_cpus_get(struct hmem_ctx *ctx, int nid, struct hmem_probe_cpus *cpus)
{
	cpu_set_t *allowed = NULL, *of_node = CPU_ALLOC(NODE_CPUS_MAX);
	int *room = calloc(2 * NODE_CPUS_MAX, sizeof(*room)), err;

	*cpus = (struct hmem_probe_cpus){ .cpu = room };
	if (!of_node || !room)
		err = hmem_fail(ctx, -ENOMEM, "no memory for a list of processors");
	else
		err = node_cpus_allowed(ctx, &allowed);
	if (!err)
		err = list(ctx, nid, allowed, of_node, cpus);
	if (!err)
		cpus->cache_bytes = caches(ctx, cpus, room + NODE_CPUS_MAX);
	CPU_FREE(of_node);
	CPU_FREE(allowed);
	if (err)
		hmem_probe_cpus_put(cpus);
	return err;
}

void hmem_probe_cpus_put(struct hmem_probe_cpus *cpus)
{
	free(cpus->cpu);
	*cpus = (struct hmem_probe_cpus){ 0 };
}
