// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ordered shelves while somebody who lives has stopped with a lock that is needed to take names
 * out of the list, or to give their memory back: nothing is listed twice or lost.
 */
#include "shelf_holder.h"

#define NAMES	300
#define BLOCKED 20

static void make_ordered(struct user *user)
{
	struct hmem_region_options region = HMEM_REGION_OPTIONS_INIT;
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	region.bytes = 16u << 20;
	options.bytes = 2u << 20;
	options.max_bytes = 2u << 20;
	options.slots = 8;
	options.wait_ms = 20;
	options.flags = HMEM_SHELF_ORDERED;
	need(hmem_region_create(ctx, region_name, &region, &user->region), "making a region");
	need(hmem_shelf_create(user->region, "one", &options, &user->shelf), "making a shelf");
	media_map(&media, path);
}

static void lock_list(bool locked)
{
	__atomic_store_n(&media_runtime(&media)->ordered_lock, locked ? holder + 1 : 0,
			 __ATOMIC_SEQ_CST);
}

static unsigned int listed(struct user *user, const char *name)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	struct hmem_cursor *cursor;
	unsigned int times = 0;

	need(hmem_cursor_open(user->shelf, NULL, 0, &cursor), "a cursor");
	while (hmem_cursor_next(cursor, &entry) > 0)
		times += !strcmp(entry.name, name);
	hmem_cursor_close(cursor);
	return times;
}

static int found(void *arg, const struct hmem_shelf_finding *finding)
{
	(void)arg;
	tap_diag("%s: %s: %s", finding->part, finding->name ? finding->name : "-", finding->text);
	return 0;
}

static void test_list(void)
{
	struct user user;

	make_ordered(&user);
	need(put(&user, "again", 'a', 40), "putting");
	need(put(&user, "never", 'n', 40), "putting");
	hold(&user);
	lock_list(true);
	TAP_EQ(hmem_shelf_delete(user.shelf, "again"), 0, "deleting while the list is locked");
	TAP_EQ(hmem_shelf_delete(user.shelf, "never"), 0, "twice");
	lock_list(false);
	TAP_EQ(listed(&user, "again"), 0, "what is deleted is not listed");
	TAP_EQ(hmem_shelf_check(user.shelf, found, NULL), 0, "and nothing is wrong");
	need(put(&user, "again", 'b', 40), "putting");
	TAP_EQ(listed(&user, "again"), 1, "what is put again is listed once");
	TAP_EQ(hmem_shelf_check(user.shelf, found, NULL), 0, "still nothing is wrong");
	end_holder();
	leave(&user);
	need(join(&user, "one", 0), "opening");
	TAP_EQ(media_runtime(&media)->ordered_left, 0, "the last to close has left nothing");
	TAP_EQ(listed(&user, "again"), 1, "opened again it is listed once");
	TAP_EQ(listed(&user, "never"), 0, "and the other is not");
	unmake(&user);
}

/* The memory of what was taken out of the list cannot be given back, and then can. */
static void test_memory(void)
{
	struct user user;
	char name[32];

	make_ordered(&user);
	for (unsigned int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "name %u", i);
		need(put(&user, name, 'n', 8), name);
	}
	hold(&user);
	for (unsigned int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "name %u", i);
		/* ordered_reclaim() has 128 to give back after as many. */
		lock_chunks(i >= 120 && i < 120 + BLOCKED);
		if (hmem_shelf_delete(user.shelf, name))
			tap_diag("%s: %s", name, hmem_last_error(ctx));
	}
	lock_chunks(false);
	TAP_EQ(hmem_shelf_check(user.shelf, found, NULL), 0, "no memory is lost");
	end_holder();
	leave(&user);
	need(join(&user, "one", 0), "opening");
	TAP_EQ(hmem_shelf_check(user.shelf, found, NULL), 0, "nor when it was closed");
	unmake(&user);
}

int main(void)
{
	users_begin("shelf-ordered-blocked");
	test_list();
	test_memory();
	hmem_ctx_unref(ctx);
	return tap_done();
}
