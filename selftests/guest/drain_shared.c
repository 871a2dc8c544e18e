// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pool that has a part of a region over several persistent pools is drained, under those who
 * use it. In the middle of it pools go and come back in any order, and one is lost; and it ends with
 * the region whole on the others.
 *
 * hmem-test: topology=pmem3 kernels=lts,newest timeout=280
 */
#include "pmems.h"

#include <sys/uio.h>

#define EXTENTS	6

static int control;
static int64_t all;

static void attach(int i)
{
	must(pool_attach_cxl(control, pmem[i], 0, NULL), "attach");
}

/* Those that are there. */
static void detach_all(int order)
{
	for (int i = 0; i < PMEMS; i++) {
		int rc = pool_detach(control, pmem[pmem_order(order)[i]]);

		if (rc && rc != -ENOENT)
			tap_bail("detach: %s", strerror(-rc));
	}
}

static void put(int extent, unsigned int value)
{
	int fd = must_open("r", O_RDWR);

	if (pwrite(fd, &value, sizeof(value), extent * EXTENT + 8192) != sizeof(value))
		tap_bail("write: %s", strerror(errno));
	close(fd);
}

/* Of what begin() stored all but @but is there, and that is @value. */
static bool whole_but(int but, unsigned int value)
{
	int fd = region_open("r", O_RDONLY);
	bool good = fd >= 0;

	for (int i = 0; good && i < EXTENTS; i++) {
		unsigned int word = 1, expected = i == EXTENTS - 1 ? 0 : 1000 + i;

		good = pread(fd, &word, sizeof(word), i * EXTENT + 8192) == sizeof(word) &&
		       word == (i == but ? value : expected);
		if (!good)
			tap_diag("extent %d holds %u", i, word);
	}
	if (fd >= 0)
		close(fd);
	return good;
}

static bool whole(void)
{
	return whole_but(-1, 0);
}

static bool hidden(void)
{
	int fd = region_open("r", O_RDONLY);

	if (fd >= 0)
		close(fd);
	return fd == -ENOENT;
}

static int create(int nr)
{
	const char *const names[] = { pmem[0], pmem[1], pmem[2] };

	return region_create_over(control, "r", HMEM_CREATE_SPREAD, names, nr, EXTENTS * EXTENT);
}

/* Empty pools, and a region over the first @nr, of which all but the last extent has data. */
static void begin(int nr)
{
	for (int i = 0; i < PMEMS; i++)
		must(pool_attach_cxl(control, pmem[i], HMEM_ATTACH_FORMAT, NULL), "format");
	all = pool_free(pmem[0]);
	must(create(nr), "create");
	for (int i = 0; i < EXTENTS - 1; i++)
		put(i, 1000 + i);
}

/* A pool is left so many extents, for what comes next. */
static void leave(int i, int extents)
{
	char name[16];

	snprintf(name, sizeof(name), "x%d", i);
	must(region_create(control, name, pmem[i], pool_free(pmem[i]) - extents * EXTENT), "create");
}

static bool all_free(void)
{
	for (int i = 0; i < PMEMS; i++)
		if (pool_free(pmem[i]) != all || sysfs_number("hmem_pool", pmem[i], "regions"))
			return false;
	return !class_names("hmem_withheld", NULL, 0);
}

/* Stores and reads in all of it, through a mapping and calls, until it is told to end. */
static int use(int stop)
{
	int fd = must_open("r", O_RDWR);
	char *p = must_map(fd, EXTENTS * EXTENT);
	unsigned int round = 0, words[EXTENTS] = {};
	char byte;

	for (int i = 0; read(stop, &byte, 1) < 0; i = (i + 1) % EXTENTS) {
		volatile unsigned int *word = (void *)(p + i * EXTENT + 4096);
		unsigned int found;

		if (round && *word != words[i])
			return 1;
		words[i] = *word = ++round;
		if (pread(fd, &found, sizeof(found), i * EXTENT + 4096) != sizeof(found) ||
		    found != round)
			return 2;
		words[i] = ++round;
		if (pwrite(fd, &round, sizeof(round), i * EXTENT + 4096) != sizeof(round) ||
		    *word != round)
			return 3;
		usleep(500);
	}
	return round > 2 * EXTENTS ? 0 : 4;
}

