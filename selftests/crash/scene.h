/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A shelf in a file of its own, in a process of its own, in which threads may stop in the middle
 * of a call for ever; and what is recovered of it when the power goes (lines.h).
 */
#ifndef SELFTESTS_CRASH_SCENE_H
#define SELFTESTS_CRASH_SCENE_H

#include <hmem/hmem.h>
#include <hmem/shelf.h>

#include "lines.h"

/* For all errors but those of what is recovered. */
extern struct hmem_ctx *scene_ctx;

/* To be called first. The files are gone when this process ends. */
void scene_begin(void);
/* What @play returns, in a child; -1 when that was killed. */
int scene_play(int (*play)(void));

/* In such a child, first: from that all follows which the library draws at random. */
void scene_seed(uint64_t seed);
/* The new shelf, from which nothing can be lost before lines_begin(). */
struct hmem_shelf *scene_shelf(uint64_t heap, unsigned int flags, unsigned int wait_ms);
/* So much is put that there is only now and then room for more. */
void scene_fill(struct hmem_shelf *shelf);
/* The same file. */
const char *scene_file(void);
/* Another handle on that, as another process would have. It may be told to die. */
struct hmem_shelf *scene_open(unsigned int wait_ms);
/* The same, where it may be busy. */
int scene_try_open(unsigned int wait_ms, struct hmem_shelf **shelf);
/* Closes what these two have opened. */
int scene_leave(struct hmem_shelf *shelf);
/* Those who use it are taken to be dead. Its threads have to have stopped, and stay so. */
void scene_dies(struct hmem_shelf *shelf);

/* What is left when the power goes now, as lines_left() has it, opened. */
struct scene_rest {
	struct hmem_ctx *ctx;
	struct hmem_region *region;
	struct hmem_shelf *shelf;
	bool ignored;
};
/* 0, or why it cannot be recovered. To be closed in either case, by the same thread. */
int scene_recover(struct scene_rest *rest, unsigned int percent, uint64_t seed);
void scene_close(struct scene_rest *rest);
/* 0: hmem_shelf_check() finds nothing; else it is told. */
int scene_check(struct hmem_shelf *shelf);

#endif
