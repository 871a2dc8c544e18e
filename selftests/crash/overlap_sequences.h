/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTESTS_CRASH_OVERLAP_SEQUENCES_H
#define SELFTESTS_CRASH_OVERLAP_SEQUENCES_H

#include "sequences.h"

/* One of SEQUENCE_OVERLAP. */
bool overlap_sequence_run(const struct sequence *sequence);
/* Every @every-th place where a process may stop. */
bool each_overlap(enum start start, unsigned int every, each take);

#endif
