// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drives a store, whichever it is linked with:
 *
 *	load PATH MODE BATCH LOAD BYTES NAMES CALLS uniform|zipf threads|processes N
 *
 * Names are put first, and which of them a call takes is chosen before the clock runs. LOAD is
 *
 *	put, get, mixed, delete		puts replace; mixed is half puts and half gets
 *	tx-put-R, tx-write-R, tx-add-R	transactions of R ranges of up to 64 bytes, see store.h
 *	fill				one large value after the other, of the first name
 *	open, recover			open what was filled; recover: per second, in millions
 *	used				bytes of an object beside name and value
 *
 * Prints "VALUE FENCES": ns by the number of calls of all, GiB a second for fill,
 * ms for open; and fences by the number of calls, or -1 where they are not known.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store.h"

#define NAME_BYTES 24

static struct store_config config;
static const char *load;
static size_t bytes;
static uint64_t names, calls;
static unsigned int workers;
static bool own_time;
static unsigned int ranges;	/* of a transaction; 1 for other loads */
static enum store_tx tx_how;
static char (*name_at)[NAME_BYTES];
static uint8_t *name_bytes;
static char *value;

/* Shared by processes: who is ready, and when all may go. */
static struct gate {
	pthread_barrier_t barrier;
	double begin[64];
	double end[64];
	atomic_long fences;
} *gate;

