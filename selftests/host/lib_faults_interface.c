// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every call that interfaces make of the system fails once, and what is had of them: each strategy,
 * checked and not, for one thread and for many; blocks, allocations and copies; and a space whose
 * owners are all taken (faults_space.h).
 */
#include "faults_space.h"

#include <sys/wait.h>

static struct hmem_space *space, *kept, *locked, *in_common;
static struct hmem_interface_options options;
static struct hmem_space *on;

static void begin(struct hmem_space *of, uint32_t strategy, uint32_t flags)
{
	options = (struct hmem_interface_options)HMEM_INTERFACE_OPTIONS_INIT;
	options.strategy = strategy;
	options.flags = flags;
	options.object = strategy == HMEM_STRATEGY_SLAB ? 4096 : 0;
	on = of;
}

static struct hmem_space *must_space(const char *name, const char *layer, uint64_t bytes,
				     uint32_t flags)
{
	struct hmem_space_options of = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space *made;

	of.layer = layer;
	of.bytes = bytes;
	of.flags = flags;
	if (hmem_space_create(ctx, name, &of, &made))
		tap_bail("%s", hmem_last_error(ctx));
	return made;
}

static struct hmem_interface *must_interface(void)
{
	struct hmem_interface *made;

	if (hmem_interface_create(on, &options, &made))
		tap_bail("%s", hmem_last_error(ctx));
	return made;
}

static uint64_t interfaces_of(const struct hmem_space *of)
{
	struct hmem_space_info info = { .size = sizeof(info) };

	return hmem_space_get_info(of, &info) ? UINT64_MAX : info.interfaces;
}

/* --- making one -------------------------------------------------------------------------- */

#define UNTOUCHED ((struct hmem_interface *)(uintptr_t)0x5ca1ab1e)

static int make(void)
{
	struct hmem_interface *made = UNTOUCHED;
	uint64_t before = interfaces_of(on);
	int err = hmem_interface_create(on, &options, &made);
	const char *whose;
	bool works;

	if (err)
		return made != UNTOUCHED || interfaces_of(on) != before ? 4712 : err;
	whose = pause_faults();
	works = gives_blocks(made, 3000);
	hmem_interface_unref(made);
	victim = whose;
	return works ? 0 : 4713;
}

static int set_default(void)
{
	return hmem_space_set_interface(on, &options);
}

/* A thread's first block, of an interface that was there: its errno, and it works after that. */
static int first_block(void)
{
	const char *whose = pause_faults();
	struct hmem_interface *made = must_interface();
	char *block;
	int err;

	victim = whose;
	block = hmem_malloc(made, 3000);
	err = block ? 0 : -errno;
	whose = pause_faults();
	if ((block && hmem_free(made, block)) || !gives_blocks(made, 3000))
		err = 4714;
	hmem_interface_unref(made);
	victim = whose;
	return err;
}

struct kind {
	const char *name;
	uint32_t strategy;
	bool maps;	/* what a thread has of it is mapped, not allocated */
};

static const struct kind kinds[] = {
	{ "binned", HMEM_STRATEGY_BINNED, true },
	{ "slab", HMEM_STRATEGY_SLAB, true },
	{ "bump", HMEM_STRATEGY_BUMP, false },
	{ "general", HMEM_STRATEGY_GENERAL, true },
};

static void one_kind(const struct kind *kind, struct hmem_space *of)
{
	char name[64];

	for (uint32_t flags = 0; flags <= (HMEM_INTERFACE_ONE_THREAD | HMEM_INTERFACE_CHECKED);
	     flags++) {
		bool one = flags & HMEM_INTERFACE_ONE_THREAD;

		snprintf(name, sizeof(name), "%s%s%s", kind->name, one ? ", one thread" : "",
			 flags & HMEM_INTERFACE_CHECKED ? ", checked" : "");
		begin(of, kind->strategy, flags);
		each(name, make, "alloc", ENOMEM, 0);
		each(name, set_default, "alloc", ENOMEM, 0);
		if (one && kind->maps)
			each(name, make, "mmap", ENOMEM, 0);
		wordless = true;
		if (!one && kind->maps)
			each(name, first_block, "mmap", ENOMEM, 0);
		if (!one && !kind->maps)
			each(name, first_block, "alloc", ENOMEM, 0);
		if (!one)
			each(name, first_block, "pthread_setspecific", ENOMEM, 0);
		wordless = false;
	}
	if (hmem_space_set_interface(of, NULL))
		tap_bail("%s", hmem_last_error(ctx));
}

