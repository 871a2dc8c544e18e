// SPDX-License-Identifier: GPL-2.0-only
/* migrate: a part of a region into DRAM, or home. */
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "size_option.h"
#include "tier.h"

/* Moved by one call: some hundredths of a second, between two looks at the progress. */
#define AT_ONCE (64ULL << 20)

/* @why: of pages that ought to have been moved, said of them */
static const struct {
	const char *name;
	const char *why;
	const char *fix;
} results[] = {
	[HMEM_TIER_MOVED] = { "moved", NULL, NULL },
	[HMEM_TIER_ALREADY] = { "already", NULL, NULL },
	[HMEM_TIER_UNTOUCHED] = { "untouched", NULL, NULL },
	[HMEM_TIER_PINNED] = { "pinned", "pinned by direct I/O, a device or a pipe",
			       "end what holds them, and try again" },
	[HMEM_TIER_WRITTEN] = { "written", "stored to all the time",
				"try again while less is stored to them" },
	[HMEM_TIER_BUSY] = { "busy", "just being moved by somebody else", "try again" },
	[HMEM_TIER_NO_MEMORY] = { "no_memory", "without DRAM to be had",
				  "free memory on the nodes with CPUs, or raise the limit of the "
				  "memory cgroup" },
	[HMEM_TIER_OVER_BOUND] = { "over_bound", "over the region's near_max", NULL },
	[HMEM_TIER_POISONED] = { "poisoned", "on memory that reports an error",
				 "the kernel log has the address" },
	[HMEM_TIER_KEPT] = { "kept", "kept where they are",
			     "let them go with HMEM_REGION_PIN, and try again" },
};

#define N_RESULTS (sizeof(results) / sizeof(results[0]))

struct move {
	const char *offset;
	const char *bytes;
	enum hmem_tier_place place;
	uint64_t from;
	uint64_t to;
	struct hmem_tier_moved sum;
	uint64_t left;		/* pages that ought to have been moved and were not */
};

static const char *place_name(enum hmem_tier_place place)
{
	return place == HMEM_TIER_NEAR ? "near" : "home";
}

static uint64_t unknown_results(const struct move *move)
{
	uint64_t sum = 0;

	for (size_t i = N_RESULTS; i < HMEM_TIER_RESULTS; i++)
		sum += move->sum.pages[i];
	return sum;
}

static int move_all(struct session *s, struct hmem_region *region, struct move *move)
{
	struct progress progress;
	int rc = 0;

	move->sum.pinned = UINT64_MAX;
	progress_begin(&progress, s, move->to - move->from);
	for (uint64_t at = move->from; !rc && at < move->to;) {
		struct hmem_tier_moved moved = { .size = sizeof(moved) };
		uint64_t bytes = move->to - at < AT_ONCE ? move->to - at : AT_ONCE;

		rc = hmem_tier_migrate(region, at, bytes, move->place, &moved);
		if (rc)
			break;
		for (size_t i = 0; i < HMEM_TIER_RESULTS; i++)
			move->sum.pages[i] += moved.pages[i];
		if (move->sum.pinned == UINT64_MAX)
			move->sum.pinned = moved.pinned;
		at = moved.next;
		progress_show(&progress, at - move->from);
	}
	progress_end(&progress);
	for (size_t i = HMEM_TIER_UNTOUCHED + 1; i < HMEM_TIER_RESULTS; i++)
		move->left += move->sum.pages[i];
	return rc;
}

static struct json_object *json_move(const struct session *s, const char *name,
				     const struct move *move)
{
	struct json_object *o = json_object_new_object(), *pages = json_object_new_object();

	json_text(o, "region", name);
	json_text(o, "place", place_name(move->place));
	json_size(s, o, "offset", move->from);
	json_size(s, o, "bytes", move->to - move->from);
	for (size_t i = 0; i < N_RESULTS; i++)
		json_number(pages, results[i].name, move->sum.pages[i]);
	json_number(pages, "other", unknown_results(move));
	json_object_object_add(o, "pages", pages);
	if (move->sum.pinned == UINT64_MAX)
		json_text(o, "first_pinned", NULL);
	else
		json_size(s, o, "first_pinned", move->sum.pinned);
	return o;
}

