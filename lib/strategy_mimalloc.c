// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * General, on a space that is kept: mimalloc's heaps, in arenas that are runs of the space's
 * granules. What mimalloc has once it does not give back, and a heap can be destroyed by its thread
 * alone, so arenas are the space's, all its interfaces use them, and they stay until the process
 * ends. Large blocks are binned ones, of the interface's own, as one version of mimalloc has none
 * beyond 30 MiB; so are those for which no arena has room.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ctx.h"
#include "fork_lock.h"
#include "interface.h"
#include "mimalloc.h"
#include "space.h"
#include "strategy_mimalloc.h"
#include "thread_part.h"

#define ARENAS_MAX 16
#define LARGE	   ((size_t)16 << 20)
#define ALIGN_MAX  ((size_t)64 << 10)

/* Blocks for which a thread asks no arena, after none had room. */
#define WAIT	   1024

struct arena {
	char *start;
	union mimalloc_arena id;
};

/*
 * What a kept space has, for ever.
 *
 * @threads: that have heaps in it
 * @holder: has the granules, as no interface that goes may give them back
 * @bytes: of an arena
 */
struct mimalloc_place {
	struct thread_parts threads;
	const struct mimalloc *mi;
	struct hmem_interface holder;
	size_t bytes;
	atomic_uint nr_arenas;
	struct arena arenas[ARENAS_MAX];
};

/*
 * What a thread has of a space. A heap is mimalloc's to end, when the thread does: one for each
 * interface would stay when that goes.
 *
 * @last: the one that had room last; NULL: none had
 * @wait: blocks for which none is asked
 */
struct mi_heaps {
	struct thread_part part;
	void *last;
	unsigned int wait;
	void *heaps[ARENAS_MAX];
};

/*
 * What a thread has of an interface.
 *
 * @heaps: the thread's; NULL: not asked for yet. They go with the thread, or after the interface
 * @blocks: of arenas, allocated less freed, by this thread
 */
struct mi_part {
	struct thread_part part;
	struct mi_heaps *heaps;
	_Atomic int64_t blocks;
};

/*
 * @mi, @g, @number: the place's, as each block goes by them
 * @rest: what strategy_binned has of it, for the blocks that are not of arenas
 */
struct mi_interface {
	struct thread_parts threads;
	const struct mimalloc *mi;
	const struct granules *g;
	uint32_t number;
	struct mimalloc_place *place;
	void *rest;
	_Atomic int64_t blocks;
};

/* Of what has no arena yet, and of more of them. */
static struct fork_lock lock = FORK_LOCK_INIT(NULL);

static struct thread_part *make_heaps(struct thread_parts *threads)
{
	(void)threads;
	_Static_assert(!offsetof(struct mi_heaps, part), "what is made is a part");
	return thread_part_new(sizeof(struct mi_heaps));
}

static void forget(struct thread_part *part)
{
	free(part);
}

/* --- arenas -------------------------------------------------------------------------- */

/*
 * Version 2.0 takes for zeroes whatever of an arena it has not had yet, though it is told that it
 * may be anything; others may have had these granules before. What the kernel gives anew is not
 * touched.
 */
static void clear(const struct hmem_space *space, char *start, size_t bytes)
{
	if (space->flags & HMEM_SPACE_POPULATE || madvise(start, bytes, MADV_DONTNEED))
		memset(start, 0, bytes);
}

/* Under the lock. false: errno is ENOSPC, or what interface_take() has. */
static bool add_arena(struct mimalloc_place *place)
{
	unsigned int n = atomic_load(&place->nr_arenas);
	struct arena *arena = &place->arenas[n];

	if (n == ARENAS_MAX) {
		errno = ENOSPC;
		return false;
	}
	arena->start = interface_take(&place->holder, place->bytes, MIMALLOC_ARENA_ALIGN);
	if (!arena->start)
		return false;
	clear(place->holder.space, arena->start, place->bytes);
	if (!mimalloc_arena(place->mi, arena->start, place->bytes, &arena->id)) {
		interface_give(&place->holder, arena->start);
		errno = ENOSPC;
		return false;
	}
	atomic_store(&place->nr_arenas, n + 1);
	return true;
}

