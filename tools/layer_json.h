/* SPDX-License-Identifier: GPL-2.0-only */
/* What is told of a layer. */
#ifndef HMEMCTL_LAYER_JSON_H
#define HMEMCTL_LAYER_JSON_H

#include <hmem/layer.h>

#include "json.h"

/** json_layer - everything known of one layer: each figure, and beside it where it comes from */
struct json_object *json_layer(const struct session *s, const struct hmem_layer_info *info);

#endif
