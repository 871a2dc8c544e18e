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
 * @owner: of a slice; NULL: it is none, and has @data itself
 * @offset: of a slice in its owner
 * @users: how many use the memory just now; -1: one who changes where it is
 * @slices: that there are of it
 */
struct hmem_allocation {
	struct hmem_ctx *ctx;
	struct hmem_interface *interface;
	struct hmem_allocation *owner;
	_Atomic(char *) data;
	size_t offset;
	size_t bytes;
	size_t align;
	bool owns;
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

#endif
