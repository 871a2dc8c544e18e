/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making a mapped range durable, by the CPU or by the kernel.
 */
#ifndef LIB_FLUSH_H
#define LIB_FLUSH_H

#include <stdbool.h>
#include <stddef.h>

struct hmem_ctx;

/* Can this CPU write its caches back from user mode? */
bool hmem_flush_cpu_possible(struct hmem_ctx *ctx);

/* Only for mappings where that reaches the media, and when it is possible. */
void hmem_flush_cpu(struct hmem_ctx *ctx, const void *address, size_t length);

/* The same where the platform writes the caches back by itself. */
void hmem_flush_fence(struct hmem_ctx *ctx);

/* msync(2) of the pages that hold the range. @name is for the message. */
int hmem_flush_msync(struct hmem_ctx *ctx, const char *name, const void *address, size_t length);

#endif
