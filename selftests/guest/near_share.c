// SPDX-License-Identifier: GPL-2.0-only
/*
 * One bound for the near copies of all regions: DRAM follows the heat from one region to the
 * other, the sum is never above the bound, who asks for copies himself comes first, and a bound
 * that was never set changes nothing.
 *
 * hmem-test: topology=mixed kernels=lts,newest timeout=240
 */
#include "fixture.h"
#include "near_sharers.h"

#define BOUND		8
#define PARAMETER	"/sys/module/hmem/parameters/near_max"

/* 0 or a negative errno. */
static int bound_set(const char *text)
{
	int fd = open(PARAMETER, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static uint64_t bound_get(void)
{
	unsigned long long bytes = 0;
	FILE *f = fopen(PARAMETER, "re");

	if (!f || fscanf(f, "%llu", &bytes) != 1)
		tap_bail("no parameter near_max");
	fclose(f);
	return bytes;
}

static void values(void)
{
	TAP_EQ(bound_get(), 0, "there is no bound for all at first");
	TAP_EQ(near_stats(fds[0]).near_share, LENGTH, "a region's share is its own bound then");
	TAP_EQ(bound_set("12M"), 0, "a bound of 12M");
	TAP_EQ(bound_get(), 12 * MIB, "is one of as many bytes");
	TAP_EQ(bound_set("16383t"), 0, "another one");
	TAP_EQ(bound_get(), 16383ULL << 40, "is large");
	TAP_EQ(bound_set("6291457\n"), 0, "a number");
	TAP_EQ(bound_get(), 6 * MIB, "is taken in whole extents");
	TAP_EQ(bound_set("1M"), -EINVAL, "less than an extent is refused");
	TAP_EQ(bound_set("-1"), -EINVAL, "so is less than nothing");
	TAP_EQ(bound_set("4M or so"), -EINVAL, "and what is no number");
	TAP_EQ(bound_set("4294967296T"), -ERANGE, "and what does not fit into 64 bits");
	TAP_EQ(bound_set("18446744073713745920"), -ERANGE, "with a unit or without");
	TAP_EQ(bound_set("00000000000000000000000000000000012M"), -EINVAL, "or is too long");
	TAP_EQ(bound_set(""), 0, "and nothing is nothing");
	TAP_EQ(bound_get(), 6 * MIB, "it stays what it was");
}

/* Nobody's policy is auto. */
static void by_hand(void)
{
	struct hmem_migrate m;

	TAP_EQ(move_extents(fds[0], 0, 2, HMEM_NEAR), 2, "on request: there is room for two");
	TAP_EQ(move_extents(fds[1], 0, 2, HMEM_NEAR), 1, "then for one, in another region");
	TAP_OK(!migrate(fds[1], EXTENT, EXTENT, HMEM_NEAR, &m) &&
		       m.pages[HMEM_MOVED_OVER_BOUND] == 512,
	       "what there is no room for is over the bound");
	TAP_EQ(keep_extents(fds[1], 1, 1, HMEM_NEAR, NULL), -EDQUOT, "and is not kept");
	TAP_EQ(bound_set("2M"), 0, "the bound is lowered");
	TAP_EQ(near_extents(0) + near_extents(1), 3, "copies that were asked for stay");
	TAP_EQ(move_extents(fds[0], 0, 2, HMEM_HOME), 2, "until they are moved");
	TAP_EQ(move_extents(fds[0], 0, 1, HMEM_NEAR), 0, "and no new ones are made");
	TAP_EQ(bound_set("0"), 0, "without a bound");
	TAP_EQ(move_extents(fds[0], 0, EXTENTS, HMEM_NEAR), EXTENTS, "there is room for all");
	move_extents(fds[0], 0, EXTENTS, HMEM_HOME);
	move_extents(fds[1], 0, EXTENTS, HMEM_HOME);
}

static void by_heat(void)
{
	pthread_t thread;
	char bound[32];

	snprintf(bound, sizeof(bound), "%llu", (unsigned long long)(BOUND * EXTENT));
	must(bound_set(bound), "near_max of all");
	must_read(&thread);
	for (int i = 0; i < REGIONS; i++)
		must(policy_mode_set(fds[i], HMEM_POLICY_AUTO), "auto");
	TAP_OK(gets(0, BOUND - 1), "the hot region gets the DRAM");
	TAP_OK(near_stats(fds[0]).near_share >= (BOUND - 1) * EXTENT &&
		       near_stats(fds[1]).near_share <= EXTENT,
	       "it is its share");
	hot = 1;
	TAP_OK(gets(1, BOUND - 1), "when the other one is hot DRAM follows");
	TAP_OK(keeps_at_most(0, 1), "and the first has given it up");

	/* Somebody asks for copies by himself. */
	must(policy_mode_set(fds[0], HMEM_POLICY_MANUAL), "manual");
	TAP_EQ(near_stats(fds[0]).near_share, LENGTH, "who is not auto has no share");
	move_extents(fds[0], 0, EXTENTS, HMEM_HOME);
	for (int i = 0; i < PATIENCE * 10 && near_extents(0) < 4; i++) {
		move_extents(fds[0], 0, 4, HMEM_NEAR);
		watch();
		usleep(100000);
	}
	TAP_EQ(near_extents(0), 4, "what is asked for comes first");
	TAP_OK(keeps_at_most(1, BOUND - 4), "and the others keep what is left");
	must(policy_mode_set(fds[0], HMEM_POLICY_OFF), "off");
	usleep(1500000);
	watch();
	TAP_EQ(near_extents(0), 4, "also when the policy is off");
	TAP_EQ(most, BOUND * EXTENT, "never was more near than the bound, and all of it was");

	/* Without a bound each has its own again. */
	must(bound_set("0"), "no bound");
	TAP_OK(gets(1, EXTENTS), "without a bound the hot region gets all that it may have");
	must(bound_set(bound), "near_max of all");
	TAP_OK(keeps_at_most(1, BOUND - 4), "and loses it again with one");
	end_reading(thread);
	must(policy_mode_set(fds[0], HMEM_POLICY_AUTO), "auto");
}

/*
 * Who asks again and again for one extent more than there is room for gets that, and takes no more
 * from who shares.
 */
static void by_asking(void)
{
	uint64_t fewest = EXTENTS, asked = 0;
	time_t end = time(NULL) + 3;
	struct hmem_migrate m;
	pthread_t thread;

	must(policy_mode_set(fds[0], HMEM_POLICY_MANUAL), "manual");
	must(policy_mode_set(fds[1], HMEM_POLICY_MANUAL), "manual");
	move_extents(fds[0], 0, EXTENTS, HMEM_HOME);
	move_extents(fds[1], 0, EXTENTS, HMEM_HOME);
	hot = 1;
	must_read(&thread);
	must(policy_mode_set(fds[1], HMEM_POLICY_AUTO), "auto");
	TAP_OK(gets(1, BOUND), "one that shares alone has all after a while");
	do {
		must(migrate(fds[0], 0, 2 * EXTENT, HMEM_NEAR, &m), "migrate");
		asked += m.pages[HMEM_MOVED_OVER_BOUND] != 0;
		if (near_extents(1) < fewest)
			fewest = near_extents(1);
	} while (time(NULL) < end || near_extents(0) < 2);
	tap_diag("asked in vain %llu times", (unsigned long long)asked);
	TAP_OK(asked > 4, "two extents are asked for more often than there are extents");
	for (int i = 0; i < 40; i++, usleep(50000))
		if (near_extents(1) < fewest)
			fewest = near_extents(1);
	TAP_OK(fewest >= BOUND - 3, "who shares loses those: it had %llu at the least",
	       (unsigned long long)fewest);
	TAP_OK(gets(1, BOUND - 2), "and has the rest");
	end_reading(thread);
	must(policy_mode_set(fds[0], HMEM_POLICY_AUTO), "auto");
}

int main(void)
{
	int control = must_begin();

	must_make_sharers(control);
	values();
	by_hand();
	by_heat();
	by_asking();
	close_sharers();
	TAP_EQ(region_destroy(control, "r1"), 0, "a region that shares goes");
	close(control);
	TAP_EQ(module_unload(), 0, "the module goes while one shares");
	TAP_EQ(module_load(), 0, "and comes again");
	TAP_EQ(bound_get(), 0, "without a bound");
	return tap_done();
}
