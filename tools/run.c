// SPDX-License-Identifier: GPL-2.0-only
/*
 * run: a program as it is, with libhmem-malloc.so in front of its malloc(3).
 *
 * What is to be wrong here is found before the program starts: the library itself would go on
 * without the layer.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hmem/layer.h>
#include <hmem/region.h>
#include <hmem/size.h>
#include <hmem/space.h>

#include "options.h"
#include "report.h"

#define LIBRARY "libhmem-malloc.so"

/* As env(1) and nohup(1) have them: the program could not be run, or is not there. */
enum { EXIT_CANNOT_RUN = 126, EXIT_NO_PROGRAM = 127 };

/* Of a space; what the library refuses is not asked for. */
#define SPACE_MIN (2u << 20)

/*
 * @layer: in full
 * @free: bytes that can be had of it, 0: not known
 * @whole: it is there, and has the size that it has
 */
struct place {
	char layer[HMEM_REGION_NAME_MAX + 1];
	uint64_t free;
	bool is_node;
	bool whole;
};

/* --- the layer ----------------------------------------------------------------------- */

static bool is_directory(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static int find_region(const struct session *s, const char *name, struct place *place)
{
	struct hmem_region *region;
	int rc = hmem_region_open(s->hmem, name, 0, &region);

	if (rc)
		return report_library(s, rc);
	hmem_region_close(region);
	place->whole = true;
	return EXIT_DONE;
}

static int find_file(const struct session *s, const char *name, struct place *place)
{
	const char *path = name + strlen("file:");

	if (!is_directory(path))
		return find_region(s, name, place);
	if (!access(path, W_OK | X_OK))
		return EXIT_DONE;
	return report_system(s, "make files in", path, errno);
}

/* Whether the kernel lets this process have memory of the node is seen by trying. */
static int try_node(const struct session *s, const char *layer)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space *space;
	int rc;

	options.layer = layer;
	options.bytes = SPACE_MIN;
	rc = hmem_space_create(s->hmem, s->verb, &options, &space);
	if (rc)
		return report_library(s, rc);
	hmem_space_unref(space);
	return EXIT_DONE;
}

static int find_layer(const struct session *s, const char *name, struct place *place)
{
	struct hmem_layer_info info = { .size = sizeof(info) };
	struct hmem_layer_wanted wanted = HMEM_LAYER_WANTED_INIT;
	size_t one = 1;
	int rc;

	wanted.name = name;
	rc = hmem_layer_select(s->hmem, &wanted, &info, &one);
	if (rc == -ENOENT) {
		/* It may be there and be forbidden, which is said as well. */
		rc = try_node(s, name);
		return rc ? rc : EXIT_FAILED;
	}
	if (rc)
		return report_library(s, rc);
	snprintf(place->layer, sizeof(place->layer), "%s", info.name);
	place->free = info.free.origin ? info.free.value : info.capacity.value;
	place->is_node = info.kind <= HMEM_LAYER_PMEM;
	if (info.kind == HMEM_LAYER_REGION || info.kind == HMEM_LAYER_DAX)
		return find_region(s, info.name, place);
	return place->is_node ? try_node(s, info.name) : EXIT_DONE;
}

static int find_place(const struct session *s, const char *name, struct place *place)
{
	snprintf(place->layer, sizeof(place->layer), "%s", name);
	return strncmp(name, "file:", 5) ? find_layer(s, name, place) : find_file(s, name, place);
}

