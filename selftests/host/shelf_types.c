// SPDX-License-Identifier: GPL-2.0-only
/*
 * Type descriptors: kept with objects however these are made, equal ones once, through
 * closing, recovery and repair, seen by get and by cursors, and none of the names that are
 * listed or counted.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "shelf_place.h"

#include <hmem/tx.h>

static struct hmem_shelf *shelf;

static struct hmem_put_options typed(const void *type, size_t bytes)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;

	options.type = type;
	options.type_bytes = bytes;
	return options;
}

static int put(const char *name, const char *value, const char *type)
{
	struct hmem_put_options options = typed(type, type ? strlen(type) : 0);

	return hmem_shelf_put(shelf, name, value, strlen(value), &options);
}

static bool has_type(const char *name, const void *type, size_t bytes)
{
	struct hmem_object object;
	bool good;

	if (hmem_shelf_get(shelf, name, &object))
		return false;
	good = object.type_bytes == bytes &&
	       (bytes ? object.type && !memcmp(object.type, type, bytes) : !object.type);
	hmem_shelf_release(shelf, &object);
	return good;
}

static bool is(const char *name, const char *type)
{
	return has_type(name, type, type ? strlen(type) : 0);
}

static struct hmem_shelf_info info_of(void)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	need(hmem_shelf_get_info(shelf, &info), "info");
	return info;
}

/* What a cursor says of types, as "name=type " of each. */
static const char *listed(void)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	struct hmem_cursor *cursor;
	static char text[4096];
	int got;

	*text = '\0';
	need(hmem_cursor_open(shelf, NULL, 0, &cursor), "cursor");
	while ((got = hmem_cursor_next(cursor, &entry)) > 0)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s=%.*s ", entry.name,
			 (int)entry.type_bytes, entry.type ? (const char *)entry.type : "");
	need(got, "listing");
	hmem_cursor_close(cursor);
	return text;
}

static void reopen(struct hmem_region *region)
{
	need(hmem_shelf_close(shelf), "close");
	need(hmem_shelf_open(region, "s", NULL, &shelf), "open");
}

static void make(struct hmem_region *region, unsigned int flags)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	options.bytes = 4 * MI;
	options.max_bytes = 16 * MI;
	options.flags = flags;
	need(hmem_shelf_create(region, "s", &options, &shelf), "creating a shelf");
}

static void lengths(void)
{
	static const size_t bytes[] = { 0, 1, 7, 8, 9, 255, 256 };
	struct hmem_put_options options;
	unsigned char type[257];
	char name[16];

	for (size_t i = 0; i < sizeof(type); i++)
		type[i] = (unsigned char)(i * 7);
	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		snprintf(name, sizeof(name), "%zu", bytes[i]);
		options = typed(type, bytes[i]);
		options.align = 16u << i;
		TAP_EQ(hmem_shelf_put(shelf, name, type, i, &options), 0, "a type of %zu bytes",
		       bytes[i]);
		TAP_OK(has_type(name, type, bytes[i]), "is kept");
	}
	options = typed(type, 257);
	TAP_EQ(hmem_shelf_put(shelf, "x", type, 1, &options), -EINVAL, "one of 257 is not");
	TAP_OK(strstr(hmem_last_error(ctx), "at most 256 bytes"), "it says so: %s",
	       hmem_last_error(ctx));
	options = typed(NULL, 1);
	TAP_EQ(hmem_shelf_put(shelf, "x", type, 1, &options), -EINVAL, "nor one that is nowhere");
}

static void ways(struct hmem_region *region)
{
	struct hmem_put_options options = typed("in place", 8);
	struct hmem_shelf_info before;
	struct hmem_object a, b;
	struct hmem_tx *tx;
	uint64_t used;
	void *data;

	need(put("a", "1", "float64"), "put");
	need(put("b", "2", "float64"), "put");
	need(put("plain", "3", NULL), "put");
	need(hmem_shelf_get(shelf, "a", &a), "get");
	need(hmem_shelf_get(shelf, "b", &b), "get");
	TAP_OK(a.type == b.type && a.type_bytes == 7, "equal ones are one");
	TAP_OK(!memcmp(a.data, "1", 1) && a.bytes == 1, "and beside the value");
	need(put("a", "4", "float32"), "put");
	need(hmem_shelf_delete(shelf, "b"), "delete");
	TAP_OK(!memcmp(a.type, "float64", 7), "that of a pinned object stays");
	hmem_shelf_release(shelf, &a);
	hmem_shelf_release(shelf, &b);
	TAP_OK(is("a", "float32"), "replacing gives another");
	need(put("a", "4", NULL), "put");
	TAP_OK(is("a", NULL) && is("plain", NULL), "or none");
	need(hmem_shelf_reserve(shelf, "filled", 100, &options, &data), "reserve");
	memset(data, 'x', 100);
	need(hmem_shelf_publish(shelf, data, 0), "publish");
	TAP_OK(is("filled", "in place"), "what was filled in place has one");
	need(hmem_tx_begin(shelf, &tx), "begin");
	need(hmem_tx_put(tx, "in tx", "5", 1, &options), "put");
	need(hmem_tx_put(tx, "bare", "6", 1, &options), "put");
	need(hmem_tx_put(tx, "bare", "6", 1, NULL), "put");
	options = typed("of a transaction", 16);
	need(hmem_tx_put(tx, "a", "7", 1, &options), "put");
	need(hmem_tx_commit(tx), "commit");
	TAP_OK(is("in tx", "in place") && is("bare", NULL) && is("a", "of a transaction"),
	       "what a transaction put has one");
	TAP_EQ(info_of().objects, 5, "types are no objects");
	TAP_OK(strstr(listed(), "filled=in place ") && strstr(listed(), "plain= ") &&
		       strstr(listed(), "a=of a transaction "),
	       "cursors tell: %s", listed());
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "nothing is wrong");
	before = info_of();
	reopen(region);
	TAP_OK(info_of().objects == 5 && info_of().free_bytes >= before.free_bytes,
	       "nothing is lost by closing");
	TAP_OK(is("filled", "in place") && is("a", "of a transaction") && is("bare", NULL),
	       "and they are what they were");
	/* A header of 32, a name, a value; in an ordered shelf a node. Not the type again. */
	need(put("longer name of mine", "8", "in place"), "put");
	used = info_of().free_bytes;
	need(put("longer name of mini", "8", "in place"), "put");
	TAP_OK(used - info_of().free_bytes <= (info_of().ordered ? 160 : 80), "a known type costs 8 bytes");
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "nothing is wrong");
}

