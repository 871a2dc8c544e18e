// SPDX-License-Identifier: GPL-2.0-only
/*
 * read(2), write(2) and lseek(2) on a region, at its ends most of all; and that nobody
 * ever reads what a former owner has left.
 *
 * hmem-test: topology=mixed kernels=lts,newest
 */
#include "pools.h"

#include <sys/uio.h>

#define LENGTH		(4 * EXTENT)
#define END		((off_t)LENGTH)

static const char *kind;
static char buffer[3 * 4096], other[3 * 4096];

static void seeking(int fd)
{
	TAP_EQ(lseek(fd, 0, SEEK_END), END, "%s: SEEK_END is the size", kind);
	TAP_EQ(lseek(fd, -10, SEEK_CUR), END - 10, "%s: SEEK_CUR", kind);
	TAP_EQ(lseek(fd, 17, SEEK_SET), 17, "%s: SEEK_SET", kind);
	TAP_ERR(lseek(fd, -1, SEEK_SET), EINVAL, "%s: to a negative offset", kind);
	TAP_ERR(lseek(fd, -END - 1, SEEK_END), EINVAL, "%s: before the beginning", kind);
	TAP_ERR(lseek(fd, 0, 99), EINVAL, "%s: from nowhere", kind);
	TAP_EQ(lseek(fd, 0, SEEK_CUR), 17, "%s: which moved nothing", kind);
	TAP_EQ(lseek(fd, 0, SEEK_SET), 0, "%s: back to the start", kind);
}

static void at_the_end(int fd)
{
	memset(buffer, 'e', sizeof(buffer));
	TAP_EQ(pwrite(fd, buffer, 100, END - 100), 100, "%s: write up to the end", kind);
	TAP_EQ(pwrite(fd, buffer, 100, END - 60), 60, "%s: write across it is short", kind);
	TAP_ERR(pwrite(fd, buffer, 1, END), ENOSPC, "%s: write at it is ENOSPC", kind);
	TAP_ERR(pwrite(fd, buffer, 1, END + 1), ENOSPC, "%s: behind it, too", kind);
	TAP_ERR(pwrite(fd, buffer, 1, 1LL << 62), ENOSPC, "%s: far behind it", kind);
	TAP_EQ(pwrite(fd, buffer, 0, END), 0, "%s: no bytes at the end are no error", kind);
	TAP_EQ(pread(fd, other, 200, END - 100), 100, "%s: read across the end is short", kind);
	TAP_OK(all_bytes(other, 100, 'e'), "%s: and has the data", kind);
	TAP_EQ(pread(fd, other, 1, END), 0, "%s: read at the end is EOF", kind);
	TAP_EQ(pread(fd, other, 1, END + 12345), 0, "%s: and behind it", kind);
	TAP_EQ(pread(fd, other, 1, INT64_MAX - 1), 0, "%s: far behind it", kind);
	TAP_ERR(pread(fd, other, 1, -1), EINVAL, "%s: read at a negative offset", kind);
	TAP_ERR(pwrite(fd, other, 1, -1), EINVAL, "%s: write at a negative offset", kind);
	lseek(fd, END - 50, SEEK_SET);
	TAP_EQ(write(fd, buffer, 80), 50, "%s: write moves the offset", kind);
	TAP_EQ(lseek(fd, 0, SEEK_CUR), END, "%s: to the end", kind);
	TAP_ERR(write(fd, buffer, 80), ENOSPC, "%s: where ENOSPC", kind);
	TAP_EQ(lseek(fd, 0, SEEK_CUR), END, "%s: leaves it", kind);
	TAP_EQ(read(fd, other, 80), 0, "%s: and EOF too", kind);
}

static void anywhere(int fd)
{
	struct iovec iov[2] = { { buffer, 5 }, { buffer + 100, 4096 } };
	char *p = must_map(fd, LENGTH);

	for (unsigned int i = 0; i < sizeof(buffer); i++)
		buffer[i] = i * 7 + i / 256;
	TAP_EQ(pwrite(fd, buffer, sizeof(buffer), EXTENT - 4099), sizeof(buffer),
	       "%s: write across two extents", kind);
	TAP_OK(!memcmp(p + EXTENT - 4099, buffer, sizeof(buffer)), "%s: a mapping shows it", kind);
	TAP_OK(pread(fd, other, sizeof(other), EXTENT - 4099) == sizeof(other) &&
	       !memcmp(other, buffer, sizeof(buffer)), "%s: and read", kind);
	p[2 * EXTENT + 5] = 'm';
	TAP_OK(pread(fd, other, 1, 2 * EXTENT + 5) == 1 && other[0] == 'm',
	       "%s: read sees what a mapping has stored", kind);
	TAP_OK(pwritev(fd, iov, 2, 333) == 4101 && preadv(fd, (struct iovec[]){
	       { other, 4101 } }, 1, 333) == 4101 && !memcmp(other, buffer, 5) &&
	       !memcmp(other + 5, buffer + 100, 4096), "%s: writev and readv", kind);
	TAP_EQ(pwrite(fd, "1", 1, 3 * EXTENT + 1), 1, "%s: one byte", kind);
	TAP_OK(!p[3 * EXTENT] && p[3 * EXTENT + 1] == '1' && !p[3 * EXTENT + 2],
	       "%s: is one byte", kind);
	munmap(p, LENGTH);
}

