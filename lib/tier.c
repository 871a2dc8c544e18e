// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Tiering of the regions of hmem.ko: checks what the caller gave, and asks the module.
 */
#include <errno.h>
#include <stddef.h>

#include "ctx.h"
#include "kernel.h"
#include "region.h"
#include "sized.h"
#include "uncancelled.h"

#include <hmem/tier.h>

/* Every member up to the last: the first published versions. */
#define MOVED_SIZE_V1	  offsetof(struct hmem_tier_moved, end)
#define POLICY_SIZE_V1	  sizeof(struct hmem_tier_policy)
#define KNOB_SIZE_V1	  sizeof(struct hmem_tier_knob)
#define STATS_SIZE_V1	  offsetof(struct hmem_tier_stats, scanned)
#define HISTOGRAM_SIZE_V1 sizeof(struct hmem_tier_histogram)

#define SET_FLAGS (HMEM_TIER_SET_NEAR_MAX | HMEM_TIER_SET_MODE)

/* A region whose module can be asked. */
struct target {
	struct hmem_ctx *ctx;
	int fd;
	const char *name;
};

static int find(struct hmem_region *region, struct target *t)
{
	if (!region)
		return -EINVAL;
	t->ctx = hmem_region_ctx(region);
	return hmem_region_device(region, &t->fd, &t->name);
}

/* @to: where the caller wants the answer, a @what */
static int check_answer(const struct target *t, const char *what, const void *to, size_t first_size)
{
	if (!to)
		return hmem_fail(t->ctx, -EINVAL, "region %s: no place for a %s", t->name, what);
	return hmem_sized_check(t->ctx, what, to, first_size);
}

static int check_place(const struct target *t, enum hmem_tier_place place)
{
	if (place == HMEM_TIER_HOME || place == HMEM_TIER_NEAR)
		return 0;
	return hmem_fail(t->ctx, -EINVAL, "region %s: there is no place %d to move to", t->name,
			 (int)place);
}

static int do_migrate(struct hmem_region *region, uint64_t offset, uint64_t bytes,
		      enum hmem_tier_place place, struct hmem_tier_moved *moved)
{
	struct hmem_tier_moved ours = { .size = sizeof(ours) };
	struct target t;
	int err = find(region, &t);

	if (!err)
		err = check_answer(&t, "struct hmem_tier_moved", moved, MOVED_SIZE_V1);
	if (!err)
		err = check_place(&t, place);
	if (!err)
		err = hmem_kernel_tier_migrate(t.ctx, t.fd, t.name, offset, bytes, place, &ours);
	if (!err)
		hmem_sized_write(moved, &ours, sizeof(ours));
	return err;
}

int hmem_tier_migrate(struct hmem_region *region, uint64_t offset, uint64_t bytes,
		      enum hmem_tier_place place, struct hmem_tier_moved *moved)
{
	return UNCANCELLED(do_migrate(region, offset, bytes, place, moved));
}

static int do_migrate_begin(struct hmem_region *region, uint64_t offset, uint64_t bytes,
			    enum hmem_tier_place place)
{
	struct target t;
	int err = find(region, &t);

	if (!err)
		err = check_place(&t, place);
	if (!err)
		err = hmem_kernel_tier_migrate_begin(t.ctx, t.fd, t.name, offset, bytes, place);
	return err;
}

int hmem_tier_migrate_begin(struct hmem_region *region, uint64_t offset, uint64_t bytes,
			    enum hmem_tier_place place)
{
	return UNCANCELLED(do_migrate_begin(region, offset, bytes, place));
}

static int do_migrate_status(struct hmem_region *region, unsigned int flags,
			     struct hmem_tier_moved *moved)
{
	struct hmem_tier_moved ours = { .size = sizeof(ours) };
	struct target t;
	int err = find(region, &t);

