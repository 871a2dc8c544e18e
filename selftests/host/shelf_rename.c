// SPDX-License-Identifier: GPL-2.0-only
/*
 * Other names for objects: rename and swap. What the loss of power makes of them is the
 * explorer's to find.
 * hmem-test: timeout=120
 */
#include <pthread.h>

#include "shelf_text.h"

static void delete(const char *name)
{
	need(hmem_shelf_delete(shelf, name), "delete");
}

static int rename_it(const char *from, const char *to, unsigned int flags)
{
	return hmem_shelf_rename(shelf, from, to, flags);
}

/* Does the list have just this name, and once? */
static bool lists(const char *name)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	struct hmem_cursor *cursor;
	unsigned int nr = 0;
	bool same = true;

	need(hmem_cursor_open(shelf, NULL, 0, &cursor), "cursor");
	while (hmem_cursor_next(cursor, &entry) > 0) {
		nr++;
		same = same && !strcmp(entry.name, name);
	}
	hmem_cursor_close(cursor);
	return nr == 1 && same;
}

static void test_rename(void)
{
	struct hmem_object before, after;
	struct hmem_handle handle;
	uint64_t fences;

	put("old", "value");
	need(hmem_shelf_get(shelf, "old", &before), "get");
	need(hmem_shelf_handle(shelf, &before, &handle), "handle");
	fences = info().fences;
	TAP_EQ(rename_it("old", "a new name, of other length", 0), 0, "an object is renamed");
	TAP_EQ(info().fences - fences, 1, "under one fence");
	TAP_OK(has("old", NULL) && has("a new name, of other length", "value"), "and has one name");
	TAP_OK(lists("a new name, of other length"), "also in the list");
	TAP_EQ(info().objects, 1, "and is one object");
	TAP_OK(!memcmp(before.data, "value", 5), "what was got before stays");
	TAP_EQ(hmem_shelf_get_handle(shelf, &handle, &after), -ESTALE, "its handle does not");
	need(hmem_shelf_get(shelf, "a new name, of other length", &after), "get");
	TAP_OK(after.version > before.version, "its version is a new one");
	hmem_shelf_release(shelf, &after);
	hmem_shelf_release(shelf, &before);
	put("other", "replaced");
	TAP_EQ(rename_it("a new name, of other length", "other", HMEM_PUT_CREATE), -EEXIST,
	       "not over another, if that is asked");
	TAP_EQ(rename_it("other", "none", HMEM_PUT_REPLACE), -ENOENT, "nor to a new name");
	TAP_OK(has("other", "replaced") && has("none", NULL), "then nothing happens");
	TAP_EQ(rename_it("a new name, of other length", "other", HMEM_PUT_REPLACE), 0,
	       "otherwise it replaces");
	TAP_OK(has("other", "value") && lists("other"), "what was there");
	TAP_EQ(rename_it("other", "back", HMEM_PUT_CREATE), 0, "and gets a new name");
	TAP_EQ(rename_it("back", "old", 0), 0, "and one that it has had");
	TAP_OK(has("old", "value") && lists("old"), "all the time it is one object");
	fences = info().fences;
	TAP_EQ(rename_it("old", "old", 0), 0, "its own name");
	TAP_EQ(rename_it("old", "old", HMEM_PUT_REPLACE), 0, "is no other");
	TAP_EQ(rename_it("old", "old", HMEM_PUT_CREATE), -EEXIST, "and not free");
	TAP_EQ(info().fences, fences, "which takes no fence");
	delete("old");
	TAP_OK(is_fine(), "the shelf is fine");
}

static void test_swap(void)
{
	struct hmem_object a, b;
	uint64_t fences;

	put("a", "1");
	put("b", "a longer one");
	need(hmem_shelf_get(shelf, "a", &a), "get");
	need(hmem_shelf_get(shelf, "b", &b), "get");
	fences = info().fences;
	TAP_EQ(hmem_shelf_swap(shelf, "a", "b"), 0, "two objects are swapped");
	TAP_EQ(info().fences - fences, 1, "under one fence");
	TAP_OK(has("a", "a longer one") && has("b", "1"), "each has the other's value");
	TAP_OK(!memcmp(a.data, "1", 1) && !memcmp(b.data, "a longer one", 12),
	       "what was got before stays");
	hmem_shelf_release(shelf, &a);
	hmem_shelf_release(shelf, &b);
	TAP_EQ(hmem_shelf_swap(shelf, "b", "a"), 0, "and back");
	TAP_OK(has("a", "1") && has("b", "a longer one"), "as they were");
	TAP_EQ(hmem_shelf_swap(shelf, "a", "a"), 0, "one with itself");
	TAP_EQ(hmem_shelf_swap(shelf, "a", "none"), -ENOENT, "not with none");
	TAP_EQ(hmem_shelf_swap(shelf, "none", "a"), -ENOENT, "nor none with it");
	TAP_EQ(hmem_shelf_swap(shelf, "none", "none"), -ENOENT, "nor none with none");
	TAP_OK(has("a", "1") && has("none", NULL) && info().objects == 2, "then nothing happens");
	delete("a");
	delete("b");
	TAP_OK(is_fine(), "the shelf is fine");
}

