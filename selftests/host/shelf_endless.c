// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shelves that were made up so that it takes the square of their size to look at them. To open or to
 * check one is over soon all the same.
 */
#include <time.h>

#include "shelf_crc.h"
#include "shelf_user.h"

#define HEAP	(8u << 20)
#define SECONDS	5.0	/* it takes a small part of one, and otherwise some times as long */

static struct user user;
static char image[96], image_name[128];

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The memory that nothing was ever put to, in a shelf with one object. */
static uint64_t begin(uint64_t *end)
{
	make(&user, 4, HEAP, 100);
	need(put(&user, "one", 'o', 100), "putting");
	*end = media_super(&media)->heap_offset + HEAP;
	return media_super(&media)->heap_offset + (HEAP / 8);
}

/* As the power has left it, with all of its heap to be looked at. */
static int open_cut(struct user *other, unsigned int flags, double *took)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	FILE *out = fopen(image, "w");
	int err;

	options.flags = flags;
	frontier_fix(&media, HEAP >> SHELF_CHUNK_SHIFT);
	if (!out || fwrite(media.file, 1, media.bytes, out) != media.bytes || fclose(out))
		tap_bail("writing %s", image);
	need(hmem_region_open(ctx, image_name, 0, &other->region), "opening the copy");
	*took = now();
	err = hmem_shelf_open(other->region, "one", &options, &other->shelf);
	*took = now() - *took;
	return err;
}

static void end_cut(struct user *other, bool opened)
{
	if (opened)
		hmem_shelf_close(other->shelf);
	hmem_region_close(other->region);
	unlink(image);
}

static void end(void)
{
	leave(&user);
	media_unmap(&media);
	need(hmem_region_destroy(ctx, region_name), "destroying");
}

/* --- torn records, each of which has all that follows for its value ------------------- */

static void fill_with_torn(uint64_t at, uint64_t last, enum record_state state)
{
	uint64_t key = media_key(&media);

	for (; at + 64 < last; at += sizeof(struct record)) {
		struct record *r = media_at(&media, at);

		*r = (struct record){
			.check = 1, .state = state, .kind = RECORD_OBJECT, .name_bytes = 1,
			.value_bytes = (last - at - 48) & ((1ull << 44) - 1), .seq = 1,
			.align_shift = SHELF_GRANULE_SHIFT,
		};
		mark_fix(key, at, r);
		/* What does not have it quite is read as well. */
		if (state == RECORD_MEMBER)
			r->mark_low ^= 1;
	}
}

static void test_torn(enum record_state state, const char *what)
{
	struct user other;
	uint64_t at, last;
	double took;
	int err;

	at = begin(&last);
	fill_with_torn(at, last, state);
	err = open_cut(&other, 0, &took);
	TAP_EQ(err, -EUCLEAN, "%s: more than there is room for: %s", what,
	       err ? hmem_last_error(ctx) : "opened");
	TAP_OK(took < SECONDS, "after %.1f s", took);
	end_cut(&other, !err);
	err = open_cut(&other, HMEM_SHELF_REPAIR, &took);
	TAP_EQ(err, -EUCLEAN, "with repair as well");
	TAP_OK(took < SECONDS, "after %.1f s", took);
	end_cut(&other, !err);
	end();
}

static int note(void *arg, const struct hmem_shelf_finding *finding)
{
	bool *told = arg;

	*told = *told || strstr(finding->text, "made them up");
	return 0;
}

static void test_check(void)
{
	bool told = false;
	uint64_t last;
	double took;

	begin(&last);
	/* Below what has been used. */
	need(put(&user, "much", 0, HEAP / 2), "putting");
	need(hmem_shelf_delete(user.shelf, "much"), "deleting");
	for (int i = 0; i < 200; i++)
		need(put(&user, "often", i, 40), "putting");
	fill_with_torn(last - HEAP + HEAP / 4, last - HEAP + HEAP / 2, RECORD_PENDING);
	took = now();
	TAP_EQ(hmem_shelf_check(user.shelf, note, &told), -EUCLEAN, "checking such a shelf");
	took = now() - took;
	TAP_OK(told && took < SECONDS, "tells that after %.1f s", took);
	end();
}

/* --- undo records, and commits of which each could name any of them ------------------- */

static void test_undone(void)
{
	uint64_t at, last, seq = 1000;
	struct user other;
	double took;
	int err;

	at = begin(&last);
	for (unsigned int i = 0; at + 64 < last; at += 64, i++) {
		struct record *r = media_at(&media, at);

		*r = (struct record){
			.state = RECORD_SEALED, .kind = i % 2 ? RECORD_COMMIT : RECORD_UNDO,
			.align_shift = SHELF_GRANULE_SHIFT, .seq = seq + i,
			.value_bytes = i % 2 ? sizeof(struct commit_head) : sizeof(struct undo_head),
		};
		if (i % 2)
			*(struct commit_head *)(r + 1) = (struct commit_head){ .undo = at };
		else
			*(struct undo_head *)(r + 1) = (struct undo_head){ 0, at, seq + i };
		record_fix(&media, at);
	}
	err = open_cut(&other, 0, &took);
	TAP_EQ(err, 0, "nothing but undo records and commits: %s",
	       err ? hmem_last_error(ctx) : "opened");
	TAP_OK(took < SECONDS, "after %.1f s", took);
	if (!err)
		TAP_EQ(hmem_shelf_check(other.shelf, NULL, NULL), 0, "and in order");
	end_cut(&other, !err);
	end();
}

int main(void)
{
	snprintf(path, sizeof(path), "%s/hmem-shelf-endless-%d",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid());
	snprintf(region_name, sizeof(region_name), "file:%s", path);
	snprintf(image, sizeof(image), "%s-cut", path);
	snprintf(image_name, sizeof(image_name), "file:%s", image);
	need(hmem_ctx_new(&ctx), "context");
	hmem_ctx_set_log_level(ctx, HMEM_LOG_ERR);
	test_torn(RECORD_PENDING, "records of puts");
	test_torn(RECORD_MEMBER, "members with marks that are nearly right");
	test_check();
	test_undone();
	hmem_ctx_unref(ctx);
	return tap_done();
}
