// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The processors of a NUMA node that a thread may use.
 */
#include <errno.h>
#include <string.h>

#include "ctx.h"
#include "node_cpus.h"
#include "sysfs.h"

/* Longer than any list of processors that a kernel writes. */
#define LIST_MAX 8192

int node_cpus_allowed(struct hmem_ctx *ctx, cpu_set_t **allowed)
{
	cpu_set_t *set = CPU_ALLOC(NODE_CPUS_MAX);
	int err;

	if (!set)
		return hmem_fail(ctx, -ENOMEM, "no memory for a list of processors");
	/* The kernel may write less than that. */
	CPU_ZERO_S(CPU_ALLOC_SIZE(NODE_CPUS_MAX), set);
	if (!sched_getaffinity(0, CPU_ALLOC_SIZE(NODE_CPUS_MAX), set)) {
		*allowed = set;
		return 0;
	}
	err = -errno;
	CPU_FREE(set);
	return hmem_fail(ctx, err, "cannot ask which processors may be used: %s", strerror(-err));
}

int node_cpus_add(struct hmem_ctx *ctx, int nid, const cpu_set_t *allowed, cpu_set_t *cpus)
{
	char dir[PATH_MAX], of_node[LIST_MAX];
	bool all, any = false;

	/* A kernel that knows no nodes has one. */
	all = hmem_sysfs_path(ctx, dir, "/sys/devices/system/node/node%d", nid) ||
	      hmem_sysfs_text(dir, "cpulist", of_node, sizeof(of_node));
	for (int cpu = 0; cpu < NODE_CPUS_MAX; cpu++)
		if (node_cpus_has(allowed, cpu) && (all || hmem_sysfs_in_list(of_node, cpu))) {
			CPU_SET_S((size_t)cpu, CPU_ALLOC_SIZE(NODE_CPUS_MAX), cpus);
			any = true;
		}
	if (any)
		return 0;
	return hmem_fail(ctx, -EPERM,
			 "this process may use no processor of node %d: its cpuset, or the affinity "
			 "of its thread, keeps it from them", nid);
}
