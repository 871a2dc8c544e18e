// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Copies: what is checked before one, and how it is made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <hmem/copy.h>

#include "allocation.h"
#include "completion.h"
#include "copy_large.h"
#include "ctx.h"
#include "uncancelled.h"

/*
 * A copy that was checked, and may be made by any thread.
 *
 * @to_root, @from_root: are used until it is made; NULL: there is nothing to copy
 */
struct copy {
	struct hmem_allocation *to_root;
	struct hmem_allocation *from_root;
	struct hmem_shape shape;
	char *to;
	const char *from;
	size_t to_row;
	size_t to_plane;
	size_t from_row;
	size_t from_plane;
};

/* One side of a copy, with all that its layout left out. */
struct side {
	struct hmem_allocation *root;
	size_t offset;
	size_t row;
	size_t plane;
	size_t end;
};

/* Where the last byte is, plus 1, from the allocation's first one; false: that is no number. */
static bool reaches(const struct hmem_shape *shape, struct side *side)
{
	size_t rows, planes, end;

	if (__builtin_mul_overflow(shape->rows - 1, side->row, &rows) ||
	    __builtin_mul_overflow(shape->planes - 1, side->plane, &planes) ||
	    __builtin_add_overflow(rows, planes, &end) ||
	    __builtin_add_overflow(end, shape->bytes, &end) ||
	    __builtin_add_overflow(end, side->offset, &end))
		return false;
	side->end = end;
	return true;
}

/* Its memory is used, so it has as many bytes as it has. */
static int settle(struct hmem_allocation *allocation, const struct hmem_layout *layout,
		  const struct hmem_shape *shape, struct side *side)
{
	struct hmem_ctx *ctx = allocation->ctx;
	size_t rows;

	*side = (struct side){ .root = allocation_root(allocation) };
	if (layout)
		*side = (struct side){ side->root, layout->offset, layout->row, layout->plane, 0 };
	if (!side->row)
		side->row = shape->bytes;
	if (__builtin_mul_overflow(shape->rows, side->row, &rows))
		return hmem_fail(ctx, -ERANGE, "%zu rows at %zu bytes are more than there is",
				 shape->rows, side->row);
	if (!side->plane)
		side->plane = rows;
	if ((shape->rows > 1 && side->row < shape->bytes) ||
	    (shape->planes > 1 && side->plane < rows - side->row + shape->bytes))
		return hmem_fail(ctx, -EINVAL,
				 "rows of %zu bytes at %zu, or planes at %zu, overlap each other",
				 shape->bytes, side->row, side->plane);
	if (!reaches(shape, side) || side->end > allocation->bytes)
		return hmem_fail(ctx, -ERANGE,
				 "%zu rows of %zu bytes in %zu planes at %zu reach beyond an "
				 "allocation of %zu bytes",
				 shape->rows, shape->bytes, shape->planes, side->offset,
				 allocation->bytes);
	side->offset += allocation->offset;
	side->end += allocation->offset;
	return 0;
}

static bool in_one_run(const struct hmem_shape *shape, const struct side *side)
{
	return (shape->rows == 1 || side->row == shape->bytes) &&
	       (shape->planes == 1 || side->plane == shape->rows * shape->bytes);
}

static bool overlap(const struct side *a, const struct side *b)
{
	const char *x = a->root->data, *y = b->root->data;

	return x + a->offset < y + b->end && y + b->offset < x + a->end;
}

/* Of two whose memory is used. */
static int describe(struct copy *copy, struct hmem_allocation *to,
		    const struct hmem_layout *to_layout, struct hmem_allocation *from,
		    const struct hmem_layout *from_layout, const struct hmem_shape *shape)
{
	struct side in, out;
	int err;

	err = settle(to, to_layout, shape, &in);
	if (!err)
		err = settle(from, from_layout, shape, &out);
	if (err)
		return err;
	copy->shape = *shape;
	if (in_one_run(shape, &in) && in_one_run(shape, &out))
		copy->shape = (struct hmem_shape){ shape->bytes * shape->rows * shape->planes, 1, 1 };
	else if (overlap(&in, &out))
		return hmem_fail(to->ctx, -EINVAL,
				 "what is copied overlaps where it goes; only one run of bytes may");
	copy->to = in.root->data + in.offset;
	copy->from = out.root->data + out.offset;
	copy->to_row = in.row;
	copy->to_plane = in.plane;
	copy->from_row = out.row;
	copy->from_plane = out.plane;
	return 0;
}

