// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every system call and every allocation fails once under creating, opening, putting,
 * deleting and closing (faults.h), on a disk where each fence is an msync(2). What was
 * acknowledged is there afterwards, in every case.
 */
#include "faults.h"

#define MI ((uint64_t)1 << 20)
#define KEPT 40

static struct hmem_region *region;
static char value[70000];

/* What an operation does for itself goes well. */
static const char *hold(void)
{
	const char *whom = victim;

	victim = NULL;
	return whom;
}

static void fresh_region(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	const char *whom = hold();

	hmem_region_close(region);
	unlink(scratch_path("region"));
	options.bytes = 8 * MI;
	if (hmem_region_create(ctx, scratch_path("region"), &options, &region))
		tap_bail("%s", hmem_last_error(ctx));
	victim = whom;
}

static int make(struct hmem_shelf **shelf)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	options.bytes = 4 * MI;
	options.max_bytes = 16 * MI;
	options.slots = 4;
	return hmem_shelf_create(region, "s", &options, shelf);
}

/* A region with a shelf of some objects, closed. */
static void fresh_shelf(void)
{
	const char *whom = hold();
	struct hmem_shelf *shelf;
	char name[32];

	fresh_region();
	if (make(&shelf))
		tap_bail("%s", hmem_last_error(ctx));
	for (int i = 0; i < KEPT; i++) {
		snprintf(name, sizeof(name), "kept-%d", i);
		if (hmem_shelf_put(shelf, name, &i, sizeof(i), NULL))
			tap_bail("%s", hmem_last_error(ctx));
	}
	if (hmem_shelf_close(shelf))
		tap_bail("%s", hmem_last_error(ctx));
	victim = whom;
}

/* All objects are there, and nothing is wrong. 0, or 1 for a fault. */
static int all_there(void)
{
	struct hmem_shelf *shelf;
	char name[32];
	size_t length;
	int got = -1, bad;

	if (hmem_shelf_open(region, "s", NULL, &shelf))
		return 1;
	bad = hmem_shelf_check(shelf, NULL, NULL) != 0;
	for (int i = 0; i < KEPT && !bad; i++) {
		snprintf(name, sizeof(name), "kept-%d", i);
		bad = hmem_shelf_read(shelf, name, &got, sizeof(got), &length) || got != i;
	}
	bad |= hmem_shelf_put(shelf, "new", "1", 1, NULL) || hmem_shelf_close(shelf);
	return bad;
}

/* What the faulty call answered, unless something else is wrong. */
static int judged(int err)
{
	const char *whom = hold();
	char said[512];

	snprintf(said, sizeof(said), "%s", hmem_last_error(ctx));
	if (all_there()) {
		tap_diag("afterwards: %s", hmem_last_error(ctx));
		err = 1;
	}
	hmem_set_error(ctx, err, "%s", said);
	victim = whom;
	return err;
}

static int create(void)
{
	struct hmem_shelf *shelf = NULL;
	const char *whom;
	int err;

	fresh_region();
	err = make(&shelf);
	whom = hold();
	if (err && shelf)
		return 1;
	hmem_shelf_close(shelf);
	/* The name is free, or, when only the table's durability failed, taken. */
	if (err && make(&shelf) && hmem_shelf_open(region, "s", NULL, &shelf))
		return 1;
	if (err)
		hmem_shelf_close(shelf);
	if (err)
		hmem_set_error(ctx, err, "%s", "it said so");
	victim = whom;
	return err;
}

static int open_clean(void)
{
	struct hmem_shelf *shelf = NULL;
	const char *whom;
	int err;

	fresh_shelf();
	err = hmem_shelf_open(region, "s", NULL, &shelf);
	whom = hold();
	if (err && shelf)
		return 1;
	hmem_shelf_close(shelf);
	victim = whom;
	return judged(err);
}

static int put_or_delete(bool put, size_t bytes)
{
	struct hmem_shelf *shelf;
	struct hmem_object object;
	const char *whom;
	int err, closed;

	fresh_shelf();
	whom = hold();
	if (hmem_shelf_open(region, "s", NULL, &shelf) ||
	    hmem_shelf_put(shelf, "x", "old", 3, NULL))
		tap_bail("%s", hmem_last_error(ctx));
	victim = whom;
	err = put ? hmem_shelf_put(shelf, "x", value, bytes, NULL) : hmem_shelf_delete(shelf, "x");
	whom = hold();
	if (err == -EIO) {
		/* Read on, and nothing else, until it was closed. */
		if (hmem_shelf_put(shelf, "y", "1", 1, NULL) != -EROFS ||
		    hmem_shelf_delete(shelf, "kept-1") != -EROFS ||
		    hmem_shelf_get(shelf, "kept-1", &object))
			return 1;
		hmem_shelf_release(shelf, &object);
	}
	closed = hmem_shelf_close(shelf);
	if (!err && closed)
		return 1;
	victim = whom;
	return judged(err);
}

