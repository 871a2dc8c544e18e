// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Pools of hmem.ko: attaching and detaching through the control device, looking
 * through sysfs.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "ctx.h"
#include "kernel.h"
#include "name.h"
#include "sized.h"
#include "sysfs.h"
#include "uncancelled.h"

#include <hmem/pool.h>

/* Every member up to the last: the first published versions. */
#define OPTIONS_SIZE_V1 sizeof(struct hmem_pool_options)
#define RESULT_SIZE_V1	sizeof(struct hmem_pool_result)
#define INFO_SIZE_V1	sizeof(struct hmem_pool_info)
/* Up to @region. */
#define DRAINED_SIZE_V1 offsetof(struct hmem_pool_drained, nr_held)

#define ATTACH_FLAGS (HMEM_POOL_FORMAT | HMEM_POOL_CHECK | HMEM_POOL_TAKE_OVER)

/*
 * Who this host is, so that a persistent pool knows who used it last. A host without
 * a machine-id is all zeroes: not checked and not recorded.
 */
static void read_host(struct hmem_ctx *ctx, uint8_t host[16])
{
	char dir[PATH_MAX];
	char text[64];

	memset(host, 0, 16);
	if (hmem_sysfs_path(ctx, dir, "/etc") ||
	    hmem_sysfs_text(dir, "machine-id", text, sizeof(text)) ||
	    hmem_sysfs_parse_uuid(text, host))
		hmem_log(
			ctx, HMEM_LOG_WARNING,
			"no machine-id in /etc/machine-id: no persistent pool will know this host");
}

static int check_options(struct hmem_ctx *ctx, const struct hmem_pool_options *options)
{
	int err = 0;

	if (options->flags & ~ATTACH_FLAGS)
		return hmem_fail(ctx, -EINVAL, "attaching a pool: unknown flags %#x",
				 options->flags & ~ATTACH_FLAGS);
	if (options->name && *options->name)
		err = hmem_name_check(ctx, "pool", options->name);
	if (err)
		return err;
	if (options->source) {
		err = hmem_name_check(ctx, "CXL region", options->source);
		if (err)
			return err;
		if (options->bytes || options->nid != -1)
			return hmem_fail(
				ctx, -EINVAL,
				"attaching CXL region %s: its size and node are given; bytes "
				"must be 0 and nid -1",
				options->source);
		return 0;
	}
	if (!options->name || !*options->name)
		return hmem_fail(ctx, -EINVAL, "a pool of system RAM needs a name");
	if (!options->bytes || options->bytes > INT64_MAX)
		return hmem_fail(ctx, -EINVAL,
				 "pool %s: %" PRIu64 " bytes is no size for a pool of system RAM",
				 options->name, options->bytes);
	if (options->nid < -1)
		return hmem_fail(ctx, -EINVAL, "pool %s: there is no NUMA node %d", options->name,
				 options->nid);
	return 0;
}

static int do_pool_attach(struct hmem_ctx *ctx, const struct hmem_pool_options *options,
			  struct hmem_pool_result *result)
{
	struct hmem_kernel_attached attached;
	struct hmem_kernel_attach attach;
	struct hmem_pool_options checked;
	struct hmem_pool_result ours;
	int err;

	if (!ctx)
		return -EINVAL;
	if (!options)
		return hmem_fail(ctx, -EINVAL, "attaching a pool takes options, at least a source");
	err = hmem_sized_read(ctx, "struct hmem_pool_options", &checked, sizeof(checked),
			      OPTIONS_SIZE_V1, options);
	if (!err && result)
		err = hmem_sized_check(ctx, "struct hmem_pool_result", result, RESULT_SIZE_V1);
	if (!err)
		err = check_options(ctx, &checked);
	if (err)
		return err;

	attach = (struct hmem_kernel_attach){
		.format = checked.flags & HMEM_POOL_FORMAT,
		.check = checked.flags & HMEM_POOL_CHECK,
		.take_over = checked.flags & HMEM_POOL_TAKE_OVER,
		.bytes = checked.bytes,
		.nid = checked.nid,
		.name = checked.name ? checked.name : "",
		.source = checked.source ? checked.source : "",
	};
	read_host(ctx, attach.host);
	err = hmem_kernel_pool_attach(ctx, &attach, &attached);
	if (err || !result)
		return err;
	ours = (struct hmem_pool_result){
		.size = sizeof(ours),
		.flags = (attached.formatted ? HMEM_POOL_WAS_FORMATTED : 0) |
			 (attached.repaired ? HMEM_POOL_WAS_REPAIRED : 0),
		.persistent = attached.persistent,
		.bytes = attached.bytes,
		.regions = attached.regions,
	};
	hmem_sized_write(result, &ours, sizeof(ours));
	return 0;
}

int hmem_pool_attach(struct hmem_ctx *ctx, const struct hmem_pool_options *options,
		     struct hmem_pool_result *result)
{
	return UNCANCELLED(do_pool_attach(ctx, options, result));
}

static int check_name(struct hmem_ctx *ctx, const char *name)
{
	if (!name)
		return hmem_fail(ctx, -EINVAL, "which pool? the name is NULL");
	return hmem_name_check(ctx, "pool", name);
}

static int do_pool_detach(struct hmem_ctx *ctx, const char *name)
{
	int err;

	if (!ctx)
		return -EINVAL;
	err = check_name(ctx, name);
	return err ? err : hmem_kernel_pool_detach(ctx, name);
}

int hmem_pool_detach(struct hmem_ctx *ctx, const char *name)
{
	return UNCANCELLED(do_pool_detach(ctx, name));
}

