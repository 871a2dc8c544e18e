// SPDX-License-Identifier: GPL-2.0-only
/*
 * In a process that was started with stdin, stdout and stderr closed, what is opened gets
 * their numbers: no region and no shelf may have them, or what is printed ends up in there.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hmem/hmem.h>

#include "tap.h"

static const char *path;

static bool leads_to_memory(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode);
}

/* In a child, which has nothing to say it with. 0: none of the first three is taken. */
static int check(struct hmem_region *region)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf;

	options.bytes = 1 << 20;
	if (!region || hmem_shelf_create(region, "s", &options, &shelf))
		return 2;
	for (int fd = 0; fd < 3; fd++)
		if (leads_to_memory(fd))
			return 1;
	if (write(STDERR_FILENO, "a message", 9) >= 0)
		return 1;
	return hmem_shelf_close(shelf) ? 2 : 0;
}

static int make(const char *name)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region *region = NULL;
	struct hmem_ctx *ctx;

	options.bytes = 8 << 20;
	if (hmem_ctx_new(&ctx))
		return 2;
	hmem_region_create(ctx, name, &options, &region);
	return check(region);
}

static int make_file(void)
{
	return make(path);
}

static int make_anon(void)
{
	return make("anon:nameless");
}

static int open_file(void)
{
	struct hmem_region *region = NULL;
	struct hmem_shelf *shelf;
	struct hmem_ctx *ctx;

	if (hmem_ctx_new(&ctx) || hmem_region_open(ctx, path, 0, &region) ||
	    hmem_shelf_open(region, "s", NULL, &shelf))
		return 2;
	for (int fd = 0; fd < 3; fd++)
		if (leads_to_memory(fd))
			return 1;
	return 0;
}

static void closed(int (*run)(void), const char *what)
{
	pid_t child = fork();
	int status = -1;

	if (!child) {
		close(STDIN_FILENO);
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
		_exit(run());
	}
	waitpid(child, &status, 0);
	if (!TAP_OK(!status, "%s", what))
		tap_diag("status %#x", (unsigned int)status);
}

int main(void)
{
	const char *dir = getenv("TMPDIR");
	static char name[4096];

	snprintf(name, sizeof(name), "file:%s/descriptors.%d", dir ? dir : "/tmp", (int)getpid());
	path = name;
	closed(make_file, "a file that is made, and a shelf in it, leave the first three alone");
	closed(open_file, "so do one that is opened, and its shelf");
	closed(make_anon, "and memory without a name");
	unlink(path + strlen("file:"));
	return tap_done();
}
