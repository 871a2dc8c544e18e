// SPDX-License-Identifier: GPL-2.0-only
/* list-poison, report-poison and clear-poison: memory that reports errors. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <hmem/poison.h>
#include <hmem/pool.h>

#include "json.h"
#include "options.h"
#include "poison.h"
#include "poison_device.h"
#include "report.h"
#include "size_option.h"
#include "tier.h"

#define PAGE	 4096
#define AT_ONCE	 64

/* A range, of what has @bytes; NULL for a member that was not given. */
struct range {
	const char *offset;
	const char *bytes;
};

#define RANGE_LINES(r) \
	{ OPTION_TEXT, 'o', "offset", "SIZE", "where the range begins; else 0", &(r)->offset }, \
	{ OPTION_TEXT, 'b', "bytes", "SIZE", "how long it is; else to the end", &(r)->bytes }

/* Return: whether it is one; else the complaint was made, with *@code to exit with. */
static bool range_is_valid(const struct session *s, const struct usage *usage,
			   const struct range *range, int *code)
{
	*code = EXIT_DONE;
	if (range->offset && !tier_size_is_valid(range->offset))
		*code = options_bad(s, usage, "%s is no offset", range->offset);
	else if (range->bytes && !size_is_valid(range->bytes))
		*code = options_bad(s, usage, "%s is no size", range->bytes);
	return *code == EXIT_DONE;
}

/* In bytes. Return: whether the range lies in the @size bytes of @what. */
static bool find_range(const struct session *s, const struct range *range, const char *what,
		       uint64_t size, uint64_t *from, uint64_t *bytes)
{
	char has[32];

	*from = 0;
	if (range->offset && strcmp(range->offset, "0") &&
	    hmem_size_parse(range->offset, size, from))
		*from = size;
	*bytes = *from < size ? size - *from : 0;
	if (range->bytes && strcmp(range->bytes, "all") &&
	    hmem_size_parse(range->bytes, size, bytes))
		*bytes = 0;
	if (*bytes && *from < size && *bytes <= size - *from)
		return true;
	report_error(s, "look at %s from offset %s of %s: that goes beyond its end, it has %s",
		     range->bytes ? range->bytes : "all", range->offset ? range->offset : "0", what,
		     hmem_size_format(size, has, sizeof(has)));
	return false;
}

static struct json_object *json_bad(const struct session *s, const struct hmem_bad *bad)
{
	struct json_object *o = json_object_new_object();

	json_size(s, o, "offset", bad->offset);
	json_size(s, o, "bytes", bad->bytes);
	json_object_object_add(o, "lost", json_object_new_boolean(!!(bad->state & HMEM_BAD_DATA)));
	json_object_object_add(o, "home_bad",
			       json_object_new_boolean(!!(bad->state & HMEM_BAD_HOME)));
	return o;
}

/* All that is bad goes to @array, unless that is NULL; bytes of data that are lost to *@lost. */
static int list_bad(const struct session *s, struct hmem_region *region, struct json_object *array,
		    uint64_t *lost)
{
	struct hmem_bad bad[AT_ONCE];
	uint64_t offset = 0;
	size_t count;

	*lost = 0;
	do {
		int rc;

		count = AT_ONCE;
		rc = hmem_poison_list(region, offset, bad, &count);
		if (rc)
			return rc;
		for (size_t i = 0; i < count; i++) {
			if (array)
				json_object_array_add(array, json_bad(s, &bad[i]));
			if (bad[i].state & HMEM_BAD_DATA)
				*lost += bad[i].bytes;
			offset = bad[i].offset + bad[i].bytes;
		}
	} while (count == AT_ONCE);
	return 0;
}

void poison_show(struct session *s, struct json_object *o, const struct hmem_region_info *info)
{
	struct hmem_region *region = NULL;
	uint64_t lost;

	if (!strncmp(info->name, "hmem:", 5) &&
	    !hmem_region_open(s->hmem, info->name, HMEM_OPEN_READ_ONLY, &region) &&
	    !list_bad(s, region, NULL, &lost))
		json_size(s, o, "lost", lost);
	else
		json_text(o, "lost", NULL);
	hmem_region_close(region);
}

static int print_bad(struct session *s, struct hmem_region *region, const char *name)
{
	struct json_object *array = json_object_new_array(), *o, *ranges = json_object_new_array();
	uint64_t lost;
	int rc = list_bad(s, region, ranges, &lost);

	if (rc) {
		json_object_put(ranges);
		json_object_put(array);
		return report_library(s, rc);
	}
	report_count(s, "%zu ranges are bad", json_object_array_length(ranges));
	o = json_object_new_object();
	json_text(o, "region", name);
	json_size(s, o, "lost", lost);
	json_object_object_add(o, "bad", ranges);
	json_object_array_add(array, o);
	return json_print(s, array);
}

static const char *bare(const char *name)
{
	return strncmp(name, "hmem:", 5) ? name : name + 5;
}

int verb_list_poison(struct session *s, int argc, char **argv)
{
	const struct option_line lines[] = { OPTION_HUMAN(s), { .kind = OPTION_END } };
	const struct usage usage = { "NAME [-u]", lines };
	int first, rc = options_parse_one(s, &usage, argc, argv, &first, "region");
	struct hmem_region *region;

	if (rc >= 0)
		return rc;
	rc = hmem_region_open(s->hmem, argv[first], HMEM_OPEN_READ_ONLY, &region);
	if (rc)
		return report_library(s, rc);
	rc = print_bad(s, region, bare(argv[first]));
	hmem_region_close(region);
	return rc;
}

