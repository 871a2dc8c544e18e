// SPDX-License-Identifier: GPL-2.0-only
/*
 * keep-range and release-range: a part of a region stays in DRAM, or out of it, whatever the
 * policy says. It is not called a pin, as pages are pinned by those who hold them.
 */
#include <errno.h>
#include <string.h>

#include "json.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "tier.h"

/* Kept by one call: some hundredths of a second, between two looks at the progress. */
#define AT_ONCE (64ULL << 20)

/*
 * struct keep - what is asked for
 * @release: let it go, wherever it is kept
 * @next: up to there it was done
 */
struct keep {
	struct tier_range range;
	enum hmem_tier_place place;
	bool release;
	uint64_t next;
};

static int keep_all(struct session *s, struct hmem_region *region, struct keep *keep)
{
	struct progress progress;
	int rc = 0;

	progress_begin(&progress, s, keep->range.to - keep->range.from);
	while (!rc && keep->next < keep->range.to) {
		uint64_t left = keep->range.to - keep->next;

		rc = hmem_tier_keep(region, keep->next, left < AT_ONCE ? left : AT_ONCE,
				    keep->place, &keep->next);
		progress_show(&progress, keep->next - keep->range.from);
	}
	progress_end(&progress);
	return rc;
}

static int print_range(const struct session *s, const char *name, const struct keep *keep)
{
	struct json_object *array = json_object_new_array(), *o = json_object_new_object();

	json_text(o, "region", name);
	json_text(o, "kept", keep->release ? NULL : tier_place_name(keep->place));
	json_size(s, o, "offset", keep->range.from);
	json_size(s, o, "bytes", keep->range.to - keep->range.from);
	json_object_array_add(array, o);
	return json_print(s, array);
}

/* What of it is kept although the whole is not. */
static void report_part(const struct session *s, const char *name, const struct keep *keep,
			int error)
{
	uint64_t done = keep->next - keep->range.from;
	char size[32];

	if (done) {
		report_warning(s, "%s of it, from offset %llu on, are kept %s",
			       hmem_size_format(done, size, sizeof(size)),
			       (unsigned long long)keep->range.from, tier_place_name(keep->place));
		report_fix(s, "hmemctl release-range %s --offset %llu --bytes %llu lets them go",
			   name, (unsigned long long)keep->range.from, (unsigned long long)done);
	}
	if (error == -EDQUOT)
		report_fix(s, "hmemctl set-policy %s --near-max SIZE raises near_max", name);
}

static int keep_range(struct session *s, struct hmem_region *region, void *arg)
{
	struct hmem_region_info info = { .size = sizeof(info) };
	struct keep *keep = arg;
	int code, rc = hmem_region_get_info(region, &info);

	/* Where there are no near copies, ranges do not matter. */
	if (!rc && strncmp(info.name, "hmem:", 5))
		rc = hmem_tier_release(region, 0, 0);
	if (rc)
		return report_library(s, rc);
	rc = tier_find_range(s, &info, keep->release ? "release" : "keep", &keep->range);
	if (rc)
		return rc;
	keep->next = keep->range.from;
	rc = keep->release ? hmem_tier_release(region, keep->range.from,
					       keep->range.to - keep->range.from) :
			     keep_all(s, region, keep);
	if (!rc)
		return print_range(s, tier_name(&info), keep);
	code = report_library(s, rc);
	if (!keep->release)
		report_part(s, tier_name(&info), keep, rc);
	return code;
}

int verb_keep_range(struct session *s, int argc, char **argv)
{
	static const struct tier_places texts = {
		"in DRAM, which counts against near_max",
		"in the region's own memory alone", "where" };
	struct keep keep = { .release = false };
	int first, rc = tier_parse(s, argc, argv, &texts, &keep.range, &keep.place, &first);

	if (rc >= 0)
		return rc;
	return tier_on_region(s, argv[first], 0, keep_range, &keep);
}

int verb_release_range(struct session *s, int argc, char **argv)
{
	struct keep keep = { .release = true };
	const struct option_line lines[] = {
		TIER_RANGE_OPTIONS(&keep.range),
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "NAME [--offset SIZE] [--bytes SIZE] [-u]", lines };
	int first, rc = options_parse_one(s, &usage, argc, argv, &first, "region");

	if (rc < 0)
		rc = tier_check_range(s, &usage, &keep.range);
	return rc < 0 ? tier_on_region(s, argv[first], 0, keep_range, &keep) : rc;
}
