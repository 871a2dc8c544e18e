// SPDX-License-Identifier: GPL-2.0-only
/*
 * A space on a file system with DAX; ends with 1 where it is not as it should be.
 * hmem-test: helper
 *
 *	fsdax_space LAYER DIRECTORY START BYTES
 *
 * START and BYTES are the physical addresses of its device.
 */
#include "frames.h"
#include "spaces.h"

#include <dirent.h>

static uint64_t device_start, device_bytes;
static unsigned int wrong;

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition,                 \
			       hmem_last_error(ctx));                                              \
			wrong++;                                                                   \
		}                                                                                  \
	} while (0)

static unsigned int names_in(const char *path)
{
	DIR *directory = opendir(path);
	unsigned int n = 0;

	if (!directory)
		tap_bail("%s: %s", path, strerror(errno));
	while (readdir(directory))
		n++;
	closedir(directory);
	return n;
}

/* Pages that are not the device's. */
static unsigned int elsewhere(char *from, uint64_t bytes)
{
	unsigned int n = 0;

	for (uint64_t at = 0; at < bytes; at += 4096) {
		uint64_t address = frame_of(from + at) * 4096;

		n += address < device_start || address - device_start >= device_bytes;
	}
	return n;
}

static bool has_numbers(const char *from, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes; at++)
		if (from[at] != (char)(at / 4096 * 5))
			return false;
	return true;
}

static void test_space(const char *layer, const char *path)
{
	unsigned int names = names_in(path);
	struct hmem_space *space = must_space(layer, 16 * MI, 0);
	struct hmem_space *near = must_space("dram", 16 * MI, 0);
	struct hmem_interface *interface = must_interface(space, HMEM_STRATEGY_GENERAL);
	struct hmem_interface *on_near = must_interface(near, HMEM_STRATEGY_GENERAL);
	struct hmem_allocation *allocation;
	char *data;

	CHECK(names_in(path) == names);
	CHECK(use(interface) == 0);
	if (hmem_allocation_new(interface, 8 * MI, 0, 0, &allocation))
		tap_bail("%s", hmem_last_error(ctx));
	data = hmem_allocation_data(allocation);
	for (uint64_t at = 0; at < 8 * MI; at += 4096)
		memset(data + at, (int)(at / 4096 * 5), 4096);
	CHECK(elsewhere(data, 8 * MI) == 0);
	CHECK(has_numbers(data, 8 * MI));
	CHECK(!hmem_allocation_move(allocation, on_near));
	data = hmem_allocation_data(allocation);
	CHECK(has_numbers(data, 8 * MI) && elsewhere(data, 8 * MI) == 2048);
	CHECK(!hmem_allocation_move(allocation, interface));
	data = hmem_allocation_data(allocation);
	CHECK(has_numbers(data, 8 * MI) && elsewhere(data, 8 * MI) == 0);
	hmem_allocation_free(allocation);
	hmem_interface_unref(interface);
	hmem_interface_unref(on_near);
	hmem_space_unref(space);
	hmem_space_unref(near);
}

/* Beside system RAM in one range of addresses. */
static void test_parts(const char *layer)
{
	struct hmem_space_part parts[] = { { .layer = "dram", .weight = 1 },
					   { .layer = layer, .weight = 3 } };
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_interface *interface;
	struct hmem_space *space;
	char *all;

	options.parts = parts;
	options.nr_parts = 2;
	options.flags = HMEM_SPACE_INTERLEAVE;
	options.bytes = 16 * MI;
	space = must_space_of(&options);
	interface = must_interface(space, HMEM_STRATEGY_GENERAL);
	all = hmem_malloc(interface, 16 * MI);
	if (!all)
		tap_bail("no block of all the space");
	memset(all, 1, 16 * MI);
	CHECK(elsewhere(all, 2 * MI) == 512 && elsewhere(all + 2 * MI, 6 * MI) == 0);
	CHECK(elsewhere(all + 8 * MI, 2 * MI) == 512 && elsewhere(all + 10 * MI, 6 * MI) == 0);
	hmem_interface_unref(interface);
	hmem_space_unref(space);
}

static void test_full(const char *layer)
{
	struct hmem_space_options options = HMEM_SPACE_OPTIONS_INIT;
	struct hmem_space *none;

	options.layer = layer;
	options.bytes = 1ull << 40;
	CHECK(hmem_space_create(ctx, "large", &options, &none) == -ENOSPC);
	options.bytes = 16 * MI;
	options.flags = HMEM_SPACE_SHARED;
	CHECK(hmem_space_create(ctx, "shared", &options, &none) == -EINVAL);
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 129;
	device_start = strtoull(argv[3], NULL, 0);
	device_bytes = strtoull(argv[4], NULL, 0);
	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	CHECK(is_layer(argv[1]));
	test_space(argv[1], argv[2]);
	test_parts(argv[1]);
	test_full(argv[1]);
	hmem_ctx_unref(ctx);
	return wrong ? 1 : 0;
}
