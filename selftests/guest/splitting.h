/* SPDX-License-Identifier: GPL-2.0-only */
/* Extents of which a few pages are hot, which the policy splits, so that those alone are near. */
#ifndef SELFTESTS_GUEST_SPLITTING_H
#define SELFTESTS_GUEST_SPLITTING_H

#include "near_costs.h"

#include <pthread.h>

/* Of every extent, and how far from each other; unless a test has others. */
#ifndef HOT
#define HOT		32U
#define HOT_STRIDE	13
#endif

struct splitting {
	int fd;
	const volatile char *p;
	unsigned int extents;
	volatile int stop;
};

/* The offset of hot page @n of all. */
static inline uint64_t hot(unsigned int n)
{
	return n / HOT * EXTENT + n % HOT * HOT_STRIDE * 4096ULL;
}

static inline void *hot_reader(void *argument)
{
	const struct splitting *s = argument;

	for (unsigned int n = 0; !s->stop; n++) {
		(void)s->p[hot(n * 7 % (s->extents * HOT))];
		if (n % 512 == 511)
			usleep(1000);
	}
	return NULL;
}

static inline bool page_is_near(int fd, uint64_t offset)
{
	struct hmem_heat_cell cell = { 0 };
	struct hmem_heat h = { .size = sizeof(h), .offset = offset, .bytes = 4096, .cell = 4096,
			       .nr_cells = 1, .cells = (uintptr_t)&cell };

	must(hmem_ioctl(fd, HMEM_REGION_HEAT, &h), "HMEM_REGION_HEAT");
	return cell.near;
}

/* Hot pages come near alone, and then nothing moves by itself. */
static inline void split_all(int fd, const char *p, unsigned int extents)
{
	struct splitting s = { .fd = fd, .p = p, .extents = extents };
	time_t end = time(NULL) + patience(60);
	unsigned int near;
	pthread_t thread;

	if (pthread_create(&thread, NULL, hot_reader, &s))
		tap_bail("no thread");
	must(knob_set(fd, "budget_ppm", 300000), "budget_ppm");
	must_set_costs(fd);
	must(knob_set(fd, "split_prior", 1), "split_prior");
	must(knob_set(fd, "window_max_ms", 500), "window_max_ms");
	must(policy_mode_set(fd, HMEM_POLICY_AUTO), "auto");
	do {
		near = 0;
		for (unsigned int n = 0; n < extents * HOT; n++)
			near += page_is_near(fd, hot(n));
		usleep(50000);
	} while ((near < extents * HOT || near_stats(fd).splits < extents) && time(NULL) < end);
	must(policy_mode_set(fd, HMEM_POLICY_MANUAL), "manual");
	s.stop = 1;
	pthread_join(thread, NULL);
	if (near < extents * HOT || near_stats(fd).splits < extents)
		tap_bail("%u hot pages came near, of %u; %llu extents were split", near,
			 extents * HOT, (unsigned long long)near_stats(fd).splits);
}

#endif
