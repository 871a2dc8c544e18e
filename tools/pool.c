// SPDX-License-Identifier: GPL-2.0-only
/*
 * attach-pool and detach-pool.
 *
 * Linux does not bring the CXL regions of persistent devices back after a boot:
 * attaching by memory device, or --all, makes the same CXL region again (see
 * cxl_plan.h), and with it the pool and its regions are back.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "claim.h"
#include "cxl_ready.h"
#include "json.h"
#include "machine.h"
#include "options.h"
#include "report.h"
#include "size_option.h"
#include "withheld.h"

#define MAX_CXL_REGIONS 64
#define MAX_MEMDEVS 64

struct attachment {
	struct session *s;
	const char *name;
	const char *size;
	const char *node;
	const char *type;
	const char *ways;
	bool all, format, take_over, dry_run;
	struct claim_how how;
	struct json_object *answer;	/* pools, or the steps of a dry run */
	unsigned int done, failed, skipped;
	bool unsupported;
};

static bool type_fits(const struct attachment *a, enum cxl_decoder_mode mode)
{
	return !a->type || !strcmp(a->type, cxl_decoder_mode_name(mode));
}

static void report_result(const struct attachment *a, const char *pool,
			  const struct hmem_pool_result *result)
{
	struct json_object *array = json_object_new_array();
	unsigned int withheld = withheld_add(a->s, NULL, pool, array);

	json_object_put(array);
	if (result->flags & HMEM_POOL_WAS_FORMATTED)
		report_count(a->s, "pool %s was formatted", pool);
	if (result->flags & HMEM_POOL_WAS_REPAIRED)
		report_warning(a->s, "pool %s: one of its two superblocks was damaged and was "
			       "written anew from the other", pool);
	if (result->regions > withheld)
		report_count(a->s, "pool %s brought back %u region%s", pool,
			     result->regions - withheld, result->regions - withheld == 1 ? "" : "s");
}

/* With --all the last pool may bring what the ones before it wait for. */
static void report_withheld(const struct attachment *a)
{
	struct json_object *array = json_object_new_array();

	withheld_add(a->s, NULL, NULL, array);
	withheld_explain(a->s, array);
	json_object_put(array);
}

static void attached(struct attachment *a, const char *pool, const struct hmem_pool_result *result)
{
	struct hmem_pool_info info = { .size = sizeof(info) };
	int rc = hmem_pool_get_info(a->s->hmem, pool, &info);

	if (rc) {
		report_library(a->s, rc);
		a->failed++;
		return;
	}
	report_result(a, pool, result);
	json_object_array_add(a->answer, json_pool(a->s, &info));
	a->done++;
}

/* --- system RAM ------------------------------------------------------------- */

static int attach_ram(struct attachment *a)
{
	struct hmem_pool_options options = HMEM_POOL_OPTIONS_INIT;
	struct hmem_pool_result result = { .size = sizeof(result) };
	int rc;

	options.name = a->name;
	options.flags = a->dry_run ? HMEM_POOL_CHECK : 0;
	if (a->node)
		options.nid = atoi(a->node);
	rc = size_in_pool(a->size, machine_memory(), 0, &options.bytes);
	if (rc) {
		report_error(a->s, "take %s of system RAM: %s", a->size, strerror(-rc));
		return EXIT_FAILED;
	}
	rc = hmem_pool_attach(a->s->hmem, &options, &result);
	if (rc) {
		a->failed++;
		return report_library(a->s, rc);
	}
	if (a->dry_run) {
		step_attach(a->s, a->answer, "ram", a->name, result.bytes);
		step_result(a->answer, &result);
	} else {
		attached(a, a->name, &result);
	}
	return EXIT_DONE;
}

/* --- CXL regions that exist -------------------------------------------------- */

static void attach_existing(struct attachment *a, const struct cxl_region_state *region)
{
	struct claim claim;
	int rc = claim_region(a->s, region, &a->how, &claim);

	if (rc == -ENODATA) {
		report_warning(a->s, "CXL region %s is blank, there is nothing to bring back",
			       region->name);
		report_fix(a->s, "to use it anyway: hmemctl attach-pool %s", region->name);
		a->skipped++;
	} else if (rc) {
		a->failed++;
	} else if (a->dry_run) {
		uint64_t bytes = claim.result.bytes ? claim.result.bytes : region->size;

		step_release(a->answer, &claim.released);
		step_attach(a->s, a->answer, region->name, claim.pool, bytes);
		if (claim.result.bytes)
			step_result(a->answer, &claim.result);
	} else {
		attached(a, claim.pool, &claim.result);
	}
}

