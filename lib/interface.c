// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Interfaces: choosing a strategy, and the calls that go through it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "binned.h"
#include "checked.h"
#include "copy_large.h"
#include "ctx.h"
#include "interface.h"
#include "sized.h"
#include "strategy_mimalloc.h"

#define FIRST_OPTIONS	offsetof(struct hmem_interface_options, ops)
#define FIRST_STATS	sizeof(struct hmem_interface_stats)
#define FIRST_OPS	sizeof(struct hmem_strategy_ops)

#define FLAGS		(HMEM_INTERFACE_ONE_THREAD | HMEM_INTERFACE_CHECKED)
#define ALIGN_MIN	((size_t)GRANULE_BLOCK_MIN)

/* --- memory of the space ------------------------------------------------------------- */

/* Taken once: a thread that comes second gives its own back. */
static unsigned int owner_of(struct hmem_interface *interface)
{
	struct granules *g = &interface->space->g;
	unsigned int owner = atomic_load(&interface->owner), none = 0, mine;

	if (owner)
		return owner;
	mine = granules_join(g, interface->space->member);
	if (!mine)
		return 0;
	if (atomic_compare_exchange_strong(&interface->owner, &none, mine))
		return mine;
	granules_leave(g, mine);
	return none;
}

/* The largest power of two, up to SPACE_ALIGN, that addresses of granules can be a multiple of. */
static size_t most_align(const struct hmem_space *space)
{
	uintptr_t lowest = (uintptr_t)space->g.base & -(uintptr_t)space->g.base;

	return lowest && lowest < SPACE_ALIGN ? lowest : SPACE_ALIGN;
}

void *interface_take(struct hmem_interface *interface, size_t bytes, size_t align)
{
	struct granules *g = &interface->space->g;
	unsigned int owner = owner_of(interface);
	size_t granule = (size_t)1 << g->shift;
	uint32_t n;
	int64_t at;

	if (!owner || bytes > g->count << g->shift) {
		errno = owner ? ENOSPC : EUSERS;
		return NULL;
	}
	n = (uint32_t)((bytes + granule - 1) >> g->shift);
	at = granules_claim(g, n, align > granule ? (uint32_t)(align >> g->shift) : 1, owner);
	if (at < 0) {
		errno = (int)-at;
		return NULL;
	}
	granules_settle(g, (uint64_t)at,
			granule_word(GRANULE_HEAD, GRANULE_RUN, interface->number, GRANULE_NOBODY, n),
			owner);
	return granule_address(g, (uint64_t)at);
}

void interface_rest(struct hmem_interface *interface, uint64_t first, uint64_t behind,
		    uint64_t most)
{
	struct granules *g = &interface->space->g;
	unsigned int owner = owner_of(interface);
	uint64_t at = first, n = 0;

	while (at < behind) {
		uint64_t word = atomic_load_explicit(&g->words[at], memory_order_acquire);
		uint64_t length = granule_state(word) == GRANULE_HEAD ? granule_length(word) : 1;

		if (granule_state(word) == GRANULE_HEAD &&
		    granule_interface(word) == interface->number) {
			if (granule_use(word) == GRANULE_RUN && n + length <= most &&
			    granules_rest(g, at, word))
				n += length;
			else
				granules_release(g, at, word, owner);
		}
		at += length;
	}
}

void interface_give_all(struct hmem_interface *interface)
{
	unsigned int owner = owner_of(interface);

	granules_release_interface(&interface->space->g, interface->number, owner);
}

static bool is_taken(const struct hmem_interface *interface, const void *memory, uint64_t *head,
		     uint64_t *word)
{
	const struct granules *g = &interface->space->g;

	*head = granule_of(g, memory, word);
	return granule_state(*word) == GRANULE_HEAD &&
	       granule_interface(*word) == interface->number && granule_address(g, *head) == memory;
}

size_t interface_taken(const struct hmem_interface *interface, const void *memory)
{
	uint64_t head, word;

	return is_taken(interface, memory, &head, &word) ?
		       (size_t)granule_length(word) << interface->space->g.shift :
		       0;
}

