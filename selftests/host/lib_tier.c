// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tiering where there is no module: regions that have no near copies say so, whatever is
 * asked of them.
 */
#include <hmem/hmem.h>

#include "tap.h"

static struct hmem_ctx *ctx;

static void refused(struct hmem_region *region, int with, const char *kind)
{
	struct hmem_tier_moved moved = { .size = sizeof(moved), .next = 7 };
	struct hmem_tier_policy policy = { .size = sizeof(policy), .near_max = 7 };
	struct hmem_tier_knob knob = { .size = sizeof(knob), .value = 7 };
	struct hmem_tier_stats stats = { .size = sizeof(stats), .near = 7 };
	struct hmem_tier_histogram histogram = { .size = sizeof(histogram), .near = { 7 } };
	uint64_t value = 7;

	TAP_EQ(hmem_tier_migrate(region, 0, 0, HMEM_TIER_NEAR, &moved), with, "%s: migrate", kind);
	if (region)
		TAP_OK(strstr(hmem_last_error(ctx), "only regions of hmem.ko"),
		       "%s: and the last error says why", kind);
	TAP_EQ(hmem_tier_migrate_begin(region, 0, 0, HMEM_TIER_NEAR), with, "%s: begin", kind);
	TAP_EQ(hmem_tier_migrate_status(region, 0, &moved), with, "%s: status", kind);
	TAP_EQ(hmem_tier_keep(region, 0, 0, HMEM_TIER_NEAR, &value), with, "%s: keep", kind);
	TAP_EQ(hmem_tier_release(region, 0, 0), with, "%s: release", kind);
	TAP_EQ(hmem_tier_get(region, &policy), with, "%s: get", kind);
	TAP_EQ(hmem_tier_set(region, &policy, HMEM_TIER_SET_NEAR_MAX), with, "%s: set", kind);
	TAP_EQ(hmem_tier_get_knob(region, "split", &value), with, "%s: get_knob", kind);
	TAP_EQ(hmem_tier_set_knob(region, "split", 1), with, "%s: set_knob", kind);
	TAP_EQ(hmem_tier_knob_at(region, 0, &knob), with, "%s: knob_at", kind);
	TAP_EQ(hmem_tier_get_stats(region, &stats), with, "%s: get_stats", kind);
	TAP_EQ(hmem_tier_heat(region, 0, 0, 0, NULL, NULL, &histogram), with, "%s: heat", kind);
	TAP_OK(moved.next == 7 && policy.near_max == 7 && value == 7 && knob.value == 7 &&
	       stats.near == 7 && histogram.near[0] == 7, "%s: nothing was written", kind);
}

int main(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region *region;

	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	options.bytes = 1 << 20;
	if (hmem_region_create(ctx, "anon:", &options, &region))
		tap_bail("%s", hmem_last_error(ctx));
	refused(region, -EOPNOTSUPP, "anon");
	hmem_region_close(region);
	if (hmem_region_create(ctx, "file:tier", &options, &region))
		tap_bail("%s", hmem_last_error(ctx));
	refused(region, -EOPNOTSUPP, "file");
	hmem_region_close(region);
	hmem_region_destroy(ctx, "file:tier");
	refused(NULL, -EINVAL, "none");
	hmem_ctx_unref(ctx);
	return tap_done();
}
