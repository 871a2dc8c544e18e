/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Regions: named, sized, mappable memory, whatever is behind the name.
 *
 *   hmem:db              region "db" of hmem.ko, /dev/hmem/db
 *   dax:/dev/dax0.0      a device-dax device
 *   file:/path           a file: fsdax, tmpfs, anything that maps
 *   anon:  anon:name     memory of this process, gone with its last handle and mapping
 *
 * A name without a scheme is an hmem region, or, when it begins with "/", "./" or
 * "../", a file. With its scheme a name has at most HMEM_REGION_NAME_MAX bytes, or it
 * is -ENAMETOOLONG. The same calls work on all of them; what a provider cannot do is
 * -EOPNOTSUPP.
 *
 * anon: regions are created, never opened: the name is a label that /proc/PID/maps
 * shows, and two of the same name have nothing in common.
 *
 * Ownership: a region handle is reference counted and holds its context. A mapping
 * belongs to the caller and stays valid after the handle is gone, until
 * hmem_region_unmap().
 *
 * Threading: any function may be called from any thread; two threads that resize
 * one region at once both succeed in some order.
 */
#ifndef HMEM_REGION_H
#define HMEM_REGION_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <hmem/context.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hmem_region;

/** Longest name of a region or pool of hmem.ko, in bytes, without the final NUL. */
#define HMEM_NAME_MAX 63

/** Longest name of any region, with its scheme, in bytes, without the final NUL. */
#define HMEM_REGION_NAME_MAX 255

/* What a region can do, in struct hmem_region_info */
#define HMEM_CAP_PERSISTENT	(1u << 0)	/* survives power loss once flushed */
#define HMEM_CAP_FLUSH_CPU	(1u << 1)	/* CPU cache flushes reach the media; no msync needed */
#define HMEM_CAP_RESIZE		(1u << 2)
#define HMEM_CAP_SHARED		(1u << 3)	/* other processes can open it by name */
#define HMEM_CAP_CACHES_DURABLE	(1u << 4)	/* power loss spares the CPU caches: a fence will do */

/* For hmem_region_create() and hmem_region_open() */
#define HMEM_OPEN_READ_ONLY	(1u << 0)	/* open: map read-only */
#define HMEM_CREATE_EXCLUSIVE	(1u << 1)	/* create: -EEXIST when it exists (hmem: always) */
#define HMEM_REGION_SPREAD	(1u << 2)	/* create, hmem: interleave it over several pools */
#define HMEM_REGION_FILL	(1u << 3)	/* create, hmem: fill one pool after the other */
#define HMEM_REGION_PINS	(1u << 4)	/* create, hmem: for long-term pins (io_uring, RDMA) */

/*
 * Options and infos begin with their size. A smaller one from an older header is
 * accepted, members that it lacks are taken as zero; a larger one from a newer header
 * too, as long as what this library does not know is zero (-E2BIG otherwise).
 */

/**
 * struct hmem_region_options - how to create a region
 * @size: sizeof(struct hmem_region_options)
 * @flags: HMEM_CREATE_EXCLUSIVE, and at most one of HMEM_REGION_SPREAD and HMEM_REGION_FILL, and
 *	HMEM_REGION_PINS: io_uring and RDMA may hold its pages for writing, also while it
 *	may have near copies
 * @bytes: size wanted, not 0; rounded up to the provider's granularity. dax: 0, or at
 *	most the device's size: -ENOSPC beyond, and the region is the whole device.
 * @uid: owner, (uid_t)-1 for the caller's. hmem and file.
 * @gid: group, (gid_t)-1 for the caller's. hmem and file.
 * @mode: permission bits; 0 for 0600. hmem and file.
 * @pool: hmem: pool to carve from, NULL for the first with room
 * @pools: with HMEM_REGION_SPREAD or _FILL: pools to carve from, all volatile or all persistent
 * @nr_pools: how many, at most 32; 0: all with room of one kind, and @pool is NULL as well
 *
 * Initialise with HMEM_REGION_OPTIONS_INIT.
 */
