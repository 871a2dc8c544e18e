// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Spaces of system RAM: memory of the process, each part bound to its node.
 *
 * Bound by mbind(2), asked for without libnuma, which would be a dependency for two calls.
 */
#include <errno.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ctx.h"
#include "space.h"

/* Pieces of an interleaved space, each of which is a mapping; a process has 65530. */
#define PIECES_MAX 1024

#define NODES_MAX 1024
#define BITS	  (8 * sizeof(unsigned long))

static int bind_node(struct hmem_space *space, char *from, uint64_t bytes, int nid)
{
	unsigned long mask[NODES_MAX / BITS] = { 0 };
	int mode = space->flags & HMEM_SPACE_PREFER ? MPOL_PREFERRED : MPOL_BIND;

	if (nid < 0 || nid >= NODES_MAX)
		return hmem_fail(space->ctx, -EINVAL, "%s: node %d is no node", space->name, nid);
	mask[(unsigned int)nid / BITS] = 1ul << (unsigned int)nid % BITS;
	/* The kernel takes one bit less than it is told. */
	if (syscall(SYS_mbind, from, bytes, mode, mask, (unsigned long)NODES_MAX + 1, 0)) {
		int err = -errno;

		/* A kernel without NUMA has but one node. */
		if (err == -ENOSYS && !nid)
			return 0;
		return hmem_fail(space->ctx, err == -EINVAL ? -EPERM : err,
				 "%s: the kernel does not bind memory to node %d: %s; see Mems_allowed "
				 "in /proc/self/status",
				 space->name, nid, strerror(-err));
	}
	return 0;
}

static int bind_in_turn(struct hmem_space *space, const struct space_part *parts, uint32_t n)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < n; i++) {
		int err = bind_node(space, space->base + at, parts[i].bytes, parts[i].layer.nid);

		if (err)
			return err;
		at += parts[i].bytes;
	}
	return 0;
}

/* Pieces of at least 2 MiB, as many as weights say of one node, then of the next. */
static int bind_interleaved(struct hmem_space *space, const struct space_part *parts, uint32_t n)
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
			err = bind_node(space, space->base + at, bytes, parts[i].layer.nid);
			if (err)
				return err;
			at += bytes;
		}
	return 0;
}

/* Bytes of the space that part @i gets. */
static uint64_t bytes_of(const struct hmem_space *space, const struct space_part *parts,
			 uint32_t n, uint32_t i)
{
	double weights = 0;

	if (!(space->flags & HMEM_SPACE_INTERLEAVE))
		return parts[i].bytes;
	for (uint32_t j = 0; j < n; j++)
		weights += parts[j].weight;
	return (uint64_t)((double)space->bytes * parts[i].weight / weights);
}

/*
 * A node that has not enough is not tried: who takes its last pages makes the kernel look for
 * somebody to kill.
 */
static int check_room(struct hmem_space *space, const struct space_part *parts, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t wanted = 0;

		for (uint32_t j = 0; j < n; j++)
			if (parts[j].layer.nid == parts[i].layer.nid)
				wanted += bytes_of(space, parts, n, j);
		if (parts[i].layer.free.origin != HMEM_ORIGIN_NONE &&
		    wanted > parts[i].layer.free.value)
			return hmem_fail(space->ctx, -ENOSPC,
					 "%s: layer %s has %llu bytes free, not %llu", space->name,
					 parts[i].layer.name,
					 (unsigned long long)parts[i].layer.free.value,
					 (unsigned long long)wanted);
	}
	return 0;
}

/* MAP_POPULATE would come before the node is known. */
static int populate(struct hmem_space *space, const struct space_part *parts, uint32_t n)
{
	int bad;

	if (!(space->flags & HMEM_SPACE_POPULATE))
		return 0;
	bad = space->flags & HMEM_SPACE_PREFER ? 0 : check_room(space, parts, n);
	if (bad)
		return bad;
	if (madvise(space->base, space->bytes, MADV_POPULATE_WRITE)) {
		int err = errno == EFAULT || errno == ENOMEM ? -ENOSPC : -errno;

		return hmem_fail(space->ctx, err, "%s: there are no %llu bytes: %s", space->name,
				 (unsigned long long)space->bytes, strerror(errno));
	}
	return 0;
}

int space_map_nodes(struct hmem_space *space, const struct space_part *parts, uint32_t n)
{
	uint64_t align = space->flags & HMEM_SPACE_KEPT ? SPACE_KEPT_ALIGN : SPACE_ALIGN;
	char *all = mmap(NULL, space->bytes + align, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t before;
	int err;

	if (all == MAP_FAILED)
		return hmem_fail(space->ctx, -ENOMEM, "%s: no addresses for %llu bytes: %s",
				 space->name, (unsigned long long)space->bytes, strerror(errno));
	before = -(uintptr_t)all % align;
	if (before)
		munmap(all, before);
	munmap(all + before + space->bytes, align - before);
	space->base = all + before;
	err = space->flags & HMEM_SPACE_INTERLEAVE ? bind_interleaved(space, parts, n) :
						     bind_in_turn(space, parts, n);
	if (!err)
		err = populate(space, parts, n);
	if (err) {
		munmap(space->base, space->bytes);
		space->base = NULL;
	}
	return err;
}
