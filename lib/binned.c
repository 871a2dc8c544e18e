// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Binned: taking blocks and giving them back.
 *
 * How blocks are found by bitmaps is as old as Solaris' vmem; that what others give back is kept
 * apart, so that the owner needs no atomic instruction, is mimalloc's (Leijen, Zorn, de Moura,
 * Mimalloc: Free List Sharding in Action, 2019).
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "binned_run.h"
#include "binned_span.h"

/* In a span, at least, and spans in a space, both where it is large enough. */
#define BLOCKS_WANTED 8
#define SPANS_WANTED  64

/* --- blocks -------------------------------------------------------------------------- */

/* The calling thread's, if it is where it is found at once. */
static inline struct binned_cache *cache_here(const struct binned *heap)
{
	return (struct binned_cache *)(void *)thread_part_here(&heap->threads);
}

static struct binned_cache *binned_cache(struct binned *heap)
{
	struct binned_cache *cache = cache_here(heap);

	if (cache)
		return cache;
	if (heap->only)
		return (struct binned_cache *)(void *)thread_part_put(&heap->threads,
								      &heap->only->part);
	return (struct binned_cache *)(void *)thread_part_find(&heap->threads);
}

/* Sizes up to 128 by 16, then four to a power of two. */
static unsigned int class_of(size_t bytes)
{
	unsigned int power;

	if (bytes <= 128)
		return bytes ? (unsigned int)(bytes - 1) / 16 : 0;
	power = 63 - (unsigned int)__builtin_clzll(bytes - 1);
	return 8 + (power - 7) * 4 + ((unsigned int)((bytes - 1) >> (power - 2)) & 3);
}

static inline void *take(struct bin *bin)
{
	unsigned int bit = (unsigned int)__builtin_ctzll(bin->free);

	bin->free &= bin->free - 1;
	binned_store(bin->word, binned_load(bin->word) | 1ull << bit);
	return bin->block + (size_t)bit * bin->size;
}

static __attribute__((noinline)) void *take_slow(struct binned_cache *cache, unsigned int c)
{
	int err = binned_refill(cache, c);

	if (err) {
		errno = -err;
		return NULL;
	}
	return take(&cache->bins[c]);
}

static void *alloc_run(struct binned *heap, size_t bytes, size_t align)
{
	struct binned_cache *cache = binned_cache(heap);
	struct granules *g = heap->g;
	size_t granule = (size_t)1 << g->shift;
	uint64_t known;
	uint32_t n, at_multiple = align > granule ? (uint32_t)(align >> g->shift) : 1;
	int64_t at;

	if (!cache)
		return NULL;
	if (bytes > g->count << g->shift || heap->object) {
		errno = ENOSPC;
		return NULL;
	}
	n = (uint32_t)((bytes + granule - 1) >> g->shift);
	known = binned_run_take(cache, n, at_multiple);
	if (known)
		return granule_address(g, known - 1);
	at = granules_claim(g, n, at_multiple, cache->owner);
	if (at < 0 && binned_make_room(cache))
		at = granules_claim(g, n, at_multiple, cache->owner);
	if (at < 0) {
		errno = (int)-at;
		return NULL;
	}
	granules_settle(g, (uint64_t)at,
			granule_word(GRANULE_HEAD, GRANULE_RUN, heap->interface, GRANULE_NOBODY, n),
			cache->owner);
	return granule_address(g, (uint64_t)at);
}

static void *alloc_class(struct binned *heap, unsigned int c)
{
	struct binned_cache *cache = binned_cache(heap);

	if (!cache)
		return NULL;
	return cache->bins[c].free ? take(&cache->bins[c]) : take_slow(cache, c);
}

static __attribute__((noinline)) void *alloc_slow(struct binned *heap, size_t bytes)
{
	if (heap->object) {
		if (bytes > heap->classes[0].size) {
			errno = ENOSPC;
			return NULL;
		}
		return alloc_class(heap, 0);
	}
	if (bytes > heap->classes[heap->nr_classes - 1].size)
		return alloc_run(heap, bytes, 1);
	return alloc_class(heap, class_of(bytes));
}

