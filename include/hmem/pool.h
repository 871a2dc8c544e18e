/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pools: capacity that hmem.ko has claimed and carves regions from.
 *
 * Attaching and detaching need CAP_SYS_ADMIN; looking does not.
 */
#ifndef HMEM_POOL_H
#define HMEM_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include <hmem/context.h>
#include <hmem/region.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct hmem_pool_info - what a pool is
 * @size: sizeof(struct hmem_pool_info), set by the caller where one is passed in
 * @bytes: capacity for regions
 * @free_bytes: capacity that no region has
 * @regions: regions on it
 * @persistent: regions survive power loss
 * @nid: NUMA node, -1 when unknown
 * @name: its name
 * @provider: "cxl" or "ram"
 * @source: cxl: the CXL region, such as "region0"; ram: ""
 * @uuid: persistent: identity given when it was formatted, else zeroes
 */
struct hmem_pool_info {
	size_t size;
	uint64_t bytes;
	uint64_t free_bytes;
	uint32_t regions;
	bool persistent;
	int nid;
	char name[HMEM_NAME_MAX + 1];
	char provider[16];
	char source[HMEM_NAME_MAX + 1];
	uint8_t uuid[16];
};

#define HMEM_POOL_FORMAT	(1u << 0)	/* format, whatever is there; all is lost */
#define HMEM_POOL_CHECK		(1u << 1)	/* say what would happen, change nothing */
#define HMEM_POOL_TAKE_OVER	(1u << 2)	/* another host did not detach it: go on */

/* In struct hmem_pool_attach_result */
#define HMEM_POOL_WAS_FORMATTED	(1u << 1)
#define HMEM_POOL_WAS_REPAIRED	(1u << 2)

/**
 * struct hmem_pool_options - how to attach a pool
 * @size: sizeof(struct hmem_pool_options)
 * @flags: HMEM_POOL_*
 * @name: what to call it; NULL: the source's name (cxl), required for ram
 * @source: CXL region; NULL for a pool of system RAM
 * @bytes: ram: capacity, rounded up to 2 MiB
 * @nid: ram: NUMA node, -1 for any
 */
struct hmem_pool_options {
	size_t size;
	unsigned int flags;
	const char *name;
	const char *source;
	uint64_t bytes;
	int nid;
};
#define HMEM_POOL_OPTIONS_INIT { sizeof(struct hmem_pool_options), 0, NULL, NULL, 0, -1 }

/**
 * struct hmem_pool_result - what attaching found
 * @size: sizeof(struct hmem_pool_result), set by the caller
 * @flags: HMEM_POOL_WAS_*; with HMEM_POOL_CHECK: would be
 * @persistent: the pool is persistent
 * @bytes: capacity for regions
 * @regions: regions that came back
 */
struct hmem_pool_result {
	size_t size;
	unsigned int flags;
	bool persistent;
	uint64_t bytes;
	uint32_t regions;
};

/**
 * hmem_pool_attach - claim memory as a pool
 * @result: what was found; may be NULL
 *
 * A persistent source is formatted when it is blank or HMEM_POOL_FORMAT is given,
 * never otherwise.
 *
 * Return: 0; -EPERM, -EINVAL, -ENOENT (no such CXL region), -ENXIO (it is not
 * committed or not enabled), -EBUSY (device-dax, kmem, pmem or another pool has it;
 * the kernel log names the holder), -EUCLEAN (it holds something else, or a damaged
 * pool), -EPROTONOSUPPORT (written by a newer hmem), -EUSERS (in use by another
 * host), -EEXIST, -EOPNOTSUPP, -ENODEV (hmem.ko is not loaded), -ENOMEM, -EIO.
 */
HMEM_API int hmem_pool_attach(struct hmem_ctx *ctx, const struct hmem_pool_options *options,
			      struct hmem_pool_result *result);

/**
 * hmem_pool_detach - give a pool's memory back
 *
 * Return: 0; -ENOENT, -EBUSY (a region is open or mapped), -ENOTEMPTY (a volatile
 * pool has regions: destroy them first), -EPERM, -ENODEV.
 */
