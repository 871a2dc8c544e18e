// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs of bits: on random maps, found where one that looks at each bit by itself finds them.
 */
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "tap.h"

#include "../../lib/bits.h"

#define BITS 512u
#define ROUNDS 200000u

static uint64_t map[BITS / 64];
static uint64_t state = 1;

static unsigned int chance(unsigned int below)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned int)(state >> 33) % below;
}

static bool is_set(unsigned int bit)
{
	return map[bit / 64] >> bit % 64 & 1;
}

/* Runs of either sort, of up to so many bits. */
static void fill(unsigned int used, unsigned int clear)
{
	memset(map, 0, sizeof(map));
	for (unsigned int at = chance(clear); at < BITS; at += 1 + chance(clear))
		for (unsigned int nr = 1 + chance(used); nr && at < BITS; nr--, at++)
			map[at / 64] |= 1ull << at % 64;
}

static unsigned int next_slowly(unsigned int from, bool set)
{
	while (from < BITS && is_set(from) != set)
		from++;
	return from < BITS ? from : BITS;
}

static unsigned int run_slowly(unsigned int from, unsigned int nr)
{
	for (; from + nr <= BITS; from++) {
		unsigned int i = 0;

		while (i < nr && !is_set(from + i))
			i++;
		if (i == nr)
			return from;
	}
	return BITS;
}

static void test_find(void)
{
	unsigned int wrong_next = 0, wrong_run = 0, found = 0;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		unsigned int from = chance(BITS + 2), nr = 1 + chance(i % 2 ? 12 : 130);
		unsigned int run;

		fill(1 + chance(90), 1 + chance(i % 3 ? 16 : 150));
		wrong_next += bits_next(map, from, BITS, i % 2) != next_slowly(from, i % 2);
		run = bits_clear_run(map, from, BITS, nr);
		wrong_run += run != run_slowly(from, nr);
		found += run != BITS;
	}
	TAP_EQ(wrong_next, 0u, "the next bit");
	TAP_EQ(wrong_run, 0u, "the first run that is long enough");
	TAP_OK(found > ROUNDS / 10 && found < ROUNDS - ROUNDS / 10,
	       "that there are and that there are not: found %u of %u", found, ROUNDS);
}

static void test_edges(void)
{
	memset(map, 0, sizeof(map));
	TAP_EQ(bits_clear_run(map, 0, BITS, BITS), 0u, "all of an empty map");
	TAP_EQ(bits_clear_run(map, 1, BITS, BITS), BITS, "not from the second bit on");
	TAP_EQ(bits_clear_run(map, BITS - 64, BITS, 64), BITS - 64, "its last word");
	TAP_EQ(bits_clear_run(map, BITS - 63, BITS, 64), BITS, "what would end behind it");
	TAP_EQ(bits_clear_run(map, BITS - 1, BITS, 1), BITS - 1, "its last bit");
	TAP_EQ(bits_clear_run(map, BITS, BITS, 1), BITS, "from its end on");
	TAP_EQ(bits_clear_run(map, UINT16_MAX, BITS, 7), BITS, "from far behind its end on");
	memset(map, 0xff, sizeof(map));
	TAP_EQ(bits_clear_run(map, 0, BITS, 1), BITS, "nothing in a full one");
}

static void test_set(void)
{
	unsigned int wrong = 0;

	for (unsigned int i = 0; i < ROUNDS / 10; i++) {
		unsigned int from = chance(BITS), nr = chance(BITS - from + 1);
		uint64_t was[BITS / 64];

		fill(20, 20);
		memcpy(was, map, sizeof(map));
		bits_set(map, from, nr, i % 2);
		for (unsigned int bit = 0; bit < BITS; bit++) {
			bool inside = bit >= from && bit < from + nr;

			wrong += is_set(bit) != (inside ? i % 2 : was[bit / 64] >> bit % 64 & 1);
		}
	}
	TAP_EQ(wrong, 0u, "bits that are set and cleared, and no others");
}

static void test_count(void)
{
	unsigned int wrong = 0;

	for (unsigned int i = 0; i < ROUNDS / 10; i++) {
		unsigned int nr = 0;

		fill(1 + chance(40), 1 + chance(40));
		for (unsigned int bit = 0; bit < 64; bit++)
			nr += is_set(bit);
		wrong += bits_count(map[0]) != nr;
	}
	TAP_EQ(wrong, 0u, "how many are set");
	TAP_EQ(bits_count(~0ull), 64u, "in a full word, too");
	TAP_EQ(bits_count(0), 0u, "and in an empty one");
}

int main(void)
{
	test_find();
	test_edges();
	test_set();
	test_count();
	return tap_done();
}
