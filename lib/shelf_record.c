// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Records: how they certify themselves, and what can be said of one that does not.
 *
 * The checksum is CRC32C over, in this order: the shelf's key, the record's offset, the
 * header from its second word on, state, kind and name_bytes, all without the mark, what
 * follows the value (name and offset of the descriptor), and, where the state or the kind
 * covers it, the value's own CRC32C.
 */
#include <string.h>

#include "crc32c.h"
#include "shelf.h"
#include "shelf_record.h"

/* The value of an object is its owner's to change once it is sealed; that of others never is. */
static bool covers_value(unsigned int state, unsigned int kind)
{
	return kind != RECORD_OBJECT || state == RECORD_PENDING || state == RECORD_MEMBER;
}

bool record_fits(const struct hmem_shelf *shelf, uint64_t at, const struct record *header)
{
	if (header->align_shift < SHELF_GRANULE_SHIFT ||
	    header->align_shift > SHELF_ALIGN_MAX_SHIFT)
		return false;
	if (at < shelf->heap_offset || at & (SHELF_GRANULE - 1))
		return false;
	/* A sum of bit-fields is as narrow as they are. */
	return shelf_reach_bytes(shelf, record_value_offset(at, header->align_shift),
				 (uint64_t)header->value_bytes + header->name_bytes +
					 8u * header->typed);
}

uint32_t record_value_crc(const struct hmem_shelf *shelf, uint64_t at,
			  const struct record *header)
{
	return hmem_crc32c(VALUE_CRC_BEGIN,
			   shelf_at(shelf, record_value_offset(at, header->align_shift)),
			   header->value_bytes);
}

uint64_t record_word_with(const struct hmem_shelf *shelf, uint64_t at, const struct record *header,
			  enum record_state state, uint32_t value_crc, const void *tail)
{
	struct {
		uint64_t key;
		uint64_t at;
		uint64_t seq_align;
		uint64_t lengths;
		uint32_t what;
		uint32_t value_crc;
	} covered;
	union record_word word = {
		.state = (uint8_t)state,
		.kind = header->kind,
		.name_bytes = header->name_bytes,
		.mark_low = header->mark_low,
	};
	bool with_value = covers_value(state, header->kind);

	covered.key = shelf->key;
	covered.at = at;
	covered.seq_align = (uint64_t)header->seq | (uint64_t)header->align_shift << 56;
	covered.lengths = (uint64_t)header->value_bytes | (uint64_t)header->typed << 63;
	covered.what = (uint32_t)state | (uint32_t)header->kind << 8 |
		       (uint32_t)header->name_bytes << 16;
	covered.value_crc = with_value ? value_crc : 0;
	word.check = hmem_crc32c(~0u, &covered, sizeof(covered));
	word.check = hmem_crc32c(word.check, tail, header->name_bytes + 8u * header->typed);
	return word.word;
}

uint64_t record_word(const struct hmem_shelf *shelf, uint64_t at, const struct record *header,
		     enum record_state state, uint32_t value_crc)
{
	return record_word_with(shelf, at, header, state, value_crc,
				shelf_at(shelf, record_value_offset(at, header->align_shift) +
							header->value_bytes));
}

/* From so many bytes on, storing past the caches is faster than flushing what was stored. */
#define STREAM_BYTES 1024u
/* After so many those who wait for the name see that we go on. */
#define PART_BYTES ((size_t)16 << 20)

static void goes_on(struct writer *writer, size_t bytes)
{
	if (bytes > PART_BYTES)
		STORE(&writer->slot->progress, writer->slot->progress + 1);
}

/* All but less than a line. */
static size_t stream_value(struct writer *writer, uint32_t *crc, unsigned char *to,
			   const unsigned char *from, size_t bytes)
{
	size_t done = 0, part, there;

	do {
		part = bytes - done < PART_BYTES ? bytes - done : PART_BYTES;
		there = hmem_crc32c_stream(crc, to + done, from + done, part);
		persist_streamed(&writer->persist, to + done, there);
		done += there;
		goes_on(writer, bytes);
	} while (there == PART_BYTES);
	return done;
}

