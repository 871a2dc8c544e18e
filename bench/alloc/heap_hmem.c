// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interfaces of hmem: by pointers, by handles, of each strategy.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hmem/allocation.h>
#include <hmem/interface.h>
#include <hmem/space.h>

#include "heap.h"

static struct hmem_ctx *ctx;
static struct hmem_space *space;
static struct hmem_interface *general, *kept, *bump, *shared;

static struct hmem_space *new_space(const char *layer, uint32_t flags)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space *new;

	if (!ctx && hmem_ctx_new(&ctx))
		fail("hmem", "no context");
	options.layer = layer;
	options.bytes = HEAP_BYTES;
	options.flags = flags;
	if (hmem_space_create(ctx, "bench", &options, &new))
		fail("hmem", hmem_last_error(ctx));
	return new;
}

static struct hmem_interface *new_interface(struct hmem_space *on, uint32_t strategy, size_t object)
{
	struct hmem_interface_options options = HMEM_INTERFACE_OPTIONS_INIT;
	struct hmem_interface *new;

	options.strategy = strategy;
	options.object = object;
	if (hmem_interface_create(on, &options, &new))
		fail("hmem", hmem_last_error(ctx));
	return new;
}

static void open_space(bool populate)
{
	if (!space)
		space = new_space(NULL, populate ? HMEM_SPACE_POPULATE : 0);
}

static bool general_open(const char *place, bool populate)
{
	(void)place;
	open_space(populate);
	if (!general)
		general = new_interface(space, HMEM_STRATEGY_GENERAL, 0);
	return true;
}

/* On a space that is not given back: mimalloc, confined to it, where that is there. */
static bool kept_open(const char *place, bool populate)
{
	if (!heap_mimalloc.open(place, populate))
		return false;
	if (!kept)
		kept = new_interface(new_space(NULL, HMEM_SPACE_KEPT |
						     (populate ? HMEM_SPACE_POPULATE : 0)),
				     HMEM_STRATEGY_GENERAL, 0);
	return true;
}

static bool slab_open(const char *place, bool populate)
{
	(void)place;
	open_space(populate);
	return true;
}

static bool bump_open(const char *place, bool populate)
{
	(void)place;
	open_space(populate);
	bump = new_interface(space, HMEM_STRATEGY_BUMP, 0);
	return true;
}

/* Each process that enters opens it: what is mapped is not there in a child. */
static bool shared_open(const char *place, bool populate)
{
	char layer[256];

	(void)populate;
	snprintf(layer, sizeof(layer), "file:%s/shared", place);
	shared = new_interface(new_space(layer, HMEM_SPACE_SHARED), HMEM_STRATEGY_SHARED, 0);
	return true;
}

static void *general_enter(size_t object)
{
	(void)object;
	return general;
}

static void *kept_enter(size_t object)
{
	(void)object;
	return kept;
}

static void *slab_enter(size_t object)
{
	return new_interface(space, HMEM_STRATEGY_SLAB, object);
}

static void *bump_enter(size_t object)
{
	(void)object;
	return bump;
}

static void *shared_enter(size_t object)
{
	(void)object;
	return shared;
}

static void stay(void *state)
{
	(void)state;
}

static void slab_leave(void *state)
{
	hmem_interface_unref(state);
}

static void *alloc(void *state, size_t bytes)
{
	uint64_t *block = hmem_malloc(state, bytes);

	if (block)
		*block = bytes;
	else
		fail("hmem", "no block");
	return block;
}

static void give_back(void *state, void *block)
{
	hmem_free(state, block);
}

static void reset(void *state)
{
	hmem_interface_reset(state);
}

static void *handle_alloc(void *state, size_t bytes)
{
	struct hmem_allocation *allocation;

	if (hmem_allocation_new(state, bytes, 0, 0, &allocation))
		fail("hmem", hmem_last_error(ctx));
	*(uint64_t *)hmem_allocation_data(allocation) = bytes;
	return allocation;
}

static void handle_free(void *state, void *block)
{
	(void)state;
	hmem_allocation_free(block);
}

const struct heap heap_general = {
	"hmem", general_open, general_enter, stay, alloc, give_back, NULL,
};
const struct heap heap_kept = {
	"kept", kept_open, kept_enter, stay, alloc, give_back, NULL,
};
const struct heap heap_handle = {
	"handle", general_open, general_enter, stay, handle_alloc, handle_free, NULL,
};
const struct heap heap_slab = {
	"slab", slab_open, slab_enter, slab_leave, alloc, give_back, NULL,
};
const struct heap heap_bump = {
	"bump", bump_open, bump_enter, stay, alloc, give_back, reset,
};
const struct heap heap_shared = {
	"shared", shared_open, shared_enter, stay, alloc, give_back, NULL,
};
