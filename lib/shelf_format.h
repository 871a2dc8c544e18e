/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What shelves look like on the media. Little-endian, offsets of 64 bits, version 2.
 *
 * A region that holds shelves begins with its *rack*: two copies of a table that says
 * which units of the region belong to which shelf. A shelf is a sparse space of
 * *shelf offsets*: what belongs to its metadata lies from offset 0 on, its heap from
 * heap_offset on, and both grow by getting more units.
 *
 * Durable, and all that recovery reads: the rack, the superblock, frontier and ceiling, and the
 * records in the heap. Everything else (runtime, slots, index, chunk maps) is *volatile*: it is memory
 * shared by the processes of one boot, written without flushes, and rebuilt from the
 * records after power loss. Only after a clean close is it read again.
 *
 * A record is a header, the value, the name and, where there is one, a reference to the
 * type descriptor. It certifies itself: its first word holds a checksum over the shelf's
 * key, its own offset, the rest of the header and the name, and, until the record is
 * *sealed*, the value. Nothing but that first word is ever changed in place, in one
 * aligned store of 8 bytes. Recovery finds records by looking at every granule, so
 * that no chain can be broken.
 *
 * The key comes from the shelf's UUID, which everybody is told, and from its secret, which
 * nobody is: so who may choose what objects hold, or keeps another shelf in one, cannot make of
 * the memory of one that was deleted what recovery takes for a record of this shelf.
 *
 * Of two records of one name the one with the higher sequence number counts.
 */
#ifndef LIB_SHELF_FORMAT_H
#define LIB_SHELF_FORMAT_H

#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the format is little-endian, and so must be the host"
#endif

/* In version 1 there was no secret, and a mark of 15 bits. */
#define SHELF_VERSION		2u

/* --- the rack ------------------------------------------------------------------------ */

#define RACK_MAGIC		0x4b434152454d4d48ull	/* "HMMERACK" */
#define RACK_COPIES		2u
#define RACK_COPY_BYTES		(32u << 10)
#define RACK_BYTES		(RACK_COPIES * RACK_COPY_BYTES)
#define RACK_MAX_SHELVES	120u
#define RACK_MAX_RUNS		1100u
#define RACK_NAME_BYTES		64u	/* with the final NUL */
#define RACK_MIN_UNIT_SHIFT	16u

/* Copies are written in turn; the valid one with the higher sequence number counts. */
struct rack_header {
	uint64_t magic;
	uint32_t version;
	uint32_t crc;		/* CRC32C of the copy up to its last run, with this as zero */
	uint64_t seq;
	uint64_t region_units;	/* that the region had when this was written */
	uint32_t unit_shift;
	uint32_t nr_shelves;
	uint32_t nr_runs;
	uint32_t reserved;
	uint8_t uuid[16];
};

struct rack_shelf {
	char name[RACK_NAME_BYTES];
	uint8_t uuid[16];
	uint64_t max_heap;	/* bytes of heap that it may grow to */
	uint64_t secret;	/* random; it is shown nowhere, and leaves the region with nothing */
	uint32_t nr_runs;	/* behind one another, in the order of the shelves */
	uint32_t nr_slots;
};

/* Units of the region at units of the shelf. */
struct rack_run {
	uint32_t at;		/* unit of the shelf's space */
	uint32_t unit;		/* unit of the region; 0 is the rack */
	uint32_t count;
	uint32_t reserved;
};
_Static_assert(sizeof(struct rack_header) + RACK_MAX_SHELVES * sizeof(struct rack_shelf) +
			       RACK_MAX_RUNS * sizeof(struct rack_run) <=
		       RACK_COPY_BYTES,
	       "a full table fits");

/* --- the superblock ------------------------------------------------------------------ */

#define SHELF_MAGIC		0x464c4853454d4d48ull	/* "HMMESHLF" */
#define SUPER_COPIES		2u
#define SUPER_COPY_BYTES	4096u

