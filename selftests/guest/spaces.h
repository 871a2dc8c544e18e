/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests of spaces on the module do with one.
 */
#ifndef SELFTESTS_GUEST_SPACES_H
#define SELFTESTS_GUEST_SPACES_H

#include "fixture.h"

#include <hmem/hmem.h>

#define MI	((uint64_t)1 << 20)

static struct hmem_ctx *ctx;

static inline struct hmem_space *must_space_of(const struct hmem_space_options *options)
{
	struct hmem_space *space;

	if (hmem_space_create(ctx, "test", options, &space))
		tap_bail("%s", hmem_last_error(ctx));
	return space;
}

static inline struct hmem_space *must_space(const char *layer, uint64_t bytes, uint32_t flags)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;

	options.layer = layer;
	options.bytes = bytes;
	options.flags = flags;
	return must_space_of(&options);
}

static inline struct hmem_interface *must_interface(struct hmem_space *space, uint32_t strategy)
{
	struct hmem_interface_options options = HMEM_INTERFACE_OPTIONS_INIT;
	struct hmem_interface *interface;

	options.strategy = strategy;
	if (hmem_interface_create(space, &options, &interface))
		tap_bail("%s", hmem_last_error(ctx));
	return interface;
}

static inline bool is_layer(const char *name)
{
	struct hmem_layer_wanted wanted = HMEM_LAYER_WANTED_INIT;
	size_t nr = 0;

	wanted.name = name;
	return !hmem_layer_select(ctx, &wanted, NULL, &nr) && nr == 1;
}

/* Blocks hold what is written to them. */
static inline unsigned int use(struct hmem_interface *interface)
{
	unsigned char *blocks[64];
	unsigned int wrong = 0;

	for (size_t i = 0; i < 64; i++) {
		blocks[i] = hmem_malloc(interface, 1000 + i * 5000);
		if (!blocks[i])
			tap_bail("no block of %zu bytes", 1000 + i * 5000);
		memset(blocks[i], (int)i, 1000 + i * 5000);
	}
	for (size_t i = 0; i < 64; i++)
		wrong += blocks[i][0] != i || blocks[i][999 + i * 5000] != i ||
			 hmem_free(interface, blocks[i]);
	return wrong;
}

#endif
