// SPDX-License-Identifier: GPL-2.0-only
/*
 * A shelf so full that, when it is recovered, there is no room to put its names in order:
 * it opens without an order, nothing is out of reach, and it is put in order as soon as
 * something has been deleted. That it was not ordered when it was filled is what makes it so.
 */
#include <hmem/hmem.h>

#include "shelf_crc.h"

static struct hmem_ctx *ctx;
static struct hmem_region *region;
static struct hmem_shelf *shelf;
static char path[64], region_name[80];

static void need(int err, const char *what)
{
	if (err)
		tap_bail("%s: %d: %s", what, err, hmem_last_error(ctx));
}

static struct hmem_shelf_info info(void)
{
	struct hmem_shelf_info got = { .size = sizeof(got) };

	need(hmem_shelf_get_info(shelf, &got), "info");
	return got;
}

static const char *name_of(unsigned int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "%u", i * 2654435761u);
	return name;
}

/* How many are listed; 0 when two of them are not in order although they should be. */
static unsigned int listed(bool ordered)
{
	struct hmem_entry entry = { .size = sizeof(entry) };
	struct hmem_cursor *cursor;
	unsigned int nr = 0;
	char last[32] = "";

	need(hmem_cursor_open(shelf, NULL, 0, &cursor), "a cursor");
	while (hmem_cursor_next(cursor, &entry) > 0) {
		if (ordered && strcmp(last, entry.name) >= 0)
			return 0;
		strcpy(last, entry.name);
		nr++;
	}
	TAP_EQ(hmem_cursor_seek(cursor, "5"), ordered ? 0 : -EOPNOTSUPP,
	       ordered ? "places in the order can be gone to" : "it has no order to go to a place of");
	hmem_cursor_close(cursor);
	return nr;
}

static void make_ordered(void)
{
	struct media media;

	media_map(&media, path);
	for (unsigned int i = 0; i < SUPER_COPIES; i++) {
		struct shelf_super *super = media_at(&media, (uint64_t)i * SUPER_COPY_BYTES);

		super->flags |= SHELF_ORDERED;
		super->clean = 0;
		super_fix(super);
	}
	media_unmap(&media);
}

int main(void)
{
	struct hmem_region_options place = HMEM_REGION_OPTIONS_INIT;
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_put_options typed = HMEM_PUT_OPTIONS_INIT;
	static const char long_type[256] = "a type";
	unsigned int nr = 0, left;
	int err;

	snprintf(path, sizeof(path), "%s/hmem-shelf-full-%d",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid());
	snprintf(region_name, sizeof(region_name), "file:%s", path);
	need(hmem_ctx_new(&ctx), "a context");
	hmem_ctx_set_log_level(ctx, HMEM_LOG_ERR);
	place.bytes = 4 << 20;
	options.bytes = options.max_bytes = 1 << 20;
	need(hmem_region_create(ctx, region_name, &place, &region), "a region");
	need(hmem_shelf_create(region, "full", &options, &shelf), "a shelf");
	while (!(err = hmem_shelf_put(shelf, name_of(nr), &nr, sizeof(nr), NULL)))
		nr++;
	TAP_EQ(err, -ENOSPC, "a shelf is full of %u objects", nr);
	typed.type = long_type;
	typed.type_bytes = sizeof(long_type);
	TAP_EQ(hmem_shelf_put(shelf, "typed", NULL, 0, &typed), -ENOSPC, "nor has a type room");
	if (!TAP_OK(strstr(hmem_last_error(ctx), "no room for a new type, of 256 bytes"),
		    "which is said"))
		tap_diag("%s", hmem_last_error(ctx));
	need(hmem_shelf_close(shelf), "closing");
	make_ordered();

	TAP_EQ(hmem_shelf_open(region, "full", NULL, &shelf), 0, "it is recovered");
	TAP_EQ(info().ordered, 0, "and has no order");
	TAP_EQ(info().objects, nr, "but all objects");
	TAP_EQ(listed(false), nr, "which are listed");
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "check finds nothing");
	TAP_EQ(hmem_shelf_close(shelf), 0, "it can be closed");
	need(hmem_shelf_open(region, "full", NULL, &shelf), "opening");
	TAP_EQ(info().ordered, 0, "nothing has become of that");
	for (left = nr; left > nr / 4; left--)
		need(hmem_shelf_delete(shelf, name_of(left - 1)), "deleting");
	TAP_EQ(hmem_shelf_close(shelf), 0, "much is deleted, and it is closed");
	need(hmem_shelf_open(region, "full", NULL, &shelf), "opening");
	TAP_EQ(info().ordered, 1, "then it is put in order");
	TAP_EQ(listed(true), left, "and all that is left is listed so");
	TAP_EQ(hmem_shelf_check(shelf, NULL, NULL), 0, "check finds nothing");
	TAP_EQ(hmem_shelf_close(shelf), 0, "it is closed for good");
	hmem_region_close(region);
	hmem_ctx_unref(ctx);
	unlink(path);
	return tap_done();
}
