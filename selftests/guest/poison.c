// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of a region that is reported bad: one page fails, whoever touches it is told which,
 * all else goes on, and it can be cleared.
 *
 * hmem-test: topology=mixed kernels=lts,newest
 */
#include "poison.h"

#include <sys/uio.h>

#define EXTENTS		4
#define LENGTH		(EXTENTS * EXTENT)
#define BAD		5ULL			/* page of extent 1 */
#define OFFSET		(EXTENT + BAD * PAGE)

static const char *kind;
static char buffer[4 * PAGE];

static void fails(int fd, char *p)
{
	TAP_OK(page_fails(p + OFFSET + 100, false), "%s: a load raises SIGBUS with the address",
	       kind);
	TAP_OK(page_fails(p + OFFSET, true), "%s: so does a store", kind);
	TAP_OK(others_hold(p + EXTENT, BAD, 2), "%s: the rest of the extent is there", kind);
	TAP_EQ(touch_write(p + OFFSET + PAGE, 2), 0, "%s: and can be stored to", kind);
	TAP_OK(page_fails(p + OFFSET, false), "%s: to map it maps nothing else", kind);
	TAP_OK(pread(fd, buffer, PAGE, OFFSET) == -1 && errno == EIO, "%s: read(2) is EIO", kind);
	TAP_OK(pwrite(fd, buffer, 1, OFFSET + 7) == -1 && errno == EIO, "%s: write(2) is EIO", kind);
	TAP_EQ(pread(fd, buffer, 4 * PAGE, OFFSET - 2 * PAGE), (ssize_t)(2 * PAGE),
	       "%s: read(2) ends before it", kind);
	TAP_EQ(pread(fd, buffer, PAGE, OFFSET + PAGE), (ssize_t)PAGE, "%s: and goes on behind it",
	       kind);
	TAP_OK(!fsync(fd), "%s: fsync(2) does the rest", kind);
}

static int child_meets(void *p)
{
	bus_catch();
	return page_fails((char *)p + OFFSET, false) && others_hold((char *)p + EXTENT, BAD, 2);
}

static void direct_io(char *p)
{
	int fd = open("/root/direct", O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);

	if (fd < 0)
		tap_bail("/root/direct: %s", strerror(errno));
	errno = 0;
	TAP_OK(write(fd, p + OFFSET, PAGE) == -1 && (errno == EFAULT || errno == EIO),
	       "%s: O_DIRECT from it fails", kind);
	TAP_EQ(pwrite(fd, p + OFFSET + PAGE, PAGE, 0), (ssize_t)PAGE, "%s: from its neighbour not",
	       kind);
	close(fd);
	unlink("/root/direct");
}

/* Of what is told of it, all is asked for. */
static void told(int control, int fd, const struct pool *pool)
{
	struct hmem_poison a;
	struct hmem_event e[4];
	struct hmem_poison_range r[8];
	uint64_t seq = 0;

	TAP_EQ(poll_now(fd), POLLIN, "%s: nothing has happened", kind);
	TAP_EQ(poison(fd, HMEM_POISON_REPORT, OFFSET, PAGE, &a), 0, "%s: a page is bad", kind);
	TAP_OK(a.pages == 1 && a.next == OFFSET + PAGE, "%s: one page", kind);
	TAP_EQ(poll_now(fd), POLLIN | POLLPRI, "%s: poll(2) tells", kind);
	TAP_EQ(events_after(fd, &seq, FOREVER, e, 4), 1, "%s: there is an event", kind);
	TAP_OK(e[0].type == HMEM_EVENT_POISON && e[0].offset == OFFSET && e[0].bytes == PAGE &&
	       e[0].seq == 1 && seq == 1, "%s: of that page", kind);
	TAP_EQ(poll_now(fd), POLLIN, "%s: which was told now", kind);
	must(poison(fd, HMEM_POISON_REPORT, OFFSET, PAGE, &a), "report");
	TAP_EQ(events_after(fd, &seq, 0, e, 4), 0, "%s: once", kind);
	TAP_OK(only_bad(fd, OFFSET, PAGE, HMEM_POISONED_DATA | HMEM_POISONED_HOME),
	       "%s: it is listed", kind);
	TAP_EQ(poison_list(fd, OFFSET + PAGE, r, 8), 0, "%s: and nothing behind it", kind);
	(void)control;
	(void)pool;
}

static void cleared(int fd, char *p)
{
	struct hmem_poison a;
	struct hmem_poison_range r[2];

	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, 0, LENGTH, &a), 0, "%s: it is cleared", kind);
	TAP_OK(a.pages == 1 && a.next == LENGTH, "%s: one page of all", kind);
	TAP_OK(all_bytes(p + OFFSET, PAGE, 0), "%s: which holds zeroes", kind);
	TAP_OK(others_hold(p + EXTENT, BAD, 2), "%s: and the others what they held", kind);
	p[OFFSET] = 9;
	TAP_OK(pread(fd, buffer, 1, OFFSET) == 1 && buffer[0] == 9, "%s: it is used again", kind);
	TAP_EQ(poison_list(fd, 0, r, 2), 0, "%s: nothing is bad", kind);
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, 0, LENGTH, &a), 0, "%s: cleared again", kind);
	TAP_EQ(a.pages, 0, "%s: nothing was to be done", kind);
}

/* Who may, and what is refused. */
static int ordinary(void *unused)
{
	int fd = region_open("bad", O_RDWR), reader = region_open("bad", O_RDONLY);
	struct hmem_poison_range r[2];

	(void)unused;
	if (fd < 0 || reader < 0)
		return 2;
	return poison(fd, HMEM_POISON_REPORT, 0, PAGE, NULL) == -EPERM &&
	       poison(fd, HMEM_POISON_CLEAR, OFFSET, PAGE, NULL) == -EPERM &&
	       poison(reader, HMEM_POISON_CLEAR, 0, PAGE, NULL) == -EACCES &&
	       poison_list(reader, 0, r, 2) == 1;
}

