/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is on persistent pools: read and written, and regions that wait for others of their pools.
 */
#ifndef HM_STORE_H
#define HM_STORE_H

#include "core.h"

/* Why nobody sees a region; as sysfs has it, in withheld_sysfs.c. */
enum hm_withheld_why {
	HM_WITHHELD_MISSING,	/* a pool is not there */
	HM_WITHHELD_NAME,	/* another region has its name */
	HM_WITHHELD_UUID,	/* one that has nothing to do with it has its identity */
	HM_WITHHELD_BROKEN,	/* what its pools say of it contradicts each other */
	HM_WITHHELD_READY,	/* nothing keeps it any more, but it could not be made */
};

/**
 * struct hm_withheld - what a pool has of a region that nobody sees until all its pools are there
 * @dev: in class hmem_withheld, while it is shown
 * @node: in pool->withheld
 * @pool: which has it; holds it
 * @going: a pool that goes, until the region is taken apart; then NULL
 * @shown: it is in sysfs
 * @looked: it has been dealt with
 * @broken: gather.c has found it so
 * @why: enum hm_withheld_why; read without a lock, as is @missing
 * @missing: one bit for each of its pools that is not there
 * @record: as it is on the media
 * @slots: of it
 */
struct hm_withheld {
	struct device dev;
	struct list_head node;
	struct hm_pool *pool;
	const struct hm_pool *going;
	bool shown;
	bool looked;
	bool broken;
	u8 why;
	u32 missing;
	struct hm_media_region record;
	union hm_media_slot slots[];
};

/* store.c */
int hm_store_probe(struct hm_pool *pool, const struct hmem_pool_attach *arg, u32 *state);
int hm_store_format(struct hm_pool *pool);
int hm_store_restore(struct hm_pool *pool);
int hm_store_write(struct hm_pool *pool, bool clean);
enum hm_media_tag_state hm_store_tag(struct hm_pool *pool, const struct hm_place *place);
void hm_store_set_tag(struct hm_pool *pool, const struct hm_place *place);
bool hm_store_fits(const struct hm_pool *pool, const struct hm_region *changed,
		   const struct hm_layout *layout);
void hm_write_back(const void *address, size_t bytes);

/* record.c */
u32 hm_sharers(const struct hm_region *region);
u32 hm_lost_parts(const struct hm_region *region);
u32 hm_used_parts(const struct hm_region *region);
bool hm_record_fits(const struct hm_region *region, const struct hm_layout *layout);
int hm_record_parts(struct hm_region *region, u32 parts);
int hm_record(struct hm_region *region, u32 first);
u32 hm_store_slots(const struct hm_part *part, const struct hm_layout *layout);
union hm_media_slot *hm_store_record(struct hm_media_region *record, union hm_media_slot *slots,
				     const struct hm_part *part);
struct hm_run hm_store_run(const struct hm_media_run *run, u8 part);
struct hm_layout *hm_store_layout(const union hm_media_slot *slots, u32 nr_runs, u8 part);
struct hm_region *hm_store_region(const struct hm_media_region *record);

/* withheld.c */
int hm_withhold_record(struct hm_pool *pool, const struct hm_media_region *record,
		       const union hm_media_slot *slots);
void hm_withhold(struct hm_pool *pool);
int hm_settle(struct hm_pool *pool);
void hm_withheld_forget(struct hm_withheld *w);
void hm_withheld_drop(struct hm_withheld *w);
void hm_withheld_free(struct hm_pool *pool);
bool hm_withheld_alike(const struct hm_pool *pool, const struct hm_region *region);
bool hm_withheld_named(const char *name);
bool hm_withheld_unsettled(const struct hm_pool *pool);
void hm_withheld_settled(const struct hm_pool *gone);
int hm_withheld_destroy(const char *name);
bool hm_withheld_ambiguous(const char *name, const struct hm_region *region);
void hm_withheld_retry(void);

/* withheld_sysfs.c */
u32 hm_withheld_pools(const struct hm_withheld *w);
const u8 *hm_withheld_pool(const struct hm_withheld *w, u32 number);
void hm_withheld_begin(struct hm_withheld *w, struct hm_pool *pool);
void hm_withheld_hide(struct hm_pool *pool);
enum hm_withheld_why hm_withheld_reason(const struct hm_withheld *w, u32 *missing);
void hm_withheld_review(void);
int hm_withheld_init(void);
void hm_withheld_exit(void);

/* gather.c */
struct hm_region *hm_region_identified(const u8 uuid[UUID_SIZE]);
bool hm_withheld_kin(const struct hm_withheld *w, const struct hm_region *region);
int hm_gather(struct hm_pool *coming);
int hm_gather_again(const u8 uuid[UUID_SIZE]);

/* rejoin.c */
struct hm_part *hm_lost_part(struct hm_region *region, const struct hm_pool *pool);
void hm_rejoin(struct hm_pool *pool);

#endif /* HM_STORE_H */
