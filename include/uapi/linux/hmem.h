/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * hmem: CXL memory carved into named, mmap-able regions.
 *
 * The contract between hmem.ko and userspace.
 *
 * Two kinds of device answer ioctls:
 *
 *   /dev/hmem/control   attach and detach pools; create, resize and destroy
 *                       regions. Every command but HMEM_VERSION needs
 *                       CAP_SYS_ADMIN.
 *   /dev/hmem/NAME      one region. Ordinary file permissions decide.
 *
 * Every argument is a struct whose first member is its size as the caller knows
 * it. A caller with a smaller struct than the kernel's gets the behaviour of the
 * members it has, the rest taken as zero; a caller with a larger one is accepted
 * while every byte that the kernel does not know is zero, and gets -E2BIG
 * otherwise; one larger than a page is -E2BIG whatever it holds. A struct smaller
 * than the first published version (the _SIZE_V1 constants) is -EINVAL. Reserved members and unknown flags must be zero, or
 * -EINVAL.
 *
 * Errors, and the one meaning that each has here:
 *
 *   -EPERM         the command, or what it is to do, needs CAP_SYS_ADMIN
 *   -EFAULT        the argument does not point at memory the caller may use
 *   -EINVAL        a size, flag, reserved member, name or number is malformed
 *   -E2BIG         the struct is larger than this kernel's and the excess is
 *                  not zero
 *   -ENOTTY        no such command on this device
 *   -ENOENT        no pool, region or knob of that name, or no such source to claim
 *   -EEXIST        a pool or region of that name or identity is there already; or two regions
 *                  have the name, and which of them is to go cannot be told
 *   -EBUSY         the source is held by somebody else, or the pool or region
 *                  is open or mapped or has pinned pages, or they are just moved, or it
 *                  is drained
 *   -ENOTEMPTY     a volatile pool still has regions
 *   -ENOSPC        the pool or pools have no room for that many bytes
 *   -EMFILE        the pool's region table or the module's table is full, or the region has
 *                  as many pools as it can
 *   -ENODEV        the memory behind the pool or region, or that part of it, is gone
 *   -ENXIO         the source is there but not committed or not enabled
 *   -EOPNOTSUPP    this kernel or machine lacks what the provider needs, or it cannot be
 *                  done with persistent pools
 *   -EUCLEAN       the source holds data that is no intact hmem pool: refused,
 *                  and left as it was
 *   -EPROTONOSUPPORT  the pool was written by a newer version of the format
 *   -EUSERS        the pool was not detached by the host that last used it
 *   -EIO           the memory reports an error
 *   -ENOMEM        the kernel has no memory for its bookkeeping
 *   -EINTR         a signal came while waiting, or io_uring wants this thread to do something
 *   -ECANCELED     another process has ended what the command was doing
 *   -EACCES        the file is not open for writing
 *   -ERANGE        the range does not lie in the region, or an event has not happened yet
 *   -EDQUOT        the region's near_max is used up, or that of all regions
 */
#ifndef _UAPI_LINUX_HMEM_H
#define _UAPI_LINUX_HMEM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Raised when a struct gains a member or a command is added; never lowered. */
#define HMEM_ABI_VERSION	5

/* Names: 1 to 63 bytes of [A-Za-z0-9._-], first not '.' or '-'; "control" is taken. */
#define HMEM_NAME_LEN		64

/* The unit of carving; the kernel's own answer is in struct hmem_version. */
#define HMEM_EXTENT_SIZE	(2UL << 20)

#define HMEM_IOC_TYPE		0xE8

/**
 * struct hmem_version - HMEM_VERSION: what this module is
 * @size: sizeof(struct hmem_version)
 * @abi: HMEM_ABI_VERSION of the module
 * @extent_size: bytes in an extent
 * @max_regions: regions that one pool can hold
 * @providers: bit (1 << enum hmem_provider) for each provider that is built in
 */
struct hmem_version {
	__u32 size;
	__u32 abi;
	__u32 extent_size;
	__u32 max_regions;
	__u64 providers;
};
#define HMEM_VERSION_SIZE_V1	24

/**
 * enum hmem_provider - where a pool's memory comes from
 * @HMEM_PROVIDER_CXL: a committed CXL region, by its name on the CXL bus
 * @HMEM_PROVIDER_RAM: system RAM, a stand-in for machines without a device
 */
enum hmem_provider {
	HMEM_PROVIDER_CXL = 0,
	HMEM_PROVIDER_RAM = 1,
};

/* Format the source, whatever it holds. Everything on it is lost. */
#define HMEM_ATTACH_FORMAT	(1U << 0)
/* Check the source and fill in the answers, but attach nothing and write nothing. */
#define HMEM_ATTACH_CHECK	(1U << 1)
/* Attach although another host did not detach it (-EUSERS without this). */
#define HMEM_ATTACH_TAKE_OVER	(1U << 2)

