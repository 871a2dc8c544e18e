/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who else is at work in the stress test: administrators, who send commands that are right,
 * nearly right or wrong, and whoever else makes the kernel move memory about.
 */
#ifndef SELFTESTS_GUEST_STRESS_ADMIN_H
#define SELFTESTS_GUEST_STRESS_ADMIN_H

#include "stress.h"

#include <stddef.h>
#include <sys/prctl.h>

/* Behind the operations of users on the board. */
#define ADMIN_OPERATIONS	32
#define DISTURBER_OPERATIONS	48

static bool documented(int rc)
{
	static const int errors[] = { EPERM, EFAULT, EINVAL, E2BIG, ENOTTY, ENOENT, EEXIST, EBUSY,
				      ENOTEMPTY, ENOSPC, EMFILE, ENODEV, ENXIO, EOPNOTSUPP,
				      EUCLEAN, EPROTONOSUPPORT, EUSERS, EIO, ENOMEM, EINTR };

	for (unsigned int i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (rc == -errors[i])
			return true;
	return !rc;
}

static uint64_t any_bytes(void)
{
	static const uint64_t bytes[] = { 0, 1, EXTENT - 1, EXTENT, EXTENT + 1, 1ULL << 63,
					  INT64_MAX, UINT64_MAX, UINT64_MAX - EXTENT, 1ULL << 40 };

	return one_in(8) ? PICK(bytes) : (1 + dice(8)) * EXTENT;
}

static void any_name(char name[HMEM_NAME_LEN])
{
	if (one_in(32))
		for (int i = 0; i < HMEM_NAME_LEN; i++)
			name[i] = dice(256);
	else
		region_name(name);
}

static void any_pool(char name[HMEM_NAME_LEN])
{
	switch (dice(8)) {
	case 0:
		name[0] = 0;
		break;
	case 1:
	case 2:
	case 3:
		snprintf(name, HMEM_NAME_LEN, "region%d", (int)dice(4));
		break;
	default:
		snprintf(name, HMEM_NAME_LEN, "p%d", (int)dice(STRESS_POOLS));
	}
}

/* One byte of a command is another; never its size of memory, of which there is little. */
static void spoil(void *argument, size_t bytes)
{
	size_t at = dice(bytes);

	if (one_in(24) && (at < offsetof(struct hmem_pool_attach, bytes) ||
			   at >= offsetof(struct hmem_pool_attach, nid)))
		((unsigned char *)argument)[at] = dice(256);
}

static int do_create(int control)
{
	static const unsigned int modes[] = { 0600, 0666, 0666, 0640, 0, 0777 };
	struct hmem_region_create c = { .size = sizeof(c), .bytes = any_bytes(),
					.uid = one_in(2) ? 0 : USER_UID,
					.gid = one_in(2) ? 0 : USER_UID, .mode = PICK(modes) };

	any_name(c.name);
	if (!one_in(4))
		any_pool(c.pool);
	spoil(&c, sizeof(c));
	return hmem_ioctl(control, HMEM_REGION_CREATE, &c);
}

static int do_resize(int control)
{
	struct hmem_region_resize r = { .size = sizeof(r), .bytes = any_bytes() };

	any_name(r.name);
	spoil(&r, sizeof(r));
	return hmem_ioctl(control, HMEM_REGION_RESIZE, &r);
}

static int do_destroy(int control)
{
	struct hmem_region_destroy d = { .size = sizeof(d) };

	any_name(d.name);
	spoil(&d, sizeof(d));
	return hmem_ioctl(control, HMEM_REGION_DESTROY, &d);
}

static int do_attach(int control)
{
	struct hmem_pool_attach a = { .size = sizeof(a), .nid = -1 };

	any_pool(a.name);
	if (one_in(2)) {
		a.provider = HMEM_PROVIDER_RAM;
		a.bytes = (1 + dice(16)) * EXTENT;
		a.flags = one_in(8) ? HMEM_ATTACH_CHECK : 0;
	} else {
		snprintf(a.source, sizeof(a.source), "region%d", (int)dice(4));
		a.flags = one_in(4) ? dice(8) : 0;
		a.host[0] = one_in(2) ? dice(3) : 0;
		if (one_in(2))
			a.name[0] = 0;
	}
	spoil(&a, sizeof(a));
	return hmem_ioctl(control, HMEM_POOL_ATTACH, &a);
}

static int do_detach(int control)
{
	struct hmem_pool_detach d = { .size = sizeof(d) };

	any_pool(d.name);
	spoil(&d, sizeof(d));
	return hmem_ioctl(control, HMEM_POOL_DETACH, &d);
}

static int do_nonsense(int control)
{
	unsigned char bytes[512];
	unsigned long command = _IO(HMEM_IOC_TYPE, dice(8));

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = one_in(2) ? 0 : dice(256);
	if (command == HMEM_POOL_ATTACH)
		memset(bytes + offsetof(struct hmem_pool_attach, bytes), 0, 8);
	*(uint32_t *)bytes = dice(3) ? dice(256) : dice(1ULL << 32);
	if (one_in(4))
		return hmem_ioctl(control, command, (void *)dice(4097));
	if (one_in(8))
		command = dice(1ULL << 32);
	return hmem_ioctl(control, command, bytes);
}

static const struct {
	const char *name;
	int weight;
	int (*function)(int control);
} admin_operations[] = {
	{ "create", 10, do_create }, { "resize", 8, do_resize },   { "destroy", 6, do_destroy },
	{ "attach", 4, do_attach },  { "detach", 2, do_detach },   { "nonsense", 2, do_nonsense },
};

/* Does not return. */
static void stress_admin(uint64_t seed, int number)
{
	int control = control_open(), weights = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dice_seed(seed, number);
	for (unsigned int i = 0; i < sizeof(admin_operations) / sizeof(admin_operations[0]); i++)
		weights += admin_operations[i].weight;
	while (!board->stop) {
		int chosen = dice(weights), i = 0, rc;

		while ((chosen -= admin_operations[i].weight) >= 0)
			i++;
		rc = admin_operations[i].function(control);
		stress_count(ADMIN_OPERATIONS + i, admin_operations[i].name, !rc);
		/* A random command number may be one of the kernel's own. */
		if (!documented(rc) && admin_operations[i].function != do_nonsense)
			stress_complain("%s: %s, which is not documented",
					admin_operations[i].name, strerror(-rc));
		/* Leave regions a life in which something can happen to them. */
		if (one_in(4))
			usleep(dice(20000));
	}
	_exit(0);
}

/* Whatever makes the kernel look at all memory, or move it. */

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool worked = fd >= 0 && write(fd, text, strlen(text)) > 0;

	close(fd);
	return worked;
}