#define SHELF_ORDERED		(1u << 0)	/* listed in the order of names */

#define SHELF_MAX_SEGMENTS	40u

/* The index and the heap as they were at a clean close. */
struct shelf_summary {
	uint64_t objects;
	uint64_t nr_buckets;
	uint64_t segments[SHELF_MAX_SEGMENTS];
	uint64_t ordered_head;
	uint64_t seq;		/* no record has a higher one */
	uint64_t heap_chunks;
	uint64_t frontier;
};

struct shelf_super {
	uint64_t magic;
	uint32_t version;
	uint32_t crc;		/* CRC32C of this struct with this as zero */
	uint64_t seq;
	uint8_t uuid[16];
	uint32_t flags;		/* SHELF_ORDERED */
	uint32_t clean;		/* 1: closed, the summary counts */
	uint32_t unit_shift;
	uint32_t nr_slots;
	uint64_t heap_offset;
	uint64_t max_heap;
	uint64_t dirty_shutdowns;
	uint8_t boot[16];	/* who has it open: boot, host and lock */
	uint8_t host[16];
	uint64_t lock_device;
	uint64_t lock_inode;
	struct shelf_summary summary;
};

/* --- records ------------------------------------------------------------------------- */

#define SHELF_GRANULE_SHIFT	4u
#define SHELF_GRANULE		(1u << SHELF_GRANULE_SHIFT)
#define SHELF_CHUNK_SHIFT	16u
#define SHELF_CHUNK		(1u << SHELF_CHUNK_SHIFT)
#define SHELF_CHUNK_GRANULES	(SHELF_CHUNK / SHELF_GRANULE)
#define SHELF_ALIGN_MAX_SHIFT	21u
#define SHELF_NAME_MAX		1023u
#define SHELF_TYPE_MAX		256u
#define SHELF_OFFSET_BITS	48u

/*
 * States of a record. Any two differ in at least four bits, so that a damaged one is
 * not taken for another.
 */
enum record_state {
	RECORD_FREE = 0x00,	/* was one: erased */
	RECORD_PENDING = 0x0f,	/* the checksum covers the value; a torn one never was */
	RECORD_BORN = 0x33,	/* does not cover it; a torn one never was */
	RECORD_SEALED = 0x3c,	/* does not cover it; a damaged one is reported */
	RECORD_TOMB = 0x55,	/* the name was deleted */
	RECORD_MEMBER = 0x5a,	/* of a transaction, and counts if that does; covers the value */
	RECORD_BODY = 0x66,	/* the value of another record's name */
};

enum record_kind {
	RECORD_OBJECT = 1,
	RECORD_ALIAS = 2,	/* value: a shelf offset, of the record that holds the value */
	RECORD_TYPE = 3,	/* name: a NUL, and a descriptor; no value */
	RECORD_COMMIT = 4,	/* value: a transaction; no name */
	RECORD_UNDO = 5,	/* value: what ranges held before; no name */
};

#define RECORD_MARK_BITS	29u
#define RECORD_MARK_LOW_BITS	10u

/*
 * The header, at a multiple of the granule. The value begins behind it, at the next
 * multiple of 1 << align_shift (at least a granule) of the shelf offset.
 */
struct record {
	/*
	 * The word that changes in place. The mark, which is in two parts, does not; it says what may
	 * be a record at all, and goes far to tell a damaged one from what never was one. So all of
	 * it lies in one granule, which is in one cache line, with the state and the checksum.
	 */
	uint32_t check;		/* CRC32C, see record.c */
	uint32_t state : 8;	/* enum record_state */
	uint32_t kind : 4;	/* enum record_kind */
	uint32_t name_bytes : 10;
	uint32_t mark_low : RECORD_MARK_LOW_BITS;
	/* From here on nothing changes. */
	uint64_t value_bytes : 44;
	uint64_t mark_high : RECORD_MARK_BITS - RECORD_MARK_LOW_BITS;
	uint64_t typed : 1;	/* 8 bytes follow the name: the descriptor's entry in the index */
	uint64_t seq : 56;
	uint64_t align_shift : 8;
	/* volatile, not covered: see the LINK_ macros, and chains of blocks */
	uint64_t link;
};
_Static_assert(sizeof(struct record) == 32, "records are packed by design");

