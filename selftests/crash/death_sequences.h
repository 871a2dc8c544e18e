/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTESTS_CRASH_DEATH_SEQUENCES_H
#define SELFTESTS_CRASH_DEATH_SEQUENCES_H

#include "sequences.h"

/* One of SEQUENCE_DEATH or SEQUENCE_DEATH_AGAIN. */
bool death_sequence_run(const struct sequence *sequence);

/* Every @every-th of them, in all calls, is given to @take; until that returns false. */
bool each_death(enum start start, unsigned int every, each take);

#endif
