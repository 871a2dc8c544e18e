// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Shelves: made, opened, closed, and described.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flush.h"
#include "mapping.h"
#include "region.h"
#include "shelf.h"
#include "shelf_join.h"
#include "shelf_ordered.h"
#include "shelf_map.h"
#include "shelf_rack.h"
#include "shelf_sigbus.h"
#include "shelf_super.h"
#include "shelf_tx.h"
#include "sized.h"
#include "uncancelled.h"

#define OPTIONS_SIZE_V1	sizeof(struct hmem_shelf_options)
#define INFO_SIZE_V1	sizeof(struct hmem_shelf_info)

#define OPEN_FLAGS	(HMEM_SHELF_READ_ONLY | HMEM_SHELF_EXCLUSIVE | HMEM_SHELF_TAKE_OVER | \
			 HMEM_SHELF_REPAIR | HMEM_SHELF_FLUSH)
#define CREATE_FLAGS	(HMEM_SHELF_ORDERED | HMEM_SHELF_EXCLUSIVE | HMEM_SHELF_FLUSH | \
			 HMEM_SHELF_GROSS)

#define DEFAULT_SLOTS	64u
#define DEFAULT_MAX	(16ull << 30)

#define MIB		(1ull << 20)

/* --- forks --------------------------------------------------------------------------- */

/* A page that a child of fork(2) finds full of zeroes. */
static int alive_new(struct hmem_shelf *shelf)
{
	size_t page = (size_t)hmem_page_size();
	void *at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return shelf_fail(shelf, -errno, "shelf %s: no memory for a page", shelf->name);
	if (madvise(at, page, MADV_WIPEONFORK)) {
		int err = -errno;

		munmap(at, page);
		return shelf_fail(shelf, err, "shelf %s: the kernel cannot wipe a page on fork: %s",
				  shelf->name, strerror(-err));
	}
	shelf->alive = at;
	atomic_store(shelf->alive, 1);
	return 0;
}

static bool is_child(const struct hmem_shelf *shelf)
{
	return !atomic_load(shelf->alive);
}

/* --- opening ------------------------------------------------------------------------- */

static void shelf_free(struct hmem_shelf *shelf)
{
	if (shelf->base)
		munmap(shelf->base, shelf->reserved);
	if (shelf->alive)
		munmap((void *)shelf->alive, (size_t)hmem_page_size());
	shelf_lock_close(shelf);
	hmem_region_close(shelf->region);
	hmem_ctx_unref(shelf->ctx);
	free(shelf->own_runtime);
	free(shelf->own_slots);
	free(shelf->own_checked);
	free(shelf->name);
	free(shelf);
}

enum persist_kind shelf_persist_kind(struct hmem_ctx *ctx, unsigned int caps, unsigned int flags)
{
	if (flags & HMEM_SHELF_FLUSH && hmem_flush_cpu_possible(ctx))
		return PERSIST_CPU;
	if (!(caps & HMEM_CAP_PERSISTENT))
		return PERSIST_NONE;
	if (caps & HMEM_CAP_CACHES_DURABLE)
		return PERSIST_FENCE;
	return caps & HMEM_CAP_FLUSH_CPU ? PERSIST_CPU : PERSIST_MSYNC;
}

void shelf_persist_init(const struct hmem_shelf *shelf, struct persist *persist)
{
	*persist = (struct persist){
		.kind = shelf->persist_kind,
		.flush = &shelf->ctx->flush,
		.page = (uintptr_t)hmem_page_size(),
		.sync = hmem_region_sync(shelf->region),
		.failures = shelf->sync_failures,
	};
}

