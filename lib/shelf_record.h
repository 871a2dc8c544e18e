/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records: their headers as they are read, marked, judged, laid and erased.
 */
#ifndef LIB_SHELF_RECORD_H
#define LIB_SHELF_RECORD_H

#include "shelf.h"

union record_word {
	uint64_t word;
	struct {
		uint32_t check;
		uint32_t state : 8;
		uint32_t kind : 4;
		uint32_t name_bytes : 10;
		uint32_t mark_low : RECORD_MARK_LOW_BITS;
	};
};

/* The first word of what was a record: its length is still needed. */
static inline uint64_t record_erased_word(unsigned int name_bytes)
{
	return (uint64_t)name_bytes << 44;
}

/* Is it the first word of nothing, or of what was a record? */
static inline bool record_word_is_none(uint64_t word)
{
	return !(word << 24);
}

/* The mark of a record that lies at @at. */
static inline uint32_t record_mark(const struct hmem_shelf *shelf, uint64_t at)
{
	const uint32_t text = 1u << 1 | 1u << 9 | 1u << 13 | 1u << 21;
	uint32_t mark = (uint32_t)((shelf->key ^ at) * 0x9e3779b97f4a7c15ull >>
				   (64 - RECORD_MARK_BITS));
	uint32_t set = mark & text;

	/*
	 * What lies there when it is no header is mostly zeroes or text, in which the highest bits of
	 * bytes are not set: no mark is like that, nor becomes so when one of its bits is wrong.
	 */
	return set & (set - 1) ? mark : mark ^ text;
}

static inline uint32_t record_mark_in(const struct record *header)
{
	return header->mark_low | (uint32_t)header->mark_high << RECORD_MARK_LOW_BITS;
}

static inline void record_set_mark(struct record *header, uint32_t mark)
{
	header->mark_low = mark & ((1u << RECORD_MARK_LOW_BITS) - 1);
	header->mark_high = mark >> RECORD_MARK_LOW_BITS &
			    ((1u << (RECORD_MARK_BITS - RECORD_MARK_LOW_BITS)) - 1);
}

/* Can there be a record, all but one bit of whose mark is right? */
static inline bool record_near_mark(const struct hmem_shelf *shelf, uint64_t at,
				    const struct record *header)
{
	uint32_t wrong = record_mark_in(header) ^ record_mark(shelf, at);

	return !(wrong & (wrong - 1));
}

static inline uint64_t record_value_offset(uint64_t at, unsigned int align_shift)
{
	uint64_t align = 1ull << align_shift;

	return (at + sizeof(struct record) + align - 1) & ~(align - 1);
}

static inline uint64_t record_end(uint64_t at, const struct record *r)
{
	return record_value_offset(at, r->align_shift) + r->value_bytes + r->name_bytes +
	       (r->typed ? sizeof(uint64_t) : 0);
}

static inline uint64_t record_granules(uint64_t at, const struct record *r)
{
	return (record_end(at, r) - at + SHELF_GRANULE - 1) >> SHELF_GRANULE_SHIFT;
}

/* A header as it is in memory, where its first word may change at any time. */
static inline void record_read(const struct hmem_shelf *shelf, uint64_t at, struct record *header)
{
	const uint64_t *from = shelf_at(shelf, at);
	uint64_t word;

	/* Word by word to where it stays: a copy of the whole would wait for these stores. */
#pragma GCC unroll 4
	for (unsigned int i = 0; i < sizeof(*header) / sizeof(word); i++) {
		word = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
		memcpy((char *)header + i * sizeof(word), &word, sizeof(word));
	}
}

static inline struct record record_load(const struct hmem_shelf *shelf, uint64_t at)
{
	struct record header;

	record_read(shelf, at, &header);
	return header;
}

/* Do the header's lengths stay inside the shelf? Of garbage they need not. */
bool record_fits(const struct hmem_shelf *shelf, uint64_t at, const struct record *header);

/* The first word for @state of the record whose header is @header (and value, if covered). */
uint64_t record_word(const struct hmem_shelf *shelf, uint64_t at, const struct record *header,
		     enum record_state state, uint32_t value_crc);
/* The same, where what follows the value is also at @tail: what was just stored is slow to read. */
uint64_t record_word_with(const struct hmem_shelf *shelf, uint64_t at, const struct record *header,
			  enum record_state state, uint32_t value_crc, const void *tail);

/*
 * Store a value, at @value, of a record that begins before it. Up to @written it is durable with
 * the next fence already. Its CRC32C.
 */
uint32_t record_store_value(struct writer *writer, uint64_t value, const void *data, size_t bytes,
			    uint64_t *written);
/* Write back the rest of a record from @at to @end. */
void record_write_back(struct writer *writer, uint64_t at, uint64_t value, uint64_t written,
		       uint64_t end);

/* Store a header whose first word is @word; what that covers is there. */
void record_lay(const struct hmem_shelf *shelf, uint64_t at, const struct record *header,
		uint64_t word);

/* As hmem_crc32c(), of a record's value as it is in memory. */
uint32_t record_value_crc(const struct hmem_shelf *shelf, uint64_t at,
			  const struct record *header);
#define VALUE_CRC_BEGIN (~0u)

enum verdict {
	VERDICT_NONE,		/* no record */
	VERDICT_GOOD,
	VERDICT_TORN,		/* written when power was lost, never acknowledged */
	VERDICT_DAMAGED,	/* was one, and should be */
};

/* Judge what is at @at. @header: a copy of it. @read: is raised by the bytes that took reading. */
enum verdict record_judge(const struct hmem_shelf *shelf, uint64_t at, struct record *header,
			  uint64_t *read);
/*
 * Is it more than there can be to read on a shelf? What is there is read once, and records that
 * were torn neither lie on one another nor on what is there; what is left is for noise.
 */
bool record_read_too_much(const struct hmem_shelf *shelf, uint64_t read);

/* Replace the first word, if it is still @from. */
bool record_move(struct hmem_shelf *shelf, uint64_t at, uint64_t *from, enum record_state state);

/*
 * It is a record no more, durable with the next fence. What it says of its length stays. An offset
 * that is none of a block's is passed over.
 */
void record_erase(struct writer *writer, uint64_t at);
/* The same, to be written back by the caller: its first granule. False: it was passed over. */
bool record_unmake(struct hmem_shelf *shelf, uint64_t at);

#endif