_Static_assert(SHELF_NAME_MAX < 1u << 10, "the length of a name has 10 bits");

/*
 * While a record is the current one of its name, its link says which it replaced, which
 * writer erased that, and after how many fences: as long as that writer has made no
 * other, the old one may come back with the power. Whoever replaces the current one
 * writes the old one back first.
 */
#define LINK_MAKE(at, slot, fences) \
	((at) >> SHELF_GRANULE_SHIFT << 20 | (uint64_t)(slot) << 10 | ((fences) & 0x3ff))
#define LINK_OFFSET(link) \
	(((link) >> 20 & ((1ull << ENTRY_OFFSET_BITS) - 1)) << SHELF_GRANULE_SHIFT)
#define LINK_SLOT(link)		((link) >> 10 & 0x3ff)
#define LINK_FENCES(link)	((link) & 0x3ff)
/* It came with a transaction, whose commit has to be covered in the same way. */
#define LINK_MEMBER		(1ull << 60)
/*
 * The writer LINK_SLOT is changing its value in a transaction, and keeps what stood here. In
 * place of the offset stands the runtime's session: that it ended need not have reached the
 * media, so what an earlier runtime has left says nothing.
 */
#define LINK_OWNED		(1ull << 61)
/*
 * Its predecessor is erased for good; but LINK_OFFSET is the commit, of LINK_SLOT, that has
 * written to its value. As long as that may be on the media, a recovery would do so again.
 */
#define LINK_WRITTEN		(1ull << 62)
#define SHELF_MAX_SLOTS		1023u

/*
 * The value of a commit: this, then the transaction's members, then the records that it
 * deletes, each a commit_name; then @written of record_range, and what it has written to
 * each of those, one behind the other. It counts when it is whole and all of its members are, or
 * when it is sealed. A record is named by its place, its sequence number and its name's
 * hash, so that another that comes to lie there later is not taken for it.
 *
 * Recovery writes to the ranges what the commits that count have written there, in the order
 * of the commits' sequence numbers. So commits that have written to one record are erased
 * in that order, and before anything else may change its value.
 */
struct commit_head {
	uint32_t members;
	uint32_t deleted;
	uint64_t written;
	uint64_t undo;		/* 0, or the first undo record, which means nothing from now on */
	uint64_t undo_seq;
};

struct commit_name {
	uint64_t at;
	uint64_t seq;
	uint64_t hash;
};

struct record_range {
	struct commit_name record;
	uint64_t offset;	/* from the beginning of its value */
	uint64_t bytes;
};

/*
 * The value of an undo record: this, then @ranges of record_range, then what each of those held,
 * one behind the other. It counts while its transaction's first one does, which names
 * itself here: until that is erased, or a commit counts that names it.
 */
struct undo_head {
	uint64_t ranges;
	uint64_t first;
	uint64_t first_seq;
};

/* --- volatile: the index ------------------------------------------------------------- */

#define BUCKET_ENTRIES		7u
#define INDEX_FIRST_SHIFT	4u
#define INDEX_FIRST_BUCKETS	(1u << INDEX_FIRST_SHIFT)
#define ENTRY_OFFSET_BITS	40u
#define ENTRY_TAG_BITS		24u
#define SHELF_MAX_HEAP		(1ull << (ENTRY_OFFSET_BITS + SHELF_GRANULE_SHIFT - 1))
_Static_assert(SHELF_MAX_HEAP < 1ull << 44, "the length of a value has 44 bits");

