// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two memory cgroups find no DRAM at the same time: in each the regions divide what they have by
 * heat, and none waits until the other cgroup has enough.
 *
 * hmem-test: topology=mixed kernels=lts,newest timeout=240
 */
#define REGIONS		4

#include "inject.h"
#include "near_sharers.h"

#include <sys/mount.h>
#include <sys/stat.h>

#define ALLOCATE	"__folio_alloc_noprof"
#define CGROUPS		"/sys/fs/cgroup"
#define HAVE		(EXTENTS / 2)

static void must_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		tap_bail("%s: %s", path, strerror(errno));
	close(fd);
}

/* This process, and what it creates, belong to a cgroup of that name. */
static void must_enter(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUPS "/%s", name);
	if (mkdir(path, 0755) && errno != EEXIST)
		tap_bail("%s: %s", path, strerror(errno));
	snprintf(path, sizeof(path), CGROUPS "/%s/cgroup.procs", name);
	must_write(path, "0");
}

/*
 * Waits for the cold region of the second cgroup to have given up what it has, while the first one
 * stays short of DRAM: again and again one of its extents goes home and is asked for in vain.
 */
static bool second_has_its_turn(void)
{
	for (int n = 0; n < EXTENTS; n++) {
		time_t end = time(NULL) + 5;

		if (move_extents(fds[0], n, 1, HMEM_HOME) != 1)
			continue;
		if (move_extents(fds[0], n, 1, HMEM_NEAR))
			tap_bail("there is DRAM for the first cgroup");
		do {
			if (near_extents(3) <= 1)
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

	if (access(CGROUPS "/cgroup.procs", F_OK) && mount("none", CGROUPS, "cgroup2", 0, NULL))
		tap_bail("no cgroup v2: %s", strerror(errno));
	must_write(CGROUPS "/cgroup.subtree_control", "+memory");
	must_make_pool(control);
	for (int i = 0; i < REGIONS; i++) {
		must_enter(i < 2 ? "first" : "second");
		must_make_sharer(control, i);
		TAP_EQ(move_extents(fds[i], 0, HAVE, HMEM_NEAR), HAVE, "region %d has DRAM", i);
	}
	inject(ALLOCATE " 0 1 0 hmem 0");
	must_read(&thread);
	for (int i = 0; i < REGIONS; i++)
		must(policy_mode_set(fds[i], HMEM_POLICY_AUTO), "auto");
	TAP_OK(second_has_its_turn(), "a cgroup does not wait for another one that is short");
	TAP_OK(keeps_at_most(1, 1), "the cold region of that gives up what it has as well");
	TAP_OK(near_stats(fds[2]).near_share > near_stats(fds[3]).near_share &&
		       near_stats(fds[2]).near_share <= 2 * HAVE * EXTENT,
	       "the hot one may have no more than its own cgroup had");
	TAP_OK(inject_end(ALLOCATE) > 0, "there was no more");
	end_reading(thread);
	close_sharers();
	sweep(control);
	return tap_done();
}
