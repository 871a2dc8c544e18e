// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Objects that are filled in place: memory is reserved, filled by the application, and
 * published, when it appears whole.
 *
 * What is reserved is a block that no name leads to and that is no record, but has the header
 * of an erased one, with a checksum: so that it is seen when somebody has written in front of
 * his memory, or behind it. It hangs in the list of the slot that reserved it, by the link of
 * its header, and is given back when the owner dies. Any thread of the handle may publish
 * it, so lists are changed under the shelf's limbo lock only. Whoever publishes or cancels
 * takes it out of the list first and has it in slot->publishing: then it is nobody else's,
 * also when he dies.
 *
 * Publishing writes the value back and fences before there is a record, as the checksum of
 * that does not cover the value (RECORD_BORN). The second fence is that of any update.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "shelf.h"
#include "shelf_record.h"
#include "shelf_seq.h"
#include "shelf_sigbus.h"
#include "shelf_type.h"
#include "shelf_update.h"

/* --- a reserved block ---------------------------------------------------------------- */

/* Its header as it should be is what @header says; the first word certifies it. */
static uint64_t reserved_word(const struct hmem_shelf *shelf, uint64_t at,
			      const struct record *header)
{
	return record_word(shelf, at, header, RECORD_FREE, 0);
}

bool reservation_good(const struct hmem_shelf *shelf, uint64_t at, struct record *header)
{
	union record_word word;

	if (at & (SHELF_GRANULE - 1) || !shelf_reach(shelf, at))
		return false;
	*header = record_load(shelf, at);
	if (!record_fits(shelf, at, header) || header->state != RECORD_FREE)
		return false;
	word.word = reserved_word(shelf, at, header);
	return word.check == header->check;
}

static int written_over(struct hmem_shelf *shelf, uint64_t at)
{
	return shelf_fail(shelf, -EUCLEAN,
			  "shelf %s: somebody has written in front of or behind the reserved memory "
			  "at %p; it is given back when the shelf is recovered",
			  shelf->name,
			  (void *)((uintptr_t)shelf->base + at + sizeof(struct record)));
}

/* Make the block at @at one. Whatever of this gets to the media, it is no record. */
static void *lay_out(struct hmem_shelf *shelf, uint64_t at, const struct put *put)
{
	struct record header = {
		.state = RECORD_FREE,
		.kind = RECORD_OBJECT,
		.name_bytes = put->name_bytes & SHELF_NAME_MAX,
		.align_shift = (uint8_t)put->align_shift,
		.value_bytes = put->bytes & ((1ull << 44) - 1),
		.typed = put->typed,
	};
	uint64_t value = record_value_offset(at, put->align_shift);

	record_set_mark(&header, ~record_mark(shelf, at));
	put_tail(shelf, at, put);
	record_lay(shelf, at, &header, reserved_word(shelf, at, &header));
	return shelf_at(shelf, value);
}

/* --- lists --------------------------------------------------------------------------- */

static uint64_t *link_of(const struct hmem_shelf *shelf, uint64_t at)
{
	return &((struct record *)shelf_at(shelf, at))->link;
}

/* Put slot->@from into the slot's list. */
static int list_add(struct writer *writer, uint64_t *from)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct slot *slot = writer->slot;
	uint64_t at = LOAD(from);
	int err = shelf_reach_block(shelf, at) ? lock_take(writer, &shelf->runtime->limbo_lock) :
						 shelf_damaged(shelf);

	if (err)
		return err;
	redo_add(writer, link_of(shelf, at), slot->reserved_head);
	redo_add(writer, &slot->reserved_head, at);
	redo_add(writer, from, 0);
	redo_apply(writer);
	lock_drop(writer, &shelf->runtime->limbo_lock);
	return 0;
}

/* The limbo lock is held. Take @at, which @from leads to, out of its list, to be @writer's alone. */
static void list_claim(struct writer *writer, uint64_t *from, uint64_t at)
{
	redo_add(writer, &writer->slot->publishing, at);
	redo_add(writer, from, LOAD(link_of(writer->shelf, at)));
	redo_apply(writer);
}

/*
 * The limbo lock is held. The word that leads to the block whose value is at @data, that block,
 * and its header, of which nothing is to be loaded again: somebody may be writing over it.
 */
static int list_find(struct hmem_shelf *shelf, const void *data, uint64_t **out, uint64_t *found,
		     struct record *header)
{
	uint64_t blocks = shelf_chunks(shelf) * SHELF_CHUNK_GRANULES;
	int err = -EINVAL;

	pthread_mutex_lock(&shelf->lock);
	for (struct writer *w = shelf->writers; w && err == -EINVAL; w = w->next) {
		uint64_t *from = &w->slot->reserved_head;

		while (err == -EINVAL && blocks--) {
			uint64_t at = LOAD(from);

			if (!at)
				break;
			if (!reservation_good(shelf, at, header)) {
				err = written_over(shelf, at);
			} else if (shelf_at(shelf, record_value_offset(at, header->align_shift)) ==
				   data) {
				*out = from;
				*found = at;
				err = 0;
			} else {
				from = link_of(shelf, at);
			}
		}
	}
	pthread_mutex_unlock(&shelf->lock);
	return err == -EINVAL ? shelf_fail(shelf, err,
					   "shelf %s: %p is no memory that was reserved through "
					   "this handle, or is no more",
					   shelf->name, data) :
				err;
}

