/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What hmem.ko writes on a persistent pool, and the rules by which it is read.
 *
 * A pool's memory, from its first byte:
 *
 *   0        superblock copy A  (HM_MEDIA_COPY_BYTES)
 *   1 MiB    superblock copy B
 *   2 MiB    one tag of 8 bytes for each extent, rounded up to an extent
 *   ...      the extents
 *
 * A superblock is a header of 4 KiB, then the region records, then slots of 16 bytes: of each
 * region, in the order of the records, its runs of extents; and, when the region is on other pools
 * as well, where in it each of these runs is, and all its pools. Both copies hold the same
 * content; every change writes the one, then the other, with the next sequence number
 * in both, so one of them is intact at any instant. All integers are little-endian.
 *
 * A tag says which allocation last prepared (zeroed) an extent. Every run carries a
 * generation that is never used twice, so an extent whose tag is not its run's
 * generation still holds what some former owner left and is zeroed before it is
 * shown. A tag is written in one aligned 8-byte store after the zeroes are durable.
 *
 * This header and media.c depend on neither kernel nor libc: the module and the
 * host's tests compile the same code.
 */
#ifndef HM_MEDIA_H
#define HM_MEDIA_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
#endif

#define HM_MEDIA_MAGIC		"hmempool"
/*
 * What is written: 1 as long as no region has flags, 2 as long as none is on several pools, 3 as
 * long as none of these moves, or has moved to one pool.
 */
#define HM_MEDIA_VERSION	4
#define HM_MEDIA_COPY_BYTES	(1U << 20)
#define HM_MEDIA_COPIES		2
#define HM_MEDIA_TAGS_OFFSET	(HM_MEDIA_COPIES * (u64)HM_MEDIA_COPY_BYTES)
#define HM_MEDIA_HEADER_BYTES	4096
#define HM_MEDIA_EXTENT_SHIFT	21
#define HM_MEDIA_MAX_REGIONS	2048
#define HM_MEDIA_NAME_LEN	64
#define HM_MEDIA_MAX_POOLS	32

/*
 * region.flags: the region is being moved here from, or from here to, the pool of identity
 * region.peer. While it is, an extent whose tag is that of its run on the pool where it is
 * INCOMING is there, any other is where it is OUTGOING. One whose tag is damaged where it is
 * INCOMING fails: it may have come there.
 *
 * INCOMING is written before OUTGOING; when all is moved the one that was INCOMING is written
 * without it, then the other one is dropped. So of what was OUTGOING nothing counts
 * when the other pool has the region without a flag or not at all, and of what was INCOMING when
 * the other pool has it so.
 */
#define HM_MEDIA_INCOMING	(1U << 0)
#define HM_MEDIA_OUTGOING	(1U << 1)
#define HM_MEDIA_MOVING		(HM_MEDIA_INCOMING | HM_MEDIA_OUTGOING)
/* It was created for long-term pins. */
#define HM_MEDIA_PINS		(1U << 2)

/*
 * It is on several pools, and each has a record that names all of them and says which extents of
 * the region are there. It is neither INCOMING nor OUTGOING then; its runs may be.
 *
 * A change is written to one pool after the other. When the region comes to pools, those are
 * first; when it leaves some, those are last; and when it is created or destroyed the order is any.
 * So of the records that are found
 *
 * - one that names a pool whose record does not name it in turn does not count: the region was
 *   just coming there, or has left it;
 * - nor does one that names a pool which is there and has no record: the region was not there yet,
 *   has left it, or is destroyed;
 * - of the others one has the pools and the size: one of which all pools are there and count, if
 *   there is such a one; and of several the one with the smallest total, as growing counts when it
 *   is written everywhere and shrinking when it is written anywhere.
 *
 * Before a record is dropped that does not count, those that do are written as they count.
 */
#define HM_MEDIA_SHARED		(1U << 3)
/* ... and it grows on all of them in turn, and not on one after the other. */
#define HM_MEDIA_SPREAD		(1U << 4)

