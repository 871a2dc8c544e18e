/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random calls to one interface of a space, or to several, by threads that free each other's
 * blocks. From time to time all stand still: then every block holds what was written to it, and
 * counts are what they must be; what bump has is given back at once, and the limit is another one.
 *
 * HMEM_TEST_SEED repeats a run, HMEM_TEST_CALLS says how many calls a thread makes.
 */
#ifndef SELFTESTS_HOST_INTERFACE_MODEL_H
#define SELFTESTS_HOST_INTERFACE_MODEL_H

#include <hmem/hmem.h>

#include <pthread.h>

#include "../sanitized.h"
#include "blocks_model.h"
#include "own_strategy.h"

#define MIB	(1ull << 20)
#define THREADS 4
#define MINE	256	/* blocks that a thread has at once */
#define PASSED	64	/* that are on their way from one to another */
#define RIVALS	2	/* interfaces, at most */
#define LIVES	4	/* so often threads end, and others go on with what they had */
#define ROUNDS	4	/* so often they stand still in a life */

/* What an interface is to be: @largest: bytes of a block */
struct kind {
	const char *name;
	uint32_t strategy, flags;
	uint64_t object;
	size_t largest;
};

/*
 * An interface, and what it must have.
 *
 * @blocks: bump: that were had since the last reset
 * @bytes: of those, as hmem_usable_size() says
 */
struct rival {
	const struct kind *kind;
	struct hmem_interface *interface;
	bool is_checked;
	_Atomic int64_t blocks;
	_Atomic int64_t bytes;
	_Atomic uint64_t refused;
	_Atomic uint64_t resets;
};

struct thread {
	pthread_t thread;
	uint64_t random;
	struct block *mine[MINE];
};

/* @most: bytes that may have been in use since the limit was set */
static struct {
	struct hmem_ctx *ctx;
	struct hmem_space *space;
	struct rival rivals[RIVALS];
	unsigned int nr_rivals;
	struct thread threads[THREADS];
	unsigned int nr_threads;
	unsigned long calls;
	_Atomic(struct block *) passed[PASSED];
	pthread_barrier_t still;
	uint64_t random;
	uint64_t most;
	bool limits;
} model;

static bool is_bump(const struct rival *rival)
{
	return rival->kind->strategy == HMEM_STRATEGY_BUMP;
}

static bool is_mimalloc(const struct rival *rival)
{
	return rival->kind->strategy == HMEM_STRATEGY_GENERAL && !rival->is_checked;
}

/* By its seed. */
static struct rival *rival_of(const struct block *block)
{
	return &model.rivals[block->seed % RIVALS];
}

/* Checked mode may remember what it had there itself; mimalloc does not look. */
static bool refuses(const struct rival *rival, struct block *block)
{
	int err = is_mimalloc(rival) ? -EINVAL : hmem_free(rival->interface, block);

	return err == -EINVAL || (rival->is_checked && err == -EALREADY);
}

static uint64_t seed_for(uint64_t *random, const struct rival *rival)
{
	return next_random(random) / RIVALS * RIVALS + (uint64_t)(rival - model.rivals);
}

static void count(struct rival *rival, const void *block, int n)
{
	if (is_bump(rival) && n < 0 && !rival->is_checked)
		return;
	atomic_fetch_add(&rival->blocks, n);
	atomic_fetch_add(&rival->bytes,
			 n * (int64_t)hmem_usable_size(rival->interface, block));
}

static void check_and_free(struct block *block)
{
	struct rival *rival = rival_of(block);
	const char *name = rival->kind->name;

	must_hold(block_holds(block, block->bytes, block->seed), "%s: a block changed", name);
	for (unsigned int i = 0; i < model.nr_rivals; i++) {
		struct rival *other = &model.rivals[i];

		if (other != rival && block->seed / RIVALS % 8 == 0)
			must_hold(refuses(other, block), "%s frees what is of %s",
				  other->kind->name, name);
	}
	count(rival, block, -1);
	must_hold(!hmem_free(rival->interface, block), "%s: a block is not freed", name);
}

static bool is_full(void)
{
	return errno == ENOSPC || (model.limits && errno == EDQUOT);
}

static struct block *allocate(struct thread *t)
{
	struct rival *rival = &model.rivals[next_random(&t->random) % model.nr_rivals];
	size_t largest = rival->kind->largest, align = 16;
	size_t bytes = some_bytes(&t->random, sizeof(struct block), largest);
	struct hmem_interface *of = rival->interface;
	struct block *block;