static int handle_new(struct hmem_region *region, const char *name,
		      const struct hmem_shelf_options *options, struct hmem_shelf **out)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	struct hmem_ctx *ctx = hmem_region_ctx(region);
	pthread_mutexattr_t attributes;
	struct hmem_shelf *shelf;
	int err;

	shelf = calloc(1, sizeof(*shelf));
	if (!shelf) {
		hmem_fail(ctx, -ENOMEM, "no memory for a shelf");
		return -ENOMEM;
	}
	shelf->ctx = hmem_ctx_ref(ctx);
	shelf->region = hmem_region_ref(region);
	shelf->lock_fd = -1;
	shelf->flags = options->flags;
	shelf->found = options->found;
	shelf->found_arg = options->found_arg;
	shelf->wait_ms = options->wait_ms ? options->wait_ms : SHELF_WAIT_MS;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&shelf->lock, &attributes);
	/* Of one of this kind only the owner can let go, see sigbus.c. */
	pthread_mutex_init(&shelf->table_lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	shelf->name = strdup(name);
	err = shelf->name ? 0 : hmem_fail(ctx, -ENOMEM, "no memory for a shelf");
	if (!err)
		err = hmem_region_get_info(region, &info);
	if (!err)
		err = shelf_lock_open(shelf);
	if (!err)
		err = alive_new(shelf);
	if (err) {
		shelf_free(shelf);
		return err;
	}
	if (hmem_region_flags(region) & HMEM_OPEN_READ_ONLY)
		shelf->flags |= HMEM_SHELF_READ_ONLY;
	shelf->persist_kind = shelf_persist_kind(ctx, info.caps, shelf->flags);
	shelf->sync_failures = hmem_region_sync_failures(region);
	*out = shelf;
	return 0;
}

/* A handle, and the region's table of shelves, open. */
static int shelf_new(struct hmem_region *region, const char *name,
		     const struct hmem_shelf_options *options, struct hmem_shelf **shelf,
		     struct rack **rack)
{
	struct persist persist;
	int err;

	*rack = malloc(sizeof(**rack));
	if (!*rack) {
		hmem_fail(hmem_region_ctx(region), -ENOMEM, "no memory for the table of shelves");
		return -ENOMEM;
	}
	err = handle_new(region, name, options, shelf);
	if (!err) {
		shelf_persist_init(*shelf, &persist);
		err = rack_open(region, (*shelf)->lock_fd, &persist, (*shelf)->wait_ms, *rack);
		if (err)
			shelf_free(*shelf);
	}
	if (err)
		free(*rack);
	return err;
}

static int check_options(struct hmem_ctx *ctx, const char *name,
			 const struct hmem_shelf_options *options, unsigned int flags,
			 struct hmem_shelf_options *checked)
{
	int err = 0;

	if (!name || !*name)
		return hmem_fail(ctx, -EINVAL, "a shelf needs a name");
	if (strnlen(name, RACK_NAME_BYTES) == RACK_NAME_BYTES)
		return hmem_fail(ctx, -ENAMETOOLONG, "names of shelves have at most %u bytes",
				 RACK_NAME_BYTES - 1);
	if (options)
		err = hmem_sized_read(ctx, "struct hmem_shelf_options", checked, sizeof(*checked),
				      OPTIONS_SIZE_V1, options);
	if (!err && checked->flags & ~flags)
		err = hmem_fail(ctx, -EINVAL, "shelf %s: unknown flags %#x", name,
				checked->flags & ~flags);
	return err;
}

/* Forget the writers without touching what they have on the shelf. */
static void writers_drop(struct hmem_shelf *shelf)
{
	while (shelf->writers) {
		struct writer *writer = shelf->writers;

		shelf->writers = writer->next;
		tx_free(writer->tx);
		tx_free(writer->tx_kept);
		free(writer->many_pins);
		free(writer);
	}
}

/* The last steps of opening, with everything mapped and the opening byte locked. */
static int finish_open(struct hmem_shelf *shelf)
{
	int err = pthread_key_create(&shelf->writer_key, writer_thread_exit);

	if (err)
		return shelf_fail(shelf, -err, "shelf %s: no key for its threads: %s", shelf->name,
				  strerror(err));
	err = SIGBUS_GUARDED(shelf, shelf_join(shelf));
	if (err) {
		writers_drop(shelf);
		pthread_key_delete(shelf->writer_key);
	}
	return err;
}

/*
 * After those who died. What this cannot put in order waits for those whom it is in the way of;
 * what somebody else is putting in order must not be seen half done. 0, or -EBUSY.
 */
static int clean_up(struct hmem_shelf *shelf)
{
	if (shelf->flags & HMEM_SHELF_READ_ONLY || LOAD(&shelf->runtime->failed))
		return 0;
	takeover_all(shelf, NULL);
	return takeover_await(shelf);
}

static int clean_up_guarded(struct hmem_shelf *shelf)
{
	return SIGBUS_GUARDED_PART(shelf, clean_up(shelf));
}

