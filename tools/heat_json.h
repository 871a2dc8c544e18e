/* SPDX-License-Identifier: GPL-2.0-only */
/* Heat as JSON. */
#ifndef HMEMCTL_HEAT_JSON_H
#define HMEMCTL_HEAT_JSON_H

#include <json-c/json.h>

#include "heat_samples.h"
#include "hmemctl.h"

/** heat_json - the last of @samples, with the @histogram of that time */
struct json_object *heat_json(const struct session *s, const struct heat_samples *samples,
			      const struct hmem_tier_histogram *histogram);

/** heat_json_cells - @nr cells from the region's beginning on, each of @bytes */
struct json_object *heat_json_cells(const struct session *s, const struct hmem_tier_cell *cells,
				    size_t nr, uint64_t bytes);

#endif
