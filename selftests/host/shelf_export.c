// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exporting shelves: all that was there comes back; it is what was there at one instant, whatever
 * writers do; and an exporter that dies keeps nothing. hmem-test: timeout=200
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "shelf_streams.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define EXPORTS 15
#define KILLS 30
#else
#define EXPORTS 100
#define KILLS 150
#endif

#define COUNTERS 40

static void there_and_back(unsigned int flags)
{
	struct hmem_export_result out = { .size = sizeof(out) }, in = out;
	struct hmem_import_info info = { .size = sizeof(info) };
	struct hmem_shelf *a = shelf_make("a", flags, 12 << 20), *b;
	struct hmem_object object;
	struct stream stream = { 0 };
	struct hmem_import *import;

	fill(a);
	TAP_EQ(hmem_shelf_export(a, NULL, to_memory, &stream, &out), 0, "exporting a shelf");
	TAP_OK(out.objects == 504 && !out.fuzzy && out.bytes > 4 << 20, "%llu objects",
	       (unsigned long long)out.objects);
	need(hmem_import_open(ctx, from_memory, &stream, &import), "opening the stream");
	need(hmem_import_get_info(import, &info), "info");
	TAP_OK(info.objects == 504 && info.bytes == out.bytes && !strcmp(info.name, "a") &&
		       info.ordered == !!flags && info.heap_bytes > info.bytes,
	       "the stream says what it is");
	b = shelf_make("b", flags, 2 * info.heap_bytes);
	TAP_EQ(hmem_import_run(import, b, 0, NULL, NULL, &in), 0, "importing it into a new shelf");
	TAP_EQ(hmem_import_run(import, b, 0, NULL, NULL, &in), -EINVAL, "once");
	hmem_import_close(import);
	TAP_OK(same(a, b), "which is the same");
	need(hmem_shelf_get(b, "large", &object), "large");
	TAP_OK(!((uintptr_t)object.data & ((2 << 20) - 1)) && object.type_bytes == 16 &&
		       !memcmp(object.type, "of the large one", 16),
	       "with its alignment and type");
	hmem_shelf_release(b, &object);
	TAP_EQ(hmem_shelf_check(b, NULL, NULL), 0, "and well");
	TAP_EQ(take_in(&stream, b, 0, NULL, NULL, &in), -EEXIST, "what is there is not replaced");
	TAP_OK(in.failed == 504 && !in.objects, "by none of them");
	put_text(b, "object 1", "something else");
	TAP_EQ(take_in(&stream, b, HMEM_IMPORT_REPLACE, NULL, NULL, &in), 0, "unless that is asked for");
	TAP_OK(same(a, b), "then it is the same again");
	shelf_end(b, "b");
	shelf_end(a, "a");
	stream_free(&stream);
}

/* --- one instant --------------------------------------------------------------------- */

static atomic_bool stop;

/* An export keeps what is replaced meanwhile: if the shelf is full, until that has ended. */
static void put_on(struct hmem_shelf *shelf, const char *name, const void *data, size_t bytes)
{
	int err;

	do
		err = hmem_shelf_put(shelf, name, data, bytes, NULL);
	while (err == -ENOSPC && !sched_yield());
	need(err, name);
}

/*
 * Counters that are raised one after the other, so that each is at least the next and the
 * first no more than one ahead of the last; and a token, whose successor comes before it goes.
 */
static void *count_up(void *arg)
{
	unsigned int id = *(unsigned int *)arg;
	struct hmem_shelf *shelf;
	uint64_t value[20] = { 0 };
	char name[32];

	need(hmem_shelf_open(region, "busy", NULL, &shelf), "opening");
	while (!atomic_load(&stop)) {
		value[0]++;
		for (unsigned int i = 0; i < COUNTERS; i++) {
			snprintf(name, sizeof(name), "counter-%u-%u", id, i);
			put_on(shelf, name, value, 8 + (value[0] + i) % 150);
		}
		snprintf(name, sizeof(name), "token-%u-%llu", id, (unsigned long long)value[0]);
		put_on(shelf, name, name, strlen(name));
		snprintf(name, sizeof(name), "token-%u-%llu", id, (unsigned long long)value[0] - 1);
		if (value[0] > 1)
			need(hmem_shelf_delete(shelf, name), name);
	}
	need(hmem_shelf_close(shelf), "closing");
	return NULL;
}

