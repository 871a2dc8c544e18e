// SPDX-License-Identifier: GPL-2.0-only
#include "cxl_setup.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "machine.h"
#include "report.h"
#include "sysfs.h"

/*
 * libcxl answers with an errno and tells the reason only to its log: keep the last
 * line for the report.
 */
static char last_log[256];

static void keep_log(struct cxl_ctx *cxl, int priority, const char *file, int line, const char *fn,
		     const char *format, va_list args)
{
	(void)cxl;
	(void)priority;
	(void)file;
	(void)line;
	(void)fn;
	vsnprintf(last_log, sizeof(last_log), format, args);
	last_log[strcspn(last_log, "\n")] = '\0';
}

struct cxl_ctx *cxl_open(const struct session *s)
{
	struct cxl_ctx *cxl;
	int rc = cxl_new(&cxl);

	if (rc) {
		report_error(s, "start libcxl: %s", strerror(-rc));
		return NULL;
	}
	cxl_set_log_fn(cxl, keep_log);
	last_log[0] = '\0';
	return cxl;
}

static struct cxl_region *find_region(struct cxl_ctx *cxl, const char *name)
{
	struct cxl_bus *bus;

	cxl_bus_foreach(cxl, bus) {
		struct cxl_decoder *window;

		cxl_decoder_foreach(cxl_bus_get_port(bus), window) {
			struct cxl_region *region;

			cxl_region_foreach(window, region)
				if (!strcmp(cxl_region_get_devname(region), name))
					return region;
		}
	}
	return NULL;
}

static struct cxl_decoder *find_window(struct cxl_ctx *cxl, const char *name)
{
	struct cxl_bus *bus;

	cxl_bus_foreach(cxl, bus) {
		struct cxl_decoder *window;

		cxl_decoder_foreach(cxl_bus_get_port(bus), window)
			if (!strcmp(cxl_decoder_get_devname(window), name))
				return window;
	}
	return NULL;
}

static struct cxl_memdev *find_memdev(struct cxl_ctx *cxl, const char *name)
{
	struct cxl_memdev *memdev;

	cxl_memdev_foreach(cxl, memdev)
		if (!strcmp(cxl_memdev_get_devname(memdev), name))
			return memdev;
	return NULL;
}

/* Some libcxl functions answer with a negative errno, some with a positive one, some with -1. */
static int errno_of(int rc)
{
	if (rc == -1 && errno)
		return -errno;
	return rc > 0 ? -rc : rc;
}

static void report_failed_step(const struct session *s, const char *step, const char *object,
			       int error)
{
	report_error(s, "%s %s: %s%s%s%s", step, object, strerror(-error), *last_log ? " (" : "",
		     last_log, *last_log ? ")" : "");
	if (error == -EACCES || error == -EPERM)
		report_fix(s, "run it as root");
	else if (error == -ENXIO && machine_hides_cache_flush())
		report_fix(s, "the kernel sees a hypervisor and will not flush CPU caches for a new "
			   "CXL region: start QEMU with -cpu max,-hypervisor, or run a kernel with "
			   "CONFIG_CXL_REGION_INVALIDATION_TEST=y");
	else
		report_fix(s, "dmesg | grep -i cxl tells the kernel's reason; hmemctl doctor "
			   "looks for the usual ones");
}

static int free_targets(struct cxl_region *region)
{
	struct cxl_decoder *decoder[CXL_MAX_WAYS];
	unsigned int i, n = cxl_region_get_interleave_ways(region);
	int rc;

	/* Never shaped, so it has no targets; libcxl would not even look. */
	if (!n || n > CXL_MAX_WAYS)
		return 0;
	for (i = 0; i < n; i++)
		decoder[i] = cxl_region_get_target_decoder(region, (int)i);
	rc = errno_of(cxl_region_clear_all_targets(region));
	for (i = n; !rc && i-- > 0;) {
		/* The last to be allocated goes first: the kernel gives back in that order only. */
		if (decoder[i])
			rc = errno_of(cxl_decoder_set_dpa_size(decoder[i], 0));
	}
	return rc;
}