static int do_shelf_close(struct hmem_shelf *shelf)
{
	int err = 0;

	if (!shelf)
		return 0;
	if (!is_child(shelf)) {
		shelf_await_threads(shelf);
		err = SIGBUS_GUARDED(shelf, shelf_leave(shelf));
	}
	if (is_child(shelf) || atomic_load(&shelf->broken))
		writers_drop(shelf);
	pthread_key_delete(shelf->writer_key);
	/* The locks go with their descriptor. */
	shelf_free(shelf);
	return err;
}

int hmem_shelf_close(struct hmem_shelf *shelf)
{
	return UNCANCELLED(do_shelf_close(shelf));
}

/* One that is open, but not in time: as if it had never been. */
static void close_again(struct hmem_shelf *shelf)
{
	struct hmem_error why;

	hmem_error_keep(&why);
	do_shelf_close(shelf);
	hmem_error_restore(&why);
}

static int do_shelf_open(struct hmem_region *region, const char *name,
			 const struct hmem_shelf_options *options, struct hmem_shelf **out)
{
	struct hmem_shelf_options checked = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf;
	struct hmem_ctx *ctx;
	struct rack *rack;
	int err, entry;

	if (!region)
		return -EINVAL;
	ctx = hmem_region_ctx(region);
	if (!out)
		return hmem_fail(ctx, -EINVAL, "opening a shelf: no place for the handle");
	err = check_options(ctx, name, options, OPEN_FLAGS, &checked);
	if (err)
		return err;
	/* The kernel gives locks that exclude others through descriptors for writing only. */
	if (checked.flags & HMEM_SHELF_EXCLUSIVE && hmem_region_flags(region) & HMEM_OPEN_READ_ONLY)
		return hmem_fail(ctx, -EROFS,
				 "shelf %s: nobody can be kept out of %s, which was opened read-only; "
				 "open the region for writing to have the shelf alone",
				 name, hmem_region_name(region));
	err = shelf_new(region, name, &checked, &shelf, &rack);
	if (err)
		return err;
	entry = rack_find(rack, name);
	/*
	 * Damage to one copy ends here, before it meets damage to the other. And what somebody
	 * who died had stored need not be durable: nothing may be built on it yet.
	 */
	if (entry >= 0 && !(shelf->flags & HMEM_SHELF_READ_ONLY) && !rack_is_settled(rack))
		err = rack_write(rack);
	if (!err)
		err = entry < 0 ? hmem_fail(ctx, -ENOENT, "%s has no shelf %s",
					    hmem_region_name(region), name) :
				  shelf_map(shelf, rack, (unsigned int)entry);
	rack_close(rack);
	if (err)
		goto out;
	err = shelf_opening_lock(shelf);
	if (err)
		goto out;
	/* It may have grown, and have been closed, since. Now it grows only if others have it open. */
	err = shelf_map_first(shelf);
	if (!err)
		err = finish_open(shelf);
	shelf_opening_unlock(shelf);
	/* Of all else that may be wrong whoever uses it is told. */
	if (!err && clean_up_guarded(shelf) == -EBUSY) {
		close_again(shelf);
		free(rack);
		return -EBUSY;
	}
out:
	free(rack);
	if (err) {
		shelf_free(shelf);
		return err;
	}
	*out = shelf;
	return 0;
}

int hmem_shelf_open(struct hmem_region *region, const char *name,
		    const struct hmem_shelf_options *options, struct hmem_shelf **out)
{
	return UNCANCELLED(do_shelf_open(region, name, options, out));
}

/* The superblock of an empty shelf. */
static int write_empty(struct hmem_shelf *shelf, struct rack *rack, unsigned int entry,
		       unsigned int flags)
{
	struct shelf_super super = {
		.magic = SHELF_MAGIC,
		.version = SHELF_VERSION,
		.flags = flags & HMEM_SHELF_ORDERED ? SHELF_ORDERED : 0,
		.unit_shift = shelf->unit_shift,
		.nr_slots = shelf->nr_slots,
		.heap_offset = shelf->heap_offset,
		.max_heap = shelf->max_heap,
		.dirty_shutdowns = (uint64_t)-1, /* its making counts as none */
	};
	struct persist persist;

	shelf_persist_init(shelf, &persist);
	memcpy(super.uuid, rack->shelves[entry].uuid, 16);
	/* Nothing of what was here before may look like ours. */
	memset(shelf_at(shelf, 0), 0, SHELF_SLOTS_OFFSET);
	persist_write_back(&persist, shelf_at(shelf, 0), SHELF_SLOTS_OFFSET);
	shelf_disown(shelf, rack, &persist, 0);
	heap_reset_frontier(shelf, &persist);
	return super_write(shelf, &persist, &super);
}

