// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls on one handle by several threads that contradict each other: of two one is -EBUSY, none goes
 * by what the other has just changed, and who only asks is told where it is.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "../sanitized.h"
#include "interface_user.h"

#define SMALL 10
#define LARGE 1000

static struct hmem_space *space, *other_space;
static struct hmem_interface *interface, *other;
static struct hmem_allocation *shared;
static unsigned long times;
static atomic_bool over;
static atomic_ulong wrong, good;

/* Now it is small, now it is large. */
static void *resizes(void *arg)
{
	(void)arg;
	for (size_t bytes = SMALL; !atomic_load(&over); bytes = SMALL + LARGE - bytes) {
		int err = hmem_allocation_resize(shared, bytes);

		atomic_fetch_add(&wrong, err && err != -EBUSY);
	}
	return NULL;
}

/* Now it is here, now it is there. */
static void *moves(void *arg)
{
	struct hmem_interface *to = other;

	(void)arg;
	while (!atomic_load(&over)) {
		struct hmem_completion *completion;
		int err = hmem_allocation_move(shared, to);

		atomic_fetch_add(&wrong, err && err != -EBUSY);
		to = to == other ? interface : other;
		if (hmem_allocation_move_begin(shared, to, &completion))
			continue;
		atomic_fetch_add(&wrong, hmem_completion_wait(completion, -1) != 0);
		hmem_completion_unref(completion);
		to = to == other ? interface : other;
	}
	return NULL;
}

/* @fn as often as it must be good, while another thread does @against. */
static void together(void *(*against)(void *arg), void (*fn)(void), const char *what)
{
	pthread_t thread;

	atomic_store(&over, false);
	atomic_store(&wrong, 0);
	atomic_store(&good, 0);
	if (pthread_create(&thread, NULL, against, NULL))
		tap_bail("no thread");
	while (atomic_load(&good) < times && !atomic_load(&wrong))
		fn();
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	TAP_EQ(atomic_load(&wrong), 0, "%s", what);
}

/* As long as there is one it has as many bytes as it had. */
static void slice(void)
{
	struct hmem_allocation *slice;
	int err = hmem_allocation_slice(shared, LARGE - 100, 100, &slice);

	atomic_fetch_add(&wrong, err && err != -EBUSY && err != -ERANGE);
	if (err)
		return;
	atomic_fetch_add(&good, 1);
	atomic_fetch_add(&wrong, hmem_allocation_bytes(shared) != LARGE);
	atomic_fetch_add(&wrong, hmem_allocation_free(slice) != 0);
}

/* Who has a slice may have another one, whatever others try with its owner. */
static void slice_again(void)
{
	struct hmem_allocation *first, *second;
	int err;

	if (hmem_allocation_slice(shared, 0, 5, &first))
		return;
	for (int i = 0; i < 10; i++) {
		err = hmem_allocation_slice(first, 1, 2, &second);
		atomic_fetch_add(&wrong, err != 0);
		if (!err)
			hmem_allocation_free(second);
		atomic_fetch_add(&good, 1);
	}
	atomic_fetch_add(&wrong, hmem_allocation_free(first) != 0);
}

/* Where it is small it has neighbours, of the same thread, so that more than it has is theirs. */
static char *around[4000];

static void *resizes_among_others(void *arg)
{
	for (int i = 0; i < 4000; i++)
		around[i] = hmem_calloc(interface, 1, 16);
	for (int i = 1000; i < 2000; i += 2)
		hmem_free(interface, around[i]);
	return resizes(arg);
}

static void test_copies(void)
{
	static char ones[100];
	struct hmem_allocation *from;
	pthread_t thread;
	size_t changed = 0;

	memset(ones, 1, sizeof(ones));
	if (hmem_allocation_adopt(ctx, NULL, ones, sizeof(ones), 0, &from))
		tap_bail("%s", hmem_last_error(ctx));
	atomic_store(&over, false);
	if (pthread_create(&thread, NULL, resizes_among_others, NULL))
		tap_bail("no thread");
	for (unsigned long n = 0; n < times;)
		n += !hmem_copy_bytes(shared, LARGE - 100, from, 0, 100);
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	for (int i = 0; i < 4000; i++) {
		if (i >= 1000 && i < 2000 && i % 2 == 0)
			continue;
		for (int b = 0; b < 16; b++)
			changed += around[i][b] != 0;
		hmem_free(interface, around[i]);
	}
	TAP_EQ(changed, 0, "nothing is copied to where it had been larger");
	hmem_allocation_free(from);
}

static void ask_where(void)
{
	atomic_fetch_add(&wrong, !hmem_allocation_data(shared));
	atomic_fetch_add(&good, 1);
}

/* It is in the space of the interface that it is of. */
static void ask_all(void)
{
	struct hmem_allocation_info info = { .size = sizeof(info) };
	int err = hmem_allocation_get_info(shared, &info);

	atomic_fetch_add(&wrong, err && err != -EBUSY);
	atomic_fetch_add(&wrong, !err && !hmem_space_handle(hmem_interface_space(info.interface),
							     info.data));
	atomic_fetch_add(&good, !err);
}

static void begin(uint32_t flags)
{
	interface = must_interface(space, HMEM_STRATEGY_BINNED, 0, flags);
	other = must_interface(other_space, HMEM_STRATEGY_BINNED, 0, flags);
	if (hmem_allocation_new(interface, LARGE, 0, 0, &shared) || stats_of(interface).blocks != 1)
		tap_bail("%s", hmem_last_error(ctx));
}

static void end(void)
{
	TAP_EQ(hmem_allocation_free(shared), 0, "then it is freed");
	hmem_interface_unref(interface);
	hmem_interface_unref(other);
}

int main(void)
{
	times = sanitized("calls", 2000000, 10, 50);
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	space = must_space(4 * MIB);
	other_space = must_space(4 * MIB);
	begin(0);
	together(resizes, slice, "a slice reaches as far as there was something when it was made");
	together(resizes, slice_again, "who has a slice is not told that its owner is busy");
	test_copies();
	together(moves, ask_all, "what is known of it is of one place");
	end();
	begin(HMEM_INTERFACE_CHECKED);
	together(moves, ask_where, "in checked mode it is somewhere while it is moved");
	together(moves, ask_all, "and what is known of it is of one place");
	end();
	hmem_space_unref(space);
	hmem_space_unref(other_space);
	hmem_ctx_unref(ctx);
	return tap_done();
}
