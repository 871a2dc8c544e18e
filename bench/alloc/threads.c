// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two threads: one allocates and the other frees (handoff), by a bounded ring; both replace blocks
 * of many sizes in arrays that they hand to threads that come after them (larson). Wall time by
 * the block and thread, the best of some runs: others on the machine take part of it.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "heap.h"

#define THREADS	    2
#define RING	    1024
#define SLOTS	    1000
#define GENERATIONS 4

static const struct heap *heap;
static pthread_barrier_t barrier;
static size_t calls;
static double begins[THREADS], ends[THREADS];

static void cpu_relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#endif
}

/* A thread that does nothing but wait leaves the processor, which may be the other's as well. */
static void wait_a_bit(unsigned int *tries)
{
	if (++*tries % 64 == 0)
		sched_yield();
	else
		cpu_relax();
}

/* --- handoff ------------------------------------------------------------------------- */

static void *ring[RING];
static _Atomic size_t made, used;

/* Both have freed a block before the clock runs: what a thread has is there then. */
static void *enter(void)
{
	void *state = heap->enter(0);

	heap->free(state, heap->alloc(state, 16));
	return state;
}

static void *producer(void *arg)
{
	uint64_t seed = 88172645463325252ull;
	void *state = enter();

	(void)arg;
	pin(0);
	pthread_barrier_wait(&barrier);
	begins[0] = wall_time();
	for (size_t i = 0; i < calls; i++) {
		unsigned int tries = 0;

		while (i - atomic_load_explicit(&used, memory_order_acquire) >= RING)
			wait_a_bit(&tries);
		ring[i % RING] = heap->alloc(state, dice_size(&seed, 16, 1024));
		atomic_store_explicit(&made, i + 1, memory_order_release);
	}
	ends[0] = wall_time();
	/* Blocks of his are freed as long as he is there. */
	pthread_barrier_wait(&barrier);
	heap->leave(state);
	return NULL;
}

static void *consumer(void *arg)
{
	void *state = enter();

	(void)arg;
	pin(1);
	pthread_barrier_wait(&barrier);
	begins[1] = wall_time();
	for (size_t i = 0; i < calls; i++) {
		unsigned int tries = 0;

		while (atomic_load_explicit(&made, memory_order_acquire) <= i)
			wait_a_bit(&tries);
		heap->free(state, ring[i % RING]);
		atomic_store_explicit(&used, i + 1, memory_order_release);
	}
	ends[1] = wall_time();
	pthread_barrier_wait(&barrier);
	heap->leave(state);
	return NULL;
}

static double whole(void)
{
	double begin = begins[0] < begins[1] ? begins[0] : begins[1];

	return (ends[0] > ends[1] ? ends[0] : ends[1]) - begin;
}

static double handoff(void)
{
	pthread_t threads[THREADS];

	made = used = 0;
	pthread_create(&threads[0], NULL, producer, NULL);
	pthread_create(&threads[1], NULL, consumer, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return whole() / (double)calls;
}

/* --- larson -------------------------------------------------------------------------- */

/* @nr: of the thread that has it; it begins the next one before it ends */
struct array {
	unsigned int number;
	unsigned int nr;
	uint64_t seed;
	pthread_t threads[GENERATIONS];
	void *blocks[SLOTS];
};

static void *generation(void *arg)
{
	struct array *array = arg;
	void *state;

	pin(array->number);
	state = heap->enter(0);
	for (size_t i = 0; i < calls / GENERATIONS; i++) {
		void **slot = &array->blocks[dice(&array->seed) % SLOTS];

		if (*slot)
			heap->free(state, *slot);
		*slot = heap->alloc(state, dice_size(&array->seed, 16, 1024));
	}
	/* Its heap stays: blocks of it are handed on. */
	if (++array->nr < GENERATIONS)
		pthread_create(&array->threads[array->nr], NULL, generation, array);
	return NULL;
}

static double larson(void)
{
	static struct array arrays[THREADS];
	double begin = wall_time(), end;

	for (unsigned int i = 0; i < THREADS; i++) {
		arrays[i].number = i;
		arrays[i].nr = 0;
		arrays[i].seed = 88172645463325252ull + i;
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_create(&arrays[i].threads[0], NULL, generation, &arrays[i]);
	for (unsigned int i = 0; i < THREADS; i++)
		for (int j = 0; j < GENERATIONS; j++)
			pthread_join(arrays[i].threads[j], NULL);
	end = wall_time();
	for (unsigned int i = 0; i < THREADS; i++) {
		void *state = heap->enter(0);

		for (size_t j = 0; j < SLOTS; j++) {
			if (arrays[i].blocks[j])
				heap->free(state, arrays[i].blocks[j]);
			arrays[i].blocks[j] = NULL;
		}
		heap->leave(state);
	}
	return (end - begin) / (double)calls;
}

/* --- both ---------------------------------------------------------------------------- */

static double best_of(double (*load)(void), unsigned int runs)
{
	double best = load();

	while (--runs) {
		double ns = load();

		best = ns < best ? ns : best;
	}
	return best;
}

void threads_round(const char *place, unsigned int round)
{
	static const struct heap *const list[] = {
		&heap_general, &heap_mimalloc, &heap_jemalloc, &heap_glibc, &heap_memkind,
		&heap_kept,    NULL,
	};
	static const struct heap **heaps;
	static size_t nr;

	if (!heaps) {
		heaps = heaps_open(list, place, true);
		while (heaps[nr])
			nr++;
		pthread_barrier_init(&barrier, NULL, THREADS);
	}
	calls = quick ? 2000 : 40000;
	for (size_t i = 0; i < nr; i++) {
		heap = heaps[(i + round) % nr];
		sample("handoff", "ns", heap->name, best_of(handoff, quick ? 1 : 5));
		sample("larson", "ns", heap->name, best_of(larson, quick ? 1 : 5));
	}
}
