// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions over several pools: which extent is on which, as the page tables and sysfs have it;
 * growing, shrinking, near copies, and what is refused.
 *
 * hmem-test: topology=mixed
 */
#include "frames.h"
#include "near.h"
#include "pools.h"

static const char *const all[] = { "a", "b", "c" };
static const uint64_t sizes[] = { 8, 8, 4 };	/* in extents */
static struct frames pools[3];
static int control;

/* The first bytes of each extent say which it is. */
static void mark(char *p, unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++)
		*(unsigned int *)(p + i * EXTENT + 64) = i + 1000;
}

static bool marked(const char *p, unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++) {
		unsigned int found = *(const volatile unsigned int *)(p + i * EXTENT + 64);

		if (found == i + 1000)
			continue;
		tap_diag("extent %u holds %u", i, found);
		return false;
	}
	return true;
}

static bool all_free(void)
{
	for (int i = 0; i < 3; i++)
		if (pool_free(all[i]) != (int64_t)(sizes[i] * EXTENT))
			return false;
	return true;
}

static const char *draw(const char *p, unsigned int extents)
{
	return frames_draw(pools, 3, p, extents);
}

static void spread(void)
{
	char *p;
	int fd;

	must(region_create_over(control, "s", HMEM_CREATE_SPREAD, all, 3, 14 * EXTENT), "create");
	fd = must_open("s", O_RDWR);
	p = must_map(fd, 20 * EXTENT);
	TAP_STR_EQ(draw(p, 14), "abcabcabcabcab", "spread: in turn, until one is full");
	TAP_STR_EQ(sysfs_text("hmem", "s", "pools"), "a b c", "spread: sysfs has the pools");
	TAP_STR_EQ(sysfs_text("hmem", "s", "pool"), "a", "spread: and the first of them");
	TAP_EQ(sysfs_number("hmem", "s", "spread"), 1, "spread: and says how");
	TAP_EQ(sysfs_number("hmem", "s", "lost"), 0, "spread: nothing is lost");
	TAP_OK(pool_free("a") == 3 * EXTENT && pool_free("b") == 3 * EXTENT && !pool_free("c"),
	       "spread: as the pools have it");
	mark(p, 0, 14);
	TAP_EQ(region_resize(control, "s", 17 * EXTENT), 0, "spread: grows");
	TAP_STR_EQ(draw(p, 17), "abcabcabcabcababa", "spread: and goes on");
	TAP_OK(marked(p, 0, 14) && pages_hold(p + 14 * EXTENT, 3 * EXTENT, 0),
	       "spread: with its data, and zeroes");
	mark(p, 14, 17);
	TAP_EQ(region_resize(control, "s", 21 * EXTENT), -ENOSPC, "spread: not beyond all of them");
	TAP_EQ(region_resize(control, "s", 20 * EXTENT), 0, "spread: to the last extent");
	TAP_STR_EQ(draw(p, 20), "abcabcabcabcabababab", "spread: all of them");
	TAP_OK(all_bytes(p + 19 * EXTENT, EXTENT, 0) && marked(p, 0, 17), "spread: its data");
	TAP_EQ(region_resize(control, "s", 5 * EXTENT), 0, "spread: shrinks");
	TAP_OK(pool_free("a") == 6 * EXTENT && pool_free("b") == 6 * EXTENT &&
	       pool_free("c") == 3 * EXTENT, "spread: each gets back what is its own");
	TAP_EQ(touch_read(p + 5 * EXTENT), SIGBUS, "spread: the rest is out of reach");
	TAP_EQ(region_resize(control, "s", 8 * EXTENT), 0, "spread: grows again");
	TAP_STR_EQ(draw(p, 8), "abcabcab", "spread: from where it was");
	TAP_OK(marked(p, 0, 5) && pages_hold(p + 5 * EXTENT, 3 * EXTENT, 0),
	       "spread: what was cut off is zeroes");
	mark(p, 5, 8);
	must(near_max_set(fd, 8 * EXTENT), "near_max");
	TAP_EQ(move_extents(fd, 0, 8, HMEM_NEAR), 8, "spread: near");
	TAP_STR_EQ(draw(p, 8), "????????", "spread: and not in a pool");
	mark(p, 0, 8);
	TAP_EQ(move_extents(fd, 0, 8, HMEM_HOME), 8, "spread: home");
	TAP_STR_EQ(draw(p, 8), "abcabcab", "spread: each to its own");
	TAP_OK(marked(p, 0, 8), "spread: with its data");
	TAP_EQ(region_destroy(control, "s"), -EBUSY, "spread: destroyed by nobody while it is used");
	munmap(p, 20 * EXTENT);
	close(fd);
	TAP_EQ(region_destroy(control, "s"), 0, "spread: destroyed");
	TAP_OK(all_free(), "spread: all is given back");
}

