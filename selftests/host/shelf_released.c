// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who releases the last object of a thread that has ended also gives back that thread's slot.
 * What becomes of that is nothing that he is told of.
 */
#include <pthread.h>

#include "shelf_holder.h"

static struct user user;

struct ended {
	struct hmem_object object;
	unsigned int slot;
};

static uint64_t fences(void)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	need(hmem_shelf_get_info(user.shelf, &info), "info");
	return info.fences;
}

/* It leaves an object that is pinned, and memory that has to be given back. */
static void *get_and_end(void *data)
{
	struct ended *ended = data;

	for (int i = 0; i < 20; i++)
		need(put(&user, "x", 'a' + i, 100), "putting");
	need(hmem_shelf_get(user.shelf, "x", &ended->object), "getting");
	/* Nobody else has got anything. */
	for (unsigned int id = 0; id < 8; id++)
		if (media_slot(&media, id)->used && media_slot(&media, id)->pins[0])
			ended->slot = id;
	return NULL;
}

static void end_thread(struct ended *ended)
{
	pthread_t thread;

	*ended = (struct ended){ 0 };
	if (pthread_create(&thread, NULL, get_and_end, ended))
		tap_bail("no thread");
	pthread_join(thread, NULL);
	TAP_OK(media_slot(&media, ended->slot)->used, "the slot of a thread with an object stays");
}

static void test_released(void)
{
	struct ended ended;
	uint64_t before;

	end_thread(&ended);
	before = fences();
	hmem_shelf_release(user.shelf, &ended.object);
	TAP_OK(!media_slot(&media, ended.slot)->used, "until that is released");
	TAP_OK(fences() > before, "which makes fences for it");
}

static void test_failing(void)
{
	struct hmem_object object;
	struct ended ended;
	char last[1024];

	end_thread(&ended);
	TAP_EQ(hmem_shelf_get(user.shelf, "nothing", &object), -ENOENT, "a call fails");
	snprintf(last, sizeof(last), "%s", hmem_last_error(ctx));
	lock_chunks(true);
	hmem_shelf_release(user.shelf, &ended.object);
	lock_chunks(false);
	TAP_OK(media_slot(&media, ended.slot)->used,
	       "a slot cannot be given back while another process has stopped with locks");
	TAP_OK(!strcmp(hmem_last_error(ctx), last), "the last error is still that of the call");
	tap_diag("%s", hmem_last_error(ctx));
	need(hmem_shelf_get(user.shelf, "x", &object), "getting");
	hmem_shelf_release(user.shelf, &object);
	TAP_OK(!media_slot(&media, ended.slot)->used, "the next release gives it back");
}

int main(void)
{
	users_begin("shelf-released");
	make(&user, 8, 1u << 20, 50);
	need(put(&user, "x", 'x', 100), "putting");
	test_released();
	hold(&user);
	test_failing();
	end_holder();
	unmake(&user);
	hmem_ctx_unref(ctx);
	return tap_done();
}
