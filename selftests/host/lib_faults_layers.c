// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looking for layers and choosing among them without memory: whichever kind is the first that is
 * found (faults_space.h).
 */
#include "faults_space.h"

static int ignore(void *arg, const struct hmem_layer_info *layer)
{
	(void)arg;
	(void)layer;
	return 0;
}

static int look_at_layers(void)
{
	return hmem_layer_iterate(ctx, -1, ignore, NULL);
}

static int choose_layers(void)
{
	size_t nr = 0;

	return hmem_layer_select(ctx, NULL, NULL, &nr);
}

static void a_pool(void)
{
	static const char *const files[][2] = {
		{ "provider", "ram" }, { "source", "" }, { "size", "4096" }, { "free", "0" },
		{ "regions", "0" },    { "persistent", "0" }, { "numa_node", "-1" },
		{ "uuid", "00000000-0000-0000-0000-000000000000" },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		scratch_write(scratch_path("pool/sys/class/hmem_pool/p/%s", files[i][0]) +
				      strlen(scratch()) + 1,
			      files[i][1]);
}

static void a_device(void)
{
	scratch_write("device/dev/dax0.0", "");
	scratch_write("device/sys/bus/dax/devices/dax0.0/size", "8388608\n");
	scratch_write("device/sys/bus/dax/devices/dax0.0/align", "2097152\n");
	scratch_write("device/sys/bus/dax/devices/dax0.0/numa_node", "1\n");
	scratch_link("device/sys/bus/dax/devices/dax0.0/driver", "/any/bus/dax/drivers/device_dax");
}

static struct hmem_execution *both;

static int choose_for_both(void)
{
	size_t nr = 0;

	return hmem_execution_layers(both, NULL, NULL, &nr);
}

/* Each node is asked, and what they say is added up. */
static void of_two_nodes(void)
{
	const int nodes[] = { 0, 1 };

	scratch_write("two/sys/devices/system/node/online", "0-1\n");
	scratch_write("two/sys/devices/system/node/has_cpu", "0-1\n");
	scratch_write("two/sys/devices/system/node/node0/meminfo", "Node 0 MemTotal: 4096 kB\n");
	scratch_write("two/sys/devices/system/node/node1/meminfo", "Node 1 MemTotal: 4096 kB\n");
	if (hmem_ctx_set_sysroot(ctx, scratch_path("two")) ||
	    hmem_execution_nodes(ctx, nodes, 2, &both))
		tap_bail("%s", hmem_last_error(ctx));
	TAP_EQ(inject("two nodes", choose_for_both, "reallocarray", ENOMEM, 0), 8,
	       "what they say and what is kept of it, which grows");
	each("two nodes", choose_for_both, "reallocarray", ENOMEM, 0);
	/* Some qsort_r(3)s sort without memory what they would sort faster with it. */
	each("two nodes", choose_for_both, "alloc", ENOMEM, SOME_HARMLESS);
	hmem_execution_unref(both);
}

/* Whatever is found first has no memory: where there is but one kind of layers. */
static void layers(void)
{
	static const char *const trees[] = { "pool", "device", "mount" };

	a_pool();
	a_device();
	scratch_write("mount/proc/self/mounts", "x /mnt/p famfs rw 0 0\n");
	for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
		if (hmem_ctx_set_sysroot(ctx, scratch_path("%s", trees[i])))
			tap_bail("%s", hmem_last_error(ctx));
		each(trees[i], look_at_layers, "reallocarray", ENOMEM, 0);
		each(trees[i], choose_layers, "reallocarray", ENOMEM, 0);
		each(trees[i], look_at_layers, "alloc", ENOMEM, 0);
	}
	if (hmem_ctx_set_sysroot(ctx, scratch_path("mount")))
		tap_bail("%s", hmem_last_error(ctx));
	unlink(scratch_path("mount/proc/self/mounts"));
	each("what was registered", look_at_layers, "reallocarray", ENOMEM, 0);
	of_two_nodes();
	if (hmem_ctx_set_sysroot(ctx, NULL))
		tap_bail("%s", hmem_last_error(ctx));
}

int main(void)
{
	struct hmem_layer_info mine = HMEM_LAYER_INFO_INIT;

	old_space();
	/* So many that lists of them have to grow. */
	for (int i = 0; i < 20; i++) {
		snprintf(mine.name, sizeof(mine.name), "mine:%d", i);
		if (hmem_layer_register(ctx, &mine, NULL))
			tap_bail("%s", hmem_last_error(ctx));
	}
	layers();
	return all_done();
}
