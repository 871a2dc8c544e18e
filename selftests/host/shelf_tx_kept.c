// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a thread keeps of its transactions: memory of what they have replaced, but not much of it,
 * and blocks for the next ones, until somebody needs the memory or the thread ends.
 */
#include <pthread.h>
#include <semaphore.h>

#include "shelf_user.h"

#define LARGE	100000u
#define PIECE	20000u
#define NAMES	60

static struct user user;

static uint64_t free_bytes(void)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	need(hmem_shelf_get_info(user.shelf, &info), "info");
	return info.free_bytes;
}

static unsigned int spares(void)
{
	unsigned int nr = 0;

	for (unsigned int id = 0; id < 8; id++) {
		uint64_t at = media_slot(&media, id)->tx_spare;

		for (; at; at = ((struct tx_block *)media_at(&media, at))->link)
			nr++;
	}
	return nr;
}

/* Puts as many names. */
static void transaction(unsigned int names, const char *value, size_t bytes)
{
	struct hmem_tx *tx;
	char name[32];

	need(hmem_tx_begin(user.shelf, &tx), "beginning");
	for (unsigned int i = 0; i < names; i++) {
		snprintf(name, sizeof(name), "name %u", i);
		need(hmem_tx_put(tx, name, value, bytes, NULL), "putting");
	}
	need(hmem_tx_commit(tx), "committing");
}

static void add(struct hmem_object *object)
{
	struct hmem_range range = { .object = object, .offset = 0, .bytes = LARGE };
	struct hmem_tx *tx;

	need(hmem_tx_begin(user.shelf, &tx), "beginning");
	need(hmem_tx_add(tx, &range, 1), "adding");
	memset(object->data, 'y', LARGE);
	need(hmem_tx_commit(tx), "committing");
}

static void test_held(void)
{
	static char value[LARGE];
	struct hmem_object object;
	uint64_t before, least;

	make(&user, 8, 8u << 20, 1000);
	transaction(1, value, LARGE);
	before = least = free_bytes();
	for (unsigned int i = 0; i < 6; i++) {
		transaction(1, value, LARGE);
		if (free_bytes() < least)
			least = free_bytes();
	}
	TAP_OK(before - least < 3 * LARGE, "two large values that were replaced wait, not six: %u",
	       (unsigned int)(before - least));
	need(hmem_shelf_edit(user.shelf, "name 0", &object), "editing");
	before = least = free_bytes();
	for (unsigned int i = 0; i < 6; i++) {
		add(&object);
		if (free_bytes() < least)
			least = free_bytes();
	}
	TAP_OK(before - least < 3 * LARGE, "nor what six have added: %u",
	       (unsigned int)(before - least));
	hmem_shelf_release(user.shelf, &object);
	unmake(&user);
}

static void *in_thread(void *before)
{
	uint64_t *bytes = before;

	transaction(NAMES, "", 0);
	transaction(NAMES, "", 0);
	transaction(NAMES, "", 0);
	TAP_EQ(spares(), 8, "eight blocks are kept");
	TAP_EQ(hmem_shelf_check(user.shelf, NULL, NULL), 0, "of which a check knows");
	*bytes = free_bytes();
	return NULL;
}

static void test_spares(void)
{
	pthread_t thread;
	uint64_t during;
	int err = 0;

	make(&user, 8, 8u << 20, 1000);
	if (pthread_create(&thread, NULL, in_thread, &during) || pthread_join(thread, NULL))
		tap_bail("no thread");
	TAP_EQ(spares(), 0, "none when the thread has ended");
	TAP_OK(free_bytes() >= during + 8 * sizeof(struct tx_block), "and their memory is free");
	for (unsigned int i = 0; i < 3; i++)
		transaction(NAMES, "", 0);
	TAP_EQ(spares(), 8, "another thread keeps some");
	for (unsigned int i = 0; i < 1000000 && !err; i++) {
		char name[32];

		snprintf(name, sizeof(name), "filler %u", i);
		err = put(&user, name, 'f', 3000);
	}
	TAP_EQ(err, -ENOSPC, "the shelf is full");
	TAP_EQ(spares(), 0, "and none are kept any more");
	need(hmem_shelf_delete(user.shelf, "filler 0"), "deleting");
	need(hmem_shelf_delete(user.shelf, "filler 1"), "deleting");
	transaction(2, "", 0);
	TAP_EQ(hmem_shelf_check(user.shelf, NULL, NULL), 0, "transactions go on");
	unmake(&user);
}

