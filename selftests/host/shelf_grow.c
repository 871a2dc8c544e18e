// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shelves grow: under pointers, under other threads and processes, from pieces of a region
 * that lie apart; readers do not wait for whoever holds the region's table; and whoever is
 * killed at any instruction of it leaves a shelf that can be used and grown.
 * hmem-test: timeout=300
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ptrace.h>

#include "../../lib/shelf_format.h"
#include "sanitized.h"
#include "shelf_place.h"

static char large[3 * MI];

static uint64_t size_of(struct hmem_shelf *shelf)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	need(hmem_shelf_get_info(shelf, &info), "info");
	return info.bytes;
}

static uint64_t free_of(struct hmem_shelf *shelf)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	need(hmem_shelf_get_info(shelf, &info), "info");
	return info.free_bytes;
}

static struct hmem_shelf *make(struct hmem_region *region, const char *name, uint64_t bytes,
			       uint64_t max, unsigned int slots)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf;

	options.bytes = bytes;
	options.max_bytes = max;
	options.slots = slots;
	need(hmem_shelf_create(region, name, &options, &shelf), "creating a shelf");
	return shelf;
}

static bool holds(struct hmem_shelf *shelf, const char *name, size_t bytes, uint64_t seed)
{
	static char wanted[sizeof(large)], got[sizeof(large)];
	size_t length;

	pattern(wanted, bytes, seed);
	return !hmem_shelf_read(shelf, name, got, sizeof(got), &length) && length == bytes &&
	       !memcmp(wanted, got, bytes);
}

static int put(struct hmem_shelf *shelf, const char *name, size_t bytes, uint64_t seed)
{
	pattern(large, bytes, seed);
	return hmem_shelf_put(shelf, name, large, bytes, NULL);
}

static void refusals(struct hmem_region *region)
{
	struct hmem_shelf_options reader = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf = make(region, "s", MI, 256 * MI, 2), *other;
	pid_t child;
	int status;

	TAP_EQ(hmem_shelf_grow(NULL, MI), -EINVAL, "no shelf does not grow");
	TAP_EQ(hmem_shelf_grow(shelf, 0), 0, "a size of nothing is there");
	TAP_EQ(hmem_shelf_grow(shelf, MI), 0, "the size that it has as well");
	TAP_EQ(size_of(shelf), MI, "it stays as it is");
	TAP_EQ(hmem_shelf_grow(shelf, 256 * MI + 1), -ENOSPC, "not beyond what it was made for");
	TAP_OK(strstr(hmem_last_error(ctx), "was created to grow to 268435456"), "it says so: %s",
	       hmem_last_error(ctx));
	TAP_EQ(hmem_shelf_grow(shelf, ~0ull - 1), -ENOSPC, "however large that is");
	TAP_EQ(hmem_shelf_grow(shelf, 128 * MI), -ENOSPC, "not beyond its region");
	TAP_OK(strstr(hmem_last_error(ctx), "resize the region"), "it says so: %s",
	       hmem_last_error(ctx));
	TAP_EQ(size_of(shelf), MI, "it stays as it was");
	TAP_EQ(hmem_shelf_grow(shelf, MI + 1), 0, "a byte more");
	TAP_EQ(size_of(shelf), MI + 64 * KI, "is a unit more");
	reader.flags = HMEM_SHELF_READ_ONLY;
	need(hmem_shelf_open(region, "s", &reader, &other), "a reader");
	TAP_EQ(hmem_shelf_grow(other, 2 * MI), -EROFS, "a reader does not make it grow");
	hmem_shelf_close(other);
	child = fork();
	if (!child)
		_exit(hmem_shelf_grow(shelf, 2 * MI) == -ECHILD ? 0 : 1);
	waitpid(child, &status, 0);
	TAP_EQ(status, 0, "nor does a child of who has opened it");
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "nothing is wrong");
	hmem_shelf_close(shelf);
}

