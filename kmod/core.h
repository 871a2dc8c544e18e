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
 * dead; hm_region.touch_lock and hm_mover.lock are others. User memory is never touched under any of
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
	bool coming;	/* its extents are in layout->leaving as well */
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
 * @gone: extents that had data on a pool that they were leaving, and were lost with that
 * @nr_touched: extents that have a home
 * @near: its near copies
 * @memcg: whom near copies are charged to: its creator's, or who attached its pool
 * @plain: it was mapped by somebody whose stores are not told of; never taken back
 * @tier_lock: serialises changes of what follows, and of @near.max
 * @policy_mode: what is done by itself
 * @knobs: of the policy
 * @paused: while it is not 0 nothing is done, whatever @policy_mode: so many take it apart, or
 *	what it has lost
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
	struct xarray gone;
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
 * struct hm_mover - a range that is moved while nobody waits
 * @lock: a leaf; protects what follows but @work
 * @work: moves it on by a turn
 * @arg: what is moved, how far it is and what became of that; its size is 0 when there was none
 * @error: that ended it
 * @running: it has not come to its end
 */
struct hm_mover {
	spinlock_t lock;
	struct work_struct work;
	struct hmem_migrate arg;
	int error;
	bool running;
};

/**
 * struct hm_file - an open file of a region
 * @region: which
 * @vm_ops: of all its mappings, once there was one
 * @seen: number of the last event that it was told; those from before open(2) count as told
 * @mover: what HMEM_MIGRATE_ASYNC began on it
 */
struct hm_file {
	struct hm_region *region;
	const struct vm_operations_struct *vm_ops;
	u64 seen;
	struct hm_mover mover;
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

/* drain.c */
int hm_pool_drain(struct hmem_pool_drain *arg, u32 room);

/* region.c */
int hm_region_create(struct hmem_region_create *arg, const char (*names)[HMEM_NAME_LEN]);
int hm_region_resize(struct hmem_region_resize *arg);
int hm_region_destroy(const struct hmem_region_destroy *arg);
int hm_region_query(struct hm_region *region, struct hmem_region_query *info);
struct hm_region *hm_region_alloc(const char *name, bool persistent);
int hm_region_add(struct hm_region *region, struct hm_pool *pool);
void hm_region_leave(struct hm_part *part);
struct hm_pool *hm_region_pool(const struct hm_region *region);
int hm_region_publish(struct hm_region *region);
void hm_region_unpublish(struct hm_region *region);
void hm_region_drop(struct hm_region *region);
void hm_region_withdraw(struct hm_region *region, const struct hm_part *but);
void hm_regions_leave(struct hm_pool *pool);
void hm_region_close(struct hm_region *region);
struct hm_region *hm_region_find(const char *name);
int hm_regions_init(void);
void hm_regions_exit(void);

/* region_sysfs.c */
extern const struct attribute_group *hm_region_groups[];
int hm_region_nid(const struct hm_region *region);

/* pool_sysfs.c */
extern const struct attribute_group *hm_pool_groups[];

/* event.c */
struct hm_events *hm_events_alloc(void);
void hm_event(struct hm_region *region, enum hmem_event_type type, u64 offset, u64 bytes);
void hm_events_wake(struct hm_region *region);
u64 hm_events_last(struct hm_region *region);
int hm_events_get(struct hm_file *file, struct hmem_wait *arg);
__poll_t hm_events_poll(struct hm_file *file, struct file *filp, struct poll_table_struct *table);

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
