// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Limbo: blocks that are no longer what their name means and not yet free.
 *
 * A replaced or deleted record goes into its writer's ring when the index no longer leads
 * to it. It is erased, which is durable after that writer's next fence, whatever that is
 * for. Then its memory is free, unless somebody has pinned it: such blocks wait on a list
 * of the shelf that all writers look after.
 *
 * Most of a ring is freed when it is half full: the ring of a thread that does nothing holds on
 * to what may be large. A writer that finds no memory makes a fence for what others have
 * erased, and frees that; and of a record that another has replaced it forgets that its
 * writer is yet to seal it.
 *
 * Pins: a reader stores a record's offset in its slot, with a full barrier, and then
 * looks whether the index still leads there. Whoever frees has taken the record out of
 * the index, makes a full barrier, and then looks at the pins. One of the two sees the
 * other. A writer's last record counts as pinned, since its owner is yet to seal it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "shelf.h"
#include "shelf_record.h"
#include "shelf_tx.h"

/* More are rare: then they are collected in memory that the writer keeps. */
#define FEW_PINS 4096

/* Looked through as they are: to order them would take longer. */
#define FEW_ENOUGH 16

/*
 * @everything: nothing is to be freed: somebody wants that, or there is no memory for all pins
 */
struct pins {
	uint64_t few[FEW_PINS];
	uint64_t *at;
	unsigned int nr, room;
	bool everything;
};

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Room for all that there can be. Whoever acts for a dead one has no place to keep it. */
static bool pins_extend(struct writer *writer, struct pins *pins)
{
	size_t room = (size_t)writer->shelf->nr_slots * (SLOT_PINS + 1);

	if (!writer->many_pins && !writer->dead)
		writer->many_pins = malloc(room * sizeof(uint64_t));
	if (!writer->many_pins || pins->nr >= room)
		return false;
	memcpy(writer->many_pins, pins->at, pins->nr * sizeof(uint64_t));
	pins->at = writer->many_pins;
	pins->room = (unsigned int)room;
	return true;
}

static void pins_add(struct writer *writer, struct pins *pins, uint64_t at)
{
	if (!at || pins->everything)
		return;
	if (at == PIN_EVERYTHING || (pins->nr == pins->room && !pins_extend(writer, pins)))
		pins->everything = true;
	else
		pins->at[pins->nr++] = at;
}

/* What is pinned by anybody. */
static void pins_collect(struct writer *writer, struct pins *pins)
{
	const struct hmem_shelf *shelf = writer->shelf;
	unsigned int slots;

	pins->at = pins->few;
	pins->nr = 0;
	pins->room = FEW_PINS;
	pins->everything = false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* Whoever raises that has pinned nothing yet. */
	slots = LOAD(&shelf->runtime->slots_top);
	for (unsigned int id = 0; id < shelf->nr_slots && id < slots; id++) {
		struct slot *slot = shelf_slot(shelf, id);
		uint64_t top;

		if (!LOAD(&slot->used))
			continue;
		pins_add(writer, pins, LOAD(&slot->unsealed));
		if (LOAD(&slot->covering))
			pins->everything = true;
		top = LOAD(&slot->pin_top);
		if (top > SLOT_PINS)
			top = SLOT_PINS;
		for (uint64_t i = 0; i < top; i++)
			pins_add(writer, pins, LOAD(&slot->pins[i]));
	}
	if (pins->nr > FEW_ENOUGH)
		qsort(pins->at, pins->nr, sizeof(pins->at[0]), compare);
}

static bool pinned(const struct pins *pins, uint64_t at)
{
	if (pins->everything)
		return true;
	if (pins->nr > FEW_ENOUGH)
		return bsearch(&at, pins->at, pins->nr, sizeof(pins->at[0]), compare);
	for (unsigned int i = 0; i < pins->nr; i++)
		if (pins->at[i] == at)
			return true;
	return false;
}

/* What others have retired may lie where nothing is mapped here yet, or outside of the shelf. */
static int retired_reach(struct hmem_shelf *shelf, uint64_t at)
{
	if (shelf_reach_block(shelf, at))
		return 0;
	if (atomic_load(&shelf->map_error))
		return shelf_damaged(shelf);
	return shelf_fail(shelf, -EUCLEAN, "shelf %s: a retired block lies outside of it",
			  shelf->name);
}

static int granules_of(struct hmem_shelf *shelf, uint64_t at, uint64_t *granules)
{
	struct record header;
	int err = retired_reach(shelf, at);

	*granules = 0;
	if (err)
		return err;
	header = record_load(shelf, at);
	if (!record_fits(shelf, at, &header))
		return shelf_fail(shelf, -EUCLEAN,
				  "shelf %s: the retired block at %#" PRIx64 " is damaged",
				  shelf->name, at);
	*granules = record_granules(at, &header);
	return 0;
}

