/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Regions over two of three persistent pools, told from others of their name by what is in them,
 * and what a pool withholds.
 */
#ifndef SELFTESTS_GUEST_WITHHELD_H
#define SELFTESTS_GUEST_WITHHELD_H

#include "near.h"
#include "pmems.h"

static int control;
static int64_t all[PMEMS];

static inline void attach(int i)
{
	must(pool_attach_cxl(control, pmem[i], 0, NULL), "attach");
}

static inline void detach(int i)
{
	must(pool_detach(control, pmem[i]), "detach");
}

static inline void format_all(void)
{
	for (int i = 0; i < PMEMS; i++) {
		must(pool_attach_cxl(control, pmem[i], HMEM_ATTACH_FORMAT, NULL), "format");
		all[i] = pool_free(pmem[i]);
	}
}

static inline void detach_all(void)
{
	for (int i = 0; i < PMEMS; i++) {
		int rc = pool_detach(control, pmem[i]);

		if (rc && rc != -ENOENT)
			tap_bail("detach: %s", strerror(-rc));
	}
}

static inline void create_shared(const char *name, int first, int second)
{
	const char *const names[] = { pmem[first], pmem[second] };

	must(region_create_over(control, name, HMEM_CREATE_SPREAD, names, 2, 4 * EXTENT), "create");
}

static inline void mark(const char *name, unsigned int number)
{
	int fd = must_open(name, O_RDWR);

	for (unsigned int i = 0; i < 4; i++) {
		unsigned int word = number + i;

		if (pwrite(fd, &word, sizeof(word), i * EXTENT) != sizeof(word))
			tap_bail("write: %s", strerror(errno));
	}
	close(fd);
}

static inline bool marked(const char *name, unsigned int number)
{
	int fd = region_open(name, O_RDONLY);
	bool good = fd >= 0;

	for (unsigned int i = 0; good && i < 4; i++) {
		unsigned int word = 0;

		good = pread(fd, &word, sizeof(word), i * EXTENT) == sizeof(word) &&
		       word == number + i;
	}
	if (fd >= 0)
		close(fd);
	return good;
}

/* r on a and b with 100, of which b withholds its part; and another r, on c, with 200. */
static inline void begin(void)
{
	format_all();
	create_shared("r", 0, 1);
	mark("r", 100);
	detach(0);
	detach(1);
	must(region_create(control, "r", pmem[2], 4 * EXTENT), "create");
	mark("r", 200);
	attach(1);
}

/* An attribute of what a pool withholds. */
static inline const char *withheld(int pool, const char *region, const char *attribute)
{
	char name[2 * HMEM_NAME_LEN + 2];

	snprintf(name, sizeof(name), "%.63s:%s", pmem[pool], region);
	return sysfs_text("hmem_withheld", name, attribute);
}

#endif
