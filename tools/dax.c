// SPDX-License-Identifier: GPL-2.0-only
#include "dax.h"

#include <daxctl/libdaxctl.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "sysfs.h"

#define AUTOPROBE "/sys/bus/dax/drivers_autoprobe"

void dax_devices_of(const char *region, struct dax_devices *held)
{
	struct names names;
	size_t i;

	held->n = 0;
	/* region3 has dax_region3, and that has dax3.0, dax3.1, ... */
	if (strncmp(region, "region", 6) ||
	    sysfs_names(&names, "dax", "/sys/bus/cxl/devices/dax_%s", region))
		return;
	for (i = 0; i < names.n && held->n < DAX_MAX_DEVICES; i++) {
		struct dax_device *d = &held->device[held->n];
		char driver[32];

		if (strlen(names.name[i]) >= sizeof(d->name) ||
		    sysfs_link(driver, sizeof(driver), "/sys/bus/dax/devices/%s/driver",
			       names.name[i]))
			continue;
		memcpy(d->name, names.name[i], strlen(names.name[i]) + 1);
		d->holder = strcmp(driver, "kmem") ? DAX_DEVICE : DAX_KMEM;
		held->n++;
	}
	names_free(&names);
}

static bool maps_it(const char *pid, const char *node)
{
	char path[PATH_MAX], *line = NULL;
	bool found = false;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		found = strlen(line) > strlen(node) &&
			!strcmp(line + strlen(line) - strlen(node), node);
	}
	free(line);
	fclose(f);
	return found;
}

static bool opens_it(const char *pid, const char *node)
{
	char path[PATH_MAX], target[PATH_MAX];
	struct names fds;
	bool found = false;
	size_t i;

	if (sysfs_names(&fds, "", "/proc/%s/fd", pid))
		return false;
	for (i = 0; i < fds.n && !found; i++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, fds.name[i]);
		n = readlink(path, target, sizeof(target) - 1);
		if (n > 0) {
			target[n] = '\0';
			found = !strcmp(target, node);
		}
	}
	names_free(&fds);
	return found;
}

/*
 * Unbinding device_dax zaps mappings without asking, and the process dies of SIGBUS:
 * so ask here. Return: a process that uses the device, or 0.
 */
static int user_of(const char *device)
{
	char node[64];
	struct names pids;
	int user = 0;
	size_t i;

	snprintf(node, sizeof(node), "/dev/%s", device);
	if (sysfs_names(&pids, "", "/proc"))
		return 0;
	for (i = 0; i < pids.n && !user; i++) {
		const char *pid = pids.name[i];

		if (pid[0] >= '1' && pid[0] <= '9' && (opens_it(pid, node) || maps_it(pid, node)))
			user = atoi(pid);
	}
	names_free(&pids);
	return user;
}

static struct daxctl_dev *find_device(struct daxctl_ctx *dax, const char *name)
{
	struct daxctl_region *region;

	daxctl_region_foreach(dax, region) {
		struct daxctl_dev *dev;

		daxctl_dev_foreach(region, dev)
			if (!strcmp(daxctl_dev_get_devname(dev), name))
				return dev;
	}
	return NULL;
}

static bool is_online(struct daxctl_dev *dev)
{
	struct daxctl_memory *memory = daxctl_dev_get_memory(dev);

	return memory && daxctl_memory_is_online(memory) > 0;
}

static int release_one(const struct session *s, struct daxctl_ctx *dax, const struct dax_device *d,
		       const char *region, bool dry_run)
{
	struct daxctl_dev *dev = find_device(dax, d->name);
	int rc, pid;

	if (!dev) {
		report_error(s, "take CXL region %s from %s: libdaxctl does not see the device",
			     region, d->name);
		return -ENODEV;
	}
	if (d->holder == DAX_KMEM && is_online(dev)) {
		report_error(s, "take CXL region %s from %s: it is online as system RAM (driver "
			     "kmem)", region, d->name);
		report_fix(s, "daxctl offline-memory %s && daxctl disable-device %s, then try "
			   "again", d->name, d->name);
		return -EBUSY;
	}
	pid = user_of(d->name);
	if (pid) {
		report_error(s, "take CXL region %s from %s: process %d has /dev/%s open", region,
			     d->name, pid, d->name);
		report_fix(s, "end process %d, then try again", pid);
		return -EBUSY;
	}
	if (dry_run)
		return 0;
	report_step(s, "take CXL region %s from device-dax: disable %s", region, d->name);
	rc = daxctl_dev_disable(dev);
	if (rc) {
		rc = rc < 0 ? rc : -EIO;
		report_error(s, "disable %s: %s", d->name, strerror(-rc));
		report_fix(s, "daxctl disable-device %s", d->name);
	}
	return rc;
}

int dax_release(const struct session *s, const char *region, struct dax_devices *released,
		bool dry_run)
{
	struct dax_devices held, done = { .n = 0 };
	struct daxctl_ctx *dax;
	unsigned int i;
	int rc;

	dax_devices_of(region, &held);
	if (!held.n) {
		released->n = 0;
		return 0;
	}
	rc = daxctl_new(&dax);
	if (rc) {
		report_error(s, "start libdaxctl: %s", strerror(-rc));
		return rc;
	}
	for (i = 0; i < held.n; i++) {
		rc = release_one(s, dax, &held.device[i], region, dry_run);
		if (rc)
			break;
		done.device[done.n++] = held.device[i];
	}
	daxctl_unref(dax);
	if (rc) {
		if (!dry_run)
			dax_give_back(s, &done);
		return rc;
	}
	*released = done;
	return 0;
}

void dax_give_back(const struct session *s, const struct dax_devices *released)
{
	struct daxctl_ctx *dax;
	unsigned int i;

	if (!released->n || daxctl_new(&dax))
		return;
	for (i = 0; i < released->n; i++) {
		const struct dax_device *d = &released->device[i];
		struct daxctl_dev *dev = find_device(dax, d->name);
		int rc = -ENODEV;

		report_step(s, "give %s back to device-dax", d->name);
		if (dev)
			rc = d->holder == DAX_KMEM ? daxctl_dev_enable_ram(dev) :
						     daxctl_dev_enable_devdax(dev);
		if (rc)
			report_warning(s, "give %s back to its driver: %s", d->name,
				       strerror(rc < 0 ? -rc : rc));
	}
	daxctl_unref(dax);
}

bool dax_autoprobe_stop(void)
{
	uint64_t on;

	return !sysfs_read_u64(&on, AUTOPROBE) && on && !sysfs_write("0", AUTOPROBE);
}

void dax_autoprobe_restore(bool was_on)
{
	if (was_on)
		sysfs_write("1", AUTOPROBE);
}
