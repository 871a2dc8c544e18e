// SPDX-License-Identifier: GPL-2.0-only
/*
 * The power goes after a writer has died, or while another looks after what he has left: what was
 * committed or deleted before stays so. One scene for each way in which it did not.
 *
 * Who has stopped with a lock in hand is not there: the lock says that he has it.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include <hmem/tx.h>

#include "acts.h"
#include "alive.h"
#include "clock.h"
#include "say.h"
#include "scene.h"
#include "shelf.h"
#include "shelf_lock.h"
#include "shelf_record.h"
#include "shelf_tx.h"
#include "takeovers.h"

#define HEAP	((uint64_t)1 << 21)
/* For what is to go on; for what has to give up. */
#define WAIT	2000u
#define GIVE_UP	100u
/* To be told from waiting for many. */
#define LONG	400
/* A record of so many bytes takes as much as a block of a transaction. */
#define AS_A_BLOCK	104u

/* Whose threads go on, and another process's. */
static struct hmem_shelf *shelf, *other;

/* --- two have committed to one object, a third finds no memory -------------------------- */

static unsigned int looked, lost;

/* The second commit has returned: it may not be undone any more. */
static void second_stays(enum lines_event event)
{
	int byte;

	if (event != LINES_FENCED)
		return;
	looked++;
	byte = first_byte_left("object");
	if (byte == '2')
		return;
	say("%d is left of the second commit", byte);
	lost++;
}

static void take_slot(void)
{
	put(shelf, "second's own", VALUE, 'x');
}

static void first_commits(void)
{
	put(shelf, "first's own", VALUE, 'x');
	commit_write(shelf, "object", VALUE, '1');
}

static void second_commits(void)
{
	commit_write(shelf, "object", VALUE, '2');
}

static int play_two_commits(void)
{
	static struct actor first, second;

	shelf = scene_shelf(HEAP, 0, WAIT);
	put(shelf, "object", VALUE, '0');
	lines_begin(scene_file());
	actor_start(&first);
	actor_start(&second);
	/* His slot is the one that is looked at before the other. */
	actor_does(&second, take_slot);
	actor_does(&first, first_commits);
	actor_does(&second, second_commits);
	lines_hook = second_stays;
	fill(shelf);
	return lost || !looked;
}

/* --- a commit fails when it has got its memory already ----------------------------------- */

/* Until an object lies where the commit was to be. */
static bool put_there(uint64_t there, char *name, size_t room)
{
	struct hmem_object object;
	uint64_t at = 0;

	for (unsigned int i = 0; i < HEAP / AS_A_BLOCK && at != there; i++) {
		snprintf(name, room, "new%u", i);
		put(shelf, name, AS_A_BLOCK, 'n');
		need(hmem_shelf_get(shelf, name, &object), name);
		at = shelf_offset(shelf, object.data) - sizeof(struct record);
		hmem_shelf_release(shelf, &object);
	}
	return at == there;
}

/* The word of a block that leads to it is not to be believed any more. */
static uint64_t failed_commit(void)
{
	struct slot *first = shelf_slot(shelf, 1), *own = shelf_slot(shelf, 0);
	struct hmem_object object;
	char value[VALUE] = "";
	struct tx_block *block;
	struct hmem_tx *tx;
	int err;

	need(hmem_shelf_get(shelf, "object", &object), "object");
	need(hmem_tx_begin(shelf, &tx), "begin");
	need(hmem_tx_write(tx, &object, 0, value, VALUE / 2), "write");
	first->tx_lock = 1;
	err = hmem_tx_commit(tx);
	first->tx_lock = 0;
	hmem_shelf_release(shelf, &object);
	if (err != -EBUSY)
		bail("a commit whose way is blocked: %d", err);
	block = tx_block_at(shelf, own->tx_spare);
	return block ? block->commit : 0;
}

/* Its block is used again, by a transaction that has no commit of its own. */
static void commit_in_place(void)
{
	struct hmem_object object;
	struct hmem_range range = { &object, 0, 8 };
	struct hmem_tx *tx;

	need(hmem_shelf_get(shelf, "in place", &object), "in place");
	need(hmem_tx_begin(shelf, &tx), "begin");
	need(hmem_tx_add(tx, &range, 1), "add");
	memset(object.data, 'r', 8);
	need(hmem_tx_commit(tx), "commit");
	hmem_shelf_release(shelf, &object);
}

