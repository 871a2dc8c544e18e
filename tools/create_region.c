// SPDX-License-Identifier: GPL-2.0-only
/*
 * create-region: from a size to a region, whatever stands between.
 *
 * Room is looked for in this order: pools that are attached; CXL regions that exist
 * and no pool has; CXL memory that nobody configured. What was done on the way is
 * undone when the region cannot be had in the end.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "claim.h"
#include "cxl_ready.h"
#include "json.h"
#include "options.h"
#include "over_pools.h"
#include "report.h"
#include "size_option.h"
#include "tier.h"

#define MAX_CXL_REGIONS 64

/* Default names are r0, r1, ...; nobody makes more of them by hand. */
#define MAX_DEFAULT_NAMES 10000

struct creation {
	struct session *s;
	const char *name;	/* NULL: a default one */
	const char *size;
	const char *pool;
	struct option_values pools;
	struct over_pools over;
	const char *type;	/* "ram", "pmem", NULL: either */
	unsigned int ways;
	struct hmem_region_options options;
	const char *near_max;	/* NULL: 0, as the module has it */
	struct hmem_tier_policy policy;
	unsigned int policy_flags;
	bool dry_run;
	struct json_object *steps;
};

/* --- which pool ------------------------------------------------------------- */

struct pick {
	const struct creation *c;
	struct hmem_pool_info pool;
	uint64_t bytes;
	bool found;
};

static bool type_fits(const char *type, bool persistent)
{
	return !type || !strcmp(type, persistent ? "pmem" : "ram");
}

/*
 * "all" means the pool with most to give; any other size the first pool with room,
 * volatile ones first, as the kernel does it.
 */
static int consider(void *arg, const struct hmem_pool_info *info)
{
	struct pick *pick = arg;
	const struct creation *c = pick->c;
	bool all = !strcmp(c->size, "all");
	uint64_t bytes;

	if (!type_fits(c->type, info->persistent) || (c->pool && strcmp(c->pool, info->name)))
		return 0;
	if (size_in_pool(c->size, info->bytes, info->free_bytes, &bytes) ||
	    bytes > info->free_bytes)
		return 0;
	if (pick->found && pick->pool.persistent <= info->persistent &&
	    (!all || pick->bytes >= bytes))
		return 0;
	pick->pool = *info;
	pick->bytes = bytes;
	pick->found = true;
	return 0;
}

static bool room_in(const struct creation *c, const char *pool, struct pick *pick)
{
	struct creation only = *c;

	only.pool = pool;
	*pick = (struct pick){ .c = &only };
	hmem_pool_iterate(c->s->hmem, consider, pick);
	pick->c = c;
	return pick->found;
}

/* --- getting a pool that has room ------------------------------------------- */

/* How much a claimed pool gives; in a dry run, from what the check said. */
static bool claim_has_room(const struct creation *c, const struct claim *claim, uint64_t capacity,
			   struct pick *pick)
{
	if (!c->dry_run)
		return room_in(c, claim->pool, pick);
	*pick = (struct pick){ .c = c };
	snprintf(pick->pool.name, sizeof(pick->pool.name), "%s", claim->pool);
	pick->pool.bytes = capacity;
	pick->pool.free_bytes = capacity;
	pick->found = !size_in_pool(c->size, capacity, capacity, &pick->bytes) &&
		      pick->bytes <= capacity;
	return pick->found;
}

/* Return: 1 when a pool with room was attached, 0 to look on, or a negative errno. */
static int use_existing(const struct creation *c, struct cxl_ctx *cxl, enum cxl_decoder_mode mode,
			struct claim *claim, struct pick *pick)
{
	struct cxl_region_state state[MAX_CXL_REGIONS];
	unsigned int i, n = cxl_region_states(cxl, state, MAX_CXL_REGIONS);
	const struct claim_how how = { .flags = c->dry_run ? HMEM_POOL_CHECK : 0 };

	for (i = 0; i < n; i++) {
		uint64_t capacity = state[i].size;

		if (state[i].mode != mode || !state[i].committed ||
		    claim_is_pool(c->s, state[i].name))
			continue;
		if (claim_region(c->s, &state[i], &how, claim)) {
			report_warning(c->s, "CXL region %s was passed over", state[i].name);
			continue;
		}
		if (claim->result.bytes)
			capacity = claim->result.bytes;
		if (claim_has_room(c, claim, capacity, pick)) {
			if (c->dry_run) {
				step_release(c->steps, &claim->released);
				step_attach(c->s, c->steps, state[i].name, claim->pool, capacity);
			}
			return 1;
		}
		if (!c->dry_run)
			claim_undo(c->s, claim);
	}
	return 0;
}

