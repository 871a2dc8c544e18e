// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults (shelf_faults.h) under transactions, exports and imports: all of a transaction is there,
 * or nothing. And what hmem_sigbus_install() does when it cannot. hmem-test: timeout=300
 */
#include <signal.h>

#include "shelf_faults.h"

/* More than one block of a transaction holds. */
#define MANY 40

OVERRIDE int sigaction(int number, const struct sigaction *new, struct sigaction *old)
{
	REAL(int, "sigaction", int, const struct sigaction *, struct sigaction *);
	return fails("sigaction") ? -1 : real(number, new, old);
}

/* --- transactions ---------------------------------------------------------------------- */

/* Whatever fails in it first is what is told. */
static int ends(struct hmem_tx *tx, int err)
{
	if (!err)
		return hmem_tx_commit(tx);
	hmem_tx_abort(tx);
	return err;
}

static int tx_put_two(void)
{
	struct hmem_tx *tx;
	int err = hmem_tx_begin(shelf, &tx);

	if (err)
		return err;
	err = hmem_tx_put(tx, "x", "new", 3, NULL);
	if (!err)
		err = hmem_tx_put(tx, "y", large, sizeof(large), NULL);
	return ends(tx, err);
}

static int tx_delete_and_put(void)
{
	struct hmem_tx *tx;
	int err = hmem_tx_begin(shelf, &tx);

	if (err)
		return err;
	err = hmem_tx_delete(tx, "x");
	if (!err)
		err = hmem_tx_put(tx, "y", "new", 3, NULL);
	return ends(tx, err);
}

static int tx_put_many(void)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	struct hmem_tx *tx;
	char name[16] = "";
	int err = hmem_tx_begin(shelf, &tx);

	if (err)
		return err;
	options.type = "of a kind";
	options.type_bytes = 9;
	for (unsigned int i = 0; i < MANY && !err; i++) {
		snprintf(name, sizeof(name), "many-%u", i);
		err = hmem_tx_put(tx, name, name, sizeof(name), i % 2 ? &options : NULL);
	}
	return ends(tx, err);
}

/* @also: a name that is put as well */
static int add_and(const char *also, bool commit)
{
	struct hmem_object object;
	struct hmem_range ranges[2];
	struct hmem_tx *tx;
	int err = hmem_tx_begin(shelf, &tx);

	if (err)
		return err;
	err = hmem_shelf_edit(shelf, "x", &object);
	if (err)
		return ends(tx, err);
	ranges[0] = (struct hmem_range){ &object, 0, 2 };
	ranges[1] = (struct hmem_range){ &object, 1, 2 };
	err = hmem_tx_add(tx, ranges, 2);
	if (!err)
		memcpy(object.data, "new", 3);
	hmem_shelf_release(shelf, &object);
	if (!err && also)
		err = hmem_tx_put(tx, also, "new", 3, NULL);
	return err || commit ? ends(tx, err) : hmem_tx_abort(tx);
}

static int tx_add(void)
{
	return add_and(NULL, true);
}

static int tx_add_and_put(void)
{
	return add_and("y", true);
}

/* What was changed in place is replaced as well. */
static int tx_add_and_replace(void)
{
	return add_and("x", true);
}

static int tx_abort(void)
{
	return add_and("y", false);
}

/* Written when it is committed. */
static int tx_write(void)
{
	struct hmem_object object;
	struct hmem_tx *tx;
	int err = hmem_tx_begin(shelf, &tx);

	if (err)
		return err;
	err = hmem_shelf_get(shelf, "x", &object);
	if (err)
		return ends(tx, err);
	err = hmem_tx_write(tx, &object, 0, "ne", 2);
	if (!err)
		err = hmem_tx_write(tx, &object, 2, "w", 1);
	hmem_shelf_release(shelf, &object);
	if (!err)
		err = hmem_tx_put(tx, "y", "new", 3, NULL);
	return ends(tx, err);
}

static int rename_x(void)
{
	return hmem_shelf_rename(shelf, "x", "y", 0);
}

static void opened_with_y(bool ordered)
{
	opened(ordered);
	need(hmem_shelf_put(shelf, "y", "new", 3, NULL), "an object");
}

/* Unless they have been: twice is not once. */
static int swap(void)
{
	return has("x", "new", 3) ? 0 : hmem_shelf_swap(shelf, "x", "y");
}

/* The handle is closed over it. */
static int close_over_tx(void)
{
	struct hmem_tx *tx;
	int err = hmem_tx_begin(shelf, &tx), failed;

	if (!err)
		err = hmem_tx_put(tx, "y", "new", 3, NULL);
	failed = close_it();
	return err ? err : failed;
}

/* --- streams --------------------------------------------------------------------------- */

static struct stream {
	unsigned char data[1u << 19];
	size_t bytes;
	size_t read;
} stream;

static int nowhere(void *arg, const void *data, size_t bytes)
{
	(void)arg;
	(void)data;
	(void)bytes;
	return 0;
}

