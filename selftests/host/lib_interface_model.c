// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random calls on each strategy, a caller's own among them, by one thread and by four that free
 * each other's blocks: every block holds what was written to it until it is freed, what bump has is
 * given back at once now and then, counts are what they must be, and at the end nothing is left.
 */
#include "../sanitized.h"
#include "interface_model.h"

struct run {
	struct kind kind;
	uint64_t bytes;
	unsigned int threads;
};

static void run(struct hmem_ctx *ctx, const struct run *run, uint64_t seed)
{
	struct hmem_space_options of = HMEM_SPACE_OPTIONS_INIT;
	const struct kind *kind = &run->kind;
	/* Mimalloc, where it is there. */
	bool kept = kind->strategy == HMEM_STRATEGY_GENERAL;
	struct rival *rival = &model.rivals[0];
	struct hmem_interface_stats stats;

	of.bytes = run->bytes;
	of.flags = kept ? HMEM_SPACE_KEPT : 0;
	model_begin(ctx, &of, seed, run->threads);
	model_add(kind);
	model_run();
	TAP_EQ(atomic_load(&model_wrong), 0,
	       "%s: blocks hold what was written to them, and are counted", kind->name);
	stats = stats_of(rival);
	TAP_EQ(stats.blocks, 0, "%s: what was freed is free", kind->name);
	if (kind->strategy == HMEM_STRATEGY_CUSTOM)
		TAP_EQ(stats.held, 0, "%s: and given back", kind->name);
	if (is_bump(rival))
		TAP_OK(rival->resets > 1, "%s: it was reset %llu times", kind->name,
		       (unsigned long long)rival->resets);
	tap_diag("%llu of about %lu allocations found no room, %llu MiB held at the end",
		 (unsigned long long)rival->refused, model.calls * run->threads / 2,
		 (unsigned long long)stats.held >> 20);
	hmem_interface_unref(rival->interface);
	/* Its arenas stay. */
	TAP_EQ(space_info().used % (kept ? 64 * MIB : UINT64_MAX), 0,
	       "%s: and the space is empty afterwards", kind->name);
	model_end();
}

int main(void)
{
	enum {
		GENERAL = HMEM_STRATEGY_GENERAL,
		BINNED = HMEM_STRATEGY_BINNED,
		SLAB = HMEM_STRATEGY_SLAB,
		BUMP = HMEM_STRATEGY_BUMP,
		OWN = HMEM_STRATEGY_CUSTOM,
		CHECKED = HMEM_INTERFACE_CHECKED,
		ALONE = HMEM_INTERFACE_ONE_THREAD,
	};
	static const struct run runs[] = {
		{ { "binned, a thread", BINNED, 0, 0, 4 * MIB }, 512 * MIB, 1 },
		{ { "binned, four threads", BINNED, 0, 0, 4 * MIB }, 512 * MIB, 4 },
		{ { "binned, one at a time", BINNED, ALONE, 0, 4 * MIB }, 512 * MIB, 1 },
		{ { "binned, too little room", BINNED, 0, 0, 65536 }, 2 * MIB, 4 },
		{ { "mimalloc, four threads", GENERAL, 0, 0, 4 * MIB }, 512 * MIB, 4 },
		{ { "mimalloc, too little room", GENERAL, 0, 0, 4 * MIB }, 64 * MIB, 4 },
		{ { "binned, checked", BINNED, CHECKED, 0, 4 * MIB }, 512 * MIB, 4 },
		{ { "slab, checked", SLAB, CHECKED, 96, 96 }, 16 * MIB, 4 },
		{ { "slab, four threads", SLAB, 0, 96, 96 }, 16 * MIB, 4 },
		{ { "slab, too little room", SLAB, 0, 4096, 4096 }, 2 * MIB, 4 },
		{ { "bump, four threads", BUMP, 0, 0, 20000 }, 64 * MIB, 4 },
		{ { "bump, one at a time", BUMP, ALONE, 0, 20000 }, 64 * MIB, 1 },
		{ { "bump, checked", BUMP, CHECKED, 0, 20000 }, 64 * MIB, 4 },
		{ { "a caller's own, four threads", OWN, 0, 0, 200000 }, 256 * MIB, 4 },
		{ { "a caller's own, too little room", OWN, 0, 0, 65536 }, 2 * MIB, 4 },
		{ { "a caller's own, checked", OWN, CHECKED, 0, 65536 }, 64 * MIB, 4 },
	};
	uint64_t seed = model_seed();
	struct hmem_ctx *ctx;

	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		/* It takes for races what a library orders that it did not compile. */
		if (SANITIZER == 2 && runs[i].kind.strategy == HMEM_STRATEGY_GENERAL)
			tap_skip(runs[i].kind.name,
				 "the sanitizer of races does not see into mimalloc");
		else
			run(ctx, &runs[i], seed);
	}
	hmem_ctx_unref(ctx);
	return tap_done();
}
