// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Allocations: handles of memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "allocation.h"
#include "completion.h"
#include "copy_large.h"
#include "ctx.h"
#include "interface.h"
#include "sized.h"
#include "uncancelled.h"

#define FIRST_INFO sizeof(struct hmem_allocation_info)

/* --- who uses it --------------------------------------------------------------------- */

/* As far as its interface checks that. */
static bool is_there(const struct hmem_allocation *root)
{
	return !root->interface || !interface_is_checked(root->interface) ||
	       hmem_usable_size(root->interface, atomic_load(&root->data));
}

static int not_there(const struct hmem_allocation *root)
{
	return hmem_fail(root->ctx, -EALREADY,
			 "the memory of an allocation of %zu bytes was freed behind its back",
			 root->bytes);
}

int allocation_use(struct hmem_allocation *root)
{
	int users = atomic_load_explicit(&root->users, memory_order_relaxed);

	do {
		if (users < 0)
			return hmem_fail(root->ctx, -EBUSY,
					 "an allocation of %zu bytes is just resized, moved or freed",
					 root->bytes);
	} while (!atomic_compare_exchange_weak_explicit(&root->users, &users, users + 1,
							memory_order_acquire,
							memory_order_relaxed));
	if (is_there(root))
		return 0;
	allocation_unuse(root);
	return not_there(root);
}

void allocation_unuse(struct hmem_allocation *root)
{
	atomic_fetch_sub_explicit(&root->users, 1, memory_order_release);
}

/* Alone, to change where it is. */
static int have(struct hmem_allocation *allocation)
{
	unsigned int slices;
	int none = 0;

	if (!atomic_compare_exchange_strong(&allocation->users, &none, -1))
		return hmem_fail(allocation->ctx, -EBUSY,
				 "an allocation of %zu bytes is copied, attached to an execution "
				 "context, or just changed by another thread",
				 allocation->bytes);
	slices = atomic_load(&allocation->slices);
	if (!slices)
		return 0;
	atomic_store(&allocation->users, 0);
	return hmem_fail(allocation->ctx, -EBUSY,
			 "an allocation of %zu bytes has %u slices; free them first",
			 allocation->bytes, slices);
}

static void let_go(struct hmem_allocation *allocation)
{
	atomic_store(&allocation->users, 0);
}

/* --- handles ------------------------------------------------------------------------- */

static struct hmem_allocation *new_handle(struct hmem_ctx *ctx, struct hmem_interface *interface)
{
	struct hmem_allocation *new = calloc(1, sizeof(*new));

	if (!new) {
		hmem_fail(ctx, -ENOMEM, "no memory for the handle of an allocation");
		return NULL;
	}
	new->ctx = hmem_ctx_ref(ctx);
	new->interface = interface ? hmem_interface_ref(interface) : NULL;
	new->align = 1;
	return new;
}

static void free_handle(struct hmem_allocation *allocation)
{
	hmem_interface_unref(allocation->interface);
	hmem_ctx_unref(allocation->ctx);
	free(allocation);
}

/* A block of an interface, or what keeps it from having one. */
static int allocate(struct hmem_interface *interface, size_t bytes, size_t align, char **block)
{
	struct hmem_space *space = interface->space;
	int err;

	*block = hmem_aligned_alloc(interface, align, bytes);
	if (*block)
		return 0;
	err = -errno;
	if (err == -EINVAL)
		return hmem_fail(space->ctx, err, "%s: blocks cannot be aligned to %zu", space->name,
				 align);
	return hmem_fail(space->ctx, err, "%s: there are no %zu bytes%s", space->name, bytes,
			 err == -EDQUOT ? " within its limit" :
			 err == -EUSERS ? " for another thread" : "");
}

int hmem_allocation_new(struct hmem_interface *interface, size_t bytes, size_t align,
			uint32_t flags, struct hmem_allocation **allocation)
{
	struct hmem_allocation *new;
	char *block;
	int err;

	if (!interface)
		return -EINVAL;
	if (!bytes || !allocation || flags & ~HMEM_ALLOCATION_ZERO)
		return hmem_fail(interface->space->ctx, -EINVAL,
				 "an allocation needs bytes, a place for its handle, and no flags but "
				 "HMEM_ALLOCATION_ZERO");
	new = new_handle(interface->space->ctx, interface);
	if (!new)
		return -ENOMEM;
	new->align = align ? align : GRANULE_BLOCK_MIN;
	err = allocate(interface, bytes, new->align, &block);
	if (err) {
		free_handle(new);
		return err;
	}
	if (flags & HMEM_ALLOCATION_ZERO)
		memset(block, 0, bytes);
	atomic_init(&new->data, block);
	new->bytes = bytes;
	new->owns = true;
	*allocation = new;
	return 0;
}

