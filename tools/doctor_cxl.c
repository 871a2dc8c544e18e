// SPDX-License-Identifier: GPL-2.0-only
/* CXL windows, memory devices, CXL regions, and who holds their memory. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "sysfs.h"

#define CXL "%s/sys/bus/cxl/devices/%s"
#define FIX_MAX 160

#define CXL_MEMORY_CLASS 0x050210

static uint64_t number(const struct examination *e, const char *device, const char *attribute)
{
	uint64_t value;

	return sysfs_read_u64(&value, CXL "/%s", e->root, device, attribute) ? 0 : value;
}

static bool has_driver(const struct examination *e, const char *device)
{
	char driver[64];

	return !sysfs_link(driver, sizeof(driver), CXL "/driver", e->root, device);
}

/* --- windows ------------------------------------------------------------------ */

static void examine_window(struct examination *e, const char *decoder)
{
	bool ram = number(e, decoder, "cap_ram"), pmem = number(e, decoder, "cap_pmem");
	uint64_t ways = number(e, decoder, "interleave_ways");
	char size[32];

	hmem_size_format(number(e, decoder, "size"), size, sizeof(size));
	if (!ram && !pmem)
		found(e, "window", FINDING_WARN, "enable memory in the firmware's CXL setup",
		      "window %s (%s) is meant for neither volatile nor persistent memory", decoder,
		      size);
	else
		found(e, "window", FINDING_OK, NULL, "window %s: %s for %s memory, over %" PRIu64
		      " host bridge%s", decoder, size, ram && pmem ? "volatile and persistent" :
		      ram ? "volatile" : "persistent", ways, ways == 1 ? "" : "s");
}

static void examine_windows(struct examination *e)
{
	struct names decoders;
	unsigned int n = 0;
	size_t i;

	/* Root decoders are the ones that say what they are capable of. */
	if (!sysfs_names(&decoders, "decoder", "%s/sys/bus/cxl/devices", e->root)) {
		for (i = 0; i < decoders.n; i++) {
			uint64_t value;

			if (sysfs_read_u64(&value, CXL "/cap_ram", e->root, decoders.name[i]))
				continue;
			examine_window(e, decoders.name[i]);
			n++;
		}
		names_free(&decoders);
	}
	if (!n)
		found(e, "window", FINDING_FAIL,
		      "give CXL address space in the firmware's setup; in QEMU: -M "
		      "cxl-fmw.0.targets.0=BRIDGE,cxl-fmw.0.size=4G",
		      "the firmware gives CXL memory no window in the address space (no CFMWS)");
}

/* --- memory devices ------------------------------------------------------------- */

static bool is_memory_device(const struct examination *e, const char *pci)
{
	uint64_t class;

	return !sysfs_read_u64(&class, "%s/sys/bus/pci/devices/%s/class", e->root, pci) &&
	       class == CXL_MEMORY_CLASS;
}

static void examine_pci(struct examination *e)
{
	struct names pci;
	unsigned int n = 0;
	size_t i;

	if (sysfs_names(&pci, "", "%s/sys/bus/pci/devices", e->root))
		return;
	for (i = 0; i < pci.n; i++) {
		char driver[64], fix[FIX_MAX];

		if (!is_memory_device(e, pci.name[i]))
			continue;
		n++;
		if (!sysfs_link(driver, sizeof(driver), "%s/sys/bus/pci/devices/%s/driver",
				e->root, pci.name[i]))
			continue;
		snprintf(fix, sizeof(fix), "echo %s > /sys/bus/pci/drivers/cxl_pci/bind",
			 pci.name[i]);
		found(e, "pci-device", FINDING_FAIL, fix,
		      "CXL memory device %s has no driver", pci.name[i]);
	}
	names_free(&pci);
	if (!n)
		found(e, "pci-device", FINDING_FAIL, "check that the device is seated and that "
		      "its slot is set to CXL", "there is no CXL memory device on the PCI bus");
}

/* What endpoint decoders map of a device, and how many decoders are left. */
struct usage_of_device {
	uint64_t ram, pmem;
	unsigned int decoders, free;
};

static void add_decoder(struct examination *e, const char *memdev, const char *decoder,
			struct usage_of_device *use)
{
	uint64_t size = number(e, decoder, "dpa_size");
	char mode[16], region[64], text[32], fix[FIX_MAX];

	use->decoders++;
	if (!size) {
		use->free++;
		return;
	}
	if (!sysfs_read(region, sizeof(region), CXL "/region", e->root, decoder) && !*region) {
		snprintf(fix, sizeof(fix), "echo 0 > /sys/bus/cxl/devices/%s/dpa_size", decoder);
		found(e, "decoder", FINDING_WARN, fix,
		      "%s of %s are allocated to %s and to no CXL region: half made, or left over",
		      hmem_size_format(size, text, sizeof(text)), memdev, decoder);
	}
	if (sysfs_read(mode, sizeof(mode), CXL "/mode", e->root, decoder))
		return;
	if (!strcmp(mode, "ram"))
		use->ram += size;
	else
		use->pmem += size;
}

