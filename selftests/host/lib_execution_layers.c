// SPDX-License-Identifier: GPL-2.0-only
/*
 * What memory is near an execution context, on a machine made of files, and which layers the spaces
 * are of that are made for one.
 */
#include <dlfcn.h>

#include <hmem/hmem.h>

#include "played_nodes.h"
#include "said.h"

#define MIB	  (1ull << 20)
#define UNTOUCHED ((void *)(uintptr_t)0x5ca1ab1e)

static struct hmem_ctx *ctx, *pretended;
static char created_of[3][HMEM_LAYER_NAME_MAX + 1];

/* Of what a space would be made on the pretended machine. */
int hmem_space_create(struct hmem_ctx *c, const char *name,
		      const struct hmem_space_options *options, struct hmem_space **space)
{
	int (*next)(struct hmem_ctx *, const char *, const struct hmem_space_options *,
		    struct hmem_space **) = dlsym(RTLD_NEXT, "hmem_space_create");

	memset(created_of, 0, sizeof(created_of));
	if (options && options->layer)
		snprintf(created_of[0], sizeof(created_of[0]), "%s", options->layer);
	for (uint32_t i = 0; options && options->parts && i < options->nr_parts && i < 3; i++)
		if (options->parts[i].layer)
			snprintf(created_of[i], sizeof(created_of[i]), "%s",
				 options->parts[i].layer);
	return c == pretended ? -EXDEV : next(c, name, options, space);
}

static struct hmem_execution *must_nodes(struct hmem_ctx *c, const int *nodes, size_t nr)
{
	struct hmem_execution *new;

	if (hmem_execution_nodes(c, nodes, nr, &new))
		tap_bail("%s", hmem_last_error(c));
	return new;
}

/* --- a machine made of files ----------------------------------------------------------- */

static void node(int n, uint64_t kib, const char *distance, int near, unsigned int latency)
{
	char path[128];

	play_node(n, kib, kib / 2);
	snprintf(path, sizeof(path), "sys/devices/system/node/node%d/distance", n);
	scratch_write(path, distance);
	play_figures(n, near, latency, latency ? 10000 : 0);
}

/* Two sockets, each with DRAM (0, 1); CXL memory on the first one (2) and on the second (3). */
static void machine(void)
{
	scratch_write("sys/devices/system/node/online", "0-3\n");
	scratch_write("sys/devices/system/node/has_cpu", "0-1\n");
	node(0, 4096, "10 21 14 25\n", 0, 100);
	node(1, 8192, "21 10 24 14\n", 1, 100);
	node(2, 65536, "14 24 10 30\n", 0, 250);
	node(3, 2048, "25 14 30 10\n", 1, 0);
	scratch_write("sys/devices/system/memory/block_size_bytes", "8000000\n");
	for (int i = 2; i < 4; i++) {
		char path[128], text[64];

		snprintf(path, sizeof(path), "sys/bus/cxl/devices/region%d/resource", i);
		snprintf(text, sizeof(text), "%#llx\n", i * 0x8000000ull);
		scratch_write(path, text);
		snprintf(path, sizeof(path), "sys/bus/cxl/devices/region%d/size", i);
		scratch_write(path, "0x8000000\n");
		snprintf(path, sizeof(path), "sys/devices/system/node/node%d/memory%d/state", i, i);
		scratch_write(path, "online\n");
	}
}

static struct hmem_layer_info found[8];

/* "dram:0 cxl:2 ...", the best first. */
static const char *chosen(struct hmem_execution *execution, const struct hmem_layer_wanted *wanted)
{
	static char text[256];
	size_t nr = 8;
	int err;

	for (size_t i = 0; i < nr; i++)
		found[i].size = sizeof(found[i]);
	err = hmem_execution_layers(execution, wanted, found, &nr);
	snprintf(text, sizeof(text), "%.0d", err);
	for (size_t i = 0; !err && i < nr && i < 8; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%.20s", i ? " " : "",
			 found[i].name);
	return text;
}

static void near_layers(void)
{
	const int first[] = { 0 }, second[] = { 1 }, both[] = { 0, 1 };
	struct hmem_layer_wanted wanted = HMEM_LAYER_WANTED_INIT;
	struct hmem_execution *zero = must_nodes(pretended, first, 1), *host;
	struct hmem_execution *one = must_nodes(pretended, second, 1);
	struct hmem_execution *all = must_nodes(pretended, both, 2);
	struct hmem_execution_info info = { .size = sizeof(info) };
	struct hmem_binding *back;

	TAP_STR_EQ(chosen(zero, NULL), "dram:0 cxl:2 dram:1 cxl:3", "the layers near node 0");
	TAP_OK(found[1].read_latency.value == 250 && found[1].initiator == 0 &&
		       found[1].read_bandwidth.value && found[0].flags & HMEM_LAYER_LOCAL,
	       "as its processors see them");
	TAP_STR_EQ(chosen(one, NULL), "dram:1 cxl:3 dram:0 cxl:2", "those near node 1");
	TAP_STR_EQ(chosen(all, NULL), "dram:1 dram:0 cxl:2 cxl:3", "those near both");
	TAP_OK(found[1].distance.value == 15 && found[1].initiator == -1 &&
		       found[1].read_latency.value == (100 + 210) / 2 &&
		       found[1].read_latency.origin,
	       "by the mean of what each sees");
	TAP_OK(!found[3].read_latency.origin && !found[3].read_latency.value &&
		       found[2].read_latency.value == (250 + 250 * 24 / 14) / 2,
	       "what none knows is not known");
	TAP_OK(!found[0].read_bandwidth.origin && !found[0].read_bandwidth.value &&
		       !found[1].read_bandwidth.origin,
	       "nor is what only one knows");
	TAP_OK(found[0].flags & HMEM_LAYER_LOCAL && found[1].flags & HMEM_LAYER_LOCAL &&
		       !(found[2].flags & HMEM_LAYER_LOCAL),
	       "what is local to one is local");
	wanted.name = "cxl";
	TAP_STR_EQ(chosen(one, &wanted), "cxl:3 cxl:2", "some of those");
	wanted.initiator = 1;
	TAP_EQ(atoi(chosen(one, &wanted)), -EINVAL, "the context says for whom");
	TAP_OK(says(pretended, "the execution context says for whom"), "and nobody else");
	wanted.initiator = -1;
	wanted.name = "hbm";
	TAP_EQ(atoi(chosen(all, &wanted)), -ENOENT, "there need be none");
	TAP_EQ(hmem_execution_layers(NULL, NULL, NULL, NULL), -EINVAL, "near nothing");
	TAP_OK(!hmem_execution_host(pretended, &host), "anywhere");
	TAP_STR_EQ(chosen(host, NULL), "dram:0 cxl:2 dram:1 cxl:3", "is near whoever asks");
	TAP_EQ(hmem_execution_bind(one, &back), -EOPNOTSUPP, "files have no processors");
	TAP_OK(says(pretended, "no processors to be bound to"), "as is said");
	if (hmem_execution_get_info(all, &info))
		tap_bail("%s", hmem_last_error(pretended));
	TAP_OK(!strcmp(info.name, "nodes 0,1") && info.nr_nodes == 2 && !info.nid,
	       "it has a name: %s", info.name);
	hmem_execution_unref(host);
	hmem_execution_unref(zero);
	hmem_execution_unref(all);
	hmem_execution_unref(one);
}

