// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hmem.ko's ioctls, and what each of their errors means for a person.
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

#define CONTROL "/dev/hmem/control"

enum command {
	ANY,
	ATTACH,
	DETACH,
	DRAIN,
	CREATE,
	RESIZE,
	DESTROY,
	INFO,
	MIGRATE,
	MOVING,
	KEEP,
	POLICY,
	KNOB,
	HEAT,
	BAD,
	CLEAR,
	WAIT,
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
	{ EPERM, KNOB, "setting a knob needs CAP_SYS_ADMIN; run it as root" },
	{ EPERM, CLEAR,
	  "its memory was bad itself, so it needs CAP_SYS_ADMIN; have the device clear its error, "
	  "and run it as root" },
	{ EPERM, POLICY, "raising near_max needs CAP_SYS_ADMIN; run it as root" },
	{ EPERM, ANY, "it needs CAP_SYS_ADMIN; run it as root" },
	{ EFAULT, HEAT, "the map cannot be written to the memory that was given" },
	{ EFAULT, WAIT, "the answer cannot be written to the memory that was given" },
	{ EFAULT, ANY, "the module could not read the request; library and module disagree" },
	{ EINVAL, ATTACH, "the module refused a name, a size or a NUMA node in the request" },
	{ EINVAL, MIGRATE, "offset and length must be multiples of the region's granularity" },
	{ EINVAL, MOVING, "the module is older than this library; load a newer hmem.ko" },
	{ EINVAL, KEEP, "offset and length must be multiples of the region's granularity" },
	{ EINVAL, POLICY, "the module has no such mode" },
	{ EINVAL, HEAT, "offset, length and cell must be multiples of 4096" },
	{ EINVAL, BAD, "offset and length must be multiples of 4096" },
	{ EINVAL, CLEAR, "offset and length must be multiples of 4096, and the length not 0" },
	{ EINVAL, CREATE,
	  "the module refused a name or a size in the request, or the pools are not of one kind or "
	  "one comes twice" },
	{ EINVAL, ANY, "the module refused a name or a size in the request" },
	{ E2BIG, ANY, "the module is older than this library; load a newer hmem.ko" },
	{ ENOTTY, ANY, "the module does not know this command; load a newer hmem.ko" },
	{ ENOENT, ATTACH, "there is no such CXL region; `cxl list -R` shows them" },
	{ ENOENT, DETACH, "there is no such pool; `hmemctl list -P` shows them" },
	{ ENOENT, DRAIN, "there is no such pool; `hmemctl list -P` shows them" },
	{ ENOENT, CREATE, "there is no such pool; `hmemctl list -P` shows them" },
	{ ENOENT, BAD, "there is no such pool; `hmemctl list -P` shows them" },
	{ ENOENT, KNOB, "there is no such knob; `hmemctl set-policy` of the region shows them" },
	{ ENOENT, MOVING, "nothing was begun with hmem_tier_migrate_begin() on this handle" },
	{ ENOENT, ANY, "there is no such region; `hmemctl list` shows them" },
	{ EEXIST, ATTACH,
	  "a pool of that name is attached already, and this one needs another; or one that this is "
	  "a copy of; or another pool has a region of the same name as this one, which is to be "
	  "detached first; the kernel log says which" },
	{ EEXIST, DESTROY,
	  "two regions have that name, one at least waits for its pools; detach the pools of the "
	  "one that is to stay, `hmemctl list` shows both" },
	{ EEXIST, ANY,
	  "a region of that name is there already, or waits for its pools; `hmemctl list` shows it" },
	{ EBUSY, ATTACH,
	  "the memory is held by device-dax, kmem, pmem or another pool; the kernel "
	  "log names the holder, `hmemctl doctor` says how to free it" },
	{ EBUSY, DETACH, "a region of it is open or mapped; end the programs that use it" },
	{ EBUSY, DRAIN,
	  "a program or a device holds a page of it (io_uring, RDMA, a pipe), and all else was "
	  "moved; or a persistent region of it waits for another pool, or is just leaving one; when "
	  "that is over the command goes on when it is given again" },
	{ EBUSY, CREATE, "the pool is drained, and takes nothing new" },
	{ EBUSY, RESIZE, "pages beyond the new end are pinned, by direct I/O or a device" },
	{ EBUSY, CLEAR,
	  "somebody holds or moves a near copy that would have to go; it can be tried again" },
	{ EBUSY, MIGRATE,
	  "what was begun before on this handle still moves; wait for it or stop it, or open the "
	  "region once more" },
	{ EBUSY, KEEP,
	  "a page of it is held by direct I/O, a device or a pipe; end what holds it, and try "
	  "again" },
	{ EBUSY, ANY, "it is open or mapped; `fuser -v` on its device names who" },
	{ ENOTEMPTY, ANY, "a volatile pool with regions is not detached; destroy them first" },
	{ ENOSPC, ATTACH, "there is not enough memory for a pool of that size" },
	{ ENOSPC, DRAIN,
	  "the other pools of its kind have not enough room for what is on it, and nothing was "
	  "moved; attach another one, or destroy a region" },
	{ ENOSPC, CREATE, "no room; `hmemctl list -P` shows what is free" },
	{ ENOSPC, ANY, "its pool has no room for that; `hmemctl list -P` shows what is free" },
	{ EMFILE, ANY, "the table of regions is full; destroy one first" },
	{ ENODEV, RESIZE,
	  "the memory behind it, or of one of its pools, is gone; attach that pool again" },
	{ ENODEV, DRAIN,
	  "its memory is gone, or a persistent region of it has lost what it had on another pool; "
	  "attach that pool again" },
	{ ENODEV, ANY,
	  "it is just being destroyed, or the memory behind it is gone, as its device was disabled "
	  "or removed" },
	{ ENXIO, ATTACH,
	  "the CXL region is not committed or not enabled; `cxl enable-region` "
	  "enables it" },
	{ ENXIO, ANY, "its source is not committed or not enabled" },
	{ EOPNOTSUPP, BAD,
	  "this kernel was built without CONFIG_MEMORY_FAILURE or transparent huge pages, and "
	  "cannot do without single pages" },
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
	{ EIO, CLEAR, "the kernel has taken a page of it out of use for good" },
	{ EIO, DRAIN,
	  "an extent's tag is damaged, or the memory that it would move to is bad, which "
	  "`hmemctl clear-poison` of the region mends; all else was moved" },
	{ EIO, ANY, "the memory reports an error; the kernel log has the address" },
	{ EDQUOT, ANY,
	  "the region's near_max is used up, or that of all regions; `hmemctl set-policy` of the "
	  "region raises the one, /sys/module/hmem/parameters/near_max is the other" },
	{ ENOMEM, KEEP,
	  "there is no DRAM for it; free memory on the nodes with CPUs, or raise the limit of the "
	  "memory cgroup" },
	{ ENOMEM, ANY, "the kernel has no memory left for its bookkeeping" },
	{ EACCES, ANY, "the region is not open for writing" },
	{ ERANGE, BAD, "that goes beyond its end" },
	{ ERANGE, WAIT, "so much has not happened to it yet" },
	{ ERANGE, ANY, "that goes beyond the end of the region" },
	{ EINTR, DRAIN,
	  "a signal came; what was moved stays so, and it goes on from there when the command is "
	  "given again" },
	{ ECANCELED, ANY, "somebody else has stopped it" },
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
	return refused(ctx, DRAIN, tried, error);
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

/* The numbers of both headers are the same, so that they can be handed on. */
_Static_assert((int)HMEM_TIER_HOME == (int)HMEM_HOME && (int)HMEM_TIER_NEAR == (int)HMEM_NEAR &&
	       (int)HMEM_TIER_KEPT == (int)HMEM_MOVED_KEPT &&
	       (int)HMEM_TIER_AUTO == (int)HMEM_POLICY_AUTO &&
	       HMEM_TIER_RESULTS == HMEM_MOVED_RESULTS && HMEM_TIER_OCTAVES == HMEM_HEAT_BINS,
	       "hmem/tier.h and linux/hmem.h agree");
_Static_assert(sizeof(struct hmem_tier_cell) == sizeof(struct hmem_heat_cell) &&
	       offsetof(struct hmem_tier_cell, near) == offsetof(struct hmem_heat_cell, near),
	       "the module fills in the caller's cells");

/* What is tried, for messages. */
static void tell_move(char tried[192], const char *name, uint64_t offset, uint64_t bytes,
		      enum hmem_tier_place place)
{
	char length[40] = "all";

