// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pool is drained under those who use it: where everything is then, that nothing is lost,
 * what holds it up and what does not, and that it goes on from where it was ended.
 *
 * hmem-test: topology=mixed timeout=180
 */
#include <pthread.h>
#include <sys/time.h>

#include "frames.h"
#include "near.h"
#include "pools.h"

static const char *const all[] = { "a", "b", "c" };
static struct frames pools[3];
static int control, fd;
static char *p;

static void begin(const char *const names[], unsigned int nr, unsigned int flags, int extents)
{
	must(region_create_over(control, "r", flags, names, nr, extents * EXTENT), "create");
	fd = must_open("r", O_RDWR);
	must(near_max_set(fd, extents * EXTENT), "near_max");
	p = must_map(fd, extents * EXTENT);
}

static void end(int extents)
{
	munmap(p, extents * EXTENT);
	close(fd);
	must(region_destroy(control, "r"), "destroy");
	for (int i = 0; i < 3; i++) {
		must(pool_drain(control, all[i], HMEM_DRAIN_STOP, NULL), "stop");
		if (pool_free(all[i]) != 8 * (int64_t)EXTENT)
			tap_bail("pool %s is not empty", all[i]);
	}
}

static const char *draw(unsigned int extents)
{
	return frames_draw(pools, 3, p, extents);
}

/* Every page of an extent says which it is. */
static void stamp(unsigned int extent, unsigned int salt)
{
	for (uint64_t at = 0; at < EXTENT; at += 4096)
		*(uint64_t *)(p + extent * EXTENT + at) = (salt << 20) + extent * 512 + at / 4096;
}

static bool stamped(unsigned int extent, unsigned int salt)
{
	for (uint64_t at = 0; at < EXTENT; at += 4096)
		if (*(volatile uint64_t *)(p + extent * EXTENT + at) !=
		    (salt << 20) + extent * 512 + at / 4096)
			return false;
	return true;
}

static int hold(int pin[2], char *page)
{
	struct iovec iov = { page, 4096 };

	if (pipe(pin) || vmsplice(pin[1], &iov, 1, 0) != 4096)
		tap_bail("vmsplice: %s", strerror(errno));
	return 0;
}

static void let_go(int pin[2])
{
	close(pin[0]);
	close(pin[1]);
}

static void drained(void)
{
	struct hmem_pool_drain d;

	begin(all, 1, HMEM_CREATE_FILL, 6);
	stamp(0, 1);
	stamp(2, 1);
	stamp(5, 1);
	TAP_EQ(pool_drain(control, "a", 0, &d), 0, "drained");
	TAP_OK(!d.left && d.moved == 3 * EXTENT && d.held == UINT64_MAX && !d.region[0] &&
	       d.state == HMEM_DRAIN_DRAINING, "what was touched was moved");
	TAP_STR_EQ(draw(6), "bbbbbb", "all of it is elsewhere");
	TAP_STR_EQ(sysfs_text("hmem", "r", "pools"), "b", "as sysfs has it");
	TAP_OK(stamped(0, 1) && stamped(2, 1) && stamped(5, 1), "with its data");
	TAP_OK(pages_hold(p + EXTENT, EXTENT, 0) && pages_hold(p + 3 * EXTENT, 2 * EXTENT, 0),
	       "what was not touched is zeroes");
	TAP_EQ(pool_free("a"), 8 * (int64_t)EXTENT, "the pool is empty");
	TAP_EQ(sysfs_number("hmem_pool", "a", "draining"), 1, "and stays so");
	TAP_EQ(region_create(control, "x", "a", EXTENT), -EBUSY, "nothing is carved from it");
	TAP_EQ(region_create_over(control, "x", HMEM_CREATE_SPREAD, NULL, 0, 10 * EXTENT), 0,
	       "others have room");
	TAP_STR_EQ(sysfs_text("hmem", "x", "pools"), "b c", "and are taken instead");
	must(region_destroy(control, "x"), "destroy");
	TAP_EQ(pool_detach(control, "a"), 0, "it can be detached while the region is mapped");
	TAP_OK(stamped(0, 1) && stamped(5, 1), "and nobody notices");
	must(pool_attach_ram(control, "a", 8 * EXTENT), "attach");
	frames_learn(control, &pools[0], "a");
	TAP_EQ(region_resize(control, "r", 9 * EXTENT), -ENOSPC, "it grows where it is, and no further");
	TAP_EQ(region_resize(control, "r", 8 * EXTENT), 0, "up to the end of that");
	end(6);
}

