// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hmem.ko's ioctls of pools and regions, of bad memory and of events.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/hmem.h>

#include "ctx.h"
#include "kernel.h"
#include "kernel_refused.h"

#define CONTROL "/dev/hmem/control"

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
		return hmem_kernel_refused(ctx, HMEM_CMD_ANY, tried, EPERM);
	default:
		err = -errno;
		return hmem_fail(ctx, err, "cannot %s: opening " CONTROL " failed: %s", tried,
				 strerror(-err));
	}
}

static int control(struct hmem_ctx *ctx, enum hmem_command command, const char *tried,
		   unsigned long request, void *argument)
{
	int fd = open_control(ctx, tried), err = 0;

	if (fd < 0)
		return fd;
	if (ioctl(fd, request, argument))
		err = hmem_kernel_refused(ctx, command, tried, errno);
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

	err = control(ctx, HMEM_CMD_ATTACH, tried, HMEM_POOL_ATTACH, &arg);
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
	return control(ctx, HMEM_CMD_DETACH, tried, HMEM_POOL_DETACH, &arg);
}

/* What fits into a member of 32 bits. */
static uint32_t clamp(size_t count)
{
	return count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}

_Static_assert(sizeof(struct hmem_pool_held) == sizeof(struct hmem_held_range) &&
	       offsetof(struct hmem_pool_held, offset) == offsetof(struct hmem_held_range, offset),
	       "the module fills in the caller's ranges");

/* What is held, as the message says it; "" when nothing is. */
static void describe_held(const struct hmem_pool_drain *arg, char *text, size_t room)
{
	int length = 0;

	text[0] = 0;
	if (arg->region[0])
		length = snprintf(text, room, ": region %.63s at offset %llu", arg->region,
				  (unsigned long long)arg->held);
	if (arg->nr_held > 1)
		snprintf(text + length, room - (size_t)length, ", the first of %u ranges held",
			 arg->nr_held);
}

int hmem_kernel_pool_drain(struct hmem_ctx *ctx, const char *name, unsigned int flags,
			   struct hmem_pool_drained *drained, struct hmem_pool_held *held,
			   size_t *nr_held)
{
	struct hmem_pool_drain arg = { .size = sizeof(arg), .flags = flags, .held = UINT64_MAX,
				       .ranges = (uintptr_t)held, .nr_ranges = clamp(*nr_held) };
	char tried[256], where[160];
	int fd, error = 0;

	*nr_held = 0;
	set_name(arg.name, name);
	snprintf(tried, sizeof(tried), "drain pool %s", name);
	fd = open_control(ctx, tried);
	if (fd < 0)
		return fd;
	if (ioctl(fd, HMEM_POOL_DRAIN, &arg))
		error = errno;
	/* A module that names no more than the first. */
	if (error == E2BIG) {
		arg.size = HMEM_POOL_DRAIN_SIZE_V1;
		arg.nr_ranges = 0;
		error = ioctl(fd, HMEM_POOL_DRAIN, &arg) ? errno : 0;
	}
	close(fd);
	*nr_held = arg.nr_ranges;
	*drained = (struct hmem_pool_drained){
		.size = sizeof(*drained),
		.left = arg.left,
		.moved = arg.moved,
		.held = arg.held,
		.draining = arg.state & HMEM_DRAIN_DRAINING,
		.nr_held = arg.nr_held,
	};
	snprintf(drained->region, sizeof(drained->region), "%.63s", arg.region);
	if (!error)
		return 0;
	describe_held(&arg, where, sizeof(where));
	snprintf(tried, sizeof(tried), "drain pool %s%s", name, where);
	return hmem_kernel_refused(ctx, HMEM_CMD_DRAIN, tried, error);
}

int hmem_kernel_region_create(struct hmem_ctx *ctx, const char *name,
			      const struct hmem_region_options *options)
{
	char names[HMEM_REGION_POOLS][HMEM_NAME_LEN] = { { 0 } }, tried[256];
	struct hmem_region_create arg = {
		.size = sizeof(arg),
		.flags = (options->flags & HMEM_REGION_SPREAD ? HMEM_CREATE_SPREAD : 0) |
			 (options->flags & HMEM_REGION_FILL ? HMEM_CREATE_FILL : 0) |
			 (options->flags & HMEM_REGION_PINS ? HMEM_CREATE_LONG_TERM_PINS : 0),
		.bytes = options->bytes,
		.uid = options->uid,
		.gid = options->gid,
		.mode = options->mode,
		.nr_pools = options->nr_pools,
		.pools = options->nr_pools ? (uintptr_t)names : 0,
	};

	for (unsigned int i = 0; i < options->nr_pools && i < HMEM_REGION_POOLS; i++)
		set_name(names[i], options->pools[i]);
	set_name(arg.name, name);
	set_name(arg.pool, options->pool);
	snprintf(tried, sizeof(tried), "create region %s of %llu bytes%s%s", name,
		 (unsigned long long)options->bytes, *options->pool ? " on pool " : "",
		 options->pool);
	return control(ctx, HMEM_CMD_CREATE, tried, HMEM_REGION_CREATE, &arg);
}

