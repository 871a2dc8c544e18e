// SPDX-License-Identifier: GPL-2.0-only
/*
 * Layers through the library: what a caller gets wrong, a list that does not fit into memory, and a
 * machine without hwloc. What is found on which machine cli-layers.sh tests.
 */
#include <dlfcn.h>
#include <hmem/hmem.h>
#include <mntent.h>

#include "sysroot.h"

static struct hmem_ctx *ctx;
static bool no_hwloc, no_memory;
static unsigned int asked_for;

/* The library's calls come here before they get to the C library. */
void *dlopen(const char *file, int flags)
{
	void *(*next)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");

	asked_for += file && strstr(file, "hwloc");
	return no_hwloc && file && strstr(file, "hwloc") ? next("/nowhere/libhwloc.so", flags) :
							   next(file, flags);
}

void *reallocarray(void *old, size_t count, size_t size)
{
	return no_memory ? NULL : realloc(old, count * size);
}

/* What is mounted cannot be read, for this reason. */
static int no_mounts;

FILE *setmntent(const char *path, const char *mode)
{
	FILE *(*next)(const char *, const char *) =
		(FILE *(*)(const char *, const char *))dlsym(RTLD_NEXT, "setmntent");

	errno = no_mounts;
	return no_mounts ? NULL : next(path, mode);
}

static int count(void *arg, const struct hmem_layer_info *info)
{
	if (info->size != sizeof(*info))
		return -1;
	++*(int *)arg;
	return 0;
}

static int stop(void *arg, const struct hmem_layer_info *info)
{
	(void)info;
	++*(int *)arg;
	return 7;
}

static int found(void)
{
	int layers = 0;

	return hmem_layer_iterate(ctx, -1, count, &layers) ? -1 : layers;
}

static void wrong(void)
{
	int layers = 0;

	TAP_EQ(hmem_layer_iterate(NULL, -1, count, &layers), -EINVAL, "no context");
	TAP_EQ(hmem_layer_iterate(ctx, -1, NULL, &layers), -EINVAL, "nobody to tell");
	TAP_EQ(hmem_layer_iterate(ctx, -2, count, &layers), -EINVAL, "no node");
	TAP_OK(strstr(hmem_last_error(ctx), "NUMA node -2"), "which is named");
	TAP_EQ(hmem_layer_iterate(ctx, 7, count, &layers), -ENODEV, "one without processors");
	TAP_OK(strstr(hmem_last_error(ctx), "those of nodes 0 can"), "those with are named");
	TAP_EQ(layers, 0, "nothing was told");
	TAP_EQ(hmem_layer_iterate(ctx, -1, stop, &layers), 7, "a visitor stops it");
	TAP_EQ(layers, 1, "at once");
}

static void names(void)
{
	TAP_STR_EQ(hmem_layer_kind_name(HMEM_LAYER_CXL), "cxl", "a kind has a name");
	TAP_STR_EQ(hmem_layer_kind_name(HMEM_LAYER_OTHER), "other", "the last one too");
	TAP_OK(!hmem_layer_kind_name(0) && !hmem_layer_kind_name(HMEM_LAYER_OTHER + 1),
	       "what is no kind has none");
	TAP_STR_EQ(hmem_origin_name(HMEM_ORIGIN_NONE), "none", "an origin has a name");
	TAP_STR_EQ(hmem_origin_name(HMEM_ORIGIN_CALLER), "caller", "the last one too");
	TAP_OK(!hmem_origin_name(HMEM_ORIGIN_CALLER + 1), "what is no origin has none");
}

/* What this process lacks is not told as what the machine has. */
static void mounts(void)
{
	static const int ours[] = { EMFILE, ENFILE, ENOMEM };
	int layers = 0;

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		no_mounts = ours[i];
		TAP_EQ(hmem_layer_iterate(ctx, -1, count, &layers), -ours[i],
		       "mounts cannot be read: %s", strerror(ours[i]));
		TAP_OK(strstr(hmem_last_error(ctx), "what is mounted cannot be read"),
		       "as is said: %s", hmem_last_error(ctx));
	}
	no_mounts = ENOENT;
	TAP_EQ(found(), 2, "without /proc nothing is known to be mounted");
	no_mounts = 0;
}

int main(void)
{
	if (hmem_ctx_new(&ctx) || hmem_ctx_set_sysroot(ctx, scratch()))
		tap_bail("no context");
	scratch_write("sys/devices/system/node/online", "0-1\n");
	scratch_write("sys/devices/system/node/has_cpu", "0\n");
	scratch_write("sys/devices/system/node/node0/meminfo",
		      "Node 0 MemTotal: 1024 kB\nNode 0 MemFree: 512 kB\n");
	scratch_write("sys/devices/system/node/node1/meminfo",
		      "Node 1 MemTotal: 2048 kB\nNode 1 MemFree: 2048 kB\n");
	TAP_EQ(found(), 2, "two nodes are two layers");
	wrong();
	names();

	no_memory = true;
	TAP_EQ(hmem_layer_iterate(ctx, -1, count, &(int){ 0 }), -ENOMEM, "no memory for a list");
	TAP_OK(strstr(hmem_last_error(ctx), "no memory"), "as is said");
	no_memory = false;
	TAP_EQ(found(), 2, "with memory they are back");
	mounts();

	scratch_write("hwloc.xml", "<topology version=\"2.0\"/>\n");
	no_hwloc = true;
	TAP_EQ(found(), 2, "without hwloc what the kernel knows is told");
	TAP_OK(asked_for > 0, "it was looked for");
	hmem_ctx_unref(ctx);
	return tap_done();
}
