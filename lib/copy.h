/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A copy that was checked, and may be made by any thread.
 */
#ifndef LIB_COPY_H
#define LIB_COPY_H

#include <hmem/copy.h>

#include "allocation.h"

/* @to_root, @from_root: are used until it is made; NULL: there is nothing to copy */
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

int copy_prepare(struct copy *copy, struct hmem_allocation *to, const struct hmem_layout *to_layout,
		 struct hmem_allocation *from, const struct hmem_layout *from_layout,
		 const struct hmem_shape *shape);

void copy_make(const struct copy *copy);
/* Made or not: both allocations may be moved then. */
void copy_leave(const struct copy *copy);

#endif
