// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Cursors: listing objects while others change them.
 *
 * A cursor collects names in advance and asks the index for each when its turn comes. What
 * it keeps from one call to the next is its own memory only.
 *
 * An ordered shelf's names are collected from its list, a few at first and then more.
 *
 * Without an order, names come by the bits of their hashes, read backwards: those of
 * one bucket are one interval then, and a split makes two intervals of one. So the
 * place where a cursor stands is the beginning of an interval for good, and
 * collecting whole intervals one after another passes every name once. Of the bucket
 * that is collected it counts that nothing in it was moved meanwhile; else it is
 * collected again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "shelf_ordered.h"
#include "shelf_record.h"
#include "shelf_sigbus.h"
#include "shelf_type.h"
#include "sized.h"

#define ENTRY_SIZE_V1 sizeof(struct hmem_entry)

/* Names of an ordered shelf that are collected at once. */
#define FIRST_BATCH 4
#define LARGEST_BATCH 64

/* Overflow buckets that a bucket may have; one with as many leads into itself. */
#define CHAIN_MAX (1u << 16)

/* Looks at a record that does not belong where the index has it. */
#define LOOKS 100

/*
 * @prefix: what names have to begin with
 * @from: ordered: where the next batch begins; @after: behind that
 * @position: not ordered: beginning of the next interval
 * @batch: names, each behind its length, in two bytes; @read: where the next one is
 * @last: the last name that was told, with a final NUL; @type: its descriptor
 */
struct hmem_cursor {
	struct hmem_shelf *shelf;
	size_t prefix_bytes;
	size_t from_bytes;
	bool after;
	bool ended;
	uint64_t position;
	unsigned int batch_names;
	unsigned int batch_room;
	unsigned char *batch;
	size_t batch_bytes;
	size_t read;
	size_t room;
	char prefix[SHELF_NAME_MAX + 1];
	char from[SHELF_NAME_MAX + 1];
	char last[SHELF_NAME_MAX + 1];
	unsigned char type[SHELF_TYPE_MAX];
};

/* --- batches ------------------------------------------------------------------------- */

static void batch_clear(struct hmem_cursor *cursor)
{
	cursor->batch_bytes = 0;
	cursor->batch_names = 0;
	cursor->read = 0;
}

/* Room for one more name. */
static int batch_grow(struct hmem_cursor *cursor)
{
	unsigned char *more;
	size_t room;

	if (cursor->room - cursor->batch_bytes >= sizeof(uint16_t) + SHELF_NAME_MAX)
		return 0;
	room = cursor->room ? 2 * cursor->room : 8192;
	more = realloc(cursor->batch, room);
	if (!more)
		return shelf_fail(cursor->shelf, -ENOMEM, "shelf %s: no memory to list it",
				  cursor->shelf->name);
	cursor->batch = more;
	cursor->room = room;
	return 0;
}

/* Byte by byte, and volatile, so that no compiler makes a memcpy() of it. */
SHELF_RACY static void copy_racy(unsigned char *to, const unsigned char *from, size_t bytes)
{
	const volatile unsigned char *racy = from;

	for (size_t i = 0; i < bytes; i++)
		to[i] = racy[i];
}

/* Copy a name to the end of the batch, where it is not counted yet. */
static int batch_copy(struct hmem_cursor *cursor, const unsigned char *name, size_t bytes,
		      unsigned char **copy)
{
	uint16_t length = (uint16_t)bytes;
	int err = batch_grow(cursor);

	if (err)
		return err;
	*copy = cursor->batch + cursor->batch_bytes + sizeof(length);
	memcpy(cursor->batch + cursor->batch_bytes, &length, sizeof(length));
	copy_racy(*copy, name, bytes);
	return 0;
}

static void batch_count(struct hmem_cursor *cursor, size_t bytes)
{
	cursor->batch_bytes += sizeof(uint16_t) + bytes;
	cursor->batch_names++;
}

static const char *batch_name(const struct hmem_cursor *cursor, size_t at, size_t *bytes)
{
	uint16_t length;

	memcpy(&length, cursor->batch + at, sizeof(length));
	*bytes = length;
	return (const char *)cursor->batch + at + sizeof(length);
}

static bool has_prefix(const struct hmem_cursor *cursor, const unsigned char *name, size_t bytes)
{
	return bytes >= cursor->prefix_bytes && !memcmp(name, cursor->prefix, cursor->prefix_bytes);
}

/* --- ordered ------------------------------------------------------------------------- */

