// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spaces of processes, as others see them: what they say, when they are there, and that nothing
 * which a process shows is trusted.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/space_shown.h"
#include "interface_user.h"

enum { SEEN_MAX = 16 };

static struct hmem_space_seen found[SEEN_MAX];
static int nr_found;

static int keep(void *arg, const struct hmem_space_seen *seen)
{
	(void)arg;
	if (nr_found < SEEN_MAX)
		found[nr_found++] = *seen;
	return 0;
}

/* How many a process has; they are in found[]. */
static int look_at(int pid)
{
	nr_found = 0;
	if (hmem_space_iterate(ctx, pid, keep, NULL, NULL))
		tap_bail("%s", hmem_last_error(ctx));
	return nr_found;
}

static const struct hmem_space_seen *see(const char *name)
{
	look_at(getpid());
	for (int i = 0; i < nr_found; i++)
		if (!strcmp(found[i].name, name))
			return &found[i];
	tap_bail("no space %s is seen", name);
}

static struct hmem_space *named(const char *name, const struct hmem_space_options *options)
{
	struct hmem_space *space;

	if (hmem_space_create(ctx, name, options, &space))
		tap_bail("%s", hmem_last_error(ctx));
	return space;
}

static void test_seen(void)
{
	struct hmem_space_part parts[2] = { { .layer = "dram" }, { .layer = "dram:0" } };
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space_info info = { .size = sizeof(info) };
	struct hmem_interface *interface;
	struct hmem_space *one, *two;
	void *block;

	TAP_EQ(look_at(getpid()), 0, "without spaces nothing is seen");
	options.bytes = 4 * MIB;
	one = named("one", &options);
	options.parts = parts;
	options.nr_parts = 2;
	two = named("two", &options);
	TAP_EQ(look_at(getpid()), 2, "two are");
	TAP_OK(see("one")->pid == getpid() && !strcmp(see("one")->command, "lib_space_list"),
	       "with whose they are");
	TAP_OK(see("one")->bytes == 4 * MIB && see("one")->limit == 4 * MIB &&
		       !see("one")->used && see("one")->nr_parts == 1,
	       "how large they are, and empty");
	TAP_STR_EQ(see("one")->layers, "dram:0", "of what");
	TAP_STR_EQ(see("two")->layers, "dram:0+dram:0", "or of what all");
	TAP_EQ(see("two")->nr_parts, 2, "of which there are two");
	interface = must_interface(one, HMEM_STRATEGY_BINNED, 0, 0);
	TAP_OK(see("one")->interfaces == 1 && !see("two")->interfaces, "with an interface");
	block = hmem_malloc(interface, MIB);
	hmem_space_get_info(one, &info);
	TAP_OK(info.used >= MIB && see("one")->used == info.used &&
		       see("one")->used == stats_of(interface).held && see("one")->peak == info.peak,
	       "what is taken is seen");
	hmem_free(interface, block);
	hmem_interface_unref(interface);
	TAP_OK(!see("one")->used && see("one")->peak == info.peak && !see("one")->interfaces,
	       "and what is given back");
	hmem_space_set_limit(one, 2 * MIB);
	TAP_EQ(see("one")->limit, 2 * MIB, "so is a limit");
	hmem_space_unref(one);
	TAP_OK(look_at(getpid()) == 1 && !strcmp(found[0].name, "two"), "one goes");
	hmem_space_unref(two);
	TAP_EQ(look_at(getpid()), 0, "both have gone");
}

/* --- other processes ----------------------------------------------------------------- */

