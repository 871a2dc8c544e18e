// SPDX-License-Identifier: GPL-2.0-only
#include "claim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "json.h"
#include "report.h"

struct search {
	const char *region;
	bool found;
};

static int has_source(void *arg, const struct hmem_pool_info *info)
{
	struct search *search = arg;

	if (!strcmp(info->source, search->region))
		search->found = true;
	return search->found;
}

bool claim_is_pool(const struct session *s, const char *region)
{
	struct search search = { region, false };

	hmem_pool_iterate(s->hmem, has_source, &search);
	return search.found;
}

/* Above the three that a shell may have closed, or the answer could go there. */
static int open_control(void)
{
	int fd = open(HMEM_CONTROL, O_RDWR | O_CLOEXEC), high;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	close(fd);
	return high;
}

int claim_begin(const struct session *s)
{
	int error, fd = open_control();

	if (fd >= 0) {
		if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
			report_step(s, "wait for another hmemctl to end");
			flock(fd, LOCK_EX);
		}
		/* Held until this process ends, however it does. */
		return 0;
	}
	error = errno;
	report_error(s, "open %s: %s", HMEM_CONTROL, strerror(error));
	if (error == EACCES || error == EPERM)
		report_fix(s, "run it as root: this needs CAP_SYS_ADMIN");
	else
		report_fix(s, "load the module, as root: modprobe hmem, or insmod hmem.ko");
	return -error;
}

static void report_attach(const struct session *s, const char *region, int error)
{
	report_library(s, error);
	if (error == -EUCLEAN)
		report_fix(s, "if nothing on it is worth keeping: hmemctl attach-pool %s --format",
			   region);
	else if (error == -EUSERS)
		report_fix(s, "if the other host is gone for good: hmemctl attach-pool %s "
			   "--take-over", region);
}

/* The two halves of what cannot be left half done; a signal waits until it is whole. */
static void hold_signals(sigset_t *before)
{
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGHUP);
	sigprocmask(SIG_BLOCK, &held, before);
}

static int attach(const struct session *s, const char *region, const struct claim_how *how,
		  struct hmem_pool_result *result)
{
	struct hmem_pool_options options = HMEM_POOL_OPTIONS_INIT;
	int rc;

	options.source = region;
	options.name = how->name;
	*result = (struct hmem_pool_result){ .size = sizeof(*result) };
	if (how->only_formatted) {
		options.flags = how->flags | HMEM_POOL_CHECK;
		rc = hmem_pool_attach(s->hmem, &options, result);
		if (rc) {
			report_attach(s, region, rc);
			return rc;
		}
		if (result->flags & HMEM_POOL_WAS_FORMATTED)
			return -ENODATA;
		*result = (struct hmem_pool_result){ .size = sizeof(*result) };
	}
	options.flags = how->flags;
	if (!(how->flags & HMEM_POOL_CHECK))
		report_step(s, "attach CXL region %s as pool %s", region,
			    how->name ? how->name : region);
	rc = hmem_pool_attach(s->hmem, &options, result);
	if (rc)
		report_attach(s, region, rc);
	return rc;
}

static void fill(struct claim *claim, const char *region, const struct claim_how *how)
{
	*claim = (struct claim){ 0 };
	snprintf(claim->pool, sizeof(claim->pool), "%s", how->name ? how->name : region);
	snprintf(claim->region, sizeof(claim->region), "%s", region);
}

/* A driver that holds the memory makes the kernel's own check say -EBUSY: leave that out. */
static int check_region(const struct session *s, const struct cxl_region_state *region,
			const struct claim_how *how, struct claim *claim)
{
	int rc = dax_release(s, region->name, &claim->released, true);

	if (rc || claim->released.n || !region->enabled)
		return rc;
	return attach(s, region->name, how, &claim->result);
}

int claim_region(const struct session *s, const struct cxl_region_state *region,
		 const struct claim_how *how, struct claim *claim)
{
	bool autoprobe = false;
	sigset_t signals;
	int rc;

	fill(claim, region->name, how);
	if (how->flags & HMEM_POOL_CHECK)
		return check_region(s, region, how, claim);

	hold_signals(&signals);
	if (!region->enabled) {
		autoprobe = dax_autoprobe_stop();
		rc = cxl_region_bring_up(s, region->name);
	} else {
		rc = dax_release(s, region->name, &claim->released, false);
	}
	if (!rc) {
		rc = attach(s, region->name, how, &claim->result);
		if (rc)
			dax_give_back(s, &claim->released);
	}
	dax_autoprobe_restore(autoprobe);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	return rc;
}

