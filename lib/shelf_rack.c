// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The rack: which units of a region belong to which shelf.
 *
 * Two copies are written one after the other, a fence each: the one that is not being
 * written stays whole, and damage to either never brings back an older table.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crc32c.h"
#include "region.h"
#include "shelf.h"
#include "shelf_lock.h"
#include "shelf_rack.h"

static uint64_t unit(const struct rack *rack)
{
	return 1ull << rack->header.unit_shift;
}

static size_t image_bytes(const struct rack_header *header)
{
	return sizeof(*header) + header->nr_shelves * sizeof(struct rack_shelf) +
	       header->nr_runs * sizeof(struct rack_run);
}

static uint32_t image_crc(const unsigned char *copy, const struct rack_header *header)
{
	struct rack_header zero = *header;

	zero.crc = 0;
	return hmem_crc32c(hmem_crc32c(~0u, &zero, sizeof(zero)), copy + sizeof(zero),
			   image_bytes(header) - sizeof(zero));
}

static bool is_zero(const unsigned char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (at[i])
			return false;
	return true;
}

static int not_written(const struct rack *rack, int err)
{
	return hmem_fail(rack->ctx, -EIO, "writing the table of shelves of %s: %s",
			 hmem_region_name(rack->region), strerror(-err));
}

/* Every run inside the region, none on another, and as many as the shelves say. */
static bool runs_are_sane(const struct rack *rack)
{
	uint64_t units = rack->region_bytes >> rack->header.unit_shift;
	uint64_t counted = 0;

	for (uint32_t i = 0; i < rack->header.nr_shelves; i++) {
		if (!memchr(rack->shelves[i].name, '\0', RACK_NAME_BYTES))
			return false;
		counted += rack->shelves[i].nr_runs;
	}
	if (counted != rack->header.nr_runs)
		return false;
	for (uint32_t i = 0; i < rack->header.nr_runs; i++) {
		const struct rack_run *run = &rack->runs[i];

		if (!run->count || !run->unit || run->unit >= units ||
		    run->count > units - run->unit)
			return false;
		for (const struct rack_run *other = rack->runs; other < run; other++)
			if (run->unit < (uint64_t)other->unit + other->count &&
			    other->unit < (uint64_t)run->unit + run->count)
				return false;
	}
	return true;
}

/* 0: blank, 1: read, or a negative errno: -EPROTONOSUPPORT of a newer version, -ENOTSUP an older. */
static int read_copy(const struct rack *rack, unsigned int which, uint64_t *seq)
{
	const unsigned char *copy = rack->mapped + which * RACK_COPY_BYTES;
	struct rack_header header;

	memcpy(&header, copy, sizeof(header));
	if (is_zero((unsigned char *)&header, sizeof(header)))
		return 0;
	if (header.magic != RACK_MAGIC)
		return -EUCLEAN;
	if (header.version && header.version != SHELF_VERSION)
		return header.version > SHELF_VERSION ? -EPROTONOSUPPORT : -ENOTSUP;
	if (!header.version || header.nr_shelves > RACK_MAX_SHELVES ||
	    header.nr_runs > RACK_MAX_RUNS || header.unit_shift < RACK_MIN_UNIT_SHIFT ||
	    header.unit_shift > 30 || header.crc != image_crc(copy, &header))
		return -EUCLEAN;
	*seq = header.seq;
	return 1;
}

static void take_copy(struct rack *rack, unsigned int which)
{
	const unsigned char *copy = rack->mapped + which * RACK_COPY_BYTES;

	memcpy(&rack->header, copy, sizeof(rack->header));
	copy += sizeof(rack->header);
	memcpy(rack->shelves, copy, rack->header.nr_shelves * sizeof(struct rack_shelf));
	copy += rack->header.nr_shelves * sizeof(struct rack_shelf);
	memcpy(rack->runs, copy, rack->header.nr_runs * sizeof(struct rack_run));
	rack->copy = (int)which;
}

