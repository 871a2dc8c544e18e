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

/* Set when a signal came while nobody waited for one. */
static volatile sig_atomic_t stopped;

static const int stops[SCHEDULE_STOPS] = { SIGINT, SIGTERM, SIGHUP };

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/* Without SA_RESTART: who writes to a full pipe, or opens one that nobody reads, gets EINTR. */
static void catch_stops(struct schedule *schedule)
{
	struct sigaction action = { .sa_handler = stop }, *old = schedule->actions;

	stopped = 0;
	for (int i = 0; i < SCHEDULE_STOPS; i++) {
		sigaction(stops[i], NULL, &old[i]);
		/* Whoever started this wants it to be left alone by that, as nohup does. */
		if (old[i].sa_handler == SIG_IGN)
			continue;
		sigaction(stops[i], &action, NULL);
		sigaddset(&schedule->signals, stops[i]);
	}
}

void schedule_begin(struct schedule *schedule, double interval)
{
	sigset_t resized;

	schedule->interval = (uint64_t)(interval * (double)SECOND);
	schedule->began = schedule->next = now();
	sigemptyset(&schedule->signals);
	sigaddset(&schedule->signals, SIGWINCH);
	sigemptyset(&resized);
	sigaddset(&resized, SIGWINCH);
	sigprocmask(SIG_BLOCK, &resized, &schedule->before);
	catch_stops(schedule);
}

/* With all of its signals blocked. */
static enum schedule_event wait_blocked(struct schedule *schedule)
{
	uint64_t at = now();

	if (stopped)
		return SCHEDULE_STOP;

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

enum schedule_event schedule_wait(struct schedule *schedule)
{
	enum schedule_event event;
	sigset_t working;

	sigprocmask(SIG_BLOCK, &schedule->signals, &working);
	event = wait_blocked(schedule);
	sigprocmask(SIG_SETMASK, &working, NULL);
	return event;
}

void schedule_end(struct schedule *schedule)
{
	for (int i = 0; i < SCHEDULE_STOPS; i++)
		sigaction(stops[i], &schedule->actions[i], NULL);
	sigprocmask(SIG_SETMASK, &schedule->before, NULL);
}

double schedule_elapsed(const struct schedule *schedule)
{
	return (double)(now() - schedule->began) / (double)SECOND;
}
