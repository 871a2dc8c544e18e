// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transactions while somebody who lives has stopped with locks that are needed to give memory
 * back: calls that fail for that have changed nothing, and what was to be given back does not come
 * into the next transaction. And transactions in the hands of other threads.
 */
#include <pthread.h>
#include <semaphore.h>

#include "shelf_holder.h"

#define NAMES 10

static bool reads(struct user *user, const char *name, int byte, size_t bytes)
{
	static char value[4000];
	size_t length;

	return !hmem_shelf_read(user->shelf, name, value, sizeof(value), &length) &&
	       length == bytes && is_all(value, byte, bytes);
}

static uint64_t free_bytes(const struct user *user)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	need(hmem_shelf_get_info(user->shelf, &info), "info");
	return info.free_bytes;
}

static void test_calls(void)
{
	struct user user;
	struct hmem_tx *tx;
	char value[3000];
	int err, again;

	make(&user, 8, 4u << 20, 100);
	hold(&user);
	memset(value, 'x', sizeof(value));
	need(hmem_tx_begin(user.shelf, &tx), "beginning");
	need(hmem_tx_put(tx, "deleted", value, sizeof(value), NULL), "putting");
	need(hmem_tx_put(tx, "again", value, sizeof(value), NULL), "putting");
	lock_chunks(true);
	err = hmem_tx_delete(tx, "deleted");
	TAP_OK(!err || err == -EBUSY, "deleting what the transaction has put: %d", err);
	again = hmem_tx_put(tx, "again", value, 4, NULL);
	TAP_OK(!again || again == -EBUSY, "putting a name once more: %d", again);
	lock_chunks(false);
	TAP_EQ(hmem_tx_commit(tx), 0, "the transaction is committed");
	TAP_OK(reads(&user, "again", 'x', again ? 3000 : 4), "what was refused has changed nothing");
	TAP_OK(reads(&user, "deleted", 'x', 3000) == (err != 0), "and what was not is done");
	end_holder();
	unmake(&user);
}

/* What a name had in the transaction lies where nothing can be given back, what it gets not. */
static void test_moved(void)
{
	struct user user;
	struct hmem_tx *tx;
	char value[3000], name[32];
	uint64_t chunk;
	unsigned int id = 0;
	int err;

	make(&user, 8, 4u << 20, 100);
	hold(&user);
	while (!media_slot(&media, id)->used || id == holder)
		id++;
	memset(value, 'x', sizeof(value));
	need(hmem_tx_begin(user.shelf, &tx), "beginning");
	need(hmem_tx_put(tx, "again", value, sizeof(value), NULL), "putting");
	chunk = media_slot(&media, id)->chunk;
	for (unsigned int i = 0; media_slot(&media, id)->chunk == chunk; i++) {
		snprintf(name, sizeof(name), "filler %u", i);
		need(put(&user, name, 'f', 2000), name);
	}
	TAP_OK(media_slot(&media, id)->chunk > chunk, "memory comes from a chunk after the first now");
	lock_up_to(chunk, true);
	err = hmem_tx_put(tx, "again", "xxxx", 4, NULL);
	lock_up_to(chunk, false);
	TAP_EQ(err, 0, "a name is put once more");
	TAP_EQ(hmem_tx_commit(tx), 0, "the transaction is committed");
	TAP_OK(reads(&user, "again", 'x', 4), "with what was put last");
	end_holder();
	unmake(&user);
}

static void test_leftovers(void)
{
	struct hmem_put_options create = HMEM_PUT_OPTIONS_INIT;
	struct user user;
	struct hmem_tx *tx;
	unsigned int good = 0;
	char name[16];
	int err;

	make(&user, 8, 4u << 20, 100);
	hold(&user);
	create.flags = HMEM_PUT_CREATE;
	need(put(&user, "there", 't', 40), "putting");
	for (unsigned int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "name %u", i);
		need(put(&user, name, 'a', 40), name);
	}
	need(hmem_tx_begin(user.shelf, &tx), "beginning");
	for (unsigned int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "name %u", i);
		need(hmem_tx_put(tx, name, "bbbb", 4, NULL), name);
	}
	need(hmem_tx_put(tx, "there", "c", 1, &create), "putting");
	lock_chunks(true);
	err = hmem_tx_commit(tx);
	TAP_EQ(err, -EEXIST, "a commit that is refused while nothing can be given back");
	err = hmem_tx_begin(user.shelf, &tx);
	TAP_OK(!err || err == -EBUSY, "another one begins, or waits: %d", err);
	lock_chunks(false);
	if (err)
		need(hmem_tx_begin(user.shelf, &tx), "beginning");
	need(hmem_tx_put(tx, "fresh", "zz", 2, NULL), "putting");
	TAP_EQ(hmem_tx_commit(tx), 0, "it is committed");
	for (unsigned int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "name %u", i);
		good += reads(&user, name, 'a', 40);
	}
	TAP_EQ(good, NAMES, "and has nothing of the one that was refused");
	TAP_OK(reads(&user, "fresh", 'z', 2) && reads(&user, "there", 't', 40), "only its own");
	end_holder();
	unmake(&user);
}

