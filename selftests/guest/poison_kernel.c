// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel finds bad, the module hears of: in homes of each kind, in near copies, and in
 * memory of a pool that nobody has.
 *
 * hmem-test: topology=mixed kernels=lts,newest
 */
#include "poison.h"
#include "near.h"

#include <poll.h>

#define EXTENTS		3
#define LENGTH		(EXTENTS * EXTENT)
#define BAD		300ULL
#define OFFSET		(EXTENT + BAD * PAGE)

static const char *kind;
static int fd;
static char *p;
static uint64_t seq;

static void begin(int control, const struct pool *pool)
{
	must(region_create(control, "bad", pool->name, LENGTH), "create");
	fd = must_open("bad", O_RDWR);
	must(near_max_set(fd, LENGTH), "near_max");
	p = must_map(fd, LENGTH);
	for (int i = 0; i < EXTENTS; i++)
		memset(p + i * EXTENT, i + 1, EXTENT);
	seq = 0;
}

static void end(int control)
{
	munmap(p, LENGTH);
	close(fd);
	must(region_destroy(control, "bad"), "destroy");
}

static void good_elsewhere(const char *what)
{
	TAP_OK(others_hold(p + EXTENT, BAD, 2) && others_hold(p, UINT64_MAX, 1) &&
	       others_hold(p + 2 * EXTENT, UINT64_MAX, 3), "%s: %s: all else goes on", kind, what);
}

static void in_home(int control, const struct pool *pool)
{
	int64_t room;
	int rc;

	begin(control, pool);
	rc = kernel_poison(pfn_of(p + OFFSET));
	/* Of ordinary memory that is not on its lists the kernel says that it could do nothing. */
	TAP_EQ(rc, pool->dram ? -EBUSY : 0, "%s: the kernel is told of a page at home", kind);
	await_poison(fd, &seq, OFFSET);
	TAP_OK(page_fails(p + OFFSET, false) && page_fails(p + OFFSET + 99, true),
	       "%s: the page fails", kind);
	good_elsewhere("home");
	TAP_OK(only_bad(fd, OFFSET, PAGE, HMEM_POISONED_DATA | HMEM_POISONED_HOME),
	       "%s: it is listed", kind);
	rc = poison(fd, HMEM_POISON_CLEAR, OFFSET, PAGE, NULL);
	if (pool->dram) {
		TAP_EQ(rc, -EIO, "%s: ordinary memory is gone for good", kind);
	} else {
		TAP_EQ(rc, 0, "%s: it is cleared", kind);
		TAP_OK(all_bytes(p + OFFSET, PAGE, 0), "%s: and holds zeroes", kind);
		must(kernel_poison(pfn_of(p + OFFSET)), "once more");
		await_poison(fd, &seq, OFFSET);
		TAP_OK(page_fails(p + OFFSET, false), "%s: fails once more", kind);
	}
	room = pool_free(pool->name);
	end(control);
	TAP_EQ(pool_free(pool->name), room + (int64_t)(2 * EXTENT), "%s: its extent is not free",
	       kind);
}

/* The kernel tells, and nobody waits: the near copy is gone a little later. */
static void await_home(void)
{
	for (int i = 0; near_stats(fd).near; i++) {
		if (i == 60000)
			tap_bail("the near copy is still there");
		usleep(1000);
	}
}

static void in_clean_copy(int control, const struct pool *pool)
{
	begin(control, pool);
	must(move_extents(fd, 1, 1, HMEM_NEAR) == 1 ? 0 : -EBUSY, "make a near copy");
	TAP_EQ(p[OFFSET], 2, "%s: it is read", kind);
	kernel_poison(pfn_of(p + OFFSET));
	await_home();
	TAP_OK(touch_read(p + OFFSET) == 0 && p[OFFSET] == 2, "%s: a clean near copy: goes home", kind);
	good_elsewhere("clean");
	TAP_EQ(poison_list(fd, 0, (struct hmem_poison_range[1]){}, 1), 0, "%s: nothing is lost",
	       kind);
	TAP_EQ(move_extents(fd, 1, 1, HMEM_NEAR), 1, "%s: it may come again", kind);
	end(control);
}

