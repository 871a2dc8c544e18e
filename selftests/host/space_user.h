/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests of spaces do with one: its memory as a single block, and what is known of it.
 */
#ifndef SELFTESTS_HOST_SPACE_USER_H
#define SELFTESTS_HOST_SPACE_USER_H

#include <hmem/hmem.h>

#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "said.h"
#include "sysroot.h"

#define PAGE 4096ull
#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define TIB (1ull << 40)

static struct hmem_ctx *ctx;

/* For each attempt: what must not be written is not. */
#define UNTOUCHED ((struct hmem_space *)(uintptr_t)0x5ca1ab1e)

static inline struct hmem_space *space_of(const struct hmem_space_options *options)
{
	struct hmem_space *space = UNTOUCHED;

	if (hmem_space_create(ctx, "test", options, &space))
		tap_bail("%s", hmem_last_error(ctx));
	return space;
}

/* What creating one returns, which fails, writes nothing and says @sentence. */
static inline int refused(const struct hmem_space_options *options, const char *sentence)
{
	struct hmem_space *space = UNTOUCHED;
	int err = hmem_space_create(ctx, "test", options, &space);

	if (!err) {
		hmem_space_unref(space);
		return 0;
	}
	if (space != UNTOUCHED) {
		tap_diag("a handle was written with error %d", err);
		return 1;
	}
	return says(ctx, sentence) ? err : 2;
}

static inline struct hmem_space_info info_of(const struct hmem_space *space)
{
	struct hmem_space_info info = { .size = sizeof(info) };

	if (hmem_space_get_info(space, &info))
		tap_bail("%s", hmem_last_error(ctx));
	return info;
}

static inline struct hmem_interface *interface_on(struct hmem_space *space, uint32_t strategy)
{
	struct hmem_interface_options options = HMEM_INTERFACE_OPTIONS_INIT;
	struct hmem_interface *interface;

	options.strategy = strategy;
	if (hmem_interface_create(space, &options, &interface))
		tap_bail("%s", hmem_last_error(ctx));
	return interface;
}

/* All of its memory, which nobody may have any of; it is one block of @interface. */
static inline char *all_of(struct hmem_interface *interface)
{
	char *all = hmem_malloc(interface, info_of(hmem_interface_space(interface)).bytes);

	if (!all)
		tap_bail("the space has not all its memory in one piece: %s", strerror(errno));
	return all;
}

/* A child that does @fn: what it returns, or 1000 and the signal that ended it. */
static inline int in_child(int (*fn)(void *arg), void *arg)
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(fn(arg));
	if (child < 0 || waitpid(child, &status, 0) != child)
		tap_bail("no child: %s", strerror(errno));
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Pages that are there; -1: the addresses are nobody's. */
static inline int64_t resident(char *memory, uint64_t bytes)
{
	static unsigned char in[65536];
	int64_t n = 0;

	if (bytes / PAGE > sizeof(in))
		tap_bail("so much is not counted");
	if (mincore(memory, bytes, in))
		return -1;
	for (uint64_t i = 0; i < bytes / PAGE; i++)
		n += in[i] & 1;
	return n;
}

#endif