static int play_failed_commit(void)
{
	static struct actor first;
	char name[32] = "";
	uint64_t there;

	shelf = scene_shelf(HEAP, 0, GIVE_UP);
	put(shelf, "object", VALUE, '0');
	put(shelf, "in place", VALUE, '0');
	actor_start(&first);
	actor_does(&first, first_commits);
	there = failed_commit();
	/* Nothing is left of it that could lead anywhere. */
	if (!there)
		return 0;
	if (!put_there(there, name, sizeof(name)))
		bail("nothing comes to lie where the commit was");
	commit_in_place();
	for (unsigned int i = 0; i < 40; i++) {
		put(shelf, "fence", 8, 'f');
		commit_write(shelf, "in place", 8, 's');
	}
	if (!record_load(shelf, there).state)
		say("%s is erased, which nobody has deleted", name);
	return first_byte(shelf, name) != 'n' || !record_load(shelf, there).state ||
	       scene_check(shelf);
}

/* --- somebody dies, one who looks after it stops, and it is deleted ----------------------- */

/* Where the one stops, counted in his fences; those that he has made. */
static unsigned int stop_at, fences;
static __thread bool stops;
static sem_t stopped;

static void maybe_stop(enum lines_event event)
{
	if (event != LINES_FENCE || !stops || ++fences != stop_at)
		return;
	sem_post(&stopped);
	stop_for_ever();
}

static void replace_by_commit(void)
{
	char value[256];
	struct hmem_tx *tx;

	memset(value, '2', sizeof(value));
	put(other, "before", 256, 'p');
	put(other, "deleted", 256, '1');
	put(other, "behind", 256, 'p');
	need(hmem_tx_begin(other, &tx), "begin");
	need(hmem_tx_put(tx, "deleted", value, sizeof(value), NULL), "put");
	need(hmem_tx_commit(tx), "commit");
}

static void *fill_and_stop(void *arg)
{
	stops = true;
	fill(shelf);
	/* He was not stopped. */
	stop_at = 0;
	sem_post(&stopped);
	stop_for_ever();
	return arg;
}

/* There are not as many fences. */
#define STOPPED_NOWHERE 2

static int play_deleted(void)
{
	static struct actor dies;
	pthread_t thread;
	int err, byte;

	shelf = scene_shelf(HEAP, 0, GIVE_UP);
	put(shelf, "own", VALUE, '0');
	other = scene_open(GIVE_UP);
	lines_begin(scene_file());
	actor_start(&dies);
	actor_does(&dies, replace_by_commit);
	sem_init(&stopped, 0, 0);
	lines_hook = maybe_stop;
	if (pthread_create(&thread, NULL, fill_and_stop, NULL))
		bail("no thread");
	sem_wait(&stopped);
	if (!stop_at)
		return STOPPED_NOWHERE;
	scene_dies(other);
	takeover_all(shelf, NULL);
	err = hmem_shelf_delete(shelf, "deleted");
	if (err && err != -EBUSY)
		need(err, "delete");
	for (unsigned int i = 0; i < 3; i++)
		hmem_shelf_put(shelf, "fence", "f", 1, NULL);
	byte = first_byte_left("deleted");
	if (byte == (err ? '2' : -ENOENT))
		return 0;
	say("stopped at fence %u: delete returns %d, %d is left", stop_at, err, byte);
	return 1;
}

/* --- somebody dies who has brought a type ------------------------------------------------- */

static struct hmem_put_options typed = HMEM_PUT_OPTIONS_INIT;

static void type_begin(void)
{
	static char type[200];

	memset(type, 't', sizeof(type));
	typed.type = type;
	typed.type_bytes = sizeof(type);
}

/* A type is not written back before the commit, or the next put. */
static void bring_type(void)
{
	struct hmem_object object;
	struct hmem_range range = { &object, 0, 8 };
	struct hmem_tx *tx;

	put(other, "before", 256, 'p');
	need(hmem_shelf_get(other, "object", &object), "object");
	need(hmem_tx_begin(other, &tx), "begin");
	need(hmem_tx_add(tx, &range, 1), "add");
	need(hmem_tx_put(tx, "never", "x", 1, &typed), "put");
}

static int play_type(void)
{
	static struct actor dies;
	int byte;

	type_begin();
	shelf = scene_shelf(HEAP, 0, WAIT);
	put(shelf, "object", VALUE, '0');
	other = scene_open(WAIT);
	lines_begin(scene_file());
	actor_start(&dies);
	actor_does(&dies, bring_type);
	scene_dies(other);
	need(takeover_all(shelf, NULL), "taking over");
	need(hmem_shelf_put(shelf, "object of it", "d", 1, &typed), "put");
	byte = first_byte_left("object of it");
	if (byte != 'd')
		say("%d is left of an object of that type", byte);
	return byte != 'd';
}

/* --- somebody dies in a slot that another has left whole ---------------------------------- */

