/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mimalloc as a strategy of spaces that are kept.
 */
#ifndef LIB_STRATEGY_MIMALLOC_H
#define LIB_STRATEGY_MIMALLOC_H

#include <stdbool.h>

#include <hmem/interface.h>

extern const struct hmem_strategy_ops strategy_mimalloc;

/* The space is kept, mimalloc is there, and has an arena in it, which it makes if need be. */
bool strategy_mimalloc_fits(struct hmem_space *space);

/* The space goes, and its memory stays. */
void strategy_mimalloc_leave(struct hmem_space *space);

#endif
