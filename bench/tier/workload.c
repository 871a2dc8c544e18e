// SPDX-License-Identifier: GPL-2.0-only
/*
 * The workloads that are run. gups-hH-dD: the hot set is the region by H, DRAM the region by D;
 * -shift: a quarter of the hot set is exchanged at mid-run.
 */
#include "sim.h"

#define GUPS(h, d)                                                                     \
	{ .name = "gups-h" #h "-d" #d, .kind = &gups, .dram = d, .arg = h },           \
	{ .name = "gups-h" #h "-d" #d "-shift", .kind = &gups, .dram = d, .arg = h, .arg2 = 4 }

#define YCSB(lower, upper) \
	{ .name = "ycsb-" lower, .kind = &ycsb, .dram = 8, .arg = upper, .by_page = true }

const struct workload workloads[] = {
	GUPS(16, 16),
	GUPS(16, 8),
	GUPS(16, 4),
	GUPS(8, 16),
	GUPS(8, 8),
	GUPS(8, 4),
	GUPS(4, 16),
	GUPS(4, 8),
	GUPS(4, 4),
	GUPS(4, 2),
	{ .name = "zipf-scrambled-d8", .kind = &zipf, .dram = 8, .arg = 1, .by_page = true },
	{ .name = "zipf-scrambled-d4", .kind = &zipf, .dram = 4, .arg = 1, .by_page = true },
	{ .name = "zipf-scrambled-d2", .kind = &zipf, .dram = 2, .arg = 1, .by_page = true },
	{ .name = "zipf-packed-d8", .kind = &zipf, .dram = 8 },
	{ .name = "zipf-packed-d2", .kind = &zipf, .dram = 2 },
	YCSB("a", 'A'),
	YCSB("b", 'B'),
	YCSB("c", 'C'),
	YCSB("d", 'D'),
	YCSB("e", 'E'),
	YCSB("f", 'F'),
	{ .name = "pagerank-d8", .kind = &pagerank, .dram = 8 },
	{ .name = "scan-d8", .kind = &scan_over, .dram = 8, .arg = 8 },
	{ .name = "thrash-d8", .kind = &uniform_part, .dram = 8, .arg = 2 },
	{ .name = NULL },
};
