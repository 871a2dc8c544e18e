// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Importing a shelf: from a stream, which may be damaged or end too early, and comes from anybody.
 *
 * The directory says where everything else is, so that damage to one object does not touch the
 * others. What it says of lengths is believed only as far as bytes have come: memory grows with
 * them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <hmem/export.h>

#include "crc32c.h"
#include "ctx.h"
#include "shelf.h"
#include "shelf_sigbus.h"
#include "shelf_stream.h"
#include "sized.h"
#include "uncancelled.h"

#define INFO_SIZE_V1	sizeof(struct hmem_import_info)
#define RESULT_SIZE_V1	sizeof(struct hmem_export_result)

#define BUFFER		(1u << 20)
/* Grown to before any of it has come. */
#define FIRST_ROOM	(64u << 10)

/* What a value takes on a shelf beside its own length, at most, and its place in the index. */
#define OVERHEAD	96u
#define LARGE		(SHELF_CHUNK / 2)

/* An object of the directory; its name and type lie in the texts. */
struct listed {
	struct stream_entry entry;
	uint64_t text;
};

/*
 * @buffer: what has been read of the stream and not been taken yet, from @from to @filled
 * @texts: names, each with a final NUL, and types behind them
 * @value: of the object at hand
 * @done: bytes of values so far
 */
struct hmem_import {
	struct hmem_ctx *ctx;
	long (*read)(void *arg, void *data, size_t bytes);
	void *arg;
	unsigned char *buffer;
	size_t from;
	size_t filled;
	bool used;
	struct stream_header header;
	struct listed *objects;
	size_t nr;
	size_t room;
	unsigned char *texts;
	uint64_t texts_bytes;
	uint64_t texts_room;
	unsigned char *value;
	uint64_t value_room;
	uint64_t done;
	uint64_t reported;
};

/* --- reading ------------------------------------------------------------------------- */

static int no_memory(const struct hmem_import *import)
{
	return hmem_fail(import->ctx, -ENOMEM, "no memory to import a shelf");
}

static int ends_early(const struct hmem_import *import)
{
	return hmem_fail(import->ctx, -ENODATA, "the stream ends too early; it was cut off");
}

/* Exactly so many bytes. */
static int take(struct hmem_import *import, void *to, size_t bytes)
{
	unsigned char *out = to;

	while (bytes) {
		size_t here = import->filled - import->from;
		struct sigbus_guard *guard;
		long got;

		if (here) {
			if (here > bytes)
				here = bytes;
			memcpy(out, import->buffer + import->from, here);
			import->from += here;
			out += here;
			bytes -= here;
			continue;
		}
		guard = sigbus_suspend();
		got = import->read(import->arg, import->buffer, BUFFER);
		sigbus_resume(guard);
		if (got < 0)
			return hmem_fail(import->ctx, (int)got, "reading the stream: %s",
					 strerror((int)-got));
		if (!got)
			return ends_early(import);
		if (got > (long)BUFFER)
			return hmem_fail(import->ctx, -EINVAL, "more of the stream was read than "
								"there is room for");
		import->from = 0;
		import->filled = (size_t)got;
	}
	return 0;
}

static int grow(const struct hmem_import *import, void **at, uint64_t *room, uint64_t needed)
{
	uint64_t wanted = *room ? *room : FIRST_ROOM;
	void *more;

	if (needed <= *room)
		return 0;
	while (wanted < needed)
		wanted *= 2;
	more = realloc(*at, wanted);
	if (!more)
		return no_memory(import);
	*at = more;
	*room = wanted;
	return 0;
}

/* --- the beginning ------------------------------------------------------------------- */

static int bad(const struct hmem_import *import, const char *what)
{
	return hmem_fail(import->ctx, -EBADMSG, "%s", what);
}

static int take_header(struct hmem_import *import, uint32_t *crc)
{
	struct stream_header *header = &import->header, zero;
	int err = take(import, header, sizeof(*header));

	if (err)
		return err;
	if (header->magic != STREAM_MAGIC)
		return bad(import, "this is no exported shelf");
	if (header->version > STREAM_VERSION)
		return hmem_fail(import->ctx, -EPROTONOSUPPORT,
				 "the stream is of version %" PRIu32 ", and this libhmem knows up to %u; "
				 "update it", header->version, STREAM_VERSION);
	zero = *header;
	zero.crc = 0;
	if (header->crc != hmem_crc32c(~0u, &zero, sizeof(zero)) || !header->version ||
	    memchr(header->name, '\0', sizeof(header->name)) == NULL)
		return bad(import, "the beginning of the stream is damaged");
	*crc = hmem_crc32c(~0u, header, sizeof(*header));
	return 0;
}