/* Of the space, under the lock; NULL: mimalloc is not there, or has no arena for it. */
static struct mimalloc_place *make_place(struct hmem_space *space, const struct mimalloc *mi)
{
	struct mimalloc_place *place = calloc(1, sizeof(*place));
	size_t bytes = (space->g.count << space->g.shift) / ARENAS_MAX;

	if (!place)
		return NULL;
	place->mi = mi;
	place->bytes = (bytes + MIMALLOC_ARENA_ALIGN - 1) & ~(size_t)(MIMALLOC_ARENA_ALIGN - 1);
	if (place->bytes < MIMALLOC_ARENA_MIN)
		place->bytes = MIMALLOC_ARENA_MIN;
	place->holder.space = space;
	place->holder.number = space_number_take(space);
	if (place->holder.number && add_arena(place)) {
		place->threads.make = make_heaps;
		place->threads.leave = forget;
		place->threads.forget = forget;
		place->threads.abandon = forget;
		thread_parts_init(&place->threads);
		return place;
	}
	if (place->holder.number)
		space_number_give(space, place->holder.number);
	free(place);
	return NULL;
}

/* Mimalloc has the arenas that it names. */
void strategy_mimalloc_leave(struct hmem_space *space)
{
	if (space->place)
		thread_parts_fini(&space->place->threads);
	free(space->place);
}

bool strategy_mimalloc_fits(struct hmem_space *space)
{
	const struct mimalloc *mi;
	const char *why;

	if (!(space->flags & HMEM_SPACE_KEPT))
		return false;
	/* A thread's end is heard of here before mimalloc does. */
	if (!thread_parts_ready() || fork_lock_arm(&lock))
		return false;
	mi = mimalloc_get(&why);
	if (!mi) {
		hmem_log(space->ctx, HMEM_LOG_INFO, "%s: %s; general is binned", space->name, why);
		return false;
	}
	fork_lock_take(&lock);
	if (!space->place)
		space->place = make_place(space, mi);
	fork_lock_give(&lock);
	if (!space->place)
		hmem_log(space->ctx, HMEM_LOG_INFO,
			 "%s: no arena of 64 MiB for mimalloc; general is binned", space->name);
	return space->place;
}

/* --- threads ------------------------------------------------------------------------- */

static struct thread_part *make(struct thread_parts *threads)
{
	(void)threads;
	_Static_assert(!offsetof(struct mi_part, part), "what is made is a part");
	return thread_part_new(sizeof(struct mi_part));
}

static void leave(struct thread_part *part)
{
	struct mi_part *mine = (struct mi_part *)(void *)part;
	struct mi_interface *whole = (struct mi_interface *)(void *)part->whole;

	atomic_fetch_add(&whole->blocks, atomic_load(&mine->blocks));
	free(part);
}

/* Only the thread whose part it is writes. */
static void count(struct mi_part *part, int64_t blocks)
{
	atomic_store_explicit(&part->blocks,
			      atomic_load_explicit(&part->blocks, memory_order_relaxed) + blocks,
			      memory_order_relaxed);
}

static struct mi_part *mine(struct mi_interface *whole)
{
	return (struct mi_part *)(void *)thread_part(&whole->threads);
}

/* The caller's, or NULL with errno. A part cannot be made while another one is. */
static struct mi_heaps *heaps_of(struct mi_part *part, struct mimalloc_place *place)
{
	if (__builtin_expect(!part->heaps, 0))
		part->heaps = (struct mi_heaps *)(void *)thread_part(&place->threads);
	return part->heaps;
}

/* --- blocks -------------------------------------------------------------------------- */

