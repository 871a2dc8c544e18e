// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Execution contexts of the host: threads of this process, wherever they run or bound to nodes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctx.h"
#include "execution.h"
#include "layers.h"
#include "node_cpus.h"

/* Nodes that a kernel can have. */
#define NODES_MAX 1024

/* @cpus: of all of them; NULL: below a sysroot */
struct nodes {
	cpu_set_t *cpus;
	int node[];
};

/* Whoever works on it has the memory where it is. */
static int attach(struct hmem_ctx *ctx, void *state, struct hmem_attachment_info *info,
		  void **attached)
{
	(void)ctx;
	(void)state;
	(void)attached;
	info->native = info->data;
	info->form = HMEM_NATIVE_ADDRESS;
	return 0;
}

static const struct hmem_execution_ops host_ops = { .attach = attach };

int hmem_execution_host(struct hmem_ctx *ctx, struct hmem_execution **execution)
{
	struct hmem_execution *new;

	if (!ctx)
		return -EINVAL;
	if (!execution)
		return hmem_fail(ctx, -EINVAL, "no place for the handle of an execution context");
	new = execution_new(ctx, HMEM_EXECUTION_HOST, &host_ops);
	if (!new)
		return -ENOMEM;
	snprintf(new->info.name, sizeof(new->info.name), "host");
	*execution = new;
	return 0;
}

/* --- bound to nodes ------------------------------------------------------------------ */

static void free_nodes(void *state)
{
	struct nodes *nodes = state;

	if (nodes)
		CPU_FREE(nodes->cpus);
	free(nodes);
}

static void release(struct hmem_ctx *ctx, void *state)
{
	(void)ctx;
	free_nodes(state);
}

static int unbind(struct hmem_ctx *ctx, void *state, void *was)
{
	int err = 0;

	(void)state;
	if (sched_setaffinity(0, CPU_ALLOC_SIZE(NODE_CPUS_MAX), was))
		err = hmem_fail(ctx, -errno,
				"the kernel does not let the thread go back to where it could run: %s",
				strerror(errno));
	CPU_FREE(was);
	return err;
}

static int bind(struct hmem_ctx *ctx, void *state, void **was)
{
	const struct nodes *nodes = state;
	cpu_set_t *before;
	int err;

	if (!nodes->cpus)
		return hmem_fail(ctx, -EOPNOTSUPP,
				 "below a sysroot there are files, and no processors to be bound to");
	err = node_cpus_allowed(ctx, &before);
	if (err)
		return err;
	if (sched_setaffinity(0, CPU_ALLOC_SIZE(NODE_CPUS_MAX), nodes->cpus)) {
		err = -errno;
		CPU_FREE(before);
		return hmem_fail(ctx, err,
				 "the kernel does not bind the thread to the processors of node %d: "
				 "%s; see Cpus_allowed in /proc/self/status",
				 nodes->node[0], strerror(-err));
	}
	*was = before;
	return 0;
}

static const struct hmem_execution_ops nodes_ops = {
	.release = release,
	.bind = bind,
	.unbind = unbind,
	.attach = attach,
};

static int check(struct hmem_ctx *ctx, const int *nodes, size_t nr)
{
	if (!nodes || !nr || nr > NODES_MAX)
		return hmem_fail(ctx, -EINVAL, "threads are bound to 1 to %d nodes, not %zu",
				 NODES_MAX, nodes ? nr : 0);
	for (size_t i = 0; i < nr; i++) {
		int err = nodes[i] < 0 ? hmem_fail(ctx, -EINVAL, "there is no NUMA node %d",
						   nodes[i]) :
					 hmem_layers_check_initiator(ctx, nodes[i]);

		if (err)
			return err;
		for (size_t j = 0; j < i; j++)
			if (nodes[j] == nodes[i])
				return hmem_fail(ctx, -EINVAL,
						 "node %d is twice among those to be bound to",
						 nodes[i]);
	}
	return 0;
}

/* Those of all nodes, of which each has one. */
static int collect(struct hmem_ctx *ctx, const int *node, size_t nr, cpu_set_t **cpus)
{
	size_t bytes = CPU_ALLOC_SIZE(NODE_CPUS_MAX);
	cpu_set_t *allowed, *all = CPU_ALLOC(NODE_CPUS_MAX);
	int err;

	if (!all)
		return hmem_fail(ctx, -ENOMEM, "no memory for a list of processors");
	CPU_ZERO_S(bytes, all);
	err = node_cpus_allowed(ctx, &allowed);
	if (err) {
		CPU_FREE(all);
		return err;
	}
	for (size_t i = 0; !err && i < nr; i++)
		err = node_cpus_add(ctx, node[i], allowed, all);
	CPU_FREE(allowed);
	if (err)
		CPU_FREE(all);
	else
		*cpus = all;
	return err;
}

/* "nodes 0,2,5", or as many of them as there is room for. */
static void name_nodes(struct hmem_execution *new, const int *node, size_t nr)
{
	size_t at = 0;

	for (size_t i = 0; i < nr && at < sizeof(new->info.name); i++)
		at += (size_t)snprintf(new->info.name + at, sizeof(new->info.name) - at, "%s%d",
				       !i ? nr > 1 ? "nodes " : "node " : ",", node[i]);
}

int hmem_execution_nodes(struct hmem_ctx *ctx, const int *nodes, size_t nr,
			 struct hmem_execution **execution)
{
	struct hmem_execution *new;
	struct nodes *state;
	int err;

	if (!ctx)
		return -EINVAL;
	if (!execution)
		return hmem_fail(ctx, -EINVAL, "no place for the handle of an execution context");
	err = check(ctx, nodes, nr);
	if (err)
		return err;
	state = calloc(1, sizeof(*state) + nr * sizeof(state->node[0]));
	if (!state)
		return hmem_fail(ctx, -ENOMEM, "no memory for a list of nodes");
	memcpy(state->node, nodes, nr * sizeof(state->node[0]));
	if (!*ctx->sysroot)
		err = collect(ctx, nodes, nr, &state->cpus);
	new = err ? NULL : execution_new(ctx, HMEM_EXECUTION_NODES, &nodes_ops);
	if (!new) {
		free_nodes(state);
		return err ? err : -ENOMEM;
	}
	new->state = state;
	new->nodes = state->node;
	new->info.nr_nodes = (uint32_t)nr;
	new->info.nid = nodes[0];
	name_nodes(new, nodes, nr);
	*execution = new;
	return 0;
}