void *binned_alloc(struct binned *heap, size_t bytes)
{
	struct binned_cache *cache = cache_here(heap);
	struct bin *bin;

	if (__builtin_expect(!cache, 0))
		return alloc_slow(heap, bytes);
	if (__builtin_expect(bytes <= BINNED_SMALL, 1))
		bin = &cache->bins[heap->small[(bytes + 15) / 16]];
	else if (bytes <= heap->largest)
		bin = &cache->bins[heap->object ? 0 : class_of(bytes)];
	else
		return alloc_slow(heap, bytes);
	return __builtin_expect(bin->free != 0, 1) ? take(bin) : alloc_slow(heap, bytes);
}

void *binned_alloc_aligned(struct binned *heap, size_t bytes, size_t align)
{
	if (align <= 16)
		return binned_alloc(heap, bytes);
	if (bytes < align)
		bytes = align;
	if (heap->object) {
		if (heap->classes[0].size % align == 0)
			return binned_alloc(heap, bytes);
		errno = EINVAL;
		return NULL;
	}
	if (align <= (size_t)1 << heap->g->shift)
		for (unsigned int c = class_of(bytes); c < heap->nr_classes; c++)
			if (heap->classes[c].size % align == 0)
				return alloc_class(heap, c);
	return alloc_run(heap, bytes, align);
}

static int free_to_owner(const struct granules *g, struct granule_span *span, unsigned int i)
{
	uint64_t bit = 1ull << i % 64;

	if (!(binned_load(&binned_taken(span)[i / 64]) & bit) ||
	    atomic_fetch_or_explicit(&binned_returned(g, span)[i / 64], bit,
				     memory_order_release) & bit)
		return -EALREADY;
	return 0;
}

static int free_run(struct binned *heap, uint64_t head, uint64_t word, const void *block)
{
	struct binned_cache *cache = binned_cache(heap);
	bool freed;

	if (granule_address(heap->g, head) != block)
		return -EINVAL;
	if (granule_use(word) == GRANULE_IDLE)
		return -EALREADY;
	/* Giving back does not fail for want of an owner: nobody will do. */
	freed = cache ? binned_run_put(cache, head, word) :
			granules_release(heap->g, head, word, GRANULE_NOBODY);
	return freed ? 0 : -EALREADY;
}

/* Of a span that the cache's thread owns. */
static inline int free_own(struct binned_cache *cache, const struct granules *g, uint64_t head,
			   unsigned int c, uint32_t i)
{
	struct granule_span *span = granule_span(g, head);
	_Atomic uint64_t *taken = &binned_taken(span)[i / 64];
	uint64_t bit = 1ull << i % 64, now = binned_load(taken);
	struct bin *bin = &cache->bins[c];

	/* Given back by another, and not collected: it would be twice. */
	if (__builtin_expect(!(now & bit & ~binned_load(&taken[g->half])), 0))
		return -EALREADY;
	now &= ~bit;
	binned_store(taken, now);
	if (taken == bin->word) {
		bin->free |= bit;
		if (__builtin_expect(now != 0, 1))
			return 0;
	} else {
		/* What was freed last is the next to be taken, while it is in the caches. */
		bin->word = taken;
		bin->block = granule_address(g, head) + (size_t)(i & ~63u) * bin->size;
		bin->free = bit;
	}
	if (__builtin_expect(span->list != BINNED_IN_HAND, 0) &&
	    (span->list == BINNED_IN_FULL || !now))
		return binned_freed(cache, c, (uint32_t)head, now);
	return 0;
}

static __attribute__((noinline)) int free_slow(struct binned *heap, void *block)
{
	const struct granules *g = heap->g;
	const struct binned_class *class;
	struct binned_cache *cache;
	uint64_t word, head = granule_of(g, block, &word);
	uint32_t offset, i;

	if (granule_state(word) != GRANULE_HEAD || granule_interface(word) != heap->interface)
		return word ? -EINVAL : -EALREADY;
	if (granule_use(word) >= GRANULE_IDLE)
		return free_run(heap, head, word, block);
	class = &heap->classes[granule_use(word)];
	offset = (uint32_t)((char *)block - granule_address(g, head));
	i = (uint32_t)((uint64_t)offset * class->reciprocal >> 32);
	if (i * class->size != offset || i >= class->blocks)
		return -EINVAL;
	cache = binned_cache(heap);
	if (!cache || granule_owner(word) != cache->owner)
		return free_to_owner(g, granule_span(g, head), i);
	return free_own(cache, g, head, granule_use(word), i);
}