static bool one_instant(struct hmem_shelf *shelf, unsigned int id)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	uint64_t last = ~0ull, first = 0, value = 0;
	struct hmem_cursor *cursor;
	unsigned int tokens = 0;
	char name[32];

	for (unsigned int i = 0; i < COUNTERS; i++) {
		struct hmem_object object;

		snprintf(name, sizeof(name), "counter-%u-%u", id, i);
		value = 0;
		if (!hmem_shelf_get(shelf, name, &object)) {
			memcpy(&value, object.data, sizeof(value));
			hmem_shelf_release(shelf, &object);
		}
		if (!i)
			first = value;
		if (value > last || first - value > 1) {
			tap_diag("%s is %llu after %llu, the first %llu", name,
				 (unsigned long long)value, (unsigned long long)last,
				 (unsigned long long)first);
			return false;
		}
		last = value;
	}
	snprintf(name, sizeof(name), "token-%u-", id);
	need(hmem_cursor_open(shelf, name, 0, &cursor), "cursor");
	while (hmem_cursor_next(cursor, &entry) > 0)
		tokens++;
	hmem_cursor_close(cursor);
	if (tokens > 2 || (!tokens && value > 1))
		tap_diag("%u tokens at %llu", tokens, (unsigned long long)value);
	return tokens <= 2 && (tokens || value <= 1);
}

static void under_writers(unsigned int flags)
{
	struct hmem_shelf *busy = shelf_make("busy", flags, 24 << 20), *copy;
	unsigned int ids[3] = { 0, 1, 2 }, good = 0, other = 0;
	struct hmem_import_info info = { .size = sizeof(info) };
	struct stream stream = { 0 };
	struct hmem_import *import;
	pthread_t threads[3];
	uint64_t last = 0;

	for (unsigned int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, count_up, &ids[i]);
	for (unsigned int i = 0; i < EXPORTS; i++) {
		need(hmem_shelf_export(busy, NULL, to_memory, &stream, NULL), "exporting");
		need(hmem_import_open(ctx, from_memory, &stream, &import), "importing");
		need(hmem_import_get_info(import, &info), "info");
		copy = shelf_make("copy", flags, info.heap_bytes);
		need(hmem_import_run(import, copy, 0, NULL, NULL, NULL), "importing");
		hmem_import_close(import);
		good += one_instant(copy, 0) && one_instant(copy, 1) && one_instant(copy, 2);
		other += stream.bytes != last;
		last = stream.bytes;
		shelf_end(copy, "copy");
		stream_free(&stream);
	}
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&stop, false);
	TAP_EQ(good, EXPORTS, "%u exports under writers are of one instant each", EXPORTS);
	TAP_OK(other > 1, "of different ones: %u", other);
	TAP_EQ(hmem_shelf_check(busy, NULL, NULL), 0, "the shelf is well");
	shelf_end(busy, "busy");
}

/* --- what is replaced meanwhile ------------------------------------------------------ */

static struct hmem_shelf *held;
static unsigned int rounds;
static int full;
static char why[1024];
static bool done_once;

/* Replace and delete all, and use all memory that there is. */
static void upset(void)
{
	char name[32], value[2000];

	if (done_once)
		return;
	done_once = true;
	memset(value, 'x', sizeof(value));
	for (unsigned int i = 0; i < 200; i += 2) {
		snprintf(name, sizeof(name), "kept-%u", i);
		need(hmem_shelf_delete(held, name), name);
	}
	for (rounds = 0; !full; rounds++) {
		snprintf(name, sizeof(name), "kept-%u", 1 + 2 * (rounds % 100));
		full = hmem_shelf_put(held, name, value, sizeof(value), NULL);
	}
	snprintf(why, sizeof(why), "%s", hmem_last_error(ctx));
}

