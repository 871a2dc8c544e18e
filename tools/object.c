// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects on shelves: listed, got, deleted and renamed.
 *
 * Where the object itself goes to stdout, nothing else does.
 */
#include "object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "report.h"
#include "shelf.h"

/* First bytes of an object that dump-shelf shows. */
#define HEAD 32

/* --- what an object is --------------------------------------------------------------- */

void json_object_name(struct json_object *o, const char *name, size_t bytes)
{
	json_text(o, "object", name);
	json_bytes(o, "name_hex", name, bytes);
}

/* What can be read as text, in @text; else false. */
static bool type_text(const struct hmem_entry *entry, char text[HMEM_TYPE_MAX + 1])
{
	const unsigned char *type = entry->type;

	if (!type || entry->type_bytes > HMEM_TYPE_MAX)
		return false;
	for (size_t i = 0; i < entry->type_bytes; i++)
		if (type[i] < ' ' || type[i] == 0x7f)
			return false;
	memcpy(text, type, entry->type_bytes);
	text[entry->type_bytes] = '\0';
	return json_is_text(text);
}

static struct json_object *json_entry(const struct session *s, const struct hmem_entry *entry)
{
	struct json_object *o = json_object_new_object();
	char text[HMEM_TYPE_MAX + 1];

	json_object_name(o, entry->name, entry->name_bytes);
	json_size(s, o, "size", entry->bytes);
	json_number(o, "version", entry->version);
	if (entry->type)
		json_bytes(o, "type", entry->type, entry->type_bytes);
	else
		json_text(o, "type", NULL);
	json_text(o, "type_text", type_text(entry, text) ? text : NULL);
	return o;
}

/* All of an object in memory of ours. 0 or a negative errno. */
static int read_object(struct hmem_shelf *shelf, const char *name, void **data, size_t *bytes)
{
	size_t room = OBJECT_PIECE;
	void *buffer = NULL;
	int rc = -ERANGE;

	while (rc == -ERANGE) {
		void *more = realloc(buffer, room);

		if (!more) {
			free(buffer);
			return -ENOMEM;
		}
		buffer = more;
		rc = hmem_shelf_read(shelf, name, buffer, room, bytes);
		room = *bytes + 1;
	}
	if (rc)
		free(buffer);
	else
		*data = buffer;
	return rc;
}

static int add_head(struct hmem_shelf *shelf, const struct hmem_entry *entry, struct json_object *o)
{
	size_t bytes;
	void *data;
	int rc = read_object(shelf, entry->name, &data, &bytes);

	if (rc)
		return rc;
	json_bytes(o, "head", data, bytes < HEAD ? bytes : HEAD);
	free(data);
	return 0;
}

int objects_list(const struct session *s, struct hmem_shelf *shelf, const char *prefix, bool head,
		 struct json_object *array)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	struct hmem_cursor *cursor;
	int rc = hmem_cursor_open(shelf, prefix, 0, &cursor);

	if (rc)
		return rc;
	while ((rc = hmem_cursor_next(cursor, &entry)) > 0) {
		struct json_object *o = json_entry(s, &entry);

		rc = head ? add_head(shelf, &entry, o) : 0;
		if (rc && rc != -ENOENT) {
			json_object_put(o);
			break;
		}
		/* Deleted meanwhile. */
		if (rc)
			json_object_put(o);
		else
			json_object_array_add(array, o);
	}
	hmem_cursor_close(cursor);
	return rc;
}

void objects_count(const struct session *s, const char *done, size_t n)
{
	report_count(s, "%s%zu object%s", done, n, n == 1 ? "" : "s");
}

int object_place(const struct session *s, const struct usage *usage, int argc, char **argv,
		 int first, int least, int most, struct shelf_place *place)
{
	if (first == argc)
		return options_bad(s, usage, "which shelf?");
	if (!shelf_place_parse(argv[first], place))
		return options_bad(s, usage, "%s is no REGION/SHELF", argv[first]);
	if (argc - first < least)
		return options_bad(s, usage, "which object?");
	if (argc - first > most)
		return options_bad(s, usage, "unexpected argument: %s", argv[first + most]);
	return -1;
}

