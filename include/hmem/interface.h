/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Interfaces: allocating from a space, by one strategy or another.
 *
 *   binned	blocks of about 50 sizes; anything larger is granules of its own
 *   slab	objects of one size
 *   bump	one behind the other, given back all at once
 *   general	what suits most: binned; on a space that is kept, mimalloc, where its library
 *		(version 2 or 3) is there and finds 64 MiB in one piece for each of up to 16
 *		arenas; version 2 takes 32 MiB for each thread. Then what is not freed stays when
 *		the interface goes, and what is no block, or was freed before, is not found but in
 *		checked mode; save blocks above 16 MiB, with version 3 those aligned to more than
 *		16 bytes, and those for which no arena has room, which are binned
 *   shared	binned, of a space that processes share, and the only one there: a block may be
 *		freed by another process than allocated it. Whoever dies, at any instant, holds
 *		nobody up; what he had allocated stays so
 *
 * Blocks are multiples of 16 bytes, and aligned to as many.
 *
 * Checked mode, by HMEM_INTERFACE_CHECKED or, for all interfaces but shared ones, by HMEM_CHECKED=1
 * in the environment, knows each block and has 16 bytes behind it (slab: what is left of the
 * object): whatever is freed twice, through the wrong interface, in bump also, or was written
 * beyond its end is refused, and handles (allocation.h) of memory that was freed behind their back.
 * A block has as many bytes there as were asked for, after hmem_realloc() as well. It is slow: about
 * a table and a lock.
 *
 * Threading: functions may be called from any thread, and a block may be freed by another thread
 * than allocated it, unless the interface has HMEM_INTERFACE_ONE_THREAD: then only one call may
 * be under way at a time. Nobody may use an interface whose last reference is given back.
 */
#ifndef HMEM_INTERFACE_H
#define HMEM_INTERFACE_H

#include <stddef.h>
#include <stdint.h>

#include <hmem/context.h>
#include <hmem/space.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hmem_interface;

enum hmem_strategy {
	HMEM_STRATEGY_GENERAL,
	HMEM_STRATEGY_BINNED,
	HMEM_STRATEGY_SLAB,
	HMEM_STRATEGY_BUMP,
	HMEM_STRATEGY_SHARED,
	HMEM_STRATEGY_CUSTOM,	/* a caller's */
};

/* In struct hmem_interface_options */
#define HMEM_INTERFACE_ONE_THREAD	(1u << 0)
#define HMEM_INTERFACE_CHECKED		(1u << 1)	/* what programs do wrong is found */

struct hmem_strategy_ops;

/**
 * struct hmem_interface_options - how to allocate
 * @size: sizeof(struct hmem_interface_options)
 * @strategy: enum hmem_strategy
 * @flags: HMEM_INTERFACE_*
 * @object: slab: bytes of an object, up to 64 MiB
 * @ops: HMEM_STRATEGY_CUSTOM: the strategy
 * @arg: HMEM_STRATEGY_CUSTOM: handed to its create()
 */
struct hmem_interface_options {
	size_t size;
	uint32_t strategy;
	uint32_t flags;
	uint64_t object;
	const struct hmem_strategy_ops *ops;
	void *arg;
};
#define HMEM_INTERFACE_OPTIONS_INIT \
	{ sizeof(struct hmem_interface_options), HMEM_STRATEGY_GENERAL, 0, 0, NULL, NULL }

/**
 * struct hmem_interface_stats - what is allocated
 * @size: sizeof(struct hmem_interface_stats), set by the caller
 * @blocks: that are allocated; bump: since the last reset
 * @bytes: that these have, which may be more than was asked for; 0: not known, of mimalloc
 * @held: bytes of the space that the interface has; what it has freed and keeps for a while is not
 *	its own: who needs it gets it
 */
struct hmem_interface_stats {
	size_t size;
	uint64_t blocks;
	uint64_t bytes;
	uint64_t held;
};

/**
 * struct hmem_strategy_ops - a strategy of a caller's own
 * @size: sizeof(struct hmem_strategy_ops)
 * @name: what it is called
 * @create: make what it needs; it gets its memory by hmem_space_take()
 * @destroy: nobody uses it any more; what it took of the space is given back by the library
 * @alloc: at least @bytes (1 or more), a multiple of @align (a power of two, 16 or more); NULL
 *	with errno when there are none
 * @free: 0 or a negative errno
 * @usable: bytes of the block; 0: none is there
 * @stats: fill in blocks and bytes; NULL: they stay 0
 *
 * @state is what @create made. Calls may come from several threads at once unless the interface
 * is for one.
 */
struct hmem_strategy_ops {
	size_t size;
	const char *name;
	int (*create)(struct hmem_interface *interface, void *arg, void **state);
	void (*destroy)(void *state);
	void *(*alloc)(void *state, size_t bytes, size_t align);
	int (*free)(void *state, void *block);
	size_t (*usable)(const void *state, const void *block);
	void (*stats)(const void *state, struct hmem_interface_stats *stats);
};

