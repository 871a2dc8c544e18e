// SPDX-License-Identifier: GPL-2.0-only
/*
 * A page of a split extent is mapped alone also where userfaultfd follows the mapping, and the page
 * table that was made for it is taken away by madvise(MADV_DONTNEED) before the core uses it: with
 * all of its folio mapped, other pages would not be what is near.
 *
 * hmem-test: topology=smp4 kernels=newest
 */
#include "following.h"
#include "inject.h"
#include "splitting.h"

#define FINISH	"finish_fault"
#define EXTENTS	4U
#define LENGTH	(EXTENTS * EXTENT)

static volatile char *followed;
static volatile int go;

static void *reader(void *unused)
{
	while (!go)
		;
	(void)followed[4096];
	return unused;
}

int main(void)
{
	int control = must_begin_inject(), fd;
	pthread_t thread;
	char *p;

	must(pool_attach_ram(control, "pool", LENGTH + 2 * EXTENT), "attach");
	must(region_create(control, "r", "pool", LENGTH), "create");
	fd = must_open("r", O_RDWR);
	must(near_max_set(fd, EXTENT), "near_max");
	p = must_map(fd, LENGTH);
	memset(p, 1, LENGTH);
	split_all(fd, p, EXTENTS);
	p[hot(5)] = 77;
	TAP_OK(page_is_near(fd, hot(5)) && !page_is_near(fd, 4096), "some pages are near alone");

	followed = must_map(fd, LENGTH);
	must_follow(followed, LENGTH);
	if (pthread_create(&thread, NULL, reader, NULL))
		tap_bail("no thread");
	inject(FINISH " pass 1 1 self %d", INJECT_MOMENT_MS);
	go = 1;
	inject_wait(FINISH);
	TAP_EQ(madvise((char *)followed, EXTENT, MADV_DONTNEED), 0,
	       "the page table goes while a page is about to be mapped");
	inject_go();
	pthread_join(thread, NULL);
	TAP_EQ(inject_end(FINISH), 1, "which was kept waiting");
	TAP_EQ(followed[hot(5)], 77, "another page is what is near");
	followed[hot(6)] = 55;
	TAP_EQ(p[hot(6)], 55, "and stores go there");
	munmap((char *)followed, LENGTH);
	munmap(p, LENGTH);
	close(fd);
	TAP_EQ(region_destroy(control, "r"), 0, "the region can go");
	return tap_done();
}
