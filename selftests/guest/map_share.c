// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared mappings are shared: between mappings, processes and users, for stores, atomics,
 * futexes and mutexes.
 *
 * hmem-test: topology=mixed kernels=lts,newest
 */
#include "pools.h"

#include <linux/futex.h>
#include <pthread.h>

#define LENGTH		(8 * EXTENT)
#define INCREMENTS	20000

static const char *kind;

static long futex(volatile uint32_t *word, int operation, uint32_t value)
{
	struct timespec limit = { .tv_sec = 30 };

	return syscall(SYS_futex, word, operation, value, &limit, NULL, 0);
}

/* Waits for *@word to become @value; false after half a minute. */
static bool await(volatile uint32_t *word, uint32_t value)
{
	time_t end = time(NULL) + 30;

	while (*word != value) {
		if (time(NULL) > end)
			return false;
		sched_yield();
	}
	return true;
}

/* The region at an address that the parent does not use. */
static char *map_elsewhere(const char *parents)
{
	int fd = region_open("m", O_RDWR);
	char *p = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	return p == MAP_FAILED || p == parents ? NULL : p;
}

static int other_user(void *argument)
{
	char *p = map_elsewhere(argument);

	if (!p)
		return 1;
	if (p[5 * EXTENT + 77] != 'p')
		return 2;
	p[6 * EXTENT + 78] = 'c';
	return 0;
}

static int wait_on_futex(void *argument)
{
	char *p = map_elsewhere(argument);
	volatile uint32_t *word;

	if (!p)
		return 1;
	word = (uint32_t *)(p + 3 * EXTENT + 64);
	word[1] = 1;
	if (futex(word, FUTEX_WAIT, 0))
		return 2;
	return word[2] != 4711;
}

static int die_with_mutex(void *argument)
{
	char *p = map_elsewhere(argument);

	if (!p)
		return 1;
	return pthread_mutex_lock((pthread_mutex_t *)(p + EXTENT)) != 0;
}

static int count(void *argument)
{
	char *p = map_elsewhere(argument);

	if (!p)
		return 1;
	for (int i = 0; i < INCREMENTS; i++)
		__atomic_add_fetch((uint64_t *)(p + 2 * EXTENT), 1, __ATOMIC_RELAXED);
	return 0;
}

static pid_t start(int (*function)(void *), void *argument)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(function(argument));
	return pid;
}

static int finish(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void futexes(char *p)
{
	volatile uint32_t *word = (uint32_t *)(p + 3 * EXTENT + 64);
	pid_t pid = start(wait_on_futex, p);
	time_t end = time(NULL) + 30;
	long woken;

	TAP_OK(await(&word[1], 1), "%s: another process maps it at another address", kind);
	word[2] = 4711;
	do {
		woken = futex(word, FUTEX_WAKE, 1);
	} while (!woken && time(NULL) < end);
	TAP_EQ(woken, 1, "%s: FUTEX_WAKE finds the waiter in the other process", kind);
	TAP_EQ(finish(pid), 0, "%s: which wakes up and sees what was stored before", kind);
}

static void robust_mutex(char *p)
{
	pthread_mutex_t *mutex = (pthread_mutex_t *)(p + EXTENT);
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(mutex, &attributes);
	TAP_EQ(finish(start(die_with_mutex, p)), 0, "%s: a process dies with a mutex held", kind);
	TAP_EQ(pthread_mutex_lock(mutex), EOWNERDEAD, "%s: the next owner is told", kind);
	TAP_OK(!pthread_mutex_consistent(mutex) && !pthread_mutex_unlock(mutex) &&
	       !pthread_mutex_lock(mutex) && !pthread_mutex_unlock(mutex),
	       "%s: and the mutex is good again", kind);
}

static void forks(char *p)
{
	volatile char *shared = p;
	int to_child[2], to_parent[2];
	char byte = 0;
	pid_t pid;

	shared[100] = 'a';
	if (pipe(to_child) || pipe(to_parent))
		tap_bail("pipe: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		bool seen = shared[100] == 'a' && !shared[7 * EXTENT];

		shared[101] = 'b';
		if (write(to_parent[1], &byte, 1) != 1 || read(to_child[0], &byte, 1) != 1)
			_exit(2);
		_exit(!seen || shared[102] != 'c' || shared[7 * EXTENT] != 'd');
	}
	if (read(to_parent[0], &byte, 1) != 1)
		tap_bail("the child does not answer");
	TAP_EQ(shared[101], 'b', "%s: the parent sees what the child has stored", kind);
	shared[102] = 'c';
	shared[7 * EXTENT] = 'd';
	if (write(to_child[1], &byte, 1) != 1)
		tap_bail("the child is gone");
	TAP_EQ(finish(pid), 0, "%s: and the child what the parent has, before and after fork",
	       kind);
	for (int i = 0; i < 2; i++) {
		close(to_child[i]);
		close(to_parent[i]);
	}
}

static void checks(int control, const struct pool *pool)
{
	pid_t pids[4];
	char *p, *q;
	int fd;

	kind = pool->kind;
	must(region_create_as(control, "m", pool->name, LENGTH, USER_UID, USER_UID, 0600),
	     "create");
	fd = must_open("m", O_RDWR);
	p = must_map(fd, LENGTH);
	q = must_map(fd, LENGTH);
	close(fd);
	TAP_OK(pages_hold(p, LENGTH, 0), "%s: zero on first use", kind);
	for (uint64_t i = 0; i < LENGTH; i += 65536)
		p[i] = 1 + i / EXTENT;
	bool same = true;

	for (uint64_t i = 0; i < LENGTH; i += 65536)
		same = same && q[i] == (char)(1 + i / EXTENT);
	TAP_OK(same, "%s: two mappings of one region are one memory", kind);
	memset(p, 0, LENGTH);
	munmap(q, LENGTH);

	p[5 * EXTENT + 77] = 'p';
	TAP_EQ(run_as(USER_UID, other_user, p), 0, "%s: another process, of its owner's", kind);
	TAP_EQ(p[6 * EXTENT + 78], 'c', "%s: left its store", kind);
	TAP_EQ(run_as(OTHER_UID, other_user, p), 1, "%s: another user has no access", kind);

	forks(p);
	futexes(p);
	robust_mutex(p);

	for (int i = 0; i < 4; i++)
		pids[i] = start(count, p);
	int failed = 0;

	for (int i = 0; i < 4; i++)
		failed += finish(pids[i]) != 0;
	TAP_OK(!failed && *(uint64_t *)(p + 2 * EXTENT) == 4 * INCREMENTS,
	       "%s: four processes' atomic increments are all there", kind);
	munmap(p, LENGTH);
	TAP_EQ(region_destroy(control, "m"), 0, "%s: destroy", kind);
}

int main(void)
{
	on_every_pool(must_begin_cxl(), 64 * MIB, checks);
	return tap_done();
}
