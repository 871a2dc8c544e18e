// SPDX-License-Identifier: GPL-2.0-only
/*
 * hmem/poison.h against the module itself, on a pool of system RAM: lists, reports, clearing,
 * events, and every error that a caller can bring about.
 *
 * hmem-test: topology=none kernels=lts,newest
 */
#include "lib_region.h"

#define PAGE	4096ULL

static void used(void)
{
	struct hmem_happened happened[4];
	struct hmem_bad bad[4];
	size_t n = 4;
	uint64_t pages = 99, number = 0, lost = 99;

	TAP_OK(!hmem_poison_list(region, 0, bad, &n) && !n, "nothing is bad");
	n = 4;
	TAP_OK(!hmem_region_wait(region, &number, 0, happened, &n, &lost) && !n && !lost,
	       "nothing has happened");
	TAP_OK(!hmem_poison_report(ctx, "lib", 3 * PAGE, 2 * PAGE, &pages) && pages == 2,
	       "two pages are reported");
	n = 4;
	TAP_OK(!hmem_region_wait(region, &number, HMEM_WAIT_FOREVER, happened, &n, NULL) &&
	       n == 1 && number == 1 && happened[0].number == 1 &&
	       happened[0].what == HMEM_HAPPENED_POISON && happened[0].offset == 3 * PAGE &&
	       happened[0].bytes == 2 * PAGE, "which is told");
	n = 0;
	number = 0;
	TAP_OK(!hmem_region_wait(reader, &number, HMEM_WAIT_FOREVER, NULL, &n, NULL) &&
	       number == 1, "without room the newest is told, at once");
	n = 4;
	TAP_OK(!hmem_poison_list(reader, 0, bad, &n) && n == 1 && bad[0].offset == 3 * PAGE &&
	       bad[0].bytes == 2 * PAGE && bad[0].state == (HMEM_BAD_DATA | HMEM_BAD_HOME),
	       "they are listed");
	TAP_OK(!hmem_poison_clear(region, 0, 4 * MI, &pages) && pages == 2, "both are cleared");
	TAP_OK(!hmem_poison_clear(region, 0, 4 * MI, NULL), "there is nothing more to clear");
	TAP_OK(!hmem_poison_report(ctx, "lib", 8 * MI - 1, 1, NULL), "one that nobody has");
	TAP_EQ(hmem_region_resize(region, 2 * MI), 0, "another size");
	n = 4;
	number = 1;
	TAP_OK(!hmem_region_wait(region, &number, HMEM_WAIT_FOREVER, happened, &n, &lost) &&
	       n == 1 && happened[0].what == HMEM_HAPPENED_RESIZE &&
	       happened[0].offset == 4 * MI && happened[0].bytes == 2 * MI, "is told as well");
}

static void refused(void)
{
	struct hmem_region *other;
	struct hmem_bad bad[1];
	uint64_t number = 77;
	size_t n = 1;

	TAP_EQ(hmem_poison_list(NULL, 0, bad, &n), -EINVAL, "no region");
	TAP_EQ(hmem_poison_list(region, 0, NULL, &n), -EINVAL, "no place for a list");
	message("no place for a list");
	TAP_EQ(hmem_poison_list(region, 1, bad, &n), -EINVAL, "half a page");
	message("multiples of 4096");
	TAP_EQ(hmem_poison_list(region, 64 * MI, bad, &n), -ERANGE, "beyond the end");
	TAP_EQ(hmem_poison_clear(region, 0, 0, NULL), -EINVAL, "nothing cleared");
	TAP_EQ(hmem_poison_clear(reader, 0, PAGE, NULL), -EACCES, "read-only");
	TAP_EQ(hmem_poison_clear(region, 0, 64 * MI, NULL), -ERANGE, "more than there is");
	TAP_EQ(hmem_poison_report(NULL, "lib", 0, 1, NULL), -EINVAL, "no context");
	TAP_EQ(hmem_poison_report(ctx, "lib", 0, 0, NULL), -EINVAL, "nothing reported");
	TAP_EQ(hmem_poison_report(ctx, "a/b", 0, 1, NULL), -EINVAL, "no name of a pool");
	TAP_EQ(hmem_poison_report(ctx, "nobody", 0, 1, NULL), -ENOENT, "no such pool");
	message("hmemctl list -P");
	TAP_EQ(hmem_poison_report(ctx, "lib", 8 * MI, 1, NULL), -ERANGE, "beyond the pool");
	TAP_EQ(hmem_region_wait(region, &number, 0, (struct hmem_happened[1]){}, &n, NULL), -ERANGE,
	       "a number that was never given");
	message("so much has not happened");
	number = 0;
	TAP_EQ(hmem_region_wait(region, &number, 0, NULL, &n, NULL), -EINVAL, "no place for events");
	TAP_EQ(hmem_region_wait(region, NULL, 0, NULL, &n, NULL), -EINVAL, "no number");
	TAP_EQ(hmem_region_wait(NULL, &number, 0, NULL, &n, NULL), -EINVAL, "nobody to wait for");
	if (hmem_region_open(ctx, "file:/proc/version", HMEM_OPEN_READ_ONLY, &other)) {
		struct hmem_region_options options = HMEM_REGION_OPTIONS_INIT;

		options.bytes = 4096;
		if (hmem_region_create(ctx, "anon:", &options, &other))
			tap_bail("%s", hmem_last_error(ctx));
	}
	TAP_EQ(hmem_poison_list(other, 0, bad, &n), -EOPNOTSUPP, "memory of another kind");
	message("only regions of hmem.ko");
	hmem_region_close(other);
}

int main(void)
{
	begin(8 * MI, 4 * MI);
	used();
	refused();
	end();
	return tap_done();
}
