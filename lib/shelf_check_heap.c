// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Checking the heap: what is claimed against the chunk maps, and what is not claimed for records
 * that recovery would find.
 */
#include <inttypes.h>
#include <string.h>

#include "bits.h"
#include "shelf_check.h"
#include "shelf_record.h"
#include "shelf_seq.h"

/* Runs of granules in which @claimed and @used differ in the same way. */
static void compare_map(struct check *check, uint64_t number, const struct chunk *chunk)
{
	const uint64_t *claimed = check->claimed + number * (SHELF_CHUNK_GRANULES / 64);

	for (unsigned int i = 0, next; i < SHELF_CHUNK_GRANULES; i = next) {
		bool used = check_bit(chunk->used, i), wanted = check_bit(claimed, i);

		for (next = i + 1; next < SHELF_CHUNK_GRANULES; next++)
			if (check_bit(chunk->used, next) != used ||
			    check_bit(claimed, next) != wanted)
				break;
		if (used != wanted)
			check_found(check, "heap",
				    check_offset(check, number * SHELF_CHUNK_GRANULES + i), NULL,
				    used ? "%u bytes are marked as used, and nothing leads to them"
					 : "%u bytes are in use and marked as free",
				    (next - i) << SHELF_GRANULE_SHIFT);
	}
}

void check_chunk(struct check *check, uint64_t number)
{
	const struct chunk *chunk = &check->shelf->chunks[number];
	uint64_t where = shelf_offset(check->shelf, chunk);
	unsigned int used = 0;

	if (!chunk_usable(check->shelf, number)) {
		check_found(check, "heap", where, NULL,
			    "the checksum of chunk %" PRIu64 " does not hold", number);
		return;
	}
	for (unsigned int i = 0; i < SHELF_CHUNK_GRANULES / 64; i++)
		used += bits_count(chunk->used[i]);
	if (chunk->free != SHELF_CHUNK_GRANULES - used)
		check_found(check, "heap", where, NULL,
			    "chunk %" PRIu64 " counts %u free granules and has %u", number,
			    chunk->free, SHELF_CHUNK_GRANULES - used);
	if (chunk->lock)
		check_found(check, "heap", where, NULL, "chunk %" PRIu64 " is locked", number);
	if (chunk->hint >= SHELF_CHUNK_GRANULES)
		check_found(check, "heap", where, NULL,
			    "the hint of chunk %" PRIu64 " lies outside of it", number);
	compare_map(check, number, chunk);
}

void check_scan(struct check *check)
{
	struct hmem_shelf *shelf = check->shelf;
	uint64_t next = 1u << 18;

	/* A header takes two granules. */
	for (uint64_t i = 0; i + 1 < check->granules && !check->stopped && !check->made_up;) {
		uint64_t at = check_offset(check, i);
		struct record header;

		if (check_bit(check->live, i)) {
			header = record_load(shelf, at);
			i += record_fits(shelf, at, &header) ? record_granules(at, &header) : 1;
			continue;
		}
		if (i++ >= next) {
			check_tell(check, 2, i, check->granules);
			next = i + (1u << 18);
		}
		switch (check_judge(check, at, &header)) {
		case VERDICT_NONE:
		case VERDICT_TORN:
			break;
		case VERDICT_DAMAGED:
			check_found(check, "record", at,
				    record_fits(shelf, at, &header) ? check_name(check, at, &header)
								    : NULL,
				    "its checksum does not hold");
			break;
		case VERDICT_GOOD:
			check_found(
				check, "record", at, check_name(check, at, &header),
				header.state == RECORD_TOMB
					? "a tombstone is left"
					: "recovery would find it, and the index does not lead to it");
			i += record_granules(at, &header) - 1;
			break;
		}
	}
}

void check_frontier(struct check *check)
{
	struct hmem_shelf *shelf = check->shelf;
	uint64_t chunks = shelf->runtime->heap_chunks;
	uint64_t reach = heap_durable_frontier(shelf, chunks) << SHELF_CHUNK_SHIFT;

	if (!heap_frontier_good(shelf))
		check_found(check, "frontier", SHELF_FRONTIER_OFFSET, NULL,
			    "its checksum does not hold");
	if (check->end > shelf->heap_offset + reach)
		check_found(check, "frontier", SHELF_FRONTIER_OFFSET, NULL,
			    "records up to %#" PRIx64 " lie behind it, at %#" PRIx64, check->end,
			    shelf->heap_offset + reach);
}

void check_ceiling(struct check *check)
{
	if (!seq_ceiling_good(check->shelf))
		check_found(check, "ceiling", SHELF_CEILING_OFFSET, NULL,
			    "its checksum does not hold");
}
