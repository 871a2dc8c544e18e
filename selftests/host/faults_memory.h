/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * More calls that can be made to fail than faults.h has: those by which memory is bound to nodes and
 * threads are made; and what is seen of them.
 *
 * Hwloc is not there: it ends the process when it gets no memory, and asks for it some thousand
 * times. Overrides functions of libc: to be included once in a program.
 */
#ifndef SELFTESTS_HOST_FAULTS_MEMORY_H
#define SELFTESTS_HOST_FAULTS_MEMORY_H

#include <pthread.h>
#include <sched.h>

#include "faults.h"

/* What move_pages(2) says of all of them; -1: what the kernel does. */
static int node_of_pages = -1;

/* Threads that were made with attributes, and the processors that each of them may run on. */
static unsigned int threads_seen, processors_seen;

/* mbind(2) and move_pages(2) */
OVERRIDE long syscall(long number, ...)
{
	long a[6];
	va_list ap;
	REAL(long, "syscall", long, ...);

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_mbind && fails("mbind"))
		return -1;
	if (number == SYS_move_pages) {
		if (fails("move_pages"))
			return -1;
		for (long i = 0; node_of_pages >= 0 && i < a[1]; i++)
			((int *)a[4])[i] = node_of_pages;
		if (node_of_pages >= 0)
			return 0;
	}
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

OVERRIDE int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			    void *(*run)(void *), void *arg)
{
	REAL(int, "pthread_create", pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	cpu_set_t set;

	if (fails("pthread_create"))
		return injected;
	if (attributes && !pthread_attr_getaffinity_np(attributes, sizeof(set), &set)) {
		threads_seen++;
		processors_seen += (unsigned int)CPU_COUNT(&set);
	}
	return real(thread, attributes, run, arg);
}

void *dlopen(const char *file, int flags)
{
	REAL(void *, "dlopen", const char *, int);
	int own = inherited;
	void *library = file && strstr(file, "hwloc") ? NULL : real(file, flags);

	/* Mimalloc has open what it closes at once. */
	inherited = own;
	return library;
}

#endif
