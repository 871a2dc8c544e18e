// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several objects at one instant: while others put one after the other, while others put
 * all of them in transactions, and when those who do are killed. hmem-test: timeout=300
 */
#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>

#include <hmem/tx.h>

#include "sanitized.h"
#include "shelf_place.h"

#define CHANGES	SANITIZED(3000u, 300u, 300u)
#define DEATHS	SANITIZED(40u, 10u, 4u)
/* It is looked at after so many instructions of a commit. */
#define EACH	SANITIZED(17u, 17u, 337u)
#define NAMES 4u

static struct hmem_region *region;
static struct hmem_shelf *shelf;
static struct hmem_shelf *looking;	/* the handle through which it is done */
static const char *const names[NAMES] = { "alpha", "beta", "gamma", "delta" };
static int ended;

static void release_all(struct hmem_object *objects, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		hmem_shelf_release(looking, &objects[i]);
}

static uint64_t count_of(const struct hmem_object *object)
{
	uint64_t count;

	memcpy(&count, object->data, sizeof(count));
	return count;
}

/* --- those who change them ----------------------------------------------------------- */

static int put(unsigned int i, uint64_t count)
{
	uint64_t value[8] = { count };

	return hmem_shelf_put(shelf, names[i], value, sizeof(value) - count % 7 * 8, NULL);
}

static int put_together(uint64_t count)
{
	uint64_t value[8] = { count };
	struct hmem_tx *tx;
	int err = hmem_tx_begin(shelf, &tx);

	for (unsigned int i = 0; i < NAMES && !err; i++)
		err = hmem_tx_put(tx, names[i], value, sizeof(value) - count % 7 * 8, NULL);
	return err ? err : hmem_tx_commit(tx);
}

static void *one_after_the_other(void *arg)
{
	uint64_t count = 1;

	(void)arg;
	for (; !__atomic_load_n(&ended, __ATOMIC_ACQUIRE); count++)
		for (unsigned int i = 0; i < NAMES; i++)
			need(put(i, count), "put");
	return NULL;
}

static void *together(void *arg)
{
	uint64_t count = 1;

	(void)arg;
	for (; !__atomic_load_n(&ended, __ATOMIC_ACQUIRE); count++)
		need(put_together(count), "transaction");
	return NULL;
}

/* --- those who look ------------------------------------------------------------------ */

/* Each is as far as the next, or, unless they are put @together, one ahead of it; all in all one. */
static bool fits(const struct hmem_object *objects, bool as_one)
{
	uint64_t first = count_of(&objects[0]), last = count_of(&objects[NAMES - 1]);

	for (unsigned int i = 1; i < NAMES; i++)
		if (count_of(&objects[i]) > count_of(&objects[i - 1]))
			return false;
	return first - last <= !as_one;
}

/* Until there have been so many changes. */
static bool look(unsigned int changes, bool as_one)
{
	struct hmem_object objects[NAMES];
	uint64_t last = 0;

	while (changes) {
		bool good;

		need(hmem_shelf_get_many(looking, names, NAMES, objects), "get");
		good = fits(objects, as_one);
		if (!good)
			for (unsigned int i = 0; i < NAMES; i++)
				tap_diag("%s: %llu", names[i],
					 (unsigned long long)count_of(&objects[i]));
		changes -= count_of(&objects[0]) != last;
		last = count_of(&objects[0]);
		release_all(objects, NAMES);
		if (!good)
			return false;
	}
	return true;
}

static void beside(void *(*fn)(void *arg), bool as_one, const char *what)
{
	pthread_t thread;
	bool good;

	need(put_together(0), "transaction");
	__atomic_store_n(&ended, 0, __ATOMIC_RELEASE);
	if (pthread_create(&thread, NULL, fn, NULL))
		tap_bail("no thread");
	good = look(CHANGES, as_one);
	__atomic_store_n(&ended, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	TAP_OK(good, "%u changes, while another thread puts them %s", CHANGES, what);
}

/* One who is killed while he commits keeps nobody from looking for long. */
static void killed(void)
{
	bool good = true;

	for (unsigned int i = 0; i < DEATHS && good; i++) {
		pid_t pid = fork();

		if (pid < 0)
			tap_bail("fork");
		if (!pid) {
			need(hmem_region_open(ctx, place_shm, 0, &region), "region");
			need(hmem_shelf_open(region, "s", NULL, &shelf), "shelf");
			for (uint64_t count = 1;; count++)
				need(put_together(count), "transaction");
		}
		good = look(3, true);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		good = good && look(1, true);
	}
	TAP_OK(good, "%u processes that put them together were killed", DEATHS);
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "the shelf is well");
}

