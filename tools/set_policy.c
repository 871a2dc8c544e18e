// SPDX-License-Identifier: GPL-2.0-only
/* set-policy: how much of a region may be in DRAM, and who decides which part. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "options.h"
#include "report.h"
#include "tier.h"

/* More than any policy has. */
#define MAX_KNOBS 256

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

static int change_and_print(struct session *s, struct hmem_region *region, void *arg)
{
	struct change *change = arg;
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
	int first, rc = options_parse_one(s, &usage, argc, argv, &first, "region");

	if (rc >= 0)
		return rc;
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
	return tier_on_region(s, argv[first], change.flags || knobs.nr ? 0 : HMEM_OPEN_READ_ONLY,
			      change_and_print, &change);
}