static bool entry_good(const struct stream_entry *entry)
{
	return entry->name_bytes && entry->name_bytes <= SHELF_NAME_MAX &&
	       entry->type_bytes <= SHELF_TYPE_MAX && entry->align_shift >= SHELF_GRANULE_SHIFT &&
	       entry->align_shift <= SHELF_ALIGN_MAX_SHIFT &&
	       entry->value_bytes < 1ull << SHELF_OFFSET_BITS;
}

static int take_entry(struct hmem_import *import, uint32_t *crc, uint64_t *left)
{
	struct listed listed = { .text = import->texts_bytes };
	unsigned char *text;
	uint64_t room = import->room * sizeof(listed);
	void *objects = import->objects, *texts = import->texts;
	size_t bytes;
	int err = take(import, &listed.entry, sizeof(listed.entry));

	if (err)
		return err;
	bytes = (size_t)listed.entry.name_bytes + listed.entry.type_bytes;
	if (!entry_good(&listed.entry) || *left < sizeof(listed.entry) + bytes)
		return bad(import, "the directory of the stream is damaged");
	*left -= sizeof(listed.entry) + bytes;
	err = grow(import, &objects, &room, (import->nr + 1) * sizeof(listed));
	import->objects = objects;
	import->room = room / sizeof(listed);
	if (!err)
		err = grow(import, &texts, &import->texts_room, import->texts_bytes + bytes + 1);
	import->texts = texts;
	if (err)
		return err;
	text = import->texts + listed.text;
	err = take(import, text, listed.entry.name_bytes);
	text[listed.entry.name_bytes] = '\0';
	if (!err)
		err = take(import, text + listed.entry.name_bytes + 1, listed.entry.type_bytes);
	if (err)
		return err;
	*crc = hmem_crc32c(*crc, &listed.entry, sizeof(listed.entry));
	*crc = hmem_crc32c(*crc, text, listed.entry.name_bytes);
	*crc = hmem_crc32c(*crc, text + listed.entry.name_bytes + 1, listed.entry.type_bytes);
	if (memchr(text, '\0', listed.entry.name_bytes))
		return bad(import, "the directory of the stream is damaged");
	import->texts_bytes += bytes + 1;
	import->objects[import->nr++] = listed;
	return 0;
}

static int take_directory(struct hmem_import *import)
{
	uint32_t crc = 0, right;
	uint64_t left, bytes = 0;
	int err = take_header(import, &crc);

	left = import->header.directory_bytes;
	for (uint64_t i = 0; i < import->header.objects && !err; i++)
		err = take_entry(import, &crc, &left);
	if (!err)
		err = take(import, &right, sizeof(right));
	if (err)
		return err;
	/* They came from one shelf; sums of what does not fit on any might wrap. */
	for (size_t i = 0; i < import->nr && bytes <= import->header.value_bytes; i++)
		bytes += import->objects[i].entry.value_bytes;
	if (left || crc != right || bytes >> SHELF_OFFSET_BITS || bytes != import->header.value_bytes)
		return bad(import, "the directory of the stream is damaged");
	return 0;
}

static int do_import_open(struct hmem_ctx *ctx, long (*read)(void *arg, void *data, size_t bytes),
			  void *arg, struct hmem_import **out)
{
	struct hmem_import *import;
	int err;

	if (!ctx)
		return -EINVAL;
	if (!read || !out)
		return hmem_fail(ctx, -EINVAL, "importing: nothing to read with, or no place for the "
						"handle");
	import = calloc(1, sizeof(*import));
	if (!import)
		return hmem_fail(ctx, -ENOMEM, "no memory to import a shelf");
	import->ctx = hmem_ctx_ref(ctx);
	import->read = read;
	import->arg = arg;
	import->buffer = malloc(BUFFER);
	err = import->buffer ? take_directory(import) : no_memory(import);
	if (err) {
		hmem_import_close(import);
		return err;
	}
	*out = import;
	return 0;
}

int hmem_import_open(struct hmem_ctx *ctx, long (*read)(void *arg, void *data, size_t bytes),
		     void *arg, struct hmem_import **out)
{
	return UNCANCELLED(do_import_open(ctx, read, arg, out));
}

void hmem_import_close(struct hmem_import *import)
{
	if (!import)
		return;
	hmem_ctx_unref(import->ctx);
	free(import->buffer);
	free(import->objects);
	free(import->texts);
	free(import->value);
	free(import);
}

/* A value takes whole chunks when it is large; and the last one may be nearly empty. */
static uint64_t heap_for(const struct hmem_import *import)
{
	uint64_t bytes = 1u << 20;

	for (size_t i = 0; i < import->nr; i++) {
		const struct stream_entry *entry = &import->objects[i].entry;
		uint64_t one = entry->value_bytes + entry->name_bytes + OVERHEAD;

		if (entry->align_shift > SHELF_GRANULE_SHIFT)
			one += 1ull << entry->align_shift;
		if (one > LARGE)
			one = (one + 2 * SHELF_CHUNK - 1) & ~(uint64_t)(SHELF_CHUNK - 1);
		bytes += one;
	}
	return bytes + bytes / 8;
}