static int clear(struct session *s, struct hmem_region *region, const struct range *range)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	uint64_t from, bytes, pages;
	char what[96];
	int rc = hmem_region_get_info(region, &info);

	if (rc)
		return report_library(s, rc);
	snprintf(what, sizeof(what), "region %.64s", tier_name(&info));
	if (!find_range(s, range, what, info.bytes, &from, &bytes))
		return EXIT_FAILED;
	bytes += from % PAGE;
	from -= from % PAGE;
	bytes += PAGE - 1 - (bytes - 1) % PAGE;
	rc = hmem_poison_clear(region, from, bytes, &pages);
	if (rc)
		return report_library(s, rc);
	report_count(s, "cleared %llu pages", (unsigned long long)pages);
	return print_bad(s, region, tier_name(&info));
}

int verb_clear_poison(struct session *s, int argc, char **argv)
{
	struct range range = { NULL, NULL };
	const struct option_line lines[] = { RANGE_LINES(&range), OPTION_HUMAN(s),
					     { .kind = OPTION_END } };
	const struct usage usage = { "NAME [--offset SIZE] [--bytes SIZE] [-u]", lines };
	int first, rc = options_parse_one(s, &usage, argc, argv, &first, "region");
	struct hmem_region *region;

	if (rc >= 0)
		return rc;
	if (!range_is_valid(s, &usage, &range, &rc))
		return rc;
	rc = hmem_region_open(s->hmem, argv[first], 0, &region);
	if (rc)
		return report_library(s, rc);
	rc = clear(s, region, &range);
	hmem_region_close(region);
	return rc;
}

/* What was reported of a pool, in JSON. */
struct reported {
	struct session *s;
	const char *pool;
	struct json_object *array;
	uint64_t pages;
};

static int report_one(void *arg, uint64_t from, uint64_t bytes)
{
	struct reported *reported = arg;
	struct json_object *o;
	uint64_t pages;
	int rc = hmem_poison_report(reported->s->hmem, reported->pool, from, bytes, &pages);

	if (rc)
		return report_library(reported->s, rc);
	reported->pages += pages;
	o = json_object_new_object();
	json_text(o, "pool", reported->pool);
	json_size(reported->s, o, "offset", from);
	json_size(reported->s, o, "bytes", bytes);
	json_number(o, "pages_in_regions", pages);
	json_object_array_add(reported->array, o);
	return EXIT_DONE;
}

static int report_listed(struct reported *reported)
{
	struct hmem_pool_info info = { .size = sizeof(info) };
	int rc = hmem_pool_get_info(reported->s->hmem, reported->pool, &info);

	if (rc)
		return report_library(reported->s, rc);
	if (!*info.source) {
		report_error(reported->s, "pool %s is of no device, which might have a list",
			     reported->pool);
		return EXIT_FAILED;
	}
	return poison_of_devices(reported->s, info.source, report_one, reported);
}

/* All that was reported is told, also what came before something that failed. */
static int report_all(struct session *s, const char *pool, bool listed, uint64_t from,
		      uint64_t bytes)
{
	struct reported reported = { s, pool, json_object_new_array(), 0 };
	int rc = listed ? report_listed(&reported) : report_one(&reported, from, bytes), printed;

	if (rc && !json_object_array_length(reported.array)) {
		json_object_put(reported.array);
		return rc;
	}
	if (listed)
		report_count(s, "%zu ranges are bad",
			     json_object_array_length(reported.array));
	report_count(s, "regions have %llu of the pages", (unsigned long long)reported.pages);
	printed = json_print(s, reported.array);
	return rc ? rc : printed;
}

int verb_report_poison(struct session *s, int argc, char **argv)
{
	struct range range = { NULL, NULL };
	bool listed = false;
	const struct option_line lines[] = {
		{ OPTION_TEXT, 'o', "offset", "SIZE",
		  "where, in what the pool was claimed from; else 0", &range.offset },
		{ OPTION_TEXT, 'b', "bytes", "SIZE", "how much is bad", &range.bytes },
		{ OPTION_FLAG, 'd', "from-device", NULL, "what its devices have on their lists",
		  &listed },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "POOL {[--offset SIZE] --bytes SIZE | --from-device} [-u]",
				     lines };
	int first, rc = options_parse_one(s, &usage, argc, argv, &first, "pool");
	uint64_t from = 0, bytes = 0;

	if (rc >= 0)
		return rc;
	if (listed && (range.bytes || range.offset))
		return options_bad(s, &usage, "--from-device says where, and how much");
	if (!listed && !range.bytes)
		return options_bad(s, &usage, "how much is bad? --bytes SIZE, or --from-device");
	if ((range.offset && strcmp(range.offset, "0") &&
	     hmem_size_parse(range.offset, 0, &from)) ||
	    (range.bytes && hmem_size_parse(range.bytes, 0, &bytes)))
		return options_bad(s, &usage, "%s from %s is no range in bytes", range.bytes,
				   range.offset ? range.offset : "0");
	return report_all(s, argv[first], listed, from, bytes);
}
