// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Transactions: what the caller asks for, until it is committed.
 *
 * Each name stands in a transaction once, with what is to become of it and what must be
 * there for that: the first call that names it says so, later ones go by those before them.
 * The value of an object is copied to where it will stay at once, so that a commit has
 * little left to do. Others see nothing of all that, and nothing is locked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "shelf_record.h"
#include "shelf_sigbus.h"
#include "shelf_tx.h"
#include "shelf_type.h"
#include "shelf_update.h"

/* A value as large is written back when it is put, others with what is before them. */
#define WRITE_BACK_EARLY 4096u

/* Memory of this size, for so many names and ranges, stays for the thread's next transaction. */
#define KEPT_BYTES 16384u
#define KEPT_NAMES 128u

/* --- names --------------------------------------------------------------------------- */

static struct tx_name *tx_find(const struct hmem_tx *tx, uint64_t hash, const char *name,
			       size_t bytes)
{
	uint64_t mask = (1ull << tx->table_shift) - 1;

	for (uint64_t i = hash & mask; tx->table && tx->table[i]; i = (i + 1) & mask) {
		struct tx_name *known = tx->names[tx->table[i] - 1];

		if (known->hash == hash && known->name_bytes == bytes &&
		    !memcmp(known->name, name, bytes))
			return known;
	}
	return NULL;
}

static void tx_enter(struct hmem_tx *tx, size_t number)
{
	uint64_t mask = (1ull << tx->table_shift) - 1, i = tx->names[number]->hash & mask;

	while (tx->table[i])
		i = (i + 1) & mask;
	tx->table[i] = (uint32_t)number + 1;
}

/* Room for one more name: twice as much as there was. */
static bool tx_widen(struct hmem_tx *tx)
{
	size_t room = tx->room ? 2 * tx->room : 8;
	struct tx_name **names = realloc(tx->names, room * sizeof(struct tx_name *));
	uint32_t *table;

	if (!names)
		return false;
	tx->names = names;
	table = calloc(2 * room, sizeof(*table));
	if (!table)
		return false;
	free(tx->table);
	tx->table = table;
	tx->table_shift = (unsigned int)__builtin_ctzll(2 * room);
	tx->room = room;
	for (size_t i = 0; i < tx->nr; i++)
		tx_enter(tx, i);
	return true;
}

static int no_memory(struct hmem_shelf *shelf)
{
	return shelf_fail(shelf, -ENOMEM, "shelf %s: no memory for a transaction", shelf->name);
}

static int tx_add_name(struct hmem_tx *tx, uint64_t hash, const char *name, size_t bytes,
		       struct tx_name **out)
{
	struct tx_entry *entry;
	struct tx_name *new;
	int err;

	if (tx->nr >= UINT32_MAX / 4)
		return shelf_fail(tx->shelf, -E2BIG, "shelf %s: a transaction of more than %zu names",
				  tx->shelf->name, tx->nr);
	if (tx->nr == tx->room && !tx_widen(tx))
		return no_memory(tx->shelf);
	/* First what touches the shelf: nothing is forgotten if that is gone. */
	entry = tx_entry_new(tx, &err);
	if (!entry)
		return err == -ENOSPC ? object_no_space(tx->shelf, name, 0) : err;
	new = calloc(1, sizeof(*new) + bytes + 1);
	if (!new)
		return no_memory(tx->shelf);
	new->entry = entry;
	new->name = (char *)(new + 1);
	memcpy(new->name, name, bytes);
	new->name_bytes = bytes;
	new->hash = hash;
	tx->names[tx->nr] = new;
	tx_enter(tx, tx->nr++);
	*out = new;
	return 0;
}

/* The name in this transaction, new in it if it has to be. */
static int tx_name_get(struct hmem_tx *tx, const char *name, size_t bytes, struct tx_name **out)
{
	uint64_t hash = name_hash(tx->shelf, name, bytes);

	*out = tx_find(tx, hash, name, bytes);
	return *out ? 0 : tx_add_name(tx, hash, name, bytes, out);
}

/* --- begin and end ------------------------------------------------------------------- */

static void forget_names(struct hmem_tx *tx)
{
	for (size_t i = 0; i < tx->nr; i++)
		free(tx->names[i]);
	tx->nr = 0;
}

void tx_free(struct hmem_tx *tx)
{
	if (!tx)
		return;
	forget_names(tx);
	free(tx->names);
	free(tx->table);
	free(tx->covers);
	free(tx->writes);
	free(tx->written);
	free(tx);
}

#ifdef __SANITIZE_ADDRESS__
/* Who uses it when it has ended is to be found. */
#define KEEPS_TX false
#else
#define KEEPS_TX true
#endif

