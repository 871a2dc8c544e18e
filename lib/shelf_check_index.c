// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Checking the index: what it leads to must be records of the kinds that belong there, each
 * entered once, where its name is looked for.
 */
#include <inttypes.h>
#include <string.h>

#include "shelf_check.h"
#include "shelf_record.h"
#include "shelf_type.h"

/* --- records ------------------------------------------------------------------------- */

const char *check_name(struct check *check, uint64_t at, const struct record *header)
{
	memcpy(check->name,
	       shelf_at(check->shelf,
			record_value_offset(at, header->align_shift) + header->value_bytes),
	       header->name_bytes);
	check->name[header->name_bytes] = '\0';
	return check->name;
}

/* What each kind of record that the index leads to must be. */
static const char *object_wrong(struct check *check, uint64_t at, const struct record *header)
{
	const void *type;
	size_t bytes;

	if (!header->name_bytes || !*check->name)
		return "has no name";
	if (!type_of(check->shelf, at, header, &type, &bytes))
		return "has a type descriptor that is not there any more";
	if (header->state != RECORD_PENDING && header->state != RECORD_BORN &&
	    header->state != RECORD_SEALED)
		return "is in a state in which no object is";
	return NULL;
}

static const char *descriptor_wrong(struct check *check, uint64_t at, const struct record *header)
{
	(void)at;
	if (header->name_bytes < 2 || *check->name || header->value_bytes || header->typed)
		return "is no descriptor, and says that it is one";
	if (header->state != RECORD_PENDING && header->state != RECORD_SEALED)
		return "is in a state in which no descriptor is";
	return NULL;
}

static const struct {
	const char *(*wrong)(struct check *check, uint64_t at, const struct record *header);
} kinds[] = {
	[RECORD_OBJECT] = { object_wrong },
	[RECORD_TYPE] = { descriptor_wrong },
};

/* What the index leads to. True when it could be looked at and claimed. */
static bool check_current(struct check *check, uint64_t at, struct record *header)
{
	struct hmem_shelf *shelf = check->shelf;
	const char *name, *wrong;

	if (!shelf_reach(shelf, at)) {
		check_found(check, "index", at, NULL, "an entry leads out of the heap");
		return false;
	}
	memcpy(header, shelf_at(shelf, at), sizeof(*header));
	if (!record_fits(shelf, at, header)) {
		check_found(check, "record", at, NULL, "its lengths lead out of the heap");
		return false;
	}
	name = check_name(check, at, header);
	if (check_judge(check, at, header) != VERDICT_GOOD) {
		if (!check->made_up)
			check_found(check, "record", at, name, "its checksum does not hold");
		return false;
	}
	if (record_mark_in(header) != record_mark(shelf, at))
		check_found(check, "record", at, name, "its mark is wrong");
	if (header->kind >= sizeof(kinds) / sizeof(kinds[0]) || !kinds[header->kind].wrong) {
		check_found(check, "record", at, name,
			    "records of kind %u have no place in the index", header->kind);
		return false;
	}
	wrong = kinds[header->kind].wrong(check, at, header);
	if (wrong)
		check_found(check, "record", at, name, "it %s", wrong);
	if (check_granule(check, at) < check->granules &&
	    check_bit(check->live, check_granule(check, at))) {
		check_found(check, "index", at, name, "the same record is entered twice");
		return false;
	}
	if (!check_claim(check, "record", at, record_granules(at, header), name, "it"))
		return false;
	check_set_bit(check->live, check_granule(check, at));
	check_set_bit(check->blocks, check_granule(check, at));
	if (record_end(at, header) > check->end)
		check->end = record_end(at, header);
	check->objects += header->kind != RECORD_TYPE;
	return true;
}

/* --- the index ----------------------------------------------------------------------- */

static bool bucket_has(struct check *check, const struct bucket *bucket, unsigned int entries,
		       uint64_t entry, uint64_t at, const struct record *header)
{
	const char *name = check_name(check, at, header);

	for (unsigned int i = 0; i < entries; i++) {
		uint64_t other = bucket->entry[i];

		if (other && !((other ^ entry) >> ENTRY_OFFSET_BITS) &&
		    shelf_reach(check->shelf, entry_offset(other)) &&
		    name_is(check->shelf, entry_offset(other), name, header->name_bytes))
			return true;
	}
	return false;
}

