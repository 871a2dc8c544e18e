/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What must be true of a shelf on which processes are killed (shelf_kill.c).
 *
 * Every worker writes down, in memory that is not the shelf's, what it is about to do and
 * what was acknowledged. Names that only it uses must then be exactly what was acknowledged
 * last, or what was under way; and those of a transaction all the one or all the other, as long
 * as it was being committed: the one before that, the other after it. Names that all use must
 * be what somebody has written, whole, and of a version that never goes back; a set of them is
 * changed by transactions alone, so that all of it is always of one. Renaming and swapping are
 * such, too. A value says under which name it was first written, and may have come to any other
 * of its kind; in the set each is there once.
 */
#ifndef SELFTESTS_SHELF_KILL_ORACLE_H
#define SELFTESTS_SHELF_KILL_ORACLE_H

#include <limits.h>
#include <time.h>

#include <hmem/hmem.h>

#include "shelf_media.h"

#define LANES		4
#define OWN		40
#define SHARED		12
#define SET		4
#define NAMES		(LANES * OWN + SHARED + SET)
#define FIRST_SHARED	(LANES * OWN)
#define FIRST_OF_SET	(FIRST_SHARED + SHARED)
#define PINS		6
#define MAX_VALUE	(96u << 10)
#define MAGIC		0x656c62617475706dull

/*
 * What a name has: which version was put, and how often that was changed in place since. 0:
 * there is none.
 */
#define STATE(version, edits)	((uint64_t)(version) << 32 | (edits))
#define VERSION_OF(state)	((uint32_t)((state) >> 32))
#define EDITS_OF(state)		((uint32_t)(state))

/* A name that one lane uses. */
struct own {
	uint64_t acked;
	uint64_t flying;
	uint32_t is_flying;
};

#define TX_NAMES 6

enum tx_stage {
	TX_NONE,
	TX_OPEN,	/* nothing of it is there */
	TX_COMMITTING,	/* all or nothing */
	TX_COMMITTED,	/* all */
	TX_NAMING,	/* all or nothing, of one call that renames or swaps */
	TX_STAGES,
};

/* A transaction that changes names of one lane. */
struct flying_tx {
	uint32_t stage;
	uint32_t nr;
	struct {
		uint32_t own;
		uint64_t from;
		uint64_t to;
	} names[TX_NAMES];
};

/* What a lane's workers tell one another, and the parent. */
struct lane {
	struct own own[OWN];
	struct flying_tx tx;
	uint32_t version;		/* the last one used, for names of any kind */
	uint64_t seen[SHARED + SET];	/* highest hmem_object.version of the shared names */
	uint64_t calls;
	uint64_t no_space;
	uint64_t committed;
	uint64_t aborted;
	uint64_t named;			/* renamed or swapped */
	uint64_t busy;			/* what others were renaming or swapping */
};

/* In shared memory, but not the shelf's. */
static struct journal {
	struct lane lane[LANES];
	uint64_t cut[TX_STAGES];	/* transactions whose worker died, by stage */
	char failure[512];
} *journal;

struct pin {
	struct hmem_object object;
	uint32_t name;
};

/* --- random numbers, as every worker needs its own ----------------------------------- */

static uint64_t random_state = 1;

static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static unsigned int any(unsigned int below)
{
	random_state += 0x9e3779b97f4a7c15ull;
	return (unsigned int)(mix(random_state) >> 33) % below;
}

/* --- values: all of it follows from who wrote what ----------------------------------- */

struct value {
	uint64_t magic;
	uint32_t lane;
	uint32_t name;
	uint32_t version;
	uint32_t bytes;
	uint64_t edits;
	uint64_t words[];
};

/* Of the process. */
static struct worker {
	unsigned int number;
	struct lane *lane;
	struct hmem_ctx *ctx;
	struct hmem_region *region;
	struct hmem_shelf *shelf;
	struct pin pins[PINS];
	union {
		struct value value;
		unsigned char bytes[MAX_VALUE];
	} buffer;
} me;

