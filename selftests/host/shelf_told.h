/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Processes that use a shelf one after the other, in a file whose page cache is a model, and what
 * they were told that is there.
 */
#ifndef SELFTESTS_HOST_SHELF_TOLD_H
#define SELFTESTS_HOST_SHELF_TOLD_H

#include <sys/prctl.h>
#include <sys/wait.h>

#include <hmem/hmem.h>

#include "page_cache.h"

#define MI	((uint64_t)1 << 20)
#define OBJECTS	512u
#define OLD	20u	/* so many are there from the beginning */

/*
 * Shared by all processes. @bytes: of the values of which somebody was told that they are there;
 * @maybe: of one that may have replaced it; @made: that there is a second shelf; @lost: so many
 * objects are not as they were told
 */
static struct {
	size_t bytes[OBJECTS], maybe[OBJECTS];
	bool made;
	unsigned int lost;
} *told;

static unsigned char *begun, value[65536];
static char path[64], region_name[80];
static int file, hears, says;
static struct hmem_ctx *ctx;
static struct hmem_region *region;
static struct hmem_shelf *shelf;

/* --- processes ----------------------------------------------------------------------- */

struct process {
	pid_t pid;
	int from, to;
};

/* Until the test wants it to go on. */
static void meet(void)
{
	char byte;

	if (write(says, "", 1) != 1 || read(hears, &byte, 1) != 1)
		_exit(CACHE_DIED + 1);
	cache_watch();
}

static void begin(struct process *process, int (*act)(void))
{
	int up[2], down[2];

	cache->failed = false;
	if (pipe2(up, O_CLOEXEC) || pipe2(down, O_CLOEXEC))
		tap_bail("a pipe: %s", strerror(errno));
	process->pid = fork();
	if (!process->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(up[0]);
		close(down[1]);
		says = up[1];
		hears = down[0];
		_exit(-act());
	}
	close(up[1]);
	close(down[0]);
	process->from = up[0];
	process->to = down[1];
}

/* 0, a negative errno, or CACHE_DIED. */
static int end(const struct process *process)
{
	int status;

	close(process->to);
	close(process->from);
	waitpid(process->pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > CACHE_DIED)
		tap_bail("a process ended with %#x", status);
	return WEXITSTATUS(status) == CACHE_DIED ? CACHE_DIED : -WEXITSTATUS(status);
}

static int run(int (*act)(void))
{
	struct process process;

	begin(&process, act);
	return end(&process);
}

static void begin_and_meet(struct process *process, int (*act)(void))
{
	char byte;

	begin(process, act);
	if (read(process->from, &byte, 1) != 1)
		tap_bail("a process did not get where it was to wait");
}

static int let_go(const struct process *process)
{
	if (write(process->to, "", 1) != 1)
		tap_bail("a process does not wait");
	return end(process);
}

/* --- objects ------------------------------------------------------------------------- */

static int open_region(void)
{
	int err = hmem_ctx_new(&ctx);

	if (err)
		return err;
	hmem_ctx_set_log_level(ctx, HMEM_LOG_ERR);
	return hmem_region_open(ctx, region_name, 0, &region);
}

static int open_shelf(unsigned int flags)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	int err = open_region();

	options.flags = flags;
	return err ? err : hmem_shelf_open(region, "s", &options, &shelf);
}

static int put(unsigned int i, size_t bytes, size_t align)
{
	struct hmem_put_options options = HMEM_PUT_OPTIONS_INIT;
	char name[16];
	int err;

	options.align = align;
	snprintf(name, sizeof(name), "%u", i);
	memset(value, (int)(i + bytes), bytes);
	told->maybe[i] = bytes;
	err = hmem_shelf_put(shelf, name, value, bytes, &options);
	if (!err)
		told->bytes[i] = bytes;
	return err;
}

static int put_all(unsigned int from, unsigned int to, size_t bytes, size_t align)
{
	int err = 0;

	for (unsigned int i = from; i < to && !err; i++)
		err = put(i, bytes, align);
	return err;
}

static bool is_as_told(unsigned int i)
{
	char name[16];
	size_t bytes;
	int err;

	snprintf(name, sizeof(name), "%u", i);
	err = hmem_shelf_read(shelf, name, value, sizeof(value), &bytes);
	if (err)
		return err == -ENOENT && !told->bytes[i];
	for (size_t at = 0; at < bytes; at++)
		if (value[at] != (unsigned char)(i + bytes))
			return false;
	return bytes == told->bytes[i] || bytes == told->maybe[i];
}

static int look(void)
{
	int err = open_shelf(0);

	for (unsigned int i = 0; i < OBJECTS && !err; i++)
		told->lost += !is_as_told(i);
	return err ? err : hmem_shelf_check(shelf, NULL, NULL);
}

static int create(const char *name)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;

	options.bytes = 2 * MI;
	options.max_bytes = 4 * MI;
	options.slots = 8;
	return hmem_shelf_create(region, name, &options, &shelf);
}

static int make(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	int err = hmem_ctx_new(&ctx);

	options.bytes = CACHE_BYTES;
	if (!err)
		err = hmem_region_create(ctx, region_name, &options, &region);
	if (!err)
		err = create("s");
	if (!err)
		err = put_all(0, OLD, 100, 0);
	return err ? err : hmem_shelf_close(shelf);
}

/* All as it was made, in another boot. */
static void again(void)
{
	memcpy(cache->media, begun, CACHE_BYTES);
	memset(told, 0, sizeof(*told));
	for (unsigned int i = 0; i < OLD; i++)
		told->bytes[i] = told->maybe[i] = 100;
	cache_lose(file);
}

/* Is anything not as somebody was told when the power has gone? */
static bool loses(const char *what, int (*looks)(void))
{
	int err;

	cache_lose(file);
	err = run(looks);
	if (!err && !told->lost)
		return false;
	tap_diag("%s: number %u fails, number %u is the last, torn %d: %d, lost %u", what,
		 cache_fault.fail, cache_fault.die, cache_fault.torn, err, told->lost);
	return true;
}

static void remove_file(void)
{
	unlink(path);
}

static void told_begin(const char *test)
{
	snprintf(path, sizeof(path), "/dev/shm/hmem-%s-%d", test, (int)getpid());
	snprintf(region_name, sizeof(region_name), "file:%s", path);
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	begun = malloc(CACHE_BYTES);
	if (told == MAP_FAILED || !begun)
		tap_bail("no memory");
	cache_begin();
	atexit(remove_file);
	if (run(make))
		tap_bail("a shelf was not made");
	memcpy(begun, cache->media, CACHE_BYTES);
	file = open(path, O_RDWR | O_CLOEXEC);
	if (file < 0)
		tap_bail("opening %s: %s", path, strerror(errno));
}

static void told_end(void)
{
	close(file);
	free(begun);
}

#endif
