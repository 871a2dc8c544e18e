// SPDX-License-Identifier: GPL-2.0-only
/*
 * Layers that a caller constructs: what is refused, what is told of them to whom, and that they are
 * chosen and interleaved with those that are found.
 */
#include <pthread.h>

#include <hmem/hmem.h>

#include "played_nodes.h"

static struct hmem_ctx *ctx;

/* Two nodes with processors and figures for those of node 0, and node 2 without either. */
static void machine(void)
{
	scratch_write("sys/devices/system/node/online", "0-2\n");
	scratch_write("sys/devices/system/node/has_cpu", "0-1\n");
	scratch_write("sys/devices/system/node/node0/distance", "10 21 17\n");
	scratch_write("sys/devices/system/node/node1/distance", "21 10 28\n");
	for (int n = 0; n < 3; n++)
		play_node(n, 1024u * (n + 1), 512);
	play_figures(2, 0, 250, 28000);
	scratch_write("sys/devices/virtual/memory_tiering/memory_tier22/nodelist", "2\n");
}

static struct hmem_layer_info named(const char *name)
{
	struct hmem_layer_info info = HMEM_LAYER_INFO_INIT;

	snprintf(info.name, sizeof(info.name), "%s", name);
	return info;
}

static struct hmem_layer_info seen;
static const char *sought;
static int position, found_at;

static int see(void *arg, const struct hmem_layer_info *info)
{
	(void)arg;
	if (!strcmp(info->name, sought)) {
		seen = *info;
		found_at = position;
	}
	position++;
	return 0;
}

/* What is told of a layer to the processors of a node, in @seen; -1: nothing. */
static int look(const char *name, int initiator)
{
	sought = name;
	position = 0;
	found_at = -1;
	memset(&seen, 0, sizeof(seen));
	return hmem_layer_iterate(ctx, initiator, see, NULL) ? -2 : found_at;
}

static void refused(const struct hmem_layer_info *info, const char *scheme, int error,
		    const char *says, const char *what)
{
	TAP_EQ(hmem_layer_register(ctx, info, scheme), error, "%s is refused", what);
	TAP_OK(strstr(hmem_last_error(ctx), says), "and why: %s", hmem_last_error(ctx));
}

static void wrong_names(void)
{
	static const char *const kinds[] = { "dram", "dram:7", "fsdax:/x", "hmem:db", "pool" };
	struct hmem_layer_info info = named("");

	strcpy(info.name, "a,b");
	refused(&info, NULL, -EINVAL, "a comma stands between names", "a name that would be two");
	info.name[0] = '\0';
	refused(&info, NULL, -EINVAL, "at least one byte", "no name");
	info = named(":x");
	refused(&info, NULL, -EINVAL, "before a colon", "a name that begins with a colon");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		info = named(kinds[i]);
		refused(&info, NULL, -EINVAL, "is a kind that is found", kinds[i]);
	}
	memset(info.name, 'x', sizeof(info.name));
	refused(&info, NULL, -ENAMETOOLONG, "more than 255 bytes", "a name without an end");
	info = named("a\nb");
	refused(&info, NULL, -EINVAL, "its name has bytes", "a name of two lines");
	info = named("a\302\205b");
	refused(&info, NULL, -EINVAL, "its name has bytes", "a name that terminals obey");
	info = named("gpu:0");
	strcpy(info.device, "\033[2J");
	refused(&info, NULL, -EINVAL, "its device has bytes", "such a device");
	memset(info.device, 'x', sizeof(info.device));
	refused(&info, NULL, -ENAMETOOLONG, "device", "a device without an end");
}

static void wrong(void)
{
	struct {
		struct hmem_layer_info info;
		char more[8];
	} newer = { .info = named("gpu:0") };
	struct hmem_layer_info info = named("gpu:0");

	TAP_EQ(hmem_layer_register(NULL, &info, NULL), -EINVAL, "no context");
	TAP_EQ(hmem_layer_register(ctx, NULL, NULL), -EINVAL, "no info");
	info.size = 0;
	refused(&info, NULL, -EINVAL, "member size is 0", "an info of no size");
	newer.info.size = sizeof(newer);
	newer.more[7] = 1;
	refused(&newer.info, NULL, -E2BIG, "update it", "an info of a newer library");
	info = named("gpu:0");
	info.kind = HMEM_LAYER_DRAM;
	refused(&info, NULL, -EINVAL, "its kind is", "a kind that is found");
	info = named("gpu:0");
	info.flags = HMEM_LAYER_LOCAL;
	refused(&info, NULL, -EINVAL, "flags 0x2", "a flag that follows from the node");
	for (int i = 0; i < 3; i++) {
		info = named("gpu:0");
		*(i == 0 ? &info.nid : i == 1 ? &info.initiator : &info.tier) = -2;
		refused(&info, NULL, -EINVAL, "-1 is none", "a number below -1");
	}
	info = named("gpu:0");
	info.write_latency.origin = HMEM_ORIGIN_CALLER + 1;
	refused(&info, NULL, -EINVAL, "a figure comes from nowhere", "an origin that is none");
	info = named("gpu:0");
	info.capacity.reserved = 1;
	refused(&info, NULL, -EINVAL, "a figure", "a figure with more in it");
	info = named("gpu:0");
	info.reserved = 1;
	refused(&info, NULL, -EINVAL, "gpu:0", "an info with more in it");
	refused(&info, NULL, -EINVAL, "gpu:0", "again");
	info = named("gpu:0");
	refused(&info, "nosuch", -EINVAL, "no provider is called \"nosuch\"", "an unknown provider");
	refused(&info, "", -EINVAL, "no provider", "one without a name");
	TAP_EQ(look("gpu:0", -1), -1, "none of them is there");
}