int hmem_kernel_region_resize(struct hmem_ctx *ctx, const char *name, uint64_t bytes)
{
	struct hmem_region_resize arg = { .size = sizeof(arg), .bytes = bytes };
	char tried[160];

	set_name(arg.name, name);
	snprintf(tried, sizeof(tried), "resize region %s to %llu bytes", name,
		 (unsigned long long)bytes);
	return control(ctx, HMEM_CMD_RESIZE, tried, HMEM_REGION_RESIZE, &arg);
}

int hmem_kernel_region_destroy(struct hmem_ctx *ctx, const char *name)
{
	struct hmem_region_destroy arg = { .size = sizeof(arg) };
	char tried[96];

	set_name(arg.name, name);
	snprintf(tried, sizeof(tried), "destroy region %s", name);
	return control(ctx, HMEM_CMD_DESTROY, tried, HMEM_REGION_DESTROY, &arg);
}

int hmem_kernel_region_info(struct hmem_ctx *ctx, int fd, const char *name,
			    struct hmem_kernel_region *region)
{
	struct hmem_region_query arg = { .size = sizeof(arg) };
	char tried[96];

	snprintf(tried, sizeof(tried), "ask about region %s", name);
	if (ioctl(fd, HMEM_REGION_QUERY, &arg))
		return hmem_kernel_refused(ctx, HMEM_CMD_INFO, tried, errno);
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

_Static_assert(sizeof(struct hmem_bad) == sizeof(struct hmem_poison_range) &&
	       offsetof(struct hmem_bad, state) == offsetof(struct hmem_poison_range, state) &&
	       HMEM_BAD_DATA == HMEM_POISONED_DATA && HMEM_BAD_HOME == HMEM_POISONED_HOME &&
	       sizeof(struct hmem_happened) == sizeof(struct hmem_event) &&
	       offsetof(struct hmem_happened, what) == offsetof(struct hmem_event, type) &&
	       HMEM_HAPPENED_POISON == (int)HMEM_EVENT_POISON &&
	       HMEM_HAPPENED_PRESSURE == (int)HMEM_EVENT_PRESSURE &&
	       HMEM_HAPPENED_MIGRATED == (int)HMEM_EVENT_MIGRATED,
	       "hmem/poison.h and linux/hmem.h agree");

int hmem_kernel_poison_list(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
			    struct hmem_bad *bad, size_t *nr_bad)
{
	struct hmem_poison arg = {
		.size = sizeof(arg),
		.op = HMEM_POISON_LIST,
		.offset = offset,
		.ranges = (uintptr_t)bad,
		.nr_ranges = clamp(*nr_bad),
	};
	char tried[128];

	snprintf(tried, sizeof(tried), "list bad memory of region %s", name);
	if (ioctl(fd, HMEM_REGION_POISON, &arg))
		return hmem_kernel_refused(ctx, HMEM_CMD_BAD, tried, errno);
	*nr_bad = arg.nr_ranges;
	return 0;
}

int hmem_kernel_poison_report(struct hmem_ctx *ctx, const char *pool, uint64_t offset,
			      uint64_t bytes, uint64_t *pages)
{
	struct hmem_pool_poison arg = { .size = sizeof(arg), .offset = offset, .bytes = bytes };
	char tried[192];
	int err;

	set_name(arg.name, pool);
	snprintf(tried, sizeof(tried), "report %llu bytes at offset %llu of pool %s as bad",
		 (unsigned long long)bytes, (unsigned long long)offset, pool);
	err = control(ctx, HMEM_CMD_BAD, tried, HMEM_POOL_POISON, &arg);
	if (!err)
		*pages = arg.pages;
	return err;
}

int hmem_kernel_poison_clear(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
			     uint64_t bytes, uint64_t *pages)
{
	struct hmem_poison arg = {
		.size = sizeof(arg),
		.op = HMEM_POISON_CLEAR,
		.offset = offset,
		.bytes = bytes,
	};
	char tried[192];

	snprintf(tried, sizeof(tried), "clear %llu bytes at offset %llu of region %s",
		 (unsigned long long)bytes, (unsigned long long)offset, name);
	if (ioctl(fd, HMEM_REGION_POISON, &arg))
		return hmem_kernel_refused(ctx, HMEM_CMD_CLEAR, tried, errno);
	*pages = arg.pages;
	return 0;
}

int hmem_kernel_wait(struct hmem_ctx *ctx, int fd, const char *name, uint64_t *number,
		     uint64_t timeout_ns, struct hmem_happened *happened, size_t *nr_happened,
		     uint64_t *lost)
{
	struct hmem_wait arg = {
		.size = sizeof(arg),
		.seq = *number,
		.timeout_ns = timeout_ns,
		.events = (uintptr_t)happened,
		.nr_events = clamp(*nr_happened),
	};
	char tried[128];

	snprintf(tried, sizeof(tried), "wait for what happens to region %s", name);
	if (ioctl(fd, HMEM_REGION_WAIT, &arg))
		return hmem_kernel_refused(ctx, HMEM_CMD_WAIT, tried, errno);
	*number = arg.seq;
	*nr_happened = arg.nr_events;
	*lost = arg.lost;
	return 0;
}
