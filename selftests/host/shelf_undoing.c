// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who opens a shelf after a process has died in it, while another is still undoing what that was
 * doing: nothing is seen half done, and nobody waits longer than he was to.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include <hmem/tx.h>

#include "../../lib/shelf_lock.h"
#include "shelf_user.h"

#define SLOTS 8u
#define BYTES 1000u

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static unsigned int slot_of(pid_t pid)
{
	for (unsigned int id = 0; id < SLOTS; id++)
		if (media_slot(&media, id)->used && media_slot(&media, id)->pid == pid)
			return id;
	tap_bail("process %d has no slot", (int)pid);
}

static void hear(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		tap_bail("another process ended");
}

/* A process that has stored to the object in place, and dies before it commits. Its slot. */
static unsigned int die_in_transaction(void)
{
	unsigned int id;
	int up[2];
	pid_t pid;

	if (pipe(up))
		tap_bail("a pipe");
	pid = fork();
	if (!pid) {
		struct hmem_object object;
		struct hmem_range range = { .object = &object, .bytes = BYTES };
		struct hmem_tx *tx;
		struct user me;

		if (join(&me, "one", 0) || hmem_shelf_get(me.shelf, "name", &object) ||
		    hmem_tx_begin(me.shelf, &tx) || hmem_tx_add(tx, &range, 1))
			_exit(1);
		memset(object.data, 'x', BYTES);
		if (write(up[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	hear(up[0]);
	close(up[0]);
	close(up[1]);
	id = slot_of(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return id;
}

/* How far the one who undoes is to get. */
enum place { BEGUN, UNDONE };

static bool is_at(const struct slot *slot, pid_t pid, enum place place)
{
	if (__atomic_load_n(&slot->repairer, __ATOMIC_SEQ_CST) != pid)
		return false;
	return place == BEGUN || __atomic_load_n(&slot->whole, __ATOMIC_SEQ_CST);
}

struct undoing {
	unsigned int dead;	/* a slot */
	pid_t pid;
};

/* A process dies, and another one is stopped while it undoes what that did. */
static void begin(struct undoing *undoing, enum place place)
{
	int status;

	undoing->pid = fork();
	if (!undoing->pid) {
		struct hmem_object object;
		struct user me;

		if (join(&me, "one", 0) || put(&me, "other", 'o', 10))
			_exit(1);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(hmem_shelf_edit(me.shelf, "name", &object) != 0);
	}
	if (waitpid(undoing->pid, &status, 0) != undoing->pid || !WIFSTOPPED(status))
		tap_bail("a process ended with status %#x", status);
	undoing->dead = die_in_transaction();
	while (!is_at(media_slot(&media, undoing->dead), undoing->pid, place)) {
		ptrace(PTRACE_SINGLESTEP, undoing->pid, NULL, NULL);
		if (waitpid(undoing->pid, &status, 0) != undoing->pid || !WIFSTOPPED(status))
			tap_bail("who was to undo ended with status %#x", status);
	}
	/* Once more, so that it is a stopped process like any other. */
	ptrace(PTRACE_DETACH, undoing->pid, NULL, (void *)(long)SIGSTOP);
}

static bool name_is(struct user *user, int byte)
{
	static char value[BYTES];
	size_t length;

	return !hmem_shelf_read(user->shelf, "name", value, BYTES, &length) && length == BYTES &&
	       is_all(value, byte, BYTES);
}

struct late_open {
	struct user user;
	pthread_t thread;
	bool good;
	int err;
};

static void *open_late(void *data)
{
	struct late_open *late = data;

	late->err = join(&late->user, "one", 60000);
	late->good = !late->err && name_is(&late->user, 'a');
	return NULL;
}

static void open_begin(struct late_open *late)
{
	*late = (struct late_open){ 0 };
	if (pthread_create(&late->thread, NULL, open_late, late))
		tap_bail("no thread");
}

/* One for each slot. */
static unsigned int used(void)
{
	unsigned int nr = 0;

	for (unsigned int id = 0; id < SLOTS; id++)
		nr += media_slot(&media, id)->used;
	return nr;
}

static void test_stopped(struct user *user)
{
	char who[64], whose[64];
	struct undoing undoing;
	struct late_open late;
	struct user hasty;
	unsigned int slots;
	int64_t begun;
	int status;

	begin(&undoing, BEGUN);
	slots = used();
	begun = now_ms();
	TAP_EQ(join(&hasty, "one", 100), -EBUSY, "while what a dead one did is being undone");
	TAP_OK(now_ms() - begun >= 100 && now_ms() - begun < 30000, "after wait_ms");
	snprintf(who, sizeof(who), "process %d undoes", (int)undoing.pid);
	snprintf(whose, sizeof(whose), "dead process %d ",
		 (int)media_slot(&media, undoing.dead)->pid);
	TAP_OK(strstr(hmem_last_error(ctx), who) && strstr(hmem_last_error(ctx), whose),
	       "the last error says who is at it, and whose it was");
	tap_diag("%s", hmem_last_error(ctx));
	TAP_EQ(used(), slots, "no slot is left of that");
	hmem_region_close(hasty.region);
	open_begin(&late);
	kill(undoing.pid, SIGCONT);
	pthread_join(late.thread, NULL);
	TAP_EQ(late.err, 0, "who waits longer opens it when that has been done");
	TAP_OK(late.good, "and sees what was there before");
	TAP_OK(waitpid(undoing.pid, &status, 0) == undoing.pid && !status, "the other one goes on");
	leave(&late.user);
	TAP_OK(name_is(user, 'a'), "so do the others");
}

static void test_killed(void)
{
	struct undoing undoing;
	struct late_open late;

	begin(&undoing, BEGUN);
	open_begin(&late);
	kill(undoing.pid, SIGKILL);
	waitpid(undoing.pid, NULL, 0);
	pthread_join(late.thread, NULL);
	TAP_EQ(late.err, 0, "when that dies as well, who opens does not wait for it");
	TAP_OK(late.good, "and has undone it");
	leave(&late.user);
}

/* Memory has still to be given back, which is in nobody's way. */
static void test_undone(void)
{
	struct undoing undoing;
	struct user hasty;
	int status;

	begin(&undoing, UNDONE);
	TAP_OK(media_slot(&media, undoing.dead)->used, "where all is undone there is more to do");
	TAP_EQ(join(&hasty, "one", 100), 0, "that nobody waits for");
	TAP_OK(name_is(&hasty, 'a'), "all is as it was");
	leave(&hasty);
	kill(undoing.pid, SIGCONT);
	TAP_OK(waitpid(undoing.pid, &status, 0) == undoing.pid && !status, "and it is done");
}

/* Somebody who may only read the region's file, and keeps whoever wants to from undoing it. */
static void test_kept(void)
{
	unsigned int dead = die_in_transaction();
	struct late_open late;
	struct user hasty;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		tap_bail("opening %s: %s", path, strerror(errno));
	set_byte(fd, SHELF_BYTE_REPAIRS + (int)dead, F_RDLCK);
	TAP_EQ(join(&hasty, "one", 50), -EBUSY, "while somebody keeps the lock for that");
	TAP_OK(!strstr(hmem_last_error(ctx), "process 0 "), "the last error blames nobody for it");
	tap_diag("%s", hmem_last_error(ctx));
	hmem_region_close(hasty.region);
	open_begin(&late);
	set_byte(fd, SHELF_BYTE_REPAIRS + (int)dead, F_UNLCK);
	pthread_join(late.thread, NULL);
	TAP_OK(!late.err && late.good, "it is undone by who opens when that lets go");
	close(fd);
	leave(&late.user);
}

/* They clean up nothing, and so wait for nobody. */
static void test_read_only(void)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct undoing undoing;
	struct user reader;
	int status;

	begin(&undoing, BEGUN);
	options.flags = HMEM_SHELF_READ_ONLY;
	options.wait_ms = 50;
	need(hmem_region_open(ctx, region_name, 0, &reader.region), "opening the region");
	TAP_EQ(hmem_shelf_open(reader.region, "one", &options, &reader.shelf), 0,
	       "read-only it is opened meanwhile");
	leave(&reader);
	kill(undoing.pid, SIGCONT);
	TAP_OK(waitpid(undoing.pid, &status, 0) == undoing.pid && !status, "and it is undone");
}

int main(void)
{
	struct user user;

	users_begin("shelf-undoing");
	make(&user, SLOTS, 1u << 20, 0);
	need(put(&user, "name", 'a', BYTES), "putting");
	alarm(120);
	test_stopped(&user);
	test_killed();
	test_undone();
	test_kept();
	test_read_only();
	unmake(&user);
	hmem_ctx_unref(ctx);
	return tap_done();
}
