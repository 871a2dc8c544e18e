// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listing objects: against a model, with names of all bytes, prefixes and places to go on
 * from; while other threads and processes put, replace and delete, and the index grows;
 * read-only, and after power was lost.
 */
#include <hmem/hmem.h>
#include <hmem/shelf.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sanitized.h"
#include "tap.h"

#define MIB ((uint64_t)1 << 20)

static struct hmem_ctx *ctx;
static char path[256];

static void create(const char *file, uint64_t bytes, unsigned int flags, struct hmem_region **region,
		   struct hmem_shelf **shelf)
{
	struct hmem_region_options place = HMEM_REGION_OPTIONS_INIT;
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	unlink(file);
	place.bytes = bytes + 8 * MIB;
	options.bytes = bytes;
	options.max_bytes = bytes;
	options.flags = flags;
	if (hmem_region_create(ctx, file, &place, region) ||
	    hmem_shelf_create(*region, "s", &options, shelf))
		tap_bail("%s", hmem_last_error(ctx));
}

static struct hmem_shelf *open_shelf(const char *file, unsigned int flags,
				     struct hmem_region **region)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf;

	options.flags = flags;
	if (hmem_region_open(ctx, file, flags & HMEM_SHELF_READ_ONLY ? HMEM_OPEN_READ_ONLY : 0,
			     region) ||
	    hmem_shelf_open(*region, "s", &options, &shelf))
		tap_bail("%s", hmem_last_error(ctx));
	return shelf;
}

static void must_put(struct hmem_shelf *shelf, const char *name, size_t bytes)
{
	static const char data[64];

	if (hmem_shelf_put(shelf, name, data, bytes, NULL))
		tap_bail("%s", hmem_last_error(ctx));
}

static int tell(void *arg, const struct hmem_shelf_finding *finding)
{
	(void)arg;
	tap_diag("%s at %#llx, %s: %s", finding->part, (unsigned long long)finding->offset,
		 finding->name ? finding->name : "-", finding->text);
	return 0;
}

static bool is_whole(struct hmem_shelf *shelf)
{
	return !hmem_shelf_check(shelf, tell, NULL);
}

/* --- against a model ----------------------------------------------------------------- */

/* Names in the order of memcmp(), and which of them are there. */
struct model {
	char **names;
	unsigned int nr;
	bool *there;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static unsigned int random_below(unsigned int *state, unsigned int n)
{
	*state = *state * 1103515245 + 12345;
	return (*state >> 8) % n;
}

static void model_add(struct model *model, const char *name)
{
	model->names[model->nr++] = strdup(name);
}

static void model_sort(struct model *model)
{
	unsigned int kept = 1;

	qsort(model->names, model->nr, sizeof(char *), by_name);
	for (unsigned int i = 1; i < model->nr; i++) {
		if (strcmp(model->names[i], model->names[kept - 1]))
			model->names[kept++] = model->names[i];
		else
			free(model->names[i]);
	}
	model->nr = kept;
	model->there = calloc(kept, sizeof(bool));
}

static int model_find(const struct model *model, const char *name)
{
	char **found = bsearch(&name, model->names, model->nr, sizeof(char *), by_name);

	return found ? (int)(found - model->names) : -1;
}

/* What is listed from @from on (ordered only), with @prefix, is what the model has. */
static bool lists(struct hmem_shelf *shelf, const struct model *model, const char *prefix,
		  const char *from, bool ordered)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	bool *seen = calloc(model->nr, sizeof(bool)), same = true;
	struct hmem_cursor *cursor;
	int got, last = -1;

