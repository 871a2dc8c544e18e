/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The objects of hmem.ko and who protects what.
 *
 * A pool is claimed memory, cut into extents of 2 MiB. A region is a device and an
 * address space; it has parts, one for each pool that it is on, and its layout says which
 * extents of those are its own, as runs. An extent gets a struct hm_extent when it is touched
 * first.
 *
 * Locks, outermost first (Documentation/locking.md has the reasons):
 *
 *   device_lock of a CXL device    taken by the CXL core, and by attach
 *   hm_lock                        the registry: pools, regions, names, carving and
 *                                  superblocks; everything that CAP_SYS_ADMIN does
 *   hm_region.tier_lock            a region's policy
 *   hm_near_share_lock (near_share.c)  who shares DRAM with whom
 *   hm_tracker.lock                drives the policy engine
 *   mmap_lock                      taken by the core before a fault
 *   hm_srcu (read side)            keeps region->layout and an extent in place
 *   folio lock of an extent's home its state, its near copy, and its mapping and index
 *   folio lock of its near copy    that what a fault returned gets mapped
 *   i_mmap, page table locks       inside unmap_mapping_range()
 *
 * hm_open_lock is a leaf spinlock: how often each region is open, and whether it is
 * dead; hm_region.touch_lock is another. User memory is never touched under any of
 * them: read(2) and write(2) hold a folio reference instead.
 */
#ifndef HM_CORE_H
#define HM_CORE_H

#include <linux/cdev.h>
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/srcu.h>
#include <linux/uuid.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <uapi/linux/hmem.h>

#include "compat.h"
#include "media.h"
#include "policy.h"

#define HM_EXTENT_SHIFT		HM_MEDIA_EXTENT_SHIFT
#define HM_EXTENT_BYTES		(1UL << HM_EXTENT_SHIFT)
#define HM_EXTENT_ORDER		(HM_EXTENT_SHIFT - PAGE_SHIFT)
#define HM_EXTENT_PAGES		(1UL << HM_EXTENT_ORDER)

struct hm_pool;
struct hm_region;
struct hm_tracker;
struct hm_events;
struct poll_table_struct;

/**
 * struct hm_pool_ops - where a pool's memory comes from; one file each
 * @name: as sysfs shows it
 * @prepare: find the source and take what must be taken before hm_lock; fills in
 *	persistent, bytes, nid
 * @unprepare: let go of what @prepare locked, whether the pool was attached or not
 * @claim: take the memory exclusively
 * @unclaim: undo @claim
 * @free: forget the source; the last call on a pool that was prepared
 * @peek: persistent: map the pool's first bytes for reading before @map; NULL
 *	otherwise
 * @unpeek: undo @peek
 * @map: give the memory pages
 * @unmap: undo @map; no page is mapped, pinned or in use any more
 * @folio: folio number @index counted from the pool's first byte; after @map
 * @find: the number of a page of the pool counted so, or -1 when it is not one of it; after @map
 *
 * Of these, @claim, @peek and @map run under hm_lock; @unmap and @unclaim also run
 * without it, when the memory goes away.
 */
struct hm_pool_ops {
	const char *name;
	int (*prepare)(struct hm_pool *pool, const struct hmem_pool_attach *arg);
	void (*unprepare)(struct hm_pool *pool);
	int (*claim)(struct hm_pool *pool);
	void (*unclaim)(struct hm_pool *pool);
	void (*free)(struct hm_pool *pool);
	void *(*peek)(struct hm_pool *pool, size_t bytes);
	void (*unpeek)(struct hm_pool *pool, void *address);
	int (*map)(struct hm_pool *pool);
	void (*unmap)(struct hm_pool *pool);
	struct folio *(*folio)(struct hm_pool *pool, u32 index);
	long (*find)(struct hm_pool *pool, unsigned long pfn);
};

