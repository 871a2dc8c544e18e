/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults for tests of the library: every system call and every allocation that it makes
 * can be made to fail. An operation is repeated with its first call failing, then its
 * second, until it passes. Each time it must report that errno with a sentence, write
 * nothing, leave no descriptor, no mapping and no file, and work when tried again.
 *
 * Overrides functions of libc: to be included once in a program.
 */
#ifndef SELFTESTS_FAULTS_H
#define SELFTESTS_FAULTS_H

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <linux/hmem.h>

#include <hmem/hmem.h>

#include "sysroot.h"

/* The @countdown-th call of the chosen function fails with this errno. */
static const char *victim;
static int countdown, injected;
static bool hit;
/* And so do all after it. */
__attribute__((unused)) static bool stay;

/*
 * What overrides functions of libc is called before a sanitizer is ready to hear of it, and
 * so are all that it calls.
 */
#define OVERRIDE __attribute__((no_sanitize("address", "thread")))

/* How often msync(), and fsync() of directories, were reached, and whether MAP_SYNC is played. */
static int msyncs;
__attribute__((unused)) static int directory_syncs;
static bool play_dax;
/* All file systems are of a kind that outlives the power, and so are their files. */
__attribute__((unused)) static bool play_disk;

/* Blocks of memory that were taken and not given back. */
static long blocks;

/* Descriptors that a program started by the application would inherit. */
static int inherited;

OVERRIDE static bool fails(const char *function)
{
	if (!victim || strcmp(victim, function) || --countdown > 0 || (countdown && !stay))
		return false;
	hit = true;
	errno = injected;
	return true;
}

#define REAL(type, name, ...)             \
	static type (*real)(__VA_ARGS__); \
	if (!real)                        \
	real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

OVERRIDE int open(const char *path, int flags, ...)
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

OVERRIDE void *mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	REAL(void *, "mmap", void *, size_t, int, int, int, off_t);
	if (fails("mmap"))
		return MAP_FAILED;
	/* A file system with DAX, as far as anybody can tell. */
	if (play_dax && (flags & MAP_SYNC))
		flags = (flags & ~(MAP_SYNC | MAP_SHARED_VALIDATE)) | MAP_SHARED;
	return real(address, length, prot, flags, fd, offset);
}

OVERRIDE int fstat(int fd, struct stat *st)
{
	REAL(int, "fstat", int, struct stat *);
	return fails("fstat") ? -1 : real(fd, st);
}

OVERRIDE int stat(const char *path, struct stat *st)
{
	REAL(int, "stat", const char *, struct stat *);
	return fails("stat") ? -1 : real(path, st);
}

OVERRIDE int lstat(const char *path, struct stat *st)
{
	REAL(int, "lstat", const char *, struct stat *);
	return fails("lstat") ? -1 : real(path, st);
}

OVERRIDE int fstatfs(int fd, struct statfs *fs)
{
	int got;

	REAL(int, "fstatfs", int, struct statfs *);
	got = fails("fstatfs") ? -1 : real(fd, fs);
	if (!got && play_disk)
		fs->f_type = 0xef53;
	return got;
}

OVERRIDE int statfs(const char *path, struct statfs *fs)
{
	REAL(int, "statfs", const char *, struct statfs *);
	return fails("statfs") ? -1 : real(path, fs);
}

OVERRIDE int ftruncate(int fd, off_t length)
{
	REAL(int, "ftruncate", int, off_t);
	return fails("ftruncate") ? -1 : real(fd, length);
}

OVERRIDE int posix_fallocate(int fd, off_t offset, off_t length)
{
	REAL(int, "posix_fallocate", int, off_t, off_t);
	struct stat st;

	if (!fails("posix_fallocate"))
		return real(fd, offset, length);
	/* As far as it got: the size may have changed. */
	if (injected != EINTR && !fstat(fd, &st) && st.st_size < offset + length / 2 &&
	    syscall(SYS_ftruncate, fd, offset + length / 2))
		tap_bail("ftruncate: %s", strerror(errno));
	return injected;
}

OVERRIDE int fchmod(int fd, mode_t mode)
{
	REAL(int, "fchmod", int, mode_t);
	return fails("fchmod") ? -1 : real(fd, mode);
}

OVERRIDE int fchown(int fd, uid_t uid, gid_t gid)
{
	REAL(int, "fchown", int, uid_t, gid_t);
	return fails("fchown") ? -1 : real(fd, uid, gid);
}

OVERRIDE int fsync(int fd)
{
	struct stat st;

	REAL(int, "fsync", int);
	if (fails("fsync"))
		return -1;
	directory_syncs += !syscall(SYS_fstat, fd, &st) && S_ISDIR(st.st_mode);
	return real(fd);
}