HMEM_API int hmem_pool_detach(struct hmem_ctx *ctx, const char *name);

#define HMEM_POOL_DRAIN_STATUS	(1u << 0)	/* only say how far it is */
#define HMEM_POOL_DRAIN_STOP	(1u << 1)	/* what is there still stays; new regions may come */

/**
 * struct hmem_pool_drained - how far draining is
 * @size: sizeof(struct hmem_pool_drained), set by the caller
 * @left: bytes of regions that are on the pool still
 * @moved: bytes that the call has moved
 * @held: with -EBUSY and -EIO: offset of the first extent that cannot be moved, UINT64_MAX
 *	when there is none
 * @draining: nothing new is carved from the pool
 * @region: the region that @held is in, or ""
 * @nr_held: with -EBUSY, -EIO and -ENOMEM: how many ranges there are, of all regions, that cannot
 *	be moved as somebody holds pages of them
 */
struct hmem_pool_drained {
	size_t size;
	uint64_t left;
	uint64_t moved;
	uint64_t held;
	bool draining;
	char region[HMEM_NAME_MAX + 1];
	uint64_t nr_held;
};

/**
 * struct hmem_pool_held - what cannot be moved as somebody holds pages of it
 * @region: the region that it is in
 * @offset: where it begins there
 * @bytes: how much it is: what follows one another is one
 */
struct hmem_pool_held {
	char region[HMEM_NAME_MAX + 1];
	uint64_t offset;
	uint64_t bytes;
};

/**
 * hmem_pool_drain - move all that is on a pool to other pools of its kind, while it is used
 * @flags: 0, HMEM_POOL_DRAIN_STATUS or HMEM_POOL_DRAIN_STOP
 * @drained: how far it came, also with an error; may be NULL
 *
 * Regions stay open and mapped. What was moved stays so when the call ends early, and the next one
 * goes on. When it has succeeded the pool can be detached. A signal ends it.
 *
 * Return: 0; -ENOENT, -EOPNOTSUPP (a part of a persistent region over several pools is there:
 * nothing was begun), -ENOSPC (the other pools have not enough room: nothing was begun), -EBUSY
 * (somebody has held pages for more than a second: @drained says where the first are), -EIO (its
 * memory reports an error), -EINTR, -ECANCELED (HMEM_POOL_DRAIN_STOP came), -EMFILE, -ENOMEM,
 * -EPERM, -ENODEV.
 */
HMEM_API int hmem_pool_drain(struct hmem_ctx *ctx, const char *name, unsigned int flags,
			     struct hmem_pool_drained *drained);

/**
 * hmem_pool_drain_held - hmem_pool_drain() without flags, which says all that is held
 * @drained: may be NULL
 * @held: where to put the ranges that cannot be moved as somebody holds pages of them
 * @nr_held: how many fit there; then, also with an error, how many were filled in.
 *	@drained->nr_held is how many there are. 0 with a module that knows of the first alone.
 *
 * Return: as hmem_pool_drain().
 */
HMEM_API int hmem_pool_drain_held(struct hmem_ctx *ctx, const char *name,
				  struct hmem_pool_drained *drained, struct hmem_pool_held *held,
				  size_t *nr_held);

/**
 * hmem_pool_get_info - what a pool is
 * @info: its member size is set by the caller
 *
 * Return: 0, -ENOENT, -EINVAL, -ENAMETOOLONG, -ENODEV (hmem.ko is not loaded), -EIO.
 */
HMEM_API int hmem_pool_get_info(struct hmem_ctx *ctx, const char *name,
				struct hmem_pool_info *info);

/**
 * hmem_pool_iterate - visit every attached pool
 * @fn: called with each; returns 0 to go on, anything else to stop
 *
 * Return: 0, what @fn returned, or a negative errno; no pools and no module is 0.
 */
HMEM_API int hmem_pool_iterate(struct hmem_ctx *ctx,
			       int (*fn)(void *arg, const struct hmem_pool_info *info),
			       void *arg);

#ifdef __cplusplus
}
#endif
#endif
