// SPDX-License-Identifier: GPL-2.0-only
/*
 * list-spaces: the spaces that running programs allocate from, and how full they are.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hmem/space.h>

#include "json.h"
#include "options.h"
#include "report.h"

struct listing {
	const struct session *s;
	struct json_object *array;
};

static struct json_object *layers_of(const char *names)
{
	struct json_object *array = json_object_new_array();
	char copy[HMEM_SPACE_LAYERS_MAX + 1], *rest = copy, *name;

	snprintf(copy, sizeof(copy), "%s", names);
	while ((name = strsep(&rest, "+")))
		if (json_is_text(name))
			json_object_array_add(array, json_object_new_string(name));
	return array;
}

static int add_space(void *arg, const struct hmem_space_seen *seen)
{
	struct json_object *o = json_object_new_object();
	const struct listing *l = arg;

	json_text(o, "space", seen->name);
	json_number(o, "pid", (uint64_t)seen->pid);
	json_text(o, "command", seen->command);
	json_object_object_add(o, "layers", layers_of(seen->layers));
	json_size(l->s, o, "size", seen->bytes);
	json_size(l->s, o, "limit", seen->limit);
	json_size(l->s, o, "used", seen->used);
	json_size(l->s, o, "peak", seen->peak);
	json_size(l->s, o, "granule", seen->granule);
	json_number(o, "interfaces", seen->interfaces);
	json_flag(o, "shared", seen->flags & HMEM_SPACE_SHARED);
	json_flag(o, "interleaved", seen->flags & HMEM_SPACE_INTERLEAVE);
	json_object_array_add(l->array, o);
	return 0;
}

static bool parse_pid(const char *text, int *pid)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	*pid = (int)n;
	return *text >= '0' && *text <= '9' && !*end && !errno && n > 0 && n <= INT_MAX;
}

int verb_list_spaces(struct session *s, int argc, char **argv)
{
	struct listing l = { .s = s };
	const struct option_line lines[] = {
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "[PID...] [-u]", lines };
	int first, pid, rc = options_parse(s, &usage, argc, argv, &first);
	size_t hidden = 0, n;

	if (rc >= 0)
		return rc;
	for (int i = first; i < argc; i++)
		if (!parse_pid(argv[i], &pid))
			return options_bad(s, &usage, "%s is no number of a process", argv[i]);
	l.array = json_object_new_array();
	rc = first < argc ? 0 : hmem_space_iterate(s->hmem, 0, add_space, &l, &hidden);
	for (int i = first; !rc && i < argc; i++) {
		parse_pid(argv[i], &pid);
		rc = hmem_space_iterate(s->hmem, pid, add_space, &l, NULL);
	}
	if (rc) {
		json_object_put(l.array);
		return report_library(s, rc);
	}
	n = json_object_array_length(l.array);
	report_count(s, "%zu space%s", n, n == 1 ? "" : "s");
	if (hidden)
		report_count(s, "%zu process%s of other users could not be looked at", hidden,
			     hidden == 1 ? "" : "es");
	return json_print(s, l.array);
}
