/* SPDX-License-Identifier: GPL-2.0-only */
/* How far something has got, on terminals only. */
#ifndef HMEMCTL_PROGRESS_H
#define HMEMCTL_PROGRESS_H

#include <stdint.h>
#include <time.h>

#include "hmemctl.h"

/**
 * struct progress - a bar on stderr
 * @total: bytes, or of "measuring" ms; 0: not known
 * @doing: shown instead of the verb, or NULL
 * @shown: there is a bar, which has to be erased
 * @last: when it was drawn
 */
struct progress {
	const struct session *s;
	uint64_t total;
	const char *doing;
	bool shown;
	struct timespec last;
};

/** progress_begin - nothing is drawn where stderr is no terminal, or for what is quick */
void progress_begin(struct progress *progress, const struct session *s, uint64_t total);
void progress_show(struct progress *progress, uint64_t done);
void progress_end(struct progress *progress);

/** progress_of_library - a hmem_progress_fn, whose argument is the session: one bar at a time */
void progress_of_library(void *session, const char *doing, uint64_t done, uint64_t total);

#endif
