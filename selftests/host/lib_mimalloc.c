// SPDX-License-Identifier: GPL-2.0-only
/*
 * General on spaces that are kept: mimalloc, confined to the space; and binned where mimalloc is
 * not to be had.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "interface_user.h"

static struct hmem_space *kept_space(uint64_t bytes)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space *space;

	options.bytes = bytes;
	options.flags = HMEM_SPACE_KEPT;
	if (hmem_space_create(ctx, "kept", &options, &space))
		tap_bail("%s", hmem_last_error(ctx));
	return space;
}

static struct hmem_space_info info_of(const struct hmem_space *space)
{
	struct hmem_space_info info = { .size = sizeof(info) };

	if (hmem_space_get_info(space, &info))
		tap_bail("%s", hmem_last_error(ctx));
	return info;
}

static uint64_t used_of(const struct hmem_space *space)
{
	return info_of(space).used;
}

static struct hmem_interface *general(struct hmem_space *space)
{
	return must_interface(space, HMEM_STRATEGY_GENERAL, 0, 0);
}

/* --- blocks -------------------------------------------------------------------------- */

static void test_blocks(void)
{
	struct hmem_space *space = kept_space(256 * MIB);
	struct hmem_interface *one = general(space);
	uint64_t after, before = used_of(space);
	char *block, *large, *moved;
	unsigned int wrong = 0;
	int local;

	TAP_EQ(before, 64 * MIB, "an arena is there from the begin");
	TAP_EQ(info_of(space).interfaces, 1, "which is of no interface that is counted");
	for (size_t bytes = 0; bytes < 20 * MIB; bytes += bytes / 3 + 1) {
		block = hmem_malloc(one, bytes);
		wrong += !block || (uintptr_t)block % 16 ||
			 !hmem_space_handle(space, block + (bytes ? bytes - 1 : 0)) ||
			 hmem_usable_size(one, block) < bytes;
		if (block)
			memset(block, 1, bytes);
		wrong += hmem_free(one, block) != 0;
	}
	TAP_EQ(wrong, 0, "blocks of 0 bytes to 20 MiB are in the space, and go");
	for (size_t align = 1; align <= 2 * MIB; align *= 2)
		for (size_t bytes = 1; bytes <= 4096; bytes *= 2) {
			block = hmem_aligned_alloc(one, align, bytes);
			wrong += !block || (uintptr_t)block % align;
		}
	hmem_interface_unref(one);
	one = general(space);
	TAP_EQ(wrong, 0, "aligned to up to 2 MiB");
	TAP_OK(!hmem_aligned_alloc(one, 4 * MIB, 100) && errno == EINVAL, "and no more");
	after = used_of(space);
	TAP_OK(after % (64 * MIB) == 0 && stats_of(one).blocks == 0, "nothing is left but arenas");
	block = hmem_calloc(one, 1000, 10);
	for (int i = 0; i < 10000; i++)
		wrong += block[i] != 0;
	memset(block, 7, 10000);
	moved = hmem_realloc(one, block, 30 * MIB);
	for (int i = 0; i < 10000; i++)
		wrong += moved[i] != 7;
	TAP_EQ(wrong, 0, "zeroes; and what was written is there in a larger block");
	TAP_EQ(stats_of(one).blocks, 1, "which is the only one");
	TAP_EQ(hmem_free(one, moved + 4096), -EINVAL, "what lies in a large block is none");
	TAP_EQ(hmem_free(one, &local), -EINVAL, "nor is what lies elsewhere");
	TAP_EQ(hmem_free(one, moved), 0, "the large block goes");
	TAP_EQ(hmem_free(one, moved), -EALREADY, "once");
	TAP_EQ(used_of(space), after, "its granules are there for others");
	large = hmem_malloc(one, 20 * MIB);
	TAP_OK(large && used_of(space) > after, "a large block that nobody frees");
	hmem_interface_unref(one);
	TAP_EQ(used_of(space), after, "goes with its interface");
	hmem_space_unref(space);
}

