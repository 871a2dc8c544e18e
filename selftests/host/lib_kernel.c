// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the library says to hmem.ko, and what it makes of every answer. The module is
 * played by an ioctl() of our own, on files in a sysroot.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <linux/hmem.h>

#include <hmem/hmem.h>

#include "flush_seen.h"
#include "sysroot.h"

#define MI ((uint64_t)1 << 20)

static struct hmem_ctx *ctx;

/* What the module was asked last, and what it answers: an errno, and these structs. */
static unsigned long asked;
static int answer, info_answer;
static union {
	struct hmem_pool_attach attach;
	struct hmem_pool_detach detach;
	struct hmem_pool_drain drain;
	struct hmem_region_create create;
	struct hmem_region_resize resize;
	struct hmem_region_destroy destroy;
} request;
static char pools[4][HMEM_NAME_LEN];	/* that a region was to be made of */
static struct hmem_pool_attach attached = {
	.state = HMEM_POOL_PERSISTENT | HMEM_POOL_FORMATTED | HMEM_POOL_REPAIRED,
	.bytes = 64 * MI,
	.regions = 3,
};
static struct hmem_region_query region_info = {
	.bytes = 8 * MI,
	.extent_size = 2 * MI,
	.uid = 7,
	.gid = 8,
	.mode = 0640,
	.nid = 2,
	.faults = 99,
	.name = "db",
	.pool = "fast",
	.uuid = { 1, 2, 3, [15] = 16 },
};
static int destroyed;
static bool is_old;	/* a module from before it named all that is held */

/* Three ranges are held, of which it names those that there is room for. */
static int refuse_to_drain(struct hmem_pool_drain *d, int error)
{
	struct hmem_held_range *ranges = (void *)(uintptr_t)d->ranges;

	if (is_old && d->size > HMEM_POOL_DRAIN_SIZE_V1 && (d->ranges || d->nr_ranges))
		return E2BIG;
	d->held = 4 * MI;
	strcpy(d->region, "db");
	if (is_old)
		return error;
	d->nr_held = 3;
	d->nr_ranges = d->nr_ranges < 3 ? d->nr_ranges : 3;
	for (unsigned int i = 0; i < d->nr_ranges; i++) {
		ranges[i] = (struct hmem_held_range){ .offset = (4 + 4 * i) * MI, .bytes = 2 * MI };
		strcpy(ranges[i].region, i < 2 ? "db" : "log");
	}
	return error;
}

int ioctl(int fd, unsigned long number, ...)
{
	void *argument;
	va_list ap;
	int error;

	(void)fd;
	va_start(ap, number);
	argument = va_arg(ap, void *);
	va_end(ap);
	if (number == HMEM_REGION_QUERY) {
		__u32 size = *(__u32 *)argument;

		if (!info_answer && size == sizeof(region_info)) {
			memcpy(argument, &region_info, sizeof(region_info));
			return 0;
		}
		errno = info_answer;
		return -1;
	}
	asked = number;
	destroyed += number == HMEM_REGION_DESTROY;
	memset(&request, 0, sizeof(request));
	error = answer;
	switch (number) {
	case HMEM_POOL_ATTACH:
		request.attach = *(struct hmem_pool_attach *)argument;
		if (!error) {
			((struct hmem_pool_attach *)argument)->state = attached.state;
			((struct hmem_pool_attach *)argument)->bytes = attached.bytes;
			((struct hmem_pool_attach *)argument)->regions = attached.regions;
		}
		break;
	case HMEM_POOL_DETACH:
		request.detach = *(struct hmem_pool_detach *)argument;
		break;
	case HMEM_POOL_DRAIN:
		request.drain = *(struct hmem_pool_drain *)argument;
		((struct hmem_pool_drain *)argument)->left = 2 * MI;
		((struct hmem_pool_drain *)argument)->moved = 6 * MI;
		((struct hmem_pool_drain *)argument)->state = HMEM_DRAIN_DRAINING;
		if (error)
			error = refuse_to_drain(argument, error);
		break;
	case HMEM_REGION_CREATE:
		request.create = *(struct hmem_region_create *)argument;
		for (unsigned int i = 0; i < request.create.nr_pools && i < 4; i++)
			memcpy(pools[i], (char *)(uintptr_t)request.create.pools + i * HMEM_NAME_LEN,
			       HMEM_NAME_LEN);
		break;
	case HMEM_REGION_RESIZE:
		request.resize = *(struct hmem_region_resize *)argument;
		break;
	case HMEM_REGION_DESTROY:
		request.destroy = *(struct hmem_region_destroy *)argument;
		break;
	default:
		error = ENOTTY;
	}
	errno = error;
	return error ? -1 : 0;
}

