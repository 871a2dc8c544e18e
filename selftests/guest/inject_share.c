// SPDX-License-Identifier: GPL-2.0-only
/*
 * DRAM is not to be had: regions of one cgroup divide what they have by heat, though there is no
 * bound for all, and each has its own bound again some time after there was enough. What is divided
 * does not wait for who is busy, and counts him as hot as he is.
 *
 * hmem-test: topology=mixed kernels=lts,newest timeout=240
 */
#include "inject.h"
#include "near_sharers.h"

#define ALLOCATE	"__folio_alloc_noprof"
#define TICK		"hm_policy_tick"
#define DIVIDE		"hm_policy_divide"
#define HAVE		(EXTENTS / 2)

/* The first division is waited for; who looks after the next one cannot tell. */
static bool gives_up_half(void)
{
	time_t end = time(NULL) + PATIENCE;

	do {
		uint64_t share = near_stats(fds[1]).near_share;
		int divided = inject_look(DIVIDE);

		if (divided > 1)
			tap_diag("looked at after %d divisions", divided);
		if (divided > 1 || share < LENGTH)
			return divided > 1 || share >= HAVE / 2 * EXTENT;
		usleep(20000);
	} while (time(NULL) < end);
	show();
	return false;
}

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

static void near_max_of_all(const char *text)
{
	int fd = open("/sys/module/hmem/parameters/near_max", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		tap_bail("near_max: %s", strerror(errno));
	close(fd);
}

/* Whether DRAM is divided so often from now on. */
static bool is_divided(int times)
{
	time_t end = time(NULL) + INJECT_MOMENT_MS / 2000;
	int before = inject_look(DIVIDE);

	while (inject_look(DIVIDE) < before + times && time(NULL) < end)
		usleep(20000);
	return inject_look(DIVIDE) >= before + times;
}

/* The worker of one region is at a tick that takes as long as it likes. */
static void busy(void)
{
	near_max_of_all("8M");
	inject(DIVIDE " pass 1 0 hmem 0");
	inject(TICK " pass 1 1 hmem %d", INJECT_MOMENT_MS);
	inject_wait(TICK);
	TAP_OK(is_divided(2), "DRAM is divided while a region is busy");
	inject_go();
	inject_end(TICK);
	near_max_of_all("0");
}

/*
 * The same of the hot region, when nothing was divided since something is known of it. Of the other
 * one nothing ever is: what is measured while that worker is busy cannot be compared.
 */
static void busy_and_hot(void)
{
	char all[32];

	snprintf(all, sizeof(all), "%llu", (unsigned long long)LENGTH);
	for (int i = 0; i < REGIONS; i++)
		must(policy_mode_set(fds[i], HMEM_POLICY_OFF), "off");
	move_extents(fds[1], 0, EXTENTS, HMEM_HOME);
	must(knob_set(fds[1], "budget_ppm", 0), "budget_ppm");
	must(policy_mode_set(fds[0], HMEM_POLICY_AUTO), "auto");
	TAP_OK(is_known(0) && gets(0, EXTENTS), "all of the hot region is known, and near");
	inject(DIVIDE " pass 1 0 hmem 0");
	inject(TICK " pass 1 1 hmem %d", INJECT_MOMENT_MS);
	inject_wait(TICK);
	near_max_of_all(all);
	must(policy_mode_set(fds[1], HMEM_POLICY_AUTO), "auto");
	TAP_OK(is_divided(3), "DRAM is divided while it is busy");
	TAP_EQ(near_stats(fds[0]).near_share, LENGTH, "it is as hot then as it is");
	inject_go();
	inject_end(TICK);
	near_max_of_all("0");
}

int main(void)
{
	int control = must_begin_inject();
	pthread_t thread;

	must_make_sharers(control);
	/* Both have a half of what they may; one of them has no use for it. */
	for (int i = 0; i < REGIONS; i++)
		TAP_EQ(move_extents(fds[i], 0, HAVE, HMEM_NEAR), HAVE, "region %d has DRAM", i);
	must_read(&thread);
	must_tell_apart();
	inject(ALLOCATE " 0 1 0 hmem 0");
	inject(DIVIDE " pass 1 0 hmem 0");
	for (int i = 0; i < REGIONS; i++)
		must(policy_mode_set(fds[i], HMEM_POLICY_AUTO), "auto");
	TAP_OK(gives_up_half(), "the cold region is to give up half of what it has");
	TAP_OK(keeps_at_most(1, 1), "and then the rest");
	TAP_OK(near_stats(fds[0]).near_share >= (HAVE - 1) * EXTENT, "the hot one keeps it");
	TAP_OK(inject_end(ALLOCATE) > 0, "there was no more");
	TAP_OK(gets(0, EXTENTS), "when there is, the hot region gets it");
	TAP_OK(shares_are_bounds(), "and both have their own bounds again");
	busy();
	busy_and_hot();
	end_reading(thread);
	close_sharers();
	sweep(control);
	return tap_done();
}
