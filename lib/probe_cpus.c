// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which processors measure, and how large the caches are that stand between them and memory.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "ctx.h"
#include "probe.h"
#include "sysfs.h"

/* More than a kernel can be built for. */
#define CPUS_MAX 8192

#define LIST_MAX 8192

static bool may_use(const cpu_set_t *set, int cpu)
{
	return CPU_ISSET_S((size_t)cpu, CPU_ALLOC_SIZE(CPUS_MAX), set);
}

/* Those of the node that this thread is allowed, as many as there is room for at @cpus. */
static size_t list(struct hmem_ctx *ctx, int nid, const cpu_set_t *allowed, int *cpus)
{
	char dir[PATH_MAX], of_node[LIST_MAX];
	bool all;
	size_t n = 0;

	/* A kernel that knows no nodes has one. */
	all = hmem_sysfs_path(ctx, dir, "/sys/devices/system/node/node%d", nid) ||
	      hmem_sysfs_text(dir, "cpulist", of_node, sizeof(of_node));
	for (int cpu = 0; cpu < CPUS_MAX; cpu++)
		if (may_use(allowed, cpu) && (all || hmem_sysfs_in_list(of_node, cpu)))
			cpus[n++] = cpu;
	return n;
}

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

int hmem_probe_cpus_get(struct hmem_ctx *ctx, int nid, struct hmem_probe_cpus *cpus)
{
	cpu_set_t *allowed = CPU_ALLOC(CPUS_MAX);
	int *room = calloc(2 * CPUS_MAX, sizeof(*room)), err = 0;

	*cpus = (struct hmem_probe_cpus){ .cpu = room };
	if (!allowed || !room)
		err = hmem_fail(ctx, -ENOMEM, "no memory for a list of processors");
	else if (sched_getaffinity(0, CPU_ALLOC_SIZE(CPUS_MAX), allowed))
		err = hmem_fail(ctx, -errno, "cannot ask which processors may be used: %s",
				strerror(errno));
	if (!err) {
		cpus->n = list(ctx, nid, allowed, room);
		if (cpus->n)
			cpus->cache_bytes = caches(ctx, cpus, room + CPUS_MAX);
		else
			err = hmem_fail(ctx, -EPERM,
					"this process may use no processor of node %d: its cpuset, "
					"or the affinity of its thread, keeps it from them", nid);
	}
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
