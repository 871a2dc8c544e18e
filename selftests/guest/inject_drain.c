// SPDX-License-Identifier: GPL-2.0-only
/*
 * A persistent region moves from pool to pool: under those who use it, with pools that come and go
 * in the middle of it, and with the power going at each write of a superblock copy. All
 * data is there afterwards, on the one or the other, and the move can be gone on with.
 *
 * From the n-th write on nothing of a superblock copy reaches the memory, or half of the n-th
 * does; tags and data are not held up.
 *
 * hmem-test: topology=pmem2 kernels=newest long=lts timeout=400
 */
#include <pthread.h>

#include "inject.h"
#include "moving.h"

#define WRITE	"__memcpy_flushcache"

static char names[2][HMEM_NAME_LEN];
static char *const a = names[0], *const b = names[1];

static void end(void)
{
	pool_detach(control, a);
	pool_detach(control, b);
}

static void moved(void)
{
	struct hmem_pool_drain d;
	struct hmem_region_query info;
	int64_t all;
	int fd;

	begin(a, b);
	all = pool_free(a) + EXTENTS * EXTENT;
	TAP_EQ(pool_drain(control, a, 0, &d), 0, "a persistent pool is drained");
	TAP_EQ(d.moved, 3 * EXTENT, "what was ever stored to was moved, though nobody touched it");
	TAP_STR_EQ(sysfs_text("hmem", "kept", "pools"), b, "all of it");
	TAP_OK(pool_free(a) == all && sysfs_number("hmem_pool", a, "regions") == 0, "it is empty");
	TAP_OK(whole(), "the data is there");
	end();
	must(attach(b), "attach");
	TAP_OK(whole(), "and is when the other pool comes alone");
	fd = must_open("kept", O_RDONLY);
	TAP_OK(!region_info(fd, &info) && info.uid == USER_UID && info.mode == 0640,
	       "with owner and mode");
	close(fd);
	must(attach(a), "attach");
	TAP_EQ(sysfs_number("hmem_pool", a, "regions"), 0, "the first is empty, also on the media");
	end();
}

static void without(const char *gone, const char *stays)
{
	char *name = "in the middle";

	must(pool_detach(control, gone), "detach");
	TAP_EQ(region_open("kept", O_RDWR), -ENOENT, "%s: without one pool it is hidden", name);
	TAP_EQ(region_create(control, "kept", stays, EXTENT), -EEXIST, "%s: its name is not", name);
	TAP_EQ(pool_drain(control, stays, 0, NULL), -EBUSY, "%s: what is left cannot be drained", name);
	must(region_create(control, "other", stays, EXTENT), "create");
	must(region_destroy(control, "other"), "destroy");
	TAP_EQ(attach(gone), 0, "%s: the pool comes back", name);
	TAP_OK(half_whole(), "%s: and with it all of it", name);
}

static void half(void)
{
	begin_half(a, b);
	TAP_OK(half_whole(), "in the middle: it is of use");
	TAP_EQ(region_resize(control, "kept", 9 * EXTENT), -EBUSY, "in the middle: it cannot grow");
	TAP_EQ(pool_drain(control, b, 0, NULL), -ENOSPC, "in the middle: nor go back");
	without(a, b);
	without(b, a);
	end();
	must(attach(b), "attach");
	TAP_EQ(region_open("kept", O_RDWR), -ENOENT, "in the middle: the second comes first");
	must(attach(a), "attach");
	TAP_OK(half_whole(), "in the middle: then the first");
	TAP_EQ(pool_drain(control, a, 0, NULL), 0, "in the middle: it goes on");
	TAP_OK(half_whole() && !strcmp(sysfs_text("hmem", "kept", "pools"), b),
	       "in the middle: to the end");
	end();
	must(attach(b), "attach");
	TAP_OK(half_whole(), "in the middle: and is whole afterwards");
	end();
}

static void given_up(const char *first, const char *second)
{
	int64_t all;

	begin(a, b);
	all = pool_free(b);
	end();
	begin_half(a, b);
	end();
	must(attach(first), "attach");
	TAP_EQ(region_destroy(control, "kept"), 0, "one half of it is destroyed");
	must(attach(second), "attach");
	TAP_OK(pool_free(a) == all && pool_free(b) == all, "and the other with it");
	end();
}