/* Power was lost in write_first(). */
static bool was_being_born(const struct rack *rack)
{
	uint64_t magic;

	memcpy(&magic, rack->mapped, sizeof(magic));
	return magic == RACK_MAGIC &&
	       is_zero(rack->mapped + sizeof(rack->header), RACK_BYTES - sizeof(rack->header));
}

/*
 * The first header of all has no shelves: a single cache line, its magic stored first, so
 * that what is left of it when power is lost can be told from what is not ours.
 */
static int write_first(struct rack *rack)
{
	struct rack_header header = rack->header;

	header.crc = image_crc(rack->mapped, &header);
	__atomic_store_n((uint64_t *)rack->mapped, header.magic, __ATOMIC_RELEASE);
	memcpy(rack->mapped + sizeof(header.magic), (char *)&header + sizeof(header.magic),
	       sizeof(header) - sizeof(header.magic));
	persist_write_back(&rack->persist, rack->mapped, sizeof(header));
	rack->copy = 0;
	return persist_fence(&rack->persist);
}

static int new_rack(struct rack *rack)
{
	rack->header = (struct rack_header){
		.magic = RACK_MAGIC,
		.version = SHELF_VERSION,
		.unit_shift = RACK_MIN_UNIT_SHIFT,
	};
	while (unit(rack) < rack->granularity)
		rack->header.unit_shift++;
	if (getrandom(rack->header.uuid, sizeof(rack->header.uuid), 0) !=
	    (ssize_t)sizeof(rack->header.uuid))
		return hmem_fail(rack->ctx, -errno, "no random numbers: %s", strerror(errno));
	rack->copy = -1;
	return 0;
}

static int read_rack(struct rack *rack)
{
	const char *name = hmem_region_name(rack->region);
	uint64_t seq[RACK_COPIES] = { 0, 0 };
	int got[RACK_COPIES];

	for (unsigned int i = 0; i < RACK_COPIES; i++)
		got[i] = read_copy(rack, i, &seq[i]);
	/* A newer version writes both copies before it relies on either. */
	if (got[0] <= 0 && got[1] <= 0 &&
	    (got[0] == -EPROTONOSUPPORT || got[1] == -EPROTONOSUPPORT))
		return hmem_fail(rack->ctx, -EPROTONOSUPPORT,
				 "%s: its shelves were written by a newer libhmem", name);
	if (got[0] <= 0 && got[1] <= 0 && (got[0] == -ENOTSUP || got[1] == -ENOTSUP))
		return hmem_fail(rack->ctx, -EPROTONOSUPPORT,
				 "%s: its shelves were made by an older version of hmem: read them "
				 "with that, export them and import them here", name);
	if (got[0] <= 0 && got[1] <= 0) {
		if (!got[1] && (!got[0] || was_being_born(rack)))
			return new_rack(rack);
		return hmem_fail(rack->ctx, -EUCLEAN,
				 "%s holds no shelves but something else, or they are damaged; "
				 "the first 64 KiB of a region for shelves begin as zeroes",
				 name);
	}
	take_copy(rack, got[0] <= 0 || (got[1] > 0 && seq[1] > seq[0]));
	if (rack->header.region_units > rack->region_bytes >> rack->header.unit_shift)
		return hmem_fail(rack->ctx, -EUCLEAN,
				 "%s has shrunk: %" PRIu64 " bytes, and had %" PRIu64
				 " when its shelves were made; make it as large again, and check them",
				 name, rack->region_bytes,
				 rack->header.region_units << rack->header.unit_shift);
	if (!runs_are_sane(rack))
		return hmem_fail(rack->ctx, -EUCLEAN, "%s: its table of shelves is damaged", name);
	return 0;
}

static void unmap_rack(struct rack *rack)
{
	if (rack->copied)
		free(rack->mapped);
	else
		hmem_region_unmap(rack->region, rack->mapped, rack->mapped_bytes);
	rack->mapped = NULL;
}

/*
 * A file that was not allocated: where its file system is full, even a look raises SIGBUS. Devices
 * have no holes, and answer anything.
 */
