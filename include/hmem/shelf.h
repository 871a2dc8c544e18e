/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shelves: collections of named objects in a region, used in place, that survive the loss
 * of power and the death of any process at any instant.
 *
 *	hmem_shelf_create(region, "people", &options, &shelf);
 *	hmem_shelf_put(shelf, "ada", data, bytes, NULL);
 *	hmem_shelf_get(shelf, "ada", &object);		no copy: object.data
 *	hmem_shelf_release(shelf, &object);
 *	hmem_shelf_close(shelf);
 *
 * Durability: when a call that changes something returns 0 it is durable, on a region that
 * is persistent (hmem_shelf_get_info() says what was obtained). A call that the power cut
 * or a kill interrupts has happened whole or not at all. No reader sees what the loss of
 * power could still undo. The cost of a call is given in fences: waits for the media.
 *
 * Names of objects: 1 to HMEM_OBJECT_NAME_MAX bytes other than NUL.
 *
 * Threads and processes: any number of threads of any number of processes on one host
 * may use a shelf at once, each process through a handle of its own; a handle may be used
 * by all threads of its process. Readers never wait. Two updates of one name follow one
 * another; one that finds the other's owner alive and stopped fails with -EBUSY after
 * wait_ms (also one who waits for his media, by msync(2), for longer than that), one that finds
 * him dead finishes or undoes what he had begun and goes on. Each
 * thread that uses a shelf takes one of its slots, until it ends: -EUSERS when there are
 * none left. No function is async-signal-safe.
 *
 * A stopped process is alive: if it holds a lock that is not a name's, such as that of the
 * list of retired blocks or of large ones, updates of other names may get -EBUSY as well,
 * each after wait_ms, until it goes on or dies. Reading goes on.
 *
 * After fork(2) the child gets -ECHILD until it opens the shelf for itself. Children made
 * past the C library, by _Fork(3) or a clone(2) of one's own, get that too unless they
 * share the parent's memory; but they keep its locks: until they end or execute another
 * program, a parent that dies looks alive to others, who get -EBUSY.
 *
 * Two hosts must not have a shelf open at once. One that another host, or another
 * boot, seems to have open is -EBUSY.
 *
 * All functions set hmem_last_error() of the region's context.
 */
#ifndef HMEM_SHELF_H
#define HMEM_SHELF_H

#include <stddef.h>
#include <stdint.h>

#include <hmem/context.h>
#include <hmem/region.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hmem_shelf;

/** Longest name of a shelf, in bytes, without the final NUL. */
#define HMEM_SHELF_NAME_MAX 63
/** Longest name of an object. */
#define HMEM_OBJECT_NAME_MAX 1023
/** Longest type descriptor. */
#define HMEM_TYPE_MAX 256
/** Largest alignment of an object. */
#define HMEM_ALIGN_MAX ((size_t)2 << 20)

/* For hmem_shelf_create() and hmem_shelf_open() */
#define HMEM_SHELF_READ_ONLY	(1u << 0)	/* open: nothing is written, not even pins */
#define HMEM_SHELF_EXCLUSIVE	(1u << 1)	/* open: -EBUSY unless alone, and nobody else after */
#define HMEM_SHELF_ORDERED	(1u << 2)	/* create: listed in the order of names */
#define HMEM_SHELF_TAKE_OVER	(1u << 3)	/* open: another host that had it open is gone */
#define HMEM_SHELF_REPAIR	(1u << 4)	/* open: recover it, and give up what is damaged */
#define HMEM_SHELF_FLUSH	(1u << 5)	/* flush caches on volatile memory too: for measuring */
#define HMEM_SHELF_GROSS	(1u << 6)	/* create: bytes is all that it takes of the region */

/**
 * struct hmem_shelf_finding - something on a shelf that should not be so
 * @size: sizeof(struct hmem_shelf_finding), set by the library
 * @part: what it is in: "table", "superblock", "frontier", "ceiling", "record", "index",
 *	"heap", "limbo", "slot", "count", or one that a later version adds
 * @offset: where, from the beginning of the shelf
 * @name: the object that it is about, or NULL
 * @text: what is wrong, a sentence
 *
 * Strings are valid until the callback returns.
 */
struct hmem_shelf_finding {
	size_t size;
	const char *part;
	uint64_t offset;
	const char *name;
	const char *text;
};

