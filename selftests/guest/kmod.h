/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fixture of the kernel-contract tests: raw ioctls on a module that the test
 * loads itself and unloads at the end, so that every program runs alone.
 *
 * Functions return 0 or a positive answer, or a negative errno. What a test cannot
 * go on without is a must_*(): it bails out, and pools and module are still taken
 * away, so that the next program starts clean.
 */
#ifndef SELFTESTS_GUEST_KMOD_H
#define SELFTESTS_GUEST_KMOD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
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
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/hmem.h>

#include "../tap.h"

#define MIB		(1ULL << 20)
#define EXTENT		((uint64_t)HMEM_EXTENT_SIZE)
#define CONTROL		"/dev/hmem/control"

/* The ordinary users of the guest image. */
#define USER_UID	1000
#define OTHER_UID	1001

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

static inline int region_info(int fd, struct hmem_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	return hmem_ioctl(fd, HMEM_REGION_INFO, info);
}

static inline uint64_t region_faults(int fd)
{
	struct hmem_region_info info;

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

/* Begin and end of a test program. */

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

/*
 * Splits off a child that goes on as the test; the parent takes regions, pools and the
 * module away when it has ended, however it ended and whatever it had mapped.
 */
static inline void fixture_guard(void)
{
	int status, rc;
	pid_t pid;

	fflush(stdout);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return;
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	kill(-pid, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	rc = module_loaded() ? module_remove() : 0;
	if (rc)
		tap_diag("hmem.ko cannot be unloaded after the test: %s", strerror(-rc));
	_exit(rc ? 1 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

/* Loads the module and opens its control device. */
static inline int must_begin(void)
{
	int rc, control;

	if (module_loaded() && module_remove())
		tap_bail("hmem is loaded and in use; this test loads it itself");
	fixture_guard();
	rc = module_load();
	if (rc)
		tap_bail("cannot load hmem.ko: %s", strerror(-rc));
	control = control_open();
	if (control < 0)
		tap_bail("%s: %s", CONTROL, strerror(-control));
	return control;
}

static inline void must(int rc, const char *what)
{
	if (rc < 0)
		tap_bail("%s: %s", what, strerror(-rc));
}

static inline int must_open(const char *name, int flags)
{
	int fd = region_open(name, flags);

	if (fd < 0)
		tap_bail("/dev/hmem/%s: %s", name, strerror(-fd));
	return fd;
}

/* Maps all of [0, length) shared, as the core aligns it. */
static inline char *must_map(int fd, size_t length)
{
	char *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		tap_bail("mmap of %zu bytes: %s", length, strerror(errno));
	return p;
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

/* Other processes. */

/* Runs @function in a child, as user @uid; returns what it returned (0..100), or 128 + signal. */
static inline int run_as(uid_t uid, int (*function)(void *), void *argument)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid) {
		if (uid && (setgroups(0, NULL) || setgid(uid) || setuid(uid)))
			_exit(101);
		_exit(function(argument));
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			tap_bail("waitpid: %s", strerror(errno));
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
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

/* What the kernel has logged since log_mark(). */
static inline int log_mark(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		tap_bail("/dev/kmsg: %s", strerror(errno));
	lseek(fd, 0, SEEK_END);
	return fd;
}

static inline bool log_contains(int fd, const char *text)
{
	char record[8192];
	bool found = false;
	ssize_t n;

	while ((n = read(fd, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		record[n] = 0;
		if (strstr(record, text))
			found = true;
	}
	return found;
}

#endif
