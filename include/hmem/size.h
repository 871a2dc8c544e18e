/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sizes as people write them: 64G, 64GiB, 1.5T, 50%, all.
 */
#ifndef HMEM_SIZE_H
#define HMEM_SIZE_H

#include <stddef.h>
#include <stdint.h>

#include <hmem/context.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * hmem_size_parse - read a size
 * @text: digits with an optional fraction, then nothing (bytes) or one of K, M, G, T,
 *	P, E, each also as "KiB"; all are powers of 1024. "N%" and "all" are parts
 *	of @whole.
 * @whole: what percentages refer to; 0: they and "all" are -EINVAL
 * @bytes: written only on success, rounded down to a byte
 *
 * Return: 0; -EINVAL (not a size), -ERANGE (zero, negative or more than 2^63 - 1).
 */
HMEM_API int hmem_size_parse(const char *text, uint64_t whole, uint64_t *bytes);

/**
 * hmem_size_format - write a size for a person: "64.00 GiB"
 * @buffer: at least 16 bytes
 *
 * Return: @buffer.
 */
HMEM_API char *hmem_size_format(uint64_t bytes, char *buffer, size_t length);

#ifdef __cplusplus
}
#endif
#endif
