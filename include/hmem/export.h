/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shelves as streams: to be kept elsewhere, and brought back, on any medium and any host.
 *
 * A stream holds the objects of a shelf as they were at one instant, with a checksum on every
 * part of it, and a directory of all of them at its beginning. Documentation/export.md is its
 * format.
 *
 * All functions set hmem_last_error() of the shelf's context, or of the one they were given.
 */
#ifndef HMEM_EXPORT_H
#define HMEM_EXPORT_H

#include <hmem/shelf.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct hmem_export_options - what to tell of an export
 * @size: sizeof(struct hmem_export_options)
 * @fuzzy: told the name of each object that was changed in place meanwhile, or NULL
 * @fuzzy_arg: its first argument
 *
 * Initialise with HMEM_EXPORT_OPTIONS_INIT.
 */
struct hmem_export_options {
	size_t size;
	void (*fuzzy)(void *arg, const char *name);
	void *fuzzy_arg;
};
#define HMEM_EXPORT_OPTIONS_INIT { sizeof(struct hmem_export_options), NULL, NULL }

/**
 * struct hmem_export_result - what went into a stream, or came out of one
 * @size: sizeof(struct hmem_export_result), set by the caller
 * @objects: whole and checked
 * @failed: import: those that were not imported
 * @fuzzy: of @objects, those that were changed in place while they were exported
 * @bytes: of their values
 */
struct hmem_export_result {
	size_t size;
	uint64_t objects;
	uint64_t failed;
	uint64_t fuzzy;
	uint64_t bytes;
};

/**
 * hmem_shelf_export - write all objects of a shelf to a stream
 * @options: NULL for none
 * @write: takes @bytes of the stream, all of them; returns 0 or a negative errno, which
 *	ends the export. May take as long as it likes, and use the shelf.
 * @arg: its first argument
 * @result: written on success, or NULL
 *
 * The stream has the objects that were there at one instant during the call: every update
 * that had returned before the call is in it, none that began after the instant is, and if one
 * update returned before another began and the second is in it, so is the first. Others go on;
 * their updates wait while the index is copied, some milliseconds for a million objects. Until
 * the call returns, nothing that they replace or delete is freed, and -ENOSPC names the exporter.
 *
 * All values are read once right after the instant, and once more when they are written: one
 * that is not the same then is marked fuzzy. Transactions that write to objects
 * (hmem_tx_write()) change them where they are: their commits, and other exports, wait until all
 * values have been read once, as long as that takes; what they change after that is marked. What is
 * stored through the pointers of objects, also in ranges that a transaction has added
 * (hmem_tx_add()), is no update, and belongs to no instant.
 *
 * On a read-only handle nothing can be held: it works while nobody has the shelf open for
 * writing. Cost: no fence; memory of some 70 bytes and the length of its name for each object.
 *
 * Return: 0; what @write returned; -EINVAL, -EBUSY (read-only, and somebody writes; somebody who
 * commits a transaction does not go on; or as hmem_shelf_put()), -E2BIG (the options say what this
 * library does not know), -EMFILE, -EUSERS, -EIO, -ENOMEM, -ECHILD, -EUCLEAN.
 */
HMEM_API int hmem_shelf_export(struct hmem_shelf *shelf, const struct hmem_export_options *options,
			       int (*write)(void *arg, const void *data, size_t bytes), void *arg,
			       struct hmem_export_result *result);

struct hmem_import;

/**
 * hmem_import_open - begin to read a stream
 * @read: puts up to @bytes of the stream where @data points; returns how many, 0 at its end,
 *	or a negative errno, which ends the import
 * @arg: its first argument
 * @import: where to put the handle; written only on success; for one thread at a time
 *
 * Reads its beginning and the directory, all of which is kept in memory.
 *
 * Return: 0; what @read returned; -EBADMSG (no such stream, or a damaged directory),
 * -ENODATA (ends too early), -EPROTONOSUPPORT (of a newer version), -EINVAL, -ENOMEM.
 */
HMEM_API int hmem_import_open(struct hmem_ctx *ctx,
			      long (*read)(void *arg, void *data, size_t bytes), void *arg,
			      struct hmem_import **import);

/**
 * struct hmem_import_info - what a stream says of itself
 * @size: sizeof(struct hmem_import_info), set by the caller
 * @ordered: 1 when the shelf was listed in the order of names
 * @objects: in it
 * @bytes: of their values
 * @heap_bytes: size of a shelf that has room for them
 * @name: of the shelf
 * @uuid: of the shelf
 */
struct hmem_import_info {
	size_t size;
	int ordered;
	uint64_t objects;
	uint64_t bytes;
	uint64_t heap_bytes;
	char name[HMEM_SHELF_NAME_MAX + 1];
	uint8_t uuid[16];
};

/** hmem_import_get_info - what a stream says of itself. Return: 0, -EINVAL. */
HMEM_API int hmem_import_get_info(struct hmem_import *import, struct hmem_import_info *info);

#define HMEM_IMPORT_REPLACE	(1u << 0)	/* objects that are there already are replaced */

/**
 * struct hmem_imported - what became of an object of a stream
 * @size: sizeof(struct hmem_imported), set by the library
 * @name: its name, until the callback returns
 * @bytes: length of its value
 * @fuzzy: 1 when it was changed in place while it was exported; 0 when it was not imported
 * @error: 0: it is on the shelf; -EBADMSG: its part of the stream is damaged; -ENODATA: the
 *	stream ends before; or what hmem_shelf_put() returned
 */
struct hmem_imported {
	size_t size;
	const char *name;
	size_t bytes;
	int fuzzy;
	int error;
};

/**
 * hmem_import_run - put the objects of a stream on a shelf
 * @flags: HMEM_IMPORT_REPLACE or 0
 * @told: told what became of each object, in the order of the stream; NULL: nobody. Must
 *	not use @import. Anything but 0 ends it: what is left is not told.
 * @told_arg: its first argument
 * @result: written also when it fails, or NULL
 *
 * Once for each import. Each object is put as by hmem_shelf_put(), with its alignment and type, when
 * all of it has been read and its checksums hold: whole or not at all. One that is there already
 * stays what it is, without HMEM_IMPORT_REPLACE. What is damaged or does not fit does not keep
 * those behind it from being imported. When it ends, every object of the directory has been told of.
 *
 * Return: 0 when all of them are on the shelf; what became of the first that is not (-EEXIST,
 * -EBADMSG, -ENODATA, -ENOSPC, ...); what @told or @read returned; -EINVAL, -ENOMEM.
 */
HMEM_API int hmem_import_run(struct hmem_import *import, struct hmem_shelf *shelf, unsigned int flags,
			     int (*told)(void *arg, const struct hmem_imported *imported),
			     void *told_arg, struct hmem_export_result *result);

/** hmem_import_close - end it; NULL is legal */
HMEM_API void hmem_import_close(struct hmem_import *import);

#ifdef __cplusplus
}
#endif
#endif
