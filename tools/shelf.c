// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shelves: made, removed, listed and described.
 */
#include "shelf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "object.h"
#include "options.h"
#include "report.h"
#include "size_option.h"

/* --- a shelf by its name ------------------------------------------------------------- */

bool shelf_place_parse(const char *text, struct shelf_place *place)
{
	const char *slash = strrchr(text, '/');

	if (!slash || slash == text || !slash[1] ||
	    (size_t)(slash - text) >= sizeof(place->region_name))
		return false;
	*place = (struct shelf_place){ .name = slash + 1 };
	memcpy(place->region_name, text, (size_t)(slash - text));
	return true;
}

int shelf_place_only(const struct session *s, const struct usage *usage, int argc, char **argv,
		     int first, struct shelf_place *place)
{
	if (argc - first != 1)
		return options_bad(s, usage, first == argc ? "which shelf?" : "one at a time");
	if (!shelf_place_parse(argv[first], place))
		return options_bad(s, usage, "%s is no REGION/SHELF", argv[first]);
	return -1;
}

int shelf_place_try(const struct session *s, struct shelf_place *place,
		    const struct hmem_shelf_options *options)
{
	int rc = hmem_region_open(s->hmem, place->region_name,
				  options->flags & HMEM_SHELF_READ_ONLY ? HMEM_OPEN_READ_ONLY : 0,
				  &place->region);

	if (rc)
		return rc;
	rc = hmem_shelf_open(place->region, place->name, options, &place->shelf);
	if (rc) {
		hmem_region_close(place->region);
		place->region = NULL;
	}
	return rc;
}

static int try_open(const struct session *s, struct shelf_place *place, bool change)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	options.flags = change ? 0 : HMEM_SHELF_READ_ONLY;
	return shelf_place_try(s, place, &options);
}

int shelf_place_open(const struct session *s, struct shelf_place *place, bool change)
{
	int rc = try_open(s, place, change);

	/* Not closed, or damaged: who opens it for writing puts right what can be. */
	if (rc == -EUCLEAN && !change)
		rc = try_open(s, place, true);
	return rc ? report_library(s, rc) : EXIT_DONE;
}

int shelf_place_close(const struct session *s, struct shelf_place *place)
{
	int rc = hmem_shelf_close(place->shelf);

	hmem_region_close(place->region);
	place->shelf = NULL;
	place->region = NULL;
	return rc ? report_library(s, rc) : EXIT_DONE;
}

int shelf_place_done(const struct session *s, struct shelf_place *place, struct json_object *array,
		     int code)
{
	int closed = shelf_place_close(s, place), printed = json_print(s, array);

	return code ? code : closed ? closed : printed;
}

/* --- describing them ----------------------------------------------------------------- */

const char *region_shown(const char *name)
{
	return strncmp(name, "hmem:", 5) ? name : name + 5;
}

void json_shelf_name(struct json_object *o, const char *region, const char *shelf)
{
	const char *shown = region_shown(region);

	json_text(o, "region", shown);
	json_bytes(o, "region_hex", shown, strlen(shown));
	json_text(o, "shelf", shelf);
	json_bytes(o, "shelf_hex", shelf, strlen(shelf));
}

static struct json_object *json_shelf(const struct session *s, const char *region,
				      const struct hmem_shelf_info *info)
{
	struct json_object *o = json_object_new_object();

	json_shelf_name(o, region, info->name);
	json_size(s, o, "size", info->bytes);
	json_size(s, o, "max_size", info->max_bytes);
	json_flag(o, "ordered", info->ordered);
	json_number(o, "dirty_shutdowns", info->dirty_shutdowns);
	json_uuid(o, "uuid", info->uuid);
	return o;
}

static void count(const struct session *s, const char *done, size_t n)
{
	report_count(s, "%s%zu %s", done, n, n == 1 ? "shelf" : "shelves");
}

/* --- list-shelves -------------------------------------------------------------------- */

struct listing {
	const struct session *s;
	const char *region;
	struct json_object *array;
};

static int add_shelf(void *arg, const struct hmem_shelf_info *info)
{
	struct listing *l = arg;

	json_object_array_add(l->array, json_shelf(l->s, l->region, info));
	return 0;
}

