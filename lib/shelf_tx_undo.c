// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Ranges of objects that a transaction changes in place.
 *
 * The caller stores into them himself, after hmem_tx_add() has made an undo record of what they
 * held durable; and has sealed the objects' records, so that their checksums do not cover
 * values that change. All undo records of a transaction count while its first one does. A
 * commit has the ranges written back, makes a fence, and erases the first one, or names it
 * in the commit record if there is one; a second fence makes that durable, and with it the
 * transaction. Rolling back is the same with what the ranges held before. Only then may
 * the other undo records go, as without a later one an earlier one would do harm.
 *
 * Objects that a transaction changes are its writer's: their records' links say whose. Others
 * who want to change them are refused while he lives, and undo it when he does not.
 */
#include <errno.h>
#include <string.h>

#include "shelf_record.h"
#include "shelf_seq.h"
#include "shelf_sigbus.h"
#include "shelf_tx.h"
#include "shelf_update.h"

bool undo_look(const struct hmem_shelf *shelf, uint64_t at, struct undo_view *view)
{
	struct record header;
	uint64_t value, left;
	const unsigned char *end;

	if (!shelf_reach_block(shelf, at))
		return false;
	header = record_load(shelf, at);
	if (!record_fits(shelf, at, &header) || header.value_bytes < sizeof(view->head))
		return false;
	value = record_value_offset(at, header.align_shift);
	end = (const unsigned char *)shelf_at(shelf, value) + header.value_bytes;
	memcpy(&view->head, shelf_at(shelf, value), sizeof(view->head));
	return ranges_look(&view->ranges, shelf_at(shelf, value + sizeof(view->head)),
			   view->head.ranges, end, &left);
}

/* --- all of a transaction's ---------------------------------------------------------- */

void undo_write_back(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct undo_view view;

	FOR_EACH_BLOCK(shelf, writer->slot->tx, block) {
		FOR_EACH_ENTRY(block, e) {
			if (e->undo && undo_look(shelf, LOAD(&e->at), &view))
				ranges_write_back(writer, &view.ranges);
		}
	}
}

struct tx_entry *undo_first(struct writer *writer)
{
	FOR_EACH_BLOCK(writer->shelf, writer->slot->tx, block)
		FOR_EACH_ENTRY(block, e)
			if (e->undo == 1)
				return e;
	return NULL;
}

/* Somebody may have died while he erased it: then the media may have it erased already. */
static bool is_being_erased(const struct hmem_shelf *shelf, uint64_t at)
{
	struct record header = record_load(shelf, at);

	return header.state == RECORD_FREE || record_mark_in(&header) != record_mark(shelf, at);
}

int undo_roll_back(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct tx_entry *first = undo_first(writer);
	struct undo_view view;
	uint64_t at;
	int err;

	if (!first)
		return 0;
	at = LOAD(&first->at);
	if (!shelf_reach_block(shelf, at))
		return shelf_damaged(shelf);
	/* Erased only after all ranges were durable as they are. */
	if (!is_being_erased(shelf, at)) {
		/* The last one first: as the blocks are, and from the end of each. */
		FOR_EACH_BLOCK(shelf, writer->slot->tx, block)
			for (unsigned int i = TX_ENTRIES; i--;)
				if (block->entry[i].undo &&
				    undo_look(shelf, LOAD(&block->entry[i].at), &view))
					ranges_store(writer, &view.ranges, NULL, NULL);
		err = fence(writer);
		if (err)
			return err;
	}
	record_erase(writer, at);
	return 0;
}

/* --- adding -------------------------------------------------------------------------- */

uint64_t object_record(struct hmem_shelf *shelf, const struct hmem_object *object,
		       struct record *header)
{
	uint64_t at;

	if (!object || object_pinned(shelf, object, &at, header))
		return 0;
	/* One that was replaced or deleted is still where it was got. */
	return header->kind == RECORD_OBJECT || header->state == RECORD_FREE ? at : 0;
}

