/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the torture test takes a device away, under everybody, and judges what is left.
 *
 * Where the region is on the device alone, all of it must fail. Of one that is drained from the
 * device to the pool beside it and back, extents are brought to where they are known to be, by
 * their frames, before that: then each of them must fail, or live with every word. Or
 * drains go on while the device goes: then so many must live as the drains say that they had moved.
 */
#ifndef SELFTESTS_GUEST_TIER_TORTURE_LOSS_H
#define SELFTESTS_GUEST_TIER_TORTURE_LOSS_H

#include "frames.h"
#include "tier_torture_referee.h"

/* How long workers go on without the device, in microseconds. */
#define AFTERWARDS	300000

/* Where the pools' memory is. */
static struct {
	uint64_t first, end;	/* frames of the device */
	struct frames beside;
} memory;

/**
 * struct ending - how a round ends, when its device goes and another pool is beside it
 * @to: the pool that was drained to just before, or first
 * @mixed: extents are on both; else they are drained, to and fro, while it goes
 */
struct ending {
	int to;
	bool mixed;
};

static uint64_t removals, outlived, failed;

/* Both pools are there, and empty. */
static void learn_memory(int control)
{
	const char *device = torture->pools[ON_DEVICE];

	memory.first = cxl_number(device, "resource") / 4096;
	memory.end = memory.first + cxl_number(device, "size") / 4096;
	frames_learn(control, &memory.beside, torture->pools[BESIDE]);
}

/* The extents whose homes are on the device; nothing is near, and workers wait. */
static unsigned int extents_on_device(char *base)
{
	unsigned int set = 0;

	for (int i = 0; i < EXTENTS; i++) {
		uint64_t frame = frame_of(base + i * EXTENT);

		if (frame >= memory.first && frame < memory.end)
			set |= 1U << i;
		else if (!frames_have(&memory.beside, frame))
			stress_complain("extent %d is on neither pool", i);
	}
	return set;
}

/* Nothing is near, nor comes near until the bound is another one. Workers wait. */
static void bring_home(int fd)
{
	double end = now() + PATIENCE;

	must(release_extents(fd, 0, EXTENTS), "release");
	must(policy_mode_set(fd, HMEM_POLICY_OFF), "policy");
	do {
		must(near_max_set(fd, 0), "near_max");
		if (!near_stats(fd).near)
			return;
		usleep(1000);
	} while (now() < end);
	stress_complain("near copies stay, though nothing holds them");
}

/*
 * All goes to one pool, and nobody holds any of it. A drain that did not come to its end has places
 * on both: then that goes first.
 */
static void drain_all(int control, int to)
{
	struct hmem_pool_drain d;
	int rc = drain_to(control, to, &d);

	if (rc == -ENOSPC)
		rc = drain_to(control, !to, &d) ?: drain_to(control, to, &d);
	if (rc)
		stress_complain("DRAIN while nobody does anything: %s, %llu bytes left",
				strerror(-rc), (unsigned long long)d.left);
}

/* All but some extents of the one pool, of which pages are held, goes to the other. */
static void drain_but(int control, char *base, int to, unsigned int stay)
{
	struct iovec pages[EXTENTS];
	struct hmem_pool_drain d;
	int pipe[2], n = 0, rc;

	for (int i = 0; i < EXTENTS; i++)
		if (stay & 1U << i)
			pages[n++] = (struct iovec){ base + i * EXTENT, 4096 };
	if (pipe2(pipe, O_CLOEXEC) || vmsplice(pipe[1], pages, n, 0) != n * 4096)
		tap_bail("vmsplice: %s", strerror(errno));
	rc = drain_to(control, to, &d);
	if (rc != -EBUSY || d.moved != (EXTENTS - n) * EXTENT)
		stress_complain("DRAIN with %d extents held: %s, %llu bytes moved", n, strerror(-rc),
				(unsigned long long)d.moved);
	close(pipe[0]);
	close(pipe[1]);
	must(pool_drain(control, torture->pools[!to], HMEM_DRAIN_STOP, NULL), "stop");
}

/*
 * Homes are where they are to be in the end, and stay there but for the drainer. Then all go on,
 * with copies of some in front.
 */
