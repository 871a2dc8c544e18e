// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that a thread has retired and then does nothing any more: whoever finds no other
 * gets it, unless somebody has it pinned; also when those who take it die at any instruction.
 */
#include <hmem/hmem.h>
#include <hmem/shelf.h>

#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sanitized.h"
#include "shelf_media.h"

/* 24 chunks; a piece takes one, a large object as many as lie behind no piece, and more. */
#define HEAP	((uint64_t)3 << 19)
#define PIECE	60000u
#define PIECES	14u
#define LARGE	700000u
#define LARGER	1000000u
#define SLOTS	8u
/* The first block goes to the list, as it is pinned; then some are freed. */
#define DEATHS	24u

static struct hmem_ctx *ctx;
static struct hmem_region *region;
static struct hmem_shelf *shelf;
static char path[256], file[256];
static char value[LARGER];

static void make_shelf(void)
{
	struct hmem_region_options place = HMEM_REGION_OPTIONS_INIT;
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	unlink(file);
	place.bytes = 4 * HEAP;
	options.bytes = HEAP;
	options.max_bytes = HEAP;
	options.slots = SLOTS;
	if (hmem_region_create(ctx, path, &place, &region) ||
	    hmem_shelf_create(region, "s", &options, &shelf))
		tap_bail("%s", hmem_last_error(ctx));
}

static int tell(void *arg, const struct hmem_shelf_finding *finding)
{
	(void)arg;
	tap_diag("%s at %#llx: %s", finding->part, (unsigned long long)finding->offset,
		 finding->text);
	return 0;
}

static void drop_shelf(const char *what)
{
	TAP_EQ(hmem_shelf_check(shelf, tell, NULL), 0, "%s: it is in order", what);
	TAP_EQ(hmem_shelf_close(shelf), 0, "%s: and closed", what);
	hmem_region_close(region);
}

static void put(const char *name, size_t bytes, char with)
{
	memset(value, with, bytes);
	if (hmem_shelf_put(shelf, name, value, bytes, NULL))
		tap_bail("put %s: %s", name, hmem_last_error(ctx));
}

static bool holds(const char *name, size_t bytes, char with)
{
	static char got[LARGER];
	size_t length;

	if (hmem_shelf_read(shelf, name, got, sizeof(got), &length) || length != bytes)
		return false;
	for (size_t i = 0; i < bytes; i++)
		if (got[i] != with)
			return false;
	return true;
}

/* --- a thread that does something once ------------------------------------------------ */

static struct idle {
	pthread_t thread;
	pthread_barrier_t barrier;
	void (*work)(void);
	void (*later)(void);
} idle;

static void *idle_run(void *arg)
{
	(void)arg;
	idle.work();
	pthread_barrier_wait(&idle.barrier);
	pthread_barrier_wait(&idle.barrier);
	if (idle.later) {
		idle.later();
		pthread_barrier_wait(&idle.barrier);
		pthread_barrier_wait(&idle.barrier);
	}
	return NULL;
}

static void idle_begin(void (*work)(void))
{
	idle.work = work;
	pthread_barrier_init(&idle.barrier, NULL, 2);
	if (pthread_create(&idle.thread, NULL, idle_run, NULL))
		tap_bail("no thread");
	pthread_barrier_wait(&idle.barrier);
}

/* It does what it is to do later. */
static void idle_wakes(void)
{
	pthread_barrier_wait(&idle.barrier);
	pthread_barrier_wait(&idle.barrier);
}

static void idle_end(void)
{
	pthread_barrier_wait(&idle.barrier);
	pthread_join(idle.thread, NULL);
	pthread_barrier_destroy(&idle.barrier);
}

static void replace_often(void)
{
	for (unsigned int i = 0; i < PIECES; i++)
		put("piece", PIECE, (char)('a' + i));
}

static void put_once(void)
{
	put("piece", LARGER, 'p');
}

static void commit_twice(void)
{
	struct hmem_tx *tx;

	for (unsigned int i = 0; i < 2; i++)
		if (hmem_tx_begin(shelf, &tx) || hmem_tx_put(tx, "piece", "p", 1, NULL) ||
		    hmem_tx_commit(tx))
			tap_bail("commit: %s", hmem_last_error(ctx));
}

/* --- who gets it --------------------------------------------------------------------- */

