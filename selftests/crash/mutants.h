/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tester is tested: faults that the library is made to have.
 */
#ifndef SELFTESTS_CRASH_MUTANTS_H
#define SELFTESTS_CRASH_MUTANTS_H

#include <stdbool.h>
#include <stdint.h>

typedef void (*mutant_verdict)(bool good, const char *text);

/* @none: faults that are none, for a reason that mutants.c has */
struct mutants {
	unsigned int caught;
	unsigned int missed;
	unsigned int none;
	unsigned int sequences;
};

/* A check for each, or for those in @function; it gives up on one after @states. */
struct mutants mutants(uint64_t states, const char *function, mutant_verdict verdict);

#endif
