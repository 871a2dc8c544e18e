// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every system call and every allocation fails once: regions in files (faults.h).
 */
#include <sys/sysmacros.h>

#include "faults.h"
#include "flush_seen.h"

#define MI ((uint64_t)1 << 20)

static struct hmem_region *region;
static void *mapping;

static const char *name(void)
{
	static char text[PATH_MAX + 16];

	snprintf(text, sizeof(text), "file:%s/region", scratch());
	return text;
}

static int create_file(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region *made = NULL;
	int err;

	options.bytes = 1 * MI;
	options.uid = geteuid();
	options.flags = HMEM_CREATE_EXCLUSIVE;
	err = hmem_region_create(ctx, name(), &options, &made);
	if (err && (made || !access(scratch_path("region"), F_OK)))
		return 1;
	if (!err) {
		hmem_region_close(made);
		remove(scratch_path("region"));
	}
	return err;
}

/* There is an old file of a page: its size and content are as before when it fails. */
static int grow_file(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct stat st;
	int err;

	if (truncate(scratch_path("old"), 4096))
		return 1;
	options.bytes = 1 * MI;
	err = hmem_region_create(ctx, scratch_path("old"), &options, NULL);
	if (lstat(scratch_path("old"), &st))
		return 1;
	/* When the sync fails, the growth is there and not known to be durable. */
	if (err && st.st_size != 4096 && strcmp(victim, "fsync"))
		return 1;
	return err;
}

static int open_file(void)
{
	struct hmem_region *opened = NULL;
	int err = hmem_region_open(ctx, scratch_path("old"), 0, &opened);

	if (err && opened)
		return 1;
	hmem_region_close(opened);
	return err;
}

static int info_of_file(void)
{
	struct hmem_region_info info = { .size = sizeof(info), .bytes = 4711 };
	int err = hmem_region_get_info(region, &info);

	return err && info.bytes != 4711 ? 1 : err;
}

static int info_by_name(void)
{
	struct hmem_region_info info = { .size = sizeof(info), .bytes = 4711 };
	int err = hmem_region_get_info_by_name(ctx, scratch_path("old"), &info);

	return err && info.bytes != 4711 ? 1 : err;
}

static int map_file(void)
{
	void *address = NULL;
	size_t length = 4711;
	int err = hmem_region_map(region, 0, 0, &address, &length);

	if (err)
		return address || length != 4711 ? 1 : err;
	munmap(address, length);
	return 0;
}

static int persist_file(void)
{
	return hmem_region_persist(region, mapping, 4096);
}

static int unmap_file(void)
{
	void *address = NULL;
	const char *whom = victim;
	int err;

	victim = NULL;
	if (hmem_region_map(region, 0, 4096, &address, NULL))
		return 1;
	victim = whom;
	err = hmem_region_unmap(region, address, 4096);
	if (err)
		munmap(address, 4096);
	return err;
}

static int resize_up(void)
{
	int err = hmem_region_resize(region, 2 * MI);
	struct stat st;

	/* When the sync fails, the growth is there and not known to be durable. */
	if (lstat(scratch_path("resized"), &st) ||
	    (err && st.st_size != 1 * MI && strcmp(victim, "fsync")))
		return 1;
	if (truncate(scratch_path("resized"), 1 * MI))
		return 1;
	return err;
}

static int resize_down(void)
{
	int err = hmem_region_resize(region, 4096);

	if (truncate(scratch_path("resized"), 1 * MI))
		return 1;
	return err;
}

static int destroy_file(void)
{
	int err;

	scratch_write("doomed", "x");
	err = hmem_region_destroy(ctx, scratch_path("doomed"));
	/* When the sync fails it is gone, and not known to be durably gone. */
	if (err && access(scratch_path("doomed"), F_OK) && strcmp(victim, "fsync") &&
	    strcmp(victim, "open"))
		return 1;
	return err;
}

#ifdef __x86_64__
/* A file with DAX on a disk whose platform says what becomes of its caches. */
static enum hmem_durability durability_on(const char *domain)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf_info info = { .size = sizeof(info) };
	struct hmem_shelf *shelf;
	struct hmem_region *on;

	scratch_write("sys/devices/nd/region1/persistence_domain", domain);
	options.bytes = 1 * MI;
	options.slots = 2;
	if (hmem_region_open(ctx, scratch_path("shelf"), 0, &on) ||
	    hmem_shelf_create(on, "one", &options, &shelf) ||
	    hmem_shelf_put(shelf, "name", "value", 5, NULL) || hmem_shelf_get_info(shelf, &info) ||
	    hmem_shelf_close(shelf) || hmem_shelf_destroy(on, "one"))
		tap_bail("%s", hmem_last_error(ctx));
	hmem_region_close(on);
	return info.durability;
}

