// SPDX-License-Identifier: GPL-2.0-only
/*
 * READ_FIXED and WRITE_FIXED with buffers in a region for long-term pins, while all of it is moved
 * near and home again and again, or its pool is drained. What is registered stays where it is, near
 * or at home, and is named; the rest moves; and neither the disk nor the region ever has anything
 * but what it was given. Let go, all of it moves.
 *
 * hmem-test: topology=ram2 kernels=newest long=lts
 */
#include "direct.h"
#include "near.h"
#include "pools.h"
#include "rings.h"

#include <pthread.h>

#define EXTENTS		6
#define LENGTH		(EXTENTS * EXTENT)
#define PAGES		(EXTENT / 4096)
#define BYTES		(256 * 1024U)
#define ROUNDS		6

static int control, disk, fd;
static char *p;
static struct ring_queues ring;
static volatile bool moving;
static unsigned int last;	/* turn that was made */

/*
 * What is sent and what is received. Each crosses from one extent to the next: those of the former
 * are at home (1 and 2), those of the latter near (3 and 4). Extents 0 and 5 are held by nobody.
 */
static struct iovec buffers[2];

#define SENT		buffers[0].iov_base
#define RECEIVED	buffers[1].iov_base

static void pin(void)
{
	buffers[0] = (struct iovec){ p + 2 * EXTENT - BYTES / 2, BYTES };
	buffers[1] = (struct iovec){ p + 4 * EXTENT - BYTES / 2, BYTES };
	TAP_EQ(ring_pin_all(ring.ring, buffers, 2), 0, "two buffers are registered");
}

/* One there and back; false when anything is not what it was given. */
static bool transfer(unsigned int turn)
{
	const uint64_t at = turn % 4 * MIB;

	last = turn;
	direct_fill(SENT, BYTES, turn);
	memset(RECEIVED, 0, BYTES);
	return ring_transfer(&ring, IORING_OP_WRITE_FIXED, disk, SENT, BYTES, at, 0) == BYTES &&
	       ring_transfer(&ring, IORING_OP_READ_FIXED, disk, RECEIVED, BYTES, at, 1) == BYTES &&
	       direct_filled(RECEIVED, BYTES, turn) && direct_filled(SENT, BYTES, turn);
}

/* As long as the other thread moves things; returns how many failed, of @turns. */
static unsigned int transfer_meanwhile(unsigned int *turns)
{
	unsigned int wrong = 0;

	for (*turns = 0; moving || !*turns; ++*turns)
		wrong += !transfer(*turns);
	return wrong;
}

/* What nobody has stored to since. */
static bool rest_holds(void)
{
	return direct_filled(p, EXTENT, 7) && direct_filled(p + 5 * EXTENT, EXTENT, 8);
}

static void *migrates(void *unused)
{
	static const enum hmem_place places[] = { HMEM_NEAR, HMEM_HOME };
	/* Of those that are held two are there already. */
	unsigned int wrong = 0;
	struct hmem_migrate m;

	(void)unused;
	for (unsigned int i = 0; i < 2 * ROUNDS; i++) {
		bool near = i % 2 == 0;
		int rc = migrate(fd, 0, 0, places[i % 2], &m);

		if (!rc && m.pages[HMEM_MOVED] == 2 * PAGES &&
		    m.pages[HMEM_MOVED_ALREADY] == 2 * PAGES &&
		    m.pages[HMEM_MOVED_PINNED] == 2 * PAGES &&
		    m.pinned == (near ? 1 : 3) * EXTENT)
			continue;
		wrong++;
		tap_diag("%s: %d; moved %llu, there already %llu, pinned %llu, from %llu on",
			 near ? "near" : "home", rc, (unsigned long long)m.pages[HMEM_MOVED],
			 (unsigned long long)m.pages[HMEM_MOVED_ALREADY],
			 (unsigned long long)m.pages[HMEM_MOVED_PINNED],
			 (unsigned long long)m.pinned);
	}
	moving = false;
	return (void *)(uintptr_t)wrong;
}

