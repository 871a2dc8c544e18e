/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module and its ioctls as they are, without libhmem, for the kernel-contract tests.
 *
 * Functions return 0 or a positive answer, or a negative errno.
 */
#ifndef SELFTESTS_GUEST_KMOD_H
#define SELFTESTS_GUEST_KMOD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <linux/hmem.h>

#define MIB		(1ULL << 20)
#define EXTENT		((uint64_t)HMEM_EXTENT_SIZE)
#define CONTROL		"/dev/hmem/control"

/* The module. */

static inline int module_load(void)
{
	const char *path = getenv("HMEM_KO") ? getenv("HMEM_KO") : "/root/hmem.ko";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return -errno;
	rc = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return rc;
}

static inline int module_unload(void)
{
	return syscall(SYS_delete_module, "hmem", O_NONBLOCK) ? -errno : 0;
}

static inline bool module_loaded(void)
{
	return access("/sys/module/hmem", F_OK) == 0;
}

/* Commands on /dev/hmem/control. */

static inline int hmem_ioctl(int fd, unsigned long command, void *argument)
{
	return ioctl(fd, command, argument) < 0 ? -errno : 0;
}

/* A name of 64 bytes or more arrives without an end. */
static inline void set_name(char *member, const char *name)
{
	size_t length = strlen(name);

	memcpy(member, name, length < HMEM_NAME_LEN ? length : HMEM_NAME_LEN);
}

static inline int pool_attach_ram(int control, const char *name, uint64_t bytes)
{
	struct hmem_pool_attach a = { .size = sizeof(a), .provider = HMEM_PROVIDER_RAM,
				      .bytes = bytes, .nid = -1 };

	set_name(a.name, name);
	return hmem_ioctl(control, HMEM_POOL_ATTACH, &a);
}

static inline int pool_attach_cxl(int control, const char *source, unsigned int flags,
				  struct hmem_pool_attach *answer)
{
	struct hmem_pool_attach a = { .size = sizeof(a), .provider = HMEM_PROVIDER_CXL,
				      .flags = flags, .nid = -1 };
	int rc;

	set_name(a.source, source);
	rc = hmem_ioctl(control, HMEM_POOL_ATTACH, &a);
	if (answer)
		*answer = a;
	return rc;
}

static inline int pool_detach(int control, const char *name)
{
	struct hmem_pool_detach d = { .size = sizeof(d) };

	set_name(d.name, name);
	return hmem_ioctl(control, HMEM_POOL_DETACH, &d);
}

/* @answer: what it said, also with an error; @ranges: where it names up to @room that are held */
static inline int pool_drain_naming(int control, const char *name, struct hmem_held_range *ranges,
				    unsigned int room, struct hmem_pool_drain *answer)
{
	*answer = (struct hmem_pool_drain){ .size = sizeof(*answer), .ranges = (uintptr_t)ranges,
					    .nr_ranges = room };
	set_name(answer->name, name);
	return hmem_ioctl(control, HMEM_POOL_DRAIN, answer);
}

/* @answer: what it said, also with an error; may be NULL */
static inline int pool_drain(int control, const char *name, unsigned int flags,
			     struct hmem_pool_drain *answer)
{
	struct hmem_pool_drain d = { .size = sizeof(d), .flags = flags };
	int rc;

	set_name(d.name, name);
	rc = hmem_ioctl(control, HMEM_POOL_DRAIN, &d);
	if (answer)
		*answer = d;
	return rc;
}

static inline int region_create_as(int control, const char *name, const char *pool, uint64_t bytes,
				   uid_t uid, gid_t gid, unsigned int mode)
{
	struct hmem_region_create c = { .size = sizeof(c), .bytes = bytes, .uid = uid,
					.gid = gid, .mode = mode };

	set_name(c.name, name);
	set_name(c.pool, pool);
	return hmem_ioctl(control, HMEM_REGION_CREATE, &c);
}

static inline int region_create(int control, const char *name, const char *pool, uint64_t bytes)
{
	return region_create_as(control, name, pool, bytes, 0, 0, 0600);
}

/* A region over several pools; @flags: HMEM_CREATE_*. Without names the module chooses. */
static inline int region_create_over(int control, const char *name, unsigned int flags,
				     const char *const pools[], unsigned int nr_pools,
				     uint64_t bytes)
{
	char names[HMEM_REGION_POOLS + 1][HMEM_NAME_LEN] = {};
	struct hmem_region_create c = { .size = sizeof(c), .flags = flags, .bytes = bytes,
					.mode = 0600, .nr_pools = nr_pools,
					.pools = nr_pools ? (uintptr_t)names : 0 };

	for (unsigned int i = 0; i < nr_pools && i <= HMEM_REGION_POOLS; i++)
		set_name(names[i], pools[i]);
	set_name(c.name, name);
	return hmem_ioctl(control, HMEM_REGION_CREATE, &c);
}