/* What else belongs to an object goes with it. */
static void test_kept(void)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	struct hmem_object object;

	options.align = 4096;
	options.type = "f64[3]";
	options.type_bytes = 6;
	need(hmem_shelf_put(shelf, "typed", "123", 3, &options), "put");
	put("plain", "");
	TAP_EQ(rename_it("typed", "t", 0), 0, "one with a descriptor");
	TAP_EQ(hmem_shelf_swap(shelf, "t", "plain"), 0, "and one without, swapped");
	need(hmem_shelf_get(shelf, "plain", &object), "get");
	TAP_OK(object.type_bytes == 6 && !memcmp(object.type, "f64[3]", 6), "it keeps that");
	TAP_OK(!((uintptr_t)object.data & 4095), "and its alignment");
	hmem_shelf_release(shelf, &object);
	need(hmem_shelf_get(shelf, "t", &object), "get");
	TAP_OK(!object.bytes && !object.type_bytes, "and the other that it has none");
	hmem_shelf_release(shelf, &object);
	delete("t");
	delete("plain");
}

static void *others(void *arg)
{
	(void)arg;
	TAP_EQ(rename_it("o", "p", 0), -EBUSY, "what a transaction has is not renamed by others");
	TAP_EQ(rename_it("p", "o", 0), -EBUSY, "nor replaced by that");
	TAP_EQ(hmem_shelf_swap(shelf, "p", "o"), -EBUSY, "nor swapped");
	TAP_OK(has("o", "1") && has("p", "2"), "and nothing happens");
	TAP_EQ(rename_it("p", "q", 0), 0, "others are");
	TAP_EQ(rename_it("q", "p", 0), 0, "there and back");
	return NULL;
}

static void test_errors(void)
{
	struct hmem_object object;
	struct hmem_range range = { &object, 0, 1 };
	char longest[HMEM_OBJECT_NAME_MAX + 2];
	pthread_t thread;
	struct hmem_tx *tx;

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	put("o", "1");
	put("p", "2");
	TAP_EQ(rename_it("none", "o", 0), -ENOENT, "no object");
	TAP_EQ(rename_it("none", "none", 0), -ENOENT, "also to its own name");
	TAP_EQ(rename_it("", "o", 0), -EINVAL, "no name");
	TAP_EQ(rename_it("o", NULL, 0), -EINVAL, "or none to get");
	TAP_EQ(rename_it("o", longest, 0), -ENAMETOOLONG, "one that is too long");
	TAP_EQ(rename_it("o", "q", 1u << 7), -EINVAL, "an unknown flag");
	TAP_EQ(hmem_shelf_rename(NULL, "o", "q", 0), -EINVAL, "no shelf");
	TAP_EQ(hmem_shelf_swap(NULL, "o", "p"), -EINVAL, "none to swap on");
	TAP_EQ(hmem_shelf_swap(shelf, "o", ""), -EINVAL, "no name to swap with");
	longest[HMEM_OBJECT_NAME_MAX] = '\0';
	TAP_EQ(rename_it("o", longest, 0), 0, "the longest name there is");
	TAP_EQ(rename_it(longest, "o", 0), 0, "and a short one");
	need(hmem_tx_begin(shelf, &tx), "begin");
	TAP_EQ(rename_it("o", "q", 0), -EALREADY, "not while the thread has a transaction");
	TAP_EQ(hmem_shelf_swap(shelf, "o", "p"), -EALREADY, "nor swapped");
	need(hmem_shelf_get(shelf, "o", &object), "get");
	need(hmem_tx_add(tx, &range, 1), "add");
	if (pthread_create(&thread, NULL, others, NULL) || pthread_join(thread, NULL))
		tap_bail("no thread");
	need(hmem_tx_abort(tx), "abort");
	hmem_shelf_release(shelf, &object);
	TAP_EQ(rename_it("o", "p", 0), 0, "when it has ended it is");
	TAP_OK(has("p", "1") && has("o", NULL) && is_fine(), "and the shelf is fine");
	delete("p");
}

