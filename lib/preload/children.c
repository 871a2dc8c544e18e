// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Children of fork(2), which have what the parent had. Memory of system RAM the kernel copies as it
 * is written to. A region is mapped shared, and a child would write to its parent's blocks: so it
 * gets a copy of what is in use, in memory of its own at the same addresses, before fork(2) returns
 * in it.
 *
 * The copy is made in the parent, just before, so that nobody waits for anybody. What other threads
 * write meanwhile is in it or not. Until its handler has run the child sees the region itself, as
 * the C library and handlers that were there earlier may look at something in it.
 *
 * vfork(2), posix_spawn(3) and clone(2) run no handlers: a child by the first two uses its parent's
 * memory; one by the last has no region.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <hmem/interface.h>

#include "preload.h"

#define PAGE ((uint64_t)sysconf(_SC_PAGESIZE))

/* Of one fork at a time, from the first handler to the last. */
static pthread_mutex_t forking = PTHREAD_MUTEX_INITIALIZER;
static struct hmem_space *watched;
static bool is_shared;
static void *copy;

/* Private memory that large pages fit into, as they do where it goes; NULL: there is none. */
static char *map_private(uint64_t bytes)
{
	size_t room = (bytes / SPACE_ALIGN + 2) * SPACE_ALIGN, before;
	char *all = mmap(NULL, room, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (all == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)all % SPACE_ALIGN;
	if (before)
		munmap(all, before);
	all += before;
	/* A file may end within a page. */
	bytes = (bytes + PAGE - 1) / PAGE * PAGE;
	munmap(all + bytes, room - before - bytes);
	/* A fault for each 4 KiB takes longer than the copy. */
	madvise(all, bytes, MADV_HUGEPAGE);
	return all;
}

/* What is in use, in private memory; NULL: there is none. */
static void *copy_used(const struct hmem_space *space)
{
	const struct granules *g = &space->g;
	size_t granule = (size_t)1 << g->shift;
	char *to = map_private(space->bytes);

	if (!to)
		return NULL;
	for (uint64_t at = 0; at < g->count; at++)
		if (atomic_load_explicit(&g->words[at], memory_order_acquire))
			memcpy(to + (at << g->shift), granule_address(g, at), granule);
	return to;
}

/* @to takes the region's place, and nothing of that stays mapped. */
static bool replace(struct hmem_space *space, void *to)
{
	size_t before = (size_t)(space->base - (char *)space->mapped);

	if (mremap(to, space->bytes, space->bytes, MREMAP_MAYMOVE | MREMAP_FIXED, space->base) ==
	    MAP_FAILED)
		return false;
	if (before)
		munmap(space->mapped, before);
	return true;
}

bool children_evacuate(struct hmem_space *space)
{
	void *to = is_shared ? copy_used(space) : NULL;

	if (!to || !replace(space, to))
		return false;
	is_shared = false;
	return true;
}

static void before_fork(void)
{
	source_touch();
	pthread_mutex_lock(&forking);
	if (!is_shared)
		return;
	copy = copy_used(watched);
	madvise(watched->mapped, watched->mapped_bytes, MADV_DOFORK);
}

static void after_in_parent(void)
{
	if (is_shared) {
		madvise(watched->mapped, watched->mapped_bytes, MADV_DONTFORK);
		if (copy)
			munmap(copy, watched->bytes);
	}
	copy = NULL;
	pthread_mutex_unlock(&forking);
}

static void after_in_child(void)
{
	if (is_shared) {
		/* Better none of it than its parent's. */
		if (!copy || !replace(watched, copy))
			munmap(watched->mapped, watched->mapped_bytes);
		is_shared = false;
	}
	copy = NULL;
	pthread_mutex_unlock(&forking);
	count_anew();
}

int children_watch(struct hmem_space *space)
{
	watched = space;
	is_shared = space->mapped != NULL;
	return -pthread_atfork(before_fork, after_in_parent, after_in_child);
}
