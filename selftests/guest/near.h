/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tiering commands of a region, for the tests of near copies.
 */
#ifndef SELFTESTS_GUEST_NEAR_H
#define SELFTESTS_GUEST_NEAR_H

#include "kmod.h"

/*
 * Seconds to wait for what takes so many at the most in a guest that is as slow as they usually
 * are: longer when the runner was told to have more patience.
 */
static inline int patience(int seconds)
{
	const char *factor = getenv("HMEM_TEST_PATIENCE");

	return factor && atoi(factor) > 3 ? seconds * atoi(factor) / 3 : seconds;
}

static inline int near_max_set(int fd, uint64_t bytes)
{
	struct hmem_policy p = { .size = sizeof(p), .flags = HMEM_POLICY_NEAR_MAX,
				 .near_max = bytes };

	return hmem_ioctl(fd, HMEM_REGION_POLICY, &p);
}

static inline int policy_mode_set(int fd, unsigned int mode)
{
	struct hmem_policy p = { .size = sizeof(p), .flags = HMEM_POLICY_MODE, .mode = mode };

	return hmem_ioctl(fd, HMEM_REGION_POLICY, &p);
}

static inline int knob_set(int fd, const char *name, uint64_t value)
{
	struct hmem_policy p = { .size = sizeof(p), .flags = HMEM_POLICY_KNOB, .value = value };

	snprintf(p.knob, sizeof(p.knob), "%s", name);
	return hmem_ioctl(fd, HMEM_REGION_POLICY, &p);
}

/* All ones when it cannot be asked. */
static inline struct hmem_stats near_stats(int fd)
{
	struct hmem_stats s = { .size = sizeof(s) };

	if (hmem_ioctl(fd, HMEM_REGION_STATS, &s))
		memset(&s, 0xff, sizeof(s));
	return s;
}

/* Signals and io_uring cut a range short: then the rest of it as well. */
static inline int migrate(int fd, uint64_t offset, uint64_t bytes, enum hmem_place place,
			  struct hmem_migrate *answer)
{
	struct hmem_migrate m = { .size = sizeof(m), .offset = offset, .bytes = bytes,
				  .place = place };
	uint64_t end = bytes ? offset + bytes : (uint64_t)lseek(fd, 0, SEEK_END);
	int rc;

	*answer = (struct hmem_migrate){ .size = sizeof(m), .pinned = UINT64_MAX };
	do {
		rc = hmem_ioctl(fd, HMEM_REGION_MIGRATE, &m);
		for (int i = 0; i < HMEM_MOVED_RESULTS; i++)
			answer->pages[i] += m.pages[i];
		if (answer->pinned == UINT64_MAX)
			answer->pinned = m.pinned;
		answer->next = m.next;
		m.offset = m.next;
		m.bytes = end - m.next;
	} while (!rc && m.next < end);
	return rc;
}

/* Keeps extents where they are told to be; @next, when it is not NULL: up to which. */
static inline int keep_extents(int fd, uint64_t first, uint64_t count, enum hmem_place place,
			       uint64_t *next)
{
	struct hmem_pin p = { .size = sizeof(p), .offset = first * EXTENT, .bytes = count * EXTENT,
			      .place = place };
	int rc = hmem_ioctl(fd, HMEM_REGION_PIN, &p);

	if (next)
		*next = p.next / EXTENT;
	return rc;
}

static inline int release_extents(int fd, uint64_t first, uint64_t count)
{
	struct hmem_pin p = { .size = sizeof(p), .flags = HMEM_PIN_RELEASE,
			      .offset = first * EXTENT, .bytes = count * EXTENT };

	return hmem_ioctl(fd, HMEM_REGION_PIN, &p);
}

/* How many extents of a range were moved. */
static inline uint64_t move_extents(int fd, uint64_t first, uint64_t count, enum hmem_place place)
{
	struct hmem_migrate m;

	if (migrate(fd, first * EXTENT, count * EXTENT, place, &m))
		return UINT64_MAX;
	return m.pages[HMEM_MOVED] / (EXTENT / 4096);
}

#endif