/* What was asked for, or of system RAM all that is free; 0: as the library chooses. */
static int choose_size(const struct session *s, const struct place *place, const char *wanted,
		       uint64_t *bytes)
{
	char text[32];
	int rc;

	*bytes = 0;
	if (!wanted) {
		if (place->is_node)
			*bytes = place->free > SPACE_MIN ? place->free : SPACE_MIN;
		return EXIT_DONE;
	}
	if (place->whole) {
		report_error(s, "%s is there, and has the size that it has", place->layer);
		report_fix(s, "hmemctl run --layer %s without --size", place->layer);
		return EXIT_FAILED;
	}
	rc = hmem_size_parse(wanted, place->free, bytes);
	if (rc) {
		report_error(s, "of %s nobody knows what is free; give --size in bytes",
			     place->layer);
		return EXIT_FAILED;
	}
	if (place->free && *bytes > place->free) {
		report_error(s, "%s has %s free, not %s", place->layer,
			     hmem_size_format(place->free, text, sizeof(text)), wanted);
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

/* --- the allocators ------------------------------------------------------------------ */

/* Beside libhmem, which this command uses: in the build directory, or where both are installed. */
static int find_library(const struct session *s, char *path, size_t length)
{
	char resolved[PATH_MAX];
	const char *slash;
	Dl_info info;

	if (!dladdr((void *)(uintptr_t)hmem_version, &info) ||
	    !realpath(info.dli_fname, resolved)) {
		report_error(s, "where libhmem is cannot be told");
		return EXIT_FAILED;
	}
	slash = strrchr(resolved, '/');
	snprintf(path, length, "%.*s/%s", (int)(slash - resolved), resolved, LIBRARY);
	if (access(path, R_OK))
		return report_system(s, "find", path, errno);
	/* The dynamic linker takes these for what separates two libraries. */
	if (path[strcspn(path, ": ")]) {
		report_error(s, "%s cannot be preloaded, as its path has a space or a colon", path);
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

static const char *find_mimalloc(void)
{
	static const char *const names[] = { "libmimalloc.so.3", "libmimalloc.so.2.0",
					     "libmimalloc.so.2", "libmimalloc.so" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		void *library = dlopen(names[i], RTLD_LAZY | RTLD_LOCAL);

		if (library) {
			dlclose(library);
			return names[i];
		}
	}
	return NULL;
}

/* In front of what is preloaded already. */
static int set_preload(const struct session *s, const char *library, const char *allocator)
{
	const char *was = getenv("LD_PRELOAD"), *second = "";
	char *all;

	if (!strcmp(allocator, "mimalloc")) {
		second = find_mimalloc();
		if (!second) {
			report_error(s, "mimalloc is not installed here");
			report_fix(s, "apt-get install libmimalloc3 (Debian 12: libmimalloc2.0)");
			return EXIT_FAILED;
		}
	}
	was = was ? was : "";
	if (asprintf(&all, "%s%s%s%s%s", library, *second ? ":" : "", second, *was ? ":" : "",
		     was) < 0 ||
	    setenv("LD_PRELOAD", all, 1)) {
		report_error(s, "no memory for the environment");
		return EXIT_FAILED;
	}
	report_step(s, "LD_PRELOAD=%s", all);
	free(all);
	return EXIT_DONE;
}

/* --- the program --------------------------------------------------------------------- */

/* What is not given is the library's default, not what this command found in its environment. */
static bool set_variable(const struct session *s, const char *name, const char *value)
{
	if (!value)
		return !unsetenv(name);
	report_step(s, "%s=%s", name, value);
	return !setenv(name, value, 1);
}

static int execute(const struct session *s, char **argv)
{
	int error;

	execvp(argv[0], argv);
	error = errno;
	report_system(s, "run", argv[0], error);
	return error == ENOENT ? EXIT_NO_PROGRAM : EXIT_CANNOT_RUN;
}

static bool share_is_valid(const char *text)
{
	char *end;
	unsigned long percent;

	if (*text < '0' || *text > '9')
		return false;
	percent = strtoul(text, &end, 10);
	return (!*end || !strcmp(end, "%")) && percent >= 1 && percent <= 100;
}

/* The library writes to it from wherever the program is by then. */
static int absolute(const struct session *s, const char *file, char *path, size_t length)
{
	char here[PATH_MAX];

	if (*file == '/')
		snprintf(path, length, "%s", file);
	else if (!getcwd(here, sizeof(here)))
		return report_system(s, "find", "the current directory", errno);
	else
		snprintf(path, length, "%s/%s", here, file);
	return EXIT_DONE;
}

/* What was asked for, as it was written; NULL: it was not. */
struct wanted {
	const char *layer;
	const char *above;
	const char *share;
	const char *size;
	const char *allocator;
	const char *file;
	bool stats;
};

/* Return: 0, or the exit code. */
static int check(const struct session *s, const struct usage *usage, const struct wanted *wanted)
{
	uint64_t bytes;

	if (!wanted->layer)
		return options_bad(s, usage, "which layer? hmemctl list-layers shows them");
	if (strlen(wanted->layer) > HMEM_LAYER_NAME_MAX)
		return options_bad(s, usage, "names of layers have at most %d bytes",
				   HMEM_LAYER_NAME_MAX);
	if (wanted->above && strcmp(wanted->above, "0") &&
	    hmem_size_parse(wanted->above, 0, &bytes))
		return options_bad(s, usage, "%s is no size", wanted->above);
	if (wanted->share && !share_is_valid(wanted->share))
		return options_bad(s, usage, "%s is no share: 1 to 100 percent", wanted->share);
	if (wanted->size &&
	    (hmem_size_parse(wanted->size, 1ull << 60, &bytes) || bytes < SPACE_MIN))
		return options_bad(s, usage, "%s is no size of a space, which has 2M at least",
				   wanted->size);
	if (strcmp(wanted->allocator, "libc") && strcmp(wanted->allocator, "mimalloc"))
		return options_bad(s, usage, "%s is no allocator: libc or mimalloc",
				   wanted->allocator);
	if (wanted->stats && wanted->file)
		return options_bad(s, usage, "--stats and --stats-file are one too many");
	return 0;
}

/* The environment is the program's from here on. */
static int set_up(const struct session *s, const struct wanted *wanted)
{
	char library[PATH_MAX + sizeof(LIBRARY)], stats[2 * PATH_MAX] = "stderr", size[32];
	struct place place = { .free = 0 };
	uint64_t bytes;
	int rc = find_place(s, wanted->layer, &place);

	if (!rc)
		rc = choose_size(s, &place, wanted->size, &bytes);
	if (!rc)
		rc = find_library(s, library, sizeof(library));
	if (!rc && wanted->file)
		rc = absolute(s, wanted->file, stats, sizeof(stats));
	if (!rc)
		rc = set_preload(s, library, wanted->allocator);
	if (rc)
		return rc;
	snprintf(size, sizeof(size), "%llu", (unsigned long long)bytes);
	if (set_variable(s, "HMEM_MALLOC_LAYER", place.layer) &&
	    set_variable(s, "HMEM_MALLOC_ABOVE", wanted->above) &&
	    set_variable(s, "HMEM_MALLOC_SHARE", wanted->share) &&
	    set_variable(s, "HMEM_MALLOC_SIZE", bytes ? size : NULL) &&
	    set_variable(s, "HMEM_MALLOC_STATS", wanted->file || wanted->stats ? stats : NULL))
		return EXIT_DONE;
	report_error(s, "no memory for the environment");
	return EXIT_FAILED;
}

int verb_run(struct session *s, int argc, char **argv)
{
	struct wanted wanted = { .allocator = "libc" };
	const struct option_line lines[] = {
		{ OPTION_TEXT, 'l', "layer", "LAYER",
		  "where to: cxl, cxl:2, pool:fast, file:DIR, ...", &wanted.layer },
		{ OPTION_TEXT, 'a', "above", "SIZE", "allocations of more bytes; 64K",
		  &wanted.above },
		{ OPTION_TEXT, 0, "share", "PERCENT", "so much of them, of all without --above",
		  &wanted.share },
		{ OPTION_TEXT, 's', "size", "SIZE", "how much of the layer, at most",
		  &wanted.size },
		{ OPTION_TEXT, 'A', "allocator", "NAME",
		  "what the rest comes from: libc, mimalloc", &wanted.allocator },
		{ OPTION_FLAG, 'S', "stats", NULL, "say at the end how much came from the layer",
		  &wanted.stats },
		{ OPTION_TEXT, 0, "stats-file", "FILE", "likewise, appended to a file",
		  &wanted.file },
		OPTION_VERBOSE(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "-l LAYER [OPTION...] [--] PROGRAM [ARGUMENT...]", lines };
	int first, rc = options_parse_before(s, &usage, argc, argv, &first);

	if (rc >= 0)
		return rc;
	if (first == argc)
		return options_bad(s, &usage, "which program?");
	rc = check(s, &usage, &wanted);
	if (!rc)
		rc = set_up(s, &wanted);
	return rc ? rc : execute(s, argv + first);
}
