// SPDX-License-Identifier: GPL-2.0-only
/*
 * No store is lost while extents move to and fro: threads count in words of a region, through
 * mappings and with read(2) and write(2), and in the end every word has what was counted.
 *
 * hmem-test: topology=mixed kernels=lts,newest timeout=240
 */
#include "pools.h"
#include "near.h"

#include <pthread.h>

#define EXTENTS		4
#define LENGTH		(EXTENTS * EXTENT)
#define THREADS		3
/* At least so long, and until enough was moved; an emulated machine takes its time. */
#define SECONDS		3
#define MOVES		12
#define PATIENCE	patience(60)
/* Every so many pages: few enough that an emulated machine comes round. */
#define STRIDE		37
#define WORDS		(LENGTH / 4096 / STRIDE)

static const char *kind;
static volatile int stop;

struct counter {
	char *p;
	int fd, number;
	bool by_call;
	uint32_t counted[WORDS];
	int wrong;
};

static uint64_t place(const struct counter *c, unsigned int word)
{
	return (uint64_t)word * STRIDE * 4096 + c->number * 128;
}

/* Adds one to word after word, and looks whether it is as this thread left it. */
static void *count(void *argument)
{
	struct counter *c = argument;

	for (unsigned int i = 0; !stop; i = (i + 1) % WORDS) {
		uint64_t at = place(c, i);
		uint32_t value;

		if (c->by_call) {
			if (pread(c->fd, &value, sizeof(value), at) != sizeof(value))
				c->wrong++;
			c->wrong += value != c->counted[i]++;
			value++;
			if (pwrite(c->fd, &value, sizeof(value), at) != sizeof(value))
				c->wrong++;
		} else {
			value = __atomic_fetch_add((uint32_t *)(c->p + at), 1, __ATOMIC_RELAXED);
			c->wrong += value != c->counted[i]++;
		}
		/* Between bursts there is time in which a copy can be made. */
		if (i % 16 == 15)
			usleep(200);
	}
	return NULL;
}

/* Moves the same extents as the main thread does, in another order. */
static void *move_too(void *fd)
{
	for (unsigned int round = 0; !stop; round++) {
		move_extents(*(int *)fd, round / 2 % EXTENTS, 1, round % 2 ? HMEM_HOME : HMEM_NEAR);
		if (round % 16 == 15)
			usleep(1000);
	}
	return NULL;
}

static bool all_there(const struct counter *c)
{
	for (unsigned int i = 0; i < WORDS; i++)
		if (*(uint32_t *)(c->p + place(c, i)) != c->counted[i])
			return false;
	return true;
}

static void counted(int control, const struct pool *pool, bool plain)
{
	static struct counter counters[THREADS];
	uint64_t moved = 0;
	pthread_t threads[THREADS], mover;
	struct hmem_stats s;
	bool there = true;
	time_t began;
	int fd, wrong = 0;
	char *p;

	must(region_create(control, "race", pool->name, LENGTH), "create");
	fd = must_open("race", O_RDWR);
	if (plain) {
		p = must_map(fd, LENGTH);
		must(near_max_set(fd, LENGTH), "near_max");
	} else {
		must(near_max_set(fd, LENGTH), "near_max");
		p = must_map(fd, LENGTH);
	}
	memset(p, 0, LENGTH);
	stop = 0;
	memset(counters, 0, sizeof(counters));
	for (int i = 0; i < THREADS; i++) {
		counters[i] = (struct counter){ .p = p, .fd = fd, .number = i, .by_call = i == 2 };
		if (pthread_create(&threads[i], NULL, count, &counters[i]))
			tap_bail("no thread");
	}
	if (pthread_create(&mover, NULL, move_too, &fd))
		tap_bail("no thread");
	began = time(NULL);
	for (int round = 0; time(NULL) < began + (moved < MOVES ? PATIENCE : SECONDS); round++) {
		moved += move_extents(fd, round % EXTENTS, 1, HMEM_NEAR);
		moved += move_extents(fd, (round + 1) % EXTENTS, 1, HMEM_HOME);
	}
	stop = 1;
	pthread_join(mover, NULL);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		wrong += counters[i].wrong;
		there = there && all_there(&counters[i]);
	}
	s = near_stats(fd);
	tap_diag("%s: %llu moves, %llu pages copied in vain", kind, (unsigned long long)moved,
		 (unsigned long long)s.aborted);
	TAP_EQ(wrong, 0, "%s, %s: no word was ever behind", kind, plain ? "plain" : "told");
	TAP_OK(there, "%s, %s: all that was counted is there", kind, plain ? "plain" : "told");
	TAP_OK(moved >= MOVES, "%s, %s: extents moved all the while", kind,
	       plain ? "plain" : "told");
	move_extents(fd, 0, EXTENTS, HMEM_HOME);
	for (int i = 0; i < THREADS; i++)
		there = there && all_there(&counters[i]);
	TAP_OK(there && !near_stats(fd).near, "%s, %s: also at home", kind, plain ? "plain" : "told");
	munmap(p, LENGTH);
	close(fd);
	must(region_destroy(control, "race"), "destroy");
}

static void races(int control, const struct pool *pool)
{
	kind = pool->kind;
	counted(control, pool, false);
	counted(control, pool, true);
}

int main(void)
{
	int control = must_begin_cxl();

	on_every_pool(control, 32 * MIB, races);
	return tap_done();
}