static int has_holes(const struct rack *rack, bool *any)
{
	struct stat st;
	off_t hole;

	*any = false;
	if (rack->fd < 0)
		return 0;
	if (fstat(rack->fd, &st))
		return hmem_fail(rack->ctx, -errno, "examining %s: %s",
				 hmem_region_name(rack->region), strerror(errno));
	hole = S_ISREG(st.st_mode) ? lseek(rack->fd, 0, SEEK_HOLE) : -1;
	*any = hole >= 0 && (uint64_t)hole < rack->mapped_bytes;
	return 0;
}

/* Who may not write reads a copy. */
static int copy_rack(struct rack *rack)
{
	ssize_t got;

	rack->mapped = calloc(1, rack->mapped_bytes);
	if (!rack->mapped)
		return hmem_fail(rack->ctx, -ENOMEM, "no memory for the table of shelves");
	got = pread(rack->fd, rack->mapped, rack->mapped_bytes, 0);
	rack->copied = true;
	if (got == (ssize_t)rack->mapped_bytes)
		return 0;
	unmap_rack(rack);
	return hmem_fail(rack->ctx, -EIO, "reading the table of shelves of %s: %s",
			 hmem_region_name(rack->region), got < 0 ? strerror(errno) : "it ends there");
}

static int map_rack(struct hmem_region *region, struct rack *rack)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	bool holes;
	void *mapped;
	int err = hmem_region_get_info(region, &info);

	if (err)
		return err;
	rack->region_bytes = info.bytes;
	rack->granularity = info.granularity;
	rack->mapped_bytes = info.granularity > RACK_BYTES ? info.granularity : RACK_BYTES;
	if (info.bytes < rack->mapped_bytes)
		return hmem_fail(rack->ctx, -ENOSPC, "%s is too small for shelves",
				 hmem_region_name(region));
	err = has_holes(rack, &holes);
	if (!err && holes) {
		if (hmem_region_flags(region) & HMEM_OPEN_READ_ONLY)
			return copy_rack(rack);
		err = hmem_region_allocate(region, 0, rack->mapped_bytes);
	}
	if (!err)
		err = hmem_region_map(region, 0, rack->mapped_bytes, &mapped, NULL);
	if (!err)
		rack->mapped = mapped;
	return err;
}

int rack_open(struct hmem_region *region, int fd, const struct persist *persist,
	      unsigned int wait_ms, struct rack *rack)
{
	int err;

	memset(rack, 0, sizeof(*rack));
	rack->ctx = hmem_region_ctx(region);
	rack->region = region;
	rack->fd = fd;
	rack->persist = *persist;
	/* A shared lock is all that a read-only descriptor can have. */
	err = byte_lock_within(fd, RACK_BYTE, hmem_region_flags(region) & HMEM_OPEN_READ_ONLY,
			       wait_ms);
	if (err == -EBUSY)
		return hmem_fail(rack->ctx, err,
				 "%s: somebody who may read it looks at its table of shelves, or keeps "
				 "its lock, for %u ms now; try again, or see in /proc/locks who",
				 hmem_region_name(region), wait_ms);
	if (err)
		return hmem_fail(rack->ctx, err, "locking the shelves of %s: %s",
				 hmem_region_name(region), strerror(-err));
	err = map_rack(region, rack);
	if (!err) {
		err = read_rack(rack);
		if (!err)
			return 0;
		unmap_rack(rack);
	}
	byte_unlock(fd, RACK_BYTE);
	return err;
}

/* --- without the lock ---------------------------------------------------------------- */

/* Whoever writes is not at one copy for as many attempts of ours. */
#define PEEKS 10000

static void copy_words(unsigned char *to, const unsigned char *from, size_t bytes)
{
	const volatile uint64_t *racy = (const volatile uint64_t *)from;
	uint64_t *words = (uint64_t *)to;

	RACY_READS_BEGIN();
	for (size_t i = 0; i < bytes / sizeof(*words); i++)
		words[i] = racy[i];
	RACY_READS_END();
}

