// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Objects that are changed in place.
 *
 * As long as a record is not sealed its checksum covers the value, and one that was changed
 * would be taken for one that was never finished. So the seal is durable before anybody gets
 * to store there, whoever wrote the record. Its bucket is locked meanwhile: nobody replaces or
 * deletes it.
 */
#include <errno.h>

#include "shelf.h"
#include "shelf_record.h"
#include "shelf_sigbus.h"
#include "shelf_tx.h"
#include "shelf_update.h"

/*
 * Nobody replaces it meanwhile; but its writer may be sealing it, and not yet have fenced.
 * A commit that has written to it is not to do that again after what the caller stores: it is
 * erased, which hmem_shelf_persist() makes durable.
 */
static int seal_value(struct writer *writer, uint64_t at)
{
	uint64_t link = LOAD(&((const struct record *)shelf_at(writer->shelf, at))->link);
	int covered, err;

	if (link_is_owned(writer->shelf, link))
		link = tx_link_of(writer, at);
	covered = commit_cover(writer, link);
	if (covered >= 0) {
		object_seal(writer, at);
		writer_seal(writer);
	}
	err = covered < 0 ? covered : fence(writer);
	if (!err && covered)
		record_erase(writer, LINK_OFFSET(link));
	commit_uncover(writer);
	return err;
}

static int do_edit(struct hmem_shelf *shelf, const char *name, struct hmem_object *object)
{
	struct target target = { .name = name, .mine = true };
	struct writer *writer;
	struct record header;
	uint64_t *pin;
	int err;

	if (!shelf)
		return -EINVAL;
	if (!object)
		return shelf_fail(shelf, -EINVAL, "editing an object: no place for it");
	err = object_name_check(shelf, name, &target.name_bytes);
	if (!err)
		err = updater_begin(shelf, &writer);
	if (!err)
		err = object_pin_begin(writer, &pin);
	if (err)
		return err;
	target.hash = name_hash(shelf, name, target.name_bytes);
	err = target_lock(writer, &target, HMEM_PUT_REPLACE);
	if (err)
		return err;
	header = record_load(shelf, target.old);
	if (!record_fits(shelf, target.old, &header))
		err = object_damaged(shelf, name);
	if (!err)
		err = seal_value(writer, target.old);
	if (!err)
		__atomic_store_n(pin, target.old, __ATOMIC_SEQ_CST);
	target_unlock(writer, &target);
	if (err)
		return err;
	object_show(shelf, target.old, &header, pin, object);
	object->pin = (char *)pin + PIN_EDIT;
	return 0;
}

int hmem_shelf_edit(struct hmem_shelf *shelf, const char *name, struct hmem_object *object)
{
	return SIGBUS_GUARDED(shelf, do_edit(shelf, name, object));
}

/* Which commit may have written to it. Nobody else's transaction has it. */
static int find_link(struct writer *writer, uint64_t at, uint64_t *link)
{
	if (!object_is_mine(writer, at))
		return object_link_check(writer, at, link);
	*link = tx_link_of(writer, at);
	return 0;
}

/* What has been stored is durable, and no commit is left that would undo it. */
static int persist_value(struct writer *writer, uint64_t at, const void *from, size_t bytes)
{
	uint64_t link;
	int covered, err = find_link(writer, at, &link);

	if (err)
		return err;
	covered = commit_cover(writer, link);
	if (covered >= 0)
		write_back(writer, from, bytes);
	err = covered < 0 ? covered : fence(writer);
	/* It has been written to since the caller got it. */
	if (!err && covered == COVER_TO_ERASE) {
		record_erase(writer, LINK_OFFSET(link));
		err = fence(writer);
	}
	commit_uncover(writer);
	return err;
}

static int do_persist(struct hmem_shelf *shelf, const struct hmem_object *object, size_t offset,
		size_t bytes)
{
	struct writer *writer;
	struct record header;
	uint64_t at;
	int err;

	if (!shelf)
		return -EINVAL;
	if (!object || !((uintptr_t)object->pin & PIN_EDIT))
		return shelf_fail(shelf, -EINVAL,
				  "shelf %s: only what hmem_shelf_edit() gave may be changed in place",
				  shelf->name);
	err = updater_begin(shelf, &writer);
	if (!err)
		err = object_pinned(shelf, object, &at, &header);
	if (err)
		return err;
	if (offset > header.value_bytes || bytes > header.value_bytes - offset)
		return shelf_fail(shelf, -EINVAL,
				  "shelf %s: %zu bytes at %zu lie outside of an object of %zu",
				  shelf->name, bytes, offset, (size_t)header.value_bytes);
	err = persist_value(writer, at, (char *)object->data + offset, bytes);
	if (err)
		return err;
	header = record_load(shelf, at);
	if (header.state == RECORD_FREE || header.state == RECORD_TOMB)
		return shelf_fail(shelf, -ESTALE,
				  "shelf %s: the object has been replaced or deleted since it was got",
				  shelf->name);
	return 0;
}

int hmem_shelf_persist(struct hmem_shelf *shelf, const struct hmem_object *object, size_t offset,
		       size_t bytes)
{
	return SIGBUS_GUARDED(shelf, do_persist(shelf, object, offset, bytes));
}
