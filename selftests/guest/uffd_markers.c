// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings that userfaultfd follows (asynchronous write protection, as CRIU and checkpointers
 * use it): markers lie in the page table where nothing is mapped. An extent that is mapped page
 * by page is read and stored to through them, and who was stored to is told.
 *
 * hmem-test: topology=none kernels=lts,newest
 */
#include "following.h"
#include "near.h"
#include "poison.h"

#define EXTENTS	2
#define LENGTH	(EXTENTS * EXTENT)
#define BAD	9ULL			/* page of extent 1, which is mapped page by page for it */

static int control;

/* Bit 57 of /proc/self/pagemap: it is write-protected, nobody has stored since. */
static bool is_protected(volatile char *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)p / PAGE * 8) != 8)
		tap_bail("/proc/self/pagemap: %s", strerror(errno));
	close(fd);
	return entry >> 57 & 1;
}

static void protect(int uffd, char *p)
{
	struct uffdio_writeprotect w = { .range = { (uintptr_t)p, LENGTH },
					 .mode = UFFDIO_WRITEPROTECT_MODE_WP };

	if (ioctl(uffd, UFFDIO_WRITEPROTECT, &w))
		tap_bail("the mapping cannot be protected: %s", strerror(errno));
}

/* What a fault that never ends would do. */
static void too_long(int signal)
{
	static const char text[] = "not ok - an access does not end\n";

	(void)signal;
	if (write(1, text, sizeof(text) - 1) > 0)
		_exit(1);
	_exit(2);
}

static void checks(uint64_t near_max, const char *what)
{
	char *p, *q;
	int fd, uffd;

	must(region_create(control, "r", "a", LENGTH), "create");
	fd = must_open("r", O_RDWR);
	must(near_max_set(fd, near_max), "near_max");
	p = must_map(fd, LENGTH);
	q = p + EXTENT;
	memset(p, 1, LENGTH);
	must(poison(fd, HMEM_POISON_REPORT, EXTENT + BAD * PAGE, PAGE, NULL), "report");
	madvise(p, LENGTH, MADV_DONTNEED);
	uffd = must_follow(p, LENGTH);
	protect(uffd, p);

	alarm(120);
	TAP_EQ(touch_read(q + 3 * PAGE) ? -1 : q[3 * PAGE], 1, "%s: a page is read", what);
	TAP_OK(is_protected(q + 3 * PAGE), "%s: and still followed", what);
	TAP_EQ(touch_write(q + 3 * PAGE, 2), 0, "%s: it is stored to", what);
	TAP_OK(!is_protected(q + 3 * PAGE) && q[3 * PAGE] == 2, "%s: and that is told", what);
	TAP_EQ(touch_write(q + 5 * PAGE, 3), 0, "%s: one that nobody has read is stored to", what);
	TAP_OK(!is_protected(q + 5 * PAGE) && q[5 * PAGE] == 3, "%s: and that is told", what);
	TAP_OK(is_protected(q + 4 * PAGE) && is_protected(q + 6 * PAGE), "%s: no others are", what);
	TAP_OK(page_fails(q + BAD * PAGE, false), "%s: the bad page fails", what);
	TAP_OK(q[0] == 1 && q[EXTENT - 1] == 1, "%s: the rest is there", what);
	TAP_EQ(touch_write(p, 4), 0, "%s: so is what is mapped by 2 MiB", what);
	TAP_OK(!is_protected(p) && p[0] == 4 && p[EXTENT - 1] == 1, "%s: and told", what);
	protect(uffd, p);
	TAP_OK(is_protected(q + 3 * PAGE), "%s: followed again", what);
	TAP_EQ(touch_write(q + 3 * PAGE, 5), 0, "%s: it is stored to again", what);
	TAP_OK(!is_protected(q + 3 * PAGE) && q[3 * PAGE] == 5, "%s: and told", what);
	alarm(0);
	close(uffd);
	munmap(p, LENGTH);
	close(fd);
	must(region_destroy(control, "r"), "destroy");
	must(pool_detach(control, "a"), "detach");
}

int main(void)
{
	struct sigaction action = { .sa_handler = too_long };

	control = must_begin();
	sigaction(SIGALRM, &action, NULL);
	bus_catch();
	must(pool_attach_ram(control, "a", 8 * EXTENT), "attach");
	checks(0, "plain");
	must(pool_attach_ram(control, "a", 8 * EXTENT), "attach");
	checks(LENGTH, "with near copies");
	return tap_done();
}