uint32_t record_store_value(struct writer *writer, uint64_t value, const void *data, size_t bytes,
			    uint64_t *written)
{
	unsigned char *to = shelf_at(writer->shelf, value);
	const unsigned char *from = data;
	uint32_t crc = VALUE_CRC_BEGIN;
	size_t line = writer->persist.flush->line, lead = -(uintptr_t)to & (line - 1), done = 0;

	*written = value;
	/* Of no bytes there need not be an address. */
	if (!bytes)
		return crc;
	if (bytes >= STREAM_BYTES && writer->persist.kind == PERSIST_CPU) {
		crc = hmem_crc32c_copy(crc, to, from, lead);
		done = lead + stream_value(writer, &crc, to + lead, from + lead, bytes - lead);
	}
	*written = value + done;
	for (; bytes - done > PART_BYTES; done += PART_BYTES) {
		crc = hmem_crc32c_copy(crc, to + done, from + done, PART_BYTES);
		goes_on(writer, bytes);
	}
	return hmem_crc32c_copy(crc, to + done, from + done, bytes - done);
}

void record_write_back(struct writer *writer, uint64_t at, uint64_t value, uint64_t written,
		       uint64_t end)
{
	uint64_t line = writer->persist.flush->line;

	/* Where the value began between two lines, up to the second of them. */
	if (written - value > line) {
		write_back(writer, shelf_at(writer->shelf, at), value + line - at);
		at = written;
	}
	write_back(writer, shelf_at(writer->shelf, at), end - at);
}

/*
 * What lay here before may be anything, and look like a record but for the mark. Of the stores
 * to a cache line any number may be on the media when power is lost: where the second part of
 * the mark is, the first word is zero or the record's own, with the first part.
 */
void record_lay(const struct hmem_shelf *shelf, uint64_t at, const struct record *header,
		uint64_t word)
{
	uint64_t *words = shelf_at(shelf, at);

	STORE(&words[0], 0);
	memcpy(&words[1], (const char *)header + sizeof(word), sizeof(*header) - sizeof(word));
	STORE(&words[0], word);
}

static bool is_state(unsigned int state)
{
	return state == RECORD_PENDING || state == RECORD_BORN || state == RECORD_SEALED ||
	       state == RECORD_TOMB || state == RECORD_MEMBER || state == RECORD_BODY;
}

/* What only a durable record becomes, so that it cannot have been torn. */
static bool is_lasting(unsigned int state)
{
	return state == RECORD_SEALED || state == RECORD_TOMB || state == RECORD_BODY;
}

static bool name_fits_kind(const struct record *header)
{
	switch (header->kind) {
	case RECORD_OBJECT:
	case RECORD_ALIAS:
		return header->name_bytes;
	case RECORD_TYPE:
		return header->name_bytes >= 2 && header->name_bytes <= 1 + SHELF_TYPE_MAX;
	case RECORD_COMMIT:
	case RECORD_UNDO:
		return !header->name_bytes;
	default:
		return false;
	}
}

/* Nobody has made as many updates: at a million a second that takes nine years. */
#define SEQ_PLAUSIBLE_BITS 48u

/*
 * What fails its checksum: a torn write, noise, or a record that was damaged? All of memory that is
 * free is judged, what objects held that are gone may be random bytes, as all is that was
 * compressed or encrypted, and of 2^29 granules of those one bears the mark of its place. So to
 * have been a record takes the mark, and that two of the header's first three words are by
 * themselves as in a record that was durable. Damage inside of any one word, whatever it is,
 * leaves two that are.
 *
 * Of random ones word 0 is plausible in one of 2^9.2 cases, word 1 in one of 2^44 by the bytes
 * from here to the heap's end, and word 2 in one of 2^11.8. With the mark that makes one granule
 * of noise in 2^49 in a heap of 8 GiB, in 2^46 in 100 GiB, in 2^43 in 1 TiB, and in 2^40 in 8 TiB,
 * the most that there can be. If all of the heap is noise, one of it is called damaged with a
 * chance of one in a million, in 13,000, in 130, and of two in five.
 */
