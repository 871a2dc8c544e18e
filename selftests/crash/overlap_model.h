/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the names of a shelf may hold while calls overlap, writers die and the power goes.
 *
 * Most names belong to one call at a time: such a name holds what was acknowledged last or, from
 * the call's begin until it returns or until somebody has seen what its death left, that or what
 * the call makes of it, and all names of a call the same. The shared names all change at any
 * time: there it is what no later call has replaced for certain.
 */
#ifndef SELFTESTS_CRASH_OVERLAP_MODEL_H
#define SELFTESTS_CRASH_OVERLAP_MODEL_H

#include "overlap_values.h"

#define OWN_NAMES	10u
#define SHARED_NAMES	3u
/* Of a call. */
#define MOST_NAMES	4u

/*
 * What the call of a user does. @number: no two have the same, 0: there is none
 * @begun: it may have happened; @dead: the user has died meanwhile, at the pass @dead_since
 * @undone: it is to be aborted; @seen_early: what it stores is seen before it is durable
 */
struct change {
	const char *call;
	uint64_t number;
	bool begun;
	bool dead;
	uint64_t dead_since;
	bool undone;
	bool seen_early;
	unsigned int nr;
	unsigned int name[MOST_NAMES];
	struct value before[MOST_NAMES];
	struct value after[MOST_NAMES];
};

/* Tells what was found, and what was under way; the round ends. */
__attribute__((format(printf, 1, 2), noreturn)) void found(const char *format, ...);

void model_begin(unsigned long seed);
const char *own_name(unsigned int name);
const char *shared_name(unsigned int name);

/* The one of this user, or what the dead one before him has left. */
struct change *change_of(unsigned int user);
void change_new(struct change *change, const char *call);
/* One more name is the call's alone, of what has a value if @there. False: it finds none. */
bool change_take(struct change *change, bool there);
void change_begin(struct change *change);
/* It has returned. */
void change_end(struct change *change, bool done);
/* The call is not made. */
void change_drop(struct change *change);
/* All of its names are as acknowledged. */
void change_look(struct hmem_shelf *shelf, const struct change *change);

/* A change of a shared name, by its number. */
uint64_t shared_begin(unsigned int name, const struct value *value);
void shared_end(unsigned int name, uint64_t number, bool done);
void shared_look(struct hmem_shelf *shelf, unsigned int name);

/* The user is dead: what was under way has happened, or not. */
void model_dies(unsigned int user);
/* Who had died before @pass is seen to have changed all or nothing, which stays so. */
void model_see_dead(struct hmem_shelf *shelf, unsigned int user, uint64_t pass);
/* All names of what a loss of power has left. */
void model_look(struct hmem_shelf *shelf, const char *when);

#endif
