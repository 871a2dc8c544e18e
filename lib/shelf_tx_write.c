// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a transaction writes to objects when it is committed.
 *
 * Until then the process keeps it. The commit record holds all of it; when that is durable,
 * it is copied to the objects and written back, and so durable with the writer's next fence,
 * whatever that is for. Until then, and until the commit is erased for good, a recovery copies
 * it once more. So of all that have written to an object only the last commit may be left on the
 * media, and none when its value is changed in any other way:
 *
 * - A writer erases his last commit but one that wrote as soon as he has made a fence for the
 *   next, whose own erasure waits for one more. So there are at most two of his: one that
 *   counts, and one whose erasure may not be durable.
 * - Others find in the link of an object's record which commit has written to it. Before their
 *   fence they write back all that it has changed, and what its writer has erased of others for
 *   it; after it they erase it themselves, and that is durable before their own commit is erased,
 *   or the undo record that they made meanwhile. Its writer erases it once more when he comes to
 *   it. However many objects one has written to, that is done once for all of them. So does who
 *   takes from an idle writer what his commits have left, to free it.
 *
 * An object that is replaced or deleted needs none of this: what is written to it again is
 * nobody's any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shelf_record.h"
#include "shelf_sigbus.h"
#include "shelf_tx.h"
#include "shelf_update.h"

bool commit_look(const struct hmem_shelf *shelf, uint64_t at, struct commit_view *view)
{
	struct record header;
	uint64_t value, left, names;
	const unsigned char *end;

	if (!shelf_reach_block(shelf, at))
		return false;
	header = record_load(shelf, at);
	if (!record_fits(shelf, at, &header) || header.value_bytes < sizeof(view->head))
		return false;
	value = record_value_offset(at, header.align_shift);
	end = (const unsigned char *)shelf_at(shelf, value) + header.value_bytes;
	memcpy(&view->head, shelf_at(shelf, value), sizeof(view->head));
	left = header.value_bytes - sizeof(view->head);
	names = (uint64_t)view->head.members + view->head.deleted;
	if (names > left / sizeof(struct commit_name))
		return false;
	view->members = shelf_at(shelf, value + sizeof(view->head));
	view->deleted = view->members + view->head.members;
	return ranges_look(&view->written, view->deleted + view->head.deleted, view->head.written,
			   end, &left) && !left;
}

static int no_memory(const struct hmem_shelf *shelf)
{
	return shelf_fail(shelf, -ENOMEM, "shelf %s: no memory for a transaction", shelf->name);
}

/* --- commits of others --------------------------------------------------------------- */

bool commit_write_back(struct writer *writer, uint64_t at)
{
	struct hmem_shelf *shelf = writer->shelf;
	/* Others may erase it meanwhile: what is found erased here is written back after that. */
	bool erased = shelf_reach_block(shelf, at) && record_load(shelf, at).state == RECORD_FREE;
	struct commit_view view;

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	block_write_back(writer, at);
	if (erased || !commit_look(shelf, at, &view))
		return erased;
	/* What its names have replaced is erased, and what they are is sealed. */
	for (uint64_t i = 0; i < (uint64_t)view.head.members + view.head.deleted; i++)
		block_write_back(writer, view.members[i].at);
	if (view.head.undo)
		block_write_back(writer, view.head.undo);
	ranges_write_back(writer, &view.written);
	return false;
}

void tx_erased_write_back(struct writer *writer, const struct tx_block *block, uint64_t *last)
{
	for (const struct tx_entry *e = block->entry; e < block->entry + TX_ENTRIES; e++) {
		uint64_t written = LOAD(&e->written);

		/* Most often one for many objects. */
		if (written > 1 && written != *last)
			block_write_back(writer, *last = written);
	}
}

/* By slot, and within it by place. */
static int by_commit(const void *a, const void *b)
{
	uint64_t x = ((const struct cover *)a)->link, y = ((const struct cover *)b)->link;

	if (LINK_SLOT(x) != LINK_SLOT(y))
		return LINK_SLOT(x) < LINK_SLOT(y) ? -1 : 1;
	return LINK_OFFSET(x) < LINK_OFFSET(y) ? -1 : LINK_OFFSET(x) > LINK_OFFSET(y);
}

