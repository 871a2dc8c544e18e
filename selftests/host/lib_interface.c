// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interfaces: what each strategy promises of blocks, and what is said of wrong calls.
 */
#include <pthread.h>
#include <stdint.h>

#include "interface_user.h"

static struct hmem_space *space;

static uint64_t used(void)
{
	struct hmem_space_info info = { .size = sizeof(info) };

	if (hmem_space_get_info(space, &info))
		tap_bail("%s", hmem_last_error(ctx));
	return info.used;
}

/* Blocks of every size up to some, with every byte their own; then of none a byte is changed. */
static bool holds_sizes(struct hmem_interface *interface, size_t most, size_t step)
{
	static unsigned char *blocks[4096];
	size_t n = 0;
	bool good = true;

	for (size_t bytes = 1; bytes <= most; bytes += step) {
		blocks[n] = hmem_malloc(interface, bytes);
		if (!blocks[n] || (uintptr_t)blocks[n] % 16)
			return false;
		memset(blocks[n], (int)(n % 251), bytes);
		n++;
	}
	for (size_t i = 0; i < n; i++) {
		size_t bytes = 1 + i * step;

		good = good && blocks[i][0] == i % 251 && blocks[i][bytes - 1] == i % 251 &&
		       !memcmp(blocks[i], blocks[i] + 1, bytes - 1);
		if (hmem_usable_size(interface, blocks[i]) &&
		    hmem_usable_size(interface, blocks[i]) < bytes)
			good = false;
		good = good && !hmem_free(interface, blocks[i]);
	}
	return good;
}

static void test_sizes(uint32_t flags, const char *who)
{
	struct hmem_interface *interface = must_interface(space, HMEM_STRATEGY_BINNED, 0, flags);
	struct hmem_interface_stats stats;
	void *large;

	TAP_OK(holds_sizes(interface, 3000, 1), "%s: blocks of 1 to 3000 bytes", who);
	TAP_OK(holds_sizes(interface, 300000, 7919), "%s: blocks of up to 300000", who);
	large = hmem_malloc(interface, 10 * MIB + 1);
	TAP_OK(large, "%s: 10 MiB and a byte", who);
	if (large) {
		memset(large, 1, 10 * MIB + 1);
		TAP_OK(hmem_usable_size(interface, large) > 10 * MIB, "of which it knows");
	}
	stats = stats_of(interface);
	TAP_OK(stats.blocks == 1 && stats.bytes > 10 * MIB && stats.held >= stats.bytes,
	       "one block is counted");
	TAP_EQ(hmem_free(interface, large), 0, "and goes");
	stats = stats_of(interface);
	TAP_OK(stats.blocks == 0 && stats.bytes == 0, "then none is");
	hmem_interface_unref(interface);
	TAP_EQ(used(), 0, "without the interface nothing of the space is used");
}

static void test_alignment(void)
{
	struct hmem_interface *binned = must_interface(space, HMEM_STRATEGY_BINNED, 0, 0);
	struct hmem_interface *bump = must_interface(space, HMEM_STRATEGY_BUMP, 0, 0);
	bool good = true;

	for (size_t align = 1; align <= 2 * MIB; align *= 2)
		for (size_t bytes = 1; bytes < 40000; bytes = bytes * 3 + 1) {
			char *a = hmem_aligned_alloc(binned, align, bytes);
			char *b = hmem_aligned_alloc(bump, align, bytes);

			good = good && a && b && (uintptr_t)a % align == 0 && (uintptr_t)b % align == 0;
			if (!good)
				break;
			memset(a, 1, bytes);
			memset(b, 2, bytes);
			good = a[bytes - 1] == 1 && b[bytes - 1] == 2 && !hmem_free(binned, a);
		}
	TAP_OK(good, "blocks are aligned to what was asked for, up to 2 MiB");
	errno = 0;
	TAP_OK(!hmem_aligned_alloc(binned, 48, 1) && errno == EINVAL, "48 is no alignment");
	TAP_OK(!hmem_aligned_alloc(binned, 0, 1) && errno == EINVAL, "0 is none");
	TAP_OK(!hmem_aligned_alloc(binned, 4 * MIB, 1) && errno == EINVAL, "4 MiB is too much");
	hmem_interface_unref(binned);
	hmem_interface_unref(bump);
}

