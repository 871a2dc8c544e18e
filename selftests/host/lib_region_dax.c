// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dax provider, on a device of our own: a node that is /dev/zero to the kernel,
 * whose shared mappings are memory, and what sysfs would say about a device-dax device.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <hmem/hmem.h>

#include "flush_seen.h"
#include "sysroot.h"

#define MI ((uint64_t)1 << 20)

static struct hmem_ctx *ctx;

static void message(const char *sentence)
{
	if (!TAP_OK(strstr(hmem_last_error(ctx), sentence), "the message says \"%s\"", sentence))
		tap_diag("%s", hmem_last_error(ctx));
}

/* Which driver has a device; NULL: none. */
static void driver(const char *device, const char *name)
{
	char path[256], target[256];

	snprintf(path, sizeof(path), "sys/bus/dax/devices/%s/driver", device);
	unlink(scratch_path("%s", path));
	snprintf(target, sizeof(target), "/any/bus/dax/drivers/%s", name ? name : "");
	if (name)
		scratch_link(path, target);
}

/* A device-dax device below @parent, known as @name and, with a number, as 1:5. */
static void make_device(const char *parent, const char *name, bool number)
{
	char path[256], target[256];

	snprintf(path, sizeof(path), "sys/devices/%s/%s/size", parent, name);
	scratch_write(path, "8388608\n");
	snprintf(path, sizeof(path), "sys/devices/%s/%s/align", parent, name);
	scratch_write(path, "2097152\n");
	snprintf(path, sizeof(path), "sys/devices/%s/%s/numa_node", parent, name);
	scratch_write(path, "1\n");
	snprintf(path, sizeof(path), "sys/devices/%s/%s/subsystem", parent, name);
	scratch_link(path, "/any/bus/dax");
	snprintf(path, sizeof(path), "sys/bus/dax/devices/%s", name);
	snprintf(target, sizeof(target), "../../../devices/%s/%s", parent, name);
	scratch_link(path, target);
	driver(name, "device_dax");
	if (number)
		scratch_link("sys/dev/char/1:5", scratch_path("sys/devices/%s/%s", parent, name));
}

static char seen[2048];

static int see(void *arg, const struct hmem_region_info *info)
{
	size_t used = strlen(seen);

	(void)arg;
	snprintf(seen + used, sizeof(seen) - used, "%s %llu %d%s ", info->name,
		 (unsigned long long)info->bytes, info->nid,
		 info->caps & HMEM_CAP_PERSISTENT ? " persistent" : "");
	return 0;
}

static int stop(void *arg, const struct hmem_region_info *info)
{
	(void)arg;
	(void)info;
	return 7;
}

static void listing(void)
{
	struct hmem_region_info info = { .size = sizeof(info) };

	make_device("region", "dax0.0", true);
	/* One without a node. */
	make_device("region", "dax0.1", false);
	make_device("nd/region1", "dax10.0", false);
	scratch_write("sys/devices/nd/region1/devtype", "nd_pmem\n");
	make_device("nd/region2", "dax9.0", false);
	scratch_write("sys/devices/nd/region2/devtype", "nd_volatile\n");
	scratch_write("dev/dax10.0", "");
	scratch_write("dev/dax9.0", "");
	scratch_write("dev/dax0.0", "");
	TAP_EQ(hmem_region_iterate(ctx, see, NULL), 0, "devices are listed");
	TAP_STR_EQ(seen,
		   "dax:/dev/dax0.0 8388608 1 dax:/dev/dax9.0 8388608 1 "
		   "dax:/dev/dax10.0 8388608 1 persistent ",
		   "with their size, their node, and what survives");
	TAP_EQ(hmem_region_iterate(ctx, stop, NULL), 7, "a visitor stops it");
	driver("dax9.0", "kmem");
	driver("dax0.0", NULL);
	*seen = '\0';
	TAP_EQ(hmem_region_iterate(ctx, see, NULL), 0, "one is system memory, one in a pool");
	TAP_STR_EQ(seen, "dax:/dev/dax10.0 8388608 1 persistent ",
		   "they are listed no more, though their nodes are there");
	driver("dax9.0", "device_dax");
	driver("dax0.0", "device_dax");

	scratch_write("sys/devices/nd/region2/dax9.0/align", "3\n");
	TAP_EQ(hmem_region_iterate(ctx, see, NULL), -EIO, "an alignment that is none");
	message("dax9.0");
	scratch_write("sys/devices/nd/region2/dax9.0/align", "4096\n");
	unlink(scratch_path("sys/devices/nd/region2/dax9.0/size"));
	TAP_EQ(hmem_region_iterate(ctx, see, NULL), -EIO, "no size");
	unlink(scratch_path("sys/bus/dax/devices/dax9.0"));
	unlink(scratch_path("sys/devices/region/dax0.0/numa_node"));
	*seen = '\0';
	TAP_EQ(hmem_region_iterate(ctx, see, NULL), 0, "no node");
	TAP_OK(strstr(seen, "dax0.0 8388608 -1"), "is -1");

	TAP_EQ(hmem_region_get_info_by_name(ctx, "dax:dax0.0", &info), -EINVAL,
	       "a file for a node");
	message("no device-dax device");
	TAP_EQ(hmem_region_get_info_by_name(ctx, "dax:dax5.0", &info), -ENOENT, "no node");
	message("daxctl list");
	TAP_EQ(hmem_region_destroy(ctx, "dax:dax0.0"), -EOPNOTSUPP, "a device is not destroyed");
	unlink(scratch_path("dev/dax0.0"));
}

