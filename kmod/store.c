// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the store
 *
 * The superblock and the tags of a persistent pool: getting media.h's structures onto
 * the memory and back. A superblock is built whole in pool->image and written to copy A,
 * then to copy B, each followed by a fence, so that the loss of power finds at least one
 * of them intact. When one was found damaged, that one is written first.
 */
#define pr_fmt(fmt) "hmem: " fmt

#include <linux/io.h>
#include <linux/libnvdimm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "extent.h"
#include "store.h"

/**
 * hm_write_back - make a range of a persistent home durable
 *
 * Everything stored to it before is on the media when this returns.
 */
void hm_write_back(const void *address, size_t bytes)
{
	arch_wb_cache_pmem((void *)address, bytes);
	pmem_wmb();
}

/* Byte @offset of the pool, once it has pages. */
static void *store_address(struct hm_pool *pool, u64 offset)
{
	struct folio *folio = pool->ops->folio(pool, offset >> HM_EXTENT_SHIFT);

	return folio_address(folio) + (offset & (HM_EXTENT_BYTES - 1));
}

static void write_copy(struct hm_pool *pool, int which, size_t bytes)
{
	memcpy_flushcache(store_address(pool, (u64)which * HM_MEDIA_COPY_BYTES), pool->image,
			  bytes);
	pmem_wmb();
}

/* The header, and as much of the rest as the header says there is. */
static int read_copy(void *to, const void *from)
{
	const struct hm_media_header *h = to;
	u32 nr_regions, nr_slots;
	size_t rest;

	if (copy_mc_to_kernel(to, from, HM_MEDIA_HEADER_BYTES))
		return -EIO;
	nr_regions = le32_to_cpu(h->nr_regions);
	nr_slots = le32_to_cpu(h->nr_slots);
	/* hm_media_check() goes no further then either. */
	if (nr_regions > HM_MEDIA_MAX_REGIONS || nr_slots > HM_MEDIA_MAX_SLOTS)
		return 0;
	rest = hm_media_bytes(nr_regions, nr_slots) - HM_MEDIA_HEADER_BYTES;
	if (copy_mc_to_kernel(to + HM_MEDIA_HEADER_BYTES, from + HM_MEDIA_HEADER_BYTES, rest))
		return -EIO;
	return 0;
}

static int verdict_errno(enum hm_media_verdict verdict)
{
	switch (verdict) {
	case HM_MEDIA_OK:
	case HM_MEDIA_BLANK:
		return 0;
	case HM_MEDIA_NEWER:
		return -EPROTONOSUPPORT;
	case HM_MEDIA_FOREIGN:
	case HM_MEDIA_CORRUPT:
		break;
	}
	return -EUCLEAN;
}

static bool host_given(const u8 host[16])
{
	return memchr_inv(host, 0, 16);
}

/*
 * Another host had the pool and did not detach it: it may still be there. The same host
 * lost power.
 */
static bool held_elsewhere(const struct hm_media_header *h, const u8 host[16])
{
	return !(le32_to_cpu(h->flags) & HM_MEDIA_CLEAN) && host_given(h->host) &&
	       host_given(host) && memcmp(h->host, host, 16) != 0;
}

/**
 * hm_store_probe - read and judge a pool's superblocks, changing nothing
 * @state: HMEM_POOL_FORMATTED when it must be formatted, HMEM_POOL_REPAIRED when one copy
 *	is bad or old
 *
 * Leaves the superblock that counts in pool->image and what it says in @pool.
 *
 * Return: 0, -EUCLEAN, -EPROTONOSUPPORT, -EUSERS, -EIO, -ENOMEM, -EINVAL (too small).
 */
