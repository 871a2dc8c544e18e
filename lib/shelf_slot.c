// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Writers: their slots, and the locks that they take.
 *
 * The kernel knows who lives: each slot has a byte, far behind the end of the region's
 * file, and its owner holds an open-file-description lock on that. A byte that nobody
 * holds although its slot is in use belongs to a dead writer, see takeover.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "shelf.h"
#include "shelf_lock.h"
#include "shelf_sigbus.h"
#include "shelf_tx.h"
#include "shelf_type.h"

#define SPINS_BEFORE_LOOKING 200
/* It may change hands while we look at it. */
#define ORPHANED_FOR_SURE 100
/* His slot may be the next one's, who dies as well. */
#define RELEASED_FOR_SURE 100

/* --- bytes --------------------------------------------------------------------------- */

int slot_byte(const struct hmem_shelf *shelf, unsigned int id)
{
	return (int)(SHELF_BYTE_SLOTS + id + shelf->rack_entry * SHELF_BYTES_EACH);
}

int repair_byte(const struct hmem_shelf *shelf, unsigned int id)
{
	return slot_byte(shelf, id) + SHELF_BYTE_REPAIRS - SHELF_BYTE_SLOTS;
}

int slot_bytes_lock(struct hmem_shelf *shelf, unsigned int id)
{
	uint32_t *takes = &shelf_slot(shelf, id)->takes;
	int err = byte_lock(shelf->lock_fd, repair_byte(shelf, id));

	if (err)
		return err;
	STORE(takes, LOAD(takes) + 1);
	err = byte_lock(shelf->lock_fd, slot_byte(shelf, id));
	if (err)
		byte_unlock(shelf->lock_fd, repair_byte(shelf, id));
	return err;
}

void slot_bytes_unlock(struct hmem_shelf *shelf, unsigned int id)
{
	byte_unlock(shelf->lock_fd, slot_byte(shelf, id));
	byte_unlock(shelf->lock_fd, repair_byte(shelf, id));
}

/* --- locks --------------------------------------------------------------------------- */

static uint64_t *free_note(struct writer *writer)
{
	for (unsigned int i = 0; i < SLOT_LOCKS; i++)
		if (!writer->slot->locks[i])
			return &writer->slot->locks[i];
	/* The library never holds as many: somebody else has stored there. */
	return &writer->unnoted;
}

static void lock_note(struct writer *writer, uint64_t what)
{
	STORE(free_note(writer), what);
}

void lock_forget(struct writer *writer, uint64_t what)
{
	for (unsigned int i = 0; i < SLOT_LOCKS; i++)
		if (writer->slot->locks[i] == what)
			STORE(&writer->slot->locks[i], 0);
}

/*
 * How long somebody has been waiting for a lock. @owner, @done: who held it, and fences and
 * progress that he had made: when they change somebody does go on.
 */
struct wait {
	unsigned int orphaned;
	unsigned int released;
	unsigned int spins;
	unsigned int owner;
	uint64_t done;
	int64_t deadline;
};

/*
 * Somebody holds a lock that @writer wants: wait a little, and see whether he lives.
 * 0: try again.
 */
static int lock_wait(struct writer *writer, unsigned int owner, struct wait *wait)
{
	struct hmem_shelf *shelf = writer->shelf;
	uint64_t done = 0;

	if (++wait->spins < SPINS_BEFORE_LOOKING) {
#ifdef __x86_64__
		__builtin_ia32_pause();
#endif
		return 0;
	}
	/* Nobody frees his slot with a lock in hand: such a lock is damage, after a clean close. */
	if (owner >= shelf->nr_slots || (!LOAD(&shelf_slot(shelf, owner)->used) &&
					 ++wait->orphaned == ORPHANED_FOR_SURE))
		return shelf_damaged(shelf);
	if (!own_writer(shelf, owner) &&
	    !byte_held(shelf->lock_fd, slot_byte(shelf, owner))) {
		int err = takeover(shelf, writer, owner);

		/* The dead one's locks are let go then, but for one that he has not noted: damage. */
		if (!err && ++wait->released == RELEASED_FOR_SURE)
			return shelf_damaged(shelf);
		if (err != -EAGAIN)
			return err;
	}
	if (owner < shelf->nr_slots)
		done = LOAD(&shelf_slot(shelf, owner)->fence_seq) +
		       LOAD(&shelf_slot(shelf, owner)->progress);
	if (!wait->deadline || wait->owner != owner || wait->done != done) {
		wait->deadline = now_ms() + shelf->wait_ms;
		wait->owner = owner;
		wait->done = done;
	} else if (now_ms() > wait->deadline) {
		return shelf_fail(shelf, -EBUSY,
				  "shelf %s: process %d holds a lock and does not go on; try again, "
				  "or see what stops it",
				  shelf->name, (int)LOAD(&shelf_slot(shelf, owner)->pid));
	}
	sched_yield();
	return 0;
}

