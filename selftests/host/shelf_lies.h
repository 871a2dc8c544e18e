/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small shelf in a file, changed as some bytes say, under checksums that are made to hold
 * again; then everything is done to it, while more of it is changed as another process
 * could that has it open. Nothing but errors may come of it: no access outside of the
 * mappings, no hang. Shared by a test that throws dice and by the fuzzer.
 */
#ifndef SELFTESTS_SHELF_LIES_H
#define SELFTESTS_SHELF_LIES_H

#include <hmem/hmem.h>

#include "sanitized.h"
#include "shelf_crc.h"

#define LIES_REGION	(512u << 10)
#define LIES_OBJECTS	40u

static struct hmem_ctx *lies_ctx;
static struct hmem_region *lies_region;
static struct media lies_media;
static char lies_path[64];

/* One shelf is not ordered, the other is; and which of them it is about. */
static struct lies_original {
	unsigned char image[LIES_REGION];
	uint64_t records[LIES_OBJECTS];
	uint64_t segments[4];
} lies_originals[2];
static struct lies_original *lies_from;

static void lies_name(char name[16], unsigned int i)
{
	snprintf(name, 16, "name-%u", i);
}

static void lies_make(struct lies_original *original, unsigned int flags)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	char name[16], value[300] = "";
	struct hmem_shelf *shelf;
	int err;

	memset(lies_media.file, 0, LIES_REGION);
	options.flags = flags;
	options.bytes = 128 << 10;
	options.max_bytes = 1 << 20;
	options.slots = 3;
	err = hmem_shelf_create(lies_region, "shelf", &options, &shelf);
	for (unsigned int i = 0; i < LIES_OBJECTS && !err; i++) {
		lies_name(name, i);
		err = hmem_shelf_put(shelf, name, value, i * 7, NULL);
	}
	if (!err)
		err = hmem_shelf_close(shelf);
	if (err)
		tap_bail("making a shelf: %d, %s", err, hmem_last_error(lies_ctx));
	for (unsigned int i = 0; i < LIES_OBJECTS; i++) {
		lies_name(name, i);
		original->records[i] = media_find(&lies_media, name);
	}
	memcpy(original->segments, media_super(&lies_media)->summary.segments,
	       sizeof(original->segments));
	memcpy(original->image, lies_media.file, LIES_REGION);
}

static void lies_begin(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	char name[80];
	int err;

	snprintf(lies_path, sizeof(lies_path), "%s/hmem-shelf-lies-%d",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid());
	snprintf(name, sizeof(name), "file:%s", lies_path);
	options.bytes = LIES_REGION;
	err = hmem_ctx_new(&lies_ctx);
	if (!err)
		err = hmem_region_create(lies_ctx, name, &options, &lies_region);
	if (err)
		tap_bail("making %s: %d", name, err);
	hmem_ctx_set_log_level(lies_ctx, HMEM_LOG_ERR);
	media_map(&lies_media, lies_path);
	lies_make(&lies_originals[1], HMEM_SHELF_ORDERED);
	lies_make(&lies_originals[0], 0);
	lies_from = &lies_originals[0];
}

static void lies_end(void)
{
	media_unmap(&lies_media);
	hmem_region_close(lies_region);
	hmem_ctx_unref(lies_ctx);
	unlink(lies_path);
}

/* --- lying --------------------------------------------------------------------------- */

struct lie {
	uint8_t what;
	uint8_t which;
	uint8_t field;
	uint8_t how;
	uint32_t value;
};

/* A number near one at which something changes. */
static uint64_t lies_value(const struct lie *lie, uint64_t was)
{
	const uint64_t edges[] = {
		0, lie->value, was + 1, was - 1, was ^ 1ull << lie->value % 64, was << 1,
		(uint64_t)-1 - lie->value % 64, 0x200000 + lie->value % (128u << 10),
		0x200000 + (128u << 10) - lie->value % 80, 0x200000 - lie->value % 80,
		lies_from->records[lie->value % LIES_OBJECTS], (0x200000ull + lie->value % 131072) >> 4,
		lies_from->records[lie->value % LIES_OBJECTS] >> 4, 1ull << lie->value % 64,
		lies_from->segments[0],
		lies_from->segments[lie->value % 4] >> 4,
	};

	return edges[lie->how % (sizeof(edges) / sizeof(edges[0]))];
}