static int do_pool_drain(struct hmem_ctx *ctx, const char *name, unsigned int flags,
			 struct hmem_pool_drained *drained, struct hmem_pool_held *held,
			 size_t *nr_held)
{
	struct hmem_pool_drained ours = { .size = 0 };
	size_t nr;
	int err;

	if (!ctx)
		return -EINVAL;
	if (!nr_held || (*nr_held && !held))
		return hmem_fail(ctx, -EINVAL, "draining a pool: no place for what is held of it");
	nr = *nr_held;
	*nr_held = 0;
	err = check_name(ctx, name);
	if (!err && flags & ~(HMEM_POOL_DRAIN_STATUS | HMEM_POOL_DRAIN_STOP))
		err = hmem_fail(ctx, -EINVAL, "draining pool %s: unknown flags %#x", name, flags);
	if (!err && drained)
		err = hmem_sized_check(ctx, "struct hmem_pool_drained", drained, DRAINED_SIZE_V1);
	if (err)
		return err;
	err = hmem_kernel_pool_drain(ctx, name, flags, &ours, held, &nr);
	*nr_held = nr;
	if (ours.size && drained)
		hmem_sized_write(drained, &ours, sizeof(ours));
	return err;
}

int hmem_pool_drain(struct hmem_ctx *ctx, const char *name, unsigned int flags,
		    struct hmem_pool_drained *drained)
{
	size_t none = 0;

	return UNCANCELLED(do_pool_drain(ctx, name, flags, drained, NULL, &none));
}

int hmem_pool_drain_held(struct hmem_ctx *ctx, const char *name, struct hmem_pool_drained *drained,
			 struct hmem_pool_held *held, size_t *nr_held)
{
	return UNCANCELLED(do_pool_drain(ctx, name, 0, drained, held, nr_held));
}

/* -ENOENT, without a last error, when there is no such pool. */
static int read_sysfs(struct hmem_ctx *ctx, const char *dir, const char *name,
		      struct hmem_pool_info *info)
{
	uint64_t regions, persistent;
	int err;

	*info = (struct hmem_pool_info){ .size = sizeof(*info) };
	snprintf(info->name, sizeof(info->name), "%s", name);
	err = hmem_sysfs_u64(dir, "size", 10, &info->bytes);
	if (!err)
		err = hmem_sysfs_u64(dir, "free", 10, &info->free_bytes);
	if (!err)
		err = hmem_sysfs_u64(dir, "regions", 10, &regions);
	if (!err)
		err = hmem_sysfs_u64(dir, "persistent", 10, &persistent);
	if (!err)
		err = hmem_sysfs_int(dir, "numa_node", &info->nid);
	if (!err)
		err = hmem_sysfs_text(dir, "provider", info->provider, sizeof(info->provider));
	if (!err)
		err = hmem_sysfs_text(dir, "source", info->source, sizeof(info->source));
	if (!err)
		err = hmem_sysfs_uuid(dir, "uuid", info->uuid);
	if (err)
		return hmem_sysfs_broken(ctx, dir, err);
	info->regions = (uint32_t)regions;
	info->persistent = persistent;
	return 0;
}

static int do_pool_get_info(struct hmem_ctx *ctx, const char *name, struct hmem_pool_info *info)
{
	struct hmem_pool_info ours;
	char dir[PATH_MAX];
	int err;

	if (!ctx)
		return -EINVAL;
	err = check_name(ctx, name);
	if (!err && !info)
		err = hmem_fail(ctx, -EINVAL, "no place for what pool %s is", name);
	if (!err)
		err = hmem_sized_check(ctx, "struct hmem_pool_info", info, INFO_SIZE_V1);
	if (!err)
		err = hmem_sysfs_path(ctx, dir, "/sys/class/hmem_pool/%s", name);
	if (err)
		return err;
	err = read_sysfs(ctx, dir, name, &ours);
	if (err == -ENOENT && !hmem_kernel_loaded(ctx))
		return hmem_kernel_not_loaded(ctx);
	if (err == -ENOENT)
		return hmem_fail(
			ctx, err,
			"there is no pool %s; `hmemctl list -P` shows those that are there", name);
	if (!err)
		hmem_sized_write(info, &ours, sizeof(ours));
	return err;
}

int hmem_pool_get_info(struct hmem_ctx *ctx, const char *name, struct hmem_pool_info *info)
{
	return UNCANCELLED(do_pool_get_info(ctx, name, info));
}

struct visit {
	struct hmem_ctx *ctx;
	int (*fn)(void *arg, const struct hmem_pool_info *info);
	void *arg;
};

static int visit_pool(void *arg, const char *dir, const char *name)
{
	struct visit *visit = arg;
	struct hmem_pool_info info;
	int err = read_sysfs(visit->ctx, dir, name, &info);

	/* Detached since the directory was read. */
	if (err == -ENOENT)
		return 0;
	return err ? err : visit->fn(visit->arg, &info);
}

static int do_pool_iterate(struct hmem_ctx *ctx,
			   int (*fn)(void *arg, const struct hmem_pool_info *info), void *arg)
{
	struct visit visit = { ctx, fn, arg };

	if (!ctx)
		return -EINVAL;
	if (!fn)
		return hmem_fail(ctx, -EINVAL, "nobody to tell about the pools");
	return hmem_sysfs_each(ctx, "/sys/class/hmem_pool", visit_pool, &visit);
}

int hmem_pool_iterate(struct hmem_ctx *ctx, int (*fn)(void *arg, const struct hmem_pool_info *info),
		      void *arg)
{
	return UNCANCELLED(do_pool_iterate(ctx, fn, arg));
}
