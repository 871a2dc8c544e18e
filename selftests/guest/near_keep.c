// SPDX-License-Identifier: GPL-2.0-only
/*
 * What HMEM_REGION_PIN keeps stays where it is, whoever else wants it moved, and for as long as
 * was asked for.
 *
 * hmem-test: topology=mixed kernels=lts,newest
 */
#include "pools.h"
#include "near.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>

#define EXTENTS		6
#define LENGTH		(EXTENTS * EXTENT)
#define PAGES		(EXTENT / 4096)

static const char *kind;

static void kept(int control, const struct pool *pool)
{
	struct hmem_pin wrong = { .size = sizeof(wrong), .flags = HMEM_PIN_RELEASE,
				  .place = HMEM_NEAR };
	struct hmem_migrate m;
	struct iovec iov;
	uint64_t next;
	int fd, reader, fds[2];
	char *p;

	kind = pool->kind;
	must(region_create(control, "kept", pool->name, LENGTH), "create");
	fd = must_open("kept", O_RDWR);
	must(near_max_set(fd, 3 * EXTENT), "near_max");
	p = must_map(fd, LENGTH);
	p[4 * EXTENT] = 4;

	TAP_EQ(keep_extents(fd, 1, 2, HMEM_NEAR, &next), 0, "%s: two are kept near", kind);
	TAP_OK(next == 3 && near_stats(fd).near == 2 * EXTENT &&
	       sysfs_number("hmem", "kept", "extents_used") == 3,
	       "%s: which touches them", kind);
	must(migrate(fd, 0, 0, HMEM_HOME, &m), "migrate");
	TAP_OK(m.pages[HMEM_MOVED_KEPT] == 2 * PAGES && near_stats(fd).near == 2 * EXTENT,
	       "%s: nobody moves them home", kind);
	must(near_max_set(fd, EXTENT), "near_max");
	TAP_EQ(near_stats(fd).near, 2 * EXTENT, "%s: nor does a lower bound", kind);
	TAP_EQ(keep_extents(fd, 3, 1, HMEM_NEAR, &next), -EDQUOT, "%s: no more than that", kind);
	TAP_EQ(next, 3, "%s: and it says how far it came", kind);
	must(near_max_set(fd, 3 * EXTENT), "near_max");
	TAP_EQ(keep_extents(fd, 3, 3, HMEM_NEAR, &next), -EDQUOT, "%s: one of three", kind);
	TAP_EQ(next, 4, "%s: is kept then", kind);

	TAP_EQ(keep_extents(fd, 4, 1, HMEM_HOME, NULL), 0, "%s: one is kept at home", kind);
	TAP_EQ(release_extents(fd, 1, 3), 0, "%s: the others are let go", kind);
	TAP_EQ(move_extents(fd, 0, EXTENTS, HMEM_HOME), 3, "%s: and move", kind);
	must(migrate(fd, 4 * EXTENT, EXTENT, HMEM_NEAR, &m), "migrate");
	TAP_OK(m.pages[HMEM_MOVED_KEPT] == PAGES && !near_stats(fd).near, "%s: it does not", kind);
	TAP_EQ(keep_extents(fd, 4, 1, HMEM_NEAR, NULL), 0, "%s: but is kept near instead", kind);
	TAP_OK(near_stats(fd).near == EXTENT && p[4 * EXTENT] == 4, "%s: with its data", kind);
	TAP_EQ(region_resize(control, "kept", 2 * EXTENT), 0, "%s: it is cut off all the same", kind);
	TAP_EQ(near_stats(fd).near, 0, "%s: and given back", kind);
	TAP_EQ(region_resize(control, "kept", LENGTH), 0, "%s: what comes again", kind);
	p[4 * EXTENT] = 5;
	TAP_EQ(move_extents(fd, 4, 1, HMEM_NEAR), 1, "%s: is kept nowhere", kind);
	TAP_EQ(move_extents(fd, 4, 1, HMEM_HOME), 1, "%s: neither near nor at home", kind);

	iov = (struct iovec){ p + 4 * EXTENT, 4096 };
	if (pipe(fds) || vmsplice(fds[1], &iov, 1, 0) != 4096)
		tap_bail("vmsplice: %s", strerror(errno));
	TAP_EQ(keep_extents(fd, 4, 1, HMEM_NEAR, NULL), -EBUSY, "%s: pages in a pipe do not move",
	       kind);
	close(fds[0]);
	close(fds[1]);
	TAP_EQ(move_extents(fd, 4, 1, HMEM_NEAR), 1, "%s: and were not kept", kind);
	TAP_EQ(keep_extents(fd, EXTENTS, 1, HMEM_NEAR, NULL), -ERANGE, "%s: beyond the end", kind);
	TAP_EQ(hmem_ioctl(fd, HMEM_REGION_PIN, &wrong), -EINVAL, "%s: released to nowhere", kind);
	reader = must_open("kept", O_RDONLY);
	TAP_EQ(keep_extents(reader, 0, 1, HMEM_NEAR, NULL), -EACCES, "%s: open for reading", kind);
	close(reader);
	munmap(p, LENGTH);
	close(fd);
	must(region_destroy(control, "kept"), "destroy");
}

