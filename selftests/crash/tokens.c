// SPDX-License-Identifier: GPL-2.0-only
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <time.h>

#include "acts.h"
#include "any.h"
#include "say.h"
#include "tokens.h"

/* One of so many offers has who made it stop, until it was passed on so often. */
#define STOPS		60u
#define SHORT_STOP	60u
#define LONG_STOP	3000u
/* Sorts of distances between blocks. */
#define DISTANCES	6u

struct turn {
	sem_t go;
	uint64_t stopped_until;
	bool left;
};

void (*tokens_hook)(void);

static struct turn *turns[USERS];
static sem_t all_left;

/* Only who has the token looks at these, and changes them. */
static unsigned int holder = USERS;
static bool kept;
static unsigned int mutexes;
static unsigned int blocks_left;
/* Of how many sorts the distances are in this round. */
static unsigned int distances;
static uint64_t passes, now_ms;

/* --- who goes on --------------------------------------------------------------------- */

/* When all have stopped it is who would go on first; USERS: all have left. */
static unsigned int any_next(void)
{
	unsigned int next = USERS;

	for (unsigned int tries = 0; tries < 20; tries++) {
		next = any(USERS);
		if (!turns[next]->left && turns[next]->stopped_until <= passes)
			return next;
	}
	next = USERS;
	for (unsigned int user = 0; user < USERS; user++)
		if (!turns[user]->left &&
		    (next == USERS || turns[user]->stopped_until < turns[next]->stopped_until))
			next = user;
	return next;
}

static void give(unsigned int user)
{
	holder = user;
	sem_post(&turns[user]->go);
}

void token_pass(void)
{
	struct turn *turn = turns[holder];
	unsigned int next;

	passes++;
	next = any_next();
	if (next == holder)
		return;
	give(next);
	token_await(turn);
}

void token_stop(void)
{
	unsigned int next;

	passes++;
	next = any_next();
	if (next < USERS) {
		give(next);
	} else {
		holder = USERS;
		sem_post(&all_left);
	}
	stop_for_ever();
}

void token_leave(void)
{
	turns[holder]->left = true;
	token_stop();
}

void token_offer(void)
{
	if (token_is_stuck())
		return;
	if (!any(STOPS))
		turns[holder]->stopped_until = passes + any(any(3) ? SHORT_STOP : LONG_STOP);
	token_pass();
}

unsigned int token_user(void)
{
	return holder;
}

uint64_t token_passes(void)
{
	return passes;
}

bool token_is_stuck(void)
{
	return holder == USERS || kept || mutexes;
}

bool token_is_kept(void)
{
	return kept;
}

bool token_keep(bool keep)
{
	bool was = kept;

	kept = keep;
	return was;
}

/* --- rounds -------------------------------------------------------------------------- */

static unsigned int any_distance(void)
{
	static const unsigned int most[DISTANCES] = { 20, 400, 6000, 6000, 6000, 6000 };

	return 1 + any(most[any(distances)]);
}

void tokens_begin(void)
{
	sem_init(&all_left, 0, 0);
	distances = 1 + any(DISTANCES);
	blocks_left = any_distance();
}

struct turn *token_turn(unsigned int user)
{
	struct turn *turn = calloc(1, sizeof(*turn));

	if (!turn)
		bail("no memory");
	sem_init(&turn->go, 0, 0);
	turns[user] = turn;
	return turn;
}

void token_await(struct turn *turn)
{
	while (sem_wait(&turn->go))
		;
}

void tokens_play(void)
{
	give(0);
	while (sem_wait(&all_left))
		;
}

/* --- what the library calls ---------------------------------------------------------- */

void __sanitizer_cov_trace_pc(void);
int __wrap_sched_yield(void);
int __wrap_nanosleep(const struct timespec *time, struct timespec *rest);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);

void __sanitizer_cov_trace_pc(void)
{
	if (token_is_stuck() || --blocks_left)
		return;
	blocks_left = any_distance();
	tokens_hook();
	token_offer();
}

int __wrap_sched_yield(void)
{
	now_ms++;
	if (!token_is_stuck())
		token_pass();
	return 0;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *rest)
{
	(void)time;
	(void)rest;
	return __wrap_sched_yield();
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
	(void)clock;
	time->tv_sec = (time_t)(now_ms / 1000);
	time->tv_nsec = (long)(now_ms % 1000) * 1000000;
	return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	mutexes++;
	return __real_pthread_mutex_lock(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	mutexes--;
	return __real_pthread_mutex_unlock(mutex);
}
