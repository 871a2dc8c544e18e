// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The threads that measure: one after the other latency, reads and writes, each several times, and
 * the median counts. They share a clock and nothing else: a repetition lasts from one time to
 * another, and what a thread that was late has done is divided by the time that it had.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctx.h"
#include "probe.h"

/* How often the caller hears of it. */
#define TELL_NS 50000000u

/* Until all threads run, which begin in step. */
#define HEAD_START_NS 1000000u

#define R HMEM_PROBE_REPETITIONS

/* Bytes that the memory is cut into for threads, so that none shares a page with another. */
#define PART_ALIGN HMEM_PROBE_LEAST

enum gate { GATE_SHUT, GATE_OPEN, GATE_GO_HOME };

/*
 * One measurement.
 * @lock: protects @gate and @home; with them are waited for @opened and @came
 * @from: when its first repetition begins; set before the gate opens
 * @slice: ns that each takes
 */
struct phase {
	hmem_probe_kernel *kernel;
	pthread_mutex_t lock;
	pthread_cond_t opened;
	pthread_cond_t came;
	enum gate gate;
	unsigned int home;
	uint64_t from;
	uint64_t slice;
};

struct worker {
	struct phase *phase;
	pthread_t thread;
	char *at;
	size_t bytes;
	struct hmem_probe_done done[R];
};

/* What the caller is told of. */
struct told {
	struct hmem_ctx *ctx;
	uint64_t from;
	uint64_t total_ms;
};

static bool wait_at_gate(struct phase *phase)
{
	bool open;

	pthread_mutex_lock(&phase->lock);
	while (phase->gate == GATE_SHUT)
		pthread_cond_wait(&phase->opened, &phase->lock);
	open = phase->gate == GATE_OPEN;
	pthread_mutex_unlock(&phase->lock);
	return open;
}

static void open_gate(struct phase *phase, enum gate gate)
{
	pthread_mutex_lock(&phase->lock);
	phase->from = hmem_probe_now() + HEAD_START_NS;
	phase->gate = gate;
	pthread_cond_broadcast(&phase->opened);
	pthread_mutex_unlock(&phase->lock);
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct phase *phase = worker->phase;
	uint64_t state = 0;

	if (wait_at_gate(phase))
		for (unsigned int r = 0; r < R; r++) {
			uint64_t from = phase->from + r * phase->slice;

			worker->done[r] = phase->kernel(worker->at, worker->bytes, from,
							from + phase->slice, &state);
		}
	pthread_mutex_lock(&phase->lock);
	phase->home++;
	pthread_cond_signal(&phase->came);
	pthread_mutex_unlock(&phase->lock);
	return NULL;
}

static void tell(const struct told *told)
{
	uint64_t ms = (hmem_probe_now() - told->from) / 1000000;

	hmem_progress(told->ctx, "measuring", ms < told->total_ms ? ms : told->total_ms - 1,
		      told->total_ms);
}

/* Until all are at home; the caller is told how far it is meanwhile. */
static void wait_for_all(struct phase *phase, unsigned int n, const struct told *told)
{
	pthread_mutex_lock(&phase->lock);
	while (phase->home < n) {
		uint64_t until = hmem_probe_now() + TELL_NS;
		struct timespec ts = { .tv_sec = (time_t)(until / 1000000000),
				       .tv_nsec = (long)(until % 1000000000) };

		if (pthread_cond_timedwait(&phase->came, &phase->lock, &ts) != ETIMEDOUT)
			continue;
		/* It may call the library. */
		pthread_mutex_unlock(&phase->lock);
		tell(told);
		pthread_mutex_lock(&phase->lock);
	}
	pthread_mutex_unlock(&phase->lock);
}

/* On one processor; no signal is handled there but those that it brings about itself. */
static int start(struct worker *worker, int cpu)
{
	cpu_set_t *set = CPU_ALLOC((size_t)cpu + 1);
	size_t size = CPU_ALLOC_SIZE((size_t)cpu + 1);
	pthread_attr_t attributes;
	sigset_t others, was;
	int err;

	if (!set)
		return ENOMEM;
	CPU_ZERO_S(size, set);
	CPU_SET_S((size_t)cpu, size, set);
	sigfillset(&others);
	sigdelset(&others, SIGBUS);
	sigdelset(&others, SIGSEGV);
	err = pthread_attr_init(&attributes);
	if (!err) {
		err = pthread_attr_setaffinity_np(&attributes, size, set);
		pthread_sigmask(SIG_SETMASK, &others, &was);
		if (!err)
			err = pthread_create(&worker->thread, &attributes, work, worker);
		pthread_sigmask(SIG_SETMASK, &was, NULL);
		pthread_attr_destroy(&attributes);
	}
	CPU_FREE(set);
	return err;
}

