// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory model on the module itself: its pools and regions as layers, measured; spaces on them,
 * one of two processes; and what becomes of those whose device goes away.
 *
 * hmem-test: topology=ram1 kernels=lts,newest timeout=180
 */
#include "pools.h"
#include "spaces.h"

static char pool[HMEM_NAME_LEN], layer_of_pool[80];

static void test_layers(void)
{
	struct hmem_layer_probe_options quick = HMEM_LAYER_PROBE_OPTIONS_INIT;
	struct hmem_layer_probed probed = { .size = sizeof(probed) };
	struct hmem_layer_info layer = { .size = sizeof(layer) };
	int64_t before = pool_free(pool);

	TAP_OK(is_layer(layer_of_pool), "the pool is a layer");
	TAP_OK(is_layer("hmem:there"), "and a region on it is one");
	quick.milliseconds = 50;
	quick.bytes = 4 * MI;
	TAP_EQ(hmem_layer_probe(ctx, layer_of_pool, &quick, &layer, &probed), 0, "it is measured");
	TAP_OK(layer.read_latency.value && layer.read_bandwidth.value && layer.write_bandwidth.value &&
		       layer.read_latency.origin == HMEM_ORIGIN_PROBE,
	       "by its latency and its bandwidths");
	TAP_EQ(pool_free(pool), before, "of which nothing is left on the pool");
	TAP_EQ(hmem_layer_probe(ctx, "hmem:there", &quick, &layer, &probed), 0, "so is the region");
	TAP_OK(layer.read_bandwidth.value && !layer.write_bandwidth.value, "by reading alone");
}

static void test_spaces(void)
{
	int64_t before = pool_free(pool);
	struct hmem_space *made = must_space(layer_of_pool, 32 * MI, 0);
	struct hmem_space *there = must_space("hmem:there", 0, 0);
	struct hmem_interface *on_made = must_interface(made, HMEM_STRATEGY_GENERAL);
	struct hmem_interface *on_there = must_interface(there, HMEM_STRATEGY_GENERAL);
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_allocation *allocation;
	struct hmem_space *none;

	TAP_EQ(before - pool_free(pool), 32 * (int64_t)MI, "a space on the pool is a region of it");
	TAP_EQ(use(on_made) + use(on_there), 0, "blocks of both hold what is written to them");
	if (hmem_allocation_new(on_made, MI, 0, HMEM_ALLOCATION_ZERO, &allocation))
		tap_bail("%s", hmem_last_error(ctx));
	memset(hmem_allocation_data(allocation), 5, MI);
	TAP_EQ(hmem_allocation_move(allocation, on_there), 0, "an allocation moves to the other");
	TAP_OK(hmem_space_handle(there, hmem_allocation_data(allocation)) &&
		       ((char *)hmem_allocation_data(allocation))[MI - 1] == 5,
	       "with what is in it");
	hmem_allocation_free(allocation);
	options.layer = layer_of_pool;
	options.bytes = 1ull << 40;
	TAP_EQ(hmem_space_create(ctx, "large", &options, &none), -ENOSPC, "a full pool is an error");
	hmem_interface_unref(on_made);
	hmem_interface_unref(on_there);
	hmem_space_unref(made);
	hmem_space_unref(there);
	TAP_EQ(pool_free(pool), before, "nothing is left of them on the pool");
}

/* --- two processes ------------------------------------------------------------------- */

static int other_process(void)
{
	struct hmem_space *space;
	struct hmem_interface *interface;
	char *block, *mine;

	ctx = NULL;
	if (hmem_ctx_new(&ctx))
		return 1;
	space = must_space("hmem:there", 0, HMEM_SPACE_SHARED);
	interface = must_interface(space, HMEM_STRATEGY_SHARED);
	block = hmem_space_at(space, hmem_space_root(space));
	mine = hmem_malloc(interface, 1000);
	if (!block || strcmp(block, "from the first") || hmem_free(interface, block) || !mine)
		return 2;
	strcpy(mine, "from the second");
	return hmem_space_set_root(space, hmem_space_root(space), hmem_space_handle(space, mine)) ? 3 : 0;
}

static int ended(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid ? status : -1;
}

static void test_shared(void)
{
	struct hmem_space *space = must_space("hmem:there", 0, HMEM_SPACE_SHARED);
	struct hmem_interface *interface = must_interface(space, HMEM_STRATEGY_SHARED);
	char *block = hmem_malloc(interface, 1000);
	pid_t pid;

	strcpy(block, "from the first");
	TAP_EQ(hmem_space_set_root(space, 0, hmem_space_handle(space, block)), 0,
	       "a block to begin with");
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(other_process());
	TAP_EQ(ended(pid), 0, "another process finds it, frees it, and leaves one");
	TAP_EQ(hmem_free(interface, block), -EALREADY, "which is known here");
	block = hmem_space_at(space, hmem_space_root(space));
	TAP_STR_EQ(block, "from the second", "the block of who has ended is there");
	TAP_EQ(hmem_free(interface, block), 0, "and is freed");
	hmem_interface_unref(interface);
	hmem_space_unref(space);
}

/* --- the device goes away ------------------------------------------------------------ */

static void test_lost(void)
{
	struct hmem_space *space = must_space(layer_of_pool, 16 * MI, 0), *dram;
	struct hmem_interface *interface = must_interface(space, HMEM_STRATEGY_GENERAL), *safe;
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	char *small = hmem_malloc(interface, 100), *large = hmem_malloc(interface, 4 * MI);
	struct hmem_space *none;
	char *kept;

	dram = must_space("dram", 2 * MI, 0);
	safe = must_interface(dram, HMEM_STRATEGY_GENERAL);
	kept = strcpy(hmem_malloc(safe, 100), "kept");
	memset(small, 1, 100);
	memset(large, 2, 4 * MI);
	cxl_end(pool);
	TAP_EQ(touch_read(small), SIGBUS, "what lay on the device is out of reach");
	TAP_EQ(touch_read(large), SIGBUS, "all of it");
	TAP_STR_EQ(kept, "kept", "and nothing else");
	TAP_EQ(hmem_free(interface, large) | hmem_free(interface, small), 0,
	       "it is freed: what is known of it lies elsewhere");
	TAP_EQ(hmem_free(interface, small), -EALREADY, "once");
	TAP_OK(!is_layer(layer_of_pool) && !is_layer("hmem:there"), "the layers are gone");
	options.layer = layer_of_pool;
	options.bytes = 16 * MI;
	TAP_EQ(hmem_space_create(ctx, "late", &options, &none), -ENOENT, "and have no spaces");
	TAP_OK(strstr(hmem_last_error(ctx), "no layer"), "as the error says");
	hmem_interface_unref(interface);
	hmem_space_unref(space);
	hmem_interface_unref(safe);
	hmem_space_unref(dram);
}

int main(void)
{
	int control = must_begin_cxl();

	touch_catch();
	must_cxl("ram", pool);
	must(pool_attach_cxl(control, pool, 0, NULL), "attach");
	must(region_create(control, "there", pool, 32 * MI), "create");
	snprintf(layer_of_pool, sizeof(layer_of_pool), "pool:%s", pool);
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	test_layers();
	test_spaces();
	test_shared();
	test_lost();
	hmem_ctx_unref(ctx);
	return tap_done();
}
