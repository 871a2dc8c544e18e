// SPDX-License-Identifier: GPL-2.0-only
/*
 * Splits of the index that come to nothing: there is no memory for all of the new bucket, or who was
 * at it dies. What the bucket has got by then stays there for the next split, and is no damage.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "shelf_user.h"

/*
 * So many names come before splits are held up, or some more: there is a segment for more buckets
 * then.
 */
#define BEFORE 120u
#define HOLES 4u

/*
 * What a split takes depends on how the names hash, which is another way on every shelf: about one
 * in 400 has so few of them in the bucket that is next that its split needs less than the tests
 * want. Then they make another shelf, at most so many.
 */
#define SHELVES 20u

/*
 * What a split takes depends on how the names hash, and every shelf hashes them in its own way: about
 * one in 400 has few enough of them in the bucket that is to be split. Then another shelf is made.
 */
#define SHELVES 20u

/* --- the index ----------------------------------------------------------------------- */

/* The bucket that the next split makes. */
static const struct bucket *new_bucket(void)
{
	const struct runtime *rt = media_runtime(&media);
	unsigned int top = 63 - (unsigned int)__builtin_clzll(rt->nr_buckets);
	uint64_t at = rt->segments[top - INDEX_FIRST_SHIFT + 1];

	if (!at || rt->nr_buckets == 1ull << top)
		tap_bail("no segment for bucket %llu", (unsigned long long)rt->nr_buckets);
	return (const struct bucket *)media_at(&media, at) + (rt->nr_buckets - (1ull << top));
}

static bool has_overflow(const struct bucket *bucket)
{
	return BUCKET_NEXT(__atomic_load_n(&bucket->head, __ATOMIC_ACQUIRE));
}

static uint64_t nr_buckets(void)
{
	return __atomic_load_n(&media_runtime(&media)->nr_buckets, __ATOMIC_ACQUIRE);
}

/* Who wants to split finds that somebody else does. */
static void hold_splits(bool hold)
{
	__atomic_store_n(&media_runtime(&media)->split_lock, hold, __ATOMIC_SEQ_CST);
}

/* --- names --------------------------------------------------------------------------- */

static const char *name_of(unsigned int number)
{
	static char name[16];

	snprintf(name, sizeof(name), "%08u", number);
	return name;
}

/* Its record takes just as much as an overflow bucket, and in the same places. */
static int put_one(struct user *user, unsigned int number)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	char value[sizeof(struct bucket) - 8];

	memset(value, 'v', sizeof(value));
	options.align = sizeof(struct bucket);
	return hmem_shelf_put(user->shelf, name_of(number), value, sizeof(value), &options);
}

/* Buckets that are much too full, of @nr names; 0: of as many as there is memory for. */
static unsigned int crowd(struct user *user, unsigned int nr)
{
	unsigned int number = 0, failed = 0;

	/* The hash is another one each time: there may just be as many buckets as there are places for. */
	for (; number < BEFORE || !(nr_buckets() & (nr_buckets() - 1)); number++)
		need(put_one(user, number), "putting");
	hold_splits(true);
	/* One whose bucket has no room may need more than another. */
	for (; nr ? number < nr : failed < 300; number++) {
		int err = put_one(user, number);

		if (err && err != -ENOSPC)
			need(err, "putting");
		failed = err ? failed + 1 : 0;
	}
	hold_splits(false);
	return number;
}

static bool all_there(struct user *user, unsigned int from, unsigned int to)
{
	char value[sizeof(struct bucket)];
	size_t bytes;

	for (unsigned int i = from; i < to; i++)
		if (hmem_shelf_read(user->shelf, name_of(i), value, sizeof(value), &bytes))
			return false;
	return true;
}

static int told(void *arg, const struct hmem_shelf_finding *finding)
{
	(void)arg;
	tap_diag("%s at %#llx: %s", finding->part, (unsigned long long)finding->offset, finding->text);
	return 0;
}

static int check(struct user *user)
{
	return hmem_shelf_check(user->shelf, told, NULL);
}

/* --- the tests ----------------------------------------------------------------------- */

