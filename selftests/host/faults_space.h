/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults for tests of the memory model: all calls that can be made to fail, and what is looked at
 * after each: that the heap and the addresses of the process are as before, that a space which was
 * there before still gives blocks, and that one which was not made is not found.
 *
 * Overrides functions of libc: to be included once in a program.
 */
#ifndef SELFTESTS_HOST_FAULTS_SPACE_H
#define SELFTESTS_HOST_FAULTS_SPACE_H

#include <mntent.h>
#include <time.h>

#include "../sanitized.h"
#include "faults_memory.h"

#define MIB (1ull << 20)

/* The clock is this late: what is waited for does not come. */
static time_t late;

OVERRIDE int clock_gettime(clockid_t clock, struct timespec *now)
{
	int got = (int)syscall(SYS_clock_gettime, clock, now);

	now->tv_sec += late;
	return got;
}

OVERRIDE int madvise(void *address, size_t length, int advice)
{
	REAL(int, "madvise", void *, size_t, int);
	return fails("madvise") ? -1 : real(address, length, advice);
}

/* Giving a lock back does not fail. */
OVERRIDE int fcntl(int fd, int command, ...)
{
	va_list ap;
	void *arg;
	bool lock = command == F_OFD_SETLK;

	REAL(int, "fcntl", int, int, ...);
	va_start(ap, command);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (lock && ((struct flock *)arg)->l_type != F_UNLCK && fails("lock")) {
		late += injected == EAGAIN ? 1 : 0;
		return -1;
	}
	return !lock && fails("fcntl") ? -1 : real(fd, command, arg);
}

OVERRIDE DIR *opendir(const char *path)
{
	REAL(DIR *, "opendir", const char *);
	return fails("opendir") ? NULL : real(path);
}

OVERRIDE int openat(int fd, const char *path, int flags, ...)
{
	REAL(int, "openat", int, const char *, int, ...);
	inherited += !(flags & O_CLOEXEC);
	return fails("openat") ? -1 : real(fd, path, flags);
}

OVERRIDE ssize_t pread(int fd, void *buffer, size_t size, off_t offset)
{
	REAL(ssize_t, "pread", int, void *, size_t, off_t);
	return fails("pread") ? -1 : real(fd, buffer, size, offset);
}

OVERRIDE int statx(int fd, const char *path, int flags, unsigned int mask, struct statx *file)
{
	REAL(int, "statx", int, const char *, int, unsigned int, struct statx *);
	return fails("statx") ? -1 : real(fd, path, flags, mask, file);
}

OVERRIDE ssize_t readlinkat(int fd, const char *path, char *target, size_t size)
{
	REAL(ssize_t, "readlinkat", int, const char *, char *, size_t);
	return fails("readlinkat") ? -1 : real(fd, path, target, size);
}

OVERRIDE void *reallocarray(void *old, size_t count, size_t size)
{
	return fails("reallocarray") ? NULL : realloc(old, count * size);
}

OVERRIDE int pthread_key_create(pthread_key_t *key, void (*end)(void *))
{
	REAL(int, "pthread_key_create", pthread_key_t *, void (*)(void *));
	return fails("pthread_key_create") ? injected : real(key, end);
}

OVERRIDE int pthread_setspecific(pthread_key_t key, const void *value)
{
	REAL(int, "pthread_setspecific", pthread_key_t, const void *);
	return fails("pthread_setspecific") ? injected : real(key, value);
}

/* Two threads asked to be told of forks at the same instant. */
static bool told_twice;

/* What pthread_atfork() is, which is a part of each library. */
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
		      void *whose);
OVERRIDE int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
			       void *whose)
{
	REAL(int, "__register_atfork", void (*)(void), void (*)(void), void (*)(void), void *);
	if (fails("pthread_atfork"))
		return injected;
	if (told_twice)
		real(prepare, parent, child, whose);
	return real(prepare, parent, child, whose);
}

/* A file system with DAX, as far as mounts tell. */
static bool play_mounts;

OVERRIDE FILE *setmntent(const char *path, const char *mode)
{
	REAL(FILE *, "setmntent", const char *, const char *);
	static char buffer[BUFSIZ];
	FILE *file;

	if (fails("setmntent"))
		return NULL;
	file = real(play_mounts ? scratch_path("mounts") : path, mode);
	/* Without memory for one it would do without. */
	if (file)
		setvbuf(file, buffer, _IOFBF, sizeof(buffer));
	return file;
}

