// SPDX-License-Identifier: GPL-2.0-only
#include "report.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../lib/printable.h"

void report_line(const char *verb, const char *kind, const char *format, va_list args)
{
	/* Room for two paths; arguments may be longer, and are cut off. */
	char line[3 * PATH_MAX];

	vsnprintf(line, sizeof(line), format, args);
	hmem_make_printable(line);
	fprintf(stderr, "hmemctl%s%s: %s%s\n", verb ? " " : "", verb ? verb : "", kind, line);
}

#define SAY(s, kind, format)				\
	do {						\
		va_list args_;				\
							\
		va_start(args_, format);		\
		report_line((s)->verb, kind, format, args_); \
		va_end(args_);				\
	} while (0)

void report_error(const struct session *s, const char *format, ...)
{
	SAY(s, "error: ", format);
}

void report_warning(const struct session *s, const char *format, ...)
{
	SAY(s, "warning: ", format);
}

void report_fix(const struct session *s, const char *format, ...)
{
	SAY(s, "to do: ", format);
}

void report_count(const struct session *s, const char *format, ...)
{
	SAY(s, "", format);
}

void report_step(const struct session *s, const char *format, ...)
{
	if (s->verbose || isatty(STDERR_FILENO))
		SAY(s, "", format);
}

int report_system(const struct session *s, const char *doing, const char *what, int error)
{
	report_error(s, "%s %s: %s", doing, what, strerror(error));
	return EXIT_FAILED;
}

int report_library(const struct session *s, int error)
{
	const char *text = hmem_last_error(s->hmem);

	report_error(s, "%s", *text ? text : strerror(-error));
	return error == -EOPNOTSUPP ? EXIT_UNSUPPORTED : EXIT_FAILED;
}
