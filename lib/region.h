/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the rest of the library needs of a region beyond the public calls.
 */
#ifndef LIB_REGION_H
#define LIB_REGION_H

#include <pthread.h>
#include <stdbool.h>

#include <hmem/region.h>

/*
 * A failed msync(2) is reported once for each open file: of all who sync pages through one handle,
 * one gets to know. Who has begun before a failure that was counted must not believe in his success.
 * @failures: changes under @lock, under which syncs are
 */
struct region_sync {
	pthread_mutex_t lock;
	uint64_t failures;
};

struct region_sync *hmem_region_sync(struct hmem_region *region);
/* How many there have been. */
uint64_t hmem_region_sync_failures(struct hmem_region *region);
struct hmem_ctx *hmem_region_ctx(const struct hmem_region *region);
const char *hmem_region_name(const struct hmem_region *region);
unsigned int hmem_region_flags(const struct hmem_region *region);

/*
 * A descriptor of the region's file with an open file description of its own, so that
 * its locks are nobody else's. The caller closes it. -EOPNOTSUPP without a file. Nobody is told of an
 * error: the other says so, where the caller holds nothing that a log callback may wait for.
 */
int hmem_region_lock_fd(struct hmem_region *region, int *fd);
int hmem_region_lock_failed(struct hmem_region *region, int err);

/* Two handles of one region, by whatever names. */
bool hmem_region_is_same(struct hmem_region *region, struct hmem_region *other);

/*
 * Have the memory of a part that is about to be used: a file may have been made without, by
 * truncate(1). Other regions have theirs. -ENOSPC and others, with a last error.
 */
int hmem_region_allocate(struct hmem_region *region, uint64_t offset, uint64_t length);
/* The contrary: what is in it is lost. */
void hmem_region_discard(struct hmem_region *region, uint64_t offset, uint64_t length);

/*
 * A descriptor of /dev/hmem/NAME, which stays the region's, and that name. -EOPNOTSUPP, with a last
 * error, of regions that are no such device.
 */
int hmem_region_device(struct hmem_region *region, int *fd, const char **name);

/* As hmem_region_map(), at @address, or -EOPNOTSUPP. The caller knows that the range lies inside. */
int hmem_region_map_at(struct hmem_region *region, uint64_t offset, size_t length, void *address);

#endif
