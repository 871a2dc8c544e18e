// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The shelves that this process has open, or looks at to list or destroy them: what forks and
 * threads that end do to them.
 *
 * Forks: a child must not keep its parent's locks alive.
 *
 * The locks by which the kernel tells who lives belong to an open file description, and
 * a child of fork(2) has a share in its parent's. It gives that up at once, or else a
 * parent that is killed would look alive for as long as it lives. What it would need to
 * know of the list of open shelves is process-wide, as fork(2) is: so is the list.
 *
 * Threads that end: all that such a thread knows is where its writer was, and whoever closes the
 * handle may have freed that. So it looks for it in the list, under the list's lock, and
 * for itself as its owner, since another writer may be there by now. Who closes waits
 * for those that have been found, and disposes of the others' writers.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "region.h"
#include "shelf.h"

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
/* One has left, see shelf_thread_left(). */
static pthread_cond_t left = PTHREAD_COND_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct hmem_shelf *open_shelves;
static int watch_error;

/* No shelf is between having a descriptor and standing in the list. */
static void before(void)
{
	pthread_mutex_lock(&open_lock);
}

static void after_in_parent(void)
{
	pthread_mutex_unlock(&open_lock);
}

static void after_in_child(void)
{
	while (open_shelves) {
		struct hmem_shelf *shelf = open_shelves;

		open_shelves = shelf->next_open;
		shelf->next_open = NULL;
		close(shelf->lock_fd);
		shelf->lock_fd = -1;
	}
	pthread_mutex_unlock(&open_lock);
}

static void watch(void)
{
	watch_error = -pthread_atfork(before, after_in_parent, after_in_child);
}

int shelf_lock_open(struct hmem_shelf *shelf)
{
	int err;

	pthread_once(&once, watch);
	if (watch_error)
		return hmem_fail(shelf->ctx, watch_error, "%s: no memory to hear of forks: %s",
				 hmem_region_name(shelf->region), strerror(-watch_error));
	pthread_mutex_lock(&open_lock);
	err = hmem_region_lock_fd(shelf->region, &shelf->lock_fd);
	if (!err) {
		shelf->next_open = open_shelves;
		open_shelves = shelf;
	}
	pthread_mutex_unlock(&open_lock);
	return err ? hmem_region_lock_failed(shelf->region, err) : 0;
}

void shelf_lock_close(struct hmem_shelf *shelf)
{
	struct hmem_shelf **from = &open_shelves;

	pthread_mutex_lock(&open_lock);
	while (*from && *from != shelf)
		from = &(*from)->next_open;
	if (*from) {
		*from = shelf->next_open;
		close(shelf->lock_fd);
		shelf->lock_fd = -1;
	}
	pthread_mutex_unlock(&open_lock);
}

static bool is_of(struct hmem_shelf *shelf, const struct writer *wanted)
{
	const struct writer *writer;
	bool is;

	pthread_mutex_lock(&shelf->lock);
	for (writer = shelf->writers; writer && writer != wanted; writer = writer->next)
		;
	is = writer && writer->busy && pthread_equal(writer->owner, pthread_self());
	pthread_mutex_unlock(&shelf->lock);
	return is;
}

struct hmem_shelf *shelf_thread_leaving(const struct writer *writer)
{
	struct hmem_shelf *shelf;

	pthread_mutex_lock(&open_lock);
	for (shelf = open_shelves; shelf; shelf = shelf->next_open)
		if (!shelf->closing && is_of(shelf, writer))
			break;
	if (shelf)
		shelf->leaving++;
	pthread_mutex_unlock(&open_lock);
	return shelf;
}

void shelf_thread_left(struct hmem_shelf *shelf)
{
	pthread_mutex_lock(&open_lock);
	shelf->leaving--;
	pthread_cond_broadcast(&left);
	pthread_mutex_unlock(&open_lock);
}

void shelf_await_threads(struct hmem_shelf *shelf)
{
	pthread_mutex_lock(&open_lock);
	shelf->closing = true;
	while (shelf->leaving)
		pthread_cond_wait(&left, &open_lock);
	pthread_mutex_unlock(&open_lock);
}