/**
 * struct hm_pool - claimed memory
 * @dev: in class hmem_pool
 * @node: in hm_pools
 * @parts: of regions: what they have, or may get, of it
 * @withheld: regions that are on other pools as well, of which one is not there
 * @ops: provider
 * @provider: the provider's own
 * @source: what it was claimed from
 * @persistent: has a superblock
 * @bytes: all of its memory
 * @nid: NUMA node
 * @first: folio number of extent 0: what lies before is the superblock's
 * @nr_extents: extents
 * @nr_free: extents that no region has
 * @nr_regions: regions with extents on it
 * @nr_runs: runs of all its regions
 * @used: one bit an extent
 * @bad: pages whose memory reports errors (poison.c), counted from extent 0
 * @gone: its memory is being taken away; every use fails from now on
 * @draining: nothing new is carved from it
 * @released: completed when the memory was given back after @gone
 * @uuid: identity of a persistent pool
 * @host: who attached it
 * @next_gen: generation of the next run
 * @seq: sequence number of the last superblock written
 * @good: the copy that is known to be intact, and so is written last
 * @costs: what was measured of it when it was claimed; 0 where nothing was
 * @image: persistent: HM_MEDIA_COPY_BYTES to build a superblock in
 *
 * Fields without another note are under hm_lock or do not change.
 */
struct hm_pool {
	struct device dev;
	struct list_head node;
	struct list_head parts;
	struct list_head withheld;
	const struct hm_pool_ops *ops;
	void *provider;
	char source[HMEM_NAME_LEN];
	bool persistent;
	u64 bytes;
	int nid;
	u32 first;
	u32 nr_extents;
	u32 nr_free;
	u32 nr_regions;
	u32 nr_runs;
	unsigned long *used;
	struct xarray bad;
	bool gone;
	bool draining;
	struct completion released;

	u8 uuid[UUID_SIZE];
	u8 host[16];
	u32 next_gen;
	u64 seq;
	int good;
	struct hm_policy_costs costs;
	void *image;
};

/* Pools that one region can be on. */
#define HM_MAX_PARTS	HMEM_REGION_POOLS
static_assert(HM_MAX_PARTS == HM_MEDIA_MAX_POOLS);

/**
 * struct hm_part - what a region has, or may get, of a pool
 * @node: in pool->parts; of a pool that is gone, its revocation's
 * @region: whose
 * @pool: holds a reference; NULL: none of the region's. Under hm_srcu, written under hm_lock
 * @nr_runs: runs of the region there
 * @lost: the pool's memory is gone, and the region lives on without it; read under hm_srcu
 */
struct hm_part {
	struct list_head node;
	struct hm_region *region;
	struct hm_pool *pool;
	u32 nr_runs;
	bool lost;
};

/* Extents that follow one another on a pool, and at equal distances in a region. */
struct hm_run {
	u32 first;	/* index in the region of the first */
	u32 stride;	/* and from each to the next */
	u32 start;	/* index on the pool */
	u32 count;
	u32 gen;
	u8 part;	/* which pool: index in region->parts */
	bool taken;	/* for the layout that is being made */
};

/**
 * struct hm_layout - a region's size and runs; replaced as a whole, read under hm_srcu
 * @nr_extents: its size
 * @nr_runs: how many there are in @runs
 * @ordered: the runs follow one another
 * @leaving: what it still has on pools that are drained, or NULL: of each extent that is there
 *	@runs has the place where it belongs. Under hm_lock.
 * @runs: which extents of which pools are its own
 */
struct hm_layout {
	u32 nr_extents;
	u32 nr_runs;
	bool ordered;
	struct hm_layout *leaving;
	struct hm_run runs[];
};

/* Where an extent of a region is. */
struct hm_place {
	u32 index;	/* on the pool */
	u32 gen;
	u8 part;
};

/* Why nobody sees a region; as sysfs has it, in withheld_sysfs.c. */
enum hm_withheld_why {
	HM_WITHHELD_MISSING,	/* a pool is not there */
	HM_WITHHELD_NAME,	/* another region has its name */
	HM_WITHHELD_BROKEN,	/* what its pools say of it contradicts each other */
};

/**
 * struct hm_withheld - what a pool has of a region that nobody sees until all its pools are there
 * @dev: in class hmem_withheld, while it is shown
 * @node: in pool->withheld
 * @pool: which has it; holds it
 * @going: a pool that goes, until the region is taken apart; then NULL
 * @shown: it is in sysfs
 * @looked: gather.c has dealt with it
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
	u8 why;
	u32 missing;
	struct hm_media_region record;
	union hm_media_slot slots[];
};

enum hm_extent_state {
	HM_EXTENT_UNKNOWN,	/* whether it must be zeroed has not been found out */
	HM_EXTENT_READY,	/* holds the region's data */
	HM_EXTENT_FAILED,	/* its tag is damaged: what it holds cannot be told */
};

