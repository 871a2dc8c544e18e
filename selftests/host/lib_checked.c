// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checked mode: what programs do wrong with blocks and handles is found, of every strategy, and
 * what they do right is as it was.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../sanitized.h"
#include "interface_user.h"

#define CHECKED HMEM_INTERFACE_CHECKED

static struct hmem_space *space;

static const struct {
	const char *name;
	uint32_t strategy;
	uint64_t object;
} strategies[] = {
	{ "general", HMEM_STRATEGY_GENERAL, 0 },
	{ "binned", HMEM_STRATEGY_BINNED, 0 },
	{ "slab", HMEM_STRATEGY_SLAB, 200 },
	{ "bump", HMEM_STRATEGY_BUMP, 0 },
};

static bool said(const char *what)
{
	return strstr(hmem_last_error(ctx), what);
}

static void test_wrong(unsigned int i)
{
	const char *name = strategies[i].name;
	struct hmem_interface *one =
		must_interface(space, strategies[i].strategy, strategies[i].object, CHECKED);
	struct hmem_interface *two =
		must_interface(space, strategies[i].strategy, strategies[i].object, CHECKED);
	char *block = hmem_malloc(one, 100), *other = hmem_malloc(two, 100);
	int local;

	TAP_OK(block && other && block != other, "%s: two blocks", name);
	TAP_EQ(hmem_usable_size(one, block), 100, "%s: it has what was asked for", name);
	TAP_EQ(hmem_usable_size(one, other), 0, "%s: and is no block of another one", name);
	TAP_OK(stats_of(one).blocks == 1 && stats_of(one).bytes == 100, "%s: it is counted", name);
	TAP_EQ(hmem_free(two, block), -EINVAL, "%s: freed through the wrong interface", name);
	TAP_OK(said("is of another interface"), "%s: as the error says", name);
	TAP_EQ(hmem_free(one, block + 16), -EINVAL, "%s: what lies in a block is none", name);
	TAP_EQ(hmem_free(one, &local), -EINVAL, "%s: nor is what lies elsewhere", name);
	memset(block, 1, 100);
	TAP_EQ(hmem_free(one, block), 0, "%s: all of it may be written", name);
	TAP_EQ(hmem_free(one, block), -EALREADY, "%s: it is freed twice", name);
	TAP_OK(stats_of(one).blocks == 0 && stats_of(one).bytes == 0, "%s: and none", name);
	block = hmem_malloc(one, 101);
	block[101] = 7;
	TAP_EQ(hmem_free(one, block), -EOVERFLOW, "%s: one byte beyond the end", name);
	TAP_OK(said("beyond its end"), "%s: as the error says", name);
	TAP_EQ(stats_of(one).blocks, 1, "%s: it is allocated as before", name);
	hmem_free(two, other);
	hmem_interface_unref(one);
	hmem_interface_unref(two);
}

/* --- a strategy that refuses --------------------------------------------------------- */

static struct hmem_interface *refusing;
static bool refuses;

static int plain_create(struct hmem_interface *interface, void *arg, void **state)
{
	(void)arg;
	*state = interface;
	return 0;
}

static void plain_destroy(void *state)
{
	(void)state;
}

static void *plain_alloc(void *state, size_t bytes, size_t align)
{
	(void)state;
	return aligned_alloc(align, (bytes + align - 1) / align * align);
}

/* Meanwhile so many blocks come and go that checks forget who was freed. */
static int plain_free(void *state, void *block)
{
	(void)state;
	if (refuses) {
		refuses = false;
		for (int i = 0; i < 100000; i++)
			hmem_free(refusing, hmem_malloc(refusing, 16));
		return -EBUSY;
	}
	free(block);
	return 0;
}

static size_t plain_usable(const void *state, const void *block)
{
	(void)state;
	return block ? 1 : 0;
}

static void test_refused(void)
{
	static const struct hmem_strategy_ops ops = {
		.size = sizeof(ops), .name = "plain", .create = plain_create,
		.destroy = plain_destroy, .alloc = plain_alloc, .free = plain_free,
		.usable = plain_usable,
	};
	struct hmem_interface_options options = HMEM_INTERFACE_OPTIONS_INIT;
	void *block;

	options.strategy = HMEM_STRATEGY_CUSTOM;
	options.flags = CHECKED;
	options.ops = &ops;
	if (hmem_interface_create(space, &options, &refusing))
		tap_bail("%s", hmem_last_error(ctx));
	block = hmem_malloc(refusing, 100);
	refuses = true;
	TAP_EQ(hmem_free(refusing, block), -EBUSY, "a block that its strategy does not free");
	TAP_OK(hmem_usable_size(refusing, block) == 100 && stats_of(refusing).blocks == 1,
	       "is allocated as it was");
	TAP_EQ(hmem_free(refusing, block), 0, "and may be freed later");
	TAP_EQ(stats_of(refusing).blocks, 0, "once");
	hmem_interface_unref(refusing);
}

