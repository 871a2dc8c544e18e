// SPDX-License-Identifier: GPL-2.0-only
/*
 * A region's memory in front of which there is DRAM, with one worker that moves, and its clock.
 *
 * The accesses are those of one thread that get past its caches. The worker runs beside it: a copy
 * takes time, but not the thread's, unless that stores to what is being copied (which ends the
 * copy, and costs a fault) or comes to what is being moved with writers waiting (then it waits for
 * the end). Moved memory is unmapped, and the next access faults. A near copy is clean until its
 * first store, which faults; demoting a clean one is only a zap.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static bool bit(const u64 *map, uint32_t i)
{
	return map[i / 64] >> i % 64 & 1;
}

struct memory *memory_make(const struct tier *tier, const struct workload *w,
			   const struct costs *costs)
{
	struct memory *m = sim_alloc(1, sizeof(*m));

	m->tier = tier;
	m->costs = costs;
	m->extents = w->extents;
	m->near_pages = w->near_pages;
	m->extent = sim_alloc(w->extents, 1);
	m->why = sim_alloc(w->extents, 1);
	m->page = sim_alloc(w->extents, EXTENT_PAGES);
	m->bits = sim_alloc(w->extents, 1);
	m->moved_at = sim_alloc((size_t)w->extents * EXTENT_PAGES, sizeof(*m->moved_at));
	m->queue_size = 2 * w->extents + 2;
	m->queue = sim_alloc(m->queue_size, sizeof(*m->queue));
	m->random.state = w->random.state ^ 0x7469657273;
	m->now = 1000000;
	m->next_tick = tier->tick ? m->now : 0;
	m->next_event = UINT64_MAX;
	memory_flush(m);
	tier->start(m);
	if (tier->tick)
		m->next_event = m->next_tick;
	return m;
}

void memory_free(struct memory *m)
{
	if (m->tier->free)
		m->tier->free(m);
	free(m->extent);
	free(m->why);
	free(m->page);
	free(m->bits);
	free(m->moved_at);
	free(m->queue);
	free(m->log.fault);
	free(m);
}

static void because(struct memory *m, uint32_t extent, uint8_t add, uint8_t drop)
{
	m->why[extent] = (uint8_t)((m->why[extent] | add) & ~drop);
	if (m->why[extent])
		m->extent[extent] |= EXTENT_SLOW;
	else
		m->extent[extent] &= (uint8_t)~EXTENT_SLOW;
}

void memory_place(struct memory *m, uint32_t extent)
{
	m->extent[extent] |= EXTENT_NEAR;
	m->used += EXTENT_PAGES;
}

void memory_zap(struct memory *m, uint32_t extent)
{
	because(m, extent, WHY_UNMAPPED | WHY_ZAPPED, 0);
}

void memory_flush(struct memory *m)
{
	memset(m->tlb, 0xff, sizeof(m->tlb));
}

void memory_split(struct memory *m, uint32_t extent)
{
	uint8_t page = PAGE_UNMAPPED;

	if (m->extent[extent] & EXTENT_NEAR)
		page |= PAGE_NEAR | (m->extent[extent] & EXTENT_CLEAN ? PAGE_CLEAN : 0);
	memset(m->page + (size_t)extent * EXTENT_PAGES, page, EXTENT_PAGES);
	m->extent[extent] = 0;
	because(m, extent, WHY_SPLIT, WHY_UNMAPPED | WHY_ZAPPED);
}

void memory_collapse(struct memory *m, uint32_t extent, bool near)
{
	const uint8_t *page = m->page + (size_t)extent * EXTENT_PAGES;

	for (uint32_t i = 0; i < EXTENT_PAGES; i++)
		m->used -= page[i] & PAGE_NEAR;
	if (near) {
		m->used += EXTENT_PAGES;
		m->copied += EXTENT_BYTES;
	}
	m->extent[extent] = near ? EXTENT_NEAR : 0;
	because(m, extent, WHY_UNMAPPED, WHY_SPLIT);
}

/* --- moving -------------------------------------------------------------------------- */