/* --- list-objects -------------------------------------------------------------------- */

int verb_list_objects(struct session *s, int argc, char **argv)
{
	const char *prefix = NULL;
	const struct option_line lines[] = {
		{ OPTION_TEXT, 'l', "prefix", "PREFIX", "only those whose name begins so", &prefix },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "REGION/SHELF [-l PREFIX] [-u]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first), rc;
	struct shelf_place place;
	struct json_object *array;

	if (code < 0)
		code = object_place(s, &usage, argc, argv, first, 1, 1, &place);
	if (code >= 0)
		return code;
	code = shelf_place_open(s, &place, false);
	if (code)
		return code;
	array = json_object_new_array();
	rc = objects_list(s, place.shelf, prefix, false, array);
	code = rc ? report_library(s, rc) : EXIT_DONE;
	objects_count(s, "", json_object_array_length(array));
	return shelf_place_done(s, &place, array, code);
}

/* An object by its name, of a handle that cannot pin it. -ENOENT with no message. */
static int describe_read_only(struct hmem_shelf *shelf, const char *name, struct hmem_entry *entry)
{
	struct hmem_cursor *cursor;
	int rc = hmem_cursor_open(shelf, name, 0, &cursor);

	if (rc)
		return rc;
	/* The name itself is one that begins with it. */
	do
		rc = hmem_cursor_next(cursor, entry);
	while (rc > 0 && strcmp(entry->name, name));
	hmem_cursor_close(cursor);
	return rc > 0 ? 0 : rc ? rc : -ENOENT;
}

int object_tell(const struct session *s, struct hmem_shelf *shelf, const char *name,
		struct json_object *array)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	struct hmem_object object = { .pin = NULL };
	int rc = hmem_shelf_get(shelf, name, &object);

	if (rc == -EROFS)
		rc = describe_read_only(shelf, name, &entry);
	else if (!rc)
		entry = (struct hmem_entry){
			.bytes = object.bytes, .version = object.version,
			.type = object.type, .type_bytes = object.type_bytes,
		};
	if (rc)
		return rc;
	entry.name = name;
	entry.name_bytes = strlen(name);
	json_object_array_add(array, json_entry(s, &entry));
	hmem_shelf_release(shelf, &object);
	return 0;
}

/* --- get-object ---------------------------------------------------------------------- */

/* All of @data to @out. */
static int spill(const struct session *s, const struct output *out, const char *data, size_t bytes)
{
	struct progress progress;
	size_t done = 0;
	int error = 0;

	progress_begin(&progress, s, bytes);
	while (done < bytes && !error) {
		ssize_t got = write(out->fd, data + done,
				    bytes - done < OBJECT_PIECE ? bytes - done : OBJECT_PIECE);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			error = errno;
		else
			done += (size_t)got;
		progress_show(&progress, done);
	}
	progress_end(&progress);
	return error ? report_system(s, "write", out->name, error) : EXIT_DONE;
}

/* From a shelf that is open to @file, or to stdout. */
static int get(const struct session *s, struct shelf_place *place, const char *name,
	       const char *file)
{
	struct output out;
	void *data = NULL;
	size_t bytes = 0;
	int rc = read_object(place->shelf, name, &data, &bytes), code;

	if (rc)
		return rc == -ENOMEM ? report_system(s, "get", name, ENOMEM) : report_library(s, rc);
	code = output_open(s, file, place->region, &out);
	if (!code)
		code = output_close(&out, spill(s, &out, data, bytes));
	free(data);
	return code;
}

