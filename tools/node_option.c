// SPDX-License-Identifier: GPL-2.0-only
#include "node_option.h"

#include <limits.h>
#include <stdlib.h>

bool node_parse(const char *text, int *node)
{
	char *end;
	long number;

	if (*text < '0' || *text > '9')
		return false;
	number = strtol(text, &end, 10);
	*node = (int)number;
	return !*end && number <= INT_MAX;
}
