// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One instant of a shelf, while writers go on.
 *
 * First nothing is freed any more: a pin on everything. Then updates are halted: one that has
 * locked its bucket looks at the halt lock and, if that is held, lets its bucket go and waits;
 * transactions lock theirs under the split lock, which is held as well. Those that had begun
 * before hold their buckets until all of what they change is in the index, so when every
 * bucket has been seen unlocked they have ended, and until both locks are let go nothing changes.
 * That is the instant; the entries of the index are copied, and updates go on. The records that
 * were copied may be replaced and deleted then, but what they say, but for their first word,
 * their mark and their link, stays as long as nothing is freed.
 *
 * But the values may not stay what they are: a transaction that writes to objects changes them
 * where they are. So one that commits says so in its slot and then looks at the read lock, which
 * is taken before the instant, and until those that had begun by then have ended. It is held
 * until all values have been read: by their checksums one knows later which of them have changed.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "clock.h"
#include "shelf_instant.h"
#include "shelf_lock.h"

/* Overflow buckets that a bucket may have; one with as many leads into itself. */
#define CHAIN_MAX (1u << 16)

static int add(struct instant *instant, uint64_t at)
{
	if (instant->nr == instant->room) {
		size_t room = instant->room ? 2 * instant->room : 4096;
		uint64_t *more = realloc(instant->at, room * sizeof(*more));

		if (!more)
			return shelf_fail(instant->shelf, -ENOMEM, "shelf %s: no memory for its index",
					  instant->shelf->name);
		instant->at = more;
		instant->room = room;
	}
	instant->at[instant->nr++] = at;
	return 0;
}

static int copy_index(struct instant *instant)
{
	struct hmem_shelf *shelf = instant->shelf;
	uint64_t nr = LOAD(&shelf->runtime->nr_buckets);
	int err = 0;

	for (uint64_t b = 0; b < nr && !err; b++) {
		const struct bucket *bucket = index_at(shelf, b);
		unsigned int links = 0;

		if (!bucket)
			return shelf_damaged(shelf);
		for (; bucket && !err; bucket = index_next(shelf, bucket)) {
			if (links++ > CHAIN_MAX)
				return shelf_damaged(shelf);
			for (unsigned int i = 0; i < BUCKET_ENTRIES && !err; i++) {
				uint64_t entry = LOAD(&bucket->entry[i]);

				if (entry)
					err = add(instant, entry_offset(entry));
			}
		}
	}
	return err;
}

/*
 * How long updates are halted at first, and wait for one that had begun. One that takes longer is
 * waited for while they go on. A fence may take longer than that: each time it is twice as long.
 */
#define HALT_MS 50

static bool is_locked(const struct bucket *bucket)
{
	return __atomic_load_n(&bucket->head, __ATOMIC_SEQ_CST) >> 48;
}

/*
 * What had begun before updates were halted has ended when this has. -EAGAIN: the one that
 * has locked @slow had not by @deadline.
 */
static int await_updates(struct hmem_shelf *shelf, int64_t deadline, struct bucket **slow)
{
	uint64_t nr = LOAD(&shelf->runtime->nr_buckets);

	for (uint64_t b = 0; b < nr; b++) {
		struct bucket *bucket = index_at(shelf, b);

		if (!bucket)
			return shelf_damaged(shelf);
		while (is_locked(bucket)) {
			if (now_ms() >= deadline) {
				*slow = bucket;
				return -EAGAIN;
			}
			sched_yield();
		}
	}
	return 0;
}

/* Room for about as much as there is, and buckets that need not be validated: before the halt. */
static int prepare(struct instant *instant)
{
	struct hmem_shelf *shelf = instant->shelf;
	uint64_t nr = LOAD(&shelf->runtime->nr_buckets);

	for (uint64_t b = 0; b < nr; b++)
		if (!index_at(shelf, b))
			return shelf_damaged(shelf);
	if (nr > shelf->max_heap / sizeof(struct bucket))
		return shelf_damaged(shelf);
	instant->room = (nr + nr / 8 + 1) * BUCKET_ENTRIES;
	instant->at = malloc(instant->room * sizeof(uint64_t));
	if (!instant->at)
		return shelf_fail(shelf, -ENOMEM, "shelf %s: no memory for its index", shelf->name);
	return 0;
}

static bool is_writing(const struct slot *slot)
{
	return LOAD(&slot->used) && __atomic_load_n(&slot->writing, __ATOMIC_SEQ_CST);
}

/* What was writing when the read lock was taken has ended. -EAGAIN: writer @slow had not. */
static int await_writing(struct hmem_shelf *shelf, int64_t deadline, unsigned int *slow)
{
	for (unsigned int id = 0; id < shelf->nr_slots; id++) {
		while (is_writing(shelf_slot(shelf, id))) {
			if (now_ms() >= deadline) {
				*slow = id;
				return -EAGAIN;
			}
			sched_yield();
		}
	}
	return 0;
}

