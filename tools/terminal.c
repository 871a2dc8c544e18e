// SPDX-License-Identifier: GPL-2.0-only
#include "terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* https://no-color.org: set, whatever to, but not empty. */
static bool wants_colours(void)
{
	const char *none = getenv("NO_COLOR"), *kind = getenv("TERM");

	return !(none && *none) && kind && *kind && strcmp(kind, "dumb");
}

struct terminal terminal_of_stdout(void)
{
	struct terminal terminal = { .is = isatty(STDOUT_FILENO), .columns = 80, .rows = 24 };
	struct winsize size;

	if (!terminal.is)
		return terminal;
	terminal.colours = wants_colours();
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col && size.ws_row) {
		terminal.columns = size.ws_col;
		terminal.rows = size.ws_row;
	}
	return terminal;
}
