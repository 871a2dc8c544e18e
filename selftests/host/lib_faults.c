// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every system call and every allocation that the library makes fails once: each
 * operation is repeated with its first call failing, then its second, until it passes.
 * Each time it must report that errno with a sentence, write nothing, leave no
 * descriptor, no mapping and no file, and work when tried again.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <linux/hmem.h>

#include <hmem/hmem.h>

#include "flush_seen.h"
#include "sysroot.h"

#define MI ((uint64_t)1 << 20)

/* The @countdown-th call of the chosen function fails with this errno. */
static const char *victim;
static int countdown, injected;
static bool hit;

/* How often msync() and fsync() were really reached, and whether MAP_SYNC is played. */
static int msyncs;
static bool play_dax;

/* Descriptors that a program started by the application would inherit. */
static int inherited;

static bool fails(const char *function)
{
	if (!victim || strcmp(victim, function) || --countdown)
		return false;
	hit = true;
	errno = injected;
	return true;
}

#define REAL(type, name, ...)             \
	static type (*real)(__VA_ARGS__); \
	if (!real)                        \
	real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

int open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	REAL(int, "open", const char *, int, ...);
	va_start(ap, flags);
	mode = flags & O_CREAT ? (mode_t)va_arg(ap, int) : 0;
	va_end(ap);
	inherited += !(flags & O_CLOEXEC);
	return fails("open") ? -1 : real(path, flags, mode);
}

void *mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	REAL(void *, "mmap", void *, size_t, int, int, int, off_t);
	if (fails("mmap"))
		return MAP_FAILED;
	/* A file system with DAX, as far as anybody can tell. */
	if (play_dax && (flags & MAP_SYNC))
		flags = (flags & ~(MAP_SYNC | MAP_SHARED_VALIDATE)) | MAP_SHARED;
	return real(address, length, prot, flags, fd, offset);
}

int fstat(int fd, struct stat *st)
{
	REAL(int, "fstat", int, struct stat *);
	return fails("fstat") ? -1 : real(fd, st);
}

int stat(const char *path, struct stat *st)
{
	REAL(int, "stat", const char *, struct stat *);
	return fails("stat") ? -1 : real(path, st);
}

int lstat(const char *path, struct stat *st)
{
	REAL(int, "lstat", const char *, struct stat *);
	return fails("lstat") ? -1 : real(path, st);
}

int fstatfs(int fd, struct statfs *fs)
{
	REAL(int, "fstatfs", int, struct statfs *);
	return fails("fstatfs") ? -1 : real(fd, fs);
}

int statfs(const char *path, struct statfs *fs)
{
	REAL(int, "statfs", const char *, struct statfs *);
	return fails("statfs") ? -1 : real(path, fs);
}

int ftruncate(int fd, off_t length)
{
	REAL(int, "ftruncate", int, off_t);
	return fails("ftruncate") ? -1 : real(fd, length);
}

int posix_fallocate(int fd, off_t offset, off_t length)
{
	REAL(int, "posix_fallocate", int, off_t, off_t);
	if (!fails("posix_fallocate"))
		return real(fd, offset, length);
	/* As far as it got: the size may have changed. */
	if (injected != EINTR && syscall(SYS_ftruncate, fd, length / 2))
		tap_bail("ftruncate: %s", strerror(errno));
	return injected;
}

int fchmod(int fd, mode_t mode)
{
	REAL(int, "fchmod", int, mode_t);
	return fails("fchmod") ? -1 : real(fd, mode);
}

int fchown(int fd, uid_t uid, gid_t gid)
{
	REAL(int, "fchown", int, uid_t, gid_t);
	return fails("fchown") ? -1 : real(fd, uid, gid);
}

int fsync(int fd)
{
	REAL(int, "fsync", int);
	return fails("fsync") ? -1 : real(fd);
}

int syncfs(int fd)
{
	REAL(int, "syncfs", int);
	return fails("syncfs") ? -1 : real(fd);
}

