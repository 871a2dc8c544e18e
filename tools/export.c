// SPDX-License-Identifier: GPL-2.0-only
/* export-shelf and import-shelf: shelves as streams, in files and through pipes. */
#include <hmem/export.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "object.h"
#include "options.h"
#include "output.h"
#include "report.h"
#include "shelf.h"

static const char *file_of(int argc, char **argv, int first)
{
	return argc - first == 2 && strcmp(argv[first + 1], "-") ? argv[first + 1] : NULL;
}

static int one_shelf(const struct session *s, const struct usage *usage, int argc, char **argv,
		     int first, struct shelf_place *place)
{
	if (first == argc)
		return options_bad(s, usage, "which shelf?");
	if (!shelf_place_parse(argv[first], place))
		return options_bad(s, usage, "%s is no REGION/SHELF", argv[first]);
	if (argc - first > 2)
		return options_bad(s, usage, "unexpected argument: %s", argv[first + 2]);
	return -1;
}

/* --- export-shelf -------------------------------------------------------------------- */

/* @error: why the stream could not be written, if that is what ended it */
struct sink {
	const struct session *s;
	int fd;
	int error;
	uint64_t bytes;
};

static int write_out(void *arg, const void *data, size_t bytes)
{
	struct sink *out = arg;
	const char *from = data;

	while (bytes) {
		ssize_t got = write(out->fd, from, bytes);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			out->error = errno;
			return -errno;
		}
		from += got;
		bytes -= (size_t)got;
		out->bytes += (uint64_t)got;
	}
	return 0;
}

static void tell_fuzzy(void *arg, const char *name)
{
	const struct sink *out = arg;

	report_warning(out->s, "object %s was changed in place meanwhile; it is marked fuzzy", name);
}

/* The stream, from a shelf that is open. @written: how long it is */
static int export_to(const struct session *s, struct shelf_place *place, const struct output *out,
		     struct hmem_export_result *result, uint64_t *written)
{
	struct hmem_export_options options = HMEM_EXPORT_OPTIONS_INIT;
	struct sink sink = { .s = s, .fd = out->fd };
	int rc;

	options.fuzzy = tell_fuzzy;
	options.fuzzy_arg = &sink;
	rc = hmem_shelf_export(place->shelf, &options, write_out, &sink, result);
	*written = sink.bytes;
	if (sink.error)
		return report_system(s, "write", out->name, sink.error);
	return rc ? report_library(s, rc) : EXIT_DONE;
}

/* Through a handle for writing the instant can be held; who may not have one only looks. */
static int open_source(const struct session *s, struct shelf_place *place)
{
	struct hmem_shelf_options writable = HMEM_SHELF_OPTIONS_INIT;
	int rc = shelf_place_try(s, place, &writable);

	if (rc == -EACCES || rc == -EROFS || rc == -EPERM)
		return shelf_place_open(s, place, false);
	return rc ? report_library(s, rc) : EXIT_DONE;
}

static int export_shelf(const struct session *s, struct shelf_place *place, const char *file,
			struct hmem_export_result *result, uint64_t *written)
{
	struct output out;
	int code = open_source(s, place), closed;

	if (code)
		return code;
	code = output_open(s, file, place->region, &out);
	if (code) {
		shelf_place_close(s, place);
		return code;
	}
	code = export_to(s, place, &out, result, written);
	closed = shelf_place_close(s, place);
	return output_close(&out, code ? code : closed);
}

int verb_export_shelf(struct session *s, int argc, char **argv)
{
	const struct option_line lines[] = { OPTION_HUMAN(s), { .kind = OPTION_END } };
	const struct usage usage = { "REGION/SHELF [FILE] [-u]", lines };
	struct hmem_export_result result = { .size = sizeof(result) };
	int first, code = options_parse(s, &usage, argc, argv, &first), rc;
	struct json_object *array, *o;
	struct shelf_place place;
	uint64_t written;
	const char *file;

	if (code < 0)
		code = one_shelf(s, &usage, argc, argv, first, &place);
	if (code >= 0)
		return code;
	file = file_of(argc, argv, first);
	if (!file && isatty(STDOUT_FILENO))
		return options_bad(s, &usage, "a stream is nothing for a terminal; name a file, or use "
					      "a pipe");
	code = export_shelf(s, &place, file, &result, &written);
	if (!code)
		report_count(s, "exported %llu object%s", (unsigned long long)result.objects,
			     result.objects == 1 ? "" : "s");
	if (!file)
		return code;
	array = json_object_new_array();
	if (!code) {
		o = json_object_new_object();
		json_shelf_name(o, place.region_name, place.name);
		json_number(o, "objects", result.objects);
		json_number(o, "fuzzy", result.fuzzy);
		json_size(s, o, "size", result.bytes);
		json_size(s, o, "stream_size", written);
		json_object_array_add(array, o);
	}
	rc = json_print(s, array);
	return code ? code : rc;
}

/* --- import-shelf -------------------------------------------------------------------- */

struct input {
	const struct session *s;
	const char *name;
	int fd;
	struct json_object *array;
	uint64_t imported;
};