static void test_bump(void)
{
	struct hmem_interface *bump = must_interface(space, HMEM_STRATEGY_BUMP, 0, CHECKED);
	char *block = hmem_malloc(bump, 64);

	TAP_OK(!hmem_realloc(bump, block, 128) && errno == EOPNOTSUPP,
	       "bump: no other size, as without checks");
	TAP_EQ(hmem_interface_reset(bump), 0, "bump: all is freed at once");
	TAP_EQ(stats_of(bump).blocks, 0, "bump: so nothing is left");
	TAP_EQ(hmem_free(bump, block), -EALREADY, "bump: and freed twice after that");
	TAP_OK(hmem_malloc(bump, 64) == block && !hmem_free(bump, block),
	       "bump: the next one lies there, and is freed once");
	hmem_interface_unref(bump);
}

static void test_sizes(void)
{
	struct hmem_interface *binned = must_interface(space, HMEM_STRATEGY_BINNED, 0, CHECKED);
	struct hmem_interface *slab = must_interface(space, HMEM_STRATEGY_SLAB, 256, CHECKED);
	struct hmem_interface_options options = HMEM_INTERFACE_OPTIONS_INIT;
	struct hmem_interface *none;
	char *block, *larger;

	TAP_OK(!hmem_malloc(binned, SIZE_MAX) && errno == ENOSPC, "no room behind what is too large");
	block = hmem_aligned_alloc(slab, 256, 256);
	TAP_OK(block && !((uintptr_t)block % 256) && !hmem_free(slab, block),
	       "slab: an object is as large, and aligned, as without checks");
	TAP_OK(!hmem_malloc(slab, 257) && errno == ENOSPC, "slab: and no larger");
	block = hmem_calloc(binned, 10, 10);
	memset(block, 3, 100);
	larger = hmem_realloc(binned, block, 5000);
	TAP_OK(larger && larger[99] == 3 && stats_of(binned).blocks == 1, "another size");
	TAP_EQ(hmem_free(binned, block), -EALREADY, "the block that was is free");
	larger = hmem_realloc(binned, larger, 4999);
	TAP_EQ(hmem_usable_size(binned, larger), 4999, "a byte less, and no more than that");
	larger[4999] = 1;
	TAP_EQ(hmem_free(binned, larger), -EOVERFLOW, "what was its last byte is beyond its end");
	larger[4999] = (char)0xa5;
	larger = hmem_realloc(binned, larger, 5000);
	larger[5000] = 1;
	TAP_OK(!hmem_realloc(binned, larger, 50000) && errno == EOVERFLOW,
	       "no other size for what was written beyond its end");
	TAP_OK(stats_of(binned).blocks == 1 && hmem_usable_size(binned, larger) == 5000,
	       "and it is as it was");
	hmem_interface_unref(binned);
	hmem_interface_unref(slab);

	options.strategy = HMEM_STRATEGY_SLAB;
	options.flags = CHECKED;
	TAP_EQ(hmem_interface_create(space, &options, &none), -EINVAL,
	       "what the strategy refuses is refused");
	options.flags = 1u << 2;
	TAP_EQ(hmem_interface_create(space, &options, &none), -EINVAL, "and a flag that there is not");
}

