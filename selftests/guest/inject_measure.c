// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is measured of a pool when it is claimed is there, is used unless a knob says otherwise,
 * changes nothing that is stored, and may fail.
 *
 * hmem-test: topology=mixed kernels=lts,newest timeout=240
 */
#include "inject.h"
#include "near.h"

#include <pthread.h>

#define ALLOCATE	"__folio_alloc_noprof"
#define KERNEL_COPY	"copy_mc_to_kernel"
#define EXTENTS		8
#define HOT		2
#define LENGTH		(EXTENTS * EXTENT)
#define PATIENCE	patience(60)

static const char *const names[] = { "near_ns", "home_ns", "copy_extent_ns", "copy_page_ns" };
enum { NEAR_NS, HOME_NS, COPY_EXTENT_NS, COPY_PAGE_NS, NAMES };

static const char *kind;
static char *base;
static volatile int stop;

/* All that is said of a pool. */
static void costs(const char *pool, unsigned long long *ns)
{
	for (unsigned int i = 0; i < NAMES; i++) {
		char path[256];
		FILE *f;

		snprintf(path, sizeof(path), "/sys/class/hmem_pool/%s/%s", pool, names[i]);
		f = fopen(path, "re");
		if (!f || fscanf(f, "%llu", &ns[i]) != 1)
			tap_bail("cannot read %s", path);
		fclose(f);
	}
}

static bool none(const char *pool)
{
	unsigned long long ns[NAMES];

	costs(pool, ns);
	return !ns[NEAR_NS] && !ns[HOME_NS] && !ns[COPY_EXTENT_NS] && !ns[COPY_PAGE_NS];
}

static void *reader(void *unused)
{
	unsigned int n = 0;

	(void)unused;
	while (!stop) {
		for (unsigned int i = 0; i < 2000; i++, n++)
			(void)*(volatile char *)(base + n % HOT * EXTENT + n / HOT % 512 * 4096);
		usleep(1000);
	}
	return NULL;
}

/* Waits until the hot extents are near, or it has looked at them @touches times more. */
static bool comes_near(int fd, uint64_t touches)
{
	uint64_t before = near_stats(fd).touches;
	time_t end = time(NULL) + PATIENCE;

	do {
		struct hmem_stats s = near_stats(fd);

		if (s.near >= HOT * EXTENT)
			return true;
		if (touches && s.touches > before + touches)
			return false;
		usleep(20000);
	} while (time(NULL) < end);
	tap_diag("%s: nothing came of it in %d s", kind, PATIENCE);
	return false;
}

static void measured(int control, const struct pool *pool)
{
	unsigned long long ns[NAMES];
	pthread_t thread;
	int fd;

	kind = pool->kind;
	costs(pool->name, ns);
	tap_diag("%s: %llu ns near, %llu at home, %llu to copy an extent, %llu a page", kind,
		 ns[NEAR_NS], ns[HOME_NS], ns[COPY_EXTENT_NS], ns[COPY_PAGE_NS]);
	TAP_OK(ns[NEAR_NS] && ns[HOME_NS] > ns[NEAR_NS], "%s: home is farther than DRAM", kind);
	TAP_OK(ns[COPY_PAGE_NS] && ns[COPY_EXTENT_NS] >= 100 * ns[COPY_PAGE_NS],
	       "%s: and an extent takes longer than a page", kind);

	must(region_create(control, "m", pool->name, LENGTH), "create");
	fd = must_open("m", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	must(knob_set(fd, "budget_ppm", 200000), "budget_ppm");
	must(knob_set(fd, "split", 0), "split");
	must(knob_set(fd, "near_ns", 200), "near_ns");
	must(knob_set(fd, "home_ns", 200), "home_ns");
	base = must_map(fd, LENGTH);
	memset(base, 1, LENGTH);
	stop = 0;
	if (pthread_create(&thread, NULL, reader, NULL))
		tap_bail("no thread");
	must(policy_mode_set(fd, HMEM_POLICY_AUTO), "auto");
	TAP_OK(!comes_near(fd, 100), "%s: without a gap nothing moves: a knob counts", kind);
	must(knob_set(fd, "near_ns", 0), "near_ns");
	must(knob_set(fd, "home_ns", 0), "home_ns");
	TAP_OK(comes_near(fd, 0), "%s: by what was measured it does", kind);
	stop = 1;
	pthread_join(thread, NULL);
	TAP_OK(pages_hold(base, LENGTH, 1), "%s: the data is what it was", kind);
	munmap(base, LENGTH);
	close(fd);
	must(region_destroy(control, "m"), "destroy");
}

static int attach(int control, const char *pool)
{
	return pool_attach_cxl(control, pool, 0, NULL);
}

static void fails(int control)
{
	char pool[HMEM_NAME_LEN];
	int fd;

	must_cxl("pmem", pool);
	must(pool_attach_cxl(control, pool, HMEM_ATTACH_FORMAT, NULL), "attach");
	TAP_OK(!none(pool), "it is measured");
	must(region_create(control, "kept", pool, EXTENT), "create");
	fd = must_open("kept", O_RDWR);
	base = must_map(fd, EXTENT);
	memset(base, 7, EXTENT);
	munmap(base, EXTENT);
	close(fd);
	must(pool_detach(control, pool), "detach");

	inject(ALLOCATE " 0 1 1 hmem 0");
	TAP_EQ(attach(control, pool), 0, "without DRAM to measure with a pool is attached");
	TAP_EQ(inject_end(ALLOCATE), 1, "there was none");
	TAP_OK(none(pool), "and nothing is known");
	must(pool_detach(control, pool), "detach");
	/* Reads of it, copies, reads of DRAM: at first the module reads its superblock. */
	for (int first = 40; first <= 760; first += 240) {
		inject(KERNEL_COPY " all %d 1 hmem 0", first);
		TAP_EQ(attach(control, pool), 0, "memory that reports an error, call %d", first);
		TAP_EQ(inject_end(KERNEL_COPY), 1, "once");
		TAP_OK(!none(pool), "another extent is measured");
		must(pool_detach(control, pool), "detach");
	}
	inject(KERNEL_COPY " all 40 0 hmem 0");
	TAP_EQ(attach(control, pool), 0, "all of it reports errors");
	TAP_EQ(inject_end(KERNEL_COPY), 3, "three extents are tried");
	TAP_OK(none(pool), "and nothing is known");
	must(pool_detach(control, pool), "detach");
	must(attach(control, pool), "attach");
	TAP_OK(!none(pool), "the next time it is");
	fd = must_open("kept", O_RDWR);
	base = must_map(fd, EXTENT);
	TAP_OK(pages_hold(base, EXTENT, 7), "and what is stored there is what it was");
	munmap(base, EXTENT);
	close(fd);
	sweep(control);
	cxl_end(pool);
}

int main(void)
{
	int control = must_begin_inject();

	on_every_pool(control, 64 * MIB, measured);
	fails(control);
	return tap_done();
}
