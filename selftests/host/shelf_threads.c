// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads and processes that do everything on one shelf at once, and that open and close it,
 * or end meanwhile.
 * hmem-test: timeout=300
 */
#include <pthread.h>
#include <sys/wait.h>

#include "sanitized.h"
#include "shelf_user.h"

#define ROUNDS 20000
static unsigned int rounds;

#define THREADS 4
#define NAMES	24

struct thread {
	struct user *user;
	unsigned int number;
	pthread_t thread;
	unsigned int random;
	const char *wrong;
	int err;
};

static unsigned int any(struct thread *t, unsigned int below)
{
	t->random = t->random * 1103515245u + 12345u;
	return (t->random >> 8) % below;
}

/* Every value is a run of one byte, and the length says which. */
static bool is_whole(const void *data, size_t bytes)
{
	return bytes && is_all(data, (int)(bytes % 251), bytes);
}

static int wrong(struct thread *t, const char *what, int err)
{
	t->wrong = what;
	t->err = err;
	return -1;
}

static int one_call(struct thread *t, struct hmem_object *held)
{
	struct hmem_shelf *shelf = t->user->shelf;
	unsigned char value[3000];
	size_t bytes = 1 + any(t, any(t, 8) ? 200 : sizeof(value) - 1);
	struct hmem_shelf_info info = { .size = sizeof(info) };
	struct hmem_object edited, same, many[2];
	struct hmem_handle handle;
	char name[32];
	void *data;
	int err;

	snprintf(name, sizeof(name), "name %u", any(t, NAMES));
	switch (any(t, 11)) {
	case 0 ... 2:
		memset(value, (int)(bytes % 251), bytes);
		err = hmem_shelf_put(shelf, name, value, bytes, NULL);
		return err ? wrong(t, "put", err) : 0;
	case 8:
		err = hmem_shelf_reserve(shelf, name, bytes, NULL, &data);
		if (err)
			return wrong(t, "reserve", err);
		memset(data, (int)(bytes % 251), bytes);
		err = any(t, 4) ? hmem_shelf_publish(shelf, data, 0) :
				  hmem_shelf_cancel(shelf, data);
		return err ? wrong(t, "publish or cancel", err) : 0;
	case 9:
		/* Others may have it in place: what it is changed to is what it is. */
		err = hmem_shelf_edit(shelf, name, &edited);
		if (err)
			return err != -ENOENT ? wrong(t, "edit", err) : 0;
		err = hmem_shelf_persist(shelf, &edited, 0, edited.bytes);
		if (!err || err == -ESTALE)
			err = hmem_shelf_handle(shelf, &edited, &handle);
		if (!err)
			err = hmem_shelf_get_handle(shelf, &handle, &same);
		if (!err)
			hmem_shelf_release(shelf, &same);
		hmem_shelf_release(shelf, &edited);
		return err && err != -ESTALE ? wrong(t, "persist or handle", err) : 0;
	case 10:
		err = hmem_shelf_get_many(shelf, (const char *[]){ name, name }, 2, many);
		if (err)
			return err != -ENOENT ? wrong(t, "many", err) : 0;
		same = many[0];
		err = same.version != many[1].version || !is_whole(same.data, same.bytes);
		hmem_shelf_release(shelf, &many[0]);
		hmem_shelf_release(shelf, &many[1]);
		return err ? wrong(t, "many at once", err) : 0;
	case 3:
		err = hmem_shelf_delete(shelf, name);
		return err && err != -ENOENT ? wrong(t, "delete", err) : 0;
	case 4 ... 5:
		if (held->pin && !is_whole(held->data, held->bytes))
			return wrong(t, "what was pinned changed", 0);
		hmem_shelf_release(shelf, held);
		err = hmem_shelf_get(shelf, name, held);
		if (err && err != -ENOENT)
			return wrong(t, "get", err);
		return !err && !is_whole(held->data, held->bytes) ? wrong(t, "got", 0) : 0;
	case 6:
		err = hmem_shelf_read(shelf, name, value, sizeof(value), &bytes);
		if (err && err != -ENOENT)
			return wrong(t, "read", err);
		return !err && !is_whole(value, bytes) ? wrong(t, "a copy", 0) : 0;
	default:
		err = any(t, 50) ? 0 : hmem_shelf_get_info(shelf, &info);
		return err ? wrong(t, "info", err) : 0;
	}
}

static void *run_thread(void *data)
{
	struct thread *t = data;
	struct hmem_object held = { 0 };

	for (unsigned int i = 0; i < rounds; i++)
		if (one_call(t, &held))
			break;
	hmem_shelf_release(t->user->shelf, &held);
	return NULL;
}

