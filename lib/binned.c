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

#include "binned.h"

/* Full spans that are looked at for what others gave back, before a new one is claimed. */
#define LOOKS	4

/* In a span, at least, and spans in a space, both where it is large enough. */
#define BLOCKS_WANTED 8
#define SPANS_WANTED  64

/* Granules that are looked at for spans without owner, before a new one is claimed. */
#define ADOPT_LOOKS 256

static _Atomic uint64_t *taken(struct granule_span *span)
{
	return span->bits;
}

static _Atomic uint64_t *returned(const struct granules *g, struct granule_span *span)
{
	return span->bits + ((size_t)1 << g->shift) / GRANULE_BLOCK_MIN / 64;
}

static unsigned int words_of(const struct binned_class *class)
{
	return (class->blocks + 63) / 64;
}

/* Those of word @at that are blocks. */
static uint64_t blocks_of(const struct binned_class *class, unsigned int at)
{
	unsigned int left = class->blocks - at * 64;

	return left >= 64 ? ~0ull : (1ull << left) - 1;
}

static uint64_t load(_Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

/* By the owner alone. */
static void store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

/*
 * What others gave back of a word is free from now on. In this order, so that it is so as well
 * when who adopts the span of a dead owner does it again.
 */
static uint64_t collect(const struct granules *g, struct granule_span *span, unsigned int at)
{
	_Atomic uint64_t *word = &returned(g, span)[at];
	uint64_t back = atomic_load_explicit(word, memory_order_acquire), now = load(&taken(span)[at]);

	if (back) {
		now &= ~back;
		store(&taken(span)[at], now);
		atomic_fetch_and_explicit(word, ~back, memory_order_release);
	}
	return now;
}

/* --- the rings of a bin -------------------------------------------------------------- */

static void ring_add(const struct granules *g, uint32_t *ring, uint32_t head)
{
	struct granule_span *span = granule_span(g, head), *first;

	if (!*ring) {
		*ring = span->next = span->before = head + 1;
		return;
	}
	first = granule_span(g, *ring - 1);
	span->next = *ring;
	span->before = first->before;
	granule_span(g, first->before - 1)->next = head + 1;
	first->before = head + 1;
}

static void ring_remove(const struct granules *g, uint32_t *ring, uint32_t head)
{
	struct granule_span *span = granule_span(g, head);

	if (span->next == head + 1) {
		*ring = 0;
		return;
	}
	granule_span(g, span->next - 1)->before = span->before;
	granule_span(g, span->before - 1)->next = span->next;
	if (*ring == head + 1)
		*ring = span->next;
}

enum { IN_HAND, IN_SOME, IN_FULL };

static void put(const struct granules *g, struct bin *bin, uint32_t head, uint32_t list)
{
	granule_span(g, head)->list = list;
	ring_add(g, list == IN_FULL ? &bin->full : &bin->some, head);
}

static void pull(const struct granules *g, struct bin *bin, uint32_t head)
{
	struct granule_span *span = granule_span(g, head);

	ring_remove(g, span->list == IN_FULL ? &bin->full : &bin->some, head);
	span->list = IN_HAND;
}

/* --- spans --------------------------------------------------------------------------- */

/* Whether all its blocks are free. */
static bool is_empty(const struct granules *g, const struct binned_class *class,
		     struct granule_span *span)
{
	for (unsigned int i = 0; i < words_of(class); i++)
		if (collect(g, span, i))
			return false;
	return true;
}

/* The next word of the span in hand with a free block, and round again from its first. */
static bool next_word(struct binned_cache *cache, unsigned int c)
{
	const struct binned_class *class = &cache->heap->classes[c];
	const struct granules *g = cache->heap->g;
	struct bin *bin = &cache->bins[c];
	unsigned int n = words_of(class), at = bin->at;
	struct granule_span *span = granule_span(g, bin->span - 1);

	for (unsigned int i = 0; i < n; i++) {
		uint64_t now;

		at = at + 1 < n ? at + 1 : 0;
		now = ~collect(g, span, at) & blocks_of(class, at);
		if (now) {
			bin->at = at;
			bin->word = &taken(span)[at];
			bin->block = granule_address(g, bin->span - 1) +
				     (size_t)at * 64 * class->size;
			bin->free = now;
			return true;
		}
	}
	return false;
}

/* A span that is in no ring comes to hand; false: it has no free block, and is in hand all the same. */
static bool in_hand(struct binned_cache *cache, unsigned int c, uint32_t head)
{
	struct bin *bin = &cache->bins[c];

	granule_span(cache->heap->g, head)->list = IN_HAND;
	bin->span = head + 1;
	bin->at = words_of(&cache->heap->classes[c]) - 1;
	return next_word(cache, c);
}

static void lay_down(struct binned_cache *cache, unsigned int c)
{
	struct bin *bin = &cache->bins[c];

	if (bin->span)
		put(cache->heap->g, bin, bin->span - 1, IN_FULL);
	bin->span = 0;
	bin->word = NULL;
	bin->free = 0;
}

/* Of the full ones @looks, those that were looked at longest ago. */
static bool look_at_full(struct binned_cache *cache, unsigned int c, unsigned int looks)
{
	const struct granules *g = cache->heap->g;
	struct bin *bin = &cache->bins[c];
	uint32_t first = bin->full;

	while (bin->full && looks--) {
		uint32_t head = bin->full - 1;

		pull(g, bin, head);
		if (in_hand(cache, c, head))
			return true;
		lay_down(cache, c);
		if (bin->full == first)
			break;
	}
	return false;
}

/* Of @looks granules those that begin a span of the class that nobody owns. */
static bool adopt(struct binned_cache *cache, unsigned int c, uint64_t looks)
{
	const struct binned *heap = cache->heap;
	uint64_t wanted = granule_word(GRANULE_HEAD, c, heap->interface, GRANULE_NOBODY,
				       heap->classes[c].granules);
	struct granules *g = heap->g;

	while (looks--) {
		uint64_t at = cache->adopt_at++ % g->count;

		if (load(&g->words[at]) != wanted ||
		    !granules_adopt(g, at, wanted, cache->owner))
			continue;
		if (in_hand(cache, c, (uint32_t)at))
			return true;
		lay_down(cache, c);
	}
	return false;
}

static int64_t claim(struct binned_cache *cache, unsigned int c)
{
	const struct binned *heap = cache->heap;
	const struct binned_class *class = &heap->classes[c];
	struct granules *g = heap->g;
	int64_t at = granules_claim(g, class->granules, 1, cache->owner);
	struct granule_span *span;

	if (at < 0)
		return at;
	span = granule_span(g, (uint64_t)at);
	for (unsigned int i = 0; i < words_of(class); i++) {
		store(&taken(span)[i], 0);
		store(&returned(g, span)[i], 0);
	}
	granules_settle(g, (uint64_t)at,
			granule_word(GRANULE_HEAD, c, heap->interface, cache->owner,
				     class->granules),
			cache->owner);
	return at;
}

/* One that the thread owns. */
static void release(struct binned_cache *cache, uint64_t head)
{
	struct granules *g = cache->heap->g;

	granules_release(g, head, load(&g->words[head]), cache->owner);
}

/* Give back what is empty, of all classes; returns how many spans. */
static unsigned int give_back(struct binned_cache *cache)
{
	struct granules *g = cache->heap->g;
	unsigned int n = 0;

	for (unsigned int c = 0; c < cache->heap->nr_classes; c++) {
		const struct binned_class *class = &cache->heap->classes[c];
		struct bin *bin = &cache->bins[c];

		if (bin->span && is_empty(g, class, granule_span(g, bin->span - 1))) {
			uint32_t head = bin->span - 1;

			bin->span = 0;
			bin->word = NULL;
			bin->free = 0;
			release(cache, head);
			n++;
		}
		for (unsigned int list = IN_SOME; list <= IN_FULL; list++) {
			uint32_t *ring = list == IN_FULL ? &bin->full : &bin->some;
			uint32_t last = *ring ? granule_span(g, *ring - 1)->before : 0;
			uint32_t at = *ring;

			while (at) {
				uint32_t head = at - 1, next = granule_span(g, head)->next;
				bool done = at == last;

				if (is_empty(g, class, granule_span(g, head))) {
					pull(g, bin, head);
					release(cache, head);
					n++;
				}
				at = done ? 0 : next;
			}
		}
	}
	return n;
}

/* The same of spans of all classes that nobody owns. */
static unsigned int give_back_orphans(struct binned_cache *cache)
{
	const struct binned *heap = cache->heap;
	struct granules *g = heap->g;
	unsigned int n = 0;

	for (uint64_t at = 0; at < g->count; at++) {
		uint64_t word = load(&g->words[at]);
		unsigned int c = granule_use(word);

		if (granule_state(word) != GRANULE_HEAD || c >= heap->nr_classes ||
		    granule_interface(word) != heap->interface ||
		    granule_owner(word) != GRANULE_NOBODY ||
		    !granules_adopt(g, at, word, cache->owner))
			continue;
		if (is_empty(g, &heap->classes[c], granule_span(g, at))) {
			release(cache, at);
			n++;
		} else {
			granules_orphan(g, at);
		}
	}
	return n;
}

/* There is no room, unless somebody has some to give. */
static bool make_room(struct binned_cache *cache)
{
	const struct binned *heap = cache->heap;
	bool any = give_back(cache);

	/* Also what the dead had claimed, and was no span yet. */
	if (heap->bury && heap->bury(heap->bury_arg))
		any = true;
	return give_back_orphans(cache) || any;
}

/* A word with free blocks comes to hand: 0, or what keeps it from that. */
static int refill(struct binned_cache *cache, unsigned int c)
{
	struct granules *g = cache->heap->g;
	struct bin *bin = &cache->bins[c];
	int64_t at;

	if (bin->span && next_word(cache, c))
		return 0;
	lay_down(cache, c);
	while (bin->some) {
		uint32_t head = bin->some - 1;

		pull(g, bin, head);
		if (in_hand(cache, c, head))
			return 0;
		lay_down(cache, c);
	}
	if (look_at_full(cache, c, LOOKS))
		return 0;
	if (atomic_load_explicit(&g->table->orphans, memory_order_relaxed) &&
	    adopt(cache, c, ADOPT_LOOKS))
		return 0;
	at = claim(cache, c);
	if (at < 0) {
		if (look_at_full(cache, c, ~0u) || adopt(cache, c, g->count))
			return 0;
		if (make_room(cache))
			at = claim(cache, c);
		if (at < 0 && adopt(cache, c, g->count))
			return 0;
	}
	if (at < 0)
		return (int)at;
	in_hand(cache, c, (uint32_t)at);
	return 0;
}

/* --- blocks -------------------------------------------------------------------------- */

static struct binned_cache *binned_cache(struct binned *heap)
{
	if (heap->only)
		return heap->only;
	return (struct binned_cache *)(void *)thread_part(&heap->threads);
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

static void *take(struct bin *bin)
{
	unsigned int bit = (unsigned int)__builtin_ctzll(bin->free);

	bin->free &= bin->free - 1;
	store(bin->word, load(bin->word) | 1ull << bit);
	return bin->block + (size_t)bit * bin->size;
}

static __attribute__((noinline)) void *take_slow(struct binned_cache *cache, unsigned int c)
{
	int err = refill(cache, c);

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
	uint32_t n, at_multiple = align > granule ? (uint32_t)(align >> g->shift) : 1;
	int64_t at;

	if (!cache)
		return NULL;
	if (bytes > g->count << g->shift || heap->object) {
		errno = ENOSPC;
		return NULL;
	}
	n = (uint32_t)((bytes + granule - 1) >> g->shift);
	at = granules_claim(g, n, at_multiple, cache->owner);
	if (at < 0 && make_room(cache))
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

static inline void *alloc_class(struct binned *heap, unsigned int c)
{
	struct binned_cache *cache = binned_cache(heap);

	if (__builtin_expect(!cache, 0))
		return NULL;
	if (__builtin_expect(!cache->bins[c].free, 0))
		return take_slow(cache, c);
	return take(&cache->bins[c]);
}

void *binned_alloc(struct binned *heap, size_t bytes)
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

/* A span is empty that is not in hand: it goes back unless it is the last one with free blocks. */
static void emptied(struct binned_cache *cache, unsigned int c, uint32_t head)
{
	struct granules *g = cache->heap->g;
	struct bin *bin = &cache->bins[c];

	if (bin->some && granule_span(g, bin->some - 1)->next != bin->some &&
	    is_empty(g, &cache->heap->classes[c], granule_span(g, head))) {
		pull(g, bin, head);
		release(cache, head);
	}
}

static __attribute__((noinline)) void freed_slow(struct binned_cache *cache, unsigned int c,
						  uint32_t head, uint64_t left)
{
	struct bin *bin = &cache->bins[c];
	struct granule_span *span = granule_span(cache->heap->g, head);

	if (span->list == IN_FULL) {
		pull(cache->heap->g, bin, head);
		put(cache->heap->g, bin, head, IN_SOME);
	}
	if (!left && span->list == IN_SOME)
		emptied(cache, c, head);
}

static int free_to_owner(const struct granules *g, struct granule_span *span, unsigned int i)
{
	uint64_t bit = 1ull << i % 64;

	if (!(load(&taken(span)[i / 64]) & bit) ||
	    atomic_fetch_or_explicit(&returned(g, span)[i / 64], bit, memory_order_release) & bit)
		return -EALREADY;
	return 0;
}

static int free_run(struct binned *heap, uint64_t head, uint64_t word, const void *block)
{
	struct binned_cache *cache = binned_cache(heap);

	if (granule_address(heap->g, head) != block)
		return -EINVAL;
	/* Giving back does not fail for want of an owner: nobody will do. */
	if (!granules_release(heap->g, head, word, cache ? cache->owner : GRANULE_NOBODY))
		return -EALREADY;
	return 0;
}

int binned_free(struct binned *heap, void *block)
{
	const struct granules *g = heap->g;
	const struct binned_class *class;
	struct binned_cache *cache;
	struct granule_span *span;
	uint64_t word, head = granule_of(g, block, &word), bit, now;
	uint32_t offset, i;

	if (granule_state(word) != GRANULE_HEAD || granule_interface(word) != heap->interface)
		return word ? -EINVAL : -EALREADY;
	if (granule_use(word) == GRANULE_RUN)
		return free_run(heap, head, word, block);
	class = &heap->classes[granule_use(word)];
	offset = (uint32_t)((char *)block - granule_address(g, head));
	i = (uint32_t)((uint64_t)offset * class->reciprocal >> 32);
	if (i * class->size != offset || i >= class->blocks)
		return -EINVAL;
	span = granule_span(g, head);
	cache = binned_cache(heap);
	if (!cache || granule_owner(word) != cache->owner)
		return free_to_owner(g, span, i);
	bit = 1ull << i % 64;
	now = load(&taken(span)[i / 64]);
	/* Given back by another, and not collected: it would be twice. */
	if (!(now & bit & ~load(&returned(g, span)[i / 64])))
		return -EALREADY;
	now &= ~bit;
	store(&taken(span)[i / 64], now);
	if (&taken(span)[i / 64] == cache->bins[granule_use(word)].word)
		cache->bins[granule_use(word)].free |= bit;
	else if (span->list == IN_FULL || (!now && span->list == IN_SOME))
		freed_slow(cache, granule_use(word), (uint32_t)head, now);
	return 0;
}

size_t binned_size(const struct binned *heap, const void *block)
{
	const struct granules *g = heap->g;
	const struct binned_class *class;
	uint64_t word, head = granule_of(g, block, &word), offset;

	if (granule_state(word) != GRANULE_HEAD || granule_interface(word) != heap->interface)
		return 0;
	offset = (uint64_t)((const char *)block - granule_address(g, head));
	if (granule_use(word) == GRANULE_RUN)
		return offset ? 0 : (size_t)granule_length(word) << g->shift;
	class = &heap->classes[granule_use(word)];
	if (offset % class->size || offset / class->size >= class->blocks)
		return 0;
	offset /= class->size;
	if (!(load(&taken(granule_span(g, head))[offset / 64]) &
	      ~load(&returned(g, granule_span(g, head))[offset / 64]) & 1ull << offset % 64))
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
		    granule_interface(word) != heap->interface)
			continue;
		if (granule_use(word) == GRANULE_RUN) {
			++*blocks;
			*bytes += (uint64_t)granule_length(word) << g->shift;
			continue;
		}
		class = &heap->classes[granule_use(word)];
		for (unsigned int i = 0; i < words_of(class); i++)
			n += (unsigned int)__builtin_popcountll(
				load(&taken(granule_span(g, at))[i]) &
				~load(&returned(g, granule_span(g, at))[i]));
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

static size_t cache_bytes(const struct binned *heap)
{
	size_t bytes = sizeof(struct binned_cache) + heap->nr_classes * sizeof(struct bin);

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
	for (unsigned int i = 0; i < heap->nr_classes; i++)
		cache->bins[i].size = heap->classes[i].size;
	return cache;
}

/* What is empty goes back, the rest is for who needs it next. */
static void part_with_spans(struct binned_cache *cache)
{
	struct granules *g = cache->heap->g;

	give_back(cache);
	for (unsigned int c = 0; c < cache->heap->nr_classes; c++) {
		struct bin *bin = &cache->bins[c];

		if (bin->span)
			granules_orphan(g, bin->span - 1);
		while (bin->some || bin->full) {
			uint32_t head = (bin->some ? bin->some : bin->full) - 1;

			pull(g, bin, head);
			granules_orphan(g, head);
		}
	}
}

static void leave(struct thread_part *part)
{
	struct binned_cache *cache = (struct binned_cache *)(void *)part;

	/* What processes share is not mapped in a child: all there is to give up is the cache. */
	if (!cache->heap->process || cache->heap->process == getpid()) {
		part_with_spans(cache);
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
