/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that these tests draw at random.
 */
#ifndef SELFTESTS_CRASH_ANY_H
#define SELFTESTS_CRASH_ANY_H

/* From now on all follows from the seed. */
void any_begin(unsigned long seed);
/* Less than @end. */
unsigned int any(unsigned int end);

#endif
