/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tiering: DRAM in front of the memory of a region of hmem.ko.
 *
 * A region may have near copies: DRAM that holds a part of its data as well and is what
 * programs see of it then, made and given up while the region is in use. Data and mappings
 * stay as they are. How much DRAM the copies may take is the region's near_max, 0 when it
 * appears; what comes near is what hmem_tier_migrate() is asked for, or what the policy
 * finds hot.
 *
 * All of this is for regions of the provider "hmem"; others answer -EOPNOTSUPP. Offsets and
 * lengths are in bytes and multiples of the region's granularity (struct hmem_region_info).
 * Counts of pages are of pages of 4 KiB.
 *
 * Answers begin with their size, which the caller sets: those of an older or a newer header
 * are accepted, and what this library does not know of them is zero.
 *
 * Threading: any function may be called from any thread. Two that set the policy of one
 * region at once both succeed in some order.
 *
 * Every function may return -EINVAL (an argument is missing, or the size of a struct was
 * not set), -EOPNOTSUPP (another provider), -ENODEV (the region's memory is gone), -ENOTTY (the
 * module is older than the call), -E2BIG (it is older than the library), -EINTR (a signal
 * came while it waited) or -ENOMEM.
 */
#ifndef HMEM_TIER_H
#define HMEM_TIER_H

#include <stddef.h>
#include <stdint.h>

#include <hmem/context.h>
#include <hmem/region.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum hmem_tier_place - where data is to be
 * @HMEM_TIER_HOME: in the region's own memory alone
 * @HMEM_TIER_NEAR: in a near copy as well
 */
enum hmem_tier_place {
	HMEM_TIER_HOME = 0,
	HMEM_TIER_NEAR = 1,
};

/**
 * enum hmem_tier_result - what became of a page that was to be moved
 * @HMEM_TIER_MOVED: it was moved
 * @HMEM_TIER_ALREADY: it was there
 * @HMEM_TIER_UNTOUCHED: nobody has used it yet: there is nothing to move
 * @HMEM_TIER_PINNED: somebody holds it, or a page beside it: direct I/O, a device, a pipe
 * @HMEM_TIER_WRITTEN: it was stored to whenever a copy was made of it
 * @HMEM_TIER_BUSY: somebody else was just moving it
 * @HMEM_TIER_NO_MEMORY: there is no DRAM for it
 * @HMEM_TIER_OVER_BOUND: the region's near_max is used up, or that of all regions
 * @HMEM_TIER_POISONED: its memory reports an error
 * @HMEM_TIER_KEPT: hmem_tier_keep() keeps it where it is
 *
 * A newer module may have more of them.
 */
enum hmem_tier_result {
	HMEM_TIER_MOVED = 0,
	HMEM_TIER_ALREADY = 1,
	HMEM_TIER_UNTOUCHED = 2,
	HMEM_TIER_PINNED = 3,
	HMEM_TIER_WRITTEN = 4,
	HMEM_TIER_BUSY = 5,
	HMEM_TIER_NO_MEMORY = 6,
	HMEM_TIER_OVER_BOUND = 7,
	HMEM_TIER_POISONED = 8,
	HMEM_TIER_KEPT = 9,
};

/** How many results there may ever be. */
#define HMEM_TIER_RESULTS 16

/**
 * struct hmem_tier_moved - what became of a range that was to be moved
 * @size: sizeof(struct hmem_tier_moved), set by the caller
 * @next: offset up to which it was dealt with: less than its end when a signal came, or io_uring
 *	wanted this thread to do something
 * @pinned: offset of the first extent that was not moved because it is pinned; UINT64_MAX when
 *	there is none. Asking again from behind it finds the next, and moves nothing twice.
 * @pages: how many pages there are of each result (enum hmem_tier_result)
 * @end: of hmem_tier_migrate_status(): offset where the range ends; else 0
 */
struct hmem_tier_moved {
	size_t size;
	uint64_t next;
	uint64_t pinned;
	uint64_t pages[HMEM_TIER_RESULTS];
	uint64_t end;
};

