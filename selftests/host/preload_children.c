// SPDX-License-Identifier: GPL-2.0-only
/*
 * libhmem-malloc.so under a program that forks: children and theirs, threads that are inside
 * malloc(3) in that instant, handlers of forks, and children that are none.
 * hmem-test: timeout=240
 */
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>

#include "preload_user.h"

/* --- children ------------------------------------------------------------------------ */

static void wait_for(pid_t child)
{
	int status;

	CHECK(child > 0);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
}

#define BLOCKS 40

static void fill_all(void **blocks, unsigned int seed)
{
	for (unsigned int i = 0; i < BLOCKS; i++)
		fill(blocks[i], 1000 + i * 5000, seed + i);
}

static void check_all(void **blocks, unsigned int seed)
{
	for (unsigned int i = 0; i < BLOCKS; i++)
		CHECK(is_filled(blocks[i], 1000 + i * 5000, seed + i));
}

/* @depth: of children's children, each of which has what its parent had, and changes it. */
static void generation(void **blocks, unsigned int depth)
{
	pid_t child;
	void *more;

	check_all(blocks, depth + 1);
	fill_all(blocks, depth);
	more = do_calloc(1, 3 * LARGE);
	CHECK(is_here(more) && is_zero(more, 3 * LARGE));
	if (depth) {
		child = fork();
		if (!child) {
			generation(blocks, depth - 1);
			exit(0);
		}
		/* While it runs: neither sees the other's. */
		fill_all(blocks, 77);
		check_all(blocks, 77);
		wait_for(child);
		check_all(blocks, 77);
	}
	do_free(more);
	for (unsigned int i = 0; i < BLOCKS; i++)
		do_free(blocks[i]);
}

static void children(void)
{
	void *blocks[BLOCKS];

	for (unsigned int i = 0; i < BLOCKS; i++)
		blocks[i] = do_malloc(1000 + i * 5000);
	fill_all(blocks, 4);
	for (int i = 0; i < 3; i++) {
		pid_t child = fork();

		if (!child) {
			generation(blocks, 3);
			exit(0);
		}
		fill_all(blocks, 50);
		check_all(blocks, 50);
		wait_for(child);
		check_all(blocks, 50);
		fill_all(blocks, 4);
	}
	wait_for(fork() ?: (execl("/bin/true", "true", NULL), _exit(1), 0));
}

static atomic_bool stop;

static void *until_stopped(void *arg)
{
	uint32_t random = (uint32_t)(uintptr_t)arg;

	while (!atomic_load(&stop))
		step(&random);
	return NULL;
}

/* A thread whose first allocation above the threshold may come in the instant of a fork. */
static void *born_and_gone(void *arg)
{
	(void)arg;
	do_free(do_malloc(LARGE));
	return NULL;
}

static void *always_new(void *arg)
{
	pthread_t thread;

	while (!atomic_load(&stop)) {
		CHECK(!pthread_create(&thread, NULL, born_and_gone, arg));
		pthread_join(thread, NULL);
	}
	return NULL;
}

static void in_child_of_threads(void **blocks)
{
	pthread_t thread;
	void *more[16];

	alarm(60);
	check_all(blocks, 8);
	for (int i = 0; i < 200; i++) {
		more[i % 16] = do_malloc((size_t)i * 700 + 1);
		CHECK(more[i % 16]);
		memset(more[i % 16], i, (size_t)i * 700 + 1);
		if (i % 16 == 15)
			for (int j = 0; j < 16; j++)
				do_free(more[j]);
	}
	CHECK(!pthread_create(&thread, NULL, born_and_gone, NULL));
	pthread_join(thread, NULL);
	check_all(blocks, 8);
	for (unsigned int i = 0; i < BLOCKS; i++)
		do_free(blocks[i]);
	_exit(0);
}