/* A copy has to fit; and all memory comes back. */
static void test_space(size_t bytes)
{
	char *large = calloc(1, bytes);
	uint64_t before;
	bool good = true;

	if (!large)
		tap_bail("no memory");
	memset(large, 'x', bytes);
	need(hmem_shelf_put(shelf, "large", large, bytes, NULL), "put");
	put("small", "1");
	before = info().free_bytes;
	TAP_EQ(rename_it("large", "other", 0), -ENOSPC, "there is no room for a copy");
	TAP_EQ(hmem_shelf_swap(shelf, "small", "large"), -ENOSPC, "nor for one to swap");
	TAP_OK(has("small", "1") && has("other", NULL) && info().free_bytes >= before,
	       "then nothing happens");
	delete("large");
	for (unsigned int i = 0; i < 100 && good; i++) {
		need(hmem_shelf_put(shelf, "a", large, bytes / 5, NULL), "put");
		good = !rename_it("a", "b", 0) && !hmem_shelf_swap(shelf, "b", "small") &&
		       !hmem_shelf_swap(shelf, "b", "small");
	}
	TAP_OK(good, "many times what there is room for is copied");
	TAP_OK(has("small", "1") && is_fine(), "and the shelf is fine");
	delete("b");
	delete("small");
	free(large);
}

/* --- others meanwhile ----------------------------------------------------------------- */

static bool over;

static bool is_over(void)
{
	return __atomic_load_n(&over, __ATOMIC_ACQUIRE);
}

/* Two names, of which each has one value or the other, and both never the same. */
static void *look_on(void *arg)
{
	static const char *const names[] = { "left", "right" };
	struct hmem_object objects[2];
	uint64_t *wrong = arg;

	while (!is_over()) {
		int err = hmem_shelf_get_many(shelf, names, 2, objects);

		if (err == -EBUSY)
			continue;
		if (err) {
			++*wrong;
			continue;
		}
		*wrong += *(char *)objects[0].data == *(char *)objects[1].data;
		hmem_shelf_release(shelf, &objects[0]);
		hmem_shelf_release(shelf, &objects[1]);
		/* One by one each is there all the time. */
		for (unsigned int i = 0; i < 2; i++) {
			err = hmem_shelf_get(shelf, names[i], &objects[0]);
			*wrong += err != 0;
			if (!err)
				hmem_shelf_release(shelf, &objects[0]);
		}
	}
	return NULL;
}

static void *swap_too(void *arg)
{
	uint64_t *wrong = arg;

	while (!is_over()) {
		int err = hmem_shelf_swap(shelf, "right", "left");

		*wrong += err && err != -EBUSY;
	}
	return NULL;
}

static void test_others(void)
{
	uint64_t wrong[3] = { 0 }, swapped = 0;
	pthread_t reader, writer;

	put("left", "L");
	put("right", "R");
	__atomic_store_n(&over, false, __ATOMIC_RELEASE);
	if (pthread_create(&reader, NULL, look_on, &wrong[0]) ||
	    pthread_create(&writer, NULL, swap_too, &wrong[1]))
		tap_bail("no thread");
	while (swapped < 1000) {
		int err = hmem_shelf_swap(shelf, "left", "right");

		swapped += !err;
		wrong[2] += err && err != -EBUSY;
	}
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	pthread_join(reader, NULL);
	pthread_join(writer, NULL);
	TAP_EQ(wrong[0], 0, "readers always find both, and each in its place");
	TAP_EQ(wrong[1] + wrong[2], 0, "two who swap the same are swapped or busy");
	TAP_OK(has("left", "L") ? has("right", "R") : has("left", "R") && has("right", "L"),
	       "none is lost");
	TAP_OK(is_fine(), "and the shelf is fine");
	delete("left");
	delete("right");
}

static void test_fork(void)
{
	int status;
	pid_t child;

	put("f", "1");
	child = fork();
	if (!child)
		_exit(rename_it("f", "g", 0) != -ECHILD || hmem_shelf_swap(shelf, "f", "f") != -ECHILD);
	waitpid(child, &status, 0);
	TAP_EQ(status, 0, "a child renames nothing of its parent's");
	delete("f");
}

static void run(enum place place, bool ordered)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_region *region = text_begin(place, ordered);

	test_rename();
	test_swap();
	test_kept();
	test_errors();
	test_space(4 * MI);
	if (place == PLACE_SHM)
		test_others();
	if (place != PLACE_ANON)
		test_fork();
	put("kept", "1");
	need(rename_it("kept", "renamed", 0), "rename");
	TAP_EQ(hmem_shelf_close(shelf), 0, "the shelf is closed");
	need(hmem_shelf_open(region, "tx", NULL, &shelf), "open");
	TAP_OK(has("renamed", "1") && has("kept", NULL) && lists("renamed"), "and opened again");
	hmem_shelf_close(shelf);
	options.flags = HMEM_SHELF_READ_ONLY;
	need(hmem_shelf_open(region, "tx", &options, &shelf), "open");
	TAP_EQ(rename_it("renamed", "x", 0), -EROFS, "read-only nothing is renamed");
	TAP_EQ(hmem_shelf_swap(shelf, "renamed", "renamed"), -EROFS, "nor swapped");
	hmem_shelf_close(shelf);
	hmem_region_close(region);
}

int main(void)
{
	return place_main(run);
}
