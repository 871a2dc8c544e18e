// SPDX-License-Identifier: GPL-2.0-only
/*
 * For near copies nothing is reclaimed. Where a cgroup may have no more, or the machine has no
 * more, and there is page cache in plenty that could give way, extents stay at home, and neither
 * kswapd nor anybody else scans a page for them.
 *
 * hmem-test: topology=none alone kernels=newest long=lts timeout=180
 */
#include "fixture.h"
#include "near.h"

#include <inttypes.h>
#include <sys/mount.h>

#define LENGTH		(64 * EXTENT)
#define PAGES		(EXTENT / 4096)
#define CGROUPS		"/sys/fs/cgroup"
#define CGROUP		CGROUPS "/storm"
#define DISK		"/dev/vda"	/* which the guest runs from: large enough */
#define CACHE		(48 * MIB)
#define ROUNDS		10

static int fd;
static char *p;

static void put(const char *path, const char *text)
{
	int length = (int)strlen(text);
	int file = open(path, O_WRONLY | O_CLOEXEC);

	if (file < 0 || write(file, text, length) != length)
		tap_bail("%s: %s", path, strerror(errno));
	close(file);
}

static void put_number(const char *path, uint64_t number)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	put(path, text);
}

/* Where @path has "@name NUMBER"; the sum of all whose names begin so. */
static uint64_t number(const char *path, const char *name)
{
	unsigned long long value;
	uint64_t sum = 0;
	bool found = false;
	char line[256];
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f)) {
		char *space = strpbrk(line, " :");

		if (strncmp(line, name, strlen(name)) || !space ||
		    sscanf(space + 1, "%llu", &value) != 1)
			continue;
		sum += value;
		found = true;
	}
	if (!found)
		tap_bail("no %s in %s", name, path);
	fclose(f);
	return sum;
}

/* All that reclaim does, to the machine. */
static uint64_t reclaimed(void)
{
	return number("/proc/vmstat", "pgscan_kswapd") + number("/proc/vmstat", "pgscan_direct") +
	       number("/proc/vmstat", "pgsteal_") + number("/proc/vmstat", "allocstall_") +
	       number("/proc/vmstat", "compact_stall");
}

/* The same, when it has come to rest: what was woken goes on for a moment. */
static uint64_t reclaimed_at_rest(void)
{
	uint64_t before, now = reclaimed();
	int same = 0;

	for (int i = 0; same < 3 && i < 1000; i++) {
		usleep(50000);
		before = now;
		now = reclaimed();
		same = now == before ? same + 1 : 0;
	}
	return now;
}

static void read_disk(uint64_t bytes)
{
	int disk = open(DISK, O_RDONLY | O_CLOEXEC);
	static char buffer[MIB];
	ssize_t n = 1;

	for (uint64_t done = 0; n > 0 && done < bytes; done += n)
		n = read(disk, buffer, sizeof(buffer));
	if (n <= 0)
		tap_bail("%s: %s", DISK, n ? strerror(errno) : "too small");
	close(disk);
}

static uint64_t near_extents(void)
{
	return near_stats(fd).near / EXTENT;
}

static bool all_there(void)
{
	for (uint64_t i = 0; i < LENGTH / 4096; i++)
		if (*(volatile uint64_t *)(p + i * 4096) != i)
			return false;
	return true;
}

