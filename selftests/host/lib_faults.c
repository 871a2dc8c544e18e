// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every system call and every allocation fails once: contexts, anonymous memory, the
 * module and devices, as far as they can be played (faults.h). Files have a test of
 * their own.
 */
#include <sys/sysmacros.h>

#include "faults.h"

static int new_context(void)
{
	struct hmem_ctx *another = NULL;
	int err = hmem_ctx_new(&another);

	if (err && another)
		return 1;
	hmem_ctx_unref(another);
	return err;
}

static int set_sysroot(void)
{
	return hmem_ctx_set_sysroot(ctx, scratch());
}

/* Never called: registering only looks whether they are there. */
static int register_provider(void)
{
	static char scheme[] = "a";
	struct hmem_provider_ops ops = {
		.size = sizeof(ops),
		.scheme = scheme,
		.open = (void *)abort,
		.close = (void *)abort,
		.map = (void *)abort,
		.get_info = (void *)abort,
	};
	int err = hmem_provider_register(ctx, &ops);

	if (!err)
		scheme[0]++;
	return err;
}

static int register_layer(void)
{
	static char name[] = "a";
	struct hmem_layer_info info = HMEM_LAYER_INFO_INIT;
	int err;

	info.name[0] = name[0];
	err = hmem_layer_register(ctx, &info, "anon");
	if (!err)
		name[0]++;
	return err;
}

static int on_the_host(void)
{
	struct hmem_execution *host;
	int err = hmem_execution_host(ctx, &host);

	if (!err)
		hmem_execution_unref(host);
	return err;
}

/* Of this machine: below a sysroot there are no processors. */
static int on_a_node(void)
{
	const int node[] = { 0 };
	struct hmem_execution *bound;
	struct hmem_binding *back;
	int err = hmem_ctx_set_sysroot(ctx, "");

	if (!err)
		err = hmem_execution_nodes(ctx, node, 1, &bound);
	if (err)
		return err;
	err = hmem_execution_bind(bound, &back);
	if (!err)
		err = hmem_binding_end(back);
	hmem_execution_unref(bound);
	return err;
}

/* By what nothing can be left that is used. */
static int attach(void)
{
	static char memory[64];
	struct hmem_allocation *allocation;
	struct hmem_attachment *attachment;
	struct hmem_execution *host;
	int err = hmem_execution_host(ctx, &host), left;

	if (err)
		return err;
	err = hmem_allocation_adopt(ctx, NULL, memory, sizeof(memory), 0, &allocation);
	if (!err) {
		err = hmem_execution_attach(host, allocation, 0, &attachment);
		if (!err)
			err = hmem_attachment_detach(attachment);
		left = hmem_allocation_free(allocation);
		err = left ? left : err;
	}
	hmem_execution_unref(host);
	return err;
}

static int create_as(const char *which)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region *made = NULL;
	int err;

	options.bytes = 4096;
	err = hmem_region_create(ctx, which, &options, &made);
	if (err && made)
		return 1;
	hmem_region_close(made);
	return err;
}

static int create_anon(void)
{
	return create_as("anon:x");
}

static int open_as(const char *which, unsigned int flags)
{
	struct hmem_region *opened = NULL;
	int err = hmem_region_open(ctx, which, flags, &opened);

	if (err && opened)
		return 1;
	hmem_region_close(opened);
	return err;
}

static int open_hmem(void)
{
	return open_as("hmem:db", HMEM_OPEN_READ_ONLY);
}

static int create_hmem(void)
{
	return create_as("hmem:db");
}

static int destroy_hmem(void)
{
	return hmem_region_destroy(ctx, "hmem:db");
}

static int detach_pool(void)
{
	return hmem_pool_detach(ctx, "p");
}

static int drain_pool(void)
{
	return hmem_pool_drain(ctx, "p", 0, NULL);
}

static int attach_pool(void)
{
	struct hmem_pool_options options = HMEM_POOL_OPTIONS_INIT;
	struct hmem_pool_result result = { .size = sizeof(result), .bytes = 4711 };
	int err;

	options.source = "region0";
	err = hmem_pool_attach(ctx, &options, &result);
	return err && result.bytes != 4711 ? 1 : err;
}

static int open_dax(void)
{
	return open_as("dax:dax0.0", 0);
}

static int info_of_dax(void)
{
	struct hmem_region_info info = { .size = sizeof(info), .bytes = 4711 };
	int err = hmem_region_get_info_by_name(ctx, "dax:dax0.0", &info);

	return err && info.bytes != 4711 ? 1 : err;
}

