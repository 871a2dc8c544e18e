// SPDX-License-Identifier: GPL-2.0-only
/* The kernel, hmem.ko, and what the firmware says of CXL. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "machine.h"
#include "sysfs.h"

/* Bit 7 of /proc/sys/kernel/tainted: an oops has happened. */
#define TAINT_DIED (1u << 7)

static void examine_version(struct examination *e)
{
	char release[128];
	int major, minor;

	if (sysfs_read(release, sizeof(release), "%s/proc/sys/kernel/osrelease", e->root) ||
	    sscanf(release, "%d.%d", &major, &minor) != 2) {
		found(e, "kernel-version", FINDING_WARN, NULL, "the kernel's version is unknown");
		return;
	}
	if (major < 6 || (major == 6 && minor < 3))
		found(e, "kernel-version", FINDING_FAIL, "install Linux 6.12 or later",
		      "Linux %s cannot make volatile CXL regions", release);
	else if (major == 6 && minor < 12)
		found(e, "kernel-version", FINDING_WARN, "install Linux 6.12 or later",
		      "Linux %s is older than what hmem is tested with", release);
	else
		found(e, "kernel-version", FINDING_OK, NULL, "Linux %s", release);
}

static void examine_config(struct examination *e)
{
	static const char *const needed[] = {
		"CONFIG_CXL_BUS", "CONFIG_CXL_PCI", "CONFIG_CXL_ACPI", "CONFIG_CXL_MEM",
		"CONFIG_CXL_PORT", "CONFIG_CXL_REGION", "CONFIG_ZONE_DEVICE",
	};
	char missing[256] = "";
	size_t i;

	if (!e->config) {
		found(e, "kernel-config", FINDING_WARN, NULL,
		      "the kernel's configuration is not in /boot, so it was not checked");
		return;
	}
	for (i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		size_t used = strlen(missing);

		if (config_value(e->config, needed[i]) == 'n')
			snprintf(missing + used, sizeof(missing) - used, " %s", needed[i]);
	}
	if (*missing)
		found(e, "kernel-config", FINDING_FAIL, "run a kernel that is built with them",
		      "the kernel is built without%s", missing);
	else
		found(e, "kernel-config", FINDING_OK, NULL, "the kernel has what CXL regions need");
}

/* Only a live machine has a user. */
static void examine_privilege(struct examination *e)
{
	if (*e->root)
		return;
	if (geteuid())
		found(e, "privilege", FINDING_WARN, "sudo hmemctl doctor",
		      "not root: who holds memory cannot be seen, nor pools or regions made");
	else
		found(e, "privilege", FINDING_OK, NULL, "running as root");
}

/*
 * New decoder programming may leave stale cache lines, which a kernel can only flush
 * on bare metal; under a hypervisor it refuses, unless it was built for testing.
 */
static void examine_cache_flush(struct examination *e)
{
	bool built_to = e->config &&
			config_value(e->config, "CONFIG_CXL_REGION_INVALIDATION_TEST") == 'y';

	if (!machine_is_guest(e->root))
		found(e, "cache-flush", FINDING_OK, NULL,
		      "no hypervisor: the kernel may flush CPU caches for a new CXL region");
	else if (built_to)
		found(e, "cache-flush", FINDING_OK, NULL,
		      "the kernel is built to make CXL regions under a hypervisor");
	else
		found(e, "cache-flush", e->config ? FINDING_FAIL : FINDING_WARN,
		      "start QEMU with -cpu max,-hypervisor, or run a kernel with "
		      "CONFIG_CXL_REGION_INVALIDATION_TEST=y",
		      "the CPU says that it runs under a hypervisor: this kernel then refuses to "
		      "commit new CXL regions");
}

void examine_kernel(struct examination *e)
{
	examine_version(e);
	examine_config(e);
	examine_privilege(e);
}

void examine_module(struct examination *e)
{
	char version[64];
	uint64_t tainted;

	if (sysfs_read(version, sizeof(version), "%s/sys/module/hmem/version", e->root)) {
		found(e, "module", FINDING_FAIL, "modprobe hmem || insmod hmem.ko",
		      "hmem.ko is not loaded");
		return;
	}
	if (strcmp(version, HMEM_VERSION_STRING))
		found(e, "module", FINDING_WARN, "install module and tools of one version",
		      "hmem.ko is %s, hmemctl %s", version, HMEM_VERSION_STRING);
	else
		found(e, "module", FINDING_OK, NULL, "hmem.ko %s is loaded", version);

	if (!*e->root && access(HMEM_CONTROL, F_OK))
		found(e, "control", FINDING_FAIL, "mount -t devtmpfs devtmpfs /dev",
		      "%s is not there though hmem.ko is loaded", HMEM_CONTROL);
	if (!sysfs_read_u64(&tainted, "%s/proc/sys/kernel/tainted", e->root) &&
	    tainted & TAINT_DIED)
		found(e, "kernel-oops", FINDING_WARN, "reboot",
		      "the kernel has reported a bug since it was booted");
}

static bool has_acpi_device(const struct examination *e, const char *id)
{
	struct names names;
	bool there;

	if (sysfs_names(&names, id, "%s/sys/bus/acpi/devices", e->root))
		return false;
	there = names.n > 0;
	names_free(&names);
	return there;
}

static bool has_memdevs(const struct examination *e)
{
	struct names names;
	bool there;

	if (sysfs_names(&names, "mem", "%s/sys/bus/cxl/devices", e->root))
		return false;
	there = names.n > 0;
	names_free(&names);
	return there;
}

static void examine_drivers(struct examination *e)
{
	static const struct {
		const char *bus, *driver, *fix;
	} drivers[] = {
		{ "platform", "cxl_acpi", "modprobe cxl_acpi" },
		{ "cxl", "cxl_port", "modprobe cxl_port" },
		{ "pci", "cxl_pci", "modprobe cxl_pci" },
		{ "cxl", "cxl_mem", "modprobe cxl_mem" },
		{ "cxl", "cxl_region", "run a kernel with CONFIG_CXL_REGION=y" },
	};
	bool all = true;
	size_t i;

	for (i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		struct names entry;

		if (!sysfs_names(&entry, drivers[i].driver, "%s/sys/bus/%s/drivers", e->root,
				 drivers[i].bus) && entry.n) {
			names_free(&entry);
			continue;
		}
		names_free(&entry);
		found(e, "drivers", FINDING_FAIL, drivers[i].fix,
		      "the CXL driver %s is not loaded", drivers[i].driver);
		all = false;
	}
	if (all)
		found(e, "drivers", FINDING_OK, NULL, "the kernel's CXL drivers are loaded");
}

void examine_platform(struct examination *e)
{
	bool described = has_acpi_device(e, "ACPI0017");

	e->has_cxl = described || has_memdevs(e);
	if (!described) {
		found(e, "firmware", FINDING_FAIL,
		      "enable CXL in the firmware's setup; in QEMU: -M q35,cxl=on; without a "
		      "device: hmemctl attach-pool ram --size 1G --name ram0",
		      "the firmware describes no CXL (no ACPI0017)");
		return;
	}
	found(e, "firmware", FINDING_OK, NULL, "the firmware describes CXL (ACPI0017)");
	examine_drivers(e);
	examine_cache_flush(e);
}
