// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Checking what writers hold: retired blocks, blocks that are being filled, transactions, pins
 * and locks.
 */
#include <inttypes.h>
#include <string.h>

#include "shelf_check.h"
#include "shelf_record.h"

/* A block that was a record, and must not be one any more. */
static bool check_retired(struct check *check, const char *part, uint64_t at)
{
	struct hmem_shelf *shelf = check->shelf;
	struct record header;

	if (!shelf_reach(shelf, at) || at & (SHELF_GRANULE - 1)) {
		check_found(check, part, at, NULL, "a retired block lies outside of the heap");
		return false;
	}
	memcpy(&header, shelf_at(shelf, at), sizeof(header));
	if (header.state != RECORD_FREE)
		check_found(check, part, at, NULL, "a retired block is not erased");
	if (!record_fits(shelf, at, &header)) {
		check_found(check, part, at, NULL,
			    "a retired block's lengths lead out of the heap");
		return false;
	}
	if (!check_claim(check, part, at, record_granules(at, &header), NULL, "a retired block"))
		return false;
	check_set_bit(check->blocks, check_granule(check, at));
	return true;
}

static void check_ring(struct check *check, unsigned int id)
{
	const struct slot *slot = shelf_slot(check->shelf, id);
	uint64_t where = shelf_offset(check->shelf, slot);

	if (slot->ring_fenced - slot->ring_tail > SLOT_RING ||
	    slot->ring_erased - slot->ring_tail > SLOT_RING ||
	    slot->ring_head - slot->ring_tail > SLOT_RING ||
	    slot->ring_fenced > slot->ring_erased || slot->ring_erased > slot->ring_head) {
		check_found(check, "slot", where, NULL, "the ring of slot %u is out of order", id);
		return;
	}
	if (slot->ring_erased != slot->ring_head)
		check_found(check, "slot", where, NULL, "slot %u has retired blocks to erase", id);
	for (uint64_t i = slot->ring_tail; i != slot->ring_head; i++)
		check_retired(check, "slot", slot->ring[i % SLOT_RING]);
}

static void check_reservations(struct check *check, unsigned int id)
{
	struct hmem_shelf *shelf = check->shelf;
	uint64_t at = shelf_slot(shelf, id)->reserved_head;
	struct record header;

	for (; at; at = header.link) {
		if (!reservation_good(shelf, at, &header)) {
			check_found(
				check, "slot", at, NULL,
				"slot %u: the header of a block that is being filled is damaged",
				id);
			break;
		}
		if (!check_claim(check, "slot", at, record_granules(at, &header), NULL,
				 "a block that is being filled"))
			break;
	}
}

/* A record of a transaction that is not over: recovery would go by it. */
static void check_needed(struct check *check, uint64_t at, unsigned int kind)
{
	struct hmem_shelf *shelf = check->shelf;
	struct record header;

	if (!shelf_reach(shelf, at) || at & (SHELF_GRANULE - 1) ||
	    check_judge(check, at, &header) != VERDICT_GOOD || header.kind != kind) {
		check_found(check, "slot", at, NULL, "a transaction's record is none");
		return;
	}
	if (check_claim(check, "slot", at, record_granules(at, &header), NULL,
			"a transaction's record"))
		check_set_bit(check->live, check_granule(check, at));
}

static bool is_erased(const struct hmem_shelf *shelf, uint64_t at)
{
	return shelf_reach(shelf, at) && !(at & (SHELF_GRANULE - 1)) &&
	       record_load(shelf, at).state == RECORD_FREE;
}

/* What a transaction has taken, or has replaced. */
static void check_tx(struct check *check, uint64_t at)
{
	struct hmem_shelf *shelf = check->shelf;

	while (at) {
		const struct tx_block *block;

		if (!slot_block_sane(shelf, at) || !shelf_reach_bytes(shelf, at, sizeof(*block))) {
			check_found(check, "slot", at, NULL,
				    "a transaction's list lies outside of the shelf");
			return;
		}
		if (!check_claim(check, "slot", at, TX_BLOCK_GRANULES, NULL,
				 "a transaction's list"))
			return;
		block = shelf_at(shelf, at);
		for (unsigned int i = 0; i < TX_ENTRIES; i++) {
			const struct tx_entry *e = &block->entry[i];

			if (e->lock)
				check_found(check, "slot", at, NULL,
					    "a transaction holds the lock at %#" PRIx64, e->lock);
			if (block->fences && e->old)
				check_retired(check, "slot", e->old);
			else if (!block->fences && e->undo)
				check_needed(check, e->at, RECORD_UNDO);
			else if (!block->fences && e->at)
				check_claim(check, "slot", e->at, e->granules, NULL,
					    "what is to be put");
		}
		/* Whoever came after it may have erased it before its writer does. */
		if (block->commit && is_erased(shelf, block->commit))
			check_retired(check, "slot", block->commit);
		else if (block->commit)
			check_needed(check, block->commit, RECORD_COMMIT);
		at = block->link;
	}
}

