// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memory that transactions give back: what one that is given up had taken, and what those that were
 * made have replaced, or needed for their commit. It is free when its erasure is durable, which it
 * is with some fence to come; tx_slot.c says of which when.
 */
#include <errno.h>
#include <string.h>

#include "shelf_record.h"
#include "shelf_tx.h"

/*
 * So many blocks wait, or what they have replaced is as large, before it is worth looking what can
 * be freed; and so many are kept then.
 */
#ifndef BLOCKS_KEPT
#define BLOCKS_KEPT 8u
#endif
#define BYTES_HELD 65536u

/* --- giving back --------------------------------------------------------------------- */

/* The block that @from leads to has nothing any more, and is kept, or given back. */
static int block_give(struct writer *writer, uint64_t *from)
{
	struct slot *slot = writer->slot;
	uint64_t at = LOAD(from);
	struct tx_block *block = tx_block_at(writer->shelf, at);

	if (!block)
		return shelf_damaged(writer->shelf);
	if (writer->dead || writer->tx_spares == BLOCKS_KEPT)
		return heap_give_from(writer, from, TX_BLOCK_GRANULES, block->link);
	/* Until it is a spare one it is needed to get at those behind it, and not one that is open. */
	memset(block->entry, 0, sizeof(block->entry));
	STORE(&block->commit, 0);
	STORE(&block->written, 0);
	STORE(&block->voided, 0);
	redo_add(writer, &block->fences, 0);
	redo_add(writer, &slot->tx_spare, at);
	redo_add(writer, from, block->link);
	redo_add(writer, &block->link, slot->tx_spare);
	redo_apply(writer);
	writer->tx_spares++;
	return 0;
}

int tx_drop_spare(struct writer *writer)
{
	uint64_t *from = &writer->slot->tx_spare, left = tx_most_blocks(writer->shelf), at;
	int err = 0;

	while (!err && (at = LOAD(from))) {
		struct tx_block *block = tx_block_at(writer->shelf, at);

		if (!block || !left--)
			return shelf_damaged(writer->shelf);
		err = heap_give_from(writer, from, TX_BLOCK_GRANULES, block->link);
	}
	if (!err)
		writer->tx_spares = 0;
	return err;
}

/* Give back what the first block has taken, and if nothing else hangs there the block. */
static int give_block(struct writer *writer)
{
	struct slot *slot = writer->slot;
	struct tx_block *block = tx_block_at(writer->shelf, LOAD(&slot->tx));
	bool waits = false;
	int err;

	if (!block)
		return shelf_damaged(writer->shelf);
	FOR_EACH_ENTRY(block, e) {
		/* What a name has is not replaced. */
		if (e->index)
			STORE(&e->old, 0);
		if (e->undo)
			undo_void(writer, e);
		waits = waits || e->old;
		if (e->at) {
			err = heap_give_from(writer, &e->at, e->granules, 0);
			if (err)
				return err;
		}
	}
	if (!waits)
		return block_give(writer, &slot->tx);
	STORE(&block->commit, 0);
	STORE(&block->fences, slot->fence_seq);
	redo_add(writer, &slot->tx, block->link);
	redo_add(writer, &block->link, slot->tx_done);
	redo_add(writer, &slot->tx_done, shelf_offset(writer->shelf, block));
	redo_apply(writer);
	return 0;
}

int tx_give_back(struct writer *writer)
{
	uint64_t left = tx_most_blocks(writer->shelf);
	int err = 0;

	while (writer->slot->tx && !err)
		err = left-- ? give_block(writer) : shelf_damaged(writer->shelf);
	return err;
}

/*
 * Those that a fence was made behind: what they have replaced is erased for good, and what they
 * have made does not need the commit any more. How many blocks there are.
 */
static unsigned int void_commits(struct writer *writer)
{
	unsigned int nr = 0;

	if (!writer->slot->tx_done)
		return 0;
	/* Who frees them for us, and has taken one away, sees this, or we that it is gone. */
	commit_cover_begin(writer);
	FOR_EACH_BLOCK(writer->shelf, writer->slot->tx_done, block) {
		if (!block->voided && block->fences != writer->slot->fence_seq)
			commit_void(writer, block);
		nr++;
	}
	commit_uncover(writer);
	return nr;
}

/* Of a block that a fence was made behind, what is erased for good: at most TX_ENTRIES + 1. */
static unsigned int erased_of(struct writer *writer, struct tx_block *block, uint64_t **words)
{
	unsigned int nr = 0;

	FOR_EACH_ENTRY(block, e)
		if (e->old)
			words[nr++] = &e->old;
	if (block->commit && block->voided <= writer->slot->fence_seq)
		words[nr++] = &block->commit;
	return nr;
}

static int retire(struct writer *writer)
{
	struct slot *slot = writer->slot;
	uint64_t *words[BLOCKS_KEPT * (TX_ENTRIES + 1)];
	unsigned int nr = 0;

	FOR_EACH_BLOCK(writer->shelf, slot->tx_done, block) {
		if (block->fences == slot->fence_seq)
			continue;
		if (nr > (BLOCKS_KEPT - 1) * (TX_ENTRIES + 1)) {
			int err = limbo_retire(writer, words, nr);

			if (err)
				return err;
			nr = 0;
		}
		nr += erased_of(writer, block, words + nr);
	}
	return nr ? limbo_retire(writer, words, nr) : 0;
}