static void test_handles(void)
{
	struct hmem_interface *binned = must_interface(space, HMEM_STRATEGY_BINNED, 0, CHECKED);
	struct hmem_interface *bump = must_interface(space, HMEM_STRATEGY_BUMP, 0, CHECKED);
	struct hmem_allocation *whole, *slice, *more, *to, *adopted;
	char *block;

	if (hmem_allocation_new(binned, 1000, 0, 0, &whole) ||
	    hmem_allocation_new(binned, 1000, 0, 0, &to) ||
	    hmem_allocation_slice(whole, 10, 100, &slice))
		tap_bail("%s", hmem_last_error(ctx));
	TAP_EQ(hmem_allocation_free(whole), -EBUSY, "a slice does not outlive its owner so");
	TAP_EQ(hmem_free(binned, hmem_allocation_data(whole)), 0, "but behind its back");
	TAP_OK(!hmem_allocation_data(slice) && said("behind its back"), "then it has no memory");
	TAP_OK(!hmem_allocation_data(whole), "nor has its owner");
	TAP_EQ(hmem_copy_bytes(to, 0, slice, 0, 10), -EALREADY, "it is not copied");
	TAP_EQ(hmem_copy_bytes(slice, 0, to, 0, 10), -EALREADY, "or copied to");
	TAP_EQ(hmem_allocation_slice(slice, 0, 1, &more), -EALREADY, "or cut");
	TAP_EQ(hmem_allocation_free(slice), 0, "it can be given up");
	TAP_EQ(hmem_allocation_move(whole, bump), -EALREADY, "the owner is not moved");
	TAP_EQ(hmem_allocation_resize(whole, 100000), -EALREADY, "or resized");
	TAP_EQ(hmem_allocation_free(whole), -EALREADY, "and is given up");

	((char *)hmem_allocation_data(to))[1000] = 1;
	TAP_EQ(hmem_allocation_move(to, bump), -EOVERFLOW, "written beyond its end: not moved");
	TAP_EQ(stats_of(bump).blocks, 0, "and nothing is left there");
	TAP_EQ(hmem_allocation_free(to), -EOVERFLOW, "nor freed, but the handle is gone");

	block = hmem_malloc(bump, 50);
	TAP_EQ(hmem_allocation_adopt(ctx, bump, block + 16, 10, 0, &adopted), -EINVAL,
	       "bump knows here what is a block");
	TAP_EQ(hmem_allocation_adopt(ctx, bump, block, 51, 0, &adopted), -EINVAL, "and how large");
	TAP_EQ(hmem_allocation_adopt(ctx, bump, block, 50, HMEM_ALLOCATION_OWNS, &adopted), 0,
	       "which is adopted");
	TAP_EQ(hmem_allocation_free(adopted), 0, "and freed");
	hmem_interface_unref(binned);
	hmem_interface_unref(bump);
}

/* --- several threads ----------------------------------------------------------------- */

enum { THREADS = 2, ROUNDS = 20000 };

static struct hmem_interface *raced;
static void *_Atomic contended;
static atomic_int arrived;

struct freer {
	bool owner;
	long freed;
	long told;
};

/* Both go on at about the same instant, as from a barrier they would not. */
static void meet(int times)
{
	atomic_fetch_add(&arrived, 1);
	for (int spun = 0; atomic_load(&arrived) < THREADS * times; spun++)
		if (spun % 1000 == 999)
			sched_yield();
}

static void *free_all(void *arg)
{
	struct freer *freer = arg;

	for (int i = 0; i < ROUNDS; i++) {
		int err;

		if (freer->owner)
			atomic_store(&contended, hmem_malloc(raced, 64));
		meet(2 * i + 1);
		err = hmem_free(raced, atomic_load(&contended));
		freer->freed += !err;
		freer->told += err == -EALREADY;
		meet(2 * i + 2);
	}
	return NULL;
}

/* One of them has the block's span, and frees it by other means than the other one. */
static void test_race(void)
{
	struct freer freers[THREADS] = { { .owner = true } };
	pthread_t threads[THREADS];

	raced = must_interface(space, HMEM_STRATEGY_BINNED, 0, CHECKED);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, free_all, &freers[i]);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	TAP_EQ(freers[0].freed + freers[1].freed, ROUNDS,
	       "each block is freed once by two threads that both free it");
	TAP_EQ(freers[0].told + freers[1].told, ROUNDS, "and who came later is told so");
	hmem_interface_unref(raced);
}

/* The table grows, and forgets. */
static void test_many(void)
{
	enum { MANY = 20000, KEPT = 3000 };
	struct hmem_interface *binned = must_interface(space, HMEM_STRATEGY_BINNED, 0, CHECKED);
	static char *kept[KEPT];
	long wrong = 0;

	for (int i = 0; i < MANY; i++) {
		char *block = hmem_malloc(binned, 16 + (size_t)i % 3000);

		wrong += !block;
		if (i < KEPT)
			kept[i] = block;
		else
			wrong += hmem_free(binned, block) != 0;
	}
	TAP_EQ(stats_of(binned).blocks, KEPT, "of many those are there that were kept");
	for (int i = 0; i < KEPT; i++)
		wrong += hmem_usable_size(binned, kept[i]) != 16 + (size_t)i % 3000 ||
			 hmem_free(binned, kept[i]);
	TAP_EQ(wrong, 0, "with their sizes, and are freed");
	hmem_interface_unref(binned);
}

