// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bad memory in the middle of everything: pages are reported, cleared and made bad by the kernel
 * while others use the region, move it, change its size, make and destroy others, and at last take
 * its memory away. What was never bad is never lost.
 *
 * hmem-test: topology=mixed kernels=lts,newest timeout=240
 */
#include "poison.h"
#include "near.h"

#include <pthread.h>

#define EXTENTS		4
#define LENGTH		(EXTENTS * EXTENT)
#define PAGES		(LENGTH / PAGE)
#define ROUNDS		60

static int control, fd;
static char *p;
static char cxl[HMEM_NAME_LEN];
static uint64_t cxl_start, cxl_bytes;
static volatile bool done;
static volatile unsigned long met, wrong, cleared;

/* Odd pages may go bad. Page 0 says what all even ones of the first two extents hold. */
static uint64_t odd_page(unsigned int *seed)
{
	return (rand_r(seed) % PAGES) | 1;
}

static void *uses(void *argument)
{
	unsigned int seed = (uintptr_t)argument;

	bus_catch();
	while (!done) {
		uint64_t page = rand_r(&seed) % (2 * EXTENT / PAGE);
		int signal;

		if (page & 1) {
			signal = touch_write(p + page * PAGE, 5);
			if (signal)
				__atomic_add_fetch(&met, 1, __ATOMIC_RELAXED);
		} else if (touch_read(p + page * PAGE) || p[page * PAGE] != 1) {
			__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
		}
	}
	return NULL;
}

static void *spoils(void *argument)
{
	unsigned int seed = (uintptr_t)argument;
	struct hmem_poison a;

	while (!done) {
		for (int i = 0; i < 8; i++)
			poison(fd, HMEM_POISON_REPORT, odd_page(&seed) * PAGE, PAGE, NULL);
		if (!poison(fd, HMEM_POISON_CLEAR, 0, 2 * EXTENT, &a) || a.pages)
			__atomic_add_fetch(&cleared, a.pages, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void *moves(void *unused)
{
	struct hmem_migrate m;

	(void)unused;
	while (!done) {
		migrate(fd, 0, 0, HMEM_NEAR, &m);
		migrate(fd, 0, 0, HMEM_HOME, &m);
	}
	return NULL;
}

static void *resizes(void *unused)
{
	(void)unused;
	while (!done) {
		region_resize(control, "bad", 2 * EXTENT);
		region_create(control, "other", cxl, EXTENT);
		region_resize(control, "bad", LENGTH);
		region_destroy(control, "other");
	}
	return NULL;
}

/* The kernel's own way, in pages of the region's device. */
static void kernel_spoils(unsigned int *seed)
{
	volatile char *page = p + (odd_page(seed) % (2 * EXTENT / PAGE)) * PAGE;
	uint64_t pfn;

	/* Near copies are ordinary memory, which would be lost to the guest: only what is at home. */
	if (touch_read(page) || !(pfn = pfn_of(page)) || pfn * PAGE - cxl_start >= cxl_bytes)
		return;
	kernel_poison(pfn);
}

int main(void)
{
	pthread_t threads[5];
	unsigned int seed = 1;
	struct hmem_poison a;

	control = must_begin_cxl();
	must_cxl("ram", cxl);
	cxl_start = cxl_number(cxl, "resource");
	cxl_bytes = cxl_number(cxl, "size");
	must(pool_attach_cxl(control, cxl, 0, NULL), "attach");
	must(region_create(control, "bad", cxl, LENGTH), "create");
	fd = must_open("bad", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	p = must_map(fd, LENGTH);
	memset(p, 1, LENGTH);
	bus_catch();
	pthread_create(&threads[0], NULL, uses, (void *)2);
	pthread_create(&threads[1], NULL, uses, (void *)3);
	pthread_create(&threads[2], NULL, spoils, (void *)4);
	pthread_create(&threads[3], NULL, moves, NULL);
	pthread_create(&threads[4], NULL, resizes, NULL);
	for (int i = 0; i < ROUNDS || ((!met || !cleared) && i < 20 * ROUNDS); i++) {
		kernel_spoils(&seed);
		usleep(50000);
	}
	TAP_EQ(__atomic_load_n(&wrong, __ATOMIC_RELAXED), 0, "what was never bad was always there");
	TAP_OK(met > 0, "what was bad was met");
	TAP_OK(cleared > 0, "and cleared");
	done = true;
	for (int i = 0; i < 5; i++)
		pthread_join(threads[i], NULL);
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, 0, 2 * EXTENT, &a), 0, "the rest is cleared");
	for (uint64_t i = 0; i < 2 * EXTENT / PAGE; i++) {
		int signal = touch_read(p + i * PAGE);

		if (!signal && (i % 2 || p[i * PAGE] == 1))
			continue;
		wrong++;
		tap_diag("page %lu: signal %d, code %d", i, signal, bus_info.si_code);
	}
	TAP_EQ(wrong, 0, "all can be used in the end");

	done = false;
	pthread_create(&threads[0], NULL, uses, (void *)5);
	pthread_create(&threads[1], NULL, spoils, (void *)6);
	pthread_create(&threads[2], NULL, moves, NULL);
	cxl_end(cxl);
	done = true;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	TAP_EQ(poison(fd, HMEM_POISON_REPORT, 0, PAGE, NULL), -ENODEV, "its memory is gone");
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, 0, PAGE, NULL), -ENODEV, "nothing to clear");
	TAP_EQ(poison_list(fd, 0, (struct hmem_poison_range[1]){}, 1), -ENODEV, "or to list");
	munmap(p, LENGTH);
	close(fd);
	return tap_done();
}
