// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Committing: all that a transaction does to names, under one fence.
 *
 * Its names are locked from before it looks what they have until all of it is applied; in
 * the order of their buckets, with the index kept from being split meanwhile, so
 * that no two wait for one another. Ranges that it has changed in place are durable before.
 * Then everything that can fail is done. Then its members
 * are made records, in a state in which they count only if the commit does, and the commit
 * lists them and what is deleted. The fence makes these durable, and as that of any update
 * the erasures that were left to it (cover_predecessor()).
 *
 * If the power goes before, some member or the commit may be missing, and then none counts.
 * Afterwards a member may be replaced and erased by somebody else; he makes durable first that
 * the commit is sealed, so that this counts without it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "shelf_ordered.h"
#include "shelf_record.h"
#include "shelf_seq.h"
#include "shelf_tx.h"
#include "shelf_update.h"

/* --- names --------------------------------------------------------------------------- */

static int by_bucket(const void *a, const void *b)
{
	const struct tx_name *x = *(struct tx_name *const *)a, *y = *(struct tx_name *const *)b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* The split lock is held. */
static int lock_in_order(struct hmem_tx *tx)
{
	struct hmem_shelf *shelf = tx->shelf;
	int err = 0;

	for (size_t i = 0; i < tx->nr; i++) {
		struct tx_name *name = tx->names[i];

		name->bucket = index_bucket(shelf, name->hash, &name->number);
		if (!name->bucket)
			return shelf_damaged(shelf);
	}
	qsort(tx->names, tx->nr, sizeof(struct tx_name *), by_bucket);
	for (size_t i = 0; i < tx->nr && !err; i++)
		if (!i || tx->names[i]->bucket != tx->names[i - 1]->bucket)
			err = bucket_take_noted(tx->writer, tx->names[i]->bucket,
						&tx->names[i]->entry->lock);
	return err;
}

static int lock_names(struct hmem_tx *tx)
{
	uint32_t *lock = &tx->shelf->runtime->split_lock;
	int err = lock_take(tx->writer, lock);

	if (err)
		return err;
	err = lock_in_order(tx);
	lock_drop(tx->writer, lock);
	return err;
}

/* Where one looks for room for a new name: behind what the others of this bucket get. */
struct place {
	struct bucket *first;
	struct bucket *bucket;
	unsigned int entry;
};

static int find_room(struct hmem_tx *tx, struct tx_name *name, struct place *from)
{
	unsigned int links = 0, left = INDEX_LINKS_MAX;
	struct bucket *bucket;
	uint64_t *room;
	int err;

	if (from->first != name->bucket)
		*from = (struct place){ name->bucket, name->bucket, 0 };
	for (bucket = from->bucket; bucket; bucket = index_next(tx->shelf, bucket)) {
		if (links++ > INDEX_LINKS_MAX)
			return shelf_damaged(tx->shelf);
		if (bucket != from->bucket)
			*from = (struct place){ name->bucket, bucket, 0 };
		for (; from->entry < BUCKET_ENTRIES; from->entry++)
			if (!bucket->entry[from->entry])
				goto found;
	}
	err = index_extend(tx->writer, name->bucket, &room);
	if (err)
		return err;
	while ((bucket = index_follow(tx->shelf, from->bucket, &left)))
		*from = (struct place){ name->bucket, bucket, 0 };
found:
	room = &from->bucket->entry[from->entry++];
	name->entry->index = shelf_offset(tx->shelf, room);
	name->crowded = from->bucket != name->bucket;
	return 0;
}

/* What the locked name has, and what it will have. */
static int resolve(struct hmem_tx *tx, struct tx_name *name, struct place *room)
{
	struct hmem_shelf *shelf = tx->shelf;
	struct tx_entry *e = name->entry;
	uint64_t *none, *entry;
	int err = name_find(shelf, name->bucket, name->hash, name->name, name->name_bytes, &entry,
			    &none);

	if (err)
		return err;
	if (entry && name->flags & HMEM_PUT_CREATE)
		return shelf_fail(shelf, -EEXIST, "shelf %s has an object %s already", shelf->name,
				  name->name);
	if (!entry && name->flags & HMEM_PUT_REPLACE)
		return object_absent(shelf, name->name);
	if (!entry && name->what == TX_DELETE)
		name->what = TX_LEAVE;
	if (name->what == TX_LEAVE)
		return 0;
	if (name->what == TX_PUT)
		e->value = entry_make(name->hash, name->at);
	if (entry) {
		name->old = entry_offset(LOAD(entry));
		if (!shelf_reach_block(shelf, name->old))
			return shelf_damaged(shelf);
		/* What the transaction itself changes in place it may replace. */
		if (!object_is_mine(tx->writer, name->old))
			err = object_owner_check(tx->writer, name->old);
		if (err)
			return err;
		/* In this order: what is old, and has no index, has been replaced. */
		STORE(&e->index, shelf_offset(shelf, entry));
		STORE(&e->old, name->old);
		return name->what == TX_PUT ?
			       0 :
			       ordered_remove(tx->writer, name->name, name->name_bytes);
	}
	/* A record that cannot be found must not be durable. */
	return find_room(tx, name, room) ?:
	       ordered_add(tx->writer, name->hash, name->name, name->name_bytes);
}

/* --- records ------------------------------------------------------------------------- */

static void compose_member(struct hmem_tx *tx, struct tx_name *name)
{
	struct writer *writer = tx->writer;
	struct record header = {
		.kind = RECORD_OBJECT,
		.name_bytes = name->name_bytes & SHELF_NAME_MAX,
		.seq = name->seq & ((1ull << 56) - 1),
		.align_shift = (uint8_t)name->align_shift,
		.value_bytes = name->bytes & ((1ull << 44) - 1),
		.typed = name->typed,
		.link = LINK_MAKE(name->old, writer->id, writer->slot->fence_seq + 1) | LINK_MEMBER,
	};

	record_set_mark(&header, record_mark(tx->shelf, name->at));
	record_lay(tx->shelf, name->at, &header,
		   record_word(tx->shelf, name->at, &header, RECORD_MEMBER, name->crc));
	write_back(writer, shelf_at(tx->shelf, name->at),
		   name->written ? sizeof(header) : record_end(name->at, &header) - name->at);
}

/* What there is to do: names that get a record, records that are deleted or written to. */
static void count(const struct hmem_tx *tx, struct commit_head *head)
{
	*head = (struct commit_head){ .written = tx->nr_writes };
	for (size_t i = 0; i < tx->nr; i++) {
		head->members += tx->names[i]->what == TX_PUT;
		head->deleted += tx->names[i]->what == TX_DELETE;
	}
}

static uint64_t commit_bytes(const struct hmem_tx *tx, const struct commit_head *head)
{
	return sizeof(*head) +
	       ((uint64_t)head->members + head->deleted) * sizeof(struct commit_name) +
	       head->written * sizeof(struct record_range) + tx->written_bytes;
}

static void compose_commit(struct hmem_tx *tx, uint64_t at, uint64_t seq,
			   const struct commit_head *head)
{
	struct writer *writer = tx->writer;
	struct record header = {
		.kind = RECORD_COMMIT,
		.seq = seq & ((1ull << 56) - 1),
		.align_shift = SHELF_GRANULE_SHIFT,
		.value_bytes = commit_bytes(tx, head) & ((1ull << 44) - 1),
	};
	uint64_t value = record_value_offset(at, SHELF_GRANULE_SHIFT);
	struct commit_name *list = shelf_at(tx->shelf, value + sizeof(*head));
	struct commit_name *deleted = list + head->members;

	record_set_mark(&header, record_mark(tx->shelf, at));
	memcpy(shelf_at(tx->shelf, value), head, sizeof(*head));
	for (size_t i = 0; i < tx->nr; i++) {
		const struct tx_name *name = tx->names[i];

		if (name->what == TX_PUT)
			*list++ = (struct commit_name){ name->at, name->seq, name->hash };
		else if (name->what == TX_DELETE)
			*deleted++ = (struct commit_name){ name->old, name->seq, name->hash };
	}
	writes_compose(tx, (struct record_range *)deleted);
	record_lay(tx->shelf, at, &header,
		   record_word(tx->shelf, at, &header, RECORD_PENDING,
			       record_value_crc(tx->shelf, at, &header)));
	write_back(writer, shelf_at(tx->shelf, at), record_end(at, &header) - at);
}

/* --- all of it ----------------------------------------------------------------------- */

/* It is durable, and what is left is to show it. @objects: as many are the writer's now */
static int happened(struct hmem_tx *tx, uint64_t objects)
{
	struct writer *writer = tx->writer;
	int err;

	STORE(&writer->slot->tx_objects, objects);
	STORE(&writer->slot->tx_forward, 1);
	err = tx_apply(writer);
	writer->tx_held_last = tx->held;
	writer->tx_held += tx->held;
	return err;
}

/* The commit's is the highest. */
static int number_all(struct hmem_tx *tx, uint64_t *commit_seq)
{
	for (size_t i = 0; i < tx->nr; i++) {
		struct tx_name *name = tx->names[i];
		int err = name->what == TX_PUT ? next_seq(tx->writer, name->old, &name->seq) : 0;

		if (err)
			return err;
	}
	return next_seq(tx->writer, 0, commit_seq);
}

/* When all is numbered nothing can fail any more but the fence. */
static int make_durable(struct hmem_tx *tx, uint64_t commit, const struct commit_head *head)
{
	struct writer *writer = tx->writer;
	struct slot *slot = writer->slot;
	uint64_t objects = slot->objects, seq;
	int err = number_all(tx, &seq);

	if (err)
		return err;
	for (size_t i = 0; i < tx->nr; i++) {
		struct tx_name *name = tx->names[i];
		const struct record *old = shelf_at(tx->shelf, name->old);

		if (name->old)
			tx->held += old->value_bytes;
		cover_predecessor(writer, name->old);
		if (name->what == TX_PUT) {
			compose_member(tx, name);
			objects += !name->old;
		} else if (name->what == TX_DELETE) {
			name->seq = old->seq;
			raise_floor(tx->shelf, name->old);
			objects--;
		}
	}
	compose_commit(tx, commit, seq, head);
	writer_seal(writer);
	err = fence(writer);
	if (err)
		return err;
	tx->held += commit_bytes(tx, head);
	return happened(tx, objects);
}

/* Ranges alone: they are durable, and stay as they are when the first undo record is erased. */
static int make_ranges_durable(struct hmem_tx *tx)
{
	struct writer *writer = tx->writer;
	int err;

	record_erase(writer, tx->first);
	writer_seal(writer);
	err = fence(writer);
	if (err)
		return err;
	return happened(tx, writer->slot->objects);
}

static int make_locked(struct hmem_tx *tx)
{
	struct commit_head head;
	struct place room = { 0 };
	uint64_t commit;
	int err = 0;

	for (size_t i = 0; i < tx->nr && !err; i++)
		err = resolve(tx, tx->names[i], &room);
	if (err)
		return err == -ENOSPC ? object_no_space(tx->shelf, "a transaction", 0) : err;
	count(tx, &head);
	if (!head.members && !head.deleted && !head.written)
		return tx->undos ? make_ranges_durable(tx) : 0;
	if (tx->undos) {
		head.undo = tx->first;
		head.undo_seq = tx->first_seq;
	}
	err = tx_commit_take(tx, commit_bytes(tx, &head), &commit);
	if (err)
		return err == -ENOSPC ?
			       object_no_space(tx->shelf, "a commit", commit_bytes(tx, &head)) : err;
	err = writes_cover(tx);
	if (!err)
		err = make_durable(tx, commit, &head);
	commit_uncover(tx->writer);
	return err;
}

/* Names of calls that failed are none of its. */
static void leave_unnamed(struct hmem_tx *tx)
{
	size_t nr = 0;

	for (size_t i = 0; i < tx->nr; i++) {
		struct tx_name *name = tx->names[i];

		if (name->named)
			tx->names[nr++] = name;
		else
			free(name);
	}
	tx->nr = nr;
}

/*
 * While its names are locked the index does not grow, and all of them may be new: they are to find
 * as many buckets as they would have by themselves, as else the chains that each is looked for in
 * get as long as there are names. If that cannot be had they do get longer.
 */
static void widen_index(struct hmem_tx *tx)
{
	uint64_t *nr = &tx->shelf->runtime->nr_buckets, wanted = index_buckets_for(tx->nr);
	uint64_t before, put = 0;

	if (wanted <= LOAD(nr))
		return;
	for (size_t i = 0; i < tx->nr; i++)
		put += tx->names[i]->what == TX_PUT;
	wanted = index_buckets_for(put);
	do
		before = LOAD(nr);
	while (before < wanted && !index_split(tx->writer) && LOAD(nr) != before);
}

int tx_make(struct hmem_tx *tx)
{
	struct writer *writer = tx->writer;
	int err;

	leave_unnamed(tx);
	if (!tx->nr && !tx->undos && !tx->nr_writes) {
		tx_disown(writer, tx->blocks);
		return tx_give_back(writer);
	}
	widen_index(tx);
	/* What decides that ranges stay as they are must not be durable before they are. */
	if (tx->undos) {
		undo_write_back(writer);
		err = fence(writer);
		if (err)
			return err;
	}
	err = tx->nr_writes ? writes_begin(writer) : 0;
	if (!err && tx->nr)
		err = lock_names(tx);
	if (!err)
		err = make_locked(tx);
	ordered_settle(writer);
	tx_unlock(writer, tx->blocks);
	writes_end(writer);
	if (!err) {
		tx_disown(writer, tx->blocks);
		/* Of one that had nothing to do. */
		err = tx_give_back(writer);
	}
	ordered_reclaim(writer, ORDERED_WAITING);
	/* It has happened: whether the index could grow is another matter. */
	for (size_t i = 0; i < tx->nr && !err; i++)
		if (tx->names[i]->crowded)
			index_split(writer);
	return err;
}
