// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings are of 2 MiB wherever the address allows: counted in faults, and on system RAM
 * also seen in smaps.
 *
 * hmem-test: topology=mixed kernels=lts,newest
 */
#include "pools.h"

#define EXTENTS		32
#define LENGTH		(EXTENTS * EXTENT)

static const char *kind;

/* kB of the mapping at @address that smaps counts under @field; -1 if it has no such line. */
static long smaps_kb(const void *address, const char *field)
{
	unsigned long start, end;
	bool inside = false;
	char line[512];
	long kb = -1;
	FILE *f = fopen("/proc/self/smaps", "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2 && strchr(line, '-'))
			inside = start <= (unsigned long)address && (unsigned long)address < end;
		else if (inside && !strncmp(line, field, strlen(field)))
			sscanf(line + strlen(field), ": %ld", &kb);
	}
	if (f)
		fclose(f);
	return kb;
}

static void touch(volatile char *p, uint64_t length, uint64_t step)
{
	for (uint64_t i = 0; i < length; i += step)
		p[i] = p[i] + 1;
}

static int touch_all_of_it(void *unused)
{
	int fd = region_open("f", O_RDWR);
	char *p = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	(void)unused;
	if (p == MAP_FAILED)
		return 1;
	touch(p, LENGTH, 4096);
	return 0;
}

/* With transparent huge pages off for the process: slower, and just as right. */
static int without_huge_pages(void *unused)
{
	int fd = region_open("f", O_RDWR);
	volatile char *p;
	char before;

	(void)unused;
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		return 1;
	p = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return 2;
	before = p[EXTENT];
	touch(p, 4 * EXTENT, 4096);
	return p[EXTENT] != (char)(before + 1);
}

static void checks(int control, const struct pool *pool)
{
	struct hmem_region_query info;
	uint64_t before;
	char *p, *q;
	int fd;

	kind = pool->kind;
	must(region_create(control, "f", pool->name, LENGTH), "create");
	fd = must_open("f", O_RDWR);
	TAP_EQ(region_faults(fd), 0, "%s: no faults yet", kind);
	p = must_map(fd, LENGTH);
	TAP_EQ((uint64_t)p % EXTENT, 0, "%s: mmap picks an address that allows 2 MiB", kind);
	TAP_EQ(region_faults(fd), 0, "%s: mmap itself faults nothing in", kind);
	touch(p, LENGTH, 4096);
	TAP_EQ(region_faults(fd), EXTENTS, "%s: 64 MiB take 32 faults", kind);
	TAP_OK(!region_info(fd, &info) && info.extents_used == EXTENTS,
	       "%s: 32 extents have been used", kind);
	TAP_EQ(sysfs_number("hmem", "f", "faults"), EXTENTS, "%s: sysfs counts the same", kind);
	TAP_EQ(sysfs_number("hmem", "f", "extents_used"), EXTENTS, "%s: extents, too", kind);
	if (pool->dram)
		TAP_OK(smaps_kb(p, "FilePmdMapped") == LENGTH / 1024 ||
		       smaps_kb(p, "ShmemPmdMapped") == LENGTH / 1024,
		       "%s: smaps shows all of it mapped by PMDs", kind);
	TAP_EQ(smaps_kb(p, "Rss"), LENGTH / 1024, "%s: and all of it resident", kind);

	before = region_faults(fd);
	touch(p, LENGTH, 4096);
	TAP_EQ(region_faults(fd) - before, 0, "%s: what is mapped faults no more", kind);
	if (madvise(p, LENGTH, MADV_DONTNEED))
		tap_bail("MADV_DONTNEED: %s", strerror(errno));
	touch(p, LENGTH, 4096);
	TAP_EQ(region_faults(fd) - before, EXTENTS, "%s: 32 refaults after MADV_DONTNEED", kind);
	TAP_OK(!region_info(fd, &info) && info.extents_used == EXTENTS,
	       "%s: which use nothing more", kind);

	before = region_faults(fd);
	TAP_EQ(run_as(0, touch_all_of_it, NULL), 0, "%s: another process maps it", kind);
	TAP_EQ(region_faults(fd) - before, EXTENTS, "%s: with 32 faults of its own", kind);

	before = region_faults(fd);
	q = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	TAP_OK(q != MAP_FAILED && region_faults(fd) - before == EXTENTS,
	       "%s: MAP_POPULATE takes 32 faults", kind);
	touch(q, LENGTH, 4096);
	TAP_EQ(region_faults(fd) - before, EXTENTS, "%s: and leaves none to come", kind);
	munmap(q, LENGTH);

	/* Read first, write later: the write may fault once more per extent, not per page. */
	before = region_faults(fd);
	q = must_map(fd, LENGTH);
	TAP_OK(pages_hold(q, LENGTH, 5), "%s: every touch so far has left its mark", kind);
	uint64_t reads = region_faults(fd) - before;

	TAP_EQ(reads, EXTENTS, "%s: reading takes 32 faults", kind);
	touch(q, LENGTH, 4096);
	TAP_OK(region_faults(fd) - before <= 2 * EXTENTS, "%s: then writing at most as many", kind);
	munmap(q, LENGTH);

	/* The offset counts as much as the address. */
	q = mmap(NULL, 4 * EXTENT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, EXTENT / 2);
	TAP_EQ(((uint64_t)q - EXTENT / 2) % EXTENT, 0,
	       "%s: an odd offset is given an address to match", kind);
	munmap(q, 4 * EXTENT);

	/* A length that is no multiple of 2 MiB: the kernel would not align it by itself. */
	for (int i = 0; i < 4; i++) {
		q = mmap(NULL, 3 * EXTENT + (i + 1) * 4096, PROT_READ, MAP_SHARED, fd, 0);
		TAP_EQ((uint64_t)q % EXTENT, 0, "%s: an odd length is given such an address", kind);
		munmap(q, 3 * EXTENT + (i + 1) * 4096);
	}

	/* An address that does not match: 4 KiB pages, the same data. */
	char *room = mmap(NULL, 4 * EXTENT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *odd = (char *)(((uint64_t)room + EXTENT - 1) / EXTENT * EXTENT) + 4096;

	for (uint64_t i = 0; i < 2 * EXTENT; i += 4096)
		*(uint32_t *)(p + i + 8) = i ^ 0x5a5a;
	q = mmap(odd, 2 * EXTENT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	bool good = q == odd;

	for (uint64_t i = 0; good && i < 2 * EXTENT; i += 4096)
		good = *(uint32_t *)(q + i + 8) == (i ^ 0x5a5a);
	TAP_OK(good, "%s: an address that does not match shows the same data", kind);
	munmap(room, 4 * EXTENT);

	TAP_EQ(run_as(0, without_huge_pages, NULL), 0, "%s: without huge pages", kind);
	munmap(p, LENGTH);
	close(fd);
	TAP_EQ(region_destroy(control, "f"), 0, "%s: destroy", kind);
}

int main(void)
{
	on_every_pool(must_begin_cxl(), LENGTH, checks);
	return tap_done();
}
