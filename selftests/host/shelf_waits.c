// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several on one shelf: who waits for whom, what pins keep, whose slots are whose, and what a
 * child of fork(2) may do. hmem-test: timeout=300
 */
#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include <hmem/export.h>

#include "shelf_user.h"

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- a process that is stopped where it holds a lock --------------------------------- */

/* One half of a pipe each, for processes that wait for one another. */
static void say(int fd)
{
	if (write(fd, "", 1) != 1)
		tap_bail("write: %s", strerror(errno));
}

static void hear(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		tap_bail("read: %s", strerror(errno));
}

static bool holds_a_bucket(pid_t pid, unsigned int slots)
{
	for (unsigned int id = 0; id < slots; id++) {
		const struct slot *slot = media_slot(&media, id);

		if (slot->pid != pid || !slot->used)
			continue;
		for (unsigned int i = 0; i < SLOT_LOCKS; i++) {
			const uint64_t *head;

			if (!(slot->locks[i] & 1))
				continue;
			head = media_at(&media, slot->locks[i] & ~1ull);
			if (head && *head >> 48 == id + 1)
				return true;
		}
	}
	return false;
}

/*
 * A process that is in the middle of putting @name, has its bucket, and is stopped. @keep:
 * it has a child that goes on to live; its id comes through the pipe.
 */
static pid_t stopped_writer(const char *name, unsigned int slots, int keep)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid) {
		struct user me;

		if (join(&me, "one", 0) || put(&me, "other", 'o', 10))
			_exit(1);
		if (keep >= 0) {
			pid_t child = fork();

			if (!child)
				for (;;)
					pause();
			if (child < 0 || write(keep, &child, sizeof(child)) != sizeof(child))
				_exit(1);
		}
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(put(&me, name, 'b', 100) != 0);
	}
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		if (holds_a_bucket(pid, slots)) {
			/* Once more, so that it is a stopped process like any other. */
			ptrace(PTRACE_DETACH, pid, NULL, (void *)(long)SIGSTOP);
			return pid;
		}
		ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
	}
	tap_bail("a writer ended with status %#x before it had a bucket", status);
}

struct late_put {
	struct user *user;
	pthread_t thread;
	int err;
};

static void *put_late(void *data)
{
	struct late_put *late = data;

	late->err = put(late->user, "name", 'c', 100);
	return NULL;
}

static void test_stopped(void)
{
	struct user patient, hasty;
	struct hmem_object object;
	struct late_put late;
	char pid_text[32], value[200];
	size_t length;
	int64_t begun;
	int status, err;
	pid_t pid;

	make(&patient, 8, 1u << 20, 60000);
	need(join(&hasty, "one", 50), "a second handle");
	need(put(&patient, "name", 'a', 100), "putting");

	pid = stopped_writer("name", 8, -1);
	begun = now_ms();
	TAP_EQ(hmem_shelf_get(hasty.shelf, "name", &object), 0, "a stopped writer stops no reader");
	TAP_OK(is_all(object.data, 'a', 100), "who gets what was there before");
	hmem_shelf_release(hasty.shelf, &object);
	TAP_EQ(hmem_shelf_read(hasty.shelf, "name", value, sizeof(value), &length), 0,
	       "nor one who copies");
	TAP_OK(now_ms() - begun < 5000, "that took no time");
	begun = now_ms();
	err = put(&hasty, "name", 'x', 100);
	TAP_EQ(err, -EBUSY, "a second writer is busy");
	TAP_OK(now_ms() - begun >= 50, "after it has waited as long as it was to");
	snprintf(pid_text, sizeof(pid_text), "process %d ", (int)pid);
	TAP_OK(strstr(hmem_last_error(ctx), pid_text), "it learns who stopped");
	tap_diag("%s", hmem_last_error(ctx));
	TAP_EQ(hmem_shelf_delete(hasty.shelf, "name"), -EBUSY, "so is one who deletes");
	kill(pid, SIGCONT);
	TAP_OK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status),
	       "the first goes on when it may");
	TAP_EQ(hmem_shelf_get(hasty.shelf, "name", &object), 0, "and has put");
	TAP_OK(is_all(object.data, 'b', 100), "what it was to put");
	hmem_shelf_release(hasty.shelf, &object);

	pid = stopped_writer("name", 8, -1);
	late.user = &patient;
	if (pthread_create(&late.thread, NULL, put_late, &late))
		tap_bail("no thread");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	pthread_join(late.thread, NULL);
	TAP_EQ(late.err, 0, "who waits for one that is killed takes over from him");
	TAP_EQ(hmem_shelf_get(hasty.shelf, "name", &object), 0, "and has put");
	TAP_OK(is_all(object.data, 'c', 100), "his own");
	hmem_shelf_release(hasty.shelf, &object);
	leave(&hasty);
	unmake(&patient);
}

