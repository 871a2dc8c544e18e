// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects that are filled in place: reserved, published, cancelled; what is refused; what
 * becomes of those whose owner ends, closes or dies. hmem-test: timeout=300
 */
#include <pthread.h>

#include "shelf_place.h"

static struct hmem_region *region;
static struct hmem_shelf *shelf;

static struct hmem_shelf_info info(void)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	need(hmem_shelf_get_info(shelf, &info), "info");
	return info;
}

static int tell(void *arg, const struct hmem_shelf_finding *finding)
{
	(void)arg;
	tap_diag("%s at %#llx, %s: %s", finding->part, (unsigned long long)finding->offset,
		 finding->name ? finding->name : "-", finding->text);
	return 0;
}

static bool well(void)
{
	return !hmem_shelf_check(shelf, tell, NULL);
}

static void *reserve(const char *name, size_t bytes, size_t align)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	void *data = NULL;

	options.align = align;
	need(hmem_shelf_reserve(shelf, name, bytes, &options, &data), name);
	return data;
}

static bool there(const char *name)
{
	struct hmem_object object = { 0 };
	int err = hmem_shelf_get(shelf, name, &object);

	hmem_shelf_release(shelf, &object);
	return !err;
}

static bool has(const char *name, size_t bytes, uint64_t seed)
{
	unsigned char *wanted = malloc(bytes + 1);
	struct hmem_object object = { 0 };
	bool good;

	if (!wanted)
		tap_bail("no memory");
	pattern(wanted, bytes, seed);
	good = !hmem_shelf_get(shelf, name, &object) && object.bytes == bytes &&
	       !memcmp(object.data, wanted, bytes);
	hmem_shelf_release(shelf, &object);
	free(wanted);
	return good;
}

static void reopen(void)
{
	need(hmem_shelf_close(shelf), "closing");
	need(hmem_shelf_open(region, "s", NULL, &shelf), "opening again");
}

static void one(const char *name, size_t bytes, size_t align)
{
	uint64_t before = info().free_bytes, objects = info().objects;
	void *data = reserve(name, bytes, align);

	TAP_OK(!((uintptr_t)data & ((align ? align : 16) - 1)), "%zu bytes, aligned to %zu", bytes,
	       align);
	pattern(data, bytes, bytes);
	TAP_OK(!there(name) && info().objects == objects && info().free_bytes < before && well(),
	       "nobody sees it, and it takes memory");
	TAP_EQ(hmem_shelf_publish(shelf, data, HMEM_PUT_CREATE), 0, "published");
	TAP_OK(has(name, bytes, bytes) && info().objects == objects + 1 && well(), "it is there");
	TAP_EQ(hmem_shelf_publish(shelf, data, 0), -EINVAL, "not twice");
	TAP_EQ(hmem_shelf_cancel(shelf, data), -EINVAL, "nor can it be cancelled");
	reopen();
	TAP_OK(has(name, bytes, bytes), "and is when the shelf is opened again");
	need(hmem_shelf_put(shelf, name, "small", 5, NULL), "put");
	need(hmem_shelf_delete(shelf, name), "delete");
	TAP_OK(well(), "replaced and deleted as any other");
	reopen();
	TAP_EQ(info().free_bytes, before, "nothing leaks");
}

static void flags(void)
{
	void *data = reserve("flags", 100, 0);

	pattern(data, 100, 1);
	TAP_EQ(hmem_shelf_publish(shelf, data, 1u << 20), -EINVAL, "unknown flags");
	TAP_EQ(hmem_shelf_publish(shelf, data, HMEM_PUT_REPLACE), -ENOENT, "nothing to replace");
	need(hmem_shelf_put(shelf, "flags", "x", 1, NULL), "put");
	TAP_EQ(hmem_shelf_publish(shelf, data, HMEM_PUT_CREATE), -EEXIST, "something in the way");
	TAP_OK(well(), "it is still reserved");
	pattern((unsigned char *)data, 100, 2);
	TAP_EQ(hmem_shelf_publish(shelf, data, HMEM_PUT_REPLACE), 0, "it replaces");
	TAP_OK(has("flags", 100, 2), "with what was there last");
	need(hmem_shelf_delete(shelf, "flags"), "delete");
}