	if (hmem_cursor_open(shelf, prefix, 0, &cursor) ||
	    (from && hmem_cursor_seek(cursor, from))) {
		tap_diag("%s", hmem_last_error(ctx));
		free(seen);
		return false;
	}
	while (same && (got = hmem_cursor_next(cursor, &entry)) > 0) {
		int i = model_find(model, entry.name);

		same = i >= 0 && model->there[i] && !seen[i] && (!ordered || i > last) &&
		       strlen(entry.name) == entry.name_bytes &&
		       entry.bytes == strlen(model->names[i]) % 64;
		if (!same)
			tap_diag("listed: %s", entry.name);
		else
			seen[i] = true;
		last = i;
	}
	if (same && got)
		tap_diag("%s", hmem_last_error(ctx));
	same = same && !got && !hmem_cursor_next(cursor, &entry);
	for (unsigned int i = 0; i < model->nr && same; i++) {
		bool expected = model->there[i] && (!from || strcmp(model->names[i], from) >= 0) &&
				(!prefix || !strncmp(model->names[i], prefix, strlen(prefix)));

		same = seen[i] == expected;
		if (!same)
			tap_diag("%s is %slisted", model->names[i], seen[i] ? "" : "not ");
	}
	hmem_cursor_close(cursor);
	free(seen);
	return same;
}

/* Put what is not there; of what is, delete one half and replace the other. */
static void model_change(struct model *model, struct hmem_shelf *shelf, unsigned int *state)
{
	for (unsigned int n = 0; n < model->nr; n++) {
		unsigned int i = random_below(state, model->nr);
		bool delete = model->there[i] && i & 1;

		if (!delete)
			must_put(shelf, model->names[i], strlen(model->names[i]) % 64);
		else if (hmem_shelf_delete(shelf, model->names[i]))
			tap_bail("%s", hmem_last_error(ctx));
		model->there[i] = !delete;
	}
}

/* As the power leaves it: the bytes, and nobody there. */
static void copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY), out = open(to, O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct stat st;

	if (in < 0 || out < 0 || fstat(in, &st))
		tap_bail("copying %s: %s", from, strerror(errno));
	for (off_t done = 0; done < st.st_size;) {
		ssize_t got = copy_file_range(in, NULL, out, NULL, (size_t)(st.st_size - done), 0);

		if (got <= 0)
			tap_bail("copying %s: %s", from, strerror(errno));
		done += got;
	}
	close(in);
	close(out);
}

/* Names that begin with all bytes, that begin with one another, and the longest. */
static void odd_names(struct model *model, unsigned int *state)
{
	char name[HMEM_OBJECT_NAME_MAX + 1];

	for (int byte = 1; byte < 256; byte++) {
		name[0] = (char)byte;
		name[1] = '\0';
		model_add(model, name);
		name[1] = (char)(256 - byte);
		name[2] = '\0';
		model_add(model, name);
	}
	for (unsigned int bytes = 1; bytes < 40; bytes++) {
		memset(name, 'x', bytes);
		name[bytes] = '\0';
		model_add(model, name);
	}
	memset(name, 'x', HMEM_OBJECT_NAME_MAX);
	name[HMEM_OBJECT_NAME_MAX] = '\0';
	for (unsigned int i = 0; i < 20; i++) {
		model_add(model, name);
		name[HMEM_OBJECT_NAME_MAX - 1 - random_below(state, 50)]++;
	}
	for (unsigned int i = 0; i < 2000; i++) {
		unsigned int bytes = 1 + random_below(state, 30);

		for (unsigned int b = 0; b < bytes; b++)
			name[b] = (char)(1 + random_below(state, i & 1 ? 3 : 255));
		name[bytes] = '\0';
		model_add(model, name);
	}
}

static void model_free(struct model *model)
{
	for (unsigned int i = 0; i < model->nr; i++)
		free(model->names[i]);
	free(model->names);
	free(model->there);
}