/* In hmem_pool_attach.state: what was found. */
#define HMEM_POOL_PERSISTENT	(1U << 0)	/* regions survive power loss */
#define HMEM_POOL_FORMATTED	(1U << 1)	/* was formatted by this call, or would be */
#define HMEM_POOL_REPAIRED	(1U << 2)	/* one superblock copy was bad and replaced, or would be */

/**
 * struct hmem_pool_attach - HMEM_POOL_ATTACH: claim memory as a pool
 * @size: sizeof(struct hmem_pool_attach)
 * @flags: HMEM_ATTACH_*
 * @provider: enum hmem_provider
 * @state: must be 0. Out: HMEM_POOL_*
 * @bytes: RAM: bytes to take, rounded up to extents. CXL: must be 0.
 *	Out: bytes that can be carved into regions.
 * @nid: RAM: NUMA node to take memory from, -1 for any. CXL: must be -1.
 * @regions: out: regions found on the pool, those that are withheld included
 * @name: what to call the pool. CXL: may be empty, then it is the source's name.
 * @source: CXL: the region on the CXL bus, such as "region0". RAM: must be empty.
 * @host: identifies this host on a persistent pool (a machine-id); all zero
 *	neither checks nor records it.
 *
 * A persistent pool is formatted when both of its superblocks are blank or
 * HMEM_ATTACH_FORMAT is given, and never otherwise.
 */
struct hmem_pool_attach {
	__u32 size;
	__u32 flags;
	__u32 provider;
	__u32 state;
	__u64 bytes;
	__s32 nid;
	__u32 regions;
	char name[HMEM_NAME_LEN];
	char source[HMEM_NAME_LEN];
	__u8 host[16];
};
#define HMEM_POOL_ATTACH_SIZE_V1	176

/**
 * struct hmem_pool_detach - HMEM_POOL_DETACH: give a pool's memory back
 * @size: sizeof(struct hmem_pool_detach)
 * @flags: must be 0
 * @name: the pool
 *
 * -EBUSY while a region of it is open or mapped. A volatile pool with regions is
 * refused with -ENOTEMPTY; the regions of a persistent pool come back when it is
 * attached again.
 */
struct hmem_pool_detach {
	__u32 size;
	__u32 flags;
	char name[HMEM_NAME_LEN];
};
#define HMEM_POOL_DETACH_SIZE_V1	72

/* In hmem_pool_drain.flags */
#define HMEM_DRAIN_STATUS	(1U << 0)	/* only tell how far it is */
#define HMEM_DRAIN_STOP		(1U << 1)	/* what is there still stays, and new regions may come */

/* In hmem_pool_drain.state */
#define HMEM_DRAIN_DRAINING	(1U << 0)	/* nothing new is carved from the pool */

/**
 * struct hmem_held_range - extents that follow one another, of each of which somebody holds a page
 * @region: the region that they are in
 * @offset: where they begin in it
 * @bytes: how long they are together
 */
struct hmem_held_range {
	char region[HMEM_NAME_LEN];
	__u64 offset;
	__u64 bytes;
};

/**
 * struct hmem_pool_drain - HMEM_POOL_DRAIN: move all that is on a pool to others of its kind
 * @size: sizeof(struct hmem_pool_drain)
 * @flags: HMEM_DRAIN_*
 * @name: the pool
 * @state: out, also with an error, as are those below: HMEM_DRAIN_DRAINING
 * @reserved: out: 0
 * @left: out: bytes of regions that are on the pool still
 * @moved: out: bytes that this call has moved
 * @held: out: with -EBUSY, -EIO or -ENOMEM: offset of the first extent that cannot be moved; all ones
 *	when there is none
 * @region: out: the region that it is in, or empty
 * @ranges: address of an array of struct hmem_held_range
 * @nr_ranges: how many fit there. Out: how many were filled in: all, of all regions, that cannot be
 *	moved as somebody holds pages of them, with the errors that @held comes with; fewer when
 *	they do not fit, or the kernel has no memory to remember them
 * @nr_held: out: how many there are. It and the two before it are there from HMEM_ABI_VERSION 4 on.
 *
 * Regions stay open and mapped, and near copies stay; who touches an extent waits while it is
 * copied. From the beginning on nothing new is carved from the pool, until
 * HMEM_DRAIN_STOP or until it is detached, which can be done when the command has succeeded:
 * then nothing of it is in use.
 *
 * -ENODEV: a persistent region of it has lost what it had on another pool, and nothing was begun.
 * -ENOSPC: the other pools of its kind have not enough room together, and nothing was begun; or those
 * that a region may go to have not, and those before it have places elsewhere: it may not go to a
 * pool that withholds another region of its name. -EMFILE: the region table of a persistent pool
 * that has to say where a region goes is full, or the region would be on more than HMEM_REGION_POOLS,
 * and those before it have places elsewhere. -EBUSY:
 * the pool has a part of a region that another pool is not there of, or that is just leaving another
 * one; or somebody has held a page for longer than a second (io_uring, RDMA, a pipe): all others were
 * moved. -EIO: the tag of an extent is damaged, so that what it holds cannot be told; or the memory
 * that it is to come to has gone bad since (HMEM_POISON_CLEAR); all others were moved. -ENOMEM.
 * -EINTR. -ECANCELED: HMEM_DRAIN_STOP came. After each of them the command can be given again and
 * goes on.
 *
 * A page whose memory reports an error is lost, unless it is near, and keeps nothing from moving.
 * Until it has moved an extent is where it was, for HMEM_REGION_POISON as well.
 *
 * What is persistent goes to persistent pools only: a region that is on one pool to one that has room
 * for all of it, if there is one. No instant at which the power goes loses anything that was
 * durable. While such a region is on its way it is there only when all its pools are, the one that
 * is drained and those that it comes to included, and it is not resized (-EBUSY).
 */