static int drain_under_use(int i, struct hmem_pool_drain *d)
{
	int ends[2], status, rc;
	pid_t pid;

	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC))
		tap_bail("pipe: %s", strerror(errno));
	/* What nobody has stored to is what these bytes are in the beginning. */
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(ends[1]);
		_exit(use(ends[0]));
	}
	close(ends[0]);
	usleep(200000);
	do {
		rc = pool_drain(control, pmem[i], 0, d);
	} while (rc == -EBUSY);
	usleep(200000);
	if (write(ends[1], "", 1) != 1)
		tap_bail("write: %s", strerror(errno));
	while (waitpid(pid, &status, 0) < 0)
		;
	close(ends[1]);
	TAP_EQ(status, 0, "who stores and reads all the time notices nothing");
	return rc;
}

/* The first pool is empty, and not needed: in any order of the others all is there. */
static void ended(const char *what, const char *drawing)
{
	char pools[256];

	TAP_STR_EQ(pmem_draw_region("r", EXTENTS), drawing, "%s: where room is", what);
	TAP_OK(pool_free(pmem[0]) == all && !sysfs_number("hmem_pool", pmem[0], "regions"),
	       "%s: what it leaves is free", what);
	TAP_EQ(pool_detach(control, pmem[0]), 0, "%s: the pool is detached", what);
	TAP_OK(whole(), "%s: and the region is as it was", what);
	snprintf(pools, sizeof(pools), "%.200s", sysfs_text("hmem", "r", "pools"));
	for (int order = 0; order < 2; order++) {
		detach_all(order);
		attach(1 + order);
		attach(2 - order);
		TAP_OK(whole() && !class_names("hmem_withheld", NULL, 0), "%s: it comes back, order %d",
		       what, order);
	}
	TAP_STR_EQ(sysfs_text("hmem", "r", "pools"), pools, "%s: on the same pools", what);
	attach(0);
	TAP_EQ(pool_free(pmem[0]), all, "%s: the other has nothing of it", what);
	TAP_EQ(region_resize(control, "r", (EXTENTS + 1) * EXTENT), 0,
	       "%s: it grows", what);
	TAP_EQ(region_resize(control, "r", EXTENTS * EXTENT), 0, "%s: and shrinks", what);
	detach_all(2);
}

static void to_another(void)
{
	struct hmem_pool_drain d;

	begin(2);
	TAP_STR_EQ(pmem_draw_region("r", EXTENTS), "ababab", "on two pools");
	TAP_EQ(drain_under_use(0, &d), 0, "one of them is drained");
	TAP_OK(d.moved == 3 * EXTENT && !d.left, "all that was on it moved");
	ended("to another", "cbcbcb");
}

static void to_its_own(void)
{
	begin(2);
	leave(2, 0);
	TAP_EQ(drain_under_use(0, NULL), 0, "there is room on its own pools only");
	TAP_EQ(sysfs_number("hmem", "r", "spread"), 1, "it stays what it is");
	ended("to its own", "bbbbbb");
}

/* From @nr pools; of the two others one has room for so many extents, and the other for so many. */
static void to_two(int nr, int one, int other, const char *what, const char *drawing)
{
	begin(nr);
	leave(1, one);
	leave(2, other);
	TAP_EQ(pool_drain(control, pmem[0], 0, NULL), 0, "%s: each has room for a part", what);
	must(region_destroy(control, "x1"), "destroy");
	must(region_destroy(control, "x2"), "destroy");
	ended(what, drawing);
}

/* Of what is on the first pool all moves but extent 2. */
static void drain_half(int i)
{
	struct hmem_pool_drain d;
	struct iovec iov;
	int fd = must_open("r", O_RDWR), pin[2];
	char *p = must_map(fd, EXTENTS * EXTENT);

	iov = (struct iovec){ p + 2 * EXTENT, 4096 };
	if (pipe2(pin, O_CLOEXEC) || vmsplice(pin[1], &iov, 1, 0) != 4096)
		tap_bail("vmsplice: %s", strerror(errno));
	if (pool_drain(control, pmem[i], 0, &d) != -EBUSY || d.held != 2 * EXTENT ||
	    d.left != EXTENT)
		tap_bail("it is not held up");
	close(pin[0]);
	close(pin[1]);
	munmap(p, EXTENTS * EXTENT);
	close(fd);
}