/* One of these, which are in order; or NULL. */
static struct cover *cover_of(struct cover *covers, size_t nr, uint64_t link)
{
	struct cover wanted = { .link = link };

	return nr ? bsearch(&wanted, covers, nr, sizeof(*covers), by_commit) : NULL;
}

/* In the list of the slot @id, which is locked; all that are wanted are of that, and in order. */
static int cover_listed(struct writer *writer, unsigned int id, struct cover *covers, size_t nr)
{
	struct hmem_shelf *shelf = writer->shelf;
	uint64_t left = tx_most_blocks(shelf);
	uint64_t at = LOAD(&shelf_slot(shelf, id)->tx_done), last = 0;

	while (at) {
		const struct tx_block *block = tx_block_at(shelf, at);
		struct cover *cover = NULL;
		uint64_t commit;

		if (!block || !left--)
			return shelf_damaged(shelf);
		commit = LOAD(&block->commit);
		if (commit && block->written)
			cover = cover_of(covers, nr, LINK_MAKE(commit, id, 0));
		/* Those before it are erased, but maybe not yet for good. */
		if (commit && block->written && (cover || LOAD(&block->voided))) {
			struct record header;
			bool erased;

			if (!shelf_reach_block(shelf, commit))
				return shelf_damaged(shelf);
			erased = commit_write_back(writer, commit);
			/* What writes to the same must come after it. */
			header = record_load(shelf, commit);
			if (writer->slot->seq < header.seq)
				STORE(&writer->slot->seq, header.seq);
			if (cover) {
				cover->found = erased ? COVER_ERASED : COVER_TO_ERASE;
				cover->seq = header.seq;
			}
		}
		tx_erased_write_back(writer, block, &last);
		at = LOAD(&block->link);
	}
	return 0;
}

/* All of one slot. */
static int cover_slot(struct writer *writer, struct cover *covers, size_t nr)
{
	uint64_t id = LINK_SLOT(covers->link);
	struct slot *slot;
	int err;

	if (id >= writer->shelf->nr_slots)
		return 0;
	slot = shelf_slot(writer->shelf, (unsigned int)id);
	/* It is not to be freed before it is erased, whoever finds it erased by then. */
	commit_cover_begin(writer);
	err = lock_take(writer, &slot->tx_lock);
	if (err)
		return err;
	err = cover_listed(writer, (unsigned int)id, covers, nr);
	lock_drop(writer, &slot->tx_lock);
	return err;
}

int commit_cover(struct writer *writer, uint64_t link)
{
	struct cover cover = { .link = link };
	int err = link & LINK_WRITTEN ? cover_slot(writer, &cover, 1) : 0;

	return err ? err : cover.found;
}

int covers_make_room(struct hmem_tx *tx)
{
	size_t room = tx->covers_room ? 2 * tx->covers_room : 8;
	struct cover *covers;

	if (tx->nr_covers < tx->covers_room)
		return 0;
	covers = realloc(tx->covers, room * sizeof(*covers));
	if (!covers)
		return no_memory(tx->shelf);
	tx->covers = covers;
	tx->covers_room = room;
	return 0;
}

void covers_add(struct hmem_tx *tx, uint64_t link)
{
	/* Objects that are asked for together were often written together. */
	if (tx->nr_covers == tx->erased || tx->covers[tx->nr_covers - 1].link != link)
		tx->covers[tx->nr_covers++] = (struct cover){ .link = link };
}

int covers_make(struct hmem_tx *tx)
{
	struct cover *first, *end, *to;
	int err = 0;

	if (tx->nr_covers == tx->erased)
		return 0;
	to = first = tx->covers + tx->erased;
	end = tx->covers + tx->nr_covers;
	qsort(first, (size_t)(end - first), sizeof(*first), by_commit);
	for (const struct cover *from = first; from < end; from++)
		if (to == first || by_commit(from, to - 1))
			*to++ = (struct cover){ .link = from->link };
	tx->nr_covers = (size_t)(to - tx->covers);
	for (end = to; first < end && !err; first = to) {
		for (to = first; to < end && LINK_SLOT(to->link) == LINK_SLOT(first->link); to++)
			;
		err = cover_slot(tx->writer, first, (size_t)(to - first));
	}
	return err;
}

