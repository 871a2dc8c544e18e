/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the updates of objects have in common, whichever call makes them.
 *
 * An update of a name: target_lock(); take memory; cover_predecessor(); write the record
 * with next_seq() and target_link() and have it written back; writer_seal(); fence();
 * target_redo(), what else there is to redo, redo_show(); limbo_erase(); target_unlock().
 */
#ifndef LIB_SHELF_UPDATE_H
#define LIB_SHELF_UPDATE_H

#include "shelf.h"

/*
 * What is to be put, checked.
 *
 * @type, @type_bytes: what was asked for; @typed, @reference: what type_intern() made of it
 */
struct put {
	const char *name;
	size_t name_bytes;
	const void *data;
	size_t bytes;
	unsigned int flags;
	unsigned int align_shift;
	enum record_kind kind;
	const void *type;
	size_t type_bytes;
	bool typed;
	uint64_t reference;
};

/* What stands behind the value. */
static inline size_t put_tail_bytes(const struct put *put)
{
	return put->name_bytes + (put->typed ? sizeof(put->reference) : 0);
}
void put_tail(struct hmem_shelf *shelf, uint64_t at, const struct put *put);

/* Put a record of any kind that has a name. */
int put_record(struct writer *writer, const struct put *put);

/* Check a name; its length without the final NUL. */
int object_name_check(struct hmem_shelf *shelf, const char *name, size_t *bytes);
/* -ENOENT, and says so. */
int object_absent(struct hmem_shelf *shelf, const char *name);
/* -ENOSPC, and says who might be the reason. */
int object_no_space(struct hmem_shelf *shelf, const char *name, size_t bytes);
/* Check name and options: all of @put but its data. */
int put_options_read(struct hmem_shelf *shelf, const char *name,
		     const struct hmem_put_options *options, size_t bytes, struct put *put);

/*
 * May this writer replace or delete the record at @at, whose name it has locked? -EBUSY when
 * a transaction of somebody who lives is changing it in place, -EDEADLK when it is its own.
 * @judged: the link that says so, as without the lock there may be another by now
 */
int object_link_check(struct writer *writer, uint64_t at, uint64_t *judged);
static inline int object_owner_check(struct writer *writer, uint64_t at)
{
	uint64_t link;

	return object_link_check(writer, at, &link);
}
/* Is it this writer's own transaction that is changing the record's value? */
static inline bool object_is_mine(const struct writer *writer, uint64_t at)
{
	uint64_t link = LOAD(&((const struct record *)shelf_at(writer->shelf, at))->link);

	return link & LINK_OWNED && link == link_owned_by(writer->shelf, writer->id);
}
/* What the fence of an update that replaces the record at @old (0: none) has to cover besides. */
void cover_predecessor(struct writer *writer, uint64_t old);
/* The same for a record that has, or had, this link. */
void cover_link(struct writer *writer, uint64_t link);

/*
 * A name that is being updated: its locked bucket, the entry that it has (NULL: none) or
 * the place for one, and the record that the entry leads to, or 0.
 *
 * @mine: what the writer's own transaction is changing in place is no obstacle
 * @descriptor: it is no object's, but a descriptor's: not counted, and in no order
 * @crowded: it was entered where there is no room for many more
 */
struct target {
	const char *name;
	size_t name_bytes;
	uint64_t hash;
	struct bucket *bucket;
	uint64_t *entry;
	uint64_t *room;
	uint64_t old;
	bool mine;
	bool descriptor;
	bool crowded;
};

/*
 * The entry of a name whose bucket is locked (NULL: it has none), or a place for one (NULL: there is
 * none free). What others have added is mapped if need be; 0, or why that cannot be: then it is
 * not known whether there is one.
 */
int name_find(struct hmem_shelf *shelf, struct bucket *bucket, uint64_t hash, const char *name,
	      size_t name_bytes, uint64_t **entry, uint64_t **room);
/*
 * Lock and find @target's name, of which name, name_bytes and hash are given; and have
 * room for it if it is new. @flags: HMEM_PUT_*. On an error nothing is locked.
 */
int target_lock(struct writer *writer, struct target *target, unsigned int flags);
/* The link of the record that replaces the old one, before the fence that makes it durable. */
static inline uint64_t target_link(const struct writer *writer, const struct target *target)
{
	return target->old ? LINK_MAKE(target->old, writer->id, writer->slot->fence_seq + 1) : 0;
}
/* Add the redo words that make the durable record at @at the name's; the first shows it. */
void target_redo(struct writer *writer, struct target *target, uint64_t at);
void target_unlock(struct writer *writer, struct target *target);

#endif
