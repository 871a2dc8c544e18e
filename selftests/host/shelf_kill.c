// SPDX-License-Identifier: GPL-2.0-only
/*
 * kill -9 at random instructions: four processes on one shelf, of which one after the other
 * is killed and replaced, while the others go on. hmem-test: timeout=900
 *
 *	shelf_kill [KILLS [SEED]]
 *
 * Most kill themselves: a timer sends SIGKILL some random time after they have begun, so that
 * the signal comes in the middle of whatever they do. The parent kills some as well, and takes
 * some through a call instruction by instruction up to a random one.
 *
 * What they do is in shelf_kill_calls.h, what must be true then in shelf_kill_oracle.h. Now and
 * then all are killed and everything is compared: names, number of objects, and that
 * hmem_shelf_check() finds nothing leaked and nothing used twice; in turn by the parent, who has
 * had the shelf open, and by a new process that finds nobody there.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "sanitized.h"
#include "shelf_kill_calls.h"

#define SLOTS		7
#define MAX_STEPS	6000
#define KILLS		100000
/* More rounds than asked for, until some died in every way that they are to die in. */
#define MORE_ROUNDS	50

/* How many died, and where. */
static struct {
	const char *region;
	uint64_t kills;
	uint64_t holders;
	uint64_t in_open;
	uint64_t stepped;
	uint64_t ended;
	unsigned int timer_us;
	unsigned int flags;
} run;

static struct media media;

/* --- a worker ------------------------------------------------------------------------ */

static void open_shelf(void)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	int err;

	options.flags = run.flags;
	err = hmem_ctx_new(&me.ctx);
	if (!err) {
		hmem_ctx_set_log_level(me.ctx, HMEM_LOG_ERR);
		err = hmem_region_open(me.ctx, run.region, 0, &me.region);
	}
	if (!err)
		err = hmem_shelf_open(me.region, "kill", &options, &me.shelf);
	if (err)
		fail("opening: %d", err);
}

static void close_shelf(void)
{
	int err = hmem_shelf_close(me.shelf);

	if (err)
		fail("closing: %d", err);
	hmem_region_close(me.region);
	hmem_ctx_unref(me.ctx);
	memset(&me.pins, 0, sizeof(me.pins));
}

static void die_later(unsigned int us)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	struct itimerspec when = { .it_value.tv_nsec = 1 + (long)any(us * 1000) };
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	    timer_settime(timer, 0, &when, NULL))
		fail("a timer: %s", strerror(errno));
}

__attribute__((noreturn)) static void work(bool traced)
{
	unsigned int fate = any(32);

	if (!traced && fate < 4)
		die_later(run.timer_us / 2);
	open_shelf();
	compare_flying(me.number);
	if (traced) {
		for (unsigned int i = any(8); i; i--)
			one_call();
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		one_call();
		_exit(0);
	}
	/* Some live to close the shelf, and some long enough to be killed by the parent. */
	if (fate != 4)
		die_later(run.timer_us * (fate < 8 ? 8 : 1));
	for (unsigned int i = fate == 4 ? any(300) : UINT_MAX; i; i--)
		one_call();
	for (unsigned int i = 0; i < PINS; i++)
		release(&me.pins[i]);
	close_shelf();
	_exit(0);
}

/* --- the parent ---------------------------------------------------------------------- */

static pid_t workers[LANES];

static pid_t start(unsigned int number, bool traced)
{
	uint64_t seed = random_state + any(UINT_MAX);
	pid_t pid = fork();

	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (pid)
		return pid;
	random_state = mix(seed);
	memset(&me, 0, offsetof(struct worker, buffer));
	me.number = number;
	me.lane = &journal->lane[number];
	work(traced);
}

static bool is_held(uint64_t what, unsigned int id)
{
	const void *lock = what ? media_at(&media, what & ~1ull) : NULL;

	return lock && (what & 1 ? *(const uint64_t *)lock >> 48 : *(const uint32_t *)lock) == id + 1;
}

/* Names of a transaction that it was committing. Others may be changing what is looked at. */
static bool held_names(const struct slot *slot, unsigned int id)
{
	const struct tx_block *block = slot->tx ? media_at(&media, slot->tx) : NULL;

	for (unsigned int left = 4; block && left; left--) {
		for (unsigned int i = 0; i < TX_ENTRIES; i++)
			if (is_held(block->entry[i].lock, id))
				return true;
		block = block->link ? media_at(&media, block->link) : NULL;
	}
	return false;
}

/* Had it a lock when it died? Somebody may have been faster to let it go. */
static bool held_locks(pid_t pid)
{
	for (unsigned int id = 0; id < SLOTS; id++) {
		const struct slot *slot = media_slot(&media, id);

		if (slot->pid != pid || !slot->used)
			continue;
		for (unsigned int i = 0; i < SLOT_LOCKS; i++)
			if (is_held(slot->locks[i], id))
				return true;
		if (held_names(slot, id))
			return true;
	}
	return false;
}