int verb_get_object(struct session *s, int argc, char **argv)
{
	const struct option_line lines[] = { OPTION_HUMAN(s), { .kind = OPTION_END } };
	const struct usage usage = { "REGION/SHELF OBJECT [FILE] [-u]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first), rc;
	struct json_object *array;
	struct shelf_place place;
	const char *file;

	if (code < 0)
		code = object_place(s, &usage, argc, argv, first, 2, 3, &place);
	if (code >= 0)
		return code;
	file = argc - first == 3 && strcmp(argv[first + 2], "-") ? argv[first + 2] : NULL;
	code = shelf_place_open(s, &place, false);
	if (code)
		return code;
	code = get(s, &place, argv[first + 1], file);
	if (!file) {
		rc = shelf_place_close(s, &place);
		return code ? code : rc;
	}
	array = json_object_new_array();
	if (!code) {
		rc = object_tell(s, place.shelf, argv[first + 1], array);
		code = rc ? report_library(s, rc) : EXIT_DONE;
	}
	if (!code)
		objects_count(s, "got ", 1);
	return shelf_place_done(s, &place, array, code);
}

/* --- delete-object ------------------------------------------------------------------- */

int verb_delete_object(struct session *s, int argc, char **argv)
{
	bool dry_run = false;
	const struct option_line lines[] = {
		OPTION_DRY_RUN(&dry_run),
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "REGION/SHELF OBJECT... [--dry-run] [-u]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first), worst = EXIT_DONE, rc;
	struct json_object *array;
	struct shelf_place place;

	if (code < 0)
		code = object_place(s, &usage, argc, argv, first, 2, argc, &place);
	if (code >= 0)
		return code;
	code = shelf_place_open(s, &place, !dry_run);
	if (code)
		return code;
	array = json_object_new_array();
	for (first++; first < argc; first++) {
		size_t before = json_object_array_length(array), bytes;

		rc = object_tell(s, place.shelf, argv[first], array);
		if (!rc)
			rc = dry_run ? hmem_shelf_read(place.shelf, argv[first], NULL, 0, &bytes) :
				       hmem_shelf_delete(place.shelf, argv[first]);
		if (rc == -ERANGE)
			rc = 0;
		if (!rc)
			continue;
		worst = report_library(s, rc);
		if (json_object_array_length(array) > before)
			json_object_array_del_idx(array, before, 1);
	}
	objects_count(s, dry_run ? "would delete " : "deleted ", json_object_array_length(array));
	return shelf_place_done(s, &place, array, worst);
}

/* --- rename-object ------------------------------------------------------------------- */

int verb_rename_object(struct session *s, int argc, char **argv)
{
	bool create = false, swap = false;
	const struct option_line lines[] = {
		{ OPTION_FLAG, 'c', "create", NULL, "fail if there is an object NAME", &create },
		{ OPTION_FLAG, 's', "swap", NULL, "there is one: it gets the other's name", &swap },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "REGION/SHELF OBJECT NAME [--create | --swap] [-u]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first), rc;
	struct json_object *array;
	struct shelf_place place;

	if (code < 0)
		code = object_place(s, &usage, argc, argv, first, 2, 3, &place);
	if (code < 0 && argc - first < 3)
		code = options_bad(s, &usage, "to which name?");
	if (code < 0 && create && swap)
		code = options_bad(s, &usage, "--create and --swap exclude one another");
	if (code >= 0)
		return code;
	code = shelf_place_open(s, &place, true);
	if (code)
		return code;
	array = json_object_new_array();
	rc = swap ? hmem_shelf_swap(place.shelf, argv[first + 1], argv[first + 2]) :
		    hmem_shelf_rename(place.shelf, argv[first + 1], argv[first + 2],
				      create ? HMEM_PUT_CREATE : 0);
	if (!rc && swap)
		rc = object_tell(s, place.shelf, argv[first + 1], array);
	if (!rc)
		rc = object_tell(s, place.shelf, argv[first + 2], array);
	if (rc)
		code = report_library(s, rc);
	else
		objects_count(s, swap ? "swapped " : "renamed ", json_object_array_length(array));
	return shelf_place_done(s, &place, array, code);
}
