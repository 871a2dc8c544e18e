// SPDX-License-Identifier: GPL-2.0-only
/*
 * A shelf after the power came back: opened by the library as it is, looked at through its
 * interface, and its memory accounted for with the library's own eyes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "holds.h"
#include "layout.h"
#include "machine.h"
#include "recovered.h"
#include "shelf_record.h"
#include "shelf_ordered.h"

unsigned int recovered_some = 8, recovered_again = 1;

static char message[512];

#define WRONG(...) (snprintf(message, sizeof(message), __VA_ARGS__), message)

/* What recovery must leave alone when it is done again. */
struct findings {
	uint64_t records;
	uint64_t objects;
	uint64_t granules;
	uint64_t digest;
	uint64_t types;	/* granules of descriptors: those that nobody has stay over a clean close */
	uint64_t unsealed; /* a record that would only vanish if it were damaged */
};

static const char *error_text(void)
{
	return hmem_last_error(machine_plain.ctx);
}

static int open_again(struct hmem_shelf **shelf)
{
	machine_reboot(&machine_plain);
	return hmem_shelf_open(machine_plain.region, SHELF_NAME, NULL, shelf);
}

/* The process is gone, and nothing was done about that. */
static void abandon(struct hmem_shelf *shelf)
{
	atomic_store(shelf->alive, 0);
	hmem_shelf_close(shelf);
}

/* --- contents ------------------------------------------------------------------------ */

static bool matches(struct hmem_shelf *shelf, uint64_t objects, const struct contents *contents,
		    const char **missing)
{
	*missing = "their number";
	if (!contents->exists || objects != contents->nr)
		return false;
	for (unsigned int i = 0; i < contents->nr; i++) {
		*missing = (const char *)contents->objects[i].name->data;
		if (!holds(shelf, &contents->objects[i]))
			return false;
	}
	return true;
}

static const char *check_details(struct hmem_shelf *shelf, const struct contents *contents)
{
	for (unsigned int i = 0; i < contents->nr; i++) {
		const struct object *object = &contents->objects[i];
		const char *name = (const char *)object->name->data, *wrong = NULL;
		struct hmem_object got;
		int err = hmem_shelf_get(shelf, name, &got);

		if (err)
			return WRONG("%.40s cannot be got: %s", name, error_text());
		if ((uintptr_t)got.data & (object->align - 1))
			wrong = WRONG("%.40s is not aligned", name);
		else if (object->type && (got.type_bytes != object->type->bytes ||
					  memcmp(got.type, object->type->data, got.type_bytes)))
			wrong = WRONG("%.40s is of another type", name);
		else if (!object->type && got.type_bytes)
			wrong = WRONG("%.40s has a type", name);
		hmem_shelf_release(shelf, &got);
		if (wrong)
			return wrong;
	}
	return NULL;
}

/* --- memory -------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, const void *data, size_t bytes)
{
	const unsigned char *from = data;
	uint64_t word;

	for (; bytes >= 8; from += 8, bytes -= 8) {
		memcpy(&word, from, 8);
		hash = (hash ^ word) * 0xd6e8feb86659fd93ull;
		hash ^= hash >> 32;
	}
	for (; bytes; from++, bytes--)
		hash = (hash ^ *from) * 0x100000001b3ull;
	return hash;
}

static uint64_t index_granules(const struct hmem_shelf *shelf)
{
	uint64_t granules = 0;

	for (unsigned int segment = 0; segment < SHELF_MAX_SEGMENTS; segment++) {
		uint64_t nr = segment ? 8ull << segment : INDEX_FIRST_BUCKETS;

		if (shelf->runtime->segments[segment])
			granules += (sizeof(struct record) + nr * sizeof(struct bucket)) /
				    SHELF_GRANULE;
	}
	for (uint64_t number = 0; number < shelf->runtime->nr_buckets; number++) {
		const struct bucket *bucket = index_at(shelf, number);

		while (bucket && (bucket = index_next(shelf, bucket)))
			granules += (sizeof(struct record) + sizeof(struct bucket)) / SHELF_GRANULE;
	}
	return granules;
}

static void scan(const struct hmem_shelf *shelf, struct findings *found)
{
	uint64_t at = shelf->heap_offset;
	uint64_t end = at + (shelf->runtime->frontier << SHELF_CHUNK_SHIFT), read = 0;

	*found = (struct findings){ 0 };
	while (at < end) {
		struct record header;
		uint64_t granules;

		/* Recovery has restored the marks, and this is quickly said of what lies about. */
		if (record_word_is_none(*(uint64_t *)shelf_at(shelf, at)) ||
		    record_mark_in(shelf_at(shelf, at)) != record_mark(shelf, at) ||
		    record_judge(shelf, at, &header, &read) != VERDICT_GOOD) {
			at += SHELF_GRANULE;
			continue;
		}
		granules = record_granules(at, &header);
		if (header.state != RECORD_SEALED)
			found->unsealed = at;
		if (header.kind == RECORD_TYPE) {
			found->types += granules;
			at += granules << SHELF_GRANULE_SHIFT;
			continue;
		}
		found->records++;
		found->objects += header.kind == RECORD_OBJECT;
		found->granules += granules;
		found->digest = mix(found->digest + at, &header, offsetof(struct record, link));
		found->digest = mix(found->digest, shelf_at(shelf, at + sizeof(header)),
				    record_end(at, &header) - at - sizeof(header));
		at += granules << SHELF_GRANULE_SHIFT;
	}
}