static void children_of_threads(void)
{
	pthread_t all[4];
	void *blocks[BLOCKS];

	for (unsigned int i = 0; i < BLOCKS; i++)
		blocks[i] = do_malloc(1000 + i * 5000);
	fill_all(blocks, 8);
	for (int i = 0; i < 4; i++)
		CHECK(!pthread_create(&all[i], NULL, i ? until_stopped : always_new,
				      (void *)(uintptr_t)(i + 1)));
	for (int i = 0; i < 30; i++) {
		pid_t child = fork();

		if (!child)
			in_child_of_threads(blocks);
		wait_for(child);
		check_all(blocks, 8);
	}
	stop = true;
	for (int i = 0; i < 4; i++)
		pthread_join(all[i], NULL);
}

/* Without room for a copy a child has none of a file, rather than its parent's memory. */
static void no_room(void)
{
	bool is_file = !strncmp(getenv("HMEM_MALLOC_LAYER"), "file:", 5);
	struct rlimit was, none = { 0, 0 };
	void *block = do_malloc(LARGE);
	int status;
	pid_t child;

	fill(block, LARGE, 2);
	CHECK(!getrlimit(RLIMIT_AS, &was) && !setrlimit(RLIMIT_CORE, &none));
	none.rlim_max = was.rlim_max;
	CHECK(!setrlimit(RLIMIT_AS, &none));
	child = fork();
	if (!child)
		_exit(!is_filled(block, LARGE, 2));
	CHECK(!setrlimit(RLIMIT_AS, &was));
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	if (is_file)
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	else
		CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	CHECK(is_filled(block, LARGE, 2));
	child = fork();
	if (!child)
		_exit(!is_filled(block, LARGE, 2));
	wait_for(child);
	do_free(block);
}

extern char **environ;

/* None of these is a fork: they run in the parent's memory, and change nothing there. */
static void spawned(void)
{
	char *block = do_malloc(LARGE), *args[] = { (char[]){ "true" }, NULL };
	pid_t child;

	fill(block, LARGE, 1);
	for (int i = 0; i < 20; i++) {
		child = vfork();
		if (!child)
			_exit(0);
		wait_for(child);
		CHECK(!posix_spawn(&child, "/bin/true", NULL, NULL, args, environ));
		wait_for(child);
	}
	CHECK(!system("true"));
	CHECK(is_filled(block, LARGE, 1));
	do_free(block);
}

/* --- handlers of the program's own, which are there before the library's ---------------- */

static bool has_handlers;

static void allocate_in_handler(void)
{
	void *block;

	if (!has_handlers)
		return;
	alarm(60);
	CHECK(is_filled(early, LARGE, 6));
	block = do_malloc(LARGE);
	CHECK(block);
	do_free(block);
}

/* In a child only what is there is looked at, see lib/preload/children.c. */
static void look_in_handler(void)
{
	CHECK(!has_handlers || is_filled(early, LARGE, 6));
}

static void *fork_in_thread(void *arg)
{
	pid_t child = fork();

	(void)arg;
	if (!child) {
		CHECK(is_filled(early, LARGE, 6));
		memset(early, 0, LARGE);
		do_free(early);
		exit(0);
	}
	wait_for(child);
	return NULL;
}

/* The thread that forks has not had anything of the space. */
static void handlers(void)
{
	pthread_t thread;

	has_handlers = true;
	for (int i = 0; i < 3; i++) {
		CHECK(!pthread_create(&thread, NULL, fork_in_thread, NULL));
		pthread_join(thread, NULL);
		CHECK(is_filled(early, LARGE, 6));
	}
	has_handlers = false;
}

static __attribute__((constructor(101))) void register_early(void)
{
	CHECK(!pthread_atfork(allocate_in_handler, allocate_in_handler, look_in_handler));
}

static const struct preload_case cases[] = {
	{ "children", children, NULL, NULL, NULL, -1, NULL },
	{ "children of threads", children_of_threads, NULL, NULL, NULL, -1, NULL },
	{ "handlers of forks", handlers, NULL, NULL, NULL, -1, NULL },
	{ "no room for a copy", no_room, NULL, NULL, NULL, 1, NULL },
	{ "spawned", spawned, NULL, NULL, NULL, 1, NULL },
	{ 0 },
};

int main(int argc, char **argv)
{
	return preload_main(argc, argv, cases);
}
