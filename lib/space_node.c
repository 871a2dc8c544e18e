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
#define BITS	  (8 * sizeof(unsigned long))

int space_bind_node(struct hmem_space *space, char *from, uint64_t bytes, int nid)
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

/*
 * A node that has not enough is not tried: who takes its last pages makes the kernel look for
 * somebody to kill.
 */
int space_check_room(struct hmem_space *space, const struct space_part *parts, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t wanted = 0;

		if (parts[i].region)
			continue;

		for (uint32_t j = 0; j < n; j++)
			if (parts[j].layer.nid == parts[i].layer.nid)
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
