// SPDX-License-Identifier: GPL-2.0-only
/* resize-region and destroy-region. create-region has a file of its own. */
#include <errno.h>
#include <string.h>

#include <hmem/shelf.h>

#include "json.h"
#include "options.h"
#include "report.h"
#include "size_option.h"
#include "sysfs.h"
#include "withheld.h"

/*
 * All that the pools have which a region of hmem.ko is on, in one, and how many they are. Verbs
 * take the bare name of such a region, or a full name with a scheme.
 */
static int pool_of(struct session *s, const struct hmem_region_info *info,
		   struct hmem_pool_info *pool, unsigned int *nr)
{
	struct hmem_pool_info one = { .size = sizeof(one) };
	char text[4096], *rest = text, *word;
	int rc = 0;

	*nr = 1;
	*pool = (struct hmem_pool_info){ .size = sizeof(*pool) };
	if (!*info->pool)
		return 0;
	if (strncmp(info->name, "hmem:", 5) ||
	    sysfs_read(text, sizeof(text), "/sys/class/hmem/%s/pools", info->name + 5) || !*text)
		return hmem_pool_get_info(s->hmem, info->pool, pool);
	for (*nr = 0; !rc && (word = strsep(&rest, " ")); ++*nr) {
		rc = hmem_pool_get_info(s->hmem, word, &one);
		pool->bytes += rc ? 0 : one.bytes;
		pool->free_bytes += rc ? 0 : one.free_bytes;
	}
	return rc;
}

static int count_shelf(void *arg, const struct hmem_shelf_info *info)
{
	(void)info;
	++*(unsigned int *)arg;
	return 0;
}

/*
 * Shelves lie anywhere in their region, and open only while it is as large as it was. One that
 * cannot be read, or holds something else, is its owner's to judge.
 */
static unsigned int shelves_in(struct session *s, const char *name)
{
	struct hmem_region *region;
	unsigned int nr = 0;

	if (hmem_region_open(s->hmem, name, HMEM_OPEN_READ_ONLY, &region))
		return 0;
	hmem_shelf_iterate(region, count_shelf, &nr);
	hmem_region_close(region);
	return nr;
}

static int refuse_to_cut(const struct session *s, const char *name, unsigned int shelves)
{
	report_error(s, "resize region %s: it holds %u %s, which could not be opened any more when "
		     "it is smaller", name, shelves, shelves == 1 ? "shelf" : "shelves");
	report_fix(s, "hmemctl export-shelf saves one, destroy-shelf removes it; or resize with --force");
	return EXIT_FAILED;
}

static int resize(struct session *s, const char *name, uint64_t bytes)
{
	struct hmem_region *region;
	int rc = hmem_region_open(s->hmem, name, 0, &region);

	if (rc)
		return rc;
	rc = hmem_region_resize(region, bytes);
	hmem_region_close(region);
	return rc;
}

int verb_resize_region(struct session *s, int argc, char **argv)
{
	const char *size = NULL;
	bool dry_run = false, force = false;
	const struct option_line lines[] = {
		{ OPTION_TEXT, 's', "size", "SIZE",
		  "new size: 64G, 1.5T, 50% of the pool, all of what is free", &size },
		{ OPTION_FLAG, 'f', "force", NULL, "cut off shelves, and what is on them", &force },
		OPTION_DRY_RUN(&dry_run),
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "NAME --size SIZE [--force] [--dry-run] [-u]", lines };
	struct hmem_region_info info = { .size = sizeof(info) };
	int first, rc = options_parse_one(s, &usage, argc, argv, &first, "region");
	struct hmem_pool_info pool;
	struct json_object *array;
	unsigned int shelves, nr;
	uint64_t bytes;

	if (rc >= 0)
		return rc;
	if (!size)
		return options_bad(s, &usage, "--size is missing");
	if (!size_is_valid(size))
		return options_bad(s, &usage, "%s is no size", size);

	rc = hmem_region_get_info_by_name(s->hmem, argv[first], &info);
	if (!rc)
		rc = pool_of(s, &info, &pool, &nr);
	if (rc)
		return report_library(s, rc);
	rc = size_in_pool(size, pool.bytes, pool.free_bytes + info.bytes, &bytes);
	if (rc) {
		report_error(s, "resize region %s to %s: its pool tells no capacity to take a "
			     "part of", argv[first], size);
		return EXIT_FAILED;
	}
	if (*info.pool && bytes > info.bytes && bytes - info.bytes > pool.free_bytes) {
		char want[32], free[32];

		report_error(s, "resize region %s: its pool %s%s no room: %s more wanted, %s free",
			     argv[first], info.pool, nr > 1 ? " and the others have" : " has",
			     hmem_size_format(bytes - info.bytes, want, sizeof(want)),
			     hmem_size_format(pool.free_bytes, free, sizeof(free)));
		report_fix(s, "hmemctl list -p %s shows what could be destroyed", info.pool);
		return EXIT_FAILED;
	}
	shelves = bytes < info.bytes && !force ? shelves_in(s, argv[first]) : 0;
	if (shelves)
		return refuse_to_cut(s, argv[first], shelves);
	if (!dry_run)
		rc = resize(s, argv[first], bytes);
	if (!rc && !dry_run)
		rc = hmem_region_get_info_by_name(s->hmem, argv[first], &info);
	if (rc)
		return report_library(s, rc);
	if (dry_run)
		info.bytes = bytes;

	array = json_object_new_array();
	json_object_array_add(array, json_region(s, &info));
	report_count(s, dry_run ? "would resize 1 region" : "resized 1 region");
	return json_print(s, array);
}

/* Prints one that nobody sees, or destroys it; -ENOENT when there is none of that name. */
static int destroy_withheld(const struct session *s, const char *name, bool dry_run,
			    struct json_object *array)
{
	size_t had = json_object_array_length(array);
	int rc = 0;

	if (!withheld_add(s, name, NULL, array))
		return -ENOENT;
	if (!dry_run)
		rc = hmem_region_destroy(s->hmem, name);
	if (!rc)
		report_count(s, "region %s %s withheld: what its pools have of it %s given up", name,
			     dry_run ? "is" : "was", dry_run ? "would be" : "is");
	else
		json_object_array_del_idx(array, had, json_object_array_length(array) - had);
	return rc;
}

int verb_destroy_region(struct session *s, int argc, char **argv)
{
	bool dry_run = false;
	const struct option_line lines[] = {
		OPTION_DRY_RUN(&dry_run),
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "NAME... [--dry-run] [-u]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first), worst = EXIT_DONE;
	unsigned int done = 0;
	struct json_object *array;

	if (code >= 0)
		return code;
	if (first == argc)
		return options_bad(s, &usage, "which region?");
	array = json_object_new_array();
	for (; first < argc; first++) {
		struct hmem_region_info info = { .size = sizeof(info) };
		int rc = hmem_region_get_info_by_name(s->hmem, argv[first], &info);

		bool seen = !rc;

		if (rc == -ENOENT)
			rc = destroy_withheld(s, argv[first], dry_run, array);
		else if (!rc && !dry_run)
			rc = hmem_region_destroy(s->hmem, argv[first]);
		if (rc) {
			worst = report_library(s, rc);
			continue;
		}
		if (seen)
			json_object_array_add(array, json_region(s, &info));
		done++;
	}
	report_count(s, "%s %u region%s", dry_run ? "would destroy" : "destroyed", done,
		     done == 1 ? "" : "s");
	code = json_print(s, array);
	return worst ? worst : code;
}
