/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A shelf in a file, seen from outside of the library: where a shelf offset lies, so that a
 * test can damage what it wants to.
 */
#ifndef SELFTESTS_SHELF_MEDIA_H
#define SELFTESTS_SHELF_MEDIA_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/shelf_format.h"
#include "tap.h"

/* @file: all of the region, mapped. Of a region with one shelf, in entry 0. */
struct media {
	unsigned char *file;
	size_t bytes;
};

__attribute__((unused)) static void media_map(struct media *media, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		tap_bail("opening %s: %s", path, strerror(errno));
	media->bytes = (size_t)st.st_size;
	media->file = mmap(NULL, media->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (media->file == MAP_FAILED)
		tap_bail("mapping %s: %s", path, strerror(errno));
	close(fd);
}

__attribute__((unused)) static void media_unmap(struct media *media)
{
	munmap(media->file, media->bytes);
}

/* The newer copy of the table. */
static inline struct rack_header *media_rack(const struct media *media)
{
	struct rack_header *a = (struct rack_header *)media->file;
	struct rack_header *b = (struct rack_header *)(media->file + RACK_COPY_BYTES);

	return b->magic == RACK_MAGIC && b->seq > a->seq ? b : a;
}

/* The shelf's entry in it. */
static inline struct rack_shelf *media_shelf(const struct media *media)
{
	return (struct rack_shelf *)(media_rack(media) + 1);
}

/* What lies at a shelf offset; NULL when nothing does. */
static inline void *media_at(const struct media *media, uint64_t offset)
{
	struct rack_header *rack = media_rack(media);
	struct rack_shelf *shelves = (struct rack_shelf *)(rack + 1);
	struct rack_run *runs = (struct rack_run *)(shelves + rack->nr_shelves);

	for (uint32_t i = 0; i < shelves[0].nr_runs; i++) {
		uint64_t from = (uint64_t)runs[i].at << rack->unit_shift;
		uint64_t bytes = (uint64_t)runs[i].count << rack->unit_shift;

		if (offset >= from && offset - from < bytes)
			return media->file + ((uint64_t)runs[i].unit << rack->unit_shift) +
			       (offset - from);
	}
	return NULL;
}

static inline struct shelf_super *media_super(const struct media *media)
{
	struct shelf_super *a = media_at(media, 0), *b = media_at(media, SUPER_COPY_BYTES);

	return b->magic == SHELF_MAGIC && b->seq > a->seq ? b : a;
}

static inline struct runtime *media_runtime(const struct media *media)
{
	return media_at(media, SHELF_RUNTIME_OFFSET);
}

static inline struct slot *media_slot(const struct media *media, unsigned int id)
{
	return media_at(media, SHELF_SLOTS_OFFSET + (uint64_t)id * SLOT_BYTES);
}

static inline struct chunk *media_chunk(const struct media *media, uint64_t number)
{
	return media_at(media, SHELF_SLOTS_OFFSET +
				       (uint64_t)media_super(media)->nr_slots * SLOT_BYTES +
				       number * sizeof(struct chunk));
}

static inline uint64_t media_value_offset(uint64_t at, const struct record *r)
{
	uint64_t align = 1ull << r->align_shift;

	return (at + sizeof(*r) + align - 1) & ~(align - 1);
}

/*
 * The record of a name, by looking for it: the first in which a header's lengths lead to
 * the name, in one of the states in @states. Its offset or 0.
 */
__attribute__((unused)) static uint64_t media_find(const struct media *media, const char *name)
{
	const struct shelf_super *super = media_super(media);
	uint64_t at = super->heap_offset, bytes = strlen(name);
	struct record *r;

	for (; (r = media_at(media, at)); at += SHELF_GRANULE) {
		uint64_t value;

		if (r->kind != RECORD_OBJECT || r->name_bytes != bytes || !r->state ||
		    r->align_shift < SHELF_GRANULE_SHIFT ||
		    r->align_shift > SHELF_ALIGN_MAX_SHIFT)
			continue;
		value = media_value_offset(at, r);
		if (media_at(media, value + r->value_bytes) &&
		    media_at(media, value + r->value_bytes + bytes) &&
		    !memcmp(media_at(media, value + r->value_bytes), name, bytes))
			return at;
	}
	return 0;
}

#endif
