/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the processes of the stress test share: the board that counts, random numbers that a
 * seed repeats, and the stamp that tells whose memory one looks at.
 *
 * Every aligned word of a region is either 0 or the stamp of that region at that offset,
 * whichever way it was stored: whoever sees anything else sees memory of somebody else.
 */
#ifndef SELFTESTS_GUEST_STRESS_H
#define SELFTESTS_GUEST_STRESS_H

#include "fixture.h"

#define STRESS_OPERATIONS	64
#define STRESS_REGIONS		12
#define STRESS_POOLS		4

/**
 * struct board - shared by all processes
 * @stop: the round is over
 * @name: of each operation, set by whoever does it first
 * @done: how often it was done
 * @worked: how often it did not fail
 * @buses: SIGBUS and SIGSEGV that were caught
 * @wrong: what must not be
 * @complaint: the first of it
 */
struct board {
	volatile int stop;
	const char *name[STRESS_OPERATIONS];
	uint64_t done[STRESS_OPERATIONS];
	uint64_t worked[STRESS_OPERATIONS];
	uint64_t buses;
	int wrong;
	char complaint[200];
};

static struct board *board;

#define ADD(counter, n)	__atomic_fetch_add(&(counter), (n), __ATOMIC_RELAXED)

__attribute__((format(printf, 1, 2))) static inline void stress_complain(const char *format, ...)
{
	va_list ap;

	if (ADD(board->wrong, 1))
		return;
	va_start(ap, format);
	vsnprintf(board->complaint, sizeof(board->complaint), format, ap);
	va_end(ap);
}

/* A number of its own for each place that it is written at, and the count of it. */
static inline bool stress_count(int operation, const char *name, bool worked)
{
	board->name[operation] = name;
	ADD(board->done[operation], 1);
	if (worked)
		ADD(board->worked[operation], 1);
	return worked;
}

/* Random numbers: xorshift64*. */

static __thread uint64_t dice_state;

static inline void dice_seed(uint64_t seed, uint64_t who)
{
	dice_state = (seed + 1) * 0x9e3779b97f4a7c15ULL ^ (who + 1) * 0xd1342543de82ef95ULL;
	if (!dice_state)
		dice_state = 1;
}

static inline uint64_t dice(uint64_t sides)
{
	dice_state ^= dice_state >> 12;
	dice_state ^= dice_state << 25;
	dice_state ^= dice_state >> 27;
	return (dice_state * 0x2545f4914f6cdd1dULL >> 16) % sides;
}

static inline bool one_in(uint64_t n)
{
	return !dice(n);
}

#define PICK(array)	((array)[dice(sizeof(array) / sizeof((array)[0]))])

/* Stamps. */

static inline uint64_t stress_key(const struct hmem_region_query *info)
{
	uint64_t key;

	memcpy(&key, info->uuid, sizeof(key));
	return key;
}

static inline uint64_t stress_stamp(uint64_t key, uint64_t offset)
{
	return (key ^ offset * 0x9e3779b97f4a7c15ULL) | 1;
}

static inline void stress_check(uint64_t word, uint64_t key, uint64_t offset, const char *how)
{
	if (word && word != stress_stamp(key, offset))
		stress_complain("%s: %#llx at offset %#llx of region %016llx", how,
				(unsigned long long)word, (unsigned long long)offset,
				(unsigned long long)key);
}

static inline void stress_fill(uint64_t *words, size_t bytes, uint64_t key, uint64_t offset)
{
	for (size_t i = 0; i < bytes / 8; i++)
		words[i] = stress_stamp(key, offset + 8 * i);
}

static inline void stress_check_all(const uint64_t *words, size_t bytes, uint64_t key,
				    uint64_t offset, const char *how)
{
	for (size_t i = 0; i < bytes / 8; i++)
		stress_check(words[i], key, offset + 8 * i, how);
}

static inline void region_name(char name[HMEM_NAME_LEN])
{
	snprintf(name, HMEM_NAME_LEN, "s%d", (int)dice(STRESS_REGIONS));
}

#endif
