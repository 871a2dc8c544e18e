// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transactions: what they do, what they refuse, and what they cost in fences.
 * hmem-test: timeout=180
 */
#include <pthread.h>

#include "shelf_text.h"

static int tx_put(struct hmem_tx *tx, const char *name, const char *text, unsigned int flags)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;

	options.flags = flags;
	return hmem_tx_put(tx, name, text, strlen(text), &options);
}

/* --- what they do -------------------------------------------------------------------- */

static void test_commit(void)
{
	struct hmem_object before, after;
	struct hmem_tx *tx;

	put("a", "1");
	put("b", "2");
	need(hmem_shelf_get(shelf, "a", &before), "get");
	tx = begin();
	TAP_EQ(tx_put(tx, "a", "one", 0), 0, "a name that is there is put");
	TAP_EQ(tx_put(tx, "c", "three", 0), 0, "and one that is not");
	TAP_EQ(hmem_tx_delete(tx, "b"), 0, "and one is deleted");
	TAP_OK(has("a", "1") && has("b", "2") && has("c", NULL), "nothing of it is to be seen");
	TAP_EQ(hmem_tx_commit(tx), 0, "it is committed");
	TAP_OK(has("a", "one") && has("b", NULL) && has("c", "three"), "all of it is");
	TAP_EQ(info().objects, 2, "and counted");
	need(hmem_shelf_get(shelf, "a", &after), "get");
	TAP_OK(after.version > before.version && !memcmp(before.data, "1", 1),
	       "what was got before is what it was");
	hmem_shelf_release(shelf, &before);
	hmem_shelf_release(shelf, &after);
	put("b", "again");
	put("a", "later");
	need(hmem_shelf_delete(shelf, "c"), "delete");
	TAP_OK(has("a", "later") && has("b", "again") && has("c", NULL), "others go on from there");
	TAP_OK(is_fine(), "the shelf is fine");
}

static void test_abort(void)
{
	struct hmem_tx *tx = begin();
	uint64_t before;

	put("a", "1");
	TAP_EQ(hmem_tx_abort(tx), 0, "an empty one is given up");
	TAP_EQ(hmem_tx_abort(NULL), 0, "and none at all");
	tx = begin();
	TAP_EQ(hmem_tx_commit(tx), 0, "an empty one is committed");
	/* Where names stand is kept for the next. */
	tx = begin();
	need(tx_put(tx, "a", "one", 0), "put");
	need(hmem_tx_abort(tx), "abort");
	before = info().free_bytes;
	tx = begin();
	need(tx_put(tx, "a", "one", 0), "put");
	need(tx_put(tx, "new", "one", 0), "put");
	need(tx_put(tx, "new", "another one", 0), "put");
	need(hmem_tx_delete(tx, "b"), "delete");
	TAP_OK(info().free_bytes < before, "it has taken memory");
	TAP_EQ(hmem_tx_abort(tx), 0, "one with puts and deletes is given up");
	TAP_OK(has("a", "1") && has("b", "again") && has("new", NULL), "nothing has changed");
	TAP_EQ(info().free_bytes, before, "and its memory is free");
	TAP_OK(is_fine(), "the shelf is fine");
}

