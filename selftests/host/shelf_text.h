/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One shelf in each of the places, on which short texts are put.
 */
#ifndef SELFTESTS_HOST_SHELF_TEXT_H
#define SELFTESTS_HOST_SHELF_TEXT_H

#include "shelf_place.h"

static struct hmem_shelf *shelf;

static inline int show(void *arg, const struct hmem_shelf_finding *finding)
{
	(void)arg;
	tap_diag("%s at %#llx, %s: %s", finding->part, (unsigned long long)finding->offset,
		 finding->name ? finding->name : "-", finding->text);
	return 0;
}

static inline bool is_fine(void)
{
	return !hmem_shelf_check(shelf, show, NULL);
}

static inline struct hmem_shelf_info info(void)
{
	struct hmem_shelf_info info = { .size = sizeof(info) };

	need(hmem_shelf_get_info(shelf, &info), "info");
	return info;
}

/* Does the name have this text? NULL: is there none? */
static inline bool has(const char *name, const char *text)
{
	char buffer[256];
	size_t length;
	int err = hmem_shelf_read(shelf, name, buffer, sizeof(buffer), &length);

	if (!text || err)
		return !text && err == -ENOENT;
	return length == strlen(text) && !memcmp(buffer, text, length);
}

static inline void put(const char *name, const char *text)
{
	need(hmem_shelf_put(shelf, name, text, strlen(text), NULL), "put");
}

static inline struct hmem_tx *begin(void)
{
	struct hmem_tx *tx;

	need(hmem_tx_begin(shelf, &tx), "begin");
	return tx;
}

static inline struct hmem_region *text_begin(enum place place, bool ordered)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_region *region = place_new(place, 16 * MI);

	tap_diag("in %s%s", place_names[place], ordered ? ", ordered" : "");
	options.bytes = 6 * MI;
	options.max_bytes = 8 * MI;
	options.flags = ordered ? HMEM_SHELF_ORDERED : 0;
	need(hmem_shelf_create(region, "tx", &options, &shelf), "create");
	return region;
}

#endif
