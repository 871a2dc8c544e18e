// SPDX-License-Identifier: GPL-2.0-only
/*
 * hmemctl: pools and regions of CXL memory from the command line.
 *
 * A table of verbs; each lives in the file of its family. stdout carries one JSON
 * array, stderr everything meant for a person.
 */
#include "hmemctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hmem/shelf.h>

#include "json.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "sysfs.h"

static int verb_version(struct session *s, int argc, char **argv);
static int verb_help(struct session *s, int argc, char **argv);

static const struct verb {
	const char *name;
	int (*run)(struct session *s, int argc, char **argv);
	const char *help;
} verbs[] = {
	{ "list", verb_list, "list regions and pools" },
	{ "info", verb_info, "everything known of regions or pools" },
	{ "create-region", verb_create_region,
	  "make a region, setting up the CXL device where needed" },
	{ "resize-region", verb_resize_region, "grow or shrink a region" },
	{ "destroy-region", verb_destroy_region, "remove regions and what is in them" },
	{ "set-policy", verb_set_policy, "how much of a region may be in DRAM, and who decides" },
	{ "migrate", verb_migrate, "move a part of a region into DRAM, or home" },
	{ "keep-range", verb_keep_range, "keep a part of a region in DRAM, or out of it" },
	{ "release-range", verb_release_range, "let a part of a region that is kept go" },
	{ "heat", verb_heat, "how hot a region is, and where" },
	{ "list-layers", verb_list_layers, "the kinds of memory there are, and how fast they are" },
	{ "probe-layer", verb_probe_layer, "measure how fast kinds of memory are" },
	{ "list-spaces", verb_list_spaces, "what programs allocate from, and how full that is" },
	{ "run", verb_run, "run a program with its large allocations on a layer" },
	{ "list-poison", verb_list_poison, "which memory of a region is bad" },
	{ "clear-poison", verb_clear_poison, "use bad memory of a region again, as zeroes" },
	{ "report-poison", verb_report_poison, "tell the module which memory a device finds bad" },
	{ "monitor", verb_monitor, "watch regions: what is near, what is hot, what moves" },
	{ "attach-pool", verb_attach_pool, "claim CXL memory or system RAM as a pool" },
	{ "detach-pool", verb_detach_pool, "give a pool's memory back" },
	{ "drain-pool", verb_drain_pool, "move what is on a pool to others, and give its memory back" },
	{ "create-shelf", verb_create_shelf, "make a shelf, for objects, in a region" },
	{ "grow-shelf", verb_grow_shelf, "give shelves more of their region" },
	{ "destroy-shelf", verb_destroy_shelf, "remove shelves and the objects on them" },
	{ "list-shelves", verb_list_shelves, "list the shelves of regions" },
	{ "dump-shelf", verb_dump_shelf, "everything known of a shelf and its objects" },
	{ "check-shelf", verb_check_shelf, "look for damage on a shelf, and repair it" },
	{ "export-shelf", verb_export_shelf, "write all objects of a shelf to a file or a pipe" },
	{ "import-shelf", verb_import_shelf, "bring exported objects back, to this shelf or another" },
	{ "list-objects", verb_list_objects, "list the objects on a shelf" },
	{ "put-object", verb_put_object, "make or replace an object, from a file or a pipe" },
	{ "get-object", verb_get_object, "write an object to a file or a pipe" },
	{ "delete-object", verb_delete_object, "delete objects" },
	{ "rename-object", verb_rename_object, "give an object another name, or swap two" },
	{ "doctor", verb_doctor, "what stands in the way, and the command that clears it" },
	{ "version", verb_version, "versions of the command, the library and the module" },
	{ "help", verb_help, "this text, or that of one verb" },
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static const struct verb *find_verb(const char *name)
{
	size_t i;

	for (i = 0; i < N_VERBS; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

/* Edit distance, over the short words that verbs are; longer ones are far anyway. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[32];
	size_t i, j, la = strlen(a), lb = strlen(b);

	if (la >= 32 || lb >= 32)
		return 32;
	for (j = 0; j <= lb; j++)
		row[j] = (unsigned int)j;
	for (i = 1; i <= la; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i;
		for (j = 1; j <= lb; j++) {
			unsigned int best = diagonal + (a[i - 1] != b[j - 1]);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[lb];
}

/* The verb that was probably meant: the other word order, or a few letters off. */
static const char *suggestion(const char *word)
{
	const struct verb *closest = NULL;
	unsigned int least = 4;
	size_t i;

	for (i = 0; i < N_VERBS; i++) {
		const char *name = verbs[i].name, *dash = strchr(name, '-');
		unsigned int d = distance(word, name);
		char swapped[32];

		if (dash) {
			unsigned int e;

			snprintf(swapped, sizeof(swapped), "%s-%.*s", dash + 1,
				 (int)(dash - name), name);
			e = distance(word, swapped);
			if (e < d)
				d = e;
			if (!strncmp(word, name, (size_t)(dash - name)) &&
			    strlen(word) == (size_t)(dash - name))
				d = 1;
		}
		if (d < least) {
			least = d;
			closest = &verbs[i];
		}
	}
	return closest ? closest->name : NULL;
}

static void print_verbs(FILE *to)
{
	size_t i;

	fputs("usage: hmemctl VERB [OPTION...] [ARGUMENT...]\n\n", to);
	for (i = 0; i < N_VERBS; i++)
		fprintf(to, "  %-16s %s\n", verbs[i].name, verbs[i].help);
	fputs("\n\"hmemctl VERB --help\" tells a verb's options.\n", to);
}

static void __attribute__((format(printf, 1, 2))) complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report_line(NULL, "", format, args);
	va_end(args);
}

static int unknown_verb(const char *word)
{
	const char *meant = suggestion(word);

	complain("no such verb: %s", word);
	if (meant)
		fprintf(stderr, "hmemctl: to do: hmemctl %s\n", meant);
	else
		fputs("hmemctl: to do: hmemctl help\n", stderr);
	return EXIT_USAGE;
}

static int verb_version(struct session *s, int argc, char **argv)
{
	const struct option_line lines[] = { { .kind = OPTION_END } };
	const struct usage usage = { "", lines };
	struct json_object *array, *o;
	char module[64];
	int first, code = options_parse(s, &usage, argc, argv, &first);

	if (code >= 0)
		return code;
	if (first < argc)
		return options_bad(s, &usage, "unexpected argument: %s", argv[first]);

	array = json_object_new_array();
	o = json_object_new_object();
	json_text(o, "hmemctl", HMEM_VERSION_STRING);
	json_text(o, "libhmem", hmem_version());
	json_text(o, "module", sysfs_read(module, sizeof(module), "/sys/module/hmem/version") ?
		  NULL : module);
	json_object_array_add(array, o);
	return json_print(s, array);
}

static int verb_help(struct session *s, int argc, char **argv)
{
	const struct option_line lines[] = { { .kind = OPTION_END } };
	const struct usage usage = { "[VERB]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first);
	char *args[] = { NULL, (char[]){ "--help" }, NULL };
	const struct verb *verb;

	if (code >= 0)
		return code;
	if (first == argc) {
		print_verbs(stdout);
		return EXIT_DONE;
	}
	if (argc - first > 1)
		return options_bad(s, &usage, "unexpected argument: %s", argv[first + 1]);
	verb = find_verb(argv[first]);
	if (!verb)
		return unknown_verb(argv[first]);
	args[0] = argv[first];
	s->verb = verb->name;
	return verb->run(s, 2, args);
}

static const char *verb_of_option(const char *word)
{
	if (!strcmp(word, "--help") || !strcmp(word, "-h"))
		return "help";
	if (!strcmp(word, "--version"))
		return "version";
	return word;
}

static void show_log(void *arg, enum hmem_log_level level, const char *where, const char *message)
{
	(void)arg;
	(void)level;
	fprintf(stderr, "libhmem: %s: %s\n", where, message);
}

/*
 * Whoever started this may have closed stdin, stdout or stderr. The files that are opened next
 * would get their numbers, and what is printed would be written to them. O_PATH: what takes
 * their places can be neither read nor written, so that a closed pipe does not pass for an
 * empty one.
 */
static bool occupy_standard(void)
{
	int fd;

	do
		fd = open("/", O_PATH);
	while (fd >= 0 && fd <= STDERR_FILENO);
	return fd >= 0 && !close(fd);
}

int main(int argc, char **argv)
{
	struct session s = { 0 };
	const struct verb *verb;
	int rc;

	if (!occupy_standard())
		return EXIT_FAILED;
	if (argc < 2) {
		print_verbs(stderr);
		return EXIT_USAGE;
	}
	s.verb = verb_of_option(argv[1]);
	verb = find_verb(s.verb);
	if (!verb)
		return unknown_verb(s.verb);

	rc = hmem_ctx_new(&s.hmem);
	if (rc) {
		fprintf(stderr, "hmemctl: start the library: %s\n", strerror(-rc));
		return EXIT_FAILED;
	}
	/* Files that are cut off, or on a file system that is full: an error like any other. */
	rc = hmem_sigbus_install();
	if (rc) {
		fprintf(stderr, "hmemctl: handle SIGBUS: %s\n", strerror(-rc));
		hmem_ctx_unref(s.hmem);
		return EXIT_FAILED;
	}
	/* Errors come back as return values and are reported once; the log is for debugging. */
	if (getenv("HMEM_LOG"))
		hmem_ctx_set_log(s.hmem, show_log, NULL);

	if (isatty(STDERR_FILENO))
		hmem_ctx_set_progress(s.hmem, progress_of_library, &s);
	rc = verb->run(&s, argc - 1, argv + 1);
	hmem_ctx_unref(s.hmem);
	/* Answers have been seen to; this is of help. */
	if (rc == EXIT_DONE && (fflush(stdout) || ferror(stdout))) {
		complain("write to stdout: %s", strerror(errno));
		return EXIT_FAILED;
	}
	return rc;
}
