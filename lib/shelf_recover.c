// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Recovery: from the records to everything else.
 *
 * The heap is looked at granule by granule, up to the frontier; a good record is stepped
 * over. Nothing is changed on the media that a second recovery, after the power went
 * during this one, would judge differently: unsealed records that are good are
 * sealed, torn ones and those that a newer one of the same name replaces are erased, and only
 * when that is durable are tombstones. Nor is the memory of what was a whole record free
 * before that: written over, a sealed one would be damaged.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "shelf_ordered.h"
#include "shelf_record.h"
#include "shelf_recover.h"
#include "shelf_seq.h"
#include "shelf_sigbus.h"
#include "shelf_type.h"

int places_add(struct places *list, uint64_t at, uint64_t hash)
{
	if (__builtin_expect(list->nr == list->room, 0)) {
		size_t room = list->room ? 2 * list->room : 4096;
		struct place *more = realloc(list->place, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		list->place = more;
		list->room = room;
	}
	list->place[list->nr++] = (struct place){ at, hash };
	return 0;
}

void shelf_found(const struct hmem_shelf *shelf, const char *part, uint64_t at, const char *name,
		 const char *format, ...)
{
	struct hmem_shelf_finding finding = {
		.size = sizeof(finding), .part = part, .offset = at, .name = name,
	};
	char text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	hmem_log(shelf->ctx, HMEM_LOG_WARNING, "shelf %s: %s at %#" PRIx64 ": %s", shelf->name, part,
		 at, text);
	finding.text = text;
	if (shelf->found)
		shelf->found(shelf->found_arg, &finding);
}

/* Nothing vouches for its name, but it is what there is to call it. */
static void tell_damaged(const struct hmem_shelf *shelf, uint64_t at, const struct record *header)
{
	bool repair = shelf->flags & HMEM_SHELF_REPAIR;
	char name[SHELF_NAME_MAX + 1] = "";

	if (record_fits(shelf, at, header)) {
		memcpy(name,
		       shelf_at(shelf, record_value_offset(at, header->align_shift) +
					       header->value_bytes),
		       header->name_bytes);
		name[header->name_bytes] = '\0';
	}
	shelf_found(shelf, "record", at, *name ? name : NULL, "its checksum does not hold%s",
		    repair ? "; it is given up" : "");
}

static void restore_mark(struct writer *writer, uint64_t at, struct record *header)
{
	uint64_t *words = shelf_at(writer->shelf, at), right[2];

	record_set_mark(header, record_mark(writer->shelf, at));
	memcpy(right, header, sizeof(right));
	/* It is one bit that is wrong, so that only one of these changes anything. */
	STORE(&words[0], right[0]);
	STORE(&words[1], right[1]);
	write_back(writer, words, sizeof(right));
}

/* While it is in the cache: its name will not be looked at again, as a rule. */
static int remember(struct scan *scan, uint64_t at, const struct record *header)
{
	struct hmem_shelf *shelf = scan->writer->shelf;
	uint64_t hash = name_hash(shelf,
				  shelf_at(shelf, record_value_offset(at, header->align_shift) +
							 header->value_bytes),
				  header->name_bytes);
	int err;

	if (header->kind == RECORD_COMMIT)
		return places_add(&scan->commits, at, 0);
	if (header->kind == RECORD_UNDO)
		return places_add(&scan->undos, at, 0);
	if (header->state == RECORD_MEMBER)
		return places_add(&scan->members, at, hash);
	scan->result->types += header->kind == RECORD_TYPE;
	err = places_add(&scan->named, at, hash);
	if (!err && header->state == RECORD_TOMB)
		err = places_add(&scan->tombs, at, hash);
	else if (!err && (header->state == RECORD_PENDING || header->state == RECORD_BORN))
		err = places_add(&scan->unsealed, at, hash);
	return err;
}

/* One granule. @granules: to go on. */
static int look_at(struct scan *scan, uint64_t at, uint64_t *granules)
{
	struct hmem_shelf *shelf = scan->writer->shelf;
	enum verdict verdict;
	struct record header;
	uint64_t end;
	int err;

	*granules = 1;
	verdict = record_judge(shelf, at, &header, &scan->read);
	if (verdict != VERDICT_GOOD && record_read_too_much(shelf, scan->read))
		return shelf_fail(shelf, -EUCLEAN,
				  "shelf %s: it has more records that are torn than it has room for: "
				  "somebody has made them up; import it from a copy that is trusted",
				  shelf->name);
	switch (verdict) {
	case VERDICT_NONE:
		return 0;
	case VERDICT_TORN:
		scan->result->torn++;
		record_erase(scan->writer, at);
		return 0;
	case VERDICT_DAMAGED:
		scan->result->damaged++;
		tell_damaged(shelf, at, &header);
		if (shelf->flags & HMEM_SHELF_REPAIR)
			record_erase(scan->writer, at);
		return 0;
	case VERDICT_GOOD:
		break;
	}
	/* No checksum covers the mark, but damage to the rest is found by it. */
	if (record_mark_in(&header) != record_mark(shelf, at))
		restore_mark(scan->writer, at, &header);
	/* Whoever owned it is not there any more. */
	if (header.link & LINK_OWNED)
		STORE(&((struct record *)shelf_at(shelf, at))->link, 0);
	*granules = record_granules(at, &header);
	/*
	 * Its end may lie beyond the frontier, if nobody was told that it is there; still, all of it
	 * has to be marked.
	 */
	end = (at + (*granules << SHELF_GRANULE_SHIFT) - 1 - shelf->heap_offset) >>
	      SHELF_CHUNK_SHIFT;
	err = heap_raise(scan->writer, end + 1);
	if (err)
		return err;
	if (scan->chunks <= end)
		scan->chunks = end + 1;
	scan->result->records++;
	if (header.seq > scan->max_seq)
		scan->max_seq = header.seq;
	err = heap_mark(shelf, at, *granules);
	return err ? err : remember(scan, at, &header);
}

/* Bytes between two reports of how far it has got. */
#define TELL_EVERY (4ull << 20)

static int scan_heap(struct scan *scan)
{
	struct hmem_shelf *shelf = scan->writer->shelf;
	uint64_t chunks = heap_durable_frontier(shelf, shelf->runtime->heap_chunks);
	uint64_t at = shelf->heap_offset, end = at + (chunks << SHELF_CHUNK_SHIFT);
	uint64_t tell = at + TELL_EVERY;
	int err;

	scan->chunks = chunks;
	err = heap_raise(scan->writer, chunks);
	while (!err && at < end) {
		uint64_t granules;

		if (at >= tell) {
			hmem_progress(shelf->ctx, "recovering", at - shelf->heap_offset,
				      end - shelf->heap_offset);
			tell = at + TELL_EVERY;
		}
		/* Nothing, what was a record, or what never was one: the common cases. */
		if (record_word_is_none(LOAD((uint64_t *)shelf_at(shelf, at))) ||
		    !record_near_mark(shelf, at, shelf_at(shelf, at))) {
			at += SHELF_GRANULE;
			continue;
		}
		err = look_at(scan, at, &granules);
		at += granules << SHELF_GRANULE_SHIFT;
	}
	if (tell > shelf->heap_offset + TELL_EVERY)
		hmem_progress(shelf->ctx, "recovering", end - shelf->heap_offset,
			      end - shelf->heap_offset);
	/* It may have been damaged, or not have been durable. */
	if (!err)
		heap_raise_frontier(scan->writer, scan->chunks);
	return err;
}

/* What was a record, and has been erased. */
static int give(struct scan *scan, uint64_t at)
{
	return heap_give(scan->writer, at,
			 record_granules(at, shelf_at(scan->writer->shelf, at)));
}

int recover_drop(struct scan *scan, uint64_t at)
{
	record_erase(scan->writer, at);
	return give(scan, at);
}

/* Its entry, or NULL when it is not the newest of its name; and room for one. */
static uint64_t *entry_of(const struct scan *scan, const struct place *place, struct bucket *bucket,
			  uint64_t **room)
{
	const struct hmem_shelf *shelf = scan->writer->shelf;
	const struct record *r = shelf_at(shelf, place->at);

	return index_find(shelf, bucket, place->hash,
			  shelf_at(shelf, record_value_offset(place->at, r->align_shift) +
						 r->value_bytes),
			  r->name_bytes, room);
}

uint64_t *recover_entry(const struct scan *scan, const struct place *place, struct bucket *bucket)
{
	uint64_t *room;

	return entry_of(scan, place, bucket, &room);
}

/* A free entry of a chain in which nothing has the same hash, or NULL. */
static uint64_t *plain_room(const struct hmem_shelf *shelf, struct bucket *bucket, uint64_t hash)
{
	unsigned int left = INDEX_LINKS_MAX;
	uint64_t *room = NULL;

	for (; bucket; bucket = index_follow(shelf, bucket, &left))
		for (unsigned int i = 0; i < BUCKET_ENTRIES; i++) {
			uint64_t entry = bucket->entry[i];

			if (entry && !((entry ^ entry_tag(hash)) >> ENTRY_OFFSET_BITS))
				return NULL;
			if (!entry && !room)
				room = &bucket->entry[i];
		}
	return room;
}

/* Enter a record into the index, if there is no newer one of its name. */
static int enter(struct scan *scan, const struct place *place)
{
	struct hmem_shelf *shelf = scan->writer->shelf;
	uint64_t number, *room, *entry, at = place->at, other;
	struct bucket *bucket = index_bucket(shelf, place->hash, &number);
	int err;

	/* Dropped when an index was made that turned out too large. */
	if (scan->again && ((const struct record *)shelf_at(shelf, at))->state == RECORD_FREE)
		return 0;
	room = plain_room(shelf, bucket, place->hash);
	if (room) {
		STORE(room, entry_make(place->hash, at));
		return 0;
	}
	entry = entry_of(scan, place, bucket, &room);
	if (!entry) {
		err = room ? 0 : index_extend(scan->writer, bucket, &room);
		if (!err)
			STORE(room, entry_make(place->hash, at));
		return err;
	}
	other = entry_offset(*entry);
	if (((const struct record *)shelf_at(shelf, other))->seq <
	    ((const struct record *)shelf_at(shelf, at))->seq) {
		STORE(entry, entry_make(place->hash, at));
		at = other;
	}
	scan->result->superseded++;
	record_erase(scan->writer, at);
	/* The index takes memory meanwhile: not that of what may yet turn out to be a record. */
	return places_add(&scan->superseded, at, 0);
}

/* Buckets are everywhere in memory: have those that come next brought here meanwhile. */
#define AHEAD 12

static int enter_all(struct scan *scan, uint64_t buckets)
{
	const struct places *named = &scan->named;
	int err = index_create(scan->writer, buckets);

	for (size_t i = 0; !err && i < named->nr; i++) {
		if (i + AHEAD < named->nr)
			index_prefetch(scan->writer->shelf, named->place[i + AHEAD].hash);
		err = enter(scan, &named->place[i]);
	}
	return err;
}

/*
 * On a full shelf the index has to fit where another was before, when the memory of what is
 * superseded was not free either. It does with the same segments, all of whose buckets are
 * used: then there is no more overflow than there was.
 * Which segments those were is not known, so they are tried, from the largest on.
 */
static int make_index(struct scan *scan)
{
	uint64_t buckets = index_buckets_for(scan->named.nr), next = INDEX_FIRST_BUCKETS;
	int err = enter_all(scan, buckets);

	while (next < 4 * buckets)
		next *= 2;
	for (; err == -ENOSPC && next >= INDEX_FIRST_BUCKETS; next /= 2) {
		scan->again = true;
		err = index_discard(scan->writer);
		if (!err)
			err = enter_all(scan, next);
	}
	if (err == -ENOSPC)
		shelf_fail(scan->writer->shelf, err, "shelf %s: no room for its index",
			   scan->writer->shelf->name);
	return err;
}

/* What is superseded is erased by now, and so in none of these states. */
static void seal_all(struct scan *scan)
{
	struct hmem_shelf *shelf = scan->writer->shelf;

	for (size_t i = 0; i < scan->unsealed.nr; i++) {
		uint64_t at = scan->unsealed.place[i].at;
		union record_word word;

		word.word = LOAD((uint64_t *)shelf_at(shelf, at));
		if (word.state != RECORD_PENDING && word.state != RECORD_BORN)
			continue;
		record_move(shelf, at, &word.word, RECORD_SEALED);
		write_back(scan->writer, shelf_at(shelf, at), sizeof(uint64_t));
	}
}

/* Names whose newest record is a tombstone are not there. The tombstones stay for now. */
static void bury_all(struct scan *scan)
{
	struct hmem_shelf *shelf = scan->writer->shelf;
	size_t left = 0;

	for (size_t i = 0; i < scan->tombs.nr; i++) {
		struct place *place = &scan->tombs.place[i];
		uint64_t number, *room, *entry;

		if (((const struct record *)shelf_at(shelf, place->at))->state != RECORD_TOMB)
			continue;
		entry = entry_of(scan, place, index_bucket(shelf, place->hash, &number), &room);
		if (entry && entry_offset(*entry) == place->at)
			STORE(entry, 0);
		scan->tombs.place[left++] = *place;
	}
	scan->tombs.nr = left;
}

static int recover(struct scan *scan)
{
	struct hmem_shelf *shelf = scan->writer->shelf;
	int err = scan_heap(scan);

	if (err)
		return err;
	if (scan->result->damaged && !(shelf->flags & HMEM_SHELF_REPAIR))
		return shelf_fail(shelf, -EUCLEAN,
				  "shelf %s: %" PRIu64 " records are damaged; check it, and open it "
				  "with repair to go on without them",
				  shelf->name, scan->result->damaged);
	/* While there are those with the highest numbers. */
	seq_recover(scan->writer, scan->max_seq);
	err = types_require(scan);
	if (!err)
		err = commits_settle(scan);
	if (!err)
		err = make_index(scan);
	if (err)
		return err;
	seal_all(scan);
	bury_all(scan);
	scan->result->objects = scan->named.nr - scan->result->superseded - scan->tombs.nr;
	err = types_settle(scan);
	if (!err)
		err = fence(scan->writer);
	scan->result->objects -= scan->result->types + scan->types.nr;
	for (size_t i = 0; !err && i < scan->superseded.nr; i++)
		err = give(scan, scan->superseded.place[i].at);
	for (size_t i = 0; !err && i < scan->types.nr; i++)
		err = recover_drop(scan, scan->types.place[i].at);
	for (size_t i = 0; !err && i < scan->tombs.nr; i++)
		err = recover_drop(scan, scan->tombs.place[i].at);
	if (!err)
		err = commits_drop(scan);
	if (!err)
		err = fence(scan->writer);
	if (!err)
		err = ordered_build(scan->writer);
	return err;
}

/* What it has found so far is given back when a part of the shelf is gone. */
static int recover_guarded(struct scan *scan)
{
	return SIGBUS_GUARDED_PART(scan->writer->shelf, recover(scan));
}

int shelf_recover(struct hmem_shelf *shelf, struct recovery *result)
{
	struct scan scan = { .result = result };
	int err;

	/* All of it is new: nobody else is here, and what was here means nothing. */
	err = updater_begin(shelf, &scan.writer);
	if (!err)
		err = recover_guarded(&scan);
	free(scan.named.place);
	free(scan.tombs.place);
	free(scan.unsealed.place);
	free(scan.members.place);
	free(scan.commits.place);
	free(scan.writing.place);
	free(scan.types.place);
	free(scan.superseded.place);
	free(scan.undos.place);
	if (err == -ENOMEM)
		shelf_fail(shelf, err, "shelf %s: no memory to recover it", shelf->name);
	if (err)
		return err;
	shelf->runtime->objects = result->objects;
	hmem_log(shelf->ctx, HMEM_LOG_INFO,
		 "shelf %s: %" PRIu64 " objects from %" PRIu64 " records; %" PRIu64 " torn, %" PRIu64
		 " superseded",
		 shelf->name, result->objects, result->records, result->torn, result->superseded);
	return 0;
}
