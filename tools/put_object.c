// SPDX-License-Identifier: GPL-2.0-only
/*
 * put-object: an object of what is in a file, or comes out of a pipe.
 *
 * A large file says how long it is, and is read to where the object will be. Of anything else that
 * is known at its end, so that it goes through memory first: no more of it than the shelf has
 * room for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"
#include "object.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "shelf.h"

/*
 * struct source - what is put
 * @name: what it is called in messages
 * @is_file: of @bytes bytes, else there is no saying
 */
struct source {
	const char *name;
	int fd;
	bool is_file;
	size_t bytes;
};

/* --- what ends when it ends ---------------------------------------------------------- */

/* Can an object of @bytes be on the shelf, if there were nothing else? */
static int check_room(const struct session *s, struct hmem_shelf *shelf, const char *what,
		      size_t bytes, size_t *most)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };
	int rc = hmem_shelf_get_info(shelf, &info);
	char size[32];

	if (rc)
		return report_library(s, rc);
	*most = (size_t)info.bytes;
	if (bytes <= *most)
		return EXIT_DONE;
	report_error(s, "read %s: it is larger than shelf %s, which has %s for all of its objects",
		     what, info.name, hmem_size_format(info.bytes, size, sizeof(size)));
	report_fix(s, "hmemctl grow-shelf, as far as its max_size allows, or take less");
	return EXIT_FAILED;
}

/* A piece more, as far as there is room. The bytes that came: 0 at the end; -1, see errno. */
static ssize_t read_piece(int fd, char **buffer, size_t *room, size_t done, size_t most)
{
	ssize_t got;

	if (!*buffer || done == *room) {
		size_t next = *buffer ? 2 * *room : OBJECT_PIECE;
		char *more;

		/* A byte more tells that there is more. */
		if (next > most + 1)
			next = most + 1;
		more = realloc(*buffer, next);
		if (!more) {
			errno = ENOMEM;
			return -1;
		}
		*buffer = more;
		*room = next;
	}
	do
		got = read(fd, *buffer + done,
			   *room - done < OBJECT_PIECE ? *room - done : OBJECT_PIECE);
	while (got < 0 && errno == EINTR);
	return got;
}

/* All that comes of @source. *@data is to be freed, whatever is returned. */
static int slurp(const struct session *s, struct hmem_shelf *shelf, const struct source *source,
		 char **data, size_t *bytes)
{
	size_t room = 0, done = 0, most = 0;
	struct progress progress;
	ssize_t got = 1;
	int code = check_room(s, shelf, source->name, 0, &most);

	progress_begin(&progress, s, 0);
	while (!code && got) {
		got = read_piece(source->fd, data, &room, done, most);
		if (got < 0) {
			code = report_system(s, "read", source->name, errno);
			break;
		}
		done += (size_t)got;
		progress_show(&progress, done);
		/* It may have grown meanwhile. */
		if (done > most)
			code = check_room(s, shelf, source->name, done, &most);
	}
	progress_end(&progress);
	*bytes = done;
	return code;
}

static int put_copy(const struct session *s, struct shelf_place *place, const char *name,
		    const struct hmem_put_options *options, const struct source *source)
{
	char *data = NULL;
	size_t bytes;
	int code = slurp(s, place->shelf, source, &data, &bytes), rc;

	if (!code) {
		rc = hmem_shelf_put(place->shelf, name, data, bytes, options);
		code = rc ? report_library(s, rc) : EXIT_DONE;
	}
	free(data);
	return code;
}

/* --- what says how long it is -------------------------------------------------------- */

/* From a file to where the object will be. No more and no less than it said that it has. */
static int read_to(const struct session *s, const struct source *source, char *to)
{
	struct progress progress;
	size_t done = 0;
	ssize_t got = 1;
	char more;

	progress_begin(&progress, s, source->bytes);
	while (done < source->bytes && got) {
		size_t here = source->bytes - done < OBJECT_PIECE ? source->bytes - done : OBJECT_PIECE;

		got = read(source->fd, to + done, here);
		if (got < 0 && errno != EINTR)
			break;
		done += got > 0 ? (size_t)got : 0;
		progress_show(&progress, done);
	}
	progress_end(&progress);
	if (got < 0)
		return report_system(s, "read", source->name, errno);
	if (done == source->bytes && !read(source->fd, &more, 1))
		return EXIT_DONE;
	report_error(s, "read %s: its length changes meanwhile", source->name);
	return EXIT_FAILED;
}