/**
 * struct hmem_shelf_options - how to create or open a shelf
 * @size: sizeof(struct hmem_shelf_options)
 * @flags: HMEM_SHELF_*
 * @bytes: create: size of its heap, rounded up to what the region is divided into
 * @max_bytes: create: what it may grow to, and what every process reserves of its address
 *	space; 0: 64 times @bytes, at least 16 GiB
 * @slots: create: threads that may use it at once, 1 to 1023; 0: 64
 * @wait_ms: how long to wait for a live process that holds a lock, is opening, growing or
 *	closing the shelf, or undoes what a dead one was doing, then -EBUSY; 0: 10000
 * @found: open: told of each damaged record that recovery comes to, which HMEM_SHELF_REPAIR
 *	gives up, and of all else that is lost by that; NULL: nobody. It must not use the
 *	shelf, and what it returns is ignored.
 * @found_arg: its first argument
 *
 * Initialise with HMEM_SHELF_OPTIONS_INIT.
 */
struct hmem_shelf_options {
	size_t size;
	unsigned int flags;
	unsigned int slots;
	unsigned int wait_ms;
	uint64_t bytes;
	uint64_t max_bytes;
	int (*found)(void *arg, const struct hmem_shelf_finding *finding);
	void *found_arg;
};
#define HMEM_SHELF_OPTIONS_INIT { sizeof(struct hmem_shelf_options), 0, 0, 0, 0, 0, NULL, NULL }

/* How updates become durable */
enum hmem_durability {
	HMEM_DURABLE_NONE,	/* volatile: gone with the power */
	HMEM_DURABLE_MSYNC,	/* msync(2) for each fence */
	HMEM_DURABLE_FLUSH,	/* the CPU's flush instructions */
	HMEM_DURABLE_FENCE,	/* fences; the platform flushes its caches */
};

/**
 * struct hmem_shelf_info - what a shelf is
 * @size: sizeof(struct hmem_shelf_info), set by the caller
 * @durability: what an acknowledged update has
 * @ordered: 1 when it is listed in the order of names; 0 also for a shelf created ordered
 *	that was so full when it was recovered that there was no room for their order: it is
 *	put in order by the next to open it for writing alone who finds room
 * @bytes: size of its heap
 * @max_bytes: what it can grow to
 * @free_bytes: of @bytes
 * @objects: objects on it; what a transaction does to their number counts when its commit is over
 * @dirty_shutdowns: how often it was recovered as it had not been closed when the power went, or
 *	the last that had it open in that boot could not close it
 * @fences: made through this handle so far
 * @name: its name
 * @uuid: its identity, new at every creation
 */
struct hmem_shelf_info {
	size_t size;
	enum hmem_durability durability;
	int ordered;
	uint64_t bytes;
	uint64_t max_bytes;
	uint64_t free_bytes;
	uint64_t objects;
	uint64_t dirty_shutdowns;
	uint64_t fences;
	char name[HMEM_SHELF_NAME_MAX + 1];
	uint8_t uuid[16];
};

/**
 * hmem_shelf_create - make a shelf in a region and open it
 * @region: opened for writing; held by the shelf. One that holds no shelves yet, which
 *	its first 64 KiB of zeroes show, is made to.
 * @name: 1 to HMEM_SHELF_NAME_MAX bytes, unique in the region, and no '/' among them, by which
 *	names of regions and shelves are told apart (REGION/SHELF); those that earlier versions
 *	made can be opened and destroyed
 * @options: at least its size; its flags also as for hmem_shelf_open()
 * @shelf: where to put the handle; written only on success
 *
 * With HMEM_SHELF_GROSS the options' bytes are what it takes of the region, with what describes
 * it, and its objects get the rest; UINT64_MAX is all that is free. As the region's table of
 * shelves has to be somewhere, one who asks for a region's last part may get one piece less.
 *
 * The shelf is durable when the call returns. In a file, all that it has is allocated then,
 * also if truncate(1) made the file: a file system that gets full later does it no harm.
 *
 * Return: 0; -EEXIST, -EINVAL, -ENAMETOOLONG, -E2BIG (the options say what this library does not
 * know), -ENOSPC (region, its table of shelves or its file system is full), -EBUSY (another
 * process is at the table and does not go on for wait_ms), -EUCLEAN (the region holds something
 * else), -EPROTONOSUPPORT (its table was written by another version), -EROFS, -EIO (writing back
 * failed: it is there or not), -ENOMEM, -EOPNOTSUPP (provider cannot map at an address), or what
 * the system answered.
 */
