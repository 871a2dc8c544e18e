// SPDX-License-Identifier: GPL-2.0-only
/*
 * Readers that were there before any writer, when one comes in the middle of a call.
 *
 * The page with the bucket in which a reader is about to look is taken away from it. When it gets
 * there, a writer opens the shelf and names_put names until that bucket has been split: half of
 * what was there is elsewhere then, and the reader has to find it.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

#include "shelf_user.h"

#define OBJECTS 1500
#define ROUNDS 16

static struct user reader;
static sem_t arrived, go_on;
static void *page;
static unsigned int arrivals, names_put, empty;

/* --- where things are ---------------------------------------------------------------- */

static unsigned int top_bit(uint64_t number)
{
	return 63 - (unsigned int)__builtin_clzll(number);
}

/* Of a clean shelf. */
static struct bucket *bucket_at(uint64_t number)
{
	const struct shelf_super *super = media_super(&media);
	unsigned int segment = 0;
	uint64_t first = 0;

	if (number >> INDEX_FIRST_SHIFT) {
		segment = top_bit(number) - INDEX_FIRST_SHIFT + 1;
		first = 1ull << top_bit(number);
	}
	return (struct bucket *)media_at(&media, super->summary.segments[segment]) + (number - first);
}

/* What is split next. */
static struct bucket *next_bucket(void)
{
	uint64_t nr = media_super(&media)->summary.nr_buckets;

	return bucket_at(nr - (1ull << top_bit(nr)));
}

/* The name of one of the objects in a bucket. */
static bool name_in(const struct bucket *bucket, unsigned int which, char *name)
{
	for (unsigned int i = 0; i < BUCKET_ENTRIES; i++) {
		uint64_t at = (bucket->entry[i] & ((1ull << ENTRY_OFFSET_BITS) - 1))
			      << SHELF_GRANULE_SHIFT;
		const struct record *r = media_at(&media, at);

		if (!bucket->entry[i] || r->kind != RECORD_OBJECT || which--)
			continue;
		memcpy(name, media_at(&media, media_value_offset(at, r) + r->value_bytes),
		       r->name_bytes);
		name[r->name_bytes] = '\0';
		return true;
	}
	return false;
}

/* The page of the reader's that shows what @at is in the file. */
static void *reader_page(const void *at)
{
	uintptr_t want = (uintptr_t)((const unsigned char *)at - media.file) & ~4095ul, found = 0;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps && fgets(line, sizeof(line), maps)) {
		unsigned long from, to, offset;

		if (sscanf(line, "%lx-%lx r--s %lx", &from, &to, &offset) == 3 &&
		    strstr(line, path) && want >= offset && want - offset < to - from)
			found = from + (want - offset);
	}
	if (maps)
		fclose(maps);
	return (void *)found;
}

/* --- the writer ---------------------------------------------------------------------- */

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	if ((void *)((uintptr_t)info->si_addr & ~4095ul) != page)
		abort();
	arrivals++;
	mprotect(page, 4096, PROT_READ);
	sem_post(&arrived);
	while (sem_wait(&go_on))
		;
}

/* From an open to a split. */
static void split(struct user *writer, unsigned int round)
{
	uint64_t nr = media_super(&media)->summary.nr_buckets;
	char name[32];

	need(join(writer, "one", 0), "opening to write");
	for (names_put = 0; media_runtime(&media)->nr_buckets == nr && names_put < 1000; names_put++) {
		snprintf(name, sizeof(name), "new-%u-%u", round, names_put);
		need(put(writer, name, 'n', 8), name);
	}
}

/* When the reader has arrived. The number of the round comes with it. */
static void *write_once(void *round)
{
	struct user writer;

	while (sem_wait(&arrived))
		;
	split(&writer, *(unsigned int *)round);
	sem_post(&go_on);
	while (sem_wait(&arrived))
		;
	leave(&writer);
	return NULL;
}

