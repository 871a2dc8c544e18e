/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A sequence that has found something is run once more.
 */
#ifndef SELFTESTS_CRASH_AGAIN_H
#define SELFTESTS_CRASH_AGAIN_H

#include <stdbool.h>

/* For people: how to run the last sequence again. */
void again_tell(void);

/* Numbers, as that has told them. */
#define AGAIN_NUMBERS 12
bool again_run(char *const *numbers);

#endif
