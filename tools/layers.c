// SPDX-License-Identifier: GPL-2.0-only
/*
 * list-layers: the kinds of memory that a machine has, and what is known of each.
 */
#include <hmem/layer.h>

#include "json.h"
#include "layer_json.h"
#include "node_option.h"
#include "options.h"
#include "report.h"

struct listing {
	const struct session *s;
	struct json_object *array;
};

static int add_layer(void *arg, const struct hmem_layer_info *info)
{
	struct listing *l = arg;

	json_object_array_add(l->array, json_layer(l->s, info));
	return 0;
}

int verb_list_layers(struct session *s, int argc, char **argv)
{
	const char *sysroot = NULL, *from = NULL;
	const struct option_line lines[] = {
		{ OPTION_TEXT, 'f', "from", "NODE", "as the processors of this NUMA node see it",
		  &from },
		{ OPTION_TEXT, 0, "sysroot", "DIR", "look at the files of a machine captured there",
		  &sysroot },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "[-f NODE] [--sysroot DIR] [-u]", lines };
	struct listing l = { .s = s };
	int first, initiator = -1, rc = options_parse(s, &usage, argc, argv, &first);

	if (rc >= 0)
		return rc;
	if (first < argc)
		return options_bad(s, &usage, "unexpected argument: %s", argv[first]);
	if (from && !node_parse(from, &initiator))
		return options_bad(s, &usage, "%s is no number of a NUMA node", from);
	rc = hmem_ctx_set_sysroot(s->hmem, sysroot);
	if (rc)
		return report_library(s, rc);
	l.array = json_object_new_array();
	rc = hmem_layer_iterate(s->hmem, initiator, add_layer, &l);
	if (rc) {
		json_object_put(l.array);
		return report_library(s, rc);
	}
	report_count(s, "%zu layer%s", json_object_array_length(l.array),
		     json_object_array_length(l.array) == 1 ? "" : "s");
	return json_print(s, l.array);
}