static void of_a_shared_space(void)
{
	begin(in_common, HMEM_STRATEGY_SHARED, 0);
	each("shared", make, "alloc", ENOMEM, 0);
	wordless = true;
	each("shared", first_block, "mmap", ENOMEM, 0);
	wordless = false;
}

/* --- checked ----------------------------------------------------------------------------- */

enum { MANY = 4000 };

/*
 * The table grows: a block for which it cannot is not given, and does not stay anybody's; and those
 * that were are known.
 */
static int many(void)
{
	static void *blocks_of[MANY];
	static uint64_t held;
	const char *whose = pause_faults();
	struct hmem_interface *made = must_interface();
	struct hmem_interface_stats stats = { .size = sizeof(stats) };
	uint64_t given = 0;
	int err = 0;

	victim = whose;
	for (int i = 0; i < MANY; i++) {
		blocks_of[i] = hmem_malloc(made, 4000);
		given += blocks_of[i] != NULL;
		if (!blocks_of[i])
			err = -errno;
	}
	whose = pause_faults();
	if (hmem_interface_get_stats(made, &stats) || stats.blocks != given || given < MANY - 1)
		err = 4715;
	for (int i = 0; i < MANY; i++)
		if (blocks_of[i] && (hmem_free(made, blocks_of[i]) ||
				     hmem_free(made, blocks_of[i]) != -EALREADY))
			err = 4716;
	/* As without faults, which is the first time. */
	if (hmem_interface_get_stats(made, &stats) || (held && stats.held != held))
		err = 4721;
	held = stats.held;
	hmem_interface_unref(made);
	victim = whose;
	return err;
}

static void growing(void)
{
	begin(space, HMEM_STRATEGY_BINNED, HMEM_INTERFACE_CHECKED);
	wordless = true;
	/* What it has before is made without faults. */
	TAP_EQ(many(), 0, "many blocks");
	TAP_EQ(inject("a table that grows", many, "alloc", ENOMEM, 0), 3, "three times");
	each("a table that grows", many, "alloc", ENOMEM, 0);
	wordless = false;
}

/* --- mimalloc ---------------------------------------------------------------------------- */

static int refuses;

static void *free_it(void *arg)
{
	void **what = arg;

	/* Of this thread: it has nothing of the interface. */
	victim = refuses ? "alloc" : NULL;
	countdown = 1;
	injected = ENOMEM;
	stay = true;
	what[2] = (void *)(intptr_t)hmem_free(what[0], what[1]);
	victim = NULL;
	stay = false;
	return NULL;
}

static void of_a_kept_space(void)
{
	void *mimalloc = dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	struct hmem_interface_stats stats = { .size = sizeof(stats) };
	static const struct kind general = { "general, kept", HMEM_STRATEGY_GENERAL, false };
	struct hmem_interface *made;
	void *what[3] = { 0 };
	pthread_t thread;

	if (!mimalloc)
		mimalloc = dlopen("libmimalloc.so.3", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!mimalloc) {
		tap_skip("mimalloc", "neither libmimalloc.so.2 nor libmimalloc.so.3 is installed");
		return;
	}
	dlclose(mimalloc);
	/* What the space has once: without it it is as any other. */
	begin(kept, HMEM_STRATEGY_GENERAL, 0);
	inject("the first on a kept space", make, "alloc", ENOMEM, SOME_HARMLESS);
	/* What this thread has once, and of each. */
	wordless = true;
	inject("a thread's first block there", first_block, "alloc", ENOMEM, 0);
	wordless = false;
	one_kind(&general, kept);
	begin(kept, HMEM_STRATEGY_GENERAL, HMEM_INTERFACE_ONE_THREAD);
	each("general, kept, one thread", make, "mmap", ENOMEM, 0);
	begin(kept, HMEM_STRATEGY_GENERAL, 0);
	made = must_interface();
	for (refuses = 0; refuses < 2; refuses++) {
		what[0] = made;
		what[1] = hmem_malloc(made, 100);
		if (!what[1] || pthread_create(&thread, NULL, free_it, what) ||
		    pthread_join(thread, NULL))
			tap_bail("no thread");
		TAP_EQ((intptr_t)what[2], 0, "another thread gives a block back%s",
		       refuses ? ", though it has no memory to count it" : "");
		if (hmem_interface_get_stats(made, &stats))
			tap_bail("%s", hmem_last_error(ctx));
		TAP_EQ(stats.blocks, 0, "which is counted");
	}
	hmem_interface_unref(made);

	/* What others had, and the kernel does not take back because it is locked, is cleared. */
	locked = must_space("locked", NULL, 64 * MIB, HMEM_SPACE_KEPT);
	begin(locked, HMEM_STRATEGY_BINNED, 0);
	made = must_interface();
	TAP_OK(gives_blocks(made, 60 * MIB), "somebody has all memory");
	hmem_interface_unref(made);
	begin(locked, HMEM_STRATEGY_GENERAL, 0);
	TAP_EQ(inject("an arena of it", make, "madvise", EINVAL, HARMLESS), 1, "then mimalloc has");
	hmem_space_unref(locked);
}

