/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The calls that are explored. To add one: a function that makes it, a function that does
 * the same to the model and tells what it should return (call_table.h has both), a line in
 * calls[], and some lines in steps[], which say with what it is called.
 */
#ifndef SELFTESTS_CRASH_CALLS_H
#define SELFTESTS_CRASH_CALLS_H

#include <hmem/export.h>
#include <hmem/shelf.h>
#include <hmem/tx.h>

#include "contents.h"

struct step;

/* Calls on the shelf as a whole, which explore.c makes. */
enum whole {
	WHOLE_NOT,
	WHOLE_CREATE,
	WHOLE_OPEN,
	WHOLE_CLOSE,
	WHOLE_DESTROY,
	WHOLE_CREATE_BESIDE,
	WHOLE_DESTROY_BESIDE,
};

/*
 * @wide: so many stores between two fences that most states are alike
 * @gets: it gets an object first, which may have been replaced when it is to be changed
 * @whole: then neither @run nor @model is there
 */
struct call {
	const char *name;
	int (*run)(struct hmem_shelf *shelf, const struct step *step);
	int (*model)(struct contents *contents, const struct step *step);
	bool wide;
	bool gets;
	enum whole whole;
};

/*
 * @name, @other: numbers of names; see name_of()
 * @actor: which of the threads calls
 * @flags: HMEM_PUT_*, or HMEM_SHELF_* of what is called on the whole shelf
 * @type: number of its type descriptor, 0: none
 */
struct step {
	const struct call *call;
	unsigned int name;
	unsigned int other;
	unsigned int bytes;
	unsigned int align;
	unsigned int flags;
	unsigned int seed;
	unsigned int actor;
	unsigned int type;
};

extern const struct call calls[];
extern const unsigned int nr_calls;

/* Every call, as it is put into sequences. */
extern const struct step steps[];
extern const unsigned int nr_steps;

/* Names of different lengths; 3 is one of the longest. */
#define NAMES 96
const char *name_of(unsigned int number);

/* A step at random. */
void step_random(struct step *step);

/* @process: whose it is; 0 is the first */
void step_print(const struct step *step, unsigned int process);

/* The traced library's. @flags: HMEM_SHELF_* */
int traced_create(struct hmem_shelf **shelf, unsigned int flags);
int traced_destroy(void);
int traced_open(struct hmem_shelf **shelf, unsigned int flags);
int traced_close(struct hmem_shelf *shelf);
int traced_create_beside(struct hmem_shelf **shelf);
int traced_destroy_beside(void);
const char *traced_error(void);
/* Is what the shelf shows what it should hold? */
bool traced_holds(struct hmem_shelf *shelf, const struct contents *contents);

#endif
