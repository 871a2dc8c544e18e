// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Bump: blocks one behind the other, each thread in a chunk of its own; all are given back at once.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ctx.h"
#include "interface.h"
#include "space.h"
#include "thread_part.h"

/* Of the space, at least a granule: what may be left over in each thread's chunk. */
#define CHUNK_PART 256
#define CHUNK_MAX  (2u << 20)

/* Of the space: what may stay idle between two rounds. */
#define IDLE_PART 8
#define RUNS	  128

/* Runs, in the order in which they were taken; @at: the next one to look at */
struct bump_runs {
	unsigned int nr;
	unsigned int at;
	uint32_t heads[RUNS];
	uint32_t lengths[RUNS];
};

/*
 * What a thread has.
 *
 * @from, @end: what is left of its chunk
 * @round: of resets, when it took that
 * @taken: in this round, the first of them; @before: in the last, and perhaps idle now
 */
struct bump_part {
	struct thread_part part;
	char *from;
	char *end;
	uint64_t round;
	_Atomic uint64_t blocks;
	_Atomic uint64_t bytes;
	struct bump_runs taken;
	struct bump_runs before;
};

/*
 * @only: of all threads, where only one uses it at a time
 * @round: how often all was given back
 * @first, @behind: between these are all granules that it has
 * @blocks, @bytes: of threads that have ended
 */
struct bump {
	struct thread_parts threads;
	struct hmem_interface *interface;
	struct bump_part *only;
	size_t chunk;
	uint64_t round;
	_Atomic uint64_t first;
	_Atomic uint64_t behind;
	uint64_t blocks;
	uint64_t bytes;
};

static struct thread_part *make(struct thread_parts *threads)
{
	(void)threads;
	_Static_assert(!offsetof(struct bump_part, part), "what is made is a part");
	return thread_part_new(sizeof(struct bump_part));
}

static void forget(struct thread_part *part)
{
	free(part);
}

static void leave(struct thread_part *part)
{
	struct bump_part *mine = (struct bump_part *)(void *)part;
	struct bump *bump = (struct bump *)(void *)part->whole;

	if (mine->round == bump->round) {
		bump->blocks += atomic_load_explicit(&mine->blocks, memory_order_relaxed);
		bump->bytes += atomic_load_explicit(&mine->bytes, memory_order_relaxed);
	}
	free(part);
}

static int create(struct hmem_interface *interface, void *arg, void **state)
{
	struct bump *bump = calloc(1, sizeof(*bump));
	size_t granule = (size_t)1 << interface->space->g.shift;

	(void)arg;
	if (!bump)
		return hmem_fail(interface->space->ctx, -ENOMEM, "no memory for an interface on %s",
				 interface->space->name);
	bump->interface = interface;
	bump->first = interface->space->g.count;
	bump->chunk = interface->space->bytes / CHUNK_PART;
	if (bump->chunk < granule)
		bump->chunk = granule;
	if (bump->chunk > CHUNK_MAX)
		bump->chunk = CHUNK_MAX;
	bump->chunk &= ~(granule - 1);
	bump->threads.make = make;
	bump->threads.leave = leave;
	bump->threads.forget = forget;
	bump->threads.abandon = forget;
	thread_parts_init(&bump->threads);
	if (interface->options.flags & HMEM_INTERFACE_ONE_THREAD) {
		bump->only = (struct bump_part *)(void *)make(NULL);
		if (!bump->only) {
			free(bump);
			return hmem_fail(interface->space->ctx, -ENOMEM,
					 "no memory for an interface on %s", interface->space->name);
		}
	}
	*state = bump;
	return 0;
}

static void destroy(void *state)
{
	struct bump *bump = state;

	thread_parts_fini(&bump->threads);
	free(bump->only);
	free(bump);
}

