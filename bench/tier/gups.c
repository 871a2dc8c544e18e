// SPDX-License-Identifier: GPL-2.0-only
/*
 * Updates at random: nine of ten in a hot set of extents, scattered over the region, the tenth
 * anywhere else (as in HeMem: Raybuck et al., SOSP 2021). At mid-run a quarter of the hot set may
 * be exchanged for as many cold extents. Beside it the streams made of the same: a sequential scan
 * over all while a hot set goes on, and a hot set that is larger than DRAM.
 */
#include <stdlib.h>

#include "sim.h"

struct gups_state {
	uint32_t *order;	/* extents: hot ones first */
	uint32_t hot;
	uint32_t shift_by;
	uint64_t shift_at;
	uint8_t *watched;
	uint64_t scanned;	/* accesses of the scan so far */
	uint32_t scan_stride;
};

static struct gups_state *make_state(struct workload *w, uint32_t hot)
{
	struct gups_state *s = w->state = sim_alloc(1, sizeof(*s));

	s->order = random_permutation(&w->random, w->extents);
	s->hot = hot ? hot : 1;
	s->shift_at = UINT64_MAX;
	w->phases = 1;
	w->phase_at[1] = w->accesses;
	return s;
}

/* @arg: the hot set is the region by this; @arg2: the hot set is exchanged by one in @arg2 */
static void make_gups(struct workload *w)
{
	struct gups_state *s = make_state(w, w->extents / w->arg);

	if (w->arg2) {
		s->shift_by = s->hot / w->arg2;
		s->shift_at = w->accesses / 2;
		w->phases = 2;
		w->phase_at[1] = s->shift_at;
		w->phase_at[2] = w->accesses;
	}
}

static inline uint32_t hot_or_cold(const struct gups_state *s, uint32_t extents, uint64_t bits)
{
	uint32_t extent = bits % 1024 < 922 ?
				  random_scale((uint32_t)(bits >> 32), s->hot) :
				  s->hot + random_scale((uint32_t)(bits >> 32), extents - s->hot);

	return s->order[extent] * EXTENT_PAGES + (uint32_t)(bits >> 10) % EXTENT_PAGES;
}

static void fill_gups(struct workload *w, uint64_t at, uint32_t *access, uint32_t n)
{
	struct gups_state *s = w->state;

	if (at >= s->shift_at) {
		s->shift_at = UINT64_MAX;
		for (uint32_t i = 0; i < s->shift_by; i++) {
			uint32_t cold = s->hot + i, kept = s->order[i];

			s->order[i] = s->order[cold];
			s->order[cold] = kept;
		}
	}
	for (uint32_t i = 0; i < n; i++)
		access[i] = ACCESS(hot_or_cold(s, w->extents, random_next(&w->random)), 1);
}

static void free_gups(struct workload *w)
{
	struct gups_state *s = w->state;

	free(s->order);
	free(s->watched);
	free(s);
}

/* Settled, then every second access is one of a scan over the whole region, then settled again. */
static void make_scan(struct workload *w)
{
	struct gups_state *s = make_state(w, w->extents / w->arg);

	s->watched = sim_alloc(w->extents, 1);
	for (uint32_t i = 0; i < s->hot; i++)
		s->watched[s->order[i]] = 1;
	w->watched = s->watched;
	w->phases = 3;
	w->phase_at[1] = w->accesses * 3 / 10;
	w->phase_at[2] = w->accesses * 7 / 10;
	w->phase_at[3] = w->accesses;
	/* Accesses of the scan to each page, so that it passes once. */
	s->scan_stride = (uint32_t)((w->phase_at[2] - w->phase_at[1]) / 2 /
				    ((uint64_t)w->extents * EXTENT_PAGES));
	if (!s->scan_stride)
		s->scan_stride = 1;
}

static void fill_scan(struct workload *w, uint64_t at, uint32_t *access, uint32_t n)
{
	struct gups_state *s = w->state;

	fill_gups(w, at, access, n);
	if (at < w->phase_at[1] || at >= w->phase_at[2])
		return;
	for (uint32_t i = 0; i < n; i += 2) {
		uint64_t page = s->scanned++ / s->scan_stride;

		access[i] = ACCESS(page % ((uint64_t)w->extents * EXTENT_PAGES), 0);
	}
}

/* Updates that go anywhere in a part of the region, evenly: nothing is hotter than the rest. */
static void make_part(struct workload *w)
{
	make_state(w, w->extents / w->arg);
}

static void fill_part(struct workload *w, uint64_t at, uint32_t *access, uint32_t n)
{
	struct gups_state *s = w->state;

	(void)at;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t bits = random_next(&w->random);

		access[i] = ACCESS(s->order[random_scale((uint32_t)(bits >> 32), s->hot)] *
						   EXTENT_PAGES +
					   (uint32_t)bits % EXTENT_PAGES,
				   1);
	}
}

const struct workload_kind gups = { make_gups, fill_gups, free_gups };
const struct workload_kind scan_over = { make_scan, fill_scan, free_gups };
const struct workload_kind uniform_part = { make_part, fill_part, free_gups };