static void replaced_meanwhile(void)
{
	struct hmem_shelf *a = shelf_make("a", 0, 4 << 20), *b = shelf_make("b", 0, 4 << 20), *c;
	struct stream stream = { .during = upset };
	char name[32], text[64], pid[32];
	int err = 0;

	c = shelf_make("c", 0, 4 << 20);
	for (unsigned int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "kept-%u", i);
		snprintf(text, sizeof(text), "value of %s", name);
		put_text(a, name, text);
		put_text(c, name, text);
	}
	held = a;
	TAP_EQ(hmem_shelf_export(a, NULL, to_memory, &stream, NULL), 0,
	       "everything is replaced or deleted during an export");
	TAP_EQ(take_in(&stream, b, 0, NULL, NULL, NULL), 0, "it is imported");
	TAP_OK(same(b, c), "and is what was there before");
	TAP_EQ(full, -ENOSPC, "what is replaced meanwhile takes memory, after %u rounds", rounds);
	snprintf(pid, sizeof(pid), "process %d ", (int)getpid());
	TAP_OK(strstr(why, pid), "and whose fault that is, is said: %s", why);
	for (unsigned int i = 0; i < 3 * rounds && !err; i++)
		err = hmem_shelf_put(a, "kept-1", text, sizeof(text), NULL);
	TAP_EQ(err, 0, "afterwards it is free");
	TAP_EQ(hmem_shelf_check(a, NULL, NULL), 0, "and the shelf well");
	shelf_end(a, "a");
	shelf_end(b, "b");
	shelf_end(c, "c");
	stream_free(&stream);
}

/* --- in place ------------------------------------------------------------------------ */

static unsigned char *in_place;
static char fuzzy_name[64];

static void change(void)
{
	in_place[100]++;
}

static void note_fuzzy(void *arg, const char *name)
{
	(void)arg;
	snprintf(fuzzy_name, sizeof(fuzzy_name), "%s", name);
}

static int find_fuzzy(void *arg, const struct hmem_imported *imported)
{
	if (imported->fuzzy)
		snprintf(arg, 64, "%s", imported->name);
	return 0;
}

static void changed_in_place(void)
{
	struct hmem_export_options options = HMEM_EXPORT_OPTIONS_INIT;
	struct hmem_export_result result = { .size = sizeof(result) };
	struct hmem_shelf *a = shelf_make("a", HMEM_SHELF_ORDERED, 8 << 20);
	struct hmem_shelf *b = shelf_make("b", 0, 8 << 20);
	struct stream stream = { .during = change };
	unsigned char *value = calloc(1, 2 << 20);
	char told[64] = "";
	struct hmem_object object;

	need(hmem_shelf_put(a, "a first one", value, 2 << 20, NULL), "a");
	need(hmem_shelf_put(a, "changed", value, 5000, NULL), "changed");
	need(hmem_shelf_put(a, "not changed", value, 5000, NULL), "not changed");
	need(hmem_shelf_get(a, "changed", &object), "changed");
	in_place = object.data;
	options.fuzzy = note_fuzzy;
	need(hmem_shelf_export(a, &options, to_memory, &stream, &result), "exporting");
	TAP_OK(result.fuzzy == 1 && !strcmp(fuzzy_name, "changed"),
	       "an object that is stored to meanwhile is marked: %s", fuzzy_name);
	need(take_in(&stream, b, 0, find_fuzzy, told, &result), "importing");
	TAP_OK(result.fuzzy == 1 && result.objects == 3 && !strcmp(told, "changed"),
	       "the stream says so too: %s", told);
	hmem_shelf_release(a, &object);
	shelf_end(a, "a");
	shelf_end(b, "b");
	stream_free(&stream);
	free(value);
}

/* --- read-only ----------------------------------------------------------------------- */

static void come_to_write(void)
{
	if (!held)
		need(hmem_shelf_open(region, "a", NULL, &held), "opening");
}

