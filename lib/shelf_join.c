// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Joining those who have a shelf open, or being the first; leaving them, or being the last.
 *
 * All of it happens under the "opening" byte. Everybody shares the "present" byte, and
 * those who may change the shelf the "writer" byte. The runtime counts if it is of this
 * boot and of this file. Where there is none, the first writer makes it: from the summary if
 * the shelf was left clean, else by recovery; and the last writer leaves the shelf clean.
 *
 * Read-only handles write nothing. On a clean shelf they have a runtime of their own, until
 * there is one that a writer made: from then on they follow that.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "shelf.h"
#include "shelf_join.h"
#include "shelf_lock.h"
#include "shelf_ordered.h"
#include "shelf_super.h"

static int byte_of(const struct hmem_shelf *shelf, int byte)
{
	return byte + (int)shelf->rack_entry * SHELF_BYTES_EACH;
}

static bool others(const struct hmem_shelf *shelf, int byte)
{
	return byte_held(shelf->lock_fd, byte_of(shelf, byte));
}

static bool read_only(const struct hmem_shelf *shelf)
{
	return shelf->flags & HMEM_SHELF_READ_ONLY;
}

int shelf_opening_lock(struct hmem_shelf *shelf)
{
	int byte = byte_of(shelf, SHELF_BYTE_OPENING);
	/* A shared lock is all that a descriptor for reading can have. */
	int err = byte_lock_within(shelf->lock_fd, byte, read_only(shelf), shelf->wait_ms);

	if (err == -EBUSY)
		return shelf_fail(shelf, err,
				  "shelf %s: somebody who may read its region is opening or closing it, or "
				  "keeps its lock, for %u ms now; try again, or see in /proc/locks who",
				  shelf->name, shelf->wait_ms);
	if (err)
		return shelf_fail(shelf, err, "shelf %s: locking it: %s", shelf->name,
				  strerror(-err));
	return 0;
}

void shelf_opening_unlock(struct hmem_shelf *shelf)
{
	byte_unlock(shelf->lock_fd, byte_of(shelf, SHELF_BYTE_OPENING));
}

/* --- making a runtime ---------------------------------------------------------------- */

static void runtime_begin(struct hmem_shelf *shelf, const struct shelf_super *super)
{
	STORE(&shelf->runtime->ready, 0);
	memset(shelf->runtime, 0, sizeof(*shelf->runtime));
	/* The superblock is written before anybody uses the runtime, and so always counts on. */
	shelf->runtime->session = (uint32_t)super->seq;
	memset(shelf->slots, 0, (size_t)shelf->nr_slots * SLOT_BYTES);
}

static void runtime_ready(struct hmem_shelf *shelf)
{
	memcpy(shelf->runtime->boot, shelf->us.boot, 16);
	shelf->runtime->lock_device = shelf->us.lock_device;
	shelf->runtime->lock_inode = shelf->us.lock_inode;
	shelf->runtime->magic = SHELF_MAGIC;
	STORE(&shelf->runtime->ready, 1);
}

/* What @persist has written back before is durable before the superblock says anything else. */
static int super_update_after(struct hmem_shelf *shelf, struct persist *persist,
			      struct shelf_super *super)
{
	memcpy(super->boot, shelf->us.boot, 16);
	memcpy(super->host, shelf->us.host, 16);
	super->lock_device = shelf->us.lock_device;
	super->lock_inode = shelf->us.lock_inode;
	return super_write(shelf, persist, super);
}

static int super_update(struct hmem_shelf *shelf, struct shelf_super *super)
{
	struct persist persist;

	shelf_persist_init(shelf, &persist);
	return super_update_after(shelf, &persist, super);
}

/*
 * What is found need not be on the media: somebody may have died before his fence, or his write-back
 * failed; and that may have been in another boot, if the processor's caches have outlived it. What
 * is found erased would be back after a loss of power.
 */
