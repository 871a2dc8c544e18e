// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two interfaces of different strategies on one space, which compete for its limit while that
 * changes: random calls on both by four threads. Blocks hold what was written to them, neither
 * frees what is the other's, no more is in use than may be, each gets what the other one gives back,
 * and when all is freed nothing is in use.
 */
#include "../sanitized.h"
#include "interface_model.h"

struct run {
	struct kind one, other;
	uint64_t bytes;
	uint32_t flags;
};

/* The other one has nothing any more: this one can have what the limit allows, but what it holds. */
static void check_room(const struct rival *rival)
{
	uint64_t limit = space_info().limit, held = stats_of(rival).held, all = 0;
	uint64_t bytes = held < limit ? limit - held : 0, granule = space_info().granule;
	size_t largest = rival->kind->strategy == HMEM_STRATEGY_SLAB ? rival->kind->object : bytes;
	bool gone = false;

	must_hold(held < limit, "%s: it holds all, and nothing is allocated", rival->kind->name);
	if (rival->is_checked && largest == bytes)
		largest -= 16;
	/* A slab's do not fill its granules: an eighth at most is lost, and a span in hand. */
	if (largest < bytes)
		bytes -= bytes / 8 + 8 * granule;
	while (!gone && all + 16 < bytes / granule * granule) {
		gone = !hmem_malloc(rival->interface, largest);
		all += largest;
	}
	must_hold(!gone, "%s: of %llu bytes that are free it cannot have %llu: %s",
		  rival->kind->name, (unsigned long long)bytes, (unsigned long long)all,
		  strerror(errno));
}

static void run(struct hmem_ctx *ctx, const struct run *run, uint64_t seed)
{
	struct hmem_space_options of = HMEM_SPACE_OPTIONS_INIT;
	const char *one = run->one.name, *other = run->other.name;

	of.bytes = run->bytes;
	of.flags = run->flags;
	model_begin(ctx, &of, seed, THREADS);
	model.limits = true;
	set_limit(run->bytes / 2);
	model_add(&run->one);
	model_add(&run->other);
	model_run();
	set_limit(run->bytes / 2);
	for (unsigned int i = 0; i < RIVALS; i++) {
		struct rival *rival = &model.rivals[i];

		tap_diag("%s: %llu calls found no room, %llu KiB held at the end",
			 rival->kind->name, (unsigned long long)rival->refused,
			 (unsigned long long)stats_of(rival).held >> 10);
	}
	TAP_OK(model.rivals[0].refused + model.rivals[1].refused > 0,
	       "%s and %s: there was not room for all", one, other);
	hmem_interface_unref(model.rivals[0].interface);
	/* Mimalloc's arenas stay. */
	if (!(run->flags & HMEM_SPACE_KEPT))
		check_room(&model.rivals[1]);
	TAP_EQ(atomic_load(&model_wrong), 0,
	       "%s and %s: blocks, counts and limits are what the model says", one, other);
	hmem_interface_unref(model.rivals[1].interface);
	TAP_EQ(space_info().used % (run->flags & HMEM_SPACE_KEPT ? 64 * MIB : UINT64_MAX), 0,
	       "%s and %s: at the end nothing is in use", one, other);
	model_end();
}

int main(void)
{
	static const struct kind binned = { "binned", HMEM_STRATEGY_BINNED, 0, 0, 65536 },
				 slab = { "slab", HMEM_STRATEGY_SLAB, 0, 1000, 1000 },
				 bump = { "bump", HMEM_STRATEGY_BUMP, 0, 0, 8000 },
				 own = { "a caller's own", HMEM_STRATEGY_CUSTOM, 0, 0, 65536 },
				 checked = { "checked", HMEM_STRATEGY_BINNED,
					     HMEM_INTERFACE_CHECKED, 0, 65536 },
				 checked_bump = { "checked bump", HMEM_STRATEGY_BUMP,
						  HMEM_INTERFACE_CHECKED, 0, 8000 },
				 mimalloc = { "mimalloc", HMEM_STRATEGY_GENERAL, 0, 0, 4 * MIB };
	const struct run runs[] = {
		{ binned, slab, 2 * MIB, 0 },	{ slab, binned, 2 * MIB, 0 },
		{ binned, bump, 2 * MIB, 0 },	{ bump, binned, 2 * MIB, 0 },
		{ own, bump, 2 * MIB, 0 },	{ binned, own, 2 * MIB, 0 },
		{ own, slab, 2 * MIB, 0 },	{ slab, bump, 2 * MIB, 0 },
		{ own, own, 2 * MIB, 0 },	{ checked, binned, 2 * MIB, 0 },
		{ own, checked_bump, 2 * MIB, 0 }, { mimalloc, binned, 256 * MIB, HMEM_SPACE_KEPT },
	};
	uint64_t seed = model_seed();
	struct hmem_ctx *ctx;

	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		/* It takes for races what a library orders that it did not compile. */
		if (SANITIZER == 2 && runs[i].flags & HMEM_SPACE_KEPT)
			tap_skip(runs[i].one.name,
				 "the sanitizer of races does not see into mimalloc");
		else
			run(ctx, &runs[i], seed);
	}
	hmem_ctx_unref(ctx);
	return tap_done();
}
