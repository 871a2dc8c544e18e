// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a log callback may do when opening a shelf has failed for want of a descriptor: make a
 * process, and use the library.
 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "shelf_user.h"

static struct user user;
static unsigned int forked, opened;
static bool inside;

/* The first only: what it does itself may fail, and be told of. */
static void callback(void *arg, enum hmem_log_level level, const char *where, const char *message)
{
	struct hmem_shelf *shelf;
	pid_t child;
	int status;

	(void)arg;
	(void)level;
	(void)where;
	(void)message;
	if (inside)
		return;
	inside = true;
	child = fork();
	if (!child)
		_exit(7);
	forked += waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7;
	opened += hmem_shelf_open(user.region, "one", NULL, &shelf) == -EMFILE;
	inside = false;
}

/* From now on the process gets no more descriptors. */
static struct rlimit no_descriptors(void)
{
	struct rlimit was, now;
	int lowest = dup(0);

	close(lowest);
	getrlimit(RLIMIT_NOFILE, &was);
	now = was;
	now.rlim_cur = (rlim_t)lowest;
	setrlimit(RLIMIT_NOFILE, &now);
	return was;
}

int main(void)
{
	struct hmem_shelf *shelf;
	struct rlimit was;
	int err;

	users_begin("shelf-log");
	make(&user, 2, 1u << 20, 100);
	need(hmem_shelf_close(user.shelf), "closing");
	hmem_ctx_set_log(ctx, callback, NULL);
	hmem_ctx_set_log_level(ctx, HMEM_LOG_INFO);
	/* Whoever waits for himself is ended. */
	alarm(60);
	was = no_descriptors();
	err = hmem_shelf_open(user.region, "one", NULL, &shelf);
	setrlimit(RLIMIT_NOFILE, &was);
	alarm(0);
	TAP_EQ(err, -EMFILE, "a shelf is not opened without a descriptor");
	TAP_OK(forked, "the callback that is told so makes a process");
	TAP_OK(opened, "and may try to open another");
	hmem_ctx_set_log(ctx, NULL, NULL);
	need(hmem_shelf_open(user.region, "one", NULL, &user.shelf), "opening");
	unmake(&user);
	hmem_ctx_unref(ctx);
	return tap_done();
}