/* --- owners ------------------------------------------------------------------------------ */

/* Of 512 granules 256 are owners' that there can be, the first of which is nobody. */
static void no_owners(void)
{
	static struct hmem_interface *taken[300];
	struct hmem_space *small = must_space("small", NULL, 2 * MIB, 0);
	struct hmem_allocation *allocation;
	struct hmem_interface *many_threads, *bump, *none = UNTOUCHED;
	void *block, *run;
	long had_pages, had_blocks;
	int n = 0, err;

	begin(small, HMEM_STRATEGY_BUMP, 0);
	bump = must_interface();
	begin(small, HMEM_STRATEGY_BINNED, 0);
	many_threads = must_interface();
	begin(small, HMEM_STRATEGY_BINNED, HMEM_INTERFACE_ONE_THREAD);
	do
		err = hmem_interface_create(small, &options, &taken[n]);
	while (!err && ++n < 300);
	TAP_EQ(err, -EUSERS, "owners are all taken");
	TAP_OK(strstr(hmem_last_error(ctx), "more threads"), "as is said: %s", hmem_last_error(ctx));
	TAP_EQ(n, 255, "as many as there can be");
	had_pages = pages();
	TAP_EQ(interfaces_of(small), 257, "one that was not made is not counted");
	errno = 0;
	TAP_OK(!hmem_malloc(many_threads, 10) && errno == EUSERS, "another thread's first block");
	errno = 0;
	TAP_OK(!hmem_malloc(many_threads, MIB) && errno == EUSERS, "or a large one");
	errno = 0;
	TAP_OK(!hmem_malloc(bump, 10) && errno == EUSERS, "or one of bump");
	/* This thread has a part of bump now. */
	had_blocks = blocks;
	TAP_EQ(hmem_allocation_new(many_threads, 10, 0, 0, &allocation), -EUSERS, "an allocation");
	TAP_OK(strstr(hmem_last_error(ctx), "for another thread"), "says so: %s", hmem_last_error(ctx));
	options.flags |= HMEM_INTERFACE_CHECKED;
	TAP_EQ(hmem_interface_create(small, &options, &none), -EUSERS, "a checked one neither");
	TAP_OK(none == UNTOUCHED, "nothing is written");
	TAP_OK((pages() == had_pages || SANITIZER) && blocks == had_blocks,
	       "and nothing of all that is left");
	/* Who has no owner can free what others have. */
	block = hmem_malloc(taken[0], 100);
	run = hmem_malloc(taken[0], 40000);
	TAP_OK(block && run, "those that are there go on");
	TAP_EQ(hmem_free(many_threads, block), -EINVAL, "and what is theirs stays so");
	TAP_OK(!hmem_free(taken[0], block) && !hmem_free(taken[0], run), "but to themselves");
	hmem_interface_unref(taken[--n]);
	TAP_OK(gives_blocks(many_threads, 10), "when one goes there is room for another thread");
	while (n)
		hmem_interface_unref(taken[--n]);
	TAP_OK(gives_blocks(bump, 10), "and for bump");
	hmem_interface_unref(many_threads);
	hmem_interface_unref(bump);
	hmem_space_unref(small);
}