static int to_memory(void *arg, const void *data, size_t bytes)
{
	(void)arg;
	if (bytes > sizeof(stream.data) - stream.bytes)
		return -ENOSPC;
	memcpy(stream.data + stream.bytes, data, bytes);
	stream.bytes += bytes;
	return 0;
}

static long from_memory(void *arg, void *data, size_t bytes)
{
	size_t left = stream.bytes - stream.read;

	(void)arg;
	if (bytes > left)
		bytes = left;
	memcpy(data, stream.data + stream.read, bytes);
	stream.read += bytes;
	return (long)bytes;
}

static void make_stream(void)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;

	opened(false);
	options.type = "of a kind";
	options.type_bytes = 9;
	need(hmem_shelf_put(shelf, "x", "new", 3, &options), "an object");
	need(hmem_shelf_put(shelf, "y", large, sizeof(large), NULL), "an object");
	for (unsigned int i = 0; i < KEPT; i++)
		need(hmem_shelf_delete(shelf, kept_name(i)), "deleting");
	need(hmem_shelf_export(shelf, NULL, to_memory, NULL, NULL), "exporting");
	need(close_it(), "closing");
}

static int export(void)
{
	return hmem_shelf_export(shelf, NULL, nowhere, NULL, NULL);
}

static int import(void)
{
	struct hmem_import *handle;
	int err;

	stream.read = 0;
	err = hmem_import_open(ctx, from_memory, NULL, &handle);
	if (err)
		return err;
	err = hmem_import_run(handle, shelf, HMEM_IMPORT_REPLACE, NULL, NULL, NULL);
	hmem_import_close(handle);
	return err;
}

/* --- what has to hold ------------------------------------------------------------------ */

/* All that a transaction was to do; or, when that was not acknowledged, nothing. */
static bool all_or_nothing(bool done, bool all)
{
	return all || (!done && x_stays(true));
}

static bool two_are_put(bool done)
{
	return all_or_nothing(done, has("x", "new", 3) && has("y", large, sizeof(large)));
}

static bool y_is_for_x(bool done)
{
	return all_or_nothing(done, lacks("x") && has("y", "new", 3));
}

static bool x_and_y_are_new(bool done)
{
	return all_or_nothing(done, has("x", "new", 3) && has("y", "new", 3));
}

static bool y_is_old_x(bool done)
{
	return all_or_nothing(done, lacks("x") && has("y", "old", 3));
}

static bool are_swapped(bool done)
{
	return (has("x", "new", 3) && has("y", "old", 3)) ||
	       (!done && has("x", "old", 3) && has("y", "new", 3));
}

static bool only_x_is_new(bool done)
{
	return all_or_nothing(done, has("x", "new", 3) && lacks("y"));
}

static bool many_are_put(bool done)
{
	unsigned int there = 0;
	char name[16] = "";

	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "many-%u", i);
		if (lacks(name))
			continue;
		if (!has(name, name, sizeof(name)))
			return false;
		there++;
	}
	return x_stays(true) && (there == MANY || (!done && !there));
}

/* Each for itself. */
static bool are_imported(bool done)
{
	return (has("x", "new", 3) || (!done && has("x", "old", 3))) &&
	       (has("y", large, sizeof(large)) || (!done && lacks("y")));
}

static const struct call calls[] = {
	{ "a transaction of two", opened, tx_put_two, two_are_put, OPEN, false },
	{ "one that deletes", opened, tx_delete_and_put, y_is_for_x, OPEN, false },
	{ "one of many, with a type", opened, tx_put_many, many_are_put, OPEN, false },
	{ "one that changes in place", opened, tx_add, only_x_is_new, OPEN, false },
	{ "one that also puts", opened, tx_add_and_put, x_and_y_are_new, OPEN, false },
	{ "one that replaces what it changes", opened, tx_add_and_replace, only_x_is_new, OPEN,
	  false },
	{ "one that writes", opened, tx_write, x_and_y_are_new, OPEN, false },
	{ "one that is given up", opened, tx_abort, x_stays, OPEN, false },
	{ "one that is closed over", opened, close_over_tx, x_stays, OPEN, true },
	{ "renaming", opened, rename_x, y_is_old_x, OPEN, false },
	{ "swapping", opened_with_y, swap, are_swapped, OPEN, false },
	{ "exporting", opened, export, x_stays, OPEN, false },
	{ "importing", opened, import, are_imported, OPEN, false },
};

static void install(void)
{
	int k = 0, err = 0;

	do {
		countdown = ++k;
		injected = EINVAL;
		hit = false;
		victim = "sigaction";
		err = hmem_sigbus_install();
		victim = NULL;
	} while (hit && err == -EINVAL);
	TAP_OK(!hit && !err && k > 2, "installing a handler: %d calls of sigaction fail in turn", k - 1);
}

int main(void)
{
	faults_begin();
	make_stream();
	fail_all(calls, sizeof(calls) / sizeof(calls[0]));
	install();
	/* And with each call guarded by it. */
	fail_all(calls, 1);
	faults_end();
	return tap_done();
}
