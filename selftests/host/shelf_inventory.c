// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shelves of a region, listed and destroyed by somebody who has none open.
 * hmem-test: timeout=300
 */
#include <hmem/hmem.h>
#include <hmem/shelf.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define MIB ((uint64_t)1 << 20)

#define OVERRIDE __attribute__((no_sanitize("address", "thread")))
#define REAL(type, name, ...) \
	type (*real)(__VA_ARGS__) = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static struct hmem_ctx *ctx;
static char path[256];

struct told {
	struct hmem_shelf_info info[8];
	unsigned int nr;
	int answer;
};

static int tell(void *arg, const struct hmem_shelf_info *info)
{
	struct told *told = arg;

	told->info[told->nr++] = *info;
	return told->answer;
}

static unsigned int count(struct hmem_region *region)
{
	struct told told = { .nr = 0 };

	return hmem_shelf_iterate(region, tell, &told) ? 99 : told.nr;
}

static struct hmem_shelf *create(struct hmem_region *region, const char *name, uint64_t bytes,
				 unsigned int flags)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf;

	options.bytes = bytes;
	options.max_bytes = 8 * MIB;
	options.flags = flags;
	if (hmem_shelf_create(region, name, &options, &shelf))
		tap_bail("%s", hmem_last_error(ctx));
	return shelf;
}

static void test_iterate(struct hmem_region *region)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };
	struct hmem_shelf *a, *b;
	struct told told = { .nr = 0 };

	TAP_EQ(count(region), 0, "a region without shelves has none");
	a = create(region, "a", MIB, 0);
	b = create(region, "b", 2 * MIB, HMEM_SHELF_ORDERED);
	TAP_EQ(hmem_shelf_iterate(region, tell, &told), 0, "two shelves");
	TAP_EQ(told.nr, 2, "are told of");
	hmem_shelf_get_info(b, &info);
	TAP_OK(!strcmp(told.info[0].name, "a") && !told.info[0].ordered &&
		       told.info[0].bytes == MIB,
	       "one is not ordered");
	TAP_OK(!strcmp(told.info[1].name, "b") && told.info[1].ordered &&
		       told.info[1].bytes == info.bytes && told.info[1].max_bytes == info.max_bytes &&
		       !memcmp(told.info[1].uuid, info.uuid, 16),
	       "the other is, and has size and identity");
	told = (struct told){ .answer = 7 };
	TAP_EQ(hmem_shelf_iterate(region, tell, &told), 7, "an answer ends it");
	TAP_EQ(told.nr, 1, "after the first");
	TAP_EQ(hmem_shelf_iterate(region, NULL, NULL), -EINVAL, "nobody to tell");
	TAP_EQ(hmem_shelf_iterate(NULL, tell, NULL), -EINVAL, "no region");
	hmem_shelf_close(a);
	hmem_shelf_close(b);
}

static void test_destroy(struct hmem_region *region)
{
	struct hmem_region *reading;
	struct hmem_shelf *shelf;
	int status;
	pid_t pid;

	TAP_EQ(hmem_shelf_destroy(NULL, "a"), -EINVAL, "no region");
	TAP_EQ(hmem_shelf_destroy(region, ""), -EINVAL, "no name");
	TAP_EQ(hmem_shelf_destroy(region, "c"), -ENOENT, "no such shelf");
	if (hmem_shelf_open(region, "a", NULL, &shelf))
		tap_bail("%s", hmem_last_error(ctx));
	TAP_EQ(hmem_shelf_destroy(region, "a"), -EBUSY, "not while it is open");
	TAP_EQ(hmem_shelf_put(shelf, "x", "y", 1, NULL), 0, "which goes on working");
	pid = fork();
	if (!pid) {
		struct hmem_region *own;

		if (hmem_ctx_new(&ctx) || hmem_region_open(ctx, path, 0, &own))
			_exit(2);
		_exit(hmem_shelf_destroy(own, "a") == -EBUSY ? 0 : 1);
	}
	TAP_OK(waitpid(pid, &status, 0) == pid && !status, "nor by another process");
	hmem_shelf_close(shelf);
	if (hmem_region_open(ctx, path, HMEM_OPEN_READ_ONLY, &reading))
		tap_bail("%s", hmem_last_error(ctx));
	TAP_EQ(hmem_shelf_destroy(reading, "a"), -EROFS, "nor through what is read-only");
	TAP_EQ(count(reading), 2, "which does for listing");
	hmem_region_close(reading);
	TAP_EQ(hmem_shelf_destroy(region, "a"), 0, "else it is");
	TAP_EQ(count(region), 1, "one is left");
	TAP_EQ(hmem_shelf_open(region, "a", NULL, &shelf), -ENOENT, "it cannot be opened");

	/* Its memory is for others, and nothing of it comes back. */
	shelf = create(region, "a", MIB, 0);
	TAP_EQ(hmem_shelf_read(shelf, "x", NULL, 0, &(size_t){ 0 }), -ENOENT, "a new one is empty");
	hmem_shelf_close(shelf);
	for (int i = 0; i < 50; i++) {
		if (hmem_shelf_destroy(region, "a"))
			break;
		hmem_shelf_close(create(region, "a", 4 * MIB, 0));
		if (i == 49)
			TAP_OK(true, "fifty times");
	}
	TAP_EQ(hmem_shelf_destroy(region, "a") || hmem_shelf_destroy(region, "b"), 0, "all of them");
	TAP_EQ(count(region), 0, "none is left");
}