/* As much of a copy as counts. */
static void peek_copy(unsigned char *to, const unsigned char *from)
{
	struct rack_header header;

	copy_words(to, from, sizeof(header));
	memcpy(&header, to, sizeof(header));
	if (header.nr_shelves <= RACK_MAX_SHELVES && header.nr_runs <= RACK_MAX_RUNS)
		copy_words(to + sizeof(header), from + sizeof(header),
			   image_bytes(&header) - sizeof(header));
}

int rack_peek(struct hmem_region *region, struct persist *persist, struct rack *rack)
{
	unsigned char *mapped, *seen;
	int err;

	memset(rack, 0, sizeof(*rack));
	rack->ctx = hmem_region_ctx(region);
	rack->region = region;
	rack->fd = -1;
	seen = calloc(1, RACK_BYTES);
	if (!seen)
		return hmem_fail(rack->ctx, -ENOMEM, "no memory for the table of shelves");
	err = map_rack(region, rack);
	if (!err) {
		mapped = rack->mapped;
		rack->mapped = seen;
		for (int i = 0; i < PEEKS; i++) {
			for (unsigned int copy = 0; copy < RACK_COPIES; copy++)
				peek_copy(seen + copy * RACK_COPY_BYTES,
					  mapped + copy * RACK_COPY_BYTES);
			err = read_rack(rack);
			if (err != -EUCLEAN)
				break;
		}
		rack->mapped = NULL;
		/* Whoever is at one of them has the other one durable. */
		if (!err && persist) {
			persist_write_back_found(persist, mapped, RACK_BYTES);
			err = persist_fence(persist);
			if (err)
				err = not_written(rack, err);
		}
		hmem_region_unmap(region, mapped, rack->mapped_bytes);
	}
	free(seen);
	return err;
}

/* --- what belongs to whom ------------------------------------------------------------ */

void rack_close(struct rack *rack)
{
	unmap_rack(rack);
	byte_unlock(rack->fd, RACK_BYTE);
}

int rack_find(const struct rack *rack, const char *name)
{
	for (uint32_t i = 0; i < rack->header.nr_shelves; i++)
		if (!strcmp(rack->shelves[i].name, name))
			return (int)i;
	return -ENOENT;
}

struct rack_run *rack_runs(struct rack *rack, unsigned int entry)
{
	struct rack_run *run = rack->runs;

	for (unsigned int i = 0; i < entry; i++)
		run += rack->shelves[i].nr_runs;
	return run;
}

static int insert_run(struct rack *rack, unsigned int entry, const struct rack_run *run)
{
	struct rack_run *end = rack_runs(rack, entry) + rack->shelves[entry].nr_runs;
	struct rack_run *last = rack->runs + rack->header.nr_runs;

	if (rack->header.nr_runs == RACK_MAX_RUNS)
		return hmem_fail(rack->ctx, -ENOSPC,
				 "%s: its shelves are in too many pieces (%u at most)",
				 hmem_region_name(rack->region), RACK_MAX_RUNS);
	memmove(end + 1, end, (size_t)((char *)last - (char *)end));
	*end = *run;
	rack->shelves[entry].nr_runs++;
	rack->header.nr_runs++;
	return 0;
}

/* In a map of units, each of a byte: nobody's, somebody's, or given to somebody just now. */
enum { UNIT_FREE, UNIT_USED, UNIT_NEW };

/* The next of the new ones from @from on: how many, and in @from the first. */
static uint64_t new_units(const unsigned char *used, uint64_t total, uint64_t *from)
{
	uint64_t end;

	while (*from < total && used[*from] != UNIT_NEW)
		++*from;
	for (end = *from; end < total && used[end] == UNIT_NEW;)
		end++;
	return end - *from;
}

/* See that a file system has what is given away, and keep nothing of it when it has not. */
static int allocate_new(struct rack *rack, const unsigned char *used, uint64_t total)
{
	unsigned int shift = rack->header.unit_shift;
	uint64_t units;
	/* The table itself is written first when there are no shelves yet. */
	int err = rack->header.nr_shelves > 1 ? 0 :
						hmem_region_allocate(rack->region, 0, 1ull << shift);

	for (uint64_t at = 0; !err && (units = new_units(used, total, &at)); at += units)
		err = hmem_region_allocate(rack->region, at << shift, units << shift);
	for (uint64_t at = 0; err && (units = new_units(used, total, &at)); at += units)
		hmem_region_discard(rack->region, at << shift, units << shift);
	return err;
}

