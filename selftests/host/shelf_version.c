// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shelves of other versions of the format are left alone, with a sentence that says what to do.
 */
#include "shelf_crc.h"
#include "shelf_user.h"

static struct user user;

static void set_table(uint32_t version)
{
	for (unsigned int i = 0; i < RACK_COPIES; i++) {
		unsigned char *copy = media.file + i * RACK_COPY_BYTES;

		((struct rack_header *)copy)->version = version;
		rack_fix(copy);
	}
}

static void set_super(uint32_t version)
{
	for (unsigned int i = 0; i < SUPER_COPIES; i++) {
		struct shelf_super *super = media_at(&media, i * SUPER_COPY_BYTES);

		super->version = version;
		super_fix(super);
	}
}

static int tell(void *arg, const struct hmem_shelf_info *info)
{
	(void)arg;
	(void)info;
	return 0;
}

static void refused(const char *what, const char *why, const char *advice)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf;
	struct hmem_region *region;

	need(hmem_region_open(ctx, region_name, 0, &region), "opening the region");
	TAP_EQ(hmem_shelf_open(region, "one", NULL, &shelf), -EPROTONOSUPPORT, "%s cannot be opened",
	       what);
	TAP_OK(strstr(hmem_last_error(ctx), why) && strstr(hmem_last_error(ctx), advice),
	       "and why is said: %s", hmem_last_error(ctx));
	options.flags = HMEM_SHELF_REPAIR;
	TAP_EQ(hmem_shelf_open(region, "one", &options, &shelf), -EPROTONOSUPPORT,
	       "nor repaired");
	hmem_region_close(region);
}

/* Nothing is made where shelves of another version are. */
static void left_alone(const char *what)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	unsigned char *was = malloc(media.bytes);
	struct hmem_region *region;
	struct hmem_shelf *shelf;

	if (!was)
		tap_bail("no memory");
	memcpy(was, media.file, media.bytes);
	options.bytes = 1u << 20;
	need(hmem_region_open(ctx, region_name, 0, &region), "opening the region");
	TAP_EQ(hmem_shelf_create(region, "two", &options, &shelf), -EPROTONOSUPPORT,
	       "no shelf is made beside %s", what);
	TAP_EQ(hmem_shelf_destroy(region, "one"), -EPROTONOSUPPORT, "none is destroyed");
	TAP_EQ(hmem_shelf_iterate(region, tell, NULL), -EPROTONOSUPPORT, "nor listed");
	TAP_OK(!memcmp(was, media.file, media.bytes), "and not a byte is changed");
	hmem_region_close(region);
	free(was);
}

int main(void)
{
	const char *older = "made by an older version", *newer = "written by a newer";

	snprintf(path, sizeof(path), "%s/hmem-shelf-version-%d",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid());
	snprintf(region_name, sizeof(region_name), "file:%s", path);
	need(hmem_ctx_new(&ctx), "context");
	hmem_ctx_set_log_level(ctx, HMEM_LOG_ERR);
	make(&user, 4, 1u << 20, 100);
	need(put(&user, "object", 'o', 100), "putting");
	leave(&user);

	set_table(SHELF_VERSION - 1);
	refused("a table of the version before", older, "export");
	left_alone("that");
	set_table(SHELF_VERSION + 1);
	refused("a table of a newer version", newer, "libhmem");
	left_alone("that");
	set_table(SHELF_VERSION);
	set_super(SHELF_VERSION + 1);
	refused("a shelf of a newer version", newer, "libhmem");
	set_super(SHELF_VERSION);

	need(join(&user, "one", 100), "it can be opened as it was");
	TAP_EQ(hmem_shelf_read(user.shelf, "object", NULL, 0, &(size_t){ 0 }), -ERANGE,
	       "and its object is there");
	unmake(&user);
	hmem_ctx_unref(ctx);
	return tap_done();
}