static void test_wrong_calls(void)
{
	struct hmem_interface *one = must_interface(space, HMEM_STRATEGY_BINNED, 0, 0);
	struct hmem_interface *two = must_interface(space, HMEM_STRATEGY_BINNED, 0, 0);
	char *small = hmem_malloc(one, 40), *large = hmem_malloc(one, MIB), local;

	TAP_EQ(hmem_free(two, small), -EINVAL, "freed through another interface: refused");
	TAP_OK(strstr(hmem_last_error(ctx), "is of another interface"), "as that");
	TAP_EQ(hmem_free(two, large), -EINVAL, "so is a large block");
	TAP_EQ(hmem_free(one, small + 16), -EINVAL, "an address within a block");
	TAP_EQ(hmem_free(one, large + 4096), -EINVAL, "or a large one");
	TAP_EQ(hmem_free(one, &local), -EINVAL, "an address that is not of the space");
	errno = 0;
	TAP_OK(!hmem_space_take(one, MIB) && errno == EINVAL && !hmem_space_take(NULL, MIB),
	       "who has no strategy of his own takes nothing of the space");
	TAP_EQ(hmem_space_give(one, large), -EINVAL, "nor gives he anything back");
	TAP_EQ(hmem_free(one, NULL), 0, "NULL is nothing");
	TAP_EQ(hmem_free(one, small), 0, "a block is freed");
	TAP_EQ(hmem_free(one, small), -EALREADY, "but not twice");
	TAP_OK(strstr(hmem_last_error(ctx), "freed before"), "which is said");
	TAP_EQ(hmem_free(one, large), 0, "a large block is");
	TAP_EQ(hmem_free(one, large), -EALREADY, "not twice either");
	TAP_EQ(hmem_usable_size(one, small), 0, "what is free has no size");
	TAP_OK(!hmem_realloc(one, small, 10) && errno == EINVAL, "and does not get another one");
	TAP_OK(!hmem_malloc(one, SIZE_MAX) && errno == ENOSPC, "nobody has SIZE_MAX");
	TAP_OK(!hmem_malloc(one, SIZE_MAX / 2) && errno == ENOSPC, "or half of that");
	TAP_OK(!hmem_calloc(one, SIZE_MAX / 2, 3) && errno == ENOMEM, "n * size is too much");
	TAP_OK(!hmem_aligned_alloc(one, 4096, SIZE_MAX - 1) && errno == ENOSPC, "and aligned");
	TAP_OK(hmem_malloc(one, 0), "0 bytes are a block");
	hmem_interface_unref(one);
	hmem_interface_unref(two);
	hmem_interface_unref(NULL);
	TAP_OK(!hmem_interface_ref(NULL), "no interface is none however often");
}

/* Without options an interface is as its space says. */
static void test_defaults(void)
{
	struct hmem_interface_options options = HMEM_INTERFACE_OPTIONS_INIT;
	struct hmem_space *slabs = must_space(4 * MIB);
	struct hmem_interface *interface;

	options.strategy = HMEM_STRATEGY_SLAB;
	TAP_EQ(hmem_space_set_interface(slabs, &options), -EINVAL,
	       "what cannot be made is no default");
	options.object = 80;
	TAP_EQ(hmem_space_set_interface(slabs, &options), 0, "a slab is");
	if (hmem_interface_create(slabs, NULL, &interface))
		tap_bail("%s", hmem_last_error(ctx));
	TAP_OK(hmem_usable_size(interface, hmem_malloc(interface, 1)) == 80 &&
		       !hmem_malloc(interface, 81),
	       "which is made without options");
	hmem_interface_unref(interface);
	TAP_EQ(hmem_space_set_interface(slabs, NULL), 0, "none any more");
	if (hmem_interface_create(slabs, NULL, &interface))
		tap_bail("%s", hmem_last_error(ctx));
	TAP_OK(hmem_malloc(interface, 81), "so it is a general one");
	hmem_interface_unref(interface);
	TAP_EQ(hmem_space_set_interface(NULL, NULL), -EINVAL, "no space");
	hmem_space_unref(slabs);
}

