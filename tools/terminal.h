/* SPDX-License-Identifier: GPL-2.0-only */
/* What can be drawn where stdout goes to. */
#ifndef HMEMCTL_TERMINAL_H
#define HMEMCTL_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/** struct terminal - 80 columns and 24 rows where stdout is no terminal, or has no size */
struct terminal {
	bool is;	/* stdout is one */
	bool colours;	/* and nobody asked for none: NO_COLOR, TERM=dumb */
	size_t columns;
	size_t rows;
};

/** terminal_of_stdout - as it is now */
struct terminal terminal_of_stdout(void);

#endif
