// SPDX-License-Identifier: GPL-2.0-only
/*
 * libhmem-malloc.so under a program: each function and its edges, threads, children, a space that is
 * full, a share. Every case is a process of its own, with the library preloaded, on system RAM, on a
 * file without a name and on one that is there.
 * hmem-test: timeout=240
 */
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tap.h>

#define ABOVE	4096
#define LARGE	((size_t)100000)
#define SIZE	(64u << 20)

/* --- what a case checks -------------------------------------------------------------- */

#define CHECK(condition)                                                                 \
	do {                                                                             \
		if (!(condition)) {                                                      \
			fprintf(stderr, "# %s:%d: %s (errno %d)\n", __FILE__, __LINE__,  \
				#condition, errno);                                      \
			_exit(1);                                                        \
		}                                                                        \
	} while (0)

/* So that the compiler does not know what they do. */
static void *(*volatile do_malloc)(size_t) = malloc;
static void *(*volatile do_calloc)(size_t, size_t) = calloc;
static void *(*volatile do_realloc)(void *, size_t) = realloc;
static void *(*volatile do_reallocarray)(void *, size_t, size_t) = reallocarray;
static void (*volatile do_free)(void *) = free;
static void *(*volatile do_memalign)(size_t, size_t) = memalign;
static void *(*volatile do_aligned_alloc)(size_t, size_t) = aligned_alloc;
static int (*volatile do_posix_memalign)(void **, size_t, size_t) = posix_memalign;
static size_t (*volatile do_usable)(void *) = malloc_usable_size;

/* The space is the mapping that a large block is in. Its policy, or its file, keeps it apart. */
static uintptr_t space_from, space_to;

static void find_space(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	void *block = do_malloc(LARGE);
	uintptr_t from, to;
	char line[8192];

	CHECK(maps && block);
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) == 2 &&
		    (uintptr_t)block >= from && (uintptr_t)block < to) {
			space_from = from;
			space_to = to;
		}
	fclose(maps);
	do_free(block);
	CHECK(space_to - space_from >= 2u << 20);
}

static bool is_here(const void *block)
{
	return (uintptr_t)block >= space_from && (uintptr_t)block < space_to;
}

static void fill(void *block, size_t bytes, unsigned int seed)
{
	for (size_t i = 0; i < bytes; i++)
		((unsigned char *)block)[i] = (unsigned char)(seed + i * 7);
}

static bool is_filled(const void *block, size_t bytes, unsigned int seed)
{
	for (size_t i = 0; i < bytes; i++)
		if (((const unsigned char *)block)[i] != (unsigned char)(seed + i * 7))
			return false;
	return true;
}

static bool is_zero(const void *block, size_t bytes)
{
	const unsigned char *at = block;

	return !bytes || (!at[0] && !memcmp(at, at + 1, bytes - 1));
}

/* --- functions ----------------------------------------------------------------------- */

static void sizes(void)
{
	void *none = do_malloc(0), *small = do_malloc(ABOVE), *large = do_malloc(ABOVE + 1);

	CHECK(none && !is_here(none));
	CHECK(small && !is_here(small));
	CHECK(large && is_here(large) && !((uintptr_t)large % 16));
	errno = 0;
	CHECK(!do_malloc(SIZE_MAX) && errno == ENOMEM);
	errno = 0;
	CHECK(!do_malloc((size_t)PTRDIFF_MAX + 1) && errno == ENOMEM);
	do_free(none);
	do_free(small);
	do_free(large);
	do_free(NULL);
	for (size_t bytes = 1; bytes < 8u << 20; bytes += bytes / 3 + 1) {
		void *block = do_malloc(bytes);

		CHECK(block && is_here(block) == (bytes > ABOVE));
		CHECK(do_usable(block) >= bytes);
		memset(block, 0xa5, do_usable(block));
		do_free(block);
	}
	CHECK(do_usable(NULL) == 0);
}