static void test_realloc(void)
{
	struct hmem_interface *interface = must_interface(space, HMEM_STRATEGY_GENERAL, 0, 0);
	unsigned char *block = NULL;
	bool good = true;
	size_t had = 0;

	for (size_t bytes = 1; good && bytes < 3 * MIB; bytes = bytes * 2 + 3) {
		block = hmem_realloc(interface, block, bytes);
		good = block;
		for (size_t i = 0; good && i < had; i++)
			good = block[i] == i % 253;
		for (size_t i = 0; good && i < bytes; i++)
			block[i] = (unsigned char)(i % 253);
		had = bytes;
	}
	TAP_OK(good, "a block grows, and keeps what is in it");
	block = hmem_realloc(interface, block, 100);
	for (size_t i = 0; good && i < 100; i++)
		good = block[i] == i % 253;
	TAP_OK(good, "and shrinks");
	TAP_OK(!hmem_realloc(interface, block, SIZE_MAX) && block[99] == 99,
	       "where it cannot grow it stays as it is");
	TAP_EQ(stats_of(interface).blocks, 1, "one block is there all the time");
	hmem_free(interface, block);
	memset(hmem_malloc(interface, 5000), 0xff, 5000);
	block = hmem_calloc(interface, 50, 100);
	for (size_t i = 0; i < 5000; i++)
		good = good && !block[i];
	TAP_OK(good, "calloc() has zeroes");
	hmem_interface_unref(interface);
}

static void test_slab(void)
{
	struct hmem_interface *interface = must_interface(space, HMEM_STRATEGY_SLAB, 200, 0);
	char *a = hmem_malloc(interface, 200), *b = hmem_malloc(interface, 1);

	TAP_OK(a && b && hmem_usable_size(interface, a) == 208 &&
		       hmem_usable_size(interface, b) == 208,
	       "objects of 200 bytes have 208");
	TAP_OK(!hmem_malloc(interface, 209) && errno == ENOSPC, "and none has more");
	TAP_OK(hmem_aligned_alloc(interface, 16, 1), "they are aligned to 16");
	TAP_OK(!hmem_aligned_alloc(interface, 64, 1) && errno == EINVAL, "but not to 64");
	TAP_EQ(hmem_free(interface, a), 0, "one goes");
	TAP_EQ(hmem_free(interface, a), -EALREADY, "once");
	TAP_EQ(stats_of(interface).blocks, 2, "two are left");
	hmem_interface_unref(interface);
	interface = must_interface(space, HMEM_STRATEGY_SLAB, 3 * MIB, 0);
	a = hmem_malloc(interface, 3 * MIB);
	TAP_OK(a && memset(a, 1, 3 * MIB), "objects may be larger than granules");
	hmem_interface_unref(interface);
}

static void test_bump(uint32_t flags)
{
	struct hmem_interface *interface = must_interface(space, HMEM_STRATEGY_BUMP, 0, flags);
	char *a = hmem_malloc(interface, 24), *b = hmem_malloc(interface, 8);
	struct hmem_interface_stats stats;

	TAP_EQ(b - a, 32, "blocks stand one behind the other");
	TAP_OK(holds_sizes(interface, 3000, 1), "and are not in each other's way");
	TAP_EQ(hmem_free(interface, a), 0, "freeing is nothing");
	TAP_EQ(hmem_free(interface, &stats), -EINVAL, "but of what is not of the interface");
	TAP_OK(!hmem_realloc(interface, a, 9) && errno == EOPNOTSUPP, "none gets another size");
	TAP_OK(hmem_malloc(interface, 3 * MIB), "large ones have granules of their own");
	stats = stats_of(interface);
	TAP_OK(stats.blocks == 3003 && stats.bytes > 7 * MIB && stats.held >= stats.bytes,
	       "all are counted");
	TAP_EQ(hmem_interface_reset(interface), 0, "all are given back at once");
	stats = stats_of(interface);
	TAP_OK(!stats.blocks && !stats.bytes && !stats.held, "and none is left");
	TAP_OK(hmem_malloc(interface, 1), "then it goes on");
	TAP_EQ(stats_of(interface).blocks, 1, "with one");
	hmem_interface_unref(interface);
}