static void spaces(void)
{
	const int second[] = { 1 };
	struct hmem_execution *one = must_nodes(pretended, second, 1);
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space_part parts[] = { { .layer = "dram" }, { .layer = "cxl" }, { 0 } };
	struct hmem_layer_info near = HMEM_LAYER_INFO_INIT;
	struct hmem_space *space = UNTOUCHED;

	options.bytes = 2 * MIB;
	TAP_EQ(hmem_execution_space(one, "s", &options, &space), -EXDEV, "a space near node 1");
	TAP_STR_EQ(created_of[0], "dram:1", "is of its memory");
	near.kind = HMEM_LAYER_OTHER;
	near.nid = 1;
	near.capacity.value = 1ull << 40;
	snprintf(near.name, sizeof(near.name), "card");
	if (hmem_layer_register(pretended, &near, "anon") ||
	    strcmp(chosen(one, NULL), "card dram:1 cxl:3 dram:0 cxl:2"))
		tap_bail("no layer that is as near: %s", chosen(one, NULL));
	hmem_execution_space(one, "s", &options, &space);
	TAP_STR_EQ(created_of[0], "dram:1", "though other memory is as near");
	options.layer = "cxl";
	hmem_execution_space(one, "s", &options, &space);
	TAP_STR_EQ(created_of[0], "cxl:3", "of a kind, of the nearest");
	options.layer = "cxl:2";
	hmem_execution_space(one, "s", &options, &space);
	TAP_STR_EQ(created_of[0], "cxl:2", "of another where that is said");
	options.layer = "file:/x/y";
	hmem_execution_space(one, "s", &options, &space);
	TAP_STR_EQ(created_of[0], "file:/x/y", "even a file");
	options.layer = "hbm";
	hmem_execution_space(one, "s", &options, &space);
	TAP_STR_EQ(created_of[0], "hbm", "what there is none of stays what it is");
	options.layer = NULL;
	options.parts = parts;
	options.nr_parts = 3;
	hmem_execution_space(one, "s", &options, &space);
	TAP_OK(!strcmp(created_of[0], "dram:1") && !strcmp(created_of[1], "cxl:3") &&
		       !strcmp(created_of[2], "dram:1"),
	       "each part is near: %s %s %s", created_of[0], created_of[1], created_of[2]);
	options.part_size = 1;
	TAP_EQ(hmem_execution_space(one, "s", &options, &space), -EINVAL, "parts of one byte");
	options.size = 1;
	TAP_EQ(hmem_execution_space(one, "s", &options, &space), -EINVAL, "options of one byte");
	TAP_EQ(hmem_execution_space(NULL, "s", &options, &space), -EINVAL, "near nothing");
	hmem_execution_unref(one);

	one = must_nodes(ctx, (const int[]){ 0 }, 1);
	options = (struct hmem_space_options)HMEM_SPACE_OPTIONS_INIT;
	TAP_EQ(hmem_execution_space(one, "s", NULL, &space), -EINVAL, "no options");
	TAP_EQ(hmem_execution_space(one, "s", &options, &space), -EINVAL, "no size");
	options.nr_parts = 65;
	TAP_EQ(hmem_execution_space(one, "s", &options, &space), -EINVAL, "parts that are not");
	TAP_OK(space == UNTOUCHED, "none of which writes a handle");
	options.nr_parts = 0;
	options.bytes = 2 * MIB;
	TAP_EQ(hmem_execution_space(one, "s", &options, &space), 0, "a space on this machine");
	TAP_OK(!strncmp(created_of[0], "dram:", 5) || strchr(created_of[0], ':'),
	       "is of one layer: %s", created_of[0]);
	hmem_space_unref(space);
	hmem_execution_unref(one);
}

int main(void)
{
	if (hmem_ctx_new(&ctx) || hmem_ctx_new(&pretended) ||
	    hmem_ctx_set_sysroot(pretended, scratch()))
		tap_bail("no context");
	machine();
	near_layers();
	spaces();
	hmem_ctx_unref(ctx);
	hmem_ctx_unref(pretended);
	return tap_done();
}
