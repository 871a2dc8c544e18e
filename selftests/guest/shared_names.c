// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions of one name, or of one identity, on persistent pools: one that is withheld, as not all its
 * pools are there, and one that is whole. Neither is lost by what is done to the other, and no
 * pool gets a table that could not be read back.
 *
 * hmem-test: topology=pmem3 timeout=240
 */
#include "withheld.h"
#include "../../kmod/media.h"

#include <sys/uio.h>

/* A pool has room, and its table has the name already. */
static void drained(void)
{
	begin();
	must(region_create(control, "precious", pmem[1], 4 * EXTENT), "create");
	mark("precious", 300);
	TAP_EQ(pool_drain(control, pmem[2], 0, NULL), -ENOSPC,
	       "drain: a pool that withholds a region of the name does not take it");
	must(pool_drain(control, pmem[2], HMEM_DRAIN_STOP, NULL), "stop");
	TAP_OK(marked("r", 200), "drain: it stays where it is");
	detach(2);
	detach(1);
	TAP_EQ(pool_attach_cxl(control, pmem[1], 0, NULL), 0, "drain: the other pool can be read");
	TAP_OK(marked("precious", 300), "drain: with what it has besides");
	attach(0);
	TAP_OK(marked("r", 100), "drain: and what it withheld");
	detach_all();
}

/* Two have the name: which one is destroyed is not guessed. */
static void destroyed(void)
{
	begin();
	TAP_STR_EQ(withheld(1, "r", "why"), "missing", "destroy: one is withheld, the other there");
	TAP_EQ(region_destroy(control, "r"), -EEXIST, "destroy: neither of two is");
	TAP_OK(marked("r", 200), "destroy: the whole one stays");
	attach(0);
	TAP_STR_EQ(withheld(1, "r", "why"), "name", "destroy: the withheld one has all its pools");
	TAP_EQ(region_destroy(control, "r"), -EEXIST, "destroy: and neither is then");
	detach(2);
	TAP_OK(marked("r", 100), "destroy: the other's pool goes, and it appears by itself");
	detach(0);
	TAP_EQ(region_destroy(control, "r"), 0, "destroy: withheld alone it is");
	TAP_EQ(pool_free(pmem[1]), all[1], "destroy: and has gone");
	attach(2);
	TAP_OK(marked("r", 200), "destroy: the other one comes back");
	attach(0);
	TAP_EQ(pool_free(pmem[0]), all[0], "destroy: the first pool has its room");
	detach_all();
}

/* Two that are withheld. */
static void both_withheld(void)
{
	format_all();
	create_shared("r", 0, 1);
	detach(0);
	detach(1);
	must(pool_attach_cxl(control, pmem[0], HMEM_ATTACH_FORMAT, NULL), "format");
	create_shared("r", 0, 2);
	mark("r", 200);
	detach(0);
	attach(1);
	TAP_EQ(class_names("hmem_withheld", NULL, 0), 2, "both: two are withheld");
	TAP_EQ(region_destroy(control, "r"), -EEXIST, "both: neither is destroyed");
	TAP_EQ(class_names("hmem_withheld", NULL, 0), 2, "both: nothing has gone");
	detach(2);
	TAP_EQ(region_destroy(control, "r"), 0, "both: alone the one is");
	attach(2);
	attach(0);
	TAP_OK(marked("r", 200), "both: the other one is there");
	detach_all();
}

/* A pool that has nothing to do with it comes and goes. */
static void named(void)
{
	format_all();
	create_shared("r", 0, 1);
	mark("r", 100);
	detach(0);
	must(region_create(control, "q", pmem[2], EXTENT), "create");
	TAP_STR_EQ(withheld(1, "r", "why"), "missing", "named: a pool is missing");
	must(region_destroy(control, "q"), "destroy");
	TAP_STR_EQ(withheld(1, "r", "why"), "missing", "named: whatever becomes of others");
	attach(0);
	TAP_OK(marked("r", 100), "named: it is there");
	detach_all();
}