static void set_event(struct memory *m)
{
	m->next_event = m->next_tick ? m->next_tick : UINT64_MAX;
	if (m->moving && m->move_ends < m->next_event)
		m->next_event = m->move_ends;
}

static uint64_t pages_take(const struct memory *m, const struct move *move)
{
	const uint8_t *page = m->page + (size_t)move->extent * EXTENT_PAGES;
	uint64_t ns = 0;

	for (uint32_t i = 0; i < EXTENT_PAGES; i++) {
		if (bit(move->pages.promote, i) ||
		    (bit(move->pages.demote, i) && !(page[i] & PAGE_CLEAN)))
			ns += m->costs->copy_page + m->costs->zap;
		else if (bit(move->pages.demote, i))
			ns += m->costs->zap;
	}
	return ns;
}

static void start_next(struct memory *m)
{
	const struct costs *c = m->costs;
	struct move *move;
	bool clean;

	if (m->moving || !m->queued)
		return;
	move = &m->queue[m->head];
	m->moving = true;
	m->move_started = m->now;
	if (m->why[move->extent] & WHY_SPLIT) {
		because(m, move->extent, WHY_PAGES, 0);
		move->done = move->pages;
		m->move_ends = m->now + pages_take(m, move);
		set_event(m);
		return;
	}
	clean = move->what & HM_POLICY_DEMOTE && m->extent[move->extent] & EXTENT_CLEAN;
	because(m, move->extent,
		move->what & HM_POLICY_WAIT || clean ? WHY_WAITING : WHY_COPYING, 0);
	m->move_ends = m->now + (clean ? c->zap : c->copy_extent);
	set_event(m);
}

bool memory_queue(struct memory *m, uint32_t extent, uint32_t what,
		  const struct hm_policy_pages *pages)
{
	struct move *move = &m->queue[(m->head + m->queued) % m->queue_size];

	if (m->queued == m->queue_size)
		return false;
	*move = (struct move){ .extent = extent, .what = what };
	if (pages)
		move->pages = *pages;
	m->queued++;
	start_next(m);
	return true;
}

/* A move that undoes one of the last ten seconds, whoever made it. */
static void note_move(struct memory *m, size_t page, bool demote)
{
	uint32_t ms = (uint32_t)(m->now / 1000000), last = m->moved_at[page];

	if (last && last >> 31 != demote && ms - (last & 0x7fffffff) < 10000)
		m->pingpongs++;
	m->moved_at[page] = ms | (uint32_t)demote << 31;
}

static void end_pages(struct memory *m, struct move *move)
{
	size_t first = (size_t)move->extent * EXTENT_PAGES;

	for (uint32_t i = 0; i < EXTENT_PAGES; i++) {
		uint8_t *page = &m->page[first + i];

		if (bit(move->done.promote, i)) {
			*page = PAGE_NEAR | PAGE_CLEAN | PAGE_UNMAPPED;
			m->used++;
			m->promoted++;
			m->copied += PAGE_BYTES;
			note_move(m, first + i, false);
		} else if (bit(move->done.demote, i)) {
			if (!(*page & PAGE_CLEAN))
				m->copied += PAGE_BYTES;
			*page = PAGE_UNMAPPED;
			m->used--;
			m->demoted++;
			note_move(m, first + i, true);
		}
		if (m->tlb[(first + i) % 1024] == first + i)
			m->tlb[(first + i) % 1024] = UINT32_MAX;
	}
	because(m, move->extent, 0, WHY_PAGES);
}