	if (bytes)
		snprintf(length, sizeof(length), "%llu bytes", (unsigned long long)bytes);
	snprintf(tried, 192, "move %s from offset %llu of region %s %s", length,
		 (unsigned long long)offset, name, place == HMEM_TIER_NEAR ? "near" : "home");
}

static void read_moved(const struct hmem_migrate *arg, uint64_t end, struct hmem_tier_moved *moved)
{
	moved->next = arg->next;
	moved->pinned = arg->pinned;
	memcpy(moved->pages, arg->pages, sizeof(moved->pages));
	moved->end = end;
}

int hmem_kernel_tier_migrate(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
			     uint64_t bytes, enum hmem_tier_place place,
			     struct hmem_tier_moved *moved)
{
	struct hmem_migrate arg = {
		.size = sizeof(arg),
		.offset = offset,
		.bytes = bytes,
		.place = place,
	};
	char tried[192];

	tell_move(tried, name, offset, bytes, place);
	if (ioctl(fd, HMEM_REGION_MIGRATE, &arg))
		return refused(ctx, MIGRATE, tried, errno);
	read_moved(&arg, 0, moved);
	return 0;
}

int hmem_kernel_tier_migrate_begin(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
				   uint64_t bytes, enum hmem_tier_place place)
{
	struct hmem_migrate arg = {
		.size = sizeof(arg),
		.flags = HMEM_MIGRATE_ASYNC,
		.offset = offset,
		.bytes = bytes,
		.place = place,
	};
	char tried[192];

	tell_move(tried, name, offset, bytes, place);
	return ioctl(fd, HMEM_REGION_MIGRATE, &arg) ? refused(ctx, MIGRATE, tried, errno) : 0;
}

int hmem_kernel_tier_migrate_status(struct hmem_ctx *ctx, int fd, const char *name, bool stop,
				    struct hmem_tier_moved *moved)
{
	struct hmem_migrate arg = {
		.size = sizeof(arg),
		.flags = stop ? HMEM_MIGRATE_STOP : HMEM_MIGRATE_STATUS,
	};
	char tried[192];