void rack_discard(struct rack *rack, unsigned int entry, uint64_t from, uint64_t to)
{
	const struct rack_run *run = rack_runs(rack, entry);
	unsigned int shift = rack->header.unit_shift;

	for (uint32_t i = 0; i < rack->shelves[entry].nr_runs; i++, run++) {
		uint64_t first = run->at > from ? run->at : from;
		uint64_t end = (uint64_t)run->at + run->count < to ? (uint64_t)run->at + run->count : to;

		if (first < end)
			hmem_region_discard(rack->region, (run->unit + first - run->at) << shift,
					    (end - first) << shift);
	}
}

/*
 * Units right behind the run that ends at unit @at of the entry's space become a part of it; of
 * one that lies in the same part, which begins at @part.
 */
static void extend_run(struct rack *rack, unsigned int entry, unsigned char *used, uint64_t total,
		       uint64_t part, uint64_t *at, uint64_t *units)
{
	struct rack_run *run = rack_runs(rack, entry);

	for (uint32_t i = 0; i < rack->shelves[entry].nr_runs; i++, run++) {
		if (run->at < part || (uint64_t)run->at + run->count != *at)
			continue;
		for (uint64_t next = (uint64_t)run->unit + run->count;
		     *units && next < total && !used[next]; next++, (*at)++, (*units)--) {
			used[next] = UNIT_NEW;
			run->count++;
		}
		return;
	}
}

uint64_t rack_free_units(const struct rack *rack)
{
	uint64_t units = rack->region_bytes >> rack->header.unit_shift, used = 1;

	for (uint32_t i = 0; i < rack->header.nr_runs; i++)
		used += rack->runs[i].count;
	return units > used ? units - used : 0;
}

/*
 * What was read is what is left if the power goes while the other copy is written, or units that it
 * calls free.
 */
static int settle_copy(struct rack *rack)
{
	unsigned char *copy = rack->mapped + (rack->copy ? RACK_COPY_BYTES : 0);
	int err;

	if (rack->copy < 0 || rack->settled)
		return 0;
	persist_write_back_found(&rack->persist, copy, RACK_COPY_BYTES);
	err = persist_fence(&rack->persist);
	if (err)
		return not_written(rack, err);
	rack->settled = true;
	return 0;
}

int rack_give(struct rack *rack, unsigned int entry, uint64_t part, uint64_t at, uint64_t units)
{
	uint64_t total = rack->region_bytes >> rack->header.unit_shift, wanted = units;
	int err = settle_copy(rack);
	unsigned char *used;

	if (err)
		return err;
	used = calloc(1, total);
	if (!used)
		return hmem_fail(rack->ctx, -ENOMEM, "no memory for a map of %s",
				 hmem_region_name(rack->region));
	used[0] = 1;
	for (uint32_t i = 0; i < rack->header.nr_runs; i++)
		memset(used + rack->runs[i].unit, 1, rack->runs[i].count);
	extend_run(rack, entry, used, total, part, &at, &units);
	while (units && !err) {
		uint64_t best = 0, best_count = 0;

		/* The first piece that is large enough, or else the largest. */
		for (uint64_t u = 1; u < total && best_count < units;) {
			uint64_t end = u;

			while (end < total && !used[end] && end - u < units)
				end++;
			if (end - u > best_count) {
				best = u;
				best_count = end - u;
			}
			u = end == u ? u + 1 : end;
		}
		if (!best_count) {
			err = hmem_fail(rack->ctx, -ENOSPC,
					"%s has no room for %" PRIu64
					" bytes more; resize the region or take less",
					hmem_region_name(rack->region),
					wanted << rack->header.unit_shift);
			break;
		}
		memset(used + best, UNIT_NEW, best_count);
		err = insert_run(rack, entry,
				 &(struct rack_run){ .at = (uint32_t)at, .unit = (uint32_t)best,
						     .count = (uint32_t)best_count });
		at += best_count;
		units -= best_count;
	}
	if (!err)
		err = allocate_new(rack, used, total);
	free(used);
	return err;
}

