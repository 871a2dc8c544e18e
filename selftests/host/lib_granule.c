// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of granules, at instants that are hard to meet: what is counted again after a death
 * while others claim and give back, and what the dead had.
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../sanitized.h"
#include "tap.h"

#include "../../lib/binned.c"
#include "../../lib/binned_run.c"
#include "../../lib/binned_span.c"
#include "../../lib/granule.c"
#include "../../lib/fork_lock.c"
#include "../../lib/thread_part.c"

#define GRANULES 40
#define SHIFT	 12
#define DEAD	 1	/* members */
#define LIVES	 2
#define NUMBER	 1	/* of an interface */

/*
 * With a sanitizer there are several times as many instants, and each comes as much later; a child
 * of that of races takes a tenth of a second more.
 */
#define ONE_INSTANT_OF 7, 49

static char *memory;
static uint64_t *shared;
static struct granules g;

static unsigned int alive, dead;

static void fresh(void)
{
	memset(shared, 0, granules_table_bytes(GRANULES, SHIFT));
	granules_format(shared, GRANULES, SHIFT, 0, 0);
	granules_at(&g, shared, memory);
	alive = granules_join(&g, LIVES);
	dead = granules_join(&g, DEAD);
}

/* A span of so many that is there; what claiming it returns. */
static int64_t span(uint32_t n, unsigned int use, unsigned int interface)
{
	int64_t at = granules_claim(&g, n, 1, alive);

	if (at >= 0)
		granules_settle(&g, (uint64_t)at,
				granule_word(GRANULE_HEAD, use, interface, GRANULE_NOBODY, n), alive);
	return at;
}

/* What is there is given back. */
static bool give(uint64_t head)
{
	return granules_release(&g, head, get(&g, head), alive);
}

static uint64_t really_used(void)
{
	uint64_t n = 0;

	for (uint64_t at = 0; at < GRANULES; at++)
		n += get(&g, at) != 0;
	return n;
}

static void test_counted_later(void)
{
	fresh();
	if (granules_claim(&g, 30, 1, dead) < 0)
		tap_bail("no room");
	/* While he is buried somebody is at something. */
	atomic_store(&g.table->owners[alive].busy, 1);
	granules_bury(&g, DEAD);
	atomic_store(&g.table->owners[alive].busy, 0);
	TAP_OK(span(20, 0, NUMBER) >= 0,
	       "what the dead counted in is there for others, though it was not counted at once");
	TAP_EQ(atomic_load(&g.table->used), 20, "and they are counted right");
}

