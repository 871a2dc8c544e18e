// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The heap: granules of 16 bytes, in chunks of 64 KiB with a bit for each granule.
 *
 * All of it is volatile: what is used follows from the records. A block lies inside one
 * chunk, or begins anywhere and covers the following ones from their beginning; what it
 * leaves of the last is free for others. A writer allocates from a chunk of its own
 * until that is full, and others keep away from it as long as there is room elsewhere.
 *
 * A chunk's lock covers its bits. slot->fresh names the block that is being taken, chunk by
 * chunk in ascending order, and slot->freeing what is left of the one that is being given
 * back, in the same order; each is brought up to date under the lock, by one store, so that
 * after a death it is known which bits to clear.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bits.h"
#include "crc32c.h"
#include "shelf.h"
#include "shelf_ordered.h"
#include "shelf_record.h"
#include "shelf_tx.h"

#define GRANULES SHELF_CHUNK_GRANULES

/* How many chunks are looked at before a new one is begun. */
#define PROBES 32

#define PREFETCH_BYTES 256

static struct chunk *chunk_at(const struct hmem_shelf *shelf, uint64_t number)
{
	return &shelf->chunks[number];
}

static uint64_t chunk_of(const struct hmem_shelf *shelf, uint64_t at)
{
	return (at - shelf->heap_offset) >> SHELF_CHUNK_SHIFT;
}

/* --- chunks -------------------------------------------------------------------------- */

/* Others look at it without the lock. */
static void count_free(struct chunk *chunk, int granules)
{
	STORE(&chunk->free, (uint16_t)(chunk->free + granules));
}

/* @at moved up so that the value behind a header there is aligned. */
static uint64_t align_block(uint64_t at, unsigned int align_shift)
{
	return record_value_offset(at, align_shift) - sizeof(struct record);
}

/* Free granules of a chunk for a block of @nr; GRANULES when there are none. */
static unsigned int find_room(const struct hmem_shelf *shelf, uint64_t number, unsigned int from,
			      unsigned int nr, unsigned int align_shift)
{
	const struct chunk *chunk = chunk_at(shelf, number);
	uint64_t begin = shelf->heap_offset + (number << SHELF_CHUNK_SHIFT);

	if (align_shift <= SHELF_GRANULE_SHIFT)
		return bits_clear_run(chunk->used, from, GRANULES, nr);
	while (from + nr <= GRANULES) {
		uint64_t at, skip;

		from = bits_clear_run(chunk->used, from, GRANULES, nr);
		at = begin + ((uint64_t)from << SHELF_GRANULE_SHIFT);
		skip = (align_block(at, align_shift) - at) >> SHELF_GRANULE_SHIFT;
		if (from == GRANULES || !skip)
			return from;
		if (skip >= GRANULES)
			break;
		from += (unsigned int)skip;
	}
	return GRANULES;
}

/* --- taking a block inside one chunk ------------------------------------------------- */

static int chunk_take(struct writer *writer, uint64_t number)
{
	struct chunk *chunk = chunk_at(writer->shelf, number);
	int err = shelf_chunks_here(writer->shelf, number + 1) > number ? 0 :
								      shelf_damaged(writer->shelf);

	if (!err)
		err = lock_take(writer, &chunk->lock);
	if (!err && !chunk_usable(writer->shelf, number)) {
		lock_drop(writer, &chunk->lock);
		err = -EUCLEAN;
	}
	return err;
}

/* The chunk is locked. */
static uint64_t take_from(struct writer *writer, uint64_t number, unsigned int nr,
			  unsigned int align_shift)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct chunk *chunk = chunk_at(shelf, number);
	struct slot *slot = writer->slot;
	unsigned int from = GRANULES;
	uint64_t at;

	if (chunk->free < nr)
		return 0;
	from = find_room(shelf, number, chunk->hint, nr, align_shift);
	if (from == GRANULES && chunk->hint)
		from = find_room(shelf, number, 0, nr, align_shift);
	if (from == GRANULES)
		return 0;
	at = shelf->heap_offset + (number << SHELF_CHUNK_SHIFT) +
	     ((uint64_t)from << SHELF_GRANULE_SHIFT);
	STORE(&slot->fresh_granules, nr);
	STORE(&slot->fresh, at);
	bits_set(chunk->used, from, nr, true);
	count_free(chunk, -(int)nr);
	chunk->hint = (uint16_t)(from + nr < GRANULES ? from + nr : 0);
	/* What is to be written now, and next time if that is free: it left the cache long ago. */
	for (uint64_t line = at; line < at + PREFETCH_BYTES; line += 64)
		__builtin_prefetch(shelf_at(shelf, line), 1);
	return at;
}