struct hmem_pool_drain {
	__u32 size;
	__u32 flags;
	char name[HMEM_NAME_LEN];
	__u32 state;
	__u32 reserved;
	__u64 left;
	__u64 moved;
	__u64 held;
	char region[HMEM_NAME_LEN];
	__u64 ranges;
	__u32 nr_ranges;
	__u32 nr_held;
};
#define HMEM_POOL_DRAIN_SIZE_V1	168

/* In hmem_region_create.flags; at most one of the first two. */
#define HMEM_CREATE_SPREAD	(1U << 0)	/* interleave the extents over the pools */
#define HMEM_CREATE_FILL	(1U << 1)	/* fill one pool after the other */
#define HMEM_CREATE_LONG_TERM_PINS (1U << 2)	/* io_uring and RDMA may hold its pages for writing */

/* Pools that one region can be on. */
#define HMEM_REGION_POOLS	32

/**
 * struct hmem_region_create - HMEM_REGION_CREATE: carve a region out of one or more pools
 * @size: sizeof(struct hmem_region_create)
 * @flags: HMEM_CREATE_*; without any the region is of one pool
 * @bytes: size wanted, not 0, rounded up to extents. Out: size obtained.
 * @uid: owner of /dev/hmem/NAME
 * @gid: group of /dev/hmem/NAME
 * @mode: permission bits of /dev/hmem/NAME, at most 0777
 * @reserved: must be 0
 * @name: the region
 * @pool: the pool to carve from; empty: the first with room, volatile ones first.
 *	Out: the (first) pool it was carved from.
 * @pools: address of an array of names, HMEM_NAME_LEN bytes each: the pools to carve from, with
 *	one of HMEM_CREATE_* and an empty @pool
 * @nr_pools: how many, at most HMEM_REGION_POOLS. 0 with one of HMEM_CREATE_* and an empty
 *	@pool: all with room of one kind, volatile or persistent, that have enough together,
 *	volatile ones first.
 * @reserved2: must be 0
 *
 * Reads as zeroes. On a persistent pool the region is durable when the call
 * returns. Takes time independent of @bytes: extents are zeroed at first touch.
 *
 * All pools of a region are of one kind: -EINVAL when they are not, or one is named twice.
 * With HMEM_CREATE_SPREAD extent n of the region is on pool n modulo @nr_pools for as long as all
 * of them have room, then on those that have. What grows later goes on the same way, on the same
 * pools. A region on several persistent pools is there while all of them are attached, and when one
 * is lost under it, without what was there; its other pools withhold it otherwise (sysfs,
 * Documentation/persistence.md).
 *
 * HMEM_CREATE_LONG_TERM_PINS: mappings can always be pinned for long (FOLL_LONGTERM), also while the
 * region may have near copies, as if every file of it had been mapped while near_max was 0: stores
 * are not seen there, and each fault counts as one. Other regions refuse such pins for writing
 * with the kernel's -EFAULT once near_max is not 0. It is on the media of a persistent pool.
 */
struct hmem_region_create {
	__u32 size;
	__u32 flags;
	__u64 bytes;
	__u32 uid;
	__u32 gid;
	__u32 mode;
	__u32 reserved;
	char name[HMEM_NAME_LEN];
	char pool[HMEM_NAME_LEN];
	__u64 pools;
	__u32 nr_pools;
	__u32 reserved2;
};
#define HMEM_REGION_CREATE_SIZE_V1	160

/**
 * struct hmem_region_resize - HMEM_REGION_RESIZE: grow or shrink a region
 * @size: sizeof(struct hmem_region_resize)
 * @flags: must be 0
 * @bytes: size wanted, not 0, rounded up to extents. Out: size obtained.
 * @name: the region
 *
 * Works while the region is open and mapped, as ftruncate(2) does: what lies
 * beyond a new end raises SIGBUS, what is added reads as zeroes. Shrinking over
 * pinned pages is -EBUSY after one second of waiting, during which the part to be cut
 * off cannot be reached, and leaves size and data as they were. So is resizing a persistent
 * region that is being moved to another pool. -ENODEV: a pool of a persistent region is gone.
 */