static int do_import_get_info(struct hmem_import *import, struct hmem_import_info *info)
{
	struct hmem_import_info ours = { .size = sizeof(ours) };
	int err;

	if (!import)
		return -EINVAL;
	if (!info)
		return hmem_fail(import->ctx, -EINVAL, "no place for what the stream is");
	err = hmem_sized_check(import->ctx, "struct hmem_import_info", info, INFO_SIZE_V1);
	if (err)
		return err;
	ours.ordered = !!(import->header.flags & STREAM_ORDERED);
	ours.objects = import->nr;
	ours.bytes = import->header.value_bytes;
	ours.heap_bytes = heap_for(import);
	memcpy(ours.name, import->header.name, sizeof(ours.name));
	memcpy(ours.uuid, import->header.uuid, sizeof(ours.uuid));
	hmem_sized_write(info, &ours, sizeof(ours));
	return 0;
}

int hmem_import_get_info(struct hmem_import *import, struct hmem_import_info *info)
{
	return UNCANCELLED(do_import_get_info(import, info));
}

/* --- objects ------------------------------------------------------------------------- */

static void report(struct hmem_import *import, uint64_t bytes)
{
	struct sigbus_guard *guard;

	import->done += bytes;
	if (import->done - import->reported < BUFFER && import->done < import->header.value_bytes)
		return;
	guard = sigbus_suspend();
	hmem_progress(import->ctx, "importing", import->done, import->header.value_bytes);
	sigbus_resume(guard);
	import->reported = import->done;
}

/*
 * The next value, to where it is to be; NULL: into memory of ours, of which nothing is kept
 * when @drop. @broken: it is damaged, and the next begins behind it.
 */
static int take_value(struct hmem_import *import, uint64_t number, unsigned char *direct, bool drop,
		      bool *broken, bool *fuzzy)
{
	uint64_t bytes = import->objects[number].entry.value_bytes;
	struct stream_trailer trailer = { 0 };
	uint32_t crc, right = 0;
	int err;

	*broken = false;
	for (uint64_t offset = 0; offset < bytes;) {
		struct stream_place place = { number, offset };
		size_t here = bytes - offset < STREAM_PIECE ? bytes - offset : STREAM_PIECE;
		void *value = import->value;
		unsigned char *to;

		err = direct ? 0 : grow(import, &value, &import->value_room, (drop ? 0 : offset) + here);
		import->value = value;
		if (err)
			return err;
		to = direct ? direct + offset : import->value + (drop ? 0 : offset);
		err = take(import, to, here);
		if (!err)
			err = take(import, &right, sizeof(right));
		if (err)
			return err;
		crc = hmem_crc32c(~0u, &place, sizeof(place));
		*broken |= hmem_crc32c(crc, to, here) != right;
		offset += here;
		report(import, here);
	}
	err = take(import, &trailer, sizeof(trailer));
	if (err)
		return err;
	right = trailer.crc;
	trailer.crc = 0;
	*broken |= trailer.object != number || right != hmem_crc32c(~0u, &trailer, sizeof(trailer));
	*fuzzy = !*broken && trailer.flags & STREAM_FUZZY;
	return 0;
}

/* The same to memory of the shelf, of which a part may be gone. */
static int take_in_place(struct hmem_import *import, uint64_t number, struct hmem_shelf *shelf,
			 unsigned char *to, bool *broken, bool *fuzzy)
{
	return SIGBUS_GUARDED_PART(shelf, take_value(import, number, to, false, broken, fuzzy));
}

/* Others may make one after that: then it is putting it that fails. */
static int check_absent(struct hmem_import *import, struct hmem_shelf *shelf, const char *name)
{
	struct hmem_object object;

	if (hmem_shelf_get(shelf, name, &object))
		return 0;
	hmem_shelf_release(shelf, &object);
	return hmem_fail(import->ctx, -EEXIST, "there is an object %s already", name);
}

/*
 * One object, from the stream to the shelf. A large one is read to where it will stay. @behind:
 * why what comes behind it in the stream cannot be had.
 */