/* Blocks that were others', with every byte written, are zeroes again. */
static void zeroes(void)
{
	void *blocks[64], *one;

	/* Behind what was asked for a block has more, which may be cut otherwise the next time. */
	one = do_malloc(200001);
	CHECK(do_usable(one) > 230000);
	memset(one, 0xff, do_usable(one));
	do_free(one);
	for (size_t i = 0; i < 8; i++) {
		blocks[i] = do_calloc(1, 57344);
		CHECK(is_zero(blocks[i], 57344));
	}
	for (size_t i = 0; i < 8; i++)
		do_free(blocks[i]);
	for (int round = 0; round < 6; round++) {
		for (size_t i = 0; i < 64; i++) {
			size_t bytes = ABOVE + 1 + (i * 7919 + (size_t)round * 104729) % 300000;

			blocks[i] = do_calloc(1, bytes);
			CHECK(blocks[i] && is_here(blocks[i]));
			CHECK(is_zero(blocks[i], bytes));
			memset(blocks[i], 0xff, do_usable(blocks[i]));
		}
		for (size_t i = 0; i < 64; i++)
			do_free(blocks[i]);
	}
	one = do_calloc(1000, 1000);
	CHECK(is_here(one) && is_zero(one, 1000000));
	do_free(one);
	errno = 0;
	CHECK(!do_calloc(SIZE_MAX / 2, 3) && errno == ENOMEM);
	errno = 0;
	CHECK(!do_reallocarray(NULL, SIZE_MAX / 2, 3) && errno == ENOMEM);
}

static void aligned(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *block = &page;

	for (size_t align = 8; align <= 8u << 20; align *= 2)
		for (size_t bytes = 1; bytes <= 1u << 20; bytes *= 32) {
			bool here = bytes > ABOVE && align <= 2u << 20;

			CHECK(!do_posix_memalign(&block, align, bytes));
			CHECK(!((uintptr_t)block % align) && is_here(block) == here);
			fill(block, bytes, 3);
			do_free(block);
			block = do_aligned_alloc(align, bytes);
			CHECK(block && !((uintptr_t)block % align) && is_here(block) == here);
			do_free(block);
			block = do_memalign(align, bytes);
			CHECK(block && !((uintptr_t)block % align) && is_here(block) == here);
			do_free(block);
		}
	block = &page;
	errno = E2BIG;
	CHECK(do_posix_memalign(&block, 4, LARGE) == EINVAL && block == &page);
	CHECK(do_posix_memalign(&block, 24, LARGE) == EINVAL && block == &page);
	CHECK(errno == E2BIG);
	CHECK(do_posix_memalign(&block, 64, SIZE_MAX - 64) == ENOMEM && block == &page);
	block = valloc(LARGE);
	CHECK(is_here(block) && !((uintptr_t)block % page));
	do_free(block);
	block = pvalloc(page * 3 + 1);
	CHECK(is_here(block) && !((uintptr_t)block % page) && do_usable(block) >= 4 * page);
	do_free(block);
	block = pvalloc(1);
	CHECK(block && !is_here(block) && !((uintptr_t)block % page));
	do_free(block);
	errno = 0;
	CHECK(!pvalloc(SIZE_MAX) && errno == ENOMEM);
}

static void resized(void)
{
	static const size_t steps[] = { 10, 4000, 5000, 100000, 99000, 20000, 3000000, 2999999, 4096, 1,
					200000, 100 };
	unsigned char *block = do_malloc(5);
	size_t has = 5;
	void *kept;

	fill(block, has, 9);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		block = do_realloc(block, steps[i]);
		CHECK(block && is_here(block) == (steps[i] > ABOVE));
		CHECK(is_filled(block, has < steps[i] ? has : steps[i], 9));
		has = steps[i];
		fill(block, has, 9);
	}
	kept = block = do_realloc(block, LARGE);
	fill(block, LARGE, 5);
	errno = 0;
	CHECK(!do_realloc(block, (size_t)PTRDIFF_MAX + 1) && errno == ENOMEM);
	errno = 0;
	CHECK(!do_reallocarray(block, SIZE_MAX / 2, 3) && errno == ENOMEM);
	CHECK(is_filled(kept, LARGE, 5));
	/* More than the space has: it moves. */
	block = do_realloc(block, (size_t)SIZE + (4u << 20));
	CHECK(block && !is_here(block) && is_filled(block, LARGE, 5));
	/* What is above the threshold elsewhere stays there. */
	block = do_realloc(block, LARGE);
	CHECK(block && !is_here(block) && is_filled(block, LARGE, 5));
	do_free(block);
	block = do_reallocarray(NULL, 100, 1000);
	CHECK(is_here(block));
	CHECK(!do_realloc(block, 0));
	block = do_realloc(NULL, LARGE);
	CHECK(is_here(block));
	do_free(block);
}