const char *record_name(const struct hmem_shelf *shelf, uint64_t at, size_t *bytes)
{
	/* It may be being sealed, or replaced. */
	struct record header = record_load(shelf, at);

	*bytes = 0;
	if (!record_fits(shelf, at, &header))
		return "";
	*bytes = header.name_bytes;
	return shelf_at(shelf, record_value_offset(at, header.align_shift) + header.value_bytes);
}

/* Its name is locked. */
static int own_locked(struct hmem_tx *tx, struct bucket *bucket, uint64_t hash, uint64_t at,
		      struct tx_entry *e)
{
	struct hmem_shelf *shelf = tx->shelf;
	struct record *r = shelf_at(shelf, at);
	size_t bytes;
	const char *name = record_name(shelf, at, &bytes);
	uint64_t *none, *entry = index_find(shelf, bucket, hash, name, bytes, &none);
	int err;

	if (!entry || entry_offset(*entry) != at)
		return shelf_fail(shelf, -ENOENT,
				  "shelf %s: an object was replaced or deleted since it was got; "
				  "get it again",
				  shelf->name);
	err = object_owner_check(tx->writer, at);
	if (err)
		return err;
	STORE(&e->link, LOAD(&r->link));
	STORE(&e->owned, at);
	STORE(&r->link, link_owned_by(shelf, tx->writer->id));
	return 0;
}

static struct tx_entry *owned_entry(const struct hmem_tx *tx, uint64_t at)
{
	FOR_EACH_BLOCK(tx->shelf, tx->writer->slot->tx, block)
		FOR_EACH_ENTRY(block, e)
			if (e->owned == at)
				return e;
	return NULL;
}

/*
 * Is it a commit that this transaction has covered and erased for another object? Where that lay
 * there may be a later one by now.
 */
static bool is_erased(const struct hmem_tx *tx, uint64_t link)
{
	for (size_t i = 0; i < tx->erased; i++) {
		struct record header;

		if (tx->covers[i].link != link)
			continue;
		header = record_load(tx->shelf, LINK_OFFSET(link));
		if (header.state == RECORD_FREE && header.seq == tx->covers[i].seq)
			return true;
	}
	return false;
}

int tx_own(struct hmem_tx *tx, uint64_t at, struct tx_entry **entry)
{
	struct tx_entry *e = tx->owned_last;
	struct bucket *bucket;
	uint64_t hash;
	size_t bytes;
	const char *name;
	int err;

	if (object_is_mine(tx->writer, at)) {
		if (!e || e->owned != at)
			e = owned_entry(tx, at);
		*entry = tx->owned_last = e;
		return e ? 0 : shelf_damaged(tx->shelf);
	}
	err = covers_make_room(tx);
	if (err)
		return err;
	e = tx_entry_new(tx, &err);
	if (!e)
		return err == -ENOSPC ? object_no_space(tx->shelf, "a transaction", 0) : err;
	name = record_name(tx->shelf, at, &bytes);
	hash = name_hash(tx->shelf, name, bytes);
	err = index_lock(tx->writer, hash, &bucket);
	if (!err) {
		err = own_locked(tx, bucket, hash, at, e);
		bucket_drop(tx->writer, bucket);
	}
	if (err) {
		tx_entry_return(tx);
		return err;
	}
	if (e->link & LINK_WRITTEN && !is_erased(tx, e->link))
		covers_add(tx, e->link);
	*entry = tx->owned_last = e;
	return 0;
}

void object_seal(struct writer *writer, uint64_t at)
{
	struct hmem_shelf *shelf = writer->shelf;
	union record_word word;

	if (!shelf_reach_block(shelf, at))
		return;
	/* Its last writer may be sealing it. */
	word.word = LOAD((uint64_t *)shelf_at(shelf, at));
	while ((word.state == RECORD_PENDING || word.state == RECORD_BORN) &&
	       !record_move(shelf, at, &word.word, RECORD_SEALED))
		;
	write_back(writer, shelf_at(shelf, at), sizeof(uint64_t));
}

