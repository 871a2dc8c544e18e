// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * x86-64: clwb, clflushopt or clflush, whichever is the best that CPUID shows. The
 * choice is made at run time: a binary serves old machines as well, and tools such as
 * valgrind hide the instructions that they do not know.
 */
#include "cpu_flush.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>

#define LINE 64u
#define PAGE 4096u

static void fence(void)
{
	_mm_sfence();
}

__attribute__((target("clwb"))) static void write_back_clwb(uintptr_t start, uintptr_t end,
							    size_t line)
{
	for (; start < end; start += line)
		_mm_clwb((void *)start);
}

__attribute__((target("clflushopt"))) static void write_back_clflushopt(uintptr_t start,
									uintptr_t end, size_t line)
{
	for (; start < end; start += line)
		_mm_clflushopt((void *)start);
}

/* Ordered among themselves; the fence orders non-temporal stores made before. */
static void write_back_clflush(uintptr_t start, uintptr_t end, size_t line)
{
	for (; start < end; start += line)
		_mm_clflush((const void *)start);
}

static void flush_clwb(uintptr_t start, uintptr_t end, size_t line)
{
	write_back_clwb(start, end, line);
	fence();
}

static void flush_clflushopt(uintptr_t start, uintptr_t end, size_t line)
{
	write_back_clflushopt(start, end, line);
	fence();
}

static void flush_clflush(uintptr_t start, uintptr_t end, size_t line)
{
	write_back_clflush(start, end, line);
	fence();
}

static void copy_line(unsigned char *to, const unsigned char *from)
{
	for (unsigned int i = 0; i < LINE; i += 16)
		_mm_stream_si128((__m128i *)(to + i), _mm_loadu_si128((const __m128i *)(from + i)));
}

/* Four pages at once keep more of the memory's banks busy than one does. */
static void copy(void *to, const void *from, size_t bytes)
{
	const unsigned char *source = from;
	unsigned char *target = to;

	for (; bytes >= 4 * PAGE; target += 4 * PAGE, source += 4 * PAGE, bytes -= 4 * PAGE)
		for (size_t at = 0; at < PAGE; at += LINE)
			for (size_t page = at; page < 4 * PAGE; page += PAGE)
				copy_line(target + page, source + page);
	for (size_t at = 0; at < bytes; at += LINE)
		copy_line(target + at, source + at);
}

void hmem_cpu_flush_init(struct hmem_cpu_flush *flush)
{
	unsigned int eax, ebx, ecx, edx;

	*flush = (struct hmem_cpu_flush){
		.range = flush_clflush, .write_back = write_back_clflush, .fence = fence,
		.copy = copy, .line = LINE, .name = "clflush",
	};
	/* Leaf 1: EBX bits 15-8 are the line in units of 8 bytes, EDX bit 19 is clflush. */
	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (edx & 1u << 19) && (ebx >> 8 & 0xff))
		flush->line = (ebx >> 8 & 0xff) * 8;
	/* It copies lines of that length. */
	if (flush->line != LINE)
		flush->copy = NULL;
	/* Leaf 7: EBX bit 23 is clflushopt, bit 24 is clwb. */
	if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
		return;
	if (ebx & 1u << 24) {
		flush->range = flush_clwb;
		flush->write_back = write_back_clwb;
		flush->name = "clwb";
	} else if (ebx & 1u << 23) {
		flush->range = flush_clflushopt;
		flush->write_back = write_back_clflushopt;
		flush->name = "clflushopt";
	}
}

#endif
