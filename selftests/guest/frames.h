/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which pool's memory is mapped, as the page tables have it: the module is not asked. For
 * pools of system RAM, whose extents can be anywhere.
 */
#ifndef SELFTESTS_GUEST_FRAMES_H
#define SELFTESTS_GUEST_FRAMES_H

#include "fixture.h"

#define MAX_FRAMES	64

struct frames {
	const char *pool;
	uint64_t frame[MAX_FRAMES];	/* of the first page of each extent */
	unsigned int count;
};

/* The frame of the page at @p, which is touched. */
static inline uint64_t frame_of(const volatile char *p)
{
	static int fd = -1;
	uint64_t entry;

	(void)*p;
	if (fd < 0)
		fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pread(fd, &entry, sizeof(entry), (uintptr_t)p / 4096 * 8) != sizeof(entry) ||
	    !(entry >> 63))
		tap_bail("/proc/self/pagemap does not say where a page is");
	return entry & ((1ULL << 55) - 1);
}

/* What an empty pool has, seen through a region of all of it, which is gone afterwards. */
static inline void frames_learn(int control, struct frames *f, const char *pool)
{
	uint64_t bytes = pool_free(pool);
	char *p;
	int fd;

	*f = (struct frames){ .pool = pool, .count = bytes / EXTENT };
	if (f->count > MAX_FRAMES)
		tap_bail("pool %s is larger than this test knows", pool);
	must(region_create(control, "frames", pool, bytes), "create");
	fd = must_open("frames", O_RDWR);
	p = must_map(fd, bytes);
	for (unsigned int i = 0; i < f->count; i++)
		f->frame[i] = frame_of(p + i * EXTENT);
	munmap(p, bytes);
	close(fd);
	must(region_destroy(control, "frames"), "destroy");
}

static inline bool frames_have(const struct frames *f, uint64_t frame)
{
	for (unsigned int i = 0; i < f->count; i++)
		if (f->frame[i] == frame)
			return true;
	return false;
}

/* One letter for each extent of a mapping: the index in @pools, from 'a' on; '?': none. */
static inline const char *frames_draw(const struct frames *pools, unsigned int nr_pools,
				      const char *p, unsigned int extents)
{
	static char text[MAX_FRAMES * 4 + 1];

	for (unsigned int i = 0; i < extents; i++) {
		uint64_t frame = frame_of(p + i * EXTENT);

		text[i] = '?';
		for (unsigned int n = 0; n < nr_pools; n++)
			if (frames_have(&pools[n], frame))
				text[i] = 'a' + n;
	}
	text[extents] = 0;
	return text;
}

#endif
