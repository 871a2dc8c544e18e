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

__attribute__((target("clwb"))) static void flush_clwb(uintptr_t start, uintptr_t end, size_t line)
{
	for (; start < end; start += line)
		_mm_clwb((void *)start);
	_mm_sfence();
}

__attribute__((target("clflushopt"))) static void flush_clflushopt(uintptr_t start, uintptr_t end,
								   size_t line)
{
	for (; start < end; start += line)
		_mm_clflushopt((void *)start);
	_mm_sfence();
}

/* Ordered among themselves; the fence orders non-temporal stores made before. */
static void flush_clflush(uintptr_t start, uintptr_t end, size_t line)
{
	for (; start < end; start += line)
		_mm_clflush((const void *)start);
	_mm_sfence();
}

void hmem_cpu_flush_init(struct hmem_cpu_flush *flush)
{
	unsigned int eax, ebx, ecx, edx;

	*flush = (struct hmem_cpu_flush){ flush_clflush, 64, "clflush" };
	/* Leaf 1: EBX bits 15-8 are the line in units of 8 bytes, EDX bit 19 is clflush. */
	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (edx & 1u << 19) && (ebx >> 8 & 0xff))
		flush->line = (ebx >> 8 & 0xff) * 8;
	/* Leaf 7: EBX bit 23 is clflushopt, bit 24 is clwb. */
	if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
		return;
	if (ebx & 1u << 24) {
		flush->range = flush_clwb;
		flush->name = "clwb";
	} else if (ebx & 1u << 23) {
		flush->range = flush_clflushopt;
		flush->name = "clflushopt";
	}
}

#endif
