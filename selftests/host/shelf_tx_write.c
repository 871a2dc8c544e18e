// SPDX-License-Identifier: GPL-2.0-only
/*
 * What transactions write when they are committed, and who may change the same objects before
 * and after. What the loss of power makes of it is the explorer's to find.
 * hmem-test: timeout=120
 */
#include <pthread.h>

#include "shelf_text.h"

static struct hmem_object get(const char *name)
{
	struct hmem_object object;

	need(hmem_shelf_get(shelf, name, &object), "get");
	return object;
}

static int tx_write(struct hmem_tx *tx, const struct hmem_object *object, size_t offset,
		    const char *text)
{
	return hmem_tx_write(tx, object, offset, text, strlen(text));
}

static int write_once(const char *name, size_t offset, const char *text)
{
	struct hmem_object object = get(name);
	struct hmem_tx *tx = begin();
	int err = tx_write(tx, &object, offset, text);

	hmem_shelf_release(shelf, &object);
	if (err) {
		hmem_tx_abort(tx);
		return err;
	}
	return hmem_tx_commit(tx);
}

static void in_thread(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, arg) || pthread_join(thread, NULL))
		tap_bail("no thread");
}

/* --- what it does -------------------------------------------------------------------- */

static void test_write(void)
{
	struct hmem_object a, b;
	struct hmem_tx *tx;
	uint64_t before;
	char text[4] = "ABC";

	put("a", "0123456789");
	put("b", "abcdefghij");
	a = get("a");
	b = get("b");
	before = info().fences;
	tx = begin();
	TAP_EQ(hmem_tx_write(tx, &a, 3, text, 3), 0, "a part of an object is written");
	text[0] = '?';
	TAP_EQ(tx_write(tx, &b, 8, "!!"), 0, "and of another");
	TAP_EQ(tx_write(tx, &a, 5, "xyz"), 0, "and of the first, which overlaps");
	TAP_EQ(tx_write(tx, &b, 0, ""), 0, "and nothing of the other");
	TAP_EQ(info().fences, before, "which takes no fence");
	TAP_OK(has("a", "0123456789") && has("b", "abcdefghij"), "and nobody sees it");
	TAP_EQ(hmem_tx_commit(tx), 0, "it is committed");
	TAP_EQ(info().fences - before, 1, "under one fence");
	TAP_OK(has("a", "012ABxyz89") && has("b", "abcdefgh!!"), "all of it is there");
	TAP_OK(!memcmp(a.data, "012ABxyz89", 10), "also for those who have had the objects");
	TAP_OK(is_fine(), "the shelf is fine");
	for (unsigned int i = 0; i < 3; i++)
		need(write_once("a", i, "+"), "write");
	TAP_EQ(info().fences - before, 4, "again and again, one fence each");
	TAP_OK(has("a", "+++ABxyz89"), "in order");
	tx = begin();
	need(tx_write(tx, &a, 0, "never"), "write");
	TAP_EQ(hmem_tx_abort(tx), 0, "one is given up");
	TAP_EQ(info().fences - before, 4, "without a fence");
	TAP_OK(has("a", "+++ABxyz89"), "and nothing happens");
	hmem_shelf_release(shelf, &a);
	hmem_shelf_release(shelf, &b);
	put("a", "free");
	need(hmem_shelf_delete(shelf, "b"), "delete");
	TAP_OK(is_fine(), "the objects are free, and the shelf is fine");
}

