// SPDX-License-Identifier: GPL-2.0-only
/*
 * Closing and opening shelves: what is left clean, what has to be recovered, who keeps whom
 * away, and what becomes of damage in what a clean shelf trusts.
 */
#include "shelf_crc.h"
#include "shelf_numbered.h"

static uint64_t dirty(struct hmem_shelf *shelf)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	need(hmem_shelf_get_info(shelf, &info), "info");
	return info.dirty_shutdowns;
}

static uint64_t objects_of(struct hmem_shelf *shelf)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	need(hmem_shelf_get_info(shelf, &info), "info");
	return info.objects;
}

static void fill(void)
{
	struct hmem_shelf *shelf = make_numbered();

	TAP_OK(!media_super(&media)->clean, "an open shelf is not clean on the media");
	TAP_EQ(hmem_shelf_close(shelf), 0, "it is closed");
	TAP_OK(media_super(&media)->clean, "and is clean then");
}

/* --- clean --------------------------------------------------------------------------- */

static void reopened(void)
{
	struct hmem_shelf *shelf, *second;

	for (unsigned int round = 1; round < 4; round++) {
		shelf = open_shelf(0);
		if (round == 1)
			TAP_OK(!((struct shelf_super *)media_at(&media, 0))->clean &&
				       !((struct shelf_super *)media_at(&media, SUPER_COPY_BYTES))
						->clean,
			       "neither superblock says clean any more");
		for (unsigned int i = 0; i < OBJECTS; i += 3)
			put(shelf, i, i);
		put(shelf, OBJECTS + round, 1);
		need(hmem_shelf_delete(shelf, name_of(OBJECTS + round)), "delete");
		TAP_OK(right(shelf, 0) == OBJECTS && checks(shelf), "round %u: all is there", round);
		need(hmem_shelf_close(shelf), "close");
	}
	shelf = open_shelf(0);
	second = open_shelf(0);
	put(second, 7, 7);
	TAP_EQ(hmem_shelf_close(shelf), 0, "one of two handles of a process is closed");
	TAP_OK(!media_super(&media)->clean, "which leaves nothing clean");
	put(second, 7, 7);
	TAP_EQ(hmem_shelf_close(second), 0, "the other one is closed");
	TAP_OK(media_super(&media)->clean, "which does");
	shelf = open_shelf(0);
	TAP_EQ(dirty(shelf), 0, "nothing had to be recovered so far");
	TAP_OK(right(shelf, 0) == OBJECTS && checks(shelf), "all is there");
	need(hmem_shelf_close(shelf), "close");
}

/* What is got and not released, and what others left in limbo, does not stay. */
static void pinned(void)
{
	struct hmem_shelf *shelf = open_shelf(0), *second = open_shelf(0);
	struct hmem_object object;

	need(hmem_shelf_get(second, name_of(5), &object), "get");
	for (unsigned int i = 0; i < 100; i++)
		put(shelf, 5, 5);
	TAP_EQ(hmem_shelf_close(shelf), 0, "closed while another has pinned what was replaced");
	TAP_EQ(hmem_shelf_close(second), 0, "closed without a release");
	TAP_OK(media_super(&media)->clean, "and clean");
	shelf = open_shelf(0);
	TAP_OK(checks(shelf), "and nothing leaked");
	need(hmem_shelf_close(shelf), "close");
}

/* --- dead processes ------------------------------------------------------------------ */

static void died(void)
{
	pid_t pid = child(0, act_put);
	struct hmem_shelf *shelf;

	reap(pid);
	TAP_OK(!media_super(&media)->clean, "who was killed left nothing clean");
	shelf = open_shelf(0);
	TAP_EQ(dirty(shelf), 0, "but in this boot nothing has to be recovered");
	TAP_OK(right(shelf, 0) == OBJECTS && checks(shelf), "it is cleaned up after him");
	for (unsigned int id = 0; id < 8; id++)
		if (media_slot(&media, id)->used && media_slot(&media, id)->pid == pid)
			TAP_OK(false, "slot %u is still the dead one's", id);
	pid = child(0, act_put);
	reap(pid);
	TAP_EQ(hmem_shelf_close(shelf), 0, "the last to close cleans up as well");
	TAP_OK(media_super(&media)->clean, "and leaves it clean");
}

