/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocations in places of all kinds, and beside each what must be true of it: what is in it, where
 * it is, what slices it has, and what is under way with it.
 */
#ifndef SELFTESTS_HOST_ALLOCATION_MODEL_H
#define SELFTESTS_HOST_ALLOCATION_MODEL_H

#include <hmem/hmem.h>

#include <pthread.h>

#include "../sanitized.h"
#include "blocks_model.h"
#include "own_strategy.h"

#define MIB	(1ull << 20)
#define LARGEST 100000
#define THINGS	64
#define SLICES	3

enum { BINNED, BUMP, OWN, CHECKED, SLAB, MIMALLOC, PLACES, NOWHERE = PLACES };

/* An interface, and how many blocks it must have; bump: that were had since the last reset */
static struct {
	struct hmem_interface *interface;
	_Atomic int64_t blocks;
} places[PLACES];

/* What one or two allocations wait for. */
struct begun {
	struct hmem_completion *completion;
	atomic_int refs;
};

/*
 * An allocation, and all that must be true of it.
 *
 * @at: in which place, or NOWHERE: in memory of no interface, @alien
 * @to: where it goes, while it is moved, or was and nobody has looked; else @at
 * @has: what must be in it
 * @begun: what was begun with it last, which is over after all that was begun before; NULL: nothing
 */
static struct thing {
	pthread_mutex_t lock;
	struct hmem_allocation *handle;
	int at, to;
	bool is_moved;
	void *alien;
	size_t bytes, align;
	unsigned char *has;
	struct {
		struct hmem_allocation *handle;
		size_t offset, bytes;
	} slices[SLICES];
	unsigned int nr_slices;
	struct begun *begun;
} things[THINGS];

static struct hmem_ctx *ctx;
static struct hmem_space *wide, *tight, *kept, *apart;
/* Checked, for one thread at a time, which is told what it did wrong. */
static struct hmem_interface *apart_binned, *apart_bump;
static atomic_ulong refused, busy;

/* --- places --------------------------------------------------------------------------- */

static struct hmem_space *must_space(uint64_t bytes, uint64_t limit, uint32_t flags)
{
	struct hmem_space_options of = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space *space;

	of.bytes = bytes;
	of.limit = limit;
	of.flags = flags;
	if (hmem_space_create(ctx, "model", &of, &space))
		tap_bail("%s", hmem_last_error(ctx));
	return space;
}

static struct hmem_interface *must_interface(struct hmem_space *space, uint32_t strategy,
					     uint32_t flags)
{
	struct hmem_interface_options options = HMEM_INTERFACE_OPTIONS_INIT;
	struct hmem_interface *interface;

	options.strategy = strategy;
	options.flags = flags;
	options.object = 4096;
	options.ops = &own_ops;
	if (hmem_interface_create(space, &options, &interface))
		tap_bail("%s", hmem_last_error(ctx));
	return interface;
}

static uint64_t give_up(struct hmem_space *space)
{
	struct hmem_space_info info = { .size = sizeof(info) };

	if (hmem_space_get_info(space, &info))
		tap_bail("%s", hmem_last_error(ctx));
	hmem_space_unref(space);
	return info.used;
}

static void begin_places(void)
{
	wide = must_space(32 * MIB, 0, 0);
	tight = must_space(2 * MIB, MIB / 4, 0);
	apart = must_space(2 * MIB, 0, 0);
	places[BINNED].interface = must_interface(wide, HMEM_STRATEGY_BINNED, 0);
	places[BUMP].interface = must_interface(wide, HMEM_STRATEGY_BUMP, 0);
	places[OWN].interface = must_interface(wide, HMEM_STRATEGY_CUSTOM, 0);
	places[CHECKED].interface = must_interface(tight, HMEM_STRATEGY_BINNED,
						   HMEM_INTERFACE_CHECKED);
	places[SLAB].interface = must_interface(tight, HMEM_STRATEGY_SLAB, 0);
	/* The sanitizer of races takes for them what a library orders that it did not compile. */
	if (SANITIZER != 2) {
		kept = must_space(256 * MIB, 0, HMEM_SPACE_KEPT);
		places[MIMALLOC].interface = must_interface(kept, HMEM_STRATEGY_GENERAL, 0);
	}
	apart_binned = must_interface(apart, HMEM_STRATEGY_BINNED, HMEM_INTERFACE_CHECKED);
	apart_bump = must_interface(apart, HMEM_STRATEGY_BUMP, HMEM_INTERFACE_CHECKED);
}