/* In hm_extent.flags */
#define HM_EXTENT_MOVING	(1U << 0)	/* somebody is making a copy, and nobody else may */
#define HM_EXTENT_DIRTY		(1U << 1)	/* its near copy has what its home has not */
#define HM_EXTENT_RANKED	(1U << 2)	/* the policy counts it */
#define HM_EXTENT_KEEP_NEAR	(1U << 3)	/* whoever asked for it wants it near */
#define HM_EXTENT_KEEP_HOME	(1U << 4)	/* ... at home */
#define HM_EXTENT_STORED	(1U << 5)	/* somebody stored since the copy was begun */
#define HM_EXTENT_BAD		(1U << 6)	/* it has pages that are bad (poison.c) */
#define HM_EXTENT_KEEP		(HM_EXTENT_KEEP_NEAR | HM_EXTENT_KEEP_HOME)

/* In hm_extent.front: it is a table of pages and no folio. */
#define HM_FRONT_PAGES		1UL

/**
 * struct hm_extent - an extent of a region
 * @home: where its data lives for good, NULL until it is touched
 * @front: what lies in front of its home: nothing, a near copy (hm_near()), or the table of its
 *	pages (hm_pages()), each of which may have a copy of its own
 * @index: its number on its pool
 * @gen: generation of the run that it belongs to
 * @part: which pool: index in region->parts
 * @state: enum hm_extent_state, what is known of it
 * @flags: HM_EXTENT_*
 * @heat: what the policy knows of it
 *
 * All of it is written under the home's folio lock, but for @home going back to NULL when
 * the extent can no longer be locked.
 */
struct hm_extent {
	struct folio *home;
	unsigned long front;
	u32 index;
	u32 gen;
	u8 part;
	u8 state;
	u8 flags;
	struct hm_heat heat;
};

/* The near copy of a whole extent, which then is what is mapped, read and written; or NULL. */
static inline struct folio *hm_near(const struct hm_extent *extent)
{
	unsigned long front = READ_ONCE(extent->front);

	return front & HM_FRONT_PAGES ? NULL : (struct folio *)front;
}

/* The words of a split extent's HM_EXTENT_PAGES pages (split.c); NULL when it is whole. */
static inline u64 *hm_pages(const struct hm_extent *extent)
{
	unsigned long front = READ_ONCE(extent->front);

	return front & HM_FRONT_PAGES ? (u64 *)(front & ~HM_FRONT_PAGES) : NULL;
}

/* The word of a page of a split extent; above these bits are the policy's. */
#define HM_PAGE_PFN		GENMASK_ULL(39, 0)	/* its near copy, 0: it has none */
#define HM_PAGE_DIRTY		BIT_ULL(40)		/* which has what its home has not */
#define HM_PAGE_RANKED_NEAR	BIT_ULL(41)		/* the policy counts it as near */

/**
 * struct hm_copy - what is near of an extent, as the shrinker sees it; pressure.c
 * @lru: on the list of its node and cgroup while anything is near
 * @extent: which
 * @index: its number in the region
 * @near: pages
 * @dirty: pages of them that differ from their home
 *
 * A near copy has it in folio->private, a table of pages in page->private. Written under the
 * lock of the extent's home.
 */
struct hm_copy {
	struct list_head lru;
	struct hm_extent *extent;
	u32 index;
	u16 near;
	u16 dirty;
};

/* Of an extent with something in front of its home, which is locked. */
static inline struct hm_copy *hm_copy_of(const struct hm_extent *extent)
{
	u64 *pages = hm_pages(extent);

	return pages ? (struct hm_copy *)virt_to_page(pages)->private : hm_near(extent)->private;
}

#define HM_LEAF_EXTENTS		64U
#define HM_MIDDLE_LEAVES	512U

/* Finds an extent by its number in the region; table.c. */
struct hm_table {
	struct hm_extent ***root;
	u32 nr_middles;
};