static void read_only(void)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *a = shelf_make("a", 0, 8 << 20), *b = shelf_make("b", 0, 8 << 20), *r;
	struct stream stream = { 0 };

	fill(a);
	options.flags = HMEM_SHELF_READ_ONLY;
	need(hmem_shelf_open(region, "a", &options, &r), "opening to read");
	TAP_EQ(hmem_shelf_export(r, NULL, to_memory, &stream, NULL), -EBUSY,
	       "a read-only handle exports nothing while somebody may write");
	shelf_end(r, NULL);
	shelf_end(a, NULL);
	need(hmem_shelf_open(region, "a", &options, &r), "opening to read");
	TAP_EQ(hmem_shelf_export(r, NULL, to_memory, &stream, NULL), 0, "but when nobody does");
	TAP_EQ(take_in(&stream, b, 0, NULL, NULL, NULL), 0, "all of it");
	held = NULL;
	stream_free(&stream);
	stream.during = come_to_write;
	TAP_EQ(hmem_shelf_export(r, NULL, to_memory, &stream, NULL), -EBUSY,
	       "when a writer comes meanwhile it ends");
	TAP_OK(same(held, b), "and what it exported before was right");
	shelf_end(held, NULL);
	shelf_end(r, "a");
	shelf_end(b, "b");
	stream_free(&stream);
}

/* --- exporters that die -------------------------------------------------------------- */

static int swallow(void *arg, const void *data, size_t bytes)
{
	(void)arg;
	(void)data;
	(void)bytes;
	return 0;
}

__attribute__((noreturn)) static void export_on(void)
{
	struct hmem_ctx *own;
	struct hmem_region *own_region;
	struct hmem_shelf *shelf;

	if (hmem_ctx_new(&own) || hmem_region_open(own, region_name, 0, &own_region) ||
	    hmem_shelf_open(own_region, "a", NULL, &shelf))
		_exit(1);
	while (!hmem_shelf_export(shelf, NULL, swallow, NULL, NULL))
		;
	_exit(1);
}

static void killed(void)
{
	struct hmem_shelf *a = shelf_make("a", 0, 2 << 20);
	struct hmem_shelf_info before = { .size = sizeof(before) }, after = before;
	unsigned int updates = 0, died = 0;
	char name[32], value[300];
	int err = 0;

	memset(value, 'v', sizeof(value));
	for (unsigned int i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "object-%u", i);
		need(hmem_shelf_put(a, name, value, 100, NULL), name);
	}
	need(hmem_shelf_get_info(a, &before), "info");
	for (unsigned int kill_nr = 0; kill_nr < KILLS && !err; kill_nr++) {
		pid_t pid = fork();
		int status;

		if (!pid)
			export_on();
		/* More than the shelf has room for, if what was replaced were kept for good. */
		for (unsigned int i = 0; i < 150 + 37 * kill_nr % 400 && !err; i++, updates++) {
			snprintf(name, sizeof(name), "object-%u", i % 600);
			err = hmem_shelf_put(a, name, value, 100, NULL);
			/* Only the exporter that lives keeps memory. */
			if (err == -ENOSPC && waitpid(pid, &status, WNOHANG) == 0)
				err = 0;
		}
		kill(pid, SIGKILL);
		died += waitpid(pid, &status, 0) == pid && WIFSIGNALED(status);
	}
	TAP_EQ(err, 0, "%u updates while %u exporters were killed: %s", updates, KILLS,
	       err ? hmem_last_error(ctx) : "");
	TAP_EQ(died, KILLS, "each in the middle of it");
	TAP_EQ(hmem_shelf_check(a, NULL, NULL), 0, "the shelf is well");
	shelf_end(a, NULL);
	need(hmem_shelf_open(region, "a", NULL, &a), "opening");
	need(hmem_shelf_get_info(a, &after), "info");
	TAP_OK(after.free_bytes + 65536 > before.free_bytes && after.objects == before.objects,
	       "and keeps nothing: %llu bytes free, %llu before", (unsigned long long)after.free_bytes,
	       (unsigned long long)before.free_bytes);
	shelf_end(a, "a");
}

int main(void)
{
	streams_begin("shelf-export");
	there_and_back(0);
	there_and_back(HMEM_SHELF_ORDERED);
	under_writers(0);
	under_writers(HMEM_SHELF_ORDERED);
	replaced_meanwhile();
	changed_in_place();
	read_only();
	killed();
	return streams_end();
}
