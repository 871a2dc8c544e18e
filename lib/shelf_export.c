// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Exporting a shelf: what was on it at one instant, as a stream.
 *
 * Values that are stored to in place do not stay what they were then. All are read at once, for
 * their checksums, and again when they are written, which may be much later: then they are copied
 * first, so that what is written and what its checksum is made of are the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <hmem/export.h>

#include "crc32c.h"
#include "shelf_instant.h"
#include "shelf_record.h"
#include "shelf_sigbus.h"
#include "shelf_stream.h"
#include "shelf_type.h"
#include "sized.h"
#include "uncancelled.h"

#define OPTIONS_SIZE_V1	sizeof(struct hmem_export_options)
#define RESULT_SIZE_V1	sizeof(struct hmem_export_result)

/* Bytes that are given to write() at once, at least. */
#define BUFFER (1u << 20)
/* Bytes of a value that are read before others are shown that the export goes on. */
#define READ_AT_ONCE (16u << 20)

/*
 * @header: as it was when it was checked
 * @name: a copy, with a final NUL
 * @crc: of the value as it was right after the instant
 */
struct item {
	uint64_t at;
	struct record header;
	const char *name;
	uint32_t crc;
};

_Static_assert(sizeof(struct item) == 56, "hmem/export.h says how much memory an object takes");

struct export {
	struct hmem_shelf *shelf;
	const struct hmem_export_options *options;
	int (*write)(void *arg, const void *data, size_t bytes);
	void *arg;
	struct instant instant;
	struct item *items;
	size_t nr;
	char *names;
	unsigned char *buffer;
	size_t filled;
	unsigned char *piece;
	uint64_t value_bytes;
	uint64_t done;
	uint64_t told;
	struct hmem_export_result result;
};

/* --- the records --------------------------------------------------------------------- */

static const unsigned char *value_of(const struct export *export, uint64_t at,
				     const struct record *header)
{
	return shelf_at(export->shelf, record_value_offset(at, header->align_shift));
}

static int no_memory(const struct export *export)
{
	return shelf_fail(export->shelf, -ENOMEM, "shelf %s: no memory to export it",
			  export->shelf->name);
}

static int damaged(const struct export *export, uint64_t at)
{
	return shelf_fail(export->shelf, -EUCLEAN,
			  "shelf %s: the record at %#" PRIx64 " is damaged; check it",
			  export->shelf->name, at);
}

/*
 * What an instant leads to is loaded once, and only that is used: nothing of it changes after
 * that, but who has the region mapped can store anything at any time.
 */
static int look_at(const struct export *export, uint64_t at, struct record *header)
{
	struct hmem_shelf *shelf = export->shelf;

	if (!shelf_reach(shelf, at))
		return damaged(export, at);
	*header = record_load(shelf, at);
	/* One that has been erased since does not say any more of what kind it was. */
	if (!record_fits(shelf, at, header) || !header->name_bytes ||
	    (header->kind != RECORD_OBJECT && header->state != RECORD_FREE))
		return damaged(export, at);
	return 0;
}

static int in_order(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	size_t shorter = x->header.name_bytes < y->header.name_bytes ? x->header.name_bytes :
									y->header.name_bytes;
	int order = memcmp(x->name, y->name, shorter);

	return order ? order : (int)x->header.name_bytes - (int)y->header.name_bytes;
}

static void tell(struct export *export, const char *doing, uint64_t bytes)
{
	struct sigbus_guard *guard;

	export->done += bytes;
	if (export->done - export->told < BUFFER && export->done < export->value_bytes)
		return;
	guard = sigbus_suspend();
	hmem_progress(export->shelf->ctx, doing, export->done, export->value_bytes);
	sigbus_resume(guard);
	export->told = export->done;
}

static int copy_names(struct export *export, size_t bytes)
{
	char *to = malloc(bytes ? bytes : 1);

	export->names = to;
	if (!to)
		return no_memory(export);
	for (size_t i = 0; i < export->nr; i++) {
		struct item *item = &export->items[i];
		const struct record *r = &item->header;

		memcpy(to, value_of(export, item->at, r) + r->value_bytes, r->name_bytes);
		to[r->name_bytes] = '\0';
		if (strlen(to) != r->name_bytes)
			return damaged(export, item->at);
		item->name = to;
		to += r->name_bytes + 1;
	}
	return 0;
}

/* In pieces, as transactions wait until all of them have been read. */
static void read_value(struct export *export, struct item *item)
{
	const unsigned char *value = value_of(export, item->at, &item->header);
	uint64_t left = item->header.value_bytes;

	item->crc = VALUE_CRC_BEGIN;
	while (left) {
		size_t bytes = left < READ_AT_ONCE ? left : READ_AT_ONCE;

		item->crc = hmem_crc32c(item->crc, value, bytes);
		value += bytes;
		left -= bytes;
		instant_goes_on(&export->instant);
		tell(export, "reading", bytes);
	}
}

