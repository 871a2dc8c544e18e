/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One of several that use a shelf at once: a region and a shelf of their own opening.
 */
#ifndef SELFTESTS_HOST_SHELF_USER_H
#define SELFTESTS_HOST_SHELF_USER_H

#include <hmem/hmem.h>

#include "shelf_media.h"

static struct hmem_ctx *ctx;
static char path[64], region_name[80];
static struct media media;

static inline void need(int err, const char *what)
{
	if (err)
		tap_bail("%s: %d, %s", what, err, hmem_last_error(ctx));
}

struct user {
	struct hmem_region *region;
	struct hmem_shelf *shelf;
};

static inline void make(struct user *user, unsigned int slots, uint64_t bytes, unsigned int wait_ms)
{
	struct hmem_region_options region = HMEM_REGION_OPTIONS_INIT;
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	region.bytes = 2 * bytes + (16u << 20);
	options.bytes = bytes;
	options.slots = slots;
	options.wait_ms = wait_ms;
	options.max_bytes = 64u << 20;
	need(hmem_region_create(ctx, region_name, &region, &user->region), "making a region");
	need(hmem_shelf_create(user->region, "one", &options, &user->shelf), "making a shelf");
	media_map(&media, path);
}

static inline int join(struct user *user, const char *shelf, unsigned int wait_ms)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	int err;

	options.wait_ms = wait_ms;
	err = hmem_region_open(ctx, region_name, 0, &user->region);
	if (!err)
		err = hmem_shelf_open(user->region, shelf, &options, &user->shelf);
	return err;
}

static inline void leave(struct user *user)
{
	need(hmem_shelf_close(user->shelf), "closing");
	hmem_region_close(user->region);
}

static inline void unmake(struct user *user)
{
	need(hmem_shelf_check(user->shelf, NULL, NULL), "checking");
	leave(user);
	media_unmap(&media);
	need(hmem_region_destroy(ctx, region_name), "destroying");
}

/* Lock a byte of the region's file by which processes know of one another, or let it go. */
static inline void set_byte(int fd, int byte, short type)
{
	struct flock lock = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = ((off_t)1 << 62) + byte,
		.l_len = 1,
	};

	if (fcntl(fd, F_OFD_SETLK, &lock))
		tap_bail("locking a byte: %s", strerror(errno));
}

static inline int put(struct user *user, const char *name, int byte, size_t bytes)
{
	char *value = malloc(bytes);
	int err;

	if (!value)
		tap_bail("no memory");
	memset(value, byte, bytes);
	err = hmem_shelf_put(user->shelf, name, value, bytes, NULL);
	free(value);
	return err;
}

static inline bool is_all(const void *data, int byte, size_t bytes)
{
	const unsigned char *at = data;

	for (size_t i = 0; i < bytes; i++)
		if (at[i] != byte)
			return false;
	return true;
}

/* The region's file is @test's. */
static inline void users_begin(const char *test)
{
	need(hmem_ctx_new(&ctx), "a context");
	hmem_ctx_set_log_level(ctx, HMEM_LOG_ERR);
	snprintf(path, sizeof(path), "/dev/shm/hmem-%s-%d", test, (int)getpid());
	snprintf(region_name, sizeof(region_name), "file:%s", path);
}

#endif
