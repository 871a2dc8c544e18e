// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moves of allocations that nobody waits for: what they have is in the other space in the end, what
 * cannot be done to them meanwhile, what is refused, and what a child of fork(2) has of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../sanitized.h"
#include "interface_user.h"

#define LARGE (8 * MIB)

static struct hmem_space *here, *there;
static struct hmem_interface *from, *to;

static struct hmem_allocation *must_have(struct hmem_interface *interface, size_t bytes, int value)
{
	struct hmem_allocation *allocation;

	if (hmem_allocation_new(interface, bytes, 64, 0, &allocation))
		tap_bail("%s", hmem_last_error(ctx));
	memset(hmem_allocation_data(allocation), value, bytes);
	return allocation;
}

static bool has(const struct hmem_allocation *allocation, int value)
{
	const char *data = hmem_allocation_data(allocation);

	for (size_t i = 0; i < hmem_allocation_bytes(allocation); i++)
		if (data[i] != (char)value)
			return false;
	return true;
}

static struct hmem_interface *interface_of(const struct hmem_allocation *allocation)
{
	struct hmem_allocation_info info = { .size = sizeof(info) };

	if (hmem_allocation_get_info(allocation, &info))
		tap_bail("%s", hmem_last_error(ctx));
	return info.interface;
}

/* Who had a block gives it back when all is over. */
static bool empties(const struct hmem_interface *interface)
{
	time_t end = time(NULL) + 60;

	while (stats_of(interface).blocks && time(NULL) < end)
		usleep(1000);
	return !stats_of(interface).blocks;
}

static void test_moves(void)
{
	struct hmem_allocation *a = must_have(from, MIB, 7);
	struct hmem_completion *completion;

	TAP_EQ(hmem_allocation_move_begin(a, to, &completion), 0, "a move is begun");
	TAP_EQ(hmem_completion_wait(completion, 60000), 0, "and is over");
	TAP_EQ(hmem_completion_poll(completion), 1, "as can be asked");
	hmem_completion_unref(completion);
	TAP_OK(has(a, 7) && hmem_space_handle(there, hmem_allocation_data(a)) &&
		       interface_of(a) == to,
	       "what is in it is in the other space");
	TAP_OK(empties(from) && stats_of(to).blocks == 1, "and nothing in the first");
	TAP_EQ(hmem_allocation_move_begin(a, from, &completion), 0, "it goes back");
	hmem_completion_unref(completion);
	while (hmem_allocation_free(a))
		usleep(1000);
	TAP_OK(empties(from) && empties(to), "though nobody waits; then it is freed");
	a = must_have(from, 100, 8);
	TAP_EQ(hmem_allocation_move_begin(a, from, &completion), 0, "to where it is");
	TAP_EQ(hmem_completion_wait(completion, 60000), 0, "it moves");
	hmem_completion_unref(completion);
	TAP_OK(has(a, 8) && stats_of(from).blocks == 1, "by staying there");
	hmem_allocation_free(a);
}

/* What is refused of one that is under way, of which there is a queue; 8 if it was. */
static int busy(void)
{
	struct hmem_allocation *all[12], *last, *slice, *other = must_have(from, 100, 1);
	struct hmem_allocation_info info = { .size = sizeof(info) };
	const struct hmem_shape shape = { 100, 1, 1 };
	struct hmem_completion *completions[12], *none;
	int n = 0;

	for (int i = 0; i < 12; i++)
		all[i] = must_have(from, LARGE, i);
	for (int i = 0; i < 12; i++)
		if (hmem_allocation_move_begin(all[i], to, &completions[i]))
			tap_bail("%s", hmem_last_error(ctx));
	last = all[11];
	n += hmem_space_handle(here, hmem_allocation_data(last)) != 0;
	n += hmem_allocation_slice(last, 0, 10, &slice) == -EBUSY;
	n += hmem_allocation_resize(last, 10) == -EBUSY;
	n += hmem_allocation_move(last, to) == -EBUSY;
	n += hmem_allocation_move_begin(last, to, &none) == -EBUSY;
	n += hmem_copy_shape(other, NULL, last, NULL, &shape) == -EBUSY;
	n += hmem_allocation_get_info(last, &info) == -EBUSY;
	n += hmem_completion_wait(completions[11], 0) == -ETIMEDOUT;
	for (int i = 0; i < 12; i++) {
		if (hmem_completion_wait(completions[i], -1) || !has(all[i], i))
			tap_bail("move %d came to nothing", i);
		hmem_completion_unref(completions[i]);
		if (hmem_allocation_free(all[i]))
			tap_bail("%s", hmem_last_error(ctx));
	}
	hmem_allocation_free(other);
	return n;
}

static void test_busy(void)
{
	int n = 0;

	/* Where this thread was kept from going on it tries again. */
	for (int i = 0; i < 20 && n < 8; i++)
		n = busy();
	TAP_EQ(n, 8, "meanwhile it is where it was, and nothing else is done to it");
}