/* --- the ring ------------------------------------------------------------------------ */

static uint64_t *ring_at(struct slot *slot, uint64_t i)
{
	return &slot->ring[i % SLOT_RING];
}

void limbo_redo(struct writer *writer, const uint64_t *at, unsigned int nr)
{
	struct slot *slot = writer->slot;

	for (unsigned int i = 0; i < nr; i++)
		redo_add(writer, ring_at(slot, slot->ring_head + i), at[i]);
	redo_add(writer, &slot->ring_head, slot->ring_head + nr);
}

void limbo_erase(struct writer *writer)
{
	struct slot *slot = writer->slot;

	for (unsigned int left = SLOT_RING; left && slot->ring_erased != slot->ring_head; left--) {
		record_unmake(writer->shelf, LOAD(ring_at(slot, slot->ring_erased)));
		STORE(&slot->ring_erased, slot->ring_erased + 1);
	}
}

/*
 * Put a block that is pinned on the shelf's list. It leaves the ring of @slot, which is locked.
 * -EAGAIN: the list is locked, and the ring has room enough not to wait for that.
 */
static int ring_to_list(struct writer *writer, struct slot *slot, uint64_t at, bool wait)
{
	struct runtime *rt = writer->shelf->runtime;
	int err = retired_reach(writer->shelf, at);

	if (err)
		return err;
	if (!lock_try(writer, &rt->limbo_lock)) {
		err = wait ? lock_take(writer, &rt->limbo_lock) : -EAGAIN;
		if (err)
			return err;
	}
	STORE(&((struct record *)shelf_at(writer->shelf, at))->link, rt->limbo);
	STORE(&rt->limbo, at);
	STORE(&slot->ring_tail, slot->ring_tail + 1);
	lock_drop(writer, &rt->limbo_lock);
	return 0;
}

static int ring_free(struct writer *writer, struct slot *slot, uint64_t at)
{
	uint64_t granules;
	int err = granules_of(writer->shelf, at, &granules);

	if (!err)
		err = heap_give_begin(writer, at, granules);
	if (err)
		return err;
	STORE(&slot->ring_tail, slot->ring_tail + 1);
	return heap_give_again(writer);
}

/*
 * All of a locked ring that may be freed, up to @end: what was in it before @pins were
 * collected. Its owner may be adding to it, and of that nobody has looked at the pins yet.
 */
static int ring_drain(struct writer *writer, struct slot *slot, uint64_t end,
		      const struct pins *pins, bool wait)
{
	uint64_t nr = end - LOAD(&slot->ring_tail);
	int err = 0;

	if (nr > SLOT_RING)
		return shelf_damaged(writer->shelf);
	/* They have left the cache when they were written back. */
	for (uint64_t i = end - nr; i != end; i++)
		shelf_prefetch(writer->shelf, LOAD(ring_at(slot, i)));
	for (; !err && nr; nr--) {
		uint64_t at = LOAD(ring_at(slot, LOAD(&slot->ring_tail)));

		err = pinned(pins, at) ? ring_to_list(writer, slot, at, wait) :
					 ring_free(writer, slot, at);
	}
	return err;
}

/* Whoever held its lock has died: the block at the tail is in one place only. */
void limbo_ring_repair(struct writer *writer, uint64_t id)
{
	struct slot *slot = shelf_slot(writer->shelf, (unsigned int)id);

	if (slot->ring_tail != slot->ring_fenced && writer->slot->freeing &&
	    *ring_at(slot, slot->ring_tail) == writer->slot->freeing)
		STORE(&slot->ring_tail, slot->ring_tail + 1);
}

/* --- the list ------------------------------------------------------------------------ */

static uint64_t *list_next(const struct hmem_shelf *shelf, uint64_t at)
{
	return &((struct record *)shelf_at(shelf, at))->link;
}

static int list_reclaim(struct writer *writer, struct pins *pins, bool wait)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct runtime *rt = shelf->runtime;
	uint64_t *from, left = shelf_most_blocks(shelf);
	int err = 0;

	if (!lock_try(writer, &rt->limbo_lock)) {
		err = wait ? lock_take(writer, &rt->limbo_lock) : -EAGAIN;
		if (err)
			return err;
	}
	/* Not those of before: what others have added since may have been pinned since. */
	pins_collect(writer, pins);
	for (from = &rt->limbo; !err && !pins->everything;) {
		uint64_t at = LOAD(from), granules = 0;

		if (!at)
			break;
		err = left-- ? granules_of(shelf, at, &granules) : shelf_damaged(shelf);
		if (err)
			break;
		if (pinned(pins, at)) {
			from = list_next(shelf, at);
			continue;
		}
		err = heap_give_begin(writer, at, granules);
		if (err)
			break;
		STORE(from, *list_next(shelf, at));
		err = heap_give_again(writer);
	}
	lock_drop(writer, &rt->limbo_lock);
	return err;
}

