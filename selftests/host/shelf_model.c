// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hundred thousand objects, put, replaced, changed in place, renamed, swapped and deleted at
 * random, one by one and several in a transaction, against a model that remembers what each name
 * should have; looked at one by one and several at once; closed and opened now and then.
 * hmem-test: timeout=300
 *
 *	shelf_model [SEED]
 */
#include "sanitized.h"
#include "shelf_place.h"

#define NAMES SANITIZED(100000u, 100000u, 20000u)
#define CALLS 400000u

/* Names in a transaction, at most. */
#define TX_NAMES 12u

/*
 * What a name has: 0 for nothing, else the number of the call that put it; and how often it
 * was changed in place since.
 */
static uint32_t model[NAMES], edits[NAMES];
static unsigned char made[4096], got[4096];
static uint64_t seed = 20261121;

static uint64_t dice(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Most values are small, a few are not. */
static size_t length_of(uint32_t version)
{
	uint32_t mixed = version * 2654435761u;

	return mixed % 61 ? (mixed >> 8) % 100 : (mixed >> 8) % sizeof(made);
}

/* What a name should have, in @made. */
static size_t model_value(unsigned int i)
{
	size_t length = length_of(model[i]);

	pattern(made, length, model[i] + ((uint64_t)edits[i] << 32));
	return length;
}

static void name_of(unsigned int i, char name[64])
{
	snprintf(name, 64, i % 3 ? "object/%u" : "%u/with-a-name-of-some-more-bytes", i);
}

static bool put(struct hmem_shelf *shelf, unsigned int i, uint32_t version)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	char name[64];

	name_of(i, name);
	pattern(made, length_of(version), version);
	options.flags = model[i] ? HMEM_PUT_REPLACE : HMEM_PUT_CREATE;
	if (hmem_shelf_put(shelf, name, made, length_of(version), version & 1 ? &options : NULL))
		return false;
	model[i] = version;
	edits[i] = 0;
	return true;
}

static bool drop(struct hmem_shelf *shelf, unsigned int i)
{
	int expected = model[i] ? 0 : -ENOENT;
	char name[64];

	name_of(i, name);
	model[i] = 0;
	return hmem_shelf_delete(shelf, name) == expected;
}

static bool look(struct hmem_shelf *shelf, unsigned int i)
{
	struct hmem_object object;
	char name[64];
	size_t length;
	bool same;
	int err;

	name_of(i, name);
	if (i & 1) {
		err = hmem_shelf_read(shelf, name, got, sizeof(got), &length);
		return model[i] ? !err && length == model_value(i) && !memcmp(got, made, length) :
				  err == -ENOENT;
	}
	err = hmem_shelf_get(shelf, name, &object);
	if (err)
		return err == -ENOENT && !model[i];
	same = model[i] && object.bytes == model_value(i) &&
	       !memcmp(object.data, made, object.bytes);
	hmem_shelf_release(shelf, &object);
	return same;
}

/* Several as they are together. */
static bool look_at_many(struct hmem_shelf *shelf, unsigned int first)
{
	unsigned int nr = 1 + (unsigned int)(dice() % TX_NAMES);
	struct hmem_object objects[TX_NAMES];
	const char *names[TX_NAMES];
	char texts[TX_NAMES][64];
	bool all = true, same = true;
	int err;

	for (unsigned int n = 0; n < nr; n++) {
		unsigned int i = (first + n) % NAMES;

		name_of(i, texts[n]);
		names[n] = texts[n];
		all = all && model[i];
	}
	err = hmem_shelf_get_many(shelf, names, nr, objects);
	for (unsigned int n = 0; n < nr && !err; n++) {
		same = same && objects[n].bytes == model_value((first + n) % NAMES) &&
		       !memcmp(objects[n].data, made, objects[n].bytes);
		hmem_shelf_release(shelf, &objects[n]);
	}
	return same && err == (all ? 0 : -ENOENT);
}

/* What one name has becomes another's, or they exchange it. */
static bool rename_or_swap(struct hmem_shelf *shelf, unsigned int from, unsigned int to)
{
	uint32_t version = model[from], edited = edits[from];
	/* Renamed with one of the two flags or none, else swapped. */
	unsigned int what = (unsigned int)(dice() % 4);
	bool swap = what == (HMEM_PUT_CREATE | HMEM_PUT_REPLACE);
	int expected = 0, err;
	char a[64], b[64];

	name_of(from, a);
	name_of(to, b);
	if (!version || (!model[to] && (swap || what == HMEM_PUT_REPLACE)))
		expected = -ENOENT;
	else if (model[to] && what == HMEM_PUT_CREATE)
		expected = -EEXIST;
	err = swap ? hmem_shelf_swap(shelf, a, b) : hmem_shelf_rename(shelf, a, b, what);
	if (!err && from != to) {
		model[from] = swap ? model[to] : 0;
		edits[from] = swap ? edits[to] : 0;
		model[to] = version;
		edits[to] = edited;
	}
	return err == expected && look(shelf, from) && look(shelf, to);
}

/* Changed in place: within @tx, at once or when that is committed, or with a fence for it alone. */
static bool change(struct hmem_shelf *shelf, struct hmem_tx *tx, unsigned int i)
{
	struct hmem_object object;
	struct hmem_range range;
	char name[64];
	bool good;

	name_of(i, name);
	if (hmem_shelf_edit(shelf, name, &object))
		return false;
	edits[i]++;
	range = (struct hmem_range){ &object, 0, object.bytes };
	good = object.bytes == model_value(i);
	if (tx && dice() & 1) {
		good = good && !hmem_tx_write(tx, &object, 0, made, object.bytes);
		hmem_shelf_release(shelf, &object);
		return good;
	}
	good = good && (!tx || !hmem_tx_add(tx, &range, 1));
	if (good)
		memcpy(object.data, made, object.bytes);
	good = good && (tx || !hmem_shelf_persist(shelf, &object, 0, object.bytes));
	hmem_shelf_release(shelf, &object);
	return good;
}