static int write_empty_guarded(struct hmem_shelf *shelf, struct rack *rack, unsigned int entry,
			       unsigned int flags)
{
	return SIGBUS_GUARDED_PART(shelf, write_empty(shelf, rack, entry, flags));
}

/* How large the heap of a new shelf is to be, in bytes. */
static int heap_wanted(struct rack *rack, uint32_t slots, const struct hmem_shelf_options *options,
		       uint64_t *heap)
{
	uint64_t unit = 1ull << rack->header.unit_shift, free, units;

	*heap = shelf_round_up(options->bytes, unit);
	if (!(options->flags & HMEM_SHELF_GROSS))
		return 0;
	free = rack_free_units(rack);
	units = options->bytes == UINT64_MAX ? free : options->bytes / unit;
	/* The table takes one, which is nobody's share. */
	if (units == free + 1)
		units = free;
	*heap = units > free ? 0 : shelf_heap_units(slots, units, unit) * unit;
	if (*heap)
		return 0;
	return hmem_fail(rack->ctx, -ENOSPC,
			 "%s has %" PRIu64 " bytes that are no shelf's; a shelf that takes %" PRIu64
			 " of them cannot be made with %u slots; resize the region or take less",
			 hmem_region_name(rack->region), free * unit, units * unit, slots);
}

/* Give the new entry its memory, and make an empty shelf of that. */
static int fill_entry(struct hmem_shelf *shelf, struct rack *rack, unsigned int entry,
		      const struct hmem_shelf_options *options)
{
	struct rack_shelf *shown = &rack->shelves[entry];
	uint64_t unit = 1ull << rack->header.unit_shift;
	uint64_t heap, metadata, heap_offset;
	int err;

	shown->nr_slots = options->slots ? options->slots : DEFAULT_SLOTS;
	if (shown->nr_slots > SHELF_MAX_SLOTS)
		return shelf_fail(shelf, -EINVAL, "shelf %s: %u slots are more than the %u it can have",
				  shelf->name, shown->nr_slots, SHELF_MAX_SLOTS);
	err = heap_wanted(rack, shown->nr_slots, options, &heap);
	if (err)
		return err;
	shown->max_heap = options->max_bytes;
	if (!shown->max_heap)
		shown->max_heap = heap > DEFAULT_MAX / 64 ? heap * 64 : DEFAULT_MAX;
	if (shown->max_heap > SHELF_MAX_HEAP)
		shown->max_heap = SHELF_MAX_HEAP;
	shown->max_heap = shelf_round_up(shown->max_heap, unit > MIB ? unit : MIB);
	if (!heap || heap > shown->max_heap)
		return shelf_fail(shelf, -EINVAL,
				  "shelf %s: %" PRIu64 " bytes, at most %" PRIu64
				  ", with %u slots cannot be made",
				  shelf->name, heap, shown->max_heap, shown->nr_slots);
	if (getrandom(shown->uuid, sizeof(shown->uuid), 0) != (ssize_t)sizeof(shown->uuid) ||
	    getrandom(&shown->secret, sizeof(shown->secret), 0) != (ssize_t)sizeof(shown->secret))
		return shelf_fail(shelf, -errno, "no random numbers: %s", strerror(errno));
	metadata = shelf_round_up(shelf_metadata_bytes(shown->nr_slots, heap), unit);
	heap_offset = shelf_heap_offset(shown->nr_slots, shown->max_heap, unit);
	err = rack_give(rack, entry, 0, 0, metadata / unit);
	if (!err)
		err = rack_give(rack, entry, heap_offset / unit, heap_offset / unit, heap / unit);
	if (!err)
		err = shelf_map(shelf, rack, entry);
	if (!err)
		err = write_empty_guarded(shelf, rack, entry, options->flags);
	if (err)
		rack_discard(rack, entry, 0, UINT64_MAX);
	return err;
}

/* One that was made, but whose name is not known for good. */
static void drop_new(struct hmem_shelf *shelf)
{
	SIGBUS_GUARDED_PART(shelf, writers_free(shelf));
	writers_drop(shelf);
}

