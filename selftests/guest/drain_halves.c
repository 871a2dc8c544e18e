// SPDX-License-Identifier: GPL-2.0-only
/*
 * A persistent region that is between two pools, when something else goes wrong as well:
 * damaged tags and superblocks, and pools that go while it is taken apart. Its halves meet again as
 * they were, or not at all.
 *
 * hmem-test: topology=pmem2 kernels=lts,newest timeout=240
 */
#include "moving.h"

#define TAGS		(2 * MIB)		/* media.h */
#define COPY_BYTES	MIB

static char names[2][HMEM_NAME_LEN];
static char *const a = names[0], *const b = names[1];

/* The child is not to hold what @h does. */
static pid_t start_destroy(const char *cxl, const struct held *h)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid)
		return pid;
	close(h->pin[0]);
	close(h->pin[1]);
	_exit(cxl_fixture("destroy", cxl, NULL, 0) ? 1 : 0);
}

static bool ended_well(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

/* One of its pools goes, and then the other, while a page of it is held. */
static void taken_apart(void)
{
	pid_t first, second;
	struct held h;

	must(attach(a), "attach");
	must(attach(b), "attach");
	hold(&h, 0);
	first = start_destroy(a, &h);
	for (int tries = 0; !hidden() && tries < 3000; tries++)
		usleep(10000);
	TAP_OK(hidden(), "taken apart: it is gone with one of its pools");
	TAP_EQ(pool_detach(control, b), -EBUSY, "taken apart: the other is not detached");
	TAP_EQ(region_destroy(control, "kept"), -EBUSY, "taken apart: nor is its half given up");
	TAP_EQ(pool_drain(control, b, 0, NULL), -EBUSY, "taken apart: nor drained");
	second = start_destroy(b, &h);
	/* That nothing happens is no event. */
	usleep(2000000);
	TAP_OK(!waitpid(first, NULL, WNOHANG) && !waitpid(second, NULL, WNOHANG),
	       "taken apart: both wait for who holds it");
	TAP_EQ(touch_read(h.map + 4096), SIGBUS, "taken apart: who has it mapped has nothing");
	let_go(&h);
	TAP_OK(ended_well(first) && ended_well(second), "taken apart: let go, both go");
	must_cxl_on_each("pmem", names, 2);
	must(attach(a), "attach");
	must(attach(b), "attach");
	TAP_OK(half_whole(), "taken apart: it comes back with them");
	TAP_EQ(pool_drain(control, a, 0, NULL), 0, "taken apart: and moves on");
	TAP_OK(half_whole(), "taken apart: with all it has");
	detach_all(names, 2);
}

/* Bytes of a pool that nobody has attached are no longer what they were; or again. */
static void flip(const char *pool, uint64_t at)
{
	unsigned long start;
	char path[PATH_MAX];
	unsigned char *page;
	int fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/cxl/devices/%s/resource", pool);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%lx", &start) != 1)
		tap_bail("no %s", path);
	fclose(f);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, start + (at & -4096ULL));
	if (page == MAP_FAILED)
		tap_bail("/dev/mem: %s", strerror(errno));
	page[at % 4096] ^= 0x40;
	munmap(page, 4096);
	close(fd);
}

static bool fails(unsigned int extent)
{
	char byte = 0;
	int fd = must_open("kept", O_RDWR);
	bool failed = pread(fd, &byte, 1, extent * EXTENT + 4096) == -1 && errno == EIO &&
		      pwrite(fd, &byte, 1, extent * EXTENT) == -1 && errno == EIO;

	close(fd);
	return failed;
}

