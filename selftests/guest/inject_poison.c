// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that reports an error when it is read: what lies there is lost and said so, what
 * lies elsewhere is not.
 *
 * hmem-test: topology=pmem1 kernels=lts,newest
 */
#include "inject.h"

#define EXTENTS		3
#define LENGTH		(EXTENTS * EXTENT)
#define KERNEL_COPY	"copy_mc_to_kernel"
#define USER_COPY	"copy_mc_to_user"

static int control;
static char pool[HMEM_NAME_LEN];
static char *buffer;

static int attach(unsigned int flags, struct hmem_pool_attach *answer)
{
	return pool_attach_cxl(control, pool, flags, answer);
}

static bool is_whole(int fd)
{
	memset(buffer, 0, LENGTH);
	if (pread(fd, buffer, LENGTH, 0) != (ssize_t)LENGTH)
		return false;
	for (int i = 0; i < EXTENTS; i++)
		if (!pages_hold(buffer + i * EXTENT, EXTENT, i + 1))
			return false;
	return true;
}

static bool region_is_whole(void)
{
	int fd = region_open("a", O_RDONLY);
	bool whole = fd >= 0 && is_whole(fd);

	if (fd >= 0)
		close(fd);
	return whole;
}

/* A superblock is read in four pieces: a header and a table, of copy A, of copy B. */
static void superblock(void)
{
	struct hmem_pool_attach answer;

	for (int piece = 1; piece <= 4; piece++) {
		inject(KERNEL_COPY " all %d 1 hmem 0", piece);
		TAP_EQ(attach(HMEM_ATTACH_CHECK, &answer), 0,
		       "piece %d of the superblock cannot be read: the other copy will do", piece);
		TAP_EQ(inject_end(KERNEL_COPY), 1, "piece %d was not read", piece);
		TAP_OK(answer.regions == 1 && answer.state == (HMEM_POOL_PERSISTENT |
							       HMEM_POOL_REPAIRED),
		       "piece %d: has all regions, and would be repaired", piece);
	}

	inject(KERNEL_COPY " all 1 0 hmem 0");
	TAP_EQ(attach(HMEM_ATTACH_CHECK, NULL), -EIO, "no copy can be read: a look says so");
	TAP_EQ(attach(0, NULL), -EIO, "and attach");
	inject_end(KERNEL_COPY);
	TAP_EQ(attach(HMEM_ATTACH_CHECK, &answer), 0, "when they can be read again");
	TAP_EQ(answer.state, HMEM_POOL_PERSISTENT, "they are as they were");

	inject(KERNEL_COPY " all 1 1 hmem 0");
	TAP_EQ(attach(0, &answer), 0, "copy A cannot be read: attached");
	inject_end(KERNEL_COPY);
	TAP_OK(answer.state & HMEM_POOL_REPAIRED, "and repaired");
	TAP_OK(region_is_whole(), "with its data");
	must(pool_detach(control, pool), "detach");
	TAP_EQ(attach(HMEM_ATTACH_CHECK, &answer), 0, "after that");
	TAP_EQ(answer.state, HMEM_POOL_PERSISTENT, "both copies are good");
}

static void reading(void)
{
	int fd;

	must(attach(0, NULL), "attach");
	fd = must_open("a", O_RDONLY);
	inject(USER_COPY " all 1 1 self 0");
	TAP_OK(read(fd, buffer, LENGTH) == -1 && errno == EIO, "read(2) of it is EIO");
	TAP_EQ(inject_end(USER_COPY), 1, "because of one copy that failed");
	TAP_EQ(lseek(fd, 0, SEEK_CUR), 0, "the file offset stays");
	inject(USER_COPY " all 2 0 self 0");
	TAP_EQ(read(fd, buffer, LENGTH), (ssize_t)EXTENT, "further behind: read(2) ends before it");
	TAP_OK(pages_hold(buffer, EXTENT, 1), "with what is good");
	TAP_OK(read(fd, buffer, LENGTH) == -1 && errno == EIO, "and there it is EIO");
	inject_end(USER_COPY);
	TAP_OK(is_whole(fd), "nothing else was lost");
	close(fd);
	must(pool_detach(control, pool), "detach");
}

static void tag(void)
{
	char *p;
	int fd;

	must(attach(0, NULL), "attach");
	fd = must_open("a", O_RDWR);
	inject(KERNEL_COPY " all 1 1 hmem 0");
	TAP_OK(pread(fd, buffer, 1, EXTENT) == -1 && errno == EIO,
	       "an extent whose tag cannot be read: read(2) is EIO");
	TAP_EQ(inject_end(KERNEL_COPY), 1, "because of it");
	TAP_OK(pwrite(fd, "x", 1, EXTENT) == -1 && errno == EIO, "so is write(2)");
	p = must_map(fd, LENGTH);
	TAP_EQ(touch_read(p + EXTENT), SIGBUS, "touching it raises SIGBUS");
	TAP_EQ(touch_write(p + 2 * EXTENT - 1, 0), SIGBUS, "to its end");
	TAP_OK(pages_hold(p, EXTENT, 1) && pages_hold(p + 2 * EXTENT, EXTENT, 3),
	       "what lies beside it is good");
	munmap(p, LENGTH);
	close(fd);
	must(pool_detach(control, pool), "detach");
	must(attach(0, NULL), "attach");
	TAP_OK(region_is_whole(), "its data was not touched: once the tag can be read, it is there");
	must(pool_detach(control, pool), "detach");
}

int main(void)
{
	int fd;

	control = must_begin_inject();
	touch_catch();
	buffer = malloc(LENGTH);
	must_cxl("pmem", pool);
	must(attach(HMEM_ATTACH_FORMAT, NULL), "attach");
	must(region_create(control, "a", pool, LENGTH), "create");
	fd = must_open("a", O_RDWR);
	for (int i = 0; i < EXTENTS; i++)
		memset(buffer + i * EXTENT, i + 1, EXTENT);
	if (write(fd, buffer, LENGTH) != (ssize_t)LENGTH)
		tap_bail("write: %s", strerror(errno));
	close(fd);
	must(pool_detach(control, pool), "detach");

	superblock();
	reading();
	tag();
	cxl_end(pool);
	return tap_done();
}
