/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a copy of rows and planes must return, and leave behind, by the definition: byte for byte,
 * of shapes that are chosen at random.
 */
#ifndef SELFTESTS_HOST_COPY_MODEL_H
#define SELFTESTS_HOST_COPY_MODEL_H

#include <hmem/hmem.h>

#include <errno.h>
#include <stdlib.h>

#include "blocks_model.h"

/*
 * One side of it: an allocation, or a slice of one.
 *
 * @whole: what must be in the allocation
 * @from, @bytes: the part of that which the handle is for
 */
struct copy_side {
	struct hmem_allocation *handle;
	unsigned char *whole;
	size_t from;
	size_t bytes;
	struct hmem_layout layout;
};

static inline size_t row_of(const struct hmem_shape *shape, const struct hmem_layout *layout)
{
	return layout->row ? layout->row : shape->bytes;
}

static inline size_t plane_of(const struct hmem_shape *shape, const struct hmem_layout *layout)
{
	return layout->plane ? layout->plane : shape->rows * row_of(shape, layout);
}

/* From the first byte to behind the last one. */
static inline size_t extent(const struct hmem_shape *shape, const struct hmem_layout *layout)
{
	return (shape->planes - 1) * plane_of(shape, layout) +
	       (shape->rows - 1) * row_of(shape, layout) + shape->bytes;
}

static inline struct hmem_layout some_layout(uint64_t *random, const struct hmem_shape *shape,
					     size_t bytes)
{
	struct hmem_layout layout = { 0, 0, 0 };
	size_t all;

	if (next_random(random) % 4)
		layout.row = shape->bytes + next_random(random) % 9;
	if (next_random(random) % 4)
		layout.plane = (shape->rows - 1) * row_of(shape, &layout) + shape->bytes +
			       next_random(random) % 33;
	/* Too narrow: they overlap. */
	if (next_random(random) % 32 == 0)
		layout.row = 1 + next_random(random) % shape->bytes;
	all = extent(shape, &layout);
	if (all <= bytes)
		layout.offset = next_random(random) % (bytes - all + 1);
	if (next_random(random) % 32 == 0)
		layout.offset += next_random(random) % 100;
	return layout;
}

/* That fits into @bytes for the most part. */
static inline struct hmem_shape some_shape(uint64_t *random, size_t bytes)
{
	struct hmem_shape shape = { 1 + next_random(random) % bytes, 1, 1 };

	if (next_random(random) % 3) {
		shape.rows = 1 + next_random(random) % 8;
		shape.planes = 1 + next_random(random) % 4;
		shape.bytes = 1 + next_random(random) % (bytes / shape.rows / shape.planes + 1);
	}
	return shape;
}

static inline int side_is_wrong(const struct hmem_shape *shape, const struct copy_side *side)
{
	const struct hmem_layout *layout = &side->layout;
	size_t rows = (shape->rows - 1) * row_of(shape, layout) + shape->bytes;

	if ((shape->rows > 1 && row_of(shape, layout) < shape->bytes) ||
	    (shape->planes > 1 && plane_of(shape, layout) < rows))
		return -EINVAL;
	return layout->offset + extent(shape, layout) > side->bytes ? -ERANGE : 0;
}

static inline bool is_one_run(const struct hmem_shape *shape, const struct copy_side *side)
{
	return extent(shape, &side->layout) == shape->bytes * shape->rows * shape->planes;
}

static inline int copy_expected(const struct hmem_shape *shape, const struct copy_side *to,
				const struct copy_side *from)
{
	size_t in = to->from + to->layout.offset, out = from->from + from->layout.offset;
	int err = side_is_wrong(shape, to);

	if (!err)
		err = side_is_wrong(shape, from);
	if (err || to->whole != from->whole || (is_one_run(shape, to) && is_one_run(shape, from)))
		return err;
	return in < out + extent(shape, &from->layout) && out < in + extent(shape, &to->layout) ?
		       -EINVAL :
		       0;
}

/* Byte @i of the shape, in what the side is of. */
static inline unsigned char *copy_byte(const struct hmem_shape *shape, const struct copy_side *side,
				       size_t i)
{
	const struct hmem_layout *layout = &side->layout;
	size_t row = i / shape->bytes % shape->rows, plane = i / shape->bytes / shape->rows;

	return side->whole + side->from + layout->offset + plane * plane_of(shape, layout) +
	       row * row_of(shape, layout) + i % shape->bytes;
}

/* As if all were read before any of it is written. */
static inline void copy_apply(const struct hmem_shape *shape, const struct copy_side *to,
			      const struct copy_side *from)
{
	size_t all = shape->bytes * shape->rows * shape->planes;
	unsigned char *read = malloc(all);

	if (!read)
		tap_bail("no memory");
	for (size_t i = 0; i < all; i++)
		read[i] = *copy_byte(shape, from, i);
	for (size_t i = 0; i < all; i++)
		*copy_byte(shape, to, i) = read[i];
	free(read);
}

#endif