HMEM_API int hmem_shelf_create(struct hmem_region *region, const char *name,
			       const struct hmem_shelf_options *options,
			       struct hmem_shelf **shelf);

/**
 * hmem_shelf_open - open a shelf
 * @options: flags and wait_ms count; NULL: none
 *
 * A shelf that was closed opens in a time that does not depend on what is on it. One that
 * others have open, or had open until they died, in this boot, too. After a loss of
 * power all records are looked at.
 *
 * What those who have died were doing is finished or undone when it returns: also what another
 * process is at that found them first, which is waited for, up to wait_ms. Read-only handles undo
 * nothing and wait for nobody: until a writer has done it, they may see what a transaction had
 * stored in place and not committed.
 *
 * With HMEM_SHELF_REPAIR all records are looked at unless others have it open: damaged
 * ones are given up, a superblock of which no copy is intact is made anew, and all else is
 * rebuilt. What was lost is told to the options' @found.
 *
 * Return: 0; -ENOENT, -EBUSY (another host, another boot that still lives, or another process of
 * which one of both wants to be alone, or that is opening or closing it, or undoes what a dead one
 * was doing, and does not come to an end for wait_ms: the last error names it), -EUCLEAN (damaged; or read-only, and it has to be
 * recovered first), -EPROTONOSUPPORT (written by another version), -EACCES, -EROFS
 * (HMEM_SHELF_EXCLUSIVE, and the region was opened read-only), -EINVAL, -ENAMETOOLONG, -E2BIG (the
 * options say what this library does not know), -ENOSPC (what recovery needs has no room), -EIO
 * (writing back failed), -EUSERS, -EAGAIN (too many open handles: each has one of the 1024 keys that
 * the threads of a process can have), -ENOMEM, -EOPNOTSUPP (provider cannot map at an address), or
 * what the system answered.
 */
HMEM_API int hmem_shelf_open(struct hmem_region *region, const char *name,
			     const struct hmem_shelf_options *options,
			     struct hmem_shelf **shelf);

/**
 * hmem_shelf_close - close a handle; NULL is legal
 *
 * No thread may be in a call, and what was got from the handle becomes invalid; threads whose
 * calls are over may be ending, and this waits for them. Whoever closes last leaves the shelf
 * clean. In a child that did not open it the handle is freed
 * and nothing else happens.
 *
 * Return: 0, or why it could not be left clean: it is intact, and the next open
 * recovers it.
 */
HMEM_API int hmem_shelf_close(struct hmem_shelf *shelf);

/**
 * hmem_shelf_grow - give a shelf more of its region
 * @bytes: size that its heap is to have at least, rounded up to what the region is divided
 *	into; one that is as large already stays as it is. UINT64_MAX: as large as it can get,
 *	of all that is no shelf's and with max_bytes; also when that is no larger.
 *
 * What was got from the shelf stays where it is. Other threads and processes use what is new at
 * once, and readers do not wait for that. Where the region has no room, resize that first
 * (hmem_region_resize()), from any process. No call but this makes a shelf grow, and
 * none makes one shrink. In a file, what it gets is allocated, as by hmem_shelf_create().
 *
 * Durable when it returns 0; one that was interrupted has grown or not. Waits for those who
 * create, grow or destroy shelves of the same region. Cost: three fences; one more unless all that
 * it gets are holes of a file. What is no hole is looked at, and written back.
 *
 * Return: 0; -ENOSPC (region or file system full, in too many pieces, or more than max_bytes),
 * -EBUSY (another process is at the region's table and does not go on for wait_ms), -EROFS,
 * -EINVAL, -EIO, -ENOMEM, -EUSERS, -ECHILD, -EUCLEAN, or what the system answered.
 */
HMEM_API int hmem_shelf_grow(struct hmem_shelf *shelf, uint64_t bytes);

/** hmem_shelf_get_info - what a shelf is. Return: 0, -EINVAL, -ECHILD. */
HMEM_API int hmem_shelf_get_info(struct hmem_shelf *shelf, struct hmem_shelf_info *info);