/* A module that does not know of ranges, and programs that do not. */
static void draining_before(void)
{
	struct hmem_pool_drained d = { .size = sizeof(d) };
	struct hmem_pool_held held[4];
	size_t nr = 4;

	is_old = true;
	TAP_EQ(hmem_pool_drain_held(ctx, "fast", &d, held, &nr), -EBUSY, "an older one is asked");
	TAP_EQ(request.drain.size, HMEM_POOL_DRAIN_SIZE_V1, "as it knows it");
	TAP_OK(!nr && !d.nr_held && d.held == 4 * MI && !strcmp(d.region, "db"),
	       "and names the first alone");
	is_old = false;
	memset(&d, 0x5a, sizeof(d));
	d.size = offsetof(struct hmem_pool_drained, nr_held);
	TAP_EQ(hmem_pool_drain(ctx, "fast", 0, &d), -EBUSY, "an older program asks");
	TAP_OK(d.held == 4 * MI && d.nr_held == 0x5a5a5a5a5a5a5a5a, "and gets what it knows");
}

static void draining_held(void)
{
	struct hmem_pool_drained d = { .size = sizeof(d) };
	struct hmem_pool_held held[4];
	size_t nr = 4;

	TAP_EQ(hmem_pool_drain_held(ctx, "fast", &d, held, &nr), -EBUSY, "all that is held");
	TAP_OK(nr == 3 && d.nr_held == 3, "is counted");
	TAP_OK(!strcmp(held[0].region, "db") && held[0].offset == 4 * MI &&
	       held[0].bytes == 2 * MI && !strcmp(held[2].region, "log") &&
	       held[2].offset == 12 * MI, "and named");
	nr = 2;
	TAP_EQ(hmem_pool_drain_held(ctx, "fast", &d, held, &nr), -EBUSY, "more than there is room");
	TAP_OK(nr == 2 && d.nr_held == 3, "is counted as well");
	nr = 0;
	TAP_EQ(hmem_pool_drain_held(ctx, "fast", NULL, NULL, &nr), -EBUSY, "without any room");
	nr = 1;
	TAP_EQ(hmem_pool_drain_held(ctx, "fast", NULL, NULL, &nr), -EINVAL, "room that is nowhere");
	TAP_EQ(hmem_pool_drain_held(ctx, "fast", NULL, held, NULL), -EINVAL, "and of no size");
	draining_before();
}