/* @wait: also for who has locked it; there are other chunks. */
static int try_chunk(struct writer *writer, uint64_t number, unsigned int nr,
		     unsigned int align_shift, bool wait, uint64_t *at)
{
	struct chunk *chunk = chunk_at(writer->shelf, number);
	int err;

	if (!lock_try(writer, &chunk->lock)) {
		err = wait ? chunk_take(writer, number) : -EAGAIN;
		if (err)
			return err == -EAGAIN ? 0 : err;
	}
	if (!chunk_usable(writer->shelf, number)) {
		lock_drop(writer, &chunk->lock);
		return -EUCLEAN;
	}
	*at = take_from(writer, number, nr, align_shift);
	lock_drop(writer, &chunk->lock);
	return 0;
}

/* From now on @number is the chunk that this writer allocates from; 0 + 1 counts from 1. */
static void settle(struct writer *writer, uint64_t number)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct slot *slot = writer->slot;
	uint64_t was = LOAD(&slot->chunk);

	if (was && was <= shelf_frontier(shelf))
		STORE(&chunk_at(shelf, was - 1)->owner, 0);
	STORE(&slot->chunk, number + 1);
	STORE(&chunk_at(shelf, number)->owner, (uint16_t)(writer->id + 1));
}

/* Somebody who lives allocates from it. */
static bool is_owned(const struct hmem_shelf *shelf, uint64_t number)
{
	unsigned int owner = LOAD(&chunk_at(shelf, number)->owner);

	return owner && owner <= shelf->nr_slots && LOAD(&shelf_slot(shelf, owner - 1)->used) &&
	       LOAD(&shelf_slot(shelf, owner - 1)->chunk) == number + 1;
}

/* --- the frontier -------------------------------------------------------------------- */

static uint64_t frontier_word(const struct hmem_shelf *shelf, uint64_t frontier)
{
	uint64_t covered[2] = { shelf->key, frontier };

	return frontier | (uint64_t)hmem_crc32c(~0u, covered, sizeof(covered)) << FRONTIER_BITS;
}

uint64_t heap_durable_frontier(const struct hmem_shelf *shelf, uint64_t chunks)
{
	uint64_t word = LOAD((uint64_t *)shelf_at(shelf, SHELF_FRONTIER_OFFSET));
	uint64_t frontier = word & ((1ull << FRONTIER_BITS) - 1);

	/* When in doubt, all of them. */
	return frontier_word(shelf, frontier) == word && frontier <= chunks ? frontier : chunks;
}

bool heap_frontier_good(const struct hmem_shelf *shelf)
{
	uint64_t word = LOAD((uint64_t *)shelf_at(shelf, SHELF_FRONTIER_OFFSET));

	return frontier_word(shelf, word & ((1ull << FRONTIER_BITS) - 1)) == word;
}

/*
 * A chunk is written to only when the frontier that covers it is durable. Otherwise what is
 * there when power is lost, a record perhaps that nobody was told of, would lie beyond the
 * frontier, survive the recovery, and come to light when the frontier is raised over it.
 * So that no fence is needed for that, the frontier is kept some chunks ahead.
 */
#ifndef FRONTIER_AHEAD
#define FRONTIER_AHEAD 16u
#endif

static uint64_t ahead(uint64_t frontier, uint64_t chunks)
{
	return frontier + FRONTIER_AHEAD < chunks ? frontier + FRONTIER_AHEAD : chunks;
}

void heap_reset_frontier(struct hmem_shelf *shelf, struct persist *persist)
{
	uint64_t *word = shelf_at(shelf, SHELF_FRONTIER_OFFSET);
	uint64_t chunks = atomic_load(&shelf->heap_mapped) >> SHELF_CHUNK_SHIFT;

	STORE(word, frontier_word(shelf, ahead(0, chunks)));
	persist_write_back(persist, word, sizeof(*word));
}