/* An earlier call may have failed to put its block back. */
static int settle_publishing(struct writer *writer)
{
	return writer->slot->publishing ? list_add(writer, &writer->slot->publishing) : 0;
}

/* Have what is at @data as slot->publishing, which is @at. */
static int claim(struct writer *writer, const void *data, uint64_t *at, struct record *header)
{
	struct hmem_shelf *shelf = writer->shelf;
	uint64_t *from = NULL;
	int err = settle_publishing(writer);

	if (!err)
		err = lock_take(writer, &shelf->runtime->limbo_lock);
	if (err)
		return err;
	err = list_find(shelf, data, &from, at, header);
	if (!err)
		list_claim(writer, from, *at);
	lock_drop(writer, &shelf->runtime->limbo_lock);
	return err;
}

/* Give slot->publishing back, which is no record on the media either. */
static int drop_publishing(struct writer *writer)
{
	struct slot *slot = writer->slot;
	uint64_t at = LOAD(&slot->publishing);
	struct record header;
	int err;

	if (!shelf_reach_block(writer->shelf, at))
		return shelf_damaged(writer->shelf);
	header = record_load(writer->shelf, at);
	if (!record_fits(writer->shelf, at, &header))
		return written_over(writer->shelf, at);
	err = heap_give_begin(writer, at, record_granules(at, &header));
	if (err)
		return err;
	STORE(&slot->publishing, 0);
	/* What cannot be given back now stands in the slot, for the next to try. */
	heap_give_again(writer);
	return 0;
}

/* --- the calls ----------------------------------------------------------------------- */

static int do_reserve(struct hmem_shelf *shelf, const char *name, size_t bytes,
		const struct hmem_put_options *options, void **data)
{
	struct writer *writer;
	struct put put;
	void *value;
	uint64_t at;
	int err;

	if (!shelf)
		return -EINVAL;
	if (!data)
		return shelf_fail(shelf, -EINVAL, "reserving an object: no place for its address");
	err = put_options_read(shelf, name, options, bytes, &put);
	if (!err && put.flags)
		err = shelf_fail(shelf, -EINVAL,
				 "reserving %s: flags are for hmem_shelf_publish()", name);
	if (!err)
		err = updater_begin(shelf, &writer);
	if (err)
		return err;
	err = settle_publishing(writer);
	if (!err)
		err = type_intern(writer, &put);
	if (!err)
		err = heap_take_bare(writer, bytes + put_tail_bytes(&put), put.align_shift, &at);
	if (err == -ENOSPC)
		return object_no_space(shelf, name, bytes);
	if (err)
		return err;
	/* Nothing there is a record before two more fences, but others may be glad of the first. */
	heap_cover(writer, at, at + sizeof(struct record) + bytes);
	value = lay_out(shelf, at, &put);
	err = list_add(writer, &writer->slot->fresh);
	if (err) {
		heap_drop_fresh(writer);
		return err;
	}
	*data = value;
	return 0;
}

int hmem_shelf_reserve(struct hmem_shelf *shelf, const char *name, size_t bytes,
		       const struct hmem_put_options *options, void **data)
{
	return SIGBUS_GUARDED(shelf, do_reserve(shelf, name, bytes, options, data));
}

static int do_copy(struct hmem_shelf *shelf, void *to, const void *from, size_t bytes)
{
	struct writer *writer;
	int err;

	if (!shelf)
		return -EINVAL;
	if (bytes && (!to || !from))
		return shelf_fail(shelf, -EINVAL, "copying: there are no %zu bytes %s", bytes,
				  to ? "to be copied" : "to copy to");
	err = updater_begin(shelf, &writer);
	if (err || !bytes)
		return err;
	if (!shelf_holds(shelf, (uintptr_t)to - (uintptr_t)shelf_at(shelf, 0), bytes))
		return shelf_fail(shelf, -EINVAL,
				  "shelf %s: %zu bytes at %p are no memory that was reserved through "
				  "this handle",
				  shelf->name, bytes, to);
	persist_copy(&writer->persist, to, from, bytes);
	return fence(writer);
}

int hmem_shelf_copy(struct hmem_shelf *shelf, void *to, const void *from, size_t bytes)
{
	return SIGBUS_GUARDED(shelf, do_copy(shelf, to, from, bytes));
}

/* With the name locked: the record of slot->publishing, at @at. */
static int publish_locked(struct writer *writer, struct target *target, uint64_t at,
			  struct record header)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct record *r = shelf_at(shelf, at);
	uint64_t seq;
	int err = next_seq(writer, target->old, &seq);

	if (err)
		return err;
	cover_predecessor(writer, target->old);
	if (header.typed)
		type_cover(writer, type_reference(shelf, at, &header));
	header.seq = seq & ((1ull << 56) - 1);
	record_set_mark(&header, record_mark(shelf, at));
	header.link = target_link(writer, target);
	/* The first word on the media is that of an erased record, which tells its length. */
	memcpy((char *)r + sizeof(uint64_t), (char *)&header + sizeof(uint64_t),
	       sizeof(header) - sizeof(uint64_t));
	STORE((uint64_t *)r, record_word(shelf, at, &header, RECORD_BORN, 0));
	write_back(writer, r, sizeof(*r));
	writer_seal(writer);
	err = fence(writer);
	if (err)
		return err;
	target_redo(writer, target, at);
	redo_add(writer, &writer->slot->publishing, 0);
	redo_show(writer);
	limbo_erase(writer);
	return 0;
}