/**
 * hmem_shelf_iterate - tell of every shelf of a region
 * @fn: is told of one after the other, none of which has to be open. What only those know
 *	who have it open is zero: free_bytes, objects, fences, durability. Anything but 0
 *	ends it.
 *
 * Those that are made or destroyed meanwhile are told of or not. @fn may use the region.
 *
 * Return: 0, what @fn returned, -EINVAL, -EUCLEAN (the region holds something else),
 * -EPROTONOSUPPORT, -ENOSPC (it is too small to hold shelves), -EBUSY (another process is at its table
 * of shelves and does not go on for ten seconds), -ENOMEM, -EOPNOTSUPP, or what the system answered.
 */
HMEM_API int hmem_shelf_iterate(struct hmem_region *region,
				int (*fn)(void *arg, const struct hmem_shelf_info *info), void *arg);

/**
 * hmem_shelf_destroy - remove a shelf and all that is on it
 *
 * Its memory is for others then. Durable when the call returns.
 *
 * Return: 0; -ENOENT, -EBUSY (somebody has it open, or another host did not close it),
 * -EROFS, -EINVAL, -EIO, and as hmem_shelf_open().
 */
HMEM_API int hmem_shelf_destroy(struct hmem_region *region, const char *name);

/**
 * hmem_sigbus_install - turn SIGBUS inside calls on shelves into errors
 *
 * When a part of a shelf is gone, because its file was truncated or its device removed, touching
 * it is SIGBUS, which ends the process. From this call on, for all of the process, a call on a
 * shelf that meets this returns -EIO instead, and so do all later ones on that handle
 * until it is closed. What it was in the middle of is as if the process had died there;
 * other handles go on as far as their memory goes.
 *
 * Only for what the library touches of a shelf, in calls that create, open, close, check, grow,
 * export or import shelves, and on objects, transactions and cursors. Not for what the caller
 * does with pointers to objects, nor for functions of his that a call calls, nor for calls on
 * regions, nor for the table of shelves, the first 64 KiB of a region, which belongs to no
 * shelf and is touched only by those that create, open, grow, destroy or iterate. All other SIGBUS is the business of the handler
 * that was there before, which is called, and by default ends the process. A program that
 * installs a handler afterwards does without this, unless it calls this one.
 *
 * A transaction of a handle that has met it can be neither committed nor aborted: it ends when
 * the handle is closed.
 *
 * Costs each call some nanoseconds; without it, nothing. There is no way back.
 *
 * Return: 0, also when it is installed already, or what the system answered.
 */
HMEM_API int hmem_sigbus_install(void);

/* --- objects ------------------------------------------------------------------------- */

/*
 * After hmem_sigbus_install() any call on a shelf may return -EIO, also those of which it is not
 * said below: a part of the shelf is gone.
 */

/* For struct hmem_put_options */
#define HMEM_PUT_CREATE		(1u << 0)	/* -EEXIST when there is one */
#define HMEM_PUT_REPLACE	(1u << 1)	/* -ENOENT when there is none */
#define HMEM_PUT_COPIED		(1u << 2)	/* hmem_shelf_publish(): see hmem_shelf_copy() */

/**
 * struct hmem_put_options - what else to say of an object
 * @size: sizeof(struct hmem_put_options)
 * @flags: HMEM_PUT_*
 * @align: alignment of its data, a power of two up to HMEM_ALIGN_MAX; 0: 16
 * @type: descriptor of the application's, any bytes, kept with the object: such as the type
 *	and the shape of an array. Equal ones are stored once. One that the shelf does not
 *	have yet costs no fence of its own, but two for each sixteen that a thread brings without
 *	another fence in between: in one transaction, or by reserving. One that no
 *	object has any more takes memory until the shelf is recovered, or opened by the first
 *	with HMEM_SHELF_REPAIR.
 * @type_bytes: up to HMEM_TYPE_MAX; 0: none
 *
 * Initialise with HMEM_PUT_OPTIONS_INIT.
 */
struct hmem_put_options {
	size_t size;
	unsigned int flags;
	size_t align;
	const void *type;
	size_t type_bytes;
};
#define HMEM_PUT_OPTIONS_INIT { sizeof(struct hmem_put_options), 0, 0, NULL, 0 }

