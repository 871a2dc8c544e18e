// SPDX-License-Identifier: GPL-2.0-only
/*
 * Four users of a shelf whose calls overlap: one at a time runs, and is stopped anywhere in the
 * library. Each has a handle of his own, or two of them share one. Some die, also while they open
 * the shelf, and others take their places; the power may go at any write-back and fence, and what
 * is recovered then has to be what the calls that have returned have left (overlap_model.h).
 *
 *	overlaps [ROUNDS [SEED]]
 *
 * All that is random follows from the seed. A round is a process and a shelf of its own, and begins
 * with a seed that is one higher.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "acts.h"
#include "any.h"
#include "overlap_calls.h"
#include "overlap_model.h"
#include "scene.h"
#include "tap.h"
#include "tokens.h"

#define ROUNDS		60ul
#define SEED		1ul
#define HEAP		((uint64_t)1 << 20)
/* In milliseconds, of which one passes whenever somebody waits. */
#define WAIT		400u
/* In a round, of deaths without those in opening the shelf. */
#define MOST_CALLS	400u
#define MOST_DEATHS	30u
/* One of so many calls is somebody's last; of those who open the shelf one of so many dies. */
#define DEATHS		12u
#define DEAD_HEIRS	4u
/* One of so many calls closes the shelf, and opens it again. */
#define REOPENS		25u

/* What all rounds have seen; for the parent as well. */
static struct counts {
	unsigned long calls;
	unsigned long deaths;
	unsigned long states;
} *counts;

/*
 * @dies_in: at so many places from now on; 0: he does not
 * @lock_fd: of his handle, from when it is being opened until it is closed; -1: he has none
 */
struct user {
	pthread_t thread;
	struct turn *turn;
	unsigned int number;
	unsigned int dies_in;
	int lock_fd;
	struct caller caller;
};

static unsigned long round_seed;
static struct user *users[USERS];
/* The first two are threads of one process. */
static bool paired;
static unsigned int calls_left, deaths_left;
/* The power goes at one of so many events. */
static unsigned int seldom;

static bool is_paired(unsigned int number)
{
	return paired && number < 2;
}

/* Who runs, unless that is the round's first thread or what has been recovered is looked at. */
static struct user *running(void)
{
	return token_user() == USERS || token_is_kept() ? NULL : users[token_user()];
}

/* --- deaths -------------------------------------------------------------------------- */

static void *use(void *arg);

static void user_new(unsigned int number)
{
	struct user *user = calloc(1, sizeof(*user));

	if (!user)
		tap_bail("no memory");
	user->number = number;
	user->caller.user = number;
	user->lock_fd = -1;
	user->turn = token_turn(number);
	users[number] = user;
	if (pthread_create(&user->thread, NULL, use, user))
		tap_bail("no thread");
}

/* What is stored in an edit is seen at once, and need not be durable: the power may undo it. */
static bool may_die(unsigned int number)
{
	return !change_of(number)->seen_early;
}

/* Of a process that has two threads the first has the lock, and both die. */
static void maybe_die(void)
{
	struct user *user = running();
	unsigned int first, last;

	if (!user || token_is_stuck() || !user->dies_in || --user->dies_in)
		return;
	first = is_paired(user->number) ? 0 : user->number;
	last = is_paired(user->number) ? 1 : user->number;
	if (!may_die(first) || !may_die(last))
		return;
	counts->deaths++;
	if (users[first]->lock_fd >= 0)
		close(users[first]->lock_fd);
	for (unsigned int number = first; number <= last; number++) {
		model_dies(number);
		user_new(number);
	}
	token_stop();
}

/* --- what the library opens, and maps ------------------------------------------------- */

int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int fd);
int __wrap_munmap(void *at, size_t bytes);
int __real_open(const char *path, int flags, ...);
int __real_close(int fd);
int __real_munmap(void *at, size_t bytes);

/* A handle's locks are of the region's file, which it opens once more. */
int __wrap_open(const char *path, int flags, ...)
{
	struct user *user = running();
	va_list ap;
	int fd;

	va_start(ap, flags);
	fd = __real_open(path, flags, flags & O_CREAT ? va_arg(ap, int) : 0);
	va_end(ap);
	if (user && !strncmp(path, "/proc/self/fd/", strlen("/proc/self/fd/")))
		user->lock_fd = fd;
	return fd;
}

int __wrap_close(int fd)
{
	struct user *user = running();

	if (user && fd == user->lock_fd)
		user->lock_fd = -1;
	return __real_close(fd);
}

