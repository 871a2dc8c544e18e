/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls on a shelf that follow from a seed, and what they leave in it.
 */
#ifndef SELFTESTS_CRASH_CALLS_AT_RANDOM_H
#define SELFTESTS_CRASH_CALLS_AT_RANDOM_H

#include <hmem/shelf.h>

#include <stdbool.h>

#define OBJECTS		6u
#define MOST_BYTES	20000u

struct contents {
	struct {
		bool there;
		size_t bytes;
		unsigned char value[MOST_BYTES];
	} object[OBJECTS];
};

/* What was there before the call that is being made; what is there when it has returned 0. */
extern struct contents before, after;

/* The first object that is not as it says, or -1. */
int contents_differ(struct hmem_shelf *shelf, const struct contents *contents);

enum call {
	CALL_PUT,
	CALL_DELETE,
	CALL_NAMES,		/* a transaction that puts and deletes, and may write */
	CALL_WRITE,		/* one that writes to objects */
	CALL_IN_PLACE,		/* one that changes them in place, and may put */
	CALL_EDIT,
	CALL_RENAME,
	CALL_SWAP,
};

enum call call_any(void);
const char *call_name(enum call call);
/* What the call returns, -ECANCELED for a transaction that was aborted. */
int call_make(struct hmem_shelf *shelf, enum call call);

#endif