int verb_list_shelves(struct session *s, int argc, char **argv)
{
	const struct option_line lines[] = { OPTION_HUMAN(s), { .kind = OPTION_END } };
	const struct usage usage = { "REGION... [-u]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first), worst = EXIT_DONE;
	struct listing l = { .s = s };

	if (code >= 0)
		return code;
	if (first == argc)
		return options_bad(s, &usage, "which region?");
	l.array = json_object_new_array();
	for (; first < argc; first++) {
		struct hmem_region *region;
		int rc = hmem_region_open(s->hmem, argv[first], HMEM_OPEN_READ_ONLY, &region);

		if (!rc) {
			l.region = argv[first];
			rc = hmem_shelf_iterate(region, add_shelf, &l);
			hmem_region_close(region);
		}
		if (rc)
			worst = report_library(s, rc);
	}
	count(s, "", json_object_array_length(l.array));
	code = json_print(s, l.array);
	return worst ? worst : code;
}

/* --- create-shelf -------------------------------------------------------------------- */

static bool number(const char *text, unsigned int least, unsigned int most, unsigned int *value)
{
	char *end;
	unsigned long got;

	errno = 0;
	got = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || got < least || got > most)
		return false;
	*value = (unsigned int)got;
	return true;
}

static int create(const struct session *s, struct shelf_place *place,
		  const struct hmem_shelf_options *options)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };
	struct json_object *array;
	int rc = hmem_region_open(s->hmem, place->region_name, 0, &place->region), code;

	if (rc)
		return report_library(s, rc);
	rc = hmem_shelf_create(place->region, place->name, options, &place->shelf);
	if (rc) {
		code = report_library(s, rc);
		hmem_region_close(place->region);
		return code;
	}
	rc = hmem_shelf_get_info(place->shelf, &info);
	code = rc ? report_library(s, rc) : EXIT_DONE;
	array = json_object_new_array();
	json_object_array_add(array, json_shelf(s, place->region_name, &info));
	count(s, "created ", json_object_array_length(array));
	return shelf_place_done(s, place, array, code);
}

int verb_create_shelf(struct session *s, int argc, char **argv)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_region_info region = { .size = sizeof(region) };
	const char *size = NULL, *max = NULL, *slots = NULL;
	bool ordered = false;
	const struct option_line lines[] = {
		{ OPTION_TEXT, 's', "size", "SIZE", "size, a part of the region's, or all of what is free",
		  &size },
		{ OPTION_TEXT, 'M', "max-size", "SIZE", "what it may grow to", &max },
		{ OPTION_FLAG, 'O', "ordered", NULL, "list its objects in the order of names",
		  &ordered },
		{ OPTION_TEXT, 'S', "slots", "N", "threads that may use it at once (64)", &slots },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "REGION/SHELF --size SIZE [--max-size SIZE] [--ordered] "
				     "[--slots N] [-u]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first), rc;
	struct shelf_place place = { 0 };

	if (code < 0)
		code = shelf_place_only(s, &usage, argc, argv, first, &place);
	if (code >= 0)
		return code;
	if (!size)
		return options_bad(s, &usage, "--size is missing");
	if (hmem_size_parse(size, 1ull << 40, &options.bytes))
		return options_bad(s, &usage, "%s is no size", size);
	if (max && hmem_size_parse(max, 0, &options.max_bytes))
		return options_bad(s, &usage, "%s is no size", max);
	if (slots && !number(slots, 1, 1023, &options.slots))
		return options_bad(s, &usage, "%s is no number of threads, 1 to 1023", slots);
	options.flags = (ordered ? HMEM_SHELF_ORDERED : 0) |
			(size_is_relative(size) ? HMEM_SHELF_GROSS : 0);
	rc = hmem_region_get_info_by_name(s->hmem, place.region_name, &region);
	if (!rc && hmem_size_parse(size, region.bytes, &options.bytes))
		return options_bad(s, &usage, "%s is no size", size);
	if (rc)
		return report_library(s, rc);
	if (!strcmp(size, "all"))
		options.bytes = UINT64_MAX;
	return create(s, &place, &options);
}

/* --- grow-shelf ---------------------------------------------------------------------- */

static int grow(const struct session *s, struct shelf_place *place, uint64_t bytes)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };
	struct json_object *array;
	int code = shelf_place_open(s, place, true), rc;

	if (code)
		return code;
	array = json_object_new_array();
	rc = hmem_shelf_grow(place->shelf, bytes);
	if (!rc)
		rc = hmem_shelf_get_info(place->shelf, &info);
	if (!rc)
		json_object_array_add(array, json_shelf(s, place->region_name, &info));
	code = rc ? report_library(s, rc) : EXIT_DONE;
	count(s, "grew ", json_object_array_length(array));
	return shelf_place_done(s, place, array, code);
}

