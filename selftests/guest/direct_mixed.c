// SPDX-License-Identifier: GPL-2.0-only
/*
 * O_DIRECT with buffers that are not all of one kind of memory: of the pages of a split extent
 * every other is near, so DRAM, and the rest at home, so the device's; and one extent is near,
 * and the next is not. A request is of one kind no less for that than any other.
 *
 * hmem-test: topology=mixed kernels=newest long=lts timeout=300
 */
#define HOT		64U
#define HOT_STRIDE	2

#include "direct.h"
#include "pools.h"
#include "splitting.h"

#define EXTENTS		4
#define LENGTH		(EXTENTS * EXTENT)
#define PAGE		4096UL
#define SMALL		(64 * 1024UL)

static const char *kind;
static int disk, fd;
static char *p;

static const uint64_t lengths[] = { SMALL, MIB };

static void begin(int control, const struct pool *pool, unsigned int flags)
{
	struct hmem_region_create c = { .size = sizeof(c), .flags = flags, .bytes = LENGTH,
					.mode = 0600 };

	set_name(c.name, "d");
	set_name(c.pool, pool->name);
	must(hmem_ioctl(control, HMEM_REGION_CREATE, &c), "create");
	fd = must_open("d", O_RDWR);
	must(near_max_set(fd, EXTENT), "near_max");
	p = must_map(fd, LENGTH);
	direct_fill(p, LENGTH, 1);
}

static void end(int control)
{
	int rc;

	munmap(p, LENGTH);
	close(fd);
	/* The end of a pin is an event that nobody is told of. */
	for (int tries = 0; (rc = region_destroy(control, "d")) == -EBUSY && tries < 50; tries++)
		usleep(100000);
	TAP_EQ(rc, 0, "%s: no page is left pinned", kind);
}

/* How often one page of a buffer is near and the next one is not, or the other way round. */
static unsigned int changes(uint64_t offset, uint64_t length)
{
	unsigned int nr = 0;

	for (uint64_t at = offset + PAGE; at < offset + length; at += PAGE)
		nr += page_is_near(fd, at) != page_is_near(fd, at - PAGE);
	return nr;
}

/* All of it is what it was but for what came from the disk, at @offset. */
static bool all_there(uint64_t offset, uint64_t length)
{
	return direct_filled(p + offset, length, 2) &&
	       direct_filled(p + offset + length, 64, 1 + offset + length);
}

static void home_too(uint64_t offset, uint64_t length)
{
	char *copy = direct_page_aligned(length);

	TAP_OK(pread(fd, copy, length, offset) == (ssize_t)length && direct_filled(copy, length, 2),
	       "%s: read(2) says the same", kind);
	free(copy);
	move_extents(fd, 0, EXTENTS, HMEM_HOME);
	TAP_OK(!near_stats(fd).near && all_there(offset, length), "%s: and so does the home", kind);
}

/* Every other page is near. */
static void split(int control, const struct pool *pool)
{
	for (unsigned int i = 0; i < 2; i++) {
		const uint64_t at = 8 * PAGE, length = lengths[i];

		begin(control, pool, 0);
		split_all(fd, p, EXTENTS);
		TAP_OK(changes(at, length) >= (length == SMALL ? 12 : 90),
		       "%s: a buffer whose pages are near in turn (%u changes)", kind,
		       changes(at, length));
		direct_to_disk(disk, p + at, length, kind, "split");
		direct_from_disk(disk, p + at, length, 2, kind, "split");
		home_too(at, length);
		end(control);
	}
}

/* One extent is near, and the other one is not. */
static void beside(int control, const struct pool *pool, unsigned int flags)
{
	for (unsigned int near = 0; near < 2; near++) {
		const uint64_t length = lengths[near], at = EXTENT - length / 2;

		begin(control, pool, flags);
		TAP_EQ(move_extents(fd, near, 1, HMEM_NEAR), 1, "%s: one of two extents is near",
		       kind);
		direct_to_disk(disk, p + at, length, kind, flags ? "for pins" : "two extents");
		direct_from_disk(disk, p + at, length, 2, kind, flags ? "for pins" : "two extents");
		home_too(at, length);
		end(control);
	}
}

static void checks(int control, const struct pool *pool)
{
	kind = pool->kind;
	beside(control, pool, 0);
	beside(control, pool, HMEM_CREATE_LONG_TERM_PINS);
	split(control, pool);
}

int main(void)
{
	int control = must_begin_cxl();

	disk = direct_open();
	if (disk < 0)
		tap_skip("O_DIRECT", "no " DISK);
	else
		on_every_pool(control, 32 * MIB, checks);
	return tap_done();
}
