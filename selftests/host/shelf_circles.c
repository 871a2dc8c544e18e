// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chains of buckets, and the order of names, that somebody has made lead back to themselves: updates
 * and closing end, with an error.
 */
#include <sys/wait.h>

#include "shelf_user.h"

#define NAMES 400

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
	test_bent_order(false);
	test_bent_order(true);
	hmem_ctx_unref(ctx);
	return tap_done();
}
