// SPDX-License-Identifier: GPL-2.0-only
/*
 * Importing shelves: what is damaged or cut off is named, and nothing wrong is imported; and what
 * the calls for both refuse. hmem-test: timeout=200
 */
#include "../../lib/shelf_stream.h"
#include "shelf_crc.h"
#include "shelf_streams.h"

struct seen {
	unsigned int all;
	unsigned int failed;
};

static int note(void *arg, const struct hmem_imported *imported)
{
	struct seen *seen = arg;

	seen->all++;
	seen->failed += imported->error != 0;
	return 0;
}

static const char *const few[] = { "one", "another", "the third" };

/* What has come out of a bad stream: 0 or more of what went in, whole, and each told of. */
static bool nothing_wrong(struct hmem_shelf *shelf, const struct seen *seen, int err)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };
	unsigned int there = 0;

	need(hmem_shelf_get_info(shelf, &info), "info");
	for (size_t i = 0; i < 3; i++) {
		char value[2000];
		size_t bytes;

		if (hmem_shelf_read(shelf, few[i], value, sizeof(value), &bytes))
			continue;
		for (size_t k = 0; k < bytes; k++)
			if (value[k] != few[i][0])
				return false;
		if (bytes != 100 * i)
			return false;
		there++;
		need(hmem_shelf_delete(shelf, few[i]), few[i]);
	}
	return err && there == info.objects && seen->all - seen->failed == there &&
	       (seen->all == 3 || !seen->all);
}

static void damaged_streams(void)
{
	struct hmem_shelf *a = shelf_make("a", 0, 1 << 20), *b = shelf_make("b", 0, 1 << 20);
	struct hmem_export_result result = { .size = sizeof(result) };
	unsigned int bad = 0, opened = 0, some = 0;
	struct stream stream = { 0 };
	char value[300];

	for (size_t i = 0; i < 3; i++) {
		memset(value, few[i][0], sizeof(value));
		need(hmem_shelf_put(a, few[i], value, 100 * i, NULL), few[i]);
	}
	need(hmem_shelf_export(a, NULL, to_memory, &stream, NULL), "exporting");
	for (size_t cut = 0; cut < stream.bytes; cut++) {
		struct seen seen = { 0 };
		int err;

		stream.ends = cut;
		err = take_in(&stream, b, 0, note, &seen, &result);
		opened += seen.all != 0;
		some += seen.all > seen.failed && seen.failed;
		if (err != -ENODATA || !nothing_wrong(b, &seen, err)) {
			bad++;
			tap_diag("cut at %zu: %d, %u told, %u failed", cut, err, seen.all, seen.failed);
		}
	}
	TAP_EQ(bad, 0, "a stream of %zu bytes, cut off anywhere, ends too early and says what is missing",
	       stream.bytes);
	TAP_OK(opened && some, "sometimes some of it can be had: %u of %u", some, opened);
	stream.ends = stream.bytes;
	bad = some = 0;
	for (size_t bit = 0; bit < stream.bytes * 8; bit++) {
		struct seen seen = { 0 };
		int err;

		stream.data[bit / 8] ^= 1 << bit % 8;
		err = take_in(&stream, b, 0, note, &seen, &result);
		stream.data[bit / 8] ^= 1 << bit % 8;
		some += seen.all > seen.failed && seen.failed;
		if ((err != -EBADMSG && err != -ENODATA && err != -EPROTONOSUPPORT) ||
		    !nothing_wrong(b, &seen, err)) {
			bad++;
			tap_diag("bit %zu: %d, %u told, %u failed", bit, err, seen.all, seen.failed);
		}
	}
	TAP_EQ(bad, 0, "no bit of it can be changed unseen, and nothing wrong is imported");
	TAP_OK(some, "the other objects are, in %u cases", some);
	TAP_EQ(take_in(&stream, b, 0, NULL, NULL, &result), 0, "as it was it is whole");
	stream.data[0] ^= 0xff;
	TAP_EQ(take_in(&stream, b, 0, NULL, NULL, &result), -EBADMSG, "something else");
	TAP_OK(strstr(hmem_last_error(ctx), "no exported shelf"), "is no exported shelf");
	stream_free(&stream);
	TAP_EQ(take_in(&stream, b, 0, NULL, NULL, &result), -ENODATA, "nor is nothing");
	shelf_end(a, "a");
	shelf_end(b, "b");
}

