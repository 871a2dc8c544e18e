// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies between two allocations, at once and by the library's thread, beside ways to copy as
 * many bytes: memcpy(3), the string instruction, and stores past the caches. In GiB a second of
 * the thread's own time; of wall time where the library's thread copies.
 */
#include <stdio.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <hmem/copy.h>
#include <hmem/space.h>

#include "heap.h"

#define BYTES_MAX (256ull << 20)

static const size_t sizes[] = { 64 << 10, 1 << 20, 64 << 20, BYTES_MAX };

static struct hmem_allocation *to, *from;

static void by_hmem(char *into, const char *of, size_t bytes)
{
	(void)into;
	(void)of;
	if (hmem_copy_bytes(to, 0, from, 0, bytes))
		fail("hmem", "it does not copy");
}

static void by_thread(char *into, const char *of, size_t bytes)
{
	struct hmem_shape shape = { bytes, 1, 1 };
	struct hmem_completion *completion;

	(void)into;
	(void)of;
	if (hmem_copy_begin(to, NULL, from, NULL, &shape, &completion) ||
	    hmem_completion_wait(completion, -1))
		fail("hmem", "it does not copy");
	hmem_completion_unref(completion);
}

static void by_memcpy(char *into, const char *of, size_t bytes)
{
	memcpy(into, of, bytes);
}

#ifdef __x86_64__
static void by_string(char *into, const char *of, size_t bytes)
{
	__asm__ volatile("rep movsb" : "+D"(into), "+S"(of), "+c"(bytes) : : "memory");
}

/* Both are multiples of 64 bytes. */
static void by_stream(char *into, const char *of, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 64) {
		const __m128i *in = (const void *)(of + i);
		__m128i *out = (void *)(into + i);
		__m128i a = _mm_load_si128(in), b = _mm_load_si128(in + 1);
		__m128i c = _mm_load_si128(in + 2), d = _mm_load_si128(in + 3);

		_mm_stream_si128(out, a);
		_mm_stream_si128(out + 1, b);
		_mm_stream_si128(out + 2, c);
		_mm_stream_si128(out + 3, d);
	}
	_mm_sfence();
}

/* Four pages at once, as each of them is fetched ahead of by itself. */
static void by_stream_pages(char *into, const char *of, size_t bytes)
{
	enum { PAGE = 4096, PAGES = 4 };

	for (size_t i = 0; i < bytes; i += PAGES * PAGE)
		for (size_t line = 0; line < PAGE; line += 64)
			for (size_t page = 0; page < PAGES; page++) {
				const __m128i *in = (const void *)(of + i + page * PAGE + line);
				__m128i *out = (void *)(into + i + page * PAGE + line);
				__m128i a = _mm_load_si128(in), b = _mm_load_si128(in + 1);
				__m128i c = _mm_load_si128(in + 2), d = _mm_load_si128(in + 3);

				_mm_stream_si128(out, a);
				_mm_stream_si128(out + 1, b);
				_mm_stream_si128(out + 2, c);
				_mm_stream_si128(out + 3, d);
			}
	_mm_sfence();
}
#endif

static const struct way {
	const char *metric;	/* before the size */
	const char *who;
	void (*copy)(char *into, const char *of, size_t bytes);
} ways[] = {
	{ "copy", "hmem", by_hmem },
	{ "copy-begin", "hmem", by_thread },
	{ "copy", "memcpy", by_memcpy },
#ifdef __x86_64__
	{ "copy", "movsb", by_string },
	{ "copy", "stream", by_stream },
	{ "copy", "stream-pages", by_stream_pages },
#endif
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void open_both(void)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_interface *interface;
	struct hmem_space *space;
	struct hmem_ctx *ctx;

	options.bytes = 2 * BYTES_MAX + (64 << 20);
	options.flags = HMEM_SPACE_POPULATE;
	if (hmem_ctx_new(&ctx) || hmem_space_create(ctx, "copies", &options, &space) ||
	    hmem_interface_create(space, NULL, &interface) ||
	    hmem_allocation_new(interface, BYTES_MAX, 4096, 0, &to) ||
	    hmem_allocation_new(interface, BYTES_MAX, 4096, 0, &from))
		fail("hmem", hmem_last_error(ctx));
	memset(hmem_allocation_data(from), 'f', BYTES_MAX);
}

static double gib_per_s(const struct way *way, size_t bytes)
{
	size_t calls = (quick ? 1 << 20 : BYTES_MAX / 4) / bytes;
	double (*now)(void) = way->copy == by_thread ? wall_time : own_time;
	char *into = hmem_allocation_data(to);
	const char *of = hmem_allocation_data(from);
	double begin;

	calls = calls ? calls : 1;
	/* What fits in caches is there. */
	if (bytes <= 1 << 20)
		way->copy(into, of, bytes);
	begin = now();
	for (size_t i = 0; i < calls; i++)
		way->copy(into, of, bytes);
	return (double)bytes * (double)calls / (1 << 30) / ((now() - begin) / 1e9);
}

void copy_round(const char *place, unsigned int round)
{
	(void)place;
	if (!to)
		open_both();
	for (size_t size = 0; size < sizeof(sizes) / sizeof(sizes[0]); size++)
		for (size_t i = 0; i < WAYS; i++) {
			const struct way *way = &ways[(i + round) % WAYS];
			char metric[32];

			snprintf(metric, sizeof(metric), "%s-%s", way->metric,
				 size_name(sizes[size]));
			sample(metric, "GiB/s", way->who, gib_per_s(way, sizes[size]));
		}
}