int hm_store_probe(struct hm_pool *pool, const struct hmem_pool_attach *arg, u32 *state)
{
	enum hm_media_verdict verdict[HM_MEDIA_COPIES], chosen;
	unsigned long *used[HM_MEDIA_COPIES] = {};
	void *image[HM_MEDIA_COPIES] = {};
	u64 seq[HM_MEDIA_COPIES] = {};
	struct hm_media_header *h;
	u64 data_offset;
	u8 *media;
	bool repair, unreadable = false;
	int which, error = 0;

	if (!hm_media_geometry(pool->bytes, &data_offset, &pool->nr_extents)) {
		pr_err("pool %s: %llu bytes are too few or too many for a pool\n",
		       dev_name(&pool->dev), pool->bytes);
		return -EINVAL;
	}
	pool->first = data_offset >> HM_EXTENT_SHIFT;
	pool->nr_free = pool->nr_extents;

	media = pool->ops->peek(pool, HM_MEDIA_COPIES * HM_MEDIA_COPY_BYTES);
	if (!media)
		return -ENOMEM;
	for (int i = 0; i < HM_MEDIA_COPIES; i++) {
		const char *why = "the memory reports an error";

		image[i] = vmalloc(HM_MEDIA_COPY_BYTES);
		used[i] = bitmap_zalloc(pool->nr_extents, GFP_KERNEL);
		if (!image[i] || !used[i]) {
			error = -ENOMEM;
			goto out;
		}
		if (read_copy(image[i], media + i * HM_MEDIA_COPY_BYTES)) {
			verdict[i] = HM_MEDIA_CORRUPT;
			unreadable = true;
		} else {
			verdict[i] = hm_media_check(image[i], pool->bytes, used[i], &why);
		}
		h = image[i];
		if (verdict[i] == HM_MEDIA_OK)
			seq[i] = le64_to_cpu(h->seq);
		else
			pr_info("pool %s: superblock copy %c: %s\n", dev_name(&pool->dev),
				'A' + i, why);
	}

	chosen = hm_media_choose(verdict[0], seq[0], verdict[1], seq[1], &which, &repair);
	if (arg->flags & HMEM_ATTACH_FORMAT)
		chosen = HM_MEDIA_BLANK;
	error = verdict_errno(chosen);
	if (error == -EUCLEAN && unreadable)
		error = -EIO;
	if (error == -EPROTONOSUPPORT)
		pr_err("pool %s: written by a newer version of hmem, left as it is\n",
		       dev_name(&pool->dev));
	else if (error == -EIO)
		pr_err("pool %s: the memory reports an error in its superblock, and there is no intact copy; left as it is\n",
		       dev_name(&pool->dev));
	else if (error)
		pr_err("pool %s: holds no intact hmem pool, left as it is; formatting it would lose what is there\n",
		       dev_name(&pool->dev));
	if (error)
		goto out;
	if (chosen == HM_MEDIA_BLANK) {
		*state |= HMEM_POOL_FORMATTED;
		swap(pool->image, image[0]);
		swap(pool->used, used[0]);
		bitmap_zero(pool->used, pool->nr_extents);
		goto out;
	}

	h = image[which];
	if (held_elsewhere(h, arg->host) && !(arg->flags & HMEM_ATTACH_TAKE_OVER)) {
		pr_err("pool %s: host %pUb did not detach it\n", dev_name(&pool->dev), h->host);
		error = -EUSERS;
		goto out;
	}
	if (repair) {
		pr_warn("pool %s: superblock copy %c is damaged or old, using copy %c\n",
			dev_name(&pool->dev), 'A' + !which, 'A' + which);
		*state |= HMEM_POOL_REPAIRED;
	}
	memcpy(pool->uuid, h->uuid, sizeof(pool->uuid));
	pool->seq = max(seq[0], seq[1]);
	pool->good = which;
	pool->next_gen = le32_to_cpu(h->next_gen);
	pool->nr_free -= bitmap_weight(used[which], pool->nr_extents);
	swap(pool->image, image[which]);
	swap(pool->used, used[which]);
out:
	for (int i = 0; i < HM_MEDIA_COPIES; i++) {
		vfree(image[i]);
		bitmap_free(used[i]);
	}
	pool->ops->unpeek(pool, media);
	return error;
}

/**
 * hm_store_format - make an empty pool of a claimed and mapped one
 *
 * What was there stops being a pool before it stops being readable: both headers go
 * first, then the tags, then the new superblock comes.
 */
