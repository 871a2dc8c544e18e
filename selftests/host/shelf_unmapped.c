// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a handle has not mapped of a shelf that others have made larger, and cannot map: nothing is
 * said of it that has not been seen to. And what it had mapped when growing failed it maps again
 * from where it lies then, for by then it may be another shelf's.
 */
#include "faults.h"
#include "shelf_media.h"

#define KI ((uint64_t)1 << 10)
#define MI ((uint64_t)1 << 20)
/* Takes a chunk. */
#define PIECE 60000u

static char file[64], name[80], value[PIECE];

struct user {
	struct hmem_region *region;
	struct hmem_shelf *shelf;
};

static void need(int err, const char *what)
{
	if (err)
		tap_bail("%s: %d: %s", what, err, hmem_last_error(ctx));
}

static struct hmem_shelf *make(struct hmem_region *region, const char *shelf, uint64_t bytes)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *made;

	options.bytes = bytes;
	options.max_bytes = 64 * MI;
	options.slots = 2;
	need(hmem_shelf_create(region, shelf, &options, &made), "creating a shelf");
	return made;
}

static void join(struct user *user, const char *shelf)
{
	need(hmem_region_open(ctx, name, 0, &user->region), "opening the region");
	need(hmem_shelf_open(user->region, shelf, NULL, &user->shelf), "opening the shelf");
}

static void leave(struct user *user)
{
	need(hmem_shelf_close(user->shelf), "closing");
	hmem_region_close(user->region);
}

static void begin(struct user *first)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;

	unlink(file);
	options.bytes = 32 * MI;
	need(hmem_region_create(ctx, name, &options, &first->region), "a region");
	first->shelf = make(first->region, "s", MI);
}

static int put(struct hmem_shelf *shelf, unsigned int number, size_t bytes)
{
	char object[16];

	snprintf(object, sizeof(object), "%u", number);
	memset(value, (int)number, bytes);
	return hmem_shelf_put(shelf, object, value, bytes, NULL);
}

static bool holds(struct hmem_shelf *shelf, unsigned int number, size_t bytes)
{
	static char wanted[PIECE], got[PIECE];
	char object[16];
	size_t length;

	snprintf(object, sizeof(object), "%u", number);
	memset(wanted, (int)number, bytes);
	return !hmem_shelf_read(shelf, object, got, sizeof(got), &length) && length == bytes &&
	       !memcmp(got, wanted, bytes);
}

/* --- what others have retired ----------------------------------------------------------- */

/* From now on nothing can be mapped, until it is said again that it can. */
static void no_mappings(bool begin)
{
	countdown = 1;
	injected = ENOMEM;
	stay = begin;
	victim = begin ? "mmap" : NULL;
}

/* A shelf that is full, most of it where only the second handle has looked yet. */
static unsigned int make_grown(struct user *first, struct user *other)
{
	unsigned int nr = 0;

	begin(first);
	join(other, "s");
	need(put(first->shelf, 1000, 8), "the first one's slot");
	need(hmem_shelf_grow(other->shelf, 2 * MI), "growing");
	while (!put(other->shelf, nr, PIECE))
		nr++;
	return nr;
}

static void test_retired(void)
{
	struct user first, other;
	unsigned int nr = make_grown(&first, &other);
	const struct slot *slot;
	struct media media;
	char object[16];
	int err;

	TAP_OK(nr > 20, "%u objects fill the shelf, most of which the first one has not mapped", nr);
	/* The last one found a hole in what there was before. */
	for (unsigned int i = nr - 5; i < nr - 1; i++) {
		snprintf(object, sizeof(object), "%u", i);
		need(hmem_shelf_delete(other.shelf, object), object);
	}
	media_map(&media, file);
	slot = media_slot(&media, 1);
	TAP_OK(slot->used && slot->ring_erased > slot->ring_fenced,
	       "what was deleted there waits for a fence: %llu up to %llu",
	       (unsigned long long)slot->ring_fenced, (unsigned long long)slot->ring_erased);
	no_mappings(true);
	err = put(first.shelf, 1001, PIECE);
	no_mappings(false);
	TAP_OK(hit && err == -ENOMEM, "who cannot map it does not get its memory: %d", err);
	TAP_OK(strstr(hmem_last_error(ctx), "cannot be mapped"), "and says why: %s",
	       hmem_last_error(ctx));
	TAP_OK(slot->ring_erased > slot->ring_fenced,
	       "nor is what could not be written back taken for durable");
	TAP_EQ(put(first.shelf, 1001, PIECE), 0, "when it can be mapped, there is room");
	TAP_OK(slot->ring_erased == slot->ring_fenced, "and all of it is durable");
	TAP_OK(holds(other.shelf, 1001, PIECE) && holds(first.shelf, 3, PIECE), "the objects are there");
	TAP_EQ(hmem_shelf_check(first.shelf, NULL, NULL), 0, "nothing is wrong");
	media_unmap(&media);
	leave(&other);
	leave(&first);
}