static int do_shelf_create(struct hmem_region *region, const char *name,
			   const struct hmem_shelf_options *options, struct hmem_shelf **out)
{
	struct hmem_shelf_options checked = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf;
	struct hmem_ctx *ctx;
	struct rack *rack;
	int err, entry;

	if (!region)
		return -EINVAL;
	ctx = hmem_region_ctx(region);
	if (!out || !options)
		return hmem_fail(ctx, -EINVAL, "creating a shelf takes options, and a place for it");
	err = check_options(ctx, name, options, CREATE_FLAGS, &checked);
	if (err)
		return err;
	if (strchr(name, '/'))
		return hmem_fail(ctx, -EINVAL,
				 "%s is no name for a shelf: it has a '/', which parts the names of "
				 "regions from those of shelves (REGION/SHELF)",
				 name);
	if (hmem_region_flags(region) & HMEM_OPEN_READ_ONLY)
		return hmem_fail(ctx, -EROFS, "%s was opened read-only", hmem_region_name(region));
	err = shelf_new(region, name, &checked, &shelf, &rack);
	if (err)
		return err;
	if (rack_find(rack, name) >= 0) {
		err = hmem_fail(ctx, -EEXIST, "%s has a shelf %s already",
				hmem_region_name(region), name);
		goto close_rack;
	}
	entry = rack_add(rack, name);
	if (entry < 0) {
		err = entry;
		goto close_rack;
	}
	err = fill_entry(shelf, rack, (unsigned int)entry, &checked);
	if (!err)
		err = shelf_opening_lock(shelf);
	if (err)
		goto close_rack;
	/* First a shelf that works, then the name under which others find it. */
	err = finish_open(shelf);
	if (!err) {
		err = rack_write(rack);
		if (err) {
			drop_new(shelf);
			pthread_key_delete(shelf->writer_key);
		}
	}
	shelf_opening_unlock(shelf);
close_rack:
	rack_close(rack);
	free(rack);
	if (err) {
		shelf_free(shelf);
		return err;
	}
	*out = shelf;
	return 0;
}

int hmem_shelf_create(struct hmem_region *region, const char *name,
		      const struct hmem_shelf_options *options, struct hmem_shelf **out)
{
	return UNCANCELLED(do_shelf_create(region, name, options, out));
}

static int do_get_info(struct hmem_shelf *shelf, struct hmem_shelf_info *info)
{
	struct hmem_shelf_info ours = { .size = sizeof(ours) };
	static const enum hmem_durability durability[] = {
		[PERSIST_NONE] = HMEM_DURABLE_NONE,
		[PERSIST_CPU] = HMEM_DURABLE_FLUSH,
		[PERSIST_FENCE] = HMEM_DURABLE_FENCE,
		[PERSIST_MSYNC] = HMEM_DURABLE_MSYNC,
	};
	int err;

	if (!shelf)
		return -EINVAL;
	if (!info)
		return shelf_fail(shelf, -EINVAL, "no place for what the shelf is");
	err = hmem_sized_check(shelf->ctx, "struct hmem_shelf_info", info, INFO_SIZE_V1);
	if (err)
		return err;
	if (is_child(shelf))
		return shelf_fail(shelf, -ECHILD, "shelf %s: opened by the parent", shelf->name);
	shelf_follow_writers(shelf);
	ours.durability = durability[shelf->persist_kind];
	ours.ordered = shelf_is_ordered(shelf);
	ours.bytes = LOAD(&shelf->runtime->heap_chunks) << SHELF_CHUNK_SHIFT;
	ours.max_bytes = shelf->max_heap;
	ours.free_bytes = heap_free_granules(shelf) << SHELF_GRANULE_SHIFT;
	ours.objects = LOAD(&shelf->runtime->objects);
	for (unsigned int id = 0; id < shelf->nr_slots; id++)
		ours.objects += LOAD(&shelf_slot(shelf, id)->objects);
	ours.dirty_shutdowns = shelf->dirty_shutdowns;
	pthread_mutex_lock(&shelf->lock);
	ours.fences = shelf->fences;
	for (const struct writer *w = shelf->writers; w; w = w->next)
		ours.fences += __atomic_load_n(&w->persist.fences, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&shelf->lock);
	memcpy(ours.name, shelf->name, strlen(shelf->name));
	memcpy(ours.uuid, shelf->uuid, sizeof(ours.uuid));
	hmem_sized_write(info, &ours, sizeof(ours));
	return 0;
}

int hmem_shelf_get_info(struct hmem_shelf *shelf, struct hmem_shelf_info *info)
{
	return SIGBUS_GUARDED(shelf, do_get_info(shelf, info));
}