static bool find_state(struct cxl_ctx *cxl, const char *name, struct cxl_region_state *found)
{
	struct cxl_region_state state[MAX_CXL_REGIONS];
	unsigned int i, n = cxl_region_states(cxl, state, MAX_CXL_REGIONS);

	for (i = 0; i < n; i++)
		if (!strcmp(state[i].name, name)) {
			*found = state[i];
			return true;
		}
	return false;
}

static void attach_region(struct attachment *a, struct cxl_ctx *cxl, const char *name)
{
	struct cxl_region_state state;

	if (find_state(cxl, name, &state)) {
		attach_existing(a, &state);
		return;
	}
	report_error(a->s, "attach %s: there is no such CXL region", name);
	report_fix(a->s, "cxl list -R shows CXL regions, cxl list -M memory devices; hmemctl "
		   "attach-pool mem0 makes a CXL region of a device");
	a->failed++;
}

static void attach_all_existing(struct attachment *a, struct cxl_ctx *cxl)
{
	struct cxl_region_state state[MAX_CXL_REGIONS];
	unsigned int i, n = cxl_region_states(cxl, state, MAX_CXL_REGIONS);

	for (i = 0; i < n; i++)
		if (type_fits(a, state[i].mode) && state[i].committed &&
		    !claim_is_pool(a->s, state[i].name))
			attach_existing(a, &state[i]);
}

/* --- CXL memory that is not configured -------------------------------------- */

static void report_blank(const struct attachment *a, const struct cxl_plan *plan)
{
	char devices[CXL_MAX_WAYS * CXL_NAME] = "";
	unsigned int i;

	for (i = 0; i < plan->ways; i++) {
		size_t used = strlen(devices);

		snprintf(devices + used, sizeof(devices) - used, " %s", plan->device[i].memdev);
	}
	report_warning(a->s, "blank, there is nothing to bring back:%s", devices);
	report_fix(a->s, "to use it anyway: hmemctl attach-pool%s --type pmem", devices);
}

/* @plan: what was made, or tried. Return: 0, or why there is nothing to make, as cxl_plan(). */
static int make_and_attach(struct attachment *a, const struct cxl_request *request,
			   struct cxl_plan *plan, char *why, size_t why_size)
{
	struct cxl_ctx *cxl = cxl_open(a->s);
	struct claim claim;
	int rc = -ENOMEM;

	if (cxl)
		rc = cxl_plan(cxl, request, plan, why, why_size);
	cxl_unref(cxl);
	if (rc)
		return rc;
	if (a->dry_run) {
		step_make(a->s, a->answer, plan);
		step_attach(a->s, a->answer, NULL, a->name, plan->size);
		return 0;
	}
	rc = claim_plan(a->s, plan, &a->how, &claim);
	if (rc == -ENODATA) {
		report_blank(a, plan);
		a->skipped++;
	} else if (rc) {
		a->failed++;
		a->unsupported |= rc == -EOPNOTSUPP;
	} else {
		attached(a, claim.pool, &claim.result);
	}
	return 0;
}

static unsigned int ways_of(const struct attachment *a, unsigned int n_memdevs)
{
	return a->ways ? (unsigned int)atoi(a->ways) : n_memdevs;
}

/* Several devices that are named together are one interleaved pool. */
static void attach_memdevs(struct attachment *a, const char *const *memdevs, unsigned int n)
{
	/* Volatile first: see cxl_free_capacity(). */
	static const enum cxl_decoder_mode modes[] = { CXL_DECODER_MODE_RAM,
						       CXL_DECODER_MODE_PMEM };
	char why[2][256] = { "", "" };
	unsigned int i, made = 0;
	struct cxl_plan plan;

	for (i = 0; i < 2; i++) {
		const struct cxl_request request = {
			.mode = modes[i],
			.memdevs = memdevs,
			.n_memdevs = n,
			.ways = ways_of(a, n),
		};

		if (type_fits(a, modes[i]) &&
		    !make_and_attach(a, &request, &plan, why[i], sizeof(why[i])))
			made++;
	}
	if (made)
		return;
	report_error(a->s, "make a CXL region of %s%s: %s%s%s", memdevs[0], n > 1 ? ", ..." : "",
		     why[0], *why[0] && *why[1] && strcmp(why[0], why[1]) ? "; " : "",
		     strcmp(why[0], why[1]) ? why[1] : "");
	report_fix(a->s, "cxl list -M shows the memory devices, hmemctl doctor what is wrong with "
		   "them; a device that is configured already is attached by its CXL region");
	a->failed++;
}

/* Devices that --all has not come to yet. */
struct remaining {
	const char *memdev[MAX_MEMDEVS];
	unsigned int n;
};

static bool can_have_both(struct cxl_memdev *memdev)
{
	return cxl_memdev_get_ram_size(memdev) && cxl_memdev_get_pmem_size(memdev) &&
	       cxl_path_decoders(memdev) > 1;
}