/*
 * With HMEM_PUT_COPIED, what is behind the value. Its header is written back when it has become
 * one: what was there before was erased for good when the memory became free.
 */
static void write_back_value(struct writer *writer, uint64_t at, const struct record *header,
			     unsigned int flags)
{
	const struct hmem_shelf *shelf = writer->shelf;
	uint64_t value = record_value_offset(at, header->align_shift);
	uint64_t behind = value + header->value_bytes, end = record_end(at, header);

	if (flags & HMEM_PUT_COPIED)
		write_back(writer, shelf_at(shelf, behind), end - behind);
	else
		write_back(writer, shelf_at(shelf, at), end - at);
}

/* slot->publishing, which is @at, is what is to be published. */
static int publish(struct writer *writer, uint64_t at, const struct record *header,
		   unsigned int flags)
{
	struct hmem_shelf *shelf = writer->shelf;
	uint64_t value = record_value_offset(at, header->align_shift);
	struct target target = { .name_bytes = header->name_bytes };
	char name[SHELF_NAME_MAX + 1];
	int err;

	memcpy(name, shelf_at(shelf, value + header->value_bytes), header->name_bytes);
	name[header->name_bytes] = '\0';
	target.name = name;
	target.hash = name_hash(shelf, name, header->name_bytes);
	/* All of it is durable, and what was there before is not, when there comes to be a record. */
	write_back_value(writer, at, header, flags);
	heap_cover(writer, at, record_end(at, header));
	err = fence(writer);
	if (!err)
		err = target_lock(writer, &target, flags);
	if (err)
		return err == -ENOSPC ? object_no_space(shelf, name, header->value_bytes) : err;
	err = publish_locked(writer, &target, at, *header);
	target_unlock(writer, &target);
	return err;
}

static int do_publish(struct hmem_shelf *shelf, void *data, unsigned int flags)
{
	struct writer *writer;
	struct record header;
	uint64_t at;
	int err;

	if (!shelf)
		return -EINVAL;
	if (flags & ~(HMEM_PUT_CREATE | HMEM_PUT_REPLACE | HMEM_PUT_COPIED))
		return shelf_fail(shelf, -EINVAL, "publishing an object: unknown flags %#x",
				  flags & ~(HMEM_PUT_CREATE | HMEM_PUT_REPLACE | HMEM_PUT_COPIED));
	err = updater_begin(shelf, &writer);
	if (!err)
		err = claim(writer, data, &at, &header);
	if (err)
		return err;
	err = publish(writer, at, &header, flags);
	/* After -EIO it may be a record on the media: it stays where it is until all have closed. */
	if (err && err != -EIO)
		settle_publishing(writer);
	writers_sweep(shelf);
	return err;
}

int hmem_shelf_publish(struct hmem_shelf *shelf, void *data, unsigned int flags)
{
	return SIGBUS_GUARDED(shelf, do_publish(shelf, data, flags));
}

static int do_cancel(struct hmem_shelf *shelf, void *data)
{
	struct writer *writer;
	struct record header;
	uint64_t at;
	int err;

	if (!shelf)
		return -EINVAL;
	err = updater_begin(shelf, &writer);
	if (!err)
		err = claim(writer, data, &at, &header);
	if (!err)
		err = drop_publishing(writer);
	if (!err)
		writers_sweep(shelf);
	return err;
}

int hmem_shelf_cancel(struct hmem_shelf *shelf, void *data)
{
	return SIGBUS_GUARDED(shelf, do_cancel(shelf, data));
}

/* --- the owner is gone --------------------------------------------------------------- */

static int claim_first(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct slot *slot = writer->slot;
	struct record header;
	uint64_t at;
	int err = lock_take(writer, &shelf->runtime->limbo_lock);

	if (err)
		return err;
	at = LOAD(&slot->reserved_head);
	if (at && !reservation_good(shelf, at, &header)) {
		err = written_over(shelf, at);
	} else if (at) {
		list_claim(writer, &slot->reserved_head, at);
		/* It is not good twice: a list that leads into itself has an end. */
		STORE((uint64_t *)shelf_at(shelf, at), record_erased_word(header.name_bytes));
	}
	lock_drop(writer, &shelf->runtime->limbo_lock);
	return err;
}

int reservations_drop(struct writer *writer)
{
	struct slot *slot = writer->slot;
	int err = 0;

	while (!err && (slot->publishing || slot->reserved_head)) {
		if (!slot->publishing)
			err = claim_first(writer);
		if (!err && slot->publishing)
			err = drop_publishing(writer);
	}
	return err;
}
