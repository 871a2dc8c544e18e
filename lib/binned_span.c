// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Binned: the spans of a thread. One of each class is in hand, in rings are those with free blocks
 * and those without.
 */
#include "binned_run.h"
#include "binned_span.h"

/* Full spans that are looked at for what others gave back, before a new one is claimed. */
#define LOOKS	4

/* Granules that are looked at for spans without owner, before a new one is claimed. */
#define ADOPT_LOOKS 256

/*
 * What others gave back of a word is free from now on. In this order, so that it is so as well
 * when who adopts the span of a dead owner does it again.
 */
static uint64_t collect(const struct granules *g, struct granule_span *span, unsigned int at)
{
	_Atomic uint64_t *word = &binned_returned(g, span)[at];
	uint64_t back = atomic_load_explicit(word, memory_order_acquire);
	uint64_t now = binned_load(&binned_taken(span)[at]);

	if (back) {
		now &= ~back;
		binned_store(&binned_taken(span)[at], now);
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

static void put(const struct granules *g, struct bin *bin, uint32_t head, uint32_t list)
{
	granule_span(g, head)->list = list;
	ring_add(g, list == BINNED_IN_FULL ? &bin->full : &bin->some, head);
}

static void pull(const struct granules *g, struct bin *bin, uint32_t head)
{
	struct granule_span *span = granule_span(g, head);

	ring_remove(g, span->list == BINNED_IN_FULL ? &bin->full : &bin->some, head);
	span->list = BINNED_IN_HAND;
}

/* --- spans --------------------------------------------------------------------------- */

/* Whether all its blocks are free. */
static bool is_empty(const struct granules *g, const struct binned_class *class,
		     struct granule_span *span)
{
	for (unsigned int i = 0; i < binned_words(class); i++)
		if (collect(g, span, i))
			return false;
	return true;
}

/*
 * The next word of the span in hand with a free block, and round again from its first. It begins
 * with the one that it found last: what was freed elsewhere may have been taken from since.
 */
static bool next_word(struct binned_cache *cache, unsigned int c)
{
	const struct binned_class *class = &cache->heap->classes[c];
	const struct granules *g = cache->heap->g;
	struct bin *bin = &cache->bins[c];
	unsigned int n = binned_words(class), at = bin->at;
	struct granule_span *span = granule_span(g, bin->span - 1);

	for (unsigned int i = 0; i < n; i++) {
		uint64_t now;

		now = ~collect(g, span, at) & binned_blocks(class, at);
		if (now) {
			bin->at = at;
			bin->word = &binned_taken(span)[at];
			bin->block = granule_address(g, bin->span - 1) +
				     (size_t)at * 64 * class->size;
			bin->free = now;
			return true;
		}
		at = at + 1 < n ? at + 1 : 0;
	}
	return false;
}

/* A span that is in no ring comes to hand, also where it has no free block, which is false. */
static bool in_hand(struct binned_cache *cache, unsigned int c, uint32_t head)
{
	struct bin *bin = &cache->bins[c];

	granule_span(cache->heap->g, head)->list = BINNED_IN_HAND;
	bin->span = head + 1;
	bin->at = 0;
	return next_word(cache, c);
}

static void lay_down(struct binned_cache *cache, unsigned int c)
{
	struct bin *bin = &cache->bins[c];

	if (bin->span)
		put(cache->heap->g, bin, bin->span - 1, BINNED_IN_FULL);
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

		if (binned_load(&g->words[at]) != wanted ||
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
	for (unsigned int i = 0; i < binned_words(class); i++) {
		binned_store(&binned_taken(span)[i], 0);
		binned_store(&binned_returned(g, span)[i], 0);
	}
	granules_settle(g, (uint64_t)at,
			granule_word(GRANULE_HEAD, c, heap->interface, cache->owner,
				     class->granules),
			cache->owner);
	return at;
}

/* One that the thread owns, and that is in no ring. */
static void release(struct binned_cache *cache, unsigned int c, uint64_t head)
{
	struct granules *g = cache->heap->g;
	struct bin *bin = &cache->bins[c];

	if ((uintptr_t)bin->word - (uintptr_t)granule_span(g, head) < g->stride) {
		bin->word = NULL;
		bin->free = 0;
	}
	granules_release(g, head, binned_load(&g->words[head]), cache->owner);
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
			release(cache, c, head);
			n++;
		}
		for (unsigned int list = BINNED_IN_SOME; list <= BINNED_IN_FULL; list++) {
			uint32_t *ring = list == BINNED_IN_FULL ? &bin->full : &bin->some;
			uint32_t last = *ring ? granule_span(g, *ring - 1)->before : 0;
			uint32_t at = *ring;

			while (at) {
				uint32_t head = at - 1, next = granule_span(g, head)->next;
				bool done = at == last;

				if (is_empty(g, class, granule_span(g, head))) {
					pull(g, bin, head);
					release(cache, c, head);
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
		uint64_t word = binned_load(&g->words[at]);
		unsigned int c = granule_use(word);

		if (granule_state(word) != GRANULE_HEAD || c >= heap->nr_classes ||
		    granule_interface(word) != heap->interface ||
		    granule_owner(word) != GRANULE_NOBODY ||
		    !granules_adopt(g, at, word, cache->owner))
			continue;
		if (is_empty(g, &heap->classes[c], granule_span(g, at))) {
			release(cache, c, at);
			n++;
		} else {
			granules_orphan(g, at);
		}
	}
	return n;
}

/* There is no room, unless somebody has some to give. */
bool binned_make_room(struct binned_cache *cache)
{
	const struct binned *heap = cache->heap;
	bool any = give_back(cache);

	/* Also what the dead had claimed, and was no span yet. */
	if (heap->bury && heap->bury(heap->bury_arg))
		any = true;
	return give_back_orphans(cache) || any;
}

/* A word with free blocks comes to hand: 0, or what keeps it from that. */
int binned_refill(struct binned_cache *cache, unsigned int c)
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
		if (binned_make_room(cache))
			at = claim(cache, c);
		if (at < 0 && adopt(cache, c, g->count))
			return 0;
	}
	if (at < 0)
		return (int)at;
	in_hand(cache, c, (uint32_t)at);
	return 0;
}

/* --- what is given back -------------------------------------------------------------- */

/* A span is empty that is not in hand: it goes back unless it is the last one with free blocks. */
static void emptied(struct binned_cache *cache, unsigned int c, uint32_t head)
{
	struct granules *g = cache->heap->g;
	struct bin *bin = &cache->bins[c];

	if (granule_span(g, bin->some - 1)->next != bin->some &&
	    is_empty(g, &cache->heap->classes[c], granule_span(g, head))) {
		pull(g, bin, head);
		release(cache, c, head);
	}
}

int binned_freed(struct binned_cache *cache, unsigned int c, uint32_t head, uint64_t left)
{
	struct bin *bin = &cache->bins[c];
	struct granule_span *span = granule_span(cache->heap->g, head);

	if (span->list == BINNED_IN_FULL) {
		pull(cache->heap->g, bin, head);
		put(cache->heap->g, bin, head, BINNED_IN_SOME);
	}
	if (!left && span->list == BINNED_IN_SOME)
		emptied(cache, c, head);
	return 0;
}

/* What is empty goes back, the rest is for who needs it next. */
void binned_part(struct binned_cache *cache)
{
	struct granules *g = cache->heap->g;

	binned_runs_give(cache);
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