static void test_ring(void)
{
	make_shelf();
	idle_begin(replace_often);
	TAP_EQ(hmem_shelf_put(shelf, "large", value, LARGE, NULL), 0,
	       "what an idle thread has replaced makes room");
	TAP_OK(holds("piece", PIECE, 'a' + PIECES - 1), "its object is there");
	idle_end();
	drop_shelf("an idle thread's ring");
}

static void test_unsealed(void)
{
	make_shelf();
	idle_begin(put_once);
	put("piece", 8, 'q');
	TAP_EQ(hmem_shelf_put(shelf, "large", value, LARGER, NULL), 0,
	       "what another has replaced of an idle thread's makes room");
	TAP_OK(holds("piece", 8, 'q'), "the newer object is there");
	idle_end();
	drop_shelf("an idle thread's last record");
}

static uint64_t fences(void)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	if (hmem_shelf_get_info(shelf, &info))
		tap_bail("%s", hmem_last_error(ctx));
	return info.fences;
}

static void test_nothing_left(void)
{
	uint64_t before;

	make_shelf();
	idle_begin(commit_twice);
	put("most", LARGER, 'm');
	TAP_EQ(hmem_shelf_put(shelf, "large", value, LARGE, NULL), -ENOSPC,
	       "what is too large finds no memory");
	before = fences();
	TAP_EQ(hmem_shelf_put(shelf, "large", value, LARGE, NULL), -ENOSPC, "nor once more");
	TAP_OK(fences() - before <= 1, "%llu fences, as an idle thread has nothing left",
	       (unsigned long long)(fences() - before));
	idle_end();
	drop_shelf("an idle thread's commits");
}

static void test_pinned(void)
{
	struct hmem_object object;
	bool good = true;

	make_shelf();
	put("piece", PIECE, '0');
	if (hmem_shelf_get(shelf, "piece", &object))
		tap_bail("get: %s", hmem_last_error(ctx));
	idle_begin(replace_often);
	TAP_EQ(hmem_shelf_put(shelf, "large", value, LARGE, NULL), 0, "around what is pinned");
	for (size_t i = 0; i < PIECE && good; i++)
		good = ((const char *)object.data)[i] == '0';
	TAP_OK(good, "what is pinned stays as it was");
	hmem_shelf_release(shelf, &object);
	idle_end();
	drop_shelf("a pinned block in an idle thread's ring");
}

/* --- who takes it dies --------------------------------------------------------------- */

/* It needs the memory, but locks no name meanwhile. */
static bool reserves;

static void child_put(void)
{
	struct hmem_region *mine;
	void *at;

	if (ptrace(PTRACE_TRACEME, 0, 0, 0) || hmem_ctx_new(&ctx) ||
	    hmem_region_open(ctx, path, 0, &mine) || hmem_shelf_open(mine, "s", NULL, &shelf) ||
	    hmem_shelf_put(shelf, "child", "x", 1, NULL))
		_exit(2);
	raise(SIGSTOP);
	if (reserves ? hmem_shelf_reserve(shelf, "large", LARGE, NULL, &at) :
		       hmem_shelf_put(shelf, "large", value, LARGE, NULL))
		_exit(3);
	raise(SIGSTOP);
	_exit(0);
}

static pid_t child_begin(void)
{
	pid_t child = fork();
	int status;

	if (!child)
		child_put();
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		tap_bail("a child could not be traced");
	return child;
}

