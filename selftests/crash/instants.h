/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is being done on the traced machine, and at one instant of that: all that its media may
 * hold is recovered.
 */
#ifndef SELFTESTS_CRASH_INSTANTS_H
#define SELFTESTS_CRASH_INSTANTS_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "contents.h"

/* What setjmp() of now.gone returns. */
enum gone {
	GONE_POWER = 1,
	GONE_WRONG,	/* see explore_wrong */
	GONE_DEAD,	/* who made the call */
};

/*
 * What the shelf should hold: until a call is over either is right. It should return @expected.
 * @early: who has stopped in the middle of a call had done already what it is to do
 */
struct model {
	struct contents before;
	struct contents after;
	int expected;
	bool early;
};
#define MOST_MODELS 8

/*
 * @doing: which call
 * @excused: an error that it may return, and has done nothing then; or 0
 * @models: of what was there, or is to be; more than one as long as nobody knows whether that has
 *	happened what a process was doing that is dead, or has stopped
 * @late: does to the contents what somebody was doing who has stopped; NULL: nobody has. It may turn
 *	out to have happened when the power goes, as long as that was not @early.
 * @exploring: the power may go at any instant; @recovering: somebody is opening it
 * @failed: something was found
 * @fences: that the call has made
 * @cut_at: at this one the power goes for good, and what is left then lives on
 * @cut_lacking: see states_lacking(); 0: any state
 * @gone: where who does not return goes on
 */
struct now {
	const char *doing;
	int excused;
	struct model models[MOST_MODELS];
	unsigned int nr_models;
	void (*late)(struct contents *contents);
	bool exploring;
	bool recovering;
	bool failed;
	unsigned int fences;
	unsigned int cut_at;
	unsigned int cut_lacking;
	jmp_buf gone;
};

extern struct now now;

/* 6: cache lines, 12: pages */
extern unsigned int unit_shift;

/* How much is explored is not to change what is done at random: it has a chance of its own. */
extern uint64_t chance_exploring;

void instants_init(void);

/* It is known what the shelf holds. */
void models_are(struct contents *contents);

void fail(const char *what);

/*
 * From now on the library may compute for so many seconds, by the processor's time as others may want
 * it as well, or sleep for long; 0: for ever.
 */
void allow(unsigned int seconds);

/* The power goes, and all that may be left then is recovered; and then it had not gone. */
void explore_states(void);

/* The power goes, and comes back: one state is what the traced machine now has. */
void cut_power(void);

#endif