/*
 * Linear hashing: bucket b of n holds the names whose hash is b modulo 2^k, for the k that
 * makes b the largest below n. Segment 0 has the first 16 buckets, segment s > 0 as many
 * as all before it.
 *
 * An entry is 0 or bits 4 to 27 of the name's hash, and below them the record's offset in
 * granules. The head: lock of the bucket in the upper 16 bits (slot number + 1), the
 * overflow bucket's offset in granules in the lower 40.
 *
 * A clean close seals the buckets: in place of the lock stands a checksum, and between the two
 * BUCKET_SEALED. The first use of a bucket after that checks it with all of its overflow.
 */
struct bucket {
	uint64_t head;
	uint64_t entry[BUCKET_ENTRIES];
};

/* --- volatile: the order of names ---------------------------------------------------- */

#define ORDERED_LEVELS		16u
#define NODE_REMOVED		(1ull << 55)
#define NODE_LEFT		(1ull << 54)	/* the index does not have it, and it could not be removed */
#define NODE_HEIGHT_SHIFT	56u
#define NODE_LINK		((1ull << ENTRY_OFFSET_BITS) - 1)

/*
 * A node of the list in which an ordered shelf keeps its names: a block of its own.
 * Behind it its name, followed by zeroes up to a multiple of 8 bytes, so that names compare
 * as words do. Seen as a record it is an erased one.
 */
struct ordered_node {
	uint32_t check;		/* not 0: sealed, see shelf_clean.c */
	uint16_t none;
	uint16_t name_bytes;
	uint64_t link;		/* height, NODE_REMOVED, another node's offset in granules */
	uint64_t next[];	/* as many as the height says: offsets in granules */
};

#define BUCKET_NEXT(head)	(((head) & ((1ull << 40) - 1)) << SHELF_GRANULE_SHIFT)
#define BUCKET_STATE(head)	((head) >> 40 & 0xff)
#define BUCKET_SEALED		0xa5u	/* in use it is 0 */

/* --- volatile: the heap -------------------------------------------------------------- */

struct chunk {
	uint32_t lock;
	uint16_t owner;		/* slot number + 1 that allocates here by preference */
	uint16_t free;		/* granules */
	uint16_t hint;		/* granule to look from */
	uint16_t sealed;	/* CHUNK_SEALED after a clean close, until it is used: */
	uint32_t crc;		/* of the rest then, without lock and owner */
	uint16_t reserved[24];
	uint64_t used[SHELF_CHUNK_GRANULES / 64];
};
_Static_assert(sizeof(struct chunk) == 576, "whole cache lines");
#define CHUNK_SEALED		0x5ea1u	/* in use it is 0 */

/* --- volatile: who is there ---------------------------------------------------------- */

/*
 * What a transaction has taken and is doing stands in blocks of the heap, chained by link
 * at the same place as in a record, and with a first word that is never one. They hang in its
 * writer's slot: in slot->tx until it has been made or given up, then in slot->tx_done until
 * what it replaced can be freed. A few are kept for the next.
 */
#define TX_ENTRIES		6u

struct tx_entry {
	uint64_t at;		/* block for a member; 0: none */
	uint64_t granules;
	uint64_t old;		/* record that is replaced or deleted */
	uint64_t index;		/* the name's entry in the index, as an offset; 0: unchanged */
	uint64_t value;		/* what it becomes */
	uint64_t lock;		/* the name's bucket, as in slot->locks, if this locked it */
	uint64_t undo;		/* @at is a durable undo record, the n-th */
	uint64_t owned;		/* record whose link this writer has replaced, */
	uint64_t link;		/* and what that was */
	uint64_t written;	/* the commit writes to it: 1, or another's that was erased for that */
};

