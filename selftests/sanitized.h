/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sanitizers make a program several times as slow. What a test repeats many times it
 * repeats less often then, and says how often.
 */
#ifndef SELFTESTS_SANITIZED_H
#define SELFTESTS_SANITIZED_H

#include "tap.h"

#if defined(__SANITIZE_THREAD__)
#define SANITIZER 2
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZER 1
#else
#define SANITIZER 0
#endif
#define SANITIZED(plain, address, thread) \
	(SANITIZER == 2 ? (thread) : SANITIZER == 1 ? (address) : (plain))
#define SANITIZER_NAME SANITIZED("nothing", "addresses", "races")

/*
 * How often to do what is otherwise done @times times: one time in @address with the
 * sanitizer of addresses, one in @thread with that of races.
 */
__attribute__((unused)) static unsigned long sanitized(const char *what, unsigned long times,
						       unsigned int address, unsigned int thread)
{
	unsigned int factor = SANITIZED(1, address, thread);
	unsigned long less = times / factor ? times / factor : 1;

	if (factor > 1)
		tap_diag("%s: %lu instead of %lu, as there is a sanitizer of %s", what, less,
			 times, SANITIZER_NAME);
	return less;
}

/* Of many things in a row, to try all of them: 1; with a sanitizer every so many-th. */
__attribute__((unused)) static unsigned int sanitized_step(const char *what, unsigned int address,
							   unsigned int thread)
{
	unsigned int step = SANITIZED(1, address, thread);

	if (step > 1)
		tap_diag("%s: one in %u, as there is a sanitizer of %s", what, step, SANITIZER_NAME);
	return step;
}

#endif
