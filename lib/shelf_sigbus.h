/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SIGBUS inside calls of the library: the memory behind a shelf is gone.
 */
#ifndef LIB_SHELF_SIGBUS_H
#define LIB_SHELF_SIGBUS_H

#include <setjmp.h>

#include "shelf.h"

/* What this thread goes back to. @outer: when the call is made inside another */
struct sigbus_guard {
	sigjmp_buf back;
	struct hmem_shelf *shelf;
	struct sigbus_guard *outer;
};

extern atomic_bool sigbus_installed;

void sigbus_arm(struct sigbus_guard *guard, struct hmem_shelf *shelf);
void sigbus_disarm(const struct sigbus_guard *guard);
/* Gone back to: the shelf is broken. -EIO */
int sigbus_caught(struct sigbus_guard *guard);
/* -EIO when it is broken already. */
int sigbus_check(struct hmem_shelf *shelf);

/* While somebody else's code is called from inside a guarded call. */
struct sigbus_guard *sigbus_suspend(void);
void sigbus_resume(struct sigbus_guard *guard);

/*
 * @call, an expression that is an error or 0, with faults of @shelf turned into -EIO. Must be
 * all that its function does, as nothing that this has changed is known afterwards.
 */
#define SIGBUS_GUARDED(guarded_shelf, call) SIGBUS_GUARDED_IF(sigbus_of, guarded_shelf, call)
/* The same for a part of a call, where there is a shelf. */
#define SIGBUS_GUARDED_PART(guarded_shelf, call) SIGBUS_GUARDED_IF(true, guarded_shelf, call)

#define SIGBUS_GUARDED_IF(there_is_one, guarded_shelf, call)                           \
	({                                                                             \
		struct hmem_shelf *sigbus_of = (guarded_shelf);                        \
		struct sigbus_guard sigbus_back;                                       \
		int sigbus_err;                                                        \
		if (__builtin_expect(!atomic_load_explicit(&sigbus_installed,          \
							   memory_order_relaxed), 1) ||\
		    !(there_is_one)) {                                                 \
			sigbus_err = (call);                                           \
		} else if (sigbus_check(sigbus_of)) {                                  \
			sigbus_err = -EIO;                                             \
		} else if (!sigsetjmp(sigbus_back.back, 0)) {                          \
			sigbus_arm(&sigbus_back, sigbus_of);                           \
			sigbus_err = (call);                                           \
			sigbus_disarm(&sigbus_back);                                   \
		} else {                                                               \
			sigbus_err = sigbus_caught(&sigbus_back);                      \
		}                                                                      \
		sigbus_err;                                                            \
	})

#endif
