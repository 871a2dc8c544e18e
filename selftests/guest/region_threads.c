// SPDX-License-Identifier: GPL-2.0-only
/*
 * Eight threads create, map, resize and destroy at once, under names of their own and
 * under one that they fight for. Nothing may be given out twice, and nothing be lost.
 *
 * hmem-test: topology=none kernels=lts,newest
 */
#include "fixture.h"

#include <pthread.h>

#define POOL		"rt"
#define THREADS		8
#define ROUNDS		20
#define EXTENTS		(THREADS * 3)

static int control;
static int bystander;		/* an open region that none of this may touch */
static int prizes, wrong;

static void complain(const char *what, int thread, int round, int rc)
{
	if (!__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED))
		tap_diag("thread %d, round %d: %s: %d", thread, round, what, rc);
}

static void own_name(int thread, int round)
{
	uint64_t mark = (uint64_t)thread << 32 | round;
	volatile uint64_t *p;
	char name[32];
	int fd, rc;

	snprintf(name, sizeof(name), "own-%d", thread);
	rc = region_create(control, name, POOL, EXTENT);
	if (rc) {
		complain("create", thread, round, rc);
		return;
	}
	fd = region_open(name, O_RDWR);
	if (fd < 0) {
		complain("open", thread, round, fd);
	} else {
		p = mmap(NULL, EXTENT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED) {
			complain("mmap", thread, round, -errno);
		} else {
			if (p[0] || p[EXTENT / 8 - 1])
				complain("somebody's data", thread, round, 0);
			p[0] = p[EXTENT / 8 - 1] = mark;
			rc = region_resize(control, name, 2 * EXTENT);
			if (rc)
				complain("resize", thread, round, rc);
			rc = region_destroy(control, name);
			if (rc != -EBUSY)
				complain("destroy while mapped", thread, round, rc);
			if (p[0] != mark || p[EXTENT / 8 - 1] != mark)
				complain("data of another", thread, round, 0);
			munmap((void *)p, EXTENT);
		}
		close(fd);
	}
	rc = region_destroy(control, name);
	if (rc)
		complain("destroy", thread, round, rc);
}

static void shared_name(int thread, int round)
{
	int rc = region_create(control, "prize", POOL, EXTENT);

	if (!rc) {
		/* Others may try to open it meanwhile, and hold it for a moment. */
		if (__atomic_add_fetch(&prizes, 1, __ATOMIC_RELAXED) != 1)
			complain("two have created it", thread, round, 0);
		__atomic_sub_fetch(&prizes, 1, __ATOMIC_RELAXED);
		while ((rc = region_destroy(control, "prize")) == -EBUSY)
			sched_yield();
		if (rc)
			complain("destroy the prize", thread, round, rc);
	} else if (rc != -EEXIST) {
		complain("create the prize", thread, round, rc);
	}
	rc = region_open("prize", O_RDWR);
	if (rc >= 0)
		close(rc);
	else if (rc != -ENOENT && rc != -ENXIO && rc != -ENODEV)
		complain("open the prize", thread, round, rc);
}

static void *work(void *argument)
{
	int thread = (long)argument;

	for (int round = 0; round < ROUNDS; round++) {
		own_name(thread, round);
		shared_name(thread, round);
	}
	return NULL;
}

/* One half of the threads take what there is, the other half give: never more than all. */
static void *greed(void *argument)
{
	int thread = (long)argument;
	long taken = 0;
	char name[32];

	for (int i = 0; i < EXTENTS; i++) {
		snprintf(name, sizeof(name), "greed-%d-%d", thread, i);
		int rc = region_create(control, name, POOL, EXTENT);

		if (rc == -ENOSPC)
			break;
		if (rc)
			complain("create", thread, i, rc);
		else
			taken++;
	}
	return (void *)taken;
}

static void *relief(void *argument)
{
	int thread = (long)argument;
	char name[32];

	for (int i = 0; i < EXTENTS; i++) {
		snprintf(name, sizeof(name), "greed-%d-%d", thread, i);
		int rc = region_destroy(control, name);

		if (rc && rc != -ENOENT)
			complain("destroy", thread, i, rc);
	}
	return NULL;
}

static void *pools(void *argument)
{
	int thread = (long)argument;
	char name[32];

	snprintf(name, sizeof(name), "pool-%d", thread);
	for (int round = 0; round < ROUNDS; round++) {
		int rc = pool_attach_ram(control, thread & 1 ? name : "pool-all", 2 * EXTENT);

		if (rc && (rc != -EEXIST || thread & 1))
			complain("attach", thread, round, rc);
		rc = pool_detach(control, thread & 1 ? name : "pool-all");
		if (rc && (rc != -ENOENT || thread & 1))
			complain("detach", thread, round, rc);
	}
	return NULL;
}

static long everybody(void *(*function)(void *))
{
	pthread_t threads[THREADS];
	long sum = 0;

	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, function, (void *)i))
			tap_bail("pthread_create");
	for (int i = 0; i < THREADS; i++) {
		void *result;

		pthread_join(threads[i], &result);
		sum += (long)result;
	}
	return sum;
}

int main(void)
{
	char *p;

	control = must_begin();
	must(pool_attach_ram(control, POOL, (EXTENTS + 1) * EXTENT), "attach a pool");
	must(region_create(control, "bystander", POOL, EXTENT), "create");
	bystander = must_open("bystander", O_RDWR);
	p = must_map(bystander, EXTENT);
	memset(p, 0x5a, EXTENT);

	everybody(work);
	TAP_EQ(wrong, 0, "8 threads create, map, resize and destroy");
	TAP_EQ(pool_free(POOL), EXTENTS * EXTENT, "the pool has everything back");
	wrong = 0;
	TAP_EQ(everybody(greed), EXTENTS, "8 threads take extents until there are none: all, once");
	TAP_EQ(pool_free(POOL), 0, "none is left");
	everybody(relief);
	TAP_EQ(wrong, 0, "and give them back");
	TAP_EQ(pool_free(POOL), EXTENTS * EXTENT, "the pool has everything back");
	TAP_EQ(sysfs_number("hmem_pool", POOL, "regions"), 1, "and one region, the bystander's");
	wrong = 0;
	everybody(pools);
	TAP_EQ(wrong, 0, "8 threads attach and detach pools");
	TAP_EQ(class_names("hmem_pool", NULL, 0), 1, "one pool is left");
	TAP_OK(all_bytes(p, EXTENT, 0x5a), "the bystander's data is as it was");
	return tap_done();
}
