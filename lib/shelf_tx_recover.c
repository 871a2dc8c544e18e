// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Transactions that the power was lost over.
 *
 * A commit counts when it is sealed, or when all of its members are there: in the state that
 * says so, or in one that they came to later. A member counts when a commit does that lists it. So
 * nothing may be done to a member, now that it may lose to a newer record and be erased,
 * before it is durable that its commit is sealed.
 *
 * What commits that count have written to objects is written once more, the oldest one's first; but
 * not before it is durable that these are sealed, as until then their checksums cover what they
 * were. Commits that did are erased one after the other, in the same order.
 *
 * Undo records count while the first one of their transaction is there and no commit that
 * counts names it. What they hold is put back, the last one's first; then the first one is
 * erased, and when that is durable the others.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shelf_record.h"
#include "shelf_recover.h"
#include "shelf_type.h"
#include "shelf_tx.h"

/* A record that the scan came to, by its place; only among the first @nr. */
static const struct place *find(const struct places *list, size_t nr, uint64_t at)
{
	size_t low = 0;

	while (low < nr) {
		size_t middle = low + (nr - low) / 2;

		if (list->place[middle].at == at)
			return &list->place[middle];
		if (list->place[middle].at < at)
			low = middle + 1;
		else
			nr = middle;
	}
	return NULL;
}

/* Is it there, and has it not been erased? @scanned: how many of scan->named the scan found. */
static bool is_there(const struct scan *scan, size_t scanned, const struct commit_name *name)
{
	const struct place *place = find(&scan->members, scan->members.nr, name->at);
	const struct record *r;

	if (!place)
		place = find(&scan->named, scanned, name->at);
	if (!place || place->hash != name->hash)
		return false;
	r = shelf_at(scan->writer->shelf, name->at);
	return r->seq == name->seq && r->state != RECORD_FREE &&
	       (r->state != RECORD_MEMBER || types_complete(scan, name->at, r));
}

static bool counts(const struct scan *scan, size_t scanned, uint64_t at)
{
	const struct record *r = shelf_at(scan->writer->shelf, at);
	struct commit_view view;

	if (r->state == RECORD_FREE || !commit_look(scan->writer->shelf, at, &view))
		return false;
	if (r->state == RECORD_SEALED)
		return true;
	for (uint32_t i = 0; i < view.head.members; i++) {
		const struct commit_name name = view.members[i];

		if (!is_there(scan, scanned, &name))
			return false;
	}
	return true;
}

static void become(struct scan *scan, uint64_t at, enum record_state state)
{
	struct hmem_shelf *shelf = scan->writer->shelf;
	union record_word word = { .word = LOAD((uint64_t *)shelf_at(shelf, at)) };

	if (word.state != state)
		record_move(shelf, at, &word.word, state);
	write_back(scan->writer, shelf_at(shelf, at), sizeof(uint64_t));
}

static int members_count(struct scan *scan, size_t scanned, uint64_t at)
{
	const struct hmem_shelf *shelf = scan->writer->shelf;
	struct commit_view view;
	int err = 0;

	if (!commit_look(shelf, at, &view))
		return 0;
	for (uint32_t i = 0; i < view.head.members && !err; i++) {
		const struct commit_name name = view.members[i];

		if (!is_there(scan, scanned, &name) ||
		    record_load(shelf, name.at).state != RECORD_MEMBER)
			continue;
		become(scan, name.at, RECORD_SEALED);
		err = places_add(&scan->named, name.at, name.hash);
	}
	become(scan, at, RECORD_SEALED);
	return err;
}

/* What a commit deletes gets a tombstone, for whatever older one of the name there may be. */
static int deleted_count(struct scan *scan, size_t scanned, uint64_t at)
{
	const struct hmem_shelf *shelf = scan->writer->shelf;
	struct commit_view view;
	int err = 0;

	if (!commit_look(shelf, at, &view))
		return 0;
	for (uint32_t i = 0; i < view.head.deleted && !err; i++) {
		const struct commit_name name = view.deleted[i];

		if (!is_there(scan, scanned, &name) ||
		    record_load(shelf, name.at).state == RECORD_TOMB)
			continue;
		become(scan, name.at, RECORD_TOMB);
		err = places_add(&scan->tombs, name.at, name.hash);
	}
	return err;
}

