// SPDX-License-Identifier: GPL-2.0-only
/* Runs workloads on memories, each with a policy: sim.h says how. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define MAX_TIERS	16

extern const struct tier tier_none, tier_random, tier_two_touch, tier_accessed_bit, tier_lru;
extern const struct tier tier_hmem, tier_hmem_whole;
extern struct hm_policy_knobs tier_hmem_knobs;

const struct tier *const tiers[] = { &tier_none, &tier_random, &tier_two_touch, &tier_accessed_bit,
				     &tier_lru, &tier_hmem_whole, &tier_hmem, NULL };

struct options {
	uint64_t accesses, region, seed;
	const char *workload, *policy;
	struct costs costs;
};

static bool chosen(const char *names, const char *name)
{
	size_t length = strlen(name);

	if (!names)
		return true;
	for (const char *at = names; (at = strstr(at, name)); at += length)
		if ((at == names || at[-1] == ',') && (!at[length] || at[length] == ','))
			return true;
	return false;
}

/* Of a memory, at the end of a phase. */
static void phase_over(struct memory *m, const struct workload *w, uint32_t phase)
{
	m->watched = 0;
	for (uint32_t i = 0; w->watched && i < w->extents; i++) {
		m->watched += w->watched[i];
		m->watched_near[phase] += w->watched[i] && m->extent[i] & EXTENT_NEAR;
	}
}

static void run(const struct workload *from, const struct options *o)
{
	struct workload w = *from;
	struct memory *memory[MAX_TIERS];
	struct oracle oracle = { 0 };
	uint32_t batch[BATCH], nr = 0, phase = 0;
	uint64_t slice = o->accesses / SLICES;

	w.accesses = slice * SLICES;
	w.extents = (uint32_t)(o->region / EXTENT_BYTES);
	w.near_pages = (uint64_t)(w.extents / w.dram) * EXTENT_PAGES;
	w.random.state = o->seed;
	w.kind->make(&w);
	for (uint32_t i = 0; tiers[i]; i++)
		if (chosen(o->policy, tiers[i]->name) && (!tiers[i]->by_page_only || w.by_page))
			memory[nr++] = memory_make(tiers[i], &w, &o->costs);
	oracle_make(&oracle, w.extents);
	for (uint64_t at = 0; at < w.accesses;) {
		uint64_t end = w.phase_at[phase + 1], now = at / slice, n;

		if (end > (now + 1) * slice)
			end = (now + 1) * slice;
		n = end - at < BATCH ? end - at : BATCH;
		w.kind->fill(&w, at, batch, (uint32_t)n);
		for (uint32_t i = 0; i < n; i++)
			oracle.count[batch[i] >> 1]++;
		for (uint32_t i = 0; i < nr; i++)
			memory[i]->slice_hits[now] += memory_run(memory[i], batch, (uint32_t)n);
		at += n;
		if (at == w.phase_at[phase + 1]) {
			oracle_phase_over(&oracle, phase, w.near_pages);
			for (uint32_t i = 0; i < nr; i++)
				phase_over(memory[i], &w, phase);
			phase++;
		}
		if (at == w.accesses / 2)
			for (uint32_t i = 0; i < nr; i++) {
				memory[i]->copied_half = memory[i]->copied;
				memory[i]->tracked_half = memory[i]->tracked_ns;
				memory[i]->now_half = memory[i]->now;
			}
	}
	report(&w, &oracle, memory, nr);
	for (uint32_t i = 0; i < nr; i++)
		memory_free(memory[i]);
	oracle_free(&oracle);
	w.kind->free(&w);
}

static uint64_t number(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || value < 0 || value > 1e15)
		sim_die("'%s' is no number", text);
	return (uint64_t)value;
}

/* NAME=VALUE of the engine's. */
static void set_knob(const char *text)
{
	const char *equals = strchr(text, '=');

	for (u32 i = 0; equals && hm_policy_knob(i); i++) {
		const struct hm_policy_knob *knob = hm_policy_knob(i);

		if (strlen(knob->name) != (size_t)(equals - text) ||
		    strncmp(knob->name, text, (size_t)(equals - text)) != 0)
			continue;
		if (!hm_policy_set(&tier_hmem_knobs, i, (u32)number(equals + 1)))
			sim_die("%s is from %u to %u", knob->name, knob->least, knob->most);
		return;
	}
	sim_die("no knob is called '%s'", text);
}

static void usage(void)
{
	fputs("usage: tier [--accesses N] [--region BYTES] [--workload NAME,...] "
	      "[--policy NAME,...] [--seed N]\n"
	      "            [--near NS] [--home NS] [--knob NAME=VALUE] [--json FILE] [--list]\n",
	      stderr);
	exit(129);
}

static void list(void)
{
	for (uint32_t i = 0; workloads[i].name; i++)
		printf("workload %s\n", workloads[i].name);
	for (uint32_t i = 0; tiers[i]; i++)
		printf("policy %s\n", tiers[i]->name);
	for (u32 i = 0; hm_policy_knob(i); i++) {
		const struct hm_policy_knob *knob = hm_policy_knob(i);

		printf("knob | `%s` | %u | %u to %u | %s | %s |\n", knob->name, knob->value,
		       knob->least, knob->most, knob->unit, knob->why);
	}
	exit(0);
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "accesses", required_argument, NULL, 'a' },
		{ "region", required_argument, NULL, 'r' },
		{ "workload", required_argument, NULL, 'w' },
		{ "policy", required_argument, NULL, 'p' },
		{ "seed", required_argument, NULL, 's' },
		{ "near", required_argument, NULL, 'n' },
		{ "home", required_argument, NULL, 'h' },
		{ "knob", required_argument, NULL, 'k' },
		{ "json", required_argument, NULL, 'j' },
		{ "list", no_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = { .accesses = 200000000, .region = 4ULL << 30, .seed = 1 };
	const char *json = NULL;
	uint32_t ran = 0;
	int option;

	hm_policy_defaults(&tier_hmem_knobs);
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'a': o.accesses = number(optarg); break;
		case 'r': o.region = number(optarg); break;
		case 'w': o.workload = optarg; break;
		case 'p': o.policy = optarg; break;
		case 's': o.seed = number(optarg); break;
		case 'n': tier_hmem_knobs.near_ns = (u32)number(optarg); break;
		case 'h': tier_hmem_knobs.home_ns = (u32)number(optarg); break;
		case 'k': set_knob(optarg); break;
		case 'j': json = optarg; break;
		case 'l': list(); break;
		default: usage();
		}
	}
	if (optind != argc || o.accesses < SLICES || o.region < 64 * EXTENT_BYTES ||
	    o.region > 1ULL << 40)
		usage();
	hm_policy_fill(&tier_hmem_knobs, NULL);
	o.costs = (struct costs){
		.near = tier_hmem_knobs.near_ns,
		.home = tier_hmem_knobs.home_ns,
		.fault = tier_hmem_knobs.fault_ns,
		.zap = tier_hmem_knobs.zap_ns,
		.copy_extent = tier_hmem_knobs.copy_extent_ns,
		.copy_page = tier_hmem_knobs.copy_page_ns,
	};
	report_begin(json);
	for (uint32_t i = 0; workloads[i].name; i++) {
		if (!chosen(o.workload, workloads[i].name))
			continue;
		run(&workloads[i], &o);
		ran++;
	}
	if (!ran)
		sim_die("no workload is called '%s'", o.workload);
	return report_end();
}