/* --- allocations and copies -------------------------------------------------------------- */

static struct hmem_interface *general, *elsewhere;

static int allocate(void)
{
	struct hmem_allocation *whole, *slice;
	int err = hmem_allocation_new(general, 5000, 64, HMEM_ALLOCATION_ZERO, &whole), left;

	if (err)
		return err;
	err = hmem_allocation_slice(whole, 100, 10, &slice);
	if (!err)
		err = hmem_allocation_free(slice);
	left = hmem_allocation_free(whole);
	return err ? err : left;
}

static int adopt(void)
{
	static char memory[64];
	struct hmem_allocation *adopted;
	int err = hmem_allocation_adopt(ctx, NULL, memory, sizeof(memory), 0, &adopted);

	return err ? err : hmem_allocation_free(adopted);
}

/* By a strategy that asks for memory for each block: what cannot be is as it was. */
static int elsewhere_and_back(void)
{
	const char *whose = pause_faults();
	struct hmem_allocation *moving;
	struct hmem_interface *first;
	int err, left;

	begin(space, HMEM_STRATEGY_BUMP, 0);
	first = must_interface();
	if (hmem_allocation_new(general, 5000, 0, 0, &moving))
		tap_bail("%s", hmem_last_error(ctx));
	memset(hmem_allocation_data(moving), 0x33, 5000);
	victim = whose;
	err = hmem_allocation_move(moving, first);
	whose = pause_faults();
	for (size_t i = 0; i < 5000; i++)
		if (((char *)hmem_allocation_data(moving))[i] != 0x33)
			err = 4717;
	if (err)
		left = hmem_allocation_resize(moving, 3 * MIB);
	else
		left = hmem_allocation_move(moving, general);
	err = left ? 4718 : err;
	left = hmem_allocation_free(moving);
	hmem_interface_unref(first);
	victim = whose;
	return left ? 4719 : err;
}

static struct hmem_allocation *to, *from;

static int copy(void)
{
	const struct hmem_shape shape = { 5000, 1, 1 };
	struct hmem_completion *completion = NULL;
	long before = blocks, ends;
	int err;

	memset(hmem_allocation_data(from), 0x44, 5000);
	memset(hmem_allocation_data(to), 0, 5000);
	err = hmem_copy_begin(to, NULL, from, NULL, &shape, &completion);
	if (err)
		return completion || *(char *)hmem_allocation_data(to) ? 4720 : err;
	err = hmem_completion_wait(completion, -1);
	hmem_completion_unref(completion);
	/* The thread that made it lets go of it after it has said so. */
	ends = time(NULL) + 10;
	while (__atomic_load_n(&blocks, __ATOMIC_RELAXED) > before && time(NULL) < ends)
		sched_yield();
	return err ? err : *(char *)hmem_allocation_data(to) != 0x44;
}

static void *nothing(void *arg)
{
	return arg;
}

static void allocations(void)
{
	pthread_t thread;

	begin(space, HMEM_STRATEGY_BINNED, 0);
	general = must_interface();
	elsewhere = must_interface();
	if (!gives_blocks(general, 10))
		tap_bail("no blocks");
	each("allocations", allocate, "alloc", ENOMEM, 0);
	each("what is adopted", adopt, "alloc", ENOMEM, 0);
	each("what is moved", elsewhere_and_back, "alloc", ENOMEM, 0);
	if (hmem_allocation_new(general, 5000, 0, 0, &to) ||
	    hmem_allocation_new(elsewhere, 5000, 0, 0, &from))
		tap_bail("%s", hmem_last_error(ctx));
	/* What the C library keeps of a thread it has from then on. */
	if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
		tap_bail("no thread");
	/* The library has none yet. */
	inject("a copy", copy, "pthread_create", EAGAIN, 0);
	inject("a copy", copy, "alloc", ENOMEM, 0);
	each("a copy", copy, "alloc", ENOMEM, 0);
	TAP_OK(!hmem_allocation_free(to) && !hmem_allocation_free(from), "nobody uses them after that");
	hmem_interface_unref(general);
	hmem_interface_unref(elsewhere);
}

/* --- first times ------------------------------------------------------------------------- */

