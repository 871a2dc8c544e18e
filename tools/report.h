/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What goes to stderr: errors, warnings, the command that helps, counts and steps.
 * Every line begins with "hmemctl VERB:", so that a log of many can be sorted out.
 *
 * Names of objects, shelves and files may be any bytes. What is printed here is one line, with
 * question marks for what a terminal would obey.
 */
#ifndef HMEMCTL_REPORT_H
#define HMEMCTL_REPORT_H

#include <stdarg.h>

#include "hmemctl.h"

#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/** report_error - what was tried and what the system answered */
void report_error(const struct session *s, const char *format, ...) PRINTF_LIKE(2, 3);

/** report_warning - something that the user should know, though the verb goes on */
void report_warning(const struct session *s, const char *format, ...) PRINTF_LIKE(2, 3);

/** report_fix - what to do about the error or warning just reported */
void report_fix(const struct session *s, const char *format, ...) PRINTF_LIKE(2, 3);

/** report_count - how much was done or found */
void report_count(const struct session *s, const char *format, ...) PRINTF_LIKE(2, 3);

/** report_step - progress: only with -v, or when stderr is a terminal */
void report_step(const struct session *s, const char *format, ...) PRINTF_LIKE(2, 3);

/** report_system - what the system answered to something done to a file. Return: exit code. */
int report_system(const struct session *s, const char *doing, const char *what, int error);

/** report_line - what all of these print. @verb: NULL: of none */
void report_line(const char *verb, const char *kind, const char *format, va_list args)
	PRINTF_LIKE(3, 0);

/** report_library - the library's own account of its last failure. Return: exit code. */
int report_library(const struct session *s, int error);

#endif