static void refused(void)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	struct hmem_object object;
	char name[1100];
	void *data;

	memset(name, 'n', sizeof(name));
	name[1024] = '\0';
	TAP_EQ(hmem_shelf_reserve(NULL, "x", 1, NULL, &data), -EINVAL, "no shelf");
	TAP_EQ(hmem_shelf_reserve(shelf, "x", 1, NULL, NULL), -EINVAL, "no place for the address");
	TAP_EQ(hmem_shelf_reserve(shelf, NULL, 1, NULL, &data), -EINVAL, "no name");
	TAP_EQ(hmem_shelf_reserve(shelf, "", 1, NULL, &data), -EINVAL, "an empty name");
	TAP_EQ(hmem_shelf_reserve(shelf, name, 1, NULL, &data), -ENAMETOOLONG, "a long one");
	TAP_EQ(hmem_shelf_reserve(shelf, "x", SIZE_MAX, NULL, &data), -ENOSPC, "too much");
	TAP_EQ(hmem_shelf_reserve(shelf, "x", info().bytes, NULL, &data), -ENOSPC, "all of it");
	options.align = 3;
	TAP_EQ(hmem_shelf_reserve(shelf, "x", 1, &options, &data), -EINVAL, "an odd alignment");
	options.align = 0;
	options.flags = HMEM_PUT_CREATE;
	TAP_EQ(hmem_shelf_reserve(shelf, "x", 1, &options, &data), -EINVAL, "flags");
	TAP_EQ(hmem_shelf_publish(NULL, name, 0), -EINVAL, "publish: no shelf");
	TAP_EQ(hmem_shelf_publish(shelf, NULL, 0), -EINVAL, "publish: nothing");
	TAP_EQ(hmem_shelf_publish(shelf, name, 0), -EINVAL, "publish: anything");
	TAP_EQ(hmem_shelf_cancel(NULL, name), -EINVAL, "cancel: no shelf");
	TAP_EQ(hmem_shelf_cancel(shelf, name), -EINVAL, "cancel: anything");
	need(hmem_shelf_put(shelf, "x", "1", 1, NULL), "put");
	need(hmem_shelf_get(shelf, "x", &object), "get");
	TAP_EQ(hmem_shelf_publish(shelf, object.data, 0), -EINVAL, "publish: an object");
	TAP_EQ(hmem_shelf_cancel(shelf, object.data), -EINVAL, "cancel: an object");
	hmem_shelf_release(shelf, &object);
	data = reserve("x", 40, 0);
	TAP_EQ(hmem_shelf_publish(shelf, (char *)data + 16, 0), -EINVAL, "publish: beside it");
	need(hmem_shelf_cancel(shelf, data), "cancel");
	need(hmem_shelf_delete(shelf, "x"), "delete");
	TAP_OK(well(), "all that changed nothing");
}

/* Stores beside reserved memory are found out, and can be undone. */
static void written_beside(void)
{
	unsigned char *data = reserve("beside", 50, 0);

	pattern(data, 50, 5);
	data[50] ^= 1;
	TAP_EQ(hmem_shelf_publish(shelf, data, 0), -EUCLEAN, "written behind it");
	data[50] ^= 1;
	data[-16] ^= 1;
	TAP_EQ(hmem_shelf_cancel(shelf, data), -EUCLEAN, "written in front of it");
	data[-16] ^= 1;
	TAP_EQ(hmem_shelf_publish(shelf, data, 0), 0, "and put right again");
	TAP_OK(has("beside", 50, 5) && well(), "it is as it should be");
	need(hmem_shelf_delete(shelf, "beside"), "delete");
}

#define MANY 12

/* Taken out of the list at its beginning, at its end and in between. */
static void in_any_order(void)
{
	static const unsigned int order[MANY] = { 5, 11, 0, 6, 1, 10, 4, 9, 2, 3, 8, 7 };
	void *data[MANY];
	char name[32];
	bool good = true;
	uint64_t before;

	reopen();
	before = info().free_bytes;
	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "order-%u", i);
		data[i] = reserve(name, 30 * i * i * i, 0);
		pattern(data[i], 30 * i * i * i, i);
	}
	for (unsigned int i = 0; i < MANY; i++) {
		if (i % 3)
			good = good && !hmem_shelf_publish(shelf, data[order[i]], 0);
		else
			good = good && !hmem_shelf_cancel(shelf, data[order[i]]);
		good = good && well();
	}
	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "order-%u", order[i]);
		good = good && there(name) == !!(i % 3) &&
		       (!(i % 3) || has(name, 30 * order[i] * order[i] * order[i], order[i]));
		if (i % 3)
			good = good && !hmem_shelf_delete(shelf, name);
	}
	TAP_OK(good, "%u, published and cancelled in another order", MANY);
	reopen();
	TAP_EQ(info().free_bytes, before, "nothing leaks");
}