static int once(const char *how, int n)
{
	int writes;

	begin(a, b);
	inject(WRITE " %s %d 0 hmem 0", how, n);
	must(pool_drain(control, a, 0, NULL), "drain");
	/* When both pools say that it is on its way, what is stored to it is there. */
	if (n > 4)
		put(0, three);
	writes = inject_look(WRITE);
	end();
	inject("\n");
	return writes;
}

static void power_goes(const char *how, int step)
{
	int n = 1, wrong = 0, on_a = 0, between = 0, on_b = 0;

	for (; once(how, n); n += step) {
		const char *first = n % 2 ? a : b, *second = n % 2 ? b : a, *where;
		int rc = attach(first) ?: attach(second);

		where = sysfs_text("hmem", "kept", "pools");
		on_a += !strcmp(where, a);
		on_b += !strcmp(where, b);
		between += !!strchr(where, ' ');
		if (rc || !has(0, n > 4 ? three : one) || !has(1, two) || !has(2, none) ||
		    !has(3, three) || pool_drain(control, a, 0, NULL) ||
		    !has(0, n > 4 ? three : one) || !has(1, two) || !has(3, three) ||
		    !has(4, none) || strcmp(sysfs_text("hmem", "kept", "pools"), b)) {
			tap_diag("write %d: attach says %d", n, rc);
			wrong++;
		}
		end();
	}
	end();
	TAP_EQ(wrong, 0, "power, %s: all is there, and the move goes on", how);
	TAP_OK(n == 9 && on_a && between && on_b,
	       "power, %s: %d writes, %d times on the first, %d between, %d on the second", how,
	       n - 1, on_a, between, on_b);
}

/* The table of the pool that it is to come to is full, or fills up while it moves. */
static void full_table(void)
{
	struct hmem_pool_drain d;
	int64_t room;

	begin(a, b);
	room = pool_free(b);
	inject("hm_store_fits 0 1 1 hmem 0");
	TAP_EQ(pool_drain(control, a, 0, &d), -EMFILE, "a full table: it cannot go there");
	TAP_OK(pool_free(b) == room && !strcmp(sysfs_text("hmem", "kept", "pools"), a),
	       "a full table: and has nothing there");
	TAP_OK(whole(), "a full table: its data stays");
	inject("hm_store_write %d 3 0 hmem 0", -EMFILE);
	TAP_EQ(pool_drain(control, a, 0, &d), -EBUSY, "no record: all has moved, and is not told");
	inject("\n");
	TAP_EQ(sysfs_number("hmem_pool", a, "regions"), 1, "no record: so the first keeps its own");
	TAP_OK(whole(), "no record: the data is there");
	end();
	must(attach(b), "attach");
	must(attach(a), "attach");
	TAP_OK(whole(), "no record: and comes back");
	TAP_EQ(pool_drain(control, a, 0, NULL), 0, "no record: then it can be written");
	end();
	must(attach(b), "attach");
	TAP_OK(whole(), "no record: all is on the second");
	end();
}

/* Threads that use the region while it moves to and fro. */

#define WORKERS	3
#define ROUNDS	6

static volatile bool stop_work;
static int work_fd, work_wrong;
static char *work_map;

