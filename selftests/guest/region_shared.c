// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions over several persistent pools: where their extents are, that they come back whole in
 * whichever order their pools do, what is seen of them meanwhile, and what becomes of them when
 * a pool goes under them, or does not come back.
 *
 * hmem-test: topology=pmem3 timeout=240
 */
#include "near.h"
#include "pmems.h"
#include "poison.h"

static int control;
static int64_t all[PMEMS];

static void attach(int i)
{
	must(pool_attach_cxl(control, pmem[i], 0, NULL), "attach");
}

static void detach(int i)
{
	must(pool_detach(control, pmem[i]), "detach");
}

static void attach_all(int order)
{
	for (int i = 0; i < PMEMS; i++)
		attach(pmem_order(order)[i]);
}

static void detach_all(int order)
{
	for (int i = 0; i < PMEMS; i++)
		detach(pmem_order(order)[i]);
}

static int create(const char *name, unsigned int flags, unsigned int nr, int extents)
{
	const char *const names[] = { pmem[0], pmem[1], pmem[2] };

	return region_create_over(control, name, flags, names, nr, extents * EXTENT);
}

/* Each extent says which it is; durable, as nothing here is killed. */
static void mark(int from, int to)
{
	int fd = must_open("r", O_RDWR);

	for (int i = from; i < to; i++) {
		unsigned int word = 1000 + i;

		if (pwrite(fd, &word, sizeof(word), i * EXTENT + 8192) != sizeof(word))
			tap_bail("write: %s", strerror(errno));
	}
	close(fd);
}

static bool marked(int from, int to, int end)
{
	int fd = region_open("r", O_RDONLY);
	bool good = fd >= 0;

	for (int i = 0; good && i < end; i++) {
		unsigned int word = 1;

		good = pread(fd, &word, sizeof(word), i * EXTENT + 8192) == sizeof(word) &&
		       word == (i >= from && i < to ? 1000U + i : 0);
		if (!good)
			tap_diag("extent %d holds %u", i, word);
	}
	if (fd >= 0)
		close(fd);
	return good;
}

/* An attribute of what a pool withholds of the region. */
static const char *withheld(int pool, const char *attribute)
{
	char name[2 * HMEM_NAME_LEN + 2];

	snprintf(name, sizeof(name), "%s:r", pmem[pool]);
	return sysfs_text("hmem_withheld", name, attribute);
}

static bool is_text(const char *found, const char *format, ...)
{
	char text[4096];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (strcmp(found, text))
		tap_diag("\"%s\", not \"%s\"", found, text);
	return !strcmp(found, text);
}

static bool nothing_withheld(void)
{
	return class_names("hmem_withheld", NULL, 0) == 0;
}

static bool all_free(void)
{
	for (int i = 0; i < PMEMS; i++)
		if (pool_free(pmem[i]) != all[i] ||
		    sysfs_number("hmem_pool", pmem[i], "regions") != 0)
			return false;
	return nothing_withheld();
}

static void uuid_of(int pool, char uuid[64])
{
	snprintf(uuid, 64, "%.63s", sysfs_text("hmem_pool", pmem[pool], "uuid"));
}