	snprintf(tried, sizeof(tried), "%s what moves of region %s", stop ? "stop" : "look up", name);
	if (ioctl(fd, HMEM_REGION_MIGRATE, &arg))
		return refused(ctx, MOVING, tried, errno);
	read_moved(&arg, arg.offset + arg.bytes, moved);
	return 0;
}

int hmem_kernel_tier_keep(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
			  uint64_t bytes, enum hmem_tier_place place, uint64_t *next)
{
	struct hmem_pin arg = {
		.size = sizeof(arg),
		.offset = offset,
		.bytes = bytes,
		.place = place,
		.next = offset,
	};
	char tried[192], length[40] = "all";
	int error;

	if (bytes)
		snprintf(length, sizeof(length), "%llu bytes", (unsigned long long)bytes);
	snprintf(tried, sizeof(tried), "keep %s from offset %llu of region %s %s", length,
		 (unsigned long long)offset, name, place == HMEM_TIER_NEAR ? "near" : "at home");
	error = ioctl(fd, HMEM_REGION_PIN, &arg) ? errno : 0;
	*next = arg.next;
	return error ? refused(ctx, KEEP, tried, error) : 0;
}

int hmem_kernel_tier_release(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
			     uint64_t bytes)
{
	struct hmem_pin arg = {
		.size = sizeof(arg),
		.flags = HMEM_PIN_RELEASE,
		.offset = offset,
		.bytes = bytes,
	};
	char tried[128];

	snprintf(tried, sizeof(tried), "let go a range from offset %llu of region %s",
		 (unsigned long long)offset, name);
	return ioctl(fd, HMEM_REGION_PIN, &arg) ? refused(ctx, KEEP, tried, errno) : 0;
}

int hmem_kernel_tier_get(struct hmem_ctx *ctx, int fd, const char *name,
			 struct hmem_tier_policy *policy)
{
	struct hmem_policy arg = { .size = sizeof(arg) };
	char tried[128];

