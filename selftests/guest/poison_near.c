// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bad memory and near copies: what is near is not lost with its home, and what was moved
 * around a bad page stays what it was.
 *
 * hmem-test: topology=mixed kernels=lts,newest
 */
#include "poison.h"
#include "near.h"

#define EXTENTS		2
#define LENGTH		(EXTENTS * EXTENT)
#define PAGES		(EXTENT / PAGE)
#define BAD		7ULL
#define OFFSET		(BAD * PAGE)

static const char *kind;
static int fd;
static char *p;

static uint64_t near_bytes(void)
{
	return near_stats(fd).near;
}

/* The home goes bad while the data are near. */
static void home_under_copy(bool persistent)
{
	struct hmem_poison a;
	struct hmem_migrate m;

	memset(p, 1, EXTENT);
	p[OFFSET] = 7;
	must(move_extents(fd, 0, 1, HMEM_NEAR) == 1 ? 0 : -EBUSY, "make a near copy");
	TAP_EQ(p[OFFSET], 7, "%s: the data are near", kind);
	must(poison(fd, HMEM_POISON_REPORT, OFFSET, PAGE, NULL), "report");
	TAP_EQ(touch_read(p + OFFSET) ? 0 : p[OFFSET], 7, "%s: and stay so when the home goes bad",
	       kind);
	TAP_OK(only_bad(fd, OFFSET, PAGE, HMEM_POISONED_HOME), "%s: nothing is lost", kind);
	must(migrate(fd, 0, EXTENT, HMEM_HOME, &m), "migrate");
	TAP_OK(m.pages[HMEM_MOVED_POISONED] == PAGES && near_bytes() == EXTENT,
	       "%s: they cannot go home", kind);
	if (persistent) {
		TAP_OK(page_fails(p + OFFSET, true), "%s: where a store would go", kind);
		TAP_EQ(touch_read(p + OFFSET) ? 0 : p[OFFSET], 7, "%s: they can be read", kind);
	} else {
		TAP_EQ(touch_write(p + OFFSET, 8), 0, "%s: they can be stored to", kind);
		must(migrate(fd, 0, EXTENT, HMEM_HOME, &m), "migrate");
		TAP_EQ(m.pages[HMEM_MOVED_POISONED], PAGES, "%s: and still not go home", kind);
	}
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, OFFSET, PAGE, &a), 0, "%s: the home is cleared", kind);
	TAP_EQ(move_extents(fd, 0, 1, HMEM_HOME), 1, "%s: the copy goes home", kind);
	TAP_OK(p[OFFSET] == (persistent ? 7 : 8) && others_hold(p, BAD, 1) && !near_bytes(),
	       "%s: with all of its data", kind);
}

/* One page lost, another one that only the near copy has: the first can be cleared all the same. */
static void cleared_near(void)
{
	must(poison(fd, HMEM_POISON_REPORT, OFFSET, PAGE, NULL), "report");
	must(move_extents(fd, 0, 1, HMEM_NEAR) == 1 ? 0 : -EBUSY, "make a near copy");
	must(poison(fd, HMEM_POISON_REPORT, EXTENT - PAGE, PAGE, NULL), "report");
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, OFFSET, PAGE, NULL), 0, "%s: cleared near", kind);
	TAP_OK(all_bytes(p + OFFSET, PAGE, 0) && others_hold(p, BAD, 1) && near_bytes() == EXTENT,
	       "%s: it is used again there", kind);
	must(poison(fd, HMEM_POISON_CLEAR, 0, EXTENT, NULL), "clear");
	TAP_EQ(move_extents(fd, 0, 1, HMEM_HOME), 1, "%s: and goes home", kind);
	TAP_OK(all_bytes(p + OFFSET, PAGE, 0) && others_hold(p, BAD, 1), "%s: as it is", kind);
}

/* A store elsewhere drops the read-only copy of a persistent extent. */
static void copy_is_dropped(void)
{
	must(move_extents(fd, 0, 1, HMEM_NEAR) == 1 ? 0 : -EBUSY, "make a near copy");
	must(poison(fd, HMEM_POISON_REPORT, OFFSET, PAGE, NULL), "report");
	TAP_EQ(touch_write(p, 1), 0, "%s: a store elsewhere", kind);
	TAP_EQ(near_bytes(), 0, "%s: drops the copy", kind);
	TAP_OK(page_fails(p + OFFSET, false), "%s: and the page that it had fails", kind);
	TAP_OK(others_hold(p, BAD, 1), "%s: alone", kind);
	must(poison(fd, HMEM_POISON_CLEAR, OFFSET, PAGE, NULL), "clear");
	TAP_OK(all_bytes(p + OFFSET, PAGE, 0), "%s: it is cleared", kind);
}

/* An extent with a bad page is moved. */
static void moved_around(bool persistent)
{
	must(poison(fd, HMEM_POISON_REPORT, OFFSET, PAGE, NULL), "report");
	TAP_OK(page_fails(p + OFFSET, false), "%s: a page is bad", kind);
	TAP_EQ(move_extents(fd, 0, 1, HMEM_NEAR), 1, "%s: its extent comes near", kind);
	TAP_OK(page_fails(p + OFFSET, false) && page_fails(p + OFFSET, true),
	       "%s: where the page fails", kind);
	TAP_OK(near_bytes() == EXTENT && others_hold(p, BAD, 1), "%s: alone", kind);
	TAP_OK(only_bad(fd, OFFSET, PAGE, HMEM_POISONED_DATA | HMEM_POISONED_HOME),
	       "%s: it is lost", kind);
	p[EXTENT - 1] = 5;
	if (!persistent)
		TAP_EQ(move_extents(fd, 0, 1, HMEM_HOME), 1, "%s: the extent goes home", kind);
	TAP_OK(page_fails(p + OFFSET, false), "%s: where it fails", kind);
	TAP_OK(!near_bytes() && others_hold(p, BAD, 1) && p[EXTENT - 1] == 5, "%s: alone", kind);
	must(move_extents(fd, 0, 1, HMEM_NEAR) == 1 ? 0 : -EBUSY, "make a near copy");
	must(poison(fd, HMEM_POISON_CLEAR, OFFSET, PAGE, NULL), "clear");
	TAP_OK(all_bytes(p + OFFSET, PAGE, 0), "%s: cleared while the extent is near", kind);
	TAP_OK(others_hold(p, BAD, 1) && p[EXTENT - 1] == 5, "%s: the others are as they were", kind);
	move_extents(fd, 0, 1, HMEM_HOME);
	TAP_OK(all_bytes(p + OFFSET, PAGE, 0) && !near_bytes(), "%s: also at home", kind);
}

static void checks(int control, const struct pool *pool)
{
	kind = pool->kind;
	must(region_create(control, "bad", pool->name, LENGTH), "create");
	fd = must_open("bad", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	p = must_map(fd, LENGTH);
	bus_catch();
	home_under_copy(pool->persistent);
	if (pool->persistent)
		copy_is_dropped();
	cleared_near();
	moved_around(pool->persistent);
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
