/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fixture of the kernel-contract tests: every program loads the module itself, and
 * unloads it at the end, so that it runs alone.
 *
 * What a test cannot go on without is a must_*(): it bails out, and pools and module are
 * still taken away, so that the next program starts clean.
 */
#ifndef SELFTESTS_GUEST_FIXTURE_H
#define SELFTESTS_GUEST_FIXTURE_H

#include "kmod.h"

#include <grp.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../tap.h"

/* The ordinary users of the guest image. */
#define USER_UID	1000
#define OTHER_UID	1001

/* Begin and end of a test program. */

/*
 * The module looks ten times a second whether the pages that the dead had pinned are free;
 * and the kernel takes its time over what they left, rings of io_uring for one, all the more
 * on an emulated CPU that others want as well.
 */
static inline int module_remove_soon(void)
{
	int rc;

	for (int tries = 0; (rc = module_remove()) && tries < 300; tries++)
		usleep(100000);
	return rc;
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
	rc = module_loaded() ? module_remove_soon() : 0;
	if (rc)
		tap_diag("hmem.ko cannot be unloaded after the test: %s", strerror(-rc));
	_exit(rc ? 1 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

/* Loads the module and opens its control device. */
static inline int must_begin(void)
{
	int rc, control;

	if (module_loaded() && module_remove_soon())
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

#endif