/**
 * struct hm_near - the near copies of a region
 * @max: pages that they may take; written under region->tier_lock
 * @share: pages that they may take while regions share DRAM (near_share.c), else LONG_MAX
 * @pages: pages that they take, those included that are just being made
 * @dirty: pages of them that differ from their home
 * @promoted: pages of near copies made
 * @demoted: pages of near copies given up
 * @aborted: pages copied in vain
 * @copied: bytes copied
 * @copy_ns: nanoseconds that it took
 * @pressed: jiffies when memory was short last, or 0
 * @starved: jiffies when there was no DRAM for them last, or 0
 */
struct hm_near {
	long max;
	long share;
	atomic_long_t pages;
	atomic_long_t dirty;
	atomic64_t promoted;
	atomic64_t demoted;
	atomic64_t aborted;
	atomic64_t copied;
	atomic64_t copy_ns;
	unsigned long pressed;
	unsigned long starved;
};

/* Pages that a region's near copies may take now. */
static inline long hm_near_bound(const struct hm_near *near)
{
	return min(READ_ONCE(near->max), READ_ONCE(near->share));
}

/**
 * struct hm_region - a named address space
 * @dev: in class hmem; its device number is /dev/hmem/NAME
 * @cdev: what open(2) reaches
 * @node: in hm_regions
 * @parts: the pools that it is on, or may grow on, in the order in which they are filled
 * @spread: it is spread over them
 * @pins: created for long-term pins: all its mappings are plain (file.c)
 * @persistent: its homes survive power loss
 * @inode: owner of the address space that every mapping belongs to
 * @layout: under hm_srcu, written under hm_lock
 * @table: index in the region to struct hm_extent
 * @touch_lock: leaf: an extent gets its home
 * @uuid: identity
 * @uid: owner
 * @gid: group
 * @mode: permission bits
 * @open: files open on it, mappings included; under hm_open_lock
 * @opens: how often it was opened; under hm_open_lock
 * @dead: destroyed, detached or revoked; under hm_open_lock, read under hm_srcu
 * @linger: waits for pages that stay pinned after the last close
 * @faults: faults served
 * @events: what happened to it
 * @bad: pages that cannot be read where they are (poison.c)
 * @nr_touched: extents that have a home
 * @near: its near copies
 * @memcg: whom near copies are charged to: its creator's, or who attached its pool
 * @plain: it was mapped by somebody whose stores are not told of; never taken back
 * @tier_lock: serialises changes of what follows, and of @near.max
 * @policy_mode: what is done by itself
 * @knobs: of the policy
 * @paused: while it is not 0 nothing is done, whatever @policy_mode: so many change its size or
 *	extents, or take it apart
 * @tracker: while @policy_mode is not HMEM_POLICY_OFF and it is not paused; under hm_srcu
 */
struct hm_region {
	struct device dev;
	struct cdev cdev;
	struct list_head node;
	struct hm_part parts[HM_MAX_PARTS];
	bool spread;
	bool pins;
	bool persistent;
	struct inode *inode;
	struct hm_layout __rcu *layout;
	struct hm_table table;
	spinlock_t touch_lock;
	u8 uuid[UUID_SIZE];
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
	unsigned int open;
	unsigned int opens;
	bool dead;
	struct delayed_work linger;
	atomic64_t faults;
	atomic64_t nr_touched;
	struct hm_events *events;
	struct xarray bad;
	struct hm_near near;
	struct mem_cgroup *memcg;
	bool plain;
	struct mutex tier_lock;
	enum hmem_policy_mode policy_mode;
	unsigned int paused;
	struct hm_policy_knobs knobs;
	struct hm_tracker __rcu *tracker;
};

/**
 * struct hm_file - an open file of a region
 * @region: which
 * @vm_ops: of all its mappings, once there was one
 * @seen: number of the last event that it was told; those from before open(2) count as told
 */
struct hm_file {
	struct hm_region *region;
	const struct vm_operations_struct *vm_ops;
	u64 seen;
};

#define to_hm_pool(d)	container_of(d, struct hm_pool, dev)
#define to_hm_region(d)	container_of(d, struct hm_region, dev)

extern struct mutex hm_lock;
extern spinlock_t hm_open_lock;
extern struct list_head hm_pools;
extern struct list_head hm_regions;
extern struct srcu_struct hm_srcu;
/* Emptied before the module goes: what runs on it may hold the module's last reference. */
extern struct workqueue_struct *hm_wq;

