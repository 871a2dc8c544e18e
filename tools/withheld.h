/* SPDX-License-Identifier: GPL-2.0-only */
/* Regions that nobody sees, as not all their pools are attached (Documentation/persistence.md). */
#ifndef HMEMCTL_WITHHELD_H
#define HMEMCTL_WITHHELD_H

#include <stdbool.h>

#include <json-c/json.h>

#include "hmemctl.h"

/**
 * withheld_add - append those regions to an array
 * @name: only those of this name, with or without "hmem:"; NULL: all
 * @pool: only those that this pool withholds; NULL: all
 *
 * Return: how many were added.
 */
unsigned int withheld_add(const struct session *s, const char *name, const char *pool,
			  struct json_object *array);

/** withheld_explain - say of each region in such an array what it waits for */
void withheld_explain(const struct session *s, struct json_object *array);

#endif