/* The parent is killed, and its child has a copy of all its descriptors. */
static void test_orphan(void)
{
	struct user user;
	int pipes[2], status;
	pid_t pid, child;

	make(&user, 8, 1u << 20, 60000);
	need(put(&user, "name", 'a', 100), "putting");
	if (pipe(pipes))
		tap_bail("pipe: %s", strerror(errno));
	pid = stopped_writer("name", 8, pipes[1]);
	if (read(pipes[0], &child, sizeof(child)) != sizeof(child))
		tap_bail("read: %s", strerror(errno));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	TAP_EQ(put(&user, "name", 'd', 100), 0, "a dead writer's child does not make him look alive");
	TAP_EQ(kill(child, 0), 0, "although it lives");
	kill(child, SIGKILL);
	close(pipes[0]);
	close(pipes[1]);
	unmake(&user);
}

/* --- an export waits for one who is stopped, and others do not ------------------------ */

struct late_export {
	struct user *user;
	pthread_t thread;
	int err;
};

static int ignore(void *arg, const void *data, size_t bytes)
{
	(void)arg;
	(void)data;
	(void)bytes;
	return 0;
}

static void *export_late(void *data)
{
	struct late_export *late = data;

	late->err = hmem_shelf_export(late->user->shelf, NULL, ignore, NULL, NULL);
	return NULL;
}

static void test_export(void)
{
	struct user user, hasty;
	struct late_export late = { .user = &user };
	const char *free_name = NULL, *names[] = { "u", "v", "w", "x", "y", "z" };
	int64_t begun;
	int status;
	pid_t pid;

	make(&user, 8, 1u << 20, 5000);
	need(join(&hasty, "one", 10), "a second handle");
	pid = stopped_writer("name", 8, -1);
	/* One of another bucket. */
	for (unsigned int i = 0; i < 6 && !free_name; i++)
		if (!put(&hasty, names[i], 'a', 10))
			free_name = names[i];
	if (!free_name)
		tap_bail("all names are in one bucket");
	if (pthread_create(&late.thread, NULL, export_late, &late))
		tap_bail("no thread");
	while (!__atomic_load_n(&media_runtime(&media)->halt_lock, __ATOMIC_SEQ_CST))
		sched_yield();
	begun = now_ms();
	TAP_EQ(put(&user, free_name, 'b', 10), 0, "updates of other names go on");
	TAP_OK(now_ms() - begun < 2500, "and do not wait until the export has given up");
	kill(pid, SIGCONT);
	TAP_OK(waitpid(pid, &status, 0) == pid && !status, "the one who was stopped goes on");
	pthread_join(late.thread, NULL);
	TAP_EQ(late.err, 0, "so does the export");

	pid = stopped_writer("name", 8, -1);
	TAP_EQ(hmem_shelf_export(hasty.shelf, NULL, ignore, NULL, NULL), -EBUSY,
	       "an export gives up after wait_ms");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	TAP_EQ(hmem_shelf_export(hasty.shelf, NULL, ignore, NULL, NULL), 0,
	       "and does not wait for one who is dead");
	leave(&hasty);
	unmake(&user);
}

/* --- who opens waits as long as he was to -------------------------------------------- */

struct late_open {
	struct user user;
	pthread_t thread;
	int err;
};