/* Of one thread alone, which waits for nobody, its CPU time: others may be on the machine. */
static double now(void)
{
	struct timespec time;

	clock_gettime(own_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static uint64_t dice(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Zipf with exponent 0.99 over [0, nr), by inverting the integral; scattered afterwards. */
static uint32_t zipf(uint64_t *seed, uint64_t nr)
{
	double s = 0.99, top = pow((double)nr, 1 - s) - 1;
	double u = (double)(dice(seed) >> 11) / 9007199254740992.0;
	uint64_t rank = (uint64_t)pow(u * top + 1, 1 / (1 - s)) - 1;

	return (uint32_t)((rank < nr ? rank : nr - 1) * 2654435761u % nr);
}

static bool by_rank;

/*
 * Which names worker @who takes: its own ones when there are several that update. Those of one
 * transaction are never the same.
 */
static uint32_t *choose(unsigned int who)
{
	uint64_t seed = 88172645463325252ull + who * 7919, share = names / workers;
	uint32_t *chosen = malloc(calls * ranges * sizeof(*chosen));

	if (!chosen)
		store_fail("load", "no memory");
	for (uint64_t i = 0; i < calls * ranges; i++)
		chosen[i] = (uint32_t)(who * share +
				       (!strcmp(load, "delete") ? i % share :
					by_rank	   ? zipf(&seed, share) :
					ranges > 1 ? dice(&seed) % (share / ranges) * ranges + i % ranges :
						     dice(&seed) % share));
	return chosen;
}

static void transaction(const uint32_t *chosen)
{
	size_t part = bytes < 64 ? bytes : 64;
	struct store_name list[STORE_TX_MAX];

	for (unsigned int i = 0; i < ranges; i++)
		list[i] = (struct store_name){ name_at[chosen[i]], name_bytes[chosen[i]] };
	store_tx(tx_how, list, ranges, bytes - part, value, part);
}

static void *work(void *arg)
{
	unsigned int who = (unsigned int)(uintptr_t)arg;
	uint32_t *chosen = choose(who);
	bool put = !strcmp(load, "put"), get = !strcmp(load, "get");
	bool delete = !strcmp(load, "delete"), fill = !strcmp(load, "fill");
	bool tx = !strncmp(load, "tx-", 3);
	long sum = 0;

	store_thread_begin();
	pthread_barrier_wait(&gate->barrier);
	gate->begin[who] = now();
	for (uint64_t i = 0; i < calls; i++) {
		uint32_t n = chosen[i * ranges];

		if (tx)
			transaction(chosen + i * ranges);
		else if (fill)
			store_fill(name_at[0], name_bytes[0], value, bytes);
		else if (delete)
			store_delete(name_at[n], name_bytes[n]);
		else if (put || (!get && i & 1))
			store_put(name_at[n], name_bytes[n], value, bytes);
		else
			sum += store_get(name_at[n], name_bytes[n]);
	}
	store_thread_end();
	gate->end[who] = now();
	if (get && sum < 0)
		store_fail(load, "names are missing");
	free(chosen);
	return NULL;
}

/* Large ones three times, so that all memory that will be used has been. */
static void fill(void)
{
	store_thread_begin();
	for (uint64_t i = 0; i < names; i++)
		if (strcmp(load, "fill"))
			store_put(name_at[i], name_bytes[i], value, bytes);
	for (int i = 0; i < 3 && !strcmp(load, "fill"); i++)
		store_fill(name_at[0], name_bytes[0], value, bytes);
	store_thread_end();
}

static void run_threads(void)
{
	pthread_t threads[64];
	long before = store_fences();

	for (unsigned int i = 1; i < workers; i++)
		pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i);
	work(NULL);
	for (unsigned int i = 1; i < workers; i++)
		pthread_join(threads[i], NULL);
	gate->fences = before < 0 ? -1 : store_fences() - before;
}

static void run_processes(void)
{
	store_close();
	for (unsigned int i = 0; i < workers; i++) {
		long before;

		if (fork())
			continue;
		store_open(&config);
		before = store_fences();
		work((void *)(uintptr_t)i);
		gate->fences += store_fences() - before;
		store_close();
		_exit(0);
	}
	for (unsigned int i = 0; i < workers; i++) {
		int status = 1;

		if (wait(&status) < 0 || status)
			store_fail("load", "a process failed");
	}
	store_open(&config);
}

static void show_times(void)
{
	double begin = gate->begin[0], end = gate->end[0];

	for (unsigned int i = 1; i < workers; i++) {
		begin = gate->begin[i] < begin ? gate->begin[i] : begin;
		end = gate->end[i] > end ? gate->end[i] : end;
	}
	if (!strcmp(load, "fill"))
		printf("%.3f", (double)bytes * (double)calls / (1 << 30) / ((end - begin) / 1e9));
	else
		printf("%.2f", (end - begin) / (double)(calls * workers));
	printf(" %.3f\n", gate->fences < 0 ? -1 : (double)gate->fences / (double)(calls * workers));
}

static void show_open(const char *mode)
{
	double begin;

	store_close();
	config.mode = mode;
	begin = now();
	store_open(&config);
	store_thread_begin();
	if (store_get(name_at[names / 2], name_bytes[names / 2]) < 0)
		store_fail("open", "a name is missing");
	if (!strcmp(load, "open"))
		printf("%.3f -1\n", (now() - begin) / 1e6);
	else
		printf("%.3f -1\n", (double)names / (now() - begin) * 1e3);
	store_thread_end();
}

static void show_used(uint64_t before)
{
	uint64_t known = 0;

	for (uint64_t i = 0; i < names; i++)
		known += name_bytes[i] + bytes;
	printf("%.1f -1\n", (double)(store_used() - before - known) / (double)names);
}

static void read_load(void)
{
	static const struct {
		const char *prefix;
		enum store_tx how;
	} kinds[] = {
		{ "tx-put-", STORE_TX_PUT },
		{ "tx-write-", STORE_TX_WRITE },
		{ "tx-add-", STORE_TX_ADD },
	};

	ranges = 1;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t length = strlen(kinds[i].prefix);

		if (strncmp(load, kinds[i].prefix, length))
			continue;
		tx_how = kinds[i].how;
		ranges = (unsigned int)atoi(load + length);
	}
	if (!ranges || ranges > STORE_TX_MAX || names / workers < ranges)
		store_fail(load, "no such number of ranges");
	if (!strcmp(load, "delete"))
		calls = names / workers;
}

int main(int argc, char **argv)
{
	pthread_barrierattr_t shared;
	uint64_t before;

	if (argc != 11)
		store_fail("usage", "see the head of load.c");
	config.path = argv[1];
	config.mode = strcmp(argv[2], "recover") ? argv[2] : "default";
	config.batch = (unsigned int)atoi(argv[3]);
	load = argv[4];
	bytes = strtoul(argv[5], NULL, 0);
	names = strtoull(argv[6], NULL, 0);
	calls = strtoull(argv[7], NULL, 0);
	by_rank = !strcmp(argv[8], "zipf");
	workers = (unsigned int)atoi(argv[10]);
	config.names = names;
	/* A shelf begins those of more than half a chunk at a chunk of their own. */
	config.room = names * (bytes + 64) * (bytes > 32768 && bytes < 1 << 20 ? 10 : 5) / 4 +
		      4 * (config.batch - 1) * bytes + (16 << 20);
	name_at = malloc(names * NAME_BYTES);
	name_bytes = malloc(names);
	value = malloc(bytes);
	gate = mmap(NULL, sizeof(*gate), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!name_at || !name_bytes || !value || gate == MAP_FAILED || !workers || workers > 64)
		store_fail("load", "no memory, or too many workers");
	read_load();
	own_time = workers == 1 && !strcmp(argv[9], "threads");
	memset(value, 'v', bytes);
	for (uint64_t i = 0; i < names; i++)
		name_bytes[i] = (uint8_t)snprintf(name_at[i], NAME_BYTES, "name-%llu",
						  (unsigned long long)i);
	pthread_barrierattr_init(&shared);
	pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&gate->barrier, &shared, workers);

	store_open(&config);
	before = store_used();
	fill();
	if (!strcmp(load, "open") || !strcmp(load, "recover")) {
		show_open(argv[2]);
	} else if (!strcmp(load, "used")) {
		show_used(before);
	} else {
		if (strcmp(argv[9], "processes"))
			run_threads();
		else
			run_processes();
		show_times();
	}
	store_close();
	return 0;
}