/* What a space has not, and what it must not give. */
static void test_full(void)
{
	struct hmem_space *small = must_space(2 * MIB);
	struct hmem_interface *interface = must_interface(small, HMEM_STRATEGY_BINNED, 0, 0);
	struct hmem_interface *bump = must_interface(small, HMEM_STRATEGY_BUMP, 0, 0);
	static char *blocks[MIB / 4];
	size_t n = 0, again = 0;

	while ((blocks[n] = hmem_malloc(interface, 100)))
		n++;
	TAP_EQ(errno, ENOSPC, "a space is full");
	TAP_OK(n * 112 > 19 * MIB / 10, "when 95 %% of it are blocks: %zu of 112 bytes", n);
	TAP_OK(!hmem_malloc(bump, 1) && errno == ENOSPC, "also for others");
	for (size_t i = 0; i < n; i++)
		if (i % 2 && hmem_free(interface, blocks[i]))
			tap_bail("%s", hmem_last_error(ctx));
	for (size_t i = 0; i < n; i++)
		if (i % 2 && (blocks[i] = hmem_malloc(interface, 112)))
			again++;
	TAP_EQ(again, n / 2, "what is freed is there for blocks of that size");
	for (size_t i = 0; i < n; i++)
		if (hmem_free(interface, blocks[i]))
			tap_bail("%s", hmem_last_error(ctx));
	blocks[0] = hmem_malloc(interface, 19 * MIB / 10);
	TAP_OK(blocks[0], "and when all is free for a large one");
	hmem_free(interface, blocks[0]);
	TAP_EQ(hmem_space_set_limit(small, MIB / 2), 0, "half a MiB is the limit");
	TAP_OK(!hmem_malloc(interface, MIB) && errno == EDQUOT, "so a MiB is too much");
	TAP_OK(hmem_malloc(interface, MIB / 4), "a quarter is not");
	TAP_OK(!hmem_malloc(bump, MIB / 2) && errno == EDQUOT, "for all interfaces together");
	hmem_interface_unref(interface);
	hmem_interface_unref(bump);
	hmem_space_unref(small);
}

/* A strategy of the caller's own: one block, as large as it gets. */
struct single {
	struct hmem_interface *interface;
	void *block;
};

static int single_create(struct hmem_interface *interface, void *arg, void **state)
{
	struct single *single = arg;

	single->interface = interface;
	*state = single;
	return single->block ? -EBUSY : 0;
}

static void single_destroy(void *state)
{
	((struct single *)state)->interface = NULL;
}

static void *single_alloc(void *state, size_t bytes, size_t align)
{
	struct single *single = state;

	if (single->block || align > 4096) {
		errno = ENOSPC;
		return NULL;
	}
	return single->block = hmem_space_take(single->interface, bytes);
}

static int single_free(void *state, void *block)
{
	struct single *single = state;

	if (block != single->block)
		return -EINVAL;
	single->block = NULL;
	return hmem_space_give(single->interface, block);
}

static size_t single_usable(const void *state, const void *block)
{
	return block == ((const struct single *)state)->block ? 4096 : 0;
}

static void test_own(void)
{
	static const struct hmem_strategy_ops ops = {
		.size = sizeof(ops),	   .name = "single",	  .create = single_create,
		.destroy = single_destroy, .alloc = single_alloc, .free = single_free,
		.usable = single_usable,
	};
	struct hmem_interface_options options = HMEM_INTERFACE_OPTIONS_INIT;
	struct hmem_strategy_ops less = ops;
	struct hmem_interface *interface;
	struct single single = { 0 };
	char *block;

	options.strategy = HMEM_STRATEGY_CUSTOM;
	TAP_EQ(hmem_interface_create(space, &options, &interface), -EINVAL,
	       "a caller's strategy without functions is none");
	less.usable = NULL;
	options.ops = &less;
	TAP_EQ(hmem_interface_create(space, &options, &interface), -EINVAL, "all but one will not do");
	options.ops = &ops;
	options.arg = &single;
	if (!TAP_EQ(hmem_interface_create(space, &options, &interface), 0, "with all it works"))
		return;
	block = hmem_malloc(interface, 1000);
	TAP_OK(block && memset(block, 1, 4096), "it has a block");
	TAP_OK(!hmem_malloc(interface, 1) && errno == ENOSPC, "and no second one");
	TAP_EQ(hmem_space_give(interface, block + 16), -EINVAL, "what was not taken is not given");
	TAP_EQ(hmem_free(interface, block), 0, "which is freed");
	TAP_EQ(stats_of(interface).held, 0, "and given back");
	hmem_malloc(interface, 1);
	hmem_interface_unref(interface);
	TAP_OK(!single.interface, "it was destroyed");
	TAP_EQ(used(), 0, "and what it had is free");
	TAP_EQ(hmem_interface_create(space, &options, &interface), -EBUSY,
	       "what its create() says is the answer");
	TAP_EQ(used(), 0, "and nothing is left of it");
}

