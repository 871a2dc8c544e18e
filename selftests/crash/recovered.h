/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the plain copy of the library makes of what is in its machine's memory.
 */
#ifndef SELFTESTS_CRASH_RECOVERED_H
#define SELFTESTS_CRASH_RECOVERED_H

#include "contents.h"

#define SHELF_NAME "s"
/* Another one of the same region. */
#define SHELF_BESIDE "t"

/*
 * Recover, compare with @before and @after, account for all memory, recover again.
 * @which: which of them it was, &1 before, &2 after.
 *
 * Return: NULL, or what is wrong.
 */
const char *recovered_check(const struct contents *before, const struct contents *after,
			    unsigned int *which);

/* What is dear is done to one in so many: the library checks it, and then it is used. */
extern unsigned int recovered_some;
/* So is recovering again. */
extern unsigned int recovered_again;

#endif
