/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From CXL memory to an attached pool: everything between the CXL bus and hmem.ko,
 * whole or not at all.
 */
#ifndef HMEMCTL_CLAIM_H
#define HMEMCTL_CLAIM_H

#include <json-c/json.h>

#include "cxl_plan.h"
#include "cxl_setup.h"
#include "dax.h"
#include "hmemctl.h"

/**
 * struct claim - a pool that this run attached, and what that took
 * @pool: the pool's name
 * @region: the CXL region
 * @made: this run made the CXL region
 * @released: dax devices that this run took it from
 * @result: what attaching found
 */
struct claim {
	char pool[HMEM_NAME_MAX + 1];
	char region[HMEM_NAME_MAX + 1];
	bool made;
	struct dax_devices released;
	struct hmem_pool_result result;
};

/**
 * struct claim_how - how to attach
 * @name: name of the pool; NULL: the CXL region's
 * @flags: HMEM_POOL_*
 * @only_formatted: refuse a persistent source that is blank (-ENODATA) instead of
 *	formatting it
 */
struct claim_how {
	const char *name;
	unsigned int flags;
	bool only_formatted;
};

/**
 * claim_region - attach a CXL region that exists
 *
 * Brings it up and takes it from device-dax where needed; reports and undoes on
 * failure. With HMEM_POOL_CHECK nothing is changed, and @claim tells what would be.
 *
 * Return: 0 or a negative errno.
 */
int claim_region(const struct session *s, const struct cxl_region_state *region,
		 const struct claim_how *how, struct claim *claim);

/** claim_plan - make a CXL region as planned and attach it; reports and undoes on failure */
int claim_plan(const struct session *s, const struct cxl_plan *plan,
	       const struct claim_how *how, struct claim *claim);

/** claim_undo - detach the pool again and put everything back as it was */
void claim_undo(const struct session *s, const struct claim *claim);

/**
 * claim_begin - the module is loaded, this user may command it, and no other hmemctl is
 * at it; reports
 *
 * Between looking for memory, setting it up and attaching it another one would see what is
 * half made, use it, and lose it when this one gives up. So they take turns, from here to the
 * end of the process.
 *
 * Return: 0 or a negative errno.
 */
int claim_begin(const struct session *s);

/** claim_is_pool - some attached pool has this CXL region */
bool claim_is_pool(const struct session *s, const char *region);

/* What --dry-run prints: one object for each step that would be taken. */
void step_release(struct json_object *steps, const struct dax_devices *held);
void step_make(const struct session *s, struct json_object *steps, const struct cxl_plan *plan);
void step_attach(const struct session *s, struct json_object *steps, const char *source,
		 const char *pool, uint64_t bytes);

/** step_result - what a check found out, on the last step */
void step_result(struct json_object *steps, const struct hmem_pool_result *result);

#endif