static void draining(void)
{
	struct hmem_pool_drained d = { .size = sizeof(d) };

	TAP_EQ(hmem_pool_drain(ctx, "fast", 0, &d), 0, "a pool is drained");
	TAP_EQ(asked, HMEM_POOL_DRAIN, "the module is asked");
	TAP_EQ(request.drain.size, sizeof(request.drain), "with the struct's size");
	TAP_STR_EQ(request.drain.name, "fast", "the name");
	TAP_OK(d.left == 2 * MI && d.moved == 6 * MI && d.held == UINT64_MAX && d.draining &&
	       !d.region[0], "the answer is told");
	TAP_EQ(hmem_pool_drain(ctx, "fast", HMEM_POOL_DRAIN_STOP, NULL), 0, "and stopped");
	TAP_EQ(request.drain.flags, HMEM_DRAIN_STOP, "with the flag");
	TAP_EQ(hmem_pool_drain(ctx, "fast", HMEM_POOL_DRAIN_STATUS, NULL), 0, "and asked about");
	TAP_EQ(request.drain.flags, HMEM_DRAIN_STATUS, "with that flag");
	answer = EBUSY;
	TAP_EQ(hmem_pool_drain(ctx, "fast", 0, &d), -EBUSY, "one that somebody holds");
	TAP_OK(d.held == 4 * MI && !strcmp(d.region, "db"), "where is told");
	if (!TAP_OK(strstr(hmem_last_error(ctx), "drain pool fast: region db at offset 4194304, "
						 "the first of 3 ranges held:"), "and said"))
		tap_diag("%s", hmem_last_error(ctx));
	draining_held();
	answer = 0;
	asked = 0;
	TAP_EQ(hmem_pool_drain(NULL, "fast", 0, NULL), -EINVAL, "draining without a context");
	TAP_EQ(hmem_pool_drain(ctx, NULL, 0, NULL), -EINVAL, "draining no name");
	TAP_EQ(hmem_pool_drain(ctx, "fast", 4, NULL), -EINVAL, "draining with an unknown flag");
	d.size = 8;
	TAP_EQ(hmem_pool_drain(ctx, "fast", 0, &d), -EINVAL, "an answer that is too small");
	TAP_EQ(asked, 0, "none of them reaches the module");
}

static void several_pools(void)
{
	static const char *const names[] = { "fast", "slow" }, *const bad[] = { "fast", NULL };
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;

	options.bytes = 4 * MI;
	options.flags = HMEM_REGION_SPREAD;
	options.pools = names;
	options.nr_pools = 2;
	TAP_EQ(hmem_region_create(ctx, "hmem:db", &options, NULL), 0, "a region of two pools");
	TAP_OK(request.create.flags == HMEM_CREATE_SPREAD && request.create.nr_pools == 2 &&
	       !strcmp(pools[0], "fast") && !strcmp(pools[1], "slow") && !request.create.pool[0],
	       "the module gets their names");
	options.flags = HMEM_REGION_FILL;
	options.nr_pools = 0;
	TAP_EQ(hmem_region_create(ctx, "hmem:db", &options, NULL), 0, "of all that there are");
	TAP_OK(request.create.flags == HMEM_CREATE_FILL && !request.create.pools, "without names");
	options.size = offsetof(struct hmem_region_options, pools);
	options.flags = 0;
	options.nr_pools = 77;
	TAP_EQ(hmem_region_create(ctx, "hmem:db", &options, NULL), 0, "options of an older header");
	TAP_EQ(request.create.nr_pools, 0, "have no pools");
	options.size = sizeof(options);
	asked = 0;
	options.nr_pools = 2;
	TAP_EQ(hmem_region_create(ctx, "hmem:db", &options, NULL), -EINVAL, "two, and no way");
	options.flags = HMEM_REGION_FILL | HMEM_REGION_SPREAD;
	TAP_EQ(hmem_region_create(ctx, "hmem:db", &options, NULL), -EINVAL, "both ways");
	options.flags = HMEM_REGION_FILL;
	options.pool = "fast";
	TAP_EQ(hmem_region_create(ctx, "hmem:db", &options, NULL), -EINVAL, "one, and two");
	options.pool = NULL;
	options.pools = bad;
	TAP_EQ(hmem_region_create(ctx, "hmem:db", &options, NULL), -EINVAL, "one that is NULL");
	options.pools = names;
	options.nr_pools = 33;
	TAP_EQ(hmem_region_create(ctx, "hmem:db", &options, NULL), -EINVAL, "33 of them");
	options.nr_pools = 2;
	TAP_EQ(hmem_region_create(ctx, "anon:db", &options, NULL), -EOPNOTSUPP,
	       "memory of this process has no pools");
	TAP_EQ(asked, 0, "none of them reaches the module");
}

