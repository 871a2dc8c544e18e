// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects that are changed in place, and handles of objects: what they do, what is refused,
 * what becomes of them when objects are replaced and shelves are opened elsewhere.
 */
#include <pthread.h>

#include "shelf_place.h"

static struct hmem_region *region;
static struct hmem_shelf *shelf;

static bool well(void)
{
	return !hmem_shelf_check(shelf, NULL, NULL);
}

static bool has(const char *name, const char *value)
{
	char got[64] = "";
	size_t length;

	return !hmem_shelf_read(shelf, name, got, sizeof(got), &length) &&
	       length == strlen(value) && !memcmp(got, value, length);
}

static void put(const char *name, const char *value)
{
	need(hmem_shelf_put(shelf, name, value, strlen(value), NULL), name);
}

static struct hmem_shelf *open_other(unsigned int flags)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *other;

	options.flags = flags;
	need(hmem_shelf_open(region, "s", &options, &other), "opening once more");
	return other;
}

static void reopen(void)
{
	need(hmem_shelf_close(shelf), "closing");
	shelf = open_other(0);
}

/* --- in place ------------------------------------------------------------------------ */

static void changing(void)
{
	struct hmem_object object, other;

	put("edited", "0123456789");
	need(hmem_shelf_edit(shelf, "edited", &object), "edit");
	TAP_EQ(object.bytes, 10, "an object to be changed");
	memcpy((char *)object.data + 2, "xy", 2);
	TAP_OK(has("edited", "01xy456789"), "is seen as it is");
	TAP_EQ(hmem_shelf_persist(shelf, &object, 2, 2), 0, "made durable");
	TAP_EQ(hmem_shelf_persist(shelf, &object, 0, 10), 0, "all of it");
	TAP_EQ(hmem_shelf_persist(shelf, &object, 10, 0), 0, "nothing of it");
	TAP_EQ(hmem_shelf_persist(shelf, &object, 10, 1), -EINVAL, "more than it has");
	TAP_EQ(hmem_shelf_persist(shelf, &object, 11, 0), -EINVAL, "behind it");
	TAP_EQ(hmem_shelf_persist(shelf, &object, 1, SIZE_MAX), -EINVAL, "far behind it");
	TAP_OK(well(), "the shelf is well with it");
	need(hmem_shelf_edit(shelf, "edited", &other), "edit");
	TAP_EQ((intptr_t)object.data, (intptr_t)other.data, "another that edits has the same");
	hmem_shelf_release(shelf, &other);
	TAP_EQ(hmem_shelf_persist(shelf, &other, 0, 1), -EINVAL, "what was released");
	put("edited", "new");
	TAP_EQ(hmem_shelf_persist(shelf, &object, 0, 1), -ESTALE, "what was replaced");
	memcpy(object.data, "AB", 2);
	TAP_OK(has("edited", "new"), "the new one is not what was edited");
	hmem_shelf_release(shelf, &object);
	need(hmem_shelf_edit(shelf, "edited", &object), "edit");
	need(hmem_shelf_delete(shelf, "edited"), "delete");
	TAP_EQ(hmem_shelf_persist(shelf, &object, 0, 1), -ESTALE, "what was deleted");
	hmem_shelf_release(shelf, &object);
	TAP_OK(well(), "the shelf is well");
}

static void not_changed(void)
{
	struct hmem_object object, nothing = { 0 };
	struct hmem_shelf *other;

	put("got", "value");
	TAP_EQ(hmem_shelf_edit(NULL, "got", &object), -EINVAL, "edit: no shelf");
	TAP_EQ(hmem_shelf_edit(shelf, "got", NULL), -EINVAL, "edit: no place");
	TAP_EQ(hmem_shelf_edit(shelf, "", &object), -EINVAL, "edit: no name");
	TAP_EQ(hmem_shelf_edit(shelf, "none", &object), -ENOENT, "edit: no such object");
	TAP_EQ(hmem_shelf_persist(NULL, &nothing, 0, 0), -EINVAL, "persist: no shelf");
	TAP_EQ(hmem_shelf_persist(shelf, NULL, 0, 0), -EINVAL, "persist: no object");
	TAP_EQ(hmem_shelf_persist(shelf, &nothing, 0, 0), -EINVAL, "persist: an empty one");
	need(hmem_shelf_get(shelf, "got", &object), "get");
	TAP_EQ(hmem_shelf_persist(shelf, &object, 0, 1), -EINVAL, "persist: one to be read");
	hmem_shelf_release(shelf, &object);
	other = open_other(HMEM_SHELF_READ_ONLY);
	TAP_EQ(hmem_shelf_edit(other, "got", &object), -EROFS, "edit: read-only");
	need(hmem_shelf_edit(shelf, "got", &object), "edit");
	TAP_EQ(hmem_shelf_persist(other, &object, 0, 1), -EROFS, "persist: read-only");
	hmem_shelf_close(other);
	other = open_other(0);
	TAP_EQ(hmem_shelf_persist(other, &object, 0, 1), -EINVAL, "persist: through another handle");
	hmem_shelf_close(other);
	hmem_shelf_release(shelf, &object);
}

