/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Spaces: so much of the memory of one layer, or of several, from which interfaces (interface.h)
 * allocate.
 *
 *   dram: hbm: cxl: pmem:	memory of the process, bound to the node
 *   pool:			a region that is made for the space, and destroyed with it
 *   of a caller (layer.h):	likewise, by its provider; without one, memory bound to its node
 *   fsdax:			a file without name
 *   hmem: dax:			the region, all of it, which is mapped
 *   file:PATH			likewise, though it is no layer
 *
 * Several parts are one behind the other, or take turns, in one range of addresses.
 *
 * With HMEM_SPACE_KEPT the memory stays until the process ends, though nobody has the space any
 * more, and strategy general is mimalloc where that can be had (interface.h).
 *
 * With HMEM_SPACE_SHARED several processes have the region as one space; a region is one when its
 * first 4096 bytes are zeroes, or have been before, and its memory is not to be used otherwise.
 *
 * Memory is cut into granules of 4 to 64 KiB, by the size of the space. An interface takes
 * granules as it needs them, and gives them back.
 *
 * Ownership: a space is reference counted. It holds its context; each interface holds it.
 * Threading: any function may be called from any thread.
 */
#ifndef HMEM_SPACE_H
#define HMEM_SPACE_H

#include <stddef.h>
#include <stdint.h>

#include <hmem/context.h>
#include <hmem/layer.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hmem_space;

#define HMEM_SPACE_NAME_MAX   63
#define HMEM_SPACE_LAYERS_MAX 191

/* In struct hmem_space_options */
#define HMEM_SPACE_POPULATE	(1u << 0)	/* all its memory is taken at once */
#define HMEM_SPACE_INTERLEAVE	(1u << 1)	/* over its parts, by weight; else one after the other */
#define HMEM_SPACE_PREFER	(1u << 2)	/* system RAM: other nodes will do where it is full */
#define HMEM_SPACE_SHARED	(1u << 3)	/* regions: with other processes */
#define HMEM_SPACE_KEPT		(1u << 4)	/* system RAM: until the process ends */

/**
 * struct hmem_space_part - memory of one layer, or of one region
 * @layer: its name; or its kind, "cxl", and then the nearest one; or file:PATH; NULL: "dram"
 * @bytes: how many, rounded up to 2 MiB; 0: of a region that is there all it has, rounded down to
 *	2 MiB; else an equal part of what others do not say
 * @weight: with HMEM_SPACE_INTERLEAVE: 0 is by bandwidth, and if one is 0 all have to be
 */
struct hmem_space_part {
	const char *layer;
	uint64_t bytes;
	uint32_t weight;
	uint32_t reserved;
};

/**
 * struct hmem_space_options - what a space shall be
 * @size: sizeof(struct hmem_space_options)
 * @flags: HMEM_SPACE_*
 * @layer: as of struct hmem_space_part; NULL: "dram", if there are no @parts. "cxl,pool:a,dram": the
 *	first that can be had: not one that is missing, forbidden, or has too little free
 * @bytes: of all; at least 64 KiB, rounded up to 2 MiB. file: 0 is a file that is there,
 *	with all it has. hmem: dax: what the region has. @parts: 0 is what they have together,
 *	where each of them says how many bytes, or is a region that is there
 * @limit: bytes of that which may be used; 0: all
 * @parts: a region or several, system RAM, or both; NULL: @layer is all
 * @nr_parts: how many, at most 64
 * @part_size: sizeof(struct hmem_space_part), which may have more members in a later version
 */
struct hmem_space_options {
	size_t size;
	uint32_t flags;
	uint32_t nr_parts;
	const char *layer;
	uint64_t bytes;
	uint64_t limit;
	const struct hmem_space_part *parts;
	size_t part_size;
};
#define HMEM_SPACE_OPTIONS_INIT \
	{ sizeof(struct hmem_space_options), 0, 0, NULL, 0, 0, NULL, \
	  sizeof(struct hmem_space_part) }

