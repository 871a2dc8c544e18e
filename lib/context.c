// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The context: reference count, log, last error.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctx.h"
#include "layers.h"
#include "printable.h"
#include "provider.h"
#include "uncancelled.h"

/*
 * The last error of this thread and the context it belongs to. One is enough: the
 * text is valid until the next call on any context.
 */
static _Thread_local struct hmem_error last_error;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int log_level_from_environment(void)
{
	static const struct {
		const char *name;
		int level;
	} levels[] = {
		{ "err", HMEM_LOG_ERR },
		{ "warning", HMEM_LOG_WARNING },
		{ "info", HMEM_LOG_INFO },
		{ "debug", HMEM_LOG_DEBUG },
	};
	const char *wanted = secure_getenv("HMEM_LOG");

	for (size_t i = 0; wanted && i < sizeof(levels) / sizeof(levels[0]); i++)
		if (!strcmp(wanted, levels[i].name))
			return levels[i].level;
	return HMEM_LOG_WARNING;
}

int hmem_ctx_new(struct hmem_ctx **out)
{
	struct hmem_ctx *ctx;
	int err;

	if (!out)
		return -EINVAL;
	ctx = calloc(1, sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	ctx->sysroot = strdup("");
	if (!ctx->sysroot) {
		free(ctx);
		return -ENOMEM;
	}
	atomic_init(&ctx->refs, 1);
	ctx->born = now();
	atomic_init(&ctx->log_level, log_level_from_environment());
	hmem_cpu_flush_init(&ctx->flush);
	pthread_mutex_init(&ctx->lock, NULL);

	err = hmem_providers_init(ctx);
	if (err) {
		hmem_ctx_unref(ctx);
		return err;
	}
	*out = ctx;
	return 0;
}

struct hmem_ctx *hmem_ctx_ref(struct hmem_ctx *ctx)
{
	if (ctx)
		atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
	return ctx;
}

void hmem_ctx_unref(struct hmem_ctx *ctx)
{
	/* acq_rel: whoever frees sees everything that the others did before letting go */
	if (!ctx || atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) != 1)
		return;
	hmem_layers_forget(ctx);
	hmem_layers_free(ctx);
	hmem_providers_free(ctx);
	pthread_mutex_destroy(&ctx->lock);
	free(ctx->sysroot);
	free(ctx);
}

void hmem_ctx_set_log(struct hmem_ctx *ctx, hmem_log_fn fn, void *arg)
{
	ctx->log = fn;
	ctx->log_arg = arg;
}

void hmem_ctx_set_progress(struct hmem_ctx *ctx, hmem_progress_fn fn, void *arg)
{
	ctx->progress = fn;
	ctx->progress_arg = arg;
}

void hmem_ctx_set_log_level(struct hmem_ctx *ctx, enum hmem_log_level level)
{
	atomic_store_explicit(&ctx->log_level, (int)level, memory_order_relaxed);
}

int hmem_ctx_set_sysroot(struct hmem_ctx *ctx, const char *path)
{
	char *copy;

	if (!ctx)
		return -EINVAL;
	copy = strdup(path ? path : "");
	if (!copy)
		return hmem_fail(ctx, -ENOMEM, "no memory for the name of a directory");
	free(ctx->sysroot);
	ctx->sysroot = copy;
	return 0;
}

static void log_line(struct hmem_ctx *ctx, enum hmem_log_level level, const char *where,
		     const char *line)
{
	if (ctx->log && (int)level <= atomic_load_explicit(&ctx->log_level, memory_order_relaxed))
		(void)UNCANCELLED((ctx->log(ctx->log_arg, level, where, line), 0));
}

void hmem_log_at(struct hmem_ctx *ctx, enum hmem_log_level level, const char *where,
		 const char *format, ...)
{
	char line[sizeof(last_error.text)];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	hmem_make_printable(line);
	log_line(ctx, level, where, line);
}

static int fail(struct hmem_ctx *ctx, const char *where, int error, const char *format, va_list ap)
{
	char line[sizeof(last_error.text)];

	vsnprintf(line, sizeof(line), format, ap);
	hmem_make_printable(line);
	/* First, as a callback may use the library and fail in its turn. */
	log_line(ctx, HMEM_LOG_INFO, where, line);

	last_error.ctx = ctx;
	last_error.born = ctx->born;
	memcpy(last_error.text, line, sizeof(line));
	return error;
}

int hmem_fail_at(struct hmem_ctx *ctx, const char *where, int error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	error = fail(ctx, where, error, format, ap);
	va_end(ap);
	return error;
}

int hmem_set_error(struct hmem_ctx *ctx, int error, const char *format, ...)
{
	va_list ap;

	if (!ctx || !format)
		return error;
	va_start(ap, format);
	error = fail(ctx, "provider", error, format, ap);
	va_end(ap);
	return error;
}

void hmem_error_keep(struct hmem_error *kept)
{
	*kept = last_error;
}

void hmem_error_restore(const struct hmem_error *kept)
{
	last_error = *kept;
}

const char *hmem_last_error(struct hmem_ctx *ctx)
{
	if (!ctx || last_error.ctx != ctx || last_error.born != ctx->born)
		return "";
	return last_error.text;
}

const char *hmem_version(void)
{
	return HMEM_VERSION_STRING;
}