static void *alloc_from(const struct mimalloc *mi, void *heap, size_t bytes, size_t align)
{
	if (align <= GRANULE_BLOCK_MIN)
		return mi->heap_malloc(heap, bytes);
	/* mi_heap_malloc_aligned() of 2.0.9 gives 1024 bytes by 1024 at a multiple of 128. */
	return mi->heap_malloc_aligned_at(heap, bytes, align, 0);
}

static void *alloc_in(struct mi_heaps *own, const struct mimalloc_place *place, unsigned int i,
		      size_t bytes, size_t align)
{
	if (!own->heaps[i])
		own->heaps[i] = mimalloc_heap(place->mi, place->arenas[i].id);
	return own->heaps[i] ? alloc_from(place->mi, own->heaps[i], bytes, align) : NULL;
}

/*
 * One more, if it may help. Version 2 takes 32 MiB at once for a thread: those that come when half
 * of the space is arenas' have what is there, or binned blocks, and leave the rest to who needs it.
 */
static bool may_add_arena(const struct mi_heaps *own, const struct mimalloc_place *place)
{
	const struct granules *g = &place->holder.space->g;

	return own->last || 2 * atomic_load(&place->nr_arenas) * place->bytes < g->count << g->shift;
}

static void *try_arena(struct mi_heaps *own, const struct mimalloc_place *place, unsigned int i,
		       size_t bytes, size_t align)
{
	void *block = alloc_in(own, place, i, bytes, align);

	if (block)
		own->last = own->heaps[i];
	return block;
}

/* The last arena has most that is free, but what others have is not to be left. */
static void *alloc_anywhere(struct mi_heaps *own, struct mimalloc_place *place, size_t bytes,
			    size_t align)
{
	unsigned int n = atomic_load(&place->nr_arenas);
	void *block;
	bool there;

	for (unsigned int i = n; i--;) {
		block = try_arena(own, place, i, bytes, align);
		if (block)
			return block;
	}
	if (!may_add_arena(own, place))
		return NULL;
	fork_lock_take(&lock);
	there = atomic_load(&place->nr_arenas) > n || add_arena(place);
	fork_lock_give(&lock);
	return there ? try_arena(own, place, n, bytes, align) : NULL;
}

/* @tried: the last one has no room. */
static void *alloc_in_arena(struct mi_interface *whole, struct mi_heaps *own, size_t bytes,
			    size_t align, bool tried)
{
	void *block = NULL;

	if (own->last && !tried)
		block = alloc_from(whole->mi, own->last, bytes, align);
	if (block)
		return block;
	if (own->wait) {
		own->wait--;
		return NULL;
	}
	block = alloc_anywhere(own, whole->place, bytes, align);
	if (!block)
		own->wait = WAIT;
	return block;
}

static bool is_for_arenas(const struct mimalloc *mi, size_t bytes, size_t align)
{
	return bytes <= LARGE && align <= (mi->aligns ? ALIGN_MAX : GRANULE_BLOCK_MIN);
}

/* What is large, aligned to more, a thread's first one, or has no room where the last one was. */
static __attribute__((noinline)) void *alloc_else(struct mi_interface *whole, size_t bytes,
						  size_t align, bool tried)
{
	struct mi_part *part = mine(whole);
	struct mi_heaps *own = part ? heaps_of(part, whole->place) : NULL;
	void *block;

	if (!own)
		return NULL;
	if (!is_for_arenas(whole->mi, bytes, align))
		return strategy_binned.alloc(whole->rest, bytes, align);
	block = alloc_in_arena(whole, own, bytes, align, tried);
	if (!block) {
		int full;

		block = strategy_binned.alloc(whole->rest, bytes, align);
		if (block)
			return block;
		/* Others may have freed what arenas did not have. Mimalloc calls it ENOMEM if not. */
		full = errno;
		block = alloc_anywhere(own, whole->place, bytes, align);
		if (!block)
			errno = full;
	}
	if (block)
		count(part, 1);
	return block;
}

