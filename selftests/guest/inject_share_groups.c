// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two memory cgroups find no DRAM at the same time: in each the regions divide what they have by
 * heat, and none waits until the other cgroup has enough.
 *
 * hmem-test: topology=mixed kernels=lts,newest timeout=240
 */
#define REGIONS		4

#include "groups.h"
#include "inject.h"
#include "near_sharers.h"

#define ALLOCATE	"__folio_alloc_noprof"
/* What regions of the first cgroup have, and of the second. */
#define HAVE(i)		((i) < 2 ? EXTENTS / 2 : EXTENTS / 3)

/* What the hot region of the second cgroup may have while DRAM is divided. */
static uint64_t most_share;

/* The hot region of the second cgroup may have more than the cold one, which has given up all. */
static bool second_is_divided(void)
{
	uint64_t share = near_stats(fds[2]).near_share;

	/* Else it has its own bound. */
	if (share < LENGTH && share > most_share)
		most_share = share;
	return share < LENGTH && share > near_stats(fds[3]).near_share && near_extents(3) <= 1;
}

/*
 * Waits for the cold region of the second cgroup to have given up what it has, while the first one
 * stays short of DRAM: again and again one of its extents goes home and is asked for in vain,
 * before it is forgotten that there was none.
 */
static bool second_has_its_turn(void)
{
	for (int n = 0; n < EXTENTS; n++) {
		time_t end = time(NULL) + 8;

		if (move_extents(fds[0], n, 1, HMEM_HOME) != 1)
			continue;
		if (move_extents(fds[0], n, 1, HMEM_NEAR))
			tap_bail("there is DRAM for the first cgroup");
		do {
			if (second_is_divided())
				return true;
			usleep(20000);
		} while (time(NULL) < end);
	}
	show();
	return false;
}

int main(void)
{
	int control = must_begin_inject();
	pthread_t thread;

	must_begin_groups();
	must_make_pool(control);
	for (int i = 0; i < REGIONS; i++) {
		must_enter(i < 2 ? "first" : "second");
		must_make_sharer(control, i);
		TAP_EQ(move_extents(fds[i], 0, HAVE(i), HMEM_NEAR), HAVE(i), "region %d has DRAM",
		       i);
	}
	must_read(&thread);
	must_tell_apart();
	inject(ALLOCATE " 0 1 0 hmem 0");
	for (int i = 0; i < REGIONS; i++)
		must(policy_mode_set(fds[i], HMEM_POLICY_AUTO), "auto");
	TAP_OK(second_has_its_turn(), "a cgroup does not wait for another one that is short");
	TAP_OK(keeps_at_most(1, 1), "the cold region of that gives up what it has as well");
	TAP_OK(most_share && most_share <= (HAVE(2) + HAVE(3)) * EXTENT,
	       "the hot one may have no more than its own cgroup had");
	TAP_OK(inject_end(ALLOCATE) > 0, "there was no more");
	end_reading(thread);
	close_sharers();
	sweep(control);
	return tap_done();
}