static uint64_t order_granules(const struct hmem_shelf *shelf)
{
	uint64_t granules = 0, at = shelf->runtime->ordered_head;
	struct ordered_view view;

	for (; at && ordered_look(shelf, at, &view); at = node_offset(view.node->next[0]))
		granules += view.granules;
	return granules;
}

static const char *account(const struct hmem_shelf *shelf, const struct findings *found)
{
	uint64_t order = shelf_is_ordered(shelf) ? order_granules(shelf) : 0;
	uint64_t used = shelf->runtime->heap_chunks * SHELF_CHUNK_GRANULES -
			heap_free_granules(shelf);
	uint64_t index = index_granules(shelf);

	if (used == found->granules + found->types + index + order)
		return NULL;
	return WRONG("%llu granules are used, by records %llu, by index and order %llu",
		     (unsigned long long)used, (unsigned long long)found->granules,
		     (unsigned long long)(index + order));
}

static int first_finding(void *arg, const struct hmem_shelf_finding *finding)
{
	const char **wrong = arg;

	*wrong = WRONG("check: %s at %#llx: %s", finding->part,
		       (unsigned long long)finding->offset, finding->text);
	return 1;
}

/* The library's own opinion. */
static const char *check_all(struct hmem_shelf *shelf)
{
	const char *wrong = NULL;

	if (hmem_shelf_check(shelf, first_finding, &wrong) && !wrong)
		wrong = WRONG("check: %s", error_text());
	return wrong;
}

/*
 * It is not only to be looked at: all that there is can be replaced and deleted, then memory be
 * used that was not, and when the power goes again it is still well.
 */
static const char *use(struct hmem_shelf **used, const struct contents *contents)
{
	static const unsigned char large[70000];
	struct hmem_shelf_info info = { .size = sizeof(info) };
	struct hmem_shelf *shelf = *used;
	int err;

	for (unsigned int i = 0; i < contents->nr; i++) {
		const char *name = (const char *)contents->objects[i].name->data;

		err = hmem_shelf_put(shelf, name, "", 1, NULL);
		if (err && err != -ENOSPC)
			return WRONG("%.40s cannot be replaced: %s", name, error_text());
		if (hmem_shelf_delete(shelf, name))
			return WRONG("%.40s cannot be deleted: %s", name, error_text());
	}
	if (hmem_shelf_get_info(shelf, &info) || info.objects)
		return WRONG("%llu objects are left when all are deleted",
			     (unsigned long long)info.objects);
	for (unsigned int i = 0; i < 3; i++) {
		err = hmem_shelf_put(shelf, i ? i > 1 ? "c" : "b" : "a", large, sizeof(large), NULL);
		if (err && err != -ENOSPC)
			return WRONG("it takes nothing large: %s", error_text());
	}
	abandon(shelf);
	*used = NULL;
	err = open_again(used);
	if (err)
		return WRONG("opening when it was used: %s", error_text());
	return check_all(*used);
}

/* --- all of it ----------------------------------------------------------------------- */

