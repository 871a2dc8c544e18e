// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Loading mimalloc.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

#include "mimalloc.h"

/* Debian 13 has the second, Debian 12 the first. */
static const char *const libraries[] = { "libmimalloc.so.2", "libmimalloc.so.3" };

#define FUNCTIONS(_)                              \
	_(version, "mi_version")                  \
	_(manage_os_memory_ex, "mi_manage_os_memory_ex") \
	_(heap_new_in_arena, "mi_heap_new_in_arena") \
	_(heap_malloc_aligned_at, "mi_heap_malloc_aligned_at") \
	_(heap_malloc, "mi_heap_malloc")          \
	_(free, "mi_free")                        \
	_(usable_size, "mi_usable_size")

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct mimalloc loaded;
static bool is_there;
static char why_not[160];

static bool look_up(void *library)
{
	int version;

	snprintf(why_not, sizeof(why_not), "mimalloc has not all functions that are used here");
#define LOOK_UP(member, name)                              \
	*(void **)&loaded.member = dlsym(library, name);   \
	if (!loaded.member)                                \
		return false;
	FUNCTIONS(LOOK_UP)
	/* 209 is 2.0.9; what a version that is not known takes for an arena is not either. */
	version = loaded.version();
	loaded.arenas_have_addresses = version >= 300;
	loaded.aligns = version < 300;
	snprintf(why_not, sizeof(why_not),
		 "mimalloc says that its version is %d; known here are 200 to 309", version);
	return version >= 200 && version < 310;
}

static void load(void)
{
	void *library = NULL;

	for (size_t i = 0; !library && i < sizeof(libraries) / sizeof(libraries[0]); i++)
		/* Threads end in it. */
		library = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!library) {
		snprintf(why_not, sizeof(why_not), "mimalloc is not there: %s", dlerror());
		return;
	}
	is_there = look_up(library);
}

const struct mimalloc *mimalloc_get(const char **why)
{
	pthread_once(&once, load);
	*why = why_not;
	return is_there ? &loaded : NULL;
}

bool mimalloc_arena(const struct mimalloc *mi, void *start, size_t bytes,
		    union mimalloc_arena *arena)
{
	arena->address = NULL;
	/* Pinned: it gives nothing of it back to the kernel, which would not bind what comes next. */
	return mi->manage_os_memory_ex(start, bytes, true, true, false, -1, true, arena);
}

void *mimalloc_heap(const struct mimalloc *mi, union mimalloc_arena arena)
{
	void *(*by_number)(int number) = (void *(*)(int))(void *)mi->heap_new_in_arena;
	void *(*by_address)(void *address) = (void *(*)(void *))(void *)mi->heap_new_in_arena;

	return mi->arenas_have_addresses ? by_address(arena.address) : by_number(arena.number);
}
