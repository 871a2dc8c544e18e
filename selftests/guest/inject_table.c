// SPDX-License-Identifier: GPL-2.0-only
/*
 * A page of a split extent is mapped alone also where userfaultfd follows the mapping, and the page
 * table that was made for it is taken away by madvise(MADV_DONTNEED) before the core uses it: with
 * all of its folio mapped, other pages would not be what is near.
 *
 * hmem-test: topology=smp4 kernels=newest
 */
#include "inject.h"
#include "splitting.h"

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

/* Debian 12's headers are older than them. */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC		(1 << 15)
#endif

#define FINISH	"finish_fault"
#define EXTENTS	4U
#define LENGTH	(EXTENTS * EXTENT)

static volatile char *followed;
static volatile int go;

/* Pages that are not populated are followed as well. */
static void must_follow(char *p)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_WP_ASYNC |
							       UFFD_FEATURE_WP_UNPOPULATED };
	struct uffdio_register r = { .range = { (uintptr_t)p, LENGTH },
				     .mode = UFFDIO_REGISTER_MODE_WP };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &r))
		tap_bail("userfaultfd: %s", strerror(errno));
}

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
	must_follow((char *)followed);
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
