// SPDX-License-Identifier: GPL-2.0-only
/*
 * monitor: regions as they are now, again and again. On a terminal one screen, in a pipe one table
 * after the other, or a line of JSON for each region each time.
 *
 * A region is open only while it is asked, so that it can be destroyed; who tries in that very
 * instant is told that it is busy.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "heat_json.h"
#include "json.h"
#include "monitor_view.h"
#include "options.h"
#include "report.h"
#include "schedule.h"
#include "terminal.h"
#include "tier.h"

/* Of a strip where nobody says how wide it is: JSON. */
#define USUAL_CELLS 64

/* On either side of a strip; monitor_view.c has the same. */
#define BESIDE_STRIP 6

#define HIDE_CURSOR "\033[?25l"
#define SHOW_CURSOR "\033[?25h"
#define CLEAR	    "\033[2J"
#define GO_HOME	    "\033[H"
#define END_OF_LINE "\033[K"
#define END_OF_ALL  "\033[J"

/* What was seen at one time. */
struct look {
	double at;		/* seconds since the first one */
	struct timespec when;	/* by the calendar */
	size_t nr;
	size_t room;
	struct monitor_region *regions;
};

/*
 * struct monitor
 * @names: to watch, or @nr_names is 0: all of hmem.ko
 * @cells: a strip has at most
 */
struct monitor {
	struct session *s;
	char **names;
	int nr_names;
	bool json;
	double interval;
	unsigned long count;
	size_t cells;
	struct look now;
	struct look before;
};

/* --- looking -------------------------------------------------------------------- */

/* Return: NULL when there is no memory. */
static struct monitor_region *add(struct look *look)
{
	struct monitor_region *region;

	if (look->nr == look->room) {
		size_t room = look->room ? 2 * look->room : 8;

		region = reallocarray(look->regions, room, sizeof(*region));
		if (!region)
			return NULL;
		look->regions = region;
		look->room = room;
	}
	region = &look->regions[look->nr++];
	*region = (struct monitor_region){
		.policy.size = sizeof(region->policy),
		.problem = "",
		.stats.size = sizeof(region->stats),
		.histogram.size = sizeof(region->histogram),
	};
	return region;
}

static int read_heat(struct hmem_region *handle, struct monitor_region *region, size_t most)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	int rc = hmem_region_get_info(handle, &info);
	uint64_t extents;

	if (rc)
		return rc;
	memcpy(region->uuid, info.uuid, sizeof(region->uuid));
	region->bytes = info.bytes;
	extents = info.bytes / info.granularity;
	region->cell = info.granularity * ((extents + most - 1) / most);
	region->nr_cells = most;
	return hmem_tier_heat(handle, 0, 0, region->cell, region->cells, &region->nr_cells,
			      &region->histogram);
}

static int read_region(struct monitor *m, const char *name, struct monitor_region *region)
{
	struct hmem_region *handle;
	int rc = hmem_region_open(m->s->hmem, name, HMEM_OPEN_READ_ONLY, &handle);

	if (rc)
		return rc;
	rc = hmem_tier_get(handle, &region->policy);
	if (!rc)
		rc = hmem_tier_get_stats(handle, &region->stats);
	if (!rc)
		rc = read_heat(handle, region, m->cells);
	hmem_region_close(handle);
	return rc;
}

static const char *problem_of(int error)
{
	switch (error) {
	case -ENOENT:
		return "is gone";
	case -ENODEV:
		return "has lost its memory";
	case -EACCES:
		return "may not be read";
	case -ENOTTY:
		return "has a module that knows no tiering";
	default:
		return "cannot be read";
	}
}

static const struct monitor_region *find(const struct look *look, const char *name)
{
	for (size_t i = 0; i < look->nr; i++)
		if (!strcmp(look->regions[i].name, name))
			return &look->regions[i];
	return NULL;
}

static const char *bare_name(const char *name)
{
	return strncmp(name, "hmem:", 5) ? name : name + 5;
}

/* Return: a negative errno when there is no memory. */
static int look_at(struct monitor *m, const char *name)
{
	const struct monitor_region *before;
	struct monitor_region *region = add(&m->now);
	int rc;

	if (!region)
		return -ENOMEM;
	snprintf(region->name, sizeof(region->name), "%s", bare_name(name));
	rc = read_region(m, name, region);
	if (rc == -ENOENT && !m->nr_names) {
		/* Destroyed since it was listed. */
		m->now.nr--;
		return 0;
	}
	if (rc)
		region->problem = problem_of(rc);
	before = find(&m->before, region->name);
	monitor_rates(region, before, m->now.at - m->before.at);
	if (rc && m->json && !(before && !strcmp(before->problem, region->problem)))
		report_warning(m->s, "region %s %s", region->name, region->problem);
	return 0;
}

