/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A set of hashes: what was looked at before.
 */
#ifndef SELFTESTS_CRASH_SEEN_H
#define SELFTESTS_CRASH_SEEN_H

#include <stdbool.h>
#include <stdint.h>

/* False: it was there. */
bool seen_add(uint64_t hash);
/* Between sequences: when it has become too large, begin anew. */
void seen_room(void);
void seen_clear(void);

#endif