static inline int region_resize(int control, const char *name, uint64_t bytes)
{
	struct hmem_region_resize r = { .size = sizeof(r), .bytes = bytes };

	set_name(r.name, name);
	return hmem_ioctl(control, HMEM_REGION_RESIZE, &r);
}

static inline int region_destroy(int control, const char *name)
{
	struct hmem_region_destroy d = { .size = sizeof(d) };

	set_name(d.name, name);
	return hmem_ioctl(control, HMEM_REGION_DESTROY, &d);
}

/* Regions. */

static inline int region_open(const char *name, int flags)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "/dev/hmem/%s", name);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static inline int region_info(int fd, struct hmem_region_query *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	return hmem_ioctl(fd, HMEM_REGION_QUERY, info);
}

static inline uint64_t region_faults(int fd)
{
	struct hmem_region_query info;

	return region_info(fd, &info) ? UINT64_MAX : info.faults;
}

/* What sysfs says; -1 when it says nothing. */
static inline int64_t sysfs_number(const char *class, const char *name, const char *attribute)
{
	char path[PATH_MAX];
	long long value;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/%s/%s/%s", class, name, attribute);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fscanf(f, "%lld", &value) != 1)
		value = -1;
	fclose(f);
	return value;
}

/* The same for a line of text, "" when there is none. */
static inline const char *sysfs_text(const char *class, const char *name, const char *attribute)
{
	static char text[4096];
	char path[PATH_MAX];
	FILE *f;

	text[0] = 0;
	snprintf(path, sizeof(path), "/sys/class/%s/%s/%s", class, name, attribute);
	f = fopen(path, "re");
	if (!f)
		return text;
	if (fgets(text, sizeof(text), f))
		text[strcspn(text, "\n")] = 0;
	fclose(f);
	return text;
}

static inline int64_t pool_free(const char *pool)
{
	return sysfs_number("hmem_pool", pool, "free");
}

/* The names in a directory of class devices, up to @max; returns how many there are. */
static inline int class_names(const char *class, char (*names)[HMEM_NAME_LEN], int max)
{
	char path[PATH_MAX];
	struct dirent *entry;
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/%s", class);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "control"))
			continue;
		if (count < max)
			snprintf(names[count], HMEM_NAME_LEN, "%.63s", entry->d_name);
		count++;
	}
	closedir(dir);
	return count;
}

/* Takes every region and pool away. What is still in use stays. */
static inline void sweep(int control)
{
	char names[64][HMEM_NAME_LEN];
	int left, before;

	for (left = class_names("hmem", names, 64), before = left + 1; left && left < before;
	     before = left, left = class_names("hmem", names, 64)) {
		for (int i = 0; i < left && i < 64; i++)
			region_destroy(control, names[i]);
	}
	left = class_names("hmem_pool", names, 64);
	for (int i = 0; i < left && i < 64; i++)
		pool_detach(control, names[i]);
}

static inline int control_open(void)
{
	int fd = open(CONTROL, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int module_remove(void)
{
	int control = control_open();

	if (control >= 0) {
		sweep(control);
		close(control);
	}
	return module_unload();
}

static inline bool all_bytes(const volatile char *p, size_t length, char value)
{
	for (size_t i = 0; i < length; i++)
		if (p[i] != value)
			return false;
	return true;
}

/* One byte in each 4 KiB page: enough to see whose memory it is, cheap under emulation. */
static inline bool pages_hold(const volatile char *p, size_t length, char value)
{
	for (size_t i = 0; i < length; i += 4096)
		if (p[i] != value)
			return false;
	return true;
}

/* Touching memory that may not be there. */

static __thread sigjmp_buf touch_return;
static __thread volatile sig_atomic_t touch_armed;

static inline void touch_signal(int signal)
{
	if (!touch_armed) {
		struct sigaction plain = { .sa_handler = SIG_DFL };

		sigaction(signal, &plain, NULL);
		return;
	}
	siglongjmp(touch_return, signal);
}

static inline void touch_catch(void)
{
	struct sigaction action = { .sa_handler = touch_signal };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

/* 0, or the signal that reading (or writing) one byte raised. Call touch_catch() first. */
static inline int touch_read(const volatile char *p)
{
	int signal = sigsetjmp(touch_return, 1);

	if (!signal) {
		touch_armed = 1;
		(void)*p;
	}
	touch_armed = 0;
	return signal;
}

static inline int touch_write(volatile char *p, char value)
{
	int signal = sigsetjmp(touch_return, 1);

	if (!signal) {
		touch_armed = 1;
		*p = value;
	}
	touch_armed = 0;
	return signal;
}

#endif
