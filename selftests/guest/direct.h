/* SPDX-License-Identifier: GPL-2.0-only */
/* O_DIRECT between a disk and a mapped region, for tests of what a buffer there may be made of. */
#ifndef SELFTESTS_GUEST_DIRECT_H
#define SELFTESTS_GUEST_DIRECT_H

#include "fixture.h"

#include <inttypes.h>

#define DISK		"/dev/vdb"
#define DISK_OTHER	(4 * MIB)	/* where the disk has what is read into the region */

static inline void direct_fill(char *p, uint64_t length, unsigned int seed)
{
	for (uint64_t i = 0; i < length; i += 8)
		*(uint64_t *)(p + i) = (i + seed) * 0x9e3779b97f4a7c15ULL;
}

static inline bool direct_filled(const char *p, uint64_t length, unsigned int seed)
{
	for (uint64_t i = 0; i < length; i += 8)
		if (*(const volatile uint64_t *)(p + i) != (i + seed) * 0x9e3779b97f4a7c15ULL)
			return false;
	return true;
}

/* The disk, or -1 where there is none. */
static inline int direct_open(void)
{
	return open(DISK, O_RDWR | O_DIRECT | O_CLOEXEC);
}

static inline char *direct_page_aligned(uint64_t length)
{
	char *p = aligned_alloc(4096, length);

	if (!p)
		tap_bail("no %" PRIu64 " bytes", length);
	return p;
}

/* What the region has at @p goes to the disk. */
static inline void direct_to_disk(int disk, const char *p, uint64_t length, const char *kind,
				  const char *what)
{
	char *other = direct_page_aligned(length);
	ssize_t written;

	memset(other, 0, length);
	if (pwrite(disk, other, length, 0) != (ssize_t)length)
		tap_bail("%s: %s", DISK, strerror(errno));
	written = pwrite(disk, p, length, 0);
	TAP_EQ(written < 0 ? -errno : written, length, "%s, %s: %" PRIu64 " KiB to a disk", kind,
	       what, length / 1024);
	TAP_OK(pread(disk, other, length, 0) == (ssize_t)length && !memcmp(other, p, length),
	       "%s, %s: which has them", kind, what);
	free(other);
}

/* And what the disk has, which is of @seed, to the region. */
static inline void direct_from_disk(int disk, char *p, uint64_t length, unsigned int seed,
				    const char *kind, const char *what)
{
	char *other = direct_page_aligned(length);
	ssize_t got;

	direct_fill(other, length, seed);
	if (pwrite(disk, other, length, DISK_OTHER) != (ssize_t)length)
		tap_bail("%s: %s", DISK, strerror(errno));
	free(other);
	got = pread(disk, p, length, DISK_OTHER);
	TAP_EQ(got < 0 ? -errno : got, length, "%s, %s: %" PRIu64 " KiB from a disk", kind, what,
	       length / 1024);
	TAP_OK(direct_filled(p, length, seed), "%s, %s: it has them", kind, what);
}

#endif