static void fill(void)
{
	static const char *const order[] = { "c", "a" };
	char *p;
	int fd;

	must(region_create_over(control, "f", HMEM_CREATE_FILL, order, 2, 6 * EXTENT), "create");
	fd = must_open("f", O_RDWR);
	p = must_map(fd, 12 * EXTENT);
	TAP_STR_EQ(draw(p, 6), "ccccaa", "fill: one after the other");
	TAP_STR_EQ(sysfs_text("hmem", "f", "pools"), "c a", "fill: in this order");
	TAP_EQ(sysfs_number("hmem", "f", "spread"), 0, "fill: and says how");
	mark(p, 0, 6);
	TAP_EQ(region_resize(control, "f", 12 * EXTENT), 0, "fill: grows");
	TAP_STR_EQ(draw(p, 12), "ccccaaaaaaaa", "fill: on what is left");
	TAP_EQ(region_resize(control, "f", 13 * EXTENT), -ENOSPC, "fill: on these pools only");
	TAP_OK(marked(p, 0, 6) && pages_hold(p + 6 * EXTENT, 6 * EXTENT, 0), "fill: its data");
	TAP_EQ(pool_detach(control, "a"), -EBUSY, "fill: its second pool is in use");
	munmap(p, 12 * EXTENT);
	close(fd);
	TAP_EQ(pool_detach(control, "a"), -ENOTEMPTY, "fill: and has a region");
	TAP_EQ(region_resize(control, "f", 4 * EXTENT), 0, "fill: shrinks to its first pool");
	TAP_STR_EQ(sysfs_text("hmem", "f", "pools"), "c", "fill: and is on that alone");
	TAP_EQ(pool_free("a"), 8 * (int64_t)EXTENT, "fill: the second has nothing of it");
	TAP_EQ(region_resize(control, "f", 5 * EXTENT), 0, "fill: where it can grow again");
	TAP_EQ(region_resize(control, "f", EXTENT), 0, "fill: shrinks again");
	TAP_EQ(pool_detach(control, "a"), 0, "fill: a pool that it could grow on can be detached");
	TAP_EQ(region_resize(control, "f", 5 * EXTENT), -ENOSPC, "fill: it cannot then");
	must(pool_attach_ram(control, "a", 8 * EXTENT), "attach");
	frames_learn(control, &pools[0], "a");
	must(region_destroy(control, "f"), "destroy");
	TAP_OK(all_free(), "fill: all is given back");
}

/* Pools in pieces: runs of one extent each. */
static void fragments(void)
{
	char name[8];
	char *p;
	int fd;

	for (int i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		must(region_create(control, name, i < 8 ? "a" : "b", EXTENT), "create");
	}
	for (int i = 0; i < 16; i += 2) {
		snprintf(name, sizeof(name), "p%d", i);
		must(region_destroy(control, name), "destroy");
	}
	must(region_create_over(control, "s", HMEM_CREATE_SPREAD, all, 2, 8 * EXTENT), "create");
	fd = must_open("s", O_RDWR);
	p = must_map(fd, 8 * EXTENT);
	TAP_STR_EQ(draw(p, 8), "abababab", "fragments: spread");
	mark(p, 0, 8);
	TAP_OK(marked(p, 0, 8), "fragments: each is its own");
	must(region_resize(control, "s", 3 * EXTENT), "shrink");
	TAP_OK(pool_free("a") == 2 * EXTENT && pool_free("b") == 3 * EXTENT,
	       "fragments: each is given back");
	munmap(p, 8 * EXTENT);
	close(fd);
	sweep(control);
	for (int i = 0; i < 3; i++)
		must(pool_attach_ram(control, all[i], sizes[i] * EXTENT), "attach");
	for (int i = 0; i < 3; i++)
		frames_learn(control, &pools[i], all[i]);
}

