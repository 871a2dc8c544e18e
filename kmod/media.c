// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading and judging what is on a persistent pool. Pure: no I/O, no allocation, no
 * trust in the bytes it is given. media.h describes the format.
 */
#include "media.h"

#ifdef __KERNEL__
#include <linux/bitmap.h>
#include <linux/string.h>
#include <linux/unaligned.h>

#include "compat.h"

#define le32(x) le32_to_cpu(x)
#define le64(x) le64_to_cpu(x)
#define to_le32(x) cpu_to_le32(x)
#else
#include <endian.h>
#include <string.h>

#include "media_host.h"

#define le32(x) le32toh((__u32)(x))
#define le64(x) le64toh((__u64)(x))
#define to_le32(x) ((__le32)htole32(x))
#endif

_Static_assert(offsetof(struct hm_media_header, crc) + 4 == HM_MEDIA_HEADER_BYTES,
	       "the header is 4 KiB, checksum last");
_Static_assert(sizeof(struct hm_media_region) == 128, "region record");
_Static_assert(sizeof(union hm_media_slot) == 16, "slot");

static bool all_zero(const u8 *p, size_t n)
{
	while (n--)
		if (*p++)
			return false;
	return true;
}

bool hm_media_name_ok(const char *name)
{
	size_t n = 0;

	if (name[0] == '.' || name[0] == '-')
		return false;
	for (; n < HM_MEDIA_NAME_LEN && name[n]; n++) {
		char c = name[n];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
			return false;
	}
	return n > 0 && n < HM_MEDIA_NAME_LEN && strcmp(name, "control") != 0;
}

bool hm_media_geometry(u64 pool_bytes, u64 *data_offset, u32 *nr_extents)
{
	const u64 extent = 1ULL << HM_MEDIA_EXTENT_SHIFT;
	u64 total = pool_bytes >> HM_MEDIA_EXTENT_SHIFT;
	u64 tags, head;

	/* Tags for all of them is a few too many, and never too few. */
	tags = (total * sizeof(u64) + extent - 1) >> HM_MEDIA_EXTENT_SHIFT;
	head = (HM_MEDIA_TAGS_OFFSET >> HM_MEDIA_EXTENT_SHIFT) + tags;
	if (total <= head || total - head > 0x7fffffff)
		return false;
	*data_offset = head << HM_MEDIA_EXTENT_SHIFT;
	*nr_extents = (u32)(total - head);
	return true;
}

size_t hm_media_bytes(u32 nr_regions, u32 nr_slots)
{
	return HM_MEDIA_HEADER_BYTES + nr_regions * sizeof(struct hm_media_region) +
	       nr_slots * sizeof(union hm_media_slot);
}

static bool is_shared(const struct hm_media_region *record)
{
	return le32(record->flags) & HM_MEDIA_SHARED;
}

static const char *check_runs(const struct hm_media_header *h, const struct hm_media_region *r,
			      const union hm_media_slot *slots, unsigned long *used)
{
	u32 nr_pool_extents = le32(h->nr_extents), next_gen = le32(h->next_gen);
	u64 sum = 0;

	for (u32 i = 0; i < le32(r->nr_runs); i++) {
		const struct hm_media_run *run = &slots[i].run;
		u32 start = le32(run->start), count = le32(run->count);
		u32 gen = le32(run->gen);

		if (!count || start >= nr_pool_extents || count > nr_pool_extents - start)
			return "a run lies outside the pool";
		if (!gen || gen >= next_gen)
			return "a run has an impossible generation";
		if (run->flags && (le32(h->version) < 4 || !is_shared(r)))
			return "a reserved field of a run is in use";
		if (find_next_bit(used, start + count, start) < start + count)
			return "two runs overlap";
		bitmap_set(used, start, count);
		sum += count;
	}
	return sum == le32(r->nr_extents) ? NULL : "a region's runs do not add up to its size";
}