/* A copy between the region and a mapping of it: the fault comes in the middle of it. */
static void itself(int fd)
{
	char *p = must_map(fd, LENGTH);

	memset(p, 'A', EXTENT);
	memset(p + EXTENT, 'B', EXTENT);
	madvise(p, LENGTH, MADV_DONTNEED);
	TAP_EQ(pwrite(fd, p, EXTENT, 2 * EXTENT), EXTENT,
	       "%s: write into it from a mapping of it", kind);
	TAP_OK(pages_hold(p + 2 * EXTENT, EXTENT, 'A'), "%s: copies", kind);
	madvise(p, LENGTH, MADV_DONTNEED);
	TAP_EQ(pread(fd, p + 3 * EXTENT, EXTENT, EXTENT), EXTENT,
	       "%s: read from it into a mapping of it", kind);
	TAP_OK(pages_hold(p + 3 * EXTENT, EXTENT, 'B'), "%s: copies", kind);
	madvise(p, LENGTH, MADV_DONTNEED);
	TAP_EQ(pwrite(fd, p + 4096, 8192, 4096), 8192, "%s: an extent onto itself", kind);
	madvise(p, LENGTH, MADV_DONTNEED);
	TAP_EQ(pread(fd, p + EXTENT - 4096, 8192, EXTENT - 4096), 8192, "%s: and back", kind);
	TAP_OK(pages_hold(p, EXTENT, 'A') && pages_hold(p + EXTENT, EXTENT, 'B'),
	       "%s: which changes nothing", kind);
	munmap(p, LENGTH);
}

static void bad_memory(int fd)
{
	char *p = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ssize_t n;

	memset(p, 'x', 4096);
	munmap(p + 4096, 4096);
	TAP_ERR(pwrite(fd, p + 4096, 100, 0), EFAULT, "%s: write from nowhere", kind);
	TAP_ERR(pread(fd, p + 4096, 100, 0), EFAULT, "%s: read into nowhere", kind);
	n = pwrite(fd, p + 4096 - 64, 128, 0);
	TAP_OK(n == 64 || (n < 0 && errno == EFAULT), "%s: write, half from nowhere (%zd)", kind,
	       n);
	n = pread(fd, p + 4096 - 64, 128, 0);
	TAP_OK(n == 64 || (n < 0 && errno == EFAULT), "%s: read, half into nowhere (%zd)", kind,
	       n);
	munmap(p, 4096);
}

static void modes(void)
{
	int fd = must_open("w", O_RDONLY);

	TAP_ERR(write(fd, "x", 1), EBADF, "%s: opened for reading, it is not written", kind);
	close(fd);
	fd = must_open("w", O_WRONLY);
	TAP_ERR(read(fd, other, 1), EBADF, "%s: opened for writing, it is not read", kind);
	TAP_EQ(pwrite(fd, "x", 1, 0), 1, "%s: it is written", kind);
	close(fd);
	fd = must_open("w", O_RDWR | O_TRUNC | O_CREAT);
	TAP_EQ(lseek(fd, 0, SEEK_END), END, "%s: O_TRUNC does not shorten it", kind);
	TAP_OK(pread(fd, other, 1, 0) == 1 && other[0] == 'x', "%s: nor does it lose data", kind);
	close(fd);
}

static int sees_sigbus(void *argument)
{
	char *p = argument;

	return !(touch_read(p + 2 * EXTENT) == SIGBUS && touch_write(p + 3 * EXTENT, 1) == SIGBUS &&
		 !touch_read(p + 2 * EXTENT - 1));
}

