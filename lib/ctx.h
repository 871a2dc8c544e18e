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

struct hmem_layer_entry;
struct hmem_layer_measured;
struct hmem_provider_entry;
struct hmem_space;

/*
 * @born: with the address it tells contexts apart, as an address alone is used again
 * @sysroot: what stands before every path of /sys, /dev and /etc; never NULL
 * @lock: protects @providers and @layers; their entries are only ever added and never change; and
 *	@measured and @spaces, all of it
 */
struct hmem_ctx {
	atomic_uint refs;
	uint64_t born;
	atomic_int log_level;
	hmem_log_fn log;
	void *log_arg;
	hmem_progress_fn progress;
	void *progress_arg;
	char *sysroot;
	struct hmem_cpu_flush flush;
	pthread_mutex_t lock;
	struct hmem_provider_entry *providers;
	struct hmem_layer_entry *layers;
	struct hmem_layer_measured *measured;
	struct hmem_space *spaces;
};

void hmem_log_at(struct hmem_ctx *ctx, enum hmem_log_level level, const char *where,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));
int hmem_fail_at(struct hmem_ctx *ctx, const char *where, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#define hmem_log(ctx, level, ...) hmem_log_at(ctx, level, __func__, __VA_ARGS__)

static inline void hmem_progress(const struct hmem_ctx *ctx, const char *doing, uint64_t done,
				 uint64_t total)
{
	if (ctx->progress)
		ctx->progress(ctx->progress_arg, doing, done, total);
}

/*
 * The last error of this thread, kept while something is done of whose errors nobody is told:
 * they must not be taken for that of the call that the caller asks about.
 */
struct hmem_error {
	const struct hmem_ctx *ctx;
	uint64_t born;
	char text[1024];
};

void hmem_error_keep(struct hmem_error *kept);
void hmem_error_restore(const struct hmem_error *kept);

/*
 * Set the last error and answer @error: every failure of the library goes through it. That it is
 * just this is to be seen where it is called.
 */
#define hmem_fail(ctx, error, ...)                                      \
	({                                                              \
		const int hmem_fail_error = (error);                    \
									\
		hmem_fail_at(ctx, __func__, hmem_fail_error, __VA_ARGS__); \
		hmem_fail_error;                                        \
	})

#endif
