// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moments that are too short to be met by chance, made long: growth before it is durable,
 * the last close while others pin pages, opening what is being destroyed, clearing an extent that
 * others clear and use, keeping an extent near whose pool goes.
 *
 * hmem-test: topology=pmem1 kernels=lts,newest
 */
#include "inject.h"
#include "near.h"
#include "poison.h"

#include <pthread.h>
#include <sys/uio.h>

#define POOL		"shelf"

static int control;
static char source[HMEM_NAME_LEN];

/* One command in another thread. */
struct task {
	int (*function)(int argument);
	int argument;
	int rc;
	pthread_t thread;
};

static void *task_run(void *argument)
{
	struct task *task = argument;

	task->rc = task->function(task->argument);
	return NULL;
}

static void task_start(struct task *task, int (*function)(int), int argument)
{
	*task = (struct task){ .function = function, .argument = argument };
	if (pthread_create(&task->thread, NULL, task_run, task))
		tap_bail("no thread");
}

static int task_end(struct task *task)
{
	pthread_join(task->thread, NULL);
	return task->rc;
}

static int grow_to(int extents)
{
	return region_resize(control, "g", extents * EXTENT);
}

/* Nobody reaches what does not count yet. */
static void beyond_the_end(int fd, char *p, const char *when)
{
	char byte = 0;

	TAP_OK(touch_read(p + EXTENT) == SIGBUS && touch_write(p + EXTENT, 1) == SIGBUS,
	       "%s: touching what is added raises SIGBUS", when);
	TAP_OK(pwrite(fd, "x", 1, EXTENT) == -1 && errno == ENOSPC, "%s: write(2) is refused",
	       when);
	TAP_EQ(pread(fd, &byte, 1, EXTENT), 0, "%s: read(2) is at the end", when);
	TAP_EQ(lseek(fd, 0, SEEK_END), EXTENT, "%s: the size is the old one", when);
}

static void growth(void)
{
	int64_t before;
	struct task task;
	int fd;
	char *p;

	must(region_create(control, "g", POOL, EXTENT), "create");
	before = pool_free(POOL);
	fd = must_open("g", O_RDWR);
	p = must_map(fd, 2 * EXTENT);
	memset(p, 0x11, 4096);

	inject("hm_store_write %d 1 1 hmem %d", -EMFILE, INJECT_MOMENT_MS);
	task_start(&task, grow_to, 2);
	inject_wait("hm_store_write");
	beyond_the_end(fd, p, "while it is not durable");
	inject_go();
	TAP_EQ(task_end(&task), -EMFILE, "it cannot be recorded");
	inject_end("hm_store_write");
	beyond_the_end(fd, p, "so it has not grown");
	TAP_EQ(pool_free(POOL), before, "and nothing was taken from the pool");

	inject("hm_store_write pass 1 1 hmem %d", INJECT_MOMENT_MS);
	task_start(&task, grow_to, 2);
	inject_wait("hm_store_write");
	beyond_the_end(fd, p, "the second time, while it is not durable");
	inject_go();
	TAP_EQ(task_end(&task), 0, "it can be recorded");
	inject_end("hm_store_write");
	TAP_OK(touch_write(p + EXTENT, 1) == 0 && pages_hold(p + EXTENT + 4096, EXTENT - 4096, 0),
	       "and is there, as zeroes");
	TAP_OK(p[0] == 0x11 && p[4095] == 0x11, "beside the old data");
	munmap(p, 2 * EXTENT);
	close(fd);
	must(region_destroy(control, "g"), "destroy");
}

static int reference_count(void)
{
	FILE *f = fopen("/sys/module/hmem/refcnt", "re");
	int count = -1;

	if (!f || fscanf(f, "%d", &count) != 1)
		count = -1;
	if (f)
		fclose(f);
	return count;
}

static int destroy_soon(void)
{
	int rc;

	for (int tries = 0; (rc = region_destroy(control, "p")) == -EBUSY && tries < 50; tries++)
		usleep(100000);
	return rc;
}

/*
 * The last close has seen no pins, and is held up there. Somebody else opens the region,
 * pins a page and closes it again.
 */
static void pinned_behind_its_back(void)
{
	struct iovec iov;
	struct task task;
	int fds[2], fd, idle;
	char byte[4096];
	char *p;

	if (pipe(fds))
		tap_bail("pipe: %s", strerror(errno));
	must(region_create(control, "p", POOL, EXTENT), "create");
	idle = reference_count();
	fd = must_open("p", O_RDWR);
	inject("hm_extents_pinned 0 1 1 hmem %d", INJECT_MOMENT_MS);
	task_start(&task, close, fd);
	inject_wait("hm_extents_pinned");

	fd = must_open("p", O_RDWR);
	p = must_map(fd, EXTENT);
	memset(p, 0x66, 4096);
	iov = (struct iovec){ p, 4096 };
	if (vmsplice(fds[1], &iov, 1, 0) != 4096)
		tap_bail("vmsplice: %s", strerror(errno));
	munmap(p, EXTENT);
	close(fd);
	TAP_OK(!pthread_tryjoin_np(task.thread, NULL) ? false : true,
	       "all that before the first close went on");
	inject_go();
	task_end(&task);
	TAP_EQ(inject_end("hm_extents_pinned"), 1, "which had seen no pin");

	TAP_OK(reference_count() > idle, "the pin keeps the module");
	TAP_EQ(region_destroy(control, "p"), -EBUSY, "and the region");
	TAP_EQ(pool_detach(control, POOL), -EBUSY, "and the pool");
	TAP_OK(read(fds[0], byte, 4096) == 4096 && all_bytes(byte, 4096, 0x66),
	       "the page held what was stored");
	TAP_EQ(destroy_soon(), 0, "once it is let go, the region can go");
	TAP_EQ(reference_count(), idle, "and the module");
	close(fds[0]);
	close(fds[1]);
}