/* What a transaction does to a name, and what that had before. */
static struct part {
	unsigned int i;
	uint32_t version;
	uint32_t edits;
} parts[TX_NAMES];

static bool tx_part(struct hmem_shelf *shelf, struct hmem_tx *tx, unsigned int i, uint32_t version)
{
	unsigned int what = (unsigned int)(dice() % 10);
	char name[64];

	name_of(i, name);
	if (model[i] && what < 3) {
		model[i] = 0;
		return !hmem_tx_delete(tx, name);
	}
	if (model[i] && what < 6)
		return change(shelf, tx, i);
	pattern(made, length_of(version), version);
	model[i] = version;
	edits[i] = 0;
	return !hmem_tx_put(tx, name, made, length_of(version), NULL);
}

/* Several names, each once. It is committed, given up, or fails as something is not there. */
static bool transact(struct hmem_shelf *shelf, uint32_t *call)
{
	unsigned int nr = 1 + (unsigned int)(dice() % TX_NAMES), fate = (unsigned int)(dice() % 8);
	unsigned int first = (unsigned int)(dice() % NAMES);
	struct hmem_tx *tx;
	bool good;
	int err;

	if (hmem_tx_begin(shelf, &tx))
		return false;
	good = true;
	for (unsigned int n = 0; n < nr && good; n++) {
		unsigned int i = (first + n * 7919) % NAMES;

		parts[n] = (struct part){ i, model[i], edits[i] };
		good = tx_part(shelf, tx, i, ++*call + 1);
	}
	if (!good)
		return false;
	if (!fate)
		err = hmem_tx_delete(tx, "never there") ? 1 : hmem_tx_commit(tx);
	else
		err = fate == 1 ? hmem_tx_abort(tx) : hmem_tx_commit(tx);
	for (unsigned int n = 0; n < nr && fate < 2; n++) {
		model[parts[n].i] = parts[n].version;
		edits[parts[n].i] = parts[n].edits;
	}
	for (unsigned int n = 0; n < nr && good; n++)
		good = look(shelf, parts[n].i);
	return good && err == (fate ? 0 : -ENOENT);
}

/* All names, the number of objects, and what check says. */
static void compare(struct hmem_shelf *shelf, const char *when)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };
	unsigned int objects = 0, i;

	for (i = 0; i < NAMES && look(shelf, i); i++)
		objects += !!model[i];
	TAP_EQ(i, NAMES, "every name has what the model has %s", when);
	need(hmem_shelf_get_info(shelf, &info), "info");
	TAP_EQ(info.objects, objects, "and that is all of them");
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "check finds nothing");
}

static void run(enum place place, uint32_t calls, bool keep)
{
	struct hmem_region *region = place_new(place, 200 * MI);
	struct hmem_shelf *shelf = place_shelf(region, 160 * MI);
	uint32_t call = 0;
	bool good = true;

	memset(model, 0, sizeof(model));
	tap_diag("in %s", place_names[place]);
	for (unsigned int i = 0; keep && i < NAMES && good; i++)
		good = put(shelf, i, ++call);
	TAP_OK(good, "%u objects are put", call);
	for (uint32_t n = 0; n < calls && good; n++) {
		unsigned int i = (unsigned int)(dice() % NAMES), what = (unsigned int)(dice() % 100);

		if (what < 40)
			good = put(shelf, i, ++call + 1);
		else if (what < 65)
			good = drop(shelf, i);
		else if (what < 70)
			good = !model[i] || change(shelf, NULL, i);
		else if (what < 75)
			good = rename_or_swap(shelf, i, (unsigned int)(dice() % NAMES));
		else if (what < 83)
			good = transact(shelf, &call);
		else if (what < 86)
			good = look_at_many(shelf, i);
		else
			good = look(shelf, i);
		if (!good)
			tap_diag("call %u, name %u: %s", n, i, hmem_last_error(ctx));
		if (n % (calls / 4) == calls / 4 - 1) {
			need(hmem_shelf_close(shelf), "close");
			need(hmem_shelf_open(region, "s", NULL, &shelf), "open");
		}
	}
	TAP_OK(good, "%u random calls, closed and opened in between", calls);
	compare(shelf, "afterwards");
	need(hmem_shelf_close(shelf), "close");
	need(hmem_shelf_open(region, "s", NULL, &shelf), "open");
	compare(shelf, "opened again");
	for (unsigned int i = 0; i < NAMES && good; i++)
		good = !model[i] || drop(shelf, i);
	TAP_OK(good, "all are deleted");
	compare(shelf, "then");
	need(hmem_shelf_close(shelf), "close");
	hmem_region_close(region);
}

int main(int argc, char **argv)
{
	uint32_t calls;

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	tap_diag("seed %llu", (unsigned long long)seed);
	seed |= 1;
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	calls = (uint32_t)sanitized("calls", CALLS, 4, 100);
	run(PLACE_ANON, calls, true);
	run(PLACE_SHM, calls, true);
	run(PLACE_DISK, CALLS / 400, false);
	hmem_ctx_unref(ctx);
	return tap_done();
}