/* The thread's transaction is over. If it was no large one, the next begins with its memory. */
static void tx_end(struct hmem_tx *tx)
{
	struct writer *writer = tx->writer;

	writer->tx = NULL;
	forget_names(tx);
	if (!KEEPS_TX || tx->room > KEPT_NAMES || tx->covers_room > KEPT_NAMES ||
	    tx->writes_room > KEPT_NAMES || tx->written_room > KEPT_BYTES) {
		tx_free(tx);
		return;
	}
	if (tx->table)
		memset(tx->table, 0, sizeof(*tx->table) << tx->table_shift);
	*tx = (struct hmem_tx){
		.shelf = tx->shelf,
		.writer = writer,
		.names = tx->names,
		.room = tx->room,
		.table = tx->table,
		.table_shift = tx->table_shift,
		.covers = tx->covers,
		.covers_room = tx->covers_room,
		.writes = tx->writes,
		.writes_room = tx->writes_room,
		.written = tx->written,
		.written_room = tx->written_room,
	};
	writer->tx_kept = tx;
}

static struct hmem_tx *tx_new(struct writer *writer)
{
	struct hmem_tx *tx = writer->tx_kept;

	writer->tx_kept = NULL;
	return tx ? tx : calloc(1, sizeof(*tx));
}

static int do_tx_begin(struct hmem_shelf *shelf, struct hmem_tx **out)
{
	struct writer *writer;
	struct hmem_tx *tx;
	int err;

	if (!shelf)
		return -EINVAL;
	if (!out)
		return shelf_fail(shelf, -EINVAL, "beginning a transaction: no place for it");
	err = updater_begin(shelf, &writer);
	if (err)
		return err;
	if (writer->tx)
		return shelf_fail(shelf, -EALREADY,
				  "shelf %s: this thread has begun a transaction already; commit or "
				  "abort that first",
				  shelf->name);
	/* What an earlier one could not, as somebody had stopped with a lock that this takes. */
	err = tx_give_back(writer);
	if (err)
		return err;
	tx = tx_new(writer);
	if (!tx)
		return no_memory(shelf);
	tx->shelf = shelf;
	tx->writer = writer;
	writer->tx = tx;
	*out = tx;
	return 0;
}

int hmem_tx_begin(struct hmem_shelf *shelf, struct hmem_tx **out)
{
	return SIGBUS_GUARDED(shelf, do_tx_begin(shelf, out));
}

/* Asked first: whatever else is wrong, others than its thread do not end it. */
static int thread_check(const struct hmem_tx *tx)
{
	if (pthread_getspecific(tx->shelf->writer_key) != tx->writer)
		return shelf_fail(tx->shelf, -EINVAL,
				  "shelf %s: a transaction belongs to the thread that began it",
				  tx->shelf->name);
	if (tx->writer->tx != tx)
		return shelf_fail(tx->shelf, -EINVAL, "shelf %s: the transaction has ended",
				  tx->shelf->name);
	return 0;
}

int tx_check(struct hmem_tx *tx)
{
	int err = shelf_is_mine(tx->shelf) ? thread_check(tx) : 0;
	struct writer *writer;

	return err ? err : updater_begin(tx->shelf, &writer);
}

/* Nothing of it is to happen, or any more. Of names nothing is durable. */
static int give_up(struct writer *writer)
{
	int err = 0;

	if (undo_first(writer)) {
		err = undo_roll_back(writer);
		if (!err)
			err = fence(writer);
	}
	if (err)
		return err;
	tx_disown(writer, UINT64_MAX);
	return tx_give_back(writer);
}

int tx_abandon(struct writer *writer)
{
	struct hmem_tx *tx = writer->tx;
	int err;

	if (!tx)
		return 0;
	/* What it has added waits to be freed. */
	writer->tx_held += tx->held;
	tx_end(tx);
	err = give_up(writer);
	tx_reclaim(writer, false);
	return err;
}

static int do_tx_abort(struct hmem_tx *tx)
{
	int err;

	if (!tx)
		return 0;
	/* In a child of fork(2) there is only the memory, a copy. */
	if (!shelf_is_mine(tx->shelf)) {
		tx->writer->tx = NULL;
		tx_free(tx);
		return 0;
	}
	err = thread_check(tx);
	return err ? err : tx_abandon(tx->writer);
}

int hmem_tx_abort(struct hmem_tx *tx)
{
	return SIGBUS_GUARDED(tx ? tx->shelf : NULL, do_tx_abort(tx));
}

static int do_tx_commit(struct hmem_tx *tx)
{
	struct writer *writer;
	int err;

	if (!tx)
		return -EINVAL;
	if (!shelf_is_mine(tx->shelf))
		return tx_check(tx);
	writer = tx->writer;
	err = tx_check(tx);
	if (err == -EINVAL)
		return err;
	if (!err)
		err = tx_make(tx);
	if (err)
		writer->tx_held += tx->held;
	tx_end(tx);
	/* After -EIO it may be durable or not, and only those who recover may say. */
	if (err && err != -EIO && give_up(writer) == -EIO)
		err = -EIO;
	tx_reclaim(writer, false);
	return err;
}

