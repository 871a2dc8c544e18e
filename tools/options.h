/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Options, described by a table: parsing, the usage text and "--help" come from
 * the same lines.
 */
#ifndef HMEMCTL_OPTIONS_H
#define HMEMCTL_OPTIONS_H

#include "hmemctl.h"

enum option_kind {
	OPTION_END,
	OPTION_FLAG,	/* value points at a bool */
	OPTION_TEXT,	/* value points at a const char * */
	OPTION_MANY,	/* may be given more than once: at a struct option_values */
};

#define OPTION_VALUES_MAX 64

struct option_values {
	const char *value[OPTION_VALUES_MAX];
	unsigned int nr;
};

struct option_line {
	enum option_kind kind;
	char letter;		/* 0: long form only */
	const char *name;
	const char *argument;	/* what the usage calls the value; NULL for a flag */
	const char *help;
	void *value;
};

#define OPTION_HUMAN(s) \
	{ OPTION_FLAG, 'u', "human", NULL, "sizes, owners as people write them", &(s)->human }
#define OPTION_VERBOSE(s) \
	{ OPTION_FLAG, 'v', "verbose", NULL, "say each step on stderr", &(s)->verbose }
#define OPTION_DRY_RUN(p) \
	{ OPTION_FLAG, 'n', "dry-run", NULL, "say what would be done, change nothing", p }

/** struct usage - how a verb is called: the line after "usage: ", and its options */
struct usage {
	const char *synopsis;
	const struct option_line *lines;
};

/**
 * options_parse - take the options out of a verb's arguments
 * @first: where the first argument that is no option stands; they are in order
 *
 * Return: -1 to go on, else the exit code (--help was answered, or bad usage).
 */
int options_parse(const struct session *s, const struct usage *usage, int argc, char **argv,
		  int *first);

/** options_parse_before - the same, where the first argument is a command with options as well */
int options_parse_before(const struct session *s, const struct usage *usage, int argc, char **argv,
			 int *first);

/**
 * options_parse_one - the same, where one argument and no more is left
 * @what: what it names, for the message
 */
int options_parse_one(const struct session *s, const struct usage *usage, int argc, char **argv,
		      int *first, const char *what);

/**
 * options_bad - arguments that make no sense: says why and how it is called
 *
 * Return: EXIT_USAGE.
 */
int options_bad(const struct session *s, const struct usage *usage, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
