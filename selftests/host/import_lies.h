/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A stream that lies, imported: nothing but errors may come of it, every object of its directory
 * is told of once, what is told to be on the shelf is there, and check finds nothing. Shared
 * by a test that throws dice and by the fuzzer.
 *
 * An input is a byte that says how it is read, and the stream. Its checksums are made to hold
 * for whatever it says, as far as it goes, and so are the sums of its lengths: otherwise
 * nothing but those would be found wrong.
 */
#ifndef SELFTESTS_IMPORT_LIES_H
#define SELFTESTS_IMPORT_LIES_H

#include <hmem/hmem.h>

#include "../../lib/shelf_stream.h"
#include "shelf_crc.h"

#define IMPORT_REGION	(2560u << 10)
#define IMPORT_MAX	(64u << 10)
/* What follows an input that has no end. */
#define IMPORT_TAIL	(3u << 20)
#define IMPORT_NAMES	64u

enum import_how {
	IMPORT_REPLACES	= 1u << 0,
	IMPORT_BAD_SUMS	= 1u << 1,
	IMPORT_BAD_LENGTHS = 1u << 2,
	IMPORT_SLOWLY	= 1u << 3,
	IMPORT_ORDERED	= 1u << 4,
	IMPORT_STOPS	= 1u << 5,
	IMPORT_FAILS	= 1u << 6,
	IMPORT_ENDLESS	= 1u << 7,
};

static struct hmem_ctx *import_ctx;
static struct hmem_region *import_region;
static struct media import_media;
static char import_path[64];
/* Not ordered, and ordered; each with an object that streams may have as well. */
static unsigned char import_images[2][IMPORT_REGION];

/*
 * @tail: bytes read behind its end; @told: of how many objects; @names, @lengths: of those that
 * are on the shelf
 */
static struct {
	unsigned char data[IMPORT_MAX];
	size_t bytes;
	size_t read;
	size_t tail;
	unsigned int how;
	uint64_t told;
	uint64_t failed;
	unsigned int nr;
	char names[IMPORT_NAMES][SHELF_NAME_MAX + 1];
	size_t lengths[IMPORT_NAMES];
} import_in;

static void import_make(unsigned char *image, unsigned int flags)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf;
	int err;

	memset(import_media.file, 0, IMPORT_REGION);
	options.flags = flags;
	options.bytes = 2 << 20;
	options.max_bytes = 4 << 20;
	options.slots = 3;
	err = hmem_shelf_create(import_region, "shelf", &options, &shelf);
	if (!err)
		err = hmem_shelf_put(shelf, "a", "was here", 8, NULL);
	if (!err)
		err = hmem_shelf_close(shelf);
	if (err)
		tap_bail("making a shelf: %d, %s", err, hmem_last_error(import_ctx));
	memcpy(image, import_media.file, IMPORT_REGION);
}

static void import_begin(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	char name[80];
	int err;

	snprintf(import_path, sizeof(import_path), "%s/hmem-import-lies-%d",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid());
	snprintf(name, sizeof(name), "file:%s", import_path);
	options.bytes = IMPORT_REGION;
	err = hmem_ctx_new(&import_ctx);
	if (!err)
		err = hmem_region_create(import_ctx, name, &options, &import_region);
	if (err)
		tap_bail("making %s: %d", name, err);
	hmem_ctx_set_log_level(import_ctx, HMEM_LOG_ERR);
	media_map(&import_media, import_path);
	import_make(import_images[1], HMEM_SHELF_ORDERED);
	import_make(import_images[0], 0);
}

static void import_end(void)
{
	media_unmap(&import_media);
	hmem_region_close(import_region);
	hmem_ctx_unref(import_ctx);
	unlink(import_path);
}

/* --- checksums that hold ---------------------------------------------------------------- */

/* A part of the input, if all of it is there. */
static unsigned char *import_part(size_t *at, size_t bytes)
{
	unsigned char *part = import_in.data + *at;

	if (bytes > import_in.bytes - *at)
		return NULL;
	*at += bytes;
	return part;
}