/*
 * run.flags, in a shared region: its extents are being moved here, or away from here. What is
 * OUTGOING is all that the region has on that pool, and each extent of it is INCOMING somewhere: it
 * is there when its tag is that of the run, as above.
 *
 * Those that are INCOMING are written first, as they are of pools that the region may come to; the
 * one that is OUTGOING last. When all is moved the others are written with plain runs, and do
 * not name it any more; then it is dropped. So, of the pools that count,
 *
 * - if one is OUTGOING the region is being moved;
 * - else, if each extent is in a run that is not INCOMING, nothing was moved yet, and what is
 *   INCOMING counts for nothing;
 * - else all was moved, and what is INCOMING is as plain as the rest.
 */
#define HM_MEDIA_RUN_INCOMING	(1U << 0)
#define HM_MEDIA_RUN_OUTGOING	(1U << 1)

/* header.flags: the pool was detached by the host in header.host */
#define HM_MEDIA_CLEAN		(1U << 0)

/**
 * struct hm_media_header - the first 4 KiB of a superblock
 * @magic: HM_MEDIA_MAGIC
 * @version: HM_MEDIA_VERSION
 * @flags: HM_MEDIA_CLEAN
 * @seq: raised by every change; the intact copy with the higher one counts
 * @uuid: the pool's identity
 * @pool_bytes: all of the pool's memory, this superblock included
 * @data_offset: where extent 0 begins
 * @nr_extents: extents from there on
 * @nr_regions: region records that follow
 * @nr_slots: slots that follow them
 * @next_gen: generation that the next run gets; starts at 1
 * @host: host that attached the pool last, zeroes when it did not say
 * @body_crc: CRC32C of the region records and slots
 * @reserved: zeroes
 * @crc: CRC32C of everything before it
 */
struct hm_media_header {
	u8 magic[8];
	__le32 version;
	__le32 flags;
	__le64 seq;
	u8 uuid[16];
	__le64 pool_bytes;
	__le64 data_offset;
	__le32 nr_extents;
	__le32 nr_regions;
	__le32 nr_slots;
	__le32 next_gen;
	u8 host[16];
	__le32 body_crc;
	u8 reserved[HM_MEDIA_HEADER_BYTES - 96];
	__le32 crc;
};

/**
 * struct hm_media_region - one region
 * @name: NUL-padded
 * @uuid: identity of this region
 * @uid: owner
 * @gid: group
 * @mode: permission bits
 * @nr_runs: runs of it here
 * @nr_extents: sum of their lengths
 * @flags: one of HM_MEDIA_INCOMING, HM_MEDIA_OUTGOING and HM_MEDIA_SHARED or none, HM_MEDIA_PINS,
 *	and HM_MEDIA_SPREAD if it is shared; in version 1: 0; in version 2: not shared
 * @peer: the other pool when it is on its way, else zeroes
 * @total: extents of it on all its pools if it is shared, else 0
 * @nr_pools: how many those are, or 0; 1, from version 4 on, when it was on several and its runs do
 *	not follow one another
 * @number: which of them this one is, counted from 0
 * @reserved: zeroes
 *
 * Its slots are @nr_runs of struct hm_media_run; if it is shared as many of struct
 * hm_media_place follow, for each run one, and @nr_pools of struct hm_media_pool.
 */
struct hm_media_region {
	char name[HM_MEDIA_NAME_LEN];
	u8 uuid[16];
	__le32 uid;
	__le32 gid;
	__le32 mode;
	__le32 nr_runs;
	__le32 nr_extents;
	__le32 flags;
	u8 peer[16];
	__le32 total;
	u8 nr_pools;
	u8 number;
	u8 reserved[2];
};

/**
 * struct hm_media_run - extents that follow one another in a region and on the pool
 * @start: first extent
 * @count: how many, not 0
 * @gen: the allocation that they came from, not 0
 * @flags: HM_MEDIA_RUN_INCOMING or HM_MEDIA_RUN_OUTGOING, of a shared region only, or 0; before
 *	version 4: 0
 */
struct hm_media_run {
	__le32 start;
	__le32 count;
	__le32 gen;
	__le32 flags;
};

/**
 * struct hm_media_place - where the extents of a run are in a region that is on several pools
 * @first: number in the region of the first
 * @stride: from each to the next, 1 to HM_MEDIA_MAX_POOLS
 * @reserved: zeroes
 */
struct hm_media_place {
	__le32 first;
	__le32 stride;
	__le32 reserved[2];
};

/**
 * struct hm_media_pool - one of the pools of a region, in the order in which they are filled
 * @uuid: its identity
 */
struct hm_media_pool {
	u8 uuid[16];
};

