// SPDX-License-Identifier: LGPL-2.1-or-later
#include "file_limit.h"

#include <sys/resource.h>

bool hmem_beyond_file_limit(uint64_t bytes)
{
	struct rlimit limit;

	return !getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur != RLIM_INFINITY &&
	       bytes > limit.rlim_cur;
}
