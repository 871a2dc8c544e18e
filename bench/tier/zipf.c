// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects of 1 KiB, accessed by Zipf's law with an exponent of 0.99, and the key streams of YCSB's
 * core workloads (Cooper et al., SoCC 2010) on such objects. Scrambled: an object's place has
 * nothing to do with its rank, so hot and cold share pages; packed: objects lie by rank.
 */
#include <math.h>
#include <stdlib.h>

#include "sim.h"

#define OBJECTS_PER_PAGE 4
#define LINES_PER_OBJECT 16
#define EXPONENT	0.99

struct zipf_state {
	struct alias rank;	/* of objects, or of pages where that is enough */
	uint32_t *place;	/* page of an object by its rank; NULL: in order */
	uint32_t objects;
	uint32_t inserted;
	uint32_t scan_left, scan_at;
	uint32_t line, lines_left;	/* of the object that is gone through */
	bool insert;
};

static void free_zipf(struct workload *w)
{
	struct zipf_state *s = w->state;

	alias_free(&s->rank);
	free(s->place);
	free(s);
}

static double *ranks(uint32_t n)
{
	double *weight = sim_alloc(n, sizeof(*weight));

	for (uint32_t i = 0; i < n; i++)
		weight[i] = pow(i + 1, -EXPONENT);
	return weight;
}

static struct zipf_state *make_state(struct workload *w)
{
	struct zipf_state *s = w->state = sim_alloc(1, sizeof(*s));

	s->objects = w->extents * EXTENT_PAGES * OBJECTS_PER_PAGE;
	w->phases = 1;
	w->phase_at[1] = w->accesses;
	return s;
}

/* A page's weight is that of its objects, so pages are drawn rather than objects. */
static void pages_by_weight(struct workload *w, struct zipf_state *s, bool scrambled)
{
	uint32_t pages = s->objects / OBJECTS_PER_PAGE;
	double *object = ranks(s->objects), *page = sim_alloc(pages, sizeof(*page));
	uint32_t *order = scrambled ? random_permutation(&w->random, s->objects) : NULL;

	for (uint32_t i = 0; i < s->objects; i++)
		page[(order ? order[i] : i) / OBJECTS_PER_PAGE] += object[i];
	alias_build(&s->rank, page, pages);
	free(order);
	free(object);
	free(page);
}

/* @arg: scrambled */
static void make_zipf(struct workload *w)
{
	pages_by_weight(w, make_state(w), w->arg);
}

static void fill_zipf(struct workload *w, uint64_t at, uint32_t *access, uint32_t n)
{
	struct zipf_state *s = w->state;

	(void)at;
	for (uint32_t i = 0; i < n; i++)
		access[i] = ACCESS(alias_draw(&s->rank, &w->random), 0);
}

/*
 * @arg: which of A to F. A: half updates; B: one in twenty; C: reads; D: one insert in twenty,
 * reads of the latest; E: scans of up to 100 keys in order, one insert in twenty; F: half
 * read-modify-write. Keys are hashed, but for D and E, where objects lie in the order of keys.
 */
static void make_ycsb(struct workload *w)
{
	struct zipf_state *s = make_state(w);

	if (w->arg == 'D') {
		double *weight = ranks(s->objects / 2);

		/* Half full at first; inserts go round in the rest, then over the oldest. */
		s->inserted = s->objects / 2;
		alias_build(&s->rank, weight, s->objects / 2);
		free(weight);
		return;
	}
	pages_by_weight(w, s, true);
}

static uint32_t next_latest(struct workload *w, bool *insert)
{
	struct zipf_state *s = w->state;
	uint32_t back;

	*insert = random_below(&w->random, 20) == 0;
	if (*insert) {
		uint32_t object = s->inserted;

		s->inserted = s->inserted + 1 < s->objects ? s->inserted + 1 : 0;
		return object;
	}
	back = alias_draw(&s->rank, &w->random) + 1;
	return s->inserted >= back ? s->inserted - back : s->objects + s->inserted - back;
}

static uint32_t next_of_scan(struct workload *w, bool *insert)
{
	struct zipf_state *s = w->state;

	if (!s->scan_left) {
		s->scan_at = alias_draw(&s->rank, &w->random) * OBJECTS_PER_PAGE;
		s->insert = random_below(&w->random, 20) == 0;
		s->scan_left = s->insert ? 1 : random_below(&w->random, 100) + 1;
	}
	s->scan_left--;
	*insert = s->insert;
	return s->scan_at++ % s->objects;
}

/* D and E go through each object, line by line. */
static void fill_lines(struct workload *w, uint32_t *access, uint32_t n)
{
	struct zipf_state *s = w->state;

	for (uint32_t i = 0; i < n; i++) {
		if (!s->lines_left) {
			bool insert;
			uint32_t object = w->arg == 'D' ? next_latest(w, &insert) :
							  next_of_scan(w, &insert);

			s->line = ACCESS(object / OBJECTS_PER_PAGE, insert);
			s->lines_left = LINES_PER_OBJECT;
		}
		s->lines_left--;
		access[i] = s->line;
	}
}

static void fill_ycsb(struct workload *w, uint64_t at, uint32_t *access, uint32_t n)
{
	struct zipf_state *s = w->state;
	uint32_t stores = w->arg == 'A' || w->arg == 'F' ? 32768 : w->arg == 'B' ? 3277 : 0;

	(void)at;
	if (w->arg == 'D' || w->arg == 'E') {
		fill_lines(w, access, n);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t page = alias_draw(&s->rank, &w->random);
		bool store = random_next(&w->random) % 65536 < stores;

		/* Read, modify, write is a load and then a store of the same. */
		if (w->arg == 'F' && store && i + 1 < n)
			access[i++] = ACCESS(page, 0);
		access[i] = ACCESS(page, store);
	}
}

const struct workload_kind zipf = { make_zipf, fill_zipf, free_zipf };
const struct workload_kind ycsb = { make_ycsb, fill_ycsb, free_zipf };
