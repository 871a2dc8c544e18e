// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel takes hold of region pages as of any: for other processes, for pipes and for
 * disks. While it does, the memory stays whose it is.
 *
 * hmem-test: topology=mixed kernels=lts,newest
 */
#include "near.h"
#include "pools.h"

#include <sys/ptrace.h>
#include <sys/uio.h>

#define LENGTH		(4 * EXTENT)
#define DISK		"/dev/vdb"

static const char *kind;
static char buffer[65536];

static void fill(char *p, uint64_t length, unsigned int seed)
{
	for (uint64_t i = 0; i < length; i += 8)
		*(uint64_t *)(p + i) = (i + seed) * 0x9e3779b97f4a7c15ULL;
}

static bool filled(const char *p, uint64_t length, unsigned int seed)
{
	for (uint64_t i = 0; i < length; i += 8)
		if (*(volatile const uint64_t *)(p + i) != (i + seed) * 0x9e3779b97f4a7c15ULL)
			return false;
	return true;
}

/* A child that maps the region and stops; its address of it comes through the pipe. */
static pid_t start_peer(char **address)
{
	int fds[2], fd;
	char *p;
	pid_t pid;

	if (pipe(fds))
		tap_bail("pipe: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		fd = region_open("g", O_RDWR);
		p = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (write(fds[1], &p, sizeof(p)) != sizeof(p))
			_exit(1);
		raise(SIGSTOP);
		_exit(0);
	}
	if (read(fds[0], address, sizeof(*address)) != sizeof(*address) || *address == MAP_FAILED)
		tap_bail("the peer cannot map the region");
	close(fds[0]);
	close(fds[1]);
	waitpid(pid, NULL, WUNTRACED);
	return pid;
}