void heap_raise_frontier(struct writer *writer, uint64_t frontier)
{
	struct hmem_shelf *shelf = writer->shelf;
	uint64_t *word = shelf_at(shelf, SHELF_FRONTIER_OFFSET), was = LOAD(word), there;

	for (;;) {
		bool good;

		there = was & ((1ull << FRONTIER_BITS) - 1);
		good = was == frontier_word(shelf, there);
		if (good && there >= frontier)
			break;
		/* A damaged one may have covered all that there is. */
		there = ahead(shelf_frontier(shelf), shelf_chunks(shelf));
		if (good || there < frontier)
			there = frontier;
		if (__atomic_compare_exchange_n(word, &was, frontier_word(shelf, there), false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			break;
	}
	write_back(writer, word, sizeof(*word));
	writer->frontier_written = there;
}

void heap_frontier_durable(struct writer *writer)
{
	uint64_t *safe = &writer->shelf->runtime->frontier_safe, was = LOAD(safe);

	while (was < writer->frontier_written &&
	       !__atomic_compare_exchange_n(safe, &was, writer->frontier_written, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	writer->frontier_written = 0;
}

bool heap_cover(struct writer *writer, uint64_t at, uint64_t end)
{
	struct runtime *rt = writer->shelf->runtime;
	uint64_t first = chunk_of(writer->shelf, at), last = chunk_of(writer->shelf, end - 1);
	uint64_t safe = LOAD(&rt->frontier_safe), chunks = shelf_chunks(writer->shelf);

	if (last + FRONTIER_AHEAD / 2 < safe || (safe == chunks && last < safe))
		return true;
	heap_raise_frontier(writer, ahead(last + 1, chunks));
	/* Only where it begins can be a record. */
	return first < safe;
}

/* The run lock is held, or nobody else is there. */
static void raise(struct hmem_shelf *shelf, uint64_t to)
{
	struct runtime *rt = shelf->runtime;

	for (uint64_t number = rt->frontier; number < to; number++) {
		memset(chunk_at(shelf, number), 0, sizeof(struct chunk));
		chunk_at(shelf, number)->free = GRANULES;
		STORE(&rt->frontier, number + 1);
	}
}

int heap_raise(struct writer *writer, uint64_t frontier)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct runtime *rt = shelf->runtime;
	int err;

	if (shelf_frontier(shelf) >= frontier)
		return 0;
	err = lock_take(writer, &rt->run_lock);
	if (err)
		return err;
	raise(shelf, frontier);
	lock_drop(writer, &rt->run_lock);
	return 0;
}

static int take_small(struct writer *writer, unsigned int nr, unsigned int align_shift,
		      uint64_t *at)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct runtime *rt = shelf->runtime;
	uint64_t chunks = shelf_chunks(shelf), fresh, own = LOAD(&writer->slot->chunk);
	int err;

	*at = 0;
	if (own && own <= shelf_frontier(shelf)) {
		err = try_chunk(writer, own - 1, nr, align_shift, false, at);
		if (err || *at)
			return err;
	}
	/* First a few that were used before and are at least a quarter free, then a new one. */
	for (unsigned int probe = 0; probe < PROBES; probe++) {
		uint64_t frontier = shelf_frontier(shelf), number;

		if (!frontier)
			break;
		number = __atomic_fetch_add(&rt->cursor, 1, __ATOMIC_RELAXED) % frontier;
		if (LOAD(&chunk_at(shelf, number)->free) < GRANULES / 4 ||
		    LOAD(&chunk_at(shelf, number)->free) < nr || is_owned(shelf, number))
			continue;
		err = try_chunk(writer, number, nr, align_shift, false, at);
		if (err)
			return err;
		if (*at) {
			settle(writer, number);
			return 0;
		}
	}
	fresh = shelf_frontier(shelf);
	if (fresh < chunks) {
		err = heap_raise(writer, fresh + 1);
		if (!err)
			err = try_chunk(writer, fresh, nr, align_shift, false, at);
		if (err)
			return err;
		if (*at) {
			settle(writer, fresh);
			return 0;
		}
	}
	/* Last, whatever has room. */
	for (uint64_t number = 0; number < shelf_frontier(shelf); number++) {
		if (LOAD(&chunk_at(shelf, number)->free) < nr)
			continue;
		err = try_chunk(writer, number, nr, align_shift, true, at);
		if (err)
			return err;
		if (*at) {
			if (!is_owned(shelf, number))
				settle(writer, number);
			return 0;
		}
	}
	return -ENOSPC;
}

/* --- taking a block over several chunks ---------------------------------------------- */

/*
 * Take granules [at, at + nr) chunk by chunk. When one of them is used, what was taken is
 * given back and @blocked tells which chunk it was.
 */
static int take_run(struct writer *writer, uint64_t at, uint64_t nr, uint64_t *blocked)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct slot *slot = writer->slot;
	uint64_t number = chunk_of(shelf, at), done = 0;
	unsigned int from =
		(unsigned int)((at - shelf->heap_offset) >> SHELF_GRANULE_SHIFT) % GRANULES;

	STORE(&slot->fresh_granules, 0);
	STORE(&slot->fresh, at);
	while (done < nr) {
		struct chunk *chunk = chunk_at(shelf, number);
		unsigned int here = nr - done < GRANULES - from ? (unsigned int)(nr - done) :
								  GRANULES - from;
		int err = chunk_take(writer, number);

		if (err)
			return err;
		if (chunk->free < here ||
		    bits_next(chunk->used, from, from + here, true) != from + here) {
			lock_drop(writer, &chunk->lock);
			*blocked = number;
			return -ENOSPC;
		}
		STORE(&slot->fresh_granules, done + here);
		bits_set(chunk->used, from, here, true);
		count_free(chunk, -(int)here);
		lock_drop(writer, &chunk->lock);
		done += here;
		from = 0;
		number++;
	}
	return 0;
}

static int take_large(struct writer *writer, uint64_t nr, unsigned int align_shift, uint64_t *out)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct runtime *rt = shelf->runtime;
	uint64_t chunks = shelf_chunks(shelf), number = writer->large;
	int err;

	err = lock_take(writer, &rt->run_lock);
	if (err)
		return err;
	for (;;) {
		uint64_t at, end, blocked = 0;

		while (number < shelf_frontier(shelf) && number < chunks &&
		       LOAD(&chunk_at(shelf, number)->free) < GRANULES)
			number++;
		at = shelf->heap_offset + (number << SHELF_CHUNK_SHIFT);
		/* The header in front of a value that is aligned to a chunk or more. */
		at = align_block(at, align_shift);
		end = at + (nr << SHELF_GRANULE_SHIFT);
		/* Memory that was never used only if there is no other before the last one either. */
		if (writer->large && chunk_of(shelf, end - 1) >= LOAD(&rt->frontier)) {
			writer->large = number = 0;
			continue;
		}
		if (number >= chunks ||
		    end > shelf->heap_offset + (chunks << SHELF_CHUNK_SHIFT)) {
			err = -ENOSPC;
			break;
		}
		if (shelf_frontier(shelf) <= chunk_of(shelf, end - 1))
			raise(shelf, chunk_of(shelf, end - 1) + 1);
		err = take_run(writer, at, nr, &blocked);
		if (!err) {
			writer->large = chunk_of(shelf, end - 1);
			*out = at;
			break;
		}
		if (heap_drop_fresh(writer) || err != -ENOSPC)
			break;
		number = blocked > number ? blocked : number + 1;
	}
	lock_drop(writer, &rt->run_lock);
	return err;
}