/* Somebody else's last record, which he has yet to seal. */
static void *put_and_wait(void *arg)
{
	pthread_barrier_t *barrier = arg;

	put("others", "0123456789");
	pthread_barrier_wait(barrier);
	pthread_barrier_wait(barrier);
	put("others too", "x");
	return NULL;
}

static void of_others(void)
{
	pthread_barrier_t barrier;
	struct hmem_object object;
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&thread, NULL, put_and_wait, &barrier))
		tap_bail("no thread");
	pthread_barrier_wait(&barrier);
	need(hmem_shelf_edit(shelf, "others", &object), "edit");
	memcpy(object.data, "ab", 2);
	TAP_OK(well(), "a record that its writer has not sealed is changed");
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	TAP_EQ(hmem_shelf_persist(shelf, &object, 0, 2), 0, "and made durable");
	hmem_shelf_release(shelf, &object);
	TAP_OK(well() && has("others", "ab23456789"), "it is as it was changed");
	reopen();
	TAP_OK(well() && has("others", "ab23456789"), "also when the shelf is opened again");
}

static void in_a_child(void)
{
	struct hmem_handle handle;
	struct hmem_object object;
	int status;
	pid_t pid;

	need(hmem_shelf_edit(shelf, "others", &object), "edit");
	need(hmem_shelf_handle(shelf, &object, &handle), "handle");
	pid = fork();
	if (pid < 0)
		tap_bail("fork");
	if (!pid)
		_exit(hmem_shelf_edit(shelf, "others", &object) != -ECHILD ||
		      hmem_shelf_persist(shelf, &object, 0, 1) != -ECHILD ||
		      hmem_shelf_handle(shelf, &object, &handle) != -ECHILD ||
		      hmem_shelf_get_handle(shelf, &handle, &object) != -ECHILD);
	waitpid(pid, &status, 0);
	TAP_EQ(status, 0, "a child gets -ECHILD");
	TAP_EQ(hmem_shelf_persist(shelf, &object, 0, 1), 0, "which changes nothing");
	hmem_shelf_release(shelf, &object);
}

/* --- handles ------------------------------------------------------------------------- */

static struct hmem_handle handle_of(const char *name)
{
	struct hmem_handle handle;
	struct hmem_object object;

	need(hmem_shelf_get(shelf, name, &object), name);
	need(hmem_shelf_handle(shelf, &object, &handle), "handle");
	hmem_shelf_release(shelf, &object);
	return handle;
}

static int get(struct hmem_handle handle, const char *value)
{
	struct hmem_object object;
	int err = hmem_shelf_get_handle(shelf, &handle, &object);

	if (err)
		return err;
	err = object.bytes != strlen(value) || memcmp(object.data, value, object.bytes) ||
	      object.version != handle.version;
	hmem_shelf_release(shelf, &object);
	return err;
}

static void handles(void)
{
	struct hmem_handle one, two, none = { 0 };
	struct hmem_shelf *other;
	struct hmem_object object;
	char name[32];
	int stale = 0;

	put("one", "the first");
	put("two", "the second");
	one = handle_of("one");
	two = handle_of("two");
	TAP_EQ(get(one, "the first") + get(two, "the second"), 0, "objects by their handles");
	TAP_OK(get(none, "") == -EINVAL, "zeroes are no handle");
	/* One handle keeps the shelf's place in the address space from the next. */
	other = shelf;
	shelf = open_other(0);
	TAP_EQ(get(one, "the first") + get(two, "the second"), 0, "at another address");
	need(hmem_shelf_close(other), "closing");
	reopen();
	TAP_EQ(get(one, "the first") + get(two, "the second"), 0, "and opened again");
	need(hmem_shelf_edit(shelf, "one", &object), "edit");
	memcpy(object.data, "THE", 3);
	hmem_shelf_release(shelf, &object);
	TAP_EQ(get(one, "THE first"), 0, "changed in place it is still the same");
	put("one", "a new one");
	TAP_EQ(get(one, ""), -ESTALE, "one that was replaced");
	TAP_EQ(get(handle_of("one"), "a new one"), 0, "has another handle now");
	need(hmem_shelf_delete(shelf, "two"), "delete");
	TAP_EQ(get(two, ""), -ESTALE, "one that was deleted");
	/* Whatever comes to lie there. */
	for (unsigned int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "%03u", i % 100);
		put(name, "the second");
		put("two", "the second");
		stale += get(two, "") == -ESTALE && get(one, "") == -ESTALE;
	}
	TAP_EQ(stale, 2000, "nor is it ever another one");
	TAP_OK(well(), "the shelf is well");
}

