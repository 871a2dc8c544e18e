// SPDX-License-Identifier: GPL-2.0-only
/*
 * A store through a translation that outlived its page table is not lost: madvise(MADV_DONTNEED)
 * empties a table and takes it away, and before it ends the translations an extent is moved.
 *
 * hmem-test: topology=smp4 kernels=newest
 */
#include "inject.h"
#include "near.h"

#include <pthread.h>
#include <sched.h>

#define FLUSH	"flush_tlb_mm_range"
#define LENGTH	(4 * EXTENT)
#define PAGE	4096UL

static volatile uint64_t *word;
static volatile uint64_t stored, behind;
static volatile int stop;
static char *table;

static void on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		tap_bail("there is no CPU %d", cpu);
}

/* Counts in the region, and sees when what it stored is not there. */
static void *counter(void *unused)
{
	uint64_t n = 0;

	(void)unused;
	on_cpu(1);
	while (!stop) {
		if (*word != n) {
			behind += n - *word;
			n = *word;
		}
		*word = ++n;
		stored = n;
	}
	return NULL;
}

/* Takes the table away, and is kept from ending translations. */
static void *dontneed(void *unused)
{
	(void)unused;
	on_cpu(2);
	madvise(table, EXTENT, MADV_DONTNEED);
	return NULL;
}

/* Waits until the counter has stored so often more. */
static void stores(uint64_t more)
{
	uint64_t from = stored;

	while (stored - from < more)
		usleep(1000);
}

static char *must_reserve(uint64_t length)
{
	char *hole = mmap(NULL, length + EXTENT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (hole == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	return (char *)(((uintptr_t)hole + EXTENT - 1) & ~(EXTENT - 1));
}

int main(void)
{
	int control = must_begin_inject(), fd;
	pthread_t counting, emptying;
	struct hmem_migrate m;
	char *p;

	must(pool_attach_ram(control, "pool", LENGTH + 2 * EXTENT), "attach");
	must(region_create(control, "r", "pool", LENGTH), "create");
	fd = must_open("r", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	/* A page beside where it could be mapped by 2 MiB. */
	table = must_reserve(LENGTH + EXTENT);
	p = mmap(table + PAGE, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	if (p == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	memset(p, 0, LENGTH);
	table += EXTENT;
	word = (volatile uint64_t *)(p + EXTENT + 100 * PAGE);
	on_cpu(0);
	if (pthread_create(&counting, NULL, counter, NULL))
		tap_bail("no thread");
	stores(1000);
	inject(FLUSH " pass 1 1 self %d", INJECT_MOMENT_MS);
	if (pthread_create(&emptying, NULL, dontneed, NULL))
		tap_bail("no thread");
	inject_wait(FLUSH);
	stores(1000);
	must(migrate(fd, EXTENT, EXTENT, HMEM_NEAR, &m), "migrate");
	tap_diag("%llu pages moved, %llu aborted", (unsigned long long)m.pages[HMEM_MOVED],
		 (unsigned long long)near_stats(fd).aborted);
	inject_go();
	pthread_join(emptying, NULL);
	stores(1000);
	stop = 1;
	pthread_join(counting, NULL);
	TAP_EQ(inject_end(FLUSH), 1, "translations were kept for a while");
	TAP_EQ(behind, 0, "no store is lost");
	munmap(p, LENGTH);
	close(fd);
	TAP_EQ(region_destroy(control, "r"), 0, "the region can go");
	return tap_done();
}