/* Its list is locked when the thread ends, so that the slot cannot be emptied. */
static void *leave_whole(void *arg)
{
	struct writer *writer;
	struct hmem_tx *tx;

	(void)arg;
	put(other, "left", VALUE, '1');
	put(other, "left", VALUE, '2');
	need(hmem_tx_begin(other, &tx), "begin");
	need(hmem_tx_put(tx, "left", "z", 1, NULL), "put");
	need(hmem_tx_commit(tx), "commit");
	writer = pthread_getspecific(other->writer_key);
	writer->slot->tx_lock = 1;
	return writer->slot;
}

static unsigned int slot_used;

static void change_in_place(void)
{
	struct hmem_object object;
	struct hmem_range range = { &object, 0, 8 };
	struct hmem_tx *tx;
	struct writer *writer;

	need(hmem_shelf_get(other, "object", &object), "object");
	need(hmem_tx_begin(other, &tx), "begin");
	need(hmem_tx_add(tx, &range, 1), "add");
	memset(object.data, '!', 8);
	writer = pthread_getspecific(other->writer_key);
	slot_used = writer->id;
}

/* As one who has found a dead writer, and has not begun yet. He dies when that is closed. */
static int lock_for_repair(unsigned int id)
{
	int fd = open(scene_file(), O_RDWR | O_CLOEXEC);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	int byte = slot_byte(shelf, id);

	lock.l_start = ((off_t)1 << 62) + byte;
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock))
		bail("locking a slot: %s", strerror(errno));
	lock.l_start += SHELF_BYTE_REPAIRS - SHELF_BYTE_SLOTS;
	if (fcntl(fd, F_OFD_SETLK, &lock))
		bail("locking its repair: %s", strerror(errno));
	return fd;
}

/* By somebody who was not there before. */
static int third_open(unsigned int wait_ms, struct hmem_shelf **third)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_region *region;
	char path[160];

	snprintf(path, sizeof(path), "file:%s", scene_file());
	options.flags = HMEM_SHELF_FLUSH;
	options.wait_ms = wait_ms;
	need(hmem_region_open(scene_ctx, path, 0, &region), "the region");
	return hmem_shelf_open(region, "s", &options, third);
}

static int play_whole(void)
{
	static struct actor dies;
	struct hmem_shelf *third;
	struct slot *slot;
	pthread_t thread;
	void *left;
	int err;

	shelf = scene_shelf(HEAP, 0, GIVE_UP);
	put(shelf, "object", VALUE, '0');
	other = scene_open(GIVE_UP);
	if (pthread_create(&thread, NULL, leave_whole, NULL) || pthread_join(thread, &left))
		bail("no thread");
	slot = left;
	slot->tx_lock = 0;
	actor_start(&dies);
	actor_does(&dies, change_in_place);
	if (shelf_slot(other, slot_used) != slot)
		bail("the slot is not used again");
	scene_dies(other);
	lock_for_repair(slot_used);
	err = third_open(GIVE_UP, &third);
	if (!err)
		say("opened while what is uncommitted is there: %d", first_byte(third, "object"));
	return err != -EBUSY;
}

/* --- somebody else has the lock of a dead writer's slot -------------------------------------- */

/* Of this thread: asked before each lock; it stops for ever when it has got a slot's. */
static __thread void (*before_lock)(int command, off_t at);
static __thread bool stops_with_slot;

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);

static off_t slot_at(void)
{
	return ((off_t)1 << 62) + slot_byte(shelf, slot_used);
}

int __wrap_fcntl(int fd, int command, ...)
{
	const struct flock *lock;
	va_list ap;
	int got;

	va_start(ap, command);
	lock = va_arg(ap, const struct flock *);
	va_end(ap);
	if (before_lock && (command == F_OFD_SETLK || command == F_OFD_GETLK))
		before_lock(command, lock->l_start);
	got = __real_fcntl(fd, command, lock);
	if (stops_with_slot && !got && command == F_OFD_SETLK && lock->l_start == slot_at()) {
		sem_post(&stopped);
		stop_for_ever();
	}
	return got;
}

static void stop_in(void *(*run)(void *))
{
	pthread_t thread;

	sem_init(&stopped, 0, 0);
	if (pthread_create(&thread, NULL, run, NULL))
		bail("no thread");
	sem_wait(&stopped);
}

static int repairer;	/* his descriptor */
static bool dead_unseen;

static void *repair_and_stop(void *arg)
{
	stops_with_slot = true;
	need(takeover(shelf, NULL, slot_used), "taking over");
	bail("who takes over has not locked the slot");
	return arg;
}

/* He dies before it is asked whether he is there, and another begins before it is asked who is. */
static void replace_repairer(int command, off_t at)
{
	if (command != F_OFD_GETLK)
		return;
	if (repairer >= 0 && at == slot_at() + SHELF_BYTE_REPAIRS - SHELF_BYTE_SLOTS) {
		close(repairer);
		repairer = -1;
		dead_unseen = true;
	} else if (dead_unseen && at == slot_at()) {
		dead_unseen = false;
		stop_in(repair_and_stop);
	}
}

