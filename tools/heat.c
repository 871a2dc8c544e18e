// SPDX-License-Identifier: GPL-2.0-only
/*
 * heat: which part of a region is used how often. On a terminal a drawing of address against
 * time, elsewhere JSON; the same drawing as a file.
 *
 * The region is open only while it is asked, so that nobody is kept from destroying it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "heat_json.h"
#include "heat_samples.h"
#include "heat_text.h"
#include "json.h"
#include "options.h"
#include "output.h"
#include "picture.h"
#include "report.h"
#include "schedule.h"
#include "size_option.h"
#include "terminal.h"
#include "tier.h"

/* Unless --cell says how large one is: so many fit on a screen, or into a picture. */
#define MOST_CELLS   64
#define PICTURE_ROWS 128

/* Title, axis, times, two of legend, and the line that the shell begins then. */
#define LINES_BESIDE 6
#define LEAST_ROWS   8
#define USUAL_ROWS   16

/* What a drawing takes, unless it is said. */
#define USUAL_SECONDS 10.0
#define USUAL_COUNT   64

enum answer {
	ANSWER_JSON,
	ANSWER_MAP,
	ANSWER_DRAWING,
	ANSWER_FILES,	/* JSON, of what was written */
};

/* As a file, or not: @name is NULL */
struct file {
	const char *name;
	struct output output;
	const char *(*write)(const struct heat_samples *samples, FILE *to);
};

enum { SVG, PNG, FILES };

/*
 * struct picture - what is seen of a region, and what becomes of it
 * @interval: seconds between samples
 * @count: how many of them
 * @info: the region, when it was seen first
 * @histogram: of when it was seen last
 * @array: the samples, with ANSWER_JSON
 */
struct picture {
	const char *cell;
	enum answer answer;
	double interval;
	unsigned long count;
	struct file file[FILES];
	struct hmem_region_info info;
	struct heat_samples samples;
	struct hmem_tier_histogram histogram;
	struct json_object *array;
};

/* --- sampling ----------------------------------------------------------------- */

static size_t most_rows(const struct picture *p)
{
	struct terminal terminal = terminal_of_stdout();

	if (p->answer != ANSWER_DRAWING)
		return MOST_CELLS;
	if (!terminal.is)
		return USUAL_ROWS;
	return terminal.rows < LINES_BESIDE + LEAST_ROWS ? LEAST_ROWS :
							   terminal.rows - LINES_BESIDE;
}

/* Return: exit code. */
static int choose_cell(struct session *s, struct picture *p)
{
	bool files = p->file[SVG].name || p->file[PNG].name;
	size_t most = files ? PICTURE_ROWS : most_rows(p);
	struct heat_samples *samples = &p->samples;
	uint64_t extent = p->info.granularity;

	if (!p->cell) {
		for (samples->cell = extent; (samples->bytes - 1) / samples->cell >= most;)
			samples->cell *= 2;
	} else if (size_in_pool(p->cell, samples->bytes, samples->bytes, &samples->cell)) {
		report_error(s, "show region %s in cells of %s: that is less than an extent",
			     samples->name, p->cell);
		return EXIT_FAILED;
	}
	samples->nr_cells = (size_t)((samples->bytes - 1) / samples->cell + 1);
	return EXIT_DONE;
}

/* What is wrong with a file is known before anybody has waited. */
static int open_files(struct session *s, struct hmem_region *region, struct picture *p)
{
	int code = EXIT_DONE;

	for (int i = 0; !code && i < FILES; i++)
		if (p->file[i].name)
			code = output_open(s, p->file[i].name, region, &p->file[i].output);
	return code;
}

/* The first time that the region is seen. */
static int meet(struct session *s, struct hmem_region *region, struct picture *p)
{
	struct heat_samples *samples = &p->samples;
	int rc = hmem_tier_get(region, &samples->policy);

	if (!rc)
		rc = hmem_region_get_info(region, &p->info);
	if (rc)
		return report_library(s, rc);
	samples->name = tier_name(&p->info);
	samples->bytes = p->info.bytes;
	rc = choose_cell(s, p);
	if (!rc)
		rc = open_files(s, region, p);
	if (!rc && samples->policy.mode == HMEM_TIER_OFF) {
		report_warning(s, "the policy of region %s is off: its heat is not measured",
			       samples->name);
		report_fix(s, "hmemctl set-policy %s --mode manual", samples->name);
	}
	return rc;
}

/* Another one of that name is not the one that is looked at. */
static bool is_another(struct hmem_region *region, const struct picture *p)
{
	struct hmem_region_info info = { .size = sizeof(info) };

	return !hmem_region_get_info(region, &info) &&
	       memcmp(info.uuid, p->info.uuid, sizeof(info.uuid));
}

