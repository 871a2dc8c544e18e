// SPDX-License-Identifier: GPL-2.0-only
#include "json.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "sysfs.h"

bool json_is_text(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		unsigned int more = *at < 0x80 ? 0 : *at < 0xc2 ? 4 : *at < 0xe0 ? 1 : *at < 0xf0 ? 2 :
				    *at < 0xf5 ? 3 : 4;
		unsigned int low = *at == 0xe0 ? 0xa0 : *at == 0xf0 ? 0x90 : 0x80;
		unsigned int high = *at == 0xed ? 0x9f : *at == 0xf4 ? 0x8f : 0xbf;

		if (more == 4 || (more && (at[1] < low || at[1] > high)))
			return false;
		/* Terminals obey these, and JSON does not escape them. */
		if (*at == 0x7f || (*at == 0xc2 && at[1] < 0xa0))
			return false;
		for (unsigned int i = 2; i <= more; i++)
			if ((at[i] & 0xc0) != 0x80)
				return false;
		at += more + 1;
	}
	return true;
}

void json_text(struct json_object *o, const char *key, const char *value)
{
	json_object_object_add(o, key, value && json_is_text(value) ? json_object_new_string(value) : NULL);
}

void json_number(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

void json_fraction(struct json_object *o, const char *key, double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.3f", value);
	json_object_object_add(o, key, json_object_new_double_s(value, text));
}

void json_size(const struct session *s, struct json_object *o, const char *key, uint64_t bytes)
{
	char text[32];

	if (s->human)
		json_text(o, key, hmem_size_format(bytes, text, sizeof(text)));
	else
		json_number(o, key, bytes);
}

void json_flag(struct json_object *o, const char *key, bool value)
{
	json_object_object_add(o, key, json_object_new_boolean(value));
}

/* NULL where there is none: a volatile pool has no identity to come back with. */
void json_uuid(struct json_object *o, const char *key, const uint8_t uuid[16])
{
	static const uint8_t none[16];
	char text[40];

	if (!memcmp(uuid, none, sizeof(none))) {
		json_text(o, key, NULL);
		return;
	}
	snprintf(text, sizeof(text),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 uuid[0], uuid[1], uuid[2], uuid[3], uuid[4], uuid[5], uuid[6], uuid[7], uuid[8],
		 uuid[9], uuid[10], uuid[11], uuid[12], uuid[13], uuid[14], uuid[15]);
	json_text(o, key, text);
}

static void json_owner(const struct session *s, struct json_object *o, uid_t uid, gid_t gid)
{
	const struct passwd *user = s->human ? getpwuid(uid) : NULL;
	const struct group *group = s->human ? getgrgid(gid) : NULL;

	if (user)
		json_text(o, "owner", user->pw_name);
	else
		json_number(o, "owner", uid);
	if (group)
		json_text(o, "group", group->gr_name);
	else
		json_number(o, "group", gid);
}

void json_bytes(struct json_object *o, const char *key, const void *bytes, size_t n)
{
	const unsigned char *byte = bytes;
	char *text = malloc(2 * n + 1);

	for (size_t i = 0; text && i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", byte[i]);
	json_text(o, key, text);
	free(text);
}

/* What sysfs says beside the library: all pools of a region, and how it lies on them. */
static void json_pools(const struct session *s, struct json_object *o, const char *region)
{
	struct json_object *array = json_object_new_array();
	char text[4096], *rest = text, *word;
	uint64_t number;

	if (!sysfs_read(text, sizeof(text), "/sys/class/hmem/%s/pools", region))
		while ((word = strsep(&rest, " ")))
			if (*word)
				json_object_array_add(array, json_object_new_string(word));
	json_object_object_add(o, "pools", array);
	if (!sysfs_read_u64(&number, "/sys/class/hmem/%s/spread", region))
		json_flag(o, "spread", number);
	if (!sysfs_read_u64(&number, "/sys/class/hmem/%s/long_term_pins", region))
		json_flag(o, "long_term_pins", number);
	if (!sysfs_read_u64(&number, "/sys/class/hmem/%s/lost", region) && number)
		json_size(s, o, "lost_with_pools", number);
}

struct json_object *json_region(const struct session *s, const struct hmem_region_info *info)
{
	struct json_object *o = json_object_new_object();
	const char *name = info->name;
	char text[sizeof("/dev/hmem/") + HMEM_NAME_MAX];
	bool ours = !strncmp(name, "hmem:", 5);

	json_text(o, "region", ours ? name + 5 : name);
	json_text(o, "pool", *info->pool ? info->pool : NULL);
	if (ours)
		json_pools(s, o, name + 5);
	json_size(s, o, "size", info->bytes);
	json_flag(o, "persistent", info->caps & HMEM_CAP_PERSISTENT);
	json_owner(s, o, info->uid, info->gid);
	snprintf(text, sizeof(text), "%04o", (unsigned int)info->mode & 07777);
	json_text(o, "mode", text);
	json_object_object_add(o, "numa_node", json_object_new_int(info->nid));
	json_size(s, o, "granularity", info->granularity);
	json_number(o, "faults", info->faults);
	json_uuid(o, "uuid", info->uuid);
	snprintf(text, sizeof(text), "/dev/hmem/%.*s", HMEM_NAME_MAX, name + 5);
	json_text(o, "device", ours ? text : NULL);
	return o;
}

struct json_object *json_pool(const struct session *s, const struct hmem_pool_info *info)
{
	struct json_object *o = json_object_new_object();

	json_text(o, "pool", info->name);
	json_text(o, "provider", info->provider);
	json_text(o, "source", *info->source ? info->source : NULL);
	json_size(s, o, "size", info->bytes);
	json_size(s, o, "free", info->free_bytes);
	json_number(o, "regions", info->regions);
	json_flag(o, "persistent", info->persistent);
	json_object_object_add(o, "numa_node", json_object_new_int(info->nid));
	json_uuid(o, "uuid", info->uuid);
	return o;
}

int json_print(const struct session *s, struct json_object *array)
{
	const int flags = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
			  JSON_C_TO_STRING_NOSLASHESCAPE;
	int code = EXIT_DONE;

	if (puts(json_object_to_json_string_ext(array, flags)) == EOF || fflush(stdout)) {
		report_error(s, "write the answer to stdout: %s", strerror(errno));
		code = EXIT_FAILED;
	}
	json_object_put(array);
	return code;
}
