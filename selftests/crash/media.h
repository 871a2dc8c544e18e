/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the traced machine's media hold: for certain, and perhaps.
 *
 * The media are divided into units: cache lines, or pages where msync(2) makes durable.
 * A store waits in its unit until a fence finds that it had been written back. Until
 * then any number of a unit's waiting stores, in the order of the program, may have
 * reached the media by themselves; of a memcpy() any of its aligned words.
 */
#ifndef SELFTESTS_CRASH_MEDIA_H
#define SELFTESTS_CRASH_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine.h"

/* The traced machine is another one from now on. */
void media_begin(void);

/* So is the plain one's memory. */
void media_forked(void);

/* What is in the traced machine's memory is durable, and nothing is waiting. */
void media_reset(unsigned int unit_shift);

/* @any_order: its aligned words reach the media in any order. */
void media_store(uint64_t offset, const void *data, size_t bytes, bool any_order);
/* Is there anything in the unit that a store might overtake? */
bool media_is_waiting(uint64_t offset);
/* A fault to be found: it overtakes what waits in its unit. */
void media_store_early(uint64_t offset, const void *data, size_t bytes);
void media_write_back(unsigned int actor, uint64_t offset, size_t bytes);
void media_fence(unsigned int actor);

/* Is what we were told of all that has happened? -1, or the offset of what is not. */
int64_t media_unexplained(void);

/* --- states after a loss of power ---------------------------------------------------- */

/*
 * Begin with them; the first one, in which nothing that waits has arrived, is there
 * then. How many there are, or ~0 for more than 2^40.
 */
uint64_t states_begin(void);
/* Go on to the next one; false: that was the last. */
bool states_next(void);
/* Any one of them. */
void states_random(void);
/* Everything has arrived but what waits in one unit. */
void states_lacking(unsigned int which);
/* End with them. */
void states_end(void);

/* Of the state that is there, without what recovery must ignore. */
uint64_t states_hash(void);

/*
 * Put the state into a machine's memory. What recovery must ignore is what may be there,
 * noise, or what was in that memory.
 */
void states_install(struct machine *machine);

/* For people: the choices made. */
void states_print(void);

/* --- chance -------------------------------------------------------------------------- */

extern uint64_t chance_seed;
uint64_t chance(void);
/* Below @limit. */
uint64_t chance_of(uint64_t limit);

#endif
