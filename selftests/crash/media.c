// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stores under way to the media, and what may have arrived when the power goes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "media.h"

#define LINES	(MACHINE_BYTES >> 6)
#define HEAP_END	(LAYOUT_HEAP + LAYOUT_HEAP_BYTES)

/* In a unit that nobody reads, what waits is made durable at some time: it is legal. */
#define MOST_IGNORED 64

/* A store, or a word of one. Those of one group are in any order. */
struct item {
	uint64_t value;
	uint32_t group;
	uint16_t at;
	uint8_t bytes;
};

struct unit {
	struct item *items;
	unsigned int nr;
	unsigned int room;
	unsigned int written_back[MACHINE_ACTORS]; /* so many of them */
	bool listed;

	/* What it may hold; made when asked for, none after a change. The first is what is durable. */
	unsigned char *contents;
	uint64_t *hashes;
	unsigned int nr_contents;
	size_t room_contents;	/* bytes */
	size_t room_hashes;
};

static unsigned char durable[MACHINE_BYTES] __attribute__((aligned(4096)));
static unsigned char shadow[MACHINE_BYTES] __attribute__((aligned(4096)));
static struct unit units[LINES];
static unsigned int waiting[LINES], nr_waiting;
static unsigned int shift = 6;
static uint32_t last_group;

/*
 * Where shelves are is in the rack. As long as nothing is stored there, nor behind the heap of the
 * first, none is made, destroyed or grown, and who recovers it has no business behind its heap.
 */
static bool outside = true;
static bool foreign = true;	/* there the plain machine's memory may be another */

/* --- chance -------------------------------------------------------------------------- */

uint64_t chance_seed;