static int reclaim_locked(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct slot *slot = writer->slot;
	uint64_t *from = &slot->tx_done, left = tx_most_blocks(shelf), at, commit;
	int err = retire(writer);

	/* Of the last one all has to wait for a fence. */
	writer->tx_held = writer->tx_held_last;
	while (!err && (at = LOAD(from))) {
		struct tx_block *block = tx_block_at(shelf, at);

		if (!block || !left--)
			return shelf_damaged(shelf);
		commit = LOAD(&block->commit);
		if (block->fences != slot->fence_seq && !commit) {
			err = block_give(writer, from);
			continue;
		}
		/* One that was erased just now has to wait for another. */
		if (block->fences != slot->fence_seq && shelf_reach_block(shelf, commit))
			writer->tx_held += record_load(shelf, commit).value_bytes;
		from = &block->link;
	}
	return err;
}

int tx_reclaim(struct writer *writer, bool all)
{
	uint32_t *lock = &writer->slot->tx_lock;
	unsigned int blocks = void_commits(writer);
	int err;

	if (!blocks || (!all && blocks < BLOCKS_KEPT && writer->tx_held < BYTES_HELD))
		return 0;
	/* Who covers what one of ours has written may stop: there is a next time. */
	if (!lock_try(writer, lock)) {
		err = all ? lock_take(writer, lock) : -EAGAIN;
		if (err)
			return err == -EAGAIN ? 0 : err;
	}
	err = reclaim_locked(writer);
	lock_drop(writer, lock);
	return err;
}

/* --- for one that does nothing ------------------------------------------------------- */

/* What the word names; @commit: a commit. */
typedef int step_fn(struct writer *writer, uint64_t *word, uint64_t at, bool commit);

static int step_word(struct writer *writer, uint64_t *word, bool commit, step_fn *step)
{
	uint64_t at = LOAD(word);

	if (!at)
		return 0;
	return shelf_reach_block(writer->shelf, at) ? step(writer, word, at, commit) :
						      shelf_damaged(writer->shelf);
}

/*
 * All that blocks from @at on lead to, a word each, goes through @step, which ends it by anything
 * but 0. The blocks may be anybody's.
 */
static int each_left(struct writer *writer, uint64_t at, step_fn *step)
{
	struct hmem_shelf *shelf = writer->shelf;
	uint64_t left = tx_most_blocks(shelf);
	int err = 0;

	while (at && !err) {
		struct tx_block *block = tx_block_at(shelf, at);

		if (!block || !left--)
			return shelf_damaged(shelf);
		FOR_EACH_ENTRY(block, e)
			err = err ? err : step_word(writer, &e->old, false, step);
		err = err ? err : step_word(writer, &block->commit, true, step);
		at = LOAD(&block->link);
	}
	return err;
}

/* What they have erased of others is as little for good as what they have replaced. */
static int write_back_erased(struct writer *writer, uint64_t at)
{
	uint64_t left = tx_most_blocks(writer->shelf), last = 0;

	while (at) {
		struct tx_block *block = tx_block_at(writer->shelf, at);

		if (!block || !left--)
			return shelf_damaged(writer->shelf);
		tx_erased_write_back(writer, block, &last);
		at = LOAD(&block->link);
	}
	return 0;
}

static int step_any(struct writer *writer, uint64_t *word, uint64_t at, bool commit)
{
	(void)writer;
	(void)word;
	(void)at;
	(void)commit;
	return 1;
}

/* What was replaced is erased; who deletes the name next does not come by it any more. */
static int step_write_back(struct writer *writer, uint64_t *word, uint64_t at, bool commit)
{
	(void)word;
	if (commit)
		commit_write_back(writer, at);
	else
		block_write_back(writer, at);
	return 0;
}

static int step_erase(struct writer *writer, uint64_t *word, uint64_t at, bool commit)
{
	(void)word;
	if (commit)
		record_erase(writer, at);
	return 0;
}

/* Into the writer's own ring, as long as there is room. */
static int step_take(struct writer *writer, uint64_t *word, uint64_t at, bool commit)
{
	struct slot *slot = writer->slot;

	(void)commit;
	if (slot->ring_head - slot->ring_tail >= SLOT_RING)
		return 1;
	redo_add(writer, word, 0);
	limbo_redo(writer, &at, 1);
	redo_apply(writer);
	return 0;
}

/*
 * Under the list's lock, so that nothing leaves it; what is added meanwhile comes before @first.
 * All that a commit has made is durable with the first fence, and so is the erasure of what it
 * needs not be there, the commits of others that it has written over and what it has replaced; then
 * it can be erased itself: before it is taken away, as who writes to the same objects looks for it
 * there. 1: not all of it found room.
 */
static int take_locked(struct writer *writer, uint64_t first)
{
	int err = write_back_erased(writer, first);

	if (!err)
		err = each_left(writer, first, step_write_back);
	if (!err)
		err = fence(writer);
	if (!err)
		err = each_left(writer, first, step_erase);
	if (!err)
		err = fence(writer);
	return err ? err : each_left(writer, first, step_take);
}

/* Blocks that all has been taken from stay, and are their owner's to remove. */
static int has_left(struct writer *writer, struct slot *slot)
{
	int err;

	/* When it is locked, somebody is at it already. */
	if (!LOAD(&slot->tx_done) || !lock_try(writer, &slot->tx_lock))
		return 0;
	err = each_left(writer, LOAD(&slot->tx_done), step_any);
	lock_drop(writer, &slot->tx_lock);
	return err;
}

int tx_take_left(struct writer *writer, struct slot *slot)
{
	int err;

	while ((err = has_left(writer, slot)) == 1) {
		uint64_t tail;

		/* Not with the other's lock in hand. */
		err = limbo_empty(writer);
		tail = writer->slot->ring_head;
		if (err || !lock_try(writer, &slot->tx_lock))
			return err;
		err = take_locked(writer, LOAD(&slot->tx_done));
		lock_drop(writer, &slot->tx_lock);
		if (err < 0 || writer->slot->ring_head == tail)
			break;
	}
	return err == 1 ? 0 : err;
}