static int teardown(const struct session *s, const char *name)
{
	struct cxl_ctx *cxl = cxl_open(s);
	struct cxl_region *region;
	const char *step = "disable CXL region";
	int rc = 0;

	if (!cxl)
		return -ENOMEM;
	region = find_region(cxl, name);
	if (!region) {
		cxl_unref(cxl);
		return 0;
	}
	errno = 0;
	if (cxl_region_is_enabled(region))
		rc = errno_of(cxl_region_disable(region));
	if (!rc && cxl_region_decode_is_committed(region)) {
		step = "reset the decoders of CXL region";
		rc = errno_of(cxl_region_decode_reset(region));
	}
	if (!rc) {
		step = "free the device capacity of CXL region";
		rc = free_targets(region);
	}
	if (!rc) {
		step = "delete CXL region";
		rc = errno_of(cxl_region_delete(region));
	}
	if (rc)
		report_failed_step(s, step, name, rc);
	cxl_unref(cxl);
	return rc;
}

int cxl_teardown(const struct session *s, const char *name)
{
	report_step(s, "remove CXL region %s", name);
	return teardown(s, name);
}

static struct cxl_region *new_region(struct cxl_decoder *window, enum cxl_decoder_mode mode)
{
	if (mode == CXL_DECODER_MODE_PMEM)
		return cxl_decoder_create_pmem_region(window);
#ifdef HAVE_CXL_RAM_REGION
	return cxl_decoder_create_ram_region(window);
#else
	errno = EOPNOTSUPP;
	return NULL;
#endif
}

static int random_uuid(uuid_t uuid)
{
	char text[64];
	unsigned int byte[16], i;
	int rc = sysfs_read(text, sizeof(text), "/proc/sys/kernel/random/uuid");

	if (rc)
		return rc;
	if (sscanf(text, "%2x%2x%2x%2x-%2x%2x-%2x%2x-%2x%2x-%2x%2x%2x%2x%2x%2x", &byte[0],
		   &byte[1], &byte[2], &byte[3], &byte[4], &byte[5], &byte[6], &byte[7], &byte[8],
		   &byte[9], &byte[10], &byte[11], &byte[12], &byte[13], &byte[14],
		   &byte[15]) != 16)
		return -EINVAL;
	for (i = 0; i < 16; i++)
		uuid[i] = (unsigned char)byte[i];
	return 0;
}

static int set_shape(struct cxl_region *region, const struct cxl_plan *plan, const char **step)
{
	uuid_t uuid = { 0 };
	int rc;

	*step = "set the interleave granularity of";
	rc = errno_of(cxl_region_set_interleave_granularity(region, plan->granularity));
	if (rc)
		return rc;
	*step = "set the interleave ways of";
	rc = errno_of(cxl_region_set_interleave_ways(region, plan->ways));
	if (rc)
		return rc;
	if (plan->mode == CXL_DECODER_MODE_PMEM) {
		*step = "give a UUID to";
		rc = random_uuid(uuid);
		if (!rc)
			rc = errno_of(cxl_region_set_uuid(region, uuid));
		if (rc)
			return rc;
	}
	*step = "reserve address space for";
	return errno_of(cxl_region_set_size(region, plan->size));
}

static int set_targets(struct cxl_ctx *cxl, struct cxl_region *region, const struct cxl_plan *plan,
		       const char **step)
{
	unsigned int i;

	for (i = 0; i < plan->ways; i++) {
		struct cxl_memdev *memdev = find_memdev(cxl, plan->device[i].memdev);
		struct cxl_decoder *decoder = memdev ? cxl_free_decoder(memdev) : NULL;
		int rc;

		*step = "find a free endpoint decoder for";
		if (!decoder)
			return -ENOSPC;
		*step = "choose the kind of device memory for";
		rc = errno_of(cxl_decoder_set_mode(decoder, plan->mode));
		if (rc)
			return rc;
		*step = "allocate device memory for";
		rc = errno_of(cxl_decoder_set_dpa_size(decoder, plan->size / plan->ways));
		if (rc)
			return rc;
		*step = "add a device to";
		rc = errno_of(cxl_region_set_target(region, (int)i, decoder));
		if (rc) {
			cxl_decoder_set_dpa_size(decoder, 0);
			return rc;
		}
	}
	return 0;
}