static int no_open(struct hmem_ctx *c, const char *name, unsigned int flags, void **state)
{
	(void)name;
	(void)flags;
	(void)state;
	return hmem_set_error(c, -ENODEV, "never opened");
}

/* A provider of one's own, by its scheme: the layer says so, and has what it was given. */
static void with_provider(void)
{
	static const struct hmem_provider_ops toy = {
		.size = sizeof(toy),
		.scheme = "toy",
		.open = no_open,
		.close = (void *)no_open,
		.map = (void *)no_open,
		.get_info = (void *)no_open,
	};
	struct hmem_layer_info info = named("gpu:0");

	if (hmem_provider_register(ctx, &toy))
		tap_bail("no provider");
	info.flags = HMEM_LAYER_PERSISTENT | HMEM_LAYER_SHAREABLE;
	info.capacity.value = 1 << 20;
	info.read_latency.value = 90;
	info.read_bandwidth = (struct hmem_figure){ 900000, HMEM_ORIGIN_FIRMWARE, 0 };
	info.nid = 1;
	strcpy(info.device, "card0");
	strcpy(info.provider, "rubbish");
	TAP_EQ(hmem_layer_register(ctx, &info, "toy"), 0, "a layer with a provider is registered");
	memset(&info, 0xff, sizeof(info));
	TAP_EQ(look("gpu:0", -1), 3, "it comes after those that are found");
	TAP_EQ(seen.kind, HMEM_LAYER_OTHER, "it is of no kind that is found");
	TAP_STR_EQ(seen.provider, "toy", "it says who gives its memory");
	TAP_STR_EQ(seen.device, "card0", "and what it is made of");
	TAP_EQ(seen.flags, HMEM_LAYER_PERSISTENT | HMEM_LAYER_SHAREABLE | HMEM_LAYER_CPUS,
	       "its flags are the caller's, and its node's");
	TAP_OK(seen.capacity.value == 1 << 20 && seen.capacity.origin == HMEM_ORIGIN_CALLER,
	       "so is its capacity");
	TAP_OK(seen.read_latency.value == 90 && seen.read_latency.origin == HMEM_ORIGIN_CALLER,
	       "and a latency");
	TAP_EQ(seen.read_bandwidth.origin, HMEM_ORIGIN_FIRMWARE, "an origin that was given stays");
	TAP_OK(!seen.write_latency.origin && !seen.free.origin, "what was not said is not known");
	TAP_OK(seen.distance.value == 21 && seen.distance.origin == HMEM_ORIGIN_SLIT,
	       "but the distance of its node");
	TAP_EQ(seen.initiator, 0, "as node 0 sees it");
	TAP_OK(look("gpu:0", 1) == 3 && seen.initiator == 1 && seen.read_latency.value == 90 &&
		       seen.flags & HMEM_LAYER_LOCAL && seen.flags & HMEM_LAYER_CPUS,
	       "to the processors of its node it is local");
	info = named("gpu:0");
	refused(&info, NULL, -EEXIST, "there is a layer \"gpu:0\"", "its name again");
}

