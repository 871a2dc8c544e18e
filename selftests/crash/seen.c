// SPDX-License-Identifier: GPL-2.0-only
/*
 * A set of hashes, by open addressing.
 */
#include <stdlib.h>
#include <string.h>

#include "seen.h"

#define MOST (1ull << 26)

static uint64_t *table, room, used;

static bool enter(uint64_t hash)
{
	for (uint64_t i = hash * 0x9e3779b97f4a7c15ull >> 20;; i++) {
		uint64_t *at = &table[i & (room - 1)];

		if (*at == hash)
			return false;
		if (!*at) {
			*at = hash;
			used++;
			return true;
		}
	}
}

static void grow(void)
{
	uint64_t *old = table, old_room = room;

	room = room ? 2 * room : 1u << 16;
	table = calloc(room, sizeof(*table));
	if (!table)
		abort();
	used = 0;
	for (uint64_t i = 0; i < old_room; i++)
		if (old[i])
			enter(old[i]);
	free(old);
}

bool seen_add(uint64_t hash)
{
	if (used * 4 >= room * 3)
		grow();
	return enter(hash ? hash : 1);
}

void seen_clear(void)
{
	free(table);
	table = NULL;
	room = 0;
	used = 0;
}

void seen_room(void)
{
	if (used > MOST)
		seen_clear();
}
