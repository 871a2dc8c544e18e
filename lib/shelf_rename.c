// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Other names for objects.
 *
 * A record certifies its name and its place, neither of which ever changes. So an object
 * that gets another name gets another record, with a copy of its value, and rename and swap are
 * transactions like any other: there is no third state for readers, recovery or those who take
 * over from the dead to know. The objects are the transaction's while they are copied, so
 * that nothing is lost that somebody else's transaction changes in them.
 */
#include <errno.h>

#include "shelf_record.h"
#include "shelf_sigbus.h"
#include "shelf_tx.h"
#include "shelf_update.h"

#define RENAME_FLAGS (HMEM_PUT_CREATE | HMEM_PUT_REPLACE)

/* The object of a name, held and the transaction's. */
static int take(struct hmem_tx *tx, const char *name, struct hmem_object *object)
{
	for (;;) {
		struct tx_entry *entry;
		struct record header;
		uint64_t at;
		int err = hmem_shelf_get(tx->shelf, name, object);

		if (err)
			return err;
		at = object_record(tx->shelf, object, &header);
		err = at ? tx_own(tx, at, &entry) : shelf_damaged(tx->shelf);
		if (!err)
			return 0;
		hmem_shelf_release(tx->shelf, object);
		/* It was replaced in between, and may be there all the same. */
		if (err != -ENOENT)
			return err;
	}
}

static int put_copy(struct hmem_tx *tx, const char *name, const struct hmem_object *object,
		    unsigned int flags)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	struct record header;

	if (!object_record(tx->shelf, object, &header))
		return shelf_damaged(tx->shelf);
	options.flags = flags;
	options.align = (size_t)1 << header.align_shift;
	options.type = object->type;
	options.type_bytes = object->type_bytes;
	return hmem_tx_put(tx, name, object->data, object->bytes, &options);
}

/* Of one that could not be made nothing has happened. */
static int end(struct hmem_tx *tx, int err)
{
	if (!err)
		return hmem_tx_commit(tx);
	hmem_tx_abort(tx);
	return err;
}

static int move(struct hmem_tx *tx, const char *from, const char *to, unsigned int flags)
{
	struct hmem_object object;
	int err = take(tx, from, &object);

	if (err)
		return err;
	err = put_copy(tx, to, &object, flags);
	if (!err)
		err = hmem_tx_delete(tx, from);
	hmem_shelf_release(tx->shelf, &object);
	return err;
}

static int exchange(struct hmem_tx *tx, const char *a, const char *b)
{
	struct hmem_object first, second;
	int err = take(tx, a, &first);

	if (err)
		return err;
	err = take(tx, b, &second);
	if (!err) {
		err = put_copy(tx, a, &second, 0);
		if (!err)
			err = put_copy(tx, b, &first, 0);
		hmem_shelf_release(tx->shelf, &second);
	}
	hmem_shelf_release(tx->shelf, &first);
	return err;
}

/* Nothing to do but to look whether it is there. */
static int same_name(struct hmem_shelf *shelf, const char *name, unsigned int flags)
{
	size_t bytes = strlen(name);
	uint64_t at;
	int found = object_find(shelf, name, bytes, NULL, &at);

	if (found < 0)
		return shelf_damaged(shelf);
	if (!found)
		return object_absent(shelf, name);
	return flags & HMEM_PUT_CREATE ?
		       shelf_fail(shelf, -EEXIST, "shelf %s has an object %s already", shelf->name,
				  name) :
		       0;
}

static int begin(struct hmem_shelf *shelf, const char *a, const char *b, struct hmem_tx **tx)
{
	size_t bytes;
	int err = object_name_check(shelf, a, &bytes);

	if (!err)
		err = object_name_check(shelf, b, &bytes);
	return err ? err : hmem_tx_begin(shelf, tx);
}

static int do_rename(struct hmem_shelf *shelf, const char *from, const char *to, unsigned int flags)
{
	struct hmem_tx *tx;
	int err;

	if (!shelf)
		return -EINVAL;
	if (flags & ~RENAME_FLAGS)
		return shelf_fail(shelf, -EINVAL, "renaming an object: unknown flags %#x",
				  flags & ~RENAME_FLAGS);
	err = begin(shelf, from, to, &tx);
	if (err)
		return err;
	return end(tx, !strcmp(from, to) ? same_name(shelf, from, flags) :
					   move(tx, from, to, flags));
}

int hmem_shelf_rename(struct hmem_shelf *shelf, const char *from, const char *to,
		      unsigned int flags)
{
	return SIGBUS_GUARDED(shelf, do_rename(shelf, from, to, flags));
}

static int do_swap(struct hmem_shelf *shelf, const char *a, const char *b)
{
	struct hmem_tx *tx;
	int err;

	if (!shelf)
		return -EINVAL;
	err = begin(shelf, a, b, &tx);
	if (err)
		return err;
	return end(tx, !strcmp(a, b) ? same_name(shelf, a, 0) : exchange(tx, a, b));
}

int hmem_shelf_swap(struct hmem_shelf *shelf, const char *a, const char *b)
{
	return SIGBUS_GUARDED(shelf, do_swap(shelf, a, b));
}