static void end_extent(struct memory *m, const struct move *move)
{
	uint8_t *extent = &m->extent[move->extent];

	if (move->what & HM_POLICY_PROMOTE) {
		*extent = EXTENT_NEAR | EXTENT_CLEAN;
		m->used += EXTENT_PAGES;
		m->promoted += EXTENT_PAGES;
		m->copied += EXTENT_BYTES;
	} else {
		if (!(*extent & EXTENT_CLEAN))
			m->copied += EXTENT_BYTES;
		*extent = 0;
		m->used -= EXTENT_PAGES;
		m->demoted += EXTENT_PAGES;
	}
	because(m, move->extent, WHY_UNMAPPED, WHY_COPYING | WHY_WAITING | WHY_ZAPPED);
	note_move(m, (size_t)move->extent * EXTENT_PAGES, move->what & HM_POLICY_DEMOTE);
}

static void end_move(struct memory *m, bool done)
{
	struct move *move = &m->queue[m->head];

	m->head = (m->head + 1) % m->queue_size;
	m->queued--;
	m->moving = false;
	if (m->why[move->extent] & WHY_SPLIT) {
		end_pages(m, move);
		m->tier->moved_pages(m, move);
	} else {
		if (done)
			end_extent(m, move);
		else
			because(m, move->extent, 0, WHY_COPYING | WHY_WAITING);
		m->tier->moved(m, move->extent, move->what, done);
	}
	if (m->used > m->near_pages)
		sim_die("%s has %llu pages near, its bound is %llu", m->tier->name,
			(unsigned long long)m->used, (unsigned long long)m->near_pages);
	start_next(m);
	set_event(m);
}

static __attribute__((noinline)) void events(struct memory *m)
{
	while (m->now >= m->next_event) {
		if (m->moving && m->move_ends <= m->next_event) {
			end_move(m, true);
		} else {
			m->next_tick = m->tier->tick(m);
			set_event(m);
		}
	}
}

/* --- accesses ------------------------------------------------------------------------ */

static void fault(struct memory *m)
{
	m->now += m->costs->fault;
	m->faults++;
}

/* Of an access that has faulted, or waited, once: what it takes is for projected.c to say. */
static void note_fault(struct memory *m, uint32_t kind, uint64_t waited)
{
	struct fault_log *log = &m->log;

	if (log->n == log->room) {
		log->room = log->room ? 2 * log->room : 1024;
		log->fault = realloc(log->fault, log->room * sizeof(*log->fault));
		if (!log->fault)
			sim_die("no memory for a log of %zu faults", log->room);
	}
	if (waited >= 1U << FAULT_SHIFT)
		waited = (1U << FAULT_SHIFT) - 1;
	log->fault[log->n++] = kind << FAULT_SHIFT | (uint32_t)waited;
}

/* Which page of a batch the worker is at, as it goes through them evenly. */
static bool being_copied(const struct memory *m, const struct move *move, uint32_t page)
{
	uint32_t before = 0, nr = 0;
	uint64_t each;

	if (!bit(move->done.promote, page) && !bit(move->done.demote, page))
		return false;
	for (uint32_t i = 0; i < EXTENT_PAGES; i++) {
		bool moves = bit(move->pages.promote, i) || bit(move->pages.demote, i);

		before += moves && i < page;
		nr += moves;
	}
	each = (m->move_ends - m->move_started) / nr + 1;
	return (m->now - m->move_started) / each == before;
}

static uint32_t access_page(struct memory *m, uint32_t extent, uint32_t page, bool store)
{
	uint64_t faults = m->faults;
	uint8_t *state = &m->page[page];

	if (m->why[extent] & WHY_PAGES && store &&
	    being_copied(m, &m->queue[m->head], page % EXTENT_PAGES)) {
		struct move *move = &m->queue[m->head];

		move->done.promote[page % EXTENT_PAGES / 64] &= ~(1ULL << page % 64);
		move->done.demote[page % EXTENT_PAGES / 64] &= ~(1ULL << page % 64);
		m->aborted++;
		fault(m);
	}
	if (*state & PAGE_UNMAPPED) {
		*state &= (uint8_t)~PAGE_UNMAPPED;
		fault(m);
	}
	if (store && *state & PAGE_CLEAN) {
		*state &= (uint8_t)~PAGE_CLEAN;
		fault(m);
	}
	if (m->faults != faults)
		note_fault(m, FAULT_PAGE | (*state & PAGE_NEAR ? FAULT_NEAR : 0) | store, 0);
	/* The processor sets the bit when it walks the table, not when the TLB has the page. */
	if (m->tlb[page % 1024] != page) {
		m->tlb[page % 1024] = page;
		*state |= PAGE_ACCESSED;
	}
	m->now += *state & PAGE_NEAR ? m->costs->near : m->costs->home;
	return *state & PAGE_NEAR;
}