/* Has a full shelf whose next split finds only some of what it needs; false: that one got all. */
static bool want_memory(struct user *user, uint64_t *nr)
{
	unsigned int number;
	int err = 0;

	make(user, 8, 1u << 20, 0);
	number = crowd(user, 0);
	*nr = nr_buckets();
	need(check(user), "checking a full shelf with full buckets");
	for (unsigned int i = 0; i < HOLES; i++)
		need(hmem_shelf_delete(user->shelf, name_of(i)), "deleting");
	/* With each that is put a split is tried, until one has got some of what it needs. */
	for (unsigned int i = 0; i < HOLES && !err && !has_overflow(new_bucket()); i++)
		err = put_one(user, number++);
	return nr_buckets() == *nr && has_overflow(new_bucket());
}

static void test_no_memory(void)
{
	struct user user;
	bool wants;
	uint64_t nr;

	wants = want_memory(&user, &nr);
	for (unsigned int i = 1; i < SHELVES && !wants; i++) {
		unmake(&user);
		wants = want_memory(&user, &nr);
	}
	TAP_OK(wants, "a split finds no memory for all of it");
	TAP_EQ(check(&user), 0, "the shelf is well");
	leave(&user);
	need(join(&user, "one", 0), "opening again");
	TAP_OK(nr_buckets() == nr && has_overflow(new_bucket()), "it has been closed like that");
	TAP_EQ(check(&user), 0, "and is well when it is opened again");
	((struct bucket *)new_bucket())->entry[3] = 1;
	TAP_EQ(hmem_shelf_check(user.shelf, NULL, NULL), -EUCLEAN, "an entry there would be none");
	((struct bucket *)new_bucket())->entry[3] = 0;
	for (unsigned int i = HOLES; i < 2000; i++)
		need(hmem_shelf_delete(user.shelf, name_of(i)), "deleting");
	for (unsigned int i = 0; i < 200; i++)
		need(put_one(&user, i), "putting");
	TAP_OK(nr_buckets() > nr, "with memory there are splits again");
	TAP_OK(all_there(&user, 0, 200) && all_there(&user, 2000, 4000), "nothing is lost");
	unmake(&user);
}

/* Puts a name until it is killed: when a split has got the first overflow; false: it needed none. */
static bool die_splitting(unsigned int number)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid) {
		struct user me;

		if (hmem_ctx_new(&ctx) || join(&me, "one", 0) || put(&me, "first", 'f', 10))
			_exit(1);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(put_one(&me, number));
	}
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		if (media_runtime(&media)->split && has_overflow(new_bucket())) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return true;
		}
		ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		tap_bail("a writer ended with status %#x", status);
	return false;
}

static bool kill_splitting(struct user *user, uint64_t *nr)
{
	make(user, 8, 1u << 20, 0);
	crowd(user, 2000);
	*nr = nr_buckets();
	hold_splits(true);
	need(put(user, "first", 'f', 10), "putting");
	hold_splits(false);
	return die_splitting(2000);
}

static void test_killed(void)
{
	struct user user;
	bool killed;
	uint64_t nr;

	killed = kill_splitting(&user, &nr);
	for (unsigned int i = 1; i < SHELVES && !killed; i++) {
		unmake(&user);
		killed = kill_splitting(&user, &nr);
	}
	TAP_OK(killed && nr_buckets() == nr, "somebody was killed in a split");
	TAP_EQ(check(&user), 0, "the shelf is well");
	TAP_OK(has_overflow(new_bucket()), "with what the split had got");
	leave(&user);
	need(join(&user, "one", 0), "opening again");
	TAP_EQ(check(&user), 0, "also when it is opened again");
	for (unsigned int i = 3000; nr_buckets() < 2 * nr; i++)
		need(put_one(&user, i), "putting");
	TAP_OK(all_there(&user, 0, 2001), "nothing is lost by splits that follow");
	unmake(&user);
}

int main(void)
{
	users_begin("shelf-split");
	test_no_memory();
	test_killed();
	hmem_ctx_unref(ctx);
	return tap_done();
}
