// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file of a shelf is truncated under it: calls fail where the process would have died,
 * nobody hangs, and all other SIGBUS goes where it went before.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "sanitized.h"
#include "shelf_place.h"

#include <hmem/export.h>
#include <hmem/tx.h>

#define OBJECTS 40

static struct hmem_region *region;

static struct hmem_shelf *make(void)
{
	struct hmem_shelf *shelf;
	char name[16], value[20000];

	region = place_new(PLACE_SHM, 16 * MI);
	shelf = place_shelf(region, 8 * MI);
	memset(value, 'v', sizeof(value));
	for (unsigned int i = 0; i < OBJECTS; i++) {
		snprintf(name, sizeof(name), "%u", i);
		need(hmem_shelf_put(shelf, name, value, sizeof(value), NULL), "put");
	}
	return shelf;
}

static void cut(uint64_t bytes)
{
	if (truncate(place_path(PLACE_SHM), (off_t)bytes))
		tap_bail("truncate");
}

/* In a child, which has no handler, or one that was there before. */
static int status_of(void (*body)(void))
{
	int status;
	pid_t child = fork();

	if (!child) {
		body();
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		tap_bail("no child");
	return status;
}

static void die(void)
{
	struct hmem_shelf *shelf = make();

	cut(64 * KI);
	hmem_shelf_put(shelf, "x", "1", 1, NULL);
}

/* --- other faults -------------------------------------------------------------------- */

static sigjmp_buf back;
static volatile sig_atomic_t passed_on;

static void on_other(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	passed_on++;
	if (info->si_code > 0)
		siglongjmp(back, 1);
}

/* Somebody else's memory, which is gone as well. */
static void others(void)
{
	char path[] = "/dev/shm/hmem-other-XXXXXX";
	int fd = mkstemp(path);
	volatile char *at;

	unlink(path);
	at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || at == MAP_FAILED)
		tap_bail("other memory");
	passed_on = 0;
	if (!sigsetjmp(back, 1))
		*at = 1;
	TAP_EQ(passed_on, 1, "a fault elsewhere goes to the handler before ours");
	raise(SIGBUS);
	TAP_EQ(passed_on, 2, "and so does a signal that was sent");
	close(fd);
}

/* Storing to an object is the application's. */
static void through_pointers(void)
{
	struct hmem_shelf *shelf = make();
	struct hmem_object object;

	need(hmem_shelf_get(shelf, "1", &object), "get");
	cut(64 * KI);
	passed_on = 0;
	if (!sigsetjmp(back, 1))
		*(volatile char *)object.data = 1;
	TAP_EQ(passed_on, 1, "and a fault through a pointer to an object");
	TAP_EQ(hmem_shelf_get(shelf, "1", &object), -EIO, "a call fails");
	hmem_shelf_release(shelf, &object);
	TAP_EQ(hmem_shelf_close(shelf), -EIO, "it is closed");
	hmem_region_close(region);
}

static void die_elsewhere(void)
{
	need(hmem_sigbus_install(), "install");
	raise(SIGBUS);
}

/* --- streams ------------------------------------------------------------------------- */

#define LARGE (3 * MI)

/* @cut_at: when so much of it has been read or written the file is truncated; 0: never */
static struct stream {
	unsigned char *data;
	size_t bytes;
	size_t read;
	size_t cut_at;
} stream;

static int to_stream(void *arg, const void *data, size_t bytes)
{
	(void)arg;
	stream.data = realloc(stream.data, stream.bytes + bytes);
	if (!stream.data)
		tap_bail("no memory for a stream");
	memcpy(stream.data + stream.bytes, data, bytes);
	stream.bytes += bytes;
	if (stream.cut_at && stream.bytes > stream.cut_at)
		cut(64 * KI);
	return 0;
}

static long from_stream(void *arg, void *data, size_t bytes)
{
	size_t left = stream.bytes - stream.read;

	(void)arg;
	if (bytes > left)
		bytes = left;
	if (stream.cut_at && stream.read > stream.cut_at)
		cut(64 * KI);
	memcpy(data, stream.data + stream.read, bytes);
	stream.read += bytes;
	return (long)bytes;
}

static void stream_end(void)
{
	free(stream.data);
	stream = (struct stream){ 0 };
}

