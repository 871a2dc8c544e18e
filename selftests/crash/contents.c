// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model of a shelf. What it keeps stays when the power of a pretended machine goes.
 */
#include <stdlib.h>
#include <string.h>

#include "contents.h"
#include "machine.h"

#define BLOBS (1u << 20)

static struct blob **blobs;

const struct blob *blob_get(const void *data, size_t bytes)
{
	uint64_t hash = bytes * 0x9e3779b97f4a7c15ull;
	struct blob **at;

	if (!blobs) {
		blobs = machine_kept(NULL, BLOBS * sizeof(*blobs));
		memset(blobs, 0, BLOBS * sizeof(*blobs));
	}
	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ ((const unsigned char *)data)[i]) * 0x100000001b3ull;
	hash ^= hash >> 29;
	for (uint64_t i = hash;; i++) {
		at = &blobs[i % BLOBS];
		if (!*at)
			break;
		if ((*at)->hash == hash && (*at)->bytes == bytes &&
		    !memcmp((*at)->data, data, bytes))
			return *at;
	}
	*at = machine_kept(NULL, sizeof(**at) + bytes);
	(*at)->hash = hash;
	(*at)->bytes = bytes;
	memcpy((*at)->data, data, bytes);
	return *at;
}

/* Of the last pattern made, since the same is asked for again and again. */
#define PATTERNS 1024u

const struct blob *blob_pattern(uint64_t seed, size_t bytes)
{
	static struct {
		uint64_t seed;
		const struct blob *blob;
	} made[PATTERNS];
	unsigned int slot = (unsigned int)(seed * 31 + bytes) % PATTERNS;
	unsigned char *data;

	if (made[slot].blob && made[slot].seed == seed && made[slot].blob->bytes == bytes)
		return made[slot].blob;
	data = machine_kept(NULL, bytes + 8);
	for (size_t i = 0; i < bytes; i += 8) {
		uint64_t word = (seed + 1) * 0xd6e8feb86659fd93ull + i * 0x9e3779b97f4a7c15ull;

		word ^= word >> 31;
		memcpy(data + i, &word, bytes - i < 8 ? bytes - i : 8);
	}
	made[slot].seed = seed;
	made[slot].blob = blob_get(data, bytes);
	free(data);
	return made[slot].blob;
}

struct object *contents_find(struct contents *contents, const char *name)
{
	for (unsigned int i = 0; i < contents->nr; i++)
		if (!strcmp((const char *)contents->objects[i].name->data, name))
			return &contents->objects[i];
	return NULL;
}

void contents_set(struct contents *contents, const char *name, const struct object *object)
{
	struct object *found = contents_find(contents, name);

	if (!found) {
		if (contents->nr == MOST_OBJECTS)
			abort();
		found = &contents->objects[contents->nr++];
	}
	*found = *object;
	found->name = blob_get(name, strlen(name) + 1);
}

void contents_remove(struct contents *contents, const char *name)
{
	struct object *found = contents_find(contents, name);

	if (found)
		*found = contents->objects[--contents->nr];
}

void contents_copy(struct contents *to, const struct contents *from)
{
	to->exists = from->exists;
	to->beside = from->beside;
	to->nr = from->nr;
	memcpy(to->objects, from->objects, from->nr * sizeof(from->objects[0]));
}

uint64_t contents_hash(const struct contents *contents)
{
	uint64_t hash = contents->exists + 2u * contents->beside;

	for (unsigned int i = 0; i < contents->nr; i++) {
		const struct object *o = &contents->objects[i];
		uint64_t one = o->name->hash * 0x9e3779b97f4a7c15ull ^ o->value->hash;

		one = (one ^ (o->type ? o->type->hash : 0)) * 0xd6e8feb86659fd93ull + o->align;
		hash += one ^ one >> 32;
	}
	return hash;
}
