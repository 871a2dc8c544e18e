// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What becomes of a writer whose process died.
 *
 * Whoever holds the byte of his slot acts as he, in two steps. First what makes the shelf
 * whole again: the redo words are applied, a record that nobody was told of is erased, a
 * tombstone that nobody was told of becomes a record again, and when one fence has made all
 * that durable his locks are let go. This waits for nobody, so it can be done with
 * any lock held. Then what gives his memory back: that takes locks, and is left to somebody
 * else, or to a later time, by those who hold one that it might have to wait for.
 *
 * Both can be begun again when whoever was at it dies as well.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "shelf.h"
#include "shelf_lock.h"
#include "shelf_ordered.h"
#include "shelf_record.h"
#include "shelf_tx.h"
#include "shelf_type.h"

/* --- whose it is --------------------------------------------------------------------- */

static bool has(const struct writer *list, unsigned int id)
{
	while (list && list->id != id)
		list = list->next;
	return list;
}

bool own_writer(struct hmem_shelf *shelf, unsigned int id)
{
	bool own;

	pthread_mutex_lock(&shelf->lock);
	own = has(shelf->writers, id) || has(shelf->repairs, id);
	pthread_mutex_unlock(&shelf->lock);
	return own;
}

/*
 * Only the owner holds the slot's byte without the one beside it. They cannot be looked at in one:
 * who has both may die after the one was seen held, and somebody else begin before the other is.
 * So the one beside is looked at first. Whoever is not the owner and has the slot's byte after that was
 * free has taken both since, and counted before that: no death in between, of anybody, hides it.
 */
static bool owner_holds(struct hmem_shelf *shelf, unsigned int id)
{
	const struct slot *slot = shelf_slot(shelf, id);
	uint32_t takes = LOAD(&slot->takes);

	return !byte_held(shelf->lock_fd, repair_byte(shelf, id)) &&
	       byte_held(shelf->lock_fd, slot_byte(shelf, id)) &&
	       LOAD(&slot->takes) == takes;
}

bool owner_lives(struct hmem_shelf *shelf, unsigned int id)
{
	bool lives, ours;

	pthread_mutex_lock(&shelf->lock);
	lives = has(shelf->writers, id);
	ours = lives || has(shelf->repairs, id);
	pthread_mutex_unlock(&shelf->lock);
	return ours ? lives : owner_holds(shelf, id);
}

/* The bytes keep other handles away, the list this one's threads. */
static int repair_begin(struct hmem_shelf *shelf, struct writer *dead, unsigned int id)
{
	int err;

	pthread_mutex_lock(&shelf->lock);
	err = own_writer(shelf, id) ? -EAGAIN : slot_bytes_lock(shelf, id);
	if (!err) {
		writer_init(dead, shelf, id);
		STORE(&dead->slot->repairer, (int32_t)getpid());
		dead->dead = true;
		dead->repairer = pthread_self();
		dead->next = shelf->repairs;
		shelf->repairs = dead;
	}
	pthread_mutex_unlock(&shelf->lock);
	return err;
}

static void repair_end(struct hmem_shelf *shelf, const struct writer *dead)
{
	struct writer **from = &shelf->repairs;

	pthread_mutex_lock(&shelf->lock);
	while (*from != dead)
		from = &(*from)->next;
	*from = dead->next;
	slot_bytes_unlock(shelf, dead->id);
	pthread_mutex_unlock(&shelf->lock);
}

/* --- is it what a writer can have left? ---------------------------------------------- */

static uint64_t chunks_offset(const struct hmem_shelf *shelf)
{
	return shelf_offset(shelf, shelf->chunks);
}

/* A word in the volatile metadata, or in the heap; mapped afterwards. */
bool slot_word_sane(struct hmem_shelf *shelf, uint64_t at)
{
	if (at & (sizeof(uint64_t) - 1))
		return false;
	if (at < shelf->heap_offset)
		return at >= SHELF_RUNTIME_OFFSET &&
		       at < chunks_offset(shelf) + shelf_frontier(shelf) * sizeof(struct chunk);
	return shelf_reach_bytes(shelf, at, sizeof(uint64_t));
}

bool slot_block_sane(struct hmem_shelf *shelf, uint64_t at)
{
	return !(at & (SHELF_GRANULE - 1)) && at >= shelf->heap_offset && slot_word_sane(shelf, at);
}

/* One whose lengths can be believed. */
static bool is_record(struct hmem_shelf *shelf, uint64_t at)
{
	struct record header;

	if (!shelf_reach_block(shelf, at))
		return false;
	header = record_load(shelf, at);
	return record_fits(shelf, at, &header);
}

