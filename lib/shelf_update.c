// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Updates of one name: put, delete, and what they have in common with other calls.
 *
 * An update holds its bucket from before it knows the old record until the new one is
 * durable and counts. In between there is one fence, and it covers: the new record (or
 * the tombstone), the seal of the writer's record before that, whatever was erased
 * since the writer's last fence, and, if the old record's predecessor was erased by
 * another writer who has made no fence since, that erasure as well. So at any time at most
 * the newest two records of a name can be found on the media.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <string.h>

#include "clock.h"
#include "crc32c.h"
#include "shelf.h"
#include "shelf_lock.h"
#include "shelf_map.h"
#include "shelf_ordered.h"
#include "shelf_record.h"
#include "shelf_seq.h"
#include "shelf_sigbus.h"
#include "shelf_tx.h"
#include "shelf_type.h"
#include "shelf_update.h"
#include "sized.h"

#define PUT_SIZE_V1	sizeof(struct hmem_put_options)
#define PUT_FLAGS	(HMEM_PUT_CREATE | HMEM_PUT_REPLACE)

/* --- names and options --------------------------------------------------------------- */

int object_name_check(struct hmem_shelf *shelf, const char *name, size_t *bytes)
{
	if (!name || !*name)
		return shelf_fail(shelf, -EINVAL, "shelf %s: an object needs a name", shelf->name);
	*bytes = strnlen(name, SHELF_NAME_MAX + 1);
	if (*bytes > SHELF_NAME_MAX)
		return shelf_fail(shelf, -ENAMETOOLONG,
				  "shelf %s: names of objects have at most %u bytes", shelf->name,
				  SHELF_NAME_MAX);
	return 0;
}

int object_absent(struct hmem_shelf *shelf, const char *name)
{
	return shelf_fail(shelf, -ENOENT, "shelf %s has no object %s", shelf->name, name);
}

int object_no_space(struct hmem_shelf *shelf, const char *name, size_t bytes)
{
	uint64_t pinned;
	int pid = limbo_holder(shelf, &pinned);

	if (!pinned && !bytes)
		return shelf_fail(shelf, -ENOSPC, "shelf %s has no room for %s", shelf->name, name);
	if (!pinned)
		return shelf_fail(shelf, -ENOSPC, "shelf %s has no room for %s, of %zu bytes",
				  shelf->name, name, bytes);
	return shelf_fail(shelf, -ENOSPC,
			  "shelf %s has no room for %s, of %zu bytes; process %d still uses %" PRIu64
			  " bytes of objects that were replaced or deleted",
			  shelf->name, name, bytes, pid, pinned);
}

int put_options_read(struct hmem_shelf *shelf, const char *name,
		     const struct hmem_put_options *options, size_t bytes, struct put *put)
{
	struct hmem_put_options checked = HMEM_PUT_OPTIONS_INIT;
	int err;

	*put = (struct put){ .name = name, .bytes = bytes, .kind = RECORD_OBJECT };
	err = object_name_check(shelf, name, &put->name_bytes);
	if (!err && options)
		err = hmem_sized_read(shelf->ctx, "struct hmem_put_options", &checked,
				      sizeof(checked), PUT_SIZE_V1, options);
	if (err)
		return err;
	if (checked.flags & ~PUT_FLAGS)
		return shelf_fail(shelf, -EINVAL, "putting %s: unknown flags %#x", name,
				  checked.flags & ~PUT_FLAGS);
	if (!checked.align)
		checked.align = SHELF_GRANULE;
	if (checked.align > HMEM_ALIGN_MAX || checked.align & (checked.align - 1))
		return shelf_fail(shelf, -EINVAL,
				  "putting %s: %zu is no alignment; a power of two up to %zu is",
				  name, checked.align, HMEM_ALIGN_MAX);
	if (checked.align < SHELF_GRANULE)
		checked.align = SHELF_GRANULE;
	if (checked.type_bytes > HMEM_TYPE_MAX)
		return shelf_fail(shelf, -EINVAL,
				  "putting %s: a type descriptor has at most %u bytes, not %zu", name,
				  HMEM_TYPE_MAX, checked.type_bytes);
	if (!checked.type && checked.type_bytes)
		return shelf_fail(shelf, -EINVAL,
				  "putting %s: there are no %zu bytes of a type descriptor", name,
				  checked.type_bytes);
	put->type = checked.type;
	put->type_bytes = checked.type_bytes;
	if (bytes > shelf->max_heap)
		return shelf_fail(shelf, -ENOSPC, "shelf %s can never hold %s, of %zu bytes",
				  shelf->name, name, bytes);
	put->flags = checked.flags;
	put->align_shift = (unsigned int)__builtin_ctzll(checked.align);
	return 0;
}

