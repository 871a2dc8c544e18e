// SPDX-License-Identifier: GPL-2.0-only
/*
 * hmem_shelf_check(): nothing to find on a shelf in use, and each thing that can be wrong is
 * found, in the part that it is in.
 */
#include <hmem/hmem.h>

#include "shelf_media.h"

#define OBJECTS 300

static struct hmem_ctx *ctx;
static struct hmem_region *region;
static struct hmem_shelf *shelf;
static struct media media;
static char path[64], region_name[80];

static void need(int err, const char *what)
{
	if (err)
		tap_bail("%s: %s", what, hmem_last_error(ctx));
}

static void put(unsigned int i, size_t bytes)
{
	char name[32], value[4096];

	snprintf(name, sizeof(name), "object-%u", i);
	memset(value, (int)i, sizeof(value));
	need(hmem_shelf_put(shelf, name, value, bytes, NULL), name);
}

struct seen {
	const char *part;
	unsigned int in_part;
	unsigned int all;
	bool show;
};

static int note(void *arg, const struct hmem_shelf_finding *finding)
{
	struct seen *seen = arg;

	seen->all++;
	if (seen->part && !strcmp(finding->part, seen->part))
		seen->in_part++;
	if (seen->show)
		tap_diag("%s at %#llx: %s: %s", finding->part,
			 (unsigned long long)finding->offset, finding->name ? finding->name : "",
			 finding->text);
	return 0;
}

static void clean(const char *when)
{
	struct seen seen = { .show = true };

	TAP_EQ(hmem_shelf_check(shelf, note, &seen), 0, "nothing to find %s", when);
}

struct heard {
	char doing[32];
	uint64_t done;
	uint64_t total;
	unsigned int wrong;
};

static void hear(void *arg, const char *doing, uint64_t done, uint64_t total)
{
	struct heard *heard = arg;

	if (done > total || (heard->total == total && done < heard->done))
		heard->wrong++;
	snprintf(heard->doing, sizeof(heard->doing), "%s", doing);
	heard->done = done;
	heard->total = total;
}

/* Enough for more than one report. */
static void progress(void)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	size_t bytes = 8u << 20;
	void *large = calloc(1, bytes);
	struct heard heard = { .done = 0 };

	need(!large || hmem_shelf_put(shelf, "large", large, bytes, NULL), "a large object");
	free(large);
	hmem_ctx_set_progress(ctx, hear, &heard);
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "checking, and telling how far it is");
	TAP_OK(!strcmp(heard.doing, "checking") && heard.done == heard.total &&
		       heard.total >= bytes && !heard.wrong,
	       "to the end: %s, %llu of %llu", heard.doing, (unsigned long long)heard.done,
	       (unsigned long long)heard.total);
	need(hmem_shelf_close(shelf), "closing");
	memset(&heard, 0, sizeof(heard));
	options.flags = HMEM_SHELF_REPAIR;
	need(hmem_shelf_open(region, "shelf", &options, &shelf), "opening");
	TAP_OK(!strcmp(heard.doing, "recovering") && heard.done == heard.total &&
		       heard.total >= bytes && !heard.wrong,
	       "recovering: %s, %llu of %llu", heard.doing, (unsigned long long)heard.done,
	       (unsigned long long)heard.total);
	hmem_ctx_set_progress(ctx, NULL, NULL);
	need(hmem_shelf_delete(shelf, "large"), "deleting");
}

/* A word on the media is changed, looked for, and changed back. */
static void spoil(void *at, size_t bytes, uint64_t value, const char *part, const char *what)
{
	unsigned char was[8];
	struct seen seen = { .part = part };
	int err;

	if (!at)
		tap_bail("%s: not there", what);
	memcpy(was, at, bytes);
	memcpy(at, &value, bytes);
	err = hmem_shelf_check(shelf, note, &seen);
	if (!TAP_OK(err == -EUCLEAN && seen.in_part, "%s is found (%s)", what, part)) {
		seen.show = true;
		tap_diag("returned %d, %u findings", err, seen.all);
		hmem_shelf_check(shelf, note, &seen);
	}
	memcpy(at, was, bytes);
}

static struct bucket *bucket_with(unsigned int entries)
{
	struct runtime *rt = media_runtime(&media);