static void test_places(struct hmem_shelf *shelf, const struct model *model, const char *kind,
			bool ordered, unsigned int *state)
{
	static const char *const prefixes[] = { "", "x", "xx", "user0001", "user00012345", "\xff",
						"\x01\x01", "nothing", NULL };
	bool same = true;

	for (unsigned int i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		TAP_OK(lists(shelf, model, prefixes[i], NULL, ordered),
		       "%s: prefix number %u is listed", kind, i);
	for (unsigned int i = 0; i < (ordered ? 100 : 10) && same; i++)
		same = lists(shelf, model, model->names[random_below(state, model->nr)], NULL, ordered);
	TAP_OK(same, "%s: whole names are prefixes", kind);
	for (unsigned int i = 0; i < 40 && same && ordered; i++)
		same = lists(shelf, model, i & 1 ? NULL : "x",
			     model->names[random_below(state, model->nr)], true);
	if (ordered)
		TAP_OK(same && lists(shelf, model, "us", "", true) &&
			       lists(shelf, model, "us", "\xff\xff\xff", true),
		       "%s: and places to go on from", kind);
	TAP_OK(is_whole(shelf), "%s: the shelf is whole", kind);
}

/* Once more, by somebody who opens it in some way. */
static void test_opened(const char *file, unsigned int flags, const struct model *model,
			bool ordered, const char *how)
{
	struct hmem_region *region;
	struct hmem_shelf *shelf = open_shelf(file, flags, &region);

	TAP_OK(lists(shelf, model, NULL, NULL, ordered) && lists(shelf, model, "x", NULL, ordered),
	       "%s: listed %s", ordered ? "ordered" : "not ordered", how);
	if (!(flags & HMEM_SHELF_READ_ONLY))
		TAP_OK(is_whole(shelf), "and it is whole");
	hmem_shelf_close(shelf);
	hmem_region_close(region);
}

static void test_model(bool ordered, unsigned int plain)
{
	struct model model = { .names = calloc(plain + 4000, sizeof(char *)) };
	const char *kind = ordered ? "ordered" : "not ordered";
	struct hmem_region *region;
	struct hmem_shelf *shelf;
	unsigned int state = 7;
	char name[32], copy[sizeof(path) + 8];

	create(path, 64 * MIB, ordered ? HMEM_SHELF_ORDERED : 0, &region, &shelf);
	odd_names(&model, &state);
	for (unsigned int i = 0; i < plain; i++) {
		snprintf(name, sizeof(name), "user%08u", i);
		model_add(&model, name);
	}
	model_sort(&model);
	TAP_OK(lists(shelf, &model, NULL, NULL, ordered), "%s: nothing is listed", kind);
	for (int round = 0; round < 3; round++)
		model_change(&model, shelf, &state);
	test_places(shelf, &model, kind, ordered, &state);
	test_opened(path, HMEM_SHELF_READ_ONLY, &model, ordered, "read-only");
	test_opened(path, 0, &model, ordered, "through another handle");

	snprintf(copy, sizeof(copy), "%s.copy", path);
	copy_file(path, copy);
	test_opened(copy, 0, &model, ordered, "after a loss of power");
	unlink(copy);

	TAP_EQ(hmem_shelf_close(shelf), 0, "%s: closed", kind);
	hmem_region_close(region);
	test_opened(path, HMEM_SHELF_READ_ONLY, &model, ordered, "read-only when it is clean");
	shelf = open_shelf(path, 0, &region);
	TAP_OK(lists(shelf, &model, "user", NULL, ordered), "%s: listed when opened again", kind);
	model_change(&model, shelf, &state);
	TAP_OK(lists(shelf, &model, NULL, NULL, ordered) && is_whole(shelf), "%s: and changed", kind);
	hmem_shelf_close(shelf);
	hmem_region_close(region);
	model_free(&model);
}

/* --- while others change it ---------------------------------------------------------- */

#define STEADY	3000	/* names that are there all the time */
#define FLEETING 150000	/* those that come and go */
#define ROUNDS	2	/* as the index grows in the beginning */
#define CHANGES	20000	/* in each, at least */

struct shared {
	atomic_bool stop;
	atomic_uint changes;
};

static void change(struct hmem_shelf *shelf, struct shared *shared, unsigned int state)
{
	char name[32];

	while (!atomic_load(&shared->stop)) {
		unsigned int i = random_below(&state, STEADY + FLEETING);
		int err;

		if (i < STEADY)
			snprintf(name, sizeof(name), "steady%u", i * 7919 % 100000);
		else
			snprintf(name, sizeof(name), "s%u", i * 104729 % 1000000);
		if (i < STEADY || i & 1)
			err = hmem_shelf_put(shelf, name, name, i % 30, NULL);
		else
			err = hmem_shelf_delete(shelf, name);
		if (err && err != -ENOENT)
			tap_bail("changing: %s", hmem_last_error(ctx));
		atomic_fetch_add(&shared->changes, 1);
	}
}

static void in_process(struct shared *shared, unsigned int state)
{
	struct hmem_region *region;
	struct hmem_shelf *shelf;

	if (hmem_ctx_new(&ctx))
		_exit(1);
	shelf = open_shelf(path, 0, &region);
	change(shelf, shared, state);
	_exit(hmem_shelf_close(shelf) ? 1 : 0);
}

struct thread {
	struct hmem_shelf *shelf;
	struct shared *shared;
	unsigned int state;
};

static void *in_thread(void *arg)
{
	struct thread *thread = arg;

	change(thread->shelf, thread->shared, thread->state);
	return NULL;
}

/* One listing: each steady name once, no other twice, and in order. */
static bool list_once(struct hmem_shelf *shelf, bool ordered)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	static unsigned char seen[1000000];
	char last[HMEM_OBJECT_NAME_MAX + 1] = "";
	struct hmem_cursor *cursor;
	unsigned int steady = 0;
	bool good = true;
	int got;

	memset(seen, 0, sizeof(seen));
	if (hmem_cursor_open(shelf, "s", 0, &cursor))
		return false;
	while (good && (got = hmem_cursor_next(cursor, &entry)) > 0) {
		bool is_steady = !strncmp(entry.name, "steady", 6);
		unsigned long number = strtoul(entry.name + (is_steady ? 6 : 1), NULL, 10);
		unsigned char bit = is_steady ? 1 : 2;

		good = number < sizeof(seen) && !(seen[number] & bit) &&
		       (!ordered || strcmp(last, entry.name) < 0);
		if (!good) {
			tap_diag("%s behind %s, or once more", entry.name, last);
			break;
		}
		seen[number] |= bit;
		steady += is_steady;
		strcpy(last, entry.name);
	}
	if (good && (got || steady != STEADY)) {
		tap_diag("%u of %u names: %s", steady, STEADY, got ? hmem_last_error(ctx) : "");
		good = false;
	}
	hmem_cursor_close(cursor);
	return good;
}

