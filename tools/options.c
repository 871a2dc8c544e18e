// SPDX-License-Identifier: GPL-2.0-only
#include "options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "report.h"

#define MAX_OPTIONS 24

/* getopt_long() answers with an index from here on, so that no letter collides. */
#define FIRST_INDEX 256
#define HELP_INDEX (FIRST_INDEX + MAX_OPTIONS)

static void print_usage(FILE *to, const struct session *s, const struct usage *usage)
{
	const struct option_line *line;

	fprintf(to, "usage: hmemctl %s %s\n", s->verb, usage->synopsis);
	for (line = usage->lines; line->kind != OPTION_END; line++) {
		char name[48];

		snprintf(name, sizeof(name), "--%s%s%s", line->name, line->argument ? " " : "",
			 line->argument ? line->argument : "");
		if (line->letter)
			fprintf(to, "  -%c, %-22s %s\n", line->letter, name, line->help);
		else
			fprintf(to, "      %-22s %s\n", name, line->help);
	}
}

int options_bad(const struct session *s, const struct usage *usage, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report_line(s->verb, "", format, args);
	va_end(args);
	print_usage(stderr, s, usage);
	return EXIT_USAGE;
}

/* Return: false when it was given too often. */
static bool store(const struct option_line *line)
{
	struct option_values *values = line->value;

	switch (line->kind) {
	case OPTION_FLAG:
		*(bool *)line->value = true;
		return true;
	case OPTION_MANY:
		if (values->nr == OPTION_VALUES_MAX)
			return false;
		values->value[values->nr++] = optarg;
		return true;
	default:
		*(const char **)line->value = optarg;
		return true;
	}
}

/* @in_order: options end at the first argument that is none */
static int parse(const struct session *s, const struct usage *usage, bool in_order, int argc,
		 char **argv, int *first)
{
	struct option longs[MAX_OPTIONS + 2] = { 0 };
	char shorts[2 * MAX_OPTIONS + 4] = "+:h";
	size_t n, length = strlen(shorts);
	int got;

	for (n = 0; n < MAX_OPTIONS && usage->lines[n].kind != OPTION_END; n++) {
		const struct option_line *line = &usage->lines[n];
		int has_value = line->kind != OPTION_FLAG;

		longs[n].name = line->name;
		longs[n].has_arg = has_value ? required_argument : no_argument;
		longs[n].val = FIRST_INDEX + (int)n;
		if (line->letter) {
			shorts[length++] = line->letter;
			if (has_value)
				shorts[length++] = ':';
		}
	}
	shorts[length] = '\0';
	longs[n].name = "help";
	longs[n].val = HELP_INDEX;

	optind = 0;
	opterr = 0;
	while ((got = getopt_long(argc, argv, shorts + !in_order, longs, NULL)) != -1) {
		const struct option_line *line;

		if (got == 'h' || got == HELP_INDEX) {
			print_usage(stdout, s, usage);
			return EXIT_DONE;
		}
		if (got == ':')
			return options_bad(s, usage, "%s needs a value", argv[optind - 1]);
		if (got == '?') {
			if (optopt > 0 && optopt < FIRST_INDEX)
				return options_bad(s, usage, "no such option: -%c", optopt);
			return options_bad(s, usage, "no such option: %s", argv[optind - 1]);
		}
		line = usage->lines;
		if (got >= FIRST_INDEX)
			line += got - FIRST_INDEX;
		else
			while (line->letter != got)
				line++;
		if (!store(line))
			return options_bad(s, usage, "--%s is given too often", line->name);
	}
	*first = optind;
	return -1;
}

int options_parse(const struct session *s, const struct usage *usage, int argc, char **argv,
		  int *first)
{
	return parse(s, usage, false, argc, argv, first);
}

int options_parse_before(const struct session *s, const struct usage *usage, int argc, char **argv,
			 int *first)
{
	return parse(s, usage, true, argc, argv, first);
}

int options_parse_one(const struct session *s, const struct usage *usage, int argc, char **argv,
		      int *first, const char *what)
{
	int code = options_parse(s, usage, argc, argv, first);

	if (code >= 0)
		return code;
	if (*first == argc)
		return options_bad(s, usage, "which %s?", what);
	return argc - *first == 1 ? -1 : options_bad(s, usage, "one %s at a time", what);
}