static size_t value_bytes(uint32_t lane, uint32_t name, uint32_t version)
{
	uint64_t h = mix(((uint64_t)lane << 48 | (uint64_t)name << 32 | version) + MAGIC);
	unsigned int kind = (unsigned int)(h >> 40) % 100;
	size_t range = kind < 80 ? 256 : kind < 95 ? 3000 : kind < 99 ? 20000 : MAX_VALUE - 64;

	return sizeof(struct value) + (h & 0xffffffff) % range;
}

static uint64_t first_word(uint32_t lane, uint64_t state)
{
	return mix(mix((uint64_t)lane << 32 | VERSION_OF(state)) + EDITS_OF(state));
}

/* In the buffer. */
static size_t value_make(uint32_t lane, uint32_t name, uint64_t state)
{
	struct value *value = &me.buffer.value;
	size_t bytes = value_bytes(lane, name, VERSION_OF(state));
	uint64_t word = first_word(lane, state);

	*value = (struct value){ MAGIC, lane, name, VERSION_OF(state), (uint32_t)bytes,
				 EDITS_OF(state) };
	for (size_t i = 0; i < (bytes - sizeof(*value) + 7) / 8; i++)
		value->words[i] = word += MAGIC;
	return bytes;
}

static uint64_t value_state(const struct value *value)
{
	return STATE(value->version, value->edits);
}

/* May what was written under one name have become another's? */
static bool may_become(uint32_t from, uint32_t to)
{
	if (from < FIRST_SHARED || to < FIRST_SHARED)
		return from / OWN == to / OWN && from < FIRST_SHARED;
	return from < NAMES && (from < FIRST_OF_SET) == (to < FIRST_OF_SET);
}

/* Is it what its lane has once written, under this name or another of its kind, and all of it? */
static bool value_is_whole(const struct value *value, size_t bytes, uint32_t name)
{
	uint64_t word;
	size_t left;

	if (bytes < sizeof(*value) || value->magic != MAGIC || value->lane >= LANES ||
	    !may_become(value->name, name) || value->bytes != bytes || value->edits > UINT32_MAX ||
	    value->version > __atomic_load_n(&journal->lane[value->lane].version,
					     __ATOMIC_ACQUIRE) ||
	    bytes != value_bytes(value->lane, value->name, value->version))
		return false;
	word = first_word(value->lane, value_state(value));
	left = bytes - sizeof(*value);
	for (size_t i = 0; left; i++) {
		size_t here = left < 8 ? left : 8;

		word += MAGIC;
		if (memcmp(&value->words[i], &word, here) != 0)
			return false;
		left -= here;
	}
	return true;
}

/* Of a few types, which tell what they should be. */
#define TYPE_BYTES 6

static const char *type_of(uint32_t version)
{
	static char text[16];

	snprintf(text, sizeof(text), "type %u", version / 4 % 8);
	return text;
}

static bool type_is_right(const struct hmem_object *object, uint32_t version)
{
	if (!(version % 4))
		return !object->type;
	return object->type_bytes == TYPE_BYTES &&
	       !memcmp(object->type, type_of(version), TYPE_BYTES);
}

/* --- who complains ------------------------------------------------------------------- */

/* The parent has nobody who reads what it leaves in the journal. */
static pid_t judge;

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
	char text[sizeof(journal->failure)];
	va_list ap;
	int length;

	va_start(ap, format);
	length = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (length > 0 && (size_t)length < sizeof(text))
		snprintf(text + length, sizeof(text) - (size_t)length, " (last error: %s)",
			 hmem_last_error(me.ctx));
	if (!journal->failure[0])
		memcpy(journal->failure, text, sizeof(text));
	if (getpid() == judge)
		tap_bail("%s", journal->failure);
	_exit(1);
}