/* ioctl.c */
extern const struct file_operations hm_control_fops;
long hm_region_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* pool.c */
int hm_pool_attach(struct hmem_pool_attach *arg);
int hm_pool_detach(const struct hmem_pool_detach *arg);
void hm_pool_revoke(bool (*match)(struct hm_pool *pool, const void *data), const void *data);
void hm_pools_release(void);
struct hm_pool *hm_pool_find(const char *name);
struct hm_pool *hm_pool_identified(const u8 uuid[UUID_SIZE], struct hm_pool *coming);
int hm_pools_init(void);
void hm_pools_exit(void);

/* carve.c */
struct hm_layout *hm_carve(struct hm_region *region, const struct hm_layout *old, u32 nr_extents);
struct hm_layout *hm_carve_away(struct hm_region *region, const struct hm_layout *old, u8 from);
void hm_uncarve_left(struct hm_region *region, const struct hm_layout *layout, u8 from);
struct hm_layout *hm_layout_without(const struct hm_layout *old, u8 from);
u64 hm_room_elsewhere(const struct hm_pool *pool);
u32 hm_part_room(const struct hm_part *part);
void hm_layout_free(struct hm_layout *layout);
void hm_uncarve(struct hm_region *region, const struct hm_layout *layout, u32 from);
void hm_layout_order(struct hm_layout *layout);
struct hm_layout *hm_layout_cut(const struct hm_layout *old, u32 nr_extents);
bool hm_layout_place(const struct hm_layout *layout, u32 index, struct hm_place *place);
bool hm_layout_left(const struct hm_layout *layout, u32 index, struct hm_place *place);
bool hm_moving(const struct hm_region *region);

/* store.c */
int hm_store_probe(struct hm_pool *pool, const struct hmem_pool_attach *arg, u32 *state);
int hm_store_format(struct hm_pool *pool);
int hm_store_restore(struct hm_pool *pool);
int hm_store_write(struct hm_pool *pool, bool clean);
enum hm_media_tag_state hm_store_tag(struct hm_pool *pool, const struct hm_place *place);
void hm_store_set_tag(struct hm_pool *pool, const struct hm_place *place);
bool hm_store_fits(const struct hm_pool *pool);
void hm_write_back(const void *address, size_t bytes);

/* record.c */
u32 hm_sharers(const struct hm_region *region);
u32 hm_store_slots(const struct hm_part *part);
union hm_media_slot *hm_store_record(struct hm_media_region *record, union hm_media_slot *slots,
				     const struct hm_part *part);
struct hm_run hm_store_run(const struct hm_media_run *run, u8 part);
struct hm_layout *hm_store_layout(const union hm_media_slot *slots, u32 nr_runs, u8 part);
struct hm_region *hm_store_region(const struct hm_media_region *record);

/* choose.c: pools for a new region, in the order in which they are filled. */
struct hm_choice {
	struct hm_pool *pools[HM_MAX_PARTS];
	u32 nr_pools;
};

int hm_choose(struct hm_choice *choice, const struct hmem_region_create *arg,
	      const char (*names)[HMEM_NAME_LEN], u64 extents);

/* region.c */
int hm_region_create(struct hmem_region_create *arg, const char (*names)[HMEM_NAME_LEN]);
int hm_region_resize(struct hmem_region_resize *arg);
int hm_region_destroy(const struct hmem_region_destroy *arg);
int hm_region_query(struct hm_region *region, struct hmem_region_query *info);
struct hm_region *hm_region_alloc(const char *name, bool persistent);
int hm_region_add(struct hm_region *region, struct hm_pool *pool);
void hm_region_leave(struct hm_part *part);
struct hm_pool *hm_region_pool(const struct hm_region *region);

/* region_sysfs.c */
extern const struct attribute_group *hm_region_groups[];
int hm_region_nid(const struct hm_region *region);

/* region.c */
int hm_region_publish(struct hm_region *region);
void hm_region_unpublish(struct hm_region *region);
void hm_region_drop(struct hm_region *region);
void hm_region_withdraw(struct hm_region *region, const struct hm_part *but);
void hm_regions_leave(struct hm_pool *pool);
struct hm_region *hm_region_find(const char *name);
int hm_regions_init(void);
void hm_regions_exit(void);