/* One whose process died, and one whose superblocks are damaged. */
static void test_left(struct hmem_region *region)
{
	struct hmem_shelf *shelf = create(region, "left", MIB, 0);
	static const char noise[64 << 10] = { 1 };
	int status, fd;
	pid_t pid;

	hmem_shelf_close(shelf);
	pid = fork();
	if (!pid) {
		struct hmem_region *own;

		if (hmem_ctx_new(&ctx) || hmem_region_open(ctx, path, 0, &own) ||
		    hmem_shelf_open(own, "left", NULL, &shelf) ||
		    hmem_shelf_put(shelf, "x", "y", 1, NULL))
			_exit(1);
		_exit(0);
	}
	TAP_OK(waitpid(pid, &status, 0) == pid && !status, "a process dies with a shelf open");
	TAP_EQ(hmem_shelf_destroy(region, "left"), 0, "that is destroyed");

	hmem_shelf_close(create(region, "left", MIB, 0));
	fd = open(path, O_RDWR);
	/* Unit 0 is the table, unit 1 the beginning of the only shelf. */
	TAP_EQ(pwrite(fd, noise, sizeof(noise), sizeof(noise)), sizeof(noise), "a shelf is damaged");
	close(fd);
	TAP_EQ(hmem_shelf_open(region, "left", NULL, &shelf), -EUCLEAN, "it cannot be opened");
	TAP_EQ(count(region), 1, "is listed all the same");
	TAP_EQ(hmem_shelf_destroy(region, "left"), 0, "and can be destroyed");
	TAP_EQ(count(region), 0, "none is left");
}

static int count_finding(void *arg, const struct hmem_shelf_finding *finding)
{
	tap_diag("%s at %#llx: %s", finding->part, (unsigned long long)finding->offset,
		 finding->text);
	++*(unsigned int *)arg;
	return 0;
}

/* Records of one shelf are none of the next in the same memory, not even damaged ones. */
static void test_again(struct hmem_region *region)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	unsigned int found = 0, failed = 0;
	struct hmem_shelf *shelf;
	char name[32];

	options.found = count_finding;
	options.found_arg = &found;
	shelf = create(region, "again", 2 * MIB, 0);
	for (unsigned int i = 0; i < 4000; i++) {
		snprintf(name, sizeof(name), "%u", i);
		failed += hmem_shelf_put(shelf, name, name, sizeof(name), NULL) != 0;
	}
	failed += hmem_shelf_close(shelf) != 0;
	failed += hmem_shelf_destroy(region, "again") != 0;
	/* Each has marks of its own; what there is to do where one is the same, host/crash.sh tries. */
	for (unsigned int round = 0; round < 30 && !failed && !found; round++) {
		options.bytes = 2 * MIB;
		options.max_bytes = 8 * MIB;
		options.flags = 0;
		failed += hmem_shelf_create(region, "again", &options, &shelf) != 0;
		if (failed)
			break;
		failed += hmem_shelf_close(shelf) != 0;
		options.flags = HMEM_SHELF_REPAIR;
		failed += hmem_shelf_open(region, "again", &options, &shelf) != 0;
		failed += hmem_shelf_close(shelf) != 0;
		failed += hmem_shelf_destroy(region, "again") != 0;
	}
	TAP_OK(!found && !failed, "shelves in the same memory, one after the other, find nothing of each other's");
}

/* Its metadata ends where its heap begins, and so they do in the region: still two parts. */
static void test_adjacent(struct hmem_region *region)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf;

	options.bytes = options.max_bytes = 9 * MIB;
	options.slots = 950;
	TAP_EQ(hmem_shelf_create(region, "adjacent", &options, &shelf), 0,
	       "metadata without a gap before the heap");
	TAP_EQ(hmem_shelf_close(shelf), 0, "it is closed");
	TAP_EQ(hmem_shelf_open(region, "adjacent", NULL, &shelf), 0, "and opened");
	TAP_EQ(hmem_shelf_close(shelf), 0, "and closed");
	TAP_EQ(hmem_shelf_destroy(region, "adjacent"), 0, "and destroyed");
}

