// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Parts of threads: one list for each thread, one for each whole.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "fork_lock.h"
#include "thread_part.h"

__thread struct thread_place thread_places[THREAD_PLACES];

/* The calling thread's. */
static __thread struct thread_part *mine __attribute__((tls_model("initial-exec")));

/* How many fork(2)s are behind this process. A child has no thread of its parent's but one. */
static unsigned int forks;

static void count_fork(void)
{
	forks++;
	for (struct thread_part *part = mine; part; part = part->others)
		part->forks = forks;
}

/* Protects all lists: a whole that goes away takes its parts from those of threads. */
static struct fork_lock lock = FORK_LOCK_INIT(count_fork);

static pthread_key_t key;
static atomic_bool has_key;

static void add(struct thread_parts *whole, struct thread_part *part)
{
	part->whole = whole;
	part->next = whole->first;
	part->at = &whole->first;
	if (part->next)
		part->next->at = &part->next;
	whole->first = part;
	part->forks = forks;
	part->others = mine;
	part->others_at = &mine;
	if (part->others)
		part->others->others_at = &part->others;
	mine = part;
}

static void take_out(struct thread_part *part)
{
	*part->at = part->next;
	if (part->next)
		part->next->at = part->at;
	/* Where the list of a thread was that there is not may be one of another thread by now. */
	if (part->forks != forks)
		return;
	*part->others_at = part->others;
	if (part->others)
		part->others->others_at = part->others_at;
}

static void thread_ends(void *list)
{
	struct thread_part **first = list, *part;

	fork_lock_take(&lock);
	while ((part = *first)) {
		take_out(part);
		part->whole->leave(part);
	}
	memset(thread_places, 0, sizeof(thread_places));
	fork_lock_give(&lock);
}

/* Asked for until there is one: a process has 1024, and others give theirs back. */
bool thread_parts_ready(void)
{
	if (atomic_load_explicit(&has_key, memory_order_acquire))
		return true;
	if (fork_lock_arm(&lock))
		return false;
	fork_lock_take(&lock);
	if (!has_key && !pthread_key_create(&key, thread_ends))
		has_key = true;
	fork_lock_give(&lock);
	return has_key;
}

void thread_parts_init(struct thread_parts *whole)
{
	static _Atomic uint64_t last;

	whole->id = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
	whole->first = NULL;
}

void thread_parts_fini(struct thread_parts *whole)
{
	struct thread_part *part;

	fork_lock_take(&lock);
	while ((part = whole->first)) {
		take_out(part);
		if (part->forks == forks)
			whole->forget(part);
		else
			whole->abandon(part);
	}
	fork_lock_give(&lock);
}

void thread_parts_each(const struct thread_parts *whole,
		       void (*fn)(void *arg, struct thread_part *part), void *arg)
{
	fork_lock_take(&lock);
	for (struct thread_part *part = whole->first; part; part = part->next)
		fn(arg, part);
	fork_lock_give(&lock);
}

static struct thread_part *make_mine(struct thread_parts *whole)
{
	struct thread_part *part;

	if (!has_key || pthread_setspecific(key, &mine)) {
		errno = ENOMEM;
		return NULL;
	}
	part = whole->make(whole);
	if (part)
		add(whole, part);
	return part;
}

struct thread_part *thread_part_put(const struct thread_parts *whole, struct thread_part *part)
{
	thread_places[whole->id % THREAD_PLACES] = (struct thread_place){ whole->id, part };
	return part;
}

struct thread_part *thread_part_new(size_t bytes)
{
	struct thread_part *part = calloc(1, bytes);

	if (!part)
		errno = ENOMEM;
	return part;
}

struct thread_part *thread_part_find(struct thread_parts *whole)
{
	struct thread_part *part;

	thread_parts_ready();
	fork_lock_take(&lock);
	for (part = mine; part && part->whole != whole;)
		part = part->others;
	if (!part)
		part = make_mine(whole);
	fork_lock_give(&lock);
	return part ? thread_part_put(whole, part) : NULL;
}