/* Names of lanes are followed by those that all share. */
static const char *name_into(char text[32], uint32_t name)
{
	if (name < FIRST_SHARED)
		snprintf(text, 32, "own-%u-%u", name / OWN, name % OWN);
	else if (name < FIRST_OF_SET)
		snprintf(text, 32, "shared by all: %u", name - FIRST_SHARED);
	else
		snprintf(text, 32, "%u of a set", name - FIRST_OF_SET);
	return text;
}

static const char *name_of(uint32_t name)
{
	static char text[32];

	return name_into(text, name);
}

/* --- what was written down ----------------------------------------------------------- */

static void own_begins(struct own *own, uint64_t state)
{
	own->flying = state;
	__atomic_store_n(&own->is_flying, 1, __ATOMIC_SEQ_CST);
}

static void own_ends(struct own *own, int err)
{
	if (!err)
		__atomic_store_n(&own->acked, own->flying, __ATOMIC_SEQ_CST);
	__atomic_store_n(&own->is_flying, 0, __ATOMIC_SEQ_CST);
}

/* It is written down before it begins what becomes of which name. */
static void tx_reaches(struct flying_tx *tx, enum tx_stage stage)
{
	__atomic_store_n(&tx->stage, stage, __ATOMIC_SEQ_CST);
}

/* All of it is known to have happened, or nothing. Who dies here has it done again. */
static void tx_settles(struct lane *lane, bool happened)
{
	struct flying_tx *tx = &lane->tx;

	for (uint32_t i = 0; i < tx->nr; i++)
		lane->own[tx->names[i].own].acked = happened ? tx->names[i].to : tx->names[i].from;
	tx_reaches(tx, TX_NONE);
}

/* --- comparing ----------------------------------------------------------------------- */

/* What a name has. */
static uint64_t state_of(uint32_t name)
{
	size_t length;
	int err = hmem_shelf_read(me.shelf, name_of(name), &me.buffer, sizeof(me.buffer), &length);

	if (err == -ENOENT)
		return 0;
	if (err)
		fail("reading %s: %d", name_of(name), err);
	if (!value_is_whole(&me.buffer.value, length, name))
		fail("a copy of %s is not what was written", name_of(name));
	return value_state(&me.buffer.value);
}

/* The same, after whoever died while he changed it in place was cleaned up behind. */
static uint64_t state_to_change(uint32_t name)
{
	struct hmem_object object;
	uint64_t state;
	int err = hmem_shelf_edit(me.shelf, name_of(name), &object);

	if (err == -ENOENT)
		return 0;
	if (err)
		fail("getting %s to change it: %d", name_of(name), err);
	if (!value_is_whole(object.data, object.bytes, name))
		fail("%s is not what was written", name_of(name));
	state = value_state(object.data);
	hmem_shelf_release(me.shelf, &object);
	return state;
}

/* A transaction whose worker is dead. */
static void compare_tx(unsigned int number)
{
	struct lane *lane = &journal->lane[number];
	struct flying_tx *tx = &lane->tx;
	bool happened = tx->stage == TX_COMMITTED;

	if (!tx->stage)
		return;
	journal->cut[tx->stage]++;
	for (uint32_t i = 0; i < tx->nr; i++) {
		uint32_t name = number * OWN + tx->names[i].own;
		uint64_t found = state_to_change(name), wanted;

		if (!i && (tx->stage == TX_COMMITTING || tx->stage == TX_NAMING))
			happened = found == tx->names[0].to;
		wanted = happened ? tx->names[i].to : tx->names[i].from;
		if (found != wanted)
			fail("a transaction of %u names %s; %s, the %u., has %#llx, not %#llx", tx->nr,
			     tx->stage == TX_OPEN ? "was not committed" :
			     happened		  ? "was" :
						    "was not, by the first of them",
			     name_of(name), i + 1, (unsigned long long)found,
			     (unsigned long long)wanted);
	}
	tx_settles(lane, happened);
}