static void chosen(const char *pmem)
{
	must(region_create(control, "x", "b", 8 * EXTENT), "create");
	TAP_EQ(region_create_over(control, "s", HMEM_CREATE_SPREAD, NULL, 0, 12 * EXTENT), 0,
	       "without names: what has room");
	TAP_STR_EQ(sysfs_text("hmem", "s", "pools"), "a c", "without names: not what is full");
	must(region_destroy(control, "s"), "destroy");
	TAP_EQ(region_create_over(control, "s", HMEM_CREATE_FILL, NULL, 0, 13 * EXTENT), 0,
	       "without names: the volatile ones have not enough");
	TAP_STR_EQ(sysfs_text("hmem", "s", "pools"), pmem, "without names: a persistent one has");
	must(region_destroy(control, "s"), "destroy");
	must(region_destroy(control, "x"), "destroy");
	TAP_EQ(region_create_over(control, "s", HMEM_CREATE_FILL, NULL, 0, 1ULL << 45), -ENOSPC,
	       "without names: nobody has so much");
}

static void refused(const char *pmem)
{
	const char *const twice[] = { "a", "b", "a" }, *const none[] = { "a", "nowhere" };
	const char *const mixed[] = { "a", pmem }, *const bad[] = { "a", "" };
	const char *many[HMEM_REGION_POOLS + 1];
	struct hmem_region_create c = { .size = sizeof(c), .flags = HMEM_CREATE_FILL,
					.bytes = EXTENT, .mode = 0600, .name = "r", .nr_pools = 1 };

	for (unsigned int i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		many[i] = "a";
	TAP_EQ(region_create_over(control, "r", HMEM_CREATE_SPREAD | HMEM_CREATE_FILL, all, 3,
				  EXTENT), -EINVAL, "refused: both ways at once");
	TAP_EQ(region_create_over(control, "r", 0, all, 3, EXTENT), -EINVAL,
	       "refused: names, and no way");
	TAP_EQ(region_create_over(control, "r", HMEM_CREATE_FILL, twice, 3, EXTENT), -EINVAL,
	       "refused: one comes twice");
	TAP_EQ(region_create_over(control, "r", HMEM_CREATE_FILL, none, 2, EXTENT), -ENOENT,
	       "refused: one is not there");
	TAP_EQ(region_create_over(control, "r", HMEM_CREATE_FILL, mixed, 2, EXTENT), -EINVAL,
	       "refused: of two kinds");
	TAP_EQ(region_create_over(control, "r", HMEM_CREATE_FILL, bad, 2, EXTENT), -EINVAL,
	       "refused: no name");
	TAP_EQ(region_create_over(control, "r", HMEM_CREATE_FILL, many, HMEM_REGION_POOLS + 1,
				  EXTENT), -EINVAL, "refused: too many");
	TAP_EQ(region_create_over(control, "r", HMEM_CREATE_FILL, all, 3, 21 * EXTENT), -ENOSPC,
	       "refused: they have not enough");
	c.pools = 4096;
	TAP_EQ(hmem_ioctl(control, HMEM_REGION_CREATE, &c), -EFAULT, "refused: names out of reach");
	c.pools = 0;
	TAP_EQ(hmem_ioctl(control, HMEM_REGION_CREATE, &c), -EFAULT, "refused: names nowhere");
	c.nr_pools = 0;
	c.pools = (uintptr_t)&c;
	TAP_EQ(hmem_ioctl(control, HMEM_REGION_CREATE, &c), -EINVAL, "refused: an array of none");
	c.pools = (uintptr_t)twice;
	c.nr_pools = 1;
	set_name(c.pool, "a");
	TAP_EQ(hmem_ioctl(control, HMEM_REGION_CREATE, &c), -EINVAL, "refused: one and several");
	c.pools = 0;
	c.nr_pools = 0;
	c.reserved2 = 1;
	TAP_EQ(hmem_ioctl(control, HMEM_REGION_CREATE, &c), -EINVAL, "refused: reserved");
	TAP_OK(all_free() && class_names("hmem", NULL, 0) == 0, "refused: and nothing is there");
}

int main(void)
{
	char pmem[HMEM_NAME_LEN];

	control = must_begin_cxl();
	touch_catch();
	for (int i = 0; i < 3; i++)
		must(pool_attach_ram(control, all[i], sizes[i] * EXTENT), "attach");
	for (int i = 0; i < 3; i++)
		frames_learn(control, &pools[i], all[i]);
	spread();
	fill();
	fragments();
	must_cxl("pmem", pmem);
	must(pool_attach_cxl(control, pmem, HMEM_ATTACH_FORMAT, NULL), "attach");
	chosen(pmem);
	refused(pmem);
	sweep(control);
	cxl_end(pmem);
	return tap_done();
}