static void message(const char *sentence)
{
	if (!TAP_OK(strstr(hmem_last_error(ctx), sentence), "the message says \"%s\"", sentence))
		tap_diag("%s", hmem_last_error(ctx));
}

static void attaching(void)
{
	struct hmem_pool_options options = HMEM_POOL_OPTIONS_INIT;
	struct hmem_pool_result result = { .size = sizeof(result) };
	static const uint8_t host[16] = { 0x3d, 0x12, 0x19, 0xc7, 0xc4, 0xc5, 0x40, 0x4a,
					  0xaa, 0x1f, 0x6d, 0x2a, 0x48, 0xad, 0xfd, 0xa4 };
	static const uint8_t nobody[16];

	scratch_write("etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n");
	options.source = "region0";
	options.flags = HMEM_POOL_FORMAT | HMEM_POOL_CHECK | HMEM_POOL_TAKE_OVER;
	TAP_EQ(hmem_pool_attach(ctx, &options, &result), 0, "a CXL region is attached");
	TAP_EQ(asked, HMEM_POOL_ATTACH, "the module is asked");
	TAP_EQ(request.attach.size, sizeof(request.attach), "with the struct's size");
	TAP_EQ(request.attach.flags, HMEM_ATTACH_FORMAT | HMEM_ATTACH_CHECK | HMEM_ATTACH_TAKE_OVER,
	       "the flags");
	TAP_EQ(request.attach.provider, HMEM_PROVIDER_CXL, "the provider");
	TAP_EQ(request.attach.bytes, 0, "no size");
	TAP_EQ(request.attach.nid, -1, "no node");
	TAP_STR_EQ(request.attach.name, "", "no name");
	TAP_STR_EQ(request.attach.source, "region0", "the source");
	TAP_OK(!memcmp(request.attach.host, host, 16), "and who this host is");
	TAP_OK(result.persistent && result.bytes == 64 * MI && result.regions == 3 &&
		       result.flags == (HMEM_POOL_WAS_FORMATTED | HMEM_POOL_WAS_REPAIRED),
	       "the answer is told");
	attached.state = 0;
	TAP_EQ(hmem_pool_attach(ctx, &options, &result), 0, "another answer");
	TAP_OK(!result.persistent && !result.flags, "is told as well");

	scratch_write("etc/machine-id", "uninitialized\n");
	options = (struct hmem_pool_options)HMEM_POOL_OPTIONS_INIT;
	options.name = "fast";
	options.bytes = 64 * MI;
	options.nid = 1;
	TAP_EQ(hmem_pool_attach(ctx, &options, NULL), 0, "a pool of RAM is attached");
	TAP_EQ(request.attach.flags, 0, "without flags");
	TAP_EQ(request.attach.provider, HMEM_PROVIDER_RAM, "the provider");
	TAP_EQ(request.attach.bytes, 64 * MI, "the size");
	TAP_EQ(request.attach.nid, 1, "the node");
	TAP_STR_EQ(request.attach.name, "fast", "the name");
	TAP_STR_EQ(request.attach.source, "", "no source");
	TAP_OK(!memcmp(request.attach.host, nobody, 16), "an odd machine-id is nobody's");
	unlink(scratch_path("etc/machine-id"));
	TAP_EQ(hmem_pool_attach(ctx, &options, NULL), 0, "without a machine-id");
	TAP_OK(!memcmp(request.attach.host, nobody, 16), "it is nobody's too");

	TAP_EQ(hmem_pool_detach(ctx, "fast"), 0, "a pool is detached");
	TAP_EQ(asked, HMEM_POOL_DETACH, "the module is asked");
	TAP_EQ(request.detach.size, sizeof(request.detach), "with the struct's size");
	TAP_STR_EQ(request.detach.name, "fast", "the name");
}

