// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Spaces: the parts of one in its range of addresses, one after the other or by turns.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctx.h"
#include "region.h"
#include "space.h"

/* Pieces of an interleaved space, each of which is a mapping; a process has 65530. */
#define PIECES_MAX 1024

typedef int piece_fn(struct hmem_space *space, struct space_part *part, uint64_t at,
		     uint64_t bytes);

static int in_turn(struct hmem_space *space, struct space_part *parts, uint32_t n, piece_fn *fn)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < n; i++) {
		int err = fn(space, &parts[i], at, parts[i].bytes);

		if (err)
			return err;
		at += parts[i].bytes;
	}
	return 0;
}

/* Pieces of at least 2 MiB, as many as weights say of one part, then of the next. */
static int by_turns(struct hmem_space *space, struct space_part *parts, uint32_t n, piece_fn *fn)
{
	uint64_t piece = SPACE_ALIGN, at = 0;

	while (space->bytes / piece > PIECES_MAX)
		piece *= 2;
	while (at < space->bytes)
		for (uint32_t i = 0; i < n && at < space->bytes; i++) {
			uint64_t bytes = space->bytes - at;
			int err;

			if (bytes / piece >= parts[i].weight)
				bytes = piece * parts[i].weight;
			err = fn(space, &parts[i], at, bytes);
			if (err)
				return err;
			at += bytes;
		}
	return 0;
}

static int count(struct hmem_space *space, struct space_part *part, uint64_t at, uint64_t bytes)
{
	(void)space;
	(void)at;
	part->bytes += bytes;
	return 0;
}

void space_share_out(struct hmem_space *space, struct space_part *parts, uint32_t n)
{
	by_turns(space, parts, n, count);
}

static int map_piece(struct hmem_space *space, struct space_part *part, uint64_t at,
		     uint64_t bytes)
{
	int err;

	if (!part->region)
		return space_bind_node(space, space->base + at, bytes, part->layer.nid);
	err = hmem_region_map_at(part->region, part->laid, bytes, space->base + at);
	part->laid += bytes;
	return err;
}

static int hold_piece(struct hmem_space *space, struct space_part *part, uint64_t at,
		      uint64_t bytes)
{
	return space_hold_node(space, part, space->base + at, bytes);
}

/* In the order of the addresses. */
static int each_piece(struct hmem_space *space, struct space_part *parts, uint32_t n, piece_fn *fn)
{
	return space->flags & HMEM_SPACE_INTERLEAVE ? by_turns(space, parts, n, fn) :
						      in_turn(space, parts, n, fn);
}

static int reserve(struct hmem_space *space)
{
	uint64_t align = space->flags & HMEM_SPACE_KEPT ? SPACE_KEPT_ALIGN : SPACE_ALIGN;
	char *all = mmap(NULL, space->bytes + align, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t before;

	if (all == MAP_FAILED)
		return hmem_fail(space->ctx, -ENOMEM, "%s: no addresses for %llu bytes: %s",
				 space->name, (unsigned long long)space->bytes, strerror(errno));
	before = -(uintptr_t)all % align;
	if (before)
		munmap(all, before);
	munmap(all + before + space->bytes, align - before);
	space->base = all + before;
	return 0;
}

int space_map_parts(struct hmem_space *space, struct space_part *parts, uint32_t n)
{
	int err = reserve(space);

	if (err)
		return err;
	for (uint32_t i = 0; !err && i < n; i++)
		if (parts[i].region)
			err = hmem_region_allocate(parts[i].region, 0, parts[i].bytes);
	if (!err)
		err = each_piece(space, parts, n, map_piece);
	/* System RAM among regions is kept from children with them: half a space is none. */
	if (!err && space->nr_regions)
		err = space_keep_from_children(space, space->base, space->bytes);
	if (!err && space->flags & HMEM_SPACE_POPULATE)
		err = space_populate(space, parts, n);
	if (!err && space->flags & HMEM_SPACE_POPULATE && !(space->flags & HMEM_SPACE_PREFER))
		err = each_piece(space, parts, n, hold_piece);
	if (err) {
		munmap(space->base, space->bytes);
		space->base = NULL;
	}
	return err;
}
