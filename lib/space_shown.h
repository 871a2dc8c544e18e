/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a process shows of a space to who looks for spaces: a page of shared memory that others find
 * among its open files.
 */
#ifndef LIB_SPACE_SHOWN_H
#define LIB_SPACE_SHOWN_H

#include <stdatomic.h>
#include <stdint.h>

#include <hmem/space.h>

#include "granule.h"

#define SPACE_SHOWN_NAME    "hmem-space"	/* of the file */
#define SPACE_SHOWN_MAGIC   0x6563617073656d68ULL
#define SPACE_SHOWN_VERSION 1

/* What is in it, in bytes but for @told. Whoever reads it trusts nothing of it. */
struct space_shown {
	uint64_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_parts;
	uint32_t reserved;
	uint64_t bytes;
	uint64_t granule;
	_Atomic uint64_t limit;
	_Atomic uint64_t interfaces;
	struct granule_told told;
	char name[HMEM_SPACE_NAME_MAX + 1];
	char layers[HMEM_SPACE_LAYERS_MAX + 1];
};

struct hmem_space;

/* From now on it is shown; where that cannot be it is not, and nothing else is wrong. */
void space_show(struct hmem_space *space);
void space_hide(struct hmem_space *space);

#endif