/* The endpoint of a device has a link "uport" to it. */
static bool find_usage(struct examination *e, const char *memdev,
		       struct usage_of_device *use)
{
	struct names endpoints, decoders;
	bool seen = false;
	size_t i, j;

	*use = (struct usage_of_device){ 0 };
	if (sysfs_names(&endpoints, "endpoint", "%s/sys/bus/cxl/devices", e->root))
		return false;
	for (i = 0; i < endpoints.n; i++) {
		char device[64];

		if (sysfs_link(device, sizeof(device), CXL "/uport", e->root, endpoints.name[i]) ||
		    strcmp(device, memdev) ||
		    sysfs_names(&decoders, "decoder", CXL, e->root, endpoints.name[i]))
			continue;
		seen = true;
		for (j = 0; j < decoders.n; j++)
			add_decoder(e, memdev, decoders.name[j], use);
		names_free(&decoders);
	}
	names_free(&endpoints);
	return seen;
}

static void examine_capacity(struct examination *e, const char *memdev, const char *kind,
			     const char *type, uint64_t total, uint64_t used)
{
	char text[32], size[32], fix[FIX_MAX];

	if (!total)
		return;
	hmem_size_format(total, size, sizeof(size));
	if (used >= total) {
		found(e, "capacity", FINDING_OK, NULL, "%s: %s %s, all configured", memdev, size,
		      kind);
		return;
	}
	hmem_size_format(total - used, text, sizeof(text));
	snprintf(fix, sizeof(fix), "hmemctl create-region --type %s --size SIZE", type);
	found(e, "capacity", FINDING_OK, fix, "%s: %s %s, %s of it not configured", memdev, size,
	      kind, text);
}

static void examine_memdev(struct examination *e, const char *memdev)
{
	struct usage_of_device use;
	char fix[FIX_MAX];

	snprintf(fix, sizeof(fix), "cxl enable-memdev %s", memdev);
	if (!has_driver(e, memdev)) {
		found(e, "memdev", FINDING_FAIL, fix, "memory device %s is disabled: cxl_mem is "
		      "not bound to it", memdev);
		return;
	}
	if (!find_usage(e, memdev, &use)) {
		found(e, "memdev", FINDING_FAIL, "dmesg | grep -i cxl",
		      "memory device %s has no endpoint: a port between it and its host bridge "
		      "did not come up", memdev);
		return;
	}
	if (!use.free)
		found(e, "memdev", FINDING_WARN, "cxl destroy-region frees a decoder",
		      "memory device %s: all %u decoders are in use", memdev, use.decoders);
	else
		found(e, "memdev", FINDING_OK, NULL, "memory device %s: %u of %u decoders free",
		      memdev, use.free, use.decoders);
	if (use.pmem && use.ram < number(e, memdev, "ram/size")) {
		snprintf(fix, sizeof(fix), "detach the persistent pool of %s with --release, "
			 "configure its volatile capacity, attach the pool again", memdev);
		found(e, "capacity", FINDING_WARN, fix, "%s: its volatile capacity cannot be "
		      "configured while its persistent capacity is", memdev);
	}
	examine_capacity(e, memdev, "volatile", "ram", number(e, memdev, "ram/size"), use.ram);
	examine_capacity(e, memdev, "persistent", "pmem", number(e, memdev, "pmem/size"),
			 use.pmem);
}

void examine_devices(struct examination *e)
{
	struct names memdevs;
	size_t i;

	examine_windows(e);
	examine_pci(e);
	if (sysfs_names(&memdevs, "mem", "%s/sys/bus/cxl/devices", e->root))
		return;
	for (i = 0; i < memdevs.n; i++)
		examine_memdev(e, memdevs.name[i]);
	names_free(&memdevs);
}

/* --- CXL regions ---------------------------------------------------------------- */

/* The pool that has claimed a CXL region, by what the module says. */
static bool pool_of(const struct examination *e, const char *region, char *pool, size_t size)
{
	struct names pools;
	bool is = false;
	size_t i;

	if (sysfs_names(&pools, "", "%s/sys/class/hmem_pool", e->root))
		return false;
	for (i = 0; i < pools.n && !is; i++) {
		char source[64];

		is = !sysfs_read(source, sizeof(source), "%s/sys/class/hmem_pool/%s/source",
				 e->root, pools.name[i]) && !strcmp(source, region) &&
		     strlen(pools.name[i]) < size;
		if (is)
			memcpy(pool, pools.name[i], strlen(pools.name[i]) + 1);
	}
	names_free(&pools);
	return is;
}

/*
 * What /proc/iomem shows inside a range: the innermost name, other than the window's
 * and the CXL region's own. Without privilege all addresses read as zero.
 */