static void list_devices(struct cxl_ctx *cxl, bool only_both, struct remaining *r)
{
	struct cxl_memdev *memdev;

	r->n = 0;
	cxl_memdev_foreach(cxl, memdev)
		if (r->n < MAX_MEMDEVS && (!only_both || can_have_both(memdev)))
			r->memdev[r->n++] = cxl_memdev_get_devname(memdev);
}

static void cross_out(struct remaining *r, const struct cxl_plan *plan)
{
	unsigned int i, j, kept = 0;

	for (i = 0; i < r->n; i++) {
		bool used = false;

		for (j = 0; j < plan->ways; j++)
			used |= !strcmp(r->memdev[i], plan->device[j].memdev);
		if (!used)
			r->memdev[kept++] = r->memdev[i];
	}
	r->n = kept;
}

/*
 * Persistent before volatile: where both kinds share a window, a persistent region
 * then finds at least the room that it had. But on one device with both kinds the
 * volatile one has to come first, see cxl_free_capacity(), unless that takes away the
 * decoder that the persistent one needs.
 */
static void make_all(struct attachment *a, struct cxl_ctx *cxl)
{
	static const struct {
		enum cxl_decoder_mode mode;
		bool only_both;
	} pass[] = {
		{ CXL_DECODER_MODE_RAM, true },
		{ CXL_DECODER_MODE_PMEM, false },
		{ CXL_DECODER_MODE_RAM, false },
	};
	unsigned int i;

	for (i = 0; i < sizeof(pass) / sizeof(pass[0]); i++) {
		struct remaining r;

		if (!type_fits(a, pass[i].mode) || (pass[i].only_both && a->dry_run))
			continue;
		list_devices(cxl, pass[i].only_both, &r);
		while (r.n) {
			const struct cxl_request request = {
				.mode = pass[i].mode,
				.memdevs = r.memdev,
				.n_memdevs = r.n,
			};
			struct cxl_plan plan;
			char why[256];

			int rc = make_and_attach(a, &request, &plan, why, sizeof(why));

			if (rc == -EBUSY || rc == -ENXIO) {
				report_warning(a->s, "%s", why);
				a->skipped++;
			}
			if (rc)
				break;
			cross_out(&r, &plan);
		}
	}
}

static void attach_all(struct attachment *a, struct cxl_ctx *cxl)
{
	a->how.only_formatted = true;
	attach_all_existing(a, cxl);
	make_all(a, cxl);
}

/* --- the verbs --------------------------------------------------------------- */

static bool is_memdev(const char *name)
{
	return !strncmp(name, "mem", 3) && isdigit((unsigned char)name[3]);
}

static bool is_number(const char *text, unsigned int most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	return isdigit((unsigned char)*text) && !*end && value <= most;
}

static int check(const struct attachment *a, const struct usage *usage, int n, char **source)
{
	const struct session *s = a->s;
	bool ram = n && !strcmp(source[0], "ram");
	int i;

	if (a->all && n)
		return options_bad(s, usage, "--all takes no source");
	if (a->all && (a->name || a->format || a->ways))
		return options_bad(s, usage, "--all goes without --name, --format and --ways: name "
				   "one source");
	if (!a->all && !n)
		return options_bad(s, usage, "which source? a CXL region, a memory device, ram, or "
				   "--all");
	if (a->type && strcmp(a->type, "ram") && strcmp(a->type, "pmem"))
		return options_bad(s, usage, "%s is no type: ram or pmem", a->type);
	if (a->ways && (!is_number(a->ways, CXL_MAX_WAYS) || !atoi(a->ways)))
		return options_bad(s, usage, "%s is no number of devices: 1 to %d", a->ways,
				   CXL_MAX_WAYS);
	for (i = 1; i < n; i++)
		if (!is_memdev(source[0]) || !is_memdev(source[i]))
			return options_bad(s, usage, "several sources: only memory devices, to "
					   "interleave");
	if (!ram)
		return a->size || a->node ? options_bad(s, usage, "--size and --node are for ram; "
							"CXL memory is taken whole") : 0;
	if (!a->size || !a->name)
		return options_bad(s, usage, "ram needs --size and --name");
	if (!size_is_valid(a->size) || !strcmp(a->size, "all"))
		return options_bad(s, usage, "%s is no size of system RAM", a->size);
	if (a->node && !is_number(a->node, 65535))
		return options_bad(s, usage, "%s is no NUMA node", a->node);
	return 0;
}