/* Stands before each instruction of a commit, or is killed there. */
static pid_t committer(uint64_t count)
{
	uint64_t value[8] = { count };
	struct hmem_tx *tx;
	pid_t pid = fork();
	int status;

	if (pid < 0)
		tap_bail("fork");
	if (!pid) {
		need(hmem_region_open(ctx, place_shm, 0, &region), "region");
		need(hmem_shelf_open(region, "s", NULL, &shelf), "shelf");
		need(hmem_tx_begin(shelf, &tx), "begin");
		for (unsigned int i = 0; i < NAMES; i++)
			need(hmem_tx_put(tx, names[i], value, sizeof(value), NULL), "put");
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(1);
		raise(SIGSTOP);
		need(hmem_tx_commit(tx), "commit");
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		tap_bail("a committer ended");
	return pid;
}

/* How many steps a commit takes, and from where to where it was under way. */
static struct {
	unsigned int steps;
	unsigned int begin;
	unsigned int end;
} commit;

static bool one_step(pid_t pid)
{
	int status;

	return !ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) && waitpid(pid, &status, 0) == pid &&
	       WIFSTOPPED(status);
}

/* All are there, or nothing, or, which only one who does not wait is told, it is under way. */
static bool look_through(struct hmem_shelf *hasty, uint64_t count)
{
	struct hmem_object objects[NAMES];
	int err = hmem_shelf_get_many(hasty, names, NAMES, objects);
	bool good;

	if (err == -EBUSY) {
		commit.begin = commit.begin ? commit.begin : commit.steps;
		commit.end = commit.steps;
		return true;
	}
	good = !err && fits(objects, true) && count - count_of(&objects[0]) <= 1;
	for (unsigned int i = 0; i < NAMES && !err; i++)
		hmem_shelf_release(hasty, &objects[i]);
	return good;
}

static void stepped(unsigned int flags)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *hasty;
	unsigned int begin;
	bool good = true;
	pid_t pid;

	options.wait_ms = 1;
	options.flags = flags;
	commit.steps = commit.begin = commit.end = 0;
	need(hmem_shelf_open(region, "s", &options, &hasty), "another handle");
	need(put_together(0), "transaction");
	for (pid = committer(1); good && one_step(pid); commit.steps++)
		good = commit.steps % EACH || look_through(hasty, 1);
	TAP_OK(good && look_through(hasty, 1), "after each %u of %u instructions of a commit",
	       EACH, commit.steps);
	begin = commit.begin;
	TAP_OK(begin < commit.end, "which is under way from %u to %u", begin, commit.end);
	/* Killed there: what is there is one or the other, and at once. */
	for (unsigned int i = 0; i < DEATHS / 2 && good; i++) {
		unsigned int steps = begin + (commit.end - begin) * i / (DEATHS / 2);

		need(put_together(i + 1), "transaction");
		for (pid = committer(i + 2); steps && one_step(pid); steps--)
			;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		commit.begin = 0;
		good = look_through(shelf, i + 2) && !commit.begin;
	}
	TAP_OK(good, "and when it is killed there");
	need(hmem_shelf_close(hasty), "closing");
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "the shelf is well");
}

static uint64_t count_of_name(unsigned int i)
{
	struct hmem_object object;
	uint64_t count;

	need(hmem_shelf_get(shelf, names[i], &object), "get");
	count = count_of(&object);
	hmem_shelf_release(shelf, &object);
	return count;
}

/* Copies of all sizes and alignments, with their descriptors. */
static void sizes(void)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	static const char *const mine[] = { "small", "none", "large" };
	static char value[70001];
	struct hmem_object objects[3];

	memset(value, 'x', sizeof(value));
	need(hmem_shelf_put(shelf, "small", value, 3, NULL), "put");
	need(hmem_shelf_put(shelf, "none", NULL, 0, NULL), "put");
	options.align = 4096;
	options.type = "bytes";
	options.type_bytes = 5;
	need(hmem_shelf_put(shelf, "large", value, sizeof(value), &options), "put");
	TAP_EQ(hmem_shelf_get_many(looking, mine, 3, objects), 0, "copies of all sizes");
	TAP_OK(objects[0].bytes == 3 && !objects[1].bytes && objects[2].bytes == sizeof(value),
	       "are as long");
	TAP_OK(!memcmp(objects[0].data, value, 3) &&
	       !memcmp(objects[2].data, value, sizeof(value)), "and hold the same");
	TAP_OK(!((uintptr_t)objects[2].data & 4095) && objects[2].type_bytes == 5 &&
	       !memcmp(objects[2].type, "bytes", 5) && !objects[0].type, "aligned, with a type");
	release_all(objects, 3);
	for (unsigned int i = 0; i < 3; i++)
		need(hmem_shelf_delete(shelf, mine[i]), "delete");
}