/* --- the reader ---------------------------------------------------------------------- */

static void join_to_read(void)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	options.flags = HMEM_SHELF_READ_ONLY;
	need(hmem_region_open(ctx, region_name, HMEM_OPEN_READ_ONLY, &reader.region), "opening");
	need(hmem_shelf_open(reader.region, "one", &options, &reader.shelf), "opening to read");
}

static bool is_read(const char *name)
{
	char value[8];
	size_t bytes;

	return !hmem_shelf_read(reader.shelf, name, value, sizeof(value), &bytes) && bytes == 8;
}

static unsigned int times_listed(const char *name)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	struct hmem_cursor *cursor;
	unsigned int times = 0;

	need(hmem_cursor_open(reader.shelf, name, 0, &cursor), "a cursor");
	while (hmem_cursor_next(cursor, &entry) == 1)
		times++;
	hmem_cursor_close(cursor);
	return times;
}

/* Is the object found, although it may be moved while the reader looks for it? */
static bool round_of(unsigned int round, bool list, unsigned int *moved)
{
	struct bucket *bucket = next_bucket();
	char name[SHELF_NAME_MAX + 1], left[SHELF_NAME_MAX + 1];
	pthread_t thread;
	bool good, there = false;

	/* By chance there may be nothing in it. */
	if (!name_in(bucket, round / 2 % 4, name) && !name_in(bucket, 0, name)) {
		struct user writer;

		split(&writer, round);
		leave(&writer);
		empty++;
		return true;
	}
	join_to_read();
	page = reader_page(bucket);
	if (!page || mprotect(page, 4096, PROT_NONE))
		tap_bail("no page with that bucket");
	if (pthread_create(&thread, NULL, write_once, &round))
		tap_bail("a thread");
	good = list ? times_listed(name) == 1 : is_read(name);
	if (!good)
		tap_diag("round %u, %s: %s", round, list ? "listing" : "reading", name);
	for (unsigned int i = 0; name_in(bucket, i, left); i++)
		there = there || !strcmp(left, name);
	*moved += !there;
	/* First the reader: a writer that is alone then leaves no runtime to the next. */
	leave(&reader);
	sem_post(&arrived);
	pthread_join(thread, NULL);
	return good;
}

static void test_rounds(bool list)
{
	struct hmem_region_options region = HMEM_REGION_OPTIONS_INIT;
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	unsigned int good = 0, moved = 0, split = 0;
	struct user user;
	char name[32];

	region.bytes = 32u << 20;
	options.bytes = 8u << 20;
	options.slots = 8;
	need(hmem_region_create(ctx, region_name, &region, &user.region), "making a region");
	need(hmem_shelf_create(user.region, "one", &options, &user.shelf), "making a shelf");
	media_map(&media, path);
	for (unsigned int i = 0; i < OBJECTS; i++) {
		snprintf(name, sizeof(name), "object-%06u", i);
		need(put(&user, name, 'o', 8), name);
	}
	leave(&user);
	arrivals = 0;
	empty = 0;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		good += round_of(round, list, &moved);
		split += names_put < 1000;
	}
	TAP_EQ(arrivals, ROUNDS - empty, "a writer comes in the middle of a call, so many times");
	TAP_EQ(split, ROUNDS, "each of them splits a bucket");
	/* Half of what is in a bucket is, by chance. */
	TAP_OK(moved, "what is looked for is moved, in %u of them", moved);
	TAP_EQ(good, ROUNDS, "%s: it is found in each", list ? "listed" : "read");
	media_unmap(&media);
	need(hmem_region_destroy(ctx, region_name), "destroying");
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	users_begin("shelf-follow");
	sem_init(&arrived, 0, 0);
	sem_init(&go_on, 0, 0);
	sigaction(SIGSEGV, &action, NULL);
	test_rounds(false);
	test_rounds(true);
	hmem_ctx_unref(ctx);
	return tap_done();
}
