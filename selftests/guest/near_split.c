// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where a few pages of each extent are hot the policy splits extents, and those pages come near
 * alone; when others are hot they give way. All the while threads count in hot pages, through
 * mappings and by call, and nothing that they count is lost.
 *
 * hmem-test: topology=mixed kernels=newest long=lts timeout=400
 */
#include "pools.h"
#include "near_costs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define EXTENTS		8
#define LENGTH		(EXTENTS * EXTENT)
#define PAGE		4096UL
#define PAGES		(LENGTH / PAGE)
#define IN_EXTENT	(EXTENT / PAGE)
/* Of each extent: together they fit into the bound, and those of two phases do not. */
#define HOT		40
#define BOUND		EXTENT
#define COUNTERS	2
#define PATIENCE	patience(120)

static const char *kind;
static bool persistent;
static int fd;
static char *base;
static volatile unsigned int phase, stop;

/* The number in the region of hot page @n of all. */
static uint64_t hot_page(unsigned int n)
{
	return n / HOT * IN_EXTENT + (n % HOT * 11 + phase * 5) % IN_EXTENT;
}

static void *reader(void *unused)
{
	unsigned int n = 0;

	(void)unused;
	while (!stop) {
		for (unsigned int i = 0; i < EXTENTS * HOT; i++, n++)
			(void)*(volatile char *)(base + hot_page(n * 7 % (EXTENTS * HOT)) * PAGE);
		usleep(2000);
	}
	return NULL;
}

/* Never stops, so that its CPU has no reason to forget where those pages are. */
static void *spinner(void *unused)
{
	(void)unused;
	for (unsigned int n = 0; !stop; n = (n + 1) % HOT)
		(void)*(volatile char *)(base + hot_page(n) * PAGE);
	return NULL;
}

/* What is touched all the time is seen at every scan, and not only at the first one. */
static void seen_again(void)
{
	struct hmem_stats before, after;
	time_t end = time(NULL) + PATIENCE;
	pthread_t thread;

	stop = 0;
	if (pthread_create(&thread, NULL, spinner, NULL))
		tap_bail("no thread");
	before = near_stats(fd);
	do {
		usleep(100000);
		after = near_stats(fd);
	} while (after.scanned - before.scanned < 12 * PAGES && time(NULL) < end);
	stop = 1;
	pthread_join(thread, NULL);
	tap_diag("%llu of %llu seen", (unsigned long long)(after.seen - before.seen),
		 (unsigned long long)(after.scanned - before.scanned));
	/* The first scan sees all that was hot before. */
	TAP_OK(after.scanned - before.scanned >= 12 * PAGES &&
	       after.seen - before.seen >=
		       EXTENTS * HOT + (after.scanned - before.scanned) / PAGES * HOT / 2,
	       "%s: what is touched all the time is seen again and again", kind);
	TAP_OK(2 * (after.seen_near - before.seen_near) > after.seen - before.seen &&
		       after.seen_near <= after.seen,
	       "%s: near, for the most part", kind);
}

struct counter {
	unsigned int number;
	uint32_t counted[PAGES];
	unsigned int wrong;
};

static uint64_t word(const struct counter *c, uint64_t page)
{
	return page * PAGE + 64 + c->number * 128;
}

/* A store takes a near page of a persistent region away: few of them, or nothing stays. */
static void *count(void *argument)
{
	struct counter *c = argument;

	for (unsigned int n = 0; !stop; n++) {
		uint64_t page = hot_page(n * 13 % (EXTENTS * HOT)), at = word(c, page);
		uint32_t value;

		if (c->number) {
			if (pread(fd, &value, sizeof(value), at) != sizeof(value))
				c->wrong++;
			c->wrong += value != c->counted[page]++;
			value++;
			if (pwrite(fd, &value, sizeof(value), at) != sizeof(value))
				c->wrong++;
		} else {
			value = __atomic_fetch_add((uint32_t *)(base + at), 1, __ATOMIC_RELAXED);
			c->wrong += value != c->counted[page]++;
		}
		usleep(persistent ? 100000 : 300);
	}
	return NULL;
}

/* The tracepoint that says which pages of a split extent moved. */
static void trace(bool on)
{
	if (access("/sys/kernel/tracing/events", F_OK) &&
	    mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL))
		tap_bail("tracefs: %s", strerror(errno));
	if (system(on ? "echo 1 > /sys/kernel/tracing/events/hmem/hmem_pages/enable" :
			"echo 0 > /sys/kernel/tracing/events/hmem/hmem_pages/enable"))
		tap_bail("the tracepoint cannot be switched");
}

