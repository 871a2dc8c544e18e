/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks that are held while the process forks, so that a child finds whole what they guard, though
 * it has none of the other threads of its parent.
 */
#ifndef LIB_FORK_LOCK_H
#define LIB_FORK_LOCK_H

#include <pthread.h>
#include <stdbool.h>

/*
 * @in_child: what is to be done there while the lock is held; NULL: nothing
 * @next, @armed: fork_lock.c
 */
struct fork_lock {
	pthread_mutex_t mutex;
	void (*in_child)(void);
	struct fork_lock *next;
	bool armed;
};
#define FORK_LOCK_INIT(in_child_) { PTHREAD_MUTEX_INITIALIZER, (in_child_), NULL, false }

/* The calling thread forks, so many times one in another: it has all locks. */
extern __thread unsigned int fork_lock_forking
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/*
 * From now on @lock is held while the process forks. Before the first use, while no such lock is
 * held; once or more often. 0, or -ENOMEM, and then it may be tried again. They are taken in no
 * order that could be relied on: who holds one does not take another. But for who forks: handlers
 * of the program's that were there before the library's run while all are held, and may use the
 * library.
 */
int fork_lock_arm(struct fork_lock *lock);

static inline void fork_lock_take(struct fork_lock *lock)
{
	if (!fork_lock_forking)
		pthread_mutex_lock(&lock->mutex);
}

static inline void fork_lock_give(struct fork_lock *lock)
{
	if (!fork_lock_forking)
		pthread_mutex_unlock(&lock->mutex);
}

#endif