static uint64_t granules_for(uint64_t bytes)
{
	return (sizeof(struct record) + bytes + SHELF_GRANULE - 1) >> SHELF_GRANULE_SHIFT;
}

int heap_take_bare(struct writer *writer, uint64_t bytes, unsigned int align_shift, uint64_t *at)
{
	struct hmem_shelf *shelf = writer->shelf;
	uint64_t nr = granules_for(bytes);
	int err = -ENOSPC;

	/* One that an earlier call could not give back. */
	if (writer->slot->fresh) {
		err = heap_drop_fresh(writer);
		if (err)
			return err;
		err = -ENOSPC;
	}
	for (int again = 0; err == -ENOSPC && again < 2; again++) {
		/* What could not be given back may be enough, what others have retired, or the dead. */
		if (again) {
			err = heap_give_again(writer);
			if (!err)
				err = takeover_all(shelf, writer);
			if (!err)
				err = limbo_reclaim_others(writer);
			if (!err)
				err = limbo_reclaim(writer, true);
			/* Of a commit, which has just been erased. */
			if (!err && writer->slot->tx_done)
				err = limbo_reclaim(writer, true);
			if (!err)
				err = tx_drop_spare(writer);
			if (!err)
				err = ordered_reclaim(writer, 1);
			if (err)
				return err;
		}
		err = -ENOSPC;
		if (nr <= GRANULES / 2)
			err = take_small(writer, (unsigned int)nr, align_shift, at);
		if (err == -ENOSPC)
			err = take_large(writer, nr, align_shift, at);
		/* No chunk is free as a whole; one may have a hole that is large enough. */
		if (err == -ENOSPC && nr > GRANULES / 2 && nr <= GRANULES)
			err = take_small(writer, (unsigned int)nr, align_shift, at);
	}
	if (err)
		return err;
	err = shelf_map_more(shelf, *at + (nr << SHELF_GRANULE_SHIFT));
	if (err)
		heap_drop_fresh(writer);
	return err;
}

