// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults (shelf_faults.h) under the calls on shelves, and on single objects.
 * hmem-test: timeout=300
 */
#include <sys/wait.h>

#include "shelf_faults.h"

/* --- states --------------------------------------------------------------------------- */

static void opened_to_read(bool ordered)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	closed(ordered);
	options.flags = HMEM_SHELF_READ_ONLY;
	need(hmem_shelf_open(region, "s", &options, &shelf), "opening");
}

/* Its only user died with it. */
static void left_by_the_dead(bool ordered)
{
	pid_t pid;
	int status;

	closed(ordered);
	pid = fork();
	if (!pid) {
		struct hmem_region *theirs;
		struct hmem_shelf *dead;

		if (hmem_region_open(ctx, region_path, 0, &theirs) ||
		    hmem_shelf_open(theirs, "s", NULL, &dead) ||
		    hmem_shelf_put(dead, "dead", large, 5000, NULL) ||
		    hmem_shelf_put(dead, "dead", large, 6000, NULL) ||
		    hmem_shelf_put(dead, "gone", large, 5000, NULL) ||
		    hmem_shelf_delete(dead, "gone"))
			_exit(1);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		tap_bail("a process that dies with a shelf open: %#x", (unsigned int)status);
}

/* And the machine with him. */
static void left_by_power(bool ordered)
{
	struct media media;

	left_by_the_dead(ordered);
	media_map(&media, region_path);
	media_runtime(&media)->boot[0] ^= 1;
	media_unmap(&media);
}

/* He died, and others have it open meanwhile. */
static void opened_with_the_dead(bool ordered)
{
	pid_t pid;
	int status;

	opened(ordered);
	pid = fork();
	if (!pid) {
		struct hmem_region *theirs;
		struct hmem_shelf *dead;

		_exit(hmem_region_open(ctx, region_path, 0, &theirs) ||
		      hmem_shelf_open(theirs, "s", NULL, &dead) ||
		      hmem_shelf_put(dead, "dead", large, 6000, NULL));
	}
	if (waitpid(pid, &status, 0) != pid || status)
		tap_bail("a process that dies with a shelf open: %#x", (unsigned int)status);
}

/* --- calls ---------------------------------------------------------------------------- */

static int destroy(void)
{
	return hmem_shelf_destroy(region, "s");
}

static int put_new(void)
{
	return hmem_shelf_put(shelf, "y", "new", 3, NULL);
}

static int replace(void)
{
	return hmem_shelf_put(shelf, "x", "new", 3, NULL);
}

static int put_large(void)
{
	return hmem_shelf_put(shelf, "x", large, sizeof(large), NULL);
}

static int delete(void)
{
	return hmem_shelf_delete(shelf, "x");
}

static int fill(void)
{
	void *data;
	int err = hmem_shelf_reserve(shelf, "x", 3, NULL, &data);

	if (err)
		return err;
	memcpy(data, "new", 3);
	err = hmem_shelf_publish(shelf, data, 0);
	if (err)
		hmem_shelf_cancel(shelf, data);
	return err;
}

static int get(void)
{
	struct hmem_object object;
	int err = hmem_shelf_get(shelf, "x", &object);

	if (!err)
		hmem_shelf_release(shelf, &object);
	return err;
}

static int read_it(void)
{
	return hmem_shelf_read(shelf, "x", got, sizeof(got), &(size_t){ 0 });
}

static int list(void)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	struct hmem_cursor *cursor;
	int err = hmem_cursor_open(shelf, NULL, 0, &cursor), names = 0;

	if (err)
		return err;
	while ((err = hmem_cursor_next(cursor, &entry)) > 0)
		names++;
	hmem_cursor_close(cursor);
	return err || names > KEPT ? err : 1;
}

static int check(void)
{
	return hmem_shelf_check(shelf, NULL, NULL);
}

static int grow(void)
{
	return hmem_shelf_grow(shelf, 2 * MI);
}

static int see(void *arg, const struct hmem_shelf_info *info)
{
	(void)info;
	++*(int *)arg;
	return 0;
}

static int iterate(void)
{
	int shelves = 0, err = hmem_shelf_iterate(region, see, &shelves);

	return err || shelves == 1 ? err : 1;
}

/* In place; what was stored is there or not before it is made durable. */
static int edit(void)
{
	struct hmem_object object;
	int err = hmem_shelf_edit(shelf, "x", &object);

	if (err)
		return err;
	memcpy(object.data, "new", 3);
	err = hmem_shelf_persist(shelf, &object, 0, 3);
	hmem_shelf_release(shelf, &object);
	return err;
}

static int put_typed(void)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;

	options.type = "of a kind";
	options.type_bytes = 9;
	return hmem_shelf_put(shelf, "x", "new", 3, &options);
}

/* Memory that is given back. */
static int cancel(void)
{
	void *data;
	int err = hmem_shelf_reserve(shelf, "x", 70000, NULL, &data);

	if (err)
		return err;
	memset(data, 1, 70000);
	return hmem_shelf_cancel(shelf, data);
}

static int get_many(void)
{
	const char *const names[] = { "kept-1", "x", "kept-2" };
	struct hmem_object objects[3];
	int err = hmem_shelf_get_many(shelf, names, 3, objects);

	for (unsigned int i = 0; i < 3 && !err; i++)
		hmem_shelf_release(shelf, &objects[i]);
	return err;
}