static void *open_late(void *data)
{
	struct late_open *late = data;

	late->err = join(&late->user, "one", 60000);
	return NULL;
}

/* Somebody who may only read the region's file, and keeps the lock on @byte. */
static void test_kept_byte(int byte, const char *what)
{
	struct user user, second;
	struct late_open late;
	int64_t begun;
	int fd;

	make(&user, 8, 1u << 20, 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		tap_bail("opening %s: %s", path, strerror(errno));
	set_byte(fd, byte, F_RDLCK);
	alarm(60);
	begun = now_ms();
	TAP_EQ(join(&second, "one", 100), -EBUSY, "while somebody keeps the lock of %s", what);
	TAP_OK(now_ms() - begun >= 100 && now_ms() - begun < 30000, "after wait_ms");
	tap_diag("%s", hmem_last_error(ctx));
	hmem_region_close(second.region);
	if (pthread_create(&late.thread, NULL, open_late, &late))
		tap_bail("no thread");
	set_byte(fd, byte, F_UNLCK);
	pthread_join(late.thread, NULL);
	TAP_EQ(late.err, 0, "who waits longer opens it when that lets go");
	alarm(0);
	close(fd);
	leave(&late.user);
	unmake(&user);
}

/* --- pins ---------------------------------------------------------------------------- */

static void test_pins(void)
{
	struct hmem_object objects[130], old;
	struct user user;
	unsigned int got = 0;
	int err = 0;

	make(&user, 8, 1u << 20, 0);
	need(put(&user, "name", 'a', 1000), "putting");
	need(hmem_shelf_get(user.shelf, "name", &old), "getting");
	for (unsigned int i = 0; i < 200; i++)
		need(put(&user, "name", 'b' + (int)i % 10, 1000), "replacing");
	TAP_OK(is_all(old.data, 'a', 1000), "what is pinned stays when its name is replaced");
	need(hmem_shelf_delete(user.shelf, "name"), "deleting");
	for (unsigned int i = 0; i < 200; i++)
		need(put(&user, "others", 'k', 1000), "replacing");
	TAP_OK(is_all(old.data, 'a', 1000), "and when it is deleted");
	hmem_shelf_release(user.shelf, &old);
	TAP_OK(!old.pin, "released once");
	hmem_shelf_release(user.shelf, &old);

	while (got < 130 && !(err = hmem_shelf_get(user.shelf, "others", &objects[got])))
		got++;
	TAP_EQ(err, -EMFILE, "a thread can hold so many");
	TAP_EQ(got, SLOT_PINS, "which are 120");
	TAP_EQ(hmem_shelf_read(user.shelf, "others", NULL, 0, &(size_t){ 0 }), -ERANGE,
	       "a copy can be had without");
	TAP_EQ(put(&user, "others", 'l', 1000), 0, "and updates made");
	while (got)
		hmem_shelf_release(user.shelf, &objects[--got]);
	unmake(&user);
}

/* --- more pins than most shelves ever see -------------------------------------------- */

#define PINNERS 40

struct pinner {
	struct user *user;
	pthread_barrier_t *barrier;
	struct hmem_object objects[SLOT_PINS];
	pthread_t thread;
	int err;
};

static void *pin_all(void *data)
{
	struct pinner *pinner = data;
	unsigned int got = 0;

	while (got < SLOT_PINS && !pinner->err) {
		pinner->err = hmem_shelf_get(pinner->user->shelf, "pinned", &pinner->objects[got]);
		got += !pinner->err;
	}
	pthread_barrier_wait(pinner->barrier);
	pthread_barrier_wait(pinner->barrier);
	for (unsigned int i = 0; i < got; i++) {
		if (!is_all(pinner->objects[i].data, 'a', 100))
			pinner->err = -EUCLEAN;
		hmem_shelf_release(pinner->user->shelf, &pinner->objects[i]);
	}
	return NULL;
}

static void test_many_pins(void)
{
	static struct pinner pinners[PINNERS];
	pthread_barrier_t barrier;
	struct user user;
	unsigned int bad = 0;
	int err = 0;

	make(&user, PINNERS + 4, 1u << 20, 0);
	need(put(&user, "pinned", 'a', 100), "putting");
	if (pthread_barrier_init(&barrier, NULL, PINNERS + 1))
		tap_bail("a barrier");
	for (unsigned int i = 0; i < PINNERS; i++) {
		pinners[i] = (struct pinner){ .user = &user, .barrier = &barrier };
		if (pthread_create(&pinners[i].thread, NULL, pin_all, &pinners[i]))
			tap_bail("no thread");
	}
	pthread_barrier_wait(&barrier);
	/* As often as fills more than there is. */
	need(put(&user, "pinned", 'b', 100), "replacing");
	for (unsigned int i = 0; i < 1000 && !err; i++)
		err = put(&user, "others", 'k', 3000);
	TAP_EQ(err, 0, "%u pins keep nobody from what is not pinned", PINNERS * SLOT_PINS);
	pthread_barrier_wait(&barrier);
	for (unsigned int i = 0; i < PINNERS; i++) {
		pthread_join(pinners[i].thread, NULL);
		bad += pinners[i].err != 0;
	}
	pthread_barrier_destroy(&barrier);
	TAP_EQ(bad, 0, "and what is stays as it was");
	unmake(&user);
}

#define STALLED 6

/* A reader that does not go on has pinned all there is. */
static void test_stalled_reader(void)
{
	char name[32], pid_text[32];
	int ready[2], err = 0, status;
	struct user user;
	pid_t pid;

	make(&user, 8, 1u << 20, 0);
	for (unsigned int i = 0; i < STALLED; i++) {
		snprintf(name, sizeof(name), "large-%u", i);
		need(put(&user, name, 'a' + (int)i, 90000), "putting");
	}
	if (pipe(ready))
		tap_bail("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		struct hmem_object objects[STALLED];
		struct user me;

		if (join(&me, "one", 0))
			_exit(1);
		for (unsigned int i = 0; i < STALLED; i++) {
			snprintf(name, sizeof(name), "large-%u", i);
			if (hmem_shelf_get(me.shelf, name, &objects[i]))
				_exit(1);
		}
		say(ready[1]);
		for (;;)
			pause();
	}
	hear(ready[0]);
	for (unsigned int i = 0; i < STALLED && !err; i++) {
		snprintf(name, sizeof(name), "large-%u", i);
		err = put(&user, name, 'A' + (int)i, 90000);
	}
	TAP_EQ(err, -ENOSPC, "a stalled reader's pins use all there is");
	snprintf(pid_text, sizeof(pid_text), "process %d ", (int)pid);
	TAP_OK(strstr(hmem_last_error(ctx), pid_text), "the last error says who that is");
	tap_diag("%s", hmem_last_error(ctx));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	err = 0;
	for (unsigned int i = 0; i < STALLED && !err; i++) {
		snprintf(name, sizeof(name), "large-%u", i);
		err = put(&user, name, 'A' + (int)i, 90000);
	}
	TAP_EQ(err, 0, "when it is dead there is room");
	close(ready[0]);
	close(ready[1]);
	unmake(&user);
}

/* --- slots --------------------------------------------------------------------------- */

struct guest {
	struct user *user;
	pthread_t thread;
	int to_guest[2], from_guest[2];
	bool get;
	struct hmem_object object;
	int err;
};

static void *visit(void *data)
{
	struct guest *guest = data;

	if (guest->get)
		guest->err = hmem_shelf_get(guest->user->shelf, "name", &guest->object);
	else
		guest->err = put(guest->user, "name", 'a', 100);
	say(guest->from_guest[1]);
	hear(guest->to_guest[0]);
	return NULL;
}

static void come(struct guest *guest, struct user *user, bool get)
{
	*guest = (struct guest){ .user = user, .get = get };
	if (pipe(guest->to_guest) || pipe(guest->from_guest) ||
	    pthread_create(&guest->thread, NULL, visit, guest))
		tap_bail("no thread: %s", strerror(errno));
	hear(guest->from_guest[0]);
}

static void go(struct guest *guest)
{
	say(guest->to_guest[1]);
	pthread_join(guest->thread, NULL);
	for (unsigned int i = 0; i < 2; i++) {
		close(guest->to_guest[i]);
		close(guest->from_guest[i]);
	}
}

static void test_slots(void)
{
	struct guest first, second, third;
	struct user user, other;
	int err = 0;

	make(&user, 2, 1u << 20, 0);
	/* Recovery has taken one for the main thread. */
	come(&first, &user, false);
	TAP_EQ(first.err, 0, "a second thread finds a slot");
	come(&second, &user, false);
	TAP_EQ(second.err, -EUSERS, "a third one none");
	go(&second);
	go(&first);
	for (unsigned int i = 0; i < 10 && !err; i++) {
		come(&first, &user, i % 2);
		err = first.err;
		if (!err && i % 2)
			hmem_shelf_release(user.shelf, &first.object);
		go(&first);
	}
	TAP_EQ(err, 0, "a thread that ends gives its slot back");
	need(join(&other, "one", 0), "a second handle");
	TAP_EQ(put(&other, "name", 'b', 100), 0, "also to other handles and processes");
	leave(&other);

	come(&third, &user, true);
	need(third.err, "getting");
	go(&third);
	need(put(&user, "name", 'c', 100), "replacing");
	TAP_OK(is_all(third.object.data, 'b', 100), "what an ended thread has pinned stays");
	come(&first, &user, false);
	TAP_EQ(first.err, 0, "its slot serves another thread of the handle");
	TAP_OK(is_all(third.object.data, 'b', 100), "which leaves it its pin");
	hmem_shelf_release(user.shelf, &third.object);
	go(&first);
	unmake(&user);
}

/* --- forks --------------------------------------------------------------------------- */

/* In the child: how many calls do not say -ECHILD? */
static int child_calls(struct user *user, struct hmem_object *object)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };
	struct hmem_object mine;
	size_t length;
	int wrong = 0;

	wrong += put(user, "name", 'x', 10) != -ECHILD;
	wrong += hmem_shelf_get(user->shelf, "name", &mine) != -ECHILD;
	wrong += hmem_shelf_read(user->shelf, "name", NULL, 0, &length) != -ECHILD;
	wrong += hmem_shelf_delete(user->shelf, "name") != -ECHILD;
	wrong += hmem_shelf_get_info(user->shelf, &info) != -ECHILD;
	wrong += hmem_shelf_check(user->shelf, NULL, NULL) != -ECHILD;
	hmem_shelf_release(user->shelf, object);
	wrong += hmem_shelf_close(user->shelf) != 0;
	wrong += join(user, "one", 0) != 0;
	wrong += put(user, "from the child", 'x', 10) != 0;
	wrong += hmem_shelf_close(user->shelf) != 0;
	return wrong;
}