int msync(void *address, size_t length, int flags)
{
	REAL(int, "msync", void *, size_t, int);
	msyncs++;
	return fails("msync") ? -1 : real(address, length, flags);
}

int munmap(void *address, size_t length)
{
	REAL(int, "munmap", void *, size_t);
	return fails("munmap") ? -1 : real(address, length);
}

int unlink(const char *path)
{
	REAL(int, "unlink", const char *);
	return fails("unlink") ? -1 : real(path);
}

int memfd_create(const char *name, unsigned int flags)
{
	REAL(int, "memfd_create", const char *, unsigned int);
	inherited += !(flags & MFD_CLOEXEC);
	return fails("memfd_create") ? -1 : real(name, flags);
}

ssize_t read(int fd, void *buffer, size_t size)
{
	REAL(ssize_t, "read", int, void *, size_t);
	return fails("read") ? -1 : real(fd, buffer, size);
}

/* The module: every command succeeds, and every answer is zero but a region's size. */
int ioctl(int fd, unsigned long number, ...)
{
	va_list ap;

	(void)fd;
	va_start(ap, number);
	if (number == HMEM_REGION_QUERY)
		va_arg(ap, struct hmem_region_query *)->bytes = 4096;
	va_end(ap);
	return fails("ioctl") ? -1 : 0;
}

int scandir(const char *path, struct dirent ***entries, int (*filter)(const struct dirent *),
	    int (*compare)(const struct dirent **, const struct dirent **))
{
	REAL(int, "scandir", const char *, struct dirent ***, int (*)(const struct dirent *),
	     int (*)(const struct dirent **, const struct dirent **));
	return fails("scandir") ? -1 : real(path, entries, filter, compare);
}

/* The sanitizers have an allocator of their own, which must not be taken from them. */
#ifdef __SANITIZE_ADDRESS__
#define OWN_ALLOCATOR 0
#else
#define OWN_ALLOCATOR 1
void *__libc_calloc(size_t count, size_t size);
void *__libc_malloc(size_t size);

void *calloc(size_t count, size_t size)
{
	return fails("alloc") ? NULL : __libc_calloc(count, size);
}

void *malloc(size_t size)
{
	return fails("alloc") ? NULL : __libc_malloc(size);
}
#endif

static struct hmem_ctx *ctx;
static struct hmem_region *region;
static void *mapping;

static const char *name(void)
{
	static char text[PATH_MAX + 16];

	snprintf(text, sizeof(text), "file:%s/region", scratch());
	return text;
}

/* Descriptors and mappings of this process. */
static int count_lines(const char *path)
{
	int count = 0;
	DIR *dir;

	if (strstr(path, "/fd")) {
		dir = opendir(path);
		while (dir && readdir(dir))
			count++;
		if (dir)
			closedir(dir);
	} else {
		FILE *file = fopen(path, "r");
		char line[600];

		while (file && fgets(line, sizeof(line), file))
			count += !!strstr(line, scratch()) || !!strstr(line, "memfd:");
		if (file)
			fclose(file);
	}
	return count;
}

static int new_context(void)
{
	struct hmem_ctx *another = NULL;
	int err = hmem_ctx_new(&another);

	if (err && another)
		return 1;
	hmem_ctx_unref(another);
	return err;
}

static int set_sysroot(void)
{
	return hmem_ctx_set_sysroot(ctx, scratch());
}

