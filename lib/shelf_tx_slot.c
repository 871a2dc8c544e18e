// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a transaction has in its writer's slot: a list, of any length, of the memory that it
 * took, the locks that it holds and the words that it is about to store. So whoever finds
 * the writer dead can give all of it back, or apply it.
 *
 * An open transaction has memory, of which nothing is a record. While it is committed
 * members and commit are records, and durable at some time that only the writer knows. Then
 * slot->tx_forward says that they are: from the first entry that was stored in the index,
 * which readers may have seen, it has happened; before that it has not.
 *
 * Once applied, its blocks wait in slot->tx_done. What it replaced is erased: that is
 * durable, and the memory free, after the writer's next fence. That one has also made durable
 * that the members are sealed and what was written, so that they need the commit no more: only
 * then is that erased, and free after one more fence. Others may look for it there, so that blocks
 * leave this list under a lock; some at a time, as a put frees what is in its ring.
 */
#include <errno.h>
#include <string.h>

#include "shelf_record.h"
#include "shelf_tx.h"

/* --- taking -------------------------------------------------------------------------- */

static int block_new(struct writer *writer)
{
	struct slot *slot = writer->slot;
	struct tx_block *block;
	uint64_t at = LOAD(&slot->tx_spare);
	int err;

	if (at) {
		block = tx_block_at(writer->shelf, at);
		if (!block)
			return shelf_damaged(writer->shelf);
		redo_add(writer, &slot->tx_spare, block->link);
		redo_add(writer, &block->link, slot->tx);
		redo_add(writer, &slot->tx, at);
		redo_apply(writer);
		writer->tx_spares--;
		return 0;
	}
	err = heap_take(writer, sizeof(*block) - sizeof(struct record), SHELF_GRANULE_SHIFT, &at);
	if (err)
		return err;
	block = shelf_at(writer->shelf, at);
	memset(block, 0, sizeof(*block));
	STORE(&block->link, slot->tx);
	redo_add(writer, &slot->tx, at);
	redo_add(writer, &slot->fresh, 0);
	redo_apply(writer);
	return 0;
}

struct tx_entry *tx_entry_new(struct hmem_tx *tx, int *err)
{
	struct slot *slot = tx->writer->slot;
	struct tx_block *block;

	*err = 0;
	if (!slot->tx || tx->block_used == TX_ENTRIES) {
		*err = block_new(tx->writer);
		if (*err)
			return NULL;
		tx->blocks++;
		tx->block_used = 0;
	}
	block = tx_block_at(tx->shelf, LOAD(&slot->tx));
	if (!block) {
		*err = shelf_damaged(tx->shelf);
		return NULL;
	}
	return &block->entry[tx->block_used++];
}

int tx_entry_own(struct writer *writer, struct tx_entry *entry, uint64_t at)
{
	struct slot *slot = writer->slot;
	uint64_t before = LOAD(&entry->at);
	/* What is being given back stands in one place. */
	int err = before ? heap_give_again(writer) : 0;

	if (err)
		return err;
	if (before) {
		redo_add(writer, &slot->freeing_end,
			 before + (entry->granules << SHELF_GRANULE_SHIFT));
		redo_add(writer, &slot->freeing, before);
	}
	redo_add(writer, &entry->at, at);
	redo_add(writer, &entry->granules, slot->fresh_granules);
	redo_add(writer, &slot->fresh, 0);
	redo_apply(writer);
	/* That is done. What cannot be given back now stands in the slot, for the next to try. */
	heap_give_again(writer);
	return 0;
}

int tx_commit_take(struct hmem_tx *tx, uint64_t bytes, uint64_t *at)
{
	struct writer *writer = tx->writer;
	int err;
	struct tx_entry *entry = tx_entry_new(tx, &err);

	if (!entry)
		return err;
	err = heap_take(writer, bytes, SHELF_GRANULE_SHIFT, at);
	if (!err)
		err = tx_entry_own(writer, entry, *at);
	if (!err) {
		struct tx_block *block = tx_block_at(tx->shelf, LOAD(&writer->slot->tx));

		if (!block)
			return shelf_damaged(tx->shelf);
		STORE(&block->written, tx->nr_writes);
		STORE(&block->commit, *at);
	}
	return err;
}

