// SPDX-License-Identifier: GPL-2.0-only
/* The anon provider: memory that is found by its handle only, and shared with children. */
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hmem/hmem.h>

#include "tap.h"

#define MI ((uint64_t)1 << 20)

static struct hmem_ctx *ctx;

static bool in_maps(const char *text)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	bool found = false;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps))
		found = found || strstr(line, text);
	if (maps)
		fclose(maps);
	return found;
}

/* The default action of SIGXFSZ ends the process: it must not come. */
static int limited(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct rlimit limit = { 8192, 8192 };
	struct hmem_region *region;

	options.bytes = 16384;
	if (hmem_region_create(ctx, "anon:", &options, &region))
		return 1;
	setrlimit(RLIMIT_FSIZE, &limit);
	if (hmem_region_resize(region, 20480) != -EFBIG)
		return 2;
	if (!strstr(hmem_last_error(ctx), "ulimit"))
		return 3;
	if (hmem_region_resize(region, 12288))
		return 4;
	hmem_region_close(region);
	options.bytes = 8193;
	if (hmem_region_create(ctx, "anon:", &options, &region) != -EFBIG)
		return 5;
	options.bytes = 8192;
	return hmem_region_create(ctx, "anon:", &options, &region) ? 6 : 0;
}

int main(void)
{
	struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;
	struct hmem_region_info info = { .size = sizeof(info) };
	struct hmem_region *first, *second, *none;
	unsigned char *data, *other;
	bool zero = true;
	size_t length;
	void *address;
	int status;
	pid_t child;

	if (hmem_ctx_new(&ctx))
		tap_bail("no context");
	options.bytes = 4 * MI + 1;
	TAP_EQ(hmem_region_create(ctx, "anon:scratch", &options, &first), 0, "it is made");
	TAP_EQ(hmem_region_get_info(first, &info), 0, "it tells what it is");
	TAP_EQ(info.bytes, 4 * MI + 4096, "its size in whole pages");
	TAP_EQ(info.granularity, 4096, "its granularity");
	TAP_EQ(info.caps, HMEM_CAP_RESIZE, "what it can");
	TAP_STR_EQ(info.name, "anon:scratch", "its name");
	TAP_EQ(info.uid, geteuid(), "its owner");
	TAP_EQ(info.mode, 0600, "its mode");
	TAP_EQ(hmem_region_map(first, 0, 0, &address, &length), 0, "it is mapped");
	data = address;
	TAP_EQ((uintptr_t)data & (2 * MI - 1), 0, "at a 2 MiB boundary");
	TAP_OK(in_maps("hmem:scratch"), "the label is in /proc/self/maps");
	for (size_t i = 0; i < length; i++)
		zero = zero && !data[i];
	TAP_OK(zero, "it reads as zeroes");
	data[3 * MI] = 1;
	TAP_EQ(hmem_region_persist(first, data, length), 0, "persisting does nothing, and works");

	TAP_EQ(hmem_region_create(ctx, "anon:scratch", &options, &second), 0,
	       "the same name again");
	TAP_EQ(hmem_region_map(second, 2 * MI, 2 * MI, &address, NULL), 0, "a part is mapped");
	other = address;
	TAP_EQ((uintptr_t)other & (2 * MI - 1), 0, "at a 2 MiB boundary as well");
	TAP_EQ(other[1 * MI], 0, "is other memory");
	hmem_region_unmap(second, other, 2 * MI);
	TAP_EQ(hmem_region_map(second, 12288, 3 * MI, &address, NULL), 0,
	       "an odd offset is mapped");
	TAP_EQ((uintptr_t)address & (2 * MI - 1), 12288, "so that whole 2 MiB can be large pages");
	hmem_region_unmap(second, address, 3 * MI);
	hmem_region_close(second);

	fflush(stdout);
	child = fork();
	if (!child) {
		data[0] = 77;
		_exit(data[3 * MI] == 1 ? 0 : 1);
	}
	waitpid(child, &status, 0);
	TAP_EQ(status, 0, "a child sees our stores");
	TAP_EQ(data[0], 77, "and we see the child's");

	TAP_EQ(hmem_region_resize(first, 8 * MI), 0, "it grows");
	TAP_EQ(hmem_region_map(first, 6 * MI, 2 * MI, &address, NULL), 0,
	       "what was added is mapped");
	hmem_region_unmap(first, address, 2 * MI);
	TAP_EQ(hmem_region_resize(first, 1), 0, "it shrinks");
	hmem_region_get_info(first, &info);
	TAP_EQ(info.bytes, 4096, "to a page");
	TAP_EQ(data[0], 77, "which is kept");
	hmem_region_close(first);
	data[1] = 2;
	TAP_EQ(hmem_region_unmap(NULL, data, length), 0, "a mapping outlives the handle");
	TAP_OK(!in_maps("hmem:scratch"), "nothing is left");

	TAP_EQ(hmem_region_open(ctx, "anon:scratch", 0, &none), -EOPNOTSUPP, "it cannot be opened");
	TAP_EQ(hmem_region_destroy(ctx, "anon:scratch"), -EOPNOTSUPP, "nor destroyed");
	TAP_OK(strstr(hmem_last_error(ctx), "destroyed"), "and the message says so");
	TAP_EQ(hmem_region_get_info_by_name(ctx, "anon:scratch", &info), -EOPNOTSUPP, "nor asked");
	TAP_EQ(hmem_region_create(ctx, "anon:", &options, NULL), -EINVAL, "without a handle");
	TAP_OK(strstr(hmem_last_error(ctx), "handle"), "it would be gone at once");
	options.bytes = 0;
	TAP_EQ(hmem_region_create(ctx, "anon:", &options, &none), -EINVAL, "0 bytes");
	options.bytes = (uint64_t)1 << 63;
	TAP_EQ(hmem_region_create(ctx, "anon:", &options, &none), -EINVAL, "2^63 bytes");
	options.bytes = INT64_MAX;
	TAP_EQ(hmem_region_create(ctx, "anon:", &options, &none), -EINVAL, "2^63 - 1 bytes");
	options.bytes = (uint64_t)1 << 61;
	if (TAP_EQ(hmem_region_create(ctx, "anon:", &options, &first), 0,
		   "2^61 bytes are a promise")) {
		TAP_EQ(hmem_region_map(first, 0, 0, &address, NULL), -ENOMEM, "nobody can map");
		TAP_OK(strstr(hmem_last_error(ctx), "anon:"), "and a message");
		TAP_EQ(hmem_region_map(first, ((uint64_t)1 << 61) - 4096, 4096, &address, NULL), 0,
		       "its last page can be mapped");
		hmem_region_unmap(first, address, 4096);
		hmem_region_close(first);
	}
	fflush(stdout);
	child = fork();
	if (!child)
		_exit(limited());
	waitpid(child, &status, 0);
	TAP_EQ(status, 0, "the limit of file sizes is an error and no signal");
	options.bytes = 3;
	TAP_EQ(hmem_region_create(ctx,
				  "anon:a label with spaces, / and more than sixty-four bytes, "
				  "which are cut",
				  &options, &first),
	       0, "any label will do");
	hmem_region_close(first);
	hmem_ctx_unref(ctx);
	return tap_done();
}