static void test_changing(bool ordered, unsigned int listings, unsigned int changes)
{
	const char *kind = ordered ? "ordered" : "not ordered";
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct hmem_region *region, *read_region;
	struct hmem_shelf *shelf, *reader;
	unsigned int made = 0;
	bool good = true;
	pthread_t threads[2];
	struct thread args[2];
	pid_t children[2];
	char name[32];
	int status;

	create(path, 64 * MIB, ordered ? HMEM_SHELF_ORDERED : 0, &region, &shelf);
	for (unsigned int i = 0; i < STEADY; i++) {
		snprintf(name, sizeof(name), "steady%u", i * 7919 % 100000);
		must_put(shelf, name, 1);
	}
	for (unsigned int i = 0; i < 2; i++) {
		children[i] = fork();
		if (!children[i])
			in_process(shared, 100 + i);
	}
	for (unsigned int i = 0; i < 2; i++) {
		args[i] = (struct thread){ shelf, shared, 200 + i };
		pthread_create(&threads[i], NULL, in_thread, &args[i]);
	}
	reader = open_shelf(path, HMEM_SHELF_READ_ONLY, &read_region);
	for (; made < listings && good; made++)
		good = list_once(made & 1 ? reader : shelf, ordered);
	/* On a machine with little to spare they may only just have begun. */
	while (good && atomic_load(&shared->changes) < changes)
		good = list_once(shelf, ordered);
	atomic_store(&shared->stop, true);
	TAP_OK(good, "%s: %u listings while %u changes were made by threads and processes", kind, made,
	       atomic_load(&shared->changes));
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int i = 0; i < 2; i++)
		TAP_OK(waitpid(children[i], &status, 0) == children[i] && !status,
		       "%s: a process that changed it ends well", kind);
	TAP_OK(is_whole(shelf), "%s: the shelf is whole", kind);
	TAP_OK(list_once(shelf, ordered), "%s: and listed once more", kind);
	hmem_shelf_close(reader);
	hmem_region_close(read_region);
	hmem_shelf_close(shelf);
	hmem_region_close(region);
	munmap(shared, sizeof(*shared));
}

/* --- what the calls answer ----------------------------------------------------------- */

