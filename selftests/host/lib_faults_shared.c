// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every call fails once that is made to share spaces between processes, to show them and to look
 * for them, and when a process forks (faults_space.h).
 */
#include "space_maker.h"

#include <sys/wait.h>

static char in_common[PATH_MAX + 16];

/* --- shared ------------------------------------------------------------------------------ */

static int join(void)
{
	int err = make();

	stay = false;
	return err;
}

static void shared(void)
{
	struct hmem_space *held;

	begin(in_common, 8 * MIB, HMEM_SPACE_SHARED);
	each("a shared one", join, "alloc", ENOMEM, 0);
	each("a shared one", join, "open", EMFILE, 0);
	each("a shared one", join, "mmap", ENOMEM, SOME_HARMLESS);
	each("a shared one", join, "madvise", EINVAL, 0);
	each("a shared one", join, "fcntl", EMFILE, HARMLESS);
	each("a shared one", join, "lock", ENOLCK, 0);
	TAP_OK(!join(), "a shared one");
	victim = "lock";
	countdown = 1;
	injected = ENOLCK;
	TAP_EQ(join(), -ENOLCK, "joining needs a lock");
	TAP_OK(!strstr(hmem_last_error(ctx), "somebody"), "which is nobody's fault: %s",
	       hmem_last_error(ctx));
	victim = "lock";
	countdown = 1;
	injected = EINTR;
	TAP_EQ(join(), 0, "a signal that comes meanwhile is nothing");
	victim = "lock";
	countdown = 1;
	injected = EAGAIN;
	TAP_EQ(join(), 0, "it is waited for who joins");
	victim = "lock";
	countdown = 1;
	injected = EAGAIN;
	stay = true;
	TAP_EQ(join(), -EBUSY, "but not for ever");
	TAP_OK(strstr(hmem_last_error(ctx), "for 10 s"), "as is said: %s", hmem_last_error(ctx));
	victim = "lock";
	countdown = 2;
	injected = EAGAIN;
	stay = true;
	TAP_EQ(join(), -EUSERS, "every member's lock is somebody's");
	TAP_OK(strstr(hmem_last_error(ctx), "1023"), "as is said: %s", hmem_last_error(ctx));
	victim = NULL;
	TAP_EQ(join(), 0, "then there is room");

	/* One that is there goes on, whoever cannot join it. */
	if (hmem_space_create(ctx, "held", &options, &held))
		tap_bail("%s", hmem_last_error(ctx));
	each("another one's", join, "lock", ENOLCK, 0);
	each("another one's", join, "open", EMFILE, 0);
	each("another one's", join, "mmap", ENOMEM, SOME_HARMLESS);
	TAP_EQ(used(0, &held), 0, "what others could not join works");
}

