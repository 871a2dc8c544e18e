/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the library said last: whether a sentence is in it.
 */
#ifndef SELFTESTS_HOST_SAID_H
#define SELFTESTS_HOST_SAID_H

#include <hmem/hmem.h>

#include <string.h>

#include "../tap.h"

static inline bool says(struct hmem_ctx *of, const char *sentence)
{
	if (strstr(hmem_last_error(of), sentence))
		return true;
	tap_diag("\"%s\" does not have \"%s\"", hmem_last_error(of), sentence);
	return false;
}

#endif