/* Never called: registering only looks whether they are there. */
static int register_provider(void)
{
	static char scheme[] = "a";
	struct hmem_provider_ops ops = {
		.size = sizeof(ops),
		.scheme = scheme,
		.open = (void *)abort,
		.close = (void *)abort,
		.map = (void *)abort,
		.get_info = (void *)abort,
	};
	int err = hmem_provider_register(ctx, &ops);

	if (!err)
		scheme[0]++;
	return err;
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

static int create_anon(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region *made = NULL;
	int err;

	options.bytes = 4096;
	err = hmem_region_create(ctx, "anon:x", &options, &made);
	if (err && made)
		return 1;
	hmem_region_close(made);
	return err;
}

static int open_as(const char *which, unsigned int flags)
{
	struct hmem_region *opened = NULL;
	int err = hmem_region_open(ctx, which, flags, &opened);

	if (err && opened)
		return 1;
	hmem_region_close(opened);
	return err;
}

static int open_hmem(void)
{
	return open_as("hmem:db", HMEM_OPEN_READ_ONLY);
}

static int create_hmem(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region *made = NULL;
	int err;

	options.bytes = 4096;
	err = hmem_region_create(ctx, "hmem:db", &options, &made);
	if (err && made)
		return 1;
	hmem_region_close(made);
	return err;
}

static int destroy_hmem(void)
{
	return hmem_region_destroy(ctx, "hmem:db");
}

static int detach_pool(void)
{
	return hmem_pool_detach(ctx, "p");
}

static int attach_pool(void)
{
	struct hmem_pool_options options = HMEM_POOL_OPTIONS_INIT;
	struct hmem_pool_result result = { .size = sizeof(result), .bytes = 4711 };
	int err;

	options.source = "region0";
	err = hmem_pool_attach(ctx, &options, &result);
	return err && result.bytes != 4711 ? 1 : err;
}

static int open_dax(void)
{
	return open_as("dax:dax0.0", 0);
}

static int info_of_dax(void)
{
	struct hmem_region_info info = { .size = sizeof(info), .bytes = 4711 };
	int err = hmem_region_get_info_by_name(ctx, "dax:dax0.0", &info);

	return err && info.bytes != 4711 ? 1 : err;
}

static int see_pool(void *arg, const struct hmem_pool_info *info)
{
	(void)arg;
	(void)info;
	return 0;
}

static int see_region(void *arg, const struct hmem_region_info *info)
{
	(void)arg;
	(void)info;
	return 0;
}

static int list_pools(void)
{
	return hmem_pool_iterate(ctx, see_pool, NULL);
}

static int list_regions(void)
{
	return hmem_region_iterate(ctx, see_region, NULL);
}

/*
 * Let each call of @function in @operation fail with @error. The result is the same
 * errno, or @instead where that is documented; 0 where the library can do without.
 * Return how many calls there were.
 */
static int inject(const char *what, int (*operation)(void), const char *function, int error,
		  int instead)
{
	int fds = count_lines("/proc/self/fd"), maps = count_lines("/proc/self/maps"), k;
	bool good = true;

	for (k = 1;; k++) {
		int result, expected = instead ? instead : -error;
		const char *said;

		countdown = k;
		injected = error;
		hit = false;
		victim = function;
		result = operation();
		victim = NULL;
		if (!hit) {
			good = good && !result;
			break;
		}
		said = hmem_last_error(ctx);
		if (result != expected && !(instead == 1 && !result)) {
			tap_diag("%s number %d: %d, not %d (%s)", function, k, result, expected,
				 said);
			good = false;
		} else if (result && operation != new_context && !*said) {
			tap_diag("%s number %d: no message", function, k);
			good = false;
		}
		hmem_set_error(ctx, 0, "%s", "");
	}
	TAP_OK(good && k > 1, "%s: %d calls of %s fail in turn", what, k - 1, function);
	TAP_EQ(count_lines("/proc/self/fd"), fds, "%s: no descriptor is left by %s", what,
	       function);
	TAP_EQ(count_lines("/proc/self/maps"), maps, "%s: no mapping is left by %s", what,
	       function);
	return k - 1;
}

/* The library can do without it: the operation succeeds. */
#define HARMLESS 1

static void sysfs_tree(void)
{
	static const char *const files[][2] = {
		{ "provider", "ram" }, { "source", "" },
		{ "size", "4096" },    { "free", "0" },
		{ "regions", "0" },    { "persistent", "0" },
		{ "numa_node", "-1" }, { "uuid", "00000000-0000-0000-0000-000000000000" },
	};
	char path[100];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "sys/class/hmem_pool/p/%s", files[i][0]);
		scratch_write(path, files[i][1]);
	}
	scratch_write("dev/hmem/control", "");
	scratch_write("dev/hmem/db", "1234");
	scratch_write("etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n");
	scratch_write("sys/dev/char/1:5/size", "2097152\n");
	scratch_write("sys/dev/char/1:5/align", "2097152\n");
	scratch_link("sys/dev/char/1:5/subsystem", "/any/bus/dax");
}