/* All of them, and what their values are now. */
static int take_items(struct export *export)
{
	size_t nr = export->instant.nr, name_bytes = 0;
	struct record header = { 0 };
	int err;

	export->items = calloc(nr ? nr : 1, sizeof(*export->items));
	if (!export->items)
		return no_memory(export);
	for (size_t i = 0; i < nr; i++) {
		uint64_t at = export->instant.at[i];

		/* The index leads to descriptors as well. */
		if (type_is_at(export->shelf, at))
			continue;
		err = look_at(export, at, &header);
		if (err)
			return err;
		export->items[export->nr].at = at;
		export->items[export->nr++].header = header;
		export->value_bytes += header.value_bytes;
		name_bytes += header.name_bytes + 1u;
	}
	free(export->instant.at);
	export->instant.at = NULL;
	err = copy_names(export, name_bytes);
	if (err)
		return err;
	for (size_t i = 0; i < export->nr; i++)
		read_value(export, &export->items[i]);
	instant_was_read(&export->instant);
	export->done = 0;
	export->told = 0;
	if (export->shelf->super_flags & SHELF_ORDERED)
		qsort(export->items, export->nr, sizeof(*export->items), in_order);
	return 0;
}

/* --- the stream ---------------------------------------------------------------------- */

static int flush(struct export *export)
{
	struct sigbus_guard *guard = sigbus_suspend();
	size_t bytes = export->filled;
	int err;

	export->filled = 0;
	err = bytes ? export->write(export->arg, export->buffer, bytes) : 0;
	sigbus_resume(guard);
	return err;
}

static int put(struct export *export, const void *data, size_t bytes)
{
	const unsigned char *from = data;
	int err = 0;

	while (bytes && !err) {
		size_t here = BUFFER - export->filled;

		if (here > bytes)
			here = bytes;
		memcpy(export->buffer + export->filled, from, here);
		export->filled += here;
		from += here;
		bytes -= here;
		if (export->filled == BUFFER)
			err = flush(export);
	}
	return err;
}

static int put_header(struct export *export, uint32_t *crc)
{
	struct stream_header header = {
		.magic = STREAM_MAGIC,
		.version = STREAM_VERSION,
		.objects = export->nr,
		.value_bytes = export->value_bytes,
		.flags = export->shelf->super_flags & SHELF_ORDERED ? STREAM_ORDERED : 0,
	};

	for (size_t i = 0; i < export->nr; i++) {
		const struct item *item = &export->items[i];
		const void *type;
		size_t type_bytes;

		type_of(export->shelf, item->at, &item->header, &type, &type_bytes);
		header.directory_bytes += sizeof(struct stream_entry) + item->header.name_bytes +
					  type_bytes;
	}
	memcpy(header.uuid, export->shelf->uuid, sizeof(header.uuid));
	memcpy(header.name, export->shelf->name, strlen(export->shelf->name));
	header.crc = hmem_crc32c(~0u, &header, sizeof(header));
	*crc = hmem_crc32c(~0u, &header, sizeof(header));
	return put(export, &header, sizeof(header));
}

static int put_directory(struct export *export)
{
	uint32_t crc;
	int err = put_header(export, &crc);

	for (size_t i = 0; i < export->nr && !err; i++) {
		const struct item *item = &export->items[i];
		const struct record *r = &item->header;
		struct stream_entry entry = {
			.value_bytes = r->value_bytes,
			.version = r->seq,
			.name_bytes = r->name_bytes,
			.align_shift = (uint8_t)r->align_shift,
		};
		const void *type;
		size_t type_bytes;

		type_of(export->shelf, item->at, r, &type, &type_bytes);
		entry.type_bytes = (uint16_t)type_bytes;
		crc = hmem_crc32c(crc, &entry, sizeof(entry));
		crc = hmem_crc32c(crc, item->name, r->name_bytes);
		crc = hmem_crc32c(crc, type, type_bytes);
		err = put(export, &entry, sizeof(entry));
		if (!err)
			err = put(export, item->name, r->name_bytes);
		if (!err)
			err = put(export, type, type_bytes);
	}
	return err ? err : put(export, &crc, sizeof(crc));
}

static void note_fuzzy(struct export *export, const char *name)
{
	struct sigbus_guard *guard;

	export->result.fuzzy++;
	if (!export->options->fuzzy)
		return;
	guard = sigbus_suspend();
	export->options->fuzzy(export->options->fuzzy_arg, name);
	sigbus_resume(guard);
}

