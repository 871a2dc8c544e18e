/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the processes do that are killed (shelf_kill.c): every call that changes a shelf, and
 * those that read it, each with what it must find.
 */
#ifndef SELFTESTS_SHELF_KILL_CALLS_H
#define SELFTESTS_SHELF_KILL_CALLS_H

#include "shelf_kill_oracle.h"

static uint32_t next_version(void)
{
	return __atomic_add_fetch(&me.lane->version, 1, __ATOMIC_SEQ_CST);
}

static struct own *own_of(uint32_t name)
{
	return name < FIRST_SHARED ? &me.lane->own[name % OWN] : NULL;
}

/* Of a name that others may rename or swap at this moment. */
static bool is_busy(uint32_t name, int err)
{
	if (err != -EBUSY || name < FIRST_SHARED)
		return false;
	me.lane->busy++;
	return true;
}

/* --- one name ------------------------------------------------------------------------ */

/* Fill it in place; now and then think better of it, or leave it to whoever cleans up. */
static int fill(const char *name, size_t bytes, const struct hmem_put_options *options)
{
	unsigned int fate = any(8);
	void *data;
	int err = hmem_shelf_reserve(me.shelf, name, bytes, options, &data);

	if (err)
		return err;
	if (fate) {
		memcpy(data, &me.buffer, bytes);
		err = hmem_shelf_publish(me.shelf, data, 0);
		fate = err ? 1 : 2;
	}
	if (fate == 1 && hmem_shelf_cancel(me.shelf, data))
		fail("cancelling %s", name);
	return fate ? err : -ECANCELED;
}

static size_t align_of(uint32_t version)
{
	return version % 16 ? 16 : 16u << version / 16 % 8;
}

static void choose_options(uint32_t version, struct hmem_put_options *options)
{
	if (version % 4) {
		options->type = type_of(version);
		options->type_bytes = TYPE_BYTES;
	}
	options->align = align_of(version);
}

static void put(uint32_t name)
{
	uint32_t version = next_version();
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	size_t bytes = value_make(me.number, name, STATE(version, 0));
	struct own *own = own_of(name);
	int err;

	choose_options(version, &options);
	if (own)
		own_begins(own, STATE(version, 0));
	err = any(4) ? hmem_shelf_put(me.shelf, name_of(name), &me.buffer, bytes, &options) :
		       fill(name_of(name), bytes, &options);
	if (own)
		own_ends(own, err);
	if (err == -ENOSPC)
		me.lane->no_space++;
	else if (err && err != -ECANCELED && !is_busy(name, err))
		fail("putting %s: %d", name_of(name), err);
}

static void delete(uint32_t name)
{
	struct own *own = own_of(name);
	int err;

	if (own)
		own_begins(own, 0);
	err = hmem_shelf_delete(me.shelf, name_of(name));
	if (own && (err == -ENOENT) != !own->acked)
		fail("deleting %s: %d, has %#llx", name_of(name), err,
		     (unsigned long long)own->acked);
	if (own)
		own_ends(own, err);
	if (err && err != -ENOENT && !is_busy(name, err))
		fail("deleting %s: %d", name_of(name), err);
}

static void release(struct pin *pin)
{
	if (!pin->object.pin)
		return;
	if (!value_is_whole(pin->object.data, pin->object.bytes, pin->name))
		fail("%s changed while it was pinned", name_of(pin->name));
	hmem_shelf_release(me.shelf, &pin->object);
}

/* What was got is what this lane had acknowledged, or not older than what it has seen. */
static void is_right(uint32_t name, const struct hmem_object *object)
{
	const struct value *value = object->data;
	const struct own *own = own_of(name);
	uint64_t *seen;

	if (!value_is_whole(value, object->bytes, name))
		fail("%s is not what was written", name_of(name));
	if (!type_is_right(object, value->version))
		fail("%s is of another type than it was written with", name_of(name));
	if ((uintptr_t)value & (align_of(value->version) - 1))
		fail("%s is not aligned as it was written", name_of(name));
	if (own) {
		if (value_state(value) != own->acked)
			fail("%s has %#llx, not %#llx", name_of(name),
			     (unsigned long long)value_state(value), (unsigned long long)own->acked);
		return;
	}
	seen = &me.lane->seen[name - FIRST_SHARED];
	if (object->version < *seen)
		fail("%s went back from version %llu to %llu", name_of(name),
		     (unsigned long long)*seen, (unsigned long long)object->version);
	*seen = object->version;
}

