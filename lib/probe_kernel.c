// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What is done to memory to find out how fast it is.
 */
#include <string.h>
#include <time.h>

#include "probe.h"

#define LINE 64

/* Between two looks at the clock: some 100 us of memory. */
#define STEPS 1024

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t hmem_probe_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* No thread reads before the others do; some may come late. */
static void wait_for(uint64_t from)
{
	while (hmem_probe_now() < from)
		;
}

/*
 * The order of lines is that of a linear congruential generator (Knuth's MMIX), whose low bits run
 * through all numbers before one comes again: no line is there still since it was last read. As its
 * lowest bits hardly change, those above are mixed into them, which leaves each number one.
 *
 * The generator does not wait for the memory, so a processor is ahead of it and all that is between
 * two reads is to add what the first one brought. That is made 0, which the compiler does not know:
 * nothing has to be written first, so memory that is somebody's can be measured.
 *
 * The time is the thread's own: when others want its processor memory becomes no slower.
 */
struct hmem_probe_done hmem_probe_latency(char *at, size_t bytes, uint64_t from, uint64_t until,
					  uint64_t *state)
{
	const volatile uint64_t nothing = 0;
	uint64_t zero = nothing, x = *state, got = 0, done = 0;
	unsigned int bits = 63 - (unsigned int)__builtin_clzll(bytes / LINE), half = (bits + 1) / 2;
	uint64_t mask = ((uint64_t)1 << bits) - 1, began;

	wait_for(from);
	began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	do {
		for (unsigned int i = 0; i < STEPS; i++) {
			uint64_t line;

			x = x * 6364136223846793005u + 1442695040888963407u;
			line = x & mask;
			line ^= line >> half;
			got = *(const volatile uint64_t *)(at + line * LINE + got) & zero;
		}
		done += STEPS;
	} while (hmem_probe_now() < until);
	*state = x;
	return (struct hmem_probe_done){ done, clock_ns(CLOCK_THREAD_CPUTIME_ID) - began };
}

/* Several sums, so that none waits for another's. */
static void read_all(const char *at, size_t bytes)
{
	const uint64_t *word = (const uint64_t *)at, *end = word + bytes / sizeof(*word);
	uint64_t a = 0, b = 0, c = 0, d = 0;

	for (; word < end; word += 8) {
		a += word[0] + word[4];
		b += word[1] + word[5];
		c += word[2] + word[6];
		d += word[3] + word[7];
	}
	a += b + c + d;
	/* Somebody needs it. */
	__asm__ volatile("" : : "r"(a));
}

static struct hmem_probe_done stream(char *at, size_t bytes, uint64_t from, uint64_t until,
				     uint64_t *state, bool writes)
{
	size_t chunk = bytes < HMEM_PROBE_CHUNK ? bytes : HMEM_PROBE_CHUNK;
	uint64_t done = 0, now;

	wait_for(from);
	from = hmem_probe_now();
	do {
		if (*state > bytes - chunk)
			*state = 0;
		if (writes)
			/* What a C library takes for best with large blocks. */
			memset(at + *state, (int)*state, chunk);
		else
			read_all(at + *state, chunk);
		*state += chunk;
		done += chunk;
		now = hmem_probe_now();
	} while (now < until);
	return (struct hmem_probe_done){ done, now - from };
}

struct hmem_probe_done hmem_probe_reads(char *at, size_t bytes, uint64_t from, uint64_t until,
					uint64_t *state)
{
	return stream(at, bytes, from, until, state, false);
}

struct hmem_probe_done hmem_probe_writes(char *at, size_t bytes, uint64_t from, uint64_t until,
					 uint64_t *state)
{
	return stream(at, bytes, from, until, state, true);
}
