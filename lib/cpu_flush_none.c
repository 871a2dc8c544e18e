// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Architectures without an implementation of their own: no CPU flush, msync(2) does.
 */
#include "cpu_flush.h"

#ifndef __x86_64__

void hmem_cpu_flush_init(struct hmem_cpu_flush *flush)
{
	*flush = (struct hmem_cpu_flush){ .name = "none" };
}

#endif
