/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Blocks that are runs of granules: those that are freed stay with the thread for a while.
 */
#ifndef LIB_BINNED_RUN_H
#define LIB_BINNED_RUN_H

#include "binned.h"

/* 0: none of so many granules is at hand whose head is a multiple of @align; else it, plus 1. */
uint64_t binned_run_take(struct binned_cache *cache, uint32_t n, uint32_t align);

/* Freed: its head has this @word. False: it has another one by now. */
bool binned_run_put(struct binned_cache *cache, uint64_t head, uint64_t word);

/* Give back those that are at hand. */
void binned_runs_give(struct binned_cache *cache);

#endif
