// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Bad memory of the regions of hmem.ko, and events: checks what the caller gave, and asks the
 * module.
 */
#include <errno.h>

#include "ctx.h"
#include "kernel.h"
#include "name.h"
#include "region.h"
#include "uncancelled.h"

#include <hmem/poison.h>

static int do_list(struct hmem_region *region, uint64_t offset, struct hmem_bad *bad,
		   size_t *nr_bad)
{
	const char *name;
	int fd, err;

	if (!region)
		return -EINVAL;
	err = hmem_region_device(region, &fd, &name);
	if (err)
		return err;
	if (!nr_bad || (*nr_bad && !bad))
		return hmem_fail(hmem_region_ctx(region), -EINVAL,
				 "region %s: no place for a list of its bad memory", name);
	return hmem_kernel_poison_list(hmem_region_ctx(region), fd, name, offset, bad, nr_bad);
}

int hmem_poison_list(struct hmem_region *region, uint64_t offset, struct hmem_bad *bad,
		     size_t *nr_bad)
{
	return UNCANCELLED(do_list(region, offset, bad, nr_bad));
}

static int do_report(struct hmem_ctx *ctx, const char *pool, uint64_t offset, uint64_t bytes,
		     uint64_t *pages)
{
	uint64_t found;
	int err;

	if (!ctx)
		return -EINVAL;
	err = hmem_name_check(ctx, "pool", pool);
	if (!err && !bytes)
		err = hmem_fail(ctx, -EINVAL, "pool %s: how much of its memory is bad?", pool);
	if (!err)
		err = hmem_kernel_poison_report(ctx, pool, offset, bytes, &found);
	if (!err && pages)
		*pages = found;
	return err;
}

int hmem_poison_report(struct hmem_ctx *ctx, const char *pool, uint64_t offset, uint64_t bytes,
		       uint64_t *pages)
{
	return UNCANCELLED(do_report(ctx, pool, offset, bytes, pages));
}

static int do_clear(struct hmem_region *region, uint64_t offset, uint64_t bytes, uint64_t *pages)
{
	const char *name;
	uint64_t cleared;
	int fd, err;

	if (!region)
		return -EINVAL;
	err = hmem_region_device(region, &fd, &name);
	if (!err)
		err = hmem_kernel_poison_clear(hmem_region_ctx(region), fd, name, offset, bytes,
					       &cleared);
	if (!err && pages)
		*pages = cleared;
	return err;
}

int hmem_poison_clear(struct hmem_region *region, uint64_t offset, uint64_t bytes,
		      uint64_t *pages)
{
	return UNCANCELLED(do_clear(region, offset, bytes, pages));
}

static int do_wait(struct hmem_region *region, uint64_t *number, uint64_t timeout_ns,
		   struct hmem_happened *happened, size_t *nr_happened, uint64_t *lost)
{
	const char *name;
	uint64_t missed;
	int fd, err;

	if (!region)
		return -EINVAL;
	err = hmem_region_device(region, &fd, &name);
	if (err)
		return err;
	if (!number || !nr_happened || (*nr_happened && !happened))
		return hmem_fail(hmem_region_ctx(region), -EINVAL,
				 "region %s: no place for what happens to it", name);
	err = hmem_kernel_wait(hmem_region_ctx(region), fd, name, number, timeout_ns, happened,
			       nr_happened, &missed);
	if (!err && lost)
		*lost = missed;
	return err;
}

int hmem_region_wait(struct hmem_region *region, uint64_t *number, uint64_t timeout_ns,
		     struct hmem_happened *happened, size_t *nr_happened, uint64_t *lost)
{
	return UNCANCELLED(do_wait(region, number, timeout_ns, happened, nr_happened, lost));
}
