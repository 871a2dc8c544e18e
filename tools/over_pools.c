// SPDX-License-Identifier: GPL-2.0-only
#include "over_pools.h"

#include <stdio.h>
#include <string.h>

#include "report.h"
#include "size_option.h"

/* What is found while the pools are looked through. */
struct finding {
	const struct option_values *names;
	bool persistent;
	struct over_pools *over;
	uint64_t bytes, free_bytes;
};

static void add(struct finding *f, const struct hmem_pool_info *info)
{
	struct over_pools *over = f->over;

	if (over->nr == sizeof(over->at) / sizeof(over->at[0]))
		return;
	snprintf(over->name[over->nr], sizeof(over->name[0]), "%s", info->name);
	over->at[over->nr] = over->name[over->nr];
	over->nr++;
	f->bytes += info->bytes;
	f->free_bytes += info->free_bytes;
}

static int add_with_room(void *arg, const struct hmem_pool_info *info)
{
	struct finding *f = arg;

	if (info->persistent == f->persistent && info->free_bytes)
		add(f, info);
	return 0;
}

static bool enough(const char *size, struct finding *f)
{
	return f->over->nr && !size_in_pool(size, f->bytes, f->free_bytes, &f->over->bytes) &&
	       f->over->bytes && f->over->bytes <= f->free_bytes;
}

/* Return: exit code. */
static int no_room(const struct session *s, uint64_t free_bytes, const char *size)
{
	char text[32];

	report_error(s, "carve %s out of pools of one kind: together they have %s free", size,
		     hmem_size_format(free_bytes, text, sizeof(text)));
	report_fix(s, "hmemctl list -P shows the pools, hmemctl attach-pool adds one");
	return EXIT_FAILED;
}

/* Return: exit code. */
static int find_named(const struct session *s, struct finding *f, const char *type)
{
	for (unsigned int i = 0; i < f->names->nr; i++) {
		struct hmem_pool_info info = { .size = sizeof(info) };
		int rc = hmem_pool_get_info(s->hmem, f->names->value[i], &info);

		if (rc)
			return report_library(s, rc);
		if (i == 0)
			f->persistent = info.persistent;
		if (info.persistent != f->persistent ||
		    (type && strcmp(type, info.persistent ? "pmem" : "ram"))) {
			report_error(s, "carve a region out of pool %s: it is %s, and all pools of "
				     "a region are of one kind", info.name,
				     info.persistent ? "persistent" : "volatile");
			return EXIT_FAILED;
		}
		add(f, &info);
	}
	return EXIT_DONE;
}

int over_pools_find(const struct session *s, const struct option_values *names, const char *type,
		    const char *size, struct over_pools *over)
{
	struct finding f = { .names = names, .over = over };
	uint64_t most = 0;
	int rc;

	*over = (struct over_pools){ .nr = 0 };
	if (names->nr) {
		rc = find_named(s, &f, type);
		if (rc)
			return rc;
		return enough(size, &f) ? EXIT_DONE : no_room(s, f.free_bytes, size);
	}
	for (int persistent = 0; persistent < 2; persistent++) {
		if (type && strcmp(type, persistent ? "pmem" : "ram"))
			continue;
		f = (struct finding){ .names = names, .persistent = persistent, .over = over };
		over->nr = 0;
		rc = hmem_pool_iterate(s->hmem, add_with_room, &f);
		if (rc)
			return report_library(s, rc);
		if (enough(size, &f))
			return EXIT_DONE;
		if (f.free_bytes > most)
			most = f.free_bytes;
	}
	over->nr = 0;
	return no_room(s, most, size);
}