static __attribute__((noinline)) uint32_t slow(struct memory *m, uint32_t page, bool store)
{
	uint32_t extent = page / EXTENT_PAGES, kind;
	uint64_t faults = m->faults, waited = 0;
	bool zapped = false;

	if (m->why[extent] & WHY_SPLIT)
		return access_page(m, extent, page, store);
	if (m->why[extent] & WHY_WAITING) {
		if (m->move_ends > m->now) {
			waited = m->move_ends - m->now;
			m->waited += waited;
			m->now = m->move_ends;
		}
		events(m);
	} else if (m->why[extent] & WHY_COPYING && store) {
		m->aborted++;
		m->copied += EXTENT_BYTES * (m->now - m->move_started) / m->costs->copy_extent;
		fault(m);
		end_move(m, false);
	}
	if (m->why[extent] & WHY_UNMAPPED) {
		uint64_t at = m->now;

		zapped = m->why[extent] & WHY_ZAPPED;
		because(m, extent, 0, WHY_UNMAPPED | WHY_ZAPPED);
		fault(m);
		if (m->tier->touched) {
			/* The time of the fault is when it began. */
			uint64_t now = m->now;

			m->now = at;
			m->tier->touched(m, extent, page % EXTENT_PAGES);
			m->now = now;
		}
	}
	if (store && m->extent[extent] & EXTENT_CLEAN) {
		m->extent[extent] &= (uint8_t)~EXTENT_CLEAN;
		fault(m);
	}
	kind = (m->extent[extent] & EXTENT_NEAR ? FAULT_NEAR : 0) | store;
	if (m->faults != faults || waited)
		note_fault(m, kind, waited);
	m->looked.probed[kind] += zapped;
	m->now += m->extent[extent] & EXTENT_NEAR ? m->costs->near : m->costs->home;
	return m->extent[extent] & EXTENT_NEAR;
}

static inline __attribute__((always_inline)) uint32_t run(struct memory *m, const uint32_t *access,
							  uint32_t n, bool bits, bool recency)
{
	const uint32_t cost[2] = { m->costs->home, m->costs->near };
	uint32_t hits = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t page = access[i] >> 1, extent = page / EXTENT_PAGES;
		uint32_t state = m->extent[extent];
		/* CLEAN is twice SLOW and a store twice a load: 2 or 4. */
		uint32_t look = EXTENT_SLOW | (access[i] & 1) << 2;

		if (__builtin_expect(!(state & look), 1)) {
			m->now += cost[state & EXTENT_NEAR];
			hits += state & EXTENT_NEAR;
		} else {
			hits += slow(m, page, access[i] & 1);
		}
		if (bits)
			m->bits[extent] = 1;
		if (recency)
			m->tier->accessed(m, page);
		if (__builtin_expect(m->now >= m->next_event, 0))
			events(m);
	}
	return hits;
}

uint32_t memory_run(struct memory *m, const uint32_t *access, uint32_t n)
{
	uint32_t hits;

	if (m->tier->recency)
		hits = run(m, access, n, false, true);
	else if (m->tier->bits)
		hits = run(m, access, n, true, false);
	else
		hits = run(m, access, n, false, false);
	m->near_hits += hits;
	return hits;
}
