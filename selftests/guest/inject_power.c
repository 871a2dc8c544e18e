// SPDX-License-Identifier: GPL-2.0-only
/*
 * The power goes before, during and after each write of a superblock copy: the next attach
 * finds the region table as it was before the command or as it is after it, and all
 * data. So it does when a copy was damaged to begin with, which tells that the damaged
 * one is written first.
 *
 * From the n-th write on nothing of a copy reaches the memory, or half of the n-th does.
 * What is stored otherwise (tags, data) is not held up: that has an order of its own.
 *
 * hmem-test: topology=pmem1 kernels=newest long=lts
 */
#include "inject.h"

#define COPY_B		(1UL << 20)
#define COPY_USED	8192	/* header and as much of the table as this test fills */
#define WRITE		"__memcpy_flushcache"

static int control;
static char pool[HMEM_NAME_LEN];
static unsigned long start;
static int memory;
static unsigned char copies[2][COPY_USED];

/* The copies as they are, or as they were, while nobody has claimed the memory. */
static void media(bool store, int flip)
{
	for (int i = 0; i < 2; i++) {
		unsigned char *p = mmap(NULL, COPY_USED, PROT_READ | PROT_WRITE, MAP_SHARED,
					memory, start + i * COPY_B);

		if (p == MAP_FAILED)
			tap_bail("mmap of /dev/mem: %s", strerror(errno));
		if (store)
			memcpy(p, copies[i], COPY_USED);
		else
			memcpy(copies[i], p, COPY_USED);
		if (i == flip)
			p[100] ^= 0x40;
		munmap(p, COPY_USED);
	}
}

/* For a moment of need: nothing is written from here on, then the pool is given up. */
static void lose_pool(void)
{
	int rc = pool_detach(control, pool);

	if (rc && rc != -ENOENT)
		tap_bail("detach: %s", strerror(-rc));
}

static void table(char *text, size_t room)
{
	char names[8][HMEM_NAME_LEN];
	int count = class_names("hmem", names, 8);

	qsort(names, count, sizeof(names[0]), (int (*)(const void *, const void *))strcmp);
	text[0] = 0;
	for (int i = 0; i < count && i < 8; i++)
		snprintf(text + strlen(text), room - strlen(text), "%s=%lld ", names[i],
			 (long long)sysfs_number("hmem", names[i], "size"));
	snprintf(text + strlen(text), room - strlen(text), "free=%lld",
		 (long long)pool_free(pool));
}

static bool data_is_there(void)
{
	char data[8] = "";
	int fd = region_open("kept", O_RDONLY);
	bool good = fd >= 0 && pread(fd, data, sizeof(data), EXTENT) == sizeof(data) &&
		    !strcmp(data, "my data");

	if (fd >= 0)
		close(fd);
	return good;
}

static int attach(unsigned int flags)
{
	return pool_attach_cxl(control, pool, flags, NULL);
}

static int do_nothing(void) { return 0; }
static int do_create(void) { return region_create(control, "new", pool, 3 * EXTENT); }
static int do_grow(void) { return region_resize(control, "kept", 5 * EXTENT); }
static int do_shrink(void) { return region_resize(control, "kept", 2 * EXTENT); }
static int do_destroy(void) { return region_destroy(control, "other"); }
static int do_detach(void) { return pool_detach(control, pool); }

static const struct command {
	const char *name;
	int (*run)(void);
	bool with_attach;	/* the power goes while the pool is attached already */
	int flip;		/* the copy that was damaged before, or -1 */
} commands[] = {
	{ "attach", do_nothing, true, -1 },
	{ "attach, copy A damaged", do_nothing, true, 0 },
	{ "attach, copy B damaged", do_nothing, true, 1 },
	{ "create", do_create, false, -1 },
	{ "create, copy A damaged", do_create, true, 0 },
	{ "create, copy B damaged", do_create, true, 1 },
	{ "grow", do_grow, false, -1 },
	{ "shrink", do_shrink, false, -1 },
	{ "destroy", do_destroy, false, -1 },
	{ "detach", do_detach, false, -1 },
};