static void get(uint32_t name)
{
	struct pin *pin = &me.pins[any(PINS)];
	const struct own *own = own_of(name);
	int err;

	release(pin);
	pin->name = name;
	err = hmem_shelf_get(me.shelf, name_of(name), &pin->object);
	if (err && err != -ENOENT)
		fail("getting %s: %d", name_of(name), err);
	if (own && (err == -ENOENT) != !own->acked)
		fail("getting %s: %d, has %#llx", name_of(name), err,
		     (unsigned long long)own->acked);
	if (!err)
		is_right(name, &pin->object);
}

/* In place, but with what is there already: a kill in between leaves any mixture. */
static void edit(uint32_t name)
{
	struct hmem_object object, same = { 0 };
	struct hmem_handle handle;
	int err = hmem_shelf_edit(me.shelf, name_of(name), &object);

	if (err && err != -ENOENT)
		fail("editing %s: %d", name_of(name), err);
	if ((err == -ENOENT) != !own_of(name)->acked)
		fail("editing %s: %d, has %#llx", name_of(name), err,
		     (unsigned long long)own_of(name)->acked);
	if (err)
		return;
	is_right(name, &object);
	memcpy(&me.buffer, object.data, object.bytes);
	memcpy(object.data, &me.buffer, object.bytes);
	err = hmem_shelf_persist(me.shelf, &object, 0, object.bytes);
	if (!err)
		err = hmem_shelf_handle(me.shelf, &object, &handle);
	if (!err)
		err = hmem_shelf_get_handle(me.shelf, &handle, &same);
	if (err || same.data != object.data)
		fail("%s in place, or by its handle: %d", name_of(name), err);
	hmem_shelf_release(me.shelf, &same);
	hmem_shelf_release(me.shelf, &object);
}

/* --- several names ------------------------------------------------------------------- */

/* Some names of this lane, each once. */
static uint32_t choose_own(uint32_t out[TX_NAMES])
{
	uint32_t nr = 2 + any(TX_NAMES - 1), first = any(OWN), step = 1 + 2 * any(3);

	for (uint32_t i = 0; i < nr; i++)
		out[i] = (first + i * step) % OWN;
	return nr;
}

static void get_many(void)
{
	struct hmem_object objects[TX_NAMES];
	char texts[TX_NAMES][32];
	const char *names[TX_NAMES];
	uint32_t own[TX_NAMES], nr = choose_own(own);
	bool all = true;
	int err;

	for (uint32_t i = 0; i < nr; i++) {
		names[i] = name_into(texts[i], me.number * OWN + own[i]);
		all = all && me.lane->own[own[i]].acked;
	}
	err = hmem_shelf_get_many(me.shelf, names, nr, objects);
	if (err != (all ? 0 : -ENOENT))
		fail("getting %u, of which %s: %d", nr, all ? "all are there" : "some are not", err);
	for (uint32_t i = 0; i < nr && !err; i++) {
		is_right(me.number * OWN + own[i], &objects[i]);
		hmem_shelf_release(me.shelf, &objects[i]);
	}
}

static void get_all_of_set(void)
{
	struct hmem_object objects[SET];
	int err = get_set(objects);

	if (err && err != -ENOENT)
		fail("getting a set: %d", err);
	for (unsigned int i = 0; i < SET && !err; i++) {
		if (!i)
			set_is_one(objects);
		is_right(FIRST_OF_SET + i, &objects[i]);
		hmem_shelf_release(me.shelf, &objects[i]);
	}
}

/* Nobody else makes or deletes names of this lane. */
static void list(void)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	unsigned int there = 0, listed = 0;
	struct hmem_cursor *cursor;
	char prefix[16];
	int err;

	for (unsigned int i = 0; i < OWN; i++)
		there += me.lane->own[i].acked != 0;
	snprintf(prefix, sizeof(prefix), "own-%u-", me.number);
	err = hmem_cursor_open(me.shelf, prefix, 0, &cursor);
	while (!err && (err = hmem_cursor_next(cursor, &entry)) > 0) {
		listed++;
		err = 0;
	}
	if (err || listed != there)
		fail("%u names are there, %u were listed: %d", there, listed, err);
	hmem_cursor_close(cursor);
}

/* --- transactions -------------------------------------------------------------------- */

static int tx_put(struct hmem_tx *tx, uint32_t name, uint32_t version)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	size_t bytes = value_make(me.number, name, STATE(version, 0));

	choose_options(version, &options);
	return hmem_tx_put(tx, name_of(name), &me.buffer, bytes, &options);
}

