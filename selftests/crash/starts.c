// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shelves that sequences begin with.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doing.h"
#include "instants.h"
#include "layout.h"
#include "machine.h"
#include "media.h"
#include "seen.h"
#include "shelf_record.h"
#include "starts.h"

static struct {
	unsigned char memory[MACHINE_BYTES];
	struct contents contents;
} starts[STARTS];

void begin_at(enum start start)
{
	media_begin();
	memcpy(machine_traced.memory, starts[start].memory, MACHINE_BYTES);
	models_are(&starts[start].contents);
	machine_reboot(&machine_traced);
	machine_traced.drawn = start;
	media_reset(unit_shift);
	doing_begin();
	now.late = NULL;
	now.excused = 0;
	now.recovering = false;
	now.exploring = false;
	now.failed = false;
	now.cut_at = 0;
	now.cut_lacking = 0;
	seen_room();
	explore_counts.sequences++;
	allow(20);
}

static void start_fill(enum start start)
{
	struct step step = { .call = &calls[0] };

	if (start >= START_TWO && start <= START_MANY) {
		/* Of another length each: what is behind it begins elsewhere in its line. */
		step.name = start == START_MANY ? 3 : 7;
		step.bytes = 16 * (unsigned int)(start - START_TWO);
		do_step(&step);
		step.name = 0;
		step.bytes = 16;
		step.seed = 50;
		do_step(&step);
		step.name = 1;
		step.bytes = 40;
		step.seed = 51;
		do_step(&step);
	}
	for (unsigned int i = 0; start == START_MANY && i < 50; i++) {
		step.name = 8 + i;
		step.bytes = i * 3;
		step.seed = i;
		do_step(&step);
	}
}

/* Of what is left in a part of the heap some headers have a mark that is right for this shelf. */
#define OLD_MARKED	(SHELF_CHUNK / 2)

static void mark_old(unsigned char *memory, uint64_t from, uint64_t to)
{
	const struct hmem_shelf *shelf = doing_shelf();

	for (uint64_t at = from + 3 * SHELF_GRANULE; at < to; at += OLD_MARKED)
		record_set_mark((struct record *)(memory + LAYOUT_HEAP + at),
				record_mark(shelf, shelf->heap_offset + at));
}

static void start_make(enum start start)
{
	begin_at(START_NOTHING);
	if (setjmp(now.gone))
		goto bad;
	if (start != START_NOTHING) {
		if (!create_shelf(start == START_ORDERED ? HMEM_SHELF_ORDERED : 0))
			goto bad;
		start_fill(start);
		/* It may grow to where these are. */
		mark_old(machine_traced.memory, LAYOUT_HEAP_BYTES, MACHINE_BYTES - LAYOUT_HEAP);
		if (now.failed || !close_shelf())
			goto bad;
	}
	memcpy(starts[start].memory, machine_traced.memory, MACHINE_BYTES);
	contents_copy(&starts[start].contents, &now.models[0].after);
	allow(0);
	return;
bad:
	fprintf(stderr, "making a shelf to begin with: %s\n", explore_wrong);
	exit(2);
}

/*
 * The region has been used before: its heap looks like headers of records, which differ from
 * those of the shelf to come in nothing but the mark, and some not even in that. Everywhere where
 * each chunk begins, as far as most shelves come, and where a shelf grows to; elsewhere here and
 * there, as all of it is looked at each time.
 */
#define OLD_BYTES	(12u << 10)
#define OLD_RARE	512u

static void make_old(void)
{
	uint64_t *words = (uint64_t *)(starts[START_NOTHING].memory + LAYOUT_HEAP);

	for (size_t i = 0; i < (MACHINE_BYTES - LAYOUT_HEAP) / sizeof(*words); i += 2) {
		size_t at = i * sizeof(*words);
		bool dense = at % SHELF_CHUNK < OLD_BYTES || at >= LAYOUT_HEAP_BYTES;
		struct record r = { .check = (uint32_t)(i * 0x9e3779b1u), .state = RECORD_SEALED,
				    .kind = RECORD_OBJECT, .name_bytes = 3, .value_bytes = 8 };

		record_set_mark(&r, (uint32_t)(i * 0x9e3779b97f4a7c15ull >> 35));
		if (dense || at % OLD_RARE == 0)
			memcpy(&words[i], &r, SHELF_GRANULE);
	}
}

/* The shelf that is made first has the same key each time. */
static void mark_for_first(void)
{
	begin_at(START_NOTHING);
	if (setjmp(now.gone) || !create_shelf(0)) {
		fprintf(stderr, "making a shelf to see its key: %s\n", explore_wrong);
		exit(2);
	}
	mark_old(starts[START_NOTHING].memory, 0, LAYOUT_HEAP_BYTES);
	close_shelf();
	allow(0);
}

void starts_init(void)
{
	make_old();
	mark_for_first();
	for (enum start start = START_NOTHING; start < STARTS; start++)
		start_make(start);
}
