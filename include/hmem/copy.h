/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copies between any two allocations: a run of bytes, or rows and planes of them with gaps between;
 * at once, or by a thread of the library while the caller goes on.
 *
 * Threading: any function may be called from any thread.
 */
#ifndef HMEM_COPY_H
#define HMEM_COPY_H

#include <stddef.h>
#include <stdint.h>

#include <hmem/allocation.h>
#include <hmem/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * hmem_copy_bytes - copy bytes
 *
 * Both may be the same, or slices of one, and overlap.
 *
 * Return: 0; -EINVAL (no handle), -ERANGE (one reaches beyond its end), -EBUSY (one is just
 * resized, moved or freed), -EALREADY (checked mode, see interface.h: the memory of one was freed
 * behind its back).
 */
HMEM_API int hmem_copy_bytes(struct hmem_allocation *to, size_t to_offset, struct hmem_allocation *from,
		       size_t from_offset, size_t bytes);

/**
 * struct hmem_shape - what is copied
 * @bytes: of a row
 * @rows: of a plane
 * @planes: 1: two dimensions
 */
struct hmem_shape {
	size_t bytes;
	size_t rows;
	size_t planes;
};

/**
 * struct hmem_layout - where that is in an allocation
 * @offset: of the first byte
 * @row: bytes from one row to the next; 0: they follow each other
 * @plane: bytes from one plane to the next; 0: likewise
 */
struct hmem_layout {
	size_t offset;
	size_t row;
	size_t plane;
};

/**
 * hmem_copy_shape - copy rows and planes
 * @to_layout, @from_layout: NULL: from the first byte on, without gaps
 *
 * Nothing is copied if the shape has no bytes.
 *
 * Return: as hmem_copy_bytes(); -EINVAL also: rows or planes overlap each other, or what is copied
 * overlaps where it goes.
 */
HMEM_API int hmem_copy_shape(struct hmem_allocation *to, const struct hmem_layout *to_layout,
			     struct hmem_allocation *from, const struct hmem_layout *from_layout,
			     const struct hmem_shape *shape);

struct hmem_completion;

/**
 * hmem_copy_begin - as hmem_copy_shape(), by a thread of the library
 * @completion: where to put what to wait for; written only on success
 *
 * Until it is done neither allocation can be resized, moved or freed. Copies are made one after
 * the other, in the order in which they were begun. What vanishes under it raises SIGBUS there.
 *
 * Return: as hmem_copy_shape(); -EAGAIN (no thread can be had), -ENOMEM.
 */
HMEM_API int hmem_copy_begin(struct hmem_allocation *to, const struct hmem_layout *to_layout,
			     struct hmem_allocation *from, const struct hmem_layout *from_layout,
			     const struct hmem_shape *shape, struct hmem_completion **completion);

/**
 * hmem_completion_poll - whether it is done
 *
 * Return: 1; 0: not yet; -ECANCELED (this is a child of fork(2), and its parent makes the copy, in
 * its own memory), -EINVAL.
 */
HMEM_API int hmem_completion_poll(const struct hmem_completion *completion);

/**
 * hmem_completion_wait - wait until it is done
 * @ms: as long at most; -1: for ever
 *
 * Return: 0; -ETIMEDOUT, -ECANCELED (as above), -EINVAL.
 */
HMEM_API int hmem_completion_wait(struct hmem_completion *completion, int ms);

/** hmem_completion_unref - give it up, done or not: it goes on. NULL: nothing happens. */
HMEM_API void hmem_completion_unref(struct hmem_completion *completion);

#ifdef __cplusplus
}
#endif
#endif