/* Steps a child through @fn, and does @meanwhile after @steps; false: it was over before that. */
static bool meanwhile_in(unsigned long steps, void (*fn)(void), void (*meanwhile)(void))
{
	bool met = false;
	int status;
	pid_t child = fork();

	if (!child) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(4);
		raise(SIGSTOP);
		fn();
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		tap_bail("a child could not be traced");
	while (WIFSTOPPED(status)) {
		if (!steps--) {
			met = true;
			meanwhile();
		}
		if (ptrace(met ? PTRACE_CONT : PTRACE_SINGLESTEP, child, 0, 0) ||
		    waitpid(child, &status, 0) != child)
			tap_bail("a child could not be led");
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		tap_bail("a child has ended with %d", status);
	return met;
}

static void counts(void)
{
	granules_bury(&g, DEAD + LIVES);
}

/* The number of those that are used stays. */
static void low_for_high(void)
{
	if (span(1, 0, NUMBER) != 0 || !give(20))
		tap_bail("that is not there");
}

static void high_for_low(void)
{
	if (span(1, 0, NUMBER) != 20 || !give(1))
		tap_bail("that is not there");
}

static void test_counted_meanwhile(void)
{
	unsigned int every = sanitized_step("instants", ONE_INSTANT_OF);
	unsigned long n = 0, wrong = 0;

	for (unsigned long steps = 0;; steps += 17 * every) {
		bool met;

		fresh();
		for (int i = 0; i < 21; i++)
			span(1, 0, NUMBER);
		give(steps % 16 ? 20 : 0);
		met = meanwhile_in(steps, counts, steps % 16 ? high_for_low : low_for_high);
		wrong += atomic_load(&g.table->used) != really_used();
		n += met;
		if (!met)
			break;
	}
	TAP_OK(n > 50, "one is claimed and one given back at %lu instants of counting", n);
	TAP_EQ(wrong, 0, "after which they are counted right");
}

/* The span is one of that use; whether it is idle now. */
static bool rests(uint64_t head)
{
	return granules_rest(&g, head, get(&g, head)) &&
	       granule_use(get(&g, head)) == GRANULE_IDLE;
}

static void test_idle(void)
{
	fresh();
	TAP_EQ(span(10, GRANULE_RUN, NUMBER), 0, "a run");
	TAP_OK(rests(0), "that is freed");
	TAP_EQ(span(5, GRANULE_RUN, NUMBER), 10, "is not what others get while there is room");
	TAP_OK(!granules_rouse(&g, 0, NUMBER, 9) && !granules_rouse(&g, 0, NUMBER + 1, 10),
	       "nor is it one that is shorter, or of another interface");
	TAP_OK(granules_rouse(&g, 0, NUMBER, 10) && !granules_rouse(&g, 0, NUMBER, 10),
	       "it can be had again, once");
	TAP_OK(rests(0) && !granules_rest(&g, 0, granule_word(GRANULE_HEAD, GRANULE_RUN, NUMBER, 0, 10)),
	       "and be freed again, once");
	TAP_EQ(span(30, GRANULE_RUN, NUMBER + 1), -ENOSPC, "where there is no room it is given back");
	TAP_OK(!get(&g, 0) && !granules_rouse(&g, 0, NUMBER, 10), "and cannot be had any more");
	TAP_EQ(span(25, GRANULE_RUN, NUMBER + 1), 15, "another interface has the rest");
	TAP_OK(rests(15), "and frees it");
	TAP_EQ(span(26, GRANULE_RUN, NUMBER), -ENOSPC, "for as long a run there is no room");
	atomic_store(&g.table->limit, 12);
	TAP_EQ(span(7, GRANULE_RUN, NUMBER), 0, "what was idle does not count for a limit then");
	TAP_EQ(atomic_load(&g.table->used), 12, "and all is counted right");
	TAP_OK(rests(0), "one is idle when somebody dies");
	granules_bury(&g, DEAD);
	TAP_EQ(atomic_load(&g.table->used), 5, "and free when he is buried");
	TAP_EQ(really_used(), 5, "which is right");
	TAP_EQ(span(7, GRANULE_RUN, NUMBER), 0, "a run");
	rests(0);
	granules_release_interface(&g, NUMBER, alive);
	TAP_EQ(really_used() + atomic_load(&g.table->orphans), 0,
	       "that is idle goes with its interface");
}

static void test_released_together(void)
{
	fresh();
	span(3, GRANULE_USES - 1, NUMBER);
	span(1, 0, NUMBER);
	granules_orphan(&g, 3);
	granules_release_interface(&g, NUMBER, alive);
	TAP_EQ(really_used() + atomic_load(&g.table->used), 0, "all of an interface is given back");
	TAP_EQ(atomic_load(&g.table->orphans), 0, "and no span is without an owner then");
}

static bool buries(void *unused)
{
	(void)unused;
	granules_bury(&g, DEAD);
	return true;
}

static void test_claimed_by_the_dead(void)
{
	struct binned heap;

	for (int large = 0; large < 2; large++) {
		fresh();
		if (granules_claim(&g, GRANULES, 1, dead) < 0 ||
		    binned_init(&heap, &g, NUMBER, LIVES, 0, true))
			tap_bail("no room");
		heap.bury = buries;
		TAP_OK(binned_alloc(&heap, large ? 5u << SHIFT : 100),
		       "%s is had of what the dead had claimed", large ? "a large block" : "a block");
		binned_fini(&heap);
	}
}

/* A large block that two free at the same time; where it was there is something else then. */
static struct binned freeing;

static void frees(void)
{
	binned_free(&freeing, memory);
}

static void frees_before(void)
{
	if (granule_state(get(&g, 0)) == GRANULE_HEAD)
		give(0);
	span(1, 5, NUMBER + 1);
}

static void test_freed_by_two(void)
{
	unsigned int every = sanitized_step("instants", ONE_INSTANT_OF);
	unsigned long n = 0, wrong = 0;

	for (unsigned long steps = 0;; steps += every) {
		bool met;

		fresh();
		if (binned_init(&freeing, &g, NUMBER, LIVES, 0, true) ||
		    binned_alloc(&freeing, 5u << SHIFT) != memory)
			tap_bail("no block");
		met = meanwhile_in(steps, frees, frees_before);
		wrong += met && granules_of_interface(&g, NUMBER + 1) != 1;
		binned_fini(&freeing);
		n += met;
		if (!met)
			break;
	}
	TAP_OK(n > 20, "at %lu instants of freeing somebody else frees the block", n);
	TAP_EQ(wrong, 0, "and what was claimed where it was stays");
}

static unsigned long held;

static void looks_for_twenty(void)
{
	granules_claim(&g, 20, 1, alive);
}

static void count_held(void)
{
	held += really_used() != 3;
}

/* Three spans leave no twenty together. */
static void test_too_short(void)
{
	unsigned int every = sanitized_step("instants", ONE_INSTANT_OF);
	unsigned long n = 0;
	bool met = true;

	for (unsigned long steps = 0; met; steps += 29 * every) {
		fresh();
		for (int i = 0; i < 31; i++)
			span(1, 0, NUMBER);
		for (uint64_t i = 0; i < 31; i++)
			if (i % 15)
				give(i);
		met = meanwhile_in(steps, looks_for_twenty, count_held);
		n += met;
	}
	TAP_OK(n > 20, "a claim for which no place is long enough is looked at %lu times", n);
	TAP_EQ(held, 0, "and has none that is shorter meanwhile");
}

static _Atomic bool enough;

static void *asks_for_too_much(void *owner)
{
	while (!atomic_load(&enough))
		granules_claim(&g, GRANULES, 1, *(unsigned int *)owner);
	return NULL;
}

static void test_refused_beside(void)
{
	unsigned long tries = 200000, refused = 0;
	unsigned int other;
	pthread_t thread;

	fresh();
	other = granules_join(&g, LIVES);
	span(1, 0, NUMBER);
	if (pthread_create(&thread, NULL, asks_for_too_much, &other))
		tap_bail("no thread");
	for (unsigned long i = 0; i < tries; i++) {
		int64_t at = span(1, 0, NUMBER);

		refused += at < 0 || !give((uint64_t)at);
	}
	atomic_store(&enough, true);
	pthread_join(thread, NULL);
	TAP_EQ(refused, 0, "who is refused because he asks for too much leaves others what there is");
}

/* So that as many as there are are not looked at for each that is claimed. */
static void test_low(void)
{
	bool good = true;

	fresh();
	for (uint32_t i = 1; i < 6; i++)
		good = span(2, 0, NUMBER) >= 0 && atomic_load(&g.table->low) == 2u * i && good;
	TAP_OK(good, "the next place is looked for behind spans of several granules too");
	good = give(4) && span(1, 0, NUMBER) == 4 && span(2, 0, NUMBER) == 10;
	TAP_OK(good && atomic_load(&g.table->low) == 5, "but not behind one that is free");
	if (granules_claim(&g, 1, 16, alive) != 16)
		tap_bail("no room");
	TAP_OK(atomic_load(&g.table->low) == 5 && span(1, 0, NUMBER) == 5,
	       "nor behind those that an alignment passes over");
}

int main(void)
{
	shared = mmap(NULL, granules_table_bytes(GRANULES, SHIFT), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memory = mmap(NULL, GRANULES << SHIFT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED || memory == MAP_FAILED)
		tap_bail("no memory");
	test_counted_later();
	test_counted_meanwhile();
	test_idle();
	test_released_together();
	test_claimed_by_the_dead();
	test_freed_by_two();
	test_too_short();
	test_refused_beside();
	test_low();
	return tap_done();
}