static bool all_there(const struct counter *c)
{
	for (uint64_t page = 0; page < PAGES; page++) {
		uint32_t value, read;

		memcpy(&value, base + word(c, page), sizeof(value));
		if (pread(fd, &read, sizeof(read), word(c, page)) != sizeof(read) ||
		    value != c->counted[page] || read != value) {
			tap_diag("page %llu: %u mapped, %u read, %u counted",
				 (unsigned long long)page, value, read, c->counted[page]);
			return false;
		}
	}
	return true;
}

static void policy(unsigned int mode)
{
	must(policy_mode_set(fd, mode), "mode");
}

static void knob(const char *name, uint64_t value)
{
	struct hmem_policy p = { .size = sizeof(p), .flags = HMEM_POLICY_KNOB, .value = value };

	snprintf(p.knob, sizeof(p.knob), "%s", name);
	must(hmem_ioctl(fd, HMEM_REGION_POLICY, &p), name);
}

/* Which pages are near, one cell each. */
static const struct hmem_heat_cell *cells(void)
{
	static struct hmem_heat_cell map[PAGES];
	struct hmem_heat h = { .size = sizeof(h), .cell = PAGE, .nr_cells = PAGES,
			       .cells = (uintptr_t)map };

	must(hmem_ioctl(fd, HMEM_REGION_HEAT, &h), "HMEM_REGION_HEAT");
	if (h.nr_cells != PAGES)
		tap_bail("a map of %llu cells", (unsigned long long)h.nr_cells);
	return map;
}

static unsigned int hot_near(void)
{
	const struct hmem_heat_cell *map = cells();
	unsigned int near = 0;

	for (unsigned int n = 0; n < EXTENTS * HOT; n++)
		near += map[hot_page(n)].near == 255;
	return near;
}

static void show(void)
{
	struct hmem_stats s = near_stats(fd);

	tap_diag("%u of %u hot pages near, %llu pages in all; %llu split, %llu made whole, %llu "
		 "scanned, %llu seen, %llu near, %llu home",
		 hot_near(), EXTENTS * HOT, (unsigned long long)s.near / 4096,
		 (unsigned long long)s.splits, (unsigned long long)s.collapses,
		 (unsigned long long)s.scanned, (unsigned long long)s.seen,
		 (unsigned long long)s.promotions, (unsigned long long)s.demotions);
}

/* Waits until nine of ten hot pages are near, and of the extents no more than that by much. */
static bool settles(void)
{
	time_t end = time(NULL) + PATIENCE;

	do {
		if (hot_near() >= EXTENTS * HOT * 9 / 10)
			return true;
		usleep(100000);
	} while (time(NULL) < end);
	show();
	return false;
}

static unsigned int pages_near(void)
{
	const struct hmem_heat_cell *map = cells();
	unsigned int near = 0;

	for (unsigned int i = 0; i < PAGES; i++)
		near += map[i].near == 255;
	return near;
}

/* A page in a pipe: it stays where it is, and everything else goes on. */
static void pinned(void)
{
	struct iovec iov = { .iov_len = PAGE };
	struct hmem_migrate m;
	unsigned int n = 0;
	int pipes[2];

	policy(HMEM_POLICY_MANUAL);
	/* One that is near: of those at home nothing has to move. */
	while (n < HOT - 1 && cells()[hot_page(n)].near != 255)
		n++;
	iov.iov_base = base + hot_page(n) * PAGE;
	must(pipe(pipes), "pipe");
	if (vmsplice(pipes[1], &iov, 1, 0) != PAGE)
		tap_bail("vmsplice");
	must(migrate(fd, 0, 0, HMEM_HOME, &m), "migrate");
	TAP_OK(m.pages[HMEM_MOVED_PINNED] == IN_EXTENT && m.pinned == 0,
	       "%s: an extent with a page in a pipe is not moved", kind);
	close(pipes[0]);
	close(pipes[1]);
	must(migrate(fd, 0, 0, HMEM_HOME, &m), "migrate");
	TAP_OK(!m.pages[HMEM_MOVED_PINNED] && !near_stats(fd).near,
	       "%s: and then it is; nothing is near", kind);
}

static void child_sees(const struct counter *counters)
{
	int status;
	pid_t child = fork();

	if (!child)
		_exit(!all_there(&counters[0]) || !all_there(&counters[1]));
	waitpid(child, &status, 0);
	TAP_OK(WIFEXITED(status) && !WEXITSTATUS(status), "%s: a child sees all of it", kind);
}