static int use_unconfigured(const struct creation *c, struct cxl_ctx *cxl,
			    enum cxl_decoder_mode mode, struct claim *claim, struct pick *pick,
			    char *why, size_t why_size)
{
	const struct cxl_request request = { .mode = mode, .ways = c->ways };
	const struct claim_how how = { 0 };
	struct cxl_plan plan;
	uint64_t least;
	int rc;

	if (cxl_plan(cxl, &request, &plan, why, why_size))
		return 0;
	/* Known to be too small before anything is touched. */
	if (size_in_pool(c->size, plan.size, plan.size, &least) || least > plan.size) {
		char text[32];

		snprintf(why, why_size, "the largest %s CXL region that can be made has %s",
			 cxl_kind(mode), hmem_size_format(plan.size, text, sizeof(text)));
		return 0;
	}
	if (c->dry_run) {
		*claim = (struct claim){ .made = true };
		step_make(c->s, c->steps, &plan);
		step_attach(c->s, c->steps, NULL, NULL, plan.size);
		return claim_has_room(c, claim, plan.size, pick) ? 1 : 0;
	}
	rc = claim_plan(c->s, &plan, &how, claim);
	if (rc)
		return rc;
	if (claim_has_room(c, claim, plan.size, pick))
		return 1;
	snprintf(why, why_size, "the %s CXL region that was made is too small by the pool's own "
		 "bookkeeping", cxl_kind(mode));
	claim_undo(c->s, claim);
	return 0;
}

static void report_no_room(const struct creation *c, const char *why_ram, const char *why_pmem)
{
	bool both = *why_ram && *why_pmem;

	report_error(c->s, "find %s%s for a region: no attached pool has room, and no CXL memory "
		     "can be set up: %s%s%s", c->size, c->type ? (*c->type == 'r' ?
		     " of volatile memory" : " of persistent memory") : "", why_ram,
		     both ? "; " : "", why_pmem);
	report_fix(c->s, "hmemctl list -P shows the pools, hmemctl doctor the CXL memory; several "
		   "devices make one larger pool with --ways N; without a device: hmemctl "
		   "attach-pool ram --size %s --name ram0", size_is_relative(c->size) ? "1G" :
		   c->size);
}

/* Return: as use_existing(), but 0 only after saying that there is nothing. */
static int set_up(const struct creation *c, struct claim *claim, struct pick *pick)
{
	static const enum cxl_decoder_mode modes[] = { CXL_DECODER_MODE_RAM,
						       CXL_DECODER_MODE_PMEM };
	char why[2][256] = { "", "" };
	struct cxl_ctx *cxl;
	unsigned int i;
	int rc = 0;

	cxl_make_ready(c->s);
	cxl = cxl_open(c->s);
	if (!cxl)
		return -ENOMEM;
	for (i = 0; !rc && i < 2; i++)
		if (type_fits(c->type, modes[i] == CXL_DECODER_MODE_PMEM))
			rc = use_existing(c, cxl, modes[i], claim, pick);
	for (i = 0; !rc && i < 2; i++)
		if (type_fits(c->type, modes[i] == CXL_DECODER_MODE_PMEM))
			rc = use_unconfigured(c, cxl, modes[i], claim, pick, why[i],
					      sizeof(why[i]));
	cxl_unref(cxl);
	if (!rc)
		report_no_room(c, why[0], why[1]);
	return rc;
}

/* --- the region itself ------------------------------------------------------ */

static int carve(const struct creation *c, const struct pick *pick, char name[HMEM_NAME_MAX + 1])
{
	struct hmem_region_options options = c->options;
	unsigned int i;
	int rc;

	options.pool = pick->pool.name;
	if (c->over.nr) {
		options.pool = NULL;
		options.pools = c->over.at;
		options.nr_pools = c->over.nr;
	}
	options.bytes = pick->bytes;
	if (c->name) {
		char full[300];

		snprintf(name, HMEM_NAME_MAX + 1, "%s", c->name);
		snprintf(full, sizeof(full), "hmem:%s", c->name);
		return hmem_region_create(c->s->hmem, full, &options, NULL);
	}
	for (i = 0; i < MAX_DEFAULT_NAMES; i++) {
		char full[32];

		snprintf(full, sizeof(full), "hmem:r%u", i);
		rc = hmem_region_create(c->s->hmem, full, &options, NULL);
		if (rc != -EEXIST) {
			snprintf(name, HMEM_NAME_MAX + 1, "%s", full + 5);
			return rc;
		}
	}
	return -EEXIST;
}

