// SPDX-License-Identifier: GPL-2.0-only
#include "schedule.h"

#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000ULL

bool schedule_seconds(const char *text, double *seconds)
{
	double value;
	char *end;

	/* Nothing that strtod() knows beside that. */
	if (strspn(text, "0123456789.") != strlen(text))
		return false;
	value = strtod(text, &end);
	if (end == text || *end || value < SCHEDULE_LEAST || value > SCHEDULE_MOST)
		return false;
	*seconds = value;
	return true;
}

bool schedule_count(const char *text, unsigned long *count)
{
	unsigned long value;

	if (!*text || strlen(text) > 7 || strspn(text, "0123456789") != strlen(text))
		return false;
	value = strtoul(text, NULL, 10);
	if (!value || value > SCHEDULE_MOST)
		return false;
	*count = value;
	return true;
}

static uint64_t now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (uint64_t)at.tv_sec * SECOND + (uint64_t)at.tv_nsec;
}

void schedule_begin(struct schedule *schedule, double interval)
{
	schedule->interval = (uint64_t)(interval * (double)SECOND);
	schedule->began = schedule->next = now();
	sigemptyset(&schedule->signals);
	sigaddset(&schedule->signals, SIGINT);
	sigaddset(&schedule->signals, SIGTERM);
	sigaddset(&schedule->signals, SIGHUP);
	sigaddset(&schedule->signals, SIGWINCH);
	sigprocmask(SIG_BLOCK, &schedule->signals, &schedule->before);
}

enum schedule_event schedule_wait(struct schedule *schedule)
{
	uint64_t at = now();

	/* Who was kept from it for long is late once, not many times. */
	while (schedule->next + schedule->interval <= at)
		schedule->next += schedule->interval;
	for (;;) {
		struct timespec left = { 0 };
		int signal;

		at = now();
		if (schedule->next > at) {
			left.tv_sec = (time_t)((schedule->next - at) / SECOND);
			left.tv_nsec = (long)((schedule->next - at) % SECOND);
		}
		signal = sigtimedwait(&schedule->signals, NULL, &left);
		if (signal == SIGWINCH)
			return SCHEDULE_RESIZED;
		if (signal > 0)
			return SCHEDULE_STOP;
		if (now() < schedule->next)
			continue;
		schedule->next += schedule->interval;
		return SCHEDULE_DUE;
	}
}

void schedule_end(struct schedule *schedule)
{
	sigprocmask(SIG_SETMASK, &schedule->before, NULL);
}

double schedule_elapsed(const struct schedule *schedule)
{
	return (double)(now() - schedule->began) / (double)SECOND;
}