int hm_store_format(struct hm_pool *pool)
{
	u64 offset, end = (u64)pool->first << HM_EXTENT_SHIFT;

	for (int i = 0; i < HM_MEDIA_COPIES; i++) {
		void *header = store_address(pool, (u64)i * HM_MEDIA_COPY_BYTES);

		memset(header, 0, HM_MEDIA_HEADER_BYTES);
		hm_write_back(header, HM_MEDIA_HEADER_BYTES);
	}
	for (offset = HM_MEDIA_TAGS_OFFSET; offset < end; offset += HM_EXTENT_BYTES) {
		void *tags = store_address(pool, offset);

		memset(tags, 0, HM_EXTENT_BYTES);
		hm_write_back(tags, HM_EXTENT_BYTES);
		cond_resched();
	}
	generate_random_uuid(pool->uuid);
	pool->next_gen = 1;
	pool->seq = 0;
	return hm_store_write(pool, false);
}

/**
 * hm_store_restore - make the regions that pool->image describes
 *
 * They have the pool as their only part, and are not published yet. Those that are on other pools
 * as well are withheld until hm_settle().
 *
 * Return: 0, -ENOMEM, or -EEXIST when there is a region of that name or identity.
 */
int hm_store_restore(struct hm_pool *pool)
{
	const struct hm_media_header *h = pool->image;
	const struct hm_media_region *records = pool->image + HM_MEDIA_HEADER_BYTES;
	u32 nr_regions = le32_to_cpu(h->nr_regions);
	const union hm_media_slot *slots = (const void *)(records + nr_regions);
	int error;

	lockdep_assert_held(&hm_lock);
	for (u32 i = 0; i < nr_regions; i++) {
		const struct hm_media_region *record = &records[i];
		struct hm_layout *layout;
		struct hm_region *region;

		if (record->flags & cpu_to_le32(HM_MEDIA_MOVING | HM_MEDIA_SHARED)) {
			error = hm_withhold_record(pool, record, slots);
			if (error)
				return error;
			slots += hm_media_record_slots(record);
			continue;
		}
		if (hm_region_find(record->name)) {
			pr_err("pool %s: another pool has a region %s already\n",
			       dev_name(&pool->dev), record->name);
			return -EEXIST;
		}
		if (hm_region_identified(record->uuid)) {
			pr_err("pool %s: region %s has the identity of another one that is there, %s; left as it is\n",
			       dev_name(&pool->dev), record->name,
			       dev_name(&hm_region_identified(record->uuid)->dev));
			return -EEXIST;
		}
		region = hm_store_region(record);
		if (IS_ERR(region))
			return PTR_ERR(region);
		hm_region_add(region, pool);
		layout = hm_store_layout(slots, le32_to_cpu(record->nr_runs), 0);
		if (!layout || hm_table_reach(&region->table, layout->nr_extents)) {
			kvfree(layout);
			return -ENOMEM;
		}
		rcu_assign_pointer(region->layout, layout);
		slots += layout->nr_runs;
		region->parts[0].nr_runs = layout->nr_runs;
		pool->nr_runs += layout->nr_runs;
		pool->nr_regions++;
	}
	return 0;
}

static const struct hm_layout *layout_of(const struct hm_region *region)
{
	return rcu_dereference_protected(region->layout, lockdep_is_held(&hm_lock));
}

/* Slots that all regions of a pool take; as if @changed had that layout. */
static u64 slots_of(const struct hm_pool *pool, const struct hm_region *changed,
		    const struct hm_layout *layout)
{
	const struct hm_withheld *w;
	const struct hm_part *part;
	u64 slots = 0;

	list_for_each_entry(part, &pool->parts, node)
		slots += hm_store_slots(part, part->region == changed ? layout :
						      layout_of(part->region));
	list_for_each_entry(w, &pool->withheld, node)
		slots += hm_media_record_slots(&w->record);
	return slots;
}

/**
 * hm_store_fits - whether the pool's region table can be written as it is in memory now
 * @changed: a region that gets another layout, or NULL
 * @layout: this
 */
