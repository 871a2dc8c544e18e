// SPDX-License-Identifier: GPL-2.0-only
#include "size_option.h"

#include <errno.h>
#include <string.h>

#include <hmem/size.h>
#include <linux/hmem.h>

/* Large enough that no percentage that somebody writes of it comes out as zero. */
#define SOME_CAPACITY (1ULL << 60)

bool size_is_valid(const char *text)
{
	uint64_t bytes;

	return !hmem_size_parse(text, SOME_CAPACITY, &bytes);
}

bool size_is_relative(const char *text)
{
	return !strcmp(text, "all") || strchr(text, '%');
}

int size_in_pool(const char *text, uint64_t capacity, uint64_t free, uint64_t *bytes)
{
	uint64_t whole = !strcmp(text, "all") ? free : capacity, parsed;
	int rc = hmem_size_parse(text, whole, &parsed);

	if (rc)
		return rc;
	if (!size_is_relative(text))
		parsed += HMEM_EXTENT_SIZE - 1;
	parsed -= parsed % HMEM_EXTENT_SIZE;
	if (!parsed)
		return -ERANGE;
	*bytes = parsed;
	return 0;
}
