/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a context is inside the library, and how the rest of it fails and logs.
 */
#ifndef LIB_CTX_H
#define LIB_CTX_H

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <hmem/context.h>

#include "cpu_flush.h"

struct hmem_provider_entry;

/*
 * @born: with the address it tells contexts apart, as an address alone is used again
 * @sysroot: what stands before every path of /sys, /dev and /etc; never NULL
 * @lock: protects @providers; its entries are only ever added and never change
 */
struct hmem_ctx {
	atomic_uint refs;
	uint64_t born;
	atomic_int log_level;
	hmem_log_fn log;
	void *log_arg;
	char *sysroot;
	struct hmem_cpu_flush flush;
	pthread_mutex_t lock;
	struct hmem_provider_entry *providers;
};

void hmem_log_at(struct hmem_ctx *ctx, enum hmem_log_level level, const char *where,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));
int hmem_fail_at(struct hmem_ctx *ctx, const char *where, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#define hmem_log(ctx, level, ...) hmem_log_at(ctx, level, __func__, __VA_ARGS__)

/* Set the last error and return @error: every failure of the library goes through it. */
#define hmem_fail(ctx, error, ...) hmem_fail_at(ctx, __func__, error, __VA_ARGS__)

#endif