int cxl_setup(const struct session *s, const struct cxl_plan *plan, char name[CXL_NAME])
{
	const char *step = "create a CXL region in window";
	struct cxl_ctx *cxl = cxl_open(s);
	struct cxl_region *region;
	char made[CXL_NAME];
	int rc;

	if (!cxl)
		return -ENOMEM;
	errno = 0;
	region = new_region(find_window(cxl, plan->window), plan->mode);
	if (!region) {
		rc = errno ? -errno : -EIO;
		if (rc == -EOPNOTSUPP) {
			report_error(s, "%s %s: the libcxl that hmemctl was built with cannot make "
				     "volatile regions", step, plan->window);
			report_fix(s, "cxl create-region -m -t ram -d %s %s, then hmemctl "
				   "attach-pool; or build with libcxl 77 or later", plan->window,
				   plan->device[0].memdev);
		} else {
			report_failed_step(s, step, plan->window, rc);
		}
		cxl_unref(cxl);
		return rc;
	}
	snprintf(made, sizeof(made), "%s", cxl_region_get_devname(region));
	report_step(s, "create CXL region %s: %llu MiB %s, %u-way, first device %s", made,
		    (unsigned long long)plan->size >> 20, cxl_kind(plan->mode), plan->ways,
		    plan->device[0].memdev);
	rc = set_shape(region, plan, &step);
	if (!rc)
		rc = set_targets(cxl, region, plan, &step);
	if (!rc) {
		step = "commit the decoders of";
		rc = errno_of(cxl_region_decode_commit(region));
	}
	if (!rc) {
		step = "enable";
		rc = errno_of(cxl_region_enable(region));
	}
	if (rc)
		report_failed_step(s, step, made, rc);
	cxl_unref(cxl);
	if (rc) {
		cxl_teardown(s, made);
		return rc;
	}
	memcpy(name, made, sizeof(made));
	return 0;
}

/* libcxl 76 has no call for it, and the file has been there since volatile regions have. */
static enum cxl_decoder_mode mode_of(const char *region)
{
	char text[16];

	if (!sysfs_read(text, sizeof(text), "/sys/bus/cxl/devices/%s/mode", region) &&
	    !strcmp(text, "ram"))
		return CXL_DECODER_MODE_RAM;
	return CXL_DECODER_MODE_PMEM;
}

unsigned int cxl_region_states(struct cxl_ctx *cxl, struct cxl_region_state *states,
			       unsigned int max)
{
	struct cxl_bus *bus;
	unsigned int n = 0;

	cxl_bus_foreach(cxl, bus) {
		struct cxl_decoder *window;

		cxl_decoder_foreach(cxl_bus_get_port(bus), window) {
			struct cxl_region *region;

			cxl_region_foreach(window, region) {
				struct cxl_region_state *state = &states[n];

				if (n == max)
					return n;
				snprintf(state->name, sizeof(state->name), "%s",
					 cxl_region_get_devname(region));
				state->mode = mode_of(state->name);
				state->size = cxl_region_get_size(region);
				state->committed = cxl_region_decode_is_committed(region) > 0;
				state->enabled = cxl_region_is_enabled(region) > 0;
				n++;
			}
		}
	}
	return n;
}

int cxl_region_bring_up(const struct session *s, const char *name)
{
	struct cxl_ctx *cxl = cxl_open(s);
	const char *step = "find CXL region";
	struct cxl_region *region;
	int rc = 0;

	if (!cxl)
		return -ENOMEM;
	region = find_region(cxl, name);
	errno = 0;
	if (!region)
		rc = -ENOENT;
	if (!rc && !cxl_region_decode_is_committed(region)) {
		step = "commit the decoders of CXL region";
		rc = errno_of(cxl_region_decode_commit(region));
	}
	if (!rc && !cxl_region_is_enabled(region)) {
		step = "enable CXL region";
		report_step(s, "enable CXL region %s", name);
		rc = errno_of(cxl_region_enable(region));
	}
	if (rc)
		report_failed_step(s, step, name, rc);
	cxl_unref(cxl);
	return rc;
}