/* A child that has done @what, and lives until it is killed. */
static pid_t child_that(void (*what)(void))
{
	int ready[2];
	pid_t child;
	char c;

	if (pipe(ready))
		tap_bail("pipe: %s", strerror(errno));
	child = fork();
	if (!child) {
		what();
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		tap_bail("a child did not come so far");
	close(ready[0]);
	return child;
}

static void end(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static struct hmem_space *parents;

static void uses_copy(void)
{
	struct hmem_interface *interface = must_interface(parents, HMEM_STRATEGY_BINNED, 0, 0);

	memset(hmem_malloc(interface, MIB), 1, MIB);
}

static void has_another(void)
{
	must_space(8 * MIB);
}

/* As programs do that become daemons; the number may be somebody else's then. */
static void closes_all(void)
{
	struct hmem_space *space = must_space(2 * MIB);
	struct stat before, after;
	int fd = -1;

	for (int i = 0; i < 1024; i++)
		if (!fstat(i, &before) && i >= 500) {
			close(i);
			fd = open("/dev/null", O_RDONLY);
			if (dup2(fd, i) != i)
				_exit(1);
			fd = i;
		}
	if (fd < 0 || fstat(fd, &before))
		_exit(2);
	hmem_space_unref(space);
	if (fstat(fd, &after) || after.st_ino != before.st_ino)
		_exit(3);
}

static void says_nonsense(void)
{
	struct space_shown page;

	for (int i = 0; i < 4; i++) {
		int fd = memfd_create(SPACE_SHOWN_NAME, 0);

		memset(&page, 0xff, sizeof(page));
		if (i != 0)
			page.magic = SPACE_SHOWN_MAGIC;
		if (i != 1)
			page.version = SPACE_SHOWN_VERSION;
		memset(page.name, '\n', sizeof(page.name));
		if (write(fd, &page, i == 2 ? 100 : sizeof(page)) < 0)
			_exit(1);
	}
}

/* A name that only memfds have where others look, in a place that nobody else sees. */
static void has_fifo(void)
{
	char at[] = "/tmp/lib_space_list.XXXXXX", path[64];
	int fd = -1;

	if (!unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)) &&
	    !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) && mkdtemp(at)) {
		snprintf(path, sizeof(path), "%s/memfd:" SPACE_SHOWN_NAME, at);
		if (!mount("none", at, "tmpfs", 0, NULL) && !mkfifo(path, 0666))
			fd = open(path, O_PATH);
		umount2(at, MNT_DETACH);
		rmdir(at);
	}
	/* In the place of one that is looked for below /proc/PID/fd. */
	if (fd >= 0)
		dup2(fd, 900);
}

/* Nor what a device does when it is opened. */
static void test_fifo(void)
{
	static const char name[] = "a FIFO that is called like a page is not waited for";
	char path[32], target[64] = "";
	pid_t child = child_that(has_fifo), looks;
	int status = -1;

	snprintf(path, sizeof(path), "/proc/%d/fd/900", child);
	if (readlink(path, target, sizeof(target) - 1) < 0 ||
	    strncmp(target, "/memfd:" SPACE_SHOWN_NAME, strlen("/memfd:" SPACE_SHOWN_NAME))) {
		tap_skip(name, "this process may not make one in a mount namespace");
		end(child);
		return;
	}
	looks = fork();
	if (!looks) {
		alarm(10);
		_exit(look_at(child));
	}
	waitpid(looks, &status, 0);
	TAP_EQ(status, 0, "%s", name);
	end(child);
}

/* It is mapped by its process, which would be ended by SIGBUS. */
static void test_truncated(void)
{
	struct hmem_space *space = must_space(2 * MIB);
	char path[32], target[64];
	int pages = 0, cut = 0;

	for (int fd = 3; fd < 1024; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		if (!strstr(target, SPACE_SHOWN_NAME))
			continue;
		pages++;
		cut += !ftruncate(fd, 0) || errno != EPERM || !truncate(path, 0) || errno != EPERM;
	}
	TAP_OK(pages == 1 && !cut, "nobody makes the page shorter");
	hmem_space_unref(space);
}

/* @fn is not to be told half of it. */
static void test_no_room(void)
{
	struct rlimit few, limit;
	struct hmem_space *space = must_space(2 * MIB);
	int left, first = open("/dev/null", O_RDONLY);

	getrlimit(RLIMIT_NOFILE, &limit);
	close(first);
	few = limit;
	for (left = 0; left < 4; left++) {
		few.rlim_cur = (rlim_t)(first + left);
		setrlimit(RLIMIT_NOFILE, &few);
		nr_found = 0;
		if (hmem_space_iterate(ctx, getpid(), keep, NULL, NULL) != (left < 3 ? -EMFILE : 0) ||
		    nr_found != (left == 3))
			break;
	}
	setrlimit(RLIMIT_NOFILE, &limit);
	TAP_EQ(left, 4, "without descriptors nothing is found, and said");
	hmem_space_unref(space);
}