uint64_t chance(void)
{
	uint64_t z = chance_seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint64_t chance_of(uint64_t limit)
{
	return chance() % limit;
}

/* --- stores -------------------------------------------------------------------------- */

static unsigned char *unit_of(unsigned char *image, unsigned int number)
{
	return image + ((size_t)number << shift);
}

static uint64_t unit_hash(unsigned int number, const unsigned char *content)
{
	uint64_t hash = (number + 1) * 0x9e3779b97f4a7c15ull, word;

	if (layout_ignored((uint64_t)number << shift))
		return 0;
	for (size_t i = 0; i < 1u << shift; i += 8) {
		memcpy(&word, content + i, 8);
		hash = (hash ^ word) * 0xd6e8feb86659fd93ull;
		hash ^= hash >> 32;
	}
	return hash;
}

/* So much of the region may not be what it was in the beginning. */
static size_t reach(void)
{
	return outside ? MACHINE_BYTES : HEAP_END;
}

void media_begin(void)
{
	if (!foreign && !outside &&
	    memcmp(machine_plain.memory + HEAP_END, durable + HEAP_END, MACHINE_BYTES - HEAP_END)) {
		fprintf(stderr, "recovery has stored to where the shelf is not\n");
		exit(2);
	}
	outside = false;
	foreign = true;
}

void media_forked(void)
{
	foreign = true;
}

static void stored(uint64_t offset, const void *data, size_t bytes)
{
	memcpy(shadow + offset, data, bytes);
	outside |= offset < LAYOUT_SUPER || offset + bytes > HEAP_END;
}

void media_reset(unsigned int unit_shift)
{
	for (unsigned int i = 0; i < nr_waiting; i++) {
		units[waiting[i]].nr = 0;
		units[waiting[i]].nr_contents = 0;
		units[waiting[i]].listed = false;
		memset(units[waiting[i]].written_back, 0, sizeof(units[0].written_back));
	}
	nr_waiting = 0;
	shift = unit_shift;
	layout_unit(shift);
	memcpy(durable, machine_traced.memory, MACHINE_BYTES);
	memcpy(shadow, durable, MACHINE_BYTES);
}

static void item_apply(const struct item *item, unsigned char *content)
{
	memcpy(content + item->at, &item->value, item->bytes);
}

/* The first @nr items of a unit are durable. */
static void settle(unsigned int number, unsigned int nr)
{
	struct unit *unit = &units[number];
	unsigned char *content = unit_of(durable, number);

	for (unsigned int i = 0; i < nr; i++)
		item_apply(&unit->items[i], content);
	unit->nr_contents = 0;
	unit->nr -= nr;
	memmove(unit->items, unit->items + nr, unit->nr * sizeof(*unit->items));
	for (unsigned int i = 0; i < MACHINE_ACTORS; i++)
		unit->written_back[i] -= unit->written_back[i] < nr ? unit->written_back[i] : nr;
}

static struct item *item_add(unsigned int number, unsigned int at)
{
	struct unit *unit = &units[number];

	if (!unit->listed) {
		unit->listed = true;
		waiting[nr_waiting++] = number;
	}
	if (unit->nr == MOST_IGNORED && layout_ignored((uint64_t)number << shift))
		settle(number, MOST_IGNORED / 2);
	if (unit->nr == unit->room) {
		unit->room = unit->room ? 2 * unit->room : 8;
		unit->items = machine_kept(unit->items, unit->room * sizeof(*unit->items));
	}
	if (at < unit->nr)
		memmove(unit->items + at + 1, unit->items + at,
			(unit->nr - at) * sizeof(*unit->items));
	unit->nr++;
	unit->nr_contents = 0;
	return &unit->items[at];
}

void media_store(uint64_t offset, const void *data, size_t bytes, bool any_order)
{
	const unsigned char *from = data;

	stored(offset, data, bytes);
	last_group++;
	while (bytes) {
		size_t here = 8 - offset % 8 < bytes ? 8 - offset % 8 : bytes;
		unsigned int number = (unsigned int)(offset >> shift);
		struct item *item = item_add(number, units[number].nr);

		/* Adding may have made others durable, but then there is one place less. */
		item = &units[number].items[units[number].nr - 1];
		*item = (struct item){ .group = any_order ? last_group : 0,
				       .at = (uint16_t)(offset & ((1u << shift) - 1)),
				       .bytes = (uint8_t)here };
		memcpy(&item->value, from, here);
		offset += here;
		from += here;
		bytes -= here;
	}
}

bool media_is_waiting(uint64_t offset)
{
	return units[offset >> shift].nr && !layout_ignored(offset) &&
	       !layout_ignored_beside(offset);
}

void media_store_early(uint64_t offset, const void *data, size_t bytes)
{
	unsigned int number = (unsigned int)(offset >> shift);
	struct unit *unit = &units[number];
	unsigned int at = unit->nr;
	struct item *item;

	/* Not those that store to the same word: it remains what is stored last. */
	stored(offset, data, bytes);
	while (at && unit->items[at - 1].at / 8 != (offset & ((1u << shift) - 1)) / 8)
		at--;
	item = item_add(number, at);
	*item = (struct item){ .at = (uint16_t)(offset & ((1u << shift) - 1)),
			       .bytes = (uint8_t)bytes };
	memcpy(&item->value, data, bytes);
	for (unsigned int i = 0; i < MACHINE_ACTORS; i++)
		unit->written_back[i] += unit->written_back[i] > at;
}

void media_write_back(unsigned int actor, uint64_t offset, size_t bytes)
{
	unsigned int number = (unsigned int)(offset >> shift);
	unsigned int end = (unsigned int)((offset + bytes + (1u << shift) - 1) >> shift);

	/* A page that msync() is asked for goes as it is then. */
	for (; number < end; number++)
		if (units[number].nr)
			units[number].written_back[actor] = shift > 6 ? ~0u : units[number].nr;
}

void media_fence(unsigned int actor)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < nr_waiting; i++) {
		struct unit *unit = &units[waiting[i]];
		unsigned int nr = unit->written_back[actor];

		if (nr)
			settle(waiting[i], nr < unit->nr ? nr : unit->nr);
		if (unit->nr) {
			/* A page that goes at another's fence goes as it is then, too. */
			if (shift == 6)
				unit->written_back[actor] = 0;
			waiting[kept++] = waiting[i];
			continue;
		}
		memset(unit->written_back, 0, sizeof(unit->written_back));
		unit->listed = false;
	}
	nr_waiting = kept;
}

int64_t media_unexplained(void)
{
	if (!memcmp(shadow, machine_traced.memory, MACHINE_BYTES))
		return -1;
	for (int64_t i = 0;; i++)
		if (shadow[i] != machine_traced.memory[i])
			return i;
}

/* --- choices ------------------------------------------------------------------------- */

