/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an execution context is inside the library: a table of what can be done, one file for each
 * kind.
 */
#ifndef LIB_EXECUTION_H
#define LIB_EXECUTION_H

#include <stdatomic.h>

#include <hmem/execution.h>

/*
 * What a kind does; a member that is NULL has nothing to do.
 *
 * @release: the last reference is gone
 * @bind, @unbind: the calling thread; what @bind leaves in @was @unbind gets
 * @attach: @info has data, bytes and flags; native, form and copies are to be filled in. What it
 *	leaves in @attached those after it get. NULL: nothing can be attached
 */
struct execution_ops {
	void (*release)(struct hmem_ctx *ctx, void *state);
	int (*bind)(struct hmem_ctx *ctx, void *state, void **was);
	int (*unbind)(struct hmem_ctx *ctx, void *state, void *was);
	int (*attach)(struct hmem_ctx *ctx, void *state, struct hmem_attachment_info *info,
		      void **attached);
	int (*begin)(struct hmem_ctx *ctx, void *state, void *attached);
	int (*end)(struct hmem_ctx *ctx, void *state, void *attached);
	int (*detach)(struct hmem_ctx *ctx, void *state, void *attached);
};

/*
 * @nodes: that it is bound to, info.nr_nodes of them, which are @state's
 */
struct hmem_execution {
	atomic_uint refs;
	struct hmem_ctx *ctx;
	struct execution_ops ops;
	void *state;
	struct hmem_execution_info info;
	const int *nodes;
};

/* With a kind and no state; NULL with a last error. */
struct hmem_execution *execution_new(struct hmem_ctx *ctx, uint32_t kind,
				     const struct execution_ops *ops);

#endif
