// SPDX-License-Identifier: GPL-2.0-only
/*
 * What sysfs says of withheld regions: a directory for each pool that has something of one,
 * /sys/class/hmem_withheld/POOL:REGION. Here that is one object for each region.
 */
#include "withheld.h"

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "report.h"
#include "sysfs.h"

#define CLASS	"/sys/class/hmem_withheld"

/* An attribute; "" when the region appeared, or went, just now. */
static const char *text_of(char *text, size_t size, const char *entry, const char *attribute)
{
	if (sysfs_read(text, size, CLASS "/%s/%s", entry, attribute))
		text[0] = 0;
	return text;
}

static struct json_object *words(char *text)
{
	struct json_object *array = json_object_new_array();
	char *word;

	while ((word = strsep(&text, " ")))
		if (*word)
			json_object_array_add(array, json_object_new_string(word));
	return array;
}

static const char *member(struct json_object *o, const char *key)
{
	return json_object_get_string(json_object_object_get(o, key));
}

/* The object of a region that another pool has told of already; NULL: there is none. */
static struct json_object *find(struct json_object *array, const char *uuid)
{
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		struct json_object *o = json_object_array_get_idx(array, i);

		if (json_object_object_get(o, "state") && !strcmp(member(o, "uuid"), uuid))
			return o;
	}
	return NULL;
}

static struct json_object *describe(const struct session *s, const char *entry, const char *region,
				    const char *uuid)
{
	struct json_object *o = json_object_new_object();
	char text[4096];
	uint64_t bytes = 0;

	json_text(o, "region", region);
	json_text(o, "state", "withheld");
	json_text(o, "why", text_of(text, sizeof(text), entry, "why"));
	json_object_object_add(o, "pools", json_object_new_array());
	text_of(text, sizeof(text), entry, "missing");
	json_object_object_add(o, "missing_pools", words(text));
	sysfs_read_u64(&bytes, CLASS "/%s/size", entry);
	json_size(s, o, "size", bytes);
	json_flag(o, "persistent", true);
	json_text(o, "uuid", uuid);
	json_text(o, "device", NULL);
	return o;
}

static bool is_asked_for(const char *wanted, const char *found)
{
	return !wanted || !strcmp(wanted, found);
}

unsigned int withheld_add(const struct session *s, const char *name, const char *pool,
			  struct json_object *array)
{
	char region[HMEM_NAME_MAX + 1], holder[HMEM_NAME_MAX + 1], uuid[64];
	struct names entries = { 0 };
	unsigned int added = 0;

	if (name && !strncmp(name, "hmem:", 5))
		name += 5;
	if (sysfs_names(&entries, "", CLASS))
		return 0;
	for (size_t i = 0; i < entries.n; i++) {
		const char *entry = entries.name[i];
		struct json_object *o;

		text_of(region, sizeof(region), entry, "region");
		text_of(holder, sizeof(holder), entry, "pool");
		text_of(uuid, sizeof(uuid), entry, "uuid");
		if (!*region || !*holder || !*uuid || !is_asked_for(name, region) ||
		    !is_asked_for(pool, holder))
			continue;
		o = find(array, uuid);
		if (!o) {
			o = describe(s, entry, region, uuid);
			json_object_array_add(array, o);
			added++;
		}
		json_object_array_add(json_object_object_get(o, "pools"),
				      json_object_new_string(holder));
	}
	names_free(&entries);
	return added;
}

/* The members of an array with a space between, as far as there is room. */
static void join(char *text, size_t size, struct json_object *array)
{
	size_t used = 0;

	text[0] = 0;
	for (size_t i = 0; i < json_object_array_length(array) && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? " " : "",
			json_object_get_string(json_object_array_get_idx(array, i)));
}

static void explain(const struct session *s, struct json_object *o)
{
	const char *why = member(o, "why"), *region = member(o, "region");
	char missing[2048];

	if (!strcmp(why, "name")) {
		report_warning(s, "region %s is withheld: another region has its name", region);
		report_fix(s, "detach a pool of that one, and this one appears; to destroy one of them, "
			   "detach the pools of the other one first");
	} else if (!strcmp(why, "uuid")) {
		report_warning(s, "region %s is withheld: another region has its identity, %s, though it "
			       "is on none of its pools", region, member(o, "uuid"));
		report_fix(s, "detach the pool of that one, a copy or a forgery, and this one appears");
	} else if (!strcmp(why, "ready")) {
		report_warning(s, "region %s is withheld: there was no memory for it", region);
		report_fix(s, "detach a pool of it and attach it again");
	} else if (!strcmp(why, "broken")) {
		report_warning(s, "region %s is withheld: what its pools say of it contradicts each "
			       "other, one was put back from an older image", region);
		report_fix(s, "put the right one back, or hmemctl destroy-region %s", region);
	} else {
		join(missing, sizeof(missing), json_object_object_get(o, "missing_pools"));
		report_warning(s, "region %s is withheld: not attached: pool %s", region, missing);
		report_fix(s, "hmemctl attach-pool, or --all, brings them; if they are lost for good, "
			   "hmemctl destroy-region %s gives the others their room back", region);
	}
}

void withheld_explain(const struct session *s, struct json_object *array)
{
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		struct json_object *o = json_object_array_get_idx(array, i);

		if (json_object_object_get(o, "state"))
			explain(s, o);
	}
}