static void test_mixed(void)
{
	struct hmem_object a, b;
	struct hmem_range range = { &a, 0, 4 };
	struct hmem_tx *tx;
	uint64_t before;

	put("a", "0123456789");
	put("b", "abcdefghij");
	a = get("a");
	b = get("b");
	tx = begin();
	need(tx_write(tx, &a, 2, "w"), "write");
	need(hmem_tx_add(tx, &range, 1), "add");
	memcpy(a.data, "STOR", 4);
	need(hmem_tx_put(tx, "c", "new", 3, NULL), "put");
	need(tx_write(tx, &b, 0, "B"), "write");
	before = info().fences;
	TAP_EQ(hmem_tx_commit(tx), 0, "writes, ranges and a put are committed");
	TAP_EQ(info().fences - before, 2, "under two fences");
	TAP_OK(has("a", "STwR456789") && has("b", "Bbcdefghij") && has("c", "new"),
	       "what is written comes after what was stored");
	tx = begin();
	need(hmem_tx_add(tx, &range, 1), "add");
	memcpy(a.data, "????", 4);
	need(tx_write(tx, &a, 8, "??"), "write");
	need(tx_write(tx, &b, 8, "??"), "write");
	need(hmem_tx_delete(tx, "none"), "delete");
	TAP_EQ(hmem_tx_commit(tx), -ENOENT, "or none");
	TAP_OK(has("a", "STwR456789") && has("b", "Bbcdefghij"), "of them");
	tx = begin();
	need(tx_write(tx, &a, 0, "gone"), "write");
	need(tx_write(tx, &b, 0, "gone"), "write");
	need(hmem_tx_put(tx, "a", "replaced", 8, NULL), "put");
	need(hmem_tx_delete(tx, "b"), "delete");
	TAP_EQ(hmem_tx_commit(tx), 0, "what it writes to it may replace and delete");
	TAP_OK(has("a", "replaced") && has("b", NULL), "which is then replaced and deleted");
	TAP_OK(!memcmp(a.data, "STwR456789", 10), "and not written to");
	hmem_shelf_release(shelf, &a);
	hmem_shelf_release(shelf, &b);
	TAP_OK(is_fine(), "the shelf is fine");
}

/* Many at once, of many objects or one; and all memory comes back. */
static void test_many(void)
{
	enum { NR = 100 };
	struct hmem_object objects[NR];
	uint64_t fences, room = 0;
	bool good = true;
	char name[32];

	for (unsigned int i = 0; i < NR; i++) {
		snprintf(name, sizeof(name), "many %u", i);
		put(name, "00000000");
		objects[i] = get(name);
	}
	fences = info().fences;
	for (unsigned int round = 1; round <= 40; round++) {
		struct hmem_tx *tx = begin();
		char digit[2] = { (char)('0' + round), 0 };

		for (unsigned int i = 0; i < NR; i++)
			need(tx_write(tx, &objects[round % 2 ? i : 7], i % 8, digit), "write");
		need(hmem_tx_commit(tx), "commit");
		for (unsigned int i = 0; i < NR && round % 2; i++)
			good = good && ((char *)objects[i].data)[i % 8] == *digit;
		good = good && ((char *)objects[7].data)[7] == *digit;
		/* What is left of the last ones. */
		if (round == 4)
			room = info().free_bytes;
	}
	TAP_OK(good, "40 transactions of 100 writes");
	TAP_EQ(info().fences - fences, 40, "take 40 fences");
	TAP_EQ(info().free_bytes, room, "and no more memory than four");
	TAP_OK(is_fine(), "the shelf is fine");
	for (unsigned int i = 0; i < NR; i++) {
		snprintf(name, sizeof(name), "many %u", i);
		hmem_shelf_release(shelf, &objects[i]);
		need(hmem_shelf_delete(shelf, name), "delete");
	}
}

/* More than the shelf has room for several times over. */
static void test_reuse(void)
{
	static char value[200 * KI];
	struct hmem_object object;
	bool good = true;

	need(hmem_shelf_put(shelf, "large", value, sizeof(value), NULL), "put");
	object = get("large");
	for (unsigned int i = 0; i < 100; i++) {
		struct hmem_tx *tx = begin();

		memset(value, (int)i, sizeof(value));
		need(hmem_tx_write(tx, &object, 0, value, sizeof(value)), "write");
		need(hmem_tx_commit(tx), "commit");
		good = good && !memcmp(object.data, value, sizeof(value));
	}
	TAP_OK(good, "100 times 200 KiB are written on a shelf of 6 MiB");
	hmem_shelf_release(shelf, &object);
	need(hmem_shelf_delete(shelf, "large"), "delete");
	TAP_OK(is_fine(), "the shelf is fine");
}

/* --- who else may --------------------------------------------------------------------- */

/* So often that what one try takes and keeps would be seen. */
#define TRIES 20

