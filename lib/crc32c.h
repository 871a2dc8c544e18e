/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CRC32C (Castagnoli), reflected, as in RFC 3720. Not inverted at either end, so that
 * it goes on from piece to piece: begin with ~0.
 */
#ifndef LIB_CRC32C_H
#define LIB_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t hmem_crc32c(uint32_t crc, const void *data, size_t bytes);

/* The same, copying on the way. */
uint32_t hmem_crc32c_copy(uint32_t crc, void *to, const void *from, size_t bytes);

/*
 * The same past the caches: so much of the beginning as that is good for, maybe nothing. @to: at
 * a cache line. What is stored so is durable, and seen by others, after a fence of stores.
 */
size_t hmem_crc32c_stream(uint32_t *crc, void *to, const void *from, size_t bytes);

#endif