	for (unsigned int b = 0; b < INDEX_FIRST_BUCKETS; b++) {
		struct bucket *bucket = media_at(&media, rt->segments[0] + b * sizeof(*bucket));
		unsigned int used = 0;

		for (unsigned int i = 0; i < BUCKET_ENTRIES; i++)
			used += bucket->entry[i] != 0;
		if (used == entries)
			return bucket;
	}
	return NULL;
}

static uint64_t *free_entry(struct bucket *bucket)
{
	for (unsigned int i = 0; i < BUCKET_ENTRIES; i++)
		if (!bucket->entry[i])
			return &bucket->entry[i];
	return NULL;
}

static uint64_t *used_entry(struct bucket *bucket)
{
	for (unsigned int i = 0; i < BUCKET_ENTRIES; i++)
		if (bucket->entry[i])
			return &bucket->entry[i];
	return NULL;
}

static void damage(void)
{
	struct runtime *rt = media_runtime(&media);
	struct slot *slot = media_slot(&media, 0), *unused = media_slot(&media, 5);
	struct chunk *chunk = media_chunk(&media, 0);
	struct shelf_super *super = media_super(&media);
	uint64_t at = media_find(&media, "object-7"), other = media_find(&media, "object-8");
	struct record *r = media_at(&media, at);
	uint64_t *words = (uint64_t *)r;
	struct bucket *bucket = NULL;
	unsigned int bit, word;

	for (unsigned int n = 2; n < BUCKET_ENTRIES && !bucket; n++)
		bucket = bucket_with(n);
	if (!at || !other || !bucket)
		tap_bail("no record to damage");

	spoil(media.file, 8, 1, "table", "a damaged table");
	spoil(media.file + RACK_COPY_BYTES, 8, 1, "table", "its other copy");
	spoil(media_at(&media, 24), 4, 1, "superblock", "a damaged superblock");
	spoil(media_at(&media, SUPER_COPY_BYTES + 24), 4, 1, "superblock", "its other copy");
	spoil(media_at(&media, SHELF_FRONTIER_OFFSET), 8, 1, "frontier", "a damaged frontier");
	spoil(media_at(&media, SHELF_CEILING_OFFSET), 8, 1, "ceiling", "a damaged ceiling");
	spoil(media_at(&media, SHELF_CEILING_OFFSET), 8,
	      *(uint64_t *)media_at(&media, SHELF_FRONTIER_OFFSET), "ceiling",
	      "the frontier in its place");

	spoil(r, 4, r->check ^ 1, "record", "a damaged checksum");
	spoil((char *)r + 4, 1, RECORD_BODY, "record", "a wrong state");
	spoil((char *)r + 16, 7, r->seq + 1, "record", "a changed sequence number");
	spoil((char *)r + 14, 2, 0, "record", "a wrong mark");
	spoil(&words[0], 8, words[0] ^ 1ull << 60, "record", "a mark of which one bit is wrong");
	spoil(&words[1], 8, words[1] ^ 1ull << 50, "record", "another bit of it");
	spoil((char *)media_at(&media, media_value_offset(at, r) + r->value_bytes), 1, 'x', "record",
	      "a changed name");
	spoil((char *)r + 4, 4, 0, "record", "an erased record");

	spoil(used_entry(bucket), 8, 0, "record", "an entry that is gone");
	spoil(used_entry(bucket), 8, other >> SHELF_GRANULE_SHIFT, "index", "another's entry");
	spoil(used_entry(bucket), 8, *used_entry(bucket) ^ 1ull << 60, "index", "a wrong hash");
	spoil(used_entry(bucket), 8, *used_entry(bucket) | 0xffffffffff, "index",
	      "an entry that leads out");
	spoil(free_entry(bucket), 8, *used_entry(bucket), "index", "a name entered twice");
	spoil(&bucket->head, 8, bucket->head | 3ull << 48, "index", "a locked bucket");
	spoil(&bucket->head, 8, rt->segments[0] >> SHELF_GRANULE_SHIFT, "index",
	      "a chain that leads into another bucket");
	spoil(&bucket->head, 8, 0xffffffffff, "index", "a chain that leads out");
	spoil(&rt->segments[1], 8, 0, "index", "a missing segment");
	spoil(&rt->nr_buckets, 8, 3, "index", "too few buckets");
	spoil(&rt->nr_buckets, 8, INDEX_FIRST_BUCKETS, "record", "buckets that are not counted");

	for (word = 0; !~chunk->used[word]; word++)
		;
	for (bit = 0; chunk->used[word] >> bit & 1; bit++)
		;
	spoil(&chunk->used[word], 8, chunk->used[word] | 1ull << bit, "heap", "a leaked granule");
	spoil(&chunk->used[0], 8, chunk->used[0] & ~4ull, "heap", "a used granule marked free");
	spoil(&chunk->free, 2, chunk->free + 1, "heap", "a wrong count of free granules");
	spoil(&chunk->hint, 2, SHELF_CHUNK_GRANULES, "heap", "a hint that leads out");
	spoil(&chunk->lock, 4, 9, "heap", "a locked chunk");
	spoil(&rt->frontier, 8, 1ull << 40, "heap", "more chunks than there are");
	spoil(&rt->objects, 8, rt->objects + 1, "count", "a wrong number of objects");
	spoil(&rt->limbo, 8, at, "limbo", "a current record that is retired");
	spoil(&rt->limbo, 8, super->heap_offset - 64, "limbo", "a retired block outside");
	spoil(&rt->limbo_lock, 4, 2, "slot", "a lock that is held");
	spoil(&unused->unsealed, 8, at, "slot", "a free slot that holds a block");
	spoil(&slot->fresh, 8, at, "slot", "an update under way");
	spoil(&slot->pins[3], 8, at + SHELF_GRANULE, "slot", "a pin on no record");
	spoil(&slot->unsealed, 8, rt->segments[0], "slot", "a record to seal that is none");
	spoil(&slot->ring_tail, 8, slot->ring_head + 1, "slot", "a ring out of order");
	spoil(&slot->locks[2], 8, 64, "slot", "a lock that is noted");
}