static unsigned int crc32c(const unsigned char *p, size_t n)
{
	unsigned int crc = ~0U;

	while (n--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static unsigned char *superblock(int pool, int copy)
{
	int fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
	void *p = mmap(NULL, HM_MEDIA_COPY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       pmem_start[pool] + copy * HM_MEDIA_COPY_BYTES);

	if (fd < 0 || p == MAP_FAILED)
		tap_bail("/dev/mem: %s", strerror(errno));
	close(fd);
	return p;
}

/* The identity of the first region of pool @from becomes that of the first of pool @to. */
static void forge(int from, int to)
{
	size_t at = HM_MEDIA_HEADER_BYTES + offsetof(struct hm_media_region, uuid);

	for (int i = 0; i < HM_MEDIA_COPIES; i++) {
		unsigned char *source = superblock(from, i), *p = superblock(to, i);
		struct hm_media_header *h = (void *)p;

		memcpy(p + at, source + at, 16);
		h->body_crc = crc32c(p + HM_MEDIA_HEADER_BYTES,
				     h->nr_regions * sizeof(struct hm_media_region) +
				     h->nr_slots * sizeof(union hm_media_slot));
		h->crc = crc32c(p, offsetof(struct hm_media_header, crc));
		munmap(source, HM_MEDIA_COPY_BYTES);
		munmap(p, HM_MEDIA_COPY_BYTES);
	}
}

/* A region of another pool has the identity of one on two pools. */
static void forged(void)
{
	format_all();
	create_shared("r", 0, 1);
	mark("r", 100);
	must(region_create(control, "x", pmem[2], 4 * EXTENT), "create");
	mark("x", 200);
	detach_all();
	forge(0, 2);
	attach(0);
	attach(1);
	TAP_EQ(pool_attach_cxl(control, pmem[2], 0, NULL), -EEXIST,
	       "forged: the pool is refused while the other region is there");
	TAP_OK(marked("r", 100), "forged: which is as it was");
	detach(0);
	detach(1);
	attach(2);
	TAP_OK(marked("x", 200), "forged: the pool's region is what it was");
	attach(0);
	TAP_EQ(pool_free(pmem[0]), all[0] - 2 * (int64_t)EXTENT, "forged: the other keeps its part");
	attach(1);
	TAP_STR_EQ(withheld(1, "r", "why"), "uuid", "forged: and is withheld for that");
	TAP_EQ(pool_drain(control, pmem[2], 0, NULL), -ENOSPC,
	       "forged: a pool that withholds one of its identity does not take it");
	must(pool_drain(control, pmem[2], HMEM_DRAIN_STOP, NULL), "stop");
	detach(2);
	TAP_OK(marked("r", 100), "forged: until the pool goes: it appears by itself");
	detach(0);
	attach(2);
	attach(0);
	TAP_STR_EQ(withheld(0, "r", "why"), "uuid", "forged: it is withheld again");
	TAP_EQ(region_destroy(control, "x"), 0, "forged: the one that has its identity is destroyed");
	TAP_OK(marked("r", 100), "forged: then it appears by itself as well");
	detach_all();
}

/* It has the name as well: which one is meant nothing tells. */
static void twins(void)
{
	begin();
	detach(1);
	detach(2);
	forge(0, 2);
	attach(2);
	attach(0);
	attach(1);
	TAP_STR_EQ(withheld(1, "r", "why"), "uuid", "twins: one is withheld");
	TAP_EQ(region_destroy(control, "r"), -EEXIST, "twins: neither is destroyed");
	TAP_OK(marked("r", 200), "twins: not the one that is there");
	detach(2);
	TAP_OK(marked("r", 100), "twins: nor the other one");
	detach_all();
}

/* All of r moves to the second pool but a page that is held, as there is no room elsewhere. */
static void drain_half(void)
{
	int fd = must_open("r", O_RDWR), pin[2];
	char *p = must_map(fd, 4 * EXTENT);
	struct iovec iov = { p, 4096 };

	if (pipe2(pin, O_CLOEXEC) || vmsplice(pin[1], &iov, 1, 0) != 4096)
		tap_bail("vmsplice: %s", strerror(errno));
	if (pool_drain(control, pmem[0], 0, NULL) != -EBUSY)
		tap_bail("it is not held up");
	close(pin[0]);
	close(pin[1]);
	munmap(p, 4 * EXTENT);
	close(fd);
}

/*
 * A pool that is left was not told, as the power went; and when it comes the region has left the
 * others that it knows of as well.
 */
static void left_behind(void)
{
	unsigned char *saved = malloc(HM_MEDIA_COPIES * HM_MEDIA_COPY_BYTES);

	format_all();
	create_shared("r", 0, 1);
	mark("r", 100);
	must(region_create(control, "x", pmem[2], pool_free(pmem[2])), "create");
	drain_half();
	detach_all();
	for (int i = 0; saved && i < HM_MEDIA_COPIES; i++) {
		unsigned char *p = superblock(0, i);

		memcpy(saved + i * HM_MEDIA_COPY_BYTES, p, HM_MEDIA_COPY_BYTES);
		munmap(p, HM_MEDIA_COPY_BYTES);
	}
	for (int i = 0; i < PMEMS; i++)
		attach(i);
	TAP_EQ(pool_drain(control, pmem[0], 0, NULL), 0, "left behind: it leaves the first pool");
	detach(0);
	for (int i = 0; saved && i < HM_MEDIA_COPIES; i++) {
		unsigned char *p = superblock(0, i);

		memcpy(p, saved + i * HM_MEDIA_COPY_BYTES, HM_MEDIA_COPY_BYTES);
		munmap(p, HM_MEDIA_COPY_BYTES);
	}
	free(saved);
	must(region_destroy(control, "x"), "destroy");
	TAP_EQ(pool_drain(control, pmem[1], 0, NULL), 0, "left behind: and the second");
	TAP_OK(marked("r", 100), "left behind: for the third");
	attach(0);
	TAP_EQ(class_names("hmem_withheld", NULL, 0), 0, "left behind: what the first had is old");
	TAP_EQ(pool_free(pmem[0]), all[0], "left behind: and does not count");
	TAP_EQ(pool_drain(control, pmem[0], 0, NULL), 0, "left behind: so that it can be drained");
	TAP_OK(marked("r", 100), "left behind: the region is what it was");
	detach_all();
}

int main(void)
{
	control = must_begin_cxl();
	must_pmems();
	drained();
	destroyed();
	both_withheld();
	named();
	forged();
	twins();
	left_behind();
	sweep(control);
	pmems_end();
	return tap_done();
}