int interface_give(struct hmem_interface *interface, void *memory)
{
	uint64_t head, word;

	if (!is_taken(interface, memory, &head, &word))
		return -EINVAL;
	return granules_release(&interface->space->g, head, word, owner_of(interface)) ? 0 :
											 -EINVAL;
}

/* The library's strategies know what all is that their interface has. */
static bool is_own(const struct hmem_interface *interface)
{
	return interface->options.strategy == HMEM_STRATEGY_CUSTOM;
}

void *hmem_space_take(struct hmem_interface *interface, size_t bytes)
{
	if (!interface || !is_own(interface)) {
		errno = EINVAL;
		return NULL;
	}
	return interface_take(interface, bytes ? bytes : 1, ALIGN_MIN);
}

int hmem_space_give(struct hmem_interface *interface, void *memory)
{
	if (!interface)
		return -EINVAL;
	if (!is_own(interface) || !interface_taken(interface, memory))
		return hmem_fail(interface->space->ctx, -EINVAL,
				 "%s: %p was not taken by this interface", interface->space->name,
				 memory);
	return interface_give(interface, memory);
}

/* --- interfaces ---------------------------------------------------------------------- */

static const struct hmem_strategy_ops *ops_of(struct hmem_space *space,
					      const struct hmem_interface_options *options)
{
	switch (options->strategy) {
	case HMEM_STRATEGY_GENERAL:
		return strategy_mimalloc_fits(space) ? &strategy_mimalloc : &strategy_binned;
	case HMEM_STRATEGY_BINNED:
		return &strategy_binned;
	case HMEM_STRATEGY_SLAB:
		return &strategy_slab;
	case HMEM_STRATEGY_BUMP:
		return &strategy_bump;
	case HMEM_STRATEGY_SHARED:
		return &strategy_shared;
	case HMEM_STRATEGY_CUSTOM:
		return options->ops;
	default:
		return NULL;
	}
}

static int choose(struct hmem_space *space, const struct hmem_interface_options *options,
		  struct hmem_strategy_ops *ops)
{
	const struct hmem_strategy_ops *from = ops_of(space, options);
	bool shared = options->strategy == HMEM_STRATEGY_SHARED;
	struct hmem_ctx *ctx = space->ctx;
	int err;

	if (options->flags & ~FLAGS)
		return hmem_fail(ctx, -EINVAL, "interfaces have no flags 0x%x",
				 options->flags & ~FLAGS);
	if (!from)
		return hmem_fail(ctx, -EINVAL,
				 options->strategy == HMEM_STRATEGY_CUSTOM ?
					 "a strategy of the caller's own needs its functions" :
					 "there is no strategy %u",
				 options->strategy);
	if (shared != !!(space->flags & HMEM_SPACE_SHARED))
		return hmem_fail(ctx, -EOPNOTSUPP,
				 shared ? "%s is not shared: its processes are this one" :
					  "%s is shared: its interfaces are of strategy shared",
				 space->name);
	if (shared && options->flags & HMEM_INTERFACE_CHECKED)
		return hmem_fail(ctx, -EOPNOTSUPP,
				 "%s is shared: blocks of other processes cannot be checked",
				 space->name);
	err = hmem_sized_read(ctx, "struct hmem_strategy_ops", ops, sizeof(*ops), FIRST_OPS, from);
	if (err)
		return err;
	if (!ops->create || !ops->destroy || !ops->alloc || !ops->free || !ops->usable)
		return hmem_fail(ctx, -EINVAL,
				 "a strategy needs create, destroy, alloc, free and usable");
	return 0;
}

/* Without its strategy. */
static void interface_drop(struct hmem_interface *interface)
{
	/* What is shared is of others as well. */
	if (interface->options.strategy != HMEM_STRATEGY_SHARED) {
		interface_give_all(interface);
		granules_leave(&interface->space->g, interface->owner);
	}
	space_number_give(interface->space, interface->number);
	space_count_interfaces(interface->space, -1);
	hmem_space_unref(interface->space);
	free(interface);
}