static int stop(void *arg, const struct hmem_shelf_finding *finding)
{
	(void)finding;
	++*(int *)arg;
	return 42;
}

static void calls(void)
{
	struct chunk *chunk = media_chunk(&media, 0);
	int called = 0;

	chunk->lock = 9;
	chunk->free++;
	TAP_EQ(hmem_shelf_check(shelf, stop, &called), 42, "the callback can stop it");
	TAP_EQ(called, 1, "it is called once then");
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), -EUCLEAN, "it works without one");
	chunk->lock = 0;
	chunk->free--;
	TAP_EQ(hmem_shelf_check(NULL, NULL, NULL), -EINVAL, "a shelf is needed");
}

int main(void)
{
	struct hmem_region_options region_options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_object held;

	snprintf(path, sizeof(path), "/tmp/hmem-shelf-check-%d", (int)getpid());
	snprintf(region_name, sizeof(region_name), "file:%s", path);
	need(hmem_ctx_new(&ctx), "context");
	region_options.bytes = 20 << 20;
	need(hmem_region_create(ctx, region_name, &region_options, &region), "region");
	options.bytes = 12 << 20;
	options.max_bytes = 64 << 20;
	options.slots = 8;
	need(hmem_shelf_create(region, "shelf", &options, &shelf), "shelf");
	media_map(&media, path);
	clean("on a new shelf");
	for (unsigned int i = 0; i < OBJECTS; i++)
		put(i, 10 + i % 300);
	clean("after puts");
	for (unsigned int i = 0; i < OBJECTS; i += 3)
		put(i, 400);
	put(1, 4000);
	clean("after replacing some");
	need(hmem_shelf_get(shelf, "object-5", &held), "get");
	for (unsigned int i = 5; i < OBJECTS; i += 4) {
		char name[32];

		snprintf(name, sizeof(name), "object-%u", i);
		if (i != 7 && i != 8)
			need(hmem_shelf_delete(shelf, name), "delete");
	}
	for (unsigned int i = 0; i < 100; i++)
		put(2, 100 + i);
	clean("after deleting some, one of them pinned");
	hmem_shelf_release(shelf, &held);
	damage();
	clean("when all is as it was");
	calls();
	need(hmem_shelf_close(shelf), "close");
	need(hmem_shelf_open(region, "shelf", NULL, &shelf), "open");
	clean("after opening it again");
	progress();
	need(hmem_shelf_close(shelf), "close");
	media_unmap(&media);
	hmem_region_close(region);
	hmem_ctx_unref(ctx);
	unlink(path);
	return tap_done();
}
