/* SPDX-License-Identifier: GPL-2.0-only */
/* Several pools for one region: create-region --spread and --fill. */
#ifndef HMEMCTL_OVER_POOLS_H
#define HMEMCTL_OVER_POOLS_H

#include "options.h"

/**
 * struct over_pools - the pools, in the order in which they were named, or found
 * @name: their names
 * @at: the same, as the library wants them
 * @bytes: the size that the region gets
 */
struct over_pools {
	char name[32][HMEM_NAME_MAX + 1];
	const char *at[32];
	unsigned int nr;
	uint64_t bytes;
};

/**
 * over_pools_find - which they are, and that they have room
 * @names: those that were named; none: all with room of the kind that has enough, volatile first
 * @type: "ram", "pmem", or NULL: either
 * @size: as it was given: of all of them together
 *
 * Return: exit code.
 */
int over_pools_find(const struct session *s, const struct option_values *names, const char *type,
		    const char *size, struct over_pools *over);

#endif