/* --- children that are made while it is at it ------------------------------------------ */

/* Locks that it takes: of the table, for opening the shelf, and for having it open. */
#define LOCKS_TAKEN 3u

/*
 * @fork_at: at so many locks from now on, when that has been taken; 0: no more
 * @lives: a child lives until its other end is closed
 */
static unsigned int fork_at;
static pid_t (*make_child)(void);
static int lives[2];
static bool parent_dies;

static pid_t make_by_clone(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

/* An ordinary child, which uses no shelf. */
static void make_one(void)
{
	pid_t pid = make_child();
	char byte;

	if (pid < 0)
		tap_bail("a child: %s", strerror(errno));
	if (!pid) {
		close(lives[1]);
		_exit(read(lives[0], &byte, 1) != 0);
	}
	if (parent_dies)
		_exit(0);
}

OVERRIDE int fcntl(int fd, int command, ...)
{
	REAL(int, "fcntl", int, int, ...);
	struct flock *lock;
	va_list ap;
	int got;

	va_start(ap, command);
	lock = va_arg(ap, struct flock *);
	va_end(ap);
	got = real(fd, command, lock);
	if (command == F_OFD_SETLK && lock->l_type != F_UNLCK && fork_at && !--fork_at)
		make_one();
	return got;
}

/* In a process of its own, which ends in the middle. */
static int destroy_and_die(unsigned int at)
{
	struct hmem_region *own;
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (hmem_ctx_new(&ctx) || hmem_region_open(ctx, path, 0, &own))
			_exit(1);
		parent_dies = true;
		fork_at = at;
		hmem_shelf_destroy(own, "forked");
		_exit(1);
	}
	return waitpid(pid, &status, 0) != pid || status;
}

/* By one, and while that has it open by another one; then it is taken away. */
static int use_again(struct hmem_region *region)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *one = NULL, *other = NULL;
	struct hmem_region *own;
	int err;

	options.bytes = MIB;
	options.wait_ms = 100;
	err = hmem_shelf_create(region, "forked", &options, &one);
	if (err)
		return err;
	options = (struct hmem_shelf_options)HMEM_SHELF_OPTIONS_INIT;
	options.wait_ms = 100;
	err = hmem_region_open(ctx, path, 0, &own);
	if (!err)
		err = hmem_shelf_open(own, "forked", &options, &other);
	hmem_shelf_close(other);
	hmem_region_close(own);
	hmem_shelf_close(one);
	return err ? err : hmem_shelf_destroy(region, "forked");
}

/* @dies: and so who was at it is gone, and the shelf is still there */
static void test_child(struct hmem_region *region, pid_t (*make)(void), bool dies, const char *what)
{
	int err = 0;

	make_child = make;
	for (unsigned int at = 1; at <= LOCKS_TAKEN && !err; at++) {
		if (pipe2(lives, O_CLOEXEC))
			tap_bail("a pipe");
		hmem_shelf_close(create(region, "forked", MIB, 0));
		if (dies && destroy_and_die(at))
			tap_bail("nobody died at lock %u", at);
		fork_at = dies ? 0 : at;
		err = hmem_shelf_destroy(region, "forked");
		if (fork_at)
			tap_bail("there is no lock %u", at);
		if (!err)
			err = use_again(region);
		if (err)
			tap_diag("at lock %u: %s", at, hmem_last_error(ctx));
		close(lives[1]);
		close(lives[0]);
		if (!dies)
			wait(NULL);
	}
	TAP_EQ(err, 0, "%s", what);
}

static void test_children(struct hmem_region *region)
{
	test_child(region, fork, false,
		   "one is made and used again while a child lives that was made meanwhile");
	test_child(region, fork, true, "and when its parent died in the middle");
	test_child(region, make_by_clone, false,
		   "a child by clone(2) has nothing of it when it is over");
}

int main(void)
{
	struct hmem_region_options place = HMEM_REGION_OPTIONS_INIT;
	const char *dir = getenv("TMPDIR");
	struct hmem_region *region;

	snprintf(path, sizeof(path), "%s/shelf_inventory.%d", dir ? dir : "/tmp", (int)getpid());
	place.bytes = 16 * MIB;
	if (hmem_ctx_new(&ctx) || hmem_region_create(ctx, path, &place, &region))
		tap_bail("%s", ctx ? hmem_last_error(ctx) : "no context");
	test_iterate(region);
	test_destroy(region);
	test_left(region);
	test_again(region);
	test_adjacent(region);
	test_children(region);
	hmem_region_close(region);
	unlink(path);
	hmem_ctx_unref(ctx);
	return tap_done();
}
