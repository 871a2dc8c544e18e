/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making and unmaking CXL regions, one step at a time, each step with a name, so
 * that a failure says which it was and what had been done is undone.
 */
#ifndef HMEMCTL_CXL_SETUP_H
#define HMEMCTL_CXL_SETUP_H

#include "cxl_plan.h"
#include "hmemctl.h"

/** cxl_open - libcxl's view of the machine as it is now. Return: NULL after reporting why. */
struct cxl_ctx *cxl_open(const struct session *s);

/**
 * cxl_setup - make the CXL region of a plan, committed and enabled
 * @region: its name, such as "region0"; written only on success
 *
 * Reports which step failed and undoes the ones before it.
 *
 * Return: 0 or a negative errno; -EOPNOTSUPP when this build's libcxl or the kernel
 * cannot make a region of this kind.
 */
int cxl_setup(const struct session *s, const struct cxl_plan *plan, char region[CXL_NAME]);

/** cxl_teardown - disable and remove a CXL region and free its capacity; reports failure */
int cxl_teardown(const struct session *s, const char *region);

/** struct cxl_region_state - a CXL region that exists */
struct cxl_region_state {
	char name[CXL_NAME];
	enum cxl_decoder_mode mode;
	uint64_t size;
	bool committed;
	bool enabled;
};

/** cxl_region_states - every CXL region, in order. Return: how many, at most @max. */
unsigned int cxl_region_states(struct cxl_ctx *cxl, struct cxl_region_state *states,
			       unsigned int max);

/** cxl_region_bring_up - commit and enable a region that exists; reports failure */
int cxl_region_bring_up(const struct session *s, const char *region);

#endif