static void errors_stay(void)
{
	void *small = do_malloc(10), *large = do_malloc(LARGE);

	errno = E2BIG;
	do_free(small);
	CHECK(errno == E2BIG);
	do_free(large);
	CHECK(errno == E2BIG);
	/* Again, and into the middle of one: nothing is done. */
	do_free(large);
	CHECK(errno == E2BIG);
	large = do_malloc(LARGE);
	do_free((char *)large + 32);
	CHECK(errno == E2BIG && do_usable(large) >= LARGE);
	large = do_realloc(large, 2 * LARGE);
	do_free(large);
	CHECK(errno == E2BIG);
}

/* --- room ---------------------------------------------------------------------------- */

static void full(void)
{
	void *blocks[64];
	int here = 0, tries;

	for (int i = 0; i < 64; i++) {
		blocks[i] = do_malloc(1u << 20);
		CHECK(blocks[i]);
		fill(blocks[i], 1u << 20, (unsigned int)i);
		here += is_here(blocks[i]);
	}
	CHECK(here >= 1 && here <= 2);
	for (int i = 0; i < 64; i++) {
		blocks[i] = do_realloc(blocks[i], 3u << 19);
		CHECK(blocks[i] && is_filled(blocks[i], 1u << 20, (unsigned int)i));
	}
	for (int i = 0; i < 64; i++)
		do_free(blocks[i]);
	for (tries = 0; tries < 1100; tries++) {
		void *block = do_malloc(LARGE);
		bool is = is_here(block);

		do_free(block);
		if (is)
			return;
	}
	CHECK(!"there is room again, and nobody takes it");
}

static size_t share_here, share_all;

static void *one_block(void *arg)
{
	void *block = do_malloc(10000);

	(void)arg;
	share_all++;
	share_here += is_here(block);
	do_free(block);
	return NULL;
}

static void share(void)
{
	static const size_t some[] = { 100, 5000, 70000, 8, 1500, 300000 };
	size_t here = 0, all = 0;
	pthread_t thread;

	/* One of these comes from the space. */
	for (int i = 0; i < 20 && !space_to; i++)
		find_space();
	for (int i = 0; i < 30000; i++) {
		size_t bytes = some[i % 6];
		void *block = do_malloc(bytes);

		all += bytes;
		here += is_here(block) ? bytes : 0;
		do_free(block);
	}
	fprintf(stderr, "# %zu of %zu bytes\n", here, all);
	CHECK(here > all / 100 * 28 && here < all / 100 * 32);
	/* Threads that allocate once. */
	for (int i = 0; i < 400; i++) {
		CHECK(!pthread_create(&thread, NULL, one_block, NULL));
		pthread_join(thread, NULL);
	}
	CHECK(share_here * 100 > share_all * 26 && share_here * 100 < share_all * 34);
}

/* --- threads ------------------------------------------------------------------------- */

#define THREADS	8
#define SLOTS	256

static _Atomic(uint32_t *) slots[SLOTS];
static atomic_bool stop;

/* The first word is the size, the second tells who wrote it; so is each page's. */
static uint32_t *made(uint32_t *block, uint32_t bytes, uint32_t seed)
{
	block[0] = bytes;
	block[1] = seed;
	for (uint32_t at = 1024; at + 1 <= bytes / 4; at += 1024)
		block[at] = seed + at;
	return block;
}

