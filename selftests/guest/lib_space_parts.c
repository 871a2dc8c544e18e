// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spaces of several regions of the module, on pools of their own and beside system RAM: what they
 * take of which pool, and that only a part is lost with its device.
 *
 * hmem-test: topology=ram2 kernels=lts,newest timeout=180
 */
#include "pools.h"
#include "spaces.h"

static char pools[2][HMEM_NAME_LEN], layers[2][80];

static struct hmem_space_options of(struct hmem_space_part *parts, uint32_t n, uint64_t bytes)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;

	options.parts = parts;
	options.nr_parts = n;
	options.bytes = bytes;
	return options;
}

static char *must_all(struct hmem_interface *interface, uint64_t bytes)
{
	char *all = hmem_malloc(interface, bytes);

	if (!all)
		tap_bail("no block of all the space");
	for (uint64_t at = 0; at < bytes; at += 2 * MI)
		memset(all + at, (int)(at / MI), 2 * MI);
	return all;
}

/* Each large page has what was written there. */
static bool is_whole(const char *all, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes; at++)
		if (all[at] != (char)(at / (2 * MI) * 2))
			return false;
	return true;
}

static void test_regions(void)
{
	struct hmem_space_part parts[] = { { .layer = "hmem:one" }, { .layer = "hmem:two" } };
	struct hmem_space_options options = of(parts, 2, 0);
	struct hmem_space *space = must_space_of(&options);
	struct hmem_interface *interface = must_interface(space, HMEM_STRATEGY_GENERAL);
	struct hmem_region *region;
	char *all;
	void *one;

	TAP_OK(use(interface) == 0, "blocks of a space of two regions hold what is written to them");
	all = must_all(interface, 24 * MI);
	TAP_OK(is_whole(all, 24 * MI), "so does one that is all of both");
	if (hmem_region_open(ctx, "hmem:two", 0, &region) ||
	    hmem_region_map(region, 0, 0, &one, NULL))
		tap_bail("%s", hmem_last_error(ctx));
	TAP_OK(!memcmp(one, all + 16 * MI, 8 * MI), "its end is the second region");
	hmem_region_unmap(region, one, 8 * MI);
	hmem_region_close(region);
	hmem_interface_unref(interface);
	hmem_space_unref(space);
}

static void test_pools(void)
{
	struct hmem_space_part parts[] = {
		{ .layer = layers[0], .weight = 2 }, { .layer = "dram", .weight = 1 },
		{ .layer = layers[1], .weight = 1 },
	};
	struct hmem_space_options options = of(parts, 3, 32 * MI);
	int64_t before[] = { pool_free(pools[0]), pool_free(pools[1]) };
	struct hmem_interface *interface;
	struct hmem_space *space, *none;
	char *all;

	options.flags = HMEM_SPACE_INTERLEAVE;
	space = must_space_of(&options);
	TAP_EQ(before[0] - pool_free(pools[0]), 16 * (int64_t)MI,
	       "of a space by turns the first pool has what its weight says");
	TAP_EQ(before[1] - pool_free(pools[1]), 8 * (int64_t)MI, "so has the second");
	interface = must_interface(space, HMEM_STRATEGY_GENERAL);
	all = must_all(interface, 32 * MI);
	TAP_OK(is_whole(all, 32 * MI), "all of it holds what is written");
	hmem_interface_unref(interface);
	hmem_space_unref(space);
	TAP_OK(pool_free(pools[0]) == before[0] && pool_free(pools[1]) == before[1],
	       "and both have it back");

	options.flags = 0;
	parts[0].bytes = 4 * MI;
	parts[2].bytes = 1ull << 40;
	options.bytes = (1ull << 40) + 8 * MI;
	TAP_EQ(hmem_space_create(ctx, "large", &options, &none), -ENOSPC, "a full pool is an error");
	TAP_EQ(pool_free(pools[0]), before[0], "after which the other has its memory back");
}

static void test_lost(void)
{
	struct hmem_space_part parts[] = { { .layer = layers[0] }, { .layer = layers[1] },
					   { .layer = "dram" } };
	struct hmem_space_options options = of(parts, 3, 12 * MI);
	struct hmem_space *space = must_space_of(&options);
	struct hmem_interface *interface = must_interface(space, HMEM_STRATEGY_GENERAL);
	char *all = must_all(interface, 12 * MI);

	cxl_end(pools[1]);
	TAP_EQ(touch_read(all + 4 * MI), SIGBUS, "the part whose device goes is out of reach");
	TAP_EQ(touch_read(all + 8 * MI - 1), SIGBUS, "to its end");
	TAP_OK(is_whole(all, 4 * MI), "the part before it is as it was");
	TAP_OK(all[8 * MI] == 8 && all[12 * MI - 1] == 10, "the part behind it too");
	TAP_EQ(hmem_free(interface, all), 0, "what lay on all of them is freed");
	hmem_interface_unref(interface);
	hmem_space_unref(space);
	TAP_OK(is_layer(layers[0]) && !is_layer(layers[1]), "one of the layers is there");
}

int main(void)
{
	int control = must_begin_cxl();

	touch_catch();
	must_cxl_on_each("ram", pools, 2);
	for (int i = 0; i < 2; i++) {
		must(pool_attach_cxl(control, pools[i], 0, NULL), "attach");
		snprintf(layers[i], sizeof(layers[i]), "pool:%s", pools[i]);
	}
	must(region_create(control, "one", pools[0], 16 * MI), "create");
	must(region_create(control, "two", pools[1], 8 * MI), "create");
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	test_regions();
	test_pools();
	test_lost();
	hmem_ctx_unref(ctx);
	return tap_done();
}