static void *others_want(void *arg)
{
	struct hmem_object *edited = arg, own;
	struct hmem_range range = { edited, 0, 1 };
	struct hmem_tx *tx = begin();
	unsigned int refused = 0;
	uint64_t before;

	TAP_EQ(tx_write(tx, edited, 0, "?"), -EBUSY, "others cannot write to it");
	TAP_OK(strstr(hmem_last_error(ctx), "try again"), "and are told what to do");
	before = info().free_bytes;
	for (unsigned int i = 0; i < TRIES; i++)
		refused += tx_write(tx, edited, 0, "?") == -EBUSY;
	TAP_OK(refused == TRIES && info().free_bytes == before, "which takes no memory");
	for (unsigned int i = 0; i < TRIES; i++)
		refused += hmem_tx_add(tx, &range, 1) == -EBUSY;
	TAP_OK(refused == 2 * TRIES && info().free_bytes == before, "nor does adding");
	TAP_EQ(hmem_tx_abort(tx), 0, "which ends as any");
	TAP_EQ(hmem_shelf_put(shelf, "o", "x", 1, NULL), -EBUSY, "nor put it");
	TAP_EQ(hmem_shelf_delete(shelf, "o"), -EBUSY, "nor delete it");
	TAP_EQ(hmem_shelf_edit(shelf, "o", &own), -EBUSY, "nor edit it");
	TAP_EQ(hmem_shelf_persist(shelf, edited, 0, 1), -EBUSY, "nor make durable what they stored");
	TAP_OK(has("o", "0123456789"), "but read it");
	return NULL;
}

static void test_owner(void)
{
	struct hmem_object object, again;
	struct hmem_tx *tx = begin();

	put("o", "0123456789");
	need(hmem_shelf_edit(shelf, "o", &object), "edit");
	need(tx_write(tx, &object, 9, "!"), "write");
	TAP_EQ(hmem_shelf_put(shelf, "o", "x", 1, NULL), -EDEADLK, "its own thread cannot put it");
	TAP_EQ(hmem_shelf_delete(shelf, "o"), -EDEADLK, "nor delete it");
	in_thread(others_want, &object);
	TAP_EQ(hmem_shelf_edit(shelf, "o", &again), 0, "but edit it");
	*(char *)again.data = 'E';
	TAP_EQ(hmem_shelf_persist(shelf, &again, 0, 1), 0, "and make that durable");
	TAP_EQ(hmem_tx_commit(tx), 0, "it is committed");
	TAP_OK(has("o", "E12345678!"), "both are there");
	hmem_shelf_release(shelf, &again);
	tx = begin();
	need(hmem_tx_add(tx, &(struct hmem_range){ &object, 0, 2 }, 1), "add");
	need(hmem_shelf_edit(shelf, "o", &again), "edit");
	memcpy(again.data, "xyz", 3);
	need(hmem_tx_abort(tx), "abort");
	TAP_OK(has("o", "E1z345678!"), "what is edited in a range that was added is undone with it");
	hmem_shelf_release(shelf, &again);
	hmem_shelf_release(shelf, &object);
	need(hmem_shelf_delete(shelf, "o"), "delete");
}

static void *write_plus(void *arg)
{
	(void)arg;
	need(write_once("t", 0, "+"), "write");
	return NULL;
}

struct other {
	pthread_barrier_t turn;
	char text[2];
};

/* A thread that stays: what it has committed is not durable anywhere else. */
static void *write_in_turn(void *arg)
{
	struct other *other = arg;

	for (;;) {
		pthread_barrier_wait(&other->turn);
		if (!*other->text)
			return NULL;
		need(write_once("t", 1, other->text), "write");
		pthread_barrier_wait(&other->turn);
	}
}

static void let(struct other *other, const char *text)
{
	other->text[0] = *text;
	pthread_barrier_wait(&other->turn);
	if (*text)
		pthread_barrier_wait(&other->turn);
}

