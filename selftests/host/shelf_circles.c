// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chains of buckets, and the order of names, that somebody has made lead back to themselves, or does
 * so meanwhile: updates and closing end, with an error.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "shelf_user.h"

#define NAMES 400
/* Shelves on which chains are bent while they are followed. */
#define SHELVES 100u
#define TURNS 10u

static void make_circles(void)
{
	const struct runtime *rt = media_runtime(&media);

	for (uint64_t i = 0; i < INDEX_FIRST_BUCKETS; i++) {
		uint64_t at = rt->segments[0] + i * sizeof(struct bucket);
		struct bucket *bucket = media_at(&media, at);

		bucket->head = at >> SHELF_GRANULE_SHIFT;
	}
}

static int put_one(struct user *user, const char *name, bool in_tx)
{
	struct hmem_tx *tx;
	int err;

	if (!in_tx)
		return put(user, name, 'n', 8);
	err = hmem_tx_begin(user->shelf, &tx);
	if (err)
		return err;
	err = hmem_tx_put(tx, name, "n", 1, NULL);
	if (err) {
		hmem_tx_abort(tx);
		return err;
	}
	return hmem_tx_commit(tx);
}

/* In a child, which is ended by a signal if it goes on for ever. */
static int meet_circles(bool in_tx)
{
	struct user me;
	char name[32];
	int err = 0;

	alarm(60);
	if (join(&me, "one", 100))
		return 2;
	make_circles();
	for (unsigned int i = 0; i < NAMES && !err; i++) {
		snprintf(name, sizeof(name), "name %u", i);
		err = put_one(&me, name, in_tx);
	}
	tap_diag("%s", hmem_last_error(ctx));
	return err == -EUCLEAN ? 0 : 1;
}

static void test_circles(bool in_tx)
{
	struct user user;
	int status;
	pid_t pid;

	make(&user, 8, 1u << 20, 0);
	pid = fork();
	if (!pid)
		_exit(meet_circles(in_tx));
	TAP_OK(waitpid(pid, &status, 0) == pid && !status, "%s end with an error",
	       in_tx ? "transactions" : "puts");
	TAP_EQ(hmem_shelf_close(user.shelf), -EUCLEAN, "the shelf is left to be recovered");
	hmem_region_close(user.region);
	need(join(&user, "one", 0), "opening");
	unmake(&user);
}

/* --- while they are followed -------------------------------------------------------------- */

static atomic_bool bending;

/* Buckets that are being split lead to themselves; who has them locked still has. */
static void *bend(void *arg)
{
	const uint64_t next = (1ull << 40) - 1;
	struct runtime *rt = media_runtime(&media);

	(void)arg;
	while (atomic_load(&bending)) {
		uint64_t made = __atomic_load_n(&rt->split, __ATOMIC_RELAXED), at, was;
		struct bucket *bucket;

		if (made <= INDEX_FIRST_BUCKETS || made > 2 * INDEX_FIRST_BUCKETS)
			continue;
		at = rt->segments[0] + (made - 1 - INDEX_FIRST_BUCKETS) * sizeof(struct bucket);
		bucket = media_at(&media, at);
		was = bucket ? __atomic_load_n(&bucket->head, __ATOMIC_RELAXED) : 0;
		if (was >> 48)
			__atomic_compare_exchange_n(&bucket->head, &was,
						    (was & ~next) | at >> SHELF_GRANULE_SHIFT, false,
						    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* In a child, as above. */
static int put_while_bent(void)
{
	struct user me;
	char name[32];

	alarm(60);
	for (unsigned int i = 0; i < TURNS; i++) {
		if (join(&me, "one", 20))
			return 2;
		for (unsigned int n = 0; n < NAMES; n++) {
			snprintf(name, sizeof(name), "name %u", n);
			/* It may well be an error. */
			if (i % 2)
				hmem_shelf_delete(me.shelf, name);
			else
				put(&me, name, 'n', 8);
		}
		hmem_shelf_close(me.shelf);
		hmem_region_close(me.region);
	}
	return 0;
}

static void test_bent_meanwhile(void)
{
	unsigned int ended = 0;
	int status = 0;

	for (unsigned int i = 0; i < SHELVES && !status; i++) {
		struct user user;
		pthread_t thread;
		pid_t pid;

		make(&user, 8, 1u << 20, 20);
		leave(&user);
		pid = fork();
		if (!pid)
			_exit(put_while_bent());
		atomic_store(&bending, true);
		if (pthread_create(&thread, NULL, bend, NULL))
			tap_bail("a thread");
		waitpid(pid, &status, 0);
		ended += !status;
		atomic_store(&bending, false);
		pthread_join(thread, NULL);
		media_unmap(&media);
		need(hmem_region_destroy(ctx, region_name), "destroying");
	}
	if (status)
		tap_diag("who puts has ended with %s %d",
			 WIFSIGNALED(status) ? "signal" : "status",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	TAP_EQ(ended, SHELVES, "puts end while chains are bent, and hit nothing outside of the shelf");
}

/* --- the order of names ------------------------------------------------------------------- */

/*
 * In a child, as above: the first node leads to itself. @sweep: there are nodes to be taken out
 * before that is looked at.
 */
static int close_bent(bool sweep)
{
	struct hmem_region_options region = HMEM_REGION_OPTIONS_INIT;
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct ordered_node *head;
	struct runtime *rt;
	struct user me;

	alarm(60);
	region.bytes = 16u << 20;
	options.bytes = 1u << 20;
	options.flags = HMEM_SHELF_ORDERED;
	need(hmem_region_create(ctx, region_name, &region, &me.region), "making a region");
	need(hmem_shelf_create(me.region, "one", &options, &me.shelf), "making an ordered shelf");
	need(put(&me, "name", 'n', 8), "putting");
	media_map(&media, path);
	rt = media_runtime(&media);
	head = media_at(&media, rt->ordered_head);
	head->next[0] = rt->ordered_head >> SHELF_GRANULE_SHIFT;
	rt->ordered_left = sweep;
	return hmem_shelf_close(me.shelf) == -EUCLEAN ? 0 : 1;
}

static void test_bent_order(bool sweep)
{
	struct user user;
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(close_bent(sweep));
	TAP_OK(waitpid(pid, &status, 0) == pid && !status, "closing with a bent order%s is an error",
	       sweep ? ", of which nodes are to go," : "");
	need(join(&user, "one", 0), "opening");
	media_map(&media, path);
	unmake(&user);
}

int main(void)
{
	users_begin("shelf-circles");
	test_circles(false);
	test_circles(true);
	test_bent_meanwhile();
	test_bent_order(false);
	test_bent_order(true);
	hmem_ctx_unref(ctx);
	return tap_done();
}