/* Have all of an object written when the transaction is committed. */
static int tx_write(struct hmem_tx *tx, const struct hmem_range *ranges, size_t nr)
{
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++)
		err = hmem_tx_write(tx, ranges[i].object, ranges[i].offset,
				    me.buffer.bytes + ranges[i].offset, ranges[i].bytes);
	return err;
}

/* In up to three ranges; or announce these, and then change it. */
static int tx_change(struct hmem_tx *tx, uint32_t name, uint64_t to)
{
	struct hmem_range ranges[3];
	struct hmem_object object;
	size_t from = 0, nr = 1 + any(3);
	int err = any(2) ? hmem_shelf_edit(me.shelf, name_of(name), &object) :
			   hmem_shelf_get(me.shelf, name_of(name), &object);

	if (err)
		fail("getting %s to change it: %d", name_of(name), err);
	is_right(name, &object);
	for (size_t i = 0; i < nr; i++) {
		size_t end = i + 1 == nr ? object.bytes : from + any((unsigned int)(object.bytes - from));

		ranges[i] = (struct hmem_range){ &object, from, end - from };
		from = end;
	}
	value_make(me.number, ((const struct value *)object.data)->name, to);
	if (any(2)) {
		err = tx_write(tx, ranges, nr);
	} else {
		err = hmem_tx_add(tx, ranges, nr);
		if (!err)
			memcpy(object.data, &me.buffer, object.bytes);
	}
	hmem_shelf_release(me.shelf, &object);
	return err;
}

/* What one name's part does, as it stands in the journal. */
static int tx_part(struct hmem_tx *tx, uint32_t own, uint64_t to)
{
	uint32_t name = me.number * OWN + own;

	if (!to)
		return hmem_tx_delete(tx, name_of(name));
	return EDITS_OF(to) ? tx_change(tx, name, to) : tx_put(tx, name, VERSION_OF(to));
}

/* What is to become of some names, written down before any of it begins. */
static void tx_choose(struct flying_tx *flying)
{
	uint32_t own[TX_NAMES];

	flying->nr = choose_own(own);
	for (uint32_t i = 0; i < flying->nr; i++) {
		uint64_t from = me.lane->own[own[i]].acked, to = STATE(next_version(), 0);
		unsigned int what = any(10);

		if (from && what < 3)
			to = 0;
		else if (from && what < 6)
			to = from + 1;
		flying->names[i].own = own[i];
		flying->names[i].from = from;
		flying->names[i].to = to;
	}
}

static void transact(void)
{
	struct flying_tx *flying = &me.lane->tx;
	bool thinks_better = !any(8);
	uint32_t version = any(4) ? 0 : next_version();
	struct hmem_tx *tx;
	int err;

	tx_choose(flying);
	tx_reaches(flying, TX_OPEN);
	err = hmem_tx_begin(me.shelf, &tx);
	if (err)
		fail("beginning a transaction: %d", err);
	for (uint32_t i = 0; i < flying->nr && !err; i++)
		err = tx_part(tx, flying->names[i].own, flying->names[i].to);
	for (unsigned int i = 0; version && i < SET && !err; i++)
		err = tx_put(tx, FIRST_OF_SET + i, version);
	if (err && err != -ENOSPC && !(version && is_busy(FIRST_OF_SET, err)))
		fail("in a transaction: %d", err);
	if (err || thinks_better) {
		me.lane->no_space += err == -ENOSPC;
		err = hmem_tx_abort(tx);
		if (err)
			fail("aborting a transaction: %d", err);
		me.lane->aborted++;
		tx_settles(me.lane, false);
		return;
	}
	tx_reaches(flying, TX_COMMITTING);
	err = hmem_tx_commit(tx);
	if (err && err != -ENOSPC && !(version && is_busy(FIRST_OF_SET, err)))
		fail("committing a transaction: %d", err);
	if (!err)
		tx_reaches(flying, TX_COMMITTED);
	me.lane->committed += !err;
	me.lane->no_space += err == -ENOSPC;
	tx_settles(me.lane, !err);
}