struct hmem_region_resize {
	__u32 size;
	__u32 flags;
	__u64 bytes;
	char name[HMEM_NAME_LEN];
};
#define HMEM_REGION_RESIZE_SIZE_V1	80

/**
 * struct hmem_region_destroy - HMEM_REGION_DESTROY: give a region's extents back
 * @size: sizeof(struct hmem_region_destroy)
 * @flags: must be 0
 * @name: the region
 *
 * -EBUSY while it is open or mapped or has pinned pages. Nobody can read the data
 * again when the call returns; its bytes stay on the media until the extents are used
 * again, and are zeroed then. A region that is withheld, as not all its pools are attached, is
 * destroyed as well: what the others have goes when they come. -EEXIST: a withheld region and
 * another one have the name, and neither is destroyed: detach the pools of the one that is to stay.
 */
struct hmem_region_destroy {
	__u32 size;
	__u32 flags;
	char name[HMEM_NAME_LEN];
};
#define HMEM_REGION_DESTROY_SIZE_V1	72

/* In hmem_region_query.state */
#define HMEM_REGION_PERSISTENT	(1U << 0)	/* survives power loss */
#define HMEM_REGION_LONG_TERM_PINS (1U << 1)	/* created with HMEM_CREATE_LONG_TERM_PINS */

/**
 * struct hmem_region_query - HMEM_REGION_QUERY, on a region: what it is
 * @size: sizeof(struct hmem_region_query)
 * @flags: must be 0
 * @bytes: out: size in bytes
 * @extent_size: out: bytes in an extent
 * @state: out: HMEM_REGION_*
 * @uid: out: owner given at creation
 * @gid: out: group given at creation
 * @mode: out: permission bits given at creation
 * @nid: out: NUMA node of the memory, -1 when it has none
 * @faults: out: faults served since the region appeared
 * @extents_used: out: extents of it that have been touched since it appeared
 * @name: out: its name
 * @pool: out: its pool, the first of them when it has several (sysfs: pools)
 * @uuid: out: identity of this region, new at every creation
 */
struct hmem_region_query {
	__u32 size;
	__u32 flags;
	__u64 bytes;
	__u32 extent_size;
	__u32 state;
	__u32 uid;
	__u32 gid;
	__u32 mode;
	__s32 nid;
	__u64 faults;
	__u64 extents_used;
	char name[HMEM_NAME_LEN];
	char pool[HMEM_NAME_LEN];
	__u8 uuid[16];
};
#define HMEM_REGION_QUERY_SIZE_V1	200

/**
 * enum hmem_place - where an extent's data is
 * @HMEM_HOME: in its pool alone
 * @HMEM_NEAR: in a near copy as well, which is what is mapped
 */
enum hmem_place {
	HMEM_HOME = 0,
	HMEM_NEAR = 1,
};

/**
 * enum hmem_moved - what became of a page that was to be moved
 * @HMEM_MOVED: it was moved
 * @HMEM_MOVED_ALREADY: it was there
 * @HMEM_MOVED_UNTOUCHED: nobody has stored to it or read it yet: there is nothing to move
 * @HMEM_MOVED_PINNED: somebody holds it, or another page of its extent: a device, a pipe
 * @HMEM_MOVED_WRITTEN: it was stored to whenever a copy was made of it
 * @HMEM_MOVED_BUSY: somebody else was just moving it
 * @HMEM_MOVED_NO_MEMORY: the CPU nodes, or the memory cgroup, have no DRAM for it
 * @HMEM_MOVED_OVER_BOUND: the region's near_max is used up, or that of all regions
 * @HMEM_MOVED_POISONED: its memory reports an error
 * @HMEM_MOVED_KEPT: HMEM_REGION_PIN keeps it where it is
 *
 * Later versions of the module may have more of them, up to HMEM_MOVED_RESULTS.
 */
enum hmem_moved {
	HMEM_MOVED = 0,
	HMEM_MOVED_ALREADY = 1,
	HMEM_MOVED_UNTOUCHED = 2,
	HMEM_MOVED_PINNED = 3,
	HMEM_MOVED_WRITTEN = 4,
	HMEM_MOVED_BUSY = 5,
	HMEM_MOVED_NO_MEMORY = 6,
	HMEM_MOVED_OVER_BOUND = 7,
	HMEM_MOVED_POISONED = 8,
	HMEM_MOVED_KEPT = 9,
};
#define HMEM_MOVED_RESULTS	16

/* In hmem_migrate.flags, one of them or none. */
/* Begin to move the range and do not wait. One range at once for an open file: else -EBUSY. */
#define HMEM_MIGRATE_ASYNC	(1U << 0)
/*
 * Tell of what this open file began so, instead of moving anything: @offset, @bytes and @place must
 * be 0 and become those of the range. It has come to its end when @next is at the end of it. -ENOENT:
 * nothing was begun; -ENODEV: the memory is gone.
 */
#define HMEM_MIGRATE_STATUS	(1U << 1)
/* The same, and end it where it is: @bytes are what was dealt with. Closing the file does so too. */
#define HMEM_MIGRATE_STOP	(1U << 2)

