/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests of spaces that processes share do first: join the one of a file, and what that has.
 */
#ifndef SELFTESTS_HOST_SHARED_USER_H
#define SELFTESTS_HOST_SHARED_USER_H

#include <hmem/hmem.h>

#include <stdint.h>
#include <unistd.h>

#include "tap.h"

#define MIB (1ull << 20)

/* Of the file, and as a layer. */
static char path[64], name[80];

struct user {
	struct hmem_ctx *ctx;
	struct hmem_space *space;
	struct hmem_interface *interface;
	uint64_t random;
};

static inline void name_region(void)
{
	snprintf(path, sizeof(path), "/dev/shm/hmem-test-%d", getpid());
	snprintf(name, sizeof(name), "file:%s", path);
}

static inline int join(struct user *user, uint64_t bytes)
{
	struct hmem_interface_options options = HMEM_INTERFACE_OPTIONS_INIT;
	struct hmem_space_options of = HMEM_SPACE_OPTIONS_INIT;
	int err;

	memset(user, 0, sizeof(*user));
	options.strategy = HMEM_STRATEGY_SHARED;
	of.flags = HMEM_SPACE_SHARED;
	of.layer = name;
	of.bytes = bytes;
	err = hmem_ctx_new(&user->ctx);
	if (!err)
		err = hmem_space_create(user->ctx, "shared", &of, &user->space);
	if (!err)
		err = hmem_interface_create(user->space, &options, &user->interface);
	return err;
}

static inline void must_join(struct user *user, uint64_t bytes)
{
	if (join(user, bytes))
		tap_bail("%s", hmem_last_error(user->ctx));
}

static inline void part(struct user *user)
{
	hmem_interface_unref(user->interface);
	hmem_space_unref(user->space);
	hmem_ctx_unref(user->ctx);
}

static inline uint64_t blocks_of(const struct user *user)
{
	struct hmem_interface_stats stats = { .size = sizeof(stats) };

	if (hmem_interface_get_stats(user->interface, &stats))
		tap_bail("%s", hmem_last_error(user->ctx));
	return stats.blocks;
}

static inline struct hmem_space_info info_of(const struct user *user)
{
	struct hmem_space_info info = { .size = sizeof(info) };

	if (hmem_space_get_info(user->space, &info))
		tap_bail("%s", hmem_last_error(user->ctx));
	return info;
}

/* How many blocks of so many bytes there are; none is left. */
static inline size_t fits(struct user *user, size_t bytes)
{
	static void *blocks[100000];
	size_t n = 0;

	while (n < 100000 && (blocks[n] = hmem_malloc(user->interface, bytes)))
		n++;
	for (size_t i = 0; i < n; i++)
		if (hmem_free(user->interface, blocks[i]))
			tap_bail("%s", hmem_last_error(user->ctx));
	return n;
}

#endif