/* The command from the same beginning, with the power going at the n-th write; 0: it stays. */
static int once(const struct command *c, const char *how, int n)
{
	int writes = 0;

	media(true, c->flip);
	if (!c->with_attach)
		must(attach(0), "attach");
	if (n)
		inject(WRITE " %s %d 0 hmem 0", how, n);
	if (c->with_attach)
		must(attach(0), "attach");
	must(c->run(), c->name);
	if (n)
		writes = inject_look(WRITE);
	if (n)
		lose_pool();
	inject("\n");
	return writes;
}

static void power_goes(const struct command *c, const char *how, const char *before,
		       const char *after)
{
	int n = 0, wrong = 0, found_old = 0, found_new = 0;
	char found[256] = "";

	while (once(c, how, ++n)) {
		int rc = attach(0);

		table(found, sizeof(found));
		if (rc || (strcmp(found, before) && strcmp(found, after)) || !data_is_there()) {
			tap_diag("write %d: %s, %s; not %s, nor %s", n,
				 rc ? strerrorname_np(-rc) : "0", found, before, after);
			wrong++;
		}
		found_old += !strcmp(found, before);
		found_new += !strcmp(found, after);
		lose_pool();
	}
	/* After the first write that counts, the new table is there, before it the old one. */
	TAP_EQ(wrong, 0, "%s, %s: before or after, never neither", c->name, how);
	TAP_OK(n > 2 && found_old && found_new, "%s, %s: %d writes, %d times before, %d after",
	       c->name, how, n - 1, found_old, found_new);
}

static void check(const struct command *c)
{
	char before[256], after[256];

	media(true, -1);
	must(attach(0), "attach");
	table(before, sizeof(before));
	must(c->run(), c->name);
	if (c->run == do_detach)
		strcpy(after, before);
	else
		table(after, sizeof(after));
	lose_pool();
	power_goes(c, "0", before, after);
	power_goes(c, "half", before, after);
}

/* Formatting anew: the pool is empty then, or has to be formatted again. */
static void format(const char *how)
{
	struct hmem_pool_attach a;
	int n = 0, wrong = 0, writes;

	do {
		int rc;

		media(true, -1);
		inject(WRITE " %s %d 0 hmem 0", how, ++n);
		must(attach(HMEM_ATTACH_FORMAT), "format");
		writes = inject_look(WRITE);
		lose_pool();
		inject("\n");
		rc = pool_attach_cxl(control, pool, HMEM_ATTACH_CHECK, &a);
		/* Half of the very first copy is neither blank nor a pool. */
		if (rc == -EUCLEAN && n == 1 && !strcmp(how, "half"))
			rc = attach(HMEM_ATTACH_FORMAT);
		else if (rc || a.regions)
			wrong++;
		else
			rc = attach(0);
		if (rc || pool_free(pool) != sysfs_number("hmem_pool", pool, "size"))
			wrong++;
		lose_pool();
	} while (writes);
	TAP_EQ(wrong, 0, "format, %s: an empty pool, or to be formatted again", how);
	TAP_OK(n > 2, "format, %s: %d writes", how, n - 1);
}

int main(void)
{
	char path[PATH_MAX];
	FILE *f;
	int fd;

	control = must_begin_inject();
	must_cxl("pmem", pool);
	snprintf(path, sizeof(path), "/sys/bus/cxl/devices/%s/resource", pool);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%lx", &start) != 1)
		tap_bail("no %s", path);
	fclose(f);
	memory = open("/dev/mem", O_RDWR | O_CLOEXEC);
	if (memory < 0)
		tap_bail("/dev/mem: %s", strerror(errno));

	must(attach(HMEM_ATTACH_FORMAT), "attach");
	must(region_create(control, "kept", pool, 3 * EXTENT), "create");
	must(region_create(control, "other", pool, EXTENT), "create");
	fd = must_open("kept", O_RDWR);
	if (pwrite(fd, "my data", 8, EXTENT) != 8)
		tap_bail("write: %s", strerror(errno));
	close(fd);
	must(pool_detach(control, pool), "detach");
	media(false, -1);

	for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		check(&commands[i]);
	format("0");
	format("half");
	media(true, -1);
	close(memory);
	cxl_end(pool);
	return tap_done();
}
