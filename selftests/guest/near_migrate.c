// SPDX-License-Identifier: GPL-2.0-only
/*
 * Near copies on request: what is moved is the same before and after, for whoever looks and
 * however; what cannot be moved is said.
 *
 * hmem-test: topology=mixed kernels=lts,newest
 */
#include "pools.h"
#include "near.h"

#include <signal.h>
#include <sys/time.h>
#include <sys/uio.h>

#define EXTENTS		6
#define LENGTH		(EXTENTS * EXTENT)
#define PAGES		(EXTENT / 4096)

static const char *kind;

/* A word in each page says which page it is, and how often it was stored to. */
static uint64_t *word(char *p, uint64_t page)
{
	return (uint64_t *)(p + page * 4096 + page % 512 * 8);
}

static void stamp(char *p, uint64_t extent, uint64_t round)
{
	for (uint64_t page = extent * PAGES; page < (extent + 1) * PAGES; page++)
		*word(p, page) = page << 8 | round;
}

static bool stamped(char *p, uint64_t extent, uint64_t round)
{
	for (uint64_t page = extent * PAGES; page < (extent + 1) * PAGES; page++)
		if (*word(p, page) != (page << 8 | round))
			return false;
	return true;
}

static bool all_stamped(char *p, uint64_t round)
{
	for (uint64_t i = 0; i < EXTENTS - 1; i++)
		if (!stamped(p, i, round))
			return false;
	return true;
}

static int child_sees(void *p)
{
	for (uint64_t i = 0; i < EXTENTS - 1; i++)
		if (!stamped(p, i, 3))
			return 1;
	stamp(p, 4, 9);
	return 0;
}

/* What is there may be stored to, read, and moved again, whatever it was before. */
static void there_and_back(int fd, char *p, bool persistent)
{
	struct hmem_stats s;
	uint64_t bytes;
	char copy[64];

	/* All but the last extent, which nobody touches. */
	for (uint64_t i = 0; i < EXTENTS - 1; i++)
		stamp(p, i, 1);
	TAP_EQ(move_extents(fd, 0, EXTENTS - 1, HMEM_NEAR), EXTENTS - 1, "%s: all get near copies",
	       kind);
	s = near_stats(fd);
	TAP_OK(s.near == LENGTH - EXTENT && s.promotions == (EXTENTS - 1) * PAGES && !s.dirty,
	       "%s: which are counted, and clean", kind);
	TAP_EQ(sysfs_number("hmem", "near", "extents_used"), EXTENTS - 1,
	       "%s: an untouched extent stays so", kind);
	TAP_OK(all_stamped(p, 1), "%s: they hold the data", kind);
	s = near_stats(fd);
	TAP_OK(s.near == LENGTH - EXTENT && !s.dirty, "%s: to read changes nothing", kind);

	stamp(p, 0, 2);
	stamp(p, 1, 2);
	s = near_stats(fd);
	TAP_OK(persistent ? s.near == LENGTH - 3 * EXTENT && !s.dirty :
			    s.near == LENGTH - EXTENT && s.dirty == 2 * EXTENT,
	       "%s: stores make two %s", kind, persistent ? "go home" : "dirty");
	TAP_OK(stamped(p, 0, 2) && stamped(p, 1, 2) && stamped(p, 2, 1), "%s: and are there", kind);

	bytes = s.copied;
	TAP_EQ(move_extents(fd, 2, 3, HMEM_HOME), 3, "%s: clean ones go home", kind);
	TAP_EQ(near_stats(fd).copied, bytes, "%s: without a copy", kind);
	TAP_EQ(move_extents(fd, 0, 2, HMEM_HOME), persistent ? 0 : 2, "%s: dirty ones go home",
	       kind);
	s = near_stats(fd);
	TAP_OK(!s.near && !s.dirty && s.demotions == s.promotions, "%s: none is left", kind);
	TAP_OK(stamped(p, 0, 2) && stamped(p, 1, 2) && stamped(p, 2, 1) && stamped(p, 4, 1),
	       "%s: all is as it was stored", kind);

	for (uint64_t i = 0; i < EXTENTS - 1; i++)
		stamp(p, i, 3);
	move_extents(fd, 0, EXTENTS - 1, HMEM_NEAR);
	TAP_EQ(run_as(0, child_sees, p), 0, "%s: a forked child sees and stores the same", kind);
	TAP_OK(stamped(p, 4, 9), "%s: and is seen", kind);
	TAP_OK(pread(fd, copy, sizeof(copy), 0) == sizeof(copy) && !memcmp(copy, p, sizeof(copy)),
	       "%s: read(2) reads the copy", kind);
	memset(copy, 0x77, sizeof(copy));
	TAP_OK(pwrite(fd, copy, sizeof(copy), 100) == sizeof(copy) &&
	       !memcmp(copy, p + 100, sizeof(copy)), "%s: write(2) writes to what is mapped", kind);
	TAP_EQ(pread(fd, copy, 1, LENGTH - 1), 1, "%s: the last extent is touched", kind);
	TAP_EQ(move_extents(fd, 0, EXTENTS, HMEM_HOME), persistent ? EXTENTS - 3 : EXTENTS - 1,
	       "%s: home again", kind);
	TAP_OK(p[100] == 0x77 && p[163] == 0x77 && p[99] == 0, "%s: with what was written", kind);
}