/**
 * struct hmem_space_info - what a space is, and how full
 * @size: sizeof(struct hmem_space_info), set by the caller
 * @flags: HMEM_SPACE_*
 * @nr_parts: parts it has
 * @bytes: of memory
 * @limit: of those that may be used
 * @used: of those that interfaces have, or have freed and keep for a while: who needs it gets it
 * @peak: the most they ever had
 * @granule: bytes that are taken at once, at least
 * @interfaces: how many this process has on it
 * @name: what it was called
 */
struct hmem_space_info {
	size_t size;
	uint32_t flags;
	uint32_t nr_parts;
	uint64_t bytes;
	uint64_t limit;
	uint64_t used;
	uint64_t peak;
	uint64_t granule;
	uint64_t interfaces;
	char name[HMEM_SPACE_NAME_MAX + 1];
};

/**
 * hmem_space_create - a space of memory
 * @name: what it is called, for hmem_space_request() and who looks at it; at most HMEM_SPACE_NAME_MAX bytes
 * @options: NULL is not enough: a space has a size
 * @space: where to put the handle; written only on success
 *
 * Memory of system RAM is the process's own, so that a child has a copy of it after fork(2), and
 * is there when it is touched, unless HMEM_SPACE_POPULATE. Where a node has none left then, the
 * kernel ends a process, this one or another, as the memory is bound to the node;
 * HMEM_SPACE_PREFER takes that of others. A region is mapped as it is, and must not be used by
 * anybody else meanwhile unless it is shared; what is in it is not cleared. A child of fork(2)
 * does not have it, nor system RAM that is in one space with it: it may give up what it has of the
 * space, and nothing else. Where a region vanishes, with its device, its part of the space raises
 * SIGBUS, and the others stay. The region that was made
 * of a pool stays if the process dies; its name begins with "space-" and the process's number.
 *
 * Return: 0; -EINVAL (no size, or a contradiction, which the last error names), -ENOENT (no such
 * layer), -ENODATA (weights by bandwidth, and one is not known), -ENOMEM, -ENOSPC (populating, or
 * a pool: there is less; a region: it has less than its part), -EPERM (the cpuset forbids the node),
 * -EOPNOTSUPP (the layer has no memory for spaces, or not as one part of several), -ENAMETOOLONG, -E2BIG (@options are of a newer library), and what opening
 * or creating a region returns. Shared: -EUSERS (by 1023 processes already), -EPROTO (of another
 * version), -EILSEQ (what is in the region is no space), -EBUSY (somebody who joins it is stopped).
 */
HMEM_API int hmem_space_create(struct hmem_ctx *ctx, const char *name,
			       const struct hmem_space_options *options,
			       struct hmem_space **space);

/**
 * hmem_space_create_on_layer - register a layer, and create a space on it
 * @layer: @scheme: as of hmem_layer_register()
 * @options: without a layer or parts
 *
 * A layer that was registered before, the same in all, is taken as it is; one that is registered
 * stays so if the space cannot be created, so that it can be tried again.
 *
 * Return: as hmem_layer_register() and hmem_space_create().
 */
HMEM_API int hmem_space_create_on_layer(struct hmem_ctx *ctx, const struct hmem_layer_info *layer,
					const char *scheme, const char *name,
					const struct hmem_space_options *options,
					struct hmem_space **space);

/**
 * hmem_space_request - a space that this context has by that name
 * @name: as hmem_space_create() had it; of several the one that was created first
 * @space: where to put another reference; written only on success
 *
 * Return: 0; -ENOENT (nobody has one of that name any more), -EINVAL.
 */
HMEM_API int hmem_space_request(struct hmem_ctx *ctx, const char *name, struct hmem_space **space);

/** hmem_space_ref - one more reference; NULL: nothing happens. Return: @space. */
HMEM_API struct hmem_space *hmem_space_ref(struct hmem_space *space);

