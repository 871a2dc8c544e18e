// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hmem.ko's ioctls of tiering.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/hmem.h>

#include "ctx.h"
#include "kernel.h"
#include "kernel_refused.h"

/* The numbers of both headers are the same, so that they can be handed on. */
_Static_assert((int)HMEM_TIER_HOME == (int)HMEM_HOME && (int)HMEM_TIER_NEAR == (int)HMEM_NEAR &&
	       (int)HMEM_TIER_KEPT == (int)HMEM_MOVED_KEPT &&
	       (int)HMEM_TIER_AUTO == (int)HMEM_POLICY_AUTO &&
	       HMEM_TIER_RESULTS == HMEM_MOVED_RESULTS && HMEM_TIER_OCTAVES == HMEM_HEAT_BINS,
	       "hmem/tier.h and linux/hmem.h agree");
_Static_assert(sizeof(struct hmem_tier_cell) == sizeof(struct hmem_heat_cell) &&
	       offsetof(struct hmem_tier_cell, near) == offsetof(struct hmem_heat_cell, near),
	       "the module fills in the caller's cells");

/* What is tried, for messages. */
static void tell_move(char tried[192], const char *name, uint64_t offset, uint64_t bytes,
		      enum hmem_tier_place place)
{
	char length[40] = "all";

	if (bytes)
		snprintf(length, sizeof(length), "%llu bytes", (unsigned long long)bytes);
	snprintf(tried, 192, "move %s from offset %llu of region %s %s", length,
		 (unsigned long long)offset, name, place == HMEM_TIER_NEAR ? "near" : "home");
}

static void read_moved(const struct hmem_migrate *arg, uint64_t end, struct hmem_tier_moved *moved)
{
	moved->next = arg->next;
	moved->pinned = arg->pinned;
	memcpy(moved->pages, arg->pages, sizeof(moved->pages));
	moved->end = end;
}

int hmem_kernel_tier_migrate(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
			     uint64_t bytes, enum hmem_tier_place place,
			     struct hmem_tier_moved *moved)
{
	struct hmem_migrate arg = {
		.size = sizeof(arg),
		.offset = offset,
		.bytes = bytes,
		.place = place,
	};
	char tried[192];

	tell_move(tried, name, offset, bytes, place);
	if (ioctl(fd, HMEM_REGION_MIGRATE, &arg))
		return hmem_kernel_refused(ctx, HMEM_CMD_MIGRATE, tried, errno);
	read_moved(&arg, 0, moved);
	return 0;
}

int hmem_kernel_tier_migrate_begin(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
				   uint64_t bytes, enum hmem_tier_place place)
{
	struct hmem_migrate arg = {
		.size = sizeof(arg),
		.flags = HMEM_MIGRATE_ASYNC,
		.offset = offset,
		.bytes = bytes,
		.place = place,
	};
	char tried[192];

	tell_move(tried, name, offset, bytes, place);
	if (ioctl(fd, HMEM_REGION_MIGRATE, &arg))
		return hmem_kernel_refused(ctx, HMEM_CMD_MIGRATE, tried, errno);
	return 0;
}

int hmem_kernel_tier_migrate_status(struct hmem_ctx *ctx, int fd, const char *name, bool stop,
				    struct hmem_tier_moved *moved)
{
	struct hmem_migrate arg = {
		.size = sizeof(arg),
		.flags = stop ? HMEM_MIGRATE_STOP : HMEM_MIGRATE_STATUS,
	};
	char tried[192];

	snprintf(tried, sizeof(tried), "%s what moves of region %s", stop ? "stop" : "look up",
		 name);
	if (ioctl(fd, HMEM_REGION_MIGRATE, &arg))
		return hmem_kernel_refused(ctx, HMEM_CMD_MOVING, tried, errno);
	read_moved(&arg, arg.offset + arg.bytes, moved);
	return 0;
}

