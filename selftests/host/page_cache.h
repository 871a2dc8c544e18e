/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page cache of a file in a model, for programs that use the library: what is on the file's
 * media, and which of its pages are dirty.
 *
 * The file is on tmpfs, and pretends to be on a disk. Its pages are mapped without write
 * permission, so that the first store to one is seen, also of what it holds already. msync(2)
 * makes dirty pages clean and copies them to the media. One that fails makes them clean and does
 * not, as in Linux: they stay away from the media until somebody stores to them again. Only its
 * caller is told, and nothing gets to the media by itself.
 *
 * Processes store one at a time. Who has waited while others did calls cache_watch() then.
 *
 * Overrides functions of libc: to be included once in a program.
 */
#ifndef SELFTESTS_HOST_PAGE_CACHE_H
#define SELFTESTS_HOST_PAGE_CACHE_H

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tap.h"

#define CACHE_PAGE	4096u
#define CACHE_BYTES	((size_t)8 << 20)
#define CACHE_PART	32u	/* bytes, see @torn */

/* With which a process ends in which the power goes, or that dies. */
#define CACHE_DIED	200

/* Shared by all processes. @boot: which one it is; @failed: a msync(2) has, since it was cleared */
static struct cache {
	unsigned char media[CACHE_BYTES];
	bool dirty[CACHE_BYTES / CACHE_PAGE];
	unsigned int boot;
	bool failed;
} *cache;

/*
 * Which msync(2) fails of a process that @cache_fails, and in which it dies if it @cache_dies;
 * counted from when it does. @torn: the first CACHE_PART bytes of the pages arrive then
 */
static struct {
	unsigned int fail, die;
	bool torn;
} cache_fault;

static bool cache_fails, cache_dies;
static bool (*cache_dies_when)(void);
static unsigned int cache_calls;

static struct cache_mapping {
	unsigned char *at;
	size_t bytes;
	off_t offset;
} cache_mappings[64];
static unsigned int cache_nr_mappings;

/* Some are called before a sanitizer is ready to hear of it. */
#define OVERRIDE __attribute__((no_sanitize("address", "thread")))
#define REAL(type, name, ...) \
	type (*real)(__VA_ARGS__) = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* --- which pages are dirty ----------------------------------------------------------- */

OVERRIDE static void cache_watch(void)
{
	for (unsigned int i = 0; i < cache_nr_mappings; i++)
		mprotect(cache_mappings[i].at, cache_mappings[i].bytes, PROT_READ);
}

/* The page of the file, or -1. */
OVERRIDE static long cache_page(const unsigned char *at)
{
	for (unsigned int i = 0; i < cache_nr_mappings; i++) {
		const struct cache_mapping *mapping = &cache_mappings[i];

		if (at >= mapping->at && at < mapping->at + mapping->bytes)
			return (mapping->offset + (at - mapping->at)) / CACHE_PAGE;
	}
	return -1;
}

OVERRIDE static void cache_on_store(int number, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr & ~(uintptr_t)(CACHE_PAGE - 1);
	long page = cache_page((unsigned char *)at);

	(void)context;
	if (page < 0 || mprotect((void *)at, CACHE_PAGE, PROT_READ | PROT_WRITE))
		signal(number, SIG_DFL);
	else
		cache->dirty[page] = true;
}

/* So much of each page gets to the media if it is dirty, which it may still be then. */
static void cache_write(unsigned char *from, size_t length, size_t arrives, bool dirty)
{
	for (unsigned char *at = from; at < from + length; at += CACHE_PAGE) {
		long page = cache_page(at);

		if (page < 0)
			abort();
		if (cache->dirty[page])
			memcpy(cache->media + page * CACHE_PAGE, at, arrives);
		cache->dirty[page] &= dirty;
	}
	cache_watch();
}

int msync(void *address, size_t length, int flags)
{
	size_t part = cache_fault.torn ? CACHE_PART : 0;

	(void)flags;
	cache_calls += cache_fails || cache_dies;
	if (cache_dies && cache_calls == cache_fault.die) {
		cache_write(address, length, part, true);
		_exit(CACHE_DIED);
	}
	if (cache_fails && cache_calls == cache_fault.fail) {
		cache_write(address, length, part, false);
		cache->failed = true;
		errno = EIO;
		return -1;
	}
	cache_write(address, length, CACHE_PAGE, false);
	if (cache_dies_when && cache_dies_when())
		_exit(CACHE_DIED);
	return 0;
}

/* --- what is mapped ------------------------------------------------------------------ */

OVERRIDE static void cache_forget(const unsigned char *at, size_t bytes)
{
	for (unsigned int i = cache_nr_mappings; i--;)
		if (cache_mappings[i].at >= at && cache_mappings[i].at < at + bytes)
			cache_mappings[i] = cache_mappings[--cache_nr_mappings];
}

OVERRIDE void *mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	REAL(void *, "mmap", void *, size_t, int, int, int, off_t);
	void *at = real(address, length, prot, flags, fd, offset);

	if (!cache || at == MAP_FAILED)
		return at;
	cache_forget(at, length);
	if (fd < 0 || !(flags & MAP_SHARED) || !(prot & PROT_WRITE))
		return at;
	if (cache_nr_mappings == sizeof(cache_mappings) / sizeof(cache_mappings[0]))
		abort();
	cache_mappings[cache_nr_mappings++] = (struct cache_mapping){ at, length, offset };
	cache_watch();
	return at;
}

OVERRIDE int munmap(void *address, size_t length)
{
	REAL(int, "munmap", void *, size_t);
	cache_forget(address, length);
	return real(address, length);
}

/* --- a disk, and a boot -------------------------------------------------------------- */

OVERRIDE int fstatfs(int fd, struct statfs *fs)
{
	REAL(int, "fstatfs", int, struct statfs *);
	int got = real(fd, fs);

	fs->f_type = 0xef53;
	return got;
}

OVERRIDE int open(const char *path, int flags, ...)
{
	REAL(int, "open", const char *, int, ...);
	va_list ap;
	mode_t mode;
	int fd;

	va_start(ap, flags);
	mode = flags & O_CREAT ? (mode_t)va_arg(ap, int) : 0;
	va_end(ap);
	if (!cache || strcmp(path, "/proc/sys/kernel/random/boot_id") != 0)
		return real(path, flags, mode);
	fd = memfd_create("boot_id", MFD_CLOEXEC);
	dprintf(fd, "%032x\n", cache->boot);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void cache_begin(void)
{
	struct sigaction seen = { .sa_sigaction = cache_on_store, .sa_flags = SA_SIGINFO };

	if (sysconf(_SC_PAGESIZE) != CACHE_PAGE)
		tap_skip_all("what a page holds of a shelf is known for those of 4 KiB");
	cache = mmap(NULL, sizeof(*cache), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	if (cache == MAP_FAILED || sigaction(SIGSEGV, &seen, NULL))
		tap_bail("a cache: %s", strerror(errno));
}

/* The power goes, when no process has it open: what is on the media is what is there. */
static void cache_lose(int fd)
{
	if (pwrite(fd, cache->media, CACHE_BYTES, 0) != (ssize_t)CACHE_BYTES)
		tap_bail("writing a file: %s", strerror(errno));
	memset(cache->dirty, 0, sizeof(cache->dirty));
	cache->boot++;
}

#endif