/* None of these reaches the module. */
static void bad_pools(void)
{
	struct hmem_pool_options options = HMEM_POOL_OPTIONS_INIT;
	struct hmem_pool_result result = { .size = sizeof(result) };
	char long_name[65];

	memset(long_name, 'x', 64);
	long_name[64] = '\0';
	asked = 0;
	TAP_EQ(hmem_pool_attach(NULL, &options, NULL), -EINVAL, "no context");
	TAP_EQ(hmem_pool_attach(ctx, NULL, NULL), -EINVAL, "no options");
	TAP_EQ(hmem_pool_attach(ctx, &options, NULL), -EINVAL, "RAM without a name");
	message("needs a name");
	options.name = "";
	TAP_EQ(hmem_pool_attach(ctx, &options, NULL), -EINVAL, "RAM with an empty name");
	options.name = "a/b";
	TAP_EQ(hmem_pool_attach(ctx, &options, NULL), -EINVAL, "a bad name");
	message("a/b");
	options.name = long_name;
	TAP_EQ(hmem_pool_attach(ctx, &options, NULL), -ENAMETOOLONG, "a long name");
	options.name = "fast";
	TAP_EQ(hmem_pool_attach(ctx, &options, NULL), -EINVAL, "RAM of 0 bytes");
	options.bytes = (uint64_t)1 << 63;
	TAP_EQ(hmem_pool_attach(ctx, &options, NULL), -EINVAL, "RAM of 2^63 bytes");
	options.bytes = MI;
	options.nid = -2;
	TAP_EQ(hmem_pool_attach(ctx, &options, NULL), -EINVAL, "RAM of node -2");
	options.nid = -1;
	options.flags = 8;
	TAP_EQ(hmem_pool_attach(ctx, &options, NULL), -EINVAL, "an unknown flag");
	message("0x8");
	options.flags = 0;
	options.source = "region0";
	TAP_EQ(hmem_pool_attach(ctx, &options, NULL), -EINVAL, "a CXL region with a size");
	options.bytes = 0;
	options.nid = 0;
	TAP_EQ(hmem_pool_attach(ctx, &options, NULL), -EINVAL, "a CXL region with a node");
	options.nid = -1;
	options.source = "../region0";
	TAP_EQ(hmem_pool_attach(ctx, &options, NULL), -EINVAL, "a bad source");
	options.source = "";
	TAP_EQ(hmem_pool_attach(ctx, &options, NULL), -EINVAL, "an empty source");
	options.source = "region0";
	options.size--;
	TAP_EQ(hmem_pool_attach(ctx, &options, NULL), -EINVAL, "options that are too small");
	options.size++;
	result.size = 1;
	TAP_EQ(hmem_pool_attach(ctx, &options, &result), -EINVAL, "a result that is too small");
	TAP_EQ(hmem_pool_detach(NULL, "fast"), -EINVAL, "detaching without a context");
	TAP_EQ(hmem_pool_detach(ctx, NULL), -EINVAL, "detaching no name");
	TAP_EQ(hmem_pool_detach(ctx, ""), -EINVAL, "detaching an empty name");
	TAP_EQ(hmem_pool_detach(ctx, "control"), -EINVAL, "detaching the control device");
	TAP_EQ(hmem_pool_detach(ctx, long_name), -ENAMETOOLONG, "detaching a long name");
	TAP_EQ(asked, 0, "none of them reaches the module");
}

