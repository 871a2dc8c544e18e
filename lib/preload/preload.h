/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libhmem-malloc.so: the malloc(3) of programs that know nothing of hmem. What is above a threshold
 * comes from a space on a layer, all else from the next malloc there is: the C library's, or that
 * of another library that is loaded before it.
 *
 * It has libhmem inside, of which nobody sees anything: a program's own libhmem is another one.
 */
#ifndef LIB_PRELOAD_H
#define LIB_PRELOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../space.h"

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define EXPORTED __attribute__((visibility("default")))

/* --- the next malloc: next.c --------------------------------------------------------- */

/* Looked up when one of them is first called, which may be before any constructor has run. */
struct next {
	void *(*malloc)(size_t bytes);
	void *(*calloc)(size_t n, size_t bytes);
	void *(*realloc)(void *block, size_t bytes);
	void (*free)(void *block);
	void *(*memalign)(size_t align, size_t bytes);
	void *(*aligned_alloc)(size_t align, size_t bytes);
	int (*posix_memalign)(void **block, size_t align, size_t bytes);
	size_t (*usable_size)(void *block);
};

extern struct next next;

/* --- what is set: settings.c --------------------------------------------------------- */

#define LAYER_MAX 255
#define PATH_LENGTH 4096

/*
 * @layer: from which memory comes; "": none, all is passed on
 * @size: bytes of the space; 0: what suits the layer
 * @share: percent, of the bytes above the threshold, that come from it
 * @stats: where to tell at the end what came from it: a file, "stderr", or ""
 */
struct settings {
	char layer[LAYER_MAX + 1];
	uint64_t size;
	unsigned int share;
	char stats[PATH_LENGTH];
};

extern struct settings settings;

/* One line on stderr. */
void preload_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- the space: source.c ------------------------------------------------------------- */

/*
 * What each call looks at.
 *
 * @above: what has more bytes may come from the space; SIZE_MAX: nothing does
 * @base, @bytes: of the space's memory; 0 bytes until it is there
 */
struct source {
	size_t above;
	_Atomic uintptr_t base;
	_Atomic size_t bytes;
};

extern struct source source;

static inline bool source_has(const void *block)
{
	size_t bytes = atomic_load_explicit(&source.bytes, memory_order_acquire);

	return (uintptr_t)block - atomic_load_explicit(&source.base, memory_order_relaxed) < bytes;
}

/*
 * A block of more than the threshold: NULL if it is to come from the next malloc, whether that was
 * chosen or there is no room. @zero: set to whether it reads as zeroes; NULL: nobody asks. errno
 * stays.
 */
void *source_alloc(size_t bytes, size_t align, bool *zero);
/* The same without choosing, as for what is there already. */
void *source_alloc_chosen(size_t bytes, size_t align, bool *zero);
/* For operator new, which may be passed on to malloc(3): that is not to choose once more. */
void *source_new(size_t bytes, size_t align);
/* Of blocks that the space has. errno stays. */
void source_free(void *block);
size_t source_usable(const void *block);

/* The space, once it is there; NULL: it is not. Why it could not be made, or "". */
struct hmem_space *source_space(void);
struct hmem_interface *source_interface(void);
const char *source_why_not(void);

/* --- children of fork(2): children.c ------------------------------------------------- */

/* Before anybody is given a block: what is needed so that a child has them. 0 or negative errno. */
int children_watch(struct hmem_space *space);

/* The thread has what it has of the space, without which it would wait for a lock. */
void source_touch(void);

/*
 * The memory of a region is replaced by memory of the process, at the same addresses and with what
 * is in use. Others must not write to it meanwhile. False: there is no memory.
 */
bool children_evacuate(struct hmem_space *space);

/* --- what came from where: counts.c --------------------------------------------------- */

void count_here(size_t bytes);
void count_elsewhere(size_t bytes);
void count_bad_free(void);
void count_anew(void);
/* Remember where stderr leads to: a program may close it, and have something else there. */
void count_begin(void);
void count_tell(void);

#endif
