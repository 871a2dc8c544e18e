/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A shelf of numbered objects in a file, seen from outside as well, and processes that are killed
 * while they have it open.
 */
#ifndef SELFTESTS_HOST_SHELF_NUMBERED_H
#define SELFTESTS_HOST_SHELF_NUMBERED_H

#include <signal.h>
#include <sys/wait.h>

#include <hmem/hmem.h>

#include "shelf_media.h"

#define OBJECTS 400

static struct hmem_ctx *ctx;
static struct hmem_region *region, *reading;
static struct media media;
static char path[64], region_name[80];

static inline void need(int err, const char *what)
{
	if (err)
		tap_bail("%s: %s", what, hmem_last_error(ctx));
}

static inline struct hmem_shelf *try_open(struct hmem_region *in, unsigned int flags, int *err)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf = NULL;

	options.flags = flags;
	*err = hmem_shelf_open(in, "shelf", &options, &shelf);
	return shelf;
}

static inline struct hmem_shelf *open_shelf(unsigned int flags)
{
	int err;
	struct hmem_shelf *shelf = try_open(flags & HMEM_SHELF_READ_ONLY ? reading : region, flags,
					    &err);

	need(err, "open");
	return shelf;
}

static inline const char *name_of(unsigned int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "object-%u", i);
	return name;
}

static inline void put(struct hmem_shelf *shelf, unsigned int i, unsigned int value)
{
	need(hmem_shelf_put(shelf, name_of(i), &value, sizeof(value), NULL), "put");
}

/* The value of an object, or the error. */
static inline long value_of(struct hmem_shelf *shelf, unsigned int i)
{
	unsigned int value = 0;
	size_t bytes;
	int err = hmem_shelf_read(shelf, name_of(i), &value, sizeof(value), &bytes);

	return err ? err : (long)value;
}

/* How many objects have their number and @add as their value. */
static inline unsigned int right(struct hmem_shelf *shelf, unsigned int add)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < OBJECTS; i++)
		count += value_of(shelf, i) == (long)(i + add);
	return count;
}

static inline int show(void *arg, const struct hmem_shelf_finding *finding)
{
	(void)arg;
	tap_diag("%s at %#llx: %s: %s", finding->part, (unsigned long long)finding->offset,
		 finding->name ? finding->name : "", finding->text);
	return 0;
}

static inline bool checks(struct hmem_shelf *shelf)
{
	return !hmem_shelf_check(shelf, show, NULL);
}

/* The region's file is @test's. */
static inline void numbered_begin(const char *test)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;

	snprintf(path, sizeof(path), "/tmp/hmem-%s-%d", test, (int)getpid());
	snprintf(region_name, sizeof(region_name), "file:%s", path);
	need(hmem_ctx_new(&ctx), "context");
	options.bytes = 8 << 20;
	need(hmem_region_create(ctx, region_name, &options, &region), "region");
	need(hmem_region_open(ctx, region_name, HMEM_OPEN_READ_ONLY, &reading), "region");
	media_map(&media, path);
}

static inline int numbered_end(void)
{
	media_unmap(&media);
	hmem_region_close(region);
	hmem_region_close(reading);
	hmem_ctx_unref(ctx);
	unlink(path);
	return tap_done();
}

/* A new shelf with all of the objects, each of which has its number as its value. */
static inline struct hmem_shelf *make_numbered(void)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf;

	options.bytes = 4 << 20;
	options.max_bytes = 64 << 20;
	options.slots = 8;
	need(hmem_shelf_create(region, "shelf", &options, &shelf), "create");
	for (unsigned int i = 0; i < OBJECTS; i++)
		put(shelf, i, i);
	return shelf;
}

/* A child that opens the shelf, does something and waits to be killed. */
static inline pid_t child(unsigned int flags, void (*act)(struct hmem_shelf *shelf))
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	if (pipe(ready))
		tap_bail("pipe");
	pid = fork();
	if (!pid) {
		struct hmem_shelf *shelf = open_shelf(flags);

		if (act)
			act(shelf);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1 || byte != 'x')
		tap_bail("the child did not get ready");
	close(ready[0]);
	return pid;
}

static inline void reap(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* All have the value they had, and one is pinned. */
static inline void act_put(struct hmem_shelf *shelf)
{
	struct hmem_object object;

	put(shelf, 3, 3);
	put(shelf, 4, 4);
	need(hmem_shelf_get(shelf, name_of(4), &object), "get");
	put(shelf, 4, 4);
}

#endif
