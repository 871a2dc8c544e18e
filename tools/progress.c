// SPDX-License-Identifier: GPL-2.0-only
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR 40

/* Between two drawings; before the first as well, so that what is quick shows none. */
#define EVERY_MS 200

void progress_begin(struct progress *progress, const struct session *s, uint64_t total)
{
	*progress = (struct progress){ .s = s, .total = total };
	clock_gettime(CLOCK_MONOTONIC, &progress->last);
}

void progress_show(struct progress *progress, uint64_t done)
{
	char bar[BAR + 1], size[32];
	struct timespec now;
	const char *name = progress->doing ? progress->doing : progress->s->verb;
	bool timed = !strcmp(name, "measuring");
	unsigned int full;

	if (!isatty(STDERR_FILENO))
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if ((now.tv_sec - progress->last.tv_sec) * 1000 +
		    (now.tv_nsec - progress->last.tv_nsec) / 1000000 < EVERY_MS)
		return;
	progress->last = now;
	progress->shown = true;
	if (timed)
		snprintf(size, sizeof(size), "%.1f s", (double)done / 1000);
	else
		hmem_size_format(done, size, sizeof(size));
	if (!progress->total) {
		fprintf(stderr, "\rhmemctl %s: %s\033[K", name, size);
		return;
	}
	if (done > progress->total)
		done = progress->total;
	full = (unsigned int)((unsigned __int128)done * BAR / progress->total);
	memset(bar, '#', full);
	memset(bar + full, '.', BAR - full);
	bar[BAR] = '\0';
	fprintf(stderr, "\rhmemctl %s: [%s] %s\033[K", name, bar, size);
}

void progress_end(struct progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
	progress->shown = false;
}

void progress_of_library(void *session, const char *doing, uint64_t done, uint64_t total)
{
	static struct progress progress;

	if (!progress.doing || strcmp(progress.doing, doing) || progress.total != total) {
		progress_end(&progress);
		progress_begin(&progress, session, total);
		progress.doing = doing;
	}
	progress_show(&progress, done);
	if (done == total)
		progress_end(&progress);
}