int hmem_kernel_tier_keep(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
			  uint64_t bytes, enum hmem_tier_place place, uint64_t *next)
{
	struct hmem_pin arg = {
		.size = sizeof(arg),
		.offset = offset,
		.bytes = bytes,
		.place = place,
		.next = offset,
	};
	char tried[192], length[40] = "all";
	int error;

	if (bytes)
		snprintf(length, sizeof(length), "%llu bytes", (unsigned long long)bytes);
	snprintf(tried, sizeof(tried), "keep %s from offset %llu of region %s %s", length,
		 (unsigned long long)offset, name, place == HMEM_TIER_NEAR ? "near" : "at home");
	error = ioctl(fd, HMEM_REGION_PIN, &arg) ? errno : 0;
	*next = arg.next;
	return error ? hmem_kernel_refused(ctx, HMEM_CMD_KEEP, tried, error) : 0;
}

int hmem_kernel_tier_release(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
			     uint64_t bytes)
{
	struct hmem_pin arg = {
		.size = sizeof(arg),
		.flags = HMEM_PIN_RELEASE,
		.offset = offset,
		.bytes = bytes,
	};
	char tried[128];

	snprintf(tried, sizeof(tried), "let go a range from offset %llu of region %s",
		 (unsigned long long)offset, name);
	if (ioctl(fd, HMEM_REGION_PIN, &arg))
		return hmem_kernel_refused(ctx, HMEM_CMD_KEEP, tried, errno);
	return 0;
}

int hmem_kernel_tier_get(struct hmem_ctx *ctx, int fd, const char *name,
			 struct hmem_tier_policy *policy)
{
	struct hmem_policy arg = { .size = sizeof(arg) };
	char tried[128];

	snprintf(tried, sizeof(tried), "ask for the policy of region %s", name);
	if (ioctl(fd, HMEM_REGION_POLICY, &arg))
		return hmem_kernel_refused(ctx, HMEM_CMD_POLICY, tried, errno);
	policy->near_max = arg.near_max;
	policy->mode = (enum hmem_tier_mode)arg.mode;
	return 0;
}

int hmem_kernel_tier_set(struct hmem_ctx *ctx, int fd, const char *name,
			 const struct hmem_tier_policy *policy, bool near_max, bool mode)
{
	struct hmem_policy arg = {
		.size = sizeof(arg),
		.flags = (near_max ? HMEM_POLICY_NEAR_MAX : 0) | (mode ? HMEM_POLICY_MODE : 0),
		.near_max = near_max ? policy->near_max : 0,
		.mode = mode ? policy->mode : 0,
	};
	char tried[192], what[80] = "mode";

	if (near_max)
		snprintf(what, sizeof(what), "near_max%s to %llu bytes", mode ? " and mode" : "",
			 (unsigned long long)policy->near_max);
	snprintf(tried, sizeof(tried), "set the policy of region %s: %s", name, what);
	if (ioctl(fd, HMEM_REGION_POLICY, &arg))
		return hmem_kernel_refused(ctx, HMEM_CMD_POLICY, tried, errno);
	return 0;
}

/* A name that does not fit is no knob's. */
static int knob_call(struct hmem_ctx *ctx, int fd, const char *tried, const char *knob,
		     struct hmem_policy *arg)
{
	if (strlen(knob) >= sizeof(arg->knob))
		return hmem_kernel_refused(ctx, HMEM_CMD_KNOB, tried, ENOENT);
	memcpy(arg->knob, knob, strlen(knob));
	if (ioctl(fd, HMEM_REGION_POLICY, arg))
		return hmem_kernel_refused(ctx, HMEM_CMD_KNOB, tried, errno);
	return 0;
}

int hmem_kernel_tier_get_knob(struct hmem_ctx *ctx, int fd, const char *name, const char *knob,
			      uint64_t *value)
{
	struct hmem_policy arg = { .size = sizeof(arg) };
	char tried[192];
	int err;

	snprintf(tried, sizeof(tried), "ask for knob %.64s of region %s", knob, name);
	err = knob_call(ctx, fd, tried, knob, &arg);
	if (!err)
		*value = arg.value;
	return err;
}