/* With one of its own words, which counts as zero. */
static void import_fix(unsigned char *part, size_t bytes, size_t word)
{
	uint32_t crc;

	memset(part + word, 0, sizeof(crc));
	crc = crc_more(~0u, part, bytes);
	memcpy(part + word, &crc, sizeof(crc));
}

static void import_fix_value(size_t *at, uint64_t number, uint64_t bytes)
{
	unsigned char *part;

	for (uint64_t offset = 0; offset < bytes;) {
		struct stream_place place = { number, offset };
		size_t here = bytes - offset < STREAM_PIECE ? bytes - offset : STREAM_PIECE;
		uint32_t crc = crc_more(~0u, &place, sizeof(place));

		part = import_part(at, here + sizeof(crc));
		if (!part)
			return;
		crc = crc_more(crc, part, here);
		memcpy(part + here, &crc, sizeof(crc));
		offset += here;
	}
	part = import_part(at, sizeof(struct stream_trailer));
	if (part)
		import_fix(part, sizeof(struct stream_trailer), offsetof(struct stream_trailer, crc));
}

/* Where the directory ends, or 0; and what all of its entries come to. */
static size_t import_walk(const struct stream_header *header, uint64_t *directory, uint64_t *values)
{
	size_t at = sizeof(*header);

	*directory = 0;
	*values = 0;
	for (uint64_t i = 0; i < header->objects; i++) {
		struct stream_entry entry;
		unsigned char *part = import_part(&at, sizeof(entry));

		if (!part)
			return 0;
		memcpy(&entry, part, sizeof(entry));
		if (!import_part(&at, (size_t)entry.name_bytes + entry.type_bytes))
			return 0;
		*directory += sizeof(entry) + entry.name_bytes + entry.type_bytes;
		*values += entry.value_bytes;
	}
	return at;
}

static void import_fix_all(void)
{
	struct stream_header header;
	uint64_t directory, values;
	size_t at, entries = sizeof(header);
	uint32_t crc;

	if (import_in.bytes < sizeof(header))
		return;
	memcpy(&header, import_in.data, sizeof(header));
	at = import_walk(&header, &directory, &values);
	if (at && !(import_in.how & IMPORT_BAD_LENGTHS)) {
		header.directory_bytes = directory;
		header.value_bytes = values;
	}
	memcpy(import_in.data, &header, sizeof(header));
	import_fix(import_in.data, sizeof(header), offsetof(struct stream_header, crc));
	if (!at || sizeof(crc) > import_in.bytes - at)
		return;
	crc = crc_more(~0u, import_in.data, at);
	memcpy(import_in.data + at, &crc, sizeof(crc));
	at += sizeof(crc);
	for (uint64_t i = 0; i < header.objects; i++) {
		struct stream_entry entry;

		memcpy(&entry, import_in.data + entries, sizeof(entry));
		entries += sizeof(entry) + entry.name_bytes + entry.type_bytes;
		import_fix_value(&at, i, entry.value_bytes);
	}
	if (sizeof(struct stream_end) <= import_in.bytes - at)
		import_fix(import_in.data + at, sizeof(struct stream_end),
			   offsetof(struct stream_end, crc));
}

/* --- and what comes of it ------------------------------------------------------------- */

static long import_read(void *arg, void *data, size_t bytes)
{
	size_t left = import_in.bytes - import_in.read, tail = 0;

	(void)arg;
	if (import_in.how & IMPORT_SLOWLY && bytes > 7)
		bytes = 1 + import_in.read % 7;
	if (!left && import_in.how & IMPORT_FAILS)
		return -EIO;
	if (!left && import_in.how & IMPORT_ENDLESS && import_in.tail < IMPORT_TAIL) {
		tail = bytes;
		memset(data, 0, tail);
		import_in.tail += tail;
	}
	if (left > bytes)
		left = bytes;
	if (left)
		memcpy(data, import_in.data + import_in.read, left);
	import_in.read += left;
	return (long)(left + tail);
}