/* --- what others need ----------------------------------------------------------------- */

#define HUGE_BYTES	(5u << 20)

static char huge[HUGE_BYTES];
static sem_t left, end;

static void edit(const char *name, struct hmem_object *object)
{
	need(hmem_shelf_edit(user.shelf, name, object), "editing");
}

static void leave_replaced(void)
{
	struct hmem_tx *tx;

	need(hmem_shelf_put(user.shelf, "x", huge, HUGE_BYTES, NULL), "putting");
	need(hmem_tx_begin(user.shelf, &tx), "beginning");
	need(hmem_tx_put(tx, "x", "1", 1, NULL), "putting");
	need(hmem_tx_commit(tx), "committing");
}

static void leave_renamed(void)
{
	need(hmem_shelf_put(user.shelf, "y", huge, HUGE_BYTES, NULL), "putting");
	need(hmem_shelf_rename(user.shelf, "y", "x", 0), "renaming");
	need(hmem_shelf_delete(user.shelf, "x"), "deleting");
}

/* Of its commit. */
static void leave_written(void)
{
	struct hmem_object object;
	struct hmem_tx *tx;

	need(hmem_shelf_put(user.shelf, "x", huge, HUGE_BYTES, NULL), "putting");
	need(hmem_shelf_get(user.shelf, "x", &object), "getting");
	need(hmem_tx_begin(user.shelf, &tx), "beginning");
	need(hmem_tx_write(tx, &object, 0, huge, HUGE_BYTES - 1), "writing");
	need(hmem_tx_commit(tx), "committing");
	hmem_shelf_release(user.shelf, &object);
	need(hmem_shelf_delete(user.shelf, "x"), "deleting");
}

static void add_huge(bool commit)
{
	struct hmem_object object;
	struct hmem_range range = { .object = &object, .offset = 0, .bytes = HUGE_BYTES };
	struct hmem_tx *tx;

	edit("x", &object);
	need(hmem_tx_begin(user.shelf, &tx), "beginning");
	need(hmem_tx_add(tx, &range, 1), "adding");
	memset(object.data, 'z', 100);
	need(commit ? hmem_tx_commit(tx) : hmem_tx_abort(tx), "ending");
	hmem_shelf_release(user.shelf, &object);
}

static void leave_added(void)
{
	need(hmem_shelf_put(user.shelf, "x", huge, HUGE_BYTES, NULL), "putting");
	add_huge(true);
	need(hmem_shelf_delete(user.shelf, "x"), "deleting");
}

static void leave_aborted(void)
{
	need(hmem_shelf_put(user.shelf, "x", huge, HUGE_BYTES, NULL), "putting");
	for (unsigned int i = 0; i < 6; i++)
		add_huge(false);
	need(hmem_shelf_delete(user.shelf, "x"), "deleting");
}

static void *leave_and_stay(void *how)
{
	((void (*)(void))how)();
	sem_post(&left);
	while (sem_wait(&end))
		;
	return NULL;
}

/* A thread leaves 5 MiB or more of 16 and does nothing then; another needs all there is. */
static void test_taken(void (*how)(void), const char *what)
{
	uint64_t before, got = 0;
	unsigned int nr = 0;
	pthread_t thread;
	char name[32];

	make(&user, 8, 16u << 20, 1000);
	need(hmem_shelf_put(user.shelf, "a", "1", 1, NULL), "putting");
	before = free_bytes();
	sem_init(&left, 0, 0);
	sem_init(&end, 0, 0);
	if (pthread_create(&thread, NULL, leave_and_stay, (void *)how))
		tap_bail("no thread");
	while (sem_wait(&left))
		;
	TAP_OK(free_bytes() < before - HUGE_BYTES / 2, "%s: a thread holds on to memory", what);
	for (; snprintf(name, sizeof(name), "%u", nr), !put(&user, name, 'f', PIECE); nr++)
		got += PIECE;
	TAP_OK(got > before - HUGE_BYTES / 2, "%s: which another one gets: %u of %u", what,
	       (unsigned int)got, (unsigned int)before);
	TAP_EQ(hmem_shelf_check(user.shelf, NULL, NULL), 0, "%s: the shelf is well", what);
	for (; nr--; need(hmem_shelf_delete(user.shelf, name), "deleting"))
		snprintf(name, sizeof(name), "%u", nr);
	sem_post(&end);
	pthread_join(thread, NULL);
	unmake(&user);
}

