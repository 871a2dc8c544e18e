// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each call costs in fences, as the manual says.
 */
#include <pthread.h>

#include <hmem/tx.h>

#include "shelf_place.h"

static struct hmem_shelf *shelf;

static uint64_t fences(void)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	need(hmem_shelf_get_info(shelf, &info), "info");
	return info.fences;
}

/* The fences of one call that succeeds; -1 when it fails. */
#define COST(call)                                                                       \
	({                                                                               \
		uint64_t cost_before = fences();                                         \
		int cost_err = (call);                                                   \
		cost_err ? -1 : (long long)(fences() - cost_before);                     \
	})

static void *put_in_thread(void *name)
{
	need(hmem_shelf_put(shelf, name, "1", 1, NULL), "put");
	return NULL;
}

static void filling(void)
{
	void *data = NULL, *other = NULL;

	TAP_EQ(COST(hmem_shelf_reserve(shelf, "filled", MI, NULL, &data)), 0, "reserve");
	TAP_EQ(COST(hmem_shelf_reserve(shelf, "other", MI, NULL, &other)), 0, "and once more");
	TAP_EQ(COST(hmem_shelf_publish(shelf, data, HMEM_PUT_CREATE)), 2, "publish");
	TAP_EQ(COST(hmem_shelf_cancel(shelf, other)), 0, "cancel");
	need(hmem_shelf_delete(shelf, "filled"), "delete");
}

/* New types cost nothing by themselves, up to as many in one transaction as a writer can have. */
static void types(void)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	char type[8] = "type ?", name[8] = "n?";
	void *data = NULL;
	struct hmem_tx *tx;

	options.type = type;
	options.type_bytes = 6;
	type[5] = 'r';
	TAP_EQ(COST(hmem_shelf_reserve(shelf, "filled", 64, &options, &data)), 0,
	       "reserve with a new type");
	TAP_EQ(COST(hmem_shelf_publish(shelf, data, 0)), 2, "and publish");
	for (unsigned int nr = 8; nr <= 9; nr++) {
		uint64_t before = fences();

		need(hmem_tx_begin(shelf, &tx), "begin");
		for (unsigned int i = 0; i < nr; i++) {
			type[5] = (char)(nr * 16 + i);
			name[1] = (char)('a' + i);
			need(hmem_tx_put(tx, name, "1", 1, &options), "put");
		}
		need(hmem_tx_commit(tx), "commit");
		TAP_EQ(fences() - before, nr - 7, "a transaction with %u new types", nr);
	}
	need(hmem_shelf_delete(shelf, "filled"), "delete");
}

static void in_place(void)
{
	struct hmem_object object, same;
	struct hmem_handle handle;
	uint64_t before;

	TAP_EQ(COST(hmem_shelf_edit(shelf, "y", &object)), 1, "edit");
	TAP_EQ(COST(hmem_shelf_persist(shelf, &object, 0, 4 * MI)), 1, "persist");
	TAP_EQ(COST(hmem_shelf_handle(shelf, &object, &handle)), 0, "handle");
	TAP_EQ(COST(hmem_shelf_get_handle(shelf, &handle, &same)), 0, "get by a handle");
	before = fences();
	hmem_shelf_release(shelf, &same);
	hmem_shelf_release(shelf, &object);
	TAP_EQ(fences() - before, 0, "release");
}

/* The fences of a thread that has ended count as well. */
static void of_a_thread(void)
{
	uint64_t before = fences();
	pthread_t thread;

	if (pthread_create(&thread, NULL, put_in_thread, "thread") || pthread_join(thread, NULL))
		tap_bail("no thread");
	TAP_OK(fences() > before, "a thread that ended made fences");
}

static void costs(enum place place)
{
	struct hmem_region *region = place_new(place, 64 * MI);
	static char value[4 * MI], name[64];
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	struct hmem_object object;
	uint64_t before;
	long long grown;
	size_t length;
	unsigned int i;

	tap_diag("in %s", place_names[place]);
	shelf = place_shelf(region, 32 * MI);
	TAP_EQ(COST(hmem_shelf_put(shelf, "x", value, 8, NULL)), 1, "the first put of a thread");
	for (size_t bytes = 0; bytes <= sizeof(value); bytes = bytes ? bytes * 16 : 1)
		TAP_EQ(COST(hmem_shelf_put(shelf, "x", value, bytes, NULL)), 1,
		       "replacing by %zu bytes", bytes);
	TAP_EQ(COST(hmem_shelf_put(shelf, "y", value, sizeof(value), NULL)), 1, "a new object");
	options.type = "a type";
	options.type_bytes = 6;
	TAP_EQ(COST(hmem_shelf_put(shelf, "t", value, 8, &options)), 1, "a put with a new type");
	TAP_EQ(COST(hmem_shelf_put(shelf, "u", value, 8, &options)), 1, "with one that is known");
	TAP_EQ(COST(hmem_shelf_get(shelf, "x", &object)), 0, "get");
	before = fences();
	hmem_shelf_release(shelf, &object);
	TAP_EQ(fences() - before, 0, "release");
	TAP_EQ(COST(hmem_shelf_read(shelf, "x", value, sizeof(value), &length)), 0, "read");
	TAP_EQ(COST(hmem_shelf_delete(shelf, "x")), 1, "delete");
	filling();
	types();
	in_place();
	/* What it gets may be holes. */
	grown = COST(hmem_shelf_grow(shelf, 33 * MI));
	TAP_OK(grown == 3 || grown == 4, "growing makes %lld fences", grown);
	TAP_EQ(COST(hmem_shelf_grow(shelf, 33 * MI)), 0, "and to what it has");
	before = fences();
	TAP_EQ(hmem_shelf_delete(shelf, "x"), -ENOENT, "what is not there is not deleted");
	TAP_EQ(hmem_shelf_get(shelf, "x", &object), -ENOENT, "nor got");
	TAP_EQ(fences() - before, 0, "without a fence");
	/* However many: splits of the index and the freeing of memory have none of their own. */
	before = fences();
	for (i = 0; i < (place_syncs(place) ? 200 : 20000); i++) {
		snprintf(name, sizeof(name), "%u", i);
		need(hmem_shelf_put(shelf, name, value, 64, NULL), "put");
	}
	TAP_EQ(fences() - before, i, "%u puts of new names", i);
	before = fences();
	for (unsigned int j = 0; j < i; j++) {
		snprintf(name, sizeof(name), "%u", j);
		need(hmem_shelf_put(shelf, name, value, 80, NULL), "put");
	}
	TAP_EQ(fences() - before, i, "as many that replace");
	before = fences();
	for (unsigned int j = 0; j < i; j++) {
		snprintf(name, sizeof(name), "%u", j);
		need(hmem_shelf_delete(shelf, name), "delete");
	}
	TAP_EQ(fences() - before, i, "as many deletes");
	of_a_thread();
	hmem_shelf_close(shelf);
	hmem_region_close(region);
}

int main(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	for (enum place place = 0; place < PLACES; place++)
		costs(place);
	hmem_ctx_unref(ctx);
	return tap_done();
}