static void regions(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region_info info = { .size = sizeof(info) };
	struct hmem_region *region, *none;
	void *address;
	size_t length;

	scratch_write("dev/hmem/db", "");
	if (truncate(scratch_path("dev/hmem/db"), 8 * MI))
		tap_bail("truncate: %s", strerror(errno));
	options.bytes = 5 * MI;
	TAP_EQ(hmem_region_create(ctx, "hmem:db", &options, &region), 0, "a region is created");
	TAP_EQ(asked, HMEM_REGION_CREATE, "the module is asked");
	TAP_EQ(request.create.size, sizeof(request.create), "with the struct's size");
	TAP_EQ(request.create.flags, 0, "no flags");
	TAP_EQ(request.create.bytes, 5 * MI, "the size");
	TAP_EQ(request.create.uid, geteuid(), "the caller's user");
	TAP_EQ(request.create.gid, getegid(), "the caller's group");
	TAP_EQ(request.create.mode, 0600, "the default mode");
	TAP_EQ(request.create.reserved, 0, "nothing reserved");
	TAP_STR_EQ(request.create.name, "db", "the name");
	TAP_STR_EQ(request.create.pool, "", "no pool");

	TAP_EQ(hmem_region_get_info(region, &info), 0, "it tells what it is");
	TAP_EQ(info.bytes, 8 * MI, "its size");
	TAP_EQ(info.granularity, 2 * MI, "its granularity");
	TAP_EQ(info.caps, HMEM_CAP_RESIZE | HMEM_CAP_SHARED, "what it can");
	TAP_OK(info.uid == 7 && info.gid == 8 && info.mode == 0640, "whose it is");
	TAP_EQ(info.nid, 2, "its node");
	TAP_EQ(info.faults, 99, "its faults");
	TAP_STR_EQ(info.name, "hmem:db", "its name");
	TAP_STR_EQ(info.pool, "fast", "its pool");
	TAP_OK(!memcmp(info.uuid, region_info.uuid, 16), "its identity");
	TAP_EQ(hmem_region_map(region, 2 * MI, 0, &address, &length), 0, "it is mapped");
	TAP_OK(length == 6 * MI && !((uintptr_t)address & (2 * MI - 1)), "in whole extents");
	TAP_EQ(hmem_region_map(region, 4096, 4 * MI, &address, NULL), 0, "an odd offset is mapped");
	TAP_EQ((uintptr_t)address & (2 * MI - 1), 4096, "so that its extents are whole");
	TAP_EQ(hmem_region_persist(region, address, length), 0, "persist works");
	TAP_OK(!flush_seen(region, address), "and does nothing on a volatile region");
	TAP_EQ(hmem_region_resize(region, 12 * MI), 0, "it is resized");
	TAP_EQ(asked, HMEM_REGION_RESIZE, "the module is asked");
	TAP_OK(request.resize.size == sizeof(request.resize) && !request.resize.flags &&
		       request.resize.bytes == 12 * MI && !strcmp(request.resize.name, "db"),
	       "with all it needs");
	info_answer = ENODEV;
	TAP_EQ(hmem_region_get_info(region, &info), -ENODEV, "the memory is gone");
	message("gone");
	TAP_EQ(hmem_region_map(region, 0, 0, &address, NULL), -ENODEV, "it cannot be mapped");
	TAP_EQ(hmem_region_open(ctx, "hmem:db", 0, &none), -ENODEV, "nor opened");
	info_answer = 0;
	hmem_region_close(region);

	options.uid = 1000;
	options.gid = 100;
	options.mode = 0666;
	options.pool = "slow";
	TAP_EQ(hmem_region_create(ctx, "db", &options, NULL), 0, "with an owner and a pool");
	TAP_OK(request.create.uid == 1000 && request.create.gid == 100 &&
		       request.create.mode == 0666 && !strcmp(request.create.pool, "slow"),
	       "both are told");
	options.pool = "s/low";
	TAP_EQ(hmem_region_create(ctx, "db", &options, NULL), -EINVAL, "a bad pool");
	message("pool \"s/low\"");
	options.pool = "";
	options.bytes = 0;
	TAP_EQ(hmem_region_create(ctx, "db", &options, NULL), -EINVAL, "0 bytes");
	options.bytes = MI;

	destroyed = 0;
	info_answer = EIO;
	TAP_EQ(hmem_region_create(ctx, "db", &options, &none), -EIO,
	       "opening after creating fails");
	TAP_EQ(destroyed, 1, "the region is taken back");
	message("ask about region db");
	info_answer = 0;
	TAP_EQ(hmem_region_create(ctx, "no-node", &options, &none), -ENOENT, "no node appears");
	TAP_EQ(destroyed, 2, "the region is taken back");

	TAP_EQ(hmem_region_destroy(ctx, "hmem:db"), 0, "it is destroyed");
	TAP_OK(request.destroy.size == sizeof(request.destroy) && !request.destroy.flags &&
		       !strcmp(request.destroy.name, "db"),
	       "by its name");
}

