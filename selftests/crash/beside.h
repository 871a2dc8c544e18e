/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What processes do that are there when others die, or stop.
 */
#ifndef SELFTESTS_CRASH_BESIDE_H
#define SELFTESTS_CRASH_BESIDE_H

#include <stdbool.h>

#include "calls.h"

/* It gets memory of its own, and something is left for its next fence. False: see doing.h. */
bool be_beside(unsigned int process);
/* At all that there is, with the library's check. */
extern const struct step look_at_all;

#endif
