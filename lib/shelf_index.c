// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The index: from a name to its record, by linear hashing (Litwin 1980).
 *
 * Readers take no lock. An entry is one word, stored when the record behind it is durable.
 * A split copies entries to the new bucket, then counts that in, then removes them from
 * the old one: a reader finds an entry in one of them, or sees that the number of
 * buckets has changed and looks again. What is moved inside a bucket, and overflow buckets
 * that are freed, are counted to the same end.
 *
 * Writers lock a bucket, with its overflow. The lock is held until the record is durable,
 * so that of two updates of one name the later has the higher sequence number.
 */
#include <errno.h>
#include <string.h>

#include "shelf.h"
#include "shelf_record.h"

/* An overflow bucket is a block of its own, which begins as if with a record's header. */
#define OVERFLOW_GRANULES                                                     \
	((sizeof(struct record) + sizeof(struct bucket)) >> SHELF_GRANULE_SHIFT)

/* Names in a bucket, on average, when it is split. */
#define INDEX_LOAD 5

/* --- names --------------------------------------------------------------------------- */

static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t word_at(const char *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* Up to 8 bytes, below zeroes; by loads that overlap, as a copy of so few costs a call. */
static inline uint64_t word_of(const char *at, size_t bytes)
{
	const unsigned char *byte = (const unsigned char *)at;
	uint32_t low, high;

	if (bytes == 8)
		return word_at(at);
	if (bytes >= 4) {
		memcpy(&low, at, sizeof(low));
		memcpy(&high, at + bytes - 4, sizeof(high));
		return low | (uint64_t)high << (bytes - 4) * 8;
	}
	if (!bytes)
		return 0;
	return byte[0] | (uint64_t)byte[bytes / 2] << bytes / 2 * 8 |
	       (uint64_t)byte[bytes - 1] << (bytes - 1) * 8;
}

static inline bool same(const char *a, const char *b, size_t bytes)
{
	for (; bytes > 8; a += 8, b += 8, bytes -= 8)
		if (word_at(a) != word_at(b))
			return false;
	return word_of(a, bytes) == word_of(b, bytes);
}

/*
 * Multiply and fold, eight bytes at a time, keyed by the shelf so that nobody can choose
 * names that collide without knowing its UUID. Part of the format, as a cleanly closed
 * shelf is opened with the index that it has.
 */
uint64_t name_hash(const struct hmem_shelf *shelf, const char *name, size_t bytes)
{
	const uint64_t k0 = 0x9e3779b97f4a7c15ull, k1 = 0xd6e8feb86659fd93ull;
	uint64_t hash = shelf->key ^ mix(bytes ^ k0, k1);

	for (; bytes > 8; name += 8, bytes -= 8)
		hash = mix(hash ^ word_at(name), k0);
	hash = mix(hash ^ word_of(name, bytes), k1);
	return mix(hash, k0 ^ shelf->key);
}

bool name_is(const struct hmem_shelf *shelf, uint64_t at, const char *name, size_t bytes)
{
	struct record header = record_load(shelf, at);

	if (header.name_bytes != bytes || !record_fits(shelf, at, &header))
		return false;
	return same(shelf_at(shelf, record_value_offset(at, header.align_shift) +
						header.value_bytes),
		    name, bytes);
}

/* --- buckets ------------------------------------------------------------------------- */

static unsigned int top_bit(uint64_t n)
{
	return 63 - (unsigned int)__builtin_clzll(n);
}

static uint64_t bucket_of(uint64_t hash, uint64_t nr)
{
	uint64_t mask = (2ull << top_bit(nr)) - 1, number = hash & mask;

	return number < nr ? number : number & mask >> 1;
}

unsigned int index_bits(uint64_t number, uint64_t nr)
{
	unsigned int top = top_bit(nr);

	/* Those that have not been split yet in this round have a bit less than the others. */
	return number >= nr - (1ull << top) && number < 1ull << top ? top : top + 1;
}

struct bucket *index_at(const struct hmem_shelf *shelf, uint64_t number)
{
	unsigned int segment = 0;
	uint64_t first = 0, at;
	struct bucket *bucket;

	if (number >= INDEX_FIRST_BUCKETS) {
		segment = top_bit(number) - INDEX_FIRST_SHIFT + 1;
		first = 1ull << top_bit(number);
	}
	if (segment >= SHELF_MAX_SEGMENTS)
		return NULL;
	at = LOAD(&shelf->runtime->segments[segment]) + (number - first) * sizeof(struct bucket);
	if (at & (sizeof(struct bucket) - 1))
		return NULL;
	if (!shelf_reach(shelf, at))
		return NULL;
	bucket = shelf_at(shelf, at);
	if (__builtin_expect(BUCKET_STATE(LOAD(&bucket->head)) != 0, 0) &&
	    !bucket_unseal((struct hmem_shelf *)shelf, bucket, number))
		return NULL;
	return bucket;
}

void index_prefetch(const struct hmem_shelf *shelf, uint64_t hash)
{
	uint64_t nr = LOAD(&shelf->runtime->nr_buckets), number, first = 0;
	unsigned int segment = 0;

	if (nr < INDEX_FIRST_BUCKETS)
		return;
	number = bucket_of(hash, nr);
	if (number >= INDEX_FIRST_BUCKETS) {
		segment = top_bit(number) - INDEX_FIRST_SHIFT + 1;
		first = 1ull << top_bit(number);
	}
	if (segment < SHELF_MAX_SEGMENTS)
		shelf_prefetch(shelf, shelf->runtime->segments[segment] +
					      (number - first) * sizeof(struct bucket));
}

struct bucket *index_bucket(const struct hmem_shelf *shelf, uint64_t hash, uint64_t *number)
{
	uint64_t nr = LOAD(&shelf->runtime->nr_buckets);

	if (nr < INDEX_FIRST_BUCKETS)
		return NULL;
	*number = bucket_of(hash, nr);
	return index_at(shelf, *number);
}

struct bucket *index_next(const struct hmem_shelf *shelf, const struct bucket *bucket)
{
	uint64_t at = BUCKET_NEXT(LOAD(&bucket->head));

	if (!at || at & (sizeof(struct bucket) - 1))
		return NULL;
	if (!shelf_reach(shelf, at))
		return NULL;
	return shelf_at(shelf, at);
}

struct bucket *index_follow(const struct hmem_shelf *shelf, const struct bucket *bucket,
			    unsigned int *left)
{
	if (!*left)
		return NULL;
	--*left;
	return index_next(shelf, bucket);
}

uint64_t *index_find(const struct hmem_shelf *shelf, struct bucket *bucket, uint64_t hash,
		     const char *name, size_t bytes, uint64_t **room)
{
	unsigned int links = 0;

	*room = NULL;
	for (; bucket; bucket = index_next(shelf, bucket)) {
		/* Nothing is put there: index_extend() says why. */
		if (links++ > INDEX_LINKS_MAX) {
			*room = NULL;
			return NULL;
		}
		for (unsigned int i = 0; i < BUCKET_ENTRIES; i++) {
			uint64_t entry = LOAD(&bucket->entry[i]);

			if (!entry) {
				if (!*room)
					*room = &bucket->entry[i];
				continue;
			}
			if ((entry ^ entry_tag(hash)) >> ENTRY_OFFSET_BITS)
				continue;
			if (!shelf_reach(shelf, entry_offset(entry)))
				continue;
			if (name_is(shelf, entry_offset(entry), name, bytes))
				return &bucket->entry[i];
		}
	}
	return NULL;
}

int index_lock(struct writer *writer, uint64_t hash, struct bucket **out)
{
	uint32_t *halt = &writer->shelf->runtime->halt_lock;

	for (;;) {
		uint64_t number, again;
		struct bucket *bucket = index_bucket(writer->shelf, hash, &number);
		int err;

		if (!bucket)
			return shelf_damaged(writer->shelf);
		err = bucket_take(writer, bucket);
		if (err)
			return err;
		/* The other side of instant.c: it halts, and then looks at locks. */
		if (__builtin_expect(__atomic_load_n(halt, __ATOMIC_SEQ_CST) != 0, 0)) {
			bucket_drop(writer, bucket);
			err = lock_take(writer, halt);
			if (err)
				return err;
			lock_drop(writer, halt);
			continue;
		}
		if (index_bucket(writer->shelf, hash, &again) == bucket) {
			*out = bucket;
			return 0;
		}
		bucket_drop(writer, bucket);
	}
}

/* Memory for buckets, full of zeroes, that is still slot->fresh. Its offset. */
static int take_buckets(struct writer *writer, uint64_t nr, uint64_t *buckets)
{
	unsigned int align_shift = top_bit(sizeof(struct bucket));
	uint64_t at;
	int err = heap_take(writer, nr * sizeof(struct bucket), align_shift, &at);

	if (err)
		return err;
	*buckets = record_value_offset(at, align_shift);
	memset(shelf_at(writer->shelf, at), 0, sizeof(struct record));
	memset(shelf_at(writer->shelf, *buckets), 0, nr * sizeof(struct bucket));
	return 0;
}

int index_extend(struct writer *writer, struct bucket *bucket, uint64_t **room)
{
	struct hmem_shelf *shelf = writer->shelf;
	unsigned int links = 0;
	struct bucket *next;
	uint64_t buckets;
	int err;

	while ((next = index_next(shelf, bucket))) {
		if (links++ > INDEX_LINKS_MAX)
			return shelf_damaged(shelf);
		bucket = next;
	}
	err = take_buckets(writer, 1, &buckets);
	if (err)
		return err;
	redo_add(writer, &bucket->head,
		 (LOAD(&bucket->head) & 0xffffull << 48) | buckets >> SHELF_GRANULE_SHIFT);
	redo_add(writer, &writer->slot->fresh, 0);
	redo_apply(writer);
	*room = &((struct bucket *)shelf_at(shelf, buckets))->entry[0];
	return 0;
}

/* --- splitting ----------------------------------------------------------------------- */

/* Does an entry of the old bucket belong into @number, the new one? -EUCLEAN on damage. */
static int belongs(const struct hmem_shelf *shelf, uint64_t entry, uint64_t number)
{
	unsigned int bit = top_bit(number);
	uint64_t at = entry_offset(entry), hash;
	struct record header;

	if (bit < INDEX_FIRST_SHIFT + ENTRY_TAG_BITS)
		return entry >> ENTRY_OFFSET_BITS >> (bit - INDEX_FIRST_SHIFT) & 1;
	if (!shelf_reach(shelf, at))
		return -EUCLEAN;
	memcpy(&header, shelf_at(shelf, at), sizeof(header));
	if (!record_fits(shelf, at, &header))
		return -EUCLEAN;
	hash = name_hash(shelf,
			 shelf_at(shelf, record_value_offset(at, header.align_shift) +
						header.value_bytes),
			 header.name_bytes);
	return hash >> bit & 1;
}

/* False: it is damaged, and leads back to itself. */
static bool chain_ends(const struct hmem_shelf *shelf, const struct bucket *bucket)
{
	unsigned int left = INDEX_LINKS_MAX;

	while (bucket && left)
		bucket = index_follow(shelf, bucket, &left);
	return !bucket;
}

static int add_entry(struct writer *writer, struct bucket *bucket, uint64_t entry)
{
	unsigned int left = INDEX_LINKS_MAX;
	struct bucket *first = bucket;
	uint64_t *room = NULL;
	int err;

	for (; bucket; bucket = index_follow(writer->shelf, bucket, &left))
		for (unsigned int i = 0; i < BUCKET_ENTRIES; i++) {
			if (bucket->entry[i] == entry)
				return 0;
			if (!bucket->entry[i] && !room)
				room = &bucket->entry[i];
		}
	if (!room) {
		err = index_extend(writer, first, &room);
		if (err)
			return err;
	}
	STORE(room, entry);
	return 0;
}

/*
 * Tell readers: who looked where something was going to be, and then where it had been,
 * sees that this has changed and looks again. Nobody waits for whoever moves.
 */
static void moved(struct hmem_shelf *shelf)
{
	__atomic_fetch_add(&shelf->runtime->moves, 1, __ATOMIC_SEQ_CST);
}

/* Fill holes in the first bucket from the overflow, and free what is empty then. */
static int compact(struct writer *writer, struct bucket *bucket)
{
	struct hmem_shelf *shelf = writer->shelf;
	unsigned int nr_left = INDEX_LINKS_MAX;
	struct bucket *last, *before, *next;

	while ((last = index_follow(shelf, bucket, &nr_left))) {
		unsigned int left = INDEX_LINKS_MAX;
		bool empty = true;
		uint64_t at;
		int err;

		for (before = bucket; (next = index_follow(shelf, last, &left)); last = next)
			before = last;
		for (unsigned int i = 0; i < BUCKET_ENTRIES && empty; i++) {
			uint64_t *hole = NULL;

			if (!last->entry[i])
				continue;
			left = INDEX_LINKS_MAX;
			for (struct bucket *b = bucket; b && b != last && !hole;
			     b = index_follow(shelf, b, &left))
				for (unsigned int j = 0; j < BUCKET_ENTRIES && !hole; j++)
					if (!b->entry[j])
						hole = &b->entry[j];
			if (!hole) {
				empty = false;
				break;
			}
			STORE(hole, last->entry[i]);
			moved(shelf);
			STORE(&last->entry[i], 0);
		}
		if (!empty)
			return 0;
		at = shelf_offset(shelf, last);
		err = heap_give_begin(writer, at - sizeof(struct record), OVERFLOW_GRANULES);
		if (err)
			return err;
		STORE(&before->head, LOAD(&before->head) & 0xffffull << 48);
		moved(shelf);
		err = heap_give_again(writer);
		if (err)
			return err;
	}
	return 0;
}

static void remove_moved(struct hmem_shelf *shelf, uint64_t number, struct bucket *old)
{
	unsigned int left = INDEX_LINKS_MAX;

	for (; old; old = index_follow(shelf, old, &left))
		for (unsigned int i = 0; i < BUCKET_ENTRIES; i++)
			if (old->entry[i] && belongs(shelf, old->entry[i], number) > 0)
				STORE(&old->entry[i], 0);
}

/* Both buckets and the split lock are held. */
static int split(struct writer *writer, uint64_t number, struct bucket *old,
		 struct bucket *new)
{
	struct hmem_shelf *shelf = writer->shelf;
	unsigned int left = INDEX_LINKS_MAX;
	struct bucket *bucket;
	int err;

	for (bucket = old; bucket; bucket = index_follow(shelf, bucket, &left)) {
		for (unsigned int i = 0; i < BUCKET_ENTRIES; i++) {
			err = bucket->entry[i] ? belongs(shelf, bucket->entry[i], number) : 0;
			if (err > 0)
				err = add_entry(writer, new, bucket->entry[i]);
			if (err < 0)
				return err;
		}
	}
	STORE(&shelf->runtime->nr_buckets, number + 1);
	remove_moved(shelf, number, old);
	return compact(writer, old);
}

/* The segment that bucket @number is the first of, unless it is there. */
static int make_segment(struct writer *writer, uint64_t number)
{
	unsigned int segment = top_bit(number) - INDEX_FIRST_SHIFT + 1;
	uint64_t buckets;
	int err;

	if (segment >= SHELF_MAX_SEGMENTS)
		return -ENOSPC;
	if (number & (number - 1) || writer->shelf->runtime->segments[segment])
		return 0;
	err = take_buckets(writer, number, &buckets);
	if (err)
		return err;
	redo_add(writer, &writer->shelf->runtime->segments[segment], buckets);
	redo_add(writer, &writer->slot->fresh, 0);
	redo_apply(writer);
	return 0;
}

static int split_locked(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	uint64_t number = LOAD(&shelf->runtime->nr_buckets);
	struct bucket *old, *new;
	int err = number < INDEX_FIRST_BUCKETS ? shelf_damaged(shelf) :
						 make_segment(writer, number);

	if (err)
		return err;
	old = index_at(shelf, number - (1ull << top_bit(number)));
	new = index_at(shelf, number);
	if (!old || !new)
		return shelf_damaged(shelf);
	err = bucket_take(writer, old);
	if (err)
		return err;
	err = bucket_take(writer, new);
	if (!err) {
		if (!chain_ends(shelf, old) || !chain_ends(shelf, new)) {
			err = shelf_damaged(shelf);
		} else {
			STORE(&shelf->runtime->split, number + 1);
			err = split(writer, number, old, new);
			if (err)
				index_settle_split(writer);
			STORE(&shelf->runtime->split, 0);
		}
		bucket_drop(writer, new);
	}
	bucket_drop(writer, old);
	return err;
}

int index_split(struct writer *writer)
{
	uint32_t *lock = &writer->shelf->runtime->split_lock, nobody = 0;
	int err;

	/* When somebody else is splitting, all the better. */
	if (__atomic_load_n(lock, __ATOMIC_RELAXED) != nobody)
		return 0;
	err = lock_take(writer, lock);
	if (err)
		return err;
	err = split_locked(writer);
	lock_drop(writer, lock);
	return err;
}

/* Each bucket of a chain is compared with all behind it. */
#define TWIN_LINKS_MAX (1u << 28)

/* Somebody died between filling a hole and clearing what it was filled from. */
static void remove_twins(struct hmem_shelf *shelf, struct bucket *bucket)
{
	unsigned int left = INDEX_LINKS_MAX, left_in_all = TWIN_LINKS_MAX;

	for (struct bucket *a = bucket; a; a = index_follow(shelf, a, &left))
		for (unsigned int i = 0; i < BUCKET_ENTRIES; i++)
			for (struct bucket *b = a; b && a->entry[i];
			     b = index_follow(shelf, b, &left_in_all))
				for (unsigned int j = b == a ? i + 1 : 0; j < BUCKET_ENTRIES; j++)
					if (b->entry[j] == a->entry[i]) {
						moved(shelf);
						STORE(&b->entry[j], 0);
					}
}

/* Or between writing down that an overflow bucket is given back and unlinking it. */
static void unlink_freed(struct writer *writer, struct bucket *bucket)
{
	struct hmem_shelf *shelf = writer->shelf;
	unsigned int left = INDEX_LINKS_MAX;
	struct bucket *next;

	for (; (next = index_follow(shelf, bucket, &left)); bucket = next) {
		if (shelf_offset(shelf, next) - sizeof(struct record) != writer->slot->freeing)
			continue;
		STORE(&bucket->head, LOAD(&bucket->head) & 0xffffull << 48);
		moved(shelf);
		return;
	}
}

/*
 * Takes no memory and no locks. A new bucket that has not been counted in is emptied;
 * else the old one is rid of what was moved. Both are locked, as runtime.split is
 * not 0 otherwise.
 */
void index_settle_split(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	uint64_t made = LOAD(&shelf->runtime->split), number = made - 1;
	uint64_t nr = LOAD(&shelf->runtime->nr_buckets);
	struct bucket *old, *new;

	if (!made)
		return;
	if (number < INDEX_FIRST_BUCKETS || nr - number > 1)
		goto out;
	old = index_at(shelf, number - (1ull << top_bit(number)));
	new = index_at(shelf, number);
	if (!old || !new || !chain_ends(shelf, old) || !chain_ends(shelf, new))
		goto out;
	if (nr == number) {
		unsigned int left = INDEX_LINKS_MAX;

		for (; new; new = index_follow(shelf, new, &left))
			for (unsigned int i = 0; i < BUCKET_ENTRIES; i++)
				STORE(&new->entry[i], 0);
	} else {
		remove_moved(shelf, number, old);
		remove_twins(shelf, old);
		unlink_freed(writer, old);
	}
out:
	STORE(&shelf->runtime->split, 0);
}

/* --- making one ---------------------------------------------------------------------- */

static int give_buckets(struct writer *writer, uint64_t buckets, uint64_t nr)
{
	return heap_give(writer, buckets - sizeof(struct record),
			 (sizeof(struct record) + nr * sizeof(struct bucket)) >>
				 SHELF_GRANULE_SHIFT);
}

static uint64_t segment_buckets(unsigned int segment)
{
	return segment ? 8ull << segment : INDEX_FIRST_BUCKETS;
}

int index_discard(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct runtime *rt = shelf->runtime;
	int err = 0;

	for (unsigned int s = 0; s < SHELF_MAX_SEGMENTS && !err; s++) {
		uint64_t at = rt->segments[s];

		for (uint64_t i = 0; at && i < segment_buckets(s) && !err; i++) {
			struct bucket *next, *bucket = (struct bucket *)shelf_at(shelf, at) + i;
			unsigned int left = INDEX_LINKS_MAX;

			for (bucket = index_next(shelf, bucket); bucket && !err; bucket = next) {
				next = index_follow(shelf, bucket, &left);
				err = give_buckets(writer, shelf_offset(shelf, bucket), 1);
			}
		}
		if (at && !err)
			err = give_buckets(writer, at, segment_buckets(s));
		STORE(&rt->segments[s], 0);
	}
	STORE(&rt->nr_buckets, 0);
	return err;
}

/* The largest first, while there is room in one piece. */
static int make_segments(struct writer *writer, unsigned int nr)
{
	while (nr--) {
		uint64_t buckets;
		int err = take_buckets(writer, segment_buckets(nr), &buckets);

		if (err)
			return err;
		redo_add(writer, &writer->shelf->runtime->segments[nr], buckets);
		redo_add(writer, &writer->slot->fresh, 0);
		redo_apply(writer);
	}
	return 0;
}

uint64_t index_buckets_for(uint64_t objects)
{
	return objects / INDEX_LOAD > INDEX_FIRST_BUCKETS ? objects / INDEX_LOAD :
							     INDEX_FIRST_BUCKETS;
}

int index_create(struct writer *writer, uint64_t nr)
{
	int err = make_segments(writer, top_bit(nr - 1) - INDEX_FIRST_SHIFT + 2);

	if (!err)
		STORE(&writer->shelf->runtime->nr_buckets, nr);
	return err;
}