static void bounded(int fd, char *p)
{
	struct hmem_migrate m;

	for (uint64_t i = 0; i < EXTENTS; i++)
		stamp(p, i, 5);
	must(near_max_set(fd, 2 * EXTENT + 4096), "near_max");
	must(migrate(fd, 0, 0, HMEM_NEAR, &m), "migrate");
	TAP_OK(m.pages[HMEM_MOVED] == 2 * PAGES &&
	       m.pages[HMEM_MOVED_OVER_BOUND] == (EXTENTS - 2) * PAGES && m.next == LENGTH,
	       "%s: no more than near_max is near", kind);
	must(migrate(fd, 0, 0, HMEM_NEAR, &m), "migrate");
	TAP_OK(m.pages[HMEM_MOVED_ALREADY] == 2 * PAGES && !m.pages[HMEM_MOVED],
	       "%s: what is near is so already", kind);
	must(near_max_set(fd, EXTENT), "near_max");
	TAP_EQ(near_stats(fd).near, EXTENT, "%s: a lower bound brings home what is over it", kind);
	must(near_max_set(fd, 0), "near_max");
	TAP_EQ(near_stats(fd).near, 0, "%s: and none all of it", kind);
	must(near_max_set(fd, LENGTH), "near_max");
	TAP_OK(stamped(p, 0, 5) && stamped(p, EXTENTS - 1, 5), "%s: nothing is lost", kind);
}

#define SIGNALS		500

static volatile sig_atomic_t came;

static void count_signals(int signal)
{
	const struct itimerval never = {};

	(void)signal;
	if (++came == SIGNALS)
		setitimer(ITIMER_REAL, &never, NULL);
}

/* Signals that come faster than it is found out that a page is held for long. */
static void pinned_under_signals(int fd, enum hmem_place to)
{
	struct sigaction action = { .sa_handler = count_signals, .sa_flags = SA_RESTART };
	struct itimerval often = { { .tv_usec = 2000 }, { .tv_usec = 2000 } }, never = {};
	struct hmem_migrate m;
	int rc;

	came = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	rc = migrate(fd, 0, EXTENT, to, &m);
	setitimer(ITIMER_REAL, &never, NULL);
	TAP_OK(!rc && m.pages[HMEM_MOVED_PINNED] == PAGES && came < SIGNALS,
	       "%s: nor is it looked at for ever when signals come, of which %d did", kind,
	       (int)came);
}