/* --- by the environment -------------------------------------------------------------- */

static bool twice_is_told(struct hmem_interface *bump)
{
	void *block = hmem_malloc(bump, 16);

	return !hmem_free(bump, block) && hmem_free(bump, block) == -EALREADY;
}

/* --- handlers of forks --------------------------------------------------------------- */

static struct hmem_interface *in_handlers[2];
static struct hmem_space *space_of_handlers;
static int wrong_in_handlers;

static void handler(void)
{
	struct hmem_interface *own;

	if (!space_of_handlers)
		return;
	for (int i = 0; i < 2; i++) {
		void *block = hmem_malloc(in_handlers[i], 100);

		wrong_in_handlers += !block || hmem_free(in_handlers[i], block);
	}
	own = must_interface(space_of_handlers, HMEM_STRATEGY_BUMP, 0, HMEM_INTERFACE_CHECKED);
	wrong_in_handlers += !hmem_malloc(own, 100);
	hmem_interface_unref(own);
}

static int wait_for(pid_t child)
{
	int status = -1;

	waitpid(child, &status, 0);
	return status != 0;
}

/* @again: whether children do so as well, by another thread, which finds no lock taken */
static void *forks(void *again)
{
	pthread_t thread;
	pid_t child = fork();

	if (!child) {
		alarm(10);
		_exit((again && (pthread_create(&thread, NULL, forks, NULL) ||
				 pthread_join(thread, NULL))) || wrong_in_handlers);
	}
	wrong_in_handlers += wait_for(child);
	return NULL;
}

/* In a child, which may hang. They are there before those of the library. */
static void test_forks(void)
{
	pid_t child = fork();
	int status = -1;

	if (!child) {
		pthread_t thread;

		alarm(10);
		space_of_handlers = must_space(4 * MIB);
		in_handlers[0] = must_interface(space_of_handlers, HMEM_STRATEGY_BINNED, 0, 0);
		in_handlers[1] = must_interface(space_of_handlers, HMEM_STRATEGY_BINNED, 0,
						HMEM_INTERFACE_CHECKED);
		/* The sanitizer of races refuses threads of a child of several. */
		_exit(pthread_create(&thread, NULL, forks, SANITIZED(&status, &status, NULL)) ||
		      pthread_join(thread, NULL) || wrong_in_handlers);
	}
	waitpid(child, &status, 0);
	TAP_EQ(status, 0, "handlers of forks allocate, and make interfaces");
}

static void test_environment(void)
{
	struct hmem_interface *bump;
	int status = -1;
	pid_t child;

	bump = must_interface(space, HMEM_STRATEGY_BUMP, 0, 0);
	TAP_OK(!twice_is_told(bump), "without checks bump knows no blocks");
	hmem_interface_unref(bump);
	setenv("HMEM_CHECKED", "0", 1);
	bump = must_interface(space, HMEM_STRATEGY_BUMP, 0, 0);
	TAP_OK(!twice_is_told(bump), "nor by HMEM_CHECKED=0");
	hmem_interface_unref(bump);
	setenv("HMEM_CHECKED", "1", 1);
	bump = must_interface(space, HMEM_STRATEGY_BUMP, 0, 0);
	unsetenv("HMEM_CHECKED");
	TAP_OK(twice_is_told(bump), "by HMEM_CHECKED=1 it does");
	child = fork();
	if (!child)
		_exit(!twice_is_told(bump));
	TAP_OK(child > 0 && waitpid(child, &status, 0) == child && !status,
	       "and in a child");
	hmem_interface_unref(bump);
}

int main(void)
{
	if (pthread_atfork(handler, handler, handler) || hmem_ctx_new(&ctx))
		tap_bail("no context");
	space = must_space(64 * MIB);
	for (unsigned int i = 0; i < sizeof(strategies) / sizeof(strategies[0]); i++)
		test_wrong(i);
	test_refused();
	test_bump();
	test_sizes();
	test_handles();
	test_race();
	test_many();
	test_forks();
	test_environment();
	hmem_space_unref(space);
	hmem_ctx_unref(ctx);
	return tap_done();
}
