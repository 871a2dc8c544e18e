// SPDX-License-Identifier: GPL-2.0-only
/*
 * A projection, no measurement: what a run of the simulator would take in instructions, by what
 * each part of it took in a guest (bench/guest/tier_scans.c and tier_faults.c; the figures and how
 * they come about are in Documentation/tiering.md). What a fault waits for a copy is simulated
 * time, two instructions a ns as everywhere there.
 */
#include <stdlib.h>

#include "sim.h"

#define PER_NS	2

/**
 * struct parts - instructions of each
 * @wakeup: of the worker, whatever there is to do
 * @visit: of an extent that needs nothing
 * @pass: of one that is passed over, which was counted by callgrind and by reading
 * @probe: taking a mapping away, without the visit and without the fault that comes of it
 * @bit: an accessed bit that is not set, its part of clearing bits and of flushing included
 * @touched: one that is set
 * @fault: by its kind, the median while the policy is at work; of loads of extents at home the one
 *	after a move
 */
struct parts {
	const char *kernel;
	double wakeup, visit, pass, probe, bit, touched, fault[FAULT_KINDS];
};

static const struct parts measured[PROJECTED] = {
	{
		.kernel = "lts",
		.wakeup = 13219,
		.visit = 563,
		.pass = 74,
		.probe = 1818,
		.bit = 36,
		.touched = 106,
		.fault = {
			[0] = 8037,
			[FAULT_STORE] = 8926,
			[FAULT_NEAR] = 8243,
			[FAULT_NEAR | FAULT_STORE] = 9047,
			[FAULT_PAGE] = 2966,
			[FAULT_PAGE | FAULT_STORE] = 3645,
			[FAULT_PAGE | FAULT_NEAR] = 2979,
			[FAULT_PAGE | FAULT_NEAR | FAULT_STORE] = 3884,
		},
	},
	{
		.kernel = "newest",
		.wakeup = 19705,
		.visit = 574,
		.pass = 74,
		.probe = 1844,
		.bit = 42,
		.touched = 107,
		.fault = {
			[0] = 2043,
			[FAULT_STORE] = 9384,
			[FAULT_NEAR] = 2304,
			[FAULT_NEAR | FAULT_STORE] = 9464,
			[FAULT_PAGE] = 3123,
			[FAULT_PAGE | FAULT_STORE] = 6584,
			[FAULT_PAGE | FAULT_NEAR] = 3054,
			[FAULT_PAGE | FAULT_NEAR | FAULT_STORE] = 3961,
		},
	},
};

static double scan_cost(const struct looks *l, const struct parts *of)
{
	double cost = (double)l->wakeups * of->wakeup + (double)l->visits * of->visit +
		      (double)l->passes * of->pass + (double)l->probes * of->probe +
		      (double)(l->bits - l->touched) * of->bit + (double)l->touched * of->touched;

	for (uint32_t i = 0; i < FAULT_KINDS; i++)
		cost += (double)l->probed[i] * of->fault[i];
	return cost;
}

static double fault_cost(uint32_t fault, const struct parts *of)
{
	uint32_t ns = fault & ((1U << FAULT_SHIFT) - 1);

	return of->fault[fault >> FAULT_SHIFT] + (double)ns * PER_NS;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void percentiles(const struct fault_log *log, const struct parts *of, double fault[2])
{
	double *cost;

	fault[0] = fault[1] = -1;
	if (!log->n)
		return;
	cost = sim_alloc(log->n, sizeof(*cost));
	for (size_t i = 0; i < log->n; i++)
		cost[i] = fault_cost(log->fault[i], of);
	qsort(cost, log->n, sizeof(*cost), by_size);
	fault[0] = cost[(log->n - 1) / 2];
	fault[1] = cost[(log->n - 1) * 99 / 100];
	free(cost);
}

void project_run(const struct memory *m, struct projected p[PROJECTED])
{
	for (uint32_t i = 0; i < PROJECTED; i++) {
		p[i].kernel = measured[i].kernel;
		p[i].scan = scan_cost(&m->looked, &measured[i]);
		percentiles(&m->log, &measured[i], p[i].fault);
	}
}