/* Its process is gone without a word, and the boot of the runtime is another. */
static void after_power_loss(struct hmem_region *region, unsigned int flags)
{
	struct hmem_shelf_info info;
	unsigned char *memory;
	pid_t child;

	make(region, flags);
	need(put("kept", "1", "kept type"), "put");
	for (unsigned int i = 0; i < 100; i++) {
		char name[16], type[16];

		snprintf(name, sizeof(name), "%u", i);
		snprintf(type, sizeof(type), "type %u", i);
		need(put(name, name, type), "put");
		if (i & 1)
			need(hmem_shelf_delete(shelf, name), "delete");
	}
	child = fork();
	if (!child) {
		struct hmem_region *again;

		if (hmem_ctx_new(&ctx) || hmem_region_open(ctx, place_path(PLACE_SHM), 0, &again) ||
		    hmem_shelf_open(again, "s", NULL, &shelf))
			_exit(1);
		raise(SIGKILL);
	}
	waitpid(child, NULL, 0);
	/* The runtime of nobody: the last to close leaves a shelf that is not clean. */
	need(hmem_region_map(region, 0, MI, (void **)&memory, NULL), "map");
	memset(memory + 64 * KI + 2 * 4096, 0, 4096);
	hmem_shelf_close(shelf);
	need(hmem_shelf_open(region, "s", NULL, &shelf), "recovery");
	info = info_of();
	TAP_EQ(info.objects, 51, "objects are recovered, and types are none");
	TAP_OK(info.dirty_shutdowns > 0, "it was recovered");
	TAP_OK(is("kept", "kept type") && is("98", "type 98"), "with their types");
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "nothing is wrong");
	need(put("99", "99", "type 99"), "put");
	TAP_OK(is("99", "type 99"), "one that nobody had any more is made anew");
	TAP_OK(!strstr(listed(), "type 97"), "and is not told of before");
	hmem_region_unmap(region, memory, MI);
	need(hmem_shelf_close(shelf), "close");
}

/* Those that nobody has any more stay as long as nobody asks for all records to be looked at. */
static void given_up(struct hmem_region *region)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	uint64_t before, with;
	char type[32];

	make(region, 0);
	need(put("kept", "1", "kept type"), "put");
	before = info_of().free_bytes;
	for (unsigned int i = 0; i < 500; i++) {
		snprintf(type, sizeof(type), "a shape of its own, %u", i);
		need(put("changes", "2", type), "put");
	}
	need(hmem_shelf_delete(shelf, "changes"), "delete");
	reopen(region);
	with = info_of().free_bytes;
	TAP_OK(with < before - 500 * 64, "unused types take memory");
	need(hmem_shelf_close(shelf), "close");
	options.flags = HMEM_SHELF_REPAIR;
	need(hmem_shelf_open(region, "s", &options, &shelf), "opening with repair");
	/* Not what the index has grown by, which is made for all that is found. */
	TAP_OK(info_of().free_bytes >= with + 400 * 64, "which opening with repair gives back");
	TAP_OK(is("kept", "kept type"), "and not those that are used");
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "nothing is wrong");
	need(hmem_shelf_close(shelf), "close");
}

static atomic_bool wrong;

static void *same_types(void *arg)
{
	unsigned int me = (unsigned int)(uintptr_t)arg;
	char name[32], type[32];

	for (unsigned int i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "%u of %u", i % 50, me);
		snprintf(type, sizeof(type), "shape %u", i / 3);
		if (put(name, name, type) || !is(name, type))
			atomic_store(&wrong, true);
	}
	return NULL;
}

static void threads(void)
{
	pthread_t thread[4];

	atomic_store(&wrong, false);
	for (uintptr_t i = 0; i < 4; i++)
		if (pthread_create(&thread[i], NULL, same_types, (void *)i))
			tap_bail("no thread");
	for (unsigned int i = 0; i < 200; i++)
		listed();
	for (unsigned int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	TAP_OK(!atomic_load(&wrong), "threads make the same types at once");
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "nothing is wrong");
}

int main(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	for (enum place place = 0; place < PLACES; place++) {
		for (unsigned int flags = 0; flags <= HMEM_SHELF_ORDERED; flags += HMEM_SHELF_ORDERED) {
			struct hmem_region *region = place_new(place, 32 * MI);

			tap_diag("in %s%s", place_names[place], flags ? ", ordered" : "");
			make(region, flags);
			ways(region);
			lengths();
			if (!place_syncs(place))
				threads();
			need(hmem_shelf_close(shelf), "close");
			hmem_region_close(region);
			if (place != PLACE_SHM)
				continue;
			region = place_new(place, 32 * MI);
			after_power_loss(region, flags);
			hmem_region_close(region);
			if (flags)
				continue;
			region = place_new(place, 32 * MI);
			given_up(region);
			hmem_region_close(region);
		}
	}
	hmem_ctx_unref(ctx);
	return tap_done();
}
