/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a space is: what the name of a layer means to a program that is to have memory of it. */
#ifndef LIB_PRELOAD_PLACE_H
#define LIB_PRELOAD_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "../space.h"

/*
 * A space on a layer, or in a file, of so many bytes; 0: what suits it. It needs no descriptor, as
 * programs close those that they do not know: what is mapped stays. 0 or a negative errno, with a
 * last error.
 */
int place_space(struct hmem_ctx *ctx, const char *layer, uint64_t bytes, struct hmem_space **space);

/* Whether its memory was made for it, and so read as zeroes at first. */
extern bool place_is_new;

/* The program ends. What it has stays usable; what others would find for ever is removed. */
void place_end(struct hmem_space *space);

#endif