static int write_back_found(struct hmem_shelf *shelf, const struct shelf_super *super)
{
	static const uint8_t none[sizeof(super->boot)];
	uint64_t mapped = atomic_load(&shelf->heap_mapped) >> SHELF_CHUNK_SHIFT;
	struct persist persist;

	shelf_persist_init(shelf, &persist);
	/* No page of a file outlives a boot. */
	if (persist.kind == PERSIST_MSYNC && memcmp(super->boot, none, sizeof(none)) != 0 &&
	    memcmp(super->boot, shelf->us.boot, sizeof(super->boot)) != 0)
		return 0;
	persist_write_back_found(&persist, shelf_at(shelf, shelf->heap_offset),
				 heap_durable_frontier(shelf, mapped) << SHELF_CHUNK_SHIFT);
	return persist_fence(&persist) ?
		       shelf_fail(shelf, -EIO, "shelf %s: it cannot be written back", shelf->name) : 0;
}

/* Nobody else is here, and what is volatile means nothing. */
static int from_records(struct hmem_shelf *shelf, struct shelf_super *super)
{
	uint64_t expected = super->clean ? super->summary.objects : 0;
	uint64_t shutdowns = super->dirty_shutdowns + !super->clean;
	struct recovery found = { 0 };
	int err = write_back_found(shelf, super);

	if (err)
		return err;

	runtime_begin(shelf, super);
	shelf->runtime->heap_chunks = atomic_load(&shelf->heap_mapped) >> SHELF_CHUNK_SHIFT;
	/*
	 * Before anything else is changed the summary stops to count; and if we die before we come to
	 * an end, the next one sees in which boot that was.
	 */
	super->clean = 0;
	err = super_update(shelf, super);
	if (!err)
		err = shelf_recover(shelf, &found);
	if (!err && found.objects < expected)
		shelf_found(shelf, "count", 0, NULL,
			    "%" PRIu64 " objects were there when it was closed, and %" PRIu64 " are left",
			    expected, found.objects);
	super->dirty_shutdowns = shutdowns;
	if (!err)
		err = super_update(shelf, super);
	if (!err)
		runtime_ready(shelf);
	return err;
}

/* From now on it is not clean, whatever becomes of us. */
static int begin_use(struct hmem_shelf *shelf, struct shelf_super *super)
{
	int err;

	/* Who left it may have died before he said so. */
	STORE(&shelf->runtime->stage, RUNTIME_BEGUN);
	super->clean = 0;
	err = super_update(shelf, super);
	if (err)
		STORE(&shelf->runtime->failed, RUNTIME_NOT_WRITTEN);
	else
		STORE(&shelf->runtime->stage, RUNTIME_IN_USE);
	return err;
}

static int from_summary(struct hmem_shelf *shelf, const struct shelf_super *super)
{
	int err;

	runtime_begin(shelf, super);
	err = clean_adopt(shelf, shelf->runtime, &super->summary);
	if (!err)
		runtime_ready(shelf);
	return err;
}

/* --- joining ------------------------------------------------------------------------- */

static int busy(struct hmem_shelf *shelf, const char *why)
{
	return shelf_fail(shelf, -EBUSY, "shelf %s: %s", shelf->name, why);
}

/* When it was recovered there was no room for that; there may be now. */
static bool lacks_order(const struct shelf_super *super)
{
	return super->flags & SHELF_ORDERED && !super->summary.ordered_head;
}

