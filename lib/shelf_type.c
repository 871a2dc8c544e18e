// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Type descriptors: bytes of the application's that objects share.
 *
 * A descriptor is a record of its own, which has a name as objects do: a NUL, which no name of
 * an object has, and the descriptor. So equal ones are one, found through the index, made under
 * the lock of their bucket, and recovered like objects. An object's record says where the
 * descriptor lies, and a part of its hash, so that what lies there later is not taken for it.
 *
 * One fence makes both durable, the descriptor and the first record that refers to it, although
 * it is in the index before that: nobody looks there for one but who is going to refer to it.
 * Its link says who made it, after how many fences. Whoever else refers to it while that
 * writer has made no other writes it back once more, under his own fence. A record that is found
 * without its descriptor was torn, and nobody had been told of it. A writer's new descriptors
 * stand in his slot until they are sealed, which he does under his fence after that one.
 *
 * No descriptor goes away while somebody has the shelf open: what leads to one is good
 * without a pin. Those that no object has any more are given up by recovery.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shelf.h"
#include "shelf_record.h"
#include "shelf_recover.h"
#include "shelf_type.h"
#include "shelf_update.h"

/* --- looking at them ----------------------------------------------------------------- */

/* Is there one at @at? */
static bool descriptor_at(const struct hmem_shelf *shelf, uint64_t at, const char **name,
			  size_t *name_bytes)
{
	struct record header;

	if (at & (SHELF_GRANULE - 1) || !shelf_reach(shelf, at))
		return false;
	header = record_load(shelf, at);
	if (header.kind != RECORD_TYPE || header.state == RECORD_FREE || header.name_bytes < 2 ||
	    header.name_bytes > 1 + SHELF_TYPE_MAX || !record_fits(shelf, at, &header))
		return false;
	*name = shelf_at(shelf, record_value_offset(at, header.align_shift) + header.value_bytes);
	*name_bytes = header.name_bytes;
	return !**name;
}

bool type_is_at(const struct hmem_shelf *shelf, uint64_t at)
{
	const char *name;
	size_t bytes;

	return descriptor_at(shelf, at, &name, &bytes);
}

bool type_look(const struct hmem_shelf *shelf, uint64_t reference, const void **type,
	       size_t *bytes)
{
	const char *name;

	if (!descriptor_at(shelf, entry_offset(reference), &name, bytes) ||
	    entry_make(name_hash(shelf, name, *bytes), entry_offset(reference)) != reference)
		return false;
	*type = name + 1;
	--*bytes;
	return true;
}

uint64_t type_reference(const struct hmem_shelf *shelf, uint64_t at, const struct record *header)
{
	uint64_t reference = 0;

	if (header->typed)
		memcpy(&reference,
		       shelf_at(shelf, record_value_offset(at, header->align_shift) +
					       header->value_bytes + header->name_bytes),
		       sizeof(reference));
	return reference;
}

bool type_of(const struct hmem_shelf *shelf, uint64_t at, const struct record *header,
	     const void **type, size_t *bytes)
{
	if (header->typed && type_look(shelf, type_reference(shelf, at, header), type, bytes))
		return true;
	*type = NULL;
	*bytes = 0;
	return !header->typed;
}

/* --- making them --------------------------------------------------------------------- */

static void write_back_at(struct writer *writer, uint64_t at)
{
	struct record header;

	if (!shelf_reach_block(writer->shelf, at))
		return;
	header = record_load(writer->shelf, at);
	if (record_fits(writer->shelf, at, &header))
		write_back(writer, shelf_at(writer->shelf, at), record_end(at, &header) - at);
}

void type_cover(struct writer *writer, uint64_t reference)
{
	struct hmem_shelf *shelf = writer->shelf;
	uint64_t at = entry_offset(reference), link;
	unsigned int maker;

	/* An object that is damaged refers to anything. */
	if (!type_is_at(shelf, at))
		return;
	link = LOAD(&((const struct record *)shelf_at(shelf, at))->link);
	maker = (unsigned int)LINK_SLOT(link);
	if (maker < shelf->nr_slots &&
	    (LOAD(&shelf_slot(shelf, maker)->fence_seq) & 0x3ff) == LINK_FENCES(link))
		write_back_at(writer, at);
}

unsigned int types_seal(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	const struct slot *slot = writer->slot;
	unsigned int i;

	for (i = 0; i < SLOT_TYPES && slot->types[i]; i++) {
		uint64_t at = LOAD(&slot->types[i]);
		union record_word word;

		if (!type_is_at(shelf, at))
			continue;
		/* It was made after the last fence, and so were those behind it. */
		if (LINK_FENCES(LOAD(&((const struct record *)shelf_at(shelf, at))->link)) ==
		    (slot->fence_seq & 0x3ff))
			break;
		word.word = LOAD((uint64_t *)shelf_at(shelf, at));
		if (word.state == RECORD_PENDING)
			record_move(shelf, at, &word.word, RECORD_SEALED);
		write_back(writer, shelf_at(shelf, at), sizeof(uint64_t));
	}
	return i;
}

void types_forget(struct writer *writer, unsigned int nr)
{
	uint64_t *types = writer->slot->types;

	for (unsigned int i = 0; nr && i < SLOT_TYPES; i++)
		STORE(&types[i], i + nr < SLOT_TYPES ? types[i + nr] : 0);
}

