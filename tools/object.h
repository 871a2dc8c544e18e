/* SPDX-License-Identifier: GPL-2.0-only */
/* What verbs of objects have in common. */
#ifndef HMEMCTL_OBJECT_H
#define HMEMCTL_OBJECT_H

#include <json-c/json.h>

#include <hmem/shelf.h>

#include "hmemctl.h"

struct shelf_place;
struct usage;

/* Read and written at once. */
#define OBJECT_PIECE ((size_t)1 << 20)

/**
 * object_place - take REGION/SHELF out of the arguments of a verb, which from @first on has @least
 * to @most of them
 *
 * Return: -1, or the exit code when bad usage has been reported.
 */
int object_place(const struct session *s, const struct usage *usage, int argc, char **argv,
		 int first, int least, int most, struct shelf_place *place);

/** json_object_name - members "object" (null when it is no text) and "name_hex" */
void json_object_name(struct json_object *o, const char *name, size_t bytes);

/**
 * objects_list - add the objects of a shelf to an array
 * @prefix: only those whose name begins so; NULL: all
 * @head: with the first bytes of each
 *
 * Return: 0 or what the library answered.
 */
int objects_list(const struct session *s, struct hmem_shelf *shelf, const char *prefix, bool head,
		 struct json_object *array);

/**
 * object_tell - add one that has been put or got, or is going to be deleted, to an array
 *
 * Return: 0 or what the library answered.
 */
int object_tell(const struct session *s, struct hmem_shelf *shelf, const char *name,
		struct json_object *array);

/** objects_count - say how many there were. @done: what was done to them, and a blank */
void objects_count(const struct session *s, const char *done, size_t n);

#endif
