/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a shelf should hold: the model that recovered shelves are compared with.
 */
#ifndef SELFTESTS_CRASH_CONTENTS_H
#define SELFTESTS_CRASH_CONTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes; equal ones are the same one, and none is ever freed. */
struct blob {
	uint64_t hash;
	size_t bytes;
	unsigned char data[];
};

const struct blob *blob_get(const void *data, size_t bytes);
/* Bytes that depend on @seed. */
const struct blob *blob_pattern(uint64_t seed, size_t bytes);

struct object {
	const struct blob *name; /* with its final NUL */
	const struct blob *value;
	const struct blob *type; /* or NULL */
	size_t align;
};

#define MOST_OBJECTS 256

/* @exists: the shelf itself; @beside: another one in the region; @objects in any order */
struct contents {
	bool exists;
	bool beside;
	unsigned int nr;
	struct object objects[MOST_OBJECTS];
};

struct object *contents_find(struct contents *contents, const char *name);
/* Create or replace. */
void contents_set(struct contents *contents, const char *name, const struct object *object);
void contents_remove(struct contents *contents, const char *name);
void contents_copy(struct contents *to, const struct contents *from);
uint64_t contents_hash(const struct contents *contents);

#endif
