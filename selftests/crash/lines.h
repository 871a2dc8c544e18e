/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What of a file would outlive a loss of power: a cache line does, as it was written back, when
 * the same thread has made a fence since. The library tells of both (HMEM_PERSIST_TRACE).
 */
#ifndef SELFTESTS_CRASH_LINES_H
#define SELFTESTS_CRASH_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lines_event {
	LINES_WRITTEN_BACK,	/* something was */
	LINES_FENCE,		/* one is about to be made */
	LINES_FENCED,		/* it was */
};

/* Called at each, by the thread that makes it; it need not return. */
extern void (*lines_hook)(enum lines_event event);

/* All that is in the file is durable; from now on it is noted. For the rest of the process. */
void lines_begin(const char *path);
/* It may have been mapped elsewhere since. */
void lines_map(void);
/* What this thread does is nothing to us. Returns how that was before. */
bool lines_ignore(bool ignore);
size_t lines_bytes(void);
/*
 * What is left when the power goes now. Of the lines that are not durable, that many of a hundred
 * have arrived nevertheless, which ones follows from the seed.
 */
void lines_left(unsigned char *image, unsigned int percent, uint64_t seed);

#endif
