// SPDX-License-Identifier: GPL-2.0-only
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void say(const struct session *s, const char *kind, const char *format, va_list args)
{
	fprintf(stderr, "hmemctl %s: %s", s->verb, kind);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

#define SAY(s, kind, format)				\
	do {						\
		va_list args_;				\
							\
		va_start(args_, format);		\
		say(s, kind, format, args_);		\
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

int report_library(const struct session *s, int error)
{
	const char *text = hmem_last_error(s->hmem);

	report_error(s, "%s", *text ? text : strerror(-error));
	return error == -EOPNOTSUPP ? EXIT_UNSUPPORTED : EXIT_FAILED;
}
