/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Copying more than caches hold.
 */
#ifndef LIB_COPY_LARGE_H
#define LIB_COPY_LARGE_H

#include <stddef.h>

/* As memmove(3), by what is fastest on this processor. */
void copy_bytes(char *to, const char *from, size_t bytes);

#endif
