/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What goes to stdout: one JSON array. -u changes how a value is written (a size
 * becomes "64.00 GiB", a uid a user's name), never which members there are.
 */
#ifndef HMEMCTL_JSON_H
#define HMEMCTL_JSON_H

#include <json-c/json.h>

#include "hmemctl.h"

/** json_is_text - UTF-8, and nothing else is text in JSON; without DEL and U+0080 to U+009F */
bool json_is_text(const char *text);

/** json_text - add it; null when there is none, or it is no text */
void json_text(struct json_object *o, const char *key, const char *value);
void json_number(struct json_object *o, const char *key, uint64_t value);
/** json_fraction - a number with three digits behind the point */
void json_fraction(struct json_object *o, const char *key, double value);
void json_size(const struct session *s, struct json_object *o, const char *key, uint64_t bytes);

void json_flag(struct json_object *o, const char *key, bool value);
void json_uuid(struct json_object *o, const char *key, const uint8_t uuid[16]);

/** json_bytes - as hexadecimal digits */
void json_bytes(struct json_object *o, const char *key, const void *bytes, size_t n);

/** json_region - everything known of one region */
struct json_object *json_region(const struct session *s, const struct hmem_region_info *info);

/** json_pool - everything known of one pool */
struct json_object *json_pool(const struct session *s, const struct hmem_pool_info *info);

/** json_print - write @array to stdout and let it go. Return: exit code. */
int json_print(const struct session *s, struct json_object *array);

#endif
