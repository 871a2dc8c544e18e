/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Transactions, as their parts see them.
 *
 * tx.c and tx_write.c hold what the caller has asked for, in memory of the process;
 * tx_commit.c makes all of it durable at once; tx_slot.c is what stands in the slot, from which others finish
 * or undo it; tx_free.c gives memory back; tx_recover.c goes by what is on the media.
 */
#ifndef LIB_SHELF_TX_H
#define LIB_SHELF_TX_H

#include <hmem/tx.h>

#include "shelf.h"
#include "shelf_range.h"

/* What becomes of a name. */
enum tx_what {
	TX_LEAVE,		/* nothing */
	TX_PUT,
	TX_DELETE,
};

/*
 * @named: a call has succeeded for it; else it means nothing
 * @flags: HMEM_PUT_*, what must be there when the transaction is committed
 * @entry: in the slot's blocks; of what is to be put its memory, with the value in it
 * @at, @old: what the entry says: there it is for those who take over, and anybody may store there
 * @crc: of the value
 * @written: the value has been written back
 * @typed: the object has a descriptor
 * @bucket, @number: while it is committed
 */
struct tx_name {
	char *name;
	size_t name_bytes;
	uint64_t hash;
	bool named;
	enum tx_what what;
	unsigned int flags;
	struct tx_entry *entry;
	uint64_t at;
	uint64_t old;
	uint64_t bytes;
	uint64_t seq;
	uint32_t crc;
	unsigned int align_shift;
	bool written;
	bool typed;
	bool crowded;
	struct bucket *bucket;
	uint64_t number;
};

enum { COVER_NONE, COVER_TO_ERASE, COVER_ERASED };

/*
 * A commit that has written to objects.
 * @link: of their records
 * @seq: the commit's, if it was found
 */
struct cover {
	uint64_t link;
	uint64_t seq;
	int found;
};

/*
 * @names, @nr: each name once, behind pointers as they are sorted
 * @table: a hash table of places in @names + 1, of 1 << @table_shift
 * @blocks: in the slot; @block_used: entries used of the first
 * @undos: undo records made
 * @first, @first_seq: the first of these
 * @covers, @nr_covers: commits that have written to its objects; the first @erased of them are
 *	covered, and erased by this transaction
 * @covered: the block that was the first when commits were covered
 * @writes, @nr_writes: what is to be written when it is committed, and where
 * @written, @written_bytes: the bytes of all those, one behind the other
 * @owned_last: the entry of the object that was asked for last
 * @held: bytes that it will have no use for when it has been made
 */
struct hmem_tx {
	struct hmem_shelf *shelf;
	struct writer *writer;
	struct tx_name **names;
	size_t nr;
	size_t room;
	uint32_t *table;
	unsigned int table_shift;
	uint64_t blocks;
	unsigned int block_used;
	uint64_t undos;
	uint64_t first;
	uint64_t first_seq;
	struct cover *covers;
	size_t nr_covers;
	size_t covers_room;
	size_t erased;
	uint64_t covered;
	struct record_range *writes;
	size_t nr_writes;
	size_t writes_room;
	unsigned char *written;
	size_t written_bytes;
	size_t written_room;
	struct tx_entry *owned_last;
	uint64_t held;
};

/* NULL: none is there, or can be. */
static inline struct tx_block *tx_block_at(const struct hmem_shelf *shelf, uint64_t at)
{
	return at && !(at & (SHELF_GRANULE - 1)) &&
			       shelf_reach_bytes(shelf, at, sizeof(struct tx_block)) ?
		       (struct tx_block *)shelf_at(shelf, at) :
		       NULL;
}

/* More blocks than that are a circle. */
static inline uint64_t tx_most_blocks(const struct hmem_shelf *shelf)
{
	return shelf_most_blocks(shelf) / TX_BLOCK_GRANULES;
}

