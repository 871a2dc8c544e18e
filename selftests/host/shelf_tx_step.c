// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transactions whose process dies before any instruction of theirs. hmem-test: timeout=300
 *
 * A transaction moves an amount from one name to another, makes a third and deletes a
 * fourth; or changes both amounts in place, or writes them when it is committed, and the others
 * sometimes. Whoever comes after the
 * dead must find all of it or nothing; and what somebody has seen of a commit must stay.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "sanitized.h"
#include "shelf_traced.h"

#define NAMES	6
#define SUM	(NAMES * 1000)
/* Sanitizers make so many instructions of one. */
#define LONGER	SANITIZED(1u, 2u, 4u)
#define WIDE	30		/* names more than fit into one list of a transaction's */

/*
 * Shared with the child. The first: it changes in place, which others see before it is committed;
 * 2: half. The second: the next time it has changed half it is to stop.
 */
static volatile int *in_place;

static unsigned int any(unsigned int *state, unsigned int below)
{
	*state = *state * 1103515245 + 12345;
	/* The lower bits of such numbers alternate. */
	return (unsigned int)((uint64_t)*state * below >> 32);
}

static const char *name_of(const char *what, unsigned int i)
{
	static char names[4][32];
	static unsigned int next;
	char *name = names[next++ % 4];

	snprintf(name, 32, "%s %u", what, i);
	return name;
}

/* The amount under a name; -1: there is none. */
__attribute__((noinline)) static long amount(struct hmem_shelf *shelf, const char *name)
{
	size_t length;
	long value;
	int err = hmem_shelf_read(shelf, name, &value, sizeof(value), &length);

	if (err == -ENOENT)
		return -1;
	if (err || length != sizeof(value)) {
		fprintf(stderr, "# %s: %d: %s\n", name, err, hmem_last_error(ctx));
		exit(3);
	}
	return value;
}

static struct hmem_shelf *make_shelf(bool ordered, struct hmem_region **region)
{
	struct hmem_shelf *shelf = make_empty(ordered, region);

	for (unsigned int i = 0; i < NAMES; i++) {
		long value = SUM / NAMES;

		if (hmem_shelf_put(shelf, name_of("account", i), &value, sizeof(value), NULL))
			tap_bail("%s", hmem_last_error(ctx));
	}
	return shelf;
}

static int change(struct hmem_shelf *shelf, struct hmem_tx *tx, const char *from, const char *to,
		  long moved, bool again)
{
	struct hmem_object a, b;
	struct hmem_range ranges[2] = { { &a, 0, sizeof(long) }, { &b, 0, sizeof(long) } };
	int err = hmem_shelf_get(shelf, from, &a);

	if (err)
		return err;
	err = hmem_shelf_get(shelf, to, &b);
	if (!err) {
		err = hmem_tx_add(tx, ranges, 2);
		if (!err) {
			*(long *)a.data -= moved;
			*in_place = 2;
			if (in_place[1]) {
				in_place[1] = 0;
				raise(SIGSTOP);
			}
			/* What it has become in between is not what it was. */
			err = again ? hmem_tx_add(tx, ranges, 1) : 0;
			*(long *)b.data += moved;
			*in_place = 3;
		}
		hmem_shelf_release(shelf, &b);
	}
	hmem_shelf_release(shelf, &a);
	return err;
}

/* The same, but stored by the commit. */
static int write_both(struct hmem_shelf *shelf, struct hmem_tx *tx, const char *from,
		      const char *to, long a, long b)
{
	struct hmem_object object;
	int err = hmem_shelf_get(shelf, from, &object);

	if (err)
		return err;
	err = hmem_tx_write(tx, &object, 0, &a, sizeof(a));
	hmem_shelf_release(shelf, &object);
	if (!err)
		err = hmem_shelf_get(shelf, to, &object);
	if (err)
		return err;
	err = hmem_tx_write(tx, &object, 0, &b, sizeof(b) / 2);
	if (!err)
		err = hmem_tx_write(tx, &object, sizeof(b) / 2, (char *)&b + sizeof(b) / 2,
				    sizeof(b) - sizeof(b) / 2);
	hmem_shelf_release(shelf, &object);
	return err;
}

