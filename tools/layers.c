// SPDX-License-Identifier: GPL-2.0-only
/*
 * list-layers: the kinds of memory that a machine has, and what is known of each.
 */
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include <hmem/layer.h>

#include "json.h"
#include "layer_json.h"
#include "layer_list.h"
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

static void count(const struct session *s, size_t n)
{
	report_count(s, "%zu layer%s", n, n == 1 ? "" : "s");
}

static int list_json(const struct session *s, int initiator)
{
	struct listing l = { .s = s, .array = json_object_new_array() };
	int rc = hmem_layer_iterate(s->hmem, initiator, add_layer, &l);

	if (rc) {
		json_object_put(l.array);
		return report_library(s, rc);
	}
	count(s, json_object_array_length(l.array));
	return json_print(s, l.array);
}

/* What is drawn does not come out as UTF-8 where the locale has no such characters. */
static bool is_ascii(void)
{
	locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	bool ascii = !locale || strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") != 0;

	if (locale)
		freelocale(locale);
	return ascii;
}

static int list_drawn(const struct session *s, int initiator)
{
	struct layer_list list;
	int rc = layer_list_get(s->hmem, initiator, &list);

	if (rc)
		return report_library(s, rc);
	layer_draw(stdout, &list, is_ascii());
	count(s, list.n);
	layer_list_put(&list);
	return EXIT_DONE;
}

/* Each node with processors sees it in its own way: all of them, unless one was asked for. */
static int list_dot(const struct session *s, int initiator)
{
	struct layer_list *lists, first;
	size_t nr = 1;
	int rc = layer_list_get(s->hmem, initiator, &first);

	if (rc)
		return report_library(s, rc);
	lists = calloc(first.n + 1, sizeof(*lists));
	if (!lists) {
		layer_list_put(&first);
		report_error(s, "no memory for a graph");
		return EXIT_FAILED;
	}
	lists[0] = first;
	for (size_t i = 0; !rc && initiator < 0 && i < first.n; i++)
		if (first.at[i].kind <= HMEM_LAYER_PMEM && first.at[i].flags & HMEM_LAYER_CPUS &&
		    first.at[i].nid != first.initiator) {
			rc = layer_list_get(s->hmem, first.at[i].nid, &lists[nr]);
			nr += !rc;
		}
	if (rc) {
		rc = report_library(s, rc);
	} else {
		layer_dot(stdout, lists, nr);
		count(s, first.n);
	}
	while (nr)
		layer_list_put(&lists[--nr]);
	free(lists);
	return rc;
}

int verb_list_layers(struct session *s, int argc, char **argv)
{
	const char *sysroot = NULL, *from = NULL;
	bool draw = false, dot = false;
	const struct option_line lines[] = {
		{ OPTION_TEXT, 'f', "from", "NODE", "as the processors of this NUMA node see it",
		  &from },
		{ OPTION_TEXT, 0, "sysroot", "DIR", "look at the files of a machine captured there",
		  &sysroot },
		{ OPTION_FLAG, 'd', "draw", NULL, "draw them on a terminal", &draw },
		{ OPTION_FLAG, 0, "dot", NULL, "as a graph, for dot(1)", &dot },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "[-f NODE] [--sysroot DIR] [-d | --dot | -u]", lines };
	int first, initiator = -1, rc = options_parse(s, &usage, argc, argv, &first);

	if (rc >= 0)
		return rc;
	if (first < argc)
		return options_bad(s, &usage, "unexpected argument: %s", argv[first]);
	if (from && !node_parse(from, &initiator))
		return options_bad(s, &usage, "%s is no number of a NUMA node", from);
	if (draw + dot + s->human > 1)
		return options_bad(s, &usage, "--draw, --dot and -u are three forms; choose one");
	rc = hmem_ctx_set_sysroot(s->hmem, sysroot);
	if (rc)
		return report_library(s, rc);
	if (draw)
		return list_drawn(s, initiator);
	return dot ? list_dot(s, initiator) : list_json(s, initiator);
}