static void *work(void *number)
{
	size_t at = 4096 * (size_t)(uintptr_t)number + 8192 + 512;
	uint64_t words[EXTENTS] = {}, turn = 0;

	for (unsigned int i = 0; !stop_work; i = (i + 1) % EXTENTS, turn++) {
		uint64_t found, *word = (void *)(work_map + i * EXTENT + at);

		words[i]++;
		if (turn % 3 == 0 && pwrite(work_fd, &words[i], 8, i * EXTENT + at) != 8)
			__atomic_add_fetch(&work_wrong, 1, __ATOMIC_RELAXED);
		else if (turn % 3 && __atomic_add_fetch(word, 1, __ATOMIC_RELAXED) != words[i])
			__atomic_add_fetch(&work_wrong, 1, __ATOMIC_RELAXED);
		if (pread(work_fd, &found, 8, i * EXTENT + at) != 8 || found != words[i])
			__atomic_add_fetch(&work_wrong, 1, __ATOMIC_RELAXED);
		if (turn % 64 == 0 && fsync(work_fd))
			__atomic_add_fetch(&work_wrong, 1, __ATOMIC_RELAXED);
		if (turn % 32 == 0)
			usleep(200);
	}
	for (int i = 0; i < EXTENTS; i++)
		if (*(volatile uint64_t *)(work_map + i * EXTENT + at) != words[i])
			__atomic_add_fetch(&work_wrong, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void under_work(void)
{
	pthread_t workers[WORKERS];
	int failed = 0;

	begin(a, b);
	work_fd = must_open("kept", O_RDWR);
	work_map = must_map(work_fd, EXTENTS * EXTENT);
	for (uintptr_t i = 0; i < WORKERS; i++)
		if (pthread_create(&workers[i], NULL, work, (void *)i))
			tap_bail("pthread_create");
	for (int round = 0; round < ROUNDS; round++) {
		const char *pool = round % 2 ? b : a;
		int rc;

		do {
			rc = pool_drain(control, pool, 0, NULL);
		} while (rc == -EBUSY);
		failed += rc != 0 || sysfs_number("hmem_pool", pool, "regions") != 0;
		must(pool_drain(control, pool, HMEM_DRAIN_STOP, NULL), "stop");
	}
	stop_work = true;
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	TAP_EQ(failed, 0, "under work: moved %d times", ROUNDS);
	TAP_EQ(work_wrong, 0, "under work: nothing is lost");
	TAP_OK(whole(), "under work: nor what nobody stored to");
	munmap(work_map, EXTENTS * EXTENT);
	close(work_fd);
	end();
}

/* Runs @function with nothing of hmem open. */
static pid_t start(int (*function)(void))
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	close(control);
	_exit(function() ? 1 : 0);
}

static int destroy_a(void)
{
	return cxl_fixture("destroy", a, NULL, 0);
}

static int ended(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		;
	return status;
}

/*
 * The module goes while a pool's memory does, when the other pool of a region waits for that to
 * be taken apart.
 */
static void unloaded(void)
{
	pid_t destroys, unloads;

	begin_half(a, b);
	inject("unmap_mapping_range pass 1 1 hmem %d", INJECT_MOMENT_MS);
	destroys = start(destroy_a);
	inject_wait("unmap_mapping_range");
	close(control);
	control = -1;
	unloads = start(module_unload);
	for (int tries = 0; !access(CONTROL, F_OK) && tries < 10000; tries++)
		usleep(1000);
	/* That nothing happens is no event. */
	usleep(300000);
	TAP_EQ(waitpid(unloads, NULL, WNOHANG), 0, "unloaded: it waits for a pool that goes");
	inject_go();
	TAP_EQ(ended(destroys), 0, "unloaded: the pool is gone");
	TAP_EQ(ended(unloads), 0, "unloaded: then the module is");
	inject("\n");
	must(module_load(), "load");
	control = control_open();
	must(control, CONTROL);
	TAP_EQ(attach(b), 0, "unloaded: the other pool was given back");
	must(pool_detach(control, b), "detach");
	cxl_end(b);
	must_cxl_on_each("pmem", names, 2);
	must(attach(b), "attach");
	must(attach(a), "attach");
	TAP_OK(half_whole(), "unloaded: all is there");
	end();
}

/* Who waits for a page that somebody holds may be woken by anything; only a signal ends it. */
static void woken(void)
{
	struct hmem_pool_drain d;
	struct held h;

	begin(a, b);
	hold(&h, 1);
	inject("schedule_timeout_interruptible 1 1 0 hmem 0");
	TAP_EQ(pool_drain(control, a, 0, &d), -EBUSY, "woken: it is waited for all the same");
	TAP_OK(d.held != UINT64_MAX && !strcmp(d.region, "kept"), "woken: and named in the end");
	TAP_OK(inject_look("schedule_timeout_interruptible") > 1, "woken: many times");
	inject("\n");
	let_go(&h);
	TAP_EQ(pool_drain(control, a, 0, &d), 0, "woken: let go, it goes on");
	TAP_OK(whole(), "woken: to the end");
	end();
}

int main(void)
{
	control = must_begin_inject();
	must_cxl_on_each("pmem", names, 2);
	moved();
	woken();
	half();
	given_up(a, b);
	given_up(b, a);
	full_table();
	power_goes("0", 1);
	/* Of each pair of copies the first one; the second has an intact one beside it. */
	power_goes("half", 2);
	under_work();
	unloaded();
	cxl_end(a);
	cxl_end(b);
	return tap_done();
}
