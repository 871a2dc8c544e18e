// SPDX-License-Identifier: GPL-2.0-only
/*
 * Near pages in a locked mapping: the core holds references to them in batches of each CPU, and
 * gives them back late. They are no pins: a page of which nobody else has one is stored to, goes
 * home, and is cut off, and one that is really held stays.
 *
 * hmem-test: topology=mixed kernels=lts,newest timeout=240
 */
#include "pools.h"
#include "splitting.h"

#include <sched.h>
#include <sys/uio.h>

#define EXTENTS		4U
#define LENGTH		(EXTENTS * EXTENT)
#define PAGE		4096UL
#define IN_EXTENT	(EXTENT / PAGE)
/* A page that is the last one which fits into a batch is let go at once: another is not then. */
#define AT_ONCE		3U
#define PATIENCE	((unsigned int)patience(20))

static const char *kind;
static int fd;
static char *p;
static volatile int stop;

static void on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		tap_bail("CPU %d: %s", cpu, strerror(errno));
}

/* Mapped by CPU 0, whose batch has a reference then; the caller is on CPU 1 afterwards. */
static void map_there(unsigned int first)
{
	/* What empties batches for what was done before is over then; nothing tells of it. */
	usleep(100000);
	on_cpu(0);
	for (unsigned int n = first; n < first + AT_ONCE; n++) {
		if (!page_is_near(fd, hot(n)))
			tap_bail("page %u is not near", n);
		if (madvise(p + hot(n), PAGE, MADV_DONTNEED_LOCKED))
			tap_bail("madvise: %s", strerror(errno));
		(void)*(volatile char *)(p + hot(n));
	}
	on_cpu(1);
}

/* False: it had not come through after so many seconds. */
static bool store(unsigned int n, char value)
{
	int signal;

	alarm(PATIENCE);
	signal = touch_write(p + hot(n), value);
	alarm(0);
	if (signal)
		tap_diag("a store to page %u: %s", n, strsignal(signal));
	return !signal;
}

static bool has(unsigned int n, char value)
{
	char read = 0;

	return p[hot(n)] == value && p[hot(n) + 1] == 1 &&
	       pread(fd, &read, 1, hot(n)) == 1 && read == value;
}

static void stores(unsigned int first)
{
	bool done = true;

	map_there(first);
	for (unsigned int n = first; n < first + AT_ONCE; n++)
		done = done && store(n, 2) && has(n, 2);
	TAP_OK(done, "%s: a store to pages that another CPU has mapped", kind);
}

/* The references of its batch are left, and a store finds nothing mapped. */
static void stores_unmapped(unsigned int first)
{
	bool done = true;

	map_there(first);
	for (unsigned int n = first; n < first + AT_ONCE; n++) {
		if (madvise(p + hot(n), PAGE, MADV_DONTNEED_LOCKED))
			tap_bail("madvise: %s", strerror(errno));
		done = done && store(n, 5) && has(n, 5);
	}
	TAP_OK(done, "%s: and to pages that it had mapped", kind);
}

static void *reader(void *argument)
{
	unsigned int first = *(unsigned int *)argument;

	on_cpu(0);
	while (!stop)
		for (unsigned int n = first; n < first + AT_ONCE; n++)
			(void)*(volatile char *)(p + hot(n));
	return NULL;
}

/* The other CPU maps them again as soon as they are not mapped. */
static void stores_while_read(unsigned int first)
{
	pthread_t thread;
	bool done = true;

	stop = 0;
	map_there(first);
	if (pthread_create(&thread, NULL, reader, &first))
		tap_bail("no thread");
	for (unsigned int n = first; n < first + AT_ONCE; n++)
		done = done && store(n, 3) && has(n, 3);
	stop = 1;
	pthread_join(thread, NULL);
	TAP_OK(done, "%s: and to pages that it reads all the time", kind);
}

/* Whether a child ends well, which is killed when it does not end. */
static bool ends(pid_t child)
{
	time_t end = time(NULL) + PATIENCE;
	int status = 1;
	pid_t pid;

	while (!(pid = waitpid(child, &status, WNOHANG)) && time(NULL) < end)
		usleep(10000);
	if (!pid) {
		tap_diag("it does not end");
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		return false;
	}
	return pid == child && !status;
}