/* The last call for a name counts, and the first says what must be there. */
static void test_same_name(void)
{
	struct hmem_tx *tx = begin();

	put("a", "1");
	need(hmem_shelf_delete(shelf, "b"), "delete");
	need(tx_put(tx, "x", "1", 0), "put");
	TAP_EQ(tx_put(tx, "x", "2", HMEM_PUT_CREATE), -EEXIST, "it has put the name");
	TAP_EQ(tx_put(tx, "x", "3", HMEM_PUT_REPLACE), 0, "which can be replaced");
	need(hmem_tx_delete(tx, "a"), "delete");
	TAP_EQ(hmem_tx_delete(tx, "a"), -ENOENT, "it has deleted the name");
	TAP_EQ(tx_put(tx, "a", "4", HMEM_PUT_REPLACE), -ENOENT, "which cannot be replaced");
	TAP_EQ(tx_put(tx, "a", "5", HMEM_PUT_CREATE), 0, "but created");
	need(tx_put(tx, "y", "6", HMEM_PUT_CREATE), "put");
	TAP_EQ(hmem_tx_delete(tx, "y"), 0, "what it has put can be deleted");
	need(tx_put(tx, "z", "7", 0), "put");
	TAP_EQ(hmem_tx_delete(tx, "z"), 0, "whatever there is under the name");
	TAP_EQ(hmem_tx_commit(tx), 0, "it is committed");
	TAP_OK(has("x", "3") && has("a", "5") && has("y", NULL) && has("z", NULL),
	       "the last call for each name counts");
	tx = begin();
	need(tx_put(tx, "x", "8", HMEM_PUT_CREATE), "put");
	need(hmem_tx_delete(tx, "x"), "delete");
	TAP_EQ(hmem_tx_commit(tx), -EEXIST, "creating and deleting needs a name that is free");
	tx = begin();
	need(tx_put(tx, "z", "9", 0), "put");
	need(hmem_tx_delete(tx, "z"), "delete");
	need(tx_put(tx, "z", "10", HMEM_PUT_CREATE), "put");
	need(hmem_tx_delete(tx, "x"), "delete");
	need(tx_put(tx, "x", "11", 0), "put");
	TAP_EQ(hmem_tx_commit(tx), 0, "put, deleted and put again");
	TAP_OK(has("x", "11") && has("z", "10"), "is put");
	tx = begin();
	need(hmem_tx_delete(tx, "z"), "delete");
	need(hmem_tx_delete(tx, "x"), "delete");
	need(tx_put(tx, "q", "1", 0), "put");
	need(hmem_tx_delete(tx, "q"), "delete");
	TAP_EQ(hmem_tx_commit(tx), 0, "only deletes");
	TAP_OK(has("x", NULL) && has("z", NULL) && info().objects == 1, "are done");
	TAP_OK(is_fine(), "the shelf is fine");
}

static void test_conditions(void)
{
	struct hmem_tx *tx;
	uint64_t before;

	put("a", "1");
	before = info().fences;
	tx = begin();
	need(tx_put(tx, "n", "2", 0), "put");
	need(tx_put(tx, "a", "3", HMEM_PUT_CREATE), "put");
	TAP_EQ(hmem_tx_commit(tx), -EEXIST, "a name to be created is there");
	tx = begin();
	need(tx_put(tx, "n", "2", 0), "put");
	need(tx_put(tx, "b", "3", HMEM_PUT_REPLACE), "put");
	TAP_EQ(hmem_tx_commit(tx), -ENOENT, "one to be replaced is not");
	tx = begin();
	need(tx_put(tx, "n", "2", 0), "put");
	need(hmem_tx_delete(tx, "b"), "delete");
	TAP_EQ(hmem_tx_commit(tx), -ENOENT, "nor one to be deleted");
	TAP_EQ(info().fences, before, "which takes no fence");
	TAP_OK(has("n", NULL) && has("a", "1"), "nothing of them has happened");
	TAP_OK(is_fine(), "the shelf is fine");
}

