// SPDX-License-Identifier: GPL-2.0-only
#include "cxl_ready.h"

#include <libkmod.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "report.h"
#include "sysfs.h"

/* PCI class of a CXL memory device: memory controller, CXL, with the CXL interface. */
#define CXL_MEMORY_CLASS 0x050210

#define PATIENCE_MS 10000
#define POLL_MS 20

static const struct {
	const char *module;
	const char *driver;	/* there once the module is, built in or not */
} drivers[] = {
	{ "cxl_port", "/sys/bus/cxl/drivers/cxl_port" },
	{ "cxl_acpi", "/sys/bus/platform/drivers/cxl_acpi" },
	{ "cxl_mem", "/sys/bus/cxl/drivers/cxl_mem" },
	{ "cxl_pmem", "/sys/bus/cxl/drivers/cxl_nvdimm" },
	{ "cxl_pci", "/sys/bus/pci/drivers/cxl_pci" },
};

static bool firmware_has_cxl(void)
{
	struct names names;
	bool found;

	if (sysfs_names(&names, "ACPI0017", "/sys/bus/acpi/devices"))
		return false;
	found = names.n > 0;
	names_free(&names);
	return found;
}

static void load(const struct session *s, struct kmod_ctx *kmod, const char *name)
{
	struct kmod_module *module;
	int rc = kmod_module_new_from_name(kmod, name, &module);

	if (!rc) {
		report_step(s, "load module %s", name);
		rc = kmod_module_probe_insert_module(module, KMOD_PROBE_APPLY_BLACKLIST, NULL, NULL,
						     NULL, NULL);
		kmod_module_unref(module);
	}
	if (rc) {
		report_warning(s, "load module %s: %s", name,
			       rc < 0 ? strerror(-rc) : "it is on a blacklist");
		report_fix(s, "modprobe %s", name);
	}
}

static void load_drivers(const struct session *s)
{
	struct kmod_ctx *kmod = NULL;
	size_t i;

	for (i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (!access(drivers[i].driver, F_OK))
			continue;
		if (!kmod)
			kmod = kmod_new(NULL, NULL);
		if (!kmod)
			return;
		load(s, kmod, drivers[i].module);
	}
	kmod_unref(kmod);
}

/* The memdev of a PCI device, by its name on the CXL bus; false while it has none. */
static bool memdev_of(const char *pci, char *memdev, size_t size)
{
	struct names names;
	bool found;

	if (sysfs_names(&names, "mem", "/sys/bus/pci/devices/%s", pci))
		return false;
	found = names.n > 0 && strlen(names.name[0]) < size;
	if (found)
		memcpy(memdev, names.name[0], strlen(names.name[0]) + 1);
	names_free(&names);
	return found;
}

/* cxl_mem has bound to it, and that makes its endpoint and decoders. */
static bool is_ready(const char *pci)
{
	char memdev[64], driver[64];

	return memdev_of(pci, memdev, sizeof(memdev)) &&
	       !sysfs_link(driver, sizeof(driver), "/sys/bus/cxl/devices/%s/driver", memdev);
}

static bool is_memory_device(const char *pci)
{
	uint64_t class;

	return !sysfs_read_u64(&class, "/sys/bus/pci/devices/%s/class", pci) &&
	       class == CXL_MEMORY_CLASS;
}

/* Waits for one device, out of what is left of the patience. */
static void wait_for(const struct session *s, const char *pci, int *left)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };

	while (!is_ready(pci)) {
		if (*left <= 0) {
			report_warning(s, "CXL memory device %s was not taken up by the kernel's "
				       "CXL drivers", pci);
			report_fix(s, "hmemctl doctor");
			return;
		}
		nanosleep(&pause, NULL);
		*left -= POLL_MS;
	}
}

void cxl_make_ready(const struct session *s)
{
	int left = PATIENCE_MS;
	struct names pci;
	size_t i;

	if (!firmware_has_cxl())
		return;
	load_drivers(s);
	if (sysfs_names(&pci, "", "/sys/bus/pci/devices"))
		return;
	for (i = 0; i < pci.n; i++)
		if (is_memory_device(pci.name[i]))
			wait_for(s, pci.name[i], &left);
	names_free(&pci);
	/* Wait for the probing work that is still queued. */
	sysfs_write("1", "/sys/bus/cxl/flush");
}
