// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Holding locks while the process forks.
 */
#include "fork_lock.h"

static pthread_mutex_t armed_lock = PTHREAD_MUTEX_INITIALIZER;
static struct fork_lock *armed;
static bool heard;

static void before_fork(void)
{
	pthread_mutex_lock(&armed_lock);
	for (struct fork_lock *lock = armed; lock; lock = lock->next)
		fork_lock_take(lock);
}

static void give_all(void)
{
	for (struct fork_lock *lock = armed; lock; lock = lock->next)
		fork_lock_give(lock);
	pthread_mutex_unlock(&armed_lock);
}

static void after_in_child(void)
{
	for (struct fork_lock *lock = armed; lock; lock = lock->next)
		if (lock->in_child)
			lock->in_child();
	give_all();
}

int fork_lock_arm(struct fork_lock *lock)
{
	int err = 0;

	pthread_mutex_lock(&armed_lock);
	if (!heard)
		err = -pthread_atfork(before_fork, give_all, after_in_child);
	heard = !err;
	if (!err && !lock->armed) {
		lock->next = armed;
		lock->armed = true;
		armed = lock;
	}
	pthread_mutex_unlock(&armed_lock);
	return err;
}