bool hm_store_fits(const struct hm_pool *pool, const struct hm_region *changed,
		   const struct hm_layout *layout)
{
	return !pool->persistent || (pool->nr_regions <= HM_MEDIA_MAX_REGIONS &&
				     slots_of(pool, changed, layout) <= HM_MEDIA_MAX_SLOTS);
}

/* What is read back with a name or identity twice is refused, with all that is on the pool. */
static bool one_twice(const struct hm_pool *pool)
{
	const struct hm_part *part;

	list_for_each_entry(part, &pool->parts, node)
		if (part->nr_runs && hm_withheld_alike(pool, part->region))
			return true;
	return false;
}

/**
 * hm_store_write - make the pool's region table durable as it is in memory now
 * @clean: the pool is being detached
 *
 * Return: 0, -EMFILE when it does not fit, or -EUCLEAN when it could not be read back, which is a
 * bug; nothing was written then.
 */
int hm_store_write(struct hm_pool *pool, bool clean)
{
	struct hm_media_region *record = pool->image + HM_MEDIA_HEADER_BYTES;
	struct hm_media_header *h = pool->image;
	union hm_media_slot *slot;
	struct hm_withheld *w;
	struct hm_part *part;
	u32 nr_slots;
	size_t bytes;

	lockdep_assert_held(&hm_lock);
	if (!pool->persistent)
		return 0;
	if (!hm_store_fits(pool, NULL, NULL))
		return -EMFILE;
	if (WARN_ON_ONCE(one_twice(pool)))
		return -EUCLEAN;

	nr_slots = slots_of(pool, NULL, NULL);
	memset(pool->image, 0, hm_media_bytes(pool->nr_regions, nr_slots));
	slot = (void *)(record + pool->nr_regions);
	list_for_each_entry(part, &pool->parts, node) {
		if (part->nr_runs)
			slot = hm_store_record(record++, slot, part);
	}
	list_for_each_entry(w, &pool->withheld, node) {
		*record++ = w->record;
		memcpy(slot, w->slots, hm_media_record_slots(&w->record) * sizeof(*slot));
		slot += hm_media_record_slots(&w->record);
	}
	h->flags = cpu_to_le32(clean ? HM_MEDIA_CLEAN : 0);
	memcpy(h->uuid, pool->uuid, sizeof(h->uuid));
	memcpy(h->host, pool->host, sizeof(h->host));
	h->pool_bytes = cpu_to_le64(pool->bytes);
	h->data_offset = cpu_to_le64((u64)pool->first << HM_EXTENT_SHIFT);
	h->nr_extents = cpu_to_le32(pool->nr_extents);
	h->nr_regions = cpu_to_le32(pool->nr_regions);
	h->nr_slots = cpu_to_le32(nr_slots);
	h->next_gen = cpu_to_le32(pool->next_gen);
	h->seq = cpu_to_le64(++pool->seq);
	bytes = hm_media_seal(pool->image);
	/* The copy that may be the only good one goes last. */
	write_copy(pool, !pool->good, bytes);
	write_copy(pool, pool->good, bytes);
	return 0;
}

static u64 *tag_address(struct hm_pool *pool, u32 extent)
{
	return store_address(pool, HM_MEDIA_TAGS_OFFSET + (u64)extent * sizeof(u64));
}

/** hm_store_tag - what the media says about an extent; under its folio lock */
enum hm_media_tag_state hm_store_tag(struct hm_pool *pool, const struct hm_place *place)
{
	__le64 tag;

	if (copy_mc_to_kernel(&tag, tag_address(pool, place->index), sizeof(tag)))
		return HM_TAG_CORRUPT;
	return hm_media_tag_state(le64_to_cpu(tag), pool->uuid, place->index, place->gen);
}

/** hm_store_set_tag - record that an extent is prepared; its content is durable already */
void hm_store_set_tag(struct hm_pool *pool, const struct hm_place *place)
{
	__le64 *tag = (__le64 *)tag_address(pool, place->index);

	WRITE_ONCE(*tag, cpu_to_le64(hm_media_tag(pool->uuid, place->index, place->gen)));
	hm_write_back(tag, sizeof(*tag));
}