/* Names in as many buckets as there are and many in each, on all kinds of shelf. */
static void test_many(unsigned int nr)
{
	uint64_t before, there = info().objects;
	char name[32], text[32];
	struct hmem_tx *tx;
	bool good = true;

	for (unsigned int round = 0; round < 3; round++) {
		tx = begin();
		for (unsigned int i = 0; i < nr; i++) {
			snprintf(name, sizeof(name), "many %u", i);
			snprintf(text, sizeof(text), "%u of round %u", i, round);
			need(tx_put(tx, name, text, round ? HMEM_PUT_REPLACE : HMEM_PUT_CREATE),
			     "put");
		}
		before = info().fences;
		need(hmem_tx_commit(tx), "commit");
		TAP_EQ(info().fences - before, 1, "a commit of %u puts is one fence", nr);
		for (unsigned int i = 0; i < nr; i++) {
			snprintf(name, sizeof(name), "many %u", i);
			snprintf(text, sizeof(text), "%u of round %u", i, round);
			good = good && has(name, text);
		}
	}
	TAP_OK(good && info().objects == there + nr, "all are there");
	TAP_OK(is_fine(), "the shelf is fine");
	tx = begin();
	for (unsigned int i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "many %u", i);
		need(hmem_tx_delete(tx, name), "delete");
	}
	before = info().fences;
	need(hmem_tx_commit(tx), "commit");
	TAP_EQ(info().fences - before, 1, "a commit of %u deletes as well", nr);
	TAP_EQ(info().objects, there, "they are gone");
	TAP_OK(is_fine(), "the shelf is fine");
}

/* Memory comes back: as many transactions as would fill the shelf many times. */
static void test_reuse(void)
{
	static char value[60 * KI];
	char name[32];

	for (unsigned int i = 0; i < 2000; i++) {
		struct hmem_tx *tx = begin();

		for (unsigned int j = 0; j < 3; j++) {
			snprintf(name, sizeof(name), "reuse %u", j);
			need(hmem_tx_put(tx, name, value, i % 7 ? 100 : sizeof(value), NULL),
			     "put");
		}
		if (i % 5 == 4)
			need(hmem_tx_delete(tx, "reuse 1"), "delete");
		need(i % 11 ? hmem_tx_commit(tx) : hmem_tx_abort(tx), "end");
	}
	TAP_OK(is_fine(), "2000 transactions leave no more than the last");
	for (unsigned int j = 0; j < 3; j++) {
		snprintf(name, sizeof(name), "reuse %u", j);
		hmem_shelf_delete(shelf, name);
	}
}

/* --- ranges changed in place --------------------------------------------------------- */

static struct hmem_object get(const char *name)
{
	struct hmem_object object;

	/* Changed in a transaction or outside of one: both are objects. */
	need(name[1] == '1' ? hmem_shelf_edit(shelf, name, &object) :
			      hmem_shelf_get(shelf, name, &object), "get");
	return object;
}

static void test_add(void)
{
	struct hmem_object a, b;
	struct hmem_range ranges[3];
	struct hmem_tx *tx;
	uint64_t before;

	put("r1", "0123456789");
	put("r2", "abcdefghij");
	a = get("r1");
	b = get("r2");
	ranges[0] = (struct hmem_range){ &a, 0, 4 };
	ranges[1] = (struct hmem_range){ &b, 8, 2 };
	ranges[2] = (struct hmem_range){ &a, 2, 3 };
	tx = begin();
	before = info().fences;
	TAP_EQ(hmem_tx_add(tx, ranges, 3), 0, "ranges of two objects are added");
	TAP_EQ(info().fences - before, 1, "under one fence");
	memcpy(a.data, "WXYZ", 4);
	memcpy((char *)b.data + 8, "!!", 2);
	TAP_EQ(hmem_tx_add(tx, ranges, 1), 0, "one of them again");
	memcpy(a.data, "wxyz", 4);
	before = info().fences;
	TAP_EQ(hmem_tx_commit(tx), 0, "it is committed");
	TAP_EQ(info().fences - before, 2, "under two fences");
	TAP_OK(has("r1", "wxyz456789") && has("r2", "abcdefgh!!"), "what was stored is there");
	TAP_OK(is_fine(), "the shelf is fine");
	tx = begin();
	need(hmem_tx_add(tx, ranges, 3), "add");
	memcpy(a.data, "WXYZ", 4);
	need(hmem_tx_add(tx, ranges, 2), "add");
	memcpy(a.data, "????", 4);
	memcpy((char *)b.data + 8, "??", 2);
	before = info().fences;
	TAP_EQ(hmem_tx_abort(tx), 0, "another is given up");
	TAP_EQ(info().fences - before, 2, "under two fences");
	TAP_OK(has("r1", "wxyz456789") && has("r2", "abcdefgh!!"), "all is as it was");
	put("r1", "free again");
	need(hmem_shelf_delete(shelf, "r2"), "delete");
	TAP_OK(is_fine(), "and the shelf is fine");
	hmem_shelf_release(shelf, &a);
	hmem_shelf_release(shelf, &b);
}