static int import_one(struct hmem_import *import, uint64_t number, struct hmem_shelf *shelf,
		      unsigned int flags, bool *fuzzy, int *behind)
{
	const struct listed *listed = &import->objects[number];
	const char *name = (const char *)import->texts + listed->text;
	uint64_t bytes = listed->entry.value_bytes;
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	unsigned int how = flags & HMEM_IMPORT_REPLACE ? 0 : HMEM_PUT_CREATE;
	void *direct = NULL;
	bool broken = false;
	int err = 0;

	options.align = (size_t)1 << listed->entry.align_shift;
	options.type = listed->entry.type_bytes ? name + listed->entry.name_bytes + 1 : NULL;
	options.type_bytes = listed->entry.type_bytes;
	/* For what is not going to be stored no room is needed. */
	if (how)
		err = check_absent(import, shelf, name);
	if (!err && bytes >= STREAM_PIECE)
		err = hmem_shelf_reserve(shelf, name, bytes, &options, &direct);
	*behind = direct ? take_in_place(import, number, shelf, direct, &broken, fuzzy) :
			   take_value(import, number, NULL, err, &broken, fuzzy);
	if (!err)
		err = *behind;
	if (!err && broken)
		err = hmem_fail(import->ctx, -EBADMSG, "object %s is damaged in the stream", name);
	if (err) {
		if (direct)
			hmem_shelf_cancel(shelf, direct);
		return err;
	}
	if (direct) {
		err = hmem_shelf_publish(shelf, direct, how);
		if (err)
			hmem_shelf_cancel(shelf, direct);
		return err;
	}
	options.flags = how;
	return hmem_shelf_put(shelf, name, import->value, bytes, &options);
}

/* Those of one object; after others nothing can be put any more. */
static bool goes_on(int err)
{
	return !err || err == -EEXIST || err == -ENOSPC || err == -EBUSY || err == -EDEADLK ||
	       err == -EBADMSG;
}

static int tell(struct hmem_import *import, uint64_t number, int error, bool fuzzy,
		int (*told)(void *arg, const struct hmem_imported *imported), void *told_arg)
{
	const struct listed *listed = &import->objects[number];
	struct hmem_imported imported = {
		.size = sizeof(imported),
		.name = (const char *)import->texts + listed->text,
		.bytes = listed->entry.value_bytes,
		.fuzzy = !error && fuzzy,
		.error = error,
	};

	return told ? told(told_arg, &imported) : 0;
}

static int take_end(struct hmem_import *import)
{
	struct stream_end end = { 0 };
	uint32_t right;
	int err = take(import, &end, sizeof(end));

	if (err)
		return err;
	right = end.crc;
	end.crc = 0;
	if (end.magic != STREAM_END_MAGIC || end.objects != import->nr ||
	    right != hmem_crc32c(~0u, &end, sizeof(end)))
		return bad(import, "the end of the stream is damaged");
	return 0;
}

static int import_all(struct hmem_import *import, struct hmem_shelf *shelf, unsigned int flags,
		      int (*told)(void *arg, const struct hmem_imported *imported), void *told_arg,
		      struct hmem_export_result *result)
{
	int first = 0, fatal = 0, stopped;

	for (uint64_t i = 0; i < import->nr; i++) {
		bool fuzzy = false;
		int err = fatal;

		if (!err) {
			err = import_one(import, i, shelf, flags, &fuzzy, &fatal);
			if (!fatal && !goes_on(err))
				fatal = err;
		}
		if (!first)
			first = err;
		if (err) {
			result->failed++;
		} else {
			result->objects++;
			result->bytes += import->objects[i].entry.value_bytes;
			result->fuzzy += fuzzy;
		}
		stopped = tell(import, i, err, fuzzy, told, told_arg);
		if (stopped)
			return stopped;
	}
	if (!fatal) {
		stopped = take_end(import);
		if (!first)
			first = stopped;
	}
	return first;
}

static int do_import_run(struct hmem_import *import, struct hmem_shelf *shelf, unsigned int flags,
			 int (*told)(void *arg, const struct hmem_imported *imported),
			 void *told_arg, struct hmem_export_result *result)
{
	struct hmem_export_result ours = { .size = sizeof(ours) };
	int err = 0;

	if (!import)
		return -EINVAL;
	if (!shelf || import->used)
		return hmem_fail(import->ctx, -EINVAL, shelf ? "the stream has been imported already" :
							       "importing: no shelf");
	if (flags & ~HMEM_IMPORT_REPLACE)
		return hmem_fail(import->ctx, -EINVAL, "importing: unknown flags %#x",
				 flags & ~HMEM_IMPORT_REPLACE);
	if (result)
		err = hmem_sized_check(import->ctx, "struct hmem_export_result", result,
				       RESULT_SIZE_V1);
	if (err)
		return err;
	import->used = true;
	err = import_all(import, shelf, flags, told, told_arg, &ours);
	hmem_progress(import->ctx, "importing", import->header.value_bytes,
		      import->header.value_bytes);
	if (result)
		hmem_sized_write(result, &ours, sizeof(ours));
	return err;
}

int hmem_import_run(struct hmem_import *import, struct hmem_shelf *shelf, unsigned int flags,
		    int (*told)(void *arg, const struct hmem_imported *imported), void *told_arg,
		    struct hmem_export_result *result)
{
	return UNCANCELLED(do_import_run(import, shelf, flags, told, told_arg, result));
}