static void lie_record(const struct lie *lie)
{
	static const uint8_t states[] = { RECORD_PENDING, RECORD_BORN, RECORD_SEALED, RECORD_TOMB,
					  RECORD_MEMBER, RECORD_BODY };
	uint64_t at = lies_from->records[lie->which % LIES_OBJECTS];
	struct record *r = media_at(&lies_media, at);

	if (lie->field % 9 == 8) {
		/* Another record of it, anywhere. */
		uint64_t to = 0x200000 + (lie->value % (127u << 10) & ~15u);

		memmove(media_at(&lies_media, to), r, sizeof(*r) + 16);
		at = to;
		r = media_at(&lies_media, to);
	}
	switch (lie->field % 8) {
	case 0:
		r->state = states[lie->value % sizeof(states)];
		break;
	case 1:
		r->kind = lie->value % 8;
		break;
	case 2:
		r->name_bytes = lies_value(lie, r->name_bytes) & SHELF_NAME_MAX;
		break;
	case 3:
		r->seq = lies_value(lie, r->seq) & ((1ull << 56) - 1);
		break;
	case 4:
		r->align_shift = (uint8_t)(lie->value % 30);
		break;
	case 5:
		r->value_bytes = lies_value(lie, r->value_bytes) & ((1ull << 44) - 1);
		break;
	case 6:
		r->typed = lie->value & 1;
		break;
	case 7:
		r->link = lies_value(lie, r->link);
		break;
	}
	record_fix(&lies_media, at);
}

static void lie_super(const struct lie *lie)
{
	for (unsigned int i = 0; i < SUPER_COPIES; i++) {
		struct shelf_super *super = media_at(&lies_media, i * SUPER_COPY_BYTES);
		uint64_t *words = (uint64_t *)&super->summary;

		if (lie->field & 1)
			super->clean = lie->value & 1;
		else
			words[lie->which % (sizeof(super->summary) / 8)] = lies_value(
				lie, words[lie->which % (sizeof(super->summary) / 8)]);
		super_fix(super);
	}
}

static void lie_bucket(const struct lie *lie)
{
	uint64_t at = lies_from->segments[0] + lie->which % INDEX_FIRST_BUCKETS * sizeof(struct bucket);
	uint64_t *word;

	word = (uint64_t *)media_at(&lies_media, at) + lie->field % 8;
	*word = (lie->field % 8 ? *word & 0xffffffull << 40 : 0) |
		(lies_value(lie, *word) & ((1ull << 40) - 1));
	bucket_fix(&lies_media, at);
}

static void lie_chunk(const struct lie *lie)
{
	struct chunk *chunk = media_chunk(&lies_media, lie->which % 2);

	switch (lie->field % 5) {
	case 0:
		chunk->free = (uint16_t)lies_value(lie, chunk->free);
		break;
	case 1:
		chunk->hint = (uint16_t)lies_value(lie, chunk->hint);
		break;
	case 2:
		chunk->lock = (uint32_t)lies_value(lie, chunk->lock);
		break;
	default:
		chunk->used[lie->value % 64] = lies_value(lie, chunk->used[lie->value % 64]);
		break;
	}
	chunk_fix(&lies_media, lie->which % 2);
}

static void lie_table(const struct lie *lie)
{
	for (unsigned int i = 0; i < RACK_COPIES; i++) {
		unsigned char *copy = lies_media.file + i * RACK_COPY_BYTES;
		uint32_t *words = (uint32_t *)copy;

		words[4 + lie->which % 46] = (uint32_t)lies_value(lie, words[4 + lie->which % 46]);
		rack_fix(copy);
	}
}

static void lies_tell(const uint8_t *data, size_t bytes)
{
	struct lie lie;

	/* Of which shelf is said by a bit for which there is no other use. */
	lies_from = &lies_originals[bytes > 1 && data[1] & 0x80];
	memcpy(lies_media.file, lies_from->image, LIES_REGION);
	/* The table and what may hit it last: without it nothing is found here either. */
	for (int table = 0; table < 2; table++)
		for (size_t i = 0; i + sizeof(lie) <= bytes && i < 8 * sizeof(lie); i += sizeof(lie)) {
			memcpy(&lie, data + i, sizeof(lie));
			if ((lie.what % 16 <= 1) != table)
				continue;
			switch (lie.what % 16) {
			case 0:
				lie_table(&lie);
				break;
			case 1:
				lies_media.file[lie.value % LIES_REGION] ^= lie.how;
				break;
			case 10:
				if (lie.which & 1)
					ceiling_fix(&lies_media, lies_value(&lie, 2) & CEILING_MAX);
				else
					frontier_fix(&lies_media,
						     lies_value(&lie, 2) & ((1ull << 40) - 1));
				break;
			case 2: case 3: case 4:
				lie_super(&lie);
				break;
			case 5: case 6: case 7:
				lie_bucket(&lie);
				break;
			case 8: case 9:
				lie_chunk(&lie);
				break;
			case 14: case 15:
				break; /* later, see lies_meanwhile() */
			default:
				lie_record(&lie);
				break;
			}
		}
}

/* Any of the words in [@at, @at + @bytes), if that is inside the heap or the metadata. */
static void lie_word(const struct lie *lie, uint64_t at, size_t bytes)
{
	uint64_t *word;

	if (at % 8 || at >= 0x200000 + (128 << 10) - bytes ||
	    (at < 0x200000 && at >= SHELF_SLOTS_OFFSET + 3 * SLOT_BYTES + 2 * sizeof(struct chunk)))
		return;
	word = (uint64_t *)media_at(&lies_media, at) + (lie->which + lie->value / 64) % (bytes / 8);
	*word = lies_value(lie, *word);
}

