/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One pool of each kind, for what must hold on all of them: system RAM, a volatile and
 * a persistent CXL device.
 */
#ifndef SELFTESTS_GUEST_POOLS_H
#define SELFTESTS_GUEST_POOLS_H

#include "fixture.h"

#include <glob.h>
#include <libgen.h>

struct pool {
	const char *kind;		/* "system RAM", ... */
	char name[HMEM_NAME_LEN];	/* "" when this machine has none */
	bool persistent, dram;
};

/* Runs "cxl.sh VERB ARGUMENT"; its one line of output goes to @answer. */
static inline int cxl_fixture(const char *verb, const char *argument, char *answer, size_t room)
{
	char self[PATH_MAX] = "", command[PATH_MAX + 128];
	FILE *f;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return -errno;
	snprintf(command, sizeof(command), "bash %s/cxl.sh %s %s", dirname(self), verb, argument);
	fflush(stdout);
	f = popen(command, "re");
	if (!f)
		return -errno;
	if (answer) {
		answer[0] = 0;
		if (fgets(answer, room, f))
			answer[strcspn(answer, "\n")] = 0;
	}
	return pclose(f) ? -EIO : 0;
}

/* Like must_begin(), on a CXL bus without regions, whatever a test before this one left. */
static inline int must_begin_cxl(void)
{
	int control = must_begin();

	if (cxl_fixture("destroy_all", "", NULL, 0))
		tap_bail("cannot destroy the CXL regions that are there");
	return control;
}

/* A CXL region of @kind ("ram", "pmem"), free for hmem; to be destroyed with cxl_end(). */
static inline void must_cxl(const char *kind, char source[HMEM_NAME_LEN])
{
	if (cxl_fixture("create", kind, source, HMEM_NAME_LEN) || !source[0])
		tap_bail("cannot create a CXL region of kind %s", kind);
}

/* What sysfs says of a CXL region: "resource", "size". */
static inline uint64_t cxl_number(const char *region, const char *attribute)
{
	unsigned long long number = 0;
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/cxl/devices/%s/%s", region, attribute);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%llx", &number) != 1)
		tap_bail("no %s", path);
	fclose(f);
	return number;
}

/* The same on each of @nr devices, which must be all that there are. */
static inline void must_cxl_on_each(const char *kind, char (*sources)[HMEM_NAME_LEN],
				    unsigned int nr)
{
	char argument[128];
	int tries = 0;
	glob_t found;

	while (glob("/sys/bus/cxl/devices/mem*", 0, NULL, &found) || found.gl_pathc != nr) {
		globfree(&found);
		if (tries++ == 1000)
			tap_bail("there are not %u devices", nr);
		usleep(20000);
	}
	for (unsigned int i = 0; i < nr; i++) {
		snprintf(argument, sizeof(argument), "%s %s", kind, basename(found.gl_pathv[i]));
		if (cxl_fixture("create", argument, sources[i], HMEM_NAME_LEN) || !sources[i][0])
			tap_bail("no CXL region on %s", argument);
	}
	globfree(&found);
}

static inline void cxl_end(const char *source)
{
	if (cxl_fixture("destroy", source, NULL, 0))
		tap_diag("cannot destroy %s", source);
}

/* Runs @checks once for each kind of pool; the pool is fresh, and is gone afterwards. */
static inline void on_every_pool(int control, uint64_t ram_bytes,
				 void (*checks)(int control, const struct pool *pool))
{
	static const struct {
		const char *cxl;
		struct pool pool;
	} kinds[] = {
		{ NULL, { "ram", "pool-ram", false, true } },
		{ "ram", { "cxl ram", "", false, false } },
		{ "pmem", { "cxl pmem", "", true, false } },
	};

	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct pool pool = kinds[i].pool;

		if (!kinds[i].cxl) {
			must(pool_attach_ram(control, pool.name, ram_bytes), "attach a ram pool");
		} else {
			must_cxl(kinds[i].cxl, pool.name);
			must(pool_attach_cxl(control, pool.name, HMEM_ATTACH_FORMAT, NULL),
			     "attach a cxl pool");
		}
		checks(control, &pool);
		sweep(control);
		if (kinds[i].cxl)
			cxl_end(pool.name);
	}
}

#endif