/* Whether what a record says of a region's being moved makes sense. */
static const char *check_move(const struct hm_media_header *h, const struct hm_media_region *r)
{
	const u32 sharing = HM_MEDIA_SHARED | HM_MEDIA_SPREAD;
	u32 flags = le32(r->flags);
	u32 moving = flags & HM_MEDIA_MOVING;
	bool peer = !all_zero(r->peer, sizeof(r->peer));

	if (flags & ~(HM_MEDIA_MOVING | HM_MEDIA_PINS | sharing) || moving == HM_MEDIA_MOVING ||
	    (moving && flags & sharing) || (flags & sharing) == HM_MEDIA_SPREAD)
		return "a region's flags are not allowed";
	if ((flags && le32(h->version) < 2) || (flags & sharing && le32(h->version) < 3))
		return "a reserved field of a region is in use";
	if (peer != !!moving || (moving && memcmp(r->peer, h->uuid, sizeof(r->peer)) == 0))
		return "a region is moved to or from no other pool";
	return NULL;
}

u32 hm_media_slots(u32 nr_runs, u32 nr_pools)
{
	return nr_pools ? 2 * nr_runs + nr_pools : nr_runs;
}

u32 hm_media_record_slots(const struct hm_media_region *record)
{
	return hm_media_slots(le32(record->nr_runs), is_shared(record) ? record->nr_pools : 0);
}

const struct hm_media_place *hm_media_places(const struct hm_media_region *record,
					     const union hm_media_slot *slots)
{
	return &slots[le32(record->nr_runs)].place;
}

const struct hm_media_pool *hm_media_pools(const struct hm_media_region *record,
					   const union hm_media_slot *slots)
{
	return &slots[2 * (size_t)le32(record->nr_runs)].pool;
}

bool hm_media_names(const struct hm_media_region *record, const union hm_media_slot *slots,
		    const u8 uuid[16])
{
	const struct hm_media_pool *pools = hm_media_pools(record, slots);

	for (u32 i = 0; is_shared(record) && i < record->nr_pools; i++)
		if (memcmp(pools[i].uuid, uuid, sizeof(pools[i].uuid)) == 0)
			return true;
	return false;
}

/* The pools of a shared region: this one at its place, and none twice. */
static const char *check_pools(const struct hm_media_header *h, const struct hm_media_region *r,
			       const struct hm_media_pool *pools)
{
	for (u32 i = 0; i < r->nr_pools; i++) {
		if (all_zero(pools[i].uuid, sizeof(pools[i].uuid)))
			return "a region is on a pool without identity";
		for (u32 j = 0; j < i; j++)
			if (memcmp(pools[i].uuid, pools[j].uuid, sizeof(pools[i].uuid)) == 0)
				return "a region names a pool twice";
	}
	if (memcmp(pools[r->number].uuid, h->uuid, sizeof(h->uuid)) != 0)
		return "a region is on several pools, and not on this one";
	return NULL;
}

/* All that is here goes, or some of it comes, or neither. */
static const char *check_ways(const struct hm_media_region *r, const union hm_media_slot *slots)
{
	bool going = le32(slots[0].run.flags) == HM_MEDIA_RUN_OUTGOING;
	u32 extents = le32(r->nr_extents), total = le32(r->total), ways = 0;

	for (u32 i = 0; i < le32(r->nr_runs); i++) {
		u32 flags = le32(slots[i].run.flags);

		if (flags > HM_MEDIA_RUN_OUTGOING || going != (flags == HM_MEDIA_RUN_OUTGOING))
			return "a run's flags are not allowed";
		ways |= flags;
	}
	if (r->nr_pools == 1)
		return ways || extents != total ? "a region has extents on no pool" : NULL;
	if (extents > total || (!ways && extents == total))
		return "a region has no more extents than are here";
	return NULL;
}

/* What a record says of the other pools of its region. */
static const char *check_sharing(const struct hm_media_header *h, const struct hm_media_region *r,
				 const union hm_media_slot *slots)
{
	const struct hm_media_place *places = hm_media_places(r, slots);
	u32 total = le32(r->total);
	const char *why;

	if (!is_shared(r))
		return total || r->nr_pools || r->number ?
		       "a reserved field of a region is in use" : NULL;
	if (r->nr_pools < (le32(h->version) < 4 ? 2 : 1) || r->nr_pools > HM_MEDIA_MAX_POOLS ||
	    r->number >= r->nr_pools)
		return "a region's pools are too few or too many";
	why = check_ways(r, slots);
	if (why)
		return why;
	for (u32 i = 0; i < le32(r->nr_runs); i++) {
		u32 first = le32(places[i].first), stride = le32(places[i].stride);
		u64 last = first + (u64)stride * (le32(slots[i].run.count) - 1);

		if (!stride || stride > HM_MEDIA_MAX_POOLS || last >= total)
			return "a run lies outside its region";
		if (places[i].reserved[0] || places[i].reserved[1])
			return "a reserved field of a run is in use";
	}
	return check_pools(h, r, hm_media_pools(r, slots));
}

