// SPDX-License-Identifier: GPL-2.0-only
/*
 * libhmem-malloc.so under a program: each function and its edges, a space that is full, a share,
 * threads, and what is used to the very end.
 * hmem-test: timeout=240
 */
#include "preload_user.h"

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
	one = do_malloc(4 * 57344);
	do_free(one);
	for (size_t i = 0; i < 8; i++) {
		blocks[i] = do_calloc(1, 57328);
		CHECK(is_zero(blocks[i], 57328));
	}
	for (size_t i = 0; i < 8; i++)
		do_free(blocks[i]);
	one = do_malloc(200001);
	CHECK(do_usable(one) > 230000 || getenv("HMEM_CHECKED"));
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
	static const size_t steps[] = { 10, 4000, 5000, 100000, 99000, 20000, 3000000,
					2999999, 4096, 1, 200000, 100 };
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

/* What is refused to large ones is there for small ones. */
static void large_ones_full(void)
{
	void *large[8];

	for (int i = 0; i < 8; i++)
		large[i] = do_malloc(3u << 20);
	CHECK(!is_here(large[7]));
	for (int i = 0; i < 200; i++) {
		void *small = do_malloc(LARGE);

		CHECK(is_here(small));
		do_free(small);
	}
	for (int i = 0; i < 8; i++)
		do_free(large[i]);
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

static const struct preload_case cases[] = {
	{ "sizes", sizes, NULL, NULL, NULL, 1, NULL },
	{ "zeroes", zeroes, NULL, NULL, NULL, 1, NULL },
	{ "zeroes, checked", zeroes, NULL, NULL, NULL, 1, NULL },
	{ "aligned", aligned, NULL, NULL, NULL, 1, NULL },
	{ "resized", resized, NULL, NULL, NULL, 1, NULL },
	{ "errors stay", errors_stay, NULL, NULL, NULL, 1, NULL },
	{ "full", full, "2M", NULL, NULL, 1, NULL },
	{ "large ones full", large_ones_full, "8M", NULL, NULL, 1, NULL },
	{ "share", share, NULL, NULL, "30", -1, NULL },
	{ "threads", threads, NULL, NULL, NULL, 1, NULL },
	{ "threads, all from there", threads, NULL, "0", NULL, -1, NULL },
	{ "at the end", at_the_end, NULL, NULL, NULL, 1, "written at the end" },
	{ 0 },
};

int main(int argc, char **argv)
{
	return preload_main(argc, argv, cases);
}
