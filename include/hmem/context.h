/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The context: what a caller of libhmem holds instead of global state.
 *
 * Everything the library does happens on behalf of a context: it carries the log
 * callback, the providers and, for each thread, the text of the last error.
 *
 * Errors: functions return 0 or a negative errno, and set the last error of the
 * calling thread to a sentence that says what was tried, what the system answered
 * and, where there is something, what to do. Functions never print, never exit
 * and install no signal handlers.
 *
 * Threading: a context may be used by any number of threads at once, except that
 * its log callback is set before others use it. No function is async-signal-safe.
 * None is a cancellation point: a thread that is cancelled in a call ends at a later one of its own. Nor
 * may a thread be cancelled asynchronously in one.
 */
#ifndef HMEM_CONTEXT_H
#define HMEM_CONTEXT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(HMEM_BUILD)
#define HMEM_API __attribute__((visibility("default")))
#else
#define HMEM_API
#endif

struct hmem_ctx;

/**
 * hmem_ctx_new - make a context
 * @ctx: where to put it; written only on success
 *
 * The log level is taken from $HMEM_LOG (err, warning, info, debug), and is
 * warning without it; nothing is logged before a callback is set. Failed calls are
 * logged at info: their caller knows of them already.
 *
 * Return: 0, -EINVAL (@ctx is NULL) or -ENOMEM.
 */
HMEM_API int hmem_ctx_new(struct hmem_ctx **ctx);

/**
 * hmem_ctx_ref - hold a context
 *
 * Return: @ctx.
 */
HMEM_API struct hmem_ctx *hmem_ctx_ref(struct hmem_ctx *ctx);

/**
 * hmem_ctx_unref - let a context go
 * @ctx: may be NULL
 *
 * Regions hold their context, so it outlives the last of them.
 */
HMEM_API void hmem_ctx_unref(struct hmem_ctx *ctx);

enum hmem_log_level {
	HMEM_LOG_ERR = 3,	/* the numbers of syslog(3) */
	HMEM_LOG_WARNING = 4,
	HMEM_LOG_INFO = 6,
	HMEM_LOG_DEBUG = 7,
};

/**
 * typedef hmem_log_fn - receives one line of log, without a newline
 * @arg: what hmem_ctx_set_log() was given
 * @level: how much it matters
 * @where: function that says it
 * @message: the line; valid during the call
 */
typedef void (*hmem_log_fn)(void *arg, enum hmem_log_level level, const char *where,
			    const char *message);

/** hmem_ctx_set_log - where log lines go; NULL: nowhere */
HMEM_API void hmem_ctx_set_log(struct hmem_ctx *ctx, hmem_log_fn fn, void *arg);

/**
 * typedef hmem_progress_fn - hears how far a long call has got
 * @arg: what hmem_ctx_set_progress() was given
 * @doing: what it does, a word or two: "checking", "recovering", "exporting", ...
 * @done: bytes that are done; of "measuring", which takes a given time: ms that have passed
 * @total: bytes that there are to do, 0: not known; of "measuring": ms that it takes
 */
typedef void (*hmem_progress_fn)(void *arg, const char *doing, uint64_t done, uint64_t total);

/**
 * hmem_ctx_set_progress - who hears how far long calls have got; NULL: nobody
 *
 * Calls that may take long - recovering a shelf when it is opened, checking, exporting and importing
 * one, measuring a layer - call @fn now and then, from their own thread, and a last time with @done
 * equal to @total when they have ended, whatever came of them. It must not use what the call is
 * about. To be set before others use the context.
 */
HMEM_API void hmem_ctx_set_progress(struct hmem_ctx *ctx, hmem_progress_fn fn, void *arg);

/** hmem_ctx_set_log_level - drop lines that matter less than @level */
HMEM_API void hmem_ctx_set_log_level(struct hmem_ctx *ctx, enum hmem_log_level level);

/**
 * hmem_ctx_set_sysroot - look at another tree than the running system's
 * @ctx: context
 * @path: a directory that /sys, /dev and /etc are looked up in; NULL or "": the root.
 *	Copied. To be set before others use the context.
 *
 * For looking at what was captured on another machine, and for tests. Paths of the
 * file provider are not affected.
 *
 * Return: 0, -EINVAL (no context) or -ENOMEM.
 */
HMEM_API int hmem_ctx_set_sysroot(struct hmem_ctx *ctx, const char *path);

/**
 * hmem_last_error - what went wrong, for a person
 *
 * Return: the sentence set by this thread's last failed call on any context when that
 * was on @ctx, else "". One line, without a newline; a long one is cut at 1023 bytes.
 * Valid until this thread's next call on any context.
 */
HMEM_API const char *hmem_last_error(struct hmem_ctx *ctx);

/** hmem_version - the library's version, "MAJOR.MINOR.PATCH" */
HMEM_API const char *hmem_version(void);

#ifdef __cplusplus
}
#endif
#endif