int hmem_tx_commit(struct hmem_tx *tx)
{
	return SIGBUS_GUARDED(tx ? tx->shelf : NULL, do_tx_commit(tx));
}

/* --- put and delete ------------------------------------------------------------------ */

/* May an object be put under the name, as far as the transaction knows? */
static int may_put(struct hmem_tx *tx, const struct tx_name *name, unsigned int flags)
{
	if (!name->named)
		return 0;
	if (flags & HMEM_PUT_CREATE && name->what == TX_PUT)
		return shelf_fail(tx->shelf, -EEXIST, "the transaction has put %s already",
				  name->name);
	if (flags & HMEM_PUT_REPLACE && name->what != TX_PUT)
		return shelf_fail(tx->shelf, -ENOENT, "the transaction has deleted %s", name->name);
	return 0;
}

static int fill(struct hmem_tx *tx, struct tx_name *name, const struct put *put)
{
	struct hmem_shelf *shelf = tx->shelf;
	uint64_t at, value;
	uint32_t crc;
	int err = heap_take(tx->writer, put->bytes + put_tail_bytes(put), put->align_shift, &at);

	if (err)
		return err == -ENOSPC ? object_no_space(shelf, put->name, put->bytes) : err;
	value = record_value_offset(at, put->align_shift);
	crc = hmem_crc32c_copy(VALUE_CRC_BEGIN, shelf_at(shelf, value), put->data, put->bytes);
	put_tail(shelf, at, put);
	if (put->bytes >= WRITE_BACK_EARLY)
		write_back(tx->writer, shelf_at(shelf, value), put->bytes + put_tail_bytes(put));
	err = tx_entry_own(tx->writer, name->entry, at);
	if (err)
		return err;
	name->at = at;
	name->bytes = put->bytes;
	name->align_shift = put->align_shift;
	name->crc = crc;
	name->typed = put->typed;
	name->written = put->bytes >= WRITE_BACK_EARLY;
	return 0;
}

static int do_tx_put(struct hmem_tx *tx, const char *name, const void *data, size_t bytes,
		const struct hmem_put_options *options)
{
	struct put put = { .name_bytes = 0 };
	struct tx_name *known;
	int err;

	if (!tx)
		return -EINVAL;
	err = tx_check(tx);
	if (!err)
		err = put_options_read(tx->shelf, name, options, bytes, &put);
	if (!err && !data && bytes)
		err = shelf_fail(tx->shelf, -EINVAL, "putting %s: there are no %zu bytes to put",
				 name, bytes);
	if (!err)
		err = tx_name_get(tx, name, put.name_bytes, &known);
	if (err)
		return err;
	put.data = data;
	err = may_put(tx, known, put.flags);
	if (!err)
		err = type_intern(tx->writer, &put);
	if (!err)
		err = fill(tx, known, &put);
	if (err)
		return err;
	if (!known->named)
		known->flags = put.flags;
	known->named = true;
	known->what = TX_PUT;
	return 0;
}

int hmem_tx_put(struct hmem_tx *tx, const char *name, const void *data, size_t bytes,
		const struct hmem_put_options *options)
{
	return SIGBUS_GUARDED(tx ? tx->shelf : NULL, do_tx_put(tx, name, data, bytes, options));
}

static int do_tx_delete(struct hmem_tx *tx, const char *name)
{
	struct tx_name *known;
	size_t name_bytes;
	int err;

	if (!tx)
		return -EINVAL;
	err = tx_check(tx);
	if (!err)
		err = object_name_check(tx->shelf, name, &name_bytes);
	if (!err)
		err = tx_name_get(tx, name, name_bytes, &known);
	if (err)
		return err;
	if (!known->named) {
		known->named = true;
		known->what = TX_DELETE;
		known->flags = HMEM_PUT_REPLACE;
		return 0;
	}
	if (known->what != TX_PUT)
		return shelf_fail(tx->shelf, -ENOENT, "the transaction has deleted %s already", name);
	if (known->entry->at) {
		err = heap_give_from(tx->writer, &known->entry->at, known->entry->granules, 0);
		/* Taken from the entry, it is given back sooner or later. */
		if (err && known->entry->at)
			return err;
	}
	/* Of what it made itself nothing is left. */
	known->what = known->flags & HMEM_PUT_CREATE ? TX_LEAVE : TX_DELETE;
	return 0;
}

int hmem_tx_delete(struct hmem_tx *tx, const char *name)
{
	return SIGBUS_GUARDED(tx ? tx->shelf : NULL, do_tx_delete(tx, name));
}
