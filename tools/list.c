// SPDX-License-Identifier: GPL-2.0-only
/*
 * list and info: what is there. Both only look, and need no privilege.
 *
 * One kind is an array of that kind; both kinds are an array of two objects, each
 * holding one array, as "cxl list" does it.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "options.h"
#include "poison.h"
#include "report.h"
#include "sysfs.h"
#include "tier.h"
#include "withheld.h"

struct listing {
	const struct session *s;
	const char *pool;	/* only this one, or what is on it; NULL: all */
	struct json_object *array;
};

/* Also when it is not the first of its pools. */
static bool is_on(const char *region, const char *pool)
{
	char text[4096], *rest = text, *word;

	if (sysfs_read(text, sizeof(text), "/sys/class/hmem/%s/pools", region))
		return false;
	while ((word = strsep(&rest, " ")))
		if (!strcmp(word, pool))
			return true;
	return false;
}

static int add_region(void *arg, const struct hmem_region_info *info)
{
	struct listing *l = arg;
	struct json_object *o;

	/* The library finds device-dax devices too; those are listed by daxctl. */
	if (strncmp(info->name, "hmem:", 5) || (l->pool && !is_on(info->name + 5, l->pool)))
		return 0;
	o = json_region(l->s, info);
	tier_show_placement(l->s, o, info);
	json_object_array_add(l->array, o);
	return 0;
}

static int add_pool(void *arg, const struct hmem_pool_info *info)
{
	struct listing *l = arg;

	if (l->pool && strcmp(l->pool, info->name))
		return 0;
	json_object_array_add(l->array, json_pool(l->s, info));
	return 0;
}

static struct json_object *under(const char *key, struct json_object *array)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, key, array);
	return o;
}

static void count(const struct session *s, struct json_object *array, const char *what)
{
	size_t n = json_object_array_length(array);

	report_count(s, "%zu %s%s", n, what, n == 1 ? "" : "s");
}

int verb_list(struct session *s, int argc, char **argv)
{
	bool pools = false, regions = false;
	const char *pool = NULL;
	const struct option_line lines[] = {
		{ OPTION_FLAG, 'R', "regions", NULL, "regions (the default)", &regions },
		{ OPTION_FLAG, 'P', "pools", NULL, "pools", &pools },
		{ OPTION_TEXT, 'p', "pool", "POOL", "only this pool, or what is on it", &pool },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "[-R] [-P] [-p POOL] [-u]", lines };
	int first, rc = options_parse(s, &usage, argc, argv, &first);
	struct listing found_pools, found_regions;
	struct json_object *both;

	if (rc >= 0)
		return rc;
	if (first < argc)
		return options_bad(s, &usage, "unexpected argument: %s", argv[first]);
	if (!pools)
		regions = true;
	if (pool) {
		struct hmem_pool_info info = { .size = sizeof(info) };

		rc = hmem_pool_get_info(s->hmem, pool, &info);
		if (rc)
			return report_library(s, rc);
	}

	found_pools = (struct listing){ s, pool, json_object_new_array() };
	found_regions = (struct listing){ s, pool, json_object_new_array() };
	if (pools)
		rc = hmem_pool_iterate(s->hmem, add_pool, &found_pools);
	if (rc <= 0 && regions && (!pools || !rc))
		rc = hmem_region_iterate(s->hmem, add_region, &found_regions);
	if (rc) {
		json_object_put(found_pools.array);
		json_object_put(found_regions.array);
		return report_library(s, rc);
	}
	if (access(HMEM_CONTROL, F_OK))
		report_warning(s, "%s is not there: hmem.ko is not loaded", HMEM_CONTROL);
	if (pools)
		count(s, found_pools.array, "pool");
	if (regions)
		count(s, found_regions.array, "region");
	if (regions && withheld_add(s, NULL, pool, found_regions.array))
		withheld_explain(s, found_regions.array);

	if (!regions || !pools) {
		json_object_put(regions ? found_pools.array : found_regions.array);
		return json_print(s, regions ? found_regions.array : found_pools.array);
	}
	both = json_object_new_array();
	json_object_array_add(both, under("pools", found_pools.array));
	json_object_array_add(both, under("regions", found_regions.array));
	return json_print(s, both);
}

/* A region of that name, else a pool of that name: they are named apart in practice. */
static int add_info(struct session *s, const char *name, bool only_pool, struct json_object *array)
{
	struct hmem_region_info region = { .size = sizeof(region) };
	struct hmem_pool_info pool = { .size = sizeof(pool) };
	int rc, first;

	first = only_pool ? -ENOENT : hmem_region_get_info_by_name(s->hmem, name, &region);
	if (!first) {
		struct json_object *o = json_region(s, &region);

		tier_show(s, o, &region);
		poison_show(s, o, &region);
		json_object_array_add(array, o);
		return EXIT_DONE;
	}
	if (!only_pool && withheld_add(s, name, NULL, array))
		return EXIT_DONE;
	rc = hmem_pool_get_info(s->hmem, name, &pool);
	if (!rc) {
		json_object_array_add(array, json_pool(s, &pool));
		return EXIT_DONE;
	}
	if (only_pool)
		return report_library(s, rc);
	if (first == -ENOENT || first == -ENODEV) {
		report_error(s, "look up %s: no region and no pool has that name", name);
		report_fix(s, "hmemctl list -P -R shows what there is");
		return EXIT_FAILED;
	}
	/* Asked again so that the last error is the region's and not the pool's. */
	rc = hmem_region_get_info_by_name(s->hmem, name, &region);
	return report_library(s, rc ? rc : -EAGAIN);
}

int verb_info(struct session *s, int argc, char **argv)
{
	bool pools = false;
	const struct option_line lines[] = {
		{ OPTION_FLAG, 'P', "pools", NULL, "the names are pools'", &pools },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "NAME... [-P] [-u]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first), worst = EXIT_DONE;
	struct json_object *array;

	if (code >= 0)
		return code;
	if (first == argc)
		return options_bad(s, &usage, "which region or pool?");
	array = json_object_new_array();
	for (; first < argc; first++) {
		code = add_info(s, argv[first], pools, array);
		if (code)
			worst = code;
	}
	code = json_print(s, array);
	return worst ? worst : code;
}
