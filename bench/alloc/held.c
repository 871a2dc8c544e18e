// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory after fragmentation: small blocks up to so many bytes, of which three of four are freed
 * at random, and larger ones in their place. What the process grew by then, by what is allocated.
 * Each in a process of its own, whose memory is there when it is touched.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap.h"

#define LIVE_BYTES   (quick ? 8u << 20 : 128u << 20)
#define BLOCKS_MAX   (1u << 20)
#define PAGE	     4096

static void **blocks;
static size_t *sizes;
static size_t nr, bytes;

static double resident(void)
{
	unsigned long all, here;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%lu %lu", &all, &here) != 2)
		fail("held", "/proc/self/statm cannot be read");
	fclose(file);
	return (double)here * (double)sysconf(_SC_PAGESIZE);
}

/* Each page of it is used. */
static void *touched(const struct heap *heap, void *state, size_t size)
{
	char *block = heap->alloc(state, size);

	for (size_t i = 0; i < size; i += PAGE)
		block[i] = 1;
	block[size - 1] = 1;
	return block;
}

static void fill(const struct heap *heap, void *state, uint64_t *seed, size_t least, size_t most)
{
	while (bytes < LIVE_BYTES && nr < BLOCKS_MAX) {
		sizes[nr] = dice_size(seed, least, most);
		blocks[nr] = touched(heap, state, sizes[nr]);
		bytes += sizes[nr++];
	}
}

static void free_most(const struct heap *heap, void *state, uint64_t *seed)
{
	size_t left = 0;

	for (size_t i = 0; i < nr; i++) {
		if (dice(seed) % 4) {
			heap->free(state, blocks[i]);
			bytes -= sizes[i];
		} else {
			blocks[left] = blocks[i];
			sizes[left++] = sizes[i];
		}
	}
	nr = left;
}

static void one(const struct heap *heap, const char *place, unsigned int round)
{
	uint64_t seed = 88172645463325252ull + round * 7919;
	double before;
	void *state;

	blocks = calloc(BLOCKS_MAX, sizeof(*blocks));
	sizes = calloc(BLOCKS_MAX, sizeof(*sizes));
	if (!blocks || !sizes)
		fail("held", "no memory");
	for (size_t i = 0; i < BLOCKS_MAX; i++) {
		blocks[i] = blocks;
		sizes[i] = i;
	}
	if (!heap->open(place, false)) {
		if (!quick)
			fail(heap->name, "it is not on this machine");
		return;
	}
	state = heap->enter(0);
	before = resident();
	fill(heap, state, &seed, 16, 4096);
	free_most(heap, state, &seed);
	fill(heap, state, &seed, 1024, 256 << 10);
	sample("held", "times", heap->name, (resident() - before) / (double)bytes);
}

void held_round(const char *place, unsigned int round)
{
	static const struct heap *const list[] = {
		&heap_general, &heap_mimalloc, &heap_jemalloc, &heap_glibc, &heap_memkind,
		&heap_kept,
	};
	size_t n = sizeof(list) / sizeof(list[0]);

	fflush(stdout);
	for (size_t i = 0; i < n; i++) {
		int status = 1;
		pid_t child = fork();

		if (!child) {
			one(list[(i + round) % n], place, round);
			fflush(stdout);
			_exit(0);
		}
		if (child < 0 || wait(&status) < 0 || status)
			fail("held", "a process failed");
	}
}