/* 1: that is enough. */
static int add_ordered(void *arg, const unsigned char *name, size_t bytes)
{
	struct hmem_cursor *cursor = arg;
	unsigned char *copy;
	int err = batch_copy(cursor, name, bytes, &copy);

	if (err)
		return err;
	if (!has_prefix(cursor, copy, bytes)) {
		cursor->ended = true;
		return 1;
	}
	batch_count(cursor, bytes);
	return cursor->batch_names >= cursor->batch_room;
}

static bool is_behind(const char *name, size_t bytes, const char *other, size_t other_bytes)
{
	int order = memcmp(name, other, bytes < other_bytes ? bytes : other_bytes);

	return order > 0 || (!order && bytes > other_bytes);
}

static int collect_ordered(struct hmem_cursor *cursor)
{
	const char *name = cursor->from;
	size_t bytes = 0;
	int err;

	do {
		batch_clear(cursor);
		cursor->ended = false;
		err = ordered_list(cursor->shelf, cursor->from, cursor->from_bytes, cursor->after,
				   add_ordered, cursor);
	} while (err == -EAGAIN);
	if (err)
		return err;
	if (cursor->batch_names < cursor->batch_room)
		cursor->ended = true;
	else if (cursor->batch_room < LARGEST_BATCH)
		cursor->batch_room *= 2;
	for (size_t at = 0; at < cursor->batch_bytes; at += sizeof(uint16_t) + bytes)
		name = batch_name(cursor, at, &bytes);
	if (cursor->batch_names) {
		/* Not where we are already, as from a damaged node: it would never end. */
		if (cursor->after && !is_behind(name, bytes, cursor->from, cursor->from_bytes))
			return shelf_damaged(cursor->shelf);
		memcpy(cursor->from, name, bytes);
		cursor->from_bytes = bytes;
		cursor->after = true;
	}
	return 0;
}

/* --- without an order ---------------------------------------------------------------- */

static uint64_t reverse(uint64_t word)
{
	word = (word >> 1 & 0x5555555555555555ull) | (word & 0x5555555555555555ull) << 1;
	word = (word >> 2 & 0x3333333333333333ull) | (word & 0x3333333333333333ull) << 2;
	word = (word >> 4 & 0x0f0f0f0f0f0f0f0full) | (word & 0x0f0f0f0f0f0f0f0full) << 4;
	return __builtin_bswap64(word);
}

static bool batch_has(const struct hmem_cursor *cursor, const unsigned char *name, size_t bytes)
{
	size_t length;

	for (size_t at = 0; at < cursor->batch_bytes; at += sizeof(uint16_t) + length) {
		const char *other = batch_name(cursor, at, &length);

		if (length == bytes && !memcmp(other, name, bytes))
			return true;
	}
	return false;
}

/*
 * Copy the name behind an entry to the end of the batch. 1: it is there, and the entry
 * leads to it; 0: the entry is none any more; -EAGAIN: it has changed.
 */
SHELF_RACY static int copy_name(struct hmem_cursor *cursor, const uint64_t *entry,
				unsigned char **name, size_t *bytes)
{
	struct hmem_shelf *shelf = cursor->shelf;
	uint64_t now = LOAD(entry), at = entry_offset(now);
	const struct record *r;
	struct record header;
	int err;

	if (!now)
		return 0;
	if (!shelf_reach(shelf, at))
		return LOAD(entry) == now ? -EUCLEAN : -EAGAIN;
	r = shelf_at(shelf, at);
	copy_racy((unsigned char *)&header, (const unsigned char *)r, sizeof(header));
	if (!record_fits(shelf, at, &header))
		return LOAD(entry) == now ? -EUCLEAN : -EAGAIN;
	*bytes = header.name_bytes;
	err = batch_copy(cursor,
			 shelf_at(shelf, record_value_offset(at, header.align_shift) +
						 header.value_bytes),
			 *bytes, name);
	if (err)
		return err;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return LOAD(entry) == now ? 1 : -EAGAIN;
}

static int add_entry(struct hmem_cursor *cursor, const uint64_t *entry, uint64_t number)
{
	unsigned char *name = NULL;
	size_t bytes = 0;

	for (unsigned int looks = 0; looks < LOOKS;) {
		int got = copy_name(cursor, entry, &name, &bytes);
		uint64_t hash, owner = ~0ull;

		if (got == -EAGAIN)
			continue;
		if (got == -EUCLEAN) {
			/* Its memory may be another's by now, and the entry as it was again. */
			looks++;
			continue;
		}
		if (got <= 0)
			return got;
		hash = name_hash(cursor->shelf, (const char *)name, bytes);
		index_bucket(cursor->shelf, hash, &owner);
		/* The same, or a split has copied it and not yet cleared it here. */
		if ((entry_tag(hash) ^ LOAD(entry)) >> ENTRY_OFFSET_BITS) {
			looks++;
			continue;
		}
		/* A descriptor is no object. */
		if (bytes && !*name)
			return 0;
		if (owner == number && has_prefix(cursor, name, bytes) &&
		    !batch_has(cursor, name, bytes))
			batch_count(cursor, bytes);
		return 0;
	}
	/* What the index cannot find by its name either. */
	return 0;
}