/* Another boot: what is volatile means nothing. */
static void rebooted(void)
{
	struct hmem_shelf *shelf;
	uint64_t before;
	pid_t pid;

	shelf = open_shelf(0);
	before = dirty(shelf);
	need(hmem_shelf_close(shelf), "close");
	pid = child(0, act_put);
	reap(pid);
	media_runtime(&media)->boot[3] ^= 1;
	memset(media_slot(&media, 0), 0xa5, SLOT_BYTES);
	memset(media_chunk(&media, 0), 0x5a, 2 * sizeof(struct chunk));
	shelf = open_shelf(0);
	TAP_EQ(dirty(shelf), before + 1, "after a loss of power it is recovered, and counted");
	TAP_OK(right(shelf, 0) == OBJECTS && checks(shelf), "all is there");
	need(hmem_shelf_close(shelf), "close");
	shelf = open_shelf(0);
	TAP_EQ(dirty(shelf), before + 1, "and after that not counted again");
	need(hmem_shelf_close(shelf), "close");
	/* The same, but closed: a new boot changes nothing. */
	media_runtime(&media)->boot[3] ^= 1;
	shelf = open_shelf(0);
	TAP_EQ(dirty(shelf), before + 1, "a clean shelf is not recovered in another boot");
	TAP_OK(right(shelf, 0) == OBJECTS && checks(shelf), "all is there");
	need(hmem_shelf_close(shelf), "close");
	shelf = open_shelf(HMEM_SHELF_REPAIR);
	TAP_EQ(dirty(shelf), before + 1, "nor is it counted when one is repaired that was closed");
	need(hmem_shelf_close(shelf), "close");
}

#define LARGE 150

static const char *large_name(unsigned int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "large-%u", i);
	return name;
}

/* What says how far there are records: a clean shelf does not need it, and the next may. */
static void frontier_damaged(void)
{
	static char value[20000];
	struct hmem_shelf *shelf = open_shelf(0);
	uint64_t *word = media_at(&media, SHELF_FRONTIER_OFFSET);
	unsigned int there = 0;
	pid_t pid;

	for (unsigned int i = 0; i < LARGE; i++)
		need(hmem_shelf_put(shelf, large_name(i), value, sizeof(value), NULL), "put");
	need(hmem_shelf_close(shelf), "close");
	*word ^= 1u << 3;
	pid = child(0, act_put);
	reap(pid);
	media_runtime(&media)->boot[3] ^= 1;
	shelf = open_shelf(0);
	for (unsigned int i = 0; i < LARGE; i++)
		there += !hmem_shelf_delete(shelf, large_name(i));
	TAP_EQ(there, LARGE, "with the frontier damaged, updates and a loss of power lose nothing");
	TAP_OK(right(shelf, 0) == OBJECTS && checks(shelf), "all is there");
	need(hmem_shelf_close(shelf), "close");
}

