// SPDX-License-Identifier: GPL-2.0-only
/* set-policy and migrate: how much of a region may be in DRAM, and which part. */
#include "tier.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "size_option.h"

/* Moved by one call: some hundredths of a second, between two looks at the progress. */
#define AT_ONCE (64ULL << 20)

/* More than any policy has. */
#define MAX_KNOBS 256

static const char *const modes[] = {
	[HMEM_TIER_OFF] = "off",
	[HMEM_TIER_MANUAL] = "manual",
	[HMEM_TIER_AUTO] = "auto",
};

#define N_MODES (sizeof(modes) / sizeof(modes[0]))

const char *tier_mode_name(enum hmem_tier_mode mode)
{
	return (size_t)mode < N_MODES ? modes[mode] : "unknown";
}

bool tier_mode_of(const char *name, enum hmem_tier_mode *mode)
{
	for (size_t i = 0; i < N_MODES; i++) {
		if (strcmp(modes[i], name))
			continue;
		*mode = (enum hmem_tier_mode)i;
		return true;
	}
	return false;
}

bool tier_size_is_valid(const char *text)
{
	return !strcmp(text, "0") || size_is_valid(text);
}

int tier_size_in_region(const char *text, uint64_t size, uint64_t *bytes)
{
	if (strcmp(text, "0"))
		return size_in_pool(text, size, size, bytes);
	*bytes = 0;
	return 0;
}

const char *tier_name(const struct hmem_region_info *info)
{
	return strncmp(info->name, "hmem:", 5) ? info->name : info->name + 5;
}

static void show_stats(const struct session *s, struct json_object *o,
		       const struct hmem_tier_stats *stats)
{
	json_size(s, o, "dirty", stats->dirty);
	json_number(o, "promotions", stats->promotions);
	json_number(o, "demotions", stats->demotions);
	json_number(o, "aborted", stats->aborted);
	json_size(s, o, "copied", stats->copied);
	json_number(o, "copy_ns", stats->copy_ns);
	json_number(o, "probes", stats->probes);
	json_number(o, "touches", stats->touches);
	json_number(o, "pingpongs", stats->pingpongs);
	json_number(o, "track_ns", stats->track_ns);
	json_number(o, "window_ns", stats->window_ns);
	json_number(o, "scanned", stats->scanned);
	json_number(o, "seen", stats->seen);
	json_number(o, "splits", stats->splits);
	json_number(o, "collapses", stats->collapses);
}

void tier_show(struct session *s, struct json_object *o, const struct hmem_region_info *info)
{
	struct hmem_tier_policy policy = { .size = sizeof(policy) };
	struct hmem_tier_stats stats = { .size = sizeof(stats) };
	struct json_object *tiering = NULL;
	struct hmem_region *region = NULL;
	bool known;

	/* Others than hmem.ko's are not even opened. */
	known = !strncmp(info->name, "hmem:", 5) &&
		!hmem_region_open(s->hmem, info->name, HMEM_OPEN_READ_ONLY, &region) &&
		!hmem_tier_get(region, &policy) && !hmem_tier_get_stats(region, &stats);
	hmem_region_close(region);
	json_text(o, "policy", known ? tier_mode_name(policy.mode) : NULL);
	if (known) {
		json_size(s, o, "near", stats.near);
		json_size(s, o, "near_max", stats.near_max);
		tiering = json_object_new_object();
		show_stats(s, tiering, &stats);
	} else {
		json_text(o, "near", NULL);
		json_text(o, "near_max", NULL);
	}
	json_object_object_add(o, "tiering", tiering);
}

/* --- set-policy --------------------------------------------------------------- */

struct setting {
	char name[HMEM_TIER_KNOB_MAX + 1];
	uint64_t value;
};

struct change {
	const char *near_max;
	struct hmem_tier_policy policy;
	unsigned int flags;
	struct setting setting[OPTION_VALUES_MAX];
	unsigned int nr_settings;
};