static int look_at_any(void *arg, const struct hmem_region_info *info)
{
	return strncmp(info->name, "hmem:", 5) ? 0 : look_at(arg, info->name);
}

/* Who is named twice is looked at once. @at: seconds since the first look. Return: exit code. */
static int look(struct monitor *m, double at)
{
	struct look old = m->before;
	int rc = 0;

	m->before = m->now;
	m->now = (struct look){ .at = at, .room = old.room, .regions = old.regions };
	clock_gettime(CLOCK_REALTIME, &m->now.when);
	for (int i = 0; !rc && i < m->nr_names; i++)
		if (!find(&m->now, bare_name(m->names[i])))
			rc = look_at(m, m->names[i]);
	if (!m->nr_names)
		rc = hmem_region_iterate(m->s->hmem, look_at_any, m);
	return rc ? report_library(m->s, rc) : EXIT_DONE;
}

/* --- showing -------------------------------------------------------------------- */

static const char *time_text(const struct look *look, char text[32])
{
	struct tm utc;

	if (!gmtime_r(&look->when.tv_sec, &utc) || !strftime(text, 32, "%FT%TZ", &utc))
		*text = '\0';
	return text;
}

static void add_time(const struct session *s, struct json_object *o, const struct look *look)
{
	char text[32];

	if (s->human)
		json_text(o, "time", time_text(look, text));
	else
		json_fraction(o, "time",
			      (double)look->when.tv_sec + (double)look->when.tv_nsec / 1e9);
}

static void add_share(const struct session *s, struct json_object *o, double share)
{
	char text[32];

	snprintf(text, sizeof(text), "%.1f %%", share * 100);
	if (share < 0)
		json_text(o, "hit_share", NULL);
	else if (s->human)
		json_text(o, "hit_share", text);
	else
		json_fraction(o, "hit_share", share);
}

static void add_rate(struct json_object *o, const char *key, double rate)
{
	if (rate < 0)
		json_text(o, key, NULL);
	else
		json_fraction(o, key, rate);
}

static struct json_object *json_of(const struct session *s, const struct look *look,
				   const struct monitor_region *region)
{
	struct json_object *o = json_object_new_object();

	json_text(o, "region", region->name);
	add_time(s, o, look);
	json_uuid(o, "uuid", region->uuid);
	json_size(s, o, "size", region->bytes);
	json_text(o, "policy", tier_mode_name(region->policy.mode));
	json_size(s, o, "near", region->stats.near);
	json_size(s, o, "near_max", region->stats.near_max);
	json_size(s, o, "near_share", region->stats.near_share);
	json_size(s, o, "home", region->bytes - region->stats.near);
	json_size(s, o, "dirty", region->stats.dirty);
	add_share(s, o, monitor_hit_share(&region->histogram));
	add_rate(o, "promotions_per_second", region->promotions);
	add_rate(o, "demotions_per_second", region->demotions);
	json_size(s, o, "cell", region->cell);
	json_object_object_add(o, "cells", heat_json_cells(s, region->cells, region->nr_cells,
							   region->cell));
	return o;
}

static void show_json(const struct monitor *m)
{
	for (size_t i = 0; i < m->now.nr; i++) {
		struct json_object *o;

		if (*m->now.regions[i].problem)
			continue;
		o = json_of(m->s, &m->now, &m->now.regions[i]);
		puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
						       JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(o);
	}
}

static void put_heading(FILE *to, const struct monitor *m, const struct terminal *terminal)
{
	char line[128], time[32];

	snprintf(line, sizeof(line), "%s  %zu region%s%s", time_text(&m->now, time), m->now.nr,
		 m->now.nr == 1 ? "" : "s", terminal->is ? "; Ctrl-C ends it" : "");
	fprintf(to, "%.*s\n", (int)terminal->columns, line);
}

/* Over what was there, and what is left of that goes. */
static void put_screen(const char *text)
{
	fputs(GO_HOME, stdout);
	for (; *text; text++) {
		if (*text == '\n')
			fputs(END_OF_LINE, stdout);
		putchar(*text);
	}
	fputs(END_OF_ALL, stdout);
}