static void nothing(int signal)
{
	(void)signal;
}

/* A signal every millisecond, which is less than it takes to touch and copy all extents. */
static void signals(int control, const struct pool *pool)
{
	struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	struct itimerval often = { { .tv_usec = 1000 }, { .tv_usec = 1000 } }, never = {};
	uint64_t next;
	int fd;

	kind = pool->kind;
	must(region_create(control, "kept", pool->name, LENGTH), "create");
	fd = must_open("kept", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	TAP_EQ(keep_extents(fd, 0, EXTENTS, HMEM_NEAR, &next), 0, "%s: signals do not end it", kind);
	TAP_EQ(next, EXTENTS, "%s: nor cut it short", kind);
	setitimer(ITIMER_REAL, &never, NULL);
	close(fd);
	must(region_destroy(control, "kept"), "destroy");
}

static const struct request {
	const char *what;
	unsigned int flags;
} requests[] = { { "kept", 0 }, { "let go", HMEM_PIN_RELEASE } };

/* Its parent stops it at each system call. */
static void ask_for_all(int fd, const struct request *request)
{
	struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	struct hmem_pin p = { .size = sizeof(p), .flags = request->flags,
			      .place = request->flags ? HMEM_HOME : HMEM_NEAR };

	sigaction(SIGALRM, &action, NULL);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) || raise(SIGSTOP))
		_exit(2);
	_exit(hmem_ioctl(fd, HMEM_REGION_PIN, &p) || p.next != LENGTH);
}

/* How often its ioctl(2) begins when each time, at first, a signal is there before it does. */
static unsigned int beginnings(pid_t child, unsigned int most, int *status)
{
	struct __ptrace_syscall_info call;
	unsigned int begun = 0;
	int sig = 0;

	if (child < 0 || waitpid(child, status, 0) != child || !WIFSTOPPED(*status) ||
	    ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD))
		tap_bail("ptrace: %s", strerror(errno));
	while (!ptrace(PTRACE_SYSCALL, child, NULL, sig) && waitpid(child, status, 0) == child &&
	       WIFSTOPPED(*status)) {
		sig = WSTOPSIG(*status);
		if (sig != (SIGTRAP | 0x80))
			continue;
		sig = 0;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(call), &call) > 0 &&
		    call.op == PTRACE_SYSCALL_INFO_ENTRY && call.entry.nr == __NR_ioctl &&
		    ++begun <= most)
			kill(child, SIGALRM);
	}
	return begun;
}

/* However many signals come: each time that it begins anew it gets farther. */
static void always_signals(int control, const struct pool *pool)
{
	int fd, status;
	pid_t child;

	kind = pool->kind;
	must(region_create(control, "kept", pool->name, LENGTH), "create");
	fd = must_open("kept", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	for (unsigned int i = 0; i < 2; i++) {
		fflush(stdout);
		child = fork();
		if (!child)
			ask_for_all(fd, &requests[i]);
		TAP_EQ(beginnings(child, 4 * EXTENTS, &status), EXTENTS,
		       "%s: with each signal one more is %s", kind, requests[i].what);
		TAP_EQ(status, 0, "%s: and in the end all are", kind);
	}
	close(fd);
	must(region_destroy(control, "kept"), "destroy");
}

int main(void)
{
	int control = must_begin_cxl();

	on_every_pool(control, 32 * MIB, kept);
	on_every_pool(control, 32 * MIB, signals);
	on_every_pool(control, 32 * MIB, always_signals);
	return tap_done();
}