static void spread(void)
{
	begin(all, 2, HMEM_CREATE_SPREAD, 8);
	for (int i = 0; i < 8; i++)
		stamp(i, 2);
	TAP_EQ(pool_drain(control, "b", 0, NULL), 0, "spread: drained");
	TAP_STR_EQ(draw(8), "acacacac", "spread: and spread still");
	TAP_EQ(region_resize(control, "r", 10 * EXTENT), 0, "spread: grows");
	TAP_EQ(region_resize(control, "r", 8 * EXTENT), 0, "spread: shrinks");
	TAP_OK(stamped(0, 2) && stamped(1, 2) && stamped(6, 2) && stamped(7, 2), "spread: with its data");
	must(region_create(control, "x", "a", 4 * EXTENT), "create");
	TAP_EQ(pool_drain(control, "c", 0, NULL), -ENOSPC, "spread: there is no room for more");
	must(region_destroy(control, "x"), "destroy");
	must(pool_drain(control, "b", HMEM_DRAIN_STOP, NULL), "stop");
	TAP_EQ(pool_drain(control, "a", 0, NULL), 0, "spread: the other is drained");
	TAP_STR_EQ(draw(8), "bcbcbcbc", "spread: all of it has moved");
	TAP_OK(stamped(0, 2) && stamped(1, 2) && stamped(6, 2) && stamped(7, 2), "spread: and is whole");
	end(8);
}

/* Clean, dirty, kept and pinned near copies stay near. */
static void near_stays(void)
{
	int pin[2];

	begin(all, 1, HMEM_CREATE_FILL, 6);
	for (int i = 0; i < 6; i++)
		stamp(i, 3);
	TAP_EQ(move_extents(fd, 0, 4, HMEM_NEAR), 4, "near");
	stamp(1, 4);
	stamp(2, 4);
	TAP_EQ(keep_extents(fd, 3, 1, HMEM_NEAR, NULL), 0, "kept");
	hold(pin, p + 2 * EXTENT);
	TAP_EQ(pool_drain(control, "a", 0, NULL), 0, "near: drained, though a near page is held");
	TAP_EQ(near_stats(fd).near, 4 * EXTENT, "near: they are near still");
	TAP_EQ(near_stats(fd).dirty, 2 * EXTENT, "near: and as dirty as they were");
	TAP_OK(stamped(0, 3) && stamped(1, 4) && stamped(2, 4) && stamped(3, 3) && stamped(4, 3),
	       "near: with their data");
	let_go(pin);
	TAP_EQ(release_extents(fd, 3, 1), 0, "near: let go");
	TAP_EQ(move_extents(fd, 0, 4, HMEM_HOME), 4, "near: home");
	TAP_STR_EQ(draw(6), "bbbbbb", "near: to where home is now");
	TAP_OK(stamped(0, 3) && stamped(1, 4) && stamped(2, 4) && stamped(3, 3), "near: nothing is lost");
	end(6);
}

static void held(void)
{
	struct hmem_pool_drain d;
	int pin[2];

	begin(all, 1, HMEM_CREATE_FILL, 6);
	for (int i = 0; i < 6; i++)
		stamp(i, 5);
	hold(pin, p + 3 * EXTENT + 8192);
	TAP_EQ(pool_drain(control, "a", 0, &d), -EBUSY, "held: it ends");
	TAP_OK(d.held == 3 * EXTENT && !strcmp(d.region, "r"), "held: and says by which page");
	TAP_OK(d.left == EXTENT && d.moved == 5 * EXTENT, "held: the others have moved");
	TAP_EQ(pool_free("b"), 2 * (int64_t)EXTENT, "held: to the other pool");
	TAP_STR_EQ(draw(6), "bbbabb", "held: all but that");
	TAP_STR_EQ(sysfs_text("hmem", "r", "pools"), "a b", "held: it is on both");
	TAP_EQ(pool_detach(control, "a"), -EBUSY, "held: not detached");
	stamp(3, 6);
	TAP_EQ(pool_drain(control, "a", HMEM_DRAIN_STATUS, &d), 0, "held: asked");
	TAP_OK(d.left == EXTENT && !d.moved && d.state == HMEM_DRAIN_DRAINING, "held: and answered");
	TAP_EQ(region_resize(control, "r", 8 * EXTENT), 0, "held: it grows meanwhile");
	TAP_OK(touch_write(p + 5 * EXTENT, p[5 * EXTENT]) == 0 && pwrite(fd, "y", 1, 7 * EXTENT) == 1,
	       "held: and is of use");
	TAP_EQ(region_resize(control, "r", 6 * EXTENT), 0, "held: and shrinks");
	let_go(pin);
	TAP_EQ(pool_drain(control, "a", 0, &d), 0, "held: let go, it goes on");
	TAP_OK(!d.left && d.moved == EXTENT, "held: to the end");
	TAP_STR_EQ(draw(6), "bbbbbb", "held: then all has moved");
	TAP_OK(stamped(2, 5) && stamped(3, 6), "held: with its data");
	end(6);
}

