// SPDX-License-Identifier: GPL-2.0-only
/* migrate: a part of a region into DRAM, or home. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "tier.h"

/* Moved by one call: some hundredths of a second, between two looks at the progress. */
#define AT_ONCE (64ULL << 20)

/* Ranges that are named in words. */
#define NAMED 8

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
			     "hmemctl release-range lets them go" },
};

#define N_RESULTS (sizeof(results) / sizeof(results[0]))

struct part {
	uint64_t from, to;
};

/* @pinned: parts of the region that were not moved because of that */
struct move {
	struct tier_range range;
	struct part *pinned;
	size_t nr_pinned;
	enum hmem_tier_place place;
	struct hmem_tier_moved sum;
	uint64_t left;		/* pages that ought to have been moved and were not */
};

static uint64_t unknown_results(const struct move *move)
{
	uint64_t sum = 0;

	for (size_t i = N_RESULTS; i < HMEM_TIER_RESULTS; i++)
		sum += move->sum.pages[i];
	return sum;
}

/* There is room for every other extent. */
static void add_pinned(struct move *move, uint64_t from, uint64_t to)
{
	if (move->nr_pinned && move->pinned[move->nr_pinned - 1].to == from)
		move->pinned[move->nr_pinned - 1].to = to;
	else
		move->pinned[move->nr_pinned++] = (struct part){ from, to };
}

/* Which extents of a part that is dealt with are pinned: asked for one by one, as all are named. */
static int find_pinned(struct hmem_region *region, uint64_t extent, const struct hmem_tier_moved *of,
		       struct move *move)
{
	int rc = 0;

	for (uint64_t at = of->pinned; !rc && at < of->next; at += extent) {
		struct hmem_tier_moved moved = { .size = sizeof(moved) };

		rc = hmem_tier_migrate(region, at, extent, move->place, &moved);
		if (!rc && moved.pages[HMEM_TIER_PINNED])
			add_pinned(move, at, at + extent);
	}
	return rc;
}

static int move_all(struct session *s, struct hmem_region *region, uint64_t extent,
		    struct move *move)
{
	struct progress progress;
	int rc = 0;

	progress_begin(&progress, s, move->range.to - move->range.from);
	for (uint64_t at = move->range.from; !rc && at < move->range.to;) {
		struct hmem_tier_moved moved = { .size = sizeof(moved) };
		uint64_t bytes = move->range.to - at < AT_ONCE ? move->range.to - at : AT_ONCE;

		rc = hmem_tier_migrate(region, at, bytes, move->place, &moved);
		if (!rc && moved.pages[HMEM_TIER_PINNED])
			rc = find_pinned(region, extent, &moved, move);
		if (rc)
			break;
		for (size_t i = 0; i < HMEM_TIER_RESULTS; i++)
			move->sum.pages[i] += moved.pages[i];
		at = moved.next;
		progress_show(&progress, at - move->range.from);
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
	struct json_object *pinned = json_object_new_array();

	json_text(o, "region", name);
	json_text(o, "place", tier_place_name(move->place));
	json_size(s, o, "offset", move->range.from);
	json_size(s, o, "bytes", move->range.to - move->range.from);
	for (size_t i = 0; i < N_RESULTS; i++)
		json_number(pages, results[i].name, move->sum.pages[i]);
	json_number(pages, "other", unknown_results(move));
	json_object_object_add(o, "pages", pages);
	for (size_t i = 0; i < move->nr_pinned; i++) {
		struct json_object *range = json_object_new_object();

		json_size(s, range, "offset", move->pinned[i].from);
		json_size(s, range, "bytes", move->pinned[i].to - move->pinned[i].from);
		json_object_array_add(pinned, range);
	}
	json_object_object_add(o, "held", pinned);
	return o;
}

/* In one sentence. */
static void report_pinned(const struct session *s, const struct move *move)
{
	char text[NAMED * 64] = "";
	size_t length = 0, n;

	for (n = 0; n < move->nr_pinned && n < NAMED; n++)
		length += (size_t)snprintf(
			text + length, sizeof(text) - length, "%s%llu bytes at offset %llu",
			length ? ", " : "",
			(unsigned long long)(move->pinned[n].to - move->pinned[n].from),
			(unsigned long long)move->pinned[n].from);
	if (move->nr_pinned > n)
		report_warning(s, "held are: %s, and %zu more", text, move->nr_pinned - n);
	else if (n)
		report_warning(s, "held are: %s", text);
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
			       (unsigned long long)move->left, name, tier_place_name(move->place),
			       why);
	else
		report_error(s, "move region %s %s: nothing was moved, of %llu pages: %s", name,
			     tier_place_name(move->place), (unsigned long long)move->left, why);
	report_pinned(s, move);
	if (worst == HMEM_TIER_OVER_BOUND)
		report_fix(s, "hmemctl set-policy %s --near-max SIZE raises it", name);
	else
		report_fix(s, "%s", worst < N_RESULTS ? results[worst].fix :
						       "update hmemctl, which does not know why");
}

static int move_and_tell(struct session *s, struct hmem_region *region,
			 const struct hmem_region_info *info, struct move *move)
{
	struct json_object *array;
	int rc = move_all(s, region, info->granularity, move);

	if (rc)
		return report_library(s, rc);
	report_count(s, "moved %llu pages %s",
		     (unsigned long long)move->sum.pages[HMEM_TIER_MOVED],
		     tier_place_name(move->place));
	if (move->left)
		report_left(s, tier_name(info), move);
	array = json_object_new_array();
	json_object_array_add(array, json_move(s, tier_name(info), move));
	rc = json_print(s, array);
	return move->left && !move->sum.pages[HMEM_TIER_MOVED] ? EXIT_FAILED : rc;
}

static int migrate(struct session *s, struct hmem_region *region, void *arg)
{
	struct move *move = arg;
	struct hmem_region_info info = { .size = sizeof(info) };
	int rc = hmem_region_get_info(region, &info);

	/* Where there are no near copies, ranges do not matter. */
	if (!rc && strncmp(info.name, "hmem:", 5))
		rc = hmem_tier_migrate(region, 0, 0, move->place, &move->sum);
	if (rc)
		return report_library(s, rc);
	rc = tier_find_range(s, &info, "move", &move->range);
	if (rc)
		return rc;
	move->pinned = calloc((move->range.to - move->range.from) / info.granularity / 2 + 1,
			      sizeof(*move->pinned));
	if (!move->pinned)
		return report_system(s, "move", tier_name(&info), ENOMEM);
	rc = move_and_tell(s, region, &info, move);
	free(move->pinned);
	return rc;
}

int verb_migrate(struct session *s, int argc, char **argv)
{
	static const struct tier_places texts = {
		"into DRAM, as far as near_max goes",
		"back to the region's own memory", "where to" };
	struct move move = { .sum.size = sizeof(move.sum) };
	int first, rc = tier_parse(s, argc, argv, &texts, &move.range, &move.place, &first);

	if (rc >= 0)
		return rc;
	return tier_on_region(s, argv[first], 0, migrate, &move);
}