static bool swallow(const char *path)
{
	char bytes[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool worked = fd >= 0;

	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
	close(fd);
	return worked;
}

/* A block of memory goes and comes back: extents of system RAM cannot be moved. */
static bool hotplug(void)
{
	char path[64];
	bool worked;

	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%d/state", (int)dice(64));
	worked = put(path, "offline");
	put(path, "online");
	return worked;
}

static bool sysfs_attributes(void)
{
	static const char *const region[] = { "size", "pool", "uuid", "faults", "extents_used",
					      "mode" };
	static const char *const pool[] = { "size", "free", "regions", "source", "uuid" };
	char path[128], name[HMEM_NAME_LEN];

	region_name(name);
	snprintf(path, sizeof(path), "/sys/class/hmem/%s/%s", name, PICK(region));
	swallow(path);
	any_pool(name);
	snprintf(path, sizeof(path), "/sys/class/hmem_pool/%s/%s", name, PICK(pool));
	return swallow(path);
}

static bool disturb(int what)
{
	switch (what) {
	case 0:
		return put("/proc/sys/vm/compact_memory", "1");
	case 1:
		return put("/proc/sys/vm/drop_caches", PICK(((const char *[]){ "1", "2", "3" })));
	case 2:
		return put("/sys/kernel/mm/transparent_hugepage/enabled",
			   PICK(((const char *[]){ "always", "madvise", "never" })));
	case 3:
		return put("/sys/kernel/mm/ksm/run", PICK(((const char *[]){ "0", "1", "2" })));
	case 4:
		return swallow("/proc/iomem") && swallow("/proc/vmallocinfo");
	case 5:
		return sysfs_attributes();
	case 6:
		return put("/sys/kernel/tracing/events/hmem/enable", one_in(2) ? "1" : "0");
	case 7:
		return one_in(4) && hotplug();
	default:
		sync();
		return true;
	}
}

/* Does not return. */
static void stress_disturber(uint64_t seed, int number)
{
	static const char *const names[] = { "compact", "drop caches", "huge pages", "ksm", "iomem",
					     "sysfs", "trace", "hotplug", "sync" };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dice_seed(seed, number);
	while (!board->stop) {
		int what = dice(sizeof(names) / sizeof(names[0]));

		stress_count(DISTURBER_OPERATIONS + what, names[what], disturb(what));
		usleep(dice(100000));
	}
	_exit(0);
}

#endif
