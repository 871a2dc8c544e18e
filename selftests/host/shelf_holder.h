/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Another process that lives, and in whose name locks can be held as if it had stopped with them.
 */
#ifndef SELFTESTS_HOST_SHELF_HOLDER_H
#define SELFTESTS_HOST_SHELF_HOLDER_H

#include <signal.h>
#include <sys/wait.h>

#include "shelf_user.h"

static unsigned int holder;	/* its slot */
static pid_t holder_pid;

static inline void hold(struct user *user)
{
	int up[2];
	char byte;

	if (pipe(up))
		tap_bail("a pipe");
	holder_pid = fork();
	if (!holder_pid) {
		if (hmem_ctx_new(&ctx) || join(user, "one", 0) || put(user, "holder", 'h', 8))
			_exit(1);
		if (write(up[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	if (read(up[0], &byte, 1) != 1)
		tap_bail("the other process ended");
	close(up[0]);
	close(up[1]);
	for (unsigned int id = 0; id < 8; id++)
		if (media_slot(&media, id)->used && media_slot(&media, id)->pid == holder_pid)
			holder = id;
}

static inline void end_holder(void)
{
	kill(holder_pid, SIGKILL);
	waitpid(holder_pid, NULL, 0);
}

/* Of all chunks before @end. */
static inline void lock_up_to(uint64_t end, bool locked)
{
	for (uint64_t i = 0; i < end; i++)
		__atomic_store_n(&media_chunk(&media, i)->lock, locked ? holder + 1 : 0,
				 __ATOMIC_SEQ_CST);
}

static inline void lock_chunks(bool locked)
{
	lock_up_to(media_runtime(&media)->frontier, locked);
}

#endif
