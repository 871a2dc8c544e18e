/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Three persistent pools a, b and c, on a device each, and what is on them.
 */
#ifndef SELFTESTS_GUEST_PMEMS_H
#define SELFTESTS_GUEST_PMEMS_H

#include "frames.h"
#include "pools.h"

#include <glob.h>

#define PMEMS	3

/* Names of the CXL regions, and so of the pools; which devices they are on; and where. */
static char pmem[PMEMS][HMEM_NAME_LEN];
static char pmem_device[PMEMS][32];
static uint64_t pmem_start[PMEMS], pmem_bytes[PMEMS];

/* The CXL region of a device, when it is not there. */
static inline void must_pmem(int i)
{
	char argument[128];

	snprintf(argument, sizeof(argument), "pmem %.31s", pmem_device[i]);
	if (cxl_fixture("create", argument, pmem[i], HMEM_NAME_LEN) || !pmem[i][0])
		tap_bail("no CXL region on %s", argument);
	pmem_start[i] = cxl_number(pmem[i], "resource");
	pmem_bytes[i] = cxl_number(pmem[i], "size");
}

static inline void must_pmems(void)
{
	glob_t found;
	int tries = 0;

	while (glob("/sys/bus/cxl/devices/mem*", 0, NULL, &found) || found.gl_pathc != PMEMS) {
		globfree(&found);
		if (tries++ == 1000)
			tap_bail("there are no three devices");
		usleep(20000);
	}
	for (int i = 0; i < PMEMS; i++)
		snprintf(pmem_device[i], sizeof(pmem_device[i]), "%s",
			 basename(found.gl_pathv[i]));
	globfree(&found);
	for (int i = 0; i < PMEMS; i++)
		must_pmem(i);
}

static inline void pmems_end(void)
{
	for (int i = PMEMS - 1; i >= 0; i--)
		cxl_end(pmem[i]);
}

/* One letter for each extent: the pool where it is. */
static inline const char *pmem_draw(const char *p, unsigned int extents)
{
	static char text[256];

	for (unsigned int i = 0; i < extents && i < sizeof(text) - 1; i++) {
		uint64_t at = frame_of(p + i * EXTENT) * 4096;

		text[i] = '?';
		for (int n = 0; n < PMEMS; n++)
			if (at >= pmem_start[n] && at < pmem_start[n] + pmem_bytes[n])
				text[i] = 'a' + n;
		text[i + 1] = 0;
	}
	return text;
}

/* The same of a region. */
static inline const char *pmem_draw_region(const char *name, unsigned int extents)
{
	int fd = must_open(name, O_RDWR);
	char *p = must_map(fd, extents * EXTENT);
	const char *text = pmem_draw(p, extents);

	munmap(p, extents * EXTENT);
	close(fd);
	return text;
}

/* The k-th of the six orders of three. */
static inline const int *pmem_order(int k)
{
	static const int orders[6][PMEMS] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 2, 0 }, { 0, 2, 1 },
					      { 2, 0, 1 }, { 1, 0, 2 } };

	return orders[k % 6];
}

#endif
