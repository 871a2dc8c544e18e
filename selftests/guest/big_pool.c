// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pool of 64 GiB: creating a region takes no longer the larger it is, a thousand regions
 * exist at once, and the table ends where HMEM_VERSION says.
 *
 * hmem-test: topology=big1 kernels=newest long=lts timeout=180
 */
#include "pools.h"

#define GIB		(1024 * MIB)
#define ROUNDS		25
#define REGIONS		1000

static int control;
static char pool[HMEM_NAME_LEN];

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t median(uint64_t *values, int count)
{
	qsort(values, count, sizeof(*values), ascending);
	return values[count / 2];
}

static uint64_t time_create(uint64_t bytes)
{
	uint64_t start = now_ns(), end;

	must(region_create(control, "t", pool, bytes), "create");
	end = now_ns();
	must(region_destroy(control, "t"), "destroy");
	return end - start;
}

static void create_time(void)
{
	uint64_t all = pool_free(pool), small[ROUNDS], large[ROUNDS], s, l;

	TAP_OK(all > 60 * GIB, "the pool has %llu GiB", (unsigned long long)(all / GIB));
	time_create(64 * MIB);
	for (int i = 0; i < ROUNDS; i++) {
		small[i] = time_create(64 * MIB);
		large[i] = time_create(all);
	}
	s = median(small, ROUNDS);
	l = median(large, ROUNDS);
	tap_diag("medians of %d: 64 MiB %llu us, all %llu us", ROUNDS,
		 (unsigned long long)s / 1000, (unsigned long long)l / 1000);
	/* Zeroing at creation would make it a thousand times. */
	TAP_OK(l < 3 * s, "creating a region of all of it takes no longer than one of 64 MiB");

	/* Nor does giving it back depend on what was never touched. */
	must(region_create(control, "t", pool, all), "create");
	int fd = must_open("t", O_RDWR);
	volatile char *p = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	bool zero = p != MAP_FAILED;

	for (uint64_t at = 0; zero && at < all; at += 4 * GIB + 6 * MIB)
		zero = !p[at] && !p[at + EXTENT - 1];
	TAP_OK(zero && !p[all - 1], "all of it maps at once and reads as zeroes, from end to end");
	if (p != MAP_FAILED)
		munmap((void *)p, all);
	close(fd);
	TAP_EQ(region_destroy(control, "t"), 0, "destroy");
}

static void thousand(unsigned int max_regions)
{
	unsigned int i, wrong = 0, created;
	uint64_t all = pool_free(pool);
	char name[32];
	int rc = 0;

	for (i = 0; i < REGIONS; i++) {
		snprintf(name, sizeof(name), "region-%u", i);
		rc = region_create(control, name, pool, EXTENT);
		if (rc)
			break;
	}
	TAP_EQ(rc, 0, "a thousand regions are created (%u)", i);
	TAP_EQ(sysfs_number("hmem_pool", pool, "regions"), REGIONS, "the pool counts them");
	TAP_EQ(class_names("hmem", NULL, 0), REGIONS, "sysfs shows them");
	for (i = 0; i < REGIONS; i += 40) {
		snprintf(name, sizeof(name), "region-%u", i);
		int fd = region_open(name, O_RDWR);

		if (fd < 0 || pwrite(fd, name, sizeof(name), 0) != sizeof(name))
			wrong++;
		if (fd >= 0)
			close(fd);
	}
	for (i = 0; i < REGIONS; i += 40) {
		char found[32] = "";

		snprintf(name, sizeof(name), "region-%u", i);
		int fd = region_open(name, O_RDONLY);

		if (fd < 0 || read(fd, found, sizeof(found)) != sizeof(found) ||
		    strcmp(found, name))
			wrong++;
		if (fd >= 0)
			close(fd);
	}
	TAP_EQ(wrong, 0, "each has its own memory");

	for (created = REGIONS; created < max_regions; created++) {
		snprintf(name, sizeof(name), "region-%u", created);
		rc = region_create(control, name, pool, EXTENT);
		if (rc)
			break;
	}
	TAP_EQ(created, max_regions, "as many as HMEM_VERSION says");
	TAP_EQ(region_create(control, "one-more", pool, EXTENT), -EMFILE, "one more is EMFILE");
	TAP_EQ(pool_free(pool), all - created * EXTENT, "and takes nothing");
	for (i = 0; i < created; i++) {
		/* From both ends, so that what is free is not one piece for long. */
		snprintf(name, sizeof(name), "region-%u", i & 1 ? created - 1 - i / 2 : i / 2);
		rc = region_destroy(control, name);
		if (rc)
			wrong++;
	}
	TAP_EQ(wrong, 0, "all of them are destroyed");
	TAP_EQ(pool_free(pool), all, "the pool has everything back");
	TAP_EQ(class_names("hmem", NULL, 0), 0, "no region is left");
}

int main(void)
{
	struct hmem_version v = { .size = sizeof(v) };

	control = must_begin_cxl();
	must(hmem_ioctl(control, HMEM_VERSION, &v), "version");
	must_cxl("ram", pool);
	must(pool_attach_cxl(control, pool, 0, NULL), "attach");
	create_time();
	thousand(v.max_regions);
	TAP_EQ(pool_detach(control, pool), 0, "detach");
	cxl_end(pool);
	return tap_done();
}
