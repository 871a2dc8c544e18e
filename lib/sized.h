/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Structs of the API that begin with their own size (a size_t), as the caller's
 * compiler saw it. A program built against an older or a newer header keeps working.
 */
#ifndef LIB_SIZED_H
#define LIB_SIZED_H

#include <stddef.h>

struct hmem_ctx;

/*
 * Copy the caller's struct @from into @to, whose size here is @size. Members that the
 * caller does not know become zero. -EINVAL when it is smaller than the first
 * published version; -E2BIG when it is larger and what we do not know is not zero.
 */
int hmem_sized_read(struct hmem_ctx *ctx, const char *what, void *to, size_t size,
		    size_t first_size, const void *from);

/* Likewise of an array whose elements have @theirs bytes, and no size of their own. */
int hmem_sized_read_element(struct hmem_ctx *ctx, const char *what, void *to, size_t size,
			    size_t first_size, const void *array, size_t index, size_t theirs);

/* The size that the caller gave in the output struct @to, checked: 0 or -EINVAL. */
int hmem_sized_check(struct hmem_ctx *ctx, const char *what, const void *to,
		     size_t first_size);

/*
 * Copy @from, of @size, into the caller's checked @to and leave its size member alone.
 * Members that we do not know become zero.
 */
void hmem_sized_write(void *to, const void *from, size_t size);

#endif