/* extent.c */
struct hm_extent *hm_extent_lock_as_is(struct hm_region *region, u32 index);
struct hm_extent *hm_extent_lock(struct hm_region *region, u32 index);
struct folio *hm_extent_lock_home(struct hm_extent *extent);
struct page *hm_extent_get(struct hm_region *region, pgoff_t pgoff, bool *alone);
struct page *hm_extent_get_to_store(struct hm_region *region, pgoff_t pgoff,
				    const struct folio *held, bool *alone);
void hm_extent_unmap(struct hm_region *region, u32 index);
void hm_extents_zap(struct hm_region *region, u32 from);
bool hm_extents_pinned(struct hm_region *region, u32 from);
void hm_extents_wait(struct hm_region *region);
void hm_extents_forget(struct hm_region *region, u32 from);
void hm_extents_lose(struct hm_region *region, u8 part);
void hm_extents_write_back(struct hm_region *region);
/* Where the home of a touched extent is. It is locked, or it is under hm_srcu. */
static inline struct hm_pool *hm_extent_pool(const struct hm_region *region,
					     const struct hm_extent *extent)
{
	return region->parts[extent->part].pool;
}

static inline struct hm_place hm_extent_place(const struct hm_extent *extent)
{
	return (struct hm_place){ .index = extent->index, .gen = extent->gen,
				  .part = extent->part };
}

/* Whether the memory of its home is gone. The home is locked, or it is under hm_srcu. */
static inline bool hm_extent_lost(const struct hm_region *region, const struct hm_extent *extent)
{
	return READ_ONCE(region->parts[extent->part].lost);
}

/* What hm_extent_lock() said of an extent that was to be moved. */
static inline enum hmem_moved hm_extent_unmoved(const struct hm_extent *extent,
						enum hmem_moved otherwise)
{
	return PTR_ERR(extent) == -EIO || PTR_ERR(extent) == -EHWPOISON ? HMEM_MOVED_POISONED :
									  otherwise;
}

static inline void *hm_extent_address(const struct hm_extent *extent)
{
	return folio_address(extent->home);
}

/* dram.c */
struct folio *hm_dram_get(struct hm_region *region, unsigned int order);
void hm_dram_put(struct hm_region *region, struct folio *folio);

/* near_share.c */
bool hm_near_share_take(struct hm_region *region, long pages);
void hm_near_share_give(long pages);
void hm_near_share_starved(struct hm_region *region);
void hm_near_share_exit(void);

/* near.c */
bool hm_pinned(struct folio *folio, int own);
int hm_near_store(struct hm_region *region, struct hm_extent *extent, u32 index,
		  const struct folio *held);
enum hmem_moved hm_near_promote(struct hm_region *region, u32 index, bool force);
enum hmem_moved hm_near_demote(struct hm_region *region, u32 index, bool force);
unsigned int hm_near_yield(struct hm_region *region, struct hm_extent *extent, u32 index);
void hm_near_drop(struct hm_region *region, struct hm_extent *extent);

/* measure.c */
void hm_measure(struct hm_pool *pool);
void hm_measured(struct hm_region *region, struct hm_policy_costs *costs);

/* split.c */
enum hmem_moved hm_split(struct hm_region *region, u32 index);
u64 *hm_pages_detach(struct hm_extent *extent);
void hm_pages_free(u64 *pages);
int hm_pages_store(struct hm_region *region, struct hm_extent *extent, pgoff_t pgoff,
		   const struct folio *held);
void hm_pages_move(struct hm_region *region, struct hm_extent *extent, u32 index,
		   const struct hm_policy_pages *asked, struct hm_policy_pages *done);
enum hmem_moved hm_pages_go_home(struct hm_region *region, struct hm_extent *extent, u32 index);
bool hm_pages_discard(struct hm_region *region, struct hm_extent *extent, u32 index, u32 page);
unsigned int hm_pages_yield(struct hm_region *region, struct hm_extent *extent, u32 index,
			    bool dirty);
void hm_pages_drop(struct hm_region *region, struct hm_extent *extent);
struct folio *hm_near_next(const struct hm_extent *extent, u32 *page);
static inline struct folio *hm_page_near(const u64 *pages, u32 page)
{
	return pages[page] & HM_PAGE_PFN ? pfn_folio(pages[page] & HM_PAGE_PFN) : NULL;
}

