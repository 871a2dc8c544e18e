// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tiering as the module does it, measured in a guest: shares of accesses by workload and policy,
 * and what faults, moves and scans cost in instructions.
 *
 * usage: tier_guest --pool NAME [OPTION]... run|faults|moves|scans...
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <x86intrin.h>

#include "tier_run.h"

static void usage(void)
{
	fputs("usage: tier_guest --pool NAME [OPTION]... run|faults|moves|scans...\n"
	      "  --workload NAME,...  --policy NAME,...  --accesses N  --extents N  --seed N\n"
	      "  --request N  --every-us N\n"
	      "  --knob NAME=VALUE    --json FILE\n", stderr);
	exit(129);
}

bool chosen(const char *names, const char *name)
{
	size_t length = strlen(name);

	if (!names)
		return true;
	for (const char *at = names; (at = strstr(at, name)); at += length)
		if ((at == names || at[-1] == ',') && (!at[length] || at[length] == ','))
			return true;
	return false;
}

static uint64_t number(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || value < 0 || value > 1e12)
		sim_die("'%s' is no number", text);
	return (uint64_t)value;
}

/* Two readings with 1000 instructions between them are 1000 apart, and some. */
void must_count_instructions(void)
{
	uint64_t start = __rdtsc(), end;

	for (int i = 0; i < 500; i++)
		__asm__ volatile("nop; nop");
	end = __rdtsc();
	if (end - start < 1000 || end - start > 4000)
		sim_die("the time stamp counter does not count instructions here (%llu for about "
			"2500): run this in a guest with -icount shift=0",
			(unsigned long long)(end - start));
}

static void run_all(const char *names, const char *deciders, const char *json,
		   const struct run_options *o)
{
	uint32_t ran = 0;

	report_begin(json);
	for (uint32_t i = 0; workloads[i].name; i++)
		for (uint32_t j = 0; policies[j].name; j++)
			if (chosen(names, workloads[i].name) &&
			    chosen(deciders, policies[j].name)) {
				run(&workloads[i], &policies[j], o);
				ran++;
			}
	if (!ran)
		sim_die("no workload, or no policy, is called so");
	if (report_end())
		sim_die("cannot write %s", json);
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "pool", required_argument, NULL, 'p' },
		{ "workload", required_argument, NULL, 'w' },
		{ "policy", required_argument, NULL, 'd' },
		{ "accesses", required_argument, NULL, 'a' },
		{ "extents", required_argument, NULL, 'e' },
		{ "request", required_argument, NULL, 'r' },
		{ "every-us", required_argument, NULL, 'u' },
		{ "seed", required_argument, NULL, 's' },
		{ "knob", required_argument, NULL, 'k' },
		{ "json", required_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	struct run_options o = { .accesses = 4000000, .seed = 1, .extents = 128,
				 .request = 64, .every_ns = 200000 };
	const char *names = NULL, *deciders = NULL, *json = NULL;
	uint32_t knobs = 0;
	int option;

	setlinebuf(stdout);
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'p': o.pool = optarg; break;
		case 'w': names = optarg; break;
		case 'd': deciders = optarg; break;
		case 'a': o.accesses = number(optarg); break;
		case 'e': o.extents = (uint32_t)number(optarg); break;
		case 'r': o.request = (uint32_t)number(optarg); break;
		case 'u': o.every_ns = number(optarg) * 1000; break;
		case 's': o.seed = number(optarg); break;
		case 'k':
			if (knobs + 1 < sizeof(target_knobs) / sizeof(*target_knobs))
				target_knobs[knobs++] = optarg;
			break;
		case 'j': json = optarg; break;
		default: usage();
		}
	}
	if (optind == argc || !o.pool || o.extents < 16 || o.accesses < 40 * SLICES ||
	    o.request > BATCH)
		usage();
	/* It is woken when it wants to be. */
	prctl(PR_SET_TIMERSLACK, 1);
	for (; optind < argc; optind++) {
		const char *what = argv[optind];

		if (!strcmp(what, "run"))
			run_all(names, deciders, json, &o);
		else if (!strcmp(what, "faults"))
			measure_faults(o.pool, 2 * o.accesses);
		else if (!strcmp(what, "moves"))
			measure_moves(o.pool);
		else if (!strcmp(what, "scans"))
			measure_scans(o.pool, 4 * o.accesses);
		else
			usage();
	}
	return 0;
}
