/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an execution context is inside the library: a table of what can be done, which each
 * kind has in a file of its own, or a caller gives.
 */
#ifndef LIB_EXECUTION_H
#define LIB_EXECUTION_H

#include <stdatomic.h>

#include <hmem/execution.h>

/*
 * @nodes: that it is bound to, info.nr_nodes of them, which are @state's
 */
struct hmem_execution {
	atomic_uint refs;
	struct hmem_ctx *ctx;
	struct hmem_execution_ops ops;
	void *state;
	struct hmem_execution_info info;
	const int *nodes;
};

/* With a kind and no state; NULL with a last error. */
struct hmem_execution *execution_new(struct hmem_ctx *ctx, uint32_t kind,
				     const struct hmem_execution_ops *ops);

#endif