/* No region is there twice: by its name it is found, by its identity put together. */
static const char *check_unique(const struct hm_media_region *regions, u32 nr_before)
{
	const struct hm_media_region *r = &regions[nr_before];

	for (u32 i = 0; i < nr_before; i++) {
		if (strncmp(regions[i].name, r->name, HM_MEDIA_NAME_LEN) == 0)
			return "two regions have one name";
		if (memcmp(regions[i].uuid, r->uuid, sizeof(r->uuid)) == 0)
			return "two regions have one identity";
	}
	return NULL;
}

static const char *check_body(const struct hm_media_header *h, unsigned long *used)
{
	const u8 *body = (const u8 *)h + HM_MEDIA_HEADER_BYTES;
	const struct hm_media_region *regions = (const void *)body;
	u32 nr_regions = le32(h->nr_regions), nr_slots = le32(h->nr_slots);
	const union hm_media_slot *slots = (const void *)(regions + nr_regions);
	const char *why;
	u32 seen = 0;

	for (u32 i = 0; i < nr_regions; i++) {
		const struct hm_media_region *r = &regions[i];
		u32 n = le32(r->nr_runs);

		if (!hm_media_name_ok(r->name))
			return "a region's name is not allowed";
		if (le32(r->mode) & ~0777U)
			return "a region's mode is not allowed";
		if (le32(r->uid) == 0xffffffff || le32(r->gid) == 0xffffffff)
			return "a region's owner is not allowed";
		if (!all_zero(r->reserved, sizeof(r->reserved)))
			return "a reserved field of a region is in use";
		why = check_move(h, r);
		if (why)
			return why;
		if (!n || n > nr_slots - seen || hm_media_record_slots(r) > nr_slots - seen)
			return "a region has more runs than there are";
		why = check_unique(regions, i);
		if (why)
			return why;
		why = check_runs(h, r, slots + seen, used);
		if (!why)
			why = check_sharing(h, r, slots + seen);
		if (why)
			return why;
		seen += hm_media_record_slots(r);
	}
	return seen == nr_slots ? NULL : "runs without a region";
}

enum hm_media_verdict hm_media_check(const void *copy, u64 pool_bytes, unsigned long *used,
				     const char **why)
{
	const struct hm_media_header *h = copy;
	u32 nr_regions, nr_slots, nr_extents;
	u64 data_offset;

	*why = "";
	if (all_zero(copy, HM_MEDIA_HEADER_BYTES)) {
		*why = "blank";
		return HM_MEDIA_BLANK;
	}
	if (memcmp(h->magic, HM_MEDIA_MAGIC, sizeof(h->magic)) != 0) {
		*why = "no hmem superblock";
		return HM_MEDIA_FOREIGN;
	}
	if (le32(h->crc) != hm_crc32c(copy, offsetof(struct hm_media_header, crc))) {
		*why = "the header's checksum is wrong";
		return HM_MEDIA_CORRUPT;
	}
	if (le32(h->version) > HM_MEDIA_VERSION) {
		*why = "written by a newer version";
		return HM_MEDIA_NEWER;
	}
	nr_regions = le32(h->nr_regions);
	nr_slots = le32(h->nr_slots);
	if (!le32(h->version) || (le32(h->flags) & ~HM_MEDIA_CLEAN) ||
	    !le32(h->next_gen) || !all_zero(h->reserved, sizeof(h->reserved)) ||
	    nr_regions > HM_MEDIA_MAX_REGIONS || nr_slots > HM_MEDIA_MAX_SLOTS) {
		*why = "a header field is out of range";
		return HM_MEDIA_CORRUPT;
	}
	if (le64(h->pool_bytes) != pool_bytes) {
		*why = "made for a pool of another size";
		return HM_MEDIA_CORRUPT;
	}
	if (!hm_media_geometry(pool_bytes, &data_offset, &nr_extents) ||
	    le64(h->data_offset) != data_offset || le32(h->nr_extents) != nr_extents) {
		*why = "the layout does not follow from the pool's size";
		return HM_MEDIA_CORRUPT;
	}
	if (le32(h->body_crc) != hm_crc32c((const u8 *)copy + HM_MEDIA_HEADER_BYTES,
					   hm_media_bytes(nr_regions, nr_slots) -
						   HM_MEDIA_HEADER_BYTES)) {
		*why = "the region table's checksum is wrong";
		return HM_MEDIA_CORRUPT;
	}
	bitmap_zero(used, nr_extents);
	*why = check_body(h, used);
	if (*why)
		return HM_MEDIA_CORRUPT;
	*why = "";
	return HM_MEDIA_OK;
}

