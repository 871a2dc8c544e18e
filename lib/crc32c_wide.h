/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_CRC32C_WIDE_H
#define LIB_CRC32C_WIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So much is taken at once. */
#define CRC32C_WIDE_BYTES 256u

/* Has this processor got what it takes? */
bool hmem_crc32c_wide_here(void);

/*
 * CRC32C of as many times CRC32C_WIDE_BYTES as there are, which are what the answer says. @to: NULL,
 * or where to store them past the caches, at a cache line: each byte of @from is read once.
 */
size_t hmem_crc32c_wide(uint32_t *crc, unsigned char *to, const unsigned char *from, size_t bytes);

#endif
