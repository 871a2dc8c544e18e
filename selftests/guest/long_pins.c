// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pins that stay: buffers registered with io_uring, as RDMA does it too. A region that is for them
 * takes them always; any other does until it may have near copies, and then says EFAULT. What
 * is pinned stays where it is, and everything else moves.
 *
 * hmem-test: topology=mixed kernels=lts,newest
 */
#include "pools.h"
#include "near.h"
#include "rings.h"

#define EXTENTS		3
#define LENGTH		(EXTENTS * EXTENT)
#define PAGES		(EXTENT / 4096)

static const char *kind;

static int create(int control, const char *name, const char *pool, unsigned int flags)
{
	struct hmem_region_create c = { .size = sizeof(c), .flags = flags, .bytes = LENGTH,
					.mode = 0600 };

	set_name(c.name, name);
	set_name(c.pool, pool);
	return hmem_ioctl(control, HMEM_REGION_CREATE, &c);
}

static bool is_for_pins(int fd)
{
	struct hmem_region_query info;

	must(region_info(fd, &info), "query");
	return info.state & HMEM_REGION_LONG_TERM_PINS;
}

/* The pages go when the ring does what it was told, which is soon after. */
static uint64_t move_all(int fd, enum hmem_place place)
{
	struct hmem_migrate m;

	for (int i = 0; i < 1000; i++) {
		must(migrate(fd, 0, 0, place, &m), "migrate");
		if (!m.pages[HMEM_MOVED_PINNED])
			break;
		usleep(10000);
	}
	return m.pages[HMEM_MOVED] + m.pages[HMEM_MOVED_ALREADY];
}

/* An ordinary region. */
static void ordinary(int control, const struct pool *pool)
{
	int ring = ring_new(), fd;
	char *p;

	must(create(control, "o", pool->name, 0), "create");
	fd = must_open("o", O_RDWR);
	TAP_OK(!is_for_pins(fd), "%s: an ordinary region", kind);
	p = must_map(fd, LENGTH);
	TAP_EQ(ring_pin(ring, p, 8192), 0, "%s: takes them without near copies", kind);
	ring_unpin(ring);
	munmap(p, LENGTH);
	close(fd);
	fd = must_open("o", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	p = must_map(fd, LENGTH);
	TAP_EQ(ring_pin(ring, p, 8192), -EFAULT, "%s: and refuses them where it may have some", kind);
	munmap(p, LENGTH);
	close(fd);
	close(ring);
	must(region_destroy(control, "o"), "destroy");
}

static void pinned(int fd, char *p, bool persistent)
{
	int ring = ring_new();
	struct hmem_migrate m;

	memset(p, 1, LENGTH);
	TAP_EQ(ring_pin(ring, p + EXTENT + 4096, 8192), 0, "%s: a region for pins takes them", kind);
	must(migrate(fd, 0, 0, HMEM_NEAR, &m), "migrate");
	TAP_OK(m.pages[HMEM_MOVED] == 2 * PAGES && m.pages[HMEM_MOVED_PINNED] == PAGES &&
	       m.pinned == EXTENT, "%s: what is held stays, and is named; the rest moves", kind);
	ring_unpin(ring);
	TAP_EQ(move_all(fd, HMEM_NEAR), EXTENTS * PAGES, "%s: let go it moves as well", kind);
	TAP_EQ(ring_pin(ring, p + 2 * EXTENT, 4096), 0, "%s: near copies can be held too", kind);
	/* The pin was a store as far as the module knows: it took a persistent one home. */
	TAP_EQ(near_stats(fd).near, (persistent ? EXTENTS - 1 : EXTENTS) * EXTENT,
	       "%s: what is near then", kind);
	must(migrate(fd, 0, 0, HMEM_HOME, &m), "migrate");
	TAP_EQ(m.pages[HMEM_MOVED_PINNED], persistent ? 0 : PAGES, "%s: and stay so", kind);
	ring_unpin(ring);
	TAP_EQ(move_all(fd, HMEM_HOME), EXTENTS * PAGES, "%s: until they are let go", kind);
	close(ring);
	TAP_OK(pages_hold(p, LENGTH, 1), "%s: the data is what it was", kind);
}

static void checks(int control, const struct pool *pool)
{
	char *p;
	int fd;

	kind = pool->kind;
	ordinary(control, pool);
	must(create(control, "p", pool->name, HMEM_CREATE_LONG_TERM_PINS), "create");
	fd = must_open("p", O_RDWR);
	TAP_OK(is_for_pins(fd), "%s: a region for pins says so", kind);
	must(near_max_set(fd, LENGTH), "near_max");
	p = must_map(fd, LENGTH);
	pinned(fd, p, pool->persistent);
	munmap(p, LENGTH);
	close(fd);
	if (pool->persistent) {
		char source[HMEM_NAME_LEN];

		snprintf(source, sizeof(source), "%s", pool->name);
		must(pool_detach(control, pool->name), "detach");
		must(pool_attach_cxl(control, source, 0, NULL), "attach");
		fd = must_open("p", O_RDWR);
		TAP_OK(is_for_pins(fd), "%s: also after the pool was attached again", kind);
		close(fd);
	}
	must(region_destroy(control, "p"), "destroy");
}

int main(void)
{
	int control = must_begin_cxl();

	on_every_pool(control, 32 * MIB, checks);
	return tap_done();
}