/* Each thread writes to what the other has written to, in all ways that there are. */
static void test_turns(void)
{
	struct hmem_object object;
	struct hmem_range range = { &object, 1, 1 };
	struct other other = { .text = "" };
	struct hmem_tx *tx;
	pthread_t thread;
	uint64_t before;

	pthread_barrier_init(&other.turn, NULL, 2);
	if (pthread_create(&thread, NULL, write_in_turn, &other))
		tap_bail("no thread");
	put("t", "0123456789");
	need(hmem_shelf_edit(shelf, "t", &object), "edit");
	for (unsigned int i = 0; i < 5; i++) {
		let(&other, "a");
		before = info().fences;
		need(write_once("t", 1, "b"), "write");
		TAP_EQ(info().fences - before, 1, "written by two in turn: one fence");
	}
	TAP_OK(has("t", "0b23456789") && is_fine(), "the last one counts");
	let(&other, "c");
	before = info().fences;
	*((char *)object.data + 1) = 'd';
	TAP_EQ(hmem_shelf_persist(shelf, &object, 1, 1), 0, "stored after a commit");
	TAP_EQ(info().fences - before, 2, "is durable after two fences");
	before = info().fences;
	TAP_EQ(hmem_shelf_persist(shelf, &object, 1, 1), 0, "and once more");
	TAP_EQ(info().fences - before, 1, "after one");
	let(&other, "e");
	hmem_shelf_release(shelf, &object);
	before = info().fences;
	need(hmem_shelf_edit(shelf, "t", &object), "edit");
	*((char *)object.data + 1) = 'f';
	need(hmem_shelf_persist(shelf, &object, 1, 1), "persist");
	TAP_EQ(info().fences - before, 2, "edited and stored: one each");
	let(&other, "g");
	before = info().fences;
	tx = begin();
	need(hmem_tx_add(tx, &range, 1), "add");
	TAP_EQ(info().fences - before, 1, "a range is added after it: one fence");
	*((char *)object.data + 1) = 'h';
	need(hmem_tx_commit(tx), "commit");
	TAP_EQ(info().fences - before, 3, "and two for the commit");
	let(&other, "i");
	tx = begin();
	need(hmem_tx_add(tx, &range, 1), "add");
	*((char *)object.data + 1) = 'j';
	need(hmem_tx_abort(tx), "abort");
	TAP_OK(has("t", "0i23456789"), "or undone");
	hmem_shelf_release(shelf, &object);
	let(&other, "k");
	put("t", "replaced");
	let(&other, "l");
	TAP_OK(has("t", "rlplaced"), "what replaces it is written to");
	let(&other, "m");
	need(hmem_shelf_delete(shelf, "t"), "delete");
	put("t", "made anew");
	let(&other, "n");
	TAP_OK(has("t", "mnde anew") && is_fine(), "and what is made anew");
	let(&other, "");
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&other.turn);
	in_thread(write_plus, NULL);
	need(write_once("t", 8, "!"), "write");
	TAP_OK(has("t", "+nde ane!") && is_fine(), "and after a thread that is gone");
}

static void test_death(void)
{
	int status;
	pid_t child;

	put("d", "0123456789");
	put("t", "0123456789");
	child = fork();
	if (!child) {
		struct hmem_region *region;
		struct hmem_object object;
		struct hmem_tx *tx;

		need(hmem_ctx_new(&ctx), "context");
		need(hmem_region_open(ctx, place_path(PLACE_SHM), 0, &region), "region");
		need(hmem_shelf_open(region, "tx", NULL, &shelf), "open");
		need(write_once("t", 0, "died"), "write");
		tx = begin();
		object = get("d");
		need(tx_write(tx, &object, 0, "never"), "write");
		_exit(0);
	}
	waitpid(child, &status, 0);
	TAP_EQ(status, 0, "a process dies with a transaction open");
	TAP_EQ(write_once("d", 5, "alive"), 0, "what it had is free");
	TAP_EQ(write_once("t", 5, "alive"), 0, "and what it has written to");
	TAP_OK(has("d", "01234alive") && has("t", "died4alive"), "with what it had committed");
	TAP_OK(is_fine(), "the shelf is fine");
	need(hmem_shelf_delete(shelf, "d"), "delete");
}

/* --- what it refuses ----------------------------------------------------------------- */

static void *others_tx(void *tx)
{
	struct hmem_object object = get("t");

	TAP_EQ(tx_write(tx, &object, 0, "x"), -EINVAL, "another thread's transaction");
	hmem_shelf_release(shelf, &object);
	return NULL;
}