static void compare(unsigned int lane, unsigned int i)
{
	struct own *own = &journal->lane[lane].own[i];
	uint64_t found = state_of(lane * OWN + i);

	if (found != own->acked && !(own->is_flying && found == own->flying))
		fail("own-%u-%u has %#llx; acknowledged %#llx%s%#llx", lane, i,
		     (unsigned long long)found, (unsigned long long)own->acked,
		     own->is_flying ? ", under way " : ", before that ",
		     (unsigned long long)own->flying);
	own->acked = found;
	__atomic_store_n(&own->is_flying, 0, __ATOMIC_RELEASE);
}

/* What a worker finds that another left in the middle of something. */
static void compare_flying(unsigned int lane)
{
	compare_tx(lane);
	for (unsigned int i = 0; i < OWN; i++)
		if (journal->lane[lane].own[i].is_flying)
			compare(lane, i);
}

/* All of the set, or nothing, of one transaction. @objects that are there. */
static void set_is_one(const struct hmem_object objects[SET])
{
	const struct value *first = objects[0].data;
	unsigned int there = 0;

	for (unsigned int i = 0; i < SET; i++) {
		const struct value *value = objects[i].data;

		if (!value_is_whole(value, objects[i].bytes, FIRST_OF_SET + i))
			fail("%s is not what was written", name_of(FIRST_OF_SET + i));
		if (value->lane != first->lane || value->version != first->version)
			fail("of a set there are version %u of %u and version %u of %u",
			     first->version, first->lane, value->version, value->lane);
		there |= 1u << (value->name - FIRST_OF_SET);
	}
	if (there != (1u << SET) - 1)
		fail("of a set there are not all values, but %#x", there);
}

static int get_set(struct hmem_object objects[SET])
{
	char texts[SET][32];
	const char *names[SET];

	for (unsigned int i = 0; i < SET; i++)
		names[i] = name_into(texts[i], FIRST_OF_SET + i);
	return hmem_shelf_get_many(me.shelf, names, SET, objects);
}

static int show(void *arg, const struct hmem_shelf_finding *finding)
{
	(void)arg;
	if (!journal->failure[0])
		snprintf(journal->failure, sizeof(journal->failure), "%s at %#llx: %s: %s",
			 finding->part, (unsigned long long)finding->offset,
			 finding->name ? finding->name : "", finding->text);
	return 0;
}

/* Nobody else is there: everything is what it must be. */
static void compare_all(void)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };
	struct hmem_object set[SET];
	unsigned int of_set = 0;
	uint64_t objects = 0;
	int err;

	for (unsigned int i = 0; i < LANES; i++)
		compare_tx(i);
	for (unsigned int i = 0; i < LANES * OWN; i++) {
		compare(i / OWN, i % OWN);
		objects += journal->lane[i / OWN].own[i % OWN].acked != 0;
	}
	for (unsigned int i = 0; i < SHARED; i++)
		objects += state_of(FIRST_SHARED + i) != 0;
	for (unsigned int i = 0; i < SET; i++)
		of_set += state_of(FIRST_OF_SET + i) != 0;
	err = get_set(set);
	if (err != (of_set ? 0 : -ENOENT) || of_set % SET)
		fail("of a set %u are there, and getting all says %d", of_set, err);
	for (unsigned int i = 0; i < SET && !err; i++) {
		if (!i)
			set_is_one(set);
		hmem_shelf_release(me.shelf, &set[i]);
	}
	/* It takes over from all who are dead: a commit shows its names before it counts them. */
	err = hmem_shelf_check(me.shelf, show, NULL);
	if (err)
		fail("check: %d", err);
	err = hmem_shelf_get_info(me.shelf, &info);
	if (err || info.objects != objects + of_set)
		fail("%d, %llu objects, counted as %llu", err,
		     (unsigned long long)(objects + of_set), (unsigned long long)info.objects);
}

#endif
