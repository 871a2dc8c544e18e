// SPDX-License-Identifier: GPL-2.0-only
/*
 * What stands on the shelf of a transaction's ranges changes while the transaction is given up, and
 * what a header says while its object is edited or deleted, as another process can do that has the
 * shelf open: before each instruction in turn, so also between the look that tells whether a length
 * fits and the use that is made of it. It may cost what was in the object, but no access outside
 * of the shelf, which would be the end of the process. hmem-test: timeout=300
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "sanitized.h"
#include "shelf_user.h"

#define RANGES	2u
#define BYTES	16u
/* Of the undo record: its count of ranges, and three words of a range. */
#define WORDS	4u

static void be_traced(struct user *user)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || ptrace(PTRACE_TRACEME, 0, NULL, NULL) ||
	    hmem_ctx_new(&ctx) || join(user, "one", 0))
		_exit(1);
}

/* Stops before a transaction is given up, and when that is done. */
__attribute__((noreturn)) static void give_up_again_and_again(void)
{
	struct user user;

	be_traced(&user);
	for (;;) {
		struct hmem_range ranges[RANGES];
		struct hmem_object object;
		struct hmem_tx *tx;

		if (hmem_shelf_get(user.shelf, "object", &object) || hmem_tx_begin(user.shelf, &tx))
			_exit(2);
		for (unsigned int i = 0; i < RANGES; i++)
			ranges[i] = (struct hmem_range){ &object, i * BYTES, BYTES };
		if (hmem_tx_add(tx, ranges, RANGES))
			_exit(3);
		memset(object.data, 'x', RANGES * BYTES);
		hmem_shelf_release(user.shelf, &object);
		raise(SIGSTOP);
		hmem_tx_abort(tx);
		raise(SIGSTOP);
	}
}

/* The same of an object that was just put and is edited, and of one that is deleted. */
__attribute__((noreturn)) static void edit_again_and_again(void)
{
	struct user user;

	be_traced(&user);
	for (;;) {
		struct hmem_object object;

		if (put(&user, "object", 'o', BYTES))
			_exit(2);
		raise(SIGSTOP);
		if (!hmem_shelf_edit(user.shelf, "object", &object))
			hmem_shelf_release(user.shelf, &object);
		raise(SIGSTOP);
	}
}

__attribute__((noreturn)) static void delete_again_and_again(void)
{
	struct user user;

	be_traced(&user);
	for (;;) {
		if (put(&user, "object", 'o', BYTES))
			_exit(2);
		raise(SIGSTOP);
		hmem_shelf_delete(user.shelf, "object");
		raise(SIGSTOP);
	}
}

/* False: it has ended, or an access was outside of what is mapped. */
static bool goes_on(pid_t child, unsigned int *how)
{
	int status;

	if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
		return false;
	*how = (unsigned int)WSTOPSIG(status);
	return *how == SIGTRAP || *how == SIGSTOP;
}

static bool until_it_stops(pid_t child)
{
	unsigned int how;

	return !ptrace(PTRACE_CONT, child, NULL, NULL) && goes_on(child, &how) && how == SIGSTOP;
}

/* So many instructions, or until it stops by itself; how many there were. */
static unsigned int step(pid_t child, unsigned int steps)
{
	unsigned int how = SIGTRAP, done = 0;

	while (done < steps && how == SIGTRAP && !ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) &&
	       goes_on(child, &how))
		done++;
	return done;
}

/* Instructions until the object is what it was; then it goes on until it stops. */
static unsigned int until_all_is_back(pid_t child)
{
	uint64_t at = media_find(&media, "object");
	const char *value = media_at(&media, media_value_offset(at, media_at(&media, at)));
	unsigned int steps = 0;

	while (!is_all(value, 'o', RANGES * BYTES) && step(child, 1))
		steps++;
	return is_all(value, 'o', RANGES * BYTES) && until_it_stops(child) ? steps : 0;
}

