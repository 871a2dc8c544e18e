/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests of libhmem-malloc.so under a program. Every case is a process of its own, with the
 * library preloaded, on system RAM, on a file without a name and on one that is there.
 */
#ifndef SELFTESTS_HOST_PRELOAD_USER_H
#define SELFTESTS_HOST_PRELOAD_USER_H

#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
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

/* --- blocks that threads hand to each other ------------------------------------------- */

#define SLOTS	256

static _Atomic(uint32_t *) slots[SLOTS];

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

/* --- from the beginning to the end ---------------------------------------------------- */

static void *early;

#define KEYS 40

static __attribute__((constructor(102))) void allocate_early(void)
{
	pthread_key_t key;

	/* The library's key is one for which threads need memory of malloc(3). */
	for (int i = 0; i < KEYS; i++)
		CHECK(!pthread_key_create(&key, NULL));
	early = malloc(LARGE);
	if (early)
		fill(early, LARGE, 6);
}

/* --- cases --------------------------------------------------------------------------- */

/*
 * @size, @above, @share: settings of its own; NULL: the usual ones
 * @blocks: left at the end, one of which is from the beginning, or is stdio's; -1: any
 * @written: to $PRELOAD_OUT; NULL: nothing
 */
struct preload_case {
	const char *name;
	void (*run)(void);
	const char *size, *above, *share;
	int blocks;
	const char *written;
};

static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

/* Return: exit status of the case, or -1. */
static int run_case(const struct preload_case *a_case, size_t i, const char *self,
		    const char *library, const char *layer, const char *stats)
{
	char number[24], *args[] = { (char *)self, number, NULL };
	int status;
	pid_t child = fork();

	if (!child) {
		snprintf(number, sizeof(number), "%zu", i);
		set("HMEM_MALLOC_LAYER", layer);
		set("HMEM_MALLOC_ABOVE",
		    a_case->above ? a_case->above : a_case->share ? NULL : "4096");
		set("HMEM_MALLOC_SIZE", a_case->size ? a_case->size : "64M");
		set("HMEM_MALLOC_SHARE", a_case->share);
		set("HMEM_MALLOC_STATS", stats);
		set("HMEM_CHECKED", strstr(a_case->name, "checked") ? "1" : NULL);
		set("LD_PRELOAD", library);
		execv(self, args);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* The last line is the parent's: of children there may be others before it. */
static void check_stats(const struct preload_case *a_case, const char *layer, const char *stats)
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
	TAP_OK(here > 0, "%s on %s: that came from there", a_case->name, layer);
	if (a_case->blocks >= 0)
		TAP_EQ(left, a_case->blocks, "%s on %s: what is left", a_case->name, layer);
	if (here == 0 || (a_case->blocks >= 0 && (int)left != a_case->blocks))
		tap_diag("%s", last);
	unlink(stats);
}

/* @has_size: the space has the size that was asked for */
static void on(const char *layer, bool has_size, const struct preload_case *cases, const char *self,
	       const char *library)
{
	char stats[4200], out[4200], text[64] = "";

	snprintf(stats, sizeof(stats), "%s/stats", getenv("TMPDIR"));
	snprintf(out, sizeof(out), "%s/out", getenv("TMPDIR"));
	set("PRELOAD_OUT", out);
	for (size_t i = 0; cases[i].name; i++) {
		FILE *written;

		if (cases[i].size && !has_size)
			continue;
		TAP_EQ(run_case(&cases[i], i, self, library, layer, stats), 0, "%s on %s",
		       cases[i].name, layer);
		check_stats(&cases[i], layer, stats);
		if (!cases[i].written)
			continue;
		written = fopen(out, "re");
		TAP_STR_EQ(written ? fgets(text, sizeof(text), written) : NULL, cases[i].written,
			   "what stdio had was written");
		if (written)
			fclose(written);
	}
}

/* All cases on each kind of layer; @cases end with one without a name. */
static int preload_main(int argc, char **argv, const struct preload_case *cases)
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
	on("dram:0", true, cases, self, library);
	snprintf(layer, sizeof(layer), "file:%s", scratch);
	on(layer, true, cases, self, library);
	snprintf(file, sizeof(file), "%s/there", scratch);
	fd = open(file, O_RDWR | O_CREAT | O_EXCL, 0600);
	TAP_OK(fd >= 0 && !ftruncate(fd, SIZE), "a file");
	close(fd);
	snprintf(layer, sizeof(layer), "file:%s", file);
	on(layer, false, cases, self, library);
	return tap_done();
}

#endif
