// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Allocations: handles of memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "allocation.h"
#include "copy_large.h"
#include "ctx.h"
#include "interface.h"
#include "sized.h"

#define FIRST_INFO sizeof(struct hmem_allocation_info)
#define HAVE_TRIES 100

/* --- who uses it --------------------------------------------------------------------- */

/* Of one that is used: as far as its interface checks that. */
static bool is_there(const struct hmem_allocation *root)
{
	return !atomic_load(&root->checked) ||
	       hmem_usable_size(root->interface, atomic_load(&root->data));
}

static int not_there(const struct hmem_allocation *root)
{
	return hmem_fail(root->ctx, -EALREADY,
			 "the memory of an allocation of %zu bytes was freed behind its back",
			 root->bytes);
}

static bool try_use(struct hmem_allocation *root)
{
	int users = atomic_load_explicit(&root->users, memory_order_relaxed);

	do {
		if (users < 0)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&root->users, &users, users + 1,
							memory_order_acquire,
							memory_order_relaxed));
	return true;
}

int allocation_use(struct hmem_allocation *root)
{
	if (!try_use(root))
		return hmem_fail(root->ctx, -EBUSY,
				 "an allocation of %zu bytes is just resized, moved or freed",
				 root->bytes);
	if (is_there(root))
		return 0;
	allocation_unuse(root);
	return not_there(root);
}

void allocation_unuse(struct hmem_allocation *root)
{
	atomic_fetch_sub_explicit(&root->users, 1, memory_order_release);
}

/* Alone, to change where it is. Who only asks what it is has done so when it is tried again. */
static int have(struct hmem_allocation *allocation)
{
	unsigned int slices;

	for (int i = 0; i < HAVE_TRIES; i++) {
		int none = 0;

		if (atomic_compare_exchange_strong(&allocation->users, &none, -1))
			return 0;
	}
	slices = atomic_load(&allocation->slices);
	if (slices)
		return hmem_fail(allocation->ctx, -EBUSY,
				 "an allocation of %zu bytes has %u slices; free them first",
				 allocation->bytes, slices);
	return hmem_fail(allocation->ctx, -EBUSY,
			 "an allocation of %zu bytes is copied, attached to an execution "
			 "context, or just changed by another thread",
			 allocation->bytes);
}

void allocation_let_go(struct hmem_allocation *allocation)
{
	atomic_store(&allocation->users, 0);
}

void allocation_put(struct hmem_allocation *allocation, struct hmem_interface *interface)
{
	allocation->interface = interface;
	atomic_store_explicit(&allocation->checked, interface && interface_is_checked(interface),
			      memory_order_relaxed);
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
	allocation_put(new, hmem_interface_ref(interface));
	new->align = 1;
	return new;
}

static void free_handle(struct hmem_allocation *allocation)
{
	hmem_interface_unref(allocation->interface);
	hmem_ctx_unref(allocation->ctx);
	free(allocation);
}

int allocation_block(struct hmem_interface *interface, size_t bytes, size_t align, char **block)
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
	err = allocation_block(interface, bytes, new->align, &block);
	if (err) {
		free_handle(new);
		return err;
	}
	if (flags & HMEM_ALLOCATION_ZERO)
		memset(block, 0, bytes);
	atomic_init(&new->data, block);
	atomic_init(&new->bytes, bytes);
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
	atomic_init(&new->bytes, bytes);
	new->owns = flags & HMEM_ALLOCATION_OWNS;
	*allocation = new;
	return 0;
}

/* Of one whose memory is used, which the slice does from then on. */
static int make_slice(struct hmem_allocation *allocation, size_t offset, size_t bytes,
		      struct hmem_allocation **slice)
{
	struct hmem_allocation *root = allocation_root(allocation), *new;
	size_t has = allocation->bytes;

	if (offset > has || bytes > has - offset)
		return hmem_fail(root->ctx, -ERANGE,
				 "%zu bytes at %zu reach beyond an allocation of %zu", bytes, offset,
				 has);
	new = new_handle(root->ctx, root->interface);
	if (!new)
		return -ENOMEM;
	new->owner = root;
	new->offset = allocation->offset + offset;
	atomic_init(&new->bytes, bytes);
	atomic_fetch_add(&root->slices, 1);
	*slice = new;
	return 0;
}

int hmem_allocation_slice(struct hmem_allocation *allocation, size_t offset, size_t bytes,
			  struct hmem_allocation **slice)
{
	int err;

	if (!allocation)
		return -EINVAL;
	if (!bytes || !slice)
		return hmem_fail(allocation->ctx, -EINVAL,
				 "a slice needs bytes, and a place for its handle");
	err = allocation_use(allocation_root(allocation));
	if (err)
		return err;
	err = make_slice(allocation, offset, bytes, slice);
	if (err)
		allocation_unuse(allocation_root(allocation));
	return err;
}

int hmem_allocation_free(struct hmem_allocation *allocation)
{
	int err;

	if (!allocation)
		return 0;
	if (allocation->owner) {
		atomic_fetch_sub(&allocation->owner->slices, 1);
		allocation_unuse(allocation->owner);
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

/* To use it changes nothing that one sees of it. */
static struct hmem_allocation *root_of(const struct hmem_allocation *allocation)
{
	return allocation_root((struct hmem_allocation *)(uintptr_t)allocation);
}

/* Of one that is used. */
static void *data_of(const struct hmem_allocation *allocation)
{
	const struct hmem_allocation *root = root_of(allocation);

	if (is_there(root))
		return atomic_load(&root->data) + allocation->offset;
	not_there(root);
	return NULL;
}

/* While somebody changes where it is, it is somewhere. */
void *hmem_allocation_data(const struct hmem_allocation *allocation)
{
	struct hmem_allocation *root;
	void *data;

	if (!allocation)
		return NULL;
	root = root_of(allocation);
	if (!atomic_load(&root->checked) || !try_use(root))
		return atomic_load(&root->data) + allocation->offset;
	data = data_of(allocation);
	allocation_unuse(root);
	return data;
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
	if (!try_use(root_of(allocation)))
		return hmem_fail(allocation->ctx, -EBUSY,
				 "an allocation of %zu bytes is just moved; wait for its completion",
				 allocation->bytes);
	now.data = data_of(allocation);
	now.bytes = allocation->bytes;
	if (allocation->interface && !allocation->owner)
		now.usable = hmem_usable_size(allocation->interface, now.data);
	now.align = allocation->align;
	now.slices = atomic_load(&allocation->slices);
	now.owns = allocation->owns;
	now.interface = allocation->interface;
	now.owner = allocation->owner;
	allocation_unuse(root_of(allocation));
	hmem_sized_write(info, &now, sizeof(now));
	return 0;
}

/* --- elsewhere ----------------------------------------------------------------------- */

int allocation_have(struct hmem_allocation *allocation)
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
	int err = allocation_block(to, bytes, allocation->align, &new);

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
	err = allocation_have(allocation);
	if (err)
		return err;
	has = hmem_usable_size(allocation->interface, atomic_load(&allocation->data));
	if (interface_has_enough(allocation->interface, has, bytes))
		allocation->bytes = bytes;
	else
		err = transfer(allocation, allocation->interface, bytes);
	allocation_let_go(allocation);
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
	err = allocation_have(allocation);
	if (err)
		return err;
	from = allocation->interface;
	if (from != to)
		err = transfer(allocation, to, allocation->bytes);
	if (!err && from != to)
		allocation_put(allocation, hmem_interface_ref(to));
	allocation_let_go(allocation);
	if (!err && from != to)
		hmem_interface_unref(from);
	return err;
}
