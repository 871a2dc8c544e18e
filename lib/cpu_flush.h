/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing a range back from the CPU's caches to the memory behind it.
 *
 * One implementation per architecture: cpu_flush_x86.c, and cpu_flush_none.c for
 * those that have none yet; there, regions are made durable with msync(2).
 */
#ifndef LIB_CPU_FLUSH_H
#define LIB_CPU_FLUSH_H

#include <stddef.h>
#include <stdint.h>

/*
 * @range: writes back every line of [start, end) and waits until that is ordered
 *	before later stores; @start is aligned to @line. NULL: cannot be done here.
 * @write_back: the same without waiting
 * @fence: waits for all that this thread wrote back, or copied
 * @copy: copies whole lines to whole lines past the caches, so that there is nothing to write
 *	back. NULL: cannot be done here.
 * @line: bytes in a cache line
 * @name: the instruction, for the log
 */
struct hmem_cpu_flush {
	void (*range)(uintptr_t start, uintptr_t end, size_t line);
	void (*write_back)(uintptr_t start, uintptr_t end, size_t line);
	void (*fence)(void);
	void (*copy)(void *to, const void *from, size_t bytes);
	size_t line;
	const char *name;
};

/* Finds what this CPU can do. CPUID is slow in a guest: once per context. */
void hmem_cpu_flush_init(struct hmem_cpu_flush *flush);

#endif