static int by_rate(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* What they did in a ns, all together: the median of the repetitions. */
static double median(const struct worker *workers, unsigned int n)
{
	double rates[R] = { 0 };

	for (unsigned int r = 0; r < R; r++)
		for (unsigned int i = 0; i < n; i++)
			rates[r] += (double)workers[i].done[r].done /
				    (double)(workers[i].done[r].time ? workers[i].done[r].time : 1);
	qsort(rates, R, sizeof(*rates), by_rate);
	return rates[R / 2];
}

static int run_phase(struct phase *phase, struct worker *workers, unsigned int n,
		     const struct hmem_probe_cpus *cpus, const struct told *told)
{
	unsigned int started = 0;
	int err = 0;

	while (!err && started < n) {
		workers[started].phase = phase;
		err = start(&workers[started], cpus->cpu[started]);
		started += !err;
	}
	open_gate(phase, err ? GATE_GO_HOME : GATE_OPEN);
	wait_for_all(phase, started, told);
	for (unsigned int i = 0; i < started; i++)
		pthread_join(workers[i].thread, NULL);
	if (err)
		return hmem_fail(told->ctx, -err, "no thread on processor %d to measure with: %s",
				 cpus->cpu[started], strerror(err));
	return 0;
}

/* What @n threads do in a ns. */
static int measure(hmem_probe_kernel *kernel, uint64_t slice, struct worker *workers,
		   unsigned int n, const struct hmem_probe_cpus *cpus, const struct told *told,
		   double *rate)
{
	struct phase phase = {
		.kernel = kernel,
		.slice = slice,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.opened = PTHREAD_COND_INITIALIZER,
	};
	pthread_condattr_t monotonic;
	int err;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&phase.came, &monotonic);
	pthread_condattr_destroy(&monotonic);
	err = run_phase(&phase, workers, n, cpus, told);
	if (!err)
		*rate = median(workers, n);
	pthread_cond_destroy(&phase.came);
	pthread_cond_destroy(&phase.opened);
	pthread_mutex_destroy(&phase.lock);
	return err;
}

/* Give each of @n its part. */
static void divide(const struct hmem_probe_memory *memory, struct worker *workers, unsigned int n)
{
	uint64_t part = memory->bytes / n;

	if (part > PART_ALIGN)
		part &= ~(PART_ALIGN - 1);
	for (unsigned int i = 0; i < n; i++) {
		workers[i].at = memory->at + i * part;
		workers[i].bytes = part;
	}
}

int hmem_probe_run(struct hmem_ctx *ctx, const struct hmem_probe_memory *memory,
		   const struct hmem_probe_cpus *cpus, unsigned int threads,
		   unsigned int milliseconds, struct hmem_probe_result *result)
{
	unsigned int phases = memory->read_only ? 2 : 3;
	struct worker *workers = calloc(threads, sizeof(*workers));
	struct told told = { ctx, hmem_probe_now(), milliseconds };
	uint64_t slice = (uint64_t)milliseconds * 1000000 / phases / R;
	double latency = 0, reads = 0, writes = 0;
	int err;

	if (!workers)
		return hmem_fail(ctx, -ENOMEM, "no memory for %u threads", threads);
	divide(memory, workers, 1);
	err = measure(hmem_probe_latency, slice, workers, 1, cpus, &told, &latency);
	divide(memory, workers, threads);
	if (!err)
		err = measure(hmem_probe_reads, slice, workers, threads, cpus, &told, &reads);
	if (!err && !memory->read_only)
		err = measure(hmem_probe_writes, slice, workers, threads, cpus, &told, &writes);
	free(workers);
	hmem_progress(ctx, "measuring", milliseconds, milliseconds);
	if (err)
		return err;
	*result = (struct hmem_probe_result){
		.read_latency = (uint64_t)(1 / latency + 0.5),
		.read_bandwidth = (uint64_t)(reads * 1e9),
		.write_bandwidth = (uint64_t)(writes * 1e9),
	};
	/* A cache that answers at once answers in a ns. */
	if (!result->read_latency)
		result->read_latency = 1;
	return 0;
}
