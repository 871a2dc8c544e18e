// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the memory system calls do to a mapped region: the same as to a file.
 *
 * hmem-test: topology=mixed kernels=lts,newest
 */
#include "pools.h"

#include <linux/mempolicy.h>
#include <linux/mman.h>

#define LENGTH		(8 * EXTENT)
#define PAGE		4096

static const char *kind;

static void stamp(char *p)
{
	for (uint64_t i = 0; i < LENGTH; i += PAGE)
		*(uint64_t *)(p + i) = ~i;
}

/* @p shows the region from @offset on. */
static bool stamped(const char *p, uint64_t offset, uint64_t length)
{
	for (uint64_t i = 0; i < length; i += PAGE)
		if (*(volatile const uint64_t *)(p + i) != ~(offset + i))
			return false;
	return true;
}

static void *map(int fd, uint64_t length, int protection, int flags, uint64_t offset)
{
	return mmap(NULL, length, protection, flags, fd, offset);
}

static void privately(int fd)
{
	char *p;
	int mem;

	TAP_ERR((long)map(fd, EXTENT, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0), EACCES,
		"%s: a writable private mapping is refused", kind);
	TAP_ERR((long)map(fd, EXTENT, PROT_WRITE, MAP_PRIVATE, 0), EACCES,
		"%s: write-only private as well", kind);
	p = map(fd, LENGTH, PROT_READ, MAP_PRIVATE, 0);
	if (TAP_OK(p != MAP_FAILED, "%s: a read-only private mapping is allowed", kind)) {
		TAP_OK(stamped(p, 0, LENGTH), "%s: and shows the data", kind);
		TAP_ERR(mprotect(p, LENGTH, PROT_READ | PROT_WRITE), EACCES,
			"%s: but never becomes writable", kind);
		TAP_EQ(touch_write(p, 1), SIGSEGV, "%s: a store to it is SIGSEGV", kind);
		/* The debugger's way would leave a private copy of the page. */
		mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
		TAP_OK(pwrite(mem, "x", 1, (off_t)(uint64_t)p) != 1 && stamped(p, 0, PAGE),
		       "%s: nor is it written through /proc/self/mem", kind);
		close(mem);
		munmap(p, LENGTH);
	}
	p = map(fd, EXTENT, PROT_NONE, MAP_PRIVATE, 0);
	if (p != MAP_FAILED) {
		TAP_ERR(mprotect(p, EXTENT, PROT_READ | PROT_WRITE), EACCES,
			"%s: not even if it began without access", kind);
		munmap(p, EXTENT);
	}
}

static void read_only(void)
{
	int fd = must_open("c", O_RDONLY);
	char *p;

	TAP_ERR((long)map(fd, EXTENT, PROT_READ | PROT_WRITE, MAP_SHARED, 0), EACCES,
		"%s: opened for reading, it is not mapped for writing", kind);
	p = map(fd, LENGTH, PROT_READ, MAP_SHARED, 0);
	TAP_OK(p != MAP_FAILED && stamped(p, 0, LENGTH), "%s: it is mapped for reading", kind);
	TAP_ERR(mprotect(p, LENGTH, PROT_READ | PROT_WRITE), EACCES, "%s: and stays so", kind);
	TAP_EQ(touch_write(p, 1), SIGSEGV, "%s: a store is SIGSEGV", kind);
	munmap(p, LENGTH);
	close(fd);
	fd = must_open("c", O_WRONLY);
	TAP_ERR((long)map(fd, EXTENT, PROT_WRITE, MAP_SHARED, 0), EACCES,
		"%s: opened for writing only, it is not mapped", kind);
	close(fd);
}