/* What of a near copy can no longer be read, though nothing is lost, only the kernel log says. */
static void spoil_near(volatile char *page)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct pollfd wait = { .fd = log, .events = POLLIN };
	char record[1024], text[64];
	ssize_t length;

	if (log < 0 || lseek(log, 0, SEEK_END) < 0)
		tap_bail("/dev/kmsg: %s", strerror(errno));
	snprintf(text, sizeof(text), "near copy of offset %#tx: nothing is lost", page - p);
	kernel_poison(pfn_of(page));
	do {
		if (poll(&wait, 1, 60000) < 1)
			tap_bail("the module has not heard of a page of a near copy");
		length = read(log, record, sizeof(record) - 1);
		record[length < 0 ? 0 : length] = 0;
	} while (!strstr(record, text));
	close(log);
}

/*
 * A clean near copy with a bad page cannot go home, as somebody holds another page of it. When that
 * page is cleared it has what it had, as its home is good.
 */
static void in_held_copy(int control, const struct pool *pool)
{
	struct iovec iov;
	int pin[2];

	begin(control, pool);
	must(move_extents(fd, 1, 1, HMEM_NEAR) == 1 ? 0 : -EBUSY, "make a near copy");
	iov = (struct iovec){ p + OFFSET + 5 * PAGE, PAGE };
	if (pipe(pin) || vmsplice(pin[1], &iov, 1, 0) != (ssize_t)PAGE)
		tap_bail("vmsplice: %s", strerror(errno));
	TAP_EQ(p[OFFSET], 2, "%s: it is read", kind);
	spoil_near(p + OFFSET);
	TAP_EQ(near_stats(fd).near, EXTENT, "%s: a near copy that is held stays", kind);
	close(pin[0]);
	close(pin[1]);
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, OFFSET, PAGE, NULL), 0, "%s: its page is cleared", kind);
	TAP_OK(others_hold(p + EXTENT, UINT64_MAX, 2), "%s: nothing is lost", kind);
	TAP_EQ(move_extents(fd, 1, 1, HMEM_HOME), 0, "%s: and it is at home", kind);
	end(control);
}

/*
 * Nor can it where another page has its data nowhere else, as that one's home is bad. Both are
 * cleared at once: the one that keeps the copy first.
 */
static void in_kept_copy(int control, const struct pool *pool)
{
	const uint64_t kept = 2 * EXTENT - PAGE;

	begin(control, pool);
	must(move_extents(fd, 1, 1, HMEM_NEAR) == 1 ? 0 : -EBUSY, "make a near copy");
	must(poison(fd, HMEM_POISON_REPORT, kept, PAGE, NULL), "report");
	await_poison(fd, &seq, kept);
	TAP_EQ(p[OFFSET], 2, "%s: a near copy is read", kind);
	spoil_near(p + OFFSET);
	TAP_EQ(near_stats(fd).near, EXTENT, "%s: one that has what its home could not take stays",
	       kind);
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, EXTENT, EXTENT, NULL), 0, "%s: both are cleared", kind);
	TAP_OK(others_hold(p + EXTENT, UINT64_MAX, 2), "%s: nothing of it is lost", kind);
	end(control);
}

static void in_dirty_copy(int control, const struct pool *pool)
{
	begin(control, pool);
	must(move_extents(fd, 1, 1, HMEM_NEAR) == 1 ? 0 : -EBUSY, "make a near copy");
	p[OFFSET + 1] = 2;
	p[EXTENT + 5] = 44;
	TAP_EQ(near_stats(fd).dirty, EXTENT, "%s: a near copy was stored to", kind);
	kernel_poison(pfn_of(p + OFFSET));
	await_poison(fd, &seq, OFFSET);
	TAP_OK(page_fails(p + OFFSET, false), "%s: a dirty near copy: the page fails", kind);
	await_home();
	TAP_OK(page_fails(p + OFFSET, true), "%s: also when the rest is at home", kind);
	good_elsewhere("dirty");
	TAP_EQ(p[EXTENT + 5], 44, "%s: with what was stored", kind);
	TAP_OK(only_bad(fd, OFFSET, PAGE, HMEM_POISONED_DATA), "%s: its home is good", kind);
	TAP_EQ(poison(fd, HMEM_POISON_CLEAR, OFFSET, PAGE, NULL), 0, "%s: it is cleared", kind);
	TAP_OK(all_bytes(p + OFFSET, PAGE, 0), "%s: and used again", kind);
	end(control);
}

