// SPDX-License-Identifier: GPL-2.0-only
/*
 * DRAM is not to be had: regions of one cgroup divide what they have by heat, though there is no
 * bound for all, and each has its own bound again some time after there was enough.
 *
 * hmem-test: topology=mixed kernels=lts,newest timeout=240
 */
#include "inject.h"
#include "near_sharers.h"

#define ALLOCATE	"__folio_alloc_noprof"
#define HAVE		(EXTENTS / 2)

static bool shares_are_bounds(void)
{
	time_t end = time(NULL) + PATIENCE;

	do {
		if (near_stats(fds[0]).near_share == LENGTH &&
		    near_stats(fds[1]).near_share == LENGTH)
			return true;
		usleep(100000);
	} while (time(NULL) < end);
	show();
	return false;
}

int main(void)
{
	int control = must_begin_inject();
	pthread_t thread;

	must_make_sharers(control);
	/* Both have a half of what they may; one of them has no use for it. */
	for (int i = 0; i < REGIONS; i++)
		TAP_EQ(move_extents(fds[i], 0, HAVE, HMEM_NEAR), HAVE, "region %d has DRAM", i);
	inject(ALLOCATE " 0 1 0 hmem 0");
	must_read(&thread);
	for (int i = 0; i < REGIONS; i++)
		must(policy_mode_set(fds[i], HMEM_POLICY_AUTO), "auto");
	TAP_OK(keeps_at_most(1, 1), "the cold region gives up what it has");
	TAP_OK(near_stats(fds[0]).near_share >= (HAVE - 1) * EXTENT, "the hot one keeps it");
	TAP_OK(inject_end(ALLOCATE) > 0, "there was no more");
	TAP_OK(gets(0, EXTENTS), "when there is, the hot region gets it");
	TAP_OK(shares_are_bounds(), "and both have their own bounds again");
	end_reading(thread);
	close_sharers();
	sweep(control);
	return tap_done();
}
