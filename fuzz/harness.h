/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A target of AFL++: what to do with an input. Built without AFL++ it tries the files that it is
 * given, or its standard input.
 */
#ifndef FUZZ_HARNESS_H
#define FUZZ_HARNESS_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* @most: bytes of an input */
struct fuzz_target {
	void (*begin)(void);
	void (*try)(const unsigned char *input, size_t bytes);
	void (*end)(void);
	size_t most;
};

#ifdef __AFL_HAVE_MANUAL_CONTROL
__AFL_FUZZ_INIT();

static inline int fuzz(const struct fuzz_target *target, int argc, char **argv)
{
	const unsigned char *input;

	(void)argc;
	(void)argv;
	target->begin();
	__AFL_INIT();
	input = __AFL_FUZZ_TESTCASE_BUF;
	while (__AFL_LOOP(10000))
		target->try(input, (size_t)__AFL_FUZZ_TESTCASE_LEN);
	target->end();
	return 0;
}
#else
static inline int fuzz(const struct fuzz_target *target, int argc, char **argv)
{
	unsigned char *data = malloc(target->most);

	if (!data)
		tap_bail("no memory");
	target->begin();
	for (int i = 1; i < argc || i == 1; i++) {
		FILE *in = i < argc ? fopen(argv[i], "r") : stdin;
		size_t bytes;

		if (!in)
			tap_bail("%s: %s", argv[i], strerror(errno));
		bytes = fread(data, 1, target->most, in);
		fclose(in);
		target->try(data, bytes);
		TAP_OK(true, "%s", i < argc ? argv[i] : "standard input");
	}
	target->end();
	free(data);
	return tap_done();
}
#endif

#endif