static void refused(void)
{
	const char *many[200], *missing[] = { "alpha", "none", "beta" };
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_object objects[200], one;
	struct hmem_shelf *other;
	int status;

	for (unsigned int i = 0; i < 200; i++)
		many[i] = names[i % NAMES];
	memset(objects, 0, sizeof(objects));
	TAP_EQ(hmem_shelf_get_many(NULL, names, NAMES, objects), -EINVAL, "no shelf");
	TAP_EQ(hmem_shelf_get_many(shelf, NULL, NAMES, objects), -EINVAL, "no names");
	TAP_EQ(hmem_shelf_get_many(shelf, names, NAMES, NULL), -EINVAL, "no place");
	TAP_EQ(hmem_shelf_get_many(shelf, missing, 3, objects), -ENOENT, "one is not there");
	missing[1] = "";
	TAP_EQ(hmem_shelf_get_many(shelf, missing, 3, objects), -EINVAL, "one is no name");
	TAP_EQ(hmem_shelf_get_many(shelf, many, 200, objects), -EMFILE, "too many");
	TAP_OK(!objects[0].pin, "nothing was written");
	TAP_EQ(hmem_shelf_get_many(shelf, NULL, 0, NULL), 0, "none at all");
	TAP_EQ(hmem_shelf_get_many(shelf, many, 120, objects), 0, "as many as there may be");
	TAP_EQ(hmem_shelf_get(shelf, "alpha", &one), -EMFILE, "then no more");
	TAP_EQ(hmem_shelf_get_many(shelf, names, 1, &one), -EMFILE, "nor in this way");
	release_all(objects, 120);
	TAP_EQ(hmem_shelf_get_many(shelf, many, 120, objects), 0, "nothing was kept of all that");
	release_all(objects, 120);
	options.flags = HMEM_SHELF_READ_ONLY;
	need(hmem_shelf_open(region, "s", &options, &other), "opening to read");
	TAP_EQ(hmem_shelf_get_many(other, missing, 1, objects), 0, "read-only");
	TAP_OK(count_of(&objects[0]) == count_of_name(0), "it is a copy");
	TAP_EQ(hmem_shelf_edit(other, "alpha", &one), -EROFS, "which nobody can edit");
	hmem_shelf_release(other, &objects[0]);
	TAP_OK(!objects[0].pin, "and is freed");
	missing[1] = "none";
	TAP_EQ(hmem_shelf_get_many(other, missing, 3, objects), -ENOENT, "one is not there");
	missing[1] = "";
	TAP_EQ(hmem_shelf_get_many(other, missing, 3, objects), -EINVAL, "one is no name");
	TAP_EQ(hmem_shelf_get_many(other, many, 200, objects), -EMFILE, "too many");
	TAP_EQ(hmem_shelf_get_many(other, NULL, 0, NULL), 0, "none at all");
	if (!fork())
		_exit(hmem_shelf_get_many(other, names, NAMES, objects) != -ECHILD);
	wait(&status);
	TAP_EQ(status, 0, "a child gets none");
	hmem_shelf_close(other);
}

int main(void)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	region = place_new(PLACE_SHM, 64 * MI);
	shelf = looking = place_shelf(region, 16 * MI);
	beside(one_after_the_other, false, "one after the other");
	beside(together, true, "in one transaction");
	killed();
	stepped(0);
	options.flags = HMEM_SHELF_READ_ONLY;
	need(hmem_shelf_open(region, "s", &options, &looking), "opening to read");
	beside(one_after_the_other, false, "one after the other, and a reader copies");
	beside(together, true, "in one transaction, and a reader copies");
	sizes();
	need(hmem_shelf_close(looking), "closing");
	looking = shelf;
	stepped(HMEM_SHELF_READ_ONLY);
	refused();
	need(hmem_shelf_close(shelf), "closing");
	hmem_region_close(region);
	hmem_ctx_unref(ctx);
	return tap_done();
}
