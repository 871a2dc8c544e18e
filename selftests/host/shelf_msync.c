// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of shelves when msync(2) reports that pages did not get to the media. It says so once
 * for each open file: whoever else has pages in it must not believe that his are there, and what
 * the kernel holds for clean then has to be written once more.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <hmem/hmem.h>

#include "tap.h"

#define MI ((uint64_t)1 << 20)

static struct hmem_ctx *ctx;
static struct hmem_region *region;
static char path[300];
static unsigned int to_fail;
static __thread bool waits;
static sem_t arrived, cancelled;
static struct {
	uintptr_t start;
	uintptr_t end;
} synced[256];
static unsigned int nr_synced;

int msync(void *address, size_t length, int flags)
{
	int (*real)(void *, size_t, int) = (int (*)(void *, size_t, int))dlsym(RTLD_NEXT, "msync");

	/* As the C library's does. */
	if (waits) {
		waits = false;
		sem_post(&arrived);
		while (sem_wait(&cancelled))
			;
		pthread_testcancel();
	}
	if (to_fail && !--to_fail) {
		errno = EIO;
		return -1;
	}
	if (nr_synced < 256) {
		synced[nr_synced].start = (uintptr_t)address;
		synced[nr_synced++].end = (uintptr_t)address + length;
	}
	return real(address, length, flags);
}

static bool was_synced(uintptr_t at)
{
	for (unsigned int i = 0; i < nr_synced; i++)
		if (at >= synced[i].start && at < synced[i].end)
			return true;
	return false;
}

static void need(int err, const char *what)
{
	if (err)
		tap_bail("%s: %d: %s", what, err, hmem_last_error(ctx));
}

static struct hmem_shelf *make(const char *name)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf;

	options.bytes = 2 * MI;
	options.max_bytes = 8 * MI;
	need(hmem_shelf_create(region, name, &options, &shelf), name);
	need(hmem_shelf_put(shelf, "old", "old", 3, NULL), "putting");
	return shelf;
}

static bool has(struct hmem_shelf *shelf, const char *name)
{
	char value[8];
	size_t bytes;

	return !hmem_shelf_read(shelf, name, value, sizeof(value), &bytes) && bytes == 3;
}

static void end(struct hmem_shelf *shelf, const char *name)
{
	need(hmem_shelf_close(shelf), "closing");
	need(hmem_shelf_destroy(region, name), "destroying");
}

/* @who: which of the calls on the same region is told */
static void test_others(const char *who, int (*fail)(struct hmem_shelf *shelf))
{
	struct hmem_shelf *a = make("a"), *b = make("b");

	to_fail = 1;
	TAP_EQ(fail(a), -EIO, "%s is told", who);
	TAP_EQ(to_fail, 0, "by a msync that failed");
	TAP_EQ(hmem_shelf_put(b, "new", "new", 3, NULL), -EIO, "so is another shelf of the region");
	TAP_EQ(hmem_shelf_put(b, "newer", "new", 3, NULL), -EROFS, "which takes no more updates");
	hmem_shelf_close(a);
	hmem_shelf_close(b);
	need(hmem_shelf_open(region, "a", NULL, &a), "opening");
	need(hmem_shelf_open(region, "b", NULL, &b), "opening");
	TAP_OK(has(a, "old") && has(b, "old"), "opened again both have what they had");
	TAP_EQ(hmem_shelf_put(b, "new", "new", 3, NULL), 0, "and take updates");
	TAP_EQ(hmem_shelf_check(a, NULL, NULL) | hmem_shelf_check(b, NULL, NULL), 0, "nothing is wrong");
	end(a, "a");
	end(b, "b");
}

static int fail_put(struct hmem_shelf *shelf)
{
	return hmem_shelf_put(shelf, "new", "new", 3, NULL);
}

static int fail_grow(struct hmem_shelf *shelf)
{
	return hmem_shelf_grow(shelf, 4 * MI);
}