static void compose_undo(struct hmem_tx *tx, uint64_t at, uint64_t seq,
			 const struct hmem_range *ranges, size_t nr, uint64_t value_bytes)
{
	struct hmem_shelf *shelf = tx->shelf;
	struct record header = {
		.kind = RECORD_UNDO,
		.seq = seq & ((1ull << 56) - 1),
		.align_shift = SHELF_GRANULE_SHIFT,
		.value_bytes = value_bytes & ((1ull << 44) - 1),
	};
	struct undo_head head = { .ranges = nr, .first = at, .first_seq = header.seq };
	uint64_t value = record_value_offset(at, SHELF_GRANULE_SHIFT);
	struct record_range *list = shelf_at(shelf, value + sizeof(head));
	unsigned char *to = (unsigned char *)(list + nr);

	record_set_mark(&header, record_mark(shelf, at));
	if (tx->undos) {
		head.first = tx->first;
		head.first_seq = tx->first_seq;
	} else {
		tx->first = at;
		tx->first_seq = header.seq;
	}
	memcpy(shelf_at(shelf, value), &head, sizeof(head));
	for (size_t i = 0; i < nr; i++) {
		struct record object = { 0 };
		uint64_t record = object_record(shelf, ranges[i].object, &object);
		size_t bytes = 0;
		const char *name = record ? record_name(shelf, record, &bytes) : "";

		list[i] = (struct record_range){
			.record = { record, object.seq, name_hash(shelf, name, bytes) },
			.offset = ranges[i].offset,
			.bytes = ranges[i].bytes,
		};
		/* New memory lies apart from an object, unless the chunk's map is anybody's. */
		memmove(to, (const char *)ranges[i].object->data + ranges[i].offset,
			ranges[i].bytes);
		to += ranges[i].bytes;
	}
	record_lay(shelf, at, &header,
		   record_word(shelf, at, &header, RECORD_PENDING,
			       record_value_crc(shelf, at, &header)));
	write_back(tx->writer, shelf_at(shelf, at), record_end(at, &header) - at);
}

static int check_ranges(struct hmem_tx *tx, const struct hmem_range *ranges, size_t nr,
			uint64_t *bytes)
{
	struct hmem_shelf *shelf = tx->shelf;

	*bytes = sizeof(struct undo_head);
	for (size_t i = 0; i < nr; i++) {
		struct record header;
		uint64_t length;

		if (!object_record(shelf, ranges[i].object, &header))
			return shelf_fail(shelf, -EINVAL,
					  "shelf %s: range %zu is of no object that was got from it",
					  shelf->name, i);
		length = header.value_bytes;
		if (ranges[i].bytes > length || ranges[i].offset > length - ranges[i].bytes)
			return shelf_fail(shelf, -EINVAL,
					  "shelf %s: range %zu ends behind its object, of %zu bytes",
					  shelf->name, i, (size_t)length);
		*bytes += sizeof(struct record_range) + ranges[i].bytes;
		if (*bytes > shelf->max_heap)
			return shelf_fail(shelf, -E2BIG,
					  "shelf %s can never hold what the ranges hold; add fewer "
					  "at once",
					  shelf->name);
	}
	return 0;
}

/*
 * Commits that have written to its objects: before the undo record's fence they are covered, and
 * after it erased, which the fences cover that come before it is erased itself. For objects that
 * come later they need not be covered again.
 */
static int cover_commits(struct hmem_tx *tx)
{
	int err = covers_make(tx);

	if (err)
		return err;
	/* Those before have been looked at. */
	FOR_EACH_BLOCK(tx->shelf, tx->writer->slot->tx, block) {
		FOR_EACH_ENTRY(block, e) {
			const struct cover *cover;

			if (!e->owned || !(e->link & LINK_WRITTEN))
				continue;
			cover = covers_find(tx, e->link);
			if (cover && !cover->found)
				STORE(&e->link, 0);
		}
		if (shelf_offset(tx->shelf, block) == tx->covered)
			break;
	}
	tx->covered = tx->writer->slot->tx;
	return 0;
}

