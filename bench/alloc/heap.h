/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Heaps that are measured beside each other, and with what.
 */
#ifndef BENCH_ALLOC_HEAP_H
#define BENCH_ALLOC_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What heaps that are on memory of their own have of it. */
#define HEAP_BYTES (512ull << 20)

/*
 * A heap, in this process together with others.
 *
 * @name: who it is in samples
 * @open: once, before all else, in @place, a directory on tmpfs; @populate: its memory is all
 *	there at once. False: it is not on this machine
 * @enter: what a thread hands to the others; @object: bytes of a block, for heaps that have one
 *	size alone. NULL: not possible
 * @alloc: a block, whose first word was written to; ends the program where there is none
 * @reset: instead of freeing each block; NULL: those are freed
 */
struct heap {
	const char *name;
	bool (*open)(const char *place, bool populate);
	void *(*enter)(size_t object);
	void (*leave)(void *state);
	void *(*alloc)(void *state, size_t bytes);
	void (*free)(void *state, void *block);
	void (*reset)(void *state);
};

extern const struct heap heap_general, heap_kept, heap_handle, heap_slab, heap_bump, heap_shared;
extern const struct heap heap_mimalloc, heap_jemalloc, heap_glibc, heap_memkind, heap_boost;

/* Those of the list that are on this machine, NULL behind the last one; opened. */
const struct heap **heaps_open(const struct heap *const *list, const char *place, bool populate);

/* --- measuring ----------------------------------------------------------------------- */

/* Short runs, whose figures mean nothing. */
extern bool quick;

_Noreturn void fail(const char *what, const char *why);

/* In ns: of all, or of the calling thread alone, which others on the machine do not count for. */
double wall_time(void);
double own_time(void);

/* The thread stays on the processor of this number, round again where there are not so many. */
void pin(unsigned int number);

static inline uint64_t dice(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* From @least to @most, each power of two as likely as another. */
size_t dice_size(uint64_t *seed, size_t least, size_t most);

/* A sample on stdout, as bench/report reads it. */
void sample(const char *metric, const char *unit, const char *who, double value);

/* The size as metrics have it: 16, 4K, 1M. */
const char *size_name(size_t bytes);

/* --- what is measured, one round of each ---------------------------------------------- */

void pairs_round(const char *place, unsigned int round);
void threads_round(const char *place, unsigned int round);
void shared_round(const char *place, unsigned int round);
void copy_round(const char *place, unsigned int round);
void held_round(const char *place, unsigned int round);

#endif