/* The pool is named by what the region is on first. */
static void *drains(void *pool)
{
	struct hmem_held_range ranges[8] = {};
	struct hmem_pool_drain d;
	unsigned int wrong = 0;

	for (unsigned int i = 0; i < 2; i++) {
		int rc = pool_drain_naming(control, pool, ranges, 8, &d);

		/* Near copies stay what they are in front of a home that moves. */
		if (rc == -EBUSY && d.nr_held == 1 && d.nr_ranges == 1 && d.left == 2 * EXTENT &&
		    d.moved == (i ? 0 : EXTENTS - 2) * EXTENT && !strcmp(ranges[0].region, "f") &&
		    ranges[0].offset == EXTENT && ranges[0].bytes == 2 * EXTENT)
			continue;
		wrong++;
		tap_diag("%d: %u held, %llu left, %llu moved; region %.63s from %llu on, %llu bytes",
			 rc, d.nr_held, (unsigned long long)d.left, (unsigned long long)d.moved,
			 ranges[0].region, (unsigned long long)ranges[0].offset,
			 (unsigned long long)ranges[0].bytes);
	}
	moving = false;
	return (void *)(uintptr_t)wrong;
}

static void meanwhile(void *(*mover)(void *), char *pool, const char *what)
{
	unsigned int turns, wrong;
	pthread_t thread;
	void *failed;

	moving = true;
	if (pthread_create(&thread, NULL, mover, pool))
		tap_bail("no thread");
	wrong = transfer_meanwhile(&turns);
	pthread_join(thread, &failed);
	TAP_EQ(wrong, 0, "%s: %u transfers, and each has what it was given", what, turns);
	TAP_EQ((uintptr_t)failed, 0, "%s: what is registered stays and is named, the rest moves",
	       what);
	TAP_OK(rest_holds(), "%s: with what it had", what);
}

/* The pages go when the ring does what it was told, which is soon after. */
static void let_go(enum hmem_place place)
{
	struct hmem_migrate m;
	int tries = 0;

	ring_unpin(ring.ring);
	do {
		must(migrate(fd, 0, 0, place, &m), "migrate");
	} while (m.pages[HMEM_MOVED_PINNED] && tries++ < 1000 && !usleep(10000));
	TAP_EQ(m.pages[HMEM_MOVED_PINNED], 0, "let go, all of it moves");
}

static void begin(const char *pool)
{
	struct hmem_region_create c = { .size = sizeof(c), .flags = HMEM_CREATE_LONG_TERM_PINS,
					.bytes = LENGTH, .mode = 0600 };

	set_name(c.name, "f");
	set_name(c.pool, pool);
	must(hmem_ioctl(control, HMEM_REGION_CREATE, &c), "create");
	fd = must_open("f", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	p = must_map(fd, LENGTH);
	memset(p, 0, LENGTH);
	direct_fill(p, EXTENT, 7);
	direct_fill(p + 5 * EXTENT, EXTENT, 8);
	TAP_EQ(move_extents(fd, 3, 2, HMEM_NEAR), 2, "two extents are near");
}

static void checks(char *first, char *second)
{
	begin(first);
	pin();
	meanwhile(migrates, NULL, "MIGRATE");
	let_go(HMEM_HOME);
	TAP_OK(!near_stats(fd).near && direct_filled(RECEIVED, BYTES, last) &&
	       direct_filled(SENT, BYTES, last) && rest_holds(),
	       "what was received is there at home");
	TAP_EQ(move_extents(fd, 3, 2, HMEM_NEAR), 2, "two extents are near again");
	pin();
	meanwhile(drains, first, "DRAIN");
	let_go(HMEM_NEAR);
	TAP_EQ(pool_drain(control, first, 0, NULL), 0, "and the pool is drained");
	TAP_STR_EQ(sysfs_text("hmem", "f", "pools"), second, "to the other one");
	pin();
	TAP_OK(transfer(99) && rest_holds(), "where it is registered again, and has what it had");
	ring_unpin(ring.ring);
	munmap(p, LENGTH);
	close(fd);
}

int main(void)
{
	struct hmem_pool_attach attached[2];
	char sources[2][HMEM_NAME_LEN];

	control = must_begin_cxl();
	disk = direct_open();
	if (disk < 0) {
		tap_skip("I/O with fixed buffers", "no " DISK);
		return tap_done();
	}
	must_cxl_on_each("ram", sources, 2);
	for (int i = 0; i < 2; i++)
		must(pool_attach_cxl(control, sources[i], 0, &attached[i]), "attach");
	ring = ring_queues_new();
	checks(attached[0].name, attached[1].name);
	close(ring.ring);
	return tap_done();
}
