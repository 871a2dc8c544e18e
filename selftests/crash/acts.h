/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What those who act in a scene do, in their threads; it cannot fail.
 */
#ifndef SELFTESTS_CRASH_ACTS_H
#define SELFTESTS_CRASH_ACTS_H

#include <pthread.h>
#include <semaphore.h>

#include <hmem/shelf.h>

/* The largest value that is put. */
#define LARGE	200000u
#define VALUE	64u

void need(int err, const char *what);
void put(struct hmem_shelf *to, const char *name, size_t bytes, char with);
/* With large objects, until there is no room: then what others have left is looked for. */
void fill(struct hmem_shelf *shelf);
/* A transaction that writes so many bytes of an object, up to VALUE. */
void commit_write(struct hmem_shelf *to, const char *name, size_t bytes, char with);
/* The first byte of a value, or an error. */
int first_byte(struct hmem_shelf *of, const char *name);
/* The same, when the power goes now. */
int first_byte_left(const char *name);

/* A thread that does what it is told to, and stops for ever after that. */
struct actor {
	pthread_t thread;
	sem_t go;
	sem_t done;
	void (*work)(void);
};

void actor_start(struct actor *actor);
void actor_does(struct actor *actor, void (*work)(void));
void stop_for_ever(void);

#endif
