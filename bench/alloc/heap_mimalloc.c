// SPDX-License-Identifier: GPL-2.0-only
/*
 * mimalloc: heaps on an arena of its own, as large as the space. Opened so that nothing else sees
 * its symbols. The arena is said to be pinned: like hmem it gives no page back to the kernel, which
 * is the faster way for it.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "heap.h"

/* The ID of an arena: a number in versions 1 and 2, a pointer from 3 on. */
union arena {
	int number;
	void *pointer;
};

static union arena arena;
static bool by_pointer;
static bool (*manage)(void *start, size_t bytes, bool committed, bool pinned, bool zero, int node,
		      bool exclusive, void *id);
static void *(*heap_malloc)(void *heap, size_t bytes);
static void (*block_free)(void *block);
static void (*heap_delete)(void *heap);
static void *new_in_arena;

static void *find(void *library, const char *name)
{
	void *found = dlsym(library, name);

	if (!found)
		fail("mimalloc", dlerror());
	return found;
}

static bool mimalloc_open(const char *place, bool populate)
{
	static const char *const names[] = { "libmimalloc.so.2", "libmimalloc.so.3" };
	size_t align = 64ull << 20;
	void *library = NULL;
	int (*version)(void);
	char *memory;

	(void)place;
	if (manage)
		return true;
	for (size_t i = 0; !library && i < sizeof(names) / sizeof(names[0]); i++)
		library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return false;
	*(void **)&version = find(library, "mi_version");
	*(void **)&manage = find(library, "mi_manage_os_memory_ex");
	*(void **)&heap_malloc = find(library, "mi_heap_malloc");
	*(void **)&block_free = find(library, "mi_free");
	*(void **)&heap_delete = find(library, "mi_heap_delete");
	new_in_arena = find(library, "mi_heap_new_in_arena");
	by_pointer = version() >= 300;
	memory = mmap(NULL, HEAP_BYTES + align, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		fail("mimalloc", "no memory for an arena");
	memory = (char *)(((uintptr_t)memory + align - 1) & -align);
	if (populate)
		madvise(memory, HEAP_BYTES, MADV_POPULATE_WRITE);
	return manage(memory, HEAP_BYTES, true, true, true, -1, true, &arena);
}

static void *mimalloc_enter(size_t object)
{
	void *(*by_number)(int id);
	void *(*by_address)(void *id);

	(void)object;
	*(void **)&by_number = new_in_arena;
	*(void **)&by_address = new_in_arena;
	return by_pointer ? by_address(arena.pointer) : by_number(arena.number);
}

static void mimalloc_leave(void *heap)
{
	heap_delete(heap);
}

static void *alloc(void *heap, size_t bytes)
{
	uint64_t *block = heap_malloc(heap, bytes);

	if (block)
		*block = bytes;
	else
		fail("mimalloc", "no block");
	return block;
}

static void give_back(void *heap, void *block)
{
	(void)heap;
	block_free(block);
}

const struct heap heap_mimalloc = {
	"mimalloc", mimalloc_open, mimalloc_enter, mimalloc_leave, alloc, give_back, NULL,
};