static void spread(void)
{
	char identity[64], pools[256];
	struct hmem_region_query info;
	int64_t left[PMEMS];
	int fd;

	TAP_EQ(create("r", HMEM_CREATE_SPREAD | HMEM_CREATE_LONG_TERM_PINS, 3, 10), 0, "spread");
	mark(0, 9);
	TAP_STR_EQ(pmem_draw_region("r", 10), "abcabcabca", "spread: in turn");
	snprintf(identity, sizeof(identity), "%.63s", sysfs_text("hmem", "r", "uuid"));
	snprintf(pools, sizeof(pools), "%.60s %.60s %.60s", pmem[0], pmem[1], pmem[2]);
	for (int i = 0; i < PMEMS; i++)
		left[i] = pool_free(pmem[i]);
	for (int order = 0; order < 6; order++) {
		detach_all(order + 3);
		attach(pmem_order(order)[0]);
		attach(pmem_order(order)[1]);
		TAP_EQ(region_open("r", O_RDONLY), -ENOENT, "order %d: nobody sees two thirds", order);
		attach(pmem_order(order)[2]);
		TAP_OK(marked(0, 9, 10), "order %d: then all of it is there", order);
		TAP_STR_EQ(pmem_draw_region("r", 10), "abcabcabca", "order %d: where it was", order);
		TAP_OK(nothing_withheld(), "order %d: nothing is withheld any more", order);
		TAP_OK(pool_free(pmem[0]) == left[0] && pool_free(pmem[1]) == left[1] &&
		       pool_free(pmem[2]) == left[2], "order %d: what it has is nobody else's",
		       order);
	}
	TAP_STR_EQ(sysfs_text("hmem", "r", "uuid"), identity, "spread: it is the same region");
	TAP_STR_EQ(sysfs_text("hmem", "r", "pools"), pools, "spread: its pools in their order");
	TAP_EQ(sysfs_number("hmem", "r", "spread"), 1, "spread: and still spread");
	TAP_EQ(sysfs_number("hmem", "r", "long_term_pins"), 1, "spread: for long-term pins");
	fd = must_open("r", O_RDONLY);
	TAP_OK(!region_info(fd, &info) && info.state & HMEM_REGION_PERSISTENT, "spread: persistent");
	close(fd);
	TAP_EQ(region_resize(control, "r", 12 * EXTENT), 0, "spread: grows");
	TAP_STR_EQ(pmem_draw_region("r", 12), "abcabcabcabc", "spread: and goes on");
	TAP_EQ(region_resize(control, "r", 5 * EXTENT), 0, "spread: shrinks");
	TAP_OK(pool_free(pmem[0]) == all[0] - 2 * (int64_t)EXTENT &&
	       pool_free(pmem[2]) == all[2] - (int64_t)EXTENT,
	       "spread: each gets back what is its own");
	detach_all(1);
	attach_all(4);
	TAP_EQ(region_resize(control, "r", 8 * EXTENT), 0, "spread: grows again");
	TAP_OK(marked(0, 5, 8), "spread: what was cut off is zeroes");
	TAP_STR_EQ(pmem_draw_region("r", 8), "abcabcab", "spread: from where it was");
	TAP_EQ(region_destroy(control, "r"), 0, "spread: destroyed");
	TAP_OK(all_free(), "spread: all is given back");
	detach_all(2);
	attach_all(2);
	TAP_OK(all_free(), "spread: for good");
}

/* From one pool to the next and back. */
static void fill(void)
{
	must(region_create(control, "x", pmem[0], all[0] - 2 * EXTENT), "create");
	TAP_EQ(create("r", HMEM_CREATE_FILL, 2, 1), 0, "fill: on one pool");
	TAP_EQ(region_resize(control, "r", 5 * EXTENT), 0, "fill: grows to the next");
	mark(0, 5);
	TAP_STR_EQ(pmem_draw_region("r", 5), "aabbb", "fill: one after the other");
	detach_all(0);
	attach_all(1);
	TAP_OK(marked(0, 5, 5), "fill: comes back");
	TAP_EQ(sysfs_number("hmem", "r", "spread"), 0, "fill: and is not spread");
	TAP_EQ(region_resize(control, "r", 7 * EXTENT), 0, "fill: grows where it is");
	TAP_EQ(region_resize(control, "r", 2 * EXTENT), 0, "fill: shrinks to one");
	TAP_EQ(pool_free(pmem[1]), all[1], "fill: the other is empty");
	must(region_destroy(control, "x"), "destroy");
	detach_all(0);
	attach(0);
	TAP_OK(marked(0, 2, 2), "fill: and is not needed any more");
	attach(1);
	attach(2);
	TAP_EQ(region_resize(control, "r", 3 * EXTENT), 0, "fill: grows on what it has");
	TAP_STR_EQ(pmem_draw_region("r", 3), "aaa", "fill: that is one pool");
	TAP_EQ(pool_drain(control, pmem[0], 0, NULL), 0, "fill: which can be drained");
	must(pool_drain(control, pmem[0], HMEM_DRAIN_STOP, NULL), "stop");
	TAP_OK(marked(0, 2, 3), "fill: with its data");
	must(region_destroy(control, "r"), "destroy");
	TAP_OK(all_free(), "fill: all is given back");
}