int main(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region_info info = { .size = sizeof(info) };
	struct statfs fs;

	if (hmem_ctx_new(&ctx) || hmem_ctx_set_sysroot(ctx, scratch()))
		tap_bail("no context");
	sysfs_tree();
	scratch_write("old", "");
	options.bytes = 1 * MI;
	if (hmem_region_create(ctx, scratch_path("resized"), &options, &region) ||
	    hmem_region_map(region, 0, 0, &mapping, NULL))
		tap_bail("%s", hmem_last_error(ctx));

	if (OWN_ALLOCATOR) {
		inject("a context", new_context, "alloc", ENOMEM, 0);
		inject("a sysroot", set_sysroot, "alloc", ENOMEM, 0);
		inject("a provider", register_provider, "alloc", ENOMEM, 0);
		inject("creating a file", create_file, "alloc", ENOMEM, 0);
		inject("opening a file", open_file, "alloc", ENOMEM, 0);
		inject("anonymous memory", create_anon, "alloc", ENOMEM, 0);
		inject("a region of the module", open_hmem, "alloc", ENOMEM, 0);
		inject("listing pools", list_pools, "alloc", ENOMEM, 0);
	} else {
		tap_skip("allocations fail", "the sanitizer has its own allocator");
	}
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
	inject("anonymous memory", create_anon, "memfd_create", EMFILE, 0);
	inject("anonymous memory", create_anon, "ftruncate", ENOMEM, 0);
	inject("listing pools", list_pools, "scandir", ENOMEM, 0);
	inject("listing pools", list_pools, "open", EMFILE, 0);
	inject("listing pools", list_pools, "read", EIO, 0);
	inject("listing regions", list_regions, "scandir", EMFILE, 0);
	inject("a region of the module", open_hmem, "open", EMFILE, 0);
	inject("a region of the module", open_hmem, "ioctl", ENODEV, 0);
	/* The second ioctl asks about the new region, the third takes it back. */
	inject("carving", create_hmem, "open", EMFILE, 0);
	inject("carving", create_hmem, "ioctl", EIO, 0);
	inject("destroying", destroy_hmem, "open", EMFILE, 0);
	inject("destroying", destroy_hmem, "ioctl", EBUSY, 0);
	inject("detaching", detach_pool, "ioctl", EBUSY, 0);
	inject("attaching", attach_pool, "ioctl", EBUSY, 0);
	/* Without a machine-id it goes on, without the control device it does not. */
	inject("attaching", attach_pool, "read", EIO, HARMLESS);
	if (mknod(scratch_path("dev/dax0.0"), S_IFCHR | 0600, makedev(1, 5)) || open_dax()) {
		tap_skip("a device of device-dax", "no right to make or open a device node");
	} else {
		if (OWN_ALLOCATOR)
			inject("a device of device-dax", open_dax, "alloc", ENOMEM, 0);
		inject("a device of device-dax", open_dax, "open", EMFILE, 0);
		inject("a device of device-dax", open_dax, "fstat", EIO, 0);
		inject("asking a device", info_of_dax, "stat", EIO, 0);
	}
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
	hmem_ctx_unref(ctx);
	return tap_done();
}