static void begin(int control)
{
	must(region_create(control, "r", "pool", LENGTH), "create");
	fd = must_open("r", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	p = must_map(fd, LENGTH);
	for (uint64_t i = 0; i < LENGTH / 4096; i++)
		*(uint64_t *)(p + i * 4096) = i;
}

static void end(int control)
{
	munmap(p, LENGTH);
	close(fd);
	must(region_destroy(control, "r"), "destroy");
}

/* What finds no DRAM goes on at home. */
static void goes_on(const char *where)
{
	TAP_OK(all_there(), "%s: all is there", where);
	for (uint64_t i = 0; i < LENGTH / 4096; i++)
		*(volatile uint64_t *)(p + i * 4096) = i;
	TAP_OK(all_there(), "%s: and is stored to", where);
}

static uint64_t of_cgroup(const char *name)
{
	return number(CGROUP "/memory.stat", name);
}

/* When there is memory again: what was freed is in many hands for a moment, and reclaim goes on. */
static bool all_comes_near(void)
{
	time_t end = time(NULL) + patience(30);
	struct hmem_migrate m;

	do {
		must(migrate(fd, 0, 0, HMEM_NEAR, &m), "migrate");
		if (near_extents() == LENGTH / EXTENT)
			return true;
		usleep(100000);
	} while (time(NULL) < end);
	return false;
}

/* Of a cgroup, whose creator of a region has read a file before. */
static void cgroup(int control)
{
	uint64_t file, scanned, stolen, all;
	struct hmem_migrate m;

	put_number(CGROUP "/cgroup.procs", (uint64_t)getpid());
	begin(control);
	read_disk(CACHE);
	file = of_cgroup("file ");
	TAP_OK(file >= CACHE / 2, "a cgroup: has %" PRIu64 " MiB of page cache",
	       file / (uint64_t)MIB);
	put_number(CGROUP "/memory.max", number(CGROUP "/memory.stat", "anon ") + file +
						 number(CGROUP "/memory.stat", "kernel ") + 5 * EXTENT);
	scanned = of_cgroup("pgscan");
	stolen = of_cgroup("pgsteal");
	all = reclaimed_at_rest();
	for (int i = 0; i < ROUNDS; i++)
		must(migrate(fd, 0, 0, HMEM_NEAR, &m), "migrate");
	TAP_OK(m.pages[HMEM_MOVED_NO_MEMORY] >= 8 * PAGES &&
	       m.pages[HMEM_MOVED_NO_MEMORY] < LENGTH / 4096,
	       "a cgroup: may have %" PRIu64 " extents near", near_extents());
	TAP_EQ(of_cgroup("pgscan"), scanned, "a cgroup: nothing was scanned for them");
	TAP_EQ(of_cgroup("pgsteal"), stolen, "a cgroup: nor reclaimed");
	TAP_OK(of_cgroup("file ") >= file, "a cgroup: its page cache is what it was");
	TAP_EQ(reclaimed_at_rest(), all, "a cgroup: nor anything elsewhere");
	goes_on("a cgroup");
	put(CGROUP "/memory.max", "max");
	TAP_OK(all_comes_near(), "a cgroup: when it may have more, all is near");
	put_number(CGROUPS "/cgroup.procs", (uint64_t)getpid());
	end(control);
}

/* Of all memory but some 200 MiB nothing can be reclaimed, and in those there is page cache. */
static void machine(int control)
{
	uint64_t bytes = (number("/proc/meminfo", "MemAvailable") << 10) - 200 * MIB, grown = 1;
	struct hmem_migrate m;
	char *hog;
	int round;

	begin(control);
	put_number("/proc/sys/vm/drop_caches", 1);
	hog = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_NORESERVE, -1, 0);
	if (hog == MAP_FAILED || mlock(hog, bytes))
		tap_bail("%" PRIu64 " bytes: %s", bytes, strerror(errno));
	read_disk(400 * MIB);
	/* Others need memory as well, and then kswapd works for them: not each time. */
	for (round = 0; grown && round < ROUNDS; round++) {
		uint64_t before = reclaimed_at_rest();

		must(migrate(fd, 0, 0, HMEM_NEAR, &m), "migrate");
		grown = reclaimed_at_rest() - before;
		/* Somebody has made room. */
		if (!m.pages[HMEM_MOVED_NO_MEMORY])
			break;
	}
	TAP_OK(m.pages[HMEM_MOVED_NO_MEMORY], "a full machine: there is not enough for all");
	TAP_EQ(grown, 0, "a full machine: nothing is scanned or reclaimed (try %d)", round);
	tap_diag("%llu pages found no memory; %" PRIu64 " extents near, %" PRIu64 " MiB free, %" PRIu64
		 " of page cache", (unsigned long long)m.pages[HMEM_MOVED_NO_MEMORY],
		 near_extents(), number("/proc/meminfo", "MemFree") >> 10,
		 number("/proc/meminfo", "Buffers") >> 10);
	goes_on("a full machine");
	munmap(hog, bytes);
	TAP_OK(all_comes_near(), "a full machine: when it is not, all is near");
	TAP_OK(all_there(), "a full machine: and there");
	end(control);
}

/* A kernel of small configuration may do without. */
static bool counts_events(void)
{
	char line[256];
	bool counts = false;
	FILE *f = fopen("/proc/vmstat", "re");

	while (f && !counts && fgets(line, sizeof(line), f))
		counts = !strncmp(line, "pgscan_kswapd", strlen("pgscan_kswapd"));
	if (f)
		fclose(f);
	return counts;
}

int main(void)
{
	int control;

	if (!counts_events())
		tap_skip_all("the kernel does not count what it reclaims (CONFIG_VM_EVENT_COUNTERS)");
	control = must_begin();

	if (access(CGROUPS "/cgroup.controllers", F_OK) &&
	    mount("none", CGROUPS, "cgroup2", 0, NULL))
		tap_bail("no cgroup v2: %s", strerror(errno));
	put(CGROUPS "/cgroup.subtree_control", "+memory");
	if (mkdir(CGROUP, 0755) && errno != EEXIST)
		tap_bail("no cgroup: %s", strerror(errno));
	must(pool_attach_ram(control, "pool", LENGTH), "attach");
	cgroup(control);
	machine(control);
	rmdir(CGROUP);
	return tap_done();
}