	if (!err)
		err = check_answer(&t, "struct hmem_tier_moved", moved, MOVED_SIZE_V1);
	if (!err && flags & ~HMEM_TIER_STOP)
		err = hmem_fail(t.ctx, -EINVAL, "region %s: unknown flags %#x", t.name,
				flags & ~HMEM_TIER_STOP);
	if (!err)
		err = hmem_kernel_tier_migrate_status(t.ctx, t.fd, t.name, flags & HMEM_TIER_STOP,
						      &ours);
	if (!err)
		hmem_sized_write(moved, &ours, sizeof(ours));
	return err;
}

int hmem_tier_migrate_status(struct hmem_region *region, unsigned int flags,
			     struct hmem_tier_moved *moved)
{
	return UNCANCELLED(do_migrate_status(region, flags, moved));
}

static int do_keep(struct hmem_region *region, uint64_t offset, uint64_t bytes,
		   enum hmem_tier_place place, uint64_t *next)
{
	struct target t;
	uint64_t ours;
	int err = find(region, &t);

	if (!err && place != HMEM_TIER_HOME && place != HMEM_TIER_NEAR)
		err = hmem_fail(t.ctx, -EINVAL, "region %s: there is no place %d to keep it at",
				t.name, (int)place);
	if (err)
		return err;
	ours = offset;
	err = hmem_kernel_tier_keep(t.ctx, t.fd, t.name, offset, bytes, place, &ours);
	if (next && (!err || ours != offset))
		*next = ours;
	return err;
}

int hmem_tier_keep(struct hmem_region *region, uint64_t offset, uint64_t bytes,
		   enum hmem_tier_place place, uint64_t *next)
{
	return UNCANCELLED(do_keep(region, offset, bytes, place, next));
}

static int do_release(struct hmem_region *region, uint64_t offset, uint64_t bytes)
{
	struct target t;
	int err = find(region, &t);

	return err ? err : hmem_kernel_tier_release(t.ctx, t.fd, t.name, offset, bytes);
}

int hmem_tier_release(struct hmem_region *region, uint64_t offset, uint64_t bytes)
{
	return UNCANCELLED(do_release(region, offset, bytes));
}

static int do_get(struct hmem_region *region, struct hmem_tier_policy *policy)
{
	struct hmem_tier_policy ours = { .size = sizeof(ours) };
	struct target t;
	int err = find(region, &t);

	if (!err)
		err = check_answer(&t, "struct hmem_tier_policy", policy, POLICY_SIZE_V1);
	if (!err)
		err = hmem_kernel_tier_get(t.ctx, t.fd, t.name, &ours);
	if (!err)
		hmem_sized_write(policy, &ours, sizeof(ours));
	return err;
}

int hmem_tier_get(struct hmem_region *region, struct hmem_tier_policy *policy)
{
	return UNCANCELLED(do_get(region, policy));
}

static int do_set(struct hmem_region *region, const struct hmem_tier_policy *policy,
		  unsigned int flags)
{
	struct hmem_tier_policy checked;
	struct target t;
	int err = find(region, &t);

	if (err)
		return err;
	if (!policy)
		return hmem_fail(t.ctx, -EINVAL, "setting the policy of region %s: to what?",
				 t.name);
	if (flags & ~SET_FLAGS)
		return hmem_fail(t.ctx, -EINVAL,
				 "setting the policy of region %s: unknown flags %#x", t.name,
				 flags & ~SET_FLAGS);
	if (!flags)
		return hmem_fail(t.ctx, -EINVAL,
				 "setting the policy of region %s: no flag says what to set",
				 t.name);
	err = hmem_sized_read(t.ctx, "struct hmem_tier_policy", &checked, sizeof(checked),
			      POLICY_SIZE_V1, policy);
	if (err)
		return err;
	return hmem_kernel_tier_set(t.ctx, t.fd, t.name, &checked, flags & HMEM_TIER_SET_NEAR_MAX,
				    flags & HMEM_TIER_SET_MODE);
}

int hmem_tier_set(struct hmem_region *region, const struct hmem_tier_policy *policy,
		  unsigned int flags)
{
	return UNCANCELLED(do_set(region, policy, flags));
}