/* Ranges and names in one: two fences, all or nothing. */
static void test_mixed(void)
{
	struct hmem_object a, b;
	struct hmem_range ranges[2];
	struct hmem_tx *tx;
	uint64_t before;

	put("m1", "0123456789");
	put("m2", "abcdefghij");
	a = get("m1");
	b = get("m2");
	ranges[0] = (struct hmem_range){ &a, 0, 4 };
	ranges[1] = (struct hmem_range){ &b, 0, 4 };
	tx = begin();
	need(hmem_tx_add(tx, ranges, 2), "add");
	memcpy(a.data, "WXYZ", 4);
	need(tx_put(tx, "m3", "new", 0), "put");
	before = info().fences;
	TAP_EQ(hmem_tx_commit(tx), 0, "ranges and a put are committed");
	TAP_EQ(info().fences - before, 2, "under two fences");
	TAP_OK(has("m1", "WXYZ456789") && has("m3", "new"), "both are there");
	tx = begin();
	need(hmem_tx_add(tx, ranges, 1), "add");
	memcpy(a.data, "????", 4);
	need(tx_put(tx, "m3", "newer", HMEM_PUT_CREATE), "put");
	TAP_EQ(hmem_tx_commit(tx), -EEXIST, "or none");
	TAP_OK(has("m1", "WXYZ456789") && has("m3", "new"), "of them");
	tx = begin();
	need(hmem_tx_add(tx, ranges, 2), "add");
	memcpy(a.data, "????", 4);
	memcpy(b.data, "wxyz", 4);
	need(tx_put(tx, "m1", "replaced", 0), "put");
	need(hmem_tx_delete(tx, "m2"), "delete");
	TAP_EQ(hmem_tx_commit(tx), 0, "it may replace and delete what it changes");
	TAP_OK(has("m1", "replaced") && has("m2", NULL), "which is then replaced and deleted");
	TAP_OK(!memcmp(a.data, "????456789", 10), "for those who have it, it is what was stored");
	hmem_shelf_release(shelf, &a);
	hmem_shelf_release(shelf, &b);
	TAP_OK(is_fine(), "the shelf is fine");
	need(hmem_shelf_delete(shelf, "m3"), "delete");
	need(hmem_shelf_delete(shelf, "m1"), "delete");
}

static void *want_owned(void *range)
{
	struct hmem_range *ranges = range;
	struct hmem_tx *tx;

	TAP_EQ(hmem_shelf_put(shelf, "o1", "x", 1, NULL), -EBUSY, "others cannot put it");
	TAP_OK(strstr(hmem_last_error(ctx), "try again"), "and are told what to do");
	TAP_EQ(hmem_shelf_delete(shelf, "o1"), -EBUSY, "nor delete it");
	tx = begin();
	TAP_EQ(hmem_tx_add(tx, ranges, 1), -EBUSY, "nor add ranges of it");
	need(tx_put(tx, "o1", "x", 0), "put");
	need(tx_put(tx, "o3", "x", 0), "put");
	TAP_EQ(hmem_tx_commit(tx), -EBUSY, "nor put it in a transaction");
	TAP_OK(has("o3", NULL), "of which nothing happens");
	TAP_OK(has("o1", "0123456789"), "but they can read it");
	TAP_EQ(hmem_shelf_put(shelf, "o2", "x", 1, NULL), 0, "and put others");
	return NULL;
}