static int destroy_d(int unused)
{
	(void)unused;
	return region_destroy(control, "d");
}

static void opened_while_destroyed(void)
{
	struct task task;

	must(region_create(control, "d", POOL, EXTENT), "create");
	inject("cdev_device_del pass 1 1 hmem %d", INJECT_MOMENT_MS);
	task_start(&task, destroy_d, 0);
	inject_wait("cdev_device_del");
	TAP_EQ(region_open("d", O_RDWR), -ENODEV, "a region being destroyed cannot be opened");
	inject_go();
	TAP_EQ(task_end(&task), 0, "and is destroyed");
	inject_end("cdev_device_del");
	TAP_EQ(region_open("d", O_RDWR), -ENOENT, "then it is gone");
}

#define AS_IS		"hm_extent_lock_as_is"
#define BAD		7ULL

static int clear_it(int fd)
{
	return poison(fd, HMEM_POISON_CLEAR, 0, EXTENT, NULL);
}

/*
 * An extent is found to be one that cannot be zeroed, as a page of it is bad. Before it is cleared
 * somebody else does that and stores to it, and it is near when the page goes bad again: what is
 * near is all that there is of it.
 */
static void cleared_twice(void)
{
	uint64_t offset = EXTENT + BAD * PAGE;
	struct hmem_migrate m;
	struct task task;
	int calls, fd;
	char *p;

	must(region_create(control, "c", POOL, 2 * EXTENT), "create");
	fd = must_open("c", O_RDWR);
	must(near_max_set(fd, 2 * EXTENT), "near_max");
	p = must_map(fd, 2 * EXTENT);
	/* How often the function is called for that; the compiler may have made a part of it inline. */
	must(poison(fd, HMEM_POISON_REPORT, offset, PAGE, NULL), "report");
	inject(AS_IS " pass 1 0 hmem 0");
	must(poison(fd, HMEM_POISON_CLEAR, EXTENT, EXTENT, NULL), "clear");
	calls = inject_end(AS_IS);
	TAP_OK(calls > 0, "an extent that cannot be zeroed is cleared");

	offset = BAD * PAGE;
	must(poison(fd, HMEM_POISON_REPORT, offset, PAGE, NULL), "report");
	inject(AS_IS " pass %d 1 hmem %d", calls, INJECT_MOMENT_MS);
	task_start(&task, clear_it, fd);
	inject_wait(AS_IS);
	must(clear_it(fd), "clear");
	memset(p, 0x5a, EXTENT);
	must(migrate(fd, 0, EXTENT, HMEM_NEAR, &m), "near");
	must(poison(fd, HMEM_POISON_REPORT, offset, PAGE, NULL), "report");
	TAP_OK(m.pages[HMEM_MOVED] == EXTENT / PAGE && pages_hold(p, EXTENT, 0x5a),
	       "it is cleared by somebody else, has data, and is near when the page goes bad again");
	inject_go();
	TAP_EQ(task_end(&task), 0, "who came first clears it as well");
	inject_end(AS_IS);
	must(migrate(fd, 0, EXTENT, HMEM_HOME, &m), "home");
	TAP_OK(!touch_read(p + offset) && pages_hold(p, EXTENT, 0x5a), "and nothing is lost");
	TAP_EQ(poison_list(fd, 0, (struct hmem_poison_range[1]){}, 1), 0, "nor bad");
	munmap(p, 2 * EXTENT);
	close(fd);
	must(region_destroy(control, "c"), "destroy");
}

static int keep_it(int fd)
{
	return keep_extents(fd, 0, 1, HMEM_NEAR, NULL);
}

/* Takes a moment, as the device has to wait for who is just using the region. */
static int destroy_cxl(int unused)
{
	(void)unused;
	cxl_end(source);
	return 0;
}

/* An extent that is to be kept near is there, and when it is about to be copied its pool goes. */
static void gone_while_kept(void)
{
	struct task keeper, destroyer;
	int fd;

	must(region_create(control, "k", POOL, EXTENT), "create");
	fd = must_open("k", O_RDWR);
	must(near_max_set(fd, EXTENT), "near_max");
	inject("hm_near_promote pass 1 1 hmem %d", INJECT_MOMENT_MS);
	task_start(&keeper, keep_it, fd);
	inject_wait("hm_near_promote");
	task_start(&destroyer, destroy_cxl, 0);
	for (int tries = 0; pool_free(POOL) >= 0 && tries < 3000; tries++)
		usleep(10000);
	TAP_OK(pool_free(POOL) < 0, "while an extent is about to be kept near, its pool goes");
	inject_go();
	TAP_EQ(task_end(&keeper), -ENODEV, "which is what the one who keeps it is told");
	task_end(&destroyer);
	inject_end("hm_near_promote");
	close(fd);
}

int main(void)
{
	struct hmem_pool_attach a = { .size = sizeof(a), .provider = HMEM_PROVIDER_CXL,
				      .flags = HMEM_ATTACH_FORMAT, .nid = -1 };

	control = must_begin_inject();
	touch_catch();
	must_cxl("pmem", source);
	set_name(a.source, source);
	set_name(a.name, POOL);
	must(hmem_ioctl(control, HMEM_POOL_ATTACH, &a), "attach");
	growth();
	pinned_behind_its_back();
	opened_while_destroyed();
	cleared_twice();
	gone_while_kept();
	sweep(control);
	return tap_done();
}
