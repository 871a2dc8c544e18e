// SPDX-License-Identifier: GPL-2.0-only
/*
 * The policy at work: what is touched often comes near by itself, what is not goes home, and
 * heat tells which is which. How well it chooses is for bench/tier; here it has to choose at
 * all, be told what to do, and leave nothing behind.
 *
 * hmem-test: topology=mixed kernels=lts,newest timeout=240
 */
#include "pools.h"
#include "near_costs.h"

#include <pthread.h>

#define EXTENTS		24
#define HOT		4
#define LENGTH		(EXTENTS * EXTENT)
#define PATIENCE	patience(60)
#define TRACING		"/sys/kernel/tracing/"
#define WORK_EVENT	TRACING "events/workqueue/workqueue_execute_start/enable"

static const char *kind;
static char *base;
static volatile int hot_at, stop;
static volatile unsigned int there = EXTENTS, rounds;

static int policy(int fd, unsigned int flags, unsigned int mode, uint64_t near_max)
{
	struct hmem_policy p = { .size = sizeof(p), .flags = flags, .mode = mode,
				 .near_max = near_max };

	return hmem_ioctl(fd, HMEM_REGION_POLICY, &p);
}

static int heat(int fd, struct hmem_heat *h, struct hmem_heat_cell *cells)
{
	*h = (struct hmem_heat){ .size = sizeof(*h), .cell = EXTENT, .nr_cells = EXTENTS,
				 .cells = (uintptr_t)cells };
	return hmem_ioctl(fd, HMEM_REGION_HEAT, h);
}

/* The pages of an extent in turn: it is to be as hot in one place as in another. */
static void touch(unsigned int extent, unsigned int n)
{
	(void)*(volatile char *)(base + extent * EXTENT + n % 512 * 4096);
}

/*
 * Reads four extents in turn, and now and then one of the others: seldom enough that they differ
 * also where a fault takes as long as many accesses, which makes all that is hot look alike.
 */
static void *reader(void *unused)
{
	unsigned int i = 0, cold = 0;

	(void)unused;
	while (!stop) {
		for (unsigned int n = 0; n < 2000; n++, i++)
			touch(hot_at + i % HOT, i / HOT);
		if (rounds % 8 == 0) {
			touch(cold % there, cold / there);
			cold++;
		}
		rounds++;
		usleep(1000);
	}
	return NULL;
}

static void show_stats(int fd)
{
	struct hmem_stats s = near_stats(fd);

	tap_diag("%llu probes, %llu touched, %llu promotions, %llu demotions, %llu aborted, window %llu ms",
		 (unsigned long long)s.probes, (unsigned long long)s.touches,
		 (unsigned long long)s.promotions, (unsigned long long)s.demotions,
		 (unsigned long long)s.aborted, (unsigned long long)s.window_ns / 1000000);
}

/* Waits until just the hot extents are near. */
static bool settles(int fd)
{
	struct hmem_heat_cell cells[EXTENTS];
	time_t end = time(NULL) + PATIENCE;
	struct hmem_heat h;

	do {
		int near = 0, right = 0;

		must(heat(fd, &h, cells), "HMEM_REGION_HEAT");
		for (int i = 0; i < EXTENTS; i++) {
			near += cells[i].near == 255;
			right += cells[i].near == 255 && i >= hot_at && i < hot_at + HOT;
		}
		if (right == HOT && near == HOT)
			return true;
		usleep(100000);
	} while (time(NULL) < end);
	for (int i = 0; i < EXTENTS; i++)
		tap_diag("extent %d: heat %u, near %u", i, cells[i].heat, cells[i].near);
	show_stats(fd);
	return false;
}

/* Nine of ten pairs of a hot extent and another: one may have been unlucky just now. */
static bool hot_are_hottest(const struct hmem_heat_cell *cells)
{
	int pairs = 0, right = 0;

	for (int i = 0; i < EXTENTS; i++) {
		if (i >= hot_at && i < hot_at + HOT)
			continue;
		for (int j = hot_at; j < hot_at + HOT; j++) {
			pairs++;
			right += cells[j].heat > cells[i].heat;
		}
	}
	return right * 10 >= pairs * 9;
}