static void test_owner(void)
{
	struct hmem_object a, old;
	struct hmem_range range = { &a, 0, 4 }, wrong;
	struct hmem_object none = { 0 };
	struct hmem_tx *tx;
	pthread_t thread;

	put("o1", "0123456789");
	put("o2", "1");
	a = get("o1");
	tx = begin();
	need(hmem_tx_add(tx, &range, 1), "add");
	TAP_EQ(hmem_shelf_put(shelf, "o1", "x", 1, NULL), -EDEADLK, "its own thread cannot put it");
	TAP_EQ(hmem_shelf_delete(shelf, "o1"), -EDEADLK, "nor delete it");
	if (pthread_create(&thread, NULL, want_owned, &range) || pthread_join(thread, NULL))
		tap_bail("no thread");
	wrong = (struct hmem_range){ &a, 7, 4 };
	TAP_EQ(hmem_tx_add(tx, &wrong, 1), -EINVAL, "a range that ends behind its object");
	wrong = (struct hmem_range){ &a, SIZE_MAX, 2 };
	TAP_EQ(hmem_tx_add(tx, &wrong, 1), -EINVAL, "one that begins behind it");
	wrong = (struct hmem_range){ &none, 0, 0 };
	TAP_EQ(hmem_tx_add(tx, &wrong, 1), -EINVAL, "of no object");
	wrong = (struct hmem_range){ NULL, 0, 0 };
	TAP_EQ(hmem_tx_add(tx, &wrong, 1), -EINVAL, "of none at all");
	TAP_EQ(hmem_tx_add(tx, NULL, 1), -EINVAL, "no ranges");
	TAP_EQ(hmem_tx_add(tx, NULL, 0), 0, "none at all are legal");
	TAP_EQ(hmem_tx_add(NULL, &range, 1), -EINVAL, "no transaction");
	old = get("o2");
	put("o2", "2");
	wrong = (struct hmem_range){ &old, 0, 1 };
	TAP_EQ(hmem_tx_add(tx, &wrong, 1), -ENOENT, "of an object that was replaced");
	hmem_shelf_release(shelf, &old);
	hmem_shelf_release(shelf, &a);
	TAP_EQ(hmem_tx_commit(tx), 0, "it is committed");
	TAP_EQ(hmem_shelf_put(shelf, "o1", "x", 1, NULL), 0, "then its object is free");
	need(hmem_shelf_delete(shelf, "o1"), "delete");
	need(hmem_shelf_delete(shelf, "o2"), "delete");
	TAP_OK(is_fine(), "the shelf is fine");
}

/* Many ranges, many times: as one vector, and one by one. */
static void test_many_ranges(void)
{
	enum { NR = 100 };
	struct hmem_object objects[NR];
	struct hmem_range ranges[NR];
	char name[32];
	bool good = true;

	for (unsigned int i = 0; i < NR; i++) {
		snprintf(name, sizeof(name), "range %u", i);
		put(name, "00000000");
		objects[i] = get(name);
		ranges[i] = (struct hmem_range){ &objects[i], i % 8, 1 };
	}
	for (unsigned int round = 1; round < 30; round++) {
		struct hmem_tx *tx = begin();

		for (unsigned int i = 0; i < NR; i += round % 3 ? NR : 1)
			need(hmem_tx_add(tx, &ranges[i], round % 3 ? NR : 1), "add");
		for (unsigned int i = 0; i < NR; i++)
			((char *)objects[i].data)[i % 8] = (char)('0' + round);
		need(round % 5 ? hmem_tx_commit(tx) : hmem_tx_abort(tx), "end");
		for (unsigned int i = 0; i < NR; i++)
			good = good && ((char *)objects[i].data)[i % 8] ==
					       (char)('0' + round - !(round % 5));
	}
	TAP_OK(good, "29 transactions of 100 ranges are made or undone");
	TAP_OK(is_fine(), "the shelf is fine");
	for (unsigned int i = 0; i < NR; i++) {
		snprintf(name, sizeof(name), "range %u", i);
		hmem_shelf_release(shelf, &objects[i]);
		need(hmem_shelf_delete(shelf, name), "delete");
	}
}