static void forged(void)
{
	struct hmem_handle right = handle_of("one"), wrong;
	unsigned int refused = 0, tries = 0;
	uint64_t seed = 1;

	for (unsigned int bit = 0; bit < 128; bit++) {
		wrong = right;
		*(bit < 64 ? &wrong.place : &wrong.version) ^= 1ull << bit % 64;
		tries++;
		refused += get(wrong, "") < 0;
	}
	TAP_EQ(refused, tries, "a handle with a wrong bit");
	for (tries = refused = 0; tries < 100000; tries++) {
		pattern(&wrong, sizeof(wrong), seed++);
		/* Most in the heap, or near its end. */
		wrong.place &= tries & 1 ? 0xffffff00003fffffull : ~0ull;
		wrong.version &= tries & 2 ? 0xffff : ~0ull;
		refused += get(wrong, "") < 0;
	}
	TAP_EQ(refused, tries, "handles at random");
}

static void no_handles(void)
{
	struct hmem_object object, nothing = { 0 };
	struct hmem_handle handle = handle_of("one");
	struct hmem_object many[200];
	struct hmem_shelf *other;
	unsigned int nr = 0;

	need(hmem_shelf_get(shelf, "one", &object), "get");
	TAP_EQ(hmem_shelf_handle(NULL, &object, &handle), -EINVAL, "handle: no shelf");
	TAP_EQ(hmem_shelf_handle(shelf, NULL, &handle), -EINVAL, "handle: no object");
	TAP_EQ(hmem_shelf_handle(shelf, &object, NULL), -EINVAL, "handle: no place for it");
	TAP_EQ(hmem_shelf_handle(shelf, &nothing, &handle), -EINVAL, "handle: an empty object");
	hmem_shelf_release(shelf, &object);
	TAP_EQ(hmem_shelf_get_handle(NULL, &handle, &object), -EINVAL, "get: no shelf");
	TAP_EQ(hmem_shelf_get_handle(shelf, NULL, &object), -EINVAL, "get: no handle");
	TAP_EQ(hmem_shelf_get_handle(shelf, &handle, NULL), -EINVAL, "get: no place for it");
	other = open_other(HMEM_SHELF_READ_ONLY);
	TAP_EQ(hmem_shelf_get_handle(other, &handle, &object), -EROFS, "get: read-only");
	TAP_EQ(hmem_shelf_handle(other, &object, &handle), -EROFS, "handle: read-only");
	hmem_shelf_close(other);
	while (nr < 200 && !hmem_shelf_get_handle(shelf, &handle, &many[nr]))
		nr++;
	TAP_EQ(hmem_shelf_get_handle(shelf, &handle, &object), -EMFILE, "get: too many");
	TAP_EQ(hmem_shelf_edit(shelf, "one", &object), -EMFILE, "edit: too many");
	while (nr--)
		hmem_shelf_release(shelf, &many[nr]);
	TAP_EQ(hmem_shelf_edit(shelf, "one", &object), 0, "when they are released, one more");
	hmem_shelf_release(shelf, &object);
	TAP_OK(well(), "the shelf is well");
}

int main(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	for (enum place place = PLACE_SHM; place < PLACES; place++) {
		tap_diag("in %s", place_names[place]);
		region = place_new(place, 64 * MI);
		shelf = place_shelf(region, 16 * MI);
		changing();
		not_changed();
		of_others();
		in_a_child();
		handles();
		forged();
		no_handles();
		need(hmem_shelf_close(shelf), "closing");
		hmem_region_close(region);
	}
	hmem_ctx_unref(ctx);
	return tap_done();
}