/**
 * struct hmem_migrate - HMEM_REGION_MIGRATE, on a region open for writing: move a range
 * @size: sizeof(struct hmem_migrate)
 * @flags: HMEM_MIGRATE_*
 * @offset: where the range begins in the region, a multiple of the extent size
 * @bytes: how long it is, a multiple of the extent size; 0: up to the end of the region.
 *	-ERANGE when it goes beyond that.
 * @place: enum hmem_place, where to
 * @reserved: must be 0
 * @next: out: up to which offset the range was dealt with
 * @pinned: out: offset of the first extent that was not moved because it is pinned; all ones when
 *	there is none. Asking again from behind it finds the next, and moves nothing twice.
 * @pages: out: pages of 4 KiB of the range, by what became of them (enum hmem_moved)
 *
 * An extent that the policy has split is made whole first. Data and mappings stay as they
 * are; a page that was moved is mapped again when it is touched. Who reads goes on while a copy
 * is made. Who stores meanwhile makes the copy worthless: it is made anew, the third time with
 * the extent out of reach. What was not moved stays usable where it is, and is no error. When a
 * signal comes, or io_uring wants this thread to do something, the answer is that of the part up
 * to @next. When there is none it begins anew, unless the signal's handler is without SA_RESTART:
 * -EINTR.
 *
 * With HMEM_MIGRATE_ASYNC a worker of the module's does it, whom signals do not reach, and
 * HMEM_EVENT_MIGRATED says that it came to its end. The ranges of all files take turns.
 */
struct hmem_migrate {
	__u32 size;
	__u32 flags;
	__u64 offset;
	__u64 bytes;
	__u32 place;
	__u32 reserved;
	__u64 next;
	__u64 pinned;
	__u64 pages[HMEM_MOVED_RESULTS];
};
#define HMEM_REGION_MIGRATE_SIZE_V1	176

/* In hmem_pin.flags: let the range go, wherever it is kept. */
#define HMEM_PIN_RELEASE	(1U << 0)

/**
 * struct hmem_pin - HMEM_REGION_PIN, on a region open for writing: keep a range where it is
 * @size: sizeof(struct hmem_pin)
 * @flags: HMEM_PIN_*
 * @offset: where the range begins in the region, a multiple of the extent size
 * @bytes: how long it is, a multiple of the extent size; 0: up to the end of the region.
 *	-ERANGE when it goes beyond that.
 * @place: enum hmem_place, where to move it to and keep it; with HMEM_PIN_RELEASE 0
 * @reserved: must be 0
 * @next: out, also with an error: up to which offset the range is kept now, or let go
 *
 * Neither the policy nor HMEM_REGION_MIGRATE nor want of memory moves what is kept, until it is
 * let go, kept elsewhere, or cut off. An extent that nobody has touched is touched. When one
 * cannot be moved the command ends there: -EBUSY somebody holds a page of it, -EDQUOT near_max
 * is used up, -ENOMEM there is no DRAM for it, -EIO its memory reports an error, -EINTR a signal
 * came whose handler is without SA_RESTART (with it the command begins anew).
 *
 * On a persistent region a store drops the near copy all the same.
 */
struct hmem_pin {
	__u32 size;
	__u32 flags;
	__u64 offset;
	__u64 bytes;
	__u32 place;
	__u32 reserved;
	__u64 next;
};
#define HMEM_REGION_PIN_SIZE_V1	40

/**
 * enum hmem_policy_mode - what the module does with a region by itself
 * @HMEM_POLICY_OFF: nothing: no thread, no scan, no cost
 * @HMEM_POLICY_MANUAL: it measures heat (HMEM_REGION_HEAT), and moves nothing
 * @HMEM_POLICY_AUTO: it measures heat and moves what is hot near, what is not home
 */
enum hmem_policy_mode {
	HMEM_POLICY_OFF = 0,
	HMEM_POLICY_MANUAL = 1,
	HMEM_POLICY_AUTO = 2,
};

/* In hmem_policy.flags: which members to set; without any they are only read. */
#define HMEM_POLICY_NEAR_MAX	(1U << 0)
#define HMEM_POLICY_MODE	(1U << 1)
#define HMEM_POLICY_KNOB	(1U << 2)
/* Not with HMEM_POLICY_KNOB: the knob is that of number knob_index. */
#define HMEM_POLICY_KNOB_INDEX	(1U << 3)