static bool parse_knob(const char *text, struct setting *setting)
{
	const char *equals = strchr(text, '=');
	size_t length = equals ? (size_t)(equals - text) : 0;
	char *end;

	if (!length || length > HMEM_TIER_KNOB_MAX || equals[1] < '0' || equals[1] > '9')
		return false;
	memcpy(setting->name, text, length);
	setting->name[length] = '\0';
	errno = 0;
	setting->value = strtoull(equals + 1, &end, 10);
	return !*end && !errno;
}

/* All that can be wrong with knobs is found before anything is set. Return: exit code. */
static int check_knobs(const struct session *s, struct hmem_region *region, const char *name,
		       const struct change *change)
{
	for (unsigned int i = 0; i < change->nr_settings; i++) {
		struct hmem_tier_knob knob = { .size = sizeof(knob) };
		const struct setting *setting = &change->setting[i];
		uint64_t value;
		int rc = hmem_tier_get_knob(region, setting->name, &value);

		for (unsigned int n = 0; !rc && strcmp(knob.name, setting->name); n++)
			rc = hmem_tier_knob_at(region, n, &knob);
		if (rc)
			return report_library(s, rc);
		if (setting->value >= knob.least && setting->value <= knob.most)
			continue;
		report_error(s, "set knob %s of region %s to %llu: it takes %llu to %llu",
			     knob.name, name, (unsigned long long)setting->value,
			     (unsigned long long)knob.least, (unsigned long long)knob.most);
		report_fix(s, "hmemctl set-policy %s shows all knobs; nothing was set", name);
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

static int apply(struct hmem_region *region, const struct change *change)
{
	int rc = change->flags ? hmem_tier_set(region, &change->policy, change->flags) : 0;

	for (unsigned int i = 0; !rc && i < change->nr_settings; i++)
		rc = hmem_tier_set_knob(region, change->setting[i].name, change->setting[i].value);
	return rc;
}

static struct json_object *json_knobs(struct hmem_region *region)
{
	struct json_object *array = json_object_new_array();
	struct hmem_tier_knob knob = { .size = sizeof(knob) };

	for (unsigned int i = 0; i < MAX_KNOBS && !hmem_tier_knob_at(region, i, &knob); i++) {
		struct json_object *o = json_object_new_object();

		json_text(o, "knob", knob.name);
		json_number(o, "value", knob.value);
		json_number(o, "least", knob.least);
		json_number(o, "most", knob.most);
		json_object_array_add(array, o);
	}
	return array;
}

static int print_policy(struct session *s, struct hmem_region *region, const char *name)
{
	struct hmem_tier_policy policy = { .size = sizeof(policy) };
	struct json_object *array, *o;
	int rc = hmem_tier_get(region, &policy);

	if (rc)
		return report_library(s, rc);
	o = json_object_new_object();
	json_text(o, "region", name);
	json_text(o, "policy", tier_mode_name(policy.mode));
	json_size(s, o, "near_max", policy.near_max);
	json_object_object_add(o, "knobs", json_knobs(region));
	array = json_object_new_array();
	json_object_array_add(array, o);
	return json_print(s, array);
}

static int change_and_print(struct session *s, struct hmem_region *region, struct change *change)
{
	struct hmem_tier_policy now = { .size = sizeof(now) };
	struct hmem_region_info info = { .size = sizeof(info) };
	int rc = hmem_tier_get(region, &now);

	if (!rc)
		rc = hmem_region_get_info(region, &info);
	if (rc)
		return report_library(s, rc);
	if (change->near_max) {
		rc = tier_size_in_region(change->near_max, info.bytes, &change->policy.near_max);
		if (rc) {
			report_error(s, "set near_max of region %s to %s: that is less than an "
				     "extent", tier_name(&info), change->near_max);
			return EXIT_FAILED;
		}
	}
	rc = check_knobs(s, region, tier_name(&info), change);
	if (rc)
		return rc;
	rc = apply(region, change);
	return rc ? report_library(s, rc) : print_policy(s, region, tier_name(&info));
}

int verb_set_policy(struct session *s, int argc, char **argv)
{
	struct change change = { .policy.size = sizeof(change.policy) };
	struct option_values knobs = { 0 };
	const char *mode = NULL;
	const struct option_line lines[] = {
		{ OPTION_TEXT, 'm', "mode", "MODE", "off, manual (measure heat) or auto", &mode },
		{ OPTION_TEXT, 'N', "near-max", "SIZE",
		  "most DRAM for near copies: 4G, 25% of the region, 0", &change.near_max },
		{ OPTION_MANY, 'k', "knob", "NAME=VALUE",
		  "a number that the policy goes by", &knobs },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = {
		"NAME [--mode off|manual|auto] [--near-max SIZE] [--knob NAME=VALUE]... [-u]",
		lines };
	int first, rc = options_parse(s, &usage, argc, argv, &first);
	struct hmem_region *region;

	if (rc >= 0)
		return rc;
	if (argc - first != 1)
		return options_bad(s, &usage, first == argc ? "which region?" :
						      "one region at a time");
	if (mode && !tier_mode_of(mode, &change.policy.mode))
		return options_bad(s, &usage, "%s is no mode: off, manual or auto", mode);
	if (change.near_max && !tier_size_is_valid(change.near_max))
		return options_bad(s, &usage, "%s is no size", change.near_max);
	for (unsigned int i = 0; i < knobs.nr; i++)
		if (!parse_knob(knobs.value[i], &change.setting[i]))
			return options_bad(s, &usage, "%s is no knob: NAME=VALUE, a whole number",
					   knobs.value[i]);
	change.nr_settings = knobs.nr;
	change.flags = (mode ? HMEM_TIER_SET_MODE : 0) |
		       (change.near_max ? HMEM_TIER_SET_NEAR_MAX : 0);

	rc = hmem_region_open(s->hmem, argv[first],
			      change.flags || knobs.nr ? 0 : HMEM_OPEN_READ_ONLY, &region);
	if (rc)
		return report_library(s, rc);
	rc = change_and_print(s, region, &change);
	hmem_region_close(region);
	return rc;
}

/* --- migrate ------------------------------------------------------------------ */

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
		      const char *offset, const char *bytes, struct move *move)
{
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

static int migrate(struct session *s, struct hmem_region *region, const char *offset,
		   const char *bytes, struct move *move)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	struct json_object *array;
	int rc = hmem_region_get_info(region, &info);

	/* Where there are no near copies, ranges do not matter. */
	if (!rc && strncmp(info.name, "hmem:", 5))
		rc = hmem_tier_migrate(region, 0, 0, move->place, &move->sum);
	if (rc)
		return report_library(s, rc);
	rc = find_range(s, &info, offset, bytes, move);
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
	const char *offset = NULL, *bytes = NULL;
	bool near = false, home = false;
	const struct option_line lines[] = {
		{ OPTION_FLAG, 0, "near", NULL, "into DRAM, as far as near_max goes", &near },
		{ OPTION_FLAG, 0, "home", NULL, "back to the region's own memory", &home },
		{ OPTION_TEXT, 'o', "offset", "SIZE", "where the range begins; else 0", &offset },
		{ OPTION_TEXT, 'b', "bytes", "SIZE", "how long it is; else to the end", &bytes },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = {
		"NAME --near|--home [--offset SIZE] [--bytes SIZE] [-u]", lines };
	int first, rc = options_parse(s, &usage, argc, argv, &first);
	struct hmem_region *region;

	if (rc >= 0)
		return rc;
	if (argc - first != 1)
		return options_bad(s, &usage, first == argc ? "which region?" :
						      "one region at a time");
	if (near == home)
		return options_bad(s, &usage, near ? "--near and --home are one too many" :
						     "where to? --near or --home");
	if (offset && !tier_size_is_valid(offset))
		return options_bad(s, &usage, "%s is no offset", offset);
	if (bytes && !size_is_valid(bytes))
		return options_bad(s, &usage, "%s is no size", bytes);
	move.place = near ? HMEM_TIER_NEAR : HMEM_TIER_HOME;

	rc = hmem_region_open(s->hmem, argv[first], 0, &region);
	if (rc)
		return report_library(s, rc);
	rc = migrate(s, region, offset, bytes, &move);
	hmem_region_close(region);
	return rc;
}