static void checked(const uint32_t *block, uint32_t bytes)
{
	for (uint32_t at = 1024; at + 1 <= bytes / 4; at += 1024)
		CHECK(block[at] == block[1] + at);
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void step(uint32_t *random)
{
	uint32_t slot = next_random(random) % SLOTS, bytes = 16 + next_random(random) % 60000;
	uint32_t *block = atomic_exchange(&slots[slot], NULL);

	if (block)
		checked(block, block[0]);
	if (next_random(random) % 4) {
		do_free(block);
		block = next_random(random) % 2 ? do_malloc(bytes) : do_calloc(1, bytes);
	} else {
		uint32_t has = block ? block[0] : 0;

		block = do_realloc(block, bytes);
		if (block && has)
			checked(block, has < bytes ? has : bytes);
	}
	CHECK(block);
	do_free(atomic_exchange(&slots[slot], made(block, bytes, *random)));
}

static void *hammer(void *arg)
{
	uint32_t random = (uint32_t)(uintptr_t)arg;

	for (int i = 0; i < 20000; i++)
		step(&random);
	return NULL;
}

static void threads(void)
{
	pthread_t all[THREADS];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < THREADS; i++)
			CHECK(!pthread_create(&all[i], NULL, hammer,
					      (void *)(uintptr_t)(round * THREADS + i + 1)));
		for (int i = 0; i < THREADS; i++)
			pthread_join(all[i], NULL);
	}
	for (int i = 0; i < SLOTS; i++)
		do_free(slots[i]);
}

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

/* --- from the beginning to the end ---------------------------------------------------- */

static void *early;

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

#define KEYS 40

static __attribute__((constructor(101))) void allocate_early(void)
{
	pthread_key_t key;

	CHECK(!pthread_atfork(allocate_in_handler, allocate_in_handler, look_in_handler));
	/* The library's key is one for which threads need memory of malloc(3). */
	for (int i = 0; i < KEYS; i++)
		CHECK(!pthread_key_create(&key, NULL));
	early = malloc(LARGE);
	if (early)
		fill(early, LARGE, 6);
}