static void read_defaults(struct hmem_space *space, struct hmem_interface_options *use)
{
	pthread_mutex_lock(&space->lock);
	if (space->defaults.size)
		*use = space->defaults;
	else if (space->flags & HMEM_SPACE_SHARED)
		use->strategy = HMEM_STRATEGY_SHARED;
	pthread_mutex_unlock(&space->lock);
}

int hmem_interface_create(struct hmem_space *space, const struct hmem_interface_options *options,
			  struct hmem_interface **interface)
{
	struct hmem_interface_options use = HMEM_INTERFACE_OPTIONS_INIT;
	struct hmem_interface *new;
	int err = 0;

	if (!space)
		return -EINVAL;
	if (!interface)
		return hmem_fail(space->ctx, -EINVAL, "no place for the handle of an interface");
	if (options)
		err = hmem_sized_read(space->ctx, "struct hmem_interface_options", &use,
				      sizeof(use), FIRST_OPTIONS, options);
	else
		read_defaults(space, &use);
	if (err)
		return err;
	new = calloc(1, sizeof(*new));
	if (!new)
		return hmem_fail(space->ctx, -ENOMEM, "no memory for an interface on %s",
				 space->name);
	err = choose(space, &use, &new->ops);
	if (err) {
		free(new);
		return err;
	}
	if (use.strategy != HMEM_STRATEGY_SHARED && checked_everywhere())
		use.flags |= HMEM_INTERFACE_CHECKED;
	if (use.flags & HMEM_INTERFACE_CHECKED) {
		new->beneath = new->ops;
		new->ops = strategy_checked;
	}
	new->number = space_number_take(space);
	if (!new->number) {
		free(new);
		return hmem_fail(space->ctx, -EUSERS, "%s has %u interfaces, which is the most",
				 space->name, GRANULE_INTERFACES - 1);
	}
	space_count_interfaces(space, 1);
	atomic_init(&new->refs, 1);
	new->space = hmem_space_ref(space);
	new->options = use;
	err = new->ops.create(new, use.arg, &new->state);
	if (err) {
		interface_drop(new);
		return err;
	}
	if (new->ops.alloc == strategy_binned.alloc)
		new->binned = new->state;
	*interface = new;
	return 0;
}

int hmem_space_set_interface(struct hmem_space *space, const struct hmem_interface_options *options)
{
	struct hmem_interface_options use = { .size = 0 };
	struct hmem_interface *trial;
	int err;

	if (!space)
		return -EINVAL;
	if (options) {
		err = hmem_interface_create(space, options, &trial);
		if (err)
			return err;
		use = trial->options;
		use.size = sizeof(use);
		hmem_interface_unref(trial);
	}
	pthread_mutex_lock(&space->lock);
	space->defaults = use;
	pthread_mutex_unlock(&space->lock);
	return 0;
}

struct hmem_interface *hmem_interface_ref(struct hmem_interface *interface)
{
	if (!interface)
		return NULL;
	atomic_fetch_add_explicit(&interface->refs, 1, memory_order_relaxed);
	return interface;
}

void hmem_interface_unref(struct hmem_interface *interface)
{
	if (!interface ||
	    atomic_fetch_sub_explicit(&interface->refs, 1, memory_order_acq_rel) != 1)
		return;
	interface->ops.destroy(interface->state);
	interface_drop(interface);
}

struct hmem_space *hmem_interface_space(const struct hmem_interface *interface)
{
	return interface ? interface->space : NULL;
}

int hmem_interface_get_stats(const struct hmem_interface *interface,
			     struct hmem_interface_stats *stats)
{
	struct hmem_interface_stats now = { .size = sizeof(now) };
	int err;

