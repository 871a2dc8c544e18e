/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls at random, by the user that has the token.
 */
#ifndef SELFTESTS_CRASH_OVERLAP_CALLS_H
#define SELFTESTS_CRASH_OVERLAP_CALLS_H

#include <hmem/shelf.h>

#include <stdbool.h>

/* @object: is in use if @holds, also when the thread that got it has ended; @rest: what is in it */
struct caller {
	struct hmem_shelf *shelf;
	unsigned int user;
	struct hmem_object object;
	uint64_t rest;
	bool holds;
};

void caller_calls(struct caller *caller);
/* What is in use is let go. */
void caller_releases(struct caller *caller);

#endif