/* Units that are nobody's, and how many of them a shelf has that is to have all. */
static void all_of_it(struct hmem_region *region)
{
	struct hmem_shelf_options rest = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf = make(region, "s", MI, 0, 2), *small, *other;
	char name[16];
	uint64_t had;

	small = make(region, "small", MI, 4 * MI, 2);
	TAP_EQ(hmem_shelf_grow(small, UINT64_MAX), 0, "a shelf gets all that there is");
	TAP_EQ(size_of(small), 4 * MI, "as far as it was made for that");
	TAP_EQ(hmem_shelf_grow(shelf, UINT64_MAX), 0, "and another all of the rest");
	had = size_of(shelf);
	/* The table, and what describes the two, take less than a MiB. */
	TAP_OK(had < 64 * MI - 4 * MI && had > 64 * MI - 5 * MI, "which is %llu KiB",
	       (unsigned long long)(had / KI));
	rest.bytes = UINT64_MAX;
	rest.flags = HMEM_SHELF_GROSS;
	TAP_EQ(hmem_shelf_create(region, "rest", &rest, &other), -ENOSPC, "nothing is left");
	TAP_OK(strstr(hmem_last_error(ctx), "has 0 bytes"), "not a unit: %s", hmem_last_error(ctx));
	TAP_EQ(hmem_shelf_grow(shelf, UINT64_MAX), 0, "once more");
	TAP_EQ(hmem_shelf_grow(small, UINT64_MAX), 0, "of either");
	TAP_OK(size_of(shelf) == had && size_of(small) == 4 * MI, "changes nothing");
	for (unsigned int i = 0; i < had / (3 * MI) - 2; i++) {
		snprintf(name, sizeof(name), "o%u", i);
		need(put(shelf, name, 3 * MI, i), "filling it");
	}
	TAP_OK(free_of(shelf) < 10 * MI, "objects get it");
	hmem_shelf_close(small);
	hmem_shelf_close(shelf);
	need(hmem_shelf_open(region, "s", NULL, &shelf), "opening it again");
	TAP_OK(holds(shelf, "o0", 3 * MI, 0) && size_of(shelf) == had, "and keep it");
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "nothing is wrong");
	hmem_shelf_close(shelf);
}

/* Beyond what its first unit of metadata can describe, which is 5 MiB. */
static void under_pointers(struct hmem_region *region)
{
	struct hmem_shelf *shelf = make(region, "p", MI, 256 * MI, 2), *other;
	struct hmem_object object, again;
	uint64_t before;

	need(hmem_shelf_open(region, "p", NULL, &other), "another handle");
	need(put(shelf, "small", 100, 1), "put");
	need(hmem_shelf_get(shelf, "small", &object), "get");
	TAP_EQ(put(shelf, "large", 2 * MI, 2), -ENOSPC, "no room for an object");
	before = free_of(shelf);
	TAP_EQ(hmem_shelf_grow(shelf, 3 * MI), 0, "the shelf grows");
	TAP_EQ(free_of(shelf) - before, 2 * MI, "what is new is free");
	TAP_EQ(size_of(other), 3 * MI, "another handle hears of it");
	/* From the free chunks at the end of what there was into what is new. */
	TAP_EQ(put(shelf, "large", 2 * MI, 2), 0, "there is room, over the seam");
	TAP_EQ(hmem_shelf_grow(other, 30 * MI), 0, "it grows by another handle");
	TAP_EQ(put(shelf, "larger", 3 * MI, 3), 0, "there is room");
	for (unsigned int i = 0; i < 300; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		need(put(i & 1 ? shelf : other, name, 60 * KI, i), name);
	}
	TAP_OK(holds(other, "large", 2 * MI, 2) && holds(other, "larger", 3 * MI, 3) &&
		       holds(other, "299", 60 * KI, 299),
	       "other handles have what lies there");
	need(hmem_shelf_get(shelf, "small", &again), "get");
	TAP_OK(again.data == object.data, "what was got is where it was");
	TAP_OK(holds(shelf, "small", 100, 1), "and what it was");
	hmem_shelf_release(shelf, &again);
	hmem_shelf_release(shelf, &object);
	TAP_EQ(hmem_shelf_check(other, NULL, NULL), 0, "nothing is wrong");
	hmem_shelf_close(other);
	TAP_EQ(hmem_shelf_close(shelf), 0, "it is closed");
	need(hmem_shelf_open(region, "p", NULL, &shelf), "open");
	TAP_EQ(size_of(shelf), 30 * MI, "opened again it is as large");
	TAP_OK(holds(shelf, "larger", 3 * MI, 3) && holds(shelf, "299", 60 * KI, 299),
	       "and has what it had");
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "nothing is wrong");
	hmem_shelf_close(shelf);
}

/* Two that grow in turn lie in pieces. */
static void in_pieces(struct hmem_region *region)
{
	struct hmem_shelf *a = make(region, "a", 64 * KI, 16 * MI, 1);
	struct hmem_shelf *b = make(region, "b", 64 * KI, 16 * MI, 1);
	bool good = true;

	for (unsigned int i = 1; i <= 40; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		good = good && !hmem_shelf_grow(a, (i + 1) * 64 * KI) &&
		       !hmem_shelf_grow(b, (i + 1) * 64 * KI) && !put(a, name, 50 * KI, i) &&
		       !put(b, name, 50 * KI, 100 + i);
	}
	TAP_OK(good, "two shelves grow in turn");
	good = !hmem_shelf_close(a) && !hmem_shelf_close(b);
	need(hmem_shelf_open(region, "a", NULL, &a), "open");
	need(hmem_shelf_open(region, "b", NULL, &b), "open");
	for (unsigned int i = 1; i <= 40; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		good = good && holds(a, name, 50 * KI, i) && holds(b, name, 50 * KI, 100 + i);
	}
	TAP_OK(good && !hmem_shelf_check(a, NULL, NULL) && !hmem_shelf_check(b, NULL, NULL),
	       "each has what it had");
	hmem_shelf_close(a);
	hmem_shelf_close(b);
	need(hmem_shelf_destroy(region, "a"), "destroy");
	need(hmem_shelf_open(region, "b", NULL, &b), "open");
	TAP_EQ(hmem_shelf_grow(b, 5 * MI), 0, "what one had another can have, however scattered");
	TAP_EQ(hmem_shelf_check(b, NULL, NULL), 0, "nothing is wrong");
	hmem_shelf_close(b);
}