static int import_told(void *arg, const struct hmem_imported *imported)
{
	unsigned int i;

	(void)arg;
	import_in.told++;
	import_in.failed += imported->error != 0;
	if (imported->error > 0 || (imported->error && imported->fuzzy))
		tap_bail("object %s: %d, %d", imported->name, imported->error, imported->fuzzy);
	for (i = 0; i < import_in.nr && strcmp(import_in.names[i], imported->name) != 0; i++)
		;
	if (!imported->error && i < IMPORT_NAMES) {
		snprintf(import_in.names[i], sizeof(import_in.names[i]), "%s", imported->name);
		import_in.lengths[i] = imported->bytes;
		import_in.nr += i == import_in.nr;
	}
	return import_in.how & IMPORT_STOPS && import_in.told == 2 ? 7 : 0;
}

static void import_look(struct hmem_shelf *shelf, int err, uint64_t objects,
			const struct hmem_export_result *result)
{
	size_t length;

	if (err != 7 && import_in.told != objects)
		tap_bail("%llu objects, told of %llu: %d", (unsigned long long)objects,
			 (unsigned long long)import_in.told, err);
	if (result->failed != import_in.failed ||
	    result->objects != import_in.told - import_in.failed || result->fuzzy > result->objects)
		tap_bail("%llu objects and %llu that failed, told of %llu and %llu",
			 (unsigned long long)result->objects, (unsigned long long)result->failed,
			 (unsigned long long)import_in.told, (unsigned long long)import_in.failed);
	if (!err && import_in.failed)
		tap_bail("%llu failed, but it did not", (unsigned long long)import_in.failed);
	for (unsigned int i = 0; i < import_in.nr; i++) {
		int found = hmem_shelf_read(shelf, import_in.names[i], NULL, 0, &length);

		if ((found && found != -ERANGE) || length != import_in.lengths[i])
			tap_bail("%s is on the shelf, they say: %d, %zu bytes", import_in.names[i],
				 found, length);
	}
	if (hmem_shelf_check(shelf, NULL, NULL))
		tap_bail("check: %s", hmem_last_error(import_ctx));
}

static void import_to(struct hmem_shelf *shelf)
{
	struct hmem_export_result result = { .size = sizeof(result) };
	struct hmem_import_info info = { .size = sizeof(info) };
	struct hmem_import *import;
	int err = hmem_import_open(import_ctx, import_read, NULL, &import);

	if (err)
		return;
	err = hmem_import_get_info(import, &info);
	if (err || memchr(info.name, '\0', sizeof(info.name)) == NULL)
		tap_bail("what a stream says of itself: %d", err);
	err = hmem_import_run(import, shelf,
			      import_in.how & IMPORT_REPLACES ? HMEM_IMPORT_REPLACE : 0, import_told,
			      NULL, &result);
	import_look(shelf, err, info.objects, &result);
	hmem_import_close(import);
}

static void import_try(const uint8_t *data, size_t bytes)
{
	struct hmem_shelf *shelf;

	import_in.how = bytes ? data[0] : 0;
	import_in.bytes = bytes < 1 ? 0 : bytes - 1 < IMPORT_MAX ? bytes - 1 : IMPORT_MAX;
	if (import_in.bytes)
		memcpy(import_in.data, data + 1, import_in.bytes);
	import_in.read = import_in.tail = 0;
	import_in.told = import_in.failed = 0;
	import_in.nr = 0;
	if (!(import_in.how & IMPORT_BAD_SUMS))
		import_fix_all();
	memcpy(import_media.file, import_images[!!(import_in.how & IMPORT_ORDERED)], IMPORT_REGION);
	/* A hang is a signal. */
	alarm(20);
	if (hmem_shelf_open(import_region, "shelf", NULL, &shelf))
		tap_bail("opening: %s", hmem_last_error(import_ctx));
	import_to(shelf);
	if (hmem_shelf_close(shelf))
		tap_bail("closing: %s", hmem_last_error(import_ctx));
	alarm(0);
}

#endif