/**
 * struct hmem_policy - HMEM_REGION_POLICY: what tiering may do with a region
 * @size: sizeof(struct hmem_policy)
 * @flags: HMEM_POLICY_*: members to set; the file must be open for writing then
 * @near_max: most bytes of DRAM that its near copies may take, rounded down to extents; 0 when
 *	the region appears. Raising it needs CAP_SYS_ADMIN. Lowering it brings home what is
 *	over it, but for what HMEM_REGION_PIN keeps or somebody holds pages of. It must not be
 *	0 when a file of the region is first mapped, or near copies are of less use there.
 * @mode: enum hmem_policy_mode; HMEM_POLICY_OFF when the region appears. What is near stays so.
 * @knob_index: with HMEM_POLICY_KNOB_INDEX: which knob to answer for, from 0. -ENOENT past
 *	the last one.
 * @knob: name of a knob of the policy, or empty. Documentation/tiering.md has them. -ENOENT
 *	when there is none of that name.
 * @value: of that knob; with HMEM_POLICY_KNOB the one to set, which needs CAP_SYS_ADMIN.
 *	-EINVAL when it is not between @least and @most. 0 without a knob, as are these.
 * @least: out: lowest value that the knob takes
 * @most: out: highest
 *
 * All members are answered as they are after the call. All or none of them are set. Knobs
 * keep their values while the mode changes.
 */
struct hmem_policy {
	__u32 size;
	__u32 flags;
	__u64 near_max;
	__u32 mode;
	__u32 knob_index;
	char knob[32];
	__u64 value;
	__u64 least;
	__u64 most;
};
#define HMEM_REGION_POLICY_SIZE_V1	80

/**
 * struct hmem_heat_cell - what is known of a part of a region
 * @heat: of its hottest page: 256 times the logarithm to base 2 of how often a page of 4 KiB
 *	is touched in 2^56 ns, at least 1; 0: nothing is known. 256 * 26 is about one
 *	touch a second, 256 more is twice as often.
 * @near: how much of it is near, 0 to 255
 * @reserved: 0
 */
struct hmem_heat_cell {
	__u16 heat;
	__u8 near;
	__u8 reserved;
};

#define HMEM_HEAT_BINS		64

/**
 * struct hmem_heat - HMEM_REGION_HEAT: how hot a region is, and where
 * @size: sizeof(struct hmem_heat)
 * @flags: must be 0
 * @offset: where the map begins, a multiple of 4096
 * @bytes: how much of the region it covers, a multiple of 4096; 0: up to the end. -ERANGE when it
 *	goes beyond that.
 * @cell: bytes of the region that one struct hmem_heat_cell stands for, a multiple of 4096; 0: no
 *	map. Below the extent size cells differ where the policy has split an extent.
 * @cells: address of an array of struct hmem_heat_cell
 * @nr_cells: how many fit there. Out: how many were filled in; the map ends when they are full
 * @near: out: pages of 4 KiB that are near, by the octave of their heat: bin n has those with
 *	256 * n <= heat < 256 * (n + 1), bin 0 also those of which nothing is known
 * @home: out: the same for those at home
 *
 * Known is what was measured since the mode became HMEM_POLICY_MANUAL or _AUTO. With
 * HMEM_POLICY_OFF all heat is 0.
 */
struct hmem_heat {
	__u32 size;
	__u32 flags;
	__u64 offset;
	__u64 bytes;
	__u64 cell;
	__u64 cells;
	__u64 nr_cells;
	__u64 near[HMEM_HEAT_BINS];
	__u64 home[HMEM_HEAT_BINS];
};
#define HMEM_REGION_HEAT_SIZE_V1	1072

/**
 * struct hmem_stats - HMEM_REGION_STATS: what tiering has done with a region
 * @size: sizeof(struct hmem_stats)
 * @flags: must be 0
 * @near: out: bytes of DRAM that its near copies take now
 * @near_max: out: bytes that they may take
 * @dirty: out: bytes of near copies that were stored to and are not at home yet
 * @promotions: out: near copies made, in pages of 4 KiB
 * @demotions: out: near copies given up, in pages of 4 KiB
 * @aborted: out: copies that were made in vain because of a store, in pages
 * @copied: out: bytes copied in either direction, also in vain
 * @copy_ns: out: time that copying took, in nanoseconds
 * @probes: out: mappings of extents taken away to see when somebody comes back
 * @touches: out: of those, how often somebody did
 * @pingpongs: out: moves of whole extents by the policy that undid one of just before
 * @track_ns: out: time that tracking took, in nanoseconds, by the knobs that say what its
 *	parts cost
 * @window_ns: out: what the policy's window is now: over so long it looks at all of the region
 * @scanned: out: pages of split extents whose accessed bit was read
 * @seen: out: of those, how many had been touched
 * @splits: out: extents split, so that each of their pages is near or at home by itself
 * @collapses: out: of those, how many were made whole again by the policy
 * @near_share: out: bytes that near copies may take now: @near_max, or less while regions share
 *	what there is for all (the module's parameter near_max)
 * @touches_near: out: of @touches, how many found the extent near; moves that the policy did not
 *	make itself it hears of when it looks next
 * @seen_near: out: of @seen, how many were of pages that were near
 * @look_ns: out: time that looking took the region's worker, in nanoseconds, as measured: without
 *	the moves that came of it, and without the faults of those who came back
 *
 * All but what is now count from when the region appeared; those from @probes on from when its
 * mode left HMEM_POLICY_OFF, and are 0 while it is that. @touches and @seen are the hits that were
 * sampled: a touch is of an extent and a look, one that was seen is of a page and a look, however
 * many accesses there were. Touches are not counted atomically: some may be missed, of @touches and
 * @touches_near each by itself. The five from @scanned on are there from HMEM_ABI_VERSION 3 on, the
 * last three from 5 on.
 */