static void resizing(int control, int fd)
{
	char *p = must_map(fd, LENGTH);

	memset(p, 0x33, LENGTH);
	TAP_EQ(region_resize(control, "w", 2 * EXTENT), 0, "%s: shrink under a mapping", kind);
	TAP_EQ(touch_read(p + 2 * EXTENT), SIGBUS, "%s: beyond the new end reading is SIGBUS",
	       kind);
	TAP_EQ(touch_write(p + LENGTH - 1, 1), SIGBUS, "%s: writing is", kind);
	TAP_EQ(run_as(0, sees_sigbus, p), 0, "%s: in another process, too", kind);
	TAP_OK(pages_hold(p, 2 * EXTENT, 0x33), "%s: before it all is as it was", kind);
	TAP_EQ(lseek(fd, 0, SEEK_END), 2 * END / 4, "%s: SEEK_END follows", kind);
	TAP_EQ(pread(fd, other, 1, 2 * EXTENT), 0, "%s: EOF does", kind);
	TAP_ERR(pwrite(fd, other, 1, 2 * EXTENT), ENOSPC, "%s: ENOSPC does", kind);
	TAP_EQ(region_resize(control, "w", LENGTH), 0, "%s: grow under a mapping", kind);
	TAP_OK(!touch_read(p + 2 * EXTENT) && pages_hold(p + 2 * EXTENT, 2 * EXTENT, 0),
	       "%s: what is added reads as zeroes", kind);
	TAP_OK(pages_hold(p, 2 * EXTENT, 0x33), "%s: what was there is there", kind);
	TAP_EQ(touch_write(p + LENGTH - 1, 1), 0, "%s: and it takes stores", kind);
	munmap(p, LENGTH);

	/* The same without a fault: through read(2) alone. */
	must(region_resize(control, "w", EXTENT), "shrink");
	must(region_resize(control, "w", LENGTH), "grow");
	bool zero = true;

	for (off_t at = EXTENT; at < END; at += sizeof(other))
		zero = zero && pread(fd, other, sizeof(other), at) > 0 &&
		       all_bytes(other, END - at < (off_t)sizeof(other) ? END - at :
				 (off_t)sizeof(other), 0);
	TAP_OK(zero, "%s: read(2) finds zeroes as well", kind);
}

/* A former owner's data must not be seen, by whichever way it is looked for. */
static void strangers(int control, const struct pool *pool)
{
	char *p;
	int fd;

	for (int way = 0; way < 3; way++) {
		must(region_create_as(control, "s", pool->name, LENGTH, USER_UID, USER_UID, 0600),
		     "create");
		fd = must_open("s", O_RDWR);
		p = must_map(fd, LENGTH);
		memset(p, 0xee, LENGTH);
		if (way == 1)
			fsync(fd);
		munmap(p, LENGTH);
		close(fd);
		must(region_destroy(control, "s"), "destroy");
		must(region_create_as(control, "t", pool->name, LENGTH, OTHER_UID, OTHER_UID,
				      0600), "create");
		fd = must_open("t", O_RDWR);
		if (way == 0) {
			p = must_map(fd, LENGTH);
			TAP_OK(pages_hold(p, LENGTH, 0), "%s: the next owner maps zeroes", kind);
			munmap(p, LENGTH);
		} else if (way == 1) {
			/* A short write makes the extent this owner's: the rest must be zero. */
			for (int i = 0; i < 4; i++)
				if (pwrite(fd, "y", 1, i * EXTENT + 4096) != 1)
					tap_bail("write: %s", strerror(errno));
			p = must_map(fd, LENGTH);
			bool good = true;

			for (int i = 0; i < 4; i++)
				good = good && p[i * EXTENT + 4096] == 'y' &&
				       pages_hold(p + i * EXTENT, 4096, 0) &&
				       all_bytes(p + i * EXTENT + 4097, 4095, 0) &&
				       pages_hold(p + i * EXTENT + 8192, EXTENT - 8192, 0);
			TAP_OK(good, "%s: a byte written has zeroes around it", kind);
			munmap(p, LENGTH);
		} else {
			bool zero = true;

			for (off_t at = 0; at < END; at += EXTENT / 4)
				zero = zero && pread(fd, other, sizeof(other), at) > 0 &&
				       all_bytes(other, sizeof(other), 0);
			TAP_OK(zero, "%s: the next owner reads zeroes", kind);
		}
		close(fd);
		must(region_destroy(control, "t"), "destroy");
	}
}

static void checks(int control, const struct pool *pool)
{
	int fd;

	kind = pool->kind;
	must(region_create(control, "w", pool->name, LENGTH), "create");
	fd = must_open("w", O_RDWR);
	seeking(fd);
	at_the_end(fd);
	anywhere(fd);
	itself(fd);
	bad_memory(fd);
	modes();
	resizing(control, fd);
	close(fd);
	TAP_EQ(region_destroy(control, "w"), 0, "%s: destroy", kind);
	strangers(control, pool);
}

int main(void)
{
	touch_catch();
	on_every_pool(must_begin_cxl(), 2 * LENGTH, checks);
	return tap_done();
}
