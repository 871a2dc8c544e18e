/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NUMA nodes made of files, below the scratch directory: how much memory one has, and what the
 * firmware says of it.
 */
#ifndef SELFTESTS_HOST_PLAYED_NODES_H
#define SELFTESTS_HOST_PLAYED_NODES_H

#include <stdint.h>

#include "sysroot.h"

static inline void play_node(int n, uint64_t kib, uint64_t kib_free)
{
	char path[128], text[128];

	snprintf(path, sizeof(path), "sys/devices/system/node/node%d/meminfo", n);
	snprintf(text, sizeof(text), "Node %d MemTotal: %llu kB\nNode %d MemFree: %llu kB\n", n,
		 (unsigned long long)kib, n, (unsigned long long)kib_free);
	scratch_write(path, text);
}

/* Nanoseconds and MB/s for the processors of node @near; 0: it does not say. */
static inline void play_figures(int n, int near, unsigned int latency, unsigned int bandwidth)
{
	char path[128], text[32];

	if (!latency && !bandwidth)
		return;
	snprintf(path, sizeof(path), "sys/devices/system/node/node%d/access1/initiators/node%d", n,
		 near);
	snprintf(text, sizeof(text), "../../../node%d", near);
	scratch_link(path, text);
	snprintf(path, sizeof(path),
		 "sys/devices/system/node/node%d/access1/initiators/read_latency", n);
	snprintf(text, sizeof(text), "%u\n", latency);
	if (latency)
		scratch_write(path, text);
	snprintf(path, sizeof(path),
		 "sys/devices/system/node/node%d/access1/initiators/read_bandwidth", n);
	snprintf(text, sizeof(text), "%u\n", bandwidth);
	if (bandwidth)
		scratch_write(path, text);
}

/* Node 2 is memory of a CXL region, and there is a file system with DAX. */
static inline void play_cxl_and_pmem(void)
{
	scratch_write("sys/devices/system/memory/block_size_bytes", "8000000\n");
	scratch_write("sys/bus/cxl/devices/region0/resource", "0x80000000\n");
	scratch_write("sys/bus/cxl/devices/region0/size", "0x8000000\n");
	scratch_write("sys/devices/system/node/node2/memory16/state", "online\n");
	scratch_write("proc/self/mounts", "/dev/pmem0 /mnt/p xfs rw,dax=always 0 0\n");
}

#endif