static void refused(int fd)
{
	struct hmem_poison a;

	TAP_EQ(poison(fd, HMEM_POISON_REPORT, LENGTH, PAGE, &a), -ERANGE, "%s: beyond the end", kind);
	TAP_EQ(poison(fd, HMEM_POISON_LIST, 0, LENGTH + PAGE, &a), -ERANGE, "%s: too long", kind);
	TAP_EQ(poison(fd, HMEM_POISON_REPORT, 0, 0, &a), -EINVAL, "%s: nothing reported", kind);
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, 0, 0, &a), -EINVAL, "%s: nothing cleared", kind);
	TAP_EQ(poison(fd, HMEM_POISON_REPORT, 1, PAGE, &a), -EINVAL, "%s: half a page", kind);
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR + 1, 0, PAGE, &a), -EINVAL, "%s: no such thing", kind);
	a = (struct hmem_poison){ .size = sizeof(a), .op = HMEM_POISON_CLEAR, .bytes = PAGE,
				  .nr_ranges = 1 };
	TAP_EQ(hmem_ioctl(fd, HMEM_REGION_POISON, &a), -EINVAL, "%s: ranges to clear", kind);
	a = (struct hmem_poison){ .size = sizeof(a), .reserved2 = 1 };
	TAP_EQ(hmem_ioctl(fd, HMEM_REGION_POISON, &a), -EINVAL, "%s: something reserved", kind);
}

/* A region that could not be cut short is whole again, and its bad pages are as bad. */
static void put_back(int control, int fd, char *p)
{
	struct iovec iov = { p + 3 * EXTENT + PAGE, PAGE };
	int fds[2];

	p[3 * EXTENT] = 1;
	if (pipe(fds) || vmsplice(fds[1], &iov, 1, 0) != (ssize_t)PAGE)
		tap_bail("vmsplice: %s", strerror(errno));
	TAP_EQ(region_resize(control, "bad", EXTENT), -EBUSY, "%s: it is not cut short", kind);
	must(poison(fd, HMEM_POISON_REPORT, 3 * EXTENT, PAGE, NULL), "report");
	TAP_OK(page_fails(p + 3 * EXTENT, false), "%s: a page that was put back fails", kind);
	close(fds[0]);
	close(fds[1]);
	must(poison(fd, HMEM_POISON_CLEAR, 3 * EXTENT, PAGE, NULL), "clear");
	TAP_EQ(touch_read(p + 3 * EXTENT), 0, "%s: and is cleared", kind);
}

/* Many pages, of touched and untouched extents, listed in parts. */
static void many(int fd, char *p, bool persistent)
{
	struct hmem_poison_range r[4];
	struct hmem_poison a;

	must(poison(fd, HMEM_POISON_REPORT, 0, 2 * PAGE, NULL), "report");
	must(poison(fd, HMEM_POISON_REPORT, 2 * EXTENT - PAGE, 2 * PAGE, NULL), "report");
	must(poison(fd, HMEM_POISON_REPORT, 3 * EXTENT, EXTENT, NULL), "report");
	TAP_EQ(poison_list(fd, 0, r, 2), 2, "%s: two of three fit", kind);
	TAP_OK(r[0].offset == 0 && r[0].bytes == 2 * PAGE && r[1].offset == 2 * EXTENT - PAGE &&
	       r[1].bytes == 2 * PAGE, "%s: across extents", kind);
	TAP_EQ(poison_list(fd, 2 * EXTENT + PAGE, r, 4), 1, "%s: the third", kind);
	TAP_OK(r[0].offset == 3 * EXTENT && r[0].bytes == EXTENT, "%s: is a whole extent", kind);
	TAP_OK(page_fails(p + 2 * EXTENT, true), "%s: an extent is touched first there", kind);
	/* poison_untouched has the reason. */
	TAP_OK(page_fails(p + LENGTH - 1, false) &&
	       page_fails(p + 2 * EXTENT + PAGE, false) == persistent,
	       "%s: all of it, or a page of it", kind);
	must(poison(fd, HMEM_POISON_CLEAR, 0, LENGTH, &a), "clear");
	TAP_EQ(a.pages, 4 + EXTENT / PAGE, "%s: all are cleared", kind);
	TAP_OK(pages_hold(p + 3 * EXTENT, EXTENT, 0), "%s: and read as zeroes", kind);
}

static void checks(int control, const struct pool *pool)
{
	int fd;
	char *p;

	kind = pool->kind;
	must(region_create_as(control, "bad", pool->name, LENGTH, USER_UID, USER_UID, 0600),
	     "create");
	fd = must_open("bad", O_RDWR);
	p = must_map(fd, LENGTH);
	memset(p, 1, EXTENT);
	memset(p + EXTENT, 2, EXTENT);
	bus_catch();
	told(control, fd, pool);
	fails(fd, p);
	TAP_EQ(run_as(0, child_meets, p), 1, "%s: a child of fork(2) meets it too", kind);
	direct_io(p);
	TAP_EQ(run_as(USER_UID, ordinary, NULL), 1, "%s: its owner may look", kind);
	refused(fd);
	cleared(fd, p);
	put_back(control, fd, p);
	many(fd, p, pool->persistent);
	munmap(p, LENGTH);
	close(fd);
	must(region_destroy(control, "bad"), "destroy");
}

int main(void)
{
	int control = must_begin_cxl();

	on_every_pool(control, 32 * MIB, checks);
	return tap_done();
}