/**
 * hmem_tier_migrate - move a range of a region
 * @region: region, open for writing
 * @offset: where the range begins
 * @bytes: how long it is; 0: up to the end of the region
 * @place: where to
 * @moved: what became of it; written only on success
 *
 * Returns when all was tried. What could not be moved stays usable where it is, and is no
 * error. What is near stays near until somebody moves it home, near_max is lowered, the
 * policy wants its place, or memory is short.
 *
 * Return: 0; -EINVAL (also: offset or length no multiple of the granularity, no such
 * place), -ERANGE (the range goes beyond the region), -EACCES (opened read-only), -EINTR
 * (before anything was dealt with; a handler that is installed with SA_RESTART makes it begin
 * anew instead).
 */
HMEM_API int hmem_tier_migrate(struct hmem_region *region, uint64_t offset, uint64_t bytes,
			       enum hmem_tier_place place, struct hmem_tier_moved *moved);

/**
 * hmem_tier_migrate_begin - move a range of a region, and do not wait
 * @region, @offset, @bytes, @place: as of hmem_tier_migrate()
 *
 * The module moves it while the caller goes on, one range at once for each handle of a region;
 * ranges of several handles take turns. hmem_tier_migrate_status() says how far it is, and
 * hmem_region_wait() has HMEM_HAPPENED_MIGRATED when it has come to its end. It ends where it is
 * when the region is closed.
 *
 * Return: 0; as hmem_tier_migrate(), but not -EINTR; -EBUSY (the range begun before has not come to
 * its end).
 */
HMEM_API int hmem_tier_migrate_begin(struct hmem_region *region, uint64_t offset, uint64_t bytes,
				     enum hmem_tier_place place);

/** In @flags of hmem_tier_migrate_status(): end it where it is. */
#define HMEM_TIER_STOP	(1u << 0)

/**
 * hmem_tier_migrate_status - what became of the range that hmem_tier_migrate_begin() began last
 * @region: the same handle
 * @flags: HMEM_TIER_STOP or 0
 * @moved: as far as it is; written only on success. It has come to its end when @next is @end,
 *	which is less than what was asked for when it was stopped.
 *
 * Return: 0; -EINVAL, -ENOENT (none was begun), -ENODEV (the region is gone).
 */
HMEM_API int hmem_tier_migrate_status(struct hmem_region *region, unsigned int flags,
				      struct hmem_tier_moved *moved);

/**
 * hmem_tier_keep - move a range of a region, and keep it there
 * @region: region, open for writing
 * @offset: where the range begins
 * @bytes: how long it is; 0: up to the end of the region
 * @place: where to
 * @next: up to which offset the range is kept now; written also with an error, when a part of it
 *	was dealt with before that. NULL: not wanted.
 *
 * Neither the policy nor hmem_tier_migrate() nor want of memory moves what is kept, until it
 * is let go, kept elsewhere or cut off. What nobody has used so far is used by this. Unlike
 * hmem_tier_migrate() it ends at the first part that cannot be moved, and what it came to
 * before stays kept. On a persistent region a store drops the near copy all the same.
 *
 * Return: 0; -EINVAL (also: offset or length no multiple of the granularity, no such place),
 * -ERANGE (the range goes beyond the region), -EACCES (opened read-only), -EBUSY (somebody
 * holds a page: direct I/O, a device, a pipe), -EDQUOT (the region's near_max is used up),
 * -ENOMEM (also: there is no DRAM for it), -EIO (its memory reports an error).
 */
HMEM_API int hmem_tier_keep(struct hmem_region *region, uint64_t offset, uint64_t bytes,
			    enum hmem_tier_place place, uint64_t *next);

/**
 * hmem_tier_release - let a range go, wherever it is kept
 * @region: region, open for writing
 * @offset: where the range begins
 * @bytes: how long it is; 0: up to the end of the region
 *
 * It stays where it is until something moves it. What is not kept is none the worse for it.
 *
 * Return: 0; -EINVAL (also: offset or length no multiple of the granularity), -ERANGE (the
 * range goes beyond the region), -EACCES (opened read-only).
 */
HMEM_API int hmem_tier_release(struct hmem_region *region, uint64_t offset, uint64_t bytes);

/**
 * enum hmem_tier_mode - what the module does with a region by itself
 * @HMEM_TIER_OFF: nothing, at no cost
 * @HMEM_TIER_MANUAL: it measures heat, and moves nothing
 * @HMEM_TIER_AUTO: it measures heat, and moves what is hot near and what is not home
 */