static void by_madvise(int control, const struct pool *pool)
{
	begin(control, pool);
	TAP_EQ(madvise(p + OFFSET, PAGE, MADV_HWPOISON), 0, "%s: madvise(2)", kind);
	await_poison(fd, &seq, OFFSET);
	TAP_OK(page_fails(p + OFFSET, false), "%s: the page fails", kind);
	good_elsewhere("madvise");
	must(poison(fd, HMEM_POISON_CLEAR, OFFSET, PAGE, NULL), "clear");
	end(control);
}

/* All that the pool was claimed from; a persistent one has more than it can give to regions. */
static int64_t claimed(const struct pool *pool)
{
	char path[PATH_MAX];
	long long bytes = 0;
	FILE *f;

	if (pool->dram)
		return sysfs_number("hmem_pool", pool->name, "size");
	snprintf(path, sizeof(path), "/sys/bus/cxl/devices/%s/size", pool->name);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%lli", &bytes) != 1)
		tap_bail("%s: %s", path, strerror(errno));
	fclose(f);
	return bytes;
}

/* What a device tells of itself, by its own addresses; and what nobody has. */
static void in_pool(int control, const struct pool *pool)
{
	struct hmem_pool_poison a = { .size = sizeof(a), .bytes = 1 };
	struct hmem_poison_range r[8];
	int64_t size = claimed(pool), room;

	set_name(a.name, pool->name);
	TAP_EQ(hmem_ioctl(control, HMEM_POOL_POISON, &a), 0, "%s: its first byte", kind);
	TAP_OK(a.pages + a.free + a.own == 1 && a.own == pool->persistent,
	       "%s: is the superblock's, or nobody's", kind);
	a.offset = size;
	TAP_EQ(hmem_ioctl(control, HMEM_POOL_POISON, &a), -ERANGE, "%s: beyond its end", kind);
	room = pool_free(pool->name);
	begin(control, pool);
	/* The last extents of the pool are free, whatever the others are. */
	a.offset = size - EXTENT - 1;
	a.bytes = 2;
	TAP_EQ(hmem_ioctl(control, HMEM_POOL_POISON, &a), 0, "%s: between two extents", kind);
	TAP_OK(a.free == 2 && !a.pages, "%s: nobody has them", kind);
	TAP_EQ(pool_free(pool->name), room - (int64_t)(LENGTH + 2 * EXTENT),
	       "%s: they are not to be had", kind);
	a.offset = 0;
	a.bytes = size;
	TAP_EQ(hmem_ioctl(control, HMEM_POOL_POISON, &a), 0, "%s: all of it", kind);
	TAP_EQ(a.pages, LENGTH / PAGE, "%s: a region has some", kind);
	TAP_EQ(pool_free(pool->name), 0, "%s: nothing is to be had", kind);
	TAP_EQ(poison_list(fd, 0, r, 8), 1, "%s: it knows", kind);
	TAP_OK(page_fails(p, false) && page_fails(p + LENGTH - PAGE, true), "%s: all fails", kind);
	TAP_EQ(region_create(control, "other", pool->name, EXTENT), -ENOSPC, "%s: no room", kind);
	end(control);
	set_name(a.name, "nobody");
	TAP_EQ(hmem_ioctl(control, HMEM_POOL_POISON, &a), -ENOENT, "%s: no such pool", kind);
}

static void checks(int control, const struct pool *pool)
{
	kind = pool->kind;
	bus_catch();
	in_home(control, pool);
	in_clean_copy(control, pool);
	in_held_copy(control, pool);
	in_kept_copy(control, pool);
	if (!pool->persistent)
		in_dirty_copy(control, pool);
	if (!pool->dram)
		by_madvise(control, pool);
	in_pool(control, pool);
}

int main(void)
{
	int control = must_begin_cxl();

	on_every_pool(control, 32 * MIB, checks);
	return tap_done();
}
