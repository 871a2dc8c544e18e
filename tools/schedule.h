/* SPDX-License-Identifier: GPL-2.0-only */
/* What is done again and again: how often, how many times, and who ends it. */
#ifndef HMEMCTL_SCHEDULE_H
#define HMEMCTL_SCHEDULE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define SCHEDULE_LEAST 0.001	/* seconds */
#define SCHEDULE_MOST  1000000	/* times, and seconds */
#define SCHEDULE_STOPS 3	/* signals that end it */

/** schedule_seconds - "0.25", "10": from a millisecond to a million seconds. Return: is it one? */
bool schedule_seconds(const char *text, double *seconds);

/** schedule_count - "1" to a million. Return: is it one? */
bool schedule_count(const char *text, unsigned long *count);

enum schedule_event {
	SCHEDULE_DUE,
	SCHEDULE_RESIZED,	/* the terminal has another size */
	SCHEDULE_STOP,		/* SIGINT, SIGTERM or SIGHUP */
};

/**
 * struct schedule - since schedule_begin(), which the first time is due with
 * @interval: nanoseconds
 */
struct schedule {
	uint64_t interval;
	uint64_t began;
	uint64_t next;
	sigset_t signals;
	sigset_t before;
	struct sigaction actions[SCHEDULE_STOPS];
};

/**
 * schedule_begin - from now on the signals that end it are told by schedule_wait()
 *
 * Not those that were ignored. A system call that they find waiting ends with EINTR. For one
 * schedule at a time.
 */
void schedule_begin(struct schedule *schedule, double interval);

/** schedule_wait - until it is due again, or something else comes; what was missed is left out */
enum schedule_event schedule_wait(struct schedule *schedule);

/** schedule_end - signals do again what they did before */
void schedule_end(struct schedule *schedule);

/** schedule_elapsed - seconds since schedule_begin() */
double schedule_elapsed(const struct schedule *schedule);

#endif
