// SPDX-License-Identifier: GPL-2.0-only
/*
 * Choosing among the layers of a machine that has several kinds of memory, and the ratios in which
 * to interleave them.
 */
#include <hmem/hmem.h>

#include "played_nodes.h"

static struct hmem_ctx *ctx;

static void node(int n, uint64_t kib, unsigned int latency, unsigned int bandwidth)
{
	play_node(n, kib, kib / 2);
	play_figures(n, 0, latency, bandwidth);
}

/* DRAM 0, HBM 1, CXL memory 2, and node 3, of which nothing is known; a pmem file system. */
static void machine(void)
{
	scratch_write("sys/devices/system/node/online", "0-3\n");
	scratch_write("sys/devices/system/node/has_cpu", "0\n");
	scratch_write("sys/devices/system/node/node0/distance", "10 12 20 30\n");
	node(0, 4096, 100, 300000);
	node(1, 1024, 130, 900000);
	node(2, 65536, 250, 28000);
	node(3, 2048, 0, 0);
	play_cxl_and_pmem();
	scratch_write("sys/class/block/pmem0/size", "4096\n");
}

/* "dram:0 hbm:1 ...": those that will do, in their order; or what went wrong. */
static const char *chosen(const struct hmem_layer_wanted *wanted)
{
	static char text[256];
	struct hmem_layer_info found[8];
	size_t nr = 8;
	int err;

	for (size_t i = 0; i < nr; i++)
		found[i].size = sizeof(found[i]);
	err = hmem_layer_select(ctx, wanted, found, &nr);
	*text = '\0';
	if (err)
		snprintf(text, sizeof(text), "%s, %zu", strerror(-err), nr);
	for (size_t i = 0; !err && i < nr; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			 found[i].name);
	return text;
}

static const char *by(uint32_t order)
{
	struct hmem_layer_wanted wanted = HMEM_LAYER_WANTED_INIT;

	wanted.order = order;
	return chosen(&wanted);
}

static const char *named(const char *name)
{
	struct hmem_layer_wanted wanted = HMEM_LAYER_WANTED_INIT;

	wanted.name = name;
	return chosen(&wanted);
}

static void orders(void)
{
	struct hmem_layer_wanted wanted = HMEM_LAYER_WANTED_INIT;

	TAP_STR_EQ(chosen(NULL), "dram:0 hbm:1 cxl:2 dram:3 fsdax:/mnt/p", "the nearest first");
	TAP_STR_EQ(by(HMEM_LAYER_LATENCY), "dram:0 hbm:1 cxl:2 dram:3 fsdax:/mnt/p",
		   "by latency; what is not known comes last");
	TAP_STR_EQ(by(HMEM_LAYER_BANDWIDTH), "hbm:1 dram:0 cxl:2 dram:3 fsdax:/mnt/p", "by bandwidth");
	TAP_STR_EQ(by(HMEM_LAYER_CAPACITY), "cxl:2 dram:0 fsdax:/mnt/p dram:3 hbm:1",
		   "by what can be had");
	TAP_STR_EQ(named("cxl"), "cxl:2", "by kind");
	TAP_STR_EQ(named("dram"), "dram:0 dram:3", "the nearest of a kind first");
	TAP_STR_EQ(named("dram:3"), "dram:3", "by name");
	TAP_STR_EQ(named("dra"), "No such file or directory, 0", "half a name is none");
	TAP_STR_EQ(named("dram:"), "No such file or directory, 0", "nor is a colon the end of one");
	wanted.flags = HMEM_LAYER_PERSISTENT;
	TAP_STR_EQ(chosen(&wanted), "fsdax:/mnt/p", "what survives power loss");
	wanted.flags = HMEM_LAYER_LOCAL;
	TAP_STR_EQ(chosen(&wanted), "dram:0", "what is local");
	wanted.flags = 0;
	wanted.bytes = 32 << 20;
	TAP_STR_EQ(chosen(&wanted), "cxl:2", "what has room for so much");
	wanted.bytes++;
	TAP_STR_EQ(chosen(&wanted), "No such file or directory, 0", "none has room for more");
	TAP_OK(strstr(hmem_last_error(ctx), "no layer is as wanted"), "as is said");
	wanted.bytes = 0;
	wanted.kinds = HMEM_LAYER_KIND(HMEM_LAYER_HBM) | HMEM_LAYER_KIND(HMEM_LAYER_CXL);
	TAP_STR_EQ(chosen(&wanted), "hbm:1 cxl:2", "of two kinds");
}

