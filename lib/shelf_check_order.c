// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Checking the order of names of an ordered shelf against the index, level by level.
 */
#include <inttypes.h>
#include <string.h>

#include "shelf_check.h"
#include "shelf_ordered.h"

/* Nodes of one level, each behind the one before. @counts: nodes of each height. */
static bool check_level(struct check *check, unsigned int level, uint64_t counts[])
{
	struct hmem_shelf *shelf = check->shelf;
	uint64_t at = shelf->runtime->ordered_head, record;
	struct ordered_view last = { 0 }, view;
	bool first = true;

	for (; at; at = node_offset(view.node->next[level]), last = view, first = false) {
		if (!shelf_reach(shelf, at) || !ordered_look(shelf, at, &view) ||
		    view.height <= level) {
			check_found(check, "order", at, NULL, "level %u leads to what is no node",
				    level);
			return false;
		}
		if (!level && !check_claim(check, "order", at, view.granules, NULL, "a node"))
			return false;
		memcpy(check->name, node_name(&view), view.name_bytes);
		check->name[view.name_bytes] = '\0';
		if (first ? view.name_bytes
			  : strncmp(node_name(&last), check->name, last.name_bytes) > 0) {
			check_found(check, "order", at, check->name,
				    "it is out of order on level %u", level);
			return false;
		}
		/* What is only in the way is no name. */
		if (view.node->link & NODE_LEFT)
			continue;
		if (!first && !level && last.name_bytes == view.name_bytes &&
		    !memcmp(node_name(&last), check->name, view.name_bytes))
			check_found(check, "order", at, check->name, "it is there twice");
		if (!first && !level &&
		    object_find(shelf, check->name, view.name_bytes, NULL, &record) != 1)
			check_found(check, "order", at, check->name, "the index does not have it");
		if (!level)
			counts[view.height]++;
		counts[0]++;
	}
	return true;
}

void check_taken_out(struct check *check, uint64_t first)
{
	struct ordered_view view;

	for (uint64_t at = first; at; at = node_offset(view.node->link))
		if (!ordered_look(check->shelf, at, &view) ||
		    !check_claim(check, "order", at, view.granules, NULL,
				 "a node that was taken out"))
			break;
}

void check_order(struct check *check)
{
	struct hmem_shelf *shelf = check->shelf;
	uint64_t counts[ORDERED_LEVELS + 1] = { 0 }, expected;

	if (!shelf_is_ordered(shelf) || !check_level(check, 0, counts))
		return;
	expected = counts[0];
	if (expected - 1 != check->objects)
		check_found(check, "order", shelf->runtime->ordered_head, NULL,
			    "it has %" PRIu64 " names, the index %" PRIu64, expected - 1,
			    check->objects);
	for (unsigned int level = 1; level < ORDERED_LEVELS; level++) {
		expected -= counts[level];
		counts[0] = 0;
		if (!check_level(check, level, counts))
			return;
		if (counts[0] != expected)
			check_found(check, "order", shelf->runtime->ordered_head, NULL,
				    "level %u has %" PRIu64 " nodes instead of %" PRIu64, level,
				    counts[0], expected);
	}
	check_taken_out(check, shelf->runtime->ordered_limbo);
}