/**
 * hmem_shelf_put - create or replace an object
 * @options: NULL for none
 *
 * Cost: one fence. Replacing leaves the old object to those who have it.
 *
 * Return: 0; -EINVAL, -ENAMETOOLONG, -E2BIG (the options say what this library does not know),
 * -EEXIST, -ENOENT, -ENOSPC (the last error names who pins memory), -EBUSY (also: a transaction is
 * changing the object in place), -EDEADLK (this thread's own is), -EROFS, -EIO (written back or
 * not: unknown), -ENOMEM (also: what others have added to the shelf cannot be mapped), -EUSERS,
 * -ECHILD, -EUCLEAN, -EOVERFLOW (there is no version left that no object had: after 2^56 updates,
 * of which each loss of power counts as 2^24; export the shelf, and import that as a new one).
 */
HMEM_API int hmem_shelf_put(struct hmem_shelf *shelf, const char *name, const void *data,
			    size_t bytes, const struct hmem_put_options *options);

/**
 * hmem_shelf_reserve - get memory for an object, to fill it in place
 * @name: that it will have
 * @bytes: its size
 * @options: NULL for none; its flags are 0: hmem_shelf_publish() has some
 * @data: where its memory is, aligned as @options say; written only on success. What is
 *	in it is not defined. No byte in front of it or behind its @bytes may be written.
 *
 * Nobody sees the object before it is published, and the name is not reserved. The memory
 * is given back by hmem_shelf_cancel(), when the handle is closed, when the process
 * dies, and when the power is lost. Any thread may fill it, publish it or cancel it.
 * Cost: no fence.
 *
 * Return: 0, and as hmem_shelf_put().
 */
HMEM_API int hmem_shelf_reserve(struct hmem_shelf *shelf, const char *name, size_t bytes,
				const struct hmem_put_options *options, void **data);

/**
 * hmem_shelf_copy - fill reserved memory past the processor's caches
 * @to: in what hmem_shelf_reserve() gave through the same handle, and up to its end at most;
 *	that it lies in the shelf is all that is looked at
 * @from: what to copy; somewhere else
 * @bytes: any number, 0 as well
 *
 * For values that are larger than caches. Each byte goes to memory once, where after memcpy(3)
 * hmem_shelf_publish() has to write back all that was stored. What has been copied is durable
 * when this returns. When all of a value was, and nothing of it stored to afterwards,
 * hmem_shelf_publish() may be told by HMEM_PUT_COPIED to write nothing of it back; when that is
 * not true, the object may hold anything after a loss of power. Threads may copy
 * to different parts of the same memory. Without flush instructions it is memcpy(3), and where
 * msync(2) makes durable, one of that. Cost: one fence.
 *
 * Return: 0; -EINVAL (not in the shelf), -EIO, -EBUSY, -EROFS, -EUCLEAN, -ENOMEM, -EUSERS, -ECHILD.
 */
HMEM_API int hmem_shelf_copy(struct hmem_shelf *shelf, void *to, const void *from, size_t bytes);

/**
 * hmem_shelf_publish - make a reserved object appear under its name
 * @data: what hmem_shelf_reserve() gave, through the same handle
 * @flags: HMEM_PUT_*
 *
 * Its value is written back and becomes durable as it is now; then it appears, or replaces
 * what the name had, atomically and durable. From then on it is an object like any
 * other, and its memory no longer the caller's. After an error it still is; after -EIO
 * it can only be given back by closing, and after -EBUSY, until a call of the same thread has got
 * what that waited for, other threads may be told that it is not reserved. Cost: two fences, and writing the value back.
 *
 * Return: 0; -EINVAL (nothing that is reserved through this handle), -EUCLEAN (somebody has
 * written in front of or behind reserved memory), and as hmem_shelf_put().
 */
HMEM_API int hmem_shelf_publish(struct hmem_shelf *shelf, void *data, unsigned int flags);

/**
 * hmem_shelf_cancel - give reserved memory back
 * @data: as for hmem_shelf_publish(). Cost: no fence.
 *
 * Return: 0; -EINVAL, -EUCLEAN, -EBUSY, -EROFS, -EIO, -ENOMEM, -EUSERS, -ECHILD.
 */
HMEM_API int hmem_shelf_cancel(struct hmem_shelf *shelf, void *data);

/**
 * struct hmem_object - an object that was got
 * @data: its value, in place; valid until it is released
 * @bytes: its length
 * @type: its descriptor, in place, valid until the shelf is closed; NULL when it has none, or
 *	when that was lost (hmem_shelf_check() tells)
 * @type_bytes: its length
 * @version: grows with every update of the name
 * @pin: the library's
 */