static uint64_t *word_of_undo(pid_t child, unsigned int number)
{
	const struct slot *slot = media_slot(&media, media_slot(&media, 0)->pid != child);
	const struct tx_block *block = media_at(&media, slot->tx);
	struct undo_head *head = NULL;
	struct record_range *range;

	for (unsigned int i = 0; block && i < TX_ENTRIES; i++)
		if (block->entry[i].undo) {
			uint64_t at = block->entry[i].at;

			head = media_at(&media, media_value_offset(at, media_at(&media, at)));
		}
	if (slot->pid != child || !head)
		tap_bail("no undo record");
	range = (struct record_range *)(head + 1);
	return number == 0 ? &head->ranges :
	       number == 1 ? &range->record.at :
	       number == 2 ? &range->offset :
			     &range->bytes;
}

static pid_t begin(void (*again_and_again)(void))
{
	pid_t child = fork();
	unsigned int how;

	if (!child)
		again_and_again();
	/* The first time there are more instructions, as functions are looked for. */
	if (child < 0 || !goes_on(child, &how) || !until_it_stops(child) || !until_it_stops(child))
		tap_bail("a child could not be traced");
	return child;
}

/* One word is another before each instruction in turn. False: one of these was the child's end. */
static bool goes_well(pid_t child, unsigned int number, unsigned int steps, unsigned int each)
{
	for (unsigned int n = 0; n < steps; n += each) {
		uint64_t *word = word_of_undo(child, number);

		step(child, n);
		/* It lies outside of all that is mapped of the shelf, at any offset. */
		__atomic_store_n(word, 1ull << 40, __ATOMIC_SEQ_CST);
		if (!until_it_stops(child) || !until_it_stops(child)) {
			tap_diag("before instruction %u", n);
			return false;
		}
	}
	return true;
}

/* The length of the object's value is another before each instruction in turn. */
static bool header_goes_well(pid_t child, unsigned int steps, unsigned int each)
{
	for (unsigned int n = 0; n < steps; n += each) {
		struct record *r = media_at(&media, media_find(&media, "object"));
		uint64_t *word = (uint64_t *)r + 1, was = *word;

		step(child, n);
		__atomic_fetch_or(word, 1ull << 40, __ATOMIC_SEQ_CST);
		if (!until_it_stops(child)) {
			tap_diag("before instruction %u", n);
			return false;
		}
		__atomic_store_n(word, was, __ATOMIC_SEQ_CST);
		if (!until_it_stops(child))
			return false;
	}
	return true;
}

static void test_header(const char *what, void (*again_and_again)(void), unsigned int each)
{
	unsigned int steps;
	struct user user;
	pid_t child;

	make(&user, 2, 1u << 20, 1000);
	child = begin(again_and_again);
	steps = step(child, 100000);
	TAP_OK(steps && until_it_stops(child), "%s takes %u instructions", what, steps);
	TAP_OK(header_goes_well(child, steps, each), "the length of its value changes before some");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	hmem_shelf_close(user.shelf);
	hmem_region_close(user.region);
	media_unmap(&media);
	need(hmem_region_destroy(ctx, region_name), "destroying");
}

int main(void)
{
	static const char *const words[WORDS] = { "the number of ranges", "where a record is",
						  "the offset in it", "the length" };
	unsigned int steps, each = sanitized_step("instructions", 29, 601);
	struct user user;
	bool fine = true;
	pid_t child;

	users_begin("shelf-meddled");
	make(&user, 2, 1u << 20, 1000);
	need(put(&user, "object", 'o', RANGES * BYTES), "putting");
	child = begin(give_up_again_and_again);
	steps = until_all_is_back(child);
	TAP_OK(steps && until_it_stops(child), "it takes %u instructions to put all back", steps);
	for (unsigned int i = 0; i < WORDS && fine; i++)
		fine = TAP_OK(goes_well(child, i, steps, i + 1 < WORDS ? 3 * each : each),
			      "%s changes before %s of them", words[i],
			      i + 1 < WORDS ? "some" : "each");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	TAP_EQ(put(&user, "object", 'p', 8), 0, "the object can be replaced");
	unmake(&user);
	test_header("an edit", edit_again_and_again, 3 * sanitized_step("instructions", 1, 151));
	test_header("a deletion", delete_again_and_again,
		    3 * sanitized_step("instructions", 3, 151));
	hmem_ctx_unref(ctx);
	return tap_done();
}
