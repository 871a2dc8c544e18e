// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bad memory and extents that the policy has split: a page goes, or stays, alone.
 *
 * hmem-test: topology=mixed kernels=lts,newest timeout=240
 */
#include "poison.h"
#include "splitting.h"

#define EXTENTS		4
#define LENGTH		(EXTENTS * EXTENT)
#define PATIENCE	patience(60)

static const char *kind;
static int fd;
static char *p;

/* A near page that was only read: the home has what it had. */
static void clean_page(void)
{
	uint64_t at = hot(1), near = near_stats(fd).near;

	TAP_EQ(p[at], 1, "%s: a page that is read", kind);
	/* It says -EBUSY, since it knows of no way to take such a page away. */
	kernel_poison(pfn_of(p + at));
	/* The module hears of it a little later, and then it is no longer near. */
	for (int i = 0; page_is_near(fd, at) && i < PATIENCE * 100; i++)
		usleep(10000);
	TAP_OK(!page_is_near(fd, at) && near_stats(fd).near == near - PAGE,
	       "%s: it alone is given up", kind);
	TAP_OK(!touch_read(p + at) && p[at] == 1, "%s: and nothing is lost", kind);
	TAP_EQ(poison_list(fd, 0, NULL, 0), 0, "%s: nothing is bad", kind);
}

/* One that was stored to, unless the region is persistent, where a store takes it home. */
static void dirty_page(uint64_t *seq)
{
	uint64_t at = hot(2), pfn;

	TAP_OK(page_is_near(fd, at) && !touch_write(p + at, 9), "%s: a page that is stored to", kind);
	pfn = pfn_of(p + at);
	kernel_poison(pfn);
	await_poison(fd, seq, at);
	TAP_OK(page_fails(p + at, false) && page_fails(p + at, true), "%s: it fails", kind);
	TAP_OK(only_bad(fd, at, PAGE, HMEM_POISONED_DATA), "%s: and is lost", kind);
	TAP_OK(!page_is_near(fd, at) && !touch_read(p + hot(3)) && page_is_near(fd, hot(3)),
	       "%s: the others stay where they are", kind);
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, at, PAGE, NULL), 0, "%s: it is cleared", kind);
	TAP_OK(all_bytes(p + at, PAGE, 0) && !touch_write(p + at, 1), "%s: and used again", kind);
}

/* The home of a near page goes bad. */
static void home_page(bool persistent)
{
	uint64_t at = hot(4);
	struct hmem_migrate m;
	char c = 3;

	must(poison(fd, HMEM_POISON_REPORT, at, PAGE, NULL), "report");
	TAP_OK(page_is_near(fd, at) && !touch_read(p + at) && p[at] == 1,
	       "%s: it is near and goes on", kind);
	TAP_OK(only_bad(fd, at, PAGE, HMEM_POISONED_HOME), "%s: nothing is lost", kind);
	if (persistent) {
		TAP_OK(page_fails(p + at, true), "%s: but cannot be stored to", kind);
		TAP_EQ(pwrite(fd, &c, 1, at), -1, "%s: nor written", kind);
	} else {
		TAP_EQ(touch_write(p + at, 2), 0, "%s: it can be stored to", kind);
		TAP_EQ(pwrite(fd, &c, 1, at), 1, "%s: and written", kind);
	}
	must(migrate(fd, 0, EXTENT, HMEM_HOME, &m), "migrate");
	TAP_EQ(m.pages[HMEM_MOVED_POISONED], EXTENT / PAGE, "%s: it cannot go home", kind);
	TAP_OK(!touch_read(p + at) && p[at] == (persistent ? 1 : 3), "%s: and has what it had", kind);
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, at, PAGE, NULL), 0, "%s: its home is cleared", kind);
	must(migrate(fd, 0, EXTENT, HMEM_HOME, &m), "migrate");
	TAP_OK(!m.pages[HMEM_MOVED_POISONED] && !touch_read(p + at) &&
	       p[at] == (persistent ? 1 : 3), "%s: then it goes", kind);
}

/* A page at home goes bad: it does not come near, and its extent does. */
static void cold_page(void)
{
	uint64_t at = 2 * EXTENT + PAGE;
	char page[2 * PAGE];

	TAP_OK(!page_is_near(fd, at), "%s: a page at home", kind);
	must(poison(fd, HMEM_POISON_REPORT, at, PAGE, NULL), "report");
	TAP_OK(page_fails(p + at, false) && !touch_read(p + at + PAGE) && !touch_read(p + at - PAGE),
	       "%s: it fails, and its neighbours do not", kind);
	TAP_EQ(pread(fd, page, sizeof(page), at - PAGE), PAGE, "%s: read(2) ends before it", kind);
	TAP_EQ(pread(fd, page, sizeof(page), at), -1, "%s: and fails there", kind);
	/* There is room for one extent. */
	move_extents(fd, 0, EXTENTS, HMEM_HOME);
	TAP_EQ(move_extents(fd, 2, 1, HMEM_NEAR), 1, "%s: its extent comes near", kind);
	TAP_OK(page_fails(p + at, false) && !touch_read(p + at + PAGE), "%s: where it fails", kind);
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, at, PAGE, NULL), 0, "%s: it is cleared", kind);
	TAP_OK(all_bytes(p + at, PAGE, 0), "%s: and reads as zeroes", kind);
}

static void checks(int control, const struct pool *pool)
{
	uint64_t seq = 0;

	kind = pool->kind;
	must(region_create(control, "bad", pool->name, LENGTH), "create");
	fd = must_open("bad", O_RDWR);
	must(near_max_set(fd, EXTENT), "near_max");
	p = must_map(fd, LENGTH);
	memset(p, 1, LENGTH);
	bus_catch();
	split_all(fd, p, EXTENTS);
	clean_page();
	if (!pool->persistent)
		dirty_page(&seq);
	home_page(pool->persistent);
	cold_page();
	munmap(p, LENGTH);
	close(fd);
	must(region_destroy(control, "bad"), "destroy");
}

int main(void)
{
	int control = must_begin_cxl();

	on_every_pool(control, 32 * MIB, checks);
	return tap_done();
}
