// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random calls on each strategy, by one thread and by four that free each other's blocks: every
 * block holds what was written to it until it is freed, and at the end nothing is left.
 *
 * HMEM_TEST_SEED repeats a run, HMEM_TEST_CALLS says how many calls a thread makes.
 */
#include <hmem/hmem.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "../sanitized.h"
#include "../tap.h"

#define MIB	(1ull << 20)
#define THREADS 4
#define MINE	256	/* blocks that a thread has at once */
#define PASSED	64	/* that are on their way from one to another */

/* In front of each block: how it goes on, so that it can be seen whether it still does. */
struct block {
	uint64_t bytes;
	uint64_t seed;
	unsigned char rest[];
};

static struct hmem_ctx *ctx;
static struct hmem_interface *interface;
static _Atomic(struct block *) passed[PASSED];
static atomic_uint wrong;
static size_t largest;
static bool grows;
static unsigned long calls;

struct thread {
	pthread_t thread;
	uint64_t random;
	struct block *mine[MINE];
	unsigned long refused;
};

/* xorshift64* */
static uint64_t next(struct thread *t)
{
	t->random ^= t->random >> 12;
	t->random ^= t->random << 25;
	t->random ^= t->random >> 27;
	return t->random * 0x2545f4914f6cdd1dull;
}

static unsigned char byte_at(uint64_t seed, size_t i)
{
	return (unsigned char)((seed + i) * 0x9e3779b97f4a7c15ull >> 56);
}

/* Of long ones the ends, and a byte of each 256. */
static size_t step(size_t i, size_t rest)
{
	return i < 64 || rest - i <= 64 ? 1 : rest - i - 64 < 256 ? rest - i - 64 : 256;
}

static void fill(struct block *block, size_t bytes, uint64_t seed)
{
	size_t rest = bytes - sizeof(*block);

	block->bytes = bytes;
	block->seed = seed;
	for (size_t i = 0; i < rest; i += step(i, rest))
		block->rest[i] = byte_at(seed, i);
}

static bool holds(const struct block *block, size_t bytes, uint64_t seed)
{
	size_t rest = bytes - sizeof(*block);

	if (block->bytes != bytes || block->seed != seed)
		return false;
	for (size_t i = 0; i < rest; i += step(i, rest))
		if (block->rest[i] != byte_at(seed, i))
			return false;
	return true;
}

static void must_hold(bool good, const char *what)
{
	if (!good && atomic_fetch_add(&wrong, 1) < 5)
		tap_diag("%s", what);
}

static void check_and_free(struct block *block)
{
	must_hold(holds(block, block->bytes, block->seed), "a block changed");
	must_hold(!hmem_free(interface, block), "a block is not freed");
}

/* Small ones are many. */
static size_t some_bytes(struct thread *t)
{
	size_t most = sizeof(struct block) + 16;

	while (most < largest && next(t) % 4)
		most *= 2;
	if (most > largest)
		most = largest;
	return sizeof(struct block) + next(t) % (most - sizeof(struct block) + 1);
}

static struct block *allocate(struct thread *t)
{
	size_t bytes = some_bytes(t), align = 16;
	struct block *block;

	switch (next(t) % 8) {
	case 0:
		block = hmem_calloc(interface, 1, bytes);
		for (size_t i = 0; block && i < bytes; i++)
			must_hold(!((char *)block)[i], "zeroes are none");
		break;
	case 1:
		align = largest > 4096 ? 16u << next(t) % 9 : 16;
		block = hmem_aligned_alloc(interface, align, bytes);
		break;
	default:
		block = hmem_malloc(interface, bytes);
	}
	if (!block) {
		must_hold(errno == ENOSPC, "no block, and not for want of room");
		t->refused++;
		return NULL;
	}
	must_hold((uintptr_t)block % align == 0, "not aligned");
	fill(block, bytes, next(t));
	return block;
}

static void resize(struct thread *t, struct block **at)
{
	size_t had = (*at)->bytes, bytes = some_bytes(t);
	uint64_t seed = (*at)->seed;
	struct block *block = hmem_realloc(interface, *at, bytes);

	if (!block) {
		must_hold(errno == ENOSPC, "not resized, and not for want of room");
		must_hold(holds(*at, had, seed), "what was not resized changed");
		return;
	}
	if (bytes >= had)
		must_hold(holds(block, had, seed), "what was resized changed");
	*at = block;
	fill(block, bytes, next(t));
}

static void *works(void *arg)
{
	struct thread *t = arg;

	for (unsigned long i = 0; i < calls; i++) {
		struct block **at = &t->mine[next(t) % MINE], *other;

		if (!*at) {
			*at = allocate(t);
		} else if (next(t) % 4 == 0) {
			other = atomic_exchange(&passed[next(t) % PASSED], *at);
			*at = NULL;
			if (other)
				check_and_free(other);
		} else if (grows && next(t) % 4 == 0) {
			resize(t, at);
		} else {
			check_and_free(*at);
			*at = NULL;
		}
	}
	for (int i = 0; i < MINE; i++)
		if (t->mine[i])
			check_and_free(t->mine[i]);
	return NULL;
}

static uint64_t used(struct hmem_space *space)
{
	struct hmem_space_info info = { .size = sizeof(info) };

	if (hmem_space_get_info(space, &info))
		tap_bail("%s", hmem_last_error(ctx));
	return info.used;
}