static void *reserve_in_thread(void *arg)
{
	void **data = arg;

	data[0] = reserve("thread-0", 1000, 0);
	data[1] = reserve("thread-1", 1000, 0);
	data[2] = reserve("thread-2", 1000, 0);
	return NULL;
}

static void threads(void)
{
	void *data[3];
	pthread_t thread;

	if (pthread_create(&thread, NULL, reserve_in_thread, data) || pthread_join(thread, NULL))
		tap_bail("no thread");
	pattern(data[1], 1000, 1);
	TAP_EQ(hmem_shelf_publish(shelf, data[1], 0), 0, "what a thread reserved that has ended");
	TAP_EQ(hmem_shelf_cancel(shelf, data[0]), 0, "or cancelled");
	TAP_OK(has("thread-1", 1000, 1) && well(), "it is there");
	reopen();
	TAP_OK(has("thread-1", 1000, 1) && !there("thread-2") && well(),
	       "what is left at the end is given back");
	need(hmem_shelf_delete(shelf, "thread-1"), "delete");
}

/* A process that has some reserved and dies, at the end of its calls. */
static void deaths(enum place place)
{
	uint64_t before;
	int status;
	pid_t pid;

	if (place == PLACE_ANON)
		return;
	reopen();
	before = info().free_bytes;
	pid = fork();
	if (pid < 0)
		tap_bail("fork");
	if (!pid) {
		void *data[4];

		if (hmem_shelf_cancel(shelf, &before) != -ECHILD ||
		    hmem_shelf_publish(shelf, &before, 0) != -ECHILD ||
		    hmem_shelf_reserve(shelf, "x", 1, NULL, data) != -ECHILD)
			_exit(1);
		need(hmem_region_open(ctx, place == PLACE_SHM ? place_shm : place_path(place), 0,
				      &region),
		     "region");
		need(hmem_shelf_open(region, "s", NULL, &shelf), "open");
		for (unsigned int i = 0; i < 4; i++)
			data[i] = reserve("dead", 200000 * i, 0);
		pattern(data[2], 400000, 9);
		need(hmem_shelf_publish(shelf, data[2], 0), "publish");
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, &status, 0);
	TAP_OK(WIFSIGNALED(status), "a process reserves some, publishes one and is killed");
	TAP_OK(well() && has("dead", 400000, 9), "what was published is there");
	need(hmem_shelf_delete(shelf, "dead"), "delete");
	reopen();
	TAP_EQ(info().free_bytes, before, "and the rest is given back");
}

static void read_only(enum place place)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *other;
	void *data;

	options.flags = HMEM_SHELF_READ_ONLY;
	if (place == PLACE_ANON)
		return;
	need(hmem_shelf_open(region, "s", &options, &other), "opening to read");
	TAP_EQ(hmem_shelf_reserve(other, "x", 1, NULL, &data), -EROFS, "read-only: not reserved");
	data = reserve("x", 10, 0);
	TAP_EQ(hmem_shelf_publish(other, data, 0), -EROFS, "nor published");
	TAP_EQ(hmem_shelf_cancel(other, data), -EROFS, "nor cancelled");
	hmem_shelf_close(other);
	need(hmem_shelf_open(region, "s", NULL, &other), "opening again");
	TAP_EQ(hmem_shelf_publish(other, data, 0), -EINVAL, "through another handle: refused");
	TAP_EQ(hmem_shelf_cancel(other, data), -EINVAL, "and not cancelled");
	hmem_shelf_close(other);
	need(hmem_shelf_cancel(shelf, data), "cancel");
}

static void all(enum place place, unsigned int shelf_flags)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	tap_diag("in %s, flags %#x", place_names[place], shelf_flags);
	region = place_new(place, 64 * MI);
	options.bytes = 32 * MI;
	options.flags = shelf_flags;
	need(hmem_shelf_create(region, "s", &options, &shelf), "creating a shelf");
	need(hmem_shelf_put(shelf, "first", "1", 1, NULL), "put");
	reopen();
	one("tiny", 8, 0);
	one("nothing", 0, 0);
	one("aligned", 5000, 4096);
	one("large", 16 * MI, HMEM_ALIGN_MAX);
	flags();
	refused();
	written_beside();
	in_any_order();
	threads();
	deaths(place);
	read_only(place);
	need(hmem_shelf_close(shelf), "closing");
	hmem_region_close(region);
}

int main(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	for (enum place place = 0; place < PLACES; place++)
		all(place, 0);
	all(PLACE_SHM, HMEM_SHELF_ORDERED);
	hmem_ctx_unref(ctx);
	return tap_done();
}
