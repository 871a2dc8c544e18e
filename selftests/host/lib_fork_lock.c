// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks held over fork(2): a child that is forked while the first of them is made known, before the
 * C library has the handlers or after, uses them as any other does.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../sanitized.h"
#include "../tap.h"

static int hear_and_fork(void (*before)(void), void (*parent)(void), void (*child)(void));
#define pthread_atfork hear_and_fork
#include "../../lib/fork_lock.c"
#undef pthread_atfork

static int told;

static void tell(void)
{
	told++;
}

static struct fork_lock lock = FORK_LOCK_INIT(tell);

/* What became of children forked before the handlers were there, and after. */
static int ended[2];
static bool fail;

static int use(void)
{
	pid_t grandchild;
	int status = -1;

	alarm(20);
	if (fork_lock_arm(&lock))
		return 1;
	fork_lock_take(&lock);
	fork_lock_give(&lock);
	told = 0;
	grandchild = fork();
	if (!grandchild)
		_exit(told == 1 ? 0 : 10 + told);
	waitpid(grandchild, &status, 0);
	fork_lock_take(&lock);
	fork_lock_give(&lock);
	return status ? 2 : 0;
}

static void *forks(void *arg)
{
	pid_t child = fork();

	if (!child)
		_exit(use());
	waitpid(child, arg, 0);
	return NULL;
}

/* By another thread, as this one is at it. */
static void fork_elsewhere(int *status)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, forks, status) || pthread_join(thread, NULL))
		tap_bail("no thread");
}

static bool seen;

static int hear_and_fork(void (*before)(void), void (*parent)(void), void (*child)(void))
{
	bool outer = !seen;
	int err;

	if (fail)
		return ENOMEM;
	seen = true;
	if (outer)
		fork_elsewhere(&ended[0]);
	err = pthread_atfork(before, parent, child);
	if (outer)
		fork_elsewhere(&ended[1]);
	return err;
}

int main(void)
{
	int status = -1;
	pid_t child;

	if (SANITIZER == 2) {
		tap_skip("forks while locks are made known",
			 "the sanitizer of races does not have children of processes with threads");
		return tap_done();
	}
	child = fork();
	if (!child) {
		fail = true;
		_exit(fork_lock_arm(&lock) != -ENOMEM || fork_lock_arm(&lock) != -ENOMEM);
	}
	TAP_OK(child > 0 && waitpid(child, &status, 0) == child && !status,
	       "without memory for handlers no lock is known");
	ended[0] = ended[1] = -1;
	TAP_EQ(fork_lock_arm(&lock), 0, "a lock is known");
	TAP_EQ(ended[0], 0, "a child that was forked before anybody heard of forks uses it");
	TAP_EQ(ended[1], 0, "one that was forked then has handlers twice, and they do it once");
	TAP_EQ(use(), 0, "so does the process itself");
	return tap_done();
}
