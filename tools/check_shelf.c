// SPDX-License-Identifier: GPL-2.0-only
/*
 * check-shelf: what is wrong with a shelf; and, with --repair, what is left of it.
 *
 * A repair recovers the shelf from its records, all of which certify themselves, and looks
 * at it once more.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "json.h"
#include "object.h"
#include "options.h"
#include "report.h"
#include "shelf.h"

/* @state: of what is found now */
struct findings {
	const struct session *s;
	const struct shelf_place *place;
	const char *state;
	struct json_object *array;
	size_t nr;
};

static int add_finding(void *arg, const struct hmem_shelf_finding *finding)
{
	struct findings *f = arg;
	struct json_object *o = json_object_new_object();

	json_shelf_name(o, f->place->region_name, f->place->name);
	json_text(o, "state", f->state);
	json_text(o, "part", finding->part);
	json_number(o, "offset", finding->offset);
	if (finding->name) {
		json_object_name(o, finding->name, strlen(finding->name));
	} else {
		json_text(o, "object", NULL);
		json_text(o, "name_hex", NULL);
	}
	json_text(o, "text", finding->text);
	json_object_array_add(f->array, o);
	f->nr++;
	return 0;
}

/* Open it alone, look, close it. 0, -EUCLEAN when something was found, or why it cannot be. */
static int look(struct findings *f, struct shelf_place *place, unsigned int flags,
		const char *while_opening, const char *when_open)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	size_t before = f->nr;
	int rc, closed;

	options.flags = HMEM_SHELF_EXCLUSIVE | flags;
	options.found = add_finding;
	options.found_arg = f;
	f->state = while_opening;
	rc = shelf_place_try(f->s, place, &options);
	/* Who may not change it can still look, and others may change it meanwhile. */
	if ((rc == -EACCES || rc == -EROFS || rc == -EPERM) && !flags) {
		report_warning(f->s, "%s; looking only, which takes updates under way for damage",
			       hmem_last_error(f->s->hmem));
		options.flags = HMEM_SHELF_READ_ONLY;
		rc = shelf_place_try(f->s, place, &options);
	}
	if (rc)
		return rc;
	f->state = when_open;
	rc = hmem_shelf_check(place->shelf, add_finding, f);
	/* A shelf on which something is wrong need not let itself be left clean. */
	closed = hmem_shelf_close(place->shelf);
	hmem_region_close(place->region);
	if (!rc && closed)
		rc = closed;
	return !rc && f->nr > before ? -EUCLEAN : rc;
}

int verb_check_shelf(struct session *s, int argc, char **argv)
{
	bool repair = false;
	const struct option_line lines[] = {
		{ OPTION_FLAG, 'r', "repair", NULL, "give up what is damaged, save the rest", &repair },
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "REGION/SHELF [--repair]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first), rc;
	struct shelf_place place;
	struct findings f = { .s = s, .place = &place };
	size_t found;

	if (code < 0)
		code = shelf_place_only(s, &usage, argc, argv, first, &place);
	if (code >= 0)
		return code;
	f.array = json_object_new_array();
	rc = look(&f, &place, 0, "found", "found");
	found = f.nr;
	if (rc && (rc != -EUCLEAN || !found))
		report_library(s, rc);
	if (rc == -EUCLEAN && repair) {
		rc = look(&f, &place, HMEM_SHELF_REPAIR, "lost", "left");
		if (rc && (rc != -EUCLEAN || found == f.nr))
			report_library(s, rc);
	}
	if (found || !rc)
		report_count(s, "%zu violation%s%s", found, found == 1 ? "" : "s",
			     !repair || !found ? "" : rc ? ", and something was lost, or is left" :
							   ", all repaired, nothing lost");
	if (rc == -EUCLEAN && !repair)
		report_fix(s, "hmemctl check-shelf --repair %s", argv[first]);
	code = json_print(s, f.array);
	return rc == -EOPNOTSUPP ? EXIT_UNSUPPORTED : rc ? EXIT_FAILED : code;
}
