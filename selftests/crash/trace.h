/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The traced copy of the library was compiled with -fsanitize=thread, but what it then
 * calls are our functions: so every store is seen, without a compiler of our own.
 */
#ifndef SELFTESTS_CRASH_TRACE_H
#define SELFTESTS_CRASH_TRACE_H

#include <stdbool.h>
#include <stddef.h>

/* While it is off, what the library stores is not looked at. */
extern bool trace_on;

/* No store is under way. To be called before the media are looked at. */
void trace_settle(void);

/* Forget the functions that were being executed: they never return. */
void trace_forget(void);

/*
 * Those that are being executed go on later: trace_forget() keeps them until trace_resume() is given
 * what this returns.
 */
unsigned int trace_suspend(void);
void trace_resume(unsigned int suspended);

/* Called at each fence, before it takes effect. May longjmp(). */
extern void (*trace_at_fence)(void);

/*
 * After so many things that others may see or rely on - stores, write-backs, fences - who makes them
 * dies: trace_at_death() is called, and does not return. 0: nobody dies.
 */
extern unsigned int trace_dies_in;
extern void (*trace_at_death)(void);

/* The same, but it goes on when trace_at_stop() has returned. */
extern unsigned int trace_stops_in;
extern void (*trace_at_stop)(void);

/* --- places in the library ------------------------------------------------------------ */

enum site_kind { SITE_WRITE_BACK, SITE_FENCE, SITE_STORE, SITE_CHECKSUM, SITE_KINDS };

/*
 * @through: in write_back(), persist_write_back_found() or fence(), of which the caller is meant
 * @round: what sites_round was when somebody last came by
 */
struct site {
	enum site_kind kind;
	const void *pc;
	char function[64];
	char file[64];
	unsigned int line;
	bool through;
	unsigned int round;
};

#define MOST_SITES 512
extern struct site sites[MOST_SITES];
extern unsigned int nr_sites;

/* The fault that the library is made to have: this place does nothing, or comes too early. */
extern struct site fault;
extern bool has_fault;

/* Places are looked at only then: it takes time. */
extern bool sites_wanted;
extern unsigned int sites_round;

/* In a child: places that are new have their names from a program of its own. */
void sites_forked(void);

/* Look up, or add. */
const struct site *site_at(enum site_kind kind, const void *pc);

/* The same place of the source? */
bool site_is_same(const struct site *a, const struct site *b);

#endif