/* What a call could not give back, as somebody held a lock for too long: the next ones try again. */
static void check_pending(struct check *check, unsigned int id)
{
	struct hmem_shelf *shelf = check->shelf;
	const struct slot *slot = shelf_slot(shelf, id);
	struct record header;

	if (slot->freeing && slot->freeing_end <= slot->freeing)
		check_found(check, "slot", slot->freeing, NULL,
			    "what slot %u is giving back ends before it begins", id);
	else if (slot->freeing)
		check_claim(check, "slot", slot->freeing,
			    (slot->freeing_end - slot->freeing) >> SHELF_GRANULE_SHIFT, NULL,
			    "what is being given back");
	if (slot->fresh && slot->fresh_granules)
		check_claim(check, "slot", slot->fresh, slot->fresh_granules, NULL,
			    "what was taken and is to be given back");
	check_taken_out(check, slot->ordered_free);
	if (!slot->publishing)
		return;
	if (!reservation_good(shelf, slot->publishing, &header))
		check_found(check, "slot", slot->publishing, NULL,
			    "slot %u: the header of a block that was to be published is damaged", id);
	else
		check_claim(check, "slot", slot->publishing,
			    record_granules(slot->publishing, &header), NULL,
			    "a block that was to be published");
}

void check_slot(struct check *check, unsigned int id)
{
	struct hmem_shelf *shelf = check->shelf;
	const struct slot *slot = shelf_slot(shelf, id);
	uint64_t where = shelf_offset(shelf, slot);

	if (slot->forward || slot->deleting || slot->ordered || slot->tx_forward)
		check_found(check, "slot", where, NULL, "slot %u is in the middle of an update",
			    id);
	for (unsigned int i = 0; i < SLOT_LOCKS; i++)
		if (slot->locks[i])
			check_found(check, "slot", where, NULL,
				    "slot %u holds the lock at %#" PRIx64, id, slot->locks[i]);
	if (slot->ring_lock || slot->tx_lock)
		check_found(check, "slot", where, NULL, "a list of slot %u is locked", id);
	check_pending(check, id);
	check_ring(check, id);
	check_reservations(check, id);
	check_tx(check, slot->tx);
	check_tx(check, slot->tx_done);
	check_tx(check, slot->tx_spare);
	if (slot->used)
		return;
	if (slot->tx || slot->tx_done || slot->tx_spare || slot->ring_tail != slot->ring_head || slot->unsealed ||
	    slot->reserved_head || slot->types[0])
		check_found(check, "slot", where, NULL, "slot %u is free and holds blocks", id);
}

void check_references(struct check *check, unsigned int id)
{
	const struct slot *slot = shelf_slot(check->shelf, id);
	uint64_t where = shelf_offset(check->shelf, slot);

	for (unsigned int i = 0; i <= SLOT_PINS; i++) {
		uint64_t at = i < SLOT_PINS ? slot->pins[i] : slot->unsealed;

		if (!at || (i < SLOT_PINS && at == PIN_EVERYTHING))
			continue;
		if (at < check->shelf->heap_offset || at & (SHELF_GRANULE - 1) ||
		    check_granule(check, at) >= check->granules ||
		    !check_bit(check->blocks, check_granule(check, at)))
			check_found(check, "slot", where, NULL,
				    "slot %u %s what is no record, at %#" PRIx64, id,
				    i < SLOT_PINS ? "pins" : "has yet to seal", at);
		if (i < SLOT_PINS && i >= slot->pin_top)
			check_found(check, "slot", where, NULL,
				    "slot %u has a pin that is not counted", id);
	}
}

void check_limbo(struct check *check)
{
	uint64_t at = check->shelf->runtime->limbo;

	while (at && check_retired(check, "limbo", at))
		at = ((const struct record *)shelf_at(check->shelf, at))->link;
}

void check_locks(struct check *check)
{
	const struct runtime *rt = check->shelf->runtime;
	const struct {
		uint64_t value;
		const char *what;
	} words[] = {
		{ rt->run_lock, "the lock for large blocks is held" },
		{ rt->split_lock, "the lock for splits is held" },
		{ rt->limbo_lock, "the lock of the retired blocks is held" },
		{ rt->ordered_lock, "the lock of the order is held" },
		{ rt->halt_lock, "updates are halted" },
		{ rt->read_lock, "transactions are kept from writing" },
		{ rt->split, "a bucket is being split" },
		{ rt->failed, "it takes no updates any more" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].value)
			check_found(check, "slot", SHELF_RUNTIME_OFFSET, NULL, "%s", words[i].what);
}
