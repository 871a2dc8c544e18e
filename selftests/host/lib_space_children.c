// SPDX-License-Identifier: GPL-2.0-only
/*
 * References to spaces of system RAM, and children of fork(2), which have copies of them.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "../sanitized.h"
#include "space_user.h"

static void test_references(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_interface *first, *second;
	struct hmem_space *space;
	char *block;

	options.bytes = 2 * MIB;
	space = space_of(&options);
	TAP_EQ(info_of(space).interfaces, 0, "a space has no interface");
	first = interface_on(space, HMEM_STRATEGY_GENERAL);
	second = interface_on(space, HMEM_STRATEGY_BUMP);
	TAP_EQ(info_of(space).interfaces, 2, "then two");
	TAP_OK(hmem_space_ref(space) == space, "a reference is one to the same");
	hmem_space_unref(space);
	hmem_space_unref(space);
	block = hmem_malloc(first, MIB);
	TAP_OK(block && memset(block, 1, MIB), "interfaces keep the space");
	hmem_interface_unref(first);
	TAP_OK(hmem_interface_space(second) == space && info_of(space).interfaces == 1, "also one");
	TAP_EQ(info_of(space).used, 0, "to which what the others had is left");
	TAP_EQ(resident(block, MIB), 256, "its memory is there");
	hmem_interface_unref(second);
	TAP_EQ(resident(block, MIB), -1, "until the last one is gone");
}

static struct hmem_interface *inherited;
static char *parents_block;

/* 0: it has a copy to allocate from. */
static int uses_copy(void *unused)
{
	static void *blocks[1000];

	if (strcmp(parents_block, "parent"))
		return 1;
	strcpy(parents_block, "child");
	for (int i = 0; i < 1000; i++) {
		blocks[i] = hmem_malloc(inherited, 100);
		if (!blocks[i])
			return 2;
		memset(blocks[i], 'c', 100);
	}
	for (int i = 0; i < 1000; i++)
		if (hmem_free(inherited, blocks[i]))
			return 3;
	if (hmem_free(inherited, parents_block) || hmem_free(inherited, parents_block) != -EALREADY)
		return 4;
	hmem_interface_unref(inherited);
	(void)unused;
	return 0;
}

static void test_child(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_interface_stats before = { .size = sizeof(before) };
	struct hmem_interface_stats after = { .size = sizeof(after) };
	struct hmem_space *space;

	options.bytes = 4 * MIB;
	space = space_of(&options);
	inherited = interface_on(space, HMEM_STRATEGY_GENERAL);
	hmem_space_unref(space);
	parents_block = hmem_malloc(inherited, 100);
	strcpy(parents_block, "parent");
	hmem_interface_get_stats(inherited, &before);
	TAP_EQ(in_child(uses_copy, NULL), 0, "a child has a copy of a space, and allocates in it");
	hmem_interface_get_stats(inherited, &after);
	TAP_STR_EQ(parents_block, "parent", "its parent has what it had");
	TAP_OK(before.blocks == after.blocks && before.held == after.held, "and so much of it");
	TAP_EQ(hmem_free(inherited, parents_block), 0, "and goes on");
	hmem_interface_unref(inherited);
}

static _Atomic bool enough;

/* What a thread does that is counted is done under a lock. */
static void *looks(void *bump)
{
	struct hmem_interface_stats stats = { .size = sizeof(stats) };

	while (!enough)
		hmem_interface_get_stats(bump, &stats);
	return bump;
}

static int allocates_first(void *space)
{
	struct hmem_interface *interface;

	alarm(10);
	interface = interface_on(space, HMEM_STRATEGY_GENERAL);
	if (!hmem_malloc(interface, 1))
		return 1;
	hmem_interface_unref(interface);
	return 0;
}

static void test_child_of_threads(void)
{
	unsigned long forks = sanitized("forks", 1000, 20, 100), n = 0;
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_interface *bump;
	struct hmem_space *space;
	pthread_t thread;

	options.bytes = 2 * MIB;
	space = space_of(&options);
	bump = interface_on(space, HMEM_STRATEGY_BUMP);
	if (!hmem_malloc(bump, 1) || pthread_create(&thread, NULL, looks, bump))
		tap_bail("no thread");
	while (n < forks && !in_child(allocates_first, space))
		n++;
	enough = true;
	pthread_join(thread, NULL);
	TAP_EQ(n, forks, "a child allocates, whatever its parent's other threads were at");
	hmem_interface_unref(bump);
	hmem_space_unref(space);
}

int main(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	test_references();
	test_child();
	test_child_of_threads();
	hmem_ctx_unref(ctx);
	return tap_done();
}
