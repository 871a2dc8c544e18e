// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chains of buckets that somebody has made lead back to themselves: updates end, with an error.
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

int main(void)
{
	users_begin("shelf-circles");
	test_circles(false);
	test_circles(true);
	hmem_ctx_unref(ctx);
	return tap_done();
}
