// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Strategies that cut blocks from spans: of many sizes, of one, and of several processes.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "binned.h"
#include "ctx.h"
#include "interface.h"
#include "space.h"

#define OBJECT_MAX (64u << 20)

static int create(struct hmem_interface *interface, uint32_t object, void **state)
{
	struct hmem_space *space = interface->space;
	struct binned *heap = malloc(sizeof(*heap));
	int err;

	if (!heap)
		return hmem_fail(space->ctx, -ENOMEM, "no memory for an interface on %s",
				 space->name);
	err = binned_init(heap, &space->g, interface->number, space->member, object,
			  interface->options.flags & HMEM_INTERFACE_ONE_THREAD);
	if (err) {
		free(heap);
		return hmem_fail(space->ctx, err,
				 "%s: more threads than it can tell apart allocate from it, or there "
				 "is no memory",
				 space->name);
	}
	*state = heap;
	return 0;
}

static int binned_create(struct hmem_interface *interface, void *arg, void **state)
{
	(void)arg;
	return create(interface, 0, state);
}

static bool bury(void *space)
{
	return space_bury(space);
}

static int shared_create(struct hmem_interface *interface, void *arg, void **state)
{
	int err = binned_create(interface, arg, state);
	struct binned *heap;

	if (!err) {
		heap = *state;
		heap->bury = bury;
		heap->bury_arg = interface->space;
		heap->process = getpid();
	}
	return err;
}

static int slab_create(struct hmem_interface *interface, void *arg, void **state)
{
	uint64_t object = interface->options.object;

	(void)arg;
	if (!object || object > OBJECT_MAX)
		return hmem_fail(interface->space->ctx, -EINVAL,
				 "%s: objects of a slab have 1 to %u bytes, not %llu",
				 interface->space->name, OBJECT_MAX, (unsigned long long)object);
	return create(interface, (uint32_t)((object + 15) / 16 * 16), state);
}

static void destroy(void *state)
{
	binned_fini(state);
	free(state);
}

static void *alloc(void *state, size_t bytes, size_t align)
{
	return align <= GRANULE_BLOCK_MIN ? binned_alloc(state, bytes) :
					    binned_alloc_aligned(state, bytes, align);
}

static int give_back(void *state, void *block)
{
	return binned_free(state, block);
}

static size_t usable(const void *state, const void *block)
{
	return binned_size(state, block);
}

static void stats(const void *state, struct hmem_interface_stats *stats)
{
	binned_count(state, &stats->blocks, &stats->bytes);
}

#define BINNED_OPS(name_, create_)                                              \
	{                                                                       \
		.size = sizeof(struct hmem_strategy_ops), .name = (name_),      \
		.create = (create_), .destroy = destroy, .alloc = alloc,        \
		.free = give_back, .usable = usable, .stats = stats,            \
	}

const struct hmem_strategy_ops strategy_binned = BINNED_OPS("binned", binned_create);
const struct hmem_strategy_ops strategy_slab = BINNED_OPS("slab", slab_create);
const struct hmem_strategy_ops strategy_shared = BINNED_OPS("shared", shared_create);