static void test_options(void)
{
	struct hmem_interface_options options = HMEM_INTERFACE_OPTIONS_INIT;
	struct hmem_interface *interface, *all[1100];
	struct hmem_interface_stats stats = { .size = 1 };
	unsigned int n = 0;

	TAP_EQ(hmem_interface_create(NULL, NULL, &interface), -EINVAL, "no space");
	TAP_EQ(hmem_interface_create(space, NULL, NULL), -EINVAL, "no place for the handle");
	options.strategy = 99;
	TAP_EQ(hmem_interface_create(space, &options, &interface), -EINVAL, "no such strategy");
	options.strategy = HMEM_STRATEGY_SLAB;
	TAP_EQ(hmem_interface_create(space, &options, &interface), -EINVAL, "a slab of nothing");
	options.object = 65 * MIB;
	TAP_EQ(hmem_interface_create(space, &options, &interface), -EINVAL, "or of 65 MiB");
	options.strategy = HMEM_STRATEGY_BINNED;
	options.flags = 1u << 31;
	TAP_EQ(hmem_interface_create(space, &options, &interface), -EINVAL, "no such flag");
	options.flags = 0;
	options.size = 1;
	TAP_EQ(hmem_interface_create(space, &options, &interface), -EINVAL, "no such size");
	while (n < 1100 && !hmem_interface_create(space, NULL, &all[n]))
		n++;
	TAP_EQ(n, 1023, "a space has 1023 interfaces");
	TAP_EQ(hmem_interface_create(space, NULL, &interface), -EUSERS, "and no more");
	TAP_EQ(hmem_interface_get_stats(all[0], &stats), -EINVAL, "no such struct");
	TAP_EQ(hmem_interface_get_stats(NULL, &stats), -EINVAL, "no such interface");
	TAP_EQ(hmem_interface_reset(all[0]), -EOPNOTSUPP, "only bump is reset");
	TAP_EQ(hmem_interface_reset(NULL), -EINVAL, "and no NULL");
	TAP_OK(hmem_interface_space(all[0]) == space, "an interface knows its space");
	while (n--)
		hmem_interface_unref(all[n]);
}

/* Threads that come and go leave blocks behind, which others free, and spans, which others use. */
static struct hmem_interface *passed;
static void *left_behind[1000];

static void *leaves_blocks(void *arg)
{
	for (size_t i = 0; i < 1000; i++)
		left_behind[i] = hmem_malloc(passed, 64);
	return arg;
}

static void test_threads_that_end(void)
{
	bool good = true;
	uint64_t most = 0;

	passed = must_interface(space, HMEM_STRATEGY_BINNED, 0, 0);
	for (int round = 0; round < 200; round++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, leaves_blocks, NULL) || pthread_join(thread, NULL))
			tap_bail("no thread");
		for (size_t i = 0; i < 1000; i++)
			good = good && !hmem_free(passed, left_behind[i]);
		if (stats_of(passed).held > most)
			most = stats_of(passed).held;
	}
	TAP_OK(good, "blocks of threads that have ended are freed");
	TAP_OK(most <= 8 * 65536, "and used again by others: %llu bytes were held at most",
	       (unsigned long long)most);
	TAP_EQ(stats_of(passed).blocks, 0, "none is left");
	hmem_interface_unref(passed);
}