/* The file is truncated while a stream is written, and while one is read. */
static void streams(void)
{
	struct hmem_shelf *shelf = make();
	struct hmem_import *import;
	void *data;

	need(hmem_shelf_reserve(shelf, "large", LARGE, NULL, &data), "reserve");
	memset(data, 1, LARGE);
	need(hmem_shelf_publish(shelf, data, 0), "publish");
	stream.cut_at = LARGE / 3;
	TAP_EQ(hmem_shelf_export(shelf, NULL, to_stream, NULL, NULL), -EIO,
	       "an export in the middle of a value fails");
	TAP_EQ(hmem_shelf_close(shelf), -EIO, "its shelf is closed");
	hmem_region_close(region);
	stream_end();

	shelf = make();
	need(hmem_shelf_reserve(shelf, "large", LARGE, NULL, &data), "reserve");
	memset(data, 1, LARGE);
	need(hmem_shelf_publish(shelf, data, 0), "publish");
	need(hmem_shelf_export(shelf, NULL, to_stream, NULL, NULL), "export");
	need(hmem_shelf_close(shelf), "close");
	hmem_region_close(region);
	shelf = make();
	need(hmem_import_open(ctx, from_stream, NULL, &import), "import");
	stream.cut_at = stream.bytes - LARGE / 2;
	TAP_EQ(hmem_import_run(import, shelf, HMEM_IMPORT_REPLACE, NULL, NULL, NULL), -EIO,
	       "an import in the middle of a value fails");
	hmem_import_close(import);
	TAP_EQ(hmem_shelf_close(shelf), -EIO, "and its shelf is closed");
	hmem_region_close(region);
	stream_end();
}

/* What a new shelf gets is allocated, and then used: between the two it is cut off. */
static bool cut_at_fallocate;

int posix_fallocate(int fd, off_t offset, off_t bytes)
{
	int err = syscall(SYS_fallocate, fd, 0, offset, bytes) ? errno : 0;

	if (!err && cut_at_fallocate)
		cut(64 * KI);
	return err;
}

/* There is a table of shelves, and no memory behind it. */
static void creating(void)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf = make(), *other = NULL;

	cut_at_fallocate = true;
	options.bytes = 1 * MI;
	TAP_EQ(hmem_shelf_create(region, "another", &options, &other), -EIO, "creating fails: %s",
	       hmem_last_error(ctx));
	TAP_OK(!other, "and gives no handle");
	cut_at_fallocate = false;
	hmem_shelf_close(shelf);
	hmem_region_close(region);
}

/* --- calls --------------------------------------------------------------------------- */

static int call(struct hmem_shelf *shelf, struct hmem_cursor *cursor, unsigned int which)
{
	struct hmem_put_options typed = HMEM_PUT_OPTIONS_INIT;
	struct hmem_shelf_info info = { .size = sizeof(info) };
	struct hmem_entry entry = { .size = sizeof(entry) };
	struct hmem_object object, objects[2];
	static char value[20000];
	struct hmem_tx *tx;
	size_t length;
	void *data;
	int err;

	typed.type = "a type";
	typed.type_bytes = 6;
	switch (which) {
	case 0:
		return hmem_shelf_put(shelf, "x", "1", 1, NULL);
	case 1:
		return hmem_shelf_put(shelf, "y", "1", 1, &typed);
	case 2:
		return hmem_shelf_get(shelf, "1", &object);
	case 3:
		return hmem_shelf_read(shelf, "2", value, sizeof(value), &length);
	case 4:
		return hmem_shelf_delete(shelf, "3");
	case 5:
		return hmem_cursor_next(cursor, &entry);
	case 6:
		return hmem_shelf_check(shelf, NULL, NULL);
	case 7:
		return hmem_shelf_get_info(shelf, &info);
	case 8:
		return hmem_shelf_reserve(shelf, "z", 100, NULL, &data);
	case 9:
		err = hmem_tx_begin(shelf, &tx);
		if (!err)
			err = hmem_tx_put(tx, "t", "1", 1, NULL);
		return err ? err : hmem_tx_commit(tx);
	case 10:
		return hmem_shelf_grow(shelf, 12 * MI);
	case 11:
		err = hmem_shelf_export(shelf, NULL, to_stream, NULL, NULL);
		stream_end();
		return err;
	case 12:
		return hmem_shelf_get_many(shelf, (const char *const[]){ "1", "2" }, 2, objects);
	case 13:
		return hmem_shelf_edit(shelf, "4", &object);
	default:
		return -1;
	}
}
#define CALLS 14

