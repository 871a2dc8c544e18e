/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Places for shelves: a region in memory of the process, in a file on tmpfs, and in a
 * file on disk, where each fence is an msync(2). A test goes through all of them.
 */
#ifndef SELFTESTS_HOST_SHELF_PLACE_H
#define SELFTESTS_HOST_SHELF_PLACE_H

#include <fcntl.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <hmem/hmem.h>

#include "sysroot.h"

#define KI ((uint64_t)1 << 10)
#define MI ((uint64_t)1 << 20)
#define GI ((uint64_t)1 << 30)

enum place { PLACE_ANON, PLACE_SHM, PLACE_DISK, PLACES };

static const char *const place_names[PLACES] = { "memory", "tmpfs", "disk" };

static struct hmem_ctx *ctx;

static void need(int err, const char *what)
{
	if (err)
		tap_bail("%s: %d: %s", what, err, hmem_last_error(ctx));
}

/* On tmpfs nothing is removed by itself. */
static char place_shm[64];

static void place_remove_shm(void)
{
	if (getpid() == scratch_owner)
		unlink(place_shm);
}

/* The path of a file place; NULL for memory. */
__attribute__((unused)) static const char *place_path(enum place place)
{
	scratch();
	if (place == PLACE_ANON)
		return NULL;
	if (place == PLACE_DISK)
		return scratch_path("region");
	if (!*place_shm) {
		snprintf(place_shm, sizeof(place_shm), "/dev/shm/hmem-test.%d", (int)getpid());
		atexit(place_remove_shm);
	}
	return place_shm;
}

/* Is a fence an msync(2) there? The scratch directory may be on tmpfs as well. */
__attribute__((unused)) static bool place_syncs(enum place place)
{
	struct statfs fs;

	return place == PLACE_DISK && !statfs(scratch(), &fs) && fs.f_type != 0x01021994;
}

/* A new region of zeroes. */
__attribute__((unused)) static struct hmem_region *place_new(enum place place, uint64_t bytes)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	const char *path = place_path(place);
	struct hmem_region *region;
	char name[PATH_MAX + 8] = "anon:shelf";

	if (path) {
		snprintf(name, sizeof(name), "file:%s", path);
		unlink(path);
	}
	options.bytes = bytes;
	need(hmem_region_create(ctx, name, &options, &region), name);
	return region;
}

/* A shelf of its own region, which only the shelf holds then. */
__attribute__((unused)) static struct hmem_shelf *place_shelf(struct hmem_region *region,
							      uint64_t bytes)
{
	struct hmem_shelf_options options = HMEM_SHELF_OPTIONS_INIT;
	struct hmem_shelf *shelf;

	options.bytes = bytes;
	need(hmem_shelf_create(region, "s", &options, &shelf), "creating a shelf");
	return shelf;
}

/* A whole test: in each place, and ordered in one of them. */
__attribute__((unused)) static int place_main(void (*run)(enum place place, bool ordered))
{
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	for (enum place place = 0; place < PLACES; place++)
		run(place, place == PLACE_SHM);
	hmem_ctx_unref(ctx);
	return tap_done();
}

/*
 * Bytes that follow from a seed, so that what is read tells which write it was. In memory of
 * the caller's own, in which there is no race to look for.
 */
__attribute__((unused, no_sanitize("thread"))) static void pattern(void *at, size_t bytes, uint64_t seed)
{
	unsigned char *to = at;

	for (size_t i = 0; i < bytes; i++) {
		if (!(i & 7))
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		to[i] = (unsigned char)(seed >> (24 + 4 * (i & 7)));
	}
}

#endif
