// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who cannot go on as somebody holds pages is told of all ranges that are held, of all regions:
 * by the command that drains a pool, and by the log when a pool's memory goes away.
 *
 * hmem-test: topology=mixed kernels=lts,newest timeout=180
 */
#include <sys/wait.h>

#include "pools.h"
#include "rings.h"

#define POOL_EXTENTS	48
#define MANY		20	/* ranges of one extent each, more than there is room for at first */
#define LINES		8	/* that the log has at once */
#define ROOM		64

/* Part of a region, from extent @first on. */
struct part {
	const char *region;
	unsigned int first, extents;
};

static int control;

/* A region that stays mapped, every page of which is there. */
struct used {
	const char *name;
	int fd;
	char *p;
	unsigned int extents;
};

static struct used use(const char *name, unsigned int flags, const char *const pools[],
		       unsigned int nr_pools, unsigned int extents)
{
	struct used u = { .name = name, .extents = extents };

	must(region_create_over(control, name, flags, pools, nr_pools, extents * EXTENT), "create");
	u.fd = must_open(name, O_RDWR);
	u.p = must_map(u.fd, extents * EXTENT);
	memset(u.p, 1, extents * EXTENT);
	return u;
}

static void leave(struct used *u)
{
	munmap(u->p, u->extents * EXTENT);
	close(u->fd);
}

/* Less than all of them: a page in each of two extents that follow one another. */
static struct iovec across(const struct used *u, unsigned int extent)
{
	return (struct iovec){ u->p + (extent + 1) * EXTENT - 4096, 8192 };
}

static struct iovec within(const struct used *u, unsigned int extent)
{
	return (struct iovec){ u->p + extent * EXTENT + 8192, 4096 };
}

static bool names(const struct hmem_held_range *ranges, const struct part *parts, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (!strcmp(ranges[i].region, parts[i].region) &&
		    ranges[i].offset == parts[i].first * EXTENT &&
		    ranges[i].bytes == parts[i].extents * EXTENT)
			continue;
		tap_diag("range %u: region %.63s from %llu on, %llu bytes", i, ranges[i].region,
			 (unsigned long long)ranges[i].offset, (unsigned long long)ranges[i].bytes);
		return false;
	}
	return true;
}

/* What io_uring lets go it lets go in this thread, which ends a command in the middle. */
static int drain_again(struct hmem_held_range *ranges, struct hmem_pool_drain *d)
{
	int rc;

	do {
		rc = pool_drain_naming(control, "a", ranges, ROOM, d);
	} while (rc == -EINTR);
	return rc;
}

/* Two ranges of one region and one of another. */
static void several(void)
{
	static const char *const a[] = { "a" };
	static const struct part parts[] = { { "r", 1, 2 }, { "r", 4, 1 }, { "s", 1, 1 } };
	struct used r = use("r", HMEM_CREATE_FILL, a, 1, 6), s = use("s", HMEM_CREATE_FILL, a, 1, 2);
	struct iovec iov[] = { within(&r, 4), across(&r, 1), within(&s, 1) };
	struct hmem_held_range ranges[ROOM] = {};
	struct hmem_pool_drain d;
	int ring = ring_new();

	must(ring_pin_all(ring, iov, 3), "pin");
	TAP_EQ(pool_drain_naming(control, "a", ranges, ROOM, &d), -EBUSY, "several are held");
	TAP_EQ(d.nr_held, 3, "all of them are counted");
	TAP_OK(d.nr_ranges == 3 && names(ranges, parts, 3), "and named, those side by side as one");
	TAP_OK(d.held == EXTENT && !strcmp(d.region, "r"), "the first as ever");
	TAP_OK(d.left == 4 * EXTENT && d.moved == 4 * EXTENT, "all else was moved");

	memset(ranges, 0x5a, sizeof(ranges));
	TAP_EQ(pool_drain_naming(control, "a", ranges, 2, &d), -EBUSY, "room for two");
	TAP_OK(d.nr_ranges == 2 && d.nr_held == 3 && names(ranges, parts, 2),
	       "two are named, three counted");
	TAP_EQ(ranges[2].region[0], 0x5a, "nothing is written behind them");
	TAP_EQ(pool_drain_naming(control, "a", NULL, 0, &d), -EBUSY, "no room");
	TAP_OK(!d.nr_ranges && d.nr_held == 3, "they are counted");
	TAP_EQ(pool_drain_naming(control, "a", (void *)4096, 8, &d), -EFAULT, "no memory of ours");

	d = (struct hmem_pool_drain){ .size = HMEM_POOL_DRAIN_SIZE_V1, .name = "a",
				      .ranges = (uintptr_t)ranges, .nr_ranges = 77, .nr_held = 78 };
	memset(ranges, 0x5a, sizeof(ranges));
	TAP_EQ(hmem_ioctl(control, HMEM_POOL_DRAIN, &d), -EBUSY, "one who does not know of that");
	TAP_OK(d.held == EXTENT && d.nr_ranges == 77 && d.nr_held == 78 &&
	       ranges[0].region[0] == 0x5a, "is told of the first, and nothing else is written");

	TAP_EQ(pool_drain(control, "a", HMEM_DRAIN_STATUS, &d), 0, "asked");
	TAP_OK(!d.nr_ranges && !d.nr_held, "that names nobody");
	ring_unpin(ring);
	TAP_EQ(drain_again(ranges, &d), 0, "let go it goes on");
	TAP_OK(!d.nr_ranges && !d.nr_held && d.held == UINT64_MAX, "and names nobody");
	close(ring);
	leave(&r);
	leave(&s);
	must(region_destroy(control, "r"), "destroy");
	must(region_destroy(control, "s"), "destroy");
	must(pool_drain(control, "a", HMEM_DRAIN_STOP, NULL), "stop");
}

