// SPDX-License-Identifier: GPL-2.0-only
/*
 * PageRank on a made-up graph with a power law of in-degrees: for each vertex the edge list is read
 * in order, the rank of each neighbour at random, and the vertex's new rank is stored in order. Of
 * the sequential arrays one access in eight gets past the caches (a line of eight words), of the
 * random one each.
 *
 * The region: edges in its first three quarters, ranks and new ranks in the rest. The vertices are
 * as many as fit (16 bytes each, of both arrays), with 12 edges each.
 */
#include <math.h>
#include <stdlib.h>

#include "sim.h"

#define DEGREE	12

struct graph_state {
	struct alias popular;	/* pages of ranks by the in-degrees of their vertices */
	uint32_t edge_pages, rank_pages;
	uint64_t edge, vertex;	/* words so far */
	uint32_t left;
};

static void make_graph(struct workload *w)
{
	struct graph_state *s = w->state = sim_alloc(1, sizeof(*s));
	uint32_t pages = w->extents * EXTENT_PAGES;
	double *weight;

	s->rank_pages = pages / 8;
	s->edge_pages = pages - 2 * s->rank_pages;
	weight = sim_alloc(s->rank_pages, sizeof(*weight));
	/*
	 * In-degrees fall as i^-0.7 of the vertex's number by age (preferential attachment): old
	 * vertices come first, so hot ranks lie together, mixed by some of any age in each page.
	 */
	for (uint32_t i = 0; i < s->rank_pages; i++)
		weight[i] = pow(i + 1, -0.7) * (0.5 + random_unit(&w->random));
	alias_build(&s->popular, weight, s->rank_pages);
	free(weight);
	w->phases = 1;
	w->phase_at[1] = w->accesses;
}

static void fill_graph(struct workload *w, uint64_t at, uint32_t *access, uint32_t n)
{
	struct graph_state *s = w->state;
	uint32_t i = 0;

	(void)at;
	while (i < n) {
		if (!s->left) {
			s->left = DEGREE;
			if (++s->vertex % 8 == 0) {
				uint64_t page = s->vertex / 512 % s->rank_pages;

				access[i++] = ACCESS(s->edge_pages + s->rank_pages + page, 1);
				continue;
			}
		}
		s->left--;
		if (++s->edge % 8 == 0) {
			access[i++] = ACCESS(s->edge / 512 % s->edge_pages, 0);
			if (i == n)
				break;
		}
		access[i++] = ACCESS(s->edge_pages + alias_draw(&s->popular, &w->random), 0);
	}
}

static void free_graph(struct workload *w)
{
	struct graph_state *s = w->state;

	alias_free(&s->popular);
	free(s);
}

const struct workload_kind pagerank = { make_graph, fill_graph, free_graph };