/* Half a word, or the upper half of a bucket's head. */
static bool is_lock(struct hmem_shelf *shelf, uint64_t what)
{
	if (what & LOCK_IN_BUCKET)
		return slot_word_sane(shelf, what & ~(uint64_t)LOCK_IN_BUCKET);
	return !(what & (sizeof(uint32_t) - 1)) &&
	       slot_word_sane(shelf, what & ~(uint64_t)(sizeof(uint64_t) - 1));
}

static bool is_sane(struct hmem_shelf *shelf, const struct slot *slot)
{
	uint64_t room = shelf->heap_offset +
			(shelf_frontier(shelf) << SHELF_CHUNK_SHIFT);

	if ((slot->deleting && !is_record(shelf, slot->deleting)) ||
	    (slot->unsealed && !is_record(shelf, slot->unsealed)) ||
	    (slot->publishing && !is_record(shelf, slot->publishing)) ||
	    (slot->fresh && slot->fresh_granules &&
	     (!slot_block_sane(shelf, slot->fresh) ||
	      slot->fresh_granules > (room - slot->fresh) >> SHELF_GRANULE_SHIFT)) ||
	    (slot->freeing && (!slot_block_sane(shelf, slot->freeing) ||
			       slot->freeing_end <= slot->freeing || slot->freeing_end > room)))
		return false;
	for (unsigned int i = 0; i < SLOT_TYPES; i++)
		if (slot->types[i] && !is_record(shelf, slot->types[i]))
			return false;
	for (unsigned int i = 0; i < SLOT_LOCKS; i++)
		if (slot->locks[i] && !is_lock(shelf, slot->locks[i]))
			return false;
	return true;
}

/* The ring's counters follow one another, and it holds blocks. */
static bool ring_is_sane(struct hmem_shelf *shelf, const struct slot *slot)
{
	/* Others may be freeing what is in it. */
	uint64_t tail = LOAD(&slot->ring_tail), fenced = LOAD(&slot->ring_fenced);
	uint64_t head = slot->ring_head;

	if (head - tail > SLOT_RING || fenced - tail > head - tail ||
	    slot->ring_erased - fenced > head - fenced)
		return false;
	for (uint64_t i = tail; i != head; i++)
		if (!shelf_reach_block(shelf, LOAD(&slot->ring[i % SLOT_RING])))
			return false;
	return true;
}

/* --- the first step ------------------------------------------------------------------ */

/* From the innermost outwards: what is held further out may have been waiting for it. */
enum level { LEVEL_CHUNK, LEVEL_LIST, LEVEL_RING, LEVEL_SPLIT, LEVEL_OTHER, LEVELS };

static bool in_slots(const struct hmem_shelf *shelf, uint64_t what)
{
	return what >= SHELF_SLOTS_OFFSET && what < chunks_offset(shelf);
}

/* Or else that of a list of transactions. */
static bool is_ring_lock(uint64_t what)
{
	return (what - SHELF_SLOTS_OFFSET) % SLOT_BYTES == offsetof(struct slot, ring_lock);
}

static enum level level_of(const struct hmem_shelf *shelf, uint64_t what)
{
	const uint32_t *lock = shelf_at(shelf, what);

	if (what & LOCK_IN_BUCKET)
		return LEVEL_OTHER;
	if (what >= chunks_offset(shelf) && what < shelf->heap_offset)
		return LEVEL_CHUNK;
	if (in_slots(shelf, what))
		return LEVEL_RING;
	if (lock == &shelf->runtime->limbo_lock || lock == &shelf->runtime->run_lock)
		return LEVEL_LIST;
	return lock == &shelf->runtime->split_lock ? LEVEL_SPLIT : LEVEL_OTHER;
}

/* Noted and taken: what is only noted is somebody else's, or nobody's. */
bool slot_lock_held(const struct writer *writer, uint64_t what)
{
	const struct hmem_shelf *shelf = writer->shelf;

	if (!what || !is_lock(writer->shelf, what))
		return false;
	if (what & LOCK_IN_BUCKET) {
		const struct bucket *bucket = shelf_at(shelf, what & ~(uint64_t)LOCK_IN_BUCKET);

		return LOAD(&bucket->head) >> 48 == writer->id + 1;
	}
	return LOAD((const uint32_t *)shelf_at(shelf, what)) == writer->id + 1;
}