int hmem_kernel_tier_set_knob(struct hmem_ctx *ctx, int fd, const char *name, const char *knob,
			      uint64_t value)
{
	struct hmem_policy arg = { .size = sizeof(arg), .flags = HMEM_POLICY_KNOB, .value = value };
	struct hmem_policy range = { .size = sizeof(range) };
	char tried[192];
	int err;

	snprintf(tried, sizeof(tried), "set knob %.64s of region %s to %llu", knob, name,
		 (unsigned long long)value);
	err = knob_call(ctx, fd, tried, knob, &arg);
	if (err != -EINVAL || knob_call(ctx, fd, tried, knob, &range))
		return err;
	return hmem_fail(ctx, err, "cannot %s: it takes %llu to %llu", tried,
			 (unsigned long long)range.least, (unsigned long long)range.most);
}

int hmem_kernel_tier_knob_at(struct hmem_ctx *ctx, int fd, const char *name, unsigned int index,
			     struct hmem_tier_knob *knob)
{
	struct hmem_policy arg = {
		.size = sizeof(arg),
		.flags = HMEM_POLICY_KNOB_INDEX,
		.knob_index = index,
	};
	char tried[128];

	snprintf(tried, sizeof(tried), "ask for knob number %u of region %s", index, name);
	if (ioctl(fd, HMEM_REGION_POLICY, &arg))
		return hmem_kernel_refused(ctx, HMEM_CMD_KNOB, tried, errno);
	knob->value = arg.value;
	knob->least = arg.least;
	knob->most = arg.most;
	snprintf(knob->name, sizeof(knob->name), "%.*s", (int)sizeof(arg.knob) - 1, arg.knob);
	return 0;
}

int hmem_kernel_tier_stats(struct hmem_ctx *ctx, int fd, const char *name,
			   struct hmem_tier_stats *stats)
{
	struct hmem_stats arg = { .size = sizeof(arg) };
	char tried[128];

	snprintf(tried, sizeof(tried), "ask what was moved of region %s", name);
	if (ioctl(fd, HMEM_REGION_STATS, &arg))
		return hmem_kernel_refused(ctx, HMEM_CMD_ANY, tried, errno);
	*stats = (struct hmem_tier_stats){
		.size = stats->size,
		.near = arg.near,
		.near_max = arg.near_max,
		.dirty = arg.dirty,
		.promotions = arg.promotions,
		.demotions = arg.demotions,
		.aborted = arg.aborted,
		.copied = arg.copied,
		.copy_ns = arg.copy_ns,
		.probes = arg.probes,
		.touches = arg.touches,
		.pingpongs = arg.pingpongs,
		.track_ns = arg.track_ns,
		.window_ns = arg.window_ns,
		.scanned = arg.scanned,
		.seen = arg.seen,
		.splits = arg.splits,
		.collapses = arg.collapses,
		.near_share = arg.near_share,
		.touches_near = arg.touches_near,
		.seen_near = arg.seen_near,
		.look_ns = arg.look_ns,
	};
	return 0;
}

int hmem_kernel_tier_heat(struct hmem_ctx *ctx, int fd, const char *name, uint64_t offset,
			  uint64_t bytes, uint64_t cell, struct hmem_tier_cell *cells,
			  size_t *nr_cells, struct hmem_tier_histogram *histogram)
{
	struct hmem_heat arg = {
		.size = sizeof(arg),
		.offset = offset,
		.bytes = bytes,
		.cell = cell,
		.cells = (uintptr_t)cells,
		.nr_cells = cell ? *nr_cells : 0,
	};
	char tried[128];

	snprintf(tried, sizeof(tried), "ask for the heat of region %s", name);
	if (ioctl(fd, HMEM_REGION_HEAT, &arg))
		return hmem_kernel_refused(ctx, HMEM_CMD_HEAT, tried, errno);
	if (cell)
		*nr_cells = (size_t)arg.nr_cells;
	if (histogram) {
		memcpy(histogram->near, arg.near, sizeof(histogram->near));
		memcpy(histogram->home, arg.home, sizeof(histogram->home));
	}
	return 0;
}