static bool had_opened(pid_t pid)
{
	for (unsigned int id = 0; id < SLOTS; id++)
		if (media_slot(&media, id)->pid == pid)
			return true;
	return false;
}

static bool died(pid_t pid, int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		run.kills++;
		run.holders += held_locks(pid);
		run.in_open += !had_opened(pid);
		return true;
	}
	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		run.ended++;
		return true;
	}
	if (!journal->failure[0])
		snprintf(journal->failure, sizeof(journal->failure),
			 "a worker ended with status %#x", status);
	return false;
}

static bool reap(pid_t pid)
{
	int status;

	for (;;) {
		pid_t got = waitpid(pid, &status, __WALL);

		if (got < 0)
			tap_bail("waitpid: %s", strerror(errno));
		if (WIFSTOPPED(status)) {
			ptrace(PTRACE_CONT, got, NULL, NULL);
			continue;
		}
		for (unsigned int i = 0; i < LANES; i++)
			if (workers[i] == got)
				workers[i] = 0;
		return died(got, status);
	}
}

/* Take a worker through a call and kill it before a random instruction. */
static bool step(unsigned int lane)
{
	pid_t pid = workers[lane] = start(lane, true);
	unsigned int steps = any(8) ? any(MAX_STEPS) : any(8 * MAX_STEPS);
	int status;

	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		if (!steps--) {
			run.stepped++;
			kill(pid, SIGKILL);
			return reap(pid);
		}
		ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
	}
	workers[lane] = 0;
	return died(pid, status);
}

static bool all_end(void)
{
	bool fine = true;

	for (unsigned int i = 0; i < LANES; i++)
		if (workers[i])
			kill(workers[i], SIGKILL);
	for (unsigned int i = 0; i < LANES; i++)
		if (workers[i])
			fine = reap(workers[i]) && fine;
	return fine;
}

/* In a process of its own, so that a failure there is a failure like others. */
static bool compare_elsewhere(bool clean)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid) {
		memset(&me, 0, offsetof(struct worker, buffer));
		open_shelf();
		compare_all();
		if (clean)
			close_shelf();
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (status && !journal->failure[0])
		snprintf(journal->failure, sizeof(journal->failure), "status %#x in comparing",
			 status);
	return !status;
}

/* Until @kills: then all are killed, and everything is compared. */
static bool round_of(uint64_t kills, bool with_parent, unsigned int steps)
{
	uint64_t until = run.kills + kills;
	bool fine = true;

	if (with_parent)
		open_shelf();
	for (unsigned int i = 0; fine && i < steps; i++)
		fine = step(any(LANES));
	for (unsigned int i = 0; i < LANES; i++)
		workers[i] = start(i, false);
	while (fine && run.kills < until) {
		unsigned int lane = any(LANES);

		if (workers[lane] && !any(16))
			kill(workers[lane], SIGKILL);
		fine = reap(-1);
		for (unsigned int i = 0; fine && i < LANES; i++)
			if (!workers[i])
				workers[i] = start(i, false);
		if (fine && !any(1024)) {
			lane = any(LANES);
			kill(workers[lane], SIGKILL);
			fine = reap(workers[lane]) && step(lane);
		}
	}
	fine = all_end() && fine;
	if (fine && with_parent) {
		compare_all();
		close_shelf();
	} else if (fine) {
		fine = compare_elsewhere(any(2));
	}
	return fine;
}

/* @full: so small that calls find no room, and it cannot grow */
static void make_shelf(unsigned int flags, bool full)
{
	struct hmem_region_options region = HMEM_REGION_OPTIONS_INIT;
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	int err;

	region.bytes = 6u << 20;
	options.bytes = full ? 384u << 10 : 2u << 20;
	options.max_bytes = full ? options.bytes : 16u << 20;
	options.slots = SLOTS;
	options.flags = flags;
	err = hmem_ctx_new(&me.ctx);
	if (!err)
		err = hmem_region_create(me.ctx, run.region, &region, &me.region);
	if (!err)
		err = hmem_shelf_create(me.region, "kill", &options, &me.shelf);
	if (err)
		tap_bail("making %s: %s", run.region, hmem_last_error(me.ctx));
	close_shelf();
}

