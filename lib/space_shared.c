// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Spaces that processes share: the table stands in front of the memory, and each process is a
 * member who locks a byte of the region's file for as long as it lives. A lock that can be had is
 * one whose member died, or was never there.
 *
 * A child of fork(2) has a share in its parent's locks, and would let it look alive. It gives them
 * up at once; the memory it has not, see space_region.c.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "binned.h"
#include "byte_lock.h"
#include "ctx.h"
#include "fork_lock.h"
#include "region.h"
#include "space.h"

/* The first byte is for who joins; members follow. */
#define BYTE_JOINING 0
#define JOIN_WAIT_MS 10000

/* A table begins a space, so whoever makes one finds so many zeroes. */
#define BLANK 4096

static struct hmem_space *joined;

static void close_locks(void)
{
	for (; joined; joined = joined->next) {
		close(joined->lock_fd);
		joined->lock_fd = -1;
	}
}

static struct fork_lock lock = FORK_LOCK_INIT(close_locks);

static int open_lock(struct hmem_space *space)
{
	int err;

	err = fork_lock_arm(&lock);
	if (err)
		return hmem_fail(space->ctx, err, "%s: no memory to hear of forks",
				 space->name);
	fork_lock_take(&lock);
	err = hmem_region_lock_fd(space->regions[0].region, &space->lock_fd);
	if (err) {
		space->lock_fd = -1;
	} else {
		space->next = joined;
		joined = space;
	}
	fork_lock_give(&lock);
	if (!err)
		return 0;
	return hmem_fail(space->ctx, err, "%s: %s cannot be shared, as it has no file to lock: %s",
			 space->name, hmem_region_name(space->regions[0].region), strerror(-err));
}

static void close_lock(struct hmem_space *space)
{
	struct hmem_space **at = &joined;

	fork_lock_take(&lock);
	while (*at && *at != space)
		at = &(*at)->next;
	if (*at) {
		*at = space->next;
		close(space->lock_fd);
		space->lock_fd = -1;
	}
	fork_lock_give(&lock);
}

static bool is_blank(const char *at)
{
	return !at[0] && !memcmp(at, at + 1, BLANK - 1);
}

/*
 * Where the first granule is: behind the table, at a multiple of what blocks may be aligned to if
 * the space is large enough for that. And how many there are; 0: there is no room.
 */
static uint64_t lay_out(uint64_t bytes, unsigned int shift, uint64_t *count)
{
	uint64_t align = bytes >= 32 * SPACE_ALIGN ? SPACE_ALIGN : 1ull << shift, first;

	for (*count = bytes >> shift; *count; --*count) {
		first = (granules_table_bytes(*count, shift) + align - 1) / align * align;
		if (first + (*count << shift) <= bytes)
			return first;
	}
	return 0;
}

static int make_table(struct hmem_space *space)
{
	unsigned int shift = granules_shift(space->bytes);
	uint64_t count, first;

	if (space->bytes >> shift > GRANULES_MAX)
		return hmem_fail(space->ctx, -EINVAL, "%s: a space has at most %u granules",
				 space->name, GRANULES_MAX);
	first = lay_out(space->bytes, shift, &count);
	if (!count)
		return hmem_fail(space->ctx, -EINVAL, "%s: %llu bytes are too few for a space",
				 space->name, (unsigned long long)space->bytes);
	/* Behind what is known to be zeroes there may be what another space left. */
	granules_clear(space->base, count);
	granules_format(space->base, count, shift, first, binned_classes(count, shift));
	return 0;
}

static int check_table(struct hmem_space *space)
{
	const struct granule_table *table = (void *)space->base;
	int err = granules_check(space->base, space->bytes);

	if (!err && table->classes != binned_classes(table->count, table->shift))
		err = -EPROTO;
	if (err == -EPROTO)
		return hmem_fail(space->ctx, err,
				 "%s: the space in %s is of a version that this library does not know",
				 space->name, hmem_region_name(space->regions[0].region));
	if (err)
		return hmem_fail(space->ctx, -EILSEQ,
				 "%s: what is in %s is no space; clear its first %d bytes to make it "
				 "one",
				 space->name, hmem_region_name(space->regions[0].region), BLANK);
	return 0;
}

/* Whose lock can be had is dead. It is held for as long as his things are put in order. */
static bool bury_member(struct hmem_space *space, uint32_t member)
{
	if (member == space->member || byte_lock(space->lock_fd, (int)member))
		return false;
	granules_bury(&space->g, member);
	byte_unlock(space->lock_fd, (int)member);
	return true;
}

bool space_bury(struct hmem_space *space)
{
	const struct granule_table *table = space->g.table;
	uint64_t seen[SPACE_MEMBERS / 64 + 1] = { 0 };
	bool any = false;

	/* Threads of one process do not keep each other from a byte. */
	pthread_mutex_lock(&space->lock);
	for (unsigned int i = 1; i < table->nr_owners; i++) {
		uint32_t member = atomic_load(&table->owners[i].member);

		if (!member || member > SPACE_MEMBERS || seen[member / 64] >> member % 64 & 1)
			continue;
		seen[member / 64] |= 1ull << member % 64;
		any = bury_member(space, member) || any;
	}
	pthread_mutex_unlock(&space->lock);
	return any;
}

static int cannot_lock(struct hmem_space *space, int err)
{
	return hmem_fail(space->ctx, err, "%s: locking %s: %s", space->name,
			 hmem_region_name(space->regions[0].region), strerror(-err));
}

static int become_member(struct hmem_space *space)
{
	for (uint32_t member = 1; member <= SPACE_MEMBERS; member++) {
		int err = byte_lock(space->lock_fd, (int)member);

		if (!err) {
			space->member = member;
			granules_bury(&space->g, member);
			return 0;
		}
		if (err != -EAGAIN)
			return cannot_lock(space, err);
	}
	return hmem_fail(space->ctx, -EUSERS, "%s has %d processes, which is the most", space->name,
			 SPACE_MEMBERS);
}

static int join_locked(struct hmem_space *space)
{
	const struct granule_table *table = (void *)space->base;
	int err = is_blank(space->base) || granules_half_made(space->base) ? make_table(space) :
									     check_table(space);

	if (err)
		return err;
	granules_at(&space->g, space->base, space->base + table->first);
	err = become_member(space);
	if (!err)
		space_bury(space);
	return err;
}

int space_join(struct hmem_space *space)
{
	int err = open_lock(space);

	if (err)
		return err;
	err = byte_lock_within(space->lock_fd, BYTE_JOINING, false, JOIN_WAIT_MS);
	if (err == -EBUSY)
		err = hmem_fail(space->ctx, err, "%s: somebody else has been joining %s for %d s",
				space->name, hmem_region_name(space->regions[0].region),
				JOIN_WAIT_MS / 1000);
	else if (err)
		err = cannot_lock(space, err);
	else
		err = join_locked(space);
	if (err)
		close_lock(space);
	else
		byte_unlock(space->lock_fd, BYTE_JOINING);
	return err;
}

void space_leave(struct hmem_space *space)
{
	close_lock(space);
}
