// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that a msync(2) failed to write, or that somebody had stored to when he died, are not taken
 * for durable: whoever builds on what they hold has them written first. So what anybody was told is
 * there when the power has gone.
 */
#include "../../lib/shelf_lock.h"
#include "shelf_media.h"
#include "shelf_told.h"

/*
 * What came of all faults of a kind. @told: so many got -EIO; @after: so many of those who came
 * next were let do what they wanted; @useless: and so many could open it, and not change it
 */
struct tally {
	unsigned int faults, told, after, useless, lost;
};

/* --- leaving, and beginning ---------------------------------------------------------- */

static int read_it(void)
{
	int err = open_shelf(HMEM_SHELF_READ_ONLY);

	if (!err)
		meet();
	return err;
}

/* With an index and maps of more than a page. */
static int use(void)
{
	int err = open_shelf(0);

	return err ? err : put_all(OLD, 320, 60, 0);
}

static int leave(void)
{
	int err = use();

	cache_fails = true;
	return err ? err : hmem_shelf_close(shelf);
}

static int look_and_leave(void)
{
	int err = open_shelf(0);

	return err ? err : hmem_shelf_close(shelf);
}

static void test_leaving(void)
{
	struct tally tally = { 0 };
	struct process reader;

	for (int torn = 0; torn < 2; torn++) {
		cache_fault.torn = torn;
		for (cache_fault.fail = 1;; cache_fault.fail++) {
			again();
			begin_and_meet(&reader, read_it);
			tally.told += run(leave) == -EIO;
			if (!cache->failed)
				break;
			tally.faults++;
			tally.after += !run(look_and_leave);
			let_go(&reader);
			tally.lost += loses("leaving", look);
		}
		let_go(&reader);
	}
	TAP_OK(tally.faults >= 6, "a write-back fails while a shelf is left: %u times",
	       tally.faults);
	TAP_EQ(tally.told, tally.faults, "who leaves it is told");
	TAP_EQ(tally.after, 0, "who comes next, while somebody reads it, leaves it no better");
	TAP_EQ(tally.lost, 0, "what they were told is there when the power has gone");
}

static bool media_are_clean(void)
{
	struct media media = { .file = cache->media, .bytes = CACHE_BYTES };
	const struct shelf_super *a = media_at(&media, 0), *b = media_at(&media, SUPER_COPY_BYTES);

	return a->clean && b->clean;
}

/* The superblock says so, and the runtime does not yet. */
static int die_when_left(void)
{
	int err = use();

	cache_dies_when = media_are_clean;
	return err ? err : hmem_shelf_close(shelf);
}

static int open_failing(void)
{
	cache_fails = true;
	return open_shelf(0);
}

static int use_more(void)
{
	int err = open_shelf(0);

	return err ? err : put_all(400, 420, 60, 0);
}

/* Did a msync(2) fail? */
static bool begin_after_death(struct tally *tally, bool reading)
{
	struct process reader;
	bool failed;
	int err;

	again();
	begin_and_meet(&reader, read_it);
	if (run(die_when_left) != CACHE_DIED)
		tap_bail("a shelf was left, and nobody died");
	if (!reading)
		let_go(&reader);
	tally->told += run(open_failing) == -EIO;
	failed = cache->failed;
	tally->faults += failed;
	if (failed) {
		err = run(use_more);
		tally->after += !err;
		tally->useless += err == -EROFS;
	}
	if (reading)
		let_go(&reader);
	return failed;
}

static void test_beginning(bool reading)
{
	struct tally tally = { 0 };

	for (int torn = 0; torn < 2; torn++) {
		cache_fault.torn = torn;
		for (cache_fault.fail = 1; begin_after_death(&tally, reading); cache_fault.fail++)
			tally.lost += loses("beginning", look);
	}
	TAP_OK(tally.faults >= 6, "it fails while a shelf is opened that %s reads: %u times",
	       reading ? "somebody" : "nobody", tally.faults);
	TAP_EQ(tally.told, tally.faults, "who opens it is told");
	/* In each round the first one was that of the table, which he has written again. */
	TAP_EQ(tally.after, reading ? 2 : tally.faults, "who comes next %s",
	       reading ? "changes nothing, if it was the superblock" : "puts more");
	TAP_EQ(tally.useless, 0, "and does not open what takes no updates");
	TAP_EQ(tally.lost, 0, "what they were told is there when the power has gone");
}

/* --- what is found ------------------------------------------------------------------- */

/* The old value of each is erased under the fence of the next. */
static int replace(void)
{
	int err = open_shelf(0);

	if (!err)
		err = put_all(OLD, OLD + 4, 40000, 0);
	cache_fails = true;
	return err ? err : put_all(OLD, OLD + 4, 60, 0);
}

/* Wherever there is room; but not at the beginning of an old value, in whose page it begins. */
static int fill(void)
{
	int err = open_shelf(0);

	if (!err)
		err = put_all(OLD + 4, OBJECTS, 9000, 16384);
	return err == -ENOSPC ? 0 : err;
}