static void too_small(void)
{
	struct hmem_shelf *a = shelf_make("a", 0, 12 << 20), *b = shelf_make("b", 0, 1 << 20);
	struct hmem_export_result result = { .size = sizeof(result) };
	struct stream stream = { 0 };
	struct seen seen = { 0 };

	fill(a);
	need(hmem_shelf_export(a, NULL, to_memory, &stream, NULL), "exporting");
	TAP_EQ(take_in(&stream, b, 0, note, &seen, &result), -ENOSPC, "a shelf that is too small");
	TAP_OK(seen.all == 504 && result.failed == seen.failed && result.objects + result.failed == 504,
	       "gets those that fit: %llu", (unsigned long long)result.objects);
	TAP_OK(result.objects > 400, "the small ones");
	TAP_EQ(hmem_shelf_check(b, NULL, NULL), 0, "and is well");
	shelf_end(a, "a");
	shelf_end(b, "b");
	stream_free(&stream);
}

/* What a transaction of this thread's own has is in the way of that object alone. */
static void owned(void)
{
	struct hmem_shelf *a = shelf_make("a", HMEM_SHELF_ORDERED, 1 << 20);
	struct hmem_shelf *b = shelf_make("b", 0, 1 << 20);
	struct hmem_export_result result = { .size = sizeof(result) };
	struct stream stream = { 0 };
	struct hmem_object object;
	struct hmem_range range = { &object, 0, 3 };
	struct seen seen = { 0 };
	struct hmem_tx *tx;
	char value[8];
	size_t bytes;

	/* The first in the stream is the one that cannot be replaced. */
	for (size_t i = 0; i < 3; i++) {
		put_text(a, few[i], "new");
		put_text(b, few[i], "old");
	}
	need(hmem_shelf_export(a, NULL, to_memory, &stream, NULL), "exporting");
	need(hmem_tx_begin(b, &tx), "a transaction");
	need(hmem_shelf_get(b, few[1], &object), "an object");
	need(hmem_tx_add(tx, &range, 1), "announcing a change of it");
	hmem_shelf_release(b, &object);
	TAP_EQ(take_in(&stream, b, HMEM_IMPORT_REPLACE, note, &seen, &result), -EDEADLK,
	       "an object that is this thread's own transaction's");
	TAP_OK(seen.all == 3 && seen.failed == 1 && result.failed == 1 && result.objects == 2,
	       "is not replaced, and the others are: %llu", (unsigned long long)result.objects);
	need(hmem_tx_commit(tx), "committing");
	for (size_t i = 0; i < 3; i++)
		TAP_OK(!hmem_shelf_read(b, few[i], value, sizeof(value), &bytes) &&
			       !memcmp(value, i == 1 ? "old" : "new", 3),
		       "%s is what it should be", few[i]);
	shelf_end(a, "a");
	shelf_end(b, "b");
	stream_free(&stream);
}

/* To one that has room for it. */
static void add(struct stream *stream, const void *data, size_t bytes)
{
	memcpy(stream->data + stream->bytes, data, bytes);
	stream->bytes += bytes;
	stream->ends = stream->bytes;
}

/* A directory of @nr objects of @each bytes and one of @last, with checksums that hold. */
static int open_directory(uint64_t nr, uint64_t each, uint64_t last)
{
	struct stream_header header = {
		.magic = STREAM_MAGIC, .version = STREAM_VERSION, .objects = nr + 1,
		.directory_bytes = (nr + 1) * (sizeof(struct stream_entry) + 1),
		.value_bytes = nr * each + last, .name = "sums",
	};
	struct stream_entry entry = { .name_bytes = 1, .align_shift = SHELF_GRANULE_SHIFT };
	struct stream stream = { 0 };
	struct hmem_import *import;
	uint32_t crc;
	int err;

	stream.data = malloc(sizeof(header) + header.directory_bytes + sizeof(crc));
	if (!stream.data)
		tap_bail("no memory");
	header.crc = crc_more(~0u, &header, sizeof(header));
	crc = crc_more(~0u, &header, sizeof(header));
	add(&stream, &header, sizeof(header));
	for (uint64_t i = 0; i <= nr; i++) {
		entry.value_bytes = i < nr ? each : last;
		crc = crc_more(crc_more(crc, &entry, sizeof(entry)), "x", 1);
		add(&stream, &entry, sizeof(entry));
		add(&stream, "x", 1);
	}
	add(&stream, &crc, sizeof(crc));
	err = hmem_import_open(ctx, from_memory, &stream, &import);
	if (!err)
		hmem_import_close(import);
	stream_free(&stream);
	return err;
}