/* What has no checksum while a shelf is in use, changed by somebody who has it open. */
static void lie_meanwhile(const struct lie *lie)
{
	const struct runtime *rt = media_runtime(&lies_media);
	uint64_t node = rt->ordered_head;

	switch (lie->field % 8) {
	case 0: case 1:
		lie_word(lie, SHELF_RUNTIME_OFFSET, sizeof(struct runtime));
		break;
	case 2: case 3:
		/* A writer believes what it has just written: those that are yet to be used. */
		if (media_slot(&lies_media, lie->field / 8 % 3)->used)
			break;
		if (lie->value & 1)
			media_slot(&lies_media, lie->field / 8 % 3)->used = 1;
		lie_word(lie, SHELF_SLOTS_OFFSET + lie->field / 8 % 3 * SLOT_BYTES,
			 offsetof(struct slot, pins));
		break;
	case 4:
		lie_word(lie, lies_from->segments[0], 16 * sizeof(struct bucket));
		break;
	case 5:
		lie_word(lie, lies_from->records[lie->field % LIES_OBJECTS], sizeof(struct record));
		break;
	case 6:
		lie_word(lie, SHELF_SLOTS_OFFSET + 3 * SLOT_BYTES, 2 * sizeof(struct chunk));
		break;
	case 7:
		for (unsigned int i = lie->field / 8; i && node >= 0x200000 &&
				      node < 0x200000 + (127 << 10) && !(node & 7); i--)
			node = (((struct ordered_node *)media_at(&lies_media, node))->next[0] &
				NODE_LINK) << SHELF_GRANULE_SHIFT;
		if (node >= 0x200000)
			lie_word(lie, node, sizeof(struct ordered_node) + 16);
		break;
	}
}

static void lies_meanwhile(const uint8_t *data, size_t bytes)
{
	struct lie lie;

	/* Where things are is known as long as the table does not lie. */
	for (size_t i = 0; i + sizeof(lie) <= bytes && i < 8 * sizeof(lie); i += sizeof(lie))
		if (data[i] % 16 <= 1)
			return;
	for (size_t i = 0; i + sizeof(lie) <= bytes && i < 8 * sizeof(lie); i += sizeof(lie)) {
		memcpy(&lie, data + i, sizeof(lie));
		if (lie.what % 16 >= 14)
			lie_meanwhile(&lie);
	}
}

/* --- and what comes of it ------------------------------------------------------------- */

static void lies_list(struct hmem_shelf *shelf)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	struct hmem_cursor *cursor;

	if (hmem_cursor_open(shelf, NULL, 0, &cursor))
		return;
	for (unsigned int i = 0; i < 2 * LIES_OBJECTS && hmem_cursor_next(cursor, &entry) > 0; i++)
		;
	if (!hmem_cursor_seek(cursor, "name-2"))
		hmem_cursor_next(cursor, &entry);
	hmem_cursor_close(cursor);
}

static void lies_use(const uint8_t *data, size_t length, unsigned int flags)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf;
	struct hmem_object object;
	char name[16], value[4096] = "";
	size_t bytes;

	options.flags = flags;
	/* Locks of nobody are waited for at each call. */
	options.wait_ms = 1;
	if (hmem_shelf_open(lies_region, "shelf", &options, &shelf))
		return;
	lies_meanwhile(data, length);
	for (unsigned int i = 0; i < LIES_OBJECTS; i++) {
		lies_name(name, i);
		hmem_shelf_read(shelf, name, value, sizeof(value), &bytes);
		if (!hmem_shelf_get(shelf, name, &object))
			hmem_shelf_release(shelf, &object);
	}
	lies_list(shelf);
	for (unsigned int i = 0; i < LIES_OBJECTS; i += 2) {
		lies_name(name, i + 1);
		hmem_shelf_delete(shelf, name);
		lies_name(name, i);
		hmem_shelf_put(shelf, name, value, i * 5, NULL);
		if (i == LIES_OBJECTS / 2)
			lies_meanwhile(data, length);
	}
	hmem_shelf_put(shelf, "large", value, sizeof(value), NULL);
	lies_list(shelf);
	hmem_shelf_check(shelf, NULL, NULL);
	hmem_shelf_close(shelf);
}

static void lies_try(const uint8_t *data, size_t bytes)
{
	lies_tell(data, bytes);
	/* A hang is a signal. To follow a chain as long as can be takes a while, each time. */
	alarm(SANITIZED(20, 60, 200));
	lies_use(data, bytes, HMEM_SHELF_READ_ONLY);
	lies_use(data, bytes, 0);
	lies_use(data, bytes, HMEM_SHELF_REPAIR);
	alarm(0);
}

#endif