static void test_erased(void)
{
	unsigned int reopened = 0, retold = 0;
	struct tally tally = { 0 };

	cache_fault.torn = false;
	for (unsigned int i = 1; i <= 4; i++)
		for (unsigned int j = 0;; j++) {
			again();
			cache_fault.fail = i;
			tally.faults++;
			tally.told += run(replace) == -EIO;
			cache_fault.fail = j;
			retold += run(open_failing) == -EIO;
			if (j && !cache->failed)
				break;
			reopened += j != 0;
			tally.after += !run(fill);
			tally.lost += loses("recovering", look);
		}
	TAP_OK(reopened >= 12, "it fails when objects are replaced, and %u times when it is opened",
	       reopened);
	TAP_EQ(tally.told, tally.faults, "who replaces them is told");
	TAP_EQ(retold, reopened, "and who opens the shelf then");
	TAP_EQ(tally.after, reopened + 4, "the next one uses their memory");
	TAP_EQ(tally.lost, 0, "what was erased does not come back with the power");
}

/* The power goes in each msync(2) of @then, after each one that has failed in @first. */
static void cut_after(struct tally *tally, const char *what, int (*first)(void), int (*then)(void),
		      int (*looks)(void))
{
	for (cache_fault.fail = 1;; cache_fault.fail++) {
		int err = CACHE_DIED;

		for (cache_fault.die = 1; err == CACHE_DIED; cache_fault.die++) {
			again();
			tally->told += run(first) == -EIO;
			if (!cache->failed)
				return;
			tally->faults++;
			err = run(then);
			tally->after += err == CACHE_DIED;
			tally->lost += loses(what, looks);
		}
	}
}

static int open_dying(void)
{
	cache_dies = true;
	return open_shelf(0);
}

/* A write that fails damages one copy, and the power goes while the other is being written. */
static void test_superblock(void)
{
	struct tally tally = { 0 };

	cache_fault.torn = true;
	cut_after(&tally, "the superblock", open_failing, open_dying, look);
	TAP_OK(tally.after >= 9, "it fails when one is opened, and the power goes: %u times",
	       tally.after);
	TAP_EQ(tally.lost, 0, "one of the superblocks is whole");
}

/* The first shelf is as it was, or it is gone. */
static int look_at_both(void)
{
	int err = look();

	if (err == -ENOENT)
		err = 0;
	return err || !told->made ? err : hmem_shelf_open(region, "t", NULL, &shelf);
}

static int destroy(void)
{
	int err = open_region();

	cache_fails = true;
	return err ? err : hmem_shelf_destroy(region, "s");
}

static int make_another(void)
{
	int err = open_region();

	cache_dies = true;
	if (!err)
		err = create("t");
	told->made = !err;
	return err;
}

static void test_table(void)
{
	struct tally tally = { 0 };

	for (int torn = 0; torn < 2; torn++) {
		cache_fault.torn = torn;
		cut_after(&tally, "the table", destroy, make_another, look_at_both);
	}
	TAP_OK(tally.after >= 30, "it fails when one is destroyed, and the power goes: %u times",
	       tally.after);
	TAP_EQ(tally.told, tally.faults, "who destroys it is told");
	TAP_EQ(tally.lost, 0, "it is whole or gone, whoever got its memory");
}

/* --- a table that has grown ---------------------------------------------------------- */

static int stay(void)
{
	int err = open_shelf(0);

	if (err)
		return err;
	meet();
	return hmem_shelf_close(shelf);
}

static bool meets_opening;

OVERRIDE int fcntl(int fd, int command, ...)
{
	REAL(int, "fcntl", int, int, ...);
	const struct flock *lock;
	va_list ap;

	va_start(ap, command);
	lock = va_arg(ap, const struct flock *);
	va_end(ap);
	if (meets_opening && command == F_OFD_SETLK &&
	    lock->l_start == ((off_t)1 << 62) + SHELF_BYTE_OPENING) {
		meets_opening = false;
		meet();
	}
	return real(fd, command, lock);
}

/* Waits between the two looks that are taken at the table, the second one with a lock. */
static int fill_late(void)
{
	meets_opening = true;
	return fill();
}

static int grow(void)
{
	int err = open_shelf(0);

	cache_fails = true;
	cache_dies = true;
	return err ? err : hmem_shelf_grow(shelf, 4 * MI);
}

/* Did whoever grows it fail, or die? */
static bool grow_meanwhile(struct tally *tally)
{
	struct process user, opener;
	int err, left, filled;
	bool hit;

	again();
	begin_and_meet(&user, stay);
	begin_and_meet(&opener, fill_late);
	err = run(grow);
	hit = cache->failed || err == CACHE_DIED;
	left = let_go(&user);
	filled = let_go(&opener);
	tally->faults += hit;
	tally->told += hit && err;
	tally->after += hit && !left && !filled;
	tally->lost += loses("growing", look);
	return hit;
}

static void test_grown(void)
{
	struct tally tally = { 0 };

	for (int round = 0; round < 4; round++) {
		unsigned int *at = round & 1 ? &cache_fault.fail : &cache_fault.die;

		cache_fault.torn = round & 2;
		cache_fault.fail = 0;
		cache_fault.die = 0;
		do
			++*at;
		while (grow_meanwhile(&tally));
	}
	TAP_OK(tally.faults >= 12, "who grows one while it is opened fails or dies: %u times",
	       tally.faults);
	TAP_EQ(tally.told, tally.faults, "who fails is told");
	TAP_EQ(tally.after, tally.faults, "who opens it fills it");
	TAP_EQ(tally.lost, 0, "all of that is there when the power has gone");
}

int main(void)
{
	told_begin("shelf-unwritten");
	test_leaving();
	test_beginning(true);
	test_beginning(false);
	test_erased();
	test_superblock();
	test_table();
	test_grown();
	told_end();
	return tap_done();
}
