/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory cgroups that a test puts itself into, and what they are charged.
 */
#ifndef SELFTESTS_GUEST_GROUPS_H
#define SELFTESTS_GUEST_GROUPS_H

#include "fixture.h"

#include <sys/mount.h>
#include <sys/stat.h>

#define CGROUPS		"/sys/fs/cgroup"

static inline void must_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		tap_bail("%s: %s", path, strerror(errno));
	close(fd);
}

static inline void must_begin_groups(void)
{
	if (access(CGROUPS "/cgroup.procs", F_OK) && mount("none", CGROUPS, "cgroup2", 0, NULL))
		tap_bail("no cgroup v2: %s", strerror(errno));
	must_write(CGROUPS "/cgroup.subtree_control", "+memory");
}

/* This process, and what it creates, belong to a cgroup of that name. */
static inline void must_enter(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUPS "/%s", name);
	if (mkdir(path, 0755) && errno != EEXIST)
		tap_bail("%s: %s", path, strerror(errno));
	snprintf(path, sizeof(path), CGROUPS "/%s/cgroup.procs", name);
	must_write(path, "0");
}

/* It belongs to none again; and these are gone. */
static inline void leave_groups(const char *const names[], int nr)
{
	char path[128];

	must_write(CGROUPS "/cgroup.procs", "0");
	for (int i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), CGROUPS "/%s", names[i]);
		if (rmdir(path))
			tap_diag("%s: %s", path, strerror(errno));
	}
}

static inline uint64_t charged(const char *name)
{
	char path[128];
	unsigned long long bytes;
	FILE *f;

	snprintf(path, sizeof(path), CGROUPS "/%s/memory.current", name);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%llu", &bytes) != 1)
		tap_bail("no %s", path);
	fclose(f);
	return bytes;
}

#endif