/* --- what they refuse ---------------------------------------------------------------- */

static void *in_thread(void *tx)
{
	struct hmem_tx *own;

	TAP_EQ(tx_put(tx, "a", "1", 0), -EINVAL, "another thread's transaction: put");
	TAP_EQ(hmem_tx_delete(tx, "a"), -EINVAL, "delete");
	TAP_EQ(hmem_tx_commit(tx), -EINVAL, "commit");
	TAP_EQ(hmem_tx_abort(tx), -EINVAL, "abort");
	TAP_EQ(hmem_tx_begin(shelf, &own), 0, "it has its own");
	TAP_EQ(tx_put(own, "thread", "1", 0), 0, "and may end with it");
	return NULL;
}

static void test_errors(void)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	struct hmem_tx *tx, *second = NULL;
	pthread_t thread;
	static char long_name[HMEM_OBJECT_NAME_MAX + 2];
	uint64_t before = info().free_bytes;

	memset(long_name, 'x', sizeof(long_name) - 1);
	TAP_EQ(hmem_tx_begin(NULL, &tx), -EINVAL, "no shelf");
	TAP_EQ(hmem_tx_begin(shelf, NULL), -EINVAL, "no place");
	TAP_EQ(hmem_tx_put(NULL, "a", "", 0, NULL), -EINVAL, "no transaction: put");
	TAP_EQ(hmem_tx_delete(NULL, "a"), -EINVAL, "delete");
	TAP_EQ(hmem_tx_commit(NULL), -EINVAL, "commit");
	tx = begin();
	TAP_EQ(hmem_tx_begin(shelf, &second), -EALREADY, "a second one");
	TAP_OK(!second && strstr(hmem_last_error(ctx), "commit or abort"), "and it says what to do");
	TAP_EQ(hmem_tx_put(tx, NULL, "", 0, NULL), -EINVAL, "no name");
	TAP_EQ(hmem_tx_put(tx, "", "", 0, NULL), -EINVAL, "an empty name");
	TAP_EQ(hmem_tx_put(tx, long_name, "", 0, NULL), -ENAMETOOLONG, "a long name");
	TAP_EQ(hmem_tx_put(tx, "e", NULL, 1, NULL), -EINVAL, "no data");
	options.flags = 64;
	TAP_EQ(hmem_tx_put(tx, "e", "", 0, &options), -EINVAL, "unknown flags");
	options = (struct hmem_put_options)HMEM_PUT_OPTIONS_INIT;
	options.align = 24;
	TAP_EQ(hmem_tx_put(tx, "e", "", 0, &options), -EINVAL, "no alignment");
	TAP_EQ(hmem_tx_put(tx, "e", long_name, 1ull << 50, NULL), -ENOSPC, "more than there can be");
	TAP_EQ(hmem_tx_delete(tx, NULL), -EINVAL, "deleting no name");
	TAP_EQ(hmem_tx_delete(tx, long_name), -ENAMETOOLONG, "a long one");
	if (pthread_create(&thread, NULL, in_thread, tx) || pthread_join(thread, NULL))
		tap_bail("no thread");
	TAP_EQ(hmem_tx_commit(tx), 0, "after all that nothing is left to commit");
	TAP_OK(has("e", NULL) && has("thread", NULL), "and nothing has happened");
	TAP_OK(info().free_bytes >= before, "nor has memory gone");
	TAP_OK(is_fine(), "the shelf is fine");
}

