// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Copies and moves that the caller does not wait for: one thread of the library makes them in their
 * order.
 *
 * A child of fork(2) has no such thread, and what its parent had begun is not made there.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "completion.h"
#include "ctx.h"
#include "fork_lock.h"
#include "uncancelled.h"

static pthread_cond_t begun = PTHREAD_COND_INITIALIZER;
static struct hmem_completion *making, *first, **last = &first;
static bool running;

/* From the first process on: what was begun before the last one nobody makes here. */
static unsigned int forks;

static void put(struct hmem_completion *completion)
{
	if (atomic_fetch_sub_explicit(&completion->refs, 1, memory_order_acq_rel) == 1)
		free(completion);
}

static void give_up(struct hmem_completion *completion)
{
	completion->cancel(completion);
	put(completion);
}

/* The thread is the parent's, and waited perhaps: a condition has that in it. */
static void begin_anew(void)
{
	if (making)
		give_up(making);
	while (first) {
		struct hmem_completion *next = first->next;

		give_up(first);
		first = next;
	}
	making = NULL;
	forks++;
	running = false;
	last = &first;
	begun = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
}

/* Protects what is begun. */
static struct fork_lock lock = FORK_LOCK_INIT(begin_anew);

static struct hmem_completion *await_next(void)
{
	fork_lock_take(&lock);
	while (!first)
		pthread_cond_wait(&begun, &lock.mutex);
	making = first;
	first = making->next;
	if (!first)
		last = &first;
	fork_lock_give(&lock);
	return making;
}

/* In a child that is forked now it is still to be made, or it is over. */
static void end(struct hmem_completion *completion)
{
	fork_lock_take(&lock);
	completion->commit(completion);
	making = NULL;
	atomic_store_explicit(&completion->done, 1, memory_order_release);
	fork_lock_give(&lock);
	syscall(SYS_futex, &completion->done, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
	if (completion->finish)
		completion->finish(completion);
	put(completion);
}

static void *make_all(void *arg)
{
	(void)arg;
	for (;;) {
		struct hmem_completion *completion = await_next();

		completion->make(completion);
		end(completion);
	}
	return NULL;
}

/*
 * Under the lock. Signals are for the program's threads; save what the copy itself raises, where
 * memory vanishes: blocked, it would end the process though it has a handler.
 */
static int run(void)
{
	static const int own[] = { SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP };
	sigset_t all, before;
	pthread_t thread;
	int err;

	if (running)
		return 0;
	sigfillset(&all);
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		sigdelset(&all, own[i]);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&thread, NULL, make_all, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return -EAGAIN;
	pthread_detach(thread);
	running = true;
	return 0;
}

static int enqueue(struct hmem_completion *completion)
{
	int err;

	fork_lock_take(&lock);
	err = run();
	if (!err) {
		*last = completion;
		last = &completion->next;
		pthread_cond_signal(&begun);
	}
	fork_lock_give(&lock);
	return err;
}

int completion_begin(struct hmem_ctx *ctx, struct hmem_completion *new)
{
	int err = fork_lock_arm(&lock);

	if (err)
		return hmem_fail(ctx, err, "no memory to begin a copy or a move");
	atomic_init(&new->refs, 2);
	new->forks = forks;
	err = enqueue(new);
	return err ? hmem_fail(ctx, err, "no thread can be had to make a copy or a move") : 0;
}

int hmem_completion_poll(const struct hmem_completion *completion)
{
	if (!completion)
		return -EINVAL;
	if (atomic_load_explicit(&completion->done, memory_order_acquire))
		return 1;
	return completion->forks == forks ? 0 : -ECANCELED;
}

static int wait_until(struct hmem_completion *completion, int ms)
{
	int64_t end = now_ms() + ms;
	int done;

	while (!(done = hmem_completion_poll(completion))) {
		int64_t left = ms < 0 ? 1000 : end - now_ms();
		struct timespec some = { left / 1000, left % 1000 * 1000000 };

		if (left <= 0)
			return -ETIMEDOUT;
		syscall(SYS_futex, &completion->done, FUTEX_WAIT_PRIVATE, 0, &some, NULL, 0);
	}
	return done < 0 ? done : 0;
}

int hmem_completion_wait(struct hmem_completion *completion, int ms)
{
	if (!completion)
		return -EINVAL;
	return UNCANCELLED(wait_until(completion, ms));
}

void hmem_completion_unref(struct hmem_completion *completion)
{
	if (completion)
		put(completion);
}