bool lock_try(struct writer *writer, uint32_t *lock)
{
	uint64_t what = shelf_offset(writer->shelf, lock);
	uint32_t nobody = 0;

	if (LOAD(lock))
		return false;
	lock_note(writer, what);
	if (__atomic_compare_exchange_n(lock, &nobody, writer->id + 1, false, __ATOMIC_ACQUIRE,
					__ATOMIC_RELAXED))
		return true;
	lock_forget(writer, what);
	return false;
}

int lock_take(struct writer *writer, uint32_t *lock)
{
	uint64_t what = shelf_offset(writer->shelf, lock);
	struct wait wait = { 0 };

	lock_note(writer, what);
	for (;;) {
		uint32_t owner = 0;
		int err;

		if (__atomic_compare_exchange_n(lock, &owner, writer->id + 1, false,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return 0;
		err = lock_wait(writer, owner - 1, &wait);
		if (err) {
			lock_forget(writer, what);
			return err;
		}
	}
}

void lock_drop(struct writer *writer, uint32_t *lock)
{
	STORE(lock, 0);
	lock_forget(writer, shelf_offset(writer->shelf, lock));
}

int bucket_take_noted(struct writer *writer, struct bucket *bucket, uint64_t *note)
{
	struct wait wait = { 0 };

	STORE(note, shelf_offset(writer->shelf, bucket) | LOCK_IN_BUCKET);
	for (;;) {
		uint64_t head = LOAD(&bucket->head);
		int err;

		if (!(head >> 48)) {
			if (__atomic_compare_exchange_n(&bucket->head, &head,
							head | (uint64_t)(writer->id + 1) << 48,
							false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
				return 0;
			continue;
		}
		err = lock_wait(writer, (unsigned int)(head >> 48) - 1, &wait);
		if (err) {
			STORE(note, 0);
			return err;
		}
	}
}

int bucket_take(struct writer *writer, struct bucket *bucket)
{
	return bucket_take_noted(writer, bucket, free_note(writer));
}

void bucket_drop(struct writer *writer, struct bucket *bucket)
{
	STORE(&bucket->head, LOAD(&bucket->head) & ~(0xffffull << 48));
	lock_forget(writer, shelf_offset(writer->shelf, bucket) | LOCK_IN_BUCKET);
}

/* --- write-back ---------------------------------------------------------------------- */

void write_back(struct writer *writer, const void *at, size_t bytes)
{
	persist_write_back(&writer->persist, at, bytes);
}

void block_write_back(struct writer *writer, uint64_t at)
{
	if (shelf_reach_block(writer->shelf, at))
		write_back(writer, shelf_at(writer->shelf, at), SHELF_GRANULE);
}

int fence(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct slot *slot = writer->slot;
	unsigned int types = 0;
	int err;

	limbo_write_back(writer, slot);
	if (__builtin_expect(slot->types[0] != 0, 0))
		types = types_seal(writer);
	err = persist_fence(&writer->persist);
	if (err) {
		/* What was written back before may be lost as well, and nobody would tell. */
		STORE(&shelf->runtime->failed, RUNTIME_NOT_WRITTEN);
		return shelf_fail(shelf, -EIO,
				  "shelf %s: writing back to %s failed: %s; it takes no more "
				  "updates until all have closed it",
				  shelf->name, "the media", strerror(-err));
	}
	STORE(&slot->fence_seq, slot->fence_seq + 1);
	STORE(&slot->ring_fenced, slot->ring_erased);
	heap_frontier_durable(writer);
	if (__builtin_expect(types != 0, 0))
		types_forget(writer, types);
	return 0;
}

/* --- redo ---------------------------------------------------------------------------- */

void redo_add(struct writer *writer, uint64_t *at, uint64_t value)
{
	unsigned int nr = writer->nr_redo;
	struct redo *redo = &writer->slot->redo[nr];

	if (nr >= SLOT_REDO)
		abort(); /* no update has as many */
	writer->redo[nr] = (struct redo_word){ at, value };
	redo->at = shelf_offset(writer->shelf, at);
	redo->value = value;
	/* Counted in the upper half until they are valid, all at once. */
	writer->nr_redo = ++nr;
	STORE(&writer->slot->forward, (uint64_t)nr << 32);
}

static void apply(struct writer *writer, uint64_t how)
{
	struct slot *slot = writer->slot;
	unsigned int nr = writer->nr_redo;

	STORE(&slot->forward, nr | how);
	for (unsigned int i = 0; i < nr; i++)
		STORE(writer->redo[i].at, writer->redo[i].value);
	writer->nr_redo = 0;
	STORE(&slot->forward, 0);
}

bool redo_again(struct writer *writer)
{
	struct slot *slot = writer->slot;
	struct redo redo[SLOT_REDO];
	uint64_t forward = LOAD(&slot->forward), nr = forward & REDO_COUNT;

	if (nr > SLOT_REDO)
		return false;
	/* What one of them stores may be another, if somebody made them up. */
	for (uint64_t i = 0; i < nr; i++) {
		redo[i].at = LOAD(&slot->redo[i].at);
		redo[i].value = LOAD(&slot->redo[i].value);
	}
	for (uint64_t i = 0; i < nr; i++)
		if (!slot_word_sane(writer->shelf, redo[i].at))
			return false;
	if (forward & REDO_IF_SHOWN && nr &&
	    LOAD((uint64_t *)shelf_at(writer->shelf, redo[0].at)) != redo[0].value)
		nr = 0;
	for (uint64_t i = 0; i < nr; i++)
		STORE((uint64_t *)shelf_at(writer->shelf, redo[i].at), redo[i].value);
	STORE(&slot->forward, 0);
	return true;
}

void redo_apply(struct writer *writer)
{
	apply(writer, 0);
}

void redo_show(struct writer *writer)
{
	apply(writer, REDO_IF_SHOWN);
}

/* --- writers ------------------------------------------------------------------------- */

void writer_init(struct writer *writer, struct hmem_shelf *shelf, unsigned int id)
{
	*writer = (struct writer){
		.shelf = shelf,
		.slot = shelf_slot(shelf, id),
		.id = id,
	};
	shelf_persist_init(shelf, &writer->persist);
}

bool slot_is_empty(const struct slot *slot)
{
	for (unsigned int i = 0; i < SLOT_LOCKS; i++)
		if (slot->locks[i])
			return false;
	if (slot->ring_tail != slot->ring_head || slot->ring_fenced != slot->ring_head ||
	    slot->ring_erased != slot->ring_head)
		return false;
	return !slot->fresh && !slot->freeing && !slot->forward && !slot->deleting &&
	       !slot->unsealed && !slot->ordered && !slot->ordered_free && !slot->tx &&
	       !slot->tx_done && !slot->tx_spare && !slot->tx_forward && !slot->reserved_head &&
	       !slot->publishing && !slot->types[0];
}

static void raise_top(struct hmem_shelf *shelf, uint32_t to)
{
	uint32_t *top = &shelf->runtime->slots_top, was = LOAD(top);

	while (was < to && !__atomic_compare_exchange_n(top, &was, to, false, __ATOMIC_SEQ_CST,
							__ATOMIC_ACQUIRE))
		;
}

/* Make a free slot ours; under shelf->lock. -EUSERS when there is none. */
static int slot_claim(struct hmem_shelf *shelf, struct writer *writer)
{
	for (unsigned int id = 0; id < shelf->nr_slots; id++) {
		struct slot *slot = shelf_slot(shelf, id);

		if (LOAD(&slot->used) || own_writer(shelf, id) || slot_bytes_lock(shelf, id))
			continue;
		/* Somebody had it since, and may have died: we are not to be taken for him. */
		if (LOAD(&slot->used)) {
			slot_bytes_unlock(shelf, id);
			continue;
		}
		/* Nobody leaves one like that behind. */
		if (!slot_is_empty(slot)) {
			slot_bytes_unlock(shelf, id);
			return shelf_damaged(shelf);
		}
		byte_unlock(shelf->lock_fd, repair_byte(shelf, id));
		writer_init(writer, shelf, id);
		STORE(&slot->chunk, 0);
		STORE(&slot->writing, 0);
		STORE(&slot->whole, 0);
		STORE(&slot->repairer, 0);
		STORE(&slot->pid, (int32_t)getpid());
		STORE(&slot->generation, slot->generation + 1);
		if (slot->seq < LOAD(&shelf->runtime->seq_floor))
			STORE(&slot->seq, LOAD(&shelf->runtime->seq_floor));
		raise_top(shelf, id + 1);
		STORE(&slot->used, 1);
		return 0;
	}
	return -EUSERS;
}

static int slot_claim_or_clean(struct hmem_shelf *shelf, struct writer *writer)
{
	int err = slot_claim(shelf, writer);

	if (err != -EUSERS)
		return err;
	pthread_mutex_unlock(&shelf->lock);
	/* One that cannot be put in order does not keep us from the others. */
	takeover_all(shelf, NULL);
	pthread_mutex_lock(&shelf->lock);
	err = slot_claim(shelf, writer);
	if (err)
		shelf_fail(shelf, err,
			   "shelf %s: all of its %u slots are taken; fewer threads, or a shelf "
			   "created with more",
			   shelf->name, shelf->nr_slots);
	return err;
}

static int writer_new(struct hmem_shelf *shelf, struct writer **out)
{
	struct writer *writer = malloc(sizeof(*writer));
	int err;

	if (!writer)
		return shelf_fail(shelf, -ENOMEM, "shelf %s: no memory for a writer", shelf->name);
	err = slot_claim_or_clean(shelf, writer);
	if (err) {
		free(writer);
		return err;
	}
	writer->next = shelf->writers;
	shelf->writers = writer;
	*out = writer;
	return 0;
}

/* What a thread got that has ended stays pinned in its slot until others release it. */
static bool can_pin(const struct writer *writer)
{
	for (unsigned int i = 0; i < SLOT_PINS; i++)
		if (!LOAD(&writer->slot->pins[i]))
			return true;
	return false;
}

static struct writer *writer_idle(const struct hmem_shelf *shelf, bool pins)
{
	struct writer *writer = shelf->writers;

	while (writer && (writer->busy || (pins && !can_pin(writer))))
		writer = writer->next;
	return writer;
}

static int writer_get(struct hmem_shelf *shelf, struct writer **out)
{
	struct writer *writer;
	int err = 0;

	pthread_mutex_lock(&shelf->lock);
	writer = writer_idle(shelf, true);
	if (!writer)
		err = writer_new(shelf, &writer);
	if (err == -EUSERS) {
		/* One that can do all but get objects is better than none. */
		writer = writer_idle(shelf, false);
		err = writer ? 0 : err;
	}
	if (!err) {
		atomic_fetch_sub(&shelf->idle, writer->idle);
		writer->idle = false;
		/* What it had before may have been put in order; what comes now is not. */
		STORE(&writer->slot->whole, 0);
		writer->busy = true;
		writer->owner = pthread_self();
		*out = writer;
	}
	pthread_mutex_unlock(&shelf->lock);
	return err;
}

/* Objects that others of the handle may be using, memory that they may be filling. */
static bool is_needed(const struct writer *writer)
{
	if (LOAD(&writer->slot->reserved_head) || LOAD(&writer->slot->publishing))
		return true;
	for (unsigned int i = 0; i < SLOT_PINS; i++)
		if (LOAD(&writer->slot->pins[i]))
			return true;
	return false;
}

/* Nobody uses the slot any more, and it is in order, or left to those who take over. */
static void slot_leave(struct writer *writer, bool in_order)
{
	struct hmem_shelf *shelf = writer->shelf;

	if (in_order)
		STORE(&writer->slot->used, 0);
	byte_unlock(shelf->lock_fd, slot_byte(shelf, writer->id));
	shelf->fences += writer->persist.fences;
	tx_free(writer->tx_kept);
	free(writer->many_pins);
	free(writer);
}

/* What is needed stays, idle, until it is not any more, or another thread takes it up. */
static int thread_leave(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct writer **from;
	bool leave;

	tx_abandon(writer);
	leave = !is_needed(writer) && !slot_retire(writer);
	/* The next thread's fences count as this writer's, and cover nothing that we have written back. */
	if (!leave)
		fence(writer);
	pthread_mutex_lock(&shelf->lock);
	writer->busy = false;
	if (!leave) {
		writer->idle = true;
		atomic_fetch_add(&shelf->idle, 1);
	} else {
		for (from = &shelf->writers; *from != writer; from = &(*from)->next)
			;
		*from = writer->next;
		slot_leave(writer, true);
	}
	pthread_mutex_unlock(&shelf->lock);
	return 0;
}

/* One that is idle and not needed any more, which is nobody else's from now on. */
static struct writer *take_unneeded(struct hmem_shelf *shelf)
{
	struct writer *writer;

	pthread_mutex_lock(&shelf->lock);
	for (writer = shelf->writers; writer && (!writer->idle || is_needed(writer));
	     writer = writer->next)
		;
	if (writer) {
		atomic_fetch_sub(&shelf->idle, 1);
		writer->idle = false;
		writer->busy = true;
		writer->owner = pthread_self();
	}
	pthread_mutex_unlock(&shelf->lock);
	return writer;
}

int writers_sweep(struct hmem_shelf *shelf)
{
	struct hmem_error kept;

	/* One that cannot go now is idle again: not more often than there are. */
	for (unsigned int left = atomic_load(&shelf->idle); left; left--) {
		struct writer *writer = take_unneeded(shelf);

		if (!writer)
			break;
		/* Whoever released something did not ask for this, and has maybe failed at what he did. */
		hmem_error_keep(&kept);
		thread_leave(writer);
		hmem_error_restore(&kept);
	}
	return 0;
}

/* A thread ends, and gives its slot back; not while others use what it got. */
void writer_thread_exit(void *data)
{
	struct writer *writer = data;
	struct hmem_shelf *shelf = shelf_thread_leaving(writer);

	if (!shelf)
		return;
	/* Of what is broken the handle disposes, when it is closed. */
	SIGBUS_GUARDED(shelf, thread_leave(writer));
	shelf_thread_left(shelf);
}

int writer_begin(struct hmem_shelf *shelf, struct writer **out)
{
	struct writer *writer;
	int err;

	if (!shelf_is_mine(shelf))
		return shelf_fail(shelf, -ECHILD,
				  "shelf %s: opened by the parent of this process, which has to open "
				  "it for itself",
				  shelf->name);
	writer = pthread_getspecific(shelf->writer_key);
	if (!writer) {
		err = writer_get(shelf, &writer);
		if (err)
			return err;
		err = pthread_setspecific(shelf->writer_key, writer);
		if (err) {
			writer_thread_exit(writer);
			return shelf_fail(shelf, -err, "shelf %s: no memory for a writer",
					  shelf->name);
		}
	}
	*out = writer;
	return 0;
}

/* The same for what changes something. */
int updater_begin(struct hmem_shelf *shelf, struct writer **out)
{
	if (shelf->flags & HMEM_SHELF_READ_ONLY)
		return shelf_fail(shelf, -EROFS, "shelf %s was opened read-only", shelf->name);
	if (LOAD(&shelf->runtime->failed) == RUNTIME_DAMAGED)
		return shelf_damaged(shelf);
	if (LOAD(&shelf->runtime->failed))
		return shelf_fail(shelf, -EROFS,
				  "shelf %s takes no more updates, as writing back failed; close it "
				  "everywhere and open it again",
				  shelf->name);
	return writer_begin(shelf, out);
}

/* The shelf is being closed: give all slots back in good order. */
int writers_free(struct hmem_shelf *shelf)
{
	int err = 0;

	while (shelf->writers) {
		struct writer *writer = shelf->writers;
		int failed;

		tx_abandon(writer);
		/* Another thread may have raised it, which our fence does not cover; all else is done again. */
		writer->frontier_written = 0;
		failed = slot_retire(writer);
		if (failed)
			err = failed;
		shelf->writers = writer->next;
		slot_leave(writer, !failed);
	}
	return err;
}
