/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * No call of the library is a point at which its thread is cancelled: it would leave locks
 * behind that its own end, and everybody else, then waits for. What sleeps or may be a
 * cancellation point of the C library is done in here.
 */
#ifndef LIB_UNCANCELLED_H
#define LIB_UNCANCELLED_H

#include <pthread.h>

/* @call, an expression with a value, of a thread that is cancelled later if it is to be. */
#define UNCANCELLED(call)                                                              \
	({                                                                             \
		int uncancelled_was;                                                   \
		__typeof__(call) uncancelled_got;                                      \
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &uncancelled_was);      \
		uncancelled_got = (call);                                              \
		pthread_setcancelstate(uncancelled_was, NULL);                         \
		uncancelled_got;                                                       \
	})

#endif