enum hm_media_verdict hm_media_choose(enum hm_media_verdict a, u64 seq_a,
				      enum hm_media_verdict b, u64 seq_b,
				      int *which, bool *repair)
{
	/* A newer program was here: whatever the other copy says is out of date. */
	if (a == HM_MEDIA_NEWER || b == HM_MEDIA_NEWER)
		return HM_MEDIA_NEWER;
	if (a == HM_MEDIA_OK && (b != HM_MEDIA_OK || seq_a >= seq_b)) {
		*which = 0;
		*repair = b != HM_MEDIA_OK || seq_a != seq_b;
		return HM_MEDIA_OK;
	}
	if (b == HM_MEDIA_OK) {
		*which = 1;
		*repair = true;
		return HM_MEDIA_OK;
	}
	if (a == HM_MEDIA_BLANK && b == HM_MEDIA_BLANK)
		return HM_MEDIA_BLANK;
	if (a == HM_MEDIA_CORRUPT || b == HM_MEDIA_CORRUPT)
		return HM_MEDIA_CORRUPT;
	return HM_MEDIA_FOREIGN;
}

/* The oldest that knows all that is in a region. */
static u32 version_of_one(const struct hm_media_region *r, const union hm_media_slot *slots)
{
	if (!(le32(r->flags) & (HM_MEDIA_SHARED | HM_MEDIA_SPREAD)))
		return r->flags ? 2 : 1;
	for (u32 i = 0; i < le32(r->nr_runs); i++)
		if (slots[i].run.flags)
			return 4;
	return r->nr_pools == 1 ? 4 : 3;
}

/* ... and in all of them. */
static u32 version_of(const struct hm_media_header *h)
{
	const struct hm_media_region *r = (const void *)((const u8 *)h + HM_MEDIA_HEADER_BYTES);
	u32 nr_regions = le32(h->nr_regions), left = le32(h->nr_slots), version = 1;
	const union hm_media_slot *slots = (const void *)(r + nr_regions);

	for (u32 i = 0; i < nr_regions && le32(r[i].nr_runs) <= left; i++) {
		u32 one = version_of_one(&r[i], slots), n = hm_media_record_slots(&r[i]);

		version = one > version ? one : version;
		if (n > left)
			break;
		slots += n;
		left -= n;
	}
	return version;
}

size_t hm_media_seal(void *copy)
{
	struct hm_media_header *h = copy;
	size_t bytes = hm_media_bytes(le32(h->nr_regions), le32(h->nr_slots));

	memcpy(h->magic, HM_MEDIA_MAGIC, sizeof(h->magic));
	h->version = to_le32(version_of(h));
	h->body_crc = to_le32(hm_crc32c((u8 *)copy + HM_MEDIA_HEADER_BYTES,
					bytes - HM_MEDIA_HEADER_BYTES));
	h->crc = to_le32(hm_crc32c(copy, offsetof(struct hm_media_header, crc)));
	return bytes;
}

static u32 tag_crc(const u8 uuid[16], u32 extent, u32 gen)
{
	struct {
		u8 uuid[16];
		__le32 extent;
		__le32 gen;
	} in;

	memcpy(in.uuid, uuid, sizeof(in.uuid));
	in.extent = to_le32(extent);
	in.gen = to_le32(gen);
	return hm_crc32c(&in, sizeof(in));
}

u64 hm_media_tag(const u8 uuid[16], u32 extent, u32 gen)
{
	return ((u64)tag_crc(uuid, extent, gen) << 32) | gen;
}

enum hm_media_tag_state hm_media_tag_state(u64 tag, const u8 uuid[16], u32 extent, u32 gen)
{
	u32 tagged = (u32)tag;

	if (tag == 0)
		return HM_TAG_STALE;
	if (tagged == 0 || tag != hm_media_tag(uuid, extent, tagged))
		return HM_TAG_CORRUPT;
	return tagged == gen ? HM_TAG_PREPARED : HM_TAG_STALE;
}
