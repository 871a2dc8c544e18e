/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Spans that are cut into blocks: their bitmaps, and which of them a thread takes blocks from.
 */
#ifndef LIB_BINNED_SPAN_H
#define LIB_BINNED_SPAN_H

#include "binned.h"

/* The list of struct granule_span. */
enum { BINNED_IN_HAND, BINNED_IN_SOME, BINNED_IN_FULL };

static inline _Atomic uint64_t *binned_taken(struct granule_span *span)
{
	return span->bits;
}

static inline _Atomic uint64_t *binned_returned(const struct granules *g, struct granule_span *span)
{
	return span->bits + g->half;
}

static inline unsigned int binned_words(const struct binned_class *class)
{
	return (class->blocks + 63) / 64;
}

/* Those of word @at that are blocks. */
static inline uint64_t binned_blocks(const struct binned_class *class, unsigned int at)
{
	unsigned int left = class->blocks - at * 64;

	return left >= 64 ? ~0ull : (1ull << left) - 1;
}

static inline uint64_t binned_load(_Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

/* By the owner alone. */
static inline void binned_store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

/* A word with free blocks comes to hand: 0, or what keeps it from that. */
int binned_refill(struct binned_cache *cache, unsigned int c);

/* Give back what is empty, and look for what the dead had; false: there was nothing. */
bool binned_make_room(struct binned_cache *cache);

/* A block of a span that is not in hand was freed, and @left of its word are taken. Returns 0. */
int binned_freed(struct binned_cache *cache, unsigned int c, uint32_t head, uint64_t left);

/* The thread ends: what is empty goes back, the rest is for who needs it next. */
void binned_part(struct binned_cache *cache);

#endif
