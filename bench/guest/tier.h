/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The workloads of bench/tier on a region of hmem.ko: what the files of the program share.
 *
 * The generators are the simulator's (sim.h), their accesses are made for real, and the module's
 * own policy is at work. What was accessed is known exactly, so is where each page is, now and
 * then: that makes the shares. All else is asked of the module.
 */
#ifndef BENCH_GUEST_TIER_H
#define BENCH_GUEST_TIER_H

#include <hmem/hmem.h>

#include "../tier/sim.h"

/**
 * struct target - the region that is accessed
 * @base: its mapping
 * @near: of each page whether it was near when it was looked last
 * @split: some of it was split then
 */
struct target {
	struct hmem_ctx *ctx;
	struct hmem_region *region;
	char *base;
	uint32_t extents;
	uint8_t *near;
	bool split;
};

/* Knobs to be set for each region, NAME=VALUE; NULL after the last one. */
extern const char *target_knobs[64];

/* A new region, with a home for each extent unless @untouched. Nothing is near. */
void target_open(struct target *t, const char *pool, uint32_t extents, uint64_t near_pages,
		 bool untouched);
void target_close(struct target *t);
void target_mode(struct target *t, enum hmem_tier_mode mode);
void target_knob(struct target *t, const char *name, uint64_t value);
/* Extents @first to @first + @count - 1; returns how many of them were moved. */
uint32_t target_move(struct target *t, uint32_t first, uint32_t count, enum hmem_tier_place place);
/* Where everything is. Of what is split only when @pages. */
void target_look(struct target *t, bool pages);
/* Where the pages of one extent are. */
void target_look_at(struct target *t, uint32_t extent);
/* Whether one fault maps all of an extent: all its pages are mapped, and one was just now. */
bool target_maps_whole(const struct target *t, uint32_t extent);
struct hmem_tier_stats target_stats(struct target *t);

static inline volatile uint64_t *target_word(const struct target *t, uint32_t page, uint32_t line)
{
	return (volatile uint64_t *)(void *)(t->base + (size_t)page * PAGE_BYTES + line % 64 * 64);
}

/* Whether a list of names has this one; NULL has all. */
bool chosen(const char *names, const char *name);
/* ns; where the guest counts instructions, those. */
uint64_t now_ns(void);
/* Ends the program unless one instruction of the guest is one ns. */
void must_count_instructions(void);

/* Costs in instructions. */
void measure_faults(const char *pool, uint64_t accesses);
void measure_moves(const char *pool);
void measure_scans(const char *pool, uint64_t accesses);

#endif
