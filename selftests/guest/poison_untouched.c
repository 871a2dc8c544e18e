// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that goes bad between carving and the first touch. What somebody else had there is
 * never shown: not when the page is cleared, nor when nobody remembers any more that it was bad.
 *
 * hmem-test: topology=mixed kernels=lts,newest
 */
#include "near.h"
#include "poison.h"

#define EXTENTS		2
#define LENGTH		(EXTENTS * EXTENT)
#define BAD		7ULL
#define OFFSET		(BAD * PAGE)
#define SECRET		0x5e

static const char *kind;
static int fd;
static char *p;

static void open_it(void)
{
	fd = must_open("new", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	p = must_map(fd, LENGTH);
}

static void close_it(void)
{
	munmap(p, LENGTH);
	close(fd);
}

/* A region where another one was, of which a page is bad that nobody has touched. */
static void begin(int control, const char *pool)
{
	must(region_create(control, "old", pool, LENGTH), "create");
	fd = must_open("old", O_RDWR);
	p = must_map(fd, LENGTH);
	memset(p, SECRET, LENGTH);
	must(fsync(fd), "fsync");
	close_it();
	must(region_destroy(control, "old"), "destroy");
	must(region_create_as(control, "new", pool, LENGTH, USER_UID, USER_UID, 0600), "create");
	open_it();
	must(poison(fd, HMEM_POISON_REPORT, OFFSET, PAGE, NULL), "report");
}

static void end(int control)
{
	close_it();
	must(region_destroy(control, "new"), "destroy");
}

static void attach_again(int control, const char *pool)
{
	close_it();
	must(pool_detach(control, pool), "detach");
	must(pool_attach_cxl(control, pool, 0, NULL), "attach");
	open_it();
}

static int ordinary(void *unused)
{
	int file = region_open("new", O_RDWR);

	(void)unused;
	return poison(file, HMEM_POISON_CLEAR, OFFSET, PAGE, NULL) == -EPERM;
}

/* All of an extent fails that nobody can make zeroes of. */
static void fails_whole(void)
{
	struct hmem_migrate m;
	char byte = 1;

	TAP_OK(page_fails(p + OFFSET, true) && page_fails(p + OFFSET, false), "%s: the page fails", kind);
	TAP_OK(page_fails(p + OFFSET + PAGE, true) && page_fails(p + EXTENT - 1, false),
	       "%s: and all of its extent", kind);
	TAP_OK(pread(fd, &byte, 1, 0) == -1 && errno == EIO && pwrite(fd, &byte, 1, 0) == -1 &&
	       errno == EIO, "%s: for calls as well", kind);
	TAP_OK(pages_hold(p + EXTENT, EXTENT, 0), "%s: the next one is zeroes", kind);
	TAP_OK(only_bad(fd, OFFSET, PAGE, HMEM_POISONED_DATA | HMEM_POISONED_HOME),
	       "%s: one page is listed", kind);
	TAP_OK(!migrate(fd, 0, EXTENT, HMEM_NEAR, &m) &&
	       m.pages[HMEM_MOVED_POISONED] == EXTENT / PAGE, "%s: it does not come near", kind);
	TAP_EQ(keep_extents(fd, 0, 1, HMEM_NEAR, NULL), -EIO, "%s: nor is it kept there", kind);
	TAP_EQ(fsync(fd), 0, "%s: fsync(2) has nothing to do", kind);
}

static void persistent(int control, const char *pool)
{
	struct hmem_poison a;

	begin(control, pool);
	fails_whole();
	attach_again(control, pool);
	TAP_OK(pages_hold(p, LENGTH, 0), "%s: forgotten, it holds nothing of another's", kind);
	end(control);

	begin(control, pool);
	TAP_OK(page_fails(p, true), "%s: it fails before anything was cleared", kind);
	TAP_EQ(run_as(USER_UID, ordinary, NULL), 1, "%s: its owner cannot clear it", kind);
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, EXTENT, EXTENT, &a), 0, "%s: what lies beside it", kind);
	TAP_OK(!a.pages && page_fails(p, true), "%s: is none of it", kind);
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, 2 * EXTENT / 4, PAGE, &a), 0,
	       "%s: any of its pages is cleared", kind);
	TAP_EQ(a.pages, 1, "%s: and the bad one with it", kind);
	TAP_OK(pages_hold(p, LENGTH, 0) && all_bytes(p + OFFSET, PAGE, 0), "%s: it is zeroes", kind);
	p[OFFSET] = 3;
	must(fsync(fd), "fsync");
	attach_again(control, pool);
	TAP_OK(p[OFFSET] == 3 && pages_hold(p + OFFSET + PAGE, LENGTH - OFFSET - PAGE, 0),
	       "%s: and keeps what it gets", kind);
	end(control);
}

static void checks(int control, const struct pool *pool)
{
	struct hmem_poison a;

	kind = pool->kind;
	touch_catch();
	bus_catch();
	if (pool->persistent) {
		persistent(control, pool->name);
		return;
	}
	begin(control, pool->name);
	TAP_OK(page_fails(p + OFFSET, false) && others_hold(p, BAD, 0), "%s: the page fails alone", kind);
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, 0, LENGTH, &a), 0, "%s: it is cleared", kind);
	TAP_OK(a.pages == 1 && all_bytes(p, EXTENT, 0), "%s: and zeroes", kind);
	end(control);
}

int main(void)
{
	int control = must_begin_cxl();

	on_every_pool(control, 32 * MIB, checks);
	return tap_done();
}