/* --- is it what a writer can have left? ---------------------------------------------- */

static bool member_is_sane(struct hmem_shelf *shelf, const struct tx_entry *e, bool forward)
{
	uint64_t room = shelf->heap_offset +
			(shelf_frontier(shelf) << SHELF_CHUNK_SHIFT);
	uint64_t at = LOAD(&e->at);
	struct undo_view view;
	struct record header;

	if (!shelf_reach_block(shelf, at) || at >= room ||
	    e->granules > (room - at) >> SHELF_GRANULE_SHIFT)
		return false;
	if (e->undo)
		return undo_look(shelf, at, &view);
	header = record_load(shelf, at);
	return !forward || record_fits(shelf, at, &header);
}

static bool is_none_or_block(struct hmem_shelf *shelf, uint64_t at)
{
	return !at || shelf_reach_block(shelf, at);
}

/* @forward: to be applied */
static bool entry_is_sane(struct hmem_shelf *shelf, const struct tx_entry *e, bool forward)
{
	return (!e->at || member_is_sane(shelf, e, forward)) && is_none_or_block(shelf, e->old) &&
	       is_none_or_block(shelf, e->owned) &&
	       (!e->owned || !(e->link & LINK_WRITTEN) ||
		shelf_reach_block(shelf, LINK_OFFSET(e->link))) &&
	       (e->written <= 1 || shelf_reach_block(shelf, e->written)) &&
	       (!e->index || slot_word_sane(shelf, e->index)) &&
	       (!e->lock || (slot_word_sane(shelf, e->lock & ~(uint64_t)LOCK_IN_BUCKET) &&
			     e->lock & LOCK_IN_BUCKET));
}

static bool block_is_sane(struct hmem_shelf *shelf, struct tx_block *block, bool forward)
{
	FOR_EACH_ENTRY(block, e)
		if (!entry_is_sane(shelf, e, forward))
			return false;
	return is_none_or_block(shelf, block->commit);
}

static bool blocks_are_sane(struct hmem_shelf *shelf, uint64_t at, bool forward)
{
	uint64_t left = tx_most_blocks(shelf);

	while (at) {
		struct tx_block *block = tx_block_at(shelf, at);

		if (!block || !left-- || !block_is_sane(shelf, block, forward))
			return false;
		at = LOAD(&block->link);
	}
	return true;
}

bool tx_is_sane(struct hmem_shelf *shelf, const struct slot *slot)
{
	return (slot->tx || !slot->tx_forward) &&
	       blocks_are_sane(shelf, slot->tx, slot->tx_forward) &&
	       blocks_are_sane(shelf, slot->tx_done, false) &&
	       blocks_are_sane(shelf, slot->tx_spare, false);
}

/* --- applying ------------------------------------------------------------------------ */

/*
 * Its value does not change any more; what is sealed already is written back once more. While
 * its name is locked others can but seal it as well: so a store will do, for which the processor
 * need not wait until all before it is done.
 */
static void seal(struct writer *writer, uint64_t at)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct record header;

	if (!shelf_reach_block(shelf, at))
		return;
	header = record_load(shelf, at);
	if ((header.state == RECORD_MEMBER || header.state == RECORD_PENDING) &&
	    record_fits(shelf, at, &header))
		STORE((uint64_t *)shelf_at(shelf, at),
		      record_word(shelf, at, &header, RECORD_SEALED,
				  header.kind == RECORD_OBJECT ?
					  0 : record_value_crc(shelf, at, &header)));
	write_back(writer, shelf_at(shelf, at), sizeof(uint64_t));
}