/* A child has no place for numbers of its own, and none of the locks; it gives up what it has. */
static void forked(void)
{
	struct hmem_space_info info = { .size = sizeof(info) };
	struct hmem_space *held, *ram;
	int status, fds;
	pid_t child;

	if (hmem_space_create(ctx, "held", &options, &held))
		tap_bail("%s", hmem_last_error(ctx));
	begin(NULL, 8 * MIB, 0);
	if (hmem_space_create(ctx, "ram", &options, &ram))
		tap_bail("%s", hmem_last_error(ctx));
	fds = count_lines("/proc/self/fd");
	hit = false;
	injected = ENOMEM;
	countdown = 1;
	stay = true;
	victim = "mmap";
	child = fork();
	stay = false;
	victim = NULL;
	if (!child) {
		/* Three are shown, one of which is shared: so many files, and a lock. */
		int left = fds - count_lines("/proc/self/fd");
		bool works = hit && left == 4 && as_before() && !hmem_space_get_info(ram, &info);

		hmem_space_unref(held);
		hmem_space_unref(ram);
		_exit(works && as_before() ? 0 : 1);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		tap_bail("no child");
	TAP_EQ(status, 0, "a child without memory to count in has its space all the same");
	TAP_OK(!used(0, &held) && !used(0, &ram) && as_before(), "and its parent has its own");
}

/* --- shown, and looked for --------------------------------------------------------------- */

static bool seen_new;

static int see(void *arg, const struct hmem_space_seen *seen)
{
	(void)arg;
	if (seen->pid == getpid())
		seen_new = seen_new || !strcmp(seen->name, "new");
	return 0;
}

/* 0: it is there, and was to be seen; 1: and was not, which is no error */
static int show(void)
{
	struct hmem_space *made;
	int err = hmem_space_create(ctx, "new", &options, &made);
	const char *whose = pause_faults();

	if (err)
		return err;
	seen_new = false;
	if (hmem_space_iterate(ctx, getpid(), see, NULL, NULL))
		return 4716;
	victim = whose;
	err = used(0, &made);
	return err ? err : !seen_new;
}

/* Every call that showing makes is one without which the space is just not shown. */
static void not_shown(const char *function, int error, int from, int calls)
{
	int unseen = 0, k;

	for (k = from; k < from + calls; k++) {
		victim = function;
		countdown = k;
		injected = error;
		hit = false;
		unseen += show() == 1 && hit;
		victim = NULL;
	}
	TAP_EQ(unseen, calls, "without %s it is there, and is not shown", function);
	TAP_EQ(show(), 0, "with it the next one is");
}

static int look_own(void)
{
	return hmem_space_iterate(ctx, getpid(), see, NULL, NULL);
}

/* There are so many processes more than there are. */
static int crowd;

struct dirent *readdir(DIR *dir)
{
	static struct dirent one;
	struct dirent *entry;

	REAL(struct dirent *, "readdir", DIR *);
	entry = real(dir);
	if (entry || crowd <= 0)
		return entry;
	snprintf(one.d_name, sizeof(one.d_name), "%d", 400000000 + crowd--);
	return &one;
}

static int look_all(void)
{
	return hmem_space_iterate(ctx, 0, see, NULL, NULL);
}

static void shown(void)
{
	long had = pages();
	int fds = count_lines("/proc/self/fd");

	begin(NULL, 8 * MIB, 0);
	not_shown("memfd_create", EMFILE, 1, 1);
	not_shown("fcntl", EMFILE, 1, 2);
	not_shown("ftruncate", ENOMEM, 1, 1);
	not_shown("mmap", ENOMEM, 3, 1);
	not_shown("fstat", EIO, 1, 1);
	TAP_OK(count_lines("/proc/self/fd") == fds && (pages() == had || SANITIZER),
	       "nothing of that is left");

	each("looking at one process", look_own, "alloc", ENOMEM, 0);
	each("looking at one process", look_own, "opendir", EMFILE, 0);
	each("looking at one process", look_own, "memfd_create", EMFILE, 0);
	each("looking at one process", look_own, "openat", ENFILE, 0);
	each("looking at one process", look_own, "openat", ENOENT, HARMLESS);
	each("looking at one process", look_own, "statx", EACCES, SOME_HARMLESS);
	each("looking at one process", look_own, "open", EMFILE, SOME_HARMLESS);
	each("looking at one process", look_own, "open", EACCES, HARMLESS);
	each("looking at one process", look_own, "readlinkat", EACCES, HARMLESS);
	each("looking at one process", look_own, "pread", EIO, HARMLESS);
	each("looking at one process", look_own, "read", EIO, HARMLESS);
	each("looking at all", look_all, "memfd_create", EMFILE, 0);
	each("looking at all", look_all, "openat", EMFILE, 0);
}

/* Other processes come and go, so the first few calls are all that there are for sure. */
static void looked_for(void)
{
	static const struct {
		const char *function;
		int error, result;
	} faults[] = {
		{ "opendir", EMFILE, -EMFILE }, { "opendir", ENFILE, -ENFILE },
		{ "alloc", ENOMEM, -ENOMEM },
	};
	long had = blocks;
	int wrong = 0;

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		for (int k = 1; k <= 4; k++) {
			victim = faults[i].function;
			countdown = k;
			injected = faults[i].error;
			hit = false;
			/* The list of them grows, and grows. */
			crowd = faults[i].error == ENOMEM ? 600 : 0;
			if (look_all() != faults[i].result || !hit || !*hmem_last_error(ctx)) {
				tap_diag("%s number %d: %s", victim, k, hmem_last_error(ctx));
				wrong++;
			}
			victim = NULL;
			hmem_set_error(ctx, 0, "%s", "");
			crowd = 0;
		}
	TAP_EQ(blocks, had, "looking at all leaves no memory");
	TAP_EQ(wrong, 0, "looking at all says what it had not");
	TAP_EQ(look_all(), 0, "and works with it");
}

int main(void)
{
	old_space();
	snprintf(in_common, sizeof(in_common), "file:%s/shared", scratch());
	shared();
	forked();
	shown();
	looked_for();
	return all_done();
}