/*
 * Every block of a list that begins at @from; every entry of a block. A list that somebody has
 * stored into ends where that leads outside of the shelf, or in a circle.
 */
#define FOR_EACH_BLOCK(shelf, from, block)                                                       \
	for (uint64_t block##_at = LOAD(&(from)), block##_left = tx_most_blocks(shelf);          \
	     block##_at && block##_left; block##_left = 0)                                       \
		for (struct tx_block *block = tx_block_at(shelf, block##_at);                    \
		     block && block##_left--; block = tx_block_at(shelf, LOAD(&block->link)))
#define FOR_EACH_ENTRY(block, e) \
	for (struct tx_entry *e = (block)->entry; e < (block)->entry + TX_ENTRIES; e++)

/* --- what stands in the slot (tx_slot.c) --------------------------------------------- */

/* An entry of zeroes for one more name, or NULL: -ENOSPC, -EBUSY, -EUCLEAN. */
struct tx_entry *tx_entry_new(struct hmem_tx *tx, int *err);
/* The last one has got nothing, and is the next to be asked for. */
static inline void tx_entry_return(struct hmem_tx *tx)
{
	tx->block_used--;
}
/* The fresh block, at @at, is @entry's; the one that it had before is given back. */
int tx_entry_own(struct writer *writer, struct tx_entry *entry, uint64_t at);
/* Memory for the commit, with @bytes behind its header. */
int tx_commit_take(struct hmem_tx *tx, uint64_t bytes, uint64_t *at);
/*
 * It is durable: have it be seen, seal and erase what is to be. -EUCLEAN: somebody has stored into
 * the slot or its blocks.
 */
int tx_apply(struct writer *writer);
/* What the link of a record was that this writer owns. */
uint64_t tx_link_of(struct writer *writer, uint64_t at);
/*
 * Let the names go; and the objects that were changed in place, when it is durable what became of
 * them. @most: blocks that can have any: the latest ones
 */
void tx_unlock(struct writer *writer, uint64_t most);
void tx_disown(struct writer *writer, uint64_t most);
/*
 * Give back all that an open transaction has taken: what is no record any more, and undo
 * records that do not count.
 */
int tx_give_back(struct writer *writer);
/*
 * Free what transactions that were made have replaced, as far as it can be; if not @all, when so
 * many wait that it is worth it.
 */
int tx_reclaim(struct writer *writer, bool all);
/*
 * The same with what the owner of another slot has left: free it, or have it wait in lists that all
 * look after.
 */
int tx_take_left(struct writer *writer, struct slot *slot);
/* Give back the blocks that are kept for transactions to come. */
int tx_drop_spare(struct writer *writer);
/* Is it what a writer can have left? */
bool tx_is_sane(struct hmem_shelf *shelf, const struct slot *slot);
/*
 * A dead writer's: apply it, if anybody has seen it, or undo it and erase what may be durable
 * of it; and write back what he may not have. To be followed by a fence and, when nothing
 * refers to his names any more, tx_unlock() and tx_disown(). 0, -EIO, -EUCLEAN: it
 * is not what a writer can have left.
 */
int tx_release(struct writer *dead);

/* --- ranges that are changed in place (tx_undo.c) ------------------------------------ */

/* An undo record, as far as it makes sense. */
struct undo_view {
	struct undo_head head;
	struct ranges ranges;
};
bool undo_look(const struct hmem_shelf *shelf, uint64_t at, struct undo_view *view);
/* Have all that was changed written back. */
void undo_write_back(struct writer *writer);
/*
 * What has been decided needs the entry's undo record no more: it waits to be freed, as what was
 * replaced does.
 */
void undo_void(struct writer *writer, struct tx_entry *e);
/* The first undo record, or NULL: there is none yet. */
struct tx_entry *undo_first(struct writer *writer);
/*
 * All ranges are what they were, unless it had been decided already that they stay as they
 * are. Durable with the next fence, when the undo records mean nothing any more. 0, -EIO.
 */
int undo_roll_back(struct writer *writer);

/* What the caller got lies where? 0: it is no object of this shelf. @header: that was checked */
uint64_t object_record(struct hmem_shelf *shelf, const struct hmem_object *object,
		       struct record *header);
/* The name of a record; one of no bytes when its lengths are not right. */
const char *record_name(const struct hmem_shelf *shelf, uint64_t at, size_t *bytes);
/* The object is the transaction's, and this is its entry. -EBUSY, -ENOENT, ... */
int tx_own(struct hmem_tx *tx, uint64_t at, struct tx_entry **entry);
/* From now on the value of an object may change: durable with the next fence. */
void object_seal(struct writer *writer, uint64_t at);

/* --- what is written when it is committed (tx_write.c) ------------------------------- */

/* A commit's value, as far as it makes sense. */
struct commit_view {
	struct commit_head head;
	const struct commit_name *members;
	const struct commit_name *deleted;
	struct ranges written;
};
bool commit_look(const struct hmem_shelf *shelf, uint64_t at, struct commit_view *view);
/*
 * Have all that a commit has changed written back, so that it is needed no more. True: it was erased
 * already, which is written back instead.
 */
bool commit_write_back(struct writer *writer, uint64_t at);
/*
 * The same for what the block's transaction has erased of others. That may be as little for good as
 * its own: no fence has been made behind it that anybody else knows of. @last: 0 before the first.
 */
void tx_erased_write_back(struct writer *writer, const struct tx_block *block, uint64_t *last);
/* Between these calls no memory is freed that this writer may have seen to be a commit. */
void commit_cover_begin(struct writer *writer);
void commit_uncover(struct writer *writer);
/*
 * If the block has one, it is needed no more, and its erasure durable with the next fence. Between those
 * calls.
 */
void commit_void(struct writer *writer, struct tx_block *block);

/*
 * The value of an object is going to be changed whose record has this link (or had, before a
 * transaction took it). With the writer's next fence the commit that wrote to it, if there is one
 * left, is needed no more; COVER_TO_ERASE: it is to be erased after that. Nothing is freed
 * until commit_uncover(), which has to be called also after an error: -EBUSY, -EUCLEAN.
 */
int commit_cover(struct writer *writer, uint64_t link);
/* For one more in tx->covers. -ENOMEM. */
int covers_make_room(struct hmem_tx *tx);
void covers_add(struct hmem_tx *tx, uint64_t link);
/*
 * As commit_cover(), for all of tx->covers that are not erased: each commit once, and all of a slot at
 * once. Then these are in order. 0, -EBUSY, -EUCLEAN.
 */
int covers_make(struct hmem_tx *tx);
/* What covers_make() has found of it; NULL: it was not asked for. */
const struct cover *covers_find(const struct hmem_tx *tx, uint64_t link);

/*
 * Around a commit that writes, while no export reads all values for the first time. No lock
 * is to be held. 0, -EBUSY, ...
 */
int writes_begin(struct writer *writer);
void writes_end(struct writer *writer);
/* Before the commit's fence: nothing that was written to the same objects has to come later. */
int writes_cover(struct hmem_tx *tx);
/* The list of them, and what is written, where a commit has it. */
void writes_compose(const struct hmem_tx *tx, struct record_range *list);
/* The commit is durable: have the objects be what it says. */
void writes_apply(struct writer *writer, uint64_t commit);

/* --- what the caller asked for (tx.c) ------------------------------------------------ */

/* May this thread go on with it? */
int tx_check(struct hmem_tx *tx);

/* The handle is closed, or the thread ends: give the transaction up. */
int tx_abandon(struct writer *writer);
/* What is memory of the process. NULL is legal. */
void tx_free(struct hmem_tx *tx);

/* --- making it (tx_commit.c) --------------------------------------------------------- */

/* All or nothing, also on errors, of which only -EIO leaves open which. */
int tx_make(struct hmem_tx *tx);

#endif