static int fill_or_edit(bool fill)
{
	struct hmem_object object = { 0 };
	struct hmem_shelf *shelf;
	const char *whom;
	int err, closed;
	void *data;

	fresh_shelf();
	whom = hold();
	if (hmem_shelf_open(region, "s", NULL, &shelf) ||
	    hmem_shelf_put(shelf, "x", "old", 3, NULL))
		tap_bail("%s", hmem_last_error(ctx));
	victim = whom;
	if (fill) {
		err = hmem_shelf_reserve(shelf, "x", sizeof(value), NULL, &data);
		if (!err)
			memset(data, 'x', sizeof(value));
		if (!err)
			err = hmem_shelf_publish(shelf, data, 0);
	} else {
		err = hmem_shelf_edit(shelf, "x", &object);
		if (!err)
			memset(object.data, 'x', 3);
		if (!err)
			err = hmem_shelf_persist(shelf, &object, 0, 3);
		hmem_shelf_release(shelf, &object);
	}
	whom = hold();
	if (err == -EIO && (hmem_shelf_put(shelf, "y", "1", 1, NULL) != -EROFS ||
			    hmem_shelf_reserve(shelf, "y", 1, NULL, &data) != -EROFS ||
			    hmem_shelf_edit(shelf, "x", &object) != -EROFS))
		return 1;
	closed = hmem_shelf_close(shelf);
	if (!err && closed)
		return 1;
	victim = whom;
	return judged(err);
}

static int fill_it(void)
{
	return fill_or_edit(true);
}

static int edit_it(void)
{
	return fill_or_edit(false);
}

static int put_small(void)
{
	return put_or_delete(true, 10);
}

static int put_large(void)
{
	return put_or_delete(true, sizeof(value));
}

static int delete_one(void)
{
	return put_or_delete(false, 0);
}

static int grow_it(void)
{
	struct hmem_shelf *shelf;
	const char *whom;
	int err, closed, put;

	fresh_shelf();
	whom = hold();
	if (hmem_shelf_open(region, "s", NULL, &shelf))
		tap_bail("%s", hmem_last_error(ctx));
	victim = whom;
	err = hmem_shelf_grow(shelf, 6 * MI);
	whom = hold();
	/*
	 * It can be used, and what is put on it stays; after a failed msync not before it has been
	 * opened again.
	 */
	put = hmem_shelf_put(shelf, "x", value, sizeof(value), NULL);
	if (put ? put != -EIO || err != -EIO : err && hmem_shelf_grow(shelf, 6 * MI))
		return 1;
	closed = hmem_shelf_close(shelf);
	victim = whom;
	return closed && !put ? 1 : judged(err);
}

static int close_it(void)
{
	struct hmem_shelf *shelf;
	const char *whom;
	int err;

	fresh_shelf();
	whom = hold();
	if (hmem_shelf_open(region, "s", NULL, &shelf) ||
	    hmem_shelf_put(shelf, "x", "1", 1, NULL) || hmem_shelf_delete(shelf, "x"))
		tap_bail("%s", hmem_last_error(ctx));
	victim = whom;
	err = hmem_shelf_close(shelf);
	return judged(err);
}

/* From the k-th on every msync fails, not only that one. */
static void sticky(const char *what, int (*operation)(void), int calls)
{
	bool good = true;

	for (int k = 1; k <= calls; k++) {
		int err;

		victim = "msync";
		injected = EIO;
		hit = false;
		stay = true;
		countdown = k;
		err = operation();
		victim = NULL;
		stay = false;
		good = good && hit && err == -EIO;
	}
	TAP_OK(good, "%s: msync fails, from each of %d calls on", what, calls);
}

int main(void)
{
	static const struct {
		const char *what;
		int (*operation)(void);
	} all[] = {
		{ "creating", create },	   { "opening", open_clean },
		{ "putting", put_small },  { "putting much", put_large },
		{ "deleting", delete_one }, { "closing", close_it },
		{ "growing", grow_it },	   { "filling in place", fill_it },
		{ "changing in place", edit_it },
	};
	struct statfs fs;

	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	if (!statfs(scratch(), &fs) && fs.f_type == 0x01021994)
		tap_skip_all("the scratch directory is on tmpfs, where nothing is synced");
	fresh_region();
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int calls = inject(all[i].what, all[i].operation, "msync", EIO, 0);

		sticky(all[i].what, all[i].operation, calls);
	}
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (i >= 2 && all[i].operation != grow_it)
			continue;
		inject(all[i].what, all[i].operation, "alloc", ENOMEM, 0);
		inject(all[i].what, all[i].operation, "mmap", ENOMEM, 0);
		/* Without a machine-id it goes on. Growing opens nothing. */
		if (i < 2)
			inject(all[i].what, all[i].operation, "open", EMFILE, SOME_HARMLESS);
		inject(all[i].what, all[i].operation, "fstat", EIO, 0);
	}
	TAP_EQ(inherited, 0, "no descriptor is inherited across exec");
	hmem_region_close(region);
	hmem_ctx_unref(ctx);
	return tap_done();
}