struct hmem_region_options {
	size_t size;
	unsigned int flags;
	uint64_t bytes;
	uid_t uid;
	gid_t gid;
	mode_t mode;
	const char *pool;
	const char *const *pools;
	unsigned int nr_pools;
};
#define HMEM_REGION_OPTIONS_INIT \
	{ sizeof(struct hmem_region_options), 0, 0, (uid_t)-1, (gid_t)-1, 0, NULL, NULL, 0 }

/**
 * struct hmem_region_info - what a region is
 * @size: sizeof(struct hmem_region_info), set by the caller
 * @bytes: its size
 * @granularity: unit of its size, and the alignment that gives the largest mappings
 * @caps: HMEM_CAP_*
 * @uid: owner
 * @gid: group
 * @mode: permission bits
 * @nid: NUMA node of the memory, -1 when unknown
 * @faults: hmem: faults served since the region appeared, else 0
 * @name: full name with scheme
 * @pool: hmem: its pool, the first when it has several, else ""
 * @uuid: hmem: identity, new at every creation, else zeroes
 */
struct hmem_region_info {
	size_t size;
	uint64_t bytes;
	uint64_t granularity;
	unsigned int caps;
	uid_t uid;
	gid_t gid;
	mode_t mode;
	int nid;
	uint64_t faults;
	char name[HMEM_REGION_NAME_MAX + 1];
	char pool[HMEM_NAME_MAX + 1];
	uint8_t uuid[16];
};

/**
 * hmem_region_create - make a region and open it
 * @ctx: context
 * @name: such as "hmem:db"
 * @options: size and ownership
 * @region: where to put the handle; written only on success. NULL: create only.
 *
 * On a persistent provider the region itself (name, size, owner, mode) is durable
 * when the call returns. A new region reads as zeroes.
 *
 * hmem: without @pool the module chooses: the first with room, volatile ones first.
 * file: every byte is allocated, so that no store meets a full file system. A file that
 * exists is opened, and grown when it is smaller: its content, owner and mode stay, and
 * it never shrinks. A new one is never made through a symbolic link.
 * dax: a device is there already and is not zeroed: it may be large, and its content
 * may be wanted. -EEXIST with HMEM_CREATE_EXCLUSIVE.
 * anon: @region must not be NULL.
 *
 * Return: 0; -EINVAL (name, size, flags), -E2BIG, -ENAMETOOLONG, -EEXIST, -ENOSPC,
 * -EFBIG (file: beyond the limit of the file system; file and anon: beyond ulimit -f),
 * -EPERM, -EACCES, -EISDIR, -EROFS, -EBUSY (hmem: the pool is drained), -ENOENT (no such pool,
 * directory or device), -EMFILE
 * (hmem: the table of regions is full), -ENODEV (hmem.ko is not loaded), -ENOMEM,
 * -EOPNOTSUPP, or what the system answered.
 */
HMEM_API int hmem_region_create(struct hmem_ctx *ctx, const char *name,
				const struct hmem_region_options *options,
				struct hmem_region **region);

/**
 * hmem_region_open - open a region that exists
 * @ctx: context
 * @name: such as "hmem:db"
 * @flags: HMEM_OPEN_READ_ONLY or 0
 * @region: where to put the handle; written only on success
 *
 * Return: 0; -ENOENT, -EACCES, -ENODEV (its memory is gone, or hmem.ko is not
 * loaded), -EINVAL, -EISDIR, -ENAMETOOLONG, -ENOMEM, -EOPNOTSUPP (anon), or what the
 * system answered.
 */
HMEM_API int hmem_region_open(struct hmem_ctx *ctx, const char *name, unsigned int flags,
			      struct hmem_region **region);

/** hmem_region_ref - hold a region. Return: @region. */
HMEM_API struct hmem_region *hmem_region_ref(struct hmem_region *region);

/** hmem_region_close - let a region go; NULL is legal. Mappings stay. */
HMEM_API void hmem_region_close(struct hmem_region *region);

