// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The next malloc. It is looked for when it is first needed, which is before any constructor:
 * libraries of C++ allocate in theirs, and the dynamic linker allocates for itself.
 */
#include <dlfcn.h>
#include <errno.h>

#include "preload.h"

/* Set while this thread looks: dlsym(3) may ask for memory, and does without. */
static __thread bool looking __attribute__((tls_model("initial-exec")));

static void *boot_malloc(size_t bytes);
static void *boot_calloc(size_t n, size_t bytes);
static void *boot_realloc(void *block, size_t bytes);
static void boot_free(void *block);
static void *boot_memalign(size_t align, size_t bytes);
static void *boot_aligned_alloc(size_t align, size_t bytes);
static int boot_posix_memalign(void **block, size_t align, size_t bytes);
static size_t boot_usable_size(void *block);

struct next next = {
	.malloc = boot_malloc,
	.calloc = boot_calloc,
	.realloc = boot_realloc,
	.free = boot_free,
	.memalign = boot_memalign,
	.aligned_alloc = boot_aligned_alloc,
	.posix_memalign = boot_posix_memalign,
	.usable_size = boot_usable_size,
};

/* As POSIX has it: a pointer to a function out of one to an object. */
#define LOOK_UP(member, name) (*(void **)(void *)&next.member = dlsym(RTLD_NEXT, name))

/* False: this thread is at it. Two threads that do it find the same. */
static bool look_up(void)
{
	if (looking)
		return false;
	looking = true;
	LOOK_UP(malloc, "malloc");
	LOOK_UP(calloc, "calloc");
	LOOK_UP(realloc, "realloc");
	LOOK_UP(free, "free");
	LOOK_UP(memalign, "memalign");
	LOOK_UP(aligned_alloc, "aligned_alloc");
	LOOK_UP(posix_memalign, "posix_memalign");
	LOOK_UP(usable_size, "malloc_usable_size");
	looking = false;
	return true;
}

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

static void *boot_malloc(size_t bytes)
{
	return look_up() ? next.malloc(bytes) : no_memory();
}

static void *boot_calloc(size_t n, size_t bytes)
{
	return look_up() ? next.calloc(n, bytes) : no_memory();
}

static void *boot_realloc(void *block, size_t bytes)
{
	return look_up() ? next.realloc(block, bytes) : no_memory();
}

static void boot_free(void *block)
{
	if (block && look_up())
		next.free(block);
}

static void *boot_memalign(size_t align, size_t bytes)
{
	return look_up() ? next.memalign(align, bytes) : no_memory();
}

static void *boot_aligned_alloc(size_t align, size_t bytes)
{
	return look_up() ? next.aligned_alloc(align, bytes) : no_memory();
}

static int boot_posix_memalign(void **block, size_t align, size_t bytes)
{
	return look_up() ? next.posix_memalign(block, align, bytes) : ENOMEM;
}

static size_t boot_usable_size(void *block)
{
	return block && look_up() ? next.usable_size(block) : 0;
}
