// SPDX-License-Identifier: GPL-2.0-only
/*
 * A region over two devices loses one: what was there fails, near copies of it included, and
 * the rest goes on under those who use it. It loses the other, and dies.
 *
 * hmem-test: topology=ram2 timeout=180
 */
#include "near.h"
#include "pools.h"

#define EXTENTS	8

static int control;
static char names[2][HMEM_NAME_LEN];
static char *const keep = names[0], *const go = names[1];
static int pin[2];		/* a pipe that holds a page; nobody else is to have it */

static void make_pools(void)
{
	must_cxl_on_each("ram", names, 2);
	must(pool_attach_cxl(control, keep, 0, NULL), "attach");
	must(pool_attach_cxl(control, go, 0, NULL), "attach");
}

static bool on_go(unsigned int extent)
{
	return extent % 2;
}

/* Stores and reads back where nothing is lost, until it is told to end. */
static int use_rest(int fd, char *p, int stop)
{
	unsigned int round = 0;
	char byte;

	for (unsigned int i = 0; read(stop, &byte, 1) < 0; i += 2) {
		volatile unsigned int *word = (void *)(p + i % EXTENTS * EXTENT + 8192);
		unsigned int found;

		*word = ++round;
		if (pread(fd, &found, sizeof(found), i % EXTENTS * EXTENT + 8192) != sizeof(found) ||
		    found != round || *word != round)
			return 1;
		usleep(500);
	}
	return round ? 0 : 2;
}

static pid_t start_use(int fd, char *p, int *stop)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC))
		tap_bail("pipe: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(ends[1]);
		close(pin[0]);
		close(pin[1]);
		_exit(use_rest(fd, p, ends[0]));
	}
	close(ends[0]);
	*stop = ends[1];
	return pid;
}

static pid_t start_destroy(const char *cxl)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(pin[0]);
		close(pin[1]);
		_exit(cxl_fixture("destroy", cxl, NULL, 0) ? 1 : 0);
	}
	return pid;
}

