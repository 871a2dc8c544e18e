// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who asks how far a drain is gets an answer while it goes on, and each time less is left: nobody
 * waits for more than what is moved at a time. The drain is held up where it lets others in.
 *
 * hmem-test: topology=ram2 kernels=newest long=lts
 */
#include "inject.h"
#include "near.h"

#include <inttypes.h>
#include <pthread.h>

#define BATCH		16		/* extents that are moved at a time */
#define EXTENTS		(4 * BATCH)
#define LENGTH		(EXTENTS * EXTENT)

static int control, fd;
static char sources[2][HMEM_NAME_LEN], *p;
static struct hmem_pool_attach pools[2];

static void *drains(void *answer)
{
	struct hmem_pool_drain *d = answer;
	int rc = pool_drain(control, pools[0].name, 0, d);

	return (void *)(intptr_t)rc;
}

/* The drain takes the module's lock before each batch, and here for the @n-th time from now on. */
static const char *hold_lock(int n)
{
	static const char *const names[] = { "mutex_lock_interruptible",
					     "mutex_lock_interruptible_nested" };
	char text[256];

	for (unsigned int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "%s pass %d 1 hmem %d", names[i], n, INJECT_MOMENT_MS);
		if (!inject_write(text))
			return names[i];
	}
	tap_bail("no probe on the lock");
}

static bool is_held(const char *lock)
{
	time_t end = time(NULL) + patience(60);

	while (!inject_look(lock) && time(NULL) < end)
		usleep(1000);
	return inject_look(lock) > 0;
}

/* What is left, as somebody is told who asks now. */
static uint64_t left(void)
{
	struct hmem_pool_drain d;

	must(pool_drain(control, pools[0].name, HMEM_DRAIN_STATUS, &d), "status");
	return d.state & HMEM_DRAIN_DRAINING ? d.left / EXTENT : UINT64_MAX;
}

static bool all_there(void)
{
	for (uint64_t i = 0; i < EXTENTS; i++)
		if (p[i * EXTENT + i * 8192] != (char)(i + 1))
			return false;
	return true;
}

static void drained(void)
{
	struct hmem_pool_drain d;
	uint64_t before, now;
	pthread_t drainer;
	const char *lock;
	void *rc;

	/* It is taken to begin with, and before the first batch. */
	lock = hold_lock(3);
	if (pthread_create(&drainer, NULL, drains, &d))
		tap_bail("no thread");
	TAP_OK(is_held(lock), "a drain has come to its second batch");
	before = left();
	TAP_EQ(before, EXTENTS - BATCH, "the first is not left any more");
	TAP_OK(all_there(), "and is in use");
	for (int i = 0; i < 2; i++) {
		inject_go();
		hold_lock(1);
		if (!TAP_OK(is_held(lock), "it goes on, and has come to another one"))
			break;
		now = left();
		TAP_OK(now < before && now % BATCH == 0, "less is left (%" PRIu64 " extents)", now);
		before = now;
	}
	inject_go();
	pthread_join(drainer, &rc);
	inject("\n");
	TAP_OK(!rc && !d.left && d.moved == LENGTH, "in the end nothing is left, and all has moved");
	TAP_EQ(left(), 0, "as is said to who asks");
	TAP_STR_EQ(sysfs_text("hmem", "r", "pools"), pools[1].name, "it is on the other pool");
	TAP_OK(all_there(), "with its data");
}

int main(void)
{
	control = must_begin_inject();
	must_cxl_on_each("ram", sources, 2);
	for (int i = 0; i < 2; i++)
		must(pool_attach_cxl(control, sources[i], 0, &pools[i]), "attach");
	must(region_create(control, "r", pools[0].name, LENGTH), "create");
	fd = must_open("r", O_RDWR);
	p = must_map(fd, LENGTH);
	for (uint64_t i = 0; i < EXTENTS; i++)
		p[i * EXTENT + i * 8192] = i + 1;
	drained();
	munmap(p, LENGTH);
	close(fd);
	return tap_done();
}