/* All of it is durable already, but may not be freed without a look at it. */
static void test_freed(void)
{
	struct user first, other;
	unsigned int nr = make_grown(&first, &other);
	char object[16];
	int err;

	snprintf(object, sizeof(object), "%u", nr - 3);
	need(hmem_shelf_delete(other.shelf, object), object);
	need(hmem_shelf_delete(other.shelf, "1000"), "one that fences for that");
	no_mappings(true);
	err = put(first.shelf, 1001, PIECE);
	no_mappings(false);
	TAP_EQ(err, -ENOMEM, "what is durable and cannot be mapped is not damaged");
	TAP_EQ(put(first.shelf, 1001, PIECE), 0, "when it can be mapped, there is room");
	TAP_EQ(hmem_shelf_check(first.shelf, NULL, NULL), 0, "nothing is wrong");
	leave(&other);
	leave(&first);
}

/* The same, and somebody has pinned it: it is not to be freed but to be kept in mind. */
static void test_pinned(void)
{
	struct user first, other;
	struct hmem_object object;
	unsigned int nr = make_grown(&first, &other);
	char pinned[16];
	int err;

	snprintf(pinned, sizeof(pinned), "%u", nr - 3);
	need(hmem_shelf_get(other.shelf, pinned, &object), "getting");
	need(hmem_shelf_delete(other.shelf, pinned), pinned);
	need(hmem_shelf_delete(other.shelf, "1000"), "one that fences for that");
	no_mappings(true);
	err = put(first.shelf, 1001, PIECE);
	no_mappings(false);
	TAP_EQ(err, -ENOMEM, "what is pinned and cannot be mapped stays where it is");
	TAP_EQ(put(first.shelf, 1001, PIECE), -ENOSPC, "when it can be mapped, it is pinned");
	hmem_shelf_release(other.shelf, &object);
	TAP_EQ(put(first.shelf, 1001, PIECE), 0, "and when it is not, there is room");
	TAP_EQ(hmem_shelf_check(first.shelf, NULL, NULL), 0, "nothing is wrong");
	leave(&other);
	leave(&first);
}

/* --- names that lead there -------------------------------------------------------------- */

static int put_in_tx(struct hmem_shelf *shelf, unsigned int number)
{
	struct hmem_tx *tx;
	char object[16];
	int err;

	snprintf(object, sizeof(object), "%u", number);
	need(hmem_tx_begin(shelf, &tx), "a transaction");
	err = hmem_tx_put(tx, object, "tx", 2, NULL);
	if (!err)
		return hmem_tx_commit(tx);
	hmem_tx_abort(tx);
	return err;
}

/* One that is there must not be taken for one that is not, and entered once more. */
static void test_names(void)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };
	struct user first, other;
	unsigned int nr, at, far;
	char name_of_far[16];
	uint64_t objects;

	nr = make_grown(&first, &other);
	far = nr - 4;
	snprintf(name_of_far, sizeof(name_of_far), "%u", far);
	for (at = 0; at < 8; at++) {
		snprintf(value, sizeof(value), "%u", at);
		need(hmem_shelf_delete(other.shelf, value), value);
	}
	need(hmem_shelf_get_info(other.shelf, &info), "info");
	objects = info.objects;
	no_mappings(true);
	TAP_EQ(put(first.shelf, far, 8), -ENOMEM, "putting a name whose object cannot be mapped");
	TAP_EQ(put_in_tx(first.shelf, far), -ENOMEM, "the same in a transaction");
	TAP_EQ(hmem_shelf_delete(first.shelf, name_of_far), -ENOMEM, "deleting it");
	TAP_EQ(hmem_shelf_rename(first.shelf, "1000", name_of_far, 0), -ENOMEM,
	       "renaming another to it");
	TAP_EQ(hmem_shelf_rename(first.shelf, "1000", name_of_far, HMEM_PUT_CREATE), -ENOMEM,
	       "also if it should not be there");
	no_mappings(false);
	need(hmem_shelf_get_info(other.shelf, &info), "info");
	TAP_OK(info.objects == objects && holds(other.shelf, far, PIECE), "it is what it was");
	TAP_EQ(put(first.shelf, 2000, 8), 0, "when it can be mapped, new names are put");
	TAP_EQ(put_in_tx(first.shelf, far), 0, "and the one in question");
	need(hmem_shelf_get_info(first.shelf, &info), "info");
	TAP_EQ(info.objects, objects + 1, "which is there once");
	TAP_EQ(hmem_shelf_check(other.shelf, NULL, NULL), 0, "nothing is wrong");
	leave(&other);
	leave(&first);
}