int binned_free(struct binned *heap, void *block)
{
	const struct granules *g = heap->g;
	struct binned_cache *cache = cache_here(heap);
	uint64_t word, head = granule_of(g, block, &word);
	const struct bin *bin;
	uint32_t offset, i;

	if (__builtin_expect(!cache || (word & GRANULE_WHOSE) != cache->whose, 0))
		return free_slow(heap, block);
	bin = &cache->bins[granule_use(word)];
	offset = (uint32_t)((char *)block - granule_address(g, head));
	i = (uint32_t)((uint64_t)offset * bin->reciprocal >> 32);
	if (__builtin_expect(i * bin->size != offset || i >= bin->blocks, 0))
		return -EINVAL;
	return free_own(cache, g, head, granule_use(word), i);
}

size_t binned_size(const struct binned *heap, const void *block)
{
	const struct granules *g = heap->g;
	const struct binned_class *class;
	uint64_t word, head = granule_of(g, block, &word), offset;

	if (granule_state(word) != GRANULE_HEAD || granule_interface(word) != heap->interface)
		return 0;
	offset = (uint64_t)((const char *)block - granule_address(g, head));
	if (granule_use(word) == GRANULE_IDLE)
		return 0;
	if (granule_use(word) == GRANULE_RUN)
		return offset ? 0 : (size_t)granule_length(word) << g->shift;
	class = &heap->classes[granule_use(word)];
	if (offset % class->size || offset / class->size >= class->blocks)
		return 0;
	offset /= class->size;
	if (!(binned_load(&binned_taken(granule_span(g, head))[offset / 64]) &
	      ~binned_load(&binned_returned(g, granule_span(g, head))[offset / 64]) &
	      1ull << offset % 64))
		return 0;
	return class->size;
}

void binned_count(const struct binned *heap, uint64_t *blocks, uint64_t *bytes)
{
	const struct granules *g = heap->g;

	*blocks = *bytes = 0;
	for (uint64_t at = 0; at < g->count; at++) {
		uint64_t word = atomic_load_explicit(&g->words[at], memory_order_acquire);
		const struct binned_class *class;
		uint64_t n = 0;

		if (granule_state(word) != GRANULE_HEAD ||
		    granule_interface(word) != heap->interface || granule_use(word) == GRANULE_IDLE)
			continue;
		if (granule_use(word) == GRANULE_RUN) {
			++*blocks;
			*bytes += (uint64_t)granule_length(word) << g->shift;
			continue;
		}
		class = &heap->classes[granule_use(word)];
		for (unsigned int i = 0; i < binned_words(class); i++)
			n += (unsigned int)__builtin_popcountll(
				binned_load(&binned_taken(granule_span(g, at))[i]) &
				~binned_load(&binned_returned(g, granule_span(g, at))[i]));
		*blocks += n;
		*bytes += n * class->size;
	}
}

/* --- heaps --------------------------------------------------------------------------- */

static void add_class(struct binned *heap, uint32_t size)
{
	struct binned_class *class = &heap->classes[heap->nr_classes++];
	uint32_t granule = 1u << heap->g->shift;

	uint64_t blocks = BLOCKS_WANTED;

	/* A span is a small part of all, unless one block is a large one. */
	while (blocks > 1 && blocks * size > (heap->g->count << heap->g->shift) / SPANS_WANTED)
		blocks /= 2;
	class->size = size;
	class->reciprocal = (uint32_t)(((1ull << 32) + size - 1) / size);
	class->granules = (uint32_t)((blocks * size + granule - 1) / granule);
	class->blocks = class->granules * (granule / size) +
			class->granules * (granule % size) / size;
}

/* Up to two granules, as far as a span is a small part of all. */
static void add_classes(struct binned *heap)
{
	uint64_t most = 2ull << heap->g->shift, part = (heap->g->count << heap->g->shift) / 128;
	uint32_t step = 16;

	if (part < most)
		most = part;
	for (uint32_t size = 16; size <= most || size <= 128; size += step) {
		add_class(heap, size);
		if (size >= 128 && !(size & (size - 1)))
			step = size / 4;
	}
}