static int find_knob(struct hmem_region *region, const char *name, struct target *t)
{
	int err = find(region, t);

	if (!err && (!name || !*name))
		err = hmem_fail(t->ctx, -EINVAL, "region %s: which knob? it has no name", t->name);
	return err;
}

static int do_get_knob(struct hmem_region *region, const char *name, uint64_t *value)
{
	struct target t;
	int err = find_knob(region, name, &t);

	if (!err && !value)
		err = hmem_fail(t.ctx, -EINVAL, "region %s: no place for the value of knob %.64s",
				t.name, name);
	return err ? err : hmem_kernel_tier_get_knob(t.ctx, t.fd, t.name, name, value);
}

int hmem_tier_get_knob(struct hmem_region *region, const char *name, uint64_t *value)
{
	return UNCANCELLED(do_get_knob(region, name, value));
}

static int do_set_knob(struct hmem_region *region, const char *name, uint64_t value)
{
	struct target t;
	int err = find_knob(region, name, &t);

	return err ? err : hmem_kernel_tier_set_knob(t.ctx, t.fd, t.name, name, value);
}

int hmem_tier_set_knob(struct hmem_region *region, const char *name, uint64_t value)
{
	return UNCANCELLED(do_set_knob(region, name, value));
}

static int do_knob_at(struct hmem_region *region, unsigned int index, struct hmem_tier_knob *knob)
{
	struct hmem_tier_knob ours = { .size = sizeof(ours) };
	struct target t;
	int err = find(region, &t);

	if (!err)
		err = check_answer(&t, "struct hmem_tier_knob", knob, KNOB_SIZE_V1);
	if (!err)
		err = hmem_kernel_tier_knob_at(t.ctx, t.fd, t.name, index, &ours);
	if (!err)
		hmem_sized_write(knob, &ours, sizeof(ours));
	return err;
}

int hmem_tier_knob_at(struct hmem_region *region, unsigned int index, struct hmem_tier_knob *knob)
{
	return UNCANCELLED(do_knob_at(region, index, knob));
}

static int do_get_stats(struct hmem_region *region, struct hmem_tier_stats *stats)
{
	struct hmem_tier_stats ours = { .size = sizeof(ours) };
	struct target t;
	int err = find(region, &t);

	if (!err)
		err = check_answer(&t, "struct hmem_tier_stats", stats, STATS_SIZE_V1);
	if (!err)
		err = hmem_kernel_tier_stats(t.ctx, t.fd, t.name, &ours);
	if (!err)
		hmem_sized_write(stats, &ours, sizeof(ours));
	return err;
}

int hmem_tier_get_stats(struct hmem_region *region, struct hmem_tier_stats *stats)
{
	return UNCANCELLED(do_get_stats(region, stats));
}

static int do_heat(struct hmem_region *region, uint64_t offset, uint64_t bytes, uint64_t cell,
		   struct hmem_tier_cell *cells, size_t *nr_cells,
		   struct hmem_tier_histogram *histogram)
{
	struct hmem_tier_histogram ours = { .size = sizeof(ours) };
	struct target t;
	int err = find(region, &t);

	if (!err && cell && (!cells || !nr_cells))
		err = hmem_fail(t.ctx, -EINVAL, "region %s: no place for the map of its heat",
				t.name);
	if (!err && histogram)
		err = check_answer(&t, "struct hmem_tier_histogram", histogram, HISTOGRAM_SIZE_V1);
	if (!err)
		err = hmem_kernel_tier_heat(t.ctx, t.fd, t.name, offset, bytes, cell, cells,
					    nr_cells, histogram ? &ours : NULL);
	if (!err && histogram)
		hmem_sized_write(histogram, &ours, sizeof(ours));
	return err;
}

int hmem_tier_heat(struct hmem_region *region, uint64_t offset, uint64_t bytes, uint64_t cell,
		   struct hmem_tier_cell *cells, size_t *nr_cells,
		   struct hmem_tier_histogram *histogram)
{
	return UNCANCELLED(do_heat(region, offset, bytes, cell, cells, nr_cells, histogram));
}