static void test_no_space(uint64_t bytes)
{
	char *large = calloc(1, bytes);
	struct hmem_tx *tx = begin();
	uint64_t before = info().free_bytes;
	int err = 0;

	need(hmem_tx_put(tx, "first", "1", 1, NULL), "put");
	TAP_EQ(hmem_tx_put(tx, "large", large, bytes, NULL), -ENOSPC, "more than there is");
	for (unsigned int i = 0; i < 1000000 && !err; i++) {
		char name[32];

		snprintf(name, sizeof(name), "small %u", i);
		err = hmem_tx_put(tx, name, large, 4000, NULL);
	}
	TAP_EQ(err, -ENOSPC, "until there is no room for more");
	err = hmem_tx_commit(tx);
	TAP_OK(!err || err == -ENOSPC, "what had room is committed, or nothing (%d)", err);
	TAP_OK(has("large", NULL) && has("first", err ? NULL : "1"), "all or nothing");
	TAP_OK(is_fine(), "the shelf is fine");
	for (unsigned int i = 0; !err && i < 1000000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "small %u", i);
		if (hmem_shelf_delete(shelf, name))
			break;
	}
	hmem_shelf_delete(shelf, "first");
	put("after", "1");
	need(hmem_shelf_delete(shelf, "after"), "delete");
	TAP_OK(info().free_bytes > before / 2, "and there is room again");
	free(large);
}

static void test_fork(void)
{
	struct hmem_tx *tx = begin();
	int status;
	pid_t child;

	need(tx_put(tx, "fork", "1", 0), "put");
	child = fork();
	if (!child) {
		struct hmem_tx *other;
		bool good = tx_put(tx, "fork", "2", 0) == -ECHILD &&
			    hmem_tx_delete(tx, "fork") == -ECHILD &&
			    hmem_tx_commit(tx) == -ECHILD &&
			    hmem_tx_begin(shelf, &other) == -ECHILD && !hmem_tx_abort(tx);

		_exit(!good);
	}
	waitpid(child, &status, 0);
	TAP_EQ(status, 0, "a child cannot go on with it");
	TAP_EQ(hmem_tx_commit(tx), 0, "its parent can");
	TAP_OK(has("fork", "1"), "with what was put before");
	need(hmem_shelf_delete(shelf, "fork"), "delete");
}

static void run(enum place place, bool ordered)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_region *region = text_begin(place, ordered);
	struct hmem_object object;
	struct hmem_tx *tx;

	test_commit();
	test_abort();
	test_same_name();
	test_conditions();
	test_many(1);
	test_many(19);
	test_many(64);
	test_many(3000);
	test_reuse();
	test_add();
	test_mixed();
	test_owner();
	test_many_ranges();
	test_errors();
	test_no_space(7 * MI);
	if (place != PLACE_ANON)
		test_fork();
	put("kept", "1");
	tx = begin();
	need(tx_put(tx, "kept", "2", 0), "put");
	need(tx_put(tx, "also", "3", 0), "put");
	need(hmem_tx_commit(tx), "commit");
	tx = begin();
	need(tx_put(tx, "open", "4", 0), "put");
	object = get("also");
	need(hmem_tx_add(tx, &(struct hmem_range){ &object, 0, 1 }, 1), "add");
	*(char *)object.data = '?';
	TAP_EQ(hmem_shelf_close(shelf), 0, "a shelf is closed under a transaction");
	need(hmem_shelf_open(region, "tx", NULL, &shelf), "open");
	TAP_OK(has("kept", "2") && has("also", "3") && has("open", NULL), "which never was");
	TAP_OK(is_fine(), "the shelf is fine");
	hmem_shelf_close(shelf);
	options.flags = HMEM_SHELF_READ_ONLY;
	need(hmem_shelf_open(region, "tx", &options, &shelf), "open");
	TAP_EQ(hmem_tx_begin(shelf, &tx), -EROFS, "read-only there are none");
	hmem_shelf_close(shelf);
	hmem_region_close(region);
}

int main(void)
{
	return place_main(run);
}