/**
 * hmem_space_unref - one less; with the last one the memory is gone
 * @space: NULL: nothing happens
 */
HMEM_API void hmem_space_unref(struct hmem_space *space);

/** hmem_space_get_info - what it is now. Return: 0 or -EINVAL. */
HMEM_API int hmem_space_get_info(const struct hmem_space *space, struct hmem_space_info *info);

/**
 * hmem_space_set_limit - how much of it may be used
 * @bytes: rounded down to granules; 0: all of it
 *
 * What is in use stays so where that is more.
 *
 * Return: 0; -EINVAL (no granule, or more than the space has).
 */
HMEM_API int hmem_space_set_limit(struct hmem_space *space, uint64_t bytes);

/**
 * struct hmem_space_seen - a space of some process
 * @size: sizeof(struct hmem_space_seen), of the library's
 * @pid: of the process
 * @flags, @nr_parts, @bytes, @limit, @used, @peak, @granule, @interfaces, @name: as of struct
 *	hmem_space_info; @used and @peak of a space that is shared as this process saw them when it
 *	last took or gave back some of it
 * @layers: their names, with a plus between two; cut short where they are too long
 * @command: what the process is called, as ps(1) has it
 */
struct hmem_space_seen {
	size_t size;
	int32_t pid;
	uint32_t flags;
	uint32_t nr_parts;
	uint32_t reserved;
	uint64_t bytes;
	uint64_t limit;
	uint64_t used;
	uint64_t peak;
	uint64_t granule;
	uint64_t interfaces;
	char name[HMEM_SPACE_NAME_MAX + 1];
	char layers[HMEM_SPACE_LAYERS_MAX + 1];
	char command[64];
};

/**
 * hmem_space_iterate - visit the spaces of all processes, or of one
 * @pid: of which; 0: all
 * @fn: returns 0 to go on; anything else ends the walk
 * @hidden: if not NULL, how many processes this one may not look at, for it is not theirs
 *
 * A space that a child of fork(2) has by copy is not seen, nor that of a program that closed files
 * which it had not opened; nor more spaces of a process than a quarter of the files that it may open
 * (RLIMIT_NOFILE).
 *
 * Return: 0, what @fn returned, -EINVAL; -ESRCH, -EACCES or -EPERM (one process: there is none, it
 * is somebody else's); -ENOMEM, -EMFILE or -ENFILE (it takes three descriptors), or what opening
 * /proc or creating a memfd said.
 */
HMEM_API int hmem_space_iterate(struct hmem_ctx *ctx, int pid,
				int (*fn)(void *arg, const struct hmem_space_seen *seen), void *arg,
				size_t *hidden);

/**
 * hmem_space_handle - a number for a block, by which other processes find it
 * @block: any address in the space's memory
 *
 * Return: what hmem_space_at() takes, in any process that has the space, at any time; 0: the
 * address is not of the space.
 */
HMEM_API uint64_t hmem_space_handle(const struct hmem_space *space, const void *block);

/** hmem_space_at - the address for a handle; NULL: the space has no such place */
HMEM_API void *hmem_space_at(const struct hmem_space *space, uint64_t handle);

/**
 * hmem_space_root - the handle to begin with: what hmem_space_set_root() said last, in any process
 *
 * Return: a handle; 0: none was said, or no space.
 */
HMEM_API uint64_t hmem_space_root(const struct hmem_space *space);

/**
 * hmem_space_set_root - say by which handle others begin
 * @was: what hmem_space_root() is, so that of several who make something only one prevails
 * @root: a handle; 0: none
 *
 * What was written before is seen by who finds @root. It stays with a shared space in its region.
 *
 * Return: 0; -EAGAIN (it is not @was), -EINVAL (the space has no such place).
 */
HMEM_API int hmem_space_set_root(struct hmem_space *space, uint64_t was, uint64_t root);

#ifdef __cplusplus
}
#endif
#endif
