/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a thread of the library does while who began it goes on.
 */
#ifndef LIB_COMPLETION_H
#define LIB_COMPLETION_H

#include <stdatomic.h>
#include <stdint.h>

#include <hmem/copy.h>

/*
 * Stands first in what there is to do, which is memory of malloc(3).
 *
 * @make: by the thread
 * @commit: when it is made, at once with @done: while the process cannot fork, so it takes no lock
 * @cancel: instead, in a child of fork(2), where it never will be; likewise
 * @finish: afterwards, by the thread; NULL: nothing
 * @done: 1 when it is, and a futex
 * @refs: the caller's, and the thread's until it is done
 * @forks: as many as there had been when it was begun
 */
struct hmem_completion {
	void (*make)(struct hmem_completion *completion);
	void (*commit)(struct hmem_completion *completion);
	void (*cancel)(struct hmem_completion *completion);
	void (*finish)(struct hmem_completion *completion);
	struct hmem_completion *next;
	atomic_uint refs;
	_Atomic uint32_t done;
	unsigned int forks;
};

/* Have it made. -EAGAIN (no thread) or -ENOMEM, with a last error: it is the caller's as it was. */
int completion_begin(struct hmem_ctx *ctx, struct hmem_completion *new);

#endif