/* A region that does not get its policy is taken back. Return: exit code. */
static int give_policy(struct creation *c, const char *name)
{
	struct hmem_region *region = NULL;
	char full[300];
	int rc;

	if (!c->policy_flags)
		return EXIT_DONE;
	report_step(c->s, "set the policy of region %s", name);
	snprintf(full, sizeof(full), "hmem:%s", name);
	rc = hmem_region_open(c->s->hmem, full, 0, &region);
	if (!rc)
		rc = hmem_tier_set(region, &c->policy, c->policy_flags);
	hmem_region_close(region);
	if (!rc)
		return EXIT_DONE;
	rc = report_library(c->s, rc);
	hmem_region_destroy(c->s->hmem, full);
	return rc;
}

/* Of a region of @bytes. Return: exit code. */
static int find_near_max(struct creation *c, uint64_t bytes)
{
	if (!c->near_max || !tier_size_in_region(c->near_max, bytes, &c->policy.near_max))
		return EXIT_DONE;
	report_error(c->s, "create a region with a near_max of %s: that is less than an extent",
		     c->near_max);
	return EXIT_FAILED;
}

static void step_policy(struct creation *c)
{
	struct json_object *o = json_object_new_object();

	json_text(o, "step", "set-policy");
	json_text(o, "region", c->name);
	json_text(o, "policy", tier_mode_name(c->policy.mode));
	json_size(c->s, o, "near_max", c->policy.near_max);
	json_object_array_add(c->steps, o);
}

static void step_over(const struct creation *c, struct json_object *o)
{
	struct json_object *array = json_object_new_array();

	for (unsigned int i = 0; i < c->over.nr; i++)
		json_object_array_add(array, json_object_new_string(c->over.at[i]));
	json_object_object_add(o, "pools", array);
	json_flag(o, "spread", c->options.flags & HMEM_REGION_SPREAD);
	json_flag(o, "long_term_pins", c->options.flags & HMEM_REGION_PINS);
}

static int answer_dry_run(struct creation *c, const struct pick *pick)
{
	struct json_object *o = json_object_new_object();
	/* The kernel names a CXL region, and so the pool, when it is made. */
	const char *pool = *pick->pool.name ? pick->pool.name : NULL;

	json_text(o, "step", "create-region");
	json_text(o, "region", c->name);
	json_text(o, "pool", pool);
	if (c->over.nr)
		step_over(c, o);
	json_size(c->s, o, "size", pick->bytes);
	json_object_array_add(c->steps, o);
	if (c->policy_flags)
		step_policy(c);
	report_count(c->s, "would take %zu steps", json_object_array_length(c->steps));
	return json_print(c->s, json_object_get(c->steps));
}

static int answer(struct creation *c, const char *name)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	struct json_object *array;
	char full[300];
	int rc;

	snprintf(full, sizeof(full), "hmem:%s", name);
	rc = hmem_region_get_info_by_name(c->s->hmem, full, &info);
	if (rc)
		return report_library(c->s, rc);
	array = json_object_new_array();
	json_object_array_add(array, json_region(c->s, &info));
	report_count(c->s, "created 1 region");
	return json_print(c->s, array);
}

/* Before anything is set up for a region that cannot be had. Return: exit code. */
static int check_name(struct creation *c)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	char full[300];
	int rc;

	if (!c->name)
		return EXIT_DONE;
	snprintf(full, sizeof(full), "hmem:%s", c->name);
	rc = hmem_region_get_info_by_name(c->s->hmem, full, &info);
	if (rc == -ENOENT)
		return EXIT_DONE;
	if (rc)
		return report_library(c->s, rc);
	report_error(c->s, "create region %s: it exists", c->name);
	report_fix(c->s, "choose another name, or: hmemctl destroy-region %s", c->name);
	return EXIT_FAILED;
}

