/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For files beside the one with main(), which alone has tap.h: a line for people, and the end.
 */
#ifndef SELFTESTS_CRASH_SAY_H
#define SELFTESTS_CRASH_SAY_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define say(format, ...) printf("# " format "\n", ##__VA_ARGS__)

/* Nothing that follows makes sense. */
#define bail(format, ...)                                                \
	do {                                                             \
		printf("Bail out! " format "\n", ##__VA_ARGS__);         \
		exit(1);                                                 \
	} while (0)

#endif