static void past_the_end(int fd)
{
	static const uint64_t offsets[] = { LENGTH, LENGTH + EXTENT, 1ULL << 40,
					    (1ULL << 62), (1ULL << 63) - EXTENT };
	char *p;

	for (unsigned int i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		p = map(fd, EXTENT, PROT_READ | PROT_WRITE, MAP_SHARED, offsets[i]);
		if (p == MAP_FAILED) {
			TAP_OK(errno == EINVAL || errno == EOVERFLOW,
			       "%s: mapping at %#llx is refused (%s)", kind,
			       (unsigned long long)offsets[i], strerrorname_np(errno));
			continue;
		}
		TAP_OK(touch_read(p) == SIGBUS && touch_write(p, 1) == SIGBUS,
		       "%s: mapped at %#llx, it is SIGBUS", kind, (unsigned long long)offsets[i]);
		munmap(p, EXTENT);
	}
	TAP_ERR((long)map(fd, EXTENT, PROT_READ, MAP_SHARED, 512), EINVAL,
		"%s: an offset inside a page is refused", kind);

	p = map(fd, 2 * EXTENT, PROT_READ | PROT_WRITE, MAP_SHARED, LENGTH - EXTENT);
	if (p == MAP_FAILED) {
		TAP_EQ(errno, EINVAL, "%s: a mapping that ends past the end is refused", kind);
		return;
	}
	TAP_OK(stamped(p, LENGTH - EXTENT, EXTENT), "%s: half in: that half is there", kind);
	TAP_EQ(touch_read(p + EXTENT), SIGBUS, "%s: reading the other is SIGBUS", kind);
	TAP_EQ(touch_write(p + 2 * EXTENT - 1, 1), SIGBUS, "%s: writing it is", kind);
	TAP_ERR(madvise(p, 2 * EXTENT, MADV_POPULATE_WRITE), EFAULT,
		"%s: populating it is EFAULT", kind);
	munmap(p, 2 * EXTENT);
}

static void small(int fd)
{
	char *p;

	p = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 3 * PAGE);
	TAP_OK(p != MAP_FAILED && stamped(p, 3 * PAGE, PAGE), "%s: one page from within", kind);
	munmap(p, PAGE);
	p = map(fd, EXTENT, PROT_READ | PROT_WRITE, MAP_SHARED, EXTENT - 5 * PAGE);
	TAP_OK(p != MAP_FAILED && stamped(p, EXTENT - 5 * PAGE, EXTENT),
	       "%s: 2 MiB across two extents", kind);
	munmap(p, EXTENT);
	p = map(fd, 1000, PROT_READ, MAP_SHARED, LENGTH - PAGE);
	TAP_OK(p != MAP_FAILED && stamped(p, LENGTH - PAGE, 1), "%s: the last page", kind);
	munmap(p, 1000);
}