/* A ticket is there for every transfer from one account, and moves with it: 0 or 1 of two. */
static int transfer(struct hmem_shelf *shelf, unsigned int *state)
{
	unsigned int from = any(state, NAMES), to = (from + 1 + any(state, NAMES - 1)) % NAMES;
	long moved = (long)any(state, 100), a, b;
	bool even = amount(shelf, "even") >= 0;
	unsigned int how = any(state, 3);
	struct hmem_tx *tx;
	int err;

	a = amount(shelf, name_of("account", from)) - moved;
	b = amount(shelf, name_of("account", to)) + moved;
	err = hmem_tx_begin(shelf, &tx);
	if (err)
		return err;
	if (!how) {
		*in_place = 1;
		err = change(shelf, tx, name_of("account", from), name_of("account", to), moved,
			     any(state, 4));
	} else if (how == 1) {
		*in_place = 0;
		err = write_both(shelf, tx, name_of("account", from), name_of("account", to), a, b);
	} else {
		*in_place = 0;
		err = hmem_tx_put(tx, name_of("account", from), &a, sizeof(a), NULL);
		if (!err)
			err = hmem_tx_put(tx, name_of("account", to), &b, sizeof(b), NULL);
	}
	if (how < 2 && !err && any(state, 2))
		return any(state, 6) ? hmem_tx_commit(tx) : hmem_tx_abort(tx);
	if (!err)
		err = hmem_tx_put(tx, even ? "odd" : "even", &moved, sizeof(moved), NULL);
	if (!err && (even || amount(shelf, "odd") >= 0))
		err = hmem_tx_delete(tx, even ? "even" : "odd");
	for (unsigned int i = 0; i < WIDE && !err && !any(state, 4); i++)
		err = hmem_tx_put(tx, name_of("wide", i), &a, sizeof(a), NULL);
	if (!err && !any(state, 8))
		return hmem_tx_abort(tx);
	return err ? err : hmem_tx_commit(tx);
}

/*
 * Nothing else than what is there: whose it was is cleaned up when the object is taken, and so
 * before it is looked at.
 */
static int write_twice(struct hmem_shelf *shelf, struct hmem_tx *tx, const char *name)
{
	struct hmem_object object;
	int err = hmem_shelf_get(shelf, name, &object);
	char byte;

	if (err)
		return err;
	memcpy(&byte, object.data, 1);
	err = hmem_tx_write(tx, &object, 0, &byte, 1);
	memcpy(&byte, object.data, 1);
	if (!err)
		err = hmem_tx_write(tx, &object, 0, &byte, 1);
	hmem_shelf_release(shelf, &object);
	return err;
}

/*
 * By one who has found a writer dead. What he has read before is of no use to him, as reads
 * do not clean up; what he adds to a transaction is.
 */
static int transfer_after(struct hmem_shelf *shelf, unsigned int *state)
{
	unsigned int from = any(state, NAMES), to = (from + 1 + any(state, NAMES - 1)) % NAMES;
	bool writes = any(state, 2);
	int err;

	do {
		struct hmem_tx *tx;

		err = hmem_tx_begin(shelf, &tx);
		if (err)
			return err;
		err = writes ? write_twice(shelf, tx, name_of("account", from)) :
			       change(shelf, tx, name_of("account", from), name_of("account", to),
				      (long)any(state, 100), any(state, 4));
		if (err)
			hmem_tx_abort(tx);
		else
			err = hmem_tx_commit(tx);
		/* The dead one had replaced it. */
	} while (err == -ENOENT);
	return err;
}

static void work(unsigned int state, bool ordered)
{
	struct hmem_shelf *shelf = open_again();
	int err = 0;

	(void)ordered;
	for (unsigned int i = any(&state, 3); i && !err; i--)
		err = transfer(shelf, &state);
	raise(SIGSTOP);
	while (!err)
		err = transfer(shelf, &state);
	fprintf(stderr, "# a transfer: %d: %s\n", err, hmem_last_error(ctx));
	_exit(3);
}

