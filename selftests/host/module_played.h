/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hmem.ko, as tests on the host play it: files in a sysroot are its pool and its regions, and
 * module_play() is what it answers to ioctl().
 */
#ifndef SELFTESTS_HOST_MODULE_PLAYED_H
#define SELFTESTS_HOST_MODULE_PLAYED_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/hmem.h>

#include "../tap.h"
#include "sysroot.h"

#define MODULE_EXTENT (2ull << 20)
#define MODULE_ROOM   (1ull << 30)

/* The region that was made last, of which pool; and how many were destroyed. */
static char made[HMEM_NAME_LEN], made_of[HMEM_NAME_LEN];
static unsigned int destroyed;

/* The file that stands for a region cannot be mapped. */
static bool cannot_map;

/* An errno, or 0. */
static int module_play(int fd, unsigned long number, void *argument)
{
	struct hmem_region_query *query = argument;
	struct hmem_region_create *create = argument;
	struct hmem_region_destroy *destroy = argument;
	struct stat st;
	int file;

	switch (number) {
	case HMEM_REGION_QUERY:
		if (fstat(fd, &st))
			return errno;
		query->bytes = (uint64_t)st.st_size;
		query->extent_size = MODULE_EXTENT;
		query->nid = -1;
		return 0;
	case HMEM_REGION_CREATE:
		if (create->bytes > MODULE_ROOM)
			return ENOSPC;
		snprintf(made, sizeof(made), "%s", create->name);
		snprintf(made_of, sizeof(made_of), "%s", create->pool);
		file = open(scratch_path("dev/hmem/%s", made), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (file < 0)
			return errno;
		if (!cannot_map && ftruncate(file, (off_t)create->bytes))
			return errno;
		close(file);
		return 0;
	case HMEM_REGION_DESTROY:
		/* A child's parent has it open. */
		if (getpid() != scratch_owner)
			return EBUSY;
		destroyed++;
		return unlink(scratch_path("dev/hmem/%s", destroy->name)) ? errno : 0;
	}
	return ENOTTY;
}

static void attributes(const char *dir, const char *const (*files)[2])
{
	char path[128];

	for (; (*files)[0]; files++) {
		snprintf(path, sizeof(path), "%s/%s", dir, (*files)[0]);
		scratch_write(path, (*files)[1]);
	}
}

/* A node, and the module with a pool "fast" and a region "there". */
static void module_there(void)
{
	static const char *const pool[][2] = {
		{ "size", "1073741824\n" },   { "free", "1073741824\n" }, { "regions", "1\n" },
		{ "persistent", "0\n" },      { "numa_node", "-1\n" },	  { "provider", "ram\n" },
		{ "source", "\n" },	      { "uuid", "00000000-0000-0000-0000-000000000001\n" },
		{ NULL, NULL },
	};
	static const char *const region[][2] = {
		{ "size", "8388608\n" },      { "extent_size", "2097152\n" }, { "persistent", "0\n" },
		{ "uid", "0\n" },	      { "gid", "0\n" },		      { "mode", "0600\n" },
		{ "numa_node", "-1\n" },      { "faults", "0\n" },	      { "pool", "fast\n" },
		{ "uuid", "00000000-0000-0000-0000-000000000002\n" },	      { NULL, NULL },
	};

	scratch_write("sys/devices/system/node/online", "0\n");
	scratch_write("sys/devices/system/node/has_cpu", "0\n");
	scratch_write("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal: 4096 kB\n");
	attributes("sys/class/hmem_pool/fast", pool);
	attributes("sys/class/hmem/there", region);
	scratch_write("dev/hmem/control", "");
	scratch_write("dev/hmem/there", "");
	if (truncate(scratch_path("dev/hmem/there"), 8 << 20))
		tap_bail("no region");
}

#endif
