// SPDX-License-Identifier: GPL-2.0-only
/*
 * The power goes at each write of a superblock copy while a region over several persistent pools
 * is made, grows, shrinks, leaves a pool and is destroyed; and goes again while its pools come back. In
 * whichever order they do, the region is then as it was before the command or as it is after it,
 * with its data, no extent is lost to anybody, and what was seen once stays so.
 *
 * From the n-th write on nothing of a superblock copy reaches the memory, or half of the n-th
 * does; tags and data are not held up. Superblocks are put back by hand as well, to make what no
 * loss of power can.
 *
 * hmem-test: topology=pmem3 kernels=newest long=lts timeout=400
 */
#include "inject.h"
#include "pmems.h"

#define WRITE		"__memcpy_flushcache"
#define COPY_B		(1UL << 20)
#define COPY_USED	8192	/* header and as much of the table as this test fills */

static int control, memory;
static int64_t all;
static unsigned char copies[PMEMS][2][COPY_USED];

/* The superblocks of a pool, while nobody has claimed its memory: kept, or put back. */
static void media(int pool, bool put, int from)
{
	for (int i = 0; i < 2; i++) {
		unsigned char *p = mmap(NULL, COPY_USED, PROT_READ | PROT_WRITE, MAP_SHARED, memory,
					pmem_start[pool] + i * COPY_B);

		if (p == MAP_FAILED)
			tap_bail("mmap of /dev/mem: %s", strerror(errno));
		if (put)
			memcpy(p, copies[from][i], COPY_USED);
		else
			memcpy(copies[from][i], p, COPY_USED);
		munmap(p, COPY_USED);
	}
}

static int attach(int order)
{
	int rc = 0;

	for (int i = 0; i < PMEMS && !rc; i++)
		rc = pool_attach_cxl(control, pmem[pmem_order(order)[i]], 0, NULL);
	return rc;
}

static void detach(void)
{
	for (int i = 0; i < PMEMS; i++)
		pool_detach(control, pmem[i]);
}

static void put(int from, int to)
{
	int fd = must_open("r", O_RDWR);

	for (int i = from; i < to; i++) {
		unsigned int word = 100 + i;

		if (pwrite(fd, &word, sizeof(word), i * EXTENT + 4096) != sizeof(word))
			tap_bail("write: %s", strerror(errno));
	}
	close(fd);
}

/* The region's extents; 0: there is none; -1: something is wrong with it. */
static int look(int stored)
{
	int64_t size = sysfs_number("hmem", "r", "size"), used = 0;
	int extents = size < 0 ? 0 : size / (int64_t)EXTENT, fd;

	for (int i = 0; i < PMEMS; i++)
		used += all - pool_free(pmem[i]);
	if (used != extents * (int64_t)EXTENT || class_names("hmem_withheld", NULL, 0)) {
		tap_diag("%d extents, %lld bytes taken, %d withheld", extents, (long long)used,
			 class_names("hmem_withheld", NULL, 0));
		return -1;
	}
	if (!extents)
		return 0;
	fd = must_open("r", O_RDONLY);
	for (int i = 0; i < extents; i++) {
		unsigned int word = 1;

		if (pread(fd, &word, sizeof(word), i * EXTENT + 4096) != sizeof(word) ||
		    word != (i < stored ? 100U + i : 0)) {
			tap_diag("extent %d holds %u", i, word);
			extents = -1;
		}
	}
	close(fd);
	return extents;
}

/* A command on a region of so many extents, spread over the first so many pools. */
static const struct command {
	const char *name;
	int pools, before, after;
	bool fill;	/* on one pool after the other, of which the first has room for two */
	bool brief;	/* in make check as well */
} commands[] = {
	{ "create on two", 2, 0, 4, false, false },
	{ "create on three", 3, 0, 7, false, true },
	{ "grow on three", 3, 4, 8, false, false },
	{ "grow from one to three", 3, 1, 6, false, true },
	{ "grow from two to three", 3, 2, 5, false, true },
	{ "grow from one to two", 2, 2, 4, true, false },
	{ "shrink on three", 3, 8, 4, false, false },
	{ "shrink from three to two", 3, 6, 2, false, true },
	{ "shrink from three to one", 3, 6, 1, false, false },
	{ "destroy on three", 3, 5, 0, false, true },
};

