/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The checksums of a shelf, computed by the letter of the format and without the library:
 * for damage under checksums that hold.
 */
#ifndef SELFTESTS_SHELF_CRC_H
#define SELFTESTS_SHELF_CRC_H

#include "shelf_media.h"

static uint32_t crc_more(uint32_t crc, const void *data, size_t bytes)
{
	const unsigned char *p = data;

	while (bytes--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

static uint64_t media_key(const struct media *media)
{
	uint64_t halves[2];

	memcpy(halves, media_super(media)->uuid, 16);
	return halves[0] ^ (halves[1] << 32 | halves[1] >> 32) ^ media_shelf(media)->secret;
}

/* The mark of a record of a shelf with this key, laid into its header. */
static void mark_fix(uint64_t key, uint64_t at, struct record *r)
{
	const uint32_t text = 1u << 1 | 1u << 9 | 1u << 13 | 1u << 21;
	uint32_t mark = (uint32_t)((key ^ at) * 0x9e3779b97f4a7c15ull >> 35);

	if (__builtin_popcount(mark & text) < 2)
		mark ^= text;
	r->mark_low = mark & 0x3ff;
	r->mark_high = mark >> 10 & 0x7ffff;
}

__attribute__((unused)) static void rack_fix(unsigned char *copy)
{
	struct rack_header *header = (struct rack_header *)copy;
	size_t bytes;

	if (header->nr_shelves > RACK_MAX_SHELVES || header->nr_runs > RACK_MAX_RUNS)
		return;
	bytes = sizeof(*header) + header->nr_shelves * sizeof(struct rack_shelf) +
		header->nr_runs * sizeof(struct rack_run);
	header->crc = 0;
	header->crc = crc_more(~0u, copy, bytes);
}

__attribute__((unused)) static void super_fix(struct shelf_super *super)
{
	super->crc = 0;
	super->crc = crc_more(~0u, super, sizeof(*super));
}

__attribute__((unused)) static void frontier_fix(struct media *media, uint64_t frontier)
{
	uint64_t covered[2] = { media_key(media), frontier };
	uint64_t *word = media_at(media, SHELF_FRONTIER_OFFSET);

	*word = frontier | (uint64_t)crc_more(~0u, covered, sizeof(covered)) << FRONTIER_BITS;
}

__attribute__((unused)) static void ceiling_fix(struct media *media, uint64_t blocks)
{
	uint64_t covered[3] = { media_key(media), SHELF_CEILING_OFFSET, blocks };
	uint64_t *word = media_at(media, SHELF_CEILING_OFFSET);

	*word = blocks | (uint64_t)crc_more(~0u, covered, sizeof(covered)) << CEILING_BITS;
}

/* Mark and checksum of a record of a shelf with this key. What lies outside counts as zero. */
__attribute__((unused)) static void record_fix_for(struct media *media, uint64_t key, uint64_t at)
{
	struct record *r = media_at(media, at);
	uint64_t value, words[4];
	uint32_t what, value_crc = 0, crc;
	size_t tail = r->name_bytes + 8u * r->typed;

	if (r->align_shift > 40)
		return;
	mark_fix(key, at, r);
	value = media_value_offset(at, r);
	if (r->kind != RECORD_OBJECT || r->state == RECORD_PENDING || r->state == RECORD_MEMBER) {
		void *from = media_at(media, value), *to = media_at(media, value + r->value_bytes);

		value_crc = from && to ? crc_more(~0u, from, r->value_bytes) : 0;
	}
	words[0] = key;
	words[1] = at;
	words[2] = (uint64_t)r->seq | (uint64_t)r->align_shift << 56;
	words[3] = (uint64_t)r->value_bytes | (uint64_t)r->typed << 63;
	what = (uint32_t)r->state | (uint32_t)r->kind << 8 | (uint32_t)r->name_bytes << 16;
	crc = crc_more(~0u, words, sizeof(words));
	crc = crc_more(crc, &what, sizeof(what));
	crc = crc_more(crc, &value_crc, sizeof(value_crc));
	if (media_at(media, value + r->value_bytes) &&
	    media_at(media, value + r->value_bytes + tail))
		crc = crc_more(crc, media_at(media, value + r->value_bytes), tail);
	r->check = crc;
}

__attribute__((unused)) static void record_fix(struct media *media, uint64_t at)
{
	record_fix_for(media, media_key(media), at);
}

__attribute__((unused)) static void bucket_fix(struct media *media, uint64_t at)
{
	struct bucket *bucket = media_at(media, at);
	uint64_t next = bucket->head & ((1ull << 40) - 1);
	uint64_t covered[3 + BUCKET_ENTRIES] = { media_key(media), at, next };
	uint32_t crc;

	memcpy(covered + 3, bucket->entry, sizeof(bucket->entry));
	crc = crc_more(~0u, covered, sizeof(covered));
	bucket->head = next | (uint64_t)BUCKET_SEALED << 40 |
		       (uint64_t)((crc ^ crc >> 16) & 0xffff) << 48;
}

__attribute__((unused)) static void chunk_fix(struct media *media, uint64_t number)
{
	struct chunk *chunk = media_chunk(media, number);
	uint64_t covered[3] = { media_key(media), number,
				(uint64_t)chunk->free | (uint64_t)chunk->hint << 16 };

	chunk->sealed = CHUNK_SEALED;
	chunk->crc = crc_more(crc_more(~0u, covered, sizeof(covered)), chunk->used,
			      sizeof(chunk->used));
}

#endif