static int create(struct creation *c)
{
	char name[HMEM_NAME_MAX + 1];
	struct claim claim = { 0 };
	bool claimed = false;
	struct pick pick;
	int rc;

	rc = check_name(c);
	if (!rc && c->options.flags & (HMEM_REGION_SPREAD | HMEM_REGION_FILL))
		rc = over_pools_find(c->s, &c->pools, c->type, c->size, &c->over);
	if (rc)
		return rc;
	if (c->over.nr) {
		pick = (struct pick){ .c = c, .bytes = c->over.bytes, .found = true };
		snprintf(pick.pool.name, sizeof(pick.pool.name), "%s", c->over.name[0]);
	} else if (!room_in(c, c->pool, &pick)) {
		if (c->pool) {
			struct hmem_pool_info info = { .size = sizeof(info) };
			char text[32];

			rc = hmem_pool_get_info(c->s->hmem, c->pool, &info);
			if (rc)
				return report_library(c->s, rc);
			report_error(c->s, "carve %s out of pool %s: it has %s free%s", c->size,
				     c->pool, hmem_size_format(info.free_bytes, text, sizeof(text)),
				     type_fits(c->type, info.persistent) ? "" :
				     " and is not of that type");
			report_fix(c->s, "hmemctl list -p %s shows what is on it", c->pool);
			return EXIT_FAILED;
		}
		rc = set_up(c, &claim, &pick);
		if (rc <= 0)
			return rc == -EOPNOTSUPP ? EXIT_UNSUPPORTED : EXIT_FAILED;
		claimed = true;
	}
	rc = find_near_max(c, pick.bytes);
	if (!rc && c->dry_run)
		return answer_dry_run(c, &pick);
	if (rc) {
		if (claimed && !c->dry_run)
			claim_undo(c->s, &claim);
		return rc;
	}

	report_step(c->s, "carve region %s out of pool %s%s", c->name ? c->name : "(default name)",
		    pick.pool.name, c->over.nr > 1 ? " and others" : "");
	rc = carve(c, &pick, name);
	rc = rc ? report_library(c->s, rc) : give_policy(c, name);
	if (rc) {
		if (claimed)
			claim_undo(c->s, &claim);
		return rc;
	}
	return answer(c, name);
}

/* --- arguments -------------------------------------------------------------- */

static int find_owner(const struct session *s, const struct usage *usage, const char *text,
		      struct hmem_region_options *options)
{
	const struct passwd *user = getpwnam(text);
	char *end;
	unsigned long uid;

	if (user) {
		options->uid = user->pw_uid;
		if (options->gid == (gid_t)-1)
			options->gid = user->pw_gid;
		return 0;
	}
	uid = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || uid >= UINT32_MAX)
		return options_bad(s, usage, "no user %s", text);
	options->uid = (uid_t)uid;
	return 0;
}

static int find_group(const struct session *s, const struct usage *usage, const char *text,
		      struct hmem_region_options *options)
{
	const struct group *group = getgrnam(text);
	char *end;
	unsigned long gid;

	if (group) {
		options->gid = group->gr_gid;
		return 0;
	}
	gid = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || gid >= UINT32_MAX)
		return options_bad(s, usage, "no group %s", text);
	options->gid = (gid_t)gid;
	return 0;
}

static int find_mode(const struct session *s, const struct usage *usage, const char *text,
		     struct hmem_region_options *options)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (*text < '0' || *text > '7' || *end || mode > 0777 || !mode)
		return options_bad(s, usage, "%s is no mode: octal, 0001 to 0777", text);
	options->mode = (mode_t)mode;
	return 0;
}

static int find_ways(const struct session *s, const struct usage *usage, const char *text,
		     unsigned int *ways)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || !n || n > CXL_MAX_WAYS)
		return options_bad(s, usage, "%s is no number of devices: 1 to %d", text,
				   CXL_MAX_WAYS);
	*ways = (unsigned int)n;
	return 0;
}

