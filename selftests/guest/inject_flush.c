// SPDX-License-Identifier: GPL-2.0-only
/*
 * In which order a persistent home is written back: before a near copy of it is made, or of a page
 * of it, and when nobody has that mapped any more, so that nothing is stored to it afterwards; and
 * a new home, which a pool is drained to, before its tag says that the data is there. A guest loses
 * no lines with its power, so it is the calls that are looked at.
 *
 * hmem-test: topology=pmem2 kernels=newest long=lts timeout=180
 */
#include "inject.h"
#include "poison.h"
#include "splitting.h"

#define EXTENTS		4
#define LENGTH		(EXTENTS * EXTENT)
#define PAGES		(EXTENT / PAGE)
#define KERNEL_COPY	"copy_mc_to_kernel"
#define WRITE_BACK	"arch_wb_cache_pmem"
#define SET_TAG		"hm_store_set_tag"

static int control, fd;
static char names[2][HMEM_NAME_LEN], *p;

/* The first write-back takes until inject_go(); copies are counted. */
static void hold_write_back(void)
{
	inject(WRITE_BACK " pass 1 1 hmem %d", INJECT_MOMENT_MS);
	inject(KERNEL_COPY " pass 1 0 hmem 0");
}

/* Waits for it; false when there is none. */
static bool write_back_begins(void)
{
	time_t end = time(NULL) + patience(60);

	while (!inject_look(WRITE_BACK) && time(NULL) < end)
		usleep(1000);
	return inject_look(WRITE_BACK) > 0;
}

static void *moves(void *moved)
{
	*(uint64_t *)moved = move_extents(fd, 0, 1, HMEM_NEAR);
	return NULL;
}

/* A near copy of an extent. */
static void whole(void)
{
	uint64_t moved = 0;
	pthread_t mover;

	TAP_OK(!touch_read(p) && pfn_of(p), "an extent is mapped");
	hold_write_back();
	if (pthread_create(&mover, NULL, moves, &moved))
		tap_bail("no thread");
	TAP_OK(write_back_begins(), "before it comes near it is written back");
	TAP_OK(!pfn_of(p) && !pfn_of(p + EXTENT - PAGE), "when nobody has it mapped");
	TAP_EQ(inject_look(KERNEL_COPY), 0, "and nothing was copied");
	inject_go();
	pthread_join(mover, NULL);
	TAP_EQ(inject_look(KERNEL_COPY), PAGES, "then all of it is");
	inject("\n");
	TAP_OK(moved == 1 && pages_hold(p, EXTENT, 1), "and is what it was");
	move_extents(fd, 0, 1, HMEM_HOME);
}

/* One of a page: a store takes it home, and as it is hot it comes back. */
static void page(void)
{
	struct splitting s = { .fd = fd, .p = p, .extents = EXTENTS };
	const uint64_t at = hot(1);
	time_t end = time(NULL) + patience(60);
	uint64_t promoted;
	pthread_t reader;

	split_all(fd, p, EXTENTS);
	p[at] = 2;
	TAP_OK(!page_is_near(fd, at) && pfn_of(p + at), "a page of a split extent is mapped from home");
	promoted = near_stats(fd).promotions;
	hold_write_back();
	if (pthread_create(&reader, NULL, hot_reader, &s))
		tap_bail("no thread");
	must(policy_mode_set(fd, HMEM_POLICY_AUTO), "auto");
	TAP_OK(write_back_begins(), "before it comes near it is written back");
	TAP_OK(!pfn_of(p + at), "when nobody has it mapped");
	TAP_EQ(inject_look(KERNEL_COPY), 0, "and nothing was copied");
	TAP_EQ(near_stats(fd).promotions, promoted, "nor came anything near");
	inject_go();
	while (!page_is_near(fd, at) && time(NULL) < end)
		usleep(10000);
	TAP_OK(page_is_near(fd, at), "then it is");
	/* It was the one that was written back, as there was no other. */
	TAP_EQ(near_stats(fd).promotions, promoted + 1, "alone");
	TAP_EQ(inject_end(KERNEL_COPY), 1, "by one copy");
	s.stop = 1;
	pthread_join(reader, NULL);
	must(policy_mode_set(fd, HMEM_POLICY_OFF), "off");
	TAP_OK(p[at] == 2 && p[at + PAGE] == 1, "and is what it was");
	p[at] = 1;
	move_extents(fd, 0, EXTENTS, HMEM_HOME);
}

static void *drains(void *rc)
{
	*(int *)rc = pool_drain(control, names[0], 0, NULL);
	return NULL;
}

static void another_home(void)
{
	pthread_t drainer;
	int rc = 1;

	TAP_OK(!touch_read(p) && pfn_of(p), "an extent is mapped");
	hold_write_back();
	inject(SET_TAG " pass 1 0 hmem 0");
	if (pthread_create(&drainer, NULL, drains, &rc))
		tap_bail("no thread");
	TAP_OK(write_back_begins(), "its pool is drained, and another home written back");
	TAP_EQ(inject_look(SET_TAG), 0, "before a tag says that it is there");
	TAP_EQ(inject_look(KERNEL_COPY), PAGES, "when all was copied");
	TAP_OK(!pfn_of(p) && !pfn_of(p + EXTENT - PAGE), "and nobody has it mapped");
	inject_go();
	pthread_join(drainer, NULL);
	TAP_EQ(inject_look(SET_TAG), EXTENTS, "each of them has its tag then");
	inject("\n");
	TAP_OK(!rc && !strcmp(sysfs_text("hmem", "f", "pools"), names[1]), "all of them move");
	TAP_OK(pages_hold(p, LENGTH, 1), "and are what they were");
}

int main(void)
{
	control = must_begin_inject();
	must_cxl_on_each("pmem", names, 2);
	for (int i = 0; i < 2; i++)
		must(pool_attach_cxl(control, names[i], HMEM_ATTACH_FORMAT, NULL), "format");
	must(region_create(control, "f", names[0], LENGTH), "create");
	fd = must_open("f", O_RDWR);
	must(near_max_set(fd, EXTENT), "near_max");
	p = must_map(fd, LENGTH);
	memset(p, 1, LENGTH);
	whole();
	page();
	another_home();
	munmap(p, LENGTH);
	close(fd);
	sweep(control);
	cxl_end(names[0]);
	cxl_end(names[1]);
	return tap_done();
}