/**
 * hmem_interface_create - allocate from a space
 * @options: NULL: what hmem_space_set_interface() said, or general; shared on a space that is
 * @interface: where to put the handle; written only on success
 *
 * Return: 0; -EINVAL (a strategy or flags that there are not, a size of objects that is none),
 * -EUSERS (a space has at most 1023 interfaces, or has no owner left for one), -EOPNOTSUPP (shared
 * on a space that is not, or another one on a space that is; shared and checked), -ENOMEM, -E2BIG.
 */
HMEM_API int hmem_interface_create(struct hmem_space *space,
				   const struct hmem_interface_options *options,
				   struct hmem_interface **interface);

/**
 * hmem_space_set_interface - what hmem_interface_create() makes of a space without options
 * @options: NULL: general again, or shared where the space is
 *
 * One is made so, and given up, to find what is wrong. Interfaces that are there stay as they are.
 *
 * Return: as hmem_interface_create().
 */
HMEM_API int hmem_space_set_interface(struct hmem_space *space,
				      const struct hmem_interface_options *options);

/** hmem_interface_ref - one more reference; NULL: nothing happens. Return: @interface. */
HMEM_API struct hmem_interface *hmem_interface_ref(struct hmem_interface *interface);

/**
 * hmem_interface_unref - one less; with the last one all its blocks are gone
 * @interface: NULL: nothing happens
 *
 * Those of a shared one stay, for other processes, and for who has the space next.
 */
HMEM_API void hmem_interface_unref(struct hmem_interface *interface);

/** hmem_interface_space - the space that it allocates from; no reference is taken */
HMEM_API struct hmem_space *hmem_interface_space(const struct hmem_interface *interface);

/** hmem_interface_get_stats - what is allocated. Return: 0 or -EINVAL. */
HMEM_API int hmem_interface_get_stats(const struct hmem_interface *interface,
				      struct hmem_interface_stats *stats);

/**
 * hmem_malloc - a block
 * @bytes: at least; 0 is as 1
 *
 * Return: the block, whose content is anything; NULL with errno: ENOSPC (the space has no room
 * for it, or slab: it is larger than an object), EDQUOT (the limit of the space), EUSERS (more
 * threads than the space can tell apart: half as many as it has granules, 63 at least, 4095 at
 * most), ENOMEM (no memory for bookkeeping, or no key for threads, of which a process has 1024).
 */
HMEM_API void *hmem_malloc(struct hmem_interface *interface, size_t bytes);

/** hmem_calloc - @n times @bytes of zeroes. As hmem_malloc(); errno ENOMEM also: that overflows. */
HMEM_API void *hmem_calloc(struct hmem_interface *interface, size_t n, size_t bytes);

/**
 * hmem_aligned_alloc - a block whose address is a multiple of @align
 * @align: a power of two, up to 2 MiB. slab: one that the size of objects is a multiple of, or 16
 *
 * As hmem_malloc(); errno EINVAL also: @align is something else.
 */
HMEM_API void *hmem_aligned_alloc(struct hmem_interface *interface, size_t align, size_t bytes);

/**
 * hmem_realloc - a block of another size, with the same content as far as both reach
 * @block: gone if another one is returned, whose address is a multiple of 16 and no more; NULL: as
 *	hmem_malloc()
 *
 * Return: as hmem_malloc(); where that is NULL @block is as it was. errno EINVAL also: there is
 * no such block; EOPNOTSUPP: bump, where nobody knows how large a block is.
 */
HMEM_API void *hmem_realloc(struct hmem_interface *interface, void *block, size_t bytes);

/**
 * hmem_free - give a block back
 * @block: NULL: nothing happens. bump: nothing happens before hmem_interface_reset().
 *
 * Return: 0; -EINVAL (it is no block of this interface), -EALREADY (it was free, and nobody has
 * been given it since; in checked mode nobody of this interface's), -EOVERFLOW (checked mode: it was
 * written beyond its end). Nothing is done then. Without checked mode two threads that free one
 * block at the same instant may both be told 0; that is a bug of theirs which is not found, and a
 * later owner may lose it.
 */
HMEM_API int hmem_free(struct hmem_interface *interface, void *block);

/** hmem_usable_size - bytes that a block has; 0: none is there, or bump, which does not know */
HMEM_API size_t hmem_usable_size(const struct hmem_interface *interface, const void *block);

/**
 * hmem_interface_reset - free all blocks at once
 *
 * While nobody else uses the interface.
 *
 * Return: 0; -EOPNOTSUPP (not bump).
 */
HMEM_API int hmem_interface_reset(struct hmem_interface *interface);

/**
 * hmem_space_take - memory for a strategy of a caller's own
 * @bytes: rounded up to granules
 *
 * Return: as hmem_malloc(); errno EINVAL also: no interface, or none of HMEM_STRATEGY_CUSTOM.
 */
HMEM_API void *hmem_space_take(struct hmem_interface *interface, size_t bytes);

/** hmem_space_give - give back what hmem_space_take() returned. Return: 0 or -EINVAL. */
HMEM_API int hmem_space_give(struct hmem_interface *interface, void *memory);

#ifdef __cplusplus
}
#endif
#endif