struct hmem_object {
	void *data;
	size_t bytes;
	const void *type;
	size_t type_bytes;
	uint64_t version;
	void *pin;
};

/**
 * hmem_shelf_get - get an object in place
 * @object: written only on success
 *
 * Its memory stays what it is until it is released, also when the name is replaced or
 * deleted. It must not be stored to: see hmem_shelf_edit().
 * Cost: no fence, no copy, no waiting.
 *
 * Return: 0; -ENOENT, -EINVAL, -ENAMETOOLONG, -EMFILE (this thread has too many objects, or
 * threads that have ended, and there is no other slot),
 * -EROFS (read-only handles pin nothing: hmem_shelf_read()), -ENOMEM (also: what others have added
 * to the shelf cannot be mapped), -EUSERS, -ECHILD, -EUCLEAN.
 */
HMEM_API int hmem_shelf_get(struct hmem_shelf *shelf, const char *name,
			    struct hmem_object *object);

/**
 * hmem_shelf_get_many - get several objects as they are at one instant
 * @names: of the objects; one may be there more than once
 * @nr: how many
 * @objects: as many; written only on success. Each is released by itself.
 *
 * There was an instant at which all names had just these objects. Of a transaction
 * (hmem_tx(3)) that changes several of them all is seen or nothing; what is changed in place,
 * also by hmem_tx_write(), is not isolated. Waits for no update; while one that commits a transaction is
 * storing what it has made durable, and when names change faster than they are found, it begins
 * again, up to wait_ms. Cost: no fence, no copy.
 *
 * Read-only handles pin nothing: there the objects are copies, aligned as the objects are, in
 * memory of the process until they are released. What a writer who died left half stored is not
 * cleaned up by them: -EBUSY until another does that.
 *
 * Return: 0; -ENOENT (one of them is not there), -EMFILE (more than a thread can hold), -EBUSY,
 * -ENOMEM, and as hmem_shelf_get().
 */
HMEM_API int hmem_shelf_get_many(struct hmem_shelf *shelf, const char *const *names,
				 unsigned int nr, struct hmem_object *objects);

/**
 * hmem_shelf_edit - get an object in place, to change it there
 * @object: written only on success; to be released as one that was got
 *
 * Stores to it are seen by all who have it, at once. They are not atomic, not ordered
 * and not durable by themselves: after a loss of power each aligned word of 8 bytes holds what
 * it held before or what was stored, until hmem_shelf_persist(). Not one byte in front of
 * the object or behind it may be stored to. Several may edit an object at once; whoever
 * replaces it leaves them with the old one. Waits for others who update the name. While a
 * transaction of another thread changes the object in place it is -EBUSY; one of this thread does
 * not matter. Cost: one fence.
 *
 * Return: 0; -ENOENT, -EMFILE, and as hmem_shelf_put().
 */
HMEM_API int hmem_shelf_edit(struct hmem_shelf *shelf, const char *name,
			     struct hmem_object *object);

/**
 * hmem_shelf_persist - make changes in place durable
 * @object: from hmem_shelf_edit(), not released
 * @offset: where in the object
 * @bytes: how much; what was stored there before the call, by any thread that has told this one
 *	so, is durable when it returns 0
 *
 * From any thread of the handle. Cost: one fence; two when hmem_tx_write() has changed the
 * object since hmem_shelf_edit(), and the thread that committed it no other since.
 *
 * Return: 0; -EINVAL (outside of the object, or not from hmem_shelf_edit() of this handle),
 * -ESTALE (it has been replaced or deleted since), -EBUSY (a transaction of another thread is
 * changing the object in place: again when it has ended), -EROFS, -EIO, -EUCLEAN, -ENOMEM, -EUSERS,
 * -ECHILD.
 */
HMEM_API int hmem_shelf_persist(struct hmem_shelf *shelf, const struct hmem_object *object,
				size_t offset, size_t bytes);

/**
 * struct hmem_handle - names an object of a shelf; of 16 bytes, to be kept in other objects
 * @place: where it is, for the library
 * @version: as in struct hmem_object; never 0
 *
 * Good for the shelf that it was made on, wherever that is opened and mapped, until the
 * object is replaced or deleted: then, and also when another object has come to lie there, it
 * is stale, also after a loss of power. Changes in place do not matter. One of zeroes names nothing.
 */