/* Which of its contents a unit has. */
struct choice {
	unsigned int unit;
	unsigned int nr;
	unsigned int taken;
};

static struct choice choices[LINES];
static unsigned int nr_choices;
static unsigned char image[MACHINE_BYTES] __attribute__((aligned(4096)));
static uint64_t image_hash;
static bool ignored_wait;

static void content_add(struct unit *unit, const unsigned char *content)
{
	uint64_t hash = unit_hash((unsigned int)(unit - units), content);
	size_t bytes = (size_t)1 << shift;

	for (unsigned int i = 0; i < unit->nr_contents; i++)
		if (unit->hashes[i] == hash)
			return;
	if ((unit->nr_contents + 1) * bytes > unit->room_contents) {
		unit->room_contents = 2 * (unit->nr_contents + 1) * bytes;
		unit->contents = machine_kept(unit->contents, unit->room_contents);
	}
	if (unit->nr_contents == unit->room_hashes) {
		unit->room_hashes = 2 * (unit->nr_contents + 1);
		unit->hashes = machine_kept(unit->hashes, unit->room_hashes * sizeof(*unit->hashes));
	}
	memcpy(unit->contents + unit->nr_contents * bytes, content, bytes);
	unit->hashes[unit->nr_contents++] = hash;
}

/* Words in any order: all subsets of a line's, and of a page's those from either end. */
static void group_add(struct unit *unit, const struct item *items, unsigned int nr,
		      const unsigned char *before)
{
	unsigned char content[4096];
	const struct item *word[512];
	unsigned int words = 0;

	for (unsigned int i = 0; i < nr && words < 512; i++)
		if (memcmp(before + items[i].at, &items[i].value, items[i].bytes) != 0)
			word[words++] = &items[i];
	if (words <= 8) {
		for (unsigned int set = 1; set < 1u << words; set++) {
			memcpy(content, before, (size_t)1 << shift);
			for (unsigned int i = 0; i < words; i++)
				if (set >> i & 1)
					item_apply(word[i], content);
			content_add(unit, content);
		}
		return;
	}
	memcpy(content, before, (size_t)1 << shift);
	for (unsigned int i = 0; i < words; i++) {
		item_apply(word[i], content);
		content_add(unit, content);
	}
	memcpy(content, before, (size_t)1 << shift);
	for (unsigned int i = words; i-- > 1;) {
		item_apply(word[i], content);
		content_add(unit, content);
	}
}

static void contents_make(unsigned int number)
{
	struct unit *unit = &units[number];
	unsigned char content[4096];
	unsigned int end;

	memcpy(content, unit_of(durable, number), (size_t)1 << shift);
	content_add(unit, content);
	for (unsigned int i = 0; i < unit->nr; i = end) {
		end = i + 1;
		while (unit->items[i].group && end < unit->nr &&
		       unit->items[end].group == unit->items[i].group)
			end++;
		if (end > i + 1)
			group_add(unit, unit->items + i, end - i, content);
		for (unsigned int j = i; j < end; j++)
			item_apply(&unit->items[j], content);
		content_add(unit, content);
	}
}

static void choose(struct choice *choice, unsigned int taken)
{
	const struct unit *unit = &units[choice->unit];

	memcpy(unit_of(image, choice->unit), unit->contents + ((size_t)taken << shift),
	       (size_t)1 << shift);
	image_hash += unit->hashes[taken] - unit->hashes[choice->taken];
	choice->taken = taken;
}

uint64_t states_begin(void)
{
	uint64_t product = 1;

	layout_look();
	nr_choices = 0;
	ignored_wait = false;
	for (unsigned int i = 0; i < nr_waiting; i++) {
		const struct unit *unit = &units[waiting[i]];

		if (layout_ignored((uint64_t)waiting[i] << shift)) {
			ignored_wait = true;
			continue;
		}
		if (!unit->nr_contents)
			contents_make(waiting[i]);
		if (unit->nr_contents < 2)
			continue;
		choices[nr_choices++] = (struct choice){ .unit = waiting[i],
							 .nr = unit->nr_contents };
		product = product > 1ull << 40 ? ~0ull >> 1 : product * unit->nr_contents;
	}
	/* What is ignored now need not have been. */
	image_hash = 0;
	for (unsigned int i = 0; i < reach() >> shift; i++)
		image_hash += unit_hash(i, unit_of(durable, i));
	memcpy(image, durable, foreign ? MACHINE_BYTES : reach());
	return product > 1ull << 40 ? ~0ull : product;
}