/* Something else may be mapped there next. */
int __wrap_munmap(void *at, size_t bytes)
{
	int err = __real_munmap(at, bytes);

	if (running())
		lines_map();
	return err;
}

/* --- the power ----------------------------------------------------------------------- */

static void power_goes(const char *when)
{
	bool kept = token_keep(true);
	struct scene_rest rest;

	counts->states++;
	if (scene_recover(&rest, any(3) ? 0 : any(100), any(1u << 31)))
		found("%s nothing is recovered", when);
	model_look(rest.shelf, when);
	if (!any(10) && scene_check(rest.shelf))
		found("%s what is recovered is not in order", when);
	scene_close(&rest);
	token_keep(kept);
}

static void happen(enum lines_event event)
{
	static const char *const when[] = { [LINES_WRITTEN_BACK] = "after a write-back",
					    [LINES_FENCE] = "before a fence",
					    [LINES_FENCED] = "after a fence" };

	if (!running())
		return;
	if (!any(seldom))
		power_goes(when[event]);
	maybe_die();
	if (!any(3))
		token_offer();
}

/* --- users --------------------------------------------------------------------------- */

static void open_shelf(struct user *user)
{
	int err;

	if (is_paired(user->number) && user->number == 1) {
		while (!users[0]->caller.shelf)
			token_pass();
		user->caller.shelf = users[0]->caller.shelf;
		return;
	}
	while ((err = scene_try_open(WAIT, &user->caller.shelf)) == -EBUSY)
		token_offer();
	if (err)
		found("opening it returned %d: %s", err, hmem_last_error(scene_ctx));
}

static void enter(struct user *user)
{
	uint64_t pass = token_passes();

	open_shelf(user);
	model_see_dead(user->caller.shelf, user->number, pass);
}

static void reopen(struct user *user)
{
	struct hmem_shelf *shelf = user->caller.shelf;
	int err;

	caller_releases(&user->caller);
	user->caller.shelf = NULL;
	err = scene_leave(shelf);
	if (err && err != -EBUSY)
		found("closing it returned %d: %s", err, hmem_last_error(scene_ctx));
	enter(user);
}

static void *use(void *arg)
{
	struct user *user = arg;

	token_await(user->turn);
	if (deaths_left && !any(DEAD_HEIRS))
		user->dies_in = 1 + any(60);
	enter(user);
	for (user->dies_in = 0; calls_left; user->dies_in = 0) {
		calls_left--;
		counts->calls++;
		if (deaths_left && !any(DEATHS)) {
			deaths_left--;
			user->dies_in = 1 + any(any(2) ? 12 : 80);
		}
		if (!is_paired(user->number) && !any(REOPENS))
			reopen(user);
		else
			caller_calls(&user->caller);
	}
	token_leave();
	return NULL;
}

/* --- rounds -------------------------------------------------------------------------- */

static int play_round(void)
{
	struct hmem_shelf *shelf;

	any_begin(round_seed);
	scene_seed(round_seed);
	model_begin(round_seed);
	tokens_begin();
	seldom = 8 + any(60);
	paired = any(2);
	calls_left = MOST_CALLS / 4 + any(3 * MOST_CALLS / 4);
	deaths_left = any(3) ? any(MOST_DEATHS) : 0;
	shelf = scene_shelf(HEAP, any(2) ? HMEM_SHELF_ORDERED : 0, WAIT);
	if (any(2))
		scene_fill(shelf);
	lines_begin(scene_file());
	lines_hook = happen;
	tokens_hook = maybe_die;
	for (unsigned int number = 0; number < USERS; number++)
		user_new(number);
	tokens_play();
	model_look(shelf, "in the end");
	if (scene_check(shelf))
		found("it is not in order in the end");
	return 0;
}

static void test_overlaps(unsigned long rounds, unsigned long seed)
{
	bool bad = false;

	tap_diag("seed %lu", seed);
	for (round_seed = seed; round_seed - seed < rounds && !bad; round_seed++)
		bad = scene_play(play_round) != 0;
	if (bad)
		tap_diag("make torture-overlaps N=1 SEED=%lu repeats it", round_seed - 1);
	tap_diag("%lu rounds, %lu calls; %lu deaths; %lu states recovered", round_seed - seed,
		 counts->calls, counts->deaths, counts->states);
	TAP_OK(!bad, "calls that overlap leave what they acknowledged, and nothing in parts");
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : ROUNDS;
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 0) : SEED;

	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (counts == MAP_FAILED)
		tap_bail("no memory");
	scene_begin();
	test_overlaps(rounds, seed);
	return tap_done();
}