static int fail_persist(struct hmem_shelf *shelf)
{
	size_t bytes;
	void *memory;
	int err;

	(void)shelf;
	need(hmem_region_map(region, 0, 4096, &memory, &bytes), "mapping");
	err = hmem_region_persist(region, memory, 4096);
	munmap(memory, bytes);
	return err;
}

/* All that the kernel may hold for clean is written when the shelf is opened again. */
static void test_again(void)
{
	static char value[40000];
	struct hmem_object object;
	struct hmem_shelf *shelf = make("a");
	unsigned int missed = 0;

	memset(value, 'v', sizeof(value));
	need(hmem_shelf_put(shelf, "large", value, sizeof(value), NULL), "putting");
	to_fail = 1;
	TAP_EQ(hmem_shelf_put(shelf, "new", "new", 3, NULL), -EIO, "a put fails");
	hmem_shelf_close(shelf);
	nr_synced = 0;
	need(hmem_shelf_open(region, "a", NULL, &shelf), "opening");
	need(hmem_shelf_get(shelf, "large", &object), "getting");
	for (size_t at = 0; at < object.bytes; at += 4096)
		missed += !was_synced((uintptr_t)object.data + at);
	hmem_shelf_release(shelf, &object);
	TAP_EQ(missed, 0, "all that is there has been written once more");
	hmem_shelf_close(shelf);
	need(hmem_shelf_open(region, "a", NULL, &shelf), "opening");
	to_fail = 1;
	TAP_EQ(hmem_shelf_put(shelf, "new", value, 100, NULL), -EIO, "it fails once more");
	hmem_shelf_close(shelf);
	to_fail = 1;
	TAP_EQ(hmem_shelf_open(region, "a", NULL, &shelf), -EIO, "and while it is opened");
	TAP_OK(!to_fail, "which it tried");
	need(hmem_shelf_open(region, "a", NULL, &shelf), "opening at last");
	TAP_OK(has(shelf, "old"), "what was there is there");
	end(shelf, "a");
}

static void *put_in_thread(void *shelf)
{
	waits = true;
	hmem_shelf_put(shelf, "new", "new", 3, NULL);
	pthread_testcancel();
	return NULL;
}

/* While it waits for the media, which holds up everybody else's msync(2). */
static void test_cancelled(void)
{
	struct hmem_shelf *shelf = make("cancelled");
	struct timespec until;
	pthread_t thread;
	void *how = NULL;
	int err;

	sem_init(&arrived, 0, 0);
	sem_init(&cancelled, 0, 0);
	if (pthread_create(&thread, NULL, put_in_thread, shelf))
		tap_bail("a thread");
	while (sem_wait(&arrived))
		;
	pthread_cancel(thread);
	sem_post(&cancelled);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	err = pthread_timedjoin_np(thread, &how, &until);
	if (!TAP_OK(!err && how == PTHREAD_CANCELED, "a thread that is cancelled in a put ends: %d", err))
		tap_bail("others would wait for it");
	TAP_OK(has(shelf, "new"), "when its put has been made");
	TAP_EQ(hmem_shelf_put(shelf, "newer", "new", 3, NULL), 0, "and others go on");
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "nothing is wrong");
	end(shelf, "cancelled");
}

int main(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	const char *dir = getenv("TMPDIR");

	need(hmem_ctx_new(&ctx), "a context");
	snprintf(path, sizeof(path), "file:%s/shelf_msync.%d", dir ? dir : "/tmp", (int)getpid());
	options.bytes = 32 * MI;
	need(hmem_region_create(ctx, path, &options, &region), "a region");
	test_others("a put", fail_put);
	test_others("growing", fail_grow);
	test_others("persisting a part of the region", fail_persist);
	test_again();
	test_cancelled();
	hmem_region_close(region);
	need(hmem_region_destroy(ctx, path), "destroying");
	hmem_ctx_unref(ctx);
	return tap_done();
}
