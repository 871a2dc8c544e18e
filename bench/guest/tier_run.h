/* SPDX-License-Identifier: GPL-2.0-only */
/* A workload, run on a region under a policy. */
#ifndef BENCH_GUEST_TIER_RUN_H
#define BENCH_GUEST_TIER_RUN_H

#include "tier.h"

/**
 * struct run_options - what all runs have in common
 * @request: accesses that are made at once; then the program waits
 * @every_ns: from one request to the next; 0: it never waits
 */
struct run_options {
	const char *pool;
	uint64_t accesses, seed, every_ns;
	uint32_t extents, request;
};

/**
 * struct policy - who decides what is near
 * @mode: what the module does by itself
 * @place: what is placed by request when phase @phase of @w begins; NULL: nothing
 * @part: it makes the accesses by this many, as it has nothing to learn
 */
struct policy {
	const char *name;
	enum hmem_tier_mode mode;
	void (*place)(struct target *t, const struct workload *w, uint32_t phase);
	uint32_t part;
};

extern const struct policy policies[];

void run(const struct workload *from, const struct policy *policy, const struct run_options *o);

#endif
