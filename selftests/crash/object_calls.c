// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls on objects, and what they should do. Compiled for the traced copy of the library.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "call_table.h"
#include "tsan.h"

/* --- put, delete --------------------------------------------------------------------- */

/* Those that steps have, 0 being none. */
static const struct blob *type_of_step(const struct step *step)
{
	return step->type ? blob_pattern(9000 + step->type, 5 * step->type) : NULL;
}

void options_of(const struct step *step, struct hmem_put_options *options)
{
	const struct blob *type = type_of_step(step);

	options->align = step->align;
	options->type = type ? type->data : NULL;
	options->type_bytes = type ? type->bytes : 0;
}

int run_put(struct hmem_shelf *shelf, const struct step *step)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	const struct blob *value = blob_pattern(step->seed, step->bytes);

	options.flags = step->flags;
	options_of(step, &options);
	return hmem_shelf_put(shelf, name_of(step->name), value->data, value->bytes, &options);
}

int model_put(struct contents *contents, const struct step *step)
{
	struct object object = {
		.value = blob_pattern(step->seed, step->bytes),
		.type = type_of_step(step),
		.align = step->align ? step->align : 16,
	};

	if (step->flags & HMEM_PUT_CREATE && contents_find(contents, name_of(step->name)))
		return -EEXIST;
	if (step->flags & HMEM_PUT_REPLACE && !contents_find(contents, name_of(step->name)))
		return -ENOENT;
	contents_set(contents, name_of(step->name), &object);
	return 0;
}

int run_delete(struct hmem_shelf *shelf, const struct step *step)
{
	return hmem_shelf_delete(shelf, name_of(step->name));
}

int model_delete(struct contents *contents, const struct step *step)
{
	if (!contents_find(contents, name_of(step->name)))
		return -ENOENT;
	contents_remove(contents, name_of(step->name));
	return 0;
}

/* --- filled in place ------------------------------------------------------------------- */

static int reserve(struct hmem_shelf *shelf, const struct step *step, void **data)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	const struct blob *value = blob_pattern(step->seed, step->bytes);
	int err;

	options_of(step, &options);
	err = hmem_shelf_reserve(shelf, name_of(step->name), value->bytes, &options, data);
	if (!err)
		hmem_trace_memcpy(*data, value->data, value->bytes);
	return err;
}

int run_publish(struct hmem_shelf *shelf, const struct step *step)
{
	void *data;
	int err = reserve(shelf, step, &data);

	if (err)
		return err;
	err = hmem_shelf_publish(shelf, data, step->flags);
	return err && hmem_shelf_cancel(shelf, data) ? -EUCLEAN : err;
}

/* Filled past the caches, in two pieces of which both end within a line. */
int run_copy(struct hmem_shelf *shelf, const struct step *step)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	const struct blob *value = blob_pattern(step->seed, step->bytes);
	size_t half = value->bytes / 2;
	void *data;
	int err;

	options_of(step, &options);
	err = hmem_shelf_reserve(shelf, name_of(step->name), value->bytes, &options, &data);
	if (err)
		return err;
	err = hmem_shelf_copy(shelf, data, value->data, half);
	if (!err)
		err = hmem_shelf_copy(shelf, (char *)data + half, value->data + half,
				      value->bytes - half);
	if (!err)
		err = hmem_shelf_publish(shelf, data, step->flags | HMEM_PUT_COPIED);
	return err && hmem_shelf_cancel(shelf, data) ? -EUCLEAN : err;
}

int run_cancel(struct hmem_shelf *shelf, const struct step *step)
{
	void *data;
	int err = reserve(shelf, step, &data);

	return err ? err : hmem_shelf_cancel(shelf, data);
}

int model_nothing(struct contents *contents, const struct step *step)
{
	(void)contents;
	(void)step;
	return 0;
}

/* --- other names ---------------------------------------------------------------------- */

int run_rename(struct hmem_shelf *shelf, const struct step *step)
{
	return hmem_shelf_rename(shelf, name_of(step->name), name_of(step->other), step->flags);
}