static void other_process(char *p)
{
	struct iovec here = { buffer, sizeof(buffer) }, there;
	char *address, path[64];
	pid_t pid;
	int mem;

	pid = start_peer(&address);
	fill(p, LENGTH, 1);
	/* Across two extents; the peer has touched neither. */
	there = (struct iovec){ address + EXTENT - sizeof(buffer) / 2, sizeof(buffer) };
	TAP_OK(process_vm_readv(pid, &here, 1, &there, 1, 0) == sizeof(buffer) &&
	       !memcmp(buffer, p + EXTENT - sizeof(buffer) / 2, sizeof(buffer)),
	       "%s: process_vm_readv from a process that maps it", kind);
	fill(buffer, sizeof(buffer), 2);
	TAP_OK(process_vm_writev(pid, &here, 1, &there, 1, 0) == sizeof(buffer) &&
	       !memcmp(buffer, p + EXTENT - sizeof(buffer) / 2, sizeof(buffer)),
	       "%s: process_vm_writev to it", kind);
	there.iov_base = p + 3 * EXTENT;
	here.iov_len = there.iov_len = 4096;
	TAP_OK(process_vm_readv(getpid(), &there, 1, &here, 1, 0) == 4096 &&
	       !memcmp(buffer, p + 3 * EXTENT, 4096), "%s: process_vm_readv into it", kind);

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	TAP_OK(pwrite(mem, "through mem", 11, (off_t)(address + 12345)) == 11 &&
	       !memcmp(p + 12345, "through mem", 11), "%s: /proc/PID/mem is written", kind);
	TAP_OK(pread(mem, buffer, 11, (off_t)(address + 12345)) == 11 &&
	       !memcmp(buffer, "through mem", 11), "%s: and read", kind);
	close(mem);

	if (ptrace(PTRACE_ATTACH, pid, 0, 0))
		tap_bail("ptrace: %s", strerror(errno));
	waitpid(pid, NULL, 0);
	TAP_OK(!ptrace(PTRACE_POKEDATA, pid, address + 2 * EXTENT, 0x1122334455667788L) &&
	       *(volatile long *)(p + 2 * EXTENT) == 0x1122334455667788L &&
	       ptrace(PTRACE_PEEKDATA, pid, address + 2 * EXTENT, 0) == 0x1122334455667788L,
	       "%s: a debugger pokes and peeks", kind);
	ptrace(PTRACE_DETACH, pid, 0, 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void pipes(char *p)
{
	struct iovec iov = { p + EXTENT - 8192, 16384 };
	int fds[2];

	if (pipe(fds))
		tap_bail("pipe: %s", strerror(errno));
	fill(p, LENGTH, 3);
	TAP_EQ(vmsplice(fds[1], &iov, 1, 0), 16384, "%s: vmsplice", kind);
	/* The pipe holds the pages, not a copy of them. */
	p[EXTENT - 8192] = 99;
	TAP_OK(read(fds[0], buffer, 16384) == 16384 && buffer[0] == 99 &&
	       !memcmp(buffer, p + EXTENT - 8192, 16384), "%s: what comes out is the memory", kind);
	TAP_EQ(vmsplice(fds[1], &iov, 1, SPLICE_F_GIFT), 16384, "%s: vmsplice as a gift", kind);
	TAP_OK(read(fds[0], buffer, 16384) == 16384 &&
	       !memcmp(buffer, p + EXTENT - 8192, 16384), "%s: stays ours all the same", kind);
	close(fds[0]);
	close(fds[1]);
}

/* @near: the region's file, when its pages are to be near; else -1. */
static void disk(char *p, int near)
{
	const size_t length = 65536;
	int fd = open(DISK, O_RDWR | O_DIRECT | O_CLOEXEC);
	char *ordinary = aligned_alloc(4096, length);

	if (fd < 0) {
		tap_skip("O_DIRECT to and from a disk", "no " DISK);
		free(ordinary);
		return;
	}
	fill(p, LENGTH, 4);
	if (near >= 0)
		TAP_EQ(move_extents(near, 0, LENGTH / EXTENT, HMEM_NEAR), LENGTH / EXTENT,
		       "%s: all of it is near", kind);
	/* Across an extent's end, so that two pages of different folios are in one request. */
	TAP_OK(pwrite(fd, p + 2 * EXTENT - length / 2, length, 0) == (ssize_t)length,
	       "%s: O_DIRECT writes region memory to a disk", kind);
	TAP_OK(pread(fd, ordinary, length, 0) == (ssize_t)length &&
	       !memcmp(ordinary, p + 2 * EXTENT - length / 2, length),
	       "%s: the disk has it", kind);
	fill(ordinary, length, 5);
	if (pwrite(fd, ordinary, length, 1 << 20) != (ssize_t)length)
		tap_bail("%s: %s", DISK, strerror(errno));
	TAP_OK(pread(fd, p + 3 * EXTENT - length / 2, length, 1 << 20) == (ssize_t)length,
	       "%s: O_DIRECT reads from a disk into region memory", kind);
	TAP_OK(filled(p + 3 * EXTENT - length / 2, length, 5), "%s: the region has it", kind);
	TAP_OK(filled(p, 64, 4), "%s: and what it had before elsewhere", kind);
	if (near >= 0) {
		struct hmem_migrate m;

		must(migrate(near, 0, 0, HMEM_HOME, &m), "migrate");
		TAP_OK(!near_stats(near).near && filled(p + 3 * EXTENT - length / 2, length, 5),
		       "%s: also at home", kind);
	}
	close(fd);
	free(ordinary);
}

static void files(char *p)
{
	char path[] = "/tmp/hmem-map-pins-XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	fill(p, LENGTH, 6);
	TAP_OK(write(fd, p, LENGTH) == (ssize_t)LENGTH, "%s: write(2) from it to a file", kind);
	memset(p, 0, LENGTH);
	TAP_OK(pread(fd, p, LENGTH, 0) == (ssize_t)LENGTH && filled(p, LENGTH, 6),
	       "%s: read(2) into it from a file", kind);
	close(fd);
}

/* The end of a pin is an event that nobody is told of: the module finds it out in a moment. */
static int destroy_soon(int control, const char *region)
{
	int rc;

	for (int tries = 0; (rc = region_destroy(control, region)) == -EBUSY && tries < 50; tries++)
		usleep(100000);
	return rc;
}

/* Region and pool must not go while a pipe has pages of it, mapped or not. */
static void held(int control, const struct pool *pool)
{
	struct iovec iov;
	int64_t before = pool_free(pool->name);
	int fds[2], fd;
	char *p;

	if (pipe(fds))
		tap_bail("pipe: %s", strerror(errno));
	must(region_create(control, "h", pool->name, 4 * EXTENT), "create");
	fd = must_open("h", O_RDWR);
	p = must_map(fd, 4 * EXTENT);
	memset(p, 0x77, 4 * EXTENT);
	iov = (struct iovec){ p + 3 * EXTENT + 4096, 8192 };
	if (vmsplice(fds[1], &iov, 1, 0) != 8192)
		tap_bail("vmsplice: %s", strerror(errno));

	TAP_EQ(region_resize(control, "h", 3 * EXTENT), -EBUSY,
	       "%s: shrinking over pinned pages is refused", kind);
	TAP_EQ(region_resize(control, "h", EXTENT), -EBUSY, "%s: far below them, too", kind);
	TAP_OK(sysfs_number("hmem", "h", "size") == 4 * EXTENT &&
	       pool_free(pool->name) == before - 4 * (int64_t)EXTENT &&
	       pages_hold(p, 4 * EXTENT, 0x77), "%s: and has changed nothing", kind);
	p[3 * EXTENT + 4096] = 1;
	munmap(p, 4 * EXTENT);
	close(fd);
	TAP_EQ(region_destroy(control, "h"), -EBUSY, "%s: destroying it is, neither open nor mapped",
	       kind);
	int rc = pool_detach(control, pool->name);

	TAP_OK(rc == -EBUSY || rc == -ENOTEMPTY, "%s: so is detaching its pool (%d)", kind, rc);
	TAP_OK(read(fds[0], buffer, 8192) == 8192 && buffer[0] == 1 && buffer[4096] == 0x77,
	       "%s: the pipe gives out what was stored", kind);
	fd = must_open("h", O_RDWR);
	TAP_EQ(region_resize(control, "h", 3 * EXTENT), 0, "%s: shrinking it works after that",
	       kind);
	close(fd);
	TAP_EQ(destroy_soon(control, "h"), 0, "%s: and destroying", kind);
	TAP_EQ(pool_free(pool->name), before, "%s: the pool has everything back", kind);
	close(fds[0]);
	close(fds[1]);
}

/* Of a region that may have near copies, told of stores or made for long-term pins. */
static void disk_near(int control, const struct pool *pool, unsigned int flags)
{
	struct hmem_region_create c = { .size = sizeof(c), .flags = flags, .bytes = LENGTH,
					.mode = 0600 };
	char *p;
	int fd;

	set_name(c.name, "n");
	set_name(c.pool, pool->name);
	must(hmem_ioctl(control, HMEM_REGION_CREATE, &c), "create");
	fd = must_open("n", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	p = must_map(fd, LENGTH);
	tap_diag("near copies, flags %u", flags);
	disk(p, fd);
	munmap(p, LENGTH);
	close(fd);
	TAP_EQ(destroy_soon(control, "n"), 0, "%s: no page is left pinned", kind);
}

static void checks(int control, const struct pool *pool)
{
	char *p;
	int fd;

	kind = pool->kind;
	held(control, pool);
	must(region_create(control, "g", pool->name, LENGTH), "create");
	fd = must_open("g", O_RDWR);
	p = must_map(fd, LENGTH);
	other_process(p);
	pipes(p);
	disk(p, -1);
	files(p);
	munmap(p, LENGTH);
	close(fd);
	TAP_EQ(destroy_soon(control, "g"), 0, "%s: no page is left pinned", kind);
	disk_near(control, pool, 0);
	disk_near(control, pool, HMEM_CREATE_LONG_TERM_PINS);
}

int main(void)
{
	on_every_pool(must_begin_cxl(), LENGTH, checks);
	return tap_done();
}