/* What was not moved, and what helps with most of it. */
static void report_left(const struct session *s, const char *name, const struct move *move)
{
	uint64_t most = unknown_results(move);
	size_t length = 0, worst = N_RESULTS;
	char why[512] = "";

	for (size_t i = 0; i < N_RESULTS; i++) {
		uint64_t pages = move->sum.pages[i];

		if (!results[i].why || !pages)
			continue;
		length += (size_t)snprintf(why + length, sizeof(why) - length, "%s%llu %s",
					   length ? ", " : "", (unsigned long long)pages,
					   results[i].why);
		if (pages > most) {
			most = pages;
			worst = i;
		}
	}
	if (move->sum.pages[HMEM_TIER_MOVED])
		report_warning(s, "%llu pages of region %s were not moved %s: %s",
			       (unsigned long long)move->left, name, place_name(move->place), why);
	else
		report_error(s, "move region %s %s: nothing was moved, of %llu pages: %s", name,
			     place_name(move->place), (unsigned long long)move->left, why);
	if (worst == HMEM_TIER_OVER_BOUND)
		report_fix(s, "hmemctl set-policy %s --near-max SIZE raises it", name);
	else
		report_fix(s, "%s", worst < N_RESULTS ? results[worst].fix :
						       "update hmemctl, which does not know why");
}

/* The range in whole extents around what was asked for. Return: exit code. */
static int find_range(const struct session *s, const struct hmem_region_info *info,
		      struct move *move)
{
	const char *offset = move->offset, *bytes = move->bytes;
	uint64_t extent = info->granularity, from = 0, length = info->bytes;
	char has[32];

	if (offset && strcmp(offset, "0") && hmem_size_parse(offset, info->bytes, &from))
		from = info->bytes;
	if (from < info->bytes)
		length = info->bytes - from;
	/* A percentage of so little that it is no byte. */
	if (bytes && hmem_size_parse(bytes, info->bytes, &length))
		length = 1;
	if (from >= info->bytes || (length > info->bytes - from &&
				    !(bytes && !strcmp(bytes, "all")))) {
		report_error(s, "move %s from offset %s of region %s: that goes beyond its end, it "
			     "has %s", bytes ? bytes : "all", offset ? offset : "0",
			     tier_name(info), hmem_size_format(info->bytes, has, sizeof(has)));
		return EXIT_FAILED;
	}
	if (length > info->bytes - from)
		length = info->bytes - from;
	move->to = from + length;
	move->to += extent - 1 - (move->to - 1) % extent;
	move->from = from - from % extent;
	return EXIT_DONE;
}

static int migrate(struct session *s, struct hmem_region *region, void *arg)
{
	struct move *move = arg;
	struct hmem_region_info info = { .size = sizeof(info) };
	struct json_object *array;
	int rc = hmem_region_get_info(region, &info);

	/* Where there are no near copies, ranges do not matter. */
	if (!rc && strncmp(info.name, "hmem:", 5))
		rc = hmem_tier_migrate(region, 0, 0, move->place, &move->sum);
	if (rc)
		return report_library(s, rc);
	rc = find_range(s, &info, move);
	if (rc)
		return rc;
	rc = move_all(s, region, move);
	if (rc)
		return report_library(s, rc);
	report_count(s, "moved %llu pages %s",
		     (unsigned long long)move->sum.pages[HMEM_TIER_MOVED],
		     place_name(move->place));
	if (move->left)
		report_left(s, tier_name(&info), move);
	array = json_object_new_array();
	json_object_array_add(array, json_move(s, tier_name(&info), move));
	rc = json_print(s, array);
	return move->left && !move->sum.pages[HMEM_TIER_MOVED] ? EXIT_FAILED : rc;
}

int verb_migrate(struct session *s, int argc, char **argv)
{
	struct move move = { .sum.size = sizeof(move.sum) };
	bool near = false, home = false;
	const struct option_line lines[] = {
		{ OPTION_FLAG, 0, "near", NULL, "into DRAM, as far as near_max goes", &near },
		{ OPTION_FLAG, 0, "home", NULL, "back to the region's own memory", &home },
		{ OPTION_TEXT, 'o', "offset", "SIZE", "where the range begins; else 0", &move.offset },
		{ OPTION_TEXT, 'b', "bytes", "SIZE", "how long it is; else to the end", &move.bytes },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = {
		"NAME --near|--home [--offset SIZE] [--bytes SIZE] [-u]", lines };
	int first, rc = options_parse_one(s, &usage, argc, argv, &first, "region");

	if (rc >= 0)
		return rc;
	if (near == home)
		return options_bad(s, &usage, near ? "--near and --home are one too many" :
						     "where to? --near or --home");
	if (move.offset && !tier_size_is_valid(move.offset))
		return options_bad(s, &usage, "%s is no offset", move.offset);
	if (move.bytes && !size_is_valid(move.bytes))
		return options_bad(s, &usage, "%s is no size", move.bytes);
	move.place = near ? HMEM_TIER_NEAR : HMEM_TIER_HOME;
	return tier_on_region(s, argv[first], 0, migrate, &move);
}