static const char *look(struct hmem_shelf *shelf, const struct contents *before,
			const struct contents *after, unsigned int *which, struct findings *found)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };
	const char *lacks_before, *lacks_after, *wrong;
	uint64_t used = layout_highest_seq();

	if (hmem_shelf_get_info(shelf, &info))
		return WRONG("get_info: %s", error_text());
	*which = 0;
	if (matches(shelf, info.objects, before, &lacks_before))
		*which |= 1;
	if (matches(shelf, info.objects, after, &lacks_after))
		*which |= 2;
	if (!*which)
		return WRONG("%llu objects, neither the %u before (%.40s) nor the %u after (%.40s)",
			     (unsigned long long)info.objects, before->nr, lacks_before, after->nr,
			     lacks_after);
	scan(shelf, found);
	wrong = account(shelf, found);
	if (!wrong && found->objects != info.objects)
		wrong = WRONG("%llu objects have %llu records",
			      (unsigned long long)info.objects,
			      (unsigned long long)found->objects);
	/* Somebody may have kept handles of what is gone. */
	if (!wrong && shelf->runtime->seq_floor < used)
		wrong = WRONG("numbers go on from %llu, and %llu was given out",
			      (unsigned long long)shelf->runtime->seq_floor,
			      (unsigned long long)used);
	/* Whoever was the last to write is not here any more. */
	if (!wrong && found->unsealed)
		wrong = WRONG("the record at %#llx is not sealed",
			      (unsigned long long)found->unsealed);
	if (!wrong)
		wrong = check_details(shelf, *which & 1 ? before : after);
	return wrong;
}

/* It is there or not, and nothing was ever put on it. */
static const char *check_beside(const struct contents *before, const struct contents *after,
				unsigned int *which)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };
	struct hmem_shelf *shelf;
	const char *wrong = NULL;
	bool there;
	int err;

	if (!before->beside && !after->beside)
		return NULL;
	machine_reboot(&machine_plain);
	err = hmem_shelf_open(machine_plain.region, SHELF_BESIDE, NULL, &shelf);
	if (err && err != -ENOENT)
		return WRONG("opening the one beside it: %s", error_text());
	there = !err;
	*which &= (before->beside == there ? 1u : 0) | (after->beside == there ? 2u : 0);
	if (!*which)
		return WRONG("there is %s beside it", there ? "a shelf" : "no shelf");
	if (!there)
		return NULL;
	if (hmem_shelf_get_info(shelf, &info) || info.objects)
		wrong = WRONG("the one beside it has objects");
	if (!wrong)
		wrong = check_all(shelf);
	abandon(shelf);
	return wrong;
}

static const char *check(const struct contents *before, const struct contents *after,
			 unsigned int *which)
{
	static unsigned int turn;
	struct findings first, second;
	struct hmem_shelf *shelf;
	unsigned int again;
	const char *wrong;
	int err = open_again(&shelf);

	turn++;
	if (err == -ENOENT) {
		*which = (before->exists ? 0 : 1) | (after->exists ? 0 : 2);
		return *which ? NULL : WRONG("there is no shelf: %s", error_text());
	}
	if (err)
		return WRONG("opening: %s", error_text());
	wrong = look(shelf, before, after, which, &first);
	if (!wrong && turn % recovered_some == 0)
		wrong = check_all(shelf);
	/* After a second one it would be too late: that is never the opening of a clean shelf. */
	if (!wrong && turn % recovered_some == recovered_some / 2)
		wrong = use(&shelf, *which & 1 ? before : after);
	if (shelf)
		abandon(shelf);
	if (wrong || turn % recovered_some == recovered_some / 2 || turn % recovered_again)
		return wrong;
	err = open_again(&shelf);
	if (err)
		return WRONG("opening again: %s", error_text());
	wrong = look(shelf, before, after, &again, &second);
	first.types = second.types;
	if (!wrong && (again != *which || memcmp(&first, &second, sizeof(first)) != 0))
		wrong = WRONG("a second recovery finds something else");
	abandon(shelf);
	return wrong;
}

const char *recovered_check(const struct contents *before, const struct contents *after,
			    unsigned int *which)
{
	struct machine *was = machine_now;
	unsigned int actor = machine_actor;
	const char *wrong;

	machine_now = &machine_plain;
	machine_actor = 0;
	*which = 0;
	wrong = check(before, after, which);
	if (!wrong)
		wrong = check_beside(before, after, which);
	machine_now = was;
	machine_actor = actor;
	return wrong;
}
