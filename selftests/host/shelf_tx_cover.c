// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changing many objects that one commit of somebody else has written to is as much work for each as
 * changing a few: that commit is covered once, and not for each object, nor by each call.
 */
#include <string.h>

#include "shelf_traced.h"

/* The first has to be no more than as many times what the second is. */
#define MANY 40u
#define FEW  8u
/* Linear, it is 5; and 25 or 125 if it grows with the square or the cube. */
#define MOST (2 * MANY / FEW)

static void need(int err)
{
	if (err)
		tap_bail("%d, %s", err, hmem_last_error(ctx));
}

/* One call for each object. */
static int change_all(struct hmem_shelf *shelf, struct hmem_tx *tx, unsigned int nr, bool add)
{
	struct hmem_object object;
	struct hmem_range range = { &object, 0, 8 };
	char name[16];
	int err = 0;

	for (unsigned int i = 0; i < nr && !err; i++) {
		snprintf(name, sizeof(name), "%u", i);
		err = hmem_shelf_get(shelf, name, &object);
		if (err)
			return err;
		err = add ? hmem_tx_add(tx, &range, 1) :
			    hmem_tx_write(tx, &object, 0, "12345678", 8);
		hmem_shelf_release(shelf, &object);
	}
	return err;
}

/* --- in a child: what is counted lies between two stops -------------------------------- */

static void commit_writes(unsigned int nr, bool ordered)
{
	struct hmem_shelf *shelf = open_again();
	struct hmem_tx *tx;
	int err;

	(void)ordered;
	if (hmem_tx_begin(shelf, &tx) || change_all(shelf, tx, nr, false))
		_exit(3);
	raise(SIGSTOP);
	err = hmem_tx_commit(tx);
	raise(SIGSTOP);
	_exit(err || hmem_shelf_close(shelf));
}

static void add_ranges(unsigned int nr, bool ordered)
{
	struct hmem_shelf *shelf = open_again();
	struct hmem_tx *tx;
	int err;

	(void)ordered;
	if (hmem_tx_begin(shelf, &tx))
		_exit(3);
	raise(SIGSTOP);
	err = change_all(shelf, tx, nr, true);
	raise(SIGSTOP);
	_exit(err || hmem_tx_commit(tx) || hmem_shelf_close(shelf));
}

/* --- counting ------------------------------------------------------------------------ */

static unsigned long count(void (*fn)(unsigned int nr, bool ordered), unsigned int nr)
{
	struct hmem_region *region;
	struct hmem_shelf *shelf = make_empty(false, &region);
	unsigned long steps = 0;
	struct hmem_tx *tx;
	char name[16];
	pid_t child;
	int status;

	for (unsigned int i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "%u", i);
		need(hmem_shelf_put(shelf, name, "........", 8, NULL));
	}
	need(hmem_tx_begin(shelf, &tx));
	need(change_all(shelf, tx, nr, false));
	need(hmem_tx_commit(tx));
	child = traced_start(fn, nr, false);
	while (traced_step(child, &status) && WSTOPSIG(status) == SIGTRAP)
		steps++;
	if (!WIFSTOPPED(status) || ptrace(PTRACE_CONT, child, 0, 0) ||
	    waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status))
		tap_bail("the other process fails: %#x", (unsigned int)status);
	need(hmem_shelf_check(shelf, tell, NULL));
	need(hmem_shelf_close(shelf));
	hmem_region_close(region);
	return steps;
}

static void compare(void (*fn)(unsigned int nr, bool ordered), const char *what)
{
	unsigned long few = count(fn, FEW), many = count(fn, MANY);

	tap_diag("%u: %lu instructions; %u: %lu", FEW, few, MANY, many);
	TAP_OK(many < MOST * few, "%s", what);
}

int main(void)
{
	traced_begin("shelf_tx_cover");
	compare(commit_writes, "writing to what somebody else's commit has written to");
	compare(add_ranges, "adding ranges of it, one call each");
	return traced_end();
}
