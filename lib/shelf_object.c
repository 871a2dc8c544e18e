// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Objects: get, release, read.
 *
 * Readers go by the index alone and wait for nobody. What an entry leads to is pinned, and the
 * entry looked at again, before it is believed; see limbo.c. Without a pin it is copied, and
 * believed when the name still leads to the same record afterwards.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "shelf.h"
#include "shelf_map.h"
#include "shelf_record.h"
#include "shelf_sigbus.h"
#include "shelf_type.h"
#include "shelf_update.h"

/* --- pins ---------------------------------------------------------------------------- */

static uint64_t *free_pin(struct slot *slot)
{
	for (unsigned int i = 0; i < SLOT_PINS; i++) {
		if (LOAD(&slot->pins[i]))
			continue;
		if (slot->pin_top <= i)
			STORE(&slot->pin_top, i + 1);
		return &slot->pins[i];
	}
	return NULL;
}

int object_pin_begin(struct writer *writer, uint64_t **pin)
{
	*pin = free_pin(writer->slot);
	return *pin ? 0 :
		      shelf_fail(writer->shelf, -EMFILE,
				 "shelf %s: this thread holds %u objects; release some",
				 writer->shelf->name, SLOT_PINS);
}

int object_pinner(struct hmem_shelf *shelf, struct writer **writer)
{
	if (shelf->flags & HMEM_SHELF_READ_ONLY)
		return shelf_fail(shelf, -EROFS,
				  "shelf %s was opened read-only, which pins nothing: read a copy",
				  shelf->name);
	return writer_begin(shelf, writer);
}

void object_show(const struct hmem_shelf *shelf, uint64_t at, const struct record *header,
		 uint64_t *pin, struct hmem_object *object)
{
	*object = (struct hmem_object){
		.data = shelf_at(shelf, record_value_offset(at, header->align_shift)),
		.bytes = header->value_bytes,
		.version = header->seq,
		.pin = pin,
	};
	if (header->typed)
		type_of(shelf, at, header, &object->type, &object->type_bytes);
}

int object_pinned(struct hmem_shelf *shelf, const struct hmem_object *object, uint64_t *at,
		  struct record *header)
{
	uint64_t inside = (uint64_t)((uintptr_t)object_pin(object) - (uintptr_t)shelf->slots);

	if (object->pin && inside < (uint64_t)shelf->nr_slots * SLOT_BYTES &&
	    inside % SLOT_BYTES - offsetof(struct slot, pins) < SLOT_PINS * sizeof(uint64_t) &&
	    !(inside % sizeof(uint64_t))) {
		*at = LOAD(object_pin(object));
		if (shelf_reach_block(shelf, *at)) {
			*header = record_load(shelf, *at);
			if (record_fits(shelf, *at, header) &&
			    shelf_at(shelf, record_value_offset(*at, header->align_shift)) ==
				    object->data)
				return 0;
		}
	}
	return shelf_fail(shelf, -EINVAL, "shelf %s: that is no object got through this handle",
			  shelf->name);
}

/* --- finding ------------------------------------------------------------------------- */

/*
 * One look through a bucket. 1: found, and pinned if @pin; 0: not there; -EAGAIN: it
 * changed meanwhile.
 */
static int look(struct hmem_shelf *shelf, struct bucket *bucket, uint64_t hash, const char *name,
		size_t name_bytes, uint64_t *pin, uint64_t *at)
{
	uint64_t moves = LOAD(&shelf->runtime->moves);
	unsigned int links = 0;

	for (; bucket; bucket = index_next(shelf, bucket)) {
		/* It may be no bucket any more. */
		if (LOAD(&shelf->runtime->moves) != moves)
			return -EAGAIN;
		if (links++ > INDEX_LINKS_MAX)
			return -EUCLEAN;
		for (unsigned int i = 0; i < BUCKET_ENTRIES; i++) {
			uint64_t entry = LOAD(&bucket->entry[i]);

			if (!entry || (entry ^ entry_tag(hash)) >> ENTRY_OFFSET_BITS)
				continue;
			*at = entry_offset(entry);
			if (!shelf_reach(shelf, *at))
				continue;
			if (pin) {
				__atomic_store_n(pin, *at, __ATOMIC_SEQ_CST);
				if (__atomic_load_n(&bucket->entry[i], __ATOMIC_SEQ_CST) != entry) {
					STORE(pin, 0);
					return -EAGAIN;
				}
			}
			if (name_is(shelf, *at, name, name_bytes))
				return 1;
			if (pin)
				STORE(pin, 0);
			/* Without a pin, what was there may have been replaced and reused. */
			else if (LOAD(&bucket->entry[i]) != entry)
				return -EAGAIN;
		}
	}
	return 0;
}

