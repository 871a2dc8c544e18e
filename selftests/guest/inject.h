/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making calls fail: hm_inject.ko (inject/hm_inject.c has the words), for tests in C.
 */
#ifndef SELFTESTS_GUEST_INJECT_H
#define SELFTESTS_GUEST_INJECT_H

#include "pools.h"

#define INJECT_KO	"/root/selftests/guest/hm_inject.ko"
#define INJECT_FAULT	"/sys/module/hm_inject/parameters/fault"

/* Opened once: what the kernel frees after each opening would look like a leak for a while. */
static int inject_file = -1;

static inline int inject_write(const char *text)
{
	if (inject_file < 0)
		inject_file = open(INJECT_FAULT, O_RDWR | O_CLOEXEC);
	return pwrite(inject_file, text, strlen(text), 0) < 0 ? -errno : 0;
}

/* One more fault. Bails out when no kprobe can sit on the function. */
__attribute__((format(printf, 1, 2)))
static inline void inject(const char *format, ...)
{
	char text[256];
	va_list arguments;
	int rc;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	rc = inject_write(text);
	if (rc)
		tap_bail("fault \"%s\": %s", text, strerror(-rc));
}

/* How many calls of a function were concerned up to now. */
static inline int inject_look(const char *function)
{
	int calls, concerned, found = -1, used;
	unsigned long missed;
	char text[4096], name[64];
	ssize_t length = pread(inject_file, text, sizeof(text) - 1, 0);

	text[length < 0 ? 0 : length] = 0;
	for (const char *line = text;
	     sscanf(line, "%63s %d %d %lu\n%n", name, &calls, &concerned, &missed, &used) == 4;
	     line += used) {
		if (strcmp(name, function))
			continue;
		found = concerned;
		if (missed)
			tap_diag("the kprobe on %s missed %lu calls", name, missed);
	}
	if (found < 0)
		tap_bail("no fault in %s", function);
	return found;
}

/* Ends every fault; returns how many calls of @function were concerned. */
static inline int inject_end(const char *function)
{
	int concerned = inject_look(function);

	inject("\n");
	return concerned;
}

/* Until a call was concerned, for faults with a delay in another thread. */
static inline void inject_wait(const char *function)
{
	while (!inject_look(function))
		usleep(1000);
}

/*
 * How long a call is delayed at most: it ends with inject_go(). The kernel finds that a CPU hangs
 * after 30 s.
 */
#define INJECT_MOMENT_MS	20000

/* What is delayed goes on. */
static inline void inject_go(void)
{
	inject("go\n");
}

/*
 * Like must_begin_cxl(), with hm_inject.ko loaded before it, and unloaded after everything
 * else is gone, however the test ends.
 */
static inline int must_begin_inject(void)
{
	int fd = open(INJECT_KO, O_RDONLY | O_CLOEXEC), status;
	pid_t pid;

	/* It learns where hmem.ko is when that is loaded. */
	if (module_loaded() && module_remove_soon())
		tap_bail("hmem is loaded and in use; this test loads it itself");
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
		tap_bail("cannot load " INJECT_KO ": %s", strerror(errno));
	close(fd);
	inject("\n");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (pid) {
		while (waitpid(pid, &status, 0) < 0)
			;
		if (syscall(SYS_delete_module, "hm_inject", O_NONBLOCK))
			tap_diag("hm_inject.ko cannot be unloaded: %s", strerror(errno));
		_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return must_begin_cxl();
}

#endif
