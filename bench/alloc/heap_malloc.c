// SPDX-License-Identifier: GPL-2.0-only
/*
 * glibc, which is this program's; jemalloc, opened so that nothing else sees its symbols; memkind
 * on a file, and Boost.Interprocess in shared memory, by bench/alloc/heap_boost.cc.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "heap.h"

static void *mark(const char *who, uint64_t *block, size_t bytes)
{
	if (block)
		*block = bytes;
	else
		fail(who, "no block");
	return block;
}

/* What needs no state has one that is not NULL. */
static void *enter(size_t object)
{
	static char any;

	(void)object;
	return &any;
}

static void leave(void *state)
{
	(void)state;
}

/* --- glibc --------------------------------------------------------------------------- */

static bool glibc_open(const char *place, bool populate)
{
	(void)place;
	(void)populate;
	return true;
}

static void *glibc_alloc(void *state, size_t bytes)
{
	(void)state;
	return mark("glibc", malloc(bytes), bytes);
}

static void glibc_free(void *state, void *block)
{
	(void)state;
	free(block);
}

const struct heap heap_glibc = {
	"glibc", glibc_open, enter, leave, glibc_alloc, glibc_free, NULL,
};

/* --- jemalloc ------------------------------------------------------------------------ */

static void *(*je_malloc)(size_t bytes);
static void (*je_free)(void *block);

static bool jemalloc_open(const char *place, bool populate)
{
	void *library = je_malloc ? NULL : dlopen("libjemalloc.so.2", RTLD_NOW | RTLD_LOCAL);

	(void)place;
	(void)populate;
	if (library) {
		*(void **)&je_free = dlsym(library, "free");
		*(void **)&je_malloc = dlsym(library, "malloc");
	}
	if (!je_malloc)
		fprintf(stderr, "alloc: %s\n", dlerror());
	return je_malloc && je_free;
}

static void *jemalloc_alloc(void *state, size_t bytes)
{
	(void)state;
	return mark("jemalloc", je_malloc(bytes), bytes);
}

static void jemalloc_free(void *state, void *block)
{
	(void)state;
	je_free(block);
}

const struct heap heap_jemalloc = {
	"jemalloc", jemalloc_open, enter, leave, jemalloc_alloc, jemalloc_free, NULL,
};

/* --- memkind ------------------------------------------------------------------------- */

static void *kind;
static void *(*memkind_malloc)(void *kind, size_t bytes);
static void (*memkind_free)(void *kind, void *block);

static bool memkind_open(const char *place, bool populate)
{
	int (*create)(const char *directory, size_t bytes, void **kind);
	void *library;

	(void)populate;
	if (kind)
		return true;
	library = dlopen("libmemkind.so.0", RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return false;
	*(void **)&create = dlsym(library, "memkind_create_pmem");
	*(void **)&memkind_malloc = dlsym(library, "memkind_malloc");
	*(void **)&memkind_free = dlsym(library, "memkind_free");
	return create && memkind_malloc && memkind_free && !create(place, HEAP_BYTES, &kind);
}

static void *memkind_enter(size_t object)
{
	(void)object;
	return kind;
}

static void *memkind_alloc(void *state, size_t bytes)
{
	return mark("memkind", memkind_malloc(state, bytes), bytes);
}

static void memkind_give_back(void *state, void *block)
{
	memkind_free(state, block);
}

const struct heap heap_memkind = {
	"memkind", memkind_open, memkind_enter, leave, memkind_alloc, memkind_give_back, NULL,
};

/* --- Boost --------------------------------------------------------------------------- */

static void *segment;
static void *(*boost_open)(const char *path, size_t bytes);
static void *(*boost_alloc)(void *segment, size_t bytes);
static void (*boost_free)(void *segment, void *block);

/* Built beside this program, where there is Boost. Each process that enters opens it. */
static bool segment_open(const char *place, bool populate)
{
	void *library;
	char path[256];

	(void)populate;
	snprintf(path, sizeof(path), "%s/boost.so", place);
	library = boost_open ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library) {
		*(void **)&boost_alloc = dlsym(library, "boost_alloc");
		*(void **)&boost_free = dlsym(library, "boost_free");
		*(void **)&boost_open = dlsym(library, "boost_open");
	}
	snprintf(path, sizeof(path), "%s/boost.segment", place);
	segment = boost_open && boost_alloc && boost_free ? boost_open(path, HEAP_BYTES) : NULL;
	return segment;
}

static void *segment_enter(size_t object)
{
	(void)object;
	return segment;
}

static void *segment_alloc(void *state, size_t bytes)
{
	return mark("boost", boost_alloc(state, bytes), bytes);
}

static void segment_free(void *state, void *block)
{
	boost_free(state, block);
}

const struct heap heap_boost = {
	"boost", segment_open, segment_enter, leave, segment_alloc, segment_free, NULL,
};