struct hmem_handle {
	uint64_t place;
	uint64_t version;
};

/**
 * hmem_shelf_handle - the handle of an object
 * @object: that was got through this handle of the shelf, and is not released
 * @handle: written only on success. Cost: no fence, no waiting.
 *
 * Return: 0; -EINVAL, -EROFS (a read-only handle gives copies, which have none), -ECHILD.
 */
HMEM_API int hmem_shelf_handle(struct hmem_shelf *shelf, const struct hmem_object *object,
			       struct hmem_handle *handle);

/**
 * hmem_shelf_get_handle - get an object by its handle
 * @handle: may be anything: one that was not made by hmem_shelf_handle() costs an error
 *	or gets an object of this shelf
 * @object: written only on success
 *
 * Otherwise as hmem_shelf_get(). Cost: no fence, no copy, no waiting.
 *
 * Return: 0; -ESTALE (it has been replaced or deleted), -EINVAL (no handle), and as
 * hmem_shelf_get().
 */
HMEM_API int hmem_shelf_get_handle(struct hmem_shelf *shelf, const struct hmem_handle *handle,
				   struct hmem_object *object);

/**
 * hmem_shelf_release - let go of an object
 *
 * From any thread. One without a pin is legal.
 *
 * Cost: no fence, no waiting. But with the last object of a thread that has ended that thread's
 * slot is given back: what memory it had retired is freed, which takes fences (a few, each an
 * msync(2) where that is what makes durable) and locks, and so waits, up to wait_ms for each, for
 * a live process that has stopped with one. Those who must not wait release what they got before
 * the thread that got it ends, or have another thread do it. Nobody is told when it cannot be
 * done: the object is released all the same, the last error stays what it was, and the slot is
 * given back by a later release, or by close. If writing back fails, the next update says so
 * (-EROFS).
 */
HMEM_API void hmem_shelf_release(struct hmem_shelf *shelf, struct hmem_object *object);

/**
 * hmem_shelf_read - copy an object
 * @buffer: for its value, of @bytes bytes
 * @length: its length, also when that is more than @bytes: then nothing else is written
 *
 * The copy is of one version. Works on read-only handles as well.
 *
 * Return: 0; -ENOENT, -ERANGE (buffer too small), and as hmem_shelf_get().
 */
HMEM_API int hmem_shelf_read(struct hmem_shelf *shelf, const char *name, void *buffer,
			     size_t bytes, size_t *length);

/**
 * hmem_shelf_delete - delete an object
 *
 * Cost: one fence. Needs no memory.
 *
 * Return: 0; -ENOENT, and as hmem_shelf_put().
 */
HMEM_API int hmem_shelf_delete(struct hmem_shelf *shelf, const char *name);

/**
 * hmem_shelf_rename - give an object another name
 * @from: the name that it has
 * @to: the name that it is to have; what is under that is replaced
 * @flags: HMEM_PUT_CREATE: -EEXIST when there is an object @to; HMEM_PUT_REPLACE: -ENOENT when
 *	there is none
 *
 * All of it or nothing, as a transaction (hmem_tx(3)): after a loss of power, and after the
 * death of the process at any instant, the object has one of the two names. Readers find
 * it under @to first and then not under @from any more, or for a moment under both. It keeps value,
 * alignment and descriptor; its version is a new one, and handles of it are stale. Those who have
 * got it keep the old one until they release it, as when it is replaced.
 *
 * The value is copied: there has to be memory for as much again, and it takes as long
 * as a put of it. Meanwhile it belongs to the transaction: others who put or delete the
 * name, or edit the object, get -EBUSY. What is stored in place meanwhile, by those who are
 * editing it already, may be lost. To rename within a transaction, put and delete.
 *
 * Renaming an object to the name that it has does nothing, but for the flags. Cost: one fence.
 *
 * Return: 0; -ENOENT, -EEXIST, -EBUSY (also: a transaction is changing the object in place),
 * -EALREADY (this thread has begun a transaction, which has to end first), -EMFILE, and as
 * hmem_shelf_put().
 */
HMEM_API int hmem_shelf_rename(struct hmem_shelf *shelf, const char *from, const char *to,
			       unsigned int flags);