static int run_threads(struct user *users, unsigned int seed)
{
	struct thread threads[THREADS];
	int bad = 0;

	for (unsigned int i = 0; i < THREADS; i++) {
		threads[i] = (struct thread){ .user = &users[i % 2], .number = i,
					      .random = seed * 1000 + i };
		if (pthread_create(&threads[i].thread, NULL, run_thread, &threads[i]))
			tap_bail("no thread");
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(threads[i].thread, NULL);
		if (threads[i].wrong) {
			tap_diag("thread %u: %s: %d", i, threads[i].wrong, threads[i].err);
			bad++;
		}
	}
	return bad;
}

/* @second: the shelf of the second handle. */
static int threads_of_a_process(const char *second, unsigned int seed)
{
	struct user users[2];
	int bad;

	need(join(&users[0], "one", 0), "a first handle");
	need(join(&users[1], second, 0), "a second handle");
	bad = run_threads(users, seed);
	leave(&users[0]);
	leave(&users[1]);
	return bad;
}

static void all_at_once(const char *second, const char *what)
{
	pid_t pids[2];
	int status, bad = 0;

	for (unsigned int i = 0; i < 2; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(threads_of_a_process(second, i + 1) != 0);
	}
	for (unsigned int i = 0; i < 2; i++)
		bad += waitpid(pids[i], &status, 0) != pids[i] || status;
	TAP_EQ(bad, 0, "two processes of four threads, %s", what);
}

static void test_all_at_once(void)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct user user;
	struct hmem_shelf *two;

	make(&user, 16, 4u << 20, 0);
	all_at_once("one", "two handles each on one shelf");
	options.bytes = 4u << 20;
	options.slots = 16;
	options.max_bytes = 64u << 20;
	need(hmem_shelf_create(user.region, "two", &options, &two), "a second shelf");
	all_at_once("two", "one handle each on two shelves of a region");
	TAP_EQ(hmem_shelf_check(two, NULL, NULL), 0, "nothing to find on the second");
	need(hmem_shelf_close(two), "closing the second");
	unmake(&user);
}

/* The last to close and the first to open meet all the time. */
static void test_come_and_go(void)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };
	struct user user;
	pid_t pids[4];
	int status, bad = 0;

	make(&user, 8, 1u << 20, 0);
	need(put(&user, "name", 'a', 100), "putting");
	leave(&user);
	for (unsigned int i = 0; i < 4; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			for (unsigned int j = 0; j < rounds / 50; j++) {
				int err = join(&user, "one", 0);

				if (!err)
					err = put(&user, "name", 'a' + (int)i, 100);
				if (err) {
					tap_diag("%d: %s", err, hmem_last_error(ctx));
					_exit(1);
				}
				leave(&user);
			}
			_exit(0);
		}
	}
	for (unsigned int i = 0; i < 4; i++)
		bad += waitpid(pids[i], &status, 0) != pids[i] || status;
	TAP_EQ(bad, 0, "opening while others close");
	need(join(&user, "one", 0), "opening");
	need(hmem_shelf_get_info(user.shelf, &info), "info");
	TAP_EQ(info.dirty_shutdowns, 0, "and the last has left it clean each time");
	unmake(&user);
}

struct ending {
	struct user *user;
	pthread_barrier_t *called;
};

static void *call_and_end(void *arg)
{
	struct ending *ending = arg;
	intptr_t err = 0;
	char name[32];

	snprintf(name, sizeof(name), "of %lx", (unsigned long)pthread_self());
	for (unsigned int i = 0; i < 3 && !err; i++)
		err = put(ending->user, name, 'e', 100);
	pthread_barrier_wait(ending->called);
	return (void *)err;
}

/* Threads whose calls are over end while the handle is closed. */
static void test_ending(void)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };
	pthread_t threads[THREADS];
	pthread_barrier_t called;
	struct user user;
	struct ending ending = { &user, &called };
	unsigned int bad = 0, times = rounds / 100;

	make(&user, 8, 4u << 20, 0);
	if (pthread_barrier_init(&called, NULL, THREADS + 1))
		tap_bail("a barrier");
	for (unsigned int round = 0; round < times; round++) {
		void *err;

		for (unsigned int i = 0; i < THREADS; i++)
			if (pthread_create(&threads[i], NULL, call_and_end, &ending))
				tap_bail("a thread");
		pthread_barrier_wait(&called);
		bad += hmem_shelf_close(user.shelf) != 0;
		for (unsigned int i = 0; i < THREADS; i++)
			bad += pthread_join(threads[i], &err) || err;
		need(hmem_shelf_open(user.region, "one", NULL, &user.shelf), "opening");
	}
	pthread_barrier_destroy(&called);
	TAP_EQ(bad, 0, "%u times a handle is closed while its threads end", times);
	need(hmem_shelf_get_info(user.shelf, &info), "info");
	TAP_EQ(info.dirty_shutdowns, 0, "and each time it is left clean");
	unmake(&user);
}