static void with_region(struct hmem_region *region)
{
	struct hmem_shelf *shelf = make(region, "w", MI, 512 * MI, 1);
	struct hmem_region_info info = { .size = sizeof(info) };

	need(hmem_region_get_info(region, &info), "info");
	TAP_EQ(hmem_shelf_grow(shelf, info.bytes), -ENOSPC, "a shelf does not fill its region");
	need(hmem_region_resize(region, 2 * info.bytes), "resize");
	TAP_EQ(hmem_shelf_grow(shelf, info.bytes), 0, "when that has grown it grows");
	TAP_EQ(put(shelf, "x", 3 * MI, 5), 0, "and is used");
	hmem_shelf_close(shelf);
	need(hmem_shelf_open(region, "w", NULL, &shelf), "open");
	TAP_OK(size_of(shelf) == info.bytes && holds(shelf, "x", 3 * MI, 5), "for good");
	hmem_shelf_close(shelf);
}

/* --- others -------------------------------------------------------------------------- */

static struct hmem_shelf *shared;
static atomic_bool over;

static void *read_on(void *arg)
{
	unsigned long misses = 0;

	(void)arg;
	while (!atomic_load(&over)) {
		char got[100], wanted[100];
		size_t length;

		pattern(wanted, sizeof(wanted), 7);
		if (hmem_shelf_read(shared, "steady", got, sizeof(got), &length) || length != 100 ||
		    memcmp(got, wanted, 100))
			misses++;
	}
	return (void *)misses;
}

static void *put_on(void *arg)
{
	unsigned long failed = 0;
	char name[32], value[40 * KI];

	memset(value, 'v', sizeof(value));
	for (unsigned int i = 0; !atomic_load(&over); i++) {
		int err;

		snprintf(name, sizeof(name), "%s %u", (char *)arg, i % 300);
		err = hmem_shelf_put(shared, name, value, i % sizeof(value), NULL);
		failed += err && err != -ENOSPC;
	}
	return (void *)failed;
}

static void under_threads(struct hmem_region *region, uint64_t most)
{
	void *(*const bodies[])(void *) = { read_on, put_on, put_on };
	char *const names[] = { "", "one", "two" };
	pthread_t threads[3];
	unsigned long wrong = 0;
	bool good = true;

	shared = make(region, "t", 256 * KI, 64 * MI, 8);
	need(put(shared, "steady", 100, 7), "put");
	atomic_store(&over, false);
	for (unsigned int i = 0; i < 3; i++)
		if (pthread_create(&threads[i], NULL, bodies[i], names[i]))
			tap_bail("no thread");
	for (uint64_t bytes = 256 * KI; bytes < most; bytes += 128 * KI) {
		struct hmem_shelf *other;

		good = good && !hmem_shelf_grow(shared, bytes);
		/* Somebody who maps all of that anew. */
		need(hmem_shelf_open(region, "t", NULL, &other), "open");
		good = good && holds(other, "steady", 100, 7) && !hmem_shelf_close(other);
	}
	atomic_store(&over, true);
	for (unsigned int i = 0; i < 3; i++) {
		void *got;

		pthread_join(threads[i], &got);
		wrong += (unsigned long)got;
	}
	TAP_OK(good && !wrong, "threads put and read while it grows");
	TAP_EQ(hmem_shelf_check(shared, NULL, NULL), 0, "nothing is wrong");
	hmem_shelf_close(shared);
}

/* The region's table is locked by somebody who does not go on. */
static void without_waiting(struct hmem_region *region, enum place place)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)1 << 62,
			      .l_len = 1 };
	struct hmem_shelf *shelf = make(region, "l", MI, 64 * MI, 4), *other;
	int fd = open(place_path(place), O_RDWR);

	need(hmem_shelf_open(region, "l", NULL, &other), "another handle");
	need(hmem_shelf_grow(shelf, 40 * MI), "grow");
	for (unsigned int i = 0; i < 300; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		need(put(shelf, name, 60 * KI, i), name);
	}
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock))
		tap_bail("the table cannot be locked");
	alarm(20);
	TAP_OK(holds(other, "299", 60 * KI, 299), "a reader does not wait for the region's table");
	TAP_EQ(put(other, "x", 60 * KI, 1), 0, "nor does a writer");
	alarm(0);
	close(fd);
	hmem_shelf_close(other);
	hmem_shelf_close(shelf);
}