static int put_value(struct export *export, uint64_t number)
{
	const struct item *item = &export->items[number];
	const struct record *r = &item->header;
	const unsigned char *value = value_of(export, item->at, r);
	struct stream_trailer trailer = { .object = number };
	uint32_t whole = VALUE_CRC_BEGIN;
	int err = 0;

	for (uint64_t offset = 0; offset < r->value_bytes && !err;) {
		struct stream_place place = { number, offset };
		uint64_t left = r->value_bytes - offset;
		size_t bytes = left < STREAM_PIECE ? left : STREAM_PIECE;
		uint32_t crc;

		/* Others may be changing it in place, which is found out by this. */
		RACY_READS_BEGIN();
		whole = hmem_crc32c_copy(whole, export->piece, value + offset, bytes);
		RACY_READS_END();
		crc = hmem_crc32c(~0u, &place, sizeof(place));
		crc = hmem_crc32c(crc, export->piece, bytes);
		err = put(export, export->piece, bytes);
		if (!err)
			err = put(export, &crc, sizeof(crc));
		offset += bytes;
		tell(export, "exporting", bytes);
	}
	if (!err && whole != item->crc) {
		trailer.flags = STREAM_FUZZY;
		note_fuzzy(export, item->name);
	}
	trailer.crc = hmem_crc32c(~0u, &trailer, sizeof(trailer));
	export->result.objects++;
	export->result.bytes += r->value_bytes;
	return err ? err : put(export, &trailer, sizeof(trailer));
}

static int put_end(struct export *export)
{
	struct stream_end end = {
		.magic = STREAM_END_MAGIC,
		.objects = export->result.objects,
		.fuzzy = export->result.fuzzy,
	};
	/* What could not be held must not be said to be whole. */
	int err = instant_holds(&export->instant);

	end.crc = hmem_crc32c(~0u, &end, sizeof(end));
	if (!err)
		err = put(export, &end, sizeof(end));
	return err ? err : flush(export);
}

static int run(struct export *export)
{
	int err;

	export->buffer = malloc(BUFFER);
	export->piece = malloc(STREAM_PIECE);
	if (!export->buffer || !export->piece)
		return no_memory(export);
	err = instant_take(export->shelf, &export->instant);
	if (err)
		return err;
	err = take_items(export);
	/* What looks damaged may only have been replaced. */
	if (err == -EUCLEAN && instant_holds(&export->instant))
		err = -EBUSY;
	if (!err)
		err = put_directory(export);
	for (uint64_t i = 0; i < export->nr && !err; i++) {
		err = put_value(export, i);
		if (!err)
			err = instant_holds(&export->instant);
	}
	if (!err)
		err = put_end(export);
	export->done = export->value_bytes;
	tell(export, "exporting", 0);
	instant_drop(&export->instant);
	return err;
}

/* What it took of the process is given back when a part of the shelf is gone. */
static int run_guarded(struct export *export)
{
	return SIGBUS_GUARDED_PART(export->shelf, run(export));
}

static int do_shelf_export(struct hmem_shelf *shelf, const struct hmem_export_options *options,
			   int (*write)(void *arg, const void *data, size_t bytes), void *arg,
			   struct hmem_export_result *result)
{
	struct hmem_export_options checked = HMEM_EXPORT_OPTIONS_INIT;
	struct export export = { .shelf = shelf, .options = &checked, .write = write, .arg = arg };
	int err = 0;

	if (!shelf)
		return -EINVAL;
	if (!write)
		return shelf_fail(shelf, -EINVAL, "exporting shelf %s: nobody takes it", shelf->name);
	if (options)
		err = hmem_sized_read(shelf->ctx, "struct hmem_export_options", &checked,
				      sizeof(checked), OPTIONS_SIZE_V1, options);
	if (!err && result)
		err = hmem_sized_check(shelf->ctx, "struct hmem_export_result", result,
				       RESULT_SIZE_V1);
	if (err)
		return err;
	err = run_guarded(&export);
	/* It has let that go by itself, unless it did not come to it. */
	free(export.instant.at);
	free(export.items);
	free(export.names);
	free(export.buffer);
	free(export.piece);
	if (!err && result)
		hmem_sized_write(result, &export.result, sizeof(export.result));
	return err;
}

int hmem_shelf_export(struct hmem_shelf *shelf, const struct hmem_export_options *options,
		      int (*write)(void *arg, const void *data, size_t bytes), void *arg,
		      struct hmem_export_result *result)
{
	return UNCANCELLED(do_shelf_export(shelf, options, write, arg, result));
}