	if (!interface)
		return -EINVAL;
	if (!stats)
		return hmem_fail(interface->space->ctx, -EINVAL,
				 "no place for what is allocated");
	err = hmem_sized_check(interface->space->ctx, "struct hmem_interface_stats", stats,
			       FIRST_STATS);
	if (err)
		return err;
	if (interface->ops.stats)
		interface->ops.stats(interface->state, &now);
	now.held = granules_of_interface(&interface->space->g, interface->number)
		   << interface->space->g.shift;
	hmem_sized_write(stats, &now, sizeof(now));
	return 0;
}

int hmem_interface_reset(struct hmem_interface *interface)
{
	if (!interface)
		return -EINVAL;
	if (interface->options.strategy != HMEM_STRATEGY_BUMP)
		return hmem_fail(interface->space->ctx, -EOPNOTSUPP,
				 "%s: only interfaces of strategy bump are reset",
				 interface->space->name);
	strategy_bump_reset(interface_is_checked(interface) ? checked_reset(interface->state) :
							      interface->state);
	return 0;
}

/* --- blocks -------------------------------------------------------------------------- */

void *hmem_malloc(struct hmem_interface *interface, size_t bytes)
{
	/* The way that most go is as short as it can be. */
	if (__builtin_expect(interface->binned != NULL, 1))
		return binned_alloc(interface->binned, bytes);
	return interface->ops.alloc(interface->state, bytes ? bytes : 1, ALIGN_MIN);
}

void *hmem_calloc(struct hmem_interface *interface, size_t n, size_t bytes)
{
	size_t all;
	void *block;

	if (__builtin_mul_overflow(n, bytes, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	block = hmem_malloc(interface, all);
	if (block)
		memset(block, 0, all);
	return block;
}

void *hmem_aligned_alloc(struct hmem_interface *interface, size_t align, size_t bytes)
{
	if (!align || align & (align - 1) || align > most_align(interface->space)) {
		errno = EINVAL;
		return NULL;
	}
	return interface->ops.alloc(interface->state, bytes ? bytes : 1,
				    align < ALIGN_MIN ? ALIGN_MIN : align);
}

void *hmem_realloc(struct hmem_interface *interface, void *block, size_t bytes)
{
	size_t has;
	void *new;
	int err;

	if (!block)
		return hmem_malloc(interface, bytes);
	if (interface->options.strategy == HMEM_STRATEGY_BUMP) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	has = interface->ops.usable(interface->state, block);
	if (!has) {
		errno = EINVAL;
		return NULL;
	}
	if (interface_has_enough(interface, has, bytes))
		return block;
	new = hmem_malloc(interface, bytes);
	if (!new)
		return NULL;
	copy_bytes(new, block, bytes < has ? bytes : has);
	err = interface->ops.free(interface->state, block);
	if (!err)
		return new;
	interface->ops.free(interface->state, new);
	errno = -err;
	return NULL;
}

static __attribute__((noinline, cold)) int not_freed(const struct hmem_interface *interface,
						      const void *block, int err)
{
	const struct granules *g = &interface->space->g;
	uint64_t word;

	granule_of(g, block, &word);
	return hmem_fail(interface->space->ctx, err,
			 err == -EALREADY  ? "%s: %p is not allocated, it was freed before" :
			 err == -EOVERFLOW ? "%s: %p was written beyond its end" :
			 granule_state(word) == GRANULE_HEAD &&
					 granule_interface(word) != interface->number ?
					     "%s: %p is of another interface" :
					     "%s: %p is no block of this interface",
			 interface->space->name, block);
}

int hmem_free(struct hmem_interface *interface, void *block)
{
	int err;

	if (!block)
		return 0;
	if (__builtin_expect(interface->binned != NULL, 1))
		err = binned_free(interface->binned, block);
	else
		err = interface->ops.free(interface->state, block);
	return __builtin_expect(err, 0) ? not_freed(interface, block, err) : 0;
}

size_t hmem_usable_size(const struct hmem_interface *interface, const void *block)
{
	return block ? interface->ops.usable(interface->state, block) : 0;
}
