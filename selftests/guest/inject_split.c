// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hot pages of split extents for which there is no DRAM: they stay at home, mapped, and whoever
 * touches them is not made to fault for it; nothing counts as a move that failed; and when there is
 * DRAM they come near.
 *
 * hmem-test: topology=ram1 kernels=newest long=lts timeout=240
 */
#include "inject.h"
#include "splitting.h"

#include <sys/resource.h>

#define ALLOCATE	"__folio_alloc_noprof"
#define EXTENTS		4U
#define LENGTH		(EXTENTS * EXTENT)
#define PAGES		(LENGTH / 4096)
#define LOOKS		20		/* at each extent */
#define BOUND		EXTENT

static unsigned int hot_near(int fd)
{
	unsigned int near = 0;

	for (unsigned int n = 0; n < EXTENTS * HOT; n++)
		near += page_is_near(fd, hot(n));
	return near;
}

/* Until each extent was looked at so often. */
static struct hmem_stats looked_at(int fd, unsigned int times)
{
	struct hmem_stats before = near_stats(fd), now;
	time_t end = time(NULL) + patience(60);

	do {
		usleep(20000);
		now = near_stats(fd);
	} while (now.scanned - before.scanned < times * PAGES && time(NULL) < end);
	if (now.scanned - before.scanned < times * PAGES)
		tap_bail("%llu pages were looked at in a minute",
			 (unsigned long long)(now.scanned - before.scanned));
	return now;
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

static void without_dram(int fd, const char *p)
{
	struct splitting s = { .fd = fd, .p = p, .extents = EXTENTS };
	struct hmem_stats before, after;
	time_t end = time(NULL) + patience(60);
	pthread_t thread;
	long faulted;

	/* Alike at home, they would become whole, and be probed as that. */
	must(knob_set(fd, "collapse_scans", 255), "collapse_scans");
	must(near_max_set(fd, 0), "near_max");
	must(near_max_set(fd, BOUND), "near_max");
	TAP_EQ(hot_near(fd), 0, "all is at home");
	inject(ALLOCATE " 0 1 0 hmem 0");
	if (pthread_create(&thread, NULL, hot_reader, &s))
		tap_bail("no thread");
	before = near_stats(fd);
	must(policy_mode_set(fd, HMEM_POLICY_AUTO), "auto");
	/* What was split before is looked at as a whole first. */
	while (near_stats(fd).splits < before.splits + EXTENTS && time(NULL) < end)
		usleep(20000);
	TAP_EQ(near_stats(fd).splits, before.splits + EXTENTS, "extents are split without DRAM");
	before = looked_at(fd, 3);
	TAP_OK(inject_look(ALLOCATE) > 0, "DRAM is asked for, and there is none");
	faulted = faults();
	after = looked_at(fd, LOOKS);
	faulted = faults() - faulted;
	tap_diag("%ld faults, %llu of %llu pages seen", faulted,
		 (unsigned long long)(after.seen - before.seen),
		 (unsigned long long)(after.scanned - before.scanned));
	TAP_OK(after.seen - before.seen > LOOKS * HOT, "what is hot is seen");
	TAP_OK(faulted < EXTENTS * HOT, "and does not fault at each look");
	TAP_OK(!hot_near(fd) && after.aborted == before.aborted &&
		       after.collapses == before.collapses && after.splits == before.splits,
	       "nothing moves, and no move failed");
	TAP_OK(inject_end(ALLOCATE) > 0, "there was none to the end");
	while (hot_near(fd) < EXTENTS * HOT && time(NULL) < end)
		usleep(50000);
	TAP_EQ(hot_near(fd), EXTENTS * HOT, "with DRAM all of it comes near");
	s.stop = 1;
	pthread_join(thread, NULL);
}

int main(void)
{
	int control = must_begin_inject(), fd;
	char pool[HMEM_NAME_LEN];
	char *p;

	must_cxl("ram", pool);
	must(pool_attach_cxl(control, pool, 0, NULL), "attach");
	must(region_create(control, "split", pool, LENGTH), "create");
	fd = must_open("split", O_RDWR);
	must(near_max_set(fd, BOUND), "near_max");
	p = must_map(fd, LENGTH);
	memset(p, 1, LENGTH);
	split_all(fd, p, EXTENTS);
	without_dram(fd, p);
	munmap(p, LENGTH);
	close(fd);
	must(region_destroy(control, "split"), "destroy");
	must(pool_detach(control, pool), "detach");
	cxl_end(pool);
	return tap_done();
}