/* stdio writes what is in this buffer when all destructors have run. */
static void at_the_end(void)
{
	char *buffer = do_malloc(LARGE);
	int fd = open(getenv("PRELOAD_OUT"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(is_filled(early, LARGE, 6));
	early = do_realloc(early, 3 * LARGE);
	CHECK(is_filled(early, LARGE, 6));
	do_free(early);
	CHECK(fd >= 0 && dup2(fd, STDOUT_FILENO) == STDOUT_FILENO);
	CHECK(is_here(buffer) && !setvbuf(stdout, buffer, _IOFBF, LARGE));
	printf("written at the end");
}

/* --- cases --------------------------------------------------------------------------- */

/*
 * @size, @above, @share: settings of its own; NULL: the usual ones
 * @blocks: left at the end, one of which is from the beginning, or is stdio's; -1: any
 */
static const struct {
	const char *name;
	void (*run)(void);
	const char *size, *above, *share;
	int blocks;
} cases[] = {
	{ "sizes", sizes, NULL, NULL, NULL, 1 },
	{ "zeroes", zeroes, NULL, NULL, NULL, 1 },
	{ "aligned", aligned, NULL, NULL, NULL, 1 },
	{ "resized", resized, NULL, NULL, NULL, 1 },
	{ "errors stay", errors_stay, NULL, NULL, NULL, 1 },
	{ "full", full, "2M", NULL, NULL, 1 },
	{ "share", share, NULL, NULL, "30", -1 },
	{ "threads", threads, NULL, NULL, NULL, 1 },
	{ "threads, all from there", threads, NULL, "0", NULL, -1 },
	{ "children", children, NULL, NULL, NULL, -1 },
	{ "children of threads", children_of_threads, NULL, NULL, NULL, -1 },
	{ "handlers of forks", handlers, NULL, NULL, NULL, -1 },
	{ "spawned", spawned, NULL, NULL, NULL, 1 },
	{ "at the end", at_the_end, NULL, NULL, NULL, 1 },
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

/* Return: exit status of the case, or -1. */
static int run_case(size_t i, const char *self, const char *library, const char *layer,
		    const char *stats)
{
	char number[16], *args[] = { (char *)self, number, NULL };
	int status;
	pid_t child = fork();

	if (!child) {
		snprintf(number, sizeof(number), "%zu", i);
		set("HMEM_MALLOC_LAYER", layer);
		set("HMEM_MALLOC_ABOVE",
		    cases[i].above ? cases[i].above : cases[i].share ? NULL : "4096");
		set("HMEM_MALLOC_SIZE", cases[i].size ? cases[i].size : "64M");
		set("HMEM_MALLOC_SHARE", cases[i].share);
		set("HMEM_MALLOC_STATS", stats);
		set("LD_PRELOAD", library);
		execv(self, args);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* The last line is the parent's: of children there may be others before it. */
static void check_stats(size_t i, const char *layer, const char *stats)
{
	unsigned long long here = 0, left = 0;
	char line[4096] = "", last[4096] = "";
	FILE *file = fopen(stats, "re");
	const char *at;

	while (file && fgets(line, sizeof(line), file))
		strcpy(last, line);
	if (file)
		fclose(file);
	at = strstr(last, layer);
	if (!at || sscanf(at + strlen(layer), ": %llu allocations", &here) != 1)
		here = 0;
	at = strstr(last, "left: ");
	if (!at || sscanf(at, "left: %llu of", &left) != 1)
		left = 12345;
	TAP_OK(here > 0, "%s on %s: that came from there", cases[i].name, layer);
	if (cases[i].blocks >= 0)
		TAP_EQ(left, cases[i].blocks, "%s on %s: what is left", cases[i].name, layer);
	if (here == 0 || (cases[i].blocks >= 0 && (int)left != cases[i].blocks))
		tap_diag("%s", last);
	unlink(stats);
}

/* @has_size: the space has the size that was asked for */
static void on(const char *layer, bool has_size, const char *self, const char *library,
	       const char *scratch)
{
	char stats[4200], out[4200], text[64] = "";

	snprintf(stats, sizeof(stats), "%s/stats", scratch);
	snprintf(out, sizeof(out), "%s/out", scratch);
	set("PRELOAD_OUT", out);
	for (size_t i = 0; i < CASES; i++) {
		FILE *written;

		if (cases[i].size && !has_size)
			continue;
		TAP_EQ(run_case(i, self, library, layer, stats), 0, "%s on %s", cases[i].name, layer);
		check_stats(i, layer, stats);
		if (cases[i].run != at_the_end)
			continue;
		written = fopen(out, "re");
		TAP_STR_EQ(written ? fgets(text, sizeof(text), written) : NULL, "written at the end",
			   "what stdio had was written");
		if (written)
			fclose(written);
	}
}

int main(int argc, char **argv)
{
	const char *build = getenv("HMEM_BUILD"), *scratch = getenv("TMPDIR");
	char library[4200], self[4096], layer[4300], file[4200];
	int fd;

	if (argc == 2) {
		size_t i = (size_t)atoi(argv[1]);

		if (!cases[i].share)
			find_space();
		cases[i].run();
		return 0;
	}
	if (!build || !scratch || !realpath(argv[0], self))
		tap_bail("run this with selftests/run");
	snprintf(library, sizeof(library), "%s/libhmem-malloc.so", build);
	if (access(library, R_OK))
		tap_skip_all("there is no libhmem-malloc.so with sanitizers");
	on("dram:0", true, self, library, scratch);
	snprintf(layer, sizeof(layer), "file:%s", scratch);
	on(layer, true, self, library, scratch);
	snprintf(file, sizeof(file), "%s/there", scratch);
	fd = open(file, O_RDWR | O_CREAT | O_EXCL, 0600);
	TAP_OK(fd >= 0 && !ftruncate(fd, SIZE), "a file");
	snprintf(layer, sizeof(layer), "file:%s", file);
	on(layer, false, self, library, scratch);
	return tap_done();
}
