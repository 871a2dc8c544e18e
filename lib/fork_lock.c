// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Holding locks while the process forks.
 */
#include <errno.h>
#include <stdatomic.h>

#include "fork_lock.h"

static pthread_mutex_t armed_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fork_lock *armed;

/* Once, by whoever is first: a child that was forked meanwhile does it again. */
static pthread_once_t hear_once = PTHREAD_ONCE_INIT;
static atomic_bool hears;

__thread unsigned int fork_lock_forking;

static void before_fork(void)
{
	if (!fork_lock_forking) {
		pthread_mutex_lock(&armed_lock);
		for (struct fork_lock *lock = armed; lock; lock = lock->next)
			pthread_mutex_lock(&lock->mutex);
	}
	fork_lock_forking++;
}

static void give_all(void)
{
	/* None: this was a child of a fork in a handler of another one, and goes on with that. */
	if (!fork_lock_forking || --fork_lock_forking)
		return;
	for (struct fork_lock *lock = armed; lock; lock = lock->next)
		pthread_mutex_unlock(&lock->mutex);
	pthread_mutex_unlock(&armed_lock);
}

static void after_in_child(void)
{
	/* Done: the handlers are there twice, see above. */
	if (!fork_lock_forking)
		return;
	for (struct fork_lock *lock = armed; lock; lock = lock->next)
		if (lock->in_child)
			lock->in_child();
	fork_lock_forking = 1;
	give_all();
}

static void hear(void)
{
	if (!pthread_atfork(before_fork, give_all, after_in_child))
		hears = true;
}

int fork_lock_arm(struct fork_lock *lock)
{
	pthread_once(&hear_once, hear);
	/* There may be memory by now. Two who try at once are told twice, as that child is. */
	if (!hears)
		hear();
	if (!hears)
		return -ENOMEM;
	if (!fork_lock_forking)
		pthread_mutex_lock(&armed_lock);
	if (!lock->armed) {
		lock->next = armed;
		lock->armed = true;
		armed = lock;
		/* As all that are there are. */
		if (fork_lock_forking)
			pthread_mutex_lock(&lock->mutex);
	}
	if (!fork_lock_forking)
		pthread_mutex_unlock(&armed_lock);
	return 0;
}