/* Entry @i of @bucket, in the chain that begins at @first, bucket @number. */
static void check_entry(struct check *check, uint64_t number, const struct bucket *first,
			const struct bucket *bucket, unsigned int i)
{
	struct hmem_shelf *shelf = check->shelf;
	uint64_t entry = bucket->entry[i], at = entry_offset(entry), hash, right = ~0ull;
	unsigned int left = INDEX_LINKS_MAX;
	uint64_t where = shelf_offset(shelf, &bucket->entry[i]);
	struct record header;

	if (!check_current(check, at, &header))
		return;
	check_name(check, at, &header);
	hash = name_hash(shelf, check->name, header.name_bytes);
	if ((entry_tag(hash) ^ entry) >> ENTRY_OFFSET_BITS)
		check_found(check, "index", where, check->name,
			    "its entry bears another name's hash");
	index_bucket(shelf, hash, &right);
	if (right != number)
		check_found(check, "index", where, check->name,
			    "it is entered in bucket %" PRIu64 " instead of %" PRIu64, number,
			    right);
	for (; first && first != bucket; first = index_follow(shelf, first, &left))
		if (bucket_has(check, first, BUCKET_ENTRIES, entry, at, &header))
			check_found(check, "index", where, check->name, "it is entered twice");
	if (bucket_has(check, bucket, i, entry, at, &header))
		check_found(check, "index", where, check->name, "it is entered twice");
}

/*
 * @counts: the index has got so far. Of the bucket behind these there may be overflow, left by a split
 * that found no memory for more or whose writer died, and to be used by the next; but no entries.
 */
static void check_bucket(struct check *check, uint64_t number, bool counts)
{
	struct hmem_shelf *shelf = check->shelf;
	struct bucket *first = index_at(shelf, number), *bucket = first;

	if (!first) {
		check_found(check, "index", 0, NULL, "bucket %" PRIu64 " is damaged or nowhere",
			    number);
		return;
	}
	while (bucket && !check->stopped) {
		uint64_t where = shelf_offset(shelf, bucket);
		struct bucket *next = index_next(shelf, bucket);

		if (bucket->head >> 48 && !BUCKET_STATE(bucket->head))
			check_found(check, "index", where, NULL, "bucket %" PRIu64 " is locked",
				    number);
		if (BUCKET_NEXT(bucket->head) && !next)
			check_found(check, "index", where, NULL,
				    "the overflow of bucket %" PRIu64 " is nowhere", number);
		for (unsigned int i = 0; i < BUCKET_ENTRIES; i++) {
			if (bucket->entry[i] && counts)
				check_entry(check, number, first, bucket, i);
			else if (bucket->entry[i])
				check_found(check, "index", where, NULL,
					    "bucket %" PRIu64 " does not count and is not empty",
					    number);
		}
		bucket = next;
		/* What is claimed already is a chain that leads into itself or another. */
		if (bucket &&
		    !check_claim(check, "index",
				 shelf_offset(shelf, bucket) - sizeof(struct record),
				 (sizeof(struct record) + sizeof(*bucket)) >> SHELF_GRANULE_SHIFT,
				 NULL, "an overflow bucket"))
			break;
	}
}

void check_index(struct check *check)
{
	const struct runtime *rt = check->shelf->runtime;
	uint64_t nr = rt->nr_buckets, reach = 0;

	if (nr < INDEX_FIRST_BUCKETS) {
		check_found(check, "index", 0, NULL, "it has %" PRIu64 " buckets", nr);
		return;
	}
	for (unsigned int s = 0; s < SHELF_MAX_SEGMENTS; s++) {
		uint64_t buckets = s ? reach : INDEX_FIRST_BUCKETS;

		if (!rt->segments[s]) {
			if (reach < nr)
				check_found(check, "index", 0, NULL, "its segment %u is missing",
					    s);
			break;
		}
		if (!check_claim(check, "index", rt->segments[s] - sizeof(struct record),
				 (sizeof(struct record) + buckets * sizeof(struct bucket)) >>
					 SHELF_GRANULE_SHIFT,
				 NULL, "a segment"))
			return;
		reach += buckets;
	}
	for (uint64_t b = 0; b < nr && b < reach && !check->stopped; b++) {
		if (b % 4096 == 4095)
			check_tell(check, 0, b, nr);
		check_bucket(check, b, true);
	}
	if (nr < reach && !check->stopped)
		check_bucket(check, nr, false);
}
