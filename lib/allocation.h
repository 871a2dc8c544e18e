/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an allocation is inside the library, and how it is kept where it is while it is used.
 */
#ifndef LIB_ALLOCATION_H
#define LIB_ALLOCATION_H

#include <stdatomic.h>
#include <stdbool.h>

#include <hmem/allocation.h>

/*
 * @interface: stays while it is used
 * @owner: of a slice; NULL: it is none, and has @data itself
 * @checked: its interface knows whether its memory is there
 * @offset: of a slice in its owner
 * @users: how many use the memory just now, each slice being one; -1: one who changes where it is
 * @slices: that there are of it
 */
struct hmem_allocation {
	struct hmem_ctx *ctx;
	struct hmem_interface *interface;
	struct hmem_allocation *owner;
	_Atomic(char *) data;
	size_t offset;
	_Atomic size_t bytes;
	size_t align;
	bool owns;
	atomic_bool checked;
	atomic_int users;
	atomic_uint slices;
};

/* What has the memory: itself, or the owner of a slice. */
static inline struct hmem_allocation *allocation_root(struct hmem_allocation *allocation)
{
	return allocation->owner ? allocation->owner : allocation;
}

/* Of a root: it stays where it is until allocation_unuse(). -EBUSY: it is just going elsewhere. */
int allocation_use(struct hmem_allocation *root);
void allocation_unuse(struct hmem_allocation *root);

/*
 * Nobody else uses it until allocation_let_go(), so that it can be resized or moved. -EBUSY: somebody
 * does; -EOPNOTSUPP: it cannot be, ever.
 */
int allocation_have(struct hmem_allocation *allocation);
void allocation_let_go(struct hmem_allocation *allocation);

/* By who has it, or made it: it is of the @interface, whose reference is its own from then on. */
void allocation_put(struct hmem_allocation *allocation, struct hmem_interface *interface);

/* A block for one, or what keeps the interface from having it. */
int allocation_block(struct hmem_interface *interface, size_t bytes, size_t align, char **block);

#endif