/* See cxl_free_capacity(): worth a word while it can still be changed. */
static void warn_of_lost_capacity(const struct session *s, const struct cxl_plan *plan)
{
	struct cxl_ctx *cxl = plan->mode == CXL_DECODER_MODE_PMEM ? cxl_open(s) : NULL;
	struct cxl_memdev *memdev;
	unsigned int i;

	if (!cxl)
		return;
	cxl_memdev_foreach(cxl, memdev)
		for (i = 0; i < plan->ways; i++)
			if (!strcmp(plan->device[i].memdev, cxl_memdev_get_devname(memdev)) &&
			    cxl_free_capacity(memdev, CXL_DECODER_MODE_RAM))
				report_warning(s, "the volatile capacity of %s cannot be configured "
					       "while its persistent capacity is",
					       plan->device[i].memdev);
	cxl_unref(cxl);
}

int claim_plan(const struct session *s, const struct cxl_plan *plan,
	       const struct claim_how *how, struct claim *claim)
{
	char region[CXL_NAME];
	sigset_t signals;
	bool autoprobe;
	int rc;

	hold_signals(&signals);
	autoprobe = dax_autoprobe_stop();
	rc = cxl_setup(s, plan, region);
	if (!rc) {
		fill(claim, region, how);
		claim->made = true;
		rc = attach(s, region, how, &claim->result);
		/* Whoever attached it meanwhile, without hmemctl, must not lose it again. */
		if (rc && !claim_is_pool(s, region))
			cxl_teardown(s, region);
		else if (!rc)
			warn_of_lost_capacity(s, plan);
	}
	dax_autoprobe_restore(autoprobe);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	return rc;
}

void claim_undo(const struct session *s, const struct claim *claim)
{
	int rc;

	report_step(s, "detach pool %s", claim->pool);
	rc = hmem_pool_detach(s->hmem, claim->pool);
	if (rc) {
		report_warning(s, "undo: %s", hmem_last_error(s->hmem));
		report_fix(s, "hmemctl detach-pool %s", claim->pool);
		return;
	}
	if (claim->made)
		cxl_teardown(s, claim->region);
	else
		dax_give_back(s, &claim->released);
}

static struct json_object *step(struct json_object *steps, const char *what)
{
	struct json_object *o = json_object_new_object();

	json_text(o, "step", what);
	json_object_array_add(steps, o);
	return o;
}

void step_release(struct json_object *steps, const struct dax_devices *held)
{
	unsigned int i;

	for (i = 0; i < held->n; i++)
		json_text(step(steps, "disable-dax-device"), "device", held->device[i].name);
}

void step_make(const struct session *s, struct json_object *steps, const struct cxl_plan *plan)
{
	struct json_object *o = step(steps, "create-cxl-region");
	struct json_object *devices = json_object_new_array();
	unsigned int i;

	json_text(o, "window", plan->window);
	json_text(o, "type", cxl_decoder_mode_name(plan->mode));
	json_size(s, o, "size", plan->size);
	json_number(o, "ways", plan->ways);
	json_number(o, "granularity", plan->granularity);
	for (i = 0; i < plan->ways; i++)
		json_object_array_add(devices, json_object_new_string(plan->device[i].memdev));
	json_object_object_add(o, "memdevs", devices);
}

void step_attach(const struct session *s, struct json_object *steps, const char *source,
		 const char *pool, uint64_t bytes)
{
	struct json_object *o = step(steps, "attach-pool");

	json_text(o, "source", source);
	json_text(o, "pool", pool);
	json_size(s, o, "size", bytes);
}

void step_result(struct json_object *steps, const struct hmem_pool_result *result)
{
	size_t n = json_object_array_length(steps);
	struct json_object *o = json_object_array_get_idx(steps, n - 1);

	json_object_object_add(o, "format", json_object_new_boolean(
			       result->flags & HMEM_POOL_WAS_FORMATTED));
	json_object_object_add(o, "repair", json_object_new_boolean(
			       result->flags & HMEM_POOL_WAS_REPAIRED));
	json_number(o, "regions", result->regions);
}