int heap_take(struct writer *writer, uint64_t bytes, unsigned int align_shift, uint64_t *at)
{
	int err = heap_take_bare(writer, bytes, align_shift, at);

	if (err || heap_cover(writer, *at, *at + (granules_for(bytes) << SHELF_GRANULE_SHIFT)))
		return err;
	/* Its frontier would become durable together with what is written there: too late. */
	err = fence(writer);
	if (err)
		heap_drop_fresh(writer);
	return err;
}

/* --- giving back --------------------------------------------------------------------- */

/* A part of a block that lies inside one chunk. */
static void clear(struct hmem_shelf *shelf, uint64_t from, uint64_t to)
{
	bits_set(chunk_at(shelf, chunk_of(shelf, from))->used,
		 (unsigned int)((from - shelf->heap_offset) >> SHELF_GRANULE_SHIFT) % GRANULES,
		 (unsigned int)((to - from) >> SHELF_GRANULE_SHIFT), false);
}

/* What is left of slot->freeing from @to on; nothing when that is its end. */
static void freeing_advance(struct slot *slot, uint64_t to)
{
	STORE(&slot->freeing, to < LOAD(&slot->freeing_end) ? to : 0);
}

/* What of the writer's block that is being taken lies before the end of a chunk. */
static void repair_fresh(struct writer *writer, uint64_t begin, uint64_t end)
{
	struct slot *slot = writer->slot;
	uint64_t fresh = LOAD(&slot->fresh), from = fresh > begin ? fresh : begin;
	uint64_t block_end = fresh + (LOAD(&slot->fresh_granules) << SHELF_GRANULE_SHIFT);

	if (!fresh || block_end <= from || block_end > end)
		return;
	clear(writer->shelf, from, block_end);
	if (from == fresh)
		STORE(&slot->fresh, 0);
	else
		STORE(&slot->fresh_granules, (from - fresh) >> SHELF_GRANULE_SHIFT);
}

/* And of the one that is being given back, what lies in it. */
static void repair_freeing(struct writer *writer, uint64_t begin, uint64_t end)
{
	struct slot *slot = writer->slot;
	uint64_t at = LOAD(&slot->freeing), to = LOAD(&slot->freeing_end);

	if (at < begin || at >= end || to <= at)
		return;
	if (to > end)
		to = end;
	clear(writer->shelf, at, to);
	freeing_advance(slot, to);
}

void heap_repair(struct writer *writer, uint64_t number)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct slot *slot = writer->slot;
	struct chunk *chunk = chunk_at(shelf, number);
	uint64_t begin = shelf->heap_offset + (number << SHELF_CHUNK_SHIFT);
	uint64_t end = begin + SHELF_CHUNK;
	unsigned int used = 0;

	if (shelf_chunks_here(shelf, number + 1) <= number || !chunk_usable(shelf, number))
		return;
	/* It had just begun to be given back. */
	if (slot->fresh && slot->fresh == slot->freeing)
		STORE(&slot->fresh, 0);
	repair_fresh(writer, begin, end);
	repair_freeing(writer, begin, end);
	for (unsigned int i = 0; i < GRANULES / 64; i++)
		used += bits_count(chunk->used[i]);
	STORE(&chunk->free, (uint16_t)(GRANULES - used));
	chunk->hint = 0;
}