int model_rename(struct contents *contents, const struct step *step)
{
	const char *from = name_of(step->name), *to = name_of(step->other);
	struct object object;

	if (!contents_find(contents, from))
		return -ENOENT;
	if (step->flags & HMEM_PUT_CREATE && contents_find(contents, to))
		return -EEXIST;
	if (step->flags & HMEM_PUT_REPLACE && !contents_find(contents, to))
		return -ENOENT;
	if (step->name == step->other)
		return 0;
	object = *contents_find(contents, from);
	contents_set(contents, to, &object);
	contents_remove(contents, from);
	return 0;
}

int run_swap(struct hmem_shelf *shelf, const struct step *step)
{
	return hmem_shelf_swap(shelf, name_of(step->name), name_of(step->other));
}

int model_swap(struct contents *contents, const struct step *step)
{
	const char *a = name_of(step->name), *b = name_of(step->other);
	struct object first, second;

	if (!contents_find(contents, a) || !contents_find(contents, b))
		return -ENOENT;
	first = *contents_find(contents, a);
	second = *contents_find(contents, b);
	contents_set(contents, a, &second);
	contents_set(contents, b, &first);
	return 0;
}

/* --- grow ---------------------------------------------------------------------------- */

/* To how much, in units: that it was not there before is not the model's to know. */
int run_grow(struct hmem_shelf *shelf, const struct step *step)
{
	return hmem_shelf_grow(shelf, (uint64_t)step->bytes * MACHINE_UNIT);
}

/* --- imported -------------------------------------------------------------------------- */

/* A stream in memory. */
static struct {
	unsigned char bytes[4 * MACHINE_BYTES];
	size_t written;
	size_t read;
} stream;

static int stream_write(void *arg, const void *data, size_t bytes)
{
	(void)arg;
	if (bytes > sizeof(stream.bytes) - stream.written)
		return -EFBIG;
	memcpy(stream.bytes + stream.written, data, bytes);
	stream.written += bytes;
	return 0;
}

static long stream_read(void *arg, void *data, size_t bytes)
{
	(void)arg;
	if (bytes > stream.written - stream.read)
		bytes = stream.written - stream.read;
	memcpy(data, stream.bytes + stream.read, bytes);
	stream.read += bytes;
	return (long)bytes;
}

/* All that there is replaces itself: whichever of it has been imported, it is the same. */
int run_import(struct hmem_shelf *shelf, const struct step *step)
{
	struct hmem_export_result result = { .size = sizeof(result) };
	struct hmem_import *import;
	int err;

	(void)step;
	stream.written = 0;
	stream.read = 0;
	err = hmem_shelf_export(shelf, NULL, stream_write, NULL, &result);
	/* Nobody changes anything meanwhile. */
	if (!err && result.fuzzy)
		err = -EUCLEAN;
	if (!err)
		err = hmem_import_open(machine_traced.ctx, stream_read, NULL, &import);
	if (err)
		return err;
	err = hmem_import_run(import, shelf, HMEM_IMPORT_REPLACE, NULL, NULL, NULL);
	hmem_import_close(import);
	return err;
}

/* --- changed in place ------------------------------------------------------------------ */

/* One aligned word of it, which is all that is atomic. */
size_t word_of(size_t bytes)
{
	return bytes < 8 ? bytes : 8;
}

int run_edit(struct hmem_shelf *shelf, const struct step *step)
{
	struct hmem_object object;
	int err = hmem_shelf_edit(shelf, name_of(step->name), &object);

	if (err)
		return err;
	hmem_trace_memcpy(object.data, blob_pattern(step->seed, 8)->data, word_of(object.bytes));
	err = hmem_shelf_persist(shelf, &object, 0, word_of(object.bytes));
	hmem_shelf_release(shelf, &object);
	return err;
}

int model_edit(struct contents *contents, const struct step *step)
{
	struct object *object = contents_find(contents, name_of(step->name));
	unsigned char *value;

	if (!object)
		return -ENOENT;
	value = malloc(object->value->bytes + 1);
	if (!value)
		abort();
	memcpy(value, object->value->data, object->value->bytes);
	memcpy(value, blob_pattern(step->seed, 8)->data, word_of(object->value->bytes));
	object->value = blob_get(value, object->value->bytes);
	free(value);
	return 0;
}
