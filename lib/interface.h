/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an interface is inside the library, and the strategies that it brings along.
 */
#ifndef LIB_INTERFACE_H
#define LIB_INTERFACE_H

#include <stdatomic.h>
#include <stdbool.h>

#include <hmem/interface.h>

#include "space.h"

/*
 * @beneath: in checked mode, the strategy that is checked
 * @binned: the state, of strategies that are binned; else NULL
 * @number: in the words of granules that it has
 * @owner: with which it takes granules for a strategy that has none of its own; 0: none yet
 */
struct hmem_interface {
	struct hmem_strategy_ops ops;
	struct hmem_strategy_ops beneath;
	void *state;
	struct binned *binned;
	atomic_uint refs;
	unsigned int number;
	_Atomic unsigned int owner;
	struct hmem_space *space;
	struct hmem_interface_options options;
};

/* In checked mode it knows all its blocks. */
static inline bool interface_is_checked(const struct hmem_interface *interface)
{
	return interface->options.flags & HMEM_INTERFACE_CHECKED;
}

/*
 * Whether a block of @has bytes will do for @bytes, which is not worth a copy. In checked mode its
 * end is where it was asked for.
 */
static inline bool interface_has_enough(const struct hmem_interface *interface, size_t has,
					size_t bytes)
{
	if (interface_is_checked(interface))
		return bytes == has;
	return bytes <= has && bytes >= has / 2;
}

extern const struct hmem_strategy_ops strategy_binned;
extern const struct hmem_strategy_ops strategy_slab;
extern const struct hmem_strategy_ops strategy_bump;
extern const struct hmem_strategy_ops strategy_shared;

/*
 * Granules of the interface's own; @align up to what the space's memory has. NULL with errno. By
 * one thread at a time, or more.
 */
void *interface_take(struct hmem_interface *interface, size_t bytes, size_t align);

/* Give one back: 0; -EINVAL: @memory was not taken so. Bytes of one: 0: it was not. */
int interface_give(struct hmem_interface *interface, void *memory);
size_t interface_taken(const struct hmem_interface *interface, const void *memory);

/*
 * Of what it has between two granules, up to @most granules are idle then, and the rest goes back
 * to the space; so does what was idle before. Nobody uses it.
 */
void interface_rest(struct hmem_interface *interface, uint64_t first, uint64_t behind,
		    uint64_t most);

/* All that it has goes back to the space. Nobody uses it. */
void interface_give_all(struct hmem_interface *interface);

/* Free all blocks of a bump interface. */
void strategy_bump_reset(void *state);

#endif