static int as_user(void)
{
	struct hmem_region *region;

	if (hmem_region_open(ctx, "dax:dax0.0", 0, &region) != -EACCES)
		return 1;
	return strstr(hmem_last_error(ctx), "permissions") ? 0 : 2;
}

static void using_one(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region_info info = { .size = sizeof(info) };
	struct hmem_region *region, *none;
	unsigned char *data;
	void *address;
	size_t length;
	int status;
	pid_t child;

	if (mknod(scratch_path("dev/dax0.0"), S_IFCHR | 0640, makedev(1, 5)) ||
	    hmem_region_open(ctx, "dax:/dev/dax0.0", 0, &region)) {
		tap_skip("using a device", "no right to make or open a device node");
		return;
	}
	TAP_EQ(hmem_region_get_info(region, &info), 0, "it tells what it is");
	TAP_EQ(info.bytes, 8 * MI, "its size");
	TAP_EQ(info.granularity, 2 * MI, "its alignment");
	TAP_EQ(info.caps, HMEM_CAP_SHARED, "what it can");
	TAP_EQ(info.mode, 0640, "its mode");
	TAP_STR_EQ(info.name, "dax:/dev/dax0.0", "its name");
	TAP_EQ(hmem_region_get_info_by_name(ctx, "dax:dax0.0", &info), 0, "and without opening");
	TAP_EQ(info.bytes, 8 * MI, "by its short name");
	TAP_EQ(hmem_region_map(region, 2 * MI, 0, &address, &length), 0, "it is mapped");
	TAP_OK(length == 6 * MI && !((uintptr_t)address & (2 * MI - 1)), "at its alignment");
	data = address;
	/* The memory of /dev/zero ends where its offset reaches the length. */
	data[4 * MI - 1] = 5;
	TAP_EQ(hmem_region_persist(region, data, length), 0, "persist works");
	TAP_OK(!flush_seen(region, data), "and does nothing on volatile memory");
	hmem_region_unmap(region, data, length);
	TAP_EQ(hmem_region_map(region, 4096, 4096, &address, NULL), -EINVAL, "a page of it is not");
	message("units of 2097152");
	TAP_EQ(hmem_region_map(region, 0, 3 * MI, &address, NULL), -EINVAL, "nor an odd length");
	TAP_EQ(hmem_region_map(region, 8 * MI, 2 * MI, &address, NULL), -EINVAL, "nor beyond it");
	TAP_EQ(hmem_region_resize(region, 4 * MI), -EOPNOTSUPP, "it has one size");
	hmem_region_close(region);

	TAP_EQ(hmem_region_create(ctx, "dax:dax0.0", &options, &region), 0,
	       "it is there to create");
	hmem_region_close(region);
	options.bytes = 8 * MI;
	TAP_EQ(hmem_region_create(ctx, "dax:dax0.0", &options, NULL), 0, "with its size");
	options.bytes++;
	TAP_EQ(hmem_region_create(ctx, "dax:dax0.0", &options, &none), -ENOSPC, "with a byte more");
	message("8388608 bytes");
	options.bytes = 0;
	options.flags = HMEM_CREATE_EXCLUSIVE;
	TAP_EQ(hmem_region_create(ctx, "dax:dax0.0", &options, &none), -EEXIST, "as a new one");

	TAP_EQ(hmem_region_open(ctx, "dax:dax0.0", HMEM_OPEN_READ_ONLY, &region), 0, "to read");
	TAP_EQ(hmem_region_map(region, 0, 2 * MI, &address, NULL), 0, "is mapped");
	TAP_ERR(mprotect(address, 4096, PROT_READ | PROT_WRITE), EACCES, "and not written");
	hmem_region_unmap(region, address, 2 * MI);
	hmem_region_close(region);

	if (!geteuid()) {
		fflush(stdout);
		child = fork();
		if (!child)
			_exit(setgid(65534) || setuid(65534) ? 99 : as_user());
		waitpid(child, &status, 0);
		TAP_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0, "an ordinary user");
	}

	/* The same device, as it would look over persistent memory. */
	unlink(scratch_path("sys/dev/char/1:5"));
	scratch_link("sys/dev/char/1:5", scratch_path("sys/devices/nd/region1/dax10.0"));
	TAP_EQ(hmem_region_open(ctx, "dax:dax0.0", 0, &region), 0, "over persistent memory");
	hmem_region_get_info(region, &info);