/* What a bump interface had is what it takes next, unless somebody needed it. */
static void test_bump_again(uint32_t flags)
{
	struct hmem_interface *bump = must_interface(space, HMEM_STRATEGY_BUMP, 0, flags);
	struct hmem_interface *other = must_interface(space, HMEM_STRATEGY_BINNED, 0, 0);
	void *one = hmem_malloc(bump, MIB), *two = hmem_malloc(bump, 100), *again;

	hmem_interface_reset(bump);
	TAP_OK(used() && !stats_of(bump).held, "what is reset is nobody's");
	again = hmem_malloc(bump, MIB);
	TAP_OK(again == one && hmem_malloc(bump, 100) == two, "and is taken again in its order");
	TAP_EQ(stats_of(bump).held, 2 * MIB, "and held");
	hmem_interface_reset(bump);
	again = hmem_malloc(other, 256 * MIB);
	TAP_OK(again, "others can have all that is reset");
	TAP_OK(!hmem_malloc(bump, MIB) && errno == ENOSPC, "then there is none");
	hmem_free(other, again);
	TAP_OK(hmem_malloc(bump, MIB) && hmem_malloc(bump, 100), "until it is given back");
	hmem_interface_reset(bump);
	hmem_interface_reset(bump);
	TAP_EQ(used(), 0, "what is not taken in a round is given back");
	hmem_interface_unref(bump);
	hmem_interface_unref(other);
}

/* Freed blocks that are granules of their own stay at hand, and nobody finds no room for them. */
static void test_large_again(uint32_t flags)
{
	struct hmem_interface *one = must_interface(space, HMEM_STRATEGY_BINNED, 0, flags);
	struct hmem_interface *two = must_interface(space, HMEM_STRATEGY_BINNED, 0, 0);
	char *blocks[100], *large;
	uint64_t before;

	for (size_t i = 0; i < 8; i++)
		blocks[i] = hmem_malloc(one, MIB);
	for (size_t i = 0; i < 8; i++)
		TAP_EQ(hmem_free(one, blocks[i]), 0, "a block of 1 MiB is freed");
	TAP_EQ(hmem_free(one, blocks[3]), -EALREADY, "freed again: refused");
	TAP_EQ(hmem_free(one, blocks[3] + 65536), -EINVAL, "what was inside of it as well");
	TAP_EQ(hmem_usable_size(one, blocks[3]), 0, "it is none");
	TAP_OK(!stats_of(one).blocks && !stats_of(one).bytes, "and none is counted");
	TAP_OK(hmem_malloc(one, MIB - 1) == blocks[7], "the last one is the next");
	hmem_free(one, blocks[7]);
	large = hmem_malloc(two, 250 * MIB);
	TAP_OK(large, "another interface can have all there is");
	TAP_EQ(hmem_free(one, blocks[3]), large < blocks[3] ? -EINVAL : -EALREADY,
	       "and what was freed is not the first one's any more");
	TAP_OK(hmem_malloc(one, MIB), "who finds others");
	hmem_free(two, large);

	for (size_t i = 0; i < 40; i++)
		blocks[i] = hmem_malloc(one, 3 * 65536);
	for (size_t i = 0; i < 40; i++)
		hmem_free(one, blocks[i]);
	for (size_t i = 0; i < 100; i++)
		blocks[i] = hmem_malloc(one, 4 * 65536);
	TAP_EQ(stats_of(one).held, 100 * 4 * 65536 + MIB, "what is freed is not held");
	before = used();
	hmem_free(one, blocks[0]);
	TAP_EQ(before - used(), 40 * 3 * 65536,
	       "those that nobody asks for are given back");
	hmem_interface_unref(one);
	hmem_interface_unref(two);
}

int main(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	space = must_space(256 * MIB);
	test_sizes(0, "binned");
	test_sizes(HMEM_INTERFACE_ONE_THREAD, "binned, one thread");
	test_alignment();
	test_wrong_calls();
	test_defaults();
	test_realloc();
	test_slab();
	test_bump(0);
	test_bump(HMEM_INTERFACE_ONE_THREAD);
	test_full();
	test_own();
	test_options();
	test_threads_that_end();
	test_bump_again(0);
	test_bump_again(HMEM_INTERFACE_ONE_THREAD);
	test_large_again(0);
	test_large_again(HMEM_INTERFACE_ONE_THREAD);
	TAP_EQ(used(), 0, "nothing of the space is used at the end");
	hmem_space_unref(space);
	hmem_ctx_unref(ctx);
	return tap_done();
}
