/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random numbers, fast and repeatable: a counter, mixed (Steele, Lea and Flood, "Fast splittable
 * pseudorandom number generators", OOPSLA 2014), and draws from any distribution in constant time
 * (Walker's aliases).
 */
#ifndef TIER_RANDOM_H
#define TIER_RANDOM_H

#include <stdint.h>

struct random {
	uint64_t state;
};

static inline uint64_t random_next(struct random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* Below @n, from 32 bits. */
static inline uint32_t random_scale(uint32_t bits, uint32_t n)
{
	return (uint32_t)((uint64_t)bits * n >> 32);
}

static inline uint32_t random_below(struct random *r, uint32_t n)
{
	return random_scale((uint32_t)random_next(r), n);
}

static inline double random_unit(struct random *r)
{
	return (double)(random_next(r) >> 11) * 0x1p-53;
}

struct alias {
	uint32_t n;
	struct {
		uint32_t keep;
		uint32_t other;
	} *slot;
};

/* Slot i comes with a probability of weight[i] by the sum of all. */
void alias_build(struct alias *a, const double *weight, uint32_t n);
void alias_free(struct alias *a);

static inline uint32_t alias_draw(const struct alias *a, struct random *r)
{
	uint64_t bits = random_next(r);
	uint32_t i = random_scale((uint32_t)bits, a->n);

	return (uint32_t)(bits >> 32) <= a->slot[i].keep ? i : a->slot[i].other;
}

/* A permutation of 0 to n - 1. */
uint32_t *random_permutation(struct random *r, uint32_t n);

#endif