/* On a persistent region, the CPU flushes: no msync. */
static int synced;

int msync(void *address, size_t length, int flags)
{
	(void)address;
	(void)length;
	(void)flags;
	synced++;
	return 0;
}

static void persistent(void)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	struct hmem_region *region;
	unsigned char *data;
	void *address;
	int expected;

	region_info.state = HMEM_REGION_PERSISTENT;
	if (hmem_region_open(ctx, "hmem:db", 0, &region) ||
	    hmem_region_map(region, 0, 0, &address, NULL))
		tap_bail("%s", hmem_last_error(ctx));
	data = address;
	TAP_EQ(hmem_region_get_info(region, &info), 0, "a persistent region");
	TAP_OK(info.caps & HMEM_CAP_PERSISTENT, "says so");
#ifdef __x86_64__
	TAP_OK(info.caps & HMEM_CAP_FLUSH_CPU, "the CPU can flush it");
	TAP_OK(flush_seen(region, data), "and does");
#endif
	expected = info.caps & HMEM_CAP_FLUSH_CPU ? 0 : 1;
	memset(data, 3, 8 * MI);
	TAP_EQ(hmem_region_persist(region, data + 100, 3 * MI), 0, "it is flushed");
	TAP_EQ(synced, expected, "without the kernel where the CPU can");
	TAP_OK(data[100] == 3 && data[3 * MI] == 3, "and holds what it held");
	TAP_EQ(hmem_region_unmap(region, data, 8 * MI), 0, "it is unmapped");
	hmem_region_close(region);
	region_info.state = 0;
}

static int as_user(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region *region;

	options.bytes = MI;
	if (hmem_region_create(ctx, "hmem:db", &options, NULL) != -EPERM)
		return 1;
	if (!strstr(hmem_last_error(ctx), "CAP_SYS_ADMIN"))
		return 2;
	if (hmem_region_open(ctx, "hmem:db", 0, &region) != -EACCES)
		return 3;
	if (!strstr(hmem_last_error(ctx), "user 0 and group 0, mode 0640; this is user 65534"))
		return 4;
	if (hmem_pool_detach(ctx, "fast") != -EPERM)
		return 5;
	return 0;
}

static void ordinary_user(void)
{
	int status;
	pid_t child;

	if (geteuid()) {
		tap_skip("an ordinary user", "needs root, to become one");
		return;
	}
	chmod(scratch_path("dev/hmem/control"), 0600);
	chmod(scratch_path("dev/hmem/db"), 0640);
	fflush(stdout);
	child = fork();
	if (!child)
		_exit(setgid(65534) || setuid(65534) ? 99 : as_user());
	waitpid(child, &status, 0);
	TAP_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), 0, "an ordinary user");
}