enum hmem_tier_mode {
	HMEM_TIER_OFF = 0,
	HMEM_TIER_MANUAL = 1,
	HMEM_TIER_AUTO = 2,
};

/**
 * struct hmem_tier_policy - what tiering may do with a region
 * @size: sizeof(struct hmem_tier_policy), set by the caller
 * @near_max: most bytes of DRAM that its near copies may take
 * @mode: what is done by itself
 */
struct hmem_tier_policy {
	size_t size;
	uint64_t near_max;
	enum hmem_tier_mode mode;
};

/* For hmem_tier_set(): what to set */
#define HMEM_TIER_SET_NEAR_MAX	(1u << 0)
#define HMEM_TIER_SET_MODE	(1u << 1)

/** hmem_tier_get - the policy of a region. Return: 0, or an error that every call has. */
HMEM_API int hmem_tier_get(struct hmem_region *region, struct hmem_tier_policy *policy);

/**
 * hmem_tier_set - change the policy of a region
 * @region: region, open for writing
 * @policy: what it is to be; near_max is rounded down to the granularity
 * @flags: HMEM_TIER_SET_NEAR_MAX, HMEM_TIER_SET_MODE or both; the rest stays as it is
 *
 * All or nothing is set. Raising near_max needs CAP_SYS_ADMIN. Lowering it brings home what
 * is over it, but for what is pinned, which goes later. What is near stays so when the
 * mode changes. The policy lasts as long as the region is there, and is not kept over a
 * reboot.
 *
 * Return: 0; -EINVAL (also: unknown flags or none, no such mode), -E2BIG (also: @policy has
 * members that this library does not know), -EACCES (opened read-only), -EPERM (raising
 * near_max without CAP_SYS_ADMIN), -ENOMEM (to measure heat with).
 */
HMEM_API int hmem_tier_set(struct hmem_region *region, const struct hmem_tier_policy *policy,
			   unsigned int flags);

/** Longest name of a knob, in bytes, without the final NUL. */
#define HMEM_TIER_KNOB_MAX 31

/**
 * struct hmem_tier_knob - one number that the policy goes by
 * @size: sizeof(struct hmem_tier_knob), set by the caller
 * @value: what it is; Documentation/tiering.md has meanings and units
 * @least: lowest value that it takes
 * @most: highest
 * @name: its name
 */
struct hmem_tier_knob {
	size_t size;
	uint64_t value;
	uint64_t least;
	uint64_t most;
	char name[HMEM_TIER_KNOB_MAX + 1];
};

/**
 * hmem_tier_get_knob - a knob of a region's policy, by name
 * @value: written only on success
 *
 * Return: 0; -ENOENT (no knob has that name).
 */
HMEM_API int hmem_tier_get_knob(struct hmem_region *region, const char *name, uint64_t *value);

/**
 * hmem_tier_set_knob - set a knob of a region's policy
 * @region: region, open for writing
 *
 * Knobs can be set in every mode, and keep their values while it changes. It needs
 * CAP_SYS_ADMIN.
 *
 * Return: 0; -ENOENT (no knob has that name), -EINVAL (also: the value is not between the
 * knob's least and most), -EACCES (opened read-only), -EPERM (without CAP_SYS_ADMIN).
 */
HMEM_API int hmem_tier_set_knob(struct hmem_region *region, const char *name, uint64_t value);

/**
 * hmem_tier_knob_at - a knob of a region's policy, by number
 * @index: from 0
 *
 * Return: 0; -ENOENT (past the last one).
 */
HMEM_API int hmem_tier_knob_at(struct hmem_region *region, unsigned int index,
			       struct hmem_tier_knob *knob);