int object_find(struct hmem_shelf *shelf, const char *name, size_t name_bytes, uint64_t *pin,
		uint64_t *at)
{
	uint64_t hash = name_hash(shelf, name, name_bytes), number;

	for (;;) {
		const struct runtime *runtime = LOAD(&shelf->runtime);
		uint64_t moves = LOAD(&runtime->moves);
		uint64_t nr = LOAD(&runtime->nr_buckets);
		struct bucket *bucket;
		int found;

		RACY_READS_BEGIN();
		bucket = index_bucket(shelf, hash, &number);
		found = bucket ? look(shelf, bucket, hash, name, name_bytes, pin, at) : -EUCLEAN;
		RACY_READS_END();
		if (shelf_follows_since(shelf, runtime))
			continue;
		if (!bucket)
			return -EUCLEAN;
		/* What a split moved may have been looked for on both sides of it too late. */
		if (found == -EAGAIN || LOAD(&runtime->nr_buckets) != nr ||
		    (!found && LOAD(&runtime->moves) != moves)) {
			if (pin)
				STORE(pin, 0);
			continue;
		}
		/* It may lie where we could not look. */
		if (!found && __builtin_expect(atomic_load(&shelf->map_error) != 0, 0)) {
			if (shelf_map_all(shelf))
				return -EUCLEAN;
			continue;
		}
		return found;
	}
}

/* The same, with a message. 0 or a negative errno. */
static int find(struct hmem_shelf *shelf, const char *name, size_t name_bytes, uint64_t *pin,
		uint64_t *at)
{
	int found;

	*at = 0;
	shelf_follow_writers(shelf);
	found = object_find(shelf, name, name_bytes, pin, at);
	if (found < 0)
		return shelf_damaged(shelf);
	return found ? 0 : object_absent(shelf, name);
}

/* --- the calls ----------------------------------------------------------------------- */

int object_damaged(struct hmem_shelf *shelf, const char *name)
{
	return shelf_fail(shelf, -EUCLEAN, "shelf %s: the record of %s is damaged", shelf->name,
			  name);
}

/* A record that stays, whose lengths lead nowhere else. */
static int find_pinned(struct hmem_shelf *shelf, const char *name, size_t name_bytes,
		       uint64_t *pin, uint64_t *at, struct record *header)
{
	int err = find(shelf, name, name_bytes, pin, at);

	if (err)
		return err;
	*header = record_load(shelf, *at);
	if (record_fits(shelf, *at, header))
		return 0;
	STORE(pin, 0);
	return object_damaged(shelf, name);
}

static int do_get(struct hmem_shelf *shelf, const char *name, struct hmem_object *object)
{
	struct writer *writer;
	struct record header;
	size_t name_bytes;
	uint64_t *pin, at;
	int err;

	if (!shelf)
		return -EINVAL;
	if (!object)
		return shelf_fail(shelf, -EINVAL, "getting an object: no place for it");
	err = object_name_check(shelf, name, &name_bytes);
	if (err)
		return err;
	err = object_pinner(shelf, &writer);
	if (!err)
		err = object_pin_begin(writer, &pin);
	if (!err)
		err = find_pinned(shelf, name, name_bytes, pin, &at, &header);
	if (err)
		return err;
	object_show(shelf, at, &header, pin, object);
	return 0;
}

int hmem_shelf_get(struct hmem_shelf *shelf, const char *name, struct hmem_object *object)
{
	return SIGBUS_GUARDED(shelf, do_get(shelf, name, object));
}

static int do_release(struct hmem_shelf *shelf, const struct hmem_object *object)
{
	STORE(object_pin(object), 0);
	return atomic_load_explicit(&shelf->idle, memory_order_relaxed) ? writers_sweep(shelf) : 0;
}

void hmem_shelf_release(struct hmem_shelf *shelf, struct hmem_object *object)
{
	if (!object || !object->pin)
		return;
	/* Read-only handles pin nothing: it is a copy. */
	if (shelf && shelf->flags & HMEM_SHELF_READ_ONLY) {
		free(object->pin);
		object->pin = NULL;
		return;
	}
	/* A child of fork(2) has a copy of what its parent got; the pin is the parent's. */
	if (shelf && shelf_is_mine(shelf))
		SIGBUS_GUARDED(shelf, do_release(shelf, object));
	object->pin = NULL;
}

