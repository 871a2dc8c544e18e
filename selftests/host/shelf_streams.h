/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Streams of exported shelves in memory, and shelves to export and import.
 */
#ifndef SELFTESTS_HOST_SHELF_STREAMS_H
#define SELFTESTS_HOST_SHELF_STREAMS_H

#include <unistd.h>

#include <hmem/hmem.h>

#include "tap.h"

static struct hmem_ctx *ctx;
static struct hmem_region *region;
static char path[64], region_name[80];

static inline void need(int err, const char *what)
{
	if (err)
		tap_bail("%s: %s", what, hmem_last_error(ctx));
}

/* --- streams in memory --------------------------------------------------------------- */

/* @during: called with each piece that is written; @read: how far it has been read */
struct stream {
	unsigned char *data;
	size_t bytes;
	size_t read;
	size_t ends;
	int fails;
	void (*during)(void);
};

static inline int to_memory(void *arg, const void *data, size_t bytes)
{
	struct stream *stream = arg;

	if (stream->during)
		stream->during();
	if (stream->fails)
		return stream->fails;
	stream->data = realloc(stream->data, stream->bytes + bytes);
	memcpy(stream->data + stream->bytes, data, bytes);
	stream->bytes += bytes;
	stream->ends = stream->bytes;
	return 0;
}

static inline long from_memory(void *arg, void *data, size_t bytes)
{
	struct stream *stream = arg;

	/* Not all at once. */
	if (bytes > 1000 && stream->bytes < 100000)
		bytes = 1 + stream->read % 1000;
	if (bytes > stream->ends - stream->read)
		bytes = stream->ends - stream->read;
	if (bytes)
		memcpy(data, stream->data + stream->read, bytes);
	stream->read += bytes;
	return (long)bytes;
}

static inline void stream_free(struct stream *stream)
{
	free(stream->data);
	memset(stream, 0, sizeof(*stream));
}

/* --- shelves ------------------------------------------------------------------------- */

static inline struct hmem_shelf *shelf_make(const char *name, unsigned int flags, size_t bytes)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf;

	options.bytes = bytes;
	options.max_bytes = 64 << 20;
	options.flags = flags;
	need(hmem_shelf_create(region, name, &options, &shelf), name);
	return shelf;
}

static inline void shelf_end(struct hmem_shelf *shelf, const char *name)
{
	need(hmem_shelf_close(shelf), "closing");
	if (name)
		need(hmem_shelf_destroy(region, name), "destroying");
}

static inline void put_text(struct hmem_shelf *shelf, const char *name, const char *text)
{
	need(hmem_shelf_put(shelf, name, text, strlen(text), NULL), name);
}

/* @a has what @b has, and no more. */
static inline bool same(struct hmem_shelf *a, struct hmem_shelf *b)
{
	struct hmem_shelf_info info_a = { .size = sizeof(info_a) }, info_b = info_a;
	struct hmem_entry entry = { .size = sizeof(entry) };
	struct hmem_cursor *cursor;
	bool equal = true;

	need(hmem_shelf_get_info(a, &info_a), "info");
	need(hmem_shelf_get_info(b, &info_b), "info");
	need(hmem_cursor_open(b, NULL, 0, &cursor), "cursor");
	while (equal && hmem_cursor_next(cursor, &entry) > 0) {
		struct hmem_object x, y;

		need(hmem_shelf_get(b, entry.name, &y), entry.name);
		equal = !hmem_shelf_get(a, entry.name, &x);
		if (equal) {
			equal = x.bytes == y.bytes && !memcmp(x.data, y.data, x.bytes) &&
				x.type_bytes == y.type_bytes &&
				(!x.type_bytes || !memcmp(x.type, y.type, x.type_bytes));
			hmem_shelf_release(a, &x);
		}
		hmem_shelf_release(b, &y);
	}
	hmem_cursor_close(cursor);
	return equal && info_a.objects == info_b.objects;
}

static inline int take_in(struct stream *stream, struct hmem_shelf *shelf, unsigned int flags,
		   int (*told)(void *, const struct hmem_imported *), void *told_arg,
		   struct hmem_export_result *result)
{
	struct hmem_import *import;
	int err;

	stream->read = 0;
	err = hmem_import_open(ctx, from_memory, stream, &import);
	if (err)
		return err;
	err = hmem_import_run(import, shelf, flags, told, told_arg, result);
	hmem_import_close(import);
	return err;
}

static inline void fill(struct hmem_shelf *shelf)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	char name[HMEM_OBJECT_NAME_MAX + 1], *large = malloc(3 << 20);

	memset(large, 0x5a, 3 << 20);
	for (unsigned int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "object %u", i);
		options.align = 16u << i % 8;
		options.type = i % 3 ? "a type" : large + 1000;
		options.type_bytes = i % 5 == 4 ? 0 : i % 3 ? i % 7 : HMEM_TYPE_MAX;
		memcpy(large, name, sizeof(name));
		need(hmem_shelf_put(shelf, name, large, i * 7 % 600, &options), name);
	}
	memset(name, 'n', HMEM_OBJECT_NAME_MAX);
	name[HMEM_OBJECT_NAME_MAX] = '\0';
	put_text(shelf, name, "of the longest name");
	put_text(shelf, "\xff", "no text");
	put_text(shelf, "empty", "");
	options.align = 2 << 20;
	options.type = "of the large one";
	options.type_bytes = 16;
	need(hmem_shelf_put(shelf, "large", large, (3 << 20) - 5, &options), "large");
	need(hmem_shelf_put(shelf, "piece", large, 1 << 20, NULL), "piece");
	need(hmem_shelf_delete(shelf, "object 7"), "deleting");
	free(large);
}

/* All that was made is gone afterwards. */
static inline void streams_begin(const char *test)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;

	snprintf(path, sizeof(path), "/dev/shm/hmem-%s-%d", test, (int)getpid());
	snprintf(region_name, sizeof(region_name), "file:%s", path);
	need(hmem_ctx_new(&ctx), "context");
	options.bytes = 128 << 20;
	need(hmem_region_create(ctx, region_name, &options, &region), "region");
}

static inline int streams_end(void)
{
	hmem_region_close(region);
	hmem_ctx_unref(ctx);
	unlink(path);
	return tap_done();
}

#endif