static int join_to_write(struct hmem_shelf *shelf, struct shelf_super *super)
{
	bool writers = others(shelf, SHELF_BYTE_WRITER), present = others(shelf, SHELF_BYTE_PRESENT);
	bool ours = runtime_is_ours(shelf->runtime, &shelf->us);
	bool repair = shelf->flags & HMEM_SHELF_REPAIR && !present;
	int err = 0;

	/* Whoever wants to be alone must know before anything is changed. */
	if (present && shelf->flags & HMEM_SHELF_EXCLUSIVE)
		return busy(shelf, "it is open, and was to be opened exclusively");
	if (writers) {
		if (!ours)
			return busy(shelf, "somebody has it open whose runtime is another's; have "
					   "all close it");
		return 0;
	}
	if (super->clean && !repair && (present || !lacks_order(super))) {
		/* Readers may be using a runtime that the last writer left them, also one that failed. */
		if (!ours || !present)
			err = from_summary(shelf, super);
		else if (LOAD(&shelf->runtime->failed))
			err = -EUCLEAN;
		if (err != -EUCLEAN)
			return err ? err : begin_use(shelf, super);
	} else if (!super->clean && ours && !repair && !LOAD(&shelf->runtime->failed)) {
		/* Who began to use it may have died before that was durable. */
		return LOAD(&shelf->runtime->stage) == RUNTIME_BEGUN ? begin_use(shelf, super) : 0;
	}
	if (present)
		return busy(shelf, "it has to be recovered, and somebody is reading it");
	err = from_records(shelf, super);
	if (!err)
		STORE(&shelf->runtime->stage, RUNTIME_IN_USE);
	return err;
}

static int join_to_read(struct hmem_shelf *shelf, const struct shelf_super *super)
{
	if (runtime_is_ours(shelf->runtime, &shelf->us) &&
	    (others(shelf, SHELF_BYTE_WRITER) || !super->clean) &&
	    LOAD(&shelf->runtime->failed) != RUNTIME_DAMAGED)
		return 0;
	if (others(shelf, SHELF_BYTE_WRITER))
		return busy(shelf, "somebody has it open whose runtime is another's");
	if (!super->clean)
		return shelf_fail(shelf, -EUCLEAN,
				  "shelf %s has to be opened for writing once before it can be read",
				  shelf->name);
	shelf->own_runtime = calloc(1, sizeof(*shelf->own_runtime));
	shelf->own_slots = calloc(shelf->nr_slots, SLOT_BYTES);
	shelf->own_checked_bits = super->summary.nr_buckets;
	if (shelf->own_checked_bits > shelf->max_heap / sizeof(struct bucket))
		shelf->own_checked_bits = 0;
	shelf->own_checked = calloc(shelf->own_checked_bits / 64 + 1, sizeof(uint64_t));
	if (!shelf->own_runtime || !shelf->own_slots || !shelf->own_checked)
		return shelf_fail(shelf, -ENOMEM, "shelf %s: no memory to read it", shelf->name);
	shelf->runtime = shelf->own_runtime;
	shelf->slots = shelf->own_slots;
	return clean_adopt(shelf, shelf->runtime, &super->summary);
}

void shelf_follow(struct hmem_shelf *shelf)
{
	struct runtime *shared = shelf_at(shelf, SHELF_RUNTIME_OFFSET);

	if (LOAD(&shelf->runtime) == shared || !runtime_is_ours(shared, &shelf->us))
		return;
	STORE(&shelf->slots, (unsigned char *)shelf_at(shelf, SHELF_SLOTS_OFFSET));
	STORE(&shelf->runtime, shared);
}

/* From now on others see that we are here. */
static int show_up(struct hmem_shelf *shelf)
{
	int fd = shelf->lock_fd, err;

	err = shelf->flags & HMEM_SHELF_EXCLUSIVE ?
		      byte_lock(fd, byte_of(shelf, SHELF_BYTE_PRESENT)) :
		      byte_lock_shared(fd, byte_of(shelf, SHELF_BYTE_PRESENT));
	if (!err && !read_only(shelf))
		err = byte_lock_shared(fd, byte_of(shelf, SHELF_BYTE_WRITER));
	if (err)
		return shelf_fail(shelf, err == -EAGAIN ? -EBUSY : err,
				  "shelf %s: another process has it open, and one of us wants to be "
				  "alone",
				  shelf->name);
	return 0;
}

