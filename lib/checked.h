/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checked mode: a strategy on top of another one, that knows each block of its interface, and finds
 * what programs do wrong with them.
 */
#ifndef LIB_CHECKED_H
#define LIB_CHECKED_H

#include <stdbool.h>

#include <hmem/interface.h>

extern const struct hmem_strategy_ops strategy_checked;

/* Whether the environment asks for checked mode everywhere. */
bool checked_everywhere(void);

/* Of a bump interface: all blocks are freed. Returns the state of the strategy beneath. */
void *checked_reset(void *state);

#endif
