// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Making a mapped range durable.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "ctx.h"
#include "flush.h"
#include "mapping.h"

bool hmem_flush_cpu_possible(struct hmem_ctx *ctx)
{
	return ctx->flush.range;
}

void hmem_flush_cpu(struct hmem_ctx *ctx, const void *address, size_t length)
{
	uintptr_t start = (uintptr_t)address, end = start + length;

	ctx->flush.range(start & ~(uintptr_t)(ctx->flush.line - 1), end, ctx->flush.line);
}

void hmem_flush_fence(struct hmem_ctx *ctx)
{
	ctx->flush.fence();
}

int hmem_flush_msync(struct hmem_ctx *ctx, const char *name, const void *address, size_t length)
{
	uintptr_t page = (uintptr_t)hmem_page_size();
	uintptr_t start = (uintptr_t)address & ~(page - 1), end = (uintptr_t)address + length;
	int err;

	if (!msync((void *)start, end - start, MS_SYNC))
		return 0;
	err = errno == ENOMEM ? -EINVAL : -errno;
	if (err == -EINVAL)
		return hmem_fail(ctx, err, "persisting %s: %zu bytes at %p are not all mapped",
				 name, length, address);
	return hmem_fail(ctx, err, "persisting %s: msync failed: %s", name, strerror(-err));
}