static void wrong(void)
{
	struct hmem_layer_wanted wanted = HMEM_LAYER_WANTED_INIT;
	struct hmem_layer_info one = { .size = sizeof(one) };
	size_t nr = 1;

	TAP_OK(!hmem_layer_select(ctx, NULL, &one, &nr) && nr == 5 && !strcmp(one.name, "dram:0"),
	       "room for one: it is the best, and all are counted");
	nr = 0;
	TAP_OK(!hmem_layer_select(ctx, NULL, NULL, &nr) && nr == 5, "no room: they are counted");
	TAP_EQ(hmem_layer_select(NULL, NULL, NULL, &nr), -EINVAL, "no context");
	TAP_EQ(hmem_layer_select(ctx, NULL, NULL, NULL), -EINVAL, "no count");
	one.size = 4;
	nr = 1;
	TAP_EQ(hmem_layer_select(ctx, NULL, &one, &nr), -EINVAL, "an info of no size");
	wanted.order = 9;
	TAP_STR_EQ(chosen(&wanted), "Invalid argument, 8", "an unknown order");
	wanted.order = 0;
	wanted.flags = HMEM_LAYER_FORBIDDEN;
	TAP_STR_EQ(chosen(&wanted), "Invalid argument, 8", "a flag that nobody needs");
	wanted.flags = 0;
	wanted.initiator = 2;
	TAP_STR_EQ(chosen(&wanted), "No such device, 8", "a node that cannot ask");
	wanted.size = 1;
	TAP_STR_EQ(chosen(&wanted), "Invalid argument, 8", "a request of no size");
}

static void weights(void)
{
	struct hmem_layer_info layers[3];
	uint8_t w[3] = { 0 };

	for (int i = 0; i < 3; i++)
		layers[i] = (struct hmem_layer_info){ .size = sizeof(layers[i]) };
	layers[0].read_bandwidth.value = 300000;
	layers[1].read_bandwidth.value = 900000;
	TAP_OK(!hmem_layer_weights(ctx, layers, 2, w) && w[0] == 1 && w[1] == 3, "one to three");
	layers[1].read_bandwidth.value = 450000;
	TAP_OK(!hmem_layer_weights(ctx, layers, 2, w) && w[0] == 2 && w[1] == 3, "two to three");
	layers[2].read_bandwidth.value = 28000;
	TAP_OK(!hmem_layer_weights(ctx, layers, 3, w) && w[2] == 1 && w[0] == 11 && w[1] == 16,
	       "within 5 %%");
	layers[2].read_bandwidth.value = 1;
	TAP_OK(!hmem_layer_weights(ctx, layers, 3, w) && w[2] == 1 && w[0] == 255 && w[1] == 255,
	       "255 at the most");
	layers[0].read_bandwidth.value = UINT64_MAX;
	TAP_OK(!hmem_layer_weights(ctx, layers, 1, w) && w[0] == 1, "one alone");
	TAP_OK(!hmem_layer_weights(ctx, layers, 2, w) && w[0] == 255 && w[1] == 1, "however large");
	TAP_EQ(hmem_layer_weights(ctx, layers, 0, w), -EINVAL, "none");
	TAP_EQ(hmem_layer_weights(ctx, NULL, 1, w), -EINVAL, "nowhere");
	TAP_EQ(hmem_layer_weights(ctx, layers, 1, NULL), -EINVAL, "to nowhere");
	TAP_EQ(hmem_layer_weights(NULL, layers, 1, w), -EINVAL, "for nobody");
	layers[1].read_bandwidth.value = 0;
	TAP_EQ(hmem_layer_weights(ctx, layers, 2, w), -ENODATA, "a bandwidth that is not known");
	layers[1].size = 8;
	TAP_EQ(hmem_layer_weights(ctx, layers, 2, w), -EINVAL, "an info of another size");
}

int main(void)
{
	if (hmem_ctx_new(&ctx) || hmem_ctx_set_sysroot(ctx, scratch()))
		tap_bail("no context");
	machine();
	orders();
	wrong();
	weights();
	hmem_ctx_unref(ctx);
	return tap_done();
}
