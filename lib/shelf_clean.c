// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Clean shelves: what the last to close leaves behind, and how it is trusted again.
 *
 * The index and the chunk maps are written back where they are, each bucket and each chunk
 * under a checksum of its own that stands where in use a lock does or nothing. So opening
 * costs nothing for what is not used, and what is used is checked once: a bucket with all
 * of its overflow, so that the rest of a chain needs no check once its first bucket has
 * passed. Where a checksum does not hold the records still do: nobody updates the
 * shelf any more, and the next to open it alone recovers it from them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "shelf.h"
#include "shelf_ordered.h"
#include "shelf_record.h"
#include "shelf_seq.h"

/* A chain this long is damaged, or leads into itself. */
#define MAX_CHAIN 65536

int shelf_damaged(struct hmem_shelf *shelf)
{
	uint32_t well = RUNTIME_WELL;
	int err = atomic_load(&shelf->map_error);

	/* It is not damaged if only we could not map what it has got. */
	if (err && err != -EUCLEAN)
		return shelf_fail(shelf, err, "shelf %s has grown, and mapping that: %s", shelf->name,
				  strerror(-err));
	if (!(shelf->flags & HMEM_SHELF_READ_ONLY))
		__atomic_compare_exchange_n(&shelf->runtime->failed, &well, RUNTIME_DAMAGED, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	return shelf_fail(shelf, -EUCLEAN,
			  "shelf %s: its index or its maps are damaged; close it everywhere, and "
			  "opening it for writing makes them anew from the records",
			  shelf->name);
}

/* --- buckets ------------------------------------------------------------------------- */

static uint64_t sealed_head(const struct hmem_shelf *shelf, const struct bucket *bucket)
{
	uint64_t next = LOAD(&bucket->head) & ((1ull << 40) - 1);
	uint64_t covered[2 + BUCKET_ENTRIES + 1];
	uint32_t crc;

	covered[0] = shelf->key;
	covered[1] = shelf_offset(shelf, bucket);
	covered[2] = next;
	for (unsigned int i = 0; i < BUCKET_ENTRIES; i++)
		covered[3 + i] = LOAD(&bucket->entry[i]);
	crc = hmem_crc32c(~0u, covered, sizeof(covered));
	return next | (uint64_t)BUCKET_SEALED << 40 | (uint64_t)((crc ^ crc >> 16) & 0xffff) << 48;
}

/* Sealed and intact, or in use. */
static bool bucket_holds(const struct hmem_shelf *shelf, const struct bucket *bucket)
{
	uint64_t head = LOAD(&bucket->head);

	return !BUCKET_STATE(head) || head == sealed_head(shelf, bucket);
}

/*
 * What an entry leads to is as good as when it was left. Of a value only its place counts:
 * it may be large, and is its owner's.
 */
static bool entry_holds(const struct hmem_shelf *shelf, uint64_t entry)
{
	uint64_t at = entry_offset(entry), read = 0;
	struct record header;

	if (!shelf_reach(shelf, at))
		return false;
	header = record_load(shelf, at);
	if (record_mark_in(&header) != record_mark(shelf, at))
		return false;
	if (header.kind == RECORD_OBJECT &&
	    (header.state == RECORD_PENDING || header.state == RECORD_MEMBER))
		return record_fits(shelf, at, &header);
	return record_judge(shelf, at, &header, &read) == VERDICT_GOOD;
}

static bool chain_holds(const struct hmem_shelf *shelf, const struct bucket *bucket)
{
	for (unsigned int i = 0; i < MAX_CHAIN; i++) {
		const struct bucket *next;

		if (!bucket_holds(shelf, bucket))
			return false;
		for (unsigned int j = 0; j < BUCKET_ENTRIES; j++) {
			uint64_t entry = LOAD(&bucket->entry[j]);

			if (entry && !entry_holds(shelf, entry))
				return false;
		}
		next = index_next(shelf, bucket);
		if (!next)
			return !BUCKET_NEXT(LOAD(&bucket->head));
		bucket = next;
	}
	return false;
}

/* A reader that may not write remembers for itself which buckets it has looked at. */
static bool was_checked(const struct hmem_shelf *shelf, uint64_t number)
{
	return number < shelf->own_checked_bits &&
	       LOAD(&shelf->own_checked[number / 64]) >> number % 64 & 1;
}

static void now_checked(struct hmem_shelf *shelf, uint64_t number)
{
	if (number < shelf->own_checked_bits)
		__atomic_fetch_or(&shelf->own_checked[number / 64], 1ull << number % 64,
				  __ATOMIC_RELEASE);
}

/* Whoever is late may look at memory that is no bucket any more, and must not change it. */
static void unseal(const struct hmem_shelf *shelf, struct bucket *bucket)
{
	uint64_t head = LOAD(&bucket->head);

	if (BUCKET_STATE(head) && head == sealed_head(shelf, bucket))
		__atomic_compare_exchange_n(&bucket->head, &head, head & ((1ull << 40) - 1), false,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

bool bucket_unseal(struct hmem_shelf *shelf, struct bucket *first, uint64_t number)
{
	uint64_t head = LOAD(&first->head);
	unsigned int left = INDEX_LINKS_MAX;

	if (was_checked(shelf, number))
		return true;
	/* In use it changes under us, but only when somebody else has unsealed it. */
	if (!chain_holds(shelf, first) && LOAD(&first->head) == head) {
		shelf_damaged(shelf);
		return false;
	}
	if (LOAD(&first->head) != head)
		return true;
	if (shelf->flags & HMEM_SHELF_READ_ONLY) {
		now_checked(shelf, number);
		return true;
	}
	/* The first one last: as long as it is sealed nobody changes the others. */
	for (struct bucket *bucket = first; (bucket = index_follow(shelf, bucket, &left));)
		unseal(shelf, bucket);
	__atomic_compare_exchange_n(&first->head, &head, head & ((1ull << 40) - 1), false,
				    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	return true;
}

/* --- chunks -------------------------------------------------------------------------- */

static uint32_t chunk_crc(const struct hmem_shelf *shelf, uint64_t number)
{
	const struct chunk *chunk = &shelf->chunks[number];
	uint64_t covered[3] = { shelf->key, number,
				(uint64_t)chunk->free | (uint64_t)chunk->hint << 16 };

	return hmem_crc32c(hmem_crc32c(~0u, covered, sizeof(covered)), chunk->used,
			   sizeof(chunk->used));
}

bool chunk_unseal(struct hmem_shelf *shelf, uint64_t number)
{
	struct chunk *chunk = &shelf->chunks[number];

	if (chunk->sealed == CHUNK_SEALED && chunk->crc == chunk_crc(shelf, number)) {
		if (!(shelf->flags & HMEM_SHELF_READ_ONLY))
			STORE(&chunk->sealed, 0);
		return true;
	}
	shelf_damaged(shelf);
	return false;
}

/* --- leaving ------------------------------------------------------------------------- */

static int not_clean(struct hmem_shelf *shelf, const char *why)
{
	/* Not even in this boot: who comes next must not go on with it. */
	shelf_damaged(shelf);
	return shelf_fail(shelf, -EUCLEAN, "shelf %s cannot be left clean: %s; the next to open "
					   "it recovers it",
			  shelf->name, why);
}

static int seal_chain(struct hmem_shelf *shelf, struct persist *persist, struct bucket *bucket,
		      bool again)
{
	for (unsigned int i = 0; bucket; bucket = index_next(shelf, bucket)) {
		uint64_t head = bucket->head;

		if (i++ == MAX_CHAIN)
			return not_clean(shelf, "a bucket's chain has no end");
		/* What was not used since the last time is on the media as it is. */
		if (BUCKET_STATE(head) == BUCKET_SEALED && !again)
			continue;
		if (BUCKET_STATE(head) != BUCKET_SEALED) {
			if (head >> 40)
				return not_clean(shelf, "a bucket is locked");
			STORE(&bucket->head, sealed_head(shelf, bucket));
		}
		persist_write_back(persist, bucket, sizeof(*bucket));
	}
	return 0;
}

/* All of a segment, as also those of its buckets that do not count yet must be empty. */
static int seal_segment(struct hmem_shelf *shelf, struct persist *persist, uint64_t at,
			uint64_t buckets, bool again)
{
	int err = 0;

	if (at & (sizeof(struct bucket) - 1) ||
	    !shelf_reach_bytes(shelf, at, buckets * sizeof(struct bucket)))
		return not_clean(shelf, "its index lies outside of it");

	for (uint64_t i = 0; i < buckets && !err; i++)
		err = seal_chain(shelf, persist, (struct bucket *)shelf_at(shelf, at) + i,
				 again);
	return err;
}

static int seal_index(struct hmem_shelf *shelf, struct persist *persist, bool again)
{
	const struct runtime *rt = shelf->runtime;
	uint64_t buckets = INDEX_FIRST_BUCKETS;
	int err = 0;

	for (unsigned int s = 0; s < SHELF_MAX_SEGMENTS && rt->segments[s] && !err; s++) {
		err = seal_segment(shelf, persist, rt->segments[s], buckets, again);
		if (s)
			buckets *= 2;
	}
	return err;
}

static int seal_chunks(struct hmem_shelf *shelf, struct persist *persist, bool again)
{
	for (uint64_t i = 0; i < shelf_frontier(shelf); i++) {
		struct chunk *chunk = &shelf->chunks[i];

		if (chunk->sealed == CHUNK_SEALED && !again)
			continue;
		if (chunk->sealed != CHUNK_SEALED) {
			if (chunk->lock)
				return not_clean(shelf, "a chunk is locked");
			chunk->owner = 0;
			chunk->crc = chunk_crc(shelf, i);
			STORE(&chunk->sealed, CHUNK_SEALED);
		}
		persist_write_back(persist, chunk, sizeof(*chunk));
	}
	return 0;
}

/* Nothing may be left for a writer to finish: the summary knows no slots. */
static int sum_up(struct hmem_shelf *shelf, struct shelf_summary *summary)
{
	const struct runtime *rt = shelf->runtime;

	*summary = (struct shelf_summary){
		.objects = rt->objects,
		.nr_buckets = rt->nr_buckets,
		.ordered_head = rt->ordered_head,
		.seq = rt->seq_floor,
		.heap_chunks = rt->heap_chunks,
		.frontier = rt->frontier,
	};
	memcpy(summary->segments, rt->segments, sizeof(summary->segments));
	for (unsigned int id = 0; id < shelf->nr_slots; id++) {
		const struct slot *slot = shelf_slot(shelf, id);

		if (slot->used || slot->ring_lock || slot->tx_lock || !slot_is_empty(slot))
			return not_clean(shelf, "a thread's slot is in use");
		summary->objects += slot->objects;
		if (slot->seq > summary->seq)
			summary->seq = slot->seq;
	}
	if (rt->limbo || rt->ordered_limbo)
		return not_clean(shelf, "retired blocks are left");
	if (rt->split || rt->split_lock || rt->run_lock || rt->limbo_lock || rt->ordered_lock)
		return not_clean(shelf, "a lock is held");
	return 0;
}

int clean_leave(struct hmem_shelf *shelf, struct persist *persist, struct shelf_summary *summary,
		bool again)
{
	int err = shelf_map_more(shelf, shelf->heap_offset +
						(shelf->runtime->heap_chunks << SHELF_CHUNK_SHIFT));

	if (!err)
		err = sum_up(shelf, summary);
	if (!err)
		err = seal_index(shelf, persist, again);
	if (!err)
		err = seal_chunks(shelf, persist, again);
	persist_write_back(persist, shelf_at(shelf, SHELF_FRONTIER_OFFSET), sizeof(uint64_t));
	persist_write_back(persist, shelf_at(shelf, SHELF_CEILING_OFFSET), sizeof(uint64_t));
	if (!err && ordered_seal(shelf, persist))
		err = not_clean(shelf, "the order of its names is damaged");
	return err;
}

/* --- coming back --------------------------------------------------------------------- */

int clean_adopt(struct hmem_shelf *shelf, struct runtime *runtime,
		const struct shelf_summary *summary)
{
	uint64_t chunks = atomic_load(&shelf->heap_mapped) >> SHELF_CHUNK_SHIFT;
	uint64_t reach = INDEX_FIRST_BUCKETS;
	bool good = summary->nr_buckets >= INDEX_FIRST_BUCKETS &&
		    summary->heap_chunks <= chunks && summary->frontier <= summary->heap_chunks;

	for (unsigned int s = 0; s < SHELF_MAX_SEGMENTS && good; s++) {
		uint64_t at = summary->segments[s], buckets = s ? reach : INDEX_FIRST_BUCKETS;

		if (!at) {
			good = s && reach >= summary->nr_buckets;
			break;
		}
		good = !(at & (sizeof(struct bucket) - 1)) && at >= shelf->heap_offset &&
		       at - shelf->heap_offset <= chunks << SHELF_CHUNK_SHIFT &&
		       buckets <= ((chunks << SHELF_CHUNK_SHIFT) - (at - shelf->heap_offset)) /
					  sizeof(struct bucket);
		reach += s ? buckets : 0;
	}
	if (!good)
		return shelf_fail(shelf, -EUCLEAN, "shelf %s: the summary of its index is damaged",
				  shelf->name);
	runtime->heap_chunks = chunks;
	runtime->frontier = summary->frontier;
	if (heap_frontier_good(shelf))
		runtime->frontier_safe = heap_durable_frontier(shelf, chunks);
	runtime->objects = summary->objects;
	runtime->seq_floor = summary->seq;
	seq_adopt(shelf, runtime);
	runtime->nr_buckets = summary->nr_buckets;
	runtime->ordered_head = summary->ordered_head;
	memcpy(runtime->segments, summary->segments, sizeof(runtime->segments));
	return 0;
}