/* No granule is free but those of the index: it has to fit there again. */
static void full(size_t value_bytes)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_region_options region_options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region *other;
	struct hmem_shelf *shelf;
	char other_path[80], other_name[96], name[32], value[400] = "";
	struct media other_media;
	unsigned int nr = 0, found = 0;
	int err;

	snprintf(other_path, sizeof(other_path), "%s/hmem-shelf-full-%d",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid());
	snprintf(other_name, sizeof(other_name), "file:%s", other_path);
	region_options.bytes = 4 << 20;
	need(hmem_region_create(ctx, other_name, &region_options, &other), "region");
	options.bytes = 2 << 20;
	options.max_bytes = 2 << 20;
	need(hmem_shelf_create(other, "shelf", &options, &shelf), "create");
	for (int round = 0; round < 3; round++) {
		do {
			snprintf(name, sizeof(name), "%u", nr);
			err = hmem_shelf_put(shelf, name, value, round ? 0 : value_bytes, NULL);
			nr += !err;
		} while (!err);
		/* Others where these were, so that the index grows into the holes. */
		for (unsigned int i = 0; i < nr && !round; i += 2) {
			snprintf(name, sizeof(name), "%u", i);
			need(hmem_shelf_delete(shelf, name), "delete");
		}
	}
	TAP_EQ(err, -ENOSPC, "a shelf of values of %zu bytes is full of %u objects", value_bytes, nr);
	media_map(&other_media, other_path);
	need(hmem_shelf_close(shelf), "close");
	for (unsigned int i = 0; i < SUPER_COPIES; i++) {
		struct shelf_super *super = media_at(&other_media, i * SUPER_COPY_BYTES);

		super->clean = 0;
		super_fix(super);
	}
	err = hmem_shelf_open(other, "shelf", NULL, &shelf);
	if (TAP_EQ(err, 0, "it is recovered")) {
		for (unsigned int i = 0; i < nr; i++) {
			size_t bytes;

			snprintf(name, sizeof(name), "%u", i);
			found += hmem_shelf_read(shelf, name, value, sizeof(value), &bytes) != -ENOENT;
		}
		TAP_EQ(found, objects_of(shelf), "what it counts is there");
		TAP_OK(checks(shelf), "nothing is wrong with it");
		need(hmem_shelf_delete(shelf, "1"), "delete");
		need(hmem_shelf_close(shelf), "close");
	} else {
		tap_diag("%s", hmem_last_error(ctx));
	}
	media_unmap(&other_media);
	hmem_region_close(other);
	unlink(other_path);
}

/* --- who keeps whom away ------------------------------------------------------------- */

static void alone(void)
{
	struct hmem_shelf *shelf;
	pid_t pid;
	int err;

	pid = child(0, NULL);
	try_open(region, HMEM_SHELF_EXCLUSIVE, &err);
	TAP_EQ(err, -EBUSY, "not exclusively while another process has it");
	shelf = try_open(region, 0, &err);
	TAP_EQ(err, 0, "but along with it");
	need(hmem_shelf_close(shelf), "close");
	reap(pid);
	pid = child(HMEM_SHELF_EXCLUSIVE, NULL);
	try_open(region, 0, &err);
	TAP_EQ(err, -EBUSY, "not while another process has it exclusively");
	try_open(reading, HMEM_SHELF_READ_ONLY, &err);
	TAP_EQ(err, -EBUSY, "not even to read");
	reap(pid);
	shelf = try_open(region, HMEM_SHELF_EXCLUSIVE, &err);
	TAP_EQ(err, 0, "exclusively when that is dead");
	try_open(region, HMEM_SHELF_EXCLUSIVE, &err);
	TAP_EQ(err, -EBUSY, "not twice in one process either");
	need(hmem_shelf_close(shelf), "close");
	pid = child(0, NULL);
	media_runtime(&media)->boot[3] ^= 1;
	try_open(region, 0, &err);
	TAP_EQ(err, -EBUSY, "not when somebody has it whose boot is another");
	TAP_OK(strstr(hmem_last_error(ctx), "another's"), "which the message says");
	media_runtime(&media)->boot[3] ^= 1;
	reap(pid);
	shelf = open_shelf(0);
	need(hmem_shelf_close(shelf), "close");
}

/* --- read-only ----------------------------------------------------------------------- */

static uint64_t sum_of_file(void)
{
	uint64_t sum = 1;

	for (size_t i = 0; i < media.bytes; i += sizeof(uint64_t))
		sum = (sum ^ *(const uint64_t *)(media.file + i)) * 1099511628211u;
	return sum;
}