struct tx_block {
	uint64_t word;		/* 0 */
	uint64_t commit;	/* the commit, in one of the blocks */
	uint64_t fences;	/* done: its writer had made as many */
	uint64_t link;
	uint64_t written;	/* the commit has written to records, */
	uint64_t voided;	/* and is erased, when its writer had made one less */
	struct tx_entry entry[TX_ENTRIES];
};
#define TX_BLOCK_GRANULES	(sizeof(struct tx_block) >> SHELF_GRANULE_SHIFT)

#define SLOT_BYTES		2048u
#define SLOT_LOCKS		8u
#define SLOT_REDO		16u
#define SLOT_RING		32u
#define SLOT_PINS		120u
#define SLOT_TYPES		16u

struct redo {
	uint64_t at;		/* shelf offset of an aligned word */
	uint64_t value;
};

/*
 * A slot is one thread's place in the shelf, alive while the kernel holds a lock on its
 * byte for the process. What it is in the middle of stands here, so that any other can
 * finish or undo it when it dies.
 */
struct slot {
	uint32_t used;
	uint32_t generation;
	int32_t pid;		/* for messages only */
	uint32_t ring_lock;	/* for ring_tail, and for others that raise ring_fenced */
	uint64_t fence_seq;	/* fences made */
	uint64_t seq;		/* highest sequence number given out */
	uint64_t objects;	/* made less deleted; wraps; outlives the owner */
	uint64_t chunk;		/* number + 1 of the chunk to allocate from */

	uint64_t locks[SLOT_LOCKS];	/* shelf offsets of lock words taken or being taken */

	uint64_t fresh;		/* block allocated that nothing refers to yet */
	uint64_t fresh_granules;
	uint64_t freeing;	/* what is left of the block being given back */
	uint64_t freeing_end;
	uint64_t unsealed;	/* the last record of this writer */
	uint64_t deleting;	/* record that it is making a tombstone */
	uint64_t reserved_head;	/* blocks handed out to be filled in place, by link */
	uint64_t publishing;	/* one of those that is becoming a record, in no list */

	uint64_t ordered;	/* nodes of names that it is making or deleting, by link */
	uint64_t ordered_free;	/* nodes whose memory it is giving back, by link */

	uint64_t tx;		/* blocks of the transaction that is open */
	uint64_t tx_forward;	/* it is durable: to be applied */
	uint64_t tx_objects;	/* what objects becomes then */
	uint64_t tx_done;	/* blocks of those that have been made */
	uint64_t commit;	/* of the last of those */
	uint32_t tx_lock;	/* for taking blocks out of tx_done */
	uint32_t covering;	/* commits of others: nothing is to be freed */
	uint32_t writing;	/* a commit that writes to objects is under way */
	uint32_t progress;	/* grows while a lock is held for long */

	uint64_t forward;	/* number of redo words: if not 0, they are to be applied */
	struct redo redo[SLOT_REDO];

	/*
	 * Retired blocks, from the oldest on: [tail, fenced) may be freed, [fenced, erased)
	 * after the next fence, [erased, head) are still records on the media. Whoever finds
	 * no memory frees what he can of anybody's.
	 */
	uint64_t ring_tail;
	uint64_t ring_fenced;
	uint64_t ring_erased;
	uint64_t ring_head;
	uint64_t ring[SLOT_RING];

	/*
	 * Descriptors that it has made and not sealed for good, the oldest first; in the index
	 * already.
	 */
	uint64_t types[SLOT_TYPES];

	uint64_t pin_top;	/* no pin at or above it was ever set */
	uint64_t tx_spare;	/* blocks for transactions to come, all zeroes but for their links */
	uint32_t whole;		/* its owner died, and nothing of his is left half done */
	int32_t repairer;	/* who was the last to see to that, for messages only */
	uint32_t takes;		/* grows under the byte beside its own, before that is taken */
	uint64_t pins[SLOT_PINS] __attribute__((aligned(64)));
};
#define PIN_EVERYTHING	1u	/* in place of an offset: nothing is to be freed */
_Static_assert(sizeof(struct slot) <= SLOT_BYTES, "slots have room");