/**
 * hmem_shelf_swap - exchange the names of two objects
 *
 * As hmem_shelf_rename(), of two objects that are both there: each gets the other's value,
 * alignment and descriptor, or nothing happens. Both names have an object all the time; readers
 * may for a moment find the same under both, but not with hmem_shelf_get_many(). There has to be
 * memory for both again. Cost: one fence.
 *
 * Return: 0, and as hmem_shelf_rename().
 */
HMEM_API int hmem_shelf_swap(struct hmem_shelf *shelf, const char *a, const char *b);

/* --- checking ------------------------------------------------------------------------ */

/**
 * hmem_shelf_check - look at all of a shelf and name what is wrong
 * @fn: called with each finding; returns 0 to go on, anything else to stop; NULL: none
 *
 * Every record is judged as recovery would, and all else is compared with the records:
 * index, heap, retired blocks, counts. Nothing is repaired, but what dead processes left
 * behind is cleaned up first, unless the handle is read-only.
 *
 * Nobody may update the shelf meanwhile, from any process: an update under way looks like
 * damage. Opening it HMEM_SHELF_EXCLUSIVE is one way to be sure. Takes time and memory
 * in proportion to the shelf's heap (1/40 of it).
 *
 * Return: 0 when all is well; -EUCLEAN after findings, what @fn returned, -ENOMEM, -EINVAL,
 * -ECHILD, and as hmem_shelf_put().
 */
HMEM_API int hmem_shelf_check(struct hmem_shelf *shelf,
			      int (*fn)(void *arg, const struct hmem_shelf_finding *finding),
			      void *arg);

/* --- listing ------------------------------------------------------------------------- */

struct hmem_cursor;

/**
 * struct hmem_entry - an object that a cursor came to
 * @size: sizeof(struct hmem_entry), set by the caller
 * @name: in the cursor, until it is used again
 * @name_bytes: its length
 * @bytes: length of the object
 * @version: grows with every update of the name
 * @type: its descriptor, in the cursor as well, or NULL
 * @type_bytes: its length
 */
struct hmem_entry {
	size_t size;
	const char *name;
	size_t name_bytes;
	size_t bytes;
	uint64_t version;
	const void *type;
	size_t type_bytes;
};

/**
 * hmem_cursor_open - begin to list the objects of a shelf
 * @prefix: only those whose name begins with this; NULL or "" for all
 * @flags: 0
 * @cursor: where to put it; for one thread at a time
 *
 * An object that is there from hmem_cursor_open() until the end is listed exactly once,
 * whatever others do to the shelf meanwhile, and one that is replaced with what it is
 * when the cursor comes to it. One that is made or deleted meanwhile is listed once or
 * not at all. On shelves created with HMEM_SHELF_ORDERED names come in the order
 * of memcmp(3), shorter ones first; on others in none.
 *
 * A cursor holds nothing of the shelf: no lock, no pin. Works on read-only handles.
 * Close cursors before their shelf: once that is closed, and in a child of fork(2), no
 * call is legal but hmem_cursor_close().
 *
 * Cost: no fence, no waiting; with a prefix, ordered shelves look at nothing else, others
 * at all names.
 *
 * Return: 0; -EINVAL, -ENAMETOOLONG, -ENOMEM, -ECHILD.
 */
HMEM_API int hmem_cursor_open(struct hmem_shelf *shelf, const char *prefix, unsigned int flags,
			      struct hmem_cursor **cursor);

/**
 * hmem_cursor_next - the next object
 * @entry: written only on success
 *
 * Return: 1; 0 at the end, and as often as it is asked again; -EINVAL, -ENOMEM, -ECHILD,
 * -EUCLEAN.
 */
HMEM_API int hmem_cursor_next(struct hmem_cursor *cursor, struct hmem_entry *entry);

/**
 * hmem_cursor_seek - go on with the first name that is not less than @name
 * @name: NULL or "": from the beginning, which is legal on all shelves
 *
 * Forwards or backwards, in O(log objects). What is listed then is what has the prefix and
 * is not less than @name.
 *
 * Return: 0; -EINVAL, -ENAMETOOLONG, -EOPNOTSUPP (the shelf is not ordered), -ECHILD.
 */
HMEM_API int hmem_cursor_seek(struct hmem_cursor *cursor, const char *name);

/** hmem_cursor_close - end it; NULL is legal, and so is a shelf that is closed already */
HMEM_API void hmem_cursor_close(struct hmem_cursor *cursor);

#ifdef __cplusplus
}
#endif
#endif