static void let_go(struct writer *dead, uint64_t what)
{
	struct hmem_shelf *shelf = dead->shelf;
	uint32_t *lock = shelf_at(shelf, what);

	if (what & LOCK_IN_BUCKET) {
		bucket_drop(dead, shelf_at(shelf, what & ~(uint64_t)LOCK_IN_BUCKET));
		return;
	}
	if (level_of(shelf, what) == LEVEL_CHUNK)
		heap_repair(dead, (what - chunks_offset(shelf)) / sizeof(struct chunk));
	else if (lock == &shelf->runtime->limbo_lock)
		limbo_repair(dead);
	else if (in_slots(shelf, what) && is_ring_lock(what))
		limbo_ring_repair(dead, (what - SHELF_SLOTS_OFFSET) / SLOT_BYTES);
	else if (lock == &shelf->runtime->split_lock)
		index_settle_split(dead);
	lock_drop(dead, lock);
}

static void let_go_all(struct writer *dead)
{
	for (int level = LEVEL_CHUNK; level < LEVELS; level++) {
		for (unsigned int i = 0; i < SLOT_LOCKS; i++) {
			uint64_t what = LOAD(&dead->slot->locks[i]);

			if (!what)
				continue;
			if (!slot_lock_held(dead, what))
				lock_forget(dead, what);
			else if ((int)level_of(dead->shelf, what) == level)
				let_go(dead, what);
		}
	}
}

/*
 * What stands in the slot is undone or finished on the media, where it may have got or
 * not: all of it again, as the dead one's write-backs may have been lost with him.
 */
static int make_whole(struct writer *dead)
{
	struct hmem_shelf *shelf = dead->shelf;
	struct slot *slot = dead->slot;
	uint64_t deleting = LOAD(&slot->deleting), unsealed;
	int err;

	if (deleting && shelf_reach_block(shelf, deleting)) {
		union record_word word;

		/* It was not acknowledged, and must not happen when nobody expects it. */
		word.word = LOAD((uint64_t *)shelf_at(shelf, deleting));
		if (word.state == RECORD_TOMB)
			record_move(shelf, deleting, &word.word, RECORD_SEALED);
		write_back(dead, shelf_at(shelf, deleting), sizeof(uint64_t));
	}
	/* It had just begun to be given back. */
	if (slot->fresh && slot->fresh == slot->freeing)
		STORE(&slot->fresh, 0);
	/* Of a block without granules nothing had been found to be free. */
	if (slot->fresh && slot->fresh_granules) {
		/* It may be durable; then the name's next update must not find it so. */
		record_erase(dead, slot->fresh);
	}
	if (slot->publishing && slot->publishing == slot->freeing)
		STORE(&slot->publishing, 0);
	if (slot->publishing)
		record_erase(dead, slot->publishing);
	/* The next to update a name counts on this fence for the one before the last. */
	limbo_erase(dead);
	writer_seal(dead);
	types_write_back(dead);
	unsealed = LOAD(&slot->unsealed);
	if (shelf_reach_block(shelf, unsealed))
		write_back(dead, shelf_at(shelf, unsealed), sizeof(uint64_t));
	err = fence(dead);
	if (err)
		return err;
	STORE(&slot->deleting, 0);
	STORE(&slot->unsealed, 0);
	return 0;
}

static int slot_release(struct writer *dead)
{
	struct hmem_shelf *shelf = dead->shelf;
	struct slot *slot = dead->slot;
	int err = 0;

	for (unsigned int i = 0; i < SLOT_PINS; i++)
		STORE(&slot->pins[i], 0);
	if (!redo_again(dead) || !is_sane(shelf, slot) || !ring_is_sane(shelf, slot) ||
	    !tx_is_sane(shelf, slot))
		err = -EUCLEAN;
	if (!err) {
		/* Who uses his new types counts on the first fence that is made for him. */
		types_write_back(dead);
		err = tx_release(dead);
	}
	if (err == -EUCLEAN)
		return shelf_fail(shelf, err, "shelf %s: what writer %u left makes no sense",
				  shelf->name, dead->id);
	if (!err)
		err = make_whole(dead);
	if (err)
		return err;
	ordered_settle_dead(dead);
	tx_unlock(dead, UINT64_MAX);
	tx_disown(dead, UINT64_MAX);
	commit_uncover(dead);
	writes_end(dead);
	let_go_all(dead);
	STORE(&slot->chunk, 0);
	STORE(&slot->whole, 1);
	return 0;
}

/* --- the second step ----------------------------------------------------------------- */