static int create(const struct command *c, int extents)
{
	const char *const names[] = { pmem[0], pmem[1], pmem[2] };

	return region_create_over(control, "r", c->fill ? HMEM_CREATE_FILL : HMEM_CREATE_SPREAD,
				  names, c->pools, extents * EXTENT);
}

/* Empty pools, and the region as it is before the command, with data in all of it. */
static void begin(const struct command *c)
{
	for (int i = 0; i < PMEMS; i++)
		must(pool_attach_cxl(control, pmem[i], HMEM_ATTACH_FORMAT, NULL), "format");
	all = pool_free(pmem[0]);
	if (c->fill)
		must(region_create(control, "x", pmem[0], all - 2 * EXTENT), "create");
	if (c->before) {
		must(create(c, c->before), "create");
		put(0, c->before);
	}
}

static int run(const struct command *c)
{
	if (!c->before)
		return create(c, c->after);
	if (!c->after)
		return region_destroy(control, "r");
	return region_resize(control, "r", c->after * EXTENT);
}

/* The command with the power going at the n-th write. Return: writes that it came too late for. */
static int once(const struct command *c, const char *how, int n)
{
	int writes;

	begin(c);
	inject(WRITE " %s %d 0 hmem 0", how, n);
	must(run(c), c->name);
	writes = inject_look(WRITE);
	detach();
	inject("\n");
	return writes;
}

/* The power goes at the m-th write while the pools come back. */
static void again(int order, int m)
{
	inject(WRITE " 0 %d 0 hmem 0", m);
	must(attach(order), "attach");
	detach();
	inject("\n");
}

/* What is there afterwards; @seen: what was there before, or -1. */
static int check(const struct command *c, int order, int seen)
{
	int rc = attach(order), extents;

	/* The filler is no part of it. */
	if (c->fill && !rc)
		must(region_destroy(control, "x"), "destroy");
	extents = rc ? -1 : look(c->before);
	if (extents != c->before && extents != c->after)
		extents = -1;
	if (seen >= 0 && extents != seen)
		extents = -1;
	if (c->fill && !rc)
		must(region_create(control, "x", pmem[0], pool_free(pmem[0])), "create");
	if (extents < 0)
		tap_diag("order %d: attach says %d, before %d", order, rc, seen);
	detach();
	return extents;
}

static void power_goes(const struct command *c, const char *how, int step)
{
	int n = 1, wrong = 0, before = 0, after = 0;

	for (; once(c, how, n); n += step) {
		int seen;

		/* Once more on the way back, at another write each time. */
		if (n % 2)
			again(n + 1, 1 + n % 7);
		seen = check(c, n, -1);
		wrong += seen < 0;
		if (n % 2)
			wrong += check(c, n + 3, seen) < 0;
		before += seen == c->before;
		after += seen == c->after;
	}
	TAP_EQ(wrong, 0, "%s, %s: before or after, never neither", c->name, how);
	/* The first copy of the last pool is what some commands come to count by. */
	TAP_OK(n > 4 && (step > 1 || (before && after)), "%s, %s: %d writes, %d times before, %d after", c->name,
	       how, n - 1, before, after);
}

/* The first pool is drained, and so many extents are left to the region on each of the others. */
static const struct drain {
	const char *name;
	int pools, extents;	/* that it is on, and has */
	int room[PMEMS];	/* 0: what there is */
	int begun;		/* writes after which all pools say that it is on its way */
	bool brief;
} drains[] = {
	{ "leaves two for another", 2, 4, { 0, 0, 0 }, 6, true },
	{ "leaves three", 3, 6, { 0, 0, 0 }, 6, false },
	{ "leaves two for the other", 2, 4, { 0, 0, 1 }, 4, false },
	{ "leaves two for several", 2, 6, { 0, 1, 2 }, 6, true },
	{ "leaves one for several", 1, 4, { 0, 3, 2 }, 6, false },
};