/**
 * hmem_region_map - map a part of a region
 * @region: region
 * @offset: where it starts, a multiple of the page size (dax: of the granularity)
 * @length: how much, such a multiple or all that is left; 0: to the region's end
 * @address: where the mapping is, aligned so that the largest pages are used where
 *	the length allows; written only on success
 * @mapped: how much was mapped; may be NULL
 *
 * The mapping is shared: stores are seen by every process that maps the region. It
 * is read-only if the region was opened so. What the region loses afterwards (a file
 * that is truncated, a device that is removed) raises SIGBUS when it is touched.
 *
 * Return: 0; -EINVAL (offset or length outside the region, or not page aligned),
 * -ENODEV, -ENOMEM, or what the system answered.
 */
HMEM_API int hmem_region_map(struct hmem_region *region, uint64_t offset, size_t length,
			     void **address, size_t *mapped);

/**
 * hmem_region_unmap - unmap what hmem_region_map() mapped
 * @region: region it was mapped from, or NULL after it was closed
 *
 * Return: 0, or -EINVAL.
 */
HMEM_API int hmem_region_unmap(struct hmem_region *region, void *address, size_t length);

/**
 * hmem_region_persist - make stores to a mapped range durable
 *
 * When it returns 0, every store that this thread made to the range before the call
 * survives power loss, if the region has HMEM_CAP_PERSISTENT; on others it returns 0
 * and does nothing.
 *
 * The library does not know which mappings are the region's: a range that is not, or
 * is not mapped, is the caller's error and may raise SIGSEGV.
 *
 * Return: 0; -EINVAL, -EIO, or what the system answered.
 */
HMEM_API int hmem_region_persist(struct hmem_region *region, const void *address, size_t length);

/**
 * hmem_region_resize - grow or shrink a region
 * @bytes: size wanted, rounded up to the granularity
 *
 * Mappings keep their length; what lies beyond a smaller end raises SIGBUS.
 *
 * Return: 0; -EINVAL, -ENOSPC, -EFBIG, -EBUSY (pinned pages beyond the new end), -EPERM
 * (opened read-only; hmem: needs CAP_SYS_ADMIN), -EOPNOTSUPP (dax), or what the system
 * answered.
 */
HMEM_API int hmem_region_resize(struct hmem_region *region, uint64_t bytes);

/**
 * hmem_region_destroy - remove a region by name, and what is in it
 *
 * hmem: -EBUSY while anybody has it open. file: unlinks, as rm does, but regular files
 * and symbolic links only. anon and dax: -EOPNOTSUPP.
 *
 * Return: 0; -ENOENT, -EINVAL, -EISDIR, -ENAMETOOLONG, -ENODEV (hmem.ko is not loaded),
 * -EBUSY, -EEXIST (hmem: a withheld region and another one have that name), -EPERM, -EACCES,
 * -EOPNOTSUPP, or what the system answered.
 */
HMEM_API int hmem_region_destroy(struct hmem_ctx *ctx, const char *name);

/** hmem_region_get_info - what a region is. Return: 0, -EINVAL, -ENODEV. */
HMEM_API int hmem_region_get_info(struct hmem_region *region, struct hmem_region_info *info);

/**
 * hmem_region_get_info_by_name - what a region is, without the right to open it
 *
 * Return: 0, -ENOENT, -EINVAL, -ENAMETOOLONG, -ENODEV (hmem.ko is not loaded),
 * -EOPNOTSUPP (anon), or what the system answered.
 */
HMEM_API int hmem_region_get_info_by_name(struct hmem_ctx *ctx, const char *name,
					  struct hmem_region_info *info);

/**
 * hmem_region_iterate - visit every region that can be found: those of hmem.ko and
 * the device-dax devices
 * @fn: called with each; returns 0 to go on, anything else to stop
 *
 * Return: 0, what @fn returned, or a negative errno.
 */
HMEM_API int hmem_region_iterate(struct hmem_ctx *ctx,
				 int (*fn)(void *arg, const struct hmem_region_info *info),
				 void *arg);

#ifdef __cplusplus
}
#endif
#endif