/* The same for one of them, with no lock held: he may be dead. */
static int await_slow(struct writer *writer, unsigned int id)
{
	struct hmem_shelf *shelf = writer->shelf;
	const struct slot *slot = shelf_slot(shelf, id);
	int64_t deadline = 0;
	uint64_t fences = 0;

	while (is_writing(slot)) {
		int err = owner_lives(shelf, id) ? 0 : takeover(shelf, writer, id);

		if (err && err != -EAGAIN)
			return err;
		if (!deadline || LOAD(&slot->fence_seq) != fences) {
			deadline = now_ms() + shelf->wait_ms;
			fences = LOAD(&slot->fence_seq);
		} else if (now_ms() > deadline) {
			return shelf_fail(shelf, -EBUSY,
					  "shelf %s: process %d is committing a transaction and does "
					  "not go on; try again, or see what stops it",
					  shelf->name, (int)LOAD(&slot->pid));
		}
		sched_yield();
	}
	return 0;
}

/* The read lock is held. */
static int halted_for(struct instant *instant, struct writer *writer, int64_t ms,
		      struct bucket **slow)
{
	struct runtime *rt = instant->shelf->runtime;
	int err = lock_take(writer, &rt->halt_lock);

	if (err)
		return err;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* A split moves entries from one bucket to another. */
	err = lock_take(writer, &rt->split_lock);
	if (!err) {
		err = await_updates(instant->shelf, now_ms() + ms, slow);
		if (!err)
			err = copy_index(instant);
		lock_drop(writer, &rt->split_lock);
	}
	lock_drop(writer, &rt->halt_lock);
	return err;
}

/* With the read lock, which stays held if it is done. */
static int read_locked_for(struct instant *instant, struct writer *writer, int64_t ms,
			   struct bucket **slow, unsigned int *writing)
{
	uint32_t *lock = &instant->shelf->runtime->read_lock;
	int err = lock_take(writer, lock);

	if (err)
		return err;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	err = await_writing(instant->shelf, now_ms() + ms, writing);
	if (!err)
		err = halted_for(instant, writer, ms, slow);
	if (err)
		lock_drop(writer, lock);
	else
		instant->reader = writer;
	return err;
}

static int halted(struct instant *instant, struct writer *writer)
{
	for (int64_t ms = HALT_MS;; ms *= 2) {
		struct bucket *slow = NULL;
		unsigned int writing = 0;
		int err = read_locked_for(instant, writer, ms, &slow, &writing);

		if (err != -EAGAIN)
			return err;
		/* He may have been stopped, or be dead: others are not to wait for that. */
		err = slow ? bucket_take(writer, slow) : await_slow(writer, writing);
		if (err)
			return err;
		if (slow)
			bucket_drop(writer, slow);
	}
}

/* Everything that writers have done with the shelf is known to be over. */
static bool nobody_writes(struct hmem_shelf *shelf)
{
	shelf_follow_writers(shelf);
	return shelf->own_runtime && LOAD(&shelf->runtime) == shelf->own_runtime &&
	       !byte_held(shelf->lock_fd, SHELF_BYTE_WRITER + (int)shelf->rack_entry *
								      SHELF_BYTES_EACH);
}

int instant_holds(const struct instant *instant)
{
	struct hmem_shelf *shelf = instant->shelf;

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (instant->pin || nobody_writes(shelf))
		return 0;
	return shelf_fail(shelf, -EBUSY,
			  "shelf %s: somebody has it open for writing, and what is on it at one "
			  "instant can only be held through a handle for writing",
			  shelf->name);
}

int instant_take(struct hmem_shelf *shelf, struct instant *instant)
{
	struct writer *writer;
	int err;

	*instant = (struct instant){ .shelf = shelf };
	if (!shelf_is_mine(shelf))
		return shelf_fail(shelf, -ECHILD, "shelf %s: opened by the parent", shelf->name);
	if (shelf->flags & HMEM_SHELF_READ_ONLY) {
		err = instant_holds(instant);
		if (!err)
			err = copy_index(instant);
		if (!err)
			err = instant_holds(instant);
	} else {
		err = writer_begin(shelf, &writer);
		if (err)
			return err;
		err = object_pin_begin(writer, &instant->pin);
		if (err)
			return err;
		__atomic_store_n(instant->pin, PIN_EVERYTHING, __ATOMIC_SEQ_CST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		err = prepare(instant);
		if (!err)
			err = halted(instant, writer);
	}
	if (err)
		instant_drop(instant);
	return err;
}

void instant_goes_on(const struct instant *instant)
{
	struct slot *slot = instant->reader ? instant->reader->slot : NULL;

	if (slot)
		STORE(&slot->progress, slot->progress + 1);
}

void instant_was_read(struct instant *instant)
{
	if (instant->reader && shelf_is_mine(instant->shelf))
		lock_drop(instant->reader, &instant->shelf->runtime->read_lock);
	instant->reader = NULL;
}

void instant_drop(struct instant *instant)
{
	instant_was_read(instant);
	if (instant->pin && shelf_is_mine(instant->shelf))
		STORE(instant->pin, 0);
	free(instant->at);
	instant->at = NULL;
	instant->pin = NULL;
}