static int nr_seen;

static int count(void *arg, const struct hmem_space_seen *seen)
{
	(void)arg;
	(void)seen;
	nr_seen++;
	return 0;
}

/* A program with many spaces has files of its own. */
static void test_many(rlim_t most, int expected)
{
	enum { MANY = 300 };
	struct hmem_space *spaces[MANY];
	struct rlimit before, limit;
	int n, fd;

	getrlimit(RLIMIT_NOFILE, &before);
	limit = before;
	limit.rlim_cur = most;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (n = 0; n < MANY; n++)
		spaces[n] = must_space(2 * MIB);
	nr_seen = 0;
	hmem_space_iterate(ctx, getpid(), count, NULL, NULL);
	TAP_EQ(nr_seen, expected, "spaces of %d that are seen with %d files", MANY, (int)most);
	fd = fcntl(STDOUT_FILENO, F_DUPFD, (int)most * 3 / 4);
	TAP_OK(fd >= 0 && fd < (int)most, "and files are left");
	close(fd);
	while (n--)
		hmem_space_unref(spaces[n]);
	setrlimit(RLIMIT_NOFILE, &before);
}

static int ends_walk(void *arg, const struct hmem_space_seen *seen)
{
	(void)seen;
	++*(int *)arg;
	return 42;
}

static void test_others(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	size_t hidden = 99;
	pid_t child;
	int calls = 0;

	options.bytes = 4 * MIB;
	parents = named("parents", &options);
	child = child_that(uses_copy);
	TAP_EQ(look_at(child), 0, "what a child has by copy is not seen");
	TAP_EQ(see("parents")->used, 0, "nor what it takes of that");
	end(child);
	child = child_that(has_another);
	TAP_OK(look_at(child) == 1 && found[0].bytes == 8 * MIB && found[0].pid == child,
	       "what it makes itself is");
	TAP_OK(hmem_space_iterate(ctx, 0, ends_walk, &calls, NULL) == 42 && calls == 1,
	       "the walk through all ends when it shall");
	nr_found = 0;
	TAP_EQ(hmem_space_iterate(ctx, 0, keep, NULL, &hidden), 0, "all there are");
	for (int i = 0; i < nr_found; i++)
		calls += found[i].pid == child || found[i].pid == getpid();
	TAP_OK(calls == 3 && hidden != 99, "have both");
	end(child);
	TAP_EQ(hmem_space_iterate(ctx, child, keep, NULL, NULL), -ESRCH, "who has ended is not there");
	TAP_OK(strstr(hmem_last_error(ctx), "there is no process"), "as the error says");
	child = child_that(closes_all);
	TAP_EQ(look_at(child), 0, "a file that took the number of one that was closed stays open");
	end(child);
	child = child_that(says_nonsense);
	TAP_EQ(look_at(child), 1, "of four pages with nonsense one is a space");
	TAP_EQ(strspn(found[0].name, "?"), HMEM_SPACE_NAME_MAX, "with a name that can be printed");
	end(child);
	hmem_space_unref(parents);
}

static void test_wrong(void)
{
	TAP_EQ(hmem_space_iterate(NULL, 0, keep, NULL, NULL), -EINVAL, "no context");
	TAP_EQ(hmem_space_iterate(ctx, 0, NULL, NULL, NULL), -EINVAL, "nothing to call");
	TAP_EQ(hmem_space_iterate(ctx, -1, keep, NULL, NULL), -EINVAL, "no process");
	if (geteuid()) {
		TAP_EQ(hmem_space_iterate(ctx, 1, keep, NULL, NULL), -EACCES, "of somebody else");
	} else {
		pid_t child = fork();
		int status = -1;

		if (!child) {
			if (setuid(65534))
				_exit(1);
			_exit(hmem_space_iterate(ctx, 1, keep, NULL, NULL) != -EACCES);
		}
		waitpid(child, &status, 0);
		TAP_EQ(status, 0, "one of somebody else");
	}
}

int main(void)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	test_seen();
	test_others();
	test_fifo();
	test_truncated();
	test_no_room();
	test_many(1024, 256);
	test_many(64, 16);
	test_wrong();
	hmem_ctx_unref(ctx);
	return tap_done();
}