/* Nothing moves any more, but what a store to a persistent region takes away meanwhile. */
static void stays_near(void)
{
	uint64_t before, near, after;
	bool same;

	policy(HMEM_POLICY_OFF);
	before = pages_near() * PAGE;
	near = near_stats(fd).near;
	after = pages_near() * PAGE;
	tap_diag("%" PRIu64 ", %" PRIu64 ", %" PRIu64 " bytes near", before, near, after);
	same = near == before && after == near;
	TAP_OK(same || (persistent && near && near <= before && after <= near),
	       "%s: off: what is near stays so", kind);
}

static void splits(int control, const struct pool *pool)
{
	static struct counter counters[COUNTERS];
	pthread_t threads[COUNTERS + 1];
	struct hmem_stats s;
	unsigned int wrong = 0;
	pid_t other;

	kind = pool->kind;
	persistent = strstr(kind, "pmem");
	must(region_create(control, "split", pool->name, LENGTH), "create");
	fd = must_open("split", O_RDWR);
	must(near_max_set(fd, BOUND), "near_max");
	base = must_map(fd, LENGTH);
	memset(base, 0, LENGTH);
	memset(counters, 0, sizeof(counters));
	stop = phase = 0;
	if (pthread_create(&threads[COUNTERS], NULL, reader, NULL))
		tap_bail("no thread");
	for (unsigned int i = 0; i < COUNTERS; i++) {
		counters[i].number = i;
		if (pthread_create(&threads[i], NULL, count, &counters[i]))
			tap_bail("no thread");
	}
	/* An emulated machine is slow, and the test does not wait for thousands of samples. */
	knob("budget_ppm", 300000);
	must_set_costs(fd);
	knob("split_prior", 1);
	knob("window_max_ms", 500);
	policy(HMEM_POLICY_AUTO);
	TAP_OK(settles(), "%s: hot pages come near", kind);
	s = near_stats(fd);
	show();
	TAP_OK(s.splits && s.scanned && s.seen, "%s: extents are split for that", kind);
	TAP_OK(s.near <= BOUND && s.promotions < 4 * PAGES, "%s: within the bound", kind);
	phase = 1;
	TAP_OK(settles(), "%s: when others are hot they take their place", kind);
	show();
	TAP_OK(near_stats(fd).demotions, "%s: which was given up for them", kind);

	stays_near();
	policy(HMEM_POLICY_AUTO);
	TAP_OK(settles(), "%s: auto again", kind);
	stop = 1;
	for (unsigned int i = 0; i <= COUNTERS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int i = 0; i < COUNTERS; i++)
		wrong += counters[i].wrong + !all_there(&counters[i]);
	TAP_EQ(wrong, 0, "%s: all that was counted is there", kind);
	child_sees(counters);
	pinned();
	TAP_OK(all_there(&counters[0]) && all_there(&counters[1]), "%s: also at home", kind);

	stop = 0;
	phase = 2;
	policy(HMEM_POLICY_AUTO);
	fflush(stdout);
	other = fork();
	if (other < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!other) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		reader(NULL);
	}
	TAP_OK(settles(), "%s: and once more, for another process", kind);
	TAP_EQ(near_max_set(fd, 0), 0, "%s: the bound is taken away", kind);
	TAP_EQ(near_stats(fd).near, 0, "%s: nothing is near", kind);
	must(near_max_set(fd, BOUND), "near_max");
	TAP_OK(settles(), "%s: it comes back", kind);
	/* What it has touched counts once more as long as it has it mapped. */
	kill(other, SIGSTOP);
	seen_again();
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	TAP_EQ(region_resize(control, "split", LENGTH / 2), 0, "%s: it shrinks", kind);
	TAP_EQ(region_resize(control, "split", LENGTH), 0, "%s: and grows", kind);
	munmap(base, LENGTH);
	close(fd);
	TAP_EQ(region_destroy(control, "split"), 0, "%s: destroyed with near pages", kind);
}

int main(void)
{
	int control = must_begin_cxl();

	trace(true);
	on_every_pool(control, 32 * MIB, splits);
	trace(false);
	TAP_OK(!system("grep -q 'hmem_pages: region=split extent=[0-9]* near=[1-9]' "
		       "/sys/kernel/tracing/trace"), "the tracepoint told of pages that came near");
	return tap_done();
}