/* --- what growing did not get ----------------------------------------------------------- */

static int tell(void *arg, const struct hmem_shelf_finding *finding)
{
	(void)arg;
	tap_diag("%s at %#llx: %s", finding->part, (unsigned long long)finding->offset,
		 finding->text);
	return 0;
}

/* A shelf of so much needs another unit of metadata. */
#define MORE (8 * MI)

/*
 * Records of the shelf lie where it does not reach yet, so that growing has something to write
 * back, which fails: it was that large once, and all else was brought back to what it had been.
 */
static void make_remains(struct user *user)
{
	const struct rack_header *rack;
	const struct rack_run *run;
	unsigned char *before;
	struct media media;
	size_t end = 0;

	begin(user);
	need(hmem_shelf_close(user->shelf), "closing");
	media_map(&media, file);
	rack = media_rack(&media);
	run = (const struct rack_run *)((const struct rack_shelf *)(rack + 1) + rack->nr_shelves);
	for (uint32_t i = 0; i < rack->nr_runs; i++, run++)
		if (end < (size_t)(run->unit + run->count) << rack->unit_shift)
			end = (size_t)(run->unit + run->count) << rack->unit_shift;
	before = malloc(end);
	if (!before)
		tap_bail("no memory");
	memcpy(before, media.file, end);
	need(hmem_shelf_open(user->region, "s", NULL, &user->shelf), "opening");
	need(hmem_shelf_grow(user->shelf, MORE), "growing");
	for (unsigned int i = 0; i < 40; i++)
		need(put(user->shelf, i, PIECE), "filling");
	need(hmem_shelf_close(user->shelf), "closing");
	memcpy(media.file, before, end);
	free(before);
	media_unmap(&media);
	need(hmem_shelf_open(user->region, "s", NULL, &user->shelf), "opening");
}

static void test_growth(void)
{
	struct user first, other;
	struct hmem_shelf *between;
	struct media media;
	uint64_t seq;
	int err;

	play_disk = true;
	make_remains(&first);
	media_map(&media, file);
	seq = media_rack(&media)->seq;
	hit = false;
	countdown = 1;
	injected = EIO;
	victim = "msync";
	err = hmem_shelf_grow(first.shelf, MORE);
	victim = NULL;
	TAP_OK(hit && err == -EIO && media_rack(&media)->seq == seq,
	       "growing fails before the table is written: %d: %s", err, hmem_last_error(ctx));
	join(&other, "s");
	between = make(other.region, "between", MI);
	TAP_EQ(put(between, 7, PIECE), 0, "another shelf gets what it did not");
	TAP_EQ(hmem_shelf_grow(other.shelf, MORE), 0, "then it grows");
	for (unsigned int i = 0; i < 100; i++)
		need(put(other.shelf, i, PIECE), "filling");
	TAP_OK(holds(first.shelf, 99, PIECE) && holds(first.shelf, 0, PIECE),
	       "the first one sees what lies in it");
	TAP_EQ(hmem_shelf_check(first.shelf, tell, NULL), 0, "and what is said of it: nothing is wrong");
	TAP_EQ(hmem_shelf_check(between, tell, NULL), 0, "with the other shelf neither");
	need(hmem_shelf_close(between), "closing");
	leave(&other);
	media_unmap(&media);
	hmem_shelf_close(first.shelf);
	hmem_region_close(first.region);
	play_disk = false;
}

int main(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	hmem_ctx_set_log_level(ctx, HMEM_LOG_ERR);
	snprintf(file, sizeof(file), "%s/hmem-shelf-unmapped-%d",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid());
	snprintf(name, sizeof(name), "file:%s", file);
	test_retired();
	test_freed();
	test_pinned();
	test_names();
	test_growth();
	unlink(file);
	hmem_ctx_unref(ctx);
	return tap_done();
}