/**
 * struct hmem_tier_stats - what tiering has done with a region
 * @size: sizeof(struct hmem_tier_stats), set by the caller
 * @near: bytes of DRAM that its near copies take now
 * @near_max: bytes that they may take
 * @dirty: bytes of near copies that were stored to and are not at home yet
 * @promotions: near copies made, in pages
 * @demotions: near copies given up, in pages
 * @aborted: copies begun in vain, because of a store or a pin, in pages
 * @copied: bytes copied in either direction, also in vain
 * @copy_ns: nanoseconds that copying took
 * @probes: mappings taken away to see when somebody comes back
 * @touches: of those, how often somebody did
 * @pingpongs: moves of whole extents by the policy that undid one of just before
 * @track_ns: nanoseconds that tracking took, by the knobs that say what its parts cost
 * @window_ns: over so long the policy looks at all of the region, now
 * @scanned: pages of split extents whose accessed bit was read
 * @seen: of those, how many had been touched
 * @splits: extents split, so that each of their pages is near or at home by itself
 * @collapses: of those, how many were made whole again
 * @near_share: bytes that near copies may take now: @near_max, or less while regions share what
 *	there is for all
 * @touches_near: of @touches, how many found the extent near; moves that the policy did not make
 *	itself it hears of when it looks next
 * @seen_near: of @seen, how many were of pages that were near
 * @look_ns: nanoseconds that looking took the kernel's worker, as measured: without the moves that
 *	came of it, and without the faults of those who came back
 *
 * Counts begin when the region appears; those from @probes on when its mode leaves
 * HMEM_TIER_OFF, and are 0 while it is that. @touches and @seen are the hits that were sampled: a
 * touch is of an extent and a look, one that was seen is of a page and a look, however many accesses
 * there were. Touches may be missed, of @touches and @touches_near each by itself. A module of before
 * @touches_near leaves the last three 0, one of before @scanned also the five from that on.
 */
struct hmem_tier_stats {
	size_t size;
	uint64_t near;
	uint64_t near_max;
	uint64_t dirty;
	uint64_t promotions;
	uint64_t demotions;
	uint64_t aborted;
	uint64_t copied;
	uint64_t copy_ns;
	uint64_t probes;
	uint64_t touches;
	uint64_t pingpongs;
	uint64_t track_ns;
	uint64_t window_ns;
	uint64_t scanned;
	uint64_t seen;
	uint64_t splits;
	uint64_t collapses;
	uint64_t near_share;
	uint64_t touches_near;
	uint64_t seen_near;
	uint64_t look_ns;
};

/** hmem_tier_get_stats - what was done so far. Return: 0, or an error that every call has. */
HMEM_API int hmem_tier_get_stats(struct hmem_region *region, struct hmem_tier_stats *stats);

/**
 * struct hmem_tier_cell - what is known of a part of a region
 * @heat: of its hottest page: 256 times the logarithm to base 2 of how often the page is
 *	touched in 2^56 ns, at least 1; 0: nothing is known. 256 * 26 is about one touch a
 *	second, 256 more is twice as often.
 * @near: how much of it is near, 0 to 255
 * @reserved: 0
 */
struct hmem_tier_cell {
	uint16_t heat;
	uint8_t near;
	uint8_t reserved;
};

/** Octaves of heat that are told apart. */
#define HMEM_TIER_OCTAVES 64

/**
 * struct hmem_tier_histogram - how many pages of a region are how hot, of those that were used
 * and that the policy has come by
 * @size: sizeof(struct hmem_tier_histogram), set by the caller
 * @near: pages that are near: element n has those with 256 * n <= heat < 256 * (n + 1), the
 *	first one also those of which nothing is known
 * @home: the same for those at home
 */
struct hmem_tier_histogram {
	size_t size;
	uint64_t near[HMEM_TIER_OCTAVES];
	uint64_t home[HMEM_TIER_OCTAVES];
};

/**
 * hmem_tier_heat - how hot a region is, and where
 * @offset: where the map begins
 * @bytes: how much of the region it covers; 0: up to the end of the region
 * @cell: bytes that one element of @cells stands for; 0: no map. Below the granularity elements
 *	differ where the policy has split what is hot in a few places.
 * @cells: where to put the map; NULL without one
 * @nr_cells: how many elements it has room for; on success, how many were filled in. NULL
 *	without a map.
 * @histogram: of all of the region, wherever the map is; NULL: not wanted
 *
 * Known is what was measured since the mode left HMEM_TIER_OFF; before that all heat is 0 and
 * the histogram empty. A map that has too little room ends where it is full.
 *
 * Return: 0; -EINVAL (also: no multiple of the granularity), -ERANGE (the map goes beyond
 * the region), -EFAULT (@cells is no memory of the caller's).
 */
HMEM_API int hmem_tier_heat(struct hmem_region *region, uint64_t offset, uint64_t bytes,
			    uint64_t cell, struct hmem_tier_cell *cells, size_t *nr_cells,
			    struct hmem_tier_histogram *histogram);

#ifdef __cplusplus
}
#endif
#endif