/* --- sequence ------------------------------------------------------------------------ */

/*
 * The first words of the writer's last record, as it is and sealed, when this process did not compose
 * that. Who has replaced it may have it forgotten by the slot, and then its memory is another's: what
 * was loaded before that is the record's.
 */
static bool unsealed_words(const struct writer *writer, uint64_t at, uint64_t *from, uint64_t *to)
{
	const struct hmem_shelf *shelf = writer->shelf;
	struct record header;

	if (!at || !shelf_reach_block(shelf, at))
		return false;
	header = record_load(shelf, at);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (LOAD(&writer->slot->unsealed) != at)
		return false;
	if ((header.state != RECORD_PENDING && header.state != RECORD_BORN) ||
	    !record_fits(shelf, at, &header))
		return false;
	memcpy(from, &header, sizeof(*from));
	/* Of an object it does not cover the value, which may be large. */
	*to = record_word(shelf, at, &header, RECORD_SEALED,
			  header.kind == RECORD_OBJECT ? 0 : record_value_crc(shelf, at, &header));
	return true;
}

void writer_seal(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	uint64_t at = LOAD(&writer->slot->unsealed), from = writer->last.word;
	uint64_t to = writer->last.sealed;
	bool known = at && at == writer->last.at;

	writer->last.at = 0;
	if (!known && !unsealed_words(writer, at, &from, &to))
		return;
	/* If it fails, somebody has replaced the record: it needs no seal any more. */
	if (__atomic_compare_exchange_n((uint64_t *)shelf_at(shelf, at), &from, to, false,
					__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		write_back(writer, shelf_at(shelf, at), sizeof(uint64_t));
}

int object_link_check(struct writer *writer, uint64_t at, uint64_t *judged)
{
	struct hmem_shelf *shelf = writer->shelf;
	const struct record *r = shelf_at(shelf, at);
	int64_t deadline = 0;

	for (;;) {
		uint64_t link = LOAD(&r->link);
		unsigned int owner = (unsigned int)LINK_SLOT(link);
		int err;

		*judged = link;
		if (!link_is_owned(shelf, link) || owner >= shelf->nr_slots)
			return 0;
		if (owner == writer->id)
			return shelf_fail(shelf, -EDEADLK,
					  "shelf %s: this thread's own transaction is changing the "
					  "object in place; commit or abort that first, or put and "
					  "delete within it",
					  shelf->name);
		if (owner_lives(shelf, owner)) {
			if (LOAD(&r->link) != link)
				continue;
			return shelf_fail(shelf, -EBUSY,
					  "shelf %s: a transaction of process %d is changing the "
					  "object in place; try again when that has ended",
					  shelf->name, (int)LOAD(&shelf_slot(shelf, owner)->pid));
		}
		err = takeover(shelf, writer, owner);
		if (err && err != -EAGAIN)
			return err;
		/* Nobody was there to let it go: then it was never his. */
		if (!err && LOAD(&r->link) == link)
			return 0;
		/* Somebody else is undoing it. */
		if (!deadline)
			deadline = now_ms() + shelf->wait_ms;
		else if (now_ms() > deadline)
			return shelf_fail(shelf, -EBUSY,
					  "shelf %s: whoever undoes what dead process %d was changing "
					  "in place does not go on; try again, or see what stops it",
					  shelf->name, (int)LOAD(&shelf_slot(shelf, owner)->pid));
		sched_yield();
	}
}

void cover_link(struct writer *writer, uint64_t link)
{
	struct hmem_shelf *shelf = writer->shelf;
	uint64_t at = LINK_OFFSET(link);
	const struct slot *slot;

	/*
	 * Who wrote to it has covered its predecessor; and what was replaced before this runtime
	 * is durably erased.
	 */
	if (!link || link & (LINK_WRITTEN | LINK_OWNED) || LINK_SLOT(link) >= shelf->nr_slots)
		return;
	slot = shelf_slot(shelf, (unsigned int)LINK_SLOT(link));
	if ((LOAD(&slot->fence_seq) & 0x3ff) != LINK_FENCES(link))
		return;
	if (at && shelf_reach_block(shelf, at))
		write_back(writer, shelf_at(shelf, at), sizeof(uint64_t));
	/* Without this record the commit must count by itself: sealed. */
	at = link & LINK_MEMBER ? LOAD(&slot->commit) : 0;
	if (at && shelf_reach_block(shelf, at))
		write_back(writer, shelf_at(shelf, at), sizeof(uint64_t));
}

void cover_predecessor(struct writer *writer, uint64_t old)
{
	const struct record *r = shelf_at(writer->shelf, old);
	uint64_t link = old ? LOAD(&r->link) : 0;

	/* Only its owner's transaction comes here. */
	if (link_is_owned(writer->shelf, link))
		link = tx_link_of(writer, old);
	cover_link(writer, link);
}

/* --- the name that is updated --------------------------------------------------------- */

int name_find(struct hmem_shelf *shelf, struct bucket *bucket, uint64_t hash, const char *name,
	      size_t name_bytes, uint64_t **entry, uint64_t **room)
{
	do
		*entry = index_find(shelf, bucket, hash, name, name_bytes, room);
	while (!*entry && atomic_load(&shelf->map_error) && !shelf_map_all(shelf));
	return !*entry && atomic_load(&shelf->map_error) ? shelf_damaged(shelf) : 0;
}

int target_lock(struct writer *writer, struct target *target, unsigned int flags)
{
	struct hmem_shelf *shelf = writer->shelf;
	int err;

	err = limbo_room(writer, 1);
	if (!err)
		err = index_lock(writer, target->hash, &target->bucket);
	if (err)
		return err;
	err = name_find(shelf, target->bucket, target->hash, target->name, target->name_bytes,
			&target->entry, &target->room);
	target->old = target->entry ? entry_offset(LOAD(target->entry)) : 0;
	if (!err && target->entry && !shelf_reach_block(shelf, target->old))
		err = shelf_damaged(shelf);
	if (!err && target->entry && flags & HMEM_PUT_CREATE)
		err = shelf_fail(shelf, -EEXIST, "shelf %s has an object %s already", shelf->name,
				 target->name);
	if (!err && !target->entry && flags & HMEM_PUT_REPLACE)
		err = object_absent(shelf, target->name);
	if (!err && target->old && !(target->mine && object_is_mine(writer, target->old)))
		err = object_owner_check(writer, target->old);
	/* First the room in the index: a record that cannot be found must not be durable. */
	if (!err && !target->entry && !target->room)
		err = index_extend(writer, target->bucket, &target->room);
	if (!err && !target->entry && !target->descriptor)
		err = ordered_add(writer, target->hash, target->name, target->name_bytes);
	if (err)
		target_unlock(writer, target);
	return err;
}

/* After its entry has been made. */
static void target_crowded(struct target *target)
{
	/*
	 * An index is grown by those whom it lacks room: at five names a bucket every fifth
	 * finds none in the bucket proper, so that it stays at about that.
	 */
	target->crowded = !target->entry && (target->room < target->bucket->entry ||
					     target->room >= target->bucket->entry + BUCKET_ENTRIES);
}

void target_redo(struct writer *writer, struct target *target, uint64_t at)
{
	struct slot *slot = writer->slot;

	redo_add(writer, target->entry ? target->entry : target->room,
		 entry_make(target->hash, at));
	redo_add(writer, &slot->unsealed, at);
	if (target->old)
		limbo_redo(writer, &target->old, 1);
	else
		redo_add(writer, &slot->objects, slot->objects + 1);
	target_crowded(target);
}

void target_unlock(struct writer *writer, struct target *target)
{
	ordered_settle(writer);
	bucket_drop(writer, target->bucket);
	ordered_reclaim(writer, ORDERED_WAITING);
	/* The update has happened: whether the index could grow is another matter. */
	if (target->crowded)
		index_split(writer);
}

void put_tail(struct hmem_shelf *shelf, uint64_t at, const struct put *put)
{
	unsigned char *tail = shelf_at(shelf, record_value_offset(at, put->align_shift) + put->bytes);

	memcpy(tail, put->name, put->name_bytes);
	if (put->typed)
		memcpy(tail + put->name_bytes, &put->reference, sizeof(put->reference));
}

/* --- put ----------------------------------------------------------------------------- */

/*
 * Lay the new record out and have it written back. Nobody sees it yet, so that its link is
 * there from the beginning: after the flush, touching it would fetch the line from the media.
 */
static struct composed compose(struct writer *writer, uint64_t at, uint64_t seq, uint64_t link,
			       const struct put *put)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct record header = {
		.kind = put->kind & 0xf,
		.name_bytes = put->name_bytes & SHELF_NAME_MAX,
		.seq = seq & ((1ull << 56) - 1),
		.align_shift = (uint8_t)put->align_shift,
		.value_bytes = put->bytes & ((1ull << 44) - 1),
		.typed = put->typed,
		.link = link,
	};
	uint64_t value = record_value_offset(at, put->align_shift), end = value + put->bytes;
	const void *tail = put->typed ? shelf_at(shelf, end) : (const void *)put->name;
	uint64_t written, word;
	uint32_t crc;

	record_set_mark(&header, record_mark(shelf, at));
	crc = record_store_value(writer, value, put->data, put->bytes, &written);
	put_tail(shelf, at, put);
	word = record_word_with(shelf, at, &header, RECORD_PENDING, crc, tail);
	/* Last, so that what is written back in part is no record. */
	record_lay(shelf, at, &header, word);
	record_write_back(writer, at, value, written, end + put_tail_bytes(put));
	return (struct composed){
		.at = at,
		.word = word,
		.sealed = record_word_with(shelf, at, &header, RECORD_SEALED, crc, tail),
	};
}

/* The number of what is to lie in memory that has just been taken, which goes if there is none. */
static int number_fresh(struct writer *writer, uint64_t old, uint64_t *seq)
{
	int err = next_seq(writer, old, seq);

	if (err)
		heap_drop_fresh(writer);
	return err;
}

/* With the name locked and memory at @at. */
static int put_locked(struct writer *writer, const struct put *put, struct target *target,
		      uint64_t at)
{
	uint64_t seq;
	int err = number_fresh(writer, target->old, &seq);

	if (err)
		return err;
	cover_predecessor(writer, target->old);
	writer_seal(writer);
	writer->last = compose(writer, at, seq, target_link(writer, target), put);
	err = fence(writer);
	if (err)
		return err;
	target_redo(writer, target, at);
	redo_add(writer, &writer->slot->fresh, 0);
	redo_show(writer);
	limbo_erase(writer);
	return 0;
}

/* The same for a descriptor: see type.c for why there is no fence. */
static int put_descriptor(struct writer *writer, const struct put *put, struct target *target,
			  uint64_t at)
{
	struct slot *slot = writer->slot;
	uint64_t *place = slot->types, seq;
	int err = number_fresh(writer, 0, &seq);

	if (err)
		return err;
	compose(writer, at, seq, LINK_MAKE(0ull, writer->id, slot->fence_seq), put);
	/* type_intern() has seen to it that one is free. */
	while (*place && place < slot->types + SLOT_TYPES - 1)
		place++;
	redo_add(writer, target->room, entry_make(target->hash, at));
	redo_add(writer, place, at);
	redo_add(writer, &slot->fresh, 0);
	redo_show(writer);
	target_crowded(target);
	return 0;
}

int put_record(struct writer *writer, const struct put *put)
{
	struct target target = {
		.name = put->name,
		.name_bytes = put->name_bytes,
		.hash = name_hash(writer->shelf, put->name, put->name_bytes),
		.descriptor = put->kind == RECORD_TYPE,
	};
	uint64_t at;
	int err;

	err = target_lock(writer, &target, put->flags);
	if (!err) {
		err = heap_take(writer, put->bytes + put_tail_bytes(put), put->align_shift, &at);
		if (!err && target.descriptor)
			err = put_descriptor(writer, put, &target, at);
		else if (!err)
			err = put_locked(writer, put, &target, at);
		target_unlock(writer, &target);
	}
	if (err != -ENOSPC)
		return err;
	/* A descriptor is all name, behind a zero. */
	return target.descriptor ?
		       object_no_space(writer->shelf, "a new type", put->name_bytes - 1) :
		       object_no_space(writer->shelf, put->name, put->bytes);
}

static int do_put(struct hmem_shelf *shelf, const char *name, const void *data, size_t bytes,
		const struct hmem_put_options *options)
{
	struct writer *writer;
	struct put put;
	int err;

	if (!shelf)
		return -EINVAL;
	err = put_options_read(shelf, name, options, bytes, &put);
	if (!err && !data && bytes)
		err = shelf_fail(shelf, -EINVAL, "putting %s: there are no %zu bytes to put", name,
				 bytes);
	if (!err)
		err = updater_begin(shelf, &writer);
	if (err)
		return err;
	put.data = data;
	/* To be sealed under this put's fence, and no longer in the cache since it was flushed. */
	if (writer->slot->unsealed)
		shelf_prefetch(shelf, writer->slot->unsealed);
	err = type_intern(writer, &put);
	return err ? err : put_record(writer, &put);
}

int hmem_shelf_put(struct hmem_shelf *shelf, const char *name, const void *data, size_t bytes,
		   const struct hmem_put_options *options)
{
	return SIGBUS_GUARDED(shelf, do_put(shelf, name, data, bytes, options));
}

/* --- delete -------------------------------------------------------------------------- */

static int delete_locked(struct writer *writer, const struct target *target)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct record *r = shelf_at(shelf, target->old);
	struct slot *slot = writer->slot;
	uint64_t at = target->old;
	union record_word word;
	int err;

	err = ordered_remove(writer, target->name, target->name_bytes);
	if (err)
		return err;
	cover_predecessor(writer, at);
	raise_floor(shelf, at);
	STORE(&slot->deleting, at);
	/* Its last writer may be sealing it. */
	word.word = LOAD((uint64_t *)r);
	while (!record_move(shelf, at, &word.word, RECORD_TOMB))
		;
	write_back(writer, r, sizeof(uint64_t));
	writer_seal(writer);
	/* Readers go by the index: to them it is there until it is gone for good. */
	err = fence(writer);
	if (err)
		return err;
	redo_add(writer, target->entry, 0);
	limbo_redo(writer, &at, 1);
	/* Otherwise as it is: others may clear it as well. */
	if (LOAD(&slot->unsealed) == at)
		redo_add(writer, &slot->unsealed, 0);
	redo_add(writer, &slot->objects, slot->objects - 1);
	redo_add(writer, &slot->deleting, 0);
	redo_show(writer);
	limbo_erase(writer);
	return 0;
}

static int do_delete(struct hmem_shelf *shelf, const char *name)
{
	struct target target = { .name = name };
	struct writer *writer;
	int err;

	if (!shelf)
		return -EINVAL;
	err = object_name_check(shelf, name, &target.name_bytes);
	if (!err)
		err = updater_begin(shelf, &writer);
	if (err)
		return err;
	target.hash = name_hash(shelf, name, target.name_bytes);
	/* One that is there is all that can be deleted. */
	err = target_lock(writer, &target, HMEM_PUT_REPLACE);
	if (err)
		return err;
	err = delete_locked(writer, &target);
	target_unlock(writer, &target);
	return err;
}

int hmem_shelf_delete(struct hmem_shelf *shelf, const char *name)
{
	return SIGBUS_GUARDED(shelf, do_delete(shelf, name));
}