/* In place: an abort restores, and so does that of the transaction after it. */
static void test_undo(void)
{
	struct user user;
	struct hmem_object object;
	struct hmem_range range = { &object, 0, 8 };
	struct hmem_tx *tx;
	int err;

	make(&user, 8, 4u << 20, 100);
	hold(&user);
	need(put(&user, "name", 'a', 40), "putting");
	need(hmem_tx_begin(user.shelf, &tx), "beginning");
	need(hmem_shelf_get(user.shelf, "name", &object), "getting");
	need(hmem_tx_add(tx, &range, 1), "adding");
	memset(object.data, 'b', 8);
	lock_chunks(true);
	err = hmem_tx_abort(tx);
	TAP_OK(is_all(object.data, 'a', 40), "an abort that cannot give back restores: %d", err);
	lock_chunks(false);
	need(hmem_tx_begin(user.shelf, &tx), "beginning");
	need(hmem_tx_add(tx, &range, 1), "adding");
	memset(object.data, 'c', 8);
	TAP_EQ(hmem_tx_abort(tx), 0, "the next abort");
	TAP_OK(is_all(object.data, 'a', 40), "does so too");
	hmem_shelf_release(user.shelf, &object);
	end_holder();
	unmake(&user);
}

struct writing {
	struct user *user;
	sem_t written;
	sem_t end;
};

static void *write_and_stay(void *arg)
{
	struct writing *writing = arg;
	struct hmem_object object;
	struct hmem_tx *tx;

	need(hmem_shelf_get(writing->user->shelf, "name", &object), "getting");
	need(hmem_tx_begin(writing->user->shelf, &tx), "beginning");
	need(hmem_tx_write(tx, &object, 0, "bbbbbbbb", 8), "writing");
	hmem_shelf_release(writing->user->shelf, &object);
	need(hmem_tx_commit(tx), "committing");
	sem_post(&writing->written);
	while (sem_wait(&writing->end))
		;
	return NULL;
}

/* What another thread's commit has written to, and the lock of its list is not to be had. */
static void test_add_refused(void)
{
	struct user user;
	struct writing writing = { .user = &user };
	struct hmem_object object;
	struct hmem_range range = { &object, 0, 8 };
	struct hmem_tx *tx;
	pthread_t thread;
	uint32_t *lock = NULL;
	unsigned int refused = 0;
	uint64_t before;

	make(&user, 8, 4u << 20, 50);
	hold(&user);
	need(put(&user, "name", 'a', 8), "putting");
	sem_init(&writing.written, 0, 0);
	sem_init(&writing.end, 0, 0);
	if (pthread_create(&thread, NULL, write_and_stay, &writing))
		tap_bail("a thread");
	while (sem_wait(&writing.written))
		;
	for (unsigned int id = 0; id < 8; id++)
		if (media_slot(&media, id)->tx_done)
			lock = &media_slot(&media, id)->tx_lock;
	if (!lock)
		tap_bail("no transaction waits in a slot");
	need(hmem_shelf_get(user.shelf, "name", &object), "getting");
	need(hmem_tx_begin(user.shelf, &tx), "beginning");
	__atomic_store_n(lock, holder + 1, __ATOMIC_SEQ_CST);
	TAP_EQ(hmem_tx_add(tx, &range, 1), -EBUSY, "adding what another one's commit has written to");
	before = free_bytes(&user);
	for (unsigned int i = 0; i < 8; i++)
		refused += hmem_tx_add(tx, &range, 1) == -EBUSY;
	TAP_OK(refused == 8 && free_bytes(&user) == before, "once more, which takes no memory");
	TAP_EQ(hmem_tx_abort(tx), 0, "the transaction is given up");
	__atomic_store_n(lock, 0, __ATOMIC_SEQ_CST);
	hmem_shelf_release(user.shelf, &object);
	TAP_EQ(hmem_shelf_check(user.shelf, NULL, NULL), 0, "and nothing of it would be found");
	TAP_OK(reads(&user, "name", 'b', 8), "the other's value is there");
	sem_post(&writing.end);
	pthread_join(thread, NULL);
	end_holder();
	unmake(&user);
}

static void *commit(void *tx)
{
	return (void *)(intptr_t)hmem_tx_commit(tx);
}

static void test_threads(void)
{
	struct user user;
	struct hmem_tx *tx, *other;
	pthread_t thread;
	void *answer;

	make(&user, 1, 4u << 20, 100);
	need(hmem_tx_begin(user.shelf, &tx), "beginning");
	need(hmem_tx_put(tx, "name", "aa", 2, NULL), "putting");
	if (pthread_create(&thread, NULL, commit, tx) || pthread_join(thread, &answer))
		tap_bail("a thread");
	TAP_EQ((int)(intptr_t)answer, -EINVAL, "another thread, for which there is no slot, cannot commit");
	TAP_EQ(hmem_tx_begin(user.shelf, &other), -EALREADY, "nor does that end it");
	TAP_EQ(hmem_tx_commit(tx), 0, "its own can");
	TAP_OK(reads(&user, "name", 'a', 2), "with all of it");
	unmake(&user);
}

int main(void)
{
	users_begin("shelf-tx-blocked");
	test_calls();
	test_moved();
	test_leftovers();
	test_undo();
	test_add_refused();
	test_threads();
	hmem_ctx_unref(ctx);
	return tap_done();
}