static int attach_sources(struct attachment *a, int n, char **source)
{
	struct cxl_ctx *cxl;

	if (n && !strcmp(source[0], "ram"))
		return attach_ram(a);
	cxl_make_ready(a->s);
	cxl = cxl_open(a->s);
	if (!cxl)
		return EXIT_FAILED;
	if (a->all)
		attach_all(a, cxl);
	else if (is_memdev(source[0]))
		attach_memdevs(a, (const char *const *)source, (unsigned int)n);
	else
		attach_region(a, cxl, source[0]);
	cxl_unref(cxl);
	if (a->unsupported)
		return EXIT_UNSUPPORTED;
	return a->failed ? EXIT_FAILED : EXIT_DONE;
}

int verb_attach_pool(struct session *s, int argc, char **argv)
{
	struct attachment a = { .s = s };
	const struct option_line lines[] = {
		{ OPTION_FLAG, 'a', "all", NULL,
		  "every CXL region and device; blank persistent ones are left alone", &a.all },
		{ OPTION_TEXT, 'N', "name", "POOL", "name of the pool; else the CXL region's",
		  &a.name },
		{ OPTION_TEXT, 's', "size", "SIZE", "ram: how much; 10% is of all system RAM",
		  &a.size },
		{ OPTION_TEXT, 'd', "node", "NODE", "ram: NUMA node to take it from", &a.node },
		{ OPTION_TEXT, 't', "type", "TYPE", "devices: only ram (volatile) or pmem", &a.type },
		{ OPTION_TEXT, 'w', "ways", "N", "devices: interleave over N of them", &a.ways },
		{ OPTION_FLAG, 0, "format", NULL, "format it, whatever it holds; all is lost",
		  &a.format },
		{ OPTION_FLAG, 0, "take-over", NULL,
		  "although another host did not detach it", &a.take_over },
		OPTION_DRY_RUN(&a.dry_run),
		OPTION_HUMAN(s),
		OPTION_VERBOSE(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = {
		"REGION|MEMDEV... [--name POOL] [--type ram|pmem] [--ways N] [--format]\n"
		"                           [--take-over]\n"
		"       hmemctl attach-pool --all [--type ram|pmem] [--take-over]\n"
		"       hmemctl attach-pool ram --size SIZE --name POOL [--node NODE]", lines };
	int first, rc = options_parse(s, &usage, argc, argv, &first);

	if (rc >= 0)
		return rc;
	rc = check(&a, &usage, argc - first, argv + first);
	if (rc)
		return rc;
	if (claim_begin(s))
		return EXIT_FAILED;
	a.how.name = a.name;
	a.how.flags = (a.format ? HMEM_POOL_FORMAT : 0) |
		      (a.take_over ? HMEM_POOL_TAKE_OVER : 0) |
		      (a.dry_run ? HMEM_POOL_CHECK : 0);
	a.answer = json_object_new_array();
	rc = attach_sources(&a, argc - first, argv + first);
	if (a.dry_run)
		report_count(s, "would take %zu steps", json_object_array_length(a.answer));
	else
		report_count(s, "attached %u pool%s, %u passed over, %u failed", a.done,
			     a.done == 1 ? "" : "s", a.skipped, a.failed);
	if (!a.dry_run)
		report_withheld(&a);
	if (json_print(s, a.answer))
		return EXIT_FAILED;
	return rc;
}

static int detach(struct session *s, const char *name, bool release, bool dry_run,
		  struct json_object *array)
{
	struct hmem_pool_info info = { .size = sizeof(info) };
	int rc = hmem_pool_get_info(s->hmem, name, &info);

	if (!rc && !dry_run)
		rc = hmem_pool_detach(s->hmem, name);
	if (rc)
		return report_library(s, rc);
	json_object_array_add(array, json_pool(s, &info));
	if (release && *info.source && !dry_run && cxl_teardown(s, info.source))
		return EXIT_FAILED;
	return EXIT_DONE;
}

int verb_detach_pool(struct session *s, int argc, char **argv)
{
	bool dry_run = false, release = false;
	const struct option_line lines[] = {
		{ OPTION_FLAG, 'r', "release", NULL,
		  "remove the CXL region as well; a persistent device keeps its data", &release },
		OPTION_DRY_RUN(&dry_run),
		OPTION_HUMAN(s),
		OPTION_VERBOSE(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "POOL... [--release] [--dry-run] [-u] [-v]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first), worst = EXIT_DONE;
	struct json_object *array;
	size_t n;

	if (code >= 0)
		return code;
	if (first == argc)
		return options_bad(s, &usage, "which pool?");
	/* Between detaching and removing nobody may attach it. */
	if (release && !dry_run && claim_begin(s))
		return EXIT_FAILED;
	array = json_object_new_array();
	for (; first < argc; first++) {
		code = detach(s, argv[first], release, dry_run, array);
		if (code)
			worst = code;
	}
	n = json_object_array_length(array);
	report_count(s, "%s %zu pool%s", dry_run ? "would detach" : "detached", n,
		     n == 1 ? "" : "s");
	code = json_print(s, array);
	return worst ? worst : code;
}
