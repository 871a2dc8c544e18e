// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Copying more than caches hold: glibc stores past the caches, for which processors of AMD that
 * have a fast string instruction take a third longer than with that. bench/alloc/copy.c shows it.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "copy_large.h"

#ifdef __x86_64__
#include <cpuid.h>

#define LARGE (1u << 20)
#define LINE  64

/* Fast short and enhanced string instructions, by leaf 7. */
static bool ask(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __builtin_cpu_is("amd") && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) &&
	       (ebx & 1u << 9) && (edx & 1u << 4);
}

/* Asked once: the instruction that tells leads to the hypervisor in a guest. */
static bool has_fast_strings(void)
{
	static atomic_int known;	/* 1: no, 2: yes */
	int is = atomic_load_explicit(&known, memory_order_relaxed);

	if (!is) {
		is = ask() ? 2 : 1;
		atomic_store_explicit(&known, is, memory_order_relaxed);
	}
	return is == 2;
}

/*
 * False: not copied. Lines have to begin at the same bytes of both sides, or it is slower than
 * anything else; and what overlaps is copied byte by byte, if at all.
 */
static bool by_string(char *to, const char *from, size_t bytes)
{
	uintptr_t into = (uintptr_t)to, of = (uintptr_t)from;
	uintptr_t between = into > of ? into - of : of - into;
	size_t head = -into % LINE;

	if (bytes < LARGE || between < bytes || between % LINE || !has_fast_strings())
		return false;
	memcpy(to, from, head);
	to += head;
	from += head;
	bytes -= head;
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
	return true;
}
#else
static bool by_string(char *to, const char *from, size_t bytes)
{
	(void)to;
	(void)from;
	(void)bytes;
	return false;
}
#endif

void copy_bytes(char *to, const char *from, size_t bytes)
{
	if (!by_string(to, from, bytes))
		memmove(to, from, bytes);
}
