// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * References from one object to another that are shorter than a name and as good after
 * the shelf was opened elsewhere.
 *
 * A handle is what the index has for the object, an offset and bits of the name's hash, and
 * the sequence number. It may come from anywhere, so it is followed only to find a name, of
 * which every byte may be changing; then that is looked up and pinned as any other, and has to
 * lead to the same record.
 */
#include <errno.h>

#include "shelf.h"
#include "shelf_record.h"
#include "shelf_sigbus.h"
#include "shelf_update.h"

static int do_handle(struct hmem_shelf *shelf, const struct hmem_object *object,
		struct hmem_handle *handle)
{
	struct record header;
	const char *name;
	uint64_t at;
	int err;

	if (!shelf)
		return -EINVAL;
	if (!object || !handle)
		return shelf_fail(shelf, -EINVAL, "a handle: no object, or no place for it");
	if (!shelf_is_mine(shelf))
		return shelf_fail(shelf, -ECHILD, "shelf %s: opened by the parent", shelf->name);
	if (shelf->flags & HMEM_SHELF_READ_ONLY)
		return shelf_fail(shelf, -EROFS,
				  "shelf %s was opened read-only, which gives copies: they have no handle",
				  shelf->name);
	err = object_pinned(shelf, object, &at, &header);
	if (err)
		return err;
	name = (const char *)object->data + header.value_bytes;
	handle->place = entry_make(name_hash(shelf, name, header.name_bytes), at);
	handle->version = header.seq;
	return 0;
}

int hmem_shelf_handle(struct hmem_shelf *shelf, const struct hmem_object *object,
		      struct hmem_handle *handle)
{
	return SIGBUS_GUARDED(shelf, do_handle(shelf, object, handle));
}

/* The name of what may be a record and may be changing. Its length, or 0. */
static size_t copy_name(const struct hmem_shelf *shelf, uint64_t at, char *name)
{
	struct record header = record_load(shelf, at);
	const char *from;

	if (!record_fits(shelf, at, &header))
		return 0;
	from = shelf_at(shelf, record_value_offset(at, header.align_shift) + header.value_bytes);
	for (size_t i = 0; i < header.name_bytes; i++)
		name[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	return header.name_bytes;
}

/* 0: pinned, and this is its header. */
static int follow(struct hmem_shelf *shelf, const struct hmem_handle *handle, uint64_t *pin,
		  struct record *header)
{
	uint64_t at = entry_offset(handle->place), found;
	char name[SHELF_NAME_MAX + 1];
	size_t bytes = copy_name(shelf, at, name);
	int there;

	if (!bytes || entry_make(name_hash(shelf, name, bytes), at) != handle->place)
		return -ESTALE;
	there = object_find(shelf, name, bytes, pin, &found);
	if (there <= 0)
		return there ? shelf_damaged(shelf) : -ESTALE;
	*header = record_load(shelf, found);
	/* The index also has what is no object. */
	if (found == at && header->seq == handle->version && header->kind == RECORD_OBJECT &&
	    record_fits(shelf, at, header))
		return 0;
	STORE(pin, 0);
	return -ESTALE;
}

static int do_get_handle(struct hmem_shelf *shelf, const struct hmem_handle *handle,
		struct hmem_object *object)
{
	struct writer *writer;
	struct record header;
	uint64_t *pin, at;
	int err;

	if (!shelf)
		return -EINVAL;
	if (!handle || !object)
		return shelf_fail(shelf, -EINVAL, "getting an object: no handle, or no place for it");
	err = object_pinner(shelf, &writer);
	if (!err)
		err = object_pin_begin(writer, &pin);
	if (err)
		return err;
	at = entry_offset(handle->place);
	if (!handle->version || at < shelf->heap_offset || !shelf_reach(shelf, at))
		return shelf_fail(shelf, -EINVAL, "shelf %s: that is no handle of one of its objects",
				  shelf->name);
	err = follow(shelf, handle, pin, &header);
	if (err == -ESTALE)
		return shelf_fail(shelf, err,
				  "shelf %s: the object that the handle names has been replaced or "
				  "deleted",
				  shelf->name);
	if (err)
		return err;
	object_show(shelf, at, &header, pin, object);
	return 0;
}

int hmem_shelf_get_handle(struct hmem_shelf *shelf, const struct hmem_handle *handle,
			  struct hmem_object *object)
{
	return SIGBUS_GUARDED(shelf, do_get_handle(shelf, handle, object));
}