union hm_media_slot {
	struct hm_media_run run;
	struct hm_media_place place;
	struct hm_media_pool pool;
};

#define HM_MEDIA_MAX_SLOTS \
	((HM_MEDIA_COPY_BYTES - HM_MEDIA_HEADER_BYTES - \
	  HM_MEDIA_MAX_REGIONS * sizeof(struct hm_media_region)) / sizeof(union hm_media_slot))

enum hm_media_verdict {
	HM_MEDIA_OK,
	HM_MEDIA_BLANK,		/* zeroes throughout the header */
	HM_MEDIA_FOREIGN,	/* no hmem magic */
	HM_MEDIA_CORRUPT,	/* hmem's, but a checksum or a rule does not hold */
	HM_MEDIA_NEWER,		/* intact header of a newer version */
};

/**
 * hm_media_geometry - how a pool of a given size is laid out
 * @pool_bytes: all of its memory
 * @data_offset: where extent 0 begins
 * @nr_extents: extents from there on
 *
 * Return: false when it is too small to hold one extent, or too large to number.
 */
bool hm_media_geometry(u64 pool_bytes, u64 *data_offset, u32 *nr_extents);

/**
 * hm_media_check - judge one superblock copy
 * @copy: HM_MEDIA_COPY_BYTES; what lies behind the regions and slots that its header
 *	counts is not looked at
 * @pool_bytes: size of the pool's memory as the device has it
 * @used: bitmap of at least as many bits as the pool has extents; scratch, and on
 *	HM_MEDIA_OK the extents that regions have
 * @why: on anything else, a phrase that says what is wrong
 */
enum hm_media_verdict hm_media_check(const void *copy, u64 pool_bytes, unsigned long *used,
				     const char **why);

/**
 * hm_media_choose - which of two copies to believe
 * @a: verdict on copy A
 * @seq_a: its sequence number, if HM_MEDIA_OK
 * @b: verdict on copy B
 * @seq_b: its sequence number, if HM_MEDIA_OK
 * @which: 0 or 1, on HM_MEDIA_OK
 * @repair: on HM_MEDIA_OK: the other copy is not the same and must be rewritten
 *
 * Return: HM_MEDIA_OK when one can be used; HM_MEDIA_BLANK when both are blank; else
 * the verdict that best explains the refusal.
 */
enum hm_media_verdict hm_media_choose(enum hm_media_verdict a, u64 seq_a,
				      enum hm_media_verdict b, u64 seq_b,
				      int *which, bool *repair);

/**
 * hm_media_seal - fill in magic, version and checksums of a finished superblock
 *
 * Return: bytes of @copy that must be written.
 */
size_t hm_media_seal(void *copy);

/** hm_media_bytes - bytes that a superblock with these counts takes */
size_t hm_media_bytes(u32 nr_regions, u32 nr_slots);

/** hm_media_slots - slots that a region with these counts takes; not shared, it has no pools */
u32 hm_media_slots(u32 nr_runs, u32 nr_pools);

/** hm_media_record_slots - slots that a region has */
u32 hm_media_record_slots(const struct hm_media_region *record);

/** hm_media_places - of a shared region that was checked: where its runs are in it */
const struct hm_media_place *hm_media_places(const struct hm_media_region *record,
					     const union hm_media_slot *slots);

/** hm_media_pools - of a shared region that was checked: its pools */
const struct hm_media_pool *hm_media_pools(const struct hm_media_region *record,
					   const union hm_media_slot *slots);

/** hm_media_names - whether a shared region that was checked is on that pool as well */
bool hm_media_names(const struct hm_media_region *record, const union hm_media_slot *slots,
		    const u8 uuid[16]);

/** hm_media_tag - the tag of a prepared extent */
u64 hm_media_tag(const u8 uuid[16], u32 extent, u32 gen);

enum hm_media_tag_state {
	HM_TAG_PREPARED,	/* by this very allocation */
	HM_TAG_STALE,		/* by a former one, or never */
	HM_TAG_CORRUPT,
};

/** hm_media_tag_state - what a tag says about an extent of generation @gen */
enum hm_media_tag_state hm_media_tag_state(u64 tag, const u8 uuid[16], u32 extent, u32 gen);

/** hm_media_name_ok - whether a region or pool may be called so */
bool hm_media_name_ok(const char *name);

#endif /* HM_MEDIA_H */