/* Each meets it first, at sizes at which different parts are gone. */
static void each_call(void)
{
	static const uint64_t sizes[] = { 64 * KI, 128 * KI, 192 * KI, 2 * MI };
	unsigned int wrong = 0, met = 0;

	for (unsigned int which = 0; which < CALLS; which++) {
		for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct hmem_shelf *shelf = make();
			struct hmem_cursor *cursor;
			int err;

			need(hmem_cursor_open(shelf, NULL, 0, &cursor), "cursor");
			cut(sizes[i]);
			err = call(shelf, cursor, which);
			met += err == -EIO;
			/* What it has no need of may be gone. */
			wrong += err < 0 && err != -EIO && err != -EUCLEAN;
			if (err == -EIO) {
				wrong += !strstr(hmem_last_error(ctx), "memory is gone");
				for (unsigned int other = 0; other < CALLS; other++)
					wrong += call(shelf, cursor, other) != -EIO;
			}
			hmem_cursor_close(cursor);
			wrong += hmem_shelf_close(shelf) != -EIO && i == 0;
			hmem_region_close(region);
		}
	}
	TAP_OK(!wrong && met > CALLS, "calls fail, and all that follow (%u met it, %u wrong)", met,
	       wrong);
}

static void opening(void)
{
	struct hmem_shelf *shelf = make(), *other = NULL;

	need(hmem_shelf_close(shelf), "close");
	cut(64 * KI + 4096);
	TAP_OK(hmem_shelf_open(region, "s", NULL, &other) && !other, "opening fails: %s",
	       hmem_last_error(ctx));
	hmem_region_close(region);
	shelf = make();
	need(hmem_shelf_open(region, "s", NULL, &other), "another handle");
	cut(64 * KI);
	TAP_EQ(hmem_shelf_put(shelf, "x", "1", 1, NULL), -EIO, "one handle meets it");
	TAP_EQ(hmem_shelf_put(other, "x", "1", 1, NULL), -EIO, "another for itself");
	TAP_EQ(hmem_shelf_close(shelf), -EIO, "one is closed");
	TAP_EQ(hmem_shelf_close(other), -EIO, "and the other");
	hmem_region_close(region);
}

/* --- threads ------------------------------------------------------------------------- */

static struct hmem_shelf *shared;
static atomic_uint odd, running;

static void *go_on(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg;
	char name[16];
	int err = 0;

	for (unsigned int i = 0; !err; i++) {
		struct hmem_object object;

		if (i == 100)
			atomic_fetch_add(&running, 1);
		snprintf(name, sizeof(name), "%u", (i * 7 + me) % OBJECTS);
		if (me & 1)
			err = hmem_shelf_put(shared, name, "12345", 5, NULL);
		else
			err = hmem_shelf_get(shared, name, &object);
		if (!err && !(me & 1))
			hmem_shelf_release(shared, &object);
	}
	if (err != -EIO)
		atomic_fetch_add(&odd, 1);
	return NULL;
}

static void threads(void)
{
	pthread_t thread[6];

	atomic_store(&odd, 0);
	for (unsigned int round = 0; round < 20; round++) {
		shared = make();
		atomic_store(&running, 0);
		for (uintptr_t i = 0; i < 6; i++)
			if (pthread_create(&thread[i], NULL, go_on, (void *)i))
				tap_bail("no thread");
		while (atomic_load(&running) < 6)
			sched_yield();
		cut(64 * KI + round * 4096);
		/* Where nothing is gone that they touch, more goes. */
		cut(64 * KI);
		for (unsigned int i = 0; i < 6; i++)
			pthread_join(thread[i], NULL);
		if (hmem_shelf_close(shared) != -EIO)
			atomic_fetch_add(&odd, 1);
		hmem_region_close(region);
	}
	TAP_EQ(atomic_load(&odd), 0, "threads in the middle of calls get an error, and none hangs");
}

int main(void)
{
	struct sigaction other = { .sa_sigaction = on_other, .sa_flags = SA_SIGINFO };
	int status;

	/* A fault inside of its functions is one of its own, and leaving them breaks it. */
	if (SANITIZER == 2)
		tap_skip_all("the sanitizer of races does not stand being left in the middle");
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	place_path(PLACE_SHM);
	status = status_of(die);
	TAP_OK(!WIFEXITED(status) || WEXITSTATUS(status), "without the handler it is fatal");
	status = status_of(die_elsewhere);
	TAP_OK(!WIFEXITED(status) || WEXITSTATUS(status), "with it a SIGBUS elsewhere is");
	sigaction(SIGBUS, &other, NULL);
	TAP_EQ(hmem_sigbus_install(), 0, "the handler is installed");
	TAP_EQ(hmem_sigbus_install(), 0, "twice is once");
	alarm(100);
	others();
	through_pointers();
	each_call();
	opening();
	creating();
	streams();
	threads();
	others();
	alarm(0);
	unlink(place_path(PLACE_SHM));
	hmem_ctx_unref(ctx);
	return tap_done();
}
