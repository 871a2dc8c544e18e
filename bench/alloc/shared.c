// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that share a region: pairs and windows in all of them at once, beside as many threads
 * of one process on a space that is not shared. Wall time by the block of all of them, the best of
 * some runs.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap.h"

#define WORKERS_MAX 4
#define LIVE	    64
#define RUNS	    5

static const size_t sizes[] = { 64, 1024, 65536 };

#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

enum load { PAIR, WINDOW, LOADS };

static const char *const load_names[] = { "pair", "window" };

/* Seen by all. */
static struct gate {
	pthread_barrier_t barrier;
	double begin[WORKERS_MAX];
	double end[WORKERS_MAX];
	double best[SIZES][LOADS];
} *gate;

static const struct heap *heap;
static const char *place;
static unsigned int workers;

static void pairs(void *state, size_t bytes, size_t calls)
{
	for (size_t i = 0; i < calls; i++)
		heap->free(state, heap->alloc(state, bytes));
}

static void window(void *state, size_t bytes, size_t calls)
{
	uint64_t seed = 88172645463325252ull;
	void *live[LIVE];

	for (size_t i = 0; i < LIVE; i++)
		live[i] = heap->alloc(state, bytes);
	for (size_t i = 0; i < calls; i++) {
		void **slot = &live[dice(&seed) % LIVE];

		heap->free(state, *slot);
		*slot = heap->alloc(state, bytes);
	}
	for (size_t i = 0; i < LIVE; i++)
		heap->free(state, live[i]);
}

static void run(unsigned int who, void *state, size_t size, enum load load, size_t calls)
{
	double begin, end, ns;

	pthread_barrier_wait(&gate->barrier);
	gate->begin[who] = wall_time();
	(load == PAIR ? pairs : window)(state, sizes[size], calls);
	gate->end[who] = wall_time();
	pthread_barrier_wait(&gate->barrier);
	if (who)
		return;
	begin = gate->begin[0];
	end = gate->end[0];
	for (unsigned int i = 1; i < workers; i++) {
		begin = gate->begin[i] < begin ? gate->begin[i] : begin;
		end = gate->end[i] > end ? gate->end[i] : end;
	}
	ns = (end - begin) / (double)(calls * workers);
	if (!gate->best[size][load] || ns < gate->best[size][load])
		gate->best[size][load] = ns;
}

static void *work(void *arg)
{
	unsigned int who = (unsigned int)(uintptr_t)arg;
	size_t calls = quick ? 500 : heap == &heap_boost ? 2000 : 20000;
	void *state = heap->enter(0);

	pin(who);
	for (size_t size = 0; size < SIZES; size++)
		for (enum load load = PAIR; load < LOADS; load++)
			for (int i = 0; i < (quick ? 1 : RUNS); i++)
				run(who, state, size, load, calls);
	heap->leave(state);
	return NULL;
}

static void by_threads(void)
{
	pthread_t threads[WORKERS_MAX];

	for (unsigned int i = 0; i < workers; i++)
		pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i);
	for (unsigned int i = 0; i < workers; i++)
		pthread_join(threads[i], NULL);
}

static void by_processes(void)
{
	for (unsigned int i = 0; i < workers; i++) {
		pid_t child = fork();

		if (child < 0)
			fail("shared", "no process can be had");
		if (child)
			continue;
		if (!heap->open(place, false))
			fail(heap->name, "it cannot be opened");
		work((void *)(uintptr_t)i);
		_exit(0);
	}
	for (unsigned int i = 0; i < workers; i++) {
		int status = 1;

		if (wait(&status) < 0 || status)
			fail("shared", "a process failed");
	}
}

static void one(const char *metric_end)
{
	pthread_barrierattr_t shared;
	char metric[64];

	pthread_barrierattr_init(&shared);
	pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&gate->barrier, &shared, workers);
	for (size_t i = 0; i < SIZES * LOADS; i++)
		gate->best[i / LOADS][i % LOADS] = 0;
	if (heap == &heap_general)
		by_threads();
	else
		by_processes();
	for (size_t size = 0; size < SIZES; size++)
		for (enum load load = PAIR; load < LOADS; load++) {
			snprintf(metric, sizeof(metric), "shared-%s-%s-%s", load_names[load],
				 size_name(sizes[size]), metric_end);
			/* What the goals are of is the shared one. */
			sample(metric, "ns",
			       heap == &heap_shared  ? "hmem" :
			       heap == &heap_general ? "general" : heap->name,
			       gate->best[size][load]);
		}
	pthread_barrier_destroy(&gate->barrier);
}

void shared_round(const char *where, unsigned int round)
{
	static const struct heap *const list[] = {
		&heap_shared, &heap_boost, &heap_general, NULL,
	};
	size_t nr = sizeof(list) / sizeof(list[0]) - 1;
	static bool there[3];

	place = where;
	if (!gate) {
		gate = mmap(NULL, sizeof(*gate), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (gate == MAP_FAILED)
			fail("shared", "no memory");
		/* Those that processes open are only looked for here. */
		there[0] = true;
		there[1] = heap_boost.open(where, false);
		there[2] = heap_general.open(where, true);
		if (!there[1] && !quick)
			fail("boost", "it could not be built");
	}
	for (workers = 2; workers <= WORKERS_MAX; workers += 2)
		for (size_t i = 0; i < nr; i++) {
			char end[16];

			heap = list[(i + round) % nr];
			snprintf(end, sizeof(end), "%u", workers);
			if (there[(i + round) % nr])
				one(end);
		}
}