static int take(struct session *s, struct hmem_region *region, struct picture *p, double at)
{
	struct heat_samples *samples = &p->samples;
	struct hmem_tier_cell *cells;
	size_t nr = samples->nr_cells;
	int rc;

	if (is_another(region, p)) {
		report_error(s, "look at region %s: it was destroyed, and there is another one of "
			     "that name", samples->name);
		return EXIT_FAILED;
	}
	cells = heat_samples_next(samples, at);
	if (!cells) {
		report_error(s, "look at region %s: no memory for %zu cells a sample",
			     samples->name, nr);
		return EXIT_FAILED;
	}
	rc = hmem_tier_heat(region, 0, 0, samples->cell, cells, &nr, &p->histogram);
	if (!rc)
		rc = hmem_tier_get(region, &samples->policy);
	if (rc)
		return report_library(s, rc);
	samples->nr++;
	if (p->answer == ANSWER_JSON)
		json_object_array_add(p->array, heat_json(s, samples, &p->histogram));
	return EXIT_DONE;
}

static int take_first(struct session *s, struct hmem_region *region, void *arg)
{
	int code = meet(s, region, arg);

	return code ? code : take(s, region, arg, 0);
}

struct later {
	struct picture *p;
	double at;
};

static int take_later(struct session *s, struct hmem_region *region, void *arg)
{
	struct later *later = arg;

	return take(s, region, later->p, later->at);
}

static void show_progress(const struct session *s, const struct picture *p)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\rhmemctl %s: %zu of %lu samples\033[K", s->verb, p->samples.nr,
			p->count);
}