int heap_give_again(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct slot *slot = writer->slot;

	for (;;) {
		uint64_t at = LOAD(&slot->freeing), end = LOAD(&slot->freeing_end), to;
		struct chunk *chunk;
		int err;

		if (!at)
			return 0;
		if (at < shelf->heap_offset || end <= at)
			return shelf_damaged(shelf);
		chunk = chunk_at(shelf, chunk_of(shelf, at));
		err = chunk_take(writer, chunk_of(shelf, at));
		if (err)
			return err;
		to = shelf->heap_offset + ((chunk_of(shelf, at) + 1) << SHELF_CHUNK_SHIFT);
		if (to > end)
			to = end;
		clear(shelf, at, to);
		count_free(chunk, (int)((to - at) >> SHELF_GRANULE_SHIFT));
		/* A death before this makes heap_repair() clear once more, and count. */
		freeing_advance(slot, to);
		lock_drop(writer, &chunk->lock);
	}
}

/* May the block be given back? What an earlier call could not give back is, first. */
static int give_check(struct writer *writer, uint64_t at, uint64_t granules)
{
	struct hmem_shelf *shelf = writer->shelf;
	uint64_t room = shelf->heap_offset +
			(shelf_frontier(shelf) << SHELF_CHUNK_SHIFT);

	if (at < shelf->heap_offset || at >= room || at & (SHELF_GRANULE - 1) ||
	    granules > (room - at) >> SHELF_GRANULE_SHIFT)
		return shelf_fail(shelf, -EUCLEAN,
				  "shelf %s: a block at %#" PRIx64 " to be freed lies outside of it",
				  shelf->name, at);
	return heap_give_again(writer);
}

int heap_give_begin(struct writer *writer, uint64_t at, uint64_t granules)
{
	int err = give_check(writer, at, granules);

	if (err)
		return err;
	STORE(&writer->slot->freeing_end, at + (granules << SHELF_GRANULE_SHIFT));
	STORE(&writer->slot->freeing, granules ? at : 0);
	return 0;
}

int heap_give_from(struct writer *writer, uint64_t *from, uint64_t granules, uint64_t to)
{
	struct slot *slot = writer->slot;
	uint64_t at = LOAD(from);
	int err = give_check(writer, at, granules);

	if (err)
		return err;
	redo_add(writer, &slot->freeing_end, at + (granules << SHELF_GRANULE_SHIFT));
	redo_add(writer, &slot->freeing, granules ? at : 0);
	redo_add(writer, from, to);
	redo_apply(writer);
	return heap_give_again(writer);
}

int heap_give(struct writer *writer, uint64_t at, uint64_t granules)
{
	int err = heap_give_begin(writer, at, granules);

	return err ? err : heap_give_again(writer);
}

int heap_drop_fresh(struct writer *writer)
{
	struct slot *slot = writer->slot;
	int err;

	err = heap_give_begin(writer, LOAD(&slot->fresh), LOAD(&slot->fresh_granules));
	if (err)
		return err;
	STORE(&slot->fresh, 0);
	return heap_give_again(writer);
}

/* --- for recovery and checks --------------------------------------------------------- */

int heap_mark(struct hmem_shelf *shelf, uint64_t at, uint64_t granules)
{
	uint64_t first = (at - shelf->heap_offset) >> SHELF_GRANULE_SHIFT;

	while (granules) {
		struct chunk *chunk = chunk_at(shelf, first / GRANULES);
		unsigned int from = (unsigned int)(first % GRANULES);
		unsigned int here = granules < GRANULES - from ? (unsigned int)granules :
								 GRANULES - from;

		if (bits_next(chunk->used, from, from + here, true) != from + here)
			return -EUCLEAN;
		bits_set(chunk->used, from, here, true);
		chunk->free = (uint16_t)(chunk->free - here);
		first += here;
		granules -= here;
	}
	return 0;
}

uint64_t heap_free_granules(const struct hmem_shelf *shelf)
{
	uint64_t frontier = shelf_frontier(shelf);
	uint64_t granules = (shelf_chunks(shelf) - frontier) * GRANULES;

	for (uint64_t i = 0; i < frontier; i++)
		granules += LOAD(&chunk_at(shelf, i)->free);
	return granules;
}
