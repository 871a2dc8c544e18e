// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Checking a shelf: everything that can be derived from something else is, and compared.
 *
 * First all that the volatile structures lead to is claimed: records through the index,
 * the index's own memory, retired blocks, what slots hold. Two claims of one granule are a
 * finding. Then the claims are compared with the chunk maps: a granule that is marked and
 * not claimed has leaked, one that is claimed and not marked will be handed out once
 * more. Last, all granules outside of what the index leads to are looked at as recovery
 * would do, which must find no record there: it would bring back what is gone.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shelf_check.h"
#include "shelf_rack.h"
#include "shelf_record.h"
#include "shelf_sigbus.h"
#include "shelf_super.h"

void check_found(struct check *check, const char *part, uint64_t at, const char *name,
		 const char *format, ...)
{
	struct hmem_shelf_finding finding = {
		.size = sizeof(finding),
		.part = part,
		.offset = at,
		.name = name,
	};
	struct sigbus_guard *guard;
	char text[256];
	va_list ap;

	check->findings++;
	if (!check->fn || check->stopped)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	finding.text = text;
	guard = sigbus_suspend();
	check->stopped = check->fn(check->arg, &finding);
	sigbus_resume(guard);
}

void check_tell(const struct check *check, unsigned int part, uint64_t done, uint64_t of)
{
	uint64_t bytes = check->granules << SHELF_GRANULE_SHIFT;
	struct sigbus_guard *guard = sigbus_suspend();

	if (of)
		hmem_progress(
			check->shelf->ctx, "checking",
			(uint64_t)(((double)part + (double)done / (double)of) / 3 * (double)bytes),
			bytes);
	sigbus_resume(guard);
}

bool check_claim(struct check *check, const char *part, uint64_t at, uint64_t granules,
		 const char *name, const char *what)
{
	uint64_t first = check_granule(check, at);

	if (at < check->shelf->heap_offset || at & (SHELF_GRANULE - 1) || first > check->granules ||
	    granules > check->granules - first) {
		check_found(check, part, at, name, "%s lies outside of the used part of the heap",
			    what);
		return false;
	}
	for (uint64_t i = first; i < first + granules; i++) {
		if (check_bit(check->claimed, i)) {
			check_found(check, part, at, name,
				    "%s takes memory at %#" PRIx64 " that something else has", what,
				    check_offset(check, i));
			return false;
		}
		check_set_bit(check->claimed, i);
	}
	return true;
}

enum verdict check_judge(struct check *check, uint64_t at, struct record *header)
{
	if (!check->made_up && record_read_too_much(check->shelf, check->read)) {
		check->made_up = true;
		check_found(check, "record", at, NULL,
			    "records take more than there is room for: somebody has made them up, and "
			    "no more of them are looked at");
	}
	if (check->made_up) {
		*header = (struct record){ 0 };
		return VERDICT_NONE;
	}
	return record_judge(check->shelf, at, header, &check->read);
}

/* --- superblock and table ------------------------------------------------------------ */

static int check_table(struct check *check)
{
	struct hmem_shelf *shelf = check->shelf;
	struct persist none = { .kind = PERSIST_NONE };
	struct rack *rack = malloc(sizeof(*rack));
	struct shelf_super super;
	unsigned int bad;
	int err;

	if (!rack)
		return shelf_fail(shelf, -ENOMEM, "shelf %s: no memory to check it", shelf->name);
	pthread_mutex_lock(&shelf->table_lock);
	err = rack_open(shelf->region, shelf->lock_fd, &none, shelf->wait_ms, rack);
	if (!err) {
		bad = rack_bad_copies(rack);
		for (unsigned int i = 0; i < RACK_COPIES; i++)
			if (bad & 1u << i)
				check_found(check, "table", 0, NULL,
					    "copy %u of the region's table of shelves is damaged",
					    i);
		for (unsigned int i = 0; i < SUPER_COPIES; i++)
			if (!super_copy_good(shelf, i, rack->shelves[shelf->rack_entry].uuid,
					     &super))
				check_found(check, "superblock", i * SUPER_COPY_BYTES, NULL,
					    "copy %u of it is damaged", i);
		rack_close(rack);
	}
	pthread_mutex_unlock(&shelf->table_lock);
	free(rack);
	return err;
}