static int slot_settle(struct writer *writer)
{
	struct slot *slot = writer->slot;
	int err = heap_give_again(writer);

	if (!err && slot->fresh)
		err = heap_drop_fresh(writer);
	if (!err)
		err = tx_give_back(writer);
	if (!err) {
		writer_seal(writer);
		err = fence(writer);
	}
	if (!err)
		STORE(&slot->unsealed, 0);
	if (!err)
		err = reservations_drop(writer);
	if (!err)
		err = tx_reclaim(writer, true);
	if (!err)
		err = limbo_empty(writer);
	if (!err)
		err = tx_drop_spare(writer);
	if (!err)
		err = ordered_reclaim(writer, 1);
	if (!err)
		STORE(&slot->chunk, 0);
	return err;
}

int slot_retire(struct writer *writer)
{
	int err = slot_release(writer);

	return err ? err : slot_settle(writer);
}

/* Does it hold a lock for which giving memory back may have to wait? */
static bool holds_inner(const struct writer *writer)
{
	for (unsigned int i = 0; i < SLOT_LOCKS; i++) {
		uint64_t what = LOAD(&writer->slot->locks[i]);

		if (slot_lock_held(writer, what) && level_of(writer->shelf, what) <= LEVEL_RING)
			return true;
	}
	return false;
}

/* @settle: its memory, too, is to be given back. */
static int take(struct hmem_shelf *shelf, struct writer *writer, unsigned int id, bool settle)
{
	struct writer dead;
	int err;

	if (id >= shelf->nr_slots)
		return shelf_fail(shelf, -EUCLEAN, "shelf %s: a lock names writer %u, of %u",
				  shelf->name, id, shelf->nr_slots);
	err = repair_begin(shelf, &dead, id);
	if (err)
		return err;
	if (LOAD(&dead.slot->used)) {
		hmem_log(shelf->ctx, HMEM_LOG_INFO, "shelf %s: process %d died in it", shelf->name,
			 (int)LOAD(&dead.slot->pid));
		err = slot_release(&dead);
		/* Not one takeover inside another: there may be many. */
		if (!err && settle && (!writer || (!writer->dead && !holds_inner(writer)))) {
			err = slot_settle(&dead);
			if (!err)
				STORE(&dead.slot->used, 0);
		}
	}
	repair_end(shelf, &dead);
	return err;
}

int takeover(struct hmem_shelf *shelf, struct writer *writer, unsigned int id)
{
	return take(shelf, writer, id, true);
}

int takeover_all(struct hmem_shelf *shelf, struct writer *writer)
{
	bool settle = true;
	int err = 0;

	for (unsigned int id = 0; id < shelf->nr_slots; id++) {
		int failed;

		if (!LOAD(&shelf_slot(shelf, id)->used) || own_writer(shelf, id) ||
		    byte_held(shelf->lock_fd, slot_byte(shelf, id)))
			continue;
		failed = take(shelf, writer, id, settle);
		if (failed && failed != -EAGAIN)
			err = failed;
		/* Whoever keeps a lock keeps it from all of them: it is waited for once. */
		settle = settle && failed != -EBUSY;
	}
	return err;
}

/* It may be taken up by somebody new, or by somebody else who puts it in order, at any time. */
static bool is_half_done(struct hmem_shelf *shelf, unsigned int id)
{
	const struct slot *slot = shelf_slot(shelf, id);

	return LOAD(&slot->used) && !LOAD(&slot->whole) && !own_writer(shelf, id) &&
	       !owner_lives(shelf, id);
}

static int undoing_for_long(struct hmem_shelf *shelf, const struct slot *slot)
{
	int dead = (int)LOAD(&slot->pid), by = (int)LOAD(&slot->repairer);

	if (!by)
		return shelf_fail(shelf, -EBUSY,
				  "shelf %s: somebody keeps the lock for undoing what dead process %d "
				  "was doing; try again, or see in /proc/locks who",
				  shelf->name, dead);
	return shelf_fail(shelf, -EBUSY,
			  "shelf %s: process %d undoes what dead process %d was doing, and does not "
			  "come to an end; try again, or see what stops it",
			  shelf->name, by, dead);
}

int takeover_await(struct hmem_shelf *shelf)
{
	int64_t deadline = now_ms() + shelf->wait_ms;

	for (unsigned int id = 0; id < shelf->nr_slots; id++) {
		/* Whoever was at it may have died: then it is for us. */
		while (is_half_done(shelf, id) && takeover(shelf, NULL, id) == -EAGAIN) {
			if (now_ms() > deadline)
				return undoing_for_long(shelf, shelf_slot(shelf, id));
			sched_yield();
		}
	}
	return 0;
}