static void child_kill(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* All that may be half done when the child frees what the idle thread has retired. */
static uint64_t half_done(const struct media *media)
{
	uint64_t hash = media_runtime(media)->limbo;

	for (unsigned int id = 0; id < SLOTS; id++) {
		const volatile struct slot *slot = media_slot(media, id);
		uint64_t words[] = { slot->ring_lock, slot->ring_tail, slot->ring_fenced,
				     slot->freeing, slot->freeing_end };

		for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ull + (hash >> 29);
	}
	return hash;
}

/*
 * Until that has changed so often, from where a ring is locked for the first time on. False
 * when the child has done its put before.
 */
static bool child_step(pid_t child, const struct media *media, unsigned int changes)
{
	uint64_t last = half_done(media), now;
	int status;

	while (changes) {
		if (ptrace(PTRACE_SINGLESTEP, child, 0, 0) || waitpid(child, &status, 0) != child ||
		    !WIFSTOPPED(status) || WSTOPSIG(status) == SIGSTOP)
			return false;
		now = half_done(media);
		changes -= now != last;
		last = now;
	}
	return true;
}

static bool survives(unsigned int changes)
{
	struct hmem_object object;
	struct media media;
	bool good, died;
	pid_t child;

	make_shelf();
	media_map(&media, file);
	put("piece", PIECE, '0');
	if (hmem_shelf_get(shelf, "piece", &object))
		tap_bail("get: %s", hmem_last_error(ctx));
	idle_begin(replace_often);
	child = child_begin();
	died = child_step(child, &media, changes);
	child_kill(child);
	memset(value, 'm', LARGE);
	good = died && !hmem_shelf_put(shelf, "large", value, LARGE, NULL) &&
	       holds("large", LARGE, 'm') && holds("piece", PIECE, 'a' + PIECES - 1) &&
	       ((const char *)object.data)[0] == '0' &&
	       ((const char *)object.data)[PIECE - 1] == '0';
	hmem_shelf_release(shelf, &object);
	good = !hmem_shelf_check(shelf, tell, NULL) && good;
	idle_end();
	good = !hmem_shelf_check(shelf, tell, NULL) && good;
	good = !hmem_shelf_close(shelf) && good;
	hmem_region_close(region);
	media_unmap(&media);
	if (!good)
		tap_diag("killed after %u changes: %s", changes, hmem_last_error(ctx));
	return good;
}

static void test_death(void)
{
	unsigned int bad = 0;

	for (unsigned int changes = 1; changes <= DEATHS; changes++)
		bad += !survives(changes);
	TAP_EQ(bad, 0, "%u deaths while an idle thread's blocks are in between", DEATHS);
}

/* --- who was thought to be idle -------------------------------------------------------- */

/* In instructions, from where the idle thread's ring is locked to where all of it is looked at. */
#define LOOKING 60u

/* What it has replaced last waits for a fence. */
static void put_and_replace(void)
{
	put("1", 8, '1');
	put("2", 8, '2');
	put("3", 8, '3');
	replace_often();
}

/* Each makes a fence, for what it has retired before. */
static void delete_them(void)
{
	if (hmem_shelf_delete(shelf, "1") || hmem_shelf_delete(shelf, "2") ||
	    hmem_shelf_delete(shelf, "3"))
		tap_bail("delete: %s", hmem_last_error(ctx));
}

/* The ring's owner goes on after so many instructions of one who looks through it. */
static bool goes_on(unsigned int steps)
{
	struct media media;
	bool good, found;
	pid_t child;
	int status;

	make_shelf();
	media_map(&media, file);
	idle.later = delete_them;
	reserves = true;
	idle_begin(put_and_replace);
	child = child_begin();
	found = child_step(child, &media, 1);
	for (; found && steps; steps--)
		found = !ptrace(PTRACE_SINGLESTEP, child, 0, 0) &&
			waitpid(child, &status, 0) == child && WIFSTOPPED(status);
	idle_wakes();
	good = found && !ptrace(PTRACE_CONT, child, 0, 0) && waitpid(child, &status, 0) == child &&
	       WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP;
	child_kill(child);
	idle_end();
	idle.later = NULL;
	reserves = false;
	good = good && holds("piece", PIECE, 'a' + PIECES - 1) && !hmem_shelf_check(shelf, tell, NULL);
	good = !hmem_shelf_close(shelf) && good;
	hmem_region_close(region);
	media_unmap(&media);
	return good;
}

static void test_awake(void)
{
	unsigned int each = sanitized_step("instructions", 7, 11), bad = 0;

	for (unsigned int steps = 0; steps < LOOKING; steps += each)
		if (!goes_on(steps)) {
			tap_diag("after %u instructions", steps);
			bad++;
		}
	TAP_EQ(bad, 0, "an idle thread that goes on while its ring is looked through is in nobody's way");
}

int main(void)
{
	const char *dir = access("/dev/shm", W_OK) ? getenv("TMPDIR") : "/dev/shm";

	snprintf(file, sizeof(file), "%s/shelf_idle.%d", dir ? dir : "/tmp", (int)getpid());
	snprintf(path, sizeof(path), "file:%.240s", file);
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	test_ring();
	test_unsealed();
	test_nothing_left();
	test_pinned();
	test_death();
	test_awake();
	unlink(file);
	hmem_ctx_unref(ctx);
	return tap_done();
}