static void begin_drain(const struct drain *d)
{
	const struct command c = { "", d->pools, d->extents, 0, false, false };

	begin(&c);
	for (int i = 0; i < PMEMS; i++)
		if (d->room[i])
			must(region_create(control, i == 1 ? "y" : "z", pmem[i],
					   pool_free(pmem[i]) - d->room[i] * EXTENT), "create");
}

/* What is stored when it is on its way, and there. */
static void store_late(void)
{
	int fd = must_open("r", O_RDWR);

	for (int i = 0; i < 4; i++)
		if (pwrite(fd, "late", 4, i * EXTENT + 12288) != 4)
			tap_bail("write: %s", strerror(errno));
	close(fd);
}

static bool is_late(bool expected)
{
	int fd = region_open("r", O_RDONLY), found = 0;
	char text[4];

	if (fd < 0)
		return false;
	for (int i = 0; i < 4; i++)
		found += pread(fd, text, 4, i * EXTENT + 12288) == 4 && !memcmp(text, "late", 4);
	close(fd);
	return found == (expected ? 4 : 0);
}

static int drain_once(const struct drain *d, const char *how, int n)
{
	int writes;

	begin_drain(d);
	inject(WRITE " %s %d 0 hmem 0", how, n);
	must(pool_drain(control, pmem[0], 0, NULL), d->name);
	if (n > d->begun)
		store_late();
	writes = inject_look(WRITE);
	detach();
	inject("\n");
	return writes;
}

/* It is whole, and can leave the pool, or has; and is whole then, also without that. */
static bool drains_on(const struct drain *d, int order, bool late)
{
	int rc = attach(order), extents;

	if (rc || !is_late(late) || (rc = pool_drain(control, pmem[0], 0, NULL))) {
		tap_diag("order %d: %s", order, rc ? strerrorname_np(-rc) : "not stored");
		detach();
		return false;
	}
	for (int i = 1; i < PMEMS; i++)
		if (d->room[i])
			must(region_destroy(control, i == 1 ? "y" : "z"), "destroy");
	extents = look(d->extents);
	rc = pool_free(pmem[0]) != all || !is_late(late);
	detach();
	must(pool_attach_cxl(control, pmem[2 - order % 2], 0, NULL), "attach");
	must(pool_attach_cxl(control, pmem[1 + order % 2], 0, NULL), "attach");
	rc |= !is_late(late) || class_names("hmem_withheld", NULL, 0);
	detach();
	return extents == d->extents && !rc;
}

static void drain_power_goes(const struct drain *d, const char *how, int step)
{
	int n = 1, wrong = 0;

	for (; drain_once(d, how, n); n += step) {
		if (n % 3)
			again(n + 1, 1 + n % 7);
		if (!drains_on(d, n, n > d->begun)) {
			tap_diag("write %d", n);
			wrong++;
		}
	}
	detach();
	TAP_EQ(wrong, 0, "%s, %s: all is there, and the drain goes on", d->name, how);
	TAP_EQ(n, 2 * d->begun + 1, "%s, %s: %d writes", d->name, how, n - 1);
}

/* The table of a pool that has to name one more is full, or fills up while it moves. */
static void full_tables(void)
{
	const struct drain *d = &drains[0];
	int64_t room;

	begin_drain(d);
	room = pool_free(pmem[2]);
	for (int i = 1; i <= PMEMS; i++) {
		inject("hm_store_fits 0 %d 1 hmem 0", i);
		TAP_EQ(pool_drain(control, pmem[0], 0, NULL), -EMFILE, "full, %d: it cannot leave", i);
		inject("\n");
		TAP_OK(pool_free(pmem[2]) == room && !sysfs_number("hmem_pool", pmem[2], "regions"),
		       "full, %d: it has nothing elsewhere", i);
	}
	must(pool_drain(control, pmem[0], HMEM_DRAIN_STOP, NULL), "stop");
	TAP_EQ(look(d->extents), d->extents, "full: it is as it was");
	detach();
	for (int i = 4; i <= 5; i++) {
		begin_drain(d);
		inject("hm_store_write %d %d 0 hmem 0", -EMFILE, i);
		TAP_EQ(pool_drain(control, pmem[0], 0, NULL), -EBUSY,
		       "no record, %d: all has moved, and is not told", i);
		inject("\n");
		store_late();
		TAP_EQ(sysfs_number("hmem_pool", pmem[0], "regions"), 1,
		       "no record, %d: so it is on the first still", i);
		detach();
		TAP_OK(drains_on(d, i, true), "no record, %d: until it can be written", i);
	}
}

