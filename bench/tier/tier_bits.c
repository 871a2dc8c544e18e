// SPDX-License-Identifier: GPL-2.0-only
/*
 * Baselines by accessed bits of extents, which are exact here and cost nothing. A window is 100 ms.
 *
 * two-touch: what was touched in two windows in a row is promoted; who goes is what was not touched
 * in the last window, else what came first.
 *
 * accessed-bit: eight windows' bits, the last weighing most (aging), rank the extents; the top ones
 * are near, and whoever is above by anything replaces whoever is below.
 */
#include <stdlib.h>

#include "sim.h"

#define WINDOW_NS	100000000ULL

struct bits_state {
	uint8_t *history;
	uint8_t *moving;
	uint64_t *came;
	uint64_t promised;	/* near, or on the way */
	uint32_t hand;
};

static void start(struct memory *m)
{
	struct bits_state *s = m->state = sim_alloc(1, sizeof(*s));

	s->history = sim_alloc(m->extents, 1);
	s->moving = sim_alloc(m->extents, 1);
	s->came = sim_alloc(m->extents, sizeof(*s->came));
}

static void free_state(struct memory *m)
{
	struct bits_state *s = m->state;

	free(s->history);
	free(s->moving);
	free(s->came);
	free(s);
}

static void moved(struct memory *m, uint32_t extent, uint32_t what, bool done)
{
	struct bits_state *s = m->state;

	(void)done;
	s->moving[extent] = 0;
	s->came[extent] = m->now;
	if (what & HM_POLICY_DEMOTE)
		s->promised -= EXTENT_PAGES;
}

/* Moves are made in order: a victim asked to go has gone when who was asked next comes. */
static void move(struct memory *m, uint32_t extent, uint32_t what)
{
	struct bits_state *s = m->state;

	s->moving[extent] = 1;
	if (what == HM_POLICY_PROMOTE)
		s->promised += EXTENT_PAGES;
	memory_queue(m, extent, what | HM_POLICY_WAIT, NULL);
}

static void age(struct memory *m)
{
	struct bits_state *s = m->state;

	m->looked.wakeups++;
	m->looked.visits += m->extents;
	m->looked.bits += m->extents;
	for (uint32_t i = 0; i < m->extents; i++) {
		m->looked.touched += m->bits[i];
		s->history[i] = (uint8_t)(s->history[i] >> 1 | m->bits[i] << 7);
		m->bits[i] = 0;
	}
}

static bool is_near(const struct memory *m, uint32_t extent)
{
	return m->extent[extent] & EXTENT_NEAR;
}

/* Moves of the last window that have not ended are enough to do. */
static bool busy(const struct memory *m)
{
	return m->queued > m->extents / 4;
}

static uint32_t oldest(const struct memory *m, const struct bits_state *s)
{
	uint32_t found = m->extents;

	for (uint32_t i = 0; i < m->extents; i++) {
		if (!is_near(m, i) || s->moving[i])
			continue;
		if (!(s->history[i] & 0x80))
			return i;
		if (found == m->extents || s->came[i] < s->came[found])
			found = i;
	}
	return found;
}

static uint64_t tick_two_touch(struct memory *m)
{
	struct bits_state *s = m->state;

	age(m);
	for (uint32_t n = 0; n < m->extents && !busy(m); n++) {
		uint32_t i = s->hand = s->hand + 1 < m->extents ? s->hand + 1 : 0;

		if (is_near(m, i) || s->moving[i] || s->history[i] >> 6 != 3)
			continue;
		if (s->promised + EXTENT_PAGES > m->near_pages) {
			uint32_t victim = oldest(m, s);

			if (victim == m->extents)
				break;
			move(m, victim, HM_POLICY_DEMOTE);
		}
		move(m, i, HM_POLICY_PROMOTE);
	}
	return m->now + WINDOW_NS;
}

static uint64_t tick_aging(struct memory *m)
{
	struct bits_state *s = m->state;
	uint32_t hot = 255, cold = 0;

	age(m);
	for (uint32_t h = 0, v = 0; !busy(m);) {
		while (hot && (h == m->extents || s->history[h] != hot || is_near(m, h) ||
			       s->moving[h])) {
			if (h == m->extents) {
				h = 0;
				hot--;
			} else {
				h++;
			}
		}
		if (!hot)
			break;
		if (s->promised + EXTENT_PAGES > m->near_pages) {
			while (cold < hot && (v == m->extents || s->history[v] != cold ||
					      !is_near(m, v) || s->moving[v])) {
				if (v == m->extents) {
					v = 0;
					cold++;
				} else {
					v++;
				}
			}
			if (cold >= hot)
				break;
			move(m, v, HM_POLICY_DEMOTE);
		}
		move(m, h, HM_POLICY_PROMOTE);
	}
	return m->now + WINDOW_NS;
}

const struct tier tier_two_touch = {
	.name = "two-touch",
	.bits = true,
	.start = start,
	.tick = tick_two_touch,
	.moved = moved,
	.free = free_state,
};

const struct tier tier_accessed_bit = {
	.name = "accessed-bit",
	.bits = true,
	.start = start,
	.tick = tick_aging,
	.moved = moved,
	.free = free_state,
};
