// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sequence numbers, none of which is ever given out twice.
 *
 * What was deleted leaves nothing on the media that tells its number, but a handle of it may
 * be kept anywhere, and must not lead to what gets its place and its name when power has
 * gone. So the media have a *ceiling*, above all numbers that were ever given out, and recovery goes
 * on from there. It is counted in blocks of numbers, and raised and made durable before it is
 * reached: once in as many updates as a block has numbers, and after each recovery.
 */
#include <errno.h>

#include "crc32c.h"
#include "shelf.h"
#include "shelf_seq.h"

/* Also the offset, so that no other word is taken for it. */
static uint64_t ceiling_word(const struct hmem_shelf *shelf, uint64_t blocks)
{
	uint64_t covered[3] = { shelf->key, SHELF_CEILING_OFFSET, blocks };

	return blocks | (uint64_t)hmem_crc32c(~0u, covered, sizeof(covered)) << CEILING_BITS;
}

/* 0: nobody knows. */
static uint64_t blocks_of(const struct hmem_shelf *shelf, uint64_t word)
{
	uint64_t blocks = word & CEILING_MAX;

	return ceiling_word(shelf, blocks) == word ? blocks : 0;
}

static uint64_t *ceiling_of(const struct hmem_shelf *shelf)
{
	return shelf_at(shelf, SHELF_CEILING_OFFSET);
}

/* With a ceiling of so many the number after @seq can be given out. */
static uint64_t blocks_for(uint64_t seq)
{
	uint64_t last = (1ull << SEQ_BLOCK_SHIFT) - 1;

	return (seq >> SEQ_BLOCK_SHIFT) + 1 + ((seq & last) == last);
}

bool seq_ceiling_good(const struct hmem_shelf *shelf)
{
	uint64_t word = LOAD(ceiling_of(shelf));

	return !word || blocks_of(shelf, word);
}

/* What it is then: others raise it as well. Durable with the writer's next fence. */
static uint64_t raise_ceiling(struct writer *writer, uint64_t blocks)
{
	const struct hmem_shelf *shelf = writer->shelf;
	uint64_t *word = ceiling_of(shelf), was = LOAD(word), there;

	for (;;) {
		there = blocks_of(shelf, was);
		if (there >= blocks)
			break;
		if (__atomic_compare_exchange_n(word, &was, ceiling_word(shelf, blocks), false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			there = blocks;
			break;
		}
	}
	/* Also what another has stored: he may have died before his fence. */
	write_back(writer, word, sizeof(*word));
	return there;
}

static int cover_number(struct writer *writer, uint64_t seq)
{
	const struct hmem_shelf *shelf = writer->shelf;
	uint32_t *durable = &shelf->runtime->seq_blocks, was = LOAD(durable);
	uint64_t blocks = blocks_for(seq);
	int err;

	if (__builtin_expect(blocks <= was, 1))
		return 0;
	if (blocks > CEILING_MAX)
		return shelf_fail(shelf, -EOVERFLOW,
				  "shelf %s has used up its sequence numbers, and takes no more updates; "
				  "export it, and import that as a new one",
				  shelf->name);
	blocks = raise_ceiling(writer, blocks);
	err = fence(writer);
	while (!err && was < blocks &&
	       !__atomic_compare_exchange_n(durable, &was, (uint32_t)blocks, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	return err;
}

int next_seq(struct writer *writer, uint64_t old, uint64_t *seq)
{
	struct slot *slot = writer->slot;
	const struct record *r = shelf_at(writer->shelf, old);
	uint64_t last = slot->seq;
	/* A name that has been deleted has a tombstone, of which only this is known. */
	uint64_t least = old ? r->seq : LOAD(&writer->shelf->runtime->seq_floor);
	int err;

	if (last < least)
		last = least;
	err = cover_number(writer, last);
	if (err)
		return err;
	STORE(&slot->seq, last + 1);
	*seq = last + 1;
	return 0;
}

void raise_floor(struct hmem_shelf *shelf, uint64_t at)
{
	uint64_t seq = ((const struct record *)shelf_at(shelf, at))->seq;
	uint64_t floor = LOAD(&shelf->runtime->seq_floor);

	while (floor < seq &&
	       !__atomic_compare_exchange_n(&shelf->runtime->seq_floor, &floor, seq, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
}

void seq_adopt(const struct hmem_shelf *shelf, struct runtime *runtime)
{
	runtime->seq_blocks = (uint32_t)blocks_of(shelf, LOAD(ceiling_of(shelf)));
}

void seq_recover(struct writer *writer, uint64_t highest)
{
	struct runtime *rt = writer->shelf->runtime;
	uint64_t blocks = blocks_of(writer->shelf, LOAD(ceiling_of(writer->shelf)));
	/* Of a shelf that had none, as one that is new, or a damaged one, something above what is left. */
	uint64_t floor = (blocks << SEQ_BLOCK_SHIFT) - 1;

	if (!blocks)
		floor = highest + (1ull << SEQ_BLOCK_SHIFT);
	if (floor < highest)
		floor = highest;
	blocks = blocks_for(floor);
	/* What can be read is not lost because nothing can be added. */
	if (blocks > CEILING_MAX)
		blocks = CEILING_MAX;
	rt->seq_blocks = (uint32_t)raise_ceiling(writer, blocks);
	rt->seq_floor = floor;
	writer->slot->seq = floor;
}
