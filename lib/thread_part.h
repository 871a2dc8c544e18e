/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a thread has of something that threads use together, found in a few instructions, and given
 * up when the thread ends or the whole goes away.
 */
#ifndef LIB_THREAD_PART_H
#define LIB_THREAD_PART_H

#include <stdbool.h>
#include <stdint.h>

struct thread_parts;

/* First in what a thread has. */
struct thread_part {
	struct thread_parts *whole;
	struct thread_part *next, **at;			/* of the whole's */
	struct thread_part *others, **others_at;	/* of the thread's */
	unsigned int forks;				/* before the thread was this process's */
};

/*
 * @id: no other whole of this process ever has the same; set by thread_parts_init()
 * @make: one for the calling thread; NULL with errno
 * @leave: the thread ends: free it, and see to it that nothing is lost
 * @forget: the whole goes away: free it
 * @abandon: likewise, but the thread is one that fork(2) left in the parent, wherever it was
 *
 * All are called with a lock held under which none may use thread parts.
 */
struct thread_parts {
	uint64_t id;
	struct thread_part *first;
	struct thread_part *(*make)(struct thread_parts *whole);
	void (*leave)(struct thread_part *part);
	void (*forget)(struct thread_part *part);
	void (*abandon)(struct thread_part *part);
};

/* Few are used in turn; those that fall on the same place are looked for. */
#define THREAD_PLACES 8

struct thread_place {
	uint64_t id;
	struct thread_part *part;
};

/* By id, as the part of a whole that is gone is gone with it. */
extern __thread struct thread_place thread_places[THREAD_PLACES]
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Ends of threads are heard of from now on; false: there is no memory for that, or no key. */
bool thread_parts_ready(void);

void thread_parts_init(struct thread_parts *whole);

/* All that there are are forgotten. Nobody uses the whole any more. */
void thread_parts_fini(struct thread_parts *whole);

/* The calling thread's, made if there is none; NULL: errno says why. */
struct thread_part *thread_part_find(struct thread_parts *whole);

/* Zeroed, for free(3): @bytes of a struct whose first member it is. NULL: errno is ENOMEM. */
struct thread_part *thread_part_new(size_t bytes);

/* Each that there is, while none is made or leaves. */
void thread_parts_each(const struct thread_parts *whole,
		       void (*fn)(void *arg, struct thread_part *part), void *arg);

/* It is the calling thread's as well from now on, and found at once. Returns it. */
struct thread_part *thread_part_put(const struct thread_parts *whole, struct thread_part *part);

/* The calling thread's; NULL: it has to be looked for. */
static inline struct thread_part *thread_part_here(const struct thread_parts *whole)
{
	const struct thread_place *place = &thread_places[whole->id % THREAD_PLACES];

	return __builtin_expect(place->id == whole->id, 1) ? place->part : NULL;
}

static inline struct thread_part *thread_part(struct thread_parts *whole)
{
	struct thread_part *part = thread_part_here(whole);

	return part ? part : thread_part_find(whole);
}

#endif