static int get_by_handle(void)
{
	struct hmem_object object, same;
	struct hmem_handle handle;
	int err = hmem_shelf_get(shelf, "x", &object);

	if (err)
		return err;
	err = hmem_shelf_handle(shelf, &object, &handle);
	if (!err)
		err = hmem_shelf_get_handle(shelf, &handle, &same);
	hmem_shelf_release(shelf, &object);
	if (!err)
		hmem_shelf_release(shelf, &same);
	return err;
}

static int open_to_repair(void)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	options.flags = HMEM_SHELF_REPAIR;
	return hmem_shelf_open(region, "s", &options, &shelf);
}

/* With its region: in that of now there is no room for it. */
static int grow_region(void)
{
	int err = hmem_region_resize(region, 2 * REGION);

	return err ? err : hmem_shelf_grow(shelf, REGION);
}

/* A file, and a shelf in it. */
static int create_region(void)
{
	struct hmem_region_options place = HMEM_REGION_OPTIONS_INIT;
	int err;

	if (region)
		return create();
	place.bytes = REGION;
	err = hmem_region_create(ctx, region_path, &place, &region);
	return err ? err : create();
}

/* --- what has to hold ------------------------------------------------------------------ */

static bool x_is_large(bool done)
{
	return has("x", large, sizeof(large)) || (!done && has("x", "old", 3));
}

static bool x_is_gone(bool done)
{
	return lacks("x") || (!done && has("x", "old", 3));
}

static bool y_is_made(bool done)
{
	return has("x", "old", 3) && (has("y", "new", 3) || (!done && lacks("y")));
}

/* What the dead had put is there. */
static bool dead_left_it(bool done)
{
	(void)done;
	return has("x", "old", 3) && has("dead", large, 6000) && lacks("gone");
}

static bool x_is_of_a_kind(bool done)
{
	struct hmem_object object;
	bool right;

	if (!done && has("x", "old", 3))
		return true;
	if (!has("x", "new", 3) || hmem_shelf_get(shelf, "x", &object))
		return false;
	right = object.type_bytes == 9 && !memcmp(object.type, "of a kind", 9);
	hmem_shelf_release(shelf, &object);
	return right;
}

static void no_region(bool ordered)
{
	(void)ordered;
	hmem_region_close(region);
	region = NULL;
	unlink(region_path);
}

static const struct call calls[] = {
	{ "creating", no_shelf, create, x_stays, ANYHOW, false },
	{ "creating with its region", no_region, create_region, x_stays, ANYHOW, false },
	{ "opening", closed, open_it, x_stays, OPEN, true },
	{ "opening to repair", closed, open_to_repair, x_stays, OPEN, true },
	{ "opening what a dead process had open", left_by_the_dead, open_it, dead_left_it, OPEN,
	  true },
	{ "recovering", left_by_power, open_it, dead_left_it, OPEN, true },
	{ "putting", opened, put_new, y_is_made, OPEN, false },
	{ "replacing", opened, replace, x_is_new, OPEN, false },
	{ "replacing after a death", opened_with_the_dead, replace, x_is_new, OPEN, false },
	{ "putting much", opened, put_large, x_is_large, OPEN, false },
	{ "putting one of a new type", opened, put_typed, x_is_of_a_kind, OPEN, false },
	{ "filling in place", opened, fill, x_is_new, OPEN, false },
	{ "reserving for nothing", opened, cancel, x_stays, OPEN, false },
	{ "changing in place", opened, edit, x_is_new, OPEN, false },
	{ "deleting", opened, delete, x_is_gone, OPEN, false },
	{ "growing", opened, grow, x_stays, OPEN, false },
	{ "growing with its region", opened, grow_region, x_stays, OPEN, false },
	{ "getting", opened, get, x_stays, OPEN, false },
	{ "getting several", opened, get_many, x_stays, OPEN, false },
	{ "getting by handle", opened, get_by_handle, x_stays, OPEN, false },
	{ "reading", opened, read_it, x_stays, OPEN, false },
	{ "reading, read-only", opened_to_read, read_it, x_stays, OPEN, false },
	{ "listing", opened, list, x_stays, OPEN, false },
	{ "checking", opened, check, x_stays, OPEN, false },
	{ "closing", opened, close_it, x_stays, OPEN, false },
	{ "telling of all", closed, iterate, x_stays, OPEN, false },
	{ "destroying", closed, destroy, x_stays, AWAY, false },
};

/* Somebody made the file, and nobody his entry in its directory durable. */
static void test_directory(void)
{
	no_shelf(false);
	hmem_region_close(region);
	need(hmem_region_open(ctx, region_path, 0, &region), "opening the region");
	directory_syncs = 0;
	need(create(), "a shelf");
	TAP_OK(directory_syncs > 0, "creating a shelf in a file that is there syncs its directory");
	directory_syncs = 0;
	need(grow(), "growing it");
	TAP_OK(directory_syncs > 0, "and so does growing it");
	need(close_it(), "closing");
}

int main(void)
{
	faults_begin();
	fail_all(calls, sizeof(calls) / sizeof(calls[0]));
	test_directory();
	faults_end();
	return tap_done();
}