static void test_refused(void)
{
	struct hmem_interface *one = must_interface(here, HMEM_STRATEGY_BINNED, 0,
						    HMEM_INTERFACE_ONE_THREAD);
	struct hmem_allocation *a = must_have(from, MIB, 3), *b = must_have(one, 100, 4), *slice;
	struct hmem_completion *completion;
	char memory[64];

	TAP_EQ(hmem_allocation_move_begin(NULL, to, &completion), -EINVAL, "nothing to move");
	TAP_EQ(hmem_allocation_move_begin(a, NULL, &completion), -EINVAL, "nowhere to");
	TAP_EQ(hmem_allocation_move_begin(a, to, NULL), -EINVAL, "nothing to wait for");
	TAP_EQ(hmem_allocation_move_begin(a, one, &completion), -EOPNOTSUPP,
	       "to an interface for one thread");
	TAP_EQ(hmem_allocation_move_begin(b, to, &completion), -EOPNOTSUPP, "or from one");
	hmem_allocation_free(b);
	hmem_interface_unref(one);
	if (hmem_allocation_slice(a, 0, 10, &slice))
		tap_bail("%s", hmem_last_error(ctx));
	TAP_EQ(hmem_allocation_move_begin(slice, to, &completion), -EOPNOTSUPP, "a slice");
	TAP_EQ(hmem_allocation_move_begin(a, to, &completion), -EBUSY, "what has slices");
	hmem_allocation_free(slice);
	hmem_space_set_limit(there, 64 << 10);
	TAP_EQ(hmem_allocation_move_begin(a, to, &completion), -EDQUOT, "where there is no room");
	hmem_space_set_limit(there, 0);
	TAP_OK(has(a, 3) && interface_of(a) == from, "it is as it was");
	TAP_EQ(hmem_allocation_free(a), 0, "and can be freed");
	if (hmem_allocation_adopt(ctx, NULL, memory, sizeof(memory), 0, &a))
		tap_bail("%s", hmem_last_error(ctx));
	TAP_EQ(hmem_allocation_move_begin(a, to, &completion), -EOPNOTSUPP, "what it does not own");
	hmem_allocation_free(a);
}

static void test_checked(void)
{
	struct hmem_interface *checked = must_interface(here, HMEM_STRATEGY_BINNED, 0,
							HMEM_INTERFACE_CHECKED);
	struct hmem_allocation *a = must_have(checked, 100, 5), *b = must_have(checked, 100, 6);
	struct hmem_completion *completion;
	time_t end = time(NULL) + 60;

	((char *)hmem_allocation_data(a))[100] = 5;
	TAP_EQ(hmem_allocation_move_begin(a, to, &completion), 0, "one that was written beyond its end");
	TAP_EQ(hmem_completion_wait(completion, 60000), 0, "is moved");
	hmem_completion_unref(completion);
	TAP_OK(interface_of(a) == to && has(a, 5), "with what is in it");
	TAP_EQ(hmem_allocation_move_begin(b, to, &completion), 0, "and one that was not");
	TAP_EQ(hmem_completion_wait(completion, 60000), 0, "too");
	hmem_completion_unref(completion);
	while (stats_of(checked).blocks > 1 && time(NULL) < end)
		usleep(1000);
	TAP_EQ(stats_of(checked).blocks, 1, "the block of the first stays");
	hmem_allocation_free(a);
	hmem_allocation_free(b);
	hmem_interface_unref(checked);
}

/* 0: all were over before the fork; 1: what was not is as if it had not been begun. */
static int child_has(struct hmem_allocation *const *all, struct hmem_completion *const *completions,
		     int n)
{
	int canceled = 0;

	for (int i = 0; i < n; i++) {
		int done = hmem_completion_poll(completions[i]);

		if (done != 1 && (done != -ECANCELED ||
				  hmem_completion_wait(completions[i], -1) != -ECANCELED))
			return 2;
		canceled += done != 1;
		if (!has(all[i], i))
			return 3;
		if (hmem_allocation_free(all[i]))
			return 4;
	}
	return canceled ? 1 : 0;
}

static void test_child(void)
{
	int status = 0;

	if (SANITIZER == 2) {
		tap_skip("moves that a child's parent began",
			 "the sanitizer of races has no such children");
		return;
	}
	for (int round = 0; round < 20 && status != 1; round++) {
		struct hmem_allocation *all[12];
		struct hmem_completion *completions[12];
		pid_t child;

		for (int i = 0; i < 12; i++)
			all[i] = must_have(from, LARGE, i);
		for (int i = 0; i < 12; i++)
			if (hmem_allocation_move_begin(all[i], to, &completions[i]))
				tap_bail("%s", hmem_last_error(ctx));
		child = fork();
		if (!child) {
			alarm(30);
			_exit(child_has(all, completions, 12));
		}
		if (child < 0 || waitpid(child, &status, 0) != child)
			tap_bail("no child");
		status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
		for (int i = 0; i < 12; i++) {
			if (hmem_completion_wait(completions[i], -1) || !has(all[i], i) ||
			    hmem_allocation_free(all[i]))
				tap_bail("%s", hmem_last_error(ctx));
			hmem_completion_unref(completions[i]);
		}
		if (status > 1)
			break;
	}
	TAP_EQ(status, 1, "a child has what was not moved yet where it was, and all that is in it");
}

int main(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	here = must_space(256 * MIB);
	there = must_space(256 * MIB);
	from = must_interface(here, HMEM_STRATEGY_BINNED, 0, 0);
	to = must_interface(there, HMEM_STRATEGY_BINNED, 0, 0);
	test_moves();
	test_busy();
	test_refused();
	test_checked();
	test_child();
	hmem_interface_unref(from);
	hmem_interface_unref(to);
	hmem_space_unref(here);
	hmem_space_unref(there);
	hmem_ctx_unref(ctx);
	return tap_done();
}