/* As far as the interface knows. */
static int check_block(struct hmem_ctx *ctx, struct hmem_interface *interface, const void *data,
		       size_t bytes)
{
	size_t has = hmem_usable_size(interface, data);

	if (interface->options.strategy == HMEM_STRATEGY_BUMP && !interface_is_checked(interface))
		return 0;
	if (!has)
		return hmem_fail(ctx, -EINVAL, "%s: %p is no block of this interface",
				 interface->space->name, data);
	if (has < bytes)
		return hmem_fail(ctx, -EINVAL, "%s: the block at %p has %zu bytes, not %zu",
				 interface->space->name, data, has, bytes);
	return 0;
}

int hmem_allocation_adopt(struct hmem_ctx *ctx, struct hmem_interface *interface, void *data,
			  size_t bytes, uint32_t flags, struct hmem_allocation **allocation)
{
	struct hmem_allocation *new;
	int err;

	if (!ctx)
		return -EINVAL;
	if (!data || !bytes || !allocation || flags & ~HMEM_ALLOCATION_OWNS ||
	    bytes - 1 > UINTPTR_MAX - (uintptr_t)data)
		return hmem_fail(ctx, -EINVAL,
				 "an allocation needs memory, a place for its handle, and no flags but "
				 "HMEM_ALLOCATION_OWNS");
	if (flags && !interface)
		return hmem_fail(ctx, -EINVAL,
				 "memory of no interface cannot be freed with its handle");
	err = interface ? check_block(ctx, interface, data, bytes) : 0;
	if (err)
		return err;
	new = new_handle(ctx, interface);
	if (!new)
		return -ENOMEM;
	atomic_init(&new->data, data);
	new->bytes = bytes;
	new->owns = flags & HMEM_ALLOCATION_OWNS;
	*allocation = new;
	return 0;
}

int hmem_allocation_slice(struct hmem_allocation *allocation, size_t offset, size_t bytes,
			  struct hmem_allocation **slice)
{
	struct hmem_allocation *root, *new;
	int err;

	if (!allocation)
		return -EINVAL;
	if (!bytes || !slice)
		return hmem_fail(allocation->ctx, -EINVAL,
				 "a slice needs bytes, and a place for its handle");
	if (offset > allocation->bytes || bytes > allocation->bytes - offset)
		return hmem_fail(allocation->ctx, -ERANGE,
				 "%zu bytes at %zu reach beyond an allocation of %zu", bytes, offset,
				 allocation->bytes);
	root = allocation_root(allocation);
	err = allocation_use(root);
	if (err)
		return err;
	new = new_handle(root->ctx, root->interface);
	if (new) {
		new->owner = root;
		new->offset = allocation->offset + offset;
		new->bytes = bytes;
		atomic_fetch_add(&root->slices, 1);
		*slice = new;
	}
	allocation_unuse(root);
	return new ? 0 : -ENOMEM;
}

int hmem_allocation_free(struct hmem_allocation *allocation)
{
	int err;

	if (!allocation)
		return 0;
	if (allocation->owner) {
		atomic_fetch_sub(&allocation->owner->slices, 1);
		free_handle(allocation);
		return 0;
	}
	err = have(allocation);
	if (err)
		return err;
	if (allocation->owns)
		err = hmem_free(allocation->interface, atomic_load(&allocation->data));
	free_handle(allocation);
	return err;
}

/* --- what it is ---------------------------------------------------------------------- */

void *hmem_allocation_data(const struct hmem_allocation *allocation)
{
	const struct hmem_allocation *root;

	if (!allocation)
		return NULL;
	root = allocation->owner ? allocation->owner : allocation;
	if (!is_there(root)) {
		not_there(root);
		return NULL;
	}
	return atomic_load(&root->data) + allocation->offset;
}

size_t hmem_allocation_bytes(const struct hmem_allocation *allocation)
{
	return allocation ? allocation->bytes : 0;
}