/* Of 16 bytes at least, as mimalloc aligns what is smaller to less. */
static void *alloc(void *state, size_t bytes, size_t align)
{
	struct mi_interface *whole = state;
	struct mi_part *part = (struct mi_part *)(void *)thread_part_here(&whole->threads);
	bool tried = false;

	if (bytes < GRANULE_BLOCK_MIN)
		bytes = GRANULE_BLOCK_MIN;
	if (__builtin_expect(part && part->heaps && part->heaps->last &&
				     align <= GRANULE_BLOCK_MIN && bytes <= LARGE, 1)) {
		void *block = whole->mi->heap_malloc(part->heaps->last, bytes);

		if (__builtin_expect(block != NULL, 1)) {
			count(part, 1);
			return block;
		}
		tried = true;
	}
	return alloc_else(whole, bytes, align, tried);
}

static bool in_arena(const struct mi_interface *whole, const void *block)
{
	uint64_t word;

	granule_of(whole->g, block, &word);
	return granule_state(word) == GRANULE_HEAD && granule_interface(word) == whole->number;
}

static size_t usable(const void *state, const void *block)
{
	const struct mi_interface *whole = state;

	return in_arena(whole, block) ? whole->mi->usable_size(block) :
					strategy_binned.usable(whole->rest, block);
}

static int give_back(void *state, void *block)
{
	struct mi_interface *whole = state;
	struct mi_part *part;

	if (!in_arena(whole, block))
		return strategy_binned.free(whole->rest, block);
	part = mine(whole);
	whole->mi->free(block);
	/* Giving back does not fail for want of memory to count it: it is as of one who has ended. */
	if (part)
		count(part, -1);
	else
		atomic_fetch_sub(&whole->blocks, 1);
	return 0;
}

/* --- interfaces ---------------------------------------------------------------------- */

static int create(struct hmem_interface *interface, void *arg, void **state)
{
	struct mi_interface *whole = calloc(1, sizeof(*whole));
	int err;

	(void)arg;
	if (!whole)
		return hmem_fail(interface->space->ctx, -ENOMEM, "no memory for an interface on %s",
				 interface->space->name);
	err = strategy_binned.create(interface, NULL, &whole->rest);
	if (err) {
		free(whole);
		return err;
	}
	whole->place = interface->space->place;
	whole->mi = whole->place->mi;
	whole->g = &interface->space->g;
	whole->number = whole->place->holder.number;
	whole->threads.make = make;
	whole->threads.leave = leave;
	whole->threads.forget = forget;
	whole->threads.abandon = forget;
	thread_parts_init(&whole->threads);
	*state = whole;
	return 0;
}

static void destroy(void *state)
{
	struct mi_interface *whole = state;

	thread_parts_fini(&whole->threads);
	strategy_binned.destroy(whole->rest);
	free(whole);
}

static void add_up(void *blocks, struct thread_part *part)
{
	*(int64_t *)blocks += atomic_load_explicit(&((struct mi_part *)(void *)part)->blocks,
						   memory_order_relaxed);
}

static void stats(const void *state, struct hmem_interface_stats *stats)
{
	const struct mi_interface *whole = state;
	int64_t blocks = atomic_load(&whole->blocks);

	thread_parts_each(&whole->threads, add_up, &blocks);
	strategy_binned.stats(whole->rest, stats);
	/* One that another thread frees may be counted as freed first. */
	stats->blocks += blocks > 0 ? (uint64_t)blocks : 0;
	stats->bytes = 0;
}

const struct hmem_strategy_ops strategy_mimalloc = {
	.size = sizeof(struct hmem_strategy_ops),
	.name = "mimalloc",
	.create = create,
	.destroy = destroy,
	.alloc = alloc,
	.free = give_back,
	.usable = usable,
	.stats = stats,
};
