// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a page fault on a mapped device costs, in instructions.
 *
 * usage: fault DEVICE BYTES 2M|4K
 *
 * Stores once into every page of a fresh mapping and reads the time stamp counter around
 * each store. In a guest that runs with -icount shift=0 the counter counts instructions;
 * anywhere else the program refuses, since it would measure something else. Prints one
 * line: the number of faults, then their median and mean cost.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <x86intrin.h>

#define HUGE	(2UL << 20)

static void die(const char *what)
{
	fprintf(stderr, "fault: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Two readings with 1000 instructions between them are 1000 apart, and some. */
static void check_counter(void)
{
	uint64_t start, end;

	start = __rdtsc();
	for (int i = 0; i < 500; i++)
		__asm__ volatile("nop; nop");
	end = __rdtsc();
	if (end - start < 1000 || end - start > 4000) {
		fprintf(stderr, "fault: the time stamp counter does not count instructions here "
				"(%" PRIu64 " for about 2500)\n", end - start);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	size_t page, bytes, count;
	uint64_t *cost, sum = 0, empty;
	char *map;
	int fd;

	if (argc != 4 || (strcmp(argv[3], "2M") && strcmp(argv[3], "4K"))) {
		fprintf(stderr, "usage: fault DEVICE BYTES 2M|4K\n");
		return 129;
	}
	bytes = strtoull(argv[2], NULL, 0);
	page = strcmp(argv[3], "2M") ? 4096 : HUGE;
	if (bytes < page || bytes % HUGE) {
		fprintf(stderr, "fault: BYTES is a multiple of 2 MiB\n");
		return 129;
	}
	check_counter();
	if (page < HUGE && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		die("cannot turn large mappings off");
	count = bytes / page;
	cost = malloc(count * sizeof(*cost));
	if (!cost)
		die("malloc");
	memset(cost, 0, count * sizeof(*cost));
	fd = open(argv[1], O_RDWR);
	if (fd < 0)
		die(argv[1]);
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		die("mmap");

	empty = __rdtsc();
	empty = __rdtsc() - empty;
	for (size_t i = 0; i < count; i++) {
		uint64_t start = __rdtsc();

		*(volatile char *)(map + i * page) = 1;
		cost[i] = __rdtsc() - start - empty;
		sum += cost[i];
	}
	qsort(cost, count, sizeof(*cost), compare);
	printf("%zu %" PRIu64 " %" PRIu64 "\n", count, cost[count / 2], sum / count);
	return 0;
}
