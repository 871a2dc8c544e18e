// SPDX-License-Identifier: GPL-2.0-only
#include "cxl_plan.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CANDIDATES 64

struct candidate {
	struct cxl_memdev *memdev;
	int target;		/* which of the window's targets leads to it */
	uint64_t free;
	bool taken;
};

const char *cxl_kind(enum cxl_decoder_mode mode)
{
	return mode == CXL_DECODER_MODE_RAM ? "volatile" : "persistent";
}

static int because(char *why, size_t size, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static int because(char *why, size_t size, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return error;
}

uint64_t cxl_free_capacity(struct cxl_memdev *memdev, enum cxl_decoder_mode mode)
{
	struct cxl_endpoint *endpoint = cxl_memdev_get_endpoint(memdev);
	uint64_t total = mode == CXL_DECODER_MODE_RAM ? cxl_memdev_get_ram_size(memdev) :
							cxl_memdev_get_pmem_size(memdev);
	struct cxl_decoder *decoder;

	if (!endpoint || !cxl_memdev_is_enabled(memdev))
		return 0;
	cxl_decoder_foreach(cxl_endpoint_get_port(endpoint), decoder) {
		uint64_t used = cxl_decoder_get_dpa_size(decoder);

		/* "No answer" is all ones in libcxl. */
		if (!used || used == ULLONG_MAX)
			continue;
		/*
		 * Device addresses are given out in order, the volatile ones first: what
		 * was skipped for the first persistent region cannot be had any more.
		 */
		if (mode == CXL_DECODER_MODE_RAM &&
		    cxl_decoder_get_mode(decoder) == CXL_DECODER_MODE_PMEM)
			return 0;
		if (cxl_decoder_get_mode(decoder) != mode)
			continue;
		total -= used < total ? used : total;
	}
	return total;
}

struct cxl_decoder *cxl_free_decoder(struct cxl_memdev *memdev)
{
	struct cxl_endpoint *endpoint = cxl_memdev_get_endpoint(memdev);
	struct cxl_decoder *decoder;

	if (!endpoint)
		return NULL;
	cxl_decoder_foreach(cxl_endpoint_get_port(endpoint), decoder) {
		uint64_t used = cxl_decoder_get_dpa_size(decoder);

		if ((!used || used == ULLONG_MAX) && !cxl_decoder_get_region(decoder))
			return decoder;
	}
	return NULL;
}

static unsigned int free_decoders(struct cxl_port *port)
{
	struct cxl_decoder *decoder;
	unsigned int n = 0;

	cxl_decoder_foreach(port, decoder)
		if (!cxl_decoder_get_region(decoder))
			n++;
	return n;
}

unsigned int cxl_path_decoders(struct cxl_memdev *memdev)
{
	struct cxl_endpoint *endpoint = cxl_memdev_get_endpoint(memdev);
	unsigned int least = UINT_MAX;
	struct cxl_port *port;

	if (!endpoint)
		return 0;
	for (port = cxl_endpoint_get_port(endpoint); port && !cxl_port_is_root(port);
	     port = cxl_port_get_parent(port)) {
		unsigned int n = free_decoders(port);

		if (n < least)
			least = n;
	}
	return least;
}

static bool is_named(const struct cxl_request *request, struct cxl_memdev *memdev)
{
	unsigned int i;

	for (i = 0; i < request->n_memdevs; i++)
		if (!strcmp(request->memdevs[i], cxl_memdev_get_devname(memdev)))
			return true;
	return !request->n_memdevs;
}

/* Place on the PCI bus: the one order that is the same after every boot. */
static int by_host(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return strcmp(cxl_memdev_get_host(x->memdev), cxl_memdev_get_host(y->memdev));
}

static unsigned int find_candidates(struct cxl_ctx *cxl, const struct cxl_request *request,
				    struct cxl_decoder *window, struct candidate *found)
{
	struct cxl_memdev *memdev;
	unsigned int n = 0;

	cxl_memdev_foreach(cxl, memdev) {
		struct cxl_target *target;
		uint64_t free;

		if (n == MAX_CANDIDATES || !is_named(request, memdev))
			continue;
		target = cxl_decoder_get_target_by_memdev(window, memdev);
		free = cxl_free_capacity(memdev, request->mode);
		if (!target || free < CXL_CAPACITY_UNIT || !cxl_free_decoder(memdev) ||
		    !cxl_path_decoders(memdev))
			continue;
		found[n++] = (struct candidate){ memdev, cxl_target_get_position(target), free,
						 false };
	}
	qsort(found, n, sizeof(*found), by_host);
	return n;
}

static void take(struct cxl_plan *plan, unsigned int position, struct candidate *c)
{
	struct cxl_plan_device *d = &plan->device[position];

	c->taken = true;
	snprintf(d->memdev, sizeof(d->memdev), "%s", cxl_memdev_get_devname(c->memdev));
	snprintf(d->host, sizeof(d->host), "%s", cxl_memdev_get_host(c->memdev));
	d->serial = cxl_memdev_get_serial(c->memdev);
}

/*
 * A window that interleaves over several host bridges sends consecutive granules to
 * its targets in turn, so position i of a region must lie behind target i modulo
 * the window's ways.
 */
static bool place(struct cxl_plan *plan, unsigned int window_ways, struct candidate *c,
		  unsigned int n, unsigned int skip, uint64_t *share)
{
	unsigned int position, i;

	*share = UINT64_MAX;
	for (position = 0; position < plan->ways; position++) {
		for (i = skip; i < n; i++)
			if (!c[i].taken && (unsigned int)c[i].target == position % window_ways)
				break;
		if (i == n)
			return false;
		take(plan, position, &c[i]);
		if (c[i].free < *share)
			*share = c[i].free;
	}
	return true;
}

static uint64_t round_down(uint64_t value, uint64_t unit)
{
	return value - value % unit;
}

/* The best plan in one window; false when there is none. */
static bool plan_in_window(struct cxl_ctx *cxl, const struct cxl_request *request,
			   struct cxl_decoder *window, struct cxl_plan *best)
{
	unsigned int window_ways = cxl_decoder_get_interleave_ways(window);
	uint64_t room = cxl_decoder_get_max_available_extent(window);
	struct candidate c[MAX_CANDIDATES];
	unsigned int n, skip;

	if (!window_ways || window_ways > CXL_MAX_WAYS || room == ULLONG_MAX)
		return false;
	n = find_candidates(cxl, request, window, c);

	/* Each start gives a plan of its own; a second device may have more than the first. */
	for (skip = 0; skip < n; skip++) {
		struct cxl_plan plan = { .mode = request->mode };
		uint64_t share, unit;
		unsigned int i;

		plan.ways = request->ways ? request->ways : window_ways;
		if (plan.ways % window_ways)
			return false;
		plan.granularity = request->granularity ? request->granularity :
				   cxl_decoder_get_interleave_granularity(window);
		unit = plan.ways * CXL_CAPACITY_UNIT;
		snprintf(plan.window, sizeof(plan.window), "%s", cxl_decoder_get_devname(window));
		for (i = 0; i < n; i++)
			c[i].taken = false;
		if (!place(&plan, window_ways, c, n, skip, &share))
			break;
		plan.size = round_down(share, CXL_CAPACITY_UNIT) * plan.ways;
		if (plan.size > room)
			plan.size = round_down(room, unit);
		if (request->size) {
			if (plan.size < request->size)
				continue;
			plan.size = request->size;
		}
		if (plan.size > best->size)
			*best = plan;
	}
	return best->size != 0;
}

static bool window_fits(struct cxl_decoder *window, enum cxl_decoder_mode mode)
{
	return mode == CXL_DECODER_MODE_RAM ? cxl_decoder_is_volatile_capable(window) :
					      cxl_decoder_is_pmem_capable(window);
}

static int check_names(struct cxl_ctx *cxl, const struct cxl_request *request, char *why,
		       size_t size)
{
	struct cxl_memdev *memdev;
	unsigned int i;

	for (i = 0; i < request->n_memdevs; i++) {
		bool there = false;

		cxl_memdev_foreach(cxl, memdev)
			if (!strcmp(cxl_memdev_get_devname(memdev), request->memdevs[i]))
				there = true;
		if (!there)
			return because(why, size, -ENOENT, "no CXL memory device %s",
				       request->memdevs[i]);
	}
	return 0;
}

/* Nothing was found: the first thing that is missing is what to tell. */
static int explain(struct cxl_ctx *cxl, const struct cxl_request *request, bool window_seen,
		   char *why, size_t size)
{
	const char *kind = cxl_kind(request->mode);
	unsigned int n = 0, usable = 0, blocked = 0;
	struct cxl_memdev *memdev;
	uint64_t free = 0;

	cxl_memdev_foreach(cxl, memdev) {
		uint64_t this = cxl_free_capacity(memdev, request->mode);

		n++;
		if (!is_named(request, memdev) || this < CXL_CAPACITY_UNIT)
			continue;
		free += this;
		usable++;
		blocked += !cxl_path_decoders(memdev);
	}
	if (!n)
		return because(why, size, -ENODEV, "the kernel knows no CXL memory device");
	if (!usable)
		return because(why, size, -ENOSPC,
			       "no CXL memory device has unconfigured %s capacity", kind);
	if (!window_seen)
		return because(why, size, -ENXIO,
			       "no CXL window is meant for %s memory", kind);
	if (request->ways > usable)
		return because(why, size, -EINVAL,
			       "%u ways wanted, but only %u device%s unconfigured %s capacity",
			       request->ways, usable, usable == 1 ? " has" : "s have", kind);
	if (blocked)
		return because(why, size, -EBUSY,
			       "%llu MiB of unconfigured %s capacity are there, but a port on the "
			       "way has no decoder left for another CXL region",
			       (unsigned long long)free >> 20, kind);
	return because(why, size, -EBUSY,
		       "%llu MiB of unconfigured %s capacity are there, but no window has room "
		       "for them, or interleaves them as asked", (unsigned long long)free >> 20,
		       kind);
}

int cxl_plan(struct cxl_ctx *cxl, const struct cxl_request *request, struct cxl_plan *plan,
	     char *why, size_t why_size)
{
	struct cxl_plan best = { 0 };
	bool window_seen = false;
	struct cxl_bus *bus;
	int rc;

	if (request->ways > CXL_MAX_WAYS)
		return because(why, why_size, -EINVAL, "%u ways are more than %d", request->ways,
			       CXL_MAX_WAYS);
	rc = check_names(cxl, request, why, why_size);
	if (rc)
		return rc;
	cxl_bus_foreach(cxl, bus) {
		struct cxl_decoder *window;

		cxl_decoder_foreach(cxl_bus_get_port(bus), window) {
			if (!window_fits(window, request->mode))
				continue;
			window_seen = true;
			plan_in_window(cxl, request, window, &best);
		}
	}
	if (!best.size)
		return explain(cxl, request, window_seen, why, why_size);
	*plan = best;
	return 0;
}