static enum verdict judge_bad(const struct hmem_shelf *shelf, uint64_t at,
			      const struct record *header)
{
	unsigned int plausible;

	if (record_mark_in(header) != record_mark(shelf, at))
		return VERDICT_NONE;
	if (is_state(header->state) && !is_lasting(header->state))
		return VERDICT_TORN;
	plausible = is_lasting(header->state) && name_fits_kind(header);
	plausible += shelf_reach_bytes(shelf, at, sizeof(*header) + (uint64_t)header->value_bytes);
	plausible += header->align_shift >= SHELF_GRANULE_SHIFT &&
		     header->align_shift <= SHELF_ALIGN_MAX_SHIFT &&
		     !(header->seq >> SEQ_PLAUSIBLE_BITS);
	return plausible < 2 ? VERDICT_NONE : VERDICT_DAMAGED;
}

bool record_read_too_much(const struct hmem_shelf *shelf, uint64_t read)
{
	return read / 4 > atomic_load_explicit(&shelf->heap_mapped, memory_order_relaxed);
}

enum verdict record_judge(const struct hmem_shelf *shelf, uint64_t at, struct record *header,
			  uint64_t *read)
{
	union record_word word;
	uint32_t value_crc = 0;

	/* The last granule has no room for one. */
	if (!shelf_holds(shelf, at, sizeof(*header))) {
		*header = (struct record){ 0 };
		return VERDICT_NONE;
	}
	record_read(shelf, at, header);
	/* Cheap before dear: of noise, the mark lets one in some ten millions pass. */
	if (header->state == RECORD_FREE || !record_near_mark(shelf, at, header))
		return VERDICT_NONE;
	if (!is_state(header->state) || header->kind < RECORD_OBJECT ||
	    header->kind > RECORD_UNDO || !record_fits(shelf, at, header))
		return judge_bad(shelf, at, header);
	*read += header->name_bytes;
	if (covers_value(header->state, header->kind)) {
		*read += header->value_bytes;
		value_crc = record_value_crc(shelf, at, header);
	}
	word.word = record_word(shelf, at, header, header->state, value_crc);
	if (word.check != header->check)
		return judge_bad(shelf, at, header);
	return VERDICT_GOOD;
}

bool record_move(struct hmem_shelf *shelf, uint64_t at, uint64_t *from, enum record_state state)
{
	struct record header;
	uint32_t value_crc = 0;
	uint64_t to;

	if (!shelf_reach_block(shelf, at))
		return true;
	header = record_load(shelf, at);
	to = record_erased_word(header.name_bytes);
	/* Whoever looked at it before looked at another copy: it is no record any more. */
	if (!record_fits(shelf, at, &header))
		return true;
	if (state != RECORD_FREE) {
		if (covers_value(state, header.kind))
			value_crc = record_value_crc(shelf, at, &header);
		to = record_word(shelf, at, &header, state, value_crc);
	}
	return __atomic_compare_exchange_n((uint64_t *)shelf_at(shelf, at), from, to, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/*
 * Its memory will hold other things, which may end inside the first word and leave the
 * rest of the header: nobody is to take that for a record that was damaged.
 */
bool record_unmake(struct hmem_shelf *shelf, uint64_t at)
{
	uint64_t *words, word, erased;
	union record_word first;
	struct record header;

	if (!shelf_reach_block(shelf, at))
		return false;
	words = shelf_at(shelf, at);
	header = record_load(shelf, at);
	record_set_mark(&header, ~record_mark(shelf, at));
	memcpy(&word, (const char *)&header + sizeof(word), sizeof(word));
	STORE(&words[1], word);
	first.word = LOAD(&words[0]);
	erased = record_erased_word(first.name_bytes);
	/* Then it is nobody else's to change; and there is no need to wait until the fence is over. */
	if (first.state == RECORD_SEALED || first.state == RECORD_TOMB)
		STORE(&words[0], erased);
	/* Its last writer may just be sealing it. */
	while (first.word != erased && LOAD(&words[0]) != erased)
		__atomic_compare_exchange_n(&words[0], &first.word, erased, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	return true;
}

void record_erase(struct writer *writer, uint64_t at)
{
	if (record_unmake(writer->shelf, at))
		write_back(writer, shelf_at(writer->shelf, at), SHELF_GRANULE);
}
