// SPDX-License-Identifier: GPL-2.0-only
/* What came of a run: a line of a table on stdout and an object of a JSON array for each policy. */
#include <stdio.h>
#include <string.h>

#include "sim.h"

#define ACCESS_BYTES	64
#define GIB		(1ULL << 30)

static FILE *json;
static bool first = true;

void report_begin(const char *path)
{
	if (path) {
		json = fopen(path, "w");
		if (!json)
			sim_die("cannot write %s", path);
		fputc('[', json);
	}
	printf("| workload | policy | settled | whole | 90 %% after | 95 %% after | after shift 90 %% | "
	       "95 %% | copied MiB | B a hit | ping-pongs | tracking %% | aborted | "
	       "projected: scan instr/GiB | instr/GiB/s | fault instr p50 | p99 |\n");
	printf("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
}

int report_end(void)
{
	if (!json)
		return 0;
	fputs("\n]\n", json);
	return fclose(json) ? 1 : 0;
}

static double oracle_share(const struct workload *w, const struct oracle *o, uint32_t phase)
{
	return w->by_page ? o->share_page[phase] : o->share_extent[phase];
}

/*
 * Accesses of a phase, by all of them, until the share of the next five slices is @part of the
 * oracle's; -1: never.
 */
static double reached(const struct workload *w, const struct memory *m, uint32_t phase,
		      double share, double part)
{
	uint64_t slice = w->accesses / SLICES;
	uint64_t begin = w->phase_at[phase] / slice, end = w->phase_at[phase + 1] / slice;

	for (uint64_t s = begin; s + 5 <= end; s++) {
		uint64_t hits = 0;

		for (uint64_t i = s; i < s + 5; i++)
			hits += m->slice_hits[i];
		if ((double)hits / (double)(5 * slice) >= part * share)
			return (double)(s - begin) / (double)(end - begin);
	}
	return -1;
}

/* Share served near in the last half of the last phase. */
static double settled_share(const struct workload *w, const struct memory *m)
{
	uint64_t slice = w->accesses / SLICES, hits = 0;
	uint64_t begin = (w->phase_at[w->phases - 1] + w->phase_at[w->phases]) / 2 / slice;

	for (uint64_t s = begin; s < SLICES; s++)
		hits += m->slice_hits[s];
	return (double)hits / (double)((SLICES - begin) * slice);
}

static void number(const char *name, double value)
{
	if (value < 0)
		fprintf(json, ", \"%s\": null", name);
	else
		fprintf(json, ", \"%s\": %.6g", name, value);
}

static void cell(double value, const char *format)
{
	printf(" ");
	if (value < 0)
		printf("-");
	else
		printf(format, value);
	printf(" |");
}

/* Names of JSON have the kernel, as it is the parts of both that are known. */
static void print_projected(const struct projected *p, double gib, double seconds)
{
	char name[64];

	snprintf(name, sizeof(name), "projected_%s_scan_instructions_per_gib", p->kernel);
	number(name, p->scan / gib);
	snprintf(name, sizeof(name), "projected_%s_scan_instructions_per_gib_s", p->kernel);
	number(name, p->scan / gib / seconds);
	snprintf(name, sizeof(name), "projected_%s_fault_instructions_p50", p->kernel);
	number(name, p->fault[0]);
	snprintf(name, sizeof(name), "projected_%s_fault_instructions_p99", p->kernel);
	number(name, p->fault[1]);
}

static void report_one(const struct workload *w, const struct oracle *o, const struct memory *m,
		       const struct memory *none)
{
	double oracle_all = 0, oracle_last = oracle_share(w, o, w->phases - 1), per_hit = -1;
	double settled = settled_share(w, m) / oracle_last, whole, reach[2][2];
	double tracking = (double)m->tracked_ns / (double)(m->now - 1000000);
	double gib = (double)w->extents * EXTENT_BYTES / GIB;
	double seconds = (double)(m->now - 1000000) / 1e9;
	/* What a guest was measured by itself is not projected. */
	struct projected p[PROJECTED] = { 0 }, *newest = &p[PROJECTED - 1];
	uint32_t shift = w->phases == 2 ? 1 : 0;
	int64_t extra;

	for (uint32_t i = 0; i < w->phases; i++)
		oracle_all += oracle_share(w, o, i) *
			      (double)(w->phase_at[i + 1] - w->phase_at[i]) / (double)w->accesses;
	whole = (double)m->near_hits / (double)w->accesses / oracle_all;
	for (uint32_t i = 0; i < 2; i++) {
		reach[0][i] = reached(w, m, 0, oracle_share(w, o, 0), i ? 0.95 : 0.90);
		reach[1][i] = shift ? reached(w, m, 1, oracle_share(w, o, 1), i ? 0.95 : 0.90) : -1;
	}
	extra = (int64_t)m->near_hits - (int64_t)(none ? none->near_hits : 0);
	if (extra > 0)
		per_hit = (double)m->copied / (double)extra;
	if (m->costs)
		project_run(m, p);

	printf("| %s | %s |", w->name, m->tier->name);
	cell(settled, "%.3f");
	cell(whole, "%.3f");
	for (uint32_t i = 0; i < 2; i++) {
		cell(reach[i][0] * 100, "%.1f %%");
		cell(reach[i][1] * 100, "%.1f %%");
	}
	cell((double)m->copied / (1 << 20), "%.0f");
	cell(per_hit, "%.2g");
	cell((double)m->pingpongs, "%.0f");
	cell(tracking * 100, "%.2f");
	cell((double)m->aborted, "%.0f");
	cell(m->costs ? newest->scan / gib : -1, "%.3g");
	cell(m->costs ? newest->scan / gib / seconds : -1, "%.3g");
	cell(m->costs ? newest->fault[0] : -1, "%.0f");
	cell(m->costs ? newest->fault[1] : -1, "%.0f");
	printf("\n");
	fflush(stdout);

	if (!json)
		return;
	fprintf(json, "%s\n{\"workload\": \"%s\", \"policy\": \"%s\", \"unit\": \"%s\"",
		first ? "" : ",", w->name, m->tier->name, w->by_page ? "page" : "extent");
	first = false;
	number("accesses", (double)w->accesses);
	number("region_bytes", (double)w->extents * EXTENT_BYTES);
	number("near_bytes", (double)w->near_pages * PAGE_BYTES);
	number("simulated_ns", (double)m->now);
	/* Of the second half, by what it would have taken with all of the region in DRAM. */
	if (m->costs)
		number("dram_speed_late", (double)w->accesses / 2 * (double)m->costs->near /
						  (double)(m->now - m->now_half));
	number("near_share", (double)m->near_hits / (double)w->accesses);
	number("oracle_share", oracle_all);
	number("settled", settled);
	number("whole", whole);
	number("start_90", reach[0][0]);
	number("start_95", reach[0][1]);
	number("shift_90", reach[1][0]);
	number("shift_95", reach[1][1]);
	number("copied_bytes", (double)m->copied);
	number("copied_bytes_late", (double)(m->copied - m->copied_half));
	number("late_copied_by_touched", (double)(m->copied - m->copied_half) /
						 ((double)w->accesses / 2 * ACCESS_BYTES));
	number("copied_by_touched",
	       (double)m->copied / ((double)w->accesses * ACCESS_BYTES));
	number("bytes_per_extra_hit", per_hit);
	number("pingpongs", (double)m->pingpongs);
	number("tracking_of_a_core", tracking);
	number("tracking_of_a_core_late", (double)(m->tracked_ns - m->tracked_half) /
						  (double)(m->now - m->now_half));
	number("aborted", (double)m->aborted);
	number("faults", (double)m->faults);
	number("waited_ns", (double)m->waited);
	for (uint32_t i = 0; m->costs && i < PROJECTED; i++)
		print_projected(&p[i], gib, seconds);
	if (w->watched && m->watched_near[0])
		number("watched_left", (double)m->watched_near[1] / m->watched_near[0]);
	fputs("}", json);
}

void report(const struct workload *w, const struct oracle *o, struct memory *const *m, uint32_t n)
{
	const struct memory *none = NULL;

	for (uint32_t i = 0; i < n; i++)
		if (strcmp(m[i]->tier->name, "none") == 0)
			none = m[i];
	for (uint32_t i = 0; i < n; i++)
		report_one(w, o, m[i], none);
}
