// SPDX-License-Identifier: GPL-2.0-only
/*
 * libhmem-malloc.so: children that are forked while a thread makes the space. That takes some
 * milliseconds where a kind of layer is to be looked for, and what the thread holds then nobody
 * gives up in the child.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tap.h>

#define CHILDREN 12

static void *(*volatile do_malloc)(size_t) = malloc;
static atomic_bool begun;

static void *make(void *arg)
{
	atomic_store(&begun, true);
	free(do_malloc(1000000));
	return arg;
}

/* Return: exit status. */
static int allocate(void)
{
	char *block = do_malloc(1000000);

	if (!block)
		return 1;
	memset(block, 1, 1000000);
	free(block);
	return 0;
}

static int end_of(pid_t child)
{
	int status;

	return child < 0 || waitpid(child, &status, 0) != child || status;
}

static int in_child(void)
{
	pid_t grandchild;
	int bad;

	alarm(30);
	bad = allocate();
	grandchild = fork();
	if (!grandchild)
		_exit(allocate());
	return bad | end_of(grandchild);
}

static int forks(void)
{
	pid_t child[CHILDREN];
	pthread_t thread;
	int bad = 0;

	if (pthread_create(&thread, NULL, make, NULL))
		return 1;
	while (!atomic_load(&begun))
		;
	for (int i = 0; i < CHILDREN; i++) {
		child[i] = fork();
		if (!child[i])
			_exit(in_child());
	}
	for (int i = 0; i < CHILDREN; i++)
		bad |= end_of(child[i]);
	pthread_join(thread, NULL);
	return bad | allocate();
}

int main(int argc, char **argv)
{
	char library[4200], self[4096];

	if (argc > 1)
		return forks();
	if (!getenv("HMEM_BUILD") || !realpath(argv[0], self))
		tap_bail("run this with selftests/run");
	snprintf(library, sizeof(library), "%s/libhmem-malloc.so", getenv("HMEM_BUILD"));
	if (access(library, R_OK))
		tap_skip_all("there is no libhmem-malloc.so with sanitizers");
	for (int i = 0; i < 5; i++) {
		pid_t child = fork();

		if (!child) {
			setenv("HMEM_MALLOC_LAYER", "dram", 1);
			setenv("HMEM_MALLOC_SIZE", "64M", 1);
			setenv("LD_PRELOAD", library, 1);
			execl(self, self, "forks", NULL);
			_exit(127);
		}
		TAP_EQ(end_of(child), 0, "all children come to their end, and find memory");
	}
	return tap_done();
}
