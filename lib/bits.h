/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs of bits in a map: a bit that is set is something that is used.
 */
#ifndef LIB_BITS_H
#define LIB_BITS_H

#include <stdbool.h>
#include <stdint.h>

/* The first bit from @from on that is @set, or @limit. */
static inline unsigned int bits_next(const uint64_t *map, unsigned int from, unsigned int limit,
				     bool set)
{
	while (from < limit) {
		uint64_t word = map[from / 64] ^ (set ? 0 : ~0ull);

		word &= ~0ull << from % 64;
		if (word) {
			from = (from & ~63u) + (unsigned int)__builtin_ctzll(word);
			return from < limit ? from : limit;
		}
		from = (from & ~63u) + 64;
	}
	return limit;
}

static inline void bits_set(uint64_t *map, unsigned int from, unsigned int nr, bool set)
{
	while (nr) {
		unsigned int bit = from % 64, here = 64 - bit < nr ? 64 - bit : nr;
		uint64_t mask = (here == 64 ? ~0ull : (1ull << here) - 1) << bit;

		if (set)
			map[from / 64] |= mask;
		else
			map[from / 64] &= ~mask;
		from += here;
		nr -= here;
	}
}

/* How many are set; by arithmetic, as the instruction for it is not on every processor. */
static inline unsigned int bits_count(uint64_t word)
{
	word -= word >> 1 & 0x5555555555555555ull;
	word = (word & 0x3333333333333333ull) + (word >> 2 & 0x3333333333333333ull);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return (unsigned int)(word * 0x0101010101010101ull >> 56);
}

/* Where @nr of them, 1 to 64, are clear from there on: bits of @low, which @high follows. */
static inline uint64_t bits_clear_from(uint64_t low, uint64_t high, unsigned int nr)
{
	unsigned __int128 clear = ~((unsigned __int128)high << 64 | low);
	unsigned int have = 1;

	/* A bit that is left has so many behind it that are clear as well. */
	for (; 2 * have <= nr; have *= 2)
		clear &= clear >> have;
	return (uint64_t)(clear & clear >> (nr - have));
}

/*
 * The first of the @nr clear bits in a row that begin earliest from @from on, or @limit, a
 * multiple of 64, when there are none before that. Short ones are found a word at a time,
 * however many still shorter ones there are in it.
 */
static inline unsigned int bits_clear_run(const uint64_t *map, unsigned int from,
					  unsigned int limit, unsigned int nr)
{
	if (nr - 1 < 64) {
		uint64_t begin = ~0ull << from % 64;

		for (unsigned int i = from / 64; i < limit / 64; i++, begin = ~0ull) {
			uint64_t high = i + 1 < limit / 64 ? map[i + 1] : ~0ull, starts;

			if (map[i] == ~0ull)
				continue;
			starts = bits_clear_from(map[i], high, nr) & begin;
			if (starts)
				return i * 64 + (unsigned int)__builtin_ctzll(starts);
		}
		return limit;
	}
	while (from + nr <= limit) {
		unsigned int end;

		from = bits_next(map, from, limit, false);
		if (from + nr > limit)
			break;
		end = bits_next(map, from, from + nr, true);
		if (end == from + nr)
			return from;
		from = end;
	}
	return limit;
}

#endif
