/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an exported shelf looks like as a stream. Documentation/export.md describes it.
 * Little-endian; nothing is aligned, so that all of it is copied before it is looked at.
 */
#ifndef LIB_SHELF_STREAM_H
#define LIB_SHELF_STREAM_H

#include <stdint.h>

#define STREAM_MAGIC		0x54534c4853454d48ull	/* "HMESHLST" */
#define STREAM_VERSION		1u
#define STREAM_NAME_BYTES	64u
#define STREAM_PIECE		(1u << 20)	/* of a value, each with its checksum behind it */

#define STREAM_ORDERED		(1u << 0)

struct stream_header {
	uint64_t magic;
	uint32_t version;
	uint32_t crc;			/* CRC32C of this struct with this as zero */
	uint64_t objects;
	uint64_t directory_bytes;
	uint64_t value_bytes;		/* of all objects */
	uint32_t flags;			/* STREAM_ORDERED */
	uint32_t reserved;
	uint8_t uuid[16];
	char name[STREAM_NAME_BYTES];	/* with the final NUL */
};
_Static_assert(sizeof(struct stream_header) == 128, "without padding");

/*
 * The directory: of each object this, its name and its type descriptor; behind the last a CRC32C of
 * all of it, beginning with that of the header.
 */
struct stream_entry {
	uint64_t value_bytes;
	uint64_t version;
	uint16_t name_bytes;
	uint16_t type_bytes;
	uint8_t align_shift;
	uint8_t reserved[3];
};
_Static_assert(sizeof(struct stream_entry) == 24, "without padding");

/*
 * Behind the directory the values, in its order: pieces, the last of which may be shorter, each
 * followed by the CRC32C of where it belongs and of itself; and at the end of each value this.
 */
struct stream_place {
	uint64_t object;		/* number in the directory */
	uint64_t offset;		/* of the piece in the value */
};

#define STREAM_FUZZY		(1u << 0)

struct stream_trailer {
	uint64_t object;
	uint32_t flags;			/* STREAM_FUZZY */
	uint32_t crc;			/* CRC32C of this struct with this as zero */
};

/* The end. */
#define STREAM_END_MAGIC	0x444e454c48534d48ull	/* "HMSHLEND" */
struct stream_end {
	uint64_t magic;
	uint64_t objects;
	uint64_t fuzzy;
	uint32_t reserved;
	uint32_t crc;			/* CRC32C of this struct with this as zero */
};

#endif
