/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shared mappings at addresses that allow the largest pages.
 */
#ifndef LIB_MAPPING_H
#define LIB_MAPPING_H

#include <stddef.h>
#include <stdint.h>

/* What a PMD maps: the alignment that makes large pages possible. */
#define HMEM_MAPPING_ALIGN ((uint64_t)2 << 20)

uint64_t hmem_page_size(void);

/*
 * mmap(2) of @fd with @flags. When @length is at least @align, a power of two, the
 * address is congruent to @offset modulo @align; if other threads take every such
 * address first, the mapping is elsewhere, and only slower.
 *
 * Return: 0 or a negative errno; sets no last error.
 */
int hmem_mapping_new(int fd, uint64_t offset, size_t length, int prot, int flags, uint64_t align,
		     void **address);

/* The same at exactly @address, in place of what is mapped there. */
int hmem_mapping_at(int fd, uint64_t offset, size_t length, int prot, int flags, void *address);

#endif