static void settle_homes(int control, char *base, int fd, const struct ending *how)
{
	unsigned int stay = 1 + dice(ALL_EXTENTS - 1), expected, found;
	bool mixed = how->mixed;
	struct hmem_migrate m;
	int to = how->to;

	write_once(&torture->settled, 1);
	if (!park(PARK_EMPTY))
		return;
	bring_home(fd);
	for (int i = 0; i < EXTENTS; i++)
		frame_of(base + i * EXTENT);
	drain_all(control, !to);
	if (mixed)
		drain_but(control, base, to, stay);
	else
		stay = ALL_EXTENTS;
	expected = to == ON_DEVICE ? ALL_EXTENTS & ~stay : stay;
	found = extents_on_device(base);
	if (found != expected)
		stress_complain("extents %#x are on the device, not %#x", found, expected);
	torture->drained = to;
	write_once(&torture->quick, !mixed);
	torture->on_device = __builtin_popcount(found);
	torture->fails = mixed ? found : 0;
	torture->lives = mixed ? ALL_EXTENTS & ~found : 0;
	must(near_max_set(fd, EXTENTS / 2 * EXTENT), "near_max");
	must(policy_mode_set(fd, HMEM_POLICY_AUTO), "policy");
	must(migrate(fd, dice(EXTENTS / 2) * EXTENT, EXTENTS / 2 * EXTENT, HMEM_NEAR, &m), "near");
	let_go_on();
}

/* Drains to and fro, and notes how many homes are on the device. Does not return. */
static void torture_drainer(int control)
{
	int to = torture->drained, rc;
	struct hmem_pool_drain d;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	do {
		int moved;

		rc = drain_to(control, to, &d);
		moved = d.moved / EXTENT;
		stress_count(DISTURBANCES + 2, "drains", !rc);
		if (rc && rc != -EBUSY && rc != -ENOSPC && !read_once(&torture->removing))
			stress_complain("DRAIN: %s", strerror(-rc));
		if (rc && moved && read_once(&torture->removing))
			write_once(&torture->cut_short, 1);
		torture->on_device += to == ON_DEVICE ? moved : -moved;
		to = !to;
	} while (!board->stop && !read_once(&torture->removed) && rc != -ENODEV && rc != -ENOENT);
	_exit(0);
}

static pid_t start_drainer(int control)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		torture_drainer(control);
	return pid;
}

/* No page of an extent can be reached. */
static bool fails(char *base, int fd, int extent)
{
	struct place at = { .extent = extent };
	char byte = 0;

	for (at.slot = 0; at.slot < SLOTS; at.slot++) {
		char *page = base + region_offset(&at);

		if (touch_read(page) != SIGBUS || touch_write(page, 1) != SIGBUS ||
		    pread(fd, &byte, 1, region_offset(&at)) != -1 || errno != ENODEV ||
		    pwrite(fd, &byte, 1, region_offset(&at)) != -1 || errno != ENODEV)
			return false;
	}
	return true;
}

/* Every page can be read. */
static bool lives(char *base, int extent)
{
	struct place at = { .extent = extent };

	for (at.slot = 0; at.slot < SLOTS; at.slot++)
		if (touch_read(base + region_offset(&at)))
			return false;
	return true;
}

/* Nobody stores any more, and the device is gone. Return: how many extents live. */
static int judge(char *base, int fd)
{
	int living = 0;

	for (int i = 0; i < EXTENTS && !board->wrong; i++) {
		unsigned int bit = 1U << i;

		if (torture->fails & bit || (!(torture->lives & bit) && touch_read(base + i * EXTENT))) {
			if (!fails(base, fd, i))
				stress_complain("extent %d does not fail without its device", i);
		} else if (lives(base, i)) {
			check_extent(base, fd, i, false, "without the device");
			living++;
		} else {
			stress_complain("extent %d has gone, or a part of it", i);
		}
	}
	return living;
}

/* A drain may be under way, to the device or from it. */
static void take_away(const char *way, const char *kind)
{
	char argument[3 * HMEM_NAME_LEN];

	if (!torture->two_pools)
		torture->fails = ALL_EXTENTS;
	write_once(&torture->removing, 1);
	snprintf(argument, sizeof(argument), "%s %s %s", way, kind, torture->pools[ON_DEVICE]);
	if (cxl_fixture("take", argument, NULL, 0))
		stress_complain("%s of %s failed", way, torture->pools[ON_DEVICE]);
	write_once(&torture->removed, 1);
	removals++;
	if (torture->fails)
		await(&torture->met, WORKERS, "a worker does not see that the device is gone");
	if (torture->two_pools)
		usleep(AFTERWARDS);
}

/* What is left when all have ended, and what is said of it. */
static void see_what_is_left(char *base, int fd)
{
	int living = judge(base, fd), expected = EXTENTS - torture->on_device;
	int64_t lost;

	outlived += living;
	failed += EXTENTS - living;
	if (board->wrong)
		return;
	if (living != expected)
		stress_complain("%d extents live, and %d were not on the device", living, expected);
	lost = sysfs_number("hmem", REGION, "lost");
	if (living && lost != (EXTENTS - living) * (int64_t)EXTENT)
		stress_complain("%d extents live, and sysfs says that %lld bytes are lost", living,
				(long long)lost);
}

#endif