/* Waits until heat says so. */
static bool found_hot(int fd)
{
	struct hmem_heat_cell cells[EXTENTS];
	time_t end = time(NULL) + PATIENCE;
	struct hmem_heat h;

	do {
		must(heat(fd, &h, cells), "HMEM_REGION_HEAT");
		if (hot_are_hottest(cells))
			return true;
		usleep(100000);
	} while (time(NULL) < end);
	for (int i = 0; i < EXTENTS; i++)
		tap_diag("extent %d: heat %u", i, cells[i].heat);
	show_stats(fd);
	return false;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* Hits that were sampled, of which only the time and what is near say more. */
static void sampled_near(int fd)
{
	uint64_t began = now_ns(), took, looked, touches, touches_near;
	struct hmem_stats before = near_stats(fd), now;
	time_t end = time(NULL) + PATIENCE;

	do {
		usleep(100000);
		now = near_stats(fd);
		touches = now.touches - before.touches;
		touches_near = now.touches_near - before.touches_near;
	} while ((touches < 40 || !touches_near || touches_near >= touches) && time(NULL) < end);
	/* Nearly all accesses are of what is near, but each of the others' touches is sampled too. */
	TAP_OK(touches >= 40 && touches_near && touches_near < touches,
	       "%s: of %llu touches %llu were near", kind, (unsigned long long)touches,
	       (unsigned long long)touches_near);
	looked = now.look_ns - before.look_ns;
	took = now_ns() - began;
	TAP_OK(looked && looked < took, "%s: of %llu us looking took %llu", kind,
	       (unsigned long long)took / 1000, (unsigned long long)looked / 1000);
}

/* Back and forth in a while that counts as no time is a ping-pong, which widens no band here. */
static void told(int fd)
{
	struct hmem_stats s = near_stats(fd);

	TAP_OK(s.touches && s.probes >= s.touches && s.track_ns && s.window_ns,
	       "%s: what was sampled is counted", kind);
	TAP_OK(s.promotions >= 2 * HOT * 512 && s.demotions >= HOT * 512 && s.copy_ns &&
	       s.copied >= s.promotions * 4096, "%s: and what was moved", kind);
	must(knob_set(fd, "pingpong_ms", 3600000), "pingpong_ms");
	must(knob_set(fd, "band_max_oct4", 4), "band_max_oct4");
	hot_at = 3;
	TAP_OK(settles(fd), "%s: what went comes back", kind);
	TAP_OK(near_stats(fd).pingpongs >= s.pingpongs + HOT, "%s: those are ping-pongs", kind);
	must(knob_set(fd, "pingpong_ms", 10000), "pingpong_ms");
	must(knob_set(fd, "band_max_oct4", 24), "band_max_oct4");
}

static int64_t faults(int fd)
{
	struct hmem_region_query info;

	must(region_info(fd, &info), "query");
	return info.faults;
}

/* How often the module's workers ran in a second, by the kernel's trace. */
static int runs(void)
{
	int count = -1;
	FILE *f;

	if (access(TRACING "trace", F_OK) && system("mount -t tracefs none " TRACING))
		tap_bail("no tracefs");
	if (system("echo > " TRACING "trace && echo 1 > " WORK_EVENT))
		tap_bail("work cannot be traced");
	sleep(1);
	if (system("echo 0 > " WORK_EVENT))
		tap_bail("work is traced for ever");
	f = popen("grep -c '\\[hmem\\]' " TRACING "trace", "r");
	if (!f || fscanf(f, "%d", &count) != 1)
		tap_bail("no trace");
	pclose(f);
	return count;
}

/* Nobody comes by, and nothing that is mapped is taken away. */
static void idle(int fd)
{
	int64_t before;

	for (unsigned int i = 0; i < EXTENTS; i++)
		touch(i, 0);
	/* The reader may be in a fault that began before that. */
	for (unsigned int now = rounds; rounds - now < 2;)
		usleep(1000);
	before = faults(fd);
	TAP_EQ(runs(), 0, "%s: off: nothing is done by itself", kind);
	TAP_EQ(faults(fd), before, "%s: off: and nobody has a fault", kind);
	must(policy(fd, HMEM_POLICY_MODE, HMEM_POLICY_MANUAL, 0), "manual");
	TAP_OK(runs() > 0 && faults(fd) > before, "%s: manual: something is, and somebody has", kind);
	must(policy(fd, HMEM_POLICY_MODE, HMEM_POLICY_OFF, 0), "off");
}

static void chooses(int control, const struct pool *pool)
{
	struct hmem_heat_cell cells[EXTENTS];
	struct hmem_policy p;
	struct hmem_stats s, later;
	struct hmem_heat h;
	uint64_t counted = 0;
	pthread_t thread;
	int fd;

	kind = pool->kind;
	must(region_create(control, "auto", pool->name, LENGTH), "create");
	fd = must_open("auto", O_RDWR);
	must(policy(fd, HMEM_POLICY_NEAR_MAX, 0, HOT * EXTENT), "near_max");
	base = must_map(fd, LENGTH);
	memset(base, 1, LENGTH);
	TAP_EQ(heat(fd, &h, cells), 0, "%s: heat can be asked", kind);
	TAP_OK(!cells[0].heat && !cells[0].near && h.nr_cells == EXTENTS && !h.home[0],
	       "%s: without a policy nothing is known", kind);

	hot_at = 3;
	stop = 0;
	if (pthread_create(&thread, NULL, reader, NULL))
		tap_bail("no thread");
	/* An emulated machine is slow in all that the knobs take for granted. */
	must(knob_set(fd, "budget_ppm", 200000), "budget_ppm");
	must_set_costs(fd);
	/* With KASAN the reader comes so seldom that a swap would hardly be worth it. */
	must(knob_set(fd, "home_ns", 2500), "home_ns");
	must(policy(fd, HMEM_POLICY_MODE, HMEM_POLICY_AUTO, 0), "policy");
	TAP_OK(settles(fd), "%s: what is hot comes near", kind);
	TAP_OK(found_hot(fd), "%s: heat says why", kind);
	must(heat(fd, &h, cells), "heat");
	for (int i = 0; i < HMEM_HEAT_BINS; i++)
		counted += h.near[i] + h.home[i];
	TAP_EQ(counted, EXTENTS * (EXTENT / 4096), "%s: every page is in the histograms", kind);
	TAP_EQ(near_stats(fd).near, HOT * EXTENT, "%s: within the bound", kind);
	sampled_near(fd);
	hot_at = 11;
	TAP_OK(settles(fd), "%s: when something else is hot it takes the place", kind);
	told(fd);

	must(policy(fd, HMEM_POLICY_MODE, HMEM_POLICY_MANUAL, 0), "manual");
	TAP_EQ(move_extents(fd, 0, EXTENTS, HMEM_HOME), HOT, "%s: manual: what is near is moved home",
	       kind);
	hot_at = 5;
	show_stats(fd);
	TAP_OK(found_hot(fd), "%s: manual: heat is seen", kind);
	/* By now the policy has heard that nothing is near. */
	s = near_stats(fd);
	for (time_t end = time(NULL) + PATIENCE; time(NULL) < end;) {
		usleep(100000);
		if (near_stats(fd).touches > s.touches + 10)
			break;
	}
	later = near_stats(fd);
	TAP_EQ(near_stats(fd).near, 0, "%s: manual: and nothing moved", kind);
	TAP_OK(later.touches > s.touches + 10 && later.touches_near == s.touches_near,
	       "%s: manual: nor was any touch near", kind);

	must(policy(fd, HMEM_POLICY_MODE, HMEM_POLICY_OFF, 0), "off");
	must(heat(fd, &h, cells), "heat");
	TAP_OK(!cells[hot_at].heat, "%s: off: heat is forgotten", kind);
	p = (struct hmem_policy){ .size = sizeof(p), .knob = "budget_ppm" };
	TAP_OK(!hmem_ioctl(fd, HMEM_REGION_POLICY, &p) && p.value == 200000 &&
	       p.mode == HMEM_POLICY_OFF && p.near_max == HOT * EXTENT,
	       "%s: the knobs stay", kind);
	idle(fd);
	must(policy(fd, HMEM_POLICY_MODE, HMEM_POLICY_AUTO, 0), "auto");
	TAP_OK(settles(fd), "%s: auto again", kind);
	/* The reader keeps to what stays, from the round after this one on. */
	there = EXTENTS / 2;
	for (unsigned int now = rounds; rounds - now < 2;)
		usleep(1000);
	TAP_EQ(region_resize(control, "auto", LENGTH / 2), 0, "%s: it shrinks", kind);
	TAP_EQ(region_resize(control, "auto", LENGTH), 0, "%s: and grows", kind);
	must(heat(fd, &h, cells), "heat");
	TAP_OK(cells[hot_at].heat && cells[hot_at + HOT - 1].heat && !cells[EXTENTS - 1].heat,
	       "%s: what is known of what stayed is known", kind);
	there = EXTENTS;
	TAP_OK(settles(fd), "%s: and chooses again", kind);
	stop = 1;
	pthread_join(thread, NULL);
	TAP_OK(pages_hold(base, LENGTH / 2, 1) && pages_hold(base + LENGTH / 2, LENGTH / 2, 0),
	       "%s: the data is what it was", kind);
	munmap(base, LENGTH);
	close(fd);
	TAP_EQ(region_destroy(control, "auto"), 0, "%s: destroyed at work", kind);
}

static void knobs(int control)
{
	struct hmem_policy p, first;
	unsigned int n = 0, wrong = 0;
	int fd, reader;

	must(pool_attach_ram(control, "pool", 4 * EXTENT), "attach");
	must(region_create(control, "k", "pool", EXTENT), "create");
	fd = must_open("k", O_RDWR);
	reader = must_open("k", O_RDONLY);
	for (;; n++) {
		p = (struct hmem_policy){ .size = sizeof(p), .flags = HMEM_POLICY_KNOB_INDEX,
					  .knob_index = n };
		if (hmem_ioctl(fd, HMEM_REGION_POLICY, &p))
			break;
		if (!n)
			first = p;
		wrong += p.value < p.least || p.value > p.most || !p.knob[0];
		wrong += knob_set(fd, p.knob, p.most) || knob_set(fd, p.knob, p.least);
		wrong += knob_set(fd, p.knob, p.most + 1) != -EINVAL;
		wrong += p.least && knob_set(fd, p.knob, p.least - 1) != -EINVAL;
		wrong += knob_set(fd, p.knob, p.value) != 0;
	}
	TAP_OK(n > 20 && !wrong, "%u knobs take what they say they do", n);
	TAP_EQ(hmem_ioctl(fd, HMEM_REGION_POLICY, &p), -ENOENT, "there are no more");
	TAP_EQ(knob_set(fd, "no_such_knob", 1), -ENOENT, "nor one of another name");
	TAP_EQ(knob_set(fd, "", 1), -EINVAL, "nor without a name");
	TAP_EQ(knob_set(reader, first.knob, first.value), -EACCES, "none is set for a reader");
	TAP_EQ(policy(fd, HMEM_POLICY_MODE, 3, 0), -EINVAL, "there is no fourth mode");
	p = (struct hmem_policy){ .size = sizeof(p), .mode = HMEM_POLICY_AUTO, .value = 0,
				  .flags = HMEM_POLICY_MODE | HMEM_POLICY_KNOB };
	snprintf(p.knob, sizeof(p.knob), "%s", first.knob);
	p.value = first.most + 1;
	TAP_EQ(hmem_ioctl(fd, HMEM_REGION_POLICY, &p), -EINVAL, "what is partly wrong is refused");
	p = (struct hmem_policy){ .size = sizeof(p) };
	TAP_OK(!hmem_ioctl(reader, HMEM_REGION_POLICY, &p) && p.mode == HMEM_POLICY_OFF && !p.value,
	       "and nothing of it done");
	close(fd);
	close(reader);
	sweep(control);
}

/* The module goes while trackers of regions that nobody has open are at work. */
static void unloaded(int control)
{
	int fd;

	for (int i = 0; i < 3; i++) {
		char pool[8], region[8];

		snprintf(pool, sizeof(pool), "p%d", i);
		snprintf(region, sizeof(region), "u%d", i);
		must(pool_attach_ram(control, pool, 4 * EXTENT), "attach");
		must(region_create(control, region, pool, 4 * EXTENT), "create");
		fd = must_open(region, O_RDWR);
		must(policy(fd, HMEM_POLICY_NEAR_MAX, 0, EXTENT), "near_max");
		base = must_map(fd, 4 * EXTENT);
		memset(base, 1, 4 * EXTENT);
		must(policy(fd, HMEM_POLICY_MODE, HMEM_POLICY_AUTO, 0), "auto");
		munmap(base, 4 * EXTENT);
		close(fd);
	}
	close(control);
	TAP_EQ(module_unload(), 0, "the module goes with its trackers at work");
	TAP_EQ(module_load(), 0, "and comes again");
}

int main(void)
{
	int control = must_begin_cxl();

	knobs(control);
	on_every_pool(control, 64 * MIB, chooses);
	unloaded(control);
	return tap_done();
}