void types_write_back(struct writer *writer)
{
	for (unsigned int i = 0; i < SLOT_TYPES; i++)
		write_back_at(writer, LOAD(&writer->slot->types[i]));
}

int type_intern(struct writer *writer, struct put *put)
{
	struct hmem_shelf *shelf = writer->shelf;
	char name[1 + SHELF_TYPE_MAX];
	struct put new = {
		.name = name,
		.name_bytes = 1 + put->type_bytes,
		.flags = HMEM_PUT_CREATE,
		.align_shift = SHELF_GRANULE_SHIFT,
		.kind = RECORD_TYPE,
	};
	uint64_t hash, at;

	if (!put->type_bytes)
		return 0;
	name[0] = '\0';
	memcpy(name + 1, put->type, put->type_bytes);
	hash = name_hash(shelf, name, new.name_bytes);
	for (;;) {
		int found = object_find(shelf, name, new.name_bytes, NULL, &at), err;

		if (found < 0)
			return shelf_damaged(shelf);
		if (found) {
			put->typed = true;
			put->reference = entry_make(hash, at);
			type_cover(writer, put->reference);
			return 0;
		}
		/* No place for one more: what one fence has made durable goes with the next. */
		err = 0;
		for (unsigned int i = 0; i < 2 && !err && writer->slot->types[SLOT_TYPES - 1]; i++)
			err = fence(writer);
		if (!err && writer->slot->types[SLOT_TYPES - 1])
			err = shelf_damaged(shelf);
		if (!err)
			err = put_record(writer, &new);
		/* -EEXIST: somebody else has just made it. */
		if (err && err != -EEXIST)
			return err;
	}
}

/* --- recovery ------------------------------------------------------------------------ */

static int by_reference(const void *a, const void *b)
{
	uint64_t x = ((const struct place *)a)->hash, y = ((const struct place *)b)->hash;

	return x < y ? -1 : x > y;
}

/* All records of one sort, once superseded ones are erased: descriptors, or what refers to one. */
static int collect(const struct scan *scan, bool descriptors, struct places *list)
{
	const struct hmem_shelf *shelf = scan->writer->shelf;
	int err = 0;

	for (size_t i = 0; i < scan->named.nr && !err; i++) {
		const struct place *place = &scan->named.place[i];
		struct record header = record_load(shelf, place->at);
		bool lives = header.state != RECORD_FREE && header.state != RECORD_TOMB;

		if (lives && descriptors && header.kind == RECORD_TYPE)
			err = places_add(list, place->at, place->hash);
		else if (lives && !descriptors && header.typed)
			err = places_add(list, place->at,
					 type_reference(shelf, place->at, &header));
	}
	return err;
}

bool types_complete(const struct scan *scan, uint64_t at, const struct record *header)
{
	const struct hmem_shelf *shelf = scan->writer->shelf;
	const void *type;
	size_t bytes;

	/* Where damage was given up, that may have been it: then the object has lost its type only. */
	return !header->typed || scan->result->damaged ||
	       type_look(shelf, type_reference(shelf, at, header), &type, &bytes);
}

int types_require(struct scan *scan)
{
	struct hmem_shelf *shelf = scan->writer->shelf;
	size_t dropped = 0, left = 0;
	int err = 0;

	for (size_t i = 0; i < scan->unsealed.nr && !err; i++) {
		uint64_t at = scan->unsealed.place[i].at;
		struct record header = record_load(shelf, at);

		if (types_complete(scan, at, &header))
			continue;
		record_erase(scan->writer, at);
		err = places_add(&scan->superseded, at, 0);
		dropped++;
	}
	for (size_t i = 0; i < scan->named.nr && dropped; i++) {
		const struct record *r = shelf_at(shelf, scan->named.place[i].at);

		if (r->state != RECORD_FREE)
			scan->named.place[left++] = scan->named.place[i];
	}
	if (dropped)
		scan->named.nr = left;
	scan->result->torn += dropped;
	return err;
}

static bool refers(const struct places *users, uint64_t reference)
{
	const struct place key = { .hash = reference };

	return users->nr &&
	       bsearch(&key, users->place, users->nr, sizeof(key), by_reference);
}

int types_settle(struct scan *scan)
{
	struct hmem_shelf *shelf = scan->writer->shelf;
	struct places users = { 0 };
	size_t left = 0;
	int err;

	if (!scan->result->types)
		return 0;
	err = collect(scan, true, &scan->types);
	if (!err)
		err = collect(scan, false, &users);
	if (users.nr)
		qsort(users.place, users.nr, sizeof(*users.place), by_reference);
	for (size_t i = 0; i < scan->types.nr && !err; i++) {
		const struct place place = scan->types.place[i];
		uint64_t number, *entry;

		if (refers(&users, entry_make(place.hash, place.at)))
			continue;
		entry = recover_entry(scan, &place, index_bucket(shelf, place.hash, &number));
		if (entry && entry_offset(*entry) == place.at)
			STORE(entry, 0);
		scan->types.place[left++] = place;
	}
	scan->result->types = scan->types.nr - left;
	scan->types.nr = left;
	free(users.place);
	return err;
}