/* Of what all share all of the set, which others replace or delete meanwhile. */
static void transact_set(void)
{
	uint32_t version = any(3) ? next_version() : 0;
	struct hmem_tx *tx;
	int err = hmem_tx_begin(me.shelf, &tx);

	if (err)
		fail("beginning a transaction: %d", err);
	for (unsigned int i = 0; i < SET && !err; i++)
		err = version ? tx_put(tx, FIRST_OF_SET + i, version) :
				hmem_tx_delete(tx, name_of(FIRST_OF_SET + i));
	if (!err) {
		err = hmem_tx_commit(tx);
		me.lane->committed += !err;
	} else if (hmem_tx_abort(tx)) {
		fail("aborting a transaction");
	}
	if (err == -ENOSPC)
		me.lane->no_space++;
	else if (err && (err != -ENOENT || version) && !is_busy(FIRST_OF_SET, err))
		fail("a transaction on a set: %d", err);
}

/* --- other names --------------------------------------------------------------------- */

/* One call on two names of this lane; if they are what it needs, written down before it begins. */
static void name_own(bool swap)
{
	uint32_t a = any(OWN), b = (a + 1 + any(OWN - 1)) % OWN;
	uint64_t of_a = me.lane->own[a].acked, of_b = me.lane->own[b].acked;
	unsigned int flags = swap ? 0 : any(3) * HMEM_PUT_CREATE;
	struct flying_tx *flying = &me.lane->tx;
	char text[2][32];
	const char *first = name_into(text[0], me.number * OWN + a);
	const char *second = name_into(text[1], me.number * OWN + b);
	int expected = !of_a || ((swap || flags == HMEM_PUT_REPLACE) && !of_b) ? -ENOENT :
		       flags == HMEM_PUT_CREATE && of_b			       ? -EEXIST :
										 0;
	int err;

	if (!expected) {
		flying->nr = 2;
		flying->names[0].own = a;
		flying->names[0].from = of_a;
		flying->names[0].to = swap ? of_b : 0;
		flying->names[1].own = b;
		flying->names[1].from = of_b;
		flying->names[1].to = of_a;
		tx_reaches(flying, TX_NAMING);
	}
	err = swap ? hmem_shelf_swap(me.shelf, first, second) :
		     hmem_shelf_rename(me.shelf, first, second, flags);
	me.lane->named += !err;
	me.lane->no_space += err == -ENOSPC;
	/* What the flags ask of a name is looked at last, and there may be no memory before. */
	if (err != expected && err != -ENOSPC)
		fail("%s %s and %s, flags %#x: %d, not %d", swap ? "swapping" : "renaming", first,
		     second, flags, err, expected);
	if (expected)
		return;
	if (!err)
		tx_reaches(flying, TX_COMMITTED);
	tx_settles(me.lane, !err);
}

/* Names that all share, also of the set: others change, rename and swap them meanwhile. */
static void name_shared(void)
{
	bool of_set = any(2), swap = of_set || any(3);
	uint32_t kind = of_set ? FIRST_OF_SET : FIRST_SHARED, nr = of_set ? SET : SHARED;
	uint32_t a = any(nr), b = (a + 1 + any(nr - 1)) % nr;
	char text[2][32];
	const char *first = name_into(text[0], kind + a), *second = name_into(text[1], kind + b);
	int err = swap ? hmem_shelf_swap(me.shelf, first, second) :
			 hmem_shelf_rename(me.shelf, first, second, 0);

	me.lane->named += !err;
	me.lane->no_space += err == -ENOSPC;
	if (err && err != -ENOENT && err != -ENOSPC && !is_busy(kind, err))
		fail("%s %s and %s: %d", swap ? "swapping" : "renaming", first, second, err);
}

/* --- any of these -------------------------------------------------------------------- */

static void one_call(void)
{
	uint32_t own = me.number * OWN + any(OWN), shared = FIRST_SHARED + any(SHARED);
	unsigned int what = any(200);

	__atomic_fetch_add(&me.lane->calls, 1, __ATOMIC_RELAXED);
	if (what < 57)
		put(own);
	else if (what < 79)
		delete(own);
	else if (what < 86)
		name_own(false);
	else if (what < 92)
		name_own(true);
	else if (what < 95)
		name_shared();
	else if (what < 104)
		get(own);
	else if (what < 110)
		get_many();
	else if (what < 120)
		edit(own);
	else if (what < 140)
		transact();
	else if (what < 147)
		transact_set();
	else if (what < 152)
		get_all_of_set();
	else if (what < 168)
		put(shared);
	else if (what < 177)
		delete(shared);
	else if (what < 187)
		get(shared);
	else if (what < 192)
		state_of(shared);
	else if (what < 194)
		list();
	else
		release(&me.pins[any(PINS)]);
}

#endif
