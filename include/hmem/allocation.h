/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Allocations: memory with all that is known of it - where it is, how much, of which interface,
 * and whether it goes with its handle - that can be cut into slices, resized, and moved to another
 * space while its handle stays.
 *
 * A pointer to the memory is good until the allocation is resized, moved or freed, which is refused
 * as long as it has slices, is copied (copy.h), or is attached to an execution context
 * (execution.h).
 *
 * Threading: any function may be called from any thread; of two that contradict each other one is
 * -EBUSY. Nobody may use a handle that is freed.
 */
#ifndef HMEM_ALLOCATION_H
#define HMEM_ALLOCATION_H

#include <stddef.h>
#include <stdint.h>

#include <hmem/context.h>
#include <hmem/interface.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hmem_allocation;

#define HMEM_ALLOCATION_ZERO	(1u << 0)	/* new: it reads as zeroes */
#define HMEM_ALLOCATION_OWNS	(1u << 1)	/* adopt: the memory is freed with the handle */

/**
 * struct hmem_allocation_info - what an allocation is
 * @size: sizeof(struct hmem_allocation_info), set by the caller
 * @data: where it is now
 * @bytes: how much was asked for
 * @usable: how much there is; 0: its interface does not know
 * @align: that was asked for, and is kept
 * @slices: that it has
 * @owns: the memory goes with the handle
 * @interface: that it is of; NULL: of none. No reference is taken.
 * @owner: of a slice: what it is a slice of; else NULL
 */
struct hmem_allocation_info {
	size_t size;
	void *data;
	uint64_t bytes;
	uint64_t usable;
	uint64_t align;
	uint32_t slices;
	uint32_t owns;
	struct hmem_interface *interface;
	struct hmem_allocation *owner;
};

/**
 * hmem_allocation_new - allocate
 * @bytes: 1 or more
 * @align: as of hmem_aligned_alloc(); 0: 16
 * @flags: HMEM_ALLOCATION_ZERO
 * @allocation: where to put the handle; written only on success
 *
 * The handle holds its interface.
 *
 * Return: 0; -EINVAL (no bytes, no such flag, no such alignment), -ENOSPC, -EDQUOT, -EUSERS, as of
 * hmem_malloc(), -ENOMEM.
 */
HMEM_API int hmem_allocation_new(struct hmem_interface *interface, size_t bytes, size_t align,
				 uint32_t flags, struct hmem_allocation **allocation);

/**
 * hmem_allocation_adopt - a handle for memory that is there
 * @interface: whose block @data is; NULL: it is of none, and nothing can be done to it but copying
 * @data: the memory
 * @bytes: how much of it, 1 or more
 * @flags: HMEM_ALLOCATION_OWNS: it is a block of @interface, and freed with the handle
 *
 * Return: 0; -EINVAL (no memory, no bytes, to be freed and of no interface; or the interface has
 * no such block, or a smaller one, as far as it knows), -ENOMEM.
 */
HMEM_API int hmem_allocation_adopt(struct hmem_ctx *ctx, struct hmem_interface *interface,
				   void *data, size_t bytes, uint32_t flags,
				   struct hmem_allocation **allocation);

/**
 * hmem_allocation_slice - a part of an allocation, as one
 *
 * A slice of a slice is one of the same owner. It is where its owner is, and says so by its data.
 *
 * Return: 0; -ERANGE (it reaches beyond), -EINVAL (no bytes), -EBUSY (the owner is just moved),
 * -EALREADY (checked mode: its memory was freed behind its back), -ENOMEM.
 */
HMEM_API int hmem_allocation_slice(struct hmem_allocation *allocation, size_t offset, size_t bytes,
				   struct hmem_allocation **slice);

/**
 * hmem_allocation_free - give up a handle, and its memory if it owns that
 * @allocation: NULL: nothing happens
 *
 * Return: 0; -EBUSY (it has slices, is copied or attached), -EINVAL, -EALREADY (its memory is no
 * block of its interface, or was freed behind its back), -EOVERFLOW (checked mode: it was written
 * beyond its end, and stays): then the handle is gone.
 */
HMEM_API int hmem_allocation_free(struct hmem_allocation *allocation);

/**
 * hmem_allocation_data - where it is now; NULL: no handle, or it was freed behind its back and that
 * of its owner, which only checked mode (interface.h) sees
 */
HMEM_API void *hmem_allocation_data(const struct hmem_allocation *allocation);

/** hmem_allocation_bytes - how much was asked for; 0: no handle */
HMEM_API size_t hmem_allocation_bytes(const struct hmem_allocation *allocation);

/** hmem_allocation_get_info - all that is known of it. Return: 0; -EINVAL, -EBUSY (it is just moved) */
HMEM_API int hmem_allocation_get_info(const struct hmem_allocation *allocation,
				      struct hmem_allocation_info *info);

/**
 * hmem_allocation_resize - have more, or less
 * @bytes: 1 or more
 *
 * What is in it stays as far as both reach; its data may be elsewhere then.
 *
 * Return: 0; -EBUSY (it has slices, is copied or attached), -EOPNOTSUPP (a slice, or of no
 * interface, or does not own its memory), -EINVAL (no bytes), and as hmem_allocation_new(): then it
 * is as it was. Checked mode (interface.h): also -EALREADY and -EOVERFLOW, as hmem_free().
 */
HMEM_API int hmem_allocation_resize(struct hmem_allocation *allocation, size_t bytes);

/**
 * hmem_allocation_move - have it in another space, or another interface of the same
 *
 * The handle stays, its data changes.
 *
 * Return: as hmem_allocation_resize().
 */
HMEM_API int hmem_allocation_move(struct hmem_allocation *allocation, struct hmem_interface *to);

struct hmem_completion;

/**
 * hmem_allocation_move_begin - the same, by a thread of the library
 * @completion: where to put what to wait for (copy.h); written only on success
 *
 * There is room for it when this returns. Until it is done its data is where it was, must not be
 * written, and the handle cannot be sliced, copied, resized, moved or freed. When it is, nobody may
 * look there any more. In checked mode what was wrong with the block that it had (written beyond its
 * end) is told to the context's log alone, and that block stays.
 *
 * Return: as hmem_allocation_move(), save for checked mode; -EOPNOTSUPP also where either interface
 * is for one thread; -EAGAIN (no thread can be had).
 */
HMEM_API int hmem_allocation_move_begin(struct hmem_allocation *allocation,
					struct hmem_interface *to,
					struct hmem_completion **completion);

#ifdef __cplusplus
}
#endif
#endif
