// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls on whole shelves, and those that change nothing. Compiled for the traced copy of the
 * library.
 */
#include <errno.h>
#include <string.h>

#include "call_table.h"
#include "holds.h"
#include "layout.h"
#include "machine.h"
#include "recovered.h"

/* --- whole shelves -------------------------------------------------------------------- */

int traced_create(struct hmem_shelf **shelf, unsigned int flags)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	/* What describes it takes one unit. */
	options.bytes = LAYOUT_HEAP_BYTES + (flags & HMEM_SHELF_GROSS ? MACHINE_UNIT : 0);
	options.max_bytes = 4 * MACHINE_UNIT;
	options.slots = 4;
	options.flags = flags;
	return hmem_shelf_create(machine_traced.region, SHELF_NAME, &options, shelf);
}

int traced_destroy(void)
{
	return hmem_shelf_destroy(machine_traced.region, SHELF_NAME);
}

int traced_open(struct hmem_shelf **shelf, unsigned int flags)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	options.flags = flags;
	return hmem_shelf_open(machine_traced.region, SHELF_NAME, &options, shelf);
}

int traced_close(struct hmem_shelf *shelf)
{
	return hmem_shelf_close(shelf);
}

int traced_create_beside(struct hmem_shelf **shelf)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	options.bytes = MACHINE_UNIT;
	options.max_bytes = MACHINE_UNIT;
	options.slots = 4;
	return hmem_shelf_create(machine_traced.region, SHELF_BESIDE, &options, shelf);
}

int traced_destroy_beside(void)
{
	return hmem_shelf_destroy(machine_traced.region, SHELF_BESIDE);
}

const char *traced_error(void)
{
	return hmem_last_error(machine_traced.ctx);
}

/* --- looking -------------------------------------------------------------------------- */

static int count_shelf(void *arg, const struct hmem_shelf_info *info)
{
	unsigned int *nr = arg;

	(void)info;
	++*nr;
	return 0;
}

static int count_finding(void *arg, const struct hmem_shelf_finding *finding)
{
	unsigned int *nr = arg;

	(void)finding;
	++*nr;
	return 0;
}

/* By its name, by its handle, and a copy. */
static int look_at(struct hmem_shelf *shelf, const char *name)
{
	static unsigned char copy[MACHINE_BYTES];
	struct hmem_object object, same = { .data = NULL };
	struct hmem_handle handle;
	size_t bytes;
	int err = hmem_shelf_get(shelf, name, &object);

	if (err)
		return err;
	err = hmem_shelf_handle(shelf, &object, &handle);
	if (!err)
		err = hmem_shelf_get_handle(shelf, &handle, &same);
	if (!err) {
		err = same.data == object.data ? 0 : -EUCLEAN;
		hmem_shelf_release(shelf, &same);
	}
	if (!err)
		err = hmem_shelf_read(shelf, name, copy, sizeof(copy), &bytes);
	if (!err && (bytes != object.bytes || memcmp(copy, object.data, bytes) != 0))
		err = -EUCLEAN;
	hmem_shelf_release(shelf, &object);
	return err;
}

static int look_at_both(struct hmem_shelf *shelf, const char *name, const char *other)
{
	const char *const names[] = { name, other };
	struct hmem_object objects[2];
	int err = hmem_shelf_get_many(shelf, names, 2, objects);

	for (unsigned int i = 0; i < 2 && !err; i++)
		hmem_shelf_release(shelf, &objects[i]);
	return err;
}

static int list(struct hmem_shelf *shelf, uint64_t *nr)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	struct hmem_cursor *cursor;
	int got = hmem_cursor_open(shelf, NULL, 0, &cursor);

	if (got)
		return got;
	*nr = 0;
	while ((got = hmem_cursor_next(cursor, &entry)) > 0)
		++*nr;
	hmem_cursor_close(cursor);
	return got;
}

/* That some of it is not there is no fault. */
static int found(int err)
{
	return err == -ENOENT ? 0 : err;
}

int run_look(struct hmem_shelf *shelf, const struct step *step)
{
	const char *name = name_of(step->name), *other = name_of(step->other);
	struct hmem_shelf_info info = { .size = sizeof(info) };
	unsigned int shelves = 0, findings = 0;
	uint64_t listed = 0;
	int err = hmem_shelf_get_info(shelf, &info);

	if (!err)
		err = hmem_shelf_iterate(machine_traced.region, count_shelf, &shelves);
	if (!err)
		err = found(look_at(shelf, name));
	if (!err)
		err = found(look_at_both(shelf, name, other));
	if (!err)
		err = list(shelf, &listed);
	if (!err)
		err = hmem_shelf_check(shelf, count_finding, &findings);
	if (!err && (!shelves || findings || listed != info.objects))
		err = -EUCLEAN;
	return err;
}

/* --- what there is ---------------------------------------------------------------------- */

bool traced_holds(struct hmem_shelf *shelf, const struct contents *contents)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	if (!contents->exists || hmem_shelf_get_info(shelf, &info) || info.objects != contents->nr)
		return false;
	for (unsigned int i = 0; i < contents->nr; i++)
		if (!holds(shelf, &contents->objects[i]))
			return false;
	return true;
}