void undo_void(struct writer *writer, struct tx_entry *e)
{
	uint64_t at = LOAD(&e->at);

	record_erase(writer, at);
	redo_add(writer, &e->old, at);
	redo_add(writer, &e->at, 0);
	redo_add(writer, &e->undo, 0);
	redo_apply(writer);
}

/* What the names of @at's block, and of those behind it, lead to. */
static bool show(struct writer *writer, uint64_t at, bool made_up)
{
	struct hmem_shelf *shelf = writer->shelf;
	uint64_t left = tx_most_blocks(shelf);

	while (at) {
		struct tx_block *block = tx_block_at(shelf, at);

		if (!block || !left-- || (made_up && !block_is_sane(shelf, block, true)))
			return false;
		FOR_EACH_ENTRY(block, e) {
			uint64_t index = LOAD(&e->index);

			if (!index)
				continue;
			if (!shelf_reach_word(shelf, index))
				return false;
			STORE((uint64_t *)shelf_at(shelf, index), e->value);
		}
		at = LOAD(&block->link);
	}
	return true;
}

/*
 * @made_up: the list may be anybody's; then nothing of it is believed that has been looked at before
 * something else of it was stored. So may one's own be, if somebody has stored there since: of that
 * it is only known that each step stays inside of the shelf.
 */
static bool apply(struct writer *writer, bool made_up)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct slot *slot = writer->slot;
	struct tx_block *last = NULL;
	uint64_t commit = 0, written = 0, left = tx_most_blocks(shelf);

	if (!show(writer, LOAD(&slot->tx), made_up))
		return false;
	for (uint64_t at = LOAD(&slot->tx); at; at = LOAD(&last->link)) {
		struct tx_block *block = tx_block_at(shelf, at);

		if (!block || !left-- || (made_up && !block_is_sane(shelf, block, true)))
			return false;
		FOR_EACH_ENTRY(block, e) {
			if (made_up && !entry_is_sane(shelf, e, true))
				return false;
			if (e->undo)
				undo_void(writer, e);
			else if (e->at)
				seal(writer, LOAD(&e->at));
			if (made_up && !entry_is_sane(shelf, e, true))
				return false;
			if (e->old)
				record_erase(writer, LOAD(&e->old));
		}
		if (block->commit) {
			commit = LOAD(&block->commit);
			written = block->written;
		}
		STORE(&block->fences, slot->fence_seq);
		last = block;
	}
	if (!last || (made_up && (!is_none_or_block(shelf, commit) || !tx_is_sane(shelf, slot))))
		return false;
	if (written)
		writes_apply(writer, commit);
	redo_add(writer, &slot->objects, slot->tx_objects);
	redo_add(writer, &slot->commit, commit);
	redo_add(writer, &slot->unsealed, 0);
	redo_add(writer, &last->link, slot->tx_done);
	redo_add(writer, &slot->tx_done, slot->tx);
	redo_add(writer, &slot->tx, 0);
	redo_add(writer, &slot->tx_forward, 0);
	redo_apply(writer);
	return true;
}

int tx_apply(struct writer *writer)
{
	return apply(writer, false) ? 0 : shelf_damaged(writer->shelf);
}

uint64_t tx_link_of(struct writer *writer, uint64_t at)
{
	FOR_EACH_BLOCK(writer->shelf, writer->slot->tx, block)
		FOR_EACH_ENTRY(block, e)
			if (e->owned == at)
				return e->link;
	return 0;
}

static uint64_t *link_of(const struct hmem_shelf *shelf, uint64_t at)
{
	return &((struct record *)shelf_at(shelf, at))->link;
}