/* Every second extent. */
static void pin_many(int ring, const struct used *u)
{
	struct iovec iov[MANY];

	for (unsigned int i = 0; i < MANY; i++)
		iov[i] = within(u, 2 * i);
	must(ring_pin_all(ring, iov, MANY), "pin");
}

static void many(void)
{
	static const char *const a[] = { "a" };
	struct used r = use("r", HMEM_CREATE_FILL, a, 1, 2 * MANY);
	struct hmem_held_range ranges[ROOM] = {};
	struct part parts[MANY];
	struct hmem_pool_drain d;
	int ring = ring_new();

	for (unsigned int i = 0; i < MANY; i++)
		parts[i] = (struct part){ "r", 2 * i, 1 };
	pin_many(ring, &r);
	TAP_EQ(pool_drain_naming(control, "a", ranges, ROOM, &d), -EBUSY, "many are held");
	TAP_OK(d.nr_held == MANY && d.nr_ranges == MANY && names(ranges, parts, MANY),
	       "all %d are named", MANY);
	ring_unpin(ring);
	close(ring);
	leave(&r);
	must(drain_again(ranges, &d), "drain");
	must(region_destroy(control, "r"), "destroy");
	must(pool_drain(control, "a", HMEM_DRAIN_STOP, NULL), "stop");
}

/* What the kernel logs from now on. */
static int log_open(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (log < 0 || lseek(log, 0, SEEK_END) < 0)
		tap_bail("/dev/kmsg: %s", strerror(errno));
	return log;
}

/* The next line that has @what in it; within half a minute. */
static bool log_find(int log, const char *what, char *line, size_t room)
{
	for (int tries = 0; tries < 3000;) {
		char record[8192], *text;
		ssize_t n = read(log, record, sizeof(record) - 1);

		if (n < 0 && errno == EAGAIN) {
			usleep(10000);
			tries++;
			continue;
		}
		if (n < 0)
			continue;
		record[n] = 0;
		record[strcspn(record, "\n")] = 0;
		text = strchr(record, ';');
		if (!text || !strstr(text, what))
			continue;
		snprintf(line, room, "%s", text + 1);
		return true;
	}
	return false;
}

static bool log_names(int log, const struct part *part)
{
	char line[256], expected[256];

	snprintf(expected, sizeof(expected),
		 "hmem: region %s: waiting for whoever holds pages at offset 0x%llx, %llu bytes",
		 part->region, (unsigned long long)(part->first * EXTENT),
		 (unsigned long long)(part->extents * EXTENT));
	if (!log_find(log, "waiting for whoever", line, sizeof(line)))
		strcpy(line, "nothing");
	if (!strcmp(expected, line))
		return true;
	tap_diag("the log says: %s; not: %s", line, expected);
	return false;
}

/* A device's memory goes away; one region has the other half of it elsewhere, and lives on. */
static void revoked(void)
{
	static const struct part parts[LINES] = {
		{ "half", 3, 1 }, { "r", 0, 2 }, { "r", 3, 1 }, { "t", 0, 1 },
		{ "t", 2, 1 }, { "t", 4, 1 }, { "t", 6, 1 }, { "t", 8, 1 },
	};
	char source[HMEM_NAME_LEN], line[256] = "";
	const char *both[] = { "a", source };
	int ring = ring_new(), other = ring_new(), log, named = 0, status;
	struct used half, r, t;
	struct iovec iov[3];
	pid_t pid;

	must_cxl("ram", source);
	must(pool_attach_cxl(control, source, 0, NULL), "attach");
	r = use("r", HMEM_CREATE_FILL, both + 1, 1, 5);
	half = use("half", HMEM_CREATE_SPREAD, both, 2, 4);
	t = use("t", HMEM_CREATE_FILL, both + 1, 1, 2 * MANY);
	iov[0] = within(&half, 3);
	iov[1] = across(&r, 0);
	iov[2] = within(&r, 3);
	must(ring_pin_all(ring, iov, 3), "pin");
	pin_many(other, &t);
	log = log_open();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		cxl_end(source);
		_exit(0);
	}
	for (int i = 0; i < LINES; i++)
		named += log_names(log, &parts[i]);
	TAP_EQ(named, LINES, "the log names what is held of every region, also of one that lives on");
	TAP_OK(log_find(log, "whoever holds pages of", line, sizeof(line)) &&
	       !strcmp(line, "hmem: waiting for whoever holds pages of 15 more ranges"),
	       "and says how many more there are");
	TAP_EQ(waitpid(pid, &status, WNOHANG), 0, "who takes the memory away waits");
	ring_unpin(other);
	TAP_OK(log_names(log, &parts[0]) && log_names(log, &parts[1]) && log_names(log, &parts[2]),
	       "ten seconds later it names the rest");
	ring_unpin(ring);
	TAP_OK(waitpid(pid, &status, 0) == pid && !status, "let go the memory is taken away");
	leave(&r);
	leave(&half);
	leave(&t);
	close(ring);
	close(other);
	close(log);
	must(region_destroy(control, "half"), "destroy");
}

int main(void)
{
	control = must_begin_cxl();
	must(pool_attach_ram(control, "a", POOL_EXTENTS * EXTENT), "attach");
	must(pool_attach_ram(control, "b", POOL_EXTENTS * EXTENT), "attach");
	several();
	many();
	revoked();
	sweep(control);
	return tap_done();
}