static bool holder_of(const struct examination *e, uint64_t start, uint64_t size,
		      const char *region, char *holder, size_t holder_size)
{
	size_t length = 256 << 10;
	char *text = malloc(length), *line, *rest;
	bool held = false;

	if (!text || sysfs_read(text, length, "%s/proc/iomem", e->root)) {
		free(text);
		return false;
	}
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		uint64_t first, last;
		int at = 0;

		if (sscanf(line, " %" SCNx64 "-%" SCNx64 " : %n", &first, &last, &at) < 2 || !at)
			continue;
		if (!last || first < start || last > start + size - 1)
			continue;
		if (!strcmp(line + at, region) || !strncmp(line + at, "CXL Window", 10))
			continue;
		/* What the CXL core writes around a persistent region; nobody's claim. */
		if (!strcmp(line + at, "Persistent Memory"))
			continue;
		snprintf(holder, holder_size, "%s", line + at);
		held = true;
	}
	free(text);
	return held;
}

/* Return: whether a dax driver holds the region. */
static bool examine_dax(struct examination *e, const char *region)
{
	struct names devices;
	bool held = false;
	size_t i;

	if (sysfs_names(&devices, "dax", CXL "/dax_%s", e->root, region, region))
		return false;
	for (i = 0; i < devices.n; i++) {
		const char *dax = devices.name[i];
		char driver[64], fix[FIX_MAX];

		if (strchr(dax, '.') == NULL ||
		    sysfs_link(driver, sizeof(driver), "%s/sys/bus/dax/devices/%s/driver",
			       e->root, dax))
			continue;
		held = true;
		if (!strcmp(driver, "kmem")) {
			snprintf(fix, sizeof(fix), "daxctl offline-memory %s && daxctl "
				 "disable-device %s && hmemctl attach-pool %s", dax, dax, region);
			found(e, "dax", FINDING_WARN, fix,
			      "CXL region %s is system RAM (%s, driver kmem)", region, dax);
		} else {
			snprintf(fix, sizeof(fix), "hmemctl attach-pool %s", region);
			found(e, "dax", FINDING_OK, fix,
			      "CXL region %s is held by device-dax (%s); attaching takes it over",
			      region, dax);
		}
	}
	names_free(&devices);
	return held;
}

/* Every position of the region has its device still, or already. */
static bool has_targets(const struct examination *e, const char *region)
{
	uint64_t i, ways = number(e, region, "interleave_ways");
	char target[64];

	for (i = 0; i < ways; i++)
		if (sysfs_read(target, sizeof(target), CXL "/target%" PRIu64, e->root, region, i) ||
		    !*target)
			return false;
	return ways;
}

static void examine_region(struct examination *e, const char *region)
{
	char mode[16] = "?", size[32], fix[FIX_MAX], name[64];
	uint64_t bytes = number(e, region, "size"), start = number(e, region, "resource");

	sysfs_read(mode, sizeof(mode), CXL "/mode", e->root, region);
	hmem_size_format(bytes, size, sizeof(size));
	if (!number(e, region, "commit")) {
		/* cxl destroys no region that lacks a target; the kernel does. */
		if (has_targets(e, region))
			snprintf(fix, sizeof(fix), "cxl destroy-region -f %s", region);
		else
			snprintf(fix, sizeof(fix), "echo %s > /sys/bus/cxl/devices/%s/../"
				 "delete_region", region, region);
		found(e, "region", FINDING_WARN, fix,
		      "CXL region %s (%s, %s) is not committed: half made, or left over", region,
		      mode, size);
		return;
	}
	if (!has_driver(e, region)) {
		snprintf(fix, sizeof(fix), "cxl enable-region %s", region);
		found(e, "region", FINDING_WARN, fix, "CXL region %s (%s, %s) is disabled", region,
		      mode, size);
		return;
	}
	if (pool_of(e, region, name, sizeof(name))) {
		found(e, "region", FINDING_OK, NULL, "CXL region %s (%s, %s) is pool %s", region,
		      mode, size, name);
		return;
	}
	found(e, "region", FINDING_OK, NULL, "CXL region %s (%s, %s) is enabled", region, mode,
	      size);
	if (examine_dax(e, region))
		return;
	if (bytes && start && holder_of(e, start, bytes, region, name, sizeof(name))) {
		snprintf(fix, sizeof(fix), "free it from %s, then: hmemctl attach-pool %s", name,
			 region);
		found(e, "holder", FINDING_WARN, fix, "the memory of CXL region %s is held by %s",
		      region, name);
	}
}

/* hmemctl switches it off while it makes a region: a kill in between leaves it so. */
static void examine_autoprobe(struct examination *e)
{
	const char *path = "/sys/bus/dax/drivers_autoprobe";
	char fix[FIX_MAX];
	uint64_t on;

	if (sysfs_read_u64(&on, "%s%s", e->root, path) || on)
		return;
	snprintf(fix, sizeof(fix), "echo 1 > %s", path);
	found(e, "dax", FINDING_WARN, fix, "new dax devices get no driver: somebody switched that "
	      "off, or hmemctl was killed while it made a CXL region");
}

void examine_regions(struct examination *e)
{
	struct names regions;
	size_t i;

	examine_autoprobe(e);
	if (sysfs_names(&regions, "region", "%s/sys/bus/cxl/devices", e->root))
		return;
	for (i = 0; i < regions.n; i++)
		examine_region(e, regions.name[i]);
	names_free(&regions);
}