static void check_count(struct check *check)
{
	struct hmem_shelf *shelf = check->shelf;
	uint64_t objects = shelf->runtime->objects;

	for (unsigned int id = 0; id < shelf->nr_slots; id++)
		objects += shelf_slot(shelf, id)->objects;
	if (objects != check->objects)
		check_found(check, "count", SHELF_RUNTIME_OFFSET, NULL,
			    "%" PRIu64 " objects are counted and %" PRIu64 " are there", objects,
			    check->objects);
}

static int run(struct check *check)
{
	struct hmem_shelf *shelf = check->shelf;
	uint64_t chunks = shelf->runtime->frontier, words;
	int err = 0;

	if (chunks > shelf->runtime->heap_chunks) {
		check_found(check, "heap", SHELF_RUNTIME_OFFSET, NULL,
			    "%" PRIu64 " chunks are in use, of %" PRIu64, chunks,
			    shelf->runtime->heap_chunks);
		return 0;
	}
	if (chunks)
		err = shelf_map_more(shelf, shelf->heap_offset + (chunks << SHELF_CHUNK_SHIFT));
	if (err)
		return err;
	check->granules = chunks * SHELF_CHUNK_GRANULES;
	words = check->granules / 64 + 1;
	check->claimed = calloc(words, sizeof(uint64_t));
	check->live = calloc(words, sizeof(uint64_t));
	check->blocks = calloc(words, sizeof(uint64_t));
	if (!check->claimed || !check->live || !check->blocks)
		return shelf_fail(shelf, -ENOMEM, "shelf %s: no memory to check it", shelf->name);
	err = check_table(check);
	if (err)
		return err;
	check_locks(check);
	check_index(check);
	check_limbo(check);
	check_order(check);
	for (unsigned int id = 0; id < shelf->nr_slots; id++)
		check_slot(check, id);
	for (unsigned int id = 0; id < shelf->nr_slots; id++)
		check_references(check, id);
	for (uint64_t i = 0; i < chunks && !check->stopped; i++) {
		if (i % 4096 == 4095)
			check_tell(check, 1, i, chunks);
		check_chunk(check, i);
	}
	check_scan(check);
	check_frontier(check);
	check_ceiling(check);
	check_count(check);
	return check->stopped;
}

/* What it has written down is given back when a part of the shelf is gone. */
static int run_guarded(struct check *check)
{
	return SIGBUS_GUARDED_PART(check->shelf, run(check));
}

static int do_check(struct hmem_shelf *shelf,
		    int (*fn)(void *arg, const struct hmem_shelf_finding *finding), void *arg)
{
	struct check check = { .shelf = shelf, .fn = fn, .arg = arg };
	struct writer *writer;
	int err = 0;

	if (!shelf)
		return -EINVAL;
	if (!*(volatile unsigned int *)shelf->alive)
		return shelf_fail(shelf, -ECHILD, "shelf %s: opened by the parent", shelf->name);
	shelf_follow_writers(shelf);
	if (!(shelf->flags & HMEM_SHELF_READ_ONLY)) {
		err = writer_begin(shelf, &writer);
		if (!err)
			err = takeover_all(shelf, writer);
	}
	if (!err)
		err = run_guarded(&check);
	check_tell(&check, 3, 0, 1);
	free(check.claimed);
	free(check.live);
	free(check.blocks);
	if (!err && check.findings)
		err = shelf_fail(shelf, -EUCLEAN, "shelf %s: %" PRIu64 " violations", shelf->name,
				 check.findings);
	return err;
}

int hmem_shelf_check(struct hmem_shelf *shelf,
		     int (*fn)(void *arg, const struct hmem_shelf_finding *finding), void *arg)
{
	return SIGBUS_GUARDED(shelf, do_check(shelf, fn, arg));
}
