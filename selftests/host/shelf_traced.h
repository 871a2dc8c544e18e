/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process that uses a shelf and is led through it instruction by instruction.
 */
#ifndef SELFTESTS_HOST_SHELF_TRACED_H
#define SELFTESTS_HOST_SHELF_TRACED_H

#include <hmem/hmem.h>
#include <hmem/shelf.h>

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define MIB ((uint64_t)1 << 20)

static struct hmem_ctx *ctx;
static char path[256];

static inline void traced_begin(const char *test)
{
	/* Where there is no media to wait for, which is not what this is about. */
	const char *dir = access("/dev/shm", W_OK) ? getenv("TMPDIR") : "/dev/shm";

	snprintf(path, sizeof(path), "%s/%s.%d", dir ? dir : "/tmp", test, (int)getpid());
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
}

static inline int traced_end(void)
{
	unlink(path);
	hmem_ctx_unref(ctx);
	return tap_done();
}

static inline struct hmem_shelf *make_empty(bool ordered, struct hmem_region **region)
{
	struct hmem_region_options place = HMEM_REGION_OPTIONS_INIT;
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf;

	unlink(path);
	place.bytes = 8 * MIB;
	options.bytes = MIB;
	options.max_bytes = MIB;
	options.slots = 8;
	options.flags = ordered ? HMEM_SHELF_ORDERED : 0;
	if (hmem_region_create(ctx, path, &place, region) ||
	    hmem_shelf_create(*region, "s", &options, &shelf))
		tap_bail("%s", hmem_last_error(ctx));
	return shelf;
}

/* In a child: a context, a region and a handle of its own. */
static inline struct hmem_shelf *open_again(void)
{
	struct hmem_region *region;
	struct hmem_shelf *shelf;

	if (hmem_ctx_new(&ctx) || hmem_region_open(ctx, path, 0, &region) ||
	    hmem_shelf_open(region, "s", NULL, &shelf))
		_exit(2);
	return shelf;
}

/* A child that does @fn, up to where that stops itself. */
static inline pid_t traced_start(void (*fn)(unsigned int state, bool ordered), unsigned int state,
				 bool ordered)
{
	pid_t child = fork();
	int status;

	if (!child) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(4);
		fn(state, ordered);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		tap_bail("a child could not be traced");
	return child;
}

/* One instruction on. False when it has ended. */
static inline bool traced_step(pid_t child, int *status)
{
	return !ptrace(PTRACE_SINGLESTEP, child, 0, 0) && waitpid(child, status, 0) == child &&
	       WIFSTOPPED(*status);
}

static inline int tell(void *arg, const struct hmem_shelf_finding *finding)
{
	(void)arg;
	tap_diag("%s at %#llx, %s: %s", finding->part, (unsigned long long)finding->offset,
		 finding->name ? finding->name : "-", finding->text);
	return 0;
}

#endif