/* What lies in front of a page of an extent whose home is locked; or NULL. */
static inline struct folio *hm_near_of(const struct hm_extent *extent, u32 page)
{
	const u64 *pages = hm_pages(extent);

	return pages ? hm_page_near(pages, page) : hm_near(extent);
}

/* Every folio that lies in front of an extent's home, which is locked. */
#define hm_near_for_each(extent, near, page) \
	for (page = 0; ((near) = hm_near_next(extent, &(page))); (page)++)

/* scan.c */
bool hm_can_scan(void);
void hm_scan(struct hm_region *region, u32 index, u64 *accessed, struct cpumask *cpus);
void hm_scan_flush(struct cpumask *cpus);

/* place.c */
bool hm_place_untouched(const struct hm_region *region, const struct hm_layout *layout, u32 index,
			struct hm_place *place);
bool hm_place_now(struct hm_region *region, const struct hm_layout *layout, u32 index,
		  struct hm_place *place);
bool hm_place_same(const struct hm_place *a, const struct hm_place *b);
struct hm_region *hm_place_owner(struct hm_pool *pool, u32 extent, u32 *index);

/* rehome.c */
enum hmem_moved hm_extent_rehome(struct hm_region *region, struct hm_extent *extent, u32 index,
				 const struct hm_place *place);

/* withheld.c */
int hm_withhold_record(struct hm_pool *pool, const struct hm_media_region *record,
		       const union hm_media_slot *slots);
void hm_withhold(struct hm_pool *pool);
int hm_settle(struct hm_pool *pool);
void hm_withheld_forget(struct hm_withheld *w);
void hm_withheld_drop(struct hm_withheld *w);
void hm_withheld_free(struct hm_pool *pool);
bool hm_withheld_named(const char *name);
bool hm_withheld_unsettled(const struct hm_pool *pool);
void hm_withheld_settled(const struct hm_pool *gone);
int hm_withheld_destroy(const char *name);

/* withheld_sysfs.c */
u32 hm_withheld_pools(const struct hm_withheld *w);
const u8 *hm_withheld_pool(const struct hm_withheld *w, u32 number);
void hm_withheld_begin(struct hm_withheld *w, struct hm_pool *pool);
void hm_withheld_hide(struct hm_pool *pool);
void hm_withheld_review(void);
int hm_withheld_init(void);
void hm_withheld_exit(void);

/* gather.c */
int hm_gather(struct hm_pool *coming);
void hm_rejoin(struct hm_pool *pool);

/* drain.c */
int hm_pool_drain(struct hmem_pool_drain *arg);

/* pressure.c */
struct hm_copy *hm_copy_alloc(struct hm_region *region, struct hm_extent *extent, u32 index);
void hm_copy_free(struct hm_copy *copy);
void hm_copy_count(struct hm_copy *copy, int near, int dirty);
int hm_pressure_init(void);
void hm_pressure_exit(void);

/* heat.c */
int hm_heat_set(struct hm_region *region, enum hmem_policy_mode mode);
void hm_heat_stop(struct hm_region *region);
enum hmem_moved hm_heat_make_whole(struct hm_region *region, struct hm_extent *extent, u32 index,
				   u32 *near);
void hm_heat_touched(struct hm_region *region, struct hm_extent *extent, u32 index, u32 page);
void hm_heat_stats(struct hm_region *region, struct hmem_stats *arg);
int hm_heat_get(struct hm_region *region, struct hmem_heat *arg);

/* tier.c */
int hm_tier_migrate(struct hm_region *region, struct hmem_migrate *arg);
int hm_tier_pin(struct hm_region *region, struct hmem_pin *arg);
int hm_tier_policy(struct hm_region *region, struct hmem_policy *arg);
int hm_tier_stats(struct hm_region *region, struct hmem_stats *arg);
void hm_tier_pause(struct hm_region *region);
int hm_tier_resume(struct hm_region *region);

/* event.c */
struct hm_events *hm_events_alloc(void);
void hm_event(struct hm_region *region, enum hmem_event_type type, u64 offset, u64 bytes);
void hm_events_wake(struct hm_region *region);
u64 hm_events_last(struct hm_region *region);
int hm_events_get(struct hm_file *file, struct hmem_wait *arg);
__poll_t hm_events_poll(struct hm_file *file, struct file *filp, struct poll_table_struct *table);

/* poison.c */