static void *let_go_soon(void *pin)
{
	usleep(300000);
	let_go(pin);
	return NULL;
}

/* Held for less than a second. */
static void held_shortly(void)
{
	struct hmem_pool_drain d;
	pthread_t thread;
	int pin[2];

	begin(all, 1, HMEM_CREATE_FILL, 6);
	for (int i = 0; i < 6; i++)
		stamp(i, 5);
	hold(pin, p + 3 * EXTENT);
	if (pthread_create(&thread, NULL, let_go_soon, pin))
		tap_bail("pthread_create");
	TAP_EQ(pool_drain(control, "a", 0, &d), 0, "held shortly: that is waited for");
	TAP_OK(!d.left && d.moved == 6 * EXTENT && d.held == UINT64_MAX && !d.region[0],
	       "held shortly: all has moved, and nobody is named");
	pthread_join(thread, NULL);
	TAP_OK(stamped(3, 5), "held shortly: with its data");
	end(6);
}

/* Cut off and destroyed in the middle of it. */
static void cut(void)
{
	int pin[2];

	begin(all, 1, HMEM_CREATE_FILL, 6);
	for (int i = 0; i < 6; i++)
		stamp(i, 7);
	hold(pin, p + EXTENT);
	TAP_EQ(pool_drain(control, "a", 0, NULL), -EBUSY, "cut: in the middle");
	TAP_EQ(region_resize(control, "r", 3 * EXTENT), 0, "cut: it shrinks");
	TAP_OK(pool_free("a") == 5 * (int64_t)EXTENT && pool_free("b") == 5 * (int64_t)EXTENT,
	       "cut: what was cut off is given back twice");
	let_go(pin);
	TAP_OK(stamped(1, 7) && stamped(2, 7), "cut: the rest is there");
	TAP_EQ(pool_drain(control, "a", HMEM_DRAIN_STOP, NULL), 0, "cut: stopped");
	TAP_EQ(sysfs_number("hmem_pool", "a", "draining"), 0, "cut: it is as any other");
	TAP_EQ(region_create(control, "x", "a", 5 * EXTENT), 0, "cut: with what it has");
	must(region_destroy(control, "x"), "destroy");
	TAP_STR_EQ(draw(3), "bab", "cut: what had not moved stays");
	end(6);
}

static void nowhere(void)
{
	struct hmem_pool_drain d;

	begin(all, 1, HMEM_CREATE_FILL, 6);
	stamp(0, 8);
	must(region_create(control, "x", "b", 5 * EXTENT), "create");
	must(region_create(control, "y", "c", 6 * EXTENT), "create");
	TAP_EQ(pool_drain(control, "a", 0, &d), -ENOSPC, "nowhere to go");
	TAP_OK(d.left == 6 * EXTENT && !d.moved && !d.state, "nowhere: nothing was begun");
	TAP_STR_EQ(draw(6), "aaaaaa", "nowhere: nothing moved");
	TAP_EQ(pool_free("a"), 2 * (int64_t)EXTENT, "nowhere: nothing was taken");
	must(region_resize(control, "y", 5 * EXTENT), "shrink");
	TAP_EQ(pool_drain(control, "a", 0, &d), 0, "nowhere: then there is just enough");
	TAP_OK(!pool_free("b") && !pool_free("c"), "nowhere: in two places");
	TAP_OK(stamped(0, 8) && pages_hold(p + EXTENT, 5 * EXTENT, 0), "nowhere: with its data");
	must(region_destroy(control, "x"), "destroy");
	must(region_destroy(control, "y"), "destroy");
	end(6);
}

static void nothing(int signal)
{
	(void)signal;
}

static void signals(void)
{
	struct sigaction action = { .sa_handler = nothing };
	struct itimerval soon = { .it_value = { .tv_usec = 200000 } };
	struct hmem_pool_drain d;
	int pin[2];

	begin(all, 1, HMEM_CREATE_FILL, 6);
	for (int i = 0; i < 6; i++)
		stamp(i, 9);
	hold(pin, p);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	TAP_EQ(pool_drain(control, "a", 0, &d), -EINTR, "a signal ends it");
	TAP_EQ(d.moved, 5 * EXTENT, "what was moved stays moved");
	let_go(pin);
	TAP_EQ(pool_drain(control, "a", 0, &d), 0, "and it goes on");
	TAP_EQ(d.moved, EXTENT, "with the rest");
	for (int i = 0; i < 6; i++)
		if (!stamped(i, 9))
			TAP_OK(false, "extent %d", i);
	end(6);
}

