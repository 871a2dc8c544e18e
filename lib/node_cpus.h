/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The processors of a NUMA node that a thread may use.
 */
#ifndef LIB_NODE_CPUS_H
#define LIB_NODE_CPUS_H

#include <sched.h>
#include <stdbool.h>

struct hmem_ctx;

/* More than a kernel can be built for: what each set here has room for. */
#define NODE_CPUS_MAX 8192

static inline bool node_cpus_has(const cpu_set_t *set, int cpu)
{
	return CPU_ISSET_S((size_t)cpu, CPU_ALLOC_SIZE(NODE_CPUS_MAX), set);
}

/* Those that the calling thread may use; for CPU_FREE(). 0, -ENOMEM, what the system answered. */
int node_cpus_allowed(struct hmem_ctx *ctx, cpu_set_t **allowed);

/* Those of a node, of @allowed, to @cpus; -EPERM: there is none. */
int node_cpus_add(struct hmem_ctx *ctx, int nid, const cpu_set_t *allowed, cpu_set_t *cpus);

#endif