const struct cover *covers_find(const struct hmem_tx *tx, uint64_t link)
{
	return cover_of(tx->covers + tx->erased, tx->nr_covers - tx->erased, link);
}

void commit_cover_begin(struct writer *writer)
{
	__atomic_store_n(&writer->slot->covering, 1, __ATOMIC_SEQ_CST);
}

void commit_uncover(struct writer *writer)
{
	STORE(&writer->slot->covering, 0);
}

/* --- the transaction's own ------------------------------------------------------------ */

static bool is_others(const struct writer *writer, uint64_t link)
{
	return link & LINK_WRITTEN && LINK_SLOT(link) != writer->id;
}

/* All commits of others that have written to what it writes to. */
static int list_others(struct hmem_tx *tx)
{
	tx->nr_covers = tx->erased = 0;
	FOR_EACH_BLOCK(tx->shelf, tx->writer->slot->tx, block) {
		FOR_EACH_ENTRY(block, e) {
			int err;

			if (!e->owned || !e->written || !is_others(tx->writer, e->link))
				continue;
			err = covers_make_room(tx);
			if (err)
				return err;
			covers_add(tx, e->link);
		}
	}
	return 0;
}

int writes_cover(struct hmem_tx *tx)
{
	struct writer *writer = tx->writer;
	int err;

	if (!tx->nr_writes)
		return 0;
	err = list_others(tx);
	if (!err)
		err = covers_make(tx);
	if (err)
		return err;
	FOR_EACH_BLOCK(tx->shelf, writer->slot->tx, block) {
		FOR_EACH_ENTRY(block, e) {
			if (!e->owned || !e->written)
				continue;
			if (is_others(writer, e->link)) {
				const struct cover *cover = covers_find(tx, e->link);

				if (!cover || !cover->found)
					STORE(&e->link, 0);
			}
			cover_link(writer, e->link);
			object_seal(writer, LOAD(&e->owned));
		}
	}
	return 0;
}

void writes_compose(const struct hmem_tx *tx, struct record_range *list)
{
	if (!tx->nr_writes)
		return;
	memcpy(list, tx->writes, tx->nr_writes * sizeof(*list));
	memcpy(list + tx->nr_writes, tx->written, tx->written_bytes);
}

void commit_void(struct writer *writer, struct tx_block *block)
{
	uint64_t commit = LOAD(&block->commit);

	/* Others may have taken it away: before it is somebody else's they see that we are here. */
	if (!commit)
		return;
	record_erase(writer, commit);
	STORE(&block->voided, writer->slot->fence_seq + 1);
}

void writes_apply(struct writer *writer, uint64_t commit)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct slot *slot = writer->slot;
	struct commit_view view;

	if (commit_look(shelf, commit, &view))
		ranges_store(writer, &view.written, NULL, NULL);
	commit_cover_begin(writer);
	FOR_EACH_BLOCK(shelf, slot->tx_done, block)
		if (block->written && !block->voided)
			commit_void(writer, block);
	FOR_EACH_BLOCK(shelf, slot->tx, block) {
		FOR_EACH_ENTRY(block, e) {
			if (!e->owned || !e->written)
				continue;
			if (is_others(writer, e->link)) {
				uint64_t others = LINK_OFFSET(LOAD(&e->link));

				STORE(&e->written, others);
				record_erase(writer, others);
			}
			STORE(&e->link, LINK_WRITTEN | LINK_MAKE(commit, writer->id, 0));
		}
	}
	commit_uncover(writer);
}