static long read_in(void *arg, void *data, size_t bytes)
{
	const struct input *in = arg;
	ssize_t got;

	do
		got = read(in->fd, data, bytes);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static const char *why_not(int error)
{
	switch (error) {
	case -EEXIST:
		return "there is one already";
	case -EBADMSG:
		return "its part of the stream is damaged";
	case -ENODATA:
		return "the stream ends before it does";
	case -ENOSPC:
		return "the shelf has no room for it";
	}
	return strerror(-error);
}

static int add_imported(void *arg, const struct hmem_imported *imported)
{
	struct json_object *o = json_object_new_object();
	struct input *in = arg;

	json_object_name(o, imported->name, strlen(imported->name));
	json_size(in->s, o, "size", imported->bytes);
	json_flag(o, "imported", !imported->error);
	json_flag(o, "fuzzy", imported->fuzzy);
	json_text(o, "why", imported->error ? why_not(imported->error) : NULL);
	json_object_array_add(in->array, o);
	if (!imported->error)
		in->imported++;
	return 0;
}

/* What --create and the sizes ask for. */
struct creation {
	bool wanted;
	uint64_t bytes;
	uint64_t max_bytes;
};

static int open_target(const struct session *s, struct shelf_place *place,
		       const struct hmem_import_info *info, const struct creation *creation)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	int rc;

	if (!creation->wanted)
		return shelf_place_open(s, place, true);
	options.bytes = creation->bytes ? creation->bytes : info->heap_bytes;
	options.max_bytes = creation->max_bytes;
	options.flags = info->ordered ? HMEM_SHELF_ORDERED : 0;
	rc = hmem_region_open(s->hmem, place->region_name, 0, &place->region);
	if (rc)
		return report_library(s, rc);
	rc = hmem_shelf_create(place->region, place->name, &options, &place->shelf);
	if (rc) {
		hmem_region_close(place->region);
		place->region = NULL;
		return report_library(s, rc);
	}
	return EXIT_DONE;
}

/* @drop: nothing came of a shelf that was made for it */
static int close_target(const struct session *s, struct shelf_place *place, bool drop)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };
	int rc;

	/* Others may have found it since. */
	if (!drop || hmem_shelf_get_info(place->shelf, &info) || info.objects)
		return shelf_place_close(s, place);
	hmem_shelf_close(place->shelf);
	rc = hmem_shelf_destroy(place->region, place->name);
	if (rc)
		report_library(s, rc);
	else
		report_warning(s, "shelf %s has been removed again, as nothing was imported",
			       place->name);
	hmem_region_close(place->region);
	return rc ? EXIT_FAILED : EXIT_DONE;
}

static int import_from(const struct session *s, struct shelf_place *place, struct input *in,
		       unsigned int flags, const struct creation *creation)
{
	struct hmem_export_result result = { .size = sizeof(result) };
	struct hmem_import_info info = { .size = sizeof(info) };
	struct hmem_import *import;
	int rc = hmem_import_open(s->hmem, read_in, in, &import), code;

	if (rc) {
		report_error(s, "%s: %s", in->name, hmem_last_error(s->hmem));
		return rc == -EPROTONOSUPPORT ? EXIT_UNSUPPORTED : EXIT_FAILED;
	}
	rc = hmem_import_get_info(import, &info);
	code = rc ? report_library(s, rc) : open_target(s, place, &info, creation);
	if (code) {
		hmem_import_close(import);
		return code;
	}
	rc = hmem_import_run(import, place->shelf, flags, add_imported, in, &result);
	if (rc) {
		if (result.failed)
			report_error(s, "%s: %llu of %llu objects were not imported", in->name,
				     (unsigned long long)result.failed,
				     (unsigned long long)info.objects);
		else
			report_error(s, "%s: %s", in->name, hmem_last_error(s->hmem));
		if (rc == -EEXIST)
			report_fix(s, "--replace replaces what is there");
		code = EXIT_FAILED;
	}
	if (result.fuzzy)
		report_warning(s, "%llu of them had been changed in place while they were exported",
			       (unsigned long long)result.fuzzy);
	hmem_import_close(import);
	rc = close_target(s, place, code && creation->wanted && !in->imported);
	return code ? code : rc;
}

int verb_import_shelf(struct session *s, int argc, char **argv)
{
	const char *size = NULL, *max = NULL;
	struct creation creation = { false, 0, 0 };
	bool replace = false;
	const struct option_line lines[] = {
		{ OPTION_FLAG, 'r', "replace", NULL, "replace objects that are there", &replace },
		{ OPTION_FLAG, 'c', "create", NULL, "make the shelf", &creation.wanted },
		{ OPTION_TEXT, 's', "size", "SIZE", "its size (as much as is needed)", &size },
		{ OPTION_TEXT, 'M', "max-size", "SIZE", "what it may grow to", &max },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "REGION/SHELF [FILE] [--replace] [--create [--size SIZE] "
				     "[--max-size SIZE]] [-u]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first), rc;
	struct input in = { .s = s, .name = "stdin", .fd = STDIN_FILENO };
	struct shelf_place place;
	const char *file;

	if (code < 0)
		code = one_shelf(s, &usage, argc, argv, first, &place);
	if (code >= 0)
		return code;
	if ((size || max) && !creation.wanted)
		return options_bad(s, &usage, "sizes are for --create");
	if (size && hmem_size_parse(size, 0, &creation.bytes))
		return options_bad(s, &usage, "%s is no size", size);
	if (max && hmem_size_parse(max, 0, &creation.max_bytes))
		return options_bad(s, &usage, "%s is no size", max);
	file = file_of(argc, argv, first);
	if (file) {
		in.name = file;
		in.fd = open(file, O_RDONLY | O_CLOEXEC);
		if (in.fd < 0)
			return report_system(s, "open", file, errno);
	}
	in.array = json_object_new_array();
	code = import_from(s, &place, &in, replace ? HMEM_IMPORT_REPLACE : 0, &creation);
	if (file)
		close(in.fd);
	report_count(s, "imported %llu object%s", (unsigned long long)in.imported,
		     in.imported == 1 ? "" : "s");
	rc = json_print(s, in.array);
	return code ? code : rc;
}