/* While that is there which nobody has undone. */
static int not_opened(void)
{
	struct hmem_shelf *third;
	int err = third_open(GIVE_UP, &third);

	before_lock = NULL;
	if (!err)
		say("opened while what is uncommitted is there: %d", first_byte(third, "object"));
	return err != -EBUSY;
}

static int play_second_repairer(void)
{
	static struct actor dies;

	shelf = scene_shelf(HEAP, 0, GIVE_UP);
	put(shelf, "object", VALUE, '0');
	other = scene_open(GIVE_UP);
	actor_start(&dies);
	actor_does(&dies, change_in_place);
	scene_dies(other);
	repairer = lock_for_repair(slot_used);
	before_lock = replace_repairer;
	return not_opened() || repairer >= 0 || dead_unseen;
}

static struct actor first_there;

/* The slot was free: somebody else takes it first, and dies. */
static void come_late(int command, off_t at)
{
	(void)at;
	if (command != F_OFD_SETLK)
		return;
	before_lock = NULL;
	actor_does(&first_there, change_in_place);
	scene_dies(other);
	stops_with_slot = true;
}

static void *claim_and_stop(void *arg)
{
	before_lock = come_late;
	put(shelf, "late", 8, 'l');
	bail("who came late has not locked the slot");
	return arg;
}

static int play_late(void)
{
	shelf = scene_shelf(HEAP, 0, GIVE_UP);
	put(shelf, "object", VALUE, '0');
	other = scene_open(GIVE_UP);
	actor_start(&first_there);
	stop_in(claim_and_stop);
	return not_opened();
}

/* --- many have died, and a lock is kept that each of them needs ---------------------------- */

#define DEAD	5u

static void retire_one(void)
{
	put(other, "retired", VALUE, '1');
	put(other, "retired", VALUE, '2');
}

/* What had been pinned waits in the list that all of them look at when they go. */
static void fill_limbo(void)
{
	struct hmem_object object;

	put(shelf, "pinned", VALUE, '0');
	need(hmem_shelf_get(shelf, "pinned", &object), "pinned");
	put(shelf, "pinned", VALUE, '1');
	for (unsigned int i = 0; i < SLOT_RING + 16; i++)
		put(shelf, "other", 8, 'o');
	need(limbo_empty(pthread_getspecific(shelf->writer_key)), "emptying the ring");
	if (!shelf->runtime->limbo)
		bail("nothing is retired");
}

static int play_waits(void)
{
	static struct actor dies[DEAD];
	struct hmem_shelf *third;
	int64_t before, waited;

	shelf = scene_shelf(HEAP, 0, LONG);
	fill_limbo();
	other = scene_open(LONG);
	for (unsigned int i = 0; i < DEAD; i++) {
		actor_start(&dies[i]);
		actor_does(&dies[i], retire_one);
	}
	/* This thread has stopped with it. */
	shelf->runtime->limbo_lock = 1;
	scene_dies(other);
	before = now_ms();
	need(third_open(LONG, &third), "opening it");
	waited = now_ms() - before;
	if (waited >= LONG && waited < (DEAD - 1) * LONG)
		return 0;
	say("opened after %d ms", (int)waited);
	return 1;
}

/* --- all of them ----------------------------------------------------------------------- */

/* One stops at each fence in turn who looks after the dead. */
static int play_deleted_anywhere(void)
{
	unsigned int bad = 0;
	int status = 0;

	for (stop_at = 1; status != STOPPED_NOWHERE; stop_at++) {
		status = scene_play(play_deleted);
		bad += status && status != STOPPED_NOWHERE;
	}
	return bad || stop_at < 3;
}

const struct takeover takeovers[TAKEOVERS] = {
	{ "what was committed stays while memory of earlier commits is looked for",
	  play_two_commits },
	{ "a commit that failed does not lead to what has its memory now", play_failed_commit },
	{ "what is deleted stays so, wherever one stops who looks after the dead", play_deleted },
	{ "a type that a dead writer has brought is there for others", play_type },
	{ "nobody opens it before a slot that was whole once is put in order", play_whole },
	{ "nobody opens it when one dies who puts a slot in order and another begins",
	  play_second_repairer },
	{ "nobody opens it while one who came late looks at a dead writer's slot", play_late },
	{ "opening waits once for a lock that all dead writers need", play_waits },
	{ "what could not be given back is there for who needs it", play_kept },
	{ "a commit stays whose thread has ended, and left its slot to another", play_idle },
	{ "what is put stays when a thread has closed what another had reserved on", play_far },
	{ "a handle of what was deleted stays stale over a loss of power", play_handle },
};

int takeover_play(const struct takeover *takeover)
{
	return takeover->play == play_deleted ? play_deleted_anywhere() : scene_play(takeover->play);
}
