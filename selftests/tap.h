/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Test Anything Protocol for tests in C: one header, no library.
 *
 *	int main(void)
 *	{
 *		TAP_OK(size > 0, "a size is known");
 *		TAP_EQ(hmem_size_parse("64G", 0, &bytes), 0, "64G is a size");
 *		TAP_ERR(open("/dev/hmem/none", O_RDWR), ENOENT, "no such region");
 *		if (!have_device)
 *			tap_skip("the device answers", "no device here");
 *		return tap_done();
 *	}
 *
 * tap_done() prints the plan, so a test that dies on its way there has no plan and
 * counts as failed. A test that knows its number of checks may call tap_plan() first.
 * Only the process that started main() reports: children exit with a status.
 */
#ifndef SELFTESTS_TAP_H
#define SELFTESTS_TAP_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_count, tap_failures, tap_planned;

__attribute__((constructor)) static void tap_start(void)
{
	/* A line is out when it is complete: what follows it may be a crash. */
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	printf("TAP version 13\n");
}

/* A line of its own for people; may be called before or after a check. */
__attribute__((format(printf, 1, 2), unused)) static void tap_diag(const char *format, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
}

/* Returns @passed, so that a check can guard what depends on it. */
__attribute__((format(printf, 4, 5), unused)) static bool
tap_ok_at(const char *file, int line, bool passed, const char *format, ...)
{
	va_list ap;

	printf("%sok %d - ", passed ? "" : "not ", ++tap_count);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
	if (!passed) {
		tap_failures++;
		tap_diag("at %s:%d", file, line);
	}
	return passed;
}

/* A check that cannot be made here, and why. */
__attribute__((unused)) static void tap_skip(const char *name, const char *reason)
{
	printf("ok %d - %s # SKIP %s\n", ++tap_count, name, reason);
}

/* To be called first, by a test that knows how many checks it makes. */
__attribute__((unused)) static void tap_plan(int checks)
{
	tap_planned = checks;
	printf("1..%d\n", checks);
}

/* The whole test cannot be run here. Does not return. */
__attribute__((noreturn, unused)) static void tap_skip_all(const char *reason)
{
	printf("1..0 # SKIP %s\n", reason);
	exit(0);
}

/* Nothing that follows makes sense. Does not return. */
__attribute__((format(printf, 1, 2), noreturn, unused)) static void tap_bail(const char *format,
									     ...)
{
	va_list ap;

	printf("Bail out! ");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
	exit(1);
}

/* Ends a test: return tap_done() from main(). */
__attribute__((unused)) static int tap_done(void)
{
	if (!tap_planned)
		printf("1..%d\n", tap_count);
	else if (tap_planned != tap_count)
		tap_diag("planned %d checks, made %d", tap_planned, tap_count);
	return tap_failures || !tap_count || (tap_planned && tap_planned != tap_count);
}

#define TAP_OK(condition, ...) tap_ok_at(__FILE__, __LINE__, !!(condition), __VA_ARGS__)

/* Two integers are equal; both are shown when they are not. */
#define TAP_EQ(got, want, ...)                                                              \
	({                                                                                  \
		long long tap_got = (long long)(got), tap_want = (long long)(want);         \
		bool tap_same = TAP_OK(tap_got == tap_want, __VA_ARGS__);                   \
		if (!tap_same)                                                              \
			tap_diag("%s is %lld, not %lld", #got, tap_got, tap_want);          \
		tap_same;                                                                   \
	})

/* Two strings are equal; both are shown when they are not. */
#define TAP_STR_EQ(got, want, ...)                                                          \
	({                                                                                  \
		const char *tap_got = (got), *tap_want = (want);                            \
		bool tap_same = TAP_OK(tap_got && !strcmp(tap_got, tap_want), __VA_ARGS__); \
		if (!tap_same)                                                              \
			tap_diag("%s is \"%s\", not \"%s\"", #got,                          \
				 tap_got ? tap_got : "(null)", tap_want);                   \
		tap_same;                                                                   \
	})

/* A system call returns -1 and sets errno to @error. */
#define TAP_ERR(call, error, ...)                                                           \
	({                                                                                  \
		errno = 0;                                                                  \
		long long tap_got = (long long)(call);                                      \
		int tap_errno = errno;                                                      \
		bool tap_same = TAP_OK(tap_got == -1 && tap_errno == (error), __VA_ARGS__); \
		if (!tap_same)                                                              \
			tap_diag("%s returned %lld, errno %d (%s), not %d (%s)", #call,     \
				 tap_got, tap_errno, strerror(tap_errno), (error),          \
				 strerror(error));                                          \
		tap_same;                                                                   \
	})

#endif
