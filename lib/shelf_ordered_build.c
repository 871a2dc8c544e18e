// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Putting the names of a shelf in order that has just been opened: the list is volatile, and is
 * made from the index unless a clean close has left one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shelf_ordered.h"
#include "shelf_record.h"
#include "shelf_sigbus.h"

/* A record with the first bytes of its name. */
struct named {
	uint64_t begin;
	uint64_t at;
};

static size_t record_name(const struct hmem_shelf *shelf, uint64_t at, const char **name)
{
	struct record header;

	*name = "";
	if (!shelf_reach_block(shelf, at))
		return 0;
	header = record_load(shelf, at);
	if (!record_fits(shelf, at, &header))
		return 0;
	*name = shelf_at(shelf, record_value_offset(at, header.align_shift) + header.value_bytes);
	return header.name_bytes;
}

static int by_name(const void *a, const void *b, void *shelf)
{
	const struct named *x = a, *y = b;
	const char *x_name, *y_name;
	size_t x_bytes, y_bytes;
	int order;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	x_bytes = record_name(shelf, x->at, &x_name);
	y_bytes = record_name(shelf, y->at, &y_name);
	order = memcmp(x_name, y_name, x_bytes < y_bytes ? x_bytes : y_bytes);
	return order ? order : x_bytes < y_bytes ? -1 : x_bytes > y_bytes;
}

static bool is_descriptor(const struct hmem_shelf *shelf, uint64_t entry)
{
	const struct record *r = shelf_at(shelf, entry_offset(entry));

	return r->kind == RECORD_TYPE;
}

/* Tell @list of all objects' records in the index, or count them. */
static size_t collect(const struct hmem_shelf *shelf, struct named *list, size_t room)
{
	uint64_t buckets = shelf->runtime->nr_buckets;
	size_t nr = 0;

	for (uint64_t b = 0; b < buckets; b++) {
		struct bucket *bucket = index_at(shelf, b);
		unsigned int left = INDEX_LINKS_MAX;

		for (; bucket; bucket = index_follow(shelf, bucket, &left)) {
			for (unsigned int i = 0; i < BUCKET_ENTRIES; i++) {
				const char *name;
				size_t bytes;

				if (!bucket->entry[i] || is_descriptor(shelf, bucket->entry[i]) ||
				    nr++ >= room)
					continue;
				list->at = entry_offset(LOAD(&bucket->entry[i]));
				bytes = record_name(shelf, list->at, &name);
				list->begin = 0;
				memcpy(&list->begin, name, bytes < 8 ? bytes : 8);
				list->begin = __builtin_bswap64(list->begin);
				list++;
			}
		}
	}
	return nr;
}

static int build(struct writer *writer, const struct named *list, size_t nr)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct ordered_view last[ORDERED_LEVELS], view;
	int err;

	err = ordered_make_node(writer, ORDERED_LEVELS, "", 0, &view);
	if (err)
		return err;
	STORE(&shelf->runtime->ordered_head, view.at);
	STORE(&writer->slot->fresh, 0);
	for (unsigned int level = 0; level < ORDERED_LEVELS; level++)
		last[level] = view;
	for (; nr; nr--, list++) {
		const char *name;
		size_t bytes = record_name(shelf, list->at, &name);

		err = ordered_make_node(writer, ordered_height(name_hash(shelf, name, bytes)), name,
					bytes, &view);
		if (err)
			return err;
		for (unsigned int level = 0; level < view.height; level++) {
			STORE(ordered_next(&last[level], level), view.at >> SHELF_GRANULE_SHIFT);
			last[level] = view;
		}
		STORE(&writer->slot->fresh, 0);
	}
	return 0;
}

/* Give the list back, as far as it got. */
static int unmake(struct writer *writer)
{
	struct runtime *rt = writer->shelf->runtime;
	uint64_t at = rt->ordered_head;
	struct ordered_view view;
	int err = 0;

	STORE(&rt->ordered_head, 0);
	for (; at && !err; at = node_offset(view.node->next[0])) {
		if (!ordered_look(writer->shelf, at, &view))
			return -EUCLEAN;
		err = heap_give(writer, at, view.granules);
	}
	return err;
}

static int build_from(struct writer *writer, struct named *list, size_t nr)
{
	collect(writer->shelf, list, nr);
	qsort_r(list, nr, sizeof(*list), by_name, writer->shelf);
	return build(writer, list, nr);
}

/* The list is given back when a part of the shelf is gone. */
static int build_guarded(struct writer *writer, struct named *list, size_t nr)
{
	return SIGBUS_GUARDED_PART(writer->shelf, build_from(writer, list, nr));
}

int ordered_build(struct writer *writer)
{
	struct hmem_shelf *shelf = writer->shelf;
	struct named *list;
	size_t nr;
	int err;

	if (!(shelf->super_flags & SHELF_ORDERED))
		return 0;
	nr = collect(shelf, NULL, 0);
	list = malloc((nr ? nr : 1) * sizeof(*list));
	if (!list)
		return shelf_fail(shelf, -ENOMEM, "shelf %s: no memory to put %zu names in order",
				  shelf->name, nr);
	err = build_guarded(writer, list, nr);
	free(list);
	/* That holds nothing which the records do not: they go first. */
	if (err == -ENOSPC) {
		hmem_log(shelf->ctx, HMEM_LOG_WARNING,
			 "shelf %s: no room to put its %zu names in order; delete something, close "
			 "it, and open it again", shelf->name, nr);
		err = unmake(writer);
	}
	return err;
}
