// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * SIGBUS inside calls of the library: the memory behind a shelf is gone, as its file was
 * truncated or its device removed.
 *
 * Signal handlers belong to the process, and so does this one, which is there only if it was
 * asked for. A thread that is in a call notes where to go back to; the handler goes there if
 * the address is one of the shelf's, and leaves all other faults to the handler before it.
 * What the call was in the middle of stays as if its process had died there: the handle
 * is broken, touches the shelf no more, and lets go of its locks on bytes when it is closed, so
 * that others see a dead writer.
 *
 * Going back leaves no lock of another library behind: nobody but us looks at the shelf.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "shelf_lock.h"
#include "shelf_sigbus.h"

atomic_bool sigbus_installed;

static struct sigaction before;
static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;

/* A handler may not ask for memory, as other models do at the first use. */
static _Thread_local struct sigbus_guard *armed __attribute__((tls_model("initial-exec")));

/* The shelf that has it, or a default that ends the process when the access is repeated. */
static void pass_on(int number, siginfo_t *info, void *context)
{
	struct sigaction fatal = { .sa_handler = SIG_DFL };

	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(number, info, context);
	else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
		before.sa_handler(number);
	else if (info->si_code > 0 || before.sa_handler == SIG_DFL)
		sigaction(SIGBUS, &fatal, NULL);
	/* One that was sent does not come again by itself. */
	if (info->si_code <= 0 && !(before.sa_flags & SA_SIGINFO) && before.sa_handler == SIG_DFL)
		raise(number);
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	struct sigbus_guard *guard = armed;
	const unsigned char *at = info->si_addr;

	/* One that was sent says nothing of an address. */
	if (guard && info->si_code > 0 && guard->shelf->base && at >= guard->shelf->base &&
	    at < guard->shelf->base + guard->shelf->reserved)
		siglongjmp(guard->back, 1);
	pass_on(number, info, context);
}

int hmem_sigbus_install(void)
{
	struct sigaction ours = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER };
	int err = 0;

	sigemptyset(&ours.sa_mask);
	pthread_mutex_lock(&install_lock);
	if (!atomic_load(&sigbus_installed)) {
		/* Known before it can be needed. */
		err = sigaction(SIGBUS, NULL, &before) || sigaction(SIGBUS, &ours, NULL) ? -errno : 0;
		atomic_store(&sigbus_installed, !err);
	}
	pthread_mutex_unlock(&install_lock);
	return err;
}

void sigbus_arm(struct sigbus_guard *guard, struct hmem_shelf *shelf)
{
	guard->shelf = shelf;
	guard->outer = armed;
	atomic_signal_fence(memory_order_seq_cst);
	armed = guard;
	atomic_signal_fence(memory_order_seq_cst);
}

void sigbus_disarm(const struct sigbus_guard *guard)
{
	atomic_signal_fence(memory_order_seq_cst);
	armed = guard->outer;
	atomic_signal_fence(memory_order_seq_cst);
}

struct sigbus_guard *sigbus_suspend(void)
{
	struct sigbus_guard *guard = armed;

	armed = NULL;
	atomic_signal_fence(memory_order_seq_cst);
	return guard;
}

void sigbus_resume(struct sigbus_guard *guard)
{
	atomic_signal_fence(memory_order_seq_cst);
	armed = guard;
}

int sigbus_check(struct hmem_shelf *shelf)
{
	if (!atomic_load_explicit(&shelf->broken, memory_order_acquire))
		return 0;
	return shelf_fail(shelf, -EIO,
			  "shelf %s: a part of its memory is gone, as if its region was truncated or "
			  "its device removed; close it, and see what became of the region",
			  shelf->name);
}

int sigbus_caught(struct sigbus_guard *guard)
{
	struct hmem_shelf *shelf = guard->shelf;

	struct writer **from;

	sigbus_disarm(guard);
	atomic_store(&shelf->broken, true);
	/* The dead ones that this thread was putting in order stood on its stack. */
	pthread_mutex_lock(&shelf->lock);
	for (from = &shelf->repairs; *from;)
		if (pthread_equal((*from)->repairer, pthread_self()))
			*from = (*from)->next;
		else
			from = &(*from)->next;
	/* Of both only their owner can let go, as often as he took them. */
	while (!pthread_mutex_unlock(&shelf->lock))
		;
	if (!pthread_mutex_unlock(&shelf->table_lock))
		byte_unlock(shelf->lock_fd, RACK_BYTE);
	return sigbus_check(shelf);
}
