/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Users of whom one at a time runs, the one that has the token. It is passed on in the middle of
 * calls: at basic blocks of the library (-fsanitize-coverage=trace-pc), wherever it yields, and
 * where others say so. Time is how often the library has waited.
 */
#ifndef SELFTESTS_CRASH_TOKENS_H
#define SELFTESTS_CRASH_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#define USERS	4u

struct turn;

/* Called by who has the token before it is passed on at a basic block. It need not return. */
extern void (*tokens_hook)(void);

void tokens_begin(void);
/* A new user of that number, instead of the one before, whose thread goes on no more. */
struct turn *token_turn(unsigned int user);
/* The first thing that his thread does. */
void token_await(struct turn *turn);
/* The users run until all have left. */
void tokens_play(void);

/* Who has it; USERS: nobody. */
unsigned int token_user(void);
/* How often it was passed on. */
uint64_t token_passes(void);
/* Whether it stays where it is, as what happens is not done by the user; returns how that was. */
bool token_keep(bool keep);
bool token_is_kept(void);
/* It cannot be passed on now: nobody has it, it is kept, or who has it holds a mutex. */
bool token_is_stuck(void);
/* Somebody may go on, and who has had it may stop for some time. */
void token_offer(void);
void token_pass(void);
/* Somebody else goes on, and this thread never. */
void token_stop(void);
/* The same, as this user has done all that he is to do. */
void token_leave(void);

#endif
