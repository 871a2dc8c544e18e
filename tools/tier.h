/* SPDX-License-Identifier: GPL-2.0-only */
/* Near copies of regions: what several verbs need of them. */
#ifndef HMEMCTL_TIER_H
#define HMEMCTL_TIER_H

#include <json-c/json.h>

#include "hmemctl.h"
#include "options.h"

/** tier_mode_name - as --mode takes it; "unknown" for one of a newer module */
const char *tier_mode_name(enum hmem_tier_mode mode);

/** tier_mode_of - the mode of that name. Return: whether there is one. */
bool tier_mode_of(const char *name, enum hmem_tier_mode *mode);

/** tier_size_is_valid - a size, or "0", which is no size elsewhere */
bool tier_size_is_valid(const char *text);

/**
 * tier_size_in_region - bytes that @text means in a region of @size, in whole extents
 *
 * Return: 0, -EINVAL, -ERANGE.
 */
int tier_size_in_region(const char *text, uint64_t size, uint64_t *bytes);

/** tier_place_name - "near" or "home" */
const char *tier_place_name(enum hmem_tier_place place);

/**
 * struct tier_range - a part of a region that was asked for
 * @offset: as it was given, or NULL: from the beginning
 * @bytes: as it was given, or NULL: up to the end
 * @from: in whole extents
 * @to: its end
 */
struct tier_range {
	const char *offset;
	const char *bytes;
	uint64_t from;
	uint64_t to;
};

/** TIER_RANGE_OPTIONS - lines of a table of options */
#define TIER_RANGE_OPTIONS(range) \
	{ OPTION_TEXT, 'o', "offset", "SIZE", "where the range begins; else 0", \
	  &(range)->offset }, \
	{ OPTION_TEXT, 'b', "bytes", "SIZE", "how long it is; else to the end", &(range)->bytes }

/** tier_check_range - sizes that are none. Return: -1 to go on, else the exit code. */
int tier_check_range(const struct session *s, const struct usage *usage,
		     const struct tier_range *range);

/**
 * struct tier_places - what --near and --home mean to a verb, for its usage
 * @question: which of them, when neither is given: "where"
 */
struct tier_places {
	const char *near;
	const char *home;
	const char *question;
};

/**
 * tier_parse - the arguments of a verb that takes a region, a place and a range
 * @first: the region's in @argv
 *
 * Return: -1 to go on, else the exit code.
 */
int tier_parse(struct session *s, int argc, char **argv, const struct tier_places *texts,
	       struct tier_range *range, enum hmem_tier_place *place, int *first);

/**
 * tier_find_range - the whole extents around what was asked for
 * @doing: what is to be done with them, for the message: "move"
 *
 * Return: exit code.
 */
int tier_find_range(const struct session *s, const struct hmem_region_info *info,
		    const char *doing, struct tier_range *range);

/** tier_name - how a region is called on stdout: without the scheme, when it is hmem.ko's */
const char *tier_name(const struct hmem_region_info *info);

/**
 * tier_show_placement - add policy, near, near_max and near_share, null where there is none
 *
 * Opens nothing.
 */
void tier_show_placement(const struct session *s, struct json_object *o,
			 const struct hmem_region_info *info);

/** tier_show - the same, and what tiering has done: null for who may not open the region */
void tier_show(struct session *s, struct json_object *o, const struct hmem_region_info *info);

/**
 * tier_on_region - open the region of that name, call @fn with it, and close it
 * @flags: HMEM_OPEN_READ_ONLY, or 0
 *
 * Return: exit code: of @fn, or of what kept it from being opened, which has been reported.
 */
int tier_on_region(struct session *s, const char *name, unsigned int flags,
		   int (*fn)(struct session *s, struct hmem_region *region, void *arg), void *arg);

#endif