/* The other side of instant.c: it takes the lock, and then looks who is writing. */
int writes_begin(struct writer *writer)
{
	uint32_t *lock = &writer->shelf->runtime->read_lock;

	for (;;) {
		int err;

		__atomic_store_n(&writer->slot->writing, 1, __ATOMIC_SEQ_CST);
		if (__builtin_expect(!__atomic_load_n(lock, __ATOMIC_SEQ_CST), 1))
			return 0;
		writes_end(writer);
		err = lock_take(writer, lock);
		if (err)
			return err;
		lock_drop(writer, lock);
	}
}

void writes_end(struct writer *writer)
{
	STORE(&writer->slot->writing, 0);
}

/* --- the call ------------------------------------------------------------------------ */

/* Room for one more range, of so many bytes. */
static int make_room(struct hmem_tx *tx, size_t bytes)
{
	if (tx->nr_writes == tx->writes_room) {
		size_t room = tx->writes_room ? 2 * tx->writes_room : 8;
		struct record_range *writes = realloc(tx->writes, room * sizeof(*writes));

		if (!writes)
			return no_memory(tx->shelf);
		tx->writes = writes;
		tx->writes_room = room;
	}
	if (bytes > tx->written_room - tx->written_bytes) {
		size_t room = 2 * tx->written_room + bytes + 256;
		unsigned char *written = realloc(tx->written, room);

		if (!written)
			return no_memory(tx->shelf);
		tx->written = written;
		tx->written_room = room;
	}
	return 0;
}

static void stage(struct hmem_tx *tx, uint64_t at, size_t offset, const void *data, size_t bytes)
{
	struct hmem_shelf *shelf = tx->shelf;
	const struct record *r = shelf_at(shelf, at);
	size_t name_bytes;
	const char *name = record_name(shelf, at, &name_bytes);

	tx->writes[tx->nr_writes++] = (struct record_range){
		.record = { at, r->seq, name_hash(shelf, name, name_bytes) },
		.offset = offset,
		.bytes = bytes,
	};
	memcpy(tx->written + tx->written_bytes, data, bytes);
	tx->written_bytes += bytes;
}

static int check_write(struct hmem_tx *tx, const struct hmem_object *object, size_t offset,
		       const void *data, size_t bytes, uint64_t *at)
{
	struct hmem_shelf *shelf = tx->shelf;
	uint64_t length, room = shelf->max_heap;
	struct record header;

	if (!data && bytes)
		return shelf_fail(shelf, -EINVAL, "writing: there are no %zu bytes to write", bytes);
	*at = object_record(shelf, object, &header);
	if (!*at)
		return shelf_fail(shelf, -EINVAL,
				  "shelf %s: writing to no object that was got from it", shelf->name);
	length = header.value_bytes;
	if (bytes > length || offset > length - bytes)
		return shelf_fail(shelf, -EINVAL,
				  "shelf %s: %zu bytes at %zu lie outside of an object of %zu",
				  shelf->name, bytes, offset, (size_t)length);
	if (bytes > room || tx->written_bytes + (tx->nr_writes + 1) * sizeof(struct record_range) >
				    room - bytes)
		return shelf_fail(shelf, -E2BIG,
				  "shelf %s can never hold what the transaction writes; commit "
				  "less at once",
				  shelf->name);
	return 0;
}

static int do_tx_write(struct hmem_tx *tx, const struct hmem_object *object, size_t offset,
		       const void *data, size_t bytes)
{
	struct tx_entry *e;
	uint64_t at = 0;
	int err;

	if (!tx)
		return -EINVAL;
	err = tx_check(tx);
	if (!err)
		err = check_write(tx, object, offset, data, bytes, &at);
	if (err || !bytes)
		return err;
	err = make_room(tx, bytes);
	if (!err)
		err = tx_own(tx, at, &e);
	if (err)
		return err;
	stage(tx, at, offset, data, bytes);
	STORE(&e->written, 1);
	return 0;
}

int hmem_tx_write(struct hmem_tx *tx, const struct hmem_object *object, size_t offset,
		  const void *data, size_t bytes)
{
	return SIGBUS_GUARDED(tx ? tx->shelf : NULL,
			      do_tx_write(tx, object, offset, data, bytes));
}