struct kind {
	const char *name;
	uint32_t strategy, flags;
	uint64_t object, bytes;
	size_t largest;
	unsigned int threads;
};

static void run(const struct kind *kind, uint64_t seed)
{
	struct hmem_interface_options options = HMEM_INTERFACE_OPTIONS_INIT;
	struct hmem_space_options of = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_interface_stats stats = { .size = sizeof(stats) };
	static struct thread threads[THREADS];
	struct hmem_space *space;
	unsigned long refused = 0;
	bool kept;

	of.bytes = kind->bytes;
	/* Mimalloc, where it is there. */
	kept = kind->strategy == HMEM_STRATEGY_GENERAL;
	of.flags = kept ? HMEM_SPACE_KEPT : 0;
	options.strategy = kind->strategy;
	options.object = kind->object;
	options.flags = kind->flags;
	if (hmem_space_create(ctx, "model", &of, &space) ||
	    hmem_interface_create(space, &options, &interface))
		tap_bail("%s", hmem_last_error(ctx));
	largest = kind->largest;
	grows = kind->strategy != HMEM_STRATEGY_BUMP;
	atomic_store(&wrong, 0);
	memset(threads, 0, sizeof(threads));
	for (unsigned int i = 0; i < kind->threads; i++) {
		threads[i].random = (seed + i) * 0x9e3779b97f4a7c15ull | 1;
		if (kind->threads == 1)
			works(&threads[i]);
		else if (pthread_create(&threads[i].thread, NULL, works, &threads[i]))
			tap_bail("no thread");
	}
	for (unsigned int i = 0; i < kind->threads; i++) {
		if (kind->threads > 1)
			pthread_join(threads[i].thread, NULL);
		refused += threads[i].refused;
	}
	for (int i = 0; i < PASSED; i++) {
		struct block *left = atomic_exchange(&passed[i], NULL);

		if (left)
			check_and_free(left);
	}
	TAP_EQ(atomic_load(&wrong), 0, "%s: blocks hold what was written to them", kind->name);
	if (hmem_interface_get_stats(interface, &stats))
		tap_bail("%s", hmem_last_error(ctx));
	TAP_OK(kind->strategy == HMEM_STRATEGY_BUMP ? stats.blocks > 0 : !stats.blocks,
	       "%s: what was freed is free", kind->name);
	tap_diag("%lu of %lu allocations found no room, %llu MiB held at the end", refused,
		 calls * kind->threads / 2, (unsigned long long)stats.held >> 20);
	hmem_interface_unref(interface);
	/* Its arenas stay. */
	TAP_EQ(used(space) % (kept ? 64 * MIB : UINT64_MAX), 0,
	       "%s: and the space is empty afterwards", kind->name);
	hmem_space_unref(space);
}

int main(void)
{
	static const struct kind kinds[] = {
		{ "binned, a thread", HMEM_STRATEGY_BINNED, 0, 0, 512 * MIB, 4 * MIB, 1 },
		{ "binned, four threads", HMEM_STRATEGY_BINNED, 0, 0, 512 * MIB, 4 * MIB, 4 },
		{ "binned, one at a time", HMEM_STRATEGY_BINNED, HMEM_INTERFACE_ONE_THREAD, 0, 512 * MIB,
		  4 * MIB, 1 },
		{ "binned, too little room", HMEM_STRATEGY_BINNED, 0, 0, 2 * MIB, 65536, 4 },
		{ "mimalloc, four threads", HMEM_STRATEGY_GENERAL, 0, 0, 512 * MIB, 4 * MIB, 4 },
		{ "mimalloc, too little room", HMEM_STRATEGY_GENERAL, 0, 0, 64 * MIB, 4 * MIB, 4 },
		{ "binned, checked", HMEM_STRATEGY_BINNED, HMEM_INTERFACE_CHECKED, 0, 512 * MIB,
		  4 * MIB, 4 },
		{ "slab, checked", HMEM_STRATEGY_SLAB, HMEM_INTERFACE_CHECKED, 96, 16 * MIB, 96, 4 },
		{ "slab, four threads", HMEM_STRATEGY_SLAB, 0, 96, 16 * MIB, 96, 4 },
		{ "slab, too little room", HMEM_STRATEGY_SLAB, 0, 4096, 2 * MIB, 4096, 4 },
		{ "bump, four threads", HMEM_STRATEGY_BUMP, 0, 0, 64 * MIB, 20000, 4 },
		{ "bump, one at a time", HMEM_STRATEGY_BUMP, HMEM_INTERFACE_ONE_THREAD, 0, 64 * MIB, 20000,
		  1 },
	};
	const char *said = getenv("HMEM_TEST_SEED"), *many = getenv("HMEM_TEST_CALLS");
	uint64_t seed = said ? strtoull(said, NULL, 0) : (uint64_t)time(NULL);

	calls = many ? strtoul(many, NULL, 0) : 100000;
	tap_diag("HMEM_TEST_SEED=%llu", (unsigned long long)seed);
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		/* It takes for races what a library orders that it did not compile. */
		if (SANITIZER == 2 && kinds[i].strategy == HMEM_STRATEGY_GENERAL)
			tap_skip(kinds[i].name, "the sanitizer of races does not see into mimalloc");
		else
			run(&kinds[i], seed);
	}
	hmem_ctx_unref(ctx);
	return tap_done();
}