/* What is seen while it is not there. */
static void waits(void)
{
	char uuid[PMEMS][64], identity[64];
	int fd;

	must(create("r", HMEM_CREATE_SPREAD, 3, 6), "create");
	mark(0, 6);
	snprintf(identity, sizeof(identity), "%.63s", sysfs_text("hmem", "r", "uuid"));
	for (int i = 0; i < PMEMS; i++)
		uuid_of(i, uuid[i]);
	fd = must_open("r", O_RDWR);
	TAP_EQ(pool_detach(control, pmem[1]), -EBUSY, "a pool of it stays while it is open");
	close(fd);
	TAP_EQ(pool_detach(control, pmem[1]), 0, "and then goes");
	TAP_EQ(region_open("r", O_RDWR), -ENOENT, "without it there is no region");
	TAP_EQ(class_names("hmem_withheld", NULL, 0), 2, "the other two withhold it");
	TAP_OK(is_text(withheld(0, "why"), "missing"), "and say why");
	TAP_OK(is_text(withheld(0, "missing"), "%s", uuid[1]), "which pool is missing");
	TAP_OK(is_text(withheld(2, "missing"), "%s", uuid[1]), "the other one says the same");
	TAP_OK(is_text(withheld(0, "pools"), "%s %s %s", uuid[0], uuid[1], uuid[2]), "which there are");
	TAP_OK(is_text(withheld(0, "uuid"), "%s", identity), "which region it is");
	TAP_OK(is_text(withheld(0, "region"), "r"), "what it is called");
	TAP_OK(is_text(withheld(2, "pool"), "%s", pmem[2]), "where that is");
	TAP_OK(is_text(withheld(2, "size"), "%llu", (unsigned long long)6 * EXTENT), "its size");
	TAP_EQ(region_create(control, "r", pmem[0], EXTENT), -EEXIST, "its name stays taken");
	TAP_EQ(region_resize(control, "r", EXTENT), -ENOENT, "it has no size to change");
	TAP_EQ(pool_drain(control, pmem[0], 0, NULL), -EBUSY, "what is there of it is not drained");
	detach(0);
	TAP_OK(is_text(withheld(2, "missing"), "%s %s", uuid[0], uuid[1]), "two are missing");
	attach(1);
	TAP_OK(is_text(withheld(1, "missing"), "%s", uuid[0]), "one is");
	attach(0);
	TAP_OK(marked(0, 6, 6) && nothing_withheld(), "none is, and it is there");
}

/* One pool does not come back: the others get their room, and so does it. */
static void given_up(int keep, int gone)
{
	detach(gone);
	TAP_EQ(region_destroy(control, "r"), 0, "without pool %d: it is destroyed", gone);
	TAP_OK(nothing_withheld() && pool_free(pmem[keep]) == all[keep],
	       "without pool %d: the others have their room", gone);
	TAP_EQ(region_destroy(control, "r"), -ENOENT, "without pool %d: once", gone);
	attach(gone);
	TAP_OK(all_free(), "without pool %d: which has its own when it comes", gone);
	detach_all(0);
	attach_all(1);
	TAP_OK(all_free(), "without pool %d: for good", gone);
	must(create("r", HMEM_CREATE_SPREAD, 3, 6), "create");
	mark(0, 6);
}

/* Somebody else has its name when it comes. */
static void namesake(void)
{
	detach_all(0);
	must(pool_attach_ram(control, "ram", 2 * EXTENT), "attach");
	must(region_create(control, "r", "ram", EXTENT), "create");
	attach_all(0);
	TAP_OK(is_text(withheld(2, "why"), "name") && is_text(withheld(2, "missing"), ""),
	       "another region has its name");
	TAP_EQ(region_destroy(control, "r"), -EEXIST, "which of the two is destroyed nobody guesses");
	detach_all(0);
	TAP_EQ(region_destroy(control, "r"), 0, "alone the other one is");
	attach_all(0);
	TAP_OK(marked(0, 6, 6), "and it is there when its pools come");
	must(pool_detach(control, "ram"), "detach");
}

/* What was lost of an extent when its pool went is not lost any more when that says it is good. */
static void good_again(int fd, char *p, uint64_t was_bad)
{
	uint64_t bad = was_bad + PAGE;

	TAP_EQ(poison_list(fd, 0, (struct hmem_poison_range[1]){}, 1), 0,
	       "lost: no page is bad that the pool does not say is");
	must(poison(fd, HMEM_POISON_REPORT, bad, PAGE, NULL), "report");
	TAP_OK(only_bad(fd, bad, PAGE, HMEM_POISONED_DATA | HMEM_POISONED_HOME) &&
	       touch_read(p + bad) == SIGBUS && !touch_read(p + was_bad),
	       "lost: another page goes bad alone");
	must(poison(fd, HMEM_POISON_CLEAR, bad, PAGE, NULL), "clear");
}