/* --- room ---------------------------------------------------------------------------- */

static size_t fill(struct hmem_interface *one, size_t bytes, void **first)
{
	size_t n = 0;
	void *block;

	while ((block = hmem_malloc(one, bytes))) {
		*(void **)block = *first;
		*first = block;
		n++;
	}
	return n;
}

static void free_all(struct hmem_interface *one, void *first)
{
	while (first) {
		void *next = *(void **)first;

		if (hmem_free(one, first))
			tap_bail("%s", hmem_last_error(ctx));
		first = next;
	}
}

static void test_room(void)
{
	struct hmem_space *space = kept_space(256 * MIB);
	struct hmem_interface *one = general(space), *two;
	void *first = NULL;
	size_t n, again;

	hmem_space_set_limit(space, 128 * MIB);
	n = fill(one, 100000, &first);
	TAP_OK(errno == EDQUOT && n > 900 && used_of(space) == 128 * MIB,
	       "a limit is kept: %zu blocks of 100000", n);
	hmem_space_set_limit(space, 0);
	n += fill(one, 100000, &first);
	TAP_OK(errno == ENOSPC && n > 2000 && used_of(space) > 255 * MIB,
	       "all of the space: %zu blocks of %" PRIu64 " bytes", n, used_of(space));
	TAP_OK(!hmem_malloc(one, 17 * MIB) && errno == ENOSPC, "and no large one");
	free_all(one, first);
	hmem_interface_unref(one);
	two = general(space);
	first = NULL;
	again = fill(two, 100000, &first);
	TAP_OK(again >= n - n / 20, "the next interface has what the one before freed: %zu blocks",
	       again);
	free_all(two, first);
	hmem_interface_unref(two);
	hmem_space_unref(space);
}

/* What comes free in one arena is had at once, though the one that had room last is full. */
static void test_room_elsewhere(void)
{
	static void *blocks[4000];
	struct hmem_space *space = kept_space(256 * MIB);
	struct hmem_interface *one = general(space);
	size_t n = 0;

	while (n < 4000 && (blocks[n] = hmem_malloc(one, 100000)))
		n++;
	TAP_OK(n > 2000 && n < 4000 && errno == ENOSPC, "all of a space: %zu blocks", n);
	for (size_t i = 0; i < 600; i++)
		hmem_free(one, blocks[i]);
	for (size_t i = 0; i < 400; i++) {
		blocks[i] = hmem_malloc(one, 100000);
		if (!blocks[i])
			tap_diag("block %zu of those that were freed: %s", i, strerror(errno));
	}
	TAP_OK(blocks[0] && blocks[399], "what was freed first is had again");
	hmem_interface_unref(one);
	hmem_space_unref(space);
}

/* --- threads ------------------------------------------------------------------------- */

struct passing {
	struct hmem_interface *interface;
	void *blocks[1000];
};

static void *allocates(void *arg)
{
	struct passing *passing = arg;

	for (size_t i = 0; i < 1000; i++) {
		passing->blocks[i] = hmem_malloc(passing->interface, 16 + i * 30);
		if (passing->blocks[i])
			memset(passing->blocks[i], (int)i, 16 + i * 30);
	}
	return NULL;
}

static void test_threads(void)
{
	struct hmem_space *space = kept_space(128 * MIB);
	struct passing passing = { general(space), { 0 } };
	unsigned int wrong = 0;
	uint64_t used = 0;

	for (int round = 0; round < 50; round++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, allocates, &passing) ||
		    pthread_join(thread, NULL))
			tap_bail("no thread");
		for (size_t i = 0; i < 1000; i++) {
			const unsigned char *block = passing.blocks[i];

			wrong += !block || block[0] != (unsigned char)i ||
				 block[15 + i * 30] != (unsigned char)i ||
				 hmem_free(passing.interface, passing.blocks[i]);
		}
		if (round == 9)
			used = used_of(space);
	}
	TAP_EQ(wrong, 0, "blocks of threads that have ended hold what was written, and are freed");
	TAP_EQ(stats_of(passing.interface).blocks, 0, "none is left");
	TAP_EQ(used_of(space), used, "fifty threads need no more memory than ten");
	hmem_interface_unref(passing.interface);
	hmem_space_unref(space);
}

