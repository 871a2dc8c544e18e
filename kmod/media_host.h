/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What media.c takes from the kernel, for compiling it into a program.
 */
#ifndef HM_MEDIA_HOST_H
#define HM_MEDIA_HOST_H

#include <stddef.h>
#include <string.h>

#define HM_BITS_PER_LONG (8 * sizeof(unsigned long))

static inline unsigned int hm_crc32c(const void *data, size_t length)
{
	static unsigned int table[256];
	const unsigned char *p = data;
	unsigned int crc = ~0U;

	for (unsigned int i = 1; !table[255] && i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = (table[i] >> 1) ^ (table[i] & 1 ? 0x82f63b78U : 0);
	}
	while (length--)
		crc = (crc >> 8) ^ table[(crc ^ *p++) & 0xff];
	return ~crc;
}

static inline void bitmap_zero(unsigned long *map, unsigned long bits)
{
	memset(map, 0, (bits + HM_BITS_PER_LONG - 1) / HM_BITS_PER_LONG * sizeof(*map));
}

static inline void bitmap_set(unsigned long *map, unsigned long start, unsigned long count)
{
	for (unsigned long i = start; i < start + count; i++)
		map[i / HM_BITS_PER_LONG] |= 1UL << i % HM_BITS_PER_LONG;
}

/* The next set bit before @size at or after @from; @size when there is none. */
static inline unsigned long find_next_bit(const unsigned long *map, unsigned long size,
					  unsigned long from)
{
	while (from < size && !(map[from / HM_BITS_PER_LONG] >> from % HM_BITS_PER_LONG & 1))
		from++;
	return from;
}

#endif /* HM_MEDIA_HOST_H */
