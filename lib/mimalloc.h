/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The functions of mimalloc that are used here, of the versions that there are: loaded when it is
 * first asked for, and where nothing else finds them, as it would replace the program's malloc().
 */
#ifndef LIB_MIMALLOC_H
#define LIB_MIMALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* Until 2.x an arena has a number, since 3.0 an address. */
union mimalloc_arena {
	int number;
	void *address;
};

/*
 * @aligns: what is aligned to more than 16 bytes is safe there. With 3.0.1 blocks were damaged when
 *	threads that had such ones ended: seen, also without arenas; why was not looked up
 */
struct mimalloc {
	bool arenas_have_addresses;
	bool aligns;
	int (*version)(void);
	bool (*manage_os_memory_ex)(void *start, size_t bytes, bool is_committed, bool is_pinned,
				    bool is_zero, int node, bool exclusive, void *arena);
	void *(*heap_new_in_arena)(void);
	void *(*heap_malloc_aligned_at)(void *heap, size_t bytes, size_t align, size_t offset);
	void *(*heap_malloc)(void *heap, size_t bytes);
	void (*free)(void *block);
	size_t (*usable_size)(const void *block);
};

/* It begins at a multiple of this, and has at least as much again, whatever its version. */
#define MIMALLOC_ARENA_ALIGN (64ull << 20)
#define MIMALLOC_ARENA_MIN   (64ull << 20)

/* NULL: it is not there, or of a version that is not known; @why then says so. */
const struct mimalloc *mimalloc_get(const char **why);

/* It has all of the memory from now on, until the process ends. false: it has no more arenas. */
bool mimalloc_arena(const struct mimalloc *mi, void *start, size_t bytes,
		    union mimalloc_arena *arena);

/* Of the calling thread alone, until it ends; NULL: no memory. */
void *mimalloc_heap(const struct mimalloc *mi, union mimalloc_arena arena);

#endif
