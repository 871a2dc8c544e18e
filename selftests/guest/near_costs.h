/* SPDX-License-Identifier: GPL-2.0-only */
/* What a policy is told that moves cost and earn. */
#ifndef SELFTESTS_GUEST_NEAR_COSTS_H
#define SELFTESTS_GUEST_NEAR_COSTS_H

#include "fixture.h"
#include "near.h"

/*
 * In an emulated machine hardly anything is worth a copy, as it takes longer, and accesses come
 * seldom: by what is measured there nothing would move. So it is told what a real one is like.
 */
static inline void must_set_costs(int fd)
{
	must(knob_set(fd, "near_ns", 100), "near_ns");
	must(knob_set(fd, "home_ns", 250), "home_ns");
	must(knob_set(fd, "copy_extent_ns", 418000), "copy_extent_ns");
	must(knob_set(fd, "copy_page_ns", 1000), "copy_page_ns");
}

#endif
