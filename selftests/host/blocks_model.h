/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Blocks that say themselves what must be in them, for tests that make random calls; and the
 * numbers for these. HMEM_TEST_SEED repeats a run, as far as threads repeat themselves.
 */
#ifndef SELFTESTS_HOST_BLOCKS_MODEL_H
#define SELFTESTS_HOST_BLOCKS_MODEL_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "tap.h"

/* In front of each block: how it goes on, so that it can be seen whether it still does. */
struct block {
	uint64_t bytes;
	uint64_t seed;
	unsigned char rest[];
};

/* xorshift64*; @random: not 0 */
static inline uint64_t next_random(uint64_t *random)
{
	*random ^= *random >> 12;
	*random ^= *random << 25;
	*random ^= *random >> 27;
	return *random * 0x2545f4914f6cdd1dull;
}

/* What the @n-th who has numbers of his own begins with. */
static inline uint64_t random_of(uint64_t seed, unsigned int n)
{
	return (seed + n) * 0x9e3779b97f4a7c15ull | 1;
}

static inline uint64_t model_seed(void)
{
	const char *said = getenv("HMEM_TEST_SEED");
	uint64_t seed = said ? strtoull(said, NULL, 0) : (uint64_t)time(NULL);

	tap_diag("HMEM_TEST_SEED=%llu", (unsigned long long)seed);
	return seed;
}

static inline unsigned char byte_at(uint64_t seed, size_t i)
{
	return (unsigned char)((seed + i) * 0x9e3779b97f4a7c15ull >> 56);
}

/* Of long ones the ends, and a byte of each 256. */
static inline size_t block_step(size_t i, size_t rest)
{
	return i < 64 || rest - i <= 64 ? 1 : rest - i - 64 < 256 ? rest - i - 64 : 256;
}

static inline void block_fill(struct block *block, size_t bytes, uint64_t seed)
{
	size_t rest = bytes - sizeof(*block);

	block->bytes = bytes;
	block->seed = seed;
	for (size_t i = 0; i < rest; i += block_step(i, rest))
		block->rest[i] = byte_at(seed, i);
}

static inline bool block_holds(const struct block *block, size_t bytes, uint64_t seed)
{
	size_t rest = bytes - sizeof(*block);

	if (block->bytes != bytes || block->seed != seed)
		return false;
	for (size_t i = 0; i < rest; i += block_step(i, rest))
		if (block->rest[i] != byte_at(seed, i))
			return false;
	return true;
}

/* From @least up to @largest; small ones are many. */
static inline size_t some_bytes(uint64_t *random, size_t least, size_t largest)
{
	size_t most = least + 16;

	while (most < largest && next_random(random) % 4)
		most *= 2;
	if (most > largest)
		most = largest;
	return least + next_random(random) % (most - least + 1);
}

/* What was not as the model has it, of all threads. */
__attribute__((unused)) static atomic_uint model_wrong;

#define must_hold(good, ...) \
	do { \
		if (!(good) && atomic_fetch_add(&model_wrong, 1) < 5) \
			tap_diag(__VA_ARGS__); \
	} while (0)

#endif