bool states_next(void)
{
	for (unsigned int i = 0; i < nr_choices; i++) {
		if (choices[i].taken + 1 < choices[i].nr) {
			choose(&choices[i], choices[i].taken + 1);
			return true;
		}
		choose(&choices[i], 0);
	}
	return false;
}

/*
 * Half of the units as they are durable, or as they would be; so rare ones meet, too. Or all
 * of them but one, or nearly all, one of the two.
 */
void states_random(void)
{
	unsigned int mode = (unsigned int)chance_of(4);
	uint64_t odd = nr_choices && chance() & 1 ? chance_of(nr_choices) : nr_choices;

	for (unsigned int i = 0; i < nr_choices; i++) {
		uint64_t what = chance();
		unsigned int last = choices[i].nr - 1;

		if (mode > 1 && odd < nr_choices) {
			if (i != odd)
				choose(&choices[i], mode > 2 ? last : 0);
			else
				choose(&choices[i], (mode > 2 ? 0 : 1) +
					       (unsigned int)what % last);
			continue;
		}

		if (mode > 1 && what >> 60) {
			choose(&choices[i], mode > 2 ? last : 0);
			continue;
		}

		choose(&choices[i], what & 1 ? (unsigned int)(what >> 2) % choices[i].nr :
			       what & 2	     ? last :
					       0);
	}
}

void states_lacking(unsigned int which)
{
	for (unsigned int i = 0; i < nr_choices; i++)
		choose(&choices[i], i == which ? 0 : choices[i].nr - 1);
}

void states_end(void)
{
	nr_choices = 0;
}

/* After a clean close it also counts what else would be ignored: no two states are equal. */
uint64_t states_hash(void)
{
	return layout_clean(image) && ignored_wait ? chance() : image_hash;
}

/* What may be in a unit that recovery need not look at. */
static void ignored_legal(unsigned char *to, unsigned int number)
{
	const struct unit *unit = &units[number];
	unsigned int arrived = unit->nr ? (unsigned int)chance_of(unit->nr + 1) : 0;

	memcpy(to, unit_of(durable, number), (size_t)1 << shift);
	for (unsigned int i = 0; i < arrived; i++)
		item_apply(&unit->items[i], to);
}

static void ignored_noise(unsigned char *to)
{
	for (size_t i = 0; i < 1u << shift; i += 8) {
		uint64_t word = chance();

		memcpy(to + i, &word, 8);
	}
}

void states_install(struct machine *machine)
{
	/* After a clean close nothing is ignored. */
	bool legal = layout_clean(image) || machine == &machine_traced || !chance_of(16);
	bool noise = !legal && !chance_of(16);
	uint64_t end = reach();
	const unsigned int *ignored;
	unsigned int nr = layout_ignored_heap(&ignored);

	memcpy(machine->memory, image, LAYOUT_SUPER_END);
	for (size_t at = LAYOUT_SUPER_END; at < LAYOUT_HEAP; at += 1u << shift) {
		if (legal)
			ignored_legal(machine->memory + at, (unsigned int)(at >> shift));
		else if (noise)
			ignored_noise(machine->memory + at);
		else
			break;
	}
	if (machine == &machine_plain) {
		if (foreign)
			end = MACHINE_BYTES;
		foreign = outside;
	}
	memcpy(machine->memory + LAYOUT_HEAP, image + LAYOUT_HEAP, end - LAYOUT_HEAP);
	for (unsigned int i = 0; i < nr; i++) {
		unsigned int number = ignored[i] >> (shift - 6);
		unsigned char *to = unit_of(machine->memory, number);

		if (!layout_ignored((uint64_t)number << shift))
			continue;
		if (legal || chance() & 1)
			ignored_legal(to, number);
		else if (noise)
			ignored_noise(to);
	}
}

void states_print(void)
{
	for (unsigned int i = 0; i < nr_choices; i++)
		printf("#   %#x: %u of %u\n", choices[i].unit << shift, choices[i].taken,
		       choices[i].nr - 1);
}