static void erase_commits(struct hmem_tx *tx)
{
	for (size_t i = tx->erased; i < tx->nr_covers; i++) {
		if (!tx->covers[i].found)
			continue;
		record_erase(tx->writer, LINK_OFFSET(tx->covers[i].link));
		tx->covers[tx->erased++] = tx->covers[i];
	}
	tx->nr_covers = tx->erased;
}

/* Who has memory for an undo record, which is @at; or NULL. */
static struct tx_entry *take_undo(struct hmem_tx *tx, uint64_t bytes, uint64_t *at, int *err)
{
	struct tx_entry *e = tx_entry_new(tx, err);

	if (!e)
		return NULL;
	*err = heap_take(tx->writer, bytes, SHELF_GRANULE_SHIFT, at);
	if (!*err)
		*err = tx_entry_own(tx->writer, e, *at);
	if (!*err)
		return e;
	tx_entry_return(tx);
	return NULL;
}

/* Of one that has not been composed. What cannot be given back yet, its entry keeps. */
static void give_undo(struct hmem_tx *tx, struct tx_entry *e)
{
	heap_give_from(tx->writer, &e->at, e->granules, 0);
	if (e->at)
		return;
	STORE(&e->granules, 0);
	tx_entry_return(tx);
}

/* The objects are the transaction's. */
static int make_undo(struct hmem_tx *tx, const struct hmem_range *ranges, size_t nr,
		     uint64_t bytes)
{
	struct writer *writer = tx->writer;
	struct record header;
	uint64_t at, seq;
	int err;
	struct tx_entry *e = take_undo(tx, bytes, &at, &err);

	if (!e)
		return err == -ENOSPC ? object_no_space(tx->shelf, "an undo record", bytes) : err;
	err = tx->nr_covers > tx->erased ? cover_commits(tx) : 0;
	if (!err)
		err = next_seq(writer, 0, &seq);
	if (err) {
		commit_uncover(writer);
		give_undo(tx, e);
		return err;
	}
	/* From here on it may be on the media, and would count: nothing but the fence can fail. */
	compose_undo(tx, at, seq, ranges, nr, bytes);
	for (size_t i = 0; i < nr; i++)
		if ((at = object_record(tx->shelf, ranges[i].object, &header)))
			object_seal(writer, at);
	err = fence(writer);
	if (!err) {
		STORE(&e->undo, ++tx->undos);
		tx->held += bytes;
		erase_commits(tx);
	}
	commit_uncover(writer);
	return err;
}

static int do_tx_add(struct hmem_tx *tx, const struct hmem_range *ranges, size_t nr)
{
	struct tx_entry *e;
	uint64_t bytes;
	int err;

	if (!tx)
		return -EINVAL;
	err = tx_check(tx);
	if (!err && !ranges && nr)
		err = shelf_fail(tx->shelf, -EINVAL, "adding ranges: there are no %zu ranges", nr);
	if (!err)
		err = check_ranges(tx, ranges, nr, &bytes);
	if (err || !nr)
		return err;
	for (size_t i = 0; i < nr && !err; i++) {
		struct record header;
		uint64_t at = object_record(tx->shelf, ranges[i].object, &header);

		err = at ? tx_own(tx, at, &e) : shelf_damaged(tx->shelf);
	}
	return err ? err : make_undo(tx, ranges, nr, bytes);
}

int hmem_tx_add(struct hmem_tx *tx, const struct hmem_range *ranges, size_t nr)
{
	return SIGBUS_GUARDED(tx ? tx->shelf : NULL, do_tx_add(tx, ranges, nr));
}