/* Under who uses it. The last one: the bridge's decoders can be given anew from there on only. */
static void lost(void)
{
	int fd = must_open("r", O_RDWR);
	char *p = must_map(fd, 6 * EXTENT), page[8];
	uint64_t bad = 5 * EXTENT + 7 * PAGE;
	struct hmem_migrate m;

	must(near_max_set(fd, 6 * EXTENT), "near_max");
	must(poison(fd, HMEM_POISON_REPORT, bad, PAGE, NULL), "report");
	must(migrate(fd, 0, 0, HMEM_NEAR, &m), "near");
	TAP_OK(only_bad(fd, bad, PAGE, HMEM_POISONED_DATA | HMEM_POISONED_HOME),
	       "lost: a page of what goes is bad");
	cxl_end(pmem[2]);
	TAP_OK(touch_read(p + 2 * EXTENT + 8192) == SIGBUS && touch_write(p + 5 * EXTENT, 1) == SIGBUS,
	       "lost: what was on the pool fails");
	TAP_OK(pread(fd, page, 8, 2 * EXTENT) == -1 && errno == ENODEV, "lost: for calls as well");
	TAP_OK(*(unsigned int *)(p + 8192) == 1000 && *(unsigned int *)(p + 4 * EXTENT + 8192) == 1004,
	       "lost: the rest is there");
	TAP_EQ(sysfs_number("hmem", "r", "lost"), 2 * (int64_t)EXTENT, "lost: sysfs says how much");
	TAP_OK(nothing_withheld(), "lost: nothing is withheld");
	TAP_EQ(region_resize(control, "r", 9 * EXTENT), -ENODEV, "lost: it does not grow");
	TAP_EQ(region_resize(control, "r", 3 * EXTENT), -ENODEV, "lost: nor shrink");
	*(unsigned int *)(p + EXTENT + 12288) = 7;
	TAP_EQ(fsync(fd), 0, "lost: the rest is made durable");
	must_pmem(2);
	attach(2);
	TAP_EQ(sysfs_number("hmem", "r", "lost"), 0, "lost: its pool comes back");
	TAP_OK(*(volatile unsigned int *)(p + 2 * EXTENT + 8192) == 1002 &&
	       pread(fd, page, 4, 5 * EXTENT + 8192) == 4 && *(unsigned int *)page == 1005,
	       "lost: and so does what was there, under who has it mapped");
	TAP_OK(touch_write(p + 5 * EXTENT, 1) == 0, "lost: for storing as well");
	good_again(fd, p, bad);
	TAP_OK(nothing_withheld(), "lost: the pool withholds nothing");
	TAP_EQ(region_resize(control, "r", 9 * EXTENT), 0, "lost: and it grows");
	TAP_EQ(near_max_set(fd, 0), 0, "lost: all goes home");
	munmap(p, 6 * EXTENT);
	close(fd);
	TAP_STR_EQ(pmem_draw_region("r", 9), "abcabcabc", "lost: on all its pools");
	detach_all(3);
	attach_all(5);
	TAP_OK(marked(0, 6, 9), "lost: it is whole afterwards");
}

/* Destroyed while one of its pools is gone, which comes back afterwards. */
static void lost_for_good(void)
{
	cxl_end(pmem[2]);
	TAP_EQ(sysfs_number("hmem", "r", "lost"), 3 * (int64_t)EXTENT, "for good: its last pool");
	TAP_EQ(region_destroy(control, "r"), 0, "for good: it can be destroyed");
	TAP_OK(pool_free(pmem[0]) == all[0] && pool_free(pmem[1]) == all[1],
	       "for good: the others have their room");
	must_pmem(2);
	attach(2);
	TAP_OK(all_free(), "for good: and so has the one that came back after all");
}

/* All of them go, one after the other. */
static void all_lost(void)
{
	int fd;

	must(create("r", HMEM_CREATE_SPREAD, 3, 6), "create");
	mark(0, 6);
	fd = must_open("r", O_RDWR);
	for (int i = PMEMS - 1; i >= 0; i--)
		cxl_end(pmem[i]);
	TAP_EQ(region_open("r", O_RDWR), -ENOENT, "all pools are gone, and so is the region");
	close(fd);
	for (int i = 0; i < PMEMS; i++)
		must_pmem(i);
	attach_all(3);
	TAP_OK(marked(0, 6, 6), "they come back, and it does");
	/* One is lost, another one detached. */
	cxl_end(pmem[2]);
	detach(0);
	TAP_EQ(region_open("r", O_RDWR), -ENOENT, "one is lost, one detached: it is not there");
	TAP_EQ(class_names("hmem_withheld", NULL, 0), 1, "the third withholds it");
	must_pmem(2);
	attach(2);
	attach(0);
	TAP_OK(marked(0, 6, 6) && nothing_withheld(), "both come back, and so does the region");
	must(region_destroy(control, "r"), "destroy");
	TAP_OK(all_free(), "it is destroyed then");
}

int main(void)
{
	control = must_begin_cxl();
	touch_catch();
	must_pmems();
	for (int i = 0; i < PMEMS; i++) {
		must(pool_attach_cxl(control, pmem[i], HMEM_ATTACH_FORMAT, NULL), "format");
		all[i] = pool_free(pmem[i]);
	}
	spread();
	fill();
	waits();
	for (int i = 0; i < PMEMS; i++)
		given_up((i + 1) % PMEMS, i);
	namesake();
	lost();
	lost_for_good();
	all_lost();
	sweep(control);
	pmems_end();
	return tap_done();
}