struct hmem_stats {
	__u32 size;
	__u32 flags;
	__u64 near;
	__u64 near_max;
	__u64 dirty;
	__u64 promotions;
	__u64 demotions;
	__u64 aborted;
	__u64 copied;
	__u64 copy_ns;
	__u64 probes;
	__u64 touches;
	__u64 pingpongs;
	__u64 track_ns;
	__u64 window_ns;
	__u64 scanned;
	__u64 seen;
	__u64 splits;
	__u64 collapses;
	__u64 near_share;
	__u64 touches_near;
	__u64 seen_near;
	__u64 look_ns;
};
#define HMEM_REGION_STATS_SIZE_V1	112

/**
 * struct hmem_pool_poison - HMEM_POOL_POISON: memory of a pool reports errors
 * @size: sizeof(struct hmem_pool_poison)
 * @flags: must be 0
 * @offset: where, in bytes from the beginning of what the pool was claimed from. -ERANGE when the
 *	range does not lie in it.
 * @bytes: how much, not 0; every page of which it has a part is bad
 * @pages: out: how many of them a region has
 * @free: out: how many nobody has; their extents will not be carved
 * @own: out: how many are the pool's own: its superblock. Nothing is done about those.
 * @name: the pool
 *
 * For what a device tells of itself: its poison list, by physical address. What the kernel hears
 * of, the module hears of. See struct hmem_poison for what follows. -EOPNOTSUPP: as there.
 */
struct hmem_pool_poison {
	__u32 size;
	__u32 flags;
	__u64 offset;
	__u64 bytes;
	__u64 pages;
	__u64 free;
	__u64 own;
	char name[HMEM_NAME_LEN];
};
#define HMEM_POOL_POISON_SIZE_V1	112

/**
 * enum hmem_poison_op - what to do about bad memory of a region
 * @HMEM_POISON_LIST: tell where it is
 * @HMEM_POISON_REPORT: the memory of these pages' home reports errors; needs CAP_SYS_ADMIN
 * @HMEM_POISON_CLEAR: pages whose data are lost read as zeroes again. The file must be open for
 *	writing, and for those whose home is bad (HMEM_POISONED_HOME) CAP_SYS_ADMIN is needed
 *	as well: the device must have been told to clear its error first (cxl(1)).
 */
enum hmem_poison_op {
	HMEM_POISON_LIST = 0,
	HMEM_POISON_REPORT = 1,
	HMEM_POISON_CLEAR = 2,
};

/* In hmem_poison_range.state */
#define HMEM_POISONED_DATA	(1U << 0)	/* its data are lost: an access fails */
#define HMEM_POISONED_HOME	(1U << 1)	/* the memory of its home reports errors */

/**
 * struct hmem_poison_range - pages of which the same can be said
 * @offset: where they begin in the region
 * @bytes: how much they are, a multiple of 4096
 * @state: HMEM_POISONED_*; without HMEM_POISONED_DATA their data are in a near copy, which stays, or
 *	in memory that is being drained, and cannot come to where they belong
 * @reserved: 0
 */
struct hmem_poison_range {
	__u64 offset;
	__u64 bytes;
	__u32 state;
	__u32 reserved;
};

/**
 * struct hmem_poison - HMEM_REGION_POISON, on a region: memory that reports errors
 * @size: sizeof(struct hmem_poison)
 * @flags: must be 0
 * @op: enum hmem_poison_op
 * @reserved: must be 0
 * @offset: where the range begins in the region, a multiple of 4096
 * @bytes: how long it is, a multiple of 4096; -ERANGE when it goes beyond the end. LIST: 0: up
 *	to the end.
 * @ranges: LIST: address of an array of struct hmem_poison_range
 * @nr_ranges: LIST: how many fit there; else must be 0. Out: how many were filled in
 * @reserved2: must be 0
 * @next: out, also with an error: up to which offset the range was dealt with
 * @pages: out, also with an error: LIST: pages listed; REPORT: pages in the range up to @next;
 *	CLEAR: pages that were bad and are not any more
 *
 * A load or store of a page whose data are lost raises SIGBUS (BUS_MCEERR_AR, si_addr and
 * si_addr_lsb say which page), read(2) and write(2) of it fail with -EIO, O_DIRECT I/O to or from
 * it with -EFAULT or -EIO. All others go on, those of the same extent in mappings of 4 KiB; but
 * all of a persistent extent fails so that has had a bad page since before it was touched first,
 * until its bad pages are cleared, as CLEAR of any page of it does.
 *
 * REPORT: -EOPNOTSUPP: this kernel was built without CONFIG_MEMORY_FAILURE or without transparent
 * huge pages, and cannot map an extent without its bad pages.
 *
 * CLEAR: -EIO: the kernel has taken the page out of use for good (system RAM). -EBUSY: somebody
 * holds, or moves, the near copy of its extent. A page whose data are in a near copy keeps them.
 */
