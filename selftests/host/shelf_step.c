// SPDX-License-Identifier: GPL-2.0-only
/*
 * Listing a shelf while its writer stands at any instruction of putting, deleting and
 * splitting, and after it has died there; and while the lister stands at any
 * instruction of its own and others change everything under it.
 *
 * Names are steady, and have to be listed exactly once, or fleeting.
 */
#include "sanitized.h"
#include "shelf_traced.h"

#define STEADY	  40
#define FLEETING  600
#define NAMES	  (STEADY + FLEETING)

static unsigned int random_below(unsigned int *state, unsigned int n)
{
	*state = *state * 1103515245 + 12345;
	return (*state >> 8) % n;
}

static const char *name_of(unsigned int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "%03u%s", i * 37 % NAMES, i % 3 ? "" : " with a longer name");
	return name;
}

static struct hmem_shelf *make_shelf(bool ordered, struct hmem_region **region)
{
	struct hmem_shelf *shelf = make_empty(ordered, region);

	for (unsigned int i = 0; i < STEADY; i++)
		if (hmem_shelf_put(shelf, name_of(i), "x", 1, NULL))
			tap_bail("%s", hmem_last_error(ctx));
	return shelf;
}

static void change(struct hmem_shelf *shelf, unsigned int *state)
{
	unsigned int i = random_below(state, NAMES);
	int err;

	if (i < STEADY || random_below(state, 5) < 3)
		err = hmem_shelf_put(shelf, name_of(i), path, i % 200, NULL);
	else
		err = hmem_shelf_delete(shelf, name_of(i));
	if (err && err != -ENOENT) {
		fprintf(stderr, "# changing: %s\n", hmem_last_error(ctx));
		_exit(3);
	}
}

/* Each steady name once, no other twice, in order; and what is listed is there, if @still. */
static bool list_once(struct hmem_shelf *shelf, bool ordered, bool still)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	unsigned char seen[NAMES] = { 0 };
	struct hmem_cursor *cursor;
	char last[64] = "";
	bool good = true;
	int got;

	if (hmem_cursor_open(shelf, NULL, 0, &cursor))
		return false;
	while ((got = hmem_cursor_next(cursor, &entry)) > 0) {
		unsigned long number = strtoul(entry.name, NULL, 10);

		good = good && number < NAMES && !seen[number]++ &&
		       (!ordered || strcmp(last, entry.name) < 0);
		strcpy(last, entry.name);
	}
	hmem_cursor_close(cursor);
	for (unsigned int i = 0; i < NAMES && good; i++) {
		struct hmem_object object;
		bool there;

		if (i < STEADY && !seen[i * 37 % NAMES])
			good = false;
		if (i < STEADY || !still)
			continue;
		there = !hmem_shelf_get(shelf, name_of(i), &object);
		if (there)
			hmem_shelf_release(shelf, &object);
		good = there == seen[i * 37 % NAMES];
	}
	if (got < 0)
		fprintf(stderr, "# %s\n", hmem_last_error(ctx));
	return good && !got;
}

/* --- the writer stands, or dies ------------------------------------------------------ */

static void write_on(unsigned int state, bool ordered)
{
	struct hmem_shelf *shelf = open_again();

	(void)ordered;
	raise(SIGSTOP);
	for (;;)
		change(shelf, &state);
}

/* Let a child run on for a while. False when it has ended. */
static bool run_on(pid_t child, unsigned int *state, int *status)
{
	if (ptrace(PTRACE_CONT, child, 0, 0))
		return false;
	for (volatile unsigned int spin = random_below(state, 20000); spin;)
		spin--;
	kill(child, SIGSTOP);
	return waitpid(child, status, 0) == child && WIFSTOPPED(*status);
}

static void test_writer(bool ordered, unsigned int shelves, unsigned int writers)
{
	const char *kind = ordered ? "ordered" : "not ordered";
	unsigned int state = 1, listings = 0, killed = 0;
	bool good = true;

	for (unsigned int round = 0; round < shelves && good; round++) {
		struct hmem_region *region;
		struct hmem_shelf *shelf = make_shelf(ordered, &region);

		for (unsigned int w = 0; w < writers && good; w++) {
			pid_t child = traced_start(write_on, state + 77 * w, ordered);
			unsigned int left = random_below(&state, 600);
			int status;

			if (!run_on(child, &state, &status))
				tap_bail("a writer ended");
			for (; left && good; left--) {
				if (!traced_step(child, &status))
					tap_bail("a writer ended");
				if (random_below(&state, 20))
					continue;
				good = list_once(shelf, ordered, false);
				listings++;
			}
			if (!good)
				tap_diag("shelf %u, writer %u", round, w);
			kill(child, SIGKILL);
			waitpid(child, NULL, 0);
			killed++;
			good = good && !hmem_shelf_check(shelf, tell, NULL) &&
			       list_once(shelf, ordered, true);
		}
		good = good && !hmem_shelf_close(shelf);
		hmem_region_close(region);
	}
	TAP_OK(good, "%s: %u listings while a writer stood anywhere, and %u after it died there", kind,
	       listings, killed);
}

/* --- the lister stands --------------------------------------------------------------- */

static void list_on(unsigned int state, bool ordered)
{
	struct hmem_shelf *shelf = open_again();

	(void)state;
	raise(SIGSTOP);
	for (unsigned int i = 0; i < 4; i++)
		if (!list_once(shelf, ordered, false))
			_exit(1);
	_exit(hmem_shelf_close(shelf) ? 5 : 0);
}

/* Up to @shelves times: a lister, which from time to time stands while much is changed. */
static void test_lister(bool ordered, unsigned int shelves)
{
	const char *kind = ordered ? "ordered" : "not ordered";
	unsigned int state = 1, stops = 0;
	bool good = true;

	for (unsigned int round = 0; round < shelves && good; round++) {
		struct hmem_region *region;
		struct hmem_shelf *shelf = make_shelf(ordered, &region);
		pid_t child = traced_start(list_on, 0, ordered);
		unsigned int steps = 0;
		int status = 0;

		while (steps ? traced_step(child, &status) : run_on(child, &state, &status)) {
			steps = steps ? steps - 1 : 200;
			if (random_below(&state, 30))
				continue;
			stops++;
			for (unsigned int i = random_below(&state, 8) ? 3 : 400; i; i--)
				change(shelf, &state);
		}
		good = WIFEXITED(status) && !WEXITSTATUS(status);
		if (!good)
			tap_diag("shelf %u: status %#x", round, (unsigned int)status);
		good = !hmem_shelf_close(shelf) && good;
		hmem_region_close(region);
	}
	TAP_OK(good, "%s: a lister stood %u times while much was changed", kind, stops);
}

int main(void)
{
	unsigned int writers, listers;

	traced_begin("shelf_step");
	writers = (unsigned int)sanitized("shelves with writers", 12, 4, 12);
	listers = (unsigned int)sanitized("shelves with listers", 18, 3, 18);
	test_writer(true, writers, 20);
	test_writer(false, writers, 20);
	test_lister(true, listers);
	test_lister(false, listers);
	return traced_end();
}