uint32_t binned_classes(uint64_t count, unsigned int shift)
{
	struct granules g = { .count = count, .shift = shift };
	struct binned heap = { .g = &g };
	uint32_t hash = 2166136261u;	/* FNV-1a, by words */

	add_classes(&heap);
	for (unsigned int i = 0; i < heap.nr_classes; i++) {
		const struct binned_class *class = &heap.classes[i];
		const uint32_t says[] = { class->size, class->granules, class->blocks };

		for (size_t j = 0; j < sizeof(says) / sizeof(says[0]); j++)
			hash = (hash ^ says[j]) * 16777619u;
	}
	return hash;
}

/* Behind the last class is one that has no blocks, and so what is too large is seen as that. */
static void look_up(struct binned *heap)
{
	heap->largest = heap->classes[heap->nr_classes - 1].size;
	for (size_t i = 0; i <= BINNED_SMALL / 16; i++)
		heap->small[i] = (uint8_t)(i * 16 > heap->largest ? heap->nr_classes :
					   heap->object		  ? 0 : class_of(i * 16));
}

static size_t cache_bytes(const struct binned *heap)
{
	size_t bytes = sizeof(struct binned_cache) + (heap->nr_classes + 1) * sizeof(struct bin);

	return (bytes + 4095) / 4096 * 4096;
}

/* Not by malloc(3), which may be what the heap is for. */
static struct binned_cache *new_cache(struct binned *heap)
{
	struct binned_cache *cache = mmap(NULL, cache_bytes(heap), PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (cache == MAP_FAILED) {
		errno = ENOMEM;
		return NULL;
	}
	cache->heap = heap;
	cache->owner = granules_join(heap->g, heap->member);
	if (cache->owner == GRANULE_NOBODY) {
		munmap(cache, cache_bytes(heap));
		errno = EUSERS;
		return NULL;
	}
	cache->whose = granule_word(GRANULE_HEAD, 0, heap->interface, cache->owner, 0);
	for (unsigned int i = 0; i < heap->nr_classes; i++) {
		cache->bins[i].size = heap->classes[i].size;
		cache->bins[i].reciprocal = heap->classes[i].reciprocal;
		cache->bins[i].blocks = heap->classes[i].blocks;
	}
	return cache;
}

static void leave(struct thread_part *part)
{
	struct binned_cache *cache = (struct binned_cache *)(void *)part;

	/* What processes share is not mapped in a child: all there is to give up is the cache. */
	if (!cache->heap->process || cache->heap->process == getpid()) {
		binned_part(cache);
		granules_leave(cache->heap->g, cache->owner);
	}
	munmap(cache, cache_bytes(cache->heap));
}

/* Its spans stay as they are, until the interface gives back all that it has. */
static void abandon(struct thread_part *part)
{
	struct binned_cache *cache = (struct binned_cache *)(void *)part;

	munmap(cache, cache_bytes(cache->heap));
}

static struct thread_part *make(struct thread_parts *threads)
{
	struct binned_cache *cache = new_cache((struct binned *)(void *)threads);

	return cache ? &cache->part : NULL;
}

int binned_init(struct binned *heap, struct granules *g, unsigned int interface, uint32_t member,
		uint32_t object, bool one_thread)
{
	memset(heap, 0, sizeof(*heap));
	heap->g = g;
	heap->interface = interface;
	heap->member = member;
	heap->object = object != 0;
	heap->threads.make = make;
	heap->threads.leave = leave;
	heap->threads.forget = leave;
	heap->threads.abandon = abandon;
	thread_parts_init(&heap->threads);
	if (object)
		add_class(heap, object);
	else
		add_classes(heap);
	look_up(heap);
	if (one_thread) {
		heap->only = new_cache(heap);
		if (!heap->only)
			return -errno;
	}
	return 0;
}

void binned_fini(struct binned *heap)
{
	thread_parts_fini(&heap->threads);
	if (heap->only)
		leave(&heap->only->part);
	heap->only = NULL;
}