struct hmem_poison {
	__u32 size;
	__u32 flags;
	__u32 op;
	__u32 reserved;
	__u64 offset;
	__u64 bytes;
	__u64 ranges;
	__u32 nr_ranges;
	__u32 reserved2;
	__u64 next;
	__u64 pages;
};
#define HMEM_REGION_POISON_SIZE_V1	64

/**
 * enum hmem_event_type - what happened to a region
 * @HMEM_EVENT_POISON: memory of the range reports an error; HMEM_REGION_POISON says what that
 *	means for it
 * @HMEM_EVENT_RESIZED: its size changed; offset is the size before, bytes the one now
 * @HMEM_EVENT_PRESSURE: memory is short, so near copies are given up, that of the range for one;
 *	said once in ten seconds
 * @HMEM_EVENT_MIGRATED: what was begun with HMEM_MIGRATE_ASYNC has come to its end, or was stopped
 *	there
 *
 * Later versions of the module may have more of them.
 */
enum hmem_event_type {
	HMEM_EVENT_POISON = 1,
	HMEM_EVENT_RESIZED = 2,
	HMEM_EVENT_PRESSURE = 3,
	HMEM_EVENT_MIGRATED = 4,
};

/**
 * struct hmem_event - something that happened to a region
 * @seq: its number; the first one since the region appeared has 1, and none is left out
 * @type: enum hmem_event_type
 * @reserved: 0
 * @offset: where in the region
 * @bytes: how much of it
 */
struct hmem_event {
	__u64 seq;
	__u32 type;
	__u32 reserved;
	__u64 offset;
	__u64 bytes;
};

/**
 * struct hmem_wait - HMEM_REGION_WAIT, on a region: wait for events
 * @size: sizeof(struct hmem_wait)
 * @flags: must be 0
 * @seq: number of the last event that the caller knows; 0: none. -ERANGE when there was none of
 *	that number yet. Out: that of the last one that it was told.
 * @timeout_ns: how long to wait when there is no other, in nanoseconds; all ones: for ever
 * @events: address of an array of struct hmem_event
 * @nr_events: how many fit there. Out: how many were filled in, the oldest first; 0: time is up.
 *	When it is 0, nothing is waited for, and @seq becomes the number of the newest event.
 * @reserved: must be 0
 * @lost: out: how many of the events after @seq are not kept any more: the last 64 are
 *
 * Everybody has all events, whoever else waits for them. -EINTR when a signal comes, -ENODEV as
 * soon as the memory is gone.
 *
 * poll(2) says POLLPRI while there are events that no HMEM_REGION_WAIT has told through the same
 * open file, which begins with what happens after it was opened; POLLHUP when the memory is
 * gone.
 */
struct hmem_wait {
	__u32 size;
	__u32 flags;
	__u64 seq;
	__u64 timeout_ns;
	__u64 events;
	__u32 nr_events;
	__u32 reserved;
	__u64 lost;
};
#define HMEM_REGION_WAIT_SIZE_V1	48

/* On /dev/hmem/control */
#define HMEM_VERSION		_IO(HMEM_IOC_TYPE, 0x00)
#define HMEM_POOL_ATTACH	_IO(HMEM_IOC_TYPE, 0x01)
#define HMEM_POOL_DETACH	_IO(HMEM_IOC_TYPE, 0x02)
#define HMEM_REGION_CREATE	_IO(HMEM_IOC_TYPE, 0x03)
#define HMEM_REGION_RESIZE	_IO(HMEM_IOC_TYPE, 0x04)
#define HMEM_REGION_DESTROY	_IO(HMEM_IOC_TYPE, 0x05)
#define HMEM_POOL_DRAIN		_IO(HMEM_IOC_TYPE, 0x06)
#define HMEM_POOL_POISON	_IO(HMEM_IOC_TYPE, 0x08)

/* On /dev/hmem/NAME */
#define HMEM_REGION_QUERY	_IO(HMEM_IOC_TYPE, 0x20)
#define HMEM_REGION_MIGRATE	_IO(HMEM_IOC_TYPE, 0x21)
#define HMEM_REGION_POLICY	_IO(HMEM_IOC_TYPE, 0x22)
#define HMEM_REGION_STATS	_IO(HMEM_IOC_TYPE, 0x23)
#define HMEM_REGION_HEAT	_IO(HMEM_IOC_TYPE, 0x24)
#define HMEM_REGION_PIN		_IO(HMEM_IOC_TYPE, 0x25)
#define HMEM_REGION_WAIT	_IO(HMEM_IOC_TYPE, 0x26)
#define HMEM_REGION_POISON	_IO(HMEM_IOC_TYPE, 0x27)

#endif /* _UAPI_LINUX_HMEM_H */
