// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which cache lines are written back, and that each instruction that this CPU knows
 * leaves the data alone. Compiles the library's files in, as they are hidden in it.
 */
#include <stdarg.h>
#include <sys/mman.h>

#include "../../lib/cpu_flush_none.c"
#include "../../lib/cpu_flush_x86.c"
#include "../../lib/flush.c"

#include "tap.h"

static uintptr_t start_seen, end_seen;
static size_t line_seen;
static int errno_of_msync;
static uintptr_t synced;
static size_t synced_length;

static void record(uintptr_t start, uintptr_t end, size_t line)
{
	start_seen = start;
	end_seen = end;
	line_seen = line;
}

int hmem_fail_at(struct hmem_ctx *ctx, const char *where, int error, const char *format, ...)
{
	(void)ctx;
	(void)where;
	(void)format;
	return error;
}

uint64_t hmem_page_size(void)
{
	return 4096;
}

int msync(void *address, size_t length, int flags)
{
	(void)flags;
	synced = (uintptr_t)address;
	synced_length = length;
	errno = errno_of_msync;
	return errno_of_msync ? -1 : 0;
}

static void lines(void)
{
	struct hmem_ctx ctx = { .flush = { .range = record, .line = 64 } };
	static const struct {
		uintptr_t address;
		size_t length;
		uintptr_t start;
		uintptr_t end;
	} cases[] = {
		{ 4096, 1, 4096, 4097 },  { 4097, 1, 4096, 4098 },
		{ 4159, 1, 4096, 4160 },  { 4159, 2, 4096, 4161 },
		{ 4160, 64, 4160, 4224 }, { UINTPTR_MAX - 64, 64, UINTPTR_MAX - 127, UINTPTR_MAX },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		hmem_flush_cpu(&ctx, (void *)cases[i].address, cases[i].length);
		TAP_OK(start_seen == cases[i].start && end_seen == cases[i].end && line_seen == 64,
		       "%zu bytes at %#zx", cases[i].length, (size_t)cases[i].address);
	}
	TAP_OK(hmem_flush_cpu_possible(&ctx), "it is possible");
	ctx.flush.range = NULL;
	TAP_OK(!hmem_flush_cpu_possible(&ctx), "and not without an instruction");
}

static void pages(void)
{
	TAP_EQ(hmem_flush_msync(NULL, "x", (void *)4096, 4096), 0, "a page");
	TAP_OK(synced == 4096 && synced_length == 4096, "is synced");
	hmem_flush_msync(NULL, "x", (void *)8191, 2);
	TAP_OK(synced == 4096 && synced_length == 4097, "two bytes on two pages");
	errno_of_msync = EIO;
	TAP_EQ(hmem_flush_msync(NULL, "x", (void *)4096, 1), -EIO, "an error of the media");
	errno_of_msync = ENOMEM;
	TAP_EQ(hmem_flush_msync(NULL, "x", (void *)4096, 1), -EINVAL, "a range that is not mapped");
}

#ifdef __x86_64__
static bool unharmed(void (*range)(uintptr_t, uintptr_t, size_t), size_t line)
{
	static unsigned char data[8192] __attribute__((aligned(64)));

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7);
	range((uintptr_t)data, (uintptr_t)data + sizeof(data), line);
	range((uintptr_t)data, (uintptr_t)data, line);
	for (size_t i = 0; i < sizeof(data); i++)
		if (data[i] != (unsigned char)(i * 7))
			return false;
	return true;
}

static void instructions(void)
{
	unsigned int eax, ebx = 0, ecx, edx;
	struct hmem_cpu_flush flush;

	__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx);
	hmem_cpu_flush_init(&flush);
	tap_diag("this CPU: %s, lines of %zu bytes", flush.name, flush.line);
	TAP_OK(flush.line && !(flush.line & (flush.line - 1)), "a line is a power of two");
	TAP_OK(unharmed(flush.range, flush.line), "what was chosen works");
	TAP_OK(unharmed(flush_clflush, flush.line), "clflush works");
	if (ebx & 1u << 23)
		TAP_OK(unharmed(flush_clflushopt, flush.line), "clflushopt works");
	else
		tap_skip("clflushopt works", "this CPU has none");
	if (ebx & 1u << 24)
		TAP_OK(flush.range == flush_clwb && unharmed(flush_clwb, flush.line), "clwb works");
	else
		tap_skip("clwb works", "this CPU has none");
}
#endif

int main(void)
{
	lines();
	pages();
#ifdef __x86_64__
	instructions();
#else
	tap_skip("instructions", "none of this architecture is known");
#endif
	return tap_done();
}