	switch (next_random(&t->random) % 8) {
	case 0:
		block = hmem_calloc(of, 1, bytes);
		for (size_t i = 0; block && i < bytes; i++)
			must_hold(!((char *)block)[i], "%s: zeroes are none", rival->kind->name);
		break;
	case 1:
		align = largest > 4096 ? 16u << next_random(&t->random) % 9 : 16;
		block = hmem_aligned_alloc(of, align, bytes);
		break;
	default:
		block = hmem_malloc(of, bytes);
	}
	if (!block) {
		must_hold(is_full(), "%s: no block, and not for want of room: %s",
			  rival->kind->name, strerror(errno));
		atomic_fetch_add(&rival->refused, 1);
		return NULL;
	}
	must_hold((uintptr_t)block % align == 0, "%s: not aligned", rival->kind->name);
	block_fill(block, bytes, seed_for(&t->random, rival));
	count(rival, block, 1);
	return block;
}

static void resize(struct thread *t, struct block **at)
{
	struct rival *rival = rival_of(*at);
	uint64_t seed = (*at)->seed;
	size_t had = (*at)->bytes;
	size_t bytes = some_bytes(&t->random, sizeof(struct block), rival->kind->largest);
	struct block *block;

	if (is_bump(rival)) {
		must_hold(!hmem_realloc(rival->interface, *at, bytes) && errno == EOPNOTSUPP,
			  "%s: a block is resized", rival->kind->name);
		return;
	}
	count(rival, *at, -1);
	block = hmem_realloc(rival->interface, *at, bytes);
	if (!block) {
		must_hold(is_full(), "%s: not resized, and not for want of room: %s",
			  rival->kind->name, strerror(errno));
		must_hold(block_holds(*at, had, seed), "%s: what was not resized changed",
			  rival->kind->name);
		count(rival, *at, 1);
		return;
	}
	if (bytes >= had)
		must_hold(block_holds(block, had, seed), "%s: what was resized changed",
			  rival->kind->name);
	*at = block;
	block_fill(block, bytes, seed_for(&t->random, rival));
	count(rival, block, 1);
}

static void call(struct thread *t)
{
	struct block **at = &t->mine[next_random(&t->random) % MINE], *other;

	if (!*at) {
		*at = allocate(t);
	} else if (next_random(&t->random) % 4 == 0) {
		other = atomic_exchange(&model.passed[next_random(&t->random) % PASSED], *at);
		*at = NULL;
		if (other)
			check_and_free(other);
	} else if (next_random(&t->random) % 4 == 0) {
		resize(t, at);
	} else {
		check_and_free(*at);
		*at = NULL;
	}
}

/* --- while all stand still ----------------------------------------------------------- */

static struct hmem_space_info space_info(void)
{
	struct hmem_space_info info = { .size = sizeof(info) };

	if (hmem_space_get_info(model.space, &info))
		tap_bail("%s", hmem_last_error(model.ctx));
	return info;
}

static struct hmem_interface_stats stats_of(const struct rival *rival)
{
	struct hmem_interface_stats stats = { .size = sizeof(stats) };

	if (hmem_interface_get_stats(rival->interface, &stats))
		tap_bail("%s", hmem_last_error(model.ctx));
	return stats;
}

/* All blocks that there are: @fn returns whether it stays. */
static void each_block(bool (*fn)(struct block *block, void *arg), void *arg)
{
	for (int i = 0; i < THREADS * MINE; i++) {
		struct block **at = &model.threads[i / MINE].mine[i % MINE];

		if (*at && !fn(*at, arg))
			*at = NULL;
	}
	for (int i = 0; i < PASSED; i++) {
		struct block *block = atomic_load(&model.passed[i]);

		if (block && !fn(block, arg))
			atomic_store(&model.passed[i], NULL);
	}
}

static bool must_be_whole(struct block *block, void *arg)
{
	(void)arg;
	must_hold(block_holds(block, block->bytes, block->seed), "%s: a block changed, as all see",
		  rival_of(block)->kind->name);
	return true;
}

/* Its memory is gone already. */
static bool is_of_another(struct block *block, void *arg)
{
	return rival_of(block) != arg;
}

static void reset(struct rival *rival)
{
	struct hmem_interface_stats stats;

	each_block(is_of_another, rival);
	must_hold(!hmem_interface_reset(rival->interface), "%s: it is not reset",
		  rival->kind->name);
	stats = stats_of(rival);
	must_hold(!stats.blocks && !stats.bytes && !stats.held,
		  "%s: after a reset %llu blocks are left, and %llu bytes held", rival->kind->name,
		  (unsigned long long)stats.blocks, (unsigned long long)stats.held);
	atomic_store(&rival->blocks, 0);
	atomic_store(&rival->bytes, 0);
	atomic_fetch_add(&rival->resets, 1);
}

