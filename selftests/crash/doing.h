/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls on the traced machine, each of which is compared with the model and, if now.exploring
 * says so, explored.
 *
 * Each of these functions returns false when something was found (now.failed).
 */
#ifndef SELFTESTS_CRASH_DOING_H
#define SELFTESTS_CRASH_DOING_H

#include <stdbool.h>

#include "calls.h"

/* Forget what was done. Nobody has the shelf open; the first process is going to do something. */
void doing_begin(void);
/* Another process does. */
void doing_as(unsigned int process);
/* A call that did not come to its end is over. */
void doing_end(void);
/* It was that of a process that has died @after so much of it, and may have happened, or not. */
void doing_died(unsigned int after);
/* It stops in the middle, and another process makes calls, until it goes on. */
void doing_stop(unsigned int after);
void doing_go_on(void);
/* The power has gone: nobody has the shelf open. */
void doing_power_gone(void);

/* Of the process that does something; NULL: it has not opened it. */
struct hmem_shelf *doing_shelf(void);
/* Open it, or create it if there is none, unless it is open. */
bool have_shelf(void);
bool open_shelf(unsigned int flags);
bool create_shelf(unsigned int flags);
bool destroy_shelf(void);
/* Unless nobody has it open. */
bool close_shelf(void);
bool do_step(const struct step *step);
/* Look whether what a dead process was doing has happened. */
bool narrow(void);

/* For people: what was done. */
void doing_print(void);

#endif
