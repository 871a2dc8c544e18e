// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Execution contexts: handles, and threads that become one of a context's.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctx.h"
#include "execution.h"
#include "layers.h"
#include "printable.h"
#include "sized.h"
#include "uncancelled.h"

#define FIRST_INFO	sizeof(struct hmem_execution_info)
#define FIRST_OPS	sizeof(struct hmem_execution_ops)

struct hmem_execution *execution_new(struct hmem_ctx *ctx, uint32_t kind,
				     const struct hmem_execution_ops *ops)
{
	struct hmem_execution *new = calloc(1, sizeof(*new));

	if (!new) {
		hmem_fail(ctx, -ENOMEM, "no memory for an execution context");
		return NULL;
	}
	atomic_init(&new->refs, 1);
	new->ctx = hmem_ctx_ref(ctx);
	new->ops = *ops;
	new->info.size = sizeof(new->info);
	new->info.kind = kind;
	new->info.nid = -1;
	new->info.align = 1;
	return new;
}

struct hmem_execution *hmem_execution_ref(struct hmem_execution *execution)
{
	if (!execution)
		return NULL;
	atomic_fetch_add_explicit(&execution->refs, 1, memory_order_relaxed);
	return execution;
}

static void dispose(struct hmem_execution *execution)
{
	if (execution->ops.release)
		execution->ops.release(execution->ctx, execution->state);
	hmem_ctx_unref(execution->ctx);
	free(execution);
}

void hmem_execution_unref(struct hmem_execution *execution)
{
	if (execution && atomic_fetch_sub_explicit(&execution->refs, 1, memory_order_acq_rel) == 1)
		(void)UNCANCELLED((dispose(execution), 0));
}

int hmem_execution_get_info(const struct hmem_execution *execution,
			    struct hmem_execution_info *info)
{
	int err;

	if (!execution)
		return -EINVAL;
	if (!info)
		return hmem_fail(execution->ctx, -EINVAL,
				 "no place for what an execution context is");
	err = hmem_sized_check(execution->ctx, "struct hmem_execution_info", info, FIRST_INFO);
	if (!err)
		hmem_sized_write(info, &execution->info, sizeof(execution->info));
	return err;
}

/* --- a caller's ---------------------------------------------------------------------- */

static int check_info(struct hmem_ctx *ctx, const struct hmem_execution_info *info)
{
	char shown[sizeof(info->name)];

	if (!memchr(info->name, 0, sizeof(info->name)))
		return hmem_fail(ctx, -ENAMETOOLONG,
				 "names of execution contexts have at most %d bytes",
				 HMEM_EXECUTION_NAME_MAX);
	snprintf(shown, sizeof(shown), "%s", info->name);
	hmem_make_printable(shown);
	if (!*shown || strcmp(shown, info->name))
		return hmem_fail(ctx, -EINVAL,
				 "an execution context needs a name that can be printed");
	if (info->kind != HMEM_EXECUTION_OTHER || info->nr_nodes || info->reserved)
		return hmem_fail(ctx, -EINVAL,
				 "%s: an execution context of a caller has the kind "
				 "HMEM_EXECUTION_OTHER, and no threads bound to nodes",
				 info->name);
	if (info->nid < -1 || !info->align)
		return hmem_fail(ctx, -EINVAL,
				 "%s: there is no node %d to be near to, or no alignment %" PRIu64,
				 info->name, info->nid, info->align);
	return info->nid < 0 ? 0 : hmem_layers_check_initiator(ctx, info->nid);
}

int hmem_execution_create(struct hmem_ctx *ctx, const struct hmem_execution_info *info,
			  const struct hmem_execution_ops *ops, void *state,
			  struct hmem_execution **execution)
{
	struct hmem_execution_info said;
	struct hmem_execution_ops use;
	struct hmem_execution *new;
	int err;

	if (!ctx)
		return -EINVAL;
	if (!info || !ops || !execution)
		return hmem_fail(ctx, -EINVAL,
				 "an execution context needs an info, a table of what it does and a "
				 "place for its handle");
	err = hmem_sized_read(ctx, "struct hmem_execution_info", &said, sizeof(said), FIRST_INFO,
			      info);
	if (!err)
		err = hmem_sized_read(ctx, "struct hmem_execution_ops", &use, sizeof(use),
				      FIRST_OPS, ops);
	if (!err)
		err = check_info(ctx, &said);
	if (err)
		return err;
	new = execution_new(ctx, HMEM_EXECUTION_OTHER, &use);
	if (!new)
		return -ENOMEM;
	said.size = sizeof(said);
	new->info = said;
	new->state = state;
	*execution = new;
	return 0;
}

/* --- threads of it ------------------------------------------------------------------- */

/* @was: what the kind keeps for the way back */
struct hmem_binding {
	struct hmem_execution *execution;
	pthread_t thread;
	void *was;
};

static int bind_thread(struct hmem_execution *execution, struct hmem_binding **binding)
{
	struct hmem_binding *new;
	int err = 0;

	if (!execution)
		return -EINVAL;
	if (!binding)
		return hmem_fail(execution->ctx, -EINVAL, "no place for the way back from %s",
				 execution->info.name);
	new = calloc(1, sizeof(*new));
	if (!new)
		return hmem_fail(execution->ctx, -ENOMEM, "no memory for the way back from %s",
				 execution->info.name);
	if (execution->ops.bind)
		err = execution->ops.bind(execution->ctx, execution->state, &new->was);
	if (err) {
		free(new);
		return err;
	}
	new->execution = hmem_execution_ref(execution);
	new->thread = pthread_self();
	*binding = new;
	return 0;
}

int hmem_execution_bind(struct hmem_execution *execution, struct hmem_binding **binding)
{
	return UNCANCELLED(bind_thread(execution, binding));
}

static int end_binding(struct hmem_binding *binding)
{
	struct hmem_execution *execution;
	int err = 0;

	if (!binding)
		return 0;
	execution = binding->execution;
	if (!pthread_equal(binding->thread, pthread_self()))
		return hmem_fail(execution->ctx, -EPERM,
				 "another thread is bound to %s, and ends that itself",
				 execution->info.name);
	if (execution->ops.unbind)
		err = execution->ops.unbind(execution->ctx, execution->state, binding->was);
	free(binding);
	hmem_execution_unref(execution);
	return err;
}

int hmem_binding_end(struct hmem_binding *binding)
{
	return UNCANCELLED(end_binding(binding));
}