/* --- what they wrote ----------------------------------------------------------------- */

/* In place of the hash is the sequence number. */
static int first_first(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* The commits that count and have written something, in their order. */
static int find_writing(struct scan *scan)
{
	const struct hmem_shelf *shelf = scan->writer->shelf;
	struct places *writing = &scan->writing;
	int err = 0;

	for (size_t i = 0; i < scan->commits.nr && !err; i++) {
		uint64_t at = scan->commits.place[i].at;
		struct commit_view view;

		if (scan->commits.place[i].hash && commit_look(shelf, at, &view) &&
		    view.head.written)
			err = places_add(writing, at, ((const struct record *)shelf_at(shelf, at))->seq);
	}
	if (!err && writing->nr)
		qsort(writing->place, writing->nr, sizeof(*writing->place), first_first);
	return err;
}

static void seal_targets(struct scan *scan, size_t scanned, const struct commit_view *view)
{
	for (uint64_t i = 0; i < view->written.nr; i++) {
		const struct commit_name record = view->written.list[i].record;
		struct record header;

		if (!is_there(scan, scanned, &record))
			continue;
		header = record_load(scan->writer->shelf, record.at);
		if (header.state == RECORD_PENDING || header.state == RECORD_BORN)
			become(scan, record.at, RECORD_SEALED);
	}
}

/* What scanning found, to be asked for a range's record. */
struct found {
	const struct scan *scan;
	size_t scanned;
};

static bool was_found(const void *arg, const struct commit_name *record)
{
	const struct found *found = arg;

	return is_there(found->scan, found->scanned, record);
}

static int writes_count(struct scan *scan, size_t scanned)
{
	const struct found found = { scan, scanned };
	const struct places *writing = &scan->writing;
	struct commit_view view;
	int err = find_writing(scan);

	if (err || !writing->nr)
		return err;
	for (size_t i = 0; i < writing->nr; i++)
		if (commit_look(scan->writer->shelf, writing->place[i].at, &view))
			seal_targets(scan, scanned, &view);
	err = fence(scan->writer);
	for (size_t i = 0; i < writing->nr && !err; i++)
		if (commit_look(scan->writer->shelf, writing->place[i].at, &view))
			ranges_store(scan->writer, &view.written, was_found, &found);
	return err;
}

/* --- undo ---------------------------------------------------------------------------- */

/* The first undo record of its transaction? */
static bool is_first(const struct scan *scan, uint64_t at)
{
	const struct hmem_shelf *shelf = scan->writer->shelf;
	const struct record *r = shelf_at(shelf, at);
	struct undo_view view;

	return undo_look(shelf, at, &view) && view.head.first == at &&
	       view.head.first_seq == r->seq && r->state != RECORD_FREE;
}

/* By place, and of those at one by sequence number, which is in place of the hash. */
static int by_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* What commits that count name: undo records that are the first ones of their transactions. */
static int find_void(const struct scan *scan, struct places *list)
{
	struct commit_view view;
	int err = 0;

	for (size_t i = 0; i < scan->commits.nr && !err; i++)
		if (scan->commits.place[i].hash &&
		    commit_look(scan->writer->shelf, scan->commits.place[i].at, &view) &&
		    view.head.undo)
			err = places_add(list, view.head.undo, view.head.undo_seq);
	if (!err && list->nr)
		qsort(list->place, list->nr, sizeof(*list->place), by_place);
	return err;
}

static bool is_void(const struct places *list, const struct undo_head *undo)
{
	const struct place key = { .at = undo->first, .hash = undo->first_seq };

	return list->nr && bsearch(&key, list->place, list->nr, sizeof(key), by_place);
}

static bool undo_counts(const struct scan *scan, const struct places *voided, uint64_t at)
{
	const struct hmem_shelf *shelf = scan->writer->shelf;
	struct undo_view view;
	const struct record *first;

	if (!undo_look(shelf, at, &view) ||
	    !find(&scan->undos, scan->undos.nr, view.head.first) || !is_first(scan, view.head.first))
		return false;
	first = shelf_at(shelf, view.head.first);
	return first->seq == view.head.first_seq && !is_void(voided, &view.head);
}

/* In place of the hash is the sequence number. */
static int last_first(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->hash > y->hash ? -1 : x->hash < y->hash;
}

static int undo_all(struct scan *scan, size_t scanned)
{
	const struct found found = { scan, scanned };
	struct places counting = { 0 }, voided = { 0 };
	struct undo_view view;
	int err = scan->undos.nr ? find_void(scan, &voided) : 0;

	for (size_t i = 0; i < scan->undos.nr && !err; i++) {
		uint64_t at = scan->undos.place[i].at;
		const struct record *r = shelf_at(scan->writer->shelf, at);

		if (undo_counts(scan, &voided, at))
			err = places_add(&counting, at, r->seq);
	}
	if (!err && counting.nr)
		qsort(counting.place, counting.nr, sizeof(*counting.place), last_first);
	for (size_t i = 0; i < counting.nr && !err; i++)
		if (undo_look(scan->writer->shelf, counting.place[i].at, &view))
			ranges_store(scan->writer, &view.ranges, was_found, &found);
	free(voided.place);
	free(counting.place);
	return err;
}

/* --- all of it ----------------------------------------------------------------------- */

int commits_settle(struct scan *scan)
{
	struct places *commits = &scan->commits, *members = &scan->members;
	struct hmem_shelf *shelf = scan->writer->shelf;
	size_t scanned = scan->named.nr;
	size_t dead = 0;
	int err = 0;

	if (!commits->nr && !members->nr && !scan->undos.nr)
		return 0;
	/* In place of a hash, which it has none of: does it count? */
	for (size_t i = 0; i < commits->nr; i++)
		commits->place[i].hash = counts(scan, scanned, commits->place[i].at);
	for (size_t i = 0; i < commits->nr && !err; i++)
		if (commits->place[i].hash)
			err = members_count(scan, scanned, commits->place[i].at);
	for (size_t i = 0; i < commits->nr && !err; i++)
		if (commits->place[i].hash)
			err = deleted_count(scan, scanned, commits->place[i].at);
	if (!err)
		err = writes_count(scan, scanned);
	if (!err)
		err = undo_all(scan, scanned);
	if (err)
		return err;
	for (size_t i = 0; i < members->nr; i++) {
		if (((const struct record *)shelf_at(shelf, members->place[i].at))->state !=
		    RECORD_MEMBER)
			continue;
		scan->result->torn++;
		record_erase(scan->writer, members->place[i].at);
		members->place[dead++] = members->place[i];
	}
	members->nr = dead;
	for (size_t i = 0; i < commits->nr; i++)
		if (!commits->place[i].hash)
			record_erase(scan->writer, commits->place[i].at);
	err = fence(scan->writer);
	for (size_t i = 0; i < scan->undos.nr && !err; i++)
		if (is_first(scan, scan->undos.place[i].at))
			record_erase(scan->writer, scan->undos.place[i].at);
	return err;
}

int commits_drop(struct scan *scan)
{
	int err = 0;

	for (size_t i = 0; i < scan->writing.nr && !err; i++) {
		if (i)
			err = fence(scan->writer);
		record_erase(scan->writer, scan->writing.place[i].at);
	}
	for (size_t i = 0; i < scan->commits.nr && !err; i++)
		err = recover_drop(scan, scan->commits.place[i].at);
	for (size_t i = 0; i < scan->members.nr && !err; i++)
		err = recover_drop(scan, scan->members.place[i].at);
	for (size_t i = 0; i < scan->undos.nr && !err; i++)
		err = recover_drop(scan, scan->undos.place[i].at);
	return err;
}