/* What may be changing meanwhile; then it will not be used. */
static void copy_racing(void *to, const void *from, size_t bytes)
{
	const uint64_t *words = from;
	unsigned char *out = to;
	uint64_t word;

	/* The value is aligned, and what follows it belongs to the heap as well. */
	for (; bytes >= sizeof(word); bytes -= sizeof(word), out += sizeof(word)) {
		word = __atomic_load_n(words++, __ATOMIC_RELAXED);
		memcpy(out, &word, sizeof(word));
	}
	for (size_t i = 0; i < bytes; i++)
		out[i] = __atomic_load_n((const unsigned char *)words + i, __ATOMIC_RELAXED);
}

static int copy_unpinned(struct hmem_shelf *shelf, const char *name, size_t name_bytes,
			 void *buffer, size_t bytes, uint64_t *where, struct record *header)
{
	for (;;) {
		struct record before, after;
		uint64_t at, again;
		int err = find(shelf, name, name_bytes, NULL, &at);

		if (err)
			return err;
		before = record_load(shelf, at);
		/* The name's when it is looked up again, it was when it was loaded. */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		err = find(shelf, name, name_bytes, NULL, &again);
		if (err)
			return err;
		if (again != at || !record_fits(shelf, at, &before))
			continue;
		if (before.value_bytes <= bytes)
			copy_racing(buffer,
				    shelf_at(shelf, record_value_offset(at, before.align_shift)),
				    before.value_bytes);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		err = find(shelf, name, name_bytes, NULL, &again);
		if (err)
			return err;
		after = record_load(shelf, at);
		if (again != at || after.seq != before.seq ||
		    after.value_bytes != before.value_bytes)
			continue;
		*where = at;
		*header = before;
		return 0;
	}
}

int object_copy(struct hmem_shelf *shelf, const char *name, size_t name_bytes, void *buffer,
		size_t bytes, uint64_t *at, struct record *header)
{
	int err;

	RACY_READS_BEGIN();
	err = copy_unpinned(shelf, name, name_bytes, buffer, bytes, at, header);
	RACY_READS_END();
	return err;
}

static int read_unpinned(struct hmem_shelf *shelf, const char *name, size_t name_bytes,
			 void *buffer, size_t bytes, size_t *length)
{
	struct record header;
	uint64_t at;
	int err = object_copy(shelf, name, name_bytes, buffer, bytes, &at, &header);

	if (!err)
		*length = header.value_bytes;
	return err;
}

static int read_pinned(struct hmem_shelf *shelf, const char *name, size_t name_bytes,
		       uint64_t *pin, void *buffer, size_t bytes, size_t *length)
{
	struct record header;
	uint64_t at;
	int err = find_pinned(shelf, name, name_bytes, pin, &at, &header);

	if (err)
		return err;
	*length = header.value_bytes;
	/* For nothing there need not be a place. */
	if (*length && *length <= bytes)
		memcpy(buffer, shelf_at(shelf, record_value_offset(at, header.align_shift)),
		       *length);
	STORE(pin, 0);
	return 0;
}

static int do_read(struct hmem_shelf *shelf, const char *name, void *buffer, size_t bytes,
		size_t *length)
{
	struct writer *writer;
	uint64_t *pin = NULL;
	size_t name_bytes;
	int err;

	if (!shelf)
		return -EINVAL;
	if (!length || (!buffer && bytes))
		return shelf_fail(shelf, -EINVAL, "reading an object: no place for it");
	err = object_name_check(shelf, name, &name_bytes);
	if (err)
		return err;
	if (shelf->flags & HMEM_SHELF_READ_ONLY) {
		if (!shelf_is_mine(shelf))
			return shelf_fail(shelf, -ECHILD, "shelf %s: opened by the parent",
					  shelf->name);
	} else {
		err = writer_begin(shelf, &writer);
		if (err && err != -EUSERS)
			return err;
		if (!err)
			pin = free_pin(writer->slot);
	}
	err = pin ? read_pinned(shelf, name, name_bytes, pin, buffer, bytes, length) :
		    read_unpinned(shelf, name, name_bytes, buffer, bytes, length);
	if (!err && *length > bytes)
		return shelf_fail(shelf, -ERANGE, "%s has %zu bytes, the buffer %zu", name, *length,
				  bytes);
	return err;
}

int hmem_shelf_read(struct hmem_shelf *shelf, const char *name, void *buffer, size_t bytes,
		    size_t *length)
{
	return SIGBUS_GUARDED(shelf, do_read(shelf, name, buffer, bytes, length));
}