int verb_create_region(struct session *s, int argc, char **argv)
{
	struct creation c = { .s = s, .options = HMEM_REGION_OPTIONS_INIT,
			      .policy.size = sizeof(c.policy) };
	const char *owner = NULL, *group = NULL, *mode = NULL, *ways = NULL, *policy = NULL;
	bool spread = false, fill = false, pins = false;
	const struct option_line lines[] = {
		{ OPTION_TEXT, 's', "size", "SIZE",
		  "64G, 1.5T, 50% of the pool, all that is free", &c.size },
		{ OPTION_MANY, 'p', "pool", "POOL",
		  "carve it out of this pool only; of these, with --spread or --fill", &c.pools },
		{ OPTION_FLAG, 'S', "spread", NULL, "interleave it over several pools", &spread },
		{ OPTION_FLAG, 'F', "fill", NULL, "fill one pool after the other", &fill },
		{ OPTION_FLAG, 'L', "long-term-pins", NULL,
		  "io_uring and RDMA may hold its pages for writing", &pins },
		{ OPTION_TEXT, 't', "type", "TYPE", "ram (volatile) or pmem (persistent)", &c.type },
		{ OPTION_TEXT, 'o', "owner", "USER", "owner of the device node", &owner },
		{ OPTION_TEXT, 'g', "group", "GROUP", "group; else the owner's", &group },
		{ OPTION_TEXT, 'm', "mode", "MODE", "permissions, octal; else 0600", &mode },
		{ OPTION_TEXT, 'w', "ways", "N", "interleave a new CXL region over N devices",
		  &ways },
		{ OPTION_TEXT, 'N', "near-max", "SIZE",
		  "most DRAM for near copies: 4G, 25% of the region; else 0", &c.near_max },
		{ OPTION_TEXT, 'P', "policy", "MODE", "off, manual or auto; else off", &policy },
		OPTION_DRY_RUN(&c.dry_run),
		OPTION_HUMAN(s),
		OPTION_VERBOSE(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = {
		"[NAME] --size SIZE [--pool POOL]... [--spread | --fill] [--type ram|pmem]\n"
		"                             [--long-term-pins] [--owner USER] [--group GROUP] [--mode MODE]\n"
		"                             [--ways N] [--near-max SIZE]\n"
		"                             [--policy off|manual|auto] [--dry-run] [-u] [-v]", lines };
	int first, rc = options_parse(s, &usage, argc, argv, &first);

	if (rc >= 0)
		return rc;
	if (argc - first > 1)
		return options_bad(s, &usage, "one region at a time");
	c.name = first < argc ? argv[first] : NULL;
	if (c.name && !strncmp(c.name, "hmem:", 5))
		c.name += 5;
	if (c.name && strchr(c.name, ':'))
		return options_bad(s, &usage, "%s: regions are made on hmem's pools only; a file is "
				   "made by fallocate -l SIZE PATH, and taken by its name", c.name);
	if (!c.size)
		return options_bad(s, &usage, "--size is missing");
	if (!size_is_valid(c.size))
		return options_bad(s, &usage, "%s is no size", c.size);
	if (c.type && strcmp(c.type, "ram") && strcmp(c.type, "pmem"))
		return options_bad(s, &usage, "%s is no type: ram or pmem", c.type);
	if (spread && fill)
		return options_bad(s, &usage, "--spread or --fill");
	if ((spread || fill) && ways)
		return options_bad(s, &usage, "--ways is for a new CXL region; --spread and --fill take "
				   "pools that are there");
	if (c.pools.nr > 1 && !spread && !fill)
		return options_bad(s, &usage, "several pools: with --spread or --fill");
	if (c.pools.nr > 32)
		return options_bad(s, &usage, "a region is on 32 pools at most");
	c.pool = c.pools.nr ? c.pools.value[0] : NULL;
	c.options.flags = (spread ? HMEM_REGION_SPREAD : 0) | (fill ? HMEM_REGION_FILL : 0) |
			  (pins ? HMEM_REGION_PINS : 0);
	rc = group ? find_group(s, &usage, group, &c.options) : 0;
	if (!rc && owner)
		rc = find_owner(s, &usage, owner, &c.options);
	if (!rc && mode)
		rc = find_mode(s, &usage, mode, &c.options);
	if (!rc && ways)
		rc = find_ways(s, &usage, ways, &c.ways);
	if (rc)
		return rc;
	if (c.near_max && !tier_size_is_valid(c.near_max))
		return options_bad(s, &usage, "%s is no size", c.near_max);
	if (policy && !tier_mode_of(policy, &c.policy.mode))
		return options_bad(s, &usage, "%s is no policy: off, manual or auto", policy);
	c.policy_flags = (c.near_max ? HMEM_TIER_SET_NEAR_MAX : 0) |
			 (policy ? HMEM_TIER_SET_MODE : 0);

	if (claim_begin(s))
		return EXIT_FAILED;
	c.steps = json_object_new_array();
	rc = create(&c);
	json_object_put(c.steps);
	return rc;
}