static void kill_many(const char *path, unsigned int flags, bool full, uint64_t kills, uint64_t each,
		      unsigned int timer_us)
{
	struct hmem_ctx *ctx;
	char region[PATH_MAX + 8];
	uint64_t calls = 0, no_space = 0, committed = 0, aborted = 0, rounds = 0, more = 0;
	uint64_t named = 0, busy = 0;
	uint64_t holders = run.holders, stepped = run.stepped, until = run.kills + kills;
	bool fine = true;

	memset(journal, 0, sizeof(*journal));
	snprintf(region, sizeof(region), "file:%s", path);
	run.region = region;
	run.timer_us = timer_us;
	make_shelf(flags, full);
	media_map(&media, path);
	while (fine && (run.kills < until ||
			(more < MORE_ROUNDS &&
			 (run.holders == holders || run.stepped == stepped || !journal->cut[TX_OPEN] ||
			  !journal->cut[TX_COMMITTING] || !journal->cut[TX_NAMING])))) {
		bool enough = run.kills >= until;

		more += enough;
		run.flags = any(4) ? 0 : HMEM_SHELF_FLUSH;
		fine = round_of(enough ? LANES : each, rounds++ % 2, enough ? 20 : 1);
	}
	TAP_OK(fine, "%s%s%s: %llu kills: nothing acknowledged is lost, nothing leaks", path,
	       flags & HMEM_SHELF_ORDERED ? ", ordered" : "", full ? ", full" : "",
	       (unsigned long long)kills);
	if (!fine)
		tap_diag("%s", journal->failure);
	for (unsigned int i = 0; i < LANES; i++) {
		calls += journal->lane[i].calls;
		no_space += journal->lane[i].no_space;
		committed += journal->lane[i].committed;
		aborted += journal->lane[i].aborted;
		named += journal->lane[i].named;
		busy += journal->lane[i].busy;
	}
	tap_diag("%llu calls, %llu of them without room; %llu comparisons of all",
		 (unsigned long long)calls, (unsigned long long)no_space,
		 (unsigned long long)rounds);
	tap_diag("%llu transactions committed, %llu aborted; of dead ones %llu were not committed, "
		 "%llu were being, %llu had been",
		 (unsigned long long)committed, (unsigned long long)aborted,
		 (unsigned long long)journal->cut[TX_OPEN],
		 (unsigned long long)journal->cut[TX_COMMITTING],
		 (unsigned long long)journal->cut[TX_COMMITTED]);
	tap_diag("%llu renamed or swapped, %llu calls met others who did; %llu died in it",
		 (unsigned long long)named, (unsigned long long)busy,
		 (unsigned long long)journal->cut[TX_NAMING]);
	if (full)
		TAP_OK(no_space, "some calls found no room");
	TAP_OK(journal->cut[TX_NAMING], "some died while renaming or swapping");
	TAP_OK(journal->cut[TX_OPEN] && journal->cut[TX_COMMITTING],
	       "some died in a transaction, and some while committing one");
	TAP_OK(run.holders > holders, "some held locks (%llu)",
	       (unsigned long long)(run.holders - holders));
	TAP_OK(run.stepped > stepped, "some were killed before an instruction chosen (%llu)",
	       (unsigned long long)(run.stepped - stepped));
	media_unmap(&media);
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	if (fine)
		hmem_region_destroy(ctx, region);
	hmem_ctx_unref(ctx);
}

int main(int argc, char **argv)
{
	uint64_t kills = argc > 1 ? strtoull(argv[1], NULL, 0) :
					sanitized("kills", KILLS, 20, 100);
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
	const char *directory = getenv("TMPDIR");
	char path[PATH_MAX];

	random_state = seed;
	judge = getpid();
	tap_diag("seed %llu", (unsigned long long)seed);
	journal = mmap(NULL, sizeof(*journal), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (journal == MAP_FAILED)
		tap_bail("memory for the journal: %s", strerror(errno));
	snprintf(path, sizeof(path), "/dev/shm/hmem-shelf-kill-%d", (int)getpid());
	kill_many(path, 0, false, kills - kills / 5 - kills / 5, 400, 400);
	/* Where something was found, the shelf stays. */
	snprintf(path, sizeof(path), "/dev/shm/hmem-shelf-kill-ordered-%d", (int)getpid());
	kill_many(path, HMEM_SHELF_ORDERED, false, kills / 5, 400, 400);
	snprintf(path, sizeof(path), "/dev/shm/hmem-shelf-kill-full-%d", (int)getpid());
	kill_many(path, 0, true, kills / 5, 400, 400);
	snprintf(path, sizeof(path), "%s/shelf-kill-%d", directory ? directory : "/tmp",
		 (int)getpid());
	kill_many(path, 0, false, kills / 200 + 1, 40, 20000);
	tap_diag("%llu kills in all, %llu while opening, %llu holding locks, %llu stepped; %llu "
		 "workers ended by themselves",
		 (unsigned long long)run.kills, (unsigned long long)run.in_open,
		 (unsigned long long)run.holders, (unsigned long long)run.stepped,
		 (unsigned long long)run.ended);
	return tap_done();
}
