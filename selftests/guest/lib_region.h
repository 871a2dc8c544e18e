/* SPDX-License-Identifier: GPL-2.0-only */
/* What tests of the library against the module begin with: a region on a pool of system RAM. */
#ifndef SELFTESTS_GUEST_LIB_REGION_H
#define SELFTESTS_GUEST_LIB_REGION_H

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <hmem/hmem.h>

#include "tap.h"

#define MI	((uint64_t)1 << 20)

static struct hmem_ctx *ctx;
static struct hmem_region *region, *reader;

/* That the last call explained itself so. */
static void message(const char *sentence)
{
	if (!TAP_OK(strstr(hmem_last_error(ctx), sentence), "the message says \"%s\"", sentence))
		tap_diag("%s", hmem_last_error(ctx));
}

/* The module, the pool "lib", and hmem:lib on it, open for all and for reading alone. */
static void begin(uint64_t pool_bytes, uint64_t bytes)
{
	const char *path = getenv("HMEM_KO") ? getenv("HMEM_KO") : "/root/hmem.ko";
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_pool_options pool = HMEM_POOL_OPTIONS_INIT;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) || hmem_ctx_new(&ctx))
		tap_bail("%s: %s", path, strerror(errno));
	close(fd);
	pool.name = "lib";
	pool.bytes = pool_bytes;
	options.bytes = bytes;
	options.pool = "lib";
	if (hmem_pool_attach(ctx, &pool, NULL) ||
	    hmem_region_create(ctx, "hmem:lib", &options, &region) ||
	    hmem_region_open(ctx, "hmem:lib", HMEM_OPEN_READ_ONLY, &reader))
		tap_bail("%s", hmem_last_error(ctx));
}

static void end(void)
{
	hmem_region_close(region);
	hmem_region_close(reader);
	TAP_EQ(hmem_region_destroy(ctx, "hmem:lib"), 0, "the region goes");
	TAP_EQ(hmem_pool_detach(ctx, "lib"), 0, "and the pool");
	hmem_ctx_unref(ctx);
	if (syscall(SYS_delete_module, "hmem", O_NONBLOCK))
		tap_bail("hmem.ko stays: %s", strerror(errno));
}

#endif