/*
 * Version 2 takes 32 MiB for each thread, which are 2 GiB; with version 3 all have room anyway. Each
 * waits for the others, so that nobody has what another one left.
 */
#define MANY 64

static pthread_barrier_t all_have;

static void *has_some(void *arg)
{
	struct hmem_interface *interface = arg;
	unsigned char *blocks[100];
	uintptr_t wrong = 0;

	for (size_t i = 0; i < 100; i++) {
		blocks[i] = hmem_malloc(interface, 16 + i * 100);
		wrong += !blocks[i];
		if (blocks[i])
			memset(blocks[i], (int)i, 16 + i * 100);
	}
	pthread_barrier_wait(&all_have);
	for (size_t i = 0; i < 100; i++)
		wrong += blocks[i] && (blocks[i][0] != i || blocks[i][15 + i * 100] != i ||
				       hmem_usable_size(interface, blocks[i]) < 16 + i * 100 ||
				       hmem_free(interface, blocks[i]));
	return (void *)wrong;
}

static void test_many_threads(void)
{
	struct hmem_space *space = kept_space(1024 * MIB);
	struct hmem_interface *interface = general(space);
	uintptr_t wrong = 0, its;
	pthread_t threads[MANY];

	pthread_barrier_init(&all_have, NULL, MANY);
	for (int i = 0; i < MANY; i++)
		if (pthread_create(&threads[i], NULL, has_some, interface))
			tap_bail("no thread");
	for (int i = 0; i < MANY; i++) {
		pthread_join(threads[i], (void **)&its);
		wrong += its;
	}
	TAP_EQ(wrong, 0, "64 threads have blocks of 1 GiB at once, each of them");
	TAP_OK(used_of(space) <= 640 * MIB, "and leave room: %" PRIu64 " bytes are taken",
	       used_of(space));
	TAP_EQ(stats_of(interface).blocks, 0, "blocks of both kinds are counted");
	hmem_interface_unref(interface);
	hmem_space_unref(space);
}

/* --- interfaces that come and go ----------------------------------------------------- */

static void test_interfaces(void)
{
	struct hmem_space *space = kept_space(128 * MIB);
	unsigned int wrong = 0;

	for (int round = 0; round < 1000; round++) {
		struct hmem_interface *one = general(space), *two = general(space);

		for (size_t bytes = 16; bytes < 100000; bytes *= 2) {
			void *block = hmem_malloc(one, bytes), *other = hmem_malloc(two, bytes);

			wrong += !block || !other || hmem_free(one, block) || hmem_free(two, other);
		}
		hmem_interface_unref(one);
		hmem_interface_unref(two);
	}
	TAP_EQ(wrong, 0, "a thousand interfaces find what others before them had");
	TAP_EQ(used_of(space), 64 * MIB, "in the first arena");
	hmem_space_unref(space);
}

/* --- until the process ends ---------------------------------------------------------- */