static void test_calls(void)
{
	struct hmem_entry entry = { .size = sizeof(entry) }, small = { .size = 8 };
	char longest[HMEM_OBJECT_NAME_MAX + 2];
	struct hmem_cursor *cursor = NULL;
	struct hmem_region *region;
	struct hmem_shelf *shelf;
	uint64_t version;
	int status;
	pid_t pid;

	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	create(path, 4 * MIB, 0, &region, &shelf);
	must_put(shelf, "one", 3);
	TAP_EQ(hmem_cursor_open(NULL, NULL, 0, &cursor), -EINVAL, "no shelf");
	TAP_EQ(hmem_cursor_open(shelf, NULL, 0, NULL), -EINVAL, "no place for the cursor");
	TAP_EQ(hmem_cursor_open(shelf, NULL, 1, &cursor), -EINVAL, "unknown flags");
	TAP_EQ(hmem_cursor_open(shelf, longest, 0, &cursor), -ENAMETOOLONG, "too long a prefix");
	TAP_OK(!cursor, "nothing was written");
	TAP_EQ(hmem_cursor_open(shelf, NULL, 0, &cursor), 0, "a cursor");
	TAP_EQ(hmem_cursor_next(NULL, &entry), -EINVAL, "no cursor");
	TAP_EQ(hmem_cursor_next(cursor, NULL), -EINVAL, "no place for an object");
	TAP_EQ(hmem_cursor_next(cursor, &small), -EINVAL, "too small a place");
	TAP_EQ(hmem_cursor_seek(NULL, "a"), -EINVAL, "no cursor to move");
	TAP_EQ(hmem_cursor_seek(cursor, "a"), -EOPNOTSUPP, "no order, no place in it");
	TAP_EQ(hmem_cursor_seek(cursor, longest), -ENAMETOOLONG, "too long a name");
	TAP_EQ(hmem_cursor_next(cursor, &entry), 1, "an object");
	TAP_OK(!strcmp(entry.name, "one") && entry.name_bytes == 3 && entry.bytes == 3,
	       "with name and length");
	version = entry.version;
	TAP_EQ(hmem_cursor_next(cursor, &entry), 0, "the end");
	TAP_STR_EQ(entry.name, "one", "writes nothing");
	must_put(shelf, "one", 5);
	TAP_EQ(hmem_cursor_seek(cursor, NULL), 0, "from the beginning");
	TAP_EQ(hmem_cursor_next(cursor, &entry), 1, "the object once more");
	TAP_OK(entry.bytes == 5 && entry.version > version, "as it is now");
	hmem_cursor_seek(cursor, "");
	hmem_shelf_delete(shelf, "one");
	TAP_EQ(hmem_cursor_next(cursor, &entry), 0, "an object that is gone is not listed");

	pid = fork();
	if (!pid) {
		int err = hmem_cursor_next(cursor, &entry);

		hmem_cursor_close(cursor);
		_exit(err == -ECHILD && hmem_cursor_open(shelf, NULL, 0, &cursor) == -ECHILD ? 0 : 1);
	}
	TAP_OK(waitpid(pid, &status, 0) == pid && !status, "a child of fork(2) gets -ECHILD");
	hmem_shelf_close(shelf);
	hmem_cursor_close(cursor);
	hmem_cursor_close(NULL);
	hmem_region_close(region);
	TAP_OK(true, "a cursor is closed when its shelf is closed already");
}

int main(void)
{
	/* Where there is no media to wait for, which is not what this is about. */
	const char *dir = access("/dev/shm", W_OK) ? getenv("TMPDIR") : "/dev/shm";

	unsigned int names = (unsigned int)sanitized("names", 100000, 4, 40);
	unsigned int listings = (unsigned int)sanitized("listings", 20, 4, 10);
	unsigned int changes = (unsigned int)sanitized("changes meanwhile", CHANGES, 4, 20);

	snprintf(path, sizeof(path), "%s/shelf_cursor.%d", dir ? dir : "/tmp", (int)getpid());
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	test_calls();
	test_model(true, names);
	test_model(false, names);
	for (int round = 0; round < ROUNDS; round++) {
		test_changing(true, listings, changes);
		test_changing(false, listings, changes);
	}
	unlink(path);
	hmem_ctx_unref(ctx);
	return tap_done();
}