static void count(struct bump_part *part, size_t bytes)
{
	atomic_store_explicit(&part->blocks,
			      atomic_load_explicit(&part->blocks, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	atomic_store_explicit(&part->bytes,
			      atomic_load_explicit(&part->bytes, memory_order_relaxed) + bytes,
			      memory_order_relaxed);
}

static void *take(struct bump_part *part, size_t bytes, size_t align)
{
	uintptr_t at = ((uintptr_t)part->from + align - 1) & ~(uintptr_t)(align - 1);
	char *block = part->from + (at - (uintptr_t)part->from);

	part->from = block + bytes;
	count(part, bytes);
	return block;
}

/* Another thread may widen it at the same time. */
static void widen(struct bump *bump, uint64_t head, uint64_t n)
{
	uint64_t first = atomic_load(&bump->first), behind = atomic_load(&bump->behind);

	while (head < first && !atomic_compare_exchange_weak(&bump->first, &first, head))
		;
	while (head + n > behind && !atomic_compare_exchange_weak(&bump->behind, &behind, head + n))
		;
}

/* One of those of the last round, which are looked at once each; NULL: none of them will do. */
static char *take_again(const struct bump *bump, struct bump_part *part, uint32_t n, size_t align)
{
	struct granules *g = &bump->interface->space->g;
	struct bump_runs *before = &part->before;

	while (before->at < before->nr) {
		unsigned int i = before->at++;
		char *run = granule_address(g, before->heads[i]);

		if (before->lengths[i] == n && !((uintptr_t)run & (align - 1)) &&
		    granules_rouse(g, before->heads[i], bump->interface->number, n))
			return run;
	}
	return NULL;
}

static char *take_run(struct bump *bump, struct bump_part *part, size_t bytes, size_t align)
{
	struct granules *g = &bump->interface->space->g;
	struct bump_runs *taken = &part->taken;
	uint64_t n = (bytes + ((size_t)1 << g->shift) - 1) >> g->shift, head;
	char *run = n <= g->count ? take_again(bump, part, (uint32_t)n, align) : NULL;

	if (!run)
		run = interface_take(bump->interface, bytes, align);
	if (!run)
		return NULL;
	head = (uint64_t)(run - g->base) >> g->shift;
	widen(bump, head, n);
	if (taken->nr < RUNS) {
		taken->heads[taken->nr] = (uint32_t)head;
		taken->lengths[taken->nr++] = (uint32_t)n;
	}
	return run;
}

/* The chunk in hand has no room for it. What is left of that is lost where it is small. */
static __attribute__((noinline)) void *take_new(struct bump *bump, struct bump_part *part,
						size_t bytes, size_t align)
{
	char *chunk;

	if (bytes > bump->chunk / 8) {
		chunk = take_run(bump, part, bytes, align);
		if (chunk)
			count(part, bytes);
		return chunk;
	}
	chunk = take_run(bump, part, bump->chunk, align);
	if (!chunk)
		return NULL;
	part->from = chunk;
	part->end = chunk + bump->chunk;
	return take(part, bytes, align);
}

static __attribute__((noinline)) void begin_round(const struct bump *bump, struct bump_part *part)
{
	part->round = bump->round;
	part->from = part->end = NULL;
	part->blocks = part->bytes = 0;
	part->before = part->taken;
	part->before.at = 0;
	part->taken.nr = 0;
}

static void *alloc(void *state, size_t bytes, size_t align)
{
	struct bump *bump = state;
	struct bump_part *part = bump->only;

	if (!part)
		part = (struct bump_part *)(void *)thread_part(&bump->threads);
	if (__builtin_expect(!part, 0))
		return NULL;
	if (__builtin_expect(part->round != bump->round, 0))
		begin_round(bump, part);
	if (bytes > SIZE_MAX - 15) {
		errno = ENOSPC;
		return NULL;
	}
	bytes = (bytes + 15) & ~(size_t)15;
	/* From a multiple of 16, so no more than align - 16 bytes are passed over. */
	if (__builtin_expect((size_t)(part->end - part->from) < align - 16 ||
			     (size_t)(part->end - part->from) - (align - 16) < bytes, 0))
		return take_new(bump, part, bytes, align);
	return take(part, bytes, align);
}

static int give_back(void *state, void *block)
{
	const struct bump *bump = state;
	uint64_t word;

	granule_of(&bump->interface->space->g, block, &word);
	return granule_state(word) == GRANULE_HEAD &&
			       granule_interface(word) == bump->interface->number ?
		       0 :
		       -EINVAL;
}

static size_t usable(const void *state, const void *block)
{
	(void)state;
	(void)block;
	return 0;
}

static void add_part(void *arg, struct thread_part *part)
{
	const struct bump_part *of = (struct bump_part *)(void *)part;
	const struct bump *bump = (struct bump *)(void *)part->whole;
	struct hmem_interface_stats *stats = arg;

	if (of->round == bump->round) {
		stats->blocks += atomic_load_explicit(&of->blocks, memory_order_relaxed);
		stats->bytes += atomic_load_explicit(&of->bytes, memory_order_relaxed);
	}
}

static void stats(const void *state, struct hmem_interface_stats *stats)
{
	const struct bump *bump = state;

	stats->blocks = bump->blocks;
	stats->bytes = bump->bytes;
	if (bump->only && bump->only->round == bump->round) {
		stats->blocks += bump->only->blocks;
		stats->bytes += bump->only->bytes;
	}
	thread_parts_each(&bump->threads, add_part, stats);
}

void strategy_bump_reset(void *state)
{
	struct bump *bump = state;
	uint64_t first = bump->first;

	bump->round++;
	bump->blocks = bump->bytes = 0;
	if (first < bump->behind)
		interface_rest(bump->interface, first, bump->behind,
			       bump->interface->space->g.count / IDLE_PART);
}

const struct hmem_strategy_ops strategy_bump = {
	.size = sizeof(struct hmem_strategy_ops),
	.name = "bump",
	.create = create,
	.destroy = destroy,
	.alloc = alloc,
	.free = give_back,
	.usable = usable,
	.stats = stats,
};
