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

#define NODES_MAX 1024

/* Room that pages have to have which came from elsewhere, and are few. */
#define MOVED	  (64ull << 20)

#define BITS	  (8 * sizeof(unsigned long))

/* Return: 0, or what mbind(2) has. */
static int bind_node(char *from, uint64_t bytes, int nid, int mode, unsigned int flags)
{
	unsigned long mask[NODES_MAX / BITS] = { 0 };

	mask[(unsigned int)nid / BITS] = 1ul << (unsigned int)nid % BITS;
	/* The kernel takes one bit less than it is told. */
	if (!syscall(SYS_mbind, from, bytes, mode, mask, (unsigned long)NODES_MAX + 1, flags))
		return 0;
	/* A kernel without NUMA has but one node. */
	return errno == ENOSYS && !nid ? 0 : -errno;
}

/* What is populated is preferred until it is there (space_hold_node()). */
int space_bind_node(struct hmem_space *space, char *from, uint64_t bytes, int nid)
{
	bool other_nodes = space->flags & (HMEM_SPACE_PREFER | HMEM_SPACE_POPULATE);
	int err;

	if (nid < 0 || nid >= NODES_MAX)
		return hmem_fail(space->ctx, -EINVAL, "%s: node %d is no node", space->name, nid);
	err = bind_node(from, bytes, nid, other_nodes ? MPOL_PREFERRED : MPOL_BIND, 0);
	if (!err)
		return 0;
	return hmem_fail(space->ctx, err == -EINVAL ? -EPERM : err,
			 "%s: the kernel does not bind memory to node %d: %s; see Mems_allowed "
			 "in /proc/self/status",
			 space->name, nid, strerror(-err));
}

/* Has the layer, by now, so many bytes beside what was taken? */
static bool has_room(struct hmem_space *space, const char *layer, uint64_t bytes)
{
	struct hmem_layer_wanted wanted = HMEM_LAYER_WANTED_INIT;
	size_t nr = 0;

	wanted.name = layer;
	wanted.bytes = bytes;
	return !hmem_layer_select(space->ctx, &wanted, NULL, &nr);
}

/*
 * Binds what is populated, now that the kernel need not end anybody for want of a page. Some may
 * have come from other nodes: for the last pages, which the kernel keeps to itself, or because
 * large pages were nearer to be had there. Those are moved, but not to a node without room, as the
 * kernel's log complains of each that cannot be.
 */
int space_hold_node(struct hmem_space *space, const struct space_part *part, char *from,
		    uint64_t bytes)
{
	int nid = part->layer.nid, err = bind_node(from, bytes, nid, MPOL_BIND, MPOL_MF_STRICT);

	if (err == -EIO && has_room(space, part->layer.name, bytes < MOVED ? bytes : MOVED))
		err = bind_node(from, bytes, nid, MPOL_BIND, MPOL_MF_STRICT | MPOL_MF_MOVE);
	if (err == -EIO)
		return hmem_fail(space->ctx, -ENOSPC,
				 "%s: layer %s cannot give all of its part: some pages came from "
				 "other nodes",
				 space->name, part->layer.name);
	return err ? hmem_fail(space->ctx, err, "%s: populated memory is not bound to node %d: %s",
			       space->name, nid, strerror(-err)) :
		     0;
}

/* A node that has not enough is not tried: what is missing would be taken from others meanwhile. */
int space_check_room(struct hmem_space *space, const struct space_part *parts, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t wanted = 0;

		if (parts[i].region)
			continue;
		for (uint32_t j = 0; j < n; j++)
			if (!parts[j].region && parts[j].layer.nid == parts[i].layer.nid)
				wanted += parts[j].bytes;
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
int space_populate(struct hmem_space *space, const struct space_part *parts, uint32_t n)
{
	int bad = space->flags & HMEM_SPACE_PREFER ? 0 : space_check_room(space, parts, n);

	if (bad)
		return bad;
	if (madvise(space->base, space->bytes, MADV_POPULATE_WRITE)) {
		int err = errno == EFAULT || errno == ENOMEM ? -ENOSPC : -errno;

		return hmem_fail(space->ctx, err, "%s: there are no %llu bytes: %s", space->name,
				 (unsigned long long)space->bytes, strerror(errno));
	}
	return 0;
}