/* -EAGAIN: something was moved. */
static int collect_bucket(struct hmem_cursor *cursor)
{
	struct hmem_shelf *shelf = cursor->shelf;
	const struct runtime *runtime = LOAD(&shelf->runtime);
	uint64_t moves = LOAD(&runtime->moves), nr = LOAD(&runtime->nr_buckets);
	uint64_t number = 0, step;
	struct bucket *bucket = index_bucket(shelf, reverse(cursor->position), &number);
	int err = bucket ? 0 : -EUCLEAN;

	for (unsigned int links = 0; bucket && !err; bucket = index_next(shelf, bucket)) {
		if (links++ > CHAIN_MAX)
			err = -EUCLEAN;
		for (unsigned int i = 0; i < BUCKET_ENTRIES && !err; i++)
			err = add_entry(cursor, &bucket->entry[i], number);
	}
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (shelf_follows_since(shelf, runtime) || LOAD(&runtime->nr_buckets) != nr ||
	    LOAD(&runtime->moves) != moves)
		return err == -ENOMEM ? err : -EAGAIN;
	if (err == -EUCLEAN)
		return shelf_damaged(shelf);
	if (err)
		return err;
	step = 1ull << (64 - index_bits(number, nr));
	cursor->position += step;
	cursor->ended = !cursor->position;
	return 0;
}

static int collect_buckets(struct hmem_cursor *cursor)
{
	int err;

	do {
		batch_clear(cursor);
		RACY_READS_BEGIN();
		err = collect_bucket(cursor);
		RACY_READS_END();
	} while (err == -EAGAIN || (!err && !cursor->batch_names && !cursor->ended));
	return err;
}

/* --- calls --------------------------------------------------------------------------- */

static int check_cursor(const struct hmem_cursor *cursor)
{
	if (!cursor)
		return -EINVAL;
	if (!shelf_is_mine(cursor->shelf))
		return shelf_fail(cursor->shelf, -ECHILD, "shelf %s: opened by the parent",
				  cursor->shelf->name);
	return 0;
}

static int copy_text(struct hmem_shelf *shelf, const char *text, char *to, size_t *bytes)
{
	*bytes = text ? strnlen(text, SHELF_NAME_MAX + 1) : 0;
	if (*bytes > SHELF_NAME_MAX)
		return shelf_fail(shelf, -ENAMETOOLONG,
				  "shelf %s: names of objects have at most %u bytes", shelf->name,
				  SHELF_NAME_MAX);
	memcpy(to, text ? text : "", *bytes);
	return 0;
}

/* From @from on, which is not before the first name with the prefix. */
static void rewind_to(struct hmem_cursor *cursor, const char *from, size_t bytes)
{
	memmove(cursor->from, from, bytes);
	cursor->from_bytes = bytes;
	cursor->after = false;
	cursor->ended = false;
	cursor->position = 0;
	cursor->batch_room = FIRST_BATCH;
	batch_clear(cursor);
}

int hmem_cursor_open(struct hmem_shelf *shelf, const char *prefix, unsigned int flags,
		     struct hmem_cursor **out)
{
	struct hmem_cursor *cursor;
	int err;

	if (!shelf)
		return -EINVAL;
	if (!out)
		return shelf_fail(shelf, -EINVAL, "listing shelf %s: no place for the cursor",
				  shelf->name);
	if (flags)
		return shelf_fail(shelf, -EINVAL, "listing shelf %s: unknown flags %#x", shelf->name,
				  flags);
	cursor = malloc(sizeof(*cursor));
	if (!cursor)
		return shelf_fail(shelf, -ENOMEM, "shelf %s: no memory for a cursor", shelf->name);
	cursor->shelf = shelf;
	cursor->batch = NULL;
	cursor->room = 0;
	err = check_cursor(cursor);
	if (!err)
		err = copy_text(shelf, prefix, cursor->prefix, &cursor->prefix_bytes);
	if (err) {
		free(cursor);
		return err;
	}
	rewind_to(cursor, cursor->prefix, cursor->prefix_bytes);
	*out = cursor;
	return 0;
}