int shelf_join(struct hmem_shelf *shelf)
{
	struct shelf_super super;
	int err;

	err = super_read(shelf, shelf->uuid, &super);
	if (err == -EUCLEAN && shelf->flags & HMEM_SHELF_REPAIR && !read_only(shelf) &&
	    !others(shelf, SHELF_BYTE_PRESENT)) {
		super_salvage(shelf, &super);
		err = 0;
	}
	if (!err)
		err = super_identify(shelf, &shelf->us);
	if (err)
		return err;
	if (super.unit_shift != shelf->unit_shift || super.nr_slots != shelf->nr_slots ||
	    super.heap_offset != shelf->heap_offset || super.max_heap != shelf->max_heap)
		return shelf_fail(shelf, -EUCLEAN, "shelf %s: superblock and table do not agree",
				  shelf->name);
	shelf->super_flags = super.flags;
	if (super_other_host(&super, &shelf->us) && !(shelf->flags & HMEM_SHELF_TAKE_OVER))
		return busy(shelf, "another host has it open, or did not close it; if that is gone "
				   "for good, open it with HMEM_SHELF_TAKE_OVER");
	err = read_only(shelf) ? join_to_read(shelf, &super) : join_to_write(shelf, &super);
	if (!err)
		err = show_up(shelf);
	shelf->dirty_shutdowns = super.dirty_shutdowns;
	return err;
}

/* --- leaving ------------------------------------------------------------------------- */

/* All is written back, and then said to be. */
static int leave_clean(struct hmem_shelf *shelf, bool alone)
{
	bool again = LOAD(&shelf->runtime->stage) == RUNTIME_LEAVING;
	struct shelf_super super;
	struct persist persist;
	int err;

	STORE(&shelf->runtime->stage, RUNTIME_LEAVING);
	shelf_persist_init(shelf, &persist);
	err = super_read(shelf, shelf->uuid, &super);
	if (!err)
		err = clean_leave(shelf, &persist, &super.summary, again);
	if (err)
		return err;
	/* Those who read through it go on to; the media must not keep it. */
	if (alone) {
		STORE(&shelf->runtime->ready, 0);
		persist_write_back(&persist, &shelf->runtime->ready, sizeof(uint32_t));
	}
	super.clean = 1;
	err = super_update_after(shelf, &persist, &super);
	if (err)
		STORE(&shelf->runtime->failed, RUNTIME_NOT_WRITTEN);
	else
		STORE(&shelf->runtime->stage, RUNTIME_BEGUN);
	return err;
}

static int leave_last(struct hmem_shelf *shelf)
{
	bool alone = !byte_lock(shelf->lock_fd, byte_of(shelf, SHELF_BYTE_PRESENT));
	struct writer *writer;
	int err, freed;

	if (LOAD(&shelf->runtime->failed)) {
		writers_free(shelf);
		return LOAD(&shelf->runtime->failed) == RUNTIME_DAMAGED ?
			       shelf_damaged(shelf) :
			       shelf_fail(shelf, -EIO, "shelf %s: writing back to the media failed; "
						       "the next to open it recovers it",
					  shelf->name);
	}
	/* Whoever goes last of ours frees what nobody has pinned any more: one has to be there. */
	err = takeover_all(shelf, NULL);
	if (!err)
		err = updater_begin(shelf, &writer);
	if (!err)
		err = ordered_sweep(writer);
	freed = writers_free(shelf);
	if (!err)
		err = freed;
	return err ? err : leave_clean(shelf, alone);
}

int shelf_leave(struct hmem_shelf *shelf)
{
	int err;

	if (read_only(shelf))
		return 0;
	err = shelf_opening_lock(shelf);
	if (err) {
		writers_free(shelf);
		return err;
	}
	err = byte_lock(shelf->lock_fd, byte_of(shelf, SHELF_BYTE_WRITER)) ?
		      writers_free(shelf) :
		      leave_last(shelf);
	/* Gone before anybody else looks: he is not to find a writer without a runtime. */
	byte_unlock(shelf->lock_fd, byte_of(shelf, SHELF_BYTE_WRITER));
	byte_unlock(shelf->lock_fd, byte_of(shelf, SHELF_BYTE_PRESENT));
	shelf_opening_unlock(shelf);
	return err;
}
