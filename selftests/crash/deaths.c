// SPDX-License-Identifier: GPL-2.0-only
/*
 * Four writers, a handle each, on a shelf that is nearly full, of whom one after the other does
 * something. Some die at a fence or a write-back, and another takes their place. The power may go
 * at any fence, also while what the dead have left is put in order: what is recovered then has to
 * be what was there before the call, or after it.
 *
 *	deaths [OPERATIONS [SEED]]
 *
 * Before that the scenes of takeovers.c. All that is random follows from the seed. A round is a
 * process and a shelf of its own, and begins with a seed that is one higher.
 */
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <unistd.h>

#include "any.h"
#include "calls_at_random.h"
#include "scene.h"
#include "takeovers.h"
#include "tap.h"

#define OPERATIONS	8000ul
#define SEED		1ul
/* Operations of a round: as many handles may have died, of which nothing is unmapped. */
#define ROUND		400ul
#define HEAP		((uint64_t)1 << 20)
#define WAIT		3000u
#define USERS		4u
/* One of so many calls is somebody's last. */
#define DEATHS		5u
/* More than that say nothing more. */
#define MOST_BAD	5ul

/* What all rounds have seen; for the parent as well. */
static struct counts {
	unsigned long calls;
	unsigned long no_space;
	unsigned long deaths;
	unsigned long states;
	unsigned long bad_states;
	unsigned long bad_calls;
} *counts;

/* Of this round: its seed, how many calls it has, and how many were made. */
static unsigned long round_seed, round_length, round_calls;

/* Who stands at @go until he is to make a call, and posts @done when he has made it, or died. */
struct user {
	pthread_t thread;
	sem_t go;
	sem_t done;
	struct hmem_shelf *shelf;
	enum call call;
	int err;
	bool dead;
};

static struct user *users[USERS];
static __thread struct user *me;
/* A call is being made, or somebody's slot is put in order: the power may go. */
static bool under_way;
/* At so many fences and write-backs from now on the caller dies; 0: he does not. */
static unsigned int dies_in;

/* --- the power goes ------------------------------------------------------------------ */

static void bad_state(const char *what)
{
	tap_diag("seed %lu, call %lu%s%s: %s", round_seed, round_calls, me ? " " : "",
		 me ? call_name(me->call) : ", taking over", what);
	if (++counts->bad_states > MOST_BAD) {
		fflush(stdout);
		_exit(1);
	}
}

static void power_goes(unsigned int percent)
{
	struct scene_rest rest;
	int object, other;

	counts->states++;
	if (scene_recover(&rest, percent, any(1u << 31))) {
		bad_state("nothing is recovered");
	} else {
		object = contents_differ(rest.shelf, &before);
		other = object < 0 ? -1 : contents_differ(rest.shelf, &after);
		if (object >= 0 && other >= 0) {
			tap_diag("object %d is not as before, and %d not as after it", object, other);
			bad_state("what is recovered was never there");
		}
		if (!any(8) && scene_check(rest.shelf))
			bad_state("what is recovered is not in order");
	}
	scene_close(&rest);
}

static void maybe_die(void)
{
	if (!me || !dies_in || --dies_in)
		return;
	me->dead = true;
	sem_post(&me->done);
	for (;;)
		pause();
}

static void happen(enum lines_event event)
{
	if (!under_way)
		return;
	if (event == LINES_FENCED && !any(3))
		power_goes(any(3) ? 0 : any(100));
	if (event == LINES_WRITTEN_BACK && me && !any(60))
		power_goes(any(2) ? 0 : any(100));
	maybe_die();
}

/* --- users --------------------------------------------------------------------------- */

static void *use(void *arg)
{
	me = arg;
	for (;;) {
		sem_wait(&me->go);
		me->err = call_make(me->shelf, me->call);
		if (me->err)
			after = before;
		sem_post(&me->done);
	}
	return NULL;
}

/* Opening it puts in order what the dead have left, and the power may go meanwhile. */
static struct user *user_new(void)
{
	struct user *user = calloc(1, sizeof(*user));

