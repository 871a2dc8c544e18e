// SPDX-License-Identifier: GPL-2.0-only
/* What the simulator and the program that runs in guests do when they cannot go on. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

void sim_die(const char *format, ...)
{
	va_list ap;

	fputs("tier: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

void *sim_alloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		sim_die("no memory for %zu times %zu bytes", n, size);
	return p;
}