static void halfway(void)
{
	begin(2);
	drain_half(0);
	TAP_STR_EQ(pmem_draw_region("r", EXTENTS), "cbabcb", "halfway: some of it has moved");
	TAP_EQ(region_resize(control, "r", 2 * EXTENT), -EBUSY, "halfway: it does not shrink");
	TAP_EQ(region_resize(control, "r", 9 * EXTENT), -EBUSY, "halfway: nor grow");
	TAP_EQ(pool_drain(control, pmem[1], 0, NULL), -EBUSY, "halfway: nor leave another pool");
	for (int i = 0; i < 2; i++)
		must(pool_drain(control, pmem[i], HMEM_DRAIN_STOP, NULL), "stop");
	TAP_EQ(pool_drain(control, pmem[2], 0, NULL), -EBUSY, "halfway: nor one that it comes to");
	must(pool_drain(control, pmem[2], HMEM_DRAIN_STOP, NULL), "stop");
	for (int order = 0; order < 6; order++) {
		/* Where it is, and where it is still. */
		put(0, 2000 + order);
		detach_all(order + 1);
		attach(pmem_order(order)[0]);
		attach(pmem_order(order)[1]);
		TAP_OK(hidden(), "halfway, order %d: all three pools are needed", order);
		attach(pmem_order(order)[2]);
		TAP_OK(whole_but(0, 2000 + order), "halfway, order %d: then it is there", order);
		TAP_STR_EQ(pmem_draw_region("r", EXTENTS), "cbabcb", "halfway, order %d: where it was", order);
	}
	put(0, 1000);
	TAP_EQ(drain_under_use(0, NULL), 0, "halfway: it goes on");
	ended("halfway", "cbcbcb");
}

static void given_up(void)
{
	begin(2);
	drain_half(0);
	TAP_EQ(region_destroy(control, "r"), 0, "given up: halfway it is destroyed");
	TAP_OK(all_free(), "given up: all is free");
	detach_all(1);
	for (int gone = 0; gone < PMEMS; gone++) {
		begin(2);
		drain_half(0);
		must(pool_detach(control, pmem[gone]), "detach");
		TAP_EQ(region_destroy(control, "r"), 0, "given up: without pool %d", gone);
		attach(gone);
		TAP_OK(all_free(), "given up: which then has nothing either");
		detach_all(gone);
	}
}

static void no_room(void)
{
	struct hmem_pool_drain d;

	begin(2);
	leave(1, 1);
	leave(2, 1);
	TAP_EQ(pool_drain(control, pmem[0], 0, &d), -ENOSPC, "no room: it stays");
	TAP_OK(!d.state && d.left == 3 * EXTENT && whole(), "no room: and nothing is begun");
	detach_all(0);
}

/* The last: decoders are given anew from there on only. */
static void lost(int gone)
{
	int fd;
	char *p;

	begin(2);
	drain_half(0);
	fd = must_open("r", O_RDWR);
	p = must_map(fd, EXTENTS * EXTENT);
	cxl_end(pmem[gone]);
	TAP_OK(touch_read(p) == SIGBUS && touch_read(p + EXTENT) == SIGBUS && hidden(),
	       "lost, pool %d: while it moves it is there with all its pools or not", gone);
	munmap(p, EXTENTS * EXTENT);
	close(fd);
	must_pmem(gone);
	attach(gone);
	TAP_OK(whole(), "lost, pool %d: it comes back", gone);
	TAP_EQ(pool_drain(control, pmem[0], 0, NULL), 0, "lost, pool %d: and moves on", gone);
	TAP_OK(whole(), "lost, pool %d: to the end", gone);
	detach_all(3);
}

static void lost_before(void)
{
	struct hmem_pool_drain d;

	begin(3);
	cxl_end(pmem[2]);
	TAP_EQ(pool_drain(control, pmem[0], 0, &d), -ENODEV, "lost before: nothing of it moves");
	TAP_OK(!d.state, "lost before: and nothing is begun");
	must_pmem(2);
	attach(2);
	TAP_EQ(pool_drain(control, pmem[0], 0, NULL), 0, "lost before: until it is there again");
	TAP_OK(whole(), "lost before: all of it moves then");
	detach_all(4);
}

int main(void)
{
	control = must_begin_cxl();
	touch_catch();
	must_pmems();
	to_another();
	to_its_own();
	to_two(2, 2, 1, "to several", "bbbbcb");
	/* What is on one pool alone goes to several when no one has room for it. */
	to_two(1, 4, 3, "alone", "bbbbcc");
	halfway();
	given_up();
	no_room();
	lost_before();
	lost(2);
	pmems_end();
	return tap_done();
}
