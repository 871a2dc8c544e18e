/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bad memory of a region of hmem.ko, and what else happens to it.
 *
 * Memory can report an error when it is read. One page of 4 KiB fails then: who touches it
 * gets SIGBUS (BUS_MCEERR_AR, with the address), all else goes on. Documentation/poison.md says
 * what becomes of data, and who finds it.
 *
 * All of this is for regions of the provider "hmem"; others answer -EOPNOTSUPP. Offsets and
 * lengths are in bytes, and multiples of 4096 unless said otherwise.
 *
 * Threading: any function may be called from any thread.
 *
 * Every function may return -EINVAL (an argument is missing or no multiple of 4096), -EOPNOTSUPP
 * (another provider), -ENODEV (the region's memory is gone), -ENOTTY (the module is older than
 * the call), -ERANGE (beyond the end), -EFAULT (an answer does not fit the caller's memory),
 * -EINTR (a signal came while it waited) or -ENOMEM.
 */
#ifndef HMEM_POISON_H
#define HMEM_POISON_H

#include <stddef.h>
#include <stdint.h>

#include <hmem/context.h>
#include <hmem/region.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The page's data are lost: touching it raises SIGBUS. */
#define HMEM_BAD_DATA	(1u << 0)
/**
 * The memory of its home reports errors. Without HMEM_BAD_DATA a near copy has the data, or the
 * pool that is just being drained: then it is the memory that they should move to.
 */
#define HMEM_BAD_HOME	(1u << 1)

/**
 * struct hmem_bad - pages of a region of which the same can be said
 * @offset: where they begin
 * @bytes: how much they are
 * @state: HMEM_BAD_DATA, HMEM_BAD_HOME or both
 * @reserved: 0
 */
struct hmem_bad {
	uint64_t offset;
	uint64_t bytes;
	uint32_t state;
	uint32_t reserved;
};

/**
 * hmem_poison_list - bad memory of a region
 * @offset: where to look from
 * @bad: where to put what is found, in order
 * @nr_bad: how many fit there; on success, how many were filled in
 *
 * When all are filled in there may be more: go on behind the last one.
 */
HMEM_API int hmem_poison_list(struct hmem_region *region, uint64_t offset, struct hmem_bad *bad,
			      size_t *nr_bad);

/**
 * hmem_poison_report - memory of a pool is bad
 * @ctx: context
 * @pool: name of the pool
 * @offset: where, in what the pool was claimed from: as `cxl list --media-errors` has it for a
 *	CXL region. Any offset will do.
 * @bytes: how much, not 0; every page of which it has a part is bad
 * @pages: how many of these pages a region has; NULL: not wanted
 *
 * Its region is told, or its extent not given to any. The kernel tells the module by itself of
 * what it finds; this is for what a device says.
 *
 * Return: 0; -ENOENT (no such pool), -EPERM (without CAP_SYS_ADMIN), -ENAMETOOLONG, -EOPNOTSUPP
 * (the kernel cannot map memory without single pages).
 */
HMEM_API int hmem_poison_report(struct hmem_ctx *ctx, const char *pool, uint64_t offset,
				uint64_t bytes, uint64_t *pages);

/**
 * hmem_poison_clear - use bad pages again
 * @region: region, open for writing
 * @offset: where the range begins
 * @bytes: how long it is, not 0
 * @pages: how many were bad and are not any more; NULL: not wanted
 *
 * They hold zeroes then, or what a near copy has of them. Where the memory of the home was
 * bad (HMEM_BAD_HOME) CAP_SYS_ADMIN is needed, and the device must have cleared its error first.
 *
 * Return: 0; -EACCES (opened read-only), -EPERM (without CAP_SYS_ADMIN), -EIO (the kernel has
 * taken a page out of use for good), -EBUSY (somebody holds or moves a near copy that would have
 * to go). What came before the page that could not be cleared is cleared.
 */
HMEM_API int hmem_poison_clear(struct hmem_region *region, uint64_t offset, uint64_t bytes,
			       uint64_t *pages);

/** Memory of the range is bad. */
#define HMEM_HAPPENED_POISON	1
/** The size changed: offset is the size before, bytes the one now. */
#define HMEM_HAPPENED_RESIZE	2
/** Memory is short, so near copies are given up; said once in ten seconds. */
#define HMEM_HAPPENED_PRESSURE	3
/** What hmem_tier_migrate_begin() began, by whomever, has come to its end, or was stopped there. */
#define HMEM_HAPPENED_MIGRATED	4

/**
 * struct hmem_happened - something that happened to a region
 * @number: counts from 1 since the region appeared
 * @what: which of those above; a newer module may have more of them
 * @reserved: 0
 * @offset: where
 * @bytes: how much of it
 */
struct hmem_happened {
	uint64_t number;
	uint32_t what;
	uint32_t reserved;
	uint64_t offset;
	uint64_t bytes;
};

/** For hmem_region_wait(): until something happens. */
#define HMEM_WAIT_FOREVER	UINT64_MAX

/**
 * hmem_region_wait - wait until something happens to a region
 * @region: region
 * @number: of the last event that the caller knows, 0: none; on success, of the last one that he
 *	is told
 * @timeout_ns: how long to wait when there is no other yet, in nanoseconds
 * @happened: where to put what has happened since, the oldest first
 * @nr_happened: how many fit there; on success, how many were filled in. 0 after the call: time
 *	is up. 0 before it: nothing is waited for, and @number becomes that of the newest event.
 * @lost: how many after @number are not kept any more; NULL: not wanted
 *
 * Everybody has all events, whoever else waits for them. The module keeps the last 64.
 */
HMEM_API int hmem_region_wait(struct hmem_region *region, uint64_t *number, uint64_t timeout_ns,
			      struct hmem_happened *happened, size_t *nr_happened,
			      uint64_t *lost);

#ifdef __cplusplus
}
#endif
#endif