/* What may not have been cleaned up after a death is half done, as reads do not wait. */
static void look(struct hmem_shelf *shelf, long seen[NAMES])
{
	for (unsigned int i = 0; i < NAMES; i++)
		seen[i] = amount(shelf, name_of("account", i));
}

/* Has the check cleaned up so that all or nothing of the last transfer is there? */
static bool whole(struct hmem_shelf *shelf, const long before[NAMES], const long seen[NAMES])
{
	bool first = amount(shelf, "even") >= 0, second = amount(shelf, "odd") >= 0;
	long sum = 0;

	for (unsigned int i = 0; i < NAMES; i++) {
		long now = amount(shelf, name_of("account", i));

		sum += now;
		/* What has been seen to be new stays. */
		if (seen[i] != before[i] && now != seen[i]) {
			tap_diag("account %u was %ld, seen as %ld and is %ld", i, before[i],
				 seen[i], now);
			return false;
		}
	}
	if (sum != SUM || (first && second)) {
		tap_diag("the sum is %ld; even %d, odd %d", sum, first, second);
		return false;
	}
	return true;
}

/* To where a death does the most harm. */
static bool run_to_half(pid_t child)
{
	int status;

	in_place[1] = 1;
	return !ptrace(PTRACE_CONT, child, 0, 0) && waitpid(child, &status, 0) == child &&
	       WIFSTOPPED(status);
}

/* A child that stands before a random instruction of a transfer dies there. */
static bool one_death(struct hmem_shelf *shelf, unsigned int *state, unsigned int steps)
{
	long before[NAMES], seen[NAMES];
	pid_t child = traced_start(work, *state, false);
	bool good = true;
	int mode, status;

	look(shelf, before);
	if (any(state, 2)) {
		good = run_to_half(child);
		steps = 1 + any(state, 3000 * LONGER);
	}
	for (; steps && good; steps--)
		good = traced_step(child, &status);
	if (!good)
		tap_diag("a writer ended");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	look(shelf, seen);
	mode = *in_place;
	if (mode)
		memcpy(seen, before, sizeof(seen));
	/* Sometimes it is another writer who finds it dead, and not the check. */
	if (good && any(state, 2)) {
		int err = transfer_after(shelf, state);

		good = !err;
		if (err)
			tap_diag("after a death: %d: %s", err, hmem_last_error(ctx));
		memcpy(seen, before, sizeof(seen));
	}
	*in_place = mode;
	return good && !hmem_shelf_check(shelf, tell, NULL) && whole(shelf, before, seen);
}

static void test_deaths(bool ordered, unsigned int shelves, unsigned int deaths)
{
	unsigned int state = ordered ? 7 : 1, done = 0, half = 0;
	bool good = true;

	/* Few deaths may all be elsewhere. */
	for (unsigned int i = 0; (i < shelves || (!half && i < 20 * shelves)) && good; i++) {
		struct hmem_region *region;
		struct hmem_shelf *shelf = make_shelf(ordered, &region);

		for (unsigned int j = 0; j < deaths && good; j++, done++) {
			unsigned int steps =
				LONGER * any(&state, any(&state, 4) ? 30000 : 60000);

			good = one_death(shelf, &state, steps);
			half += *in_place == 2;
			if (!good)
				tap_diag("shelf %u, death %u, after %u steps", i, j, steps);
		}
		good = !hmem_shelf_close(shelf) && good;
		hmem_region_close(region);
	}
	TAP_OK(good, "%s: %u deaths in the middle of transactions",
	       ordered ? "ordered" : "not ordered", done);
	TAP_OK(half > 0, "%u of them when only one of two had been changed in place", half);
}

int main(int argc, char **argv)
{
	unsigned int shelves = argc > 1 ? (unsigned int)atoi(argv[1]) :
					  (unsigned int)sanitized("shelves", 3, 8, 8);
	unsigned int deaths = (unsigned int)sanitized("deaths", 20, 2, 8);

	traced_begin("shelf_tx_step");
	in_place = mmap(NULL, 2 * sizeof(*in_place), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (in_place == MAP_FAILED)
		tap_bail("no memory to share");
	test_deaths(false, shelves, deaths);
	test_deaths(true, shelves, deaths);
	return traced_end();
}