static void test_errors(void)
{
	struct hmem_object object, none = { 0 }, old;
	struct hmem_tx *tx = begin();

	put("e", "0123456789");
	put("old", "1");
	object = get("e");
	old = get("old");
	put("old", "2");
	TAP_EQ(hmem_tx_write(NULL, &object, 0, "x", 1), -EINVAL, "no transaction");
	TAP_EQ(hmem_tx_write(tx, NULL, 0, "x", 1), -EINVAL, "no object");
	TAP_EQ(hmem_tx_write(tx, &none, 0, "x", 1), -EINVAL, "one that was not got");
	TAP_EQ(hmem_tx_write(tx, &object, 0, NULL, 1), -EINVAL, "no data");
	TAP_EQ(hmem_tx_write(tx, &object, 0, NULL, 0), 0, "nothing at all is legal");
	TAP_EQ(hmem_tx_write(tx, &object, 10, "", 0), 0, "also at the end");
	TAP_EQ(hmem_tx_write(tx, &object, 11, "", 0), -EINVAL, "but not behind it");
	TAP_EQ(tx_write(tx, &object, 9, "xy"), -EINVAL, "a part that ends behind its object");
	TAP_EQ(tx_write(tx, &object, SIZE_MAX, "xy"), -EINVAL, "one that begins behind it");
	TAP_EQ(hmem_tx_write(tx, &object, 5, "xy", SIZE_MAX - 2), -EINVAL, "one of all that there is");
	TAP_EQ(tx_write(tx, &old, 0, "x"), -ENOENT, "an object that was replaced");
	in_thread(others_tx, tx);
	TAP_EQ(tx_write(tx, &object, 0, "after"), 0, "after all of that");
	TAP_EQ(hmem_tx_commit(tx), 0, "it can go on");
	TAP_OK(has("e", "after56789"), "and does");
	hmem_shelf_release(shelf, &object);
	hmem_shelf_release(shelf, &old);
	need(hmem_shelf_delete(shelf, "e"), "delete");
	need(hmem_shelf_delete(shelf, "old"), "delete");
}

/* More than there is room for in the commit, and more than there can ever be. */
static void test_no_space(size_t bytes)
{
	char *large = calloc(1, bytes);
	struct hmem_object object;
	struct hmem_range range = { &object, 0, bytes };
	struct hmem_tx *tx = begin();
	unsigned int refused = 0;
	uint64_t before;

	if (!large)
		tap_bail("no memory");
	need(hmem_shelf_put(shelf, "large", large, bytes, NULL), "put");
	object = get("large");
	memset(large, 'x', bytes);
	before = info().free_bytes;
	TAP_EQ(hmem_tx_write(tx, &object, 0, large, bytes), 0, "more than there is room for");
	TAP_EQ(hmem_tx_write(tx, &object, 0, large, bytes), -E2BIG, "and than there ever can be");
	TAP_EQ(hmem_tx_commit(tx), -ENOSPC, "is not committed");
	TAP_OK(!*(char *)object.data && !memcmp(object.data, (char *)object.data + 1, bytes - 1),
	       "and nothing has changed");
	TAP_OK(info().free_bytes >= before, "nor been taken");
	tx = begin();
	TAP_EQ(hmem_tx_add(tx, &range, 1), -ENOSPC, "nor is there room for an undo record");
	before = info().free_bytes;
	for (unsigned int i = 0; i < TRIES; i++)
		refused += hmem_tx_add(tx, &range, 1) == -ENOSPC;
	TAP_OK(refused == TRIES && info().free_bytes == before, "and trying takes no memory");
	need(hmem_tx_abort(tx), "abort");
	hmem_shelf_release(shelf, &object);
	need(hmem_shelf_delete(shelf, "large"), "delete");
	TAP_OK(is_fine(), "the shelf is fine");
	free(large);
}

static void run(enum place place, bool ordered)
{
	struct hmem_region *region = text_begin(place, ordered);
	struct hmem_object object;
	struct hmem_tx *tx;

	test_write();
	test_mixed();
	test_many();
	test_reuse();
	test_owner();
	test_turns();
	if (place == PLACE_SHM)
		test_death();
	test_errors();
	test_no_space(5 * MI);
	put("kept", "0123456789");
	need(write_once("kept", 0, "a"), "write");
	tx = begin();
	object = get("kept");
	need(tx_write(tx, &object, 1, "never"), "write");
	TAP_EQ(hmem_shelf_close(shelf), 0, "a shelf is closed under a transaction");
	need(hmem_shelf_open(region, "tx", NULL, &shelf), "open");
	TAP_OK(has("kept", "a123456789"), "which never was");
	need(write_once("kept", 9, "z"), "write");
	TAP_OK(has("kept", "a12345678z") && is_fine(), "and others can be");
	hmem_shelf_close(shelf);
	hmem_region_close(region);
}

int main(void)
{
	return place_main(run);
}
