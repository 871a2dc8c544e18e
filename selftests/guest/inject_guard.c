// SPDX-License-Identifier: GPL-2.0-only
/*
 * A store through a 2 MiB mapping that may not be written, because its soft-dirty bits were
 * cleared, while another thread puts a guard page into it: between the fault's look at the
 * page table and its entry there is a table where the mapping was. The core warns if it is told
 * then to insert a mapping as a write. The same with a guard page where a single page is to be
 * mapped, since another one of its extent is bad.
 *
 * hmem-test: topology=none kernels=newest
 */
#include "inject.h"
#include "poison.h"

#include <pthread.h>

#define ADVISE_GUARD	102	/* MADV_GUARD_INSTALL, from Linux 6.13 on */

static volatile char *p;
static volatile int stored;

static void *store(void *argument)
{
	(void)argument;
	p[0] = 1;
	stored = 1;
	return NULL;
}

/* Whether the kernel ever warned; it does so of one thing once. */
static bool warned(void)
{
	unsigned long taints = 0;
	FILE *f = fopen("/proc/sys/kernel/tainted", "re");

	if (!f || fscanf(f, "%lu", &taints) != 1)
		tap_bail("the kernel does not tell its taints");
	fclose(f);
	return taints & 1 << 9;
}

static volatile int raised;

static void *store_alone(void *argument)
{
	raised = touch_write(p + 5 * 4096, 1);
	return argument;
}

static void alone(int fd, bool warned_before)
{
	pthread_t writer;

	must(poison(fd, HMEM_POISON_REPORT, 100 * 4096, 4096, NULL), "report");
	inject("vmf_insert_page_mkwrite pass 1 1 hmem %d", INJECT_MOMENT_MS);
	if (pthread_create(&writer, NULL, store_alone, NULL))
		tap_bail("no thread");
	inject_wait("vmf_insert_page_mkwrite");
	TAP_EQ(madvise((void *)(p + 5 * 4096), 4096, ADVISE_GUARD), 0,
	       "a guard page where a page is about to be mapped alone");
	inject_go();
	pthread_join(writer, NULL);
	inject_end("vmf_insert_page_mkwrite");
	TAP_EQ(raised, SIGSEGV, "the store meets it");
	TAP_EQ(warned(), warned_before, "the kernel warns of nothing");
}

int main(void)
{
	int control = must_begin_inject(), fd, refs;
	struct hmem_region_query info;
	bool warned_before = warned();
	uint64_t before;
	pthread_t writer;

	must(pool_attach_ram(control, "guard", 4 * EXTENT), "attach a pool");
	must(region_create(control, "g", "guard", EXTENT), "create");
	fd = must_open("g", O_RDWR);
	p = must_map(fd, EXTENT);
	TAP_EQ(touch_read(p) + touch_read(p + EXTENT - 1), 0, "a region is read");
	must(region_info(fd, &info), "query");
	TAP_EQ(info.faults, 1, "through one mapping of 2 MiB");
	before = info.faults;
	refs = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	TAP_EQ(pwrite(refs, "4", 1, 0), 1, "its soft-dirty bits are cleared");
	close(refs);

	inject("vmf_insert_folio_pmd pass 1 0 hmem 300");
	if (pthread_create(&writer, NULL, store, NULL))
		tap_bail("no thread");
	while (!stored && !inject_look("vmf_insert_folio_pmd"))
		usleep(1000);
	if (!stored)
		madvise((void *)(p + 8192), 4096, ADVISE_GUARD);
	pthread_join(writer, NULL);
	inject_end("vmf_insert_folio_pmd");
	TAP_EQ(warned(), warned_before, "the kernel warns of nothing");
	TAP_EQ(p[0], 1, "the store arrives");
	TAP_OK(region_faults(fd) > before, "by a fault that counts");

	TAP_EQ(madvise((void *)(p + 8192), 4096, ADVISE_GUARD), 0, "a guard page is installed");
	touch_catch();
	TAP_EQ(touch_write(p + 8192, 1), SIGSEGV, "and guards");
	TAP_EQ(touch_write(p + 4096, 1) + touch_read(p), 0, "what is beside it can be used");
	alone(fd, warned_before);
	return tap_done();
}