static void writes(unsigned int first)
{
	bool done = true;
	pid_t child;

	map_there(first);
	fflush(stdout);
	child = fork();
	if (child < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!child) {
		for (unsigned int n = first; n < first + AT_ONCE; n++)
			if (pwrite(fd, "\4", 1, hot(n)) != 1)
				_exit(1);
		_exit(0);
	}
	done = ends(child);
	for (unsigned int n = first; n < first + AT_ONCE; n++)
		done = done && has(n, 4);
	TAP_OK(done, "%s: write(2) to such pages", kind);
}

static unsigned int hot_near(unsigned int extent)
{
	unsigned int near = 0;

	for (unsigned int n = extent * HOT; n < (extent + 1) * HOT; n++)
		near += page_is_near(fd, hot(n));
	return near;
}

/* A page in a pipe is held; of those that nobody has stored to, which are home then. */
static void pinned(unsigned int extent)
{
	struct iovec iov = { p + hot(extent * HOT + 4 * AT_ONCE), PAGE };
	struct hmem_migrate m;
	int pipes[2];

	must(pipe(pipes), "pipe");
	if (vmsplice(pipes[1], &iov, 1, 0) != (ssize_t)PAGE)
		tap_bail("vmsplice: %s", strerror(errno));
	must(migrate(fd, extent * EXTENT, EXTENT, HMEM_HOME, &m), "migrate");
	TAP_OK(m.pages[HMEM_MOVED_PINNED] == IN_EXTENT && m.pinned == extent * EXTENT &&
	       hot_near(extent) == 1, "%s: a page in a pipe stays, and it alone", kind);
	close(pipes[0]);
	close(pipes[1]);
	must(migrate(fd, extent * EXTENT, EXTENT, HMEM_HOME, &m), "migrate");
	TAP_OK(!m.pages[HMEM_MOVED_PINNED] && !hot_near(extent),
	       "%s: and goes home after that", kind);
}

static void goes_home(unsigned int extent)
{
	struct hmem_migrate m;

	map_there(extent * HOT);
	must(migrate(fd, extent * EXTENT, EXTENT, HMEM_HOME, &m), "migrate");
	TAP_EQ(m.pages[HMEM_MOVED_PINNED], 0, "%s: locked pages go home when told to", kind);
	TAP_EQ(hot_near(extent), 0, "%s: all of them", kind);
}

static void kept_home(unsigned int extent)
{
	map_there(extent * HOT);
	TAP_EQ(keep_extents(fd, extent, 1, HMEM_HOME, NULL), 0, "%s: and are kept there", kind);
	must(release_extents(fd, extent, 1), "release");
}

static void must_create(int control, const struct pool *pool)
{
	struct sigaction action = { .sa_handler = touch_signal };

	kind = pool->kind;
	must(region_create(control, "locked", pool->name, LENGTH), "create");
	fd = must_open("locked", O_RDWR);
	must(near_max_set(fd, EXTENT), "near_max");
	p = must_map(fd, LENGTH);
	memset(p, 1, LENGTH);
	touch_catch();
	sigaction(SIGALRM, &action, NULL);
	split_all(fd, p, EXTENTS);
	on_cpu(0);
	if (mlock(p, LENGTH))
		tap_bail("mlock: %s", strerror(errno));
}

static void checks(int control, const struct pool *pool)
{
	must_create(control, pool);
	stores(0);
	stores_while_read(AT_ONCE);
	writes(2 * AT_ONCE);
	stores_unmapped(3 * AT_ONCE);
	goes_home(1);
	pinned(0);
	kept_home(2);
	map_there(3 * HOT);
	TAP_EQ(region_resize(control, "locked", 3 * EXTENT), 0,
	       "%s: the region is cut off where locked pages are", kind);
	munlock(p, LENGTH);
	munmap(p, LENGTH);
	close(fd);
	TAP_EQ(region_destroy(control, "locked"), 0, "%s: destroyed", kind);
}

/* The last close finds locked pages near. */
static void closed(int control, const struct pool *pool)
{
	must_create(control, pool);
	map_there(0);
	munmap(p, LENGTH);
	close(fd);
	TAP_EQ(region_destroy(control, "locked"), 0, "%s: destroyed with locked pages near", kind);
}

int main(void)
{
	int control = must_begin_cxl();

	on_every_pool(control, 32 * MIB, checks);
	on_every_pool(control, 32 * MIB, closed);
	return tap_done();
}