void limbo_repair(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct runtime *rt = shelf->runtime;
	struct slot *slot = writer->slot;
	/* More than there can be is a damaged list, which may have no end. */
	uint64_t blocks = shelf_chunks(shelf) * SHELF_CHUNK_GRANULES, *from, at;

	for (unsigned int id = 0; id < shelf->nr_slots; id++) {
		struct slot *other = shelf_slot(shelf, id);

		if (LOAD(&other->ring_lock) == writer->id + 1 &&
		    other->ring_tail != other->ring_fenced &&
		    *ring_at(other, other->ring_tail) == rt->limbo)
			STORE(&other->ring_tail, other->ring_tail + 1);
	}
	for (from = &rt->limbo; slot->freeing && (at = LOAD(from)) && blocks--;
	     from = list_next(shelf, at)) {
		if (!shelf_reach_block(shelf, at))
			break;
		if (at == slot->freeing) {
			STORE(from, *list_next(shelf, at));
			break;
		}
	}
}

/* --- blocks that wait elsewhere ------------------------------------------------------ */

/* Which is @at. */
static int word_to_list(struct writer *writer, uint64_t *word, uint64_t at)
{
	struct runtime *rt = writer->shelf->runtime;
	int err = retired_reach(writer->shelf, at);

	if (!err)
		err = lock_take(writer, &rt->limbo_lock);
	if (err)
		return err;
	STORE(list_next(writer->shelf, at), rt->limbo);
	redo_add(writer, &rt->limbo, at);
	redo_add(writer, word, 0);
	redo_apply(writer);
	lock_drop(writer, &rt->limbo_lock);
	return 0;
}

int limbo_retire(struct writer *writer, uint64_t *const *words, unsigned int nr)
{
	struct pins pins;
	int err = 0;

	pins_collect(writer, &pins);
	for (unsigned int i = 0; i < nr && !err; i++) {
		uint64_t at = LOAD(words[i]), granules;

		if (pinned(&pins, at)) {
			err = word_to_list(writer, words[i], at);
			continue;
		}
		err = granules_of(writer->shelf, at, &granules);
		if (!err)
			err = heap_give_from(writer, words[i], granules, 0);
	}
	return err;
}

/* --- both ---------------------------------------------------------------------------- */

int limbo_reclaim(struct writer *writer, bool all)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct slot *slot = writer->slot;
	struct pins pins;
	uint64_t fenced;
	int err = 0;

	if (all) {
		limbo_erase(writer);
		err = fence(writer);
		if (err)
			return err;
	}
	err = lock_take(writer, &slot->ring_lock);
	if (err)
		return err;
	fenced = LOAD(&slot->ring_fenced);
	pins_collect(writer, &pins);
	err = ring_drain(writer, slot, fenced, &pins, all);
	lock_drop(writer, &slot->ring_lock);
	if (!err && (all || !(slot->ring_tail & 0x1ff)) && LOAD(&shelf->runtime->limbo))
		err = list_reclaim(writer, &pins, all);
	if (!err)
		err = tx_reclaim(writer, all);
	return err == -EAGAIN ? 0 : err;
}

