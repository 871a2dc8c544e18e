// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scenes in which nobody dies: a lock is kept for too long, threads leave one another what they have
 * begun, and what was deleted is put again.
 */
#include <hmem/tx.h>

#include "acts.h"
#include "alive.h"
#include "say.h"
#include "scene.h"
#include "shelf.h"

#define HEAP	((uint64_t)1 << 21)
/* For what is to go on; for what has to give up. */
#define WAIT	2000u
#define GIVE_UP	100u

/* Whose threads go on, and another process's. */
static struct hmem_shelf *shelf, *other;

static void put_own(void)
{
	put(shelf, "second's own", VALUE, 'x');
}

/* --- a lock is kept that is needed to give memory back ------------------------------------ */

static bool can_put(const char *name)
{
	static char value[LARGE];

	return !hmem_shelf_put(shelf, name, value, sizeof(value), NULL);
}

int play_kept(void)
{
	static struct actor first;
	uint32_t *lock;
	void *data;

	shelf = scene_shelf(HEAP, 0, GIVE_UP);
	need(hmem_shelf_reserve(shelf, "given up", LARGE, NULL, &data), "reserving");
	lock = &shelf->chunks[(shelf_offset(shelf, data) - shelf->heap_offset) >> SHELF_CHUNK_SHIFT].lock;
	fill(shelf);
	actor_start(&first);
	actor_does(&first, put_own);
	/* His thread has stopped with it. */
	*lock = 2;
	need(hmem_shelf_cancel(shelf, data), "cancelling");
	*lock = 0;
	if (scene_check(shelf))
		return 1;
	if (can_put("in its place") && !can_put("in no place"))
		return 0;
	say("the memory is not there: %s", hmem_last_error(scene_ctx));
	return 1;
}

/* --- another thread's fence ------------------------------------------------------------------ */

static struct hmem_object pinned;

/* What it has got is needed still, so that its writer stays for another thread. */
static void *commit_and_end(void *arg)
{
	struct hmem_tx *tx;

	need(hmem_shelf_get(shelf, "pinned", &pinned), "pinned");
	need(hmem_tx_begin(shelf, &tx), "begin");
	need(hmem_tx_put(tx, "first", "2", 1, NULL), "put");
	need(hmem_tx_put(tx, "second", "2", 1, NULL), "put");
	need(hmem_tx_commit(tx), "commit");
	return arg;
}

static void *put_once(void *arg)
{
	put(shelf, "another", VALUE, 'a');
	return arg;
}

static void in_thread(void *(*work)(void *arg))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, work, NULL) || pthread_join(thread, NULL))
		bail("no thread");
}

int play_idle(void)
{
	int byte;

	shelf = scene_shelf(HEAP, 0, WAIT);
	put(shelf, "first", VALUE, '1');
	put(shelf, "second", VALUE, '1');
	put(shelf, "pinned", VALUE, 'p');
	other = scene_open(WAIT);
	put(other, "own", VALUE, 'o');
	lines_begin(scene_file());
	in_thread(commit_and_end);
	in_thread(put_once);
	put(other, "first", VALUE, '3');
	put(other, "own", VALUE, 'o');
	byte = first_byte_left("second");
	if (byte != '2')
		say("%d is left of what was committed", byte);
	return byte != '2';
}

#define LARGE_HEAP	((uint64_t)3 << 20)

static void reserve_far(void)
{
	void *data;

	need(hmem_shelf_reserve(shelf, "far", 600000, NULL, &data), "reserving");
}

/* His fence makes durable how far others may go without asking; which he has not written back. */
int play_far(void)
{
	static const size_t sizes[] = { 700000, 300000, 40000, 40000 };
	static struct actor first;
	static char value[700000];
	unsigned int bad = 0;
	char name[16];

	other = scene_shelf(LARGE_HEAP, 0, WAIT);
	put(other, "own", VALUE, 'o');
	shelf = scene_open(WAIT);
	lines_begin(scene_file());
	actor_start(&first);
	actor_does(&first, reserve_far);
	need(hmem_shelf_close(shelf), "closing");
	memset(value, 'v', sizeof(value));
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		snprintf(name, sizeof(name), "put%u", i);
		need(hmem_shelf_put(other, name, value, sizes[i], NULL), name);
	}
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct scene_rest rest;
		size_t bytes;

		snprintf(name, sizeof(name), "put%u", i);
		if (scene_recover(&rest, 0, 0) ||
		    hmem_shelf_read(rest.shelf, name, value, sizeof(value), &bytes)) {
			say("%s is not left", name);
			bad++;
		}
		scene_close(&rest);
	}
	return bad != 0;
}

/* --- it is put again under the name that was deleted ----------------------------------------- */

int play_handle(void)
{
	struct hmem_object keep, object;
	struct hmem_handle handle;
	struct scene_rest rest;
	int err;

	shelf = scene_shelf(HEAP, 0, WAIT);
	put(shelf, "keep", VALUE, 'k');
	lines_begin(scene_file());
	put(shelf, "n", VALUE, '1');
	need(hmem_shelf_get(shelf, "n", &object), "n");
	need(hmem_shelf_handle(shelf, &object, &handle), "handle");
	hmem_shelf_release(shelf, &object);
	need(hmem_shelf_delete(shelf, "n"), "delete");
	/* Fences and no record: the tombstone is erased for good, and nothing left has its number. */
	need(hmem_shelf_edit(shelf, "keep", &keep), "edit");
	need(hmem_shelf_persist(shelf, &keep, 0, 8), "persist");
	need(scene_recover(&rest, 0, 0), "recovering");
	put(rest.shelf, "n", VALUE, '2');
	err = hmem_shelf_get_handle(rest.shelf, &handle, &object);
	if (!err) {
		say("the handle of what was deleted gives %c", *(const char *)object.data);
		hmem_shelf_release(rest.shelf, &object);
	}
	scene_close(&rest);
	return err != -ESTALE;
}