static void readers(void)
{
	struct hmem_shelf *one, *two, *writer, *late;
	uint64_t before = sum_of_file();
	pid_t pid;
	int err;

	one = open_shelf(HMEM_SHELF_READ_ONLY);
	two = open_shelf(HMEM_SHELF_READ_ONLY);
	TAP_OK(right(one, 0) == OBJECTS && right(two, 0) == OBJECTS, "two readers see all");
	TAP_OK(checks(one), "a reader can check it");
	TAP_EQ(hmem_shelf_put(one, "x", "", 0, NULL), -EROFS, "a reader cannot put");
	TAP_EQ(hmem_shelf_close(two), 0, "one of them is closed");
	TAP_EQ(sum_of_file(), before, "nothing was written");

	writer = open_shelf(0);
	for (unsigned int i = 0; i < OBJECTS; i++)
		put(writer, i, i + 1);
	for (unsigned int i = 0; i < 2000; i++)
		put(writer, OBJECTS + i, 0);
	TAP_EQ(right(one, 1), OBJECTS, "who was there before the writer sees what that did");
	late = open_shelf(HMEM_SHELF_READ_ONLY);
	TAP_EQ(right(late, 1), OBJECTS, "and so does who came later");
	TAP_EQ(value_of(late, OBJECTS + 1999), 0, "new objects, too");
	TAP_EQ(hmem_shelf_close(writer), 0, "the writer closes before the readers");
	TAP_OK(media_super(&media)->clean, "and leaves it clean");
	TAP_OK(right(one, 1) == OBJECTS && right(late, 1) == OBJECTS, "they go on reading");
	two = open_shelf(HMEM_SHELF_READ_ONLY);
	TAP_EQ(right(two, 1), OBJECTS, "and another one begins");
	writer = open_shelf(0);
	for (unsigned int i = 0; i < 2000; i++)
		need(hmem_shelf_delete(writer, name_of(OBJECTS + i)), "delete");
	for (unsigned int i = 0; i < OBJECTS; i++)
		put(writer, i, i);
	TAP_OK(right(one, 0) == OBJECTS && right(two, 0) == OBJECTS && right(late, 0) == OBJECTS,
	       "all three see what the next writer does");
	TAP_EQ(value_of(two, OBJECTS + 7), -ENOENT, "and what it deletes");
	TAP_OK(checks(writer), "the writer finds nothing wrong");
	need(hmem_shelf_close(one), "close");
	need(hmem_shelf_close(two), "close");
	need(hmem_shelf_close(late), "close");
	TAP_EQ(hmem_shelf_close(writer), 0, "the writer closes after the readers");

	pid = child(0, act_put);
	one = open_shelf(HMEM_SHELF_READ_ONLY);
	reap(pid);
	TAP_EQ(right(one, 0), OBJECTS, "a reader goes on when the only writer dies");
	writer = try_open(region, 0, &err);
	TAP_EQ(err, 0, "and another writer can come");
	put(writer, 1, 1);
	TAP_EQ(right(one, 0), OBJECTS, "whom the reader sees");
	need(hmem_shelf_close(writer), "close");
	need(hmem_shelf_close(one), "close");

	pid = child(0, act_put);
	reap(pid);
	media_runtime(&media)->boot[3] ^= 1;
	try_open(reading, HMEM_SHELF_READ_ONLY, &err);
	TAP_EQ(err, -EUCLEAN, "what has to be recovered cannot be opened to read");
	writer = open_shelf(0);
	need(hmem_shelf_close(writer), "close");
}

/* --- damage in what a clean shelf trusts ---------------------------------------------- */

/* A bucket with two objects or more; with an overflow bucket, if @overflows. Or NULL. */
static struct bucket *some_bucket(bool overflows)
{
	struct shelf_super *super = media_super(&media);

	for (unsigned int i = 0, first = 0, s = 0; i < super->summary.nr_buckets; i++) {
		struct bucket *bucket;

		if (i >= INDEX_FIRST_BUCKETS && !(i & (i - 1))) {
			first = i;
			s++;
		}
		bucket = media_at(&media,
				  super->summary.segments[s] + (i - first) * sizeof(*bucket));

		if (overflows ? BUCKET_NEXT(bucket->head) != 0 :
				bucket->entry[0] && bucket->entry[1])
			return bucket;
	}
	return NULL;
}

