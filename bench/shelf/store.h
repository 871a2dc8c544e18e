/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A store of named values, as load.c drives it: one implementation is linked to each
 * program. Names are bytes of a length; every function ends the process when it fails.
 */
#ifndef BENCH_SHELF_STORE_H
#define BENCH_SHELF_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * @path: a file, which is made when it is not there
 * @mode: the store's own: "default" or what its file says
 * @batch: calls that are made durable together, where the store can do that
 * @names: how many there are going to be; a store may size its index by that
 * @room: bytes that the values are going to take, all in all
 */
struct store_config {
	const char *path;
	const char *mode;
	unsigned int batch;
	uint64_t names;
	uint64_t room;
};

struct store_name {
	const char *name;
	size_t bytes;
};

/* How a transaction changes parts of values. */
enum store_tx {
	STORE_TX_PUT,	/* it puts all of the value anew */
	STORE_TX_WRITE,	/* redo: it says what is to be stored */
	STORE_TX_ADD,	/* undo: it says where, all at once, and then stores in place */
};
#define STORE_TX_MAX 64

void store_open(const struct store_config *config);
/* Before the thread's first call, and after its last. */
void store_thread_begin(void);
void store_thread_end(void);
void store_put(const char *name, size_t name_bytes, const void *value, size_t bytes);
/* Put one value in the way that is the store's best for a very large one. */
void store_fill(const char *name, size_t name_bytes, const void *value, size_t bytes);
/* The sum of the value's first and last byte; -1 when there is none. */
int store_get(const char *name, size_t name_bytes);
void store_delete(const char *name, size_t name_bytes);
/* One transaction that stores @data at @offset of each value. Only one thread does. */
void store_tx(enum store_tx how, const struct store_name *names, unsigned int nr, size_t offset,
	      const void *data, size_t bytes);
void store_close(void);
/*
 * Fences, or calls that sync, by this thread and by all that have ended their work; -1: not
 * known.
 */
long store_fences(void);
/* Bytes in use for all objects, with everything that comes with them. */
uint64_t store_used(void);

__attribute__((noreturn, unused)) static void store_fail(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

/* For what a store cannot do and is not asked for. */
__attribute__((noreturn, unused)) static void store_cannot(const char *what)
{
	store_fail(what, "this store cannot");
}

#endif
