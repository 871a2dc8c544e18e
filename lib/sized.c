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

int hmem_sized_read(struct hmem_ctx *ctx, const char *what, void *to, size_t size,
		    size_t first_size, const void *from)
{
	size_t theirs = size_of(from);
	int err = hmem_sized_check(ctx, what, from, first_size);

	if (err)
		return err;
	for (size_t i = size; i < theirs; i++)
		if (((const unsigned char *)from)[i])
			return hmem_fail(ctx, -E2BIG,
					 "%s: uses members unknown to libhmem %s; update it", what,
					 hmem_version());
	memset(to, 0, size);
	memcpy(to, from, theirs < size ? theirs : size);
	return 0;
}

void hmem_sized_write(void *to, const void *from, size_t size)
{
	size_t theirs = size_of(to), shared = theirs < size ? theirs : size;

	memcpy((char *)to + sizeof(size_t), (const char *)from + sizeof(size_t),
	       shared - sizeof(size_t));
	if (theirs > size)
		memset((char *)to + size, 0, theirs - size);
}