/* What a process has once, and nobody had before: in a child that makes its first space. */
static int first_time(const char *function, int error)
{
	char region[PATH_MAX + 16];
	struct hmem_space_options of = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_interface *interface;
	struct hmem_space *first = NULL;
	pid_t first_process = getpid();
	void *block;

	snprintf(region, sizeof(region), "file:%s/first", scratch());
	injected = error;
	stay = true;
	countdown = 1;
	victim = function;
	of.bytes = 8 * MIB;
	/* It is not shown then. */
	if (hmem_ctx_new(&ctx) || hmem_space_create(ctx, "first", &of, &first))
		return 1;
	begin(first, HMEM_STRATEGY_BINNED, 0);
	if (hmem_interface_create(first, &options, &interface))
		return 2;
	errno = 0;
	if (hmem_malloc(interface, 10) || errno != ENOMEM)
		return 3;
	if (!strcmp(function, "pthread_atfork")) {
		struct hmem_space *shared = NULL;
		struct hmem_interface *checked = NULL;
		struct hmem_allocation *memory;
		struct hmem_completion *completion;
		const struct hmem_shape shape = { 5, 1, 1 };
		char bytes[16];

		of.layer = region;
		of.flags = HMEM_SPACE_SHARED;
		if (hmem_space_create(ctx, "shared", &of, &shared) != -ENOMEM || shared ||
		    !strstr(hmem_last_error(ctx), "forks"))
			return 4;
		options.flags = HMEM_INTERFACE_CHECKED;
		if (hmem_interface_create(first, &options, &checked) != -ENOMEM || checked ||
		    !*hmem_last_error(ctx))
			return 5;
		if (hmem_allocation_adopt(ctx, NULL, bytes, sizeof(bytes), 0, &memory) ||
		    hmem_copy_begin(memory, NULL, memory, NULL, &shape, &completion) != -ENOMEM ||
		    !strstr(hmem_last_error(ctx), "begin a copy"))
			return 6;
		if (hmem_allocation_free(memory))
			return 7;
	}
	if (!hit)
		return 8;
	victim = NULL;
	told_twice = true;
	block = hmem_malloc(interface, 10);
	if (!block || hmem_free(interface, block))
		return 9;
	/* Of each of these forks, one of which is a child's, the library is told twice. */
	for (int i = 0; i < 2; i++) {
		pid_t child = fork();
		int status = 0;

		if (child > 0 && (waitpid(child, &status, 0) != child || status))
			return 11;
		block = hmem_malloc(interface, 10);
		if (child < 0 || !block || hmem_free(interface, block))
			_exit(12);
		if (!child && i)
			_exit(0);
	}
	if (getpid() != first_process)
		_exit(0);
	of.layer = region;
	of.flags = HMEM_SPACE_SHARED;
	hmem_interface_unref(interface);
	hmem_space_unref(first);
	if (hmem_space_create(ctx, "shared", &of, &first))
		return 10;
	hmem_space_unref(first);
	hmem_ctx_unref(ctx);
	return 0;
}

static int in_child(const char *function, int error)
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(first_time(function, error));
	if (child < 0 || waitpid(child, &status, 0) != child)
		tap_bail("no child");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

int main(void)
{
	char region[PATH_MAX + 16];

	snprintf(region, sizeof(region), "file:%s/shared", scratch());
	TAP_EQ(in_child("pthread_key_create", EAGAIN), 0, "a process without a key for its threads");
	TAP_EQ(in_child("pthread_atfork", ENOMEM), 0, "one that is not told of forks");
	old_space();
	space = must_space("space", NULL, 64 * MIB, 0);
	kept = must_space("kept", NULL, 256 * MIB, HMEM_SPACE_KEPT);
	in_common = must_space("shared", region, 64 * MIB, HMEM_SPACE_SHARED);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		one_kind(&kinds[i], space);
	of_a_shared_space();
	growing();
	of_a_kept_space();
	no_owners();
	allocations();
	TAP_OK(!interfaces_of(space) && !interfaces_of(kept) && !interfaces_of(in_common),
	       "no interface is left");
	hmem_space_unref(space);
	hmem_space_unref(kept);
	hmem_space_unref(in_common);
	return all_done();
}