enum runtime_failure {
	RUNTIME_WELL,
	RUNTIME_NOT_WRITTEN,	/* a write-back failed: what is on the media is unknown */
	RUNTIME_DAMAGED,	/* what is volatile cannot be trusted, the records can */
};

enum runtime_stage {
	RUNTIME_BEGUN,		/* the superblock may still say that the shelf is clean */
	RUNTIME_IN_USE,		/* it says durably that it is not */
	RUNTIME_LEAVING,	/* somebody seals index and chunks, then it says so; or died at it */
};

/* The runtime: valid only for the boot and the lock that it names. */
struct runtime {
	uint64_t magic;
	uint32_t ready;
	uint32_t failed;	/* enum runtime_failure: nobody writes until all have closed */
	uint8_t boot[16];
	uint64_t lock_device;
	uint64_t lock_inode;
	uint64_t heap_chunks;	/* chunks that there are */
	uint64_t frontier;	/* chunks below it have been used, the others mean nothing */
	uint64_t frontier_safe;	/* the frontier on the media is at least this */
	uint64_t cursor;	/* where the next search for a chunk begins */
	uint64_t objects;	/* when the runtime began */
	uint64_t seq_floor;	/* no tombstone has a higher sequence number */
	uint64_t nr_buckets;
	uint64_t segments[SHELF_MAX_SEGMENTS];
	uint64_t split;		/* the bucket being made by a split, + 1 */
	uint64_t limbo;		/* retired blocks that somebody had pinned, by link */
	uint32_t run_lock;	/* for blocks larger than a chunk */
	uint32_t split_lock;
	uint32_t limbo_lock;
	uint32_t slots_top;	/* no slot at or above it was ever used */
	uint64_t moves;		/* entries moved inside a bucket, overflow buckets freed */
	uint64_t ordered_head;	/* a node without a name; 0: not ordered */
	uint64_t ordered_limbo;	/* nodes taken out, by link */
	uint64_t ordered_frees;	/* grows before memory of nodes is freed */
	uint64_t ordered_waiting;	/* nodes in ordered_limbo */
	uint64_t ordered_left;	/* there may be a NODE_LEFT */
	uint32_t ordered_lock;
	uint32_t halt_lock;	/* updates that have not begun wait while it is held */
	uint32_t session;	/* no runtime before it had the same */
	uint32_t read_lock;	/* no transaction writes to objects while it is held */
	uint32_t stage;		/* enum runtime_stage */
	uint32_t seq_blocks;	/* the ceiling on the media is at least this */
};

/*
 * Where things are, from shelf offset 0. In the last words of the first superblock's page:
 * how many chunks have ever been used, below a checksum of 24 bits; recovery looks no
 * further. Behind that the ceiling: how many blocks of sequence numbers there are below which
 * all lie that were ever given out, below a checksum of 32 bits; 0 until a shelf is changed for the
 * first time by a library that knows of it.
 */
#define SHELF_FRONTIER_OFFSET	(SUPER_COPY_BYTES - 64u)
#define FRONTIER_BITS		40u
#define SHELF_CEILING_OFFSET	(SHELF_FRONTIER_OFFSET + 8u)
#define CEILING_BITS		32u
#define CEILING_MAX		((1ull << CEILING_BITS) - 1)
#ifndef SEQ_BLOCK_SHIFT
#define SEQ_BLOCK_SHIFT		24u
#endif
_Static_assert(CEILING_BITS + SEQ_BLOCK_SHIFT <= 56, "a number has 56 bits");
#define SHELF_RUNTIME_OFFSET	(SUPER_COPIES * SUPER_COPY_BYTES)
#define SHELF_RUNTIME_BYTES	4096u
#define SHELF_SLOTS_OFFSET	(SHELF_RUNTIME_OFFSET + SHELF_RUNTIME_BYTES)
/* then nr_slots slots; then the array of chunks, which grows with the heap */

#endif