/* The thread's own. */
static void test_own(void)
{
	static char value[HUGE_BYTES + (4u << 20)];
	struct hmem_object object;
	struct hmem_tx *tx;

	make(&user, 8, 16u << 20, 1000);
	need(hmem_shelf_put(user.shelf, "x", huge, HUGE_BYTES, NULL), "putting");
	need(hmem_shelf_get(user.shelf, "x", &object), "getting");
	need(hmem_tx_begin(user.shelf, &tx), "beginning");
	need(hmem_tx_write(tx, &object, 0, huge, HUGE_BYTES), "writing");
	need(hmem_tx_commit(tx), "committing");
	hmem_shelf_release(user.shelf, &object);
	TAP_EQ(hmem_shelf_put(user.shelf, "b", value, sizeof(value), NULL), 0,
	       "a thread that needs what it left itself gets it at once");
	unmake(&user);
}

/* What was written is not needed for long. */
static void test_commit(void)
{
	struct hmem_object object;
	struct hmem_tx *tx;
	uint64_t before;

	make(&user, 8, 16u << 20, 1000);
	need(hmem_shelf_put(user.shelf, "x", huge, HUGE_BYTES, NULL), "putting");
	transaction(1, "", 0);
	transaction(1, "", 0);
	before = free_bytes();
	need(hmem_shelf_get(user.shelf, "x", &object), "getting");
	need(hmem_tx_begin(user.shelf, &tx), "beginning");
	need(hmem_tx_write(tx, &object, 0, huge, HUGE_BYTES), "writing");
	need(hmem_tx_commit(tx), "committing");
	hmem_shelf_release(user.shelf, &object);
	TAP_OK(free_bytes() < before - HUGE_BYTES, "a large commit is there");
	transaction(1, "", 0);
	transaction(1, "", 0);
	TAP_OK(free_bytes() > before - HUGE_BYTES, "and its memory is free two transactions later");
	unmake(&user);
}

static void test_ended(void)
{
#ifdef __SANITIZE_ADDRESS__
	tap_skip("a transaction that has ended", "its memory is gone in a build that looks for that");
#else
	struct hmem_object object;
	struct hmem_tx *tx;

	make(&user, 8, 16u << 20, 1000);
	need(hmem_shelf_put(user.shelf, "x", "aaaa", 4, NULL), "putting");
	need(hmem_shelf_get(user.shelf, "x", &object), "getting");
	need(hmem_tx_begin(user.shelf, &tx), "beginning");
	need(hmem_tx_write(tx, &object, 0, "bbbb", 4), "writing");
	need(hmem_tx_commit(tx), "committing");
	memcpy(object.data, "cccc", 4);
	TAP_EQ(hmem_tx_commit(tx), -EINVAL, "a transaction that has ended is not committed again");
	TAP_EQ(hmem_tx_put(tx, "y", "1", 1, NULL), -EINVAL, "nothing is put in it");
	TAP_EQ(hmem_tx_write(tx, &object, 0, "d", 1), -EINVAL, "nothing written");
	TAP_EQ(hmem_tx_abort(tx), -EINVAL, "nor is it given up");
	TAP_OK(strstr(hmem_last_error(ctx), "has ended"), "which is said");
	TAP_OK(!memcmp(object.data, "cccc", 4), "what came after it is there");
	hmem_shelf_release(user.shelf, &object);
	unmake(&user);
#endif
}

int main(void)
{
	users_begin("shelf-tx-kept");
	test_held();
	test_spares();
	test_taken(leave_replaced, "replaced");
	test_taken(leave_renamed, "renamed");
	test_taken(leave_written, "written");
	test_taken(leave_added, "added");
	test_taken(leave_aborted, "added and given up");
	test_own();
	test_commit();
	test_ended();
	hmem_ctx_unref(ctx);
	return tap_done();
}