	snprintf(tried, sizeof(tried), "ask for the policy of region %s", name);
	if (ioctl(fd, HMEM_REGION_POLICY, &arg))
		return refused(ctx, POLICY, tried, errno);
	policy->near_max = arg.near_max;
	policy->mode = (enum hmem_tier_mode)arg.mode;
	return 0;
}

int hmem_kernel_tier_set(struct hmem_ctx *ctx, int fd, const char *name,
			 const struct hmem_tier_policy *policy, bool near_max, bool mode)
{
	struct hmem_policy arg = {
		.size = sizeof(arg),
		.flags = (near_max ? HMEM_POLICY_NEAR_MAX : 0) | (mode ? HMEM_POLICY_MODE : 0),
		.near_max = near_max ? policy->near_max : 0,
		.mode = mode ? policy->mode : 0,
	};
	char tried[192], what[80] = "mode";

	if (near_max)
		snprintf(what, sizeof(what), "near_max%s to %llu bytes", mode ? " and mode" : "",
			 (unsigned long long)policy->near_max);
	snprintf(tried, sizeof(tried), "set the policy of region %s: %s", name, what);
	return ioctl(fd, HMEM_REGION_POLICY, &arg) ? refused(ctx, POLICY, tried, errno) : 0;
}

/* A name that does not fit is no knob's. */
static int knob_call(struct hmem_ctx *ctx, int fd, const char *tried, const char *knob,
		     struct hmem_policy *arg)
{
	if (strlen(knob) >= sizeof(arg->knob))
		return refused(ctx, KNOB, tried, ENOENT);
	memcpy(arg->knob, knob, strlen(knob));
	return ioctl(fd, HMEM_REGION_POLICY, arg) ? refused(ctx, KNOB, tried, errno) : 0;
}

int hmem_kernel_tier_get_knob(struct hmem_ctx *ctx, int fd, const char *name, const char *knob,
			      uint64_t *value)
{
	struct hmem_policy arg = { .size = sizeof(arg) };
	char tried[192];
	int err;

	snprintf(tried, sizeof(tried), "ask for knob %.64s of region %s", knob, name);
	err = knob_call(ctx, fd, tried, knob, &arg);
	if (!err)
		*value = arg.value;
	return err;
}

int hmem_kernel_tier_set_knob(struct hmem_ctx *ctx, int fd, const char *name, const char *knob,
			      uint64_t value)
{
	struct hmem_policy arg = { .size = sizeof(arg), .flags = HMEM_POLICY_KNOB, .value = value };
	struct hmem_policy range = { .size = sizeof(range) };
	char tried[192];
	int err;

	snprintf(tried, sizeof(tried), "set knob %.64s of region %s to %llu", knob, name,
		 (unsigned long long)value);
	err = knob_call(ctx, fd, tried, knob, &arg);
	if (err != -EINVAL || knob_call(ctx, fd, tried, knob, &range))
		return err;
	return hmem_fail(ctx, err, "cannot %s: it takes %llu to %llu", tried,
			 (unsigned long long)range.least, (unsigned long long)range.most);
}

int hmem_kernel_tier_knob_at(struct hmem_ctx *ctx, int fd, const char *name, unsigned int index,
			     struct hmem_tier_knob *knob)
{
	struct hmem_policy arg = {
		.size = sizeof(arg),
		.flags = HMEM_POLICY_KNOB_INDEX,
		.knob_index = index,
	};
	char tried[128];

	snprintf(tried, sizeof(tried), "ask for knob number %u of region %s", index, name);
	if (ioctl(fd, HMEM_REGION_POLICY, &arg))
		return refused(ctx, KNOB, tried, errno);
	knob->value = arg.value;
	knob->least = arg.least;
	knob->most = arg.most;
	snprintf(knob->name, sizeof(knob->name), "%.*s", (int)sizeof(arg.knob) - 1, arg.knob);
	return 0;
}

int hmem_kernel_tier_stats(struct hmem_ctx *ctx, int fd, const char *name,
			   struct hmem_tier_stats *stats)
{
	struct hmem_stats arg = { .size = sizeof(arg) };
	char tried[128];

	snprintf(tried, sizeof(tried), "ask what was moved of region %s", name);
	if (ioctl(fd, HMEM_REGION_STATS, &arg))
		return refused(ctx, ANY, tried, errno);
	*stats = (struct hmem_tier_stats){
		.size = stats->size,
		.near = arg.near,
		.near_max = arg.near_max,
		.dirty = arg.dirty,
		.promotions = arg.promotions,
		.demotions = arg.demotions,
		.aborted = arg.aborted,
		.copied = arg.copied,
		.copy_ns = arg.copy_ns,
		.probes = arg.probes,
		.touches = arg.touches,
		.pingpongs = arg.pingpongs,
		.track_ns = arg.track_ns,
		.window_ns = arg.window_ns,
		.scanned = arg.scanned,
		.seen = arg.seen,
		.splits = arg.splits,
		.collapses = arg.collapses,
		.near_share = arg.near_share,
	};
	return 0;
}

int hmem_kernel_tier_heat(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
			  uint64_t bytes, uint64_t cell, struct hmem_tier_cell *cells,
			  size_t *nr_cells, struct hmem_tier_histogram *histogram)
{
	struct hmem_heat arg = {
		.size = sizeof(arg),
		.offset = offset,
		.bytes = bytes,
		.cell = cell,
		.cells = (uintptr_t)cells,
		.nr_cells = cell ? *nr_cells : 0,
	};
	char tried[128];

	snprintf(tried, sizeof(tried), "ask for the heat of region %s", name);
	if (ioctl(fd, HMEM_REGION_HEAT, &arg))
		return refused(ctx, HEAT, tried, errno);
	if (cell)
		*nr_cells = (size_t)arg.nr_cells;
	if (histogram) {
		memcpy(histogram->near, arg.near, sizeof(histogram->near));
		memcpy(histogram->home, arg.home, sizeof(histogram->home));
	}
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
		return refused(ctx, BAD, tried, errno);
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
	err = control(ctx, BAD, tried, HMEM_POOL_POISON, &arg);
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
		return refused(ctx, CLEAR, tried, errno);
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
		return refused(ctx, WAIT, tried, errno);
	*number = arg.seq;
	*nr_happened = arg.nr_events;
	*lost = arg.lost;
	return 0;
}
