// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hmem.ko's ioctls, and what each of their errors means for a person.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/hmem.h>

#include "ctx.h"
#include "kernel.h"

#define CONTROL "/dev/hmem/control"

enum command {
	ANY,
	ATTACH,
	DETACH,
	CREATE,
	RESIZE,
	DESTROY,
	INFO,
};

/*
 * Every error that the uapi header promises: what it means and what to do. A row for
 * one command is found before the row for any.
 */
static const struct {
	int error;
	enum command command;
	const char *meaning;
} meanings[] = {
	{ EPERM, ANY, "it needs CAP_SYS_ADMIN; run it as root" },
	{ EFAULT, ANY, "the module could not read the request; library and module disagree" },
	{ EINVAL, ATTACH, "the module refused a name, a size or a NUMA node in the request" },
	{ EINVAL, ANY, "the module refused a name or a size in the request" },
	{ E2BIG, ANY, "the module is older than this library; load a newer hmem.ko" },
	{ ENOTTY, ANY, "the module does not know this command; load a newer hmem.ko" },
	{ ENOENT, ATTACH, "there is no such CXL region; `cxl list -R` shows them" },
	{ ENOENT, DETACH, "there is no such pool; `hmemctl list -P` shows them" },
	{ ENOENT, CREATE, "there is no such pool; `hmemctl list -P` shows them" },
	{ ENOENT, ANY, "there is no such region; `hmemctl list` shows them" },
	{ EEXIST, ATTACH,
	  "a pool of that name is attached already, or another pool has a region of the same "
	  "name as this one, which the kernel log names then" },
	{ EEXIST, ANY, "a region of that name is there already" },
	{ EBUSY, ATTACH,
	  "the memory is held by device-dax, kmem, pmem or another pool; the kernel "
	  "log names the holder, `hmemctl doctor` says how to free it" },
	{ EBUSY, DETACH, "a region of it is open or mapped; end the programs that use it" },
	{ EBUSY, RESIZE, "pages beyond the new end are pinned, by direct I/O or a device" },
	{ EBUSY, ANY, "it is open or mapped; `fuser -v` on its device names who" },
	{ ENOTEMPTY, ANY, "a volatile pool with regions is not detached; destroy them first" },
	{ ENOSPC, ATTACH, "there is not enough memory for a pool of that size" },
	{ ENOSPC, CREATE, "no room; `hmemctl list -P` shows what is free" },
	{ ENOSPC, ANY, "its pool has no room for that; `hmemctl list -P` shows what is free" },
	{ EMFILE, ANY, "the table of regions is full; destroy one first" },
	{ ENODEV, ANY, "the memory behind it is gone, its device was disabled or removed" },
	{ ENXIO, ATTACH,
	  "the CXL region is not committed or not enabled; `cxl enable-region` "
	  "enables it" },
	{ ENXIO, ANY, "its source is not committed or not enabled" },
	{ EOPNOTSUPP, ANY,
	  "this kernel or machine lacks what it needs; `hmemctl doctor` says "
	  "what" },
	{ EUCLEAN, ANY,
	  "the memory holds data that is no intact hmem pool, and it was left alone; "
	  "formatting it loses everything that is there" },
	{ EPROTONOSUPPORT, ANY, "the pool was written by a newer hmem; load a newer hmem.ko" },
	{ EUSERS, ANY,
	  "another host used the pool last and did not detach it; detach it there, or "
	  "take it over if that host is gone" },
	{ EIO, ANY, "the memory reports an error; the kernel log has the address" },
	{ ENOMEM, ANY, "the kernel has no memory left for its bookkeeping" },
	{ EINTR, ANY, "a signal came while it waited; it can be tried again" },
};

static const char *meaning_of(int error, enum command command)
{
	size_t count = sizeof(meanings) / sizeof(meanings[0]);

	for (size_t i = 0; i < count; i++)
		if (meanings[i].error == error && meanings[i].command == command)
			return meanings[i].meaning;
	for (size_t i = 0; i < count; i++)
		if (meanings[i].error == error && meanings[i].command == ANY)
			return meanings[i].meaning;
	return "the system gives no other reason";
}

/* @tried: "create region db"; @error: positive */
static int refused(struct hmem_ctx *ctx, enum command command, const char *tried, int error)
{
	return hmem_fail(ctx, -error, "cannot %s: %s (%s)", tried, meaning_of(error, command),
			 strerrorname_np(error) ? strerrorname_np(error) : "unknown error");
}

static int control_path(struct hmem_ctx *ctx, char path[PATH_MAX])
{
	if (snprintf(path, PATH_MAX, "%s" CONTROL, ctx->sysroot) >= PATH_MAX)
		return hmem_fail(ctx, -ENAMETOOLONG, "the name of the sysroot is too long");
	return 0;
}

bool hmem_kernel_loaded(struct hmem_ctx *ctx)
{
	char path[PATH_MAX];

	return !control_path(ctx, path) && !access(path, F_OK);
}

int hmem_kernel_not_loaded(struct hmem_ctx *ctx)
{
	return hmem_fail(ctx, -ENODEV,
			 "hmem.ko is not loaded, there is no " CONTROL
			 "; as root: modprobe hmem, or insmod hmem.ko");
}