static int show_table(const struct monitor *m)
{
	struct terminal terminal = terminal_of_stdout();
	char *text = NULL;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	if (!to)
		return report_system(m->s, "show", "regions", errno);
	put_heading(to, m, &terminal);
	/* The heading has a line, and the cursor. */
	monitor_table(to, m->now.regions, m->now.nr, terminal.columns,
		      !terminal.is ? SIZE_MAX : terminal.rows > 5 ? terminal.rows - 2 : 3,
		      terminal.colours);
	if (fclose(to)) {
		free(text);
		return report_system(m->s, "show", "regions", ENOMEM);
	}
	if (terminal.is)
		put_screen(text);
	else
		puts(text);
	free(text);
	return EXIT_DONE;
}

static int show(const struct monitor *m)
{
	int code = EXIT_DONE;

	if (m->json)
		show_json(m);
	else
		code = show_table(m);
	if (!code && (fflush(stdout) || ferror(stdout)))
		code = report_system(m->s, "write to", "stdout", errno);
	return code;
}

/* --- the verb ------------------------------------------------------------------- */

static void fit_cells(struct monitor *m)
{
	size_t columns = terminal_of_stdout().columns;

	m->cells = m->json ? USUAL_CELLS : columns > BESIDE_STRIP ? columns - BESIDE_STRIP : 1;
	m->cells = m->cells < MONITOR_CELLS ? m->cells : MONITOR_CELLS;
}

/*
 * Until it has looked so often, or a signal comes.
 *
 * @screen: on a terminal, of which another size is drawn at once
 */
static int watch(struct monitor *m, bool screen)
{
	struct schedule schedule;
	unsigned long done = 0;
	int code = EXIT_DONE;

	schedule_begin(&schedule, m->interval);
	while (!code && (!m->count || done < m->count)) {
		enum schedule_event event = schedule_wait(&schedule);

		if (event == SCHEDULE_STOP)
			break;
		if (event == SCHEDULE_RESIZED && !(screen && done))
			continue;
		fit_cells(m);
		if (event == SCHEDULE_DUE) {
			code = look(m, schedule_elapsed(&schedule));
			done++;
		}
		code = code ? code : show(m);
	}
	schedule_end(&schedule);
	return code;
}

/* What is asked for by name is there when it begins. */
static int check_names(struct monitor *m)
{
	for (int i = 0; i < m->nr_names; i++) {
		struct monitor_region region = { .policy.size = sizeof(region.policy),
						 .stats.size = sizeof(region.stats),
						 .histogram.size = sizeof(region.histogram) };
		int rc = read_region(m, m->names[i], &region);

		if (rc)
			return report_library(m->s, rc);
	}
	if (m->nr_names || !access(HMEM_CONTROL, F_OK))
		return EXIT_DONE;
	report_error(m->s, "%s is not there: hmem.ko is not loaded", HMEM_CONTROL);
	report_fix(m->s, "modprobe hmem, or insmod hmem.ko");
	return EXIT_FAILED;
}

static int run(struct monitor *m)
{
	bool screen = !m->json && terminal_of_stdout().is;
	int code;

	fit_cells(m);
	code = check_names(m);
	if (code)
		return code;
	if (screen)
		fputs(HIDE_CURSOR CLEAR, stdout);
	code = watch(m, screen);
	if (screen) {
		fputs(SHOW_CURSOR, stdout);
		fflush(stdout);
	}
	free(m->now.regions);
	free(m->before.regions);
	return code;
}

int verb_monitor(struct session *s, int argc, char **argv)
{
	struct monitor m = { .s = s, .interval = 1 };
	const char *interval = NULL, *count = NULL;
	const struct option_line lines[] = {
		{ OPTION_TEXT, 'i', "interval", "SECONDS", "between two looks; else 1", &interval },
		{ OPTION_TEXT, 0, "count", "N", "how often to look; else until it is interrupted",
		  &count },
		{ OPTION_FLAG, 'j', "json", NULL, "a line of JSON for each region, each time",
		  &m.json },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "[NAME...] [--interval S] [--count N] [--json] [-u]", lines };
	int first, rc = options_parse(s, &usage, argc, argv, &first);

	if (rc >= 0)
		return rc;
	if (interval && !schedule_seconds(interval, &m.interval))
		return options_bad(s, &usage, "%s is no time in seconds", interval);
	if (count && !schedule_count(count, &m.count))
		return options_bad(s, &usage, "%s is no number of samples", count);
	m.names = argv + first;
	m.nr_names = argc - first;
	return run(&m);
}