int verb_grow_shelf(struct session *s, int argc, char **argv)
{
	struct hmem_region_info region = { .size = sizeof(region) };
	const char *size = NULL;
	const struct option_line lines[] = {
		{ OPTION_TEXT, 's', "size", "SIZE", "size that it is to have, a part of the region's, or "
		  "all that is free as well", &size },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "REGION/SHELF --size SIZE [-u]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first), rc;
	struct shelf_place place = { 0 };
	uint64_t bytes;

	if (code < 0)
		code = shelf_place_only(s, &usage, argc, argv, first, &place);
	if (code >= 0)
		return code;
	if (!size)
		return options_bad(s, &usage, "--size is missing");
	if (hmem_size_parse(size, 1ull << 40, &bytes))
		return options_bad(s, &usage, "%s is no size", size);
	rc = hmem_region_get_info_by_name(s->hmem, place.region_name, &region);
	if (rc)
		return report_library(s, rc);
	if (hmem_size_parse(size, region.bytes, &bytes))
		return options_bad(s, &usage, "%s is no size", size);
	/* What the table, and the shelf beside its objects, take of that is the library's to say. */
	if (size_is_relative(size) && bytes == region.bytes)
		bytes = UINT64_MAX;
	return grow(s, &place, bytes);
}

/* --- destroy-shelf ------------------------------------------------------------------- */

struct wanted {
	const struct session *s;
	const struct shelf_place *place;
	struct json_object *array;
	bool found;
};

static int add_wanted(void *arg, const struct hmem_shelf_info *info)
{
	struct wanted *wanted = arg;

	if (strcmp(info->name, wanted->place->name))
		return 0;
	json_object_array_add(wanted->array,
			      json_shelf(wanted->s, wanted->place->region_name, info));
	wanted->found = true;
	return 0;
}

static int destroy(const struct session *s, struct shelf_place *place, bool dry_run,
		   struct json_object *array)
{
	struct wanted wanted = { s, place, array, false };
	size_t before = json_object_array_length(array);
	int rc = hmem_region_open(s->hmem, place->region_name, 0, &place->region);

	if (rc)
		return rc;
	rc = hmem_shelf_iterate(place->region, add_wanted, &wanted);
	/* What it answers to a name that is not there is the library's to say. */
	if (!rc && (!dry_run || !wanted.found))
		rc = hmem_shelf_destroy(place->region, place->name);
	if (rc && wanted.found)
		json_object_array_del_idx(array, before, 1);
	hmem_region_close(place->region);
	return rc;
}

int verb_destroy_shelf(struct session *s, int argc, char **argv)
{
	bool dry_run = false;
	const struct option_line lines[] = {
		OPTION_DRY_RUN(&dry_run),
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "REGION/SHELF... [--dry-run] [-u]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first), worst = EXIT_DONE;
	struct shelf_place place = { 0 };
	struct json_object *array;

	if (code >= 0)
		return code;
	if (first == argc)
		return options_bad(s, &usage, "which shelf?");
	for (int i = first; i < argc; i++)
		if (!shelf_place_parse(argv[i], &place))
			return options_bad(s, &usage, "%s is no REGION/SHELF", argv[i]);
	array = json_object_new_array();
	for (; first < argc; first++) {
		int rc;

		shelf_place_parse(argv[first], &place);
		rc = destroy(s, &place, dry_run, array);
		if (rc)
			worst = report_library(s, rc);
	}
	count(s, dry_run ? "would destroy " : "destroyed ", json_object_array_length(array));
	code = json_print(s, array);
	return worst ? worst : code;
}

/* --- dump-shelf ---------------------------------------------------------------------- */

static struct json_object *json_dump(const struct session *s, const struct shelf_place *place,
				     const struct hmem_shelf_info *info)
{
	static const char *const durability[] = {
		[HMEM_DURABLE_NONE] = "none",
		[HMEM_DURABLE_MSYNC] = "msync",
		[HMEM_DURABLE_FLUSH] = "flush",
		[HMEM_DURABLE_FENCE] = "fence",
	};
	struct json_object *o = json_shelf(s, place->region_name, info);

	json_size(s, o, "free", info->free_bytes);
	json_number(o, "objects", info->objects);
	json_text(o, "durability", durability[info->durability]);
	return o;
}

int verb_dump_shelf(struct session *s, int argc, char **argv)
{
	const struct option_line lines[] = { OPTION_HUMAN(s), { .kind = OPTION_END } };
	const struct usage usage = { "REGION/SHELF [-u]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first), rc;
	struct hmem_shelf_info info = { .size = sizeof(info) };
	struct json_object *array, *objects, *o;
	struct shelf_place place = { 0 };

	if (code < 0)
		code = shelf_place_only(s, &usage, argc, argv, first, &place);
	if (code >= 0)
		return code;
	code = shelf_place_open(s, &place, false);
	if (code)
		return code;
	array = json_object_new_array();
	objects = json_object_new_array();
	rc = hmem_shelf_get_info(place.shelf, &info);
	if (!rc)
		rc = objects_list(s, place.shelf, NULL, true, objects);
	if (rc) {
		code = report_library(s, rc);
		json_object_put(objects);
	} else {
		o = json_dump(s, &place, &info);
		json_object_object_add(o, "contents", objects);
		json_object_array_add(array, o);
	}
	return shelf_place_done(s, &place, array, code);
}