static void test_fork(void)
{
	struct hmem_object object;
	struct user user;
	int status;
	pid_t pid;

	make(&user, 8, 1u << 20, 0);
	need(put(&user, "name", 'a', 1000), "putting");
	need(hmem_shelf_get(user.shelf, "name", &object), "getting");
	pid = fork();
	if (!pid)
		_exit(child_calls(&user, &object));
	waitpid(pid, &status, 0);
	TAP_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0,
	       "in a child every call says -ECHILD until it opens for itself");
	for (unsigned int i = 0; i < 200; i++)
		need(put(&user, "name", 'b', 1000), "replacing");
	TAP_OK(is_all(object.data, 'a', 1000), "its release lets go of nothing of its parent's");
	hmem_shelf_release(user.shelf, &object);
	TAP_EQ(hmem_shelf_get(user.shelf, "from the child", &object), 0, "it has put something");
	hmem_shelf_release(user.shelf, &object);
	unmake(&user);
}

int main(void)
{
	users_begin("shelf-waits");
	test_stopped();
	test_orphan();
	test_export();
	test_kept_byte(0, "the table of shelves");
	test_kept_byte(16, "who opens a shelf");
	test_pins();
	test_many_pins();
	test_stalled_reader();
	test_slots();
	test_fork();
	hmem_ctx_unref(ctx);
	return tap_done();
}
