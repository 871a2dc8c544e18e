/* SPDX-License-Identifier: GPL-2.0-only */
/* Bad memory of regions: what other verbs need of it. */
#ifndef HMEMCTL_POISON_H
#define HMEMCTL_POISON_H

#include <json-c/json.h>

#include "hmemctl.h"

/** poison_show - add how much of a region is lost, null where that cannot be asked */
void poison_show(struct session *s, struct json_object *o, const struct hmem_region_info *info);

#endif
