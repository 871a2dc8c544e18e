// SPDX-License-Identifier: GPL-2.0-only
/* What is asked and told of near copies. */
#include "tier.h"

#include <string.h>

#include "json.h"
#include "report.h"
#include "size_option.h"
#include "sysfs.h"

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

const char *tier_place_name(enum hmem_tier_place place)
{
	return place == HMEM_TIER_NEAR ? "near" : "home";
}

int tier_check_range(const struct session *s, const struct usage *usage,
		     const struct tier_range *range)
{
	if (range->offset && !tier_size_is_valid(range->offset))
		return options_bad(s, usage, "%s is no offset", range->offset);
	if (range->bytes && !size_is_valid(range->bytes))
		return options_bad(s, usage, "%s is no size", range->bytes);
	return -1;
}

int tier_parse(struct session *s, int argc, char **argv, const struct tier_places *texts,
	       struct tier_range *range, enum hmem_tier_place *place, int *first)
{
	bool near = false, home = false;
	const struct option_line lines[] = {
		{ OPTION_FLAG, 0, "near", NULL, texts->near, &near },
		{ OPTION_FLAG, 0, "home", NULL, texts->home, &home },
		TIER_RANGE_OPTIONS(range),
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = {
		"NAME --near|--home [--offset SIZE] [--bytes SIZE] [-u]", lines };
	int rc = options_parse_one(s, &usage, argc, argv, first, "region");

	if (rc >= 0)
		return rc;
	if (near && home)
		return options_bad(s, &usage, "--near and --home are one too many");
	if (!near && !home)
		return options_bad(s, &usage, "%s? --near or --home", texts->question);
	*place = near ? HMEM_TIER_NEAR : HMEM_TIER_HOME;
	return tier_check_range(s, &usage, range);
}

int tier_find_range(const struct session *s, const struct hmem_region_info *info,
		    const char *doing, struct tier_range *range)
{
	uint64_t extent = info->granularity, from = 0, length = info->bytes;
	const char *offset = range->offset, *bytes = range->bytes;
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
		report_error(s, "%s %s from offset %s of region %s: that goes beyond its end, it "
			     "has %s", doing, bytes ? bytes : "all", offset ? offset : "0",
			     tier_name(info), hmem_size_format(info->bytes, has, sizeof(has)));
		return EXIT_FAILED;
	}
	if (length > info->bytes - from)
		length = info->bytes - from;
	range->to = from + length;
	range->to += extent - 1 - (range->to - 1) % extent;
	range->from = from - from % extent;
	return EXIT_DONE;
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
	json_number(o, "touches_near", stats->touches_near);
	json_number(o, "seen_near", stats->seen_near);
	json_number(o, "look_ns", stats->look_ns);
}

void tier_show_placement(const struct session *s, struct json_object *o,
			 const struct hmem_region_info *info)
{
	bool ours = !strncmp(info->name, "hmem:", 5);
	uint64_t near, near_max, near_share;
	char policy[16];

	/* Everybody may read these, without opening the region. */
	if (!ours ||
	    sysfs_read(policy, sizeof(policy), "/sys/class/hmem/%s/policy", info->name + 5) ||
	    sysfs_read_u64(&near, "/sys/class/hmem/%s/near", info->name + 5) ||
	    sysfs_read_u64(&near_max, "/sys/class/hmem/%s/near_max", info->name + 5) ||
	    sysfs_read_u64(&near_share, "/sys/class/hmem/%s/near_share", info->name + 5)) {
		json_text(o, "policy", NULL);
		json_text(o, "near", NULL);
		json_text(o, "near_max", NULL);
		json_text(o, "near_share", NULL);
		return;
	}
	json_text(o, "policy", policy);
	json_size(s, o, "near", near);
	json_size(s, o, "near_max", near_max);
	json_size(s, o, "near_share", near_share);
}

void tier_show(struct session *s, struct json_object *o, const struct hmem_region_info *info)
{
	struct hmem_tier_stats stats = { .size = sizeof(stats) };
	struct json_object *tiering = NULL;
	struct hmem_region *region = NULL;
	bool known;

	tier_show_placement(s, o, info);
	/* Others than hmem.ko's are not even opened. */
	known = !strncmp(info->name, "hmem:", 5) &&
		!hmem_region_open(s->hmem, info->name, HMEM_OPEN_READ_ONLY, &region) &&
		!hmem_tier_get_stats(region, &stats);
	hmem_region_close(region);
	if (known) {
		tiering = json_object_new_object();
		show_stats(s, tiering, &stats);
	}
	json_object_object_add(o, "tiering", tiering);
}

int tier_on_region(struct session *s, const char *name, unsigned int flags,
		   int (*fn)(struct session *s, struct hmem_region *region, void *arg), void *arg)
{
	struct hmem_region *region;
	int rc = hmem_region_open(s->hmem, name, flags, &region);

	if (rc)
		return report_library(s, rc);
	rc = fn(s, region, arg);
	hmem_region_close(region);
	return rc;
}
