// SPDX-License-Identifier: GPL-2.0-only
/*
 * O_DIRECT with a buffer whose pages are of two CXL devices: it crosses from one extent to the
 * next of a region that is spread over two pools.
 *
 * hmem-test: topology=ram2 kernels=lts,newest
 */
#include "direct.h"
#include "frames.h"
#include "pools.h"

#define EXTENTS		4
#define LENGTH		(EXTENTS * EXTENT)

static const char *kind = "two pools";

static void checks(int disk, char *p, uint64_t length)
{
	/* From the second extent to the third one, or all of the former and a part of each side. */
	char *at = p + (length < EXTENT ? 2 * EXTENT - length / 2 : EXTENT - (length - EXTENT) / 2);

	direct_fill(p, LENGTH, 1);
	/* What is mapped already is found without asking what kind of mapping it is. */
	madvise(p, LENGTH, MADV_DONTNEED);
	direct_to_disk(disk, at, length, kind, "spread");
	madvise(p, LENGTH, MADV_DONTNEED);
	direct_from_disk(disk, at, length, 2, kind, "spread");
	TAP_OK(direct_filled(p, at - p, 1) &&
	       direct_filled(at + length, p + LENGTH - at - length, 1 + at + length - p),
	       "%s: and the rest is as it was", kind);
}

int main(void)
{
	int control = must_begin_cxl(), disk = direct_open(), fd;
	char sources[2][HMEM_NAME_LEN], *p;
	struct hmem_pool_attach attached[2];

	if (disk < 0) {
		tap_skip("O_DIRECT", "no " DISK);
		return tap_done();
	}
	must_cxl_on_each("ram", sources, 2);
	for (int i = 0; i < 2; i++)
		must(pool_attach_cxl(control, sources[i], 0, &attached[i]), "attach");
	must(region_create_over(control, "d", HMEM_CREATE_SPREAD,
				(const char *[]){ attached[0].name, attached[1].name }, 2, LENGTH),
	     "create");
	fd = must_open("d", O_RDWR);
	p = must_map(fd, LENGTH);
	for (int i = 0; i < EXTENTS; i++) {
		uint64_t start = cxl_number(sources[1], "resource") / 4096;
		uint64_t pages = cxl_number(sources[1], "size") / 4096;
		uint64_t frame = frame_of(p + i * EXTENT);

		if ((frame >= start && frame < start + pages) != i % 2)
			tap_bail("extent %d is not on pool %d", i, i % 2);
	}
	checks(disk, p, 64 * 1024);
	checks(disk, p, MIB);
	checks(disk, p, EXTENT + MIB);
	munmap(p, LENGTH);
	close(fd);
	must(region_destroy(control, "d"), "destroy");
	for (int i = 1; i >= 0; i--) {
		must(pool_detach(control, attached[i].name), "detach");
		cxl_end(sources[i]);
	}
	return tap_done();
}