/* --- deaths -------------------------------------------------------------------------- */

static void die_growing(enum place place, uint64_t bytes)
{
	struct hmem_region *region;
	struct hmem_shelf *shelf;

	if (hmem_ctx_new(&ctx) || hmem_region_open(ctx, place_path(place), 0, &region) ||
	    hmem_shelf_open(region, "d", NULL, &shelf) || put(shelf, "mine", 10, 1) ||
	    ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(2);
	raise(SIGSTOP);
	_exit(hmem_shelf_grow(shelf, bytes) ? 3 : 4);
}

/* Copies of the table that have been written, or are being. */
static uint64_t table_seq(enum place place)
{
	uint64_t seq[2];
	int fd = open(place_path(place), O_RDONLY);

	for (unsigned int i = 0; i < 2; i++)
		if (pread(fd, &seq[i], 8, i * RACK_COPY_BYTES + offsetof(struct rack_header, seq)) != 8)
			tap_bail("the table cannot be read");
	close(fd);
	return seq[0] + seq[1];
}

/* Before the first store to the table little can go wrong. */
#define ROUNDS SANITIZED(10u, 8u, 4u)

static void under_deaths(struct hmem_region *region, enum place place)
{
	struct hmem_shelf *shelf = make(region, "d", 256 * KI, 64 * MI, 4);
	unsigned int ended = 0, deaths = 0, grown = 0;
	unsigned long steps, all = 0, first = 0;
	bool good = true;

	need(put(shelf, "steady", 100, 7), "put");
	for (unsigned int round = 0; good && round < ROUNDS; round++) {
		uint64_t had = size_of(shelf), seq = table_seq(place);
		pid_t child = fork();
		int status;

		if (!child)
			die_growing(place, had + 64 * KI);
		if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
			tap_bail("a child could not be traced: %#x", status);
		/* The first is not killed, so that it is known how long that takes. */
		for (steps = 0; (!round || steps < first + (all - first) * round / ROUNDS) &&
				WIFSTOPPED(status); steps++) {
			ptrace(PTRACE_SINGLESTEP, child, NULL, NULL);
			waitpid(child, &status, 0);
			if (!round && !first && !(steps % SANITIZED(1u, 8u, 64u)) &&
			    table_seq(place) != seq)
				first = steps;
		}
		if (!round)
			all = steps;
		if (WIFSTOPPED(status)) {
			kill(child, SIGKILL);
			waitpid(child, &status, 0);
			deaths++;
		} else {
			good = WIFEXITED(status) && WEXITSTATUS(status) == 4;
			ended++;
		}
		grown += size_of(shelf) > had;
		/* Growing once more writes the table that was being written. */
		good = good && holds(shelf, "steady", 100, 7) &&
		       !hmem_shelf_grow(shelf, had + 128 * KI) &&
		       !hmem_shelf_check(shelf, NULL, NULL) && !put(shelf, "x", 70 * KI, round) &&
		       size_of(shelf) == had + 128 * KI;
		/* Once in a while nobody is there who knows. */
		if (good && round % 4 == 3) {
			good = !hmem_shelf_close(shelf);
			need(hmem_shelf_open(region, "d", NULL, &shelf), "open");
			good = good && holds(shelf, "x", 70 * KI, round);
		}
		if (!good)
			tap_diag("round %u, status %#x: %s", round, (unsigned int)status,
				 hmem_last_error(ctx));
	}
	TAP_OK(good && deaths > ROUNDS / 2 && grown, "%u of %u died growing it, between instructions %lu and %lu; then it had "
	       "grown %u times", deaths, deaths + ended, first, all, grown);
	hmem_shelf_close(shelf);
}

int main(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	for (enum place place = 0; place < PLACES; place++) {
		void (*const tests[])(struct hmem_region *) = { refusals, all_of_it, under_pointers, in_pieces,
								with_region };
		struct hmem_region *region;

		tap_diag("in %s", place_names[place]);
		for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
			region = place_new(place, 64 * MI);
			tests[i](region);
			hmem_region_close(region);
		}
		region = place_new(place, 64 * MI);
		under_threads(region, place_syncs(place) ? MI : 12 * MI);
		hmem_region_close(region);
		/* Neither is about what is waited for on a disk. */
		if (place != PLACE_SHM)
			continue;
		region = place_new(place, 64 * MI);
		without_waiting(region, place);
		hmem_region_close(region);
		region = place_new(place, 64 * MI);
		under_deaths(region, place);
		hmem_region_close(region);
	}
	hmem_ctx_unref(ctx);
	return tap_done();
}
