// SPDX-License-Identifier: GPL-2.0-only
/*
 * libhmem against the module itself, on a pool of system RAM: that what the library
 * promises of pools and regions is what the module does. What the library makes of
 * answers that cannot be had here is in selftests/host/lib_kernel.c.
 *
 * hmem-test: topology=none kernels=lts,newest
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hmem/hmem.h>

#include "tap.h"

#define MI ((uint64_t)1 << 20)

static struct hmem_ctx *ctx;

static void message(const char *sentence)
{
	if (!TAP_OK(strstr(hmem_last_error(ctx), sentence), "the message says \"%s\"", sentence))
		tap_diag("%s", hmem_last_error(ctx));
}

static void load(void)
{
	const char *path = getenv("HMEM_KO") ? getenv("HMEM_KO") : "/root/hmem.ko";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		tap_bail("%s: %s", path, strerror(errno));
	close(fd);
}

static struct hmem_region_options options(uint64_t bytes)
{
	struct hmem_region_options o = HMEM_REGION_OPTIONS_INIT;

	o.bytes = bytes;
	return o;
}

static uint64_t free_bytes(void)
{
	struct hmem_pool_info info = { .size = sizeof(info) };

	return hmem_pool_get_info(ctx, "lib", &info) ? 0 : info.free_bytes;
}

static int count_pool(void *arg, const struct hmem_pool_info *info)
{
	*(int *)arg += !strcmp(info->name, "lib");
	return 0;
}

static int count_region(void *arg, const struct hmem_region_info *info)
{
	*(int *)arg += !strncmp(info->name, "hmem:lib-", 9) && !strcmp(info->pool, "lib");
	return 0;
}

static void pools(void)
{
	struct hmem_pool_options pool = HMEM_POOL_OPTIONS_INIT;
	struct hmem_pool_result result = { .size = sizeof(result) };
	struct hmem_pool_info info = { .size = sizeof(info) };
	int count = 0;

	pool.name = "lib";
	pool.bytes = 63 * MI;
	TAP_EQ(hmem_pool_attach(ctx, &pool, &result), 0, "a pool is attached");
	TAP_OK(result.bytes == 64 * MI && !result.persistent && !result.regions,
	       "as large as asked");
	TAP_EQ(hmem_pool_attach(ctx, &pool, NULL), -EEXIST, "the same name again");
	message("already");
	TAP_EQ(hmem_pool_get_info(ctx, "lib", &info), 0, "it is known");
	TAP_OK(info.bytes == 64 * MI && info.free_bytes == 64 * MI && !info.regions &&
		       !info.persistent,
	       "and empty");
	TAP_STR_EQ(info.provider, "ram", "its provider");
	TAP_STR_EQ(info.source, "", "its source");
	TAP_EQ(hmem_pool_iterate(ctx, count_pool, &count), 0, "pools are visited");
	TAP_EQ(count, 1, "and it is among them");
	pool.name = "huge";
	pool.bytes = INT64_MAX;
	TAP_OK(hmem_pool_attach(ctx, &pool, NULL) < 0, "more than the machine has");
	tap_diag("%s", hmem_last_error(ctx));
	pool = (struct hmem_pool_options)HMEM_POOL_OPTIONS_INIT;
	pool.source = "region99";
	TAP_OK(hmem_pool_attach(ctx, &pool, NULL) < 0, "a CXL region that is not there");
	tap_diag("%s", hmem_last_error(ctx));
	TAP_EQ(hmem_pool_detach(ctx, "none"), -ENOENT, "a pool that is not there");
}

static void life(void)
{
	struct hmem_region_options o = options(7 * MI);
	struct hmem_region_info info = { .size = sizeof(info) }, by_name = { .size = sizeof(info) };
	struct hmem_region *region, *second;
	unsigned char *data, *view;
	bool zero = true;
	size_t length;
	struct stat st;
	void *address;
	int count = 0;

	o.uid = 1000;
	o.gid = 1001;
	o.mode = 0640;
	o.pool = "lib";
	TAP_EQ(hmem_region_create(ctx, "hmem:lib-a", &o, &region), 0, "a region is created");
	TAP_EQ(stat("/dev/hmem/lib-a", &st), 0, "its device is there at once");
	TAP_OK(st.st_uid == 1000 && st.st_gid == 1001 && (st.st_mode & 07777) == 0640,
	       "with its owner and mode");
	TAP_EQ(hmem_region_create(ctx, "lib-a", &o, NULL), -EEXIST, "the same name again");
	TAP_EQ(hmem_region_get_info(region, &info), 0, "it tells what it is");
	TAP_EQ(hmem_region_get_info_by_name(ctx, "lib-a", &by_name), 0, "and sysfs too");
	by_name.faults = info.faults;
	TAP_OK(!memcmp(&info, &by_name, sizeof(info)), "and they agree");
	TAP_OK(info.bytes == 8 * MI && info.granularity == 2 * MI && info.uid == 1000 &&
		       info.gid == 1001 && info.mode == 0640,
	       "with what was asked for");
	TAP_STR_EQ(info.pool, "lib", "its pool");
	TAP_EQ(info.caps, HMEM_CAP_RESIZE | HMEM_CAP_SHARED, "what it can");
	TAP_EQ(hmem_region_iterate(ctx, count_region, &count), 0, "regions are visited");
	TAP_EQ(count, 1, "and it is among them");

	TAP_EQ(hmem_region_map(region, 0, 0, &address, &length), 0, "it is mapped");
	data = address;
	TAP_OK(length == 8 * MI && !((uintptr_t)data & (2 * MI - 1)), "in whole extents");
	for (size_t i = 0; i < length; i++)
		zero = zero && !data[i];
	TAP_OK(zero, "it reads as zeroes");
	hmem_region_get_info(region, &info);
	TAP_EQ(info.faults, 4, "one fault for each extent");
	memset(data, 0x5a, length);
	TAP_EQ(hmem_region_persist(region, data, length), 0, "persist does nothing, and works");

	TAP_EQ(hmem_region_open(ctx, "lib-a", HMEM_OPEN_READ_ONLY, &second), 0, "a reader");
	TAP_EQ(hmem_region_map(second, 2 * MI, 2 * MI, &address, NULL), 0, "maps a part");
	view = address;
	TAP_EQ(view[5], 0x5a, "and sees the stores");
	TAP_ERR(mprotect(view, 4096, PROT_READ | PROT_WRITE), EACCES, "and cannot write");
	hmem_region_unmap(second, view, 2 * MI);
	hmem_region_close(second);

	TAP_EQ(hmem_region_destroy(ctx, "lib-a"), -EBUSY, "it is not destroyed while open");
	message("open or mapped");
	TAP_EQ(hmem_pool_detach(ctx, "lib"), -EBUSY, "nor its pool detached");
	TAP_EQ(hmem_region_resize(region, 11 * MI), 0, "it grows while it is mapped");
	hmem_region_get_info(region, &info);
	TAP_EQ(info.bytes, 12 * MI, "by whole extents");
	TAP_EQ(free_bytes(), 52 * MI, "out of its pool");
	TAP_EQ(hmem_region_resize(region, 65 * MI), -ENOSPC, "not beyond the pool");
	message("free");
	TAP_EQ(hmem_region_resize(region, 2 * MI), 0, "it shrinks");
	TAP_EQ(data[0], 0x5a, "and keeps what stays");
	TAP_EQ(hmem_region_map(region, 2 * MI, 2 * MI, &address, NULL), -EINVAL,
	       "the rest is gone");
	hmem_region_close(region);
	TAP_EQ(hmem_region_destroy(ctx, "lib-a"), -EBUSY, "nor while it is mapped");
	TAP_EQ(hmem_region_unmap(NULL, data, length), 0, "it is unmapped");
	TAP_EQ(hmem_pool_detach(ctx, "lib"), -ENOTEMPTY, "a pool with regions");
	message("destroy them first");
	TAP_EQ(hmem_region_destroy(ctx, "lib-a"), 0, "it is destroyed");
	TAP_EQ(hmem_region_destroy(ctx, "lib-a"), -ENOENT, "once");
	message("no such region");
	TAP_EQ(hmem_region_open(ctx, "lib-a", 0, &region), -ENOENT, "and cannot be opened");
	TAP_EQ(free_bytes(), 64 * MI, "all is given back");
	o = options(128 * MI);
	TAP_EQ(hmem_region_create(ctx, "lib-b", &o, NULL), -ENOSPC, "more than the pool has");
	message("no room");
	o.pool = "none";
	TAP_EQ(hmem_region_create(ctx, "lib-b", &o, NULL), -ENOENT, "a pool that is not there");
	message("no such pool");
}

static int as_user(void)
{
	struct hmem_region_options o = options(MI);
	struct hmem_pool_options pool = HMEM_POOL_OPTIONS_INIT;
	struct hmem_region_info info = { .size = sizeof(info) };
	struct hmem_region *region;
	void *address;

	if (hmem_region_open(ctx, "lib-root", 0, &region) != -EACCES)
		return 1;
	if (!strstr(hmem_last_error(ctx), "user 0 and group 0, mode 0600; this is user 1000"))
		return 2;
	if (hmem_region_get_info_by_name(ctx, "lib-root", &info) || info.bytes != 2 * MI)
		return 3;
	if (hmem_region_create(ctx, "lib-mine", &o, NULL) != -EPERM)
		return 4;
	if (!strstr(hmem_last_error(ctx), "CAP_SYS_ADMIN"))
		return 5;
	pool.name = "mine";
	pool.bytes = MI;
	if (hmem_pool_attach(ctx, &pool, NULL) != -EPERM ||
	    hmem_pool_detach(ctx, "lib") != -EPERM ||
	    hmem_region_destroy(ctx, "lib-user") != -EPERM)
		return 6;
	if (hmem_region_open(ctx, "lib-user", 0, &region))
		return 7;
	if (hmem_region_resize(region, 4 * MI) != -EPERM)
		return 8;
	if (hmem_region_map(region, 0, 0, &address, NULL))
		return 9;
	memset(address, 1, 2 * MI);
	hmem_region_close(region);
	return hmem_region_unmap(NULL, address, 2 * MI) ? 10 : 0;
}

static void ordinary_user(void)
{
	struct hmem_region_options o = options(MI);
	int status;
	pid_t child;

	if (hmem_region_create(ctx, "lib-root", &o, NULL))
		tap_bail("%s", hmem_last_error(ctx));
	o.uid = 1000;
	if (hmem_region_create(ctx, "lib-user", &o, NULL))
		tap_bail("%s", hmem_last_error(ctx));
	fflush(stdout);
	child = fork();
	if (!child)
		_exit(setgid(1000) || setuid(1000) ? 99 : as_user());
	waitpid(child, &status, 0);
	TAP_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), 0,
	       "an ordinary user has the region that is his, and no other");
	TAP_EQ(hmem_region_destroy(ctx, "lib-root"), 0, "the first is destroyed");
	TAP_EQ(hmem_region_destroy(ctx, "lib-user"), 0, "and the second");
}

int main(void)
{
	struct hmem_region *region;

	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	TAP_EQ(hmem_region_open(ctx, "lib-a", 0, &region), -ENODEV, "without the module");
	message("insmod hmem.ko");
	load();
	TAP_EQ(hmem_region_open(ctx, "lib-a", 0, &region), -ENOENT, "with the module");
	pools();
	life();
	ordinary_user();
	TAP_EQ(hmem_pool_detach(ctx, "lib"), 0, "the pool is detached");
	TAP_EQ(syscall(SYS_delete_module, "hmem", O_NONBLOCK), 0, "and the module unloaded");
	hmem_ctx_unref(ctx);
	return tap_done();
}