int hmem_allocation_get_info(const struct hmem_allocation *allocation,
			     struct hmem_allocation_info *info)
{
	struct hmem_allocation_info now = { .size = sizeof(now) };
	int err;

	if (!allocation)
		return -EINVAL;
	if (!info)
		return hmem_fail(allocation->ctx, -EINVAL, "no place for what an allocation is");
	err = hmem_sized_check(allocation->ctx, "struct hmem_allocation_info", info, FIRST_INFO);
	if (err)
		return err;
	if (atomic_load(&allocation->users) < 0)
		return hmem_fail(allocation->ctx, -EBUSY,
				 "an allocation of %zu bytes is just moved; wait for its completion",
				 allocation->bytes);
	now.data = hmem_allocation_data(allocation);
	now.bytes = allocation->bytes;
	if (allocation->interface && !allocation->owner)
		now.usable = hmem_usable_size(allocation->interface, now.data);
	now.align = allocation->align;
	now.slices = atomic_load(&allocation->slices);
	now.owns = allocation->owns;
	now.interface = allocation->interface;
	now.owner = allocation->owner;
	hmem_sized_write(info, &now, sizeof(now));
	return 0;
}

/* --- elsewhere ----------------------------------------------------------------------- */

static int can_change(struct hmem_allocation *allocation)
{
	if (allocation->owner)
		return hmem_fail(allocation->ctx, -EOPNOTSUPP,
				 "a slice is where its owner is, and has as much as it had");
	if (!allocation->owns)
		return hmem_fail(allocation->ctx, -EOPNOTSUPP,
				 "memory that an allocation does not own stays where it is");
	return have(allocation);
}

/* By whom it is had. Its data is @new of @to then, which is freed where that fails. */
static int replace(struct hmem_allocation *allocation, struct hmem_interface *to, char *new,
		   size_t bytes)
{
	char *old = atomic_load(&allocation->data);
	int err;

	copy_bytes(new, old, bytes < allocation->bytes ? bytes : allocation->bytes);
	err = hmem_free(allocation->interface, old);
	/* Else, whoever freed it before has a bug, but nothing of this is lost. */
	if (err && interface_is_checked(allocation->interface)) {
		hmem_free(to, new);
		return err;
	}
	atomic_store(&allocation->data, new);
	allocation->bytes = bytes;
	return 0;
}

static int transfer(struct hmem_allocation *allocation, struct hmem_interface *to, size_t bytes)
{
	char *new;
	int err = allocate(to, bytes, allocation->align, &new);

	return err ? err : replace(allocation, to, new, bytes);
}

int hmem_allocation_resize(struct hmem_allocation *allocation, size_t bytes)
{
	size_t has;
	int err;

	if (!allocation)
		return -EINVAL;
	if (!bytes)
		return hmem_fail(allocation->ctx, -EINVAL, "an allocation has bytes; free it instead");
	err = can_change(allocation);
	if (err)
		return err;
	has = hmem_usable_size(allocation->interface, atomic_load(&allocation->data));
	if (interface_has_enough(allocation->interface, has, bytes))
		allocation->bytes = bytes;
	else
		err = transfer(allocation, allocation->interface, bytes);
	let_go(allocation);
	return err;
}

int hmem_allocation_move(struct hmem_allocation *allocation, struct hmem_interface *to)
{
	struct hmem_interface *from;
	int err;

	if (!allocation)
		return -EINVAL;
	if (!to)
		return hmem_fail(allocation->ctx, -EINVAL, "an allocation moves to an interface");
	err = can_change(allocation);
	if (err)
		return err;
	from = allocation->interface;
	if (from != to)
		err = transfer(allocation, to, allocation->bytes);
	if (!err && from != to)
		allocation->interface = hmem_interface_ref(to);
	let_go(allocation);
	if (!err && from != to)
		hmem_interface_unref(from);
	return err;
}

/* --- elsewhere, by a thread of the library ------------------------------------------- */

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
		moving->allocation->interface = moving->to;
	}
	let_go(moving->allocation);
}

/* A child keeps the block, and the interface, until it ends: it holds locks now. */
static void cancel_move(struct hmem_completion *completion)
{
	let_go(moving_of(completion)->allocation);
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
		err = allocate(to, allocation->bytes, allocation->align, &new->new);
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
	err = can_change(allocation);
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
		let_go(allocation);
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