/* Made or not: both allocations may be moved then. */
static void leave(const struct copy *copy)
{
	if (!copy->to_root)
		return;
	allocation_unuse(copy->from_root);
	allocation_unuse(copy->to_root);
}

static int prepare(struct copy *copy, struct hmem_allocation *to, const struct hmem_layout *to_layout,
		   struct hmem_allocation *from, const struct hmem_layout *from_layout,
		   const struct hmem_shape *shape)
{
	int err;

	if (!to || !from)
		return -EINVAL;
	if (!shape)
		return hmem_fail(to->ctx, -EINVAL, "what shall be copied has a shape");
	memset(copy, 0, sizeof(*copy));
	if (!shape->bytes || !shape->rows || !shape->planes)
		return 0;
	err = allocation_use(allocation_root(to));
	if (err)
		return err;
	err = allocation_use(allocation_root(from));
	if (err) {
		allocation_unuse(allocation_root(to));
		return err;
	}
	copy->to_root = allocation_root(to);
	copy->from_root = allocation_root(from);
	err = describe(copy, to, to_layout, from, from_layout, shape);
	if (err)
		leave(copy);
	return err;
}


static void make(const struct copy *copy)
{
	for (size_t plane = 0; plane < copy->shape.planes; plane++) {
		char *to = copy->to + plane * copy->to_plane;
		const char *from = copy->from + plane * copy->from_plane;

		for (size_t row = 0; row < copy->shape.rows; row++)
			copy_bytes(to + row * copy->to_row, from + row * copy->from_row,
				   copy->shape.bytes);
	}
}

struct begun {
	struct hmem_completion completion;
	struct copy copy;
};

static void make_begun(struct hmem_completion *completion)
{
	make(&((struct begun *)(void *)completion)->copy);
}

static void leave_begun(struct hmem_completion *completion)
{
	leave(&((struct begun *)(void *)completion)->copy);
}

static int do_copy_begin(struct hmem_allocation *to, const struct hmem_layout *to_layout,
			 struct hmem_allocation *from, const struct hmem_layout *from_layout,
			 const struct hmem_shape *shape, struct hmem_completion **completion)
{
	struct begun *new;
	int err;

	if (!to || !from)
		return -EINVAL;
	if (!completion)
		return hmem_fail(to->ctx, -EINVAL, "no place for what to wait for");
	new = calloc(1, sizeof(*new));
	if (!new)
		return hmem_fail(to->ctx, -ENOMEM, "no memory to begin a copy");
	new->completion.make = make_begun;
	new->completion.commit = leave_begun;
	new->completion.cancel = leave_begun;
	err = prepare(&new->copy, to, to_layout, from, from_layout, shape);
	if (!err) {
		err = completion_begin(to->ctx, &new->completion);
		if (err)
			leave(&new->copy);
	}
	if (err) {
		free(new);
		return err;
	}
	*completion = &new->completion;
	return 0;
}

int hmem_copy_begin(struct hmem_allocation *to, const struct hmem_layout *to_layout,
		    struct hmem_allocation *from, const struct hmem_layout *from_layout,
		    const struct hmem_shape *shape, struct hmem_completion **completion)
{
	return UNCANCELLED(do_copy_begin(to, to_layout, from, from_layout, shape, completion));
}

int hmem_copy_shape(struct hmem_allocation *to, const struct hmem_layout *to_layout,
		    struct hmem_allocation *from, const struct hmem_layout *from_layout,
		    const struct hmem_shape *shape)
{
	struct copy copy;
	int err = prepare(&copy, to, to_layout, from, from_layout, shape);

	if (!err) {
		make(&copy);
		leave(&copy);
	}
	return err;
}

int hmem_copy_bytes(struct hmem_allocation *to, size_t to_offset, struct hmem_allocation *from,
	      size_t from_offset, size_t bytes)
{
	const struct hmem_layout in = { .offset = to_offset }, out = { .offset = from_offset };
	const struct hmem_shape shape = { bytes, 1, 1 };

	return hmem_copy_shape(to, &in, from, &out, &shape);
}