/* Until there are enough, or a signal comes. */
static int sample(struct session *s, const char *name, struct picture *p)
{
	struct schedule schedule;
	int code;

	schedule_begin(&schedule, p->interval);
	schedule_wait(&schedule);
	code = tier_on_region(s, name, HMEM_OPEN_READ_ONLY, take_first, p);
	while (!code && p->samples.nr < p->count) {
		enum schedule_event event;
		struct later later;

		show_progress(s, p);
		event = schedule_wait(&schedule);
		if (event == SCHEDULE_STOP)
			break;
		if (event != SCHEDULE_DUE)
			continue;
		later = (struct later){ p, schedule_elapsed(&schedule) };
		code = tier_on_region(s, name, HMEM_OPEN_READ_ONLY, take_later, &later);
	}
	if (p->count > 1 && isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	schedule_end(&schedule);
	return code;
}

/* --- what becomes of it ------------------------------------------------------- */

static int draw(const struct session *s, const struct picture *p)
{
	struct terminal terminal = terminal_of_stdout();
	size_t rows = p->cell ? p->samples.nr_cells : most_rows(p);

	if (p->answer == ANSWER_MAP) {
		heat_map(stdout, &p->samples, tier_mode_name(p->samples.policy.mode));
	} else if (!heat_text(stdout, &p->samples, terminal.columns, rows, terminal.colours)) {
		report_error(s, "draw region %s: no memory", p->samples.name);
		return EXIT_FAILED;
	}
	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_DONE;
	report_error(s, "write the drawing to stdout: %s", strerror(errno));
	return EXIT_FAILED;
}

/* Return: exit code. */
static int write_file(const struct session *s, const struct picture *p, struct file *file, int code)
{
	FILE *to = code ? NULL : fdopen(dup(file->output.fd), "w");
	const char *why;

	if (code)
		return output_close(&file->output, code);
	if (!to)
		return output_close(&file->output, report_system(s, "write", file->name, errno));
	why = file->write(&p->samples, to);
	/* libpng flushes, and what failed then is not told again. */
	if (why || ferror(to) || fflush(to))
		code = report_system(s, "write", file->name, errno ? errno : EIO);
	if (fclose(to) && !code)
		code = report_system(s, "write", file->name, errno);
	return output_close(&file->output, code);
}

static int print_files(const struct session *s, const struct picture *p)
{
	struct json_object *array = json_object_new_array(), *o = json_object_new_object();

	json_text(o, "region", p->samples.name);
	json_number(o, "samples", p->samples.nr);
	json_fraction(o, "seconds", p->samples.at[p->samples.nr - 1]);
	json_text(o, "svg", p->file[SVG].name);
	json_text(o, "png", p->file[PNG].name);
	json_object_array_add(array, o);
	return json_print(s, array);
}

static int answer(const struct session *s, struct picture *p)
{
	switch (p->answer) {
	case ANSWER_JSON:
		json_object_get(p->array);
		return json_print(s, p->array);
	case ANSWER_FILES:
		return print_files(s, p);
	default:
		return draw(s, p);
	}
}

/* What was seen before something went wrong is shown all the same. */
static int show(struct session *s, const char *name, struct picture *p)
{
	int code, failed;

	p->array = json_object_new_array();
	failed = code = sample(s, name, p);
	for (int i = 0; i < FILES; i++) {
		struct file *file = &p->file[i];
		int written = EXIT_DONE;

		if (file->output.s)
			written = write_file(s, p, file, p->samples.nr ? EXIT_DONE : failed);
		code = code ? code : written;
	}
	if (p->samples.nr) {
		int answered = answer(s, p);

		code = code ? code : answered;
	}
	json_object_put(p->array);
	heat_samples_free(&p->samples);
	return code;
}

/* --- the verb ------------------------------------------------------------------ */

struct asked {
	const char *seconds;
	const char *interval;
	const char *count;
	bool map;
	bool draw;
	bool json;
};

/* Two of the three say what the third is. Return: -1 to go on, else the exit code. */
static int plan(const struct session *s, const struct usage *usage, const struct asked *asked,
		struct picture *p)
{
	double seconds = USUAL_SECONDS;

	p->count = USUAL_COUNT;
	if (asked->seconds && asked->interval && asked->count)
		return options_bad(s, usage,
				   "--seconds, --interval and --count are one too many");
	if (asked->seconds && !schedule_seconds(asked->seconds, &seconds))
		return options_bad(s, usage, "%s is no time in seconds", asked->seconds);
	if (asked->interval && !schedule_seconds(asked->interval, &p->interval))
		return options_bad(s, usage, "%s is no time in seconds", asked->interval);
	if (asked->count && !schedule_count(asked->count, &p->count))
		return options_bad(s, usage, "%s is no number of samples", asked->count);
	if (!asked->seconds && !asked->interval && !asked->count &&
	    (p->answer == ANSWER_JSON || p->answer == ANSWER_MAP))
		p->count = 1;
	if (!asked->interval)
		p->interval = p->count > 1 ? seconds / (double)(p->count - 1) : seconds;
	else if (!asked->count)
		p->count = 1 + (unsigned long)(seconds / p->interval);
	if (p->interval < SCHEDULE_LEAST || p->count > SCHEDULE_MOST)
		return options_bad(s, usage, "that is too many samples: at most %d, one each "
				   "millisecond", SCHEDULE_MOST);
	return -1;
}

static int check(const struct session *s, const struct usage *usage, const struct asked *asked,
		 struct picture *p)
{
	bool files = p->file[SVG].name || p->file[PNG].name;

	if (asked->map + asked->draw + asked->json > 1)
		return options_bad(s, usage, "one of --map, --draw and --json");
	if (asked->map && (files || asked->seconds || asked->interval || asked->count))
		return options_bad(s, usage,
				   "--map shows one instant, and goes without the others");
	for (int i = 0; i < FILES; i++)
		if (p->file[i].name && !*p->file[i].name)
			return options_bad(s, usage, "a file without a name");
	if (p->file[SVG].name && p->file[PNG].name && !strcmp(p->file[SVG].name, p->file[PNG].name))
		return options_bad(s, usage, "--svg and --png name one file");
	if (p->cell && !size_is_valid(p->cell))
		return options_bad(s, usage, "%s is no size", p->cell);
	if (asked->map)
		p->answer = ANSWER_MAP;
	else if (asked->draw || (!asked->json && !files && isatty(STDOUT_FILENO)))
		p->answer = ANSWER_DRAWING;
	else if (!asked->json && files)
		p->answer = ANSWER_FILES;
	return plan(s, usage, asked, p);
}

int verb_heat(struct session *s, int argc, char **argv)
{
	struct picture p = {
		.info.size = sizeof(p.info),
		.samples.policy.size = sizeof(p.samples.policy),
		.histogram.size = sizeof(p.histogram),
		.file = { [SVG].write = picture_svg, [PNG].write = picture_png },
	};
	struct asked asked = { 0 };
	const struct option_line lines[] = {
		{ OPTION_TEXT, 'c', "cell", "SIZE", "how much one cell or row stands for",
		  &p.cell },
		{ OPTION_TEXT, 's', "seconds", "SECONDS", "how long to look; 10 for a drawing",
		  &asked.seconds },
		{ OPTION_TEXT, 'i', "interval", "SECONDS", "between two looks", &asked.interval },
		{ OPTION_TEXT, 0, "count", "N", "how often to look; 64 times for a drawing",
		  &asked.count },
		{ OPTION_FLAG, 'd', "draw", NULL, "draw it, also where stdout is no terminal",
		  &asked.draw },
		{ OPTION_FLAG, 'j', "json", NULL, "JSON, also on a terminal", &asked.json },
		{ OPTION_FLAG, 'm', "map", NULL, "draw one instant: address against heat",
		  &asked.map },
		{ OPTION_TEXT, 0, "svg", "FILE", "the drawing as SVG", &p.file[SVG].name },
		{ OPTION_TEXT, 0, "png", "FILE", "the drawing as PNG", &p.file[PNG].name },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = {
		"NAME [--seconds S] [--interval S] [--count N] [--cell SIZE]\n"
		"                    [--draw|--json|--map] [--svg FILE] [--png FILE] [-u]",
		lines };
	int first, rc = options_parse_one(s, &usage, argc, argv, &first, "region");

	if (rc < 0)
		rc = check(s, &usage, &asked, &p);
	return rc < 0 ? show(s, argv[first], &p) : rc;
}
