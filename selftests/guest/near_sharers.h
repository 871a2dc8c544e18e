/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Regions that share DRAM, of each pair of which one is hot, for the tests of that.
 */
#ifndef SELFTESTS_GUEST_NEAR_SHARERS_H
#define SELFTESTS_GUEST_NEAR_SHARERS_H

#include "near_costs.h"

#include <pthread.h>

/* Two, unless a test has more of them. */
#ifndef REGIONS
#define REGIONS		2
#endif
#define EXTENTS		12
#define LENGTH		(EXTENTS * EXTENT)
#define PATIENCE	patience(60)

static int fds[REGIONS];
static char *base[REGIONS];
static volatile int hot, stop;
static volatile uint64_t most;

static inline uint64_t near_extents(int i)
{
	return near_stats(fds[i]).near / EXTENT;
}

/* All that is near, of all regions, as often as it can be asked. */
static inline void watch(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < REGIONS; i++)
		sum += near_stats(fds[i]).near;
	if (sum > most)
		most = sum;
}

/* All of the hot regions all the time, the others now and then. */
static inline void *reader(void *unused)
{
	unsigned int n = 0;

	(void)unused;
	while (!stop) {
		for (unsigned int i = 0; i < 2000; i++, n++)
			for (int pair = 0; pair < REGIONS; pair += 2)
				(void)*(volatile char *)(base[pair + hot] + n % EXTENTS * EXTENT +
							 n / EXTENTS % 512 * 4096);
		for (int pair = 0; pair < REGIONS; pair += 2)
			(void)*(volatile char *)(base[pair + !hot] + n / 2000 % EXTENTS * EXTENT +
						 n % 512 * 4096);
		usleep(1000);
	}
	return NULL;
}

static inline void show(void)
{
	for (int i = 0; i < REGIONS; i++) {
		struct hmem_stats s = near_stats(fds[i]);

		tap_diag("region %d: %llu extents near, share %llu, %llu probes, %llu promotions, %llu demotions, window %llu ms",
			 i, (unsigned long long)(s.near / EXTENT),
			 (unsigned long long)(s.near_share / EXTENT),
			 (unsigned long long)s.probes, (unsigned long long)s.promotions / 512,
			 (unsigned long long)s.demotions / 512,
			 (unsigned long long)s.window_ns / 1000000);
	}
}

/*
 * The octaves of heat that pages of region @i count for: the lowest, and the highest of what is
 * near. 0 is what nothing is known of.
 */
static inline void heat_of(int i, int *lowest, int *highest_near)
{
	struct hmem_heat h = { .size = sizeof(h) };

	must(hmem_ioctl(fds[i], HMEM_REGION_HEAT, &h), "HMEM_REGION_HEAT");
	*lowest = *highest_near = 0;
	while (*lowest < HMEM_HEAT_BINS - 1 && !h.near[*lowest] && !h.home[*lowest])
		++*lowest;
	for (int octave = 0; octave < HMEM_HEAT_BINS; octave++)
		if (h.near[octave])
			*highest_near = octave;
}

/* Waits until something is known of all of region @i. */
static inline bool is_known(int i)
{
	time_t end = time(NULL) + PATIENCE;
	int lowest, highest_near;

	do {
		heat_of(i, &lowest, &highest_near);
		if (lowest)
			return true;
		usleep(20000);
	} while (time(NULL) < end);
	show();
	return false;
}

/*
 * Nothing moves until all of each hot region counts for more than what its pair has near. On a busy
 * machine a region of which nothing is known yet would be the cold one, and noise would be heat; so
 * nothing is doubted here, everything is worth its copy, and none is as much hotter than another of
 * its region that they are exchanged.
 */
static inline void must_tell_apart(void)
{
	time_t end = time(NULL) + PATIENCE;
	bool apart = false;

	for (int i = 0; i < REGIONS; i++) {
		must(knob_set(fds[i], "margin_pct", 0), "margin_pct");
		must(knob_set(fds[i], "horizon_ms", 3600000), "horizon_ms");
		must(knob_set(fds[i], "band_max_oct4", 64), "band_max_oct4");
		must(knob_set(fds[i], "band_oct4", 64), "band_oct4");
		must(policy_mode_set(fds[i], HMEM_POLICY_MANUAL), "manual");
	}
	while (!apart) {
		apart = true;
		for (int pair = 0; pair < REGIONS; pair += 2) {
			int lowest[2], highest_near[2];

			heat_of(pair + hot, &lowest[0], &highest_near[0]);
			heat_of(pair + !hot, &lowest[1], &highest_near[1]);
			apart = apart && lowest[1] && lowest[0] > highest_near[1];
		}
		if (time(NULL) >= end) {
			show();
			tap_bail("regions cannot be told apart by their heat");
		}
		usleep(20000);
	}
}

/* Waits until region @i has so many extents near. */
static inline bool gets(int i, uint64_t extents)
{
	time_t end = time(NULL) + PATIENCE;

	do {
		watch();
		if (near_extents(i) >= extents)
			return true;
		usleep(20000);
	} while (time(NULL) < end);
	show();
	return false;
}

static inline bool keeps_at_most(int i, uint64_t extents)
{
	time_t end = time(NULL) + PATIENCE;

	do {
		watch();
		if (near_extents(i) <= extents)
			return true;
		usleep(20000);
	} while (time(NULL) < end);
	show();
	return false;
}

static inline void must_make_pool(int control)
{
	must(pool_attach_ram(control, "pool", REGIONS * (LENGTH + EXTENT)), "attach");
}

static inline void must_make_sharer(int control, int i)
{
	char name[] = "r0";

	name[1] += i;
	must(region_create(control, name, "pool", LENGTH), "create");
	fds[i] = must_open(name, O_RDWR);
	must(near_max_set(fds[i], LENGTH), "near_max");
	/* An emulated machine is slow in all that the knobs take for granted. */
	must(knob_set(fds[i], "budget_ppm", 200000), "budget_ppm");
	must_set_costs(fds[i]);
	/* What is hot all over is not to be split. */
	must(knob_set(fds[i], "split", 0), "split");
	base[i] = must_map(fds[i], LENGTH);
	memset(base[i], 1 + i, LENGTH);
}

static inline void must_make_sharers(int control)
{
	must_make_pool(control);
	for (int i = 0; i < REGIONS; i++)
		must_make_sharer(control, i);
}

static inline void must_read(pthread_t *thread)
{
	stop = 0;
	if (pthread_create(thread, NULL, reader, NULL))
		tap_bail("no thread");
}

static inline void end_reading(pthread_t thread)
{
	stop = 1;
	pthread_join(thread, NULL);
	for (int i = 0; i < REGIONS; i++)
		TAP_OK(pages_hold(base[i], LENGTH, 1 + i), "region %d: the data is what it was", i);
}

static inline void close_sharers(void)
{
	for (int i = 0; i < REGIONS; i++) {
		munmap(base[i], LENGTH);
		close(fds[i]);
	}
}

#endif