static void check_counts(void)
{
	struct hmem_space_info info = space_info();
	uint64_t held = 0;

	for (unsigned int i = 0; i < model.nr_rivals; i++) {
		const struct rival *rival = &model.rivals[i];
		struct hmem_interface_stats stats = stats_of(rival);
		int64_t blocks = atomic_load(&rival->blocks), bytes = atomic_load(&rival->bytes);

		must_hold((int64_t)stats.blocks == blocks, "%s: it counts %lld blocks of %lld",
			  rival->kind->name, (long long)stats.blocks, (long long)blocks);
		if (!is_mimalloc(rival) && (!is_bump(rival) || rival->is_checked))
			must_hold((int64_t)stats.bytes == bytes, "%s: it counts %lld bytes of %lld",
				  rival->kind->name, (long long)stats.bytes, (long long)bytes);
		must_hold(stats.held >= stats.bytes, "%s: blocks have more than is held",
			  rival->kind->name);
		held += stats.held;
	}
	must_hold(held <= info.used && info.used <= info.peak,
		  "of %llu bytes in use, at most %llu, interfaces hold %llu",
		  (unsigned long long)info.used, (unsigned long long)info.peak,
		  (unsigned long long)held);
	must_hold(info.used <= model.most, "%llu bytes in use are more than %llu",
		  (unsigned long long)info.used, (unsigned long long)model.most);
	must_hold(info.interfaces == model.nr_rivals, "there are %llu interfaces",
		  (unsigned long long)info.interfaces);
}

static void set_limit(uint64_t bytes)
{
	struct hmem_space_info info;

	if (hmem_space_set_limit(model.space, bytes))
		tap_bail("%s", hmem_last_error(model.ctx));
	info = space_info();
	model.most = info.limit > info.used ? info.limit : info.used;
}

static void stand_still(void)
{
	uint64_t bytes = space_info().bytes;

	each_block(must_be_whole, NULL);
	check_counts();
	for (unsigned int i = 0; i < model.nr_rivals; i++)
		if (is_bump(&model.rivals[i]) && next_random(&model.random) % 2)
			reset(&model.rivals[i]);
	if (model.limits)
		set_limit(bytes / 4 + next_random(&model.random) % (bytes / 2));
}

static void *live(void *arg)
{
	struct thread *t = arg;

	for (int round = 0; round < ROUNDS; round++) {
		for (unsigned long i = 0; i < model.calls / LIVES / ROUNDS; i++)
			call(t);
		if (pthread_barrier_wait(&model.still) == PTHREAD_BARRIER_SERIAL_THREAD)
			stand_still();
		pthread_barrier_wait(&model.still);
	}
	return NULL;
}

/* A single one is this one, whom an interface for one thread may have. */
static void live_together(void)
{
	if (model.nr_threads == 1) {
		live(&model.threads[0]);
		return;
	}
	for (unsigned int i = 0; i < model.nr_threads; i++)
		if (pthread_create(&model.threads[i].thread, NULL, live, &model.threads[i]))
			tap_bail("no thread");
	for (unsigned int i = 0; i < model.nr_threads; i++)
		pthread_join(model.threads[i].thread, NULL);
}

/* --- from first to last -------------------------------------------------------------- */

static bool free_it(struct block *block, void *arg)
{
	(void)arg;
	check_and_free(block);
	return false;
}

static void model_begin(struct hmem_ctx *ctx, const struct hmem_space_options *of, uint64_t seed,
			unsigned int threads)
{
	const char *many = getenv("HMEM_TEST_CALLS");

	memset(&model, 0, sizeof(model));
	atomic_store(&model_wrong, 0);
	model.ctx = ctx;
	model.calls = many ? strtoul(many, NULL, 0) : sanitized("calls", 100000, 2, 10);
	model.random = random_of(seed, THREADS);
	model.nr_threads = threads;
	for (unsigned int i = 0; i < threads; i++)
		model.threads[i].random = random_of(seed, i);
	if (pthread_barrier_init(&model.still, NULL, threads))
		tap_bail("no barrier");
	if (hmem_space_create(ctx, "model", of, &model.space))
		tap_bail("%s", hmem_last_error(ctx));
	model.most = space_info().limit;
}

static void model_add(const struct kind *kind)
{
	struct hmem_interface_options options = HMEM_INTERFACE_OPTIONS_INIT;
	struct rival *rival = &model.rivals[model.nr_rivals++];

	options.strategy = kind->strategy;
	options.object = kind->object;
	options.flags = kind->flags;
	options.ops = kind->strategy == HMEM_STRATEGY_CUSTOM ? &own_ops : NULL;
	if (hmem_interface_create(model.space, &options, &rival->interface))
		tap_bail("%s", hmem_last_error(model.ctx));
	rival->kind = kind;
	rival->is_checked = kind->flags & HMEM_INTERFACE_CHECKED;
}

/* All calls, and then all blocks are freed; bump's are given back. */
static void model_run(void)
{
	for (int life = 0; life < LIVES; life++) {
		live_together();
		stand_still();
	}
	each_block(free_it, NULL);
	check_counts();
	for (unsigned int i = 0; i < model.nr_rivals; i++)
		if (is_bump(&model.rivals[i]))
			reset(&model.rivals[i]);
}

static void model_end(void)
{
	pthread_barrier_destroy(&model.still);
	hmem_space_unref(model.space);
}

#endif