static void refused(const char *pmem)
{
	struct hmem_pool_drain d;

	TAP_EQ(pool_drain(control, "nowhere", 0, &d), -ENOENT, "refused: no such pool");
	TAP_EQ(pool_drain(control, "nowhere", HMEM_DRAIN_STATUS, &d), -ENOENT, "refused: to ask as well");
	TAP_EQ(pool_drain(control, pmem, 0, &d), 0, "an empty persistent pool is drained");
	TAP_EQ(pool_drain(control, pmem, HMEM_DRAIN_STOP, &d), 0, "and opened again");
	must(region_create(control, "q", pmem, EXTENT), "create");
	TAP_EQ(pool_drain(control, pmem, 0, &d), -ENOSPC,
	       "refused: what is persistent goes to no volatile pool");
	must(region_destroy(control, "q"), "destroy");
}

/* Threads that use the region while it moves from pool to pool. */

#define WORKERS		3
#define WORK_EXTENTS	6
#define ROUNDS		12

static volatile bool stop_work;
static int work_wrong;
static volatile uint64_t work_turns[WORKERS];

/* Each has words of its own in every extent, and knows what they are. */
static void *work(void *number)
{
	uint64_t words[WORK_EXTENTS] = {}, found, turn = 0;
	size_t at = 4096 * (size_t)(uintptr_t)number + 512;

	for (unsigned int i = 0; !stop_work; i = (i + 1) % WORK_EXTENTS, turn++) {
		volatile uint64_t *word = (void *)(p + i * EXTENT + at);
		off_t offset = i * EXTENT + at;

		words[i]++;
		if (turn / WORK_EXTENTS % 2) {
			if (pwrite(fd, &words[i], 8, offset) != 8)
				__atomic_add_fetch(&work_wrong, 1, __ATOMIC_RELAXED);
		} else if (__atomic_add_fetch(word, 1, __ATOMIC_RELAXED) != words[i]) {
			__atomic_add_fetch(&work_wrong, 1, __ATOMIC_RELAXED);
		}
		if (*word != words[i] || pread(fd, &found, 8, offset) != 8 || found != words[i])
			__atomic_add_fetch(&work_wrong, 1, __ATOMIC_RELAXED);
		work_turns[(uintptr_t)number] = turn;
		if (turn % 32 == 0)
			usleep(100);
	}
	for (int i = 0; i < WORK_EXTENTS; i++)
		if (*(volatile uint64_t *)(p + i * EXTENT + at) != words[i])
			__atomic_add_fetch(&work_wrong, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void under_work(enum hmem_policy_mode mode)
{
	pthread_t workers[WORKERS];
	struct hmem_migrate m;
	int failed = 0;

	stop_work = false;
	begin(all, 2, HMEM_CREATE_SPREAD, WORK_EXTENTS);
	must(policy_mode_set(fd, mode), "policy");
	for (uintptr_t i = 0; i < WORKERS; i++)
		if (pthread_create(&workers[i], NULL, work, (void *)i))
			tap_bail("pthread_create");
	for (int round = 0; round < ROUNDS; round++) {
		const char *pool = all[round % 3];
		int rc;

		if (mode == HMEM_POLICY_AUTO)
			migrate(fd, 0, 3 * EXTENT, round % 2 ? HMEM_HOME : HMEM_NEAR, &m);
		do {
			rc = pool_drain(control, pool, 0, NULL);
		} while (rc == -EBUSY);
		if (rc)
			tap_diag("round %d: drain says %d", round, rc);
		failed += rc != 0 || pool_free(pool) != 8 * (int64_t)EXTENT;
		must(pool_drain(control, pool, HMEM_DRAIN_STOP, NULL), "stop");
	}
	for (int i = 0; i < WORKERS; i++)
		while (work_turns[i] < 4 * WORK_EXTENTS)
			usleep(1000);
	stop_work = true;
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	TAP_OK(!failed, "under work, policy %d: drained %d times", mode, ROUNDS);
	TAP_EQ(work_wrong, 0, "under work, policy %d: nothing is lost", mode);
	must(policy_mode_set(fd, HMEM_POLICY_OFF), "policy");
	end(WORK_EXTENTS);
}

int main(void)
{
	char pmem[HMEM_NAME_LEN];

	control = must_begin_cxl();
	touch_catch();
	for (int i = 0; i < 3; i++)
		must(pool_attach_ram(control, all[i], 8 * EXTENT), "attach");
	for (int i = 0; i < 3; i++)
		frames_learn(control, &pools[i], all[i]);
	drained();
	spread();
	near_stays();
	held();
	held_shortly();
	cut();
	nowhere();
	signals();
	under_work(HMEM_POLICY_OFF);
	under_work(HMEM_POLICY_AUTO);
	must_cxl("pmem", pmem);
	must(pool_attach_cxl(control, pmem, HMEM_ATTACH_FORMAT, NULL), "attach");
	refused(pmem);
	sweep(control);
	cxl_end(pmem);
	return tap_done();
}