int hmem_cursor_seek(struct hmem_cursor *cursor, const char *name)
{
	char from[SHELF_NAME_MAX + 1];
	size_t bytes, common;
	int err = check_cursor(cursor), order;

	if (!err)
		err = copy_text(cursor->shelf, name, from, &bytes);
	if (err)
		return err;
	if (bytes && !shelf_is_ordered(cursor->shelf))
		return shelf_fail(cursor->shelf, -EOPNOTSUPP,
				  "shelf %s has no order in which %s has a place; ordered shelves are "
				  "created so",
				  cursor->shelf->name, name);
	common = bytes < cursor->prefix_bytes ? bytes : cursor->prefix_bytes;
	order = memcmp(from, cursor->prefix, common);
	if (order < 0 || (!order && bytes < cursor->prefix_bytes)) {
		rewind_to(cursor, cursor->prefix, cursor->prefix_bytes);
	} else {
		rewind_to(cursor, from, bytes);
		cursor->ended = order > 0;
	}
	return 0;
}

/* The descriptor of what may not be the record any more that its header says. Its length. */
static size_t copy_type(struct hmem_cursor *cursor, uint64_t at, const struct record *header)
{
	struct hmem_shelf *shelf = cursor->shelf;
	const void *type;
	size_t bytes = 0;

	if (!header->typed || !record_fits(shelf, at, header))
		return 0;
	RACY_READS_BEGIN();
	type_of(shelf, at, header, &type, &bytes);
	RACY_READS_END();
	if (bytes)
		copy_racy(cursor->type, type, bytes);
	return bytes;
}

/* Ask the index for a name. 1, or 0: it is gone. */
static int look_up(struct hmem_cursor *cursor, const char *name, size_t bytes,
		   struct hmem_entry *entry)
{
	struct hmem_shelf *shelf = cursor->shelf;

	for (;;) {
		struct record header, check;
		uint64_t at, again;
		size_t type_bytes;
		int found = object_find(shelf, name, bytes, NULL, &at);

		if (found < 0)
			return shelf_damaged(shelf);
		if (!found)
			return 0;
		copy_racy((unsigned char *)&header, shelf_at(shelf, at), sizeof(header));
		type_bytes = copy_type(cursor, at, &header);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		/* If it is the name's now and has not changed, it was the name's all the time. */
		if (object_find(shelf, name, bytes, NULL, &again) != 1 || again != at)
			continue;
		copy_racy((unsigned char *)&check, shelf_at(shelf, at), sizeof(check));
		if (check.seq != header.seq || check.value_bytes != header.value_bytes)
			continue;
		*entry = (struct hmem_entry){
			.size = sizeof(*entry),
			.bytes = header.value_bytes,
			.version = header.seq,
			.type = type_bytes ? cursor->type : NULL,
			.type_bytes = type_bytes,
		};
		return 1;
	}
}

static int do_cursor_next(struct hmem_cursor *cursor, struct hmem_entry *entry)
{
	struct hmem_entry ours;
	int err = check_cursor(cursor);

	if (err)
		return err;
	if (!entry)
		return shelf_fail(cursor->shelf, -EINVAL, "listing shelf %s: no place for an object",
				  cursor->shelf->name);
	err = hmem_sized_check(cursor->shelf->ctx, "struct hmem_entry", entry, ENTRY_SIZE_V1);
	if (err)
		return err;
	shelf_follow_writers(cursor->shelf);
	for (;;) {
		const char *name;
		size_t bytes;
		int got;

		if (cursor->read == cursor->batch_bytes) {
			if (cursor->ended)
				return 0;
			err = shelf_is_ordered(cursor->shelf) ? collect_ordered(cursor) :
								collect_buckets(cursor);
			if (err)
				return err;
			continue;
		}
		name = batch_name(cursor, cursor->read, &bytes);
		got = look_up(cursor, name, bytes, &ours);
		if (got < 0)
			return got;
		cursor->read += sizeof(uint16_t) + bytes;
		if (!got)
			continue;
		memcpy(cursor->last, name, bytes);
		cursor->last[bytes] = '\0';
		ours.name = cursor->last;
		ours.name_bytes = bytes;
		hmem_sized_write(entry, &ours, sizeof(ours));
		return 1;
	}
}

int hmem_cursor_next(struct hmem_cursor *cursor, struct hmem_entry *entry)
{
	return SIGBUS_GUARDED(cursor ? cursor->shelf : NULL, do_cursor_next(cursor, entry));
}

void hmem_cursor_close(struct hmem_cursor *cursor)
{
	if (!cursor)
		return;
	free(cursor->batch);
	free(cursor);
}
