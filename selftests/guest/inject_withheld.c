// SPDX-License-Identifier: GPL-2.0-only
/*
 * A withheld region appears when what kept it goes, in whichever way: its pool is detached, or its
 * device is taken away. If there is no memory for it then, it stays withheld, `ready`, with all
 * it has, until one of its pools is attached again.
 *
 * hmem-test: topology=pmem3 timeout=240
 */
#include "inject.h"
#include "withheld.h"

/* What makes the region of two pools, and what shows it. */
static const char *const steps[] = { "hm_store_region", "hm_region_publish" };

static void keeper_detached(void)
{
	detach(2);
}

/* The pool goes with its device, which is there again afterwards. */
static void keeper_revoked(void)
{
	cxl_end(pmem[2]);
	must_pmem(2);
}

static const struct {
	const char *name;
	void (*go)(void);
} ways[] = { { "detached", keeper_detached }, { "revoked", keeper_revoked } };

/* All that the region of a and b has is withheld. */
static bool withheld_for(const char *why)
{
	bool good = true;

	for (int i = 0; i < 2; i++) {
		const char *is = withheld(i, "r", "why");

		if (strcmp(is, why)) {
			tap_diag("%s withholds it for %s, not %s", pmem[i], is, why);
			good = false;
		}
		good &= pool_free(pmem[i]) == all[i] - 2 * (int64_t)EXTENT;
	}
	return good;
}

static void appears(int way)
{
	begin();
	attach(0);
	TAP_OK(withheld_for("name"), "%s: a region is withheld for its name", ways[way].name);
	ways[way].go();
	TAP_OK(marked("r", 100) && !class_names("hmem_withheld", NULL, 0),
	       "%s: the other one's pool goes, and it appears", ways[way].name);
	detach_all();
}

static void no_memory(int way, const char *step)
{
	begin();
	attach(0);
	inject("%s %d 1 0 hmem 0", step, -ENOMEM);
	ways[way].go();
	TAP_OK(inject_end(step) > 0, "%s: %s fails", ways[way].name, step);
	TAP_OK(withheld_for("ready"), "%s: %s: nothing keeps it but that", ways[way].name, step);
	TAP_EQ(region_open("r", O_RDONLY), -ENOENT, "%s: %s: nobody can open it", ways[way].name, step);
	detach(1);
	TAP_STR_EQ(withheld(0, "r", "why"), "missing", "%s: %s: one of its pools goes",
		   ways[way].name, step);
	attach(1);
	TAP_OK(marked("r", 100), "%s: %s: and comes, and it is there with all it has",
	       ways[way].name, step);
	detach_all();
}

int main(void)
{
	control = must_begin_inject();
	must_pmems();
	for (unsigned int way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
		appears(way);
		for (unsigned int i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
			no_memory(way, steps[i]);
	}
	sweep(control);
	pmems_end();
	return tap_done();
}