/* --- what was there before --------------------------------------------------------------- */

static struct hmem_space *old;
static struct hmem_interface *old_interface;
static char *old_block;

/* What is done now does not fail; returns whose turn it was. */
__attribute__((unused)) static const char *pause_faults(void)
{
	const char *whose = victim;

	victim = NULL;
	return whose;
}

/* It gives a block, which is another one, and takes it back. */
static bool gives_blocks(struct hmem_interface *interface, size_t bytes)
{
	char *block = hmem_malloc(interface, bytes);

	if (!block || block == old_block) {
		tap_diag("no block of %zu bytes: %s", bytes, strerror(errno));
		return false;
	}
	memset(block, 0x77, bytes);
	return !hmem_free(interface, block);
}

static void old_space(void)
{
	struct hmem_space_options of = HMEM_SPACE_OPTIONS_INIT;

	of.bytes = 64 * MIB;
	if (hmem_ctx_new(&ctx) || hmem_space_create(ctx, "old", &of, &old) ||
	    hmem_interface_create(old, NULL, &old_interface))
		tap_bail("%s", hmem_last_error(ctx));
	old_block = hmem_malloc(old_interface, 5000);
	if (!old_block)
		tap_bail("no block");
	memset(old_block, 0x5a, 5000);
}

static bool as_before(void)
{
	struct hmem_space_info info = { .size = sizeof(info) };
	struct hmem_space *found;

	if (hmem_space_get_info(old, &info) || info.interfaces != 1) {
		tap_diag("the old space has %llu interfaces", (unsigned long long)info.interfaces);
		return false;
	}
	for (int i = 0; i < 5000; i++)
		if (old_block[i] != 0x5a) {
			tap_diag("the old block has changed at %d", i);
			return false;
		}
	if (!gives_blocks(old_interface, 5000) || !gives_blocks(old_interface, MIB))
		return false;
	if (hmem_space_request(ctx, "old", &found) || found != old) {
		tap_diag("the old space is not found");
		return false;
	}
	hmem_space_unref(found);
	if (!hmem_space_request(ctx, "new", &found)) {
		tap_diag("the new space is still found");
		hmem_space_unref(found);
		return false;
	}
	return true;
}

/* Pages that the process has addresses for. */
static long pages(void)
{
	char text[64] = "";
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_read, fd, text, sizeof(text) - 1) < 0)
		tap_bail("no statm");
	close(fd);
	return atol(text);
}

/* Of spaces that stay for ever. */
__attribute__((unused)) static long pages_kept;

static int (*guarded)(void);

static int guard(void)
{
	char said[1024];
	int err = guarded();

	victim = NULL;
	snprintf(said, sizeof(said), "%s", hmem_last_error(ctx));
	if (!as_before())
		err = 4711;
	hmem_set_error(ctx, 0, "%s", said);
	return err;
}

/*
 * Each call of @function in @operation, as inject() has it, with all that is looked at. What is
 * made once and kept is there from two times without faults.
 */
__attribute__((unused)) static void each(const char *what, int (*operation)(void),
					 const char *function, int error, int instead)
{
	long had_blocks, had_pages, grown;

	if (operation() || operation()) {
		TAP_OK(false, "%s: works without faults: %s", what, hmem_last_error(ctx));
		return;
	}
	guarded = operation;
	had_blocks = blocks;
	pages_kept = 0;
	had_pages = pages();
	inject(what, guard, function, error, instead);
	grown = pages() - had_pages - pages_kept;
	/* The sanitizers' allocators take addresses as they like. */
	if (blocks != had_blocks || (grown && !SANITIZER))
		tap_diag("%ld blocks and %ld pages more", blocks - had_blocks, grown);
	TAP_OK(blocks == had_blocks && (!grown || SANITIZER), "%s: no memory is left by %s", what,
	       function);
}

__attribute__((unused)) static int all_done(void)
{
	TAP_OK(as_before(), "what was there before is there");
	TAP_EQ(hmem_free(old_interface, old_block), 0, "and is given back");
	hmem_interface_unref(old_interface);
	hmem_space_unref(old);
	hmem_ctx_unref(ctx);
	TAP_EQ(inherited, 0, "no descriptor is inherited across exec");
	return tap_done();
}

#endif