/* Every errno of the uapi header: handed on, named, and with a reason of our own. */
static void errors(void)
{
	static const int all[] = {
		EPERM,	 EFAULT,	  EINVAL, E2BIG,  ENOTTY, ENOENT, EEXIST,
		EBUSY,	 ENOTEMPTY,	  ENOSPC, EMFILE, ENODEV, ENXIO,  EOPNOTSUPP,
		EUCLEAN, EPROTONOSUPPORT, EUSERS, EIO,	  ENOMEM, EINTR,
	};
	struct hmem_pool_options pool = HMEM_POOL_OPTIONS_INIT;
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region *region;

	pool.source = "region0";
	options.bytes = MI;
	if (hmem_region_open(ctx, "hmem:db", 0, &region))
		tap_bail("%s", hmem_last_error(ctx));
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const char *name = strerrorname_np(all[i]);
		struct {
			int result;
			char text[512];
		} got[5];

		answer = all[i];
		for (int call = 0; call < 5; call++) {
			if (call == 0)
				got[call].result = hmem_pool_attach(ctx, &pool, NULL);
			else if (call == 1)
				got[call].result = hmem_pool_detach(ctx, "fast");
			else if (call == 2)
				got[call].result = hmem_region_create(ctx, "db", &options, NULL);
			else if (call == 3)
				got[call].result = hmem_region_resize(region, 4 * MI);
			else
				got[call].result = hmem_region_destroy(ctx, "db");
			snprintf(got[call].text, sizeof(got[call].text), "%s",
				 hmem_last_error(ctx));
		}
		for (int call = 0; call < 5; call++) {
			if (!TAP_OK(got[call].result == -all[i] && strstr(got[call].text, name) &&
					    !strstr(got[call].text, "no other reason"),
				    "%s, command %d", name, call))
				tap_diag("%d: %s", got[call].result, got[call].text);
		}
	}
	answer = EBUSY;
	hmem_pool_attach(ctx, &pool, NULL);
	message("attach pool region0");
	message("names the holder");
	hmem_region_destroy(ctx, "db");
	message("open or mapped");
	answer = ENOSPC;
	hmem_region_create(ctx, "db", &options, NULL);
	message("hmemctl list");
	answer = EXDEV;
	TAP_EQ(hmem_region_destroy(ctx, "db"), -EXDEV, "an errno that nobody promised");
	message("EXDEV");
	answer = 0;
	hmem_region_close(region);
}

static void no_module(void)
{
	struct hmem_pool_options pool = HMEM_POOL_OPTIONS_INIT;
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_pool_info pool_info = { .size = sizeof(pool_info) };
	struct hmem_region_info info = { .size = sizeof(info) };
	struct hmem_region *region;

	unlink(scratch_path("dev/hmem/db"));
	unlink(scratch_path("dev/hmem/control"));
	pool.source = "region0";
	options.bytes = MI;
	asked = 0;
	TAP_EQ(hmem_pool_attach(ctx, &pool, NULL), -ENODEV, "attach without the module");
	message("insmod hmem.ko");
	TAP_EQ(hmem_pool_detach(ctx, "fast"), -ENODEV, "detach without the module");
	TAP_EQ(hmem_pool_get_info(ctx, "fast", &pool_info), -ENODEV,
	       "pool info without the module");
	TAP_EQ(hmem_region_create(ctx, "db", &options, &region), -ENODEV,
	       "create without the module");
	TAP_EQ(hmem_region_open(ctx, "db", 0, &region), -ENODEV, "open without the module");
	message("insmod hmem.ko");
	TAP_EQ(hmem_region_destroy(ctx, "db"), -ENODEV, "destroy without the module");
	TAP_EQ(hmem_region_get_info_by_name(ctx, "db", &info), -ENODEV, "info without the module");
	TAP_EQ(asked, 0, "nothing was asked");
	rmdir(scratch_path("dev/hmem"));
	scratch_write("dev/hmem", "");
	TAP_EQ(hmem_region_open(ctx, "db", 0, &region), -ENODEV, "/dev/hmem is a file");
	TAP_EQ(hmem_region_destroy(ctx, "db"), -ENODEV, "nothing can be destroyed there");
}

int main(void)
{
	if (hmem_ctx_new(&ctx) || hmem_ctx_set_sysroot(ctx, scratch()))
		tap_bail("no context");
	scratch_write("dev/hmem/control", "");
	attaching();
	bad_pools();
	draining();
	several_pools();
	regions();
	persistent();
	ordinary_user();
	errors();
	no_module();
	hmem_ctx_unref(ctx);
	return tap_done();
}