static void test_kept(void)
{
	struct hmem_space *space = kept_space(64 * MIB);
	struct hmem_interface *one = general(space), *checked;
	int status = -1;
	char *block;
	pid_t child;

	child = fork();
	if (!child)
		_exit(!hmem_malloc(one, 1000));
	TAP_OK(waitpid(child, &status, 0) == child && !status, "a child allocates of its copy");
	checked = must_interface(space, HMEM_STRATEGY_GENERAL, 0, HMEM_INTERFACE_CHECKED);
	block = hmem_malloc(checked, 100);
	TAP_OK(block && hmem_free(one, &block) == -EINVAL && !hmem_free(checked, block) &&
		       hmem_free(checked, block) == -EALREADY,
	       "checked mode finds what mimalloc does not");
	hmem_interface_unref(checked);
	block = strcpy(hmem_malloc(one, 100), "still there");
	hmem_interface_unref(one);
	hmem_space_unref(space);
	TAP_STR_EQ(block, "still there", "the memory is there when nobody has the space any more");
}

/* --- what others had before ---------------------------------------------------------- */

/* All but the first arena is of what was somebody's, or all. */
static void one_used(bool first)
{
	enum { BLOCKS = 150000, BYTES = 1000 };
	struct hmem_space *space = kept_space(256 * MIB);
	struct hmem_interface *one = first ? general(space) : NULL;
	struct hmem_interface *before = must_interface(space, HMEM_STRATEGY_BINNED, 0, 0);
	static char *blocks[BLOCKS];
	char *large = hmem_malloc(before, 180 * MIB);
	unsigned int wrong = 0;

	if (!large)
		tap_bail("no large block");
	memset(large, 0x77, 180 * MIB);
	if (hmem_free(before, large))
		tap_bail("it is not given back");
	hmem_interface_unref(before);
	if (!one)
		one = general(space);
	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = hmem_malloc(one, BYTES);
		if (blocks[i])
			memset(blocks[i], i % 251, BYTES);
	}
	for (int i = 0; i < BLOCKS; i++)
		wrong += !blocks[i] || blocks[i][0] != (char)(i % 251) ||
			 blocks[i][BYTES - 1] != (char)(i % 251) || hmem_free(one, blocks[i]);
	TAP_EQ(wrong, 0, "arenas are made of what others had%s", first ? ", but for the first" : "");
	hmem_interface_unref(one);
	hmem_space_unref(space);
}

static void test_used(void)
{
	one_used(true);
	one_used(false);
}

/* --- where it is not to be had ------------------------------------------------------- */

static void test_binned(const char *why)
{
	struct hmem_space *space = kept_space(256 * MIB);
	struct hmem_interface *one = general(space);
	void *block = hmem_malloc(one, 100);

	TAP_OK(used_of(space) < 64 * MIB && block && !hmem_free(one, block) &&
		       hmem_free(one, block) == -EALREADY,
	       "%s: general is binned", why);
	hmem_interface_unref(one);
	hmem_space_unref(space);
}

static void test_small(void)
{
	struct hmem_space *space = kept_space(32 * MIB);
	struct hmem_interface *one = general(space);

	TAP_EQ(used_of(space), 0, "32 MiB are too few for it: general is binned");
	hmem_interface_unref(one);
	hmem_space_unref(space);
	space = kept_space(64 * MIB);
	hmem_space_set_limit(space, 32 * MIB);
	one = general(space);
	TAP_EQ(used_of(space), 0, "as where more may not be used");
	hmem_interface_unref(one);
	hmem_space_unref(space);
	space = must_space(256 * MIB);
	one = general(space);
	TAP_EQ(used_of(space), 0, "and where the space is not kept");
	hmem_interface_unref(one);
	hmem_space_unref(space);
}

