// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Several objects as they were together at one instant.
 *
 * All are found and pinned, one after the other; then no commit of a transaction may be on its
 * way through the index; then all are looked up once more. A record that was replaced never
 * comes back, and one that is pinned is not reused: if each name still leads to the record that
 * is pinned, all of them were current between the first pass and the second. A commit that
 * had stored some of its entries when the first pass ended was seen under way, or it stored
 * the others before the second pass, which found that.
 *
 * Handles that pin nothing copy instead. There a place may be the same and be another record's
 * by now, of the same name; but not with the same sequence number.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "clock.h"
#include "shelf.h"
#include "shelf_record.h"
#include "shelf_sigbus.h"
#include "shelf_update.h"

/* After as many attempts somebody may be dead. */
#define ATTEMPTS_BEFORE_LOOKING 64

/* @pin, or if the handle pins nothing @copy, of @room bytes, of a record with @header */
struct taken {
	const char *name;
	size_t name_bytes;
	uint64_t *pin;
	uint64_t at;
	void *copy;
	size_t room;
	struct record header;
};

struct snapshot {
	struct hmem_shelf *shelf;
	struct writer *writer;
	unsigned int nr;
	struct taken taken[SLOT_PINS];
};

static bool commit_under_way(const struct hmem_shelf *shelf)
{
	for (unsigned int id = 0; id < shelf->nr_slots; id++) {
		const struct slot *slot = shelf_slot(shelf, id);

		if (LOAD(&slot->used) && LOAD(&slot->tx_forward))
			return true;
	}
	return false;
}

/* Memory for the value that it has now, until it is large enough for what it has then. */
static int take_copy(struct hmem_shelf *shelf, struct taken *taken)
{
	size_t align;
	int err;

	for (;;) {
		err = object_copy(shelf, taken->name, taken->name_bytes, taken->copy, taken->room,
				  &taken->at, &taken->header);
		align = err ? 1 : (size_t)1 << taken->header.align_shift;
		if (err || (taken->copy && taken->header.value_bytes <= taken->room &&
			    !((uintptr_t)taken->copy & (align - 1))))
			return err;
		free(taken->copy);
		taken->copy = NULL;
		taken->room = 0;
		if (posix_memalign(&taken->copy, align, taken->header.value_bytes + 1))
			return shelf_fail(shelf, -ENOMEM, "shelf %s: no memory for a copy of %s",
					  shelf->name, taken->name);
		taken->room = taken->header.value_bytes + 1;
	}
}

/* 0, or why there is no such object. */
static int take(struct snapshot *snapshot, struct taken *taken)
{
	struct hmem_shelf *shelf = snapshot->shelf;
	int found;

	if (!snapshot->writer)
		return take_copy(shelf, taken);
	found = object_find(shelf, taken->name, taken->name_bytes, taken->pin, &taken->at);
	if (found <= 0)
		return found ? shelf_damaged(shelf) : object_absent(shelf, taken->name);
	taken->header = record_load(shelf, taken->at);
	return record_fits(shelf, taken->at, &taken->header) ? 0 :
							       object_damaged(shelf, taken->name);
}

/* Does the name lead to what was taken? */
static bool is_same(struct hmem_shelf *shelf, const struct taken *taken)
{
	struct record header;
	uint64_t at = 0;

	if (taken->pin)
		return object_find(shelf, taken->name, taken->name_bytes, NULL, &at) > 0 &&
		       at == taken->at;
	return !object_copy(shelf, taken->name, taken->name_bytes, NULL, 0, &at, &header) &&
	       at == taken->at && header.seq == taken->header.seq;
}

/* Look all of them up once more, and take what has changed. 1: nothing has. */
static int look_again(struct snapshot *snapshot)
{
	int same = 1, err;

	for (unsigned int i = 0; i < snapshot->nr; i++) {
		struct taken *taken = &snapshot->taken[i];

		if (is_same(snapshot->shelf, taken))
			continue;
		same = 0;
		err = take(snapshot, taken);
		if (err)
			return err;
	}
	return same;
}

static int settle(struct snapshot *snapshot)
{
	struct hmem_shelf *shelf = snapshot->shelf;
	int64_t deadline = 0;

	for (unsigned int attempt = 1;; attempt++) {
		int same;

		shelf_follow_writers(shelf);
		same = commit_under_way(shelf) ? 0 : look_again(snapshot);

		if (same)
			return same < 0 ? same : 0;
		if (attempt % ATTEMPTS_BEFORE_LOOKING)
			continue;
		if (snapshot->writer)
			takeover_all(shelf, snapshot->writer);
		if (!deadline)
			deadline = now_ms() + shelf->wait_ms;
		else if (now_ms() > deadline)
			return shelf_fail(shelf, -EBUSY,
					  "shelf %s: others change the %u objects all the time, or "
					  "one who commits a transaction does not go on; try again",
					  shelf->name, snapshot->nr);
		sched_yield();
	}
}

/* One after the other, each with a pin of its own. */
static int collect(struct snapshot *snapshot, const char *const *names, unsigned int nr)
{
	int err = 0;

	for (unsigned int i = 0; i < nr && !err; i++) {
		struct taken *taken = &snapshot->taken[i];

		taken->name = names[i];
		err = object_name_check(snapshot->shelf, names[i], &taken->name_bytes);
		if (!err && snapshot->writer)
			err = object_pin_begin(snapshot->writer, &taken->pin);
		if (err)
			break;
		snapshot->nr = i + 1;
		err = take(snapshot, taken);
	}
	return err;
}

static void give_up(const struct snapshot *snapshot)
{
	for (unsigned int i = 0; i < snapshot->nr; i++) {
		if (snapshot->taken[i].pin)
			STORE(snapshot->taken[i].pin, 0);
		free(snapshot->taken[i].copy);
	}
}

static void show(struct hmem_shelf *shelf, const struct taken *taken, struct hmem_object *object)
{
	RACY_READS_BEGIN();
	object_show(shelf, taken->at, &taken->header, taken->pin, object);
	RACY_READS_END();
	if (taken->copy)
		object->data = object->pin = taken->copy;
}

static int do_get_many(struct hmem_shelf *shelf, const char *const *names, unsigned int nr,
		struct hmem_object *objects)
{
	struct snapshot snapshot = { .shelf = shelf };
	int err;

	if (!shelf)
		return -EINVAL;
	if (nr && (!names || !objects))
		return shelf_fail(shelf, -EINVAL, "getting objects: no names, or no place for them");
	if (shelf->flags & HMEM_SHELF_READ_ONLY)
		err = shelf_is_mine(shelf) ? 0 : shelf_fail(shelf, -ECHILD,
							    "shelf %s: opened by the parent",
							    shelf->name);
	else
		err = object_pinner(shelf, &snapshot.writer);
	if (err)
		return err;
	if (nr > SLOT_PINS)
		return shelf_fail(shelf, -EMFILE,
				  "shelf %s: %u objects at once; a thread can hold %u", shelf->name, nr,
				  SLOT_PINS);
	err = collect(&snapshot, names, nr);
	if (!err && nr)
		err = settle(&snapshot);
	if (err)
		give_up(&snapshot);
	for (unsigned int i = 0; i < snapshot.nr && !err; i++)
		show(shelf, &snapshot.taken[i], &objects[i]);
	return err;
}

int hmem_shelf_get_many(struct hmem_shelf *shelf, const char *const *names, unsigned int nr,
			struct hmem_object *objects)
{
	return SIGBUS_GUARDED(shelf, do_get_many(shelf, names, nr, objects));
}
