/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests of allocating do first: a space of DRAM, an interface on it, and what that has.
 */
#ifndef SELFTESTS_HOST_INTERFACE_USER_H
#define SELFTESTS_HOST_INTERFACE_USER_H

#include <hmem/hmem.h>

#include "tap.h"

#define MIB (1ull << 20)

static struct hmem_ctx *ctx;

static struct hmem_space *must_space(uint64_t bytes)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space *new;

	options.bytes = bytes;
	if (hmem_space_create(ctx, "test", &options, &new))
		tap_bail("%s", hmem_last_error(ctx));
	return new;
}

static struct hmem_interface *must_interface(struct hmem_space *on, uint32_t strategy,
					     uint64_t object, uint32_t flags)
{
	struct hmem_interface_options options = HMEM_INTERFACE_OPTIONS_INIT;
	struct hmem_interface *new;

	options.strategy = strategy;
	options.object = object;
	options.flags = flags;
	if (hmem_interface_create(on, &options, &new))
		tap_bail("%s", hmem_last_error(ctx));
	return new;
}

static struct hmem_interface_stats stats_of(const struct hmem_interface *interface)
{
	struct hmem_interface_stats stats = { .size = sizeof(stats) };

	if (hmem_interface_get_stats(interface, &stats))
		tap_bail("%s", hmem_last_error(ctx));
	return stats;
}

#endif