/* A pipe that holds a page of the first extent. */
static void pinned(int fd, char *p, enum hmem_place from, enum hmem_place to, bool persistent)
{
	struct iovec iov = { p + 4096, 4096 };
	struct hmem_migrate m;
	char page[4096];
	int fds[2];

	stamp(p, 0, 6);
	move_extents(fd, 0, 2, from);
	if (pipe(fds) || vmsplice(fds[1], &iov, 1, 0) != 4096)
		tap_bail("vmsplice: %s", strerror(errno));
	must(migrate(fd, 0, 2 * EXTENT, to, &m), "migrate");
	TAP_OK(m.pages[HMEM_MOVED_PINNED] == PAGES && m.pages[HMEM_MOVED] == PAGES && m.pinned == 0,
	       "%s: what a pipe holds does not move %s, and is named", kind, to ? "near" : "home");
	pinned_under_signals(fd, to);
	if (!persistent) {
		p[4096 + 7] = 0x5a;
		TAP_OK(read(fds[0], page, 4096) == 4096 && page[7] == 0x5a,
		       "%s: the pipe has what was stored meanwhile", kind);
	} else {
		TAP_EQ(read(fds[0], page, 4096), 4096, "%s: the pipe is read", kind);
	}
	TAP_EQ(move_extents(fd, 0, 1, to), 1, "%s: then it moves", kind);
	TAP_OK(persistent || p[4096 + 7] == 0x5a, "%s: with what was stored", kind);
	p[4096 + 7] = 0;
	close(fds[0]);
	close(fds[1]);
	move_extents(fd, 0, 2, HMEM_HOME);
}

/* On a persistent pool, who stores to what is pinned near waits for it. */
static void store_to_pinned(int fd, char *p)
{
	struct iovec iov = { p + 4096, 4096 };
	char page[4096];
	int fds[2], status;
	pid_t pid;

	stamp(p, 0, 7);
	move_extents(fd, 0, 1, HMEM_NEAR);
	if (pipe(fds) || vmsplice(fds[1], &iov, 1, 0) != 4096)
		tap_bail("vmsplice: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(fds[0]);
		close(fds[1]);
		p[4096 + 2001] = 0x5b;
		_exit(pwrite(fd, "x", 1, 3 * 4096) != 1);
	}
	/* Long enough to be done, were it not kept waiting. */
	usleep(50000);
	TAP_OK(waitpid(pid, &status, WNOHANG) == 0 && p[4096 + 2001] == 0,
	       "%s: who stores to what is pinned near waits", kind);
	TAP_EQ(read(fds[0], page, 4096), 4096, "%s: until the pin is gone", kind);
	TAP_OK(waitpid(pid, &status, 0) == pid && status == 0 && p[4096 + 2001] == 0x5b &&
	       p[3 * 4096] == 'x', "%s: then it is stored", kind);
	TAP_EQ(near_stats(fd).near, 0, "%s: at home", kind);
	p[4096 + 2001] = 0;
	p[3 * 4096] = 0;
	close(fds[0]);
	close(fds[1]);
}

/* The region shrinks, grows and goes, whatever is near. */
static void cut(int control, int fd, char *p)
{
	struct iovec iov = { p + 3 * EXTENT, 4096 };
	int fds[2];

	stamp(p, 3, 8);
	stamp(p, 4, 8);
	move_extents(fd, 0, EXTENTS, HMEM_NEAR);
	*word(p, 3 * PAGES + 5) = 12345;
	if (pipe(fds) || vmsplice(fds[1], &iov, 1, 0) != 4096)
		tap_bail("vmsplice: %s", strerror(errno));
	TAP_EQ(region_resize(control, "near", 2 * EXTENT), -EBUSY, "%s: held pages are not cut off",
	       kind);
	TAP_OK(*word(p, 3 * PAGES + 5) == 12345 && stamped(p, 4, 8),
	       "%s: and what was stored near is there still", kind);
	close(fds[0]);
	close(fds[1]);
	TAP_EQ(region_resize(control, "near", 2 * EXTENT), 0, "%s: then they are", kind);
	TAP_EQ(touch_read(p + 3 * EXTENT), SIGBUS, "%s: and are out of reach", kind);
	TAP_OK(near_stats(fd).near <= 2 * EXTENT, "%s: their DRAM is given back", kind);
	TAP_EQ(region_resize(control, "near", LENGTH), 0, "%s: it grows again", kind);
	TAP_OK(pages_hold(p + 2 * EXTENT, 2 * EXTENT, 0), "%s: with zeroes", kind);
	TAP_EQ(move_extents(fd, 2, 2, HMEM_NEAR), 2, "%s: that can be moved", kind);
}