int rack_add(struct rack *rack, const char *name)
{
	uint32_t entry;

	for (entry = 0; entry < rack->header.nr_shelves; entry++)
		if (!rack->shelves[entry].name[0])
			break;
	if (entry == RACK_MAX_SHELVES)
		return hmem_fail(rack->ctx, -ENOSPC, "%s has %u shelves, which is the most",
				 hmem_region_name(rack->region), RACK_MAX_SHELVES);
	if (entry == rack->header.nr_shelves)
		rack->header.nr_shelves++;
	memset(&rack->shelves[entry], 0, sizeof(rack->shelves[entry]));
	memcpy(rack->shelves[entry].name, name, strlen(name));
	return (int)entry;
}

void rack_remove(struct rack *rack, unsigned int entry)
{
	struct rack_run *first = rack_runs(rack, entry);
	struct rack_run *next = first + rack->shelves[entry].nr_runs;
	struct rack_run *last = rack->runs + rack->header.nr_runs;

	memmove(first, next, (size_t)((char *)last - (char *)next));
	rack->header.nr_runs -= rack->shelves[entry].nr_runs;
	memset(&rack->shelves[entry], 0, sizeof(rack->shelves[entry]));
}

/* The copy that is not the newest. */
static int write_copy(struct rack *rack)
{
	struct rack_header header;
	unsigned char *copy, *at;
	int err;

	rack->header.seq++;
	rack->header.crc = 0;
	rack->header.region_units = rack->region_bytes >> rack->header.unit_shift;
	header = rack->header;
	copy = rack->mapped + (rack->copy ? 0 : RACK_COPY_BYTES);
	at = copy + sizeof(header);
	memcpy(at, rack->shelves, header.nr_shelves * sizeof(struct rack_shelf));
	at += header.nr_shelves * sizeof(struct rack_shelf);
	memcpy(at, rack->runs, header.nr_runs * sizeof(struct rack_run));
	header.crc = image_crc(copy, &header);
	memcpy(copy, &header, sizeof(header));
	persist_write_back(&rack->persist, copy, image_bytes(&header));
	err = persist_fence(&rack->persist);
	rack->copy = !rack->copy;
	return err;
}

int rack_write(struct rack *rack)
{
	struct rack_header header;
	int err = settle_copy(rack);

	if (err)
		return err;
	if (rack->copy < 0) {
		header = rack->header;
		rack->header.nr_shelves = 0;
		rack->header.nr_runs = 0;
		err = write_first(rack);
		rack->header = header;
	}
	for (unsigned int i = 0; i < RACK_COPIES && !err; i++)
		err = write_copy(rack);
	if (err)
		return not_written(rack, err);
	return 0;
}

unsigned int rack_bad_copies(const struct rack *rack)
{
	unsigned int bad = 0;
	uint64_t seq;

	for (unsigned int i = 0; i < RACK_COPIES; i++)
		if (read_copy(rack, i, &seq) < 0)
			bad |= 1u << i;
	return bad;
}

bool rack_is_settled(const struct rack *rack)
{
	struct rack_header header[RACK_COPIES];
	size_t bytes;

	if (rack_bad_copies(rack))
		return false;
	for (unsigned int i = 0; i < RACK_COPIES; i++)
		memcpy(&header[i], rack->mapped + i * RACK_COPY_BYTES, sizeof(header[i]));
	/* They differ in their sequence numbers, and so in their checksums. */
	bytes = image_bytes(&header[0]) - sizeof(header[0]);
	return header[0].magic == header[1].magic && header[0].nr_shelves == header[1].nr_shelves &&
	       header[0].nr_runs == header[1].nr_runs &&
	       header[0].region_units == header[1].region_units &&
	       !memcmp(rack->mapped + sizeof(header[0]),
		       rack->mapped + RACK_COPY_BYTES + sizeof(header[1]), bytes);
}
