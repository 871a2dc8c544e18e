/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A strategy of a caller's own: blocks of a power of two in granules of their class, larger ones in
 * granules of their own; under a lock, and with all that is known of them beside them.
 *
 * Blocks are aligned to what granules are aligned to, at most.
 */
#ifndef SELFTESTS_HOST_OWN_STRATEGY_H
#define SELFTESTS_HOST_OWN_STRATEGY_H

#include <hmem/hmem.h>

#include <pthread.h>
#include <stdint.h>

#include "tap.h"

/* 32 bytes to 32 KiB: half of the largest granule. */
#define OWN_CLASSES 11
#define OWN_BLOCKS  2048

/*
 * Of each granule that begins something.
 *
 * @bytes: of a block; 0: there is none
 * @most: blocks that there can be
 */
struct own_granule {
	size_t bytes;
	unsigned int most;
	unsigned int blocks;
	uint64_t taken[OWN_BLOCKS / 64];
};

/* @at: of each class, where there was room last */
struct own_strategy {
	pthread_mutex_t lock;
	struct hmem_interface *interface;
	char *base;
	size_t granule;
	size_t count;
	size_t at[OWN_CLASSES];
	uint64_t blocks;
	uint64_t bytes;
	struct own_granule *granules;
};

static int own_create(struct hmem_interface *interface, void *arg, void **state)
{
	struct hmem_space *space = hmem_interface_space(interface);
	struct hmem_space_info info = { .size = sizeof(info) };
	struct own_strategy *own = calloc(1, sizeof(*own));

	(void)arg;
	if (!own || hmem_space_get_info(space, &info))
		tap_bail("no strategy");
	pthread_mutex_init(&own->lock, NULL);
	own->interface = interface;
	own->base = hmem_space_at(space, 1);
	own->granule = info.granule;
	own->count = info.bytes / info.granule;
	own->granules = calloc(own->count, sizeof(*own->granules));
	if (!own->granules)
		tap_bail("no strategy");
	*state = own;
	return 0;
}

static void own_destroy(void *state)
{
	struct own_strategy *own = state;

	pthread_mutex_destroy(&own->lock);
	free(own->granules);
	free(own);
}

/* A granule, or several, with blocks of @bytes; NULL with errno. */
static struct own_granule *own_take(struct own_strategy *own, size_t bytes, unsigned int most)
{
	char *memory = hmem_space_take(own->interface, bytes * most);
	struct own_granule *new;

	if (!memory)
		return NULL;
	new = &own->granules[(size_t)(memory - own->base) / own->granule];
	memset(new, 0, sizeof(*new));
	new->bytes = bytes;
	new->most = most;
	return new;
}

/* Of @class, with room; NULL with errno. */
static struct own_granule *own_find(struct own_strategy *own, unsigned int class)
{
	size_t bytes = (size_t)32 << class;

	for (size_t i = 0; i < own->count; i++) {
		size_t at = (own->at[class] + i) % own->count;
		struct own_granule *g = &own->granules[at];

		if (g->bytes == bytes && g->blocks < g->most) {
			own->at[class] = at;
			return g;
		}
	}
	return own_take(own, bytes, (unsigned int)(own->granule / bytes));
}

static void *own_alloc(void *state, size_t bytes, size_t align)
{
	struct own_strategy *own = state;
	size_t least = bytes > align ? bytes : align, n = 0;
	struct own_granule *g;
	unsigned int class = 0;

	while (class < OWN_CLASSES && (size_t)32 << class < least)
		class++;
	pthread_mutex_lock(&own->lock);
	g = least > own->granule / 2 ? own_take(own, bytes, 1) : own_find(own, class);
	if (g) {
		while (g->taken[n / 64] >> n % 64 & 1)
			n++;
		g->taken[n / 64] |= 1ull << n % 64;
		g->blocks++;
		own->blocks++;
		own->bytes += g->bytes;
	}
	pthread_mutex_unlock(&own->lock);
	return g ? own->base + (size_t)(g - own->granules) * own->granule + n * g->bytes : NULL;
}

/* Under the lock: where a block lies, and which one it is there; NULL: there is none. */
static struct own_granule *own_at(const struct own_strategy *own, const void *block, size_t *n)
{
	size_t offset = (size_t)((const char *)block - own->base), at = offset / own->granule;
	struct own_granule *g;

	if ((const char *)block < own->base || at >= own->count)
		return NULL;
	g = &own->granules[at];
	if (!g->bytes || offset % own->granule % g->bytes)
		return NULL;
	*n = offset % own->granule / g->bytes;
	return g->taken[*n / 64] >> *n % 64 & 1 ? g : NULL;
}

static int own_free(void *state, void *block)
{
	struct own_strategy *own = state;
	struct own_granule *g;
	int err = -EINVAL;
	size_t n;

	pthread_mutex_lock(&own->lock);
	g = own_at(own, block, &n);
	if (g) {
		g->taken[n / 64] &= ~(1ull << n % 64);
		g->blocks--;
		own->blocks--;
		own->bytes -= g->bytes;
		err = 0;
	}
	if (g && !g->blocks) {
		g->bytes = 0;
		err = hmem_space_give(own->interface,
				      own->base + (size_t)(g - own->granules) * own->granule);
	}
	pthread_mutex_unlock(&own->lock);
	return err;
}

static size_t own_usable(const void *state, const void *block)
{
	struct own_strategy *own = (struct own_strategy *)(uintptr_t)state;
	struct own_granule *g;
	size_t n, bytes;

	pthread_mutex_lock(&own->lock);
	g = own_at(own, block, &n);
	bytes = g ? g->bytes : 0;
	pthread_mutex_unlock(&own->lock);
	return bytes;
}

static void own_stats(const void *state, struct hmem_interface_stats *stats)
{
	struct own_strategy *own = (struct own_strategy *)(uintptr_t)state;

	pthread_mutex_lock(&own->lock);
	stats->blocks = own->blocks;
	stats->bytes = own->bytes;
	pthread_mutex_unlock(&own->lock);
}

static const struct hmem_strategy_ops own_ops = {
	.size = sizeof(struct hmem_strategy_ops),
	.name = "own",
	.create = own_create,
	.destroy = own_destroy,
	.alloc = own_alloc,
	.free = own_free,
	.usable = own_usable,
	.stats = own_stats,
};

#endif