/* Without a provider it is memory of a node, of which the caller knows more. */
static void on_node(void)
{
	struct hmem_layer_info info = named("far");

	info.kind = 0;
	info.nid = 2;
	info.initiator = 0;
	info.read_latency.value = 333;
	info.write_bandwidth.value = 7;
	TAP_EQ(hmem_layer_register(ctx, &info, NULL), 0, "a layer of a node");
	TAP_EQ(look("far", 0), 4, "comes after the one that was registered before");
	TAP_STR_EQ(seen.provider, "", "it has no provider");
	TAP_OK(seen.kind == HMEM_LAYER_OTHER && seen.nid == 2, "but a node");
	TAP_EQ(seen.read_latency.value, 333, "what the caller says counts");
	TAP_OK(seen.capacity.value == 3 << 20 && seen.capacity.origin == HMEM_ORIGIN_KERNEL &&
		       seen.free.value == 512 << 10 && seen.tier == 22 &&
		       seen.read_bandwidth.value == 28000000000,
	       "what he does not is the node's");
	TAP_EQ(look("far", 1), 4, "other processors see it");
	TAP_OK(seen.read_latency.origin == HMEM_ORIGIN_SLIT && !seen.write_bandwidth.origin &&
		       seen.initiator == 1 && seen.distance.value == 28,
	       "but his figures are not for them");

	info = named("nowhere");
	TAP_EQ(hmem_layer_register(ctx, &info, NULL), 0, "a layer that is nowhere");
	TAP_OK(look("nowhere", -1) == 5 && seen.nid == -1 && !seen.capacity.origin &&
		       !seen.distance.origin && seen.tier == -1,
	       "is told of");
	info = named("dramatic");
	info.nid = 9;
	TAP_EQ(hmem_layer_register(ctx, &info, NULL), 0, "one of a node that is not there yet");
	TAP_OK(look("dramatic", -1) == 6 && !seen.capacity.origin, "has nothing yet");
}

static void chosen(void)
{
	struct hmem_layer_wanted wanted = HMEM_LAYER_WANTED_INIT;
	struct hmem_layer_info found[2] = { { .size = sizeof(found[0]) },
					    { .size = sizeof(found[0]) } };
	uint8_t weights[2];
	size_t nr = 2;

	wanted.order = HMEM_LAYER_LATENCY;
	TAP_EQ(hmem_layer_select(ctx, &wanted, found, &nr), 0, "choosing");
	TAP_OK(nr == 7 && !strcmp(found[0].name, "gpu:0") && !strcmp(found[0].provider, "toy"),
	       "the registered one is the fastest");
	nr = 2;
	wanted.name = "gpu";
	TAP_OK(!hmem_layer_select(ctx, &wanted, found, &nr) && nr == 1 &&
		       !strcmp(found[0].name, "gpu:0"),
	       "by what stands before its colon");
	nr = 2;
	wanted.name = NULL;
	wanted.kinds = HMEM_LAYER_KIND(HMEM_LAYER_OTHER);
	wanted.flags = HMEM_LAYER_PERSISTENT;
	TAP_OK(!hmem_layer_select(ctx, &wanted, found, &nr) && nr == 1, "by kind and flags");
	nr = 2;
	wanted.flags = 0;
	wanted.order = HMEM_LAYER_BANDWIDTH;
	TAP_OK(!hmem_layer_select(ctx, &wanted, found, &nr) && nr == 4 &&
		       !strcmp(found[0].name, "far") && !strcmp(found[1].name, "gpu:0"),
	       "by bandwidth");
	TAP_EQ(hmem_layer_weights(ctx, found, 2, weights), 0, "interleaved by bandwidth");
	TAP_OK(weights[0] == 255 && weights[1] == 1, "28 GB/s to 900 kB/s");
}

#define THREADS 4
#define EACH	20

static int count(void *arg, const struct hmem_layer_info *info)
{
	*(int *)arg += !strncmp(info->name, "many:", 5);
	return 0;
}

/* All want the same names, and look at what is there meanwhile. */
static void *register_many(void *arg)
{
	long registered = 0;
	int there = 0;

	(void)arg;
	for (int i = 0; i < EACH; i++) {
		struct hmem_layer_info info = HMEM_LAYER_INFO_INIT;
		int before = there, err;

		snprintf(info.name, sizeof(info.name), "many:%d", i);
		err = hmem_layer_register(ctx, &info, "anon");
		registered += !err;
		there = 0;
		if ((err && err != -EEXIST) || hmem_layer_iterate(ctx, -1, count, &there) ||
		    there < before || there <= i)
			return (void *)-1;
	}
	return (void *)registered;
}

static void at_once(void)
{
	pthread_t threads[THREADS];
	long registered = 0;
	bool good = true;

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, register_many, NULL))
			tap_bail("no threads");
	for (int i = 0; i < THREADS; i++) {
		void *got;

		pthread_join(threads[i], &got);
		good = good && (long)got >= 0;
		registered += (long)got;
	}
	TAP_OK(good && registered == EACH, "threads register at once, each name once");
}

int main(void)
{
	struct hmem_ctx *other;

	if (hmem_ctx_new(&ctx) || hmem_ctx_set_sysroot(ctx, scratch()))
		tap_bail("no context");
	machine();
	TAP_EQ(look("dram:2", -1), 2, "three nodes");
	TAP_STR_EQ(seen.provider, "", "system RAM has no provider");
	wrong_names();
	wrong();
	with_provider();
	on_node();
	chosen();
	at_once();

	if (hmem_ctx_new(&other))
		tap_bail("no context");
	hmem_ctx_unref(ctx);
	ctx = other;
	TAP_EQ(look("gpu:0", -1), -1, "another context has none of them");
	hmem_ctx_unref(ctx);
	return tap_done();
}
