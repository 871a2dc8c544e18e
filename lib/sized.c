// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Structs that begin with their own size.
 */
#include <errno.h>
#include <string.h>

#include "ctx.h"
#include "sized.h"

/* A size beyond this is not a newer header but an uninitialised member. */
#define SIZE_SANE 65536

static size_t size_of(const void *sized)
{
	size_t size;

	memcpy(&size, sized, sizeof(size));
	return size;
}

int hmem_sized_check(struct hmem_ctx *ctx, const char *what, const void *to, size_t first_size)
{
	size_t size = size_of(to);

	if (size < first_size || size > SIZE_SANE)
		return hmem_fail(ctx, -EINVAL, "%s: its member size is %zu; set it to sizeof(%s)",
				 what, size, what);
	return 0;
}

/* @theirs: bytes that @from has, which is not less than the first version had. */
static int copy_known(struct hmem_ctx *ctx, const char *what, void *to, size_t size,
		      const void *from, size_t theirs)
{
	for (size_t i = size; i < theirs; i++)
		if (((const unsigned char *)from)[i])
			return hmem_fail(ctx, -E2BIG,
					 "%s: uses members unknown to libhmem %s; update it", what,
					 hmem_version());
	memset(to, 0, size);
	memcpy(to, from, theirs < size ? theirs : size);
	return 0;
}

int hmem_sized_read(struct hmem_ctx *ctx, const char *what, void *to, size_t size,
		    size_t first_size, const void *from)
{
	int err = hmem_sized_check(ctx, what, from, first_size);

	return err ? err : copy_known(ctx, what, to, size, from, size_of(from));
}

int hmem_sized_read_element(struct hmem_ctx *ctx, const char *what, void *to, size_t size,
			    size_t first_size, const void *array, size_t index, size_t theirs)
{
	if (theirs < first_size || theirs > SIZE_SANE)
		return hmem_fail(ctx, -EINVAL, "%s: an array of these, of %zu bytes each; say sizeof(%s)",
				 what, theirs, what);
	return copy_known(ctx, what, to, size, (const char *)array + index * theirs, theirs);
}

void hmem_sized_write(void *to, const void *from, size_t size)
{
	size_t theirs = size_of(to), shared = theirs < size ? theirs : size;

	memcpy((char *)to + sizeof(size_t), (const char *)from + sizeof(size_t),
	       shared - sizeof(size_t));
	if (theirs > size)
		memset((char *)to + size, 0, theirs - size);
}