static int ended(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void fill_in(int fd, char *p)
{
	for (unsigned int i = 0; i < EXTENTS; i++)
		memset(p + i * EXTENT, 'A' + i, 8192);
	must(near_max_set(fd, 6 * EXTENT), "near_max");
	TAP_EQ(move_extents(fd, 0, 4, HMEM_NEAR), 4, "half of it is near");
	p[EXTENT + 100] = 'x';			/* dirty, of what goes */
	p[2 * EXTENT + 100] = 'x';		/* dirty, of what stays */
	TAP_EQ(keep_extents(fd, 5, 1, HMEM_NEAR, NULL), 0, "one is kept near");
	must(policy_mode_set(fd, HMEM_POLICY_AUTO), "auto");
}

static void check_rest(int fd, char *p)
{
	char page[4096];
	int wrong = 0;

	for (unsigned int i = 0; i < EXTENTS; i++) {
		loff_t offset = i * EXTENT;

		if (on_go(i))
			wrong += touch_read(p + offset) != SIGBUS || touch_write(p + offset, 1) != SIGBUS ||
				 pread(fd, page, 8, offset) != -1 || errno != ENODEV ||
				 pwrite(fd, page, 8, offset) != -1 || errno != ENODEV;
		else
			wrong += !all_bytes(p + offset, 100, 'A' + i) ||
				 p[offset + 100] != (i == 2 ? 'x' : 'A' + (int)i) ||
				 pread(fd, page, 4096, offset) != 4096 ||
				 !all_bytes(page, 100, 'A' + i);
	}
	TAP_EQ(wrong, 0, "what was there fails, through mappings and calls, and the rest is there");
}

static void after(int fd, char *p)
{
	struct hmem_migrate m;
	struct hmem_region_query info;

	TAP_EQ(sysfs_number("hmem", "r", "lost"), 4 * (int64_t)EXTENT, "sysfs says how much");
	TAP_STR_EQ(sysfs_text("hmem", "r", "pools"), keep, "and which pool there is");
	TAP_OK(!region_info(fd, &info) && !strcmp(info.pool, keep), "so does a query");
	TAP_EQ(policy_mode_set(fd, HMEM_POLICY_OFF), 0, "its policy can be set");
	TAP_OK(near_stats(fd).near <= 4 * EXTENT, "the DRAM of the lost is given back");
	TAP_EQ(migrate(fd, 0, 0, HMEM_HOME, &m), 0, "the rest goes home");
	TAP_EQ(near_stats(fd).near, 0, "all of it");
	TAP_EQ(near_stats(fd).dirty, 0, "and nothing is dirty");
	TAP_EQ(migrate(fd, 0, 0, HMEM_NEAR, &m), 0, "and near");
	TAP_EQ(m.pages[HMEM_MOVED] / 512, 4, "that is one half");
	TAP_EQ(keep_extents(fd, 1, 1, HMEM_NEAR, NULL), -ENODEV, "the lost is kept nowhere");
	check_rest(fd, p);
	TAP_EQ(region_resize(control, "r", 9 * EXTENT), 0, "it grows where it is");
	TAP_EQ(pwrite(fd, "new", 3, 8 * EXTENT), 3, "and is of use there");
	TAP_EQ(region_resize(control, "r", 6 * EXTENT), 0, "it shrinks");
	TAP_EQ(sysfs_number("hmem", "r", "lost"), 3 * (int64_t)EXTENT, "by what was lost as well");
	TAP_EQ(fsync(fd), 0, "it is volatile, and is synced by nothing");
}

static void lose_one(void)
{
	const char *const pools[] = { keep, go };
	int64_t free_keep = pool_free(keep);
	int fd, stop;
	pid_t user, destroyer;
	struct iovec iov;
	char *p;

	must(region_create_over(control, "r", HMEM_CREATE_SPREAD, pools, 2, EXTENTS * EXTENT),
	     "create");
	must(region_create(control, "dies", go, EXTENT), "create");
	must(region_create_over(control, "wish", HMEM_CREATE_FILL, pools, 2, EXTENT), "create");
	fd = must_open("r", O_RDWR);
	p = must_map(fd, EXTENTS * EXTENT);
	fill_in(fd, p);
	iov = (struct iovec){ p + 7 * EXTENT, 4096 };
	if (pipe(pin) || vmsplice(pin[1], &iov, 1, 0) != 4096)
		tap_bail("vmsplice: %s", strerror(errno));
	user = start_use(fd, p, &stop);
	destroyer = start_destroy(go);
	for (int tries = 0; pool_free(go) >= 0 && tries < 3000; tries++)
		usleep(10000);
	TAP_EQ(touch_read(p + 7 * EXTENT + 4096), SIGBUS, "what goes is out of reach at once");
	TAP_EQ(waitpid(destroyer, NULL, WNOHANG), 0, "who holds a page of it holds it up");
	close(pin[0]);
	close(pin[1]);
	TAP_EQ(ended(destroyer), 0, "and then it goes");
	TAP_OK(write(stop, "", 1) == 1 && ended(user) == 0, "who uses the rest notices nothing");
	TAP_EQ(region_open("dies", O_RDWR), -ENOENT, "a region that was there alone is gone");
	TAP_EQ(sysfs_number("hmem", "wish", "lost"), 0, "one that could grow there has lost nothing");
	check_rest(fd, p);
	after(fd, p);
	munmap(p, EXTENTS * EXTENT);
	close(fd);
	TAP_EQ(region_destroy(control, "r"), 0, "it is destroyed");
	TAP_EQ(region_destroy(control, "wish"), 0, "and so is the other");
	TAP_EQ(pool_free(keep), free_keep, "and what it had is given back");
}

static void lose_all(void)
{
	const char *const pools[] = { keep, go };
	char byte;
	char *p;
	int fd;

	must(region_create_over(control, "r", HMEM_CREATE_SPREAD, pools, 2, 4 * EXTENT), "create");
	fd = must_open("r", O_RDWR);
	p = must_map(fd, 4 * EXTENT);
	memset(p, 1, 4 * EXTENT);
	cxl_end(keep);
	TAP_OK(touch_read(p) == SIGBUS && !touch_read(p + EXTENT), "its first pool is lost");
	TAP_STR_EQ(sysfs_text("hmem", "r", "pool"), go, "it is on the second");
	cxl_end(go);
	TAP_OK(touch_read(p) == SIGBUS && touch_read(p + EXTENT) == SIGBUS, "then all is lost");
	TAP_OK(pread(fd, &byte, 1, EXTENT) < 0 && errno == ENODEV, "for calls as well");
	TAP_EQ(region_open("r", O_RDWR), -ENOENT, "and the region is gone");
	munmap(p, 4 * EXTENT);
	close(fd);
}

static const char *what_is(int fd, const char *p, int extent)
{
	char byte = 0;
	ssize_t n = pread(fd, &byte, 1, extent * EXTENT);
	int error = n < 0 ? errno : 0, signal = touch_read(p + extent * EXTENT);

	if (n == 1 && !signal)
		return byte == 'A' + extent ? "there" : byte ? "?" : "zero";
	return error == ENODEV && signal == SIGBUS ? "lost" : "?";
}

/* A pool is drained but for a page that somebody holds, and lost then, with what it has still. */
static void lose_drained(void)
{
	struct iovec iov;
	char *p;
	int fd;

	must(region_create(control, "r", go, 4 * EXTENT), "create");
	fd = must_open("r", O_RDWR);
	p = must_map(fd, 4 * EXTENT);
	for (int i = 0; i < 3; i++)
		memset(p + i * EXTENT, 'A' + i, 8192);
	iov = (struct iovec){ p + EXTENT, 4096 };
	if (pipe(pin) || vmsplice(pin[1], &iov, 1, 0) != 4096)
		tap_bail("vmsplice: %s", strerror(errno));
	TAP_EQ(pool_drain(control, go, 0, NULL), -EBUSY, "drained: a page is held");
	close(pin[0]);
	close(pin[1]);
	cxl_end(go);
	TAP_STR_EQ(what_is(fd, p, 0), "there", "drained: what had moved is there");
	TAP_STR_EQ(what_is(fd, p, 1), "lost", "drained: what had not is lost, and no zeroes");
	TAP_EQ(touch_write(p + EXTENT, 1), SIGBUS, "drained: nor written to");
	TAP_STR_EQ(what_is(fd, p, 2), "there", "drained: as the rest is");
	TAP_STR_EQ(what_is(fd, p, 3), "zero", "drained: and what was nowhere");
	TAP_EQ(sysfs_number("hmem", "r", "lost"), EXTENT, "drained: sysfs says how much");
	TAP_EQ(region_resize(control, "r", EXTENT), 0, "drained: it is cut off");
	TAP_EQ(region_resize(control, "r", 4 * EXTENT), 0, "drained: and grows anew");
	TAP_STR_EQ(what_is(fd, p, 1), "zero", "drained: as what nobody had before");
	TAP_EQ(sysfs_number("hmem", "r", "lost"), 0, "drained: with nothing lost");
	munmap(p, 4 * EXTENT);
	close(fd);
	TAP_EQ(region_destroy(control, "r"), 0, "drained: it is destroyed");
	cxl_end(keep);
}

/* The other way: it is drained to the pool that is lost, but for a page that somebody holds. */
static void lose_where_it_goes(void)
{
	int64_t all = pool_free(keep);
	struct iovec iov;
	char *p;
	int fd;

	must(region_create(control, "r", keep, 4 * EXTENT), "create");
	fd = must_open("r", O_RDWR);
	p = must_map(fd, 4 * EXTENT);
	for (int i = 0; i < 3; i++)
		memset(p + i * EXTENT, 'A' + i, 8192);
	iov = (struct iovec){ p + EXTENT, 4096 };
	if (pipe(pin) || vmsplice(pin[1], &iov, 1, 0) != 4096)
		tap_bail("vmsplice: %s", strerror(errno));
	TAP_EQ(pool_drain(control, keep, 0, NULL), -EBUSY, "drained there: a page is held");
	cxl_end(go);
	TAP_STR_EQ(what_is(fd, p, 0), "lost", "drained there: what had moved is lost");
	TAP_STR_EQ(what_is(fd, p, 1), "there", "drained there: what had not is there");
	TAP_OK(!touch_write(p + EXTENT + 8192, 1), "drained there: and is written to");
	TAP_STR_EQ(what_is(fd, p, 3), "lost", "drained there: what was nowhere has no place");
	TAP_EQ(sysfs_number("hmem", "r", "lost"), 3 * (int64_t)EXTENT,
	       "drained there: sysfs counts those that are lost, and no other");
	close(pin[0]);
	close(pin[1]);
	TAP_EQ(pool_drain(control, keep, 0, NULL), -EBUSY, "drained there: there is no way on");
	TAP_EQ(region_resize(control, "r", EXTENT), 0, "drained there: all but one is cut off");
	TAP_EQ(sysfs_number("hmem", "r", "lost"), EXTENT, "drained there: which is said");
	munmap(p, 4 * EXTENT);
	close(fd);
	TAP_EQ(region_destroy(control, "r"), 0, "drained there: it is destroyed");
	TAP_EQ(pool_free(keep), all, "drained there: with all that it had");
	cxl_end(keep);
}

int main(void)
{
	control = must_begin_cxl();
	touch_catch();
	make_pools();
	lose_one();
	sweep(control);
	cxl_end(keep);
	make_pools();
	lose_drained();
	make_pools();
	lose_where_it_goes();
	make_pools();
	lose_all();
	return tap_done();
}