static void refused(int fd)
{
	struct hmem_migrate m;
	int reader = must_open("near", O_RDONLY);

	TAP_EQ(migrate(fd, LENGTH, EXTENT, HMEM_NEAR, &m), -ERANGE, "%s: beyond the end", kind);
	TAP_EQ(migrate(fd, EXTENT, LENGTH, HMEM_NEAR, &m), -ERANGE, "%s: across the end", kind);
	TAP_EQ(migrate(fd, EXTENT, UINT64_MAX - EXTENT + 1, HMEM_NEAR, &m), -ERANGE,
	       "%s: around the end", kind);
	TAP_EQ(migrate(fd, 4096, EXTENT, HMEM_NEAR, &m), -EINVAL, "%s: in the middle", kind);
	TAP_EQ(migrate(fd, 0, 4096, HMEM_NEAR, &m), -EINVAL, "%s: half an extent", kind);
	TAP_EQ(migrate(fd, 0, EXTENT, 2, &m), -EINVAL, "%s: to nowhere", kind);
	TAP_EQ(migrate(fd, LENGTH, 0, HMEM_NEAR, &m), 0, "%s: nothing at the end", kind);
	TAP_EQ(migrate(reader, 0, EXTENT, HMEM_NEAR, &m), -EACCES, "%s: open for reading", kind);
	TAP_EQ(near_max_set(reader, 0), -EACCES, "%s: and no bound either", kind);
	close(reader);
}

static int raise_bound(void *fd)
{
	int rc = near_max_set(*(int *)fd, LENGTH + EXTENT);

	return rc == -EPERM ? near_max_set(*(int *)fd, LENGTH) ? 2 : 0 : 1;
}

/* A file first mapped while there could be no near copies: nobody is told of its stores. */
static void plain(int control, const struct pool *pool)
{
	struct hmem_stats s;
	char *p, *q;
	int fd, other;

	must(region_create(control, "plain", pool->name, LENGTH), "create");
	fd = must_open("plain", O_RDWR);
	other = must_open("plain", O_RDWR);
	p = must_map(fd, LENGTH);
	for (uint64_t i = 0; i < EXTENTS - 1; i++)
		stamp(p, i, 1);
	must(near_max_set(fd, LENGTH), "near_max");
	q = must_map(other, LENGTH);
	TAP_EQ(move_extents(fd, 0, 2, HMEM_NEAR), 2, "%s: plain: near", kind);
	TAP_OK(stamped(q, 0, 1), "%s: plain: read where stores are told of", kind);
	s = near_stats(fd);
	TAP_OK(s.near == 2 * EXTENT && !s.dirty, "%s: plain: it stays clean", kind);
	TAP_OK(stamped(p, 0, 1), "%s: plain: read where they are not", kind);
	s = near_stats(fd);
	TAP_OK(pool->persistent ? s.near == EXTENT : s.dirty == EXTENT,
	       "%s: plain: that counts as a store", kind);
	stamp(p, 0, 2);
	stamp(p, 1, 2);
	TAP_OK(stamped(q, 0, 2) && stamped(q, 1, 2), "%s: plain: stores are seen", kind);
	TAP_EQ(move_extents(fd, 0, 2, HMEM_HOME), pool->persistent ? 0 : 2, "%s: plain: home", kind);
	TAP_OK(stamped(p, 0, 2) && stamped(q, 1, 2), "%s: plain: with them", kind);
	munmap(p, LENGTH);
	munmap(q, LENGTH);
	close(fd);
	close(other);
	must(region_destroy(control, "plain"), "destroy");
}