#ifdef __x86_64__
	TAP_EQ(info.caps, HMEM_CAP_SHARED | HMEM_CAP_PERSISTENT | HMEM_CAP_FLUSH_CPU,
	       "the CPU can flush it");
	TAP_EQ(hmem_region_map(region, 0, 2 * MI, &address, NULL), 0, "it is mapped");
	data = address;
	memset(data, 6, 2 * MI);
	TAP_EQ(hmem_region_persist(region, data + 1, 2 * MI - 1), 0, "and flushed");
	TAP_EQ(data[2 * MI - 1], 6, "and unharmed");
	TAP_OK(flush_seen(region, data), "by the CPU");
	hmem_region_unmap(region, data, 2 * MI);
	hmem_region_close(region);
	scratch_write("sys/devices/nd/region1/persistence_domain", "memory_controller\n");
	TAP_EQ(hmem_region_open(ctx, "dax:dax0.0", 0, &region), 0, "where caches are lost");
	hmem_region_get_info(region, &info);
	TAP_OK(!(info.caps & HMEM_CAP_CACHES_DURABLE), "it says so");
	hmem_region_close(region);
	scratch_write("sys/devices/nd/region1/persistence_domain", "cpu_cache\n");
	TAP_EQ(hmem_region_open(ctx, "dax:dax0.0", 0, &region), 0, "where the platform saves them");
	hmem_region_get_info(region, &info);
	TAP_EQ(info.caps, HMEM_CAP_SHARED | HMEM_CAP_PERSISTENT | HMEM_CAP_FLUSH_CPU |
				  HMEM_CAP_CACHES_DURABLE, "it says so");
	TAP_EQ(hmem_region_map(region, 0, 2 * MI, &address, NULL), 0, "it is mapped");
	TAP_OK(!flush_seen(region, address), "and not flushed");
	hmem_region_unmap(region, address, 2 * MI);
#endif
	hmem_region_close(region);

	unlink(scratch_path("sys/dev/char/1:5"));
	TAP_EQ(hmem_region_open(ctx, "dax:dax0.0", 0, &none), -EINVAL, "sysfs knows nothing");
	scratch_link("sys/dev/char/1:5/subsystem", "/any/bus/dax");
	TAP_EQ(hmem_region_open(ctx, "dax:dax0.0", 0, &none), -EIO, "sysfs knows half");
	unlink(scratch_path("sys/dev/char/1:5/subsystem"));
	scratch_link("sys/dev/char/1:5/subsystem", "/any/class/mem");
	TAP_EQ(hmem_region_open(ctx, "dax:dax0.0", 0, &none), -EINVAL, "a device of another kind");
	unlink(scratch_path("dev/dax0.0"));
	/* Character device 0:0 has no driver. */
	if (!mknod(scratch_path("dev/dax0.0"), S_IFCHR | 0600, makedev(0, 0))) {
		TAP_EQ(hmem_region_open(ctx, "dax:dax0.0", 0, &none), -ENODEV, "no driver");
		message("reconfigure-device");
	}
}

int main(void)
{
	if (hmem_ctx_new(&ctx) || hmem_ctx_set_sysroot(ctx, scratch()))
		tap_bail("no context");
	listing();
	using_one();
	hmem_ctx_unref(ctx);
	return tap_done();
}