static void end_places(void)
{
	for (int i = 0; i < PLACES; i++) {
		hmem_interface_unref(places[i].interface);
		places[i].interface = NULL;
		atomic_store(&places[i].blocks, 0);
	}
	hmem_interface_unref(apart_binned);
	hmem_interface_unref(apart_bump);
	TAP_EQ(give_up(wide) + give_up(tight) + give_up(apart), 0, "and nothing in use");
	/* Arenas stay. */
	if (SANITIZER != 2)
		TAP_EQ(give_up(kept) % (64 * MIB), 0, "but for mimalloc's arenas");
}

/* --- what is under way --------------------------------------------------------------- */

static void put(struct begun *begun)
{
	if (begun && atomic_fetch_sub(&begun->refs, 1) == 1) {
		hmem_completion_unref(begun->completion);
		free(begun);
	}
}

static void depend(struct thing *thing, struct begun *begun)
{
	atomic_fetch_add(&begun->refs, 1);
	put(thing->begun);
	thing->begun = begun;
}

static struct begun *new_begun(struct hmem_completion *completion)
{
	struct begun *begun = calloc(1, sizeof(*begun));

	if (!begun)
		tap_bail("no memory");
	begun->completion = completion;
	return begun;
}

/* It is over. */
static void settled(struct thing *thing)
{
	put(thing->begun);
	thing->begun = NULL;
	if (thing->to != thing->at) {
		atomic_fetch_add(&places[thing->to].blocks, 1);
		if (thing->at != BUMP)
			atomic_fetch_sub(&places[thing->at].blocks, 1);
	}
	thing->at = thing->to;
	thing->is_moved = false;
}

static void settle(struct thing *thing)
{
	if (!thing->begun)
		return;
	must_hold(!hmem_completion_wait(thing->begun->completion, -1), "it is not waited for");
	must_hold(hmem_completion_poll(thing->begun->completion) == 1, "it is not done");
	settled(thing);
}

static void settle_or_not(struct thing *thing, uint64_t *random)
{
	if (next_random(random) % 4)
		settle(thing);
}

/* Whether what was called came too early. If it did not, what was under way is over. */
static bool too_early(struct thing *thing, int err, const char *what)
{
	if (!thing->begun)
		return false;
	if (err == -EBUSY) {
		atomic_fetch_add(&busy, 1);
		return true;
	}
	must_hold(hmem_completion_poll(thing->begun->completion) == 1,
		  "%s returns %d while it is copied or moved", what, err);
	settle(thing);
	return false;
}

static bool no_room(int err)
{
	if (err == -ENOSPC || err == -EDQUOT)
		atomic_fetch_add(&refused, 1);
	return err == -ENOSPC || err == -EDQUOT;
}

/* --- what is in it ------------------------------------------------------------------- */

static void look(struct thing *thing, const char *after)
{
	struct hmem_allocation_info info = { .size = sizeof(info) };
	unsigned char *data = hmem_allocation_data(thing->handle);

	if (hmem_allocation_get_info(thing->handle, &info))
		must_hold(false, "nothing is known of it: %s", hmem_last_error(ctx));
	must_hold(info.data == data && info.bytes == thing->bytes && info.align == thing->align &&
			  info.slices == thing->nr_slices && !info.owner &&
			  info.owns == (thing->at != NOWHERE),
		  "other things are known of it after %s", after);
	must_hold(info.interface == (thing->at == NOWHERE ? NULL : places[thing->at].interface),
		  "it is elsewhere after %s", after);
	must_hold(data && (uintptr_t)data % thing->align == 0, "it is not aligned after %s", after);
	must_hold(!memcmp(data, thing->has, thing->bytes), "something else is in it after %s",
		  after);
	for (unsigned int i = 0; i < thing->nr_slices; i++)
		must_hold(hmem_allocation_data(thing->slices[i].handle) ==
				  data + thing->slices[i].offset,
			  "a slice is elsewhere after %s", after);
}

static void write_some(struct thing *thing, size_t from, size_t bytes, uint64_t *random)
{
	unsigned char *data = hmem_allocation_data(thing->handle);
	uint64_t seed = next_random(random);

	for (size_t i = 0; i < bytes; i++)
		data[from + i] = thing->has[from + i] = byte_at(seed, i);
}

static void must_have_room(struct thing *thing, size_t bytes)
{
	thing->has = realloc(thing->has, bytes);
	if (!thing->has)
		tap_bail("no memory");
}

#endif