static int put_in_place(const struct session *s, struct shelf_place *place, const char *name,
			const struct hmem_put_options *options, const struct source *source)
{
	struct hmem_put_options reserved = *options;
	void *data;
	int code, rc;

	reserved.flags = 0;
	rc = hmem_shelf_reserve(place->shelf, name, source->bytes, &reserved, &data);
	if (rc)
		return report_library(s, rc);
	code = read_to(s, source, data);
	rc = code ? 0 : hmem_shelf_publish(place->shelf, data, options->flags);
	if (rc)
		code = report_library(s, rc);
	if (code)
		hmem_shelf_cancel(place->shelf, data);
	return code;
}

/* --- put-object ---------------------------------------------------------------------- */

static int put(const struct session *s, struct shelf_place *place, const char *name,
	       const struct hmem_put_options *options, const struct source *source)
{
	struct json_object *array;
	int code = shelf_place_open(s, place, true), rc;

	if (code)
		return code;
	array = json_object_new_array();
	if (source->is_file)
		code = put_in_place(s, place, name, options, source);
	else
		code = put_copy(s, place, name, options, source);
	if (!code) {
		rc = object_tell(s, place->shelf, name, array);
		code = rc ? report_library(s, rc) : EXIT_DONE;
	}
	if (!code)
		objects_count(s, "put ", 1);
	return shelf_place_done(s, place, array, code);
}

int verb_put_object(struct session *s, int argc, char **argv)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	const char *align = NULL, *type = NULL, *file;
	bool create = false, replace = false;
	const struct option_line lines[] = {
		{ OPTION_FLAG, 'c', "create", NULL, "fail if there is one", &create },
		{ OPTION_FLAG, 'r', "replace", NULL, "fail if there is none", &replace },
		{ OPTION_TEXT, 'a', "align", "SIZE", "alignment of its data, up to 2M", &align },
		{ OPTION_TEXT, 't', "type", "TEXT", "descriptor kept with it, up to 256 bytes", &type },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "REGION/SHELF OBJECT [FILE] [--create | --replace] "
				     "[--align SIZE] [--type TEXT] [-u]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first);
	struct source source = { .name = "stdin", .fd = STDIN_FILENO };
	uint64_t alignment = 0;
	struct shelf_place place;
	struct stat st;

	if (code < 0)
		code = object_place(s, &usage, argc, argv, first, 2, 3, &place);
	if (code >= 0)
		return code;
	if (create && replace)
		return options_bad(s, &usage, "--create and --replace exclude each other");
	if (align && (hmem_size_parse(align, 0, &alignment) || alignment > HMEM_ALIGN_MAX ||
		      alignment & (alignment - 1)))
		return options_bad(s, &usage, "%s is no alignment", align);
	if (type && strlen(type) > HMEM_TYPE_MAX)
		return options_bad(s, &usage, "a type has at most %u bytes", HMEM_TYPE_MAX);
	options.type = type;
	options.type_bytes = type ? strlen(type) : 0;
	options.align = (size_t)alignment;
	options.flags = create ? HMEM_PUT_CREATE : replace ? HMEM_PUT_REPLACE : 0;
	file = argc - first == 3 && strcmp(argv[first + 2], "-") ? argv[first + 2] : NULL;
	if (file) {
		source.name = file;
		source.fd = open(file, O_RDONLY | O_CLOEXEC);
		if (source.fd < 0)
			return report_system(s, "open", file, errno);
		source.is_file = !fstat(source.fd, &st) && S_ISREG(st.st_mode) &&
				 (size_t)st.st_size >= OBJECT_PIECE;
		source.bytes = source.is_file ? (size_t)st.st_size : 0;
	}
	code = put(s, &place, argv[first + 1], &options, &source);
	if (file)
		close(source.fd);
	return code;
}
