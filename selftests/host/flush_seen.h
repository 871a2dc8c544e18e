/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether persisting a range makes the CPU write back its lines: that leaves no trace
 * in memory, but needs the range to be mapped.
 */
#ifndef SELFTESTS_HOST_FLUSH_SEEN_H
#define SELFTESTS_HOST_FLUSH_SEEN_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hmem/region.h>

/* @address: the beginning of a mapping of @region; it stays as it is. */
static bool flush_seen(struct hmem_region *region, void *address)
{
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (!child) {
		/* The signal, and not the report of a sanitizer. */
		signal(SIGSEGV, SIG_DFL);
		mprotect(address, 4096, PROT_NONE);
		_exit(hmem_region_persist(region, address, 4096));
	}
	return waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGSEGV;
}

#endif
