/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shelves named on the command line, as REGION/SHELF: the shelf is what stands behind the
 * last slash.
 */
#ifndef HMEMCTL_SHELF_H
#define HMEMCTL_SHELF_H

#include <hmem/shelf.h>

#include "hmemctl.h"

struct json_object;
struct usage;

/**
 * struct shelf_place - a shelf that was named, and what is open of it
 * @name: the shelf's; @region_name: the region's
 */
struct shelf_place {
	const char *name;
	char region_name[4200];
	struct hmem_region *region;
	struct hmem_shelf *shelf;
};

/** shelf_place_parse - take REGION/SHELF apart. False when it is not that. */
bool shelf_place_parse(const char *text, struct shelf_place *place);

/**
 * shelf_place_only - the same of the one argument that a verb takes, from @first on
 *
 * Return: -1, or the exit code when bad usage has been reported.
 */
int shelf_place_only(const struct session *s, const struct usage *usage, int argc, char **argv,
		     int first, struct shelf_place *place);

/**
 * shelf_place_open - open it, to change it or to look
 *
 * To look, nothing is written, unless it has to be recovered first.
 *
 * Return: EXIT_DONE, or the exit code when the error has been reported.
 */
int shelf_place_open(const struct session *s, struct shelf_place *place, bool change);

/** shelf_place_try - the same with these options, to change it. Return: the library's answer. */
int shelf_place_try(const struct session *s, struct shelf_place *place,
		    const struct hmem_shelf_options *options);

/** json_shelf_name - add which shelf of which region: as texts, null when no UTF-8, and as bytes */
void json_shelf_name(struct json_object *o, const char *region, const char *shelf);

/** region_shown - a region's name as JSON has it */
const char *region_shown(const char *name);

/**
 * shelf_place_done - close what is open of it, and print @array
 * @code: of what came before
 *
 * Return: @code, or the exit code of what of this failed.
 */
int shelf_place_done(const struct session *s, struct shelf_place *place, struct json_object *array,
		     int code);

/** shelf_place_close - close what is open of it. Return: exit code, as above. */
int shelf_place_close(const struct session *s, struct shelf_place *place);

#endif