/* A pool with a superblock from before: what is on the others contradicts it. */
static void older(void)
{
	const struct command six = { "", 3, 6, 0, false, false };

	begin(&six);
	detach();
	media(1, false, 0);
	must(attach(0), "attach");
	must(region_resize(control, "r", 3 * EXTENT), "shrink");
	must(region_create(control, "x", pmem[1], all - EXTENT), "create");
	must(region_resize(control, "r", 6 * EXTENT), "grow");
	TAP_EQ(pool_free(pmem[1]), 0, "older: the region went elsewhere meanwhile");
	detach();
	media(1, true, 0);
	must(attach(0), "attach");
	TAP_EQ(region_open("r", O_RDONLY), -ENOENT, "older: it stays hidden");
	for (int i = 0; i < PMEMS; i++) {
		char name[2 * HMEM_NAME_LEN];

		snprintf(name, sizeof(name), "%.63s:r", pmem[i]);
		TAP_STR_EQ(sysfs_text("hmem_withheld", name, "why"), "broken",
			   "older: and pool %d says why", i);
	}
	TAP_EQ(region_destroy(control, "r"), 0, "older: it can be destroyed");
	TAP_EQ(look(0), 0, "older: and then nothing is left");
	detach();
}

/* A pool that is another one's copy. */
static void copied(void)
{
	const struct command four = { "", 2, 4, 0, false, false };

	begin(&four);
	detach();
	media(2, false, 2);
	media(0, false, 0);
	media(2, true, 0);
	must(attach(0) == -EEXIST ? 0 : -1, "attach");
	TAP_EQ(pool_free(pmem[2]), -1, "a copy of a pool that is attached is refused");
	TAP_OK(sysfs_number("hmem", "r", "size") == 4 * (int64_t)EXTENT &&
	       pool_free(pmem[0]) == all - 2 * (int64_t)EXTENT, "and the region is as it was");
	detach();
	media(2, true, 2);
}

/* A pool that was formatted anew is another one: what it had is not found on it. */
static void formatted(void)
{
	const struct command six = { "", 3, 6, 0, false, false };

	begin(&six);
	must(pool_detach(control, pmem[1]), "detach");
	must(pool_attach_cxl(control, pmem[1], HMEM_ATTACH_FORMAT, NULL), "format");
	TAP_OK(region_open("r", O_RDONLY) == -ENOENT && class_names("hmem_withheld", NULL, 0) == 2,
	       "one pool is formatted: the others wait for the one that it was");
	TAP_EQ(region_destroy(control, "r"), 0, "until it is destroyed");
	TAP_EQ(look(0), 0, "and then nothing is left");
	detach();
}

int main(void)
{
	control = must_begin_inject();
	must_pmems();
	memory = open("/dev/mem", O_RDWR | O_CLOEXEC);
	if (memory < 0)
		tap_bail("/dev/mem: %s", strerror(errno));
	for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (commands[i].brief || getenv("HMEM_TEST_LONG"))
			power_goes(&commands[i], "0", 1);
		/* Of each pair of copies the first one; the second has an intact one beside it. */
		if (getenv("HMEM_TEST_LONG"))
			power_goes(&commands[i], "half", 2);
	}
	for (unsigned int i = 0; i < sizeof(drains) / sizeof(drains[0]); i++) {
		if (drains[i].brief || getenv("HMEM_TEST_LONG"))
			drain_power_goes(&drains[i], "0", 1);
		if (getenv("HMEM_TEST_LONG"))
			drain_power_goes(&drains[i], "half", 2);
	}
	full_tables();
	older();
	copied();
	formatted();
	close(memory);
	pmems_end();
	return tap_done();
}