OVERRIDE int syncfs(int fd)
{
	REAL(int, "syncfs", int);
	return fails("syncfs") ? -1 : real(fd);
}

OVERRIDE int msync(void *address, size_t length, int flags)
{
	REAL(int, "msync", void *, size_t, int);
	msyncs++;
	return fails("msync") ? -1 : real(address, length, flags);
}

OVERRIDE int munmap(void *address, size_t length)
{
	REAL(int, "munmap", void *, size_t);
	return fails("munmap") ? -1 : real(address, length);
}

OVERRIDE int unlink(const char *path)
{
	REAL(int, "unlink", const char *);
	return fails("unlink") ? -1 : real(path);
}

OVERRIDE int memfd_create(const char *name, unsigned int flags)
{
	REAL(int, "memfd_create", const char *, unsigned int);
	inherited += !(flags & MFD_CLOEXEC);
	return fails("memfd_create") ? -1 : real(name, flags);
}

OVERRIDE ssize_t read(int fd, void *buffer, size_t size)
{
	REAL(ssize_t, "read", int, void *, size_t);
	return fails("read") ? -1 : real(fd, buffer, size);
}

/*
 * Who plays the module, and returns an errno or 0. Without one every command succeeds, and every
 * answer is zero but a region's size.
 */
static int (*module_is)(int fd, unsigned long number, void *argument);

OVERRIDE int ioctl(int fd, unsigned long number, ...)
{
	void *argument;
	va_list ap;
	int err;

	va_start(ap, number);
	argument = va_arg(ap, void *);
	va_end(ap);
	if (fails("ioctl"))
		return -1;
	if (!module_is && number == HMEM_REGION_QUERY)
		((struct hmem_region_query *)argument)->bytes = 4096;
	err = module_is ? module_is(fd, number, argument) : 0;
	if (err)
		errno = err;
	return err ? -1 : 0;
}

OVERRIDE int scandir(const char *path, struct dirent ***entries, int (*filter)(const struct dirent *),
	    int (*compare)(const struct dirent **, const struct dirent **))
{
	REAL(int, "scandir", const char *, struct dirent ***, int (*)(const struct dirent *),
	     int (*)(const struct dirent **, const struct dirent **));
	return fails("scandir") ? -1 : real(path, entries, filter, compare);
}

/* The sanitizers have an allocator of their own, which is what has to fail then. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ALLOCATOR(name) __interceptor_##name
#else
#define ALLOCATOR(name) __libc_##name
#endif
void *ALLOCATOR(calloc)(size_t count, size_t size);
void *ALLOCATOR(malloc)(size_t size);
void *ALLOCATOR(realloc)(void *old, size_t size);
void ALLOCATOR(free)(void *block);

OVERRIDE static void *taken(void *block)
{
	if (block)
		__atomic_fetch_add(&blocks, 1, __ATOMIC_RELAXED);
	return block;
}

OVERRIDE void *calloc(size_t count, size_t size)
{
	return fails("alloc") ? NULL : taken(ALLOCATOR(calloc)(count, size));
}

OVERRIDE void *malloc(size_t size)
{
	return fails("alloc") ? NULL : taken(ALLOCATOR(malloc)(size));
}

OVERRIDE void *realloc(void *old, size_t size)
{
	void *block = fails("alloc") ? NULL : ALLOCATOR(realloc)(old, size);

	return old ? block : taken(block);
}

OVERRIDE void free(void *block)
{
	if (block)
		__atomic_fetch_sub(&blocks, 1, __ATOMIC_RELAXED);
	ALLOCATOR(free)(block);
}

/* That of a sanitizer would not pass by here. */
OVERRIDE char *strdup(const char *string)
{
	size_t bytes = strlen(string) + 1;
	char *copy = malloc(bytes);

	return copy ? memcpy(copy, string, bytes) : NULL;
}

/* What operations use, and whether those of now have no context to leave a sentence on. */
static struct hmem_ctx *ctx;
static bool wordless;

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

/* The library can do without it: the operation succeeds. */
#define HARMLESS 1
/* Without some of the calls only. */
#define SOME_HARMLESS 2

/*
 * Let each call of @function in @operation fail with @error. The result is the same
 * errno, or @instead where that is documented; 0 where the library can do without.
 * Return how many calls there were.
 */
__attribute__((unused)) static int inject(const char *what, int (*operation)(void),
					  const char *function, int error, int instead)
{
	int fds = count_lines("/proc/self/fd"), maps = count_lines("/proc/self/maps"), k;
	bool good = true;

	for (k = 1;; k++) {
		int result, expected = instead && instead != SOME_HARMLESS ? instead : -error;
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
		if (result != expected && !(instead > 0 && !result)) {
			tap_diag("%s number %d: %d, not %d (%s)", function, k, result, expected,
				 said);
			good = false;
		} else if (result && !wordless && !*said) {
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

#endif