/* A file descriptor, or a negative errno. */
static int open_control(struct hmem_ctx *ctx, const char *tried)
{
	char path[PATH_MAX];
	int fd, err = control_path(ctx, path);

	if (err)
		return err;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
	case ENXIO:
	case ENODEV:
		return hmem_kernel_not_loaded(ctx);
	case EACCES:
	case EPERM:
		return refused(ctx, ANY, tried, EPERM);
	default:
		err = -errno;
		return hmem_fail(ctx, err, "cannot %s: opening " CONTROL " failed: %s", tried,
				 strerror(-err));
	}
}

static int control(struct hmem_ctx *ctx, enum command command, const char *tried,
		   unsigned long request, void *argument)
{
	int fd = open_control(ctx, tried), err = 0;

	if (fd < 0)
		return fd;
	if (ioctl(fd, request, argument))
		err = refused(ctx, command, tried, errno);
	close(fd);
	return err;
}

static void set_name(char to[HMEM_NAME_LEN], const char *from)
{
	snprintf(to, HMEM_NAME_LEN, "%s", from);
}

int hmem_kernel_pool_attach(struct hmem_ctx *ctx, const struct hmem_kernel_attach *attach,
			    struct hmem_kernel_attached *attached)
{
	bool cxl = *attach->source;
	struct hmem_pool_attach arg = {
		.size = sizeof(arg),
		.flags = (attach->format ? HMEM_ATTACH_FORMAT : 0) |
			 (attach->check ? HMEM_ATTACH_CHECK : 0) |
			 (attach->take_over ? HMEM_ATTACH_TAKE_OVER : 0),
		.provider = cxl ? HMEM_PROVIDER_CXL : HMEM_PROVIDER_RAM,
		.bytes = attach->bytes,
		.nid = attach->nid,
	};
	char tried[160];
	int err;

	set_name(arg.name, attach->name);
	set_name(arg.source, attach->source);
	memcpy(arg.host, attach->host, sizeof(arg.host));
	snprintf(tried, sizeof(tried), "attach pool %s",
		 *attach->name ? attach->name : attach->source);

	err = control(ctx, ATTACH, tried, HMEM_POOL_ATTACH, &arg);
	if (err)
		return err;
	*attached = (struct hmem_kernel_attached){
		.persistent = arg.state & HMEM_POOL_PERSISTENT,
		.formatted = arg.state & HMEM_POOL_FORMATTED,
		.repaired = arg.state & HMEM_POOL_REPAIRED,
		.bytes = arg.bytes,
		.regions = arg.regions,
	};
	return 0;
}

int hmem_kernel_pool_detach(struct hmem_ctx *ctx, const char *name)
{
	struct hmem_pool_detach arg = { .size = sizeof(arg) };
	char tried[96];

	set_name(arg.name, name);
	snprintf(tried, sizeof(tried), "detach pool %s", name);
	return control(ctx, DETACH, tried, HMEM_POOL_DETACH, &arg);
}

int hmem_kernel_region_create(struct hmem_ctx *ctx, const char *name, const char *pool,
			      uint64_t bytes, uid_t uid, gid_t gid, mode_t mode)
{
	struct hmem_region_create arg = {
		.size = sizeof(arg),
		.bytes = bytes,
		.uid = uid,
		.gid = gid,
		.mode = mode,
	};
	char tried[256];

	set_name(arg.name, name);
	set_name(arg.pool, pool);
	snprintf(tried, sizeof(tried), "create region %s of %llu bytes%s%s", name,
		 (unsigned long long)bytes, *pool ? " on pool " : "", pool);
	return control(ctx, CREATE, tried, HMEM_REGION_CREATE, &arg);
}

int hmem_kernel_region_resize(struct hmem_ctx *ctx, const char *name, uint64_t bytes)
{
	struct hmem_region_resize arg = { .size = sizeof(arg), .bytes = bytes };
	char tried[160];

	set_name(arg.name, name);
	snprintf(tried, sizeof(tried), "resize region %s to %llu bytes", name,
		 (unsigned long long)bytes);
	return control(ctx, RESIZE, tried, HMEM_REGION_RESIZE, &arg);
}

int hmem_kernel_region_destroy(struct hmem_ctx *ctx, const char *name)
{
	struct hmem_region_destroy arg = { .size = sizeof(arg) };
	char tried[96];

	set_name(arg.name, name);
	snprintf(tried, sizeof(tried), "destroy region %s", name);
	return control(ctx, DESTROY, tried, HMEM_REGION_DESTROY, &arg);
}

int hmem_kernel_region_info(struct hmem_ctx *ctx, int fd, const char *name,
			    struct hmem_kernel_region *region)
{
	struct hmem_region_query arg = { .size = sizeof(arg) };
	char tried[96];

	snprintf(tried, sizeof(tried), "ask about region %s", name);
	if (ioctl(fd, HMEM_REGION_QUERY, &arg))
		return refused(ctx, INFO, tried, errno);
	*region = (struct hmem_kernel_region){
		.bytes = arg.bytes,
		.extent_size = arg.extent_size,
		.persistent = arg.state & HMEM_REGION_PERSISTENT,
		.uid = arg.uid,
		.gid = arg.gid,
		.mode = arg.mode,
		.nid = arg.nid,
		.faults = arg.faults,
	};
	snprintf(region->pool, sizeof(region->pool), "%.*s", HMEM_NAME_LEN - 1, arg.pool);
	memcpy(region->uuid, arg.uuid, sizeof(region->uuid));
	return 0;
}
