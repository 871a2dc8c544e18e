// SPDX-License-Identifier: GPL-2.0-only
/* The region that is accessed, and what the module says of it. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tier.h"

#define NAME	"hmem:bench-tier"

const char *target_knobs[64];

static void must(const struct target *t, int rc, const char *what)
{
	if (rc < 0)
		sim_die("%s: %s", what, t->ctx ? hmem_last_error(t->ctx) : strerror(-rc));
}

/*
 * What the module measures of emulated memory says that no move is worth it: it is told what real
 * memory is like, as the simulator is. --knob says otherwise.
 */
static void set_costs(struct target *t)
{
	target_knob(t, "near_ns", 100);
	target_knob(t, "home_ns", 250);
	target_knob(t, "copy_extent_ns", 418000);
	target_knob(t, "copy_page_ns", 1000);
}

static void set_knobs(struct target *t)
{
	for (uint32_t i = 0; target_knobs[i]; i++) {
		const char *equals = strchr(target_knobs[i], '=');
		char name[HMEM_TIER_KNOB_MAX + 1] = "";

		if (!equals || (size_t)(equals - target_knobs[i]) >= sizeof(name))
			sim_die("'%s' is not NAME=VALUE", target_knobs[i]);
		memcpy(name, target_knobs[i], (size_t)(equals - target_knobs[i]));
		target_knob(t, name, strtoull(equals + 1, NULL, 0));
	}
}

void target_open(struct target *t, const char *pool, uint32_t extents, uint64_t near_pages,
		 bool untouched)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_tier_policy policy = { .size = sizeof(policy),
					   .near_max = near_pages * PAGE_BYTES };
	void *base;

	memset(t, 0, sizeof(*t));
	t->extents = extents;
	t->near = sim_alloc((size_t)extents * EXTENT_PAGES, 1);
	options.bytes = extents * EXTENT_BYTES;
	options.pool = pool;
	must(t, hmem_ctx_new(&t->ctx), "libhmem");
	must(t, hmem_region_create(t->ctx, NAME, &options, &t->region), "region");
	/* Before it is mapped, so that stores are seen. */
	must(t, hmem_tier_set(t->region, &policy, HMEM_TIER_SET_NEAR_MAX), "near_max");
	set_costs(t);
	set_knobs(t);
	must(t, hmem_region_map(t->region, 0, 0, &base, NULL), "map");
	t->base = base;
	for (uint32_t i = 0; !untouched && i < extents; i++)
		*target_word(t, i * EXTENT_PAGES, 0) = 1;
}

void target_close(struct target *t)
{
	must(t, hmem_region_unmap(t->region, t->base, t->extents * EXTENT_BYTES), "unmap");
	hmem_region_close(t->region);
	must(t, hmem_region_destroy(t->ctx, NAME), "destroy");
	hmem_ctx_unref(t->ctx);
	free(t->near);
}

void target_mode(struct target *t, enum hmem_tier_mode mode)
{
	struct hmem_tier_policy policy = { .size = sizeof(policy), .mode = mode };

	must(t, hmem_tier_set(t->region, &policy, HMEM_TIER_SET_MODE), "mode");
}

void target_knob(struct target *t, const char *name, uint64_t value)
{
	must(t, hmem_tier_set_knob(t->region, name, value), name);
}

uint32_t target_move(struct target *t, uint32_t first, uint32_t count, enum hmem_tier_place place)
{
	struct hmem_tier_moved moved = { .size = sizeof(moved) };

	must(t, hmem_tier_migrate(t->region, first * EXTENT_BYTES, count * EXTENT_BYTES, place,
				  &moved), "migrate");
	return (uint32_t)(moved.pages[HMEM_TIER_MOVED] / EXTENT_PAGES);
}

/* One cell for each so many bytes; @cells has room for all. */
static void map_near(struct target *t, uint64_t from, uint64_t bytes, uint64_t cell,
		     struct hmem_tier_cell *cells)
{
	size_t n = bytes / cell;

	must(t, hmem_tier_heat(t->region, from, bytes, cell, cells, &n, NULL), "heat");
	if (n != bytes / cell)
		sim_die("the map of heat has %zu cells", n);
}

void target_look_at(struct target *t, uint32_t extent)
{
	struct hmem_tier_cell cells[EXTENT_PAGES];

	map_near(t, extent * EXTENT_BYTES, EXTENT_BYTES, PAGE_BYTES, cells);
	for (uint32_t i = 0; i < EXTENT_PAGES; i++)
		t->near[extent * EXTENT_PAGES + i] = cells[i].near == 255;
}

void target_look(struct target *t, bool pages)
{
	struct hmem_tier_cell *cells = sim_alloc(t->extents, sizeof(*cells));

	map_near(t, 0, t->extents * EXTENT_BYTES, EXTENT_BYTES, cells);
	t->split = target_stats(t).splits;
	for (uint32_t i = 0; i < t->extents; i++)
		if (!t->split)
			memset(t->near + i * EXTENT_PAGES, cells[i].near == 255, EXTENT_PAGES);
		else if (pages)
			target_look_at(t, i);
	free(cells);
}

/* Not by what is near: a split extent of which nothing is looks whole by that. */
bool target_maps_whole(const struct target *t, uint32_t extent)
{
	uint64_t entries[EXTENT_PAGES];
	off_t first = (off_t)((uintptr_t)(t->base + extent * EXTENT_BYTES) / PAGE_BYTES);
	bool whole = true;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, entries, sizeof(entries), first * (off_t)sizeof(*entries)) !=
			      (ssize_t)sizeof(entries))
		sim_die("/proc/self/pagemap");
	close(fd);
	for (uint32_t i = 0; i < EXTENT_PAGES; i++)
		whole = whole && entries[i] >> 63;
	return whole;
}

struct hmem_tier_stats target_stats(struct target *t)
{
	struct hmem_tier_stats stats = { .size = sizeof(stats) };

	must(t, hmem_tier_get_stats(t->region, &stats), "stats");
	return stats;
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