static void locked(int fd)
{
	uint64_t before;
	char *p = map(fd, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

	TAP_EQ(mlock(p, LENGTH), 0, "%s: mlock", kind);
	before = region_faults(fd);
	TAP_OK(stamped(p, 0, LENGTH), "%s: locked memory shows the data", kind);
	TAP_EQ(region_faults(fd) - before, 0, "%s: without a fault", kind);
	TAP_EQ(munlock(p, LENGTH), 0, "%s: munlock", kind);
	TAP_EQ(mlock2(p, LENGTH, MLOCK_ONFAULT), 0, "%s: mlock on fault", kind);
	munmap(p, LENGTH);
	p = map(fd, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_LOCKED, 0);
	TAP_OK(p != MAP_FAILED && stamped(p, 0, LENGTH), "%s: MAP_LOCKED", kind);
	munmap(p, LENGTH);

	p = map(fd, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	before = region_faults(fd);
	TAP_EQ(madvise(p, LENGTH, MADV_POPULATE_READ), 0, "%s: MADV_POPULATE_READ", kind);
	TAP_EQ(region_faults(fd) - before, LENGTH / EXTENT, "%s: takes a fault an extent", kind);
	before = region_faults(fd);
	TAP_OK(stamped(p, 0, LENGTH) && region_faults(fd) == before, "%s: and then none", kind);
	munmap(p, LENGTH);
	p = map(fd, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	before = region_faults(fd);
	TAP_EQ(madvise(p, LENGTH, MADV_POPULATE_WRITE), 0, "%s: MADV_POPULATE_WRITE", kind);
	TAP_EQ(region_faults(fd) - before, LENGTH / EXTENT, "%s: takes a fault an extent", kind);
	before = region_faults(fd);
	stamp(p);
	TAP_EQ(region_faults(fd) - before, 0, "%s: and then none, for stores either", kind);
	munmap(p, LENGTH);
}

/* Whatever is advised, and wherever pages are asked to go: the data stays. */
static void advised(int fd)
{
	unsigned long nodes = 1;
	int refused = 0;
	char *p = map(fd, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	bool good = stamped(p, 0, LENGTH);

	TAP_OK(!madvise(p, LENGTH, MADV_DONTNEED) && stamped(p, 0, LENGTH),
	       "%s: MADV_DONTNEED keeps the data", kind);
	TAP_OK(!madvise(p + PAGE, 3 * PAGE, MADV_DONTNEED) && stamped(p, 0, LENGTH),
	       "%s: of a few pages, too", kind);
	for (int advice = 0; advice < 64; advice++) {
		if (madvise(p, LENGTH, advice))
			refused++;
		if (!stamped(p, 0, LENGTH)) {
			good = false;
			tap_diag("advice %d lost data", advice);
			stamp(p);
		}
		madvise(p + PAGE, EXTENT, advice);
		if (!stamped(p, 0, LENGTH)) {
			good = false;
			tap_diag("advice %d on a part lost data", advice);
			stamp(p);
		}
	}
	TAP_OK(good && refused, "%s: no advice loses any", kind);
	munmap(p, LENGTH);

	p = map(fd, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	good = stamped(p, 0, LENGTH);
	syscall(SYS_mbind, p, LENGTH, MPOL_BIND, &nodes, 64, MPOL_MF_MOVE | MPOL_MF_MOVE_ALL);
	good = good && stamped(p, 0, LENGTH);
	for (int i = 0; i < 4; i++) {
		void *page = p + i * EXTENT;
		int node = 0, status;

		syscall(SYS_move_pages, 0, 1UL, &page, &node, &status, MPOL_MF_MOVE_ALL);
	}
	TAP_OK(good && stamped(p, 0, LENGTH), "%s: nor does mbind or move_pages", kind);
	munmap(p, LENGTH);
}

static void protected(int fd)
{
	char *p = map(fd, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

	stamp(p);
	TAP_EQ(mprotect(p, LENGTH, PROT_READ), 0, "%s: mprotect to read-only", kind);
	TAP_EQ(touch_write(p + EXTENT, 1), SIGSEGV, "%s: a store is SIGSEGV", kind);
	TAP_OK(stamped(p, 0, LENGTH), "%s: reading goes on", kind);
	TAP_EQ(mprotect(p, LENGTH, PROT_READ | PROT_WRITE), 0, "%s: and back", kind);
	TAP_OK(!touch_write(p + EXTENT + 100, 1), "%s: stores work again", kind);
	TAP_EQ(mprotect(p + EXTENT + 16 * PAGE, PAGE, PROT_NONE), 0,
	       "%s: one page of a 2 MiB mapping is closed", kind);
	TAP_OK(touch_read(p + EXTENT + 16 * PAGE) == SIGSEGV && stamped(p, 0, EXTENT + 16 * PAGE) &&
	       stamped(p + EXTENT + 17 * PAGE, EXTENT + 17 * PAGE, LENGTH - EXTENT - 17 * PAGE),
	       "%s: that one, no other", kind);
	TAP_OK(!mprotect(p + EXTENT + 16 * PAGE, PAGE, PROT_READ | PROT_WRITE) &&
	       stamped(p, 0, LENGTH), "%s: and opened", kind);
	munmap(p, LENGTH);
}

static void unmapped(int fd)
{
	char *p = map(fd, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

	TAP_OK(stamped(p, 0, LENGTH) && !munmap(p + 2 * EXTENT, EXTENT),
	       "%s: an extent in the middle is unmapped", kind);
	TAP_OK(!munmap(p + 4 * EXTENT + 7 * PAGE, 2 * PAGE),
	       "%s: two pages inside a 2 MiB mapping are", kind);
	TAP_OK(touch_read(p + 2 * EXTENT) == SIGSEGV &&
	       touch_read(p + 4 * EXTENT + 8 * PAGE) == SIGSEGV, "%s: both are gone", kind);
	TAP_OK(stamped(p, 0, 2 * EXTENT) &&
	       stamped(p + 3 * EXTENT, 3 * EXTENT, EXTENT + 7 * PAGE) &&
	       stamped(p + 4 * EXTENT + 9 * PAGE, 4 * EXTENT + 9 * PAGE, 4 * EXTENT - 9 * PAGE),
	       "%s: all around them is there", kind);
	TAP_OK(mmap(p + 2 * EXTENT, EXTENT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		    2 * EXTENT) == p + 2 * EXTENT && stamped(p, 0, 4 * EXTENT),
	       "%s: mapped again, it is as before", kind);
	munmap(p, LENGTH);
}

static void moved(int fd)
{
	char *p = map(fd, 2 * EXTENT, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	char *room = mmap(NULL, 3 * LENGTH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *odd = room + 3 * PAGE + ((uint64_t)room & PAGE), *q;

	TAP_OK(stamped(p, 0, 2 * EXTENT), "%s: mapped in part", kind);
	q = mremap(p, 2 * EXTENT, LENGTH, MREMAP_MAYMOVE);
	if (!TAP_OK(q != MAP_FAILED && stamped(q, 0, LENGTH), "%s: mremap grows it", kind))
		return;
	p = mremap(q, LENGTH, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, odd);
	TAP_OK(p == odd && stamped(p, 0, LENGTH), "%s: and moves it to an odd address", kind);
	TAP_EQ(touch_read(q), SIGSEGV, "%s: where it was is nothing", kind);
	TAP_EQ(touch_write(p + 5 * EXTENT + 9, 1), 0, "%s: it takes stores", kind);
	q = mremap(p, LENGTH, EXTENT, 0);
	TAP_OK(q == p && stamped(q, 0, EXTENT) && touch_read(q + EXTENT) == SIGSEGV,
	       "%s: mremap shrinks it", kind);
	p = mremap(q, 0, LENGTH, MREMAP_MAYMOVE);
	TAP_OK(p != MAP_FAILED && stamped(p, 0, LENGTH) && stamped(q, 0, EXTENT),
	       "%s: and doubles it", kind);
	if (p != MAP_FAILED) {
		p[9] = 42;
		TAP_EQ(((volatile char *)q)[9], 42, "%s: both are one memory", kind);
		munmap(p, LENGTH);
	}
	munmap(room, 3 * LENGTH);
}

static void flushed(int fd)
{
	char *p = map(fd, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

	stamp(p);
	TAP_EQ(msync(p, LENGTH, MS_SYNC), 0, "%s: msync", kind);
	TAP_EQ(msync(p + PAGE, PAGE, MS_SYNC), 0, "%s: msync of a page", kind);
	TAP_EQ(msync(p, LENGTH, MS_ASYNC), 0, "%s: MS_ASYNC", kind);
	TAP_EQ(fsync(fd), 0, "%s: fsync", kind);
	TAP_EQ(fdatasync(fd), 0, "%s: fdatasync", kind);
	TAP_OK(stamped(p, 0, LENGTH), "%s: nothing changes by it", kind);
	munmap(p, LENGTH);
	TAP_ERR((long)map(fd, EXTENT, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, 0),
		EOPNOTSUPP, "%s: MAP_SYNC is not promised", kind);
	TAP_OK(ftruncate(fd, EXTENT) && sysfs_number("hmem", "c", "size") == LENGTH,
	       "%s: ftruncate does not resize it", kind);
}

static void checks(int control, const struct pool *pool)
{
	char *p;
	int fd;

	kind = pool->kind;
	must(region_create(control, "c", pool->name, LENGTH), "create");
	fd = must_open("c", O_RDWR);
	p = must_map(fd, LENGTH);
	stamp(p);
	munmap(p, LENGTH);
	privately(fd);
	read_only();
	past_the_end(fd);
	small(fd);
	locked(fd);
	advised(fd);
	protected(fd);
	unmapped(fd);
	moved(fd);
	flushed(fd);
	close(fd);
	TAP_EQ(region_destroy(control, "c"), 0, "%s: destroy", kind);
}

int main(void)
{
	touch_catch();
	on_every_pool(must_begin_cxl(), LENGTH, checks);
	return tap_done();
}