/* What has been erased in a locked ring is durable from now on, as with its owner's next fence. */
static int ring_fence(struct writer *writer, struct slot *slot)
{
	uint64_t erased = LOAD(&slot->ring_erased), fenced = LOAD(&slot->ring_fenced);
	int err;

	if (fenced >= erased)
		return 0;
	if (!limbo_write_back(writer, slot))
		return shelf_fail(writer->shelf, -ENOMEM,
				  "shelf %s: a part of it that others have retired cannot be mapped here",
				  writer->shelf->name);
	err = fence(writer);
	if (err)
		return err;
	/* By now he may have made one himself, for more. */
	while (fenced < erased &&
	       !__atomic_compare_exchange_n(&slot->ring_fenced, &fenced, erased, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	return 0;
}

bool limbo_write_back(struct writer *writer, struct slot *slot)
{
	/* In this order: both only grow, and its owner may be at work. */
	uint64_t fenced = LOAD(&slot->ring_fenced), erased = LOAD(&slot->ring_erased);

	bool all = true;

	/* What is further back has been overwritten, after a fence of its owner's. */
	if (erased - fenced > SLOT_RING)
		fenced = erased - SLOT_RING;
	for (uint64_t i = fenced; i != erased; i++) {
		uint64_t at = LOAD(ring_at(slot, i));

		/* Of one that is at work it may be another by now: no harm. */
		if (shelf_reach_block(writer->shelf, at))
			write_back(writer, shelf_at(writer->shelf, at), SHELF_GRANULE);
		else
			all = false;
	}
	return all;
}

static int reclaim_other(struct writer *writer, unsigned int id)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct slot *slot = shelf_slot(shelf, id);
	uint64_t last = LOAD(&slot->unsealed), tail, held;
	struct pins pins;
	int err;

	/* Replaced, and erased by whoever did that: there is nothing to seal. */
	if (last && shelf_reach_block(shelf, last)) {
		union record_word word;

		word.word = LOAD((uint64_t *)shelf_at(shelf, last));
		if (word.state == RECORD_FREE)
			__atomic_compare_exchange_n(&slot->unsealed, &last, 0, false,
						    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	}
	tail = LOAD(&slot->ring_tail);
	held = LOAD(&slot->ring_erased) - tail;
	/* When it is locked, somebody is at it already. */
	if (id == writer->id || !held || held > SLOT_RING || !lock_try(writer, &slot->ring_lock))
		return 0;
	err = ring_fence(writer, slot);
	if (!err) {
		uint64_t fenced = LOAD(&slot->ring_fenced);

		pins_collect(writer, &pins);
		err = ring_drain(writer, slot, fenced, &pins, true);
	}
	lock_drop(writer, &slot->ring_lock);
	return err;
}

int limbo_reclaim_others(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	int err = 0;

	for (unsigned int id = 0; id < shelf->nr_slots && !err; id++)
		if (LOAD(&shelf_slot(shelf, id)->used))
			err = reclaim_other(writer, id);
	for (unsigned int id = 0; id < shelf->nr_slots && !err; id++)
		if (id != writer->id && LOAD(&shelf_slot(shelf, id)->used))
			err = tx_take_left(writer, shelf_slot(shelf, id));
	return err;
}

int limbo_room(struct writer *writer, unsigned int blocks)
{
	struct slot *slot = writer->slot;
	uint64_t tail = LOAD(&slot->ring_tail);
	int err = 0;

	if (LOAD(&slot->ring_fenced) - tail >= SLOT_RING / 2)
		err = limbo_reclaim(writer, false);
	if (!err && slot->ring_head - LOAD(&slot->ring_tail) + blocks > SLOT_RING)
		err = limbo_reclaim(writer, true);
	return err;
}

int limbo_empty(struct writer *writer)
{
	return limbo_reclaim(writer, true);
}

/* Of a record that is pinned, and erased. What is unpinned meanwhile may be anything. */
static uint64_t retired_bytes(struct hmem_shelf *shelf, uint64_t at)
{
	struct record header;

	if (at & (SHELF_GRANULE - 1) || !shelf_holds(shelf, at, sizeof(header)))
		return 0;
	RACY_READS_BEGIN();
	header = record_load(shelf, at);
	RACY_READS_END();
	if (header.state != RECORD_FREE || !record_fits(shelf, at, &header))
		return 0;
	return record_granules(at, &header) << SHELF_GRANULE_SHIFT;
}

/* All that is retired, about: others go on meanwhile. */
static uint64_t all_retired_bytes(struct hmem_shelf *shelf)
{
	uint64_t bytes = 0, at = LOAD(&shelf->runtime->limbo);

	for (unsigned int i = 0; i < 1u << 20 && at; i++) {
		uint64_t block = at & ~(uint64_t)(SHELF_GRANULE - 1);

		if (!shelf_in_heap(shelf, block) ||
		    !shelf_in_heap(shelf, block + sizeof(struct record) - 1))
			break;
		bytes += retired_bytes(shelf, block);
		at = LOAD(list_next(shelf, block));
	}
	for (unsigned int id = 0; id < shelf->nr_slots; id++) {
		struct slot *slot = shelf_slot(shelf, id);

		for (uint64_t i = LOAD(&slot->ring_tail), n = 0;
		     i != LOAD(&slot->ring_head) && n < SLOT_RING; i++, n++)
			bytes += retired_bytes(shelf, LOAD(ring_at(slot, i)));
	}
	return bytes;
}

int limbo_holder(struct hmem_shelf *shelf, uint64_t *bytes)
{
	int pid = 0;

	*bytes = 0;
	for (unsigned int id = 0; id < shelf->nr_slots; id++) {
		struct slot *slot = shelf_slot(shelf, id);
		uint64_t top = LOAD(&slot->pin_top), here = 0;

		if (!LOAD(&slot->used))
			continue;
		for (uint64_t i = 0; i < top && i < SLOT_PINS; i++) {
			uint64_t at = LOAD(&slot->pins[i]);

			here += at == PIN_EVERYTHING ? all_retired_bytes(shelf) :
						       retired_bytes(shelf, at);
		}
		if (here > *bytes) {
			*bytes = here;
			pid = (int)LOAD(&slot->pid);
		}
	}
	return pid;
}