/* What takes memory and time goes by sums of lengths: they must be what the objects come to. */
static void sums(void)
{
	const uint64_t most = (1ull << SHELF_OFFSET_BITS) - 1, nr = 1ull << (64 - SHELF_OFFSET_BITS);

	TAP_EQ(open_directory(2, 1000, 5), 0, "a directory made here is good");
	TAP_EQ(open_directory(1, most, 0), 0, "so is one of an object as large as a shelf");
	TAP_EQ(open_directory(1, most, 1), -EBADMSG, "objects larger than any shelf together");
	TAP_OK(strstr(hmem_last_error(ctx), "directory of the stream is damaged"), "are refused: %s",
	       hmem_last_error(ctx));
	/* Together 2^64 and five. */
	TAP_EQ(open_directory(nr, most, nr + 5), -EBADMSG, "so are those whose sum would be small again");
}

static void calls(void)
{
	struct hmem_export_options options = { .size = 1 };
	struct hmem_export_result result = { .size = 1 };
	struct hmem_import_info info = { .size = 1 };
	struct hmem_shelf *a = shelf_make("a", 0, 1 << 20);
	struct stream stream = { .fails = -EPIPE };
	struct hmem_import *import;

	TAP_EQ(hmem_shelf_export(NULL, NULL, to_memory, &stream, NULL), -EINVAL, "no shelf");
	TAP_EQ(hmem_shelf_export(a, NULL, NULL, NULL, NULL), -EINVAL, "nobody who takes the stream");
	TAP_EQ(hmem_shelf_export(a, &options, to_memory, &stream, NULL), -EINVAL, "no size");
	TAP_EQ(hmem_shelf_export(a, NULL, to_memory, &stream, &result), -EINVAL, "of the result");
	TAP_EQ(hmem_shelf_export(a, NULL, to_memory, &stream, NULL), -EPIPE,
	       "what the writer of the stream returns is returned");
	stream.fails = 0;
	TAP_EQ(hmem_shelf_export(a, NULL, to_memory, &stream, NULL), 0, "an empty shelf");
	TAP_EQ(hmem_import_open(NULL, from_memory, &stream, &import), -EINVAL, "no context");
	TAP_EQ(hmem_import_open(ctx, NULL, &stream, &import), -EINVAL, "nothing to read with");
	TAP_EQ(hmem_import_open(ctx, from_memory, &stream, NULL), -EINVAL, "no place for the handle");
	need(hmem_import_open(ctx, from_memory, &stream, &import), "opening");
	TAP_EQ(hmem_import_get_info(import, NULL), -EINVAL, "no place for what it is");
	TAP_EQ(hmem_import_get_info(import, &info), -EINVAL, "no size of that");
	TAP_EQ(hmem_import_run(import, NULL, 0, NULL, NULL, NULL), -EINVAL, "no shelf to import to");
	TAP_EQ(hmem_import_run(import, a, 2, NULL, NULL, NULL), -EINVAL, "unknown flags");
	TAP_EQ(hmem_import_run(import, a, 0, NULL, NULL, &result), -EINVAL, "no size of the result");
	TAP_EQ(hmem_import_run(import, a, 0, NULL, NULL, NULL), 0, "an empty stream");
	hmem_import_close(import);
	TAP_EQ(hmem_import_get_info(NULL, &info), -EINVAL, "no import");
	TAP_EQ(hmem_import_run(NULL, a, 0, NULL, NULL, NULL), -EINVAL, "nowhere");
	hmem_import_close(NULL);
	shelf_end(a, "a");
	stream_free(&stream);
}

int main(void)
{
	streams_begin("shelf-import");
	damaged_streams();
	too_small();
	owned();
	sums();
	calls();
	return streams_end();
}