/*
 * Two mappings of one file, made before and after there was a bound, become one: what was
 * read near through the second is stored to through the whole.
 */
static void joined(int control, const struct pool *pool)
{
	char *place, *p;
	int fd;

	must(region_create(control, "joined", pool->name, LENGTH), "create");
	fd = must_open("joined", O_RDWR);
	place = must_map(fd, LENGTH);
	munmap(place, LENGTH);
	p = mmap(place, EXTENT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	must(p == MAP_FAILED ? -errno : 0, "mmap");
	stamp(p, 0, 1);
	must(near_max_set(fd, LENGTH), "near_max");
	must(mmap(p + EXTENT, EXTENT, PROT_READ, MAP_SHARED | MAP_FIXED, fd, EXTENT) == MAP_FAILED ?
	     -errno : 0, "mmap");
	(void)*(volatile char *)(p + EXTENT);
	TAP_EQ(move_extents(fd, 0, 2, HMEM_NEAR), 2, "%s: joined: near", kind);
	(void)*(volatile char *)(p + EXTENT);
	must(mprotect(p + EXTENT, EXTENT, PROT_READ | PROT_WRITE) ? -errno : 0, "mprotect");
	stamp(p + EXTENT, 0, 2);
	stamp(p, 0, 2);
	move_extents(fd, 0, 2, HMEM_HOME);
	TAP_OK(stamped(p + EXTENT, 0, 2) && stamped(p, 0, 2), "%s: joined: no store is lost", kind);
	munmap(place, LENGTH);
	close(fd);
	must(region_destroy(control, "joined"), "destroy");
}

/* The kernel stores for a process that is killed while it waits for a pin to go. */
static void killed_waiting(int control, const struct pool *pool)
{
	struct iovec iov;
	int fd, zero, fds[2], status, tries = 0;
	pid_t pid;
	char *p;

	must(region_create(control, "killed", pool->name, LENGTH), "create");
	fd = must_open("killed", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	p = must_map(fd, LENGTH);
	stamp(p, 0, 1);
	move_extents(fd, 0, 1, HMEM_NEAR);
	iov = (struct iovec){ p + 4096, 4096 };
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (zero < 0 || pipe(fds) || vmsplice(fds[1], &iov, 1, 0) != 4096)
		tap_bail("vmsplice: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(read(zero, p + 4096, 64) != 64);
	usleep(50000);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, WNOHANG) == 0 && tries++ < 1000)
		usleep(10000);
	TAP_OK(tries < 1000, "%s: who waits for a pin in the kernel can be killed", kind);
	close(fds[0]);
	close(fds[1]);
	close(zero);
	munmap(p, LENGTH);
	close(fd);
	must(region_destroy(control, "killed"), "destroy");
}

static void moved(int control, const struct pool *pool)
{
	char *p;
	int fd;

	kind = pool->kind;
	must(region_create(control, "near", pool->name, LENGTH), "create");
	fd = must_open("near", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	p = must_map(fd, LENGTH);
	there_and_back(fd, p, pool->persistent);
	bounded(fd, p);
	pinned(fd, p, HMEM_HOME, HMEM_NEAR, pool->persistent);
	pinned(fd, p, HMEM_NEAR, HMEM_HOME, pool->persistent);
	if (pool->persistent)
		store_to_pinned(fd, p);
	cut(control, fd, p);
	refused(fd);
	TAP_EQ(run_as(USER_UID, raise_bound, &fd), 0, "%s: only root raises the bound", kind);
	munmap(p, LENGTH);
	close(fd);
	TAP_EQ(region_destroy(control, "near"), 0, "%s: destroyed with near copies", kind);
	plain(control, pool);
	joined(control, pool);
	if (pool->persistent)
		killed_waiting(control, pool);
}

int main(void)
{
	int control = must_begin_cxl();

	touch_catch();
	on_every_pool(control, 32 * MIB, moved);
	return tap_done();
}
