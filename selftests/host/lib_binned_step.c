// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that allocates and frees in memory that it shares is led through that instruction by
 * instruction, and taken for dead after each one that changed the table: what others make of that
 * table is whole, has every block that the dead had, and nothing else but the one it was at.
 */
#include "sanitized.h"

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#include "../../lib/binned.c"
#include "../../lib/binned_run.c"
#include "../../lib/binned_span.c"
#include "../../lib/granule.c"
#include "../../lib/fork_lock.c"
#include "../../lib/thread_part.c"

#define GRANULES 40
#define SHIFT	 12
#define BLOCKS	 64
#define CALLS	 800
#define DEAD	 1	/* members */
#define HEIR	 2
#define NUMBER	 1	/* of the interface */

/*
 * What is shared. @has: addresses from the memory's begin, plus 1, of blocks that are allocated,
 * from when that is over until just before they are freed.
 */
struct shared {
	volatile uint64_t has[BLOCKS];
	volatile uint32_t done;
	uint64_t table[8192];
};

static struct shared *shared, *copy;
static char *memory;

static struct granules granules_in(struct shared *where)
{
	struct granules g;

	granules_at(&g, where->table, memory);
	return g;
}

static void allocate(struct binned *heap, unsigned int i, size_t bytes)
{
	char *block = binned_alloc(heap, bytes);

	if (block)
		shared->has[i] = (uint64_t)(block - memory) + 1;
}

static void give(struct binned *heap, unsigned int i)
{
	uint64_t at = shared->has[i];

	shared->has[i] = 0;
	if (at && binned_free(heap, memory + at - 1))
		_exit(3);
}

static unsigned int next(void)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned int)(state >> 33);
}

/* The other heap is of another thread: what it frees waits for the owner. */
static void lives(void)
{
	struct granules g = granules_in(shared);
	struct binned heap, other;

	if (binned_init(&heap, &g, NUMBER, DEAD, 0, true) ||
	    binned_init(&other, &g, NUMBER, DEAD, 0, true))
		_exit(2);
	raise(SIGSTOP);
	for (int i = 0; i < CALLS; i++) {
		unsigned int block = next() % BLOCKS;

		if (shared->has[block])
			give(next() % 3 ? &heap : &other, block);
		else if (next() % 16)
			allocate(&heap, block, 1 + next() % (next() % 4 ? 600 : 3 * 4096));
		else
			allocate(&heap, block, (1 + next() % GRANULES) << SHIFT);
	}
	/* Threads that end give back what is empty, and leave the rest to others. */
	binned_fini(&other);
	binned_fini(&heap);
	shared->done = 1;
	raise(SIGSTOP);
}

/* Each granule is free or of one span, which is of nobody who is dead; they are counted right. */
static bool is_whole(const struct granules *g)
{
	uint64_t at = 0, n = 0;

	while (at < g->count) {
		uint64_t word = binned_load(&g->words[at]);
		uint32_t length = granule_length(word);

		if (!word) {
			at++;
			continue;
		}
		if (granule_state(word) != GRANULE_HEAD || !length || length > g->count - at ||
		    granule_owner(word) != GRANULE_NOBODY)
			return false;
		for (uint32_t i = 1; i < length; i++)
			if (binned_load(&g->words[at + i]) !=
			    granule_word(GRANULE_BODY, 0, 0, 0, i))
				return false;
		n += length;
		at += length;
	}
	return n == atomic_load(&g->table->used);
}

/* What the heir finds: how many of the dead's blocks are not there, and how many others are. */
static void look(const struct binned *heap, unsigned int *missing, unsigned int *others)
{
	uint64_t blocks, bytes, there = 0;

	*missing = 0;
	for (unsigned int i = 0; i < BLOCKS; i++) {
		if (!copy->has[i])
			continue;
		if (binned_size(heap, memory + copy->has[i] - 1))
			there++;
		else
			++*missing;
	}
	binned_count(heap, &blocks, &bytes);
	*others = (unsigned int)(blocks - there);
}

/* All that there is can be given back, and then be one block. */
static bool all_is_free(struct granules *g, struct binned *heap)
{
	for (uint64_t at = 0; at < g->count << g->shift; at += 16)
		if (binned_size(heap, memory + at) && binned_free(heap, memory + at))
			return false;
	return binned_alloc(heap, g->count << g->shift);
}

int main(void)
{
	unsigned long deaths = 0, bad = 0, lost = 0, more = 0, stuck = 0;
	uint64_t bytes = granules_table_bytes(GRANULES, SHIFT);
	int status;
	pid_t child;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	memory = mmap(NULL, GRANULES << SHIFT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	copy = malloc(sizeof(*copy));
	if (shared == MAP_FAILED || memory == MAP_FAILED || !copy || bytes > sizeof(shared->table))
		tap_bail("no memory");
	granules_format(shared->table, GRANULES, SHIFT, 0, 0);
	child = fork();
	if (!child) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(4);
		lives();
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		tap_bail("a child could not be traced");
	memset(copy, 0xff, sizeof(*copy));
	while (!shared->done) {
		unsigned int missing, others;
		struct binned heap;
		struct granules g;

		if (!memcmp(copy->table, shared->table, bytes))
			goto step;
		memcpy(copy, shared, sizeof(*copy));
		g = granules_in(copy);
		granules_bury(&g, DEAD);
		bad += !is_whole(&g);
		if (binned_init(&heap, &g, NUMBER, HEIR, 0, true))
			tap_bail("no heap");
		look(&heap, &missing, &others);
		lost += missing;
		more += others > 1;
		stuck += !all_is_free(&g, &heap);
		binned_fini(&heap);
		memcpy(copy, shared, sizeof(*copy));
		deaths++;
step:
		if (ptrace(PTRACE_SINGLESTEP, child, 0, 0) || waitpid(child, &status, 0) != child ||
		    !WIFSTOPPED(status))
			tap_bail("the child has ended, with %d", status);
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	TAP_OK(deaths > 2000, "deaths at %lu instructions that changed the table", deaths);
	TAP_EQ(bad, 0, "each granule is free or of one span, and they are counted right");
	TAP_EQ(lost, 0, "no block is lost that somebody had");
	TAP_EQ(more, 0, "at most one is there that nobody had");
	TAP_EQ(stuck, 0, "and all that was allocated can be freed, and be one block");
	return tap_done();
}