/* All is used: -EUCLEAN is met, and nothing else goes wrong. */
static bool meets_damage(struct hmem_shelf *shelf, bool update)
{
	bool met = false;

	for (unsigned int i = 0; i < OBJECTS; i++) {
		unsigned int value = i;
		long got = value_of(shelf, i);
		int err = update ? hmem_shelf_put(shelf, name_of(i), &value, sizeof(value), NULL) : 0;

		if (got != (long)i && got != -EUCLEAN) {
			tap_diag("object %u: %ld", i, got);
			return false;
		}
		if (err && err != -EUCLEAN)
			return false;
		met = met || err || got == -EUCLEAN;
	}
	return met;
}

static void damage(void *at, size_t bytes, uint64_t value, bool update, const char *what)
{
	struct hmem_shelf *shelf;
	uint64_t before = media_super(&media)->dirty_shutdowns;
	unsigned char was[8];
	int err;

	memcpy(was, at, bytes);
	memcpy(at, &value, bytes);
	if (!update) {
		shelf = open_shelf(HMEM_SHELF_READ_ONLY);
		TAP_OK(meets_damage(shelf, false), "%s: a reader meets it", what);
		need(hmem_shelf_close(shelf), "close");
	}
	shelf = open_shelf(0);
	TAP_OK(meets_damage(shelf, true), "%s: it is met", what);
	TAP_EQ(hmem_shelf_put(shelf, "x", "", 0, NULL), -EUCLEAN, "%s: no more updates", what);
	err = hmem_shelf_close(shelf);
	TAP_OK(err == -EUCLEAN && !media_super(&media)->clean, "%s: it is not left clean", what);
	shelf = open_shelf(0);
	TAP_OK(right(shelf, 0) == OBJECTS && checks(shelf), "%s: the next to open recovers", what);
	TAP_EQ(dirty(shelf), before + 1, "%s: that is counted", what);
	need(hmem_shelf_close(shelf), "close");
}

static void damaged(void)
{
	struct shelf_super *super = media_super(&media);
	struct hmem_shelf *shelf;
	struct bucket *bucket = some_bucket(false);

	TAP_EQ(BUCKET_STATE(bucket->head), BUCKET_SEALED, "buckets are sealed");
	TAP_EQ(media_chunk(&media, 0)->sealed, CHUNK_SEALED, "chunks are sealed");
	damage(&bucket->entry[0], 8, 0, false, "a lost entry");
	bucket = some_bucket(false);
	damage(&bucket->entry[1], 8, bucket->entry[1] ^ 2, false, "a changed entry");
	bucket = some_bucket(false);
	damage(&bucket->head, 8, bucket->head ^ 1ull << 50, false, "a changed head");
	bucket = some_bucket(false);
	damage(&bucket->head, 8, bucket->head ^ 1ull << 42, false, "a changed state");
	bucket = some_bucket(true);
	if (bucket) {
		struct bucket *over = media_at(&media, BUCKET_NEXT(bucket->head));

		damage(&over->entry[0], 8, over->entry[0] ^ 8, false, "damage in an overflow bucket");
	} else {
		tap_skip("damage in an overflow bucket", "no bucket overflows");
	}
	damage(&media_chunk(&media, 0)->used[9], 8, 0, true, "a changed map");
	damage(&media_chunk(&media, 0)->free, 2, 4096, true, "a changed count");

	/* The summary itself: the superblock's checksum catches it, and the other copy is as good. */
	super = media_super(&media);
	super->summary.nr_buckets++;
	shelf = open_shelf(0);
	TAP_OK(right(shelf, 0) == OBJECTS && checks(shelf), "one damaged superblock does no harm");
	need(hmem_shelf_close(shelf), "close");
}

int main(void)
{
	numbered_begin("shelf-clean");
	fill();
	reopened();
	pinned();
	died();
	rebooted();
	frontier_damaged();
	full(0);
	full(16);
	full(0);
	full(16);
	full(100);
	full(390);
	alone();
	readers();
	damaged();
	return numbered_end();
}