struct getting {
	struct user *user;
	struct hmem_object objects[256];
	unsigned int nr;
	int err;
};

static void *get_all_it_can(void *arg)
{
	struct getting *getting = arg;

	while (!(getting->err = hmem_shelf_get(getting->user->shelf, "name",
					       &getting->objects[getting->nr])))
		getting->nr++;
	return NULL;
}

static void get_in_thread(struct getting *getting)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, get_all_it_can, getting) || pthread_join(thread, NULL))
		tap_bail("a thread");
}

static pthread_barrier_t all_have_it;

struct leaving {
	struct user *user;
	pthread_t thread;
	struct hmem_object object;
	void *reserved;
};

static void *get_and_end(void *arg)
{
	struct leaving *leaving = arg;

	if (leaving->reserved)
		need(hmem_shelf_reserve(leaving->user->shelf, "reserved", 100, NULL,
					&leaving->reserved), "reserving");
	else
		need(hmem_shelf_get(leaving->user->shelf, "name", &leaving->object), "getting");
	pthread_barrier_wait(&all_have_it);
	return NULL;
}

static unsigned int slots_used(void)
{
	unsigned int used = 0;

	for (unsigned int id = 0; id < 5; id++)
		used += media_slot(&media, id)->used;
	return used;
}

/* Slots of threads that have ended are the others' when nothing of theirs is held any more. */
static void test_slots_come_back(void)
{
	struct user user;
	struct leaving leaving[4];

	make(&user, 5, 4u << 20, 1000);
	pthread_barrier_init(&all_have_it, NULL, 4);
	need(put(&user, "name", 'n', 8), "putting");
	for (unsigned int i = 0; i < 4; i++) {
		/* Two of them reserve memory. */
		leaving[i] = (struct leaving){ .user = &user, .reserved = i < 2 ? &user : NULL };
		if (pthread_create(&leaving[i].thread, NULL, get_and_end, &leaving[i]))
			tap_bail("a thread");
	}
	for (unsigned int i = 0; i < 4; i++)
		pthread_join(leaving[i].thread, NULL);
	TAP_OK(slots_used() == 5, "threads that have ended leave slots behind: %u", slots_used());
	hmem_shelf_release(user.shelf, &leaving[2].object);
	hmem_shelf_release(user.shelf, &leaving[3].object);
	need(hmem_shelf_cancel(user.shelf, leaving[0].reserved), "cancelling");
	need(hmem_shelf_publish(user.shelf, leaving[1].reserved, 0), "publishing");
	TAP_EQ(slots_used(), 1, "none when all of it has been let go");
	unmake(&user);
}

/* What a thread got others release: until then it is no obstacle to those that come after it. */
static void test_left_behind(void)
{
	struct user user;
	struct getting first = { .user = &user }, second = { .user = &user }, third = { .user = &user };
	struct getting last = { .user = &user };

	make(&user, 3, 4u << 20, 1000);
	need(put(&user, "name", 'n', 8), "putting");
	get_in_thread(&first);
	get_in_thread(&second);
	TAP_OK(first.nr > 100 && first.err == -EMFILE, "a thread gets %u objects and ends", first.nr);
	TAP_EQ(second.nr, first.nr, "the next one gets as many");
	get_in_thread(&third);
	TAP_OK(!third.nr && third.err == -EMFILE, "where there are no slots left none: %d", third.err);
	for (unsigned int i = 0; i < first.nr; i++)
		hmem_shelf_release(user.shelf, &first.objects[i]);
	get_in_thread(&last);
	TAP_EQ(last.nr, first.nr, "until they have been released");
	for (unsigned int i = 0; i < last.nr; i++) {
		hmem_shelf_release(user.shelf, &second.objects[i]);
		hmem_shelf_release(user.shelf, &last.objects[i]);
	}
	unmake(&user);
}

int main(void)
{
	users_begin("shelf-threads");
	rounds = (unsigned int)sanitized("calls of a thread", ROUNDS, 4, 64);
	test_all_at_once();
	test_come_and_go();
	test_ending();
	test_left_behind();
	test_slots_come_back();
	hmem_ctx_unref(ctx);
	return tap_done();
}