/* @extent's tag on @pool is damaged; what has come there, or has not left, cannot be told. */
static void damaged_tag(const char *pool, unsigned int extent, const char *what)
{
	struct hmem_pool_drain d;

	begin_half(a, b);
	detach_all(names, 2);
	flip(pool, TAGS + extent * 8);
	must(attach(a), "attach");
	must(attach(b), "attach");
	TAP_OK(fails(extent), "%s: it fails, and shows nothing older", what);
	TAP_OK((extent == 0 || has(0, two)) && (extent == 1 || has(1, three)) && has(2, one) &&
	       has(3, three) && has(4, none), "%s: alone", what);
	TAP_EQ(pool_drain(control, a, 0, &d), -EIO, "%s: the drain says so", what);
	TAP_OK(d.held == extent * EXTENT && d.left == EXTENT, "%s: when all others have moved", what);
	detach_all(names, 2);
	flip(pool, TAGS + extent * 8);
	must(attach(a), "attach");
	must(attach(b), "attach");
	TAP_OK(half_whole(), "%s: mended, it is there", what);
	TAP_EQ(pool_drain(control, a, 0, NULL), 0, "%s: and moves", what);
	TAP_OK(half_whole(), "%s: with the others", what);
	detach_all(names, 2);
}

static uint64_t left_on(const char *pool)
{
	struct hmem_pool_drain d;

	must(pool_drain(control, pool, HMEM_DRAIN_STATUS, &d), "status");
	return d.left;
}

/*
 * The pool that it comes to is detached while the other one is drained: what is there still is
 * hidden, and that does not make the pool an empty one.
 */
static void left_alone(void)
{
	struct hmem_pool_drain d;
	int status;
	pid_t pid;

	begin(a, b);
	detach_all(names, 2);
	flip(a, TAGS + 8);
	must(attach(a), "attach");
	must(attach(b), "attach");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		int rc = pool_drain(control, a, 0, &d);

		_exit(rc == -EBUSY && d.left ? 0 : rc ? 2 : 1);
	}
	/* All but the damaged one; for that it is waited for a second. */
	for (int tries = 0; left_on(a) != EXTENT && tries < 10000; tries++)
		usleep(1000);
	TAP_EQ(pool_detach(control, b), 0, "left alone: the other pool is detached meanwhile");
	while (waitpid(pid, &status, 0) < 0)
		;
	TAP_EQ(WEXITSTATUS(status), 0, "left alone: the drain says that something is there");
	TAP_OK(left_on(a) > 0, "left alone: as it is");
	TAP_OK(hidden(), "left alone: though nobody sees it");
	must(pool_detach(control, a), "detach");
	flip(a, TAGS + 8);
	must(attach(a), "attach");
	must(attach(b), "attach");
	TAP_OK(whole(), "left alone: both are there, and it is whole");
	TAP_EQ(pool_drain(control, a, 0, NULL), 0, "left alone: and moves on");
	TAP_OK(whole(), "left alone: with all it has");
	detach_all(names, 2);
}

static void damaged_superblock(const char *pool, const char *other)
{
	struct hmem_pool_attach answer;

	flip(pool, 4096 + 3);
	must(attach(other), "attach");
	TAP_EQ(pool_attach_cxl(control, pool, 0, &answer), 0, "superblock: one copy is damaged");
	TAP_OK(answer.state & HMEM_POOL_REPAIRED && half_whole(), "superblock: the other will do");
	detach_all(names, 2);
	flip(pool, 4096 + 3);
	flip(pool, COPY_BYTES + 4096 + 3);
	must(attach(other), "attach");
	TAP_EQ(attach(pool), -EUCLEAN, "superblock: both are damaged");
	TAP_OK(hidden(), "superblock: half of the region shows nothing");
	detach_all(names, 2);
	flip(pool, 4096 + 3);
	flip(pool, COPY_BYTES + 4096 + 3);
	must(attach(pool), "attach");
	must(attach(other), "attach");
	TAP_OK(half_whole(), "superblock: mended, it is there");
	detach_all(names, 2);
}

int main(void)
{
	control = must_begin_cxl();
	touch_catch();
	must_cxl_on_each("pmem", names, 2);
	damaged_tag(b, 0, "a tag is damaged where it came to");
	damaged_tag(a, 1, "a tag is damaged where it is still");
	begin_half(a, b);
	detach_all(names, 2);
	damaged_superblock(a, b);
	damaged_superblock(b, a);
	taken_apart();
	left_alone();
	for (int i = 0; i < 2; i++)
		cxl_end(names[i]);
	return tap_done();
}