/* In region->bad */
#define HM_BAD_LOST	1UL	/* the page's data are lost */
#define HM_BAD_NEAR	2UL	/* they are at home, and its near copy is not to be read */
/* Beside them, in what hm_poison_of_page() returns: its home is bad. */
#define HM_BAD_HOME	4UL

static inline unsigned long hm_bad_bits(struct hm_region *region, pgoff_t pgoff)
{
	void *entry = xa_load(&region->bad, pgoff);

	return entry ? xa_to_value(entry) : 0;
}

int hm_poison_check(struct hm_region *region, struct hm_extent *extent, pgoff_t pgoff, bool store);
size_t hm_poison_room(struct hm_region *region, loff_t position, size_t bytes,
		      const struct folio *folio);
void hm_poison_refresh(struct hm_region *region, struct hm_extent *extent, u32 index);
bool hm_home_bad(struct hm_pool *pool, u32 index, u32 page);
void hm_home_write_back(struct hm_pool *pool, u32 index, size_t from, size_t bytes);
void hm_poison_skip(struct hm_region *region, const struct hm_extent *extent, u32 index,
		    enum hmem_place place, unsigned long *skip);
bool hm_poison_keeps(struct hm_region *region, const struct hm_extent *extent, u32 index);
bool hm_poison_met(struct hm_region *region, struct hm_extent *extent, u32 index,
		   enum hmem_place place, const unsigned long *skip, const unsigned long *met);
void hm_poison_home(struct hm_region *region, struct hm_extent *extent, u32 index);
unsigned int hm_poison_of_page(struct hm_region *region, const struct hm_extent *extent, u32 page);
bool hm_poison_met_page(struct hm_region *region, struct hm_extent *extent, u32 page,
			enum hmem_place place);
void hm_poison_left(struct hm_region *region, struct hm_extent *extent, u32 page);
void hm_poison_forget(struct hm_region *region, u32 from);
bool hm_folio_bad(struct folio *folio);
void hm_folio_free(struct folio *folio);
bool hm_poison_in(struct hm_pool *pool, u32 index);

/* poison_heard.c */
int hm_poison_mark(struct hm_pool *pool, unsigned long page);
bool hm_poison_tell(struct hm_pool *pool, unsigned long page, unsigned long pages);
void hm_poison_retire(struct hm_pool *pool);
int hm_poison_failure(struct hm_pool *pool, unsigned long page);
int hm_poison_init(void);
void hm_poison_exit(void);

/* poison_request.c */
int hm_pool_poison(struct hmem_pool_poison *arg);
int hm_region_poison(struct hm_region *region, struct hmem_poison *arg);

/* table.c */
int hm_table_reach(struct hm_table *table, u32 nr_extents);
void hm_table_free(struct hm_table *table);
struct hm_extent *hm_table_make(struct hm_table *table, u32 index);
struct hm_extent *hm_table_next(struct hm_table *table, u32 *index);
static inline struct hm_extent *hm_table_find(struct hm_table *table, u32 index)
{
	u32 leaf = index / HM_LEAF_EXTENTS;
	struct hm_extent ***root = READ_ONCE(table->root);
	struct hm_extent **middle = READ_ONCE(root[leaf / HM_MIDDLE_LEAVES]);
	struct hm_extent *extents;

	extents = middle ? READ_ONCE(middle[leaf % HM_MIDDLE_LEAVES]) : NULL;
	return extents ? &extents[index % HM_LEAF_EXTENTS] : NULL;
}

/* Every touched extent from @from on; under hm_srcu, or when none can be touched. */
#define hm_table_for_each(table, index, extent, from) \
	for (index = (from); ((extent) = hm_table_next(table, &(index))); (index)++)

/* file.c */
extern const struct file_operations hm_region_fops;
void hm_region_linger(struct work_struct *work);

/* inode.c */
struct inode *hm_inode_new(void);
int hm_inodes_init(void);
void hm_inodes_exit(void);

/* pool_cxl.c, pool_ram.c */
extern const struct hm_pool_ops hm_cxl_ops;
extern const struct hm_pool_ops hm_ram_ops;
void hm_cxl_exit(void);

static inline struct folio *hm_pool_folio(struct hm_pool *pool, u32 index)
{
	return pool->ops->folio(pool, pool->first + index);
}

#endif /* HM_CORE_H */