static void saved_caches(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	char link[64];
	struct stat st;

	options.bytes = 16 * MI;
	if (stat(scratch(), &st) || hmem_region_create(ctx, scratch_path("shelf"), &options, NULL) ||
	    hmem_ctx_set_sysroot(ctx, scratch()))
		tap_bail("%s", hmem_last_error(ctx));
	snprintf(link, sizeof(link), "sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
	TAP_EQ(durability_on("cpu_cache\n"), HMEM_DURABLE_FLUSH, "a disk of which sysfs knows nothing");
	scratch_write("sys/devices/nd/region1/devtype", "nd_pmem\n");
	scratch_write("sys/devices/nd/region1/namespace1.0/block/pmem1/size", "1\n");
	scratch_link(link, scratch_path("sys/devices/nd/region1/namespace1.0/block/pmem1"));
	TAP_EQ(durability_on("memory_controller\n"), HMEM_DURABLE_FLUSH,
	       "a shelf where caches are lost is flushed");
	TAP_EQ(durability_on("cpu_cache\n"), HMEM_DURABLE_FENCE,
	       "where the platform saves them it is fenced");
}
#endif

int main(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region_info info = { .size = sizeof(info) };
	struct statfs fs;

	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	scratch_write("old", "");
	options.bytes = 1 * MI;
	if (hmem_region_create(ctx, scratch_path("resized"), &options, &region) ||
	    hmem_region_map(region, 0, 0, &mapping, NULL))
		tap_bail("%s", hmem_last_error(ctx));

	inject("creating a file", create_file, "alloc", ENOMEM, 0);
	inject("opening a file", open_file, "alloc", ENOMEM, 0);
	inject("creating a file", create_file, "open", EMFILE, 0);
	inject("creating a file", create_file, "fchown", EPERM, 0);
	inject("creating a file", create_file, "fchmod", EPERM, 0);
	inject("creating a file", create_file, "posix_fallocate", ENOSPC, 0);
	inject("creating a file", create_file, "posix_fallocate", EINTR, HARMLESS);
	TAP_EQ(inject("creating a file", create_file, "fsync", EIO, 0), 2,
	       "the file and its directory are synced");
	inject("creating a file", create_file, "fstatfs", EIO, 0);
	inject("growing a file", grow_file, "fstat", EIO, 0);
	inject("growing a file", grow_file, "posix_fallocate", ENOSPC, 0);
	inject("growing a file", grow_file, "fsync", EIO, 0);
	inject("opening a file", open_file, "open", ENFILE, 0);
	inject("opening a file", open_file, "fstat", EIO, 0);
	inject("opening a file", open_file, "fstatfs", EIO, 0);
	inject("asking a file", info_of_file, "fstat", EIO, 0);
	inject("asking a name", info_by_name, "stat", EIO, 0);
	inject("asking a name", info_by_name, "statfs", EIO, 0);
	inject("mapping a file", map_file, "fstat", EIO, 0);
	inject("mapping a file", map_file, "mmap", ENOMEM, 0);
	inject("unmapping a file", unmap_file, "munmap", ENOMEM, 0);
	inject("growing a region", resize_up, "fstat", EIO, 0);
	inject("growing a region", resize_up, "posix_fallocate", EDQUOT, 0);
	inject("growing a region", resize_up, "fsync", EIO, 0);
	inject("shrinking a region", resize_down, "ftruncate", EIO, 0);
	inject("shrinking a region", resize_down, "fsync", EIO, 0);
	inject("destroying a file", destroy_file, "lstat", EIO, 0);
	inject("destroying a file", destroy_file, "unlink", EIO, 0);
	TAP_EQ(inject("destroying a file", destroy_file, "fsync", EIO, 0), 1,
	       "the directory is synced");
	inject("destroying a file", destroy_file, "fsync", EINVAL, HARMLESS);
	TAP_EQ(inherited, 0, "no descriptor is inherited across exec");

	if (!statfs(scratch(), &fs) && fs.f_type == 0x01021994) {
		tap_skip("persisting", "the scratch directory is on tmpfs");
	} else {
		inject("persisting a file", persist_file, "msync", EIO, 0);
		inject("persisting a file", persist_file, "msync", ENOMEM, -EINVAL);
		hmem_region_unmap(region, mapping, 1 * MI);
		hmem_region_close(region);

		play_dax = true;
		if (hmem_region_open(ctx, scratch_path("resized"), 0, &region) ||
		    hmem_region_map(region, 0, 0, &mapping, NULL))
			tap_bail("%s", hmem_last_error(ctx));
		hmem_region_get_info(region, &info);
#ifdef __x86_64__
		TAP_OK(info.caps & HMEM_CAP_FLUSH_CPU, "a DAX file is flushed by the CPU");
		msyncs = 0;
		memset(mapping, 5, 1 * MI);
		TAP_EQ(hmem_region_persist(region, (char *)mapping + 5, 1 * MI - 5), 0, "it works");
		TAP_EQ(msyncs, 0, "without the kernel");
		TAP_OK(flush_seen(region, mapping), "and by the CPU");
#endif
	}
	hmem_region_unmap(region, mapping, 1 * MI);
	hmem_region_close(region);
#ifdef __x86_64__
	if (play_dax)
		saved_caches();
#endif
	hmem_ctx_unref(ctx);
	return tap_done();
}
