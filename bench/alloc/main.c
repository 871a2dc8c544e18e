// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures allocators beside each other:
 *
 *	alloc pairs|threads|shared|copy|held FIRST ROUNDS PLACE
 *
 * FIRST is the number of the first round, which says who begins. PLACE is a directory on tmpfs.
 * Prints samples as bench/report reads them. BENCH_QUICK in the environment: runs that are too
 * short to mean anything.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "heap.h"

bool quick;

_Noreturn void fail(const char *what, const char *why)
{
	fprintf(stderr, "alloc: %s: %s\n", what, why);
	exit(1);
}

static double clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

double wall_time(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

double own_time(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void pin(unsigned int number)
{
	static cpu_set_t allowed;
	static int nr;
	cpu_set_t one;
	int cpu = 0;

	if (!nr) {
		sched_getaffinity(0, sizeof(allowed), &allowed);
		nr = CPU_COUNT(&allowed);
	}
	number %= (unsigned int)nr;
	while (!CPU_ISSET(cpu, &allowed) || number--)
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

size_t dice_size(uint64_t *seed, size_t least, size_t most)
{
	unsigned int powers = (unsigned int)(__builtin_ctzll(most) - __builtin_ctzll(least));
	size_t from = least << dice(seed) % powers;

	return from + dice(seed) % from;
}

void sample(const char *metric, const char *unit, const char *who, double value)
{
	printf("%s %s %s %.6g\n", metric, unit, who, value);
}

const char *size_name(size_t bytes)
{
	static char name[32];

	snprintf(name, sizeof(name), "%zu%s",
		 bytes >> 20 ? bytes >> 20 : bytes >> 10 ? bytes >> 10 : bytes,
		 bytes >> 20 ? "M" : bytes >> 10 ? "K" : "");
	return name;
}

const struct heap **heaps_open(const struct heap *const *list, const char *place, bool populate)
{
	size_t nr = 0, n = 0;
	const struct heap **there;

	while (list[nr])
		nr++;
	there = calloc(nr + 1, sizeof(*there));
	if (!there)
		fail("heaps", "no memory");
	for (size_t i = 0; i < nr; i++) {
		if (list[i]->open(place, populate))
			there[n++] = list[i];
		else if (!quick)
			fail(list[i]->name, "it is not on this machine, or cannot be had");
	}
	return there;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*round)(const char *place, unsigned int round);
	} parts[] = {
		{ "pairs", pairs_round }, { "threads", threads_round }, { "shared", shared_round },
		{ "copy", copy_round },	  { "held", held_round },
	};
	unsigned int first = argc == 5 ? (unsigned int)atoi(argv[2]) : 0;
	unsigned int rounds = argc == 5 ? (unsigned int)atoi(argv[3]) : 0;

	if (!rounds)
		fail("usage", "alloc pairs|threads|shared|copy|held FIRST ROUNDS PLACE");
	quick = getenv("BENCH_QUICK") && *getenv("BENCH_QUICK");
	pin(0);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strcmp(argv[1], parts[i].name))
			continue;
		for (unsigned int round = first; round < first + rounds; round++)
			parts[i].round(argv[4], round);
		return 0;
	}
	fail(argv[1], "there is no such part");
}
