// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions of one name, or of one identity, on persistent pools: one that is withheld, as not all its
 * pools are there, and one that is whole. Neither is lost by what is done to the other, and no
 * pool gets a table that could not be read back.
 *
 * hmem-test: topology=pmem3 timeout=240
 */
#include "near.h"
#include "pmems.h"

static int control;
static int64_t all[PMEMS];

static void attach(int i)
{
	must(pool_attach_cxl(control, pmem[i], 0, NULL), "attach");
}

static void detach(int i)
{
	must(pool_detach(control, pmem[i]), "detach");
}

static void format_all(void)
{
	for (int i = 0; i < PMEMS; i++) {
		must(pool_attach_cxl(control, pmem[i], HMEM_ATTACH_FORMAT, NULL), "format");
		all[i] = pool_free(pmem[i]);
	}
}

static void detach_all(void)
{
	for (int i = 0; i < PMEMS; i++) {
		int rc = pool_detach(control, pmem[i]);

		if (rc && rc != -ENOENT)
			tap_bail("detach: %s", strerror(-rc));
	}
}

static void create_shared(const char *name, int first, int second)
{
	const char *const names[] = { pmem[first], pmem[second] };

	must(region_create_over(control, name, HMEM_CREATE_SPREAD, names, 2, 4 * EXTENT), "create");
}

static void mark(const char *name, unsigned int number)
{
	int fd = must_open(name, O_RDWR);

	for (unsigned int i = 0; i < 4; i++) {
		unsigned int word = number + i;

		if (pwrite(fd, &word, sizeof(word), i * EXTENT) != sizeof(word))
			tap_bail("write: %s", strerror(errno));
	}
	close(fd);
}

static bool marked(const char *name, unsigned int number)
{
	int fd = region_open(name, O_RDONLY);
	bool good = fd >= 0;

	for (unsigned int i = 0; good && i < 4; i++) {
		unsigned int word = 0;

		good = pread(fd, &word, sizeof(word), i * EXTENT) == sizeof(word) &&
		       word == number + i;
	}
	if (fd >= 0)
		close(fd);
	return good;
}

/* r on a and b with 100, of which b withholds its part; and another r, on c, with 200. */
static void begin(void)
{
	format_all();
	create_shared("r", 0, 1);
	mark("r", 100);
	detach(0);
	detach(1);
	must(region_create(control, "r", pmem[2], 4 * EXTENT), "create");
	mark("r", 200);
	attach(1);
}

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

int main(void)
{
	control = must_begin_cxl();
	must_pmems();
	drained();
	sweep(control);
	pmems_end();
	return tap_done();
}
