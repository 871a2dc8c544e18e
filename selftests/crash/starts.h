/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTESTS_CRASH_STARTS_H
#define SELFTESTS_CRASH_STARTS_H

#include "explore.h"

void starts_init(void);

/* A machine on which nothing has been done yet but to make such a shelf. */
void begin_at(enum start start);

#endif