/* As many of these blocks as @most says, less those that were there. */
static void disown(struct writer *writer, const uint64_t *blocks, uint64_t *most)
{
	struct hmem_shelf *shelf = writer->shelf;

	FOR_EACH_BLOCK(shelf, *blocks, block) {
		if (!*most)
			return;
		--*most;
		FOR_EACH_ENTRY(block, e) {
			uint64_t ours = link_owned_by(shelf, writer->id);
			uint64_t owned = LOAD(&e->owned);

			if (!owned)
				continue;
			/* Somebody else's by now, if the one whom we act for died here. */
			if (shelf_reach_block(shelf, owned))
				__atomic_compare_exchange_n(link_of(shelf, owned), &ours, e->link,
							    false, __ATOMIC_ACQ_REL,
							    __ATOMIC_RELAXED);
			STORE(&e->owned, 0);
		}
	}
}

void tx_disown(struct writer *writer, uint64_t most)
{
	disown(writer, &writer->slot->tx, &most);
	disown(writer, &writer->slot->tx_done, &most);
}

static void unlock(struct writer *writer, const uint64_t *blocks, uint64_t *most)
{
	FOR_EACH_BLOCK(writer->shelf, *blocks, block) {
		if (!*most)
			return;
		--*most;
		FOR_EACH_ENTRY(block, e) {
			uint64_t lock = LOAD(&e->lock), at = lock & ~(uint64_t)LOCK_IN_BUCKET;

			if (lock & LOCK_IN_BUCKET && slot_lock_held(writer, lock))
				bucket_drop(writer, shelf_at(writer->shelf, at));
			STORE(&e->lock, 0);
		}
	}
}

void tx_unlock(struct writer *writer, uint64_t most)
{
	unlock(writer, &writer->slot->tx, &most);
	unlock(writer, &writer->slot->tx_done, &most);
}

/* --- for a dead one ------------------------------------------------------------------ */

/* Has a reader been able to see any of it? */
static bool shown(const struct hmem_shelf *shelf, const struct slot *slot)
{
	FOR_EACH_BLOCK(shelf, slot->tx, block) {
		FOR_EACH_ENTRY(block, e) {
			uint64_t index = LOAD(&e->index);

			if (index && shelf_reach_word(shelf, index))
				return LOAD((uint64_t *)shelf_at(shelf, index)) == e->value;
		}
	}
	return true;
}

/* Members and commit, if it has one, are not to count. */
static void erase_names(struct writer *writer)
{
	FOR_EACH_BLOCK(writer->shelf, writer->slot->tx, block)
		FOR_EACH_ENTRY(block, e)
			if (e->at && !e->undo)
				record_erase(writer, LOAD(&e->at));
}

static int undo(struct writer *dead)
{
	int err = 0;

	erase_names(dead);
	if (!undo_first(dead))
		return 0;
	/* As long as the commit might count, the undo records do not. */
	err = fence(dead);
	return err ? err : undo_roll_back(dead);
}

/* What these blocks may have erased. */
static void erased_write_back(struct writer *dead, uint64_t blocks)
{
	FOR_EACH_BLOCK(dead->shelf, blocks, block) {
		/* With all that it lists: an erased one was when that was durable. */
		if (block->commit)
			commit_write_back(dead, LOAD(&block->commit));
		FOR_EACH_ENTRY(block, e) {
			block_write_back(dead, LOAD(&e->old));
			block_write_back(dead, LOAD(&e->written));
		}
	}
}

int tx_release(struct writer *dead)
{
	struct hmem_shelf *shelf = dead->shelf;
	struct slot *slot = dead->slot;
	int err;

	if (slot->tx_forward && shown(shelf, slot) && !apply(dead, true))
		return -EUCLEAN;
	STORE(&slot->tx_forward, 0);
	err = undo(dead);
	/* Whatever that has stored where. */
	if (!err && !tx_is_sane(shelf, slot))
		err = -EUCLEAN;
	if (err == -EUCLEAN)
		return err;
	/* One that was being given up may have voided its undo records. */
	erased_write_back(dead, slot->tx);
	erased_write_back(dead, slot->tx_done);
	return err;
}
