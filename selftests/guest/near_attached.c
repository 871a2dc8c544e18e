// SPDX-License-Identifier: GPL-2.0-only
/*
 * Near copies of a region that was found on a persistent pool are charged to the memory cgroup of
 * who attached that pool, of one on several pools that of who attached the last of them; neither
 * to its creator's nor to that of who has them made.
 *
 * hmem-test: topology=pmem2 kernels=lts,newest
 */
#include "groups.h"
#include "near.h"
#include "pools.h"

#define EXTENTS		16
#define LENGTH		(EXTENTS * EXTENT)
/* What a cgroup may be charged besides. */
#define LITTLE		(8 * MIB)

/* Who creates; who attaches the one pool and the other; and who uses and moves. */
static const char *const groups[] = { "creates", "attaches", "completes", "uses" };
enum { CREATES, ATTACHES, COMPLETES, USES, GROUPS };

static char names[2][HMEM_NAME_LEN];
static int control;

/* Each of the groups is charged so many bytes for near copies, besides a little. */
static bool charged_are(uint64_t creates, uint64_t attaches, uint64_t completes)
{
	const uint64_t bytes[GROUPS] = { creates, attaches, completes, 0 };
	bool good = true;

	for (int i = 0; i < GROUPS; i++) {
		uint64_t now = charged(groups[i]);

		if (now >= bytes[i] && now <= bytes[i] + LITTLE)
			continue;
		tap_diag("cgroup %s is charged %llu KiB", groups[i], (unsigned long long)now / 1024);
		good = false;
	}
	return good;
}

/* Opens a region and touches all of it, as one that nobody is charged for; its data is there. */
static int use(const char *name)
{
	int fd;

	must_enter(groups[USES]);
	fd = must_open(name, O_RDWR);
	for (unsigned int i = 0; i < EXTENTS; i++) {
		unsigned int word = 0;

		if (pread(fd, &word, sizeof(word), i * EXTENT) != sizeof(word) || word != 100 + i)
			tap_bail("extent %u of %s holds %u", i, name, word);
	}
	must(near_max_set(fd, LENGTH), "near_max");
	return fd;
}

static void create(const char *name, unsigned int nr_pools)
{
	const char *const pools[] = { names[0], names[1] };
	int fd;

	must_enter(groups[CREATES]);
	must(region_create_over(control, name, HMEM_CREATE_SPREAD, pools, nr_pools, LENGTH),
	     "create");
	fd = must_open(name, O_RDWR);
	for (unsigned int i = 0; i < EXTENTS; i++) {
		unsigned int word = 100 + i;

		if (pwrite(fd, &word, sizeof(word), i * EXTENT) != sizeof(word))
			tap_bail("write: %s", strerror(errno));
	}
	close(fd);
}

static void attach(int pool, int group, unsigned int flags)
{
	must_enter(groups[group]);
	must(pool_attach_cxl(control, names[pool], flags, NULL), "attach");
}

static void created(void)
{
	int fd;

	attach(0, ATTACHES, HMEM_ATTACH_FORMAT);
	attach(1, COMPLETES, HMEM_ATTACH_FORMAT);
	create("one", 1);
	create("two", 2);
	fd = use("one");
	TAP_EQ(move_extents(fd, 0, EXTENTS, HMEM_NEAR), EXTENTS, "created: it is moved near");
	TAP_OK(charged_are(LENGTH, 0, 0), "created: its creator is charged");
	close(fd);
	must(pool_detach(control, names[0]), "detach");
	must(pool_detach(control, names[1]), "detach");
	TAP_OK(charged_are(0, 0, 0), "detached: nobody is");
}

static void found(void)
{
	uint64_t moved;
	int one, two;

	attach(0, ATTACHES, 0);
	one = use("one");
	TAP_EQ(move_extents(one, 0, EXTENTS, HMEM_NEAR), EXTENTS, "found: it is moved near");
	TAP_OK(charged_are(0, LENGTH, 0), "found: who attached its pool is charged");
	TAP_EQ(region_open("two", O_RDWR), -ENOENT, "found: of the other region a pool is not there");
	attach(1, COMPLETES, 0);
	two = use("two");
	TAP_EQ(move_extents(two, 0, EXTENTS, HMEM_NEAR), EXTENTS, "completed: that is moved near");
	TAP_OK(charged_are(0, LENGTH, LENGTH), "completed: who attached its last pool is charged");
	TAP_EQ(move_extents(one, 0, EXTENTS, HMEM_HOME), EXTENTS, "the first goes home");
	TAP_OK(charged_are(0, 0, LENGTH), "and the other's are charged still");
	TAP_EQ(move_extents(two, 0, EXTENTS, HMEM_HOME), EXTENTS, "so does the other");
	must_write(CGROUPS "/completes/memory.max", "16M");
	moved = move_extents(two, 0, EXTENTS, HMEM_NEAR);
	TAP_OK(moved > 0 && moved <= EXTENTS / 2,
	       "no more comes near than that cgroup may have");
	TAP_EQ(move_extents(one, 0, EXTENTS, HMEM_NEAR), EXTENTS, "the other one has all");
	close(one);
	close(two);
}

int main(void)
{
	control = must_begin_cxl();
	must_begin_groups();
	must_cxl_on_each("pmem", names, 2);
	for (int i = 0; i < GROUPS; i++)
		must_enter(groups[i]);
	created();
	found();
	must(region_destroy(control, "one"), "destroy");
	must(region_destroy(control, "two"), "destroy");
	TAP_OK(charged_are(0, 0, 0), "destroyed: nothing stays");
	sweep(control);
	leave_groups(groups, GROUPS);
	cxl_end(names[1]);
	cxl_end(names[0]);
	return tap_done();
}
