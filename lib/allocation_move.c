// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Moves of allocations by the library's thread: the caller goes on, and the handle stays.
 */
#include <errno.h>
#include <stdlib.h>

#include "allocation.h"
#include "completion.h"
#include "copy_large.h"
#include "ctx.h"
#include "interface.h"
#include "uncancelled.h"

/*
 * @from, @old: where it was
 * @to, @new: where it is to be; NULL: there already
 */
struct moving {
	struct hmem_completion completion;
	struct hmem_allocation *allocation;
	struct hmem_interface *from;
	struct hmem_interface *to;
	char *old;
	char *new;
};

static struct moving *moving_of(struct hmem_completion *completion)
{
	return (struct moving *)(void *)completion;
}

static void make_move(struct hmem_completion *completion)
{
	struct moving *moving = moving_of(completion);

	if (moving->new)
		copy_bytes(moving->new, moving->old, moving->allocation->bytes);
}

static void commit_move(struct hmem_completion *completion)
{
	struct moving *moving = moving_of(completion);

	if (moving->new) {
		atomic_store(&moving->allocation->data, moving->new);
		allocation_put(moving->allocation, moving->to);
	}
	allocation_let_go(moving->allocation);
}

/* A child keeps the block, and the interface, until it ends: it holds locks now. */
static void cancel_move(struct hmem_completion *completion)
{
	allocation_let_go(moving_of(completion)->allocation);
}

/* Nobody has the old block any more. What is wrong with it the log tells. */
static void finish_move(struct hmem_completion *completion)
{
	struct moving *moving = moving_of(completion);

	if (!moving->new)
		return;
	hmem_free(moving->from, moving->old);
	hmem_interface_unref(moving->from);
}

static int begin_move(struct hmem_allocation *allocation, struct hmem_interface *to,
		      struct moving *new)
{
	int err = 0;

	new->completion.make = make_move;
	new->completion.commit = commit_move;
	new->completion.cancel = cancel_move;
	new->completion.finish = finish_move;
	new->allocation = allocation;
	new->from = allocation->interface;
	new->old = atomic_load(&allocation->data);
	if (to != new->from) {
		err = allocation_block(to, allocation->bytes, allocation->align, &new->new);
		if (err)
			return err;
		new->to = hmem_interface_ref(to);
	}
	err = completion_begin(allocation->ctx, &new->completion);
	if (err && new->new) {
		hmem_free(to, new->new);
		hmem_interface_unref(to);
	}
	return err;
}

static int do_move_begin(struct hmem_allocation *allocation, struct hmem_interface *to,
			 struct hmem_completion **completion)
{
	struct moving *new;
	int err;

	if (!allocation)
		return -EINVAL;
	if (!to || !completion)
		return hmem_fail(allocation->ctx, -EINVAL,
				 "an allocation moves to an interface, with a place for what to wait "
				 "for");
	err = allocation_have(allocation);
	if (err)
		return err;
	new = calloc(1, sizeof(*new));
	if (!new)
		err = hmem_fail(allocation->ctx, -ENOMEM, "no memory to begin a move");
	else if ((allocation->interface->options.flags | to->options.flags) &
		 HMEM_INTERFACE_ONE_THREAD)
		err = hmem_fail(allocation->ctx, -EOPNOTSUPP,
				"an interface for one thread is not for the library's; use "
				"hmem_allocation_move()");
	else
		err = begin_move(allocation, to, new);
	if (err) {
		allocation_let_go(allocation);
		free(new);
		return err;
	}
	*completion = &new->completion;
	return 0;
}

int hmem_allocation_move_begin(struct hmem_allocation *allocation, struct hmem_interface *to,
			       struct hmem_completion **completion)
{
	return UNCANCELLED(do_move_begin(allocation, to, completion));
}