static int see_pool(void *arg, const struct hmem_pool_info *info)
{
	(void)arg;
	(void)info;
	return 0;
}

static int see_region(void *arg, const struct hmem_region_info *info)
{
	(void)arg;
	(void)info;
	return 0;
}

static int list_pools(void)
{
	return hmem_pool_iterate(ctx, see_pool, NULL);
}

static int list_regions(void)
{
	return hmem_region_iterate(ctx, see_region, NULL);
}

static void sysfs_tree(void)
{
	static const char *const files[][2] = {
		{ "provider", "ram" }, { "source", "" },
		{ "size", "4096" },    { "free", "0" },
		{ "regions", "0" },    { "persistent", "0" },
		{ "numa_node", "-1" }, { "uuid", "00000000-0000-0000-0000-000000000000" },
	};
	char path[100];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "sys/class/hmem_pool/p/%s", files[i][0]);
		scratch_write(path, files[i][1]);
	}
	scratch_write("dev/hmem/control", "");
	scratch_write("dev/hmem/db", "1234");
	scratch_write("etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n");
	scratch_write("sys/dev/char/1:5/size", "2097152\n");
	scratch_write("sys/dev/char/1:5/align", "2097152\n");
	scratch_link("sys/dev/char/1:5/subsystem", "/any/bus/dax");
}

int main(void)
{
	if (hmem_ctx_new(&ctx) || hmem_ctx_set_sysroot(ctx, scratch()))
		tap_bail("no context");
	sysfs_tree();

	wordless = true;
	inject("a context", new_context, "alloc", ENOMEM, 0);
	wordless = false;
	inject("a sysroot", set_sysroot, "alloc", ENOMEM, 0);
	inject("a provider", register_provider, "alloc", ENOMEM, 0);
	inject("a layer", register_layer, "alloc", ENOMEM, 0);
	inject("an execution context", on_the_host, "alloc", ENOMEM, 0);
	inject("one of a node", on_a_node, "alloc", ENOMEM, 0);
	hmem_ctx_set_sysroot(ctx, scratch());
	inject("an attachment", attach, "alloc", ENOMEM, 0);
	inject("anonymous memory", create_anon, "alloc", ENOMEM, 0);
	inject("a region of the module", open_hmem, "alloc", ENOMEM, 0);
	inject("listing pools", list_pools, "alloc", ENOMEM, 0);
	inject("anonymous memory", create_anon, "memfd_create", EMFILE, 0);
	inject("anonymous memory", create_anon, "ftruncate", ENOMEM, 0);
	inject("listing pools", list_pools, "scandir", ENOMEM, 0);
	inject("listing pools", list_pools, "open", EMFILE, 0);
	inject("listing pools", list_pools, "read", EIO, 0);
	inject("listing regions", list_regions, "scandir", EMFILE, 0);
	inject("a region of the module", open_hmem, "open", EMFILE, 0);
	inject("a region of the module", open_hmem, "ioctl", ENODEV, 0);
	/* The second ioctl asks about the new region, the third takes it back. */
	inject("carving", create_hmem, "open", EMFILE, 0);
	inject("carving", create_hmem, "ioctl", EIO, 0);
	inject("destroying", destroy_hmem, "open", EMFILE, 0);
	inject("destroying", destroy_hmem, "ioctl", EBUSY, 0);
	inject("detaching", detach_pool, "ioctl", EBUSY, 0);
	inject("draining", drain_pool, "open", EMFILE, 0);
	inject("draining", drain_pool, "ioctl", EBUSY, 0);
	inject("attaching", attach_pool, "ioctl", EBUSY, 0);
	/* Without a machine-id it goes on, without the control device it does not. */
	inject("attaching", attach_pool, "read", EIO, HARMLESS);
	if (mknod(scratch_path("dev/dax0.0"), S_IFCHR | 0600, makedev(1, 5)) || open_dax()) {
		tap_skip("a device of device-dax", "no right to make or open a device node");
	} else {
		inject("a device of device-dax", open_dax, "alloc", ENOMEM, 0);
		inject("a device of device-dax", open_dax, "open", EMFILE, 0);
		inject("a device of device-dax", open_dax, "fstat", EIO, 0);
		inject("asking a device", info_of_dax, "stat", EIO, 0);
	}
	TAP_EQ(inherited, 0, "no descriptor is inherited across exec");
	hmem_ctx_unref(ctx);
	return tap_done();
}