/* By itself, with libraries that cannot be loaded in front of those of the system. */
static void test_without(const char *self)
{
	char directory[] = "/tmp/lib_mimalloc.XXXXXX", path[64];
	int status = -1, version;
	pid_t child;

	if (!mkdtemp(directory))
		tap_bail("%s: %s", directory, strerror(errno));
	for (version = 2; version <= 3; version++) {
		snprintf(path, sizeof(path), "%s/libmimalloc.so.%d", directory, version);
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	child = fork();
	if (!child) {
		setenv("LD_LIBRARY_PATH", directory, 1);
		/* What is told is told by the parent. */
		dup2(STDERR_FILENO, STDOUT_FILENO);
		execl(self, self, "without", NULL);
		_exit(127);
	}
	if (waitpid(child, &status, 0) != child)
		tap_bail("no child");
	TAP_EQ(status, 0, "without mimalloc general is binned");
	while (version-- > 2) {
		snprintf(path, sizeof(path), "%s/libmimalloc.so.%d", directory, version);
		unlink(path);
	}
	rmdir(directory);
}

#define LEFT 2000

static struct hmem_interface *leaving;
static void *left[LEFT];

static size_t bytes_left(int i)
{
	return 200 + (size_t)i * 37 % 3000;
}

/* Those that are aligned may begin in the middle of larger ones. */
static void fill_left(int from, int step)
{
	for (int i = from; i < LEFT; i += step) {
		left[i] = hmem_aligned_alloc(leaving, i % 3 ? 16 : 64u << i % 4, bytes_left(i));
		if (!left[i])
			tap_bail("no block");
		memset(left[i], i % 251, bytes_left(i));
	}
}

static void *leaves(void *arg)
{
	fill_left(*(int *)arg, 2);
	return NULL;
}

/* What threads leave behind when they end is not given to two, once it is freed. */
static void test_left(void)
{
	struct hmem_space *space = kept_space(256 * MIB);
	int changed = 0;

	leaving = general(space);
	fill_left(0, 1);
	for (int round = 0; round < 20; round++) {
		int from = round % 2;
		pthread_t thread;

		for (int i = from; i < LEFT; i += 2)
			hmem_free(leaving, left[i]);
		if (pthread_create(&thread, NULL, leaves, &from))
			tap_bail("no thread");
		pthread_join(thread, NULL);
		for (int i = 0; i < LEFT; i++)
			for (size_t b = 0; b < bytes_left(i); b++)
				changed += ((unsigned char *)left[i])[b] != i % 251;
	}
	TAP_EQ(changed, 0, "blocks of threads that have ended are nobody else's");
	for (int i = 0; i < LEFT; i++)
		hmem_free(leaving, left[i]);
	hmem_interface_unref(leaving);
	hmem_space_unref(space);
}

/* Version 2 has 64 arenas in a process. */
static void test_arenas(void)
{
	struct hmem_space *spaces[256];
	struct hmem_interface *interface;
	int n, binned = 0;

	for (n = 0; n < 256 && !binned; n++) {
		spaces[n] = kept_space(64 * MIB);
		interface = general(spaces[n]);
		binned = !used_of(spaces[n]);
		if (!hmem_malloc(interface, 1000))
			tap_bail("no block of space %d", n);
		hmem_interface_unref(interface);
	}
	tap_diag("%d spaces had an arena", n - 1);
	TAP_OK(binned, "when there are no arenas any more general is binned");
	while (n--)
		hmem_space_unref(spaces[n]);
}

int main(int argc, char **argv)
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	if (argc > 1) {
		struct hmem_space *space = kept_space(256 * MIB);
		struct hmem_interface *one = general(space);
		bool other = used_of(space) || !hmem_malloc(one, 100);

		hmem_interface_unref(one);
		hmem_space_unref(space);
		hmem_ctx_unref(ctx);
		return other;
	}
	test_small();
	test_without(argv[0]);
	if (!dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_LOCAL) &&
	    !dlopen("libmimalloc.so.3", RTLD_NOW | RTLD_LOCAL)) {
		test_binned("no mimalloc");
		tap_skip("mimalloc", "neither libmimalloc.so.2 nor libmimalloc.so.3 is installed");
	} else {
		test_blocks();
		test_room();
		test_room_elsewhere();
		test_threads();
		test_many_threads();
		test_interfaces();
		test_kept();
		test_used();
		test_left();
		test_arenas();
	}
	hmem_ctx_unref(ctx);
	return tap_done();
}