	if (!user)
		tap_bail("no memory");
	sem_init(&user->go, 0, 0);
	sem_init(&user->done, 0, 0);
	under_way = true;
	user->shelf = scene_open(WAIT);
	under_way = false;
	if (pthread_create(&user->thread, NULL, use, user))
		tap_bail("no thread");
	return user;
}

static bool bad_call(const struct user *user, const char *what)
{
	tap_diag("seed %lu, call %lu %s returned %d: %s", round_seed, round_calls,
		 call_name(user->call), user->err, what);
	counts->bad_calls++;
	return false;
}

/* Whoever comes next sees what was before his call, or after it. */
static bool user_died(struct user **user)
{
	struct user *dead = *user;

	counts->deaths++;
	scene_dies(dead->shelf);
	*user = user_new();
	if (contents_differ((*user)->shelf, &before) < 0)
		after = before;
	else if (contents_differ((*user)->shelf, &after) < 0)
		before = after;
	else
		return bad_call(dead, "its death left what was never there");
	return true;
}

static bool user_returned(struct user *user)
{
	int object;

	counts->no_space += user->err == -ENOSPC;
	if (user->err && user->err != -ENOENT && user->err != -ENOSPC && user->err != -ECANCELED &&
	    user->err != -EBUSY)
		return bad_call(user, hmem_last_error(scene_ctx));
	before = after;
	object = contents_differ(user->shelf, &before);
	if (object >= 0) {
		tap_diag("object %d", object);
		return bad_call(user, "it is not what it should be");
	}
	if (!any(25) && scene_check(user->shelf))
		return bad_call(user, "it is not in order");
	return true;
}

/*
 * Nobody dies in an edit: what he has stored is seen by others at once, and need not be durable,
 * so that it would be right for the power to undo it later.
 */
static bool one_call(void)
{
	unsigned int number = any(USERS);
	struct user *user = users[number];

	user->call = call_any();
	dies_in = user->call == CALL_EDIT || any(DEATHS) ? 0 : 1 + any(any(2) ? 12 : 60);
	under_way = true;
	sem_post(&user->go);
	sem_wait(&user->done);
	under_way = false;
	dies_in = 0;
	counts->calls++;
	return user->dead ? user_died(&users[number]) : user_returned(user);
}

/* --- rounds -------------------------------------------------------------------------- */

static int play_round(void)
{
	struct hmem_shelf *shelf;
	bool good = true;

	any_begin(round_seed);
	scene_seed(round_seed);
	shelf = scene_shelf(HEAP, any(2) ? HMEM_SHELF_ORDERED : 0, WAIT);
	scene_fill(shelf);
	lines_begin(scene_file());
	lines_hook = happen;
	for (unsigned int i = 0; i < USERS; i++)
		users[i] = user_new();
	for (round_calls = 0; round_calls < round_length && good; round_calls++)
		good = one_call();
	if (scene_check(shelf)) {
		tap_diag("seed %lu: it is not in order in the end", round_seed);
		counts->bad_calls++;
	}
	return 0;
}

static void test_deaths(unsigned long operations, unsigned long seed)
{
	unsigned int bad = 0;

	tap_diag("seed %lu", seed);
	for (; operations && !bad && !counts->bad_states && !counts->bad_calls; seed++) {
		round_seed = seed;
		round_length = operations < ROUND ? operations : ROUND;
		operations -= round_length;
		bad += scene_play(play_round) != 0;
	}
	tap_diag("%lu calls, of which %lu found no room; %lu deaths; %lu states recovered",
		 counts->calls, counts->no_space, counts->deaths, counts->states);
	TAP_EQ(counts->bad_states, 0, "when the power goes, what was before a call is left, or after it");
	TAP_EQ(counts->bad_calls, 0, "and so it is for others when somebody dies");
	TAP_EQ(bad, 0, "no round ends early");
}

int main(int argc, char **argv)
{
	unsigned long operations = argc > 1 ? strtoul(argv[1], NULL, 0) : OPERATIONS;
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 0) : SEED;

	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		tap_bail("no memory");
	scene_begin();
	for (unsigned int i = 0; i < TAKEOVERS; i++)
		TAP_EQ(takeover_play(&takeovers[i]), 0, "%s", takeovers[i].name);
	test_deaths(operations, seed);
	return tap_done();
}
